/* Operands and attributes of operations: keras/src/backend/common/dtypes.py and convert_to_tensor of its TensorFlow backend. */
#include <inttypes.h>

#include "lower/ops.h"

/* ---- promotion ---- */

/* The lattice of dtypes: each row names the next higher ones. */
typedef struct lattice_row {
    cornu_dtype dtype, above[2];
} lattice_row;

static const lattice_row lattice[] = {
    {CORNU_BOOL, {CN_WEAK_INT, 0}},
    {CN_WEAK_INT, {CORNU_UINT8, CORNU_INT8}},
    {CORNU_UINT8, {CORNU_INT16, CORNU_UINT16}},
    {CORNU_UINT16, {CORNU_INT32, CORNU_UINT32}},
    {CORNU_UINT32, {CORNU_INT64, CORNU_UINT64}},
    {CORNU_UINT64, {CN_WEAK_FLOAT, 0}},
    {CORNU_INT8, {CORNU_INT16, 0}},
    {CORNU_INT16, {CORNU_INT32, 0}},
    {CORNU_INT32, {CORNU_INT64, 0}},
    {CORNU_INT64, {CN_WEAK_FLOAT, 0}},
    {CN_WEAK_FLOAT, {CORNU_BFLOAT16, CORNU_FLOAT16}},
    {CORNU_BFLOAT16, {CORNU_FLOAT32, 0}},
    {CORNU_FLOAT16, {CORNU_FLOAT32, 0}},
    {CORNU_FLOAT32, {CORNU_FLOAT64, 0}},
    {CORNU_FLOAT64, {0, 0}},
};
#define LATTICE_SIZE ((int)(sizeof lattice / sizeof lattice[0]))

/* The dtypes not below this one, as bits of their numbers. The passes are as many as the lattice is deep. */
static uint64_t bounds_of(cornu_dtype dtype) {
    uint64_t bits = UINT64_C(1) << dtype;
    for (int pass = 0; pass < LATTICE_SIZE; pass++) {
        for (int i = 0; i < LATTICE_SIZE; i++) {
            if (!(bits >> lattice[i].dtype & 1)) continue;
            for (int k = 0; k < 2; k++) bits |= lattice[i].above[k] ? UINT64_C(1) << lattice[i].above[k] : 0;
        }
    }
    return bits;
}

static bool in_lattice(cornu_dtype dtype) {
    for (int i = 0; i < LATTICE_SIZE; i++) {
        if (lattice[i].dtype == dtype) return true;
    }
    return false;
}

cornu_dtype cn_result_type(const cornu_dtype* dtypes, int n) {
    cornu_dtype result = n > 0 ? dtypes[0] : CORNU_FLOAT32;
    uint64_t common = UINT64_MAX;
    bool same = true;

    for (int i = 0; i < n; i++) {
        if (!in_lattice(dtypes[i])) return dtypes[i] == result && n == 1 ? result : (cornu_dtype)0;
        same = same && dtypes[i] == result;
        common &= bounds_of(dtypes[i]);
    }
    for (int i = 0; !same && i < LATTICE_SIZE; i++) {
        if ((common >> lattice[i].dtype & 1) && (common & ~bounds_of(lattice[i].dtype)) == 0) result = lattice[i].dtype;
    }
    if (result == CN_WEAK_INT) return CORNU_INT32;
    if (result == CN_WEAK_FLOAT) return CORNU_FLOAT32;
    return result == CORNU_UINT64 ? CORNU_UINT32 : result; /* as Keras does, to agree with JAX */
}

cornu_dtype cn_result_type2(cornu_dtype a, cornu_dtype b) { return cn_result_type((const cornu_dtype[]){a, b}, 2); }

cornu_dtype cn_float_of(cornu_dtype dtype) { return cn_dtype_is_float(dtype) ? dtype : CORNU_FLOAT32; }

/* ---- operands ---- */

