/* Models made of layers. A Functional is evaluated in passes over its calls: each pass makes the calls whose producers exist, as Keras does
 * when it rebuilds the graph; no progress in a pass means a loop or a disconnected node. What cannot run is collected, so
 * that one message names it all; calls behind it are left out. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/dtype.h"
#include "lower/context.h"

typedef enum node_state { NODE_WAITING, NODE_DONE, NODE_FAILED } node_state;

/* The calls of one layer of a Functional. */
typedef struct layer_calls {
    const cn_layer* layer;
    int count;         /* of calls; an InputLayer has one, made from outside */
    node_state* state; /* of each call */
    cn_arg* results;   /* of each call */
} layer_calls;

typedef struct functional {
    cn_lower* cx;
    const cn_layer* model;
    layer_calls* layers; /* model->layer_count of them */
    layer_calls** by_name; /* the same, sorted by name */
    bool waiting;        /* the last resolution met a call that is not done */
    bool failed;         /* ... or one that failed */
} functional;

static int compare_names(const void* a, const void* b) {
    const layer_calls* const* x = a;
    const layer_calls* const* y = b;
    return strcmp((*x)->layer->name, (*y)->layer->name);
}

static layer_calls* find_calls(functional* f, const char* name) {
    const cn_layer named = {.name = name};
    const layer_calls wanted = {.layer = &named}, *key = &wanted;
    layer_calls** found = bsearch(&key, f->by_name, f->model->layer_count, sizeof *f->by_name, compare_names);
    return found ? *found : NULL;
}

/* ---- tensor references ---- */

/* Whether node is ["layer", node_index, tensor_index] or, in legacy files, the same with kwargs behind. */
static bool is_reference(const cn_json* node) {
    int64_t n;
    size_t size = cn_json_size(node);
    return cn_json_is(node, CN_JSON_ARRAY) && size >= 3 && size <= 4 && cn_json_is(cn_json_at(node, 0), CN_JSON_STRING) &&
           cn_json_int64(cn_json_at(node, 1), &n) && cn_json_int64(cn_json_at(node, 2), &n) &&
           (size == 3 || cn_json_is(cn_json_at(node, 3), CN_JSON_OBJECT));
}

/* The value behind a reference. Sets f->waiting or f->failed when it is not there (yet). offset: 1 in input_layers and output_layers when the
 * layer is a nested Functional (keras-format 4.3, index asymmetry). */
static cornu_status resolve_reference(functional* f, const cn_json* reference, bool in_model_ports, cn_arg* out) {
    const char* name = cn_json_string(cn_json_at(reference, 0), NULL);
    layer_calls* calls = find_calls(f, name);
    int64_t node = 0, tensor = 0;
    cn_value* values;
    int count;

    *out = (cn_arg){.kind = CN_ARG_NONE, .value = {CN_NONE, CN_NONE}};
    (void)cn_json_int64(cn_json_at(reference, 1), &node);
    (void)cn_json_int64(cn_json_at(reference, 2), &tensor);
    if (!calls) return CN_FAIL(BAD_FILE, "%s refers to layer '%s', which it does not have", cn_layer_describe(f->model), name);
    if (in_model_ports && calls->layer->kind == CN_LAYER_FUNCTIONAL && node > 0) node--;
    if (node < 0 || node >= calls->count) {
        return CN_FAIL(BAD_FILE, "%s refers to call %" PRId64 " of layer '%s', which is called %d times", cn_layer_describe(f->model), node, name, calls->count);
    }
    if (calls->state[node] == NODE_WAITING) return f->waiting = true, CORNU_OK;
    if (calls->state[node] == NODE_FAILED) return f->failed = true, CORNU_OK;
    CN_TRY(cn_arg_flatten(f->cx, &calls->results[node], &values, &count));
    if (tensor < 0 || tensor >= count) {
        return CN_FAIL(BAD_FILE, "%s refers to output %" PRId64 " of layer '%s', which has %d", cn_layer_describe(f->model), tensor, name, count);
    }
    *out = cn_arg_tensor(values[tensor]);
    if (out->value.mask != CN_NONE && cn_lower_unmasked(f->cx, out->value.tensor)) out->value.mask = CN_NONE;
    return CORNU_OK;
}

