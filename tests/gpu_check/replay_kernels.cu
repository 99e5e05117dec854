/* Kernels of replay.h: one warp that adds, and elementwise functions compiled into one kernel, a 16-byte vector a
 * thread: the least that the machine for elementwise programs could take. */
#include <cuda_bf16.h>
#include <cuda_runtime.h>
#include <string.h>

#include "tests/gpu_check/replay.h"

#define THREADS 256

namespace {

template <bool PROGRAMMATIC>
__global__ void __launch_bounds__(REPLAY_NUMBERS) add_one(float* x) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    if (PROGRAMMATIC) {
        asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
        asm volatile("griddepcontrol.wait;" ::
                         : "memory");  // until the kernel before it has ended and its writes are visible
    }
#endif
    x[threadIdx.x] += 1.0f;
}

__device__ inline float widen(float x) { return x; }
__device__ inline float widen(__nv_bfloat16 x) { return __bfloat162float(x); }
__device__ inline void narrow(float* y, float x) { *y = x; }
__device__ inline void narrow(__nv_bfloat16* y, float x) { *y = __float2bfloat16_rn(x); }

template <typename E>
struct alignas(16) vector {
    enum { EACH = 16 / sizeof(E) };
    E v[EACH];
};

template <typename E, int OPS>
__global__ void __launch_bounds__(THREADS) fused(const vector<E>* x, vector<E>* y, int64_t vectors) {
    const int64_t i = static_cast<int64_t>(blockIdx.x) * THREADS + threadIdx.x;
    if (i >= vectors) return;
    vector<E> part = x[i];
#pragma unroll
    for (int k = 0; k < vector<E>::EACH; k++) {
        float value = widen(part.v[k]);
#pragma unroll
        for (int op = 0; op < OPS; op++) {
            if (op % 2 == 0) value = value / (1.0f + fabsf(value));
            else value = value < 0.0f ? expm1f(value) : value;
        }
        narrow(&part.v[k], value);
    }
    y[i] = part;
}

template <typename E>
__global__ void __launch_bounds__(THREADS) fill(vector<E>* x, int64_t vectors) {
    const int64_t i = static_cast<int64_t>(blockIdx.x) * THREADS + threadIdx.x;
    if (i >= vectors) return;
    vector<E> part;
    for (int k = 0; k < vector<E>::EACH; k++) {
        unsigned h = static_cast<unsigned>(i * vector<E>::EACH + k) * 2654435761u;
        h = (h ^ (h >> 15)) * 2246822519u;
        h ^= h >> 13;
        narrow(&part.v[k], static_cast<float>(h >> 8) * (1.0f / 8388608.0f) - 1.0f);
    }
    x[i] = part;
}

unsigned blocks_of(int64_t vectors) { return static_cast<unsigned>((vectors + THREADS - 1) / THREADS); }

template <typename E>
cudaError_t launch_fused(int ops, const void* x, void* y, int64_t vectors, cudaStream_t stream) {
    const vector<E>* from = static_cast<const vector<E>*>(x);
    vector<E>* to = static_cast<vector<E>*>(y);
    switch (ops) {
        case 2: fused<E, 2><<<blocks_of(vectors), THREADS, 0, stream>>>(from, to, vectors); break;
        case 4: fused<E, 4><<<blocks_of(vectors), THREADS, 0, stream>>>(from, to, vectors); break;
        case 8: fused<E, 8><<<blocks_of(vectors), THREADS, 0, stream>>>(from, to, vectors); break;
        case 12: fused<E, 12><<<blocks_of(vectors), THREADS, 0, stream>>>(from, to, vectors); break;
        default: return cudaErrorInvalidValue;
    }
    return cudaGetLastError();
}

}  // namespace

extern "C" cudaError_t replay_link(int programmatic, float* x, cudaStream_t stream) {
    cudaLaunchAttribute attribute = {};
    cudaLaunchConfig_t config = {};
    config.gridDim = dim3(1);
    config.blockDim = dim3(REPLAY_NUMBERS);
    config.stream = stream;
    if (!programmatic) return cudaLaunchKernelEx(&config, add_one<false>, x);
    attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attribute.val.programmaticStreamSerializationAllowed = 1;
    config.attrs = &attribute;
    config.numAttrs = 1;
    return cudaLaunchKernelEx(&config, add_one<true>, x);
}

extern "C" cudaError_t replay_fused(int ops, int half, const void* x, void* y, int64_t vectors, cudaStream_t stream) {
    return half ? launch_fused<__nv_bfloat16>(ops, x, y, vectors, stream)
                : launch_fused<float>(ops, x, y, vectors, stream);
}

extern "C" cudaError_t replay_fill(int half, void* x, int64_t vectors, cudaStream_t stream) {
    if (half)
        fill<__nv_bfloat16>
            <<<blocks_of(vectors), THREADS, 0, stream>>>(static_cast<vector<__nv_bfloat16>*>(x), vectors);
    else fill<float><<<blocks_of(vectors), THREADS, 0, stream>>>(static_cast<vector<float>*>(x), vectors);
    return cudaGetLastError();
}
