/* gpu_replay [--quick]: what replaying captured graphs costs on this device, and what compiled elementwise programs
 * reach; one JSON object a line.
 *
 *     {"question": "replay", "kernels": 10, "programmatic": true, "programmatic_edges": 9, "graph_us": ...,
 * "single_us": ...} graph_us: a graph among others on the stream, by events; single_us: launch to synchronised, by the
 * host's clock
 *     {"question": "fused", "ops": 4, "dtype": "bfloat16", "elements": 67108864, "ms": ..., "gb_per_s": ...}
 *
 * Exit code 1 and a sentence on stderr where a call fails or a chain's sum is wrong. */
#include "tests/gpu_check/replay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SAMPLES 5
#define MOST_SINGLES 200
#define SIZE ((int64_t)1 << 26) /* elements of an elementwise program */

typedef struct settings {
    int quick;
    int capability; /* 90: compute capability 9.0 */
    cudaStream_t stream;
    cudaEvent_t start, end;
} settings;

static int check(cudaError_t error, const char* call) {
    if (error == cudaSuccess) return 1;
    fprintf(stderr, "%s: %s\n", call, cudaGetErrorString(error));
    return 0;
}
#define DO(call)                           \
    do {                                   \
        if (!check(call, #call)) return 0; \
    } while (0)

static double now_us(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return 1e6 * (double)now.tv_sec + 1e-3 * (double)now.tv_nsec;
}

static int by_size(const void* a, const void* b) {
    const double x = *(const double*)a, y = *(const double*)b;
    return (x > y) - (x < y);
}

static double median(double* values, int count) {
    qsort(values, (size_t)count, sizeof *values, by_size);
    return values[count / 2];
}

/* ---- chains of kernels ---- */

/* Kernels behind each other in one graph. */
static int capture(const settings* s, int kernels, int programmatic, float* x, cudaGraph_t* out) {
    DO(cudaStreamBeginCapture(s->stream, cudaStreamCaptureModeThreadLocal));
    for (int i = 0; i < kernels; i++) DO(replay_link(programmatic && i > 0, x, s->stream));
    DO(cudaStreamEndCapture(s->stream, out));
    return 1;
}

/* How many edges let the next kernel start early; -1: this runtime cannot tell. */
static int programmatic_edges(cudaGraph_t graph, int* out) {
#if CUDART_VERSION >= 13000
    enum { MOST = 128 };
    cudaGraphNode_t from[MOST], to[MOST];
    cudaGraphEdgeData data[MOST];
    size_t count = MOST;

    memset(data, 0, sizeof data);
    DO(cudaGraphGetEdges(graph, from, to, data, &count));
    *out = 0;
    for (size_t i = 0; i < count && i < MOST; i++) *out += data[i].type == cudaGraphDependencyTypeProgrammatic;
#else
    (void)graph;
    *out = -1;
#endif
    return 1;
}

/* Time of one graph of many on the stream, microseconds. */
static int time_graphs(const settings* s, cudaGraphExec_t graph, int launches, double* out) {
    double samples[SAMPLES];

    for (int i = 0; i < SAMPLES; i++) {
        float ms = 0;
        DO(cudaEventRecord(s->start, s->stream));
        for (int k = 0; k < launches; k++) DO(cudaGraphLaunch(graph, s->stream));
        DO(cudaEventRecord(s->end, s->stream));
        DO(cudaEventSynchronize(s->end));
        DO(cudaEventElapsedTime(&ms, s->start, s->end));
        samples[i] = 1e3 * (double)ms / launches;
    }
    *out = median(samples, SAMPLES);
    return 1;
}

/* From a launch until the host knows that it is done, microseconds. */
static int time_singles(const settings* s, cudaGraphExec_t graph, int launches, double* out) {
    double samples[MOST_SINGLES];

    for (int i = 0; i < launches; i++) {
        const double start = now_us();
        DO(cudaGraphLaunch(graph, s->stream));
        DO(cudaStreamSynchronize(s->stream));
        samples[i] = now_us() - start;
    }
    *out = median(samples, launches);
    return 1;
}

static int check_sum(const float* x, int kernels, int launches) {
    float found[REPLAY_NUMBERS];

    DO(cudaMemcpy(found, x, sizeof found, cudaMemcpyDeviceToHost));
    for (int i = 0; i < REPLAY_NUMBERS; i++) {
        if (found[i] == (float)(kernels * launches)) continue;
        fprintf(stderr, "a chain of %d kernels, launched %d times, added %g\n", kernels, launches, (double)found[i]);
        return 0;
    }
    return 1;
}

static int measure_chain(const settings* s, int kernels, int programmatic, float* x) {
    const int many = s->quick ? 3 : 200, singles = s->quick ? 3 : MOST_SINGLES, warm = s->quick ? 1 : 20;
    cudaGraph_t graph = NULL;
    cudaGraphExec_t replayed = NULL;
    double graph_us = 0, single_us = 0;
    int edges = 0;

    if (!capture(s, kernels, programmatic, x, &graph) || !programmatic_edges(graph, &edges)) return 0;
    DO(cudaGraphInstantiateWithFlags(&replayed, graph, 0));
    DO(cudaMemsetAsync(x, 0, REPLAY_NUMBERS * sizeof *x, s->stream));
    for (int i = 0; i < warm; i++) DO(cudaGraphLaunch(replayed, s->stream));
    DO(cudaStreamSynchronize(s->stream));
    if (!time_graphs(s, replayed, many, &graph_us) || !time_singles(s, replayed, singles, &single_us)) return 0;
    if (!check_sum(x, kernels, warm + SAMPLES * many + singles)) return 0;
    DO(cudaGraphExecDestroy(replayed));
    DO(cudaGraphDestroy(graph));
    printf(
        "{\"question\": \"replay\", \"kernels\": %d, \"programmatic\": %s, \"programmatic_edges\": %d, \"graph_us\": "
        "%.4f, \"single_us\": %.4f}\n",
        kernels, programmatic ? "true" : "false", edges, graph_us, single_us);
    return 1;
}

static int measure_chains(const settings* s) {
    static const int kernels[] = {1, 10, 50, 100};
    float* x = NULL;

    DO(cudaMalloc((void**)&x, REPLAY_NUMBERS * sizeof *x));
    for (int programmatic = 0; programmatic < (s->capability >= 90 ? 2 : 1); programmatic++) {
        DO(replay_link(programmatic, x, s->stream)); /* loads the kernel, which a capture should not do */
        DO(cudaStreamSynchronize(s->stream));
        for (size_t i = 0; i < sizeof kernels / sizeof kernels[0]; i++) {
            if (!measure_chain(s, kernels[i], programmatic, x)) return 0;
        }
    }
    if (s->capability < 90)
        fprintf(stderr, "programmatic dependent launch needs compute capability 9.0; this device has %d.%d\n",
                s->capability / 10, s->capability % 10);
    DO(cudaFree(x));
    return 1;
}

/* ---- elementwise programs ---- */

static int measure_fused(const settings* s, int ops, int half, const void* x, void* y) {
    const int64_t size = s->quick ? 4096 : SIZE, bytes = size * (half ? 2 : 4);
    const int launches = s->quick ? 1 : 20;
    double samples[SAMPLES], ms;

    DO(replay_fused(ops, half, x, y, bytes / 16, s->stream)); /* warm */
    for (int i = 0; i < SAMPLES; i++) {
        float all = 0;
        DO(cudaEventRecord(s->start, s->stream));
        for (int k = 0; k < launches; k++) DO(replay_fused(ops, half, x, y, bytes / 16, s->stream));
        DO(cudaEventRecord(s->end, s->stream));
        DO(cudaEventSynchronize(s->end));
        DO(cudaEventElapsedTime(&all, s->start, s->end));
        samples[i] = (double)all / launches;
    }
    ms = median(samples, SAMPLES);
    printf(
        "{\"question\": \"fused\", \"ops\": %d, \"dtype\": \"%s\", \"elements\": %lld, \"ms\": %.5f, \"gb_per_s\": "
        "%.1f}\n",
        ops, half ? "bfloat16" : "float32", (long long)size, ms, ms > 0 ? 2e-6 * (double)bytes / ms : 0.0);
    return 1;
}

static int measure_programs(const settings* s) {
    static const int ops[] = {2, 4, 8, 12};
    const int64_t bytes = (s->quick ? 4096 : SIZE) * 4;
    void *x = NULL, *y = NULL;

    DO(cudaMalloc(&x, (size_t)bytes));
    DO(cudaMalloc(&y, (size_t)bytes));
    for (int half = 0; half < 2; half++) {
        DO(replay_fill(half, x, bytes / (half ? 2 : 1) / 16, s->stream));
        for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
            if (!measure_fused(s, ops[i], half, x, y)) return 0;
        }
    }
    DO(cudaStreamSynchronize(s->stream));
    DO(cudaFree(x));
    DO(cudaFree(y));
    return 1;
}

static int measure(settings* s) {
    int major = 0, minor = 0;

    DO(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0));
    DO(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, 0));
    s->capability = 10 * major + minor;
    DO(cudaStreamCreateWithFlags(&s->stream, cudaStreamNonBlocking));
    DO(cudaEventCreateWithFlags(&s->start, cudaEventDefault));
    DO(cudaEventCreateWithFlags(&s->end, cudaEventDefault));
    return measure_chains(s) && measure_programs(s);
}

int main(int argc, char** argv) {
    settings s = {0};

    s.quick = argc == 2 && strcmp(argv[1], "--quick") == 0;
    if (argc > 1 && !s.quick) {
        fprintf(stderr, "Usage: gpu_replay [--quick]\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0); /* what was measured stays, whatever comes */
    return measure(&s) ? 0 : 1;
}
