/* Opening, closing and asking a document. What it is made of is drawn in parts.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "keras/parts.h"
#include "keras/upgrade.h"

#include "base/dtype.h"
#include "base/size.h"

/* ---- members ---- */

cornu_status cn_document_reserve(cn_document* doc, size_t count) {
    doc->members = cn_arena_array(&doc->arena, count, sizeof *doc->members);
    doc->assets = cn_arena_array(&doc->arena, count, sizeof *doc->assets);
    doc->member_capacity = count;
    return doc->members && doc->assets ? CORNU_OK : CN_NO_MEMORY(count * sizeof *doc->members);
}

cornu_status cn_document_add_member(cn_document* doc, const char* name, cn_source* source) {
    const char* copy = cn_arena_strdup(&doc->arena, name);

    if (!copy || doc->member_count == doc->member_capacity) {
        cn_source_close(source);
        return copy ? CN_FAIL(IO_ERROR, "%s: files were added to the directory while it was read", doc->name)
                    : CN_NO_MEMORY(strlen(name));
    }
    doc->members[doc->member_count++] = (cn_member){copy, source};
    if (strncmp(name, CN_MEMBER_ASSETS, strlen(CN_MEMBER_ASSETS)) == 0)
        doc->assets[doc->asset_count++] = (cn_asset){copy, source};
    return CORNU_OK;
}

const cn_member* cn_document_member(const cn_document* doc, const char* name) {
    for (size_t i = 0; i < doc->member_count; i++) {
        if (strcmp(doc->members[i].name, name) == 0) return &doc->members[i];
    }
    return NULL;
}

/* ---- opening ---- */

static cornu_load_options load_options(const cornu_load_options* options) {
    cornu_load_options all = CORNU_LOAD_OPTIONS_INIT;

    if (options) {
        size_t size = options->size < sizeof all ? options->size : sizeof all;
        if (size > sizeof options->size) memcpy(&all, options, size);
        all.size = sizeof all;
    }
    return all;
}

/* What the document will hold in memory once all of it was asked for. */
static cornu_status check_budget(const cn_document* doc, uint64_t max_bytes) {
    uint64_t need = 0;
    bool fits = true;

    if (max_bytes == 0) return CORNU_OK;
    for (size_t i = 0; i < doc->member_count; i++) {
        bool weights = doc->members[i].source == doc->weights_source;
        if (!weights) fits = fits && cn_size_add(need, cn_source_size(doc->members[i].source), &need);
    }
    for (size_t i = 0; i < doc->variable_count; i++) {
        const cn_variable* variable = &doc->variables[i];
        uint64_t bytes = 0;
        fits = fits && cn_size_mul((uint64_t)variable->count, cornu_dtype_size(variable->dtype), &bytes);
        fits = fits && cn_size_add(need, bytes, &need);
    }
    if (fits && need <= max_bytes) return CORNU_OK;
    return CN_FAIL(NO_MEMORY, "%s: the model takes %llu bytes of memory; max_bytes allows %llu", doc->name,
                   (unsigned long long)need, (unsigned long long)max_bytes);
}

static cornu_status new_document(const char* name, const cornu_load_options* options, cn_document** out) {
    cn_document* doc = cn_alloc_zero(1, sizeof *doc);

    *out = doc;
    if (!doc) return CN_NO_MEMORY(sizeof *doc);
    doc->safe_mode = options->safe_mode != 0;
    doc->compile = options->compile != 0;
    doc->name = cn_arena_strdup(&doc->arena, name);
    doc->writer_version = doc->backend = "";
    return doc->name ? CORNU_OK : CN_NO_MEMORY(strlen(name));
}

static cornu_status copy_declared(cn_document* doc, const cornu_load_options* options) {
    size_t count = options->custom_objects && options->n_custom_objects > 0 ? (size_t)options->n_custom_objects : 0;

    doc->declared = cn_arena_array(&doc->arena, count + 1, sizeof *doc->declared);
    if (!doc->declared) return CN_NO_MEMORY(count * sizeof *doc->declared);
    for (size_t i = 0; i < count; i++) {
        if (!options->custom_objects[i]) return CN_FAIL(BAD_ARGUMENT, "custom_objects[%zu] is NULL", i);
        doc->declared[i] = cn_arena_strdup(&doc->arena, options->custom_objects[i]);
        if (!doc->declared[i]) return CN_NO_MEMORY(strlen(options->custom_objects[i]));
        doc->declared_count++;
    }
    return CORNU_OK;
}

