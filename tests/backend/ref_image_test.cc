// The reference's convolutions, pools, resizes and moves against numbers worked out by hand or by an independent program.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "backend/cpu/ref.h"

namespace {

typedef std::vector<int64_t> Dims;

cn_type type_of(cornu_dtype dtype, const Dims& dims) {
    cn_type t{};
    t.dtype = dtype;
    t.ndim = (int)dims.size();
    for (size_t i = 0; i < dims.size(); i++) t.dims[i] = dims[i];
    return t;
}

template <typename T>
struct Tensor {
    Dims dims;
    std::vector<T> data;
};
typedef Tensor<float> F;

// Infers and runs one op on inputs of one dtype; the result's shape must be as expected.
template <typename T>
std::vector<T> run(cn_op op, cornu_dtype dtype, const cn_attr& attr, const std::vector<Tensor<T>>& in, const Dims& dims) {
    std::vector<cn_type> types;
    std::vector<const cn_type*> type_pointers;
    std::vector<const void*> data;
    cn_type out{};
    for (const auto& t : in) types.push_back(type_of(dtype, t.dims));
    for (size_t i = 0; i < in.size(); i++) {
        type_pointers.push_back(&types[i]);
        data.push_back(in[i].data.data());
    }
    EXPECT_EQ(cn_infer(op, &attr, type_pointers.data(), (int)in.size(), &out), CORNU_OK) << cornu_last_error();
    EXPECT_EQ(Dims(out.dims, out.dims + out.ndim), dims);
    EXPECT_EQ(out.dtype, dtype);
    std::vector<T> result((size_t)cn_type_count(&out));
    const cn_ref_step step = {op, &attr, (int)in.size(), type_pointers.data(), data.data(), &out, result.data(), 0, 0};
    EXPECT_EQ(cn_ref_run(&step), CORNU_OK) << cornu_last_error();
    return result;
}

std::vector<float> run(cn_op op, const cn_attr& attr, const std::vector<F>& in, const Dims& dims) {
    return run<float>(op, CORNU_FLOAT32, attr, in, dims);
}

// (i * step % modulus) - offset, so that no two neighbours are alike.
F pattern(const Dims& dims, int step, int modulus, int offset) {
    int64_t count = 1;
    for (int64_t d : dims) count *= d;
    F t = {dims, {}};
    for (int64_t i = 0; i < count; i++) t.data.push_back((float)(i * step % modulus - offset));
    return t;
}
F image(const Dims& dims) { return pattern(dims, 7, 11, 5); }
F kernel(const Dims& dims) { return pattern(dims, 5, 7, 3); }

cn_attr conv(int spatial) {
    cn_attr a{};
    a.conv.spatial = spatial;
    a.conv.groups = 1;
    for (int i = 0; i < spatial; i++) a.conv.strides[i] = a.conv.dilation[i] = 1;
    return a;
}

cn_attr pool(cn_pool_kind kind, const Dims& window, const Dims& strides) {
    cn_attr a{};
    a.pool.kind = kind;
    a.pool.spatial = (int)window.size();
    for (size_t i = 0; i < window.size(); i++) {
        a.pool.window[i] = window[i];
        a.pool.strides[i] = strides[i];
    }
    return a;
}

void expect_near(const std::vector<float>& got, const std::vector<double>& want, double tolerance) {
    ASSERT_EQ(got.size(), want.size());
    for (size_t i = 0; i < got.size(); i++) EXPECT_NEAR(got[i], want[i], tolerance) << i;
}

}  // namespace

TEST(RefImage, ConvOfOneDimensionByHand) {
    cn_attr a = conv(1);
    const F x = {{1, 4, 1}, {1, 2, 3, 4}}, k = {{2, 1, 1}, {10, 1}};
    EXPECT_EQ(run(CN_OP_conv, a, {x, k}, {1, 3, 1}), (std::vector<float>{12, 23, 34}));
    a.conv.strides[0] = 2;
    EXPECT_EQ(run(CN_OP_conv, a, {x, k}, {1, 2, 1}), (std::vector<float>{12, 34}));
    a.conv.strides[0] = 5;  // more than the input has
    EXPECT_EQ(run(CN_OP_conv, a, {x, k}, {1, 1, 1}), (std::vector<float>{12}));
    a.conv.strides[0] = 1;
    a.conv.dilation[0] = 2;
    a.conv.pad_lo[0] = 2;
    EXPECT_EQ(run(CN_OP_conv, a, {x, k}, {1, 4, 1}), (std::vector<float>{1, 2, 13, 24}));
}

