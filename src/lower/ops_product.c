/* Products of tensors: matmul, dot and its kin, einsum, and what is built of them. */
#include <inttypes.h>

#include "lower/ops.h"

/* Both operands as floats of the promoted dtype; *result: the dtype that Keras gives back. int8 by int8 is int32 in some of them. */
static cornu_status product_pair(cn_call* c, cn_id* x, cn_id* z, cornu_dtype* result) {
    CN_TRY(cn_op_pair(c, false, 0, x, z));
    *result = cn_op_type(c, *x)->dtype;
    *x = cn_graph_cast(c->g, *x, cn_float_of(*result));
    *z = cn_graph_cast(c->g, *z, cn_float_of(*result));
    return cn_graph_status(c->g);
}

static cornu_status lower_matmul(cn_call* c) {
    cornu_dtype result;
    bool bytes;
    cn_id x, z, y;
    int nx, nz;

    bytes = cn_op_dtype(c, cn_op_arg(c, 0, "x1")) == CORNU_INT8 && cn_op_dtype(c, cn_op_arg(c, 1, "x2")) == CORNU_INT8;
    CN_TRY(product_pair(c, &x, &z, &result));
    nx = cn_op_type(c, x)->ndim;
    nz = cn_op_type(c, z)->ndim;
    if (nx < 1 || nz < 1) return CN_FAIL(BAD_ARGUMENT, "a matmul of a scalar");
    if (nx == 1) x = cn_op_insert_axis(c, x, 0);
    if (nz == 1) z = cn_op_insert_axis(c, z, 1);
    y = cn_graph_matmul(c->g, x, z, false, false);
    if (nz == 1) y = cn_op_remove_axis(c, y, cn_op_type(c, y)->ndim - 1);
    if (nx == 1) y = cn_op_remove_axis(c, y, cn_op_type(c, y)->ndim - (nz == 1 ? 1 : 2));
    return cn_call_return(c, cn_graph_cast(c->g, y, bytes && nx > 1 && nz > 1 ? CORNU_INT32 : result));
}

static cornu_status lower_dot(cn_call* c) {
    const char* name = c->layer->class_name;
    cornu_dtype result;
    int a, b;
    cn_id x, z;

    CN_TRY(product_pair(c, &x, &z, &result));
    if (strcmp(name, "Vdot") == 0) {
        x = cn_op_flatten(c, x);
        z = cn_op_flatten(c, z);
    }
    if (cn_op_type(c, x)->ndim == 0 || cn_op_type(c, z)->ndim == 0) return cn_call_return(c, cn_graph_cast(c->g, cn_graph_ew2(c->g, CN_EW_mul, x, z), result));
    a = cn_op_type(c, x)->ndim - 1;
    b = cn_op_type(c, z)->ndim - 1;
    if (strcmp(name, "Dot") == 0 && b > 0) b--;
    return cn_call_return(c, cn_graph_cast(c->g, cn_op_tensordot(c, x, z, 1, &a, &b), result));
}

static cornu_status lower_tensordot(cn_call* c) {
    const cn_json* axes = cn_config_get(c->layer, "axes");
    cornu_dtype result;
    int a[CORNU_MAX_DIMS], b[CORNU_MAX_DIMS], n = 0;
    int64_t count = 2;
    cn_id x, z;

    CN_TRY(product_pair(c, &x, &z, &result));
    if (!axes || cn_json_int64(axes, &count)) {
        if (count < 0 || count > cn_op_type(c, x)->ndim || count > cn_op_type(c, z)->ndim) return cn_config_bad(c->layer, "axes", "as many axes as both have are allowed");
        for (n = 0; n < (int)count; n++) {
            a[n] = cn_op_type(c, x)->ndim - (int)count + n;
            b[n] = n;
        }
    } else {
        const cn_json *left = cn_json_at(axes, 0), *right = cn_json_at(axes, 1);
        n = cn_json_is(left, CN_JSON_ARRAY) ? (int)cn_json_size(left) : 1;
        if (cn_json_size(axes) != 2 || n > CORNU_MAX_DIMS || (cn_json_is(right, CN_JSON_ARRAY) ? (int)cn_json_size(right) : 1) != n) return cn_config_bad(c->layer, "axes", "two lists of one length are allowed");
        for (int i = 0; i < n; i++) {
            int64_t l, r;
            if (!cn_json_int64(cn_json_is(left, CN_JSON_ARRAY) ? cn_json_at(left, (size_t)i) : left, &l) || !cn_json_int64(cn_json_is(right, CN_JSON_ARRAY) ? cn_json_at(right, (size_t)i) : right, &r)) {
                return cn_config_bad(c->layer, "axes", "integers are allowed");
            }
            CN_TRY(cn_call_axis(c, "axes", l, cn_op_type(c, x)->ndim, &a[i]));
            CN_TRY(cn_call_axis(c, "axes", r, cn_op_type(c, z)->ndim, &b[i]));
        }
    }
    return cn_call_return(c, cn_graph_cast(c->g, cn_op_tensordot(c, x, z, n, a, b), result));
}

