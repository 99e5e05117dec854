// Which values become half, and that a graph means the same afterwards, up to the half's rounding.
#include "pass/pass.h"
#include "tests/backend/run_graph.h"

using namespace run_graph;

namespace {

const cornu_dtype kHalves[] = {CORNU_FLOAT16, CORNU_BFLOAT16};

// Results before and after, on the reference; the half's rounding is seen, and no more than that.
void expect_rounded(Graph& m, cornu_dtype half, bool passes = true) {
    ASSERT_EQ(cn_graph_status(&m.g), CORNU_OK) << cornu_last_error();
    auto inputs = m.inputs();
    auto before = run(m.g, cn_backend_reference, inputs);
    std::vector<cn_type> types;
    for (int i = 0; i < m.g.output_count; i++) types.push_back(m.g.types[m.g.outputs[i]]);
    if (passes) {
        ASSERT_EQ(cn_pass_run(&m.g, nullptr), CORNU_OK) << cornu_last_error();
    }
    ASSERT_EQ(cn_pass_narrow(&m.g, half), CORNU_OK) << cornu_last_error();
    ASSERT_EQ(cn_graph_verify(&m.g), CORNU_OK) << cornu_last_error();
    auto after = run(m.g, cn_backend_reference, inputs);
    for (size_t i = 0; i < before.size(); i++) {
        EXPECT_TRUE(cn_type_equal(&m.g.types[m.g.outputs[i]], &types[i])) << "outputs keep their types";
        EXPECT_LT(difference(after[i], before[i]), half == CORNU_FLOAT16 ? 4e-3 : 3e-2) << "output " << i;
    }
}

cornu_dtype dtype_of(const Graph& m, cn_op op, int which = 0) {
    for (int i = 0; i < m.g.count; i++) {
        if (m.g.nodes[i].op == op && which-- == 0) return m.g.types[i].dtype;
    }
    return (cornu_dtype)0;
}

// A product wide enough to be no head.
cn_id product(Graph& m, cn_id x, int64_t columns = 24) {
    return cn_graph_matmul(&m.g, x, m.variable({m.g.types[x].dims[m.g.types[x].ndim - 1], columns}), false, false);
}

void narrow_plainly(Graph& m, cornu_dtype half) {
    ASSERT_EQ(cn_graph_status(&m.g), CORNU_OK) << cornu_last_error();
    ASSERT_EQ(cn_pass_narrow(&m.g, half), CORNU_OK) << cornu_last_error();
    ASSERT_EQ(cn_graph_verify(&m.g), CORNU_OK) << cornu_last_error();
}

}  // namespace

TEST(Narrow, ANetworkIsHalfFromItsFirstProductToItsHead) {
    for (cornu_dtype half : kHalves) {
        Graph m;
        cn_id x = m.input({2, 8, 8, 3});
        x = cn_graph_ew2(&m.g, CN_EW_mul, x, cn_graph_scalar(&m.g, CORNU_FLOAT32, 0.5));  // preprocessing
        cn_id y = m.add(CN_OP_conv, {x, m.variable({3, 3, 3, 8})}, conv_attr(2, 1, 1, 1, 1, 1));
        y = cn_graph_ew1(&m.g, CN_EW_relu, y);
        cn_id z = m.add(CN_OP_conv, {y, m.variable({3, 3, 8, 8})}, conv_attr(2, 1, 1, 1, 1, 1));
        y = cn_graph_ew1(&m.g, CN_EW_silu, cn_graph_ew2(&m.g, CN_EW_add, z, y));
        y = m.add(CN_OP_pool, {y}, pool_attr(CN_POOL_MAX, 2, 2, 2, 0, 0));
        y = cn_graph_reduce(&m.g, y, CN_REDUCE_MEAN, 6, false);
        y = cn_graph_softmax(&m.g, product(m, y, 10), 2);
        cn_graph_output(&m.g, y);
        expect_rounded(m, half);
        EXPECT_EQ(dtype_of(m, CN_OP_ew), CORNU_FLOAT32) << "before the first product";
        EXPECT_EQ(dtype_of(m, CN_OP_conv, 0), half);
        EXPECT_EQ(dtype_of(m, CN_OP_conv, 1), half);
        EXPECT_EQ(dtype_of(m, CN_OP_pool), half);
        EXPECT_EQ(dtype_of(m, CN_OP_reduce), half);
        EXPECT_EQ(dtype_of(m, CN_OP_matmul), CORNU_FLOAT32) << "the head";
        EXPECT_EQ(dtype_of(m, CN_OP_softmax), CORNU_FLOAT32);
        for (int i = 0; i < m.g.count; i++) {
            if (m.g.nodes[i].op != CN_OP_variable) continue;
            EXPECT_EQ(m.g.types[i].dtype, CORNU_FLOAT32) << "weights stay what they are";
        }
    }
}

