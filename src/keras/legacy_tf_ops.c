/* Operations of Keras 3 as the TFOpLambda layers of tf.keras:
 *
 *     {"class_name": "Multiply", "config": {"name": "multiply"}, "inbound_nodes": [{"args": [T("a", 0, 0), 2.0], "kwargs": {}}]}
 *     {"class_name": "TFOpLambda", "config": {..., "function": "math.multiply"}, "inbound_nodes": [[["a", 0, 0, {"y": 2.0}]]]}
 *
 * Only those of floats whose function computes the same: with integers TensorFlow divides and promotes in other ways. */
#include <string.h>

#include "keras/legacy_config.h"
#include "keras/upgrade_parts.h"

static bool is_number(const cn_json* value) { return cn_json_is(value, CN_JSON_INT) || cn_json_is(value, CN_JSON_FLOAT); }

/* Whether all tensors in an argument are of one dtype, a float; *dtype is it, or NULL before the first. */
static bool is_float(const cn_json* value, const char** dtype) {
    const char* found = cn_json_string(cn_json_get(cn_json_get(value, "config"), "dtype"), NULL);

    if (cn_legacy_history(value)) {
        if (!found || (strncmp(found, "float", 5) != 0 && strcmp(found, "bfloat16") != 0)) return false;
        if (*dtype && strcmp(*dtype, found) != 0) return false;
        *dtype = found;
        return true;
    }
    if (!cn_json_is(value, CN_JSON_ARRAY) || cn_json_size(value) == 0) return false;
    for (size_t i = 0; i < cn_json_size(value); i++) {
        if (!cn_legacy_history(cn_json_at(value, i)) || !is_float(cn_json_at(value, i), dtype)) return false;
    }
    return true;
}

/* One call: tensors, and behind them what the function has a name for. */
static bool is_call(const cn_tf_function* function, const cn_json* node) {
    const cn_json* args = cn_json_get(node, "args");
    const char* dtype = NULL;

    if (cn_json_size(args) != (function->second ? 2u : 1u) || cn_json_size(cn_json_get(node, "kwargs")) > 0) return false;
    if (!is_float(cn_json_at(args, 0), &dtype)) return false;
    return !function->second || is_number(cn_json_at(args, 1)) || (cn_legacy_history(cn_json_at(args, 1)) && is_float(cn_json_at(args, 1), &dtype));
}

static const char* their_key(const cn_tf_function* function, const char* ours) {
    for (size_t i = 0; i < 3 && function->keys[i]; i++) {
        const char* equals = strchr(function->keys[i], '=');
        if (equals && strcmp(equals + 1, ours) == 0) return function->keys[i];
    }
    return NULL;
}

bool cn_legacy_tf_function(const cn_json* entry, cn_tf_function* out) {
    const cn_json *config = cn_json_get(entry, "config"), *nodes = cn_json_get(entry, "inbound_nodes");
    const char* name = cn_json_string(cn_json_get(entry, "class_name"), NULL);

    if (!cn_legacy_is_operation(entry) || !name || !cn_upgrade_tensorflow_of(name, out) || cn_json_size(nodes) == 0) return false;
    for (size_t i = 0; i < cn_json_size(config); i++) {
        const char* key = cn_json_key_at(config, i, NULL);
        if (strcmp(key, "name") != 0 && !their_key(out, key)) return false;
    }
    for (size_t i = 0; i < cn_json_size(nodes); i++) {
        if (!is_call(out, cn_json_at(nodes, i))) return false;
    }
    return true;
}

cornu_status cn_legacy_tf_attributes(const cn_json* entry, const cn_tf_function* function, bool* first, cn_buf* out) {
    const cn_json* config = cn_json_get(entry, "config");

    for (size_t i = 0; i < cn_json_size(config); i++) {
        const char* theirs = their_key(function, cn_json_key_at(config, i, NULL));
        if (!theirs) continue;
        cn_legacy_key(out, first, theirs, strcspn(theirs, "="));
        CN_TRY(cn_json_print(cn_json_at(config, i), out));
    }
    return CORNU_OK;
}