TEST(RefImage, ConvAddsBiasAndResidualThenActivates) {
    cn_attr a = conv(1);
    a.conv.act.fn = CN_EW_relu;
    const F x = {{1, 2, 1}, {1, -2}}, k = {{1, 1, 2}, {1, 3}}, bias = {{2}, {1, 2}}, residual = {{1, 2, 2}, {10, -20, 0.5f, 30}};
    EXPECT_EQ(run(CN_OP_conv, a, {x, k, bias}, {1, 2, 2}), (std::vector<float>{2, 5, 0, 0}));
    EXPECT_EQ(run(CN_OP_conv, a, {x, k, bias, residual}, {1, 2, 2}), (std::vector<float>{12, 0, 0, 26}));
}

TEST(RefImage, ConvOfTwoDimensionsWithGroupsStridesDilationAndPadding) {
    cn_attr a = conv(2);
    a.conv.groups = 2;
    a.conv.strides[0] = 2;
    a.conv.dilation[1] = 2;
    a.conv.pad_lo[0] = 1;
    a.conv.pad_hi[1] = 1;
    EXPECT_EQ(run(CN_OP_conv, a, {image({1, 4, 3, 2}), kernel({2, 2, 1, 4})}, {1, 2, 2, 4}),
              (std::vector<float>{-9, -1, 5, 0, -4, 0, -10, 15, -14, 10, -3, 17, 22, -8, -2, -3}));
}

TEST(RefImage, ConvOfThreeDimensions) {
    cn_attr a = conv(3);
    a.conv.strides[1] = 2;
    a.conv.pad_lo[0] = 1;
    EXPECT_EQ(run(CN_OP_conv, a, {image({1, 2, 2, 3, 2}), kernel({2, 1, 2, 2, 3})}, {1, 2, 1, 2, 3}),
              (std::vector<float>{-22, 13, 13, 20, -3, -5, 23, -3, 6, -19, 14, -16}));
}

TEST(RefImage, TransposeByHand) {
    cn_attr a = conv(1);
    const F x = {{1, 3, 1}, {1, 2, 3}}, k = {{3, 1, 1}, {1, 10, 100}};
    a.conv.strides[0] = 2;
    EXPECT_EQ(run(CN_OP_conv_transpose, a, {x, k}, {1, 7, 1}), (std::vector<float>{1, 10, 102, 20, 203, 30, 300}));
    a.conv.pad_lo[0] = a.conv.pad_hi[0] = 1;
    EXPECT_EQ(run(CN_OP_conv_transpose, a, {x, k}, {1, 5, 1}), (std::vector<float>{10, 102, 20, 203, 30}));
    a.conv.pad_lo[0] = 0;
    a.conv.pad_hi[0] = -2;  // cells that no input reaches
    EXPECT_EQ(run(CN_OP_conv_transpose, a, {x, k}, {1, 9, 1}), (std::vector<float>{1, 10, 102, 20, 203, 30, 300, 0, 0}));
    a.conv.strides[0] = 4;  // more than the kernel
    a.conv.pad_hi[0] = 0;
    EXPECT_EQ(run(CN_OP_conv_transpose, a, {x, k}, {1, 11, 1}), (std::vector<float>{1, 10, 100, 0, 2, 20, 200, 0, 3, 30, 300}));
}

