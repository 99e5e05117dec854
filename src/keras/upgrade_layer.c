/* Classes, keys and values of layers as Keras 1 and 2 wrote them, in the form of Keras 3.15. One row a class or key; what no row
 * names is kept. Value-preserving only: an initializer or a regularizer that Keras 3 spells in another way is no value of the model. */
#include <string.h>

#include "keras/upgrade_parts.h"

/* ---- names ---- */

typedef struct name_row {
    const char* name;
    const char* module;
    cn_name_kind kind;
} name_row;

static const name_row names[] = {
#define CN_NAME(kind_, name_, module_) {name_, module_, CN_NAME_##kind_},
#include "keras/names.def"
#undef CN_NAME
};

const char* cn_name_module(cn_name_kind kind, const char* class_name) {
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (names[i].kind == kind && strcmp(names[i].name, class_name) == 0) return names[i].module;
    }
    return NULL;
}

/* ---- classes ---- */

typedef struct class_row {
    const char* old;
    const char* now;
    const char* more; /* keys that the new class needs besides */
} class_row;

static const class_row classes[] = {
    {"Convolution1D", "Conv1D", NULL},
    {"Convolution2D", "Conv2D", NULL},
    {"Convolution3D", "Conv3D", NULL},
    {"AtrousConvolution1D", "Conv1D", NULL},
    {"AtrousConvolution2D", "Conv2D", NULL},
    {"Deconvolution2D", "Conv2DTranspose", NULL},
    {"Deconvolution3D", "Conv3DTranspose", NULL},
    {"Convolution2DTranspose", "Conv2DTranspose", NULL},
    {"Convolution3DTranspose", "Conv3DTranspose", NULL},
    {"SeparableConvolution1D", "SeparableConv1D", NULL},
    {"SeparableConvolution2D", "SeparableConv2D", NULL},
    {"TimeDistributedDense", "Dense", NULL},
    {"ThresholdedReLU", "ReLU", NULL},
    {"BatchNormalizationV1", "BatchNormalization", NULL},
    {"GroupedQueryAttention", "GroupQueryAttention", NULL}, /* the name of the class, that Keras 3 writes into HDF5; .keras has the exported one */
    {"BatchNormalizationV2", "BatchNormalization", NULL},
    {"SyncBatchNormalization", "BatchNormalization", "\"synchronized\": true"},
    {"CuDNNLSTM", "LSTM", "\"activation\": \"tanh\", \"recurrent_activation\": \"sigmoid\", \"use_bias\": true"},
    {"CuDNNGRU", "GRU", "\"activation\": \"tanh\", \"recurrent_activation\": \"sigmoid\", \"use_bias\": true, \"reset_after\": true"},
    {"LSTMV1", "LSTM", NULL},
    {"LSTMV2", "LSTM", NULL},
    {"GRUV1", "GRU", NULL},
    {"GRUV2", "GRU", NULL},
    {"DenseFeaturesV2", "DenseFeatures", NULL},
};

static const class_row* find_class(const char* old) {
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        if (strcmp(classes[i].old, old) == 0) return &classes[i];
    }
    return NULL;
}

static const char* new_class(const char* old) {
    const class_row* row = find_class(old);
    return row ? row->now : old;
}

/* Mode of a Keras 1 Merge that was given as text; NULL when no layer of Keras 3 does that. */
static const char* merge_class(const cn_layer* layer) {
    static const char* const modes[][2] = {{"sum", "Add"},        {"mul", "Multiply"}, {"concat", "Concatenate"},
                                           {"ave", "Average"},    {"max", "Maximum"},  {"dot", "Dot"},
                                           {"cos", "Dot"}};
    const cn_json* mode = cn_json_get(layer->config, "mode");

    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        if (cn_json_equals(mode, modes[i][0])) return modes[i][1];
    }
    return NULL;
}

/* ---- keys ---- */

