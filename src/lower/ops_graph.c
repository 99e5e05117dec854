/* Short forms of the graph that operations share. */
#include "lower/ops.h"

const cn_type* cn_op_type(const cn_call* c, cn_id v) {
    static const cn_type none = {.ndim = 4}; /* so that code behind a failure finds a last axis, of no elements */
    return v == CN_NONE || cn_graph_status(c->g) != CORNU_OK ? &none : cn_graph_type(c->g, v);
}

cn_id cn_op_fill(cn_call* c, cn_id like, double value) {
    return like == CN_NONE ? CN_NONE : cn_graph_scalar(c->g, cn_op_type(c, like)->dtype, value);
}

cn_id cn_op_ew(cn_call* c, cn_ew fn, cn_id x, double z) { return cn_graph_ew2(c->g, fn, x, cn_op_fill(c, x, z)); }

cn_id cn_op_iota(cn_call* c, cornu_dtype dtype, int64_t count, double begin, double step) {
    cn_attr attr;
    memset(&attr, 0, sizeof attr);
    attr.iota = (cn_iota_attr){dtype, count, begin, step};
    return cn_graph_add(c->g, CN_OP_iota, NULL, 0, &attr);
}

cn_id cn_op_iota_axis(cn_call* c, cornu_dtype dtype, int64_t count, int axis, int ndim) {
    int64_t dims[CORNU_MAX_DIMS];
    for (int i = 0; i < ndim; i++) dims[i] = i == axis ? count : 1;
    return cn_graph_reshape(c->g, cn_op_iota(c, dtype, count, 0, 1), ndim, dims);
}

cn_id cn_op_insert_axis(cn_call* c, cn_id x, int axis) {
    const cn_type* t = cn_op_type(c, x);
    int64_t dims[CORNU_MAX_DIMS];

    if (x == CN_NONE) return CN_NONE;
    if (t->ndim == CORNU_MAX_DIMS) return cn_graph_failed(c->g, CN_FAIL(UNSUPPORTED, "a tensor of more than %d axes", CORNU_MAX_DIMS));
    for (int i = 0; i <= t->ndim; i++) dims[i] = i < axis ? t->dims[i] : i == axis ? 1 : t->dims[i - 1];
    return cn_graph_reshape(c->g, x, t->ndim + 1, dims);
}

cn_id cn_op_remove_axis(cn_call* c, cn_id x, int axis) {
    const cn_type* t = cn_op_type(c, x);
    int64_t dims[CORNU_MAX_DIMS];

    if (x == CN_NONE || t->ndim < 1) return CN_NONE;
    for (int i = 0; i < t->ndim - 1; i++) dims[i] = t->dims[i < axis ? i : i + 1];
    return cn_graph_reshape(c->g, x, t->ndim - 1, dims);
}

cn_id cn_op_flatten(cn_call* c, cn_id x) { return cn_graph_reshape(c->g, x, 1, (const int64_t[]){cn_type_count(cn_op_type(c, x))}); }

cn_id cn_op_sort(cn_call* c, cn_id x, int axis, bool descending, bool indices) {
    cn_attr attr;
    memset(&attr, 0, sizeof attr);
    attr.sort = (cn_sort_attr){axis, descending, indices};
    return cn_graph_add(c->g, CN_OP_sort, &x, 1, &attr);
}

/* Through the flat tensor: index * stride of the axis + the place along the others. */
cn_id cn_op_along(cn_call* c, cn_id x, cn_id indices, int axis) {
    cn_type t = *cn_op_type(c, x);
    int64_t stride = 1;
    cn_id flat = CN_NONE;

    indices = cn_graph_cast(c->g, indices, CORNU_INT64);
    for (int i = t.ndim - 1; i >= 0; i--) {
        cn_id part = i == axis ? indices : cn_op_iota_axis(c, CORNU_INT64, t.dims[i], i, t.ndim);
        part = cn_op_ew(c, CN_EW_mul, part, (double)stride);
        flat = flat == CN_NONE ? part : cn_graph_ew2(c->g, CN_EW_add, flat, part);
        stride *= t.dims[i];
    }
    return cn_graph_gather(c->g, cn_op_flatten(c, x), flat, 0, CN_GATHER_CHECKED);
}

cn_id cn_op_scatter(cn_call* c, cn_scatter_kind kind, bool drop, cn_id base, cn_id indices, cn_id updates) {
    const cn_id in[] = {base, indices, updates};
    cn_attr attr;
    memset(&attr, 0, sizeof attr);
    attr.scatter = (cn_scatter_attr){kind, drop};
    return cn_graph_add(c->g, CN_OP_scatter, in, 3, &attr);
}

cn_id cn_op_linalg(cn_call* c, cn_linalg_attr linalg, cn_id a, cn_id b) {
    const cn_id in[] = {a, b};
    cn_attr attr;
    memset(&attr, 0, sizeof attr);
    attr.linalg = linalg;
    return cn_graph_add(c->g, CN_OP_linalg, in, b == CN_NONE ? 1 : 2, &attr);
}

