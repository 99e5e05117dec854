/* One function an op that is more than an elementwise pass; the others follow from the shapes of inputs and result. */
#include "graph/cost.h"

static uint64_t times(uint64_t a, uint64_t b) {
    uint64_t product;
    return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

static uint64_t plus(uint64_t a, uint64_t b) { return a > UINT64_MAX - b ? UINT64_MAX : a + b; }

static const cn_type* input_type(const cn_graph* g, const cn_node* node, int k) {
    return k < node->input_count && node->inputs[k] != CN_NONE ? &g->types[node->inputs[k]] : NULL;
}

static uint64_t count_of(const cn_type* type) { return type ? (uint64_t)cn_type_count(type) : 0; }
static uint64_t bytes_of(const cn_type* type) { return type ? cn_type_bytes(type) : 0; }

/* Dimension i from the end; 1 where there is none. */
static uint64_t dim_back(const cn_type* type, int i) { return i < type->ndim ? (uint64_t)type->dims[type->ndim - 1 - i] : 1; }

static uint64_t act_flops(const cn_act* act, uint64_t count) { return act->fn == CN_EW_copy ? 0 : count; }

/* Bias and residual, an addition each; then the function behind them. */
static uint64_t epilogue_flops(const cn_graph* g, const cn_node* node, const cn_act* act, uint64_t count) {
    uint64_t flops = act_flops(act, count);
    for (int k = 2; k < 4; k++) {
        if (input_type(g, node, k)) flops = plus(flops, count);
    }
    return flops;
}

static uint64_t matmul_flops(const cn_graph* g, const cn_node* node, uint64_t count) {
    const cn_matmul_attr* attr = &node->attr.matmul;
    uint64_t depth = dim_back(input_type(g, node, 0), attr->transpose_a ? 1 : 0);
    return plus(times(times(2, count), depth), epilogue_flops(g, node, &attr->act, count));
}

/* Elements of the kernel that one cell of the result (conv) or of the input (conv_transpose) meets: all but the last axis of
 * [spatial.., C / groups, F], all but the last of [spatial.., F, C]. */
static uint64_t window_size(const cn_type* kernel) {
    uint64_t size = 1;
    for (int i = 0; i < kernel->ndim - 1; i++) size = times(size, (uint64_t)kernel->dims[i]);
    return size;
}

static uint64_t conv_flops(const cn_graph* g, const cn_node* node, uint64_t count) {
    const cn_type* kernel = input_type(g, node, 1);
    uint64_t cells = node->op == CN_OP_conv ? count : count_of(input_type(g, node, 0));
    return plus(times(times(2, cells), window_size(kernel)), epilogue_flops(g, node, &node->attr.conv.act, count));
}

static uint64_t pool_flops(const cn_graph* g, const cn_node* node, uint64_t count) {
    const cn_pool_attr* attr = &node->attr.pool;
    uint64_t window = 1;
    if (node->op == CN_OP_adaptive_pool) return count_of(input_type(g, node, 0));
    for (int i = 0; i < attr->spatial; i++) window = times(window, (uint64_t)attr->window[i]);
    return times(count, window);
}

/* Steps that the recurrence takes: products with the state, and for each gate an addition and a function, and the state's mixing. */
static uint64_t rnn_flops(const cn_graph* g, const cn_node* node) {
    const cn_type* z = input_type(g, node, 0);
    const cn_type* kernel = input_type(g, node, 1);
    uint64_t cells = times((uint64_t)z->dims[0], (uint64_t)z->dims[1]);
    uint64_t width = dim_back(kernel, 0), units = dim_back(kernel, 1);
    return times(cells, plus(times(times(2, width), units), plus(times(2, width), times(4, units))));
}

/* A causal query sees about half of the keys. */
static uint64_t attention_flops(const cn_graph* g, const cn_node* node, uint64_t count) {
    const cn_type* q = input_type(g, node, 0);
    const cn_type* k = input_type(g, node, 1);
    uint64_t rows = count_of(q) / (dim_back(q, 0) ? dim_back(q, 0) : 1), keys = dim_back(k, 1);
    uint64_t values = dim_back(q, 0) && count ? count / (rows ? rows : 1) : 0;
    uint64_t pairs = times(rows, keys);
    if (node->attr.attention.causal) pairs = pairs / 2 + rows / 2;
    return times(pairs, plus(times(2, plus(dim_back(q, 0), values)), 5));
}

static uint64_t linalg_flops(const cn_graph* g, const cn_node* node) {
    const cn_type* x = input_type(g, node, 0);
    return times(count_of(x), dim_back(x, 0) < dim_back(x, 1) ? dim_back(x, 0) : dim_back(x, 1));
}

static uint64_t flops_of(const cn_graph* g, const cn_node* node) {
    uint64_t count = count_of(&g->types[node->output]);
    uint64_t in = count_of(input_type(g, node, 0));

    switch (node->op) {
        case CN_OP_matmul: return matmul_flops(g, node, count);
        case CN_OP_conv:
        case CN_OP_conv_transpose: return conv_flops(g, node, count);
        case CN_OP_pool:
        case CN_OP_adaptive_pool: return pool_flops(g, node, count);
        case CN_OP_rnn: return rnn_flops(g, node);
        case CN_OP_attention: return attention_flops(g, node, count);
        case CN_OP_linalg: return linalg_flops(g, node);
        case CN_OP_fused: return times(count, (uint64_t)node->attr.fused.count);
        case CN_OP_softmax:
        case CN_OP_log_softmax: return times(count, 5); /* largest, difference, exp, sum, division */
        case CN_OP_layer_norm:
        case CN_OP_rms_norm:
        case CN_OP_group_norm: /* mean, variance, difference, scale, gamma, beta; residual */
            return times(count, node->input_count > 3 && node->inputs[3] != CN_NONE ? 9 : 8);
        case CN_OP_batch_norm: return times(count, 2);
        case CN_OP_resize: return times(count, 8);
        case CN_OP_random: return times(count, 20);
        case CN_OP_reduce:
        case CN_OP_arg: return in;
        case CN_OP_ew:
        case CN_OP_cumulative: return count;
        default: return 0; /* what only moves elements */
    }
}

static bool is_free(cn_op op) { return op == CN_OP_input || op == CN_OP_constant || op == CN_OP_variable || op == CN_OP_reshape; }

/* Bytes read of input k. */
static uint64_t input_bytes(const cn_graph* g, const cn_node* node, int k) {
    const cn_type* result = &g->types[node->output];
    const cn_type* type = input_type(g, node, k);

    if (k == 0 && (node->op == CN_OP_gather || node->op == CN_OP_slice) && bytes_of(type) > bytes_of(result)) return bytes_of(result);
    for (int j = 0; j < k; j++) {
        if (node->inputs[j] == node->inputs[k]) return 0; /* x * x reads x once */
    }
    return bytes_of(type);
}

cn_cost cn_node_cost(const cn_graph* g, const cn_node* node) {
    cn_cost cost = {0, 0};

    if (is_free(node->op)) return cost;
    cost.flops = flops_of(g, node);
    cost.bytes = bytes_of(&g->types[node->output]);
    for (int k = 0; k < node->input_count; k++) cost.bytes = plus(cost.bytes, input_bytes(g, node, k));
    return cost;
}
