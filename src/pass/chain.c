/* Elementwise nodes whose intermediate values nobody else reads become one node with a small program. Values of the program: its
 * inputs first, then one an op; the last is the result. */
#include <string.h>

#include "pass/passes.h"

typedef struct chain {
    cn_fused_op ops[CN_FUSED_OPS];
    int count;
    cn_id inputs[CN_FUSED_INPUTS];
    int input_count;
} chain;

static bool can_chain(const cn_rewrite* r, const cn_node* node) {
    const cn_ew_info* info;

    if (node->op != CN_OP_ew || r->from->types[node->output].dtype != CORNU_FLOAT32) return false;
    info = cn_ew_info_of(node->attr.ew.fn);
    return !info->bool_result && info->arity < 3;
}

/* Number of a new value among the inputs of the program, -1 when there is no room. */
static int input_of(chain* c, cn_id v) {
    for (int k = 0; k < c->input_count; k++) {
        if (c->inputs[k] == v) return k;
    }
    if (c->input_count == CN_FUSED_INPUTS) return -1;
    c->inputs[c->input_count] = v;
    return c->input_count++;
}

/* Operands are kept as input k, or CN_FUSED_INPUTS + op number, until the number of inputs is known. */
static bool append(chain* c, const cn_act* act, int a, int b) {
    if (c->count == CN_FUSED_OPS || a < 0 || b < 0) return false;
    c->ops[c->count++] = (cn_fused_op){*act, {a, b}};
    return true;
}

/* Appends the program behind a new fused or ew value; *result is its operand number. */
static bool inline_value(chain* c, const cn_graph* g, cn_id v, int* result) {
    const cn_node* node = &g->nodes[v];
    int base = c->count, inputs[CN_FUSED_INPUTS] = {0};

    for (int k = 0; k < node->input_count; k++) {
        inputs[k] = input_of(c, node->inputs[k]);
        if (inputs[k] < 0) return false;
    }
    if (node->op == CN_OP_ew) {
        if (!append(c, &node->attr.ew, inputs[0], node->input_count > 1 ? inputs[1] : 0)) return false;
    } else {
        for (int i = 0; i < node->attr.fused.count; i++) {
            const cn_fused_op* op = &node->attr.fused.ops[i];
            int arg[2];
            for (int k = 0; k < 2; k++) arg[k] = op->arg[k] < node->input_count ? inputs[op->arg[k]] : op->arg[k] - node->input_count + base + CN_FUSED_INPUTS;
            if (!append(c, &op->act, arg[0], arg[1])) return false;
        }
    }
    *result = CN_FUSED_INPUTS + c->count - 1;
    return true;
}

static cn_id chain_node(cn_rewrite* r, int i) {
    const cn_node* node = &r->from->nodes[i];
    chain c = {.count = 0};
    int arg[2] = {0, 0};
    cn_attr attr;

    if (!can_chain(r, node)) return CN_NONE;
    for (int k = 0; k < node->input_count; k++) {
        cn_id old = node->inputs[k], v = r->map[old];
        const cn_node* made = &r->to->nodes[v];
        bool inside = r->uses[old] == 1 && (made->op == CN_OP_fused || (made->op == CN_OP_ew && can_chain(r, &r->from->nodes[old])));
        chain before = c;
        inside = inside && cn_type_equal(&r->to->types[v], &r->from->types[i]) && !cn_rewrite_constant(r, v);
        if (inside && inline_value(&c, r->to, v, &arg[k])) continue;
        c = before;
        arg[k] = input_of(&c, v);
    }
    if (c.count == 0 || !append(&c, &node->attr.ew, arg[0], arg[1])) return CN_NONE;
    for (int k = 0; k < c.count; k++) {
        for (int j = 0; j < 2; j++) {
            if (c.ops[k].arg[j] >= CN_FUSED_INPUTS) c.ops[k].arg[j] += c.input_count - CN_FUSED_INPUTS;
        }
    }
    memset(&attr, 0, sizeof attr);
    attr.fused = (cn_fused_attr){c.count, c.ops};
    return cn_graph_add(r->to, CN_OP_fused, c.inputs, c.input_count, &attr);
}

cornu_status cn_pass_chain(cn_graph* g) { return cn_pass_rewrite(g, chain_node); }
