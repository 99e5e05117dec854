// Matrix functions: every kind, sizes from 0 on, batches, in shared memory and beyond it.
#include "tests/backend/cuda_cases.h"

using namespace cuda_test;

namespace {

enum Content { kAny, kPositive, kSingular };

// x is replaced by x^T x + n I (positive definite), or given equal rows (singular).
void fill(Case& c, int64_t count, int64_t m, int64_t n, Content content) {
    char* bytes = (char*)c.data[0].data();
    std::vector<double> x((size_t)(m * n));
    for (int64_t b = 0; b < count && content != kAny; b++) {
        int64_t base = b * m * n;
        for (int64_t i = 0; i < m * n; i++) x[(size_t)i] = cn_ref_load(c.dtype, bytes, base + i);
        for (int64_t i = 0; i < m; i++) {
            for (int64_t j = 0; j < n; j++) {
                double sum = content == kPositive ? (i == j ? (double)n : 0) : x[(size_t)((i % 2) * n + j)];
                for (int64_t k = 0; k < n && content == kPositive; k++) sum += x[(size_t)(k * n + i)] * x[(size_t)(k * n + j)];
                cn_ref_store(c.dtype, bytes, base + i * n + j, sum);
            }
        }
    }
}

struct Matrices {
    int64_t count, m, n, columns;
};

void expect_linalg(cornu_dtype dtype, cn_linalg_kind kind, const Matrices& s, bool flag, Content content = kAny, double tolerance = 0) {
    Case c(dtype);
    cn_attr a = run_graph::no_attr();
    std::string what = "kind " + std::to_string(kind) + " of " + std::to_string(s.count) + " " + std::to_string(s.m) + " " + std::to_string(s.n);
    a.linalg.kind = kind;
    a.linalg.lower = flag;
    a.linalg.full = flag;
    a.linalg.rcond = 1e-6;
    std::vector<cn_id> in = {c.input_of({s.count, s.m, s.n})};
    fill(c, s.count, s.m, s.n, content);
    if (kind == CN_LINALG_SOLVE || kind == CN_LINALG_TRIANGULAR) in.push_back(c.input_of({s.count, s.n, s.columns}));
    c.expect(c.node(CN_OP_linalg, in, a), what, tolerance > 0 ? tolerance : dtype == CORNU_FLOAT64 ? 1e-9 : tolerance_of(dtype));
}

const Matrices kSquares[] = {{1, 1, 1, 1}, {3, 2, 2, 3}, {2, 5, 5, 1}, {40, 3, 3, 4}, {2, 9, 9, 20}, {2, 33, 33, 2}, {1, 60, 60, 3}};

TEST(CudaLinalg, Squares) {
    for (cornu_dtype dtype : kFloats) {
        for (const Matrices& s : kSquares) {
            for (cn_linalg_kind kind : {CN_LINALG_CHOLESKY, CN_LINALG_DET, CN_LINALG_SIGN_DET, CN_LINALG_LOG_ABS_DET, CN_LINALG_INV, CN_LINALG_SOLVE, CN_LINALG_TRIANGULAR,
                                        CN_LINALG_LU, CN_LINALG_LU_PERM}) {
                if (kind == CN_LINALG_DET && s.n > 9) continue; // overflows float16
                expect_linalg(dtype, kind, s, false, kPositive);
                expect_linalg(dtype, kind, s, true, kPositive);
            }
        }
    }
}

TEST(CudaLinalg, Pivots) {
    for (const Matrices& s : kSquares) {
        for (cn_linalg_kind kind : {CN_LINALG_DET, CN_LINALG_SIGN_DET, CN_LINALG_LOG_ABS_DET, CN_LINALG_INV, CN_LINALG_SOLVE, CN_LINALG_LU, CN_LINALG_LU_PERM}) {
            expect_linalg(CORNU_FLOAT32, kind, s, false);
            expect_linalg(CORNU_FLOAT64, kind, s, false);
        }
    }
    for (cn_linalg_kind kind : {CN_LINALG_DET, CN_LINALG_SIGN_DET, CN_LINALG_LOG_ABS_DET, CN_LINALG_LU, CN_LINALG_LU_PERM}) {
        expect_linalg(CORNU_FLOAT32, kind, {2, 4, 4, 1}, false, kSingular);
    }
}

const Matrices kAny2[] = {{2, 1, 1, 0}, {2, 4, 4, 0}, {2, 3, 5, 0}, {2, 5, 3, 0}, {1, 12, 7, 0}, {1, 7, 12, 0}, {3, 1, 4, 0}, {3, 4, 1, 0}, {1, 33, 20, 0}, {1, 45, 50, 0}};

TEST(CudaLinalg, Rectangles) {
    for (cornu_dtype dtype : kFloats) {
        for (const Matrices& s : kAny2) {
            for (cn_linalg_kind kind : {CN_LINALG_QR_Q, CN_LINALG_QR_R}) {
                expect_linalg(dtype, kind, s, false);
                expect_linalg(dtype, kind, s, true);
            }
            expect_linalg(dtype, CN_LINALG_SINGULAR_VALUES, s, false);
            expect_linalg(dtype, CN_LINALG_PINV, s, false);
        }
    }
    expect_linalg(CORNU_FLOAT32, CN_LINALG_PINV, {2, 6, 4, 0}, false, kSingular);
    expect_linalg(CORNU_FLOAT32, CN_LINALG_SINGULAR_VALUES, {2, 6, 4, 0}, false, kSingular);
}

TEST(CudaLinalg, Empty) {
    expect_linalg(CORNU_FLOAT32, CN_LINALG_DET, {3, 0, 0, 0}, false);
    expect_linalg(CORNU_FLOAT32, CN_LINALG_SIGN_DET, {3, 0, 0, 0}, false);
    expect_linalg(CORNU_FLOAT32, CN_LINALG_LOG_ABS_DET, {1, 0, 0, 0}, false);
    expect_linalg(CORNU_FLOAT32, CN_LINALG_QR_Q, {2, 3, 0, 0}, true);
}

TEST(CudaLinalg, NotPositiveDefinite) {
    cn_plan* plan = nullptr;
    cn_device* device = nullptr;
    cn_executable* executable = nullptr;
    void* arena = nullptr;
    cn_device_options options = {};
    Case c(CORNU_FLOAT32);
    cn_attr a = run_graph::no_attr();
    cn_id x = c.input_of({3, 3});
    const float bad[] = {1, 2, 0, 2, 1, 0, 0, 0, 1}, good[] = {4, 2, 0, 2, 5, 0, 0, 0, 9};
    float out[9];
    memcpy(c.data[0].data(), bad, sizeof bad);
    cn_graph_output(&c.g, c.node(CN_OP_linalg, {x}, a));
    ASSERT_EQ(cn_plan_create(&c.g, cn_backend_cuda.alignment, &plan), CORNU_OK);
    {
        run_graph::Weights weights(plan);
        const void* in[] = {c.data[0].data()};
        void* results[] = {out};
        cn_run r = {};
        ASSERT_EQ(cn_backend_cuda.open(&options, &device), CORNU_OK) << cornu_last_error();
        ASSERT_EQ(cn_backend_cuda.alloc(device, plan->arena_bytes, &arena), CORNU_OK);
        ASSERT_EQ(cn_backend_cuda.prepare(device, plan, &weights.base, &executable), CORNU_OK) << cornu_last_error();
        r.inputs = in;
        r.outputs = results;
        r.arena = arena;
        EXPECT_EQ(cn_backend_cuda.run(executable, &r), CORNU_BAD_ARGUMENT);
        EXPECT_NE(strstr(cornu_last_error(), "cholesky of a matrix that is not positive definite"), nullptr) << cornu_last_error();
        memcpy(c.data[0].data(), good, sizeof good);
        EXPECT_EQ(cn_backend_cuda.run(executable, &r), CORNU_OK) << cornu_last_error();
        EXPECT_EQ(out[0], 2);
        EXPECT_EQ(out[8], 3);
        cn_backend_cuda.destroy(executable);
        cn_backend_cuda.free(device, arena);
        cn_backend_cuda.close(device);
    }
    cn_plan_destroy(plan);
}

}  // namespace
