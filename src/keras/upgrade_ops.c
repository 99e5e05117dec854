/* TensorFlow functions that tf.keras recorded as layers, as operations of Keras 3.
 *
 *   TFOpLambda          config.function "math.multiply"; the node's references are the first argument, or
 *                       ["_CONSTANT_VALUE", -1, value, kwargs]; the others are in its kwargs
 *   SlicingOpLambda     x[...]: kwargs.slice_spec
 *   TensorFlowOpLayer   config.node_def (JSON text of a NodeDef), config.constants {"1": value}: inputs by position
 *
 * A row says what the arguments are called there and in Keras 3; an argument that no row names must be absent or null. */
#include <stdlib.h>
#include <string.h>

#include "keras/upgrade_parts.h"

typedef struct op_row {
    const char* function; /* of TFOpLambda */
    const char* node_op;  /* of a NodeDef, NULL for none */
    const char* op;       /* of Keras 3 */
    const char* second;   /* keyword of the second tensor, NULL for none */
    const char* keys[3];  /* "theirs=ours": attributes */
} op_row;

static const op_row rows[] = {
    {"math.multiply", "Mul", "Multiply", "y", {0}},
    {"math.add", "AddV2", "Add", "y", {0}},
    {"__operators__.add", "Add", "Add", "y", {0}},
    {"math.subtract", "Sub", "Subtract", "y", {0}},
    {"math.truediv", "RealDiv", "TrueDivide", "y", {0}},
    {"math.divide", NULL, "TrueDivide", "y", {0}},
    {"math.floordiv", "FloorDiv", "FloorDivide", "y", {0}},
    {"math.pow", "Pow", "Power", "y", {0}},
    {"math.maximum", "Maximum", "Maximum", "y", {0}},
    {"math.minimum", "Minimum", "Minimum", "y", {0}},
    {"math.greater", "Greater", "Greater", "y", {0}},
    {"math.greater_equal", "GreaterEqual", "GreaterEqual", "y", {0}},
    {"math.less", "Less", "Less", "y", {0}},
    {"math.less_equal", "LessEqual", "LessEqual", "y", {0}},
    {"math.equal", "Equal", "Equal", "y", {0}},
    {"math.not_equal", "NotEqual", "NotEqual", "y", {0}},
    {"math.squared_difference", NULL, NULL, "y", {0}},
    {"math.negative", "Neg", "Negative", NULL, {0}},
    {"math.abs", "Abs", "Absolute", NULL, {0}},
    {"math.exp", "Exp", "Exp", NULL, {0}},
    {"math.log", "Log", "Log", NULL, {0}},
    {"math.sqrt", "Sqrt", "Sqrt", NULL, {0}},
    {"math.rsqrt", "Rsqrt", "Rsqrt", NULL, {0}},
    {"math.square", "Square", "Square", NULL, {0}},
    {"math.sin", "Sin", "Sin", NULL, {0}},
    {"math.cos", "Cos", "Cos", NULL, {0}},
    {"math.tanh", "Tanh", "Tanh", NULL, {0}},
    {"math.sigmoid", "Sigmoid", "Sigmoid", NULL, {0}},
    {"math.sign", "Sign", "Sign", NULL, {0}},
    {"math.floor", "Floor", "Floor", NULL, {0}},
    {"math.ceil", "Ceil", "Ceil", NULL, {0}},
    {"math.reciprocal", "Reciprocal", "Reciprocal", NULL, {0}},
    {"math.logical_not", "LogicalNot", "LogicalNot", NULL, {0}},
    {"math.logical_and", "LogicalAnd", "LogicalAnd", "y", {0}},
    {"math.logical_or", "LogicalOr", "LogicalOr", "y", {0}},
    {"nn.relu", "Relu", "Relu", NULL, {0}},
    {"nn.relu6", "Relu6", "Relu6", NULL, {0}},
    {"nn.elu", "Elu", "Elu", NULL, {0}},
    {"nn.selu", "Selu", "Selu", NULL, {0}},
    {"nn.softplus", "Softplus", "Softplus", NULL, {0}},
    {"nn.sigmoid", NULL, "Sigmoid", NULL, {0}},
    {"nn.tanh", NULL, "Tanh", NULL, {0}},
    {"nn.silu", NULL, "Silu", NULL, {0}},
    {"nn.softmax", NULL, "Softmax", NULL, {"axis=axis"}},
    {"math.reduce_mean", NULL, "Mean", NULL, {"axis=axis", "keepdims=keepdims"}},
    {"math.reduce_sum", NULL, "Sum", NULL, {"axis=axis", "keepdims=keepdims"}},
    {"math.reduce_max", NULL, "Max", NULL, {"axis=axis", "keepdims=keepdims"}},
    {"math.reduce_min", NULL, "Min", NULL, {"axis=axis", "keepdims=keepdims"}},
    {"math.reduce_prod", NULL, "Prod", NULL, {"axis=axis", "keepdims=keepdims"}},
    {"math.reduce_std", NULL, "Std", NULL, {"axis=axis", "keepdims=keepdims"}},
    {"math.reduce_variance", NULL, "Var", NULL, {"axis=axis", "keepdims=keepdims"}},
    {"math.argmax", NULL, "Argmax", NULL, {"axis=axis"}},
    {"concat", NULL, "Concatenate", NULL, {"axis=axis"}},
    {"stack", NULL, "Stack", NULL, {"axis=axis"}},
    {"reshape", NULL, "Reshape", NULL, {"shape=newshape"}},
    {"transpose", NULL, "Transpose", NULL, {"perm=axes"}},
    {"compat.v1.transpose", NULL, "Transpose", NULL, {"perm=axes"}},
    {"expand_dims", NULL, "ExpandDims", NULL, {"axis=axis"}},
    {"squeeze", NULL, "Squeeze", NULL, {"axis=axis"}},
    {"compat.v1.squeeze", NULL, "Squeeze", NULL, {"axis=axis"}},
    {"tile", NULL, "Tile", NULL, {"multiples=repeats"}},
    {"cast", NULL, "Cast", NULL, {"dtype=dtype"}},
    {"clip_by_value", NULL, "Clip", NULL, {"clip_value_min=x_min", "clip_value_max=x_max"}},
    {"linalg.matmul", "MatMul", "Matmul", "b", {0}},
    {NULL, "BatchMatMulV2", "Matmul", NULL, {0}},
    {"where", NULL, NULL, NULL, {0}},
};

