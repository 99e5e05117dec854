/* keras/src/layers/core. */
#include "lower/layer.h"

#include <string.h>

#include "base/dtype.h"

static cornu_status lower_identity(cn_call* c) {
    cn_id x;
    CN_TRY(cn_call_tensor(c, &x));
    return cn_call_return(c, x);
}

/* y = act(x kernel + bias); kernel [last axis of x, units]. */
static cornu_status lower_dense(cn_call* c) {
    int64_t units, dims[2];
    cn_id x, kernel, bias, y;
    bool use_bias;
    int ndim;

    CN_TRY(cn_call_tensor(c, &x));
    CN_TRY(cn_config_int(c->layer, "units", 0, 1, INT64_MAX, &units));
    CN_TRY(cn_config_bool(c->layer, "use_bias", true, &use_bias));
    ndim = cn_call_type(c, x)->ndim;
    if (ndim < 2) return CN_FAIL(BAD_ARGUMENT, "its input must have at least 2 axes, not %d", ndim);
    dims[0] = cn_call_type(c, x)->dims[ndim - 1];
    dims[1] = units;
    CN_TRY(cn_call_weight_count(c, use_bias ? 2 : 1));
    CN_TRY(cn_call_weight(c, 0, 2, dims, &kernel));
    y = cn_graph_matmul(c->g, cn_graph_cast(c->g, x, c->compute), kernel, false, false);
    if (use_bias) {
        CN_TRY(cn_call_weight(c, 1, 1, &units, &bias));
        y = cn_graph_ew2(c->g, CN_EW_add, y, bias);
    }
    CN_TRY(cn_call_activation(c, "activation", y, &y));
    return cn_call_return(c, y);
}

/* ---- embeddings ---- */

/* Rows of the table at the indices; those outside fail the run, as on TensorFlow's CPU. Integers but int64 are indices of int32, floats
 * are truncated. The table is cast after the lookup, not whole. */
static cornu_status look_up(cn_call* c, cn_id x, cn_id table, cn_id* out) {
    cornu_dtype dtype = cn_call_type(c, x)->dtype;

    if (dtype != CORNU_INT32 && dtype != CORNU_INT64) x = cn_graph_cast(c->g, x, CORNU_INT32);
    *out = cn_graph_cast(c->g, cn_graph_gather(c->g, table, x, 0, CN_GATHER_CHECKED), c->compute);
    return cn_graph_status(c->g);
}

/* x != 0 where mask_zero asks for it, else CN_NONE. */
static cornu_status zero_mask(cn_call* c, cn_id x, cn_id* out) {
    bool mask_zero;

    *out = CN_NONE;
    CN_TRY(cn_config_bool(c->layer, "mask_zero", false, &mask_zero));
    if (mask_zero) *out = cn_graph_ew2(c->g, CN_EW_ne, x, cn_graph_scalar(c->g, cn_call_type(c, x)->dtype, 0));
    return cn_graph_status(c->g);
}

static cornu_status embedding_dims(cn_call* c, int64_t* dims) {
    CN_TRY(cn_config_int(c->layer, "input_dim", 0, 1, INT64_MAX, &dims[0]));
    return cn_config_int(c->layer, "output_dim", 0, 1, INT64_MAX, &dims[1]);
}

static cornu_status lower_embedding(cn_call* c) {
    int64_t dims[2];
    cn_id x, table, mask;

    CN_TRY(cn_call_tensor(c, &x));
    CN_TRY(embedding_dims(c, dims));
    CN_TRY(cn_call_weight_count(c, 1));
    CN_TRY(cn_call_stored(c, 0, 2, dims, &table));
    CN_TRY(zero_mask(c, x, &mask));
    CN_TRY(look_up(c, x, table, &x));
    return cn_call_return_masked(c, x, mask);
}