TEST(RefImage, TransposeOfTwoDimensionsWithStridesAndDilation) {
    cn_attr a = conv(2);
    a.conv.strides[0] = 2;
    a.conv.dilation[1] = 2;
    EXPECT_EQ(run(CN_OP_conv_transpose, a, {image({1, 2, 2, 2}), kernel({2, 3, 2, 2})}, {1, 4, 6, 2}),
              (std::vector<float>{19, -4,  16, -10, -13, -1, -1, -13, -10, 16, -4, 19, -7, 19,  -7, 16,
                                  -4, -13, -10, -1, -1, -10, -13, -4, -9,  6,  -12, 0, 0,  8,   12, -4,
                                  2,  -11, 8,   -8, 4,  -9,  4,   -12, 6,  0,  0,  12, 8,  2,   -4, 8}));
}

TEST(RefImage, TransposeAddsBiasWhereNothingReachesToo) {
    cn_attr a = conv(1);
    a.conv.strides[0] = 3;
    const F x = {{1, 2, 1}, {1, 2}}, k = {{1, 2, 1}, {1, -1}}, bias = {{2}, {0.5f, 7}};
    EXPECT_EQ(run(CN_OP_conv_transpose, a, {x, k, bias}, {1, 4, 2}), (std::vector<float>{1.5f, 6, 0.5f, 7, 0.5f, 7, 2.5f, 5}));
}

TEST(RefImage, PoolsLeaveOutThePadding) {
    cn_attr top = pool(CN_POOL_MAX, {3}, {2}), mean = pool(CN_POOL_AVG, {3}, {2});
    const F x = {{1, 4, 1}, {-1, -2, -4, -6}};
    top.pool.pad_lo[0] = mean.pool.pad_lo[0] = 1;
    EXPECT_EQ(run(CN_OP_pool, top, {x}, {1, 2, 1}), (std::vector<float>{-1, -2}));
    EXPECT_EQ(run(CN_OP_pool, mean, {x}, {1, 2, 1}), (std::vector<float>{-1.5f, -4}));
    top = pool(CN_POOL_MAX, {2, 2}, {1, 3});
    EXPECT_EQ(run(CN_OP_pool, top, {F{{1, 3, 2, 1}, {1, 2, 9, 4, 5, 6}}}, {1, 2, 1, 1}), (std::vector<float>{9, 9}));
    mean = pool(CN_POOL_AVG, {2, 1, 2}, {1, 1, 1});
    EXPECT_EQ(run(CN_OP_pool, mean, {F{{1, 2, 1, 2, 1}, {1, 2, 4, 9}}}, {1, 1, 1, 1, 1}), (std::vector<float>{4}));
}

TEST(RefImage, MaximaOfIntegersAreExactAndNaNGoesThrough) {
    const Tensor<int64_t> large = {{1, 3, 1}, {INT64_MIN, 9007199254740993, 9007199254740992}};
    EXPECT_EQ(run<int64_t>(CN_OP_pool, CORNU_INT64, pool(CN_POOL_MAX, {2}, {1}), {large}, {1, 2, 1}),
              (std::vector<int64_t>{9007199254740993, 9007199254740993}));
    const std::vector<float> y = run(CN_OP_pool, pool(CN_POOL_MAX, {2}, {1}), {F{{1, 4, 1}, {1, NAN, 3, 2}}}, {1, 3, 1});
    EXPECT_TRUE(std::isnan(y[0]) && std::isnan(y[1]));
    EXPECT_EQ(y[2], 3);
}

TEST(RefImage, AdaptivePoolsCoverEveryCell) {
    const F x = {{1, 5, 1}, {1, 2, 4, 8, 16}};
    EXPECT_EQ(run(CN_OP_adaptive_pool, pool(CN_POOL_MAX, {3}, {1}), {x}, {1, 3, 1}), (std::vector<float>{2, 8, 16}));
    EXPECT_EQ(run(CN_OP_adaptive_pool, pool(CN_POOL_AVG, {2}, {1}), {x}, {1, 2, 1}), (std::vector<float>{7.0f / 3, 28.0f / 3}));
    EXPECT_EQ(run(CN_OP_adaptive_pool, pool(CN_POOL_AVG, {3}, {1}), {F{{1, 2, 1}, {1, 5}}}, {1, 3, 1}), (std::vector<float>{1, 3, 5}));
}

