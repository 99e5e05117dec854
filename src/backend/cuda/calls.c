/* The tables of calls: each entry counts, fails if a test wants it to, else calls what calls_real.c or host execution gave. And what a failure
 * of CUDA, cuBLASLt or cuDNN means to Cornu. */
#include "backend/cuda/calls.h"

#include <ctype.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* Written once by cn_calls_open, before any table is used. */
static cn_calls_source source;
static bool source_open;
static cn_dnn_source dnn;
static bool dnn_found;
static pthread_mutex_t open_lock = PTHREAD_MUTEX_INITIALIZER;

static atomic_bool lost;

/* ---- what an error is ---- */

/* After these the context is dead: nothing but the end of the process brings it back. */
static bool is_fatal(cudaError_t error) {
    switch (error) {
        case cudaErrorCudartUnloading:
        case cudaErrorECCUncorrectable:
        case cudaErrorNvlinkUncorrectable:
        case cudaErrorIllegalAddress:
        case cudaErrorLaunchTimeout:
        case cudaErrorContextIsDestroyed:
        case cudaErrorAssert:
        case cudaErrorHardwareStackError:
        case cudaErrorIllegalInstruction:
        case cudaErrorMisalignedAddress:
        case cudaErrorInvalidAddressSpace:
        case cudaErrorInvalidPc:
        case cudaErrorLaunchFailure:
        case cudaErrorUnknown: return true;
        default: return false;
    }
}

static cornu_status status_of(cudaError_t error) {
    if (is_fatal(error)) return CORNU_DEVICE_LOST;
    switch (error) {
        case cudaErrorMemoryAllocation: return CORNU_NO_MEMORY;
        case cudaErrorInitializationError:
        case cudaErrorStubLibrary:
        case cudaErrorInsufficientDriver:
        case cudaErrorNoDevice:
        case cudaErrorInvalidDevice:
        case cudaErrorDeviceUninitialized:
        case cudaErrorNoKernelImageForDevice:
        case cudaErrorInvalidPtx:
        case cudaErrorUnsupportedPtxVersion:
        case cudaErrorSystemNotReady:
        case cudaErrorSystemDriverMismatch:
        case cudaErrorCompatNotSupportedOnDevice: return CORNU_NO_DEVICE;
        default: return CORNU_DEVICE_ERROR;
    }
}

static cornu_status lt_status_of(cublasStatus_t error) {
    switch (error) {
        case CUBLAS_STATUS_ALLOC_FAILED: return CORNU_NO_MEMORY;
        case CUBLAS_STATUS_ARCH_MISMATCH: return CORNU_NO_DEVICE;
        default: return CORNU_DEVICE_ERROR;
    }
}

static const char* lt_name(cublasStatus_t error) {
    switch (error) {
        case CUBLAS_STATUS_SUCCESS: return "CUBLAS_STATUS_SUCCESS";
        case CUBLAS_STATUS_NOT_INITIALIZED: return "CUBLAS_STATUS_NOT_INITIALIZED (the library is not initialised)";
        case CUBLAS_STATUS_ALLOC_FAILED: return "CUBLAS_STATUS_ALLOC_FAILED (out of memory)";
        case CUBLAS_STATUS_INVALID_VALUE: return "CUBLAS_STATUS_INVALID_VALUE (an argument is not valid)";
        case CUBLAS_STATUS_ARCH_MISMATCH: return "CUBLAS_STATUS_ARCH_MISMATCH (the device cannot do it)";
        case CUBLAS_STATUS_MAPPING_ERROR: return "CUBLAS_STATUS_MAPPING_ERROR (memory could not be mapped)";
        case CUBLAS_STATUS_EXECUTION_FAILED: return "CUBLAS_STATUS_EXECUTION_FAILED (the device failed)";
        case CUBLAS_STATUS_INTERNAL_ERROR: return "CUBLAS_STATUS_INTERNAL_ERROR (an internal failure)";
        case CUBLAS_STATUS_NOT_SUPPORTED: return "CUBLAS_STATUS_NOT_SUPPORTED (not supported)";
        case CUBLAS_STATUS_LICENSE_ERROR: return "CUBLAS_STATUS_LICENSE_ERROR (no licence)";
    }
    return "an unknown status";
}

