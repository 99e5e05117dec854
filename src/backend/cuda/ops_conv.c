/* Convolutions and their transposes. One whose kernel is a single cell that moves over every cell is a product of
 * matrices; others of one group are made as products without being unfolded, in tiles of several sizes and with sums in
 * one piece or split, or by plans of cuDNN: those are the step's ways.
 *
 * The library's products end with relu at most. Where another activation stands between a product and a depthwise
 * convolution that alone takes it in, the product leaves it out and the depthwise kernel applies it as it reads:
 *
 *     1x1 conv {silu} -> depthwise        becomes        1x1 conv -> depthwise of silu(x)
 *
 * with no pass over x between them. */
#include <stdio.h>

#include "backend/cuda/cudnn.h"
#include "backend/cuda/precision.h"
#include "backend/cuda/product.h"
#include "backend/cuda/space.h"
#include "backend/cuda/tiles.h"
#include "base/dtype.h"
#include "kernels/depthwise.h"
#include "kernels/matmul.h"

#define ENOUGH_THREADS 65536 /* for a large device */

typedef struct conv_step {
    cn_conv_args args;
    cn_tile_ways tiles; /* none: by other kernels */
    bool depthwise;     /* by cn_k_depthwise, its ways are the spans; else by the kernels of conv.h */
    cn_depthwise_how how;
    cn_depthwise_span guess;
    int slot;                  /* the kernel by filters in frame->weights, for tiles and cuDNN; -1: as it is stored */
    int plans;                 /* of cuDNN, tried behind the tiles */
    uint64_t workspace;        /* that they may have */
    const cn_dnn_graph* graph; /* where one of them was taken */
} conv_step;

static cn_conv_args args_of(const cn_cuda_executable* e, const cn_node* node) {
    const cn_conv_attr* a = &node->attr.conv;
    const cn_type *x = cn_cuda_input_type(e, node, 0), *kernel = cn_cuda_input_type(e, node, 1),
                  *y = cn_cuda_type(e, node);
    cn_conv_args out = {.dtype = (int)y->dtype,
                        .batch = y->dims[0],
                        .channels = x->dims[a->spatial + 1],
                        .filters = y->dims[a->spatial + 1],
                        .groups = a->groups,
                        .act = cn_cuda_epilogue(&a->act)};

    cn_cuda_space(out.x_dims, x->dims + 1, a->spatial, 1);
    cn_cuda_space(out.k_dims, kernel->dims, a->spatial, 1);
    cn_cuda_space(out.y_dims, y->dims + 1, a->spatial, 1);
    cn_cuda_space(out.strides, a->strides, a->spatial, 1);
    cn_cuda_space(out.dilation, a->dilation, a->spatial, 1);
    cn_cuda_space(out.pad, a->pad_lo, a->spatial, 0);
    return out;
}

static bool is_product(const cn_node* node, const cn_conv_args* a) {
    bool is = node->op == CN_OP_conv && a->groups == 1;
    for (int d = 0; d < 3; d++)
        is = is && a->k_dims[d] == 1 && a->strides[d] == 1 && a->pad[d] == 0 && a->x_dims[d] == a->y_dims[d];
    return is;
}

/* ---- activations left to a depthwise convolution ---- */

static bool is_depthwise(const cn_cuda_executable* e, const cn_node* node) {
    cn_conv_args args;

    if (node->op != CN_OP_conv) return false;
    args = args_of(e, node);
    return cn_depthwise_fits(&args);
}

/* The one input that reads a value: the node, NULL where there are more or it is an output. */
static const cn_node* only_reader(const cn_graph* g, cn_id value, int* input) {
    const cn_node* reader = NULL;

    for (int i = 0; i < g->output_count; i++) {
        if (g->outputs[i] == value) return NULL;
    }
    for (int i = value + 1; i < g->count; i++) {
        for (int k = 0; k < g->nodes[i].input_count; k++) {
            if (g->nodes[i].inputs[k] != value) continue;
            if (reader) return NULL;
            reader = &g->nodes[i];
            *input = k;
        }
    }
    return reader;
}

/* The activation that a value is without because its reader applies it; fn is copy where there is none. */
static cn_act left_act(const cn_cuda_executable* e, cn_id value) {
    const cn_node *node = &e->plan->graph->nodes[value], *reader;
    cn_act none = {.fn = CN_EW_copy};
    cn_conv_args args;
    int input = 0;

    if (node->op != CN_OP_conv || !cn_depthwise_loads((int)node->attr.conv.act.fn)) return none;
    args = args_of(e, node);
    if (!is_product(node, &args)) return none;
    reader = only_reader(e->plan->graph, value, &input);
    return reader && input == 0 && is_depthwise(e, reader) ? node->attr.conv.act : none;
}

/* ---- by cuDNN ---- */

/* What it has plans for without a compiler: products alone, or residual (or none), bias and relu (or none) behind them,
 * in this order. Other activations, and relu without a bias, follow by a kernel of our own. */
static bool has_relu(const cn_node* node) { return node->attr.conv.act.fn == CN_EW_relu && cn_cuda_has_input(node, 2); }

