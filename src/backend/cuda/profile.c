/* A profiled run: the steps launched one by one with an event between each two.
 *
 *     graph graph graph | e0 step e1 step e2 step ... en        on the stream
 *
 * A step launched by itself waits for the host, which is slower than a small kernel. So the steps come behind as many launches of the
 * whole graph as keep the device busy while the host puts them on the stream. The graph can be run any number of times: it does not
 * write its inputs. Its own time, between two events, is that of a run as runs usually are. */
#include <string.h>

#include "backend/cuda/device.h"
#include "base/alloc.h"

#define HOST_MS_PER_STEP 0.01 /* a launch and an event, with room to spare */
#define MOST_LAUNCHES 1000

/* "softmax_wide" of "_ZN43_GLOBAL__N__c3_10_softmax_cu_88aedffb12softmax_wideIfLi1EEEv15cn_softmax_argsb": the last name before the parameters
 * that is no name of a file; "softmax" of host execution's "... [with P = {cn_softmax_args}]". */
static void short_name(const char* name, char* out, size_t size) {
    const char* at = strstr(name, "P = {");
    size_t n = 0;

    if (at) {
        at += 5;
        if (strncmp(at, "{anonymous}::", 13) == 0) at += 13;
        if (strncmp(at, "cn_", 3) == 0) at += 3;
        n = strcspn(at, ",}");
        if (n > 5 && strncmp(at + n - 5, "_args", 5) == 0) n -= 5;
    } else if (strncmp(name, "_Z", 2) == 0) {
        at = name + 2;
        do {
            size_t length = 0;
            at += n;
            while (*at == 'N' || *at == 'L') at++;
            while (*at >= '0' && *at <= '9') length = 10 * length + (size_t)(*at++ - '0');
            n = length < strlen(at) ? length : strlen(at);
        } while (n > 0 && at[0] == '_');
    } else {
        at = name;
        n = strlen(name);
    }
    if (n >= size) n = size - 1;
    memcpy(out, at, n);
    out[n] = '\0';
}

static cornu_status record(cudaEvent_t event, cudaStream_t stream) { return CN_CUDA_OK(cn_calls()->EventRecord(event, stream)); }

static cornu_status elapsed(cudaEvent_t from, cudaEvent_t to, double* ms) {
    float value = 0;
    CN_CUDA(cn_calls()->EventElapsedTime(&value, from, to));
    *ms = (double)value;
    return CORNU_OK;
}

/* The graph's own time, and as many launches of it as the steps behind need. */
static cornu_status lead(cn_cuda_executable* e, cudaStream_t stream, const cudaEvent_t* events, cn_profile* profile) {
    int launches = 1;

    if (!e->graph || e->bound == NULL) return CORNU_OK;
    CN_TRY(record(events[0], stream));
    CN_CUDA(cn_calls()->GraphLaunch(e->graph, stream));
    CN_TRY(record(events[1], stream));
    CN_CUDA(cn_calls()->EventSynchronize(events[1]));
    CN_TRY(elapsed(events[0], events[1], &profile->run_ms));
    if (profile->run_ms * MOST_LAUNCHES > e->step_count * HOST_MS_PER_STEP) launches += (int)(e->step_count * HOST_MS_PER_STEP / profile->run_ms);
    else launches = MOST_LAUNCHES;
    for (int i = 0; i < launches; i++) CN_CUDA(cn_calls()->GraphLaunch(e->graph, stream));
    return CORNU_OK;
}

static cornu_status launch_watched(const cn_cuda_executable* e, int i, const cn_cuda_frame* frame, cn_profile_step* out) {
    cn_calls_watched watched;
    cornu_status st;

    cn_calls_watch(&watched);
    st = e->steps[i].launch(&e->steps[i], frame);
    cn_calls_watch(NULL);
    out->launches += watched.count;
    short_name(watched.first, out->kernel, sizeof out->kernel);
    return st != CORNU_OK && e->steps[i].node->label[0] ? cn_fail_within(st, "%s", e->steps[i].node->label) : st;
}

cornu_status cn_cuda_profile(cn_cuda_executable* e, cudaStream_t stream, cn_profile* profile) {
    int count = e->step_count + 2, made = 0;
    cudaEvent_t* events = cn_alloc_zero((size_t)count, sizeof(cudaEvent_t));
    cn_cuda_frame frame = e->frame;
    cornu_status st = CORNU_OK;

    if (!events) return CN_NO_MEMORY((size_t)count * sizeof(cudaEvent_t));
    frame.queue.stream = stream;
    for (; made < count; made++) CN_STEP(CN_CUDA_OK(cn_calls()->EventCreateWithFlags(&events[made], cudaEventDefault)));
    CN_STEP(lead(e, stream, events, profile));
    CN_STEP(record(events[0], stream));
    for (int i = 0; i < e->step_count; i++) {
        CN_STEP(launch_watched(e, i, &frame, &profile->steps[e->steps[i].node->output]));
        CN_STEP(record(events[i + 1], stream));
    }
    CN_STEP(CN_CUDA_OK(cn_calls()->StreamSynchronize(stream)));
    for (int i = 0; i < e->step_count; i++) {
        double ms = 0;
        CN_STEP(elapsed(events[i], events[i + 1], &ms));
        profile->steps[e->steps[i].node->output].ms += ms;
    }
done:
    for (int i = 0; i < made; i++) (void)cn_calls()->EventDestroy(events[i]);
    cn_free(events);
    return st;
}

/* ---- the device's peak ---- */

/* Operations of dense products that one multiprocessor does in a clock. From NVIDIA's architecture papers: float32 on CUDA cores, TF32 and
 * half types (float32 accumulators) on tensor cores without sparsity. */
typedef struct rates {
    int capability; /* from this one on */
    double float32, tf32, half;
} rates;

static const rates table[] = {
    {80, 128, 1024, 2048}, /* A100 */
    {86, 256, 256, 512},   /* GeForce 30 */
    {87, 256, 1024, 2048}, /* Orin */
    {89, 256, 512, 1024},  /* Ada */
    {90, 256, 2048, 4096}, /* H100, H200 */
    {100, 256, 4096, 8192}, /* B100, B200 */
    {110, 256, 4096, 8192}, /* Thor */
    {120, 256, 512, 1024}, /* GeForce 50 */
};

static double attribute(int device, enum cudaDeviceAttr which) {
    int value = 0;
    return cn_calls()->DeviceGetAttribute(&value, which, device) == cudaSuccess && value > 0 ? value : 0;
}

void cn_cuda_peak(int device, cn_peak* out) {
    double clocks = attribute(device, cudaDevAttrClockRate) * 1e3 * attribute(device, cudaDevAttrMultiProcessorCount);
    int capability = (int)(10 * attribute(device, cudaDevAttrComputeCapabilityMajor) + attribute(device, cudaDevAttrComputeCapabilityMinor));
    const rates* row = NULL;

    memset(out, 0, sizeof *out);
    /* Two transfers in a clock of the memory; its bus is in bits. */
    out->bytes_per_s = 2 * attribute(device, cudaDevAttrMemoryClockRate) * 1e3 * attribute(device, cudaDevAttrGlobalMemoryBusWidth) / 8;
    for (size_t i = 0; i < sizeof table / sizeof table[0] && table[i].capability <= capability; i++) row = &table[i];
    if (!row) return;
    out->float32 = row->float32 * clocks;
    out->tf32 = row->tf32 * clocks;
    out->half = row->half * clocks;
}
