/* A sum that a norm alone reads:
 *
 *     layer_norm(x + y, gamma, beta)   ->  layer_norm(x, gamma, beta, residual y)
 *     rms_norm(x + y, gamma)           ->  rms_norm(x, gamma, none, residual y)
 *
 * After fuse: a product that can take the residual spares more. Where others read the sum too, as in blocks that
 * normalise first, it has to be written anyway and stays. */
#include "pass/passes.h"

static cn_id join(cn_rewrite* r, int i) {
    const cn_node* node = &r->from->nodes[i];
    cn_id in[4] = {CN_NONE, CN_NONE, CN_NONE, CN_NONE};
    cn_node sum;

    if (node->op != CN_OP_layer_norm && node->op != CN_OP_rms_norm) return CN_NONE;
    if (node->input_count > 3 || r->uses[node->inputs[0]] != 1) return CN_NONE;
    sum = r->to->nodes[r->map[node->inputs[0]]];
    if (sum.op != CN_OP_ew || sum.attr.ew.fn != CN_EW_add) return CN_NONE;
    for (int k = 0; k < 2; k++) { /* nothing is broadcast, and a constant is not read like a tensor */
        if (!cn_type_equal(&r->to->types[sum.inputs[k]], &r->from->types[i])) return CN_NONE;
        if (cn_rewrite_constant(r, sum.inputs[k])) return CN_NONE;
    }
    for (int k = 1; k < node->input_count; k++) in[k] = node->inputs[k] == CN_NONE ? CN_NONE : r->map[node->inputs[k]];
    in[0] = sum.inputs[0];
    in[3] = sum.inputs[1];
    return cn_graph_add(r->to, node->op, in, 4, &node->attr);
}

cornu_status cn_pass_join(cn_graph* g) { return cn_pass_rewrite(g, join); }
