/* keras/src/layers/attention: Attention, AdditiveAttention, MultiHeadAttention, GroupQueryAttention.
 *
 * A query row whose keys are all masked depends on the path that Keras takes: its fused one (the attention node without zero_rows) gives the mean of all
 * values; the one with scores (asked for, or a dropout in the config, or attention over several axes) gives 0. */
#include <math.h>
#include <string.h>

#include "base/dtype.h"
#include "lower/context.h"

static cn_id and_masks(cn_graph* g, cn_id a, cn_id b) {
    return a == CN_NONE ? b : b == CN_NONE ? a : cn_graph_ew2(g, CN_EW_and, a, b);
}

/* x with an axis of 1 put in at `axis`, which counts from the end of the result when negative. */
static cn_id expand(cn_graph* g, cn_id x, int axis) {
    int64_t dims[CORNU_MAX_DIMS];
    const cn_type* type;

    if (x == CN_NONE || cn_graph_status(g) != CORNU_OK) return CN_NONE;
    type = cn_graph_type(g, x);
    if (type->ndim >= CORNU_MAX_DIMS) return cn_graph_failed(g, CN_FAIL(BAD_ARGUMENT, "a mask of %d axes", type->ndim));
    if (axis < 0) axis += type->ndim + 1;
    for (int i = 0, n = 0; i <= type->ndim; i++) dims[i] = i == axis ? 1 : type->dims[n++];
    return cn_graph_reshape(g, x, type->ndim + 1, dims);
}

/* Index along one of the last two axes of [1, queries, keys], int32, to compare. */
static cn_id index_row(cn_graph* g, int64_t count, bool of_queries) {
    const int64_t dims[3] = {1, of_queries ? count : 1, of_queries ? 1 : count};
    cn_attr attr;

    memset(&attr, 0, sizeof attr);
    attr.iota = (cn_iota_attr){.dtype = CORNU_INT32, .count = count, .begin = 0, .step = 1};
    return cn_graph_reshape(g, cn_graph_add(g, CN_OP_iota, NULL, 0, &attr), 3, dims);
}

/* bool [1, queries, keys]: key <= query. */
static cn_id causal_mask(cn_graph* g, int64_t queries, int64_t keys) {
    return cn_graph_ew2(g, CN_EW_ge, index_row(g, queries, true), index_row(g, keys, false));
}

/* bool [1, queries, keys]: |query - key| < window. */
static cn_id window_mask(cn_graph* g, int64_t queries, int64_t keys, int64_t window) {
    cn_id apart = cn_graph_ew2(g, CN_EW_sub, index_row(g, queries, true), index_row(g, keys, false));
    return cn_graph_ew2(g, CN_EW_lt, cn_graph_ew1(g, CN_EW_abs, apart), cn_graph_scalar(g, CORNU_INT32, (double)window));
}

static cornu_status flag(const cn_call* c, int position, const char* name, bool* out) {
    const cn_arg* arg = cn_call_arg(c, position, name);

    *out = false;
    if (arg->kind == CN_ARG_NONE) return CORNU_OK;
    if (arg->kind != CN_ARG_JSON || !cn_json_is(arg->json, CN_JSON_BOOL)) return CN_FAIL(UNSUPPORTED, "%s is neither true nor false", name);
    *out = cn_json_bool(arg->json);
    return CORNU_OK;
}

static cornu_status read_dropout(cn_call* c, double* rate) {
    CN_TRY(cn_config_double(c->layer, "dropout", 0, rate));
    if (c->training && *rate > 0) return cn_config_unsupported(c->layer, "dropout", "dropout of attention scores cannot run at training");
    return CORNU_OK;
}

/* ---- Attention, AdditiveAttention ---- */

typedef struct simple_attention {
    cn_id q, v, k;
    cn_id q_mask, v_mask;
    bool scores, causal; /* call arguments */
} simple_attention;

