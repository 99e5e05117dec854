/* A dense tensor seen as lines: the elements that differ in the taken axes alone are one line, and the kept axes tell lines apart.
 *
 *     x [2, 3, 4, 5], axes {1, 3} taken:   8 lines of 15 elements,
 *     kept_dims {4, 2}, kept_strides {5, 60}, over_dims {5, 3}, over_strides {1, 20}
 *
 * Neighbouring axes of one kind are merged and axes of size 1 left out, so the kinds alternate. Plain C, and device functions behind it. */
#ifndef CN_KERNELS_LINES_H
#define CN_KERNELS_LINES_H

#include <string.h>

#include "kernels/kernels.h"

#define CN_LINE_AXES (CORNU_MAX_DIMS / 2)

/* A divisor above 0 prepared for division by a multiplication and shifts (Granlund and Montgomery 1994, figure 4.1): 64-bit division is a
 * long function on a device.
 *     n / value = (t + (n - t) / 2) >> shift,  t = the high word of multiplier n,
 *     2^(shift + 1) the first power of 2 not below value,  multiplier = 2^64 (2^(shift + 1) - value) / value + 1 */
typedef struct cn_divisor {
    int64_t value;
    uint64_t multiplier;
    int shift; /* -1: value is 1 */
} cn_divisor;

static inline cn_divisor cn_divisor_of(int64_t value) {
    cn_divisor d = {value, 0, -1};
    uint64_t power = 1, rest;

    if (value <= 1) return d;
    for (; power < (uint64_t)value; power *= 2) d.shift++;
    rest = power - (uint64_t)value; /* below value: long division, bit for bit */
    for (int bit = 0; bit < 64; bit++) {
        rest *= 2;
        d.multiplier = d.multiplier * 2 + (rest >= (uint64_t)value);
        if (rest >= (uint64_t)value) rest -= (uint64_t)value;
    }
    d.multiplier++;
    return d;
}

typedef struct cn_lines {
    int64_t kept, over; /* lines, and elements of each */
    int kept_ndim, over_ndim;
    cn_divisor kept_dims[CN_LINE_AXES], over_dims[CN_LINE_AXES]; /* the fastest axis first */
    int64_t kept_strides[CN_LINE_AXES], over_strides[CN_LINE_AXES]; /* in elements */
} cn_lines;

/* The lines of dims over the axes whose bits are set. */
static inline cn_lines cn_lines_of(int ndim, const int64_t* dims, uint32_t axes) {
    cn_lines l;
    bool taken_before = false;
    int64_t stride = 1;

    memset(&l, 0, sizeof l);
    l.kept = l.over = 1;
    for (int d = ndim - 1; d >= 0; d--) {
        const bool taken = (axes >> d & 1u) != 0;
        int* groups = taken ? &l.over_ndim : &l.kept_ndim;
        cn_divisor* group = taken ? l.over_dims : l.kept_dims;

        if (taken) l.over *= dims[d];
        else l.kept *= dims[d];
        if (dims[d] == 1) continue;
        if (*groups > 0 && taken == taken_before) {
            group[*groups - 1].value *= dims[d];
        } else {
            (taken ? l.over_strides : l.kept_strides)[*groups] = stride;
            group[(*groups)++].value = dims[d];
        }
        taken_before = taken;
        stride *= dims[d];
    }
    for (int i = 0; i < l.kept_ndim; i++) l.kept_dims[i] = cn_divisor_of(l.kept_dims[i].value);
    for (int i = 0; i < l.over_ndim; i++) l.over_dims[i] = cn_divisor_of(l.over_dims[i].value);
    return l;
}

/* Lines of one axis: elements `stride` apart, or neighbours where a line is one element. */
static inline int64_t cn_lines_stride(const cn_lines* l) { return l->over_ndim > 0 ? l->over_strides[0] : 1; }
/* Whether the elements of a line are neighbours in memory (those of its last axis at least). */
static inline bool cn_lines_are_rows(const cn_lines* l) { return l->over_ndim > 0 && l->over_strides[0] == 1; }

#ifdef __cplusplus
#include "kernels/launch.h"

CN_DEVICE uint64_t cn_high_word(uint64_t a, uint64_t b) {
#ifdef CN_HOST_EXECUTION
    const uint64_t low = 0xffffffffu, cross = (a >> 32) * (b & low), other = (a & low) * (b >> 32);
    const uint64_t carry = (((a & low) * (b & low)) >> 32) + (cross & low) + (other & low);
    return (a >> 32) * (b >> 32) + (cross >> 32) + (other >> 32) + (carry >> 32);
#else
    return __umul64hi(a, b);
#endif
}

/* n / d.value, n as an unsigned number. */
CN_DEVICE int64_t cn_quotient(int64_t n, const cn_divisor& d) {
    if (d.shift < 0) return n;
    const uint64_t t = cn_high_word(d.multiplier, static_cast<uint64_t>(n));
    return static_cast<int64_t>((t + ((static_cast<uint64_t>(n) - t) >> 1)) >> d.shift);
}

/* Where element i of a dense [.., dims[1], dims[0]] lies in a tensor with those strides. */
CN_DEVICE int64_t cn_place(const cn_divisor* dims, const int64_t* strides, int ndim, int64_t i) {
    int64_t at = 0;
    for (int d = 0; d < ndim - 1; d++) {
        const int64_t rest = cn_quotient(i, dims[d]);
        at += (i - rest * dims[d].value) * strides[d];
        i = rest;
    }
    return ndim > 0 ? at + i * strides[ndim - 1] : 0;
}

/* Dense index of line k's first element; how far element o of a line lies behind its first. */
CN_DEVICE int64_t cn_line_start(const cn_lines& l, int64_t k) { return cn_place(l.kept_dims, l.kept_strides, l.kept_ndim, k); }
CN_DEVICE int64_t cn_line_offset(const cn_lines& l, int64_t o) { return cn_place(l.over_dims, l.over_strides, l.over_ndim, o); }

#define CN_LINE_THREADS 256
#define CN_LINE_CACHE 40960 /* bytes */

/* Launches the kernel that suits the lines of a:
 *
 *     thread_per_line(a)    neighbours in memory belong to different lines and there are many of them, or lines are short
 *     wide(a, cached)       up to 1024 elements: a warp a line, several lines a block; longer ones: a block a line. Block (threads of a line,
 *                           lines), at most CN_LINE_THREADS; cached: each line has room for its elements of type T in dynamic shared memory */
template <typename T, typename Args>
static inline cudaError_t cn_launch_lines(const cn_queue* q, void (*wide)(Args, bool), void (*thread_per_line)(Args), const Args* a) {
    const int64_t kept = a->lines.kept, over = a->lines.over;

    if (over <= 8 || (!cn_lines_are_rows(&a->lines) && kept >= 2048)) {
        const int threads = kept < 4096 ? 32 : 128;
        return cn_launch(q, thread_per_line, cn_blocks(kept, threads), dim3(static_cast<unsigned>(threads)), 0, *a);
    }
    const unsigned threads = over <= 1024 ? 32 : CN_LINE_THREADS;
    const size_t bytes = static_cast<size_t>(over) * sizeof(T);
    const bool cached = bytes <= CN_LINE_CACHE;
    unsigned lines = CN_LINE_THREADS / threads;
    while (lines > 1 && (static_cast<int64_t>(lines) > kept || lines * bytes > CN_LINE_CACHE)) lines--;
    return cn_launch(q, wide, cn_blocks(kept, static_cast<int>(lines)), dim3(threads, lines), cached ? lines * bytes : 0, *a, cached);
}
#endif

#endif
