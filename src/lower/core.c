/* keras/src/layers/core. */
#include "lower/layer.h"

#include <string.h>

static cornu_status lower_identity(cn_call* c) {
    cn_id x;
    CN_TRY(cn_call_tensor(c, &x));
    return cn_call_return(c, x);
}

/* y = act(x kernel + bias); kernel [last axis of x, units]. */
static cornu_status lower_dense(cn_call* c) {
    int64_t units, dims[2];
    cn_id x, kernel, bias, y;
    bool use_bias;
    int ndim;

    CN_TRY(cn_call_tensor(c, &x));
    CN_TRY(cn_config_int(c->layer, "units", 0, 1, INT64_MAX, &units));
    CN_TRY(cn_config_bool(c->layer, "use_bias", true, &use_bias));
    if (cn_config_get(c->layer, "quantization_config")) return cn_config_unsupported(c->layer, "quantization_config", "quantized layers cannot run yet");
    ndim = cn_call_type(c, x)->ndim;
    if (ndim < 2) return CN_FAIL(BAD_ARGUMENT, "its input must have at least 2 axes, not %d", ndim);
    dims[0] = cn_call_type(c, x)->dims[ndim - 1];
    dims[1] = units;
    CN_TRY(cn_call_weight_count(c, use_bias ? 2 : 1));
    CN_TRY(cn_call_weight(c, 0, 2, dims, &kernel));
    y = cn_graph_matmul(c->g, x, kernel, false, false);
    if (use_bias) {
        CN_TRY(cn_call_weight(c, 1, 1, &units, &bias));
        y = cn_graph_ew2(c->g, CN_EW_add, y, bias);
    }
    CN_TRY(cn_call_activation(c, "activation", y, &y));
    return cn_call_return(c, y);
}

const cn_layer_def cn_layers_core[] = {
    {"Dense", lower_dense, CN_MASK_PASS, false, "quantization_config: quantized layers cannot run yet"},
    {"Identity", lower_identity, CN_MASK_PASS, false, NULL},
    {"InputLayer", lower_identity, CN_MASK_PASS, true, NULL},
    {0},
};
