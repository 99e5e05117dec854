/* Operations that pick elements: x[key], take, diagonals and triangles, one-hot codes, places in sorted sequences, scattering. */
#include <inttypes.h>

#include "lower/ops.h"

/* ---- x[key] ---- */

static bool is_special(const cn_arg* arg, const char* class_name) {
    return arg->kind == CN_ARG_JSON && cn_json_equals(cn_json_get(arg->json, "class_name"), class_name);
}

/* Python's slice.indices(n): a bound, or its default. */
static cornu_status slice_bound(const cn_json* json, int64_t n, int64_t step, int64_t fallback, int64_t* out) {
    int64_t low = step < 0 ? -1 : 0, high = step < 0 ? n - 1 : n;

    *out = fallback;
    if (!json || cn_json_is(json, CN_JSON_NULL)) return CORNU_OK;
    if (!cn_json_int64(json, out)) return CN_FAIL(UNSUPPORTED, "a slice with a bound that is no number");
    if (*out < 0) *out += n;
    *out = *out < low ? low : *out > high ? high : *out;
    return CORNU_OK;
}

static cornu_status apply_slice(cn_call* c, const cn_json* config, int axis, cn_id* x) {
    const cn_json* json_step = cn_json_get(config, "step");
    int64_t n = cn_op_type(c, *x)->dims[axis], step = 1, start, stop, count;

    if (json_step && !cn_json_is(json_step, CN_JSON_NULL) && (!cn_json_int64(json_step, &step) || step == 0 || step < -INT32_MAX || step > INT32_MAX)) {
        return CN_FAIL(UNSUPPORTED, "a slice with a step that is no number or 0");
    }
    CN_TRY(slice_bound(cn_json_get(config, "start"), n, step, step < 0 ? n - 1 : 0, &start));
    CN_TRY(slice_bound(cn_json_get(config, "stop"), n, step, step < 0 ? -1 : n, &stop));
    count = step > 0 ? (stop - start + step - 1) / step : (start - stop - step - 1) / -step;
    if (count < 0) count = 0;
    if (count == n && step == 1) return CORNU_OK;
    *x = cn_op_stride(c, *x, axis, count > 0 ? start : 0, step, count);
    return cn_graph_status(c->g);
}

/* One element of a key at *axis of x. */
static cornu_status apply_key(cn_call* c, const cn_arg* key, cn_id* x, int* axis) {
    int64_t index, n;
    cn_id list;

    if (key->kind == CN_ARG_NONE) {
        *x = cn_op_insert_axis(c, *x, (*axis)++);
        return cn_graph_status(c->g);
    }
    if (*axis >= cn_op_type(c, *x)->ndim) return CN_FAIL(BAD_ARGUMENT, "more indices than the %d axes", cn_op_type(c, *x)->ndim);
    n = cn_op_type(c, *x)->dims[*axis];
    if (is_special(key, "__slice__")) {
        CN_TRY(apply_slice(c, cn_json_get(key->json, "config"), *axis, x));
        (*axis)++;
        return CORNU_OK;
    }
    if (key->kind == CN_ARG_JSON && cn_json_int64(key->json, &index)) {
        if (index < -n || index >= n) return CN_FAIL(BAD_ARGUMENT, "index %" PRId64 " is outside an axis of %" PRId64, index, n);
        index += index < 0 ? n : 0;
        *x = cn_op_remove_axis(c, cn_graph_slice_axis(c->g, *x, *axis, index, index + 1), *axis);
        return cn_graph_status(c->g);
    }
    CN_TRY(cn_op_convert(c, key, 0, &list));
    if (!cn_dtype_is_int(cn_op_type(c, list)->dtype)) return CN_FAIL(UNSUPPORTED, "a key of dtype %s: the size would depend on the data", cornu_dtype_name(cn_op_type(c, list)->dtype));
    *x = cn_graph_gather(c->g, *x, list, *axis, CN_GATHER_CHECKED);
    *axis += cn_op_type(c, list)->ndim;
    return cn_graph_status(c->g);
}

