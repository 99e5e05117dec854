/* Decompositions of convolutions, pools and resize. Windows are gathered axis by axis, which keeps the index constants small:
 *
 *     [N, H, W, C] -> [N, Oh, Kh, W, C] -> [N, Oh, Kh, Ow, Kw, C]      O windows of K cells along each axis
 *
 * A pool reduces K at once; a convolution moves the K axes together and multiplies the patches by the kernel. */
#include <math.h>
#include <string.h>

#include "base/dtype.h"
#include "graph/decompose_parts.h"
#include "graph/resample.h"

static void insert_dim(cn_type* t, int axis, int64_t n) {
    memmove(t->dims + axis + 1, t->dims + axis, (size_t)(t->ndim - axis) * sizeof *t->dims);
    t->dims[axis] = n;
    t->ndim++;
}

/* Windows along an axis: window o is the k cells that indices[o k ..] names. The axis becomes [m, k]. Takes indices over. */
static cn_id take_windows(cn_graph* g, cn_id x, cn_type* type, int axis, int64_t* indices, int64_t m, int64_t k) {
    cn_type table = {.dtype = CORNU_INT64, .ndim = 2, .dims = {m, k}};
    cn_id v;

    if (!indices) return cn_graph_failed(g, CN_NO_MEMORY(m));
    v = cn_graph_gather(g, x, cn_graph_constant(g, &table, indices), axis, CN_GATHER_CLIP);
    cn_free(indices);
    type->dims[axis] = k;
    insert_dim(type, axis, m);
    return v;
}

/* m * k index cells; NULL also where the product overflows. */
static int64_t* index_table(int64_t m, int64_t k) {
    int64_t count;
    return __builtin_mul_overflow(m, k, &count) ? NULL : cn_alloc_zero((size_t)count + 1, sizeof(int64_t));
}

static cn_id even_windows(cn_graph* g, cn_id x, cn_type* type, int axis, int64_t m, int64_t k, int64_t stride, int64_t dilation) {
    int64_t* indices = index_table(m, k);

    for (int64_t i = 0; indices && i < m * k; i++) indices[i] = i / k * stride + i % k * dilation;
    return take_windows(g, x, type, axis, indices, m, k);
}

/* ---- convolution ---- */

/* What a convolution of padded x needs besides: a conv_transpose becomes one, too. */
typedef struct product {
    int spatial;
    const int64_t *strides, *dilation;
    int64_t groups;
    cn_type kernel; /* [spatial..., C / groups, F] */
    const int64_t* out; /* spatial dims of the result */
} product;

/* Axes in order `perm`, then as [a, b, c], or [a, b] with one group. */
static cn_id as_matrices(cn_graph* g, cn_id x, const int* perm, int64_t a, int64_t b, int64_t c, bool one) {
    const int64_t dims[3] = {a, b, c};
    return cn_graph_reshape(g, cn_graph_transpose(g, x, perm), one ? 2 : 3, dims + (one ? 1 : 0));
}

/* [N, O.., F] from x of type [N, padded.., C]: for each group the patches [N O, K c] by the kernel [K c, f]. */
static cn_id multiply_windows(cn_parts* p, cn_id x, cn_type type, cn_id kernel, const product* w) {
    cn_graph* g = p->g;
    int s = w->spatial, perm[CORNU_MAX_DIMS], n = 0;
    int64_t depth = w->kernel.dims[s], filters = w->kernel.dims[s + 1] / w->groups, rows = type.dims[0], cells = 1;
    int64_t dims[CORNU_MAX_DIMS];
    bool one = w->groups == 1;

    for (int d = 0; d < s; d++) {
        x = even_windows(g, x, &type, 1 + 2 * d, w->out[d], w->kernel.dims[d], w->strides[d], w->dilation[d]);
        rows *= w->out[d];
        cells *= w->kernel.dims[d];
    }
    type.dims[type.ndim - 1] = w->groups; /* [N, O1, K1, .., G, c] */
    insert_dim(&type, type.ndim, depth);
    x = cn_graph_reshape(g, x, type.ndim, type.dims);
    perm[n++] = 2 * s + 1;
    perm[n++] = 0;
    for (int d = 0; d < s; d++) perm[n++] = 1 + 2 * d;
    for (int d = 0; d < s; d++) perm[n++] = 2 + 2 * d;
    perm[n] = 2 * s + 2;
    x = as_matrices(g, x, perm, w->groups, rows, cells * depth, one);

    dims[0] = cells * depth, dims[1] = w->groups, dims[2] = filters;
    kernel = as_matrices(g, cn_graph_reshape(g, kernel, 3, dims), (const int[]){1, 0, 2}, w->groups, cells * depth, filters, one);
    x = cn_graph_matmul(g, x, kernel, false, false);
    if (!one) x = cn_graph_move_axis(g, x, 0, 1);
    dims[0] = type.dims[0];
    memcpy(dims + 1, w->out, (size_t)s * sizeof *dims);
    dims[s + 1] = w->groups * filters;
    return cn_graph_reshape(g, x, s + 2, dims);
}