typedef struct key_row {
    const char* class_name; /* as it was, or as it is now; NULL: any */
    int eras;               /* bits: 1 Keras 1, 2 Keras 2, 4 Keras 3 */
    const char* old;
    const char* now; /* NULL: left out */
} key_row;

#define K1 1
#define K2 2
#define OLD 3
#define ALL 7

/* The first row that fits counts. */
static const key_row keys[] = {
    {"InputLayer", ALL, "batch_input_shape", "batch_shape"},
    {"InputLayer", K1, "input_dtype", "dtype"},
    {NULL, ALL, "batch_input_shape", NULL},
    {NULL, ALL, "__passive_serialization__", NULL},
    {NULL, OLD, "input_dtype", NULL},
    {NULL, K1, "create_input_layer", NULL},
    {NULL, K1, "custom_batch_input_shape", NULL},
    {NULL, K1, "cache_enabled", NULL},
    {NULL, K1, "weights", NULL},
    {"Embedding", OLD, "input_length", NULL},
    {"Embedding", K1, "init", "embeddings_initializer"},
    {"Embedding", K1, "W_regularizer", "embeddings_regularizer"},
    {"Embedding", K1, "W_constraint", "embeddings_constraint"},
    {"Embedding", K1, "dropout", NULL},
    {"Embedding", K1, "input_dim", "input_dim"},
    {"Embedding", K1, "output_dim", "output_dim"},
    {"PReLU", K1, "init", "alpha_initializer"},
    {"BatchNormalization", K1, "mode", NULL},
    {"BatchNormalization", K1, "beta_init", "beta_initializer"},
    {"BatchNormalization", K1, "gamma_init", "gamma_initializer"},
    {"BatchNormalization", OLD, "renorm", NULL},
    {"BatchNormalization", OLD, "renorm_clipping", NULL},
    {"BatchNormalization", OLD, "renorm_momentum", NULL},
    {"BatchNormalization", OLD, "fused", NULL},
    {"BatchNormalization", OLD, "virtual_batch_size", NULL},
    {"BatchNormalization", OLD, "adjustment", NULL},
    {"UpSampling1D", K1, "length", "size"},
    {"Deconvolution2D", K1, "output_shape", NULL},
    {"Merge", K1, "mode", NULL},
    {"Merge", K1, "mode_type", NULL},
    {"Merge", K1, "layers", NULL},
    {"Merge", K1, "arguments", NULL},
    {"Merge", K1, "node_indices", NULL},
    {"Merge", K1, "tensor_indices", NULL},
    {"Merge", K1, "output_shape", NULL},
    {"Merge", K1, "output_shape_type", NULL},
    {"Merge", K1, "output_mask", NULL},
    {"Merge", K1, "output_mask_type", NULL},
    {"ThresholdedReLU", OLD, "theta", "threshold"},
    {"LeakyReLU", OLD, "alpha", "negative_slope"},
    {"GaussianNoise", K1, "sigma", "stddev"},
    {"MaxPooling1D", K1, "pool_length", "pool_size"},
    {"MaxPooling1D", K1, "stride", "strides"},
    {"AveragePooling1D", K1, "pool_length", "pool_size"},
    {"AveragePooling1D", K1, "stride", "strides"},
    {NULL, K1, "p", "rate"},
    {NULL, K1, "output_dim", "units"},
    {NULL, K1, "input_dim", NULL},
    {NULL, K1, "input_length", NULL},
    {NULL, K1, "nb_filter", "filters"},
    {NULL, K1, "nb_row", NULL},
    {NULL, K1, "nb_col", NULL},
    {NULL, K1, "kernel_dim1", NULL},
    {NULL, K1, "kernel_dim2", NULL},
    {NULL, K1, "kernel_dim3", NULL},
    {NULL, K1, "filter_length", "kernel_size"},
    {NULL, K1, "subsample", "strides"},
    {NULL, K1, "subsample_length", "strides"},
    {NULL, K1, "atrous_rate", "dilation_rate"},
    {NULL, K1, "border_mode", "padding"},
    {NULL, K1, "dim_ordering", "data_format"},
    {NULL, K1, "depthwise_init", "depthwise_initializer"},
    {NULL, K1, "pointwise_init", "pointwise_initializer"},
    {NULL, K1, "init", "kernel_initializer"},
    {NULL, K1, "inner_init", "recurrent_initializer"},
    {NULL, K1, "forget_bias_init", NULL},
    {NULL, K1, "inner_activation", "recurrent_activation"},
    {NULL, K1, "W_regularizer", "kernel_regularizer"},
    {NULL, K1, "U_regularizer", "recurrent_regularizer"},
    {NULL, K1, "b_regularizer", "bias_regularizer"},
    {NULL, K1, "W_constraint", "kernel_constraint"},
    {NULL, K1, "U_constraint", "recurrent_constraint"},
    {NULL, K1, "b_constraint", "bias_constraint"},
    {NULL, K1, "bias", "use_bias"},
    {NULL, K1, "dropout_W", "dropout"},
    {NULL, K1, "dropout_U", "recurrent_dropout"},
    {NULL, K1, "consume_less", NULL},
    {NULL, K1, "concat_axis", "axis"},
    {NULL, K1, "dot_axes", "axes"},
    {NULL, OLD, "time_major", NULL},
    {NULL, OLD, "implementation", NULL},
    {NULL, OLD, "num_constants", NULL},
    {"Conv1DTranspose", OLD, "groups", NULL},
    {"Conv2DTranspose", OLD, "groups", NULL},
    {"Conv3DTranspose", OLD, "groups", NULL},
    {"SeparableConv1D", OLD, "groups", NULL},
    {"SeparableConv2D", OLD, "groups", NULL},
    {"SeparableConv1D", OLD, "kernel_initializer", NULL},
    {"SeparableConv1D", OLD, "kernel_regularizer", NULL},
    {"SeparableConv1D", OLD, "kernel_constraint", NULL},
    {"SeparableConv2D", OLD, "kernel_initializer", NULL},
    {"SeparableConv2D", OLD, "kernel_regularizer", NULL},
    {"SeparableConv2D", OLD, "kernel_constraint", NULL},
    {"DepthwiseConv1D", OLD, "groups", NULL},
    {"DepthwiseConv1D", OLD, "filters", NULL},
    {"DepthwiseConv1D", OLD, "kernel_initializer", NULL},
    {"DepthwiseConv1D", OLD, "kernel_regularizer", NULL},
    {"DepthwiseConv1D", OLD, "kernel_constraint", NULL},
    {"DepthwiseConv2D", OLD, "groups", NULL},
    {"DepthwiseConv2D", OLD, "filters", NULL},
    {"DepthwiseConv2D", OLD, "kernel_initializer", NULL},
    {"DepthwiseConv2D", OLD, "kernel_regularizer", NULL},
    {"DepthwiseConv2D", OLD, "kernel_constraint", NULL},
    {NULL, OLD, "rng_type", NULL},
    {"MultiHeadAttention", OLD, "query_shape", NULL},
    {"MultiHeadAttention", OLD, "key_shape", NULL},
    {"MultiHeadAttention", OLD, "value_shape", NULL},
    {"MultiHeadAttention", OLD, "softmax_robust_masking", NULL},
    {"Attention", OLD, "causal", NULL},
    {"AdditiveAttention", OLD, "causal", NULL},
    {"TextVectorization", OLD, "vocabulary_size", NULL},
    {"TextVectorization", OLD, "has_input_vocab", NULL},
    {"StringLookup", OLD, "vocabulary_size", NULL},
    {"StringLookup", OLD, "has_input_vocab", NULL},
    {"IntegerLookup", OLD, "vocabulary_size", NULL},
    {"IntegerLookup", OLD, "has_input_vocab", NULL},
    {"Lambda", OLD, "module", NULL},
    {"Lambda", OLD, "function_type", NULL},
    {"Lambda", OLD, "output_shape_type", NULL},
    {"Lambda", OLD, "output_shape_module", NULL},
};

