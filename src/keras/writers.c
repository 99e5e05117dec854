/* The table of what can be written, and what each of it leaves out. */
#include "keras/writers.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static cornu_status save_zip(cn_document* doc, cn_save_job* job) { return cn_format_keras.save(doc, job); }
static cornu_status save_directory(cn_document* doc, cn_save_job* job) { return cn_format_keras_dir.save(doc, job); }
static cornu_status save_weights(cn_document* doc, cn_save_job* job) { return cn_format_weights.save(doc, job); }

/* A longer extension comes before one that it ends with. */
static const cn_writer writers[] = {
    {CORNU_FORMAT_KERAS, "keras", {".keras"}, save_zip, false, false},
    {CORNU_FORMAT_KERAS_DIR, "keras-dir", {"/"}, save_directory, false, false},
    {CORNU_FORMAT_WEIGHTS, "weights.h5", {".weights.h5"}, save_weights, true, false},
    {CORNU_FORMAT_SHARDED, "weights.json", {".weights.json"}, cn_save_sharded, true, false},
    {CORNU_FORMAT_H5, "h5", {".h5", ".hdf5"}, cn_save_h5, false, false},
    {CORNU_FORMAT_H5_WEIGHTS, "h5-weights", {NULL}, cn_save_h5_weights, true, false},
    {CORNU_FORMAT_JSON, "json", {".json"}, cn_save_json, false, true},
    {CORNU_FORMAT_NPZ, "npz", {".npz"}, cn_save_npz, true, false},
};
#define WRITER_COUNT (sizeof writers / sizeof *writers)

const cn_writer* cn_writer_at(size_t i) { return i < WRITER_COUNT ? &writers[i] : NULL; }

static bool ends_with(const char* text, const char* end) {
    size_t n = strlen(text), m = strlen(end);
    return n > m && memcmp(text + n - m, end, m) == 0;
}

static bool has_extension(const cn_writer* writer, const char* path) {
    for (size_t i = 0; writer->extensions[i]; i++) {
        if (ends_with(path, writer->extensions[i])) return true;
    }
    return false;
}

cornu_status cn_writer_of_path(const char* path, cornu_format asked, const cn_writer** out) {
    *out = NULL;
    for (size_t i = 0; i < WRITER_COUNT && !*out; i++) {
        if (asked == CORNU_FORMAT_AUTO ? has_extension(&writers[i], path) : writers[i].id == asked) *out = &writers[i];
    }
    if (*out) return CORNU_OK;
    if (asked != CORNU_FORMAT_AUTO) return CN_FAIL(BAD_ARGUMENT, "cannot save '%s': %d is no format", path, (int)asked);
    return CN_FAIL(BAD_ARGUMENT,
                   "cannot save '%s': its extension names no format; known are .keras (archive), .weights.h5 and .weights.json (weights "
                   "only), .h5 and .hdf5 (legacy HDF5), .json (architecture), .npz (arrays), and a path that ends with '/' (directory)",
                   path);
}

void cn_save_note(const cn_save_job* job, const char* format, ...) {
    char text[1024];
    va_list list;

    if (!job->options.note) return;
    va_start(list, format);
    (void)vsnprintf(text, sizeof text, format, list);
    va_end(list);
    job->options.note(job->options.note_user, text);
}
