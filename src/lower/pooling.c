/* keras/src/layers/pooling. */
#include "lower/layer.h"

#include <string.h>

static cornu_status lower_pool(cn_call* c, int spatial, cn_pool_kind kind) {
    bool channels_first;
    int padding;
    cn_attr attr;
    cn_id x, y;

    memset(&attr, 0, sizeof attr);
    attr.pool.kind = kind;
    attr.pool.spatial = spatial;
    CN_TRY(cn_call_tensor(c, &x));
    CN_TRY(cn_call_data_format(c, &channels_first));
    CN_TRY(cn_config_choice(c->layer, "padding", "valid", "valid|same", &padding));
    CN_TRY(cn_config_ints(c->layer, "pool_size", spatial, 2, 1, INT32_MAX, attr.pool.window));
    memcpy(attr.pool.strides, attr.pool.window, sizeof attr.pool.strides);
    if (cn_config_get(c->layer, "strides")) CN_TRY(cn_config_ints(c->layer, "strides", spatial, 2, 1, INT32_MAX, attr.pool.strides));
    if (cn_call_type(c, x)->ndim != spatial + 2) {
        return CN_FAIL(BAD_ARGUMENT, "its input must have %d axes, not %d", spatial + 2, cn_call_type(c, x)->ndim);
    }
    if (channels_first) x = cn_to_channels_last(c->g, x);
    CN_TRY(cn_graph_status(c->g));
    for (int i = 0; i < spatial && padding == 1; i++) {
        int64_t n = cn_call_type(c, x)->dims[i + 1], s = attr.pool.strides[i];
        int64_t total = ((n + s - 1) / s - 1) * s + attr.pool.window[i] - n;
        if (total < 0) total = 0;
        attr.pool.pad_lo[i] = total / 2;
        attr.pool.pad_hi[i] = total - total / 2;
    }
    y = cn_graph_add(c->g, CN_OP_pool, &x, 1, &attr);
    if (channels_first) y = cn_to_channels_first(c->g, y);
    return cn_call_return(c, y);
}

static cornu_status lower_max_pooling2d(cn_call* c) { return lower_pool(c, 2, CN_POOL_MAX); }

const cn_layer_def cn_layers_pooling[] = {
    {"MaxPooling2D", lower_max_pooling2d, CN_MASK_DROP, false, NULL},
    {0},
};
