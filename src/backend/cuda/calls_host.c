/* Host execution: the functions are those of kernels/host, linked in under CUDA's names. */
#include <stdlib.h>
#include <string.h>

#include "backend/cuda/calls.h"
#include "kernels/host/cudnn.h"

const char* cn_calls_kind(void) { return "host execution"; }

static size_t no_version(void) { return 0; }

cornu_status cn_calls_fill(cn_calls_source* out) {
#define CN_CALL(result, name, parameters, arguments) out->cuda.name = cuda##name;
    CN_CUDA_CALLS(CN_CALL)
#undef CN_CALL
#define CN_CALL(result, name, parameters, arguments) out->lt.name = cublasLt##name;
    CN_CUBLASLT_CALLS(CN_CALL)
#undef CN_CALL
    out->error_name = cudaGetErrorName;
    out->error_text = cudaGetErrorString;
    out->lt_version = no_version;
    return CORNU_OK;
}

/* CORNU_CUDNN_LIBRARY=none: a machine without it. */
bool cn_calls_fill_dnn(cn_dnn_source* out) {
    const char* wanted = getenv("CORNU_CUDNN_LIBRARY");

#define CN_CALL(result, name, parameters, arguments) out->calls.name = cudnn##name;
    CN_CUDNN_CALLS(CN_CALL)
#undef CN_CALL
    out->version = cudnnGetVersion;
    out->error_text = cudnnGetErrorString;
    out->last_error = cudnnGetLastErrorString;
    return !wanted || strcmp(wanted, "none") != 0;
}

/* For tests, which make memory and streams with it as a caller of Cornu does with CUDA. */
#define EXPORTED __attribute__((visibility("default")))
EXPORTED cornu_status cn_host_open(void);
EXPORTED const cn_cuda_calls* cn_host_calls(void);
EXPORTED const cn_cublaslt_calls* cn_host_lt(void);

cornu_status cn_host_open(void) { return cn_calls_open(); }
const cn_cuda_calls* cn_host_calls(void) { return cn_calls(); }
const cn_cublaslt_calls* cn_host_lt(void) { return cn_lt(); }
