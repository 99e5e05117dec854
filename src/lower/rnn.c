/* keras/src/layers/rnn: the layers that run a cell over time. LSTM, GRU and SimpleRNN cells with elementwise activations become one rnn node
 * behind one matrix product for all steps; every other cell is written out step by step, which the concrete length allows.
 *
 * Masks, as the TensorFlow backend has them: a masked step leaves the states; its output is that of the step before, or 0 with
 * zero_output_for_mask. The mask of the input is used unless tensors come as initial_state too: Keras then gives the layer none. */
#include "lower/rnn.h"

#include <inttypes.h>
#include <string.h>

#include "lower/context.h"

/* Steps of a layer that is written out. */
#define CN_RNN_MAX_STEPS 2048

/* One call of a recurrent layer. */
typedef struct recurrent {
    cn_call* c;
    cn_id x;               /* [B, T, ...] */
    int64_t steps;         /* T */
    cn_id mask;            /* that steps are left out by: bool [B, T] or CN_NONE */
    cn_id out_mask;        /* that goes on with a sequence */
    bool sequences, state, backwards, zero_masked;
    bool stateful; /* its states last from run to run */
    bool channels_first;
    cn_rnn_cell cell;
    cn_id states[CN_RNN_MAX_STATES];
    int state_count;
    bool zero_states; /* none was given: states are CN_NONE until needed */
    cn_id out;
} recurrent;

/* ---- arguments ---- */

/* A mask as bool [B, T]; Keras takes [B, T, 1] too. */
static cornu_status fit_mask(recurrent* r, cn_id* mask) {
    const cn_type *m, *x = cn_call_type(r->c, r->x);
    int64_t dims[2] = {x->dims[0], x->dims[1]};

    if (*mask == CN_NONE) return CORNU_OK;
    m = cn_call_type(r->c, *mask);
    if (m->ndim < 2 || m->dims[0] != dims[0] || m->dims[1] != dims[1] || cn_type_count(m) != dims[0] * dims[1]) {
        char have[256], want[256];
        return CN_FAIL(BAD_ARGUMENT, "its mask is %s for an input of %s; [batch, steps] is allowed", cn_type_text(m, have), cn_type_text(x, want));
    }
    *mask = cn_graph_cast(r->c->g, cn_graph_reshape(r->c->g, *mask, 2, dims), CORNU_BOOL);
    return cn_graph_status(r->c->g);
}

/* The sequence, its mask and initial_state: keyword, second argument, or further elements of a list, as Keras 2 recorded it. */
static cornu_status read_arguments(recurrent* r, cn_value** states, int* count) {
    cn_call* c = r->c;
    const cn_arg *x = cn_call_arg(c, 0, "sequences"), *initial = cn_call_arg(c, 1, "initial_state"), *mask = cn_call_arg(c, 2, "mask");
    cn_arg rest;

    if (x->kind == CN_ARG_NONE) x = cn_call_arg(c, -1, "inputs");
    if (cn_call_arg(c, -1, "constants")->kind != CN_ARG_NONE) return CN_FAIL(UNSUPPORTED, "constants of a recurrent layer are not known here");
    if (x->kind == CN_ARG_LIST && x->count > 0) {
        rest = (cn_arg){.kind = CN_ARG_LIST, .items = x->items + 1, .count = x->count - 1};
        if (rest.count > 0 && initial->kind == CN_ARG_NONE) initial = &rest;
        x = &x->items[0];
    }
    if (x->kind != CN_ARG_TENSOR) return CN_FAIL(BAD_FILE, "it must be called on one sequence");
    *count = 0;
    if (initial->kind != CN_ARG_NONE) CN_TRY(cn_arg_flatten(c->cx, initial, states, count));
    r->x = x->value.tensor;
    if (cn_call_type(c, r->x)->ndim < 3) {
        return CN_FAIL(BAD_ARGUMENT, "its input must have at least 3 axes [batch, steps, features], not %d", cn_call_type(c, r->x)->ndim);
    }
    if (mask->kind == CN_ARG_LIST && mask->count > 0) mask = &mask->items[0];
    r->out_mask = mask->kind == CN_ARG_TENSOR ? mask->value.tensor : x->value.mask;
    r->mask = mask->kind == CN_ARG_TENSOR || *count == 0 ? r->out_mask : CN_NONE;
    CN_TRY(fit_mask(r, &r->mask));
    r->steps = cn_call_type(c, r->x)->dims[1];
    if (r->steps < 1) return CN_FAIL(BAD_ARGUMENT, "its input has no time step");
    return CORNU_OK;
}

