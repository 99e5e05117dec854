/* The CUDA runtime of host execution: see runtime.h.
 *
 *     stream   [copy] [kernel] [mark] [wait] [graph]      work is at the front; whoever waits runs it under the lock
 *     event    -> the mark that was recorded last; a mark is done when its stream has come to it
 *     graph    [copy] [kernel] ...                         the work of all streams of the capture, in the order of the calls */
#include "kernels/host/runtime.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <thread>

#include "kernels/host/block.h"
#include "kernels/host/count.h"

#if defined(__SANITIZE_ADDRESS__)
#define GUARD_BYTES 0 /* AddressSanitizer has red zones of its own */
#else
#define GUARD_BYTES 64
#endif
#define GUARD 0xA5
#define QUARANTINE_BYTES (64u << 20) /* of freed memory whose addresses are not given out again yet */
#define ALIGNMENT 256
#define MOST_DEVICES 16

namespace {

struct block {
    size_t bytes;
    int device; /* -1: pinned host memory */
};

/* Start of a block that work uses. */
typedef uintptr_t hold;

struct capture;

/* Recorded by an event in a stream. */
struct mark {
    cudaStream_t stream;
    bool done = false;
    double ms = 0;
    std::shared_ptr<capture> in; /* or in a capture: behind the stream's work number `at` */
    size_t at = 0;
};

struct work {
    const char* what;
    std::vector<hold> holds;
    std::function<cudaError_t()> run;
};

/* A capture that goes on; counts of the work of each stream that takes part, and how much of it another one waits for. */
struct capture {
    cudaStream_t origin;
    cudaStreamCaptureMode mode;
    std::thread::id thread;
    bool broken = false;
    std::vector<work> list;
    std::map<cudaStream_t, size_t> counts, joined;
};

}  // namespace

struct CUstream_st {
    int device;
    std::deque<work> queue;
    std::shared_ptr<capture> in;
};
struct CUevent_st {
    std::shared_ptr<mark> last;
    bool timed;
};
struct CUgraph_st {
    std::vector<work> list;
};
struct CUgraphExec_st {
    std::shared_ptr<std::vector<work>> list;
};

