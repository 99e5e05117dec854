/* How kernels are written: CUDA C++ with these macros in place of what only nvcc understands, so that the same files are compiled by nvcc for
 * a device and by the host's compiler for host execution (kernels/host, -DCN_HOST_EXECUTION).
 *
 *     CN_KERNEL(256) my_kernel(cn_my_args a) {                        256: the largest block, for the register allocator; it may spill to have
 *                                                                     room for more blocks: CN_KERNEL_BLOCKS(256, 2) says how many are enough
 *         CN_SHARED(float, tile, [32][33]);                           static shared memory
 *         CN_DYN_SHARED(float, row);                                  the bytes given at launch, aligned to 16
 *         ... threadIdx, __syncthreads(), __shfl_xor_sync(), atomicAdd(), float4, __half ...
 *     }
 *     extern "C" cudaError_t cn_k_my(const cn_queue* q, const cn_my_args* a) {
 *         return cn_launch(q, my_kernel, dim3(blocks), dim3(256), shared_bytes, *a);
 *     }
 *
 * A kernel's arguments are passed by value (at most 4 KiB in all). Never <<<>>>, never __shared__ or extern __shared__. */
#ifndef CN_KERNELS_LAUNCH_H
#define CN_KERNELS_LAUNCH_H

#include "kernels/kernels.h"

#ifdef CN_HOST_EXECUTION
#include "kernels/host/device.h"
#else
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#define CN_DEVICE __device__ __forceinline__
#define CN_DEVICE_NOINLINE inline __device__ __noinline__
#define CN_KERNEL(threads) static __global__ void __launch_bounds__(threads)
#define CN_KERNEL_BLOCKS(threads, blocks) static __global__ void __launch_bounds__(threads, blocks)
#define CN_SHARED(type, name, dims) __shared__ type name dims
#define CN_DYN_SHARED(type, name)                                      \
    extern __shared__ __align__(16) unsigned char cn_dynamic_shared[]; \
    type* name = reinterpret_cast<type*>(cn_dynamic_shared)
/* Before a loop: unrolled, unrolled that many times, not unrolled. */
#define CN_PRAGMA(text) _Pragma(#text)
#define CN_UNROLL CN_PRAGMA(unroll)
#define CN_UNROLL_BY(times) CN_PRAGMA(unroll (times))
#define CN_NO_UNROLL CN_PRAGMA(unroll 1)

/* Blocks of one cooperative launch (cn_launch_together) wait for each other: all threads of `members` blocks, the
 * turn-th time (from 1) with this counter, a word in global memory that was zero before the launch. What any of them
 * wrote before is what all of them read behind it. The barriers make the first thread speak for its block: it hands on
 * what it has seen. The counter only grows, and may wrap. */
static __device__ __forceinline__ void cn_meet(unsigned* counter, unsigned members, unsigned turn) {
    __syncthreads();
    if (threadIdx.x == 0 && threadIdx.y == 0 && threadIdx.z == 0) {
        unsigned seen;
        __threadfence();
        asm volatile("red.release.gpu.global.add.u32 [%0], 1;" : : "l"(counter) : "memory");
        do asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(seen) : "l"(counter) : "memory");
        while (static_cast<int>(seen - turn * members) < 0);
        __threadfence();
    }
    __syncthreads();
}
#endif

/* What CUDA, or host execution, knows a kernel by. */
template <typename... P>
static inline const void* cn_kernel_handle(void (*kernel)(P...)) {
#ifdef CN_HOST_EXECUTION
    return cn_host_kernel_of(kernel);
#else
    return reinterpret_cast<const void*>(kernel);
#endif
}

/* Launches kernel(args...); the last template pack is deduced apart from the kernel's, so that arguments convert as in a call. */
template <typename... P, typename... A>
static inline cudaError_t cn_launch_by(cn_launch_fn launch, cudaStream_t stream, void (*kernel)(P...), dim3 grid,
                                       dim3 block, size_t shared_bytes, A... args) {
    return [&](P... values) {
        void* pointers[sizeof...(P) + 1] = {const_cast<void*>(static_cast<const void*>(&values))..., nullptr};
        return launch(cn_kernel_handle(kernel), grid, block, pointers, shared_bytes, stream);
    }(args...);
}
template <typename... P, typename... A>
static inline cudaError_t cn_launch(const cn_queue* q, void (*kernel)(P...), dim3 grid, dim3 block, size_t shared_bytes,
                                    A... args) {
    return cn_launch_by(q->launch, q->stream, kernel, grid, block, shared_bytes, args...);
}
/* All blocks run at the same time and may meet (cn_meet); no more of them than the device holds at once. */
template <typename... P, typename... A>
static inline cudaError_t cn_launch_together(const cn_queue* q, void (*kernel)(P...), dim3 grid, dim3 block,
                                             size_t shared_bytes, A... args) {
    return cn_launch_by(q->launch_together, q->stream, kernel, grid, block, shared_bytes, args...);
}

/* Blocks of `threads` for n items, one item a thread, and never more than a grid-stride loop needs. */
static inline dim3 cn_blocks(int64_t n, int threads) {
    int64_t blocks = (n + threads - 1) / threads;
    return dim3(static_cast<unsigned>(blocks < 1 ? 1 : blocks > 1048576 ? 1048576 : blocks));
}

/* for (CN_ITEMS(i, n)): every item once, over the whole grid. */
#define CN_ITEMS(i, n)                                                                                        \
    int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < (n);                         \
    i += static_cast<int64_t>(gridDim.x) * blockDim.x

#endif
