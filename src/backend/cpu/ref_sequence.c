/* The reference's recurrent layers and attention: one element after the other, sums in double. */
#include <math.h>
#include <string.h>

#include "backend/cpu/ref_ops.h"
#include "base/dtype.h"

static bool given(const cn_ref_step* s, int k) { return k < s->n && s->types[k]; }

static double load(const cn_ref_step* s, int k, int64_t i) { return cn_ref_load(s->types[k]->dtype, s->in[k], i); }

/* ---- rnn ----
 *
 * The state lives in the rows behind the outputs; a step computes its new h into the row of its output, which no gate reads, then copies it. GRU
 * without reset_after needs r h of all units before the candidate: r h stands in the output's row, z in the row of zeros behind h. */

/* One row of the batch at one step. */
typedef struct rnn_row {
    const cn_ref_step* s;
    const cn_rnn_attr* a;
    int64_t units, width; /* width: gates * units */
    int64_t z_at;         /* in input 0 */
    int64_t h_at, c_at;   /* in the result; c_at: LSTM's c, or GRU's z */
    int64_t y_at;         /* the row of the output */
} rnn_row;

static double get(const rnn_row* r, int64_t i) { return cn_ref_load(r->s->type->dtype, r->s->out, i); }
static void put(const rnn_row* r, int64_t i, double value) { cn_ref_store(r->s->type->dtype, r->s->out, i, value); }

/* Column `column` of (row at `from` of the result) times the recurrent kernel, with the recurrent bias. */
static double recurrent(const rnn_row* r, int64_t from, int64_t column) {
    double sum = given(r->s, 4) ? load(r->s, 4, column) : 0;
    for (int64_t k = 0; k < r->units; k++) sum += get(r, from + k) * load(r->s, 1, k * r->width + column);
    return sum;
}

static double input(const rnn_row* r, int gate, int64_t j) { return load(r->s, 0, r->z_at + gate * r->units + j); }

static double gate(const rnn_row* r, int number, int64_t j) {
    return cn_ref_act(&r->a->gate, input(r, number, j) + recurrent(r, r->h_at, number * r->units + j));
}

static void simple_step(const rnn_row* r) {
    for (int64_t j = 0; j < r->units; j++) put(r, r->y_at + j, cn_ref_act(&r->a->act, input(r, 0, j) + recurrent(r, r->h_at, j)));
}

static void lstm_step(const rnn_row* r) {
    for (int64_t j = 0; j < r->units; j++) {
        double i = gate(r, 0, j), f = gate(r, 1, j), o = gate(r, 3, j);
        double candidate = cn_ref_act(&r->a->act, input(r, 2, j) + recurrent(r, r->h_at, 2 * r->units + j));
        double c = f * get(r, r->c_at + j) + i * candidate;
        put(r, r->c_at + j, c);
        put(r, r->y_at + j, o * cn_ref_act(&r->a->act, c));
    }
}

static void gru_step(const rnn_row* r) {
    for (int64_t j = 0; j < r->units; j++) {
        double z = gate(r, 0, j), reset = gate(r, 1, j), h = get(r, r->h_at + j);
        if (r->a->reset_after) {
            double candidate = cn_ref_act(&r->a->act, input(r, 2, j) + reset * recurrent(r, r->h_at, 2 * r->units + j));
            put(r, r->y_at + j, z * h + (1 - z) * candidate);
        } else {
            put(r, r->c_at + j, z);
            put(r, r->y_at + j, reset * h);
        }
    }
    if (r->a->reset_after) return;
    for (int64_t j = 0; j < r->units; j++) {
        double candidate = cn_ref_act(&r->a->act, input(r, 2, j) + recurrent(r, r->y_at, 2 * r->units + j));
        double z = get(r, r->c_at + j);
        put(r, r->h_at + j, z * get(r, r->h_at + j) + (1 - z) * candidate);
    }
    for (int64_t j = 0; j < r->units; j++) put(r, r->y_at + j, get(r, r->h_at + j));
}

/* The output of a masked step: that of the step before, zeros at first or where asked for. */
static void masked_step(const rnn_row* r, int64_t step) {
    for (int64_t j = 0; j < r->units; j++) {
        bool zero = step == 0 || r->a->zero_masked;
        int64_t before = r->a->sequences ? r->y_at - r->units : r->y_at;
        put(r, r->y_at + j, zero ? 0 : get(r, before + j));
    }
}

