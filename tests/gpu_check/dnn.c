/* gpu_dnn FILE: what only a device can tell of cuDNN (FILE: libcudnn.so.9), a line of JSON each:
 *
 *     {"question": "deviceless", "problem": "conv 3x3 bfloat16", "plans": 4, "loaded": 4, "same_bits": 4}
 *         plans made from the device's description alone, written as text, read again and run here; how many of them
 * give the bits of the plan that was made on the device
 *     {"question": "ways", "problem": "depthwise", "shape": "1 x 112 x 112 x 32 by 3 x 3 x 1 x 32, stride 1", "dtype":
 * "bfloat16", "name": "cuDNN 0", "us": 12.3} its plans for depthwise convolutions, which Cornu makes by kernels of its
 * own (gpu_ways has their times); many behind each other on one stream
 *
 * Exit code 1 and a sentence on stderr where there is no device or no such library. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cuda/cudnn_graph.h"
#include "base/alloc.h"
#include "base/dtype.h"

#define RUNS 200
#define WORKSPACE ((uint64_t)32 << 20)
#define MOST_TEXT ((int64_t)1 << 24)

static size_t (*version)(void);
static const char* (*error_text)(int status);
static cn_cudnn_calls calls;

/* What calls.c does of it in the plug-in. */
cornu_status cn_dnn_check(cn_dnn_status error, const char* call, const char* file, int line) {
    if (error == CN_DNN_STATUS_SUCCESS) return CORNU_OK;
    return cn_fail(error / 1000 * 1000 == CN_DNN_STATUS_NOT_SUPPORTED ? CORNU_UNSUPPORTED : CORNU_DEVICE_ERROR, file,
                   line, "%s: %s", call, error_text(error));
}

static cornu_status cuda(cudaError_t error, const char* what) {
    return error == cudaSuccess ? CORNU_OK : CN_FAIL(DEVICE_ERROR, "%s: %s", what, cudaGetErrorString(error));
}
#define CUDA(call) CN_TRY(cuda(call, #call))
#define DNN(call) CN_TRY(CN_DNN_OK(call))

static bool find(void* library, const char* name, void* out) {
    void* symbol = dlsym(library, name);
    if (symbol) memcpy(out, &symbol, sizeof symbol); /* ISO C has no cast from an object's address to a function's */
    return symbol != NULL;
}

static cornu_status open_library(const char* path) {
    void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    bool found = library != NULL;

    if (!library) return CN_FAIL(NO_DEVICE, "%s", dlerror());
#define CN_CALL(result, name, parameters, arguments) found = found && find(library, "cudnn" #name, &calls.name);
    CN_CUDNN_CALLS(CN_CALL)
#undef CN_CALL
    found = found && find(library, "cudnnGetVersion", &version) && find(library, "cudnnGetErrorString", &error_text);
    return found ? CORNU_OK : CN_FAIL(NO_DEVICE, "%s lacks a function", path);
}

/* ---- a convolution and its memory ---- */

typedef struct problem {
    cn_conv_args a;
    cudaStream_t stream;
    void *x, *w, *bias, *y, *workspace;
    size_t y_bytes;
    cudaEvent_t start, end;
} problem;

static size_t bytes_of(int dtype, int64_t elements) { return (size_t)elements * cornu_dtype_size((cornu_dtype)dtype); }

/* Numbers in [-1, 1) on the device. */
static cornu_status make_values(int dtype, int64_t count, void** out) {
    size_t bytes = bytes_of(dtype, count), size = cornu_dtype_size((cornu_dtype)dtype);
    char* values = malloc(bytes);
    cornu_status st = CORNU_OK;

    if (!values) return CN_NO_MEMORY(bytes);
    for (int64_t i = 0; i < count && st == CORNU_OK; i++) {
        float value = (float)((i * 2654435761u >> 8) % 2048) / 1024.0f - 1.0f;
        st = cn_dtype_convert((cornu_dtype)dtype, values + (size_t)i * size, CORNU_FLOAT32, &value, 1);
    }
    if (st == CORNU_OK) st = cuda(cudaMalloc(out, bytes), "cudaMalloc");
    if (st == CORNU_OK) st = cuda(cudaMemcpy(*out, values, bytes, cudaMemcpyHostToDevice), "cudaMemcpy");
    free(values);
    return st;
}

