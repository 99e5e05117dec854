/* Calling one layer: its row, its dtype policy, its arguments, its weights and its mask. */
#include "lower/layer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/dtype.h"
#include "lower/context.h"

static const cn_layer_def* const tables[] = {
    cn_layers_core,    cn_layers_convolution, cn_layers_convolution_depthwise, cn_layers_pooling, cn_layers_normalization, cn_layers_activation,
    cn_layers_merging, cn_layers_reshaping,   cn_layers_regularization, cn_layers_preprocessing,
    cn_layers_rnn,     cn_layers_rnn_cells,   cn_layers_attention,      cn_layers_wrapper,
};
#define TABLE_COUNT (sizeof tables / sizeof tables[0])

/* Layer classes of keras.applications, which Keras does not export and names by their module. */
static const cn_layer_def* const application_tables[] = {cn_layers_applications};

static const cn_layer_def* const op_tables[] = {cn_ops_elementwise, cn_ops_reduce, cn_ops_shape, cn_ops_index,
                                                 cn_ops_product,     cn_ops_math,   cn_ops_nn,    cn_ops_image};
#define OP_TABLE_COUNT (sizeof op_tables / sizeof op_tables[0])

static const cn_layer_def* find_row(const cn_layer_def* const* list, size_t count, const char* class_name) {
    for (size_t t = 0; t < count; t++) {
        for (const cn_layer_def* row = list[t]; row->name; row++) {
            if (strcmp(row->name, class_name) == 0) return row;
        }
    }
    return NULL;
}

static bool begins(const char* text, const char* begin) { return strncmp(text, begin, strlen(begin)) == 0; }

const cn_layer_def* cn_layer_def_of(const cn_layer* layer) {
    const char* module = layer->module;
    bool builtin = !*module || strcmp(module, "keras") == 0 || begins(module, "keras.") || begins(module, "tf_keras") ||
                   begins(module, "tensorflow.");

    /* Beside a registered name no module is __main__. */
    if (!builtin || (*layer->registered_name && (!*module || strcmp(layer->registered_name, layer->class_name) != 0))) return NULL;
    if (begins(module, "keras.src.applications.")) return find_row(application_tables, 1, layer->class_name);
    return find_row(tables, TABLE_COUNT, layer->class_name);
}

const cn_layer_def* cn_op_def_of(const char* class_name) { return find_row(op_tables, OP_TABLE_COUNT, class_name); }

bool cn_lower_support(int index, const char** kind, const char** name, const char** limits) {
    for (size_t t = 0; t < TABLE_COUNT + 1 + OP_TABLE_COUNT; t++) {
        bool is_op = t > TABLE_COUNT;
        const cn_layer_def* row = is_op ? op_tables[t - TABLE_COUNT - 1] : t == TABLE_COUNT ? cn_layers_applications : tables[t];
        for (; row->name; row++) {
            if (index-- > 0) continue;
            *kind = is_op ? "op" : "layer";
            *name = row->name;
            *limits = row->limits ? row->limits : "";
            return true;
        }
    }
    return false;
}

cn_arg cn_arg_tensor(cn_value value) { return (cn_arg){.kind = CN_ARG_TENSOR, .value = value}; }

void* cn_call_alloc(cn_call* call, size_t size) {
    void* memory = cn_arena_alloc(&call->cx->arena, size);
    if (!memory) (void)cn_graph_failed(call->g, CN_NO_MEMORY(size));
    return memory;
}

const cn_type* cn_call_type(const cn_call* call, cn_id v) { return &call->g->types[v]; }

/* ---- arguments ---- */

const cn_arg* cn_call_arg(const cn_call* call, int position, const char* name) {
    static const cn_arg none = {.kind = CN_ARG_NONE, .value = {CN_NONE, CN_NONE}};

    if (position >= 0 && position < call->arg_count) return &call->args[position];
    for (int i = 0; call->kwargs && name && i < call->kwargs->count; i++) {
        if (strcmp(call->kwargs->keys[i], name) == 0) return &call->kwargs->items[i];
    }
    return &none;
}

