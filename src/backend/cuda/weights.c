/* Weights on the device: one block of memory for all that a session asked for, filled in the file's order by few long copies through two
 * pinned buffers; while one is on its way the other is filled. What must be turned comes to a temporary place first.
 *
 *     constants     | a        | b   | c (swapped) | d      |
 *     pinned        [1: a b     ] [2: c           ] [1: d   ]
 *     block         | a   | b  |  ^  | d     |
 *     temporary                 c ---'  by a kernel
 *
 * A device that shares the host's memory gets no copy: the block is memory of the host that the device reads in place, and filled there. */
#include <pthread.h>
#include <string.h>

#include "backend/cuda/device.h"
#include "kernels/upload.h"

#define MOST_DEVICES 64
#define PINNED_BYTES ((uint64_t)32 << 20)

/* The two buffers and their stream: one upload at a time in a process. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

typedef struct pump {
    bool mapped; /* the block is the host's memory: nothing is pumped */
    cudaStream_t stream;
    char* buffers[2];
    cudaEvent_t events[2]; /* the copy out of the buffer is done */
    bool busy[2];
    int current;
    uint64_t size;   /* of each buffer */
    uint64_t filled; /* of the current buffer */
    char* target;    /* on the device, of the current buffer's bytes */
    void* temporary;
    uint64_t temporary_bytes;
} pump;

static cornu_status pump_open(pump* p, int device, uint64_t bytes, uint64_t temporary_bytes) {
    CN_CUDA(cn_calls()->SetDevice(device));
    p->mapped = cn_cuda_shares_memory(device);
    CN_CUDA(cn_calls()->StreamCreateWithFlags(&p->stream, cudaStreamNonBlocking));
    p->temporary_bytes = temporary_bytes;
    if (p->mapped) return temporary_bytes > 0 ? CN_CUDA_OK(cn_calls()->MallocHost(&p->temporary, temporary_bytes)) : CORNU_OK;
    p->size = bytes < PINNED_BYTES ? cn_cuda_aligned(bytes ? bytes : 1) : PINNED_BYTES;
    for (int i = 0; i < 2; i++) {
        CN_CUDA(cn_calls()->MallocHost((void**)&p->buffers[i], p->size));
        CN_CUDA(cn_calls()->EventCreateWithFlags(&p->events[i], cudaEventDisableTiming));
    }
    if (temporary_bytes > 0) CN_CUDA(cn_calls()->Malloc(&p->temporary, temporary_bytes));
    return CORNU_OK;
}

/* After a failure too: what a buffer is being copied from must stay until the copy ends. */
static void pump_close(pump* p) {
    if (p->stream) (void)cn_calls()->StreamSynchronize(p->stream);
    for (int i = 0; i < 2; i++) {
        if (p->events[i]) (void)cn_calls()->EventDestroy(p->events[i]);
        if (p->buffers[i]) (void)cn_calls()->FreeHost(p->buffers[i]);
    }
    if (p->temporary) (void)(p->mapped ? cn_calls()->FreeHost(p->temporary) : cn_calls()->Free(p->temporary));
    if (p->stream) (void)cn_calls()->StreamDestroy(p->stream);
}

/* Sends the current buffer off. */
static cornu_status pump_flush(pump* p) {
    if (p->filled == 0) return CORNU_OK;
    CN_CUDA(cn_calls()->MemcpyAsync(p->target, p->buffers[p->current], p->filled, cudaMemcpyHostToDevice, p->stream));
    CN_CUDA(cn_calls()->EventRecord(p->events[p->current], p->stream));
    p->busy[p->current] = true;
    p->current = 1 - p->current;
    p->filled = 0;
    if (!p->busy[p->current]) return CORNU_OK;
    p->busy[p->current] = false;
    return CN_CUDA_OK(cn_calls()->EventSynchronize(p->events[p->current]));
}

/* bytes of data to dst, behind what was sent before. Padding between neighbours travels along. */
static cornu_status pump_send(pump* p, char* dst, const char* data, uint64_t bytes) {
    if (p->mapped) {
        memcpy(dst, data, bytes);
        return CORNU_OK;
    }
    if (p->filled > 0 && dst >= p->target + p->filled && (uint64_t)(dst - p->target) < p->size) {
        uint64_t gap = (uint64_t)(dst - p->target) - p->filled;
        if (gap < CN_CUDA_ALIGNMENT) {
            memset(p->buffers[p->current] + p->filled, 0, gap);
            p->filled += gap;
        }
    }
    if (p->filled > 0 && dst != p->target + p->filled) CN_TRY(pump_flush(p));
    while (bytes > 0) {
        uint64_t n = p->size - p->filled < bytes ? p->size - p->filled : bytes;
        if (p->filled == 0) p->target = dst;
        memcpy(p->buffers[p->current] + p->filled, data, n);
        p->filled += n;
        dst += n;
        data += n;
        bytes -= n;
        if (p->filled == p->size) CN_TRY(pump_flush(p));
    }
    return CORNU_OK;
}

