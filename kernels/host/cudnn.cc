/* cuDNN of host execution, see cudnn.h: handles, old tensor and dropout descriptors, statuses, and the values of the
 * element types. */
#include "kernels/host/cudnn.h"

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "kernels/host/cudnn_parts.h"
#include "kernels/host/runtime.h"

#define VERSION 91900
#define MOST_DIMS 8

namespace cn_dnn {

namespace {

thread_local char last_error[512];

}  // namespace

objects& all() {
    static objects* o = new objects;
    return *o;
}

cn_dnn_status refuse(status code, const char* format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(last_error, sizeof last_error, format, args);
    va_end(args);
    cn_host::complain("cuDNN: %s (%s)", last_error, cudnnGetErrorString(code));
    return code;
}

cn_dnn_status decline(status code, const char* format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(last_error, sizeof last_error, format, args);
    va_end(args);
    return code;
}

cn_dnn_status status_of(cudaError_t error) {
    if (error == cudaSuccess) return SUCCESS;
    if (error == cudaErrorInvalidResourceHandle)
        return refuse(BAD_PARAM_STREAM_MISMATCH, "the handle's stream is none, or one of another device");
    return refuse(EXECUTION_FAILED_CUDART, "work cannot be put on the stream: %s", cudaGetErrorName(error));
}

cn_dnn_status check_handle(cn_dnn_handle_t handle) {
    int device = -1;
    if (!handle) return refuse(BAD_PARAM_NULL_POINTER, "no handle");
    if (!all().handles.has(handle)) return refuse(NOT_INITIALIZED, "a handle that is none");
    (void)cudaGetDevice(&device);
    if (device != handle->device)
        return refuse(BAD_PARAM, "a handle of device %d is used while device %d is the current one", handle->device,
                      device);
    return SUCCESS;
}

/* ---- values ---- */

size_t size_of(int type) {
    switch (type) {
        case CN_DNN_DATA_FLOAT: return 4;
        case CN_DNN_DATA_HALF:
        case CN_DNN_DATA_BFLOAT16: return 2;
        default: return 0;
    }
}

double load(int type, const void* x, int64_t i) {
    switch (type) {
        case CN_DNN_DATA_FLOAT: return static_cast<const float*>(x)[i];
        case CN_DNN_DATA_HALF: return __half2float(static_cast<const __half*>(x)[i]);
        default: return __bfloat162float(static_cast<const __nv_bfloat16*>(x)[i]);
    }
}

void store(int type, void* y, int64_t i, double v) {
    switch (type) {
        case CN_DNN_DATA_FLOAT: static_cast<float*>(y)[i] = static_cast<float>(v); break;
        case CN_DNN_DATA_HALF: static_cast<__half*>(y)[i] = __double2half(v); break;
        default: static_cast<__nv_bfloat16*>(y)[i] = __double2bfloat16(v); break;
    }
}

float round_bits(double v, int bits) {
    float x = static_cast<float>(v);
    uint32_t word, dropped = 23u - static_cast<uint32_t>(bits);
    memcpy(&word, &x, sizeof word);
    if ((word & 0x7f800000u) != 0x7f800000u)
        word = (word + (1u << (dropped - 1)) - 1u + ((word >> dropped) & 1u)) & ~((1u << dropped) - 1u);
    memcpy(&x, &word, sizeof word);
    return x;
}

bool overlap(const void* x, size_t x_bytes, const void* y, size_t y_bytes) {
    uintptr_t a = reinterpret_cast<uintptr_t>(x), b = reinterpret_cast<uintptr_t>(y);
    return a < b + y_bytes && b < a + x_bytes;
}

int64_t extent(const std::vector<int64_t>& dims, const std::vector<int64_t>& strides) {
    int64_t last = 0;
    for (size_t i = 0; i < dims.size(); i++) last += (dims[i] - 1) * strides[i];
    return last + 1;
}

}  // namespace cn_dnn

using namespace cn_dnn;

void cn_host::get_dnn_usage(cn_host_usage* out) {
    out->dnn_handles = all().handles.count();
    out->dnn_objects = all().tensors.count() + all().dropouts.count() + all().rnns.count() + all().rnn_data.count() +
                       descriptor_count();
}

/* ---- the interface ---- */

size_t cudnnGetVersion(void) { return VERSION; }

const char* cudnnGetErrorString(cn_dnn_status status) {
    switch (status) {
#define S(name, number) \
    case number: return "CUDNN_STATUS_" #name;
        CN_DNN_STATUSES(S)
#undef S
        default: return "CUDNN_UNKNOWN_STATUS";
    }
}

void cudnnGetLastErrorString(char* out, size_t room) {
    if (room == 0) return;
    snprintf(out, room, "%s", last_error);
    last_error[0] = 0;
}

void cn_host_cudnn_last_error(char* out, size_t room) { cudnnGetLastErrorString(out, room); }

const cn_cudnn_calls* cn_host_cudnn(void) {
    static const cn_cudnn_calls calls = {
#define CN_CALL(result, name, parameters, arguments) cudnn##name,
        CN_CUDNN_CALLS(CN_CALL)
#undef CN_CALL
    };
    return &calls;
}

