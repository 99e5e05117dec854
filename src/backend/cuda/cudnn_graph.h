/* Operation graphs of cuDNN, and the plans that the library proposes for them. A graph can be made for a device that is
 * not there, from its properties: then its plans show what the library would do, and cannot be run. */
#ifndef CN_BACKEND_CUDA_CUDNN_GRAPH_H
#define CN_BACKEND_CUDA_CUDNN_GRAPH_H

#include "backend/cuda/calls.h"
#include "kernels/conv.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cn_dnn_target {
    const cn_cudnn_calls* calls;
    cn_dnn_handle_t handle;   /* of a device, or NULL */
    cn_dnn_descriptor device; /* CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, where handle is NULL */
} cn_dnn_target;

/* Which plans may be proposed. Never those that transform the problem (Winograd, FFT), sum in less than float32, or
 * give other bits from run to run. */
typedef struct cn_dnn_limits {
    uint64_t workspace_bytes;
    bool compiled; /* also those that are compiled when they are made, which takes a second or two */
    int plans;     /* at most, up to CN_DNN_PLANS */
} cn_dnn_limits;

#define CN_DNN_PLANS 4
#define CN_DNN_PARTS 64

typedef struct cn_dnn_graph {
    const cn_cudnn_calls* calls;
    cn_dnn_descriptor parts[CN_DNN_PARTS]; /* everything that was made, destroyed last first */
    int part_count;
    cn_dnn_descriptor graph;
    cn_dnn_descriptor plans[CN_DNN_PLANS]; /* the best first, as the library ranks them */
    uint64_t workspace_bytes[CN_DNN_PLANS];
    int plan_count;
} cn_dnn_graph;

/* Memory that a plan runs with, by the numbers that the graph gave its tensors. */
typedef enum cn_dnn_tensor_id {
    CN_DNN_NONE,
    CN_DNN_X,
    CN_DNN_W,
    CN_DNN_BIAS,
    CN_DNN_RESIDUAL,
    CN_DNN_Y,
    CN_DNN_Q,
    CN_DNN_K,
    CN_DNN_V,
    CN_DNN_SCALE,
    CN_DNN_VIRTUAL
} cn_dnn_tensor_id;
typedef struct cn_dnn_binding {
    cn_dnn_tensor_id id;
    const void* address; /* on the device, aligned to 16; of CN_DNN_SCALE a float on the host */
} cn_dnn_binding;

/* CUDNN_DATA of float32, float16 or bfloat16. */
int cn_dnn_data_type(int dtype);

/* y = relu?(x * w (+ residual) (+ bias)), of which the library has plans for x * w, x * w + bias, relu of that, and
 * both with a residual: x, y and residual channels last, w as [filters, cells, channels / groups], everything in
 * a->dtype (float32, float16 or bfloat16), products summed in float32. Where a weight is infinite, the zeros of the
 * padding may make NaN. a->act is not looked at. On failure out holds nothing; CORNU_UNSUPPORTED: the library has no
 * such graph. */
cornu_status cn_dnn_conv_graph(const cn_dnn_target* target, const cn_conv_args* a, bool bias, bool residual, bool relu,
                               cn_dnn_graph* out);

/* y = softmax(q k^T * scale) v: q, y [batch, heads, queries, depth], k [batch, kv_heads, keys, depth], v [batch,
 * kv_heads, keys, width], dense, of a 16-bit dtype. From cuDNN 9.13 on. */
typedef struct cn_dnn_attention {
    int dtype;
    int64_t batch, heads, kv_heads, queries, keys, depth, width;
} cn_dnn_attention;
cornu_status cn_dnn_attention_graph(const cn_dnn_target* target, const cn_dnn_attention* a, cn_dnn_graph* out);

/* Fills graph->plans: as the heuristics rank them, or where those know none, what is there as a last resort. None is no
 * failure. */
cornu_status cn_dnn_find_plans(const cn_dnn_target* target, const cn_dnn_limits* limits, cn_dnn_graph* graph);
/* Puts a plan's work on the stream that the handle has. */
cornu_status cn_dnn_execute(const cn_dnn_graph* graph, cn_dnn_handle_t handle, int plan, const cn_dnn_binding* bindings,
                            int count, void* workspace);
/* Accepts what is zeroed. */
void cn_dnn_graph_deinit(cn_dnn_graph* graph);

#ifdef __cplusplus
}
#endif

#endif
