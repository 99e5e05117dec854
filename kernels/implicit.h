/* Convolutions of one group as products of matrices, by tensor cores or by fused multiply-adds. */
#ifndef CN_KERNELS_IMPLICIT_H
#define CN_KERNELS_IMPLICIT_H

#include "kernels/conv.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum cn_implicit_tile {
    CN_IMPLICIT_32X32,
    CN_IMPLICIT_64X64,
    CN_IMPLICIT_128X64,
    CN_IMPLICIT_TILES
} cn_implicit_tile;

/* How it is done. float16 and bfloat16 always go through tensor cores; sums are float32. */
typedef struct cn_implicit_how {
    cn_implicit_tile tile; /* rows (cells of y) by columns (filters) of a block */
    bool tf32;             /* float32: factors rounded to 10 bits of mantissa, by tensor cores */
    bool by_filters;       /* the kernel is stored as [filters, k_dims, channels]; not for float32 without tf32 */
    int splits;            /* parts of the sum that are made apart, 1 or more */
    float* partial;        /* [splits, cells of y, filters] where splits > 1 */
} cn_implicit_how;

/* Whether cn_k_implicit takes it: float32, float16 or bfloat16, one group, all offsets within 31 bits. */
bool cn_implicit_fits(const cn_conv_args* a);
/* Rows and columns of a tile. */
int cn_implicit_rows(cn_implicit_tile tile);
int cn_implicit_columns(cn_implicit_tile tile);
/* Elements of the sum that a block takes in one step. */
int cn_implicit_depth(int dtype);

/* y = act(x * kernel + bias + residual). */
cudaError_t cn_k_implicit(const cn_queue* q, const cn_conv_args* a, const cn_implicit_how* how);

#ifdef __cplusplus
}
#endif

#endif
