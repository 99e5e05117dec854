/* The one place of shape and dtype rules: what type op gives for inputs of these types. A failure names op and shapes;
 * the caller adds the layer. */
#include <string.h>

#include "base/dtype.h"
#include "base/size.h"
#include "graph/graph.h"

typedef struct infer {
    cn_op op;
    const cn_attr* attr;
    const cn_type* const* in; /* in[i] NULL: absent */
    int n;
} infer;

int64_t cn_type_count(const cn_type* type) {
    int64_t count = 0;
    return cn_dims_count(type->dims, type->ndim, &count) ? count : INT64_MAX;
}

uint64_t cn_type_bytes(const cn_type* type) {
    uint64_t bytes;
    return cn_size_mul((uint64_t)cn_type_count(type), cornu_dtype_size(type->dtype), &bytes) ? bytes : UINT64_MAX;
}

bool cn_type_equal(const cn_type* a, const cn_type* b) {
    return a->dtype == b->dtype && a->ndim == b->ndim && memcmp(a->dims, b->dims, (size_t)a->ndim * sizeof a->dims[0]) == 0;
}

static cornu_status bad(const infer* f, const char* why) {
    char a[256] = "nothing", b[256] = "";

    if (f->n > 0 && f->in[0]) (void)cn_type_text(f->in[0], a);
    if (f->n > 1 && f->in[1]) (void)cn_type_text(f->in[1], b);
    return CN_FAIL(BAD_ARGUMENT, "%s of %s%s%s: %s", cn_op_info_of(f->op)->name, a, b[0] ? " and " : "", b, why);
}

cornu_status cn_broadcast_dims(const cn_type* a, const cn_type* b, cn_type* out) {
    cn_type r = {.dtype = a->dtype, .ndim = a->ndim > b->ndim ? a->ndim : b->ndim};
    char ta[256], tb[256];

    for (int i = 0; i < r.ndim; i++) {
        int ia = i - (r.ndim - a->ndim), ib = i - (r.ndim - b->ndim);
        int64_t da = ia < 0 ? 1 : a->dims[ia], db = ib < 0 ? 1 : b->dims[ib];
        if (da != db && da != 1 && db != 1) {
            return CN_FAIL(BAD_ARGUMENT, "shapes %s and %s cannot be broadcast together", cn_type_text(a, ta), cn_type_text(b, tb));
        }
        r.dims[i] = da == 1 ? db : da;
    }
    *out = r;
    return CORNU_OK;
}

static bool in_domain(const char* domains, cornu_dtype dtype) {
    cn_dtype_kind kind = cn_dtype_kind_of(dtype);
    if (kind == CN_KIND_U) kind = CN_KIND_I;
    return kind != CN_KIND_NONE && strchr(domains, (char)kind) != NULL;
}

static cornu_status infer_ew(const infer* f, cn_type* out) {
    const cn_ew_info* info = cn_ew_info_of(f->attr->ew.fn);
    const cn_type* first = f->in[info->arity == 3 ? 1 : 0];

    if (f->n != info->arity) return bad(f, "the function takes another number of inputs");
    *out = *f->in[0];
    for (int i = 1; i < f->n; i++) CN_TRY(cn_broadcast_dims(out, f->in[i], out));
    for (int i = info->arity == 3 ? 2 : 1; i < f->n; i++) {
        if (f->in[i]->dtype != first->dtype) return bad(f, "the inputs differ in dtype");
    }
    if (info->arity == 3 && f->in[0]->dtype != CORNU_BOOL) return bad(f, "the condition must be bool");
    if (!in_domain(info->domains, first->dtype)) {
        return CN_FAIL(BAD_ARGUMENT, "%s of dtype %s is not defined", info->name, cornu_dtype_name(first->dtype));
    }
    out->dtype = info->bool_result ? CORNU_BOOL : first->dtype;
    return CORNU_OK;
}

