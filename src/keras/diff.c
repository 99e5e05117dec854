/* Compares documents: configs (diff_config.c), variables, assets. */
#include "keras/diff.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/dtype.h"
#include "keras/optimizer.h"
#include "keras/parts.h"

void cn_diff_deinit(cn_diff* diff) {
    cn_arena_deinit(&diff->arena);
    cn_free(diff->rows);
    *diff = (cn_diff){0};
}

static cornu_status keep(cn_diff* diff, const char* text, const char** out) {
    *out = text ? cn_arena_strdup(&diff->arena, text) : NULL;
    return text && !*out ? CN_NO_MEMORY(strlen(text)) : CORNU_OK;
}

cornu_status cn_diff_add(cn_diff* diff, const cornu_difference* row) {
    cornu_difference all = *row;

    if (diff->count == diff->capacity) {
        size_t capacity = diff->capacity ? 2 * diff->capacity : 16;
        cornu_difference* rows = cn_realloc(diff->rows, capacity * sizeof *rows);
        if (!rows) return CN_NO_MEMORY(capacity * sizeof *rows);
        diff->rows = rows;
        diff->capacity = capacity;
    }
    CN_TRY(keep(diff, row->place, &all.place));
    CN_TRY(keep(diff, row->a, &all.a));
    CN_TRY(keep(diff, row->b, &all.b));
    diff->rows[diff->count++] = all;
    return CORNU_OK;
}

/* ---- variables ---- */

/* "float32 (3, 4)" */
static void describe(const cn_variable* variable, char* out, size_t size) {
    size_t at = (size_t)snprintf(out, size, "%s (", cornu_dtype_name(variable->dtype));

    for (int i = 0; i < variable->ndim && at + 32 < size; i++)
        at += (size_t)snprintf(out + at, size - at, i ? ", %lld" : "%lld", (long long)variable->dims[i]);
    (void)snprintf(out + at, size - at, variable->ndim == 1 ? ",)" : ")");
}

/* All elements as float64, complex ones as two; the caller's to free. */
static cornu_status read_doubles(const cn_document* doc, const cn_variable* variable, double** out) {
    cornu_status st = CORNU_OK;
    void* bytes = NULL;
    bool complex = variable->dtype == CORNU_COMPLEX64 || variable->dtype == CORNU_COMPLEX128;
    cornu_dtype part = variable->dtype == CORNU_COMPLEX64 ? CORNU_FLOAT32 : variable->dtype == CORNU_COMPLEX128 ? CORNU_FLOAT64 : variable->dtype;
    int64_t count = variable->count * (complex ? 2 : 1);

    *out = NULL;
    bytes = cn_alloc_zero((size_t)variable->count, cornu_dtype_size(variable->dtype));
    *out = cn_alloc_zero((size_t)count, sizeof **out);
    if (!bytes || !*out) CN_STEP(CN_NO_MEMORY((size_t)count * sizeof **out));
    CN_STEP(cn_document_read(doc, variable, bytes));
    CN_STEP(cn_dtype_convert(CORNU_FLOAT64, *out, part, bytes, count));
done:
    cn_free(bytes);
    return st;
}

static void measure(const double* a, const double* b, int64_t count, cornu_difference* row) {
    double sum = 0;

    row->has_errors = 1;
    row->count = count;
    for (int64_t i = 0; i < count; i++) {
        double error;
        if (a[i] == b[i] || (isnan(a[i]) && isnan(b[i]))) continue;
        error = fabs(a[i] - b[i]);
        if (isnan(error)) error = INFINITY;
        row->different++;
        row->max_error = fmax(row->max_error, error);
        sum += error;
    }
    row->mean_error = count ? sum / (double)count : 0;
}

static bool same_shape(const cn_variable* a, const cn_variable* b) {
    return a->ndim == b->ndim && memcmp(a->dims, b->dims, (size_t)a->ndim * sizeof *a->dims) == 0;
}

static bool is_readable(const cn_variable* variable) { return variable->dtype != 0 && variable->dtype != CORNU_STRING; }

