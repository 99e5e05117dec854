/* The reference's matrix functions, in double: textbook algorithms on one small dense matrix after the other. */
#include <math.h>
#include <string.h>

#include "backend/cpu/ref_ops.h"
#include "base/alloc.h"
#include "base/dtype.h"
#include "base/size.h"

/* Partial pivoting in place: row i of lu is row perm[i] of a. Gives the sign of the permutation. */
static double factor_lu(double* a, int64_t n, int64_t* perm) {
    double sign = 1;

    for (int64_t i = 0; i < n; i++) perm[i] = i;
    for (int64_t k = 0; k < n; k++) {
        int64_t best = k;
        for (int64_t i = k + 1; i < n; i++) best = fabs(a[i * n + k]) > fabs(a[best * n + k]) ? i : best;
        for (int64_t j = 0; best != k && j < n; j++) {
            double swap = a[k * n + j];
            a[k * n + j] = a[best * n + j];
            a[best * n + j] = swap;
        }
        if (best != k) {
            int64_t swap = perm[k];
            perm[k] = perm[best];
            perm[best] = swap;
            sign = -sign;
        }
        for (int64_t i = k + 1; a[k * n + k] != 0 && i < n; i++) {
            double f = a[i * n + k] / a[k * n + k];
            a[i * n + k] = f;
            for (int64_t j = k + 1; j < n; j++) a[i * n + j] -= f * a[k * n + j];
        }
    }
    return sign;
}

/* Solves with a triangle of a [n, n] for the columns of b [n, m], in place. */
static void solve_triangle(const double* a, int64_t n, double* b, int64_t m, bool lower, bool unit) {
    for (int64_t step = 0; step < n; step++) {
        int64_t i = lower ? step : n - 1 - step;
        for (int64_t c = 0; c < m; c++) {
            double sum = b[i * m + c];
            for (int64_t k = lower ? 0 : i + 1; k < (lower ? i : n); k++) sum -= a[i * n + k] * b[k * m + c];
            b[i * m + c] = unit ? sum : sum / a[i * n + i];
        }
    }
}

static cornu_status factor_cholesky(double* a, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j <= i; j++) {
            double sum = a[i * n + j];
            for (int64_t k = 0; k < j; k++) sum -= a[i * n + k] * a[j * n + k];
            if (i == j && !(sum > 0)) return CN_FAIL(BAD_ARGUMENT, "cholesky of a matrix that is not positive definite");
            a[i * n + j] = i == j ? sqrt(sum) : sum / a[j * n + j];
        }
        for (int64_t j = i + 1; j < n; j++) a[i * n + j] = 0;
    }
    return CORNU_OK;
}

/* Householder: a [m, n] becomes R, q [m, m] becomes Q. */
static void factor_qr(double* a, int64_t m, int64_t n, double* q, double* v) {
    for (int64_t i = 0; i < m * m; i++) q[i] = i / m == i % m;
    for (int64_t k = 0; k < n && k < m - 1; k++) {
        double norm = 0, length = 0;
        for (int64_t i = k; i < m; i++) norm += a[i * n + k] * a[i * n + k];
        norm = a[k * n + k] > 0 ? -sqrt(norm) : sqrt(norm);
        for (int64_t i = 0; i < m; i++) v[i] = i < k ? 0 : i == k ? a[k * n + k] - norm : a[i * n + k];
        for (int64_t i = k; i < m; i++) length += v[i] * v[i];
        if (length == 0) continue;
        for (int64_t j = 0; j < n; j++) {
            double dot = 0;
            for (int64_t i = k; i < m; i++) dot += v[i] * a[i * n + j];
            for (int64_t i = k; i < m; i++) a[i * n + j] -= 2 * dot / length * v[i];
        }
        for (int64_t r = 0; r < m; r++) {
            double dot = 0;
            for (int64_t i = k; i < m; i++) dot += q[r * m + i] * v[i];
            for (int64_t i = k; i < m; i++) q[r * m + i] -= 2 * dot / length * v[i];
        }
    }
}

