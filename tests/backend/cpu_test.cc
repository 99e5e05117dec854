// The CPU backend against the reference: every op that has a fast path, over shapes around its blocks.
#include <functional>

#include "backend/cpu/loops.h"
#include "tests/backend/run_graph.h"

using namespace run_graph;

namespace {

struct Case {
    const char* name;
    std::function<cn_id(Graph&)> build;
};

void expect_as_reference(Graph& m, cn_id y, double limit = 2e-6, float low = -1, float high = 1) {
    cn_graph_output(&m.g, y);
    ASSERT_EQ(cn_graph_status(&m.g), CORNU_OK) << cornu_last_error();
    auto inputs = m.inputs(1, low, high);
    auto want = run(m.g, cn_backend_reference, inputs);
    auto got = run(m.g, cn_backend_cpu, inputs, {1, 1, 2});
    ASSERT_EQ(want.size(), got.size());
    bool floats = m.g.types[y].dtype == CORNU_FLOAT32;
    if (floats) EXPECT_LE(difference(got[0], want[0]), limit);
    else EXPECT_EQ(got[0], want[0]);
}

void expect_cases(const std::vector<Case>& cases) {
    for (const Case& c : cases) {
        SCOPED_TRACE(c.name);
        Graph m;
        expect_as_reference(m, c.build(m));
    }
}

cn_id conv(Graph& m, std::initializer_list<int64_t> x, std::initializer_list<int64_t> k, cn_attr a, bool bias = true, bool residual = false, cn_act act = {CN_EW_copy, 0, 0, 0}) {
    a.conv.act = act;
    std::vector<cn_id> in = {m.input(x), m.variable(k)};
    cn_id plain = cn_graph_add(&m.g, CN_OP_conv, in.data(), 2, &a);
    if (plain == CN_NONE) return plain;
    cn_type y = m.g.types[plain];
    in.push_back(bias ? m.variable({y.dims[y.ndim - 1]}) : CN_NONE);
    if (residual) in.push_back(cn_graph_ew1(&m.g, CN_EW_neg, cn_graph_input(&m.g, &y, "r")));
    return m.add(CN_OP_conv, in, a);
}

cn_id matmul(Graph& m, std::initializer_list<int64_t> x, std::initializer_list<int64_t> w, bool ta, bool tb, bool constant, bool bias, cn_act act = {CN_EW_copy, 0, 0, 0}) {
    cn_attr a = no_attr();
    a.matmul = {ta, tb, act};
    std::vector<cn_id> in = {m.input(x), constant ? m.variable(w) : m.input(w, "w")};
    cn_id plain = cn_graph_add(&m.g, CN_OP_matmul, in.data(), 2, &a);
    if (plain == CN_NONE) return plain;
    if (bias) in.push_back(m.variable({m.g.types[plain].dims[m.g.types[plain].ndim - 1]}));
    return m.add(CN_OP_matmul, in, a);
}

}  // namespace