cn_id cn_parts_conv(cn_parts* p) {
    const cn_conv_attr* a = &p->attr->conv;
    const product w = {a->spatial, a->strides, a->dilation, a->groups, p->types[1], p->type.dims + 1};
    cn_type type = p->types[0];
    cn_id x = p->in[0];

    for (int d = 0; d < a->spatial; d++) x = cn_parts_pad_axis(p->g, x, &type, d + 1, a->pad_lo[d], a->pad_hi[d], 0);
    return cn_parts_epilogue(p, multiply_windows(p, x, type, p->in[1], &w), &a->act);
}

/* x with stride - 1 zeros behind each cell of an axis. */
static cn_id spread(cn_graph* g, cn_id x, cn_type* type, int axis, int64_t stride) {
    int64_t n = type->dims[axis];

    if (stride == 1) return x;
    insert_dim(type, axis + 1, 1);
    x = cn_parts_pad_axis(g, cn_graph_reshape(g, x, type->ndim, type->dims), type, axis + 1, 0, stride - 1, 0);
    memmove(type->dims + axis + 1, type->dims + axis + 2, (size_t)(type->ndim - axis - 2) * sizeof *type->dims);
    type->dims[--type->ndim] = 0;
    type->dims[axis] = n * stride;
    return cn_graph_reshape(g, x, type->ndim, type->dims);
}

/* The kernel [spatial.., F, C] back to front, as [spatial.., C, F]. */
static cn_id flipped(cn_graph* g, cn_id kernel, cn_type* type, int spatial) {
    int perm[CORNU_MAX_DIMS];
    int64_t filters = type->dims[spatial];
    cn_attr attr;

    memset(&attr, 0, sizeof attr);
    for (int d = 0; d < type->ndim; d++) {
        bool turn = d < spatial;
        attr.slice.begin[d] = turn ? type->dims[d] - 1 : 0;
        attr.slice.step[d] = turn ? -1 : 1;
        attr.slice.dims[d] = type->dims[d];
        perm[d] = turn ? d : d == spatial ? spatial + 1 : spatial;
    }
    type->dims[spatial] = type->dims[spatial + 1];
    type->dims[spatial + 1] = filters;
    return cn_graph_transpose(g, cn_graph_add(g, CN_OP_slice, &kernel, 1, &attr), perm);
}

/* Output cell o takes x[i] k[j] with i stride + j dilation = o + pad_lo: a convolution of spread x by the kernel back to front, whose
 * first window ends at spread cell -pad_lo. */
cn_id cn_parts_conv_transpose(cn_parts* p) {
    const cn_conv_attr* a = &p->attr->conv;
    static const int64_t ones[CN_MAX_SPATIAL] = {1, 1, 1};
    product w = {a->spatial, ones, a->dilation, 1, p->types[1], p->type.dims + 1};
    cn_type type = p->types[0];
    cn_id x = p->in[0], kernel = flipped(p->g, p->in[1], &w.kernel, a->spatial);

    for (int d = 0; d < a->spatial; d++) {
        int64_t reach = (w.kernel.dims[d] - 1) * a->dilation[d], low = reach - a->pad_lo[d];
        x = spread(p->g, x, &type, d + 1, a->strides[d]);
        x = cn_parts_pad_axis(p->g, x, &type, d + 1, low, w.out[d] + reach - low - type.dims[d + 1], 0);
    }
    return cn_parts_epilogue(p, multiply_windows(p, x, type, kernel, &w), &a->act);
}

