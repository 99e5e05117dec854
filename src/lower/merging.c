/* keras/src/layers/merging. */
#include "lower/layer.h"

static cornu_status lower_add(cn_call* c) {
    cn_value* in;
    cn_id y;
    int count;

    CN_TRY(cn_call_values(c, 2, &in, &count));
    y = in[0].tensor;
    for (int i = 1; i < count; i++) y = cn_graph_ew2(c->g, CN_EW_add, y, in[i].tensor);
    return cn_call_return(c, y);
}

static cornu_status lower_concatenate(cn_call* c) {
    int64_t config_axis;
    cn_value* in;
    cn_id* tensors;
    int count, axis;

    CN_TRY(cn_call_values(c, 1, &in, &count));
    CN_TRY(cn_config_int(c->layer, "axis", -1, INT32_MIN, INT32_MAX, &config_axis));
    CN_TRY(cn_call_axis(c, "axis", config_axis, cn_call_type(c, in[0].tensor)->ndim, &axis));
    tensors = cn_call_alloc(c, (size_t)count * sizeof *tensors);
    if (!tensors) return CORNU_NO_MEMORY;
    for (int i = 0; i < count; i++) tensors[i] = in[i].tensor;
    return cn_call_return(c, cn_graph_concat(c->g, tensors, count, axis));
}

const cn_layer_def cn_layers_merging[] = {
    {"Add", lower_add, CN_MASK_OWN, false, NULL},
    {"Concatenate", lower_concatenate, CN_MASK_OWN, false, NULL},
    {0},
};
