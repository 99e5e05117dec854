/* What does nothing, or is there twice:
 *
 *     cast to the same dtype, reshape of reshape, transpose of transpose    one of them, or none
 *     f(transpose(x), ..)     ->  transpose(f(x, ..)): transposes sink through whatever treats axes alike, until two meet and cancel
 *     equal expressions of constants and variables                          one */
#include <string.h>

#include "base/dtype.h"
#include "pass/passes.h"

static const cn_node* made_by(const cn_rewrite* r, cn_id v) { return &r->to->nodes[v]; }

static bool is_transpose(const cn_rewrite* r, cn_id v) { return made_by(r, v)->op == CN_OP_transpose && !r->to->nodes[v].attr.perm.perm[0]; }

/* x of a new value transpose(x); perm is its permutation. Transposes that move axis 0 are left where they are. */
static cn_id below(const cn_rewrite* r, cn_id v, const int** perm) {
    *perm = made_by(r, v)->attr.perm.perm;
    return made_by(r, v)->inputs[0];
}

static bool same_perm(const int* a, const int* b, int n) { return memcmp(a, b, (size_t)n * sizeof *a) == 0; }

static cn_id clean_transpose(cn_rewrite* r, const cn_node* node) {
    cn_id x = r->map[node->inputs[0]];
    int perm[CORNU_MAX_DIMS];
    const cn_node* inner = made_by(r, x);

    if (inner->op != CN_OP_transpose) return CN_NONE;
    for (int i = 0; i < r->to->types[x].ndim; i++) perm[i] = inner->attr.perm.perm[node->attr.perm.perm[i]];
    return cn_graph_transpose(r->to, inner->inputs[0], perm);
}

static cn_id clean_reshape(cn_rewrite* r, const cn_node* node) {
    cn_id x = r->map[node->inputs[0]];

    if (made_by(r, x)->op == CN_OP_reshape) x = made_by(r, x)->inputs[0];
    else if (!cn_type_equal(&r->to->types[x], &r->from->types[node->output])) return CN_NONE;
    return cn_graph_reshape(r->to, x, node->attr.shape.ndim, node->attr.shape.dims);
}

/* A constant operand seen through the inverse of perm: axes of size 1 are put in front first. */
static cn_id constant_below(cn_rewrite* r, cn_id v, const int* perm, int ndim) {
    const cn_type* t = &r->to->types[v];
    int64_t dims[CORNU_MAX_DIMS];
    int inverse[CORNU_MAX_DIMS];

    if (cn_type_count(t) == 1 && t->ndim <= ndim) return v;
    for (int i = 0; i < ndim; i++) {
        dims[i] = i < ndim - t->ndim ? 1 : t->dims[i - (ndim - t->ndim)];
        inverse[perm[i]] = i;
    }
    return cn_graph_transpose(r->to, cn_graph_reshape(r->to, v, ndim, dims), inverse);
}

/* f(transpose(x), transpose(y), constant) -> transpose(f(x, y, constant')). */
static cn_id sink_elementwise(cn_rewrite* r, const cn_node* node) {
    cn_id in[8];
    int perm[CORNU_MAX_DIMS], ndim = r->from->types[node->output].ndim;
    bool found = false;
    cn_id y;

    if (node->input_count > 8) return CN_NONE;
    for (int k = 0; k < node->input_count; k++) {
        cn_id v = r->map[node->inputs[k]];
        const int* p;
        if (!is_transpose(r, v) || cn_rewrite_constant(r, v) || r->to->types[v].ndim != ndim) continue;
        (void)below(r, v, &p);
        if (!found) memcpy(perm, p, sizeof perm);
        found = true;
        if (!same_perm(p, perm, ndim)) return CN_NONE;
    }
    if (!found) return CN_NONE;
    for (int k = 0; k < node->input_count; k++) {
        cn_id v = r->map[node->inputs[k]];
        const int* p;
        if (cn_rewrite_constant(r, v)) in[k] = constant_below(r, v, perm, ndim);
        else if (is_transpose(r, v) && r->to->types[v].ndim == ndim) in[k] = below(r, v, &p);
        else return CN_NONE;
    }
    y = cn_graph_add(r->to, node->op, in, node->input_count, &node->attr);
    return cn_graph_transpose(r->to, y, perm);
}

static cn_id sink_batch_norm(cn_rewrite* r, const cn_node* node) {
    cn_id v = r->map[node->inputs[0]], in[5];
    cn_attr attr = node->attr;
    int perm[CORNU_MAX_DIMS];
    const int* p;

    if (!is_transpose(r, v)) return CN_NONE;
    for (int k = 1; k < node->input_count; k++) in[k] = node->inputs[k] == CN_NONE ? CN_NONE : r->map[node->inputs[k]];
    in[0] = below(r, v, &p);
    memcpy(perm, p, sizeof perm);
    attr.norm.axes = 1u << perm[__builtin_ctz(node->attr.norm.axes)];
    return cn_graph_transpose(r->to, cn_graph_add(r->to, CN_OP_batch_norm, in, node->input_count, &attr), perm);
}