static cornu_status read_simple(cn_call* c, simple_attention* a) {
    const cn_arg *inputs = cn_call_arg(c, 0, "inputs"), *mask = cn_call_arg(c, 1, "mask");
    cn_value* in;
    int count;

    (void)inputs;
    CN_TRY(cn_call_values(c, 2, &in, &count));
    if (count > 3) return CN_FAIL(BAD_FILE, "it is called on %d tensors; 2 or 3 are allowed", count);
    a->q = in[0].tensor;
    a->v = in[1].tensor;
    a->k = in[count > 2 ? 2 : 1].tensor;
    a->q_mask = in[0].mask;
    a->v_mask = in[1].mask;
    if (mask->kind == CN_ARG_LIST && mask->count >= 2) {
        a->q_mask = mask->items[0].kind == CN_ARG_TENSOR ? mask->items[0].value.tensor : CN_NONE;
        a->v_mask = mask->items[1].kind == CN_ARG_TENSOR ? mask->items[1].value.tensor : CN_NONE;
    }
    CN_TRY(flag(c, 3, "return_attention_scores", &a->scores));
    CN_TRY(flag(c, 4, "use_causal_mask", &a->causal));
    for (int i = 0; i < count; i++) {
        if (cn_call_type(c, in[i].tensor)->ndim < 3) return CN_FAIL(BAD_ARGUMENT, "its inputs must have at least 3 axes");
    }
    return CORNU_OK;
}

/* sum over the last axis of weight tanh(scale (q + k)), [.., Tq, Tk]: the additive form of scores. */
static cn_id additive_scores(cn_graph* g, cn_id q, cn_id k, cn_id inner, cn_id weight) {
    cn_id sum = cn_graph_ew2(g, CN_EW_add, expand(g, q, -2), expand(g, k, -3)), y;

    if (inner != CN_NONE) sum = cn_graph_ew2(g, CN_EW_mul, sum, inner);
    y = cn_graph_ew1(g, CN_EW_tanh, sum);
    if (weight != CN_NONE) y = cn_graph_ew2(g, CN_EW_mul, y, weight);
    if (cn_graph_status(g) != CORNU_OK) return CN_NONE;
    return cn_graph_reduce(g, y, CN_REDUCE_SUM, 1u << (g->types[y].ndim - 1), false);
}

/* Keras subtracts 1e9 from masked scores (65504 in float16): rows without a key keep what float32 leaves of their scores. */
static cn_id mask_scores(cn_call* c, const simple_attention* a, cn_id scores) {
    cn_graph* g = c->g;
    cn_id mask = a->v_mask == CN_NONE ? CN_NONE : expand(g, cn_graph_cast(g, a->v_mask, CORNU_BOOL), -2), lowered;
    const cn_type* type;

    if (cn_graph_status(g) != CORNU_OK) return CN_NONE;
    type = cn_graph_type(g, scores);
    if (a->causal) mask = and_masks(g, mask, causal_mask(g, type->dims[type->ndim - 2], type->dims[type->ndim - 1]));
    if (mask == CN_NONE || cn_graph_status(g) != CORNU_OK) return scores;
    type = cn_graph_type(g, scores);
    lowered = cn_graph_ew2(g, CN_EW_sub, scores, cn_graph_scalar(g, type->dtype, type->dtype == CORNU_FLOAT16 ? 65504 : 1e9));
    return cn_graph_select(g, mask, scores, lowered);
}

static cornu_status finish_simple(cn_call* c, const simple_attention* a, cn_id scores) {
    cn_graph* g = c->g;
    cn_id weights, y;
    cn_value values[2];

    scores = mask_scores(c, a, scores);
    CN_TRY(cn_graph_status(g));
    weights = cn_graph_softmax(g, scores, 1u << (cn_call_type(c, scores)->ndim - 1));
    y = cn_graph_matmul(g, weights, a->v, false, false);
    if (a->q_mask != CN_NONE) {
        y = cn_graph_select(g, expand(g, cn_graph_cast(g, a->q_mask, CORNU_BOOL), -1), y, cn_graph_scalar(g, c->compute, 0));
    }
    if (!a->scores) return cn_call_return_masked(c, y, a->q_mask);
    values[0] = (cn_value){y, a->q_mask};
    values[1] = (cn_value){weights, CN_NONE};
    return cn_call_return_list(c, values, 2);
}

