/* What .cu files see in place of nvcc: CUDA's names as functions of block.h. Included by kernels/launch.h under CN_HOST_EXECUTION. */
#ifndef CN_KERNELS_HOST_DEVICE_H
#define CN_KERNELS_HOST_DEVICE_H

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime_api.h>
#include <vector_functions.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <type_traits>
#include <unordered_map>

#include "kernels/host/block.h"

#define CN_DEVICE inline
#define CN_DEVICE_NOINLINE inline __attribute__((noinline))
#define CN_KERNEL(threads) static void
#define CN_KERNEL_BLOCKS(threads, blocks) static void
#define CN_SHARED(type, name, dims)                                        \
    static const cn_host_site name##_site = {__FILE__, __LINE__};          \
    typedef type name##_type dims;                                         \
    name##_type& name = *static_cast<name##_type*>(cn_host_shared(&name##_site, sizeof(name##_type), alignof(name##_type)))
#define CN_DYN_SHARED(type, name) type* name = static_cast<type*>(cn_host_dynamic_shared())
#define CN_UNROLL
#define CN_UNROLL_BY(times)
#define CN_NO_UNROLL

#define threadIdx (cn_host_thread_index())
#define blockIdx (cn_host_block_index())
#define blockDim (cn_host_block_dim())
#define gridDim (cn_host_grid_dim())
#define warpSize 32

/* ---- launching -------------------------------------------------------------------------------------------------------- */

template <typename... P>
struct cn_host_arguments {
    static void invoke(void (*kernel)(void), void** args) { call(kernel, args, std::index_sequence_for<P...>()); }
    template <size_t... I>
    static void call(void (*kernel)(void), void** args, std::index_sequence<I...>) {
        (void)args;
        reinterpret_cast<void (*)(P...)>(kernel)(*static_cast<std::remove_reference_t<P>*>(args[I])...);
    }
    static const size_t* sizes() {
        static const size_t bytes[sizeof...(P) + 1] = {sizeof(P)..., 0};
        return bytes;
    }
};

/* The descriptor of a kernel; the same one every time. */
template <typename... P>
const cn_host_kernel* cn_host_kernel_of(void (*kernel)(P...)) {
    static std::mutex mutex;
    static std::unordered_map<void (*)(P...), cn_host_kernel> kernels;
    const std::lock_guard<std::mutex> lock(mutex);
    return &kernels.try_emplace(kernel, cn_host_kernel{cn_host_arguments<P...>::invoke, reinterpret_cast<void (*)(void)>(kernel), static_cast<int>(sizeof...(P)),
                                                        cn_host_arguments<P...>::sizes(), __PRETTY_FUNCTION__}).first->second;
}

/* ---- barriers and warps ------------------------------------------------------------------------------------------------ */

#define CN_HOST_PLACE const char *file = __builtin_FILE(), int line = __builtin_LINE()

inline void __syncthreads(CN_HOST_PLACE) { cn_host_barrier(CN_HOST_SYNCTHREADS, 0, file, line); }
inline int __syncthreads_count(int p, CN_HOST_PLACE) { return cn_host_barrier(CN_HOST_SYNCTHREADS_COUNT, p, file, line); }
inline int __syncthreads_and(int p, CN_HOST_PLACE) { return cn_host_barrier(CN_HOST_SYNCTHREADS_AND, p, file, line); }
inline int __syncthreads_or(int p, CN_HOST_PLACE) { return cn_host_barrier(CN_HOST_SYNCTHREADS_OR, p, file, line); }
inline void cn_meet(unsigned* counter, unsigned members, unsigned turn, CN_HOST_PLACE) { cn_host_meet(counter, members, turn, file, line); }
inline void __syncwarp(unsigned mask = 0xffffffffu, CN_HOST_PLACE) { cn_host_warp(CN_HOST_SYNCWARP, mask, 0, 0, file, line); }
inline unsigned __ballot_sync(unsigned mask, int p, CN_HOST_PLACE) { return static_cast<unsigned>(cn_host_warp(CN_HOST_BALLOT, mask, p != 0, 0, file, line)); }
inline int __any_sync(unsigned mask, int p, CN_HOST_PLACE) { return cn_host_warp(CN_HOST_BALLOT, mask, p != 0, 0, file, line) != 0; }
inline int __all_sync(unsigned mask, int p, CN_HOST_PLACE) { return cn_host_warp(CN_HOST_BALLOT, mask, p != 0, 0, file, line) == mask; }
/* Only the calling lane is sure to be there. */
inline unsigned __activemask() { return 1u << cn_host_lane(); }