/* reduce(transpose(x)): the axes of x, if those that stay keep their order. */
static cn_id sink_reduce(cn_rewrite* r, const cn_node* node) {
    cn_id v = r->map[node->inputs[0]], x;
    int ndim = r->to->types[v].ndim, last = -1;
    uint32_t axes = 0;
    const int* perm;

    if (!is_transpose(r, v) || node->attr.reduce.keepdims) return CN_NONE;
    x = below(r, v, &perm);
    for (int i = 0; i < ndim; i++) {
        if (node->attr.reduce.axes >> i & 1) {
            axes |= 1u << perm[i];
        } else {
            if (perm[i] < last) return CN_NONE;
            last = perm[i];
        }
    }
    return cn_graph_reduce(r->to, x, node->attr.reduce.kind, axes, false);
}

static cn_id sink_concat(cn_rewrite* r, const cn_node* node) {
    int perm[CORNU_MAX_DIMS], ndim = r->from->types[node->output].ndim;
    cn_id* in;
    const int* p;

    for (int k = 0; k < node->input_count; k++) {
        cn_id v = r->map[node->inputs[k]];
        if (!is_transpose(r, v)) return CN_NONE;
        (void)below(r, v, &p);
        if (k == 0) memcpy(perm, p, sizeof perm);
        if (!same_perm(p, perm, ndim)) return CN_NONE;
    }
    in = cn_arena_array(&r->to->arena, (size_t)node->input_count, sizeof *in);
    if (!in) return cn_graph_failed(r->to, CN_NO_MEMORY((size_t)node->input_count * sizeof *in));
    for (int k = 0; k < node->input_count; k++) in[k] = below(r, r->map[node->inputs[k]], &p);
    return cn_graph_transpose(r->to, cn_graph_concat(r->to, in, node->input_count, perm[node->attr.axis.axis]), perm);
}

static cn_id sink_pad(cn_rewrite* r, const cn_node* node) {
    cn_id v = r->map[node->inputs[0]], x;
    cn_attr attr = node->attr;
    int perm[CORNU_MAX_DIMS];
    const int* p;

    if (!is_transpose(r, v)) return CN_NONE;
    x = below(r, v, &p);
    memcpy(perm, p, sizeof perm);
    for (int i = 0; i < r->to->types[v].ndim; i++) {
        attr.pad.low[perm[i]] = node->attr.pad.low[i];
        attr.pad.high[perm[i]] = node->attr.pad.high[i];
    }
    return cn_graph_transpose(r->to, cn_graph_add(r->to, CN_OP_pad, &x, 1, &attr), perm);
}

/* An equal constant expression among the last ones, or CN_NONE. Bounded, so that the pass stays linear. */
static cn_id find_equal(cn_rewrite* r, const cn_node* node) {
    const cn_graph* g = r->to;
    int first = g->count > 256 ? g->count - 256 : 0;

    for (int k = 0; k < node->input_count; k++) {
        if (node->inputs[k] != CN_NONE && !cn_rewrite_constant(r, r->map[node->inputs[k]])) return CN_NONE;
    }
    for (cn_id v = g->count - 1; v >= first; v--) {
        const cn_node* other = &g->nodes[v];
        bool equal = other->op == node->op && other->input_count == node->input_count && node->input_count > 0;
        for (int k = 0; equal && k < node->input_count; k++) {
            equal = other->inputs[k] == (node->inputs[k] == CN_NONE ? CN_NONE : r->map[node->inputs[k]]);
        }
        if (equal && node->op != CN_OP_fused && memcmp(&other->attr, &node->attr, sizeof node->attr) == 0) return v;
    }
    return CN_NONE;
}

static cn_id clean(cn_rewrite* r, int i) {
    const cn_node* node = &r->from->nodes[i];
    cn_id same;

    if (node->input_count == 0) return CN_NONE;
    same = find_equal(r, node);
    if (same != CN_NONE) return same;
    switch (node->op) {
        case CN_OP_cast: return r->from->types[i].dtype == r->from->types[node->inputs[0]].dtype ? r->map[node->inputs[0]] : sink_elementwise(r, node);
        case CN_OP_reshape: return clean_reshape(r, node);
        case CN_OP_transpose: return clean_transpose(r, node);
        case CN_OP_ew: return node->attr.ew.fn == CN_EW_copy ? r->map[node->inputs[0]] : sink_elementwise(r, node);
        case CN_OP_batch_norm: return sink_batch_norm(r, node);
        case CN_OP_reduce: return sink_reduce(r, node);
        case CN_OP_concat: return sink_concat(r, node);
        case CN_OP_pad: return sink_pad(r, node);
        default: return CN_NONE;
    }
}

cornu_status cn_pass_clean(cn_graph* g) { return cn_pass_rewrite(g, clean); }
