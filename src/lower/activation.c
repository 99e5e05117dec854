/* Activations: functions by name, object or layer, and keras/src/layers/activations. */
#include <math.h>
#include <string.h>

#include "base/dtype.h"
#include "lower/layer.h"

/* Functions of keras.activations that are one elementwise function, with the default arguments that a name implies. */
typedef struct activation_row {
    const char* name;
    cn_act act;
} activation_row;

static const activation_row functions[] = {
    {"linear", {CN_EW_copy, 0, 0, 0}},
    {"relu", {CN_EW_relu, 0, 0, 0}},
    {"relu6", {CN_EW_relu6, 0, 0, 0}},
    {"leaky_relu", {CN_EW_leaky_relu, 0.2, 0, 0}},
    {"elu", {CN_EW_elu, 1, 0, 0}},
    {"selu", {CN_EW_selu, 0, 0, 0}},
    {"celu", {CN_EW_celu, 1, 0, 0}},
    {"sigmoid", {CN_EW_sigmoid, 0, 0, 0}},
    {"log_sigmoid", {CN_EW_log_sigmoid, 0, 0, 0}},
    {"hard_sigmoid", {CN_EW_hard_sigmoid, 0, 0, 0}},
    {"silu", {CN_EW_silu, 0, 0, 0}},
    {"swish", {CN_EW_silu, 0, 0, 0}},
    {"hard_silu", {CN_EW_hard_silu, 0, 0, 0}},
    {"hard_swish", {CN_EW_hard_silu, 0, 0, 0}},
    {"tanh", {CN_EW_tanh, 0, 0, 0}},
    {"hard_tanh", {CN_EW_hard_tanh, 0, 0, 0}},
    {"tanh_shrink", {CN_EW_tanh_shrink, 0, 0, 0}},
    {"hard_shrink", {CN_EW_hard_shrink, 0.5, 0, 0}},
    {"soft_shrink", {CN_EW_soft_shrink, 0.5, 0, 0}},
    {"softplus", {CN_EW_softplus, 0, 0, 0}},
    {"softsign", {CN_EW_softsign, 0, 0, 0}},
    {"squareplus", {CN_EW_squareplus, 4, 0, 0}},
    {"sparse_plus", {CN_EW_sparse_plus, 0, 0, 0}},
    {"sparse_sigmoid", {CN_EW_sparse_sigmoid, 0, 0, 0}},
    {"mish", {CN_EW_mish, 0, 0, 0}},
    {"gelu", {CN_EW_gelu, 0, 0, 0}},
    {"exponential", {CN_EW_exp, 0, 0, 0}},
};
#define FUNCTION_COUNT (sizeof functions / sizeof functions[0])

/* TensorFlow's float kernels refuse integers; these functions of Keras take them, the last three as float32. */
static cn_id from_integers(cn_call* c, const char* name, cn_id x) {
    bool cast = strcmp(name, "tanh") == 0 || strcmp(name, "exponential") == 0 || strcmp(name, "leaky_relu") == 0;
    return cast && !cn_dtype_is_float(cn_call_type(c, x)->dtype) ? cn_graph_cast(c->g, x, CORNU_FLOAT32) : x;
}

/* The first half of the last axis times the sigmoid of the second. */
static cornu_status gated(cn_call* c, cn_id x, cn_id* out) {
    int last = cn_call_type(c, x)->ndim - 1;
    int64_t n = cn_call_type(c, x)->dims[last];
    cn_id gate;

    if (n % 2) return CN_FAIL(BAD_ARGUMENT, "glu of a last axis of size %lld, which is odd", (long long)n);
    gate = cn_graph_ew1(c->g, CN_EW_sigmoid, cn_graph_slice_axis(c->g, x, last, n / 2, n));
    *out = cn_graph_ew2(c->g, CN_EW_mul, cn_graph_slice_axis(c->g, x, last, 0, n / 2), gate);
    return cn_graph_status(c->g);
}

/* 0 ... n - 1 as [n, 1] or [1, n]. */
static cn_id positions(cn_graph* g, int64_t n, bool column) {
    cn_attr attr;

    memset(&attr, 0, sizeof attr);
    attr.iota = (cn_iota_attr){CORNU_INT32, n, 0, 1};
    return cn_graph_reshape(g, cn_graph_add(g, CN_OP_iota, NULL, 0, &attr), 2, (const int64_t[]){column ? n : 1, column ? 1 : n});
}

