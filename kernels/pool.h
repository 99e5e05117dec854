/* Largest and mean values under windows of images [N, spatial..., C] in one to three dimensions, any dtype. */
#ifndef CN_KERNELS_POOL_H
#define CN_KERNELS_POOL_H

#include "kernels/kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Three spatial axes always; missing ones come first, with sizes, windows and strides 1 and padding 0. */
typedef struct cn_pool_args {
    int dtype;
    bool mean;     /* over the cells that exist; else the largest, NaN before all */
    bool adaptive; /* output i covers cells floor(i n / m) .. ceil((i + 1) n / m); window, strides and pad are not used */
    const void* x; /* [batch, x_dims, channels] */
    void* y;       /* [batch, y_dims, channels] */
    int64_t batch, channels;
    int64_t x_dims[3], y_dims[3];
    int64_t window[3], strides[3], pad[3]; /* pad: in front */
} cn_pool_args;

cudaError_t cn_k_pool(const cn_queue* q, const cn_pool_args* a);

#ifdef __cplusplus
}
#endif

#endif