static cornu_status read_options(recurrent* r) {
    const cn_layer* layer = r->c->layer;
    bool time_major;

    CN_TRY(cn_config_bool(layer, "return_sequences", false, &r->sequences));
    CN_TRY(cn_config_bool(layer, "return_state", false, &r->state));
    CN_TRY(cn_config_bool(layer, "go_backwards", false, &r->backwards));
    CN_TRY(cn_config_bool(layer, "zero_output_for_mask", false, &r->zero_masked));
    CN_TRY(cn_config_bool(layer, "stateful", false, &r->stateful));
    /* Bidirectional overrules its layers. */
    if (cn_call_arg(r->c, -1, "zero_output_for_mask")->kind != CN_ARG_NONE) r->zero_masked = r->sequences;
    if (cn_call_arg(r->c, -1, "go_backwards")->kind != CN_ARG_NONE) r->backwards = true;
    CN_TRY(cn_config_bool(layer, "time_major", false, &time_major));
    if (time_major) return cn_config_unsupported(layer, "time_major", "Keras 3 has no such option");
    return CORNU_OK;
}

static cornu_status fit_states(recurrent* r, const cn_value* given, int count) {
    cn_type want[CN_RNN_MAX_STATES];
    cn_graph* g = r->c->g;

    r->state_count = cn_rnn_cell_states(&r->cell, want, CN_RNN_MAX_STATES);
    r->zero_states = count == 0;
    for (int i = 0; i < r->state_count; i++) r->states[i] = CN_NONE;
    if (count == 0 && r->stateful) {
        r->zero_states = false;
        for (int i = 0; i < r->state_count; i++) CN_TRY(cn_call_get_state(r->c, i, &want[i], &r->states[i]));
    }
    if (count == 0) return CORNU_OK;
    if (count != r->state_count) return CN_FAIL(BAD_FILE, "its initial_state has %d tensors; it has %d states", count, r->state_count);
    for (int i = 0; i < count; i++) {
        char have[256], text[256];
        if (given[i].tensor == CN_NONE) return CN_FAIL(BAD_FILE, "element %d of its initial_state is no tensor", i);
        r->states[i] = cn_graph_cast(g, given[i].tensor, want[i].dtype);
        if (r->channels_first) r->states[i] = cn_to_channels_last(g, r->states[i]);
        CN_TRY(cn_graph_status(g));
        if (cn_type_equal(cn_call_type(r->c, r->states[i]), &want[i])) continue;
        return CN_FAIL(BAD_ARGUMENT, "element %d of its initial_state is %s; its state is %s", i,
                       cn_type_text(cn_call_type(r->c, r->states[i]), have), cn_type_text(&want[i], text));
    }
    return CORNU_OK;
}

/* ---- one rnn node ---- */

/* Whether the cell is one that the rnn node knows; fills in the attribute. */
static cornu_status try_node(recurrent* r, cn_attr* attr, bool* ok) {
    bool act_ok = false, gate_ok = true;

    memset(attr, 0, sizeof *attr);
    *ok = false;
    if (r->cell.kind > CN_CELL_GRU) return CORNU_OK;
    attr->rnn = (cn_rnn_attr){.kind = (cn_rnn_kind)r->cell.kind, .backwards = r->backwards, .reset_after = r->cell.reset_after,
                              .zero_masked = r->zero_masked, .sequences = r->sequences};
    CN_TRY(cn_rnn_cell_ew(&r->cell, "activation", "tanh", &attr->rnn.act, &act_ok));
    attr->rnn.gate.fn = CN_EW_copy;
    if (r->cell.kind != CN_CELL_SIMPLE) {
        CN_TRY(cn_rnn_cell_ew(&r->cell, "recurrent_activation", "sigmoid", &attr->rnn.gate, &gate_ok));
    }
    *ok = act_ok && gate_ok;
    return CORNU_OK;
}