cn_dnn_status cudnnCreate(cn_dnn_handle_t* out) {
    int device = 0, count = 0;
    if (!out) return refuse(BAD_PARAM_NULL_POINTER, "no place for the handle");
    *out = nullptr;
    if (cudaGetDeviceCount(&count) != cudaSuccess || cudaGetDevice(&device) != cudaSuccess)
        return refuse(NOT_INITIALIZED, "there is no device");
    *out = new cn_dnn_handle{device, nullptr};
    all().handles.add(*out);
    return SUCCESS;
}

cn_dnn_status cudnnDestroy(cn_dnn_handle_t handle) {
    if (!all().handles.take(handle)) return refuse(NOT_INITIALIZED, "a handle that is none");
    delete handle;
    return SUCCESS;
}

cn_dnn_status cudnnSetStream(cn_dnn_handle_t handle, cudaStream_t stream) {
    cn_dnn_status st = check_handle(handle);
    if (st != SUCCESS) return st;
#if CUDART_VERSION >= 12080
    int device = -1;
    if (stream && (cudaStreamGetDevice(stream, &device) != cudaSuccess || device != handle->device)) {
        return refuse(BAD_PARAM_STREAM_MISMATCH, "a stream that is none, or of another device than the handle");
    }
#endif
    handle->stream = stream;
    return SUCCESS;
}

cn_dnn_status cudnnCreateTensorDescriptor(cn_dnn_tensor_t* out) {
    if (!out) return refuse(BAD_PARAM_NULL_POINTER, "no place for the tensor descriptor");
    *out = new cn_dnn_tensor;
    all().tensors.add(*out);
    return SUCCESS;
}

cn_dnn_status cudnnDestroyTensorDescriptor(cn_dnn_tensor_t t) {
    if (!all().tensors.take(t)) return refuse(BAD_PARAM, "a tensor descriptor that is none");
    delete t;
    return SUCCESS;
}

cn_dnn_status cudnnSetTensorNdDescriptor(cn_dnn_tensor_t t, int type, int ndim, const int dims[], const int strides[]) {
    if (!all().tensors.has(t)) return refuse(BAD_PARAM, "a tensor descriptor that is none");
    if (!dims || !strides) return refuse(BAD_PARAM_NULL_POINTER, "a tensor descriptor without dimensions or strides");
    if (size_of(type) == 0) return refuse(BAD_PARAM, "a tensor descriptor of type %d", type);
    if (ndim < 3 || ndim > MOST_DIMS)
        return refuse(NOT_SUPPORTED, "a tensor descriptor of %d dimensions; the library has 3 to %d", ndim, MOST_DIMS);
    for (int i = 0; i < ndim; i++) {
        if (dims[i] < 1 || strides[i] < 1)
            return refuse(BAD_PARAM, "dimension %d of a tensor descriptor is %d with stride %d", i, dims[i],
                          strides[i]);
    }
    t->type = type;
    t->dims.assign(dims, dims + ndim);
    t->strides.assign(strides, strides + ndim);
    return SUCCESS;
}

cn_dnn_status cudnnGetTensorNdDescriptor(cn_dnn_tensor_t t, int room, int* type, int* ndim, int dims[], int strides[]) {
    if (!all().tensors.has(t)) return refuse(BAD_PARAM, "a tensor descriptor that is none");
    if (!type || !ndim || !dims || !strides)
        return refuse(BAD_PARAM_NULL_POINTER, "no place for what a tensor descriptor holds");
    if (t->type < 0) return refuse(BAD_PARAM, "a tensor descriptor that was never set");
    if (room < 0 || room > MOST_DIMS)
        return refuse(NOT_SUPPORTED, "%d dimensions of a tensor descriptor are asked for", room);
    *type = t->type;
    *ndim = static_cast<int>(t->dims.size());
    for (int i = 0; i < room && i < *ndim; i++) {
        dims[i] = t->dims[static_cast<size_t>(i)];
        strides[i] = t->strides[static_cast<size_t>(i)];
    }
    return SUCCESS;
}

cn_dnn_status cudnnCreateDropoutDescriptor(cn_dnn_dropout_t* out) {
    if (!out) return refuse(BAD_PARAM_NULL_POINTER, "no place for the dropout descriptor");
    *out = new cn_dnn_dropout{false};
    all().dropouts.add(*out);
    return SUCCESS;
}

cn_dnn_status cudnnDestroyDropoutDescriptor(cn_dnn_dropout_t dropout) {
    if (!all().dropouts.take(dropout)) return refuse(BAD_PARAM, "a dropout descriptor that is none");
    delete dropout;
    return SUCCESS;
}

/* States are random numbers of training; without them a rate is kept for inference, where it means nothing. */
cn_dnn_status cudnnSetDropoutDescriptor(cn_dnn_dropout_t dropout, cn_dnn_handle_t handle, float rate, void* states,
                                        size_t, unsigned long long) {
    if (!all().dropouts.has(dropout)) return refuse(BAD_PARAM, "a dropout descriptor that is none");
    cn_dnn_status st = check_handle(handle);
    if (st != SUCCESS) return st;
    if (!(rate >= 0 && rate <= 1)) return refuse(BAD_PARAM, "a dropout rate of %g", static_cast<double>(rate));
    if (rate != 0 || states) return refuse(NOT_SUPPORTED, "dropout, which inference has none of");
    dropout->set = true;
    return SUCCESS;
}
