// Decompositions against the references of the ops that they replace.
#include "graph/decompose.h"

#include "../backend/run_graph.h"
#include "base/dtype.h"

using namespace run_graph;

namespace {

// Between primitives every value is rounded to float32, by half a unit of 2^-23. A decomposition rounds an element at most about this often
// in a row; the norm of the difference then stays below the sum of the roundings.
constexpr int kRoundings = 16;
constexpr double kTolerance = kRoundings * 0x1p-24;

bool is_plain(const cn_node& node) {
    if (node.op != CN_OP_matmul) return cn_op_form_of(node.op) != CN_FORM_COMPOSITE;
    for (int k = 2; k < node.input_count; k++) {
        if (node.inputs[k] != CN_NONE) return false;
    }
    return node.attr.matmul.act.fn == CN_EW_copy;
}

void expect_same(const cn_graph& g, const std::vector<Floats>& inputs, double tolerance = kTolerance) {
    cn_graph parts;
    ASSERT_EQ(cn_graph_status(&g), CORNU_OK) << cornu_last_error();
    ASSERT_EQ(cn_graph_decompose(&g, nullptr, nullptr, &parts), CORNU_OK) << cornu_last_error();
    ASSERT_EQ(cn_graph_verify(&parts), CORNU_OK) << cornu_last_error();
    for (int i = 0; i < parts.count; i++) EXPECT_TRUE(is_plain(parts.nodes[i])) << cn_op_info_of(parts.nodes[i].op)->name;
    ASSERT_EQ(parts.output_count, g.output_count);
    auto want = run(g, cn_backend_reference, inputs), got = run(parts, cn_backend_reference, inputs);
    for (int i = 0; i < g.output_count; i++) {
        ASSERT_TRUE(cn_type_equal(&g.types[g.outputs[i]], &parts.types[parts.outputs[i]]));
        if (g.types[g.outputs[i]].dtype == CORNU_FLOAT32) EXPECT_LE(difference(got[(size_t)i], want[(size_t)i]), tolerance);
        else EXPECT_EQ(got[(size_t)i], want[(size_t)i]);
    }
    cn_graph_deinit(&parts);
}

void expect_same(const Graph& g, unsigned seed = 1, double tolerance = kTolerance) { expect_same(g.g, g.inputs(seed, -2, 2), tolerance); }

// A bool value of dims, true for the share of the elements.
cn_id mask_of(Graph& g, std::initializer_list<int64_t> dims, double share) {
    return cn_graph_ew2(&g.g, CN_EW_lt, g.input(dims, "mask"), cn_graph_scalar(&g.g, CORNU_FLOAT32, share * 4 - 2));
}

cn_id integers(Graph& g, std::initializer_list<int64_t> dims, cornu_dtype dtype, double most) {
    return cn_graph_cast(&g.g, cn_graph_act(&g.g, {CN_EW_affine, most / 2, cn_dtype_kind_of(dtype) == CN_KIND_U ? most : 0, 0}, g.input(dims)), dtype);
}

TEST(Decompose, Softmax) {
    for (uint32_t axes : {1u, 2u, 4u, 6u, 7u, 0u}) {
        Graph g;
        cn_attr a = no_attr();
        a.reduce.axes = axes;
        cn_id x = g.input({3, 4, 5});
        cn_graph_output(&g.g, g.add(CN_OP_softmax, {x}, a));
        cn_graph_output(&g.g, g.add(CN_OP_log_softmax, {x}, a));
        expect_same(g, axes + 1);
    }
}

TEST(Decompose, SoftmaxOfInfinities) {
    Graph g;
    cn_attr a = no_attr();
    a.reduce.axes = 2;
    cn_graph_output(&g.g, g.add(CN_OP_softmax, {g.input({4, 3})}, a));
    expect_same(g.g, {{INFINITY, 1, 2, -INFINITY, 1, 2, -INFINITY, -INFINITY, -INFINITY, NAN, 1, 2}});
}

TEST(Decompose, Norms) {
    for (int parameters = 0; parameters < 4; parameters++) {
        cn_id none = CN_NONE;
        bool gamma = parameters & 1, beta = parameters & 2;
        for (int axis = 0; axis < 3; axis++) {
            Graph g;
            cn_attr a = no_attr();
            a.norm.axes = 1u << axis;
            a.norm.epsilon = 1e-3;
            int64_t n = 3 + axis;
            cn_id x = g.input({3, 4, 5});
            cn_graph_output(&g.g, g.add(CN_OP_batch_norm, {x, g.variable({n}), g.variable({n}), gamma ? g.variable({n}) : none, beta ? g.variable({n}) : none}, a));
            expect_same(g);
        }
        for (uint32_t axes : {1u, 2u, 4u, 5u, 6u, 7u}) {
            for (bool no_center : {false, true}) {
                Graph g;
                cn_attr a = no_attr();
                a.norm.axes = axes;
                a.norm.epsilon = 1e-5;
                a.norm.no_center = no_center;
                auto parameter = [&] { return g.variable({axes & 1 ? 3 : 1, axes & 2 ? 4 : 1, axes & 4 ? 5 : 1}); };
                cn_id x = g.input({3, 4, 5}), y = gamma ? parameter() : none, z = beta ? parameter() : none;
                cn_graph_output(&g.g, g.add(CN_OP_layer_norm, {x, y, z}, a));
                cn_graph_output(&g.g, g.add(CN_OP_rms_norm, {x, y}, a));
                const cn_id residual = g.input({3, 4, 5}, "residual");
                cn_graph_output(&g.g, g.add(CN_OP_layer_norm, {x, y, z, residual}, a));
                cn_graph_output(&g.g, g.add(CN_OP_rms_norm, {x, y, none, residual}, a));
                expect_same(g, axes);
            }
        }
        for (int64_t groups : {1, 2, 3, 6}) {
            Graph g;
            cn_attr a = no_attr();
            a.norm.groups = groups;
            a.norm.epsilon = 1e-3;
            cn_id y = gamma ? g.variable({6}) : none, z = beta ? g.variable({6}) : none;
            cn_graph_output(&g.g, g.add(CN_OP_group_norm, {g.input({2, 3, 4, 6}), y, z}, a));
            if (groups < 6) cn_graph_output(&g.g, g.add(CN_OP_group_norm, {g.input({2, 6}), y, z}, a));
            expect_same(g, (unsigned)groups);
        }
    }
}

TEST(Decompose, MatmulEpilogues) {
    for (int form = 0; form < 16; form++) {
        Graph g;
        cn_attr a = no_attr();
        a.matmul.transpose_a = form & 1;
        a.matmul.transpose_b = form & 2;
        if (form & 4) a.matmul.act = {CN_EW_leaky_relu, 0.25, 0, 0};
        cn_id x = form & 1 ? g.input({2, 6, 4}) : g.input({2, 4, 6}), k = form & 2 ? g.variable({5, 6}) : g.variable({6, 5});
        cn_graph_output(&g.g, g.add(CN_OP_matmul, {x, k, form & 8 ? g.variable({5}) : CN_NONE, form & 4 ? g.input({2, 4, 5}) : CN_NONE}, a));
        expect_same(g, (unsigned)form);
    }
    Graph g;
    cn_id x = integers(g, {3, 4}, CORNU_INT32, 100);
    cn_graph_output(&g.g, cn_graph_matmul(&g.g, x, x, false, true));
    expect_same(g);
}

TEST(Decompose, Convolutions) {
    struct Case {
        int64_t stride, dilation, lo, hi, groups, channels, filters;
    };
    const Case cases[] = {{1, 1, 0, 0, 1, 3, 4}, {2, 1, 1, 0, 1, 2, 5}, {1, 2, 2, 1, 2, 4, 6}, {3, 2, 0, 3, 1, 1, 1},
                          {1, 1, 1, 1, 4, 4, 4}, {2, 1, 1, 1, 4, 4, 8}, {1, 1, -1, -1, 1, 2, 2}};
    for (int spatial = 1; spatial <= 3; spatial++) {
        for (const Case& c : cases) {
            for (int epilogue = 0; epilogue < 3; epilogue++) {
                Graph g;
                cn_attr a = conv_attr(spatial, c.stride, c.dilation, c.lo, c.hi, c.groups);
                std::vector<int64_t> image = {2, 7, 6, 8}, kernel = {3, 2, 2};
                cn_type x = type_of({2}), k = type_of({});
                for (int d = 0; d < spatial; d++) x.dims[x.ndim++] = image[(size_t)d + 1], k.dims[k.ndim++] = kernel[(size_t)d];
                x.dims[x.ndim++] = c.channels;
                k.dims[k.ndim++] = c.channels / c.groups;
                k.dims[k.ndim++] = c.filters;
                if (epilogue) a.conv.act = {CN_EW_tanh, 0, 0, 0};
                cn_id image_in = cn_graph_input(&g.g, &x, "x"), kernel_in = cn_graph_variable(&g.g, &k, g.next_slot++, "k");
                cn_id bias = epilogue ? g.variable({c.filters}) : CN_NONE, residual = CN_NONE;
                if (epilogue == 2) {
                    cn_id first = g.add(CN_OP_conv, {image_in, kernel_in}, a);
                    ASSERT_NE(first, CN_NONE) << cornu_last_error();
                    cn_type t = g.g.types[first];
                    residual = cn_graph_input(&g.g, &t, "r");
                }
                cn_graph_output(&g.g, g.add(CN_OP_conv, {image_in, kernel_in, bias, residual}, a));
                expect_same(g);
            }
        }
    }
}

TEST(Decompose, TransposedConvolutions) {
    struct Case {
        int64_t stride, dilation, lo, hi;
    };
    const Case cases[] = {{1, 1, 0, 0}, {2, 1, 0, 0}, {2, 1, 1, 0}, {3, 1, 1, 1}, {1, 2, 1, 2}, {2, 2, 2, 1}, {2, 1, 0, -2}, {3, 1, 3, -1}, {4, 1, 2, 2}};
    for (int spatial = 1; spatial <= 3; spatial++) {
        for (const Case& c : cases) {
            Graph g;
            cn_attr a = conv_attr(spatial, c.stride, c.dilation, c.lo, c.hi, 1);
            std::vector<int64_t> image = {5, 3, 4}, kernel = {3, 2, 2};
            cn_type x = type_of({2}), k = type_of({});
            for (int d = 0; d < spatial; d++) x.dims[x.ndim++] = image[(size_t)d], k.dims[k.ndim++] = kernel[(size_t)d];
            x.dims[x.ndim++] = 3;
            k.dims[k.ndim++] = 4;
            k.dims[k.ndim++] = 3;
            cn_id in = cn_graph_input(&g.g, &x, "x"), weights = cn_graph_variable(&g.g, &k, g.next_slot++, "k");
            cn_graph_output(&g.g, g.add(CN_OP_conv_transpose, {in, weights}, a));
            a.conv.act = {CN_EW_sigmoid, 0, 0, 0};
            cn_graph_output(&g.g, g.add(CN_OP_conv_transpose, {in, weights, g.variable({4})}, a));
            expect_same(g);
        }
    }
}

TEST(Decompose, Pools) {
    for (cn_pool_kind kind : {CN_POOL_MAX, CN_POOL_AVG}) {
        for (cornu_dtype dtype : {CORNU_FLOAT32, CORNU_INT8, CORNU_UINT8, CORNU_INT64, CORNU_BOOL}) {
            for (int form = 0; form < 5; form++) {
                Graph g;
                int64_t window = form + 1, stride = form % 3 + 1, lo = form / 2, hi = form / 3;
                auto value = [&](std::initializer_list<int64_t> dims) {
                    return dtype == CORNU_FLOAT32 ? g.input(dims) : dtype == CORNU_BOOL ? mask_of(g, dims, 0.5) : integers(g, dims, dtype, 100);
                };
                cn_graph_output(&g.g, g.add(CN_OP_pool, {value({2, 9, 3})}, pool_attr(kind, 1, window, stride, lo, hi)));
                cn_graph_output(&g.g, g.add(CN_OP_pool, {value({2, 6, 7, 3})}, pool_attr(kind, 2, window, stride, lo, hi)));
                cn_graph_output(&g.g, g.add(CN_OP_pool, {value({1, 5, 6, 5, 2})}, pool_attr(kind, 3, window, stride, lo, hi)));
                cn_attr sizes = pool_attr(kind, 2, 1, 1, 0, 0);
                sizes.pool.window[0] = form + 1;
                sizes.pool.window[1] = 9 - form;
                cn_graph_output(&g.g, g.add(CN_OP_adaptive_pool, {value({2, 7, 5, 3})}, sizes));
                cn_graph_output(&g.g, g.add(CN_OP_adaptive_pool, {value({2, 7, 3})}, pool_attr(kind, 1, form + 2, 1, 0, 0)));
                cn_graph_output(&g.g, g.add(CN_OP_adaptive_pool, {value({1, 5, 4, 3, 2})}, pool_attr(kind, 3, form + 1, 1, 0, 0)));
                expect_same(g, (unsigned)form);
            }
        }
    }
}

TEST(Decompose, PoolsLetNaNThroughWhereItIs) {
    for (cn_pool_kind kind : {CN_POOL_MAX, CN_POOL_AVG}) {
        Graph g;
        cn_id x = g.input({1, 6, 1});
        cn_graph_output(&g.g, g.add(CN_OP_pool, {x}, pool_attr(kind, 1, 2, 2, 0, 0)));
        cn_graph_output(&g.g, g.add(CN_OP_adaptive_pool, {x}, pool_attr(kind, 1, 4, 1, 0, 0)));
        expect_same(g.g, {{1, NAN, 2, INFINITY, 3, -INFINITY}});
    }
}

TEST(Decompose, Resize) {
    for (int kind = CN_RESIZE_NEAREST; kind <= CN_RESIZE_AREA; kind++) {
        for (bool antialias : {false, true}) {
            for (auto size : {std::pair<int64_t, int64_t>{3, 4}, {9, 11}, {7, 5}, {1, 13}}) {
                Graph g;
                cn_attr a = no_attr();
                a.resize = {(cn_resize_kind)kind, antialias, size.first, size.second};
                cn_graph_output(&g.g, g.add(CN_OP_resize, {g.input({2, 7, 5, 3})}, a));
                expect_same(g, (unsigned)kind);
            }
        }
    }
}

TEST(Decompose, FusedPrograms) {
    Graph g;
    cn_fused_op ops[] = {{{CN_EW_affine, 2, 1, 0}, {0, 0}}, {{CN_EW_mul, 0, 0, 0}, {3, 1}}, {{CN_EW_sigmoid, 0, 0, 0}, {4, 0}}, {{CN_EW_sub, 0, 0, 0}, {5, 0}}};
    cn_attr a = no_attr();
    a.fused.count = 4;
    a.fused.ops = ops;
    cn_id x = g.input({4, 5}), y = g.input({5}), wide = g.input({3, 1, 1});
    cn_graph_output(&g.g, g.add(CN_OP_fused, {x, y, wide}, a));
    expect_same(g);
}

TEST(Decompose, RunningSumsAndProducts) {
    for (int axis = 0; axis < 3; axis++) {
        for (bool product : {false, true}) {
            Graph g;
            cn_attr a = no_attr();
            a.cumulative.axis = axis;
            a.cumulative.product = product;
            cn_graph_output(&g.g, g.add(CN_OP_cumulative, {g.input({3, 13, 1})}, a));
            cn_graph_output(&g.g, g.add(CN_OP_cumulative, {integers(g, {5, 8, 3}, CORNU_INT8, 20)}, a));
            cn_graph_output(&g.g, g.add(CN_OP_cumulative, {integers(g, {5, 8, 3}, CORNU_INT64, 20)}, a));
            cn_graph_output(&g.g, g.add(CN_OP_cumulative, {mask_of(g, {5, 8, 3}, product ? 0.9 : 0.1)}, a));
            expect_same(g, (unsigned)axis);
        }
    }
    Graph g;
    cn_attr a = no_attr();
    cn_graph_output(&g.g, g.add(CN_OP_cumulative, {g.input({5})}, a));
    expect_same(g.g, {{1, 2, INFINITY, 3, NAN}});
}

TEST(Decompose, IndexOfTheLargest) {
    for (int form = 0; form < 12; form++) {
        Graph g;
        cn_attr a = no_attr();
        a.arg = {form % 3, (form / 3) % 2 == 0, form / 6 == 1};
        cn_graph_output(&g.g, g.add(CN_OP_arg, {g.input({4, 5, 6})}, a));
        cn_graph_output(&g.g, g.add(CN_OP_arg, {integers(g, {4, 5, 6}, CORNU_INT32, 2)}, a));
        cn_graph_output(&g.g, g.add(CN_OP_arg, {mask_of(g, {4, 5, 6}, 0.5)}, a));
        expect_same(g, (unsigned)form);
    }
    Graph g;
    cn_attr a = no_attr();
    a.arg = {1, true, false};
    cn_graph_output(&g.g, g.add(CN_OP_arg, {g.input({4, 3})}, a));
    expect_same(g.g, {{1, NAN, NAN, -0.0f, 0.0f, -1, -INFINITY, -INFINITY, -INFINITY, INFINITY, NAN, 1}});
}

TEST(Decompose, RecurrentLayers) {
    for (int form = 0; form < 96; form++) {
        Graph g;
        cn_attr a = no_attr();
        a.rnn.kind = (cn_rnn_kind)(form % 3);
        a.rnn.reset_after = a.rnn.kind == CN_RNN_GRU && form & 1;
        a.rnn.act = {CN_EW_tanh, 0, 0, 0};
        a.rnn.gate = {CN_EW_sigmoid, 0, 0, 0};
        a.rnn.backwards = form / 3 & 1;
        a.rnn.sequences = form / 6 & 1;
        a.rnn.zero_masked = form / 12 & 1;
        int64_t units = 4, width = units * cn_rnn_gates(a.rnn.kind);
        bool states = form / 24 & 1, masked = form / 48 & 1;
        cn_id z = g.input({2, 5, width}), kernel = g.input({units, width}, "k"), h = states ? g.input({2, units}) : CN_NONE;
        cn_id c = states && a.rnn.kind == CN_RNN_LSTM ? g.input({2, units}) : CN_NONE;
        cn_id bias = a.rnn.reset_after ? g.input({width}) : CN_NONE, mask = masked ? mask_of(g, {2, 5}, 0.6) : CN_NONE;
        cn_graph_output(&g.g, g.add(CN_OP_rnn, {z, kernel, h, c, bias, mask}, a));
        expect_same(g.g, g.inputs((unsigned)form));
    }
}

TEST(Decompose, Attention) {
    for (int form = 0; form < 32; form++) {
        Graph g;
        cn_attr a = no_attr();
        a.attention = {0.5, (form & 1) != 0, (form & 2) != 0};
        int64_t heads = form & 4 ? 2 : 4;
        cn_id q = g.input({2, 4, 5, 3}, "q"), k = g.input({2, heads, 6, 3}, "k"), v = g.input({2, heads, 6, 2}, "v"), mask = CN_NONE;
        if (form / 8 == 1) mask = mask_of(g, {2, 1, 1, 6}, 0.5);
        if (form / 8 == 2) mask = mask_of(g, {2, 4, 5, 6}, 0.2);
        if (form / 8 == 3) mask = mask_of(g, {1, 1, 5, 1}, 0.5);
        cn_graph_output(&g.g, g.add(CN_OP_attention, {q, k, v, mask}, a));
        expect_same(g, (unsigned)form);
    }
}

TEST(Decompose, HalfTypesAreComputedInFloat32) {
    for (cornu_dtype dtype : {CORNU_FLOAT16, CORNU_BFLOAT16}) {
        Graph g;
        cn_attr a = no_attr();
        a.norm.axes = 2;
        a.norm.epsilon = 1e-3;
        cn_id x = cn_graph_cast(&g.g, g.input({4, 50}), dtype);
        cn_graph_output(&g.g, cn_graph_cast(&g.g, g.add(CN_OP_layer_norm, {x}, a), CORNU_FLOAT32));
        cn_graph_output(&g.g, cn_graph_cast(&g.g, cn_graph_softmax(&g.g, x, 2), CORNU_FLOAT32));
        // Both round once, at the end; where float32 falls on the other side of a tie they differ by one unit.
        expect_same(g.g, g.inputs(3), dtype == CORNU_FLOAT16 ? 0x1p-11 : 0x1p-8);
    }
}

TEST(Decompose, EmptyResults) {
    Graph g;
    cn_attr a = no_attr();
    a.reduce.axes = 2;
    cn_graph_output(&g.g, g.add(CN_OP_softmax, {g.input({3, 0})}, a));
    cn_graph_output(&g.g, g.add(CN_OP_conv, {g.input({0, 5, 2}), g.variable({3, 2, 4})}, conv_attr(1, 1, 1, 0, 0, 1)));
    expect_same(g);
}

TEST(Decompose, KeepsWhatItIsTold) {
    Graph g;
    cn_graph parts;
    cn_id x = g.input({3, 4});
    cn_attr a = no_attr();
    a.reduce.axes = 2;
    cn_graph_output(&g.g, cn_graph_softmax(&g.g, x, 2));
    cn_graph_output(&g.g, g.add(CN_OP_log_softmax, {x}, a));
    ASSERT_EQ(cn_graph_decompose(&g.g, [](void*, cn_op op) { return op == CN_OP_softmax; }, nullptr, &parts), CORNU_OK);
    int softmax = 0;
    for (int i = 0; i < parts.count; i++) {
        softmax += parts.nodes[i].op == CN_OP_softmax;
        EXPECT_NE(parts.nodes[i].op, CN_OP_log_softmax);
    }
    EXPECT_EQ(softmax, 1);
    cn_graph_deinit(&parts);
}

TEST(Decompose, RefusesToUnrollWithoutEnd) {
    Graph g;
    cn_graph parts;
    cn_attr a = no_attr();
    a.rnn.act = {CN_EW_tanh, 0, 0, 0};
    cn_graph_output(&g.g, g.add(CN_OP_rnn, {g.input({1, 1000000, 1}), g.variable({1, 1})}, a));
    EXPECT_EQ(cn_graph_decompose(&g.g, nullptr, nullptr, &parts), CORNU_UNSUPPORTED);
    cn_graph_deinit(&parts);
}

TEST(Decompose, LacksMemory) {
    Graph g;
    cn_attr a = no_attr();
    a.resize = {CN_RESIZE_BICUBIC, false, 3, 3};
    cn_id x = g.add(CN_OP_resize, {g.input({1, 5, 5, 2})}, a);
    x = g.add(CN_OP_conv, {x, g.variable({2, 2, 2, 2})}, conv_attr(2, 1, 1, 1, 1, 1));
    x = g.add(CN_OP_pool, {x}, pool_attr(CN_POOL_AVG, 2, 2, 1, 0, 0));
    cn_attr r = no_attr();
    r.rnn.kind = CN_RNN_GRU;
    r.rnn.act = r.rnn.gate = {CN_EW_tanh, 0, 0, 0};
    const int64_t dims[] = {1, 3, 6};
    cn_graph_output(&g.g, g.add(CN_OP_rnn, {cn_graph_reshape(&g.g, x, 3, dims), g.variable({2, 6})}, r));
    ASSERT_EQ(cn_graph_status(&g.g), CORNU_OK) << cornu_last_error();
    cornu_status st = CORNU_NO_MEMORY;
    for (uint64_t n = 1; st != CORNU_OK && n < 500; n++) {
        cn_graph parts;
        cn_alloc_fail_at(n, false);
        st = cn_graph_decompose(&g.g, nullptr, nullptr, &parts);
        cn_alloc_fail_at(0, false);
        EXPECT_TRUE(st == CORNU_OK || st == CORNU_NO_MEMORY) << n << ": " << cornu_last_error();
        cn_graph_deinit(&parts);
    }
    EXPECT_EQ(st, CORNU_OK);
}

}  // namespace
