/* Builds the tree of layers from a config, and finds each one's group in the weights file.
 *
 * Path of the members of a Functional or Sequential at P: P/layers/<snake>[_N]. Files of tf.keras 2.12 to 2.14 have
 * "_layer_checkpoint_dependencies" in place of "layers"; those of 2.12 and 2.13 list a layer with weights twice, and
 * the second listing takes a number as well ("dense", "dense_2"). Depth is bounded by the JSON parser. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keras/naming.h"
#include "keras/parts.h"

#define TF_CONTAINER "_layer_checkpoint_dependencies"

typedef struct builder {
    const cn_document* doc;
    cn_config_state* state;
} builder;

static cornu_status build_layer(builder* cx, const cn_json* object, const cn_layer* parent, const char* path,
                                cn_layer_node** out);

/* path + "/" + name, without the '/' at the root; in the state's arena. */
static const char* join(cn_arena* arena, const char* path, const char* name) {
    return *path ? cn_arena_format(arena, "%s/%s", path, name) : cn_arena_strdup(arena, name);
}

static const char* text_or(const cn_json* node, const char* fallback) {
    const char* text = cn_json_string(node, NULL);
    return text ? text : fallback;
}

/* ---- kinds ---- */

static bool begins(const char* text, const char* begin) { return strncmp(text, begin, strlen(begin)) == 0; }

/* Whether the object is one of Keras's own classes: of its modules, or, in old files, without one. */
static bool is_builtin(const cn_layer* layer) {
    const cn_json* module = cn_json_get(layer->object, "module");

    if (*layer->registered_name) return false;
    if (!module) return true;
    return strcmp(layer->module, "keras") == 0 || begins(layer->module, "keras.") ||
           begins(layer->module, "tf_keras") || begins(layer->module, "tensorflow.");
}

static bool is_op_module(const char* module) {
    return begins(module, "keras.src.ops") || strcmp(module, "keras.src.activations.activations") == 0 ||
           strcmp(module, "keras.src.quantizers.quantizers") == 0;
}

/* A class that only inherits from Functional may call its layers in another way, so it stays plain. */
static cn_layer_kind kind_of(const cn_layer* layer) {
    bool graph = cn_json_get(layer->config, "layers") && cn_json_get(layer->config, "input_layers") &&
                 cn_json_get(layer->config, "output_layers");

    if (is_op_module(layer->module)) return CN_LAYER_OP;
    if (!is_builtin(layer)) return CN_LAYER_PLAIN;
    if (strcmp(layer->class_name, "Functional") == 0) return CN_LAYER_FUNCTIONAL;
    if (strcmp(layer->class_name, "Model") == 0 && graph) return CN_LAYER_FUNCTIONAL;
    if (strcmp(layer->class_name, "Sequential") == 0) return CN_LAYER_SEQUENTIAL;
    return CN_LAYER_PLAIN;
}

/* ---- members of Functional and Sequential ---- */

static bool counts_members_twice(const builder* cx, const char* container, const char* base) {
    const char* version = cx->doc->writer_version;
    char first[256], second[256];

    if (begins(version, "2.12") || begins(version, "2.13")) return true;
    if (*version) return false; /* without a version only the gap tells */
    (void)snprintf(first, sizeof first, "%s/%s_1", container, base);
    if ((size_t)snprintf(second, sizeof second, "%s/%s_2", container, base) >= sizeof second) return false;
    return !cn_weights_has(cx->doc, first) && cn_weights_has(cx->doc, second);
}

