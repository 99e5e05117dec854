/* Objects of the config as Keras 3.15 makes them: which class it takes for each, which keys that takes, and whether calls can be rebuilt. */
#include <stdio.h>
#include <string.h>

#include "keras/check.h"
#include "keras/compile.h"
#include "keras/schedule.h"

typedef struct walk {
    cn_document* doc;
    cn_check* check;
    const char* place; /* of the innermost layer, or of what stands for one */
    bool compile;      /* inside compile_config */
    char text[300];    /* backs place */
} walk;

#define CONVERT "Write it anew: 'cornu convert --dialect keras' brings it to the form of Keras 3.15."
#define CUSTOM "Pass the class as custom_objects={...} to load_model, or register it; tell check its name with --custom."

static bool begins(const char* text, const char* begin) { return strncmp(text, begin, strlen(begin)) == 0; }

static cornu_status problem(const walk* cx, const char* code, const char* remedy, const char* what) {
    return cn_check_add(cx->check, CORNU_PROBLEM, "keras", code, cx->place, remedy, "%s", what);
}

/* ---- classes ---- */

/* Names of module "keras" and its parts that accepts.def does not list. */
static bool is_other_class(const char* module, const char* class_name) {
    static const char* const others[][2] = {
        {"keras", "Sequential Model Functional DTypePolicy FloatDTypePolicy Layer Variable Initializer Regularizer Loss Metric Optimizer Quantizer "
                  "KerasTensor InputSpec"},
        {"keras.models", "Sequential Model Functional"},
        {"keras.dtype_policies", "DTypePolicy FloatDTypePolicy QuantizedDTypePolicy QuantizedFloat8DTypePolicy Int4DTypePolicy GPTQDTypePolicy "
                                 "AWQDTypePolicy DTypePolicyMap"},
        {"keras.mixed_precision", "DTypePolicy LossScaleOptimizer"},
        {"keras.random", "SeedGenerator"},
        {"keras.utils", "FeatureSpace"},
        {"keras.quantizers", "QuantizationConfig Int8QuantizationConfig Int4QuantizationConfig Float8QuantizationConfig GPTQConfig AWQConfig"},
    };

    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (strcmp(others[i][0], module) == 0 && cn_is_word_of(others[i][1], class_name)) return true;
    }
    return false;
}

/* A Python module of Keras 3.15 itself, from which it imports what it has not exported. */
static bool is_source_module(const char* module) {
    static const char* const parts[] = {"activations", "applications", "constraints", "distillation", "dtype_policies", "initializers", "layers",
                                        "losses", "metrics", "models", "ops", "optimizers", "quantizers", "random", "regularizers", "utils"};
    size_t n = strlen("keras.src.");

    if (!begins(module, "keras.src.") || strstr(module, ".engine")) return false;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        size_t size = strlen(parts[i]);
        if (strncmp(module + n, parts[i], size) == 0 && (module[n + size] == '.' || module[n + size] == '\0')) return true;
    }
    return false;
}

static cornu_status declared_or(const walk* cx, const char* name, const char* what) {
    if (cn_check_is_declared(cx->check, name))
        return cn_check_add(cx->check, CORNU_NOTE, "keras", "declared-custom", cx->place, "Pass it as custom_objects when you load the model.",
                            "'%s' is a custom object, declared by the caller", name);
    return cn_check_add(cx->check, CORNU_PROBLEM, "keras", "custom-object", cx->place, CUSTOM, what, name);
}