static cornu_status lower_outer(cn_call* c) {
    cn_id x, z;
    CN_TRY(cn_op_pair(c, false, 0, &x, &z));
    x = cn_op_insert_axis(c, cn_op_flatten(c, x), 1);
    return cn_call_return(c, cn_graph_ew2(c->g, CN_EW_mul, x, cn_op_flatten(c, z)));
}

static cornu_status lower_kron(cn_call* c) {
    cn_type tx, tz;
    int64_t dims[CORNU_MAX_DIMS], wide_x[CORNU_MAX_DIMS], wide_z[CORNU_MAX_DIMS];
    cn_id x, z;
    int n;

    CN_TRY(cn_op_pair(c, false, 0, &x, &z));
    while (cn_op_type(c, x)->ndim < cn_op_type(c, z)->ndim) x = cn_op_insert_axis(c, x, 0);
    while (cn_op_type(c, z)->ndim < cn_op_type(c, x)->ndim) z = cn_op_insert_axis(c, z, 0);
    tx = *cn_op_type(c, x);
    tz = *cn_op_type(c, z);
    n = tx.ndim;
    if (2 * n > CORNU_MAX_DIMS) return CN_FAIL(UNSUPPORTED, "kron of %d axes", n);
    for (int i = 0; i < n; i++) {
        wide_x[2 * i] = tx.dims[i];
        wide_z[2 * i + 1] = tz.dims[i];
        wide_x[2 * i + 1] = wide_z[2 * i] = 1;
        if (__builtin_mul_overflow(tx.dims[i], tz.dims[i], &dims[i])) return CN_FAIL(BAD_ARGUMENT, "kron is too large");
    }
    x = cn_graph_ew2(c->g, CN_EW_mul, cn_graph_reshape(c->g, x, 2 * n, wide_x), cn_graph_reshape(c->g, z, 2 * n, wide_z));
    return cn_call_return(c, cn_graph_reshape(c->g, x, n, dims));
}

static cn_id component(cn_call* c, cn_id x, int i) {
    int last = cn_op_type(c, x)->ndim - 1;
    return cn_op_remove_axis(c, cn_graph_slice_axis(c->g, x, last, i, i + 1), last);
}

static cornu_status lower_cross(cn_call* c) {
    int64_t sizes[2];
    int axis[3], ndim[2];
    bool one = cn_config_get(c->layer, "axis") != NULL;
    cn_id v[2], parts[3];

    CN_TRY(cn_op_pair(c, false, 0, &v[0], &v[1]));
    for (int k = 0; k < 2; k++) {
        ndim[k] = cn_op_type(c, v[k])->ndim;
        CN_TRY(cn_op_axis(c, one ? "axis" : k ? "axisb" : "axisa", -1, ndim[k], &axis[k], NULL));
        sizes[k] = cn_op_type(c, v[k])->dims[axis[k]];
        if (sizes[k] != 2 && sizes[k] != 3) return CN_FAIL(BAD_ARGUMENT, "cross of vectors that have neither 2 nor 3 elements");
        v[k] = cn_graph_move_axis(c->g, v[k], axis[k], ndim[k] - 1);
        if (sizes[k] == 2) {
            int64_t low[CORNU_MAX_DIMS] = {0}, high[CORNU_MAX_DIMS] = {0};
            high[ndim[k] - 1] = 1;
            v[k] = cn_graph_pad(c->g, v[k], low, high, 0);
        }
    }
    for (int i = 0; i < 3; i++) {
        int p = (i + 1) % 3, q = (i + 2) % 3;
        parts[i] = cn_graph_ew2(c->g, CN_EW_sub, cn_graph_ew2(c->g, CN_EW_mul, component(c, v[0], p), component(c, v[1], q)), cn_graph_ew2(c->g, CN_EW_mul, component(c, v[0], q), component(c, v[1], p)));
        if (sizes[0] + sizes[1] > 4) parts[i] = cn_op_insert_axis(c, parts[i], cn_op_type(c, parts[i])->ndim);
    }
    if (sizes[0] + sizes[1] == 4) return cn_call_return(c, parts[2]);
    v[0] = cn_graph_concat(c->g, parts, 3, cn_op_type(c, parts[0])->ndim - 1);
    CN_TRY(cn_op_axis(c, one ? "axis" : "axisc", -1, cn_op_type(c, v[0])->ndim, &axis[2], NULL));
    return cn_call_return(c, cn_graph_move_axis(c->g, v[0], cn_op_type(c, v[0])->ndim - 1, axis[2]));
}