static const char* new_key(const cn_upgrade* u, const cn_layer* layer, const char* now, const char* key) {
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const key_row* row = &keys[i];
        if (!(row->eras & (1 << (u->era - 1))) || strcmp(row->old, key) != 0) continue;
        if (!row->class_name || strcmp(row->class_name, layer->class_name) == 0 || strcmp(row->class_name, now) == 0)
            return row->now;
    }
    return key;
}

/* ---- what has no form in Keras 3 ---- */

/* A key with a value that only an older Keras knew what to do with. */
static const struct {
    const char* class_name; /* as it is now; NULL: any */
    int eras;
    const char* key;
    const char* allowed; /* its JSON text that means nothing */
} refused[] = {
    {NULL, OLD, "time_major", "false"},
    {"BatchNormalization", OLD, "renorm", "false"},
    {"BatchNormalization", K1, "mode", "0"},
    {"MultiHeadAttention", OLD, "softmax_robust_masking", "false"},
    {"Attention", OLD, "causal", "false"},
    {"AdditiveAttention", OLD, "causal", "false"},
};

static void check_refused(cn_upgrade* u, const cn_layer* layer, const char* now, const char* key, const cn_json* value) {
    size_t size = 0;
    const char* text = cn_json_text(value, &size);

    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        if (!(refused[i].eras & (1 << (u->era - 1))) || strcmp(refused[i].key, key) != 0) continue;
        if (refused[i].class_name && strcmp(refused[i].class_name, now) != 0) continue;
        if (!text || size != strlen(refused[i].allowed) || memcmp(text, refused[i].allowed, size) != 0)
            cn_upgrade_add_note(u, layer->name, "%s: key '%s' is %.*s; Keras 3 has only what was %s", cn_layer_describe(layer), key,
                                (int)(size < 60 ? size : 60), text ? text : "", refused[i].allowed);
    }
}