/* Sets *keys to the keys that its class takes, NULL where they are not checked. */
static cornu_status check_class(const walk* cx, const cn_json* object, const char* class_name, const char** keys) {
    const char* module = cn_json_string(cn_json_get(object, "module"), NULL);
    const char* registered = cn_json_string(cn_json_get(object, "registered_name"), NULL);
    bool renamed = registered && *registered && strcmp(registered, class_name) != 0;

    *keys = NULL;
    if (registered && strchr(registered, '>')) return declared_or(cx, registered, "class '%s' is registered by the code that wrote the file; Keras has none such");
    if (!module) {
        if (!cn_json_get(object, "module")) return CORNU_OK; /* the class decides by itself: an initializer, a policy, ... */
        return declared_or(cx, class_name, "class '%s' is of the program that wrote the file; Keras has none such");
    }
    *keys = cn_keras_keys(module, class_name);
    if (*keys || is_other_class(module, class_name)) {
        if (!renamed) return CORNU_OK;
        return cn_check_add(cx->check, CORNU_PROBLEM, "keras", "registered-name", cx->place, "Set registered_name to null.",
                            "class '%s' of Keras has the registered name '%s'; none is allowed", class_name, registered);
    }
    if (strcmp(module, "builtins") == 0) return CORNU_OK;
    if (begins(module, "keras.src.ops.") || strcmp(module, "keras.src.ops") == 0)
        return cn_keras_has_op(class_name) ? CORNU_OK
                                           : cn_check_add(cx->check, CORNU_PROBLEM, "keras", "unknown-class", cx->place, "Load it with a Keras that has the operation.",
                                                          "operation '%s' is not in Keras 3.15", class_name);
    if (is_source_module(module)) return CORNU_OK;
    if (begins(module, "keras_hub") || begins(module, "keras_cv") || begins(module, "keras_nlp"))
        return cn_check_add(cx->check, CORNU_NOTE, "keras", "package", cx->place, "Install that package where the model is loaded.",
                            "class '%s' is of the package '%.*s'", class_name, (int)strcspn(module, "."), module);
    if (strcmp(module, "keras") == 0 || begins(module, "keras.") || begins(module, "tf_keras") || begins(module, "tensorflow"))
        return cn_check_add(cx->check, CORNU_PROBLEM, "keras", "unknown-class", cx->place, CONVERT, "class '%s' of module '%s' is not in Keras 3.15", class_name, module);
    return declared_or(cx, registered && *registered ? registered : class_name, "class '%s' is of the program that wrote the file; Keras has none such");
}

/* ---- keys and values ---- */

static cornu_status check_keys(const walk* cx, const char* class_name, const cn_json* config, const char* keys) {
    for (size_t i = 0; i < cn_json_size(config); i++) {
        const char* key = cn_json_key_at(config, i, NULL);
        if (cn_is_word_of(keys, key)) continue;
        CN_TRY(cn_check_add(cx->check, CORNU_PROBLEM, "keras", "unknown-key", cx->place, CONVERT, "key '%s' is none that class '%s' of Keras 3.15 takes", key,
                            class_name));
    }
    return CORNU_OK;
}

/* Values whose form or meaning has changed. */
static cornu_status check_values(const walk* cx, const char* class_name, const cn_json* config) {
    static const char* const scalars[][2] = {{"ReLU", "negative_slope"}, {"ReLU", "threshold"}, {"ReLU", "max_value"}};
    const cn_json* dtype = cn_json_get(config, "dtype");

    if (cn_json_equals(cn_json_get(dtype, "class_name"), "Policy"))
        CN_TRY(problem(cx, "dtype-policy", CONVERT, "key 'dtype' is a Policy object of tf.keras, with which Keras 3 fails"));
    if (strcmp(class_name, "BatchNormalization") == 0 && cn_json_is(cn_json_get(config, "axis"), CN_JSON_ARRAY))
        CN_TRY(problem(cx, "legacy-value", CONVERT, "key 'axis' is a list, of which Keras 3 takes one integer"));
    for (size_t i = 0; i < sizeof scalars / sizeof *scalars; i++) {
        if (strcmp(scalars[i][0], class_name) == 0 && cn_json_is(cn_json_get(config, scalars[i][1]), CN_JSON_ARRAY))
            CN_TRY(cn_check_add(cx->check, CORNU_PROBLEM, "keras", "legacy-value", cx->place, CONVERT, "key '%s' is a list, Keras 3 takes a number", scalars[i][1]));
    }
    if (cx->compile && (cn_json_equals(cn_json_get(config, "reduction"), "auto") || cn_json_equals(cn_json_get(config, "reduction"), "AUTO")))
        CN_TRY(problem(cx, "legacy-value", CONVERT, "key 'reduction' is \"auto\", which Keras 3 refuses"));
    for (size_t i = 0; begins(cx->doc->writer_version, "2.") && i < cn_json_size(config); i++) {
        const char* key = cn_json_key_at(config, i, NULL);
        if (strstr(key, "activation") && cn_json_equals(cn_json_at(config, i), "hard_sigmoid"))
            CN_TRY(cn_check_add(cx->check, CORNU_PROBLEM, "keras", "changed-meaning", cx->place, CONVERT,
                                "key '%s' is \"hard_sigmoid\", by which Keras 3 means another function than the Keras that wrote the file", key));
    }
    return CORNU_OK;
}

