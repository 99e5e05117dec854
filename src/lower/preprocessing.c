/* keras/src/layers/preprocessing. */
#include "lower/layer.h"

#include <string.h>

#include "base/dtype.h"

/* x scale + offset in the compute dtype, whatever the input's. */
static cornu_status lower_rescaling(cn_call* c) {
    cn_id x, scale, offset;

    CN_TRY(cn_call_tensor(c, &x));
    CN_TRY(cn_call_array(c, "scale", 1, c->compute, &scale));
    CN_TRY(cn_call_array(c, "offset", 0, c->compute, &offset));
    x = cn_graph_cast(c->g, x, c->compute);
    return cn_call_return(c, cn_graph_ew2(c->g, CN_EW_add, cn_graph_ew2(c->g, CN_EW_mul, x, scale), offset));
}

/* ---- Normalization ---- */

/* The axes that keep their own statistics, ascending, and the shape that broadcasts them: the input's sizes there, 1 elsewhere. */
typedef struct kept_axes {
    int n;
    int64_t sizes[CORNU_MAX_DIMS]; /* of the kept axes */
    int axes[CORNU_MAX_DIMS];
    cn_type shape;
} kept_axes;

static cornu_status read_kept(cn_call* c, const cn_type* x, kept_axes* k) {
    const cn_json* value = cn_json_get(c->layer->config, "axis");
    int64_t config[CORNU_MAX_DIMS];
    uint32_t axes = 0;
    int n, axis;

    memset(k, 0, sizeof *k);
    CN_TRY(cn_config_list(c->layer, "axis", CORNU_MAX_DIMS, INT32_MIN, INT32_MAX, false, config, &n));
    if (!value) config[n++] = -1;
    for (int i = 0; i < n; i++) {
        CN_TRY(cn_call_axis(c, "axis", config[i], x->ndim, &axis));
        axes |= 1u << axis;
    }
    k->shape.ndim = x->ndim;
    for (int i = 0; i < x->ndim; i++) {
        k->shape.dims[i] = axes >> i & 1 ? x->dims[i] : 1;
        if (!(axes >> i & 1)) continue;
        k->axes[k->n] = i;
        k->sizes[k->n++] = x->dims[i];
    }
    return CORNU_OK;
}

/* A statistic of the config, its axes those of the last kept ones, in the shape that broadcasts. */
static cornu_status config_statistic(cn_call* c, const kept_axes* k, const char* key, cn_id* out) {
    int64_t dims[CORNU_MAX_DIMS];
    cn_id given;
    cn_type t;

    CN_TRY(cn_call_array(c, key, 0, c->compute, &given));
    t = *cn_call_type(c, given);
    if (t.ndim > k->n) return cn_config_bad(c->layer, key, "no more axes than in axis are allowed");
    for (int i = 0; i < k->shape.ndim; i++) dims[i] = 1;
    for (int i = 1; i <= t.ndim; i++) dims[k->axes[k->n - i]] = t.dims[t.ndim - i];
    *out = cn_graph_broadcast(c->g, cn_graph_reshape(c->g, given, k->shape.ndim, dims), k->shape.ndim, k->shape.dims);
    return cn_graph_status(c->g);
}

/* The statistics: of the config, or what adapt() left in the variables mean, variance and count. */
static cornu_status statistics(cn_call* c, const kept_axes* k, cn_id* mean, cn_id* variance) {
    if (cn_config_get(c->layer, "mean")) {
        CN_TRY(config_statistic(c, k, "mean", mean));
        return config_statistic(c, k, "variance", variance);
    }
    CN_TRY(cn_call_weight(c, 0, k->n, k->sizes, mean));
    CN_TRY(cn_call_weight(c, 1, k->n, k->sizes, variance));
    *mean = cn_graph_reshape(c->g, *mean, k->shape.ndim, k->shape.dims);
    *variance = cn_graph_reshape(c->g, *variance, k->shape.ndim, k->shape.dims);
    return cn_graph_status(c->g);
}

