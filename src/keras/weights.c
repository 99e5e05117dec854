/* The weights file: its objects by path, its variables, and its bytes as they are to be saved.
 *
 * A file in which no variable was changed and nothing is left out is saved as its own bytes. Otherwise the tree is
 * written anew, group by group in file order, all attributes and unknown objects included. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "keras/build.h"

#include "base/size.h"

/* ---- reading ---- */

static bool is_vars(const char* name) {
    size_t n = strlen(name);
    return strcmp(name, "vars") == 0 || (n > 5 && strcmp(name + n - 5, "\\vars") == 0);
}

static bool has_vars_group(const cn_h5_node* node) {
    if (node->is_dataset) return false;
    if (is_vars(node->name)) return true;
    for (size_t i = 0; i < node->child_count; i++) {
        if (has_vars_group(node->children[i])) return true; /* depth: CN_LIMIT_HDF5_DEPTH */
    }
    return false;
}

bool cn_weights_is_keras3(const cn_h5* h5, const char** why) {
    const cn_h5_node* root = cn_h5_root(h5);
    const cn_h5_node* model_weights = cn_h5_child(root, "model_weights");

    *why = NULL;
    if (cn_h5_attribute_of(root, "model_config"))
        *why = "this is a whole model in legacy HDF5 (.h5 with attribute model_config), no weights file of Keras 3";
    else if (cn_h5_attribute_of(root, "layer_names"))
        *why = "these are legacy HDF5 weights (.h5 with attribute layer_names), no weights file of Keras 3";
    else if (model_weights && cn_h5_attribute_of(model_weights, "layer_names"))
        *why = "this is legacy HDF5 with a group model_weights, no weights file of Keras 3";
    else if (!has_vars_group(root)) *why = "this is HDF5, but not a weights file of Keras: no group 'vars' is in it";
    return *why == NULL;
}

static void count_objects(const cn_h5_node* node, size_t* objects, size_t* datasets) {
    (*objects)++;
    if (node->is_dataset) (*datasets)++;
    for (size_t i = 0; i < node->child_count; i++) count_objects(node->children[i], objects, datasets);
}

/* path with '/' for '\'; the same pointer when it has none. */
static const char* normalised(cn_document* doc, const char* path) {
    char* copy;

    if (!strchr(path, '\\')) return path;
    copy = cn_arena_strdup(&doc->arena, path);
    for (char* c = copy; c && *c; c++) {
        if (*c == '\\') *c = '/';
    }
    return copy;
}

static void fill_variable(cn_variable* variable, const char* path, const cn_h5_node* node) {
    variable->path = path;
    variable->dtype = node->array.dtype;
    variable->ndim = node->array.ndim;
    for (int i = 0; i < node->array.ndim; i++) variable->dims[i] = node->array.dims[i];
    variable->count = node->array.count;
    variable->is_optimizer = strncmp(path, "optimizer/", 10) == 0;
    variable->node = node;
}

static cornu_status list_objects(cn_document* doc, const cn_h5_node* node) {
    cn_weight_entry* entry = &doc->index[doc->index_count];

    entry->node = node;
    entry->path = normalised(doc, node->path);
    if (!entry->path) return CN_NO_MEMORY(strlen(node->path));
    doc->index_count++;
    if (node->is_dataset) {
        entry->variable = &doc->variables[doc->variable_count++];
        fill_variable(entry->variable, entry->path, node);
    }
    for (size_t i = 0; i < node->child_count; i++) CN_TRY(list_objects(doc, node->children[i]));
    return CORNU_OK;
}

static int compare_entries(const void* a, const void* b) {
    return strcmp(((const cn_weight_entry*)a)->path, ((const cn_weight_entry*)b)->path);
}

static cornu_status sort_index(cn_document* doc, const char* what) {
    if (doc->index_count > 0) qsort(doc->index, doc->index_count, sizeof *doc->index, compare_entries);
    for (size_t i = 1; i < doc->index_count; i++) {
        if (compare_entries(&doc->index[i - 1], &doc->index[i]) == 0)
            return CN_FAIL(BAD_FILE, "%s: two objects have the path '%s' (with '\\' taken as '/')", what,
                           doc->index[i].path);
    }
    return CORNU_OK;
}

