/* Legacy HDF5 as Keras 3.15 reads it: layers without modules, found by their class among keras.layers; weights by position; the compile state by
 * names of functions alone. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "keras/check.h"
#include "keras/naming.h"

#define CONVERT "Write it as .keras: 'cornu convert' brings it to the form of Keras 3.15."

static bool begins(const char* text, const char* begin) { return strncmp(text, begin, strlen(begin)) == 0; }

static cornu_status problem(cn_check* check, const char* code, const cn_layer* layer, const char* what) {
    return cn_check_add(check, CORNU_PROBLEM, "keras", code, layer ? cn_layer_describe(layer) : "model_config", CONVERT, "%s", what);
}

/* Keys that the reader renames before the class sees them. */
static bool is_renamed(const char* key) { return strcmp(key, "batch_input_shape") == 0 || strcmp(key, "__passive_serialization__") == 0; }

static cornu_status check_keys(const cn_layer* layer, const char* keys, cn_check* check) {
    bool lambda = strcmp(layer->class_name, "Lambda") == 0;

    for (size_t i = 0; i < cn_json_size(layer->config); i++) {
        const char* key = cn_json_key_at(layer->config, i, NULL);
        if (cn_is_word_of(keys, key) || is_renamed(key)) continue;
        if (lambda && cn_is_word_of("module function_type output_shape_type output_shape_module", key)) continue;
        CN_TRY(cn_check_add(check, CORNU_PROBLEM, "keras", "unknown-key", cn_layer_describe(layer), CONVERT,
                            "key '%s' is none that class '%s' of Keras 3.15 takes", key, layer->class_name));
    }
    return CORNU_OK;
}

/* Whether the layer, or a small object in its config, has a function whose meaning has changed. */
static bool has_hard_sigmoid(const cn_layer* layer) {
    for (size_t i = 0; i < cn_json_size(layer->config); i++) {
        const char* key = cn_json_key_at(layer->config, i, NULL);
        if ((strstr(key, "activation")) && cn_json_equals(cn_json_at(layer->config, i), "hard_sigmoid")) return true;
    }
    return false;
}

static cornu_status check_layer(const cn_document* doc, const cn_layer* layer, cn_check* check) {
    bool exported = strcmp(cn_naming_python(layer->class_name), layer->class_name) == 0; /* the reader knows classes by their Python names */
    const char* keys = exported ? cn_keras_keys("keras.layers", cn_naming_exported(layer->class_name)) : NULL;
    bool old = !begins(doc->writer_version, "3.");

    if (strcmp(layer->class_name, "InputLayer") == 0 || layer->kind == CN_LAYER_FUNCTIONAL || layer->kind == CN_LAYER_SEQUENTIAL) return CORNU_OK;
    if (!keys) {
        if (cn_check_is_declared(check, layer->class_name))
            return cn_check_add(check, CORNU_NOTE, "keras", "declared-custom", cn_layer_describe(layer), "Pass it as custom_objects when you load the model.",
                                "'%s' is a custom object, declared by the caller", layer->class_name);
        return cn_check_add(check, CORNU_PROBLEM, "keras", "unknown-class", cn_layer_describe(layer), CONVERT, "class '%s' is no layer of Keras 3.15", layer->class_name);
    }
    {
        cornu_status st = cn_config_check_object(doc->name, layer->name, layer->object);
        if (st == CORNU_REFUSED)
            return cn_check_add(check, CORNU_PROBLEM, "keras", "code", cn_layer_describe(layer), "Load it with safe_mode=False if you trust its author.",
                                "it holds code, which Keras refuses in safe_mode");
        CN_TRY(st);
    }
    CN_TRY(check_keys(layer, keys, check));
    if (cn_json_equals(cn_json_get(cn_json_get(layer->config, "dtype"), "class_name"), "Policy"))
        CN_TRY(problem(check, "dtype-policy", layer, "key 'dtype' is a Policy object of tf.keras, with which Keras 3 fails"));
    if (old && has_hard_sigmoid(layer))
        CN_TRY(problem(check, "changed-meaning", layer, "an activation is \"hard_sigmoid\", by which Keras 3 means another function than the Keras that wrote the file"));
    return CORNU_OK;
}

/* An operation of Keras 3 lost its module: the class of that name among the layers is another thing. */
static bool is_operation_call(const cn_layer* layer) {
    for (size_t i = 0; i < cn_json_size(layer->inbound_nodes); i++) {
        const cn_json* args = cn_json_get(cn_json_at(layer->inbound_nodes, i), "args");
        if (cn_json_size(args) > 1 && !cn_json_get(layer->config, "trainable") && cn_keras_has_op(layer->class_name)) return true;
    }
    return false;
}