/* The path of the next member of a class, and its counter's step. */
static cornu_status member_path(builder* cx, const cn_layer* model, cn_naming* naming, const char* class_name,
                                const char** out) {
    cn_arena* arena = &cx->state->arena;
    const char* base = cn_naming_base(arena, class_name);
    const char* tf_container = join(arena, model->path, TF_CONTAINER);
    const char* name;
    const char* tf_path;
    uint64_t* next;

    *out = NULL;
    if (!base || !tf_container) return CN_NO_MEMORY(strlen(class_name));
    next = cn_naming_counter(naming, base);
    name = *next ? cn_arena_format(arena, "%s_%llu", base, (unsigned long long)*next) : base;
    if (!name) return CN_NO_MEMORY(strlen(base));
    (*next)++;
    *out = cn_arena_format(arena, "%s%slayers/%s", model->path, *model->path ? "/" : "", name);
    if (!*out) return CN_NO_MEMORY(strlen(name));
    if (cx->doc->index_count == 0 || cn_weights_has(cx->doc, *out) || !cn_weights_has(cx->doc, tf_container)) return CORNU_OK;
    tf_path = join(arena, tf_container, name);
    if (!tf_path) return CN_NO_MEMORY(strlen(name));
    if (!cn_weights_has(cx->doc, tf_path)) return CORNU_OK;
    if (cn_weights_has_data(cx->doc, tf_path) && counts_members_twice(cx, tf_container, base)) (*next)++;
    *out = tf_path;
    return CORNU_OK;
}

/* In legacy HDF5 a layer of the root has a group by its name; those inside nested models have none. */
static const char* legacy_path(builder* cx, const cn_layer* model, const cn_json* object) {
    const char* name = text_or(cn_json_get(cn_json_get(object, "config"), "name"), text_or(cn_json_get(object, "name"), ""));

    if (model->parent) return cn_arena_format(&cx->state->arena, "%s#/%s", model->path, name);
    return cn_arena_format(&cx->state->arena, "%s%s", cx->doc->legacy_prefix, name);
}

/* Whether a member takes a number, and has a group in the file; the path of others ends in '#': operations never do,
 * and Sequential does not count its InputLayer. */
static bool takes_number(const cn_layer* model, const cn_json* object) {
    if (model->kind == CN_LAYER_SEQUENTIAL) return !cn_json_equals(cn_json_get(object, "class_name"), "InputLayer");
    return !is_op_module(text_or(cn_json_get(object, "module"), ""));
}

static cornu_status build_member(builder* cx, cn_layer_node* model, cn_naming* naming, const cn_json* object,
                                 size_t i) {
    cn_layer* layer = &model->layer;
    const char* class_name = cn_json_string(cn_json_get(object, "class_name"), NULL);
    const char* path = "";
    cn_layer_node* member;

    if (!cn_json_is(object, CN_JSON_OBJECT) || !class_name)
        return CN_FAIL(BAD_FILE,
                       "%s: config.json: %s: key 'config.layers/%zu' is of type %s%s; an object with a string "
                       "class_name is allowed",
                       cx->doc->name, cn_layer_describe(layer), i, cn_json_type_name(object),
                       cn_json_is(object, CN_JSON_OBJECT) ? " without one" : "");
    if (cx->doc->legacy) path = legacy_path(cx, layer, object);
    else if (takes_number(layer, object)) CN_TRY(member_path(cx, layer, naming, class_name, &path));
    else path = cn_arena_format(&cx->state->arena, "%s%slayers/%s#", layer->path, *layer->path ? "/" : "", class_name);
    if (!path) return CN_NO_MEMORY(strlen(class_name));
    CN_TRY(build_layer(cx, object, layer, path, &member));
    if (layer->kind == CN_LAYER_FUNCTIONAL) {
        if (!*member->layer.name) member->layer.name = text_or(cn_json_get(object, "name"), "");
        member->layer.inbound_nodes = cn_json_get(object, "inbound_nodes");
    }
    layer->layers[layer->layer_count++] = &member->layer;
    return CORNU_OK;
}

static int compare_names(const void* a, const void* b) {
    const cn_layer* const* x = a;
    const cn_layer* const* y = b;
    return strcmp((*x)->name, (*y)->name);
}

