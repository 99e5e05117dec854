/* Operations that rearrange: shapes, axes, joining and splitting, padding, repeating. */
#include <inttypes.h>

#include "lower/ops.h"

/* ---- shapes ---- */

static cornu_status lower_reshape(cn_call* c) {
    const char* key = strcmp(c->layer->class_name, "Reshape") == 0 ? "newshape" : "shape";
    int64_t dims[CORNU_MAX_DIMS];
    cn_id x;
    int n;

    CN_TRY(cn_op_tensor(c, 0, "x", &x));
    CN_TRY(cn_config_list(c->layer, key, CORNU_MAX_DIMS, -1, INT64_MAX, true, dims, &n));
    return cn_call_return(c, cn_graph_reshape(c->g, x, n, dims));
}

static cornu_status lower_broadcast_to(cn_call* c) {
    int64_t dims[CORNU_MAX_DIMS];
    cn_id x;
    int n;

    CN_TRY(cn_op_tensor(c, 0, "x", &x));
    CN_TRY(cn_config_list(c->layer, "shape", CORNU_MAX_DIMS, -1, INT64_MAX, true, dims, &n));
    for (int i = 0; i < n; i++) { /* an unknown size is that of the operand */
        int from = i - (n - cn_op_type(c, x)->ndim);
        if (dims[i] < 0) dims[i] = from >= 0 ? cn_op_type(c, x)->dims[from] : 1;
    }
    return cn_call_return(c, cn_graph_broadcast(c->g, x, n, dims));
}

static cornu_status lower_ravel(cn_call* c) {
    cn_id x;
    CN_TRY(cn_op_tensor(c, 0, "x", &x));
    return cn_call_return(c, cn_op_flatten(c, x));
}

static cornu_status lower_expand_dims(cn_call* c) {
    int64_t list[CORNU_MAX_DIMS];
    uint32_t axes = 0;
    cn_id x;
    int n, ndim;

    CN_TRY(cn_op_tensor(c, 0, "x", &x));
    CN_TRY(cn_config_list(c->layer, "axis", CORNU_MAX_DIMS, INT32_MIN, INT32_MAX, false, list, &n));
    ndim = cn_op_type(c, x)->ndim + n;
    for (int i = 0; i < n; i++) {
        int axis;
        CN_TRY(cn_call_axis(c, "axis", list[i], ndim, &axis));
        axes |= 1u << axis;
    }
    for (int i = 0; i < ndim; i++) x = axes >> i & 1 ? cn_op_insert_axis(c, x, i) : x;
    return cn_call_return(c, x);
}

static cornu_status lower_squeeze(cn_call* c) {
    uint32_t axes = 0;
    bool all = cn_config_get(c->layer, "axis") == NULL;
    cn_id x;

    CN_TRY(cn_op_tensor(c, 0, "x", &x));
    CN_TRY(cn_op_axes(c, "axis", cn_op_type(c, x)->ndim, &axes));
    for (int i = cn_op_type(c, x)->ndim - 1; i >= 0; i--) {
        bool one = cn_op_type(c, x)->dims[i] == 1;
        if (!(axes >> i & 1) || (all && !one)) continue;
        if (!one) return CN_FAIL(BAD_ARGUMENT, "axis %d cannot be squeezed: it has %" PRId64 " elements", i, cn_op_type(c, x)->dims[i]);
        x = cn_op_remove_axis(c, x, i);
    }
    return cn_call_return(c, x);
}

/* ---- axes ---- */

static cornu_status lower_transpose(cn_call* c) {
    int64_t list[CORNU_MAX_DIMS];
    int perm[CORNU_MAX_DIMS], n = 0, ndim;
    cn_id x;

    CN_TRY(cn_op_tensor(c, 0, "x", &x));
    ndim = cn_op_type(c, x)->ndim;
    CN_TRY(cn_config_list(c->layer, "axes", CORNU_MAX_DIMS, INT32_MIN, INT32_MAX, false, list, &n));
    if (n > 0 && n != ndim) return CN_FAIL(BAD_ARGUMENT, "axes has %d elements for an input of %d axes", n, ndim);
    for (int i = 0; i < ndim; i++) {
        if (n > 0) CN_TRY(cn_call_axis(c, "axes", list[i], ndim, &perm[i]));
        else perm[i] = ndim - 1 - i;
    }
    return cn_call_return(c, cn_graph_transpose(c->g, x, perm));
}

