/* cuDNN as ways of steps: graphs of an executable, made when a way of cuDNN is first taken and shared by steps with the
 * same problem. The library is never the guess: it is taken where timing, or a plan cache made by timing, says that it
 * is faster. */
#ifndef CN_BACKEND_CUDA_CUDNN_H
#define CN_BACKEND_CUDA_CUDNN_H

#include "backend/cuda/cuda.h"
#include "backend/cuda/cudnn_graph.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Whether steps of this executable may have ways of cuDNN: it is installed, and ways are chosen at all. */
bool cn_cuda_has_dnn(const cn_cuda_executable* e);

/* The most workspace that a plan may have, for operands of that many bytes. Asks for it. */
uint64_t cn_cuda_dnn_workspace(cn_cuda_executable* e, uint64_t operand_bytes);

/* Makes the graph of a problem out of args, which only make looks at. */
typedef cornu_status (*cn_cuda_dnn_make)(const cn_dnn_target* target, const void* args, cn_dnn_graph* out);

/* The graph of a problem with at least plan + 1 plans; made anew if no step took it before. It lives as long as the
 * executable, or until cn_cuda_dnn_keep_taken. CORNU_UNSUPPORTED: the library has no such plan. */
cornu_status cn_cuda_dnn_take(cn_cuda_executable* e, const char* problem, cn_cuda_dnn_make make, const void* args,
                              const cn_dnn_limits* limits, int plan, const cn_dnn_graph** out);

/* The library's handle, made when it is first asked for. */
cornu_status cn_cuda_dnn_handle(cn_cuda_executable* e, cn_dnn_handle_t* out);

/* Gives back the graphs that were not taken since the last call, and the library's handle if
 * nothing is left that was made with it. */
void cn_cuda_dnn_keep_taken(cn_cuda_executable* e);
/* Gives everything back. */
void cn_cuda_dnn_close(cn_cuda_executable* e);

/* For launch functions: a plan's work on the frame's queue. */
cornu_status cn_cuda_dnn_run(const cn_cuda_frame* frame, const cn_dnn_graph* graph, int plan,
                             const cn_dnn_binding* bindings, int count);

#ifdef __cplusplus
}
#endif

#endif