static cornu_status open_problem(problem* p, int dtype, int64_t size, int64_t channels, int64_t groups) {
    p->a = (cn_conv_args){.dtype = dtype,
                          .batch = 1,
                          .channels = channels,
                          .filters = channels,
                          .groups = groups,
                          .x_dims = {1, size, size},
                          .k_dims = {1, 3, 3},
                          .y_dims = {1, size, size},
                          .strides = {1, 1, 1},
                          .dilation = {1, 1, 1},
                          .pad = {0, 1, 1}};
    p->y_bytes = bytes_of(dtype, size * size * channels);
    CUDA(cudaStreamCreate(&p->stream));
    CUDA(cudaEventCreate(&p->start));
    CUDA(cudaEventCreate(&p->end));
    CN_TRY(make_values(dtype, size * size * channels, &p->x));
    CN_TRY(make_values(dtype, channels * 9 * channels / groups, &p->w));
    if (groups == 1) CN_TRY(make_values(dtype, channels, &p->bias));
    CUDA(cudaMalloc(&p->y, p->y_bytes));
    CUDA(cudaMalloc(&p->workspace, WORKSPACE));
    return CORNU_OK;
}

static void close_problem(problem* p) {
    (void)cudaFree(p->x);
    (void)cudaFree(p->w);
    (void)cudaFree(p->bias);
    (void)cudaFree(p->y);
    (void)cudaFree(p->workspace);
    if (p->start) (void)cudaEventDestroy(p->start);
    if (p->end) (void)cudaEventDestroy(p->end);
    if (p->stream) (void)cudaStreamDestroy(p->stream);
}

/* Runs a plan; out: y_bytes for the result; us: of one run of many, unless NULL. */
static cornu_status run(const problem* p, const cn_dnn_graph* graph, cn_dnn_handle_t handle, int plan, char* out,
                        double* us) {
    const cn_dnn_binding bindings[] = {{CN_DNN_X, p->x}, {CN_DNN_W, p->w}, {CN_DNN_Y, p->y}, {CN_DNN_BIAS, p->bias}};
    const int count = p->bias ? 4 : 3;
    float ms;

    DNN(calls.SetStream(handle, p->stream));
    CUDA(cudaMemsetAsync(p->y, 0xff, p->y_bytes, p->stream));
    CN_TRY(cn_dnn_execute(graph, handle, plan, bindings, count, p->workspace));
    CUDA(cudaStreamSynchronize(p->stream));
    CUDA(cudaMemcpy(out, p->y, p->y_bytes, cudaMemcpyDeviceToHost));
    if (!us) return CORNU_OK;
    CUDA(cudaEventRecord(p->start, p->stream));
    for (int i = 0; i < RUNS; i++) CN_TRY(cn_dnn_execute(graph, handle, plan, bindings, count, p->workspace));
    CUDA(cudaEventRecord(p->end, p->stream));
    CUDA(cudaEventSynchronize(p->end));
    CUDA(cudaEventElapsedTime(&ms, p->start, p->end));
    *us = (double)ms * 1000.0 / RUNS;
    return CORNU_OK;
}

/* ---- the questions ---- */

static const cn_dnn_limits limits = {WORKSPACE, false, CN_DNN_PLANS};