/* ---- pooling ---- */

/* What no element is below; padding of a largest. */
static double lowest(cornu_dtype dtype) {
    if (cn_dtype_is_float(dtype)) return -INFINITY;
    if (cn_dtype_kind_of(dtype) == CN_KIND_I) return -ldexp(1, (int)cornu_dtype_size(dtype) * 8 - 1);
    return 0;
}

/* [from, to) of the n cells that output cell o of m covers along an axis. */
static void covered(const cn_parts* p, int axis, int64_t o, int64_t* from, int64_t* to) {
    const cn_pool_attr* a = &p->attr->pool;
    int64_t n = p->types[0].dims[axis + 1], m = p->type.dims[axis + 1];

    if (p->op == CN_OP_adaptive_pool) {
        *from = o * n / m;
        *to = ((o + 1) * n + m - 1) / m;
        return;
    }
    *from = o * a->strides[axis] - a->pad_lo[axis];
    *to = *from + a->window[axis];
    if (*from < 0) *from = 0;
    if (*to > n) *to = n;
}

/* Windows as wide as the widest; what a window lacks is taken from one cell of padding behind the image. */
static cn_id pool_windows(cn_parts* p, cn_id x, cn_type* type, int axis, double padding) {
    int64_t n = type->dims[axis + 1], m = p->type.dims[axis + 1], widest = 1, from, to;
    int64_t* indices;

    for (int64_t o = 0; o < m; o++) {
        covered(p, axis, o, &from, &to);
        if (to - from > widest) widest = to - from;
    }
    indices = index_table(m, widest);
    for (int64_t o = 0; indices && o < m; o++) {
        covered(p, axis, o, &from, &to);
        for (int64_t k = 0; k < widest; k++) indices[o * widest + k] = from + k < to ? from + k : n;
    }
    x = cn_parts_pad_axis(p->g, x, type, axis + 1, 0, 1, padding);
    return take_windows(p->g, x, type, axis + 1, indices, m, widest);
}

/* x over the number of cells that each output cell covers, [m.., 1]; of integers the quotient is truncated. */
static cn_id divide_by_cells(cn_parts* p, cn_id x, cornu_dtype dtype) {
    cn_graph* g = p->g;

    for (int axis = 0; axis < p->attr->pool.spatial; axis++) {
        cn_type type = {.dtype = CORNU_INT64, .ndim = p->attr->pool.spatial + 1 - axis};
        int64_t m = p->type.dims[axis + 1], from, to;
        int64_t* cells = index_table(m, 1);
        cn_id count;
        if (!cells) return cn_graph_failed(g, CN_NO_MEMORY(m));
        for (int i = 0; i < type.ndim; i++) type.dims[i] = i ? 1 : m;
        for (int64_t o = 0; o < m; o++) {
            covered(p, axis, o, &from, &to);
            cells[o] = to > from ? to - from : 0;
        }
        count = cn_graph_cast(g, cn_graph_constant(g, &type, cells), dtype);
        cn_free(cells);
        if (cn_dtype_is_float(dtype)) {
            x = cn_graph_ew2(g, CN_EW_div, x, count);
        } else {
            x = cn_graph_ew2(g, CN_EW_mul, cn_graph_ew1(g, CN_EW_sign, x), cn_graph_ew2(g, CN_EW_floor_div, cn_graph_ew1(g, CN_EW_abs, x), count));
        }
    }
    return x;
}