/* ---- models ---- */

static bool is_reference(const cn_json* object) { return cn_json_equals(cn_json_get(object, "class_name"), "__keras_tensor__"); }

typedef struct graph_check {
    walk* cx;
    const cn_layer* model;
} graph_check;

/* A tensor that a call takes: its layer must be there and be called as often as the index says. */
static cornu_status check_reference(graph_check* g, const cn_json* history) {
    const char* name = cn_json_string(cn_json_at(history, 0), NULL);
    const cn_layer* producer = name ? cn_layer_find(g->model, name) : NULL;
    int64_t node = 0;
    size_t calls;

    if (cn_json_type_of(history) == CN_JSON_NULL) return CORNU_OK;
    if (!producer)
        return cn_check_add(g->cx->check, CORNU_PROBLEM, "keras", "dangling-reference", g->cx->place, "Repair inbound_nodes in the config.",
                            "it is called on the output of layer '%s', which the model does not have", name ? name : "?");
    if (!cn_json_int64(cn_json_at(history, 1), &node)) return CORNU_OK;
    calls = cn_json_size(producer->inbound_nodes);
    if (calls == 0) calls = 1; /* an InputLayer */
    if (node >= 0 && (uint64_t)node < calls) return CORNU_OK;
    return cn_check_add(g->cx->check, CORNU_PROBLEM, "keras", "dangling-reference", g->cx->place, CONVERT,
                        "it is called on call %lld of layer '%s', which is called %zu times; Keras gives up with the message about loops", (long long)node, name, calls);
}

/* References in the arguments of a call; depth is bounded by the JSON parser. */
static cornu_status check_arguments(graph_check* g, const cn_json* node) {
    if (is_reference(node)) return check_reference(g, cn_json_get(cn_json_get(node, "config"), "keras_history"));
    for (size_t i = 0; i < cn_json_size(node); i++) CN_TRY(check_arguments(g, cn_json_at(node, i)));
    return CORNU_OK;
}

static bool is_triple(const cn_json* node) {
    return cn_json_is(node, CN_JSON_ARRAY) && cn_json_is(cn_json_at(node, 0), CN_JSON_STRING) && cn_json_is(cn_json_at(node, 1), CN_JSON_INT);
}

/* The list form of tf.keras. Keras 3 reads it, but for what is said here. */
static cornu_status check_list_node(graph_check* g, const cn_json* node) {
    for (size_t i = 0; i < cn_json_size(node); i++) {
        const cn_json* entry = cn_json_at(node, i);
        const cn_json* kwargs = cn_json_at(entry, 3);
        if (!is_triple(entry)) return problem(g->cx, "legacy-call", CONVERT, "its call is written in a form of tf.keras that Keras 3 does not read");
        if (begins(cn_json_string(cn_json_at(entry, 0), NULL), "_CONSTANT_VALUE"))
            return problem(g->cx, "legacy-call", CONVERT, "its call has a constant in a form of tf.keras that Keras 3 does not read");
        for (size_t k = 0; k < cn_json_size(kwargs); k++) {
            if (is_triple(cn_json_at(kwargs, k)))
                return problem(g->cx, "legacy-call", CONVERT, "its call takes a tensor by keyword in a form of tf.keras that Keras 3 does not read");
        }
        CN_TRY(check_reference(g, entry));
    }
    return CORNU_OK;
}