/* ---- values ---- */

/* clip(0.2 x + 0.5, 0, 1), which hard_sigmoid was before Keras 3. */
static const char hard_sigmoid[] =
    "{\"module\": \"keras.layers\", \"class_name\": \"Pipeline\", \"config\": {\"layers\": ["
    "{\"module\": \"keras.layers\", \"class_name\": \"Rescaling\", \"config\": {\"name\": \"hard_sigmoid_line\", \"scale\": 0.2, "
    "\"offset\": 0.5}, \"registered_name\": null}, "
    "{\"module\": \"keras.layers\", \"class_name\": \"ReLU\", \"config\": {\"name\": \"hard_sigmoid_clip\", \"max_value\": 1.0}, "
    "\"registered_name\": null}], \"name\": \"hard_sigmoid\"}, \"registered_name\": null}";

static bool ends_with(const char* text, const char* end) {
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static bool is_hard_sigmoid(const cn_json* value) {
    return cn_json_equals(value, "hard_sigmoid") || (cn_json_equals(cn_json_get(value, "class_name"), "function") &&
                                                      cn_json_equals(cn_json_get(value, "config"), "hard_sigmoid"));
}

static void put_list(cn_upgrade* u, const cn_layer* owner, const char* key, const cn_json* list) {
    cn_upgrade_put(u, "[");
    for (size_t i = 0; i < cn_json_size(list); i++) {
        if (i) cn_upgrade_put(u, ", ");
        cn_upgrade_put_value(u, owner, key, cn_json_at(list, i)); /* depth: of the JSON */
    }
    cn_upgrade_put(u, "]");
}

static void put_dict(cn_upgrade* u, const cn_layer* owner, const cn_json* dict) {
    bool any = false;

    cn_upgrade_put(u, "{");
    for (size_t i = 0; i < cn_json_size(dict); i++) {
        const char* key = cn_json_key_at(dict, i, NULL);
        if (strcmp(key, "__passive_serialization__") == 0) continue;
        if (any) cn_upgrade_put(u, ", ");
        any = true;
        cn_upgrade_put_string(u, key);
        cn_upgrade_put(u, ": ");
        cn_upgrade_put_value(u, owner, key, cn_json_at(dict, i));
    }
    cn_upgrade_put(u, "}");
}

/* {"name": "WeightRegularizer", "l1": ..., "l2": ...} and {"name": "MaxNorm", ...} of Keras 1. */
static bool put_keras1_object(cn_upgrade* u, const cn_layer* owner, const char* key, const cn_json* value) {
    const char* name = cn_json_string(cn_json_get(value, "name"), NULL);
    bool any = false;

    if (u->era != 1 || !name || cn_json_get(value, "class_name")) return false;
    if (ends_with(key, "_regularizer")) name = "L1L2";
    else if (!ends_with(key, "_constraint")) return false;
    cn_buf_format(&u->text, "{\"module\": \"%s\", \"class_name\": ", ends_with(key, "_regularizer") ? "keras.regularizers" : "keras.constraints");
    cn_upgrade_put_string(u, name);
    cn_upgrade_put(u, ", \"config\": {");
    for (size_t i = 0; i < cn_json_size(value); i++) {
        const char* inner = cn_json_key_at(value, i, NULL);
        if (strcmp(inner, "name") == 0 || strcmp(inner, "p") == 0) continue;
        if (any) cn_upgrade_put(u, ", ");
        any = true;
        cn_upgrade_put_string(u, strcmp(inner, "m") == 0 ? "max_value" : inner);
        cn_upgrade_put(u, ": ");
        cn_upgrade_put_value(u, owner, NULL, cn_json_at(value, i));
    }
    cn_upgrade_put(u, "}, \"registered_name\": null}");
    return true;
}

/* An initializer and the like without a module, or with one of tf_keras. */
static void put_small_object(cn_upgrade* u, const cn_layer* owner, const char* class_name, const cn_json* value) {
    const cn_json* config = cn_json_get(value, "config");
    const char* module = cn_name_module(CN_NAME_object, class_name);
    bool any = false;

    if (!module || !cn_json_is(config, CN_JSON_OBJECT)) {
        put_dict(u, owner, value);
        return;
    }
    cn_buf_format(&u->text, "{\"module\": \"%s\", \"class_name\": ", module);
    cn_upgrade_put_string(u, class_name);
    cn_upgrade_put(u, ", \"config\": {");
    for (size_t i = 0; i < cn_json_size(config); i++) {
        const char* key = cn_json_key_at(config, i, NULL);
        if (strcmp(key, "dtype") == 0) continue; /* tf.keras 1 */
        if (any) cn_upgrade_put(u, ", ");
        any = true;
        cn_upgrade_put_string(u, key);
        cn_upgrade_put(u, ": ");
        cn_upgrade_put_value(u, owner, NULL, cn_json_at(config, i));
    }
    cn_upgrade_put(u, "}, \"registered_name\": null}");
}

static void put_policy(cn_upgrade* u, const cn_json* value) {
    const char* name = cn_json_string(cn_json_get(cn_json_get(value, "config"), "name"), NULL);

    cn_upgrade_put(u, "{\"module\": \"keras\", \"class_name\": \"DTypePolicy\", \"config\": {\"name\": ");
    cn_upgrade_put_string(u, name ? name : "float32");
    cn_upgrade_put(u, "}, \"registered_name\": null}");
}

/* A layer inside another's config. */
static void put_inner_layer(cn_upgrade* u, const cn_layer* owner, const char* key, const cn_json* value) {
    const cn_layer* layer;
    cornu_status st = cn_layer_sub(u->from, owner, value, key && *key ? key : "layer", &layer);

    if (st != CORNU_OK) {
        if (u->status == CORNU_OK) u->status = st;
        return;
    }
    cn_upgrade_put_model_or_layer(u, layer, cn_upgrade_name(u, NULL, layer->name));
    cn_upgrade_put(u, "}");
}

static bool is_layer_class(const char* class_name) {
    static const char* const more[] = {"Functional", "Sequential", "Model", "LSTMCell", "GRUCell", "SimpleRNNCell", "StackedRNNCells"};

    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        if (strcmp(more[i], class_name) == 0) return true;
    }
    return find_class(class_name) || cn_name_module(CN_NAME_layer, class_name);
}