cornu_status cn_call_value(cn_call* call, cn_value* out) {
    const cn_arg* arg = cn_call_arg(call, 0, "inputs");

    *out = (cn_value){CN_NONE, CN_NONE};
    if (arg->kind == CN_ARG_LIST && arg->count == 1) arg = &arg->items[0];
    if (arg->kind != CN_ARG_TENSOR) return CN_FAIL(BAD_FILE, "it must be called on one tensor");
    *out = arg->value;
    return CORNU_OK;
}

cornu_status cn_call_tensor(cn_call* call, cn_id* out) {
    cn_value value;
    cornu_status st = cn_call_value(call, &value);
    *out = value.tensor;
    return st;
}

cornu_status cn_call_values(cn_call* call, int least, cn_value** out, int* count) {
    const cn_arg* arg = cn_call_arg(call, 0, "inputs");

    *count = 0;
    if (arg->kind != CN_ARG_LIST || arg->count < least) {
        return CN_FAIL(BAD_FILE, "it must be called on a list of at least %d tensors", least);
    }
    *out = cn_call_alloc(call, (size_t)arg->count * sizeof **out);
    if (!*out) return CORNU_NO_MEMORY;
    for (int i = 0; i < arg->count; i++) {
        if (arg->items[i].kind != CN_ARG_TENSOR) return CN_FAIL(BAD_FILE, "element %d of its inputs is no tensor", i);
        (*out)[i] = arg->items[i].value;
    }
    *count = arg->count;
    return CORNU_OK;
}

cn_id cn_call_mask(cn_call* call, int position) {
    const cn_arg* arg = cn_call_arg(call, position, "mask");

    if (arg->kind == CN_ARG_TENSOR) return arg->value.tensor;
    arg = cn_call_arg(call, 0, "inputs");
    if (arg->kind == CN_ARG_LIST && arg->count == 1) arg = &arg->items[0];
    return arg->kind == CN_ARG_TENSOR ? arg->value.mask : CN_NONE;
}

cornu_status cn_call_return_masked(cn_call* call, cn_id tensor, cn_id mask) {
    call->out = cn_arg_tensor((cn_value){tensor, mask});
    return cn_graph_status(call->g);
}

cornu_status cn_call_return(cn_call* call, cn_id tensor) { return cn_call_return_masked(call, tensor, CN_NONE); }

cornu_status cn_call_return_list(cn_call* call, const cn_value* values, int count) {
    cn_arg list = {.kind = CN_ARG_LIST, .count = count};

    list.items = cn_call_alloc(call, (size_t)count * sizeof *list.items);
    if (!list.items) return CORNU_NO_MEMORY;
    for (int i = 0; i < count; i++) list.items[i] = cn_arg_tensor(values[i]);
    call->out = list;
    return cn_graph_status(call->g);
}

/* ---- weights ---- */

/* "(3, 3, ?, 8)" */
static const char* dims_text(const int64_t* dims, int ndim, char* text, size_t size) {
    size_t at = (size_t)snprintf(text, size, "(");

    for (int i = 0; i < ndim && at < size - 24; i++) {
        if (dims[i] < 0) at += (size_t)snprintf(text + at, size - at, "%s?", i ? ", " : "");
        else at += (size_t)snprintf(text + at, size - at, "%s%" PRId64, i ? ", " : "", dims[i]);
    }
    (void)snprintf(text + at, size - at, ndim == 1 ? ",)" : ")");
    return text;
}

static cornu_status slot_of(cn_lower* cx, const cn_variable* variable, int* slot) {
    cn_program* p = cx->program;

    for (int i = 0; i < p->slot_count; i++) {
        if (p->slots[i] == variable) return *slot = i, CORNU_OK;
    }
    if (p->slot_count == cx->slot_capacity) {
        int capacity = cx->slot_capacity ? cx->slot_capacity * 2 : 64;
        const cn_variable** slots = cn_realloc(p->slots, (size_t)capacity * sizeof(cn_variable*));
        if (!slots) return CN_NO_MEMORY((size_t)capacity * sizeof(cn_variable*));
        p->slots = slots;
        cx->slot_capacity = capacity;
    }
    *slot = p->slot_count;
    p->slots[p->slot_count++] = variable;
    return CORNU_OK;
}

