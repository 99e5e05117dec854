/* keras/src/ops/numpy.py: operations on tensors as functional models record them. */
#include "base/dtype.h"
#include "lower/layer.h"

/* An operand: a tensor, or a number of the config as a scalar of the other operand's dtype (Keras's weak types). */
static cornu_status operand(cn_call* c, const cn_arg* arg, cornu_dtype dtype, cn_id* out) {
    if (arg->kind == CN_ARG_TENSOR) {
        *out = arg->value.tensor;
        return CORNU_OK;
    }
    if (arg->kind != CN_ARG_JSON || (!cn_json_is(arg->json, CN_JSON_INT) && !cn_json_is(arg->json, CN_JSON_FLOAT))) {
        return CN_FAIL(UNSUPPORTED, "an operand that is neither a tensor nor a number");
    }
    if (dtype == 0) return CN_FAIL(UNSUPPORTED, "no operand is a tensor");
    if (cn_json_is(arg->json, CN_JSON_FLOAT) && !cn_dtype_is_float(dtype)) dtype = CORNU_FLOAT32;
    *out = cn_graph_scalar(c->g, dtype, cn_json_double(arg->json));
    return cn_graph_status(c->g);
}

static cornu_dtype tensor_dtype(const cn_call* c, const cn_arg* arg) {
    return arg->kind == CN_ARG_TENSOR ? cn_call_type(c, arg->value.tensor)->dtype : (cornu_dtype)0;
}

static cornu_status binary(cn_call* c, cn_ew fn) {
    const cn_arg *a = cn_call_arg(c, 0, "x1"), *b = cn_call_arg(c, 1, "x2");
    cornu_dtype da = tensor_dtype(c, a), db = tensor_dtype(c, b);
    cn_id x, z;

    CN_TRY(operand(c, a, db, &x));
    CN_TRY(operand(c, b, da, &z));
    da = cn_call_type(c, x)->dtype;
    db = cn_call_type(c, z)->dtype;
    if (da != db) return CN_FAIL(UNSUPPORTED, "operands of dtype %s and %s", cornu_dtype_name(da), cornu_dtype_name(db));
    if (fn == CN_EW_div && !cn_dtype_is_float(da)) return CN_FAIL(UNSUPPORTED, "a division of integers");
    return cn_call_return(c, cn_graph_ew2(c->g, fn, x, z));
}

static cornu_status lower_add(cn_call* c) { return binary(c, CN_EW_add); }
static cornu_status lower_subtract(cn_call* c) { return binary(c, CN_EW_sub); }
static cornu_status lower_multiply(cn_call* c) { return binary(c, CN_EW_mul); }
static cornu_status lower_true_divide(cn_call* c) { return binary(c, CN_EW_div); }

/* ---- what masks are made of: Embedding, Masking and merging layers record these ---- */

/* Comparison or logic of two operands of any dtypes. */
static cornu_status compare(cn_call* c, cn_ew fn) {
    const cn_arg *a = cn_call_arg(c, 0, "x1"), *b = cn_call_arg(c, 1, "x2");
    cn_id x, z;

    CN_TRY(operand(c, a, tensor_dtype(c, b), &x));
    CN_TRY(operand(c, b, tensor_dtype(c, a), &z));
    return cn_call_return(c, cn_lower_ew2(c->g, fn, x, z));
}

static cornu_status lower_not_equal(cn_call* c) { return compare(c, CN_EW_ne); }
static cornu_status lower_logical_or(cn_call* c) { return compare(c, CN_EW_or); }

/* A tensor argument. */
static cornu_status tensor_arg(cn_call* c, int position, const char* name, cn_id* out) {
    const cn_arg* arg = cn_call_arg(c, position, name);

    if (arg->kind != CN_ARG_TENSOR) return CN_FAIL(BAD_FILE, "its argument %s is no tensor", name);
    *out = arg->value.tensor;
    return CORNU_OK;
}

static cornu_status lower_any(cn_call* c) {
    int64_t config[CORNU_MAX_DIMS];
    uint32_t axes = 0;
    bool keepdims;
    int n, axis;
    cn_id x;

    CN_TRY(tensor_arg(c, 0, "x", &x));
    CN_TRY(cn_config_list(c->layer, "axis", CORNU_MAX_DIMS, INT32_MIN, INT32_MAX, false, config, &n));
    CN_TRY(cn_config_bool(c->layer, "keepdims", false, &keepdims));
    for (int i = 0; i < n; i++) {
        CN_TRY(cn_call_axis(c, "axis", config[i], cn_call_type(c, x)->ndim, &axis));
        axes |= 1u << axis;
    }
    if (!cn_config_get(c->layer, "axis")) axes = (1u << cn_call_type(c, x)->ndim) - 1;
    return cn_call_return(c, cn_graph_reduce(c->g, x, CN_REDUCE_ANY, axes, keepdims));
}

