/* Masks in the graph of a Functional model. Keras 3 saves those that Embedding and Masking make as operations and edges; legacy files have neither,
 * since their readers let those layers make them again. */
#include <string.h>

#include "keras/legacy_config.h"

enum { MASK_DEPTH = 64 };

static const char* text_of(const cn_json* object, const char* key) {
    const char* text = cn_json_string(cn_json_get(object, key), NULL);
    return text ? text : "";
}

const cn_json* cn_legacy_entry(const cn_json* model, const char* name) {
    const cn_json* layers = cn_json_get(model, "layers");

    for (size_t i = 0; name && i < cn_json_size(layers); i++) {
        const cn_json* entry = cn_json_at(layers, i);
        if (cn_json_equals(cn_json_get(entry, "name"), name)) return entry;
    }
    return NULL;
}

bool cn_legacy_is_operation(const cn_json* entry) { return strncmp(text_of(entry, "module"), "keras.src.ops", 13) == 0; }

const cn_json* cn_legacy_history(const cn_json* value) {
    if (!cn_json_equals(cn_json_get(value, "class_name"), "__keras_tensor__")) return NULL;
    return cn_json_get(cn_json_get(value, "config"), "keras_history");
}

bool cn_legacy_is_mask(const char* key) {
    size_t size = strlen(key);
    return size >= 4 && strcmp(key + size - 4, "mask") == 0 && strcmp(key, "attention_mask") != 0 && strcmp(key, "use_causal_mask") != 0;
}

static bool is_same_tensor(const cn_json* a, const cn_json* b) {
    int64_t x[2] = {0}, y[2] = {0};

    for (size_t i = 0; i < 2; i++) {
        if (!cn_json_int64(cn_json_at(a, i + 1), &x[i]) || !cn_json_int64(cn_json_at(b, i + 1), &y[i]) || x[i] != y[i]) return false;
    }
    return cn_json_equals(cn_json_at(a, 0), cn_json_string(cn_json_at(b, 0), NULL));
}

static const cn_json* argument_at(const cn_json* entry, size_t i) {
    return cn_json_at(cn_json_get(cn_json_at(cn_json_get(entry, "inbound_nodes"), 0), "args"), i);
}

/* Whether some Embedding or Masking of the model makes the mask (tensor != value). */
static bool is_made_by_layer(const cn_json* model, const cn_json* tensor, const cn_json* value) {
    const cn_json* layers = cn_json_get(model, "layers");

    for (size_t i = 0; i < cn_json_size(layers); i++) {
        const cn_json* entry = cn_json_at(layers, i);
        const cn_json* config = cn_json_get(entry, "config");
        const cn_json* input = cn_legacy_history(argument_at(entry, 0));
        bool zero = strcmp(text_of(entry, "class_name"), "Embedding") == 0 && cn_json_bool(cn_json_get(config, "mask_zero"));
        bool masking = strcmp(text_of(entry, "class_name"), "Masking") == 0;
        double wanted = zero ? 0 : cn_json_double(cn_json_get(config, "mask_value"));
        double found = cn_json_double(value);
        if (!input || !(zero || masking) || !is_same_tensor(input, tensor)) continue;
        if (wanted == found || (wanted != wanted && found != found)) return true;
    }
    return false;
}

/* Whether a mask comes from nothing but such layers. */
static bool is_implicit(const cn_json* model, const cn_json* value, int depth) {
    const cn_json* history = cn_legacy_history(value);
    const cn_json* entry = cn_legacy_entry(model, cn_json_string(cn_json_at(history, 0), NULL));
    const cn_json* node = cn_json_at(cn_json_get(entry, "inbound_nodes"), 0);
    const cn_json* args = cn_json_get(node, "args");

    if (!history) {
        for (size_t i = 0; i < cn_json_size(value); i++) {
            if (!is_implicit(model, cn_json_at(value, i), depth + 1)) return false;
        }
        return true; /* constants, and lists of masks */
    }
    if (!entry || !cn_legacy_is_operation(entry) || depth > MASK_DEPTH) return false;
    if (strcmp(text_of(entry, "class_name"), "ZerosLike") == 0) return true;
    if (strcmp(text_of(entry, "class_name"), "NotEqual") == 0) return is_made_by_layer(model, cn_legacy_history(cn_json_at(args, 0)), cn_json_at(args, 1));
    return is_implicit(model, args, depth + 1);
}

bool cn_legacy_is_implicit(const cn_json* model, const cn_json* value) { return is_implicit(model, value, 0); }

/* ---- operations that are used ---- */

/* The operation that a value refers to, the value being an argument or an end of the model; NULL if there is none. */
static const cn_json* operation_in(const cn_json* model, const cn_json* value) {
    const cn_json* history = cn_legacy_history(value);
    const char* name = cn_json_string(cn_json_at(history ? history : value, 0), NULL);
    const cn_json* entry = name ? cn_legacy_entry(model, name) : NULL;

    if (entry && cn_json_size(history ? history : value) == 3) return cn_legacy_is_operation(entry) ? entry : NULL;
    for (size_t i = 0; i < cn_json_size(value); i++) {
        const cn_json* found = operation_in(model, cn_json_at(value, i)); /* depth: that of JSON */
        if (found) return found;
    }
    return NULL;
}

static const cn_json* operation_of_call(const cn_json* model, const cn_json* node) {
    const cn_json* kwargs = cn_json_get(node, "kwargs");
    const cn_json* found = operation_in(model, cn_json_get(node, "args"));

    for (size_t i = 0; i < cn_json_size(kwargs) && !found; i++) {
        const char* key = cn_json_key_at(kwargs, i, NULL);
        if (!cn_legacy_is_mask(key) || !cn_legacy_is_implicit(model, cn_json_at(kwargs, i))) found = operation_in(model, cn_json_at(kwargs, i));
    }
    return found;
}

const cn_json* cn_legacy_operation(const cn_json* model) {
    const cn_json* layers = cn_json_get(model, "layers");
    const cn_json* found = operation_in(model, cn_json_get(model, "output_layers"));

    for (size_t i = 0; i < cn_json_size(layers) && !found; i++) {
        const cn_json* nodes = cn_json_get(cn_json_at(layers, i), "inbound_nodes");
        if (cn_legacy_is_operation(cn_json_at(layers, i))) continue;
        for (size_t k = 0; k < cn_json_size(nodes) && !found; k++) found = operation_of_call(model, cn_json_at(nodes, k));
    }
    return found;
}
