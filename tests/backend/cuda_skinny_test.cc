// Products of weights by the library, the kernel for few rows and tiles: every way of them, around the sizes of
// vectors, teams, tiles and splits.
#include "tests/backend/cuda_ways.h"

using namespace cuda_test;

namespace {

const cornu_dtype kSingles[] = {CORNU_FLOAT32, CORNU_FLOAT16, CORNU_BFLOAT16};

// [rows, inner] by weights [inner, columns], as a Dense layer has them; returns the ways.
int expect_rows(cornu_dtype dtype, int64_t rows, int64_t columns, int64_t inner, int parts = 0, cn_act act = {},
                bool special = false, cornu_precision precision = CORNU_PRECISION_STRICT) {
    Case c(dtype);
    c.special = special;
    cn_attr attr = run_graph::no_attr();
    attr.matmul = {false, false, act};
    std::vector<cn_id> in = {c.input_of({rows, inner}), c.constant_of({inner, columns})};
    if (parts) in.push_back(parts & 1 ? c.constant_of({columns}) : CN_NONE);
    if (parts & 2) in.push_back(c.input_of({rows, columns}));
    cn_id y = c.node(CN_OP_matmul, in, attr);
    double tolerance = dtype == CORNU_FLOAT32 && precision == CORNU_PRECISION_TF32 ? 2e-3 : tolerance_of(dtype);
    return expect_ways(c, y, precision, tolerance,
                       std::to_string(rows) + "x" + std::to_string(columns) + "x" + std::to_string(inner));
}

TEST(CudaSkinny, Rows) {
    for (cornu_dtype dtype : kSingles) {
        for (int64_t rows = 1; rows <= 17; rows++) {
            expect_way_count(expect_rows(dtype, rows, 13, 40), rows <= 16 || dtype != CORNU_FLOAT32 ? 3 : 2);
            expect_rows(dtype, rows, 7, 37, 3, act_of(CN_EW_silu));
        }
    }
}

TEST(CudaSkinny, Inner) {
    for (cornu_dtype dtype : kSingles) {
        for (int64_t inner : {1, 3, 4, 7, 8, 31, 32, 33, 63, 64, 65, 127, 128, 255, 256, 257, 1000, 1024, 2053, 4096}) {
            expect_rows(dtype, 1, 5, inner);
            expect_rows(dtype, 6, 9, inner);
        }
    }
}

TEST(CudaSkinny, Columns) {
    for (cornu_dtype dtype : kSingles) {
        for (int64_t columns : {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 129, 1000}) {
            expect_rows(dtype, 1, columns, 24);
            expect_rows(dtype, 16, columns, 24);
        }
    }
}

TEST(CudaSkinny, ManyColumns) { expect_rows(CORNU_FLOAT32, 1, 9001, 72, 1, act_of(CN_EW_relu)); }

TEST(CudaSkinny, LongSums) {
    for (cornu_dtype dtype : kSingles) {
        expect_rows(dtype, 1, 3, 20011);
        expect_rows(dtype, 3, 2, 20016);
    }
}

TEST(CudaSkinny, Epilogues) {
    for (cornu_dtype dtype : kSingles) {
        for (cn_act act : {act_of(CN_EW_copy), act_of(CN_EW_relu), act_of(CN_EW_relu6), act_of(CN_EW_gelu),
                           act_of(CN_EW_leaky_relu, 0.25), act_of(CN_EW_clip, -0.5, 0.75)}) {
            for (int parts = 0; parts < 4; parts++) expect_rows(dtype, 3, 18, 48, parts, act);
        }
    }
}

// What follows the library's product, sixteen bytes at a time.
TEST(CudaSkinny, LibraryEpilogues) {
    for (cornu_dtype dtype : kSingles) {
        for (cn_act act : {act_of(CN_EW_silu), act_of(CN_EW_gelu), act_of(CN_EW_hard_silu), act_of(CN_EW_tanh),
                           act_of(CN_EW_clip, -0.5, 0.75)}) {
            for (int parts = 0; parts < 4; parts++) expect_rows(dtype, 21, 24, 16, parts, act);
        }
    }
}

TEST(CudaSkinny, NotFinite) {
    for (cornu_dtype dtype : kSingles) expect_rows(dtype, 5, 40, 2, 1, act_of(CN_EW_relu), true);
}

// By tensor cores, with every activation in the tile's end.
TEST(CudaSkinny, Tiles) {
    for (cornu_dtype dtype : kSingles) {
        for (int64_t size : {1, 3, 8, 31, 32, 33, 63, 64, 65, 72, 127, 128, 130}) {
            expect_rows(dtype, 17, size, 40, 0, {}, false, CORNU_PRECISION_TF32);
            expect_rows(dtype, 40, 40, size, 3, act_of(CN_EW_gelu), false, CORNU_PRECISION_TF32);
            expect_rows(dtype, size + 16, 70, 24, 1, act_of(CN_EW_silu), false, CORNU_PRECISION_TF32);
        }
        expect_way_count(expect_rows(dtype, 130, 66, 1100, 1, {}, false, CORNU_PRECISION_TF32), 2 + 6);
        expect_rows(dtype, 40, 40, 6, 1, act_of(CN_EW_relu), true, CORNU_PRECISION_TF32);
    }
}

TEST(CudaSkinny, WithoutLibrary) {
    WithoutLibrary without;
    for (cornu_dtype dtype : kSingles) {
        EXPECT_EQ(expect_rows(dtype, 1, 13, 64, 3, act_of(CN_EW_tanh)), 1);
        EXPECT_EQ(expect_rows(dtype, 16, 13, 64), 1);
        EXPECT_EQ(expect_rows(dtype, 17, 13, 64), 1);
        expect_rows(dtype, 40, 80, 64, 3, act_of(CN_EW_tanh));
    }
}

}  // namespace