static bool is_initializer_key(const char* key) {
    return key && (ends_with(key, "_initializer") || ends_with(key, "_regularizer") || ends_with(key, "_constraint") || ends_with(key, "init"));
}

/* An object with class_name. */
static void put_object(cn_upgrade* u, const cn_layer* owner, const char* key, const char* class_name, const cn_json* value) {
    if (strcmp(class_name, "__tuple__") == 0 || strcmp(class_name, "TensorShape") == 0) {
        put_list(u, owner, NULL, cn_json_get(value, "items"));
    } else if (strcmp(class_name, "__ellipsis__") == 0) {
        cn_upgrade_put(u, "{\"class_name\": \"__ellipsis__\", \"config\": {}}");
    } else if (strncmp(class_name, "Policy", 6) == 0 && key && strcmp(key, "dtype") == 0) {
        put_policy(u, value);
    } else if (!is_initializer_key(key) && is_layer_class(class_name) && cn_json_get(value, "config")) {
        put_inner_layer(u, owner, key, value);
    } else if (is_initializer_key(key)) {
        put_small_object(u, owner, class_name, value);
    } else {
        put_dict(u, owner, value);
    }
}

void cn_upgrade_put_value(cn_upgrade* u, const cn_layer* owner, const char* key, const cn_json* value) {
    const char* class_name = cn_json_string(cn_json_get(value, "class_name"), NULL);

    if (u->era < 3 && key && ends_with(key, "activation") && is_hard_sigmoid(value)) {
        cn_upgrade_put(u, hard_sigmoid);
    } else if (class_name) {
        put_object(u, owner, key, class_name, value);
    } else if (cn_json_is(value, CN_JSON_OBJECT)) {
        if (!key || !put_keras1_object(u, owner, key, value)) put_dict(u, owner, value);
    } else if (cn_json_is(value, CN_JSON_ARRAY)) {
        put_list(u, owner, key, value);
    } else if (u->status == CORNU_OK) {
        u->status = cn_json_print(value, &u->text);
    }
}

