/* Which variable of an old file becomes which of Keras 3.
 *
 * Legacy HDF5 lists the weights of a layer of the root model, those of all that it holds in one list: the trainable ones first. The same
 * list is made from the new layers, as parts (what has variables of its own) and slots (one variable each), and the two are
 * matched in order. Everywhere else a variable keeps its place below its layer, whose path changes. */
#include <stdio.h>
#include <string.h>

#include "keras/composite.h"
#include "keras/own_variables.h"
#include "keras/upgrade_parts.h"

typedef struct part {
    const cn_layer* layer; /* in to; its config tells which slots there are */
    const char* vars;      /* path of its group */
    const char* name;      /* "model/inner/dense": of the layers that it is in, and its own */
    int count;             /* of slots; -1: the class is not known here */
    int old_count;         /* of arrays in Keras 1 */
    cn_own_variable slots[CN_OWN_MAX];
    bool trainable[CN_OWN_MAX];
    const cn_variable* raw[CN_OWN_MAX]; /* of the file, count or old_count of them */
    int raw_count;
    size_t kernel_of; /* 1 + index of the part whose first variable is this one's first as well; 0: none */
} part;

typedef struct part_list {
    part* items;
    size_t count, capacity;
    cn_arena* arena;
} part_list;

/* A layer of the file that has weights. */
typedef struct saved {
    const char* name;
    const char** names; /* of its weights */
    const cn_variable** weights;
    size_t count;
} saved;

/* ---- parts ---- */

static bool has_cell(const char* class_name) {
    return strcmp(class_name, "LSTM") == 0 || strcmp(class_name, "GRU") == 0 || strcmp(class_name, "SimpleRNN") == 0 ||
           strncmp(class_name, "ConvLSTM", 8) == 0;
}

/* Classes of Keras that have no variables, as far as a match by order has to know. */
static bool is_empty_class(const cn_layer* layer) {
    if (layer->kind == CN_LAYER_OP || strcmp(layer->class_name, "InputLayer") == 0) return true;
    return cn_name_module(CN_NAME_layer, layer->class_name) != NULL && strcmp(layer->class_name, "TernaryDense") != 0 &&
           strcmp(layer->class_name, "ReversibleEmbedding") != 0;
}

/* The class whose variables a layer has in its group; a recurrent layer's are its cell's. */
static const char* class_of_variables(const cn_layer* layer) {
    size_t count;
    return has_cell(layer->class_name) ? cn_composite_find(layer->class_name, &count)->sub_class : layer->class_name;
}

static cornu_status new_part(part_list* list, const cn_layer* layer, const char* below, const char* name, bool trainable) {
    part* p;
    int own;

    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 16;
        part* items = cn_arena_array(list->arena, capacity, sizeof *items);
        if (!items) return CN_NO_MEMORY(capacity * sizeof *items);
        if (list->count > 0) memcpy(items, list->items, list->count * sizeof *items);
        list->items = items;
        list->capacity = capacity;
    }
    p = &list->items[list->count];
    memset(p, 0, sizeof *p);
    p->layer = layer;
    p->name = name;
    p->vars = cn_arena_format(list->arena, "%s/%svars", layer->path, below);
    if (!p->vars) return CN_NO_MEMORY(strlen(layer->path));
    own = cn_own_variables(class_of_variables(layer), layer, p->slots);
    p->count = own < 0 && is_empty_class(layer) ? 0 : own;
    p->old_count = p->count;
    if (p->count == 3 && (strcmp(layer->class_name, "LSTM") == 0 || strcmp(layer->class_name, "ConvLSTM2D") == 0)) p->old_count = 12;
    if (p->count == 3 && strcmp(layer->class_name, "GRU") == 0) p->old_count = 9;
    for (int i = 0; i < p->count; i++) p->trainable[i] = trainable && !p->slots[i].state;
    if (p->count != 0) list->count++;
    return CORNU_OK;
}

static cornu_status add_parts(cn_upgrade* u, part_list* list, const cn_layer* layer, const char* name, bool trainable);

static cornu_status add_below(cn_upgrade* u, part_list* list, const cn_layer* sub, const char* outer, const char* name, bool trainable) {
    const char* full = cn_arena_format(list->arena, "%s/%s", outer, name);
    return full ? add_parts(u, list, sub, full, trainable) : CN_NO_MEMORY(strlen(name));
}

