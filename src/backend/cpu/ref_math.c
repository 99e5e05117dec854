/* The reference's products, convolutions, pools and norms: sums in double, in the order of the formula. */
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "backend/cpu/ref_ops.h"
#include "base/dtype.h"
#include "base/philox.h"

static double load(const cn_ref_step* s, int k, int64_t i) { return cn_ref_load(s->types[k]->dtype, s->in[k], i); }

static bool given(const cn_ref_step* s, int k) { return k < s->n && s->types[k]; }

/* Adds bias[channel] (input 2) and the residual (input 3), applies the activation and stores. */
static void finish(const cn_ref_step* s, const cn_act* act, int64_t at, int64_t channel, double sum) {
    if (given(s, 2)) sum += load(s, 2, channel);
    if (given(s, 3)) sum += load(s, 3, at);
    cn_ref_store(s->type->dtype, s->out, at, cn_ref_act(act, sum));
}

/* ---- matmul ---- */

/* Offset of matrix `batch` of an input whose leading dims broadcast to the result's. */
static int64_t matrix_offset(const cn_type* in, const cn_type* out, int64_t batch) {
    int64_t offset = 0, stride = in->dims[in->ndim - 1] * in->dims[in->ndim - 2];

    for (int i = out->ndim - 3, k = in->ndim - 3; i >= 0; i--, k--) {
        int64_t index = batch % out->dims[i];
        batch /= out->dims[i];
        if (k < 0) continue;
        if (in->dims[k] != 1) offset += index * stride;
        stride *= in->dims[k];
    }
    return offset;
}

static void matmul_int(const cn_ref_step* s, int64_t out_at, int64_t a_at, int64_t a_step, int64_t b_at, int64_t b_step, int64_t k) {
    uint64_t sum = 0;
    for (int64_t i = 0; i < k; i++) {
        sum += (uint64_t)cn_ref_load_int(s->types[0]->dtype, s->in[0], a_at + i * a_step) *
               (uint64_t)cn_ref_load_int(s->types[1]->dtype, s->in[1], b_at + i * b_step);
    }
    cn_ref_store_int(s->type->dtype, s->out, out_at, (int64_t)sum);
}

cornu_status cn_ref_matmul(const cn_ref_step* s) {
    const cn_matmul_attr* m = &s->attr->matmul;
    const cn_type *a = s->types[0], *b = s->types[1], *y = s->type;
    int64_t rows = y->dims[y->ndim - 2], columns = y->dims[y->ndim - 1];
    int64_t inner = a->dims[a->ndim - (m->transpose_a ? 2 : 1)];
    int64_t batches = rows && columns ? cn_type_count(y) / (rows * columns) : 0;
    int64_t a_row = m->transpose_a ? 1 : inner, a_step = m->transpose_a ? rows : 1;
    int64_t b_column = m->transpose_b ? inner : 1, b_step = m->transpose_b ? 1 : columns;
    bool floats = cn_dtype_is_float(y->dtype);

    for (int64_t n = 0; n < batches; n++) {
        int64_t a0 = matrix_offset(a, y, n), b0 = matrix_offset(b, y, n);
        for (int64_t i = 0; i < rows * columns; i++) {
            int64_t r = i / columns, c = i % columns, at = n * rows * columns + i;
            double sum = 0;
            if (!floats) {
                matmul_int(s, at, a0 + r * a_row, a_step, b0 + c * b_column, b_step, inner);
                continue;
            }
            for (int64_t k = 0; k < inner; k++) sum += load(s, 0, a0 + r * a_row + k * a_step) * load(s, 1, b0 + c * b_column + k * b_step);
            finish(s, &m->act, at, c, sum);
        }
    }
    return CORNU_OK;
}

/* ---- convolution ---- */

/* Sizes of a 1 to 3 dimensional image as three axes, the missing ones of size 1 in front. */
typedef struct space {
    int64_t n[3];
} space;

static space space_of(const int64_t* dims, int spatial, int64_t missing) {
    space s = {{missing, missing, missing}};
    for (int i = 0; i < spatial; i++) s.n[3 - spatial + i] = dims[i];
    return s;
}

static int64_t space_count(space s) { return s.n[0] * s.n[1] * s.n[2]; }

static space space_index(space s, int64_t i) {
    return (space){{i / (s.n[1] * s.n[2]), i / s.n[2] % s.n[1], i % s.n[2]}};
}

static int64_t space_offset(space s, space index) { return (index.n[0] * s.n[1] + index.n[1]) * s.n[2] + index.n[2]; }

