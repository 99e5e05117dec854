/* keras/src/layers/rnn: SimpleRNNCell, LSTMCell, GRUCell and StackedRNNCells, as steps and as layers. */
#include "lower/rnn.h"

#include <stdio.h>
#include <string.h>

#include "keras/naming.h"
#include "lower/context.h"

cornu_status cn_config_size(const cn_layer* layer, const char* key, int64_t* out) {
    if (!cn_config_get(layer, key)) return cn_config_bad(layer, key, "an integer from 1 to 2147483647 is allowed");
    return cn_config_int(layer, key, 0, 1, INT32_MAX, out);
}

bool cn_rnn_cell_kind_of(const char* class_name, cn_rnn_cell_kind* kind) {
    static const struct {
        const char* name;
        cn_rnn_cell_kind kind;
    } cells[] = {{"SimpleRNNCell", CN_CELL_SIMPLE}, {"LSTMCell", CN_CELL_LSTM}, {"GRUCell", CN_CELL_GRU}, {"StackedRNNCells", CN_CELL_STACKED}};

    for (size_t i = 0; i < sizeof cells / sizeof cells[0]; i++) {
        if (strcmp(cells[i].name, class_name) != 0) continue;
        *kind = cells[i].kind;
        return true;
    }
    return false;
}

/* ---- activations ---- */

cornu_status cn_rnn_cell_act(cn_rnn_cell* cell, const char* key, const char* fallback, cn_id x, cn_id* out) {
    if (!cn_json_get(cell->call.layer->config, key)) return cn_lower_activation(&cell->call, fallback, x, out);
    return cn_call_activation(&cell->call, key, x, out);
}

/* Tries the activation on a value of its own and looks at what it made; the nodes are taken back. */
cornu_status cn_rnn_cell_ew(cn_rnn_cell* cell, const char* key, const char* fallback, cn_act* act, bool* is_ew) {
    cn_graph* g = cell->call.g;
    const int64_t dims[2] = {1, 1};
    int count = g->count;
    cn_id x = cn_graph_broadcast(g, cn_graph_scalar(g, cell->call.compute, 0), 2, dims), y = CN_NONE;

    *act = (cn_act){CN_EW_copy, 0, 0, 0};
    CN_TRY(cn_graph_status(g));
    CN_TRY(cn_rnn_cell_act(cell, key, fallback, x, &y));
    CN_TRY(cn_graph_status(g));
    *is_ew = y == x || (y == x + 1 && g->nodes[y].op == CN_OP_ew && g->nodes[y].input_count == 1);
    if (y != x && *is_ew) *act = g->nodes[y].attr.ew;
    g->count = count;
    return CORNU_OK;
}

cornu_status cn_rnn_cell_no_dropout(cn_call* c, const cn_layer* config) {
    static const char* const keys[] = {"dropout", "recurrent_dropout"};

    for (int i = 0; i < 2 && c->training; i++) {
        double rate;
        CN_TRY(cn_config_double(config, keys[i], 0, &rate));
        if (rate > 0) return cn_config_unsupported(config, keys[i], "dropout inside recurrent layers cannot run at training");
    }
    return CORNU_OK;
}

/* ---- reading ---- */

static cornu_status read_bias(cn_rnn_cell* cell, cn_call* weights) {
    int64_t n = cell->units * cn_rnn_gates((cn_rnn_kind)cell->kind), dims[2] = {2, n};
    cn_graph* g = weights->g;
    cn_id both;

    if (cell->kind != CN_CELL_GRU || !cell->reset_after) return cn_call_weight(weights, 2, 1, &n, &cell->bias);
    CN_TRY(cn_call_weight(weights, 2, 2, dims, &both)); /* row 0: of the input; row 1: of the state */
    cell->bias = cn_graph_reshape(g, cn_graph_slice_axis(g, both, 0, 0, 1), 1, &n);
    cell->recurrent_bias = cn_graph_reshape(g, cn_graph_slice_axis(g, both, 0, 1, 2), 1, &n);
    return cn_graph_status(g);
}

