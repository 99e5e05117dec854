/* Matmul and convolution by our own loops, where oneDNN is not there or refuses. A kernel [spatial.., C, F] is a matrix of spatial * C
 * rows, so nothing is packed: for a few neighbouring cells of the result and a strip of filters
 *
 *     acc[cell][filter] += x[cell + kernel cell][c] w[kernel cell][c][filter]
 *
 * with padding read from a row of zeros. A matmul is a convolution with a kernel of one cell. */
#include <string.h>

#include "backend/cpu/cpu.h"

typedef struct window {
    int64_t n[3]; /* spatial axes, missing ones in front */
} window;

typedef struct product {
    const cn_loops* loops;
    int64_t images, channels, per_group, filters, groups; /* channels of x, of a group; all filters */
    window x, k, y, stride, dilation, pad;
    cn_act act;
    cn_loop_ew fn; /* NULL: none */
} product;

static window window_of(const int64_t* dims, int spatial, int64_t missing) {
    window w = {{missing, missing, missing}};
    for (int i = 0; i < spatial; i++) w.n[3 - spatial + i] = dims[i];
    return w;
}

static int64_t cells(const window* w) { return w->n[0] * w->n[1] * w->n[2]; }

/* Address of the cell of x under kernel cell k at cell o of the result; zeros outside. */
static const float* cell_of(const product* p, const float* x, int64_t o, int64_t k, const float* zeros) {
    int64_t at = 0;
    int64_t out[3] = {o / (p->y.n[1] * p->y.n[2]), o / p->y.n[2] % p->y.n[1], o % p->y.n[2]};
    int64_t in[3] = {k / (p->k.n[1] * p->k.n[2]), k / p->k.n[2] % p->k.n[1], k % p->k.n[2]};

    for (int d = 0; d < 3; d++) {
        int64_t cell = out[d] * p->stride.n[d] + in[d] * p->dilation.n[d] - p->pad.n[d];
        if (cell < 0 || cell >= p->x.n[d]) return zeros;
        at = at * p->x.n[d] + cell;
    }
    return x + at * p->channels;
}

/* Bias, residual and activation of n results at y. */
static void finish(const product* p, int64_t n, const float* acc, const float* residual, float* y) {
    for (int64_t j = 0; j < n; j++) y[j] = residual ? acc[j] + residual[j] : acc[j];
    if (p->fn) p->fn(n, y, y, &p->act, y);
}

static void start(int64_t n, const float* bias, float* acc) {
    if (bias) memcpy(acc, bias, (size_t)n * sizeof *acc);
    else memset(acc, 0, (size_t)n * sizeof *acc);
}

/* Cells [o, o + count) of one image, filters [f, f + n) of one group. */
static void block(const product* p, const float* x, const float* w, const float* bias, const float* residual, float* y, int64_t o, int count, int64_t f, int64_t n, int64_t group, const float* zeros) {
    float acc[CN_GEMM_ROWS * CN_GEMM_COLUMNS];
    const float* rows[CN_GEMM_ROWS];

    for (int r = 0; r < CN_GEMM_ROWS; r++) start(n, bias ? bias + f : NULL, acc + r * CN_GEMM_COLUMNS);
    for (int64_t k = 0; k < cells(&p->k); k++) {
        const float* at = w + k * p->per_group * p->filters + f;
        for (int r = 0; r < CN_GEMM_ROWS; r++) {
            rows[r] = r < count ? cell_of(p, x, o + r, k, zeros) : zeros;
            if (rows[r] != zeros) rows[r] += group * p->per_group;
        }
        if (n == CN_GEMM_COLUMNS) {
            p->loops->gemm(p->per_group, rows, at, p->filters, acc);
        } else {
            for (int r = 0; r < count; r++) p->loops->gemv(p->per_group, n, rows[r], at, p->filters, acc + r * CN_GEMM_COLUMNS);
        }
    }
    for (int r = 0; r < count; r++) {
        int64_t to = (o + r) * p->filters + f;
        finish(p, n, acc + r * CN_GEMM_COLUMNS, residual ? residual + to : NULL, y + to);
    }
}

