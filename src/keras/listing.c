/* Walks a layer and what it holds; what its class should have comes from own_variables.c and composite.c, and what does not fit is refused. */
#include "keras/listing.h"

#include <stdio.h>
#include <string.h>

#include "keras/composite.h"
#include "keras/own_variables.h"
#include "keras/parts.h"

enum { MAX_DEPTH = 64 };

typedef struct lister {
    const cn_document* doc;
    cn_arena* arena;
    cn_listed* list;
    size_t count, capacity;
    const cn_layer* unsure; /* a layer of a class that is not known, that has variables */
    int groups;             /* "vars" groups with variables met so far */
} lister;

static cornu_status list_layer(lister* cx, const cn_layer* layer, const char* name, bool frozen, int skip, int depth);

static bool is_keras(const cn_layer* layer) { return !*layer->module || strncmp(layer->module, "keras", 5) == 0; }

static bool is_frozen(const cn_layer* layer, bool inherited) {
    const cn_json* flag = cn_json_get(layer->config, "trainable");

    if (layer->kind == CN_LAYER_SEQUENTIAL) return false; /* Keras ignores its flag; its members have their own */
    return cn_json_is(flag, CN_JSON_BOOL) ? !cn_json_bool(flag) : !layer->config && inherited;
}

static cornu_status add(lister* cx, const cn_variable* variable, const char* layer_name, const char* name, size_t name_size, bool trainable) {
    const char* text = cn_arena_format(cx->arena, "%s/%.*s", layer_name, (int)name_size, name);

    if (!text) return CN_NO_MEMORY(name_size);
    if (cx->count == cx->capacity)
        return CN_FAIL(BAD_FILE, "%s: variable '%s' belongs to more than one layer", cx->doc->name, variable->path);
    cx->list[cx->count++] = (cn_listed){variable, text, trainable};
    return CORNU_OK;
}

/* ---- own variables ---- */

static cornu_status list_known(lister* cx, const cn_layer* layer, const char* name, bool frozen, int skip, bool* known) {
    cn_own_variable own[CN_OWN_MAX];
    int expected = is_keras(layer) ? cn_own_variables(layer->class_name, layer, own) : -1;
    int count = cn_layer_variable_count(cx->doc, layer);

    *known = expected >= 0;
    if (!*known) return CORNU_OK;
    if (cn_json_type_of(cn_json_get(layer->config, "lora_rank")) != CN_JSON_NULL)
        return CN_FAIL(UNSUPPORTED, "%s: %s has LoRA, whose parts Keras wants in legacy HDF5 and .keras does not have", cx->doc->name,
                       cn_layer_describe(layer));
    if (!layer->config && count > 0 && count < expected) expected = count; /* without its bias */
    if (count != expected)
        return CN_FAIL(UNSUPPORTED, "%s: %s has %d variables where its class has %d; legacy HDF5 cannot hold it", cx->doc->name,
                       cn_layer_describe(layer), count, expected);
    if (count > 0) cx->groups++;
    for (int i = skip; i < count; i++) {
        const cn_variable* variable = cn_layer_variable(cx->doc, layer, i);
        if (!variable) return CN_FAIL(BAD_FILE, "%s: %s lacks variable %d", cx->doc->name, cn_layer_describe(layer), i);
        CN_TRY(add(cx, variable, name, own[i].name, own[i].size, !frozen && !own[i].state));
    }
    return CORNU_OK;
}

/* A class that is not known here: its own variables by number, then whatever is below it. */
static cornu_status list_unknown(lister* cx, const cn_layer* layer, const char* name, bool frozen) {
    int count = cn_layer_variable_count(cx->doc, layer);
    size_t begin, end, prefix = strlen(layer->path);

    if (count > 0) cx->groups++, cx->unsure = layer;
    for (int i = 0; i < count; i++) {
        const cn_variable* variable = cn_layer_variable(cx->doc, layer, i);
        char number[16];
        if (!variable)
            return CN_FAIL(UNSUPPORTED, "%s: %s has a variable that is not numbered; legacy HDF5 cannot hold it", cx->doc->name,
                           cn_layer_describe(layer));
        (void)snprintf(number, sizeof number, "%d", i);
        CN_TRY(add(cx, variable, name, number, strlen(number), !frozen));
    }
    cn_weights_range(cx->doc, layer->path, &begin, &end);
    for (size_t i = begin; i < end; i++) {
        const char* below = cx->doc->index[i].path + prefix + (prefix > 0);
        if (!cx->doc->index[i].variable || (strncmp(below, "vars/", 5) == 0 && !strchr(below + 5, '/'))) continue;
        cx->groups += 2; /* in which order the class lists its sub-layers is not known */
        cx->unsure = layer;
        CN_TRY(add(cx, cx->doc->index[i].variable, name, below, strlen(below), !frozen));
    }
    return CORNU_OK;
}