bool cn_upgrade_is_tensorflow(const char* class_name) {
    return strcmp(class_name, "TFOpLambda") == 0 || strcmp(class_name, "SlicingOpLambda") == 0 || strcmp(class_name, "TensorFlowOpLayer") == 0;
}

static const op_row* find_row(const char* function, const char* node_op) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!rows[i].op) continue;
        if (function && rows[i].function && strcmp(rows[i].function, function) == 0) return &rows[i];
        if (node_op && rows[i].node_op && strcmp(rows[i].node_op, node_op) == 0) return &rows[i];
    }
    return NULL;
}

/* Those whose results are of another dtype there, or whose attributes are. */
static bool is_one_way(const char* op) { return strcmp(op, "Argmax") == 0 || strcmp(op, "Cast") == 0; }

bool cn_upgrade_tensorflow_of(const char* op, cn_tf_function* out) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!rows[i].op || !rows[i].function || strcmp(rows[i].op, op) != 0 || is_one_way(op)) continue;
        *out = (cn_tf_function){rows[i].function, rows[i].second, rows[i].keys};
        return true;
    }
    return false;
}

/* Our name of an attribute; NULL if the row has none of theirs. */
static const char* our_key(const op_row* row, const char* theirs) {
    size_t n = strlen(theirs);

    for (size_t i = 0; i < 3 && row->keys[i]; i++) {
        if (strncmp(row->keys[i], theirs, n) == 0 && row->keys[i][n] == '=') return row->keys[i] + n + 1;
    }
    return NULL;
}

/* ---- an entry ---- */

static void begin_entry(cn_upgrade* u, const char* op, const char* name) {
    const char* module = cn_name_module(CN_NAME_op, op);

    cn_buf_format(&u->text, "{\"module\": \"%s\", \"class_name\": \"%s\", \"config\": {\"name\": ", module ? module : "keras.src.ops.numpy", op);
    cn_upgrade_put_string(u, name);
}

static void begin_calls(cn_upgrade* u, const char* op, const char* name) {
    cn_buf_format(&u->text, "}, \"registered_name\": \"%s\", \"name\": ", op);
    cn_upgrade_put_string(u, name);
    cn_upgrade_put(u, ", \"inbound_nodes\": [");
}

/* ---- TFOpLambda ---- */

static bool is_constant(const cn_json* reference) { return cn_json_equals(cn_json_at(reference, 0), "_CONSTANT_VALUE"); }

/* Whether the keyword arguments are those of the row, the same in every call where they become attributes. */
static bool arguments_fit(const op_row* row, const cn_json* kwargs, char* what, size_t size) {
    for (size_t i = 0; i < cn_json_size(kwargs); i++) {
        const char* key = cn_json_key_at(kwargs, i, NULL);
        const cn_json* value = cn_json_at(kwargs, i);
        bool idle = cn_json_is(value, CN_JSON_NULL) || (cn_json_is(value, CN_JSON_BOOL) && !cn_json_bool(value));
        if (strcmp(key, "name") == 0 || idle || (row->second && strcmp(key, row->second) == 0) || our_key(row, key)) continue;
        strncpy(what, key, size - 1);
        what[size - 1] = '\0';
        return false;
    }
    return true;
}

