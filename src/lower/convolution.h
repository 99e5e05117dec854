/* What the convolution layers share: their config, their padding, and what follows the product. */
#ifndef CN_LOWER_CONVOLUTION_H
#define CN_LOWER_CONVOLUTION_H

#include "lower/layer.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum cn_conv_padding { CN_CONV_VALID, CN_CONV_SAME, CN_CONV_CAUSAL } cn_conv_padding;

typedef struct cn_conv_config {
    bool channels_first, use_bias;
    cn_conv_padding padding;
    int64_t kernel[CN_MAX_SPATIAL];
    cn_conv_attr attr; /* padding 0, one group */
} cn_conv_config;

/* Reads the config and the input: *x is [N, spatial..., C] of the compute dtype. paddings: those allowed, in the order of the enum. */
cornu_status cn_conv_begin(cn_call* c, int spatial, const char* paddings, cn_conv_config* out, cn_id* x);
/* Sets attr's padding of a forward convolution over x. CORNU_BAD_ARGUMENT: nothing would be left. */
cornu_status cn_conv_pad(cn_call* c, cn_id x, cn_conv_config* v);
/* Variable i, a kernel of v->kernel cells of [a, b]. */
cornu_status cn_conv_kernel(cn_call* c, const cn_conv_config* v, int i, int64_t a, int64_t b, cn_id* out);
/* Adds the bias (variable i, filters long) if there is one, restores the channels' place, applies the activation and returns. */
cornu_status cn_conv_end(cn_call* c, const cn_conv_config* v, cn_id y, int i, int64_t filters);

#ifdef __cplusplus
}
#endif

#endif
