/* .npz as plain weights: one array a variable, under the variable's path in a file ("layers/dense/vars/0") or in the model ("dense/kernel").
 * Arrays are read when they are asked for. */
#include <string.h>

#include "archive/npy.h"
#include "base/dtype.h"
#include "keras/parts.h"

bool cn_npz_is_plain(const cn_zip* zip) {
    size_t count = cn_zip_count(zip);

    for (size_t i = 0; i < count; i++) {
        const char* name = cn_zip_entry_at(zip, i)->name;
        size_t n = strlen(name);
        if (n <= 4 || strcmp(name + n - 4, ".npy") != 0) return false;
    }
    return count > 0;
}

static cornu_status read_npy(const cn_document* doc, const cn_variable* variable, void* dst) {
    cornu_status st = CORNU_OK;
    cornu_tensor whole = {0};

    (void)doc;
    CN_STEP(cn_npy_read(variable->origin->source, &whole));
    memcpy(dst, whole.data, (size_t)variable->count * cornu_dtype_size(variable->dtype));
done:
    cornu_tensor_release(&whole);
    return st;
}

static cornu_status add_array(cn_document* doc, const cn_zip_entry* entry) {
    cn_variable* variable = &doc->variables[doc->variable_count];
    cn_origin* origin = cn_arena_alloc(&doc->arena, sizeof *origin);
    cn_source* source;
    cornu_tensor shape;

    if (!origin) return CN_NO_MEMORY(sizeof *origin);
    variable->path = cn_arena_strndup(&doc->arena, entry->name, strlen(entry->name) - 4);
    if (!variable->path) return CN_NO_MEMORY(strlen(entry->name));
    CN_TRY(cn_zip_open_entry(doc->zip, entry, &source));
    CN_TRY(cn_document_add_member(doc, entry->name, source));
    CN_TRY(cn_npy_shape(source, &shape));
    *origin = (cn_origin){.read = read_npy, .source = source};
    variable->dtype = shape.dtype;
    variable->ndim = shape.ndim;
    memcpy(variable->dims, shape.dims, sizeof variable->dims);
    variable->count = cornu_tensor_count(&shape);
    variable->is_optimizer = strncmp(variable->path, "optimizer/", 10) == 0;
    variable->origin = origin;
    doc->variable_count++;
    return CORNU_OK;
}

static cornu_status open_npz(cn_document* doc, int dir_fd, const cornu_load_options* options) {
    size_t count = cn_zip_count(doc->zip);

    (void)dir_fd;
    CN_TRY(cn_document_reserve(doc, count));
    doc->variables = cn_arena_array(&doc->arena, count + 1, sizeof *doc->variables);
    if (!doc->variables) return CN_NO_MEMORY(count * sizeof *doc->variables);
    for (size_t i = 0; i < count; i++) CN_TRY(add_array(doc, cn_zip_entry_at(doc->zip, i)));
    CN_TRY(cn_weights_index(doc));
    return cn_config_adopt(doc, options);
}

static cornu_status save_npz(cn_document* doc, cn_save_job* job) {
    (void)job;
    return CN_FAIL(UNSUPPORTED, "%s: .npz is not written here", doc->name);
}

const cn_format cn_format_npz = {CORNU_FORMAT_NPZ, "npz", NULL, open_npz, save_npz};