static cornu_status infer_reshape(const infer* f, cn_type* out) {
    *out = (cn_type){.dtype = f->in[0]->dtype, .ndim = f->attr->shape.ndim};
    memcpy(out->dims, f->attr->shape.dims, sizeof out->dims);
    return cn_type_count(out) == cn_type_count(f->in[0]) ? CORNU_OK : bad(f, "the number of elements would change");
}

static cornu_status infer_broadcast(const infer* f, cn_type* out) {
    cn_type target = {.dtype = f->in[0]->dtype, .ndim = f->attr->shape.ndim};

    memcpy(target.dims, f->attr->shape.dims, sizeof target.dims);
    CN_TRY(cn_broadcast_dims(f->in[0], &target, out));
    return cn_type_equal(out, &target) ? CORNU_OK : bad(f, "it does not broadcast to that shape");
}

static cornu_status infer_transpose(const infer* f, cn_type* out) {
    uint32_t seen = 0;

    *out = *f->in[0];
    for (int i = 0; i < out->ndim; i++) {
        int from = f->attr->perm.perm[i];
        if (from < 0 || from >= out->ndim || (seen >> from & 1)) return bad(f, "perm is no permutation of its axes");
        seen |= 1u << from;
        out->dims[i] = f->in[0]->dims[from];
    }
    return CORNU_OK;
}

static cornu_status infer_concat(const infer* f, cn_type* out) {
    int axis = f->attr->axis.axis;

    *out = *f->in[0];
    if (axis < 0 || axis >= out->ndim) return bad(f, "the axis is not one of its axes");
    for (int k = 1; k < f->n; k++) {
        const cn_type* t = f->in[k];
        if (t->dtype != out->dtype || t->ndim != out->ndim) return bad(f, "all inputs must have one rank and dtype");
        for (int i = 0; i < out->ndim; i++) {
            if (i != axis && t->dims[i] != out->dims[i]) return bad(f, "all dimensions but that of the axis must be equal");
        }
        if (!cn_size_add((uint64_t)out->dims[axis], (uint64_t)t->dims[axis], (uint64_t*)&out->dims[axis])) return bad(f, "too large");
    }
    return CORNU_OK;
}

static cornu_status infer_slice(const infer* f, cn_type* out) {
    const cn_slice_attr* a = &f->attr->slice;

    *out = *f->in[0];
    for (int i = 0; i < out->ndim; i++) {
        int64_t n = out->dims[i], last = a->begin[i] + (a->dims[i] - 1) * a->step[i];
        if (a->dims[i] < 0 || a->step[i] == 0) return bad(f, "a step of 0 or a negative size");
        if (a->dims[i] > 0 && (a->begin[i] < 0 || a->begin[i] >= n || last < 0 || last >= n)) return bad(f, "it reaches outside");
        out->dims[i] = a->dims[i];
    }
    return CORNU_OK;
}

static cornu_status infer_pad(const infer* f, cn_type* out) {
    const cn_pad_attr* a = &f->attr->pad;

    *out = *f->in[0];
    for (int i = 0; i < out->ndim; i++) {
        int64_t n = out->dims[i], most = a->mode == CN_PAD_REFLECT ? n - 1 : n;
        if (a->low[i] < 0 || a->high[i] < 0) return bad(f, "negative padding");
        if (a->mode != CN_PAD_CONSTANT && a->mode != CN_PAD_EDGE && (a->low[i] > most || a->high[i] > most)) {
            return bad(f, "more padding than there are cells to mirror");
        }
        if (__builtin_add_overflow(n, a->low[i], &n) || __builtin_add_overflow(n, a->high[i], &n)) return bad(f, "too large");
        out->dims[i] = n;
    }
    return CORNU_OK;
}

static cornu_status infer_gather(const infer* f, cn_type* out) {
    const cn_type *x = f->in[0], *indices = f->in[1];
    int axis = f->attr->gather.axis, n = 0;

    if (!cn_dtype_is_int(indices->dtype)) return bad(f, "indices must be integers");
    if (axis < 0 || axis >= x->ndim || x->ndim + indices->ndim - 1 > CORNU_MAX_DIMS) return bad(f, "wrong axis or rank");
    *out = (cn_type){.dtype = x->dtype, .ndim = x->ndim + indices->ndim - 1};
    for (int i = 0; i < axis; i++) out->dims[n++] = x->dims[i];
    for (int i = 0; i < indices->ndim; i++) out->dims[n++] = indices->dims[i];
    for (int i = axis + 1; i < x->ndim; i++) out->dims[n++] = x->dims[i];
    return CORNU_OK;
}