static cornu_status check_calls(walk* cx, const cn_layer* model) {
    graph_check g = {cx, model};

    for (size_t i = 0; i < model->layer_count; i++) {
        const cn_layer* layer = model->layers[i];
        (void)snprintf(cx->text, sizeof cx->text, "%s", cn_layer_describe(layer));
        cx->place = cx->text;
        if (strchr(layer->name, '/')) CN_TRY(problem(cx, "layer-name", "Rename the layer.", "its name has a '/' in it, which Keras refuses"));
        for (size_t k = 0; k < i && model->kind == CN_LAYER_FUNCTIONAL; k++) {
            if (strcmp(model->layers[k]->name, layer->name) == 0) CN_TRY(problem(cx, "layer-name", "Rename one of them.", "another layer of the model has the same name"));
        }
        for (size_t k = 0; k < cn_json_size(layer->inbound_nodes); k++) {
            const cn_json* node = cn_json_at(layer->inbound_nodes, k);
            if (cn_json_is(node, CN_JSON_OBJECT)) CN_TRY(check_arguments(&g, node));
            else CN_TRY(check_list_node(&g, node));
        }
    }
    return CORNU_OK;
}

static cornu_status check_model(walk* cx, const cn_layer* model) {
    static const char* const demanded[] = {"layers", "input_layers", "output_layers"};

    (void)snprintf(cx->text, sizeof cx->text, "%s", model->parent ? cn_layer_describe(model) : "model");
    cx->place = cx->text;
    if (model->kind == CN_LAYER_SEQUENTIAL) {
        const cn_layer* first = model->layer_count ? model->layers[0] : NULL;
        bool input = first && strcmp(first->class_name, "InputLayer") == 0;
        if (!cn_json_get(model->config, "name")) CN_TRY(problem(cx, "missing-key", CONVERT, "the Sequential has no key 'name', which Keras demands"));
        if (!input && !model->parent && cn_json_size(cn_json_get(model->config, "build_input_shape")) == 0 &&
            cn_json_size(cn_json_get(model->object, "build_config")) == 0 && cn_weights_has_data(cx->doc, "layers"))
            CN_TRY(problem(cx, "not-built", "Add an InputLayer or the key build_input_shape to the config.",
                           "the Sequential has no InputLayer and no build_input_shape: Keras does not build it and has no variables for the weights"));
    }
    for (size_t i = 0; model->kind == CN_LAYER_FUNCTIONAL && i < 3; i++) {
        if (!cn_json_get(model->config, demanded[i]))
            CN_TRY(cn_check_add(cx->check, CORNU_PROBLEM, "keras", "missing-key", cx->place, "Repair the config.", "key '%s' is missing, which Keras demands", demanded[i]));
    }
    CN_TRY(check_calls(cx, model));
    for (size_t i = 0; i < model->layer_count; i++) {
        const cn_layer* layer = model->layers[i];
        if (layer->kind == CN_LAYER_FUNCTIONAL || layer->kind == CN_LAYER_SEQUENTIAL) CN_TRY(check_model(cx, layer));
    }
    return CORNU_OK;
}

/* ---- the walk over all objects ---- */

static bool is_layer_object(const cn_json* object) {
    return cn_json_string(cn_json_get(object, "class_name"), NULL) && cn_json_string(cn_json_get(cn_json_get(object, "config"), "name"), NULL);
}

static cornu_status check_function(const walk* cx, const char* name) {
    if (!name || cn_keras_has_function(name)) return CORNU_OK;
    return declared_or(cx, name, "function '%s' is of the program that wrote the file; Keras has none such");
}

static cornu_status check_code(const walk* cx, const cn_json* object) {
    cornu_status st = cn_config_check_object(cx->doc->name, "", object);
    const char* reason;

    if (st != CORNU_REFUSED) return st;
    reason = strstr(cornu_last_error(), "): ");
    return cn_check_add(cx->check, CORNU_PROBLEM, "keras", "code", cx->place,
                        "Load it with safe_mode=False if you trust its author, or replace it by a registered function or layer.",
                        "%.*s, which Keras refuses in safe_mode", reason ? (int)strcspn(reason + 3, ";") : 10, reason ? reason + 3 : "it is code");
}

