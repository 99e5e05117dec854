/* float32 values become float16 or bfloat16, where that is sound: for devices whose matrix units are made for it.
 *
 *     x [f32] -> cast -> conv(x, cast W) -> fused(..) -> mean -> cast -> matmul, a head -> softmax -> y [f32]
 *                        '------------- half ------------'       '-------- float32 -------'
 *
 * Inputs, outputs, states and variables keep their dtypes; W as half is an expression of the variable, rounded once, after what was folded
 * into it. A value is made half by products and attention, and stays half through what follows them. float32 stay:
 *
 *     what depends on inputs or constants alone, up to the next product (preprocessing, position tables, masks)
 *     recurrences: their state would be rounded at each step
 *     heads: a matmul with up to 16 columns behind which there is no other product; softmax, norms, reductions and elementwise functions
 *         behind the last product
 *     functions whose results grow or shrink out of a half's range or lose their digits in it (exp, pow, log, square, division, ..), sums,
 *         running sums, linear algebra, log_softmax
 *     what an integer or bool is made of: indices and masks are the same as in float32, as long as what goes into them is
 *     what meets a constant that has no finite half (-1e9 of a mask in float16)
 *
 * Softmax, norms, means, attention and elementwise programs take and give half, and are float inside their kernels. Values of other
 * dtypes, the halves and float64 that the model's own dtype policies ask for among them, stay as they are. */
#include <math.h>
#include <string.h>

#include "base/dtype.h"
#include "pass/passes.h"

#define HEAD_COLUMNS 16
#define LARGEST_FLOAT16 65504.0
#define LARGEST_BFLOAT16 3.3895313892515355e38

/* What is known of a value of the old graph. */
enum {
    IS_CONSTANT = 1, /* of variables and constants alone */
    IS_LAST = 2,     /* no product takes it in, directly or through others */
    IS_EXACT = 4,    /* an integer or bool is made of it, with no product between */
    IS_LARGE = 8     /* finite numbers without a finite half may be in it, from constants */
};

typedef struct narrowing {
    cn_rewrite r;
    cornu_dtype half;
    double limit; /* largest finite half */
    unsigned char* facts;
    cn_id* other; /* of each old value: its other form, CN_NONE until made */
} narrowing;

static bool is_wide(const cn_graph* g, cn_id v) { return v != CN_NONE && g->types[v].dtype == CORNU_FLOAT32; }

static bool is_product(cn_op op) { return op == CN_OP_matmul || op == CN_OP_conv || op == CN_OP_conv_transpose || op == CN_OP_attention; }

/* ---- facts ---- */

static void spread_back(narrowing* n, const cn_node* node) {
    const cn_graph* g = n->r.from;
    unsigned char facts = n->facts[node->output];
    bool product = is_product(node->op) || node->op == CN_OP_rnn;
    bool exact = !cn_dtype_is_float(g->types[node->output].dtype) || (facts & IS_EXACT);

    for (int k = 0; k < node->input_count; k++) {
        cn_id v = node->inputs[k];
        if (v == CN_NONE) continue;
        if (product || !(facts & IS_LAST)) n->facts[v] &= (unsigned char)~IS_LAST;
        if (exact && !product) n->facts[v] |= IS_EXACT;
    }
}

static bool is_beyond(const narrowing* n, double v) { return isfinite(v) && fabs(v) > n->limit; }

static bool act_is_large(const narrowing* n, const cn_act* act) { return is_beyond(n, act->p) || is_beyond(n, act->q) || is_beyond(n, act->r); }

/* Whether the node itself brings numbers beyond the limit in. */
static bool brings_large(const narrowing* n, const cn_node* node) {
    const cn_type* type = &n->r.from->types[node->output];
    bool large = false;

    switch (node->op) {
        case CN_OP_constant:
            for (int64_t i = 0; type->dtype == CORNU_FLOAT32 && !large && i < cn_type_count(type); i++) large = is_beyond(n, ((const float*)node->attr.constant.data)[i]);
            return large;
        case CN_OP_iota: return is_beyond(n, node->attr.iota.begin) || is_beyond(n, node->attr.iota.begin + (double)node->attr.iota.count * node->attr.iota.step);
        case CN_OP_pad: return is_beyond(n, node->attr.pad.value);
        case CN_OP_ew: return act_is_large(n, &node->attr.ew);
        case CN_OP_fused:
            for (int i = 0; i < node->attr.fused.count; i++) large = large || act_is_large(n, &node->attr.fused.ops[i].act);
            return large;
        default: return false;
    }
}