static cornu_status read_plain(cn_rnn_cell* cell, const cn_layer* config, const cn_layer* weights_at, const cn_type* step) {
    cn_call weights = cell->call;
    bool use_bias;
    int64_t dims[2];

    CN_TRY(cn_config_size(config, "units", &cell->units));
    CN_TRY(cn_config_bool(config, "use_bias", true, &use_bias));
    if (cell->kind == CN_CELL_GRU) CN_TRY(cn_config_bool(config, "reset_after", true, &cell->reset_after));
    CN_TRY(cn_rnn_cell_no_dropout(&cell->call, config));
    if (step->ndim != 2) return CN_FAIL(BAD_ARGUMENT, "its cell takes steps of 2 axes [batch, features], not %d", step->ndim);
    weights.layer = weights_at;
    CN_TRY(cn_call_weight_count(&weights, use_bias ? 3 : 2));
    dims[0] = step->dims[1];
    dims[1] = cell->units * cn_rnn_gates((cn_rnn_kind)cell->kind);
    CN_TRY(cn_call_weight(&weights, 0, 2, dims, &cell->kernel));
    dims[0] = cell->units;
    CN_TRY(cn_call_weight(&weights, 1, 2, dims, &cell->recurrent));
    if (use_bias) CN_TRY(read_bias(cell, &weights));
    cell->state_count = cell->kind == CN_CELL_LSTM ? 2 : 1;
    for (int i = 0; i < cell->state_count; i++) {
        cell->states[i] = (cn_type){.dtype = cell->call.compute, .ndim = 2};
        cell->states[i].dims[0] = step->dims[0];
        cell->states[i].dims[1] = cell->units;
    }
    return CORNU_OK;
}

static cornu_status read_stack(cn_rnn_cell* cell, const cn_layer* config, const cn_type* step) {
    const cn_json* cells = cn_config_get(config, "cells");
    cn_type input = *step;
    size_t count = cn_json_size(cells);

    if (!cn_json_is(cells, CN_JSON_ARRAY) || count < 1 || count > CN_RNN_MAX_STATES / 2) {
        return cn_config_bad(config, "cells", "a list of 1 to 32 cells is allowed");
    }
    cell->cells = cn_call_alloc(&cell->call, count * sizeof *cell->cells);
    if (!cell->cells) return CORNU_NO_MEMORY;
    for (size_t i = 0; i < count; i++) {
        const cn_layer* sub;
        const char* attribute = NULL;
        cn_rnn_cell_kind kind = CN_CELL_SIMPLE;
        CN_TRY(cn_call_member(&cell->call, "cells", cells, i, &attribute));
        CN_TRY(cn_layer_sub(cell->call.doc, config, cn_json_at(cells, i), attribute, &sub));
        if (!cn_rnn_cell_kind_of(sub->class_name, &kind) || kind == CN_CELL_STACKED) {
            return CN_FAIL(UNSUPPORTED, "cell %zu of its stack is a %s, which is not known here", i, sub->class_name);
        }
        CN_TRY(cn_rnn_cell_read(&cell->call, kind, sub, sub, &input, &cell->cells[i]));
        input = cell->cells[i].states[0];
        cell->cell_count++;
        cell->state_count += cell->cells[i].state_count;
    }
    cell->units = input.dims[1];
    return CORNU_OK;
}

cornu_status cn_rnn_cell_read(cn_call* c, cn_rnn_cell_kind kind, const cn_layer* config, const cn_layer* weights, const cn_type* step,
                              cn_rnn_cell* cell) {
    memset(cell, 0, sizeof *cell);
    cell->kind = kind;
    cell->call = *c;
    cell->call.layer = config;
    cell->kernel = cell->recurrent = cell->bias = cell->recurrent_bias = CN_NONE;
    CN_TRY(cn_config_dtype(config, &cell->call.compute, &cell->call.variable));
    return kind == CN_CELL_STACKED ? read_stack(cell, config, step) : read_plain(cell, config, weights, step);
}

