/* Scaled dot product attention: see cn_attention_attr in graph/op.h. */
#ifndef CN_KERNELS_ATTENTION_H
#define CN_KERNELS_ATTENTION_H

#include "kernels/kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cn_attention_args {
    const void *q, *k, *v;     /* [batch, heads, queries, depth], [batch, kv_heads, keys, depth], [batch, kv_heads, keys, width], of dtype */
    const unsigned char* mask; /* 0: the key is not seen; or NULL */
    void* y;                   /* [batch, heads, queries, width] */
    int dtype;                 /* a float */
    bool causal, zero_rows;
    double scale;
    int64_t batch, heads, kv_heads, queries, keys, depth, width;
    int64_t mask_strides[4]; /* over batch, heads, queries and keys; 0 where the mask is broadcast */
} cn_attention_args;

cudaError_t cn_k_attention(const cn_queue* q, const cn_attention_args* a);

/* The same for other than float64, depth and width up to 128: half types by tensor cores, float32 by tiles in registers. */
static inline bool cn_attention_is_narrow(const cn_attention_args* a) { return a->dtype != CORNU_FLOAT64 && a->depth <= 128 && a->width <= 128; }
cudaError_t cn_k_attention_tensor(const cn_queue* q, const cn_attention_args* a);
cudaError_t cn_k_attention_tile(const cn_queue* q, const cn_attention_args* a);

#ifdef __cplusplus
}
#endif

#endif
