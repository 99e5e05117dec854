/* The policy of precision. */
#include "backend/cuda/precision.h"

#define FEW_ROWS 16
#define FEW_COLUMNS 16
#define MANY_PRODUCTS ((int64_t)1 << 20)

static bool is_product(cn_op op) {
    return op == CN_OP_matmul || op == CN_OP_conv || op == CN_OP_conv_transpose || op == CN_OP_rnn || op == CN_OP_attention;
}

/* Inputs come before the nodes that take them, so that one walk from the end suffices. */
cornu_status cn_cuda_find_heads(cn_cuda_executable* e) {
    const cn_graph* g = e->plan->graph;
    bool* heads = cn_arena_array(&e->arena, (size_t)g->count + 1, sizeof *heads);

    e->heads = heads;
    if (!heads) return CN_NO_MEMORY((size_t)g->count * sizeof *heads);
    for (int i = 0; i < g->count; i++) heads[i] = true;
    for (int i = g->count - 1; i >= 0; i--) {
        const cn_node* node = &g->nodes[i];
        bool ends = is_product(node->op) || !heads[i];
        for (int k = 0; ends && k < node->input_count; k++) {
            if (node->inputs[k] != CN_NONE) heads[node->inputs[k]] = false;
        }
    }
    return CORNU_OK;
}

/* a b >= limit, for counts whose product may be too large. */
static bool reaches(int64_t a, int64_t b, int64_t c, int64_t limit) {
    int64_t ab = a > 0 && b > limit / a ? limit : a * b;
    return ab > 0 && c > 0 && (ab >= limit || c >= (limit + ab - 1) / ab);
}

static bool gains(const cn_cuda_executable* e, const cn_node* node, int64_t rows, int64_t columns, int64_t inner) {
    if (node->op != CN_OP_matmul) return true;
    if (rows <= FEW_ROWS || (columns <= FEW_COLUMNS && e->heads[node->output])) return false;
    return reaches(rows, columns, inner, MANY_PRODUCTS);
}

cn_compute cn_cuda_compute_of(const cn_cuda_executable* e, const cn_node* node, int64_t rows, int64_t columns, int64_t inner) {
    switch (cn_cuda_input_type(e, node, 0)->dtype) {
        case CORNU_FLOAT16: return CN_COMPUTE_F16;
        case CORNU_BFLOAT16: return CN_COMPUTE_BF16;
        case CORNU_FLOAT64: return CN_COMPUTE_F64;
        default: break;
    }
    if (e->precision == CORNU_PRECISION_STRICT) return CN_COMPUTE_F32;
    if (e->precision == CORNU_PRECISION_TF32) return CN_COMPUTE_TF32;
    return gains(e, node, rows, columns, inner) ? CN_COMPUTE_TF32 : CN_COMPUTE_F32;
}
