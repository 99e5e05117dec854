/* keras/src/layers/reshaping. */
#include "lower/layer.h"

#include <string.h>

#include "base/dtype.h"
#include "base/size.h"

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
    if (!cn_dims_count(cn_call_type(c, x)->dims + 1, cn_call_type(c, x)->ndim - 1, &dims[1])) return CN_FAIL(BAD_ARGUMENT, "its input is too large");
    return cn_call_return(c, cn_graph_reshape(c->g, x, 2, dims));
}

/* A -1 is found from the axes but the first, so that an empty batch does too. */
static cornu_status lower_reshape(cn_call* c) {
    int64_t dims[CORNU_MAX_DIMS], count, known;
    const cn_type* type;
    char text[256];
    int n, hole = 0;
    cn_id x;

    CN_TRY(cn_call_tensor(c, &x));
    if (!cn_config_get(c->layer, "target_shape")) return cn_config_bad(c->layer, "target_shape", "a list of integers is needed");
    CN_TRY(cn_config_list(c->layer, "target_shape", CORNU_MAX_DIMS - 1, -1, INT64_MAX, true, dims + 1, &n));
    type = cn_call_type(c, x);
    if (type->ndim < 1) return CN_FAIL(BAD_ARGUMENT, "its input must have at least 1 axis");
    dims[0] = type->dims[0];
    for (int i = 1; i <= n; i++) {
        if (dims[i] >= 0) continue;
        if (hole) return cn_config_bad(c->layer, "target_shape", "one -1 is allowed");
        hole = i;
        dims[i] = 1;
    }
    if (!cn_dims_count(type->dims + 1, type->ndim - 1, &count) || !cn_dims_count(dims + 1, n, &known) ||
        (hole ? known == 0 || count % known != 0 : count != known)) {
        return CN_FAIL(BAD_ARGUMENT, "its input %s has another number of elements than its target_shape", cn_type_text(type, text));
    }
    if (hole) dims[hole] = count / known;
    return cn_call_return(c, cn_graph_reshape(c->g, x, n + 1, dims));
}

static cornu_status lower_permute(cn_call* c) {
    int64_t dims[CORNU_MAX_DIMS];
    int perm[CORNU_MAX_DIMS] = {0}, n;
    uint32_t seen = 0;
    cn_id x;

    CN_TRY(cn_call_tensor(c, &x));
    CN_TRY(cn_config_list(c->layer, "dims", CORNU_MAX_DIMS - 1, 1, CORNU_MAX_DIMS - 1, false, dims, &n));
    for (int i = 0; i < n; i++) {
        perm[i + 1] = (int)dims[i];
        seen |= 1u << dims[i];
    }
    if (seen != (1u << (n + 1)) - 2) return cn_config_bad(c->layer, "dims", "each of 1, 2, ... once is allowed");
    if (cn_call_type(c, x)->ndim != n + 1) return CN_FAIL(BAD_ARGUMENT, "its input must have %d axes, not %d", n + 1, cn_call_type(c, x)->ndim);
    return cn_call_return(c, cn_graph_transpose(c->g, x, perm));
}

static cornu_status lower_repeat_vector(cn_call* c) {
    int64_t n, dims[3];
    cn_id x;

    CN_TRY(cn_call_tensor(c, &x));
    CN_TRY(cn_config_int(c->layer, "n", 0, 1, INT32_MAX, &n));
    if (n < 1) return cn_config_bad(c->layer, "n", "a positive integer is needed");
    if (cn_call_type(c, x)->ndim != 2) return CN_FAIL(BAD_ARGUMENT, "its input must have 2 axes, not %d", cn_call_type(c, x)->ndim);
    dims[0] = cn_call_type(c, x)->dims[0];
    dims[1] = 1;
    dims[2] = cn_call_type(c, x)->dims[1];
    x = cn_graph_reshape(c->g, x, 3, dims);
    dims[1] = n;
    return cn_call_return(c, cn_graph_broadcast(c->g, x, 3, dims));
}

/* ---- padding and cropping ---- */