/* ---- einsum ---- */

#define LABELS 52

/* An operand with a letter (0 to 51) for each axis. */
typedef struct term {
    cn_id x;
    int n;
    int labels[CORNU_MAX_DIMS];
} term;

static bool has(const term* t, int label) {
    for (int i = 0; i < t->n; i++) {
        if (t->labels[i] == label) return true;
    }
    return false;
}

/* Reads the letters up to a comma, an arrow or the end; "..." stands for `dots` axes, lettered from the end of the alphabet. */
static cornu_status read_term(const char** text, int ndim, term* t) {
    const char* at = *text;
    int named = 0, n = 0;

    for (const char* p = at; *p && *p != ',' && *p != '-'; p++) named += *p != '.' && *p != ' ';
    for (; *at && *at != ',' && *at != '-'; at++) {
        if (*at == ' ') continue;
        if (strncmp(at, "...", 3) == 0) {
            int dots = ndim < 0 ? t->n : ndim - named;
            for (int i = 0; i < dots && n < CORNU_MAX_DIMS; i++) t->labels[n++] = LABELS + CORNU_MAX_DIMS - dots + i;
            at += 2;
            continue;
        }
        if (n == CORNU_MAX_DIMS || !((*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z'))) return CN_FAIL(BAD_FILE, "einsum subscripts have a bad letter or too many");
        t->labels[n++] = *at >= 'a' ? *at - 'a' : *at - 'A' + 26;
    }
    t->n = n;
    *text = at;
    return ndim >= 0 && n != ndim ? CN_FAIL(BAD_ARGUMENT, "einsum subscripts name %d axes of an operand of %d", n, ndim) : CORNU_OK;
}

/* A letter twice in one operand: its diagonal. */
static cornu_status take_diagonals(cn_call* c, term* t) {
    for (int i = 0; i < t->n; i++) {
        for (int k = i + 1; k < t->n; k++) {
            cn_type type = *cn_op_type(c, t->x);
            cn_id row, column;
            if (t->labels[i] != t->labels[k]) continue;
            row = cn_op_iota_axis(c, CORNU_INT32, type.dims[i], i, type.ndim);
            column = cn_op_iota_axis(c, CORNU_INT32, type.dims[k], k, type.ndim);
            t->x = cn_graph_select(c->g, cn_graph_ew2(c->g, CN_EW_eq, row, column), t->x, cn_op_fill(c, t->x, 0));
            t->x = cn_op_sum(c, t->x, 1u << k, false);
            for (int j = k; j < t->n - 1; j++) t->labels[j] = t->labels[j + 1];
            t->n--;
            k--;
        }
    }
    return cn_graph_status(c->g);
}

static void sum_out(cn_call* c, term* t, int label) {
    for (int i = 0; i < t->n; i++) {
        if (t->labels[i] != label) continue;
        t->x = cn_op_sum(c, t->x, 1u << i, false);
        for (int j = i; j < t->n - 1; j++) t->labels[j] = t->labels[j + 1];
        t->n--;
        return;
    }
}

/* Sums over the letters of t that nothing else needs. */
static void drop_unneeded(cn_call* c, term* t, const term* others, int count, const term* out) {
    for (int i = t->n - 1; i >= 0; i--) {
        bool needed = has(out, t->labels[i]);
        for (int k = 0; k < count; k++) needed = needed || has(&others[k], t->labels[i]);
        if (!needed) sum_out(c, t, t->labels[i]);
    }
}

/* Orders t as [group 0, group 1, group 2] and joins each group into one axis. kind[i] is the group of axis i. */
static cn_id grouped(cn_call* c, const term* t, const int* kind, term* order) {
    cn_type type = *cn_op_type(c, t->x);
    int perm[CORNU_MAX_DIMS], n = 0;
    int64_t dims[3] = {1, 1, 1};

    order->n = 0;
    for (int g = 0; g < 3; g++) {
        for (int i = 0; i < t->n; i++) {
            if (kind[i] != g) continue;
            perm[n++] = i;
            dims[g] *= type.dims[i];
            order->labels[order->n++] = t->labels[i];
        }
    }
    return cn_graph_reshape(c->g, cn_graph_transpose(c->g, t->x, perm), 3, dims);
}

/* Puts the axes of b's batch and inner letters in a's order, so that both flatten alike. */
static void align(cn_call* c, const term* a, term* b) {
    int perm[CORNU_MAX_DIMS], labels[CORNU_MAX_DIMS], n = 0;

    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; pass == 0 && i < a->n; i++) {
            for (int k = 0; k < b->n; k++) {
                if (b->labels[k] == a->labels[i]) perm[n++] = k;
            }
        }
        for (int k = 0; pass == 1 && k < b->n; k++) {
            if (!has(a, b->labels[k])) perm[n++] = k;
        }
    }
    for (int i = 0; i < b->n; i++) labels[i] = b->labels[perm[i]];
    memcpy(b->labels, labels, sizeof labels);
    b->x = cn_graph_transpose(c->g, b->x, perm);
}

/* Dims of 1 that meet larger ones under a "...": broadcast to them. */
static void broadcast_shared(cn_call* c, const term* a, term* b) {
    cn_type ta = *cn_op_type(c, a->x), tb = *cn_op_type(c, b->x);
    for (int i = 0; i < a->n; i++) {
        for (int k = 0; k < b->n; k++) {
            if (a->labels[i] == b->labels[k] && tb.dims[k] == 1) tb.dims[k] = ta.dims[i];
        }
    }
    b->x = cn_graph_broadcast(c->g, b->x, tb.ndim, tb.dims);
}

/* [batch, rows, inner] [batch, inner, columns]: batch letters are in both and needed, inner ones in both alone. */
static cornu_status contract(cn_call* c, term* a, term* b, const term* others, int count, const term* out, term* result) {
    int kind_a[CORNU_MAX_DIMS], kind_b[CORNU_MAX_DIMS];
    int64_t dims[2 * CORNU_MAX_DIMS];
    term oa, ob;
    cn_type ta, tb;
    int batch = 0, n = 0;
    cn_id x, z;

    broadcast_shared(c, a, b);
    broadcast_shared(c, b, a);
    align(c, a, b);
    for (int i = 0; i < a->n; i++) {
        bool needed = has(out, a->labels[i]);
        for (int k = 0; k < count; k++) needed = needed || has(&others[k], a->labels[i]);
        kind_a[i] = !has(b, a->labels[i]) ? 1 : needed ? 0 : 2;
        batch += kind_a[i] == 0;
    }
    for (int i = 0; i < b->n; i++) {
        kind_b[i] = 2;
        for (int k = 0; k < a->n; k++) {
            if (a->labels[k] == b->labels[i]) kind_b[i] = kind_a[k] == 2 ? 1 : 0;
        }
    }
    CN_TRY(cn_graph_status(c->g));
    ta = *cn_op_type(c, a->x);
    tb = *cn_op_type(c, b->x);
    x = grouped(c, a, kind_a, &oa);
    z = grouped(c, b, kind_b, &ob);
    for (int i = 0; i < oa.n; i++) {
        for (int k = 0; k < a->n; k++) {
            if (a->labels[k] != oa.labels[i] || kind_a[k] == 2) continue;
            if (n >= CORNU_MAX_DIMS) return CN_FAIL(UNSUPPORTED, "an einsum with more than %d axes on the way", CORNU_MAX_DIMS);
            result->labels[n] = oa.labels[i];
            dims[n++] = ta.dims[k];
        }
    }
    for (int k = 0; k < b->n; k++) {
        if (kind_b[k] != 2) continue;
        if (n >= CORNU_MAX_DIMS) return CN_FAIL(UNSUPPORTED, "an einsum with more than %d axes on the way", CORNU_MAX_DIMS);
        result->labels[n] = b->labels[k];
        dims[n++] = tb.dims[k];
    }
    result->n = n;
    result->x = cn_graph_reshape(c->g, cn_graph_matmul(c->g, x, z, false, false), n, dims);
    return cn_graph_status(c->g);
}

/* Without an arrow the result has, in alphabetical order, the letters that occur once. */
static void implicit_output(const term* terms, int count, term* out) {
    out->n = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (int label = pass ? 0 : LABELS; label < (pass ? LABELS : LABELS + CORNU_MAX_DIMS); label++) {
            int letter = pass == 0 ? label : label < 26 ? label + 26 : label - 26, seen = 0; /* capitals come first */
            for (int t = 0; t < count; t++) {
                for (int i = 0; i < terms[t].n; i++) seen += terms[t].labels[i] == letter;
            }
            if ((seen == 1 || (pass == 0 && seen > 1)) && out->n < CORNU_MAX_DIMS) out->labels[out->n++] = letter;
        }
    }
}