static cornu_status add_cells(cn_upgrade* u, part_list* list, const cn_layer* layer, const char* name, bool trainable) {
    size_t count = cn_json_size(cn_json_get(layer->config, "cells"));
    cn_naming naming;

    CN_TRY(cn_naming_init(&naming, list->arena, count + 1));
    for (size_t i = 0; i < count; i++) {
        const char* attribute;
        const cn_layer* cell;
        CN_TRY(cn_composite_cell(u->to, layer, i, &naming, list->arena, &attribute, &cell));
        CN_TRY(add_below(u, list, cell, name, *cell->name ? cell->name : attribute + 6, trainable));
    }
    return CORNU_OK;
}

/* A dense layer of an attention, which has no config of its own. */
static cornu_status add_dense(cn_upgrade* u, part_list* list, const cn_layer* layer, const cn_composite* row, const char* name, bool trainable) {
    const cn_json *bias = cn_json_get(layer->config, "use_bias"), *gate = cn_json_get(layer->config, "use_gate");
    const char* full = cn_arena_format(list->arena, "%s/%s", name, row->sub_name);
    const cn_layer* sub;
    part* p;

    if (strcmp(row->sub_name, "gate") == 0 && !(gate && cn_json_bool(gate))) return CORNU_OK;
    if (!full) return CN_NO_MEMORY(strlen(name));
    CN_TRY(cn_layer_sub_plain(u->to, layer, row->sub_class, row->attributes, &sub));
    CN_TRY(new_part(list, sub, "", full, trainable));
    p = &list->items[list->count - 1]; /* kernel and bias */
    if (bias && !cn_json_bool(bias)) p->count = p->old_count = 1;
    return CORNU_OK;
}

/* The kernel of the layer inside SpectralNormalization is the wrapper's as well: legacy HDF5 has it once, Keras 3 twice. */
static cornu_status add_normalised(cn_upgrade* u, part_list* list, const cn_layer* layer, const char* name, bool trainable) {
    size_t wrapper = list->count, count;
    const cn_composite* row = cn_composite_find(layer->class_name, &count);
    const cn_layer* sub;

    CN_TRY(new_part(list, layer, "", name, trainable));
    CN_TRY(cn_layer_sub(u->to, layer, cn_composite_object(layer, row), row->attributes, &sub));
    CN_TRY(add_below(u, list, sub, name, sub->name, trainable));
    if (list->count > wrapper + 1 && list->items[wrapper + 1].count > 0) list->items[wrapper + 1].kernel_of = wrapper + 1;
    return CORNU_OK;
}

/* The layer that Bidirectional makes of the forward one is called after it. */
static const char* name_of_sub(const part_list* list, const cn_layer* layer, const cn_composite* row, const cn_layer* sub) {
    bool made = strcmp(row->key, "backward_layer") == 0 && !cn_json_is(cn_json_get(layer->config, "backward_layer"), CN_JSON_OBJECT);
    if (!made) return sub->name;
    return cn_arena_format(list->arena, "backward_%s", strncmp(sub->name, "forward_", 8) == 0 ? sub->name + 8 : sub->name);
}

static cornu_status add_subs(cn_upgrade* u, part_list* list, const cn_layer* layer, const char* name, bool trainable) {
    size_t count;
    const cn_composite* rows = cn_composite_find(layer->class_name, &count);

    for (size_t i = 0; i < count; i++) {
        const cn_layer* sub;
        const char* sub_name;
        if (!rows[i].key) {
            CN_TRY(add_dense(u, list, layer, &rows[i], name, trainable));
            continue;
        }
        CN_TRY(cn_layer_sub(u->to, layer, cn_composite_object(layer, &rows[i]), rows[i].attributes, &sub));
        sub_name = name_of_sub(list, layer, &rows[i], sub);
        if (!sub_name) return CN_NO_MEMORY(strlen(sub->name));
        CN_TRY(add_below(u, list, sub, name, sub_name, trainable));
    }
    return CORNU_OK;
}

static bool flag_of(const cn_layer* layer) {
    const cn_json* flag = cn_json_get(layer->config, "trainable");
    return layer->kind == CN_LAYER_SEQUENTIAL || !cn_json_is(flag, CN_JSON_BOOL) || cn_json_bool(flag);
}

