// Convolutions and their transposes: dimensions, groups, strides, dilation, padding and epilogues around the edges of tiles.
#include "tests/backend/cuda_cases.h"

using namespace cuda_test;

namespace {

struct Shape {
    Dims x, kernel;
    Dims strides, dilation, low, high;
    int64_t groups;
};

cn_attr attr_of(const Shape& s, cn_act act = {}) {
    cn_attr a = run_graph::no_attr();
    a.conv.spatial = (int)s.x.size() - 2;
    for (int i = 0; i < a.conv.spatial; i++) {
        size_t k = (size_t)i;
        a.conv.strides[i] = s.strides[k];
        a.conv.dilation[i] = s.dilation[k];
        a.conv.pad_lo[i] = s.low[k];
        a.conv.pad_hi[i] = s.high[k];
    }
    a.conv.groups = s.groups;
    a.conv.act = act;
    return a;
}

void expect_conv(cornu_dtype dtype, cn_op op, const Shape& s, bool bias = false, bool residual = false, cn_act act = {}, bool constant = true) {
    Case c(dtype);
    cn_attr attr = attr_of(s, act);
    std::vector<cn_id> in = {c.input_of(s.x), c.some(constant, s.kernel)};
    std::string what = cn_op_info_of(op)->name;
    cn_id y = cn_graph_add(&c.g, op, in.data(), 2, &attr);
    for (int64_t d : s.x) what += " " + std::to_string(d);
    what += " by";
    for (int64_t d : s.kernel) what += " " + std::to_string(d);
    if (y != CN_NONE && (bias || residual)) {
        cn_type type = c.g.types[y];
        in.push_back(bias ? c.constant_of({type.dims[type.ndim - 1]}) : CN_NONE);
        if (residual) in.push_back(c.input_of(Dims(type.dims, type.dims + type.ndim)));
        y = c.node(op, in, attr);
    }
    c.expect(y, what);
}

const Shape kShapes[] = {
    {{2, 9, 3}, {3, 3, 5}, {1}, {1}, {1}, {1}, 1},
    {{1, 40, 1}, {7, 1, 33}, {2}, {3}, {0}, {4}, 1},
    {{2, 7, 6, 4}, {3, 3, 4, 8}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, 1},
    {{1, 8, 9, 5}, {3, 2, 5, 7}, {2, 3}, {1, 2}, {0, 1}, {2, 0}, 1},
    {{1, 8, 9, 6}, {3, 3, 3, 10}, {1, 2}, {2, 1}, {2, 0}, {2, 1}, 2},
    {{1, 5, 5, 12}, {1, 1, 4, 9}, {1, 1}, {1, 1}, {0, 0}, {0, 0}, 3},
    {{2, 5, 6, 7, 3}, {2, 3, 2, 3, 4}, {1, 2, 1}, {2, 1, 1}, {1, 0, 1}, {0, 2, 1}, 1},
    {{1, 4, 4, 4, 4}, {3, 3, 3, 2, 6}, {2, 2, 2}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, 2},
    {{1, 6, 6, 33}, {3, 3, 33, 65}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, 1},
    {{1, 3, 3, 2}, {3, 3, 2, 3}, {1, 1}, {1, 1}, {0, 0}, {0, 0}, 1}, // one cell
    {{1, 2, 2, 2}, {3, 3, 2, 3}, {1, 1}, {1, 1}, {3, 3}, {3, 3}, 1}, // outputs of padding alone
};

// Kernels of one cell that are products of matrices, and those that are not.
const Shape kPoints[] = {
    {{2, 5, 7, 6}, {1, 1, 6, 9}, {1, 1}, {1, 1}, {0, 0}, {0, 0}, 1},
    {{3, 33, 4}, {1, 4, 31}, {1}, {1}, {0}, {0}, 1},
    {{1, 2, 3, 4, 5}, {1, 1, 1, 5, 2}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {0, 0, 0}, 1},
    {{1, 5, 7, 6}, {1, 1, 6, 9}, {2, 2}, {1, 1}, {0, 0}, {0, 0}, 1},
    {{1, 5, 7, 6}, {1, 1, 6, 9}, {1, 1}, {1, 1}, {1, 0}, {0, 1}, 1},
};

const Shape kDepthwise[] = {
    {{2, 7, 9, 5}, {3, 3, 1, 5}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, 5},
    {{1, 8, 6, 3}, {3, 2, 1, 12}, {2, 2}, {1, 1}, {0, 0}, {1, 1}, 3},
    {{1, 6, 7, 130}, {5, 5, 1, 130}, {1, 1}, {2, 1}, {4, 2}, {4, 2}, 130},
    {{2, 13, 4}, {3, 1, 8}, {1}, {2}, {2}, {2}, 4},
    {{1, 4, 5, 6, 2}, {2, 3, 2, 1, 4}, {1, 1, 2}, {1, 2, 1}, {1, 0, 1}, {1, 0, 1}, 2},
    {{1, 1, 1, 2}, {3, 3, 1, 2}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, 2},
};

// kernels are [spatial, filters, channels]; low and high are cropped from the full result
const Shape kTransposes[] = {
    {{2, 5, 3}, {3, 4, 3}, {1}, {1}, {0}, {0}, 1},
    {{1, 9, 2}, {4, 33, 2}, {3}, {1}, {1}, {-2}, 1},
    {{2, 4, 5, 3}, {3, 3, 6, 3}, {2, 2}, {1, 1}, {0, 0}, {1, 1}, 1},
    {{1, 4, 5, 3}, {2, 5, 7, 3}, {2, 3}, {1, 1}, {1, 1}, {0, 1}, 1},
    {{1, 6, 5, 2}, {3, 3, 2, 2}, {2, 3}, {2, 2}, {1, 0}, {0, 2}, 1},
    {{1, 4, 4, 2}, {2, 2, 3, 2}, {4, 6}, {2, 4}, {0, 0}, {-3, -1}, 1}, // outputs that nothing reaches
    {{1, 3, 2, 4, 5}, {2, 3, 2, 4, 5}, {1, 2, 2}, {1, 1, 2}, {0, 1, 1}, {0, 1, 0}, 1},
    {{1, 7, 7, 33}, {4, 4, 31, 33}, {2, 2}, {1, 1}, {1, 1}, {1, 1}, 1},
    {{1, 2, 2, 1}, {1, 1, 1, 1}, {7, 5}, {1, 1}, {0, 0}, {-20, -9}, 1}, // a stride larger than the kernel
    {{1, 1, 1, 2}, {3, 3, 2, 2}, {9, 9}, {1, 1}, {1, 0}, {0, 1}, 1},     // a stride larger than the result
};

TEST(CudaConv, Shapes) {
    for (cornu_dtype dtype : kFloats) {
        for (const Shape& s : kShapes) expect_conv(dtype, CN_OP_conv, s);
        for (const Shape& s : kPoints) expect_conv(dtype, CN_OP_conv, s);
        for (const Shape& s : kDepthwise) expect_conv(dtype, CN_OP_conv, s);
    }
}

TEST(CudaConv, Transposes) {
    for (cornu_dtype dtype : kFloats) {
        for (const Shape& s : kTransposes) expect_conv(dtype, CN_OP_conv_transpose, s);
    }
}

TEST(CudaConv, Epilogues) {
    const cn_act acts[] = {act_of(CN_EW_copy), act_of(CN_EW_relu), act_of(CN_EW_gelu), act_of(CN_EW_elu, 0.5), act_of(CN_EW_mish)};
    for (cornu_dtype dtype : kFloats) {
        for (cn_act act : acts) {
            for (int parts = 0; parts < 4; parts++) {
                expect_conv(dtype, CN_OP_conv, kShapes[4], parts & 1, parts & 2, act, false);
                expect_conv(dtype, CN_OP_conv, kPoints[0], parts & 1, parts & 2, act);
                expect_conv(dtype, CN_OP_conv, kDepthwise[1], parts & 1, parts & 2, act);
                if (!(parts & 2)) expect_conv(dtype, CN_OP_conv_transpose, kTransposes[3], parts & 1, false, act);
            }
        }
    }
}

// More tiles than the small form is used for.
TEST(CudaConv, LargeTiles) {
    expect_conv(CORNU_FLOAT32, CN_OP_conv, {{2, 46, 46, 3}, {3, 3, 3, 70}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, 1}, true, true, act_of(CN_EW_silu));
    expect_conv(CORNU_FLOAT16, CN_OP_conv, {{1, 67, 66, 4}, {2, 2, 2, 130}, {1, 1}, {1, 1}, {1, 0}, {0, 1}, 2}, true);
    expect_conv(CORNU_FLOAT32, CN_OP_conv_transpose, {{2, 46, 46, 3}, {3, 2, 70, 3}, {1, 2}, {1, 1}, {1, 0}, {1, 0}, 1}, true);
}

TEST(CudaConv, LongSums) {
    expect_conv(CORNU_FLOAT32, CN_OP_conv, {{1, 3, 3, 1500}, {3, 3, 1500, 2}, {1, 1}, {1, 1}, {0, 0}, {0, 0}, 1});
    expect_conv(CORNU_FLOAT16, CN_OP_conv, {{1, 3, 3, 700}, {3, 3, 700, 2}, {1, 1}, {1, 1}, {0, 0}, {0, 0}, 1});
}

// A padded image without cells gives the bias.
TEST(CudaConv, NoCells) {
    expect_conv(CORNU_FLOAT32, CN_OP_conv, {{2, 0, 3}, {2, 3, 4}, {1}, {1}, {2}, {2}, 1}, true, false, act_of(CN_EW_sigmoid));
    expect_conv(CORNU_FLOAT32, CN_OP_conv, {{2, 0, 3}, {2, 1, 3}, {1}, {1}, {2}, {2}, 3}, true);
}

}  // namespace