static cornu_status move_axes(cn_call* c, cn_id x, int n, const int64_t* source, const int64_t* destination, cn_id* out) {
    int ndim = cn_op_type(c, x)->ndim, perm[CORNU_MAX_DIMS], next = 0;
    uint32_t moved = 0;

    for (int i = 0; i < ndim; i++) perm[i] = -1;
    for (int i = 0; i < n; i++) {
        int from, to;
        CN_TRY(cn_call_axis(c, "source", source[i], ndim, &from));
        CN_TRY(cn_call_axis(c, "destination", destination[i], ndim, &to));
        perm[to] = from;
        moved |= 1u << from;
    }
    for (int i = 0; i < ndim; i++) {
        if (perm[i] >= 0) continue;
        while (next < ndim - 1 && (moved >> next & 1)) next++;
        perm[i] = next++;
    }
    *out = cn_graph_transpose(c->g, x, perm);
    return cn_graph_status(c->g);
}

static cornu_status lower_moveaxis(cn_call* c) {
    int64_t source[CORNU_MAX_DIMS], destination[CORNU_MAX_DIMS];
    int n, m;
    cn_id x;

    CN_TRY(cn_op_tensor(c, 0, "x", &x));
    CN_TRY(cn_config_list(c->layer, "source", CORNU_MAX_DIMS, INT32_MIN, INT32_MAX, false, source, &n));
    CN_TRY(cn_config_list(c->layer, "destination", CORNU_MAX_DIMS, INT32_MIN, INT32_MAX, false, destination, &m));
    if (n != m) return CN_FAIL(BAD_ARGUMENT, "source and destination differ in length");
    CN_TRY(move_axes(c, x, n, source, destination, &x));
    return cn_call_return(c, x);
}

static cornu_status lower_swapaxes(cn_call* c) {
    int perm[CORNU_MAX_DIMS], a, b, ndim;
    cn_id x;

    CN_TRY(cn_op_tensor(c, 0, "x", &x));
    ndim = cn_op_type(c, x)->ndim;
    CN_TRY(cn_op_axis(c, "axis1", 0, ndim, &a, NULL));
    CN_TRY(cn_op_axis(c, "axis2", 0, ndim, &b, NULL));
    for (int i = 0; i < ndim; i++) perm[i] = i == a ? b : i == b ? a : i;
    return cn_call_return(c, cn_graph_transpose(c->g, x, perm));
}

static cornu_status lower_flip(cn_call* c) {
    const char* name = c->layer->class_name;
    uint32_t axes;
    cn_id x;

    CN_TRY(cn_op_tensor(c, 0, "x", &x));
    CN_TRY(cn_op_axes(c, "axis", cn_op_type(c, x)->ndim, &axes));
    if (strcmp(name, "Fliplr") == 0) axes = 2;
    if (strcmp(name, "Flipud") == 0) axes = 1;
    if (axes >> cn_op_type(c, x)->ndim) return CN_FAIL(BAD_ARGUMENT, "its input has too few axes");
    for (int i = 0; i < cn_op_type(c, x)->ndim; i++) x = axes >> i & 1 ? cn_op_reverse(c, x, i) : x;
    return cn_call_return(c, x);
}

static cornu_status lower_rot90(cn_call* c) {
    int64_t list[2] = {0, 1}, k;
    int a, b, n, perm[CORNU_MAX_DIMS], ndim;
    cn_id x;

    CN_TRY(cn_op_tensor(c, 0, "array", &x));
    CN_TRY(cn_op_int(c, "k", 1, &k));
    ndim = cn_op_type(c, x)->ndim;
    CN_TRY(cn_config_list(c->layer, "axes", 2, INT32_MIN, INT32_MAX, false, list, &n));
    CN_TRY(cn_call_axis(c, "axes", list[0], ndim, &a));
    CN_TRY(cn_call_axis(c, "axes", list[1], ndim, &b));
    for (int i = 0; i < ndim; i++) perm[i] = i == a ? b : i == b ? a : i;
    for (k = (k % 4 + 4) % 4; k > 0; k--) x = cn_graph_transpose(c->g, cn_op_reverse(c, x, b), perm);
    return cn_call_return(c, x);
}