/* Keras's sparsemax over the last axis, without a sort. With k(i) and s(i) the number and the sum of the elements that are at least
 * x(i), i is in the support if x(i) - (s(i) - 1) / k(i) > 0. tau = (t - 1) / size of the support, y = max(x - tau, 0), where t should be the sum
 * over the support, but in Keras is the sum of the running sums of the sorted support: an element of rank r counts size - r times,
 * r from 0, equal ones in order. The comparison of all pairs needs [.., n, n]. */
static cornu_status sparsemax(cn_call* c, cn_id x, cn_id* out) {
    cn_graph* g = c->g;
    cn_type t = *cn_call_type(c, x), row = t;
    uint32_t inner = 1u << t.ndim, last = 1u << (t.ndim - 1);
    cn_id one = cn_graph_scalar(g, t.dtype, 1), zero = cn_graph_scalar(g, t.dtype, 0), mine, others, more, equal, before, k, s, support, size;

    if (t.ndim >= CORNU_MAX_DIMS) return CN_FAIL(UNSUPPORTED, "sparsemax of %d axes", t.ndim);
    row.ndim = t.ndim + 1;
    row.dims[t.ndim] = t.dims[t.ndim - 1];
    row.dims[t.ndim - 1] = 1;
    mine = cn_lower_expand_last(g, x);                   /* [.., n, 1] */
    others = cn_graph_reshape(g, x, row.ndim, row.dims); /* [.., 1, n] */
    more = cn_graph_ew2(g, CN_EW_gt, others, mine);
    equal = cn_graph_ew2(g, CN_EW_eq, others, mine);
    before = cn_graph_ew2(g, CN_EW_lt, positions(g, row.dims[t.ndim], false), positions(g, row.dims[t.ndim], true));
    before = cn_graph_ew2(g, CN_EW_or, more, cn_graph_ew2(g, CN_EW_and, equal, before));
    equal = cn_graph_ew2(g, CN_EW_or, more, equal);
    k = cn_graph_reduce(g, cn_graph_cast(g, equal, t.dtype), CN_REDUCE_SUM, inner, false);
    s = cn_graph_reduce(g, cn_graph_select(g, equal, others, zero), CN_REDUCE_SUM, inner, false);
    s = cn_graph_ew2(g, CN_EW_div, cn_graph_ew2(g, CN_EW_sub, s, one), k);
    support = cn_graph_ew2(g, CN_EW_gt, cn_graph_ew2(g, CN_EW_sub, x, s), zero);
    size = cn_graph_reduce(g, cn_graph_cast(g, support, t.dtype), CN_REDUCE_SUM, last, true);
    k = cn_graph_reduce(g, cn_graph_cast(g, before, t.dtype), CN_REDUCE_SUM, inner, false);
    s = cn_graph_ew2(g, CN_EW_mul, x, cn_graph_ew2(g, CN_EW_sub, size, k));
    s = cn_graph_reduce(g, cn_graph_select(g, support, s, zero), CN_REDUCE_SUM, last, true);
    s = cn_graph_ew2(g, CN_EW_div, cn_graph_ew2(g, CN_EW_sub, s, one), size);
    *out = cn_graph_ew2(g, CN_EW_max, cn_graph_ew2(g, CN_EW_sub, x, s), zero);
    return cn_graph_status(g);
}

cornu_status cn_lower_activation(cn_call* c, const char* name, cn_id x, cn_id* out) {
    cn_attr attr;

    *out = CN_NONE;
    CN_TRY(cn_graph_status(c->g));
    for (size_t i = 0; i < FUNCTION_COUNT; i++) {
        if (strcmp(functions[i].name, name) != 0) continue;
        *out = cn_graph_act(c->g, functions[i].act, from_integers(c, name, x));
        return cn_graph_status(c->g);
    }
    if (strcmp(name, "softmax") != 0 && strcmp(name, "log_softmax") != 0 && strcmp(name, "glu") != 0 && strcmp(name, "sparsemax") != 0)
        return CN_FAIL(UNSUPPORTED, "activation '%s' is not known here", name);
    if (cn_call_type(c, x)->ndim < 1) return CN_FAIL(BAD_ARGUMENT, "%s of a scalar", name);
    if (name[0] == 'g') return gated(c, x, out);
    if (strcmp(name, "sparsemax") == 0) return sparsemax(c, x, out);
    memset(&attr, 0, sizeof attr);
    attr.reduce.axes = 1u << (cn_call_type(c, x)->ndim - 1);
    *out = cn_graph_add(c->g, name[0] == 's' ? CN_OP_softmax : CN_OP_log_softmax, &x, 1, &attr);
    return cn_graph_status(c->g);
}

