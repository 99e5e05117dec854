/* Reductions, softmax and norms over float32. A set of axes that stand together is a middle axis:
 *
 *     x [outer, over, inner]   y [outer, inner]
 *
 * Sums are kept in double. Other sets fall back to the reference. */
#include <math.h>
#include <string.h>

#include "backend/cpu/cpu.h"

#define CN_BLOCK 512 /* columns summed at once */

typedef struct middle {
    int64_t outer, over, inner;
    const cn_loops* loops;
    cn_reduce_kind kind;
    bool logarithm;  /* log_softmax */
    bool keep_mean;  /* rms_norm: the mean is not taken out */
    bool no_center;  /* layer_norm that only divides */
    double epsilon;
} middle;

static bool middle_of(const cn_type* t, uint32_t axes, middle* m) {
    int state = 0; /* 0 before the axes, 1 in them, 2 behind */

    m->outer = m->over = m->inner = 1;
    for (int i = 0; i < t->ndim; i++) {
        bool in = axes >> i & 1;
        if (t->dims[i] == 1) continue;
        if (in && state == 2) return false;
        if (in) state = 1;
        else if (state == 1) state = 2;
        *(state == 0 ? &m->outer : state == 1 ? &m->over : &m->inner) *= t->dims[i];
    }
    return true;
}

static cornu_status make(cn_cpu_executable* e, cn_cpu_step* step, uint32_t axes, middle** out) {
    const cn_type* x = cn_cpu_input_type(e, step->node, 0);
    middle m = {.loops = e->loops};

    *out = NULL;
    if (!cn_cpu_is_float(e, step->node) || !middle_of(x, axes, &m)) return CORNU_OK;
    *out = cn_cpu_data(e, step, sizeof m);
    if (!*out) return CN_NO_MEMORY(sizeof m);
    **out = m;
    return CORNU_OK;
}

/* ---- sum, mean, max, min ---- */

static void sum_columns(const middle* m, const float* x, float* y) {
    double sums[CN_BLOCK], scale = m->kind == CN_REDUCE_MEAN ? (double)m->over : 1;

    for (int64_t j = 0; j < m->inner; j += CN_BLOCK) {
        int64_t n = m->inner - j < CN_BLOCK ? m->inner - j : CN_BLOCK;
        memset(sums, 0, (size_t)n * sizeof sums[0]);
        for (int64_t i = 0; i < m->over; i++) m->loops->add_wide(n, x + i * m->inner + j, sums);
        for (int64_t k = 0; k < n; k++) y[j + k] = (float)(sums[k] / scale);
    }
}

static void extreme_columns(const middle* m, const float* x, float* y) {
    static const cn_act none = {CN_EW_copy, 0, 0, 0};
    cn_loop_ew fn = m->loops->ew[m->kind == CN_REDUCE_MAX ? CN_EW_max : CN_EW_min];

    memcpy(y, x, (size_t)m->inner * sizeof *y);
    for (int64_t i = 1; i < m->over; i++) fn(m->inner, y, x + i * m->inner, &none, y);
}

static cornu_status run_reduce(const cn_cpu_step* step, const cn_cpu_lane* lane) {
    const middle* m = step->data;
    const float* x = cn_cpu_in(step, lane, 0);
    float* y = cn_cpu_out(step, lane);
    bool sums = m->kind == CN_REDUCE_SUM || m->kind == CN_REDUCE_MEAN;

    for (int64_t o = 0; o < m->outer; o++, x += m->over * m->inner, y += m->inner) {
        if (!sums && m->inner == 1 && m->kind == CN_REDUCE_MAX) *y = m->loops->max(m->over, x);
        else if (!sums) extreme_columns(m, x, y);
        else if (m->inner == 1) *y = (float)(m->loops->sum(m->over, x) / (m->kind == CN_REDUCE_MEAN ? (double)m->over : 1));
        else sum_columns(m, x, y);
    }
    return CORNU_OK;
}

cornu_status cn_cpu_prepare_reduce(cn_cpu_executable* e, cn_cpu_step* step) {
    const cn_reduce_attr* a = &step->node->attr.reduce;
    middle* m;

    if (a->kind != CN_REDUCE_SUM && a->kind != CN_REDUCE_MEAN && a->kind != CN_REDUCE_MAX && a->kind != CN_REDUCE_MIN) return CORNU_OK;
    CN_TRY(make(e, step, a->axes, &m));
    if (!m) return CORNU_OK;
    m->kind = a->kind;
    step->run = run_reduce;
    return CORNU_OK;
}

/* ---- softmax ---- */

static void softmax_row(const middle* m, const float* x, float* y) {
    float top = m->loops->max(m->over, x);
    double sum = m->loops->exp_minus(m->over, x, top, y);

    if (!m->logarithm) m->loops->scale(m->over, (float)(1 / sum), y, y);
    else {
        double shift = (double)top + log(sum);
        for (int64_t i = 0; i < m->over; i++) y[i] = (float)((double)x[i] - shift);
    }
}