int cn_rnn_cell_states(const cn_rnn_cell* cell, cn_type* types, int capacity) {
    int n = 0;

    if (cell->kind != CN_CELL_STACKED) {
        for (int i = 0; i < cell->state_count && n < capacity; i++) types[n++] = cell->states[i];
        return n;
    }
    for (int k = 0; k < cell->cell_count; k++) {
        for (int i = 0; i < cell->cells[k].state_count && n < capacity; i++) types[n++] = cell->cells[k].states[i];
    }
    return n;
}

/* ---- steps ---- */

/* Gate `number` of a value [B, gates units]. */
static cn_id gate_of(cn_rnn_cell* cell, cn_id x, int number) {
    return cn_graph_slice_axis(cell->call.g, x, 1, number * cell->units, (number + 1) * cell->units);
}

static cn_id add(cn_rnn_cell* cell, cn_id x, cn_id z) {
    return x == CN_NONE ? z : z == CN_NONE ? x : cn_graph_ew2(cell->call.g, CN_EW_add, x, z);
}

static cornu_status activate(cn_rnn_cell* cell, cn_id x, cn_id* out) { return cn_rnn_cell_act(cell, "activation", "tanh", x, out); }

static cornu_status activate_gate(cn_rnn_cell* cell, cn_id x, cn_id* out) {
    return cn_rnn_cell_act(cell, "recurrent_activation", "sigmoid", x, out);
}

static cornu_status lstm_step(cn_rnn_cell* cell, cn_id z, cn_id* states, cn_id* out) {
    cn_graph* g = cell->call.g;
    cn_id sum = add(cell, z, cn_graph_matmul(g, states[0], cell->recurrent, false, false)), i, f, o, candidate, c, y;

    CN_TRY(activate_gate(cell, gate_of(cell, sum, 0), &i));
    CN_TRY(activate_gate(cell, gate_of(cell, sum, 1), &f));
    CN_TRY(activate(cell, gate_of(cell, sum, 2), &candidate));
    CN_TRY(activate_gate(cell, gate_of(cell, sum, 3), &o));
    c = cn_graph_ew2(g, CN_EW_add, cn_graph_ew2(g, CN_EW_mul, f, states[1]), cn_graph_ew2(g, CN_EW_mul, i, candidate));
    CN_TRY(activate(cell, c, &y));
    *out = cn_graph_ew2(g, CN_EW_mul, o, y);
    states[0] = *out;
    states[1] = c;
    return cn_graph_status(g);
}

static cornu_status gru_step(cn_rnn_cell* cell, cn_id z, cn_id* states, cn_id* out) {
    cn_graph* g = cell->call.g;
    cn_id h = states[0], update, reset, candidate, inner, recurrent = cell->recurrent, one;

    if (!cell->reset_after) recurrent = cn_graph_slice_axis(g, recurrent, 1, 0, 2 * cell->units);
    inner = add(cell, cn_graph_matmul(g, h, recurrent, false, false), cell->recurrent_bias);
    CN_TRY(activate_gate(cell, add(cell, gate_of(cell, z, 0), gate_of(cell, inner, 0)), &update));
    CN_TRY(activate_gate(cell, add(cell, gate_of(cell, z, 1), gate_of(cell, inner, 1)), &reset));
    if (cell->reset_after) {
        candidate = cn_graph_ew2(g, CN_EW_mul, reset, gate_of(cell, inner, 2));
    } else {
        cn_id last = cn_graph_slice_axis(g, cell->recurrent, 1, 2 * cell->units, 3 * cell->units);
        candidate = cn_graph_matmul(g, cn_graph_ew2(g, CN_EW_mul, reset, h), last, false, false);
    }
    CN_TRY(activate(cell, add(cell, gate_of(cell, z, 2), candidate), &candidate));
    one = cn_graph_scalar(g, cell->call.compute, 1);
    *out = cn_graph_ew2(g, CN_EW_add, cn_graph_ew2(g, CN_EW_mul, update, h),
                        cn_graph_ew2(g, CN_EW_mul, cn_graph_ew2(g, CN_EW_sub, one, update), candidate));
    states[0] = *out;
    return cn_graph_status(g);
}