cornu_status cn_call_activation(cn_call* c, const char* key, cn_id x, cn_id* out) {
    const cn_json* value = cn_config_get(c->layer, key);
    const cn_json* class_name = cn_json_get(value, "class_name");

    *out = x;
    CN_TRY(cn_graph_status(c->g));
    if (!value) return CORNU_OK;
    if (cn_json_is(value, CN_JSON_STRING)) return cn_lower_activation(c, cn_json_string(value, NULL), x, out);
    if (cn_json_equals(class_name, "function") && cn_json_is(cn_json_get(value, "config"), CN_JSON_STRING)) {
        return cn_lower_activation(c, cn_json_string(cn_json_get(value, "config"), NULL), x, out);
    }
    if (cn_json_is(class_name, CN_JSON_STRING) && cn_json_is(cn_json_get(value, "config"), CN_JSON_OBJECT)) {
        const cn_layer* layer;
        cn_arg arg = cn_arg_tensor((cn_value){x, CN_NONE}), result;
        CN_TRY(cn_layer_sub(c->doc, c->layer, value, key, &layer));
        CN_TRY(cn_lower_call(c->cx, layer, &arg, 1, NULL, &result));
        if (result.kind != CN_ARG_TENSOR) return cn_config_bad(c->layer, key, "a layer with one output is allowed");
        *out = result.value.tensor;
        return CORNU_OK;
    }
    return cn_config_bad(c->layer, key, "null, a name, a function or a layer is allowed");
}

/* ---- layers ---- */

static cornu_status lower_activation(cn_call* c) {
    cn_id x, y;
    CN_TRY(cn_call_tensor(c, &x));
    CN_TRY(cn_call_activation(c, "activation", x, &y));
    return cn_call_return(c, y);
}

/* Integers keep their dtype; numbers of the config become integers too. Any slope but of the plain leaky function is refused by
 * Keras as well. */
static cornu_status integer_relu(cn_call* c, const cn_act* act, cn_id x, cn_id* out) {
    cornu_dtype dtype = cn_call_type(c, x)->dtype;
    cn_id zero = cn_graph_scalar(c->g, dtype, 0);

    if (act->p != 0) return CN_FAIL(BAD_ARGUMENT, "negative_slope with a max_value or threshold on integers");
    if (act->r != 0) x = cn_graph_select(c->g, cn_graph_ew2(c->g, CN_EW_gt, x, cn_graph_scalar(c->g, dtype, trunc(act->r))), x, zero);
    else x = cn_graph_ew1(c->g, CN_EW_relu, x);
    if (!isnan(act->q)) x = cn_graph_ew2(c->g, CN_EW_min, cn_graph_ew2(c->g, CN_EW_max, x, zero), cn_graph_scalar(c->g, dtype, trunc(act->q)));
    *out = x;
    return cn_graph_status(c->g);
}

static cornu_status lower_relu(cn_call* c) {
    cn_act act = {CN_EW_relu_general, 0, NAN, 0};
    cn_id x;

    CN_TRY(cn_call_tensor(c, &x));
    CN_TRY(cn_config_double(c->layer, "negative_slope", 0, &act.p));
    CN_TRY(cn_config_double(c->layer, "threshold", 0, &act.r));
    if (cn_config_get(c->layer, "max_value")) CN_TRY(cn_config_double(c->layer, "max_value", 0, &act.q));
    if (act.r == 0 && isnan(act.q)) act.fn = act.p == 0 ? CN_EW_relu : CN_EW_leaky_relu;
    if (act.p == 0 && act.r == 0 && act.q == 6) act.fn = CN_EW_relu6;
    if (!cn_dtype_is_float(cn_call_type(c, x)->dtype)) {
        if (act.fn == CN_EW_leaky_relu) x = cn_graph_cast(c->g, x, CORNU_FLOAT32);
        if (act.fn == CN_EW_relu_general) {
            CN_TRY(integer_relu(c, &act, x, &x));
            return cn_call_return(c, x);
        }
    }
    if (act.fn != CN_EW_relu_general) act.q = act.r = 0;
    return cn_call_return(c, cn_graph_act(c->g, act, x));
}

/* Files of Keras 1 and 2 call the slope alpha. */
static cornu_status lower_leaky_relu(cn_call* c) {
    const char* key = cn_config_get(c->layer, "negative_slope") || !cn_config_get(c->layer, "alpha") ? "negative_slope" : "alpha";
    cn_act act = {CN_EW_leaky_relu, 0, 0, 0};
    cn_id x;

    CN_TRY(cn_call_tensor(c, &x));
    CN_TRY(cn_config_double(c->layer, key, 0.3, &act.p));
    if (!(act.p >= 0)) return cn_config_bad(c->layer, key, "a number that is not negative is allowed");
    return cn_call_return(c, cn_graph_act(c->g, act, from_integers(c, "leaky_relu", x)));
}

