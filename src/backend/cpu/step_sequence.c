/* Recurrent layers and attention over float32. Rows of the batch, or queries, go through the products CN_GEMM_ROWS at a time, so
 * that weights and keys are read once for all of them.
 *
 * rnn: the state is kept in the result's rows behind the outputs. A group computes a step of all its rows into scratch; rows whose step is
 * masked do not take it over. */
#include <math.h>
#include <string.h>

#include "backend/cpu/cpu.h"

enum { ROWS = CN_GEMM_ROWS, STRIP = CN_GEMM_COLUMNS, FEW = 3 };

/* acc[r] [columns] += x[r] [k] w [k, columns] for r < n; row r of acc is lda apart. Few rows are products of vectors. */
static void product(const cn_loops* loops, int n, int64_t k, const float* const* x, const float* w, int64_t ldw, int64_t columns, float* acc, int64_t lda) {
    const float* rows[ROWS];
    float tile[ROWS * STRIP];
    int64_t whole = n > FEW ? columns / STRIP * STRIP : 0;

    for (int r = 0; r < ROWS; r++) rows[r] = x[r < n ? r : 0];
    for (int64_t j = 0; j < whole; j += STRIP) {
        memset(tile, 0, sizeof tile);
        for (int r = 0; r < n; r++) memcpy(tile + r * STRIP, acc + r * lda + j, STRIP * sizeof *acc);
        loops->gemm(k, rows, w + j, ldw, tile);
        for (int r = 0; r < n; r++) memcpy(acc + r * lda + j, tile + r * STRIP, STRIP * sizeof *acc);
    }
    for (int r = 0; r < n && whole < columns; r++) loops->gemv(k, columns - whole, x[r], w + whole, ldw, acc + r * lda + whole);
}

static void activate(const cn_loops* loops, const cn_act* act, int64_t n, float* x) {
    if (act->fn != CN_EW_copy) loops->ew[act->fn](n, x, x, act, x);
}

/* ---- rnn ---- */

typedef struct recurrence {
    const cn_loops* loops;
    const cn_rnn_attr* a;
    int64_t batch, steps, units, width, rows, outputs; /* width: gates units; rows: of the result */
    bool usual; /* sigmoid gates, tanh */
} recurrence;

/* One step of n rows of the batch. */
typedef struct group {
    const recurrence* r;
    const float *kernel, *bias; /* recurrent; bias may be NULL */
    int n;
    const float* z[ROWS];
    float *h[ROWS], *c[ROWS]; /* in the result */
    float *gates, *fresh, *carry; /* scratch: [ROWS, width], [ROWS, units] each: the new h and c */
} group;

/* gates = z + bias + h kernel, of the first `columns` columns. */
static void sum_gates(const group* g, int64_t columns) {
    const recurrence* r = g->r;
    const float* h[ROWS];

    for (int i = 0; i < g->n; i++) {
        float* gates = g->gates + i * r->width;
        memcpy(gates, g->z[i], (size_t)r->width * sizeof *gates);
        for (int64_t j = 0; j < columns && g->bias; j++) gates[j] += g->bias[j];
        h[i] = g->h[i];
    }
    product(r->loops, g->n, r->units, h, g->kernel, r->width, columns, g->gates, r->width);
}

static void simple_step(const group* g) {
    const recurrence* r = g->r;

    sum_gates(g, r->width);
    for (int i = 0; i < g->n; i++) {
        activate(r->loops, &r->a->act, r->units, g->gates + i * r->width);
        memcpy(g->fresh + i * r->units, g->gates + i * r->width, (size_t)r->units * sizeof(float));
    }
}

static void lstm_step(const group* g) {
    const recurrence* r = g->r;
    int64_t u = r->units;

    sum_gates(g, r->width);
    for (int i = 0; i < g->n; i++) {
        float *gate = g->gates + i * r->width, *h = g->fresh + i * u, *carry = g->carry + i * u;
        const float* c = g->c[i];
        if (r->usual) {
            r->loops->lstm(u, gate, c, carry, h);
            continue;
        }
        activate(r->loops, &r->a->gate, 2 * u, gate);
        activate(r->loops, &r->a->act, u, gate + 2 * u);
        activate(r->loops, &r->a->gate, u, gate + 3 * u);
        for (int64_t j = 0; j < u; j++) h[j] = carry[j] = gate[u + j] * c[j] + gate[j] * gate[2 * u + j];
        activate(r->loops, &r->a->act, u, h);
        for (int64_t j = 0; j < u; j++) h[j] *= gate[3 * u + j];
    }
}