static cornu_status check_object(walk* cx, const cn_json* object) {
    const char* class_name = cn_json_string(cn_json_get(object, "class_name"), NULL);
    const cn_json* config = cn_json_get(object, "config");
    const char* keys;

    if (!class_name || !cn_json_get(object, "config")) return CORNU_OK;
    CN_TRY(check_code(cx, object));
    if (begins(class_name, "__") || strcmp(class_name, "InputLayer") == 0) return CORNU_OK;
    if (strcmp(class_name, "function") == 0 && cn_json_is(config, CN_JSON_STRING)) return check_function(cx, cn_json_string(config, NULL));
    CN_TRY(check_class(cx, object, class_name, &keys));
    if (keys) CN_TRY(check_keys(cx, class_name, config, keys));
    return check_values(cx, class_name, config);
}

/* Depth is bounded by the JSON parser. */
static cornu_status check_all(walk* cx, const cn_json* node) {
    const char* outer = cx->place;
    char text[sizeof cx->text];
    cornu_status st = CORNU_OK;

    if (cn_json_is(node, CN_JSON_OBJECT)) {
        if (!cx->compile && is_layer_object(node)) {
            (void)snprintf(text, sizeof text, "layer '%.120s' (%.100s)", cn_json_string(cn_json_get(cn_json_get(node, "config"), "name"), NULL),
                           cn_json_string(cn_json_get(node, "class_name"), NULL));
            cx->place = text;
        }
        CN_STEP(check_object(cx, node));
    }
    for (size_t i = 0; i < cn_json_size(node); i++) {
        const cn_json* child = cn_json_at(node, i);
        const char* key = cn_json_key_at(node, i, NULL);
        if (cn_json_size(child) == 0 || (key && strcmp(key, "compile_config") == 0)) continue;
        CN_STEP(check_all(cx, child));
    }
done:
    cx->place = outer;
    return st;
}

/* ---- compile_config ---- */

static cornu_status check_compile(walk* cx) {
    cornu_status st = CORNU_OK;
    cn_arena arena = {0};
    const cn_json* object = cn_compile_object(cx->doc);
    cn_compile* compile;

    if (!object) return CORNU_OK;
    cx->compile = true;
    cx->place = "compile_config";
    CN_STEP(check_all(cx, object));
    st = cn_compile_read(cx->doc, &arena, &compile);
    if (st == CORNU_BAD_FILE) {
        st = cn_check_add(cx->check, CORNU_PROBLEM, "keras", "compile", cx->place, "Load it with compile=False, and compile it anew.", "%s", cornu_last_error());
        goto done;
    }
    CN_STEP(st);
    for (size_t i = 0; i < compile->objective_count; i++) {
        const cn_objective* o = &compile->objectives[i];
        if (o->is_known || o->config || !cn_json_is(o->object, CN_JSON_STRING)) continue; /* objects were looked at above */
        CN_STEP(cn_check_add(cx->check, CORNU_NOTE, "keras", "custom-object", cx->place, CUSTOM,
                             "loss or metric '%s' is none of Keras's: the file opens, and training fails", o->spelled));
    }
    if (compile->optimizer.optimizer && !compile->optimizer.optimizer->def && cn_json_is(cn_json_get(object, "optimizer"), CN_JSON_STRING))
        CN_STEP(declared_or(cx, compile->optimizer.optimizer->class_name, "optimizer '%s' is none of Keras's"));
done:
    cx->compile = false;
    cn_arena_deinit(&arena);
    return st;
}

cornu_status cn_check_config(cn_document* doc, cn_check* check) {
    walk cx = {doc, check, "model", false, ""};
    const cn_layer* root = cn_document_root(doc);

    CN_TRY(check_all(&cx, root->object));
    if (root->kind != CN_LAYER_PLAIN) CN_TRY(check_model(&cx, root));
    return check_compile(&cx);
}
