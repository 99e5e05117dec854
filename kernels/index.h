/* Elements taken at and merged into places that are known only at run time. */
#ifndef CN_KERNELS_INDEX_H
#define CN_KERNELS_INDEX_H

#include "kernels/kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum cn_gather_rule { CN_GATHER_RULE_CHECKED, CN_GATHER_RULE_CLIP, CN_GATHER_RULE_WRAP } cn_gather_rule;

/* y [outer, count, part] = x [outer, n, part] at indices [count]. An index outside [-n, n) is a fault where they are checked, any index is one
 * where n is 0; the elements of a fault are left as they were. */
typedef struct cn_gather_args {
    const void *x, *indices;
    void* y;
    cn_run_words* words;
    int size, index_dtype, node;
    cn_gather_rule rule;
    int64_t outer, n, count, part;
} cn_gather_args;

cudaError_t cn_k_gather(const cn_queue* q, const cn_gather_args* a);

typedef enum cn_merge { CN_MERGE_SET, CN_MERGE_ADD, CN_MERGE_MAX, CN_MERGE_MIN, CN_MERGE_MUL } cn_merge;

/* Merges updates [rows, part] into y at indices [rows, depth], which name a place in the first `depth` axes of y, dims[0 .. depth - 1]. Updates of
 * one place are merged in the order of their rows, each result rounded to the dtype, as if rows came one after the other. An index outside
 * [0, dim) leaves its row out, or is a fault if not drop. */
typedef struct cn_scatter_args {
    const void *indices, *updates;
    void* y;
    cn_run_words* words;
    void* scratch; /* cn_scatter_scratch(rows) bytes, aligned to 16 */
    int dtype, index_dtype, node, drop;
    cn_merge merge;
    int depth;
    int64_t rows, part;
    int64_t dims[CORNU_MAX_DIMS];
} cn_scatter_args;

/* Up to here rows look for each other; more are sorted. */
#define CN_SCATTER_FEW 2048

static inline int64_t cn_scatter_keys(int64_t rows) {
    int64_t keys = 1;
    while (keys < rows) keys *= 2;
    return rows > CN_SCATTER_FEW ? keys : 0;
}
/* place of each row, the next row of the same place, and two words a key for the sort. */
static inline int64_t cn_scatter_scratch(int64_t rows) { return (2 * rows + 2 * cn_scatter_keys(rows)) * 8; }

cudaError_t cn_k_scatter(const cn_queue* q, const cn_scatter_args* a);

#ifdef __cplusplus
}
#endif

#endif