TEST(Narrow, TheTailBehindAWideProductIsFloat) {
    for (cornu_dtype half : kHalves) {
        Graph m;
        cn_id y = product(m, product(m, m.input({4, 20})), 40);
        cn_graph_output(&m.g, cn_graph_softmax(&m.g, cn_graph_ew1(&m.g, CN_EW_tanh, y), 2));
        expect_rounded(m, half, false);
        EXPECT_EQ(dtype_of(m, CN_OP_matmul, 1), half);
        EXPECT_EQ(dtype_of(m, CN_OP_ew), CORNU_FLOAT32);
        EXPECT_EQ(dtype_of(m, CN_OP_softmax), CORNU_FLOAT32);
    }
}

TEST(Narrow, WhatOutgrowsAHalfIsFloat) {
    for (cornu_dtype half : kHalves) {
        Graph m;
        cn_id y = product(m, m.input({4, 20}));
        cn_id wild = cn_graph_ew1(&m.g, CN_EW_exp, y), sum = cn_graph_reduce(&m.g, y, CN_REDUCE_SUM, 2, true);
        cn_graph_output(&m.g, product(m, cn_graph_ew2(&m.g, CN_EW_div, wild, sum)));
        narrow_plainly(m, half);
        EXPECT_EQ(dtype_of(m, CN_OP_ew, 0), CORNU_FLOAT32);
        EXPECT_EQ(dtype_of(m, CN_OP_reduce), CORNU_FLOAT32);
        EXPECT_EQ(dtype_of(m, CN_OP_ew, 1), CORNU_FLOAT32);
        EXPECT_EQ(dtype_of(m, CN_OP_matmul, 1), half);
    }
}

// The last function decides: the intermediate values of a program are float whatever goes in.
TEST(Narrow, AProgramIsJudgedByItsEnd) {
    for (cn_ew last : {CN_EW_sigmoid, CN_EW_exp}) {
        Graph m;
        cn_id y = product(m, m.input({4, 20}));
        y = cn_graph_ew1(&m.g, last, cn_graph_ew1(&m.g, CN_EW_square, cn_graph_ew2(&m.g, CN_EW_mul, y, y)));
        y = m.add(CN_OP_matmul, {y, m.variable({24, 24})}, no_attr());
        cn_graph_output(&m.g, y);
        ASSERT_EQ(cn_pass_run(&m.g, nullptr), CORNU_OK);
        narrow_plainly(m, CORNU_FLOAT16);
        ASSERT_EQ(m.count(CN_OP_fused), 1);
        EXPECT_EQ(dtype_of(m, CN_OP_fused), last == CN_EW_exp ? CORNU_FLOAT32 : CORNU_FLOAT16);
    }
}

TEST(Narrow, IndicesAndMasksAreThoseOfFloat) {
    Graph m;
    cn_attr arg = no_attr();
    cn_id y = product(m, m.input({4, 20})), scores = product(m, y, 32), zero = cn_graph_scalar(&m.g, CORNU_FLOAT32, 0);
    arg.arg = {1, true, false};
    cn_graph_output(&m.g, m.add(CN_OP_arg, {scores}, arg));
    cn_graph_output(&m.g, cn_graph_ew2(&m.g, CN_EW_gt, cn_graph_ew1(&m.g, CN_EW_tanh, product(m, y, 40)), zero));
    narrow_plainly(m, CORNU_BFLOAT16);
    EXPECT_EQ(dtype_of(m, CN_OP_matmul, 0), CORNU_BFLOAT16) << "a product is between it and the indices";
    EXPECT_EQ(dtype_of(m, CN_OP_matmul, 1), CORNU_FLOAT32);
    EXPECT_EQ(dtype_of(m, CN_OP_matmul, 2), CORNU_FLOAT32);
    EXPECT_EQ(dtype_of(m, CN_OP_ew, 0), CORNU_FLOAT32);
}