TEST(Cpu, Convolutions) {
    expect_cases({
        {"3x3", [](Graph& m) { return conv(m, {2, 9, 11, 5}, {3, 3, 5, 7}, conv_attr(2, 1, 1, 1, 1, 1)); }},
        {"3x3 wide", [](Graph& m) { return conv(m, {1, 13, 7, 16}, {3, 3, 16, 70}, conv_attr(2, 1, 1, 1, 1, 1), false); }},
        {"stride 2", [](Graph& m) { return conv(m, {1, 10, 10, 3}, {3, 3, 3, 32}, conv_attr(2, 2, 1, 0, 1, 1)); }},
        {"7x7 stride 2", [](Graph& m) { return conv(m, {1, 20, 20, 3}, {7, 7, 3, 64}, conv_attr(2, 2, 1, 3, 3, 1)); }},
        {"1x1", [](Graph& m) { return conv(m, {1, 6, 6, 40}, {1, 1, 40, 33}, conv_attr(2, 1, 1, 0, 0, 1)); }},
        {"dilation", [](Graph& m) { return conv(m, {1, 12, 12, 4}, {3, 3, 4, 8}, conv_attr(2, 1, 2, 2, 2, 1)); }},
        {"groups", [](Graph& m) { return conv(m, {1, 8, 8, 12}, {3, 3, 4, 9}, conv_attr(2, 1, 1, 1, 1, 3)); }},
        {"depthwise", [](Graph& m) { return conv(m, {2, 9, 9, 20}, {3, 3, 1, 20}, conv_attr(2, 1, 1, 1, 1, 20)); }},
        {"depthwise stride", [](Graph& m) { return conv(m, {1, 9, 9, 33}, {5, 5, 1, 33}, conv_attr(2, 2, 1, 1, 2, 33)); }},
        {"depth multiplier", [](Graph& m) { return conv(m, {1, 9, 9, 6}, {3, 3, 1, 12}, conv_attr(2, 1, 1, 1, 1, 6)); }},
        {"1d causal", [](Graph& m) { return conv(m, {2, 15, 6}, {3, 6, 10}, conv_attr(1, 1, 2, 4, 0, 1)); }},
        {"3d", [](Graph& m) { return conv(m, {1, 5, 6, 7, 3}, {3, 3, 3, 3, 4}, conv_attr(3, 1, 1, 1, 1, 1)); }},
        {"padding beyond the kernel", [](Graph& m) { return conv(m, {1, 4, 4, 2}, {2, 2, 2, 3}, conv_attr(2, 1, 1, 4, 4, 1)); }},
        {"cells left over", [](Graph& m) { return conv(m, {1, 8, 8, 2}, {2, 2, 2, 3}, conv_attr(2, 3, 1, 0, 0, 1)); }},
        {"residual relu", [](Graph& m) { return conv(m, {1, 8, 8, 16}, {3, 3, 16, 16}, conv_attr(2, 1, 1, 1, 1, 1), true, true, {CN_EW_relu, 0, 0, 0}); }},
        {"residual depthwise", [](Graph& m) { return conv(m, {1, 8, 8, 16}, {3, 3, 1, 16}, conv_attr(2, 1, 1, 1, 1, 16), true, true, {CN_EW_relu6, 0, 0, 0}); }},
        {"residual gelu", [](Graph& m) { return conv(m, {1, 8, 8, 16}, {1, 1, 16, 48}, conv_attr(2, 1, 1, 0, 0, 1), true, true, {CN_EW_gelu, 0, 0, 0}); }},
    });
}

TEST(Cpu, EveryActivationBehindAConvAndAMatmul) {
    for (int fn = 0; fn < CN_EW_COUNT; fn++) {
        const cn_ew_info* info = cn_ew_info_of((cn_ew)fn);
        if (info->arity != 1 || info->bool_result || !strchr(info->domains, 'F')) continue;
        SCOPED_TRACE(info->name);
        Graph a, b;
        cn_act act = {(cn_ew)fn, 0.3, 0.9, 0.1};
        bool poles = fn == CN_EW_tan || fn == CN_EW_reciprocal || fn == CN_EW_rsqrt || fn == CN_EW_acosh || fn == CN_EW_atanh || fn == CN_EW_log ||
                     fn == CN_EW_log1p || fn == CN_EW_log2 || fn == CN_EW_log10 || fn == CN_EW_acos || fn == CN_EW_asin || fn == CN_EW_sqrt ||
                     fn == CN_EW_sign || fn == CN_EW_floor || fn == CN_EW_ceil || fn == CN_EW_trunc || fn == CN_EW_round || fn == CN_EW_hard_shrink || fn == CN_EW_threshold;
        if (poles) continue; // a rounding of the sum decides: these are tested alone
        expect_as_reference(a, conv(a, {1, 5, 5, 3}, {1, 1, 3, 20}, conv_attr(2, 1, 1, 0, 0, 1), true, false, act), 4e-6);
        expect_as_reference(b, matmul(b, {3, 8}, {8, 20}, false, false, true, true, act), 4e-6);
    }
}