template <typename T>
struct cn_host_shuffled {
    static const bool value = std::is_same<T, int>::value || std::is_same<T, unsigned>::value || std::is_same<T, long>::value || std::is_same<T, unsigned long>::value ||
                              std::is_same<T, long long>::value || std::is_same<T, unsigned long long>::value || std::is_same<T, float>::value ||
                              std::is_same<T, double>::value || std::is_same<T, __half>::value || std::is_same<T, __half2>::value ||
                              std::is_same<T, __nv_bfloat16>::value || std::is_same<T, __nv_bfloat162>::value;
};

template <typename T>
inline T cn_host_shuffle(cn_host_op op, unsigned mask, T v, unsigned lane, int width, const char* file, int line) {
    static_assert(cn_host_shuffled<T>::value, "CUDA shuffles no such type");
    uint64_t bits = 0;
    memcpy(&bits, static_cast<const void*>(&v), sizeof v);
    if (width < 1 || width > 32 || (width & (width - 1)) != 0) cn_host_fail(file, line, "the width of a shuffle is no power of two up to 32");
    bits = cn_host_warp(op, mask, bits, (lane & 0xff) | static_cast<unsigned>(width) << 8, file, line);
    memcpy(static_cast<void*>(&v), &bits, sizeof v);
    return v;
}
template <typename T>
inline T __shfl_sync(unsigned mask, T v, int lane, int width = 32, CN_HOST_PLACE) {
    return cn_host_shuffle(CN_HOST_SHFL, mask, v, static_cast<unsigned>(lane), width, file, line);
}
template <typename T>
inline T __shfl_up_sync(unsigned mask, T v, unsigned delta, int width = 32, CN_HOST_PLACE) {
    return cn_host_shuffle(CN_HOST_SHFL_UP, mask, v, delta, width, file, line);
}
template <typename T>
inline T __shfl_down_sync(unsigned mask, T v, unsigned delta, int width = 32, CN_HOST_PLACE) {
    return cn_host_shuffle(CN_HOST_SHFL_DOWN, mask, v, delta, width, file, line);
}
template <typename T>
inline T __shfl_xor_sync(unsigned mask, T v, int lanes, int width = 32, CN_HOST_PLACE) {
    return cn_host_shuffle(CN_HOST_SHFL_XOR, mask, v, static_cast<unsigned>(lanes), width, file, line);
}
template <typename T>
inline unsigned __match_any_sync(unsigned mask, T v, CN_HOST_PLACE) {
    static_assert(cn_host_shuffled<T>::value, "CUDA matches no such type");
    uint64_t bits = 0;
    memcpy(&bits, &v, sizeof v);
    return static_cast<unsigned>(cn_host_warp(CN_HOST_MATCH_ANY, mask, bits, 0, file, line));
}

#define CN_HOST_REDUCE_SYNC(name, type, how)                                                                                 \
    inline type name(unsigned mask, type v, CN_HOST_PLACE) {                                                                  \
        return static_cast<type>(cn_host_warp(CN_HOST_REDUCE, mask, static_cast<uint64_t>(static_cast<int64_t>(v)), how, file, line)); \
    }
CN_HOST_REDUCE_SYNC(__reduce_add_sync, int, CN_HOST_ADD)
CN_HOST_REDUCE_SYNC(__reduce_add_sync, unsigned, CN_HOST_ADD)
CN_HOST_REDUCE_SYNC(__reduce_min_sync, int, CN_HOST_MIN_SIGNED)
CN_HOST_REDUCE_SYNC(__reduce_max_sync, int, CN_HOST_MAX_SIGNED)
CN_HOST_REDUCE_SYNC(__reduce_min_sync, unsigned, CN_HOST_MIN_UNSIGNED)
CN_HOST_REDUCE_SYNC(__reduce_max_sync, unsigned, CN_HOST_MAX_UNSIGNED)
CN_HOST_REDUCE_SYNC(__reduce_and_sync, unsigned, CN_HOST_AND)
CN_HOST_REDUCE_SYNC(__reduce_or_sync, unsigned, CN_HOST_OR)
CN_HOST_REDUCE_SYNC(__reduce_xor_sync, unsigned, CN_HOST_XOR)