/* Drops, or sets to 1, the axes that a reduction goes over. */
static void reduce_dims(const cn_type* x, uint32_t axes, bool keepdims, cn_type* out) {
    *out = (cn_type){.dtype = x->dtype, .ndim = 0};
    for (int i = 0; i < x->ndim; i++) {
        if (!(axes >> i & 1)) out->dims[out->ndim++] = x->dims[i];
        else if (keepdims) out->dims[out->ndim++] = 1;
    }
}

static cornu_status infer_reduce(const infer* f, cn_type* out) {
    const cn_reduce_attr* a = &f->attr->reduce;

    if (a->axes >> f->in[0]->ndim) return bad(f, "an axis is not one of its axes");
    reduce_dims(f->in[0], a->axes, a->keepdims, out);
    if (a->kind == CN_REDUCE_ANY || a->kind == CN_REDUCE_ALL) out->dtype = CORNU_BOOL;
    else if (f->in[0]->dtype == CORNU_BOOL && a->kind != CN_REDUCE_MAX && a->kind != CN_REDUCE_MIN) {
        return bad(f, "bool must be cast first");
    }
    if ((a->kind == CN_REDUCE_MAX || a->kind == CN_REDUCE_MIN) && cn_type_count(f->in[0]) == 0 && cn_type_count(out) != 0) {
        return bad(f, "nothing has no largest element");
    }
    return cn_dtype_kind_of(f->in[0]->dtype) == CN_KIND_S ? bad(f, "strings cannot be reduced") : CORNU_OK;
}

static cornu_status infer_softmax(const infer* f, cn_type* out) {
    *out = *f->in[0];
    if (f->attr->reduce.axes >> out->ndim) return bad(f, "an axis is not one of its axes");
    return cn_dtype_is_float(out->dtype) ? CORNU_OK : bad(f, "it needs floats");
}

static cornu_status infer_arg(const infer* f, cn_type* out) {
    const cn_arg_attr* a = &f->attr->arg;

    if (a->axis < 0 || a->axis >= f->in[0]->ndim) return bad(f, "the axis is not one of its axes");
    if (f->in[0]->dims[a->axis] == 0) return bad(f, "nothing has no largest element");
    reduce_dims(f->in[0], 1u << a->axis, a->keepdims, out);
    out->dtype = CORNU_INT32;
    return CORNU_OK;
}

static cornu_status infer_matmul(const infer* f, cn_type* out) {
    const cn_matmul_attr* m = &f->attr->matmul;
    const cn_type *a = f->in[0], *b = f->in[1];
    cn_type ta, tb;
    int64_t rows, ka, kb, columns;

    if (a->ndim < 2 || b->ndim < 2 || a->dtype != b->dtype) return bad(f, "both must have one dtype and at least 2 axes");
    rows = a->dims[a->ndim - (m->transpose_a ? 1 : 2)];
    ka = a->dims[a->ndim - (m->transpose_a ? 2 : 1)];
    kb = b->dims[b->ndim - (m->transpose_b ? 1 : 2)];
    columns = b->dims[b->ndim - (m->transpose_b ? 2 : 1)];
    if (ka != kb) return bad(f, "the inner dimensions differ");
    ta = *a, tb = *b;
    ta.ndim -= 2, tb.ndim -= 2;
    CN_TRY(cn_broadcast_dims(&ta, &tb, out));
    out->dims[out->ndim++] = rows;
    out->dims[out->ndim++] = columns;
    if (!cn_dtype_is_float(a->dtype) && (m->act.fn != CN_EW_copy || (f->n > 2 && f->in[2]) || (f->n > 3 && f->in[3]))) {
        return bad(f, "bias, residual and activation need floats");
    }
    if (f->n > 2 && f->in[2] && cn_type_count(f->in[2]) != columns) return bad(f, "the bias has another length");
    if (f->n > 3 && f->in[3] && !cn_type_equal(f->in[3], out)) return bad(f, "the residual has another shape");
    return CORNU_OK;
}