TEST(Cpu, ConvTransposed) {
    for (int64_t stride : {1, 2, 3}) {
        for (int64_t crop : {0, 1}) {
            Graph m;
            expect_as_reference(m, m.add(CN_OP_conv_transpose, {m.input({2, 5, 4, 6}), m.variable({3, 4, 5, 6}), m.variable({5})}, conv_attr(2, stride, 1, crop, crop, 1)));
        }
    }
    Graph wide;
    expect_as_reference(wide, wide.add(CN_OP_conv_transpose, {wide.input({1, 5, 5, 2}), wide.variable({2, 2, 3, 2})}, conv_attr(2, 3, 1, 0, -2, 1)));
}

TEST(Cpu, Matmuls) {
    expect_cases({
        {"one row", [](Graph& m) { return matmul(m, {1, 100}, {100, 33}, false, false, true, true); }},
        {"rows", [](Graph& m) { return matmul(m, {37, 64}, {64, 65}, false, false, true, false, {CN_EW_relu, 0, 0, 0}); }},
        {"transposed weights", [](Graph& m) { return matmul(m, {5, 31}, {17, 31}, false, true, true, true); }},
        {"rank 3", [](Graph& m) { return matmul(m, {2, 7, 12}, {12, 9}, false, false, true, true); }},
        {"dynamic", [](Graph& m) { return matmul(m, {6, 8}, {8, 5}, false, false, false, false); }},
        {"dynamic, both transposed", [](Graph& m) { return matmul(m, {8, 6}, {5, 8}, true, true, false, false); }},
        {"batched", [](Graph& m) { return matmul(m, {2, 3, 6, 8}, {2, 3, 8, 5}, false, false, false, false); }},
        {"batched transposed", [](Graph& m) { return matmul(m, {2, 3, 6, 8}, {2, 3, 5, 8}, false, true, false, false); }},
        {"broadcast batch", [](Graph& m) { return matmul(m, {2, 3, 6, 8}, {3, 8, 5}, false, false, false, false); }},
        {"broadcast batch of a", [](Graph& m) { return matmul(m, {6, 8}, {3, 8, 5}, false, false, false, false); }},
        {"one column", [](Graph& m) { return matmul(m, {9, 40}, {40, 1}, false, false, true, true); }},
    });
}

TEST(Cpu, Pools) {
    for (cn_pool_kind kind : {CN_POOL_MAX, CN_POOL_AVG}) {
        expect_cases({
            {"2x2", [kind](Graph& m) { return m.add(CN_OP_pool, {m.input({2, 8, 9, 5})}, pool_attr(kind, 2, 2, 2, 0, 0)); }},
            {"3x3 padded", [kind](Graph& m) { return m.add(CN_OP_pool, {m.input({1, 9, 9, 20})}, pool_attr(kind, 2, 3, 2, 1, 1)); }},
            {"padded at the end", [kind](Graph& m) { return m.add(CN_OP_pool, {m.input({1, 8, 8, 3})}, pool_attr(kind, 2, 3, 2, 0, 1)); }},
            {"1d", [kind](Graph& m) { return m.add(CN_OP_pool, {m.input({2, 11, 4})}, pool_attr(kind, 1, 3, 1, 1, 1)); }},
            {"3d", [kind](Graph& m) { return m.add(CN_OP_pool, {m.input({1, 4, 6, 5, 2})}, pool_attr(kind, 3, 2, 1, 0, 0)); }},
            {"adaptive", [kind](Graph& m) { return m.add(CN_OP_adaptive_pool, {m.input({1, 7, 10, 3})}, pool_attr(kind, 2, 4, 1, 0, 0)); }},
        });
    }
}