/* ---- memory ------------------------------------------------------------------------------------------------------------- */

template <typename T>
inline T __ldg(const T* p) {
    return *p;
}
template <typename T>
inline T __ldcs(const T* p) {
    return *p;
}
template <typename T>
inline T __ldcg(const T* p) {
    return *p;
}
template <typename T>
inline void __stcs(T* p, T v) {
    *p = v;
}
template <typename T>
inline void __stcg(T* p, T v) {
    *p = v;
}
inline void __threadfence() { cn_host_fence(); }
inline void __threadfence_block() { cn_host_fence(); }

/* Atomics order nothing but themselves, as on the device. */
template <typename T>
inline T cn_host_cas(T* p, T expected, T desired) {
    __atomic_compare_exchange_n(p, &expected, desired, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    return expected;
}
#define CN_HOST_ATOMIC(name, type, builtin) \
    inline type name(type* p, type v) { return builtin(p, v, __ATOMIC_RELAXED); }
#define CN_HOST_ATOMIC_PICK(name, type, op)                                       \
    inline type name(type* p, type v) {                                           \
        type seen = __atomic_load_n(p, __ATOMIC_RELAXED);                         \
        while (v op seen) {                                                       \
            const type was = cn_host_cas<type>(p, seen, v);                       \
            if (was == seen) break;                                               \
            seen = was;                                                           \
        }                                                                         \
        return seen;                                                              \
    }
#define CN_HOST_ATOMICS(type)                              \
    CN_HOST_ATOMIC(atomicAdd, type, __atomic_fetch_add)    \
    CN_HOST_ATOMIC(atomicExch, type, __atomic_exchange_n)  \
    CN_HOST_ATOMIC(atomicAnd, type, __atomic_fetch_and)    \
    CN_HOST_ATOMIC(atomicOr, type, __atomic_fetch_or)      \
    CN_HOST_ATOMIC(atomicXor, type, __atomic_fetch_xor)    \
    CN_HOST_ATOMIC_PICK(atomicMin, type, <)                \
    CN_HOST_ATOMIC_PICK(atomicMax, type, >)                \
    inline type atomicCAS(type* p, type expected, type desired) { return cn_host_cas<type>(p, expected, desired); }
CN_HOST_ATOMICS(int)
CN_HOST_ATOMICS(unsigned)
CN_HOST_ATOMICS(unsigned long long)
CN_HOST_ATOMIC_PICK(atomicMin, long long, <)
CN_HOST_ATOMIC_PICK(atomicMax, long long, >)
CN_HOST_ATOMIC(atomicSub, int, __atomic_fetch_sub)
CN_HOST_ATOMIC(atomicSub, unsigned, __atomic_fetch_sub)
inline unsigned short atomicCAS(unsigned short* p, unsigned short expected, unsigned short desired) { return cn_host_cas(p, expected, desired); }

template <typename To, typename From>
inline To cn_host_bits(From v) {
    static_assert(sizeof(To) == sizeof(From), "the same bytes");
    To to;
    memcpy(&to, &v, sizeof to);
    return to;
}
template <typename T, typename Bits>
inline T cn_host_atomic_add(T* p, T v) {
    Bits* bits = reinterpret_cast<Bits*>(p);
    Bits seen = __atomic_load_n(bits, __ATOMIC_RELAXED);
    for (;;) {
        const Bits was = cn_host_cas<Bits>(bits, seen, cn_host_bits<Bits>(cn_host_bits<T>(seen) + v));
        if (was == seen) return cn_host_bits<T>(seen);
        seen = was;
    }
}
inline float atomicAdd(float* p, float v) { return cn_host_atomic_add<float, uint32_t>(p, v); }
inline double atomicAdd(double* p, double v) { return cn_host_atomic_add<double, uint64_t>(p, v); }
inline float atomicExch(float* p, float v) { return cn_host_bits<float>(__atomic_exchange_n(reinterpret_cast<uint32_t*>(p), cn_host_bits<uint32_t>(v), __ATOMIC_RELAXED)); }

/* ---- arithmetic --------------------------------------------------------------------------------------------------------- */

inline int __float_as_int(float v) { return cn_host_bits<int>(v); }
inline unsigned __float_as_uint(float v) { return cn_host_bits<unsigned>(v); }
inline float __int_as_float(int v) { return cn_host_bits<float>(v); }
inline float __uint_as_float(unsigned v) { return cn_host_bits<float>(v); }
inline long long __double_as_longlong(double v) { return cn_host_bits<long long>(v); }
inline double __longlong_as_double(long long v) { return cn_host_bits<double>(v); }

inline int __popc(unsigned v) { return __builtin_popcount(v); }
inline int __popcll(unsigned long long v) { return __builtin_popcountll(v); }
inline int __clz(int v) { return v == 0 ? 32 : __builtin_clz(static_cast<unsigned>(v)); }
inline int __clzll(long long v) { return v == 0 ? 64 : __builtin_clzll(static_cast<unsigned long long>(v)); }
inline int __ffs(int v) { return __builtin_ffs(v); }
inline int __ffsll(long long v) { return __builtin_ffsll(v); }
inline unsigned __brev(unsigned v) {
    unsigned r = 0;
    for (int i = 0; i < 32; i++) r |= ((v >> i) & 1u) << (31 - i);
    return r;
}
inline unsigned __umulhi(unsigned a, unsigned b) { return static_cast<unsigned>((static_cast<uint64_t>(a) * b) >> 32); }
inline int __mulhi(int a, int b) { return static_cast<int>((static_cast<int64_t>(a) * b) >> 32); }
__extension__ typedef unsigned __int128 cn_host_uint128;
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) { return static_cast<unsigned long long>((static_cast<cn_host_uint128>(a) * b) >> 64); }

inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
inline double __fma_rn(double a, double b, double c) { return fma(a, b, c); }
/* Rounded apart: never contracted into a fused multiply-add. */
inline float __fmul_rn(float a, float b) {
    volatile float r = a * b;
    return r;
}
inline float __fadd_rn(float a, float b) {
    volatile float r = a + b;
    return r;
}
inline float __fsub_rn(float a, float b) {
    volatile float r = a - b;
    return r;
}
inline double __dmul_rn(double a, double b) {
    volatile double r = a * b;
    return r;
}
inline double __dadd_rn(double a, double b) {
    volatile double r = a + b;
    return r;
}
inline double __dsub_rn(double a, double b) {
    volatile double r = a - b;
    return r;
}
inline float __fdiv_rn(float a, float b) { return a / b; }
inline double __ddiv_rn(double a, double b) { return a / b; }
inline float __frcp_rn(float a) { return 1.0f / a; }
inline float __fsqrt_rn(float a) { return sqrtf(a); }
inline double __dsqrt_rn(double a) { return sqrt(a); }
inline float __saturatef(float a) { return a >= 1 ? 1.0f : a > 0 ? a : 0.0f; }
inline float rsqrtf(float a) { return 1.0f / sqrtf(a); }
inline double rsqrt(double a) { return 1.0 / sqrt(a); }
/* The approximate forms; the C library declares functions of its own by some of these names. */
#define __expf(x) expf(x)
#define __logf(x) logf(x)
#define __log2f(x) log2f(x)
#define __log10f(x) log10f(x)
#define __exp10f(x) exp10f(x)
#define __powf(x, y) powf(x, y)
#define __sinf(x) sinf(x)
#define __cosf(x) cosf(x)
#define __tanf(x) tanf(x)
#define __tanhf(x) tanhf(x)
inline float __fdividef(float a, float b) { return a / b; }

#define CN_HOST_MIN_MAX(type)                                  \
    inline type min(type a, type b) { return b < a ? b : a; }  \
    inline type max(type a, type b) { return a < b ? b : a; }
CN_HOST_MIN_MAX(int)
CN_HOST_MIN_MAX(unsigned)
CN_HOST_MIN_MAX(long)
CN_HOST_MIN_MAX(unsigned long)
CN_HOST_MIN_MAX(long long)
CN_HOST_MIN_MAX(unsigned long long)
inline float min(float a, float b) { return fminf(a, b); }
inline float max(float a, float b) { return fmaxf(a, b); }
inline double min(double a, double b) { return fmin(a, b); }
inline double max(double a, double b) { return fmax(a, b); }

inline int __float2int_rn(float v) { return static_cast<int>(nearbyintf(v)); }
inline int __float2int_rz(float v) { return static_cast<int>(v); }
inline int __float2int_rd(float v) { return static_cast<int>(floorf(v)); }
inline float __int2float_rn(int v) { return static_cast<float>(v); }
inline float __uint2float_rn(unsigned v) { return static_cast<float>(v); }
inline float __double2float_rn(double v) { return static_cast<float>(v); }

#endif
