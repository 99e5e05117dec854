/* Recurrent layers by cuDNN: those without a mask, from the first step to the last, with the functions that it has
 * (tanh and sigmoid; of SimpleRNN also relu; of GRU reset_after).
 *
 * The library makes the input's product itself, but here it is made already (z). So it is given z for its input, and
 * for each gate's input matrix the one that picks the gate's part out of z; multiplying by ones and zeros changes no
 * bit of a finite z. (An infinite one makes its step NaN, where the kernels would only saturate a gate.) */
#ifndef CN_BACKEND_CUDA_CUDNN_RNN_H
#define CN_BACKEND_CUDA_CUDNN_RNN_H

#include "backend/cuda/cudnn.h"
#include "kernels/rnn.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CN_DNN_RNN_WAYS 3 /* algorithms of the library */

typedef struct cn_dnn_recurrence cn_dnn_recurrence;

/* Whether the library has it. a's pointers are not looked at. */
bool cn_dnn_rnn_fits(const cn_rnn_args* a, bool mask);
/* Bytes of scratch that a run may need. */
uint64_t cn_dnn_rnn_scratch(const cn_rnn_args* a);
/* Makes what way `algorithm` (below CN_DNN_RNN_WAYS) runs with. CORNU_UNSUPPORTED: the library does not have it for
 * these sizes. */
cornu_status cn_dnn_rnn_create(cn_cuda_executable* e, const cn_rnn_args* a, int algorithm, cn_dnn_recurrence** out);
/* Accepts NULL. */
void cn_dnn_rnn_destroy(cn_dnn_recurrence* r);
/* a with all its pointers. */
cornu_status cn_dnn_rnn_run(const cn_dnn_recurrence* r, const cn_rnn_args* a, const cn_cuda_frame* frame);

#ifdef __cplusplus
}
#endif

#endif