static void put_attributes(cn_upgrade* u, const cn_layer* layer, const op_row* row, const cn_json* kwargs) {
    for (size_t i = 0; i < cn_json_size(kwargs); i++) {
        const char* key = our_key(row, cn_json_key_at(kwargs, i, NULL));
        const cn_json* value = cn_json_at(kwargs, i);
        if (!key || cn_json_is(value, CN_JSON_NULL)) continue;
        cn_buf_format(&u->text, ", \"%s\": ", key);
        cn_upgrade_put_value(u, layer, NULL, value);
    }
}

static void put_first(cn_upgrade* u, const cn_layer* model, const cn_json* node) {
    size_t count = cn_upgrade_node_size(node);

    if (count != 1) cn_upgrade_put(u, "[");
    for (size_t i = 0; i < count; i++) {
        const cn_json* reference = cn_upgrade_node_at(node, i);
        if (i) cn_upgrade_put(u, ", ");
        if (is_constant(reference)) cn_upgrade_put_value(u, model, NULL, cn_json_at(reference, 2));
        else cn_upgrade_put_argument(u, model, reference);
    }
    if (count != 1) cn_upgrade_put(u, "]");
}

static bool put_lambda(cn_upgrade* u, const cn_layer* model, const cn_layer* layer, const char* name) {
    const char* function = cn_json_string(cn_json_get(layer->config, "function"), NULL);
    const op_row* row = function ? find_row(function, NULL) : NULL;
    const cn_json* nodes = layer->inbound_nodes;
    char what[64] = "";

    if (!row) {
        cn_upgrade_add_note(u, layer->name, "%s: TensorFlow function 'tf.%s' has no counterpart here", cn_layer_describe(layer), function ? function : "?");
        return false;
    }
    for (size_t i = 0; i < cn_json_size(nodes); i++) {
        if (arguments_fit(row, cn_upgrade_kwargs(cn_json_at(nodes, i)), what, sizeof what)) continue;
        cn_upgrade_add_note(u, layer->name, "%s: argument '%s' of TensorFlow function 'tf.%s' has no counterpart here", cn_layer_describe(layer), what, function);
        return false;
    }
    begin_entry(u, row->op, name);
    put_attributes(u, layer, row, cn_upgrade_kwargs(cn_json_at(nodes, 0)));
    begin_calls(u, row->op, name);
    for (size_t i = 0; i < cn_json_size(nodes); i++) {
        const cn_json* node = cn_json_at(nodes, i);
        const cn_json* second = row->second ? cn_json_get(cn_upgrade_kwargs(node), row->second) : NULL;
        cn_upgrade_put(u, i ? ", {\"args\": [" : "{\"args\": [");
        put_first(u, model, node);
        if (second) {
            cn_upgrade_put(u, ", ");
            cn_upgrade_put_argument(u, model, second);
        }
        cn_upgrade_put(u, "], \"kwargs\": {}}");
    }
    cn_upgrade_put(u, "]}");
    return true;
}

/* ---- SlicingOpLambda ---- */

static bool is_tuple(const cn_json* spec) { return cn_json_equals(cn_json_get(spec, "class_name"), "__tuple__"); }

static bool put_index(cn_upgrade* u, const cn_layer* model, const cn_json* part) {
    static const char* const ends[] = {"start", "stop", "step"};

    if (cn_json_is(part, CN_JSON_INT) || cn_json_is(part, CN_JSON_NULL)) {
        cn_upgrade_put_value(u, model, NULL, part);
        return true;
    }
    if (cn_json_equals(cn_json_get(part, "class_name"), "__ellipsis__")) {
        cn_upgrade_put_value(u, model, NULL, part);
        return true;
    }
    if (!cn_json_is(part, CN_JSON_OBJECT)) return false;
    cn_upgrade_put(u, "{\"class_name\": \"__slice__\", \"config\": {");
    for (size_t i = 0; i < 3; i++) {
        const cn_json* end = cn_json_get(part, ends[i]);
        if (end && !cn_json_is(end, CN_JSON_INT) && !cn_json_is(end, CN_JSON_NULL)) return false;
        cn_buf_format(&u->text, "%s\"%s\": ", i ? ", " : "", ends[i]);
        if (end) cn_upgrade_put_value(u, model, NULL, end);
        else cn_upgrade_put(u, "null");
    }
    cn_upgrade_put(u, "}}");
    return true;
}

static bool put_spec(cn_upgrade* u, const cn_layer* model, const cn_json* spec) {
    const cn_json* list = is_tuple(spec) ? cn_json_get(spec, "items") : spec;

    if (!cn_json_is(list, CN_JSON_ARRAY)) return put_index(u, model, spec);
    cn_upgrade_put(u, "[");
    for (size_t i = 0; i < cn_json_size(list); i++) {
        if (i) cn_upgrade_put(u, ", ");
        if (!put_index(u, model, cn_json_at(list, i))) return false;
    }
    cn_upgrade_put(u, "]");
    return true;
}

