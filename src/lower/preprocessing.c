/* keras/src/layers/preprocessing. */
#include "lower/layer.h"

#include <string.h>

/* Reads a number, or a list of numbers for the last axis, as a constant of the compute dtype. */
static cornu_status number_or_list(cn_call* c, const char* key, double fallback, cn_id* out) {
    const cn_json* value = cn_config_get(c->layer, key);
    double number;
    size_t n = cn_json_size(value);
    cn_id* parts;
    int64_t one = 1;

    if (!cn_json_is(value, CN_JSON_ARRAY)) {
        CN_TRY(cn_config_double(c->layer, key, fallback, &number));
        *out = cn_graph_scalar(c->g, c->compute, number);
        return cn_graph_status(c->g);
    }
    parts = cn_call_alloc(c, n * sizeof *parts);
    if (!parts) return CORNU_NO_MEMORY;
    for (size_t i = 0; i < n; i++) {
        const cn_json* element = cn_json_at(value, i);
        if (!cn_json_is(element, CN_JSON_INT) && !cn_json_is(element, CN_JSON_FLOAT)) return cn_config_bad(c->layer, key, "a number or a list of numbers is allowed");
        parts[i] = cn_graph_reshape(c->g, cn_graph_scalar(c->g, c->compute, cn_json_double(element)), 1, &one);
    }
    if (n == 0) return cn_config_bad(c->layer, key, "a number or a list of numbers is allowed");
    *out = cn_graph_concat(c->g, parts, (int)n, 0);
    return cn_graph_status(c->g);
}

/* x scale + offset in the compute dtype, whatever the input's. */
static cornu_status lower_rescaling(cn_call* c) {
    cn_id x, scale, offset;

    CN_TRY(cn_call_tensor(c, &x));
    CN_TRY(number_or_list(c, "scale", 1, &scale));
    CN_TRY(number_or_list(c, "offset", 0, &offset));
    x = cn_graph_cast(c->g, x, c->compute);
    return cn_call_return(c, cn_graph_ew2(c->g, CN_EW_add, cn_graph_ew2(c->g, CN_EW_mul, x, scale), offset));
}

const cn_layer_def cn_layers_preprocessing[] = {
    {"Rescaling", lower_rescaling, CN_MASK_PASS, false, NULL},
    {0},
};
