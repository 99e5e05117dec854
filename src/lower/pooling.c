/* keras/src/layers/pooling. */
#include "lower/layer.h"

#include <string.h>

#include "base/dtype.h"

/* Averages of integers are float32, as Keras's. */
static cn_id averaged(cn_call* c, cn_id x, cn_pool_kind kind) {
    return kind == CN_POOL_AVG && !cn_dtype_is_float(cn_call_type(c, x)->dtype) ? cn_graph_cast(c->g, x, CORNU_FLOAT32) : x;
}

/* ---- windows ---- */

static cornu_status set_windows(const cn_type* x, bool same, cn_pool_attr* a) {
    for (int i = 0; i < a->spatial; i++) {
        int64_t n = x->dims[i + 1];
        if (same) cn_same_padding(n, a->window[i], a->strides[i], 1, &a->pad_lo[i], &a->pad_hi[i]);
        if (!same && n < a->window[i]) {
            char text[256];
            return CN_FAIL(BAD_ARGUMENT, "its window of %lld cells along spatial axis %d is more than its input %s has", (long long)a->window[i], i, cn_type_text(x, text));
        }
    }
    return CORNU_OK;
}

static cornu_status lower_pool(cn_call* c, int spatial, cn_pool_kind kind) {
    bool channels_first;
    int padding;
    cn_attr attr;
    cn_id x, y;

    memset(&attr, 0, sizeof attr);
    attr.pool.kind = kind;
    attr.pool.spatial = spatial;
    CN_TRY(cn_call_image(c, spatial, &x, &channels_first));
    CN_TRY(cn_config_choice(c->layer, "padding", "valid", "valid|same", &padding));
    CN_TRY(cn_config_ints(c->layer, "pool_size", spatial, 2, 1, INT32_MAX, attr.pool.window));
    memcpy(attr.pool.strides, attr.pool.window, sizeof attr.pool.strides);
    if (cn_config_get(c->layer, "strides")) CN_TRY(cn_config_ints(c->layer, "strides", spatial, 2, 1, INT32_MAX, attr.pool.strides));
    if (channels_first) x = cn_to_channels_last(c->g, x);
    CN_TRY(cn_graph_status(c->g));
    CN_TRY(set_windows(cn_call_type(c, x), padding == 1, &attr.pool));
    x = averaged(c, x, kind);
    y = cn_graph_add(c->g, CN_OP_pool, &x, 1, &attr);
    if (channels_first) y = cn_to_channels_first(c->g, y);
    return cn_call_return(c, y);
}

static cornu_status lower_max_pooling1d(cn_call* c) { return lower_pool(c, 1, CN_POOL_MAX); }
static cornu_status lower_max_pooling2d(cn_call* c) { return lower_pool(c, 2, CN_POOL_MAX); }
static cornu_status lower_max_pooling3d(cn_call* c) { return lower_pool(c, 3, CN_POOL_MAX); }
static cornu_status lower_average_pooling1d(cn_call* c) { return lower_pool(c, 1, CN_POOL_AVG); }
static cornu_status lower_average_pooling2d(cn_call* c) { return lower_pool(c, 2, CN_POOL_AVG); }
static cornu_status lower_average_pooling3d(cn_call* c) { return lower_pool(c, 3, CN_POOL_AVG); }

/* ---- adaptive ---- */

static cornu_status lower_adaptive(cn_call* c, int spatial, cn_pool_kind kind) {
    bool channels_first;
    cn_attr attr;
    cn_id x, y;

    memset(&attr, 0, sizeof attr);
    attr.pool.kind = kind;
    attr.pool.spatial = spatial;
    CN_TRY(cn_call_image(c, spatial, &x, &channels_first));
    if (!cn_config_get(c->layer, "output_size")) return cn_config_bad(c->layer, "output_size", "integers are needed");
    CN_TRY(cn_config_ints(c->layer, "output_size", spatial, 1, 1, INT32_MAX, attr.pool.window));
    if (channels_first) x = cn_to_channels_last(c->g, x);
    CN_TRY(cn_graph_status(c->g));
    x = averaged(c, x, kind);
    y = cn_graph_add(c->g, CN_OP_adaptive_pool, &x, 1, &attr);
    if (channels_first) y = cn_to_channels_first(c->g, y);
    return cn_call_return(c, y);
}

static cornu_status lower_adaptive_max_pooling1d(cn_call* c) { return lower_adaptive(c, 1, CN_POOL_MAX); }
static cornu_status lower_adaptive_max_pooling2d(cn_call* c) { return lower_adaptive(c, 2, CN_POOL_MAX); }
static cornu_status lower_adaptive_max_pooling3d(cn_call* c) { return lower_adaptive(c, 3, CN_POOL_MAX); }
static cornu_status lower_adaptive_average_pooling1d(cn_call* c) { return lower_adaptive(c, 1, CN_POOL_AVG); }
static cornu_status lower_adaptive_average_pooling2d(cn_call* c) { return lower_adaptive(c, 2, CN_POOL_AVG); }
static cornu_status lower_adaptive_average_pooling3d(cn_call* c) { return lower_adaptive(c, 3, CN_POOL_AVG); }

/* ---- global ---- */

/* The mask that a call gave by name or as second argument, else the one that its input carries. */
static cn_id mask_of(const cn_call* c, const cn_value* x) {
    const cn_arg* given = cn_call_arg(c, 1, "mask");
    return given->kind == CN_ARG_TENSOR ? given->value.tensor : x->mask;
}

