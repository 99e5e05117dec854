/* Legacy HDF5: whole models of Keras 1, Keras 2, tf.keras and Keras 3 (.h5), and weights alone as they wrote them.
 *
 *   / @model_config @training_config @keras_version @backend          whole model
 *     model_weights @layer_names @keras_version @backend              the same at the root: weights alone
 *       dense_1 @weight_names = ["dense_1/kernel:0", ...]
 *         dense_1/kernel:0                                            data sets, relative to the layer's group
 *     optimizer_weights @weight_names
 *
 * Lists of names that are too long for an attribute are cut: layer_names0, layer_names1, ... */
#include <stdio.h>
#include <string.h>

#include "keras/parts.h"

#define MODEL_WEIGHTS "model_weights"
#define OPTIMIZER_WEIGHTS "optimizer_weights/"

/* ---- names ---- */

static bool has_names(const cn_h5_node* group, const char* key) {
    char first[32];

    (void)snprintf(first, sizeof first, "%s0", key);
    return group && (cn_h5_attribute_of(group, key) || cn_h5_attribute_of(group, first));
}

/* Part n of the list: the attribute itself (n < 0), or its n-th piece. */
static const cn_h5_attribute* names_part(const cn_h5_node* group, const char* key, int n) {
    char name[32];

    if (n < 0) return cn_h5_attribute_of(group, key);
    (void)snprintf(name, sizeof name, "%s%d", key, n);
    return cn_h5_attribute_of(group, name);
}

cornu_status cn_h5_names(const cn_document* doc, const cn_h5_node* group, const char* key, cn_arena* arena, const char*** out,
                         size_t* count) {
    int first = names_part(group, key, -1) ? -1 : 0;
    size_t total = 0;

    *out = NULL;
    *count = 0;
    for (int n = first; names_part(group, key, n) && (n < 0 || first == 0); n++) {
        const cn_h5_attribute* part = names_part(group, key, n);
        /* an empty list is an array of floats */
        if (part->array.count > 0 && !part->strings)
            return CN_FAIL(BAD_FILE, "%s: attribute '%s' of '%s' is no list of strings", doc->name, part->name, group->path);
        total += (size_t)part->array.count; /* each lies in the file */
    }
    *out = cn_arena_array(arena, total + 1, sizeof **out);
    if (!*out) return CN_NO_MEMORY(total * sizeof **out);
    for (int n = first; names_part(group, key, n) && (n < 0 || first == 0); n++) {
        const cn_h5_attribute* part = names_part(group, key, n);
        for (int64_t i = 0; i < part->array.count && *count < total; i++) (*out)[(*count)++] = part->strings[i].data;
    }
    return CORNU_OK;
}

/* ---- opening ---- */

bool cn_h5_is_legacy(const cn_h5* h5) {
    const cn_h5_node* root = cn_h5_root(h5);

    return cn_h5_attribute_of(root, "model_config") || has_names(root, "layer_names") ||
           has_names(cn_h5_child(root, MODEL_WEIGHTS), "layer_names");
}

/* An attribute's text, of the root or of the group with the weights. */
static const char* text_of(const cn_document* doc, const char* key) {
    const char* text = cn_h5_attribute_text(cn_h5_root(doc->h5), key);
    if (!text && doc->legacy) text = cn_h5_attribute_text(doc->legacy, key);
    return text ? text : "";
}

static void find_weights(cn_document* doc) {
    const cn_h5_node* root = cn_h5_root(doc->h5);
    const cn_h5_node* group = cn_h5_child(root, MODEL_WEIGHTS);

    if (!has_names(root, "layer_names") && group && !group->is_dataset) {
        doc->legacy = group;
        doc->legacy_prefix = MODEL_WEIGHTS "/";
    } else {
        doc->legacy = root;
        doc->legacy_prefix = "";
    }
    for (size_t i = 0; i < doc->variable_count; i++) {
        cn_variable* variable = &doc->variables[i];
        variable->is_optimizer = strncmp(variable->path, OPTIMIZER_WEIGHTS, strlen(OPTIMIZER_WEIGHTS)) == 0;
    }
    doc->writer_version = text_of(doc, "keras_version");
    doc->backend = text_of(doc, "backend");
}

/* Every layer's group and every weight that the lists name must be there. */
static cornu_status check_lists(cn_document* doc) {
    const char** layers;
    size_t count;

    CN_TRY(cn_h5_names(doc, doc->legacy, "layer_names", &doc->arena, &layers, &count));
    for (size_t i = 0; i < count; i++) {
        const char* path = cn_arena_format(&doc->arena, "%s%s", doc->legacy_prefix, layers[i]);
        const cn_h5_node* group = path ? cn_h5_find(doc->h5, path) : NULL;
        const char** weights;
        size_t n;
        if (!path) return CN_NO_MEMORY(strlen(layers[i]));
        if (!group || group->is_dataset)
            return CN_FAIL(BAD_FILE, "%s: layer_names has '%s', but there is no such group", doc->name, layers[i]);
        CN_TRY(cn_h5_names(doc, group, "weight_names", &doc->arena, &weights, &n));
        for (size_t k = 0; k < n; k++) {
            const char* weight = cn_arena_format(&doc->arena, "%s/%s", group->path, weights[k]);
            if (!weight) return CN_NO_MEMORY(strlen(weights[k]));
            if (!cn_document_variable(doc, weight))
                return CN_FAIL(BAD_FILE, "%s: weight_names of layer '%s' has '%s', but there is no such variable", doc->name,
                               layers[i], weights[k]);
        }
    }
    return CORNU_OK;
}

/* Text of an attribute as JSON; NULL in *out where there is none. A training_config that is no JSON is none: Keras then loads the
 * model uncompiled. */
static cornu_status read_training(cn_document* doc) {
    const char* text = cn_h5_attribute_text(cn_h5_root(doc->h5), "training_config");
    cornu_status st = text ? cn_json_parse(text, strlen(text), "training_config", &doc->training) : CORNU_OK;

    return st == CORNU_BAD_FILE ? CORNU_OK : st;
}

cornu_status cn_h5_open_legacy(cn_document* doc, const cornu_load_options* options) {
    const char* text = cn_h5_attribute_text(cn_h5_root(doc->h5), "model_config");
    const char* what = cn_arena_format(&doc->arena, "%s: model_config", doc->name);
    cn_config_state* state;

    if (!what) return CN_NO_MEMORY(strlen(doc->name));
    doc->format = text ? &cn_format_h5 : &cn_format_h5_weights;
    find_weights(doc);
    if (text && options->config_path)
        return CN_FAIL(BAD_ARGUMENT, "%s: a config_path was given, but the model has a config of its own", doc->name);
    if (!text && cn_h5_attribute_of(cn_h5_root(doc->h5), "model_config"))
        return CN_FAIL(BAD_FILE, "%s: attribute model_config is no text", doc->name);
    CN_TRY(check_lists(doc));
    CN_TRY(read_training(doc));
    if (!text) return cn_config_adopt(doc, options);
    CN_TRY(cn_state_create_text(doc, text, strlen(text), what, &state));
    return cn_state_adopt(doc, state);
}

static cornu_status open_h5(cn_document* doc, int dir_fd, const cornu_load_options* options) {
    return cn_format_weights.open(doc, dir_fd, options);
}

const cn_format cn_format_h5 = {CORNU_FORMAT_H5, "h5", NULL, open_h5, cn_weights_save};
const cn_format cn_format_h5_weights = {CORNU_FORMAT_H5_WEIGHTS, "h5-weights", NULL, open_h5, cn_weights_save};