namespace {

/* Everything there is, under the lock. */
struct world {
    std::mutex lock;
    std::map<uintptr_t, block> blocks;
    std::set<cudaStream_t> streams;
    std::set<cudaEvent_t> events;
    std::set<cudaGraph_t> graphs;
    std::set<cudaGraphExec_t> execs;
    std::set<std::shared_ptr<capture>> captures;
    std::deque<std::pair<void*, size_t>> quarantine;
    size_t quarantined = 0;
    uint64_t used[MOST_DEVICES] = {}, peak = 0;
    cudaError_t dead[MOST_DEVICES] = {};
    long lt_handles = 0, lt_objects = 0, launches = 0, graph_launches = 0, matmuls = 0;
};

world& w() {
    static world* all = new world; /* never destroyed: threads may outlive main */
    return *all;
}

thread_local int current_device = 0;
thread_local cudaError_t last_error = cudaSuccess;

uint64_t number_of(const char* name, uint64_t otherwise) {
    const char* text = getenv(name);
    return text && text[0] ? strtoull(text, nullptr, 10) : otherwise;
}

int device_count() {
    uint64_t n = number_of("CORNU_HOST_DEVICES", 1);
    return n > MOST_DEVICES ? MOST_DEVICES : static_cast<int>(n);
}
int processors() { return static_cast<int>(number_of("CORNU_HOST_PROCESSORS", 4)); }
uint64_t device_memory() { return number_of("CORNU_HOST_MEMORY", 8ull << 30); }

cudaError_t result(cudaError_t error) {
    if (error != cudaSuccess) last_error = error;
    return error;
}

/* The lock, and at the end of a call its error. */
struct call {
    std::lock_guard<std::mutex> guard;
    call() : guard(w().lock) {}
    /* The sticky error of the current device, if there is one. */
    cudaError_t dead() const { return w().dead[current_device]; }
};

double now_ms() {
    using namespace std::chrono;
    return duration<double, std::milli>(steady_clock::now().time_since_epoch()).count();
}

/* The block that address lies in. */
const block* find(const void* address, uintptr_t* start) {
    uintptr_t at = reinterpret_cast<uintptr_t>(address);
    auto next = w().blocks.upper_bound(at);
    if (next == w().blocks.begin()) return nullptr;
    --next;
    if (at - next->first >= next->second.bytes) return nullptr;
    *start = next->first;
    return &next->second;
}

bool holds_device(const void* address, size_t bytes, int device) {
    uintptr_t start;
    const block* b = find(address, &start);
    return b && b->device == device && reinterpret_cast<uintptr_t>(address) - start + bytes <= b->bytes;
}

void add_hold(std::vector<hold>* out, const void* address) {
    uintptr_t start;
    if (find(address, &start)) out->push_back(start);
}

/* ---- running ---- */

cudaError_t run_work(const work& item) {
    for (hold start : item.holds) {
        if (w().blocks.count(start)) continue; /* if it is another block there by now, whoever put the work there may know */
        cn_host::complain("%s uses memory at %p that has been freed since it was put there", item.what, reinterpret_cast<void*>(start));
        return cudaErrorIllegalAddress;
    }
    return item.run();
}

/* Runs the front of a stream until it is empty, or until the mark is done. */
cudaError_t drain(cudaStream_t s, const mark* until) {
    cudaError_t& dead = w().dead[s->device];
    while (!s->queue.empty() && dead == cudaSuccess && !(until && until->done)) {
        work item = std::move(s->queue.front());
        s->queue.pop_front();
        cudaError_t error = run_work(item);
        if (error != cudaSuccess) dead = error;
    }
    if (dead != cudaSuccess) s->queue.clear();
    return dead;
}

cudaError_t drain_device(int device) {
    for (cudaStream_t s : w().streams) {
        if (s->device == device) (void)drain(s, nullptr);
    }
    return w().dead[device];
}

bool alive(cudaStream_t s) { return s && w().streams.count(s); }

/* What may not be called while a graph is captured breaks the capture. */
bool breaks_capture() {
    bool broken = false;
    for (const auto& c : w().captures) {
        bool bound = c->mode == cudaStreamCaptureModeGlobal || (c->mode == cudaStreamCaptureModeThreadLocal && c->thread == std::this_thread::get_id());
        if (!bound) continue;
        c->broken = true;
        broken = true;
    }
    return broken;
}

cudaError_t push(cudaStream_t s, work item) {
    if (!alive(s)) return cudaErrorInvalidResourceHandle;
    if (s->device != current_device) return cudaErrorInvalidResourceHandle;
    if (!s->in) {
        s->queue.push_back(std::move(item));
        return cudaSuccess;
    }
    if (s->in->broken) return cudaErrorStreamCaptureInvalidated;
    s->in->counts[s]++;
    s->in->list.push_back(std::move(item));
    return cudaSuccess;
}

}  // namespace