static cornu_status lower_attention(cn_call* c) {
    cn_id scale = CN_NONE, weight = CN_NONE, scores;
    int concat, n = 0;
    simple_attention a;
    bool use_scale;
    double rate;

    CN_TRY(read_simple(c, &a));
    CN_TRY(read_dropout(c, &rate));
    CN_TRY(cn_config_bool(c->layer, "use_scale", false, &use_scale));
    CN_TRY(cn_config_choice(c->layer, "score_mode", "dot", "dot|concat", &concat));
    CN_TRY(cn_call_weight_count(c, use_scale + concat));
    if (use_scale) CN_TRY(cn_call_weight(c, n++, 0, NULL, &scale));
    if (concat) CN_TRY(cn_call_weight(c, n, 0, NULL, &weight));
    if (concat) {
        scores = additive_scores(c->g, a.q, a.k, scale, CN_NONE);
        scores = cn_graph_ew2(c->g, CN_EW_mul, scores, weight);
    } else {
        scores = cn_graph_matmul(c->g, a.q, a.k, false, true);
        if (use_scale) scores = cn_graph_ew2(c->g, CN_EW_mul, scores, scale);
    }
    return finish_simple(c, &a, scores);
}

static cornu_status lower_additive_attention(cn_call* c) {
    cn_id scale = CN_NONE;
    simple_attention a;
    const cn_type* q;
    int64_t depth;
    bool use_scale;
    double rate;

    CN_TRY(read_simple(c, &a));
    CN_TRY(read_dropout(c, &rate));
    CN_TRY(cn_config_bool(c->layer, "use_scale", true, &use_scale));
    CN_TRY(cn_call_weight_count(c, use_scale));
    q = cn_call_type(c, a.q);
    depth = q->dims[q->ndim - 1];
    if (use_scale) CN_TRY(cn_call_weight(c, 0, 1, &depth, &scale));
    return finish_simple(c, &a, additive_scores(c->g, a.q, a.k, CN_NONE, scale));
}

/* ---- heads: what MultiHeadAttention and GroupQueryAttention share ---- */

typedef struct heads {
    cn_call* c;
    cn_value query, value, key;
    cn_id mask;         /* bool that broadcasts to [B, Tq, Tk], or CN_NONE */
    cn_id out_mask;
    bool scores, causal; /* causal: the only mask */
    bool score_path;
    bool use_bias, use_gate;
    int64_t heads, kv_heads, key_dim, value_dim;
    int out_ndim;
    int64_t out_dims[CORNU_MAX_DIMS]; /* of the output projection */
    uint32_t axes; /* attended over; bit i: axis i */
    int order[CORNU_MAX_DIMS], order_count; /* the same axes as the config lists them: masks and scores have them so */
} heads;

/* The kernel of a projection as a matrix [rows, columns] and its bias as a vector: EinsumDense stores the axes apart. */
static cornu_status projection(heads* h, const char* attributes, int in_ndim, const int64_t* in, int out_ndim, const int64_t* out,
                               cn_id* kernel, cn_id* bias) {
    int64_t dims[CORNU_MAX_DIMS], flat[2] = {1, 1};
    cn_call sub = *h->c;
    int n = 0;

    CN_TRY(cn_layer_sub_plain(h->c->doc, h->c->layer, "EinsumDense", attributes, &sub.layer));
    if (in_ndim + out_ndim > CORNU_MAX_DIMS) return CN_FAIL(BAD_ARGUMENT, "its output has too many axes");
    for (int i = 0; i < in_ndim; i++) dims[n++] = in[i];
    for (int i = 0; i < out_ndim; i++) dims[n++] = out[i];
    CN_TRY(cn_call_weight_count(&sub, h->use_bias ? 2 : 1));
    CN_TRY(cn_call_weight(&sub, 0, n, dims, kernel));
    for (int i = 0; i < n; i++) flat[i < in_ndim ? 0 : 1] *= dims[i]; /* sizes of the file, so no overflow */
    *kernel = cn_graph_reshape(h->c->g, *kernel, 2, flat);
    *bias = CN_NONE;
    if (!h->use_bias) return cn_graph_status(h->c->g);
    CN_TRY(cn_call_weight(&sub, 1, out_ndim, out, bias));
    *bias = cn_graph_reshape(h->c->g, *bias, 1, &flat[1]);
    return cn_graph_status(h->c->g);
}