static bool put_slicing(cn_upgrade* u, const cn_layer* model, const cn_layer* layer, const char* name) {
    const cn_json* nodes = layer->inbound_nodes;
    bool good = true;

    begin_entry(u, "GetItem", name);
    begin_calls(u, "GetItem", name);
    for (size_t i = 0; i < cn_json_size(nodes) && good; i++) {
        const cn_json* node = cn_json_at(nodes, i);
        cn_upgrade_put(u, i ? ", {\"args\": [" : "{\"args\": [");
        put_first(u, model, node);
        cn_upgrade_put(u, ", ");
        good = cn_json_get(cn_upgrade_kwargs(node), "slice_spec") && put_spec(u, model, cn_json_get(cn_upgrade_kwargs(node), "slice_spec"));
        cn_upgrade_put(u, "], \"kwargs\": {}}");
    }
    cn_upgrade_put(u, "]}");
    if (!good) cn_upgrade_add_note(u, layer->name, "%s: an index of that kind has no counterpart here", cn_layer_describe(layer));
    return good;
}

/* ---- TensorFlowOpLayer ---- */

/* Positions 0 and 1 of the operation: constants where config.constants has them, else the node's references in turn. */
static bool put_positions(cn_upgrade* u, const cn_layer* model, const cn_layer* layer, const cn_json* node, int count) {
    const cn_json* constants = cn_json_get(layer->config, "constants");
    size_t next = 0;

    for (int i = 0; i < count; i++) {
        const cn_json* constant = cn_json_get(constants, i ? "1" : "0");
        if (i) cn_upgrade_put(u, ", ");
        if (constant) cn_upgrade_put_value(u, model, NULL, constant);
        else if (next < cn_upgrade_node_size(node)) cn_upgrade_put_argument(u, model, cn_upgrade_node_at(node, next++));
        else return false;
    }
    return next == cn_upgrade_node_size(node);
}

/* The op of a NodeDef. transpose_a and the like must not be set. */
static cn_json_doc* read_node_def(cn_upgrade* u, const cn_layer* layer) {
    const char* text = cn_json_string(cn_json_get(layer->config, "node_def"), NULL);
    cn_json_doc* doc = NULL;
    cornu_status st = text ? cn_json_parse(text, strlen(text), "node_def", &doc) : CORNU_OK;

    if (st == CORNU_NO_MEMORY) u->status = st;
    return doc;
}

static bool is_plain_node(const cn_json* node_def) {
    static const char* const flags[] = {"transpose_a", "transpose_b", "adj_x", "adj_y"};
    const cn_json* attributes = cn_json_get(node_def, "attr");

    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        if (cn_json_bool(cn_json_get(cn_json_get(attributes, flags[i]), "b"))) return false;
    }
    return true;
}

static bool put_op_layer(cn_upgrade* u, const cn_layer* model, const cn_layer* layer, const char* name) {
    cn_json_doc* doc = read_node_def(u, layer);
    const cn_json* node_def = doc ? cn_json_root(doc) : NULL;
    const char* op = cn_json_string(cn_json_get(node_def, "op"), NULL);
    const op_row* row = op && is_plain_node(node_def) ? find_row(NULL, op) : NULL;
    bool good = row != NULL;
    int count = row && (row->second || strcmp(row->op, "Matmul") == 0) ? 2 : 1;

    if (row) {
        begin_entry(u, row->op, name);
        begin_calls(u, row->op, name);
    }
    for (size_t i = 0; good && i < cn_json_size(layer->inbound_nodes); i++) {
        cn_upgrade_put(u, i ? ", {\"args\": [" : "{\"args\": [");
        good = put_positions(u, model, layer, cn_json_at(layer->inbound_nodes, i), count);
        cn_upgrade_put(u, "], \"kwargs\": {}}");
    }
    if (row) cn_upgrade_put(u, "]}");
    if (!good) cn_upgrade_add_note(u, layer->name, "%s: TensorFlow operation '%.80s' has no counterpart here", cn_layer_describe(layer), op ? op : "?");
    cn_json_doc_destroy(doc);
    return good;
}

bool cn_upgrade_put_tensorflow(cn_upgrade* u, const cn_layer* model, const cn_layer* layer, const char* name) {
    size_t before = u->text.size;
    bool good;

    if (strcmp(layer->class_name, "TFOpLambda") == 0) good = put_lambda(u, model, layer, name);
    else if (strcmp(layer->class_name, "SlicingOpLambda") == 0) good = put_slicing(u, model, layer, name);
    else good = put_op_layer(u, model, layer, name);
    if (!good) u->text.size = before;
    return good;
}
