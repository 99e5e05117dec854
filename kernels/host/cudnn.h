/* cuDNN of host execution: the functions of cuDNN 9 that Cornu calls (src/backend/cuda/cudnn_api.h), under their own
 * names. As cublaslt.h's, it demands all that the manual demands, says on stderr what was wrong and gives the status
 * that the manual names; it computes what the notes of the chosen engine promise and no more.
 *
 *     graphs      a convolution, or convolution [-> + z] -> + bias [-> relu] in this order, of tensors that are packed in one
 *                 order of axes; attention without a mask. Other graphs have no engine, as the library has none for them
 *                 that is not compiled at run time
 *     engines     of each kind that a caller has to tell apart (cudnn_engines.cc). Each spoils the result as its notes
 *                 allow, so that a caller that may not use it sees it in the result; some cannot be built, one wants
 *                 more workspace than there is
 *     sums        in double, rounded once to float; each step behind is rounded to float, the result to its type
 *     checked     attributes: applicable, of the right type, count and value, none after it is finalized; descriptors
 *                 finalized before they are used; shapes; each virtual tensor made once and used; memory of every
 *                 operand within one block of the device, as aligned as promised, results apart from operands; the
 *                 workspace, which is filled with garbage; the handle's device and stream
 *     recurrent   one layer, one direction, two biases, padded and batch-major; parts of the weight space lie apart
 *
 * Status codes are the exact ones (2004, not 2000): a caller has to look at their class. */
#ifndef CN_KERNELS_HOST_CUDNN_H
#define CN_KERNELS_HOST_CUDNN_H

#include "backend/cuda/cudnn_api.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CN_CALL(result, name, parameters, arguments) result cudnn##name parameters;
CN_CUDNN_CALLS(CN_CALL)
#undef CN_CALL

/* 91900. */
size_t cudnnGetVersion(void);
/* "CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED". */
const char* cudnnGetErrorString(cn_dnn_status status);
/* What was wrong in this thread's last call that failed; "" when there was none since it was asked for. */
void cudnnGetLastErrorString(char* out, size_t room);

/* The same functions as a table, and cudnnGetLastErrorString, exported from the plug-in for tests of the stand-in
 * itself. */
__attribute__((visibility("default"))) const cn_cudnn_calls* cn_host_cudnn(void);
__attribute__((visibility("default"))) void cn_host_cudnn_last_error(char* out, size_t room);

#ifdef __cplusplus
}
#endif

#endif