/* Positions of a window of k cells, d apart, moved by s over n padded cells; 0 if it does not fit, -1 on overflow. */
static int64_t window_count(int64_t n, int64_t k, int64_t s, int64_t d, int64_t lo, int64_t hi) {
    int64_t span, room;
    if (__builtin_mul_overflow(k - 1, d, &span) || __builtin_add_overflow(n, lo, &room) ||
        __builtin_add_overflow(room, hi, &room)) {
        return -1;
    }
    room -= span + 1;
    return room < 0 ? 0 : room / s + 1;
}

static cornu_status infer_conv(const infer* f, cn_type* out) {
    const cn_conv_attr* a = &f->attr->conv;
    const cn_type *x = f->in[0], *k = f->in[1];
    int s = a->spatial;

    if (s < 1 || s > CN_MAX_SPATIAL || x->ndim != s + 2 || k->ndim != s + 2) return bad(f, "wrong rank");
    if (x->dtype != k->dtype || !cn_dtype_is_float(x->dtype)) return bad(f, "both must have one float dtype");
    if (a->groups < 1 || k->dims[s] < 1 || x->dims[s + 1] != k->dims[s] * a->groups || k->dims[s + 1] % a->groups) {
        return bad(f, "channels do not fit the kernel and the groups");
    }
    *out = (cn_type){.dtype = x->dtype, .ndim = s + 2};
    out->dims[0] = x->dims[0];
    out->dims[s + 1] = k->dims[s + 1];
    for (int i = 0; i < s; i++) {
        if (a->strides[i] < 1 || a->dilation[i] < 1 || k->dims[i] < 1) return bad(f, "strides, dilation and kernel must be positive");
        out->dims[i + 1] = window_count(x->dims[i + 1], k->dims[i], a->strides[i], a->dilation[i], a->pad_lo[i], a->pad_hi[i]);
        if (out->dims[i + 1] < 1 && x->dims[i + 1] > 0) return bad(f, "the kernel is larger than the padded input");
        if (out->dims[i + 1] < 0) out->dims[i + 1] = 0;
    }
    if (f->n > 2 && f->in[2] && cn_type_count(f->in[2]) != k->dims[s + 1]) return bad(f, "the bias has another length");
    if (f->n > 3 && f->in[3] && !cn_type_equal(f->in[3], out)) return bad(f, "the residual has another shape");
    return CORNU_OK;
}

static cornu_status infer_conv_transpose(const infer* f, cn_type* out) {
    const cn_conv_attr* a = &f->attr->conv;
    const cn_type *x = f->in[0], *k = f->in[1];
    int s = a->spatial;

    if (s < 1 || s > CN_MAX_SPATIAL || x->ndim != s + 2 || k->ndim != s + 2) return bad(f, "wrong rank");
    if (x->dtype != k->dtype || !cn_dtype_is_float(x->dtype)) return bad(f, "both must have one float dtype");
    if (a->groups != 1 || x->dims[s + 1] != k->dims[s + 1]) return bad(f, "channels do not fit the kernel");
    *out = (cn_type){.dtype = x->dtype, .ndim = s + 2};
    out->dims[0] = x->dims[0];
    out->dims[s + 1] = k->dims[s];
    for (int i = 0; i < s; i++) {
        int64_t n = x->dims[i + 1], full;
        if (a->strides[i] < 1 || a->dilation[i] < 1 || k->dims[i] < 1) return bad(f, "strides, dilation and kernel must be positive");
        if (__builtin_mul_overflow(n - 1, a->strides[i], &full) ||
            __builtin_add_overflow(full, (k->dims[i] - 1) * a->dilation[i] + 1, &full)) {
            return bad(f, "too large");
        }
        full -= a->pad_lo[i] + a->pad_hi[i];
        if (n > 0 && full < 1) return bad(f, "nothing is left of the result");
        out->dims[i + 1] = full > 0 ? full : 0;
    }
    if (f->n > 2 && f->in[2] && cn_type_count(f->in[2]) != k->dims[s]) return bad(f, "the bias has another length");
    return CORNU_OK;
}