/* Row `row` of a result [B, rows, U] as [B, U]. */
static cn_id packed_row(cn_graph* g, cn_id packed, int64_t row) {
    int64_t dims[2];

    if (cn_graph_status(g) != CORNU_OK) return CN_NONE;
    dims[0] = g->types[packed].dims[0];
    dims[1] = g->types[packed].dims[2];
    return cn_graph_reshape(g, cn_graph_slice_axis(g, packed, 1, row, row + 1), 2, dims);
}

static cornu_status run_node(recurrent* r, const cn_attr* attr) {
    cn_graph* g = r->c->g;
    cn_id z = cn_graph_matmul(g, cn_graph_cast(g, r->x, r->cell.call.compute), r->cell.kernel, false, false), in[6], packed;
    int64_t outputs = r->sequences ? r->steps : 1;

    if (r->cell.bias != CN_NONE) z = cn_graph_ew2(g, CN_EW_add, z, r->cell.bias);
    in[0] = z;
    in[1] = r->cell.recurrent;
    in[2] = r->states[0];
    in[3] = r->state_count > 1 ? r->states[1] : CN_NONE;
    in[4] = r->cell.recurrent_bias;
    in[5] = r->mask;
    packed = cn_graph_add(g, CN_OP_rnn, in, 6, attr);
    r->out = r->sequences ? cn_graph_slice_axis(g, packed, 1, 0, outputs) : packed_row(g, packed, 0);
    for (int i = 0; (r->state || r->stateful) && i < r->state_count; i++) r->states[i] = packed_row(g, packed, outputs + i);
    return cn_graph_status(g);
}

/* ---- written out ---- */

/* By value: a type in the graph moves when nodes are added. */
static cn_id zeros(cn_graph* g, cn_type type) {
    return cn_graph_broadcast(g, cn_graph_scalar(g, type.dtype, 0), type.ndim, type.dims);
}

/* Step t of x [B, T, ...] as [B, ...]. */
static cn_id take_step(cn_graph* g, cn_id x, int64_t t) {
    int64_t dims[CORNU_MAX_DIMS];
    cn_id y = cn_graph_slice_axis(g, x, 1, t, t + 1);

    if (cn_graph_status(g) != CORNU_OK) return CN_NONE;
    dims[0] = g->types[y].dims[0];
    for (int i = 2; i < g->types[y].ndim; i++) dims[i - 1] = g->types[y].dims[i];
    return cn_graph_reshape(g, y, g->types[y].ndim - 1, dims);
}

/* [B, ...] as [B, 1, ...]. */
static cn_id add_step(cn_graph* g, cn_id x) {
    int64_t dims[CORNU_MAX_DIMS];

    if (cn_graph_status(g) != CORNU_OK) return CN_NONE;
    dims[0] = g->types[x].dims[0];
    dims[1] = 1;
    for (int i = 1; i < g->types[x].ndim; i++) dims[i + 1] = g->types[x].dims[i];
    return cn_graph_reshape(g, x, g->types[x].ndim + 1, dims);
}

/* x where the step counts, else old. */
static cn_id keep_masked(recurrent* r, int64_t t, cn_id x, cn_id old) {
    cn_graph* g = r->c->g;
    cn_id mask = cn_graph_slice_axis(g, r->mask, 1, t, t + 1);
    int64_t dims[CORNU_MAX_DIMS];

    if (cn_graph_status(g) != CORNU_OK) return CN_NONE;
    dims[0] = g->types[x].dims[0];
    for (int i = 1; i < g->types[x].ndim; i++) dims[i] = 1;
    return cn_graph_select(g, cn_graph_reshape(g, mask, g->types[x].ndim, dims), x, old);
}