/* Scores of all rows of the table: x [.., output_dim] gives [.., input_dim]. */
static cornu_status reverse_embedding(cn_call* c, cn_id x, cn_id kernel, bool tied) {
    const char* name;
    double cap;
    cornu_dtype dtype;
    cn_id y;

    CN_TRY(cn_config_string(c->layer, "reverse_dtype", NULL, &name));
    dtype = name ? cn_dtype_of_name(name) : cn_promote(cn_call_type(c, x)->dtype, cn_call_type(c, kernel)->dtype);
    if (!cn_dtype_is_float(dtype)) return cn_config_bad(c->layer, "reverse_dtype", "null or the name of a float dtype is allowed");
    if (cn_call_type(c, x)->ndim < 2) return CN_FAIL(BAD_ARGUMENT, "its input must have at least 2 axes");
    y = cn_graph_matmul(c->g, cn_graph_cast(c->g, x, dtype), cn_graph_cast(c->g, kernel, dtype), false, tied);
    if (cn_config_get(c->layer, "logit_soft_cap")) {
        CN_TRY(cn_config_double(c->layer, "logit_soft_cap", 0, &cap));
        y = cn_graph_ew2(c->g, CN_EW_div, y, cn_graph_scalar(c->g, dtype, cap));
        y = cn_graph_ew2(c->g, CN_EW_mul, cn_graph_ew1(c->g, CN_EW_tanh, y), cn_graph_scalar(c->g, dtype, cap));
    }
    return cn_call_return_masked(c, y, CN_NONE);
}

static cornu_status lower_reversible_embedding(cn_call* c) {
    const cn_arg* reverse = cn_call_arg(c, 1, "reverse");
    int64_t dims[2], turned[2];
    bool tied, backwards = reverse->kind == CN_ARG_JSON && cn_json_is(reverse->json, CN_JSON_BOOL) && cn_json_bool(reverse->json);
    cn_id x, table, mask;

    if (reverse->kind != CN_ARG_NONE && reverse->kind != CN_ARG_JSON) return CN_FAIL(UNSUPPORTED, "the argument reverse is a tensor");
    CN_TRY(cn_call_tensor(c, &x));
    CN_TRY(embedding_dims(c, dims));
    CN_TRY(cn_config_bool(c->layer, "tie_weights", true, &tied));
    CN_TRY(cn_call_weight_count(c, tied ? 1 : 2));
    turned[0] = dims[1], turned[1] = dims[0];
    if (backwards) {
        CN_TRY(cn_call_stored(c, tied ? 0 : 1, 2, tied ? dims : turned, &table));
        return reverse_embedding(c, x, table, tied);
    }
    CN_TRY(cn_call_stored(c, 0, 2, dims, &table));
    CN_TRY(zero_mask(c, x, &mask));
    CN_TRY(look_up(c, x, table, &x));
    return cn_call_return_masked(c, x, mask);
}

/* ---- Masking ---- */

/* Steps whose features are all mask_value are masked, and zeroed. An integer input is compared as float32 with a float. */
static cornu_status lower_masking(cn_call* c) {
    const cn_json* value = cn_config_get(c->layer, "mask_value");
    cn_id x, number, differs, mask, keep;
    cornu_dtype dtype;
    cn_type t;

    CN_TRY(cn_call_tensor(c, &x));
    t = *cn_call_type(c, x);
    if (t.ndim < 1) return CN_FAIL(BAD_ARGUMENT, "its input has no axes");
    dtype = cn_dtype_is_float(t.dtype) || cn_json_is(value, CN_JSON_INT) ? t.dtype : CORNU_FLOAT32;
    CN_TRY(cn_call_array(c, "mask_value", 0, dtype, &number));
    differs = cn_graph_ew2(c->g, CN_EW_ne, cn_graph_cast(c->g, x, dtype), number);
    mask = cn_graph_reduce(c->g, differs, CN_REDUCE_ANY, 1u << (t.ndim - 1), false);
    keep = cn_graph_reduce(c->g, differs, CN_REDUCE_ANY, 1u << (t.ndim - 1), true);
    return cn_call_return_masked(c, cn_graph_select(c->g, keep, x, cn_graph_scalar(c->g, t.dtype, 0)), mask);
}

const cn_layer_def cn_layers_core[] = {
    {"Dense", lower_dense, CN_MASK_PASS, false, "no quantized dtype policies"},
    {"EinsumDense", cn_lower_einsum_dense, CN_MASK_DROP, false, "no label twice in one operand; no quantized dtype policies"},
    {"Embedding", lower_embedding, CN_MASK_OWN, true, "no quantized dtype policies"},
    {"Identity", lower_identity, CN_MASK_PASS, false, NULL},
    {"InputLayer", lower_identity, CN_MASK_PASS, true, NULL},
    {"Masking", lower_masking, CN_MASK_OWN, false, NULL},
    {"ReversibleEmbedding", lower_reversible_embedding, CN_MASK_OWN, true, "no quantized dtype policies"},
    {0},
};