static cornu_status infer_pool(const infer* f, cn_type* out) {
    const cn_pool_attr* a = &f->attr->pool;
    const cn_type* x = f->in[0];

    if (a->spatial < 1 || a->spatial > CN_MAX_SPATIAL || x->ndim != a->spatial + 2) return bad(f, "wrong rank");
    if (cn_dtype_kind_of(x->dtype) == CN_KIND_S) return bad(f, "strings cannot be pooled");
    *out = *x;
    for (int i = 0; i < a->spatial; i++) {
        int64_t n = x->dims[i + 1];
        if (f->op == CN_OP_adaptive_pool) {
            if (a->window[i] < 1 || n < 1) return bad(f, "the output size must be positive");
            out->dims[i + 1] = a->window[i];
            continue;
        }
        if (a->window[i] < 1 || a->strides[i] < 1) return bad(f, "window and strides must be positive");
        out->dims[i + 1] = window_count(n, a->window[i], a->strides[i], 1, a->pad_lo[i], a->pad_hi[i]);
        if (out->dims[i + 1] < 1 && n > 0) return bad(f, "the window is larger than the padded input");
    }
    return CORNU_OK;
}

static cornu_status infer_norm(const infer* f, cn_type* out) {
    const cn_norm_attr* a = &f->attr->norm;
    const cn_type* x = f->in[0];
    int64_t channels = x->ndim ? x->dims[x->ndim - 1] : 0, want = 0;

    *out = *x;
    if (!cn_dtype_is_float(x->dtype)) return bad(f, "it needs floats");
    if (f->op == CN_OP_group_norm) {
        if (x->ndim < 2 || a->groups < 1 || channels % a->groups) return bad(f, "the channels are no multiple of the groups");
        want = channels;
    } else {
        if (a->axes == 0 || a->axes >> x->ndim) return bad(f, "an axis is not one of its axes");
        want = 1;
        for (int i = 0; i < x->ndim; i++) want *= a->axes >> i & 1 ? x->dims[i] : 1;
    }
    if (f->op == CN_OP_rms_norm && f->n > 2 && f->in[2]) return bad(f, "it has no beta");
    for (int i = 1; i < f->n; i++) {
        if (!f->in[i]) continue;
        if (f->in[i]->dtype != x->dtype) return bad(f, "the inputs differ in dtype");
        if (i == 3 && (f->op == CN_OP_layer_norm || f->op == CN_OP_rms_norm)) {
            if (!cn_type_equal(f->in[i], x)) return bad(f, "the residual has another shape");
            continue;
        }
        if (cn_type_count(f->in[i]) != want) return bad(f, "a parameter has another number of elements than the axes");
    }
    return CORNU_OK;
}

static cornu_status infer_resize(const infer* f, cn_type* out) {
    *out = *f->in[0];
    if (out->ndim != 4 || !cn_dtype_is_float(out->dtype)) return bad(f, "it needs floats of [N, H, W, C]");
    if (f->attr->resize.height < 1 || f->attr->resize.width < 1 || out->dims[1] < 1 || out->dims[2] < 1) {
        return bad(f, "sizes must be positive");
    }
    out->dims[1] = f->attr->resize.height;
    out->dims[2] = f->attr->resize.width;
    return CORNU_OK;
}

int cn_rnn_gates(cn_rnn_kind kind) { return kind == CN_RNN_LSTM ? 4 : kind == CN_RNN_GRU ? 3 : 1; }

int cn_rnn_state_rows(const cn_rnn_attr* attr) {
    return attr->kind == CN_RNN_LSTM || (attr->kind == CN_RNN_GRU && !attr->reset_after) ? 2 : 1;
}