/* The candidate's product needs r h, or r after it: either way it is made apart from the gates'. */
static void gru_candidates(const group* g) {
    const recurrence* r = g->r;
    int64_t u = r->units;
    const float* x[ROWS];

    for (int i = 0; i < g->n; i++) {
        float *gate = g->gates + i * r->width, *inner = g->fresh + i * u, *reset_h = g->carry + i * u;
        x[i] = r->a->reset_after ? g->h[i] : reset_h;
        for (int64_t j = 0; j < u && !r->a->reset_after; j++) reset_h[j] = gate[u + j] * g->h[i][j];
        for (int64_t j = 0; j < u; j++) inner[j] = g->bias ? g->bias[2 * u + j] : 0.0f;
    }
    product(r->loops, g->n, u, x, g->kernel + 2 * u, r->width, u, g->fresh, u);
}

static void gru_step(const group* g) {
    const recurrence* r = g->r;
    int64_t u = r->units;

    sum_gates(g, 2 * u);
    if (r->usual && r->a->reset_after) {
        gru_candidates(g);
        for (int i = 0; i < g->n; i++) r->loops->gru(u, g->gates + i * r->width, g->fresh + i * u, g->h[i], g->fresh + i * u);
        return;
    }
    for (int i = 0; i < g->n; i++) activate(r->loops, &r->a->gate, 2 * u, g->gates + i * r->width);
    gru_candidates(g);
    for (int i = 0; i < g->n; i++) {
        float *gate = g->gates + i * r->width, *candidate = gate + 2 * u, *h = g->fresh + i * u;
        for (int64_t j = 0; j < u; j++) candidate[j] += r->a->reset_after ? gate[u + j] * h[j] : h[j];
        activate(r->loops, &r->a->act, u, candidate);
        for (int64_t j = 0; j < u; j++) h[j] = gate[j] * g->h[i][j] + (1.0f - gate[j]) * candidate[j];
    }
}

/* Takes over the new state of row i, or leaves it, and writes the output of step t. */
static void finish_row(const group* g, int i, int64_t t, bool counts, float* outputs) {
    const recurrence* r = g->r;
    size_t bytes = (size_t)r->units * sizeof(float);
    float* y = outputs + (r->a->sequences ? t * r->units : 0);

    if (counts) {
        memcpy(g->h[i], g->fresh + i * r->units, bytes);
        if (r->a->kind == CN_RNN_LSTM) memcpy(g->c[i], g->carry + i * r->units, bytes);
        memcpy(y, g->h[i], bytes);
    } else if (t == 0 || r->a->zero_masked) {
        memset(y, 0, bytes);
    } else if (r->a->sequences) {
        memcpy(y, y - r->units, bytes);
    }
}

static void first_state(float* to, const float* from, int64_t units) {
    if (from) memcpy(to, from, (size_t)units * sizeof *to);
    else memset(to, 0, (size_t)units * sizeof *to);
}

