/* Attention. */
#include "backend/cuda/cuda.h"
#include "kernels/attention.h"

/* The other way is that of narrow heads. Few keys and queries in float32 leave most of a larger tile empty. */
static int general_way(const cn_attention_args* a) { return a->dtype == CORNU_FLOAT32 && a->keys <= 32 && a->queries <= 16 ? 0 : 1; }

static cornu_status launch_attention(const cn_cuda_step* step, const cn_cuda_frame* frame) {
    cn_attention_args a = *(const cn_attention_args*)step->data;

    a.q = cn_cuda_in(step, frame, 0);
    a.k = cn_cuda_in(step, frame, 1);
    a.v = cn_cuda_in(step, frame, 2);
    a.mask = cn_cuda_in(step, frame, 3);
    a.y = cn_cuda_out(step, frame);
    if (!cn_attention_is_narrow(&a) || step->way == general_way(&a)) return CN_CUDA_OK(cn_k_attention(&frame->queue, &a));
    return CN_CUDA_OK(a.dtype == CORNU_FLOAT32 ? cn_k_attention_tile(&frame->queue, &a) : cn_k_attention_tensor(&frame->queue, &a));
}

cornu_status cn_cuda_prepare_attention(cn_cuda_executable* e, cn_cuda_step* step) {
    const cn_attention_attr* attr = &step->node->attr.attention;
    const cn_type *q = cn_cuda_input_type(e, step->node, 0), *v = cn_cuda_input_type(e, step->node, 2);
    const cn_type* mask = cn_cuda_input_type(e, step->node, 3);
    cn_attention_args* a = cn_cuda_data(e, step, sizeof *a);
    int64_t stride = 1;

    if (!a) return CN_NO_MEMORY(sizeof *a);
    a->dtype = (int)q->dtype;
    a->causal = attr->causal;
    a->zero_rows = attr->zero_rows;
    a->scale = attr->scale;
    a->batch = q->dims[0];
    a->heads = q->dims[1];
    a->queries = q->dims[2];
    a->depth = q->dims[3];
    a->kv_heads = v->dims[1];
    a->keys = v->dims[2];
    a->width = v->dims[3];
    for (int i = 3; mask && i >= 0; i--) {
        a->mask_strides[i] = mask->dims[i] == 1 ? 0 : stride;
        stride *= mask->dims[i];
    }
    step->launch = launch_attention;
    if (!cn_attention_is_narrow(a)) return CORNU_OK;
    step->ways = 2;
    step->problem = cn_arena_format(&e->arena, "attention %s %lld of %lld/%lld heads %lldx%lldx%lldx%lld%s%s", cornu_dtype_name((cornu_dtype)a->dtype), (long long)a->batch,
                                    (long long)a->heads, (long long)a->kv_heads, (long long)a->queries, (long long)a->keys, (long long)a->depth, (long long)a->width,
                                    a->causal ? " causal" : "", mask ? " mask" : "");
    return step->problem ? CORNU_OK : CN_NO_MEMORY(sizeof *a);
}