/* Whether results are small whatever goes in. */
static bool bounds_results(cn_op op) {
    return is_product(op) || op == CN_OP_rnn || op == CN_OP_softmax || op == CN_OP_layer_norm || op == CN_OP_rms_norm || op == CN_OP_group_norm;
}

static bool has_large_input(const narrowing* n, const cn_node* node) {
    bool large = false;
    for (int k = 0; k < node->input_count; k++) large = large || (node->inputs[k] != CN_NONE && (n->facts[node->inputs[k]] & IS_LARGE));
    return large;
}

static void find_facts(narrowing* n) {
    const cn_graph* g = n->r.from;

    for (int i = 0; i < g->count; i++) {
        const cn_node* node = &g->nodes[i];
        bool constant = node->op != CN_OP_input && node->op != CN_OP_random;
        for (int k = 0; constant && k < node->input_count; k++) constant = node->inputs[k] == CN_NONE || (n->facts[node->inputs[k]] & IS_CONSTANT);
        n->facts[i] = IS_LAST;
        if (constant) n->facts[i] |= IS_CONSTANT;
        if (brings_large(n, node) || (has_large_input(n, node) && !bounds_results(node->op))) n->facts[i] |= IS_LARGE;
    }
    for (int i = g->count - 1; i >= 0; i--) spread_back(n, &g->nodes[i]);
}

/* ---- which nodes become half ---- */

/* Whether f keeps to a half's range and digits as its arguments do. */
static bool is_tame(cn_ew f) {
    switch (f) {
        case CN_EW_copy: case CN_EW_neg: case CN_EW_abs: case CN_EW_sign: case CN_EW_affine: case CN_EW_clip: case CN_EW_relu: case CN_EW_relu6:
        case CN_EW_relu_general: case CN_EW_leaky_relu: case CN_EW_elu: case CN_EW_selu: case CN_EW_celu: case CN_EW_sigmoid: case CN_EW_log_sigmoid:
        case CN_EW_silu: case CN_EW_hard_sigmoid: case CN_EW_hard_silu: case CN_EW_hard_tanh: case CN_EW_gelu: case CN_EW_gelu_tanh: case CN_EW_softplus:
        case CN_EW_softsign: case CN_EW_mish: case CN_EW_tanh: case CN_EW_tanh_shrink: case CN_EW_hard_shrink: case CN_EW_soft_shrink:
        case CN_EW_threshold: case CN_EW_squareplus: case CN_EW_sparse_plus: case CN_EW_sparse_sigmoid: case CN_EW_erf: case CN_EW_erfc:
        case CN_EW_add: case CN_EW_sub: case CN_EW_mul: case CN_EW_max: case CN_EW_min: case CN_EW_prelu: case CN_EW_select: return true;
        default: return false;
    }
}

/* Whether a value that is not constant goes in as half. */
static bool has_half_input(const narrowing* n, const cn_node* node) {
    bool half = false;

    for (int k = 0; k < node->input_count; k++) {
        cn_id v = node->inputs[k];
        half = half || (is_wide(n->r.from, v) && !(n->facts[v] & IS_CONSTANT) && n->r.to->types[n->r.map[v]].dtype == n->half);
    }
    return half;
}

static bool narrows_product(const narrowing* n, const cn_node* node) {
    const cn_type* type = &n->r.from->types[node->output];

    if (node->op == CN_OP_attention) return true;
    if (!is_tame(node->op == CN_OP_matmul ? node->attr.matmul.act.fn : node->attr.conv.act.fn)) return false;
    return node->op != CN_OP_matmul || !(n->facts[node->output] & IS_LAST) || type->dims[type->ndim - 1] > HEAD_COLUMNS;
}

static bool stays_half(const narrowing* n, const cn_node* node) {
    bool last = n->facts[node->output] & IS_LAST;

    switch (node->op) {
        case CN_OP_reshape: case CN_OP_broadcast: case CN_OP_transpose: case CN_OP_concat: case CN_OP_slice: case CN_OP_pad: case CN_OP_gather:
        case CN_OP_pool: case CN_OP_adaptive_pool: case CN_OP_resize: return true;
        case CN_OP_softmax: case CN_OP_layer_norm: case CN_OP_rms_norm: case CN_OP_group_norm: return !last;
        case CN_OP_reduce: return !last && node->attr.reduce.kind != CN_REDUCE_SUM && node->attr.reduce.kind != CN_REDUCE_PROD;
        case CN_OP_ew: return !last && is_tame(node->attr.ew.fn);
        case CN_OP_fused: return !last && is_tame(node->attr.fused.ops[node->attr.fused.count - 1].act.fn);
        default: return false;
    }
}

