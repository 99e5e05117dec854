// Passes: what each does to the patterns it is for, and that results stay what they were.
#include "pass/pass.h"

#include "tests/backend/run_graph.h"

using namespace run_graph;

namespace {

cn_id batch_norm(Graph& m, cn_id x, int axis, int64_t channels) {
    cn_attr a = no_attr();
    a.norm.axes = 1u << axis;
    a.norm.epsilon = 1e-3;
    return m.add(CN_OP_batch_norm, {x, m.variable({channels}), m.variable({channels}), m.variable({channels}), m.variable({channels})}, a);
}

// Runs the graph as it is and after the passes, on the reference; they may differ by rounding alone.
void expect_neutral(Graph& m, const cn_pass_options* options = nullptr) {
    ASSERT_EQ(cn_graph_status(&m.g), CORNU_OK) << cornu_last_error();
    auto inputs = m.inputs();
    auto before = run(m.g, cn_backend_reference, inputs);
    ASSERT_EQ(cn_pass_run(&m.g, options), CORNU_OK) << cornu_last_error();
    auto after = run(m.g, cn_backend_reference, inputs), fast = run(m.g, cn_backend_cpu, inputs);
    ASSERT_EQ(before.size(), after.size());
    for (size_t i = 0; i < before.size(); i++) {
        EXPECT_LT(difference(after[i], before[i]), 1e-5) << "output " << i;
        EXPECT_LT(difference(fast[i], before[i]), 1e-5) << "output " << i << " of the fast backend";
    }
}

}  // namespace

TEST(Pass, ConvBiasBatchNormReluBecomesOneConv) {
    Graph m;
    cn_id x = m.input({2, 8, 8, 3});
    cn_id y = m.add(CN_OP_conv, {x, m.variable({3, 3, 3, 6})}, conv_attr(2, 1, 1, 1, 1, 1));
    y = cn_graph_ew2(&m.g, CN_EW_add, y, m.variable({6}));
    y = batch_norm(m, y, 3, 6);
    y = cn_graph_ew1(&m.g, CN_EW_relu, y);
    cn_graph_output(&m.g, y);
    expect_neutral(m);
    EXPECT_EQ(m.count(CN_OP_batch_norm), 0);
    const cn_node& last = m.g.nodes[m.g.outputs[0]];
    EXPECT_EQ(last.op, CN_OP_conv);
    EXPECT_EQ(last.attr.conv.act.fn, CN_EW_relu);
    EXPECT_NE(last.inputs[2], CN_NONE);
}

TEST(Pass, DepthwiseTransposedAndDenseFoldTheirNorm) {
    for (int kind = 0; kind < 3; kind++) {
        Graph m;
        cn_id y;
        if (kind == 0) {
            y = m.add(CN_OP_conv, {m.input({1, 6, 6, 4}), m.variable({3, 3, 1, 8})}, conv_attr(2, 1, 1, 1, 1, 4));
        } else if (kind == 1) {
            y = m.add(CN_OP_conv_transpose, {m.input({1, 4, 4, 5}), m.variable({3, 3, 8, 5})}, conv_attr(2, 2, 1, 0, 0, 1));
        } else {
            y = cn_graph_matmul(&m.g, m.input({4, 5}), m.variable({8, 5}), false, true);
        }
        y = batch_norm(m, y, m.g.types[y].ndim - 1, 8);
        cn_graph_output(&m.g, y);
        expect_neutral(m);
        EXPECT_EQ(m.g.nodes[m.g.outputs[0]].op, kind == 0 ? CN_OP_conv : kind == 1 ? CN_OP_conv_transpose : CN_OP_matmul);
    }
}

TEST(Pass, AValueThatOthersReadIsNotFolded) {
    Graph m;
    cn_id x = m.input({1, 5, 5, 3});
    cn_id y = m.add(CN_OP_conv, {x, m.variable({1, 1, 3, 4})}, conv_attr(2, 1, 1, 0, 0, 1));
    cn_id z = batch_norm(m, y, 3, 4);
    cn_graph_output(&m.g, y);
    cn_graph_output(&m.g, z);
    expect_neutral(m);
    EXPECT_EQ(m.count(CN_OP_conv), 1);
}

