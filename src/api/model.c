/* cornu_model_*: argument checks and the model's lock around the document. */
#include <string.h>

#include "api/sized.h"
#include "base/size.h"
#include "keras/load_weights.h"
#include "keras/optimizer.h"
#include "keras/upgrade.h"
#include "session/describe.h"
#include "session/store.h"

#define CHECK(condition, ...)                                        \
    do {                                                             \
        if (!(condition)) return CN_FAIL(BAD_ARGUMENT, __VA_ARGS__); \
    } while (0)

/* ---- load, save, destroy ---- */

static cornu_status check_options(const size_t* size, const char* what) {
    if (size && *size < sizeof *size)
        return CN_FAIL(BAD_ARGUMENT, "%s.size is %zu; initialise the struct with its _INIT macro", what, *size);
    return CORNU_OK;
}

cornu_status cornu_model_load(const char* path, const cornu_load_options* options, cornu_model** out) {
    cn_document* document;

    CHECK(out, "cornu_model_load: out is NULL");
    *out = NULL;
    CHECK(path && *path, "cornu_model_load: path is NULL or empty");
    CN_TRY(check_options(options ? &options->size : NULL, "cornu_load_options"));
    CN_TRY(cn_document_open(path, options, &document));
    return cn_model_create(document, out);
}

cornu_status cornu_model_load_memory(const void* data, size_t size, const cornu_load_options* options,
                                     cornu_model** out) {
    cn_document* document;

    CHECK(out, "cornu_model_load_memory: out is NULL");
    *out = NULL;
    CHECK(data || size == 0, "cornu_model_load_memory: data is NULL");
    CN_TRY(check_options(options ? &options->size : NULL, "cornu_load_options"));
    CN_TRY(cn_document_open_memory(data ? data : "", size, options, &document));
    return cn_model_create(document, out);
}

cornu_status cornu_model_save(cornu_model* model, const char* path, const cornu_save_options* options) {
    cornu_status st;

    CHECK(model, "cornu_model_save: model is NULL");
    CHECK(path && *path, "cornu_model_save: path is NULL or empty");
    CN_TRY(check_options(options ? &options->size : NULL, "cornu_save_options"));
    (void)pthread_rwlock_rdlock(&model->lock);
    st = cn_document_save(model->document, path, options);
    (void)pthread_rwlock_unlock(&model->lock);
    return st;
}

cornu_status cornu_model_save_memory(cornu_model* model, const cornu_save_options* options, void** out,
                                     size_t* out_size) {
    cornu_status st;
    uint64_t size = 0;

    CHECK(out && out_size, "cornu_model_save_memory: out or out_size is NULL");
    *out = NULL;
    *out_size = 0;
    CHECK(model, "cornu_model_save_memory: model is NULL");
    CN_TRY(check_options(options ? &options->size : NULL, "cornu_save_options"));
    (void)pthread_rwlock_rdlock(&model->lock);
    st = cn_document_save_memory(model->document, options, out, &size);
    (void)pthread_rwlock_unlock(&model->lock);
    *out_size = (size_t)size;
    return st;
}

void cornu_model_destroy(cornu_model* model) { cn_model_release(model); }

/* ---- infos ---- */

/* Copies as much of an info as the caller's struct, made for another version perhaps, has room for. */
static uint64_t bytes_of(const cn_variable* variable) {
    return variable->dtype == CORNU_STRING ? 0 : (uint64_t)variable->count * cornu_dtype_size(variable->dtype);
}

static void count_optimizer(const cn_document* doc, cornu_model_info* info) {
    info->variable_count = (int64_t)cn_document_variable_count(doc);
    for (int64_t i = 0; i < info->variable_count; i++) {
        const cn_variable* variable = cn_document_variable_at(doc, (size_t)i);
        if (!variable->is_optimizer) continue;
        info->optimizer_parameter_count += variable->count;
        info->optimizer_bytes += bytes_of(variable);
    }
}

/* Parameters are the layers' variables; metrics, which tf.keras stored as well, are not. */
static void count_layers(const cn_document* doc, cornu_model_info* info) {
    bool has_config = cn_document_root(doc) != NULL;

    for (size_t i = 0; i < cn_document_variable_count(doc); i++) {
        const cn_variable* variable = cn_document_variable_at(doc, i);
        uint64_t bytes = bytes_of(variable);
        if (variable->is_optimizer) continue;
        if (variable->layer || (!has_config && strncmp(variable->path, "metrics/", 8) != 0)) {
            info->parameter_count += variable->count;
            info->weight_bytes += bytes;
            if (!has_config || cn_variable_is_trainable(variable)) info->trainable_count += variable->count;
        }
    }
}