/* x [.., in] through a projection: [.., count, depth]. */
static cornu_status project(heads* h, const char* attributes, cn_id x, int64_t count, int64_t depth, cn_id* out) {
    const cn_type* type = cn_call_type(h->c, x);
    int64_t dims[CORNU_MAX_DIMS], shape[2] = {count, depth};
    int ndim = type->ndim;
    cn_graph* g = h->c->g;
    cn_id kernel, bias, y;

    memcpy(dims, type->dims, sizeof dims);
    CN_TRY(projection(h, attributes, 1, &dims[ndim - 1], 2, shape, &kernel, &bias));
    y = cn_graph_matmul(g, x, kernel, false, false);
    if (bias != CN_NONE) y = cn_graph_ew2(g, CN_EW_add, y, bias);
    dims[ndim - 1] = count;
    dims[ndim] = depth;
    *out = cn_graph_reshape(g, y, ndim + 1, dims);
    return cn_graph_status(g);
}

/* Order of the axes of a projected tensor [B, axes..., N, H] for the attention node: those not attended over, N, those attended over, H. */
static void head_order(const heads* h, int ndim, int* perm, int* batch_axes) {
    int n = 0;

    for (int i = 0; i < ndim - 2; i++) {
        if (!(h->axes >> i & 1)) perm[n++] = i;
    }
    *batch_axes = n;
    perm[n++] = ndim - 2;
    for (int i = 0; i < h->order_count; i++) perm[n++] = h->order[i];
    perm[n] = ndim - 1;
}

/* A projected tensor as [batch, N, T, H]; whole: its type after the transposition. */
static cn_id to_heads(heads* h, cn_id x, cn_type* whole) {
    cn_graph* g = h->c->g;
    int64_t dims[4] = {1, 1, 1, 1};
    int perm[CORNU_MAX_DIMS], batch;
    cn_id y;

    if (cn_graph_status(g) != CORNU_OK) return CN_NONE;
    head_order(h, g->types[x].ndim, perm, &batch);
    y = cn_graph_transpose(g, x, perm);
    if (cn_graph_status(g) != CORNU_OK) return CN_NONE;
    *whole = g->types[y];
    for (int i = 0; i < whole->ndim; i++) dims[i < batch ? 0 : i == batch ? 1 : i == whole->ndim - 1 ? 3 : 2] *= whole->dims[i];
    return cn_graph_reshape(g, y, 4, dims);
}

/* The mask as [batch | 1, 1 | N, Tq, Tk]: axes of 1 go in front of the last two for each attended axis, as Keras expands it. */
static cornu_status expand_mask(heads* h, const cn_type* q, const cn_type* k, int batch, cn_id* out) {
    cn_graph* g = h->c->g;
    int attended = q->ndim - 2 - batch, rank = batch + 1 + 2 * attended, n = 0;
    int64_t full[CORNU_MAX_DIMS], dims[4];
    cn_id mask = h->mask;

    *out = mask;
    if (mask == CN_NONE) return CORNU_OK;
    if (rank > CORNU_MAX_DIMS || cn_call_type(h->c, mask)->ndim > rank) return CN_FAIL(BAD_ARGUMENT, "its attention mask has too many axes");
    while (cn_graph_status(g) == CORNU_OK && cn_call_type(h->c, mask)->ndim < rank) mask = expand(g, mask, -2 * attended - 1);
    CN_TRY(cn_graph_status(g));
    if (batch == 1 && attended == 1) return *out = mask, CORNU_OK;
    for (int i = 0; i < batch; i++) full[n++] = q->dims[i];
    full[n++] = cn_call_type(h->c, mask)->dims[batch];
    for (int i = 0; i < attended; i++) full[n++] = q->dims[batch + 1 + i];
    for (int i = 0; i < attended; i++) full[n++] = k->dims[batch + 1 + i];
    mask = cn_graph_broadcast(g, mask, n, full);
    dims[0] = dims[2] = dims[3] = 1;
    for (int i = 0; i < batch; i++) dims[0] *= full[i];
    dims[1] = full[batch];
    for (int i = 0; i < attended; i++) dims[2] *= full[batch + 1 + i];
    for (int i = 0; i < attended; i++) dims[3] *= full[batch + 1 + attended + i];
    *out = cn_graph_reshape(g, mask, 4, dims);
    return cn_graph_status(g);
}