const cn_arg* cn_op_arg(const cn_call* c, int position, const char* names) {
    const cn_arg* arg = cn_call_arg(c, position, NULL);

    while (!cn_op_given(arg) && *names) {
        char name[40];
        size_t size = strcspn(names, "|");
        if (size >= sizeof name) break;
        memcpy(name, names, size);
        name[size] = '\0';
        arg = cn_call_arg(c, -1, name);
        names += size + (names[size] == '|');
    }
    return arg;
}

static bool is_number(const cn_json* json) { return cn_json_is(json, CN_JSON_INT) || cn_json_is(json, CN_JSON_FLOAT); }

/* The value and dtype of an array constant: {class_name: "__numpy__", config: {value, dtype}}; NULL for anything else. */
static const cn_json* array_of(const cn_arg* arg, cornu_dtype* dtype) {
    const cn_json* name = cn_json_get(arg->json, "class_name");
    const cn_json* config = cn_json_get(arg->json, "config");

    if (arg->kind != CN_ARG_JSON || (!cn_json_equals(name, "__numpy__") && !cn_json_equals(name, "__tensor__"))) return NULL;
    *dtype = cn_json_is(cn_json_get(config, "dtype"), CN_JSON_STRING) ? cn_dtype_of_name(cn_json_string(cn_json_get(config, "dtype"), NULL)) : (cornu_dtype)0;
    return cn_json_get(config, "value");
}

static cornu_dtype strong(cornu_dtype dtype) {
    return dtype == CN_WEAK_INT ? CORNU_INT32 : dtype == CN_WEAK_FLOAT ? CORNU_FLOAT32 : dtype;
}

cornu_dtype cn_op_dtype(cn_call* c, const cn_arg* arg) {
    cornu_dtype dtype = 0;

    if (arg->kind == CN_ARG_TENSOR) return cn_op_type(c, arg->value.tensor)->dtype;
    if (array_of(arg, &dtype)) return dtype;
    if (arg->kind == CN_ARG_JSON) {
        return cn_json_is(arg->json, CN_JSON_BOOL) ? CORNU_BOOL : cn_json_is(arg->json, CN_JSON_INT) ? CN_WEAK_INT : cn_json_is(arg->json, CN_JSON_FLOAT) ? CN_WEAK_FLOAT : (cornu_dtype)0;
    }
    for (int i = 0; arg->kind == CN_ARG_LIST && i < arg->count; i++) {
        cornu_dtype element = strong(cn_op_dtype(c, &arg->items[i])); /* depth: of the JSON */
        if (i == 0 || arg->items[i].kind == CN_ARG_TENSOR || element == CORNU_FLOAT32) dtype = element;
    }
    return arg->kind == CN_ARG_LIST && arg->count == 0 ? CORNU_FLOAT32 : dtype;
}

/* Walks nested arrays, *at numbers so far. Without data it finds type's dims and checks that every list has them, so that what is
 * allocated is no more than the text has; with data it stores the elements. */
static cornu_status read_array(const cn_json* json, int depth, cn_type* type, void* data, int64_t* at) {
    if (cn_json_is(json, CN_JSON_ARRAY)) {
        int64_t size = (int64_t)cn_json_size(json);
        if (depth >= CORNU_MAX_DIMS) return CN_FAIL(UNSUPPORTED, "a constant of more than %d axes", CORNU_MAX_DIMS);
        if (!data && *at == 0 && type->ndim == depth) type->dims[type->ndim++] = size;
        if (depth >= type->ndim || type->dims[depth] != size) return CN_FAIL(BAD_FILE, "a constant whose lists differ in length");
        for (int64_t i = 0; i < size; i++) CN_TRY(read_array(cn_json_at(json, (size_t)i), depth + 1, type, data, at));
        return CORNU_OK;
    }
    if (depth != type->ndim) return CN_FAIL(BAD_FILE, "a constant whose lists differ in length");
    if (!is_number(json) && !cn_json_is(json, CN_JSON_BOOL)) return CN_FAIL(BAD_FILE, "a constant holds %s", cn_json_type_name(json));
    if (data) {
        int64_t whole = cn_json_is(json, CN_JSON_BOOL) && cn_json_bool(json);
        double real = cn_json_is(json, CN_JSON_BOOL) ? (double)whole : cn_json_double(json);
        char* to = (char*)data + (size_t)(*at)++ * cornu_dtype_size(type->dtype);
        if (cn_json_is(json, CN_JSON_BOOL) || cn_json_int64(json, &whole)) return cn_dtype_convert(type->dtype, to, CORNU_INT64, &whole, 1);
        return cn_dtype_convert(type->dtype, to, CORNU_FLOAT64, &real, 1);
    }
    (*at)++;
    return CORNU_OK;
}