static cornu_status run_product(const cn_cpu_step* step, const cn_cpu_lane* lane) {
    const product* p = step->data;
    const float *x = cn_cpu_in(step, lane, 0), *w = cn_cpu_in(step, lane, 1), *bias = cn_cpu_in(step, lane, 2), *residual = cn_cpu_in(step, lane, 3);
    float *y = cn_cpu_out(step, lane), *zeros = lane->scratch;
    int64_t in = cells(&p->x) * p->channels, out = cells(&p->y) * p->filters, each = p->filters / p->groups;

    memset(zeros, 0, (size_t)p->per_group * sizeof *zeros);
    for (int64_t i = 0; i < p->images; i++, x += in, y += out, residual = residual ? residual + out : NULL) {
        for (int64_t o = 0; o < cells(&p->y); o += CN_GEMM_ROWS) {
            int count = cells(&p->y) - o < CN_GEMM_ROWS ? (int)(cells(&p->y) - o) : CN_GEMM_ROWS;
            for (int64_t f = 0; f < p->filters;) {
                int64_t group = f / each, room = (group + 1) * each - f, n = room < CN_GEMM_COLUMNS ? room : CN_GEMM_COLUMNS;
                block(p, x, w, bias, residual, y, o, count, f, n, group, zeros);
                f += n;
            }
        }
    }
    return CORNU_OK;
}

/* One channel a group and one filter a channel: all channels of a cell at once. */
static cornu_status run_depthwise(const cn_cpu_step* step, const cn_cpu_lane* lane) {
    const product* p = step->data;
    const float *x = cn_cpu_in(step, lane, 0), *w = cn_cpu_in(step, lane, 1), *bias = cn_cpu_in(step, lane, 2), *residual = cn_cpu_in(step, lane, 3);
    float *y = cn_cpu_out(step, lane), *acc = lane->scratch;
    int64_t n = p->channels;

    for (int64_t i = 0; i < p->images; i++, x += cells(&p->x) * n) {
        for (int64_t o = 0; o < cells(&p->y); o++, y += n, residual = residual ? residual + n : NULL) {
            start(n, bias, acc);
            for (int64_t k = 0; k < cells(&p->k); k++) {
                const float* row = cell_of(p, x, o, k, NULL);
                if (row) p->loops->multiply_add(n, row, w + k * n, acc);
            }
            finish(p, n, acc, residual, y);
        }
    }
    return CORNU_OK;
}

static void describe_conv(const cn_cpu_executable* e, const cn_node* node, product* p) {
    const cn_conv_attr* a = &node->attr.conv;
    const cn_type *x = cn_cpu_input_type(e, node, 0), *w = cn_cpu_input_type(e, node, 1), *y = cn_cpu_type(e, node);
    int s = a->spatial;

    *p = (product){e->loops, x->dims[0], x->dims[s + 1], w->dims[s], w->dims[s + 1], a->groups, window_of(x->dims + 1, s, 1), window_of(w->dims, s, 1),
                   window_of(y->dims + 1, s, 1), window_of(a->strides, s, 1), window_of(a->dilation, s, 1), window_of(a->pad_lo, s, 0), a->act, NULL};
}

static void describe_matmul(const cn_cpu_executable* e, const cn_node* node, product* p) {
    const cn_type *x = cn_cpu_input_type(e, node, 0), *w = cn_cpu_input_type(e, node, 1);
    int64_t inner = w->dims[0], rows = cn_type_count(x) / inner, one[3] = {1, 1, 1}, zero[3] = {0, 0, 0};

    *p = (product){e->loops, 1, inner, inner, w->dims[1], 1, window_of(&rows, 1, 1), window_of(one, 3, 1), window_of(&rows, 1, 1), window_of(one, 3, 1), window_of(one, 3, 1), window_of(zero, 3, 0), node->attr.matmul.act, NULL};
}

cornu_status cn_cpu_prepare_product(cn_cpu_executable* e, cn_cpu_step* step) {
    const cn_node* node = step->node;
    const cn_type* w;
    product* p;

    if (!cn_cpu_is_float(e, node)) return CORNU_OK;
    w = cn_cpu_input_type(e, node, 1);
    if (node->op == CN_OP_matmul && (w->ndim != 2 || node->attr.matmul.transpose_a || node->attr.matmul.transpose_b)) return CORNU_OK;
    p = cn_cpu_data(e, step, sizeof *p);
    if (!p) return CN_NO_MEMORY(sizeof *p);
    if (node->op == CN_OP_conv) describe_conv(e, node, p);
    else describe_matmul(e, node, p);
    if (p->act.fn != CN_EW_copy) {
        p->fn = e->loops->ew[p->act.fn];
        if (!p->fn) return CORNU_OK;
    }
    cn_cpu_need_scratch(e, (uint64_t)p->channels * sizeof(float));
    step->run = p->per_group == 1 && p->filters == p->channels && p->groups > 1 ? run_depthwise : run_product;
    return CORNU_OK;
}