/* "cn_calls()->Malloc(&p, n)" and "calls->Malloc(&p, n)" to "cudaMalloc", "cn_k_swap(q, a)" and "cudaMalloc" as they are; what is no call to "". */
static const char* call_name(const char* call, const char* prefix, char* out, size_t size) {
    const char *of_function = strstr(call, "()->"), *of_table = strstr(call, "calls->");
    const char* member = of_function ? of_function + 4 : of_table ? of_table + 7 : NULL;
    const char* from = member ? member : call;
    int n = 0;

    while (isalnum((unsigned char)from[n]) || from[n] == '_') n++;
    if (member) (void)snprintf(out, size, "%s%.*s", prefix, n, from);
    else if (from[n] == '(') (void)snprintf(out, size, "the launch of %.*s", n, from);
    else if (strncmp(from, "cuda", 4) == 0 || strncmp(from, "cublas", 6) == 0) (void)snprintf(out, size, "%.*s", n, from);
    else (void)snprintf(out, size, "a call");
    return out;
}

static const char* file_name(const char* path) {
    const char* slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

size_t cn_dnn_version(void) { return cn_dnn() ? dnn.version() : 0; }
size_t cn_lt_version(void) { return source.lt_version ? source.lt_version() : 0; }

bool cn_cuda_lost(void) { return atomic_load(&lost); }

cornu_status cn_cuda_check(cudaError_t error, const char* call, const char* file, int line) {
    char name[96];
    cornu_status status;

    if (error == cudaSuccess && !cn_cuda_lost()) return CORNU_OK;
    (void)call_name(call, "cuda", name, sizeof name);
    if (error == cudaSuccess || (cn_cuda_lost() && !is_fatal(error))) {
        return cn_fail(CORNU_DEVICE_LOST, file, line, "%s, at %s:%d: an earlier error has ended the device's context", name, file_name(file), line);
    }
    status = status_of(error);
    if (status == CORNU_DEVICE_LOST) atomic_store(&lost, true);
    else if (source.cuda.GetLastError) (void)source.cuda.GetLastError(); /* else the next launch would be blamed for it */
    return cn_fail(status, file, line, "%s failed with %s (%s), at %s:%d", name, source.error_name ? source.error_name(error) : "an error",
                   source.error_text ? source.error_text(error) : "no CUDA runtime", file_name(file), line);
}

cornu_status cn_lt_check(cublasStatus_t error, const char* call, const char* file, int line) {
    char name[96];
    cornu_status status = lt_status_of(error);

    if (error == CUBLAS_STATUS_SUCCESS && !cn_cuda_lost()) return CORNU_OK;
    (void)call_name(call, "cublasLt", name, sizeof name);
    /* cuBLASLt has one status for all that happens to the device; CUDA knows whether it is dead. */
    if (!cn_cuda_lost() && source.cuda.GetLastError && is_fatal(cn_calls()->GetLastError())) atomic_store(&lost, true);
    if (cn_cuda_lost()) {
        return cn_fail(CORNU_DEVICE_LOST, file, line, "%s, at %s:%d: an earlier error has ended the device's context", name, file_name(file), line);
    }
    return cn_fail(status, file, line, "%s failed with %s, at %s:%d", name, lt_name(error), file_name(file), line);
}

static cornu_status dnn_status_of(cn_dnn_status error) {
    if (error == CN_DNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED || error == CN_DNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED) return CORNU_NO_MEMORY;
    return error / 1000 * 1000 == CN_DNN_STATUS_NOT_SUPPORTED ? CORNU_UNSUPPORTED : CORNU_DEVICE_ERROR;
}

cornu_status cn_dnn_check(cn_dnn_status error, const char* call, const char* file, int line) {
    char name[96], words[256] = "";

    if (error == CN_DNN_STATUS_SUCCESS && !cn_cuda_lost()) return CORNU_OK;
    (void)call_name(call, "cudnn", name, sizeof name);
    if (!cn_cuda_lost() && error >= CN_DNN_STATUS_INTERNAL_ERROR && is_fatal(cn_calls()->GetLastError())) atomic_store(&lost, true);
    if (cn_cuda_lost()) {
        return cn_fail(CORNU_DEVICE_LOST, file, line, "%s, at %s:%d: an earlier error has ended the device's context", name, file_name(file), line);
    }
    if (dnn.last_error) dnn.last_error(words, sizeof words);
    return cn_fail(dnn_status_of(error), file, line, "%s failed with %s%s%s, at %s:%d", name, dnn.error_text ? dnn.error_text(error) : "an error", words[0] ? ": " : "",
                   words, file_name(file), line);
}

/* ---- counting and failing ---- */

typedef struct injection {
    char name[64]; /* "": any call */
    long n, count;
    int error;
    bool sticky, hit;
} injection;

static pthread_mutex_t injection_lock = PTHREAD_MUTEX_INITIALIZER;
static injection injected;
static atomic_bool injecting;
static atomic_long uninjected; /* calls counted while nothing is injected */

long cn_calls_inject(const char* name, long n, int error, bool sticky) {
    long counted;

    (void)pthread_mutex_lock(&injection_lock);
    counted = atomic_exchange(&uninjected, 0) + injected.count;
    if (n == 0) atomic_store(&lost, false);
    memset(&injected, 0, sizeof injected);
    if (name) (void)snprintf(injected.name, sizeof injected.name, "%s", name);
    injected.n = n;
    injected.error = error;
    injected.sticky = sticky;
    atomic_store(&injecting, n > 0);
    (void)pthread_mutex_unlock(&injection_lock);
    return counted;
}

/* Counts a call; true if it has to fail. After a fatal error all of them do, whatever their name. */
static bool fails(const char* name, int* error) {
    bool fail = false;

    if (!atomic_load_explicit(&injecting, memory_order_relaxed)) {
        (void)atomic_fetch_add_explicit(&uninjected, 1, memory_order_relaxed);
        return false;
    }
    (void)pthread_mutex_lock(&injection_lock);
    if (!injected.name[0] || strcmp(injected.name, name) == 0) {
        injected.count++;
        fail = injected.n > 0 && (injected.count == injected.n || (injected.sticky && injected.count > injected.n));
    }
    if (injected.hit && injected.sticky && is_fatal((cudaError_t)injected.error)) fail = true;
    if (fail) injected.hit = true;
    *error = injected.error;
    (void)pthread_mutex_unlock(&injection_lock);
    return fail;
}

static bool ends_with(const char* text, const char* end) {
    size_t a = strlen(text), b = strlen(end);
    return a >= b && strcmp(text + a - b, end) == 0;
}

/* Calls that CUDA makes even when it reports a failure from them: what they give back is given back. */
static bool happens_anyway(const char* name) {
    return strncmp(name, "Free", 4) == 0 || strncmp(name, "Destroy", 7) == 0 || strncmp(name, "BackendDestroy", 14) == 0 || ends_with(name, "Destroy") ||
           ends_with(name, "Synchronize");
}

/* ---- watching ---- */

static _Thread_local cn_calls_watched* watched;

void cn_calls_watch(cn_calls_watched* out) {
    if (out) memset(out, 0, sizeof *out);
    watched = out;
}

/* kernel: of a launch, else NULL. */
static void watch(const char* prefix, const char* name, const void* kernel) {
    const char* text = NULL;

    if (!watched || watched->count++ > 0) return;
    if (kernel && source.cuda.FuncGetName(&text, kernel) == cudaSuccess && text) (void)snprintf(watched->first, sizeof watched->first, "%s", text);
    else (void)snprintf(watched->first, sizeof watched->first, "%s%s", prefix, name);
}

/* A status of cuBLASLt for an error that may have been meant for CUDA. */
static cublasStatus_t lt_error(int error) {
    bool meant = strncmp(injected.name, "Lt.", 3) == 0 && !is_fatal((cudaError_t)error);

    if (meant) return (cublasStatus_t)error;
    return error == cudaErrorMemoryAllocation ? CUBLAS_STATUS_ALLOC_FAILED : CUBLAS_STATUS_EXECUTION_FAILED;
}

#define CN_CALL(result, name, parameters, arguments)            \
    static result counted_##name parameters {                   \
        int error = 0;                                          \
        if (!fails(#name, &error)) return source.cuda.name arguments; \
        if (happens_anyway(#name)) (void)source.cuda.name arguments;  \
        return (cudaError_t)error;                              \
    }
CN_CUDA_CALLS(CN_CALL)
#undef CN_CALL

#define CN_CALL(result, name, parameters, arguments)            \
    static result counted_lt_##name parameters {                \
        int error = 0;                                          \
        if (!fails("Lt." #name, &error)) return source.lt.name arguments; \
        if (happens_anyway(#name)) (void)source.lt.name arguments;        \
        return lt_error(error);                                 \
    }
CN_CUBLASLT_CALLS(CN_CALL)
#undef CN_CALL

/* A status of cuDNN for an error that may have been meant for CUDA. */
static cn_dnn_status dnn_error(int error) {
    bool meant = strncmp(injected.name, "Dnn.", 4) == 0 && !is_fatal((cudaError_t)error);

    if (meant) return error;
    return error == cudaErrorMemoryAllocation ? CN_DNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED : CN_DNN_STATUS_EXECUTION_FAILED;
}

#define CN_CALL(result, name, parameters, arguments)              \
    static result counted_dnn_##name parameters {                 \
        int error = 0;                                            \
        if (!fails("Dnn." #name, &error)) return dnn.calls.name arguments; \
        if (happens_anyway(#name)) (void)dnn.calls.name arguments;         \
        return dnn_error(error);                                  \
    }
CN_CUDNN_CALLS(CN_CALL)
#undef CN_CALL

/* A capture ends even if that fails; then there is no graph. */
static cudaError_t counted_end_capture(cudaStream_t s, cudaGraph_t* out) {
    int error = 0;

    if (!fails("StreamEndCapture", &error)) return source.cuda.StreamEndCapture(s, out);
    if (source.cuda.StreamEndCapture(s, out) == cudaSuccess && *out) (void)source.cuda.GraphDestroy(*out);
    *out = NULL;
    return (cudaError_t)error;
}

/* Calls that put work on a stream are watched. */
static cudaError_t watched_launch(const void* kernel, dim3 grid, dim3 block, void** args, size_t shared_bytes, cudaStream_t s) {
    watch("cuda", "LaunchKernel", kernel);
    return counted_LaunchKernel(kernel, grid, block, args, shared_bytes, s);
}

static cudaError_t watched_launch_together(const void* kernel, dim3 grid, dim3 block, void** args, size_t shared_bytes,
                                           cudaStream_t s) {
    watch("cuda", "LaunchCooperativeKernel", kernel);
    return counted_LaunchCooperativeKernel(kernel, grid, block, args, shared_bytes, s);
}

static cudaError_t watched_copy(void* dst, const void* src, size_t bytes, enum cudaMemcpyKind kind, cudaStream_t s) {
    watch("cuda", "MemcpyAsync", NULL);
    return counted_MemcpyAsync(dst, src, bytes, kind, s);
}

static cudaError_t watched_set(void* dst, int value, size_t bytes, cudaStream_t s) {
    watch("cuda", "MemsetAsync", NULL);
    return counted_MemsetAsync(dst, value, bytes, s);
}

static cublasStatus_t watched_matmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, const void* alpha, const void* a, cublasLtMatrixLayout_t a_layout,
                                     const void* b, cublasLtMatrixLayout_t b_layout, const void* beta, const void* c, cublasLtMatrixLayout_t c_layout,
                                     void* d, cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t* algo, void* workspace,
                                     size_t workspace_bytes, cudaStream_t s) {
    watch("cublasLt", "Matmul", NULL);
    return counted_lt_Matmul(handle, desc, alpha, a, a_layout, b, b_layout, beta, c, c_layout, d, d_layout, algo, workspace, workspace_bytes, s);
}

static cn_dnn_status watched_execute(cn_dnn_handle_t handle, cn_dnn_descriptor plan, cn_dnn_descriptor pack) {
    watch("cudnn", "BackendExecute", NULL);
    return counted_dnn_BackendExecute(handle, plan, pack);
}

/* ---- the tables ---- */

#define CN_CALL(result, name, parameters, arguments) .name = counted_##name,
static cn_cuda_calls calls = {CN_CUDA_CALLS(CN_CALL)};
#undef CN_CALL

#define CN_CALL(result, name, parameters, arguments) .name = counted_lt_##name,
static cn_cublaslt_calls lt_calls = {CN_CUBLASLT_CALLS(CN_CALL)};
#undef CN_CALL

#define CN_CALL(result, name, parameters, arguments) .name = counted_dnn_##name,
static cn_cudnn_calls dnn_calls = {CN_CUDNN_CALLS(CN_CALL)};
#undef CN_CALL

static void find_dnn(void) {
    dnn_found = cn_calls_fill_dnn(&dnn);
    dnn_calls.BackendExecute = watched_execute;
}

const cn_cudnn_calls* cn_dnn(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, find_dnn);
    return dnn_found ? &dnn_calls : NULL;
}

const cn_cuda_calls* cn_calls(void) { return &calls; }
const cn_cublaslt_calls* cn_lt(void) { return &lt_calls; }

cornu_status cn_calls_open(void) {
    cornu_status st = CORNU_OK;

    (void)pthread_mutex_lock(&open_lock);
    if (!source_open) {
        st = cn_calls_fill(&source);
        source_open = st == CORNU_OK;
        (void)counted_StreamEndCapture; /* the other one stands in for it */
        calls.StreamEndCapture = counted_end_capture;
        calls.LaunchKernel = watched_launch;
        calls.LaunchCooperativeKernel = watched_launch_together;
        calls.MemcpyAsync = watched_copy;
        calls.MemsetAsync = watched_set;
        lt_calls.Matmul = watched_matmul;
    }
    (void)pthread_mutex_unlock(&open_lock);
    return st;
}
