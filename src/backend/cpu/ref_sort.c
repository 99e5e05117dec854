/* The reference's sort and scatter. */
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/ref_ops.h"
#include "base/alloc.h"
#include "base/dtype.h"

/* ---- sort: a merge sort of positions, so that equal elements keep their order ---- */

typedef struct line {
    const cn_ref_step* s;
    int64_t base, stride, n;
} line;

/* Whether the element at position b must come before the one at a, which stands before it. */
static bool is_before(const line* l, int64_t b, int64_t a) {
    cornu_dtype dtype = l->s->types[0]->dtype;
    bool descending = l->s->attr->sort.descending;

    a = l->base + a * l->stride;
    b = l->base + b * l->stride;
    if (cn_dtype_is_float(dtype)) {
        double x = cn_ref_load(dtype, l->s->in[0], b), y = cn_ref_load(dtype, l->s->in[0], a);
        if (x != x || y != y) return x == x; /* NaN behind all numbers */
        return descending ? x > y : x < y;
    } else {
        int64_t x = cn_ref_load_int(dtype, l->s->in[0], b), y = cn_ref_load_int(dtype, l->s->in[0], a);
                return descending ? cn_ref_less_int(dtype, y, x) : cn_ref_less_int(dtype, x, y);
    }
}

/* Sorts the positions 0 .. n-1 in `order`; `spare` has room for as many. Gives the one of both that holds the result. */
static int64_t* sort_line(const line* l, int64_t* order, int64_t* spare) {
    for (int64_t i = 0; i < l->n; i++) order[i] = i;
    for (int64_t width = 1; width < l->n; width *= 2) {
        int64_t* swap = order;
        for (int64_t low = 0; low < l->n; low += 2 * width) {
            int64_t middle = low + width < l->n ? low + width : l->n, high = low + 2 * width < l->n ? low + 2 * width : l->n;
            int64_t i = low, k = middle, at = low;
            while (i < middle || k < high) {
                bool right = i == middle || (k < high && is_before(l, order[k], order[i]));
                spare[at++] = right ? order[k++] : order[i++];
            }
        }
        order = spare;
        spare = swap;
    }
    return order;
}

cornu_status cn_ref_sort(const cn_ref_step* s) {
    const cn_type* t = s->types[0];
    int64_t n = t->dims[s->attr->sort.axis], inner = 1, outer = 1;
    size_t size = cornu_dtype_size(t->dtype);
    cornu_status st = CORNU_OK;
    int64_t *order, *spare;

    for (int i = 0; i < s->attr->sort.axis; i++) outer *= t->dims[i];
    for (int i = s->attr->sort.axis + 1; i < t->ndim; i++) inner *= t->dims[i];
    order = cn_alloc_zero((size_t)n + 1, sizeof *order);
    spare = cn_alloc_zero((size_t)n + 1, sizeof *spare);
    if (!order || !spare) {
        st = CN_NO_MEMORY((size_t)n * sizeof *order);
        goto done;
    }
    for (int64_t k = 0; n > 0 && k < outer * inner; k++) {
        line l = {s, k / inner * n * inner + k % inner, inner, n};
        const int64_t* sorted = sort_line(&l, order, spare);
        for (int64_t i = 0; i < n; i++) {
            int64_t to = l.base + i * inner, from = l.base + sorted[i] * inner;
            if (s->attr->sort.indices) ((int32_t*)s->out)[to] = (int32_t)sorted[i];
            else memcpy((char*)s->out + (size_t)to * size, (const char*)s->in[0] + (size_t)from * size, size);
        }
    }
done:
    cn_free(order);
    cn_free(spare);
    return st;
}

/* ---- scatter ---- */

static void merge(const cn_ref_step* s, int64_t to, int64_t from) {
    cornu_dtype dtype = s->type->dtype;
    cn_scatter_kind kind = s->attr->scatter.kind;

    if (cn_dtype_is_float(dtype)) {
        double y = cn_ref_load(dtype, s->out, to), x = cn_ref_load(dtype, s->in[2], from);
        y = kind == CN_SCATTER_SET ? x : kind == CN_SCATTER_ADD ? y + x : kind == CN_SCATTER_MUL ? y * x : kind == CN_SCATTER_MAX ? (x > y ? x : y) : (x < y ? x : y);
        cn_ref_store(dtype, s->out, to, y);
    } else {
        int64_t y = cn_ref_load_int(dtype, s->out, to), x = cn_ref_load_int(dtype, s->in[2], from);
        y = kind == CN_SCATTER_SET   ? x
            : kind == CN_SCATTER_ADD ? (int64_t)((uint64_t)y + (uint64_t)x)
            : kind == CN_SCATTER_MUL ? (int64_t)((uint64_t)y * (uint64_t)x)
            : kind == CN_SCATTER_MAX ? (cn_ref_less_int(dtype, y, x) ? x : y)
                                     : (cn_ref_less_int(dtype, x, y) ? x : y);
        cn_ref_store_int(dtype, s->out, to, y);
    }
}

cornu_status cn_ref_scatter(const cn_ref_step* s) {
    const cn_type *base = s->types[0], *indices = s->types[1];
    int depth = (int)indices->dims[indices->ndim - 1];
    int64_t rows = 1, part = 1;

    if (cn_type_bytes(s->type)) memmove(s->out, s->in[0], cn_type_bytes(s->type));
    for (int i = 0; i < indices->ndim - 1; i++) rows *= indices->dims[i];
    for (int i = depth; i < base->ndim; i++) part *= base->dims[i];
    for (int64_t r = 0; r < rows; r++) {
        int64_t at = 0;
        bool outside = false;
        for (int d = 0; d < depth; d++) {
            int64_t k = cn_ref_load_int(indices->dtype, s->in[1], r * depth + d);
            outside = outside || k < 0 || k >= base->dims[d];
            at = outside ? 0 : at * base->dims[d] + k;
        }
        if (outside && !s->attr->scatter.drop) return CN_FAIL(BAD_ARGUMENT, "index %lld of a scatter lies outside", (long long)r);
        for (int64_t i = 0; !outside && i < part; i++) merge(s, at * part + i, r * part + i);
    }
    return CORNU_OK;
}
