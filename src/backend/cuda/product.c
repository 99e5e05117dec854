/* A product of matrices as a step.
 *
 * The batch's axes are merged where all operands go through them evenly, and into the rows where b is the same for all: a Dense layer over
 * [B, T, K] is one product of B T rows. What is left is one axis for the library and a few calls for the others, or all of it for the kernel.
 * The library adds bias and residual and applies relu; every other activation follows by a kernel of our own.
 *
 * Ways of a step: the algorithms that the library proposes; the kernel for few rows, first up to FEW_ROWS of them, last above; for more rows
 * of what tensor cores take, the tiles of convolutions, which apply any activation; the kernel for everything where there is nothing else. */
#include "backend/cuda/product.h"

#include <stdio.h>

#include "backend/cuda/cublaslt.h"
#include "backend/cuda/tiles.h"
#include "base/dtype.h"
#include "kernels/matmul.h"
#include "kernels/skinny.h"

#define FEW_ROWS 8
#define MAX_CALLS 256 /* of the library a run; more are left to the kernel */

typedef struct product_step {
    cn_cuda_product product;
    int slot; /* of b among the weights, -1: the value */
    bool finish; /* bias or activation of the library's product by our own kernel */
    int skinny;  /* the way by the kernel for few rows, -1: none */
    cn_tile_ways tiles; /* behind the library's ways */
    int axis; /* of the batch that the library goes through; -1: none */
    cn_lt_product library;
} product_step;

/* ---- the batch ---- */

static void drop_axis(cn_cuda_product* p, int axis) {
    p->batch_ndim--;
    for (int i = axis; i < p->batch_ndim; i++) {
        p->batch_dims[i] = p->batch_dims[i + 1];
        p->a_steps[i] = p->a_steps[i + 1];
        p->b_steps[i] = p->b_steps[i + 1];
    }
}

static void merge_batch(cn_cuda_product* p) {
    for (int i = p->batch_ndim - 1; i >= 0; i--) {
        if (p->batch_dims[i] == 1) drop_axis(p, i);
    }
    for (int i = p->batch_ndim - 2; i >= 0; i--) {
        int64_t inner = p->batch_dims[i + 1];
        if (p->a_steps[i] != p->a_steps[i + 1] * inner || p->b_steps[i] != p->b_steps[i + 1] * inner) continue;
        p->batch_dims[i + 1] *= p->batch_dims[i];
        drop_axis(p, i);
    }
    if (p->batch_ndim > 0 && !p->swapped_a && p->b_steps[p->batch_ndim - 1] == 0 && p->a_steps[p->batch_ndim - 1] == p->rows * p->inner) {
        p->rows *= p->batch_dims[p->batch_ndim - 1];
        drop_axis(p, p->batch_ndim - 1);
    }
}

static int64_t batch_count(const cn_cuda_product* p) {
    int64_t count = 1;
    for (int i = 0; i < p->batch_ndim; i++) count *= p->batch_dims[i];
    return count;
}

/* Elements of y from one index of the axis to the next. */
static int64_t y_step(const cn_cuda_product* p, int axis) {
    int64_t step = p->rows * p->columns;
    for (int i = axis + 1; i < p->batch_ndim; i++) step *= p->batch_dims[i];
    return step;
}

/* ---- by the library ---- */

/* What an address is still a multiple of after that many elements. */
static uint64_t still_aligned(uint64_t align, cornu_dtype dtype, int64_t elements) {
    uint64_t bytes = (uint64_t)elements * cornu_dtype_size(dtype);
    while (bytes % align) align /= 2;
    return align;
}

static cn_lt_problem problem_of(const product_step* s) {
    const cn_cuda_product* p = &s->product;
    cn_lt_problem out = {.dtype = p->dtype, .rows = p->rows, .columns = p->columns, .inner = p->inner, .swapped_a = p->swapped_a, .swapped_b = p->swapped_b,
                         .batches = 1, .a_align = CN_CUDA_ALIGNMENT, .b_align = CN_CUDA_ALIGNMENT, .y_align = CN_CUDA_ALIGNMENT};

    if (s->axis >= 0) {
        out.batches = p->batch_dims[s->axis];
        out.a_step = p->a_steps[s->axis];
        out.b_step = p->b_steps[s->axis];
        out.y_step = y_step(p, s->axis);
    }
    for (int i = 0; i < p->batch_ndim; i++) {
        out.a_align = still_aligned(out.a_align, p->dtype, p->a_steps[i]);
        out.b_align = still_aligned(out.b_align, p->dtype, p->b_steps[i]);
        out.y_align = still_aligned(out.y_align, p->dtype, y_step(p, i));
    }
    return out;
}