static cornu_status build_members(builder* cx, cn_layer_node* model) {
    cn_layer* layer = &model->layer;
    cn_arena* arena = &cx->state->arena;
    /* Keras 1 and 2.0 wrote the config of a Sequential as the list itself. */
    const cn_json* list =
        cn_json_is(layer->config, CN_JSON_ARRAY) ? layer->config : cn_json_get(layer->config, "layers");
    size_t count = cn_json_size(list);
    cn_naming naming;

    if (!cn_json_is(list, CN_JSON_ARRAY))
        return CN_FAIL(BAD_FILE, "%s: config.json: %s: key 'config.layers' is of type %s; an array is allowed",
                       cx->doc->name, cn_layer_describe(layer), cn_json_type_name(list));
    CN_TRY(cn_naming_init(&naming, arena, count));
    layer->layers = cn_arena_array(arena, count + 1, sizeof(cn_layer*));
    model->by_name = cn_arena_array(arena, count + 1, sizeof(cn_layer*));
    if (!layer->layers || !model->by_name) return CN_NO_MEMORY(count * sizeof(cn_layer*));
    for (size_t i = 0; i < count; i++) CN_TRY(build_member(cx, model, &naming, cn_json_at(list, i), i));
    memcpy(model->by_name, layer->layers, layer->layer_count * sizeof(cn_layer*));
    qsort(model->by_name, layer->layer_count, sizeof(cn_layer*), compare_names);
    return CORNU_OK;
}

/* ---- one layer ---- */

static cornu_status find_own_variables(builder* cx, cn_layer_node* node) {
    const char* group = join(&cx->state->arena, node->layer.path, "vars");
    size_t begin, end;

    if (!group) return CN_NO_MEMORY(strlen(node->layer.path));
    cn_weights_range(cx->doc, group, &begin, &end);
    if (begin == end) return CORNU_OK;
    node->own = cn_arena_array(&cx->state->arena, end - begin, sizeof *node->own);
    if (!node->own) return CN_NO_MEMORY((end - begin) * sizeof *node->own);
    for (size_t i = begin; i < end; i++) {
        const cn_weight_entry* entry = &cx->doc->index[i];
        if (entry->variable && !strchr(entry->path + strlen(group) + 1, '/'))
            node->own[node->own_count++] = entry->variable;
    }
    return CORNU_OK;
}

static cornu_status new_node(builder* cx, const cn_layer* parent, const char* path, cn_layer_node** out) {
    cn_layer_node* node = cn_arena_alloc(&cx->state->arena, sizeof *node);

    *out = node;
    if (!node) return CN_NO_MEMORY(sizeof *node);
    if (++cx->state->layer_total > CN_LIMIT_LAYERS)
        return CN_FAIL(BAD_FILE, "%s: config.json: more than %llu layers", cx->doc->name,
                       (unsigned long long)CN_LIMIT_LAYERS);
    node->state = cx->state;
    node->layer.parent = parent;
    node->layer.path = path;
    node->layer.name = node->layer.class_name = node->layer.module = node->layer.registered_name = "";
    return find_own_variables(cx, node);
}

static cornu_status build_layer(builder* cx, const cn_json* object, const cn_layer* parent, const char* path,
                                cn_layer_node** out) {
    cn_layer_node* node;
    cn_layer* layer;
    const cn_json* config = cn_json_get(object, "config");

    *out = NULL;
    CN_TRY(new_node(cx, parent, path, &node));
    layer = &node->layer;
    layer->object = object;
    layer->config = cn_json_type_of(config) == CN_JSON_NULL ? NULL : config;
    layer->class_name = text_or(cn_json_get(object, "class_name"), "");
    layer->module = text_or(cn_json_get(object, "module"), "");
    layer->registered_name = text_or(cn_json_get(object, "registered_name"), "");
    if (!strchr(layer->registered_name, '>')) layer->registered_name = "";
    layer->name = text_or(cn_json_get(config, "name"), "");
    layer->kind = kind_of(layer);
    if (layer->config && !cn_json_is(config, CN_JSON_OBJECT) && layer->kind != CN_LAYER_SEQUENTIAL)
        return CN_FAIL(BAD_FILE, "%s: config.json: %s: key 'config' is of type %s; an object is allowed", cx->doc->name,
                       cn_layer_describe(layer), cn_json_type_name(config));
    if (layer->kind == CN_LAYER_FUNCTIONAL || layer->kind == CN_LAYER_SEQUENTIAL) CN_TRY(build_members(cx, node));
    *out = node;
    return CORNU_OK;
}