static cornu_status lower_expand_dims(cn_call* c) {
    int64_t config[CORNU_MAX_DIMS], dims[CORNU_MAX_DIMS];
    uint32_t axes = 0;
    int n, axis, ndim, from = 0;
    cn_id x;

    CN_TRY(tensor_arg(c, 0, "x", &x));
    CN_TRY(cn_config_list(c->layer, "axis", CORNU_MAX_DIMS, INT32_MIN, INT32_MAX, false, config, &n));
    ndim = cn_call_type(c, x)->ndim + n;
    if (ndim > CORNU_MAX_DIMS) return CN_FAIL(UNSUPPORTED, "a result with %d axes", ndim);
    for (int i = 0; i < n; i++) {
        CN_TRY(cn_call_axis(c, "axis", config[i], ndim, &axis));
        if (axes >> axis & 1) return cn_config_bad(c->layer, "axis", "every axis once is allowed");
        axes |= 1u << axis;
    }
    for (int i = 0; i < ndim; i++) dims[i] = axes >> i & 1 ? 1 : cn_call_type(c, x)->dims[from++];
    return cn_call_return(c, cn_graph_reshape(c->g, x, ndim, dims));
}

static cornu_status filled_like(cn_call* c, double value) {
    const cn_arg* given = cn_call_arg(c, 1, "dtype");
    const char* name = given->kind == CN_ARG_JSON ? cn_json_string(given->json, NULL) : NULL;
    cornu_dtype dtype;
    cn_type t;
    cn_id x;

    CN_TRY(tensor_arg(c, 0, "x", &x));
    t = *cn_call_type(c, x);
    if (!name) CN_TRY(cn_config_string(c->layer, "dtype", NULL, &name));
    dtype = name ? cn_dtype_of_name(name) : t.dtype;
    if (dtype == 0) return CN_FAIL(BAD_FILE, "dtype %s is none of Keras's", name);
    return cn_call_return(c, cn_graph_broadcast(c->g, cn_graph_scalar(c->g, dtype, value), t.ndim, t.dims));
}

static cornu_status lower_zeros_like(cn_call* c) { return filled_like(c, 0); }
static cornu_status lower_ones_like(cn_call* c) { return filled_like(c, 1); }

static cornu_status lower_concatenate(cn_call* c) {
    const cn_arg* list = cn_call_arg(c, 0, "xs");
    int64_t config_axis;
    cornu_dtype dtype = CORNU_BOOL;
    cn_id* x;
    int axis;

    if (list->kind != CN_ARG_LIST || list->count < 1) return CN_FAIL(BAD_FILE, "its argument xs is no list of tensors");
    x = cn_call_alloc(c, (size_t)list->count * sizeof *x);
    if (!x) return CORNU_NO_MEMORY;
    for (int i = 0; i < list->count; i++) {
        if (list->items[i].kind != CN_ARG_TENSOR) return CN_FAIL(BAD_FILE, "element %d of xs is no tensor", i);
        x[i] = list->items[i].value.tensor;
        dtype = cn_promote(dtype, cn_call_type(c, x[i])->dtype);
    }
    CN_TRY(cn_config_int(c->layer, "axis", 0, INT32_MIN, INT32_MAX, &config_axis));
    CN_TRY(cn_call_axis(c, "axis", config_axis, cn_call_type(c, x[0])->ndim, &axis));
    for (int i = 0; i < list->count; i++) x[i] = cn_graph_cast(c->g, x[i], dtype);
    return cn_call_return(c, cn_graph_concat(c->g, x, list->count, axis));
}

const cn_layer_def cn_ops_numpy[] = {
    {"Any", lower_any, CN_MASK_DROP, true, NULL},
    {"Concatenate", lower_concatenate, CN_MASK_DROP, true, NULL},
    {"ExpandDims", lower_expand_dims, CN_MASK_DROP, true, NULL},
    {"LogicalOr", lower_logical_or, CN_MASK_DROP, true, NULL},
    {"NotEqual", lower_not_equal, CN_MASK_DROP, true, NULL},
    {"OnesLike", lower_ones_like, CN_MASK_DROP, true, NULL},
    {"ZerosLike", lower_zeros_like, CN_MASK_DROP, true, NULL},
    {"Add", lower_add, CN_MASK_DROP, true, NULL},
    {"Subtract", lower_subtract, CN_MASK_DROP, true, NULL},
    {"Multiply", lower_multiply, CN_MASK_DROP, true, NULL},
    {"Divide", lower_true_divide, CN_MASK_DROP, true, NULL},
    {"TrueDivide", lower_true_divide, CN_MASK_DROP, true, NULL},
    {0},
};