static cn_id roll_axis(cn_call* c, cn_id x, int axis, int64_t shift) {
    int64_t n = cn_op_type(c, x)->dims[axis];
    cn_id parts[2];

    if (n == 0) return x;
    shift = (shift % n + n) % n;
    if (shift == 0) return x;
    parts[0] = cn_graph_slice_axis(c->g, x, axis, n - shift, n);
    parts[1] = cn_graph_slice_axis(c->g, x, axis, 0, n - shift);
    return cn_graph_concat(c->g, parts, 2, axis);
}

static cornu_status lower_roll(cn_call* c) {
    int64_t shift[CORNU_MAX_DIMS], axes[CORNU_MAX_DIMS];
    int n, m = 0;
    cn_type t;
    cn_id x;

    CN_TRY(cn_op_tensor(c, 0, "x", &x));
    CN_TRY(cn_config_list(c->layer, "shift", CORNU_MAX_DIMS, INT32_MIN, INT32_MAX, false, shift, &n));
    CN_TRY(cn_config_list(c->layer, "axis", CORNU_MAX_DIMS, INT32_MIN, INT32_MAX, false, axes, &m));
    t = *cn_op_type(c, x);
    if (m == 0) return cn_call_return(c, cn_graph_reshape(c->g, roll_axis(c, cn_op_flatten(c, x), 0, n ? shift[0] : 0), t.ndim, t.dims));
    if (n != m && n != 1) return CN_FAIL(BAD_ARGUMENT, "shift and axis differ in length");
    for (int i = 0; i < m; i++) {
        int axis;
        CN_TRY(cn_call_axis(c, "axis", axes[i], t.ndim, &axis));
        x = roll_axis(c, x, axis, shift[n == 1 ? 0 : i]);
    }
    return cn_call_return(c, x);
}

/* ---- joining ---- */

static cornu_status lower_concatenate(cn_call* c) {
    const char* name = c->layer->class_name;
    int count, axis = 0;
    cn_id* x;

    CN_TRY(cn_op_list(c, cn_op_arg(c, 0, "xs|x"), &x, &count));
    if (strcmp(name, "Hstack") == 0) axis = cn_op_type(c, x[0])->ndim == 1 ? 0 : 1;
    else if (strcmp(name, "Vstack") != 0) CN_TRY(cn_op_axis(c, "axis", 0, cn_op_type(c, x[0])->ndim, &axis, NULL));
    return cn_call_return(c, cn_graph_concat(c->g, x, count, axis));
}

static cornu_status lower_append(cn_call* c) {
    bool none;
    int axis;
    cn_id x[2];

    CN_TRY(cn_op_pair(c, false, 0, &x[0], &x[1]));
    CN_TRY(cn_op_axis(c, "axis", 0, cn_op_type(c, x[0])->ndim, &axis, &none));
    for (int i = 0; i < 2 && none; i++) x[i] = cn_op_flatten(c, x[i]);
    return cn_call_return(c, cn_graph_concat(c->g, x, 2, none ? 0 : axis));
}

static cornu_status lower_stack(cn_call* c) {
    int count, axis;
    cn_id* x;

    CN_TRY(cn_op_list(c, cn_op_arg(c, 0, "x|xs"), &x, &count));
    CN_TRY(cn_op_axis(c, "axis", 0, cn_op_type(c, x[0])->ndim + 1, &axis, NULL));
    for (int i = 0; i < count; i++) x[i] = cn_op_insert_axis(c, x[i], axis);
    return cn_call_return(c, cn_graph_concat(c->g, x, count, axis));
}