/* Depth: of the config. */
static cornu_status add_parts(cn_upgrade* u, part_list* list, const cn_layer* layer, const char* name, bool trainable) {
    const cn_composite* row;
    size_t count;

    trainable = trainable && flag_of(layer);
    if (layer->kind == CN_LAYER_FUNCTIONAL || layer->kind == CN_LAYER_SEQUENTIAL) {
        for (size_t i = 0; i < layer->layer_count; i++)
            CN_TRY(add_below(u, list, layer->layers[i], name, layer->layers[i]->name, trainable));
        return CORNU_OK;
    }
    row = cn_composite_find(layer->class_name, &count);
    if (strcmp(layer->class_name, "StackedRNNCells") == 0) return add_cells(u, list, layer, name, trainable);
    if (strcmp(layer->class_name, "SpectralNormalization") == 0) return add_normalised(u, list, layer, name, trainable);
    if (has_cell(layer->class_name)) {
        name = cn_arena_format(list->arena, "%s/%s", name, row->sub_name);
        return name ? new_part(list, layer, "cell/", name, trainable) : CN_NO_MEMORY(64);
    }
    return count > 0 ? add_subs(u, list, layer, name, trainable) : new_part(list, layer, "", name, trainable);
}

/* ---- making variables ---- */

static cornu_status new_variable(cn_upgrade* u, const char* path, const cn_variable* like, cn_origin** out) {
    cn_document* to = u->to;
    cn_variable* variable = &to->variables[to->variable_count];
    cn_origin* origin = cn_arena_alloc(&to->arena, sizeof *origin);

    *out = origin;
    if (!origin || !path) return CN_NO_MEMORY(sizeof *origin);
    origin->doc = u->from;
    origin->read = cn_convert_read;
    origin->from = cn_arena_array(&to->arena, CN_CONVERT_SOURCES, sizeof *origin->from);
    if (!origin->from) return CN_NO_MEMORY(CN_CONVERT_SOURCES * sizeof *origin->from);
    origin->from[0] = like;
    origin->from_count = 1;
    *variable = (cn_variable){.path = path, .dtype = like->dtype, .ndim = like->ndim, .count = like->count, .is_optimizer = like->is_optimizer,
                              .version = like->version, .origin = origin};
    memcpy(variable->dims, like->dims, sizeof variable->dims);
    to->variable_count++;
    return CORNU_OK;
}

static cornu_status add_variable(cn_upgrade* u, const char* path, const cn_variable* like, cn_origin** out) {
    *out = NULL;
    if (u->to->variable_count == u->variable_room)
        return CN_FAIL(BAD_FILE, "%s: weight_names lists more weights than the file has: variable '%s' is there twice", u->from->name, like->path);
    return new_variable(u, path, like, out);
}

cornu_status cn_upgrade_add_variable(cn_upgrade* u, const char* path, const cn_variable* like) {
    cn_origin* origin;
    return new_variable(u, path, like, &origin);
}

/* A variable of the file under a second path. */
static cornu_status add_again(cn_upgrade* u, const char* path, const cn_variable* like, cn_origin** out) {
    if (u->variable_room < 2 * u->from->variable_count) u->variable_room++;
    return add_variable(u, path, like, out);
}

static cn_variable* newest(const cn_upgrade* u) { return &u->to->variables[u->to->variable_count - 1]; }

static cornu_status set_conversion(cn_upgrade* u, cn_origin* origin, const cn_conversion* how) {
    cn_conversion* copy = cn_arena_alloc(&u->to->arena, sizeof *copy);

    if (!copy) return CN_NO_MEMORY(sizeof *copy);
    *copy = *how;
    origin->conversion = copy;
    return CORNU_OK;
}

/* ---- convolutions ---- */

static int spatial_rank(const char* class_name) {
    static const struct {
        const char* name;
        int rank;
    } rows[] = {{"Conv1D", 1}, {"Conv2D", 2}, {"Conv3D", 3}, {"Conv2DTranspose", 2}, {"ConvLSTM2D", 2}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strcmp(rows[i].name, class_name) == 0) return rows[i].rank;
    }
    return 0;
}

static int64_t config_int(const cn_json* value, size_t i) {
    int64_t n = -1;
    (void)cn_json_int64(cn_json_is(value, CN_JSON_ARRAY) ? cn_json_at(value, i) : value, &n);
    return n;
}

typedef struct kernel_shape {
    int axis[CORNU_MAX_DIMS]; /* of the file's array */
    int ndim;
    const cn_variable* raw;
} kernel_shape;

static int64_t kernel_dim(const kernel_shape* s, int i) { return s->raw->dims[s->axis[i]]; }

static void reorder(kernel_shape* s, const int* order) {
    kernel_shape old = *s;
    for (int i = 0; i < s->ndim; i++) s->axis[i] = old.axis[order[i]];
}

