// Shape rules of the ops over images: the lengths they give, and what they refuse.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "graph/graph.h"

namespace {

typedef std::vector<int64_t> Dims;

// The spatial length of an op over one spatial axis, -1 if it is refused.
int64_t length(cn_op op, const cn_attr& attr, const Dims& x, const Dims& k = {}) {
    cn_type types[2] = {}, out = {};
    const cn_type* in[2] = {&types[0], &types[1]};
    const Dims* dims[2] = {&x, &k};
    for (int i = 0; i < 2; i++) {
        types[i].dtype = CORNU_FLOAT32;
        types[i].ndim = (int)dims[i]->size();
        for (size_t d = 0; d < dims[i]->size(); d++) types[i].dims[d] = (*dims[i])[d];
    }
    return cn_infer(op, &attr, in, k.empty() ? 1 : 2, &out) == CORNU_OK ? out.dims[1] : -1;
}

cn_attr conv(int64_t stride, int64_t dilation, int64_t low, int64_t high) {
    cn_attr a{};
    a.conv.spatial = 1;
    a.conv.groups = 1;
    a.conv.strides[0] = stride;
    a.conv.dilation[0] = dilation;
    a.conv.pad_lo[0] = low;
    a.conv.pad_hi[0] = high;
    return a;
}

cn_attr pool(int64_t window, int64_t stride, int64_t low, int64_t high) {
    cn_attr a{};
    a.pool.spatial = 1;
    a.pool.window[0] = window;
    a.pool.strides[0] = stride;
    a.pool.pad_lo[0] = low;
    a.pool.pad_hi[0] = high;
    return a;
}

bool says(const char* text) { return std::string(cornu_last_error()).find(text) != std::string::npos; }

}  // namespace

TEST(Shape, Convolution) {
    EXPECT_EQ(length(CN_OP_conv, conv(1, 1, 0, 0), {2, 7, 4}, {3, 4, 5}), 5);
    EXPECT_EQ(length(CN_OP_conv, conv(2, 1, 0, 0), {2, 7, 4}, {3, 4, 5}), 3);
    EXPECT_EQ(length(CN_OP_conv, conv(1, 3, 0, 0), {2, 7, 4}, {3, 4, 5}), 1);
    EXPECT_EQ(length(CN_OP_conv, conv(1, 3, 6, 0), {2, 7, 4}, {3, 4, 5}), 7);
    EXPECT_EQ(length(CN_OP_conv, conv(9, 1, 0, 0), {2, 7, 4}, {3, 4, 5}), 1);
    EXPECT_EQ(length(CN_OP_conv, conv(1, 1, 0, 0), {0, 7, 4}, {3, 4, 5}), 5);  // an empty batch
    EXPECT_EQ(length(CN_OP_conv, conv(1, 4, 0, 0), {2, 7, 4}, {3, 4, 5}), -1);
    EXPECT_TRUE(says("conv of f32[2,7,4] and f32[3,4,5]") && says("larger")) << cornu_last_error();
    EXPECT_EQ(length(CN_OP_conv, conv(1, 1, 0, 0), {2, 7, 3}, {3, 4, 5}), -1);
    EXPECT_EQ(length(CN_OP_conv, conv(0, 1, 0, 0), {2, 7, 4}, {3, 4, 5}), -1);
    EXPECT_EQ(length(CN_OP_conv, conv(1, 1, 0, 0), {2, 7, 4}, {3, 3, 4, 5}), -1);
    cn_attr grouped = conv(1, 1, 0, 0);
    grouped.conv.groups = 2;
    EXPECT_EQ(length(CN_OP_conv, grouped, {2, 7, 4}, {3, 2, 6}), 5);
    EXPECT_EQ(length(CN_OP_conv, grouped, {2, 7, 4}, {3, 2, 5}), -1);
}

TEST(Shape, ConvolutionTransposed) {
    EXPECT_EQ(length(CN_OP_conv_transpose, conv(2, 1, 0, 0), {2, 4, 3}, {3, 5, 3}), 9);
    EXPECT_EQ(length(CN_OP_conv_transpose, conv(2, 1, 1, 1), {2, 4, 3}, {3, 5, 3}), 7);
    EXPECT_EQ(length(CN_OP_conv_transpose, conv(3, 1, 0, -2), {2, 4, 3}, {1, 5, 3}), 12);
    EXPECT_EQ(length(CN_OP_conv_transpose, conv(1, 3, 0, 0), {2, 4, 3}, {3, 5, 3}), 10);
    EXPECT_EQ(length(CN_OP_conv_transpose, conv(1, 1, 1, 1), {2, 1, 3}, {2, 5, 3}), -1);
    EXPECT_TRUE(says("nothing is left")) << cornu_last_error();
    EXPECT_EQ(length(CN_OP_conv_transpose, conv(1, 1, 0, 0), {2, 4, 5}, {3, 5, 3}), -1);
}

TEST(Shape, Pools) {
    EXPECT_EQ(length(CN_OP_pool, pool(2, 2, 0, 0), {1, 7, 3}), 3);
    EXPECT_EQ(length(CN_OP_pool, pool(2, 2, 0, 1), {1, 7, 3}), 4);
    EXPECT_EQ(length(CN_OP_pool, pool(2, 5, 0, 0), {1, 7, 3}), 2);
    EXPECT_EQ(length(CN_OP_pool, pool(8, 1, 0, 0), {1, 7, 3}), -1);
    EXPECT_EQ(length(CN_OP_pool, pool(0, 1, 0, 0), {1, 7, 3}), -1);
    EXPECT_EQ(length(CN_OP_adaptive_pool, pool(9, 1, 0, 0), {1, 7, 3}), 9);
    EXPECT_EQ(length(CN_OP_adaptive_pool, pool(2, 1, 0, 0), {1, 0, 3}), -1);
}

TEST(Shape, LengthsThatOverflowAreRefused) {
    EXPECT_EQ(length(CN_OP_conv_transpose, conv(INT64_MAX / 2, 1, 0, 0), {1, 9, 1}, {3, 1, 1}), -1);
    cn_attr a{};
    a.pad.low[1] = INT64_MAX;
    EXPECT_EQ(length(CN_OP_pad, a, {1, 2, 1}), -1);
}
