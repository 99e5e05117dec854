/* A config of Keras 3.15's form as tf.keras 2.15 reads it.
 *
 *     Keras 3: {"args": [T("a", 0, 0), T("b", 0, 0)], "kwargs": {"mask": null}}     tf.keras: [["a", 0, 0, {"value": ["b", 0, 0]}]]
 *     "dtype": {"class_name": "DTypePolicy", "config": {"name": "float32"}, ...}    "float32"
 *
 * Keys that tf.keras lacks are left out where they say what it does anyway; all else that it lacks, or takes for something else, is refused by
 * name. Masks are edges in Keras 3; tf.keras makes those of Embedding and Masking itself, so these edges and their operations go. */
#include <string.h>

#include "keras/legacy_config.h"
#include "keras/upgrade_parts.h"

typedef struct tf_printer {
    const cn_document* doc;
    cn_buf* out;
    const char* layer; /* name of the innermost layer, for messages */
} tf_printer;

static cornu_status print_value(const tf_printer* cx, const cn_json* value);
static cornu_status print_object(const tf_printer* cx, const cn_json* object);

static void put(const tf_printer* cx, const char* text) { cn_buf_text(cx->out, text); }
static void put_string(const tf_printer* cx, const char* text) { cn_json_print_string(cx->out, text, strlen(text)); }

static const char* text_of(const cn_json* object, const char* key) {
    const char* text = cn_json_string(cn_json_get(object, key), NULL);
    return text ? text : "";
}

static bool begins(const char* text, const char* begin) { return strncmp(text, begin, strlen(begin)) == 0; }

/* ---- what tf.keras lacks ---- */

/* Keys of Keras 3 alone. same: the JSON texts of values that say what tf.keras does, parted by '|'; "*": any value is left out, since it changes
 * no result of tf.keras. */
static const struct {
    const char* class_name; /* "*": any; "Random*": that begin so */
    const char* key;
    const char* same;
} lacking[] = {
    {"*", "quantization_config", "null"},
    {"*", "lora_rank", "null"},
    {"*", "lora_alpha", "*"},
    {"*", "gptq_unpacked_column_size", "*"},
    {"*", "input_axes", "null"},
    {"*", "output_axes", "null"},
    {"*", "use_cudnn", "*"},
    {"*", "flash_attention", "*"},
    {"*", "bounding_box_format", "*"},
    {"ConvLSTM*", "seed", "null"},
    {"ConvLSTM*", "zero_output_for_mask", "false"},
    {"SimpleRNN", "seed", "null"},
    {"MultiHeadAttention", "seed", "null"},
    {"MultiHeadAttention", "use_gate", "false"},
    {"MultiHeadAttention", "sliding_window", "null"},
    {"AdditiveAttention", "score_mode", "*"},
    {"LayerNormalization", "rms_scaling", "false"},
    {"IntegerLookup", "vocabulary_size", "*"},
    {"StringLookup", "vocabulary_size", "*"},
    {"TextVectorization", "vocabulary_size", "*"},
    {"CenterCrop", "data_format", "\"channels_last\"|null"},
    {"Random*", "data_format", "\"channels_last\"|null"},
    {"Resizing", "data_format", "\"channels_last\"|null"},
    {"ZeroPadding1D", "data_format", "\"channels_last\"|null"},
    {"Resizing", "antialias", "false"},
    {"Resizing", "pad_to_aspect_ratio", "false"},
    {"Resizing", "fill_mode", "*"},
    {"Resizing", "fill_value", "*"},
    {"RandomContrast", "value_range", "*"},
    {"IntegerLookup", "oov_method", "\"floormod\"|null"},
    {"IntegerLookup", "salt", "null"},
    {"StringLookup", "oov_method", "\"floormod\"|null"},
    {"StringLookup", "salt", "null"},
    {"InputLayer", "optional", "false"},
};

static bool fits(const char* pattern, const char* name) {
    size_t size = strlen(pattern);
    return pattern[size - 1] == '*' ? strncmp(pattern, name, size - 1) == 0 : strcmp(pattern, name) == 0;
}