/* The cell of x under kernel cell k at output cell o; false if it is padding. */
static bool window_cell(space o, space k, space stride, space dilation, space pad, space x, space* cell) {
    for (int d = 0; d < 3; d++) {
        cell->n[d] = o.n[d] * stride.n[d] + k.n[d] * dilation.n[d] - pad.n[d];
        if (cell->n[d] < 0 || cell->n[d] >= x.n[d]) return false;
    }
    return true;
}

cornu_status cn_ref_conv(const cn_ref_step* s) {
    const cn_conv_attr* a = &s->attr->conv;
    int sp = a->spatial;
    space x = space_of(s->types[0]->dims + 1, sp, 1), k = space_of(s->types[1]->dims, sp, 1), y = space_of(s->type->dims + 1, sp, 1);
    space stride = space_of(a->strides, sp, 1), dilation = space_of(a->dilation, sp, 1), pad = space_of(a->pad_lo, sp, 0);
    int64_t channels = s->types[0]->dims[sp + 1], per_group = s->types[1]->dims[sp], filters = s->type->dims[sp + 1];
    int64_t cells = space_count(y), filters_per_group = filters / a->groups;

    for (int64_t i = 0; i < s->type->dims[0] * cells * filters; i++) {
        int64_t f = i % filters, n = i / (cells * filters), group = f / filters_per_group;
        space o = space_index(y, i / filters % cells), cell;
        double sum = 0;
        for (int64_t kc = 0; kc < space_count(k); kc++) {
            int64_t at, w;
            if (!window_cell(o, space_index(k, kc), stride, dilation, pad, x, &cell)) continue;
            at = (n * space_count(x) + space_offset(x, cell)) * channels + group * per_group;
            w = kc * per_group * filters + f;
            for (int64_t c = 0; c < per_group; c++) sum += load(s, 0, at + c) * load(s, 1, w + c * filters);
        }
        finish(s, &a->act, i, f, sum);
    }
    return CORNU_OK;
}

/* Gathers: output cell o takes x[i] k[j] from every i, j with i stride + j dilation - pad = o. */
cornu_status cn_ref_conv_transpose(const cn_ref_step* s) {
    const cn_conv_attr* a = &s->attr->conv;
    int sp = a->spatial;
    space x = space_of(s->types[0]->dims + 1, sp, 1), k = space_of(s->types[1]->dims, sp, 1), y = space_of(s->type->dims + 1, sp, 1);
    space stride = space_of(a->strides, sp, 1), dilation = space_of(a->dilation, sp, 1), pad = space_of(a->pad_lo, sp, 0);
    int64_t channels = s->types[0]->dims[sp + 1], filters = s->type->dims[sp + 1], cells = space_count(y);

    for (int64_t i = 0; i < s->type->dims[0] * cells * filters; i++) {
        int64_t f = i % filters, n = i / (cells * filters);
        space o = space_index(y, i / filters % cells);
        double sum = 0;
        for (int64_t kc = 0; kc < space_count(k); kc++) {
            space j = space_index(k, kc), cell;
            bool inside = true;
            for (int d = 0; d < 3 && inside; d++) {
                int64_t t = o.n[d] + pad.n[d] - j.n[d] * dilation.n[d];
                cell.n[d] = t / stride.n[d];
                inside = t >= 0 && t % stride.n[d] == 0 && cell.n[d] < x.n[d];
            }
            if (!inside) continue;
            for (int64_t c = 0; c < channels; c++) {
                sum += load(s, 0, (n * space_count(x) + space_offset(x, cell)) * channels + c) * load(s, 1, (kc * filters + f) * channels + c);
            }
        }
        finish(s, &a->act, i, f, sum);
    }
    return CORNU_OK;
}

/* ---- pooling ---- */

/* [from, to) along one axis that output cell o covers, inside n cells. */
static void pool_range(const cn_ref_step* s, int axis, int64_t o, int64_t* from, int64_t* to) {
    const cn_pool_attr* a = &s->attr->pool;
    int64_t n = s->types[0]->dims[axis + 1], m = s->type->dims[axis + 1];

    if (s->op == CN_OP_adaptive_pool) {
        *from = o * n / m;
        *to = ((o + 1) * n + m - 1) / m;
        return;
    }
    *from = o * a->strides[axis] - a->pad_lo[axis];
    *to = *from + a->window[axis];
    if (*from < 0) *from = 0;
    if (*to > n) *to = n;
}

