/* Splitting a batch. A value is batched if it depends on an input; then its axis 0 is the batch. Every op has a rule that says
 * when it keeps entries apart; what has no rule mixes them. */
#include "graph/split.h"

#include <string.h>

#include "graph/rewrite.h"

typedef struct split {
    const cn_graph* g;
    int64_t batch;
    bool* batched; /* of each value */
} split;

static bool in_is_batched(const split* s, const cn_node* node, int k) {
    return k < node->input_count && node->inputs[k] != CN_NONE && s->batched[node->inputs[k]];
}

static const cn_type* in_type(const split* s, const cn_node* node, int k) { return &s->g->types[node->inputs[k]]; }

/* Inputs are aligned to the result's last axis: batched ones must reach axis 0, others must be the same for every entry. */
static bool aligned(const split* s, const cn_node* node, int first, int end) {
    int ndim = s->g->types[node->output].ndim;

    for (int k = first; k < end && k < node->input_count; k++) {
        if (node->inputs[k] == CN_NONE) continue;
        if (in_is_batched(s, node, k)) {
            if (in_type(s, node, k)->ndim != ndim) return false;
        } else if (in_type(s, node, k)->ndim >= ndim && in_type(s, node, k)->dims[0] != 1) {
            return false;
        }
    }
    return true;
}

/* Only input 0, and a residual, are batched. */
static bool only_first(const split* s, const cn_node* node) {
    for (int k = 1; k < node->input_count; k++) {
        if (in_is_batched(s, node, k) != (k == 3 && node->inputs[k] != CN_NONE && node->op != CN_OP_batch_norm)) return false;
    }
    return in_is_batched(s, node, 0);
}

static bool matmul_keeps_apart(const split* s, const cn_node* node) {
    int ndim = s->g->types[node->output].ndim;

    if (in_is_batched(s, node, 2)) return false;
    if (node->input_count > 3 && node->inputs[3] != CN_NONE && !in_is_batched(s, node, 3)) return false;
    if (ndim > 2) return aligned(s, node, 0, 2);
    return in_is_batched(s, node, 0) && !in_is_batched(s, node, 1) && !node->attr.matmul.transpose_a;
}

static bool gather_keeps_apart(const split* s, const cn_node* node) {
    if (in_is_batched(s, node, 0)) return node->attr.gather.axis > 0 && !in_is_batched(s, node, 1);
    return node->attr.gather.axis == 0;
}

/* Sequence, states and mask have a row for each entry; the weights have none. */
static bool rnn_keeps_apart(const split* s, const cn_node* node) {
    for (int k = 0; k < node->input_count; k++) {
        bool weights = k == 1 || k == 4;
        if (node->inputs[k] != CN_NONE && in_is_batched(s, node, k) == weights) return false;
    }
    return true;
}

static bool attention_keeps_apart(const split* s, const cn_node* node) {
    for (int k = 0; k < 3; k++) {
        if (!in_is_batched(s, node, k)) return false;
    }
    return node->input_count < 4 || node->inputs[3] == CN_NONE || in_is_batched(s, node, 3) == (in_type(s, node, 3)->dims[0] != 1);
}

static bool keeps_apart(const split* s, const cn_node* node) {
    const cn_attr* a = &node->attr;

    switch (node->op) {
        case CN_OP_ew:
        case CN_OP_fused: return aligned(s, node, 0, node->input_count);
        case CN_OP_cast:
        case CN_OP_pool:
        case CN_OP_adaptive_pool:
        case CN_OP_resize:
        case CN_OP_reshape: return true; /* entries stay together as long as axis 0 does */
        case CN_OP_broadcast: return in_type(s, node, 0)->ndim == a->shape.ndim;
        case CN_OP_transpose: return a->perm.perm[0] == 0;
        case CN_OP_concat:
            for (int k = 0; k < node->input_count; k++) {
                if (!in_is_batched(s, node, k)) return false;
            }
            return a->axis.axis != 0;
        case CN_OP_slice: return a->slice.begin[0] == 0 && a->slice.step[0] == 1 && a->slice.dims[0] == s->batch;
        case CN_OP_pad: return a->pad.low[0] == 0 && a->pad.high[0] == 0;
        case CN_OP_gather: return gather_keeps_apart(s, node);
        case CN_OP_reduce:
        case CN_OP_softmax:
        case CN_OP_log_softmax: return !(a->reduce.axes & 1);
        case CN_OP_arg: return a->arg.axis != 0;
        case CN_OP_cumulative: return a->cumulative.axis != 0;
        case CN_OP_matmul: return matmul_keeps_apart(s, node);
        case CN_OP_rnn: return rnn_keeps_apart(s, node);
        case CN_OP_attention: return attention_keeps_apart(s, node);
        case CN_OP_conv:
        case CN_OP_conv_transpose:
        case CN_OP_group_norm: return only_first(s, node);
        case CN_OP_batch_norm:
        case CN_OP_layer_norm:
        case CN_OP_rms_norm: return only_first(s, node) && !(a->norm.axes & 1);
        default: return false;
    }
}

