/* The own variables of Keras's classes. A row that is wrong would put weights into wrong places, so whatever does not fit its row is refused. */
#include "keras/own_variables.h"

#include <stdio.h>
#include <string.h>

/* '?' and a key of the config: only when it is true (null and absent count as the class's default, which is true but for those written "?-");
 * a '!' in front: never trained. */
static const struct {
    const char* class_name;
    const char* variables;
} rows[] = {
    {"Dense", "kernel bias?use_bias"},
    {"EinsumDense", "kernel bias?bias_axes"},
    {"Embedding", "embeddings"},
    {"Conv1D", "kernel bias?use_bias"},
    {"Conv2D", "kernel bias?use_bias"},
    {"Conv3D", "kernel bias?use_bias"},
    {"Conv1DTranspose", "kernel bias?use_bias"},
    {"Conv2DTranspose", "kernel bias?use_bias"},
    {"Conv3DTranspose", "kernel bias?use_bias"},
    {"DepthwiseConv1D", "kernel bias?use_bias"},
    {"DepthwiseConv2D", "kernel bias?use_bias"},
    {"SeparableConv1D", "depthwise_kernel pointwise_kernel bias?use_bias"},
    {"SeparableConv2D", "depthwise_kernel pointwise_kernel bias?use_bias"},
    {"SimpleRNNCell", "kernel recurrent_kernel bias?use_bias"},
    {"GRUCell", "kernel recurrent_kernel bias?use_bias"},
    {"LSTMCell", "kernel recurrent_kernel bias?use_bias"},
    {"ConvLSTMCell", "kernel recurrent_kernel bias?use_bias"},
    {"BatchNormalization",
     "gamma?scale beta?center !moving_mean !moving_variance !moving_stddev?-renorm !renorm_mean?-renorm !renorm_stddev?-renorm"},
    {"LayerNormalization", "gamma?scale beta?center"},
    {"GroupNormalization", "gamma?scale beta?center"},
    {"RMSNormalization", "scale"},
    {"SpectralNormalization", "kernel !vector_u"},
    {"Normalization", "!mean !variance !count"},
    {"PReLU", "alpha"},
    {"Attention", "scale?-use_scale concat_score_weight?-score_mode"},
    {"AdditiveAttention", "scale?use_scale"},
};

/* Whether the layer has the variable behind '?'. A sub-layer without a config of its own tells nothing. */
static bool condition_holds(const cn_layer* layer, const char* key, size_t size) {
    bool fallback = *key != '-';
    char text[32];
    const cn_json* value;

    if (!fallback) key++, size--;
    (void)snprintf(text, sizeof text, "%.*s", (int)size, key);
    value = cn_json_get(layer->config, text);
    if (strcmp(text, "bias_axes") == 0) return !layer->config || cn_json_is(value, CN_JSON_STRING);
    if (strcmp(text, "score_mode") == 0) return cn_json_equals(value, "concat");
    return cn_json_is(value, CN_JSON_BOOL) ? cn_json_bool(value) : fallback;
}

static int read_row(const char* row, const cn_layer* layer, cn_own_variable out[CN_OWN_MAX]) {
    int n = 0;

    while (*row && n < CN_OWN_MAX) {
        size_t size = strcspn(row, " ");
        const char* mark = memchr(row, '?', size);
        cn_own_variable own = {row, mark ? (size_t)(mark - row) : size, *row == '!'};

        if (own.state) own.name++, own.size--;
        if (!mark || condition_holds(layer, mark + 1, size - (size_t)(mark + 1 - row))) out[n++] = own;
        row += size + (row[size] == ' ');
    }
    return n;
}

int cn_own_variables(const char* class_name, const cn_layer* layer, cn_own_variable out[CN_OWN_MAX]) {
    bool given = cn_json_type_of(cn_json_get(layer->config, "mean")) != CN_JSON_NULL;

    if (given && strcmp(class_name, "Normalization") == 0) return 0; /* numbers of the config */
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strcmp(rows[i].class_name, class_name) == 0) return read_row(rows[i].variables, layer, out);
    }
    return -1;
}