static cornu_status resolve(functional* f, const cn_json* node, cn_arg* out);

static cornu_status resolve_children(functional* f, const cn_json* node, cn_arg* out) {
    size_t count = cn_json_size(node);
    bool dict = cn_json_is(node, CN_JSON_OBJECT);

    *out = (cn_arg){.kind = dict ? CN_ARG_DICT : CN_ARG_LIST, .value = {CN_NONE, CN_NONE}, .json = node, .count = (int)count};
    out->items = cn_arena_array(&f->cx->arena, count, sizeof *out->items);
    if (dict) out->keys = cn_arena_array(&f->cx->arena, count, sizeof *out->keys);
    if (!out->items || (dict && !out->keys)) return CN_NO_MEMORY(count * sizeof *out->items);
    for (size_t i = 0; i < count; i++) {
        if (dict) out->keys[i] = cn_json_key_at(node, i, NULL);
        CN_TRY(resolve(f, cn_json_at(node, i), &out->items[i]));
    }
    return CORNU_OK;
}

/* An argument of a call as the config has it. Depth: of the JSON, which its parser limits. */
static cornu_status resolve(functional* f, const cn_json* node, cn_arg* out) {
    const cn_json* class_name = cn_json_get(node, "class_name");

    *out = (cn_arg){.kind = CN_ARG_NONE, .value = {CN_NONE, CN_NONE}, .json = node};
    if (!node || cn_json_is(node, CN_JSON_NULL)) return CORNU_OK;
    if (cn_json_equals(class_name, "__keras_tensor__")) {
        const cn_json* history = cn_json_get(cn_json_get(node, "config"), "keras_history");
        if (!is_reference(history)) return CN_FAIL(BAD_FILE, "%s: a tensor in inbound_nodes has no keras_history", cn_layer_describe(f->model));
        return resolve_reference(f, history, false, out);
    }
    if (class_name && cn_json_get(node, "config")) {
        out->kind = CN_ARG_JSON;
        return CORNU_OK;
    }
    if (cn_json_is(node, CN_JSON_ARRAY) || cn_json_is(node, CN_JSON_OBJECT)) return resolve_children(f, node, out);
    out->kind = CN_ARG_JSON;
    return CORNU_OK;
}

/* A legacy node: [[layer, node, tensor, kwargs?], ...]: one argument, a tensor or the list of them. */
static cornu_status resolve_legacy(functional* f, const cn_json* node, cn_arg* arg) {
    size_t count = cn_json_size(node);

    *arg = (cn_arg){.kind = CN_ARG_LIST, .value = {CN_NONE, CN_NONE}, .count = (int)count};
    arg->items = cn_arena_array(&f->cx->arena, count, sizeof *arg->items);
    if (!arg->items) return CN_NO_MEMORY(count * sizeof *arg->items);
    for (size_t i = 0; i < count; i++) {
        const cn_json* reference = cn_json_at(node, i);
        if (!is_reference(reference)) {
            return CN_FAIL(UNSUPPORTED, "%s: an inbound node of the legacy form with a nested structure", cn_layer_describe(f->model));
        }
        if (cn_json_size(cn_json_at(reference, 3)) > 0) {
            return CN_FAIL(UNSUPPORTED, "%s: an inbound node of the legacy form with keyword arguments", cn_layer_describe(f->model));
        }
        CN_TRY(resolve_reference(f, reference, false, &arg->items[i]));
    }
    if (count == 1) *arg = (cn_arg){.kind = arg->items[0].kind, .value = arg->items[0].value};
    return CORNU_OK;
}

/* ---- calls ---- */

