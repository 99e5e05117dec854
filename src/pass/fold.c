/* Constant vectors behind a product move into its weights and bias:
 *
 *     (x * W + b) + v       ->  x * W + (b + v)
 *     (x * W + b) v         ->  x * (W v) + b v
 *     batch_norm(x * W + b) ->  x * (W s) + (b s + t),  s = gamma / sqrt(var + eps), t = beta - mean s
 *     batch_norm(x)         ->  x s + t, where there is no product
 *
 * The new weights are expressions of the variables. Vectors are float64 until the end; the weights, which may be large, are multiplied in
 * their own dtype. A product that others read too is left alone. */
#include <string.h>

#include "base/dtype.h"
#include "pass/passes.h"

/* What a foldable product is made of; act and residual must be absent. */
typedef struct product {
    cn_node node; /* in the new graph; a copy, since nodes move when the graph grows */
    cn_id value;
    int64_t channels;
    int channel_axis; /* of the weights */
} product;

/* Whether new value v, whose old value is `old`, is a product that nothing else reads. */
static bool find_product(cn_rewrite* r, cn_id old, product* p) {
    const cn_graph* g = r->to;
    cn_id v = r->map[old];
    const cn_node* node = &g->nodes[v];
    const cn_type* w;

    if (r->uses[old] != 1 || (node->op != CN_OP_matmul && node->op != CN_OP_conv && node->op != CN_OP_conv_transpose)) return false;
    if ((node->op == CN_OP_matmul ? node->attr.matmul.act.fn : node->attr.conv.act.fn) != CN_EW_copy) return false;
    if (node->input_count > 3 && node->inputs[3] != CN_NONE) return false;
    if (!cn_rewrite_constant(r, node->inputs[1])) return false;
    if (node->input_count > 2 && node->inputs[2] != CN_NONE && !cn_rewrite_constant(r, node->inputs[2])) return false;
    w = &g->types[node->inputs[1]];
    if (w->dtype != CORNU_FLOAT32 && w->dtype != CORNU_FLOAT64) return false;
    *p = (product){*node, v, g->types[v].dims[g->types[v].ndim - 1], w->ndim - 1};
    if (node->op == CN_OP_conv_transpose || (node->op == CN_OP_matmul && node->attr.matmul.transpose_b)) p->channel_axis--;
    return true;
}

/* Whether new constant v is one number, or one a channel along the last axis of the product's result. */
static bool is_channel_vector(cn_rewrite* r, cn_id v, const product* p, bool* scalar) {
    const cn_type* t = &r->to->types[v];
    int64_t count = cn_type_count(t);

    *scalar = count == 1;
    if (!cn_rewrite_constant(r, v) || t->ndim > r->to->types[p->value].ndim) return false;
    return count == 1 || (count == p->channels && t->dims[t->ndim - 1] == count);
}

static cn_id wide(cn_graph* g, cn_id v) { return cn_graph_cast(g, v, CORNU_FLOAT64); }

/* v as a float64 vector of one element a channel. */
static cn_id wide_vector(cn_graph* g, cn_id v, int64_t channels) {
    int64_t one = 1;
    if (v == CN_NONE) return CN_NONE;
    if (cn_type_count(&g->types[v]) == channels) return wide(g, cn_graph_reshape(g, v, 1, &channels));
    return cn_graph_broadcast(g, wide(g, cn_graph_reshape(g, v, 1, &one)), 1, &channels);
}

/* The product with weights times scale and bias times scale plus shift; scale or shift may be CN_NONE. */
static cn_id rebuild(cn_rewrite* r, const product* p, cn_id scale, cn_id shift) {
    cn_graph* g = r->to;
    cn_node node = p->node;
    cn_id in[3] = {node.inputs[0], node.inputs[1], node.input_count > 2 ? node.inputs[2] : CN_NONE};
    cornu_dtype dtype = g->types[in[1]].dtype;
    int ndim = g->types[in[1]].ndim;
    int64_t dims[CORNU_MAX_DIMS];

    if (scale != CN_NONE) {
        for (int i = 0; i < ndim; i++) dims[i] = i == p->channel_axis ? p->channels : 1;
        in[1] = cn_graph_ew2(g, CN_EW_mul, in[1], cn_graph_reshape(g, cn_graph_cast(g, scale, dtype), ndim, dims));
    }
    if (in[2] != CN_NONE) {
        in[2] = wide_vector(g, in[2], p->channels);
        if (scale != CN_NONE) in[2] = cn_graph_ew2(g, CN_EW_mul, in[2], scale);
        if (shift != CN_NONE) in[2] = cn_graph_ew2(g, CN_EW_add, in[2], shift);
    } else {
        in[2] = shift;
    }
    if (in[2] != CN_NONE) in[2] = cn_graph_cast(g, in[2], dtype);
    return cn_graph_add(g, node.op, in, in[2] == CN_NONE ? 2 : 3, &node.attr);
}

