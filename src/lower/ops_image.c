/* keras/src/ops/image.py as far as products, gathers and the resize op reach, and einops.py. */
#include <inttypes.h>
#include <math.h>

#include "lower/ops.h"

/* Images [H, W, C] or [N, H, W, C] as the latter; *alone: it was one image. */
static cornu_status image_operand(cn_call* c, int position, const char* names, cn_id* x, bool* alone, bool* channels_first) {
    CN_TRY(cn_op_tensor(c, position, names, x));
    CN_TRY(cn_op_channels_first(c, channels_first));
    *alone = cn_op_type(c, *x)->ndim == 3;
    if (*alone) *x = cn_op_insert_axis(c, *x, 0);
    if (cn_op_type(c, *x)->ndim != 4) return CN_FAIL(BAD_ARGUMENT, "its images must have 3 or 4 axes");
    if (*channels_first) *x = cn_to_channels_last(c->g, *x);
    return cn_graph_status(c->g);
}

static cornu_status return_image(cn_call* c, cn_id y, bool alone, bool channels_first) {
    if (channels_first) y = cn_to_channels_first(c->g, y);
    return cn_call_return(c, alone ? cn_op_remove_axis(c, y, 0) : y);
}

static cn_id channel(cn_call* c, cn_id x, int i) { return cn_graph_slice_axis(c->g, x, 3, i, i + 1); }

static cornu_status lower_grayscale(cn_call* c) {
    static const double weights[] = {0.2989, 0.587, 0.114};
    bool alone, first;
    cornu_dtype dtype;
    cn_id x, y = CN_NONE;

    CN_TRY(image_operand(c, 0, "images", &x, &alone, &first));
    if (cn_op_type(c, x)->dims[3] == 1) return return_image(c, x, alone, first);
    if (cn_op_type(c, x)->dims[3] != 3) return CN_FAIL(BAD_ARGUMENT, "its images must have 1 or 3 channels");
    dtype = cn_op_type(c, x)->dtype;
    x = cn_graph_cast(c->g, x, cn_float_of(dtype));
    for (int i = 0; i < 3; i++) {
        cn_id part = cn_op_ew(c, CN_EW_mul, channel(c, x, i), weights[i]);
        y = i ? cn_graph_ew2(c->g, CN_EW_add, y, part) : part;
    }
    return return_image(c, cn_graph_cast(c->g, y, dtype), alone, first);
}

static cornu_status lower_rgb_to_hsv(cn_call* c) {
    bool alone, first;
    cn_id x, r, g, b, most, range, h, parts[3], zero;

    CN_TRY(image_operand(c, 0, "images", &x, &alone, &first));
    if (cn_op_type(c, x)->dims[3] != 3) return CN_FAIL(BAD_ARGUMENT, "its images must have 3 channels");
    r = channel(c, x, 0), g = channel(c, x, 1), b = channel(c, x, 2);
    most = cn_graph_reduce(c->g, x, CN_REDUCE_MAX, 8, true);
    range = cn_graph_ew2(c->g, CN_EW_sub, most, cn_graph_reduce(c->g, x, CN_REDUCE_MIN, 8, true));
    zero = cn_op_fill(c, x, 0);
    /* hue in sixths, from the channel that is largest: red before green before blue */
    h = cn_op_ew(c, CN_EW_add, cn_graph_ew2(c->g, CN_EW_div_no_nan, cn_graph_ew2(c->g, CN_EW_sub, r, g), range), 4);
    h = cn_graph_select(c->g, cn_graph_ew2(c->g, CN_EW_eq, g, most), cn_op_ew(c, CN_EW_add, cn_graph_ew2(c->g, CN_EW_div_no_nan, cn_graph_ew2(c->g, CN_EW_sub, b, r), range), 2), h);
    h = cn_graph_select(c->g, cn_graph_ew2(c->g, CN_EW_eq, r, most), cn_graph_ew2(c->g, CN_EW_div_no_nan, cn_graph_ew2(c->g, CN_EW_sub, g, b), range), h);
    h = cn_op_ew(c, CN_EW_div, h, 6);
    h = cn_graph_select(c->g, cn_op_ew(c, CN_EW_le, range, 0), zero, h);
    parts[0] = cn_graph_select(c->g, cn_op_ew(c, CN_EW_lt, h, 0), cn_op_ew(c, CN_EW_add, h, 1), h);
    parts[1] = cn_graph_select(c->g, cn_op_ew(c, CN_EW_gt, most, 0), cn_graph_ew2(c->g, CN_EW_div_no_nan, range, most), zero);
    parts[2] = most;
    return return_image(c, cn_graph_concat(c->g, parts, 3, 3), alone, first);
}