static bool says_the_same(const char* same, const cn_json* value) {
    size_t size;
    const char* text = cn_json_text(value, &size);

    if (strcmp(same, "*") == 0) return true;
    if (cn_json_type_of(value) == CN_JSON_NULL) text = "null", size = 4;
    while (text && same) {
        const char* bar = strchr(same, '|');
        if ((bar ? (size_t)(bar - same) : strlen(same)) == size && memcmp(same, text, size) == 0) return true;
        same = bar ? bar + 1 : NULL;
    }
    return false;
}

/* Whether the key is to be left out. */
static cornu_status check_key(const tf_printer* cx, const char* class_name, const char* key, const cn_json* value, bool* leave) {
    *leave = false;
    for (size_t i = 0; i < sizeof lacking / sizeof *lacking; i++) {
        if (strcmp(lacking[i].key, key) != 0 || !fits(lacking[i].class_name, class_name)) continue;
        if (!says_the_same(lacking[i].same, value))
            return CN_FAIL(UNSUPPORTED, "%s: layer '%s' (%s): tf.keras has no '%s', so that it must be %s", cx->doc->name, cx->layer, class_name, key,
                           lacking[i].same);
        *leave = true;
    }
    return CORNU_OK;
}

static const char* const missing_classes[] = {
    "AdaptiveAveragePooling1D", "AdaptiveAveragePooling2D", "AdaptiveAveragePooling3D", "AdaptiveMaxPooling1D", "AdaptiveMaxPooling2D",
    "AdaptiveMaxPooling3D", "AugMix", "AutoContrast", "ContrastLimitedAdaptiveHistogramEqualization", "CutMix", "Equalization", "FlaxLayer",
    "GroupQueryAttention", "JaxLayer", "MaxNumBoundingBoxes", "MelSpectrogram", "MixUp", "Pipeline", "RMSNormalization", "SpectralNormalization", "RandAugment",
    "RandomColorDegeneration", "RandomColorJitter", "RandomElasticTransform", "RandomErasing", "RandomGaussianBlur", "RandomGrayscale",
    "RandomHue", "RandomInvert", "RandomPerspective", "RandomPosterization", "RandomSaturation", "RandomSharpness", "RandomShear",
    "ReversibleEmbedding", "STFTSpectrogram", "Solarization", "TFSMLayer", "TorchModuleWrapper", "STFT", "CTC",
    "CategoricalGeneralizedCrossEntropy", "Circle", "Dice", "Tversky", "ConcordanceCorrelation", "PearsonCorrelation"};

/* Activations that tf.keras has, with the same values. Its hard_sigmoid is another function. */
static const char* const activations[] = {"elu",     "exponential", "gelu",     "linear", "mish",  "relu", "selu",
                                          "sigmoid", "softmax",     "softplus", "softsign", "swish", "tanh"};

static bool is_one_of(const char* text, const char* const* list, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (strcmp(list[i], text) == 0) return true;
    }
    return false;
}

static cornu_status print_activation(const tf_printer* cx, const char* key, const char* name) {
    if (strcmp(name, "silu") == 0) name = "swish";
    if (!strchr(name, '>') && !is_one_of(name, activations, sizeof activations / sizeof *activations))
        return CN_FAIL(UNSUPPORTED, "%s: layer '%s': %s is '%s', which tf.keras %s", cx->doc->name, cx->layer, key, name,
                       strcmp(name, "hard_sigmoid") == 0 ? "computes in another way" : "does not have");
    put_string(cx, name);
    return CORNU_OK;
}

/* ---- objects ---- */

