/* Resizing by half-pixel centres. Each axis is a linear map: output cell i is the weighted mean of input cells j with
 * weight K((j + 0.5 - centre) / width), centre = (i + 0.5) n / m, width = max(n / m, 1) with antialias, else 1. Weights outside the image are
 * left out and the rest renormalised. Area: the mean over i n / m to (i + 1) n / m, cells counting by the part that is covered. Source of the kernels: Keys 1981 (a = -0.5); Duchon 1979. */
#include "graph/resample.h"

#include <math.h>

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

void cn_resample_cell_of(const cn_resample* a, int64_t i, cn_resample_cell* out) {
    double ratio = (double)a->n / (double)a->m, centre = ((double)i + 0.5) * ratio, support;

    *out = (cn_resample_cell){.centre = centre, .width = a->antialias && ratio > 1 ? ratio : 1};
    if (a->kind == CN_RESIZE_NEAREST) {
        int64_t j = (int64_t)floor(centre);
        out->from = j >= a->n ? a->n - 1 : j;
        out->to = out->from + 1;
        out->sum = 1;
        return;
    }
    if (a->kind == CN_RESIZE_AREA) {
        out->from = i * a->n / a->m;
        out->to = ((i + 1) * a->n + a->m - 1) / a->m;
        if (out->to > a->n) out->to = a->n;
        out->width = out->sum = ratio;
        return;
    }
    support = (a->kind == CN_RESIZE_BILINEAR ? 1 : a->kind == CN_RESIZE_BICUBIC ? 2 : a->kind == CN_RESIZE_LANCZOS3 ? 3 : 5) * out->width;
    out->from = (int64_t)floor(centre - 0.5 - support);
    out->to = (int64_t)ceil(centre + 0.5 + support);
    if (out->from < 0) out->from = 0;
    if (out->to > a->n) out->to = a->n;
    for (int64_t j = out->from; j < out->to; j++) out->sum += kernel(a->kind, ((double)j + 0.5 - centre) / out->width);
}

double cn_resample_weight(const cn_resample* a, const cn_resample_cell* cell, int64_t j) {
    if (a->kind == CN_RESIZE_AREA) {
        return (fmin((double)(j + 1), cell->centre + cell->width / 2) - fmax((double)j, cell->centre - cell->width / 2)) / cell->width;
    }
    return a->kind == CN_RESIZE_NEAREST ? 1 : kernel(a->kind, ((double)j + 0.5 - cell->centre) / cell->width) / cell->sum;
}
