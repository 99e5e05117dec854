/* Layers that hold a layer: keras/src/layers/rnn/{bidirectional,time_distributed}.py, normalization/spectral_normalization.py. */
#include <stdio.h>
#include <string.h>

#include "keras/naming.h"
#include "lower/context.h"

/* ---- Bidirectional ---- */

/* What a direction is called with besides the sequence: the mask, its half of initial_state, that masked outputs are 0, and, where the config has one
 * layer for both, that it goes backwards. */
static cornu_status direction_kwargs(cn_call* c, const cn_value* states, int count, bool backwards, cn_arg* out) {
    static const char* const names[] = {"mask", "initial_state", "zero_output_for_mask", "go_backwards"};
    cn_arg* items = cn_call_alloc(c, 4 * sizeof *items);
    const char** keys = cn_call_alloc(c, 4 * sizeof *keys);
    cn_arg* list = cn_call_alloc(c, ((size_t)count + 1) * sizeof *list);

    if (!items || !keys || !list) return CORNU_NO_MEMORY;
    memcpy(keys, names, sizeof names);
    for (int i = 0; i < count; i++) list[i] = cn_arg_tensor(states[i]);
    items[0] = *cn_call_arg(c, 2, "mask");
    items[1] = (cn_arg){.kind = count ? CN_ARG_LIST : CN_ARG_NONE, .value = {CN_NONE, CN_NONE}, .items = list, .count = count};
    items[2] = items[3] = (cn_arg){.kind = CN_ARG_LIST, .value = {CN_NONE, CN_NONE}};
    *out = (cn_arg){.kind = CN_ARG_DICT, .value = {CN_NONE, CN_NONE}, .items = items, .keys = keys, .count = backwards ? 4 : 3};
    return CORNU_OK;
}

static cn_id flip_steps(cn_graph* g, cn_id x) {
    const cn_type* type;
    cn_attr attr;

    if (cn_graph_status(g) != CORNU_OK) return CN_NONE;
    type = cn_graph_type(g, x);
    memset(&attr, 0, sizeof attr);
    for (int i = 0; i < type->ndim; i++) {
        attr.slice.dims[i] = type->dims[i];
        attr.slice.step[i] = i == 1 ? -1 : 1;
        attr.slice.begin[i] = i == 1 && type->dims[1] > 0 ? type->dims[1] - 1 : 0;
    }
    return cn_graph_add(g, CN_OP_slice, &x, 1, &attr);
}

static cornu_status merge(cn_call* c, int mode, cn_id a, cn_id b, cn_id* out) {
    cn_graph* g = c->g;
    const cn_id both[2] = {a, b};

    CN_TRY(cn_graph_status(g));
    if (mode == 0) *out = cn_graph_concat(g, both, 2, cn_call_type(c, a)->ndim - 1);
    else *out = cn_graph_ew2(g, mode == 2 ? CN_EW_mul : CN_EW_add, a, b);
    if (mode == 3) *out = cn_graph_act(g, (cn_act){CN_EW_affine, 0.5, 0, 0}, *out);
    return cn_graph_status(g);
}

/* Both directions' flattened results: the output, then the states. */
typedef struct directions {
    cn_value* results[2];
    int counts[2];
} directions;

static cornu_status call_direction(cn_call* c, int i, const cn_value* states, int count, directions* d) {
    static const char* const attributes[] = {"forward_layer", "backward_layer"};
    const cn_json* object = cn_config_get(c->layer, i ? "backward_layer" : "layer");
    cn_arg sequence = *cn_call_arg(c, 0, "sequences"), kwargs, out;
    const cn_layer* layer;

    if (sequence.kind == CN_ARG_LIST && sequence.count > 0) sequence = sequence.items[0];
    CN_TRY(cn_layer_sub(c->doc, c->layer, object ? object : cn_config_get(c->layer, "layer"), attributes[i], &layer));
    CN_TRY(direction_kwargs(c, states, count, !object, &kwargs));
    CN_TRY(cn_lower_call(c->cx, layer, &sequence, 1, &kwargs, &out));
    return cn_arg_flatten(c->cx, &out, &d->results[i], &d->counts[i]);
}