static bool is_matrix(const cn_type* t, cornu_dtype dtype, int64_t rows, int64_t columns) {
    return t->dtype == dtype && t->ndim == 2 && t->dims[0] == rows && t->dims[1] == columns;
}

static cornu_status infer_rnn(const infer* f, cn_type* out) {
    const cn_rnn_attr* a = &f->attr->rnn;
    const cn_type *z = f->in[0], *kernel = f->in[1];
    int64_t units;

    if (z->ndim != 3 || kernel->ndim != 2 || !cn_dtype_is_float(z->dtype)) return bad(f, "it needs floats of [B, T, gates U] and [U, gates U]");
    units = kernel->dims[0];
    if (!is_matrix(kernel, z->dtype, units, z->dims[2]) || z->dims[2] != units * cn_rnn_gates(a->kind)) return bad(f, "the units or dtypes differ");
    if (z->dims[1] < 1) return bad(f, "there must be a time step");
    for (int i = 2; i < f->n && i < 4; i++) {
        if (f->in[i] && !is_matrix(f->in[i], z->dtype, z->dims[0], units)) return bad(f, "a state has another shape than [B, U]");
    }
    if (f->n > 4 && f->in[4] && (f->in[4]->dtype != z->dtype || cn_type_count(f->in[4]) != z->dims[2])) return bad(f, "the recurrent bias has another length");
    if (f->n > 5 && f->in[5] && !is_matrix(f->in[5], CORNU_BOOL, z->dims[0], z->dims[1])) return bad(f, "the mask is no bool [B, T]");
    if (cn_ew_info_of(a->act.fn)->arity != 1 || cn_ew_info_of(a->gate.fn)->arity != 1) return bad(f, "an activation takes another number of inputs");
    *out = *z;
    out->dims[1] = (a->sequences ? z->dims[1] : 1) + cn_rnn_state_rows(a);
    out->dims[2] = units;
    return CORNU_OK;
}

static cornu_status infer_attention(const infer* f, cn_type* out) {
    const cn_type *q = f->in[0], *k = f->in[1], *v = f->in[2], *mask = f->n > 3 ? f->in[3] : NULL;
    cn_type scores, masked;

    if (q->ndim != 4 || k->ndim != 4 || v->ndim != 4 || !cn_dtype_is_float(q->dtype)) return bad(f, "it needs floats of [B, H, T, D]");
    if (k->dtype != q->dtype || v->dtype != q->dtype) return bad(f, "the inputs differ in dtype");
    if (k->dims[0] != q->dims[0] || v->dims[0] != q->dims[0] || k->dims[1] != v->dims[1] || k->dims[2] != v->dims[2] || k->dims[3] != q->dims[3]) {
        return bad(f, "the sizes of query, key and value do not fit each other");
    }
    if (k->dims[1] < 1 ? q->dims[1] != 0 : q->dims[1] % k->dims[1] != 0) return bad(f, "the query's heads are no multiple of the key's");
    if (k->dims[2] < 1) return bad(f, "there must be a key");
    scores = *q;
    scores.dims[3] = k->dims[2];
    if (mask) {
        if (mask->dtype != CORNU_BOOL || mask->ndim != 4) return bad(f, "the mask is no bool of rank 4");
        masked = scores;
        CN_TRY(cn_broadcast_dims(&scores, mask, &masked));
        if (!cn_type_equal(&masked, &scores)) return bad(f, "the mask does not broadcast to [B, H, Tq, Tk]");
    }
    *out = *q;
    out->dims[3] = v->dims[3];
    return CORNU_OK;
}

static cornu_status infer_source(const infer* f, cn_type* out) {
    const cn_random_attr* r = &f->attr->random;

    if (f->op == CN_OP_iota) {
        *out = (cn_type){.dtype = f->attr->iota.dtype, .ndim = 1};
        out->dims[0] = f->attr->iota.count;
        return out->dims[0] < 0 ? bad(f, "a negative count") : CORNU_OK;
    }
    *out = (cn_type){.dtype = r->dtype, .ndim = r->shape.ndim};
    memcpy(out->dims, r->shape.dims, sizeof out->dims);
    return cn_dtype_is_float(r->dtype) ? CORNU_OK : bad(f, "it makes floats");
}