/* The text that a descriptor is written as; the caller frees it. */
static cornu_status read_text(cn_dnn_descriptor from, int attribute, char** out) {
    int64_t size = 0;
    cornu_status st;

    *out = NULL;
    DNN(calls.BackendGetAttribute(from, attribute, CN_DNN_TYPE_CHAR, 0, &size, NULL));
    if (size < 1 || size > MOST_TEXT) return CN_FAIL(DEVICE_ERROR, "a text of %lld bytes", (long long)size);
    *out = calloc((size_t)size + 1, 1);
    if (!*out) return CN_NO_MEMORY((uint64_t)size);
    st = CN_DNN_OK(calls.BackendGetAttribute(from, attribute, CN_DNN_TYPE_CHAR, size, &size, *out));
    if (st == CORNU_OK) return CORNU_OK;
    free(*out);
    *out = NULL;
    return st;
}

static cornu_status set_text(cn_dnn_descriptor to, int attribute, const char* text) {
    return CN_DNN_OK(calls.BackendSetAttribute(to, attribute, CN_DNN_TYPE_CHAR, (int64_t)strlen(text) + 1, text));
}

/* The device's description, taken from the device and read back from its text. */
static cornu_status describe_device(cn_dnn_descriptor* out) {
    cn_dnn_descriptor device = NULL;
    int32_t index = 0;
    char* text = NULL;
    cornu_status st = CORNU_OK;

    CN_STEP(CN_DNN_OK(calls.BackendCreateDescriptor(CN_DNN_BACKEND_DEVICEPROP_DESCRIPTOR, &device)));
    CN_STEP(
        CN_DNN_OK(calls.BackendSetAttribute(device, CN_DNN_ATTR_DEVICEPROP_DEVICE_ID, CN_DNN_TYPE_INT32, 1, &index)));
    CN_STEP(CN_DNN_OK(calls.BackendFinalize(device)));
    CN_STEP(read_text(device, CN_DNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, &text));
    CN_STEP(CN_DNN_OK(calls.BackendCreateDescriptor(CN_DNN_BACKEND_DEVICEPROP_DESCRIPTOR, out)));
    CN_STEP(set_text(*out, CN_DNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, text));
    CN_STEP(CN_DNN_OK(calls.BackendFinalize(*out)));
done:
    if (device) (void)calls.BackendDestroyDescriptor(device);
    free(text);
    return st;
}

/* A plan written as text and read again for the handle's device. *out, unless NULL, is to be destroyed, after a failure
 * too. */
static cornu_status reload(cn_dnn_handle_t handle, cn_dnn_descriptor plan, cn_dnn_descriptor* out) {
    char* text;
    cornu_status st = CORNU_OK;

    CN_TRY(read_text(plan, CN_DNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, &text));
    CN_STEP(CN_DNN_OK(calls.BackendCreateDescriptor(CN_DNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, out)));
    CN_STEP(
        CN_DNN_OK(calls.BackendSetAttribute(*out, CN_DNN_ATTR_EXECUTION_PLAN_HANDLE, CN_DNN_TYPE_HANDLE, 1, &handle)));
    CN_STEP(set_text(*out, CN_DNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, text));
    CN_STEP(CN_DNN_OK(calls.BackendFinalize(*out)));
done:
    free(text);
    return st;
}

