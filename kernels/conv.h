/* Convolutions of images [N, spatial..., C] in one to three dimensions, and their transposes. */
#ifndef CN_KERNELS_CONV_H
#define CN_KERNELS_CONV_H

#include "kernels/kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Three spatial axes always; missing ones come first, with size, stride and dilation 1 and padding 0. */
typedef struct cn_conv_args {
    int dtype; /* a float */
    const void* x;        /* [batch, x_dims, channels] */
    const void* kernel;   /* conv: [k_dims, channels / groups, filters]; transpose: [k_dims, filters, channels] */
    const void* bias;     /* [filters], or NULL */
    const void* residual; /* as y, or NULL */
    void* y;              /* [batch, y_dims, filters] */
    int64_t batch, channels, filters, groups;
    int64_t x_dims[3], k_dims[3], y_dims[3];
    int64_t strides[3], dilation[3], pad[3]; /* pad: in front; may be negative */
    cn_epilogue act;
} cn_conv_args;

/* y = act(x * kernel + bias + residual). */
cudaError_t cn_k_conv(const cn_queue* q, const cn_conv_args* a);
/* The same for groups == channels: one channel a filter. */
cudaError_t cn_k_conv_depthwise(const cn_queue* q, const cn_conv_args* a);
/* y = act(sum over x[i] kernel[j] with i stride + j dilation - pad = o, + bias + residual); groups is 1. */
cudaError_t cn_k_conv_transpose(const cn_queue* q, const cn_conv_args* a);

#ifdef __cplusplus
}
#endif

#endif
