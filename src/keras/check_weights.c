/* The weights file, the optimizer's state and assets as Keras 3.15 looks for them. */
#include <stdio.h>
#include <string.h>

#include "keras/check.h"
#include "keras/compile.h"
#include "keras/naming.h"
#include "keras/optimizer.h"

#define CONVERT "Write it anew: 'cornu convert --dialect keras' stores the weights where Keras 3.15 looks for them."

/* ---- where layers' variables are ---- */

static cornu_status check_separators(const cn_document* doc, cn_check* check) {
    for (size_t i = 0; i < doc->index_count; i++) {
        if (!strchr(doc->index[i].node->path, '\\')) continue;
        return cn_check_add(check, CORNU_PROBLEM, "keras", "separator", CN_MEMBER_WEIGHTS, CONVERT,
                            "groups are named with '\\' (written on Windows): Keras finds no weights under such names");
    }
    return CORNU_OK;
}

/* Own variables of a class of Keras: `always`, and one for each key that is true. */
static const struct {
    const char* class_name;
    int always;
    const char* keys;
} own_counts[] = {
    {"Dense", 1, "use_bias"},           {"Conv1D", 1, "use_bias"},          {"Conv2D", 1, "use_bias"},          {"Conv3D", 1, "use_bias"},
    {"Conv1DTranspose", 1, "use_bias"}, {"Conv2DTranspose", 1, "use_bias"}, {"Conv3DTranspose", 1, "use_bias"}, {"DepthwiseConv1D", 1, "use_bias"},
    {"DepthwiseConv2D", 1, "use_bias"}, {"SeparableConv1D", 2, "use_bias"}, {"SeparableConv2D", 2, "use_bias"}, {"Embedding", 1, ""},
    {"BatchNormalization", 2, "center scale"}, {"LayerNormalization", 0, "center scale"}, {"GroupNormalization", 0, "center scale"}, {"PReLU", 1, ""},
    {"LSTMCell", 2, "use_bias"},        {"GRUCell", 2, "use_bias"},         {"SimpleRNNCell", 2, "use_bias"},   {"Dropout", 0, ""},
    {"Flatten", 0, ""},                 {"Activation", 0, ""},              {"ReLU", 0, ""},                    {"MaxPooling2D", 0, ""},
};

static bool is_on(const cn_json* config, const char* key, size_t size) {
    char text[32];
    const cn_json* value;

    (void)snprintf(text, sizeof text, "%.*s", (int)size, key);
    value = cn_json_get(config, text);
    return !cn_json_is(value, CN_JSON_BOOL) || cn_json_bool(value);
}

/* -1: not known. */
static int expected_count(const cn_layer* layer) {
    const char* policy = cn_json_string(cn_json_get(cn_json_get(layer->config, "dtype"), "class_name"), NULL);

    if (*layer->registered_name || cn_json_type_of(cn_json_get(layer->config, "lora_rank")) != CN_JSON_NULL) return -1;
    for (size_t i = 0; i < sizeof own_counts / sizeof *own_counts; i++) {
        int count = own_counts[i].always;
        const char* keys = own_counts[i].keys;
        if (strcmp(own_counts[i].class_name, layer->class_name) != 0) continue;
        while (*keys) {
            size_t size = strcspn(keys, " ");
            count += is_on(layer->config, keys, size);
            keys += size + (keys[size] == ' ');
        }
        if (policy && strncmp(policy, "GPTQ", 4) == 0) return count + 3;
        if (policy && strncmp(policy, "AWQ", 3) == 0) return count + 4;
        return policy && (strstr(policy, "Quantized") || strncmp(policy, "Int4", 4) == 0 || strcmp(policy, "DTypePolicyMap") == 0) ? -1 : count;
    }
    return -1;
}

static cornu_status check_count(const cn_document* doc, const cn_layer* layer, cn_check* check) {
    int expected = expected_count(layer), found = cn_layer_variable_count(doc, layer);
    const char* policy = cn_json_string(cn_json_get(cn_json_get(layer->config, "dtype"), "class_name"), NULL);
    const char* remedy = "Save the model again, or load the weights of another file of it.";

    if (expected < 0 || expected == found || strchr(layer->path, '#')) return CORNU_OK;
    if (policy && found == expected - 1)
        return cn_check_add(check, CORNU_PROBLEM, "keras", "variable-count", cn_layer_describe(layer),
                            "Quantize the model again with a Keras that stores the zero points (3.13 does, 3.14 and 3.15 do not).",
                            "the zero points of its quantization are not stored: Keras expects %d variables and finds %d", expected, found);
    if (found > 0)
        return cn_check_add(check, CORNU_PROBLEM, "keras", "variable-count", cn_layer_describe(layer), remedy,
                            "Keras expects %d variables in '%s/vars' and finds %d", expected, layer->path, found);
    return cn_check_add(check, CORNU_PROBLEM, "keras", "missing-variable", cn_layer_describe(layer), remedy,
                        "Keras expects %d variables in '%s/vars' and finds none", expected, layer->path);
}