/* Makes call `index` of a layer if all that it needs is there. */
static cornu_status try_call(functional* f, layer_calls* calls, int index) {
    const cn_json* node = cn_json_at(calls->layer->inbound_nodes, (size_t)index);
    cn_arg args = {.kind = CN_ARG_LIST}, kwargs = {.kind = CN_ARG_DICT}, legacy;
    cornu_status st;

    f->waiting = f->failed = false;
    if (cn_json_is(node, CN_JSON_OBJECT)) {
        const cn_json *json_args = cn_json_get(node, "args"), *json_kwargs = cn_json_get(node, "kwargs");
        if (json_args) CN_TRY(resolve_children(f, json_args, &args));
        if (json_kwargs) CN_TRY(resolve_children(f, json_kwargs, &kwargs));
        if (args.kind != CN_ARG_LIST || kwargs.kind != CN_ARG_DICT) {
            return CN_FAIL(BAD_FILE, "%s: inbound_nodes must have a list 'args' and an object 'kwargs'", cn_layer_describe(calls->layer));
        }
    } else {
        CN_TRY(resolve_legacy(f, node, &legacy));
        args.items = &legacy;
        args.count = 1;
    }
    if (f->failed) return calls->state[index] = NODE_FAILED, CORNU_OK;
    if (f->waiting) return CORNU_OK;
    st = cn_lower_call(f->cx, calls->layer, args.items, args.count, &kwargs, &calls->results[index]);
    if (st == CORNU_UNSUPPORTED) {
        cn_lower_problem(f->cx);
        calls->state[index] = NODE_FAILED;
        return CORNU_OK;
    }
    CN_TRY(st);
    calls->state[index] = NODE_DONE;
    return CORNU_OK;
}

static cornu_status make_calls(functional* f) {
    bool progress = true, left = true;

    while (left && progress) {
        progress = left = false;
        for (size_t i = 0; i < f->model->layer_count; i++) {
            for (int k = 0; k < f->layers[i].count; k++) {
                if (f->layers[i].state[k] != NODE_WAITING) continue;
                CN_TRY(try_call(f, &f->layers[i], k));
                if (f->layers[i].state[k] != NODE_WAITING) progress = true;
                else left = true;
            }
        }
    }
    for (size_t i = 0; left && i < f->model->layer_count; i++) {
        for (int k = 0; k < f->layers[i].count; k++) {
            if (f->layers[i].state[k] == NODE_WAITING) {
                return CN_FAIL(BAD_FILE, "%s: %s cannot be called: its inputs form a loop or are disconnected", cn_layer_describe(f->model), f->layers[i].layer->name);
            }
        }
    }
    return CORNU_OK;
}

/* ---- the model's ports ---- */

static bool is_input(const cn_layer* layer) { return strcmp(layer->class_name, "InputLayer") == 0; }

/* Reads the structure under input_layers or output_layers: a reference, or lists and objects of them. */
static cornu_status read_ports(functional* f, const cn_json* node, bool inputs, cn_arg* out) {
    size_t count = cn_json_size(node);
    bool dict = cn_json_is(node, CN_JSON_OBJECT);

    *out = (cn_arg){.kind = CN_ARG_NONE, .value = {CN_NONE, CN_NONE}, .json = node};
    if (is_reference(node) && !inputs) return resolve_reference(f, node, true, out);
    if (is_reference(node)) {
        out->kind = CN_ARG_TENSOR;
        return CORNU_OK;
    }
    if (!dict && !cn_json_is(node, CN_JSON_ARRAY)) {
        return CN_FAIL(BAD_FILE, "%s: %s has an element that is no [layer, node, tensor]", cn_layer_describe(f->model), inputs ? "input_layers" : "output_layers");
    }
    *out = (cn_arg){.kind = dict ? CN_ARG_DICT : CN_ARG_LIST, .value = {CN_NONE, CN_NONE}, .json = node, .count = (int)count};
    out->items = cn_arena_array(&f->cx->arena, count, sizeof *out->items);
    out->keys = cn_arena_array(&f->cx->arena, count, sizeof *out->keys);
    if (!out->items || !out->keys) return CN_NO_MEMORY(count * sizeof *out->items);
    for (size_t i = 0; i < count; i++) {
        out->keys[i] = dict ? cn_json_key_at(node, i, NULL) : "";
        CN_TRY(read_ports(f, cn_json_at(node, i), inputs, &out->items[i]));
    }
    return CORNU_OK;
}