/* (x - mean) / max(sqrt(variance), 1e-7), or back. */
static cornu_status lower_normalization(cn_call* c) {
    cn_id x, mean, variance, deviation;
    kept_axes k;
    bool invert;

    CN_TRY(cn_call_tensor(c, &x));
    CN_TRY(cn_config_bool(c->layer, "invert", false, &invert));
    CN_TRY(read_kept(c, cn_call_type(c, x), &k));
    CN_TRY(statistics(c, &k, &mean, &variance));
    x = cn_graph_cast(c->g, x, c->compute);
    deviation = cn_graph_ew2(c->g, CN_EW_max, cn_graph_ew1(c->g, CN_EW_sqrt, variance), cn_graph_scalar(c->g, c->compute, 1e-7));
    if (invert) return cn_call_return(c, cn_graph_ew2(c->g, CN_EW_add, mean, cn_graph_ew2(c->g, CN_EW_mul, x, deviation)));
    return cn_call_return(c, cn_graph_ew2(c->g, CN_EW_div, cn_graph_ew2(c->g, CN_EW_sub, x, mean), deviation));
}

/* ---- images ---- */

/* An image or a batch of them as [N, H, W, C], and the way back. */
typedef struct images {
    cn_id x;
    bool channels_first, single;
    int64_t height, width; /* of x */
    int64_t out_height, out_width;
} images;

static cornu_status images_begin(cn_call* c, images* im) {
    int64_t dims[4] = {1, 0, 0, 0};
    const cn_type* t;

    CN_TRY(cn_call_tensor(c, &im->x));
    CN_TRY(cn_call_data_format(c, &im->channels_first));
    CN_TRY(cn_config_int(c->layer, "height", 0, 1, INT32_MAX, &im->out_height));
    CN_TRY(cn_config_int(c->layer, "width", 0, 1, INT32_MAX, &im->out_width));
    t = cn_call_type(c, im->x);
    if (t->ndim != 3 && t->ndim != 4) return CN_FAIL(BAD_ARGUMENT, "its input must have 3 or 4 axes, not %d", t->ndim);
    im->single = t->ndim == 3;
    memcpy(dims + 1, t->dims, 3 * sizeof *dims);
    if (im->single) im->x = cn_graph_reshape(c->g, im->x, 4, dims);
    if (im->channels_first) im->x = cn_to_channels_last(c->g, im->x);
    CN_TRY(cn_graph_status(c->g));
    im->height = cn_call_type(c, im->x)->dims[1];
    im->width = cn_call_type(c, im->x)->dims[2];
    if (im->height < 1 || im->width < 1) return CN_FAIL(BAD_ARGUMENT, "its images are empty");
    return CORNU_OK;
}

static cornu_status images_return(cn_call* c, const images* im, cn_id y) {
    if (im->channels_first) y = cn_to_channels_first(c->g, y);
    CN_TRY(cn_graph_status(c->g));
    if (im->single) y = cn_graph_reshape(c->g, y, 3, cn_call_type(c, y)->dims + 1);
    return cn_call_return(c, y);
}

/* n target / other, in float32 as Keras computes it. */
static int64_t proportional(int64_t n, int64_t target, int64_t other) {
    return (int64_t)((float)(n * target) / (float)other);
}

/* The largest part of the images, around their centre, that has the shape of the target. */
static void crop_to_ratio(cn_call* c, images* im) {
    int64_t h = proportional(im->width, im->out_height, im->out_width), w = proportional(im->height, im->out_width, im->out_height);
    int64_t top, left;

    h = h > im->height ? im->height : h < 1 ? 1 : h;
    w = w > im->width ? im->width : w < 1 ? 1 : w;
    top = (im->height - h) / 2, left = (im->width - w) / 2;
    im->x = cn_graph_slice_axis(c->g, cn_graph_slice_axis(c->g, im->x, 1, top, top + h), 2, left, left + w);
    im->height = h, im->width = w;
}

/* As much of the fill value on both sides as gives the target's shape; an odd cell is left out. */
static cornu_status pad_to_ratio(cn_call* c, images* im) {
    int64_t h = proportional(im->width, im->out_height, im->out_width), w = proportional(im->height, im->out_width, im->out_height);
    int64_t pad[4] = {0, 0, 0, 0};
    double value;
    int mode;

    CN_TRY(cn_config_choice(c->layer, "fill_mode", "constant", "constant", &mode));
    CN_TRY(cn_config_double(c->layer, "fill_value", 0, &value));
    if (h > im->height) pad[1] = (h - im->height) / 2;
    if (w > im->width) pad[2] = (w - im->width) / 2;
    im->x = cn_graph_pad(c->g, im->x, pad, pad, value);
    im->height += 2 * pad[1], im->width += 2 * pad[2];
    return cn_graph_status(c->g);
}

