/* keras/src/layers/rnn/conv_lstm.py: the cell of ConvLSTM1D, 2D and 3D. Its convolutions make all four gates at once. */
#include <string.h>

#include "lower/rnn.h"

/* Padding as TensorFlow's SAME: the output has ceil(n / stride) cells; the odd cell goes behind. */
static void same_padding(cn_conv_attr* conv, int i, int64_t n, int64_t kernel) {
    int64_t outputs = n > 0 ? (n - 1) / conv->strides[i] + 1 : 0;
    int64_t total = (outputs - 1) * conv->strides[i] + (kernel - 1) * conv->dilation[i] + 1 - n;

    if (total < 0) total = 0;
    conv->pad_lo[i] = total / 2;
    conv->pad_hi[i] = total - total / 2;
}

static cornu_status read_conv(cn_rnn_cell* cell, int spatial, const cn_layer* config, const cn_type* step, int64_t* kernel) {
    cn_conv_attr* conv = &cell->input_conv.conv;
    int same;

    conv->spatial = spatial;
    conv->groups = 1;
    CN_TRY(cn_config_size(config, "filters", &cell->units));
    CN_TRY(cn_config_ints(config, "kernel_size", spatial, 1, 1, INT32_MAX, kernel));
    CN_TRY(cn_config_ints(config, "strides", spatial, 1, 1, INT32_MAX, conv->strides));
    CN_TRY(cn_config_ints(config, "dilation_rate", spatial, 1, 1, INT32_MAX, conv->dilation));
    CN_TRY(cn_config_choice(config, "padding", "valid", "valid|same", &same));
    for (int i = 0; i < spatial && same; i++) same_padding(conv, i, step->dims[i + 1], kernel[i]);
    return CORNU_OK;
}

/* The states have the shape of the input convolution's result, one gate of it; the recurrent convolution keeps it. */
static cornu_status read_states(cn_rnn_cell* cell, const cn_type* step, const cn_type* kernel_type, const int64_t* kernel) {
    const cn_type* in[2] = {step, kernel_type};
    cn_conv_attr* conv = &cell->recurrent_conv.conv;
    int spatial = cell->input_conv.conv.spatial;

    CN_TRY(cn_infer(CN_OP_conv, &cell->input_conv, in, 2, &cell->states[0]));
    cell->states[0].dims[spatial + 1] = cell->units;
    cell->states[1] = cell->states[0];
    cell->state_count = 2;
    conv->spatial = spatial;
    conv->groups = 1;
    for (int i = 0; i < spatial; i++) {
        conv->strides[i] = conv->dilation[i] = 1;
        same_padding(conv, i, cell->states[0].dims[i + 1], kernel[i]);
    }
    return CORNU_OK;
}

cornu_status cn_conv_lstm_read(cn_call* c, int spatial, const cn_layer* config, const cn_layer* weights_at, const cn_type* step,
                               cn_rnn_cell* cell) {
    int64_t kernel[CN_MAX_SPATIAL] = {0}, dims[CN_MAX_SPATIAL + 2], gates;
    cn_call weights;
    bool use_bias;

    memset(cell, 0, sizeof *cell);
    cell->kind = CN_CELL_CONV_LSTM;
    cell->call = *c;
    cell->call.layer = config;
    cell->kernel = cell->recurrent = cell->bias = cell->recurrent_bias = CN_NONE;
    if (step->ndim != spatial + 2) return CN_FAIL(BAD_ARGUMENT, "its input must have %d axes, not %d", spatial + 3, step->ndim + 1);
    CN_TRY(read_conv(cell, spatial, config, step, kernel));
    CN_TRY(cn_config_bool(config, "use_bias", true, &use_bias));
    CN_TRY(cn_rnn_cell_no_dropout(c, config));
    weights = cell->call;
    weights.layer = weights_at;
    CN_TRY(cn_call_weight_count(&weights, use_bias ? 3 : 2));
    gates = 4 * cell->units;
    memcpy(dims, kernel, sizeof kernel);
    dims[spatial] = step->dims[spatial + 1];
    dims[spatial + 1] = gates;
    CN_TRY(cn_call_weight(&weights, 0, spatial + 2, dims, &cell->kernel));
    dims[spatial] = cell->units;
    CN_TRY(cn_call_weight(&weights, 1, spatial + 2, dims, &cell->recurrent));
    if (use_bias) CN_TRY(cn_call_weight(&weights, 2, 1, &gates, &cell->bias));
    return read_states(cell, step, cn_call_type(c, cell->kernel), kernel);
}

cornu_status cn_conv_lstm_step(cn_rnn_cell* cell, cn_id x, cn_id* states, cn_id* out) {
    cn_graph* g = cell->call.g;
    const cn_id input[2] = {x, cell->kernel}, recurrent[2] = {states[0], cell->recurrent};
    int axis = cell->input_conv.conv.spatial + 1;
    cn_id z = cn_graph_add(g, CN_OP_conv, input, 2, &cell->input_conv), gates[4], c, y;

    if (cell->bias != CN_NONE) z = cn_graph_ew2(g, CN_EW_add, z, cell->bias);
    z = cn_graph_ew2(g, CN_EW_add, z, cn_graph_add(g, CN_OP_conv, recurrent, 2, &cell->recurrent_conv));
    CN_TRY(cn_graph_status(g));
    for (int i = 0; i < 4; i++) {
        cn_id gate = cn_graph_slice_axis(g, z, axis, i * cell->units, (i + 1) * cell->units);
        if (i == 2) CN_TRY(cn_rnn_cell_act(cell, "activation", "tanh", gate, &gates[i]));
        else CN_TRY(cn_rnn_cell_act(cell, "recurrent_activation", "sigmoid", gate, &gates[i]));
    }
    c = cn_graph_ew2(g, CN_EW_add, cn_graph_ew2(g, CN_EW_mul, gates[1], states[1]), cn_graph_ew2(g, CN_EW_mul, gates[0], gates[2]));
    CN_TRY(cn_rnn_cell_act(cell, "activation", "tanh", c, &y));
    *out = cn_graph_ew2(g, CN_EW_mul, gates[3], y);
    states[0] = *out;
    states[1] = c;
    return cn_graph_status(g);
}