/* The scores after softmax, [batch, N, Tq, Tk], in primitives: they are asked for. */
static cn_id softmax_scores(heads* h, cn_id q, cn_id k, cn_id mask) {
    cn_graph* g = h->c->g;
    cn_act scale = {CN_EW_affine, 1 / sqrt((double)h->key_dim), 0, 0};
    cn_id scores = cn_graph_matmul(g, cn_graph_act(g, scale, q), k, false, true);

    if (cn_graph_status(g) != CORNU_OK) return CN_NONE;
    if (h->causal) mask = causal_mask(g, g->types[q].dims[2], g->types[k].dims[2]);
    if (mask != CN_NONE) scores = cn_graph_select(g, mask, scores, cn_graph_scalar(g, h->c->compute, h->c->compute == CORNU_FLOAT16 ? -3e4 : -1e9));
    scores = cn_graph_softmax(g, scores, 1u << 3);
    return mask == CN_NONE ? scores : cn_graph_select(g, mask, scores, cn_graph_scalar(g, h->c->compute, 0));
}

/* Each of the kv heads as often as it is used. */
static cn_id repeat_heads(heads* h, cn_id x) {
    cn_graph* g = h->c->g;
    int64_t dims[5], repeats = h->heads / h->kv_heads;

    if (repeats == 1 || cn_graph_status(g) != CORNU_OK) return x;
    dims[0] = g->types[x].dims[0];
    dims[1] = h->kv_heads;
    dims[2] = repeats;
    dims[3] = g->types[x].dims[2];
    dims[4] = g->types[x].dims[3];
    x = cn_graph_broadcast(g, expand(g, x, 2), 5, dims);
    dims[1] = h->heads;
    dims[2] = dims[3];
    dims[3] = dims[4];
    return cn_graph_reshape(g, x, 4, dims);
}

/* [batch, N, Tq, H] back to [B, axes..., N, H]. */
static cn_id from_heads(heads* h, cn_id x, const cn_type* q_whole, int64_t depth) {
    cn_graph* g = h->c->g;
    int64_t dims[CORNU_MAX_DIMS];
    int perm[CORNU_MAX_DIMS], back[CORNU_MAX_DIMS], batch;

    memcpy(dims, q_whole->dims, sizeof dims);
    dims[q_whole->ndim - 1] = depth;
    head_order(h, q_whole->ndim, perm, &batch);
    for (int i = 0; i < q_whole->ndim; i++) back[perm[i]] = i;
    return cn_graph_transpose(g, cn_graph_reshape(g, x, q_whole->ndim, dims), back);
}

/* The scores as Keras returns them: [B, other axes..., N, query axes..., key axes...]. */
static cn_id shape_scores(heads* h, cn_id scores, const cn_type* q, const cn_type* k, int batch) {
    int64_t dims[CORNU_MAX_DIMS];
    int n = 0;

    for (int i = 0; i < q->ndim - 1; i++) dims[n++] = q->dims[i];
    for (int i = batch + 1; i < k->ndim - 1 && n < CORNU_MAX_DIMS; i++) dims[n++] = k->dims[i];
    return cn_graph_reshape(h->c->g, scores, n, dims);
}

/* attended [B, axes..., N, H] through the output projection. */
static cornu_status project_out(heads* h, cn_id x, cn_id* out) {
    cn_graph* g = h->c->g;
    const cn_type* type = cn_call_type(h->c, x);
    int64_t in[2] = {h->heads, h->value_dim}, dims[CORNU_MAX_DIMS];
    int ndim = type->ndim;
    cn_id kernel, bias, y;

    memcpy(dims, type->dims, sizeof dims);
    if (ndim - 2 + h->out_ndim > CORNU_MAX_DIMS) return CN_FAIL(BAD_ARGUMENT, "its output has too many axes");
    CN_TRY(projection(h, "output_dense|_output_dense", 2, in, h->out_ndim, h->out_dims, &kernel, &bias));
    dims[ndim - 2] = h->heads * h->value_dim;
    y = cn_graph_matmul(g, cn_graph_reshape(g, x, ndim - 1, dims), kernel, false, false);
    if (bias != CN_NONE) y = cn_graph_ew2(g, CN_EW_add, y, bias);
    for (int i = 0; i < h->out_ndim; i++) dims[ndim - 2 + i] = h->out_dims[i];
    *out = cn_graph_reshape(g, y, ndim - 2 + h->out_ndim, dims);
    return cn_graph_status(g);
}