/* c = v (1 - s clip(2 - |6 h - p|)) style: each channel is a clipped ramp of the hue. */
static cornu_status lower_hsv_to_rgb(cn_call* c) {
    static const double centre[] = {3, 2, 4}, sign[] = {1, -1, -1}, shift[] = {-1, 2, 2};
    bool alone, first;
    cn_id x, h, s, v, parts[3];

    CN_TRY(image_operand(c, 0, "images", &x, &alone, &first));
    if (cn_op_type(c, x)->dims[3] != 3) return CN_FAIL(BAD_ARGUMENT, "its images must have 3 channels");
    h = cn_op_ew(c, CN_EW_mul, channel(c, x, 0), 6);
    s = channel(c, x, 1), v = channel(c, x, 2);
    for (int i = 0; i < 3; i++) {
        cn_id ramp = cn_graph_ew1(c->g, CN_EW_abs, cn_op_ew(c, CN_EW_sub, h, centre[i]));
        ramp = cn_op_ew(c, CN_EW_add, cn_op_ew(c, CN_EW_mul, ramp, sign[i]), shift[i]);
        ramp = cn_op_ew(c, CN_EW_max, cn_op_ew(c, CN_EW_min, ramp, 1), 0);
        ramp = cn_graph_ew2(c->g, CN_EW_mul, cn_op_ew(c, CN_EW_sub, ramp, 1), s);
        parts[i] = cn_graph_ew2(c->g, CN_EW_mul, cn_op_ew(c, CN_EW_add, ramp, 1), v);
    }
    return return_image(c, cn_graph_concat(c->g, parts, 3, 3), alone, first);
}

/* ---- sizes ---- */

/* A side's crop or padding: of before, after and the target size, two are given. */
static cornu_status side(cn_call* c, const char* before, const char* after, const char* target, int64_t n, int64_t sign, int64_t* low, int64_t* high) {
    int64_t a = -1, b = -1, size = -1;

    if (cn_config_get(c->layer, before)) CN_TRY(cn_config_int(c->layer, before, 0, 0, INT32_MAX, &a));
    if (cn_config_get(c->layer, after)) CN_TRY(cn_config_int(c->layer, after, 0, 0, INT32_MAX, &b));
    if (cn_config_get(c->layer, target)) CN_TRY(cn_config_int(c->layer, target, 0, 0, INT32_MAX, &size));
    if (a < 0) a = sign * (size - n) - b;
    if (b < 0) b = sign * (size - n) - a;
    if (a < 0 || b < 0) return CN_FAIL(BAD_ARGUMENT, "%s, %s and %s do not fit an axis of %" PRId64, before, after, target, n);
    *low = a;
    *high = b;
    return CORNU_OK;
}

static cornu_status lower_crop(cn_call* c) {
    bool alone, first;
    int64_t low[4] = {0}, high[4] = {0};
    cn_type t;
    cn_id x;

    CN_TRY(image_operand(c, 0, "images", &x, &alone, &first));
    t = *cn_op_type(c, x);
    CN_TRY(side(c, "top_cropping", "bottom_cropping", "target_height", t.dims[1], -1, &low[1], &high[1]));
    CN_TRY(side(c, "left_cropping", "right_cropping", "target_width", t.dims[2], -1, &low[2], &high[2]));
    for (int i = 0; i < 4; i++) high[i] = t.dims[i] - high[i];
    if (low[1] > high[1] || low[2] > high[2]) return CN_FAIL(BAD_ARGUMENT, "more is cropped than there is");
    return return_image(c, cn_graph_slice(c->g, x, low, high), alone, first);
}

static cornu_status lower_pad(cn_call* c) {
    bool alone, first;
    int64_t low[4] = {0}, high[4] = {0};
    cn_id x;

    CN_TRY(image_operand(c, 0, "images", &x, &alone, &first));
    CN_TRY(side(c, "top_padding", "bottom_padding", "target_height", cn_op_type(c, x)->dims[1], 1, &low[1], &high[1]));
    CN_TRY(side(c, "left_padding", "right_padding", "target_width", cn_op_type(c, x)->dims[2], 1, &low[2], &high[2]));
    return return_image(c, cn_graph_pad(c->g, x, low, high, 0), alone, first);
}

