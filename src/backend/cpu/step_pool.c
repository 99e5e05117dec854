/* Pooling and resizing of float32 images by our own loops: all channels of a cell at once. */
#include <math.h>
#include <string.h>

#include "backend/cpu/cpu.h"

typedef struct pool {
    const cn_loops* loops;
    cn_pool_kind kind;
    int64_t images, channels;
    int64_t x[3], y[3]; /* spatial axes, missing ones in front */
    int64_t* from[3];   /* of each cell of the result along an axis */
    int64_t* to[3];     /* exclusive */
} pool;

static void pool_cell(const pool* p, const float* x, const int64_t* from, const int64_t* to, double* sums, float* y) {
    static const cn_act none = {CN_EW_copy, 0, 0, 0};
    int64_t n = p->channels, count = 0;
    bool first = true;

    memset(sums, 0, (size_t)n * sizeof *sums);
    for (int64_t a = from[0]; a < to[0]; a++) {
        for (int64_t b = from[1]; b < to[1]; b++) {
            const float* row = x + ((a * p->x[1] + b) * p->x[2] + from[2]) * n;
            for (int64_t c = from[2]; c < to[2]; c++, row += n, count++) {
                if (p->kind == CN_POOL_AVG) p->loops->add_wide(n, row, sums);
                else if (first) memcpy(y, row, (size_t)n * sizeof *y);
                else p->loops->ew[CN_EW_max](n, y, row, &none, y);
                first = false;
            }
        }
    }
    for (int64_t i = 0; p->kind == CN_POOL_AVG && i < n; i++) y[i] = (float)(sums[i] / (double)count);
    for (int64_t i = 0; p->kind == CN_POOL_MAX && first && i < n; i++) y[i] = -INFINITY;
}

static cornu_status run_pool(const cn_cpu_step* step, const cn_cpu_lane* lane) {
    const pool* p = step->data;
    const float* x = cn_cpu_in(step, lane, 0);
    float* y = cn_cpu_out(step, lane);
    double* sums = (double*)(void*)lane->scratch;

    for (int64_t i = 0; i < p->images; i++, x += p->x[0] * p->x[1] * p->x[2] * p->channels) {
        for (int64_t o = 0; o < p->y[0] * p->y[1] * p->y[2]; o++, y += p->channels) {
            int64_t at[3] = {o / (p->y[1] * p->y[2]), o / p->y[2] % p->y[1], o % p->y[2]}, from[3], to[3];
            for (int d = 0; d < 3; d++) from[d] = p->from[d][at[d]], to[d] = p->to[d][at[d]];
            pool_cell(p, x, from, to, sums, y);
        }
    }
    return CORNU_OK;
}

cornu_status cn_cpu_prepare_pool(cn_cpu_executable* e, cn_cpu_step* step) {
    const cn_node* node = step->node;
    const cn_pool_attr* a = &node->attr.pool;
    const cn_type *x = cn_cpu_input_type(e, node, 0), *y = cn_cpu_type(e, node);
    pool* p;

    if (!cn_cpu_is_float(e, node)) return CORNU_OK;
    p = cn_cpu_data(e, step, sizeof *p);
    if (!p) return CN_NO_MEMORY(sizeof *p);
    *p = (pool){.loops = e->loops, .kind = a->kind, .images = x->dims[0], .channels = x->dims[x->ndim - 1]};
    for (int d = 0; d < 3; d++) {
        int axis = d - (3 - a->spatial);
        p->x[d] = axis < 0 ? 1 : x->dims[axis + 1];
        p->y[d] = axis < 0 ? 1 : y->dims[axis + 1];
        p->from[d] = cn_arena_array(&e->arena, (size_t)p->y[d], sizeof(int64_t));
        p->to[d] = cn_arena_array(&e->arena, (size_t)p->y[d], sizeof(int64_t));
        if (!p->from[d] || !p->to[d]) return CN_NO_MEMORY((size_t)p->y[d] * sizeof(int64_t));
        for (int64_t o = 0; o < p->y[d]; o++) {
            int64_t from = 0, to = 1;
            if (axis >= 0 && node->op == CN_OP_adaptive_pool) from = o * p->x[d] / p->y[d], to = ((o + 1) * p->x[d] + p->y[d] - 1) / p->y[d];
            else if (axis >= 0) from = o * a->strides[axis] - a->pad_lo[axis], to = from + a->window[axis];
            p->from[d][o] = from < 0 ? 0 : from;
            p->to[d][o] = to > p->x[d] ? p->x[d] : to;
        }
    }
    cn_cpu_need_scratch(e, (uint64_t)p->channels * sizeof(double));
    step->run = run_pool;
    return CORNU_OK;
}

