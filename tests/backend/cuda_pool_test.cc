// Pools: windows that reach outside, that cover everything, that cover nothing; every dtype.
#include "tests/backend/cuda_cases.h"

using namespace cuda_test;

namespace {

struct Shape {
    Dims x, window, strides, low, high;
};

void expect_pool(cornu_dtype dtype, cn_op op, cn_pool_kind kind, const Shape& s, bool special = false) {
    Case c(dtype);
    cn_attr a = run_graph::no_attr();
    c.special = special;
    a.pool.kind = kind;
    a.pool.spatial = (int)s.x.size() - 2;
    for (int i = 0; i < a.pool.spatial; i++) {
        size_t k = (size_t)i;
        a.pool.window[i] = s.window[k];
        if (op == CN_OP_adaptive_pool) continue;
        a.pool.strides[i] = s.strides[k];
        a.pool.pad_lo[i] = s.low[k];
        a.pool.pad_hi[i] = s.high[k];
    }
    cn_id y = c.node(op, {c.input_of(s.x)}, a);
    c.expect(y, kind == CN_POOL_MAX ? "max" : "mean");
}

const Shape kShapes[] = {
    {{2, 9, 3}, {3}, {2}, {0}, {0}},
    {{1, 8, 7, 5}, {2, 2}, {2, 2}, {0, 0}, {0, 0}},
    {{2, 8, 7, 33}, {3, 3}, {2, 1}, {1, 0}, {1, 2}},
    {{1, 4, 5, 6, 3}, {2, 2, 2}, {1, 2, 3}, {0, 1, 1}, {1, 1, 0}},
    {{1, 3, 3, 1}, {2, 2}, {3, 3}, {3, 3}, {3, 3}}, // windows of padding alone
    {{2, 11, 13, 5}, {11, 13}, {1, 1}, {0, 0}, {0, 0}}, // global
    {{1, 9, 9, 40}, {9, 9}, {1, 1}, {2, 0}, {0, 2}},
    {{3, 130, 1}, {128}, {1}, {0}, {0}},
    {{1, 5, 6, 7, 2}, {5, 6, 7}, {1, 1, 1}, {0, 0, 0}, {0, 0, 0}},
    {{2, 8, 7, 40}, {3, 2}, {2, 1}, {1, 0}, {1, 2}}, // channels by vectors
    {{1, 3, 3, 8}, {2, 2}, {3, 3}, {3, 3}, {3, 3}},
    {{2, 7, 7, 280}, {7, 7}, {1, 1}, {0, 0}, {0, 0}},
    {{1, 4, 5, 6, 24}, {2, 2, 2}, {1, 2, 3}, {0, 1, 1}, {1, 1, 0}},
};

const Shape kAdaptive[] = {
    {{2, 9, 3}, {4}, {}, {}, {}},
    {{2, 7, 5, 3}, {3, 2}, {}, {}, {}},
    {{1, 3, 2, 2}, {5, 7}, {}, {}, {}}, // more cells out than in
    {{1, 17, 19, 35}, {1, 2}, {}, {}, {}},
    {{1, 4, 5, 6, 2}, {2, 3, 1}, {}, {}, {}},
    {{1, 7, 9, 16}, {3, 2}, {}, {}, {}},
};

TEST(CudaPool, Shapes) {
    for (cornu_dtype dtype : kFloats) {
        for (const Shape& s : kShapes) {
            for (cn_pool_kind kind : {CN_POOL_MAX, CN_POOL_AVG}) expect_pool(dtype, CN_OP_pool, kind, s);
        }
    }
}

TEST(CudaPool, Adaptive) {
    for (cornu_dtype dtype : kFloats) {
        for (const Shape& s : kAdaptive) {
            for (cn_pool_kind kind : {CN_POOL_MAX, CN_POOL_AVG}) expect_pool(dtype, CN_OP_adaptive_pool, kind, s);
        }
    }
}

TEST(CudaPool, Integers) {
    for (cornu_dtype dtype : kIntegers) {
        for (int i : {0, 2, 3, 4, 5}) {
            for (cn_pool_kind kind : {CN_POOL_MAX, CN_POOL_AVG}) expect_pool(dtype, CN_OP_pool, kind, kShapes[i]);
        }
        expect_pool(dtype, CN_OP_adaptive_pool, CN_POOL_AVG, kAdaptive[1]);
    }
}

TEST(CudaPool, NotFinite) {
    for (cornu_dtype dtype : kFloats) {
        for (int i : {0, 1, 2, 5, 6, 9, 10, 11}) {
            for (cn_pool_kind kind : {CN_POOL_MAX, CN_POOL_AVG}) expect_pool(dtype, CN_OP_pool, kind, kShapes[i], true);
        }
    }
}

// Numbers above 2^63 are the largest, on the reference too.
TEST(CudaPool, LargeUnsigned) {
    const uint64_t values[] = {3, (UINT64_C(1) << 63) + 5, 1, (UINT64_C(1) << 63) + 3}, wanted[] = {values[1], (UINT64_C(1) << 62) + 4};
    Case c(CORNU_UINT64);
    cn_attr a = run_graph::pool_attr(CN_POOL_MAX, 1, 4, 1, 0, 0);
    cn_id x = c.input_of({1, 4, 1});
    memcpy(c.data[0].data(), values, sizeof values);
    cn_graph_output(&c.g, c.node(CN_OP_pool, {x}, a));
    a = run_graph::pool_attr(CN_POOL_AVG, 1, 2, 2, 0, 0);
    cn_graph_output(&c.g, c.node(CN_OP_pool, {x}, a));
    for (const cn_backend& backend : {cn_backend_reference, cn_backend_cuda}) {
        std::vector<std::vector<char>> y = run_graph::run(c.g, backend, c.data);
        EXPECT_EQ(memcmp(y[0].data(), &wanted[0], 8), 0);
        EXPECT_EQ(memcmp(y[1].data(), &wanted[1], 8), 0);
    }
}

}  // namespace