/* ---- sub-layers ---- */

static cornu_status list_cells(lister* cx, const cn_layer* layer, const char* name, bool frozen, int depth) {
    size_t count = cn_json_size(cn_json_get(layer->config, "cells"));
    cn_naming naming;

    CN_TRY(cn_naming_init(&naming, cx->arena, count));
    for (size_t i = 0; i < count; i++) {
        const char *attribute, *cell_name;
        const cn_layer* cell;
        CN_TRY(cn_composite_cell(cx->doc, layer, i, &naming, cx->arena, &attribute, &cell));
        cell_name = cn_arena_format(cx->arena, "%s/%s", name, *cell->name ? cell->name : attribute + 6);
        if (!cell_name) return CN_NO_MEMORY(strlen(name));
        CN_TRY(list_layer(cx, cell, cell_name, is_frozen(cell, frozen), 0, depth + 1));
    }
    return CORNU_OK;
}

/* Bidirectional's two layers are "forward_x" and "backward_x", also where the file describes only the first. */
static const char* directed_name(cn_arena* arena, const char* attribute, const char* name) {
    const char* want = strcmp(attribute, "forward_layer") == 0 ? "forward_" : strcmp(attribute, "backward_layer") == 0 ? "backward_" : "";

    if (strncmp(name, want, strlen(want)) == 0) return name;
    return cn_arena_format(arena, "%s%s", want, strncmp(name, "forward_", 8) == 0 ? name + 8 : name);
}

static cornu_status list_sub(lister* cx, const cn_layer* layer, const cn_composite* row, const char* name, bool frozen, int depth) {
    const cn_layer* sub;
    const char* sub_name = row->sub_name;
    bool normalised = strcmp(layer->class_name, "SpectralNormalization") == 0; /* its own kernel is the sub-layer's first variable */

    if (row->key) CN_TRY(cn_layer_sub(cx->doc, layer, cn_composite_object(layer, row), row->attributes, &sub));
    else CN_TRY(cn_layer_sub_plain(cx->doc, layer, row->sub_class, row->attributes, &sub));
    if (!row->key && !cn_weights_has_data(cx->doc, sub->path)) return CORNU_OK; /* a gate that was not asked for */
    if (row->key) sub_name = directed_name(cx->arena, row->attributes, sub->name);
    if (!sub_name) return CN_NO_MEMORY(strlen(sub->name));
    sub_name = cn_arena_format(cx->arena, "%s/%s", name, sub_name);
    if (!sub_name) return CN_NO_MEMORY(strlen(name));
    return list_layer(cx, sub, sub_name, is_frozen(sub, frozen), normalised ? 1 : 0, depth + 1);
}

static cornu_status list_subs(lister* cx, const cn_layer* layer, const char* name, bool frozen, int depth, bool* found) {
    const cn_composite* rows;
    size_t count;

    *found = false;
    if (!is_keras(layer)) return CORNU_OK;
    if (strcmp(layer->class_name, "StackedRNNCells") == 0) {
        *found = true;
        return list_cells(cx, layer, name, frozen, depth);
    }
    rows = cn_composite_find(layer->class_name, &count);
    *found = count > 0;
    for (size_t i = 0; i < count; i++) CN_TRY(list_sub(cx, layer, &rows[i], name, frozen, depth));
    return CORNU_OK;
}

static cornu_status list_members(lister* cx, const cn_layer* layer, const char* name, int depth) {
    for (size_t i = 0; i < layer->layer_count; i++) {
        const cn_layer* member = layer->layers[i];
        const char* full = cn_arena_format(cx->arena, "%s/%s", name, member->name);
        if (!full) return CN_NO_MEMORY(strlen(name));
        if (!strchr(member->path, '#')) CN_TRY(list_layer(cx, member, full, is_frozen(member, false), 0, depth + 1));
    }
    return CORNU_OK;
}

/* skip: so many of its own variables are listed elsewhere. */
static cornu_status list_layer(lister* cx, const cn_layer* layer, const char* name, bool frozen, int skip, int depth) {
    bool known, found = false;

    if (depth > MAX_DEPTH) return CN_FAIL(UNSUPPORTED, "%s: %s is too deep in other layers", cx->doc->name, cn_layer_describe(layer));
    if (layer->kind == CN_LAYER_FUNCTIONAL || layer->kind == CN_LAYER_SEQUENTIAL) return list_members(cx, layer, name, depth);
    CN_TRY(list_known(cx, layer, name, frozen, skip, &known));
    CN_TRY(list_subs(cx, layer, name, frozen, depth, &found));
    return known || found ? CORNU_OK : list_unknown(cx, layer, name, frozen);
}

/* ---- the order ---- */

static void order(cn_listed* list, size_t count, cn_listed* room) {
    size_t n = 0;

    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < count; i++) {
            if (list[i].trainable == (pass == 0)) room[n++] = list[i];
        }
    }
    memcpy(list, room, count * sizeof *list);
}