static cornu_status run_steps(recurrent* r) {
    cn_graph* g = r->c->g;
    cn_type types[CN_RNN_MAX_STATES];
    cn_id* outputs = cn_call_alloc(r->c, (size_t)r->steps * sizeof *outputs);
    cn_id last = CN_NONE, zero = CN_NONE;

    if (!outputs) return CORNU_NO_MEMORY;
    if (r->steps > CN_RNN_MAX_STEPS) return CN_FAIL(UNSUPPORTED, "a cell of this kind over %" PRId64 " steps; at most %d are possible", r->steps, CN_RNN_MAX_STEPS);
    (void)cn_rnn_cell_states(&r->cell, types, CN_RNN_MAX_STATES);
    for (int i = 0; r->zero_states && i < r->state_count; i++) r->states[i] = zeros(g, types[i]);
    for (int64_t i = 0; i < r->steps; i++) {
        int64_t t = r->backwards ? r->steps - 1 - i : i;
        cn_id before[CN_RNN_MAX_STATES], y;
        memcpy(before, r->states, (size_t)r->state_count * sizeof *before);
        CN_TRY(cn_graph_status(g));
        CN_TRY(cn_rnn_cell_step(&r->cell, take_step(g, r->x, t), r->states, &y));
        if (r->mask != CN_NONE) {
            CN_TRY(cn_graph_status(g));
            if (zero == CN_NONE) zero = zeros(g, *cn_call_type(r->c, y));
            y = keep_masked(r, t, y, last == CN_NONE || r->zero_masked ? zero : last);
            for (int k = 0; k < r->state_count; k++) r->states[k] = keep_masked(r, t, r->states[k], before[k]);
        }
        last = y;
        if (r->sequences) outputs[i] = add_step(g, y);
    }
    r->out = r->sequences ? cn_graph_concat(g, outputs, (int)r->steps, 1) : last;
    return cn_graph_status(g);
}

/* ---- layers ---- */

/* The output, and the states behind it, in the layer's dtype and layout. */
static cornu_status give_back(recurrent* r) {
    cn_call* c = r->c;
    cn_value values[CN_RNN_MAX_STATES + 1];
    cn_id out = cn_graph_cast(c->g, r->out, c->compute), mask = r->sequences ? r->out_mask : CN_NONE;

    if (r->channels_first && r->sequences) out = cn_graph_move_axis(c->g, out, cn_graph_status(c->g) == CORNU_OK ? cn_call_type(c, out)->ndim - 1 : 0, 2);
    else if (r->channels_first) out = cn_to_channels_first(c->g, out);
    if (!r->state) return cn_call_return_masked(c, out, mask);
    values[0] = (cn_value){out, mask};
    for (int i = 0; i < r->state_count; i++) {
        cn_id state = cn_graph_cast(c->g, r->states[i], c->compute);
        values[i + 1] = (cn_value){r->channels_first ? cn_to_channels_first(c->g, state) : state, CN_NONE};
    }
    return cn_call_return_list(c, values, r->state_count + 1);
}

static cornu_status run(recurrent* r, const cn_value* states, int count) {
    cn_attr attr;
    bool node;

    CN_TRY(fit_states(r, states, count));
    CN_TRY(try_node(r, &attr, &node));
    if (node) CN_TRY(run_node(r, &attr));
    else CN_TRY(run_steps(r));
    for (int i = 0; r->stateful && i < r->state_count; i++) CN_TRY(cn_call_set_state(r->c, i, r->states[i]));
    return give_back(r);
}

static cn_type step_type(const recurrent* r) {
    const cn_type* x = cn_call_type(r->c, r->x);
    cn_type step = {.dtype = x->dtype, .ndim = x->ndim - 1};

    step.dims[0] = x->dims[0];
    for (int i = 2; i < x->ndim; i++) step.dims[i - 1] = x->dims[i];
    return step;
}

/* Where the variables of a layer's own cell are: at "cell", or, in files that list a layer's weights flat, at the layer. */
static cornu_status cell_weights(cn_call* c, const char* class_name, const cn_layer** out) {
    CN_TRY(cn_layer_sub_plain(c->doc, c->layer, class_name, "cell", out));
    if (cn_layer_variable_count(c->doc, *out) == 0 && cn_layer_variable_count(c->doc, c->layer) > 0) *out = c->layer;
    return CORNU_OK;
}

/* A layer that keeps states was built for one size of batch. */
static cornu_status check_batch(recurrent* r) {
    const cn_json* shape = cn_json_get(cn_json_get(r->c->layer->object, "build_config"), "input_shape");
    int64_t batch, given = cn_call_type(r->c, r->x)->dims[0];

    if (!cn_json_int64(cn_json_at(shape, 0), &batch) || batch == given) return CORNU_OK;
    return CN_FAIL(BAD_ARGUMENT, "it keeps the states of %" PRId64 " sequences; %" PRId64 " are given", batch, given);
}

