/* Building graphs. Invariant: value i is made by node i, and every input of node i is below i. */
#include "graph/graph.h"

#include <string.h>

#include "base/size.h"

void cn_graph_init(cn_graph* g) {
    memset(g, 0, sizeof *g);
    g->label = "";
}

void cn_graph_deinit(cn_graph* g) {
    cn_arena_deinit(&g->arena);
    cn_free(g->nodes);
    cn_free(g->types);
    cn_free(g->outputs);
    memset(g, 0, sizeof *g);
}

cn_id cn_graph_failed(cn_graph* g, cornu_status status) {
    if (g->status == CORNU_OK) g->status = status;
    return CN_NONE;
}

static cornu_status reserve(cn_graph* g) {
    int capacity = g->capacity ? g->capacity * 2 : 64;
    cn_node* nodes;
    cn_type* types;

    if (g->count < g->capacity) return CORNU_OK;
    nodes = cn_realloc(g->nodes, (size_t)capacity * sizeof *nodes);
    if (!nodes) return CN_NO_MEMORY((size_t)capacity * sizeof *nodes);
    g->nodes = nodes;
    types = cn_realloc(g->types, (size_t)capacity * sizeof *types);
    if (!types) return CN_NO_MEMORY((size_t)capacity * sizeof *types);
    g->types = types;
    g->capacity = capacity;
    return CORNU_OK;
}

/* Refuses a value that is too large before anything of its size is allocated. */
static cornu_status check_size(const cn_graph* g, const cn_type* type) {
    char text[256];
    int64_t count;
    uint64_t limit = g->max_elements ? g->max_elements : (uint64_t)INT64_MAX / 16;

    if (!cn_dims_count(type->dims, type->ndim, &count) || (uint64_t)count > limit) {
        return CN_FAIL(NO_MEMORY, "a tensor of %s has more elements than the limit of %llu", cn_type_text(type, text),
                       (unsigned long long)limit);
    }
    return CORNU_OK;
}

static cn_id append(cn_graph* g, cn_op op, const cn_id* inputs, int input_count, const cn_attr* attr,
                    const cn_type* type) {
    cornu_status st = check_size(g, type);
    cn_node* node;

    if (st == CORNU_OK) st = reserve(g);
    if (st != CORNU_OK) return cn_graph_failed(g, st);
    node = &g->nodes[g->count];
    memset(node, 0, sizeof *node);
    node->op = op;
    node->input_count = input_count;
    node->inputs = cn_arena_array(&g->arena, (size_t)input_count, sizeof *node->inputs);
    if (!node->inputs) return cn_graph_failed(g, CN_NO_MEMORY((size_t)input_count * sizeof *node->inputs));
    if (input_count) memcpy(node->inputs, inputs, (size_t)input_count * sizeof *inputs);
    if (attr) node->attr = *attr;
    if (op == CN_OP_fused) {
        cn_fused_op* ops = cn_arena_array(&g->arena, (size_t)attr->fused.count, sizeof *ops);
        if (!ops) return cn_graph_failed(g, CN_NO_MEMORY((size_t)attr->fused.count * sizeof *ops));
        memcpy(ops, attr->fused.ops, (size_t)attr->fused.count * sizeof *ops);
        node->attr.fused.ops = ops;
    }
    node->output = g->count;
    node->label = g->label;
    g->types[g->count] = *type;
    return g->count++;
}

cn_id cn_graph_add(cn_graph* g, cn_op op, const cn_id* inputs, int input_count, const cn_attr* attr) {
    const cn_op_info* info = cn_op_info_of(op);
    const cn_type* stack[8];
    const cn_type** in = stack;
    cn_attr none;
    cn_type type;
    cornu_status st;

    if (g->status != CORNU_OK) return CN_NONE;
    for (int i = 0; i < info->min_inputs && i < input_count; i++) {
        if (inputs[i] == CN_NONE) return cn_graph_failed(g, CN_FAIL(BAD_ARGUMENT, "op %s: input %d is missing", info->name, i));
    }
    if (input_count > 8) {
        in = cn_arena_array(&g->arena, (size_t)input_count, sizeof *in);
        if (!in) return cn_graph_failed(g, CN_NO_MEMORY((size_t)input_count * sizeof *in));
    }
    for (int i = 0; i < input_count; i++) in[i] = inputs[i] == CN_NONE ? NULL : &g->types[inputs[i]];
    memset(&none, 0, sizeof none);
    memset(&type, 0, sizeof type);
    st = cn_infer(op, attr ? attr : &none, in, input_count, &type);
    if (st != CORNU_OK) return cn_graph_failed(g, st);
    return append(g, op, inputs, input_count, attr ? attr : &none, &type);
}

cn_id cn_graph_input(cn_graph* g, const cn_type* type, const char* name) {
    cn_attr attr = {.port = {g->input_count, NULL}};

    if (g->status != CORNU_OK) return CN_NONE;
    attr.port.name = cn_arena_strdup(&g->arena, name);
    if (!attr.port.name) return cn_graph_failed(g, CN_NO_MEMORY(strlen(name)));
    g->input_count++;
    return append(g, CN_OP_input, NULL, 0, &attr, type);
}

cn_id cn_graph_variable(cn_graph* g, const cn_type* type, int slot, const char* name) {
    cn_attr attr = {.variable = {slot, NULL}};

    if (g->status != CORNU_OK) return CN_NONE;
    for (int i = 0; i < g->count; i++) {
        if (g->nodes[i].op == CN_OP_variable && g->nodes[i].attr.variable.slot == slot) return i;
    }
    attr.variable.name = cn_arena_strdup(&g->arena, name);
    if (!attr.variable.name) return cn_graph_failed(g, CN_NO_MEMORY(strlen(name)));
    return append(g, CN_OP_variable, NULL, 0, &attr, type);
}

cn_id cn_graph_constant(cn_graph* g, const cn_type* type, const void* data) {
    uint64_t bytes = cn_type_bytes(type);
    cn_attr attr;
    void* copy;

    if (g->status != CORNU_OK) return CN_NONE;
    if (check_size(g, type) != CORNU_OK) return cn_graph_failed(g, CORNU_NO_MEMORY);
    copy = cn_arena_alloc(&g->arena, bytes);
    if (!copy) return cn_graph_failed(g, CN_NO_MEMORY(bytes));
    if (bytes) memcpy(copy, data, bytes);
    memset(&attr, 0, sizeof attr);
    attr.constant.data = copy;
    return append(g, CN_OP_constant, NULL, 0, &attr, type);
}

void cn_graph_output(cn_graph* g, cn_id v) {
    if (g->status != CORNU_OK) return;
    if (g->output_count == g->output_capacity) {
        int capacity = g->output_capacity ? g->output_capacity * 2 : 8;
        cn_id* outputs = cn_realloc(g->outputs, (size_t)capacity * sizeof *outputs);
        if (!outputs) {
            (void)cn_graph_failed(g, CN_NO_MEMORY((size_t)capacity * sizeof *outputs));
            return;
        }
        g->outputs = outputs;
        g->output_capacity = capacity;
    }
    g->outputs[g->output_count++] = v;
}
