/* Findings, and what concerns the file as a whole. */
#include "keras/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void cn_check_deinit(cn_check* check) {
    cn_arena_deinit(&check->arena);
    cn_free(check->rows);
    check->rows = NULL;
    check->count = check->capacity = 0;
}

bool cn_check_is_declared(const cn_check* check, const char* name) {
    const char* plain = strrchr(name, '>');

    for (int i = 0; i < check->declared_count; i++) {
        if (strcmp(check->declared[i], name) == 0 || (plain && strcmp(check->declared[i], plain + 1) == 0)) return true;
    }
    return false;
}

cornu_status cn_check_add(cn_check* check, cornu_severity severity, const char* who, const char* code, const char* place, const char* remedy,
                          const char* format, ...) {
    char what[1024];
    va_list list;
    cornu_finding* row;

    va_start(list, format);
    (void)vsnprintf(what, sizeof what, format, list);
    va_end(list);
    for (size_t i = 0; i < check->count; i++) {
        row = &check->rows[i];
        if (strcmp(row->code, code) == 0 && strcmp(row->place, place) == 0 && strcmp(row->what, what) == 0 && strcmp(row->who, who) == 0)
            return CORNU_OK;
    }
    if (check->count == check->capacity) {
        size_t capacity = check->capacity ? 2 * check->capacity : 16;
        cornu_finding* rows = cn_realloc(check->rows, capacity * sizeof *rows);
        if (!rows) return CN_NO_MEMORY(capacity * sizeof *rows);
        check->rows = rows;
        check->capacity = capacity;
    }
    row = &check->rows[check->count];
    *row = (cornu_finding){sizeof *row, severity, who, code, cn_arena_strdup(&check->arena, place), cn_arena_strdup(&check->arena, what), remedy};
    if (!row->place || !row->what) return CN_NO_MEMORY(strlen(what));
    check->count++;
    return CORNU_OK;
}

static bool ends_with(const char* text, const char* end) {
    size_t n = strlen(text), m = strlen(end);
    return n >= m && memcmp(text + n - m, end, m) == 0;
}

/* Keras goes by the name. */
static cornu_status check_name(const cn_document* doc, cn_check* check) {
    static const struct {
        cornu_format format;
        const char* ending;
    } rows[] = {
        {CORNU_FORMAT_KERAS, ".keras"},
        {CORNU_FORMAT_WEIGHTS, ".weights.h5"},
        {CORNU_FORMAT_H5, ".h5"},
        {CORNU_FORMAT_H5, ".hdf5"},
        {CORNU_FORMAT_H5_WEIGHTS, ".h5"},
        {CORNU_FORMAT_H5_WEIGHTS, ".hdf5"},
    };
    const char* wanted = NULL;

    if (strcmp(doc->name, "<memory>") == 0) return CORNU_OK;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].format != cn_document_format(doc)) continue;
        if (ends_with(doc->name, rows[i].ending)) return CORNU_OK;
        if (!wanted) wanted = rows[i].ending;
    }
    if (!wanted) return CORNU_OK;
    return cn_check_add(check, CORNU_PROBLEM, "keras", "name", "file", "Rename the file.",
                        "Keras goes by the ending of the name, which is not %s as the content would have it", wanted);
}

/* Keras's guard against bombs. */
static cornu_status check_ratios(const cn_document* doc, cn_check* check) {
    bool extracts = doc->zip && cn_zip_count(doc->zip) > 3;

    for (size_t i = 0; doc->zip && i < cn_zip_count(doc->zip); i++) {
        const cn_zip_entry* entry = cn_zip_entry_at(doc->zip, i);
        bool own = strcmp(entry->name, CN_MEMBER_CONFIG) == 0 || strcmp(entry->name, CN_MEMBER_WEIGHTS) == 0;
        uint64_t limit = own ? (uint64_t)4 << 30 : (uint64_t)256 << 20;
        if (!own && !extracts) continue;
        if (entry->size <= limit || entry->size / 100 < entry->stored_size) continue;
        CN_TRY(cn_check_add(check, CORNU_PROBLEM, "keras", "ratio", entry->name, "Save the model anew: 'cornu convert' writes members uncompressed.",
                            "it is %llu times as large as what the archive stores of it; Keras takes 100 times from %llu MiB on",
                            (unsigned long long)(entry->size / (entry->stored_size ? entry->stored_size : 1)), (unsigned long long)(limit >> 20)));
    }
    return CORNU_OK;
}

cornu_status cn_check_document(cn_document* doc, cn_check* out) {
    CN_TRY(check_name(doc, out));
    CN_TRY(check_ratios(doc, out));
    if (!cn_document_root(doc))
        return cn_check_add(out, CORNU_NOTE, "keras", "weights-only", "file", "Load it with load_weights() of the model it belongs to.",
                            "the file holds weights only; load_model does not open it");
    if (doc->legacy) return cn_check_legacy(doc, out);
    CN_TRY(cn_check_config(doc, out));
    return cn_check_weights(doc, out);
}