namespace cn_host {

void complain(const char* format, ...) {
    va_list args;
    fputs("host execution: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

cudaError_t enqueue(cudaStream_t stream, const char* what, std::vector<use> uses, std::function<cudaError_t()> run) {
    call c;
    work item{what, {}, std::move(run)};
    if (c.dead() != cudaSuccess) return c.dead();
    for (const use& u : uses) {
        if (u.bytes > 0) add_hold(&item.holds, u.address);
    }
    return push(stream, std::move(item));
}

cudaError_t enqueue_launch(cudaStream_t stream, cudaError_t refused, const std::vector<use>& uses,
                           std::function<cudaError_t()> run) {
    call c;
    work item{"a kernel", {}, std::move(run)};
    if (c.dead() != cudaSuccess) return result(c.dead());
    if (refused != cudaSuccess) return result(refused);
    if (!alive(stream)) return result(cudaErrorInvalidResourceHandle);
    w().launches++;
    for (size_t i = 0; stream->in && i < uses.size(); i++) add_hold(&item.holds, uses[i].address);
    return result(push(stream, std::move(item)));
}

bool is_device(const void* address, size_t bytes) {
    call c;
    if (number_of("CORNU_HOST_INTEGRATED", 0) && holds_device(address, bytes, -1)) return true; /* the host's pinned memory */
    return holds_device(address, bytes, current_device);
}

bool is_pinned(const void* address) {
    call c;
    uintptr_t start;
    const block* b = find(address, &start);
    return b && b->device < 0;
}

void count_lt(long handles, long objects, long matmuls) {
    call c;
    w().lt_handles += handles;
    w().lt_objects += objects;
    w().matmuls += matmuls;
}

}  // namespace cn_host

void cn_host_get_usage(cn_host_usage* out) {
    call c;
    *out = cn_host_usage{};
    for (const auto& entry : w().blocks) {
        if (entry.second.device < 0) {
            out->host_blocks++;
        } else {
            out->device_blocks++;
            out->device_bytes += entry.second.bytes;
        }
    }
    out->peak_bytes = w().peak;
    out->streams = static_cast<long>(w().streams.size());
    out->events = static_cast<long>(w().events.size());
    out->graphs = static_cast<long>(w().graphs.size());
    out->graph_execs = static_cast<long>(w().execs.size());
    out->lt_handles = w().lt_handles;
    out->lt_objects = w().lt_objects;
    cn_host::get_dnn_usage(out);
    out->launches = w().launches;
    out->graph_launches = w().graph_launches;
    out->matmuls = w().matmuls;
}

void cn_host_revive(void) {
    call c;
    for (cudaError_t& dead : w().dead) dead = cudaSuccess;
}

/* ---- errors and devices ---- */

cudaError_t cudaGetLastError(void) {
    cudaError_t error = last_error;
    call c;
    last_error = cudaSuccess;
    return c.dead() != cudaSuccess ? c.dead() : error;
}

cudaError_t cudaDriverGetVersion(int* version) {
    *version = static_cast<int>(number_of("CORNU_HOST_DRIVER", CUDART_VERSION));
    return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
    *version = CUDART_VERSION;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int* count) {
    *count = 0;
    if (number_of("CORNU_HOST_DRIVER", CUDART_VERSION) < CUDART_VERSION) return result(cudaErrorInsufficientDriver);
    *count = device_count();
    return result(*count == 0 ? cudaErrorNoDevice : cudaSuccess);
}

cudaError_t cudaSetDevice(int device) {
    if (device < 0 || device >= device_count()) return result(cudaErrorInvalidDevice);
    current_device = device;
    call c;
    return result(c.dead());
}

cudaError_t cudaGetDevice(int* device) {
    *device = current_device;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp* out, int device) {
    int capability = static_cast<int>(number_of("CORNU_HOST_CAPABILITY", 90));
    if (device < 0 || device >= device_count()) return result(cudaErrorInvalidDevice);
    memset(out, 0, sizeof *out);
    snprintf(out->name, sizeof out->name, "host execution");
    out->major = capability / 10;
    out->minor = capability % 10;
    out->totalGlobalMem = device_memory();
    out->sharedMemPerBlock = 49152;
    out->sharedMemPerMultiprocessor = 102400;
    out->regsPerBlock = 65536;
    out->warpSize = 32;
    out->maxThreadsPerBlock = 1024;
    out->maxThreadsDim[0] = out->maxThreadsDim[1] = 1024;
    out->maxThreadsDim[2] = 64;
    out->maxGridSize[0] = 2147483647;
    out->maxGridSize[1] = out->maxGridSize[2] = 65535;
    out->multiProcessorCount = processors();
    out->l2CacheSize = 4 << 20;
    out->unifiedAddressing = 1;
    out->integrated = static_cast<int>(number_of("CORNU_HOST_INTEGRATED", 0));
    return cudaSuccess;
}

/* Of a device with round figures: 1 GHz, and 1 GHz of memory on a bus of 512 bits. */
cudaError_t cudaDeviceGetAttribute(int* out, enum cudaDeviceAttr which, int device) {
    struct cudaDeviceProp properties;
    cudaError_t error = cudaGetDeviceProperties(&properties, device);
    if (error != cudaSuccess) return error;
    switch (which) {
        case cudaDevAttrClockRate:
        case cudaDevAttrMemoryClockRate: *out = 1000000; break;
        case cudaDevAttrGlobalMemoryBusWidth: *out = 512; break;
        case cudaDevAttrMultiProcessorCount: *out = properties.multiProcessorCount; break;
        case cudaDevAttrCooperativeLaunch: *out = 1; break;
        case cudaDevAttrComputeCapabilityMajor: *out = properties.major; break;
        case cudaDevAttrComputeCapabilityMinor: *out = properties.minor; break;
        default: return result(cudaErrorInvalidValue);
    }
    return cudaSuccess;
}

/* By threads and shared memory: how many registers a kernel would take is not known here. */
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* out, const void*, int threads, size_t shared_bytes) {
    call c;
    const int by_threads = 2048 / ((threads + 31) / 32 * 32),
              by_memory = static_cast<int>(102400 / (shared_bytes + 1024));
    const int by_fibers = static_cast<int>(cn_host_most_together(static_cast<unsigned>(threads))) / processors();
    *out = by_threads < by_memory ? by_threads : by_memory;
    if (by_fibers < *out) *out = by_fibers;
    return result(c.dead());
}

cudaError_t cudaFuncGetName(const char** out, const void* kernel) {
    *out = static_cast<const cn_host_kernel*>(kernel)->name;
    return *out ? cudaSuccess : result(cudaErrorInvalidValue);
}

/* ---- memory ---- */

namespace {

/* Filled with 0xFF: floats are NaN, integers are -1. */
void* new_block(size_t bytes, int device) {
    void* memory = nullptr;
    if (posix_memalign(&memory, ALIGNMENT, bytes + GUARD_BYTES) != 0) return nullptr;
    memset(memory, 0xFF, bytes);
    for (int i = 0; i < GUARD_BYTES; i++) static_cast<unsigned char*>(memory)[bytes + static_cast<size_t>(i)] = GUARD;
    w().blocks[reinterpret_cast<uintptr_t>(memory)] = {bytes, device};
    if (device >= 0) cn_host_count_block(memory, bytes, false);
    return memory;
}

/* AddressSanitizer keeps freed memory apart itself, and reports its use. */
void release(void* memory, size_t bytes) {
    cn_host_count_block(memory, bytes, true);
    if (GUARD_BYTES == 0) {
        free(memory);
        return;
    }
    w().quarantine.emplace_back(memory, bytes);
    w().quarantined += bytes;
    while (w().quarantined > QUARANTINE_BYTES) {
        free(w().quarantine.front().first);
        w().quarantined -= w().quarantine.front().second;
        w().quarantine.pop_front();
    }
}

cudaError_t free_block(void* memory, bool pinned) {
    auto found = w().blocks.find(reinterpret_cast<uintptr_t>(memory));
    cudaError_t error = cudaSuccess;
    if (found == w().blocks.end() || (found->second.device < 0) != pinned) return cudaErrorInvalidValue;
    int device = found->second.device;
    if (pinned) {
        for (int i = 0; i < MOST_DEVICES; i++) (void)drain_device(i);
    } else {
        error = drain_device(device);
        w().used[device] -= found->second.bytes;
    }
    const unsigned char* guard = static_cast<unsigned char*>(memory) + found->second.bytes;
    for (int i = 0; i < GUARD_BYTES; i++) {
        if (guard[i] == GUARD) continue;
        cn_host::complain("byte %d behind a block of %zu bytes was written", i, found->second.bytes);
        error = cudaErrorIllegalAddress;
        if (device >= 0) w().dead[device] = error;
        break;
    }
    memset(memory, 0xFF, found->second.bytes);
    release(memory, found->second.bytes);
    w().blocks.erase(found);
    return error;
}

}  // namespace

cudaError_t cudaMemGetInfo(size_t* free_bytes, size_t* total) {
    call c;
    *total = device_memory();
    *free_bytes = *total - (w().used[current_device] < *total ? w().used[current_device] : *total);
    return result(c.dead());
}

cudaError_t cudaMalloc(void** out, size_t bytes) {
    call c;
    *out = nullptr;
    if (c.dead() != cudaSuccess) return result(c.dead());
    if (breaks_capture()) return result(cudaErrorStreamCaptureUnsupported);
    if (bytes == 0) return cudaSuccess;
    uint64_t& used = w().used[current_device];
    if (bytes > device_memory() || used > device_memory() - bytes) return result(cudaErrorMemoryAllocation);
    *out = new_block(bytes, current_device);
    if (!*out) return result(cudaErrorMemoryAllocation);
    used += bytes;
    if (used > w().peak) w().peak = used;
    return cudaSuccess;
}

cudaError_t cudaFree(void* memory) {
    call c;
    if (!memory) return result(c.dead());
    if (breaks_capture()) return result(cudaErrorStreamCaptureUnsupported);
    return result(free_block(memory, false));
}

cudaError_t cudaMallocHost(void** out, size_t bytes) {
    call c;
    *out = nullptr;
    if (c.dead() != cudaSuccess) return result(c.dead());
    if (breaks_capture()) return result(cudaErrorStreamCaptureUnsupported);
    if (bytes == 0) return cudaSuccess;
    *out = new_block(bytes, -1);
    return result(*out ? cudaSuccess : cudaErrorMemoryAllocation);
}

cudaError_t cudaFreeHost(void* memory) {
    call c;
    if (!memory) return result(c.dead());
    if (breaks_capture()) return result(cudaErrorStreamCaptureUnsupported);
    return result(free_block(memory, true));
}

cudaError_t cudaPointerGetAttributes(struct cudaPointerAttributes* out, const void* address) {
    call c;
    uintptr_t start;
    const block* b = find(address, &start);
    memset(out, 0, sizeof *out);
    out->type = !b ? cudaMemoryTypeUnregistered : b->device < 0 ? cudaMemoryTypeHost : cudaMemoryTypeDevice;
    out->device = b && b->device >= 0 ? b->device : b ? 0 : -2;
    out->devicePointer = b ? const_cast<void*>(address) : nullptr;
    out->hostPointer = b && b->device >= 0 ? nullptr : const_cast<void*>(address);
    return result(c.dead());
}

cudaError_t cudaMemcpyAsync(void* dst, const void* src, size_t bytes, enum cudaMemcpyKind kind, cudaStream_t s) {
    call c;
    uintptr_t start;
    if (c.dead() != cudaSuccess) return result(c.dead());
    if (bytes == 0) return cudaSuccess;
    const block* to = find(dst, &start);
    const block* from = find(src, &start);
    bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
    bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
    if (kind == cudaMemcpyDefault) {
        to_device = to && to->device >= 0;
        from_device = from && from->device >= 0;
    }
    /* A host address may be any; what lies in a block must stay in it. */
    bool fits = (to ? holds_device(dst, bytes, to->device) : true) && (from ? holds_device(src, bytes, from->device) : true);
    if (!fits || to_device != (to && to->device >= 0) || from_device != (from && from->device >= 0)) {
        cn_host::complain("cudaMemcpyAsync of %zu bytes, kind %d: the %s is not what the kind says, or too small", bytes, static_cast<int>(kind),
                          to_device != (to && to->device >= 0) ? "destination" : "source");
        return result(cudaErrorInvalidValue);
    }
    work item{"cudaMemcpyAsync", {}, [=] {
                  memmove(dst, src, bytes);
                  return cudaSuccess;
              }};
    add_hold(&item.holds, dst);
    add_hold(&item.holds, src);
    return result(push(s, std::move(item)));
}

cudaError_t cudaMemsetAsync(void* dst, int value, size_t bytes, cudaStream_t s) {
    call c;
    if (c.dead() != cudaSuccess) return result(c.dead());
    if (bytes == 0) return cudaSuccess;
    if (!holds_device(dst, bytes, current_device)) {
        cn_host::complain("cudaMemsetAsync of %zu bytes: the destination is not in a block of the device", bytes);
        return result(cudaErrorInvalidValue);
    }
    work item{"cudaMemsetAsync", {}, [=] {
                  memset(dst, value, bytes);
                  return cudaSuccess;
              }};
    add_hold(&item.holds, dst);
    return result(push(s, std::move(item)));
}

/* ---- streams and events ---- */

cudaError_t cudaDeviceSynchronize(void) {
    call c;
    for (const auto& going : w().captures) {
        going->broken = true;
        return result(cudaErrorStreamCaptureUnsupported);
    }
    return result(drain_device(current_device));
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* out, unsigned) {
    call c;
    *out = nullptr;
    if (c.dead() != cudaSuccess) return result(c.dead());
    *out = new CUstream_st{current_device, {}, nullptr};
    w().streams.insert(*out);
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t s) {
    call c;
    if (!alive(s)) return result(cudaErrorInvalidResourceHandle);
    if (s->in) {
        s->in->broken = true;
        if (s->in->origin == s) w().captures.erase(s->in);
    }
    cudaError_t error = drain(s, nullptr);
    w().streams.erase(s);
    delete s;
    return result(error);
}

#if CUDART_VERSION >= 12080
cudaError_t cudaStreamGetDevice(cudaStream_t s, int* device) {
    call c;
    if (!alive(s)) return result(cudaErrorInvalidResourceHandle);
    *device = s->device;
    return result(c.dead());
}
#endif

cudaError_t cudaStreamSynchronize(cudaStream_t s) {
    call c;
    if (!alive(s)) return result(cudaErrorInvalidResourceHandle);
    if (s->in) {
        s->in->broken = true;
        return result(cudaErrorStreamCaptureUnsupported);
    }
    return result(drain(s, nullptr));
}

cudaError_t cudaStreamWaitEvent(cudaStream_t s, cudaEvent_t event, unsigned) {
    call c;
    if (!alive(s) || !w().events.count(event)) return result(cudaErrorInvalidResourceHandle);
    if (c.dead() != cudaSuccess) return result(c.dead());
    std::shared_ptr<mark> last = event->last;
    if (!last) return cudaSuccess; /* never recorded: nothing to wait for */
    if (last->in) {
        if (s->in && s->in != last->in) return result(cudaErrorStreamCaptureIsolation);
        if (last->in->broken) return result(cudaErrorStreamCaptureInvalidated);
        if (!s->in && !s->queue.empty()) (void)drain(s, nullptr);
        s->in = last->in; /* the stream joins the capture */
        if (!s->in->counts.count(s)) s->in->counts[s] = 0;
        size_t& joined = s->in->joined[last->stream];
        if (last->stream != s && joined < last->at) joined = last->at;
        return cudaSuccess;
    }
    if (s->in) {
        s->in->broken = true;
        return result(cudaErrorStreamCaptureIsolation);
    }
    work item{"cudaStreamWaitEvent", {}, [last] { return last->done || !alive(last->stream) ? cudaSuccess : drain(last->stream, last.get()); }};
    s->queue.push_back(std::move(item));
    return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* out, unsigned flags) {
    call c;
    *out = nullptr;
    if (c.dead() != cudaSuccess) return result(c.dead());
    *out = new CUevent_st{nullptr, (flags & cudaEventDisableTiming) == 0};
    w().events.insert(*out);
    return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
    call c;
    if (!event || !w().events.erase(event)) return result(cudaErrorInvalidResourceHandle);
    delete event;
    return result(c.dead());
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t s) {
    call c;
    if (!alive(s) || !w().events.count(event)) return result(cudaErrorInvalidResourceHandle);
    if (c.dead() != cudaSuccess) return result(c.dead());
    auto last = std::make_shared<mark>();
    last->stream = s;
    event->last = last;
    if (s->in) {
        last->in = s->in;
        last->at = s->in->counts[s];
        return result(s->in->broken ? cudaErrorStreamCaptureInvalidated : cudaSuccess);
    }
    return result(push(s, work{"cudaEventRecord", {}, [last] {
                                   last->done = true;
                                   last->ms = now_ms();
                                   return cudaSuccess;
                               }}));
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    call c;
    if (!event || !w().events.count(event)) return result(cudaErrorInvalidResourceHandle);
    if (!event->last || event->last->done) return result(c.dead());
    if (event->last->in) return result(cudaErrorCapturedEvent);
    return result(alive(event->last->stream) ? drain(event->last->stream, event->last.get()) : c.dead());
}

cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t start, cudaEvent_t end) {
    call c;
    if (!start || !end || !w().events.count(start) || !w().events.count(end)) return result(cudaErrorInvalidResourceHandle);
    if (!start->timed || !end->timed || !start->last || !end->last) return result(cudaErrorInvalidResourceHandle);
    if (!start->last->done || !end->last->done) return result(cudaErrorNotReady);
    *ms = static_cast<float>(end->last->ms - start->last->ms);
    return cudaSuccess;
}

