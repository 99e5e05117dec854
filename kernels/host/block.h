/* Runs kernels on the host: every thread of a block is a fiber, and what a GPU would let pass or crash on is reported.
 *
 *     order of threads    seed 0: ascending, a warp goes on until it has to wait; others: shuffled, blocks too. From the environment
 *                         (CN_HOST_SEED) or cn_host_set_order. Results must not depend on it.
 *     __syncthreads       all threads of the block meet at one line; a thread that has ended, or is at another line, is an error
 *     cn_meet             blocks of a cooperative launch, all of which are alive at once, meet at one line, all threads of each; a block that has ended
 *                         or waits elsewhere, another launch than a cooperative one and a counter that was not zero are errors
 *     warp operations     all lanes of the mask meet at one line with the same mask; so for exited lanes and for reading outside the mask
 *     shared memory       starts as garbage in every block (seed 0: bytes 0xFF, a NaN; other seeds: other bytes, so that what reads it before
 *                         writing it differs between seeds); arrays are apart, with poisoned red zones under AddressSanitizer
 *     cp.async            copies when it is waited for, never before; the target is garbage until then
 *     ThreadSanitizer     each thread is a thread of its own; edges are drawn by barriers and __syncwarp, not by shuffles; between blocks by cn_meet
 *
 * An error prints one line that begins with "host execution:" and aborts. These files must be compiled without -fsanitize (the program may be).
 *
 * OS threads may run kernels at the same time; each has its own fibers, which are kept until it ends. */
#ifndef CN_KERNELS_HOST_BLOCK_H
#define CN_KERNELS_HOST_BLOCK_H

#include <cuda_runtime_api.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What cn_queue.launch is given for a kernel. Lives as long as the program. */
typedef struct cn_host_kernel {
    void (*invoke)(void (*kernel)(void), void** args); /* calls kernel with *args[0], *args[1] ... */
    void (*kernel)(void);
    int arg_count;
    const size_t* arg_sizes; /* bytes of each argument; copies must be aligned to 16 */
    const char* name;        /* what cudaFuncGetName gives */
} cn_host_kernel;

/* Whether a launch is within the limits of every device: cudaErrorInvalidConfiguration, cudaErrorInvalidValue (shared memory). */
cudaError_t cn_host_check(dim3 grid, dim3 block, size_t shared);
/* Runs all blocks to their end on this OS thread. */
cudaError_t cn_host_execute(const cn_host_kernel* kernel, dim3 grid, dim3 block, void** args, size_t shared);
/* How many blocks of so many threads can be alive at once. */
unsigned cn_host_most_together(unsigned threads);
/* The same, all blocks alive at once: they may meet. cudaErrorCooperativeLaunchTooLarge: there are too many of them. */
cudaError_t cn_host_execute_together(const cn_host_kernel* kernel, dim3 grid, dim3 block, void** args, size_t shared);
/* The seed for launches from now on, on all OS threads. */
void cn_host_set_order(uint64_t seed);

/* ---- for device.h -------------------------------------------------------------------------------------------------- */

typedef enum cn_host_op {
    CN_HOST_SYNCTHREADS,
    CN_HOST_SYNCTHREADS_COUNT,
    CN_HOST_SYNCTHREADS_AND,
    CN_HOST_SYNCTHREADS_OR,
    CN_HOST_MEET,
    CN_HOST_SYNCWARP,
    CN_HOST_SHFL,      /* param: lane | width << 8 */
    CN_HOST_SHFL_UP,   /* param: delta | width << 8 */
    CN_HOST_SHFL_DOWN,
    CN_HOST_SHFL_XOR,
    CN_HOST_BALLOT,
    CN_HOST_MATCH_ANY,
    CN_HOST_REDUCE,    /* param: cn_host_reduction */
    CN_HOST_TOGETHER   /* value: address of the lane's data */
} cn_host_op;

typedef enum cn_host_reduction {
    CN_HOST_ADD,
    CN_HOST_MIN_SIGNED,
    CN_HOST_MAX_SIGNED,
    CN_HOST_MIN_UNSIGNED,
    CN_HOST_MAX_UNSIGNED,
    CN_HOST_AND,
    CN_HOST_OR,
    CN_HOST_XOR
} cn_host_reduction;

/* One declaration of a shared array; its address tells it from others. */
typedef struct cn_host_site {
    const char* file;
    int line;
} cn_host_site;

typedef struct cn_host_copy {
    void* dst;
    const void* src;
    int bytes; /* of 16; the rest becomes zeros */
    int group;
} cn_host_copy;

uint3 cn_host_thread_index(void) __attribute__((const));
uint3 cn_host_block_index(void) __attribute__((const));
dim3 cn_host_block_dim(void) __attribute__((const));
dim3 cn_host_grid_dim(void) __attribute__((const));
int cn_host_lane(void) __attribute__((const));

int cn_host_barrier(cn_host_op op, int predicate, const char* file, int line);
/* All threads of `members` blocks wait here for each other, the turn-th time (from 1) with this counter. */
void cn_host_meet(unsigned* counter, unsigned members, unsigned turn, const char* file, int line);
/* The lane's result of a warp operation of the lanes of mask. */
uint64_t cn_host_warp(cn_host_op op, unsigned mask, uint64_t value, unsigned param, const char* file, int line);
/* All 32 lanes meet; the last one calls compute with the address of each lane's data. */
typedef void (*cn_host_compute)(void* const* lanes);
void cn_host_together(cn_host_compute compute, void* data, const char* file, int line);
void* cn_host_shared(const cn_host_site* site, size_t bytes, size_t align);
void* cn_host_dynamic_shared(void);
void cn_host_fence(void);
void cn_host_async_push(void* dst, const void* src, int bytes);
void cn_host_async_commit(void);
/* The next copy that must be done so that at most `pending` committed groups remain; false if there is none. */
int cn_host_async_take(int pending, cn_host_copy* out);
void cn_host_fail(const char* file, int line, const char* what) __attribute__((noreturn));

#ifdef __cplusplus
}
#endif

#endif