static cornu_status lower_dstack(cn_call* c) {
    int count;
    cn_id* x;

    CN_TRY(cn_op_list(c, cn_op_arg(c, 0, "xs|x"), &x, &count));
    for (int i = 0; i < count; i++) {
        int ndim = cn_op_type(c, x[i])->ndim;
        if (ndim == 0) x[i] = cn_op_insert_axis(c, x[i], 0);
        if (ndim <= 1) x[i] = cn_op_insert_axis(c, x[i], 0);
        if (ndim <= 2) x[i] = cn_op_insert_axis(c, x[i], 2);
    }
    return cn_call_return(c, cn_graph_concat(c->g, x, count, 2));
}

static cornu_status lower_meshgrid(cn_call* c) {
    const char* indexing;
    cn_id x[CORNU_MAX_DIMS];
    int64_t dims[CORNU_MAX_DIMS];
    int n = c->arg_count;

    if (n < 1 || n > CORNU_MAX_DIMS) return CN_FAIL(UNSUPPORTED, "a meshgrid of %d tensors", n);
    CN_TRY(cn_config_string(c->layer, "indexing", "xy", &indexing));
    for (int i = 0; i < n; i++) {
        int place = strcmp(indexing, "xy") == 0 && i < 2 && n > 1 ? 1 - i : i;
        int64_t shape[CORNU_MAX_DIMS];
        CN_TRY(cn_op_tensor(c, i, "", &x[i]));
        dims[place] = cn_type_count(cn_op_type(c, x[i]));
        for (int k = 0; k < n; k++) shape[k] = k == place ? dims[place] : 1;
        x[i] = cn_graph_reshape(c->g, x[i], n, shape);
    }
    for (int i = 0; i < n; i++) x[i] = cn_graph_broadcast(c->g, x[i], n, dims);
    return cn_op_return_ids(c, x, n);
}

/* ---- splitting ---- */

/* Cuts at count + 1 places. */
static cornu_status cut(cn_call* c, cn_id x, int axis, int count, const int64_t* at) {
    cn_id* parts = cn_call_alloc(c, ((size_t)count + 1) * sizeof *parts);

    if (!parts) return CORNU_NO_MEMORY;
    for (int i = 0; i < count; i++) {
        if (at[i] < 0 || at[i + 1] < at[i] || at[i + 1] > cn_op_type(c, x)->dims[axis]) return CN_FAIL(BAD_ARGUMENT, "the parts of a split do not fit axis %d", axis);
        parts[i] = cn_graph_slice_axis(c->g, x, axis, at[i], at[i + 1]);
    }
    return cn_op_return_ids(c, parts, count);
}

static cornu_status lower_split(cn_call* c) {
    const char* name = c->layer->class_name;
    bool uneven = strcmp(name, "ArraySplit") == 0;
    const cn_json* how = cn_config_get(c->layer, "indices_or_sections");
    int64_t at[1026] = {0}, sections = 0, n;
    int axis = 0, count = 0;
    cn_id x;

    CN_TRY(cn_op_tensor(c, 0, "x", &x));
    if (name[0] == 'D') axis = 2;
    else if (name[0] == 'H') axis = cn_op_type(c, x)->ndim == 1 ? 0 : 1;
    else if (name[0] != 'V') CN_TRY(cn_op_axis(c, "axis", 0, cn_op_type(c, x)->ndim, &axis, NULL));
    if (axis >= cn_op_type(c, x)->ndim) return CN_FAIL(BAD_ARGUMENT, "its input has too few axes");
    n = cn_op_type(c, x)->dims[axis];
    if (cn_json_int64(how, &sections)) {
        if (sections < 1 || sections > 1024 || (!uneven && n % sections)) return CN_FAIL(BAD_ARGUMENT, "%" PRId64 " elements cannot be split into %" PRId64, n, sections);
        for (int64_t i = 0; i < sections; i++) at[i + 1] = at[i] + n / sections + (i < n % sections);
        return cut(c, x, axis, (int)sections, at);
    }
    CN_TRY(cn_config_list(c->layer, "indices_or_sections", 1024, INT32_MIN, INT32_MAX, false, at + 1, &count));
    for (int i = 1; i <= count; i++) at[i] += at[i] < 0 ? n : 0;
    at[count + 1] = n;
    return cut(c, x, axis, count + 1, at);
}