static cornu_status run_rnn(const cn_cpu_step* step, const cn_cpu_lane* lane) {
    const recurrence* r = step->data;
    const float *z = cn_cpu_in(step, lane, 0), *h0 = cn_cpu_in(step, lane, 2), *c0 = cn_cpu_in(step, lane, 3);
    const uint8_t* mask = cn_cpu_in(step, lane, 5);
    float* y = cn_cpu_out(step, lane);
    group g = {.r = r, .kernel = cn_cpu_in(step, lane, 1), .bias = cn_cpu_in(step, lane, 4), .gates = lane->scratch};

    g.fresh = g.gates + ROWS * r->width;
    g.carry = g.fresh + ROWS * r->units;
    for (int64_t b = 0; b < r->batch; b += ROWS) {
        g.n = (int)(r->batch - b < ROWS ? r->batch - b : ROWS);
        for (int i = 0; i < g.n; i++) {
            g.h[i] = y + ((b + i) * r->rows + r->outputs) * r->units;
            g.c[i] = g.h[i] + r->units;
            first_state(g.h[i], h0 ? h0 + (b + i) * r->units : NULL, r->units);
            if (r->rows > r->outputs + 1) first_state(g.c[i], c0 ? c0 + (b + i) * r->units : NULL, r->units);
        }
        for (int64_t t = 0; t < r->steps; t++) {
            int64_t from = r->a->backwards ? r->steps - 1 - t : t;
            for (int i = 0; i < g.n; i++) g.z[i] = z + ((b + i) * r->steps + from) * r->width;
            if (r->a->kind == CN_RNN_SIMPLE) simple_step(&g);
            else if (r->a->kind == CN_RNN_LSTM) lstm_step(&g);
            else gru_step(&g);
            for (int i = 0; i < g.n; i++) finish_row(&g, i, t, !mask || mask[(b + i) * r->steps + from], y + (b + i) * r->rows * r->units);
        }
    }
    return CORNU_OK;
}

/* Float32 in all but the mask, and nothing empty. */
static bool fits(const cn_cpu_executable* e, const cn_node* node, int mask) {
    if (cn_cpu_type(e, node)->dtype != CORNU_FLOAT32 || cn_type_count(cn_cpu_type(e, node)) == 0) return false;
    for (int k = 0; k < node->input_count; k++) {
        const cn_type* t = cn_cpu_input_type(e, node, k);
        if (t && (cn_type_count(t) == 0 || (k != mask && t->dtype != CORNU_FLOAT32))) return false;
    }
    return true;
}

cornu_status cn_cpu_prepare_rnn(cn_cpu_executable* e, cn_cpu_step* step) {
    const cn_node* node = step->node;
    const cn_rnn_attr* a = &node->attr.rnn;
    const cn_type *z = cn_cpu_input_type(e, node, 0), *y = cn_cpu_type(e, node);
    recurrence* r;

    if (!fits(e, node, 5)) return CORNU_OK;
    if ((a->act.fn != CN_EW_copy && !e->loops->ew[a->act.fn]) || (a->gate.fn != CN_EW_copy && !e->loops->ew[a->gate.fn])) return CORNU_OK;
    r = cn_cpu_data(e, step, sizeof *r);
    if (!r) return CN_NO_MEMORY(sizeof *r);
    *r = (recurrence){e->loops, a, z->dims[0], z->dims[1], y->dims[2], z->dims[2], y->dims[1], a->sequences ? z->dims[1] : 1, false};
    r->usual = a->act.fn == CN_EW_tanh && a->gate.fn == CN_EW_sigmoid;
    cn_cpu_need_scratch(e, (uint64_t)ROWS * (uint64_t)(r->width + 2 * r->units) * sizeof(float));
    step->run = run_rnn;
    return CORNU_OK;
}

/* ---- attention ---- */

typedef struct attention {
    const cn_loops* loops;
    const cn_attention_attr* a;
    int64_t batch, heads, kv_heads, queries, keys, depth, width;
    int64_t mask_steps[4]; /* elements between neighbours along each axis of the mask, 0 where it broadcasts */
} attention;

/* Scores of one query to weights that sum to the result; masks are those of the query's row. */
static double weigh(const attention* t, int64_t query, const uint8_t* mask, float* scores) {
    int64_t seen = 0;
    double sum;

    for (int64_t j = 0; j < t->keys; j++) {
        bool visible = !(t->a->causal && j > query) && (!mask || mask[j * t->mask_steps[3]]);
        scores[j] = visible ? scores[j] * (float)t->a->scale : -INFINITY;
        seen += visible;
    }
    if (seen == 0) {
        for (int64_t j = 0; j < t->keys; j++) scores[j] = t->a->zero_rows ? 0.0f : 1.0f;
        return t->a->zero_rows ? 1 : (double)t->keys;
    }
    if (seen == t->keys) return t->loops->exp_minus(t->keys, scores, t->loops->max(t->keys, scores), scores);
    sum = (double)t->loops->max(t->keys, scores);
    (void)t->loops->exp_minus(t->keys, scores, (float)sum, scores);
    for (int64_t j = 0; j < t->keys; j++) {
        if ((t->a->causal && j > query) || (mask && !mask[j * t->mask_steps[3]])) scores[j] = 0;
    }
    return t->loops->sum(t->keys, scores);
}

