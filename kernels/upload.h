/* Layout work on weights that have just come to the device, and the words of a run. */
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

typedef struct cn_begin_args {
    cn_run_words* words;
    uint64_t seed, counter;
    bool keep_fault; /* of a run before that nobody has asked about */
} cn_begin_args;

/* Writes the words of a run that begins. By a kernel, whose arguments are taken when it is launched: the next run may be prepared meanwhile. */
cudaError_t cn_k_begin(const cn_queue* q, const cn_begin_args* a);
cudaError_t cn_k_swap(const cn_queue* q, const cn_swap_args* a);

#ifdef __cplusplus
}
#endif

#endif