static cn_id resize(cn_call* c, const images* im, cn_resize_kind kind, bool antialias) {
    cn_attr attr;

    memset(&attr, 0, sizeof attr);
    attr.resize = (cn_resize_attr){kind, antialias, im->out_height, im->out_width};
    return cn_graph_add(c->g, CN_OP_resize, &im->x, 1, &attr);
}

/* The result has the input's dtype; integers are rounded and kept in range. */
static cornu_status lower_resizing(cn_call* c) {
    static const cn_resize_kind kinds[] = {CN_RESIZE_BILINEAR, CN_RESIZE_NEAREST,  CN_RESIZE_BICUBIC,
                                           CN_RESIZE_LANCZOS3, CN_RESIZE_LANCZOS5, CN_RESIZE_AREA};
    bool crop, pad, antialias;
    cornu_dtype dtype;
    cn_id y;
    images im;
    int choice;

    CN_TRY(images_begin(c, &im));
    CN_TRY(cn_config_choice(c->layer, "interpolation", "bilinear", "bilinear|nearest|bicubic|lanczos3|lanczos5|area", &choice));
    CN_TRY(cn_config_bool(c->layer, "crop_to_aspect_ratio", false, &crop));
    CN_TRY(cn_config_bool(c->layer, "pad_to_aspect_ratio", false, &pad));
    CN_TRY(cn_config_bool(c->layer, "antialias", false, &antialias));
    if (crop && pad) return cn_config_bad(c->layer, "pad_to_aspect_ratio", "only one of crop_to_aspect_ratio and pad_to_aspect_ratio is allowed");
    if (crop) crop_to_ratio(c, &im);
    if (pad) CN_TRY(pad_to_ratio(c, &im));
    if (im.height == im.out_height && im.width == im.out_width) return images_return(c, &im, im.x);
    CN_TRY(cn_graph_status(c->g));
    dtype = cn_call_type(c, im.x)->dtype;
    if (!cn_dtype_is_float(dtype)) im.x = cn_graph_cast(c->g, im.x, kinds[choice] == CN_RESIZE_NEAREST ? CORNU_FLOAT64 : CORNU_FLOAT32);
    else if (dtype != CORNU_FLOAT64) im.x = cn_graph_cast(c->g, im.x, CORNU_FLOAT32);
    y = resize(c, &im, kinds[choice], antialias);
    if (cn_dtype_is_int(dtype)) y = cn_graph_ew1(c->g, CN_EW_round, y);
    return images_return(c, &im, cn_graph_cast(c->g, y, dtype));
}

/* Cuts out the centre; images that are smaller than the result are cut to its shape and resized. The result of a resize is float32 in
 * Keras, whatever the policy. */
static cornu_status lower_center_crop(cn_call* c) {
    int64_t top, left;
    images im;

    CN_TRY(images_begin(c, &im));
    im.x = cn_graph_cast(c->g, im.x, c->compute);
    top = im.height - im.out_height, left = im.width - im.out_width;
    if (top >= 0 && left >= 0) {
        im.x = cn_graph_slice_axis(c->g, im.x, 1, top / 2, top / 2 + im.out_height);
        return images_return(c, &im, cn_graph_slice_axis(c->g, im.x, 2, left / 2, left / 2 + im.out_width));
    }
    crop_to_ratio(c, &im);
    if (c->compute != CORNU_FLOAT64) im.x = cn_graph_cast(c->g, im.x, CORNU_FLOAT32);
    return images_return(c, &im, cn_graph_cast(c->g, resize(c, &im, CN_RESIZE_BILINEAR, false), CORNU_FLOAT32));
}

const cn_layer_def cn_layers_preprocessing[] = {
    {"CenterCrop", lower_center_crop, CN_MASK_DROP, false, "inputs: no dictionaries of images and boxes"},
    {"Normalization", lower_normalization, CN_MASK_PASS, false, NULL},
    {"Rescaling", lower_rescaling, CN_MASK_PASS, false, NULL},
    {"Resizing", lower_resizing, CN_MASK_DROP, false, "inputs: no dictionaries of images and boxes"},
    {0},
};