/* Asks with the bias and relu in the library, then without them. */
static cornu_status try_library(cn_cuda_executable* e, const cn_node* node, product_step* s) {
    bool found = false, with_bias = cn_cuda_has_input(node, 2), relu = s->product.act.fn == CN_EW_relu;
    cn_lt_problem problem = problem_of(s);

    problem.compute = cn_cuda_compute_of(e, node, s->product.rows, s->product.columns, s->product.inner);
    problem.residual = cn_cuda_has_input(node, 3);
    if (s->product.dtype != CORNU_FLOAT64) { /* no epilogues for it */
        problem.bias = with_bias;
        problem.relu = relu;
        CN_TRY(cn_lt_product_init(e, &problem, &s->library, &found));
        s->finish = s->product.act.fn != CN_EW_copy && !relu;
        if (found || (!with_bias && !relu)) return CORNU_OK;
    }
    problem.bias = problem.relu = false;
    s->finish = with_bias || s->product.act.fn != CN_EW_copy;
    return cn_lt_product_init(e, &problem, &s->library, &found);
}

static void* moved(const void* data, cornu_dtype dtype, int64_t elements) { return (char*)(uintptr_t)data + elements * (int64_t)cornu_dtype_size(dtype); }

static cornu_status finish(const cn_cuda_step* step, const cn_cuda_frame* frame) {
    const product_step* s = step->data;
    cn_bias_act_args args = {.dtype = (int)s->product.dtype, .x = cn_cuda_out(step, frame), .y = cn_cuda_out(step, frame), .columns = s->product.columns,
                             .rows = s->product.rows * batch_count(&s->product), .act = cn_cuda_epilogue(&s->product.act)};

    if (!s->library.bias) args.bias = cn_cuda_in(step, frame, 2);
    return CN_CUDA_OK(cn_k_bias_act(&frame->queue, &args));
}

static cornu_status launch_library(const cn_cuda_step* step, int way, const cn_cuda_frame* frame) {
    const product_step* s = step->data;
    const cn_cuda_product* p = &s->product;
    int64_t calls = batch_count(p) / (s->axis >= 0 ? p->batch_dims[s->axis] : 1);
    cn_lt_operands whole = {cn_cuda_in(step, frame, 0), s->slot >= 0 ? frame->weights[s->slot] : cn_cuda_in(step, frame, 1), cn_cuda_in(step, frame, 2),
                            cn_cuda_in(step, frame, 3), cn_cuda_out(step, frame)};

    for (int64_t call = 0; call < calls; call++) {
        int64_t rest = call, a_at = 0, b_at = 0, y_at = 0;
        cn_lt_operands part = whole;
        for (int i = p->batch_ndim - 1; i >= 0; i--) {
            int64_t index = i == s->axis ? 0 : rest % p->batch_dims[i];
            if (i != s->axis) rest /= p->batch_dims[i];
            a_at += index * p->a_steps[i];
            b_at += index * p->b_steps[i];
            y_at += index * y_step(p, i);
        }
        part.a = moved(whole.a, p->dtype, a_at);
        part.b = moved(whole.b, p->dtype, b_at);
        part.y = moved(whole.y, p->dtype, y_at);
        if (whole.residual) part.residual = moved(whole.residual, p->dtype, y_at);
        CN_TRY(cn_lt_product_run(&s->library, way, frame, &part));
    }
    return s->finish ? finish(step, frame) : CORNU_OK;
}

static void destroy(cn_cuda_step* step) {
    product_step* s = step->data;
    cn_lt_product_deinit(&s->library);
}

/* ---- by the kernels ---- */

static bool fits_skinny(const cn_cuda_product* p) {
    bool shape = p->batch_ndim == 0 && p->swapped_b && (!p->swapped_a || p->rows == 1) && p->rows <= CN_SKINNY_ROWS;
    return shape && cn_dtype_is_float(p->dtype) && p->dtype != CORNU_FLOAT64;
}