/* ---- resize: nearest and bilinear, without antialiasing ---- */

typedef struct resize {
    int64_t images, height, width, rows, columns, channels; /* of x, of the result */
    int64_t *low[2], *high[2]; /* the two cells of x along an axis for each cell of the result */
    float* weight[2];          /* of the second */
} resize;

static void mix(int64_t n, const float* a, const float* b, const float* c, const float* d, float u, float v, float* y) {
    for (int64_t i = 0; i < n; i++) {
        float top = a[i] + u * (b[i] - a[i]), bottom = c[i] + u * (d[i] - c[i]);
        y[i] = top + v * (bottom - top);
    }
}

static cornu_status run_resize(const cn_cpu_step* step, const cn_cpu_lane* lane) {
    const resize* r = step->data;
    const float* x = cn_cpu_in(step, lane, 0);
    float* y = cn_cpu_out(step, lane);
    int64_t n = r->channels;

    for (int64_t i = 0; i < r->images; i++, x += r->height * r->width * n) {
        for (int64_t row = 0; row < r->rows; row++) {
            const float *a = x + r->low[0][row] * r->width * n, *b = x + r->high[0][row] * r->width * n;
            for (int64_t c = 0; c < r->columns; c++, y += n) {
                int64_t left = r->low[1][c] * n, right = r->high[1][c] * n;
                if (!r->weight[0]) memcpy(y, a + left, (size_t)n * sizeof *y);
                else mix(n, a + left, a + right, b + left, b + right, r->weight[1][c], r->weight[0][row], y);
            }
        }
    }
    return CORNU_OK;
}

static cornu_status map_axis(cn_cpu_executable* e, resize* r, int axis, int64_t n, int64_t m, bool linear) {
    r->low[axis] = cn_arena_array(&e->arena, (size_t)m, sizeof(int64_t));
    r->high[axis] = cn_arena_array(&e->arena, (size_t)m, sizeof(int64_t));
    if (!r->low[axis] || !r->high[axis]) return CN_NO_MEMORY((size_t)m * sizeof(int64_t));
    if (linear) r->weight[axis] = cn_arena_array(&e->arena, (size_t)m, sizeof(float));
    if (linear && !r->weight[axis]) return CN_NO_MEMORY((size_t)m * sizeof(float));
    for (int64_t i = 0; i < m; i++) {
        double centre = ((double)i + 0.5) * ((double)n / (double)m);
        int64_t low = (int64_t)floor(linear ? centre - 0.5 : centre);
        if (linear) r->weight[axis][i] = (float)(centre - 0.5 - (double)low);
        r->low[axis][i] = low < 0 ? 0 : low >= n ? n - 1 : low;
        r->high[axis][i] = low + 1 >= n ? n - 1 : low + 1;
    }
    return CORNU_OK;
}

cornu_status cn_cpu_prepare_resize(cn_cpu_executable* e, cn_cpu_step* step) {
    const cn_resize_attr* a = &step->node->attr.resize;
    const cn_type *x = cn_cpu_input_type(e, step->node, 0), *y = cn_cpu_type(e, step->node);
    bool linear = a->kind == CN_RESIZE_BILINEAR;
    resize* r;

    if (!cn_cpu_is_float(e, step->node) || (!linear && a->kind != CN_RESIZE_NEAREST)) return CORNU_OK;
    if (linear && a->antialias && (y->dims[1] < x->dims[1] || y->dims[2] < x->dims[2])) return CORNU_OK;
    r = cn_cpu_data(e, step, sizeof *r);
    if (!r) return CN_NO_MEMORY(sizeof *r);
    *r = (resize){.images = x->dims[0], .height = x->dims[1], .width = x->dims[2], .rows = y->dims[1], .columns = y->dims[2], .channels = x->dims[3]};
    CN_TRY(map_axis(e, r, 0, r->height, r->rows, linear));
    CN_TRY(map_axis(e, r, 1, r->width, r->columns, linear));
    step->run = run_resize;
    return CORNU_OK;
}