TEST(RefImage, ResizesByHalfPixelCentres) {
    cn_attr a{};
    const F two = {{1, 1, 2, 1}, {0, 1}}, five = {{1, 5, 1, 1}, {0, 1, 2, 3, 4}};
    a.resize = {CN_RESIZE_BILINEAR, false, 1, 4};
    expect_near(run(CN_OP_resize, a, {two}, {1, 1, 4, 1}), {0, 0.25, 0.75, 1}, 1e-7);
    a.resize.kind = CN_RESIZE_BICUBIC;
    expect_near(run(CN_OP_resize, a, {two}, {1, 1, 4, 1}), {-0.0703125 / 0.796875, 0.2265625 / 1.09375, 0.8671875 / 1.09375, 0.8671875 / 0.796875}, 1e-6);
    a.resize.kind = CN_RESIZE_LANCZOS3;
    expect_near(run(CN_OP_resize, a, {two}, {1, 1, 4, 1}), {-0.1754777, 0.2328707, 0.7671293, 1.1754777}, 1e-6);
    a.resize = {CN_RESIZE_NEAREST, false, 3, 1};
    expect_near(run(CN_OP_resize, a, {five}, {1, 3, 1, 1}), {0, 2, 4}, 0);
    a.resize.kind = CN_RESIZE_BILINEAR;
    expect_near(run(CN_OP_resize, a, {five}, {1, 3, 1, 1}), {1.0 / 3, 2, 11.0 / 3}, 1e-6);
    a.resize.antialias = true;
    expect_near(run(CN_OP_resize, a, {five}, {1, 3, 1, 1}), {3.0 / 7, 2, 25.0 / 7}, 1e-6);
}

TEST(RefImage, PadsInEachMode) {
    cn_attr a{};
    const F x = {{3}, {1, 2, 3}};
    a.pad.low[0] = 2;
    a.pad.high[0] = 1;
    a.pad.value = 9;
    EXPECT_EQ(run(CN_OP_pad, a, {x}, {6}), (std::vector<float>{9, 9, 1, 2, 3, 9}));
    a.pad.mode = CN_PAD_REFLECT;
    EXPECT_EQ(run(CN_OP_pad, a, {x}, {6}), (std::vector<float>{3, 2, 1, 2, 3, 2}));
    a.pad.mode = CN_PAD_SYMMETRIC;
    EXPECT_EQ(run(CN_OP_pad, a, {x}, {6}), (std::vector<float>{2, 1, 1, 2, 3, 3}));
    a.pad.mode = CN_PAD_EDGE;
    EXPECT_EQ(run(CN_OP_pad, a, {x}, {6}), (std::vector<float>{1, 1, 1, 2, 3, 3}));
    cn_attr both{};
    both.pad.low[1] = 1;
    both.pad.high[0] = 1;
    EXPECT_EQ(run(CN_OP_pad, both, {F{{2, 2}, {1, 2, 3, 4}}}, {3, 3}), (std::vector<float>{0, 1, 2, 0, 3, 4, 0, 0, 0}));
}

TEST(RefImage, MovesElements) {
    cn_attr a{};
    const F x = {{2, 3}, {1, 2, 3, 4, 5, 6}};
    a.slice.step[0] = 1, a.slice.dims[0] = 2;
    a.slice.begin[1] = 2, a.slice.step[1] = -2, a.slice.dims[1] = 2;
    EXPECT_EQ(run(CN_OP_slice, a, {x}, {2, 2}), (std::vector<float>{3, 1, 6, 4}));
    a = {};
    a.perm.perm[0] = 1;
    EXPECT_EQ(run(CN_OP_transpose, a, {x}, {3, 2}), (std::vector<float>{1, 4, 2, 5, 3, 6}));
    a = {};
    a.axis.axis = 1;
    EXPECT_EQ(run(CN_OP_concat, a, {x, F{{2, 1}, {7, 8}}}, {2, 4}), (std::vector<float>{1, 2, 3, 7, 4, 5, 6, 8}));
    a = {};
    a.shape = {3, {2, 2, 3}};
    EXPECT_EQ(run(CN_OP_broadcast, a, {F{{2, 1, 3}, x.data}}, {2, 2, 3}), (std::vector<float>{1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6}));
}