/* One-sided Jacobi: the columns of a [m, n] become orthogonal, a = u s, and v [n, n] collects the rotations: x = a v^T. */
static void orthogonalise(double* a, int64_t m, int64_t n, double* v) {
    for (int64_t i = 0; i < n * n; i++) v[i] = i / n == i % n;
    for (int sweep = 0; sweep < 60; sweep++) {
        bool done = true;
        for (int64_t p = 0; p < n * n; p++) {
            int64_t i = p / n, j = p % n;
            double aa = 0, bb = 0, ab = 0, t, c;
            if (i >= j) continue;
            for (int64_t r = 0; r < m; r++) {
                aa += a[r * n + i] * a[r * n + i];
                bb += a[r * n + j] * a[r * n + j];
                ab += a[r * n + i] * a[r * n + j];
            }
            if (fabs(ab) <= 1e-16 * sqrt(aa * bb) || ab == 0) continue;
            done = false;
            t = (bb - aa) / (2 * ab);
            t = (t >= 0 ? 1 : -1) / (fabs(t) + sqrt(1 + t * t));
            c = 1 / sqrt(1 + t * t);
            for (int64_t r = 0; r < m + n; r++) { /* the rows of a, then those of v */
                double* row = r < m ? &a[r * n] : &v[(r - m) * n];
                double x = row[i], y = row[j];
                row[i] = c * x - c * t * y;
                row[j] = c * t * x + c * y;
            }
        }
        if (done) break;
    }
}

typedef struct work {
    double *a, *b, *v; /* of max(m, n)^2, that or n * columns, and a vector */
    int64_t* perm;
    int64_t m, n, columns;
} work;

static void store_all(const cn_ref_step* s, int64_t base, const double* from, int64_t count) {
    for (int64_t i = 0; i < count; i++) cn_ref_store(s->type->dtype, s->out, base + i, from[i]);
}

static void solve_lu(const cn_ref_step* s, work* w, int64_t index) {
    int64_t n = w->n, columns = w->columns;
    bool inverse = s->attr->linalg.kind == CN_LINALG_INV;

    (void)factor_lu(w->a, n, w->perm);
    for (int64_t i = 0; i < n; i++) {
        for (int64_t c = 0; c < columns; c++) {
            w->b[i * columns + c] = inverse ? (double)(w->perm[i] == c) : cn_ref_load(s->types[1]->dtype, s->in[1], (index * n + w->perm[i]) * columns + c);
        }
    }
    solve_triangle(w->a, n, w->b, columns, true, true);
    solve_triangle(w->a, n, w->b, columns, false, false);
    store_all(s, index * n * columns, w->b, n * columns);
}

static void write_determinant(const cn_ref_step* s, work* w, int64_t index) {
    double sign = factor_lu(w->a, w->n, w->perm), logarithm = 0, product = 1;

    for (int64_t i = 0; i < w->n; i++) {
        double d = w->a[i * w->n + i];
        sign = d < 0 ? -sign : d == 0 ? 0 : sign;
        logarithm += log(fabs(d));
        product *= fabs(d);
    }
    if (s->attr->linalg.kind == CN_LINALG_DET) product *= sign;
    else product = s->attr->linalg.kind == CN_LINALG_SIGN_DET ? sign : logarithm;
    cn_ref_store(s->type->dtype, s->out, index, product);
}

static void write_qr(const cn_ref_step* s, work* w, int64_t index) {
    int64_t m = w->m, n = w->n, k = s->attr->linalg.full || m < n ? m : n;

    factor_qr(w->a, m, n, w->b, w->v);
    if (s->attr->linalg.kind == CN_LINALG_QR_Q) {
        for (int64_t i = 0; i < m; i++) store_all(s, (index * m + i) * k, &w->b[i * m], k);
        return;
    }
    for (int64_t i = 0; i < k; i++) {
        for (int64_t j = 0; j < n && j < i; j++) w->a[i * n + j] = 0;
        store_all(s, (index * k + i) * n, &w->a[i * n], n);
    }
}

