/* keras/src/layers/reshaping. */
#include "lower/layer.h"

#include <string.h>

/* [batch, everything else]; channels_first moves the channels to the end first, as Keras does. */
static cornu_status lower_flatten(cn_call* c) {
    bool channels_first;
    int64_t dims[2];
    cn_id x;

    CN_TRY(cn_call_tensor(c, &x));
    CN_TRY(cn_call_data_format(c, &channels_first));
    if (cn_call_type(c, x)->ndim < 1) return CN_FAIL(BAD_ARGUMENT, "its input must have at least 1 axis");
    if (channels_first && cn_call_type(c, x)->ndim > 2) x = cn_to_channels_last(c->g, x);
    CN_TRY(cn_graph_status(c->g));
    dims[0] = cn_call_type(c, x)->dims[0];
    dims[1] = 1;
    for (int i = 1; i < cn_call_type(c, x)->ndim; i++) dims[1] *= cn_call_type(c, x)->dims[i];
    return cn_call_return(c, cn_graph_reshape(c->g, x, 2, dims));
}

static cornu_status lower_reshape(cn_call* c) {
    int64_t dims[CORNU_MAX_DIMS];
    cn_id x;
    int n;

    CN_TRY(cn_call_tensor(c, &x));
    CN_TRY(cn_config_list(c->layer, "target_shape", CORNU_MAX_DIMS - 1, -1, INT64_MAX, true, dims + 1, &n));
    if (cn_call_type(c, x)->ndim < 1) return CN_FAIL(BAD_ARGUMENT, "its input must have at least 1 axis");
    dims[0] = cn_call_type(c, x)->dims[0];
    return cn_call_return(c, cn_graph_reshape(c->g, x, n + 1, dims));
}

const cn_layer_def cn_layers_reshaping[] = {
    {"Flatten", lower_flatten, CN_MASK_DROP, false, NULL},
    {"Reshape", lower_reshape, CN_MASK_DROP, false, NULL},
    {0},
};