static bool becomes_half(const narrowing* n, const cn_node* node) {
    unsigned char facts = n->facts[node->output];

    if (!is_wide(n->r.from, node->output) || (facts & (IS_CONSTANT | IS_EXACT | IS_LARGE)) || has_large_input(n, node)) return false;
    if (is_product(node->op)) return narrows_product(n, node);
    return stays_half(n, node) && has_half_input(n, node);
}

/* ---- the new graph ---- */

/* The new value of an old one as half or as float32; values of other dtypes have one form. */
static cn_id form_of(narrowing* n, cn_id old, bool half) {
    cn_graph* to = n->r.to;
    cornu_dtype wanted = half ? n->half : CORNU_FLOAT32;
    cn_id v = n->r.map[old];
    const cn_node* made;

    if (!is_wide(n->r.from, old) || v == CN_NONE || to->types[v].dtype == wanted) return v;
    if (n->other[old] != CN_NONE) return n->other[old];
    made = &to->nodes[v];
    if (half && made->op == CN_OP_cast && to->types[made->inputs[0]].dtype == wanted) v = made->inputs[0]; /* it was that half already */
    else v = cn_graph_cast(to, v, wanted);
    n->other[old] = v;
    return v;
}

static cn_id rebuild(narrowing* n, const cn_node* node, bool half) {
    cn_graph* to = n->r.to;
    cn_id stack[8];
    cn_id* inputs = stack;

    if (node->input_count > 8) inputs = cn_arena_array(&to->arena, (size_t)node->input_count, sizeof *inputs);
    if (!inputs) return cn_graph_failed(to, CN_NO_MEMORY((size_t)node->input_count * sizeof *inputs));
    for (int k = 0; k < node->input_count; k++) inputs[k] = node->inputs[k] == CN_NONE ? CN_NONE : form_of(n, node->inputs[k], half);
    return cn_graph_add(to, node->op, inputs, node->input_count, &node->attr);
}

/* A node whose result is no float32 takes half only where all that goes in is half already. */
static bool takes_half(const narrowing* n, const cn_node* node) {
    bool all = true;

    for (int k = 0; k < node->input_count; k++) {
        cn_id v = node->inputs[k];
        all = all && (!is_wide(n->r.from, v) || n->r.to->types[n->r.map[v]].dtype == n->half);
    }
    return all;
}

static cn_id narrow(narrowing* n, int i) {
    const cn_node* node = &n->r.from->nodes[i];

    if (node->input_count == 0) return cn_rewrite_copy(&n->r, i);
    if (is_wide(n->r.from, i)) return rebuild(n, node, becomes_half(n, node));
    return rebuild(n, node, takes_half(n, node));
}

static cornu_status rewrite(narrowing* n) {
    const cn_graph* from = n->r.from;
    size_t count = (size_t)from->count + 1;

    n->facts = cn_alloc_zero(count, sizeof *n->facts);
    n->other = cn_alloc_zero(count, sizeof *n->other);
    if (!n->facts || !n->other) return CN_NO_MEMORY(count * sizeof *n->other);
    for (size_t i = 0; i < count; i++) n->other[i] = CN_NONE;
    find_facts(n);
    for (int i = 0; i < from->count; i++) {
        cn_rewrite_label(&n->r, i);
        n->r.map[i] = narrow(n, i);
        CN_TRY(cn_graph_status(n->r.to));
    }
    for (int i = 0; i < from->output_count; i++) n->r.map[from->outputs[i]] = form_of(n, from->outputs[i], false);
    return cn_graph_status(n->r.to);
}

cornu_status cn_pass_narrow(cn_graph* g, cornu_dtype half) {
    narrowing n = {.half = half, .limit = half == CORNU_FLOAT16 ? LARGEST_FLOAT16 : LARGEST_BFLOAT16};
    cn_graph to;
    cornu_status st = cn_rewrite_begin(&n.r, g, &to);

    if (st == CORNU_OK) st = rewrite(&n);
    if (st != CORNU_OK) (void)cn_graph_failed(&to, st);
    st = cn_rewrite_end(&n.r);
    cn_free(n.facts);
    cn_free(n.other);
    if (st == CORNU_OK) st = cn_graph_sweep(&to);
    if (st != CORNU_OK) {
        cn_graph_deinit(&to);
        return st;
    }
    cn_graph_deinit(g);
    *g = to;
    return CORNU_OK;
}