/* ---- the whole ---- */

static size_t count_layers(const cn_layer* layer) {
    size_t sum = 1;
    for (size_t i = 0; i < layer->layer_count; i++) sum += count_layers(layer->layers[i]);
    return sum;
}

static void list_layers(const cn_layer* layer, const cn_layer** list, size_t* count) {
    list[(*count)++] = layer;
    for (size_t i = 0; i < layer->layer_count; i++) list_layers(layer->layers[i], list, count);
}

static int compare_paths(const void* a, const void* b) {
    const cn_layer* const* x = a;
    const cn_layer* const* y = b;
    return strcmp((*x)->path, (*y)->path);
}

cornu_status cn_layers_build(cn_document* doc, cn_config_state* state) {
    builder cx = {doc, state};
    cn_layer_node* root;
    size_t count;

    CN_TRY(build_layer(&cx, cn_json_root(state->config), NULL, "", &root));
    count = count_layers(&root->layer);
    state->by_path = cn_arena_array(&state->arena, count, sizeof *state->by_path);
    if (!state->by_path) return CN_NO_MEMORY(count * sizeof *state->by_path);
    list_layers(&root->layer, state->by_path, &state->by_path_count);
    qsort(state->by_path, state->by_path_count, sizeof *state->by_path, compare_paths);
    state->root = &root->layer;
    return CORNU_OK;
}

/* The layer whose path is the first size bytes of path. */
static const cn_layer* find_path(const cn_config_state* state, const char* path, size_t size) {
    size_t low = 0, high = state->by_path_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const char* other = state->by_path[middle]->path;
        int order = strncmp(other, path, size);
        if (order == 0 && other[size] != '\0') order = 1;
        if (order == 0) return state->by_path[middle];
        if (order < 0) low = middle + 1;
        else high = middle;
    }
    return NULL;
}

const cn_layer* cn_layers_owner(const cn_config_state* state, const char* path) {
    if (!state->root) return NULL;
    for (size_t size = strlen(path); size > 0; size--) {
        const cn_layer* layer = path[size] == '/' ? find_path(state, path, size) : NULL;
        if (layer) return layer;
    }
    /* The root owns what it holds itself; of a class unknown here, all there is. */
    if (strncmp(path, "vars/", 5) == 0) return state->root;
    return state->root->kind == CN_LAYER_PLAIN && !begins(path, "metrics/") ? state->root : NULL;
}

/* ---- sub-layers ---- */

/* The path of a sub-layer: parent's + the first of the attributes that the file has. */
static cornu_status sub_path(builder* cx, const cn_layer* parent, const char* attributes, const char** out) {
    const char* first = NULL;

    for (const char* at = attributes; at && *out == NULL;) {
        const char* bar = strchr(at, '|');
        size_t size = bar ? (size_t)(bar - at) : strlen(at);
        const char* path =
            cn_arena_format(&cx->state->arena, "%s%s%.*s", parent->path, *parent->path ? "/" : "", (int)size, at);
        if (!path) return CN_NO_MEMORY(size);
        if (!first) first = path;
        if (cn_weights_has(cx->doc, path)) *out = path;
        at = bar ? bar + 1 : NULL;
    }
    if (!*out) *out = first;
    return CORNU_OK;
}