/* Crops, or pads with the fill value, to the aspect ratio of the target. */
static cornu_status fit_aspect(cn_call* c, const int64_t* size, bool crop, cn_id* x) {
    int64_t low[4] = {0}, high[4] = {0}, dims[2] = {cn_op_type(c, *x)->dims[1], cn_op_type(c, *x)->dims[2]};
    double fill = 0;

    CN_TRY(cn_config_double(c->layer, "fill_value", 0, &fill));
    for (int i = 0; i < 4; i++) high[i] = crop ? cn_op_type(c, *x)->dims[i] : 0;
    for (int i = 0; i < 2; i++) {
        int64_t want = (int64_t)((float)(dims[1 - i] * size[i]) / (float)size[1 - i]), start;
        want = crop ? (want < dims[i] ? want : dims[i]) : want > dims[i] ? want : dims[i];
        if (want < 1) want = 1;
        start = (crop ? dims[i] - want : want - dims[i]) / 2;
        low[i + 1] = start;
        high[i + 1] = crop ? start + want : start;
    }
    *x = crop ? cn_graph_slice(c->g, *x, low, high) : cn_graph_pad(c->g, *x, low, high, fill);
    return cn_graph_status(c->g);
}

static cornu_status lower_resize(cn_call* c) {
    static const cn_resize_kind kinds[] = {CN_RESIZE_NEAREST, CN_RESIZE_BILINEAR, CN_RESIZE_BICUBIC, CN_RESIZE_LANCZOS3, CN_RESIZE_LANCZOS5, CN_RESIZE_AREA};
    bool alone, first, crop, pad;
    int64_t size[2];
    cornu_dtype dtype;
    cn_attr attr;
    cn_id x;
    int kind;

    memset(&attr, 0, sizeof attr);
    CN_TRY(image_operand(c, 0, "images", &x, &alone, &first));
    CN_TRY(cn_config_ints(c->layer, "size", 2, 1, 1, INT32_MAX, size));
    CN_TRY(cn_config_choice(c->layer, "interpolation", "bilinear", "nearest|bilinear|bicubic|lanczos3|lanczos5|area", &kind));
    CN_TRY(cn_config_bool(c->layer, "antialias", false, &attr.resize.antialias));
    CN_TRY(cn_config_bool(c->layer, "crop_to_aspect_ratio", false, &crop));
    CN_TRY(cn_config_bool(c->layer, "pad_to_aspect_ratio", false, &pad));
    if (crop || pad) CN_TRY(fit_aspect(c, size, crop, &x));
    attr.resize.kind = kinds[kind];
    attr.resize.height = size[0];
    attr.resize.width = size[1];
    dtype = cn_op_type(c, x)->dtype;
    if (dtype != CORNU_FLOAT32 && kind != 0) x = cn_graph_cast(c->g, x, CORNU_FLOAT32); /* TensorFlow resizes in float32 */
    if (!cn_dtype_is_float(cn_op_type(c, x)->dtype)) x = cn_graph_cast(c->g, x, CORNU_FLOAT64);
    x = cn_graph_add(c->g, CN_OP_resize, &x, 1, &attr);
    return return_image(c, kind == 0 ? cn_graph_cast(c->g, x, dtype) : x, alone, first);
}

/* ---- fixed kernels ---- */

/* A depthwise convolution of every channel with one kernel [h, w] of doubles. */
static cn_id filter(cn_call* c, cn_id x, const double* kernel, int64_t h, int64_t w, int64_t pad_h, int64_t pad_w) {
    cn_type type = {.dtype = CORNU_FLOAT64, .ndim = 4, .dims = {h, w, 1, 1}};
    int64_t channels = cn_op_type(c, x)->dims[3], out[] = {h, w, 1, channels};
    cn_id in[2] = {x, CN_NONE};
    cn_attr attr;

    memset(&attr, 0, sizeof attr);
    attr.conv = (cn_conv_attr){.spatial = 2, .strides = {1, 1}, .dilation = {1, 1}, .groups = channels};
    attr.conv.pad_lo[0] = attr.conv.pad_hi[0] = pad_h;
    attr.conv.pad_lo[1] = attr.conv.pad_hi[1] = pad_w;
    in[1] = cn_graph_broadcast(c->g, cn_graph_cast(c->g, cn_graph_constant(c->g, &type, kernel), cn_op_type(c, x)->dtype), 4, out);
    return cn_graph_add(c->g, CN_OP_conv, in, 2, &attr);
}