TEST(Pass, ResidualBecomesAnInputOfTheLaterConv) {
    Graph m;
    cn_id x = m.input({1, 5, 5, 4});
    cn_id a = m.add(CN_OP_conv, {x, m.variable({1, 1, 4, 4})}, conv_attr(2, 1, 1, 0, 0, 1));
    cn_id b = m.add(CN_OP_conv, {x, m.variable({3, 3, 4, 4})}, conv_attr(2, 1, 1, 1, 1, 1));
    cn_graph_output(&m.g, cn_graph_ew1(&m.g, CN_EW_relu, cn_graph_ew2(&m.g, CN_EW_add, b, a)));
    expect_neutral(m);
    EXPECT_EQ(m.count(CN_OP_ew), 0);
    const cn_node& last = m.g.nodes[m.g.outputs[0]];
    ASSERT_EQ(last.input_count, 4);
    EXPECT_EQ(m.g.nodes[last.inputs[3]].op, CN_OP_conv);
}

// y = conv(x) + x: the result may not be written over the residual, which the conv still reads.
TEST(Pass, AResidualThatIsTheInputIsKept) {
    for (bool product : {false, true}) {
        Graph m;
        cn_id x = cn_graph_ew1(&m.g, CN_EW_tanh, m.input({1, 6, 6, 4}));
        cn_id y = product ? cn_graph_matmul(&m.g, x, m.variable({4, 4}), false, false) : m.add(CN_OP_conv, {x, m.variable({3, 3, 4, 4})}, conv_attr(2, 1, 1, 1, 1, 1));
        cn_graph_output(&m.g, cn_graph_ew2(&m.g, CN_EW_add, y, x));
        auto want = run(m.g, cn_backend_reference, m.inputs());
        expect_neutral(m);
        EXPECT_EQ(m.g.nodes[m.g.outputs[0]].input_count, 4);
        EXPECT_LT(difference(run(m.g, cn_backend_cpu, m.inputs())[0], want[0]), 2e-6);
    }
}

// norm(x + y) in one pass over both; not if the sum is read by others, nor if y is broadcast or is the same for every run.
TEST(Pass, ASumJoinsTheNormBehindIt) {
    enum { PLAIN, TWICE, BROADCAST, CONSTANT, KINDS };
    for (cn_op op : {CN_OP_layer_norm, CN_OP_rms_norm}) {
        for (int kind = 0; kind < KINDS; kind++) {
            Graph m;
            cn_attr a = no_attr();
            a.norm.axes = 4;
            a.norm.epsilon = 1e-3;
            cn_id x = m.input({2, 3, 8}), y;
            if (kind == CONSTANT) y = m.variable({2, 3, 8});
            else y = kind == BROADCAST ? m.input({1, 3, 8}, "y") : m.input({2, 3, 8}, "y");
            cn_id sum = cn_graph_ew2(&m.g, CN_EW_add, x, y);
            const cn_id gamma = m.variable({8});
            cn_graph_output(
                &m.g, op == CN_OP_rms_norm ? m.add(op, {sum, gamma}, a) : m.add(op, {sum, gamma, m.variable({8})}, a));
            if (kind == TWICE) cn_graph_output(&m.g, cn_graph_ew1(&m.g, CN_EW_tanh, sum));
            expect_neutral(m);
            const cn_node& norm = m.g.nodes[m.g.outputs[0]];
            EXPECT_EQ(norm.op, op);
            EXPECT_EQ(norm.input_count > 3, kind == PLAIN) << kind;
            EXPECT_EQ(m.count(CN_OP_ew) + m.count(CN_OP_fused), kind == PLAIN ? 0 : kind == TWICE ? 2 : 1) << kind;
        }
    }
}

// A product takes the residual first; x + x has the same value twice.
TEST(Pass, ANormTakesNoSumThatAProductCanTake) {
    Graph m;
    cn_attr a = no_attr();
    a.norm.axes = 2;
    a.norm.epsilon = 1e-3;
    cn_id x = m.input({3, 8}), y = cn_graph_matmul(&m.g, x, m.variable({8, 8}), false, false);
    y = m.add(CN_OP_layer_norm, {cn_graph_ew2(&m.g, CN_EW_add, y, x)}, a);
    cn_graph_output(&m.g, m.add(CN_OP_layer_norm, {cn_graph_ew2(&m.g, CN_EW_add, y, y)}, a));
    expect_neutral(m);
    EXPECT_EQ(m.count(CN_OP_ew), 0);
    const cn_node &last = m.g.nodes[m.g.outputs[0]], &first = m.g.nodes[last.inputs[0]];
    ASSERT_EQ(last.input_count, 4);
    EXPECT_EQ(last.inputs[0], last.inputs[3]);
    EXPECT_EQ(first.input_count, 1);
    EXPECT_EQ(m.g.nodes[first.inputs[0]].input_count, 4);
}

