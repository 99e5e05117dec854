/* The kernels of replay.c; replay_kernels.cu has them. Each launches on the stream and returns the launch's error. */
#ifndef TESTS_GPU_CHECK_REPLAY_H
#define TESTS_GPU_CHECK_REPLAY_H

#include <cuda_runtime_api.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define REPLAY_NUMBERS 32 /* of the chain */

/* Adds 1 to each of REPLAY_NUMBERS floats: a chain of them adds as many, if each waits for the one before it.
 * programmatic: the kernel may start before the one in front of it on the stream has ended, and waits for it itself
 * (programmatic dependent launch; compute capability 9.0). */
cudaError_t replay_link(int programmatic, float* x, cudaStream_t stream);

/* y = softsign, elu, softsign ... of x, ops functions in all (2, 4, 8 or 12), compiled into one kernel. x and y:
 * 16-byte vectors of float32, or of bfloat16 where half is 1; float32 in between. */
cudaError_t replay_fused(int ops, int half, const void* x, void* y, int64_t vectors, cudaStream_t stream);

/* Random numbers in [-1, 1) for x. */
cudaError_t replay_fill(int half, void* x, int64_t vectors, cudaStream_t stream);

#ifdef __cplusplus
}
#endif

#endif