/* Whether the axes are (kernel size ..., in, filters), filters before in for a transposed one. */
static bool kernel_fits(const cn_layer* layer, const kernel_shape* s, int rank) {
    int64_t filters = config_int(cn_json_get(layer->config, "filters"), 0);
    bool transposed = strcmp(layer->class_name, "Conv2DTranspose") == 0;

    if (s->ndim != rank + 2) return false;
    for (int i = 0; i < rank; i++) {
        if (kernel_dim(s, i) != config_int(cn_json_get(layer->config, "kernel_size"), (size_t)i)) return false;
    }
    if (strncmp(layer->class_name, "ConvLSTM", 8) == 0) filters *= 4;
    return kernel_dim(s, transposed ? rank : rank + 1) == filters;
}

static void reorder_keras1(const cn_layer* layer, kernel_shape* s) {
    static const int theano2[] = {2, 3, 1, 0}, theano3[] = {2, 3, 4, 1, 0}, swapped[] = {0, 1, 3, 2}, theano_transposed[] = {2, 3, 0, 1};
    bool first = cn_json_equals(cn_json_get(layer->config, "data_format"), "channels_first");

    if (strcmp(layer->class_name, "Conv1D") == 0 && s->ndim == 4) {
        bool plain = kernel_dim(s, 0) == config_int(cn_json_get(layer->config, "kernel_size"), 0) && kernel_dim(s, 1) == 1 &&
                     kernel_dim(s, 3) == config_int(cn_json_get(layer->config, "filters"), 0);
        if (!plain) reorder(s, theano2);
        if (kernel_dim(s, 1) != 1) return;
        s->axis[1] = s->axis[2];
        s->axis[2] = s->axis[3];
        s->ndim = 3;
    } else if (strcmp(layer->class_name, "Conv2D") == 0 && s->ndim == 4 && first) {
        reorder(s, theano2);
    } else if (strcmp(layer->class_name, "Conv3D") == 0 && s->ndim == 5 && first) {
        reorder(s, theano3);
    } else if (strcmp(layer->class_name, "Conv2DTranspose") == 0 && s->ndim == 4) {
        reorder(s, first ? theano_transposed : swapped);
    }
}

static cornu_status convert_kernel(cn_upgrade* u, const cn_layer* layer, const cn_variable* raw, cn_origin* origin) {
    static const int other[] = {3, 2, 0, 1};
    int rank = spatial_rank(layer->class_name);
    kernel_shape s = {.ndim = raw->ndim, .raw = raw};
    bool flip = u->weights_era == 2 && strcmp(u->from->backend, "theano") == 0, same;
    cn_conversion how = {.kind = CN_CONVERT_PERMUTE};
    cn_variable* variable = newest(u);

    for (int i = 0; i < raw->ndim; i++) s.axis[i] = i;
    if (u->weights_era == 1) reorder_keras1(layer, &s);
    if (s.ndim == 4 && !kernel_fits(layer, &s, rank)) {
        kernel_shape turned = s;
        reorder(&turned, other);
        if (kernel_fits(layer, &turned, rank)) s = turned;
    }
    same = s.ndim == raw->ndim && !flip;
    for (int i = 0; i < s.ndim; i++) same = same && s.axis[i] == i;
    if (same) return CORNU_OK;
    variable->ndim = s.ndim;
    memset(variable->dims, 0, sizeof variable->dims);
    for (int i = 0; i < s.ndim; i++) {
        how.axis[i] = s.axis[i];
        how.flip[i] = flip && i < s.ndim - 2;
        variable->dims[i] = kernel_dim(&s, i);
    }
    return set_conversion(u, origin, &how);
}

/* ---- recurrent layers ---- */

static bool is_class(const part* p, const char* class_name) { return strcmp(p->layer->class_name, class_name) == 0; }

/* Gates of a layer that CuDNN's bias betrays, 0 for all others. */
static int cudnn_gates(const part* p) {
    int64_t units = config_int(cn_json_get(p->layer->config, "units"), 0);
    const cn_variable* bias = p->raw_count == 3 ? p->raw[2] : NULL;

    if (!bias || bias->ndim != 1 || units < 1 || p->raw[0]->ndim != 2 || p->raw[1]->ndim != 2) return 0;
    if (is_class(p, "LSTM") && bias->dims[0] == 8 * units) return 4;
    return is_class(p, "GRU") && bias->dims[0] == 6 * units ? 3 : 0;
}