TEST(Cpu, ElementwiseBroadcasts) {
    expect_cases({
        {"full", [](Graph& m) { return cn_graph_ew2(&m.g, CN_EW_add, m.input({3, 1000}), m.input({3, 1000}, "z")); }},
        {"channel", [](Graph& m) { return cn_graph_ew2(&m.g, CN_EW_mul, m.input({2, 9, 7, 48}), m.variable({48})); }},
        {"wide channel", [](Graph& m) { return cn_graph_ew2(&m.g, CN_EW_sub, m.input({3, 2500}), m.variable({2500})); }},
        {"scalar", [](Graph& m) { return cn_graph_ew2(&m.g, CN_EW_div, m.input({3, 1025}), cn_graph_scalar(&m.g, CORNU_FLOAT32, 3)); }},
        {"gate", [](Graph& m) { return cn_graph_ew2(&m.g, CN_EW_mul, m.input({2, 5, 5, 33}), m.input({2, 1, 1, 33}, "g")); }},
        {"column", [](Graph& m) { return cn_graph_ew2(&m.g, CN_EW_add, m.input({4, 600}), m.input({4, 1}, "c")); }},
        {"long column", [](Graph& m) { return cn_graph_ew2(&m.g, CN_EW_add, m.input({4, 1600}), m.input({4, 1}, "c")); }},
        {"outer", [](Graph& m) { return cn_graph_ew2(&m.g, CN_EW_sub, m.input({50, 1}), m.input({70}, "c")); }},
        {"middle", [](Graph& m) { return cn_graph_ew2(&m.g, CN_EW_sub, m.input({3, 4, 5, 6}), m.input({4, 1, 6}, "c")); }},
        {"rank 0", [](Graph& m) { return cn_graph_ew2(&m.g, CN_EW_add, m.input({}), m.input({}, "z")); }},
        {"bools", [](Graph& m) { return cn_graph_ew2(&m.g, CN_EW_lt, m.input({33}), m.input({33}, "z")); }},
        {"select", [](Graph& m) { cn_id x = m.input({5, 33}), z = m.input({33}, "z"); return cn_graph_select(&m.g, cn_graph_ew2(&m.g, CN_EW_lt, x, z), x, z); }},
    });
}

TEST(Cpu, Moves) {
    const auto transpose = [](std::initializer_list<int64_t> dims, std::vector<int> perm) {
        return [=](Graph& m) { return cn_graph_transpose(&m.g, m.input(dims), perm.data()); };
    };
    expect_cases({
        {"matrix", transpose({33, 50}, {1, 0})},
        {"nchw", transpose({2, 3, 17, 19}, {0, 2, 3, 1})},
        {"nhwc", transpose({2, 17, 19, 3}, {0, 3, 1, 2})},
        {"heads", transpose({2, 7, 4, 16}, {0, 2, 1, 3})},
        {"reversed", transpose({2, 3, 4, 5}, {3, 2, 1, 0})},
        {"pad", [](Graph& m) { const int64_t lo[] = {0, 1, 2, 0}, hi[] = {0, 3, 0, 1}; return cn_graph_pad(&m.g, m.input({2, 3, 4, 5}), lo, hi, -1.5); }},
        {"slice", [](Graph& m) { return cn_graph_slice_axis(&m.g, m.input({3, 8, 5}), 1, 2, 7); }},
        {"backwards", [](Graph& m) { cn_attr a = no_attr(); a.slice = {{2, 6, 0}, {-1, -2, 1}, {3, 3, 5}}; return m.add(CN_OP_slice, {m.input({3, 8, 5})}, a); }},
        {"broadcast", [](Graph& m) { const int64_t dims[] = {4, 3, 5}; return cn_graph_broadcast(&m.g, m.input({3, 1}), 3, dims); }},
        {"concat", [](Graph& m) { cn_id x[] = {m.input({2, 3, 4}), m.input({2, 1, 4}, "b"), m.input({2, 5, 4}, "c")}; return cn_graph_concat(&m.g, x, 3, 1); }},
    });
}