/* ---- graphs ---- */

cudaError_t cudaStreamBeginCapture(cudaStream_t s, enum cudaStreamCaptureMode mode) {
    call c;
    if (!alive(s)) return result(cudaErrorInvalidResourceHandle);
    if (c.dead() != cudaSuccess) return result(c.dead());
    if (s->in) return result(cudaErrorIllegalState);
    auto started = std::make_shared<capture>();
    started->origin = s;
    started->mode = mode;
    started->thread = std::this_thread::get_id();
    started->counts[s] = 0;
    s->in = started;
    w().captures.insert(started);
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t s, cudaGraph_t* out) {
    call c;
    cudaError_t error = cudaSuccess;
    *out = nullptr;
    if (!alive(s)) return result(cudaErrorInvalidResourceHandle);
    if (!s->in || s->in->origin != s) return result(cudaErrorStreamCaptureUnmatched);
    std::shared_ptr<capture> ended = s->in;
    if (ended->mode != cudaStreamCaptureModeRelaxed && ended->thread != std::this_thread::get_id()) return result(cudaErrorStreamCaptureWrongThread);
    w().captures.erase(ended);
    for (const auto& part : ended->counts) {
        if (part.first != s && ended->joined[part.first] < part.second) error = cudaErrorStreamCaptureUnjoined;
        if (alive(part.first)) part.first->in = nullptr;
    }
    if (ended->broken) error = cudaErrorStreamCaptureInvalidated;
    ended->broken = true; /* for events that were recorded in it */
    if (c.dead() != cudaSuccess) error = c.dead();
    if (error != cudaSuccess) return result(error);
    *out = new CUgraph_st{std::move(ended->list)};
    w().graphs.insert(*out);
    return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* out, cudaGraph_t graph, unsigned long long) {
    call c;
    *out = nullptr;
    if (c.dead() != cudaSuccess) return result(c.dead());
    if (!graph || !w().graphs.count(graph)) return result(cudaErrorInvalidValue);
    *out = new CUgraphExec_st{std::make_shared<std::vector<work>>(graph->list)};
    w().execs.insert(*out);
    return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t s) {
    call c;
    if (c.dead() != cudaSuccess) return result(c.dead());
    if (!graph || !w().execs.count(graph)) return result(cudaErrorInvalidValue);
    if (alive(s) && s->in) { /* a graph within a graph is not used here */
        s->in->broken = true;
        return result(cudaErrorStreamCaptureUnsupported);
    }
    w().graph_launches++;
    std::shared_ptr<std::vector<work>> list = graph->list;
    return result(push(s, work{"cudaGraphLaunch", {}, [list] {
                                   for (const work& item : *list) {
                                       cudaError_t error = run_work(item);
                                       if (error != cudaSuccess) return error;
                                   }
                                   return cudaSuccess;
                               }}));
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph) {
    call c;
    if (!graph || !w().execs.erase(graph)) return result(cudaErrorInvalidValue);
    delete graph;
    return result(c.dead());
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    call c;
    if (!graph || !w().graphs.erase(graph)) return result(cudaErrorInvalidValue);
    delete graph;
    return result(c.dead());
}
