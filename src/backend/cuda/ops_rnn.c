/* Recurrent layers. */
#include "backend/cuda/cuda.h"
#include "kernels/rnn.h"

static cornu_status launch_rnn(const cn_cuda_step* step, const cn_cuda_frame* frame) {
    cn_rnn_args a = *(const cn_rnn_args*)step->data;

    a.z = cn_cuda_in(step, frame, 0);
    a.kernel = cn_cuda_in(step, frame, 1);
    a.h = cn_cuda_in(step, frame, 2);
    a.c = cn_cuda_in(step, frame, 3);
    a.bias = cn_cuda_in(step, frame, 4);
    a.mask = cn_cuda_in(step, frame, 5);
    a.y = cn_cuda_out(step, frame);
    a.other = frame->scratch;
    return CN_CUDA_OK(cn_k_rnn(&frame->queue, &a));
}

cornu_status cn_cuda_prepare_rnn(cn_cuda_executable* e, cn_cuda_step* step) {
    const cn_rnn_attr* attr = &step->node->attr.rnn;
    const cn_type *z = cn_cuda_input_type(e, step->node, 0), *y = cn_cuda_type(e, step->node);
    cn_rnn_args* a = cn_cuda_data(e, step, sizeof *a);

    if (!a) return CN_NO_MEMORY(sizeof *a);
    a->dtype = (int)z->dtype;
    a->cell = attr->kind == CN_RNN_LSTM ? CN_CELL_LSTM : attr->kind == CN_RNN_GRU ? CN_CELL_GRU : CN_CELL_SIMPLE;
    a->act = cn_cuda_epilogue(&attr->act);
    a->gate = cn_cuda_epilogue(&attr->gate);
    a->backwards = attr->backwards;
    a->reset_after = attr->reset_after;
    a->zero_masked = attr->zero_masked;
    a->sequences = attr->sequences;
    a->batch = z->dims[0];
    a->steps = z->dims[1];
    a->units = y->dims[2];
    a->rows = y->dims[1];
    cn_cuda_need_scratch(e, cn_rnn_scratch(a));
    step->launch = launch_rnn;
    return CORNU_OK;
}