cornu_status cn_ref_pool(const cn_ref_step* s) {
    const cn_pool_attr* a = &s->attr->pool;
    int sp = a->spatial;
    space x = space_of(s->types[0]->dims + 1, sp, 1), y = space_of(s->type->dims + 1, sp, 1);
    int64_t channels = s->type->dims[sp + 1], cells = space_count(y);
    bool floats = cn_dtype_is_float(s->type->dtype);

    for (int64_t i = 0; i < s->type->dims[0] * cells * channels; i++) {
        int64_t c = i % channels, n = i / (cells * channels), from[3] = {0, 0, 0}, to[3] = {1, 1, 1}, count = 0;
        space o = space_index(y, i / channels % cells), cell;
        double sum = 0, top = -INFINITY;
        int64_t top_int = cn_ref_lowest_int(s->type->dtype), sum_int = 0;
        for (int d = 0; d < sp; d++) pool_range(s, d, o.n[3 - sp + d], &from[3 - sp + d], &to[3 - sp + d]);
        for (cell.n[0] = from[0]; cell.n[0] < to[0]; cell.n[0]++)
            for (cell.n[1] = from[1]; cell.n[1] < to[1]; cell.n[1]++)
                for (cell.n[2] = from[2]; cell.n[2] < to[2]; cell.n[2]++, count++) {
                    int64_t at = (n * space_count(x) + space_offset(x, cell)) * channels + c;
                    double v = floats ? load(s, 0, at) : 0;
                    int64_t v_int = floats ? 0 : cn_ref_load_int(s->types[0]->dtype, s->in[0], at);
                    sum += v;
                    sum_int = (int64_t)((uint64_t)sum_int + (uint64_t)v_int);
                    if (v > top || v != v) top = v;
                    if (cn_ref_less_int(s->type->dtype, top_int, v_int)) top_int = v_int;
                }
        if (floats) cn_ref_store(s->type->dtype, s->out, i, a->kind == CN_POOL_MAX ? top : sum / (double)count);
        else cn_ref_store_int(s->type->dtype, s->out, i, a->kind == CN_POOL_MAX ? top_int : cn_ref_mean_int(s->type->dtype, sum_int, count));
    }
    return CORNU_OK;
}

/* ---- norms ---- */

cornu_status cn_ref_batch_norm(const cn_ref_step* s) {
    const cn_norm_attr* a = &s->attr->norm;
    const cn_type* t = s->type;
    int axis = __builtin_ctz(a->axes);
    int64_t inner = 1, count = cn_type_count(t);

    for (int i = axis + 1; i < t->ndim; i++) inner *= t->dims[i];
    for (int64_t i = 0; i < count; i++) {
        int64_t c = i / inner % t->dims[axis];
        double y = (load(s, 0, i) - load(s, 1, c)) / sqrt(load(s, 2, c) + a->epsilon);
        if (given(s, 3)) y *= load(s, 3, c);
        if (given(s, 4)) y += load(s, 4, c);
        cn_ref_store(t->dtype, s->out, i, y);
    }
    return CORNU_OK;
}


/* Dense index of place (kept, over): the inverse of split_index. */
static int64_t join_index(const cn_type* t, uint32_t axes, int64_t kept, int64_t over) {
    int64_t at = 0, stride = 1;

    for (int d = t->ndim - 1; d >= 0; d--) {
        int64_t* from = axes >> d & 1 ? &over : &kept;
        at += *from % t->dims[d] * stride;
        *from /= t->dims[d];
        stride *= t->dims[d];
    }
    return at;
}

static int64_t axes_count(const cn_type* t, uint32_t axes) {
    int64_t n = 1;
    for (int d = 0; d < t->ndim; d++) n *= axes >> d & 1 ? t->dims[d] : 1;
    return n;
}

static double with_residual(const cn_ref_step* s, int64_t i) {
    return given(s, 3) ? load(s, 0, i) + load(s, 3, i) : load(s, 0, i);
}