/* Projections, attention, output projection. */
static cornu_status run_heads(heads* h) {
    cn_graph* g = h->c->g;
    cn_id q, k, v, gate = CN_NONE, mask, y, scores = CN_NONE;
    cn_type q_whole, k_whole, v_whole;
    int perm[CORNU_MAX_DIMS], batch;
    cn_value values[2];
    cn_attr attr;

    memset(&attr, 0, sizeof attr);
    attr.attention = (cn_attention_attr){1 / sqrt((double)h->key_dim), h->causal, h->score_path};
    CN_TRY(project(h, "query_dense|_query_dense", h->query.tensor, h->heads, h->key_dim, &q));
    CN_TRY(project(h, "key_dense|_key_dense", h->key.tensor, h->kv_heads, h->key_dim, &k));
    CN_TRY(project(h, "value_dense|_value_dense", h->value.tensor, h->kv_heads, h->value_dim, &v));
    if (h->use_gate) CN_TRY(project(h, "_gate_dense|gate_dense", h->query.tensor, h->heads, h->value_dim, &gate));
    head_order(h, cn_call_type(h->c, q)->ndim, perm, &batch);
    q = to_heads(h, q, &q_whole);
    k = to_heads(h, k, &k_whole);
    v = to_heads(h, v, &v_whole);
    CN_TRY(cn_graph_status(g));
    CN_TRY(expand_mask(h, &q_whole, &k_whole, batch, &mask));
    if (h->scores) {
        scores = softmax_scores(h, q, repeat_heads(h, k), mask);
        y = cn_graph_matmul(g, scores, repeat_heads(h, v), false, false);
        scores = cn_graph_status(g) == CORNU_OK ? shape_scores(h, scores, &q_whole, &k_whole, batch) : CN_NONE;
    } else {
        const cn_id in[4] = {q, k, v, mask};
        y = cn_graph_add(g, CN_OP_attention, in, mask == CN_NONE ? 3 : 4, &attr);
    }
    y = from_heads(h, y, &q_whole, h->value_dim);
    if (gate != CN_NONE) y = cn_graph_ew2(g, CN_EW_mul, y, cn_graph_ew1(g, CN_EW_sigmoid, gate));
    CN_TRY(cn_graph_status(g));
    CN_TRY(project_out(h, y, &y));
    if (!h->scores) return cn_call_return_masked(h->c, y, h->out_mask);
    values[0] = (cn_value){y, h->out_mask};
    values[1] = (cn_value){scores, CN_NONE};
    return cn_call_return_list(h->c, values, 2);
}

static cornu_status tensor_arg(const cn_call* c, int position, const char* name, cn_value* out) {
    const cn_arg* arg = cn_call_arg(c, position, name);

    *out = (cn_value){CN_NONE, CN_NONE};
    if (arg->kind == CN_ARG_LIST && arg->count == 1) arg = &arg->items[0];
    if (arg->kind == CN_ARG_TENSOR) *out = arg->value;
    else if (arg->kind != CN_ARG_NONE) return CN_FAIL(UNSUPPORTED, "its argument %s is no tensor", name);
    return CORNU_OK;
}

/* The masks of query, value and key, attention_mask, the causal one and the window, joined by and. */
static cornu_status join_masks(heads* h, cn_id query_mask, cn_id value_mask, cn_id key_mask, bool causal) {
    cn_graph* g = h->c->g;
    int64_t queries = cn_call_type(h->c, h->query.tensor)->dims[1], keys = cn_call_type(h->c, h->value.tensor)->dims[1], window = 0;
    cn_value given;
    cn_id joined = CN_NONE;

    CN_TRY(tensor_arg(h->c, 6, "attention_mask", &given));
    if (cn_config_get(h->c->layer, "sliding_window")) CN_TRY(cn_config_int(h->c->layer, "sliding_window", 0, 1, INT32_MAX, &window));
    if (causal && query_mask == CN_NONE && value_mask == CN_NONE && key_mask == CN_NONE && given.tensor == CN_NONE && window == 0 &&
        cn_call_type(h->c, h->query.tensor)->ndim == 3) {
        h->causal = true;
        return CORNU_OK;
    }
    if (query_mask != CN_NONE) joined = expand(g, cn_graph_cast(g, query_mask, CORNU_BOOL), -1);
    if (value_mask != CN_NONE) joined = and_masks(g, joined, expand(g, cn_graph_cast(g, value_mask, CORNU_BOOL), -2));
    if (key_mask != CN_NONE) joined = and_masks(g, joined, expand(g, cn_graph_cast(g, key_mask, CORNU_BOOL), -2));
    if (causal) joined = and_masks(g, joined, causal_mask(g, queries, keys));
    if (window > 0) joined = and_masks(g, joined, window_mask(g, queries, keys, window));
    if (given.tensor != CN_NONE) joined = and_masks(g, cn_graph_cast(g, given.tensor, CORNU_BOOL), joined);
    h->mask = joined;
    return cn_graph_status(g);
}

