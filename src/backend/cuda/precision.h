/* In which arithmetic a product is made: one policy for the library's products and for our own kernels. */
#ifndef CN_BACKEND_CUDA_PRECISION_H
#define CN_BACKEND_CUDA_PRECISION_H

#include "backend/cuda/cuda.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What the factors are rounded to before they are multiplied. Sums are float32, of float64 factors float64. */
typedef enum cn_compute {
    CN_COMPUTE_F32,
    CN_COMPUTE_TF32, /* float32 elements, rounded to nearest even at 10 bits of fraction */
    CN_COMPUTE_F16,  /* elements as they are stored */
    CN_COMPUTE_BF16, /* elements as they are stored */
    CN_COMPUTE_F64
} cn_compute;

/* For a node (matmul, conv, conv_transpose) that makes products of [rows, inner] by [inner, columns]; of a convolution, rows are the cells of
 * the result and inner the elements of one filter. Elements of other dtypes than float32 are multiplied as they are; of float32:
 *
 *     strict                  F32
 *     tf32                    TF32
 *     default, bf16, fp16     TF32 for convolutions, and for products of 2^20 multiplications and more; else F32, and F32 too for
 *                             up to 16 rows (memory bound: TF32 gains nothing) and for an output head: a matmul with up to 16 columns
 *                             behind which there is no other product
 *
 * Recurrences, softmax, norms and reductions are float32 in every mode. */
cn_compute cn_cuda_compute_of(const cn_cuda_executable* e, const cn_node* node, int64_t rows, int64_t columns, int64_t inner);

/* Fills e->heads: for each value whether no product takes it in, directly or through other nodes. */
cornu_status cn_cuda_find_heads(cn_cuda_executable* e);

#ifdef __cplusplus
}
#endif

#endif