cornu_status cn_ref_axes_norm(const cn_ref_step* s) {
    const cn_norm_attr* a = &s->attr->norm;
    const cn_type* t = s->type;
    int64_t over = axes_count(t, a->axes), kept = over ? cn_type_count(t) / over : 0;

    for (int64_t k = 0; k < kept; k++) {
        double mean = 0, square = 0, scale;
        for (int64_t o = 0; o < over; o++) mean += with_residual(s, join_index(t, a->axes, k, o));
        mean /= (double)over;
        if (s->op == CN_OP_rms_norm) mean = 0;
        for (int64_t o = 0; o < over; o++) {
            double d = with_residual(s, join_index(t, a->axes, k, o)) - mean;
            square += d * d;
        }
        scale = 1 / sqrt(square / (double)over + a->epsilon);
        for (int64_t o = 0; o < over; o++) {
            int64_t at = join_index(t, a->axes, k, o);
            double y = (with_residual(s, at) - (a->no_center ? 0 : mean)) * scale;
            if (given(s, 1)) y *= load(s, 1, o);
            if (given(s, 2)) y += load(s, 2, o);
            cn_ref_store(t->dtype, s->out, at, y);
        }
    }
    return CORNU_OK;
}

cornu_status cn_ref_group_norm(const cn_ref_step* s) {
    const cn_norm_attr* a = &s->attr->norm;
    const cn_type* t = s->type;
    int64_t channels = t->dims[t->ndim - 1], per_group = channels / a->groups, cells = 1;

    for (int d = 1; d < t->ndim - 1; d++) cells *= t->dims[d];
    for (int64_t g = 0; g < t->dims[0] * a->groups; g++) {
        int64_t base = g / a->groups * cells * channels + g % a->groups * per_group, count = cells * per_group;
        double mean = 0, square = 0, scale;
        for (int64_t i = 0; i < count; i++) mean += load(s, 0, base + i / per_group * channels + i % per_group);
        mean /= (double)count;
        for (int64_t i = 0; i < count; i++) {
            double d = load(s, 0, base + i / per_group * channels + i % per_group) - mean;
            square += d * d;
        }
        scale = 1 / sqrt(square / (double)count + a->epsilon);
        for (int64_t i = 0; i < count; i++) {
            int64_t at = base + i / per_group * channels + i % per_group, c = at % channels;
            double y = (load(s, 0, at) - mean) * scale;
            if (given(s, 1)) y *= load(s, 1, c);
            if (given(s, 2)) y += load(s, 2, c);
            cn_ref_store(t->dtype, s->out, at, y);
        }
    }
    return CORNU_OK;
}

/* ---- reductions ---- */

cornu_status cn_ref_softmax(const cn_ref_step* s) {
    const cn_type* t = s->type;
    uint32_t axes = s->attr->reduce.axes;
    int64_t over = axes_count(t, axes), kept = over ? cn_type_count(t) / over : 0;

    for (int64_t k = 0; k < kept; k++) {
        double top = -INFINITY, sum = 0;
        for (int64_t o = 0; o < over; o++) top = fmax(top, load(s, 0, join_index(t, axes, k, o)));
        for (int64_t o = 0; o < over; o++) sum += exp(load(s, 0, join_index(t, axes, k, o)) - top);
        for (int64_t o = 0; o < over; o++) {
            int64_t at = join_index(t, axes, k, o);
            double x = load(s, 0, at) - top;
            cn_ref_store(t->dtype, s->out, at, s->op == CN_OP_softmax ? exp(x) / sum : x - log(sum));
        }
    }
    return CORNU_OK;
}

static double fold_float(cn_reduce_kind kind, double a, double x) {
    switch (kind) {
        case CN_REDUCE_SUM:
        case CN_REDUCE_MEAN: return a + x;
        case CN_REDUCE_PROD: return a * x;
        case CN_REDUCE_MAX: return a != a || a > x ? a : x;
        case CN_REDUCE_MIN: return a != a || a < x ? a : x;
        case CN_REDUCE_ANY: return a != 0 || x != 0;
        case CN_REDUCE_ALL: return a != 0 && x != 0;
    }
    return a;
}

static int64_t fold_int(cornu_dtype dtype, cn_reduce_kind kind, int64_t a, int64_t x) {
    switch (kind) {
        case CN_REDUCE_SUM:
        case CN_REDUCE_MEAN: return (int64_t)((uint64_t)a + (uint64_t)x);
        case CN_REDUCE_PROD: return (int64_t)((uint64_t)a * (uint64_t)x);
        case CN_REDUCE_MAX: return cn_ref_less_int(dtype, a, x) ? x : a;
        case CN_REDUCE_MIN: return cn_ref_less_int(dtype, x, a) ? x : a;
        case CN_REDUCE_ANY: return a != 0 || x != 0;
        case CN_REDUCE_ALL: return a != 0 && x != 0;
    }
    return a;
}

