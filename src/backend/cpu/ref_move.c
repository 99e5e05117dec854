/* The reference's ops that move elements without computing. Elements are copied by their size, whatever they are. */
#include <string.h>

#include "backend/cpu/ref_ops.h"
#include "base/dtype.h"

cornu_status cn_ref_cast(const cn_ref_step* s) {
    return cn_dtype_convert(s->type->dtype, s->out, s->types[0]->dtype, s->in[0], cn_type_count(s->type));
}

cornu_status cn_ref_reshape(const cn_ref_step* s) {
    if (s->out != s->in[0]) memcpy(s->out, s->in[0], cn_type_bytes(s->type));
    return CORNU_OK;
}

/* Copies count elements: element i of the result, counted over dims, from base + sum of index times stride. */
static void copy_strided(const cn_ref_step* s, int64_t base, const int64_t* strides) {
    size_t size = cornu_dtype_size(s->type->dtype);
    int64_t count = cn_type_count(s->type), at = base, index[CORNU_MAX_DIMS] = {0};
    const cn_type* t = s->type;

    for (int64_t i = 0; i < count; i++) {
        memcpy((char*)s->out + (size_t)i * size, (const char*)s->in[0] + (size_t)at * size, size);
        for (int d = t->ndim - 1; d >= 0; d--) {
            at += strides[d];
            if (++index[d] < t->dims[d]) break;
            at -= strides[d] * t->dims[d];
            index[d] = 0;
        }
    }
}

static void dense_strides(const cn_type* type, int64_t* strides) {
    int64_t stride = 1;
    for (int i = type->ndim - 1; i >= 0; i--) {
        strides[i] = stride;
        stride *= type->dims[i];
    }
}

cornu_status cn_ref_broadcast(const cn_ref_step* s) {
    int64_t in[CORNU_MAX_DIMS], strides[CORNU_MAX_DIMS] = {0};
    int lead = s->type->ndim - s->types[0]->ndim;

    dense_strides(s->types[0], in);
    for (int i = 0; i < s->types[0]->ndim; i++) strides[i + lead] = s->types[0]->dims[i] == 1 ? 0 : in[i];
    copy_strided(s, 0, strides);
    return CORNU_OK;
}

cornu_status cn_ref_transpose(const cn_ref_step* s) {
    int64_t in[CORNU_MAX_DIMS], strides[CORNU_MAX_DIMS];

    dense_strides(s->types[0], in);
    for (int i = 0; i < s->type->ndim; i++) strides[i] = in[s->attr->perm.perm[i]];
    copy_strided(s, 0, strides);
    return CORNU_OK;
}

cornu_status cn_ref_slice(const cn_ref_step* s) {
    int64_t in[CORNU_MAX_DIMS], strides[CORNU_MAX_DIMS], base = 0;

    dense_strides(s->types[0], in);
    for (int i = 0; i < s->type->ndim; i++) {
        strides[i] = in[i] * s->attr->slice.step[i];
        base += in[i] * s->attr->slice.begin[i];
    }
    if (cn_type_count(s->type) > 0) copy_strided(s, base, strides);
    return CORNU_OK;
}

/* Product of dims[from .. to-1]. */
static int64_t span(const cn_type* type, int from, int to) {
    int64_t n = 1;
    for (int i = from; i < to; i++) n *= type->dims[i];
    return n;
}

cornu_status cn_ref_concat(const cn_ref_step* s) {
    int axis = s->attr->axis.axis;
    int64_t outer = span(s->type, 0, axis);
    size_t size = cornu_dtype_size(s->type->dtype), row = (size_t)span(s->type, axis, s->type->ndim) * size, at = 0;

    for (int k = 0; k < s->n; k++) {
        size_t part = (size_t)span(s->types[k], axis, s->types[k]->ndim) * size;
        for (int64_t o = 0; part && o < outer; o++) {
            memcpy((char*)s->out + (size_t)o * row + at, (const char*)s->in[k] + (size_t)o * part, part);
        }
        at += part;
    }
    return CORNU_OK;
}

/* Index into n cells of the cell that a padded index i (may be negative or beyond) shows; -1 for the constant. */
static int64_t pad_source(cn_pad_mode mode, int64_t i, int64_t n) {
    if (i >= 0 && i < n) return i;
    switch (mode) {
        case CN_PAD_CONSTANT: return -1;
        case CN_PAD_EDGE: return i < 0 ? 0 : n - 1;
        case CN_PAD_REFLECT: return i < 0 ? -i : 2 * n - 2 - i;
        case CN_PAD_SYMMETRIC: return i < 0 ? -i - 1 : 2 * n - 1 - i;
    }
    return -1;
}

cornu_status cn_ref_pad(const cn_ref_step* s) {
    const cn_pad_attr* a = &s->attr->pad;
    size_t size = cornu_dtype_size(s->type->dtype);
    int64_t strides[CORNU_MAX_DIMS], index[CORNU_MAX_DIMS] = {0}, count = cn_type_count(s->type);
    char value[16] = {0};

    CN_TRY(cn_dtype_convert(s->type->dtype, value, CORNU_FLOAT64, &a->value, 1));
    dense_strides(s->types[0], strides);
    for (int64_t i = 0; i < count; i++) {
        int64_t at = 0;
        for (int d = 0; d < s->type->ndim && at >= 0; d++) {
            int64_t from = pad_source(a->mode, index[d] - a->low[d], s->types[0]->dims[d]);
            at = from < 0 ? -1 : at + from * strides[d];
        }
        memcpy((char*)s->out + (size_t)i * size, at < 0 ? value : (const char*)s->in[0] + (size_t)at * size, size);
        for (int d = s->type->ndim - 1; d >= 0; d--) {
            if (++index[d] < s->type->dims[d]) break;
            index[d] = 0;
        }
    }
    return CORNU_OK;
}

cornu_status cn_ref_gather(const cn_ref_step* s) {
    const cn_gather_attr* a = &s->attr->gather;
    int64_t n = s->types[0]->dims[a->axis], outer = span(s->types[0], 0, a->axis), count = cn_type_count(s->types[1]);
    size_t part = (size_t)span(s->types[0], a->axis + 1, s->types[0]->ndim) * cornu_dtype_size(s->type->dtype);

    for (int64_t i = 0; i < count; i++) {
        int64_t k = cn_ref_load_int(s->types[1]->dtype, s->in[1], i);
        if (a->mode == CN_GATHER_CLIP) k = k < 0 ? 0 : k >= n ? n - 1 : k;
        else if (a->mode == CN_GATHER_WRAP) k = n ? (k % n + n) % n : 0;
        else if (k < 0) k += n;
        if (n == 0 || k < 0 || k >= n) {
            return CN_FAIL(BAD_ARGUMENT, "index %lld is out of range for an axis of %lld",
                           (long long)cn_ref_load_int(s->types[1]->dtype, s->in[1], i), (long long)n);
        }
        for (int64_t o = 0; o < outer; o++) {
            memcpy((char*)s->out + (size_t)(o * count + i) * part, (const char*)s->in[0] + (size_t)(o * n + k) * part, part);
        }
    }
    return CORNU_OK;
}

cornu_status cn_ref_iota(const cn_ref_step* s) {
    for (int64_t i = 0; i < cn_type_count(s->type); i++) {
        double value = s->attr->iota.begin + (double)i * s->attr->iota.step;
        if (cn_dtype_is_float(s->type->dtype)) cn_ref_store(s->type->dtype, s->out, i, value);
        else cn_ref_store_int(s->type->dtype, s->out, i, (int64_t)value);
    }
    return CORNU_OK;
}
