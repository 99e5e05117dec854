/* Recurrent layers. Ways: the kernels that can, then cuDNN's algorithms. */
#include <stdio.h>

#include "backend/cuda/cudnn_rnn.h"
#include "backend/cuda/device.h"
#include "kernels/rnn.h"

typedef struct rnn_step {
    cn_rnn_args args;
    cn_rnn_way ways[CN_RNN_WAYS];
    int own;                       /* ways by kernels; those behind them are cuDNN's */
    cn_dnn_recurrence* recurrence; /* of the one that was taken */
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
    if (step->way >= s->own) return cn_dnn_rnn_run(s->recurrence, &a, frame);
    a.way = s->ways[step->way];
    if (a.way == CN_RNN_TEAM)
        CN_CUDA(cn_calls()->MemsetAsync(a.other, 0, cn_rnn_team_words(&a.team), frame->queue.stream));
    return CN_CUDA_OK(cn_k_rnn(&frame->queue, &a));
}

static cornu_status take(cn_cuda_executable* e, cn_cuda_step* step) {
    rnn_step* s = step->data;

    cn_dnn_rnn_destroy(s->recurrence);
    s->recurrence = NULL;
    return step->way < s->own ? CORNU_OK : cn_dnn_rnn_create(e, &s->args, step->way - s->own, &s->recurrence);
}

static void destroy(cn_cuda_step* step) {
    rnn_step* s = step->data;
    cn_dnn_rnn_destroy(s->recurrence);
}

/* Functions that the kernel with the weights in registers has in place. */
static bool is_usual(const cn_act* act) {
    return act->fn == CN_EW_tanh || act->fn == CN_EW_sigmoid || act->fn == CN_EW_relu ||
           act->fn == CN_EW_hard_sigmoid || act->fn == CN_EW_copy;
}

/* How many blocks of the team's kernel the device holds at once. */
static cornu_status count_resident(cn_cuda_executable* e, const cn_rnn_args* a, int64_t* out) {
    int device = cn_device_index(e->device), together = 0, processors = 0, blocks = 0;

    CN_CUDA(cn_calls()->DeviceGetAttribute(&together, cudaDevAttrCooperativeLaunch, device));
    CN_CUDA(cn_calls()->DeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device));
    CN_CUDA(cn_calls()->OccupancyMaxActiveBlocksPerMultiprocessor(&blocks, cn_rnn_team_kernel(a), a->team.threads,
                                                                  a->team.shared));
    *out = together ? (int64_t)processors * blocks : 0;
    return CORNU_OK;
}

/* One row a group if there are groups enough for all of them, else 4. */
static cornu_status make_team(cn_cuda_executable* e, cn_rnn_args* a) {
    for (int rows = 1; rows <= 4; rows += 3) {
        const int64_t tiles = (a->batch + rows - 1) / rows;
        int64_t groups;

        a->team = cn_rnn_team_of(a, rows);
        if (a->team.members == 0) return CORNU_OK;
        CN_TRY(count_resident(e, a, &groups));
        groups /= a->team.members;
        a->team.groups = (int)(groups < tiles ? groups : tiles);
        if (groups == 0) a->team.members = 0;
        if (groups == 0 || groups >= tiles) return CORNU_OK;
    }
    return CORNU_OK;
}

static void name_way(const cn_cuda_step* step, int way, char* text) {
    static const char* const names[CN_RNN_WAYS] = {[CN_RNN_HELD] = "weights in a block's registers",
                                                   [CN_RNN_TEAM] = "weights in several blocks' registers",
                                                   [CN_RNN_ROWS] = "weights from the cache",
                                                   [CN_RNN_STEPS] = "a launch a step"};
    static const char* const algorithms[CN_DNN_RNN_WAYS] = {"standard", "persistent", "persistent, few units"};
    const rnn_step* s = step->data;

    if (way < s->own) (void)snprintf(text, CN_CUDA_WAY_TEXT, "%s", names[s->ways[way]]);
    else (void)snprintf(text, CN_CUDA_WAY_TEXT, "cuDNN %s", algorithms[way - s->own]);
}

static cornu_status describe_ways(cn_cuda_executable* e, cn_cuda_step* step, rnn_step* s) {
    const cn_rnn_attr* attr = &step->node->attr.rnn;
    const cn_rnn_args* a = &s->args;
    const bool mask = cn_cuda_input_type(e, step->node, 5) != NULL,
               dnn = cn_dnn_rnn_fits(a, mask) && cn_cuda_has_dnn(e);

    s->own = cn_rnn_find_ways(a, is_usual(&attr->act) && is_usual(&attr->gate), s->ways);
    if (dnn) {
        cn_cuda_need_scratch(e, cn_dnn_rnn_scratch(a));
        step->take = take;
        step->destroy = destroy;
    }
    if (s->own == 1 && !dnn) return CORNU_OK;
    step->name_way = name_way;
    step->problem = cn_arena_format(&e->arena, "rnn %s cell %d [%lld, %lld, %lld] act %d gate %d%s%s%s cudnn %zu",
                                    cornu_dtype_name((cornu_dtype)a->dtype), (int)a->cell, (long long)a->batch,
                                    (long long)a->steps, (long long)a->units, (int)attr->act.fn, (int)attr->gate.fn,
                                    a->cell == CN_CELL_GRU && !a->reset_after ? " resets first" : "",
                                    a->sequences ? " sequences" : "", mask ? " mask" : "", dnn ? cn_dnn_version() : 0);
    if (!step->problem) return CN_NO_MEMORY(sizeof *s);
    step->ways = s->own + (dnn ? CN_DNN_RNN_WAYS : 0);
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
    if (a->units > 64 && is_usual(&attr->act) && is_usual(&attr->gate)) CN_TRY(make_team(e, a));
    cn_cuda_need_scratch(e, cn_rnn_scratch(a));
    step->launch = launch_rnn;
    return describe_ways(e, step, s);
}