/* What both classes take: query, value, key and the call's options. */
static cornu_status begin_heads(cn_call* c, heads* h, bool* causal) {
    double rate;

    memset(h, 0, sizeof *h);
    h->c = c;
    h->mask = CN_NONE;
    CN_TRY(tensor_arg(c, 0, "query", &h->query));
    CN_TRY(tensor_arg(c, 1, "value", &h->value));
    CN_TRY(tensor_arg(c, 2, "key", &h->key));
    if (h->query.tensor == CN_NONE || h->value.tensor == CN_NONE) return CN_FAIL(BAD_FILE, "it must be called on a query and a value");
    CN_TRY(flag(c, 7, "return_attention_scores", &h->scores));
    CN_TRY(flag(c, 9, "use_causal_mask", causal));
    CN_TRY(read_dropout(c, &rate));
    CN_TRY(cn_config_bool(c->layer, "use_bias", true, &h->use_bias));
    CN_TRY(cn_config_bool(c->layer, "use_gate", false, &h->use_gate));
    h->score_path = h->scores || rate > 0;
    h->out_mask = h->query.mask;
    if (cn_call_type(c, h->query.tensor)->ndim < 2 || cn_call_type(c, h->value.tensor)->ndim < 2) {
        return CN_FAIL(BAD_ARGUMENT, "its inputs must have at least 2 axes");
    }
    if (cn_call_type(c, h->query.tensor)->ndim >= CORNU_MAX_DIMS) return CN_FAIL(BAD_ARGUMENT, "its query has too many axes");
    return CORNU_OK;
}

/* The masks that Keras fills in from the tensors: of value always, of key where one is given. */
static cornu_status fill_masks(heads* h, cn_id* value_mask, cn_id* key_mask) {
    cn_value given;

    CN_TRY(tensor_arg(h->c, 4, "value_mask", &given));
    *value_mask = given.tensor != CN_NONE ? given.tensor : h->value.mask;
    CN_TRY(tensor_arg(h->c, 5, "key_mask", &given));
    *key_mask = given.tensor != CN_NONE ? given.tensor : h->key.tensor != CN_NONE ? h->key.mask : CN_NONE;
    if (h->key.tensor == CN_NONE) h->key = h->value;
    return CORNU_OK;
}

/* ---- MultiHeadAttention ---- */

static void attend_over(heads* h, int axis) {
    h->axes |= 1u << axis;
    h->order[h->order_count++] = axis;
}

static cornu_status read_axes(heads* h) {
    int rank = cn_call_type(h->c, h->query.tensor)->ndim, n;
    int64_t axes[CORNU_MAX_DIMS];

    if (cn_call_type(h->c, h->value.tensor)->ndim != rank || cn_call_type(h->c, h->key.tensor)->ndim != rank) {
        return CN_FAIL(BAD_ARGUMENT, "its query, key and value differ in rank");
    }
    CN_TRY(cn_config_list(h->c->layer, "attention_axes", CORNU_MAX_DIMS, -rank, rank - 2, false, axes, &n));
    for (int i = 0; i < n; i++) {
        /* Keras counts negative axes from the projected rank - 1, which is that of the query. */
        int64_t axis = axes[i] < 0 ? axes[i] + rank : axes[i];
        if (axis < 1 || axis > rank - 2) return cn_config_bad(h->c->layer, "attention_axes", "axes between the batch and the features are allowed");
        if (h->axes >> axis & 1) return cn_config_bad(h->c->layer, "attention_axes", "each axis once is allowed");
        attend_over(h, (int)axis);
    }
    for (int i = 1; n == 0 && i < rank - 1; i++) attend_over(h, i);
    return CORNU_OK;
}