/* ---- a layer's config ---- */

/* A number that some versions wrote as a list of one, or as {"type": "ndarray", "value": ...}. */
static const cn_json* scalar_of(const cn_json* value) {
    if (cn_json_is(value, CN_JSON_OBJECT) && cn_json_get(value, "value") && !cn_json_get(value, "class_name")) value = cn_json_get(value, "value");
    while (cn_json_is(value, CN_JSON_ARRAY) && cn_json_size(value) == 1) value = cn_json_at(value, 0);
    return value;
}

static bool wants_scalar(const char* now, const char* key) {
    if (strcmp(now, "BatchNormalization") == 0) return strcmp(key, "axis") == 0;
    if (strcmp(now, "ReLU") == 0) return strcmp(key, "max_value") == 0 || strcmp(key, "negative_slope") == 0 || strcmp(key, "threshold") == 0;
    return strcmp(now, "LeakyReLU") == 0 && strcmp(key, "negative_slope") == 0;
}

static void put_pair(cn_upgrade* u, const cn_layer* layer, const char* now, const char* key, const cn_json* value) {
    cn_upgrade_put_string(u, key);
    cn_upgrade_put(u, ": ");
    if (wants_scalar(now, key)) value = scalar_of(value);
    if (strcmp(key, "data_format") == 0 && cn_json_equals(value, "tf")) cn_upgrade_put(u, "\"channels_last\"");
    else if (strcmp(key, "data_format") == 0 && cn_json_equals(value, "th")) cn_upgrade_put(u, "\"channels_first\"");
    else if (strcmp(key, "dtype") == 0 && strcmp(now, "InputLayer") == 0 && cn_json_is(value, CN_JSON_OBJECT))
        cn_upgrade_put(u, "\"float32\""); /* a policy; inputs are float32 under all of them */
    else if (strcmp(now, "Lambda") == 0 && strcmp(key, "function") == 0 && cn_json_is(value, CN_JSON_ARRAY)) {
        cn_upgrade_put(u, "{\"class_name\": \"__lambda__\", \"config\": {\"code\": ");
        cn_upgrade_put_value(u, layer, NULL, cn_json_at(value, 0));
        cn_upgrade_put(u, ", \"defaults\": ");
        cn_upgrade_put_value(u, layer, NULL, cn_json_at(value, 1));
        cn_upgrade_put(u, ", \"closure\": ");
        cn_upgrade_put_value(u, layer, NULL, cn_json_at(value, 2));
        cn_upgrade_put(u, "}}");
    } else {
        cn_upgrade_put_value(u, layer, key, value);
    }
}