/* What both directions must agree on, and where they must not. */
static cornu_status check_directions(cn_call* c, bool* sequences, bool* state) {
    const cn_json* forward = cn_json_get(cn_config_get(c->layer, "layer"), "config");
    const cn_json* backward = cn_json_get(cn_config_get(c->layer, "backward_layer"), "config");
    static const char* const keys[] = {"return_sequences", "return_state"};
    bool* const outs[] = {sequences, state};

    if (!forward) return cn_config_bad(c->layer, "layer", "a recurrent layer's object is allowed");
    for (int i = 0; i < 2; i++) {
        *outs[i] = cn_json_bool(cn_json_get(forward, keys[i]));
        if (backward && cn_json_bool(cn_json_get(backward, keys[i])) != *outs[i]) return CN_FAIL(BAD_FILE, "%s differs between its two layers", keys[i]);
    }
    if (cn_json_bool(cn_json_get(forward, "go_backwards")) == (!backward || cn_json_bool(cn_json_get(backward, "go_backwards")))) {
        return CN_FAIL(BAD_FILE, "go_backwards is the same in its two layers");
    }
    return CORNU_OK;
}

static cornu_status lower_bidirectional(cn_call* c) {
    const cn_arg *x = cn_call_arg(c, 0, "sequences"), *mask = cn_call_arg(c, 2, "mask"), *initial = cn_call_arg(c, 1, "initial_state");
    cn_value *states = NULL, *results;
    cn_arg rest;
    cn_id y[2], out_mask = CN_NONE;
    directions d;
    bool sequences = false, state = false;
    int count = 0, mode = 4, n = 0;

    CN_TRY(check_directions(c, &sequences, &state));
    if (cn_config_get(c->layer, "merge_mode")) CN_TRY(cn_config_choice(c->layer, "merge_mode", "concat", "concat|sum|mul|ave", &mode));
    else if (!cn_json_get(c->layer->config, "merge_mode")) mode = 0;
    if (x->kind == CN_ARG_LIST && x->count > 1 && initial->kind == CN_ARG_NONE) { /* as Keras 2 recorded states */
        rest = (cn_arg){.kind = CN_ARG_LIST, .value = {CN_NONE, CN_NONE}, .items = x->items + 1, .count = x->count - 1};
        initial = &rest;
    }
    if (initial->kind != CN_ARG_NONE) CN_TRY(cn_arg_flatten(c->cx, initial, &states, &count));
    if (count % 2) return CN_FAIL(BAD_FILE, "its initial_state has %d tensors; an even number is allowed", count);
    for (int i = 0; i < 2; i++) {
        CN_TRY(call_direction(c, i, states ? states + i * (count / 2) : NULL, count / 2, &d));
        y[i] = cn_graph_cast(c->g, d.results[i][0].tensor, c->compute);
    }
    if (sequences) {
        y[1] = flip_steps(c->g, y[1]);
        out_mask = mask->kind == CN_ARG_TENSOR ? mask->value.tensor : x->kind == CN_ARG_TENSOR ? x->value.mask : CN_NONE;
    }
    results = cn_call_alloc(c, ((size_t)d.counts[0] + (size_t)d.counts[1] + 2) * sizeof *results);
    if (!results) return CORNU_NO_MEMORY;
    if (mode < 4) {
        CN_TRY(merge(c, mode, y[0], y[1], &results[n].tensor));
        results[n++].mask = out_mask;
        if (!state) return cn_call_return_masked(c, results[0].tensor, out_mask);
    } else {
        results[n++] = (cn_value){y[0], out_mask};
        results[n++] = (cn_value){y[1], out_mask};
    }
    for (int i = 0; state && i < 2; i++) {
        for (int k = 1; k < d.counts[i]; k++) results[n++] = (cn_value){d.results[i][k].tensor, CN_NONE};
    }
    return cn_call_return_list(c, results, n);
}

/* ---- TimeDistributed ---- */

