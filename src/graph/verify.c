/* The verifier: every rule of a graph checked anew, after lowering and after each pass in debug builds and tests. */
#include "graph/graph.h"

static cornu_status verify_node(const cn_graph* g, int i) {
    const cn_node* node = &g->nodes[i];
    const cn_op_info* info = cn_op_info_of(node->op);
    const cn_type** in = NULL;
    cn_type type = {0};
    cornu_status st = CORNU_OK;

    if (!info) return CN_FAIL(BAD_ARGUMENT, "graph: node %d has no op", i);
    if (node->output != i) return CN_FAIL(BAD_ARGUMENT, "graph: node %d makes value %d", i, node->output);
    in = cn_alloc_zero((size_t)node->input_count + 1, sizeof *in);
    if (!in) return CN_NO_MEMORY(sizeof *in);
    for (int k = 0; k < node->input_count; k++) {
        cn_id v = node->inputs[k];
        if (v == CN_NONE && k >= info->min_inputs) continue;
        if (v < 0 || v >= i) {
            st = CN_FAIL(BAD_ARGUMENT, "graph: node %d (%s) uses value %d before it is made", i, info->name, v);
            goto done;
        }
        in[k] = &g->types[v];
    }
    if (info->attr == CN_ATTR_port || info->attr == CN_ATTR_constant || info->attr == CN_ATTR_variable) goto done;
    CN_STEP(cn_infer(node->op, &node->attr, in, node->input_count, &type));
    if (!cn_type_equal(&type, &g->types[i])) st = CN_FAIL(BAD_ARGUMENT, "graph: node %d (%s) has a wrong type", i, info->name);
done:
    cn_free(in);
    return st;
}

cornu_status cn_graph_verify(const cn_graph* g) {
    if (g->status != CORNU_OK) return g->status;
    for (int i = 0; i < g->count; i++) CN_TRY(verify_node(g, i));
    for (int i = 0; i < g->output_count; i++) {
        if (g->outputs[i] < 0 || g->outputs[i] >= g->count) return CN_FAIL(BAD_ARGUMENT, "graph: output %d is no value", i);
    }
    return CORNU_OK;
}