/* The class, or the name where the config has only that; legacy HDF5 has its compile state beside the config. */
static const char* optimizer_of(cn_document* doc) {
    cn_json_doc* training = cn_document_training_doc(doc);
    const cn_json* optimizer = training ? cn_json_get(cn_json_root(training), "optimizer_config")
                                        : cn_json_get(cn_json_get(cn_document_root(doc)->object, "compile_config"), "optimizer");
    const char* class_name = cn_json_string(cn_json_get(optimizer, "class_name"), NULL);

    if (class_name && training) return cn_optimizer_class_of(class_name); /* tf.keras has its own as "Custom>Adam" */
    return class_name ? class_name : cn_json_string(optimizer, NULL);
}

cornu_status cornu_model_get_info(cornu_model* model, cornu_model_info* info) {
    cornu_model_info all = {0};
    const cn_layer* root;
    cn_document* doc;

    CHECK(model && info, "cornu_model_get_info: model or info is NULL");
    CN_TRY(check_options(&info->size, "cornu_model_info"));
    (void)pthread_rwlock_rdlock(&model->lock);
    doc = model->document;
    root = cn_document_root(doc);
    all.format = cn_document_format(doc);
    all.format_name = cn_document_format_name(doc);
    all.keras_version = cn_document_keras_version(doc);
    all.date_saved = cn_document_date_saved(doc);
    if (root) {
        all.class_name = root->class_name;
        all.name = *root->name ? root->name : NULL;
        all.optimizer = cn_document_is_compiled(doc) ? optimizer_of(doc) : NULL;
    }
    all.layer_count = cn_model_root_layers(model);
    all.asset_count = (int64_t)cn_document_asset_count(doc);
    count_optimizer(doc, &all);
    count_layers(cn_model_readable(model), &all);
    (void)pthread_rwlock_unlock(&model->lock);
    cn_sized_give(info, &all, info->size, sizeof all);
    return CORNU_OK;
}

int64_t cornu_model_variable_count(cornu_model* model) {
    return model ? (int64_t)cn_document_variable_count(model->document) : 0;
}

cornu_status cornu_model_variable_info(cornu_model* model, int64_t index, cornu_variable_info* info) {
    cornu_variable_info all = {0};
    const cn_variable* variable;

    CHECK(model && info, "cornu_model_variable_info: model or info is NULL");
    CN_TRY(check_options(&info->size, "cornu_variable_info"));
    variable = index < 0 ? NULL : cn_document_variable_at(model->document, (size_t)index);
    CHECK(variable, "%s: there is no variable %lld; there are %lld", cn_document_name(model->document),
          (long long)index, (long long)cornu_model_variable_count(model));
    (void)pthread_rwlock_rdlock(&model->lock);
    all.path = variable->path;
    all.layer = variable->layer ? variable->layer->name : NULL;
    all.dtype = variable->dtype;
    all.ndim = variable->ndim;
    memcpy(all.dims, variable->dims, sizeof all.dims);
    all.bytes = variable->dtype == CORNU_STRING ? 0 : (uint64_t)variable->count * cornu_dtype_size(variable->dtype);
    all.version = variable->version;
    all.is_optimizer = variable->is_optimizer;
    (void)pthread_rwlock_unlock(&model->lock);
    cn_sized_give(info, &all, info->size, sizeof all);
    return CORNU_OK;
}

/* ---- variables ---- */

static cornu_status find_variable(cornu_model* model, const char* path, cn_variable** out) {
    *out = cn_document_variable(model->document, path);
    if (*out) return CORNU_OK;
    return CN_FAIL(NOT_FOUND, "%s: there is no variable '%s'", cn_document_name(model->document), path);
}

static bool same_shape(const cn_variable* variable, const cornu_tensor* tensor) {
    return tensor->ndim == variable->ndim &&
           memcmp(tensor->dims, variable->dims, (size_t)variable->ndim * sizeof *tensor->dims) == 0;
}

