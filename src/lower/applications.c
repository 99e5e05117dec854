/* Layers that the models of keras.applications define for themselves (keras/src/applications). Not exported by Keras, so files name
 * them by module. */
#include "lower/layer.h"

#include <string.h>

/* convnext: x gamma. */
static cornu_status lower_layer_scale(cn_call* c) {
    int64_t dim;
    cn_id x, gamma;

    CN_TRY(cn_call_tensor(c, &x));
    CN_TRY(cn_config_int(c->layer, "projection_dim", 0, 1, INT64_MAX, &dim));
    CN_TRY(cn_call_weight_count(c, 1));
    CN_TRY(cn_call_weight(c, 0, 1, &dim, &gamma));
    return cn_call_return(c, cn_lower_ew2(c->g, CN_EW_mul, x, gamma));
}

/* convnext: at training, each sample is dropped with probability drop_path_rate, else divided by the rest. */
static cornu_status lower_stochastic_depth(cn_call* c) {
    double rate;
    cn_id x, keep;
    cn_type type;
    cn_attr attr;

    memset(&attr, 0, sizeof attr);
    CN_TRY(cn_call_tensor(c, &x));
    CN_TRY(cn_config_double(c->layer, "drop_path_rate", 0, &rate));
    if (!c->training) return cn_call_return(c, x);
    if (!(rate >= 0 && rate < 1)) return cn_config_bad(c->layer, "drop_path_rate", "0 to 1, and below 1, is allowed");
    type = *cn_call_type(c, x);
    attr.random.stream = cn_call_stream(c);
    attr.random.dtype = CORNU_FLOAT32;
    attr.random.shape.ndim = type.ndim;
    for (int i = 0; i < type.ndim; i++) attr.random.shape.dims[i] = i == 0 ? type.dims[0] : 1;
    keep = cn_graph_add(c->g, CN_OP_random, NULL, 0, &attr);
    keep = cn_graph_ew1(c->g, CN_EW_floor, cn_graph_act(c->g, (cn_act){CN_EW_affine, 1, 1 - rate, 0}, keep));
    x = cn_graph_ew2(c->g, CN_EW_div, x, cn_graph_scalar(c->g, type.dtype, 1 - rate));
    return cn_call_return(c, cn_graph_ew2(c->g, CN_EW_mul, x, cn_graph_cast(c->g, keep, type.dtype)));
}

/* inception_resnet_v2: a + b scale. */
static cornu_status lower_custom_scale(cn_call* c) {
    double scale;
    cn_value* in;
    int count;
    cn_id scaled;

    CN_TRY(cn_call_values(c, 2, &in, &count));
    CN_TRY(cn_config_double(c->layer, "scale", 1, &scale));
    scaled = cn_graph_act(c->g, (cn_act){CN_EW_affine, scale, 0, 0}, in[1].tensor);
    return cn_call_return(c, cn_graph_ew2(c->g, CN_EW_add, in[0].tensor, scaled));
}

const cn_layer_def cn_layers_applications[] = {
    {"CustomScaleLayer", lower_custom_scale, CN_MASK_DROP, false, "only that of keras.applications"},
    {"LayerScale", lower_layer_scale, CN_MASK_DROP, false, "only that of keras.applications"},
    {"StochasticDepth", lower_stochastic_depth, CN_MASK_DROP, false, "only that of keras.applications"},
    {0},
};