TEST(Cpu, ReductionsAndNorms) {
    for (uint32_t axes : {1u, 2u, 4u, 6u, 3u, 7u, 5u}) {
        for (cn_reduce_kind kind : {CN_REDUCE_SUM, CN_REDUCE_MEAN, CN_REDUCE_MAX, CN_REDUCE_MIN, CN_REDUCE_PROD}) {
            Graph m;
            expect_as_reference(m, cn_graph_reduce(&m.g, m.input({3, 35, 20}), kind, axes, kind == CN_REDUCE_SUM), 2e-6, 0.5f, 1.5f);
        }
        Graph soft, log;
        expect_as_reference(soft, cn_graph_softmax(&soft.g, soft.input({3, 35, 20}), axes), 2e-6, -8, 8);
        cn_attr a = no_attr();
        a.reduce.axes = axes;
        expect_as_reference(log, log.add(CN_OP_log_softmax, {log.input({3, 35, 20})}, a), 2e-6, -8, 8);
    }
    for (bool affine : {false, true}) {
        Graph layer, rms;
        cn_attr a = no_attr();
        a.norm.axes = 4;
        a.norm.epsilon = 1e-3;
        cn_id x = layer.input({3, 7, 100});
        expect_as_reference(layer, affine ? layer.add(CN_OP_layer_norm, {x, layer.variable({100}), layer.variable({100})}, a) : layer.add(CN_OP_layer_norm, {x}, a), 2e-6, 3, 5);
        x = rms.input({3, 7, 100});
        expect_as_reference(rms, affine ? rms.add(CN_OP_rms_norm, {x, rms.variable({100})}, a) : rms.add(CN_OP_rms_norm, {x}, a));
        for (cn_op op : {CN_OP_layer_norm, CN_OP_rms_norm}) {
            Graph sum;
            const cn_id gamma = affine ? sum.variable({100}) : CN_NONE,
                        beta = affine && op == CN_OP_layer_norm ? sum.variable({100}) : CN_NONE;
            x = sum.input({3, 7, 100});
            expect_as_reference(sum, sum.add(op, {x, gamma, beta, sum.input({3, 7, 100}, "y")}, a), 2e-6, 3, 5);
        }
    }
}

TEST(Cpu, GroupNorm) {
    for (int64_t groups : {1, 4, 20}) {
        Graph m;
        cn_attr a = no_attr();
        a.norm.groups = groups;
        a.norm.epsilon = 1e-3;
        expect_as_reference(m, m.add(CN_OP_group_norm, {m.input({2, 5, 7, 20}), m.variable({20}), m.variable({20})}, a), 2e-6, 1, 3);
    }
}

// Every kind of recurrent layer, for batches below, at and above the rows that run together.
TEST(Cpu, RecurrentLayers) {
    for (int kind : {0, 1, 2, 3}) {
        for (int64_t batch : {1, 4, 6, 8}) {
            for (bool sequences : {false, true}) {
                SCOPED_TRACE(std::to_string(kind) + " " + std::to_string(batch) + " " + std::to_string(sequences));
                Graph m;
                int64_t units = 11, gates = kind == 0 ? 1 : kind == 1 ? 4 : 3;
                cn_attr a = no_attr();
                a.rnn.kind = kind == 0 ? CN_RNN_SIMPLE : kind == 1 ? CN_RNN_LSTM : CN_RNN_GRU;
                a.rnn.act = {CN_EW_tanh, 0, 0, 0};
                a.rnn.gate = {CN_EW_sigmoid, 0, 0, 0};
                a.rnn.reset_after = kind == 3;
                a.rnn.sequences = sequences;
                a.rnn.backwards = batch == 4;
                a.rnn.zero_masked = batch == 6;
                cn_id z = m.input({batch, 5, gates * units});
                cn_id kernel = cn_graph_ew2(&m.g, CN_EW_mul, m.variable({units, gates * units}), cn_graph_scalar(&m.g, CORNU_FLOAT32, 0.3));
                cn_id mask = batch > 4 ? cn_graph_ew2(&m.g, CN_EW_gt, m.input({batch, 5}, "m"), cn_graph_scalar(&m.g, CORNU_FLOAT32, -0.3)) : CN_NONE;
                cn_id h = batch == 8 ? m.input({batch, units}, "h") : CN_NONE, c = batch == 8 && kind == 1 ? m.input({batch, units}, "c") : CN_NONE;
                cn_id bias = kind == 3 ? m.variable({gates * units}) : CN_NONE;
                expect_as_reference(m, m.add(CN_OP_rnn, {z, kernel, h, c, bias, mask}, a), 2e-6);
            }
        }
    }
}