static cornu_status convert_cudnn(cn_upgrade* u, const part* p, int slot, int gates, cn_origin* origin) {
    cn_conversion how = {.gates = gates};
    cn_variable* variable = newest(u);
    int64_t units = config_int(cn_json_get(p->layer->config, "units"), 0);

    if (slot < 2 && (variable->dims[1] != gates * units || (slot == 1 && variable->dims[0] != units)))
        return CN_FAIL(BAD_FILE, "%s: %s: variable '%s' has %lld columns; %lld are allowed", u->from->name, cn_layer_describe(p->layer),
                       p->raw[slot]->path, (long long)variable->dims[1], (long long)(gates * units));
    if (slot < 2) how.kind = slot == 0 ? CN_CONVERT_CUDNN_KERNEL : CN_CONVERT_CUDNN_RECURRENT;
    else if (gates == 4) how.kind = CN_CONVERT_SUM_HALVES;
    else how.kind = CN_CONVERT_RESHAPE;
    if (slot == 2 && gates == 4) {
        variable->dims[0] /= 2;
        variable->count /= 2;
    } else if (slot == 2) {
        variable->ndim = 2;
        variable->dims[1] = variable->dims[0] / 2;
        variable->dims[0] = 2;
    }
    return set_conversion(u, origin, &how);
}

/* Keras 1 had arrays of their own for each gate, those of LSTM in the order i, c, f, o. */
static cornu_status concat_gates(cn_upgrade* u, const part* p, int slot, cn_origin* origin) {
    static const int lstm[] = {0, 6, 3, 9}, gru[] = {0, 3, 6};
    int gates = p->raw_count / 3;
    const int* order = gates == 4 ? lstm : gru;
    cn_conversion how = {.kind = CN_CONVERT_CONCAT};
    cn_variable* variable = newest(u);
    const cn_variable* first = p->raw[order[0] + slot];

    for (int g = 0; g < gates; g++) {
        const cn_variable* raw = p->raw[order[g] + slot];
        if (raw->ndim != first->ndim || raw->ndim < 1 || raw->dtype != first->dtype || memcmp(raw->dims, first->dims, sizeof raw->dims) != 0)
            return CN_FAIL(BAD_FILE, "%s: %s: variables '%s' and '%s' have different shapes", u->from->name, cn_layer_describe(p->layer), first->path, raw->path);
        origin->from[g] = raw;
    }
    origin->from_count = gates;
    variable->dims[variable->ndim - 1] *= gates; /* of arrays that are all in the file */
    variable->count *= gates;
    return set_conversion(u, origin, &how);
}

static cornu_status make_part(cn_upgrade* u, const part* p) {
    int count = p->raw_count == p->old_count && p->old_count > p->count && p->count > 0 ? p->count : p->raw_count;
    int gates = cudnn_gates(p);
    bool old = count != p->raw_count;

    for (int i = 0; i < count; i++) {
        cn_origin* origin;
        const char* path = cn_arena_format(&u->to->arena, "%s/%d", p->vars, i);
        CN_TRY(i == 0 && p->kernel_of ? add_again(u, path, p->raw[i], &origin) : add_variable(u, path, p->raw[i], &origin));
        if (old) CN_TRY(concat_gates(u, p, i, origin));
        else if (gates) CN_TRY(convert_cudnn(u, p, i, gates, origin));
        else if (spatial_rank(p->layer->class_name) && (i == 0 || (i == 1 && is_class(p, "ConvLSTM2D"))))
            CN_TRY(convert_kernel(u, p->layer, p->raw[i], origin));
    }
    return CORNU_OK;
}

/* ---- one layer of the root ---- */

/* The last part of a weight's name, without ":0". */
static const char* role_of(const char* name, size_t* size) {
    const char* slash = strrchr(name, '/');
    const char* role = slash ? slash + 1 : name;
    *size = strcspn(role, ":");
    return role;
}

typedef struct slot {
    part* p;
    int index;
} slot;

/* Slots with the trainable ones first, or as they come. */
static size_t order_slots(part_list* list, bool trainable_first, slot* out) {
    size_t n = 0;

    for (int pass = 0; pass < (trainable_first ? 2 : 1); pass++) {
        for (size_t k = 0; k < list->count; k++) {
            for (int i = 0; i < list->items[k].count; i++) {
                if (i == 0 && list->items[k].kernel_of) continue;
                if (trainable_first && list->items[k].trainable[i] != (pass == 0)) continue;
                out[n++] = (slot){&list->items[k], i};
            }
        }
    }
    return n;
}

