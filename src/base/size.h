/* Checked sizes. Numbers from a file or a caller meet only these before they become an allocation or an offset. */
#ifndef CN_BASE_SIZE_H
#define CN_BASE_SIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* *out = a * b, a + b; false, and *out unchanged, on overflow. */
static inline bool cn_size_mul(uint64_t a, uint64_t b, uint64_t* out) {
    uint64_t r;
    if (__builtin_mul_overflow(a, b, &r)) return false;
    *out = r;
    return true;
}

static inline bool cn_size_add(uint64_t a, uint64_t b, uint64_t* out) {
    uint64_t r;
    if (__builtin_add_overflow(a, b, &r)) return false;
    *out = r;
    return true;
}

/* Whether [offset, offset + size) lies inside [0, limit). */
static inline bool cn_range_fits(uint64_t offset, uint64_t size, uint64_t limit) {
    return offset <= limit && size <= limit - offset;
}

/* *out = product of dims[0 .. ndim-1], 1 for none; false if a dim is negative or the product exceeds INT64_MAX. */
static inline bool cn_dims_count(const int64_t* dims, int ndim, int64_t* out) {
    int64_t r = 1;
    bool zero = false;
    for (int i = 0; i < ndim; i++) {
        if (dims[i] < 0) return false;
        if (dims[i] == 0) zero = true;
        else if (__builtin_mul_overflow(r, dims[i], &r)) return false;
    }
    *out = zero ? 0 : r;
    return true;
}

#ifdef __cplusplus
}
#endif

#endif
