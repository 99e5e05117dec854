/* The table of the ops' kernel families. */
#ifndef CN_BACKEND_CUDA_STEPS_H
#define CN_BACKEND_CUDA_STEPS_H

#include "backend/cuda/cuda.h"

#ifdef __cplusplus
extern "C" {
#endif

/* NULL: no kernel (inputs, constants and variables, which are not run). */
cn_cuda_prepare cn_cuda_prepare_of(cn_op op);

#ifdef __cplusplus
}
#endif

#endif
