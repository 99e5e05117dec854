/* Decompositions of norms, softmax, epilogues, elementwise programs, running sums and index of the largest. */
#include <string.h>

#include "base/dtype.h"
#include "graph/decompose_parts.h"

cn_id cn_parts_affine(cn_graph* g, double p, double q, cn_id x) { return cn_graph_act(g, (cn_act){CN_EW_affine, p, q, 0}, x); }

cn_id cn_parts_epilogue(cn_parts* p, cn_id x, const cn_act* act) {
    const cn_id bias = cn_parts_in(p, 2), residual = cn_parts_in(p, 3);
    int64_t columns = p->type.dims[p->type.ndim - 1];

    if (bias != CN_NONE) x = cn_graph_ew2(p->g, CN_EW_add, x, cn_graph_reshape(p->g, bias, 1, &columns));
    if (residual != CN_NONE) x = cn_graph_ew2(p->g, CN_EW_add, x, residual);
    return cn_graph_act(p->g, *act, x);
}

cn_id cn_parts_matmul(cn_parts* p) {
    const cn_matmul_attr* m = &p->attr->matmul;
    return cn_parts_epilogue(p, cn_graph_matmul(p->g, p->in[0], p->in[1], m->transpose_a, m->transpose_b), &m->act);
}

cn_id cn_parts_softmax(cn_parts* p) {
    cn_graph* g = p->g;
    uint32_t axes = p->attr->reduce.axes;
    cn_id x = cn_graph_ew2(g, CN_EW_sub, p->in[0], cn_graph_reduce(g, p->in[0], CN_REDUCE_MAX, axes, true));
    cn_id powers = cn_graph_ew1(g, CN_EW_exp, x), sum = cn_graph_reduce(g, powers, CN_REDUCE_SUM, axes, true);

    if (p->op == CN_OP_softmax) return cn_graph_ew2(g, CN_EW_div, powers, sum);
    return cn_graph_ew2(g, CN_EW_sub, x, cn_graph_ew1(g, CN_EW_log, sum));
}

/* ---- norms ---- */

/* x scale gamma + beta, the parameters reshaped to `ndim` dims that broadcast to x. */
static cn_id scale_and_shift(cn_parts* p, cn_id x, cn_id gamma, cn_id beta, int ndim, const int64_t* dims) {
    if (gamma != CN_NONE) x = cn_graph_ew2(p->g, CN_EW_mul, x, cn_graph_reshape(p->g, gamma, ndim, dims));
    if (beta != CN_NONE) x = cn_graph_ew2(p->g, CN_EW_add, x, cn_graph_reshape(p->g, beta, ndim, dims));
    return x;
}

/* sqrt(x + eps) */
static cn_id deviation(cn_parts* p, cn_id variance) {
    return cn_graph_ew1(p->g, CN_EW_sqrt, cn_parts_affine(p->g, 1, p->attr->norm.epsilon, variance));
}

/* The dims of the result on axes, 1 elsewhere. */
static void axes_dims(const cn_type* t, uint32_t axes, int64_t* dims) {
    for (int i = 0; i < t->ndim; i++) dims[i] = axes >> i & 1 ? t->dims[i] : 1;
}

cn_id cn_parts_batch_norm(cn_parts* p) {
    cn_graph* g = p->g;
    int64_t dims[CORNU_MAX_DIMS];
    int ndim = p->type.ndim;
    cn_id centred;

    axes_dims(&p->type, p->attr->norm.axes & (0u - p->attr->norm.axes), dims);
    centred = cn_graph_ew2(g, CN_EW_sub, p->in[0], cn_graph_reshape(g, p->in[1], ndim, dims));
    centred = cn_graph_ew2(g, CN_EW_div, centred, deviation(p, cn_graph_reshape(g, p->in[2], ndim, dims)));
    return scale_and_shift(p, centred, cn_parts_in(p, 3), cn_parts_in(p, 4), ndim, dims);
}

/* x / sqrt(mean((x - mean)^2) + eps) with the mean of x over axes; the mean is subtracted from x where centre says so. */
static cn_id normalise(cn_parts* p, cn_id x, uint32_t axes, bool about_mean, bool centre) {
    cn_graph* g = p->g;
    cn_id centred = about_mean ? cn_graph_ew2(g, CN_EW_sub, x, cn_graph_reduce(g, x, CN_REDUCE_MEAN, axes, true)) : x;
    cn_id variance = cn_graph_reduce(g, cn_graph_ew1(g, CN_EW_square, centred), CN_REDUCE_MEAN, axes, true);

    return cn_graph_ew2(g, CN_EW_div, centre ? centred : x, deviation(p, variance));
}

cn_id cn_parts_axes_norm(cn_parts* p) {
    const cn_norm_attr* a = &p->attr->norm;
    int64_t dims[CORNU_MAX_DIMS];
    const cn_id residual = cn_parts_in(p, 3);
    cn_id y = residual == CN_NONE ? p->in[0] : cn_graph_ew2(p->g, CN_EW_add, p->in[0], residual);

    y = normalise(p, y, a->axes, p->op == CN_OP_layer_norm, !a->no_center);
    axes_dims(&p->type, a->axes, dims);
    return scale_and_shift(p, y, cn_parts_in(p, 1), cn_parts_in(p, 2), p->type.ndim, dims);
}

