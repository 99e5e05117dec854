/* Convolutions and their transposes. One whose kernel is a single cell that moves over every cell is a product of matrices; others of one group
 * are made as products without being unfolded, in tiles of several sizes and with sums in one piece or split: those are the step's ways. */
#include "backend/cuda/product.h"
#include "backend/cuda/space.h"
#include "base/size.h"
#include "kernels/implicit.h"

#define ENOUGH_BLOCKS 132 /* for the processors of a large device */
#define MOST_SPLITS 16
#define LEAST_STEPS 8 /* of a split */
#define MOST_WAYS (2 * CN_IMPLICIT_TILES)

typedef struct conv_step {
    cn_conv_args args;
    cn_implicit_how ways[MOST_WAYS]; /* ways 0: by the kernels of conv.h */
    int way_count;
} conv_step;

static cn_conv_args args_of(const cn_cuda_executable* e, const cn_node* node) {
    const cn_conv_attr* a = &node->attr.conv;
    const cn_type *x = cn_cuda_input_type(e, node, 0), *kernel = cn_cuda_input_type(e, node, 1), *y = cn_cuda_type(e, node);
    cn_conv_args out = {.dtype = (int)y->dtype, .batch = y->dims[0], .channels = x->dims[a->spatial + 1], .filters = y->dims[a->spatial + 1], .groups = a->groups,
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
    for (int d = 0; d < 3; d++) is = is && a->k_dims[d] == 1 && a->strides[d] == 1 && a->pad[d] == 0 && a->x_dims[d] == a->y_dims[d];
    return is;
}

static cornu_status launch(const cn_cuda_step* step, const cn_cuda_frame* frame) {
    const conv_step* s = step->data;
    cn_conv_args args = s->args;

    args.x = cn_cuda_in(step, frame, 0);
    args.kernel = cn_cuda_in(step, frame, 1);
    args.bias = cn_cuda_in(step, frame, 2);
    args.residual = cn_cuda_in(step, frame, 3);
    args.y = cn_cuda_out(step, frame);
    if (s->way_count > 0) {
        cn_implicit_how how = s->ways[step->way];
        how.partial = frame->scratch;
        return CN_CUDA_OK(cn_k_implicit(&frame->queue, &args, &how));
    }
    if (step->node->op == CN_OP_conv_transpose) return CN_CUDA_OK(cn_k_conv_transpose(&frame->queue, &args));
    if (args.groups > 1 && args.groups == args.channels) return CN_CUDA_OK(cn_k_conv_depthwise(&frame->queue, &args));
    return CN_CUDA_OK(cn_k_conv(&frame->queue, &args));
}

/* ---- ways ---- */

static int64_t rows_of(const cn_conv_args* a) { return a->batch * a->y_dims[0] * a->y_dims[1] * a->y_dims[2]; }

static int64_t blocks_of(const cn_conv_args* a, cn_implicit_tile tile) {
    int rows = cn_implicit_rows(tile), columns = cn_implicit_columns(tile);
    return (rows_of(a) + rows - 1) / rows * ((a->filters + columns - 1) / columns);
}

/* In how many parts a sum is made so that there is work for a whole device. */
static int splits_for(const cn_conv_args* a, cn_implicit_tile tile) {
    int64_t inner = a->channels * a->k_dims[0] * a->k_dims[1] * a->k_dims[2], blocks = blocks_of(a, tile);
    int64_t splits = 2 * ENOUGH_BLOCKS / blocks, most = inner / cn_implicit_depth(a->dtype) / LEAST_STEPS;

    if (splits > most) splits = most;
    if (splits > MOST_SPLITS) splits = MOST_SPLITS;
    return blocks >= ENOUGH_BLOCKS || splits < 1 ? 1 : (int)splits;
}

/* Sums that are split need a place; a way that is there already is left out. */
static cornu_status add_way(cn_cuda_executable* e, conv_step* s, cn_implicit_tile tile, int splits, bool tf32) {
    uint64_t bytes = (uint64_t)splits * sizeof(float);

    for (int i = 0; i < s->way_count; i++) {
        if (s->ways[i].tile == tile && s->ways[i].splits == splits) return CORNU_OK;
    }
    if (splits > 1) {
        if (!cn_size_mul(bytes, (uint64_t)(rows_of(&s->args) * s->args.filters), &bytes)) return CORNU_OK;
        cn_cuda_need_scratch(e, bytes);
    }
    s->ways[s->way_count++] = (cn_implicit_how){.tile = tile, .tf32 = tf32, .splits = splits};
    return CORNU_OK;
}

/* The largest tile of which there are enough; else the sum is split. Small results have one way: there is nothing to gain. */
static cornu_status find_ways(cn_cuda_executable* e, cn_cuda_step* step, conv_step* s) {
    const cn_conv_args* a = &s->args;
    bool tf32 = e->precision != CORNU_PRECISION_STRICT;
    cn_implicit_tile guess = CN_IMPLICIT_TILES;

    if (rows_of(a) <= 32 || a->filters <= 32) guess = CN_IMPLICIT_32X32;
    for (int t = CN_IMPLICIT_TILES - 1; t >= 0 && guess == CN_IMPLICIT_TILES; t--) {
        if (blocks_of(a, (cn_implicit_tile)t) >= ENOUGH_BLOCKS) guess = (cn_implicit_tile)t;
    }
    if (guess == CN_IMPLICIT_TILES) guess = blocks_of(a, CN_IMPLICIT_64X64) * MOST_SPLITS >= ENOUGH_BLOCKS ? CN_IMPLICIT_64X64 : CN_IMPLICIT_32X32;
    CN_TRY(add_way(e, s, guess, splits_for(a, guess), tf32));
    for (int t = 0; t < CN_IMPLICIT_TILES; t++) {
        cn_implicit_tile tile = (cn_implicit_tile)t;
        if (t > 0 && (rows_of(a) <= 32 || a->filters <= 32)) continue;
        CN_TRY(add_way(e, s, tile, 1, tf32));
        CN_TRY(add_way(e, s, tile, splits_for(a, tile), tf32));
    }
    step->ways = s->way_count;
    if (step->ways < 2) return CORNU_OK;
    step->problem = cn_arena_format(&e->arena, "conv %s%s %lldx%lldx%lldx%lldx%lld by %lldx%lldx%lld to %lldx%lldx%lldx%lld stride %lld %lld %lld "
                                    "dilation %lld %lld %lld pad %lld %lld %lld act %d %g %g %g%s%s", cornu_dtype_name((cornu_dtype)a->dtype), tf32 ? " tf32" : "",
                                    (long long)a->batch, (long long)a->x_dims[0], (long long)a->x_dims[1], (long long)a->x_dims[2], (long long)a->channels,
                                    (long long)a->k_dims[0], (long long)a->k_dims[1], (long long)a->k_dims[2], (long long)a->y_dims[0], (long long)a->y_dims[1],
                                    (long long)a->y_dims[2], (long long)a->filters, (long long)a->strides[0], (long long)a->strides[1], (long long)a->strides[2],
                                    (long long)a->dilation[0], (long long)a->dilation[1], (long long)a->dilation[2], (long long)a->pad[0], (long long)a->pad[1],
                                    (long long)a->pad[2], a->act.fn, a->act.p, a->act.q, a->act.r, cn_cuda_input_type(e, step->node, 2) ? " bias" : "",
                                    cn_cuda_input_type(e, step->node, 3) ? " residual" : "");
    return step->problem ? CORNU_OK : CN_NO_MEMORY(sizeof *s);
}

cornu_status cn_cuda_prepare_conv(cn_cuda_executable* e, cn_cuda_step* step) {
    cn_conv_args args = args_of(e, step->node);
    conv_step* s;

    if (is_product(step->node, &args)) {
        cn_cuda_product product = {.dtype = (cornu_dtype)args.dtype, .rows = rows_of(&args), .columns = args.filters, .inner = args.channels,
                                   .act = step->node->attr.conv.act};
        return cn_cuda_prepare_product(e, step, &product);
    }
    s = cn_cuda_data(e, step, sizeof *s);
    if (!s) return CN_NO_MEMORY(sizeof *s);
    s->args = args;
    step->launch = launch;
    return step->node->op == CN_OP_conv && cn_implicit_fits(&args) ? find_ways(e, step, s) : CORNU_OK;
}
