/* Lists the trained variables of a document by walking its layers. What a layer holds below its own variables is known for the composite
 * classes of Keras (composite.c); of any other class its groups are taken in the order of the file. */
#include "keras/trained.h"

#include <string.h>
#include <strings.h>

#include "keras/composite.h"
#include "keras/parts.h"

/* Names of variables where the order of the file is always the same, for the paths of cn_trained. */
static const struct {
    const char* class_name; /* of the layer, or of the one that a group without an object belongs to */
    const char* names[3];
} names[] = {
    {"Dense", {"kernel", "bias"}},
    {"Conv1D", {"kernel", "bias"}},
    {"Conv2D", {"kernel", "bias"}},
    {"Conv3D", {"kernel", "bias"}},
    {"Embedding", {"embeddings"}},
    {"LSTM", {"kernel", "recurrent_kernel", "bias"}},
    {"GRU", {"kernel", "recurrent_kernel", "bias"}},
    {"SimpleRNN", {"kernel", "recurrent_kernel", "bias"}},
    {"MultiHeadAttention", {"kernel", "bias"}},
    {"GroupQueryAttention", {"kernel", "bias"}},
};

static bool flag_is(const cn_json* config, const char* key, bool fallback) {
    const cn_json* flag = cn_json_get(config, key);
    return cn_json_is(flag, CN_JSON_BOOL) ? cn_json_bool(flag) : fallback;
}

bool cn_is_state_variable(const char* class_name, const cn_json* config, int64_t n) {
    if (strcmp(class_name, "BatchNormalization") == 0 || strcmp(class_name, "BatchNormalizationV1") == 0 ||
        strcmp(class_name, "SyncBatchNormalization") == 0)
        return n >= (flag_is(config, "center", true) ? 1 : 0) + (flag_is(config, "scale", true) ? 1 : 0);
    if (strcmp(class_name, "SpectralNormalization") == 0) return n == 1;
    return strcmp(class_name, "Normalization") == 0 || strcmp(class_name, "StringLookup") == 0 ||
           strcmp(class_name, "IntegerLookup") == 0 || strcmp(class_name, "TextVectorization") == 0;
}

typedef struct lister {
    const cn_document* doc;
    cn_arena* arena;
    cn_trained* list;
    size_t count; /* never more than the document's variables */
} lister;

static cornu_status list_layer(lister* cx, const cn_layer* layer, const char* name, bool in_embedding, int depth);

static const char* join_names(cn_arena* arena, const char* a, const char* b) {
    if (!*a || !*b) return *a ? a : b;
    return cn_arena_format(arena, "%s/%s", a, b);
}

static bool has_embedding(const char* text) {
    for (; *text; text++) {
        if (strncasecmp(text, "embedding", 9) == 0) return true;
    }
    return false;
}

/* name: of the layer that owns it; class_name: of that or of the composite that it is a part of. */
static cornu_status add(lister* cx, const cn_variable* variable, const char* name, const char* class_name, int n, bool in_embedding) {
    cn_trained* trained;
    const char* own = NULL;

    if (cx->count == cn_document_variable_count(cx->doc)) return CORNU_OK; /* of a config that names a group twice */
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i].class_name, class_name) == 0 && n < 3) own = names[i].names[n];
    }
    if (!own) own = cn_arena_format(cx->arena, "%d", n);
    if (!own) return CN_NO_MEMORY(16);
    trained = &cx->list[cx->count++];
    trained->variable = variable;
    trained->in_embedding = in_embedding;
    trained->name = join_names(cx->arena, name, own);
    return trained->name ? CORNU_OK : CN_NO_MEMORY(strlen(name));
}

static cornu_status list_own(lister* cx, const cn_layer* layer, const char* name, bool in_embedding, int skip) {
    int count = cn_layer_variable_count(cx->doc, layer);

    for (int i = skip; i < count; i++) {
        const cn_variable* variable = cn_layer_variable(cx->doc, layer, i);
        if (variable && !cn_is_state_variable(layer->class_name, layer->config, i))
            CN_TRY(add(cx, variable, name, layer->class_name, i, in_embedding));
    }
    return CORNU_OK;
}

/* All below a layer of a class that is not known, in the order of the file. Keras's own order of one group is certain. */
static cornu_status list_unknown(lister* cx, const cn_layer* layer, const char* name) {
    const char* group = NULL;
    size_t first = cx->count, begin, end;
    bool several = false;

    cn_weights_range(cx->doc, layer->path, &begin, &end);
    if (!*layer->path) begin = 0, end = cx->doc->index_count;
    for (size_t i = begin; i < end; i++) {
        const cn_weight_entry* entry = &cx->doc->index[i];
        const char* below = entry->path + strlen(layer->path) + (*layer->path ? 1 : 0);
        const char* slash = strrchr(below, '/');
        if (!entry->variable || entry->variable->is_optimizer || strncmp(below, "vars/", 5) == 0 || strncmp(below, "metrics/", 8) == 0) continue;
        if (group && slash && strncmp(group, below, (size_t)(slash - below) + 1) != 0) several = true;
        group = below;
        CN_TRY(add(cx, entry->variable, name, "", (int)(i - begin), has_embedding(below)));
    }
    for (size_t i = first; several && i < cx->count; i++) cx->list[i].uncertain = true;
    return CORNU_OK;
}