/* "float32"; {"class_name": "Policy", "config": {"name": "mixed_float16"}}. */
static cornu_status print_policy(const tf_printer* cx, const cn_json* object) {
    const char* name = text_of(cn_json_get(object, "config"), "name");

    if (strcmp(text_of(object, "class_name"), "DTypePolicy") != 0 || !*name || begins(name, "int8") || begins(name, "float8"))
        return CN_FAIL(UNSUPPORTED, "%s: layer '%s': tf.keras has no dtype policy of class %s '%s'", cx->doc->name, cx->layer,
                       text_of(object, "class_name"), name);
    if (!begins(name, "mixed_")) {
        put_string(cx, name);
        return CORNU_OK;
    }
    put(cx, "{\"class_name\": \"Policy\", \"config\": {\"name\": ");
    put_string(cx, name);
    put(cx, "}}");
    return CORNU_OK;
}

static bool is_activation_key(const char* key) {
    return strcmp(key, "activation") == 0 || strcmp(key, "recurrent_activation") == 0;
}

static bool is_loss(const cn_json* object) { return begins(text_of(object, "module"), "keras.losses"); }

/* Layers whose dtype is that of their inputs and outputs in tf.keras. */
static bool has_own_dtype(const char* class_name) {
    return strcmp(class_name, "StringLookup") == 0 || strcmp(class_name, "IntegerLookup") == 0 || strcmp(class_name, "TextVectorization") == 0;
}

/* A member of an object's config under tf.keras's name of the key. */
static cornu_status print_member(const tf_printer* cx, const cn_json* object, const char* key, const cn_json* value, bool* first) {
    const char* class_name = text_of(object, "class_name");
    const char* shown = key;
    bool leave;

    CN_TRY(check_key(cx, class_name, key, value, &leave));
    if (leave || (strcmp(key, "dtype") == 0 && (is_loss(object) || has_own_dtype(class_name)))) return CORNU_OK;
    /* Only one of the two may be given. */
    if (strcmp(key, "num_bins") == 0 && cn_json_size(cn_json_get(cn_json_get(object, "config"), "bin_boundaries")) > 0) return CORNU_OK;
    if (strcmp(class_name, "InputLayer") == 0 && strcmp(key, "batch_shape") == 0) shown = "batch_input_shape";
    if (strcmp(class_name, "LeakyReLU") == 0 && strcmp(key, "negative_slope") == 0) shown = "alpha";
    cn_legacy_key(cx->out, first, shown, strlen(shown));
    if (is_activation_key(key) && cn_json_is(value, CN_JSON_STRING)) return print_activation(cx, key, cn_json_string(value, NULL));
    return print_value(cx, value);
}

/* tf.keras builds the layer from these; where they are null, its first call does. */
static cornu_status print_attention_shapes(const tf_printer* cx, const cn_json* object, bool* first) {
    static const char* const keys[] = {"query_shape", "key_shape", "value_shape"};
    const cn_json* shapes = cn_json_get(cn_json_get(object, "build_config"), "shapes_dict");

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const cn_json* shape = cn_json_get(shapes, keys[i]);
        cn_legacy_key(cx->out, first, keys[i], strlen(keys[i]));
        CN_TRY(cn_json_print(shape || i != 1 ? shape : cn_json_get(shapes, "value_shape"), cx->out));
    }
    return CORNU_OK;
}

static cornu_status print_config(const tf_printer* cx, const cn_json* object) {
    const cn_json* config = cn_json_get(object, "config");
    bool first = true;

    if (!cn_json_is(config, CN_JSON_OBJECT)) return print_value(cx, config);
    put(cx, "{");
    for (size_t i = 0; i < cn_json_size(config); i++)
        CN_TRY(print_member(cx, object, cn_json_key_at(config, i, NULL), cn_json_at(config, i), &first));
    if (strcmp(text_of(object, "class_name"), "MultiHeadAttention") == 0) CN_TRY(print_attention_shapes(cx, object, &first));
    put(cx, "}");
    return CORNU_OK;
}

static cornu_status print_model_config(const tf_printer* cx, const cn_json* object);

