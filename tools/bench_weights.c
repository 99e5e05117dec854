/* Models that travel as config and seed: an architecture whose key "bench" lists place, range and shape of every weight. The weights are made,
 * written as .npz into a folder for temporary files, and the model is loaded from there, as any other would be. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

/* A row of "bench"/"variables": "layers/dense/vars/0 -0.1 0.1 784 512". */
static int read_row(const char* row, cornu_array* array, double* low, double* high) {
    int64_t dims[CORNU_MAX_DIMS];
    int ndim = 0;
    const char* space = strchr(row, ' ');
    char* at;

    if (space == NULL) return 0;
    *low = strtod(space, &at);
    *high = strtod(at, &at);
    while (*at == ' ' && ndim < CORNU_MAX_DIMS) {
        dims[ndim] = strtoll(at + 1, &at, 10);
        if (dims[ndim++] < 1) return 0;
    }
    array->name = cli_format("%.*s", (int)(space - row), row);
    array->tensor = cornu_tensor_shaped(CORNU_FLOAT32, NULL, ndim, dims);
    return *at == '\0' && cornu_tensor_count(&array->tensor) > 0;
}

/* The text of a JSON string without escapes, in place. */
static char* unquote(char* text) {
    const size_t size = strlen(text);
    if (size < 2 || text[0] != '"' || strchr(text, '\\') != NULL) return text;
    text[size - 1] = '\0';
    return text + 1;
}

static int make_array(cornu_model* model, int index, uint64_t seed, cornu_array* out, int* end) {
    char* pointer = cli_format("/bench/variables/%d", index);
    char* text = NULL;
    double low = 0, high = 0;
    const cornu_status st = cornu_model_get_json(model, CORNU_JSON_CONFIG, pointer, &text);
    int good = 1;

    *end = st != CORNU_OK;
    if (st == CORNU_OK) {
        good = read_row(unquote(text), out, &low, &high);
        if (!good) cli_say("bench/variables/%d is '%s'; PATH LOW HIGH DIM ... is allowed", index, text);
    }
    if (good && st == CORNU_OK) {
        const uint64_t count = (uint64_t)cornu_tensor_count(&out->tensor);
        out->tensor.data = cli_alloc(count, sizeof(float));
        bench_fill(seed, (uint32_t)index, low, high, out->tensor.data, count);
    }
    cornu_free(text);
    free(pointer);
    return good ? CLI_DONE : CLI_MODEL;
}

/* Loads what was written; the file may go as soon as it is open. */
static int load_written(const char* npz, const char* path, const char* save, int overwrite, cornu_model** out) {
    cornu_load_options options = CORNU_LOAD_OPTIONS_INIT;
    cornu_save_options saving = CORNU_SAVE_OPTIONS_INIT;
    options.config_path = path;
    saving.overwrite = overwrite;
    cornu_status st = cornu_model_load(npz, &options, out);
    if (st != CORNU_OK) return cli_fail(st, CLI_LOADING);
    if (save != NULL) st = cornu_model_save(*out, save, &saving);
    return st == CORNU_OK ? CLI_DONE : cli_fail(st, CLI_WRITING);
}

static int write_and_load(const cornu_array* arrays, int count, const char* path, const char* save, int overwrite, cornu_model** out) {
    const char* parent = getenv("TMPDIR");
    char* folder = cli_format("%s/cornu-bench-XXXXXX", parent != NULL && *parent != '\0' ? parent : "/tmp");
    int code = CLI_DONE;

    if (mkdtemp(folder) == NULL) {
        cli_say("cannot make a folder for the weights, '%s': %s; TMPDIR names another place", folder, strerror(errno));
        free(folder);
        return CLI_FAILED;
    }
    char* npz = cli_format("%s/weights.npz", folder);
    const cornu_status st = cornu_arrays_save(npz, arrays, count, 0);
    code = st == CORNU_OK ? load_written(npz, path, save, overwrite, out) : cli_fail(st, CLI_WRITING);
    unlink(npz);
    rmdir(folder);
    free(npz);
    free(folder);
    return code;
}

static int make_weights(cornu_model* config, const char* path, uint64_t seed, const char* save, int overwrite, cornu_model** out) {
    enum { MOST = 65536 };
    cornu_array* arrays = cli_alloc(MOST, sizeof *arrays);
    int code = CLI_DONE, count = 0, end = 0;

    while (code == CLI_DONE && !end && count < MOST) {
        code = make_array(config, count, seed, &arrays[count], &end);
        if (code == CLI_DONE && !end) count++;
    }
    if (code == CLI_DONE) code = write_and_load(arrays, count, path, save, overwrite, out);
    for (int i = 0; i < count + (code != CLI_DONE && count < MOST); i++) {
        free((char*)(uintptr_t)arrays[i].name);
        free(arrays[i].tensor.data);
    }
    free(arrays);
    return code;
}

int bench_load(const char* path, const char* config_path, uint64_t seed, const char* save, int overwrite, cornu_model** out) {
    cornu_model* config = NULL;
    char* text = NULL;

    *out = NULL;
    int code = cli_load(path, config_path, 1, &config);
    if (code != CLI_DONE) return code;
    if (cornu_model_get_json(config, CORNU_JSON_CONFIG, "/bench/variables", &text) != CORNU_OK) {
        if (save != NULL) code = cli_usage("'%s' has weights of its own; --save is for a model of config and seed", path);
        *out = config;
        return code;
    }
    cornu_free(text);
    code = make_weights(config, path, seed, save, overwrite, out);
    cornu_model_destroy(config);
    return code;
}
