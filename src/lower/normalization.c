/* keras/src/layers/normalization. Defaults: keras-format 11.1. Statistics are computed in float32 at least, whatever the
 * compute dtype, with parameters that never pass through a half precision; LayerNormalization and GroupNormalization do not even
 * autocast their inputs. */
#include "lower/layer.h"

#include <stdlib.h>
#include <string.h>

#include "base/dtype.h"

/* The dtype that statistics of x are computed in. */
static cornu_dtype statistics_dtype(cornu_dtype x) { return cn_promote(x, CORNU_FLOAT32); }

/* Parameter i, [dims], as dtype. */
static cornu_status parameter(cn_call* c, int i, int ndim, const int64_t* dims, cornu_dtype dtype, cn_id* out) {
    CN_TRY(cn_call_stored(c, i, ndim, dims, out));
    *out = cn_graph_cast(c->g, *out, dtype);
    return cn_graph_status(c->g);
}

/* Reads a config's axis: an int, or a list of one (Keras 2). */
static cornu_status read_axis(cn_call* c, int ndim, int* out) {
    int64_t axes[CORNU_MAX_DIMS];
    int n;

    CN_TRY(cn_config_list(c->layer, "axis", CORNU_MAX_DIMS, INT32_MIN, INT32_MAX, false, axes, &n));
    if (n == 0) axes[n++] = -1;
    if (n != 1) return cn_config_bad(c->layer, "axis", "one axis is allowed");
    return cn_call_axis(c, "axis", axes[0], ndim, out);
}

static int compare_axes(const void* a, const void* b) {
    int64_t x = *(const int64_t*)a, y = *(const int64_t*)b;
    return (x > y) - (x < y);
}

/* Reads a config's axis or axes. dims are those of the layer's parameters: Keras sorts the axes as they are written, negative ones
 * first, and reshapes from that order without a transposition. */
static cornu_status read_axes(cn_call* c, const cn_type* x, uint32_t* axes, int64_t* dims, int* count) {
    int64_t config[CORNU_MAX_DIMS];
    int axis, n;

    CN_TRY(cn_config_list(c->layer, "axis", CORNU_MAX_DIMS, INT32_MIN, INT32_MAX, false, config, &n));
    if (n == 0 && cn_config_get(c->layer, "axis")) return cn_config_bad(c->layer, "axis", "at least one axis is allowed");
    if (n == 0) config[n++] = -1;
    qsort(config, (size_t)n, sizeof *config, compare_axes);
    *axes = 0;
    for (int i = 0; i < n; i++) {
        CN_TRY(cn_call_axis(c, "axis", config[i], x->ndim, &axis));
        if (*axes >> axis & 1) return cn_config_bad(c->layer, "axis", "every axis once is allowed");
        *axes |= 1u << axis;
        dims[i] = x->dims[axis];
    }
    *count = n;
    return CORNU_OK;
}

/* ---- BatchNormalization ---- */

typedef struct batch_norm {
    int axis;
    int64_t channels;
    uint32_t over; /* axes of the statistics */
    double epsilon;
    cornu_dtype dtype; /* of the computation */
    cn_id gamma, beta, mean, var;
    int next; /* variable after the moving statistics */
} batch_norm;

/* Sums of masked elements over their number plus Keras's epsilon. */
static cn_id masked_mean(cn_call* c, const batch_norm* b, cn_id x, cn_id mask, cn_id weights) {
    cn_id kept = cn_graph_select(c->g, mask, x, cn_graph_scalar(c->g, b->dtype, 0));
    return cn_graph_ew2(c->g, CN_EW_div, cn_graph_reduce(c->g, kept, CN_REDUCE_SUM, b->over, true), weights);
}