static void put_kernel_size(cn_upgrade* u, const cn_layer* layer, bool* any) {
    static const char* const parts[] = {"nb_row", "nb_col", "kernel_dim1", "kernel_dim2", "kernel_dim3"};
    bool begun = false;

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        const cn_json* part = cn_json_get(layer->config, parts[i]);
        if (!part) continue;
        cn_upgrade_put(u, begun ? ", " : *any ? ", \"kernel_size\": [" : "\"kernel_size\": [");
        begun = true;
        cn_upgrade_put_value(u, layer, NULL, part);
    }
    if (begun) cn_upgrade_put(u, "]");
    *any = *any || begun;
}

/* Keys that the new class would take by a default that is another one. */
static void put_missing(cn_upgrade* u, const cn_layer* layer, const char* now, bool any) {
    const class_row* row = find_class(layer->class_name);
    const char* comma = any ? ", " : "";

    if (row && row->more) cn_buf_format(&u->text, "%s%s", comma, row->more);
    else if (u->era < 3 && (strcmp(now, "GRU") == 0 || strcmp(now, "GRUCell") == 0) && !cn_json_get(layer->config, "reset_after"))
        cn_buf_format(&u->text, "%s\"reset_after\": false", comma);
    if (strcmp(layer->class_name, "Merge") == 0 && cn_json_equals(cn_json_get(layer->config, "mode"), "cos"))
        cn_buf_format(&u->text, "%s\"normalize\": true", comma);
}

/* Keys of a Merge that the layer of its mode has. */
static bool merge_has(const char* now, const char* key) {
    if (strcmp(key, "name") == 0 || strcmp(key, "trainable") == 0 || strcmp(key, "dtype") == 0) return true;
    return strcmp(key, strcmp(now, "Concatenate") == 0 ? "axis" : strcmp(now, "Dot") == 0 ? "axes" : "") == 0;
}

static void put_config(cn_upgrade* u, const cn_layer* layer, const char* now, const char* name) {
    bool merge = strcmp(layer->class_name, "Merge") == 0, any = false;

    cn_upgrade_put(u, "{");
    for (size_t i = 0; i < cn_json_size(layer->config); i++) {
        const char* old = cn_json_key_at(layer->config, i, NULL);
        const char* key = new_key(u, layer, now, old);
        const cn_json* value = cn_json_at(layer->config, i);
        check_refused(u, layer, now, old, value);
        if (!key || (merge && !merge_has(now, key))) continue;
        if (strcmp(key, old) != 0 && cn_json_get(layer->config, key)) continue; /* it has the new key, too */
        if (any) cn_upgrade_put(u, ", ");
        any = true;
        if (strcmp(key, "name") == 0 && name) {
            cn_upgrade_put(u, "\"name\": ");
            cn_upgrade_put_string(u, name);
        } else {
            put_pair(u, layer, now, key, value);
        }
    }
    put_kernel_size(u, layer, &any);
    put_missing(u, layer, now, any);
    cn_upgrade_put(u, "}");
}

