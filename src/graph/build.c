/* Short forms of cn_graph_add. */
#include <string.h>

#include "base/dtype.h"
#include "graph/graph.h"

#define ATTR_INIT(name)   \
    cn_attr name;         \
    memset(&name, 0, sizeof name)

static bool failed(const cn_graph* g, cn_id x) { return g->status != CORNU_OK || x == CN_NONE; }

cn_id cn_graph_scalar(cn_graph* g, cornu_dtype dtype, double value) {
    cn_type type = {.dtype = dtype, .ndim = 0};
    char data[16] = {0};

    if (g->status != CORNU_OK) return CN_NONE;
    if (cn_dtype_convert(dtype, data, CORNU_FLOAT64, &value, 1) != CORNU_OK) return cn_graph_failed(g, CORNU_BAD_ARGUMENT);
    return cn_graph_constant(g, &type, data);
}

cn_id cn_graph_ew1(cn_graph* g, cn_ew fn, cn_id x) {
    return cn_graph_act(g, (cn_act){fn, 0, 0, 0}, x);
}

cn_id cn_graph_act(cn_graph* g, cn_act act, cn_id x) {
    ATTR_INIT(attr);
    if (act.fn == CN_EW_copy) return x;
    attr.ew = act;
    return cn_graph_add(g, CN_OP_ew, &x, 1, &attr);
}

cn_id cn_graph_ew2(cn_graph* g, cn_ew fn, cn_id x, cn_id z) {
    const cn_id in[] = {x, z};
    ATTR_INIT(attr);
    attr.ew.fn = fn;
    return cn_graph_add(g, CN_OP_ew, in, 2, &attr);
}

cn_id cn_graph_select(cn_graph* g, cn_id condition, cn_id x, cn_id z) {
    const cn_id in[] = {condition, x, z};
    ATTR_INIT(attr);
    attr.ew.fn = CN_EW_select;
    return cn_graph_add(g, CN_OP_ew, in, 3, &attr);
}

cn_id cn_graph_cast(cn_graph* g, cn_id x, cornu_dtype dtype) {
    ATTR_INIT(attr);
    if (failed(g, x) || g->types[x].dtype == dtype) return x;
    attr.cast.dtype = dtype;
    return cn_graph_add(g, CN_OP_cast, &x, 1, &attr);
}

cn_id cn_graph_reshape(cn_graph* g, cn_id x, int ndim, const int64_t* dims) {
    int64_t count, known = 1;
    int hole = -1;
    ATTR_INIT(attr);

    if (failed(g, x)) return CN_NONE;
    attr.shape.ndim = ndim;
    for (int i = 0; i < ndim; i++) {
        attr.shape.dims[i] = dims[i];
        if (dims[i] == -1 && hole < 0) hole = i;
        else if (dims[i] < 0 || __builtin_mul_overflow(known, dims[i], &known)) known = -1;
        if (known < 0) return cn_graph_failed(g, CN_FAIL(BAD_ARGUMENT, "reshape to a dimension of %lld", (long long)dims[i]));
    }
    count = cn_type_count(&g->types[x]);
    if (hole >= 0) attr.shape.dims[hole] = known > 0 ? count / known : 0;
    if (ndim == g->types[x].ndim && memcmp(attr.shape.dims, g->types[x].dims, (size_t)ndim * sizeof *dims) == 0) return x;
    return cn_graph_add(g, CN_OP_reshape, &x, 1, &attr);
}

cn_id cn_graph_broadcast(cn_graph* g, cn_id x, int ndim, const int64_t* dims) {
    ATTR_INIT(attr);
    if (failed(g, x)) return CN_NONE;
    if (ndim == g->types[x].ndim && (ndim == 0 || memcmp(dims, g->types[x].dims, (size_t)ndim * sizeof *dims) == 0)) return x;
    attr.shape.ndim = ndim;
    if (ndim > 0) memcpy(attr.shape.dims, dims, (size_t)ndim * sizeof *dims);
    return cn_graph_add(g, CN_OP_broadcast, &x, 1, &attr);
}