static cornu_status begin(recurrent* r, cn_call* c, cn_value** states, int* count) {
    memset(r, 0, sizeof *r);
    r->c = c;
    CN_TRY(read_arguments(r, states, count));
    CN_TRY(read_options(r));
    return r->stateful ? check_batch(r) : CORNU_OK;
}

static cornu_status lower_own_cell(cn_call* c, cn_rnn_cell_kind kind, const char* class_name) {
    const cn_layer* weights;
    cn_value* states = NULL;
    cn_type step;
    recurrent r;
    int count;

    CN_TRY(begin(&r, c, &states, &count));
    CN_TRY(cell_weights(c, class_name, &weights));
    step = step_type(&r);
    CN_TRY(cn_rnn_cell_read(c, kind, c->layer, weights, &step, &r.cell));
    return run(&r, states, count);
}

static cornu_status lower_simple_rnn(cn_call* c) { return lower_own_cell(c, CN_CELL_SIMPLE, "SimpleRNNCell"); }
static cornu_status lower_lstm(cn_call* c) { return lower_own_cell(c, CN_CELL_LSTM, "LSTMCell"); }
static cornu_status lower_gru(cn_call* c) { return lower_own_cell(c, CN_CELL_GRU, "GRUCell"); }

/* RNN(cell): the cell is an object of the config. */
static cornu_status lower_rnn(cn_call* c) {
    const cn_layer* cell;
    cn_rnn_cell_kind kind;
    cn_value* states = NULL;
    cn_type step;
    recurrent r;
    int count;

    CN_TRY(begin(&r, c, &states, &count));
    CN_TRY(cn_layer_sub(c->doc, c->layer, cn_config_get(c->layer, "cell"), "cell", &cell));
    if (!cn_rnn_cell_kind_of(cell->class_name, &kind)) return CN_FAIL(UNSUPPORTED, "its cell is a %s, which is not known here", cell->class_name);
    step = step_type(&r);
    CN_TRY(cn_rnn_cell_read(c, kind, cell, cell, &step, &r.cell));
    return run(&r, states, count);
}

static cornu_status lower_conv_lstm(cn_call* c, int spatial) {
    const cn_layer* weights;
    cn_value* states = NULL;
    cn_type step;
    recurrent r;
    int count;

    CN_TRY(begin(&r, c, &states, &count));
    if (cn_call_type(c, r.x)->ndim != spatial + 3) {
        return CN_FAIL(BAD_ARGUMENT, "its input must have %d axes, not %d", spatial + 3, cn_call_type(c, r.x)->ndim);
    }
    CN_TRY(cn_call_data_format(c, &r.channels_first));
    if (r.channels_first) r.x = cn_graph_move_axis(c->g, r.x, 2, spatial + 2);
    CN_TRY(cn_graph_status(c->g));
    CN_TRY(cell_weights(c, "ConvLSTMCell", &weights));
    step = step_type(&r);
    CN_TRY(cn_conv_lstm_read(c, spatial, c->layer, weights, &step, &r.cell));
    return run(&r, states, count);
}

static cornu_status lower_conv_lstm_1d(cn_call* c) { return lower_conv_lstm(c, 1); }
static cornu_status lower_conv_lstm_2d(cn_call* c) { return lower_conv_lstm(c, 2); }
static cornu_status lower_conv_lstm_3d(cn_call* c) { return lower_conv_lstm(c, 3); }

#define LIMITS "dropout at training"
const cn_layer_def cn_layers_rnn[] = {
    {"SimpleRNN", lower_simple_rnn, CN_MASK_OWN, false, LIMITS},
    {"LSTM", lower_lstm, CN_MASK_OWN, false, LIMITS},
    {"GRU", lower_gru, CN_MASK_OWN, false, LIMITS},
    {"RNN", lower_rnn, CN_MASK_OWN, false, LIMITS "; custom cells"},
    {"ConvLSTM1D", lower_conv_lstm_1d, CN_MASK_OWN, false, LIMITS},
    {"ConvLSTM2D", lower_conv_lstm_2d, CN_MASK_OWN, false, LIMITS},
    {"ConvLSTM3D", lower_conv_lstm_3d, CN_MASK_OWN, false, LIMITS},
    {0},
};