/* Only where the products go through tensor cores, as the guess's do: strict float32 has no plans. */
static bool fits_dnn(const cn_cuda_executable* e, const cn_node* node, const cn_conv_args* a, bool tf32) {
    const cn_place* kernel = &e->plan->places[node->inputs[1]];
    if (cn_cuda_has_input(node, 3) && !cn_cuda_has_input(node, 2)) return false;
    for (int d = 0; d < 3; d++) {
        int64_t reach = (a->y_dims[d] - 1) * a->strides[d] + (a->k_dims[d] - 1) * a->dilation[d] + 1;
        if (a->pad[d] < 0 || a->x_dims[d] + a->pad[d] - reach >= a->strides[d])
            return false; /* x is cut off in front or behind */
    }
    return (tf32 || a->dtype != CORNU_FLOAT32) && kernel->kind == CN_PLACE_CONSTANT && cn_cuda_has_dnn(e);
}

static cornu_status make_graph(const cn_dnn_target* target, const void* args, cn_dnn_graph* out) {
    const cn_cuda_step* step = args;
    const conv_step* s = step->data;

    return cn_dnn_conv_graph(target, &s->args, cn_cuda_has_input(step->node, 2), cn_cuda_has_input(step->node, 3),
                             has_relu(step->node), out);
}

static cornu_status take(cn_cuda_executable* e, cn_cuda_step* step) {
    conv_step* s = step->data;
    cn_dnn_limits limits = {s->workspace, false, s->plans};
    const cn_dnn_graph* graph;

    if (step->way < s->tiles.count) return CORNU_OK;
    CN_TRY(cn_cuda_dnn_take(e, step->problem, make_graph, step, &limits, step->way - s->tiles.count, &graph));
    s->graph = graph;
    return CORNU_OK;
}

static cornu_status launch_dnn(const cn_cuda_step* step, const cn_cuda_frame* frame, const cn_conv_args* a) {
    const conv_step* s = step->data;
    const cn_dnn_binding bindings[] = {{CN_DNN_X, a->x},
                                       {CN_DNN_W, a->kernel},
                                       {CN_DNN_BIAS, a->bias},
                                       {CN_DNN_RESIDUAL, a->residual},
                                       {CN_DNN_Y, a->y}};
    cn_bias_act_args rest = {
        .dtype = a->dtype, .x = a->y, .y = a->y, .columns = a->filters, .rows = cn_conv_rows(a), .act = a->act};

    CN_TRY(cn_cuda_dnn_run(frame, s->graph, step->way - s->tiles.count, bindings, 5));
    return a->act.fn == CN_EW_copy || has_relu(step->node) ? CORNU_OK : CN_CUDA_OK(cn_k_bias_act(&frame->queue, &rest));
}

static cornu_status launch(const cn_cuda_step* step, const cn_cuda_frame* frame) {
    const conv_step* s = step->data;
    cn_conv_args args = s->args;

    args.x = cn_cuda_in(step, frame, 0);
    args.kernel = s->slot >= 0 ? frame->weights[s->slot] : cn_cuda_in(step, frame, 1);
    args.bias = cn_cuda_in(step, frame, 2);
    args.residual = cn_cuda_in(step, frame, 3);
    args.y = cn_cuda_out(step, frame);
    if (s->depthwise) {
        cn_depthwise_how how = s->how;
        how.span = step->way == 0 ? s->guess : (cn_depthwise_span)(CN_DEPTHWISE_SPANS - 1 - (int)s->guess);
        return CN_CUDA_OK(cn_k_depthwise(&frame->queue, &args, &how));
    }
    if (s->plans > 0 && step->way >= s->tiles.count) return launch_dnn(step, frame, &args);
    if (s->tiles.count > 0) {
        cn_implicit_how how = s->tiles.ways[step->way];
        how.partial = frame->scratch;
        return CN_CUDA_OK(cn_k_implicit(&frame->queue, &args, &how));
    }
    if (step->node->op == CN_OP_conv_transpose) return CN_CUDA_OK(cn_k_conv_transpose(&frame->queue, &args));
    if (args.groups > 1 && args.groups == args.channels) return CN_CUDA_OK(cn_k_conv_depthwise(&frame->queue, &args));
    return CN_CUDA_OK(cn_k_conv(&frame->queue, &args));
}

/* ---- ways ---- */

static void name_way(const cn_cuda_step* step, int way, char* text) {
    static const char* const spans[CN_DEPTHWISE_SPANS] = {
        [CN_DEPTHWISE_ONE] = "a cell a thread", [CN_DEPTHWISE_FOUR] = "four cells a thread"};
    const conv_step* s = step->data;

    if (s->depthwise)
        (void)snprintf(text, CN_CUDA_WAY_TEXT, "%s",
                       spans[way == 0 ? (int)s->guess : CN_DEPTHWISE_SPANS - 1 - (int)s->guess]);
    else if (way < s->tiles.count) cn_tile_way_name(&s->tiles.ways[way], text);
    else (void)snprintf(text, CN_CUDA_WAY_TEXT, "cuDNN %d", way - s->tiles.count);
}