static cornu_status infer_cumulative(const infer* f, cn_type* out) {
    *out = *f->in[0];
    if (f->attr->cumulative.axis < 0 || f->attr->cumulative.axis >= out->ndim) return bad(f, "the axis is not one of its axes");
    return CORNU_OK;
}

static cornu_status infer_cast(const infer* f, cn_type* out) {
    *out = *f->in[0];
    out->dtype = f->attr->cast.dtype;
    return (out->dtype == CORNU_STRING) != (f->in[0]->dtype == CORNU_STRING) ? bad(f, "strings cannot be cast") : CORNU_OK;
}

static cornu_status infer_fused(const infer* f, cn_type* out) {
    const cn_fused_attr* a = &f->attr->fused;

    *out = *f->in[0];
    if (a->count < 1 || a->count > CN_FUSED_OPS || !cn_dtype_is_float(out->dtype)) return bad(f, "it needs a program, and floats");
    for (int i = 1; i < f->n; i++) {
        if (!f->in[i] || f->in[i]->dtype != out->dtype) return bad(f, "the inputs differ in dtype");
        CN_TRY(cn_broadcast_dims(out, f->in[i], out));
    }
    for (int i = 0; i < a->count; i++) {
        const cn_ew_info* info = cn_ew_info_of(a->ops[i].act.fn);
        if (!info || info->arity > 2 || info->bool_result || !strchr(info->domains, 'F')) return bad(f, "a function that cannot be fused");
        for (int k = 0; k < 2; k++) {
            if (a->ops[i].arg[k] < 0 || a->ops[i].arg[k] >= f->n + i) return bad(f, "an operand that is not made yet");
        }
    }
    return CORNU_OK;
}

static cornu_status infer_sort(const infer* f, cn_type* out) {
    *out = *f->in[0];
    if (f->attr->sort.axis < 0 || f->attr->sort.axis >= out->ndim) return bad(f, "the axis is not one of its axes");
    if (cn_dtype_kind_of(out->dtype) == CN_KIND_S || cn_dtype_kind_of(out->dtype) == CN_KIND_C) return bad(f, "its elements have no order");
    if (f->attr->sort.indices) out->dtype = CORNU_INT32;
    return CORNU_OK;
}

static cornu_status infer_scatter(const infer* f, cn_type* out) {
    const cn_type *base = f->in[0], *indices = f->in[1], *updates = f->in[2];
    int64_t depth = indices->ndim ? indices->dims[indices->ndim - 1] : 0;
    int lead = indices->ndim - 1;

    *out = *base;
    if (!cn_dtype_is_int(indices->dtype)) return bad(f, "indices must be integers");
    if (indices->ndim < 1 || depth > base->ndim) return bad(f, "its indices have more coordinates than there are axes");
    if (updates->dtype != base->dtype || updates->ndim != lead + base->ndim - (int)depth) return bad(f, "the updates have another rank or dtype");
    for (int i = 0; i < updates->ndim; i++) {
        if (updates->dims[i] != (i < lead ? indices->dims[i] : base->dims[i - lead + (int)depth])) return bad(f, "the updates have another shape");
    }
    return CORNU_OK;
}

