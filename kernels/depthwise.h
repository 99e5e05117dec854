/* Depthwise convolutions with one filter a channel, sixteen bytes of channels a thread. */
#ifndef CN_KERNELS_DEPTHWISE_H
#define CN_KERNELS_DEPTHWISE_H

#include "kernels/conv.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How many neighbouring results of a row a thread makes: many read x less often, one is for small results. */
typedef enum cn_depthwise_span { CN_DEPTHWISE_ONE, CN_DEPTHWISE_FOUR, CN_DEPTHWISE_SPANS } cn_depthwise_span;

typedef struct cn_depthwise_how {
    cn_depthwise_span span;
    int load_fn; /* row of ew.def that x goes through as it is read: one that cn_depthwise_loads has, or 0 */
} cn_depthwise_how;

/* Whether cn_k_depthwise takes it: float32, float16 or bfloat16, as many groups, channels and filters, in whole sixteen
 * bytes. x, kernel, y, bias and residual are aligned to 16. */
bool cn_depthwise_fits(const cn_conv_args* a);
bool cn_depthwise_loads(int fn);

/* y = act(load(x) * kernel + bias + residual); padding stays out of load. */
cudaError_t cn_k_depthwise(const cn_queue* q, const cn_conv_args* a, const cn_depthwise_how* how);

#ifdef __cplusplus
}
#endif

#endif
