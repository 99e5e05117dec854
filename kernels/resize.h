/* Resizing of images [N, H, W, C] by half-pixel centres; the meaning of the kinds is that of graph/resample.h. */
#ifndef CN_KERNELS_RESIZE_H
#define CN_KERNELS_RESIZE_H

#include "kernels/kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

/* In the order of cn_resize_kind. */
typedef enum cn_resize_method {
    CN_K_NEAREST,
    CN_K_BILINEAR,
    CN_K_BICUBIC,
    CN_K_LANCZOS3,
    CN_K_LANCZOS5,
    CN_K_AREA
} cn_resize_method;

typedef struct cn_resize_args {
    int dtype; /* a float */
    int method;
    bool antialias;
    const void* x; /* [batch, x_dims, channels] */
    void* y;       /* [batch, y_dims, channels] */
    void* scratch; /* cn_k_resize_scratch bytes, aligned to 16 */
    int64_t batch, channels;
    int64_t x_dims[2], y_dims[2];
} cn_resize_args;

/* Bytes for the weights of both axes. */
uint64_t cn_k_resize_scratch(const cn_resize_args* a);
cudaError_t cn_k_resize(const cn_queue* q, const cn_resize_args* a);

#ifdef __cplusplus
}
#endif

#endif