/* sum(x where mask) / count of mask, over the steps; with no step left 0 / 0. */
static cornu_status masked_mean(cn_call* c, cn_id x, cn_id mask, int axis, bool keepdims) {
    const cn_type* type = cn_call_type(c, x);
    cornu_dtype dtype = type->dtype;
    int64_t dims[3];
    cn_id sum, count;

    if (cn_call_type(c, mask)->ndim != 2) return CN_FAIL(BAD_ARGUMENT, "its mask must have 2 axes, not %d", cn_call_type(c, mask)->ndim);
    dims[0] = cn_call_type(c, mask)->dims[0];
    dims[axis] = cn_call_type(c, mask)->dims[1];
    dims[3 - axis] = 1;
    mask = cn_graph_cast(c->g, cn_graph_reshape(c->g, mask, 3, dims), CORNU_BOOL);
    x = cn_graph_select(c->g, mask, x, cn_graph_scalar(c->g, dtype, 0));
    sum = cn_graph_reduce(c->g, x, CN_REDUCE_SUM, 1u << axis, keepdims);
    count = cn_graph_reduce(c->g, cn_graph_cast(c->g, mask, dtype), CN_REDUCE_SUM, 1u << axis, keepdims);
    return cn_call_return(c, cn_graph_ew2(c->g, CN_EW_div, sum, count));
}

static cornu_status lower_global(cn_call* c, int spatial, cn_pool_kind kind) {
    bool channels_first, keepdims;
    cn_value value;
    cn_id x, mask = CN_NONE;
    uint32_t axes;

    CN_TRY(cn_call_image(c, spatial, &x, &channels_first));
    CN_TRY(cn_config_bool(c->layer, "keepdims", false, &keepdims));
    CN_TRY(cn_call_value(c, &value));
    axes = ((1u << spatial) - 1) << (channels_first ? 2 : 1);
    x = averaged(c, x, kind);
    CN_TRY(cn_graph_status(c->g));
    if (spatial == 1 && kind == CN_POOL_AVG) mask = mask_of(c, &value);
    if (mask != CN_NONE) return masked_mean(c, x, mask, channels_first ? 2 : 1, keepdims);
    return cn_call_return(c, cn_graph_reduce(c->g, x, kind == CN_POOL_MAX ? CN_REDUCE_MAX : CN_REDUCE_MEAN, axes, keepdims));
}

static cornu_status lower_global_max_pooling1d(cn_call* c) { return lower_global(c, 1, CN_POOL_MAX); }
static cornu_status lower_global_max_pooling2d(cn_call* c) { return lower_global(c, 2, CN_POOL_MAX); }
static cornu_status lower_global_max_pooling3d(cn_call* c) { return lower_global(c, 3, CN_POOL_MAX); }
static cornu_status lower_global_average_pooling1d(cn_call* c) { return lower_global(c, 1, CN_POOL_AVG); }
static cornu_status lower_global_average_pooling2d(cn_call* c) { return lower_global(c, 2, CN_POOL_AVG); }
static cornu_status lower_global_average_pooling3d(cn_call* c) { return lower_global(c, 3, CN_POOL_AVG); }

const cn_layer_def cn_layers_pooling[] = {
    {"MaxPooling1D", lower_max_pooling1d, CN_MASK_DROP, false, NULL},
    {"MaxPooling2D", lower_max_pooling2d, CN_MASK_DROP, false, NULL},
    {"MaxPooling3D", lower_max_pooling3d, CN_MASK_DROP, false, NULL},
    {"AveragePooling1D", lower_average_pooling1d, CN_MASK_DROP, false, NULL},
    {"AveragePooling2D", lower_average_pooling2d, CN_MASK_DROP, false, NULL},
    {"AveragePooling3D", lower_average_pooling3d, CN_MASK_DROP, false, NULL},
    {"GlobalMaxPooling1D", lower_global_max_pooling1d, CN_MASK_DROP, false, NULL},
    {"GlobalMaxPooling2D", lower_global_max_pooling2d, CN_MASK_DROP, false, NULL},
    {"GlobalMaxPooling3D", lower_global_max_pooling3d, CN_MASK_DROP, false, NULL},
    {"GlobalAveragePooling1D", lower_global_average_pooling1d, CN_MASK_DROP, false, NULL},
    {"GlobalAveragePooling2D", lower_global_average_pooling2d, CN_MASK_DROP, false, NULL},
    {"GlobalAveragePooling3D", lower_global_average_pooling3d, CN_MASK_DROP, false, NULL},
    {"AdaptiveMaxPooling1D", lower_adaptive_max_pooling1d, CN_MASK_DROP, false, NULL},
    {"AdaptiveMaxPooling2D", lower_adaptive_max_pooling2d, CN_MASK_DROP, false, NULL},
    {"AdaptiveMaxPooling3D", lower_adaptive_max_pooling3d, CN_MASK_DROP, false, NULL},
    {"AdaptiveAveragePooling1D", lower_adaptive_average_pooling1d, CN_MASK_DROP, false, NULL},
    {"AdaptiveAveragePooling2D", lower_adaptive_average_pooling2d, CN_MASK_DROP, false, NULL},
    {"AdaptiveAveragePooling3D", lower_adaptive_average_pooling3d, CN_MASK_DROP, false, NULL},
    {0},
};
