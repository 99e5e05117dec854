/* Pools. */
#include "backend/cuda/cuda.h"
#include "backend/cuda/space.h"
#include "kernels/pool.h"

static cornu_status launch(const cn_cuda_step* step, const cn_cuda_frame* frame) {
    cn_pool_args args = *(const cn_pool_args*)step->data;

    args.x = cn_cuda_in(step, frame, 0);
    args.y = cn_cuda_out(step, frame);
    return CN_CUDA_OK(cn_k_pool(&frame->queue, &args));
}

cornu_status cn_cuda_prepare_pool(cn_cuda_executable* e, cn_cuda_step* step) {
    const cn_pool_attr* a = &step->node->attr.pool;
    const cn_type *x = cn_cuda_input_type(e, step->node, 0), *y = cn_cuda_type(e, step->node);
    cn_pool_args* args = cn_cuda_data(e, step, sizeof *args);

    if (!args) return CN_NO_MEMORY(sizeof *args);
    *args = (cn_pool_args){.dtype = (int)y->dtype, .mean = a->kind == CN_POOL_AVG, .adaptive = step->node->op == CN_OP_adaptive_pool, .batch = y->dims[0],
                           .channels = y->dims[a->spatial + 1]};
    cn_cuda_space(args->x_dims, x->dims + 1, a->spatial, 1);
    cn_cuda_space(args->y_dims, y->dims + 1, a->spatial, 1);
    cn_cuda_space(args->window, a->window, a->spatial, 1);
    cn_cuda_space(args->strides, a->strides, a->spatial, 1);
    cn_cuda_space(args->pad, a->pad_lo, a->spatial, 0);
    step->launch = launch;
    return CORNU_OK;
}
