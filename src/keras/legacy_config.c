#include "keras/legacy_config.h"

#include <string.h>
#include <strings.h>

#include "keras/naming.h"
#include "keras/parts.h"

void cn_legacy_key(cn_buf* out, bool* first, const char* key, size_t size) {
    if (!*first) cn_buf_text(out, ", ");
    *first = false;
    cn_json_print_string(out, key, size);
    cn_buf_text(out, ": ");
}

bool cn_legacy_is_model(const cn_json* object) {
    const cn_json* name = cn_json_get(object, "class_name");

    if (!cn_json_is(cn_json_get(cn_json_get(object, "config"), "layers"), CN_JSON_ARRAY)) return false;
    return cn_json_equals(name, "Functional") || cn_json_equals(name, "Sequential") || cn_json_equals(name, "Model");
}

const char* cn_legacy_class(const cn_json* object) {
    const char* registered = cn_json_string(cn_json_get(object, "registered_name"), NULL);
    const char* name = cn_json_string(cn_json_get(object, "class_name"), NULL);

    return registered && strchr(registered, '>') ? registered : name;
}

/* ---- Keras 3's own form: only the entries of a model's layers are in the old one ---- */

static cornu_status print_value(const cn_json* value, cn_buf* out);

static cornu_status print_element(const cn_json* model, const cn_json* object, cn_buf* out);

/* The config of a model: its layers as elements, all else as it is. */
static cornu_status print_model_config(const cn_json* config, cn_buf* out) {
    bool first = true;

    cn_buf_text(out, "{");
    for (size_t i = 0; i < cn_json_size(config); i++) {
        size_t size;
        const char* key = cn_json_key_at(config, i, &size);
        const cn_json* value = cn_json_at(config, i);
        cn_legacy_key(out, &first, key, size);
        if (strcmp(key, "layers") != 0) {
            CN_TRY(print_value(value, out));
            continue;
        }
        cn_buf_text(out, "[");
        for (size_t k = 0, n = 0; k < cn_json_size(value); k++) {
            if (cn_legacy_is_operation(cn_json_at(value, k))) continue; /* of masks, as refuse_operations has seen */
            if (n++ > 0) cn_buf_text(out, ", ");
            CN_TRY(print_element(config, cn_json_at(value, k), out));
        }
        cn_buf_text(out, "]");
    }
    cn_buf_text(out, "}");
    return cn_buf_check(out);
}

/* Any value, without shared_object_id, which legacy files do not have. Depth: that of JSON. */
static cornu_status print_value(const cn_json* value, cn_buf* out) {
    bool object = cn_json_is(value, CN_JSON_OBJECT), first = true, model = cn_legacy_is_model(value);

    if (!object && !cn_json_is(value, CN_JSON_ARRAY)) return cn_json_print(value, out);
    cn_buf_text(out, object ? "{" : "[");
    for (size_t i = 0; i < cn_json_size(value); i++) {
        size_t size = 0;
        const char* key = object ? cn_json_key_at(value, i, &size) : NULL;
        if (key && strcmp(key, "shared_object_id") == 0) continue;
        if (key) cn_legacy_key(out, &first, key, size);
        else if (i > 0) cn_buf_text(out, ", ");
        if (key && model && strcmp(key, "config") == 0) CN_TRY(print_model_config(cn_json_at(value, i), out));
        else CN_TRY(print_value(cn_json_at(value, i), out));
    }
    cn_buf_text(out, object ? "}" : "]");
    return cn_buf_check(out);
}

/* A layer's config. Keras's legacy reader takes a string that is the name of a function of keras.layers for that function, so that Attention's
 * default score_mode, "dot", is left out. */