/* A bias of the product's own dtype needs no way through float64. */
static cn_id add_first_bias(cn_rewrite* r, const product* p, cn_id v) {
    cn_graph* g = r->to;
    cn_node node = p->node;
    cn_id in[3] = {node.inputs[0], node.inputs[1], CN_NONE};

    in[2] = cn_graph_reshape(g, v, 1, &p->channels);
    return cn_graph_add(g, node.op, in, 3, &node.attr);
}

/* add, sub or mul of a product and a constant. */
static cn_id fold_pair(cn_rewrite* r, const cn_node* node, int i) {
    cn_graph* g = r->to;
    cn_ew fn = node->attr.ew.fn;
    cn_id vector, y;
    product p;
    bool scalar;

    for (int k = 0; k < (fn == CN_EW_sub ? 1 : 2); k++) {
        if (!find_product(r, node->inputs[k], &p)) continue;
        vector = r->map[node->inputs[1 - k]];
        if (!is_channel_vector(r, vector, &p, &scalar) || !cn_type_equal(&r->from->types[i], &g->types[p.value])) continue;
        if (fn == CN_EW_add && !scalar && (p.node.input_count < 3 || p.node.inputs[2] == CN_NONE)) return add_first_bias(r, &p, vector);
        y = wide_vector(g, vector, p.channels);
        if (fn == CN_EW_sub) y = cn_graph_ew1(g, CN_EW_neg, y);
        return fn == CN_EW_mul ? rebuild(r, &p, y, CN_NONE) : rebuild(r, &p, CN_NONE, y);
    }
    return CN_NONE;
}

static cn_id fold_batch_norm(cn_rewrite* r, const cn_node* node, int i) {
    cn_graph* g = r->to;
    const cn_type* type = &r->from->types[i];
    int axis = __builtin_ctz(node->attr.norm.axes);
    int64_t channels = type->dims[axis], dims[CORNU_MAX_DIMS];
    cn_id v[5] = {CN_NONE, CN_NONE, CN_NONE, CN_NONE, CN_NONE}, scale, shift, y;
    product p;

    if (type->dtype != CORNU_FLOAT32 && type->dtype != CORNU_FLOAT64) return CN_NONE;
    for (int k = 1; k < node->input_count; k++) {
        if (node->inputs[k] == CN_NONE) continue;
        v[k] = r->map[node->inputs[k]];
        if (!cn_rewrite_constant(r, v[k])) return CN_NONE;
    }
    scale = cn_graph_ew2(g, CN_EW_add, wide_vector(g, v[2], channels), cn_graph_scalar(g, CORNU_FLOAT64, node->attr.norm.epsilon));
    scale = cn_graph_ew1(g, CN_EW_rsqrt, scale);
    if (v[3] != CN_NONE) scale = cn_graph_ew2(g, CN_EW_mul, scale, wide_vector(g, v[3], channels));
    shift = cn_graph_ew1(g, CN_EW_neg, cn_graph_ew2(g, CN_EW_mul, wide_vector(g, v[1], channels), scale));
    if (v[4] != CN_NONE) shift = cn_graph_ew2(g, CN_EW_add, shift, wide_vector(g, v[4], channels));
    if (cn_graph_status(g) != CORNU_OK) return CN_NONE;
    if (axis == type->ndim - 1 && find_product(r, node->inputs[0], &p)) return rebuild(r, &p, scale, shift);
    for (int k = axis; k < type->ndim; k++) dims[k - axis] = k == axis ? channels : 1;
    scale = cn_graph_reshape(g, cn_graph_cast(g, scale, type->dtype), type->ndim - axis, dims);
    shift = cn_graph_reshape(g, cn_graph_cast(g, shift, type->dtype), type->ndim - axis, dims);
    y = cn_graph_ew2(g, CN_EW_mul, r->map[node->inputs[0]], scale);
    return cn_graph_ew2(g, CN_EW_add, y, shift);
}

static cn_id fold(cn_rewrite* r, int i) {
    const cn_node* node = &r->from->nodes[i];

    if (node->op == CN_OP_batch_norm) return fold_batch_norm(r, node, i);
    if (node->op != CN_OP_ew || node->input_count != 2) return CN_NONE;
    if (node->attr.ew.fn != CN_EW_add && node->attr.ew.fn != CN_EW_sub && node->attr.ew.fn != CN_EW_mul) return CN_NONE;
    return fold_pair(r, node, i);
}

cornu_status cn_pass_fold(cn_graph* g) { return cn_pass_rewrite(g, fold); }