static cornu_status launch_skinny(const cn_cuda_step* step, const cn_cuda_frame* frame) {
    const product_step* s = step->data;
    const cn_cuda_product* p = &s->product;
    cn_skinny_args args = {.dtype = (int)p->dtype, .x = cn_cuda_in(step, frame, 0), .bias = cn_cuda_in(step, frame, 2), .residual = cn_cuda_in(step, frame, 3),
                           .y = cn_cuda_out(step, frame), .rows = p->rows, .columns = p->columns, .inner = p->inner, .act = cn_cuda_epilogue(&p->act)};

    args.weights = s->slot >= 0 ? frame->weights[s->slot] : cn_cuda_in(step, frame, 1);
    return CN_CUDA_OK(cn_k_skinny(&frame->queue, &args));
}

static cornu_status launch_kernel(const cn_cuda_step* step, const cn_cuda_frame* frame) {
    const product_step* s = step->data;
    const cn_cuda_product* p = &s->product;
    cn_matmul_args args = {.dtype = (int)p->dtype, .rows = p->rows, .columns = p->columns, .inner = p->inner, .batch_ndim = p->batch_ndim, .act = cn_cuda_epilogue(&p->act)};

    args.a = cn_cuda_in(step, frame, 0);
    args.b = s->slot >= 0 ? frame->weights[s->slot] : cn_cuda_in(step, frame, 1);
    args.bias = cn_cuda_in(step, frame, 2);
    args.residual = cn_cuda_in(step, frame, 3);
    args.y = cn_cuda_out(step, frame);
    args.a_row = p->swapped_a ? 1 : p->inner;
    args.a_k = p->swapped_a ? p->rows : 1;
    args.b_k = p->swapped_b ? 1 : p->columns;
    args.b_column = p->swapped_b ? p->inner : 1;
    for (int i = 0; i < p->batch_ndim; i++) {
        args.batch_dims[i] = p->batch_dims[i];
        args.a_batch[i] = p->a_steps[i];
        args.b_batch[i] = p->b_steps[i];
    }
    return CN_CUDA_OK(cn_k_matmul(&frame->queue, &args));
}

/* The product as a convolution whose kernel is one cell. */
static cn_conv_args conv_of(const cn_cuda_product* p) {
    return (cn_conv_args){.dtype = (int)p->dtype, .batch = 1, .channels = p->inner, .filters = p->columns, .groups = 1, .x_dims = {1, 1, p->rows}, .k_dims = {1, 1, 1},
                          .y_dims = {1, 1, p->rows}, .strides = {1, 1, 1}, .dilation = {1, 1, 1}, .act = cn_cuda_epilogue(&p->act)};
}

static void find_tiles(cn_cuda_executable* e, const cn_node* node, product_step* s) {
    const cn_cuda_product* p = &s->product;
    cn_conv_args args = conv_of(p);
    cn_compute compute = cn_cuda_compute_of(e, node, p->rows, p->columns, p->inner);

    if (p->batch_ndim > 0 || !p->swapped_b || p->swapped_a || p->rows <= CN_SKINNY_ROWS || !cn_dtype_is_float(p->dtype)) return;
    if (compute != CN_COMPUTE_TF32 && compute != CN_COMPUTE_F16 && compute != CN_COMPUTE_BF16) return;
    if (cn_implicit_fits(&args)) cn_tile_ways_find(e, &args, compute == CN_COMPUTE_TF32, true, &s->tiles);
}

static cornu_status launch_tiles(const cn_cuda_step* step, int way, const cn_cuda_frame* frame) {
    const product_step* s = step->data;
    cn_implicit_how how = s->tiles.ways[way];
    cn_conv_args args = conv_of(&s->product);

    args.x = cn_cuda_in(step, frame, 0);
    args.kernel = s->slot >= 0 ? frame->weights[s->slot] : cn_cuda_in(step, frame, 1);
    args.bias = cn_cuda_in(step, frame, 2);
    args.residual = cn_cuda_in(step, frame, 3);
    args.y = cn_cuda_out(step, frame);
    how.partial = frame->scratch;
    return CN_CUDA_OK(cn_k_implicit(&frame->queue, &args, &how));
}

/* ---- the step ---- */

