/* Matrix functions of small dense matrices of floats, in double. */
#ifndef CN_KERNELS_LINALG_H
#define CN_KERNELS_LINALG_H

#include "kernels/kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Numbers of cn_linalg_kind. */
enum {
    CN_K_CHOLESKY,
    CN_K_DET,
    CN_K_SIGN_DET,
    CN_K_LOG_ABS_DET,
    CN_K_INV,
    CN_K_SOLVE,
    CN_K_TRIANGULAR,
    CN_K_LU,
    CN_K_LU_PERM,
    CN_K_QR_Q,
    CN_K_QR_R,
    CN_K_SINGULAR_VALUES,
    CN_K_PINV
};

/* Working memory of one matrix, in doubles:
 *
 *     a [m, n] | b [max(m, n)^2 or n columns, the larger] | v [max(m, n)] | perm [max(m, n)]        the last as int64
 */
typedef struct cn_linalg_work {
    uint64_t a, b, v; /* perm: as v */
} cn_linalg_work;

typedef struct cn_linalg_args {
    const void *x, *right; /* [count, m, n]; [count, n, columns] or NULL */
    void* y;
    double* scratch; /* [slots] working memories; not used if shared_bytes is not 0 */
    cn_run_words* words;
    int node; /* named in a fault */
    int dtype, y_dtype;
    int kind;
    bool lower, full; /* of cn_linalg_attr */
    double rcond;
    int64_t count, m, n, columns; /* columns of the right side; n where there is none */
    cn_linalg_work work;
    uint64_t shared_bytes; /* of one working memory, if it fits into shared memory */
    int64_t slots;         /* matrices that are worked on at a time */
} cn_linalg_args;

/* Cholesky of a matrix that is not positive definite is the fault CN_FAULT_CHOLESKY. */
cudaError_t cn_k_linalg(const cn_queue* q, const cn_linalg_args* a);

#ifdef __cplusplus
}
#endif

#endif