TEST(Pass, TransposesOfChannelsFirstNetworksCancel) {
    Graph m;
    const int last[] = {0, 2, 3, 1}, first[] = {0, 3, 1, 2};
    cn_id x = cn_graph_transpose(&m.g, m.input({1, 3, 8, 8}), last);
    for (int i = 0; i < 3; i++) {
        cn_id y = m.add(CN_OP_conv, {x, m.variable({3, 3, i ? 4 : 3, 4})}, conv_attr(2, 1, 1, 1, 1, 1));
        y = cn_graph_transpose(&m.g, y, first);
        y = cn_graph_ew1(&m.g, CN_EW_relu, batch_norm(m, y, 1, 4));
        x = cn_graph_transpose(&m.g, y, last);
    }
    cn_graph_output(&m.g, cn_graph_reduce(&m.g, cn_graph_transpose(&m.g, x, first), CN_REDUCE_MEAN, 12, false));
    expect_neutral(m);
    EXPECT_EQ(m.count(CN_OP_transpose), 1); // of the input
    EXPECT_EQ(m.count(CN_OP_batch_norm), 0);
}

TEST(Pass, PaddingMovesIntoConvAndPool) {
    Graph m;
    cn_attr max = pool_attr(CN_POOL_MAX, 2, 3, 2, 0, 0);
    const int64_t low[] = {0, 1, 1, 0}, high[] = {0, 1, 2, 0};
    cn_id y = m.add(CN_OP_conv, {cn_graph_pad(&m.g, m.input({1, 7, 7, 3}), low, high, 0), m.variable({3, 3, 3, 4})}, conv_attr(2, 2, 1, 0, 0, 1));
    y = cn_graph_pad(&m.g, cn_graph_ew1(&m.g, CN_EW_relu, y), low, low, 0);
    cn_graph_output(&m.g, m.add(CN_OP_pool, {y}, max));
    expect_neutral(m);
    EXPECT_EQ(m.count(CN_OP_pad), 0);
}

TEST(Pass, ZerosAroundValuesBelowZeroStay) {
    Graph m;
    const int64_t one[] = {0, 1, 1, 0};
    cn_attr max = pool_attr(CN_POOL_MAX, 2, 3, 2, 0, 0);
    cn_graph_output(&m.g, m.add(CN_OP_pool, {cn_graph_pad(&m.g, m.input({1, 7, 7, 3}), one, one, 0)}, max));
    expect_neutral(m);
    EXPECT_EQ(m.count(CN_OP_pad), 1);
}

TEST(Pass, AChainBecomesOneNode) {
    Graph m;
    cn_id x = m.input({2, 3, 5}), z = m.input({2, 3, 5}, "z");
    cn_id y = cn_graph_ew2(&m.g, CN_EW_mul, x, m.variable({5}));
    y = cn_graph_ew2(&m.g, CN_EW_add, y, m.variable({3, 1}));
    y = cn_graph_ew2(&m.g, CN_EW_mul, cn_graph_ew1(&m.g, CN_EW_sigmoid, y), cn_graph_ew2(&m.g, CN_EW_sub, z, x));
    cn_graph_output(&m.g, y);
    expect_neutral(m);
    EXPECT_EQ(m.count(CN_OP_ew), 0);
    EXPECT_EQ(m.count(CN_OP_fused), 1);
}

TEST(Pass, ALongChainIsCut) {
    Graph m;
    cn_id y = m.input({7});
    for (int i = 0; i < 100; i++) y = cn_graph_ew1(&m.g, i % 2 ? CN_EW_tanh : CN_EW_softsign, y);
    for (int i = 0; i < 20; i++) y = cn_graph_ew2(&m.g, CN_EW_add, y, m.variable({7}));
    cn_graph_output(&m.g, y);
    expect_neutral(m);
    EXPECT_LT(m.g.count, 60);
}

TEST(Pass, InputsKeepTheirPortsAndLabelsStay) {
    Graph m;
    (void)m.input({2}, "unused");
    m.g.label = "layer";
    cn_id y = cn_graph_ew1(&m.g, CN_EW_relu, m.input({3}, "used"));
    cn_graph_output(&m.g, y);
    ASSERT_EQ(cn_pass_run(&m.g, nullptr), CORNU_OK);
    EXPECT_EQ(m.g.input_count, 2);
    EXPECT_STREQ(m.g.nodes[m.g.outputs[0]].label, "layer");
    EXPECT_EQ(m.g.nodes[m.g.nodes[m.g.outputs[0]].inputs[0]].attr.port.index, 1);
}