static cornu_status constant_of(cn_call* c, const cn_json* json, cornu_dtype dtype, cn_id* out) {
    cn_type type = {.dtype = dtype};
    int64_t at = 0;
    void* data;

    if (cn_dtype_kind_of(dtype) == CN_KIND_NONE || cn_dtype_kind_of(dtype) == CN_KIND_S || cn_dtype_kind_of(dtype) == CN_KIND_C) {
        return CN_FAIL(UNSUPPORTED, "a constant of dtype %s", cornu_dtype_name(dtype));
    }
    CN_TRY(read_array(json, 0, &type, NULL, &at));
    data = cn_call_alloc(c, (size_t)cn_type_bytes(&type) + 1);
    if (!data) return CORNU_NO_MEMORY;
    at = 0;
    CN_TRY(read_array(json, 0, &type, data, &at));
    *out = cn_graph_constant(c->g, &type, data);
    return cn_graph_status(c->g);
}

static cornu_status stack_list(cn_call* c, const cn_arg* arg, cornu_dtype dtype, cn_id* out) {
    cn_id* items = cn_call_alloc(c, ((size_t)arg->count + 1) * sizeof *items);

    if (!items) return CORNU_NO_MEMORY;
    if (arg->count == 0) {
        cn_type type = {.dtype = dtype, .ndim = 1};
        *out = cn_graph_constant(c->g, &type, "");
        return cn_graph_status(c->g);
    }
    for (int i = 0; i < arg->count; i++) {
        CN_TRY(cn_op_convert(c, &arg->items[i], dtype, &items[i])); /* depth: of the JSON */
        items[i] = cn_op_insert_axis(c, items[i], 0);
    }
    *out = cn_graph_concat(c->g, items, arg->count, 0);
    return cn_graph_status(c->g);
}

static bool all_literal(const cn_arg* arg) {
    bool literal = arg->kind == CN_ARG_JSON && (is_number(arg->json) || cn_json_is(arg->json, CN_JSON_BOOL));
    for (int i = 0; arg->kind == CN_ARG_LIST && i < arg->count; i++) {
        if (!all_literal(&arg->items[i])) return false; /* depth: of the JSON */
    }
    return literal || (arg->kind == CN_ARG_LIST && arg->json != NULL);
}

cornu_status cn_op_convert(cn_call* c, const cn_arg* arg, cornu_dtype dtype, cn_id* out) {
    cornu_dtype own = 0;
    const cn_json* array = array_of(arg, &own);

    *out = CN_NONE;
    if (arg->kind == CN_ARG_TENSOR) {
        *out = dtype ? cn_graph_cast(c->g, arg->value.tensor, dtype) : arg->value.tensor;
        return cn_graph_status(c->g);
    }
    if (array) {
        CN_TRY(constant_of(c, array, own, out));
        if (dtype) *out = cn_graph_cast(c->g, *out, dtype);
        return cn_graph_status(c->g);
    }
    own = strong(cn_op_dtype(c, arg));
    if (all_literal(arg)) {
        /* A whole number goes straight to its dtype; a fraction as an integer truncates, as tf.cast does. */
        return constant_of(c, arg->json, dtype ? dtype : own, out);
    }
    if (arg->kind == CN_ARG_LIST) return stack_list(c, arg, dtype ? dtype : own, out);
    return CN_FAIL(UNSUPPORTED, "an operand that is neither a tensor nor a number nor a list of them");
}

