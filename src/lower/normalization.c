/* keras/src/layers/normalization. Defaults: keras-format 11.1. */
#include "lower/layer.h"

#include <string.h>

#include "base/dtype.h"

/* Reads a config's axis: an int, or a list of one (Keras 2). */
static cornu_status read_axis(cn_call* c, int ndim, int* out) {
    int64_t axes[CORNU_MAX_DIMS];
    int n;

    CN_TRY(cn_config_list(c->layer, "axis", CORNU_MAX_DIMS, INT32_MIN, INT32_MAX, false, axes, &n));
    if (n == 0) axes[n++] = -1;
    if (n != 1) return cn_config_bad(c->layer, "axis", "one axis is allowed");
    return cn_call_axis(c, "axis", axes[0], ndim, out);
}

/* gamma (x - mean) / sqrt(var + epsilon) + beta, at inference with the moving statistics, at training with those of the batch. Half-precision inputs are
 * computed in float32, as Keras does. */
static cornu_status lower_batch_norm(cn_call* c) {
    bool center, scale;
    int64_t channels;
    int axis, count = 0, ndim;
    cn_id x, in[5] = {CN_NONE, CN_NONE, CN_NONE, CN_NONE, CN_NONE};
    cornu_dtype dtype;
    cn_attr attr;

    memset(&attr, 0, sizeof attr);
    CN_TRY(cn_call_tensor(c, &x));
    CN_TRY(cn_config_double(c->layer, "epsilon", 1e-3, &attr.norm.epsilon));
    CN_TRY(cn_config_bool(c->layer, "center", true, &center));
    CN_TRY(cn_config_bool(c->layer, "scale", true, &scale));
    ndim = cn_call_type(c, x)->ndim;
    CN_TRY(read_axis(c, ndim, &axis));
    channels = cn_call_type(c, x)->dims[axis];
    attr.norm.axes = 1u << axis;
    dtype = cn_call_type(c, x)->dtype;
    CN_TRY(cn_call_weight_count(c, 2 + center + scale));
    if (scale) CN_TRY(cn_call_weight(c, count++, 1, &channels, &in[3]));
    if (center) CN_TRY(cn_call_weight(c, count++, 1, &channels, &in[4]));
    CN_TRY(cn_call_weight(c, count, 1, &channels, &in[1]));
    CN_TRY(cn_call_weight(c, count + 1, 1, &channels, &in[2]));
    if (dtype == CORNU_FLOAT16 || dtype == CORNU_BFLOAT16) x = cn_graph_cast(c->g, x, CORNU_FLOAT32);
    for (int i = 1; i < 5 && dtype != CORNU_FLOAT64; i++) {
        if (in[i] != CN_NONE) in[i] = cn_graph_cast(c->g, in[i], CORNU_FLOAT32);
    }
    if (c->training) {
        uint32_t axes = ((1u << ndim) - 1) & ~(1u << axis);
        cn_id mean = cn_graph_reduce(c->g, x, CN_REDUCE_MEAN, axes, true);
        cn_id centred = cn_graph_ew2(c->g, CN_EW_sub, x, mean);
        cn_id var = cn_graph_reduce(c->g, cn_graph_ew1(c->g, CN_EW_square, centred), CN_REDUCE_MEAN, axes, false);
        in[1] = cn_graph_reshape(c->g, mean, 1, &channels);
        in[2] = var;
    }
    in[0] = x;
    x = cn_graph_add(c->g, CN_OP_batch_norm, in, 5, &attr);
    return cn_call_return(c, cn_graph_cast(c->g, x, dtype));
}

const cn_layer_def cn_layers_normalization[] = {
    {"BatchNormalization", lower_batch_norm, CN_MASK_PASS, false, NULL},
    {0},
};