/* ---- a layer ---- */

/* Operations of a Keras 3 .h5 have lost their module. A merging layer takes one list, an operation of that name two tensors. */
static bool is_lost_op(const cn_upgrade* u, const cn_layer* layer) {
    const cn_json* call = cn_json_at(layer->inbound_nodes, 0);

    if (u->era < 3 || *layer->module || !cn_name_module(CN_NAME_op, layer->class_name)) return false;
    if (!cn_name_module(CN_NAME_layer, layer->class_name)) return true;
    if (cn_json_get(layer->config, "trainable")) return false; /* every layer writes it, no operation does */
    return cn_json_size(cn_json_get(call, "args")) != 1 || !cn_json_is(cn_json_at(cn_json_get(call, "args"), 0), CN_JSON_ARRAY);
}

/* Whether the layer is of a class of one's own: then nothing but the form of its object is changed. */
static void put_class(cn_upgrade* u, const cn_layer* layer, const char* now) {
    const char* module = is_lost_op(u, layer) ? cn_name_module(CN_NAME_op, now) : cn_name_module(CN_NAME_layer, now);
    bool own = *layer->module && strncmp(layer->module, "keras", 5) != 0 && strncmp(layer->module, "tf_keras", 8) != 0 &&
               strncmp(layer->module, "tensorflow", 10) != 0;

    cn_upgrade_put(u, "{\"module\": ");
    if (own || *layer->registered_name || layer->kind == CN_LAYER_OP || (!module && *layer->module)) {
        if (*layer->module) cn_upgrade_put_string(u, layer->module);
        else cn_upgrade_put(u, "null");
    } else if (module) {
        cn_upgrade_put_string(u, module);
    } else {
        cn_upgrade_put(u, "null");
    }
    cn_upgrade_put(u, ", \"class_name\": ");
    cn_upgrade_put_string(u, now);
}

static void put_registered(cn_upgrade* u, const cn_layer* layer, const char* now) {
    const cn_json* given = cn_json_get(layer->object, "registered_name");

    cn_upgrade_put(u, ", \"registered_name\": ");
    if (cn_json_is(given, CN_JSON_STRING)) cn_upgrade_put_string(u, cn_json_string(given, NULL));
    else if (is_lost_op(u, layer) || layer->kind == CN_LAYER_OP || !cn_name_module(CN_NAME_layer, now)) cn_upgrade_put_string(u, now);
    else cn_upgrade_put(u, "null");
}

void cn_upgrade_put_layer(cn_upgrade* u, const cn_layer* layer, const char* name) {
    const char* now = new_class(layer->class_name);
    const cn_json* build = cn_json_get(layer->object, "build_config");

    if (strcmp(now, "Merge") == 0 && u->era == 1) {
        now = layer->parent && layer->parent->kind == CN_LAYER_FUNCTIONAL ? merge_class(layer) : NULL;
        if (!now) {
            cn_upgrade_add_note(u, layer->name, "%s: a Merge %s has no counterpart in Keras 3", cn_layer_describe(layer),
                                merge_class(layer) ? "of the branches of a Sequential" : "of that mode");
            now = "Merge";
        }
    }
    put_class(u, layer, now);
    cn_upgrade_put(u, ", \"config\": ");
    put_config(u, layer, now, name);
    put_registered(u, layer, now);
    if (cn_json_size(build) > 0 && u->era == 3) {
        cn_upgrade_put(u, ", \"build_config\": ");
        cn_upgrade_put_value(u, layer, NULL, build);
    }
}