static cornu_status lower_unstack(cn_call* c) {
    int64_t n;
    cn_id* parts;
    int axis;
    cn_id x;

    CN_TRY(cn_op_tensor(c, 0, "x", &x));
    CN_TRY(cn_op_axis(c, "axis", 0, cn_op_type(c, x)->ndim, &axis, NULL));
    n = cn_op_type(c, x)->dims[axis];
    if (n > 4096) return CN_FAIL(UNSUPPORTED, "unstacking %" PRId64 " tensors", n);
    parts = cn_call_alloc(c, ((size_t)n + 1) * sizeof *parts);
    if (!parts) return CORNU_NO_MEMORY;
    for (int64_t i = 0; i < n; i++) parts[i] = cn_op_remove_axis(c, cn_graph_slice_axis(c->g, x, axis, i, i + 1), axis);
    return cn_op_return_ids(c, parts, (int)n);
}

/* ---- repeating and padding ---- */

static cornu_status lower_repeat(cn_call* c) {
    int64_t list[1024];
    int n, axis;
    bool none;
    cn_id x, parts[1024];

    CN_TRY(cn_op_tensor(c, 0, "x", &x));
    CN_TRY(cn_config_list(c->layer, "repeats", 1024, 0, INT32_MAX, false, list, &n));
    CN_TRY(cn_op_axis(c, "axis", 0, cn_op_type(c, x)->ndim, &axis, &none));
    if (none) {
        x = cn_op_flatten(c, x);
        axis = 0;
    }
    if (n == 1) { /* each element along a new axis, then both as one */
        cn_type t = *cn_op_type(c, x);
        int64_t dims[CORNU_MAX_DIMS];
        x = cn_op_insert_axis(c, x, axis + 1);
        memcpy(dims, cn_op_type(c, x)->dims, sizeof dims);
        dims[axis + 1] = list[0];
        x = cn_graph_broadcast(c->g, x, t.ndim + 1, dims);
        if (__builtin_mul_overflow(t.dims[axis], list[0], &t.dims[axis])) return CN_FAIL(BAD_ARGUMENT, "too many repeats");
        return cn_call_return(c, cn_graph_reshape(c->g, x, t.ndim, t.dims));
    }
    if (n != cn_op_type(c, x)->dims[axis]) return CN_FAIL(BAD_ARGUMENT, "repeats has %d elements for an axis of %" PRId64, n, cn_op_type(c, x)->dims[axis]);
    for (int i = 0; i < n; i++) {
        cn_type t = *cn_op_type(c, x);
        t.dims[axis] = list[i];
        parts[i] = cn_graph_broadcast(c->g, cn_graph_slice_axis(c->g, x, axis, i, i + 1), t.ndim, t.dims);
    }
    return cn_call_return(c, n ? cn_graph_concat(c->g, parts, n, axis) : x);
}

/* Each axis as [repeats, n], broadcast along the first. */
static cornu_status lower_tile(cn_call* c) {
    int64_t repeats[CORNU_MAX_DIMS];
    int n;
    cn_id x;

    CN_TRY(cn_op_tensor(c, 0, "x", &x));
    CN_TRY(cn_config_list(c->layer, "repeats", CORNU_MAX_DIMS, 0, INT32_MAX, false, repeats, &n));
    while (cn_op_type(c, x)->ndim < n && cn_graph_status(c->g) == CORNU_OK) x = cn_op_insert_axis(c, x, 0);
    CN_TRY(cn_graph_status(c->g));
    for (int i = cn_op_type(c, x)->ndim - n, k = 0; k < n; i++, k++) {
        cn_type t = *cn_op_type(c, x);
        int64_t dims[CORNU_MAX_DIMS];
        if (repeats[k] == 1) continue;
        x = cn_op_insert_axis(c, x, i);
        memcpy(dims, cn_op_type(c, x)->dims, sizeof dims);
        dims[i] = repeats[k];
        x = cn_graph_broadcast(c->g, x, t.ndim + 1, dims);
        if (__builtin_mul_overflow(t.dims[i], repeats[k], &t.dims[i])) return CN_FAIL(BAD_ARGUMENT, "too many repeats");
        x = cn_graph_reshape(c->g, x, t.ndim, t.dims);
        CN_TRY(cn_graph_status(c->g));
    }
    return cn_call_return(c, x);
}

