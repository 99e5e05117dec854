/* Inputs for measuring: random, never zeros, which some hardware multiplies faster; and such as the model can take. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "inputs.h"
#include "values.h"

#define INPUT_STREAM 0x40000000u /* streams of inputs, apart from those of weights */

/* ---- shapes ---- */

/* Dimensions behind the batch in "224x224x3", the index-th part of text between commas. */
static int read_shape(const char* text, int index, const cornu_port* port, int64_t* dims, int* ndim) {
    for (; index > 0 && text != NULL; index--) text = strchr(text, ',') != NULL ? strchr(text, ',') + 1 : NULL;
    if (text == NULL || *text == '\0' || *text == ',') return 0;
    *ndim = 1;
    for (;;) {
        char* end;
        if (*ndim == CORNU_MAX_DIMS) return 0;
        dims[*ndim] = strtoll(text, &end, 10);
        if (end == text || dims[*ndim] < 1 || dims[*ndim] > INT32_MAX) return 0;
        (*ndim)++;
        if (*end == '\0' || *end == ',') break;
        if (*end != 'x') return 0;
        text = end + 1;
    }
    if (port->ndim >= 0 && port->ndim != *ndim) return 0;
    for (int i = 1; i < port->ndim; i++) {
        if (port->dims[i] >= 0 && port->dims[i] != dims[i]) return 0;
    }
    return 1;
}

static int choose_shape(const cornu_port* port, int index, int64_t batch, const char* shape, int64_t* dims, int* ndim) {
    int known = port->ndim >= 0;
    char* wanted = known ? cli_shape_text(port->dims, port->ndim) : cli_format("any shape");
    int code = CLI_DONE;

    for (int i = 1; i < port->ndim; i++) known &= port->dims[i] >= 0;
    *ndim = port->ndim;
    memcpy(dims, port->dims, sizeof port->dims);
    if (shape != NULL && !read_shape(shape, index, port, dims, ndim)) {
        code = cli_usage("--shape is '%s', which does not fit input %d, '%s', %s; DIMxDIM,... is allowed: for each input, in order, its "
                         "dimensions behind the batch",
                         shape, index, port->name, wanted);
    } else if (shape == NULL && !known) {
        code = cli_usage("input '%s' has a dimension that is not known, %s; --shape gives it", port->name, wanted);
    }
    if (*ndim > 0) dims[0] = batch;
    free(wanted);
    return code;
}

/* ---- ranges ---- */

/* A number in the model's config; fallback where there is none. */
static double config_number(cornu_model* model, const char* pointer, double fallback) {
    char* text = NULL;
    double value = fallback;
    if (cornu_model_get_json(model, CORNU_JSON_CONFIG, pointer, &text) == CORNU_OK) {
        char* end;
        value = strtod(text, &end);
        if (end == text) value = fallback;
    }
    cornu_free(text);
    return value;
}

static int is_text(cornu_model* model, const char* pointer, const char* quoted) {
    char* text = NULL;
    const int same = cornu_model_get_json(model, CORNU_JSON_CONFIG, pointer, &text) == CORNU_OK && strcmp(text, quoted) == 0;
    cornu_free(text);
    return same;
}

/* The smallest vocabulary of the Embedding layers in the config below pointer, which may be wrapped or nested. */
static double smallest_vocabulary(cornu_model* model, const char* pointer, int depth) {
    double smallest = 0;
    static const char* const inside[] = {"/config/layer", "/config/forward_layer"};

    char* class_name = cli_format("%s/class_name", pointer);
    char* size = cli_format("%s/config/input_dim", pointer);
    if (is_text(model, class_name, "\"Embedding\"")) smallest = config_number(model, size, 0);
    free(class_name);
    free(size);
    for (int i = 0; depth < 8; i++) {
        const size_t wrapped = sizeof inside / sizeof inside[0];
        char* below = (size_t)i < wrapped ? cli_format("%s%s", pointer, inside[i]) : cli_format("%s/config/layers/%d", pointer, i - (int)wrapped);
        char* text = NULL;
        const int there = cornu_model_get_json(model, CORNU_JSON_CONFIG, below, &text) == CORNU_OK;
        cornu_free(text);
        const double found = there ? smallest_vocabulary(model, below, depth + 1) : 0;
        if (found > 0 && (smallest == 0 || found < smallest)) smallest = found;
        free(below);
        if (!there && (size_t)i >= wrapped) break;
    }
    return smallest;
}

/* Whether a layer of that class, of any depth, is called on the input, or stands first in a Sequential. */
static int feeds_embedding(cornu_model* model, const char* input) {
    int first = 1;
    for (int64_t i = 0; i < cornu_model_layer_count(model); i++) {
        cornu_layer_info info;
        memset(&info, 0, sizeof info);
        info.size = sizeof info;
        if (cornu_model_layer_info(model, i, &info) != CORNU_OK || strcmp(info.class_name, "InputLayer") == 0) continue;
        if (strcmp(info.class_name, "Embedding") == 0 && (strcmp(info.inputs, input) == 0 || first)) return 1;
        first = 0;
    }
    return 0;
}

