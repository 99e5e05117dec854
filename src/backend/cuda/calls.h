/* Every call into CUDA, cuBLASLt and cuDNN goes through one table, so that tests can make each of them fail, and so that the two libraries are
 * looked for at run time. Kernels are launched through it too (cn_queue.launch).
 *
 *     CN_CUDA(cn_calls()->Malloc(&p, bytes));        in a function that owns nothing: leaves with the failure
 *     CN_STEP(cn_cuda_check(cn_calls()->..., "cudaMalloc", __FILE__, __LINE__))
 *
 * A failure names the call, CUDA's own sentence and the layer at work. cudaErrorMemoryAllocation is CORNU_NO_MEMORY; an error after which the
 * context is dead is CORNU_DEVICE_LOST, and from then on every check fails with it at once. */
#ifndef CN_BACKEND_CUDA_CALLS_H
#define CN_BACKEND_CUDA_CALLS_H

#include <cublasLt.h>
#include <cuda_runtime_api.h>
#include <stdbool.h>

#include "backend/cuda/cudnn_api.h"
#include "base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* CN_CALL(result, name, parameters, arguments): members of the table are named as the function without its prefix. */
#if CUDART_VERSION >= 12080
#define CN_CUDA_CALLS_12_8(CN_CALL) CN_CALL(cudaError_t, StreamGetDevice, (cudaStream_t s, int* device), (s, device))
#else
#define CN_CUDA_CALLS_12_8(CN_CALL)
#endif
#define CN_CUDA_CALLS(CN_CALL) \
    CN_CUDA_CALLS_12_8(CN_CALL) \
    CN_CALL(cudaError_t, DriverGetVersion, (int* version), (version)) \
    CN_CALL(cudaError_t, RuntimeGetVersion, (int* version), (version)) \
    CN_CALL(cudaError_t, GetDeviceCount, (int* count), (count)) \
    CN_CALL(cudaError_t, SetDevice, (int device), (device)) \
    CN_CALL(cudaError_t, GetDeviceProperties, (struct cudaDeviceProp* out, int device), (out, device)) \
    CN_CALL(cudaError_t, GetLastError, (void), ()) \
    CN_CALL(cudaError_t, Malloc, (void** out, size_t bytes), (out, bytes)) \
    CN_CALL(cudaError_t, Free, (void* memory), (memory)) \
    CN_CALL(cudaError_t, MallocHost, (void** out, size_t bytes), (out, bytes)) \
    CN_CALL(cudaError_t, FreeHost, (void* memory), (memory)) \
    CN_CALL(cudaError_t, PointerGetAttributes, (struct cudaPointerAttributes* out, const void* address), (out, address)) \
    CN_CALL(cudaError_t, DeviceSynchronize, (void), ()) \
    CN_CALL(cudaError_t, MemcpyAsync, (void* dst, const void* src, size_t bytes, enum cudaMemcpyKind kind, cudaStream_t s), (dst, src, bytes, kind, s)) \
    CN_CALL(cudaError_t, MemsetAsync, (void* dst, int value, size_t bytes, cudaStream_t s), (dst, value, bytes, s)) \
    CN_CALL(cudaError_t, StreamCreateWithFlags, (cudaStream_t * out, unsigned flags), (out, flags)) \
    CN_CALL(cudaError_t, StreamDestroy, (cudaStream_t s), (s)) \
    CN_CALL(cudaError_t, StreamSynchronize, (cudaStream_t s), (s)) \
    CN_CALL(cudaError_t, StreamWaitEvent, (cudaStream_t s, cudaEvent_t event, unsigned flags), (s, event, flags)) \
    CN_CALL(cudaError_t, StreamBeginCapture, (cudaStream_t s, enum cudaStreamCaptureMode mode), (s, mode)) \
    CN_CALL(cudaError_t, StreamEndCapture, (cudaStream_t s, cudaGraph_t* out), (s, out)) \
    CN_CALL(cudaError_t, GraphInstantiate, (cudaGraphExec_t * out, cudaGraph_t graph, unsigned long long flags), (out, graph, flags)) \
    CN_CALL(cudaError_t, GraphLaunch, (cudaGraphExec_t graph, cudaStream_t s), (graph, s)) \
    CN_CALL(cudaError_t, GraphExecDestroy, (cudaGraphExec_t graph), (graph)) \
    CN_CALL(cudaError_t, GraphDestroy, (cudaGraph_t graph), (graph)) \
    CN_CALL(cudaError_t, EventCreateWithFlags, (cudaEvent_t * out, unsigned flags), (out, flags)) \
    CN_CALL(cudaError_t, EventDestroy, (cudaEvent_t event), (event)) \
    CN_CALL(cudaError_t, EventRecord, (cudaEvent_t event, cudaStream_t s), (event, s)) \
    CN_CALL(cudaError_t, EventSynchronize, (cudaEvent_t event), (event)) \
    CN_CALL(cudaError_t, EventElapsedTime, (float* ms, cudaEvent_t start, cudaEvent_t end), (ms, start, end)) \
    CN_CALL(cudaError_t, DeviceGetAttribute, (int* out, enum cudaDeviceAttr attr, int device), (out, attr, device)) \
    CN_CALL(cudaError_t, FuncGetName, (const char** out, const void* kernel), (out, kernel)) \
    CN_CALL(cudaError_t, OccupancyMaxActiveBlocksPerMultiprocessor, (int* out, const void* kernel, int threads, size_t shared_bytes), (out, kernel, threads, shared_bytes)) \
    CN_CALL(cudaError_t, LaunchCooperativeKernel, (const void* kernel, dim3 grid, dim3 block, void** args, size_t shared_bytes, cudaStream_t s), (kernel, grid, block, args, shared_bytes, s)) \
    CN_CALL(cudaError_t, LaunchKernel, (const void* kernel, dim3 grid, dim3 block, void** args, size_t shared_bytes, cudaStream_t s), (kernel, grid, block, args, shared_bytes, s))

