/* Moving elements: copies under strides (broadcast, transpose, slice), concatenation, padding. Elements are what `size` says, 1, 2, 4, 8 or 16
 * bytes; nothing is computed. */
#ifndef CN_KERNELS_MOVE_H
#define CN_KERNELS_MOVE_H

#include "kernels/kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

/* y, dense over dims, element i from x[base + sum of its index times strides]; strides may be 0 or negative. Best with neighbouring axes
 * joined where one stride serves both. */
typedef struct cn_strided_copy_args {
    const void* x;
    void* y;
    int size, ndim;
    int64_t base;
    int64_t dims[CORNU_MAX_DIMS], strides[CORNU_MAX_DIMS];
} cn_strided_copy_args;

cudaError_t cn_k_strided_copy(const cn_queue* q, const cn_strided_copy_args* a);

/* Columns [start[0], start[count]) of y [outer, row] from inputs that lie beside each other there: input k is [outer, start[k + 1] - start[k]]. */
#define CN_CONCAT_INPUTS 64
typedef struct cn_concat_args {
    void* y;
    int size, count;
    int64_t outer, row; /* elements */
    int64_t start[CN_CONCAT_INPUTS + 1];
    const void* x[CN_CONCAT_INPUTS];
} cn_concat_args;

cudaError_t cn_k_concat(const cn_queue* q, const cn_concat_args* a);

typedef enum cn_border { CN_BORDER_CONSTANT, CN_BORDER_REFLECT, CN_BORDER_SYMMETRIC, CN_BORDER_EDGE } cn_border;

typedef struct cn_pad_args {
    const void* x; /* dense over in_dims */
    void* y;       /* dense over dims */
    int size, ndim;
    cn_border border;
    int64_t dims[CORNU_MAX_DIMS], in_dims[CORNU_MAX_DIMS], low[CORNU_MAX_DIMS];
    unsigned char value[16]; /* an element */
} cn_pad_args;

cudaError_t cn_k_pad(const cn_queue* q, const cn_pad_args* a);

#ifdef __cplusplus
}
#endif

#endif
