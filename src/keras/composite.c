/* Sub-layers in the order in which a class makes them; rows of a class lie together. A row that is wrong would put weights into wrong places. */
#include "keras/composite.h"

#include <string.h>

static const cn_composite rows[] = {
    {"MultiHeadAttention", "query_dense|_query_dense", NULL, "EinsumDense", "query"},
    {"MultiHeadAttention", "key_dense|_key_dense", NULL, "EinsumDense", "key"},
    {"MultiHeadAttention", "_gate_dense|gate_dense", NULL, "EinsumDense", "gate"},
    {"MultiHeadAttention", "value_dense|_value_dense", NULL, "EinsumDense", "value"},
    {"MultiHeadAttention", "output_dense|_output_dense", NULL, "EinsumDense", "attention_output"},
    {"GroupQueryAttention", "_query_dense", NULL, "EinsumDense", "query"},
    {"GroupQueryAttention", "_key_dense", NULL, "EinsumDense", "key"},
    {"GroupQueryAttention", "_gate_dense", NULL, "EinsumDense", "gate"},
    {"GroupQueryAttention", "_value_dense", NULL, "EinsumDense", "value"},
    {"GroupQueryAttention", "_output_dense", NULL, "EinsumDense", "attention_output"},
    {"Bidirectional", "forward_layer", "layer", NULL, NULL},
    {"Bidirectional", "backward_layer", "backward_layer", NULL, NULL},
    {"TimeDistributed", "layer", "layer", NULL, NULL},
    {"SpectralNormalization", "layer", "layer", NULL, NULL},
    {"Wrapper", "layer", "layer", NULL, NULL},
    {"RNN", "cell", "cell", NULL, NULL},
    {"LSTM", "cell", NULL, "LSTMCell", "lstm_cell"},
    {"GRU", "cell", NULL, "GRUCell", "gru_cell"},
    {"SimpleRNN", "cell", NULL, "SimpleRNNCell", "simple_rnn_cell"},
    {"ConvLSTM1D", "cell", NULL, "ConvLSTMCell", "conv_lstm_cell"},
    {"ConvLSTM2D", "cell", NULL, "ConvLSTMCell", "conv_lstm_cell"},
    {"ConvLSTM3D", "cell", NULL, "ConvLSTMCell", "conv_lstm_cell"},
};

const cn_composite* cn_composite_find(const char* class_name, size_t* count) {
    const cn_composite* first = NULL;

    *count = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strcmp(rows[i].class_name, class_name) != 0) continue;
        if (!first) first = &rows[i];
        (*count)++;
    }
    return first;
}

const cn_json* cn_composite_object(const cn_layer* layer, const cn_composite* row) {
    const cn_json* object = cn_json_get(layer->config, row->key);

    /* Bidirectional makes the backward layer from the forward one where there is none. */
    if (strcmp(row->key, "backward_layer") == 0 && !cn_json_is(object, CN_JSON_OBJECT)) return cn_json_get(layer->config, "layer");
    return object;
}

cornu_status cn_composite_cell(const cn_document* doc, const cn_layer* layer, size_t i, cn_naming* naming, cn_arena* arena, const char** attribute,
                               const cn_layer** out) {
    const cn_json* cell = cn_json_at(cn_json_get(layer->config, "cells"), i);
    const char* class_name = cn_json_string(cn_json_get(cell, "class_name"), NULL);
    const char* base = cn_naming_base(arena, class_name ? class_name : "");
    uint64_t number;

    *out = NULL;
    *attribute = NULL;
    if (!base) return CN_NO_MEMORY(32);
    number = (*cn_naming_counter(naming, base))++;
    *attribute = number ? cn_arena_format(arena, "cells/%s_%llu", base, (unsigned long long)number) : cn_arena_format(arena, "cells/%s", base);
    if (!*attribute) return CN_NO_MEMORY(strlen(base));
    return cn_layer_sub(doc, layer, cell, *attribute, out);
}