static cornu_status launch(const cn_cuda_step* step, const cn_cuda_frame* frame) {
    const product_step* s = step->data;

    if (step->way == s->skinny) return launch_skinny(step, frame);
    if (s->tiles.count > 0 && step->way >= s->library.ways) return launch_tiles(step, step->way - s->library.ways, frame);
    if (s->library.ways == 0) return launch_kernel(step, frame);
    return launch_library(step, s->skinny == 0 ? step->way - 1 : step->way, frame);
}

static void name_way(const cn_cuda_step* step, int way, char* text) {
    const product_step* s = step->data;

    if (way == s->skinny) (void)snprintf(text, CN_CUDA_WAY_TEXT, "kernel for few rows");
    else if (s->tiles.count > 0 && way >= s->library.ways) cn_tile_way_name(&s->tiles.ways[way - s->library.ways], text);
    else if (s->library.ways == 0) (void)snprintf(text, CN_CUDA_WAY_TEXT, "general kernel");
    else (void)snprintf(text, CN_CUDA_WAY_TEXT, "cuBLASLt %d", s->skinny == 0 ? way - 1 : way);
}

/* Lists the ways, and says what the problem is. */
static cornu_status find_ways(cn_cuda_executable* e, cn_cuda_step* step, product_step* s) {
    const cn_cuda_product* p = &s->product;
    const cn_node* node = step->node;
    char batch[CORNU_MAX_DIMS * 72];
    size_t at = 0;

    step->ways = s->library.ways > 0 ? s->library.ways : 1;
    if (fits_skinny(p)) {
        s->skinny = p->rows <= FEW_ROWS || s->library.ways == 0 ? 0 : step->ways;
        step->ways = s->library.ways + 1;
    }
    find_tiles(e, node, s);
    if (s->tiles.count > 0) step->ways = s->library.ways + s->tiles.count;
    if (step->ways == 1) return CORNU_OK;
    step->name_way = name_way;
    batch[0] = 0;
    for (int i = 0; i < p->batch_ndim; i++) {
        at += (size_t)snprintf(batch + at, sizeof batch - at, " %lld:%lld:%lld", (long long)p->batch_dims[i], (long long)p->a_steps[i], (long long)p->b_steps[i]);
    }
    step->problem = cn_arena_format(&e->arena, "product %s compute %d %lldx%lldx%lld%s%s%s%s%s act %d %g %g %g%s ways %d",
                                    cornu_dtype_name(p->dtype), (int)cn_cuda_compute_of(e, node, p->rows, p->columns, p->inner), (long long)p->rows, (long long)p->columns, (long long)p->inner,
                                    p->swapped_a ? " ta" : "", p->swapped_b ? " tb" : "", cn_cuda_input_type(e, node, 2) ? " bias" : "",
                                    cn_cuda_input_type(e, node, 3) ? " residual" : "", s->finish ? " finish" : "", (int)p->act.fn, p->act.p, p->act.q, p->act.r, batch, step->ways);
    return step->problem ? CORNU_OK : CN_NO_MEMORY(sizeof batch);
}

cornu_status cn_cuda_prepare_product(cn_cuda_executable* e, cn_cuda_step* step, const cn_cuda_product* product) {
    product_step* s = cn_cuda_data(e, step, sizeof *s);
    bool floats = cn_dtype_is_float(product->dtype);
    int64_t calls;

    if (!s) return CN_NO_MEMORY(sizeof *s);
    s->product = *product;
    s->slot = s->axis = s->skinny = -1;
    merge_batch(&s->product);
    /* Weights as [columns, inner]: the form in which the library has the most ways. */
    if (floats && !s->product.swapped_b && s->product.batch_ndim == 0) CN_TRY(cn_cuda_weight(e, step->node, 1, CN_CUDA_SWAPPED, &s->slot));
    if (s->slot >= 0) s->product.swapped_b = true;
    for (int i = 0; i < s->product.batch_ndim; i++) {
        if (s->axis < 0 || s->product.batch_dims[i] > s->product.batch_dims[s->axis]) s->axis = i;
    }
    calls = batch_count(&s->product) / (s->axis >= 0 ? s->product.batch_dims[s->axis] : 1);
    if (floats && calls <= MAX_CALLS) CN_TRY(try_library(e, step->node, s));
    step->launch = launch;
    if (s->library.ways > 0) step->destroy = destroy;
    return find_ways(e, step, s);
}