/* Whether no name says that a weight is something else. */
static bool roles_agree(const slot* slots, size_t n, const saved* from) {
    for (size_t i = 0; i < n; i++) {
        size_t size;
        const char* role = role_of(from->names[i], &size);
        const part* p = slots[i].p;
        const cn_own_variable* own = &p->slots[slots[i].index];
        if (size != own->size || memcmp(role, own->name, size) != 0) return false;
    }
    return true;
}

static void fill_slot(const slot* at, const cn_variable* raw) {
    at->p->raw[at->index] = raw;
    if (at->index + 1 > at->p->raw_count) at->p->raw_count = at->index + 1;
}

static void repeat_kernels(part_list* list) {
    for (size_t k = 0; k < list->count; k++) {
        part* p = &list->items[k];
        if (!p->kernel_of) continue;
        p->raw[0] = list->items[p->kernel_of - 1].raw[0];
        if (p->raw_count == 0 && p->raw[0]) p->raw_count = 1;
    }
}

static cornu_status fill_in_order(cn_upgrade* u, part_list* list, const saved* from) {
    slot* slots = cn_arena_array(list->arena, from->count + 1, sizeof *slots);

    (void)u;
    if (!slots) return CN_NO_MEMORY(from->count * sizeof *slots);
    (void)order_slots(list, true, slots);
    if (!roles_agree(slots, from->count, from)) {
        (void)order_slots(list, false, slots);
        if (!roles_agree(slots, from->count, from)) (void)order_slots(list, true, slots);
    }
    for (size_t i = 0; i < from->count; i++) fill_slot(&slots[i], from->weights[i]);
    repeat_kernels(list);
    return CORNU_OK;
}

static void fill_keras1(part_list* list, const saved* from) {
    size_t n = 0;

    for (size_t k = 0; k < list->count; k++) {
        part* p = &list->items[k];
        for (int i = 0; i < p->old_count; i++) p->raw[i] = from->weights[n++];
        p->raw_count = p->old_count;
    }
}

/* A class that is not known here has its variables as they come. */
static cornu_status make_unknown(cn_upgrade* u, const part* p, const saved* from) {
    for (size_t i = 0; i < from->count; i++) {
        cn_origin* origin;
        CN_TRY(add_variable(u, cn_arena_format(&u->to->arena, "%s/%zu", p->vars, i), from->weights[i], &origin));
    }
    return CORNU_OK;
}

static cornu_status bind_layer(cn_upgrade* u, const cn_layer* layer, const saved* from, const cn_match* match) {
    part_list list = {.arena = &u->to->arena};
    size_t total = 0, old_total = 0;
    bool unknown = false;

    CN_TRY(add_parts(u, &list, layer, layer->name, true));
    for (size_t k = 0; k < list.count; k++) {
        unknown = unknown || list.items[k].count < 0;
        total += list.items[k].count > 0 ? (size_t)list.items[k].count : 0;
        total -= list.items[k].kernel_of ? 1 : 0;
        old_total += list.items[k].old_count > 0 ? (size_t)list.items[k].old_count : 0;
    }
    if (unknown && list.count == 1) return make_unknown(u, &list.items[0], from);
    if (unknown) {
        cn_upgrade_add_note(u, layer->name, "%s: it holds layers of classes not known here, so that its weights cannot be told apart", cn_layer_describe(layer));
        return CORNU_OK;
    }
    if (total == from->count) CN_TRY(fill_in_order(u, &list, from));
    else if (u->weights_era == 1 && old_total == from->count) fill_keras1(&list, from);
    else if (match->by_name && match->skip_mismatch) return CORNU_OK;
    else
        return CN_FAIL(BAD_FILE, "%s: %s expects %zu weights, but the file has %zu for it", u->from->name, cn_layer_describe(layer), total, from->count);
    for (size_t k = 0; k < list.count; k++) CN_TRY(make_part(u, &list.items[k]));
    return CORNU_OK;
}

/* ---- all layers of a legacy file ---- */