cn_id cn_parts_group_norm(cn_parts* p) {
    const cn_type* t = &p->type;
    int64_t groups = p->attr->norm.groups, channels = t->dims[t->ndim - 1];
    int64_t split[4] = {t->dims[0], 1, groups, channels / groups};
    cn_id y;

    for (int i = 1; i < t->ndim - 1; i++) split[1] *= t->dims[i];
    y = normalise(p, cn_graph_reshape(p->g, p->in[0], 4, split), 1u << 1 | 1u << 3, true, true);
    y = cn_graph_reshape(p->g, y, t->ndim, t->dims);
    return scale_and_shift(p, y, cn_parts_in(p, 1), cn_parts_in(p, 2), 1, &channels);
}

/* ---- elementwise programs ---- */

cn_id cn_parts_fused(cn_parts* p) {
    const cn_fused_attr* a = &p->attr->fused;
    cn_id values[CN_FUSED_INPUTS + CN_FUSED_OPS];

    memcpy(values, p->in, (size_t)p->n * sizeof *values);
    for (int i = 0; i < a->count; i++) {
        const cn_fused_op* op = &a->ops[i];
        cn_id in[2] = {values[op->arg[0]], values[op->arg[1]]};
        cn_attr attr;
        memset(&attr, 0, sizeof attr);
        attr.ew = op->act;
        values[p->n + i] = cn_graph_add(p->g, CN_OP_ew, in, cn_ew_info_of(op->act.fn)->arity, &attr);
    }
    /* An input that the last function does not reach still widens the shape. */
    return cn_graph_broadcast(p->g, values[p->n + a->count - 1], p->type.ndim, p->type.dims);
}

/* ---- along one axis ---- */

cn_id cn_parts_concat(cn_graph* g, const cn_id* x, int64_t count, int axis) {
    enum { MOST = 4096 }; /* inputs of a concat */
    cn_id rows[MOST];
    int64_t n = 0;

    if (count <= MOST) return cn_graph_concat(g, x, (int)count, axis);
    for (int64_t i = 0; i < count && n < MOST; i += MOST) {
        rows[n++] = cn_graph_concat(g, x + i, (int)(count - i < MOST ? count - i : MOST), axis);
    }
    return cn_graph_concat(g, rows, (int)n, axis);
}

cn_id cn_parts_pad_axis(cn_graph* g, cn_id x, cn_type* type, int axis, int64_t low, int64_t high, double value) {
    int64_t before[CORNU_MAX_DIMS] = {0}, after[CORNU_MAX_DIMS] = {0}, from, to;

    before[axis] = low > 0 ? low : 0;
    after[axis] = high > 0 ? high : 0;
    x = cn_graph_pad(g, x, before, after, value);
    from = low < 0 ? -low : 0;
    to = type->dims[axis] + before[axis] + (high < 0 ? high : after[axis]);
    type->dims[axis] = to - from;
    return cn_graph_slice_axis(g, x, axis, from, to);
}

/* The first place of the largest: the lowest index among the elements equal to it, or among the NaN if there are any. */
cn_id cn_parts_arg(cn_parts* p) {
    const cn_arg_attr* a = &p->attr->arg;
    cn_graph* g = p->g;
    cn_id x = p->in[0], hit, index;
    int64_t n = p->types[0].dims[a->axis], dims[CORNU_MAX_DIMS];
    cn_attr iota;

    hit = cn_graph_ew2(g, CN_EW_eq, x, cn_graph_reduce(g, x, a->largest ? CN_REDUCE_MAX : CN_REDUCE_MIN, 1u << a->axis, true));
    if (cn_dtype_is_float(p->types[0].dtype)) hit = cn_graph_ew2(g, CN_EW_or, hit, cn_graph_ew1(g, CN_EW_isnan, x));
    memset(&iota, 0, sizeof iota);
    iota.iota = (cn_iota_attr){CORNU_INT32, n, 0, 1};
    axes_dims(&p->types[0], 1u << a->axis, dims);
    index = cn_graph_reshape(g, cn_graph_add(g, CN_OP_iota, NULL, 0, &iota), p->types[0].ndim, dims);
    index = cn_graph_select(g, hit, index, cn_graph_scalar(g, CORNU_INT32, (double)n));
    return cn_graph_reduce(g, index, CN_REDUCE_MIN, 1u << a->axis, a->keepdims);
}

/* y[i] takes in y[i - shift] for shift = 1, 2, 4 ...: as many rounds as n has bits. A product with a triangle of ones would let an infinity
 * reach the elements before it. */
cn_id cn_parts_cumulative(cn_parts* p) {
    const cn_cumulative_attr* a = &p->attr->cumulative;
    bool truth = p->type.dtype == CORNU_BOOL;
    cn_ew fn = a->product ? truth ? CN_EW_min : CN_EW_mul : truth ? CN_EW_max : CN_EW_add;
    cn_id y = p->in[0];

    for (int64_t shift = 1; shift < p->type.dims[a->axis]; shift *= 2) {
        cn_type type = p->type;
        y = cn_graph_ew2(p->g, fn, y, cn_parts_pad_axis(p->g, y, &type, a->axis, shift, -shift, a->product ? 1 : 0));
    }
    return y;
}