static cornu_status lower_get_item(cn_call* c) {
    const cn_arg* key = cn_op_arg(c, 1, "key");
    const cn_arg* items = key->kind == CN_ARG_LIST ? key->items : key;
    int count = key->kind == CN_ARG_LIST ? key->count : 1, axis = 0, arrays = 0;
    cn_id x;

    CN_TRY(cn_op_tensor(c, 0, "x", &x));
    for (int i = 0; i < count; i++) {
        int64_t index;
        bool plain = items[i].kind == CN_ARG_NONE || is_special(&items[i], "__slice__") || is_special(&items[i], "__ellipsis__") || (items[i].kind == CN_ARG_JSON && cn_json_int64(items[i].json, &index));
        arrays += !plain;
    }
    if (arrays > 1) return CN_FAIL(UNSUPPORTED, "a key with more than one array");
    for (int i = 0; i < count; i++) {
        if (is_special(&items[i], "__ellipsis__")) {
            int needed = 0;
            for (int k = i + 1; k < count; k++) needed += items[k].kind != CN_ARG_NONE;
            axis = cn_op_type(c, x)->ndim - needed > axis ? cn_op_type(c, x)->ndim - needed : axis;
            continue;
        }
        CN_TRY(apply_key(c, &items[i], &x, &axis));
    }
    return cn_call_return(c, x);
}

/* ---- take ---- */

static cornu_status lower_take(cn_call* c) {
    bool none;
    int axis;
    cn_id x, indices;

    CN_TRY(cn_op_tensor(c, 0, "x", &x));
    CN_TRY(cn_op_tensor(c, 1, "indices", &indices));
    CN_TRY(cn_op_axis(c, "axis", 0, cn_op_type(c, x)->ndim, &axis, &none));
    if (none) x = cn_op_flatten(c, x);
    if (!cn_dtype_is_int(cn_op_type(c, indices)->dtype)) indices = cn_graph_cast(c->g, indices, CORNU_INT32);
    return cn_call_return(c, cn_graph_gather(c->g, x, indices, none ? 0 : axis, CN_GATHER_CHECKED));
}

static cornu_status lower_take_along_axis(cn_call* c) {
    bool none;
    cn_type tx, ti, shape;
    int axis;
    cn_id x, indices, negative;

    CN_TRY(cn_op_tensor(c, 0, "x", &x));
    CN_TRY(cn_op_tensor(c, 1, "indices", &indices));
    CN_TRY(cn_op_axis(c, "axis", 0, cn_op_type(c, x)->ndim, &axis, &none));
    if (none) x = cn_op_flatten(c, x);
    axis = none ? 0 : axis;
    tx = *cn_op_type(c, x);
    ti = *cn_op_type(c, indices);
    if (tx.ndim != ti.ndim) return CN_FAIL(BAD_ARGUMENT, "x has %d axes, indices %d", tx.ndim, ti.ndim);
    tx.dims[axis] = ti.dims[axis] = 1;
    CN_TRY(cn_broadcast_dims(&tx, &ti, &shape));
    shape.dims[axis] = cn_op_type(c, x)->dims[axis];
    x = cn_graph_broadcast(c->g, x, shape.ndim, shape.dims);
    shape.dims[axis] = cn_op_type(c, indices)->dims[axis];
    indices = cn_graph_broadcast(c->g, cn_graph_cast(c->g, indices, CORNU_INT64), shape.ndim, shape.dims);
    negative = cn_op_ew(c, CN_EW_lt, indices, 0);
    indices = cn_graph_select(c->g, negative, cn_op_ew(c, CN_EW_add, indices, (double)cn_op_type(c, x)->dims[axis]), indices);
    return cn_call_return(c, cn_op_along(c, x, indices, axis));
}

/* ---- diagonals and triangles ---- */

static cornu_status lower_triangle(cn_call* c) {
    bool lower = strcmp(c->layer->class_name, "Tril") == 0;
    int64_t k;
    cn_type t;
    cn_id x, band;

    CN_TRY(cn_op_tensor(c, 0, "x", &x));
    CN_TRY(cn_op_int(c, "k", 0, &k));
    t = *cn_op_type(c, x);
    if (t.ndim < 2) return CN_FAIL(BAD_ARGUMENT, "its input must have at least 2 axes");
    band = cn_op_band(c, t.dims[t.ndim - 2], t.dims[t.ndim - 1], lower ? INT32_MIN : k, lower ? k : INT32_MAX);
    return cn_call_return(c, cn_graph_select(c->g, band, x, cn_op_fill(c, x, 0)));
}

