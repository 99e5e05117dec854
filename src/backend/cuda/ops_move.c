/* Ops that move elements without computing: broadcast, transpose and slice are one copy under strides. */
#include "kernels/move.h"

#include "backend/cuda/cuda.h"
#include "base/dtype.h"

static void dense_strides(const cn_type* type, int64_t* strides) {
    int64_t stride = 1;
    for (int d = type->ndim - 1; d >= 0; d--) {
        strides[d] = stride;
        stride *= type->dims[d];
    }
}

/* ---- copies under strides ---- */

static cornu_status launch_copy(const cn_cuda_step* step, const cn_cuda_frame* frame) {
    cn_strided_copy_args a = *(const cn_strided_copy_args*)step->data;

    a.x = cn_cuda_in(step, frame, 0);
    a.y = cn_cuda_out(step, frame);
    if (a.x == a.y) return CORNU_OK; /* a reshape in place */
    return CN_CUDA_OK(cn_k_strided_copy(&frame->queue, &a));
}

/* Stride in x of the result's axis d. */
static int64_t stride_of(const cn_node* node, const cn_type* in, const cn_type* out, const int64_t* in_strides, int d) {
    int behind = d - (out->ndim - in->ndim);

    switch (node->op) {
        case CN_OP_broadcast: return behind < 0 || in->dims[behind] == 1 ? 0 : in_strides[behind];
        case CN_OP_transpose: return in_strides[node->attr.perm.perm[d]];
        default: return in_strides[d] * node->attr.slice.step[d];
    }
}

/* Adds an axis, joined with the one before it where one stride serves both. */
static void add_axis(cn_strided_copy_args* a, int64_t dim, int64_t stride) {
    int last = a->ndim - 1;

    if (dim == 1) return;
    if (last >= 0 && a->strides[last] == stride * dim) {
        a->dims[last] *= dim;
        a->strides[last] = stride;
        return;
    }
    a->dims[a->ndim] = dim;
    a->strides[a->ndim++] = stride;
}

static cornu_status prepare_copy(cn_cuda_executable* e, cn_cuda_step* step) {
    const cn_node* node = step->node;
    const cn_type *in = cn_cuda_input_type(e, node, 0), *out = cn_cuda_type(e, node);
    cn_strided_copy_args* a = cn_cuda_data(e, step, sizeof *a);
    int64_t strides[CORNU_MAX_DIMS];

    if (!a) return CN_NO_MEMORY(sizeof *a);
    a->size = (int)cornu_dtype_size(out->dtype);
    dense_strides(in, strides);
    if (node->op == CN_OP_reshape) add_axis(a, cn_type_count(out), 1);
    for (int d = 0; d < out->ndim && node->op != CN_OP_reshape; d++) {
        add_axis(a, out->dims[d], stride_of(node, in, out, strides, d));
        if (node->op == CN_OP_slice) a->base += strides[d] * node->attr.slice.begin[d];
    }
    step->launch = launch_copy;
    return CORNU_OK;
}

/* ---- concatenation ---- */

typedef struct concat_data {
    int64_t outer, row;
    int size;
    int64_t* parts; /* elements of a row of each input */
} concat_data;

static cornu_status launch_concat(const cn_cuda_step* step, const cn_cuda_frame* frame) {
    const concat_data* data = step->data;
    cn_concat_args a = {.y = cn_cuda_out(step, frame), .size = data->size, .outer = data->outer, .row = data->row};

    for (int k = 0; k < step->node->input_count; k++) {
        if (data->parts[k] > 0) {
            a.x[a.count] = cn_cuda_in(step, frame, k);
            a.start[a.count + 1] = a.start[a.count] + data->parts[k];
            a.count++;
        }
        if (a.count < CN_CONCAT_INPUTS && k + 1 < step->node->input_count) continue;
        if (a.count == 0) continue;
        CN_CUDA(cn_k_concat(&frame->queue, &a));
        a.start[0] = a.start[a.count];
        a.count = 0;
    }
    return CORNU_OK;
}