/* inner > 1: one column after the other, gathered into scratch. */
static cornu_status run_softmax(const cn_cpu_step* step, const cn_cpu_lane* lane) {
    const middle* m = step->data;
    const float* x = cn_cpu_in(step, lane, 0);
    float* y = cn_cpu_out(step, lane);
    float *in = lane->scratch, *out = lane->scratch + m->over;

    for (int64_t o = 0; o < m->outer; o++, x += m->over * m->inner, y += m->over * m->inner) {
        if (m->inner == 1) softmax_row(m, x, y);
        for (int64_t j = 0; m->inner > 1 && j < m->inner; j++) {
            for (int64_t i = 0; i < m->over; i++) in[i] = x[i * m->inner + j];
            softmax_row(m, in, out);
            for (int64_t i = 0; i < m->over; i++) y[i * m->inner + j] = out[i];
        }
    }
    return CORNU_OK;
}

cornu_status cn_cpu_prepare_softmax(cn_cpu_executable* e, cn_cpu_step* step) {
    middle* m;

    CN_TRY(make(e, step, step->node->attr.reduce.axes, &m));
    if (!m) return CORNU_OK;
    m->logarithm = step->node->op == CN_OP_log_softmax;
    if (m->inner > 1) cn_cpu_need_scratch(e, (uint64_t)m->over * 2 * sizeof(float));
    step->run = run_softmax;
    return CORNU_OK;
}

/* ---- layer_norm, rms_norm over the last axes ---- */

static void norm_row(const middle* m, const float* x, const float* gamma, const float* beta, float* y) {
    float mean = m->keep_mean ? 0.0f : (float)(m->loops->sum(m->over, x) / (double)m->over);
    double square = m->loops->sum_squares(m->over, x, mean) / (double)m->over;

    m->loops->normalise(m->over, x, m->no_center ? 0.0f : mean, (float)(1 / sqrt(square + m->epsilon)), gamma, beta, y);
}

static cornu_status run_norm(const cn_cpu_step* step, const cn_cpu_lane* lane) {
    static const cn_act none = {CN_EW_copy, 0, 0, 0};
    const middle* m = step->data;
    const float *x = cn_cpu_in(step, lane, 0), *gamma = cn_cpu_in(step, lane, 1), *beta = cn_cpu_in(step, lane, 2);
    const float* residual = cn_cpu_in(step, lane, 3);
    float* y = cn_cpu_out(step, lane);

    for (int64_t o = 0; o < m->outer; o++, x += m->over, y += m->over) {
        if (residual)
            m->loops->ew[CN_EW_add](m->over, x, residual + o * m->over, &none, y); /* the row stays in the cache */
        norm_row(m, residual ? y : x, gamma, beta, y);
    }
    return CORNU_OK;
}

cornu_status cn_cpu_prepare_norm(cn_cpu_executable* e, cn_cpu_step* step) {
    const cn_norm_attr* a = &step->node->attr.norm;
    middle* m;

    CN_TRY(make(e, step, a->axes, &m));
    if (!m || m->inner != 1) return CORNU_OK;
    m->epsilon = a->epsilon;
    m->keep_mean = step->node->op == CN_OP_rms_norm;
    m->no_center = a->no_center;
    step->run = run_norm;
    return CORNU_OK;
}

/* ---- group_norm: mean and variance over all cells of a few channels ---- */

typedef struct groups {
    const cn_loops* loops;
    int64_t images, cells, groups, each; /* each: channels of a group */
    double epsilon;
} groups;

static cornu_status run_groups(const cn_cpu_step* step, const cn_cpu_lane* lane) {
    const groups* n = step->data;
    const float *x = cn_cpu_in(step, lane, 0), *gamma = cn_cpu_in(step, lane, 1), *beta = cn_cpu_in(step, lane, 2);
    float* y = cn_cpu_out(step, lane);
    int64_t channels = n->groups * n->each;
    double count = (double)(n->cells * n->each);

    for (int64_t i = 0; i < n->images * n->groups; i++) {
        int64_t first = i % n->groups * n->each, base = i / n->groups * n->cells * channels + first;
        double sum = 0, square = 0;
        float mean, scale;
        for (int64_t c = 0; c < n->cells; c++) sum += n->loops->sum(n->each, x + base + c * channels);
        mean = (float)(sum / count);
        for (int64_t c = 0; c < n->cells; c++) square += n->loops->sum_squares(n->each, x + base + c * channels, mean);
        scale = (float)(1 / sqrt(square / count + n->epsilon));
        for (int64_t c = 0; c < n->cells; c++) {
            n->loops->normalise(n->each, x + base + c * channels, mean, scale, gamma ? gamma + first : NULL, beta ? beta + first : NULL, y + base + c * channels);
        }
    }
    return CORNU_OK;
}

cornu_status cn_cpu_prepare_group_norm(cn_cpu_executable* e, cn_cpu_step* step) {
    const cn_type* x = cn_cpu_input_type(e, step->node, 0);
    const cn_norm_attr* a = &step->node->attr.norm;
    int64_t channels = x->dims[x->ndim - 1];
    groups* n;

    if (!cn_cpu_is_float(e, step->node)) return CORNU_OK;
    n = cn_cpu_data(e, step, sizeof *n);
    if (!n) return CN_NO_MEMORY(sizeof *n);
    *n = (groups){e->loops, x->dims[0], cn_type_count(x) / (x->dims[0] * channels), a->groups, channels / a->groups, a->epsilon};
    step->run = run_groups;
    return CORNU_OK;
}