cn_id cn_op_stride(cn_call* c, cn_id x, int axis, int64_t begin, int64_t step, int64_t count) {
    const cn_type* t = cn_op_type(c, x);
    cn_attr attr;

    memset(&attr, 0, sizeof attr);
    for (int i = 0; i < t->ndim; i++) {
        attr.slice.begin[i] = i == axis ? begin : 0;
        attr.slice.step[i] = i == axis ? step : 1;
        attr.slice.dims[i] = i == axis ? count : t->dims[i];
    }
    return cn_graph_add(c->g, CN_OP_slice, &x, 1, &attr);
}

cn_id cn_op_reverse(cn_call* c, cn_id x, int axis) {
    int64_t n = cn_op_type(c, x)->dims[axis];
    return cn_op_stride(c, x, axis, n > 0 ? n - 1 : 0, -1, n);
}

cn_id cn_op_count_below(cn_call* c, cn_id sorted, cn_id x, bool or_equal) {
    int ndim = cn_op_type(c, x)->ndim;
    cn_id below;

    x = cn_op_insert_axis(c, x, ndim);
    below = cn_graph_ew2(c->g, or_equal ? CN_EW_le : CN_EW_lt, sorted, x);
    return cn_graph_reduce(c->g, cn_graph_cast(c->g, below, CORNU_INT32), CN_REDUCE_SUM, 1u << ndim, false);
}

cn_id cn_op_mean(cn_call* c, cn_id x, uint32_t axes, bool keepdims) { return cn_graph_reduce(c->g, x, CN_REDUCE_MEAN, axes, keepdims); }

cn_id cn_op_sum(cn_call* c, cn_id x, uint32_t axes, bool keepdims) { return cn_graph_reduce(c->g, x, CN_REDUCE_SUM, axes, keepdims); }

cn_id cn_op_variance(cn_call* c, cn_id x, uint32_t axes, bool keepdims) {
    cn_id centred = cn_graph_ew2(c->g, CN_EW_sub, x, cn_op_mean(c, x, axes, true));
    return cn_op_mean(c, cn_graph_ew1(c->g, CN_EW_square, centred), axes, keepdims);
}

cn_id cn_op_tensordot(cn_call* c, cn_id a, cn_id b, int n, const int* axes_a, const int* axes_b) {
    cn_type ta = *cn_op_type(c, a), tb = *cn_op_type(c, b);
    int perm_a[CORNU_MAX_DIMS], perm_b[CORNU_MAX_DIMS], na = 0, nb = 0, ndim = 0;
    int64_t dims[2 * CORNU_MAX_DIMS], rows = 1, inner = 1, columns = 1;
    uint32_t used_a = 0, used_b = 0;

    if (cn_graph_status(c->g) != CORNU_OK) return CN_NONE;
    for (int i = 0; i < n; i++) {
        if (ta.dims[axes_a[i]] != tb.dims[axes_b[i]]) return cn_graph_failed(c->g, CN_FAIL(BAD_ARGUMENT, "a product over axes of different sizes"));
        used_a |= 1u << axes_a[i];
        used_b |= 1u << axes_b[i];
        inner *= ta.dims[axes_a[i]];
    }
    for (int i = 0; i < ta.ndim; i++) {
        if (used_a >> i & 1) continue;
        perm_a[na++] = i;
        rows *= dims[ndim++] = ta.dims[i];
    }
    for (int i = 0; i < n; i++) {
        perm_a[na++] = axes_a[i];
        perm_b[nb++] = axes_b[i];
    }
    for (int i = 0; i < tb.ndim; i++) {
        if (used_b >> i & 1) continue;
        perm_b[nb++] = i;
        columns *= dims[ndim++] = tb.dims[i];
    }
    if (ndim > CORNU_MAX_DIMS) return cn_graph_failed(c->g, CN_FAIL(UNSUPPORTED, "a product of more than %d axes", CORNU_MAX_DIMS));
    a = cn_graph_reshape(c->g, cn_graph_transpose(c->g, a, perm_a), 2, (const int64_t[]){rows, inner});
    b = cn_graph_reshape(c->g, cn_graph_transpose(c->g, b, perm_b), 2, (const int64_t[]){inner, columns});
    return cn_graph_reshape(c->g, cn_graph_matmul(c->g, a, b, false, false), ndim, dims);
}

cn_id cn_op_band(cn_call* c, int64_t rows, int64_t columns, int64_t low, int64_t high) {
    cn_id row = cn_op_iota_axis(c, CORNU_INT64, rows, 0, 2), column = cn_op_iota_axis(c, CORNU_INT64, columns, 1, 2);
    cn_id distance = cn_graph_ew2(c->g, CN_EW_sub, column, row);
    return cn_graph_ew2(c->g, CN_EW_and, cn_op_ew(c, CN_EW_ge, distance, (double)low), cn_op_ew(c, CN_EW_le, distance, (double)high));
}

cornu_status cn_op_return_ids(cn_call* c, const cn_id* ids, int count) {
    cn_value* values = cn_call_alloc(c, ((size_t)count + 1) * sizeof *values);

    if (!values) return CORNU_NO_MEMORY;
    for (int i = 0; i < count; i++) values[i] = (cn_value){ids[i], CN_NONE};
    return cn_call_return_list(c, values, count);
}

cornu_status cn_op_return2(cn_call* c, cn_id a, cn_id b) { return cn_op_return_ids(c, (const cn_id[]){a, b}, 2); }
