/* Choosing between the ways in which steps can be made: from the plan cache, or by timing them on the device. */
#ifndef CN_BACKEND_CUDA_TUNE_H
#define CN_BACKEND_CUDA_TUNE_H

#include "backend/cuda/cuda.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Counts the changes of what a way's number means, so that older files are not used. */
#define CN_CUDA_WAYS 2

/* Sets the way of every step of an executable whose weights and memory are there. What cannot be timed keeps the guess; a cache that cannot be
 * written is said in e->tuning.note. Fails as a device does that is lost, and without memory. */
cornu_status cn_cuda_tune(cn_cuda_executable* e, const cn_device_options* options);

#ifdef __cplusplus
}
#endif

#endif
