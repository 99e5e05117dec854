// Depthwise convolutions with one filter a channel: widths, strides, dilation and padding, spans, and activations that
// a product leaves to them.
#include "tests/backend/cuda_ways.h"

using namespace cuda_test;

namespace {

const cornu_dtype kSingles[] = {CORNU_FLOAT32, CORNU_FLOAT16, CORNU_BFLOAT16};

struct Shape {
    Dims x, kernel;
    int64_t stride = 1, dilation = 1, low = 0, high = 0;
};

cn_attr attr_of(const Dims& x, const Shape& s, int64_t groups, cn_act act = {}) {
    cn_attr a = run_graph::no_attr();
    a.conv.spatial = (int)x.size() - 2;
    for (int i = 0; i < a.conv.spatial; i++) {
        a.conv.strides[i] = s.stride;
        a.conv.dilation[i] = s.dilation;
        a.conv.pad_lo[i] = s.low;
        a.conv.pad_hi[i] = s.high;
    }
    a.conv.groups = groups;
    a.conv.act = act;
    return a;
}

// parts: bit 0 bias, bit 1 residual. Returns the ways.
int expect_depthwise(cornu_dtype dtype, const Shape& s, int parts = 0, cn_act act = {}, bool special = false) {
    Case c(dtype);
    c.special = special;
    int64_t channels = s.x.back();
    Dims kernel = s.kernel;
    kernel.insert(kernel.end(), {1, channels});
    cn_attr attr = attr_of(s.x, s, channels, act);
    std::vector<cn_id> in = {c.input_of(s.x), c.constant_of(kernel)};
    std::string what = "depthwise " + std::to_string(kernel[0]) + " stride " + std::to_string(s.stride) + " channels " +
                       std::to_string(channels);
    cn_id y = cn_graph_add(&c.g, CN_OP_conv, in.data(), 2, &attr);
    if (y != CN_NONE && parts) {
        cn_type type = c.g.types[y];
        in.push_back(parts & 1 ? c.constant_of({channels}) : CN_NONE);
        if (parts & 2) in.push_back(c.input_of(Dims(type.dims, type.dims + type.ndim)));
        y = c.node(CN_OP_conv, in, attr);
    }
    return expect_ways(c, y, CORNU_PRECISION_STRICT, tolerance_of(dtype), what);
}

TEST(CudaDepthwise, Widths) {
    for (cornu_dtype dtype : kSingles) {
        for (int64_t k = 1; k <= 8; k++) {
            for (int64_t stride = 1; stride <= 3; stride++) {
                for (int64_t width : {1, 3, 4, 9, 14}) {
                    int ways = expect_depthwise(dtype, {{2, 6, width, 16}, {k, k}, stride, 1, k / 2, k - 1 - k / 2});
                    EXPECT_EQ(ways, (width - 1) / stride + 1 == 1 ? 1 : 2);
                }
            }
        }
    }
}

TEST(CudaDepthwise, Channels) {
    for (cornu_dtype dtype : kSingles) {
        for (int64_t channels : {1, 3, 4, 7, 8, 12, 24, 40, 72, 256, 520}) {
            expect_depthwise(dtype, {{1, 5, 6, channels}, {3, 3}, 1, 1, 1, 1}, 3, act_of(CN_EW_relu6));
            expect_depthwise(dtype, {{1, 5, 6, channels}, {3, 3}, 2, 1, 0, 1}, 1);
        }
    }
}

TEST(CudaDepthwise, Spaces) {
    for (cornu_dtype dtype : kSingles) {
        expect_depthwise(dtype, {{2, 19, 8}, {3}, 1, 1, 2, 2});
        expect_depthwise(dtype, {{1, 9, 11, 8}, {3, 5}, 1, 3, 4, 4});
        expect_depthwise(dtype, {{1, 9, 11, 8}, {5, 3}, 2, 1, 6, 6});  // whole rows and spans of padding
        expect_depthwise(dtype, {{1, 8, 8, 8}, {3, 3}, 1, 1, -1, 0});  // cropped
        expect_depthwise(dtype, {{2, 3, 4, 6, 8}, {2, 3, 3}, 1, 1, 1, 1});
    }
}

TEST(CudaDepthwise, Epilogues) {
    const cn_ew rows[] = {CN_EW_copy,      CN_EW_relu, CN_EW_relu6, CN_EW_silu,
                          CN_EW_hard_silu, CN_EW_gelu, CN_EW_elu,   CN_EW_mish};
    for (cornu_dtype dtype : kSingles) {
        for (cn_ew row : rows) {
            for (int parts = 0; parts < 4; parts++)
                expect_depthwise(dtype, {{1, 5, 6, 16}, {3, 3}, 1, 1, 1, 1}, parts, act_of(row, 0.5));
        }
    }
}

TEST(CudaDepthwise, NotFinite) {
    for (cornu_dtype dtype : kSingles) {
        expect_depthwise(dtype, {{1, 5, 6, 16}, {3, 3}, 1, 1, 2, 2}, 1, act_of(CN_EW_relu6), true);
        expect_depthwise(dtype, {{1, 5, 6, 16}, {3, 3}, 2, 2, 2, 2}, 1, act_of(CN_EW_silu), true);
    }
}

// conv 1x1 {act} -> depthwise, with another reader of the value between them, or none. left: the activation moves.
void expect_left(bool left, cornu_dtype dtype, cn_act act, int64_t channels, bool shared, int64_t groups_of_second) {
    Case c(dtype);
    Dims x = {2, 6, 7, 12};
    Shape point = {x, {1, 1}}, window = {x, {3, 3}, 1, 1, 1, 1};
    cn_attr first = attr_of(x, point, 1, act), second = attr_of(x, window, groups_of_second, act_of(CN_EW_relu));
    cn_id in[] = {c.input_of(x), c.constant_of({1, 1, 12, channels}), c.constant_of({channels})};
    cn_id middle = cn_graph_add(&c.g, CN_OP_conv, in, 3, &first);
    cn_id more[] = {middle, c.constant_of({3, 3, channels / groups_of_second, channels})};
    cn_id y = cn_graph_add(&c.g, CN_OP_conv, more, 2, &second);
    if (shared) {
        cn_attr add = run_graph::no_attr();
        add.ew = act_of(CN_EW_add);
        cn_id both[] = {middle, y};
        y = cn_graph_add(&c.g, CN_OP_ew, both, 2, &add);
    }
    expect_ways(c, y, CORNU_PRECISION_STRICT, 2 * tolerance_of(dtype),
                "an activation between a product and a depthwise convolution");
    EXPECT_EQ(problems.find("after an activation") != std::string::npos, left) << problems;
}

TEST(CudaDepthwise, ActivationsOfProducts) {
    for (cornu_dtype dtype : kFloats) {
        for (cn_ew row : {CN_EW_copy, CN_EW_relu, CN_EW_relu6, CN_EW_silu, CN_EW_hard_silu, CN_EW_gelu}) {
            bool left = dtype != CORNU_FLOAT64 && (row == CN_EW_relu6 || row == CN_EW_silu || row == CN_EW_hard_silu);
            expect_left(left, dtype, act_of(row), 16, false, 16);
            expect_left(false, dtype, act_of(row), 16, true, 16);
            expect_left(false, dtype, act_of(row), 13, false, 13);
            expect_left(false, dtype, act_of(row), 16, false, 1);
        }
    }
}

TEST(CudaDepthwise, ActivationsOfProductsWithoutLibrary) {
    WithoutLibrary without;
    expect_left(true, CORNU_FLOAT32, act_of(CN_EW_silu), 16, false, 16);
}

}  // namespace
