/* Edits a model through cornu.h, for tests that compare the result with real Keras.
 *
 *     edit_model IN OUT [--values FILE.npz] [--set POINTER TEXT]... [--memory]
 *
 * --values gives each variable named in FILE (its path in the weights file) the value there. --set replaces a value in
 * config.json. --memory reads IN and writes OUT as bytes, with the library seeing memory only. Exits with the number of
 * the cornu_status. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cornu.h"

typedef struct arguments {
    const char* in;
    const char* out;
    const char* values;
    int memory;
} arguments;

static int fail(const char* what, cornu_status st) {
    fprintf(stderr, "edit_model: %s: %s: %s\n", what, cornu_status_name(st), cornu_last_error());
    return (int)st;
}

static int read_file(const char* path, void** out, size_t* out_size) {
    int ok = 0;
    FILE* file = fopen(path, "rb");
    long size = 0;

    *out = NULL;
    if (file != NULL && fseek(file, 0, SEEK_END) == 0 && (size = ftell(file)) > 0) {
        rewind(file);
        *out = malloc((size_t)size);
        *out_size = (size_t)size;
        ok = *out != NULL && fread(*out, 1, (size_t)size, file) == (size_t)size;
    }
    if (file != NULL) fclose(file);
    return ok;
}

static int write_file(const char* path, const void* data, size_t size) {
    FILE* file = fopen(path, "wb");
    int ok = file != NULL && fwrite(data, 1, size, file) == size;

    if (file != NULL && fclose(file) != 0) ok = 0;
    return ok;
}

static int set_values(cornu_model* model, const char* path) {
    cornu_array* arrays = NULL;
    int count = 0;
    int code = 0;
    cornu_status st = cornu_arrays_load(path, &arrays, &count);

    if (st != CORNU_OK) return fail(path, st);
    for (int i = 0; i < count && code == 0; i++) {
        st = cornu_model_set_variable(model, arrays[i].name, &arrays[i].tensor);
        if (st != CORNU_OK) code = fail(arrays[i].name, st);
    }
    cornu_arrays_free(arrays, count);
    return code;
}

/* Each variable can be listed, and read by the path that the list gives. */
static int check_variables(cornu_model* model) {
    const int64_t count = cornu_model_variable_count(model);

    for (int64_t i = 0; i < count; i++) {
        cornu_variable_info info = {0};
        cornu_tensor value = {0};
        cornu_status st;

        info.size = sizeof info;
        st = cornu_model_variable_info(model, i, &info);
        if (st != CORNU_OK) return fail("variable_info", st);
        st = cornu_model_get_variable(model, info.path, &value);
        if (st != CORNU_OK) return fail(info.path, st);
        const int same = value.dtype == info.dtype && value.ndim == info.ndim &&
                         memcmp(value.dims, info.dims, sizeof value.dims) == 0;
        cornu_tensor_release(&value);
        if (!same) {
            fprintf(stderr, "edit_model: %s: get_variable and variable_info differ\n", info.path);
            return 100;
        }
    }
    return 0;
}

static int save(cornu_model* model, const arguments* a) {
    void* data = NULL;
    size_t size = 0;
    cornu_status st;

    if (!a->memory) {
        st = cornu_model_save(model, a->out, NULL);
        return st == CORNU_OK ? 0 : fail(a->out, st);
    }
    st = cornu_model_save_memory(model, NULL, &data, &size);
    if (st != CORNU_OK) return fail("save_memory", st);
    const int ok = write_file(a->out, data, size);
    cornu_free(data);
    if (!ok) perror(a->out);
    return ok ? 0 : 101;
}

int main(int argc, char** argv) {
    arguments a = {0};
    cornu_model* model = NULL;
    void* bytes = NULL;
    size_t size = 0;
    int code = 0;
    cornu_status st = CORNU_OK;

    if (argc < 3) {
        fprintf(stderr, "usage: edit_model IN OUT [--values FILE.npz] [--set POINTER TEXT]... [--memory]\n");
        return 102;
    }
    a.in = argv[1];
    a.out = argv[2];
    for (int i = 3; i < argc; i++) {
        if (strcmp(argv[i], "--memory") == 0) a.memory = 1;
        if (strcmp(argv[i], "--values") == 0 && i + 1 < argc) a.values = argv[++i];
        if (strcmp(argv[i], "--set") == 0) i += 2;
    }
    if (a.memory && !read_file(a.in, &bytes, &size)) {
        perror(a.in);
        code = 101;
        goto done;
    }
    st = a.memory ? cornu_model_load_memory(bytes, size, NULL, &model) : cornu_model_load(a.in, NULL, &model);
    if (st != CORNU_OK) code = fail(a.in, st);
    if (code == 0) code = check_variables(model);
    if (code == 0 && a.values != NULL) code = set_values(model, a.values);
    for (int i = 3; i + 2 < argc && code == 0; i++) {
        if (strcmp(argv[i], "--set") != 0) continue;
        st = cornu_model_set_json(model, CORNU_JSON_CONFIG, argv[i + 1], argv[i + 2]);
        if (st != CORNU_OK) code = fail(argv[i + 1], st);
    }
    if (code == 0) code = save(model, &a);
done:
    cornu_model_destroy(model);
    free(bytes);
    return code;
}