cornu_status cn_lower_weight(cn_call* call, const cn_layer* layer, int i, int ndim, const int64_t* dims, cn_id* out) {
    const cn_variable* v = cn_layer_variable(call->cx->doc, layer, i);
    char want[200], found[200];
    cn_type type;
    bool same;
    int slot;

    *out = CN_NONE;
    if (!v) {
        return CN_FAIL(BAD_FILE, "variable %s/vars/%d is missing from the file; expected shape %s", layer->path, i,
                       dims_text(dims, ndim, want, sizeof want));
    }
    same = v->ndim == ndim;
    for (int k = 0; same && k < ndim; k++) same = dims[k] < 0 || dims[k] == v->dims[k];
    if (!same) {
        return CN_FAIL(BAD_FILE, "variable %s has shape %s in the file; expected %s", v->path,
                       dims_text(v->dims, v->ndim, found, sizeof found), dims_text(dims, ndim, want, sizeof want));
    }
    if (v->dtype == 0 || v->dtype == CORNU_STRING) return CN_FAIL(BAD_FILE, "variable %s has a dtype that no weight has", v->path);
    memset(&type, 0, sizeof type);
    type.dtype = v->dtype;
    type.ndim = v->ndim;
    memcpy(type.dims, v->dims, (size_t)v->ndim * sizeof v->dims[0]);
    slot = 0;
    CN_TRY(slot_of(call->cx, v, &slot));
    *out = cn_graph_variable(call->g, &type, slot, v->path);
    return cn_graph_status(call->g);
}

/* A float64 layer that JAX stored as float32 keeps its stored precision; Keras casts to the variable dtype first. */
cornu_status cn_call_stored(cn_call* call, int i, int ndim, const int64_t* dims, cn_id* out) {
    CN_TRY(cn_lower_weight(call, call->layer, i, ndim, dims, out));
    if (cn_dtype_is_float(cn_call_type(call, *out)->dtype)) *out = cn_graph_cast(call->g, *out, call->variable);
    return cn_graph_status(call->g);
}

cornu_status cn_call_weight(cn_call* call, int i, int ndim, const int64_t* dims, cn_id* out) {
    CN_TRY(cn_call_stored(call, i, ndim, dims, out));
    *out = cn_graph_cast(call->g, *out, call->compute);
    return cn_graph_status(call->g);
}

cornu_status cn_call_weight_count(cn_call* call, int count) {
    int found = cn_layer_variable_count(call->cx->doc, call->layer);

    if (found == count) return CORNU_OK;
    return CN_FAIL(BAD_FILE, "it expects %d variables under %s/vars, but the file has %d", count, call->layer->path, found);
}

/* ---- small things ---- */

uint32_t cn_call_stream(cn_call* call) { return call->cx->streams++; }

cn_id cn_to_channels_last(cn_graph* g, cn_id x) {
    return cn_graph_status(g) != CORNU_OK || x == CN_NONE ? CN_NONE : cn_graph_move_axis(g, x, 1, g->types[x].ndim - 1);
}

cn_id cn_to_channels_first(cn_graph* g, cn_id x) {
    return cn_graph_status(g) != CORNU_OK || x == CN_NONE ? CN_NONE : cn_graph_move_axis(g, x, g->types[x].ndim - 1, 1);
}

cornu_status cn_call_axis(cn_call* call, const char* key, int64_t axis, int ndim, int* out) {
    (void)call;
    if (axis < -ndim || axis >= ndim) {
        return CN_FAIL(BAD_ARGUMENT, "%s is %" PRId64 "; its input has %d axes", key, axis, ndim);
    }
    *out = (int)(axis < 0 ? axis + ndim : axis);
    return CORNU_OK;
}