static cornu_status print_config(const cn_json* object, const cn_json* config, cn_buf* out) {
    bool attention = cn_json_equals(cn_json_get(object, "class_name"), "Attention"), first = true;

    if (cn_legacy_is_model(object)) return print_model_config(config, out);
    if (!attention || !cn_json_equals(cn_json_get(config, "score_mode"), "dot")) return print_value(config, out);
    cn_buf_text(out, "{");
    for (size_t i = 0; i < cn_json_size(config); i++) {
        size_t size;
        const char* key = cn_json_key_at(config, i, &size);
        if (strcmp(key, "score_mode") == 0) continue;
        cn_legacy_key(out, &first, key, size);
        CN_TRY(print_value(cn_json_at(config, i), out));
    }
    cn_buf_text(out, "}");
    return cn_buf_check(out);
}

/* A call without the masks that its reader makes again. */
static cornu_status print_call(const cn_json* model, const cn_json* node, cn_buf* out) {
    const cn_json* kwargs = cn_json_get(node, "kwargs");
    bool first = true;

    if (!cn_json_is(kwargs, CN_JSON_OBJECT)) return print_value(node, out);
    cn_buf_text(out, "{\"args\": ");
    CN_TRY(print_value(cn_json_get(node, "args"), out));
    cn_buf_text(out, ", \"kwargs\": {");
    for (size_t i = 0; i < cn_json_size(kwargs); i++) {
        size_t size;
        const char* key = cn_json_key_at(kwargs, i, &size);
        const cn_json* value = cn_json_at(kwargs, i);
        if (cn_json_type_of(value) != CN_JSON_NULL && cn_legacy_is_mask(key) && cn_legacy_is_implicit(model, value)) continue;
        cn_legacy_key(out, &first, key, size);
        CN_TRY(print_value(value, out));
    }
    cn_buf_text(out, "}}");
    return cn_buf_check(out);
}

static cornu_status print_calls(const cn_json* model, const cn_json* nodes, cn_buf* out) {
    cn_buf_text(out, "[");
    for (size_t i = 0; i < cn_json_size(nodes); i++) {
        if (i > 0) cn_buf_text(out, ", ");
        CN_TRY(print_call(model, cn_json_at(nodes, i), out));
    }
    cn_buf_text(out, "]");
    return CORNU_OK;
}

/* model: config of the Functional or Sequential that the element is in, NULL for the root. */
static cornu_status print_element(const cn_json* model, const cn_json* object, cn_buf* out) {
    static const char* const kept[] = {"config", "name", "inbound_nodes"};
    const char* name = cn_legacy_class(object);
    bool first = true;

    cn_buf_text(out, "{");
    cn_legacy_key(out, &first, "class_name", 10);
    name = name ? cn_naming_python(name) : "";
    cn_json_print_string(out, name, strlen(name));
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        const cn_json* value = cn_json_get(object, kept[i]);
        if (!value) continue;
        cn_legacy_key(out, &first, kept[i], strlen(kept[i]));
        if (i == 0) CN_TRY(print_config(object, value, out));
        else if (i == 2) CN_TRY(print_calls(model, value, out));
        else CN_TRY(print_value(value, out));
    }
    cn_buf_text(out, "}");
    return cn_buf_check(out);
}

/* Keras's legacy reader takes the first of several axes. */
static cornu_status refuse_layer(const cn_document* doc, const cn_layer* layer) {
    if (strcmp(layer->class_name, "LayerNormalization") != 0 || cn_json_size(cn_json_get(layer->config, "axis")) < 2) return CORNU_OK;
    return CN_FAIL(UNSUPPORTED, "%s: %s: Keras cannot read several axes back from legacy HDF5; .keras holds it", doc->name,
                   cn_layer_describe(layer));
}

/* Legacy files have no module, so that Keras takes an operation for the layer of its name. */
static cornu_status refuse_operations(const cn_document* doc, const cn_layer* model) {
    const cn_json* operation = model->kind == CN_LAYER_FUNCTIONAL ? cn_legacy_operation(model->config) : NULL;

    if (operation)
        return CN_FAIL(UNSUPPORTED, "%s: operation '%s' (%s): Keras cannot read an operation back from legacy HDF5; .keras holds it", doc->name,
                       cn_json_string(cn_json_get(operation, "name"), NULL), cn_json_string(cn_json_get(operation, "class_name"), NULL));
    for (size_t i = 0; i < model->layer_count; i++) {
        CN_TRY(refuse_layer(doc, model->layers[i]));
        CN_TRY(refuse_operations(doc, model->layers[i])); /* depth: that of JSON */
    }
    return CORNU_OK;
}