cornu_status cn_weights_list(cn_document* doc, cn_source* source) {
    size_t objects = 0, datasets = 0;

    doc->weights_source = source;
    CN_TRY(cn_h5_open(source, &doc->h5));
    count_objects(cn_h5_root(doc->h5), &objects, &datasets);
    doc->index = cn_arena_array(&doc->arena, objects, sizeof *doc->index);
    doc->variables = cn_arena_array(&doc->arena, datasets + 1, sizeof *doc->variables);
    if (!doc->index || !doc->variables) return CN_NO_MEMORY(objects * sizeof *doc->index);
    CN_TRY(list_objects(doc, cn_h5_root(doc->h5)));
    return sort_index(doc, cn_source_name(source));
}

cornu_status cn_weights_index(cn_document* doc) {
    doc->index = cn_arena_array(&doc->arena, doc->variable_count + 1, sizeof *doc->index);
    if (!doc->index) return CN_NO_MEMORY(doc->variable_count * sizeof *doc->index);
    for (size_t i = 0; i < doc->variable_count; i++)
        doc->index[i] = (cn_weight_entry){doc->variables[i].path, NULL, &doc->variables[i]};
    doc->index_count = doc->variable_count;
    return sort_index(doc, doc->name);
}

cornu_status cn_weights_open(cn_document* doc, cn_source* source) {
    const char* why;

    CN_TRY(cn_weights_list(doc, source));
    if (!cn_weights_is_keras3(doc->h5, &why)) return CN_FAIL(BAD_FILE, "%s: %s", cn_source_name(source), why);
    return CORNU_OK;
}

const cn_weight_entry* cn_weights_find(const cn_document* doc, const char* path) {
    cn_weight_entry key = {path, NULL, NULL};
    return doc->index_count ? bsearch(&key, doc->index, doc->index_count, sizeof key, compare_entries) : NULL;
}

/* First entry that lies below path: whose path begins with path and '/', or is after all such. */
static size_t first_below(const cn_document* doc, const char* path) {
    size_t n = strlen(path), low = 0, high = doc->index_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const char* other = doc->index[middle].path;
        int order = strncmp(other, path, n);
        if (order < 0 || (order == 0 && (unsigned char)other[n] < '/')) low = middle + 1;
        else high = middle;
    }
    return low;
}

static bool is_below(const cn_document* doc, size_t i, const char* path) {
    size_t n = strlen(path);
    const char* other = i < doc->index_count ? doc->index[i].path : "";
    return strncmp(other, path, n) == 0 && other[n] == '/';
}

bool cn_weights_has(const cn_document* doc, const char* path) {
    return cn_weights_find(doc, path) || is_below(doc, first_below(doc, path), path);
}

bool cn_weights_has_data(const cn_document* doc, const char* path) {
    const cn_weight_entry* entry = cn_weights_find(doc, path);

    if (entry && entry->variable) return true;
    for (size_t i = first_below(doc, path); is_below(doc, i, path); i++) {
        if (doc->index[i].variable) return true;
    }
    return false;
}

bool cn_weights_has_vars(const cn_document* doc) {
    for (size_t i = 0; i < doc->variable_count; i++) {
        if (strncmp(doc->variables[i].path, "vars/", 5) == 0 || strstr(doc->variables[i].path, "/vars/")) return true;
    }
    return false;
}

void cn_weights_range(const cn_document* doc, const char* path, size_t* begin, size_t* end) {
    *begin = *end = first_below(doc, path);
    while (is_below(doc, *end, path)) (*end)++;
}

/* ---- writing ---- */

/* Larger files are built beside the target instead of in memory. */
#define BUILD_IN_MEMORY ((uint64_t)64 << 20)

static bool leaves_out(const cn_h5_node* node, const cornu_save_options* options) {
    return !options->include_optimizer && node->parent && !node->parent->parent &&
           strncmp(node->name, "optimizer", 9) == 0 && (node->name[9] == '\0' || node->name[9] == '\\');
}

/* Whether the writer can hold all that lies below a node. Depth: limited by the reader. */
static bool can_rewrite(const cn_h5_node* node) {
    if (node->is_dataset && (node->unsupported || node->array.dtype == CORNU_STRING || node->array.empty_space)) return false;
    for (const cn_h5_attribute* a = node->attributes; a; a = a->next) {
        if (a->array.dtype == 0 || a->array.element_bytes * (uint64_t)a->array.count > CN_H5_WRITER_ATTRIBUTE_BYTES) return false;
    }
    for (size_t i = 0; i < node->child_count; i++) {
        if (!can_rewrite(node->children[i])) return false;
    }
    return true;
}