/* pad_width: n, [n], [low, high], [[low, high]] or one pair an axis. */
static cornu_status read_pad_width(cn_call* c, int ndim, cn_pad_attr* pad) {
    const cn_json* width = cn_config_get(c->layer, "pad_width");
    size_t rows = cn_json_is(width, CN_JSON_ARRAY) ? cn_json_size(width) : 1;

    for (int i = 0; i < ndim; i++) {
        const cn_json* row = cn_json_is(width, CN_JSON_ARRAY) && cn_json_is(cn_json_at(width, 0), CN_JSON_ARRAY) ? cn_json_at(width, rows == 1 ? 0 : (size_t)i) : width;
        const cn_json* low = cn_json_is(row, CN_JSON_ARRAY) ? cn_json_at(row, 0) : row;
        const cn_json* high = cn_json_is(row, CN_JSON_ARRAY) && cn_json_size(row) > 1 ? cn_json_at(row, 1) : low;
        if (!cn_json_int64(low, &pad->low[i]) || !cn_json_int64(high, &pad->high[i])) return cn_config_bad(c->layer, "pad_width", "pairs of integers are allowed");
    }
    return CORNU_OK;
}

static cornu_status lower_pad(cn_call* c) {
    static const cn_pad_mode modes[] = {CN_PAD_CONSTANT, CN_PAD_REFLECT, CN_PAD_SYMMETRIC, CN_PAD_EDGE};
    int mode;
    cn_attr attr;
    cn_id x;

    memset(&attr, 0, sizeof attr);
    CN_TRY(cn_op_tensor(c, 0, "x", &x));
    CN_TRY(cn_config_choice(c->layer, "mode", "constant", "constant|reflect|symmetric|edge", &mode));
    CN_TRY(cn_op_number(cn_op_arg(c, 1, "constant_values"), 0, &attr.pad.value));
    CN_TRY(read_pad_width(c, cn_op_type(c, x)->ndim, &attr.pad));
    attr.pad.mode = modes[mode];
    return cn_call_return(c, cn_graph_add(c->g, CN_OP_pad, &x, 1, &attr));
}

/* ---- numbers that only shapes decide ---- */

static cornu_status lower_size(cn_call* c) {
    bool size = strcmp(c->layer->class_name, "Size") == 0;
    cn_id x;
    CN_TRY(cn_op_tensor(c, 0, "x", &x));
    return cn_call_return(c, cn_graph_scalar(c->g, CORNU_INT32, size ? (double)cn_type_count(cn_op_type(c, x)) : cn_op_type(c, x)->ndim));
}

static cornu_status lower_like(cn_call* c) {
    const char* name = c->layer->class_name;
    cornu_dtype dtype;
    cn_id x, y;

    CN_TRY(cn_op_tensor(c, 0, "x", &x));
    CN_TRY(cn_op_dtype_attr(c, "dtype", cn_op_type(c, x)->dtype, &dtype));
    y = cn_graph_scalar(c->g, dtype, name[0] == 'O');
    if (name[0] == 'F') CN_TRY(cn_op_convert(c, cn_op_arg(c, 1, "fill_value"), dtype, &y));
    return cn_call_return(c, cn_graph_broadcast(c->g, y, cn_op_type(c, x)->ndim, cn_op_type(c, x)->dims));
}