static const char* last_part(const char* path) {
    const char* slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Under the state's lock. */
static cornu_status make_sub(builder* cx, cn_layer_node* parent, const cn_json* object, const char* class_name,
                             const char* attributes, cn_layer_node** out) {
    const char* path = NULL;
    cn_layer_node* node;

    CN_TRY(sub_path(cx, &parent->layer, attributes, &path));
    if (object) {
        if (!cn_json_is(object, CN_JSON_OBJECT) || !cn_json_is(cn_json_get(object, "class_name"), CN_JSON_STRING))
            return CN_FAIL(BAD_FILE,
                           "%s: config.json: %s: its sub-layer '%s' is of type %s%s; an object with a string "
                           "class_name is allowed",
                           cx->doc->name, cn_layer_describe(&parent->layer), last_part(path), cn_json_type_name(object),
                           cn_json_is(object, CN_JSON_OBJECT) ? " without one" : "");
        CN_TRY(build_layer(cx, object, &parent->layer, path, &node));
    } else {
        CN_TRY(new_node(cx, &parent->layer, path, &node));
        node->layer.class_name = cn_arena_strdup(&cx->state->arena, class_name);
        node->layer.module = "keras.layers";
        if (!node->layer.class_name) return CN_NO_MEMORY(strlen(class_name));
    }
    if (!*node->layer.name) node->layer.name = last_part(path);
    node->attributes = cn_arena_strdup(&cx->state->arena, attributes);
    if (!node->attributes) return CN_NO_MEMORY(strlen(attributes));
    node->next = parent->subs;
    parent->subs = node;
    *out = node;
    return CORNU_OK;
}

static cornu_status get_sub(const cn_document* doc, const cn_layer* parent, const cn_json* object,
                            const char* class_name, const char* attributes, const cn_layer** out) {
    cornu_status st = CORNU_OK;
    cn_layer_node* owner =
        (cn_layer_node*)(uintptr_t)parent; /* layers are made here, as parts of nodes that may change */
    builder cx = {doc, owner->state};
    cn_layer_node* node;

    *out = NULL;
    (void)pthread_mutex_lock(&owner->state->lock);
    for (node = owner->subs; node; node = node->next) {
        if (node->layer.object == object && strcmp(node->attributes, attributes) == 0 &&
            (object || strcmp(node->layer.class_name, class_name) == 0))
            break;
    }
    if (!node) st = make_sub(&cx, owner, object, class_name, attributes, &node);
    if (st == CORNU_OK) *out = &node->layer;
    (void)pthread_mutex_unlock(&owner->state->lock);
    return st;
}

cornu_status cn_layer_sub(const cn_document* doc, const cn_layer* parent, const cn_json* object, const char* attributes,
                          const cn_layer** out) {
    if (!object) {
        *out = NULL;
        return CN_FAIL(BAD_FILE, "%s: config.json: %s: its sub-layer '%s' is missing; an object is allowed", doc->name,
                       cn_layer_describe(parent), attributes);
    }
    return get_sub(doc, parent, object, "", attributes, out);
}

cornu_status cn_layer_sub_plain(const cn_document* doc, const cn_layer* parent, const char* class_name,
                                const char* attributes, const cn_layer** out) {
    return get_sub(doc, parent, NULL, class_name, attributes, out);
}

/* ---- asking ---- */

const cn_layer* cn_layer_find(const cn_layer* model, const char* name) {
    const cn_layer_node* node = (const cn_layer_node*)model;
    size_t low = 0, high = model ? model->layer_count : 0;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(node->by_name[middle]->name, name);
        if (order == 0) return node->by_name[middle];
        if (order < 0) low = middle + 1;
        else high = middle;
    }
    return NULL;
}

int cn_layer_variable_count(const cn_document* doc, const cn_layer* layer) {
    (void)doc;
    return (int)((const cn_layer_node*)layer)->own_count;
}

const cn_variable* cn_layer_variable(const cn_document* doc, const cn_layer* layer, int i) {
    const cn_layer_node* node = (const cn_layer_node*)layer;
    char name[16];

    (void)doc;
    (void)snprintf(name, sizeof name, "%d", i);
    for (size_t k = 0; k < node->own_count; k++) {
        if (strcmp(last_part(node->own[k]->path), name) == 0) return node->own[k];
    }
    return NULL;
}

const char* cn_layer_describe(const cn_layer* layer) {
    static _Thread_local char text[256];

    (void)snprintf(text, sizeof text, "layer '%.120s' (%.100s)", layer->name, layer->class_name);
    return text;
}