cornu_status cn_op_tensor(cn_call* c, int position, const char* names, cn_id* out) {
    const cn_arg* arg = cn_op_arg(c, position, names);

    *out = CN_NONE;
    if (!cn_op_given(arg)) return CN_FAIL(BAD_FILE, "argument %d (%s) is missing", position, names);
    return cn_op_convert(c, arg, 0, out);
}

cornu_status cn_op_pair(cn_call* c, bool weak, cornu_dtype extra, cn_id* x, cn_id* z) {
    const cn_arg *a = cn_op_arg(c, 0, "x1|x"), *b = cn_op_arg(c, 1, "x2|y");
    cornu_dtype list[3] = {cn_op_dtype(c, a), cn_op_dtype(c, b), extra}, dtype;

    if (!cn_op_given(a) || !cn_op_given(b)) return CN_FAIL(BAD_FILE, "it needs two operands");
    for (int i = 0; i < 2 && !weak; i++) list[i] = strong(list[i]);
    dtype = cn_result_type(list, extra ? 3 : 2);
    if (dtype == 0) return CN_FAIL(UNSUPPORTED, "operands of dtype %s and %s", cornu_dtype_name(list[0]), cornu_dtype_name(list[1]));
    CN_TRY(cn_op_convert(c, a, dtype, x));
    return cn_op_convert(c, b, dtype, z);
}

cornu_status cn_op_list(cn_call* c, const cn_arg* arg, cn_id** out, int* count) {
    int64_t n = arg->count;
    cornu_dtype* dtypes;
    cn_id whole = CN_NONE;

    if (arg->kind != CN_ARG_LIST) {
        CN_TRY(cn_op_convert(c, arg, 0, &whole));
        if (cn_op_type(c, whole)->ndim < 1) return CN_FAIL(BAD_FILE, "it must be called on a list of tensors");
        n = cn_op_type(c, whole)->dims[0];
    }
    if (n < 1 || n > 4096) return CN_FAIL(UNSUPPORTED, "a list of %" PRId64 " tensors", n);
    *count = (int)n;
    *out = cn_call_alloc(c, (size_t)n * sizeof **out);
    dtypes = cn_call_alloc(c, (size_t)n * sizeof *dtypes);
    if (!*out || !dtypes) return CORNU_NO_MEMORY;
    for (int i = 0; i < *count; i++) {
        if (whole == CN_NONE) CN_TRY(cn_op_convert(c, &arg->items[i], 0, &(*out)[i]));
        else (*out)[i] = cn_op_remove_axis(c, cn_graph_slice_axis(c->g, whole, 0, i, i + 1), 0);
        dtypes[i] = cn_op_type(c, (*out)[i])->dtype;
    }
    for (int i = 1; i < *count; i++) {
        if (dtypes[i] == dtypes[0]) continue;
        dtypes[0] = cn_result_type(dtypes, *count);
        break;
    }
    for (int i = 0; i < *count; i++) (*out)[i] = cn_graph_cast(c->g, (*out)[i], dtypes[0]);
    return cn_graph_status(c->g);
}

static cornu_status ints_of_json(const cn_json* json, const char* what, int max, int64_t* out, int* n) {
    size_t size = cn_json_is(json, CN_JSON_ARRAY) ? cn_json_size(json) : 1;

    *n = 0;
    if (size > (size_t)max) return CN_FAIL(UNSUPPORTED, "%s has %zu elements; at most %d are possible here", what, size, max);
    for (size_t i = 0; i < size; i++) {
        const cn_json* item = cn_json_is(json, CN_JSON_ARRAY) ? cn_json_at(json, i) : json;
        if (!cn_json_int64(item, &out[i])) return CN_FAIL(BAD_FILE, "%s must be integers; it has %s", what, cn_json_type_name(item));
    }
    *n = (int)size;
    return CORNU_OK;
}

