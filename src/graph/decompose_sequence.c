/* Decompositions of recurrent layers, unrolled step by step, and of attention. */
#include <math.h>
#include <string.h>

#include "graph/decompose_parts.h"

/* ---- rnn ---- */

/* Each step adds some 20 nodes; a graph longer than this many steps would take longer to make than the layer to run. */
#define MOST_STEPS 16384

typedef struct unrolled {
    cn_parts* p;
    const cn_rnn_attr* a;
    int64_t batch, steps, units;
    cn_id bias;    /* recurrent, [gates U]; CN_NONE */
    cn_id h, c, y; /* [B, U]; c: LSTM alone; y: the output of the step before, zeros at first */
    cn_id zeros;   /* [B, U] */
} unrolled;

static cn_id columns(const unrolled* u, cn_id x, int from, int to) {
    return cn_graph_slice_axis(u->p->g, x, 1, from * u->units, to * u->units);
}

/* x times gates [from, to) of the recurrent kernel, with the bias. */
static cn_id recurrent(const unrolled* u, cn_id x, int from, int to) {
    cn_graph* g = u->p->g;
    cn_id y = cn_graph_matmul(g, x, columns(u, u->p->in[1], from, to), false, false);

    if (u->bias == CN_NONE) return y;
    return cn_graph_ew2(g, CN_EW_add, y, cn_graph_slice_axis(g, u->bias, 0, from * u->units, to * u->units));
}

static cn_id sum(const unrolled* u, cn_id x, cn_id z) { return cn_graph_ew2(u->p->g, CN_EW_add, x, z); }
static cn_id times(const unrolled* u, cn_id x, cn_id z) { return cn_graph_ew2(u->p->g, CN_EW_mul, x, z); }
static cn_id gate(const unrolled* u, cn_id x, int i) { return cn_graph_act(u->p->g, u->a->gate, columns(u, x, i, i + 1)); }

/* h after a step with projected inputs z [B, gates U]; *c of LSTM. */
static cn_id simple_step(const unrolled* u, cn_id z) { return cn_graph_act(u->p->g, u->a->act, sum(u, z, recurrent(u, u->h, 0, 1))); }

static cn_id lstm_step(const unrolled* u, cn_id z, cn_id* c) {
    cn_id all = sum(u, z, recurrent(u, u->h, 0, 4));
    cn_id candidate = cn_graph_act(u->p->g, u->a->act, columns(u, all, 2, 3));

    *c = sum(u, times(u, gate(u, all, 1), u->c), times(u, gate(u, all, 0), candidate));
    return times(u, gate(u, all, 3), cn_graph_act(u->p->g, u->a->act, *c));
}

static cn_id gru_step(const unrolled* u, cn_id z) {
    cn_graph* g = u->p->g;
    cn_id all = recurrent(u, u->h, 0, u->a->reset_after ? 3 : 2);
    cn_id gates = sum(u, columns(u, z, 0, 2), columns(u, all, 0, 2)), update = gate(u, gates, 0), reset = gate(u, gates, 1), inner;

    inner = u->a->reset_after ? times(u, reset, columns(u, all, 2, 3)) : recurrent(u, times(u, reset, u->h), 2, 3);
    inner = cn_graph_act(g, u->a->act, sum(u, columns(u, z, 2, 3), inner));
    return sum(u, times(u, update, u->h), times(u, cn_parts_affine(g, -1, 1, update), inner));
}

/* Step t in the order of computing: y, h and c become those after it. */
static void step(unrolled* u, int64_t t) {
    cn_graph* g = u->p->g;
    int64_t from = u->a->backwards ? u->steps - 1 - t : t;
    const int64_t dims[2] = {u->batch, -1};
    cn_id z = cn_graph_reshape(g, cn_graph_slice_axis(g, u->p->in[0], 1, from, from + 1), 2, dims), mask = cn_parts_in(u->p, 5);
    cn_id h, c = u->c;

    if (u->a->kind == CN_RNN_SIMPLE) h = simple_step(u, z);
    else if (u->a->kind == CN_RNN_LSTM) h = lstm_step(u, z, &c);
    else h = gru_step(u, z);
    if (mask == CN_NONE) {
        u->y = u->h = h;
        u->c = c;
        return;
    }
    mask = cn_graph_slice_axis(g, mask, 1, from, from + 1);
    u->y = cn_graph_select(g, mask, h, u->a->zero_masked ? u->zeros : u->y);
    u->h = cn_graph_select(g, mask, h, u->h);
    if (u->a->kind == CN_RNN_LSTM) u->c = cn_graph_select(g, mask, c, u->c);
}

