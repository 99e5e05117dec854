/* What the driver code and the kernels share: the queue that work is launched on, tensors, the words of a run that live on the device.
 * Launchers are plain C functions, declared in one header a family beside its .cu file. They check nothing: sizes and dtypes were checked
 * when the graph was made. A launcher is not called for an empty result; inputs may be empty where the op allows it. */
#ifndef CN_KERNELS_KERNELS_H
#define CN_KERNELS_KERNELS_H

#include <cuda_runtime_api.h>
#include <stdbool.h>
#include <stdint.h>

#include "cornu.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef cudaError_t (*cn_launch_fn)(const void* kernel, dim3 grid, dim3 block, void** args, size_t shared_bytes, cudaStream_t stream);

/* Where a launcher puts its work. launch is cudaLaunchKernel and launch_together cudaLaunchCooperativeKernel, or what a test put in their places. */
typedef struct cn_queue {
    cudaStream_t stream;
    cn_launch_fn launch, launch_together;
} cn_queue;

/* Dense row-major elements on the device. */
typedef struct cn_shape {
    int ndim;
    int64_t dims[CORNU_MAX_DIMS];
} cn_shape;

/* An elementwise function of one input with its parameters, in kernel arguments: fn is a row number of ew.def. */
typedef struct cn_epilogue {
    int fn; /* 0 (copy): none */
    double p, q, r;
} cn_epilogue;

typedef enum cn_fault_code {
    CN_FAULT_NONE,
    CN_FAULT_INDEX,   /* an index outside [-limit, limit) */
    CN_FAULT_CHOLESKY /* a matrix that is not positive definite */
} cn_fault_code;

/* Words on the device that belong to one run: what random kernels draw from, and the first fault that a kernel found. A captured graph reads
 * them anew at every replay. */
typedef struct cn_run_words {
    uint64_t seed, counter;
    int32_t fault; /* cn_fault_code; set once, by the first kernel that finds one */
    int32_t node;  /* that found it */
    int64_t value, limit;
} cn_run_words;

/* The most dynamic and static shared memory that a kernel uses: every device since sm_50 has it without being asked. */
#define CN_SHARED_BYTES 49152

#ifdef __cplusplus
}
#endif

#endif