static cornu_status finish_einsum(cn_call* c, term* t, const term* out, cornu_dtype result) {
    int perm[CORNU_MAX_DIMS];

    for (int i = 0; i < out->n; i++) {
        perm[i] = -1;
        for (int k = 0; k < t->n; k++) perm[i] = t->labels[k] == out->labels[i] ? k : perm[i];
        if (perm[i] < 0) return CN_FAIL(BAD_FILE, "einsum subscripts have a letter in the result that no operand has");
    }
    if (out->n != t->n) return CN_FAIL(UNSUPPORTED, "einsum subscripts repeat a letter of the result");
    return cn_call_return(c, cn_graph_cast(c->g, cn_graph_transpose(c->g, t->x, perm), result));
}

static cornu_status lower_einsum(cn_call* c) {
    const char* text;
    term terms[16], out = {.n = 0};
    cornu_dtype dtypes[16], result;
    int count = c->arg_count, dots = 0;

    CN_TRY(cn_config_string(c->layer, "subscripts", "", &text));
    if (count < 1 || count > 16) return CN_FAIL(UNSUPPORTED, "an einsum of %d operands", count);
    for (int i = 0; i < count; i++) {
        CN_TRY(cn_op_tensor(c, i, "", &terms[i].x));
        dtypes[i] = cn_op_type(c, terms[i].x)->dtype;
        CN_TRY(read_term(&text, cn_op_type(c, terms[i].x)->ndim, &terms[i]));
        for (int k = 0, n = 0; k < terms[i].n; k++) {
            n += terms[i].labels[k] >= LABELS;
            dots = n > dots ? n : dots;
        }
        if (*text == ',' && i + 1 < count) text++;
    }
    result = cn_result_type(dtypes, count);
    if (count == 2 && dtypes[0] == CORNU_INT8 && dtypes[1] == CORNU_INT8) result = CORNU_INT32;
    if (result == 0) return CN_FAIL(UNSUPPORTED, "operands without a common dtype");
    if (text[0] == '-' && text[1] == '>') {
        text += 2;
        out.n = dots;
        CN_TRY(read_term(&text, -1, &out));
    } else {
        implicit_output(terms, count, &out);
    }
    for (int i = 0; i < count; i++) {
        terms[i].x = cn_graph_cast(c->g, terms[i].x, cn_float_of(result));
        CN_TRY(take_diagonals(c, &terms[i]));
    }
    for (; count > 1; count--) {
        term joined = {.n = 0};
        drop_unneeded(c, &terms[0], terms + 1, count - 1, &out);
        for (int i = terms[1].n - 1; i >= 0; i--) {
            bool needed = has(&out, terms[1].labels[i]) || has(&terms[0], terms[1].labels[i]);
            for (int k = 2; k < count; k++) needed = needed || has(&terms[k], terms[1].labels[i]);
            if (!needed) sum_out(c, &terms[1], terms[1].labels[i]);
        }
        CN_TRY(contract(c, &terms[0], &terms[1], terms + 2, count - 2, &out, &joined));
        terms[0] = joined;
        memmove(&terms[1], &terms[2], (size_t)(count - 2) * sizeof terms[0]);
    }
    drop_unneeded(c, &terms[0], NULL, 0, &out);
    return finish_einsum(c, &terms[0], &out, result);
}