/* Mean and biased variance of the batch, [channels]. A mask has one axis less than x. */
static cornu_status batch_moments(cn_call* c, batch_norm* b, cn_id x, cn_id mask) {
    cn_id mean, centred, weights = CN_NONE;
    cn_type t = *cn_call_type(c, x);

    if (mask != CN_NONE) {
        if (cn_call_type(c, mask)->ndim != t.ndim - 1) return CN_FAIL(BAD_ARGUMENT, "its mask must have one axis less than its input");
        mask = cn_graph_broadcast(c->g, cn_lower_expand_last(c->g, cn_graph_cast(c->g, mask, CORNU_BOOL)), t.ndim, t.dims);
        weights = cn_graph_reduce(c->g, cn_graph_cast(c->g, mask, b->dtype), CN_REDUCE_SUM, b->over, true);
        weights = cn_graph_ew2(c->g, CN_EW_add, weights, cn_graph_scalar(c->g, b->dtype, 1e-7));
    }
    mean = mask != CN_NONE ? masked_mean(c, b, x, mask, weights) : cn_graph_reduce(c->g, x, CN_REDUCE_MEAN, b->over, true);
    centred = cn_graph_ew1(c->g, CN_EW_square, cn_graph_ew2(c->g, CN_EW_sub, x, mean));
    b->var = mask != CN_NONE ? masked_mean(c, b, centred, mask, weights) : cn_graph_reduce(c->g, centred, CN_REDUCE_MEAN, b->over, true);
    b->mean = cn_graph_reshape(c->g, mean, 1, &b->channels);
    b->var = cn_graph_reshape(c->g, b->var, 1, &b->channels);
    return cn_graph_status(c->g);
}

/* Reads an element of renorm_clipping: *given is false when it is not there. */
static cornu_status clipping(cn_call* c, const char* key, bool* given, double* out) {
    const cn_json* dict = cn_config_get(c->layer, "renorm_clipping");
    const cn_json* value = cn_json_get(dict, key);

    *given = cn_json_is(value, CN_JSON_INT) || cn_json_is(value, CN_JSON_FLOAT);
    if (*given) *out = cn_json_double(value);
    if (dict && !cn_json_is(dict, CN_JSON_OBJECT)) return cn_config_bad(c->layer, "renorm_clipping", "null or a dictionary is allowed");
    return CORNU_OK;
}

/* Batch renormalisation at training: x -> x r + d before gamma and beta, r and d taking the batch's statistics to the moving ones. */
static cornu_status renormalize(cn_call* c, batch_norm* b) {
    cn_graph* g = c->g;
    cn_id std, moving_mean, moving_std, r, d;
    bool has_rmin, has_rmax, has_dmax;
    double rmin = 0, rmax = 0, dmax = 0;
    cn_id epsilon = cn_graph_scalar(g, b->dtype, b->epsilon);

    CN_TRY(clipping(c, "rmin", &has_rmin, &rmin));
    CN_TRY(clipping(c, "rmax", &has_rmax, &rmax));
    CN_TRY(clipping(c, "dmax", &has_dmax, &dmax));
    CN_TRY(parameter(c, b->next + 1, 1, &b->channels, b->dtype, &moving_mean));
    CN_TRY(parameter(c, b->next + 2, 1, &b->channels, b->dtype, &moving_std));
    std = cn_graph_ew1(g, CN_EW_sqrt, cn_graph_ew2(g, CN_EW_add, b->var, epsilon));
    moving_std = cn_graph_ew2(g, CN_EW_max, moving_std, cn_graph_ew1(g, CN_EW_sqrt, epsilon));
    r = cn_graph_ew2(g, CN_EW_div, std, moving_std);
    d = cn_graph_ew2(g, CN_EW_div, cn_graph_ew2(g, CN_EW_sub, b->mean, moving_mean), moving_std);
    if (has_rmin) r = cn_graph_ew2(g, CN_EW_max, r, cn_graph_scalar(g, b->dtype, rmin));
    if (has_rmax) r = cn_graph_ew2(g, CN_EW_min, r, cn_graph_scalar(g, b->dtype, rmax));
    if (has_dmax) d = cn_graph_act(g, (cn_act){CN_EW_clip, -dmax, dmax, 0}, d);
    if (b->gamma != CN_NONE) d = cn_graph_ew2(g, CN_EW_mul, d, b->gamma);
    b->gamma = b->gamma != CN_NONE ? cn_graph_ew2(g, CN_EW_mul, r, b->gamma) : r;
    b->beta = b->beta != CN_NONE ? cn_graph_ew2(g, CN_EW_add, d, b->beta) : d;
    return cn_graph_status(g);
}

/* gamma (x - mean) / sqrt(var + epsilon) + beta, at inference with the moving statistics, at training, unless the layer is frozen,
 * with those of the batch. */
