/* Products of few rows with a matrix of weights that is stored by columns. */
#ifndef CN_KERNELS_SKINNY_H
#define CN_KERNELS_SKINNY_H

#include "kernels/kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CN_SKINNY_ROWS 16 /* at most */

/* y [rows, columns] = act(x weights^T + bias + residual). */
typedef struct cn_skinny_args {
    int dtype;            /* float32, float16 or bfloat16; sums in float32 */
    const void* x;        /* [rows, inner] */
    const void* weights;  /* [columns, inner] */
    const void* bias;     /* [columns], or NULL */
    const void* residual; /* as y, or NULL */
    void* y;
    int64_t rows, columns, inner;
    cn_epilogue act;
} cn_skinny_args;

cudaError_t cn_k_skinny(const cn_queue* q, const cn_skinny_args* a);

#ifdef __cplusplus
}
#endif

#endif