// A mask of -1e9 has no finite float16; in bfloat16 it has.
TEST(Narrow, LargeConstantsKeepTheirValueInFloat16) {
    for (cornu_dtype half : kHalves) {
        Graph m;
        cn_id mask = cn_graph_ew2(&m.g, CN_EW_mul, m.input({4, 24}, "mask"), cn_graph_scalar(&m.g, CORNU_FLOAT32, -1e9));
        cn_id y = cn_graph_ew2(&m.g, CN_EW_add, product(m, m.input({4, 20})), mask);
        cn_graph_output(&m.g, product(m, cn_graph_softmax(&m.g, y, 2)));
        narrow_plainly(m, half);
        EXPECT_EQ(dtype_of(m, CN_OP_ew, 1), half == CORNU_FLOAT16 ? CORNU_FLOAT32 : half);
        EXPECT_EQ(dtype_of(m, CN_OP_softmax), half == CORNU_FLOAT16 ? CORNU_FLOAT32 : half);
        EXPECT_EQ(dtype_of(m, CN_OP_matmul, 1), half);
        for (const auto& bytes : run(m.g, cn_backend_reference, m.inputs(1, 0, 1))) {
            for (size_t i = 0; i + 4 <= bytes.size(); i += 4) {
                float v;
                memcpy(&v, &bytes[i], 4);
                ASSERT_TRUE(std::isfinite(v));
            }
        }
    }
}

TEST(Narrow, TheModelsOwnDtypesStay) {
    Graph m;
    cn_id x = m.input({4, 20});
    cn_id wide = cn_graph_matmul(&m.g, cn_graph_cast(&m.g, x, CORNU_FLOAT64), cn_graph_cast(&m.g, m.variable({20, 24}), CORNU_FLOAT64), false, false);
    cn_id own = cn_graph_matmul(&m.g, cn_graph_cast(&m.g, x, CORNU_FLOAT16), cn_graph_cast(&m.g, m.variable({20, 24}), CORNU_FLOAT16), false, false);
    cn_id y = cn_graph_ew2(&m.g, CN_EW_add, cn_graph_cast(&m.g, own, CORNU_FLOAT32), cn_graph_cast(&m.g, wide, CORNU_FLOAT32));
    cn_graph_output(&m.g, y);
    cn_graph_output(&m.g, product(m, cn_graph_cast(&m.g, own, CORNU_FLOAT32)));
    narrow_plainly(m, CORNU_FLOAT16);
    EXPECT_EQ(dtype_of(m, CN_OP_matmul, 0), CORNU_FLOAT64);
    EXPECT_EQ(dtype_of(m, CN_OP_matmul, 1), CORNU_FLOAT16);
    EXPECT_EQ(dtype_of(m, CN_OP_ew, 0), CORNU_FLOAT32) << "no product of ours is before it";
    const cn_node* last = nullptr;
    for (int i = 0; i < m.g.count; i++) {
        if (m.g.nodes[i].op == CN_OP_matmul) last = &m.g.nodes[i];
    }
    EXPECT_EQ(m.g.nodes[last->inputs[0]].op, CN_OP_matmul) << "what was half already is taken as it is";
}

TEST(Narrow, RecurrencesStayFloat) {
    Graph m;
    cn_attr attr = no_attr();
    attr.rnn.kind = CN_RNN_LSTM;
    attr.rnn.act.fn = CN_EW_tanh;
    attr.rnn.gate.fn = CN_EW_sigmoid;
    attr.rnn.sequences = true;
    cn_id z = product(m, m.input({2, 5, 6}), 32);
    cn_id y = m.add(CN_OP_rnn, {z, m.variable({8, 32})}, attr);
    cn_graph_output(&m.g, y);
    expect_rounded(m, CORNU_BFLOAT16);
    EXPECT_EQ(dtype_of(m, CN_OP_matmul), CORNU_BFLOAT16);
    EXPECT_EQ(dtype_of(m, CN_OP_rnn), CORNU_FLOAT32);
}

TEST(Narrow, AnInputThatIsAnOutputStaysIt) {
    Graph m;
    cn_id x = m.input({4, 20});
    cn_graph_output(&m.g, x);
    cn_graph_output(&m.g, product(m, x));
    expect_rounded(m, CORNU_FLOAT16);
    EXPECT_EQ(m.g.nodes[m.g.outputs[0]].op, CN_OP_input);
}

TEST(Narrow, EveryFailedAllocationLeavesTheGraphAsItWas) {
    for (uint64_t n = 1; n < 400; n++) {
        Graph m;
        cn_id y = product(m, product(m, m.input({4, 20})));
        cn_graph_output(&m.g, cn_graph_ew1(&m.g, CN_EW_tanh, y));
        int count = m.g.count;
        cn_alloc_fail_at(n, false);
        cornu_status st = cn_pass_narrow(&m.g, CORNU_BFLOAT16);
        cn_alloc_fail_at(0, false);
        EXPECT_EQ(cn_graph_verify(&m.g), CORNU_OK) << n;
        if (st == CORNU_OK) return;
        ASSERT_EQ(st, CORNU_NO_MEMORY) << n;
        EXPECT_EQ(m.g.count, count) << n;
    }
    FAIL() << "it never succeeds";
}