static cornu_status stack_step(cn_rnn_cell* cell, cn_id x, cn_id* states, cn_id* out) {
    int at = 0;

    for (int i = 0; i < cell->cell_count; i++) {
        CN_TRY(cn_rnn_cell_step(&cell->cells[i], x, states + at, &x)); /* a stack in a stack is refused */
        at += cell->cells[i].state_count;
    }
    *out = x;
    return CORNU_OK;
}

cornu_status cn_rnn_cell_step(cn_rnn_cell* cell, cn_id x, cn_id* states, cn_id* out) {
    cn_graph* g = cell->call.g;
    cn_id z;

    *out = CN_NONE;
    CN_TRY(cn_graph_status(g));
    if (cell->kind == CN_CELL_STACKED) return stack_step(cell, x, states, out);
    if (cell->kind == CN_CELL_CONV_LSTM) return cn_conv_lstm_step(cell, x, states, out);
    for (int i = 0; i < cell->state_count; i++) states[i] = cn_graph_cast(g, states[i], cell->call.compute);
    z = add(cell, cn_graph_matmul(g, cn_graph_cast(g, x, cell->call.compute), cell->kernel, false, false), cell->bias);
    if (cell->kind == CN_CELL_LSTM) return lstm_step(cell, z, states, out);
    if (cell->kind == CN_CELL_GRU) return gru_step(cell, z, states, out);
    CN_TRY(activate(cell, add(cell, z, cn_graph_matmul(g, states[0], cell->recurrent, false, false)), out));
    states[0] = *out;
    return cn_graph_status(g);
}

/* ---- cells as layers ---- */

static cornu_status lower_cell(cn_call* c) {
    const cn_arg *x = cn_call_arg(c, 0, "inputs"), *given = cn_call_arg(c, 1, "states");
    cn_type types[CN_RNN_MAX_STATES], step;
    cn_id states[CN_RNN_MAX_STATES], out;
    cn_value *values, *results;
    cn_rnn_cell_kind kind = CN_CELL_SIMPLE;
    cn_rnn_cell cell;
    int count, found;

    if (x->kind == CN_ARG_NONE) x = cn_call_arg(c, -1, "sequence");
    if (x->kind != CN_ARG_TENSOR) return CN_FAIL(BAD_FILE, "it must be called on one tensor and its states");
    (void)cn_rnn_cell_kind_of(c->layer->class_name, &kind);
    step = *cn_call_type(c, x->value.tensor); /* a type in the graph moves when nodes are added */
    CN_TRY(cn_rnn_cell_read(c, kind, c->layer, c->layer, &step, &cell));
    count = cn_rnn_cell_states(&cell, types, CN_RNN_MAX_STATES);
    CN_TRY(cn_arg_flatten(c->cx, given, &values, &found));
    if (found != count) return CN_FAIL(BAD_FILE, "it is called with %d states; it has %d", found, count);
    for (int i = 0; i < count; i++) {
        const cn_type* type = values[i].tensor == CN_NONE ? NULL : cn_call_type(c, values[i].tensor);
        if (!type || type->ndim != 2 || type->dims[0] != types[i].dims[0] || type->dims[1] != types[i].dims[1]) {
            return CN_FAIL(BAD_ARGUMENT, "state %d that it is called with is not of shape [batch, units]", i);
        }
        states[i] = values[i].tensor;
    }
    CN_TRY(cn_rnn_cell_step(&cell, x->value.tensor, states, &out));
    results = cn_call_alloc(c, ((size_t)count + 1) * sizeof *results);
    if (!results) return CORNU_NO_MEMORY;
    results[0] = (cn_value){out, CN_NONE};
    for (int i = 0; i < count; i++) results[i + 1] = (cn_value){states[i], CN_NONE};
    return cn_call_return_list(c, results, count + 1);
}

const cn_layer_def cn_layers_rnn_cells[] = {
    {"SimpleRNNCell", lower_cell, CN_MASK_DROP, false, "dropout at training"},
    {"LSTMCell", lower_cell, CN_MASK_DROP, false, "dropout at training"},
    {"GRUCell", lower_cell, CN_MASK_DROP, false, "dropout at training"},
    {"StackedRNNCells", lower_cell, CN_MASK_DROP, false, "custom cells; dropout at training"},
    {0},
};