static cornu_status lower_gaussian_blur(cn_call* c) {
    const cn_json* sigma_json = cn_config_get(c->layer, "sigma");
    bool alone, first;
    int64_t size[2];
    double sigma[2] = {1, 1}, kernel[1024], sum = 0;
    cn_id x;

    CN_TRY(image_operand(c, 0, "images", &x, &alone, &first));
    CN_TRY(cn_config_ints(c->layer, "kernel_size", 2, 3, 1, 32, size));
    for (int i = 0; i < 2 && sigma_json; i++) sigma[i] = cn_json_double(cn_json_is(sigma_json, CN_JSON_ARRAY) ? cn_json_at(sigma_json, (size_t)i) : sigma_json);
    if (size[0] % 2 == 0 || size[1] % 2 == 0) return cn_config_unsupported(c->layer, "kernel_size", "odd sizes are possible");
    for (int64_t i = 0; i < size[0] * size[1]; i++) {
        /* Keras makes the kernel [width, height] and reads it as [height, width]. */
        double y = ((double)(i / size[0]) - (double)(size[1] - 1) / 2) / sigma[1], z = ((double)(i % size[0]) - (double)(size[0] - 1) / 2) / sigma[0];
        kernel[i] = exp(-(y * y + z * z) / 2);
        sum += kernel[i];
    }
    for (int64_t i = 0; i < size[0] * size[1]; i++) kernel[i] /= sum;
    return return_image(c, filter(c, x, kernel, size[0], size[1], size[0] / 2, size[1] / 2), alone, first);
}

/* tf.image.sobel_edges: mirrored by one cell, then [N, H, W, C, 2] of dy and dx. */
static cornu_status lower_sobel(cn_call* c) {
    static const double dy[] = {-1, -2, -1, 0, 0, 0, 1, 2, 1}, dx[] = {-1, 0, 1, -2, 0, 2, -1, 0, 1};
    bool alone, first;
    cn_attr attr;
    cn_id x, parts[2];

    memset(&attr, 0, sizeof attr);
    CN_TRY(image_operand(c, 0, "images", &x, &alone, &first));
    attr.pad.mode = CN_PAD_REFLECT;
    for (int i = 1; i < 3; i++) attr.pad.low[i] = attr.pad.high[i] = 1;
    x = cn_graph_add(c->g, CN_OP_pad, &x, 1, &attr);
    for (int i = 0; i < 2; i++) {
        parts[i] = filter(c, x, i ? dx : dy, 3, 3, 0, 0);
        if (first) parts[i] = cn_to_channels_first(c->g, parts[i]);
        parts[i] = cn_op_insert_axis(c, parts[i], 4);
    }
    x = cn_graph_concat(c->g, parts, 2, 4);
    return cn_call_return(c, alone ? cn_op_remove_axis(c, x, 0) : x);
}

/* ---- patches: [N, nh, nw, kh kw C] ---- */

static cornu_status read_pair(cn_call* c, const char* key, int64_t fallback, int64_t* out) {
    out[0] = out[1] = fallback;
    return cn_config_get(c->layer, key) ? cn_config_ints(c->layer, key, 2, fallback, 1, INT32_MAX, out) : CORNU_OK;
}