TEST(Cpu, Attention) {
    for (int64_t queries : {1, 5, 6, 13}) {
        for (int mask : {0, 1, 2, 3}) {
            SCOPED_TRACE(std::to_string(queries) + " " + std::to_string(mask));
            Graph m;
            cn_attr a = no_attr();
            a.attention.scale = 0.4;
            a.attention.causal = mask == 3;
            a.attention.zero_rows = queries == 5;
            std::vector<cn_id> in = {m.input({2, 4, queries, 8}, "q"), m.input({2, 2, 37, 8}, "k"), m.input({2, 2, 37, 10}, "v")};
            cn_id limit = cn_graph_scalar(&m.g, CORNU_FLOAT32, queries == 13 ? 0.9 : -0.2);
            if (mask == 1) in.push_back(cn_graph_ew2(&m.g, CN_EW_gt, m.input({2, 1, 1, 37}, "m"), limit));
            if (mask == 2) in.push_back(cn_graph_ew2(&m.g, CN_EW_gt, m.input({2, 4, queries, 37}, "m"), limit));
            expect_as_reference(m, m.add(CN_OP_attention, in, a));
        }
    }
}

TEST(Cpu, Resizes) {
    for (cn_resize_kind kind : {CN_RESIZE_NEAREST, CN_RESIZE_BILINEAR, CN_RESIZE_BICUBIC}) {
        for (bool antialias : {false, true}) {
            for (int64_t size : {3, 7, 16}) {
                Graph m;
                cn_attr a = no_attr();
                a.resize = {kind, antialias, size, size + 1};
                expect_as_reference(m, m.add(CN_OP_resize, {m.input({2, 7, 9, 3})}, a));
            }
        }
    }
}

TEST(Cpu, AGatherOutOfRangeFailsTheRun) {
    Graph m;
    cn_id x = cn_graph_cast(&m.g, cn_graph_ew2(&m.g, CN_EW_add, m.input({3}), cn_graph_scalar(&m.g, CORNU_FLOAT32, 50)), CORNU_INT32);
    cn_graph_output(&m.g, cn_graph_gather(&m.g, m.variable({10, 4}), x, 0, CN_GATHER_CHECKED));
    cn_plan* plan = nullptr;
    ASSERT_EQ(cn_plan_create(&m.g, 64, &plan), CORNU_OK);
    for (const cn_backend* b : {&cn_backend_cpu, &cn_backend_reference}) {
        Weights weights(plan);
        cn_device_options options = {};
        cn_device* device = nullptr;
        cn_executable* e = nullptr;
        void* arena = nullptr;
        Floats in = {1, 2, 3}, out(12);
        const void* inputs[] = {in.data()};
        void* outputs[] = {out.data()};
        ASSERT_EQ(b->open(&options, &device), CORNU_OK);
        ASSERT_EQ(b->alloc(device, plan->arena_bytes, &arena), CORNU_OK);
        ASSERT_EQ(b->prepare(device, plan, &weights.base, &e), CORNU_OK);
        cn_run r = {inputs, outputs, arena, 0, 0};
        EXPECT_EQ(b->run(e, &r), CORNU_BAD_ARGUMENT);
        b->destroy(e);
        b->free(device, arena);
        b->close(device);
    }
    cn_plan_destroy(plan);
}

