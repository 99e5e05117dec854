/* Masks: comparisons of float32 that give bool, any and all of bool over the last axes, and choices between float32 by a mask whose
 * last axes are 1. Other shapes are left to the reference. */
#include <string.h>

#include "backend/cpu/cpu.h"

typedef struct masking {
    int64_t rows, inner; /* of the larger operand */
    bool second_is_one;  /* operand z is a single number */
    bool all;            /* not any */
    cn_ew fn;
} masking;

static bool same_shape(const cn_type* a, const cn_type* b) {
    if (a->ndim != b->ndim) return false;
    for (int i = 0; i < a->ndim; i++) {
        if (a->dims[i] != b->dims[i]) return false;
    }
    return true;
}

/* ---- comparisons ---- */

#define COMPARE(name, sign)                                                                       \
    static void name(int64_t n, const float* x, const float* z, int64_t step, uint8_t* y) {       \
        if (step) {                                                                               \
            for (int64_t i = 0; i < n; i++) y[i] = x[i] sign z[i];                                \
        } else {                                                                                  \
            const float number = *z;                                                              \
            for (int64_t i = 0; i < n; i++) y[i] = x[i] sign number;                              \
        }                                                                                         \
    }
COMPARE(equal, ==)
COMPARE(differ, !=)
COMPARE(less, <)
COMPARE(at_most, <=)
COMPARE(greater, >)
COMPARE(at_least, >=)

static cornu_status run_compare(const cn_cpu_step* step, const cn_cpu_lane* lane) {
    const masking* m = step->data;
    const float *x = cn_cpu_in(step, lane, 0), *z = cn_cpu_in(step, lane, 1);
    uint8_t* y = cn_cpu_out(step, lane);
    int64_t n = m->rows, apart = m->second_is_one ? 0 : 1;

    switch (m->fn) {
        case CN_EW_eq: equal(n, x, z, apart, y); break;
        case CN_EW_ne: differ(n, x, z, apart, y); break;
        case CN_EW_lt: less(n, x, z, apart, y); break;
        case CN_EW_le: at_most(n, x, z, apart, y); break;
        case CN_EW_gt: greater(n, x, z, apart, y); break;
        default: at_least(n, x, z, apart, y); break;
    }
    return CORNU_OK;
}

static bool describe_compare(const cn_cpu_executable* e, const cn_node* node, masking* m) {
    const cn_type *x = cn_cpu_input_type(e, node, 0), *z = cn_cpu_input_type(e, node, 1), *y = cn_cpu_type(e, node);

    m->fn = node->attr.ew.fn;
    if (m->fn != CN_EW_eq && m->fn != CN_EW_ne && m->fn != CN_EW_lt && m->fn != CN_EW_le && m->fn != CN_EW_gt && m->fn != CN_EW_ge) return false;
    if (x->dtype != CORNU_FLOAT32 || z->dtype != CORNU_FLOAT32 || y->dtype != CORNU_BOOL || !same_shape(x, y)) return false;
    m->second_is_one = cn_type_count(z) == 1;
    m->rows = cn_type_count(y);
    return m->second_is_one || same_shape(z, y);
}

/* ---- any, all ---- */

static cornu_status run_reduce(const cn_cpu_step* step, const cn_cpu_lane* lane) {
    const masking* m = step->data;
    const uint8_t* x = cn_cpu_in(step, lane, 0);
    uint8_t* y = cn_cpu_out(step, lane);

    for (int64_t i = 0; i < m->rows; i++, x += m->inner) {
        unsigned any = 0, none = 0;
        for (int64_t j = 0; j < m->inner; j++) any |= x[j], none |= x[j] == 0;
        y[i] = m->all ? !none : any != 0;
    }
    return CORNU_OK;
}

static bool describe_reduce(const cn_cpu_executable* e, const cn_node* node, masking* m) {
    const cn_reduce_attr* a = &node->attr.reduce;
    const cn_type* x = cn_cpu_input_type(e, node, 0);
    bool behind = false; /* an axis that is reduced */

    if ((a->kind != CN_REDUCE_ANY && a->kind != CN_REDUCE_ALL) || x->dtype != CORNU_BOOL) return false;
    m->all = a->kind == CN_REDUCE_ALL;
    m->rows = m->inner = 1;
    for (int i = 0; i < x->ndim; i++) {
        bool in = a->axes >> i & 1;
        if (behind && !in) return false;
        behind = in;
        *(in ? &m->inner : &m->rows) *= x->dims[i];
    }
    return true;
}

/* ---- select ---- */

static cornu_status run_select(const cn_cpu_step* step, const cn_cpu_lane* lane) {
    const masking* m = step->data;
    const uint8_t* mask = cn_cpu_in(step, lane, 0);
    const float *x = cn_cpu_in(step, lane, 1), *z = cn_cpu_in(step, lane, 2);
    float* y = cn_cpu_out(step, lane);

    for (int64_t i = 0; i < m->rows; i++, x += m->inner, y += m->inner) {
        const float* from = mask[i] ? x : m->second_is_one ? NULL : z + i * m->inner;
        if (from && from != y) memcpy(y, from, (size_t)m->inner * sizeof *y);
        for (int64_t j = 0; j < m->inner && !from; j++) y[j] = *z;
    }
    return CORNU_OK;
}

static bool describe_select(const cn_cpu_executable* e, const cn_node* node, masking* m) {
    const cn_type *mask = cn_cpu_input_type(e, node, 0), *x = cn_cpu_input_type(e, node, 1), *z = cn_cpu_input_type(e, node, 2), *y = cn_cpu_type(e, node);
    int i = 0;

    if (mask->dtype != CORNU_BOOL || x->dtype != CORNU_FLOAT32 || z->dtype != CORNU_FLOAT32 || mask->ndim != y->ndim || !same_shape(x, y)) return false;
    m->second_is_one = cn_type_count(z) == 1;
    if (!m->second_is_one && !same_shape(z, y)) return false;
    m->rows = m->inner = 1;
    for (; i < y->ndim && mask->dims[i] == y->dims[i]; i++) m->rows *= y->dims[i];
    for (; i < y->ndim; i++) {
        if (mask->dims[i] != 1) return false;
        m->inner *= y->dims[i];
    }
    return true;
}

cornu_status cn_cpu_prepare_mask(cn_cpu_executable* e, cn_cpu_step* step) {
    const cn_node* node = step->node;
    masking m = {0};
    cn_cpu_run run = NULL;

    if (cn_type_count(cn_cpu_type(e, node)) == 0) return CORNU_OK;
    for (int k = 0; k < node->input_count; k++) {
        const cn_type* t = cn_cpu_input_type(e, node, k);
        if (!t || cn_type_count(t) == 0) return CORNU_OK;
    }
    if (node->op == CN_OP_reduce) run = describe_reduce(e, node, &m) ? run_reduce : NULL;
    else if (node->input_count == 2) run = describe_compare(e, node, &m) ? run_compare : NULL;
    else if (node->input_count == 3 && node->attr.ew.fn == CN_EW_select) run = describe_select(e, node, &m) ? run_select : NULL;
    if (!run) return CORNU_OK;
    step->data = cn_cpu_data(e, step, sizeof m);
    if (!step->data) return CN_NO_MEMORY(sizeof m);
    memcpy(step->data, &m, sizeof m);
    step->run = run;
    return CORNU_OK;
}