static cornu_status lower_extract_patches(cn_call* c) {
    bool alone, first;
    int64_t size[2], strides[2], rates[2], count[2], low[4] = {0}, high[4] = {0};
    int padding;
    cn_id x, places[2];

    if (cn_json_is(cn_config_get(c->layer, "size"), CN_JSON_ARRAY) && cn_json_size(cn_config_get(c->layer, "size")) == 3) return cn_config_unsupported(c->layer, "size", "patches of volumes are not possible");
    CN_TRY(image_operand(c, 0, "images", &x, &alone, &first));
    CN_TRY(read_pair(c, "size", 1, size));
    memcpy(strides, size, sizeof strides);
    if (cn_config_get(c->layer, "strides")) CN_TRY(read_pair(c, "strides", 1, strides));
    CN_TRY(read_pair(c, "dilation_rate", 1, rates));
    CN_TRY(cn_config_choice(c->layer, "padding", "valid", "valid|same", &padding));
    for (int i = 0; i < 2; i++) {
        int64_t n = cn_op_type(c, x)->dims[i + 1], window = (size[i] - 1) * rates[i] + 1, total = ((n + strides[i] - 1) / strides[i] - 1) * strides[i] + window - n;
        if (padding == 1 && total > 0) {
            low[i + 1] = total / 2;
            high[i + 1] = total - total / 2;
            n += total;
        }
        count[i] = n < window ? 0 : (n - window) / strides[i] + 1;
        places[i] = cn_op_ew(c, CN_EW_mul, cn_op_iota_axis(c, CORNU_INT64, count[i], 0, 2), (double)strides[i]);
        places[i] = cn_graph_ew2(c->g, CN_EW_add, places[i], cn_op_ew(c, CN_EW_mul, cn_op_iota_axis(c, CORNU_INT64, size[i], 1, 2), (double)rates[i]));
    }
    x = cn_graph_pad(c->g, x, low, high, 0);
    x = cn_graph_gather(c->g, cn_graph_gather(c->g, x, places[0], 1, CN_GATHER_CHECKED), places[1], 3, CN_GATHER_CHECKED);
    x = cn_graph_transpose(c->g, x, (const int[]){0, 1, 3, 2, 4, 5});
    CN_TRY(cn_graph_status(c->g));
    x = cn_graph_reshape(c->g, x, 4, (const int64_t[]){cn_op_type(c, x)->dims[0], count[0], count[1], size[0] * size[1] * cn_op_type(c, x)->dims[5]});
    return return_image(c, x, alone, first);
}

/* ---- places between the cells ---- */

/* x flat at index tensors, one an axis, as numbers of the float type; outside: the fill value. All of one shape. */
static cn_id sample(cn_call* c, cn_id x, const cn_id* places, int n, double fill, bool constant) {
    cn_type t = *cn_op_type(c, x);
    cn_id flat = CN_NONE, inside = CN_NONE, y;
    int64_t stride = 1;

    for (int i = n - 1; i >= 0; i--) {
        cn_id in = cn_graph_ew2(c->g, CN_EW_and, cn_op_ew(c, CN_EW_ge, places[i], 0), cn_op_ew(c, CN_EW_le, places[i], (double)(t.dims[i] - 1)));
        cn_id at = cn_op_ew(c, CN_EW_max, cn_op_ew(c, CN_EW_min, places[i], (double)(t.dims[i] - 1)), 0);
        at = cn_op_ew(c, CN_EW_mul, cn_graph_cast(c->g, at, CORNU_INT64), (double)stride);
        flat = flat == CN_NONE ? at : cn_graph_ew2(c->g, CN_EW_add, flat, at);
        inside = inside == CN_NONE ? in : cn_graph_ew2(c->g, CN_EW_and, inside, in);
        stride *= t.dims[i];
    }
    y = cn_graph_gather(c->g, cn_op_flatten(c, x), flat, 0, CN_GATHER_CLIP);
    return constant ? cn_graph_select(c->g, inside, y, cn_op_fill(c, y, fill)) : y;
}

/* Folds a coordinate back into [0, n - 1] as the fill mode says. */
static cn_id fold_place(cn_call* c, cn_id at, int64_t n, int mode) {
    double size = (double)n;

    if (mode == 2) return cn_op_ew(c, CN_EW_mod, at, size); /* wrap */
    if (mode == 3) { /* mirror; below 0 the sign goes, as in Keras's TensorFlow backend */
        cn_id m = cn_op_ew(c, CN_EW_mod, cn_graph_ew1(c->g, CN_EW_abs, at), 2 * size);
        return cn_graph_ew2(c->g, CN_EW_min, m, cn_graph_ew2(c->g, CN_EW_sub, cn_op_fill(c, m, 2 * size), m));
    }
    if (mode == 4) { /* reflect: the upper edge twice */
        cn_id m = cn_op_ew(c, CN_EW_mod, cn_graph_ew1(c->g, CN_EW_abs, at), 2 * size);
        return cn_graph_ew2(c->g, CN_EW_min, m, cn_graph_ew2(c->g, CN_EW_sub, cn_op_fill(c, m, 2 * size - 1), m));
    }
    return at;
}