/* dtypes: whether they count; formats store counters in different ones. */
static cornu_status compare_variables(const cn_document* doc_a, const cn_variable* a, const cn_document* doc_b, const cn_variable* b, bool dtypes,
                                      const cornu_difference* about, cn_diff* out) {
    cornu_status st = CORNU_OK;
    cornu_difference row = *about;
    char text_a[512], text_b[512];
    double *x = NULL, *y = NULL;

    describe(a, text_a, sizeof text_a);
    describe(b, text_b, sizeof text_b);
    row.a = text_a;
    row.b = text_b;
    if (!same_shape(a, b) || !is_readable(a) || !is_readable(b)) return strcmp(text_a, text_b) == 0 ? CORNU_OK : cn_diff_add(out, &row);
    CN_STEP(read_doubles(doc_a, a, &x));
    CN_STEP(read_doubles(doc_b, b, &y));
    measure(x, y, a->count, &row);
    if (row.different || (dtypes && a->dtype != b->dtype)) CN_STEP(cn_diff_add(out, &row));
done:
    cn_free(x);
    cn_free(y);
    return st;
}

static cornu_status add_missing(const cn_variable* variable, bool in_a, const cornu_difference* about, cn_diff* out) {
    cornu_difference row = *about;
    char text[512];

    describe(variable, text, sizeof text);
    row.a = in_a ? text : NULL;
    row.b = in_a ? NULL : text;
    return cn_diff_add(out, &row);
}

static bool is_weight(const cn_variable* variable) { return !variable->is_optimizer && strncmp(variable->path, "metrics/", 8) != 0; }

static cornu_status compare_weights(const cn_document* a, const cn_document* b, cn_diff* out) {
    for (size_t i = 0; i < cn_document_variable_count(a); i++) {
        const cn_variable* variable = cn_document_variable_at(a, i);
        const cn_variable* other = cn_document_variable(b, variable->path);
        cornu_difference row = {0};
        row.kind = CORNU_DIFF_WEIGHT;
        row.place = variable->path;
        if (!is_weight(variable)) continue;
        if (other) CN_TRY(compare_variables(a, variable, b, other, true, &row, out));
        else CN_TRY(add_missing(variable, true, &row, out));
    }
    for (size_t i = 0; i < cn_document_variable_count(b); i++) {
        const cn_variable* variable = cn_document_variable_at(b, i);
        cornu_difference row = {0};
        row.kind = CORNU_DIFF_WEIGHT;
        row.place = variable->path;
        if (is_weight(variable) && !cn_document_variable(a, variable->path)) CN_TRY(add_missing(variable, false, &row, out));
    }
    return CORNU_OK;
}

/* ---- optimizers ---- */

/* Whether one format may lack it: the learning rate is in the config as well. */
static bool may_lack(const cn_optimizer_item* item) { return strcmp(item->slot, "learning_rate") == 0 || strcmp(item->slot, "placeholder") == 0; }

static const char* slot_place(cn_diff* out, const cn_optimizer_state* state, size_t i) {
    const cn_optimizer_item* item = &state->layout.items[i];
    if (item->trained < 0) return cn_arena_format(&out->arena, "%s (%s)", state->variables[i]->path, item->slot);
    return cn_arena_format(&out->arena, "%s (%s of %s)", state->variables[i]->path, item->slot, state->trained[item->trained].variable->path);
}

/* Trained variables of both are numbered alike when both have as many. */
static cornu_status compare_slots(const cn_document* a, const cn_optimizer_state* x, const cn_document* b, const cn_optimizer_state* y, cn_diff* out) {
    for (size_t i = 0; i < x->layout.count; i++) {
        int64_t j = cn_optimizer_find(&y->layout, &x->layout.items[i]);
        cornu_difference row = {0};
        row.kind = CORNU_DIFF_OPTIMIZER;
        row.place = slot_place(out, x, i);
        if (!row.place) return CN_NO_MEMORY(64);
        if (j >= 0) CN_TRY(compare_variables(a, x->variables[i], b, y->variables[j], false, &row, out));
        else if (!may_lack(&x->layout.items[i])) CN_TRY(add_missing(x->variables[i], true, &row, out));
    }
    for (size_t j = 0; j < y->layout.count; j++) {
        cornu_difference row = {0};
        if (may_lack(&y->layout.items[j]) || cn_optimizer_find(&x->layout, &y->layout.items[j]) >= 0) continue;
        row.kind = CORNU_DIFF_OPTIMIZER;
        row.place = slot_place(out, y, j);
        if (!row.place) return CN_NO_MEMORY(64);
        CN_TRY(add_missing(y->variables[j], false, &row, out));
    }
    return CORNU_OK;
}