/* The diagonal of the last two axes, as every (columns + 1)-th element. */
static cn_id diagonal(cn_call* c, cn_id x, int64_t offset) {
    cn_type t = *cn_op_type(c, x);
    int64_t rows = t.dims[t.ndim - 2], columns = t.dims[t.ndim - 1], n;
    int64_t top = offset < 0 ? -offset : 0, left = offset > 0 ? offset : 0;

    n = rows - top < columns - left ? rows - top : columns - left;
    if (n < 0) n = 0;
    t.dims[t.ndim - 2] = rows * columns;
    x = cn_graph_reshape(c->g, x, t.ndim - 1, t.dims);
    return cn_op_stride(c, x, t.ndim - 2, n ? top * columns + left : 0, columns + 1, n);
}

/* A matrix with the vectors of the last axis on its diagonal. */
static cn_id spread(cn_call* c, cn_id x, int64_t offset) {
    int ndim = cn_op_type(c, x)->ndim;
    int64_t n = cn_op_type(c, x)->dims[ndim - 1], size = n + (offset < 0 ? -offset : offset);
    int64_t low[CORNU_MAX_DIMS] = {0}, high[CORNU_MAX_DIMS] = {0};

    low[ndim - 1] = offset > 0 ? offset : 0;
    high[ndim - 1] = size - n - low[ndim - 1];
    x = cn_op_insert_axis(c, cn_graph_pad(c->g, x, low, high, 0), ndim - 1);
    return cn_graph_select(c->g, cn_op_band(c, size, size, offset, offset), x, cn_op_fill(c, x, 0));
}

static cornu_status lower_diag(cn_call* c) {
    bool flat = strcmp(c->layer->class_name, "Diagflat") == 0;
    int64_t k;
    cn_id x;

    CN_TRY(cn_op_tensor(c, 0, "x", &x));
    CN_TRY(cn_op_int(c, "k", 0, &k));
    if (flat) x = cn_op_flatten(c, x);
    if (cn_op_type(c, x)->ndim == 1) return cn_call_return(c, spread(c, x, k));
    if (cn_op_type(c, x)->ndim == 2) return cn_call_return(c, diagonal(c, x, k));
    return CN_FAIL(BAD_ARGUMENT, "its input must have 1 or 2 axes");
}

static cornu_status lower_diagonal(cn_call* c) {
    bool trace = strcmp(c->layer->class_name, "Trace") == 0;
    int64_t offset;
    int a, b, ndim, perm[CORNU_MAX_DIMS], n = 0;
    cornu_dtype dtype;
    cn_id x;

    CN_TRY(cn_op_tensor(c, 0, "x", &x));
    ndim = cn_op_type(c, x)->ndim;
    CN_TRY(cn_op_int(c, "offset", 0, &offset));
    CN_TRY(cn_op_axis(c, "axis1", 0, ndim, &a, NULL));
    CN_TRY(cn_op_axis(c, "axis2", 1, ndim, &b, NULL));
    if (a == b) return CN_FAIL(BAD_ARGUMENT, "axis1 and axis2 are one");
    for (int i = 0; i < ndim; i++) {
        if (i != a && i != b) perm[n++] = i;
    }
    perm[n++] = a;
    perm[n++] = b;
    x = diagonal(c, cn_graph_transpose(c->g, x, perm), offset);
    if (!trace) return cn_call_return(c, x);
    dtype = cn_op_type(c, x)->dtype;
    if (dtype == CORNU_BOOL || dtype == CORNU_INT8 || dtype == CORNU_INT16) dtype = CORNU_INT32;
    if (dtype == CORNU_UINT8 || dtype == CORNU_UINT16) dtype = CORNU_UINT32;
    return cn_call_return(c, cn_op_sum(c, cn_graph_cast(c->g, x, dtype), 1u << (ndim - 2), false));
}

/* ---- one-hot codes ---- */

