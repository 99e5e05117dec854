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

cornu_status cn_lower_activation(cn_call* c, const char* name, cn_id x, cn_id* out) {
    const cn_type* type = cn_call_type(c, x);

    *out = CN_NONE;
    for (size_t i = 0; i < FUNCTION_COUNT; i++) {
        if (strcmp(functions[i].name, name) != 0) continue;
        *out = cn_graph_act(c->g, functions[i].act, x);
        return cn_graph_status(c->g);
    }
    if (strcmp(name, "softmax") == 0 || strcmp(name, "log_softmax") == 0) {
        cn_attr attr;
        memset(&attr, 0, sizeof attr);
        if (type->ndim < 1) return CN_FAIL(BAD_ARGUMENT, "%s of a scalar", name);
        attr.reduce.axes = 1u << (type->ndim - 1);
        *out = cn_graph_add(c->g, name[0] == 's' ? CN_OP_softmax : CN_OP_log_softmax, &x, 1, &attr);
        return cn_graph_status(c->g);
    }
    return CN_FAIL(UNSUPPORTED, "activation '%s' is not known here", name);
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

static cornu_status lower_relu(cn_call* c) {
    cn_act act = {CN_EW_relu_general, 0, NAN, 0};
    cn_id x;

    CN_TRY(cn_call_tensor(c, &x));
    CN_TRY(cn_config_double(c->layer, "negative_slope", 0, &act.p));
    CN_TRY(cn_config_double(c->layer, "threshold", 0, &act.r));
    if (cn_config_get(c->layer, "max_value")) CN_TRY(cn_config_double(c->layer, "max_value", 0, &act.q));
    if (act.p == 0 && act.r == 0 && isnan(act.q)) act = (cn_act){CN_EW_relu, 0, 0, 0};
    if (act.p == 0 && act.r == 0 && act.q == 6) act = (cn_act){CN_EW_relu6, 0, 0, 0};
    return cn_call_return(c, cn_graph_act(c->g, act, x));
}

const cn_layer_def cn_layers_activation[] = {
    {"Activation", lower_activation, CN_MASK_PASS, false, NULL},
    {"ReLU", lower_relu, CN_MASK_PASS, false, NULL},
    {0},
};
