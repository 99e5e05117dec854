/* Products of matrices of any dtype, and the elementwise end of those that a library made. */
#ifndef CN_KERNELS_MATMUL_H
#define CN_KERNELS_MATMUL_H

#include "kernels/kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

/* y [batches, rows, columns] = act(a b + bias + residual). Steps are in elements: element (row, k) of a is at row * a_row + k * a_k. */
typedef struct cn_matmul_args {
    int dtype;
    const void *a, *b;
    const void* bias;     /* [columns], or NULL */
    const void* residual; /* as y, or NULL */
    void* y;
    int64_t rows, columns, inner;
    int64_t a_row, a_k, b_k, b_column;
    int batch_ndim; /* the batch is numbered over these axes, last fastest */
    int64_t batch_dims[CORNU_MAX_DIMS], a_batch[CORNU_MAX_DIMS], b_batch[CORNU_MAX_DIMS]; /* sizes; steps, 0 where broadcast */
    cn_epilogue act;
} cn_matmul_args;

cudaError_t cn_k_matmul(const cn_queue* q, const cn_matmul_args* a);

/* y = act(x + bias) for x [rows, columns] of a float dtype; y may be x. */
typedef struct cn_bias_act_args {
    int dtype;
    const void* x;
    const void* bias; /* [columns], or NULL */
    void* y;
    int64_t rows, columns;
    cn_epilogue act;
} cn_bias_act_args;

cudaError_t cn_k_bias_act(const cn_queue* q, const cn_bias_act_args* a);

#ifdef __cplusplus
}
#endif

#endif