static cornu_status ask_deviceless(cn_dnn_handle_t handle, cn_dnn_descriptor device, int dtype) {
    const cn_dnn_target here = {.calls = &calls, .handle = handle}, nowhere = {.calls = &calls, .device = device};
    problem p = {0};
    cn_dnn_graph made = {0}, planned = {0};
    char *wanted = NULL, *found = NULL;
    int loaded = 0, same = 0;
    cornu_status st = CORNU_OK;

    CN_STEP(open_problem(&p, dtype, 56, 64, 1));
    wanted = calloc(1, p.y_bytes);
    found = calloc(1, p.y_bytes);
    if (!wanted || !found) CN_STEP(CN_NO_MEMORY(p.y_bytes));
    CN_STEP(cn_dnn_conv_graph(&here, &p.a, true, false, true, &made));
    CN_STEP(cn_dnn_find_plans(&here, &limits, &made));
    CN_STEP(cn_dnn_conv_graph(&nowhere, &p.a, true, false, true, &planned));
    CN_STEP(cn_dnn_find_plans(&nowhere, &limits, &planned));
    for (int i = 0; i < planned.plan_count && i < made.plan_count; i++) {
        cn_dnn_graph again = {.calls = &calls};
        CN_STEP(run(&p, &made, handle, i, wanted, NULL));
        if (reload(handle, planned.plans[i], &again.plans[0]) == CORNU_OK &&
            run(&p, &again, handle, 0, found, NULL) == CORNU_OK) {
            loaded++;
            same += memcmp(wanted, found, p.y_bytes) == 0;
        }
        if (again.plans[0]) (void)calls.BackendDestroyDescriptor(again.plans[0]);
    }
    printf(
        "{\"question\": \"deviceless\", \"problem\": \"conv 3x3 %s\", \"plans\": %d, \"loaded\": %d, \"same_bits\": "
        "%d}\n",
        cornu_dtype_name((cornu_dtype)dtype), planned.plan_count, loaded, same);
done:
    cn_dnn_graph_deinit(&made);
    cn_dnn_graph_deinit(&planned);
    free(wanted);
    free(found);
    close_problem(&p);
    return st;
}

static cornu_status ask_depthwise(cn_dnn_handle_t handle, int dtype, int64_t size, int64_t channels) {
    const cn_dnn_target here = {.calls = &calls, .handle = handle};
    problem p = {0};
    cn_dnn_graph graph = {0};
    char* y = NULL;
    cornu_status st = CORNU_OK;

    CN_STEP(open_problem(&p, dtype, size, channels, channels));
    y = malloc(p.y_bytes);
    if (!y) CN_STEP(CN_NO_MEMORY(p.y_bytes));
    CN_STEP(cn_dnn_conv_graph(&here, &p.a, false, false, false, &graph));
    CN_STEP(cn_dnn_find_plans(&here, &limits, &graph));
    for (int i = 0; i < graph.plan_count; i++) {
        double us;
        CN_STEP(run(&p, &graph, handle, i, y, &us));
        printf(
            "{\"question\": \"ways\", \"problem\": \"depthwise\", \"shape\": \"1 x %lld x %lld x %lld by 3 x 3 x 1 x "
            "%lld, stride 1\", \"dtype\": \"%s\", "
            "\"name\": \"cuDNN %d\", \"us\": %.3f}\n",
            (long long)size, (long long)size, (long long)channels, (long long)channels,
            cornu_dtype_name((cornu_dtype)dtype), i, us);
    }
done:
    cn_dnn_graph_deinit(&graph);
    free(y);
    close_problem(&p);
    return st;
}

static cornu_status ask(const char* path) {
    static const int dtypes[] = {CORNU_FLOAT32, CORNU_BFLOAT16};
    cn_dnn_handle_t handle = NULL;
    cn_dnn_descriptor device = NULL;
    cornu_status st = CORNU_OK;

    CN_TRY(open_library(path));
    CUDA(cudaSetDevice(0));
    DNN(calls.Create(&handle));
    for (int i = 0; i < 2; i++) {
        CN_STEP(ask_depthwise(handle, dtypes[i], 112, 32));
        CN_STEP(ask_depthwise(handle, dtypes[i], 56, 144));
    }
    if (version() < 90800) goto done; /* it describes no device */
    CN_STEP(describe_device(&device));
    for (int i = 0; i < 2; i++) CN_STEP(ask_deviceless(handle, device, dtypes[i]));
done:
    if (device) (void)calls.BackendDestroyDescriptor(device);
    (void)calls.Destroy(handle);
    return st;
}

int main(int argc, char** argv) {
    if (argc != 2) {
        fprintf(stderr, "Usage: gpu_dnn FILE\n");
        return 2;
    }
    if (ask(argv[1]) == CORNU_OK) return 0;
    fprintf(stderr, "%s\n", cornu_last_error());
    return 1;
}