/* Members of a container as Keras 3.15 numbers them. Where a file of tf.keras skips numbers, the layer is at another path than Keras looks at. */
static cornu_status check_members(const cn_document* doc, const cn_layer* model, cn_check* check, cn_arena* arena) {
    cn_naming naming;

    CN_TRY(cn_naming_init(&naming, arena, model->layer_count));
    for (size_t i = 0; i < model->layer_count; i++) {
        const cn_layer* layer = model->layers[i];
        const char* base = cn_naming_base(arena, layer->class_name);
        const char* last = strrchr(layer->path, '/');
        char name[200];
        uint64_t number;
        if (!base) return CN_NO_MEMORY(strlen(layer->class_name));
        if (strchr(layer->path, '#')) continue;
        number = (*cn_naming_counter(&naming, base))++;
        if (number) (void)snprintf(name, sizeof name, "%.150s_%llu", base, (unsigned long long)number);
        else (void)snprintf(name, sizeof name, "%.150s", base);
        if (strcmp(last ? last + 1 : layer->path, name) != 0)
            CN_TRY(cn_check_add(check, CORNU_PROBLEM, "keras", "numbering", cn_layer_describe(layer), CONVERT,
                                "its weights are at '%s'; Keras looks for them under the number that '%s' has", layer->path, name));
        else CN_TRY(check_count(doc, layer, check));
        if (layer->kind == CN_LAYER_FUNCTIONAL || layer->kind == CN_LAYER_SEQUENTIAL) CN_TRY(check_members(doc, layer, check, arena));
    }
    return CORNU_OK;
}

/* ---- the optimizer ---- */

static cornu_status check_optimizer(const cn_document* doc, cn_check* check, cn_arena* arena) {
    static const char remedy[] = "Convert it with 'cornu convert --dialect keras', or train on with a new optimizer.";
    cn_optimizer_state state;
    cn_optimizer_layout wanted;
    cornu_status st = cn_optimizer_state_of(doc, arena, &state);

    if (st == CORNU_BAD_FILE) return CORNU_OK; /* said by the check of the config */
    CN_TRY(st);
    if (!state.optimizer && cn_compile_object(doc) && cn_document_variable(doc, "optimizer/vars/0"))
        return cn_check_add(check, CORNU_PROBLEM, "keras", "missing-optimizer", "compile_config", "Compile the model anew and save it (saving it as .h5 first takes the optimizer out).",
                            "variables of an optimizer are stored, but the config names none; Keras takes its default, RMSprop");
    if (!state.optimizer || !state.optimizer->def) return CORNU_OK;
    if (state.count == 0)
        return cn_check_add(check, CORNU_NOTE, "keras", "no-optimizer-state", "optimizer", "Nothing, if training need not go on where it ended.",
                            "the model is compiled, but no variables of the optimizer are stored; Keras starts it anew");
    if (state.optimizer->inner_count > 0 && !state.optimizer->config)
        return cn_check_add(check, CORNU_PROBLEM, "keras", "optimizer-state", "optimizer", "Call keras.config.set_dtype_policy('mixed_float16') before loading it.",
                            "its variables are those of a LossScaleOptimizer, which the config does not name: Keras puts it around %s only where "
                            "mixed_float16 is the policy of the whole program, else it warns, skips them and starts the optimizer anew",
                            state.optimizer->inner->class_name);
    st = cn_optimizer_make_layout(state.optimizer, state.trained, state.trained_count, CN_OPTIMIZER_KERAS3, arena, &wanted);
    if (st == CORNU_UNSUPPORTED) return CORNU_OK;
    CN_TRY(st);
    if (state.layout.outdated)
        return cn_check_add(check, CORNU_PROBLEM, "keras", "optimizer-state", "optimizer", CONVERT,
                            "the variables of %s are in the order of a Keras before 3.10, which Keras refuses", state.optimizer->class_name);
    for (size_t i = 0; i < state.trained_count; i++) {
        if (state.trained[i].uncertain) return CORNU_OK;
    }
    if (wanted.count != state.count)
        return cn_check_add(check, CORNU_PROBLEM, "keras", "optimizer-state", "optimizer", remedy,
                            "%zu variables of the optimizer are stored and Keras makes %zu for %s: it warns, skips them and starts the optimizer anew", state.count,
                            wanted.count, state.optimizer->class_name);
    if (state.unknown) return cn_check_add(check, CORNU_PROBLEM, "keras", "optimizer-state", "optimizer", remedy, "%s", state.unknown);
    return CORNU_OK;
}

/* ---- assets ---- */

static bool has_asset(const cn_document* doc, const char* path) {
    char name[600];

    (void)snprintf(name, sizeof name, CN_MEMBER_ASSETS "%.500s%svocabulary.txt", path, *path ? "/" : "");
    return cn_document_member(doc, name) != NULL;
}

static cornu_status check_vocabulary(const cn_document* doc, const cn_layer* layer, cn_check* check) {
    static const char classes[] = "StringLookup IntegerLookup TextVectorization";

    for (size_t i = 0; i < layer->layer_count; i++) CN_TRY(check_vocabulary(doc, layer->layers[i], check));
    if (!cn_is_word_of(classes, layer->class_name) || *layer->registered_name) return CORNU_OK;
    if (cn_json_type_of(cn_json_get(layer->config, "vocabulary")) != CN_JSON_NULL || has_asset(doc, layer->path)) return CORNU_OK;
    if (doc->member_count > 3)
        return cn_check_add(check, CORNU_PROBLEM, "keras", "missing-asset", cn_layer_describe(layer), "Save the model again with its assets.",
                            "its vocabulary '" CN_MEMBER_ASSETS "%s/vocabulary.txt' is missing; Keras fails", layer->path);
    return cn_check_add(check, CORNU_PROBLEM, "keras", "missing-asset", cn_layer_describe(layer), "Save the model again with its assets.",
                        "its vocabulary is missing with all other assets: Keras opens the file without a word and the vocabulary is empty");
}

cornu_status cn_check_weights(cn_document* doc, cn_check* check) {
    cornu_status st = CORNU_OK;
    cn_arena arena = {0};
    const cn_layer* root = cn_document_root(doc);

    CN_STEP(check_separators(doc, check));
    CN_STEP(check_members(doc, root, check, &arena));
    CN_STEP(check_optimizer(doc, check, &arena));
    CN_STEP(check_vocabulary(doc, root, check));
done:
    cn_arena_deinit(&arena);
    return st;
}
