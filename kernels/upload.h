/* Layout work on weights that have just come to the device. */
#ifndef CN_KERNELS_UPLOAD_H
#define CN_KERNELS_UPLOAD_H

#include "kernels/kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cn_swap_args {
    const void* x; /* [count, rows, columns] */
    void* y;       /* [count, columns, rows] */
    int64_t count, rows, columns;
    int size; /* bytes of an element: 1, 2, 4 or 8 */
} cn_swap_args;

cudaError_t cn_k_swap(const cn_queue* q, const cn_swap_args* a);

#ifdef __cplusplus
}
#endif

#endif