static cornu_status lower_elu(cn_call* c) {
    cn_act act = {CN_EW_elu, 1, 0, 0};
    cn_id x;

    CN_TRY(cn_call_tensor(c, &x));
    CN_TRY(cn_config_double(c->layer, "alpha", 1, &act.p));
    return cn_call_return(c, cn_graph_act(c->g, act, x));
}

/* One slope for each element of a sample, [dims without the batch], with size 1 along the shared axes. */
static cornu_status lower_prelu(cn_call* c) {
    int64_t shared[CORNU_MAX_DIMS], dims[CORNU_MAX_DIMS] = {0};
    int n, ndim;
    cn_id x, alpha;

    CN_TRY(cn_call_tensor(c, &x));
    ndim = cn_call_type(c, x)->ndim - 1;
    if (ndim < 0) return CN_FAIL(BAD_ARGUMENT, "its input has no axes");
    for (int i = 0; i < ndim; i++) dims[i] = cn_call_type(c, x)->dims[i + 1];
    CN_TRY(cn_config_list(c->layer, "shared_axes", CORNU_MAX_DIMS, INT32_MIN, INT32_MAX, false, shared, &n));
    for (int i = 0; i < n; i++) {
        int64_t at = shared[i] - 1 < 0 ? shared[i] - 1 + ndim : shared[i] - 1; /* an index into a list, as Python takes it */
        if (at < 0 || at >= ndim) return cn_config_bad(c->layer, "shared_axes", "axes of the input but the batch are allowed");
        dims[at] = 1;
    }
    CN_TRY(cn_call_weight_count(c, 1));
    CN_TRY(cn_call_weight(c, 0, ndim, dims, &alpha));
    return cn_call_return(c, cn_graph_ew2(c->g, CN_EW_prelu, x, alpha));
}

/* Masked elements become 0 in the result, and do not take part. The mask broadcasts as numpy does. */
static cornu_status lower_softmax(cn_call* c) {
    int64_t config[CORNU_MAX_DIMS];
    uint32_t axes = 0;
    int n, axis;
    cn_id x, mask;
    cn_type t;

    CN_TRY(cn_call_tensor(c, &x));
    t = *cn_call_type(c, x);
    CN_TRY(cn_config_list(c->layer, "axis", CORNU_MAX_DIMS, INT32_MIN, INT32_MAX, false, config, &n));
    if (n == 0 && cn_config_get(c->layer, "axis")) return cn_config_bad(c->layer, "axis", "at least one axis is allowed");
    if (n == 0) config[n++] = -1;
    for (int i = 0; i < n; i++) {
        CN_TRY(cn_call_axis(c, "axis", config[i], t.ndim, &axis));
        axes |= 1u << axis;
    }
    mask = cn_call_mask(c, 1);
    if (mask != CN_NONE) {
        cn_type m = *cn_call_type(c, mask);
        if (m.ndim > t.ndim) return CN_FAIL(BAD_ARGUMENT, "its mask has more axes than its input");
        if (m.dtype != CORNU_BOOL) mask = cn_graph_ew2(c->g, CN_EW_gt, cn_graph_cast(c->g, mask, CORNU_FLOAT64), cn_graph_scalar(c->g, CORNU_FLOAT64, 0.5));
        x = cn_graph_select(c->g, mask, x, cn_graph_scalar(c->g, t.dtype, t.dtype == CORNU_FLOAT16 ? -3e4 : -1e9));
        CN_TRY(cn_graph_status(c->g));
        if (!cn_type_equal(cn_call_type(c, x), &t)) return CN_FAIL(BAD_ARGUMENT, "its mask does not broadcast to its input");
    }
    x = cn_graph_softmax(c->g, x, axes);
    if (mask != CN_NONE) x = cn_graph_select(c->g, mask, x, cn_graph_scalar(c->g, t.dtype, 0));
    return cn_call_return(c, x);
}

const cn_layer_def cn_layers_activation[] = {
    {"Activation", lower_activation, CN_MASK_PASS, false, "activation: only functions of keras.activations and layers"},
    {"ELU", lower_elu, CN_MASK_PASS, false, NULL},
    {"LeakyReLU", lower_leaky_relu, CN_MASK_PASS, false, NULL},
    {"PReLU", lower_prelu, CN_MASK_PASS, false, NULL},
    {"ReLU", lower_relu, CN_MASK_PASS, false, NULL},
    {"Softmax", lower_softmax, CN_MASK_PASS, false, NULL},
    {0},
};
