/* The table of forms and the walk: primitives are copied, composites become what their function adds. Invariant: the functions add
 * primitives alone, so that one walk is enough. */
#include "graph/decompose.h"

#include <assert.h>
#include <string.h>

#include "base/dtype.h"
#include "graph/decompose_parts.h"
#include "graph/rewrite.h"

typedef struct form {
    bool listed; /* an op without a row has form CN_FORM_KERNEL and fails the completeness test */
    cn_op_form form;
    cn_id (*parts)(cn_parts* p);
} form;

#define PRIMITIVE(op) [CN_OP_##op] = {true, CN_FORM_PRIMITIVE, NULL}
#define COMPOSITE(op, fn) [CN_OP_##op] = {true, CN_FORM_COMPOSITE, fn}
#define KERNEL(op) [CN_OP_##op] = {true, CN_FORM_KERNEL, NULL}

static const form forms[CN_OP_COUNT] = {
    PRIMITIVE(input),
    PRIMITIVE(constant),
    PRIMITIVE(variable),
    PRIMITIVE(ew),
    PRIMITIVE(cast),
    PRIMITIVE(reshape),
    PRIMITIVE(broadcast),
    PRIMITIVE(transpose),
    PRIMITIVE(concat),
    PRIMITIVE(slice),
    PRIMITIVE(pad),
    PRIMITIVE(gather),
    PRIMITIVE(reduce),
    PRIMITIVE(iota),
    PRIMITIVE(random),
    COMPOSITE(matmul, cn_parts_matmul),
    COMPOSITE(arg, cn_parts_arg),
    COMPOSITE(cumulative, cn_parts_cumulative),
    COMPOSITE(conv, cn_parts_conv),
    COMPOSITE(conv_transpose, cn_parts_conv_transpose),
    COMPOSITE(pool, cn_parts_pool),
    COMPOSITE(adaptive_pool, cn_parts_pool),
    COMPOSITE(resize, cn_parts_resize),
    COMPOSITE(softmax, cn_parts_softmax),
    COMPOSITE(log_softmax, cn_parts_softmax),
    COMPOSITE(batch_norm, cn_parts_batch_norm),
    COMPOSITE(layer_norm, cn_parts_axes_norm),
    COMPOSITE(rms_norm, cn_parts_axes_norm),
    COMPOSITE(group_norm, cn_parts_group_norm),
    COMPOSITE(fused, cn_parts_fused),
    COMPOSITE(rnn, cn_parts_rnn),
    COMPOSITE(attention, cn_parts_attention),
    KERNEL(sort),
    KERNEL(scatter),
    KERNEL(linalg),
};

cn_op_form cn_op_form_of(cn_op op) { return (unsigned)op < CN_OP_COUNT && forms[op].listed ? forms[op].form : CN_FORM_KERNEL; }

/* Half types are computed in float32, as the reference computes them in double: between primitives they would lose too much. */
static bool is_half(cornu_dtype dtype) { return cn_dtype_is_float(dtype) && cornu_dtype_size(dtype) < 4; }

static cn_id decompose_node(cn_rewrite* r, int i) {
    const cn_node* node = &r->from->nodes[i];
    cn_parts p = {.g = r->to, .op = node->op, .attr = &node->attr, .n = node->input_count, .type = r->from->types[i]};
    cornu_dtype dtype = p.type.dtype;
    bool half = is_half(dtype);

    assert(p.n <= CN_PARTS_INPUTS);
    cn_rewrite_label(r, i);
    if (cn_type_count(&p.type) == 0) return cn_graph_constant(r->to, &p.type, "");
    if (half) p.type.dtype = CORNU_FLOAT32;
    for (int k = 0; k < p.n; k++) {
        p.in[k] = CN_NONE;
        if (node->inputs[k] == CN_NONE) continue;
        p.in[k] = r->map[node->inputs[k]];
        if (half && r->from->types[node->inputs[k]].dtype == dtype) p.in[k] = cn_graph_cast(r->to, p.in[k], CORNU_FLOAT32);
        if (p.in[k] == CN_NONE) return CN_NONE;
        p.types[k] = r->to->types[p.in[k]];
    }
    return cn_graph_cast(r->to, forms[node->op].parts(&p), dtype);
}

cornu_status cn_graph_decompose(const cn_graph* g, bool (*keep)(void* user, cn_op op), void* user, cn_graph* out) {
    cn_rewrite r;
    cornu_status st = cn_rewrite_begin(&r, g, out);

    for (int i = 0; st == CORNU_OK && i < g->count; i++) {
        cn_op op = g->nodes[i].op;
        bool whole = !cn_decomposes(op) || (keep && keep(user, op));
        r.map[i] = whole ? cn_rewrite_copy(&r, i) : decompose_node(&r, i);
        st = cn_graph_status(out);
    }
    if (st != CORNU_OK) (void)cn_graph_failed(out, st);
    return cn_rewrite_end(&r);
}