/* [low, high) of an input; *whole: only whole numbers. */
static void choose_range(cornu_model* model, const cornu_port* port, int index, double* low, double* high, int* whole) {
    const int is_float = port->dtype == CORNU_FLOAT32 || port->dtype == CORNU_FLOAT64 || port->dtype == CORNU_FLOAT16 || port->dtype == CORNU_BFLOAT16;
    char* pointer = cli_format("/bench/inputs/%d", index);
    char* text = NULL;

    *whole = !is_float;
    *low = is_float ? -1 : 0;
    *high = is_float ? 1 : port->dtype == CORNU_UINT8 ? 256 : 2;
    if (cornu_model_get_json(model, CORNU_JSON_CONFIG, pointer, &text) == CORNU_OK && text[0] == '"') {
        char* end;
        *low = strtod(text + 1, &end);
        *high = strtod(end, NULL);
    } else if (!is_float || feeds_embedding(model, port->name)) {
        const double words = smallest_vocabulary(model, "", 0);
        if (words > 0) {
            *low = 0;
            *high = words;
            *whole = 1;
        }
    }
    cornu_free(text);
    free(pointer);
}

/* ---- elements ---- */

static void* make_strings(uint64_t count) {
    static const char* const words[] = {"one", "two", "three", "four", "five", "six", "seven", "eight"};
    cornu_string* out = cli_alloc(count > 0 ? count : 1, sizeof *out);
    for (uint64_t i = 0; i < count; i++) out[i] = (cornu_string){words[i % 8], strlen(words[i % 8])};
    return out;
}

static void make_input(cornu_model* model, const cornu_port* port, int index, uint64_t seed, bench_inputs* out) {
    cornu_tensor* tensor = &out->tensors[index];
    const uint64_t count = (uint64_t)cornu_tensor_count(tensor);
    double low, high;
    int whole;

    if (port->dtype == CORNU_STRING) {
        tensor->data = out->memory[index] = make_strings(count);
        return;
    }
    choose_range(model, port, index, &low, &high, &whole);
    tensor->dtype = CORNU_FLOAT32; /* the library converts where the port wants another */
    tensor->data = out->memory[index] = cli_alloc(count > 0 ? count : 1, sizeof(float));
    bench_fill(seed, INPUT_STREAM + (uint32_t)index, low, high, tensor->data, count);
    for (uint64_t i = 0; whole && i < count; i++) {
        float* value = (float*)tensor->data + i;
        *value = (float)(int64_t)*value;
        if ((double)*value >= high) *value = (float)(high - 1); /* rounded up to the end of the range */
    }
}

/* The port's own dtype, so that no run pays for a conversion. */
static void convert(const cornu_port* port, int index, bench_inputs* in) {
    cornu_tensor* tensor = &in->tensors[index];
    const int64_t count = cornu_tensor_count(tensor);
    const float* from = tensor->data;

    if (port->dtype == CORNU_STRING || port->dtype == CORNU_FLOAT32) return;
    if (port->dtype != CORNU_INT32 && port->dtype != CORNU_INT64 && port->dtype != CORNU_UINT8 && port->dtype != CORNU_BOOL) return;
    void* to = cli_alloc(count > 0 ? (size_t)count : 1, cornu_dtype_size(port->dtype));
    for (int64_t i = 0; i < count; i++) {
        if (port->dtype == CORNU_INT32) ((int32_t*)to)[i] = (int32_t)from[i];
        else if (port->dtype == CORNU_INT64) ((int64_t*)to)[i] = (int64_t)from[i];
        else ((uint8_t*)to)[i] = (uint8_t)from[i];
    }
    free(in->memory[index]);
    tensor->dtype = port->dtype;
    tensor->data = in->memory[index] = to;
}

int bench_inputs_make(cornu_model* model, cornu_session* session, int64_t batch, const char* shape, uint64_t seed, bench_inputs* out) {
    int code = CLI_DONE;
    memset(out, 0, sizeof *out);
    out->count = cornu_session_input_count(session);
    out->tensors = cli_alloc((size_t)out->count + 1, sizeof *out->tensors);
    out->memory = cli_alloc((size_t)out->count + 1, sizeof *out->memory);
    for (int i = 0; i < out->count && code == CLI_DONE; i++) {
        const cornu_port port = cli_input_port(session, i);
        int64_t dims[CORNU_MAX_DIMS];
        int ndim = 0;
        if (port.optional) continue;
        code = choose_shape(&port, i, batch, shape, dims, &ndim);
        if (code != CLI_DONE) break;
        out->tensors[i] = cornu_tensor_shaped(port.dtype, NULL, ndim, dims);
        make_input(model, &port, i, seed, out);
        convert(&port, i, out);
    }
    return code;
}

void bench_inputs_free(bench_inputs* inputs) {
    for (int i = 0; inputs->memory != NULL && i < inputs->count; i++) free(inputs->memory[i]);
    free(inputs->memory);
    free(inputs->tensors);
    memset(inputs, 0, sizeof *inputs);
}
