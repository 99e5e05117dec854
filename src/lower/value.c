/* Small pieces that several layers build with: dtype promotion, constants of a config, norms. */
#include <string.h>

#include "base/dtype.h"
#include "base/size.h"
#include "lower/layer.h"

/* ---- dtypes ---- */

static int int_bits(cornu_dtype dtype) { return (int)cornu_dtype_size(dtype) * 8; }

static cornu_dtype signed_of(int bits) {
    return bits <= 8 ? CORNU_INT8 : bits <= 16 ? CORNU_INT16 : bits <= 32 ? CORNU_INT32 : CORNU_INT64;
}

/* JAX's lattice, which Keras uses on every backend: bool < integers < floats, whatever their sizes; an unsigned and a signed
 * integer meet in the signed one that holds both, uint64 and a signed one in float32; float16 and bfloat16 meet in float32. */
cornu_dtype cn_promote(cornu_dtype a, cornu_dtype b) {
    cn_dtype_kind ka = cn_dtype_kind_of(a), kb = cn_dtype_kind_of(b);

    if (a == b || kb == CN_KIND_B) return a;
    if (ka == CN_KIND_B) return b;
    if (ka == CN_KIND_F && kb == CN_KIND_F) {
        if (cornu_dtype_size(a) == cornu_dtype_size(b)) return CORNU_FLOAT32;
        return cornu_dtype_size(a) > cornu_dtype_size(b) ? a : b;
    }
    if (ka == CN_KIND_F) return a;
    if (kb == CN_KIND_F) return b;
    if (ka == kb) return int_bits(a) > int_bits(b) ? a : b;
    if (ka == CN_KIND_U) return cn_promote(b, a);
    if (kb == CN_KIND_U && ka == CN_KIND_I) { /* a is signed */
        if (b == CORNU_UINT64) return CORNU_FLOAT32;
        return int_bits(a) > int_bits(b) ? a : signed_of(int_bits(b) * 2);
    }
    return a;
}

cn_id cn_lower_ew2(cn_graph* g, cn_ew fn, cn_id a, cn_id b) {
    cornu_dtype dtype;

    if (cn_graph_status(g) != CORNU_OK || a == CN_NONE || b == CN_NONE) return CN_NONE;
    dtype = cn_promote(g->types[a].dtype, g->types[b].dtype);
    return cn_graph_ew2(g, fn, cn_graph_cast(g, a, dtype), cn_graph_cast(g, b, dtype));
}

/* ---- shapes ---- */

cn_id cn_lower_expand(cn_graph* g, cn_id x, int ndim) {
    int64_t dims[CORNU_MAX_DIMS];
    const cn_type* t;
    int n = 0;

    if (cn_graph_status(g) != CORNU_OK || x == CN_NONE) return CN_NONE;
    t = &g->types[x];
    if (t->ndim >= ndim || t->ndim == 0) return x;
    dims[n++] = t->dims[0];
    while (n <= ndim - t->ndim) dims[n++] = 1;
    for (int i = 1; i < t->ndim; i++) dims[n++] = t->dims[i];
    return cn_graph_reshape(g, x, ndim, dims);
}

cn_id cn_lower_expand_last(cn_graph* g, cn_id x) {
    int64_t dims[CORNU_MAX_DIMS];
    int ndim;

    if (cn_graph_status(g) != CORNU_OK || x == CN_NONE) return CN_NONE;
    ndim = g->types[x].ndim;
    if (ndim == CORNU_MAX_DIMS) return cn_graph_failed(g, CN_FAIL(UNSUPPORTED, "more than %d axes", CORNU_MAX_DIMS));
    memcpy(dims, g->types[x].dims, sizeof dims);
    dims[ndim] = 1;
    return cn_graph_reshape(g, x, ndim + 1, dims);
}

cn_id cn_lower_l2_normalize(cn_graph* g, cn_id x, uint32_t axes, double epsilon) {
    cn_id norm = cn_graph_reduce(g, cn_graph_ew1(g, CN_EW_square, x), CN_REDUCE_SUM, axes, true);

    if (norm == CN_NONE) return CN_NONE;
    norm = cn_graph_ew1(g, CN_EW_rsqrt, norm);
    norm = cn_graph_ew2(g, CN_EW_min, norm, cn_graph_scalar(g, g->types[x].dtype, 1 / epsilon));
    return cn_graph_ew2(g, CN_EW_mul, x, norm);
}

/* ---- constants ---- */

/* The shape of a nest of lists, read off its first elements. false: too deep or an empty list. */
static bool nest_dims(const cn_json* node, cn_type* type) {
    type->ndim = 0;
    for (; cn_json_is(node, CN_JSON_ARRAY); node = cn_json_at(node, 0)) {
        if (type->ndim == CORNU_MAX_DIMS || cn_json_size(node) == 0) return false;
        type->dims[type->ndim++] = (int64_t)cn_json_size(node);
    }
    return true;
}

/* Copies the numbers of a nest in order; false if it is ragged or has anything else. depth is at most CORNU_MAX_DIMS. */
static bool nest_numbers(const cn_json* node, const cn_type* type, int depth, double** at) {
    if (depth == type->ndim) {
        if (!cn_json_is(node, CN_JSON_INT) && !cn_json_is(node, CN_JSON_FLOAT)) return false;
        *(*at)++ = cn_json_double(node);
        return true;
    }
    if (!cn_json_is(node, CN_JSON_ARRAY) || (int64_t)cn_json_size(node) != type->dims[depth]) return false;
    for (size_t i = 0; i < cn_json_size(node); i++) {
        if (!nest_numbers(cn_json_at(node, i), type, depth + 1, at)) return false;
    }
    return true;
}

cornu_status cn_call_array(cn_call* call, const char* key, double fallback, cornu_dtype dtype, cn_id* out) {
    const cn_json* node = cn_config_get(call->layer, key);
    const cn_json* class_name = cn_json_get(node, "class_name");
    cn_type type = {.dtype = dtype};
    double *numbers, *at;
    void* data;
    int64_t count = 1;

    *out = CN_NONE;
    if (cn_json_equals(class_name, "__numpy__") || cn_json_equals(class_name, "__tensor__"))
        node = cn_json_get(cn_json_get(node, "config"), "value");
    if (!node || cn_json_is(node, CN_JSON_INT) || cn_json_is(node, CN_JSON_FLOAT)) {
        *out = cn_graph_scalar(call->g, dtype, node ? cn_json_double(node) : fallback);
        return cn_graph_status(call->g);
    }
    if (!nest_dims(node, &type) || !cn_dims_count(type.dims, type.ndim, &count) || count > INT32_MAX)
        return cn_config_bad(call->layer, key, "a number or a list of numbers is allowed");
    numbers = at = cn_call_alloc(call, (size_t)count * sizeof *numbers);
    data = cn_call_alloc(call, (size_t)count * cornu_dtype_size(dtype));
    if (!numbers || !data) return CORNU_NO_MEMORY;
    if (!nest_numbers(node, &type, 0, &at)) return cn_config_bad(call->layer, key, "a number or a list of numbers is allowed");
    CN_TRY(cn_dtype_convert(dtype, data, CORNU_FLOAT64, numbers, count));
    *out = cn_graph_constant(call->g, &type, data);
    return cn_graph_status(call->g);
}