/* Singular values, largest first, or v s^-1 u^T. */
static void write_svd(const cn_ref_step* s, work* w, int64_t index) {
    int64_t m = w->m, n = w->n, least = m < n ? m : n;
    double largest = 0;

    orthogonalise(w->a, m, n, w->b);
    for (int64_t j = 0; j < n; j++) {
        w->v[j] = 0;
        for (int64_t i = 0; i < m; i++) w->v[j] += w->a[i * n + j] * w->a[i * n + j];
        w->v[j] = sqrt(w->v[j]);
        largest = w->v[j] > largest ? w->v[j] : largest;
    }
    if (s->attr->linalg.kind == CN_LINALG_PINV) {
        for (int64_t e = 0; e < n * m; e++) {
            double sum = 0;
            for (int64_t j = 0; j < n; j++) {
                if (w->v[j] > s->attr->linalg.rcond * largest) sum += w->b[e / m * n + j] * w->a[e % m * n + j] / (w->v[j] * w->v[j]);
            }
            cn_ref_store(s->type->dtype, s->out, index * n * m + e, sum);
        }
        return;
    }
    for (int64_t i = 1; i < n; i++) { /* insertion sort, largest first */
        double value = w->v[i];
        int64_t at = i;
        for (; at > 0 && w->v[at - 1] < value; at--) w->v[at] = w->v[at - 1];
        w->v[at] = value;
    }
    store_all(s, index * least, w->v, least);
}

static cornu_status run_matrix(const cn_ref_step* s, work* w, int64_t index) {
    int64_t m = w->m, n = w->n;

    for (int64_t i = 0; i < m * n; i++) w->a[i] = cn_ref_load(s->types[0]->dtype, s->in[0], index * m * n + i);
    switch (s->attr->linalg.kind) {
        case CN_LINALG_CHOLESKY:
            CN_TRY(factor_cholesky(w->a, n));
            store_all(s, index * n * n, w->a, n * n);
            break;
        case CN_LINALG_DET:
        case CN_LINALG_SIGN_DET:
        case CN_LINALG_LOG_ABS_DET: write_determinant(s, w, index); break;
        case CN_LINALG_INV:
        case CN_LINALG_SOLVE: solve_lu(s, w, index); break;
        case CN_LINALG_TRIANGULAR:
            for (int64_t i = 0; i < n * w->columns; i++) w->b[i] = cn_ref_load(s->types[1]->dtype, s->in[1], index * n * w->columns + i);
            solve_triangle(w->a, n, w->b, w->columns, s->attr->linalg.lower, false);
            store_all(s, index * n * w->columns, w->b, n * w->columns);
            break;
        case CN_LINALG_LU:
            (void)factor_lu(w->a, n, w->perm);
            store_all(s, index * n * n, w->a, n * n);
            break;
        case CN_LINALG_LU_PERM:
            (void)factor_lu(w->a, n, w->perm);
            for (int64_t i = 0; i < n; i++) cn_ref_store_int(s->type->dtype, s->out, index * n + i, w->perm[i]);
            break;
        case CN_LINALG_QR_Q:
        case CN_LINALG_QR_R: write_qr(s, w, index); break;
        case CN_LINALG_SINGULAR_VALUES:
        case CN_LINALG_PINV: write_svd(s, w, index); break;
    }
    return CORNU_OK;
}

cornu_status cn_ref_linalg(const cn_ref_step* s) {
    const cn_type* t = s->types[0];
    work w = {.m = t->dims[t->ndim - 2], .n = t->dims[t->ndim - 1]};
    uint64_t most = (uint64_t)(w.m > w.n ? w.m : w.n), cells, right;
    int64_t count = 1;
    cornu_status st = CORNU_OK;

    for (int i = 0; i < t->ndim - 2; i++) count *= t->dims[i];
    w.columns = s->n > 1 ? s->types[1]->dims[s->types[1]->ndim - 1] : w.n;
    if (!cn_size_mul(most, most, &cells) || !cn_size_mul(most, (uint64_t)w.columns, &right)) return CN_NO_MEMORY(SIZE_MAX);
    w.a = cn_alloc_zero((size_t)cells + 1, sizeof *w.a);
    w.b = cn_alloc_zero((size_t)(cells > right ? cells : right) + 1, sizeof *w.b);
    w.v = cn_alloc_zero((size_t)most + 1, sizeof *w.v);
    w.perm = cn_alloc_zero((size_t)most + 1, sizeof *w.perm);
    if (!w.a || !w.b || !w.v || !w.perm) {
        st = CN_NO_MEMORY((size_t)cells * sizeof *w.a);
        goto done;
    }
    for (int64_t i = 0; i < count; i++) CN_STEP(run_matrix(s, &w, i));
done:
    cn_free(w.a);
    cn_free(w.b);
    cn_free(w.v);
    cn_free(w.perm);
    return st;
}
