/* Reductions over any set of axes, index of the largest or smallest along one axis, running sums and products along one axis. */
#ifndef CN_KERNELS_REDUCE_H
#define CN_KERNELS_REDUCE_H

#include "kernels/kernels.h"
#include "kernels/lines.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Numbers of cn_reduce_kind. */
enum { CN_K_SUM, CN_K_MEAN, CN_K_PROD, CN_K_MAX, CN_K_MIN, CN_K_ANY, CN_K_ALL };

/* y[k] = the fold of line k of x. Floats are folded in double, uint64 as such, other integers and bool as int64. */
typedef struct cn_reduce_args {
    const void* x;
    void* y;       /* [lines.kept] */
    void* partial; /* [parts, lines.kept] of 8 bytes; not used if parts is 1 */
    int dtype, y_dtype;
    int kind;
    int parts; /* as cn_reduce_parts says */
    cn_lines lines;
} cn_reduce_args;

/* Into how many parts lines are split, each for a block of its own, so that few long lines keep a device busy. A function of the shape alone:
 * the sums have the same bits everywhere. */
static inline int cn_reduce_parts(const cn_lines* l) {
    const bool rows = cn_lines_are_rows(l);
    const int64_t blocks = rows ? l->kept : (l->kept + 31) / 32;
    const int64_t part = rows ? 8192 : 1024; /* elements of a line that are worth a block */
    int64_t parts = l->over / part;

    if (blocks < 1 || parts < 1) return 1;
    if (parts > 512 / blocks) parts = 512 / blocks;
    return parts < 1 ? 1 : (int)parts;
}

cudaError_t cn_k_reduce(const cn_queue* q, const cn_reduce_args* a);

/* y[k] = where in line k of x the first largest (or smallest) element is; the first NaN wins over all. */
typedef struct cn_arg_args {
    const void* x;
    int32_t* y; /* [lines.kept] */
    int dtype;
    bool largest;
    cn_lines lines; /* of one axis */
} cn_arg_args;

cudaError_t cn_k_arg(const cn_queue* q, const cn_arg_args* a);

/* y = the running sum (or product) of x along each line, in double or int64. */
typedef struct cn_cumulative_args {
    const void* x;
    void* y;
    int dtype;
    bool product;
    cn_lines lines; /* of one axis */
} cn_cumulative_args;

cudaError_t cn_k_cumulative(const cn_queue* q, const cn_cumulative_args* a);

#ifdef __cplusplus
}
#endif

#endif