/* ---- built of products ---- */

static cornu_status lower_corrcoef(cn_call* c) {
    cn_id x, y, deviation;
    int64_t n;

    CN_TRY(cn_op_tensor(c, 0, "x", &x));
    x = cn_graph_cast(c->g, x, cn_float_of(cn_op_type(c, x)->dtype));
    if (cn_op_type(c, x)->ndim != 2) return CN_FAIL(UNSUPPORTED, "corrcoef of %d axes", cn_op_type(c, x)->ndim);
    n = cn_op_type(c, x)->dims[1];
    x = cn_graph_ew2(c->g, CN_EW_sub, x, cn_op_mean(c, x, 2, true));
    y = cn_op_ew(c, CN_EW_div, cn_graph_matmul(c->g, x, x, false, true), (double)(n - 1));
    deviation = cn_op_ew(c, CN_EW_div, cn_op_sum(c, cn_graph_ew1(c->g, CN_EW_square, x), 2, true), (double)(n - 1));
    deviation = cn_graph_ew1(c->g, CN_EW_sqrt, deviation);
    y = cn_graph_ew2(c->g, CN_EW_div, y, cn_graph_matmul(c->g, deviation, deviation, false, true));
    return cn_call_return(c, cn_op_ew(c, CN_EW_max, cn_op_ew(c, CN_EW_min, y, 1), -1));
}