static cornu_status infer_linalg(const infer* f, cn_type* out) {
    const cn_linalg_attr* a = &f->attr->linalg;
    const cn_type* x = f->in[0];
    bool two = a->kind == CN_LINALG_SOLVE || a->kind == CN_LINALG_TRIANGULAR;
    bool any_shape = a->kind >= CN_LINALG_QR_Q;
    int64_t m, n, least;

    *out = *x;
    if (x->ndim < 2 || !cn_dtype_is_float(x->dtype)) return bad(f, "it needs matrices of floats");
    if (two != (f->n == 2)) return bad(f, "wrong number of inputs");
    m = x->dims[x->ndim - 2];
    n = x->dims[x->ndim - 1];
    least = m < n ? m : n;
    if (!any_shape && m != n) return bad(f, "its matrices must be square");
    if (two) {
        const cn_type* b = f->in[1];
        bool same = b->dtype == x->dtype && b->ndim == x->ndim && b->dims[b->ndim - 2] == n;
        for (int i = 0; same && i < x->ndim - 2; i++) same = b->dims[i] == x->dims[i];
        *out = *b;
        return same ? CORNU_OK : bad(f, "the right side does not fit");
    }
    switch (a->kind) {
        case CN_LINALG_DET:
        case CN_LINALG_SIGN_DET:
        case CN_LINALG_LOG_ABS_DET: out->ndim -= 2; break;
        case CN_LINALG_LU_PERM:
            out->ndim -= 1;
            out->dtype = CORNU_INT32;
            break;
        case CN_LINALG_QR_Q: out->dims[x->ndim - 1] = a->full ? m : least; break;
        case CN_LINALG_QR_R: out->dims[x->ndim - 2] = a->full ? m : least; break;
        case CN_LINALG_SINGULAR_VALUES:
            out->ndim -= 1;
            out->dims[x->ndim - 2] = least;
            break;
        case CN_LINALG_PINV:
            out->dims[x->ndim - 2] = n;
            out->dims[x->ndim - 1] = m;
            break;
        default: break;
    }
    for (int i = out->ndim; i < CORNU_MAX_DIMS; i++) out->dims[i] = 0;
    return CORNU_OK;
}

cornu_status cn_infer(cn_op op, const cn_attr* attr, const cn_type* const* in, int n, cn_type* out) {
    const infer f = {op, attr, in, n};
    const cn_op_info* info = cn_op_info_of(op);

    if (n < info->min_inputs || n > info->max_inputs) return bad(&f, "wrong number of inputs");
    switch (op) {
        case CN_OP_ew: return infer_ew(&f, out);
        case CN_OP_cast: return infer_cast(&f, out);
        case CN_OP_reshape: return infer_reshape(&f, out);
        case CN_OP_broadcast: return infer_broadcast(&f, out);
        case CN_OP_transpose: return infer_transpose(&f, out);
        case CN_OP_concat: return infer_concat(&f, out);
        case CN_OP_slice: return infer_slice(&f, out);
        case CN_OP_pad: return infer_pad(&f, out);
        case CN_OP_gather: return infer_gather(&f, out);
        case CN_OP_reduce: return infer_reduce(&f, out);
        case CN_OP_arg: return infer_arg(&f, out);
        case CN_OP_cumulative: return infer_cumulative(&f, out);
        case CN_OP_sort: return infer_sort(&f, out);
        case CN_OP_scatter: return infer_scatter(&f, out);
        case CN_OP_linalg: return infer_linalg(&f, out);
        case CN_OP_matmul: return infer_matmul(&f, out);
        case CN_OP_conv: return infer_conv(&f, out);
        case CN_OP_conv_transpose: return infer_conv_transpose(&f, out);
        case CN_OP_pool:
        case CN_OP_adaptive_pool: return infer_pool(&f, out);
        case CN_OP_resize: return infer_resize(&f, out);
        case CN_OP_softmax:
        case CN_OP_log_softmax: return infer_softmax(&f, out);
        case CN_OP_batch_norm:
        case CN_OP_layer_norm:
        case CN_OP_rms_norm:
        case CN_OP_group_norm: return infer_norm(&f, out);
        case CN_OP_fused: return infer_fused(&f, out);
        case CN_OP_rnn: return infer_rnn(&f, out);
        case CN_OP_attention: return infer_attention(&f, out);
        case CN_OP_iota:
        case CN_OP_random: return infer_source(&f, out);
        case CN_OP_input:
        case CN_OP_constant:
        case CN_OP_variable:
        case CN_OP_COUNT: break;
    }
    return bad(&f, "its type is given, not inferred");
}