/* The same of cuBLASLt. */
#define CN_CUBLASLT_CALLS(CN_CALL) \
    CN_CALL(cublasStatus_t, Create, (cublasLtHandle_t * out), (out)) \
    CN_CALL(cublasStatus_t, Destroy, (cublasLtHandle_t handle), (handle)) \
    CN_CALL(cublasStatus_t, MatmulDescCreate, (cublasLtMatmulDesc_t * out, cublasComputeType_t compute, cudaDataType_t scale), (out, compute, scale)) \
    CN_CALL(cublasStatus_t, MatmulDescDestroy, (cublasLtMatmulDesc_t desc), (desc)) \
    CN_CALL(cublasStatus_t, MatmulDescSetAttribute, (cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t attr, const void* value, size_t size), (desc, attr, value, size)) \
    CN_CALL(cublasStatus_t, MatrixLayoutCreate, (cublasLtMatrixLayout_t * out, cudaDataType type, uint64_t rows, uint64_t cols, int64_t ld), (out, type, rows, cols, ld)) \
    CN_CALL(cublasStatus_t, MatrixLayoutDestroy, (cublasLtMatrixLayout_t layout), (layout)) \
    CN_CALL(cublasStatus_t, MatrixLayoutSetAttribute, (cublasLtMatrixLayout_t layout, cublasLtMatrixLayoutAttribute_t attr, const void* value, size_t size), (layout, attr, value, size)) \
    CN_CALL(cublasStatus_t, MatmulPreferenceCreate, (cublasLtMatmulPreference_t * out), (out)) \
    CN_CALL(cublasStatus_t, MatmulPreferenceDestroy, (cublasLtMatmulPreference_t pref), (pref)) \
    CN_CALL(cublasStatus_t, MatmulPreferenceSetAttribute, (cublasLtMatmulPreference_t pref, cublasLtMatmulPreferenceAttributes_t attr, const void* value, size_t size), (pref, attr, value, size)) \
    CN_CALL(cublasStatus_t, MatmulAlgoGetHeuristic, (cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d, cublasLtMatmulPreference_t pref, int requested, cublasLtMatmulHeuristicResult_t results[], int* returned), (handle, desc, a, b, c, d, pref, requested, results, returned)) \
    CN_CALL(cublasStatus_t, Matmul, (cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, const void* alpha, const void* a, cublasLtMatrixLayout_t a_layout, const void* b, cublasLtMatrixLayout_t b_layout, const void* beta, const void* c, cublasLtMatrixLayout_t c_layout, void* d, cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t* algo, void* workspace, size_t workspace_bytes, cudaStream_t s), (handle, desc, alpha, a, a_layout, b, b_layout, beta, c, c_layout, d, d_layout, algo, workspace, workspace_bytes, s))

