/* Folds over the threads of a warp and of a block. A fold's order is fixed by the thread numbers, so the result has the same bits in every run,
 * and every thread gets it.
 *
 *     blocks are whole warps: blockDim.x is a multiple of 32, and all threads of the block (of the warp) call
 *     shared has room for a value a warp
 *
 *     T sum = cn_block_fold(v, shared, cn_add<T>());  */
#ifndef CN_KERNELS_BLOCK_H
#define CN_KERNELS_BLOCK_H

#include "kernels/launch.h"

#define CN_WARP 32
#define CN_ALL_LANES 0xffffffffu

template <typename T>
struct cn_add {
    CN_DEVICE T operator()(T a, T b) const { return a + b; }
};

/* The larger one; NaN only if both are. */
template <typename T>
struct cn_larger {
    CN_DEVICE T operator()(T a, T b) const { return a > b || b != b ? a : b; }
};

/* Every lane gets the fold of all 32. fold(a, b) must be associative and commutative up to rounding. */
template <typename T, typename Fold>
CN_DEVICE T cn_warp_fold(T v, Fold fold) {
    for (int width = CN_WARP / 2; width > 0; width /= 2) v = fold(v, __shfl_xor_sync(CN_ALL_LANES, v, width));
    return v;
}

/* The same over the threads of x. shared can be used again at once. */
template <typename T, typename Fold>
CN_DEVICE T cn_block_fold(T v, T* shared, Fold fold) {
    const int warps = static_cast<int>(blockDim.x) / CN_WARP;

    v = cn_warp_fold(v, fold);
    if (warps == 1) return v;
    if (threadIdx.x % CN_WARP == 0) shared[threadIdx.x / CN_WARP] = v;
    __syncthreads();
    v = shared[0];
    for (int i = 1; i < warps; i++) v = fold(v, shared[i]);
    __syncthreads();
    return v;
}

/* A long sum whose error does not grow with its length: runs of 64 are summed apart. */
template <typename T>
struct cn_long_sum {
    T total, run;
    int count;

    CN_DEVICE cn_long_sum() : total(0), run(0), count(0) {}
    CN_DEVICE void add(T x) {
        run += x;
        if (++count == 64) flush();
    }
    CN_DEVICE void flush() {
        total += run;
        run = 0;
        count = 0;
    }
    CN_DEVICE T value() const { return total + run; }
};

#endif
