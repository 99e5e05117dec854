/* Softmax and its logarithm over any set of axes, of floats. */
#ifndef CN_KERNELS_SOFTMAX_H
#define CN_KERNELS_SOFTMAX_H

#include "kernels/kernels.h"
#include "kernels/lines.h"

#ifdef __cplusplus
extern "C" {
#endif

/* y = exp(x - top) / sum, or x - top - log(sum): top is the largest number of x's line, sum the line's sum of exp(x - top). */
typedef struct cn_softmax_args {
    const void* x;
    void* y;
    int dtype;
    bool log;
    cn_lines lines;
} cn_softmax_args;

cudaError_t cn_k_softmax(const cn_queue* q, const cn_softmax_args* a);

#ifdef __cplusplus
}
#endif

#endif