static cornu_status one_hot(cn_call* c, cn_id* out) {
    int64_t classes, axis;
    cornu_dtype dtype;
    bool sparse;
    int ndim;
    cn_id x;

    CN_TRY(cn_op_tensor(c, 0, "x|inputs", &x));
    CN_TRY(cn_op_int(c, "num_classes", 0, &classes));
    CN_TRY(cn_op_int(c, "axis", -1, &axis));
    CN_TRY(cn_op_dtype_attr(c, "dtype", CORNU_FLOAT32, &dtype));
    CN_TRY(cn_config_bool(c->layer, "sparse", false, &sparse));
    if (sparse) return cn_config_unsupported(c->layer, "sparse", "sparse tensors are not possible");
    ndim = cn_op_type(c, x)->ndim;
    if (axis < -1 || axis > ndim || classes < 0) return cn_config_bad(c->layer, "axis", "-1 or an axis of the result is allowed");
    if (axis < 0) axis = ndim;
    x = cn_op_insert_axis(c, cn_graph_cast(c->g, x, CORNU_INT64), (int)axis);
    *out = cn_graph_cast(c->g, cn_graph_ew2(c->g, CN_EW_eq, x, cn_op_iota_axis(c, CORNU_INT64, classes, (int)axis, ndim + 1)), dtype);
    return cn_graph_status(c->g);
}

static cornu_status lower_one_hot(cn_call* c) {
    cn_id y = CN_NONE;
    CN_TRY(one_hot(c, &y));
    return cn_call_return(c, y);
}

static cornu_status lower_multi_hot(cn_call* c) {
    cn_id y = CN_NONE;
    CN_TRY(one_hot(c, &y));
    return cn_call_return(c, cn_graph_reduce(c->g, y, cn_op_type(c, y)->dtype == CORNU_BOOL ? CN_REDUCE_ANY : CN_REDUCE_MAX, cn_op_type(c, y)->ndim > 2 ? 2 : 1, false));
}

/* ---- sorted sequences ---- */

static cornu_status lower_search_sorted(cn_call* c) {
    const char* side;
    cornu_dtype dtype;
    cn_id sorted, values;

    CN_TRY(cn_op_tensor(c, 0, "sorted_sequence", &sorted));
    CN_TRY(cn_op_tensor(c, 1, "values", &values));
    CN_TRY(cn_config_string(c->layer, "side", "left", &side));
    if (cn_op_type(c, sorted)->ndim != 1) return CN_FAIL(BAD_ARGUMENT, "the sorted sequence must have 1 axis");
    dtype = cn_result_type2(cn_op_type(c, sorted)->dtype, cn_op_type(c, values)->dtype);
    return cn_call_return(c, cn_op_count_below(c, cn_graph_cast(c->g, sorted, dtype), cn_graph_cast(c->g, values, dtype), strcmp(side, "right") == 0));
}

static cornu_status lower_digitize(cn_call* c) {
    cornu_dtype dtype;
    cn_id x, bins;

    CN_TRY(cn_op_tensor(c, 0, "x", &x));
    CN_TRY(cn_op_convert(c, cn_op_arg(c, 1, "bins"), CORNU_FLOAT32, &bins));
    dtype = cn_op_type(c, x)->dtype == CORNU_FLOAT64 ? CORNU_FLOAT64 : CORNU_FLOAT32;
    return cn_call_return(c, cn_op_count_below(c, cn_graph_cast(c->g, bins, dtype), cn_graph_cast(c->g, x, dtype), true));
}

static cornu_status lower_histogram(cn_call* c) {
    const cn_json* range = cn_config_get(c->layer, "range");
    int64_t bins;
    cn_id x, low, high, edges, places, inside, i, counts;

    CN_TRY(cn_op_tensor(c, 0, "x", &x));
    CN_TRY(cn_op_int(c, "bins", 10, &bins));
    if (bins < 1 || !cn_dtype_is_float(cn_op_type(c, x)->dtype)) return CN_FAIL(UNSUPPORTED, "a histogram of integers, or of no bins");
    x = cn_op_flatten(c, x);
    low = cn_graph_reduce(c->g, x, CN_REDUCE_MIN, 1, false);
    high = cn_graph_reduce(c->g, x, CN_REDUCE_MAX, 1, false);
    if (range) {
        low = cn_op_fill(c, x, cn_json_double(cn_json_at(range, 0)));
        high = cn_op_fill(c, x, cn_json_double(cn_json_at(range, 1)));
    }
    i = cn_op_iota(c, cn_op_type(c, x)->dtype, bins + 1, 0, 1);
    edges = cn_op_ew(c, CN_EW_div, cn_graph_ew2(c->g, CN_EW_sub, high, low), (double)bins);
    edges = cn_graph_ew2(c->g, CN_EW_add, low, cn_graph_ew2(c->g, CN_EW_mul, edges, i));
    edges = cn_graph_select(c->g, cn_op_ew(c, CN_EW_eq, i, (double)bins), high, edges);
    places = cn_op_count_below(c, cn_graph_slice_axis(c->g, edges, 0, 1, bins), x, true);
    inside = cn_graph_ew2(c->g, CN_EW_and, cn_graph_ew2(c->g, CN_EW_ge, x, low), cn_graph_ew2(c->g, CN_EW_le, x, high));
    places = cn_graph_select(c->g, inside, places, cn_op_fill(c, places, -1));
    counts = cn_graph_ew2(c->g, CN_EW_eq, cn_op_insert_axis(c, places, 1), cn_op_iota_axis(c, CORNU_INT32, bins, 1, 2));
    counts = cn_op_sum(c, cn_graph_cast(c->g, counts, cn_op_type(c, x)->dtype), 1, false);
    return cn_op_return2(c, counts, edges);
}