static cornu_status read_saved(cn_upgrade* u, saved** out, size_t* count) {
    const cn_document* from = u->from;
    cn_arena* arena = &u->to->arena;
    const char** names;
    size_t n;

    CN_TRY(cn_h5_names(from, from->legacy, "layer_names", arena, &names, &n));
    *out = cn_arena_array(arena, n + 1, sizeof **out);
    *count = 0;
    if (!*out) return CN_NO_MEMORY(n * sizeof **out);
    for (size_t i = 0; i < n; i++) {
        saved* s = &(*out)[*count];
        const char* path = cn_arena_format(arena, "%s%s", from->legacy_prefix, names[i]);
        const cn_h5_node* group = path ? cn_h5_find(from->h5, path) : NULL;
        if (!path) return CN_NO_MEMORY(strlen(names[i]));
        s->name = names[i];
        CN_TRY(cn_h5_names(from, group, "weight_names", arena, &s->names, &s->count)); /* the group was seen when the file was opened */
        s->weights = cn_arena_array(arena, s->count + 1, sizeof *s->weights);
        if (!s->weights) return CN_NO_MEMORY(s->count * sizeof *s->weights);
        for (size_t k = 0; k < s->count; k++) {
            const char* weight = cn_arena_format(arena, "%s/%s", path, s->names[k]);
            if (!weight) return CN_NO_MEMORY(strlen(path));
            s->weights[k] = cn_document_variable(from, weight);
        }
        if (s->count > 0) (*count)++;
    }
    return CORNU_OK;
}

static const cn_layer* layer_of(cn_upgrade* u, const char* name) {
    return cn_layer_find(cn_document_root(u->to), cn_upgrade_name(u, cn_document_root(u->from), name));
}

static bool all_names_known(cn_upgrade* u, const saved* list, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (!layer_of(u, list[i].name)) return false;
    }
    return true;
}

/* Whether a layer has weights; *known: whether that can be told. */
static cornu_status has_weights(cn_upgrade* u, const cn_layer* layer, bool* has, bool* known) {
    part_list list = {.arena = &u->to->arena};

    CN_TRY(add_parts(u, &list, layer, layer->name, true));
    *has = list.count > 0;
    *known = !(list.count == 1 && list.items[0].count < 0);
    return CORNU_OK;
}

/* By order: the layers that have weights, one to one. Layers of unknown classes count if the numbers agree only then. */
static cornu_status bind_in_order(cn_upgrade* u, const saved* list, size_t count, const cn_match* match) {
    const cn_layer* root = cn_document_root(u->to);
    size_t sure = 0, perhaps = 0, next = 0;
    bool has, known, with_unknown;

    for (size_t i = 0; i < root->layer_count; i++) {
        CN_TRY(has_weights(u, root->layers[i], &has, &known));
        if (has) perhaps++;
        if (has && known) sure++;
    }
    with_unknown = perhaps == count;
    if (!with_unknown && sure != count)
        return CN_FAIL(BAD_FILE, "%s: the file has weights for %zu layers, the model has %zu layers with weights", u->from->name, count, perhaps);
    for (size_t i = 0; i < root->layer_count; i++) {
        CN_TRY(has_weights(u, root->layers[i], &has, &known));
        if (has && (known || with_unknown)) CN_TRY(bind_layer(u, root->layers[i], &list[next++], match));
    }
    return CORNU_OK;
}

static cornu_status bind_legacy(cn_upgrade* u, const cn_match* match) {
    saved* list;
    size_t count;
    const cn_layer* root = cn_document_root(u->to);

    CN_TRY(read_saved(u, &list, &count));
    if (root->kind != CN_LAYER_FUNCTIONAL && root->kind != CN_LAYER_SEQUENTIAL) return CORNU_OK;
    if (match->in_order || (!match->by_name && !all_names_known(u, list, count))) return bind_in_order(u, list, count, match);
    for (size_t i = 0; i < count; i++) {
        const cn_layer* layer = layer_of(u, list[i].name);
        if (layer) CN_TRY(bind_layer(u, layer, &list[i], match));
    }
    return CORNU_OK;
}

/* ---- files by paths ---- */

/* The new layer of an old one, NULL where there is none. Depth: of nested models. */
static const cn_layer* map_layer(cn_upgrade* u, const cn_layer* layer) {
    const cn_layer* parent;

    if (!layer->parent) return cn_document_root(u->to);
    parent = map_layer(u, layer->parent);
    return parent ? cn_layer_find(parent, cn_upgrade_name(u, layer->parent, layer->name)) : NULL;
}

static cornu_status bind_paths(cn_upgrade* u) {
    for (size_t i = 0; i < u->from->variable_count; i++) {
        const cn_variable* variable = &u->from->variables[i];
        const cn_layer* layer = variable->layer ? map_layer(u, variable->layer) : NULL;
        const char* path = variable->path;
        cn_origin* origin;
        if (layer) {
            const char* below = path + strlen(variable->layer->path);
            path = cn_arena_format(&u->to->arena, "%s%s", layer->path, *layer->path || *below != '/' ? below : below + 1);
        }
        CN_TRY(add_variable(u, path, variable, &origin));
    }
    return CORNU_OK;
}

