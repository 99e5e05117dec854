/* A product of matrices as a step: by the library where it has a way, else by our own kernel. For matmul and for convolutions that are one. */
#ifndef CN_BACKEND_CUDA_PRODUCT_H
#define CN_BACKEND_CUDA_PRODUCT_H

#include "backend/cuda/cuda.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The product of the node's inputs 0 and 1, with bias 2 and residual 3 where present. */
typedef struct cn_cuda_product {
    cornu_dtype dtype;
    int64_t rows, columns, inner;
    bool swapped_a, swapped_b; /* a is stored as [inner, rows]; b as [columns, inner] */
    int batch_ndim;            /* axes of the batch, in the order in which y has them */
    int64_t batch_dims[CORNU_MAX_DIMS], a_steps[CORNU_MAX_DIMS], b_steps[CORNU_MAX_DIMS]; /* steps in matrices' elements; 0: broadcast */
    cn_act act;
} cn_cuda_product;

cornu_status cn_cuda_prepare_product(cn_cuda_executable* e, cn_cuda_step* step, const cn_cuda_product* product);

#ifdef __cplusplus
}
#endif

#endif