/* What two steps with the same ways have in common. */
static cornu_status describe(cn_cuda_executable* e, cn_cuda_step* step, const conv_step* s, const char* kind) {
    const cn_conv_args* a = &s->args;
    const int64_t *x = a->x_dims, *k = a->k_dims, *y = a->y_dims, *strides = a->strides, *dilation = a->dilation,
                  *pad = a->pad;
    const char* text =
        cn_arena_format(&e->arena, "%s %s %lldx%lldx%lldx%lldx%lld by %lldx%lldx%lld to %lldx%lldx%lldx%lld", kind,
                        cornu_dtype_name((cornu_dtype)a->dtype), (long long)a->batch, (long long)x[0], (long long)x[1],
                        (long long)x[2], (long long)a->channels, (long long)k[0], (long long)k[1], (long long)k[2],
                        (long long)y[0], (long long)y[1], (long long)y[2], (long long)a->filters);

    if (!text) return CN_NO_MEMORY(sizeof *s);
    step->name_way = name_way;
    step->problem = cn_arena_format(
        &e->arena, "%s strides %lld %lld %lld dilation %lld %lld %lld pad %lld %lld %lld act %d %g %g %g%s%s cudnn %zu",
        text, (long long)strides[0], (long long)strides[1], (long long)strides[2], (long long)dilation[0],
        (long long)dilation[1], (long long)dilation[2], (long long)pad[0], (long long)pad[1], (long long)pad[2],
        a->act.fn, a->act.p, a->act.q, a->act.r, cn_cuda_input_type(e, step->node, 2) ? " bias" : "",
        cn_cuda_input_type(e, step->node, 3) ? " residual" : "", s->plans > 0 ? cn_dnn_version() : 0);
    return step->problem ? CORNU_OK : CN_NO_MEMORY(sizeof *s);
}

static cornu_status find_tiles(cn_cuda_executable* e, cn_cuda_step* step, conv_step* s) {
    const cn_conv_args* a = &s->args;
    bool tf32 = cn_cuda_compute_of(e, step->node, cn_conv_rows(a), a->filters, cn_conv_inner(a)) == CN_COMPUTE_TF32;
    int64_t elements = cn_conv_rows(a) * a->filters + a->filters * cn_conv_inner(a) +
                       a->batch * a->channels * a->x_dims[0] * a->x_dims[1] * a->x_dims[2];

    if (fits_dnn(e, step->node, a, tf32)) {
        CN_TRY(cn_cuda_weight(e, step->node, 1, CN_CUDA_FILTERS, &s->slot));
        s->plans = CN_DNN_PLANS;
        s->workspace = cn_cuda_dnn_workspace(e, (uint64_t)elements * cornu_dtype_size((cornu_dtype)a->dtype));
        step->take = take;
    }
    cn_tile_ways_find(e, a, tf32, s->slot >= 0, &s->tiles);
    step->ways = s->tiles.count + s->plans;
    return step->ways > 1 ? describe(e, step, s, tf32 ? "conv tf32" : "conv") : CORNU_OK;
}

/* Spans of four read less, but make few threads. */
static cornu_status find_spans(cn_cuda_executable* e, cn_cuda_step* step, conv_step* s) {
    const cn_conv_args* a = &s->args;
    int64_t threads = cn_conv_rows(a) / 4 * (a->channels / (16 / (int64_t)cornu_dtype_size((cornu_dtype)a->dtype)));

    s->depthwise = true;
    s->how.load_fn = (int)left_act(e, step->node->inputs[0]).fn;
    s->guess = threads >= ENOUGH_THREADS ? CN_DEPTHWISE_FOUR : CN_DEPTHWISE_ONE;
    if (a->y_dims[2] == 1) s->guess = CN_DEPTHWISE_ONE;
    step->ways = a->y_dims[2] == 1 ? 1 : CN_DEPTHWISE_SPANS;
    return describe(e, step, s, s->how.load_fn ? "depthwise after an activation" : "depthwise");
}

cornu_status cn_cuda_prepare_conv(cn_cuda_executable* e, cn_cuda_step* step) {
    cn_conv_args args = args_of(e, step->node);
    conv_step* s;

    if (is_product(step->node, &args)) {
        cn_cuda_product product = {.dtype = (cornu_dtype)args.dtype,
                                   .rows = cn_conv_rows(&args),
                                   .columns = args.filters,
                                   .inner = args.channels,
                                   .act = step->node->attr.conv.act};
        if (left_act(e, step->node->output).fn != CN_EW_copy) product.act = (cn_act){.fn = CN_EW_copy};
        return cn_cuda_prepare_product(e, step, &product);
    }
    s = cn_cuda_data(e, step, sizeof *s);
    if (!s) return CN_NO_MEMORY(sizeof *s);
    s->args = args;
    s->slot = -1;
    step->launch = launch;
    if (is_depthwise(e, step->node)) return find_spans(e, step, s);
    return step->node->op == CN_OP_conv && cn_implicit_fits(&args) ? find_tiles(e, step, s) : CORNU_OK;
}