bool cn_document_is_declared(const cn_document* doc, const char* class_name) {
    const char* bare = strrchr(class_name, '>');

    bare = bare ? bare + 1 : class_name;
    for (size_t i = 0; i < doc->declared_count; i++) {
        if (strcmp(doc->declared[i], class_name) == 0 || strcmp(doc->declared[i], bare) == 0) return true;
    }
    return false;
}

/* The one way in, for files, directories and memory alike. */
static cornu_status read_document(cn_document* doc, int dir_fd, const cornu_load_options* options) {
    CN_TRY(copy_declared(doc, options));
    CN_TRY(cn_format_sniff(doc, dir_fd, &doc->format));
    CN_TRY(doc->format->open(doc, dir_fd, options));
    return check_budget(doc, options->max_bytes);
}

/* *dir_fd is -1 when path is no directory. No file is opened that could block. */
static cornu_status open_directory(const char* path, int* dir_fd) {
    *dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);
    if (*dir_fd >= 0 || errno == ENOTDIR) return CORNU_OK;
    if (errno == ENOENT) return CN_FAIL(NOT_FOUND, "%s: there is no such file or directory", path);
    return CN_FAIL(IO_ERROR, "%s: cannot be opened: %s", path, strerror(errno));
}

cornu_status cn_document_open(const char* path, const cornu_load_options* options, cn_document** out) {
    cornu_status st = CORNU_OK;
    cn_document* doc = NULL;
    int dir_fd = -1;
    cornu_load_options all = load_options(options);

    *out = NULL;
    CN_STEP(new_document(path, &all, &doc));
    CN_STEP(open_directory(path, &dir_fd));
    if (dir_fd < 0) CN_STEP(cn_source_open_file(path, &doc->source));
    CN_STEP(read_document(doc, dir_fd, &all));
    *out = doc;
    doc = NULL;
done:
    if (dir_fd >= 0) (void)close(dir_fd);
    cn_document_close(doc);
    return st;
}

cornu_status cn_document_open_memory(const void* data, uint64_t size, const cornu_load_options* options,
                                     cn_document** out) {
    cornu_status st = CORNU_OK;
    cn_document* doc = NULL;
    cornu_load_options all = load_options(options);

    *out = NULL;
    CN_STEP(new_document("<memory>", &all, &doc));
    CN_STEP(cn_source_open_memory(data, size, doc->name, &doc->source));
    CN_STEP(read_document(doc, -1, &all));
    *out = doc;
    doc = NULL;
done:
    cn_document_close(doc);
    return st;
}

void cn_document_close(cn_document* doc) {
    if (!doc) return;
    while (doc->state) {
        cn_config_state* older = doc->state->older;
        cn_document_close(doc->state->upgraded);
        cn_state_destroy(doc->state);
        doc->state = older;
    }
    for (size_t i = 0; i < doc->variable_count; i++) cn_free(doc->variables[i].value);
    cn_h5_close(doc->h5);
    for (size_t i = 0; i < doc->shard_count; i++) {
        cn_h5_close(doc->shards[i].h5);
        cn_source_close(doc->shards[i].source);
    }
    for (size_t i = 0; i < doc->member_count && !doc->view_of; i++) {
        if (doc->members[i].source != doc->source) cn_source_close(doc->members[i].source);
    }
    cn_json_doc_destroy(doc->training);
    cn_json_doc_destroy(doc->shard_map);
    cn_zip_close(doc->zip);
    cn_source_close(doc->source);
    cn_arena_deinit(&doc->arena);
    cn_free(doc);
}

/* ---- asking ---- */

cornu_format cn_document_format(const cn_document* doc) { return doc->format->id; }
const char* cn_document_format_name(const cn_document* doc) { return doc->format->name; }
bool cn_document_is_compiled(const cn_document* doc) { return doc->compile; }
const char* cn_document_name(const cn_document* doc) { return doc->name; }
cn_json_doc* cn_document_config_doc(cn_document* doc) { return doc->state->config; }
cn_json_doc* cn_document_metadata_doc(cn_document* doc) { return doc->state->metadata; }
const cn_h5_node* cn_document_weights(const cn_document* doc) { return doc->h5 ? cn_h5_root(doc->h5) : NULL; }
size_t cn_document_variable_count(const cn_document* doc) { return doc->variable_count; }
size_t cn_document_asset_count(const cn_document* doc) { return doc->asset_count; }
const cn_layer* cn_document_root(const cn_document* doc) { return doc->state->root; }