/* By their paths, where they cannot be told apart. */
static cornu_status compare_by_path(const cn_document* a, const cn_document* b, bool in_a, cn_diff* out) {
    for (size_t i = 0; i < cn_document_variable_count(a); i++) {
        const cn_variable* variable = cn_document_variable_at(a, i);
        const cn_variable* other = cn_document_variable(b, variable->path);
        cornu_difference row = {0};
        row.kind = CORNU_DIFF_OPTIMIZER;
        row.place = variable->path;
        if (!variable->is_optimizer) continue;
        if (!other) CN_TRY(add_missing(variable, in_a, &row, out));
        else if (in_a) CN_TRY(compare_variables(a, variable, b, other, false, &row, out));
    }
    return CORNU_OK;
}

static cornu_status compare_optimizers(const cn_document* a, const cn_document* b, cn_diff* out) {
    cornu_status st = CORNU_OK;
    cn_arena arena = {0};
    cn_optimizer_state x, y;

    CN_STEP(cn_optimizer_state_of(a, &arena, &x));
    CN_STEP(cn_optimizer_state_of(b, &arena, &y));
    if (x.optimizer && y.optimizer && !x.unknown && !y.unknown && x.trained_count == y.trained_count && x.count && y.count) {
        CN_STEP(compare_slots(a, &x, b, &y, out));
    } else {
        CN_STEP(compare_by_path(a, b, true, out));
        CN_STEP(compare_by_path(b, a, false, out));
    }
done:
    cn_arena_deinit(&arena);
    return st;
}

/* ---- assets ---- */

static const cn_asset* find_asset(const cn_document* doc, const char* name) {
    for (size_t i = 0; i < cn_document_asset_count(doc); i++) {
        if (strcmp(cn_document_asset_at(doc, i)->name, name) == 0) return cn_document_asset_at(doc, i);
    }
    return NULL;
}

static cornu_status same_bytes(cn_source* a, cn_source* b, bool* out) {
    cornu_status st = CORNU_OK;
    enum { PIECE = 65536 };
    char* piece = cn_alloc(2 * (size_t)PIECE);
    uint64_t size = cn_source_size(a);

    *out = size == cn_source_size(b);
    if (!piece) return CN_NO_MEMORY(2 * (size_t)PIECE);
    for (uint64_t at = 0; *out && at < size; at += PIECE) {
        uint64_t n = size - at < PIECE ? size - at : PIECE;
        CN_STEP(cn_source_read(a, at, piece, n));
        CN_STEP(cn_source_read(b, at, piece + PIECE, n));
        *out = memcmp(piece, piece + PIECE, (size_t)n) == 0;
    }
done:
    cn_free(piece);
    return st;
}

static cornu_status compare_assets(const cn_document* a, const cn_document* b, bool in_a, cn_diff* out) {
    for (size_t i = 0; i < cn_document_asset_count(a); i++) {
        const cn_asset* asset = cn_document_asset_at(a, i);
        const cn_asset* other = find_asset(b, asset->name);
        char text[2][48];
        bool same = false;
        cornu_difference row = {0};
        if (other && !in_a) continue;
        if (other) CN_TRY(same_bytes(asset->source, other->source, &same));
        if (same) continue;
        (void)snprintf(text[0], sizeof text[0], "%llu bytes", (unsigned long long)cn_source_size(asset->source));
        if (other) (void)snprintf(text[1], sizeof text[1], "%llu bytes", (unsigned long long)cn_source_size(other->source));
        row.kind = CORNU_DIFF_ASSET;
        row.place = asset->name;
        row.a = in_a ? text[0] : NULL;
        row.b = !in_a ? text[0] : other ? text[1] : NULL;
        CN_TRY(cn_diff_add(out, &row));
    }
    return CORNU_OK;
}

cornu_status cn_diff_documents(const cn_document* a, const cn_document* b, cn_diff* out) {
    CN_TRY(cn_diff_configs(a, b, out));
    CN_TRY(compare_weights(a, b, out));
    CN_TRY(compare_optimizers(a, b, out));
    CN_TRY(compare_assets(a, b, true, out));
    return compare_assets(b, a, false, out);
}
