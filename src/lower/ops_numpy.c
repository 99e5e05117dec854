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

const cn_layer_def cn_ops_numpy[] = {
    {"Add", lower_add, CN_MASK_DROP, true, NULL},
    {"Subtract", lower_subtract, CN_MASK_DROP, true, NULL},
    {"Multiply", lower_multiply, CN_MASK_DROP, true, NULL},
    {"Divide", lower_true_divide, CN_MASK_DROP, true, NULL},
    {"TrueDivide", lower_true_divide, CN_MASK_DROP, true, NULL},
    {0},
};
