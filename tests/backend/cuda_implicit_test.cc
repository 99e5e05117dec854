// Convolutions as products that are never unfolded: every way of a step, in every precision, around the edges of tiles,
// chunks and splits.
#include "tests/backend/cuda_ways.h"

using namespace cuda_test;

namespace {

const cornu_dtype kSingles[] = {CORNU_FLOAT32, CORNU_FLOAT16, CORNU_BFLOAT16};

struct Shape {
    Dims x, kernel;
    int64_t stride = 1, dilation = 1, low = 0, high = 0;
    int64_t groups = 1;
};

cn_attr attr_of(const Shape& s, cn_act act) {
    cn_attr a = run_graph::no_attr();
    a.conv.spatial = (int)s.x.size() - 2;
    for (int i = 0; i < a.conv.spatial; i++) {
        a.conv.strides[i] = s.stride;
        a.conv.dilation[i] = s.dilation;
        a.conv.pad_lo[i] = s.low;
        a.conv.pad_hi[i] = s.high;
    }
    a.conv.groups = s.groups;
    a.conv.act = act;
    return a;
}

std::string text_of(const Shape& s) {
    std::string text = "conv";
    for (int64_t d : s.x) text += " " + std::to_string(d);
    text += " by";
    for (int64_t d : s.kernel) text += " " + std::to_string(d);
    return text;
}

// parts: bit 0 bias, bit 1 residual. Returns the ways.
int expect_conv(cornu_dtype dtype, const Shape& s, cornu_precision precision = CORNU_PRECISION_STRICT, int parts = 0,
                cn_act act = {}, bool special = false) {
    Case c(dtype);
    c.special = special;
    cn_attr attr = attr_of(s, act);
    std::vector<cn_id> in = {c.input_of(s.x), c.constant_of(s.kernel)};
    cn_id y = cn_graph_add(&c.g, CN_OP_conv, in.data(), 2, &attr);
    if (y != CN_NONE && parts) {
        cn_type type = c.g.types[y];
        in.push_back(parts & 1 ? c.constant_of({type.dims[type.ndim - 1]}) : CN_NONE);
        if (parts & 2) in.push_back(c.input_of(Dims(type.dims, type.dims + type.ndim)));
        y = c.node(CN_OP_conv, in, attr);
    }
    double tolerance = dtype == CORNU_FLOAT32 && precision != CORNU_PRECISION_STRICT ? 2e-3 : tolerance_of(dtype);
    return expect_ways(c, y, precision, tolerance, text_of(s) + (precision == CORNU_PRECISION_STRICT ? "" : " tf32"));
}

void expect_everywhere(const Shape& s, int parts = 0, cn_act act = {}) {
    for (cornu_dtype dtype : kSingles) expect_conv(dtype, s, CORNU_PRECISION_STRICT, parts, act);
    expect_conv(CORNU_FLOAT32, s, CORNU_PRECISION_TF32, parts, act);
}

// Rows around the edges of tiles, with channels that fill chunks and channels that do not.
TEST(CudaImplicit, Rows) {
    for (int64_t rows : {1, 2, 31, 32, 33, 63, 64, 65, 127, 128, 129}) {
        expect_everywhere({{1, rows, 8}, {3, 8, 40}, 1, 1, 1, 1});
        expect_everywhere({{1, rows, 5}, {2, 5, 7}, 1, 1, 1, 0});
    }
}

TEST(CudaImplicit, Filters) {
    for (int64_t filters : {1, 4, 8, 31, 32, 33, 40, 63, 64, 65, 72, 128, 130})
        expect_everywhere({{2, 5, 7, 4}, {3, 3, 4, filters}, 1, 1, 1, 1});
}

TEST(CudaImplicit, Channels) {
    for (int64_t channels : {1, 2, 3, 4, 7, 8, 12, 15, 16, 17, 20, 31, 32, 33, 64, 72})
        expect_everywhere({{1, 6, 5, channels}, {2, 3, channels, 10}, 2, 1, 1, 2});
}

TEST(CudaImplicit, Spaces) {
    expect_everywhere({{2, 19, 4}, {5, 4, 9}, 3, 2, 2, 3});
    expect_everywhere({{1, 9, 11, 8}, {3, 5, 8, 16}, 2, 2, 4, 4});
    expect_everywhere({{2, 5, 6, 4, 8}, {2, 3, 3, 8, 24}, 2, 1, 1, 1});
    expect_everywhere({{1, 7, 7, 3}, {7, 7, 3, 64}, 2, 1, 3, 3});
    expect_everywhere({{3, 4, 4, 8}, {3, 3, 8, 8}, 1, 1, -1, 0});  // cropped
    expect_everywhere({{1, 2, 2, 4}, {3, 3, 4, 8}, 1, 1, 3, 3});   // padding alone
    expect_everywhere({{1, 8, 8, 8}, {1, 1, 8, 40}, 2});
    expect_everywhere({{1, 70, 9, 8}, {3, 3, 8, 72}, 1, 1, 1, 1});
}

// Few results of long sums are split.
TEST(CudaImplicit, Splits) {
    for (cornu_dtype dtype : kSingles) {
        EXPECT_GT(expect_conv(dtype, {{1, 7, 7, 64}, {3, 3, 64, 72}, 1, 1, 1, 1}, CORNU_PRECISION_STRICT, 3,
                              act_of(CN_EW_silu)),
                  3);
        EXPECT_GT(expect_conv(dtype, {{1, 3, 3, 300}, {3, 3, 300, 5}, 1, 1, 1, 1}), 1);
    }
    expect_conv(CORNU_FLOAT32, {{1, 7, 7, 64}, {3, 3, 64, 72}, 1, 1, 1, 1}, CORNU_PRECISION_TF32, 1);
    expect_conv(CORNU_FLOAT32, {{1, 2, 3, 1501}, {2, 2, 1501, 3}});
}

TEST(CudaImplicit, Epilogues) {
    for (cn_act act : {act_of(CN_EW_copy), act_of(CN_EW_relu), act_of(CN_EW_gelu), act_of(CN_EW_elu, 0.5)}) {
        for (int parts = 0; parts < 4; parts++)
            expect_everywhere({{1, 9, 8, 8}, {3, 3, 8, 40}, 1, 1, 1, 1}, parts, act);
    }
}

TEST(CudaImplicit, Random) {
    std::mt19937 random(11);
    auto pick = [&](int low, int high) { return (int64_t)(low + (int)(random() % (unsigned)(high - low + 1))); };
    for (int i = 0; i < 40; i++) {
        int64_t channels = pick(1, 40), filters = pick(1, 90), k = pick(1, 4), stride = pick(1, 3),
                dilation = pick(1, 2), size = pick(1, 12) + (k - 1) * dilation;
        expect_everywhere({{pick(1, 2), size, size + pick(0, 3), channels},
                           {k, k, channels, filters},
                           stride,
                           dilation,
                           pick(0, 3),
                           pick(0, 3)},
                          (int)pick(0, 3), act_of(CN_EW_relu));
    }
}

// A large tile in the default choice.
TEST(CudaImplicit, LargeTiles) {
    expect_conv(CORNU_BFLOAT16, {{2, 93, 92, 8}, {2, 2, 8, 66}, 1, 1, 1, 0}, CORNU_PRECISION_STRICT, 1,
                act_of(CN_EW_relu6));
    expect_conv(CORNU_FLOAT32, {{2, 93, 92, 4}, {2, 2, 4, 68}, 1, 1, 1, 0}, CORNU_PRECISION_STRICT, 1,
                act_of(CN_EW_relu6));
}

// Cells of padding have no part in a sum: nothing is multiplied with them, not even an infinite weight.
TEST(CudaImplicit, NotFinite) {
    for (cornu_dtype dtype : kFloats) {
        expect_conv(dtype, {{1, 4, 5, 2}, {3, 3, 2, 9}, 1, 1, 2, 2}, CORNU_PRECISION_STRICT, 1, act_of(CN_EW_relu),
                    true);
        expect_conv(dtype, {{1, 4, 5, 4}, {3, 3, 2, 6}, 2, 1, 2, 1, 2}, CORNU_PRECISION_STRICT, 1, {}, true);
    }
    for (cornu_dtype dtype : kSingles)
        expect_conv(dtype, {{1, 4, 5, 2}, {3, 3, 2, 16}, 1, 1, 2, 2}, CORNU_PRECISION_STRICT, 3, act_of(CN_EW_silu),
                    true);
    expect_conv(CORNU_FLOAT32, {{1, 2, 2, 40}, {3, 3, 40, 3}, 1, 1, 2, 2}, CORNU_PRECISION_STRICT, 0, {}, true);
    expect_conv(CORNU_FLOAT32, {{1, 4, 5, 8}, {3, 3, 8, 9}, 1, 1, 2, 2}, CORNU_PRECISION_TF32, 1, {}, true);
}

void expect_infinite_weight(cornu_dtype dtype, cn_op op) {
    Case c(dtype);
    cn_attr attr = attr_of({{1, 3, 3, 2}, {3, 3, 2, 2}, 2, 1, op == CN_OP_conv ? 2 : 0, op == CN_OP_conv ? 2 : 0}, {});
    cn_type type = {};
    std::vector<char> bytes;
    type.dtype = dtype;
    for (int64_t d : {3, 3, 2, 2}) type.dims[type.ndim++] = d;
    bytes.resize((size_t)cn_type_bytes(&type) + 1);
    for (int64_t i = 0; i < 36; i++) cn_ref_store(dtype, bytes.data(), i, i % 9 == 4 ? INFINITY : i % 3);
    cn_id x = c.input_of({1, 3, 3, 2}), in[] = {x, cn_graph_constant(&c.g, &type, bytes.data())};
    expect_ways(c, cn_graph_add(&c.g, op, in, 2, &attr), CORNU_PRECISION_STRICT, tolerance_of(dtype),
                "infinite weights");
}

TEST(CudaImplicit, InfiniteWeights) {
    for (cornu_dtype dtype : kFloats) {
        expect_infinite_weight(dtype, CN_OP_conv);
        expect_infinite_weight(dtype, CN_OP_conv_transpose);
    }
}

}  // namespace