cn_id cn_graph_transpose(cn_graph* g, cn_id x, const int* perm) {
    bool identity = true;
    ATTR_INIT(attr);

    if (failed(g, x)) return CN_NONE;
    for (int i = 0; i < g->types[x].ndim; i++) {
        attr.perm.perm[i] = perm[i];
        identity = identity && perm[i] == i;
    }
    return identity ? x : cn_graph_add(g, CN_OP_transpose, &x, 1, &attr);
}

cn_id cn_graph_move_axis(cn_graph* g, cn_id x, int from, int to) {
    int perm[CORNU_MAX_DIMS], n = 0, ndim;

    if (failed(g, x)) return CN_NONE;
    ndim = g->types[x].ndim;
    for (int i = 0; i < ndim; i++) {
        if (i == to) perm[i] = from;
        else {
            if (n == from) n++;
            perm[i] = n++;
        }
    }
    return cn_graph_transpose(g, x, perm);
}

cn_id cn_graph_concat(cn_graph* g, const cn_id* x, int count, int axis) {
    ATTR_INIT(attr);
    attr.axis.axis = axis;
    return count == 1 ? x[0] : cn_graph_add(g, CN_OP_concat, x, count, &attr);
}

cn_id cn_graph_slice(cn_graph* g, cn_id x, const int64_t* begin, const int64_t* end) {
    bool whole = true;
    ATTR_INIT(attr);

    if (failed(g, x)) return CN_NONE;
    for (int i = 0; i < g->types[x].ndim; i++) {
        attr.slice.begin[i] = begin[i];
        attr.slice.step[i] = 1;
        attr.slice.dims[i] = end[i] > begin[i] ? end[i] - begin[i] : 0;
        whole = whole && begin[i] == 0 && end[i] == g->types[x].dims[i];
    }
    return whole ? x : cn_graph_add(g, CN_OP_slice, &x, 1, &attr);
}

cn_id cn_graph_slice_axis(cn_graph* g, cn_id x, int axis, int64_t begin, int64_t end) {
    int64_t from[CORNU_MAX_DIMS] = {0}, to[CORNU_MAX_DIMS];

    if (failed(g, x)) return CN_NONE;
    memcpy(to, g->types[x].dims, sizeof to);
    from[axis] = begin;
    to[axis] = end;
    return cn_graph_slice(g, x, from, to);
}

cn_id cn_graph_pad(cn_graph* g, cn_id x, const int64_t* low, const int64_t* high, double value) {
    bool none = true;
    ATTR_INIT(attr);

    if (failed(g, x)) return CN_NONE;
    attr.pad.mode = CN_PAD_CONSTANT;
    attr.pad.value = value;
    for (int i = 0; i < g->types[x].ndim; i++) {
        attr.pad.low[i] = low[i];
        attr.pad.high[i] = high[i];
        none = none && low[i] == 0 && high[i] == 0;
    }
    return none ? x : cn_graph_add(g, CN_OP_pad, &x, 1, &attr);
}

cn_id cn_graph_reduce(cn_graph* g, cn_id x, cn_reduce_kind kind, uint32_t axes, bool keepdims) {
    ATTR_INIT(attr);
    attr.reduce = (cn_reduce_attr){kind, axes, keepdims};
    return cn_graph_add(g, CN_OP_reduce, &x, 1, &attr);
}

cn_id cn_graph_softmax(cn_graph* g, cn_id x, uint32_t axes) {
    ATTR_INIT(attr);
    attr.reduce = (cn_reduce_attr){CN_REDUCE_SUM, axes, true};
    return cn_graph_add(g, CN_OP_softmax, &x, 1, &attr);
}

cn_id cn_graph_matmul(cn_graph* g, cn_id a, cn_id b, bool transpose_a, bool transpose_b) {
    const cn_id in[] = {a, b};
    ATTR_INIT(attr);
    attr.matmul = (cn_matmul_attr){transpose_a, transpose_b, {CN_EW_copy, 0, 0, 0}};
    return cn_graph_add(g, CN_OP_matmul, in, 2, &attr);
}

cn_id cn_graph_gather(cn_graph* g, cn_id x, cn_id indices, int axis, cn_gather_mode mode) {
    const cn_id in[] = {x, indices};
    ATTR_INIT(attr);
    attr.gather = (cn_gather_attr){axis, mode};
    return cn_graph_add(g, CN_OP_gather, in, 2, &attr);
}