/* The references of a structure in flattened order. */
static cornu_status flatten_ports(cn_lower* cx, const cn_arg* arg, const cn_json** out, int* n, int capacity) {
    int* order = NULL;

    if (arg->kind == CN_ARG_TENSOR) {
        if (*n < capacity) out[(*n)++] = arg->json;
        return CORNU_OK;
    }
    if (arg->kind == CN_ARG_DICT && !(order = cn_arg_key_order(cx, arg))) return CN_NO_MEMORY((size_t)arg->count);
    for (int i = 0; i < arg->count; i++) CN_TRY(flatten_ports(cx, &arg->items[order ? order[i] : i], out, n, capacity));
    return CORNU_OK;
}

/* Reads an InputLayer's shape (with the batch, -1 for null) and dtype. */
static cornu_status read_input_layer(const cn_layer* layer, cn_port* port) {
    static const char* const keys[] = {"batch_shape", "batch_input_shape", "shape", "input_shape"};
    const char* dtype = "float32";
    const cn_json* shape = NULL;
    int first = 0;

    *port = (cn_port){.name = layer->name, .ndim = -1};
    for (int k = 0; k < 4 && !shape; k++) {
        shape = cn_config_get(layer, keys[k]);
        if (shape && k >= 2) {
            int64_t batch;
            port->dims[0] = cn_json_int64(cn_config_get(layer, "batch_size"), &batch) ? batch : -1;
            first = 1;
        }
    }
    if (cn_config_get(layer, "dtype")) {
        if (cn_json_is(cn_config_get(layer, "dtype"), CN_JSON_STRING)) dtype = cn_json_string(cn_config_get(layer, "dtype"), NULL);
        else return cn_config_bad(layer, "dtype", "a dtype's name is allowed");
    }
    CN_TRY(cn_config_bool(layer, "optional", false, &port->optional));
    port->dtype = cn_dtype_of_name(dtype);
    if (port->dtype == 0) return cn_config_unsupported(layer, "dtype", "there is no such dtype here");
    if (!shape) return CORNU_OK;
    if (!cn_json_is(shape, CN_JSON_ARRAY) || cn_json_size(shape) + (size_t)first > CORNU_MAX_DIMS) {
        return CN_FAIL(BAD_FILE, "%s: its shape must be a list of at most %d dimensions", cn_layer_describe(layer), CORNU_MAX_DIMS);
    }
    port->ndim = (int)cn_json_size(shape) + first;
    for (int i = first; i < port->ndim; i++) {
        const cn_json* dim = cn_json_at(shape, (size_t)(i - first));
        if (cn_json_is(dim, CN_JSON_NULL)) port->dims[i] = -1;
        else if (!cn_json_int64(dim, &port->dims[i]) || port->dims[i] < 0) {
            return CN_FAIL(BAD_FILE, "%s: dimension %d of its shape is neither null nor a size", cn_layer_describe(layer), i);
        }
    }
    return CORNU_OK;
}