static cornu_status send_swapped(pump* p, const cn_resident* r) {
    const cn_type* t = &r->type;
    cn_queue queue = {p->stream, cn_calls()->LaunchKernel, cn_calls()->LaunchCooperativeKernel};
    cn_swap_args a = {.x = p->temporary, .y = r->address, .rows = t->dims[t->ndim - 2], .columns = t->dims[t->ndim - 1]};

    for (int d = 0; r->form == CN_CUDA_FILTERS && d < t->ndim - 2; d++) a.rows *= t->dims[d]; /* all cells and channels are one axis */
    a.size = (int)cornu_dtype_size(t->dtype);
    a.count = a.rows * a.columns > 0 ? cn_type_count(t) / (a.rows * a.columns) : 0;
    CN_TRY(pump_flush(p));
    CN_TRY(pump_send(p, p->temporary, r->data, r->bytes));
    CN_TRY(pump_flush(p));
    CN_CUDA(cn_k_swap(&queue, &a));
    return p->mapped ? CN_CUDA_OK(cn_calls()->StreamSynchronize(p->stream)) : CORNU_OK; /* the next is written there at once */
}

static cornu_status send(pump* p, const cn_resident* r) {
    if (r->bytes == 0) return CORNU_OK;
    return r->form != CN_CUDA_DENSE ? send_swapped(p, r) : pump_send(p, r->address, r->data, r->bytes);
}

static cornu_status send_all(int device, const cn_resident* residents, int count) {
    pump p = {0};
    uint64_t total = 0, temporary = 0;
    cornu_status st = CORNU_OK;

    for (int i = 0; i < count; i++) {
        total += cn_cuda_aligned(residents[i].bytes);
        if (residents[i].form != CN_CUDA_DENSE && residents[i].bytes > temporary) temporary = residents[i].bytes;
    }
    (void)pthread_mutex_lock(&lock);
    CN_STEP(pump_open(&p, device, total, temporary));
    for (int i = 0; i < count; i++) CN_STEP(send(&p, &residents[i]));
    CN_STEP(pump_flush(&p));
    CN_STEP(CN_CUDA_OK(cn_calls()->StreamSynchronize(p.stream)));
done:
    pump_close(&p);
    (void)pthread_mutex_unlock(&lock);
    return st;
}

static cornu_status take_block(int device, uint64_t bytes, void** out) {
    *out = NULL;
    CN_CUDA(cn_calls()->SetDevice(device));
    return cn_cuda_shares_memory(device) ? CN_CUDA_OK(cn_calls()->MallocHost(out, bytes)) : CN_CUDA_OK(cn_calls()->Malloc(out, bytes));
}

static void give_back(int device, void* block) {
    (void)cn_calls()->SetDevice(device);
    (void)(cn_cuda_shares_memory(device) ? cn_calls()->FreeHost(block) : cn_calls()->Free(block));
}

static cornu_status make(const cn_residence* residence, cn_resident* residents, int count, void** block) {
    uint64_t total = 0;
    cornu_status st;

    *block = NULL;
    for (int i = 0; i < count; i++) total += cn_cuda_aligned(residents[i].bytes);
    CN_TRY(take_block(residence->index, total ? total : CN_CUDA_ALIGNMENT, block));
    total = 0;
    for (int i = 0; i < count; i++) {
        residents[i].address = (char*)*block + total;
        total += cn_cuda_aligned(residents[i].bytes);
    }
    st = send_all(residence->index, residents, count);
    if (st == CORNU_OK) return st;
    give_back(residence->index, *block);
    *block = NULL;
    return st;
}

/* Runs that were enqueued may still read the address. */
static cornu_status fill(const cn_residence* residence, const cn_resident* resident) {
    CN_CUDA(cn_calls()->SetDevice(residence->index));
    CN_CUDA(cn_calls()->DeviceSynchronize());
    return send_all(residence->index, resident, 1);
}

static void release(const cn_residence* residence, void* block) { give_back(residence->index, block); }

/* ---- the residences of a process ---- */

static cn_residence residences[MOST_DEVICES];
static pthread_once_t residences_once = PTHREAD_ONCE_INIT;

static void fill_residences(void) {
    for (int i = 0; i < MOST_DEVICES; i++) residences[i] = (cn_residence){make, fill, release, i, cornu_last_error};
}

cornu_status cn_cuda_residence(int index, const cn_residence** out) {
    *out = NULL;
    if (index < 0 || index >= MOST_DEVICES) return CN_FAIL(NO_DEVICE, "device cuda:%d: at most %d devices are served", index, MOST_DEVICES);
    (void)pthread_once(&residences_once, fill_residences);
    *out = &residences[index];
    return CORNU_OK;
}