cornu_status cn_list_weights(const cn_document* doc, const cn_layer* layer, cn_arena* arena, cn_listed** out, size_t* out_count) {
    lister cx = {doc, arena, NULL, 0, doc->variable_count, NULL, 0};
    cn_listed* room;
    size_t begin, end;

    *out = NULL;
    *out_count = 0;
    if (strchr(layer->path, '#')) return CORNU_OK;
    cn_weights_range(doc, layer->path, &begin, &end);
    cx.capacity = end - begin;
    cx.list = cn_arena_array(arena, cx.capacity + 1, sizeof *cx.list);
    room = cn_arena_array(arena, cx.capacity + 1, sizeof *room);
    if (!cx.list || !room) return CN_NO_MEMORY(cx.capacity * sizeof *room);
    CN_TRY(list_layer(&cx, layer, layer->name, is_frozen(layer, false), 0, 0));
    if (cx.unsure && cx.groups > 1)
        return CN_FAIL(UNSUPPORTED,
                       "%s: %s: legacy HDF5 has its variables in the order in which its class makes them, which the file does not tell",
                       doc->name, cn_layer_describe(cx.unsure));
    if (!is_frozen(layer, false) && cx.count > 0) order(cx.list, cx.count, room);
    *out = cx.list;
    *out_count = cx.count;
    return CORNU_OK;
}

/* ---- what is missing ---- */

typedef struct seeker {
    const cn_document* doc;
    cn_arena* arena;
    cornu_status (*told)(void* user, const char* path);
    void* user;
} seeker;

static cornu_status seek(const seeker* cx, const cn_layer* layer, int depth);

static cornu_status seek_own(const seeker* cx, const cn_layer* layer, int expected) {
    int count = cn_layer_variable_count(cx->doc, layer);

    if (!layer->config && count > 0) return CORNU_OK; /* without its bias */
    for (int i = 0; i < expected; i++) {
        const char* path = cn_arena_format(cx->arena, "%s/vars/%d", layer->path, i);
        if (!path) return CN_NO_MEMORY(strlen(layer->path));
        if (i >= count || !cn_layer_variable(cx->doc, layer, i)) CN_TRY(cx->told(cx->user, path));
    }
    return CORNU_OK;
}

static cornu_status seek_cells(const seeker* cx, const cn_layer* layer, int depth) {
    size_t count = cn_json_size(cn_json_get(layer->config, "cells"));
    cn_naming naming;

    CN_TRY(cn_naming_init(&naming, cx->arena, count));
    for (size_t i = 0; i < count; i++) {
        const char* attribute;
        const cn_layer* cell;
        CN_TRY(cn_composite_cell(cx->doc, layer, i, &naming, cx->arena, &attribute, &cell));
        CN_TRY(seek(cx, cell, depth + 1));
    }
    return CORNU_OK;
}

static cornu_status seek_sub(const seeker* cx, const cn_layer* layer, const cn_composite* row, int depth) {
    const cn_json* gate = cn_json_get(layer->config, "use_gate");
    const cn_layer* sub;

    if (!row->key && strcmp(row->sub_name, "gate") == 0 && !(gate && cn_json_bool(gate))) return CORNU_OK;
    if (row->key) CN_TRY(cn_layer_sub(cx->doc, layer, cn_composite_object(layer, row), row->attributes, &sub));
    else CN_TRY(cn_layer_sub_plain(cx->doc, layer, row->sub_class, row->attributes, &sub));
    return seek(cx, sub, depth + 1);
}

static cornu_status seek(const seeker* cx, const cn_layer* layer, int depth) {
    cn_own_variable own[CN_OWN_MAX];
    const cn_composite* rows;
    size_t count;
    int expected;

    if (depth > MAX_DEPTH || strchr(layer->path, '#')) return CORNU_OK;
    for (size_t i = 0; i < layer->layer_count; i++) CN_TRY(seek(cx, layer->layers[i], depth + 1));
    if (!is_keras(layer)) return CORNU_OK;
    expected = cn_own_variables(layer->class_name, layer, own);
    if (expected > 0) CN_TRY(seek_own(cx, layer, expected));
    if (strcmp(layer->class_name, "StackedRNNCells") == 0) return seek_cells(cx, layer, depth);
    rows = cn_composite_find(layer->class_name, &count);
    for (size_t i = 0; i < count; i++) CN_TRY(seek_sub(cx, layer, &rows[i], depth));
    return CORNU_OK;
}

cornu_status cn_list_missing(const cn_document* doc, const cn_layer* layer, cn_arena* arena, cornu_status (*told)(void* user, const char* path),
                             void* user) {
    seeker cx = {doc, arena, told, user};
    return seek(&cx, layer, 0);
}
