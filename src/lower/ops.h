/* What the files of operations (ops_*.c) share: operands as Keras's convert_to_tensor takes them, its dtype promotion, attributes of the
 * config, and short forms of the graph. A function of CN_NONE gives CN_NONE, as in graph.h. */
#ifndef CN_LOWER_OPS_H
#define CN_LOWER_OPS_H

#include <string.h>

#include "base/dtype.h"
#include "lower/layer.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- dtypes ------------------------------------------------------------------------------------------------------ */

/* Python's numbers beside tensors: they take the tensors' dtype. Elements of a promotion, never dtypes of values. */
#define CN_WEAK_INT ((cornu_dtype)62)
#define CN_WEAK_FLOAT ((cornu_dtype)63)

/* keras.backend.result_type; 0 where Keras has no promotion. */
cornu_dtype cn_result_type(const cornu_dtype* dtypes, int n);
cornu_dtype cn_result_type2(cornu_dtype a, cornu_dtype b);
/* A float stays, everything else is float32. */
cornu_dtype cn_float_of(cornu_dtype dtype);

/* ---- operands ---------------------------------------------------------------------------------------------------- */

/* Argument `position` or that of one of the names "x1|x". */
const cn_arg* cn_op_arg(const cn_call* c, int position, const char* names);
static inline bool cn_op_given(const cn_arg* arg) { return arg->kind != CN_ARG_NONE; }
/* Its dtype in a promotion: that of a tensor, weak for a number, else what convert_to_tensor gives. */
cornu_dtype cn_op_dtype(cn_call* c, const cn_arg* arg);
/* The argument as a tensor: a tensor, a number, nested lists of numbers and tensors, a constant array. dtype 0: its own. */
cornu_status cn_op_convert(cn_call* c, const cn_arg* arg, cornu_dtype dtype, cn_id* out);
/* The same of the argument at a position, which must be given. */
cornu_status cn_op_tensor(cn_call* c, int position, const char* names, cn_id* out);
/* Two operands in their promoted dtype. weak: numbers are weak; extra: one more dtype of the promotion, or 0. */
cornu_status cn_op_pair(cn_call* c, bool weak, cornu_dtype extra, cn_id* x, cn_id* z);
/* A list of tensors in one dtype; a tensor alone is taken apart along its first axis. */
cornu_status cn_op_list(cn_call* c, const cn_arg* arg, cn_id** out, int* count);
/* Whole numbers of an argument: one, or a list. CORNU_UNSUPPORTED if it is a tensor, whose values are not known. */
cornu_status cn_op_ints(cn_call* c, const cn_arg* arg, const char* what, int max, int64_t* out, int* n);
/* A number of an argument or config value; fallback when absent. */
cornu_status cn_op_number(const cn_arg* arg, double fallback, double* out);

/* ---- attributes of the config -------------------------------------------------------------------------------------- */

cornu_status cn_op_int(cn_call* c, const char* key, int64_t fallback, int64_t* out);
/* An axis made non-negative; *none when it is null. */
cornu_status cn_op_axis(cn_call* c, const char* key, int64_t fallback, int ndim, int* out, bool* none);
/* Axes as bits: all for null. */
cornu_status cn_op_axes(cn_call* c, const char* key, int ndim, uint32_t* out);
/* A dtype's name; fallback for null. */
cornu_status cn_op_dtype_attr(cn_call* c, const char* key, cornu_dtype fallback, cornu_dtype* out);
cornu_status cn_op_channels_first(cn_call* c, bool* out);

/* ---- graph --------------------------------------------------------------------------------------------------------- */

/* The type of a value; an empty one for CN_NONE. */
const cn_type* cn_op_type(const cn_call* c, cn_id v);
cn_id cn_op_fill(cn_call* c, cn_id like, double value); /* a scalar of like's dtype */
cn_id cn_op_ew(cn_call* c, cn_ew fn, cn_id x, double z); /* fn(x, z) */
cn_id cn_op_iota(cn_call* c, cornu_dtype dtype, int64_t count, double begin, double step);
/* iota 0, 1, ... along one axis of ndim, the other dims 1. */
cn_id cn_op_iota_axis(cn_call* c, cornu_dtype dtype, int64_t count, int axis, int ndim);
cn_id cn_op_insert_axis(cn_call* c, cn_id x, int axis);
cn_id cn_op_remove_axis(cn_call* c, cn_id x, int axis);
cn_id cn_op_flatten(cn_call* c, cn_id x);
cn_id cn_op_sort(cn_call* c, cn_id x, int axis, bool descending, bool indices);
/* x[.., index, ..] at each place of indices, whose shape is x's but along axis. Indices are in range. */
cn_id cn_op_along(cn_call* c, cn_id x, cn_id indices, int axis);
cn_id cn_op_scatter(cn_call* c, cn_scatter_kind kind, bool drop, cn_id base, cn_id indices, cn_id updates);
cn_id cn_op_linalg(cn_call* c, cn_linalg_attr attr, cn_id a, cn_id b);
/* Every step-th element from begin, count of them, along axis. */
cn_id cn_op_stride(cn_call* c, cn_id x, int axis, int64_t begin, int64_t step, int64_t count);
cn_id cn_op_reverse(cn_call* c, cn_id x, int axis);
/* How many elements of a sorted sequence [n] are below (or_equal: not above) each of x. int32. */
cn_id cn_op_count_below(cn_call* c, cn_id sorted, cn_id x, bool or_equal);
cn_id cn_op_mean(cn_call* c, cn_id x, uint32_t axes, bool keepdims);
cn_id cn_op_sum(cn_call* c, cn_id x, uint32_t axes, bool keepdims);
cn_id cn_op_variance(cn_call* c, cn_id x, uint32_t axes, bool keepdims);
static inline uint32_t cn_op_all_axes(int ndim) { return ndim >= 32 ? UINT32_MAX : (1u << ndim) - 1; }
/* Contracts axes_a of a with axes_b of b, in order: [rest of a, rest of b]. */
cn_id cn_op_tensordot(cn_call* c, cn_id a, cn_id b, int n, const int* axes_a, const int* axes_b);
/* Matrix of ones where column - row lies in [low, high]; bool [rows, columns]. */
cn_id cn_op_band(cn_call* c, int64_t rows, int64_t columns, int64_t low, int64_t high);
/* Result as tensors of a tuple. */
cornu_status cn_op_return2(cn_call* c, cn_id a, cn_id b);
cornu_status cn_op_return_ids(cn_call* c, const cn_id* ids, int count);

/* ---- rows ---------------------------------------------------------------------------------------------------------- */

#define CN_OP_ROW(name, fn) {name, fn, CN_MASK_DROP, true, NULL}
#define CN_OP_ROW_LIMITS(name, fn, limits) {name, fn, CN_MASK_DROP, true, limits}
/* An operation that is known and refused; why. */
#define CN_OP_REFUSED(name, why) {name, cn_op_refused, CN_MASK_DROP, true, why}
cornu_status cn_op_refused(cn_call* c);

#ifdef __cplusplus
}
#endif

#endif