cornu_status cn_call_data_format(cn_call* call, bool* channels_first) {
    int choice;
    CN_TRY(cn_config_choice(call->layer, "data_format", "channels_last", "channels_last|channels_first", &choice));
    *channels_first = choice == 1;
    return CORNU_OK;
}

cornu_status cn_call_image(cn_call* call, int spatial, cn_id* x, bool* channels_first) {
    const cn_type* type;

    CN_TRY(cn_call_tensor(call, x));
    if (channels_first) CN_TRY(cn_call_data_format(call, channels_first));
    CN_TRY(cn_graph_status(call->g));
    type = cn_call_type(call, *x);
    if (type->ndim != spatial + 2) {
        char text[256];
        return CN_FAIL(BAD_ARGUMENT, "its input must have %d axes; it is %s", spatial + 2, cn_type_text(type, text));
    }
    for (int i = 1; i < type->ndim; i++) {
        if (type->dims[i] > INT32_MAX) return CN_FAIL(BAD_ARGUMENT, "axis %d of its input is longer than %d", i, INT32_MAX);
    }
    return CORNU_OK;
}

void cn_same_padding(int64_t n, int64_t window, int64_t stride, int64_t dilation, int64_t* low, int64_t* high) {
    int64_t out = (n + stride - 1) / stride;
    int64_t total = (out - 1) * stride + (window - 1) * dilation + 1 - n;

    if (total < 0) total = 0;
    *low = total / 2;
    *high = total - total / 2;
}

/* ---- the call ---- */

/* Casts float tensors in a nest to the compute dtype; the nest is copied where something changes. */
static cornu_status autocast(cn_call* call, const cn_arg* from, cn_arg* to) {
    *to = *from;
    if (from->kind == CN_ARG_TENSOR && from->value.tensor != CN_NONE) {
        if (cn_dtype_is_float(cn_call_type(call, from->value.tensor)->dtype)) {
            to->value.tensor = cn_graph_cast(call->g, from->value.tensor, call->compute);
        }
        return cn_graph_status(call->g);
    }
    if (from->kind != CN_ARG_LIST && from->kind != CN_ARG_DICT) return CORNU_OK;
    to->items = cn_call_alloc(call, (size_t)from->count * sizeof *to->items);
    if (!to->items) return CORNU_NO_MEMORY;
    for (int i = 0; i < from->count; i++) CN_TRY(autocast(call, &from->items[i], &to->items[i])); /* depth: of the JSON */
    return CORNU_OK;
}

static cn_id first_mask(const cn_arg* arg) {
    if (arg->kind == CN_ARG_TENSOR) return arg->value.mask;
    return arg->count > 0 && arg->items ? first_mask(&arg->items[0]) : CN_NONE;
}

static void set_masks(cn_arg* out, cn_id mask) {
    if (out->kind == CN_ARG_TENSOR) out->value.mask = mask;
    for (int i = 0; i < out->count; i++) set_masks(&out->items[i], mask);
}

/* An operation of keras.ops: no dtype policy, no autocast, no masks. */
static cornu_status call_op(cn_lower* cx, const cn_layer* op, const cn_arg* args, int arg_count, const cn_arg* kwargs,
                            cn_arg* out) {
    const cn_layer_def* def = cn_op_def_of(op->class_name);
    cn_call call = {.cx = cx, .doc = cx->doc, .g = cx->g, .layer = op, .training = cx->options->training, .args = args,
                    .arg_count = arg_count, .kwargs = kwargs};

    cornu_status st;

    if (!def) return CN_FAIL(UNSUPPORTED, "operation %s is not known here", op->class_name);
    st = def->lower(&call);
    CN_TRY(cn_graph_status(cx->g)); /* the first failure: what follows it may have been taken for another */
    CN_TRY(st);
    set_masks(&call.out, CN_NONE);
    *out = call.out;
    return CORNU_OK;
}