static cornu_status lower_batch_norm(cn_call* c) {
    batch_norm b = {.gamma = CN_NONE, .beta = CN_NONE};
    bool center, scale, renorm, trainable;
    cn_id x, in[5];
    int ndim, i = 0;
    cn_attr attr;

    memset(&attr, 0, sizeof attr);
    CN_TRY(cn_call_tensor(c, &x));
    CN_TRY(cn_config_double(c->layer, "epsilon", 1e-3, &b.epsilon));
    CN_TRY(cn_config_bool(c->layer, "center", true, &center));
    CN_TRY(cn_config_bool(c->layer, "scale", true, &scale));
    CN_TRY(cn_config_bool(c->layer, "renorm", false, &renorm));
    CN_TRY(cn_config_bool(c->layer, "trainable", true, &trainable));
    ndim = cn_call_type(c, x)->ndim;
    CN_TRY(read_axis(c, ndim, &b.axis));
    b.channels = cn_call_type(c, x)->dims[b.axis];
    b.over = ((1u << ndim) - 1) & ~(1u << b.axis);
    b.dtype = statistics_dtype(cn_call_type(c, x)->dtype);
    x = cn_graph_cast(c->g, x, b.dtype);
    CN_TRY(cn_call_weight_count(c, 2 + center + scale + (renorm ? 3 : 0)));
    if (scale) CN_TRY(parameter(c, i++, 1, &b.channels, b.dtype, &b.gamma));
    if (center) CN_TRY(parameter(c, i++, 1, &b.channels, b.dtype, &b.beta));
    CN_TRY(parameter(c, i, 1, &b.channels, b.dtype, &b.mean));
    CN_TRY(parameter(c, i + 1, 1, &b.channels, b.dtype, &b.var));
    b.next = i + 2;
    if (c->training && trainable) {
        CN_TRY(batch_moments(c, &b, x, cn_call_mask(c, 2)));
        if (renorm) CN_TRY(renormalize(c, &b));
    }
    attr.norm.axes = 1u << b.axis;
    attr.norm.epsilon = b.epsilon;
    in[0] = x, in[1] = b.mean, in[2] = b.var, in[3] = b.gamma, in[4] = b.beta;
    x = cn_graph_add(c->g, CN_OP_batch_norm, in, 5, &attr);
    return cn_call_return(c, cn_graph_cast(c->g, x, c->compute));
}

/* ---- those that normalise with the statistics of each sample ---- */

/* Integers are normalised in float32 and rounded back towards zero before the cast to the compute dtype, as Keras has it. */
static cornu_status lower_layer_norm(cn_call* c) {
    bool center, scale, rms;
    int64_t dims[CORNU_MAX_DIMS];
    cn_id x, in[3] = {CN_NONE, CN_NONE, CN_NONE};
    cornu_dtype dtype, wide;
    int ndim, i = 0;
    cn_attr attr;

    memset(&attr, 0, sizeof attr);
    CN_TRY(cn_call_tensor(c, &x));
    CN_TRY(cn_config_double(c->layer, "epsilon", 1e-3, &attr.norm.epsilon));
    CN_TRY(cn_config_bool(c->layer, "center", true, &center));
    CN_TRY(cn_config_bool(c->layer, "scale", true, &scale));
    CN_TRY(cn_config_bool(c->layer, "rms_scaling", false, &rms));
    CN_TRY(read_axes(c, cn_call_type(c, x), &attr.norm.axes, dims, &ndim));
    attr.norm.no_center = rms;
    scale = scale || rms;
    center = center && !rms;
    dtype = cn_call_type(c, x)->dtype;
    wide = statistics_dtype(dtype);
    CN_TRY(cn_call_weight_count(c, scale + center));
    if (scale) CN_TRY(parameter(c, i++, ndim, dims, wide, &in[1]));
    if (center) CN_TRY(parameter(c, i, ndim, dims, wide, &in[2]));
    in[0] = cn_graph_cast(c->g, x, wide);
    x = cn_graph_cast(c->g, cn_graph_add(c->g, CN_OP_layer_norm, in, 3, &attr), dtype);
    return cn_call_return(c, cn_graph_cast(c->g, x, c->compute));
}

