// Normalizations: all sets of axes, with and without gamma and beta, lines of all lengths, means far from zero, every float dtype.
#include "tests/backend/cuda_cases.h"

using namespace cuda_test;

namespace {

struct Shape {
    Dims dims;
    uint32_t axes;
    int64_t groups;
};

Dims params_of(const Shape& s, cn_op op) {
    int64_t n = 1;
    if (op == CN_OP_group_norm) return {s.dims.back()};
    for (size_t i = 0; i < s.dims.size(); i++) n *= s.axes >> i & 1 ? s.dims[i] : 1;
    return {n};
}

// params: bit 0 gamma, bit 1 beta, bit 2 residual
void expect_norm(cornu_dtype dtype, cn_op op, const Shape& s, int params, bool no_center = false, double shift = 0, double scale = 1, bool special = false) {
    Case c(dtype);
    cn_attr a = run_graph::no_attr();
    std::string what = cn_op_info_of(op)->name;
    Dims vector = params_of(s, op);
    c.special = special;
    a.norm.axes = s.axes;
    a.norm.epsilon = 1e-3;
    a.norm.groups = s.groups;
    a.norm.no_center = no_center;
    for (int64_t d : s.dims) what += " " + std::to_string(d);
    std::vector<cn_id> in = {c.input_of(s.dims)};
    for (int64_t i = 0; i < cn_type_count(&c.g.types[in[0]]); i++) {
        cn_ref_store(dtype, c.data[0].data(), i, cn_ref_load(dtype, c.data[0].data(), i) * scale + shift);
    }
    if (op == CN_OP_batch_norm) {
        in.push_back(c.input_of(vector));
        in.push_back(c.input_of(vector));
        for (size_t i = 0; i < (size_t)vector[0]; i++) cn_ref_store(dtype, c.data[2].data(), (int64_t)i, 0.5 + (double)i / 7);
    }
    c.special = false;
    if (params) in.push_back(params & 1 ? c.constant_of(vector) : CN_NONE);
    if (params > 1) in.push_back(params & 2 ? c.input_of(vector) : CN_NONE);
    if (params & 4) in.push_back(c.input_of(s.dims));
    c.expect(c.node(op, in, a), what);
}

const Shape kVectors[] = {{{5}, 1, 0}, {{3, 7}, 2, 0}, {{3, 7}, 1, 0}, {{2, 5, 3, 4}, 8, 0}, {{2, 5, 3, 4}, 2, 0}, {{2, 40, 41, 3}, 8, 0}, {{1, 1, 9}, 2, 0}};

const Shape kLines[] = {
    {{6}, 1, 0},          {{9}, 1, 0},         {{3, 33}, 2, 0},   {{9, 31}, 2, 0},     {{3, 40, 5}, 2, 0}, {{2, 3, 4, 5}, 10, 0}, {{2, 3, 4, 5}, 14, 0}, {{2, 3, 4, 5}, 4, 0},
    {{4, 768}, 2, 0},     {{2, 1024}, 2, 0},   {{2, 1025}, 2, 0}, {{1, 10241}, 2, 0}, {{1, 5121}, 2, 0},  {{1, 40, 2100}, 2, 0}, {{4097, 3}, 2, 0},     {{20, 1}, 2, 0},
    {{5, 16}, 2, 0},      {{3, 136}, 2, 0},    {{3, 520}, 2, 0}, {{2, 2056}, 2, 0},   {{2, 4096}, 2, 0},  {{1, 16384}, 2, 0},   {{1, 4, 4, 16}, 12, 0}, {{7, 2, 16}, 6, 0},
};

const Shape kGroups[] = {
    {{2, 6}, 0, 3}, {{2, 5, 6}, 0, 2}, {{2, 3, 4, 12}, 0, 4}, {{1, 9, 9, 8}, 0, 8}, {{1, 9, 9, 8}, 0, 1}, {{2, 40, 33, 4}, 0, 2}, {{1, 3, 2, 2, 6}, 0, 3}, {{1, 101, 103, 2}, 0, 1},
    {{2, 3, 8}, 0, 2}, {{2, 3, 4, 32}, 0, 4}, {{1, 9, 20}, 0, 2}, {{3, 5, 7, 16}, 0, 1}, {{2, 40, 33, 8}, 0, 2}, {{1, 101, 103, 4}, 0, 1}, {{1, 50, 53, 16}, 0, 2}, {{2, 24}, 0, 3},
};

TEST(CudaNorm, Batch) {
    for (cornu_dtype dtype : kFloats) {
        for (const Shape& s : kVectors) {
            for (int params = 0; params < 4; params++) expect_norm(dtype, CN_OP_batch_norm, s, params);
        }
    }
}

TEST(CudaNorm, Layer) {
    for (cornu_dtype dtype : kFloats) {
        for (const Shape& s : kLines) {
            for (int params = 0; params < 8; params++) expect_norm(dtype, CN_OP_layer_norm, s, params);
            expect_norm(dtype, CN_OP_layer_norm, s, 3, true);
            expect_norm(dtype, CN_OP_layer_norm, s, 7, true);
        }
    }
}

TEST(CudaNorm, Rms) {
    for (cornu_dtype dtype : kFloats) {
        for (const Shape& s : kLines) {
            for (int params : {0, 1, 4, 5}) expect_norm(dtype, CN_OP_rms_norm, s, params, false, 0.25);
        }
    }
}

TEST(CudaNorm, Groups) {
    for (cornu_dtype dtype : kFloats) {
        for (const Shape& s : kGroups) {
            for (int params = 0; params < 4; params++) expect_norm(dtype, CN_OP_group_norm, s, params);
        }
    }
}

TEST(CudaNorm, MeanFarFromZero) {
    for (const Shape& s : {kLines[3], kLines[7], kLines[8], kLines[10], kLines[13]}) {
        expect_norm(CORNU_FLOAT32, CN_OP_layer_norm, s, 3, false, 3000, 1);
        expect_norm(CORNU_FLOAT32, CN_OP_layer_norm, s, 0, false, -1e5, 100);
    }
    expect_norm(CORNU_FLOAT32, CN_OP_group_norm, kGroups[7], 3, false, 3000, 1);
}

TEST(CudaNorm, NaN) {
    for (cornu_dtype dtype : kFloats) {
        for (const Shape& s : {Shape{{40, 4}, 2, 0}, Shape{{9, 12}, 2, 0}, Shape{{3, 40}, 1, 0}}) {
            expect_norm(dtype, CN_OP_layer_norm, s, 3, false, 0, 1, true);
            expect_norm(dtype, CN_OP_rms_norm, s, 1, false, 0, 1, true);
            expect_norm(dtype, CN_OP_batch_norm, {{3, 40}, 2, 0}, 3, false, 0, 1, true);
        }
    }
}

}  // namespace
