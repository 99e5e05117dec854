/* Softmax and its logarithm. */
#include "backend/cuda/cuda.h"
#include "kernels/softmax.h"

static cornu_status launch_softmax(const cn_cuda_step* step, const cn_cuda_frame* frame) {
    cn_softmax_args a = *(const cn_softmax_args*)step->data;

    a.x = cn_cuda_in(step, frame, 0);
    a.y = cn_cuda_out(step, frame);
    return CN_CUDA_OK(cn_k_softmax(&frame->queue, &a));
}

cornu_status cn_cuda_prepare_softmax(cn_cuda_executable* e, cn_cuda_step* step) {
    const cn_type* x = cn_cuda_input_type(e, step->node, 0);
    cn_softmax_args* a = cn_cuda_data(e, step, sizeof *a);

    if (!a) return CN_NO_MEMORY(sizeof *a);
    a->dtype = (int)x->dtype;
    a->log = step->node->op == CN_OP_log_softmax;
    a->lines = cn_lines_of(x->ndim, x->dims, step->node->attr.reduce.axes);
    step->launch = launch_softmax;
    return CORNU_OK;
}