/* Keras adds or removes a last axis of 1 to reach the rank of the input, then casts to its dtype, then checks the dims. */
static cornu_status fit_input(cn_lower* cx, const cn_layer* layer, cn_value* value) {
    const cn_type* type;
    int64_t dims[CORNU_MAX_DIMS];
    char text[256];
    cn_port port;

    CN_TRY(read_input_layer(layer, &port));
    if (value->tensor == CN_NONE) {
        return port.optional ? CORNU_OK : CN_FAIL(BAD_ARGUMENT, "input '%s' is missing and not optional", layer->name);
    }
    type = cn_graph_type(cx->g, value->tensor);
    memcpy(dims, type->dims, sizeof dims);
    if (port.ndim >= 0 && type->ndim == port.ndim + 1 && dims[type->ndim - 1] == 1) {
        value->tensor = cn_graph_reshape(cx->g, value->tensor, port.ndim, dims);
    } else if (port.ndim >= 0 && type->ndim == port.ndim - 1 && (port.dims[port.ndim - 1] == 1 || port.dims[port.ndim - 1] == -1)) {
        dims[port.ndim - 1] = 1;
        value->tensor = cn_graph_reshape(cx->g, value->tensor, port.ndim, dims);
    }
    value->tensor = cn_graph_cast(cx->g, value->tensor, port.dtype);
    CN_TRY(cn_graph_status(cx->g));
    type = cn_graph_type(cx->g, value->tensor);
    for (int i = 0; port.ndim >= 0 && i < port.ndim; i++) {
        bool batch = i == 0; /* Keras does not hold a caller to the batch size */
        if (type->ndim == port.ndim && (batch || port.dims[i] < 0 || port.dims[i] == type->dims[i])) continue;
        return CN_FAIL(BAD_ARGUMENT, "input '%s' has the shape of %s, which does not fit its InputLayer", layer->name, cn_type_text(type, text));
    }
    return CORNU_OK;
}

/* ---- Functional ---- */

static cornu_status prepare_calls(functional* f) {
    f->layers = cn_arena_array(&f->cx->arena, f->model->layer_count, sizeof *f->layers);
    f->by_name = cn_arena_array(&f->cx->arena, f->model->layer_count, sizeof(layer_calls*));
    if (!f->layers || !f->by_name) return CN_NO_MEMORY(f->model->layer_count * sizeof *f->layers);
    for (size_t i = 0; i < f->model->layer_count; i++) {
        layer_calls* calls = &f->layers[i];
        calls->layer = f->model->layers[i];
        if (cn_layer_find(f->model, calls->layer->name) != calls->layer) {
            return CN_FAIL(BAD_FILE, "%s has two layers named '%s'", cn_layer_describe(f->model), calls->layer->name);
        }
        calls->count = (int)cn_json_size(calls->layer->inbound_nodes);
        if (calls->layer->inbound_nodes && !cn_json_is(calls->layer->inbound_nodes, CN_JSON_ARRAY)) {
            return CN_FAIL(BAD_FILE, "%s: inbound_nodes is %s; an array is allowed", cn_layer_describe(calls->layer), cn_json_type_name(calls->layer->inbound_nodes));
        }
        if (is_input(calls->layer) && calls->count == 0) calls->count = 1;
        calls->state = cn_arena_array(&f->cx->arena, (size_t)calls->count, sizeof *calls->state);
        calls->results = cn_arena_array(&f->cx->arena, (size_t)calls->count, sizeof *calls->results);
        if (!calls->state || !calls->results) return CN_NO_MEMORY((size_t)calls->count * sizeof *calls->results);
        f->by_name[i] = calls;
    }
    qsort(f->by_name, f->model->layer_count, sizeof *f->by_name, compare_names);
    return CORNU_OK;
}