/* The weights are written anew, so that nothing of the old file's layout (free space, chunks, what it hides) is carried on. A file with something
 * that the writer cannot hold is copied byte by byte instead, as long as nothing in it has changed. */
static bool must_rewrite(const cn_document* doc, const cornu_save_options* options) {
    const cn_h5_node* root = doc->h5 ? cn_h5_root(doc->h5) : NULL;

    if (!root || doc->variables_changed || can_rewrite(root)) return true;
    for (size_t i = 0; i < root->child_count; i++) {
        if (leaves_out(root->children[i], options)) return true;
    }
    return false;
}

static uint64_t data_bytes(const cn_document* doc, const cornu_save_options* options) {
    uint64_t sum = 0;

    for (size_t i = 0; i < doc->variable_count; i++) {
        const cn_variable* variable = &doc->variables[i];
        if (variable->is_optimizer && !options->include_optimizer) continue;
        sum += (uint64_t)variable->count * cornu_dtype_size(variable->dtype); /* both bounded by the file's size */
    }
    return sum;
}

uint64_t cn_weights_rewrite_bytes(const cn_document* doc, const cornu_save_options* options) {
    return must_rewrite(doc, options) ? data_bytes(doc, options) : 0;
}

typedef struct rewrite {
    cn_document* doc;
    cn_save_job* job;
    cn_h5_writer* writer;
    const cn_variable* variable; /* the one being written */
    void* whole;                 /* its elements, where they cannot be read piece by piece */
} rewrite;

bool cn_variable_is_plain(const cn_document* doc, const cn_variable* variable) {
    const cn_h5_node* node = variable->node;

    if (variable->value || !node || !doc->weights_source) return false;
    return (node->storage == CN_H5_CONTIGUOUS || node->storage == CN_H5_COMPACT) && !node->array.big_endian &&
           node->array.dtype != CORNU_BOOL && node->array.element_bytes == cornu_dtype_size(node->array.dtype);
}

static cornu_status fill_elements(void* user, uint64_t offset, void* dst, uint64_t size) {
    rewrite* cx = user;
    const cn_variable* variable = cx->variable;
    uint64_t all = (uint64_t)variable->count * cornu_dtype_size(variable->dtype);

    if (variable->value) {
        memcpy(dst, (const char*)variable->value + offset, (size_t)size);
    } else if (cn_variable_is_plain(cx->doc, variable)) {
        CN_TRY(cn_source_read(cx->doc->weights_source, variable->node->offset + offset, dst, size));
    } else {
        if (!cx->whole) {
            cx->whole = cn_alloc((size_t)all);
            if (!cx->whole) return CN_NO_MEMORY(all);
            CN_TRY(cn_document_read(cx->doc, variable, cx->whole));
        }
        memcpy(dst, (const char*)cx->whole + offset, (size_t)size);
    }
    return cn_save_progress(cx->job, size);
}

static cornu_status write_dataset(rewrite* cx, const cn_h5_node* node) {
    cornu_status st = CORNU_OK;

    if (node->unsupported)
        return CN_FAIL(UNSUPPORTED, "%s: dataset '%s' cannot be written anew: %s", cx->doc->name, node->path,
                       node->unsupported);
    if (node->array.dtype == CORNU_STRING || node->array.empty_space)
        return CN_FAIL(UNSUPPORTED, "%s: dataset '%s' holds %s, which cannot be written anew", cx->doc->name,
                       node->path, node->array.empty_space ? "a null dataspace" : "strings");
    if (!cx->variable) cx->variable = cx->doc->variables;
    while (cx->variable->node != node) cx->variable++; /* both go in file order, and every dataset has its variable */
    CN_STEP(cn_h5_writer_dataset(cx->writer, node->path, node->array.dtype, node->array.ndim, node->array.dims,
                                 fill_elements, cx));
done:
    cn_free(cx->whole);
    cx->whole = NULL;
    return st;
}