static cornu_status lower_full(cn_call* c) {
    int64_t dims[CORNU_MAX_DIMS];
    cornu_dtype dtype;
    cn_id y;
    int n;

    CN_TRY(cn_op_dtype_attr(c, "dtype", CORNU_FLOAT32, &dtype));
    CN_TRY(cn_config_list(c->layer, "shape", CORNU_MAX_DIMS, 0, INT64_MAX, false, dims, &n));
    CN_TRY(cn_op_convert(c, cn_op_arg(c, 0, "fill_value"), dtype, &y));
    return cn_call_return(c, cn_graph_broadcast(c->g, y, n, dims));
}

/* start and stop are numbers or tensors; what lies between is start + i * step, and the last is stop itself. */
static cornu_status linspace(cn_call* c, cornu_dtype dtype, cn_id start, cn_id stop, cn_id* out, cn_id* step) {
    bool endpoint;
    int64_t num;
    cn_id i, y, rise;
    int axis, ndim;
    cn_type shape;

    CN_TRY(cn_op_int(c, "num", 50, &num));
    CN_TRY(cn_config_bool(c->layer, "endpoint", true, &endpoint));
    if (num < 1) return CN_FAIL(UNSUPPORTED, "num is %" PRId64, num);
    rise = cn_graph_ew2(c->g, CN_EW_sub, stop, start);
    CN_TRY(cn_graph_status(c->g));
    shape = *cn_op_type(c, rise);
    ndim = shape.ndim;
    CN_TRY(cn_op_axis(c, "axis", 0, ndim + 1, &axis, NULL));
    *step = cn_op_ew(c, CN_EW_div, rise, endpoint ? (num > 1 ? (double)(num - 1) : 1) : (double)num);
    i = cn_op_iota_axis(c, dtype, num, axis, ndim + 1);
    start = cn_op_insert_axis(c, cn_graph_broadcast(c->g, start, ndim, shape.dims), axis);
    stop = cn_op_insert_axis(c, cn_graph_broadcast(c->g, stop, ndim, shape.dims), axis);
    y = cn_graph_ew2(c->g, CN_EW_add, start, cn_graph_ew2(c->g, CN_EW_mul, cn_op_insert_axis(c, *step, axis), i));
    if (endpoint && num > 1) y = cn_graph_select(c->g, cn_op_ew(c, CN_EW_eq, i, (double)(num - 1)), stop, y);
    *out = y;
    return cn_graph_status(c->g);
}

static cornu_status lower_linspace(cn_call* c) {
    const char* name = c->layer->class_name;
    const cn_arg *a = cn_op_arg(c, 0, "start"), *b = cn_op_arg(c, 1, "stop");
    cornu_dtype dtype, result;
    bool geometric = name[0] == 'G', retstep;
    double base = 10;
    cn_id start, stop, y, step, sign = CN_NONE;

    result = cn_result_type((const cornu_dtype[]){cn_op_dtype(c, a), cn_op_dtype(c, b), CN_WEAK_FLOAT}, 3);
    if (geometric) result = CORNU_FLOAT32;
    CN_TRY(cn_op_dtype_attr(c, "dtype", result, &result));
    CN_TRY(cn_config_bool(c->layer, "retstep", false, &retstep));
    dtype = cn_float_of(result);
    CN_TRY(cn_op_convert(c, a, dtype, &start));
    CN_TRY(cn_op_convert(c, b, dtype, &stop));
    if (geometric) {
        sign = cn_graph_ew1(c->g, CN_EW_sign, start);
        start = cn_graph_ew1(c->g, CN_EW_log10, cn_graph_ew1(c->g, CN_EW_abs, start));
        stop = cn_graph_ew1(c->g, CN_EW_log10, cn_graph_ew1(c->g, CN_EW_abs, stop));
    }
    CN_TRY(linspace(c, dtype, start, stop, &y, &step));
    if (name[0] == 'L' && name[1] == 'o') CN_TRY(cn_config_double(c->layer, "base", 10, &base));
    if (name[0] == 'G' || name[1] == 'o') y = cn_graph_ew2(c->g, CN_EW_pow, cn_op_fill(c, y, base), y);
    if (geometric) {
        int axis;
        CN_TRY(cn_op_axis(c, "axis", 0, cn_op_type(c, sign)->ndim + 1, &axis, NULL));
        y = cn_graph_ew2(c->g, CN_EW_mul, y, cn_op_insert_axis(c, sign, axis));
    }
    if (cn_dtype_is_int(result)) y = cn_graph_ew1(c->g, CN_EW_floor, y);
    y = cn_graph_cast(c->g, y, result);
    return retstep ? cn_op_return2(c, y, step) : cn_call_return(c, y);
}