/* The group of a sub-layer without an object: the first of the attributes that the file has. */
static cornu_status list_group(lister* cx, const cn_layer* layer, const char* name, const char* attributes) {
    for (const char* at = attributes; at;) {
        const char* bar = strchr(at, '|');
        int size = bar ? (int)(bar - at) : (int)strlen(at);
        for (int i = 0;; i++) {
            const char* path = cn_arena_format(cx->arena, "%s%s%.*s/vars/%d", layer->path, *layer->path ? "/" : "", size, at, i);
            const cn_weight_entry* entry = path ? cn_weights_find(cx->doc, path) : NULL;
            const char* group = cn_arena_format(cx->arena, "%s/%.*s", name, size, at);
            if (!path || !group) return CN_NO_MEMORY(64);
            if (!entry || !entry->variable) break;
            CN_TRY(add(cx, entry->variable, group, layer->class_name, i, false));
            bar = NULL;
        }
        at = bar ? bar + 1 : NULL;
    }
    return CORNU_OK;
}

static cornu_status list_stack(lister* cx, const cn_layer* layer, const char* name, int depth) {
    size_t count = cn_json_size(cn_json_get(layer->config, "cells"));
    cn_naming naming;

    CN_TRY(cn_naming_init(&naming, cx->arena, count));
    for (size_t i = 0; i < count; i++) {
        const cn_layer* cell;
        const char* attribute;
        CN_TRY(cn_composite_cell(cx->doc, layer, i, &naming, cx->arena, &attribute, &cell));
        CN_TRY(list_layer(cx, cell, name, false, depth + 1));
    }
    return CORNU_OK;
}

static cornu_status list_sub(lister* cx, const cn_layer* layer, const char* name, const cn_composite* row, bool in_embedding, int depth) {
    const cn_json* object = cn_composite_object(layer, row);
    const cn_layer* sub;
    const char* sub_name;

    if (!object) return CORNU_OK;
    CN_TRY(cn_layer_sub(cx->doc, layer, object, row->attributes, &sub));
    sub_name = join_names(cx->arena, name, sub->name);
    if (!sub_name) return CN_NO_MEMORY(strlen(name));
    return list_layer(cx, sub, sub_name, in_embedding, depth + 1);
}

/* *known: whether the table has the class. */
static cornu_status list_subs(lister* cx, const cn_layer* layer, const char* name, bool in_embedding, int depth, bool* known) {
    bool stack = strcmp(layer->class_name, "StackedRNNCells") == 0;
    const cn_composite* rows;
    size_t count;

    *known = stack && !*layer->registered_name;
    if (*known) return list_stack(cx, layer, name, depth);
    if (*layer->registered_name) return CORNU_OK;
    rows = cn_composite_find(layer->class_name, &count);
    *known = count > 0;
    for (size_t i = 0; i < count; i++) {
        if (!rows[i].key) CN_TRY(list_group(cx, layer, name, rows[i].attributes));
        else CN_TRY(list_sub(cx, layer, name, &rows[i], in_embedding, depth));
    }
    return CORNU_OK;
}

static bool is_frozen(const cn_layer* layer) {
    /* Sequential ignores its own flag when it is read. */
    return layer->kind != CN_LAYER_SEQUENTIAL && !flag_is(layer->config, "trainable", true);
}

/* name: the layer's, after those of the models that it is in. depth: of sub-layers inside sub-layers. */
static cornu_status list_layer(lister* cx, const cn_layer* layer, const char* name, bool in_embedding, int depth) {
    bool normalised = layer->parent && strcmp(layer->parent->class_name, "SpectralNormalization") == 0;
    bool known = false;

    if (is_frozen(layer) || depth > CN_LIMIT_HDF5_DEPTH) return CORNU_OK;
    in_embedding = in_embedding || has_embedding(layer->class_name) || has_embedding(name);
    /* The kernel of a layer inside SpectralNormalization is the wrapper's as well, and listed there. */
    CN_TRY(list_own(cx, layer, name, in_embedding, normalised ? 1 : 0));
    for (size_t i = 0; i < layer->layer_count; i++) {
        const cn_layer* member = layer->layers[i];
        const char* member_name = join_names(cx->arena, layer->parent ? name : "", member->name);
        if (!member_name) return CN_NO_MEMORY(strlen(name));
        if (!strchr(member->path, '#')) CN_TRY(list_layer(cx, member, member_name, in_embedding, depth + 1));
    }
    if (layer->kind != CN_LAYER_PLAIN) return CORNU_OK;
    CN_TRY(list_subs(cx, layer, name, in_embedding, depth, &known));
    return known ? CORNU_OK : list_unknown(cx, layer, name);
}

cornu_status cn_trained_list(const cn_document* doc, cn_arena* arena, cn_trained** out, size_t* out_count) {
    lister cx = {doc, arena, NULL, 0};
    const cn_layer* root = cn_document_root(doc);

    *out = NULL;
    *out_count = 0;
    if (!root) return CORNU_OK;
    cx.list = cn_arena_array(arena, cn_document_variable_count(doc) + 1, sizeof *cx.list);
    if (!cx.list) return CN_NO_MEMORY(cn_document_variable_count(doc) * sizeof *cx.list);
    CN_TRY(list_layer(&cx, root, "", false, 0));
    *out = cx.list;
    *out_count = cx.count;
    return CORNU_OK;
}