static cornu_status lower_isin(cn_call* c) {
    bool invert;
    int ndim;
    cn_id x, z, y;

    CN_TRY(cn_op_pair(c, false, 0, &x, &z));
    CN_TRY(cn_config_bool(c->layer, "invert", false, &invert));
    ndim = cn_op_type(c, x)->ndim;
    y = cn_graph_ew2(c->g, CN_EW_eq, cn_op_insert_axis(c, x, ndim), cn_op_flatten(c, z));
    y = cn_graph_reduce(c->g, y, CN_REDUCE_ANY, 1u << ndim, false);
    return cn_call_return(c, invert ? cn_graph_ew1(c->g, CN_EW_not, y) : y);
}

static cornu_status lower_unravel_index(cn_call* c) {
    int64_t dims[CORNU_MAX_DIMS];
    cn_id x, parts[CORNU_MAX_DIMS];
    int n;

    CN_TRY(cn_op_tensor(c, 0, "indices", &x));
    CN_TRY(cn_config_list(c->layer, "shape", CORNU_MAX_DIMS, 1, INT32_MAX, false, dims, &n));
    if (cn_op_type(c, x)->ndim != 1) return CN_FAIL(UNSUPPORTED, "indices of more than one axis");
    for (int i = n - 1; i >= 0; i--) {
        parts[i] = cn_op_ew(c, CN_EW_mod, x, (double)dims[i]);
        x = cn_op_ew(c, CN_EW_floor_div, x, (double)dims[i]);
    }
    return cn_op_return_ids(c, parts, n);
}

/* ---- core.py: slices and scatters ---- */

/* x[start : start + size] with starts that may be tensors: one gather an axis. */
static cornu_status lower_slice(cn_call* c) {
    int64_t dims[CORNU_MAX_DIMS];
    cn_id x, starts;
    int n;

    CN_TRY(cn_op_tensor(c, 0, "inputs", &x));
    CN_TRY(cn_op_tensor(c, 1, "start_indices", &starts));
    CN_TRY(cn_config_list(c->layer, "shape", CORNU_MAX_DIMS, -1, INT64_MAX, true, dims, &n));
    if (n != cn_op_type(c, x)->ndim || cn_op_type(c, starts)->ndim != 1 || cn_op_type(c, starts)->dims[0] != n) return CN_FAIL(BAD_ARGUMENT, "start_indices and shape must have one element an axis");
    starts = cn_graph_cast(c->g, starts, CORNU_INT64);
    for (int i = 0; i < n; i++) {
        cn_id from = cn_graph_slice_axis(c->g, starts, 0, i, i + 1);
        int64_t rows = dims[i];
        if (rows < 0) return CN_FAIL(UNSUPPORTED, "a slice of unknown size");
        from = cn_graph_ew2(c->g, CN_EW_add, from, cn_op_iota(c, CORNU_INT64, rows, 0, 1));
        x = cn_graph_gather(c->g, x, from, i, CN_GATHER_CHECKED);
    }
    return cn_call_return(c, x);
}