cornu_status cn_legacy_print_model(const cn_document* doc, cornu_dialect dialect, cn_buf* out) {
    const cn_layer* root = cn_document_root(doc);

    if (!root) return CN_FAIL(UNSUPPORTED, "%s: the file holds weights only; .h5 of a whole model needs an architecture (config_path)", doc->name);
    if (root->kind != CN_LAYER_FUNCTIONAL && root->kind != CN_LAYER_SEQUENTIAL)
        return CN_FAIL(UNSUPPORTED, "%s: the model is of class %s; legacy HDF5 holds Functional and Sequential models only", doc->name,
                       root->class_name);
    if (dialect == CORNU_DIALECT_TF) return cn_legacy_print_tf_model(doc, root->object, out);
    CN_TRY(refuse_operations(doc, root));
    return print_element(NULL, root->object, out);
}

/* ---- training_config ---- */

/* Short names of losses that Keras's legacy reader does not know. */
static const struct {
    const char* alias;
    const char* name;
} losses[] = {
    {"mse", "mean_squared_error"},
    {"mae", "mean_absolute_error"},
    {"mape", "mean_absolute_percentage_error"},
    {"msle", "mean_squared_logarithmic_error"},
    {"bce", "binary_crossentropy"},
    {"kld", "kl_divergence"},
};

static cornu_status print_compiled(const cn_document* doc, const cn_json* value, cornu_dialect dialect, cn_buf* out) {
    return dialect == CORNU_DIALECT_TF ? cn_legacy_print_tf_value(doc, value, out) : print_value(value, out);
}

/* A loss, or lists and dicts of them. */
static cornu_status print_losses(const cn_document* doc, const cn_json* value, cornu_dialect dialect, cn_buf* out) {
    bool object = cn_json_is(value, CN_JSON_OBJECT), first = true;
    const char* text = cn_json_string(value, NULL);

    for (size_t i = 0; text && i < sizeof losses / sizeof *losses; i++) {
        if (strcasecmp(losses[i].alias, text) == 0) {
            cn_json_print_string(out, losses[i].name, strlen(losses[i].name));
            return cn_buf_check(out);
        }
    }
    if ((!object && !cn_json_is(value, CN_JSON_ARRAY)) || cn_json_get(value, "class_name")) return print_compiled(doc, value, dialect, out);
    cn_buf_text(out, object ? "{" : "[");
    for (size_t i = 0; i < cn_json_size(value); i++) {
        size_t size = 0;
        const char* key = object ? cn_json_key_at(value, i, &size) : NULL;
        if (key) cn_legacy_key(out, &first, key, size);
        else if (i > 0) cn_buf_text(out, ", ");
        CN_TRY(print_losses(doc, cn_json_at(value, i), dialect, out));
    }
    cn_buf_text(out, object ? "}" : "]");
    return cn_buf_check(out);
}

cornu_status cn_legacy_print_compile(const cn_document* doc, const cn_json* compile, cornu_dialect dialect, cn_buf* out) {
    static const char* const keys[] = {"loss", "loss_weights", "metrics", "weighted_metrics", "run_eagerly", "steps_per_execution", "jit_compile"};
    bool first = true;

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const cn_json* value = cn_json_get(compile, keys[i]);
        if (!value && i > 3) continue; /* the first four are asked for by their keys */
        cn_legacy_key(out, &first, keys[i], strlen(keys[i]));
        if (i == 0) CN_TRY(print_losses(doc, value, dialect, out));
        else CN_TRY(print_compiled(doc, value, dialect, out));
    }
    return cn_buf_check(out);
}
