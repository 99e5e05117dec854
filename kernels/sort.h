/* Stable sort along one axis: the values, or where they were. */
#ifndef CN_KERNELS_SORT_H
#define CN_KERNELS_SORT_H

#include "kernels/kernels.h"
#include "kernels/lines.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Elements of a line that one block sorts in shared memory. */
#define CN_SORT_TILE 2048

/* Equal elements keep their order in both directions; -0 equals 0; NaN are behind all numbers and equal. */
typedef struct cn_sort_args {
    const void* x;
    void* y;       /* x's dtype, or int32 */
    void* scratch; /* cn_sort_scratch bytes */
    int dtype;
    int size; /* of an element, in bytes */
    bool floats; /* a float dtype */
    bool descending, indices;
    cn_lines lines; /* of one axis */
} cn_sort_args;

/* Lines that are sorted at a time: bounds the scratch memory. */
static inline int64_t cn_sort_lines(const cn_lines* l) {
    const int64_t most = l->over > 0 ? 4194304 / l->over : 1;
    return most < 1 ? 1 : most < l->kept ? most : l->kept;
}
/* Two copies of the keys (8 bytes) and of the positions (4). */
static inline uint64_t cn_sort_scratch(const cn_lines* l) { return l->over <= CN_SORT_TILE ? 0 : (uint64_t)cn_sort_lines(l) * (uint64_t)l->over * 24; }

cudaError_t cn_k_sort(const cn_queue* q, const cn_sort_args* a);

#ifdef __cplusplus
}
#endif

#endif