/* [B, T, ...] as [B T, ...]: at inference no layer looks from one sample to another, so steps may be samples. */
static cn_id merge_steps(cn_graph* g, cn_id x) {
    int64_t dims[CORNU_MAX_DIMS];
    const cn_type* type;

    if (x == CN_NONE || cn_graph_status(g) != CORNU_OK) return CN_NONE;
    type = cn_graph_type(g, x);
    dims[0] = type->dims[0] * type->dims[1];
    for (int i = 2; i < type->ndim; i++) dims[i - 1] = type->dims[i];
    return cn_graph_reshape(g, x, type->ndim - 1, dims);
}

static cornu_status one_tensor(const cn_arg* out, cn_id* tensor) {
    const cn_arg* at = out->kind == CN_ARG_LIST && out->count == 1 ? &out->items[0] : out;
    if (at->kind != CN_ARG_TENSOR) return CN_FAIL(UNSUPPORTED, "its layer gives several tensors");
    *tensor = at->value.tensor;
    return CORNU_OK;
}

/* Calls the layer on x [B, T, ...] as [B T, ...]; gives [B, T, ...]. */
static cornu_status call_merged(cn_call* c, const cn_layer* layer, cn_value x, cn_id* out) {
    cn_graph* g = c->g;
    const cn_type *type = cn_call_type(c, x.tensor), *made;
    int64_t dims[CORNU_MAX_DIMS], batch = type->dims[0], steps = type->dims[1];
    bool deep = x.mask != CN_NONE && cn_call_type(c, x.mask)->ndim > 2;
    cn_arg arg, result;
    cn_id y;

    arg = cn_arg_tensor((cn_value){merge_steps(g, x.tensor), deep ? merge_steps(g, x.mask) : CN_NONE});
    CN_TRY(cn_graph_status(g));
    CN_TRY(cn_lower_call(c->cx, layer, &arg, 1, NULL, &result));
    CN_TRY(one_tensor(&result, &y));
    made = cn_call_type(c, y);
    if (made->ndim < 1 || made->ndim >= CORNU_MAX_DIMS || made->dims[0] != batch * steps) return CN_FAIL(UNSUPPORTED, "its layer mixes samples");
    dims[0] = batch;
    dims[1] = steps;
    for (int i = 1; i < made->ndim; i++) dims[i + 1] = made->dims[i];
    *out = cn_graph_reshape(g, y, made->ndim + 1, dims);
    return cn_graph_status(g);
}

/* At training a batch is what it is at one step (BatchNormalization), so each step is a call of its own. */
static cornu_status call_steps(cn_call* c, const cn_layer* layer, cn_value x, cn_id* out) {
    int64_t steps = cn_call_type(c, x.tensor)->dims[1];
    cn_id* outputs = cn_call_alloc(c, (size_t)steps * sizeof *outputs);

    if (!outputs) return CORNU_NO_MEMORY;
    if (steps > 1024) return CN_FAIL(UNSUPPORTED, "more than 1024 steps at training");
    for (int64_t t = 0; t < steps; t++) {
        cn_value step = {cn_graph_slice_axis(c->g, x.tensor, 1, t, t + 1), CN_NONE};
        if (x.mask != CN_NONE) step.mask = cn_graph_slice_axis(c->g, x.mask, 1, t, t + 1);
        CN_TRY(cn_graph_status(c->g));
        CN_TRY(call_merged(c, layer, step, &outputs[t]));
    }
    *out = cn_graph_concat(c->g, outputs, (int)steps, 1);
    return cn_graph_status(c->g);
}

static cornu_status lower_time_distributed(cn_call* c) {
    const cn_arg* mask = cn_call_arg(c, 2, "mask");
    const cn_layer* layer;
    const cn_type *x, *m;
    cornu_status st;
    cn_value value;
    cn_id y;

    CN_TRY(cn_call_value(c, &value));
    if (mask->kind == CN_ARG_TENSOR) value.mask = mask->value.tensor;
    x = cn_call_type(c, value.tensor);
    if (x->ndim < 2) return CN_FAIL(BAD_ARGUMENT, "its input must have at least 2 axes [batch, steps, ...], not %d", x->ndim);
    if (x->dims[1] < 1) return CN_FAIL(BAD_ARGUMENT, "its input has no time step");
    m = value.mask == CN_NONE ? NULL : cn_call_type(c, value.mask);
    if (m && (m->ndim < 2 || m->dims[0] != x->dims[0] || m->dims[1] != x->dims[1])) {
        return CN_FAIL(BAD_ARGUMENT, "its mask does not have the batch and steps of its input");
    }
    CN_TRY(cn_layer_sub(c->doc, c->layer, cn_config_get(c->layer, "layer"), "layer", &layer));
    c->cx->no_states++;
    st = c->training ? call_steps(c, layer, value, &y) : call_merged(c, layer, value, &y);
    c->cx->no_states--;
    CN_TRY(st);
    return cn_call_return_masked(c, y, value.mask);
}