/* tf.keras counts the calls of a nested model from 1. Keras 3 corrects the model's outputs for that, but not its edges. */
static cornu_status check_edges(const cn_layer* model, const cn_layer* layer, cn_check* check) {
    for (size_t i = 0; i < cn_json_size(layer->inbound_nodes); i++) {
        const cn_json* node = cn_json_at(layer->inbound_nodes, i);
        for (size_t k = 0; cn_json_is(node, CN_JSON_ARRAY) && k < cn_json_size(node); k++) {
            const cn_json* entry = cn_json_at(node, k);
            const char* name = cn_json_string(cn_json_at(entry, 0), NULL);
            const cn_layer* producer = name ? cn_layer_find(model, name) : NULL;
            int64_t call = 0;
            if (!producer || producer->kind == CN_LAYER_PLAIN || !cn_json_int64(cn_json_at(entry, 1), &call)) continue;
            if (call > 0 && (uint64_t)call >= cn_json_size(producer->inbound_nodes))
                return problem(check, "dangling-reference", layer, "it is called on a nested model in the counting of tf.keras, which Keras 3 does not follow");
        }
    }
    return CORNU_OK;
}

static cornu_status check_model(const cn_document* doc, const cn_layer* model, cn_check* check) {
    if (model->kind == CN_LAYER_SEQUENTIAL && cn_json_is(model->config, CN_JSON_ARRAY))
        CN_TRY(problem(check, "legacy-value", model->parent ? model : NULL, "the config of the Sequential is a list, as before Keras 2.1, with which Keras 3 fails"));
    for (size_t i = 0; i < model->layer_count; i++) {
        const cn_layer* layer = model->layers[i];
        if (is_operation_call(layer)) CN_TRY(problem(check, "lost-operation", layer, "it is an operation, which Keras 3 takes for the layer of that name"));
        else CN_TRY(check_layer(doc, layer, check));
        CN_TRY(check_edges(model, layer, check));
        CN_TRY(check_model(doc, layer, check)); /* depth: that of JSON */
    }
    return CORNU_OK;
}

/* Weights that Keras 1 and Theano laid out in another way: Keras 3 converts none. */
static cornu_status check_weights(const cn_document* doc, cn_check* check) {
    bool first = begins(doc->writer_version, "1.") || !*doc->writer_version;

    if (!first && strcmp(doc->backend, "theano") != 0) return CORNU_OK;
    return cn_check_add(check, CORNU_PROBLEM, "keras", "weight-order", "model_weights", CONVERT,
                        "the weights were written by %s, whose kernels may lie in another order; Keras 3 converts none", first ? "Keras 1" : "Keras with Theano");
}

/* ---- training_config ---- */

static cornu_status check_losses(const cn_json* value, cn_check* check, int depth) {
    static const char* const aliases[] = {"mse", "mae", "mape", "msle", "bce", "kld"};
    const char* text = cn_json_string(value, NULL);

    for (size_t i = 0; text && i < sizeof aliases / sizeof *aliases; i++) {
        if (strcasecmp(aliases[i], text) == 0)
            return cn_check_add(check, CORNU_PROBLEM, "keras", "loss-alias", "training_config", "Load it with compile=False, or write it as .keras with 'cornu convert'.",
                                "loss '%s' is a short name that Keras does not resolve when it reads .h5", text);
    }
    for (size_t i = 0; depth < 4 && !cn_json_get(value, "class_name") && i < cn_json_size(value); i++) CN_TRY(check_losses(cn_json_at(value, i), check, depth + 1));
    return CORNU_OK;
}

static cornu_status check_training(const cn_document* doc, cn_check* check) {
    const cn_json* training = doc->training && doc->compile ? cn_json_root(doc->training) : NULL;

    if (!training) return CORNU_OK;
    CN_TRY(check_losses(cn_json_get(training, "loss"), check, 0));
    return cn_check_add(check, CORNU_NOTE, "keras", "optimizer-state", "optimizer_weights", "Write it as .keras: 'cornu convert' carries the optimizer's variables.",
                        "of .h5 Keras 3 restores the step counter and the learning rate only; training does not go on where it ended");
}

cornu_status cn_check_legacy(cn_document* doc, cn_check* check) {
    const cn_layer* root = cn_document_root(doc);

    if (root->kind == CN_LAYER_PLAIN) CN_TRY(check_layer(doc, root, check));
    CN_TRY(check_model(doc, root, check));
    CN_TRY(check_weights(doc, check));
    return check_training(doc, check);
}