/* Order 0 or 1 with whole coordinates folded after rounding, as Keras does. */
static cornu_status lower_map_coordinates(cn_call* c) {
    int64_t order;
    double fill;
    int n, mode;
    cn_type t;
    cn_id x, coordinates, low[4], share[4], y = CN_NONE;

    CN_TRY(cn_op_tensor(c, 0, "inputs", &x));
    CN_TRY(cn_op_tensor(c, 1, "coordinates", &coordinates));
    CN_TRY(cn_config_int(c->layer, "order", 1, 0, 1, &order));
    CN_TRY(cn_config_double(c->layer, "fill_value", 0, &fill));
    CN_TRY(cn_config_choice(c->layer, "fill_mode", "constant", "constant|nearest|wrap|mirror|reflect", &mode));
    t = *cn_op_type(c, x);
    n = t.ndim;
    if (n < 1 || n > 4 || cn_op_type(c, coordinates)->ndim < 1 || cn_op_type(c, coordinates)->dims[0] != n) return CN_FAIL(UNSUPPORTED, "coordinates must have one row for each of 1 to 4 axes");
    if (!cn_dtype_is_float(t.dtype)) return CN_FAIL(UNSUPPORTED, "coordinates in integers");
    coordinates = cn_graph_cast(c->g, coordinates, cn_float_of(cn_op_type(c, coordinates)->dtype));
    for (int i = 0; i < n; i++) {
        cn_id at = cn_op_remove_axis(c, cn_graph_slice_axis(c->g, coordinates, 0, i, i + 1), 0);
        low[i] = cn_graph_ew1(c->g, order ? CN_EW_floor : CN_EW_round, at);
        share[i] = cn_graph_cast(c->g, cn_graph_ew2(c->g, CN_EW_sub, at, low[i]), t.dtype);
    }
    for (int corner = 0; corner < (order ? 1 << n : 1); corner++) {
        cn_id places[4], weight = CN_NONE, part;
        for (int i = 0; i < n; i++) {
            bool high = corner >> i & 1;
            cn_id w = high ? share[i] : cn_graph_ew2(c->g, CN_EW_sub, cn_op_fill(c, share[i], 1), share[i]);
            places[i] = fold_place(c, high ? cn_op_ew(c, CN_EW_add, low[i], 1) : low[i], t.dims[i], mode);
            weight = weight == CN_NONE ? w : cn_graph_ew2(c->g, CN_EW_mul, weight, w);
        }
        part = sample(c, x, places, n, fill, mode == 0);
        if (order) part = cn_graph_ew2(c->g, CN_EW_mul, part, weight);
        y = y == CN_NONE ? part : cn_graph_ew2(c->g, CN_EW_add, y, part);
    }
    return cn_call_return(c, y);
}

/* ---- einops.py: "b (h w) c -> b c h w" ---- */

#define MAX_NAMES 32

typedef struct pattern {
    char names[MAX_NAMES][24];
    int group[MAX_NAMES]; /* axis that the name belongs to */
    int count, axes;
} pattern;

static cornu_status read_pattern(const char* at, const char* end, pattern* p) {
    bool open = false;

    p->count = p->axes = 0;
    while (at < end) {
        size_t size = 0;
        if (*at == ' ' || *at == '(' || *at == ')') {
            if (*at == ')') p->axes++;
            if (*at != ' ') open = *at == '(';
            at++;
            continue;
        }
        while (at + size < end && !strchr(" ()", at[size])) size++;
        if (p->count == MAX_NAMES || size >= sizeof p->names[0] || *at == '.') return CN_FAIL(UNSUPPORTED, "an einops pattern with '...', long names or more than %d", MAX_NAMES);
        memcpy(p->names[p->count], at, size);
        p->names[p->count][size] = '\0';
        p->group[p->count++] = p->axes;
        if (!open) p->axes++;
        at += size;
    }
    return p->axes > CORNU_MAX_DIMS || p->count > CORNU_MAX_DIMS ? CN_FAIL(UNSUPPORTED, "an einops pattern of more than %d axes", CORNU_MAX_DIMS) : CORNU_OK;
}