cornu_status cn_op_ints(cn_call* c, const cn_arg* arg, const char* what, int max, int64_t* out, int* n) {
    cornu_dtype dtype;
    const cn_json* array = array_of(arg, &dtype);

    (void)c;
    *n = 0;
    if (array) return ints_of_json(array, what, max, out, n);
    if (arg->kind == CN_ARG_JSON) return ints_of_json(arg->json, what, max, out, n);
    if (arg->kind != CN_ARG_LIST || arg->count > max) return CN_FAIL(UNSUPPORTED, "%s is no list of at most %d numbers", what, max);
    for (int i = 0; i < arg->count; i++) {
        if (arg->items[i].kind != CN_ARG_JSON || !cn_json_int64(arg->items[i].json, &out[i])) return CN_FAIL(UNSUPPORTED, "%s is no list of numbers", what);
    }
    *n = arg->count;
    return CORNU_OK;
}

cornu_status cn_op_number(const cn_arg* arg, double fallback, double* out) {
    *out = fallback;
    if (!cn_op_given(arg)) return CORNU_OK;
    if (arg->kind != CN_ARG_JSON || !is_number(arg->json)) return CN_FAIL(UNSUPPORTED, "an argument that is no number");
    *out = cn_json_double(arg->json);
    return CORNU_OK;
}

/* ---- attributes ---- */

cornu_status cn_op_int(cn_call* c, const char* key, int64_t fallback, int64_t* out) {
    return cn_config_int(c->layer, key, fallback, INT32_MIN, INT32_MAX, out);
}

cornu_status cn_op_axis(cn_call* c, const char* key, int64_t fallback, int ndim, int* out, bool* none) {
    const cn_json* value = cn_json_get(c->layer->config, key);
    int64_t axis = fallback;

    *out = 0;
    if (none) *none = value && cn_json_is(value, CN_JSON_NULL);
    if (none && *none) return CORNU_OK;
    CN_TRY(cn_op_int(c, key, fallback, &axis));
    return cn_call_axis(c, key, axis, ndim, out);
}

cornu_status cn_op_axes(cn_call* c, const char* key, int ndim, uint32_t* out) {
    int64_t list[CORNU_MAX_DIMS];
    int n = 0;

    *out = cn_op_all_axes(ndim);
    if (!cn_config_get(c->layer, key)) return CORNU_OK;
    CN_TRY(cn_config_list(c->layer, key, CORNU_MAX_DIMS, INT32_MIN, INT32_MAX, false, list, &n));
    *out = 0;
    for (int i = 0; i < n; i++) {
        int axis;
        CN_TRY(cn_call_axis(c, key, list[i], ndim, &axis));
        *out |= 1u << axis;
    }
    return CORNU_OK;
}

cornu_status cn_op_dtype_attr(cn_call* c, const char* key, cornu_dtype fallback, cornu_dtype* out) {
    const char* name;

    *out = fallback;
    CN_TRY(cn_config_string(c->layer, key, "", &name));
    if (!name[0]) return CORNU_OK;
    *out = strcmp(name, "int") == 0 ? CORNU_INT32 : strcmp(name, "float") == 0 ? CORNU_FLOAT32 : cn_dtype_of_name(name);
    if (*out == 0 || cn_dtype_kind_of(*out) == CN_KIND_C || *out == CORNU_STRING) return cn_config_unsupported(c->layer, key, "no arithmetic is done in it here");
    return CORNU_OK;
}

cornu_status cn_op_channels_first(cn_call* c, bool* out) { return cn_call_data_format(c, out); }

cornu_status cn_op_refused(cn_call* c) {
    return CN_FAIL(UNSUPPORTED, "operation %s: %s", c->layer->class_name, cn_op_def_of(c->layer->class_name)->limits);
}
