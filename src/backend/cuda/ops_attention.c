/* Attention. Ways: the general kernel and that of narrow heads, the guess first; of long sequences in halves without a
 * mask, a plan of cuDNN. */
#include <stdio.h>

#include "backend/cuda/cudnn.h"
#include "kernels/attention.h"

#define DNN_KEYS 256   /* from here on */
#define DNN_DEPTH 128  /* up to here, */
#define DNN_MULTIPLE 8 /* and multiples of this */

typedef struct attention_step {
    cn_attention_args args;
    int plan_way;              /* cuDNN's, -1: none */
    const cn_dnn_graph* graph; /* once it was taken */
} attention_step;

/* The other way is that of narrow heads. Few keys and queries in float32 leave most of a larger tile empty. */
static int general_way(const cn_attention_args* a) {
    return a->dtype == CORNU_FLOAT32 && a->keys <= 32 && a->queries <= 16 ? 0 : 1;
}

/* ---- by cuDNN ---- */

static bool fits_dnn(const cn_cuda_executable* e, const cn_attention_args* a, bool mask) {
    bool halves = a->dtype == CORNU_FLOAT16 || a->dtype == CORNU_BFLOAT16,
         widths = a->depth % DNN_MULTIPLE == 0 && a->width % DNN_MULTIPLE == 0;
    return halves && widths && !mask && !a->causal && a->keys >= DNN_KEYS && a->depth <= DNN_DEPTH &&
           a->width <= DNN_DEPTH && cn_cuda_has_dnn(e);
}

static cornu_status make_graph(const cn_dnn_target* target, const void* args, cn_dnn_graph* out) {
    const cn_attention_args* a = args;
    cn_dnn_attention problem = {a->dtype, a->batch, a->heads, a->kv_heads, a->queries, a->keys, a->depth, a->width};
    return cn_dnn_attention_graph(target, &problem, out);
}

static cornu_status take(cn_cuda_executable* e, cn_cuda_step* step) {
    attention_step* s = step->data;
    cn_dnn_limits limits = {cn_cuda_dnn_workspace(e, 0), true, 1};
    const cn_dnn_graph* graph;

    if (step->way != s->plan_way) return CORNU_OK;
    CN_TRY(cn_cuda_dnn_take(e, step->problem, make_graph, &s->args, &limits, 0, &graph));
    s->graph = graph;
    return CORNU_OK;
}

static cornu_status launch_attention(const cn_cuda_step* step, const cn_cuda_frame* frame) {
    const attention_step* s = step->data;
    cn_attention_args a = s->args;

    a.q = cn_cuda_in(step, frame, 0);
    a.k = cn_cuda_in(step, frame, 1);
    a.v = cn_cuda_in(step, frame, 2);
    a.mask = cn_cuda_in(step, frame, 3);
    a.y = cn_cuda_out(step, frame);
    if (step->way == s->plan_way) {
        float scale = (float)a.scale;
        const cn_dnn_binding bindings[] = {
            {CN_DNN_Q, a.q}, {CN_DNN_K, a.k}, {CN_DNN_V, a.v}, {CN_DNN_SCALE, &scale}, {CN_DNN_Y, a.y}};
        return cn_cuda_dnn_run(frame, s->graph, 0, bindings, 5);
    }
    if (!cn_attention_is_narrow(&a) || step->way == general_way(&a))
        return CN_CUDA_OK(cn_k_attention(&frame->queue, &a));
    return CN_CUDA_OK(a.dtype == CORNU_FLOAT32 ? cn_k_attention_tile(&frame->queue, &a)
                                               : cn_k_attention_tensor(&frame->queue, &a));
}

static void name_way(const cn_cuda_step* step, int way, char* text) {
    const attention_step* s = step->data;
    const char* name = way == s->plan_way             ? "cuDNN"
                       : way == general_way(&s->args) ? "general kernel"
                                                      : "kernel for narrow heads";

    (void)snprintf(text, CN_CUDA_WAY_TEXT, "%s", name);
}

cornu_status cn_cuda_prepare_attention(cn_cuda_executable* e, cn_cuda_step* step) {
    const cn_attention_attr* attr = &step->node->attr.attention;
    const cn_type *q = cn_cuda_input_type(e, step->node, 0), *v = cn_cuda_input_type(e, step->node, 2);
    const cn_type* mask = cn_cuda_input_type(e, step->node, 3);
    attention_step* s = cn_cuda_data(e, step, sizeof *s);
    cn_attention_args* a;
    int64_t stride = 1;

    if (!s) return CN_NO_MEMORY(sizeof *s);
    a = &s->args;
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
    step->ways = cn_attention_is_narrow(a) ? 2 : 1;
    s->plan_way = fits_dnn(e, a, mask != NULL) ? step->ways++ : -1;
    if (s->plan_way >= 0) {
        (void)cn_cuda_dnn_workspace(e, 0);
        step->take = take;
    }
    if (step->ways == 1) return CORNU_OK;
    step->name_way = name_way;
    step->problem = cn_arena_format(&e->arena, "attention %s %lld of %lld/%lld heads %lldx%lldx%lldx%lld%s%s cudnn %zu",
                                    cornu_dtype_name((cornu_dtype)a->dtype), (long long)a->batch, (long long)a->heads,
                                    (long long)a->kv_heads, (long long)a->queries, (long long)a->keys,
                                    (long long)a->depth, (long long)a->width, a->causal ? " causal" : "",
                                    mask ? " mask" : "", s->plan_way >= 0 ? cn_dnn_version() : 0);
    return step->problem ? CORNU_OK : CN_NO_MEMORY(sizeof *a);
}