/* ---- arrays by Keras's own paths ----
 *
 * A path of Variable.path has as many of the outer names as were open when the layer was built: "dense/kernel", "inner/dense/kernel" and
 * "model/inner/dense/kernel" may all be the same variable. So the longest paths choose first, and every path must be the end of one. */

static size_t depth_of(const char* path) {
    size_t n = 0;
    for (; *path; path++) n += *path == '/';
    return n;
}

/* Whether "model/inner/dense" + "/" + "kernel" ends with the path, at a '/'. */
static bool slot_ends_with(const slot* at, const char* path) {
    const cn_own_variable* own = &at->p->slots[at->index];
    size_t name = strlen(at->p->name), size = strlen(path), above;

    if (size <= own->size || memcmp(path + size - own->size, own->name, own->size) != 0 || path[size - own->size - 1] != '/') return false;
    above = size - own->size - 1;
    if (above > name || memcmp(path, at->p->name + name - above, above) != 0) return false;
    return above == name || at->p->name[name - above - 1] == '/';
}

static bool is_seed(const char* path) {
    static const char end[] = "seed_generator_state";
    size_t n = strlen(path), m = sizeof end - 1;
    return n >= m && strcmp(path + n - m, end) == 0;
}

static cornu_status place_array(cn_upgrade* u, slot* slots, size_t count, const cn_variable* array) {
    slot* found = NULL;

    for (size_t i = 0; i < count; i++) {
        if (slots[i].p->raw[slots[i].index] || !slot_ends_with(&slots[i], array->path)) continue;
        if (found)
            return CN_FAIL(UNSUPPORTED, "%s: array '%s' may be that of layer '%s' or of '%s'", u->from->name, array->path, found->p->name, slots[i].p->name);
        found = &slots[i];
    }
    if (!found)
        return CN_FAIL(UNSUPPORTED, "%s: array '%s' has neither the name of a variable in a file, such as 'layers/dense/vars/0', nor that of one of the model, "
                       "such as 'dense/kernel', so that its layer is not known", u->from->name, array->path);
    fill_slot(found, array);
    return CORNU_OK;
}

static cornu_status make_named(cn_upgrade* u, const part* p) {
    for (int i = 0; i < p->raw_count; i++) {
        if (p->raw[i]) continue;
        return CN_FAIL(BAD_FILE, "%s: there is no array '%s/%.*s', but others of that layer", u->from->name, p->name, (int)p->slots[i].size, p->slots[i].name);
    }
    return make_part(u, p);
}

static cornu_status bind_names(cn_upgrade* u) {
    const cn_document* from = u->from;
    const cn_layer* root = cn_document_root(u->to);
    part_list list = {.arena = &u->to->arena};
    size_t count = 0, deepest = 0;
    slot* slots;

    CN_TRY(add_parts(u, &list, root, root->name, true));
    for (size_t k = 0; k < list.count; k++) count += list.items[k].count > 0 ? (size_t)list.items[k].count : 0;
    slots = cn_arena_array(list.arena, count + 1, sizeof *slots);
    if (!slots) return CN_NO_MEMORY(count * sizeof *slots);
    count = order_slots(&list, false, slots);
    for (size_t i = 0; i < from->variable_count; i++) {
        size_t depth = depth_of(from->variables[i].path);
        if (depth > deepest) deepest = depth;
    }
    for (size_t depth = deepest + 1; depth-- > 0;) {
        for (size_t i = 0; i < from->variable_count; i++) {
            const cn_variable* array = &from->variables[i];
            if (depth_of(array->path) == depth && !is_seed(array->path)) CN_TRY(place_array(u, slots, count, array));
        }
    }
    repeat_kernels(&list);
    for (size_t k = 0; k < list.count; k++) CN_TRY(make_named(u, &list.items[k]));
    return CORNU_OK;
}

static cornu_status bind(cn_upgrade* u, const cn_match* match) {
    if (u->from->legacy) return bind_legacy(u, match);
    return u->from->format == &cn_format_npz && !cn_weights_has_vars(u->from) ? bind_names(u) : bind_paths(u);
}

cornu_status cn_upgrade_weights(cn_upgrade* u, const cn_match* match) {
    u->variable_room = u->from->variable_count;
    u->to->variables = cn_arena_array(&u->to->arena, 2 * u->from->variable_count + 1, sizeof *u->to->variables);
    if (!u->to->variables) return CN_NO_MEMORY(u->from->variable_count * sizeof *u->to->variables);
    CN_TRY(bind(u, match));
    return cn_weights_index(u->to);
}
