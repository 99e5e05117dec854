/* What follows or precedes a matmul, conv or pool and can be done by it:
 *
 *     conv(..) + y                 ->  conv(.., residual y)
 *     act(conv(..))                ->  conv(..) {act}
 *     conv(pad(x, 0)), avoidable pads of pools  ->  conv(x) {pad}
 *
 * A value that others read too stays. */
#include <math.h>
#include <string.h>

#include "base/dtype.h"
#include "pass/passes.h"

static bool is_product(const cn_node* node) { return node->op == CN_OP_matmul || node->op == CN_OP_conv; }

static cn_act* act_of(cn_node* node) { return node->op == CN_OP_matmul ? &node->attr.matmul.act : &node->attr.conv.act; }

/* Whether the new value of `old` is a product without activation that nothing else reads; *node is a copy. */
static bool open_product(const cn_rewrite* r, cn_id old, cn_node* node) {
    if (r->uses[old] != 1) return false;
    *node = r->to->nodes[r->map[old]];
    if (!is_product(node) && node->op != CN_OP_conv_transpose) return false;
    return cn_dtype_is_float(r->to->types[r->map[old]].dtype) && act_of(node)->fn == CN_EW_copy;
}

static cn_id fuse_residual(cn_rewrite* r, const cn_node* node, int i) {
    cn_node product;
    int best = -1;

    for (int k = 0; k < 2; k++) { /* the later of two products: its residual is ready when it runs */
        cn_id other = node->inputs[1 - k];
        if (!open_product(r, node->inputs[k], &product) || !is_product(&product)) continue;
        if (product.input_count > 3 && product.inputs[3] != CN_NONE) continue;
        if (cn_rewrite_constant(r, r->map[other]) || !cn_type_equal(&r->to->types[r->map[other]], &r->from->types[i])) continue;
        if (!cn_type_equal(&r->from->types[node->inputs[k]], &r->from->types[i])) continue;
        if (best < 0 || r->map[node->inputs[k]] > r->map[node->inputs[best]]) best = k;
    }
    if (best < 0) return CN_NONE;
    product = r->to->nodes[r->map[node->inputs[best]]];
    {
        cn_id in[4] = {product.inputs[0], product.inputs[1], product.input_count > 2 ? product.inputs[2] : CN_NONE,
                       r->map[node->inputs[1 - best]]};
        return cn_graph_add(r->to, product.op, in, 4, &product.attr);
    }
}

static cn_id fuse_act(cn_rewrite* r, const cn_node* node) {
    cn_node product;

    if (!open_product(r, node->inputs[0], &product) || cn_ew_info_of(node->attr.ew.fn)->bool_result) return CN_NONE;
    *act_of(&product) = node->attr.ew;
    return cn_graph_add(r->to, product.op, product.inputs, product.input_count, &product.attr);
}

/* Whether old node i's input is a pad of spatial axes alone with the given value, that nothing else reads; in the new graph. */
static bool spatial_pad(const cn_rewrite* r, const cn_node* node, int spatial, double value, cn_node* pad) {
    if (r->uses[node->inputs[0]] != 1) return false;
    *pad = r->to->nodes[r->map[node->inputs[0]]];
    if (pad->op != CN_OP_pad || pad->attr.pad.mode != CN_PAD_CONSTANT) return false;
    if (pad->attr.pad.value != value) return false;
    return pad->attr.pad.low[0] == 0 && pad->attr.pad.high[0] == 0 && pad->attr.pad.low[spatial + 1] == 0 && pad->attr.pad.high[spatial + 1] == 0;
}

static cn_id fuse_conv_pad(cn_rewrite* r, const cn_node* node) {
    cn_attr attr = node->attr;
    cn_id in[4] = {CN_NONE, CN_NONE, CN_NONE, CN_NONE};
    cn_node pad;

    if (!spatial_pad(r, node, attr.conv.spatial, 0, &pad)) return CN_NONE;
    for (int i = 0; i < attr.conv.spatial; i++) {
        if (attr.conv.pad_lo[i] < 0 || attr.conv.pad_hi[i] < 0) return CN_NONE;
        attr.conv.pad_lo[i] += pad.attr.pad.low[i + 1];
        attr.conv.pad_hi[i] += pad.attr.pad.high[i + 1];
    }
    for (int k = 0; k < node->input_count; k++) in[k] = node->inputs[k] == CN_NONE ? CN_NONE : r->map[node->inputs[k]];
    in[0] = pad.inputs[0];
    return cn_graph_add(r->to, CN_OP_conv, in, node->input_count, &attr);
}

/* A pool's own padding counts as the lowest value, so zeros may take its place only before values that are not negative, and where
 * every window keeps a cell. */
static cn_id fuse_pool_pad(cn_rewrite* r, const cn_node* node) {
    cn_attr attr = node->attr;
    const cn_node* source;
    cn_node pad;

    if (attr.pool.kind != CN_POOL_MAX || !spatial_pad(r, node, attr.pool.spatial, 0, &pad)) return CN_NONE;
    source = &r->to->nodes[pad.inputs[0]];
    if (source->op != CN_OP_ew || (source->attr.ew.fn != CN_EW_relu && source->attr.ew.fn != CN_EW_relu6)) {
        cn_node copy = *source;
        if (!is_product(source) || (act_of(&copy)->fn != CN_EW_relu && act_of(&copy)->fn != CN_EW_relu6)) return CN_NONE;
    }
    for (int i = 0; i < attr.pool.spatial; i++) {
        int64_t n = r->to->types[pad.inputs[0]].dims[i + 1];
        if (attr.pool.pad_lo[i] != 0 || attr.pool.pad_hi[i] != 0) return CN_NONE;
        attr.pool.pad_lo[i] = pad.attr.pad.low[i + 1];
        attr.pool.pad_hi[i] = pad.attr.pad.high[i + 1];
        if (attr.pool.pad_lo[i] >= attr.pool.window[i] || attr.pool.pad_hi[i] >= attr.pool.window[i] || n < 1) return CN_NONE;
        if ((r->from->types[node->output].dims[i + 1] - 1) * attr.pool.strides[i] >= attr.pool.pad_lo[i] + n) return CN_NONE;
    }
    return cn_graph_add(r->to, CN_OP_pool, &pad.inputs[0], 1, &attr);
}

static cn_id fuse(cn_rewrite* r, int i) {
    const cn_node* node = &r->from->nodes[i];

    if (node->op == CN_OP_conv) return fuse_conv_pad(r, node);
    if (node->op == CN_OP_pool) return fuse_pool_pad(r, node);
    if (node->op != CN_OP_ew) return CN_NONE;
    if (node->input_count == 1) return fuse_act(r, node);
    if (node->attr.ew.fn == CN_EW_add) return fuse_residual(r, node, i);
    return CN_NONE;
}

cornu_status cn_pass_fuse(cn_graph* g) { return cn_pass_rewrite(g, fuse); }