static cornu_status lower_group_norm(cn_call* c) {
    bool center, scale;
    int64_t channels;
    int axis, ndim, i = 0;
    cn_id x, in[3] = {CN_NONE, CN_NONE, CN_NONE};
    cornu_dtype dtype, wide;
    cn_attr attr;

    memset(&attr, 0, sizeof attr);
    CN_TRY(cn_call_tensor(c, &x));
    CN_TRY(cn_config_double(c->layer, "epsilon", 1e-3, &attr.norm.epsilon));
    CN_TRY(cn_config_bool(c->layer, "center", true, &center));
    CN_TRY(cn_config_bool(c->layer, "scale", true, &scale));
    CN_TRY(cn_config_int(c->layer, "groups", 32, -1, INT64_MAX, &attr.norm.groups));
    ndim = cn_call_type(c, x)->ndim;
    CN_TRY(read_axis(c, ndim, &axis));
    if (axis == 0) return cn_config_bad(c->layer, "axis", "an axis other than the batch is allowed");
    channels = cn_call_type(c, x)->dims[axis];
    if (attr.norm.groups == -1) attr.norm.groups = channels;
    if (attr.norm.groups < 1 || channels % attr.norm.groups) return cn_config_bad(c->layer, "groups", "a divisor of the channels is allowed");
    dtype = cn_call_type(c, x)->dtype;
    wide = statistics_dtype(dtype);
    CN_TRY(cn_call_weight_count(c, scale + center));
    if (scale) CN_TRY(parameter(c, i++, 1, &channels, wide, &in[1]));
    if (center) CN_TRY(parameter(c, i, 1, &channels, wide, &in[2]));
    in[0] = cn_graph_move_axis(c->g, cn_graph_cast(c->g, x, wide), axis, ndim - 1);
    x = cn_graph_add(c->g, CN_OP_group_norm, in, 3, &attr);
    x = cn_graph_cast(c->g, cn_graph_move_axis(c->g, x, ndim - 1, axis), dtype);
    return cn_call_return(c, cn_graph_cast(c->g, x, c->compute));
}

/* The scale multiplies as numpy broadcasts it, so it fits its axes only when they are the last ones. */
static cornu_status lower_rms_norm(cn_call* c) {
    int64_t dims[CORNU_MAX_DIMS];
    cornu_dtype dtype, wide;
    cn_id x, scale;
    cn_attr attr;
    bool last;
    int ndim;

    memset(&attr, 0, sizeof attr);
    CN_TRY(cn_call_tensor(c, &x));
    CN_TRY(cn_config_double(c->layer, "epsilon", 1e-6, &attr.norm.epsilon));
    CN_TRY(read_axes(c, cn_call_type(c, x), &attr.norm.axes, dims, &ndim));
    dtype = cn_call_type(c, x)->dtype;
    wide = statistics_dtype(dtype);
    last = attr.norm.axes == ((1u << cn_call_type(c, x)->ndim) - (1u << (cn_call_type(c, x)->ndim - ndim)));
    CN_TRY(cn_call_weight_count(c, 1));
    CN_TRY(cn_call_weight(c, 0, ndim, dims, &scale));
    scale = cn_graph_cast(c->g, scale, wide);
    x = cn_graph_cast(c->g, x, wide);
    x = cn_graph_add(c->g, CN_OP_rms_norm, (const cn_id[]){x, last ? scale : CN_NONE}, 2, &attr);
    if (!last) x = cn_graph_ew2(c->g, CN_EW_mul, x, scale);
    return cn_call_return(c, cn_graph_cast(c->g, x, dtype));
}

static cornu_status lower_unit_norm(cn_call* c) {
    int64_t dims[CORNU_MAX_DIMS];
    uint32_t axes;
    int ndim;
    cn_id x;

    CN_TRY(cn_call_tensor(c, &x));
    CN_TRY(read_axes(c, cn_call_type(c, x), &axes, dims, &ndim));
    return cn_call_return(c, cn_lower_l2_normalize(c->g, x, axes, 1e-12));
}

const cn_layer_def cn_layers_normalization[] = {
    {"BatchNormalization", lower_batch_norm, CN_MASK_PASS, false, NULL},
    {"GroupNormalization", lower_group_norm, CN_MASK_PASS, true, NULL},
    {"LayerNormalization", lower_layer_norm, CN_MASK_PASS, true, NULL},
    {"RMSNormalization", lower_rms_norm, CN_MASK_DROP, false, NULL},
    {"UnitNormalization", lower_unit_norm, CN_MASK_PASS, false, NULL},
    {0},
};