static cornu_status lower_slice_update(cn_call* c) {
    cn_id x, starts, updates, places = CN_NONE, parts[CORNU_MAX_DIMS];
    cn_type t;

    CN_TRY(cn_op_tensor(c, 0, "inputs", &x));
    CN_TRY(cn_op_tensor(c, 1, "start_indices", &starts));
    CN_TRY(cn_op_tensor(c, 2, "updates", &updates));
    t = *cn_op_type(c, updates);
    if (t.ndim < 1 || t.ndim != cn_op_type(c, x)->ndim || t.ndim == CORNU_MAX_DIMS || cn_type_count(cn_op_type(c, starts)) != t.ndim) return CN_FAIL(BAD_ARGUMENT, "start_indices and updates must have one axis for each of inputs");
    starts = cn_graph_cast(c->g, starts, CORNU_INT64);
    for (int i = 0; i < t.ndim; i++) {
        cn_id from = cn_graph_slice_axis(c->g, starts, 0, i, i + 1);
        from = cn_graph_ew2(c->g, CN_EW_add, from, cn_op_iota_axis(c, CORNU_INT64, t.dims[i], i, t.ndim));
        parts[i] = cn_op_insert_axis(c, cn_graph_broadcast(c->g, from, t.ndim, t.dims), t.ndim);
    }
    places = cn_graph_concat(c->g, parts, t.ndim, t.ndim);
    return cn_call_return(c, cn_op_scatter(c, CN_SCATTER_SET, false, x, places, cn_graph_cast(c->g, updates, cn_op_type(c, x)->dtype)));
}

static cornu_status lower_scatter(cn_call* c) {
    int64_t dims[CORNU_MAX_DIMS];
    cn_id indices, values, base;
    int n;

    CN_TRY(cn_op_tensor(c, 0, "indices", &indices));
    CN_TRY(cn_op_tensor(c, 1, "values", &values));
    CN_TRY(cn_config_list(c->layer, "shape", CORNU_MAX_DIMS, 0, INT64_MAX, false, dims, &n));
    base = cn_graph_broadcast(c->g, cn_op_fill(c, values, 0), n, dims);
    return cn_call_return(c, cn_op_scatter(c, CN_SCATTER_ADD, false, base, indices, values));
}

static cornu_status lower_scatter_update(cn_call* c) {
    static const cn_scatter_kind kinds[] = {CN_SCATTER_SET, CN_SCATTER_ADD, CN_SCATTER_MAX, CN_SCATTER_MIN, CN_SCATTER_MUL};
    int reduction;
    cn_id x, indices, updates;

    CN_TRY(cn_op_tensor(c, 0, "inputs", &x));
    CN_TRY(cn_op_tensor(c, 1, "indices", &indices));
    CN_TRY(cn_op_tensor(c, 2, "updates", &updates));
    if (cn_config_get(c->layer, "reduction")) CN_TRY(cn_config_choice(c->layer, "reduction", "set", "set|add|max|min|mul", &reduction));
    else reduction = 0;
    return cn_call_return(c, cn_op_scatter(c, kinds[reduction], false, x, indices, cn_graph_cast(c->g, updates, cn_op_type(c, x)->dtype)));
}

const cn_layer_def cn_ops_index[] = {
    CN_OP_ROW_LIMITS("GetItem", lower_get_item, "a key has at most one array of integers; a mask would give a size that depends on the data"),
    CN_OP_ROW("Take", lower_take),
    CN_OP_ROW("TakeAlongAxis", lower_take_along_axis),
    CN_OP_ROW("Tril", lower_triangle),
    CN_OP_ROW("Triu", lower_triangle),
    CN_OP_ROW("Diag", lower_diag),
    CN_OP_ROW("Diagflat", lower_diag),
    CN_OP_ROW("Diagonal", lower_diagonal),
    CN_OP_ROW("Trace", lower_diagonal),
    CN_OP_ROW_LIMITS("OneHot", lower_one_hot, "sparse"),
    CN_OP_ROW_LIMITS("MultiHot", lower_multi_hot, "sparse"),
    CN_OP_ROW("SearchSorted", lower_search_sorted),
    CN_OP_ROW("Digitize", lower_digitize),
    CN_OP_ROW_LIMITS("Histogram", lower_histogram, "of floats"),
    CN_OP_ROW("IsIn", lower_isin),
    CN_OP_ROW_LIMITS("UnravelIndex", lower_unravel_index, "indices have one axis"),
    CN_OP_ROW("Slice", lower_slice),
    CN_OP_ROW("SliceUpdate", lower_slice_update),
    CN_OP_ROW("Scatter", lower_scatter),
    CN_OP_ROW("ScatterUpdate", lower_scatter_update),
    {0},
};
