/* keras/src/layers/merging. Add, Subtract and Average combine values as they are; Multiply, Maximum and Minimum leave out what
 * the masks of their inputs mark. */
#include "lower/layer.h"

#include <string.h>

#include "base/dtype.h"

/* The inputs with axes of size 1 after the batch until all have one rank. An input that is reshaped loses its mask for
 * the computation, not for the mask of the result. */
static cornu_status merge_inputs(cn_call* c, int least, cn_value** in, cn_value** expanded, int* count) {
    int ndim = 0;

    CN_TRY(cn_call_values(c, least, in, count));
    *expanded = cn_call_alloc(c, (size_t)*count * sizeof **expanded);
    if (!*expanded) return CORNU_NO_MEMORY;
    for (int i = 0; i < *count; i++) {
        int n = cn_call_type(c, (*in)[i].tensor)->ndim;
        if (n < 1) return CN_FAIL(BAD_ARGUMENT, "input %d has no axes", i);
        if (n > ndim) ndim = n;
    }
    for (int i = 0; i < *count; i++) {
        cn_value v = (*in)[i];
        if (cn_call_type(c, v.tensor)->ndim < ndim) v = (cn_value){cn_lower_expand(c->g, v.tensor, ndim), CN_NONE};
        (*expanded)[i] = v;
    }
    return cn_graph_status(c->g);
}

/* The OR of all masks; none if an input has none. */
static cn_id or_masks(cn_call* c, const cn_value* in, int count) {
    cn_id mask = in[0].mask;

    for (int i = 0; i < count; i++) {
        if (in[i].mask == CN_NONE) return CN_NONE;
        if (i > 0) mask = cn_graph_ew2(c->g, CN_EW_or, mask, in[i].mask);
    }
    return mask;
}

/* A mask as a bool for each element of x. */
static cn_id full_mask(cn_call* c, cn_id mask, cn_id x) {
    const cn_type* t = cn_call_type(c, x);
    return cn_graph_broadcast(c->g, cn_lower_expand_last(c->g, mask), t->ndim, t->dims);
}

static cn_id any_last(cn_call* c, cn_id mask) {
    if (mask == CN_NONE || cn_graph_status(c->g) != CORNU_OK) return CN_NONE;
    return cn_graph_reduce(c->g, mask, CN_REDUCE_ANY, 1u << (cn_call_type(c, mask)->ndim - 1), false);
}

static cornu_status fold(cn_call* c, cn_ew fn, cn_value** in, int* count, cn_id* y) {
    cn_value* expanded;

    CN_TRY(merge_inputs(c, 1, in, &expanded, count));
    *y = expanded[0].tensor;
    for (int i = 1; i < *count; i++) *y = cn_lower_ew2(c->g, fn, *y, expanded[i].tensor);
    return cn_graph_status(c->g);
}

static cornu_status lower_add(cn_call* c) {
    cn_value* in;
    cn_id y;
    int count;

    CN_TRY(fold(c, CN_EW_add, &in, &count, &y));
    return cn_call_return_masked(c, y, or_masks(c, in, count));
}

static cornu_status lower_subtract(cn_call* c) {
    cn_value* in;
    cn_id y;
    int count;

    CN_TRY(fold(c, CN_EW_sub, &in, &count, &y));
    if (count != 2) return CN_FAIL(BAD_FILE, "it must be called on exactly 2 tensors, not %d", count);
    return cn_call_return_masked(c, y, or_masks(c, in, count));
}

static cornu_status lower_average(cn_call* c) {
    cornu_dtype dtype;
    cn_value* in;
    cn_id y;
    int count;

    CN_TRY(fold(c, CN_EW_add, &in, &count, &y));
    dtype = cn_call_type(c, y)->dtype;
    if (!cn_dtype_is_float(dtype)) dtype = CORNU_FLOAT64; /* as TensorFlow divides integers */
    y = cn_graph_ew2(c->g, CN_EW_div, cn_graph_cast(c->g, y, dtype), cn_graph_scalar(c->g, dtype, count));
    return cn_call_return_masked(c, y, or_masks(c, in, count));
}