/* Amounts before and after each spatial axis: one int for all, an int or a pair for each axis, and in one dimension a pair. */
static cornu_status read_sides(cn_call* c, const char* key, int spatial, int64_t fallback, int64_t (*sides)[2]) {
    const cn_json* value = cn_config_get(c->layer, key);
    const char* allowed = spatial == 1 ? "an integer or two, none negative, is allowed" : "an integer, or for each axis one or two, none negative, is allowed";
    bool list = cn_json_is(value, CN_JSON_ARRAY);

    if (list && cn_json_size(value) != (size_t)(spatial == 1 ? 2 : spatial)) return cn_config_bad(c->layer, key, allowed);
    for (int i = 0; i < 2 * spatial; i++) {
        const cn_json* item = !list ? value : cn_json_at(value, (size_t)(spatial == 1 ? i : i / 2));
        int64_t* side = &sides[i / 2][i % 2];
        *side = fallback;
        if (!value) continue;
        if (cn_json_is(item, CN_JSON_ARRAY) && spatial > 1 && cn_json_size(item) == 2) item = cn_json_at(item, (size_t)(i % 2));
        if (!cn_json_int64(item, side) || *side < 0 || *side > INT32_MAX) return cn_config_bad(c->layer, key, allowed);
    }
    return CORNU_OK;
}

static cornu_status lower_zero_padding(cn_call* c, int spatial) {
    int64_t sides[CN_MAX_SPATIAL][2], low[CORNU_MAX_DIMS] = {0}, high[CORNU_MAX_DIMS] = {0};
    bool channels_first;
    cn_id x;

    CN_TRY(cn_call_image(c, spatial, &x, &channels_first));
    CN_TRY(read_sides(c, "padding", spatial, 1, sides));
    for (int i = 0; i < spatial; i++) {
        low[i + 1 + channels_first] = sides[i][0];
        high[i + 1 + channels_first] = sides[i][1];
    }
    return cn_call_return(c, cn_graph_pad(c->g, x, low, high, 0));
}

static cornu_status lower_zero_padding1d(cn_call* c) { return lower_zero_padding(c, 1); }
static cornu_status lower_zero_padding2d(cn_call* c) { return lower_zero_padding(c, 2); }
static cornu_status lower_zero_padding3d(cn_call* c) { return lower_zero_padding(c, 3); }

static cornu_status lower_cropping(cn_call* c, int spatial, int64_t fallback) {
    int64_t sides[CN_MAX_SPATIAL][2], begin[CORNU_MAX_DIMS] = {0}, end[CORNU_MAX_DIMS];
    bool channels_first = false;
    const cn_type* type;
    cn_id x;

    CN_TRY(cn_call_image(c, spatial, &x, spatial > 1 ? &channels_first : NULL));
    CN_TRY(read_sides(c, "cropping", spatial, fallback, sides));
    type = cn_call_type(c, x);
    memcpy(end, type->dims, sizeof end);
    for (int i = 0; i < spatial; i++) {
        int axis = i + 1 + channels_first;
        char text[256];
        if (sides[i][0] + sides[i][1] >= type->dims[axis]) {
            return CN_FAIL(BAD_ARGUMENT, "cropping %lld and %lld cells of axis %d leaves nothing of its input %s", (long long)sides[i][0],
                           (long long)sides[i][1], axis, cn_type_text(type, text));
        }
        begin[axis] = sides[i][0];
        end[axis] -= sides[i][1];
    }
    return cn_call_return(c, cn_graph_slice(c->g, x, begin, end));
}

static cornu_status lower_cropping1d(cn_call* c) { return lower_cropping(c, 1, 1); }
static cornu_status lower_cropping2d(cn_call* c) { return lower_cropping(c, 2, 0); }
static cornu_status lower_cropping3d(cn_call* c) { return lower_cropping(c, 3, 1); }

/* ---- upsampling ---- */

/* Each cell times[i] times along spatial axis i: [.., n, ..] -> [.., n, 1, ..] -> [.., n, times, ..] -> [.., n times, ..]. */
static cn_id repeat_cells(cn_call* c, cn_id x, int first, int spatial, const int64_t* times) {
    cn_type type = *cn_call_type(c, x);
    int64_t split[CORNU_MAX_DIMS], wide[CORNU_MAX_DIMS];
    int n = 0;

    for (int i = 0; i < type.ndim; i++) {
        wide[n] = split[n] = type.dims[i];
        n++;
        if (i < first || i >= first + spatial || times[i - first] == 1) continue;
        split[n] = 1;
        wide[n++] = times[i - first];
    }
    x = cn_graph_reshape(c->g, x, n, split);
    x = cn_graph_broadcast(c->g, x, n, wide);
    if (cn_graph_status(c->g) != CORNU_OK) return CN_NONE; /* the products below are those that the broadcast checked */
    for (int i = 0; i < spatial; i++) type.dims[first + i] *= times[i];
    return cn_graph_reshape(c->g, x, type.ndim, type.dims);
}