/* All queries of one head. keys: transposed, [depth, keys]. */
static void attend(const attention* t, const float* q, const float* keys, const float* v, const uint8_t* mask, float* scores, float* y) {
    const float* rows[ROWS];

    for (int64_t i = 0; i < t->queries; i += ROWS) {
        int n = (int)(t->queries - i < ROWS ? t->queries - i : ROWS);
        double sums[ROWS];
        for (int r = 0; r < n; r++) rows[r] = q + (i + r) * t->depth;
        memset(scores, 0, (size_t)(n * t->keys) * sizeof *scores);
        product(t->loops, n, t->depth, rows, keys, t->keys, t->keys, scores, t->keys);
        for (int r = 0; r < n; r++) {
            sums[r] = weigh(t, i + r, mask ? mask + (i + r) * t->mask_steps[2] : NULL, scores + r * t->keys);
            rows[r] = scores + r * t->keys;
        }
        memset(y + i * t->width, 0, (size_t)(n * t->width) * sizeof *y);
        product(t->loops, n, t->keys, rows, v, t->width, t->width, y + i * t->width, t->width);
        for (int r = 0; r < n; r++) t->loops->scale(t->width, (float)(1 / sums[r]), y + (i + r) * t->width, y + (i + r) * t->width);
    }
}

static cornu_status run_attention(const cn_cpu_step* step, const cn_cpu_lane* lane) {
    const attention* t = step->data;
    const float *q = cn_cpu_in(step, lane, 0), *k = cn_cpu_in(step, lane, 1), *v = cn_cpu_in(step, lane, 2);
    const uint8_t* mask = cn_cpu_in(step, lane, 3);
    float *y = cn_cpu_out(step, lane), *keys = lane->scratch, *scores = keys + t->depth * t->keys;
    int64_t last = -1;

    for (int64_t i = 0; i < t->batch * t->heads; i++) {
        int64_t b = i / t->heads, h = i % t->heads, head = b * t->kv_heads + h / (t->heads / t->kv_heads);
        const float* from = k + head * t->keys * t->depth;
        for (int64_t j = 0; j < t->keys && head != last; j++) {
            for (int64_t d = 0; d < t->depth; d++) keys[d * t->keys + j] = from[j * t->depth + d];
        }
        last = head;
        attend(t, q + i * t->queries * t->depth, keys, v + head * t->keys * t->width, mask ? mask + b * t->mask_steps[0] + h * t->mask_steps[1] : NULL,
               scores, y + i * t->queries * t->width);
    }
    return CORNU_OK;
}

cornu_status cn_cpu_prepare_attention(cn_cpu_executable* e, cn_cpu_step* step) {
    const cn_node* node = step->node;
    const cn_type *q = cn_cpu_input_type(e, node, 0), *k = cn_cpu_input_type(e, node, 1), *v = cn_cpu_input_type(e, node, 2);
    const cn_type* mask = cn_cpu_input_type(e, node, 3);
    int64_t apart = 1;
    attention* t;

    if (!fits(e, node, 3)) return CORNU_OK;
    t = cn_cpu_data(e, step, sizeof *t);
    if (!t) return CN_NO_MEMORY(sizeof *t);
    *t = (attention){.loops = e->loops, .a = &node->attr.attention, .batch = q->dims[0], .heads = q->dims[1], .kv_heads = k->dims[1],
                     .queries = q->dims[2], .keys = k->dims[2], .depth = q->dims[3], .width = v->dims[3]};
    for (int i = 3; i >= 0 && mask; i--) {
        t->mask_steps[i] = mask->dims[i] == 1 ? 0 : apart;
        apart *= mask->dims[i];
    }
    cn_cpu_need_scratch(e, (uint64_t)(t->depth * t->keys + ROWS * t->keys) * sizeof(float));
    step->run = run_attention;
    return CORNU_OK;
}
