/* Copying graphs with changes. Invariant: the old graph is never written, so that a pass that fails half way has changed nothing. */
#include "graph/rewrite.h"

#include <string.h>

cornu_status cn_rewrite_begin(cn_rewrite* r, const cn_graph* from, cn_graph* to) {
    size_t n = (size_t)from->count + 1;

    memset(r, 0, sizeof *r);
    cn_graph_init(to);
    to->max_elements = from->max_elements;
    r->from = from;
    r->to = to;
    r->map = cn_alloc_zero(n, sizeof *r->map);
    r->uses = cn_alloc_zero(n, sizeof *r->uses);
    if (!r->map || !r->uses) return CN_NO_MEMORY(n * sizeof *r->map);
    for (size_t i = 0; i < n; i++) r->map[i] = CN_NONE;
    for (int i = 0; i < from->count; i++) {
        for (int k = 0; k < from->nodes[i].input_count; k++) {
            if (from->nodes[i].inputs[k] != CN_NONE) r->uses[from->nodes[i].inputs[k]]++;
        }
    }
    for (int i = 0; i < from->output_count; i++) r->uses[from->outputs[i]]++;
    return CORNU_OK;
}

void cn_rewrite_label(cn_rewrite* r, int i) {
    const char* label = r->from->nodes[i].label;
    char* copy;

    if (label == r->label) return;
    copy = cn_arena_strdup(&r->to->arena, label);
    if (!copy) {
        (void)cn_graph_failed(r->to, CN_NO_MEMORY(strlen(label)));
        return;
    }
    r->label = label;
    r->to->label = copy;
}

cn_id cn_rewrite_copy(cn_rewrite* r, int i) {
    const cn_node* node = &r->from->nodes[i];
    cn_graph* to = r->to;
    cn_id stack[8];
    cn_id* inputs = stack;
    cn_id v;

    cn_rewrite_label(r, i);
    switch (node->op) {
        case CN_OP_input:
            v = cn_graph_input(to, &r->from->types[i], node->attr.port.name);
            if (v != CN_NONE) to->nodes[v].attr.port.index = node->attr.port.index;
            return v;
        case CN_OP_variable: return cn_graph_variable(to, &r->from->types[i], node->attr.variable.slot, node->attr.variable.name);
        case CN_OP_constant: return cn_graph_constant(to, &r->from->types[i], node->attr.constant.data);
        default: break;
    }
    if (node->input_count > 8) inputs = cn_arena_array(&to->arena, (size_t)node->input_count, sizeof *inputs);
    if (!inputs) return cn_graph_failed(to, CN_NO_MEMORY((size_t)node->input_count * sizeof *inputs));
    for (int k = 0; k < node->input_count; k++) inputs[k] = node->inputs[k] == CN_NONE ? CN_NONE : r->map[node->inputs[k]];
    return cn_graph_add(to, node->op, inputs, node->input_count, &node->attr);
}

bool cn_rewrite_constant(cn_rewrite* r, cn_id v) {
    const cn_graph* g = r->to;

    if (v == CN_NONE || v >= g->count) return false;
    if (r->constant_capacity < g->count) {
        int capacity = g->count * 2;
        bool* grown = cn_realloc(r->constant, (size_t)capacity * sizeof *grown);
        if (!grown) {
            (void)cn_graph_failed(r->to, CN_NO_MEMORY(capacity));
            return false;
        }
        r->constant = grown;
        r->constant_capacity = capacity;
    }
    for (; r->constant_size <= v; r->constant_size++) {
        const cn_node* node = &g->nodes[r->constant_size];
        bool constant = node->op != CN_OP_input && node->op != CN_OP_random;
        for (int k = 0; k < node->input_count && constant; k++) {
            if (node->inputs[k] != CN_NONE) constant = r->constant[node->inputs[k]];
        }
        r->constant[r->constant_size] = constant;
    }
    return r->constant[v];
}

cornu_status cn_rewrite_end(cn_rewrite* r) {
    cn_graph* to = r->to;

    if (r->map && to->status == CORNU_OK) {
        to->input_count = r->from->input_count;
        for (int i = 0; i < r->from->output_count; i++) cn_graph_output(to, r->map[r->from->outputs[i]]);
    }
    to->label = "";
    cn_free(r->map);
    cn_free(r->uses);
    cn_free(r->constant);
    r->map = NULL;
    r->uses = NULL;
    r->constant = NULL;
    return to->status;
}

cornu_status cn_graph_sweep(cn_graph* g) {
    cn_graph to;
    cn_rewrite r;
    bool* needed = NULL;
    cornu_status st = cn_rewrite_begin(&r, g, &to);

    if (st == CORNU_OK) needed = cn_alloc_zero((size_t)g->count + 1, sizeof *needed);
    if (st == CORNU_OK && !needed) st = CN_NO_MEMORY(g->count);
    for (int i = 0; st == CORNU_OK && i < g->output_count; i++) needed[g->outputs[i]] = true;
    for (int i = g->count - 1; st == CORNU_OK && i >= 0; i--) {
        for (int k = 0; needed[i] && k < g->nodes[i].input_count; k++) {
            if (g->nodes[i].inputs[k] != CN_NONE) needed[g->nodes[i].inputs[k]] = true;
        }
    }
    for (int i = 0; st == CORNU_OK && i < g->count; i++) {
        if (needed[i] || g->nodes[i].op == CN_OP_input) r.map[i] = cn_rewrite_copy(&r, i);
        st = cn_graph_status(&to);
    }
    if (st == CORNU_OK) {
        st = cn_rewrite_end(&r);
    } else {
        (void)cn_graph_failed(&to, st);
        (void)cn_rewrite_end(&r);
    }
    if (st == CORNU_OK) {
        cn_graph_deinit(g);
        *g = to;
    } else {
        cn_graph_deinit(&to);
    }
    cn_free(needed);
    return st;
}