/* {"class_name": ..., "config": ... without the closing brace. */
static cornu_status print_head(const tf_printer* cx, const cn_json* object) {
    const char* class_name = cn_legacy_class(object);
    const char* name = text_of(cn_json_get(object, "config"), "name");
    tf_printer inner = {cx->doc, cx->out, *name ? name : cx->layer};

    if (!class_name || is_one_of(class_name, missing_classes, sizeof missing_classes / sizeof *missing_classes))
        return CN_FAIL(UNSUPPORTED, "%s: layer '%s': tf.keras has no class %s", cx->doc->name, inner.layer, class_name ? class_name : "without a name");
    if (begins(class_name, "__"))
        return CN_FAIL(UNSUPPORTED, "%s: layer '%s': a value of class %s has no form in tf.keras's files", cx->doc->name, inner.layer, class_name);
    put(cx, "{\"class_name\": ");
    put_string(cx, class_name);
    put(cx, ", \"config\": ");
    return cn_legacy_is_model(object) ? print_model_config(&inner, object) : print_config(&inner, object);
}

static cornu_status print_object(const tf_printer* cx, const cn_json* object) {
    const char* class_name = text_of(object, "class_name");

    if (begins(class_name, "DTypePolicy") || strcmp(text_of(object, "module"), "keras.dtype_policies") == 0) return print_policy(cx, object);
    if (strcmp(class_name, "function") == 0) {
        put_string(cx, text_of(object, "config")); /* the registered name */
        return CORNU_OK;
    }
    CN_TRY(print_head(cx, object));
    put(cx, "}");
    return CORNU_OK;
}

/* Any value, objects below it included. Depth: that of JSON. */
static cornu_status print_value(const tf_printer* cx, const cn_json* value) {
    bool object = cn_json_is(value, CN_JSON_OBJECT), first = true;

    if (!object && !cn_json_is(value, CN_JSON_ARRAY)) return cn_json_print(value, cx->out);
    if (object && cn_json_is(cn_json_get(value, "class_name"), CN_JSON_STRING) && cn_json_get(value, "config")) return print_object(cx, value);
    put(cx, object ? "{" : "[");
    for (size_t i = 0; i < cn_json_size(value); i++) {
        size_t size = 0;
        const char* key = object ? cn_json_key_at(value, i, &size) : NULL;
        if (key) cn_legacy_key(cx->out, &first, key, size);
        else if (i > 0) put(cx, ", ");
        CN_TRY(print_value(cx, cn_json_at(value, i)));
    }
    put(cx, object ? "}" : "]");
    return cn_buf_check(cx->out);
}

/* ---- references between layers ---- */

/* Making a nested model is its call 0 in tf.keras, where it begins with its own inputs. */
static bool counts_from_one(const cn_json* entry) {
    return cn_legacy_is_model(entry) &&
           cn_json_equals(cn_json_get(cn_json_at(cn_json_get(cn_json_get(entry, "config"), "layers"), 0), "class_name"), "InputLayer");
}

/* ["dense", 0, 0 without the closing bracket. history: [layer, call, tensor]. shifted: a Functional's calls are counted from 1 already. */
static cornu_status print_triple(const tf_printer* cx, const cn_json* model, const cn_json* history, bool shifted) {
    const char* name = cn_json_string(cn_json_at(history, 0), NULL);
    const cn_json* entry = cn_legacy_entry(model, name);
    int64_t call = 0, tensor = 0;
    cn_tf_function function;

    if (!entry || !cn_json_int64(cn_json_at(history, 1), &call) || !cn_json_int64(cn_json_at(history, 2), &tensor))
        return CN_FAIL(BAD_FILE, "%s: layer '%s' is called on a tensor that no layer of the model gives", cx->doc->name, cx->layer);
    if (cn_legacy_is_operation(entry) && !cn_legacy_tf_function(entry, &function))
        return CN_FAIL(UNSUPPORTED, "%s: operation '%s' (%s) has no form in tf.keras's files", cx->doc->name, name, text_of(entry, "class_name"));
    if (counts_from_one(entry) && !(shifted && !cn_json_equals(cn_json_get(entry, "class_name"), "Sequential"))) call++;
    put(cx, "[");
    put_string(cx, name);
    cn_buf_format(cx->out, ", %lld, %lld", (long long)call, (long long)tensor);
    return CORNU_OK;
}

