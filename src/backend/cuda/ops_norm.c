/* Normalizations. */
#include "backend/cuda/cuda.h"
#include "kernels/norm.h"

static cornu_status launch_batch(const cn_cuda_step* step, const cn_cuda_frame* frame) {
    cn_batch_norm_args a = *(const cn_batch_norm_args*)step->data;

    a.x = cn_cuda_in(step, frame, 0);
    a.mean = cn_cuda_in(step, frame, 1);
    a.variance = cn_cuda_in(step, frame, 2);
    a.gamma = cn_cuda_in(step, frame, 3);
    a.beta = cn_cuda_in(step, frame, 4);
    a.y = cn_cuda_out(step, frame);
    return CN_CUDA_OK(cn_k_batch_norm(&frame->queue, &a));
}

static cornu_status launch_lines(const cn_cuda_step* step, const cn_cuda_frame* frame) {
    cn_line_norm_args a = *(const cn_line_norm_args*)step->data;

    a.x = cn_cuda_in(step, frame, 0);
    a.gamma = cn_cuda_in(step, frame, 1);
    a.beta = cn_cuda_in(step, frame, 2);
    a.residual = cn_cuda_in(step, frame, 3);
    a.y = cn_cuda_out(step, frame);
    return CN_CUDA_OK(cn_k_line_norm(&frame->queue, &a));
}

static cornu_status prepare_batch(cn_cuda_executable* e, cn_cuda_step* step) {
    const cn_norm_attr* attr = &step->node->attr.norm;
    const cn_type* x = cn_cuda_input_type(e, step->node, 0);
    cn_batch_norm_args* a = cn_cuda_data(e, step, sizeof *a);
    int axis = 0;
    int64_t inner = 1;

    if (!a) return CN_NO_MEMORY(sizeof *a);
    while (!(attr->axes >> axis & 1)) axis++;
    for (int i = axis + 1; i < x->ndim; i++) inner *= x->dims[i];
    a->dtype = (int)x->dtype;
    a->epsilon = attr->epsilon;
    a->count = cn_type_count(x);
    a->channels = cn_divisor_of(x->dims[axis]);
    a->inner = cn_divisor_of(inner);
    step->launch = launch_batch;
    return CORNU_OK;
}

/* The lines of group_norm: x as [N, cells, groups, channels of one], over the cells and the channels of one group. */
static void group_lines(const cn_type* x, int64_t groups, cn_line_norm_args* a) {
    const int64_t per_group = x->dims[x->ndim - 1] / groups;
    int64_t dims[4] = {x->dims[0], 1, groups, per_group};

    for (int i = 1; i < x->ndim - 1; i++) dims[1] *= x->dims[i];
    a->lines = cn_lines_of(4, dims, 1u << 1 | 1u << 3);
    a->grouped = true;
    a->groups = cn_divisor_of(groups);
    a->per_group = cn_divisor_of(per_group);
}

static cornu_status prepare_lines(cn_cuda_executable* e, cn_cuda_step* step) {
    const cn_norm_attr* attr = &step->node->attr.norm;
    const cn_type* x = cn_cuda_input_type(e, step->node, 0);
    cn_line_norm_args* a = cn_cuda_data(e, step, sizeof *a);

    if (!a) return CN_NO_MEMORY(sizeof *a);
    a->dtype = (int)x->dtype;
    a->epsilon = attr->epsilon;
    a->about_zero = step->node->op == CN_OP_rms_norm;
    a->no_center = step->node->op != CN_OP_group_norm && attr->no_center;
    if (step->node->op == CN_OP_group_norm) group_lines(x, attr->groups, a);
    else a->lines = cn_lines_of(x->ndim, x->dims, attr->axes);
    step->launch = launch_lines;
    return CORNU_OK;
}

cornu_status cn_cuda_prepare_norm(cn_cuda_executable* e, cn_cuda_step* step) {
    return step->node->op == CN_OP_batch_norm ? prepare_batch(e, step) : prepare_lines(e, step);
}