/* Marks batched values; false when the graph cannot be split. */
static bool mark(split* s) {
    for (int i = 0; i < s->g->count; i++) {
        const cn_node* node = &s->g->nodes[i];
        if (node->op == CN_OP_random) return false;
        s->batched[i] = node->op == CN_OP_input;
        for (int k = 0; k < node->input_count; k++) s->batched[i] = s->batched[i] || in_is_batched(s, node, k);
        if (!s->batched[i]) continue;
        if (s->g->types[i].ndim < 1 || s->g->types[i].dims[0] != s->batch) return false;
        if (node->op != CN_OP_input && !keeps_apart(s, node)) return false;
    }
    for (int i = 0; i < s->g->output_count; i++) {
        if (!s->batched[s->g->outputs[i]]) return false;
    }
    return true;
}

/* Node i for `size` entries. */
static cn_id part_of(cn_rewrite* r, int i, int64_t size) {
    const cn_node* node = &r->from->nodes[i];
    cn_node* copy;
    cn_node changed = *node;
    cn_type type = r->from->types[i];
    cn_id stack[8], v;
    cn_id* inputs = stack;

    cn_rewrite_label(r, i);
    type.dims[0] = size;
    if (node->op == CN_OP_input) {
        v = cn_graph_input(r->to, &type, node->attr.port.name);
        copy = v == CN_NONE ? NULL : &r->to->nodes[v];
        if (copy) copy->attr.port.index = node->attr.port.index;
        return v;
    }
    if (node->op == CN_OP_reshape || node->op == CN_OP_broadcast) changed.attr.shape.dims[0] = size;
    if (node->op == CN_OP_slice) changed.attr.slice.dims[0] = size;
    if (node->input_count > 8) inputs = cn_arena_array(&r->to->arena, (size_t)node->input_count, sizeof *inputs);
    if (!inputs) return cn_graph_failed(r->to, CN_NO_MEMORY((size_t)node->input_count * sizeof *inputs));
    for (int k = 0; k < node->input_count; k++) inputs[k] = node->inputs[k] == CN_NONE ? CN_NONE : r->map[node->inputs[k]];
    return cn_graph_add(r->to, node->op, inputs, node->input_count, &changed.attr);
}

/* The batch of the graph's inputs, 0 when they have none in common. */
static int64_t batch_of(const cn_graph* g) {
    int64_t batch = -1;

    for (int i = 0; i < g->count; i++) {
        if (g->nodes[i].op != CN_OP_input) continue;
        if (g->types[i].ndim < 1 || (batch >= 0 && g->types[i].dims[0] != batch)) return 0;
        batch = g->types[i].dims[0];
    }
    return batch < 0 ? 0 : batch;
}

cornu_status cn_graph_split(const cn_graph* g, int64_t parts, cn_graph* out, bool* possible) {
    split s = {g, batch_of(g), NULL};
    cn_rewrite r;
    cornu_status st;

    *possible = false;
    if (parts < 1 || s.batch < 1 || s.batch % parts != 0) return CORNU_OK;
    s.batched = cn_alloc_zero((size_t)g->count + 1, sizeof *s.batched);
    if (!s.batched) return CN_NO_MEMORY(g->count);
    if (!mark(&s)) {
        cn_free(s.batched);
        return CORNU_OK;
    }
    st = cn_rewrite_begin(&r, g, out);
    for (int i = 0; st == CORNU_OK && i < g->count; i++) {
        r.map[i] = s.batched[i] ? part_of(&r, i, s.batch / parts) : cn_rewrite_copy(&r, i);
        st = cn_graph_status(out);
    }
    if (st != CORNU_OK) (void)cn_graph_failed(out, st);
    st = cn_rewrite_end(&r);
    *possible = st == CORNU_OK;
    if (st != CORNU_OK) cn_graph_deinit(out);
    cn_free(s.batched);
    return st;
}