typedef struct cn_cuda_calls {
#define CN_CALL(result, name, parameters, arguments) result(*name) parameters;
    CN_CUDA_CALLS(CN_CALL)
#undef CN_CALL
} cn_cuda_calls;

typedef struct cn_cublaslt_calls {
#define CN_CALL(result, name, parameters, arguments) result(*name) parameters;
    CN_CUBLASLT_CALLS(CN_CALL)
#undef CN_CALL
} cn_cublaslt_calls;

/* The tables; filled by cn_calls_open, the same for the whole process from then on. */
const cn_cuda_calls* cn_calls(void);
const cn_cublaslt_calls* cn_lt(void);
/* cuDNN's, NULL where it is not installed; looked for when this is first called, after cn_calls_open. Thread-safe. */
const cn_cudnn_calls* cn_dnn(void);
/* Fills the tables: the runtime is linked in, cuBLASLt is looked for. CORNU_NO_DEVICE names the library that is lacking. Thread-safe. */
cornu_status cn_calls_open(void);
/* What the tables lead to: "CUDA 13.0" or "host execution". */
const char* cn_calls_kind(void);

/* What calls.c wants of the side that has the functions: calls_real.c (CUDA itself) or kernels/host (host execution). May be called again
 * after a failure. */
typedef struct cn_calls_source {
    cn_cuda_calls cuda;
    cn_cublaslt_calls lt;
    const char* (*error_name)(cudaError_t error);   /* "cudaErrorMemoryAllocation" */
    const char* (*error_text)(cudaError_t error);   /* "out of memory" */
    size_t (*lt_version)(void);                     /* 130100 */
} cn_calls_source;
cornu_status cn_calls_fill(cn_calls_source* out);
/* The same for cuDNN. false: it is not there, or lacks a function. */
typedef struct cn_dnn_source {
    cn_cudnn_calls calls;
    size_t (*version)(void);                      /* 91900 */
    const char* (*error_text)(int status);
    void (*last_error)(char* text, size_t size);  /* what was wrong, in its words */
} cn_dnn_source;
bool cn_calls_fill_dnn(cn_dnn_source* out);

/* cuBLASLt's version, 130100. */
size_t cn_lt_version(void);
/* cuDNN's version, 91900; 0 without it. */
size_t cn_dnn_version(void);
/* What this thread put on streams between two calls of cn_calls_watch: for profiles. */
typedef struct cn_calls_watched {
    int count;       /* kernels, products of cuBLASLt, plans of cuDNN, copies */
    char first[256]; /* what the first was: a kernel's name as the linker knows it, "cublasLtMatmul", "cudnnBackendExecute", "cudaMemcpyAsync", "cudaMemsetAsync" */
} cn_calls_watched;
/* From now on this thread's calls are noted in *out; NULL ends it. */
void cn_calls_watch(cn_calls_watched* out);

cornu_status cn_cuda_check(cudaError_t error, const char* call, const char* file, int line);
cornu_status cn_lt_check(cublasStatus_t error, const char* call, const char* file, int line);
cornu_status cn_dnn_check(cn_dnn_status error, const char* call, const char* file, int line); /* what it cannot do: CORNU_UNSUPPORTED */
#define CN_CUDA_OK(call) cn_cuda_check(call, #call, __FILE__, __LINE__)
#define CN_LT_OK(call) cn_lt_check(call, #call, __FILE__, __LINE__)
#define CN_DNN_OK(call) cn_dnn_check(call, #call, __FILE__, __LINE__)
#define CN_CUDA(call) CN_TRY(CN_CUDA_OK(call))
#define CN_LT(call) CN_TRY(CN_LT_OK(call))
/* Whether the context is dead. */
bool cn_cuda_lost(void);

/* For tests: the n-th call from now on (1: the next) fails with error, and every one after it if sticky; name NULL: any call, else only calls of
 * that name ("Malloc", "Lt.Matmul", "Dnn.BackendExecute"). n 0 ends it, and the context counts as alive again. Returns how many calls of the
 * former name were counted since the last use. A call that frees, destroys, synchronises or ends a capture is made all the same before it
 * is said to have failed, as CUDA does when it reports an earlier failure. Thread-safe. */
typedef long (*cn_calls_inject_fn)(const char* name, long n, int error, bool sticky);
long cn_calls_inject(const char* name, long n, int error, bool sticky);

#ifdef __cplusplus
}
#endif

#endif