static bool has_tensor(const cn_json* value) {
    if (cn_legacy_history(value)) return true;
    for (size_t i = 0; i < cn_json_size(value); i++) {
        if (has_tensor(cn_json_at(value, i))) return true;
    }
    return false;
}

/* A keyword's value: tensors as triples, all else as it is. */
static cornu_status print_argument(const tf_printer* cx, const cn_json* model, const cn_json* value) {
    const cn_json* history = cn_legacy_history(value);

    if (history) {
        CN_TRY(print_triple(cx, model, history, false));
        put(cx, "]");
        return CORNU_OK;
    }
    if (!has_tensor(value)) return print_value(cx, value);
    if (!cn_json_is(value, CN_JSON_ARRAY))
        return CN_FAIL(UNSUPPORTED, "%s: layer '%s' is called on tensors in a %s, which tf.keras's files cannot say", cx->doc->name, cx->layer,
                       cn_json_type_name(value));
    put(cx, "[");
    for (size_t i = 0; i < cn_json_size(value); i++) {
        if (i > 0) put(cx, ", ");
        CN_TRY(print_argument(cx, model, cn_json_at(value, i)));
    }
    put(cx, "]");
    return CORNU_OK;
}

/* ---- calls ---- */

/* Whether a keyword of a call is left out: masks that tf.keras makes itself, and `training`, which a run decides. */
static cornu_status leaves_keyword(const tf_printer* cx, const cn_json* model, const char* key, const cn_json* value, bool* leave) {
    *leave = cn_json_type_of(value) == CN_JSON_NULL || strcmp(key, "training") == 0;
    if (*leave || !cn_legacy_is_mask(key)) return CORNU_OK;
    *leave = cn_legacy_is_implicit(model, value);
    if (!*leave && strcmp(key, "mask") != 0)
        return CN_FAIL(UNSUPPORTED, "%s: layer '%s' is called with %s, which tf.keras does not have", cx->doc->name, cx->layer, key);
    return CORNU_OK;
}

/* Names of positional arguments behind the first. */
static const struct {
    const char* class_name;
    const char* names[2];
} positional[] = {
    {"MultiHeadAttention", {"value", "key"}},
    {"LSTM", {"initial_state", NULL}},
    {"GRU", {"initial_state", NULL}},
    {"SimpleRNN", {"initial_state", NULL}},
    {"RNN", {"initial_state", NULL}},
    {"Bidirectional", {"initial_state", NULL}},
    {"ConvLSTM*", {"initial_state", NULL}},
};

static const char* positional_name(const char* class_name, size_t i) {
    for (size_t k = 0; i >= 1 && i <= 2 && k < sizeof positional / sizeof *positional; k++) {
        if (fits(positional[k].class_name, class_name)) return positional[k].names[i - 1];
    }
    return NULL;
}

/* {"initial_state": [["a", 0, 0]], ...} */
static cornu_status print_keywords(const tf_printer* cx, const cn_json* model, const cn_json* entry, const cn_json* node) {
    const cn_json* args = cn_json_get(node, "args");
    const cn_json* kwargs = cn_json_get(node, "kwargs");
    bool first = true, leave;
    cn_tf_function function;
    bool operation = cn_legacy_tf_function(entry, &function);

    put(cx, "{");
    if (operation) CN_TRY(cn_legacy_tf_attributes(entry, &function, &first, cx->out));
    for (size_t i = 1; i < cn_json_size(args); i++) {
        const char* key = operation ? function.second : positional_name(text_of(entry, "class_name"), i);
        if (cn_json_type_of(cn_json_at(args, i)) == CN_JSON_NULL) continue;
        if (!key)
            return CN_FAIL(UNSUPPORTED, "%s: layer '%s' (%s) is called with %zu arguments, whose names in tf.keras are not known", cx->doc->name,
                           cx->layer, text_of(entry, "class_name"), cn_json_size(args));
        cn_legacy_key(cx->out, &first, key, strlen(key));
        CN_TRY(print_argument(cx, model, cn_json_at(args, i)));
    }
    for (size_t i = 0; i < cn_json_size(kwargs); i++) {
        size_t size;
        const char* key = cn_json_key_at(kwargs, i, &size);
        CN_TRY(leaves_keyword(cx, model, key, cn_json_at(kwargs, i), &leave));
        if (leave) continue;
        cn_legacy_key(cx->out, &first, key, size);
        CN_TRY(print_argument(cx, model, cn_json_at(kwargs, i)));
    }
    put(cx, "}");
    return CORNU_OK;
}