/* The training argument: a stored one is ignored in favour of the run's (keras-format 4.6). */
static cornu_status call_plain(cn_lower* cx, const cn_layer* layer, const cn_arg* args, int arg_count,
                               const cn_arg* kwargs, cn_arg* out) {
    const cn_layer_def* def = cn_layer_def_of(layer);
    cn_call call = {.cx = cx, .doc = cx->doc, .g = cx->g, .layer = layer, .training = cx->options->training, .args = args,
                    .arg_count = arg_count, .kwargs = kwargs};
    cn_arg* cast_args;
    cn_arg cast_kwargs;

    if (!def && *layer->registered_name) return CN_FAIL(UNSUPPORTED, "custom class %s is not known here", layer->registered_name);
    if (!def) return CN_FAIL(UNSUPPORTED, "class %s%s%s is not known here", layer->class_name, *layer->module ? " of module " : "", layer->module);
    CN_TRY(cn_config_dtype(layer, &call.compute, &call.variable));
    if (!def->no_autocast) {
        cast_args = cn_call_alloc(&call, (size_t)arg_count * sizeof *cast_args);
        if (!cast_args) return CORNU_NO_MEMORY;
        for (int i = 0; i < arg_count; i++) CN_TRY(autocast(&call, &args[i], &cast_args[i]));
        call.args = cast_args;
        if (kwargs) {
            CN_TRY(autocast(&call, kwargs, &cast_kwargs));
            call.kwargs = &cast_kwargs;
        }
    }
    CN_TRY(def->lower(&call));
    CN_TRY(cn_graph_status(cx->g));
    if (def->mask == CN_MASK_PASS) set_masks(&call.out, arg_count > 0 ? first_mask(&args[0]) : CN_NONE);
    if (def->mask == CN_MASK_DROP) set_masks(&call.out, CN_NONE);
    *out = call.out;
    return CORNU_OK;
}

void cn_lower_tell(cn_lower* cx, const cn_layer* layer, const cn_arg* out) {
    cn_value* values;
    cn_type types[16];
    int count;

    if (!cx->options->watch || cn_arg_flatten(cx, out, &values, &count) != CORNU_OK) return;
    for (int i = 0; i < count && i < 16; i++) types[i] = cx->g->types[values[i].tensor];
    cx->options->watch(cx->options->watch_user, layer, types, count < 16 ? count : 16);
}

/* Puts the layer before a failure's sentence, unless the getters of its config have done so. */
static void name_layer(cornu_status st, const cn_layer* layer) {
    const char* text = cn_layer_describe(layer);
    if (strncmp(cornu_last_error(), text, strlen(text)) != 0) (void)cn_fail_within(st, "%s", text);
}

cornu_status cn_lower_call(cn_lower* cx, const cn_layer* layer, const cn_arg* args, int arg_count, const cn_arg* kwargs,
                           cn_arg* out) {
    const char* outer = cx->g->label;
    cornu_status st = CORNU_OK;

    *out = (cn_arg){.kind = CN_ARG_NONE, .value = {CN_NONE, CN_NONE}};
    if (cx->depth >= CN_LIMIT_CALL_DEPTH) return CN_FAIL(BAD_FILE, "%s: layers are nested deeper than %d", cn_layer_describe(layer), CN_LIMIT_CALL_DEPTH);
    cx->depth++;
    if (layer->kind == CN_LAYER_FUNCTIONAL || layer->kind == CN_LAYER_SEQUENTIAL) {
        st = arg_count > 0 ? cn_lower_nested(cx, layer, &args[0], out)
                           : CN_FAIL(BAD_FILE, "%s is called without inputs", cn_layer_describe(layer));
    } else {
        cx->g->label = layer->name;
        st = layer->kind == CN_LAYER_OP ? call_op(cx, layer, args, arg_count, kwargs, out)
                                        : call_plain(cx, layer, args, arg_count, kwargs, out);
        cx->g->label = outer;
        if (st != CORNU_OK) name_layer(st, layer);
    }
    cx->depth--;
    if (st == CORNU_OK) cn_lower_tell(cx, layer, out);
    if (st == CORNU_UNSUPPORTED && cx->options->watch) cx->options->watch(cx->options->watch_user, layer, NULL, -1);
    return st;
}
