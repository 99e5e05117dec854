/* Products of matrices by cuBLASLt. */
#ifndef CN_BACKEND_CUDA_CUBLASLT_H
#define CN_BACKEND_CUDA_CUBLASLT_H

#include "backend/cuda/precision.h"

#ifdef __cplusplus
extern "C" {
#endif

/* y [rows, columns] = act(a b + bias + residual), all dense and row-major; `batches` of them, with steps in elements between the matrices. */
typedef struct cn_lt_problem {
    cornu_dtype dtype; /* a float; sums in float32, or float64 for float64 */
    cn_compute compute; /* TF32 or F32 of float32; of other dtypes it is not looked at */
    int64_t rows, columns, inner;
    bool swapped_a, swapped_b; /* a is stored as [inner, rows]; b as [columns, inner] */
    int64_t batches, a_step, b_step, y_step; /* step 0: one matrix for all */
    uint64_t a_align, b_align, y_align;      /* of the addresses, bytes */
    bool bias;     /* [columns], aligned to 16 */
    bool relu;
    bool residual; /* laid out as y */
} cn_lt_problem;

#define CN_LT_WAYS 8 /* algorithms that are asked for */

typedef struct cn_lt_product {
    cublasLtMatmulDesc_t product;
    cublasLtMatrixLayout_t a, b, y;
    cublasLtMatmulAlgo_t algorithms[CN_LT_WAYS]; /* as the library ranks them */
    uint64_t workspace_bytes[CN_LT_WAYS];
    int ways;
    bool is_double, bias, residual;
} cn_lt_product;

/* What a run gives. */
typedef struct cn_lt_operands {
    const void *a, *b, *bias, *residual;
    void* y;
} cn_lt_operands;

/* Finds out how the library makes it, and asks for the workspace of its greediest way. *found false: it has no way, out holds nothing. */
cornu_status cn_lt_product_init(cn_cuda_executable* e, const cn_lt_problem* problem, cn_lt_product* out, bool* found);
/* Accepts what is zeroed. */
void cn_lt_product_deinit(cn_lt_product* p);
/* way: below p->ways. */
cornu_status cn_lt_product_run(const cn_lt_product* p, int way, const cn_cuda_frame* frame, const cn_lt_operands* operands);

#ifdef __cplusplus
}
#endif

#endif