/* [N, H, W, C] to other sizes. Integers are computed in float32, then rounded to even and saturated, as keras.ops.image.resize does. */
static cn_id resize(cn_call* c, cn_id x, const cn_attr* attr) {
    cornu_dtype dtype = cn_call_type(c, x)->dtype;

    if (cn_dtype_is_float(dtype)) return cn_graph_add(c->g, CN_OP_resize, &x, 1, attr);
    x = cn_graph_cast(c->g, x, CORNU_FLOAT32);
    x = cn_graph_add(c->g, CN_OP_resize, &x, 1, attr);
    if (cn_dtype_is_int(dtype)) x = cn_graph_ew1(c->g, CN_EW_round, x);
    return cn_graph_cast(c->g, x, dtype);
}

/* Interpolations of keras.ops.image.resize. "area" over whole multiples of the size repeats cells as "nearest" does. */
static cornu_status lower_upsampling(cn_call* c, int spatial) {
    static const cn_resize_kind kinds[] = {CN_RESIZE_NEAREST,  CN_RESIZE_BILINEAR, CN_RESIZE_BICUBIC,
                                           CN_RESIZE_LANCZOS3, CN_RESIZE_LANCZOS5, CN_RESIZE_NEAREST};
    int64_t times[CN_MAX_SPATIAL];
    bool channels_first = false;
    int choice = 0;
    cn_attr attr;
    cn_id x;

    CN_TRY(cn_call_image(c, spatial, &x, spatial > 1 ? &channels_first : NULL));
    CN_TRY(cn_config_ints(c->layer, "size", spatial, 2, 1, INT32_MAX, times));
    if (spatial == 2) CN_TRY(cn_config_choice(c->layer, "interpolation", "nearest", "nearest|bilinear|bicubic|lanczos3|lanczos5|area", &choice));
    if (kinds[choice] == CN_RESIZE_NEAREST) return cn_call_return(c, repeat_cells(c, x, channels_first ? 2 : 1, spatial, times));
    if (channels_first) x = cn_to_channels_last(c->g, x);
    CN_TRY(cn_graph_status(c->g));
    memset(&attr, 0, sizeof attr);
    attr.resize.kind = kinds[choice];
    attr.resize.height = cn_call_type(c, x)->dims[1] * times[0];
    attr.resize.width = cn_call_type(c, x)->dims[2] * times[1];
    x = resize(c, x, &attr);
    if (channels_first) x = cn_to_channels_first(c->g, x);
    return cn_call_return(c, x);
}

static cornu_status lower_upsampling1d(cn_call* c) { return lower_upsampling(c, 1); }
static cornu_status lower_upsampling2d(cn_call* c) { return lower_upsampling(c, 2); }
static cornu_status lower_upsampling3d(cn_call* c) { return lower_upsampling(c, 3); }

const cn_layer_def cn_layers_reshaping[] = {
    {"Flatten", lower_flatten, CN_MASK_DROP, false, NULL},
    {"Reshape", lower_reshape, CN_MASK_DROP, false, NULL},
    {"Permute", lower_permute, CN_MASK_DROP, false, NULL},
    {"RepeatVector", lower_repeat_vector, CN_MASK_DROP, false, NULL},
    {"ZeroPadding1D", lower_zero_padding1d, CN_MASK_DROP, false, NULL},
    {"ZeroPadding2D", lower_zero_padding2d, CN_MASK_DROP, false, NULL},
    {"ZeroPadding3D", lower_zero_padding3d, CN_MASK_DROP, false, NULL},
    {"Cropping1D", lower_cropping1d, CN_MASK_DROP, false, NULL},
    {"Cropping2D", lower_cropping2d, CN_MASK_DROP, false, NULL},
    {"Cropping3D", lower_cropping3d, CN_MASK_DROP, false, NULL},
    {"UpSampling1D", lower_upsampling1d, CN_MASK_DROP, false, NULL},
    {"UpSampling2D", lower_upsampling2d, CN_MASK_DROP, false, NULL},
    {"UpSampling3D", lower_upsampling3d, CN_MASK_DROP, false, NULL},
    {0},
};
