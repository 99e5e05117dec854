/* Resizing by half-pixel centres. Each axis is a linear map: output cell i is the weighted mean of input cells j with
 * weight K((j + 0.5 - centre) / width), centre = (i + 0.5) n / m, width = max(n / m, 1) with antialias, else 1. Weights outside the image are
 * left out and the rest renormalised. Area: the mean over i n / m to (i + 1) n / m, cells counting by the part that is covered. Source of the kernels: Keys 1981 (a = -0.5); Duchon 1979. */
#include <math.h>
#include <stdbool.h>

#include "backend/cpu/ref_ops.h"

static double sinc(double x) { return x == 0 ? 1 : sin(3.14159265358979323846 * x) / (3.14159265358979323846 * x); }

static double kernel(cn_resize_kind kind, double x) {
    x = fabs(x);
    switch (kind) {
        case CN_RESIZE_BILINEAR: return x < 1 ? 1 - x : 0;
        case CN_RESIZE_BICUBIC: return x < 1 ? (1.5 * x - 2.5) * x * x + 1 : x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
        case CN_RESIZE_LANCZOS3: return x < 3 ? sinc(x) * sinc(x / 3) : 0;
        case CN_RESIZE_LANCZOS5: return x < 5 ? sinc(x) * sinc(x / 5) : 0;
        case CN_RESIZE_NEAREST:
        case CN_RESIZE_AREA: break;
    }
    return 0;
}

typedef struct axis_map {
    cn_resize_kind kind;
    bool antialias;
    int64_t n, m; /* cells in, cells out */
} axis_map;

/* [from, to) of the input cells that output cell i reads; the weights' sum. */
static double axis_range(const axis_map* a, int64_t i, int64_t* from, int64_t* to, double* centre, double* width) {
    double ratio = (double)a->n / (double)a->m, sum = 0, support;

    *centre = ((double)i + 0.5) * ratio;
    *width = a->antialias && ratio > 1 ? ratio : 1;
    if (a->kind == CN_RESIZE_NEAREST) {
        int64_t j = (int64_t)floor(*centre);
        *from = j >= a->n ? a->n - 1 : j;
        *to = *from + 1;
        return 1;
    }
    if (a->kind == CN_RESIZE_AREA) {
        *from = i * a->n / a->m;
        *to = ((i + 1) * a->n + a->m - 1) / a->m;
        if (*to > a->n) *to = a->n;
        *width = ratio;
        return ratio;
    }
    support = (a->kind == CN_RESIZE_BILINEAR ? 1 : a->kind == CN_RESIZE_BICUBIC ? 2 : a->kind == CN_RESIZE_LANCZOS3 ? 3 : 5) * *width;
    *from = (int64_t)floor(*centre - 0.5 - support);
    *to = (int64_t)ceil(*centre + 0.5 + support);
    if (*from < 0) *from = 0;
    if (*to > a->n) *to = a->n;
    for (int64_t j = *from; j < *to; j++) sum += kernel(a->kind, ((double)j + 0.5 - *centre) / *width);
    return sum;
}

static double weight(const axis_map* a, int64_t j, double centre, double width, double sum) {
    if (a->kind == CN_RESIZE_AREA) {
        return (fmin((double)(j + 1), centre + width / 2) - fmax((double)j, centre - width / 2)) / width;
    }
    return a->kind == CN_RESIZE_NEAREST ? 1 : kernel(a->kind, ((double)j + 0.5 - centre) / width) / sum;
}

cornu_status cn_ref_resize(const cn_ref_step* s) {
    const cn_resize_attr* a = &s->attr->resize;
    const cn_type *x = s->types[0], *y = s->type;
    axis_map rows = {a->kind, a->antialias, x->dims[1], y->dims[1]}, columns = {a->kind, a->antialias, x->dims[2], y->dims[2]};
    int64_t channels = y->dims[3];

    for (int64_t i = 0; i < y->dims[0] * y->dims[1] * y->dims[2]; i++) {
        int64_t n = i / (y->dims[1] * y->dims[2]), r0, r1, c0, c1;
        double r_centre, r_width, c_centre, c_width;
        double r_sum = axis_range(&rows, i / y->dims[2] % y->dims[1], &r0, &r1, &r_centre, &r_width);
        double c_sum = axis_range(&columns, i % y->dims[2], &c0, &c1, &c_centre, &c_width);
        for (int64_t c = 0; c < channels; c++) {
            double sum = 0;
            for (int64_t r = r0; r < r1; r++) {
                double row = 0;
                for (int64_t k = c0; k < c1; k++) {
                    int64_t at = ((n * x->dims[1] + r) * x->dims[2] + k) * channels + c;
                    row += cn_ref_load(x->dtype, s->in[0], at) * weight(&columns, k, c_centre, c_width, c_sum);
                }
                sum += row * weight(&rows, r, r_centre, r_width, r_sum);
            }
            cn_ref_store(y->dtype, s->out, i * channels + c, sum);
        }
    }
    return CORNU_OK;
}
