/* Places of elements: quotients with remainders and offsets under strides, in kernels. */
#ifndef CN_KERNELS_DIVIDE_H
#define CN_KERNELS_DIVIDE_H

#include "kernels/launch.h"

/* x / n for x >= 0, n > 0; *rest is what is left. 32-bit division where it will do: the 64-bit one is a long subroutine. */
CN_DEVICE int64_t cn_divide(int64_t x, int64_t n, int64_t* rest) {
    if (static_cast<uint64_t>(x | n) >> 32 == 0) {
        uint32_t q = static_cast<uint32_t>(x) / static_cast<uint32_t>(n);
        *rest = static_cast<int64_t>(static_cast<uint32_t>(x) - q * static_cast<uint32_t>(n));
        return static_cast<int64_t>(q);
    }
    int64_t q = x / n;
    *rest = x - q * n;
    return q;
}

/* Offset of element i, counted row-major over dims, under strides. */
CN_DEVICE int64_t cn_strided(int ndim, const int64_t* dims, const int64_t* strides, int64_t i) {
    int64_t at = 0, rest;
    for (int d = ndim - 1; d > 0; d--) {
        i = cn_divide(i, dims[d], &rest);
        at += rest * strides[d];
    }
    return ndim > 0 ? at + i * strides[0] : at;
}

#endif
