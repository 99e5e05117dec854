/* Normalizations of floats. */
#ifndef CN_KERNELS_NORM_H
#define CN_KERNELS_NORM_H

#include "kernels/kernels.h"
#include "kernels/lines.h"

#ifdef __cplusplus
extern "C" {
#endif

/* y = (x - mean) / sqrt(variance + epsilon) * gamma + beta with vectors [channels]; x is [outer, channels, inner]. */
typedef struct cn_batch_norm_args {
    const void *x, *mean, *variance, *gamma, *beta; /* gamma, beta: or NULL */
    void* y;
    int dtype;
    double epsilon;
    int64_t count; /* elements of x */
    cn_divisor channels, inner;
} cn_batch_norm_args;

cudaError_t cn_k_batch_norm(const cn_queue* q, const cn_batch_norm_args* a);

/* y = (x - mean) / sqrt(mean((x - mean)^2) + epsilon) * gamma + beta over the elements of each line, x + residual for x. */
typedef struct cn_line_norm_args {
    const void *x, *gamma, *beta, *residual; /* all but x: or NULL */
    void* y;
    int dtype;
    double epsilon;
    bool about_zero; /* the mean counts as 0: RMS */
    bool no_center;  /* the mean is not subtracted from x, the variance is about it though */
    cn_lines lines;
    /* Which element of gamma and beta element o of line k takes: o; or, if grouped, (k mod groups) per_group + o mod per_group. */
    bool grouped;
    cn_divisor groups, per_group;
} cn_line_norm_args;

cudaError_t cn_k_line_norm(const cn_queue* q, const cn_line_norm_args* a);

#ifdef __cplusplus
}
#endif

#endif