// Random networks over images: every op that a pass knows, in any order; each pass alone and all together.
TEST(Pass, RandomGraphsKeepTheirResults) {
    static const cn_ew acts[] = {CN_EW_relu, CN_EW_tanh, CN_EW_sigmoid, CN_EW_relu6, CN_EW_neg, CN_EW_softplus};
    static const cn_ew pairs[] = {CN_EW_add, CN_EW_sub, CN_EW_mul, CN_EW_max};
    const int perms[][4] = {{0, 3, 1, 2}, {0, 2, 3, 1}, {0, 2, 1, 3}, {1, 0, 2, 3}};

    for (unsigned seed = 0; seed < 150; seed++) {
        std::mt19937 random(seed);
        Graph m;
        std::vector<cn_id> values = {m.input({2, 4, 4, 4}), m.input({2, 4, 4, 4}, "b")};
        for (int i = 0; i < 14; i++) {
            cn_id x = values[values.size() - 1 - random() % std::min<size_t>(3, values.size())], y = values[random() % values.size()], v;
            switch (random() % 10) {
                case 0: v = m.add(CN_OP_conv, {x, m.variable({3, 3, 4, 4})}, conv_attr(2, 1, 1, 1, 1, 1)); break;
                case 1: v = m.add(CN_OP_conv, {x, m.variable({3, 3, 1, 4})}, conv_attr(2, 1, 1, 1, 1, 4)); break;
                case 2: v = batch_norm(m, x, 1 + (int)(random() % 3), 4); break;
                case 3: v = cn_graph_ew1(&m.g, acts[random() % 6], x); break;
                case 4: v = cn_graph_ew2(&m.g, pairs[random() % 4], x, y); break;
                case 5: v = cn_graph_ew2(&m.g, pairs[random() % 4], x, random() % 2 ? m.variable({4}) : m.variable({4, 1, 4})); break;
                case 6: v = cn_graph_matmul(&m.g, x, m.variable({4, 4}), false, random() % 2); break;
                case 7: {
                    const int* perm = perms[random() % 3];
                    v = cn_graph_transpose(&m.g, x, perm);
                    break;
                }
                case 8: {
                    cn_attr a = no_attr();
                    a.norm.axes = random() % 2 ? 8 : 12;
                    a.norm.epsilon = 1e-3;
                    v = m.add(random() % 2 ? CN_OP_layer_norm : CN_OP_rms_norm,
                              {random() % 2 ? cn_graph_ew2(&m.g, CN_EW_add, x, y) : x}, a);
                    break;
                }
                default: {
                    const int64_t one[] = {0, 1, 1, 0}, none[] = {0, 0, 0, 0};
                    v = m.add(CN_OP_conv, {cn_graph_pad(&m.g, x, one, random() % 2 ? one : none, 0), m.variable({3, 3, 4, 4})}, conv_attr(2, 1, 1, 0, 0, 1));
                    if (m.g.types[v].dims[1] != 4) v = x;
                }
            }
            ASSERT_NE(v, CN_NONE) << cornu_last_error();
            if (random() % 3 == 0 && cn_type_equal(&m.g.types[v], &m.g.types[x])) v = cn_graph_ew2(&m.g, CN_EW_add, v, random() % 2 ? x : y);
            v = cn_graph_ew1(&m.g, CN_EW_tanh, random() % 4 ? v : cn_graph_ew2(&m.g, CN_EW_mul, v, cn_graph_scalar(&m.g, CORNU_FLOAT32, 0.1)));
            values.push_back(v);
        }
        cn_graph_output(&m.g, values.back());
        cn_graph_output(&m.g, values[values.size() - 2 - random() % 4]);
        cn_pass_options options = {seed % 6 == 5 ? 0u : ~(1u << seed % 6)};
        expect_neutral(m, &options);
        if (HasFailure()) FAIL() << "seed " << seed;
    }
}

TEST(Pass, EveryFailedAllocationLeavesAValidGraph) {
    for (uint64_t n = 1; n < 400; n++) {
        Graph m;
        cn_id y = m.add(CN_OP_conv, {m.input({1, 5, 5, 3}), m.variable({3, 3, 3, 4})}, conv_attr(2, 1, 1, 1, 1, 1));
        y = cn_graph_ew1(&m.g, CN_EW_tanh, cn_graph_ew1(&m.g, CN_EW_relu, batch_norm(m, y, 3, 4)));
        cn_graph_output(&m.g, cn_graph_ew2(&m.g, CN_EW_mul, y, y));
        cn_alloc_fail_at(n, false);
        cornu_status st = cn_pass_run(&m.g, nullptr);
        cn_alloc_fail_at(0, false);
        EXPECT_EQ(cn_graph_verify(&m.g), CORNU_OK) << n;
        if (st == CORNU_OK) return;
        ASSERT_EQ(st, CORNU_NO_MEMORY) << n;
    }
    FAIL() << "it never succeeds";
}
