/* Matrix functions: the algorithms of the reference, a block a matrix, in double, in shared memory where the matrix fits. Independent rows,
 * columns or pairs of columns are the threads' work; what is one chain of dependent steps is thread 0's. y may not overlap the inputs. */
#include "kernels/linalg.h"

#include <math.h>

#include "kernels/block.h"
#include "kernels/element.h"

#define THREADS 256

namespace {

/* The working memory of this block. */
struct memory {
    double *a, *b, *v;
    int64_t* perm;
};

CN_DEVICE memory memory_of(const cn_linalg_args& g, double* shared) {
    memory w;
    const uint64_t doubles = g.work.a + g.work.b + 2 * g.work.v;
    w.a = g.shared_bytes ? shared : g.scratch + blockIdx.x * doubles;
    w.b = w.a + g.work.a;
    w.v = w.b + g.work.b;
    w.perm = reinterpret_cast<int64_t*>(w.v + g.work.v);
    return w;
}

/* for (THREADS_OVER(i, from, to)): each once, over the block. */
#define THREADS_OVER(i, from, to) int64_t i = (from) + threadIdx.x; i < (to); i += blockDim.x

/* fn(row, column): each cell of [from .. rows, from .. columns] once: a warp a row, a lane a column. */
template <typename F>
CN_DEVICE void each_cell(int64_t from, int64_t rows, int64_t columns, F fn) {
    for (int64_t i = from + threadIdx.x / CN_WARP; i < rows; i += blockDim.x / CN_WARP) {
        for (int64_t j = from + threadIdx.x % CN_WARP; j < columns; j += CN_WARP) fn(i, j);
    }
}

CN_DEVICE void load_matrix(const cn_linalg_args& g, const void* from, int64_t at, int64_t cells, double* to) {
    for (THREADS_OVER(i, 0, cells)) to[i] = cn_load<double>(g.dtype, from, at + i);
}

CN_DEVICE void store_all(const cn_linalg_args& g, int64_t at, const double* from, int64_t count) {
    for (THREADS_OVER(i, 0, count)) cn_store<double>(g.y_dtype, g.y, at + i, from[i]);
}

/* ---- LU and what is made of it ---- */

/* Partial pivoting in place: row i of a is row perm[i] of the matrix. Gives the sign of the permutation. pivot: a shared word. */
CN_DEVICE double factor_lu(const memory& w, int64_t n, int64_t* pivot) {
    double sign = 1;

    for (THREADS_OVER(i, 0, n)) w.perm[i] = i;
    for (int64_t k = 0; k < n; k++) {
        __syncthreads();
        if (threadIdx.x == 0) {
            int64_t best = k;
            for (int64_t i = k + 1; i < n; i++) best = fabs(w.a[i * n + k]) > fabs(w.a[best * n + k]) ? i : best;
            *pivot = best;
        }
        __syncthreads();
        const int64_t best = *pivot;
        if (best != k) {
            sign = -sign;
            for (THREADS_OVER(j, 0, n)) {
                const double swap = w.a[k * n + j];
                w.a[k * n + j] = w.a[best * n + j];
                w.a[best * n + j] = swap;
            }
            if (threadIdx.x == 0) {
                const int64_t swap = w.perm[k];
                w.perm[k] = w.perm[best];
                w.perm[best] = swap;
            }
        }
        __syncthreads();
        const double head = w.a[k * n + k];
        for (THREADS_OVER(i, k + 1, head != 0 ? n : 0)) w.a[i * n + k] /= head;
        __syncthreads();
        if (head != 0) each_cell(k + 1, n, n, [&](int64_t i, int64_t j) { w.a[i * n + j] -= w.a[i * n + k] * w.a[k * n + j]; });
    }
    __syncthreads();
    return sign;
}

/* Solves with a triangle of a for the columns of b [n, m], in place; a thread a column. */
CN_DEVICE void solve_triangle(const double* a, int64_t n, double* b, int64_t m, bool lower, bool unit) {
    for (THREADS_OVER(c, 0, m)) {
        for (int64_t step = 0; step < n; step++) {
            const int64_t i = lower ? step : n - 1 - step;
            double sum = b[i * m + c];
            for (int64_t k = lower ? 0 : i + 1; k < (lower ? i : n); k++) sum -= a[i * n + k] * b[k * m + c];
            b[i * m + c] = unit ? sum : sum / a[i * n + i];
        }
    }
}

CN_DEVICE void write_determinant(const cn_linalg_args& g, const memory& w, int64_t index, double sign) {
    double logarithm = 0, product = 1;

    if (threadIdx.x != 0) return;
    for (int64_t i = 0; i < g.n; i++) {
        const double d = w.a[i * g.n + i];
        sign = d < 0 ? -sign : d == 0 ? 0 : sign;
        logarithm += log(fabs(d));
        product *= fabs(d);
    }
    cn_store<double>(g.y_dtype, g.y, index, g.kind == CN_K_DET ? product * sign : g.kind == CN_K_SIGN_DET ? sign : logarithm);
}

CN_DEVICE void write_solution(const cn_linalg_args& g, const memory& w, int64_t index) {
    const int64_t n = g.n, columns = g.columns;

    each_cell(0, n, columns, [&](int64_t i, int64_t c) {
        w.b[i * columns + c] = g.kind == CN_K_INV ? static_cast<double>(w.perm[i] == c) : cn_load<double>(g.dtype, g.right, (index * n + w.perm[i]) * columns + c);
    });
    __syncthreads();
    solve_triangle(w.a, n, w.b, columns, true, true);
    solve_triangle(w.a, n, w.b, columns, false, false);
    __syncthreads();
    store_all(g, index * n * columns, w.b, n * columns);
}

CN_KERNEL(THREADS) linalg_lu(cn_linalg_args g) {
    CN_SHARED(int64_t, pivot, [1]);
    CN_DYN_SHARED(double, shared);
    const memory w = memory_of(g, shared);

    for (int64_t index = blockIdx.x; index < g.count; index += gridDim.x) {
        load_matrix(g, g.x, index * g.n * g.n, g.n * g.n, w.a);
        (void)factor_lu(w, g.n, pivot);
        if (g.kind == CN_K_LU) store_all(g, index * g.n * g.n, w.a, g.n * g.n);
        for (THREADS_OVER(i, 0, g.kind == CN_K_LU ? 0 : g.n)) static_cast<int32_t*>(g.y)[index * g.n + i] = static_cast<int32_t>(w.perm[i]);
        __syncthreads();
    }
}

CN_KERNEL(THREADS) linalg_determinant(cn_linalg_args g) {
    CN_SHARED(int64_t, pivot, [1]);
    CN_DYN_SHARED(double, shared);
    const memory w = memory_of(g, shared);

    for (int64_t index = blockIdx.x; index < g.count; index += gridDim.x) {
        load_matrix(g, g.x, index * g.n * g.n, g.n * g.n, w.a);
        const double sign = factor_lu(w, g.n, pivot);
        write_determinant(g, w, index, sign);
        __syncthreads();
    }
}

CN_KERNEL(THREADS) linalg_solve(cn_linalg_args g) {
    CN_SHARED(int64_t, pivot, [1]);
    CN_DYN_SHARED(double, shared);
    const memory w = memory_of(g, shared);

    for (int64_t index = blockIdx.x; index < g.count; index += gridDim.x) {
        load_matrix(g, g.x, index * g.n * g.n, g.n * g.n, w.a);
        (void)factor_lu(w, g.n, pivot);
        write_solution(g, w, index);
        __syncthreads();
    }
}

CN_KERNEL(THREADS) linalg_triangular(cn_linalg_args g) {
    CN_DYN_SHARED(double, shared);
    const memory w = memory_of(g, shared);

    for (int64_t index = blockIdx.x; index < g.count; index += gridDim.x) {
        load_matrix(g, g.x, index * g.n * g.n, g.n * g.n, w.a);
        load_matrix(g, g.right, index * g.n * g.columns, g.n * g.columns, w.b);
        __syncthreads();
        solve_triangle(w.a, g.n, w.b, g.columns, g.lower, false);
        __syncthreads();
        store_all(g, index * g.n * g.columns, w.b, g.n * g.columns);
        __syncthreads();
    }
}

/* ---- Cholesky ---- */

/* Column after column. A matrix that is not positive definite leaves NaN behind. */
CN_KERNEL(THREADS) linalg_cholesky(cn_linalg_args g) {
    CN_DYN_SHARED(double, shared);
    const memory w = memory_of(g, shared);
    const int64_t n = g.n;

    for (int64_t index = blockIdx.x; index < g.count; index += gridDim.x) {
        load_matrix(g, g.x, index * n * n, n * n, w.a);
        for (int64_t j = 0; j < n; j++) {
            __syncthreads();
            if (threadIdx.x == 0) {
                double sum = w.a[j * n + j];
                for (int64_t k = 0; k < j; k++) sum -= w.a[j * n + k] * w.a[j * n + k];
                if (!(sum > 0)) cn_report_fault(g.words, CN_FAULT_CHOLESKY, g.node, index, g.count);
                w.a[j * n + j] = sqrt(sum);
            }
            __syncthreads();
            for (THREADS_OVER(i, j + 1, n)) {
                double sum = w.a[i * n + j];
                for (int64_t k = 0; k < j; k++) sum -= w.a[i * n + k] * w.a[j * n + k];
                w.a[i * n + j] = sum / w.a[j * n + j];
            }
        }
        __syncthreads();
        each_cell(0, n, n, [&](int64_t i, int64_t j) { cn_store<double>(g.y_dtype, g.y, (index * n + i) * n + j, j <= i ? w.a[i * n + j] : 0); });
        __syncthreads();
    }
}

/* ---- QR ---- */

/* Householder: a [m, n] becomes R, q [m, m] becomes Q. Every thread sums the norms itself, all in the same order. */
CN_DEVICE void factor_qr(double* a, int64_t m, int64_t n, double* q, double* v) {
    each_cell(0, m, m, [&](int64_t i, int64_t j) { q[i * m + j] = i == j; });
    __syncthreads();
    for (int64_t k = 0; k < n && k < m - 1; k++) {
        double norm = 0, length = 0;
        for (int64_t i = k; i < m; i++) norm += a[i * n + k] * a[i * n + k];
        norm = a[k * n + k] > 0 ? -sqrt(norm) : sqrt(norm);
        for (THREADS_OVER(i, k, m)) v[i] = i == k ? a[k * n + k] - norm : a[i * n + k];
        __syncthreads();
        for (int64_t i = k; i < m; i++) length += v[i] * v[i];
        for (THREADS_OVER(c, 0, length != 0 ? n + m : 0)) { /* the columns of a, then the rows of q */
            double* cells = c < n ? &a[c] : &q[(c - n) * m];
            const int64_t step = c < n ? n : 1;
            double dot = 0;
            for (int64_t i = k; i < m; i++) dot += v[i] * cells[i * step];
            for (int64_t i = k; i < m; i++) cells[i * step] -= 2 * dot / length * v[i];
        }
        __syncthreads();
    }
}

CN_KERNEL(THREADS) linalg_qr(cn_linalg_args g) {
    CN_DYN_SHARED(double, shared);
    const memory w = memory_of(g, shared);
    const int64_t m = g.m, n = g.n, k = g.full || m < n ? m : n;

    for (int64_t index = blockIdx.x; index < g.count; index += gridDim.x) {
        load_matrix(g, g.x, index * m * n, m * n, w.a);
        factor_qr(w.a, m, n, w.b, w.v);
        if (g.kind == CN_K_QR_Q) each_cell(0, m, k, [&](int64_t i, int64_t j) { cn_store<double>(g.y_dtype, g.y, (index * m + i) * k + j, w.b[i * m + j]); });
        else each_cell(0, k, n, [&](int64_t i, int64_t j) { cn_store<double>(g.y_dtype, g.y, (index * k + i) * n + j, j < i ? 0 : w.a[i * n + j]); });
        __syncthreads();
    }
}

/* ---- singular values ---- */

/* One rotation of columns i and j of a [m, n] that makes them orthogonal, and of v [n, n]. False: they are. */
CN_DEVICE bool rotate(double* a, int64_t m, int64_t n, double* v, int64_t i, int64_t j) {
    double aa = 0, bb = 0, ab = 0;

    for (int64_t r = 0; r < m; r++) {
        aa += a[r * n + i] * a[r * n + i];
        bb += a[r * n + j] * a[r * n + j];
        ab += a[r * n + i] * a[r * n + j];
    }
    if (fabs(ab) <= 1e-15 * sqrt(aa * bb) || ab == 0) return false;
    double t = (bb - aa) / (2 * ab);
    t = (t >= 0 ? 1 : -1) / (fabs(t) + sqrt(1 + t * t));
    const double c = 1 / sqrt(1 + t * t);
    for (int64_t r = 0; r < m + n; r++) { /* the rows of a, then those of v */
        double* row = r < m ? &a[r * n] : &v[(r - m) * n];
        const double x = row[i], y = row[j];
        row[i] = c * x - c * t * y;
        row[j] = c * t * x + c * y;
    }
    return true;
}

/* One-sided Jacobi as the reference does it, but for the order of the pairs: as in a round-robin tournament, all pairs of a round are of
 * different columns, so each is a thread's. With an odd number of columns one sits out. */
CN_DEVICE void orthogonalise(double* a, int64_t m, int64_t n, double* v) {
    const int64_t players = n + n % 2;

    each_cell(0, n, n, [&](int64_t i, int64_t j) { v[i * n + j] = i == j; });
    for (int sweep = 0; sweep < 60; sweep++) {
        int rotated = 0;
        for (int64_t round = 0; round < players - 1; round++) {
            __syncthreads();
            for (THREADS_OVER(p, 0, players / 2)) {
                const int64_t i = p == 0 ? round : (round + p) % (players - 1);
                const int64_t j = p == 0 ? players - 1 : (round - p + players - 1) % (players - 1);
                if (i >= n || j >= n) continue;
                if (rotate(a, m, n, v, i < j ? i : j, i < j ? j : i)) rotated = 1;
            }
        }
        if (!__syncthreads_or(rotated)) break;
    }
    __syncthreads();
}

CN_DEVICE void write_pinv(const cn_linalg_args& g, const memory& w, int64_t index) {
    const int64_t m = g.m, n = g.n;
    double largest = 0;

    for (int64_t j = 0; j < n; j++) largest = w.v[j] > largest ? w.v[j] : largest;
    each_cell(0, n, m, [&](int64_t r, int64_t c) {
        double sum = 0;
        for (int64_t j = 0; j < n; j++) {
            if (w.v[j] > g.rcond * largest) sum += w.b[r * n + j] * w.a[c * n + j] / (w.v[j] * w.v[j]);
        }
        cn_store<double>(g.y_dtype, g.y, (index * n + r) * m + c, sum);
    });
}

CN_DEVICE void write_singular_values(const cn_linalg_args& g, const memory& w, int64_t index) {
    const int64_t least = g.m < g.n ? g.m : g.n;

    for (int64_t i = 1; threadIdx.x == 0 && i < g.n; i++) { /* insertion sort, largest first */
        const double value = w.v[i];
        int64_t at = i;
        for (; at > 0 && w.v[at - 1] < value; at--) w.v[at] = w.v[at - 1];
        w.v[at] = value;
    }
    __syncthreads();
    store_all(g, index * least, w.v, least);
}

CN_KERNEL(THREADS) linalg_svd(cn_linalg_args g) {
    CN_DYN_SHARED(double, shared);
    const memory w = memory_of(g, shared);
    const int64_t m = g.m, n = g.n;

    for (int64_t index = blockIdx.x; index < g.count; index += gridDim.x) {
        load_matrix(g, g.x, index * m * n, m * n, w.a);
        orthogonalise(w.a, m, n, w.b);
        for (THREADS_OVER(j, 0, n)) {
            double squares = 0;
            for (int64_t i = 0; i < m; i++) squares += w.a[i * n + j] * w.a[i * n + j];
            w.v[j] = sqrt(squares);
        }
        __syncthreads();
        if (g.kind == CN_K_PINV) write_pinv(g, w, index);
        else write_singular_values(g, w, index);
        __syncthreads();
    }
}

}  // namespace

extern "C" cudaError_t cn_k_linalg(const cn_queue* q, const cn_linalg_args* a) {
    const int64_t most = a->m > a->n ? a->m : a->n;
    const dim3 grid(static_cast<unsigned>(a->slots)), block(most <= 8 ? 32 : most <= 32 ? 64 : THREADS);
    const size_t bytes = a->shared_bytes;

    switch (a->kind) {
        case CN_K_CHOLESKY: return cn_launch(q, linalg_cholesky, grid, block, bytes, *a);
        case CN_K_TRIANGULAR: return cn_launch(q, linalg_triangular, grid, block, bytes, *a);
        case CN_K_QR_Q:
        case CN_K_QR_R: return cn_launch(q, linalg_qr, grid, block, bytes, *a);
        case CN_K_SINGULAR_VALUES:
        case CN_K_PINV: return cn_launch(q, linalg_svd, grid, block, bytes, *a);
        case CN_K_INV:
        case CN_K_SOLVE: return cn_launch(q, linalg_solve, grid, block, bytes, *a);
        case CN_K_LU:
        case CN_K_LU_PERM: return cn_launch(q, linalg_lu, grid, block, bytes, *a);
        default: return cn_launch(q, linalg_determinant, grid, block, bytes, *a);
    }
}