/* One call: its first argument's tensors, each with the keywords. */
static cornu_status print_call(const tf_printer* cx, const cn_json* model, const cn_json* entry, const cn_json* node) {
    const cn_json* input = cn_json_at(cn_json_get(node, "args"), 0);
    size_t count = cn_legacy_history(input) ? 1 : cn_json_size(input);
    bool bare = cn_legacy_is_operation(entry) && cn_legacy_history(input); /* a function gets the list where there is one */

    if (!cn_legacy_history(input) && (!cn_json_is(input, CN_JSON_ARRAY) || count == 0))
        return CN_FAIL(UNSUPPORTED, "%s: layer '%s' (%s) is not called on a tensor or a list of tensors; tf.keras's files cannot say that", cx->doc->name,
                       cx->layer, text_of(entry, "class_name"));
    if (!bare) put(cx, "[");
    for (size_t i = 0; i < count; i++) {
        const cn_json* history = cn_legacy_history(cn_legacy_history(input) ? input : cn_json_at(input, i));
        if (!history)
            return CN_FAIL(UNSUPPORTED, "%s: layer '%s' (%s): number %zu of what it is called on is no tensor; tf.keras's files cannot say that",
                           cx->doc->name, cx->layer, text_of(entry, "class_name"), i);
        if (i > 0) put(cx, ", ");
        CN_TRY(print_triple(cx, model, history, false));
        put(cx, ", ");
        CN_TRY(print_keywords(cx, model, entry, node));
        put(cx, "]");
    }
    if (!bare) put(cx, "]");
    return CORNU_OK;
}

/* ---- models ---- */