/* Reads into the caller's memory, or into new memory. Under the lock. */
static cornu_status read_variable(const cn_document* doc, const cn_variable* variable, cornu_tensor* out) {
    cornu_status st = CORNU_OK;
    cornu_tensor whole;
    uint64_t bytes = 0;

    if (out->data) {
        CHECK(out->dtype == variable->dtype && same_shape(variable, out) && out->device == CORNU_HOST,
              "%s: variable '%s' is %s of rank %d; the tensor given for it has another dtype or shape",
              cn_document_name(doc), variable->path, cornu_dtype_name(variable->dtype), variable->ndim);
        return cn_document_read(doc, variable, out->data);
    }
    whole = cornu_tensor_shaped(variable->dtype, NULL, variable->ndim, variable->dims);
    if (variable->dtype == 0 || variable->dtype == CORNU_STRING)
        return cn_document_read(doc, variable, NULL);
    if (!cn_size_mul((uint64_t)variable->count, cornu_dtype_size(variable->dtype), &bytes))
        return CN_NO_MEMORY(SIZE_MAX);
    whole.owner = whole.data = cn_alloc_aligned((size_t)bytes);
    if (!whole.owner) return CN_NO_MEMORY(bytes);
    CN_STEP(cn_document_read(doc, variable, whole.data));
    *out = whole;
    whole.owner = NULL;
done:
    cornu_tensor_release(&whole);
    return st;
}

cornu_status cornu_model_get_variable(cornu_model* model, const char* path, cornu_tensor* out) {
    cornu_status st;
    cn_document* doc;
    cn_variable* variable;

    CHECK(model && path && out, "cornu_model_get_variable: model, path or out is NULL");
    (void)pthread_rwlock_rdlock(&model->lock);
    /* Layers and optimizers of older files are described with the paths of Keras 3, which the file itself does not have. */
    doc = model->document;
    if (!cn_document_variable(doc, path) && cn_document_upgraded(model->document, &doc) != CORNU_OK) doc = model->document;
    variable = cn_document_variable(doc, path);
    st = variable ? read_variable(doc, variable, out) : find_variable(model, path, &variable);
    (void)pthread_rwlock_unlock(&model->lock);
    return st;
}

cornu_status cornu_model_set_variable(cornu_model* model, const char* path, const cornu_tensor* value) {
    cornu_status st;
    cn_variable* variable;

    CHECK(model && path && value, "cornu_model_set_variable: model, path or value is NULL");
    CHECK(cornu_tensor_count(value) >= 0, "cornu_model_set_variable: value is no valid tensor");
    (void)pthread_rwlock_wrlock(&model->lock);
    st = find_variable(model, path, &variable);
    if (st == CORNU_OK) st = cn_document_set_variable(model->document, variable, value);
    if (st == CORNU_OK && model->store) cn_store_touch(model->store);
    (void)pthread_rwlock_unlock(&model->lock);
    return st;
}

cornu_status cornu_model_load_weights(cornu_model* model, const char* path, const cornu_weights_options* options,
                                      cornu_weights_report* report) {
    cornu_status st;

    CHECK(model, "cornu_model_load_weights: model is NULL");
    CHECK(path && *path, "cornu_model_load_weights: path is NULL or empty");
    CN_TRY(check_options(options ? &options->size : NULL, "cornu_weights_options"));
    CN_TRY(check_options(report ? &report->size : NULL, "cornu_weights_report"));
    (void)pthread_rwlock_wrlock(&model->lock);
    st = cn_document_load_weights(model->document, path, options, report);
    if (model->store) cn_store_touch(model->store);
    model->layer_rows = NULL; /* the old rows stay in the arena: their strings were given out */
    model->layer_row_count = 0;
    (void)pthread_rwlock_unlock(&model->lock);
    return st;
}

/* ---- JSON ---- */

/* The root of a part, NULL where the file has none. Legacy HDF5 has its compile state beside the config. */
static const cn_json* part_of(cn_document* doc, cornu_json_part part) {
    cn_json_doc* training = cn_document_training_doc(doc);
    cn_json_doc* json = part == CORNU_JSON_METADATA ? cn_document_metadata_doc(doc) : cn_document_config_doc(doc);

    if (part == CORNU_JSON_COMPILE && training) return cn_json_root(training);
    if (!json) return NULL;
    return part == CORNU_JSON_COMPILE ? cn_json_get(cn_json_root(json), "compile_config") : cn_json_root(json);
}

