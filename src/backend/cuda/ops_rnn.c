/* Recurrent layers. */
#include "backend/cuda/cuda.h"
#include "kernels/rnn.h"

typedef struct rnn_step {
    cn_rnn_args args;
    cn_rnn_way ways[CN_RNN_WAYS];
} rnn_step;

static cornu_status launch_rnn(const cn_cuda_step* step, const cn_cuda_frame* frame) {
    const rnn_step* s = step->data;
    cn_rnn_args a = s->args;

    a.z = cn_cuda_in(step, frame, 0);
    a.kernel = cn_cuda_in(step, frame, 1);
    a.h = cn_cuda_in(step, frame, 2);
    a.c = cn_cuda_in(step, frame, 3);
    a.bias = cn_cuda_in(step, frame, 4);
    a.mask = cn_cuda_in(step, frame, 5);
    a.y = cn_cuda_out(step, frame);
    a.other = frame->scratch;
    a.way = s->ways[step->way];
    return CN_CUDA_OK(cn_k_rnn(&frame->queue, &a));
}

/* Functions that the kernel with the weights in registers has in place. */
static bool is_usual(const cn_act* act) {
    return act->fn == CN_EW_tanh || act->fn == CN_EW_sigmoid || act->fn == CN_EW_relu || act->fn == CN_EW_hard_sigmoid || act->fn == CN_EW_copy;
}

static cornu_status describe_ways(cn_cuda_executable* e, cn_cuda_step* step, rnn_step* s) {
    const cn_rnn_attr* attr = &step->node->attr.rnn;
    const cn_rnn_args* a = &s->args;
    const int ways = cn_rnn_find_ways(a, is_usual(&attr->act) && is_usual(&attr->gate), s->ways);

    if (ways == 1) return CORNU_OK;
    step->problem = cn_arena_format(&e->arena, "rnn %s cell %d [%lld, %lld, %lld] act %d gate %d%s%s%s", cornu_dtype_name((cornu_dtype)a->dtype), (int)a->cell,
                                    (long long)a->batch, (long long)a->steps, (long long)a->units, (int)attr->act.fn, (int)attr->gate.fn,
                                    a->cell == CN_CELL_GRU && !a->reset_after ? " resets first" : "", a->sequences ? " sequences" : "",
                                    cn_cuda_input_type(e, step->node, 5) ? " mask" : "");
    if (!step->problem) return CN_NO_MEMORY(sizeof *s);
    step->ways = ways;
    return CORNU_OK;
}

cornu_status cn_cuda_prepare_rnn(cn_cuda_executable* e, cn_cuda_step* step) {
    const cn_rnn_attr* attr = &step->node->attr.rnn;
    const cn_type *z = cn_cuda_input_type(e, step->node, 0), *y = cn_cuda_type(e, step->node);
    rnn_step* s = cn_cuda_data(e, step, sizeof *s);
    cn_rnn_args* a;

    if (!s) return CN_NO_MEMORY(sizeof *s);
    a = &s->args;
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
    return describe_ways(e, step, s);
}