/* Masked elements count as 1; where every input is masked the product is 0. */
static cornu_status lower_multiply(cn_call* c) {
    cn_value *in, *x;
    cn_id y = CN_NONE, out_mask = CN_NONE;
    bool all_masked = true;
    int count;

    CN_TRY(merge_inputs(c, 1, &in, &x, &count));
    for (int i = 0; i < count; i++) all_masked = all_masked && x[i].mask != CN_NONE;
    for (int i = 0; i < count; i++) {
        cn_id v = x[i].tensor;
        if (x[i].mask != CN_NONE) {
            cn_id mask = full_mask(c, x[i].mask, v);
            v = cn_graph_select(c->g, mask, v, cn_graph_scalar(c->g, cn_call_type(c, v)->dtype, 1));
            if (all_masked) out_mask = i == 0 ? mask : cn_graph_ew2(c->g, CN_EW_or, out_mask, mask);
        }
        y = i == 0 ? v : cn_lower_ew2(c->g, CN_EW_mul, y, v);
    }
    CN_TRY(cn_graph_status(c->g));
    if (!all_masked) return cn_call_return_masked(c, y, or_masks(c, in, count));
    y = cn_graph_select(c->g, out_mask, y, cn_graph_scalar(c->g, cn_call_type(c, y)->dtype, 0));
    return cn_call_return_masked(c, y, any_last(c, out_mask));
}

static cn_id select_promoted(cn_call* c, cn_id condition, cn_id a, cn_id b) {
    cornu_dtype dtype;

    if (cn_graph_status(c->g) != CORNU_OK) return CN_NONE;
    dtype = cn_promote(cn_call_type(c, a)->dtype, cn_call_type(c, b)->dtype);
    return cn_graph_select(c->g, condition, cn_graph_cast(c->g, a, dtype), cn_graph_cast(c->g, b, dtype));
}

/* Where one of the two is masked, the other is taken. */
static cornu_status lower_extreme(cn_call* c, cn_ew fn) {
    cn_value *in, *x;
    cn_id y, out_mask;
    int count;

    CN_TRY(merge_inputs(c, 1, &in, &x, &count));
    y = x[0].tensor;
    out_mask = x[0].mask == CN_NONE ? CN_NONE : full_mask(c, x[0].mask, y);
    for (int i = 1; i < count && cn_graph_status(c->g) == CORNU_OK; i++) {
        cn_id v = x[i].tensor, mask = x[i].mask == CN_NONE ? CN_NONE : full_mask(c, x[i].mask, v);
        if (mask != CN_NONE) v = select_promoted(c, mask, v, y);
        if (out_mask != CN_NONE) y = select_promoted(c, out_mask, y, v);
        out_mask = mask != CN_NONE && out_mask != CN_NONE ? cn_graph_ew2(c->g, CN_EW_or, out_mask, mask) : CN_NONE;
        y = cn_lower_ew2(c->g, fn, y, v);
    }
    CN_TRY(cn_graph_status(c->g));
    return cn_call_return_masked(c, y, out_mask != CN_NONE ? any_last(c, out_mask) : or_masks(c, in, count));
}

static cornu_status lower_maximum(cn_call* c) { return lower_extreme(c, CN_EW_max); }
static cornu_status lower_minimum(cn_call* c) { return lower_extreme(c, CN_EW_min); }

/* The masks joined along the axis as the values are, an unmasked input counting as true; any over the last axis. */
static cornu_status concat_masks(cn_call* c, const cn_value* in, int count, int axis, cn_id* out) {
    cn_id* masks = cn_call_alloc(c, (size_t)count * sizeof *masks);
    bool some = false;

    *out = CN_NONE;
    if (!masks) return CORNU_NO_MEMORY;
    for (int i = 0; i < count; i++) some = some || in[i].mask != CN_NONE;
    if (!some) return CORNU_OK;
    for (int i = 0; i < count; i++) {
        cn_type t = *cn_call_type(c, in[i].tensor);
        masks[i] = in[i].mask;
        if (in[i].mask == CN_NONE) masks[i] = cn_graph_broadcast(c->g, cn_graph_scalar(c->g, CORNU_BOOL, 1), t.ndim, t.dims);
        else if (cn_call_type(c, in[i].mask)->ndim < t.ndim) masks[i] = full_mask(c, in[i].mask, in[i].tensor);
        CN_TRY(cn_graph_status(c->g));
    }
    *out = any_last(c, cn_graph_concat(c->g, masks, count, axis));
    return cn_graph_status(c->g);
}

static cornu_status lower_concatenate(cn_call* c) {
    int64_t config_axis;
    cornu_dtype dtype;
    cn_value* in;
    cn_id *tensors, mask;
    int count, axis;

    CN_TRY(cn_call_values(c, 1, &in, &count));
    CN_TRY(cn_config_int(c->layer, "axis", -1, INT32_MIN, INT32_MAX, &config_axis));
    CN_TRY(cn_call_axis(c, "axis", config_axis, cn_call_type(c, in[0].tensor)->ndim, &axis));
    tensors = cn_call_alloc(c, (size_t)count * sizeof *tensors);
    if (!tensors) return CORNU_NO_MEMORY;
    dtype = cn_call_type(c, in[0].tensor)->dtype;
    for (int i = 1; i < count; i++) dtype = cn_promote(dtype, cn_call_type(c, in[i].tensor)->dtype);
    for (int i = 0; i < count; i++) tensors[i] = cn_graph_cast(c->g, in[i].tensor, dtype);
    CN_TRY(concat_masks(c, in, count, axis, &mask));
    return cn_call_return_masked(c, cn_graph_concat(c->g, tensors, count, axis), mask);
}

