/* CUDA's runtime as far as replay.c calls it, and its kernels, where there is no GPU: what is captured is counted and
 * added at each launch; calls out of order fail. REPLAY_STAND_IN: "forget" loses a kernel, "old" is a device without
 * programmatic launches. */
#include <stdlib.h>
#include <string.h>

#include "tests/gpu_check/replay.h"

static int capturing, links, programmatic_links, events;
static char the_stream, the_graph, the_exec, the_event[2];

static int is(const char* mode) {
    const char* given = getenv("REPLAY_STAND_IN");
    return given && strcmp(given, mode) == 0;
}

static float* numbers; /* what the captured kernels add to */

static void add(float* x, int count) {
    for (int i = 0; i < REPLAY_NUMBERS; i++) x[i] += (float)count;
}

cudaError_t replay_link(int programmatic, float* x, cudaStream_t stream) {
    if ((char*)stream != &the_stream || (programmatic && is("old"))) return cudaErrorInvalidValue;
    numbers = x;
    if (!capturing) add(x, 1);
    else {
        links++;
        programmatic_links += programmatic;
    }
    return cudaSuccess;
}

cudaError_t replay_fused(int ops, int half, const void* x, void* y, int64_t vectors, cudaStream_t stream) {
    (void)half;
    if ((char*)stream != &the_stream || (ops != 2 && ops != 4 && ops != 8 && ops != 12)) return cudaErrorInvalidValue;
    memcpy(y, x, (size_t)vectors * 16);
    return cudaSuccess;
}

cudaError_t replay_fill(int half, void* x, int64_t vectors, cudaStream_t stream) {
    (void)stream;
    memset(x, 1 + half, (size_t)vectors * 16);
    return cudaSuccess;
}

const char* cudaGetErrorString(cudaError_t error) {
    return error == cudaSuccess ? "no error" : "an error of the stand-in";
}

cudaError_t cudaDeviceGetAttribute(int* value, enum cudaDeviceAttr attr, int device) {
    (void)device;
    *value = attr == cudaDevAttrComputeCapabilityMajor ? (is("old") ? 8 : 9) : 0;
    return cudaSuccess;
}

cudaError_t cudaMalloc(void** out, size_t size) {
    *out = malloc(size);
    return *out ? cudaSuccess : cudaErrorMemoryAllocation;
}

cudaError_t cudaFree(void* memory) {
    free(memory);
    return cudaSuccess;
}

cudaError_t cudaMemcpy(void* dst, const void* src, size_t size, enum cudaMemcpyKind kind) {
    if (kind != cudaMemcpyDeviceToHost) return cudaErrorInvalidValue;
    memcpy(dst, src, size);
    return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void* memory, int value, size_t size, cudaStream_t stream) {
    if (capturing || (char*)stream != &the_stream) return cudaErrorInvalidValue;
    memset(memory, value, size);
    return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* out, unsigned int flags) {
    (void)flags;
    *out = (cudaStream_t)(void*)&the_stream;
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    return capturing || (char*)stream != &the_stream ? cudaErrorInvalidValue : cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode mode) {
    (void)mode;
    if (capturing || (char*)stream != &the_stream) return cudaErrorInvalidValue;
    capturing = 1;
    links = programmatic_links = 0;
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* out) {
    if (!capturing || (char*)stream != &the_stream) return cudaErrorInvalidValue;
    capturing = 0;
    if (is("forget")) links--;
    *out = (cudaGraph_t)(void*)&the_graph;
    return cudaSuccess;
}

#if CUDART_VERSION >= 13000
cudaError_t cudaGraphGetEdges(cudaGraph_t graph, cudaGraphNode_t* from, cudaGraphNode_t* to, cudaGraphEdgeData* data,
                              size_t* count) {
    const size_t edges = links > 0 ? (size_t)links - 1 : 0;
    if ((char*)graph != &the_graph || !from || !to || !data || *count < edges) return cudaErrorInvalidValue;
    for (size_t i = 0; i < edges; i++)
        data[i].type =
            i < (size_t)programmatic_links ? cudaGraphDependencyTypeProgrammatic : cudaGraphDependencyTypeDefault;
    *count = edges;
    return cudaSuccess;
}
#endif

cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t* out, cudaGraph_t graph, unsigned long long flags) {
    if ((char*)graph != &the_graph || flags != 0) return cudaErrorInvalidValue;
    *out = (cudaGraphExec_t)(void*)&the_exec;
    return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t stream) {
    if ((char*)graph != &the_exec || (char*)stream != &the_stream) return cudaErrorInvalidValue;
    add(numbers, links);
    return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph) {
    return (char*)graph == &the_exec ? cudaSuccess : cudaErrorInvalidValue;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    return (char*)graph == &the_graph ? cudaSuccess : cudaErrorInvalidValue;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* out, unsigned int flags) {
    (void)flags;
    if (events == 2) return cudaErrorInvalidValue;
    *out = (cudaEvent_t)(void*)&the_event[events++];
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    return ((char*)event != &the_event[0] && (char*)event != &the_event[1]) || (char*)stream != &the_stream
               ? cudaErrorInvalidValue
               : cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    return (char*)event == &the_event[1] ? cudaSuccess : cudaErrorInvalidValue;
}

cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t start, cudaEvent_t end) {
    if ((char*)start != &the_event[0] || (char*)end != &the_event[1]) return cudaErrorInvalidValue;
    *ms = 0.5f;
    return cudaSuccess;
}