/* Sizes of the names on the left; in each group one may follow from the others. */
static cornu_status name_sizes(cn_call* c, const pattern* p, const cn_type* t, int64_t* sizes) {
    for (int axis = 0; axis < p->axes; axis++) {
        int64_t known = 1;
        int hole = -1;
        for (int i = 0; i < p->count; i++) {
            const cn_arg* given = cn_call_arg(c, -1, p->names[i]);
            if (p->group[i] != axis) continue;
            sizes[i] = strcmp(p->names[i], "1") == 0 ? 1 : -1;
            if (given->kind == CN_ARG_JSON) (void)cn_json_int64(given->json, &sizes[i]);
            if (sizes[i] > 0) known *= sizes[i];
            else if (hole < 0) hole = i;
            else return CN_FAIL(BAD_FILE, "the einops pattern leaves two sizes of one axis open");
        }
        if (hole >= 0) sizes[hole] = t->dims[axis] / known;
        else if (known != t->dims[axis]) return CN_FAIL(BAD_ARGUMENT, "the einops pattern does not fit axis %d", axis);
    }
    return CORNU_OK;
}

static cornu_status lower_rearrange(cn_call* c) {
    const cn_arg* arg = cn_op_arg(c, 1, "pattern");
    const char *text = arg->kind == CN_ARG_JSON ? cn_json_string(arg->json, NULL) : NULL, *arrow = text ? strstr(text, "->") : NULL;
    int64_t sizes[MAX_NAMES], dims[CORNU_MAX_DIMS];
    int perm[CORNU_MAX_DIMS], n = 0;
    pattern left, right;
    cn_id x;

    CN_TRY(cn_op_tensor(c, 0, "tensor", &x));
    if (!arrow) return CN_FAIL(BAD_FILE, "an einops pattern without an arrow");
    CN_TRY(read_pattern(text, arrow, &left));
    CN_TRY(read_pattern(arrow + 2, text + strlen(text), &right));
    if (left.axes != cn_op_type(c, x)->ndim) return CN_FAIL(BAD_ARGUMENT, "the einops pattern has %d axes, its input %d", left.axes, cn_op_type(c, x)->ndim);
    CN_TRY(name_sizes(c, &left, cn_op_type(c, x), sizes));
    for (int i = 0; i < right.axes; i++) dims[i] = 1;
    for (int i = 0; i < right.count; i++) {
        int found = -1;
        for (int k = 0; k < left.count; k++) found = strcmp(right.names[i], left.names[k]) == 0 ? k : found;
        if (found < 0 && strcmp(right.names[i], "1") == 0) continue;
        if (found < 0) return CN_FAIL(BAD_FILE, "the einops pattern has '%s' on the right alone", right.names[i]);
        perm[n++] = found;
        dims[right.group[i]] *= sizes[found];
    }
    for (int k = 0; k < left.count; k++) { /* axes of 1 that go */
        bool kept = false;
        for (int i = 0; i < n; i++) kept = kept || perm[i] == k;
        if (!kept && sizes[k] == 1 && n < CORNU_MAX_DIMS) perm[n++] = k;
    }
    if (n != left.count) return CN_FAIL(BAD_FILE, "the einops pattern loses an axis");
    x = cn_graph_transpose(c->g, cn_graph_reshape(c->g, x, left.count, sizes), perm);
    return cn_call_return(c, cn_graph_reshape(c->g, x, right.axes, dims));
}

const cn_layer_def cn_ops_image[] = {
    CN_OP_ROW("RGBToGrayscale", lower_grayscale),
    CN_OP_ROW("RGBToHSV", lower_rgb_to_hsv),
    CN_OP_ROW("HSVToRGB", lower_hsv_to_rgb),
    CN_OP_ROW("CropImages", lower_crop),
    CN_OP_ROW("PadImages", lower_pad),
    CN_OP_ROW("Resize", lower_resize),
    CN_OP_ROW("SobelEdges", lower_sobel),
    CN_OP_ROW_LIMITS("GaussianBlur", lower_gaussian_blur, "odd kernels up to 32"),
    CN_OP_ROW_LIMITS("ExtractPatches", lower_extract_patches, "of images, not of volumes"),
    CN_OP_ROW_LIMITS("MapCoordinates", lower_map_coordinates, "floats of up to 4 axes"),
    CN_OP_ROW_LIMITS("Rearrange", lower_rearrange, "no '...'"),
    CN_OP_REFUSED("AffineTransform", "not there yet"),
    CN_OP_REFUSED("PerspectiveTransform", "not there yet"),
    CN_OP_REFUSED("ElasticTransform", "random displacements"),
    CN_OP_REFUSED("ScaleAndTranslate", "not there yet"),
    CN_OP_REFUSED("SSIM", "not there yet"),
    CN_OP_REFUSED("FakeQuantWithMinMaxVars", "quantized models are not run"),
    {0},
};
