// Precision: which products are rounded in which mode, and that they really are.
#include <algorithm>

#include "pass/pass.h"
#include "tests/backend/cuda_cases.h"

using namespace cuda_test;

namespace {

using Bytes = std::vector<std::vector<char>>;

Bytes run_in(const Graph& g, const std::vector<Floats>& inputs, cornu_precision precision) {
    run_graph::Options options;
    options.precision = precision;
    options.runs = 3;  // launched, captured, replayed
    return run_graph::run(g.g, cn_backend_cuda, inputs, options);
}

// y = x w, and z = tanh(y) v behind it where behind > 0.
struct Products : Case {
    explicit Products(cornu_dtype of) : Case(of) {}
    void make(int64_t rows, int64_t inner, int64_t columns, int64_t behind = 0) {
        cn_attr attr = run_graph::no_attr();
        cn_id x = input_of({rows, inner});
        cn_id y = node(CN_OP_matmul, {x, constant_of({inner, columns})}, attr);
        if (behind > 0) {
            cn_id h = cn_graph_ew1(&g, CN_EW_tanh, y);
            y = node(CN_OP_matmul, {h, constant_of({columns, behind})}, attr);
        }
        cn_graph_output(&g, y);
        ASSERT_EQ(cn_graph_status(&g), CORNU_OK) << cornu_last_error();
    }
};

// Whether the mode's bits are those of strict.
bool strict_bits(const Products& p, cornu_precision precision) { return run_in(p, p.data, precision) == run_in(p, p.data, CORNU_PRECISION_STRICT); }

TEST(CudaPrecision, LargeProductsRoundInTf32) {
    Products p(CORNU_FLOAT32);
    p.make(64, 256, 64);
    Bytes strict = run_in(p, p.data, CORNU_PRECISION_STRICT), rounded = run_in(p, p.data, CORNU_PRECISION_TF32);
    Bytes exact = run_graph::run(p.g, cn_backend_reference, p.data);
    EXPECT_LT(run_graph::difference(strict[0], exact[0]), 2e-6);
    EXPECT_GT(run_graph::difference(rounded[0], exact[0]), 2e-5) << "nothing was rounded";
    EXPECT_LT(run_graph::difference(rounded[0], exact[0]), 5e-4);
    EXPECT_EQ(run_in(p, p.data, CORNU_PRECISION_DEFAULT), rounded) << "2^20 multiplications";
}

// A library that knows no algorithm within the mask is asked again, in words that still forbid TF32.
TEST(CudaPrecision, StrictStaysStrictWhereTheMaskLeavesNothing) {
    const cn_plugin* plugin = nullptr;
    Products p(CORNU_FLOAT32);
    p.make(64, 256, 64);
    Bytes strict = run_in(p, p.data, CORNU_PRECISION_STRICT);
    ASSERT_EQ(cn_plugin_open(&plugin), CORNU_OK) << cornu_last_error();
    plugin->inject("Lt.MatmulAlgoGetHeuristic", 1, 15 /* CUBLAS_STATUS_NOT_SUPPORTED */, false);
    Bytes again = run_in(p, p.data, CORNU_PRECISION_STRICT);
    EXPECT_EQ(plugin->inject(nullptr, 0, 0, false), 2);
    EXPECT_LT(run_graph::difference(again[0], strict[0]), 2e-6);  // another algorithm's sums may have another order, but no TF32
}

TEST(CudaPrecision, WhatDefaultLeavesStrict) {
    struct {
        int64_t rows, inner, columns, behind;
        bool strict;
        const char* what;
    } cases[] = {
        {64, 256, 63, 0, true, "below 2^20 multiplications"},
        {16, 1024, 64, 0, true, "few rows"},
        {17, 1024, 64, 0, false, "more rows"},
        {512, 256, 16, 0, true, "an output head"},
        {512, 256, 17, 0, false, "a wide output"},
        {512, 256, 16, 3, false, "narrow, but another product follows"},
    };
    for (auto& c : cases) {
        Products p(CORNU_FLOAT32);
        p.make(c.rows, c.inner, c.columns, c.behind);
        EXPECT_EQ(strict_bits(p, CORNU_PRECISION_DEFAULT), c.strict) << c.what;
        EXPECT_FALSE(strict_bits(p, CORNU_PRECISION_TF32)) << c.what;
    }
}

// Elements of other dtypes are multiplied as they are, whatever the mode.
TEST(CudaPrecision, OtherDtypesKeepTheirBits) {
    for (cornu_dtype dtype : {CORNU_FLOAT64, CORNU_FLOAT16, CORNU_BFLOAT16}) {
        Products p(dtype);
        p.make(32, 600, 64);
        EXPECT_TRUE(strict_bits(p, CORNU_PRECISION_TF32)) << dtype;
        EXPECT_TRUE(strict_bits(p, CORNU_PRECISION_DEFAULT)) << dtype;
    }
}

// A convolution that is a product of matrices: TF32 by default, however small it is.
TEST(CudaPrecision, ConvolutionsRoundByDefault) {
    Case c(CORNU_FLOAT32);
    cn_attr attr = run_graph::conv_attr(2, 1, 1, 0, 0, 1);
    cn_graph_output(&c.g, c.node(CN_OP_conv, {c.input_of({2, 7, 5, 40}), c.constant_of({1, 1, 40, 12})}, attr));
    ASSERT_EQ(cn_graph_status(&c.g), CORNU_OK) << cornu_last_error();
    Bytes strict = run_in(c, c.data, CORNU_PRECISION_STRICT), rounded = run_in(c, c.data, CORNU_PRECISION_DEFAULT);
    EXPECT_NE(strict, rounded);
    EXPECT_EQ(rounded, run_in(c, c.data, CORNU_PRECISION_TF32));
    EXPECT_LT(run_graph::difference(rounded[0], strict[0]), 5e-4);
}

// One encoder block and a head over variables; up to ten layers.
struct Encoder : Graph {
    cn_id dense(cn_id x, int64_t columns) {
        cn_id small = cn_graph_ew2(&g, CN_EW_mul, variable({g.types[x].dims[g.types[x].ndim - 1], columns}), cn_graph_scalar(&g, CORNU_FLOAT32, 0.1));
        return cn_graph_matmul(&g, x, small, false, false);
    }
    cn_id norm(cn_id x) {
        cn_attr attr = run_graph::no_attr();
        int64_t width = g.types[x].dims[2];
        attr.norm.axes = 4;
        attr.norm.epsilon = 1e-5;
        return add(CN_OP_layer_norm, {x, variable({width}), variable({width})}, attr);
    }
    cn_id heads(cn_id x, int64_t count) {
        const cn_type t = g.types[x];
        const int64_t split[] = {t.dims[0], t.dims[1], count, t.dims[2] / count};
        const int perm[] = {0, 2, 1, 3};
        return cn_graph_transpose(&g, cn_graph_reshape(&g, x, 4, split), perm);
    }
    void make(int64_t tokens, int64_t width) {
        cn_attr attention = run_graph::no_attr();
        const int perm[] = {0, 2, 1, 3};
        const int64_t joined[] = {2, tokens, width};
        cn_id x = norm(input({2, tokens, width}));
        attention.attention.scale = 0.25;
        cn_id y = add(CN_OP_attention, {heads(dense(x, width), 4), heads(dense(x, width), 4), heads(dense(x, width), 4)}, attention);
        y = dense(cn_graph_reshape(&g, cn_graph_transpose(&g, y, perm), 3, joined), width);
        x = norm(cn_graph_ew2(&g, CN_EW_add, x, y));
        y = dense(cn_graph_ew1(&g, CN_EW_gelu, dense(x, 4 * width)), width);
        x = norm(cn_graph_ew2(&g, CN_EW_add, x, y));
        cn_graph_output(&g, dense(x, 48));
        cn_graph_output(&g, cn_graph_softmax(&g, dense(cn_graph_reduce(&g, x, CN_REDUCE_MEAN, 2, false), 10), 2));
        ASSERT_EQ(cn_graph_status(&g), CORNU_OK) << cornu_last_error();
    }
};

TEST(CudaPrecision, AnEncoderInEveryMode) {
    const struct {
        cornu_precision precision;
        double tolerance, least; // of the first output: within, and visibly rounded
    } modes[] = {{CORNU_PRECISION_STRICT, 1e-5, 0}, {CORNU_PRECISION_DEFAULT, 1e-3, 0}, {CORNU_PRECISION_TF32, 1e-3, 2e-5},
                 {CORNU_PRECISION_FP16, 2e-3, 1e-4}, {CORNU_PRECISION_BF16, 1e-2, 1e-3}};
    Bytes want;
    for (auto& mode : modes) {
        Encoder m;
        m.make(19, 32);
        auto inputs = m.inputs();
        if (want.empty()) want = run_graph::run(m.g, cn_backend_reference, inputs);
        ASSERT_EQ(cn_pass_run(&m.g, nullptr), CORNU_OK) << cornu_last_error();
        if (mode.precision >= CORNU_PRECISION_BF16) {
            ASSERT_EQ(cn_pass_narrow(&m.g, mode.precision == CORNU_PRECISION_BF16 ? CORNU_BFLOAT16 : CORNU_FLOAT16), CORNU_OK) << cornu_last_error();
        }
        Bytes got = run_in(m, inputs, mode.precision);
        for (size_t o = 0; o < got.size(); o++) {
            EXPECT_LT(run_graph::difference(got[o], want[o]), mode.tolerance) << "mode " << mode.precision << " output " << o;
        }
        EXPECT_GE(run_graph::difference(got[0], want[0]), mode.least) << "mode " << mode.precision;
    }
}

// A narrowed graph is one graph: the device makes of it what the reference makes of it, up to the order of sums and the halves' last place.
TEST(CudaPrecision, NarrowedGraphsAreThoseOfTheReference) {
    for (cornu_dtype half : {CORNU_FLOAT16, CORNU_BFLOAT16}) {
        Encoder m;
        m.make(7, 16);
        auto inputs = m.inputs();
        ASSERT_EQ(cn_pass_run(&m.g, nullptr), CORNU_OK) << cornu_last_error();
        ASSERT_EQ(cn_pass_narrow(&m.g, half), CORNU_OK) << cornu_last_error();
        Bytes got = run_in(m, inputs, CORNU_PRECISION_STRICT), want = run_graph::run(m.g, cn_backend_reference, inputs);
        for (size_t o = 0; o < got.size(); o++) EXPECT_LT(run_graph::difference(got[o], want[o]), half == CORNU_FLOAT16 ? 1e-3 : 6e-3) << o;
    }
}

}  // namespace