/* ---- SpectralNormalization ---- */

/* At inference the layer as it is stored: its kernel is the normalised one that training left. */
static cornu_status lower_spectral_normalization(cn_call* c) {
    const cn_layer* layer;
    cn_arg arg, out;
    cn_value value;
    cn_id cast;

    CN_TRY(cn_call_value(c, &value));
    if (c->training) return CN_FAIL(UNSUPPORTED, "its power iteration at training is not known here");
    CN_TRY(cn_layer_sub(c->doc, c->layer, cn_config_get(c->layer, "layer"), "layer", &layer));
    arg = cn_arg_tensor(value);
    CN_TRY(cn_lower_call(c->cx, layer, &arg, 1, NULL, &out));
    if (out.kind != CN_ARG_TENSOR) return CN_FAIL(UNSUPPORTED, "its layer gives several tensors");
    cast = cn_graph_cast(c->g, out.value.tensor, cn_call_type(c, value.tensor)->dtype);
    return cn_call_return_masked(c, cast, cast == out.value.tensor ? out.value.mask : CN_NONE);
}

/* ---- Pipeline ---- */

cornu_status cn_call_member(cn_call* c, const char* key, const cn_json* list, size_t i, const char** out) {
    const cn_json* class_name = cn_json_get(cn_json_at(list, i), "class_name");
    const char *base, *name = cn_json_string(class_name, NULL);
    size_t size;
    char* text;
    int number = 0;

    if (!cn_json_is(class_name, CN_JSON_STRING)) return cn_config_bad(c->layer, key, "a list of layer objects is allowed");
    for (size_t k = 0; k < i; k++) number += cn_json_equals(cn_json_get(cn_json_at(list, k), "class_name"), name);
    base = cn_naming_base(&c->cx->arena, name);
    size = (base ? strlen(base) : 0) + strlen(key) + 24;
    text = cn_call_alloc(c, size);
    if (!base || !text) return CN_NO_MEMORY(size);
    if (number) (void)snprintf(text, size, "%s/%s_%d", key, base, number);
    else (void)snprintf(text, size, "%s/%s", key, base);
    *out = text;
    return CORNU_OK;
}

/* One layer after the other; each gets the mask that the one before gave. */
static cornu_status lower_pipeline(cn_call* c) {
    const cn_json* layers = cn_config_get(c->layer, "layers");
    cn_arg value = *cn_call_arg(c, 0, "inputs");

    if (!cn_json_is(layers, CN_JSON_ARRAY)) return cn_config_bad(c->layer, "layers", "a list of layer objects is allowed");
    for (size_t i = 0; i < cn_json_size(layers); i++) {
        const cn_layer* layer;
        const char* path = NULL;
        cn_arg arg = value;
        CN_TRY(cn_call_member(c, "layers", layers, i, &path));
        CN_TRY(cn_layer_sub(c->doc, c->layer, cn_json_at(layers, i), path, &layer));
        CN_TRY(cn_lower_call(c->cx, layer, &arg, 1, NULL, &value));
    }
    c->out = value;
    return cn_graph_status(c->g);
}

const cn_layer_def cn_layers_wrapper[] = {
    {"Bidirectional", lower_bidirectional, CN_MASK_OWN, false, "as its layers"},
    {"TimeDistributed", lower_time_distributed, CN_MASK_OWN, false, "layers that give several tensors or keep states"},
    {"Pipeline", lower_pipeline, CN_MASK_OWN, true, "as its layers"},
    {"SpectralNormalization", lower_spectral_normalization, CN_MASK_OWN, false, "training"},
    {0},
};