/* TensorFlow makes a scope of a layer's name. */
static cornu_status check_name(const tf_printer* cx, const cn_json* entry) {
    const char* name = text_of(cn_json_get(entry, "config"), "name");
    bool fine = (*name >= 'A' && *name <= 'Z') || (*name >= 'a' && *name <= 'z') || (*name >= '0' && *name <= '9') || *name == '.';

    for (const char* c = name; fine && *c; c++)
        fine = (*c >= 'A' && *c <= 'Z') || (*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || strchr("._\\/>-", *c);
    if (fine || cn_legacy_is_model(entry) || strcmp(text_of(entry, "class_name"), "InputLayer") == 0) return CORNU_OK;
    return CN_FAIL(UNSUPPORTED, "%s: layer '%s': tf.keras takes only letters of ASCII, digits and ._\\/>- in a layer's name", cx->doc->name, name);
}

static cornu_status print_operation(const tf_printer* cx, const cn_tf_function* function) {
    put(cx, "{\"class_name\": \"TFOpLambda\", \"config\": {\"name\": ");
    put_string(cx, cx->layer);
    put(cx, ", \"trainable\": true, \"dtype\": \"float32\", \"function\": ");
    put_string(cx, function->name);
    put(cx, "}");
    return CORNU_OK;
}

static cornu_status print_entry(const tf_printer* cx, const cn_json* model, const cn_json* entry, bool functional) {
    const cn_json* name = cn_json_get(entry, "name");
    const cn_json* nodes = cn_json_get(entry, "inbound_nodes");
    tf_printer inner = {cx->doc, cx->out, text_of(entry, "name")};
    cn_tf_function function;

    CN_TRY(check_name(cx, entry));
    if (!functional) return print_object(cx, entry);
    CN_TRY(cn_legacy_tf_function(entry, &function) ? print_operation(&inner, &function) : print_head(&inner, entry));
    put(cx, ", \"name\": ");
    CN_TRY(cn_json_print(name, cx->out));
    put(cx, ", \"inbound_nodes\": [");
    for (size_t i = 0; i < cn_json_size(nodes); i++) {
        if (i > 0) put(cx, ", ");
        CN_TRY(print_call(&inner, model, entry, cn_json_at(nodes, i)));
    }
    put(cx, "]}");
    return CORNU_OK;
}

static cornu_status print_layers(const tf_printer* cx, const cn_json* model, const cn_json* layers, bool functional) {
    cn_tf_function function;
    bool first = true;

    put(cx, "[");
    for (size_t i = 0; i < cn_json_size(layers); i++) {
        const cn_json* entry = cn_json_at(layers, i);
        if (functional && cn_legacy_is_operation(entry) && !cn_legacy_tf_function(entry, &function))
            continue; /* of a mask; another one is refused where it is used */
        if (!first) put(cx, ", ");
        first = false;
        CN_TRY(print_entry(cx, model, entry, functional));
    }
    put(cx, "]");
    return CORNU_OK;
}

static bool is_triple(const cn_json* value) {
    return cn_json_is(value, CN_JSON_ARRAY) && cn_json_size(value) == 3 && cn_json_is(cn_json_at(value, 0), CN_JSON_STRING);
}

/* input_layers and output_layers: lists, objects and triples. */
static cornu_status print_ends(const tf_printer* cx, const cn_json* model, const cn_json* value) {
    bool object = cn_json_is(value, CN_JSON_OBJECT), first = true;

    if (is_triple(value)) {
        CN_TRY(print_triple(cx, model, value, true));
        put(cx, "]");
        return CORNU_OK;
    }
    put(cx, object ? "{" : "[");
    for (size_t i = 0; i < cn_json_size(value); i++) {
        size_t size = 0;
        const char* key = object ? cn_json_key_at(value, i, &size) : NULL;
        if (key) cn_legacy_key(cx->out, &first, key, size);
        else if (i > 0) put(cx, ", ");
        CN_TRY(print_ends(cx, model, cn_json_at(value, i)));
    }
    put(cx, object ? "}" : "]");
    return CORNU_OK;
}

static cornu_status print_model_config(const tf_printer* cx, const cn_json* object) {
    const cn_json* model = cn_json_get(object, "config");
    bool functional = strcmp(text_of(object, "class_name"), "Sequential") != 0, first = true;

    put(cx, "{");
    for (size_t i = 0; i < cn_json_size(model); i++) {
        size_t size;
        const char* key = cn_json_key_at(model, i, &size);
        const cn_json* value = cn_json_at(model, i);
        bool ends = strcmp(key, "input_layers") == 0 || strcmp(key, "output_layers") == 0;
        cn_legacy_key(cx->out, &first, key, size);
        if (strcmp(key, "layers") == 0) CN_TRY(print_layers(cx, model, value, functional));
        else if (!functional || !ends) CN_TRY(print_value(cx, value));
        else {
            if (is_triple(value)) put(cx, "[");
            CN_TRY(print_ends(cx, model, value));
            if (is_triple(value)) put(cx, "]");
        }
    }
    put(cx, "}");
    return cn_buf_check(cx->out);
}

cornu_status cn_legacy_print_tf_model(const cn_document* doc, const cn_json* object, cn_buf* out) {
    tf_printer cx = {doc, out, ""};

    CN_TRY(print_head(&cx, object));
    put(&cx, "}");
    return cn_buf_check(out);
}

cornu_status cn_legacy_print_tf_value(const cn_document* doc, const cn_json* value, cn_buf* out) {
    tf_printer cx = {doc, out, "(compile)"};

    CN_TRY(print_value(&cx, value));
    return cn_buf_check(out);
}