static cornu_status lower_arange(cn_call* c) {
    const cn_arg* args[] = {cn_op_arg(c, 0, "start"), cn_op_arg(c, 1, "stop"), cn_op_arg(c, 2, "step")};
    double start = 0, stop = 0, step = 1, count;
    cornu_dtype list[3], dtype;
    int n = 0;

    for (int i = 0; i < 3; i++) {
        if (cn_op_given(args[i])) list[n++] = cn_op_dtype(c, args[i]);
    }
    CN_TRY(cn_op_number(args[0], 0, &start));
    CN_TRY(cn_op_number(args[1], 0, &stop));
    CN_TRY(cn_op_number(args[2], 1, &step));
    if (!cn_op_given(args[1])) {
        stop = start;
        start = 0;
    }
    CN_TRY(cn_op_dtype_attr(c, "dtype", cn_result_type(list, n), &dtype));
    count = step != 0 ? (stop - start) / step : 0;
    count = count > 0 && count < 1e9 ? count : 0;
    return cn_call_return(c, cn_op_iota(c, dtype, (int64_t)count + ((double)(int64_t)count < count), start, step));
}

const cn_layer_def cn_ops_shape[] = {
    CN_OP_ROW("Reshape", lower_reshape),
    CN_OP_ROW("BroadcastTo", lower_broadcast_to),
    CN_OP_ROW("Ravel", lower_ravel),
    CN_OP_ROW("ExpandDims", lower_expand_dims),
    CN_OP_ROW("Squeeze", lower_squeeze),
    CN_OP_ROW("Transpose", lower_transpose),
    CN_OP_ROW("Moveaxis", lower_moveaxis),
    CN_OP_ROW("Swapaxes", lower_swapaxes),
    CN_OP_ROW("Flip", lower_flip),
    CN_OP_ROW("Fliplr", lower_flip),
    CN_OP_ROW("Flipud", lower_flip),
    CN_OP_ROW("Rot90", lower_rot90),
    CN_OP_ROW("Roll", lower_roll),
    CN_OP_ROW("Concatenate", lower_concatenate),
    CN_OP_ROW("Hstack", lower_concatenate),
    CN_OP_ROW("Vstack", lower_concatenate),
    CN_OP_ROW("Dstack", lower_dstack),
    CN_OP_ROW("Append", lower_append),
    CN_OP_ROW("Stack", lower_stack),
    CN_OP_ROW("Meshgrid", lower_meshgrid),
    CN_OP_ROW("Split", lower_split),
    CN_OP_ROW("ArraySplit", lower_split),
    CN_OP_ROW("Hsplit", lower_split),
    CN_OP_ROW("Vsplit", lower_split),
    CN_OP_ROW("Dsplit", lower_split),
    CN_OP_ROW("Unstack", lower_unstack),
    CN_OP_ROW("Repeat", lower_repeat),
    CN_OP_ROW("Tile", lower_tile),
    CN_OP_ROW_LIMITS("Pad", lower_pad, "constant_values is a number"),
    CN_OP_ROW("Size", lower_size),
    CN_OP_ROW("Ndim", lower_size),
    CN_OP_ROW("EmptyLike", lower_like),
    CN_OP_ROW("ZerosLike", lower_like),
    CN_OP_ROW("OnesLike", lower_like),
    CN_OP_ROW("FullLike", lower_like),
    CN_OP_ROW("Full", lower_full),
    CN_OP_ROW("Linspace", lower_linspace),
    CN_OP_ROW("Logspace", lower_linspace),
    CN_OP_ROW("Geomspace", lower_linspace),
    CN_OP_ROW_LIMITS("Arange", lower_arange, "start, stop and step are numbers: the size would depend on the data"),
    {0},
};