static double start_of(cn_reduce_kind kind) {
    return kind == CN_REDUCE_PROD || kind == CN_REDUCE_ALL ? 1 : kind == CN_REDUCE_MAX ? -INFINITY : kind == CN_REDUCE_MIN ? INFINITY : 0;
}

cornu_status cn_ref_reduce(const cn_ref_step* s) {
    const cn_type* t = s->types[0];
    cn_reduce_kind kind = s->attr->reduce.kind;
    uint32_t axes = s->attr->reduce.axes;
    int64_t over = axes_count(t, axes), kept = cn_type_count(s->type);
    bool floats = cn_dtype_is_float(t->dtype);

    for (int64_t k = 0; k < kept; k++) {
        double sum = start_of(kind);
        int64_t sum_int = kind == CN_REDUCE_MAX ? cn_ref_lowest_int(t->dtype) : kind == CN_REDUCE_MIN ? cn_ref_highest_int(t->dtype) : (int64_t)sum;
        for (int64_t o = 0; o < over; o++) {
            int64_t at = join_index(t, axes, k, o);
            if (floats) sum = fold_float(kind, sum, load(s, 0, at));
            else sum_int = fold_int(t->dtype, kind, sum_int, cn_ref_load_int(t->dtype, s->in[0], at));
        }
        if (floats && kind == CN_REDUCE_MEAN) sum /= (double)over;
        if (floats && s->type->dtype != CORNU_BOOL) cn_ref_store(s->type->dtype, s->out, k, sum);
        else cn_ref_store_int(s->type->dtype, s->out, k, floats ? sum != 0 : kind == CN_REDUCE_MEAN ? cn_ref_mean_int(t->dtype, sum_int, over) : sum_int);
    }
    return CORNU_OK;
}

cornu_status cn_ref_arg(const cn_ref_step* s) {
    const cn_arg_attr* a = &s->attr->arg;
    const cn_type* t = s->types[0];
    uint32_t axes = 1u << a->axis;
    bool floats = cn_dtype_is_float(t->dtype);

    for (int64_t k = 0; k < cn_type_count(s->type); k++) {
        int64_t best = 0, best_at = join_index(t, axes, k, 0);
        for (int64_t o = 1; o < t->dims[a->axis]; o++) {
            int64_t at = join_index(t, axes, k, o);
            bool better;
            if (floats) {
                double x = load(s, 0, at), y = load(s, 0, best_at);
                better = y == y && (x != x || (a->largest ? x > y : x < y)); /* the first NaN wins */
            } else {
                int64_t x = cn_ref_load_int(t->dtype, s->in[0], at), y = cn_ref_load_int(t->dtype, s->in[0], best_at);
                better = a->largest ? cn_ref_less_int(t->dtype, y, x) : cn_ref_less_int(t->dtype, x, y);
            }
            if (better) best = o, best_at = at;
        }
        cn_ref_store_int(s->type->dtype, s->out, k, best);
    }
    return CORNU_OK;
}

cornu_status cn_ref_cumulative(const cn_ref_step* s) {
    const cn_type* t = s->type;
    uint32_t axes = 1u << s->attr->cumulative.axis;
    int64_t over = axes_count(t, axes), kept = over ? cn_type_count(t) / over : 0;
    cn_reduce_kind kind = s->attr->cumulative.product ? CN_REDUCE_PROD : CN_REDUCE_SUM;

    for (int64_t k = 0; k < kept; k++) {
        double sum = start_of(kind);
        int64_t sum_int = (int64_t)sum;
        for (int64_t o = 0; o < over; o++) {
            int64_t at = join_index(t, axes, k, o);
            if (cn_dtype_is_float(t->dtype)) {
                sum = fold_float(kind, sum, load(s, 0, at));
                cn_ref_store(t->dtype, s->out, at, sum);
            } else {
                sum_int = fold_int(t->dtype, kind, sum_int, cn_ref_load_int(t->dtype, s->in[0], at));
                cn_ref_store_int(t->dtype, s->out, at, sum_int);
            }
        }
    }
    return CORNU_OK;
}

cornu_status cn_ref_random(const cn_ref_step* s) {
    const cn_random_attr* a = &s->attr->random;

    for (int64_t i = 0; i < cn_type_count(s->type); i++) {
        uint32_t words[4];
        cn_philox_element(s->seed, s->counter, a->stream, (uint64_t)i, words);
        cn_ref_store(s->type->dtype, s->out, i, (double)(a->normal ? cn_philox_normal(words[0], words[1]) : cn_philox_uniform(words[0])));
    }
    return CORNU_OK;
}
