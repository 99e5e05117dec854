/* Resizing one axis: a linear map whose weights both the reference and the decomposition take from here. */
#ifndef CN_GRAPH_RESAMPLE_H
#define CN_GRAPH_RESAMPLE_H

#include "graph/op.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cn_resample {
    cn_resize_kind kind;
    bool antialias;
    int64_t n, m; /* cells in, cells out */
} cn_resample;

/* What output cell i reads: the input cells [from, to). */
typedef struct cn_resample_cell {
    int64_t from, to;
    double centre, width; /* in input cells */
    double sum;           /* of the weights before they are normalised */
} cn_resample_cell;

void cn_resample_cell_of(const cn_resample* a, int64_t i, cn_resample_cell* out);
/* Weight of input cell j, one of [from, to). */
double cn_resample_weight(const cn_resample* a, const cn_resample_cell* cell, int64_t j);

#ifdef __cplusplus
}
#endif

#endif
