/* Whole models from bytes: load, ask everything, change something, save, load again. What was saved must load. */
#include <stdlib.h>
#include <string.h>

#include "cornu.h"

static void ask(cornu_model* model) {
    cornu_model_info info = {0};
    char* text = NULL;

    info.size = sizeof info;
    if (cornu_model_get_info(model, &info) != CORNU_OK) abort();
    for (int64_t i = 0; i < cornu_model_variable_count(model) && i < 64; i++) {
        cornu_variable_info variable = {0};
        cornu_tensor tensor = {0};
        variable.size = sizeof variable;
        if (cornu_model_variable_info(model, i, &variable) != CORNU_OK) abort();
        if (variable.bytes < (1u << 24) && cornu_model_get_variable(model, variable.path, &tensor) == CORNU_OK &&
            i == 0)
            (void)cornu_model_set_variable(model, variable.path, &tensor);
        cornu_tensor_release(&tensor);
    }
    for (int64_t i = 0; i < cornu_model_layer_count(model); i++) {
        cornu_layer_info layer = {0};
        layer.size = sizeof layer;
        if (cornu_model_layer_info(model, i, &layer) != CORNU_OK) abort();
    }
    if (cornu_model_get_json(model, CORNU_JSON_CONFIG, "/config", &text) == CORNU_OK) cornu_free(text);
    (void)cornu_model_set_json(model, CORNU_JSON_CONFIG, "/config/name", "\"fuzz\"");
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    cornu_load_options options = CORNU_LOAD_OPTIONS_INIT;
    cornu_model* model = NULL;
    cornu_model* again = NULL;
    void* bytes = NULL;
    size_t count = 0;

    options.safe_mode = size > 0 && data[size - 1] & 1;
    options.max_bytes = (uint64_t)256 << 20;
    if (cornu_model_load_memory(data, size, &options, &model) != CORNU_OK) return 0;
    ask(model);
    if (cornu_model_save_memory(model, NULL, &bytes, &count) == CORNU_OK) {
        options.max_bytes = 0;
        if (cornu_model_load_memory(bytes, count, &options, &again) != CORNU_OK) abort();
    }
    cornu_model_destroy(again);
    cornu_free(bytes);
    cornu_model_destroy(model);
    return 0;
}