/* ---- Dot ---- */

static cornu_status dot_axes(cn_call* c, const cn_value* in, int* axes) {
    int64_t config[2];
    int n;

    CN_TRY(cn_config_list(c->layer, "axes", 2, INT32_MIN, INT32_MAX, false, config, &n));
    if (n == 0) return cn_config_bad(c->layer, "axes", "an integer or two are allowed");
    for (int i = 0; i < 2; i++) {
        int ndim = cn_call_type(c, in[i].tensor)->ndim;
        if (ndim < 2) return CN_FAIL(BAD_ARGUMENT, "input %d has %d axes; at least 2 are needed", i, ndim);
        CN_TRY(cn_call_axis(c, "axes", config[n == 1 ? 0 : i], ndim, &axes[i]));
        if (axes[i] == 0) return CN_FAIL(BAD_ARGUMENT, "axes names the batch axis");
    }
    return CORNU_OK;
}

/* x [batch, x..., k] and y [batch, k, y...], the axes of the product moved there, give [batch, x..., y...]; [batch, 1] at least. */
static cornu_status lower_dot(cn_call* c) {
    int64_t dims[2 * CORNU_MAX_DIMS] = {0}, flat[3], rows = 1, columns = 1;
    cn_id x, y, z;
    cn_type tx, ty;
    cn_value* in;
    int count, axes[2], n = 0;
    bool normalize;

    CN_TRY(cn_call_values(c, 2, &in, &count));
    if (count != 2) return CN_FAIL(BAD_FILE, "it must be called on exactly 2 tensors, not %d", count);
    CN_TRY(dot_axes(c, in, axes));
    CN_TRY(cn_config_bool(c->layer, "normalize", false, &normalize));
    x = in[0].tensor, y = in[1].tensor;
    if (normalize) x = cn_lower_l2_normalize(c->g, x, 1u << axes[0], 1e-7), y = cn_lower_l2_normalize(c->g, y, 1u << axes[1], 1e-7);
    CN_TRY(cn_graph_status(c->g));
    tx = *cn_call_type(c, x), ty = *cn_call_type(c, y);
    if (tx.dims[0] != ty.dims[0] || tx.dims[axes[0]] != ty.dims[axes[1]]) {
        return CN_FAIL(BAD_ARGUMENT, "its inputs differ in the batch or along the axes of the product");
    }
    dims[n++] = tx.dims[0];
    for (int i = 1; i < tx.ndim; i++) {
        if (i != axes[0]) rows *= dims[n++] = tx.dims[i];
    }
    for (int i = 1; i < ty.ndim; i++) {
        if (i != axes[1]) columns *= dims[n++] = ty.dims[i];
    }
    if (n == 1) dims[n++] = 1;
    if (n > CORNU_MAX_DIMS) return CN_FAIL(UNSUPPORTED, "a result with %d axes", n);
    flat[0] = tx.dims[0], flat[1] = rows, flat[2] = tx.dims[axes[0]];
    x = cn_graph_reshape(c->g, cn_graph_move_axis(c->g, x, axes[0], tx.ndim - 1), 3, flat);
    flat[1] = ty.dims[axes[1]], flat[2] = columns;
    y = cn_graph_reshape(c->g, cn_graph_move_axis(c->g, y, axes[1], 1), 3, flat);
    tx.dtype = cn_promote(tx.dtype, ty.dtype);
    z = cn_graph_matmul(c->g, cn_graph_cast(c->g, x, tx.dtype), cn_graph_cast(c->g, y, tx.dtype), false, false);
    return cn_call_return_masked(c, cn_graph_reshape(c->g, z, n, dims), CN_NONE);
}

const cn_layer_def cn_layers_merging[] = {
    {"Add", lower_add, CN_MASK_OWN, false, NULL},
    {"Average", lower_average, CN_MASK_OWN, false, NULL},
    {"Concatenate", lower_concatenate, CN_MASK_OWN, false, NULL},
    {"Dot", lower_dot, CN_MASK_OWN, false, NULL},
    {"Maximum", lower_maximum, CN_MASK_OWN, false, NULL},
    {"Minimum", lower_minimum, CN_MASK_OWN, false, NULL},
    {"Multiply", lower_multiply, CN_MASK_OWN, false, NULL},
    {"Subtract", lower_subtract, CN_MASK_OWN, false, NULL},
    {0},
};