static cornu_status prepare_concat(cn_cuda_executable* e, cn_cuda_step* step) {
    const cn_node* node = step->node;
    const cn_type* out = cn_cuda_type(e, node);
    concat_data* data = cn_cuda_data(e, step, sizeof *data);
    int axis = node->attr.axis.axis;

    if (!data) return CN_NO_MEMORY(sizeof *data);
    data->parts = cn_arena_array(&e->arena, (size_t)node->input_count, sizeof *data->parts);
    if (!data->parts) return CN_NO_MEMORY((size_t)node->input_count * sizeof *data->parts);
    data->size = (int)cornu_dtype_size(out->dtype);
    data->outer = data->row = 1;
    for (int d = 0; d < axis; d++) data->outer *= out->dims[d];
    for (int d = axis; d < out->ndim; d++) data->row *= out->dims[d];
    for (int k = 0; k < node->input_count; k++) {
        const cn_type* in = cn_cuda_input_type(e, node, k);
        data->parts[k] = 1;
        for (int d = axis; d < in->ndim; d++) data->parts[k] *= in->dims[d];
    }
    step->launch = launch_concat;
    return CORNU_OK;
}

/* ---- padding ---- */

static cornu_status launch_pad(const cn_cuda_step* step, const cn_cuda_frame* frame) {
    cn_pad_args a = *(const cn_pad_args*)step->data;

    a.x = cn_cuda_in(step, frame, 0);
    a.y = cn_cuda_out(step, frame);
    return CN_CUDA_OK(cn_k_pad(&frame->queue, &a));
}

static cn_border border_of(cn_pad_mode mode) {
    switch (mode) {
        case CN_PAD_REFLECT: return CN_BORDER_REFLECT;
        case CN_PAD_SYMMETRIC: return CN_BORDER_SYMMETRIC;
        case CN_PAD_EDGE: return CN_BORDER_EDGE;
        default: return CN_BORDER_CONSTANT;
    }
}

static cornu_status prepare_pad(cn_cuda_executable* e, cn_cuda_step* step) {
    const cn_pad_attr* attr = &step->node->attr.pad;
    const cn_type *in = cn_cuda_input_type(e, step->node, 0), *out = cn_cuda_type(e, step->node);
    cn_pad_args* a = cn_cuda_data(e, step, sizeof *a);
    bool joins = false; /* the axis before has no border either */

    if (!a) return CN_NO_MEMORY(sizeof *a);
    a->size = (int)cornu_dtype_size(out->dtype);
    a->border = border_of(attr->mode);
    for (int d = 0; d < out->ndim; d++) {
        bool whole = attr->low[d] == 0 && attr->high[d] == 0;
        if (whole && joins) {
            a->dims[a->ndim - 1] *= out->dims[d];
            a->in_dims[a->ndim - 1] *= in->dims[d];
        } else {
            a->dims[a->ndim] = out->dims[d];
            a->in_dims[a->ndim] = in->dims[d];
            a->low[a->ndim++] = attr->low[d];
        }
        joins = whole;
    }
    CN_TRY(cn_dtype_convert(out->dtype, a->value, CORNU_FLOAT64, &attr->value, 1));
    step->launch = launch_pad;
    return CORNU_OK;
}

cornu_status cn_cuda_prepare_move(cn_cuda_executable* e, cn_cuda_step* step) {
    if (cn_cuda_type(e, step->node)->dtype == CORNU_STRING) return CORNU_OK;
    switch (step->node->op) {
        case CN_OP_reshape:
        case CN_OP_broadcast:
        case CN_OP_transpose:
        case CN_OP_slice: return prepare_copy(e, step);
        case CN_OP_concat: return prepare_concat(e, step);
        case CN_OP_pad: return prepare_pad(e, step);
        default: return CORNU_OK;
    }
}
