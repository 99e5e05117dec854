/* The CUDA runtime of host execution: the functions of cuda_runtime_api.h that Cornu calls, under their own names, for devices that do not exist.
 * It is later than a real one wherever a real one may be: work that is put on a stream runs when somebody waits for it, so that memory
 * given back too early, a missing wait and a stale address in a captured graph show up.
 *
 *     streams     lists of work, run in order by StreamSynchronize, EventSynchronize, StreamDestroy, Free, or by a stream that waits for an event
 *     memory      blocks of exactly the size asked for, filled with bytes 0xFF (NaN, -1); known, so that a host address where a device's belongs, a
 *                 copy beyond a block's end and a wrong copy kind are refused (cudaErrorInvalidValue)
 *     capture     work goes into a graph's list instead; each launch of the graph runs it again. Blocks that its arguments lie in are
 *                 remembered: one that has been freed since is reported by name and ends the context (cudaErrorIllegalAddress)
 *     errors      an error while work runs is sticky: every later call of the device gives it
 *
 * From the environment, each time it is asked for:
 *     CORNU_HOST_DEVICES      how many devices there are (1; 0: cudaErrorNoDevice)
 *     CORNU_HOST_MEMORY       bytes of each (8 GiB)
 *     CORNU_HOST_PROCESSORS   multiprocessors of each (4): how many blocks of a cooperative launch there may be
 *     CORNU_HOST_CAPABILITY   90 for sm_90 (90)
 *     CORNU_HOST_INTEGRATED   1: a device that shares the host's memory, as a Jetson does
 *     CORNU_HOST_DRIVER       version of the driver (that of the headers); an older one gives cudaErrorInsufficientDriver
 *
 * Thread-safe, by one lock: work of different threads does not overlap. The default stream does not exist. */
#ifndef CN_KERNELS_HOST_RUNTIME_H
#define CN_KERNELS_HOST_RUNTIME_H

#include <cuda_runtime_api.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What has been made and not been given back. The device's bytes are those asked for. */
typedef struct cn_host_usage {
    uint64_t device_bytes, peak_bytes;
    long device_blocks, host_blocks, streams, events, graphs, graph_execs;
    long lt_handles, lt_objects; /* of cublaslt.h */
    long dnn_handles, dnn_objects; /* of cudnn.h */
    long launches, graph_launches, matmuls; /* ever since */
} cn_host_usage;

/* For tests; these two and cn_host_set_order are exported from the plug-in. */
__attribute__((visibility("default"))) void cn_host_get_usage(cn_host_usage* out);
/* Ends a sticky error, on all devices. */
__attribute__((visibility("default"))) void cn_host_revive(void);

#ifdef __cplusplus
}

#include <functional>
#include <vector>

namespace cn_host {

/* An address that a piece of work uses. */
struct use {
    const void* address;
    size_t bytes;
};

/* Puts work on a stream, or into the graph that the stream captures. what: a text that outlives it. */
cudaError_t enqueue(cudaStream_t stream, const char* what, std::vector<use> uses, std::function<cudaError_t()> run);
/* A launch, counted; its uses are kept only in a graph. refused: what is wrong with it. */
cudaError_t enqueue_launch(cudaStream_t stream, cudaError_t refused, const std::vector<use>& uses, std::function<cudaError_t()> run);
/* Whether [address, address + bytes) lies in one block of the current device. */
bool is_device(const void* address, size_t bytes);
bool is_pinned(const void* address);
/* One line on stderr that begins with "host execution:". */
void complain(const char* format, ...) __attribute__((format(printf, 1, 2)));
/* cublaslt.cc counts its objects here. */
void count_lt(long handles, long objects, long matmuls);
/* cudnn.cc puts its counts of objects there. */
void get_dnn_usage(cn_host_usage* out);

}  // namespace cn_host
#endif

#endif