/* Binds the values given to the model to its InputLayers. */
static cornu_status bind_inputs(functional* f, const cn_arg* inputs) {
    const cn_json* json = cn_config_get(f->model, "input_layers");
    const cn_json** references;
    cn_value* values;
    int given, count = 0, capacity = (int)f->model->layer_count + 1;
    cn_arg structure;

    CN_TRY(read_ports(f, json, true, &structure));
    references = cn_arena_array(&f->cx->arena, (size_t)capacity, sizeof *references);
    if (!references) return CN_NO_MEMORY((size_t)capacity * sizeof *references);
    CN_TRY(flatten_ports(f->cx, &structure, references, &count, capacity));
    CN_TRY(cn_arg_flatten(f->cx, inputs, &values, &given));
    if (given != count) return CN_FAIL(BAD_ARGUMENT, "%s takes %d inputs; %d are given", cn_layer_describe(f->model), count, given);
    for (int i = 0; i < count; i++) {
        const char* name = cn_json_string(cn_json_at(references[i], 0), NULL);
        layer_calls* calls = find_calls(f, name);
        if (!calls || !is_input(calls->layer)) return CN_FAIL(BAD_FILE, "%s: input '%s' is no InputLayer of it", cn_layer_describe(f->model), name);
        CN_TRY(fit_input(f->cx, calls->layer, &values[i]));
        calls->results[0] = cn_arg_tensor(values[i]);
        if (values[i].tensor == CN_NONE) calls->results[0].kind = CN_ARG_NONE;
        calls->state[0] = NODE_DONE;
        if (values[i].tensor != CN_NONE) cn_lower_tell(f->cx, calls->layer, &calls->results[0]);
    }
    return CORNU_OK;
}

/* Keeps the results of the layers that the caller wants to see. */
static void capture(functional* f) {
    const cn_lower_options* options = f->cx->options;

    for (int i = 0; f->model == f->cx->root && i < options->n_outputs; i++) {
        layer_calls* calls = find_calls(f, options->outputs[i]);
        if (calls && calls->count > 0 && calls->state[0] == NODE_DONE) f->cx->captured[i] = calls->results[0];
    }
}

static cornu_status lower_functional(cn_lower* cx, const cn_layer* model, const cn_arg* inputs, cn_arg* out) {
    functional f = {.cx = cx, .model = model};

    CN_TRY(prepare_calls(&f));
    CN_TRY(bind_inputs(&f, inputs));
    CN_TRY(make_calls(&f));
    f.waiting = f.failed = false;
    CN_TRY(read_ports(&f, cn_config_get(model, "output_layers"), false, out));
    if (f.waiting) return CN_FAIL(BAD_FILE, "%s: an output is not connected to its inputs", cn_layer_describe(model));
    capture(&f);
    if (f.failed) return CN_FAIL(UNSUPPORTED, "%s holds layers that cannot run", cn_layer_describe(model));
    while (out->kind == CN_ARG_LIST && out->count == 1) { /* Keras unwraps a list of one output */
        cn_arg only = out->items[0];
        *out = only;
    }
    return CORNU_OK;
}

/* ---- Sequential ---- */

static cornu_status lower_sequential(cn_lower* cx, const cn_layer* model, const cn_arg* inputs, cn_arg* out) {
    cn_arg value = *inputs;

    while (value.kind == CN_ARG_LIST && value.count == 1) {
        cn_arg only = value.items[0];
        value = only;
    }
    for (size_t i = 0; i < model->layer_count; i++) {
        const cn_layer* layer = model->layers[i];
        if (is_input(layer)) {
            if (i != 0 || value.kind != CN_ARG_TENSOR) return CN_FAIL(BAD_FILE, "%s: an InputLayer that is not its first layer, or not one tensor as input", cn_layer_describe(model));
            CN_TRY(fit_input(cx, layer, &value.value));
            cn_lower_tell(cx, layer, &value);
        } else {
            cn_arg arg = value;
            CN_TRY(cn_lower_call(cx, layer, &arg, 1, NULL, &value));
        }
        for (int k = 0; model == cx->root && k < cx->options->n_outputs; k++) {
            if (strcmp(cx->options->outputs[k], layer->name) == 0) cx->captured[k] = value;
        }
    }
    *out = value;
    return CORNU_OK;
}

cornu_status cn_lower_nested(cn_lower* cx, const cn_layer* model, const cn_arg* inputs, cn_arg* out) {
    return model->kind == CN_LAYER_FUNCTIONAL ? lower_functional(cx, model, inputs, out)
                                              : lower_sequential(cx, model, inputs, out);
}