cn_id cn_parts_pool(cn_parts* p) {
    const cn_pool_attr* a = &p->attr->pool;
    cn_graph* g = p->g;
    cn_type type = p->types[0];
    bool largest = a->kind == CN_POOL_MAX;
    cn_id x = p->in[0];

    if (!largest && !cn_dtype_is_float(type.dtype)) { /* sums of integers must not wrap */
        type.dtype = CORNU_INT64;
        x = cn_graph_cast(g, x, type.dtype);
    }
    for (int axis = 0; axis < a->spatial; axis++) {
        x = pool_windows(p, x, &type, axis, largest ? lowest(type.dtype) : 0);
        x = cn_graph_reduce(g, x, largest ? CN_REDUCE_MAX : CN_REDUCE_SUM, 1u << (axis + 2), false);
        memmove(type.dims + axis + 2, type.dims + axis + 3, (size_t)(type.ndim - axis - 3) * sizeof *type.dims);
        type.dims[--type.ndim] = 0;
    }
    return largest ? x : cn_graph_cast(g, divide_by_cells(p, x, type.dtype), p->type.dtype);
}

/* ---- resize ---- */

/* The weights of an axis as a matrix [m, n]. */
static cn_id weights(cn_graph* g, const cn_resample* a, cornu_dtype dtype) {
    cn_type type = {.dtype = CORNU_FLOAT64, .ndim = 2, .dims = {a->m, a->n}};
    int64_t count;
    double* matrix = NULL;
    void* data = NULL;
    cn_resample_cell cell;
    cn_id v = CN_NONE;

    if (!__builtin_mul_overflow(a->m, a->n, &count)) {
        matrix = cn_alloc_zero((size_t)count + 1, sizeof *matrix);
        data = cn_alloc_zero((size_t)count + 1, sizeof *matrix);
    }
    if (!matrix || !data) {
        v = cn_graph_failed(g, CN_NO_MEMORY(a->m));
        goto done;
    }
    for (int64_t i = 0; i < a->m; i++) {
        cn_resample_cell_of(a, i, &cell);
        for (int64_t j = cell.from; j < cell.to; j++) matrix[i * a->n + j] = cn_resample_weight(a, &cell, j);
    }
    type.dtype = dtype;
    v = cn_dtype_convert(dtype, data, CORNU_FLOAT64, matrix, count) == CORNU_OK ? cn_graph_constant(g, &type, data)
                                                                                 : cn_graph_failed(g, CORNU_BAD_ARGUMENT);
done:
    cn_free(matrix);
    cn_free(data);
    return v;
}

static cn_id nearest(cn_graph* g, const cn_resample* a, cn_id x, int axis) {
    cn_type type = {.dtype = CORNU_INT64, .ndim = 1, .dims = {a->m}};
    int64_t* indices = index_table(a->m, 1);
    cn_resample_cell cell;

    if (!indices) return cn_graph_failed(g, CN_NO_MEMORY(a->m));
    for (int64_t i = 0; i < a->m; i++) {
        cn_resample_cell_of(a, i, &cell);
        indices[i] = cell.from;
    }
    x = cn_graph_gather(g, x, cn_graph_constant(g, &type, indices), axis, CN_GATHER_CLIP);
    cn_free(indices);
    return x;
}

cn_id cn_parts_resize(cn_parts* p) {
    const cn_resize_attr* a = &p->attr->resize;
    cn_graph* g = p->g;
    int64_t dims[4];
    cn_id x = p->in[0];

    memcpy(dims, p->types[0].dims, sizeof dims);
    for (int axis = 2; axis >= 1; axis--) { /* columns, then rows */
        const cn_resample map = {a->kind, a->antialias, dims[axis], p->type.dims[axis]};
        int64_t outer = dims[0] * (axis == 2 ? dims[1] : 1), inner = axis == 2 ? dims[3] : dims[2] * dims[3];
        if (a->kind == CN_RESIZE_NEAREST) {
            x = nearest(g, &map, x, axis);
        } else {
            x = cn_graph_reshape(g, x, 3, (const int64_t[]){outer, map.n, inner});
            x = cn_graph_matmul(g, weights(g, &map, p->type.dtype), x, false, false);
        }
        dims[axis] = map.m;
        if (axis == 2) x = cn_graph_reshape(g, x, 4, dims);
    }
    return cn_graph_reshape(g, x, 4, p->type.dims);
}