static cornu_status read_output_shape(heads* h) {
    const cn_type* q = cn_call_type(h->c, h->query.tensor);

    CN_TRY(cn_config_list(h->c->layer, "output_shape", CORNU_MAX_DIMS, 1, INT64_MAX / 8, false, h->out_dims, &h->out_ndim));
    if (h->out_ndim > 0) return CORNU_OK;
    h->out_ndim = 1;
    h->out_dims[0] = q->dims[q->ndim - 1];
    return CORNU_OK;
}

/* Keras takes the masks off the tensors that it attends to: whoever uses them later sees none. */
static cornu_status take_masks(heads* h) {
    cn_lower* cx = h->c->cx;
    const cn_id taken[] = {h->query.tensor, h->value.tensor, h->key.tensor};

    for (int i = 0; i < 3; i++) CN_TRY(cn_lower_unmask(cx, taken[i]));
    return CORNU_OK;
}

static cornu_status lower_multi_head_attention(cn_call* c) {
    cn_id value_mask, key_mask;
    bool causal;
    heads h;

    CN_TRY(begin_heads(c, &h, &causal));
    CN_TRY(fill_masks(&h, &value_mask, &key_mask));
    CN_TRY(cn_config_size(c->layer, "num_heads", &h.heads));
    h.kv_heads = h.heads;
    CN_TRY(cn_config_size(c->layer, "key_dim", &h.key_dim));
    h.value_dim = h.key_dim;
    if (cn_config_get(c->layer, "value_dim")) CN_TRY(cn_config_int(c->layer, "value_dim", 0, 1, INT32_MAX, &h.value_dim));
    CN_TRY(read_axes(&h));
    CN_TRY(read_output_shape(&h));
    if (cn_call_type(c, h.query.tensor)->ndim != 3) h.score_path = true;
    CN_TRY(join_masks(&h, h.query.mask, value_mask, key_mask, causal));
    CN_TRY(take_masks(&h));
    return run_heads(&h);
}

/* ---- GroupQueryAttention ---- */

static cornu_status lower_group_query_attention(cn_call* c) {
    cn_id value_mask, key_mask;
    const cn_type* q;
    cn_value given;
    bool causal;
    heads h;

    CN_TRY(begin_heads(c, &h, &causal));
    CN_TRY(fill_masks(&h, &value_mask, &key_mask));
    CN_TRY(cn_config_size(c->layer, "num_query_heads", &h.heads));
    CN_TRY(cn_config_size(c->layer, "num_key_value_heads", &h.kv_heads));
    CN_TRY(cn_config_size(c->layer, "head_dim", &h.key_dim));
    if (h.heads % h.kv_heads) return cn_config_bad(c->layer, "num_query_heads", "a multiple of num_key_value_heads is allowed");
    h.value_dim = h.key_dim;
    attend_over(&h, 1);
    q = cn_call_type(c, h.query.tensor);
    if (q->ndim != 3 || cn_call_type(c, h.value.tensor)->ndim != 3 || cn_call_type(c, h.key.tensor)->ndim != 3) {
        return CN_FAIL(BAD_ARGUMENT, "its inputs must have 3 axes [batch, steps, features]");
    }
    h.out_ndim = 1;
    h.out_dims[0] = q->dims[2];
    CN_TRY(tensor_arg(c, 3, "query_mask", &given));
    CN_TRY(join_masks(&h, given.tensor != CN_NONE ? given.tensor : h.query.mask, value_mask, key_mask, causal));
    return run_heads(&h);
}

const cn_layer_def cn_layers_attention[] = {
    {"Attention", lower_attention, CN_MASK_OWN, false, "dropout at training"},
    {"AdditiveAttention", lower_additive_attention, CN_MASK_OWN, false, "dropout at training"},
    {"MultiHeadAttention", lower_multi_head_attention, CN_MASK_OWN, false, "dropout at training"},
    {"GroupedQueryAttention", lower_group_query_attention, CN_MASK_OWN, false, "dropout at training"},
    {"GroupQueryAttention", lower_group_query_attention, CN_MASK_OWN, false, "dropout at training"},
    {0},
};
