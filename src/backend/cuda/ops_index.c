/* Gather and scatter. */
#include "kernels/index.h"

#include "backend/cuda/cuda.h"
#include "base/dtype.h"

static int64_t span(const cn_type* type, int from, int to) {
    int64_t n = 1;
    for (int d = from; d < to; d++) n *= type->dims[d];
    return n;
}

/* ---- gather ---- */

static cornu_status launch_gather(const cn_cuda_step* step, const cn_cuda_frame* frame) {
    cn_gather_args a = *(const cn_gather_args*)step->data;

    a.x = cn_cuda_in(step, frame, 0);
    a.indices = cn_cuda_in(step, frame, 1);
    a.y = cn_cuda_out(step, frame);
    a.words = frame->words;
    return CN_CUDA_OK(cn_k_gather(&frame->queue, &a));
}

static cornu_status prepare_gather(cn_cuda_executable* e, cn_cuda_step* step) {
    const cn_gather_attr* attr = &step->node->attr.gather;
    const cn_type *x = cn_cuda_input_type(e, step->node, 0), *indices = cn_cuda_input_type(e, step->node, 1);
    cn_gather_args* a = cn_cuda_data(e, step, sizeof *a);

    if (!a) return CN_NO_MEMORY(sizeof *a);
    a->size = (int)cornu_dtype_size(x->dtype);
    a->index_dtype = (int)indices->dtype;
    a->node = (int)step->node->output;
    a->rule = attr->mode == CN_GATHER_CLIP   ? CN_GATHER_RULE_CLIP
              : attr->mode == CN_GATHER_WRAP ? CN_GATHER_RULE_WRAP
                                             : CN_GATHER_RULE_CHECKED;
    a->outer = span(x, 0, attr->axis);
    a->n = x->dims[attr->axis];
    a->count = cn_type_count(indices);
    a->part = span(x, attr->axis + 1, x->ndim);
    step->launch = launch_gather;
    return CORNU_OK;
}

/* ---- scatter ---- */

typedef struct scatter_data {
    cn_scatter_args args;
    uint64_t bytes; /* of the result */
} scatter_data;

static cornu_status launch_scatter(const cn_cuda_step* step, const cn_cuda_frame* frame) {
    const scatter_data* data = step->data;
    cn_scatter_args a = data->args;
    const void* base = cn_cuda_in(step, frame, 0);

    a.indices = cn_cuda_in(step, frame, 1);
    a.updates = cn_cuda_in(step, frame, 2);
    a.y = cn_cuda_out(step, frame);
    a.words = frame->words;
    a.scratch = frame->scratch;
    if (a.y != base) CN_CUDA(cn_calls()->MemcpyAsync(a.y, base, data->bytes, cudaMemcpyDefault, frame->queue.stream));
    return CN_CUDA_OK(cn_k_scatter(&frame->queue, &a));
}

static cn_merge merge_of(cn_scatter_kind kind) {
    switch (kind) {
        case CN_SCATTER_ADD: return CN_MERGE_ADD;
        case CN_SCATTER_MAX: return CN_MERGE_MAX;
        case CN_SCATTER_MIN: return CN_MERGE_MIN;
        case CN_SCATTER_MUL: return CN_MERGE_MUL;
        default: return CN_MERGE_SET;
    }
}

static cornu_status prepare_scatter(cn_cuda_executable* e, cn_cuda_step* step) {
    const cn_scatter_attr* attr = &step->node->attr.scatter;
    const cn_type *y = cn_cuda_type(e, step->node), *indices = cn_cuda_input_type(e, step->node, 1);
    scatter_data* data;
    cn_scatter_args* a;

    if (cn_dtype_kind_of(y->dtype) == CN_KIND_C) return CORNU_OK; /* the reference has none either */
    data = cn_cuda_data(e, step, sizeof *data);
    if (!data) return CN_NO_MEMORY(sizeof *data);
    data->bytes = cn_type_bytes(y);
    a = &data->args;
    a->dtype = (int)y->dtype;
    a->index_dtype = (int)indices->dtype;
    a->node = (int)step->node->output;
    a->drop = attr->drop;
    a->merge = merge_of(attr->kind);
    a->depth = (int)indices->dims[indices->ndim - 1];
    a->rows = span(indices, 0, indices->ndim - 1);
    a->part = span(y, a->depth, y->ndim);
    for (int d = 0; d < a->depth; d++) a->dims[d] = y->dims[d];
    cn_cuda_need_scratch(e, (uint64_t)cn_scatter_scratch(a->rows));
    step->launch = launch_scatter;
    return CORNU_OK;
}

cornu_status cn_cuda_prepare_index(cn_cuda_executable* e, cn_cuda_step* step) {
    if (cn_cuda_type(e, step->node)->dtype == CORNU_STRING) return CORNU_OK;
    switch (step->node->op) {
        case CN_OP_gather: return prepare_gather(e, step);
        case CN_OP_scatter: return prepare_scatter(e, step);
        default: return CORNU_OK;
    }
}