TEST(Cpu, ARunAllocatesNothing) {
    Graph m;
    cn_id y = conv(m, {4, 8, 8, 3}, {3, 3, 3, 8}, conv_attr(2, 1, 1, 1, 1, 1));
    y = cn_graph_softmax(&m.g, cn_graph_ew1(&m.g, CN_EW_tanh, y), 8);
    cn_graph_output(&m.g, y);
    cn_plan* plan = nullptr;
    ASSERT_EQ(cn_plan_create(&m.g, 64, &plan), CORNU_OK);
    {
        Weights weights(plan);
        cn_device_options options = {};
        cn_device* device = nullptr;
        cn_executable* e = nullptr;
        auto in = m.inputs();
        Floats out((size_t)cn_type_count(&m.g.types[y]));
        const void* inputs[] = {in[0].data()};
        void *outputs[] = {out.data()}, *arena = nullptr;
        ASSERT_EQ(cn_backend_cpu.open(&options, &device), CORNU_OK);
        ASSERT_EQ(cn_backend_cpu.alloc(device, plan->arena_bytes, &arena), CORNU_OK);
        ASSERT_EQ(cn_backend_cpu.prepare(device, plan, &weights.base, &e), CORNU_OK);
        cn_run r = {inputs, outputs, arena, 0, 0};
        uint64_t before = cn_alloc_count();
        EXPECT_EQ(cn_backend_cpu.run(e, &r), CORNU_OK);
        EXPECT_EQ(cn_alloc_count(), before);
        cn_backend_cpu.destroy(e);
        cn_backend_cpu.free(device, arena);
        cn_backend_cpu.close(device);
    }
    cn_plan_destroy(plan);
}

TEST(Cpu, EveryFailedAllocationIsToldAndNothingLeaks) {
    Graph m;
    cn_id y = conv(m, {1, 8, 8, 3}, {3, 3, 3, 8}, conv_attr(2, 1, 1, 1, 1, 1));
    cn_graph_output(&m.g, cn_graph_reduce(&m.g, cn_graph_ew1(&m.g, CN_EW_tanh, y), CN_REDUCE_MEAN, 6, false));
    cn_plan* plan = nullptr;
    ASSERT_EQ(cn_plan_create(&m.g, 64, &plan), CORNU_OK);
    Weights weights(plan);
    for (int i = 0; i < plan->constant_count; i++) (void)Weights::data(&weights.base, i);
    for (uint64_t n = 1; n < 200; n++) {
        cn_device_options options = {};
        cn_device* device = nullptr;
        cn_executable* e = nullptr;
        ASSERT_EQ(cn_backend_cpu.open(&options, &device), CORNU_OK);
        cn_alloc_fail_at(n, true);
        cornu_status st = cn_backend_cpu.prepare(device, plan, &weights.base, &e);
        cn_alloc_fail_at(0, false);
        if (e) cn_backend_cpu.destroy(e);
        cn_backend_cpu.close(device);
        if (st == CORNU_OK) {
            cn_plan_destroy(plan);
            return;
        }
        ASSERT_EQ(st, CORNU_NO_MEMORY) << n;
        ASSERT_EQ(e, nullptr);
    }
    FAIL() << "it never succeeds";
}