/* ---- ports of the root ---- */

/* A shape that stands alone: build_input_shape of a Sequential without InputLayer. */
static void read_bare_shape(const cn_json* shape, cn_port* port) {
    if (!cn_json_is(shape, CN_JSON_ARRAY) || cn_json_size(shape) > CORNU_MAX_DIMS) return;
    port->ndim = (int)cn_json_size(shape);
    for (int i = 0; i < port->ndim; i++) {
        if (!cn_json_int64(cn_json_at(shape, (size_t)i), &port->dims[i])) port->dims[i] = -1;
    }
}

static cornu_status sequential_ports(const cn_layer* root, cn_arena* arena, cn_port** ports, int* count) {
    cn_port* port = cn_arena_array(arena, 1, sizeof *port);

    if (!port) return CN_NO_MEMORY(sizeof *port);
    *ports = port;
    *count = 1;
    if (root->layer_count > 0 && is_input(root->layers[0])) return read_input_layer(root->layers[0], port);
    if (root->layer_count > 0 && root->layers[0]->kind != CN_LAYER_PLAIN) {
        const cn_layer* inner = root->layers[0]; /* a nested model as first layer tells what it takes */
        if (inner->layer_count > 0 && is_input(inner->layers[0])) return read_input_layer(inner->layers[0], port);
    }
    *port = (cn_port){.name = "input", .dtype = CORNU_FLOAT32, .ndim = -1};
    read_bare_shape(cn_config_get(root, "build_input_shape"), port);
    if (port->ndim < 0) read_bare_shape(cn_json_get(cn_json_get(root->object, "build_config"), "input_shape"), port);
    return CORNU_OK;
}

static cornu_status functional_ports(const cn_document* doc, const cn_layer* root, cn_arena* arena, cn_port** ports,
                                     int* count) {
    cn_lower cx = {.doc = doc};
    functional f = {.cx = &cx, .model = root};
    int capacity = (int)root->layer_count + 1;
    const cn_json** references;
    cn_arg structure;
    cornu_status st = CORNU_OK;

    CN_STEP(read_ports(&f, cn_config_get(root, "input_layers"), true, &structure));
    references = cn_arena_array(&cx.arena, (size_t)capacity, sizeof *references);
    *ports = cn_arena_array(arena, (size_t)capacity, sizeof **ports);
    if (!references || !*ports) {
        st = CN_NO_MEMORY((size_t)capacity * sizeof **ports);
        goto done;
    }
    CN_STEP(flatten_ports(&cx, &structure, references, count, capacity));
    for (int i = 0; i < *count; i++) {
        const char* name = cn_json_string(cn_json_at(references[i], 0), NULL);
        const cn_layer* layer = cn_layer_find(root, name);
        if (!layer || !is_input(layer)) {
            st = CN_FAIL(BAD_FILE, "%s: input '%s' is no InputLayer of it", cn_layer_describe(root), name);
            goto done;
        }
        CN_STEP(read_input_layer(layer, &(*ports)[i]));
    }
done:
    cn_arena_deinit(&cx.arena);
    return st;
}

cornu_status cn_lower_ports(const cn_document* doc, const cn_layer* root, cn_arena* arena, cn_port** ports, int* count) {
    if (!root) root = cn_document_root(doc);

    *ports = NULL;
    *count = 0;
    if (!root) return CN_FAIL(UNSUPPORTED, "%s: it holds weights only; an architecture is needed to run it", cn_document_name(doc));
    if (root->kind == CN_LAYER_SEQUENTIAL) return sequential_ports(root, arena, ports, count);
    if (root->kind == CN_LAYER_FUNCTIONAL) return functional_ports(doc, root, arena, ports, count);
    return CN_FAIL(UNSUPPORTED, "%s: %s is neither Functional nor Sequential; what its call does is not in the file", cn_document_name(doc), cn_layer_describe(root));
}