static cornu_status lower_correlate(cn_call* c) {
    const char* mode;
    int64_t n, m, low[3] = {0}, high[3] = {0};
    cornu_dtype dtype;
    cn_attr attr;
    cn_id in[2], y;

    memset(&attr, 0, sizeof attr);
    CN_TRY(cn_config_string(c->layer, "mode", "valid", &mode));
    CN_TRY(cn_op_pair(c, false, 0, &in[0], &in[1]));
    dtype = cn_op_type(c, in[0])->dtype;
    dtype = dtype == CORNU_INT64 ? CORNU_FLOAT64 : cn_float_of(dtype);
    if (cn_op_type(c, in[0])->ndim != 1 || cn_op_type(c, in[1])->ndim != 1) return CN_FAIL(BAD_ARGUMENT, "correlate takes vectors");
    n = cn_op_type(c, in[0])->dims[0];
    m = cn_op_type(c, in[1])->dims[0];
    in[0] = cn_graph_reshape(c->g, cn_graph_cast(c->g, in[0], dtype), 3, (const int64_t[]){1, n, 1});
    in[1] = cn_graph_reshape(c->g, cn_graph_cast(c->g, in[1], dtype), 3, (const int64_t[]){m, 1, 1});
    if (strcmp(mode, "valid") != 0) low[1] = high[1] = m - 1;
    in[0] = cn_graph_pad(c->g, in[0], low, high, 0);
    attr.conv = (cn_conv_attr){.spatial = 1, .strides = {1}, .dilation = {1}, .groups = 1};
    y = cn_op_flatten(c, cn_graph_add(c->g, CN_OP_conv, in, 2, &attr));
    if (strcmp(mode, "same") == 0) {
        int64_t size = n > m ? n : m, start = (n + m - 1 - size) / 2;
        y = cn_graph_slice_axis(c->g, y, 0, start, start + size);
    }
    return cn_call_return(c, y);
}

static cornu_status lower_diff(cn_call* c) {
    int64_t n;
    int axis;
    cn_id x;

    CN_TRY(cn_op_tensor(c, 0, "a", &x));
    CN_TRY(cn_op_int(c, "n", 1, &n));
    CN_TRY(cn_op_axis(c, "axis", -1, cn_op_type(c, x)->ndim, &axis, NULL));
    for (; n > 0 && cn_graph_status(c->g) == CORNU_OK; n--) {
        int64_t size = cn_op_type(c, x)->dims[axis];
        cn_id after = cn_graph_slice_axis(c->g, x, axis, size ? 1 : 0, size), before = cn_graph_slice_axis(c->g, x, axis, 0, size ? size - 1 : 0);
        x = cn_graph_ew2(c->g, cn_op_type(c, x)->dtype == CORNU_BOOL ? CN_EW_ne : CN_EW_sub, after, before);
        if (size == 0) break;
    }
    return cn_call_return(c, x);
}