static const char* metadata_text(const cn_document* doc, const char* key) {
    if (!doc->state || !doc->state->metadata) return NULL;
    return cn_json_string(cn_json_get(cn_json_root(doc->state->metadata), key), NULL);
}

const char* cn_document_keras_version(const cn_document* doc) {
    const char* version = metadata_text(doc, "keras_version");
    return version || !*doc->writer_version ? version : doc->writer_version;
}
cn_json_doc* cn_document_training_doc(cn_document* doc) { return doc->training; }
const char* cn_document_date_saved(const cn_document* doc) { return metadata_text(doc, "date_saved"); }

cn_variable* cn_document_variable_at(const cn_document* doc, size_t i) {
    return i < doc->variable_count ? &doc->variables[i] : NULL;
}

cn_variable* cn_document_variable(const cn_document* doc, const char* path) {
    const cn_weight_entry* entry = cn_weights_find(doc, path);
    return entry ? entry->variable : NULL;
}

const cn_asset* cn_document_asset_at(const cn_document* doc, size_t i) {
    return i < doc->asset_count ? &doc->assets[i] : NULL;
}

/* ---- variables ---- */

static cornu_status check_numeric(const cn_document* doc, const cn_variable* variable) {
    if (variable->node && variable->node->unsupported)
        return CN_FAIL(UNSUPPORTED, "%s: variable '%s': %s", doc->name, variable->path, variable->node->unsupported);
    if (variable->dtype == CORNU_STRING)
        return CN_FAIL(UNSUPPORTED, "%s: variable '%s' holds strings, which are no weights", doc->name, variable->path);
    return CORNU_OK;
}

cornu_status cn_document_read(const cn_document* doc, const cn_variable* variable, void* dst) {
    CN_TRY(check_numeric(doc, variable));
    if (variable->value) {
        memcpy(dst, variable->value, (size_t)variable->count * cornu_dtype_size(variable->dtype));
        return CORNU_OK;
    }
    if (variable->origin) return variable->origin->read(doc, variable, dst);
    return cn_h5_read(doc->h5, variable->node, dst);
}

static void format_dims(char* text, size_t size, int ndim, const int64_t* dims) {
    size_t at = 0;

    text[0] = '\0';
    for (int i = 0; i < ndim && at + 24 < size; i++)
        at += (size_t)snprintf(text + at, size - at, i ? ", %lld" : "%lld", (long long)dims[i]);
}

cornu_status cn_document_set_variable(cn_document* doc, cn_variable* variable, const cornu_tensor* value) {
    cornu_status st = CORNU_OK;
    void* elements = NULL;
    uint64_t bytes = 0;
    char have[512], want[512];

    format_dims(want, sizeof want, variable->ndim, variable->dims);
    if (value->ndim != variable->ndim ||
        memcmp(value->dims, variable->dims, (size_t)variable->ndim * sizeof *value->dims) != 0) {
        format_dims(have, sizeof have, value->ndim, value->dims);
        return CN_FAIL(BAD_ARGUMENT, "%s: variable '%s' has shape (%s); a value of shape (%s) does not fit", doc->name,
                       variable->path, want, have);
    }
    CN_TRY(check_numeric(doc, variable));
    if (value->device != CORNU_HOST || (!value->data && variable->count > 0))
        return CN_FAIL(BAD_ARGUMENT, "%s: the new value of variable '%s' has no host data", doc->name, variable->path);
    if (!cn_size_mul((uint64_t)variable->count, cornu_dtype_size(variable->dtype), &bytes))
        return CN_NO_MEMORY(SIZE_MAX);
    elements = cn_alloc((size_t)bytes);
    if (!elements) return CN_NO_MEMORY(bytes);
    CN_STEP(cn_dtype_convert(variable->dtype, elements, value->dtype, value->data, variable->count));
    cn_free(variable->value);
    variable->value = elements;
    variable->version++;
    doc->variables_changed = true;
    elements = NULL;
    cn_upgrade_follow(doc, variable);
done:
    cn_free(elements);
    return st;
}