static void rnn_row_run(rnn_row* r, int64_t b, int64_t steps) {
    const cn_ref_step* s = r->s;
    int64_t y0 = r->y_at;

    for (int64_t j = 0; j < r->units; j++) {
        put(r, r->h_at + j, given(s, 2) ? load(s, 2, b * r->units + j) : 0);
        if (r->c_at >= 0) put(r, r->c_at + j, r->a->kind == CN_RNN_LSTM && given(s, 3) ? load(s, 3, b * r->units + j) : 0);
    }
    for (int64_t t = 0; t < steps; t++) {
        int64_t from = b * steps + (r->a->backwards ? steps - 1 - t : t);
        r->z_at = from * r->width;
        r->y_at = y0 + (r->a->sequences ? t * r->units : 0);
        if (given(s, 5) && !((const uint8_t*)s->in[5])[from]) {
            masked_step(r, t);
            continue;
        }
        if (r->a->kind == CN_RNN_SIMPLE) simple_step(r);
        else if (r->a->kind == CN_RNN_LSTM) lstm_step(r);
        else gru_step(r);
        for (int64_t j = 0; j < r->units; j++) put(r, r->h_at + j, get(r, r->y_at + j));
    }
    for (int64_t j = 0; j < r->units && r->c_at >= 0 && r->a->kind == CN_RNN_GRU; j++) put(r, r->c_at + j, 0);
}

cornu_status cn_ref_rnn(const cn_ref_step* s) {
    const cn_rnn_attr* a = &s->attr->rnn;
    int64_t steps = s->types[0]->dims[1], units = s->type->dims[2], rows = s->type->dims[1];
    int64_t outputs = a->sequences ? steps : 1;

    for (int64_t b = 0; b < s->type->dims[0]; b++) {
        int64_t at = b * rows * units;
        rnn_row r = {s, a, units, s->types[0]->dims[2], 0, at + outputs * units, -1, at};
        if (cn_rnn_state_rows(a) > 1) r.c_at = r.h_at + units;
        rnn_row_run(&r, b, steps);
    }
    return CORNU_OK;
}

/* ---- attention ---- */

/* One query: offsets of its row and of its head's keys and values. */
typedef struct query {
    const cn_ref_step* s;
    int64_t b, h, i;
    int64_t q_at, k_at, v_at;
    int64_t depth; /* D */
} query;

static bool visible(const query* q, int64_t j) {
    const cn_type* m;

    if (q->s->attr->attention.causal && j > q->i) return false;
    if (!given(q->s, 3)) return true;
    m = q->s->types[3];
    return ((const uint8_t*)q->s->in[3])[(((m->dims[0] == 1 ? 0 : q->b) * m->dims[1] + (m->dims[1] == 1 ? 0 : q->h)) * m->dims[2] +
                                          (m->dims[2] == 1 ? 0 : q->i)) * m->dims[3] + (m->dims[3] == 1 ? 0 : j)] != 0;
}

static double score(const query* q, int64_t j) {
    double sum = 0;
    for (int64_t d = 0; d < q->depth; d++) sum += load(q->s, 0, q->q_at + d) * load(q->s, 1, q->k_at + j * q->depth + d);
    return sum * q->s->attr->attention.scale;
}

/* One row of the result, BLOCK elements at a time; each block computes the scores again, so that nothing must be kept. */
enum { BLOCK = 128 };

static void attend(const query* q, int64_t keys, int64_t width, int64_t out_at) {
    const cn_ref_step* s = q->s;
    double top = -INFINITY, sum[BLOCK];
    bool any = false, uniform;

    for (int64_t j = 0; j < keys; j++) {
        if (!visible(q, j)) continue;
        top = fmax(top, score(q, j));
        any = true;
    }
    uniform = !any && !s->attr->attention.zero_rows;
    for (int64_t e = 0; e < width; e += BLOCK) {
        int64_t n = width - e < BLOCK ? width - e : BLOCK;
        double norm = 0;
        memset(sum, 0, sizeof sum);
        for (int64_t j = 0; j < keys; j++) {
            double weight = uniform ? 1 : visible(q, j) ? exp(score(q, j) - top) : 0;
            norm += weight;
            for (int64_t i = 0; i < n && weight != 0; i++) sum[i] += weight * load(s, 2, q->v_at + j * width + e + i);
        }
        for (int64_t i = 0; i < n; i++) cn_ref_store(s->type->dtype, s->out, out_at + e + i, any || uniform ? sum[i] / norm : 0);
    }
}

cornu_status cn_ref_attention(const cn_ref_step* s) {
    int64_t heads = s->type->dims[1], queries = s->type->dims[2], width = s->type->dims[3];
    int64_t kv_heads = s->types[1]->dims[1], keys = s->types[1]->dims[2], depth = s->types[1]->dims[3];
    int64_t rows = s->type->dims[0] * heads * queries;

    for (int64_t r = 0; r < rows; r++) {
        query q = {.s = s, .b = r / (heads * queries), .h = r / queries % heads, .i = r % queries, .q_at = r * depth, .depth = depth};
        int64_t head = q.b * kv_heads + q.h / (heads / kv_heads);
        q.k_at = head * keys * depth;
        q.v_at = head * keys * width;
        attend(&q, keys, width, r * width);
    }
    return CORNU_OK;
}