static cornu_status write_attributes(rewrite* cx, const cn_h5_node* node) {
    for (const cn_h5_attribute* a = node->attributes; a; a = a->next) {
        /* The writer itself marks bfloat16. */
        if (node->is_dataset && node->array.dtype == CORNU_BFLOAT16 && strcmp(a->name, "dtype") == 0) continue;
        if (a->array.dtype == 0)
            return CN_FAIL(UNSUPPORTED, "%s: attribute '%s' of '%s' is of a type that cannot be written anew",
                           cx->doc->name, a->name, node->path);
        const void* data = a->array.dtype == CORNU_STRING ? (const void*)a->strings : a->data;
        CN_TRY(cn_h5_writer_attribute(cx->writer, node->path, a->name, &a->array, data));
    }
    return CORNU_OK;
}

static cornu_status write_object(rewrite* cx, const cn_h5_node* node) {
    if (node->is_dataset) CN_TRY(write_dataset(cx, node));
    else if (node->parent) CN_TRY(cn_h5_writer_group(cx->writer, node->path));
    CN_TRY(write_attributes(cx, node));
    for (size_t i = 0; i < node->child_count; i++) {
        if (!leaves_out(node->children[i], &cx->job->options)) CN_TRY(write_object(cx, node->children[i]));
    }
    return CORNU_OK;
}

/* The weights of a document that has no HDF5 file: its variables by their paths. */
static cornu_status write_variables(rewrite* cx) {
    cornu_status st = CORNU_OK;

    for (size_t i = 0; i < cx->doc->variable_count; i++) {
        const cn_variable* variable = cx->variable = &cx->doc->variables[i];
        if (variable->is_optimizer && !cx->job->options.include_optimizer) continue;
        CN_STEP(cn_h5_writer_dataset(cx->writer, variable->path, variable->dtype, variable->ndim, variable->dims,
                                     fill_elements, cx));
        cn_free(cx->whole);
        cx->whole = NULL;
    }
done:
    cn_free(cx->whole);
    cx->whole = NULL;
    return st;
}

/* A path beside the target that no file has: the writer fails where one appears meanwhile. */
char* cn_temporary_beside(const char* path) {
    const char* slash;
    size_t n = strlen(path);
    cn_buf text = {0};

    while (n > 1 && path[n - 1] == '/') n--; /* of a directory */
    for (slash = path + n; slash > path && slash[-1] != '/';) slash--;
    cn_buf_add(&text, path, (size_t)(slash - path));
    for (unsigned i = 0; i < 1000; i++) {
        size_t folder = text.size;
        cn_buf_format(&text, ".%.*s.%ld.%u.h5.tmp",
                      (int)(n - (size_t)(slash - path) < 200 ? n - (size_t)(slash - path) : 200), slash, (long)getpid(),
                      i);
        if (text.failed || access(text.data, F_OK) != 0) break;
        text.size = folder;
    }
    if (text.failed) {
        cn_buf_deinit(&text);
        return NULL;
    }
    return cn_buf_take(&text);
}

/* Ends the writing and opens what was written. The temporary's name is gone at once; its bytes when *out is closed. */
static cornu_status finish_rewrite(rewrite* cx, const char* temporary, cn_source** out) {
    void* bytes = NULL;
    uint64_t size = 0;

    CN_TRY(cn_h5_writer_finish(cx->writer, &bytes, &size));
    if (temporary) return cn_source_open_file(temporary, out);
    return cn_source_take_memory(bytes, size, CN_MEMBER_WEIGHTS, out);
}

cornu_status cn_weights_build(cn_document* doc, cn_save_job* job, cn_source** out, cn_source** owned) {
    cornu_status st = CORNU_OK;
    rewrite cx = {doc, job, NULL, NULL, NULL};
    char* temporary = NULL;
    bool made = false;

    *out = doc->weights_source;
    *owned = NULL;
    if (!must_rewrite(doc, &job->options)) return CORNU_OK;
    if (job->path && data_bytes(doc, &job->options) > BUILD_IN_MEMORY) {
        temporary = cn_temporary_beside(job->path);
        if (!temporary) return CN_NO_MEMORY(strlen(job->path));
    }
    CN_STEP(cn_h5_writer_open(temporary, &cx.writer));
    made = true;
    CN_STEP(doc->h5 ? write_object(&cx, cn_h5_root(doc->h5)) : write_variables(&cx));
    CN_STEP(finish_rewrite(&cx, temporary, owned));
    *out = *owned;
done:
    cn_h5_writer_close(cx.writer);
    if (temporary && made) (void)unlink(temporary);
    cn_free(temporary);
    return st;
}