static cornu_status print_json(cornu_model* model, cornu_json_part part, const char* pointer, char** out) {
    static const char* const names[] = {"config", "metadata", "compile state"};
    cn_document* doc = model->document;
    const cn_json* root = part_of(doc, part);
    const cn_json* node;
    cornu_status st = CORNU_OK;
    cn_buf text = {0};

    if (!root) return CN_FAIL(NOT_FOUND, "%s: the file has no %s", cn_document_name(doc), names[part]);
    node = cn_json_pointer((cn_json*)root, pointer);
    if (!node) return CN_FAIL(NOT_FOUND, "%s: there is nothing at '%s'", cn_document_name(doc), pointer);
    CN_STEP(cn_json_print(node, &text));
    CN_STEP(cn_buf_check(&text));
    *out = cn_buf_take(&text);
    if (!*out) CN_STEP(CN_NO_MEMORY(1));
done:
    cn_buf_deinit(&text);
    return st;
}

cornu_status cornu_model_get_json(cornu_model* model, cornu_json_part part, const char* pointer, char** out) {
    cornu_status st;

    CHECK(out, "cornu_model_get_json: out is NULL");
    *out = NULL;
    CHECK(model && pointer, "cornu_model_get_json: model or pointer is NULL");
    CHECK(part == CORNU_JSON_CONFIG || part == CORNU_JSON_METADATA || part == CORNU_JSON_COMPILE,
          "cornu_model_get_json: %d is no part of a model", (int)part);
    (void)pthread_rwlock_rdlock(&model->lock);
    st = print_json(model, part, pointer, out);
    (void)pthread_rwlock_unlock(&model->lock);
    return st;
}

cornu_status cornu_model_set_json(cornu_model* model, cornu_json_part part, const char* pointer, const char* text) {
    cornu_status st;

    CHECK(model && pointer && text, "cornu_model_set_json: model, pointer or text is NULL");
    (void)pthread_rwlock_wrlock(&model->lock);
    st = cn_document_set_json(model->document, part, pointer, text);
    if (st == CORNU_OK) { /* the old rows stay in the arena: their strings were given out */
        model->layer_rows = NULL;
        model->layer_row_count = 0;
        model->compile = NULL;
    }
    (void)pthread_rwlock_unlock(&model->lock);
    return st;
}

/* ---- layers and assets ---- */

/* Held alone: the first caller makes the rows. */
static cornu_status lock_rows(cornu_model* model) {
    (void)pthread_rwlock_wrlock(&model->lock);
    return cn_model_describe_layers(model);
}

int64_t cornu_model_layer_count(cornu_model* model) {
    int64_t count = 0;

    if (!model) return 0;
    if (lock_rows(model) == CORNU_OK) count = model->layer_row_count;
    (void)pthread_rwlock_unlock(&model->lock);
    return count;
}

static cornu_status get_row(cornu_model* model, int64_t index, cornu_layer_info* info) {
    const cn_layer_row* rows = model->layer_rows;

    CHECK(index >= 0 && index < model->layer_row_count, "%s: there is no layer %lld; there are %lld",
          cn_document_name(model->document), (long long)index, (long long)model->layer_row_count);
    cn_sized_give(info, &rows[index].info, info->size, sizeof rows[index].info);
    return CORNU_OK;
}

cornu_status cornu_model_layer_info(cornu_model* model, int64_t index, cornu_layer_info* info) {
    cornu_status st;

    CHECK(model && info, "cornu_model_layer_info: model or info is NULL");
    CN_TRY(check_options(&info->size, "cornu_layer_info"));
    st = lock_rows(model);
    if (st == CORNU_OK) st = get_row(model, index, info);
    (void)pthread_rwlock_unlock(&model->lock);
    return st;
}

int64_t cornu_model_asset_count(cornu_model* model) {
    return model ? (int64_t)cn_document_asset_count(model->document) : 0;
}

cornu_status cornu_model_asset_info(cornu_model* model, int64_t index, const char** name, uint64_t* bytes) {
    const cn_asset* asset;

    CHECK(model && name && bytes, "cornu_model_asset_info: model, name or bytes is NULL");
    *name = NULL;
    *bytes = 0;
    asset = index < 0 ? NULL : cn_document_asset_at(model->document, (size_t)index);
    CHECK(asset, "%s: there is no asset %lld; there are %lld", cn_document_name(model->document), (long long)index,
          (long long)cornu_model_asset_count(model));
    *name = asset->name;
    *bytes = cn_source_size(asset->source);
    return CORNU_OK;
}