cn_id cn_parts_rnn(cn_parts* p) {
    const cn_rnn_attr* a = &p->attr->rnn;
    cn_graph* g = p->g;
    unrolled u = {.p = p, .a = a, .batch = p->type.dims[0], .steps = p->types[0].dims[1], .units = p->type.dims[2]};
    const int64_t state[2] = {u.batch, u.units}, row[3] = {u.batch, 1, u.units};
    int64_t width = p->types[0].dims[2], n = 0;
    cn_id* rows = NULL;
    cn_id v;

    if (u.steps > MOST_STEPS) {
        return cn_graph_failed(g, CN_FAIL(UNSUPPORTED, "a recurrent layer over %lld steps cannot be unrolled, %d are allowed", (long long)u.steps, MOST_STEPS));
    }
    rows = cn_alloc_zero((size_t)u.steps + 2, sizeof *rows);
    if (!rows) return cn_graph_failed(g, CN_NO_MEMORY((size_t)u.steps * sizeof *rows));
    u.bias = cn_parts_in(p, 4) == CN_NONE ? CN_NONE : cn_graph_reshape(g, p->in[4], 1, &width);
    u.y = u.zeros = cn_graph_broadcast(g, cn_graph_scalar(g, p->type.dtype, 0), 2, state);
    u.h = cn_parts_in(p, 2) == CN_NONE ? u.zeros : p->in[2];
    u.c = cn_parts_in(p, 3) == CN_NONE || a->kind != CN_RNN_LSTM ? u.zeros : p->in[3];
    for (int64_t t = 0; t < u.steps && g->status == CORNU_OK; t++) {
        step(&u, t);
        if (a->sequences || t == u.steps - 1) rows[n++] = cn_graph_reshape(g, u.y, 3, row);
    }
    rows[n++] = cn_graph_reshape(g, u.h, 3, row);
    if (cn_rnn_state_rows(a) > 1) rows[n++] = cn_graph_reshape(g, u.c, 3, row);
    v = g->status == CORNU_OK ? cn_parts_concat(g, rows, n, 1) : CN_NONE;
    cn_free(rows);
    return v;
}

/* ---- attention ---- */

/* Numbers 0 .. n - 1 as [n, 1] or [1, n]. */
static cn_id numbers(cn_graph* g, int64_t n, bool column) {
    const int64_t dims[2] = {column ? n : 1, column ? 1 : n};
    cn_attr attr;

    memset(&attr, 0, sizeof attr);
    attr.iota = (cn_iota_attr){CORNU_INT64, n, 0, 1};
    return cn_graph_reshape(g, cn_graph_add(g, CN_OP_iota, NULL, 0, &attr), 2, dims);
}

/* bool that broadcasts to [B, H, Tq, Tk], CN_NONE where every query sees every key. */
static cn_id visible_keys(cn_parts* p) {
    cn_id mask = cn_parts_in(p, 3), causal;

    if (!p->attr->attention.causal) return mask;
    causal = cn_graph_ew2(p->g, CN_EW_ge, numbers(p->g, p->types[0].dims[2], true), numbers(p->g, p->types[1].dims[2], false));
    return mask == CN_NONE ? causal : cn_graph_ew2(p->g, CN_EW_and, mask, causal);
}

/* Heads that share keys are one axis R: [B, Hk, R, Tq, D] by [B, Hk, 1, Tk, D]. Weights are divided by their sum after the second product, as
 * the reference does. */
cn_id cn_parts_attention(cn_parts* p) {
    const cn_attention_attr* a = &p->attr->attention;
    const int64_t *q = p->types[0].dims, *k = p->types[1].dims, *v = p->types[2].dims;
    const int64_t queries[5] = {q[0], k[1], q[1] / k[1], q[2], q[3]}, keys[5] = {k[0], k[1], 1, k[2], k[3]}, values[5] = {v[0], v[1], 1, v[2], v[3]};
    const int64_t grid[4] = {q[0], q[1], q[2], k[2]}, grouped[5] = {q[0], k[1], q[1] / k[1], q[2], k[2]};
    cn_graph* g = p->g;
    cornu_dtype dtype = p->type.dtype;
    cn_id visible = visible_keys(p), any = CN_NONE, scores, weights, y;

    scores = cn_graph_matmul(g, cn_graph_reshape(g, p->in[0], 5, queries), cn_graph_reshape(g, p->in[1], 5, keys), false, true);
    scores = cn_parts_affine(g, a->scale, 0, cn_graph_reshape(g, scores, 4, grid));
    if (visible != CN_NONE) scores = cn_graph_select(g, visible, scores, cn_graph_scalar(g, dtype, -INFINITY));
    weights = cn_graph_ew1(g, CN_EW_exp, cn_graph_ew2(g, CN_EW_sub, scores, cn_graph_reduce(g, scores, CN_REDUCE_MAX, 1u << 3, true)));
    if (visible != CN_NONE) { /* where no key is seen, the difference above is NaN */
        int rank = p->g->status == CORNU_OK ? g->types[visible].ndim : 1;
        any = cn_graph_reduce(g, visible, CN_REDUCE_ANY, 1u << (rank - 1), true);
        weights = cn_graph_select(g, visible, weights, cn_graph_scalar(g, dtype, 0));
        weights = cn_graph_select(g, any, weights, cn_graph_scalar(g, dtype, 1));
    }
    y = cn_graph_matmul(g, cn_graph_reshape(g, weights, 5, grouped), cn_graph_reshape(g, p->in[2], 5, values), false, false);
    y = cn_graph_reshape(g, y, 4, p->type.dims);
    y = cn_graph_ew2(g, CN_EW_div, y, cn_graph_reduce(g, weights, CN_REDUCE_SUM, 1u << 3, true));
    return any != CN_NONE && a->zero_rows ? cn_graph_select(g, any, y, cn_graph_scalar(g, dtype, 0)) : y;
}