// Every function of ew.def on every set of loops that this machine runs, against the C library in double.
TEST(Loops, FunctionsAreAccurate) {
    std::vector<const cn_loops*> all = {&cn_loops_base, cn_loops_choose()};
    if (cn_loops_choose() == &cn_loops_avx512) all.push_back(&cn_loops_avx2);
    for (const cn_loops* loops : all) {
        for (int fn = 0; fn < CN_EW_COUNT; fn++) {
            const cn_ew_info* info = cn_ew_info_of((cn_ew)fn);
            if (!loops->ew[fn]) {
                EXPECT_TRUE(info->bool_result || info->arity == 3 || !strchr(info->domains, 'F')) << info->name;
                continue;
            }
            for (float range : {1.0f, 10.0f, 100.0f}) {
                SCOPED_TRACE(std::string(loops->name) + " " + info->name + " " + std::to_string(range));
                if (range > 1 && (fn == CN_EW_pow || fn == CN_EW_mod || fn == CN_EW_floor_div)) continue;
                Floats x = random_floats(1003, 5, -range, range), z = random_floats(1003, 6, -range, range);
                x[0] = 0, x[1] = -0.0f, x[2] = INFINITY, x[3] = -INFINITY, x[4] = NAN, x[5] = 1e-20f, x[6] = 88.7f, x[7] = -87.5f, x[8] = 1e-40f, x[9] = -95.0f;
                if (fn == CN_EW_mod || fn == CN_EW_floor_div) std::fill(x.begin(), x.begin() + 10, 0.5f);
                std::vector<char> got(1003 * 4), want(1003 * 4);
                cn_attr a = no_attr();
                a.ew = {(cn_ew)fn, 0.3, 0.9, 0.1};
                loops->ew[fn](1003, x.data(), z.data(), &a.ew, (float*)(void*)got.data());
                cn_type t = type_of({1003});
                const cn_type* types[] = {&t, &t};
                const void* in[] = {x.data(), z.data()};
                cn_ref_step step = {CN_OP_ew, &a, info->arity, types, in, &t, want.data(), 0, 0};
                ASSERT_EQ(cn_ref_run(&step), CORNU_OK);
                EXPECT_LE(difference(got, want), 5e-7);
            }
        }
    }
}

// What is not a number stays so through products, activations and pools.
TEST(Cpu, NanStaysNan) {
    for (cn_ew fn : {CN_EW_copy, CN_EW_relu, CN_EW_relu6, CN_EW_clip, CN_EW_leaky_relu, CN_EW_silu, CN_EW_sigmoid, CN_EW_gelu, CN_EW_tanh}) {
        for (int kind : {0, 1, 2}) {
            SCOPED_TRACE(std::string(cn_ew_info_of(fn)->name) + " " + std::to_string(kind));
            Graph m;
            cn_act act = {fn, fn == CN_EW_leaky_relu ? 0.1 : -0.5, 0.5, 0};
            cn_id y = kind == 0 ? conv(m, {1, 3, 3, 4}, {1, 1, 4, 20}, conv_attr(2, 1, 1, 0, 0, 1), true, false, act)
                    : kind == 1 ? matmul(m, {9, 4}, {4, 20}, false, false, true, true, act)
                                : conv(m, {1, 3, 3, 4}, {3, 3, 1, 4}, conv_attr(2, 1, 1, 1, 1, 4), true, false, act);
            cn_graph_output(&m.g, y);
            auto inputs = m.inputs();
            inputs[0][5] = NAN;
            EXPECT_LE(difference(run(m.g, cn_backend_cpu, inputs)[0], run(m.g, cn_backend_reference, inputs)[0]), 2e-6);
        }
    }
    for (cn_pool_kind kind : {CN_POOL_MAX, CN_POOL_AVG}) {
        Graph m;
        cn_graph_output(&m.g, m.add(CN_OP_pool, {m.input({1, 8, 8, 5})}, pool_attr(kind, 2, 3, 1, 1, 1)));
        auto inputs = m.inputs();
        inputs[0][77] = NAN;
        EXPECT_LE(difference(run(m.g, cn_backend_cpu, inputs)[0], run(m.g, cn_backend_reference, inputs)[0]), 2e-6) << kind;
    }
}
