/* Reductions, arg-reductions, running sums and products. */
#include "backend/cuda/cuda.h"
#include "kernels/reduce.h"

_Static_assert((int)CN_K_SUM == (int)CN_REDUCE_SUM && (int)CN_K_MEAN == (int)CN_REDUCE_MEAN && (int)CN_K_PROD == (int)CN_REDUCE_PROD &&
                   (int)CN_K_MAX == (int)CN_REDUCE_MAX && (int)CN_K_MIN == (int)CN_REDUCE_MIN && (int)CN_K_ANY == (int)CN_REDUCE_ANY &&
                   (int)CN_K_ALL == (int)CN_REDUCE_ALL,
               "the kernels number the kinds of reductions as the graph does");

static cornu_status launch_reduce(const cn_cuda_step* step, const cn_cuda_frame* frame) {
    cn_reduce_args a = *(const cn_reduce_args*)step->data;

    a.x = cn_cuda_in(step, frame, 0);
    a.y = cn_cuda_out(step, frame);
    a.partial = frame->scratch;
    return CN_CUDA_OK(cn_k_reduce(&frame->queue, &a));
}

static cornu_status launch_arg(const cn_cuda_step* step, const cn_cuda_frame* frame) {
    cn_arg_args a = *(const cn_arg_args*)step->data;

    a.x = cn_cuda_in(step, frame, 0);
    a.y = cn_cuda_out(step, frame);
    return CN_CUDA_OK(cn_k_arg(&frame->queue, &a));
}

static cornu_status launch_cumulative(const cn_cuda_step* step, const cn_cuda_frame* frame) {
    cn_cumulative_args a = *(const cn_cumulative_args*)step->data;

    a.x = cn_cuda_in(step, frame, 0);
    a.y = cn_cuda_out(step, frame);
    return CN_CUDA_OK(cn_k_cumulative(&frame->queue, &a));
}

static cornu_status prepare_reduce(cn_cuda_executable* e, cn_cuda_step* step) {
    const cn_type* x = cn_cuda_input_type(e, step->node, 0);
    cn_reduce_args* a = cn_cuda_data(e, step, sizeof *a);

    if (!a) return CN_NO_MEMORY(sizeof *a);
    a->dtype = (int)x->dtype;
    a->y_dtype = (int)cn_cuda_type(e, step->node)->dtype;
    a->kind = (int)step->node->attr.reduce.kind;
    a->lines = cn_lines_of(x->ndim, x->dims, step->node->attr.reduce.axes);
    a->parts = cn_reduce_parts(&a->lines);
    if (a->parts > 1) cn_cuda_need_scratch(e, (uint64_t)a->parts * (uint64_t)a->lines.kept * 8);
    step->launch = launch_reduce;
    return CORNU_OK;
}

static cornu_status prepare_arg(cn_cuda_executable* e, cn_cuda_step* step) {
    const cn_type* x = cn_cuda_input_type(e, step->node, 0);
    cn_arg_args* a = cn_cuda_data(e, step, sizeof *a);

    if (!a) return CN_NO_MEMORY(sizeof *a);
    a->dtype = (int)x->dtype;
    a->largest = step->node->attr.arg.largest;
    a->lines = cn_lines_of(x->ndim, x->dims, 1u << step->node->attr.arg.axis);
    step->launch = launch_arg;
    return CORNU_OK;
}

static cornu_status prepare_cumulative(cn_cuda_executable* e, cn_cuda_step* step) {
    const cn_type* x = cn_cuda_input_type(e, step->node, 0);
    cn_cumulative_args* a = cn_cuda_data(e, step, sizeof *a);

    if (!a) return CN_NO_MEMORY(sizeof *a);
    a->dtype = (int)x->dtype;
    a->product = step->node->attr.cumulative.product;
    a->lines = cn_lines_of(x->ndim, x->dims, 1u << step->node->attr.cumulative.axis);
    step->launch = launch_cumulative;
    return CORNU_OK;
}

cornu_status cn_cuda_prepare_reduce(cn_cuda_executable* e, cn_cuda_step* step) {
    if (cn_cuda_input_type(e, step->node, 0)->dtype > CORNU_BOOL) return CORNU_OK;
    switch (step->node->op) {
        case CN_OP_reduce: return prepare_reduce(e, step);
        case CN_OP_arg: return prepare_arg(e, step);
        case CN_OP_cumulative: return prepare_cumulative(e, step);
        default: return CORNU_OK;
    }
}
