/* Inner loops over float32, compiled once for each instruction set from loops_body.inc and chosen when a device is opened.
 * All pointers are dense; y may be x or z itself, but may not overlap them otherwise. */
#ifndef CN_BACKEND_CPU_LOOPS_H
#define CN_BACKEND_CPU_LOOPS_H

#include "graph/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Images that one call of gemm computes: rows of x by pointer. */
#define CN_GEMM_ROWS 6
#define CN_GEMM_COLUMNS 32

typedef void (*cn_loop_ew)(int64_t n, const float* x, const float* z, const cn_act* act, float* y);

typedef struct cn_loops {
    const char* name;
    cn_loop_ew ew[CN_EW_COUNT]; /* NULL: not for float, or the result is bool */
    /* acc[r][j] += sum over k of x[r][k] w[k * ldw + j] for r < CN_GEMM_ROWS, j < CN_GEMM_COLUMNS. All rows must be readable. */
    void (*gemm)(int64_t k, const float* const* x, const float* w, int64_t ldw, float* acc);
    /* The same for a narrow strip: j < n, one row. */
    void (*gemv)(int64_t k, int64_t n, const float* x, const float* w, int64_t ldw, float* acc);
    /* A step of n LSTM units with sigmoid gates and tanh: gates [i, f, c, o][n] before activation; carry is the new c. */
    void (*lstm)(int64_t n, const float* gates, const float* c, float* carry, float* h);
    /* Of n GRU units: gates [z, r, candidate][n]; inner [n] is the part of the candidate that r multiplies. fresh may be inner. */
    void (*gru)(int64_t n, const float* gates, const float* inner, const float* h, float* fresh);
    void (*multiply_add)(int64_t n, const float* x, const float* w, float* acc); /* acc[i] += x[i] w[i] */
    void (*add_wide)(int64_t n, const float* x, double* acc);                    /* acc[i] += x[i] */
    float (*max)(int64_t n, const float* x);                                     /* -inf for none; NaN wins */
    double (*sum)(int64_t n, const float* x);
    double (*sum_squares)(int64_t n, const float* x, float mean);       /* of x - mean */
    double (*exp_minus)(int64_t n, const float* x, float top, float* y); /* y = exp(x - top); their sum */
    void (*scale)(int64_t n, float a, const float* x, float* y);        /* y = a x */
    void (*normalise)(int64_t n, const float* x, float mean, float scale, const float* gamma, const float* beta, float* y); /* gamma, beta may be NULL */
} cn_loops;

extern const cn_loops cn_loops_base, cn_loops_avx2, cn_loops_avx512;

/* The best that this machine runs. */
const cn_loops* cn_loops_choose(void);

#ifdef __cplusplus
}
#endif

#endif