static cornu_status lower_trapezoid(cn_call* c) {
    const cn_json* x_config = cn_config_get(c->layer, "x");
    const cn_arg* places = cn_op_arg(c, 1, "x");
    double dx;
    int64_t n;
    int axis;
    cn_id y, w = CN_NONE;

    CN_TRY(cn_op_tensor(c, 0, "y", &y));
    CN_TRY(cn_op_axis(c, "axis", -1, cn_op_type(c, y)->ndim, &axis, NULL));
    CN_TRY(cn_config_double(c->layer, "dx", 1, &dx));
    if (x_config) return cn_config_unsupported(c->layer, "x", "null is possible");
    y = cn_graph_cast(c->g, y, cn_float_of(cn_op_type(c, y)->dtype));
    n = cn_op_type(c, y)->dims[axis];
    if (cn_op_given(places)) {
        CN_TRY(cn_op_convert(c, places, cn_op_type(c, y)->dtype, &w));
        if (cn_op_type(c, w)->ndim != 1 || axis != cn_op_type(c, y)->ndim - 1) return CN_FAIL(UNSUPPORTED, "places that are no vector along the last axis");
        w = cn_graph_ew2(c->g, CN_EW_sub, cn_graph_slice_axis(c->g, w, 0, 1, n), cn_graph_slice_axis(c->g, w, 0, 0, n - 1));
    }
    y = cn_graph_ew2(c->g, CN_EW_add, cn_graph_slice_axis(c->g, y, axis, n ? 1 : 0, n), cn_graph_slice_axis(c->g, y, axis, 0, n ? n - 1 : 0));
    y = cn_op_ew(c, CN_EW_mul, y, 0.5);
    y = w == CN_NONE ? cn_op_ew(c, CN_EW_mul, y, dx) : cn_graph_ew2(c->g, CN_EW_mul, y, w);
    return cn_call_return(c, cn_op_sum(c, y, 1u << axis, false));
}

static cornu_status lower_vander(cn_call* c) {
    int64_t n;
    bool increasing;
    cornu_dtype dtype;
    cn_id x, y;

    CN_TRY(cn_op_tensor(c, 0, "x", &x));
    if (cn_op_type(c, x)->ndim != 1) return CN_FAIL(BAD_ARGUMENT, "vander takes a vector");
    n = cn_op_type(c, x)->dims[0];
    if (cn_config_get(c->layer, "N")) CN_TRY(cn_op_int(c, "N", n, &n));
    CN_TRY(cn_config_bool(c->layer, "increasing", false, &increasing));
    dtype = cn_op_type(c, x)->dtype;
    x = cn_op_insert_axis(c, cn_graph_cast(c->g, x, cn_result_type2(dtype, CORNU_FLOAT32)), 1);
    y = cn_op_iota(c, cn_op_type(c, x)->dtype, n, increasing ? 0 : (double)(n - 1), increasing ? 1 : -1);
    return cn_call_return(c, cn_graph_cast(c->g, cn_graph_ew2(c->g, CN_EW_pow, x, y), dtype));
}

const cn_layer_def cn_ops_product[] = {
    CN_OP_ROW("Matmul", lower_matmul),
    CN_OP_ROW("Dot", lower_dot),
    CN_OP_ROW("Vdot", lower_dot),
    CN_OP_ROW("Inner", lower_dot),
    CN_OP_ROW("Tensordot", lower_tensordot),
    CN_OP_ROW("Outer", lower_outer),
    CN_OP_ROW("Kron", lower_kron),
    CN_OP_ROW("Cross", lower_cross),
    CN_OP_ROW("Einsum", lower_einsum),
    CN_OP_ROW("Corrcoef", lower_corrcoef),
    CN_OP_ROW("Correlate", lower_correlate),
    CN_OP_ROW("Diff", lower_diff),
    CN_OP_ROW_LIMITS("Trapezoid", lower_trapezoid, "x is a vector along the last axis"),
    CN_OP_ROW("Vander", lower_vander),
    {0},
};
