/* A dense tensor seen as lines: the elements that differ in the taken axes alone are one line, and the kept axes tell lines apart.
 *
 *     x [2, 3, 4, 5], axes {1, 3} taken:   8 lines of 15 elements,
 *     kept_dims {2, 4}, kept_strides {60, 5}, over_dims {3, 5}, over_strides {20, 1}
 *
 * Neighbouring axes of one kind are merged and axes of size 1 left out, so the kinds alternate. Plain C, and device functions behind it. */
#ifndef CN_KERNELS_LINES_H
#define CN_KERNELS_LINES_H

#include "kernels/kernels.h"

#define CN_LINE_AXES (CORNU_MAX_DIMS / 2)

typedef struct cn_lines {
    int64_t kept, over; /* lines, and elements of each */
    int kept_ndim, over_ndim;
    int64_t kept_dims[CN_LINE_AXES], kept_strides[CN_LINE_AXES]; /* in elements */
    int64_t over_dims[CN_LINE_AXES], over_strides[CN_LINE_AXES];
} cn_lines;

/* The lines of dims over the axes whose bits are set. */
static inline cn_lines cn_lines_of(int ndim, const int64_t* dims, uint32_t axes) {
    cn_lines l = {1, 1, 0, 0, {0}, {0}, {0}, {0}};
    bool taken_before = false;
    int64_t stride = 1;
    int groups = 0;

    /* from the last axis, each list back to front */
    for (int d = ndim - 1; d >= 0; d--) {
        const bool taken = (axes >> d & 1u) != 0;
        int64_t* group_dims = taken ? l.over_dims : l.kept_dims;
        int* ndims = taken ? &l.over_ndim : &l.kept_ndim;

        if (taken) l.over *= dims[d];
        else l.kept *= dims[d];
        if (dims[d] == 1) continue;
        if (groups > 0 && taken == taken_before) {
            group_dims[*ndims - 1] *= dims[d];
        } else {
            (taken ? l.over_strides : l.kept_strides)[*ndims] = stride;
            group_dims[(*ndims)++] = dims[d];
            groups++;
        }
        taken_before = taken;
        stride *= dims[d];
    }
    return l;
}

/* Lines of one axis: elements `stride` apart, or neighbours where a line is one element. */
static inline int64_t cn_lines_stride(const cn_lines* l) { return l->over_ndim > 0 ? l->over_strides[0] : 1; }
/* Whether the elements of a line are neighbours in memory (those of its last axis at least). */
static inline bool cn_lines_are_rows(const cn_lines* l) { return l->over_ndim > 0 && l->over_strides[0] == 1; }

#ifdef __cplusplus
#include "kernels/launch.h"

/* a / b of numbers that are not negative: 32-bit division is several times faster on a device. */
CN_DEVICE int64_t cn_quotient(int64_t a, int64_t b) {
    if (((a | b) >> 32) == 0) return static_cast<int64_t>(static_cast<uint32_t>(a) / static_cast<uint32_t>(b));
    return a / b;
}

/* Dense index of line k's first element. */
CN_DEVICE int64_t cn_line_start(const cn_lines& l, int64_t k) {
    int64_t at = 0;
    for (int d = 0; d < l.kept_ndim - 1; d++) {
        const int64_t rest = cn_quotient(k, l.kept_dims[d]);
        at += (k - rest * l.kept_dims[d]) * l.kept_strides[d];
        k = rest;
    }
    return l.kept_ndim > 0 ? at + k * l.kept_strides[l.kept_ndim - 1] : 0;
}

/* How far element o of a line lies behind its first. */
CN_DEVICE int64_t cn_line_offset(const cn_lines& l, int64_t o) {
    int64_t at = 0;
    for (int d = 0; d < l.over_ndim - 1; d++) {
        const int64_t rest = cn_quotient(o, l.over_dims[d]);
        at += (o - rest * l.over_dims[d]) * l.over_strides[d];
        o = rest;
    }
    return l.over_ndim > 0 ? at + o * l.over_strides[l.over_ndim - 1] : 0;
}
#endif

#endif
