/* Saving as legacy HDF5: a whole model, or its weights alone.
 *
 *   / @keras_version @backend @model_config @training_config       of a whole model; without these its model_weights are the root
 *     model_weights @layer_names @backend @keras_version
 *       dense @weight_names = ["dense/kernel", "dense/bias"]      tf.keras: "dense/kernel:0"
 *         dense/kernel, dense/bias                                data sets
 *       top_level_model_weights @weight_names                     what the model itself owns
 *     optimizer_weights @weight_names */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/dtype.h"
#include "base/size.h"
#include "keras/build.h"
#include "keras/compile.h"
#include "keras/legacy_config.h"
#include "keras/listing.h"
#include "keras/writers.h"

#define KERAS_VERSION "3.15.1"
#define TF_VERSION "2.15.0"
#define BACKEND "tensorflow"

typedef struct h5_save {
    cn_build build;
    cn_document* doc;
    cn_arena arena;
    cornu_dialect dialect;
    bool whole; /* with the architecture */
} h5_save;

static const char* version_of(const h5_save* cx) { return cx->dialect == CORNU_DIALECT_TF ? TF_VERSION : KERAS_VERSION; }

static cornu_status no_room(const char* text) { return CN_NO_MEMORY(strlen(text)); }

/* ---- weights ---- */

static int compare_names(const void* a, const void* b) { return strcmp(*(const char* const*)a, *(const char* const*)b); }

static cornu_status check_unique(const h5_save* cx, const char* what, const char* const* names, size_t count) {
    cornu_status st = CORNU_OK;
    const char** sorted = cn_alloc_zero(count + 1, sizeof *sorted);

    if (!sorted) return CN_NO_MEMORY(count * sizeof *sorted);
    memcpy(sorted, names, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, compare_names);
    for (size_t i = 1; i < count && st == CORNU_OK; i++) {
        if (strcmp(sorted[i - 1], sorted[i]) == 0)
            st = CN_FAIL(UNSUPPORTED, "%s: %s would have two '%s' in legacy HDF5", cx->doc->name, what, sorted[i]);
    }
    cn_free(sorted);
    return st;
}

/* A layer's group, its weight_names, its data sets. */
static cornu_status write_layer(h5_save* cx, const cn_layer* layer) {
    const char* suffix = cx->dialect == CORNU_DIALECT_TF ? ":0" : "";
    const char* group = cn_arena_format(&cx->arena, "%s%s", cx->whole ? "model_weights/" : "", layer->name);
    cn_listed* list;
    const char** names;
    size_t count;

    if (!group) return no_room(layer->name);
    CN_TRY(cn_h5_writer_group(cx->build.writer, group));
    CN_TRY(cn_list_weights(cx->doc, layer, &cx->arena, &list, &count));
    names = cn_arena_array(&cx->arena, count + 1, sizeof *names);
    if (!names) return CN_NO_MEMORY(count * sizeof *names);
    for (size_t i = 0; i < count; i++) {
        if (list[i].variable->dtype == CORNU_BFLOAT16)
            return CN_FAIL(UNSUPPORTED, "%s: variable '%s' is of dtype bfloat16, which Keras cannot read from legacy HDF5", cx->doc->name,
                           list[i].variable->path);
        names[i] = cn_arena_format(&cx->arena, "%s%s", list[i].name, suffix);
        if (!names[i]) return no_room(list[i].name);
    }
    CN_TRY(check_unique(cx, cn_layer_describe(layer), names, count));
    CN_TRY(cn_build_names(&cx->build, group, "weight_names", names, count));
    for (size_t i = 0; i < count; i++) {
        const char* path = cn_arena_format(&cx->arena, "%s/%s", group, names[i]);
        if (!path) return no_room(group);
        CN_TRY(cn_build_variable(&cx->build, path, list[i].variable));
    }
    return CORNU_OK;
}

static int compare_layers(const void* a, const void* b) {
    const cn_layer* const* x = a;
    const cn_layer* const* y = b;
    return strcmp((*x)->name, (*y)->name);
}

/* What Keras calls model.layers: of a Sequential without its input, of a Functional without its operations. */
static cornu_status list_layers(h5_save* cx, const cn_layer*** out, size_t* count) {
    const cn_layer* root = cn_document_root(cx->doc);
    const cn_layer** layers = cn_arena_array(&cx->arena, root->layer_count + 1, sizeof *layers);

    *out = layers;
    *count = 0;
    if (!layers) return CN_NO_MEMORY(root->layer_count * sizeof *layers);
    for (size_t i = 0; i < root->layer_count; i++) {
        const cn_layer* layer = root->layers[i];
        if (strchr(layer->path, '#')) continue;
        if (!*layer->name || strchr(layer->name, '/'))
            return CN_FAIL(UNSUPPORTED, "%s: the name '%s' of a layer (%s) cannot be a group's in legacy HDF5", cx->doc->name, layer->name,
                           layer->class_name);
        layers[(*count)++] = layer;
    }
    return CORNU_OK;
}

static cornu_status write_weights(h5_save* cx) {
    const char* group = cx->whole ? "model_weights" : "";
    const char* top = cx->whole ? "model_weights/top_level_model_weights" : "top_level_model_weights";
    const cn_layer** layers;
    const char** names;
    size_t count;

    CN_TRY(list_layers(cx, &layers, &count));
    names = cn_arena_array(&cx->arena, count + 1, sizeof *names);
    if (!names) return CN_NO_MEMORY(count * sizeof *names);
    for (size_t i = 0; i < count; i++) names[i] = layers[i]->name;
    CN_TRY(check_unique(cx, "the model", names, count));
    CN_TRY(cn_h5_writer_group(cx->build.writer, group));
    CN_TRY(cn_build_names(&cx->build, group, "layer_names", names, count));
    CN_TRY(cn_build_text(&cx->build, group, "backend", BACKEND, strlen(BACKEND), false));
    CN_TRY(cn_build_text(&cx->build, group, "keras_version", version_of(cx), strlen(version_of(cx)), false));
    qsort(layers, count, sizeof *layers, compare_layers); /* as Keras does: a group comes before what its name begins */
    for (size_t i = 0; i < count; i++) CN_TRY(write_layer(cx, layers[i]));
    CN_TRY(cn_h5_writer_group(cx->build.writer, top));
    return cn_build_names(&cx->build, top, "weight_names", NULL, 0);
}

/* ---- what a whole model has besides ---- */

static cornu_status write_json(h5_save* cx, const char* name, const cn_buf* text) {
    CN_TRY(cn_buf_check(text));
    return cn_build_text(&cx->build, "", name, text->data, text->size, false);
}

static cornu_status write_root(h5_save* cx) {
    cornu_status st = CORNU_OK;
    cn_buf text = {0};

    CN_STEP(cn_build_text(&cx->build, "", "backend", BACKEND, strlen(BACKEND), true));
    CN_STEP(cn_build_text(&cx->build, "", "keras_version", version_of(cx), strlen(version_of(cx)), true));
    CN_STEP(cn_legacy_print_model(cx->doc, cx->dialect, &text));
    CN_STEP(write_json(cx, "model_config", &text));
done:
    cn_buf_deinit(&text);
    return st;
}

/* Gives the trained variables the paths that the file has for them, from which the optimizer's names are made. */
static cornu_status name_trained(h5_save* cx, cn_optimizer_state* state) {
    const cn_layer** layers;
    size_t layer_count;

    CN_TRY(list_layers(cx, &layers, &layer_count));
    for (size_t i = 0; i < layer_count; i++) {
        cn_listed* list;
        size_t count;
        CN_TRY(cn_list_weights(cx->doc, layers[i], &cx->arena, &list, &count));
        for (size_t k = 0; k < count; k++) {
            for (size_t t = 0; t < state->trained_count; t++) {
                if (state->trained[t].variable == list[k].variable) state->trained[t].name = list[k].name;
            }
        }
    }
    return CORNU_OK;
}

/* One variable of the optimizer: the document's own elements, or the same number everywhere. */
static cornu_status write_slot(h5_save* cx, const cn_optimizer_state* state, const cn_optimizer_entry* entry) {
    cornu_status st = CORNU_OK;
    const char* path = cn_arena_format(&cx->arena, "optimizer_weights/%s", entry->item.name);
    const cn_variable* source = entry->source;
    cn_variable made = {.path = path, .dtype = entry->item.dtype, .ndim = entry->item.ndim, .is_optimizer = true};

    if (!path) return no_room(entry->item.name);
    if (!source && isnan(entry->fill)) source = state->trained[entry->item.trained].variable;
    if (source) return cn_build_variable(&cx->build, path, source);
    memcpy(made.dims, entry->item.dims, sizeof made.dims);
    if (!cn_dims_count(made.dims, made.ndim, &made.count)) return no_room(path);
    made.value = cn_alloc_zero((size_t)made.count, cornu_dtype_size(made.dtype));
    if (!made.value) return no_room(path);
    for (int64_t i = 0; i < made.count; i++) {
        char* at = (char*)made.value + (size_t)i * cornu_dtype_size(made.dtype);
        CN_STEP(cn_dtype_convert(made.dtype, at, CORNU_FLOAT64, &entry->fill, 1));
    }
    CN_STEP(cn_build_variable(&cx->build, path, &made));
done:
    cn_free(made.value);
    return st;
}

static cornu_status write_optimizer_weights(h5_save* cx, cn_optimizer_state* state, cn_optimizer_dialect dialect) {
    cn_optimizer_entry* entries;
    const char** names;
    const char* lost;
    size_t count;

    if (state->unknown) {
        cn_save_note(cx->build.job, "the optimizer's variables are not carried: %s", state->unknown);
        return CORNU_OK;
    }
    CN_TRY(name_trained(cx, state));
    CN_TRY(cn_optimizer_export(cx->doc, state, dialect, &cx->arena, &entries, &count, &lost));
    if (lost) cn_save_note(cx->build.job, "of the optimizer's state there is no place for: %s", lost);
    if (count == 0) return CORNU_OK;
    names = cn_arena_array(&cx->arena, count, sizeof *names);
    if (!names) return CN_NO_MEMORY(count * sizeof *names);
    for (size_t i = 0; i < count; i++) names[i] = entries[i].item.name;
    CN_TRY(check_unique(cx, "the optimizer", names, count));
    CN_TRY(cn_h5_writer_group(cx->build.writer, "optimizer_weights"));
    CN_TRY(cn_build_names(&cx->build, "optimizer_weights", "weight_names", names, count));
    for (size_t i = 0; i < count; i++) CN_TRY(write_slot(cx, state, &entries[i]));
    return CORNU_OK;
}

/* optimizer_config: {"class_name", "config"}. Keras 3 has what the archive has; of tf.keras, what its optimizer of that name takes. */
static cornu_status print_optimizer(h5_save* cx, const cn_optimizer_state* state, cn_optimizer_dialect dialect, cn_buf* out) {
    const cn_json* optimizer = cn_json_get(cn_compile_object(cx->doc), "optimizer");
    const cn_json* config = cn_json_get(optimizer, "config");
    const char* class_name = cn_legacy_class(optimizer);

    if (dialect != CN_OPTIMIZER_KERAS3) return cn_optimizer_print(cx->doc, state, dialect, out);
    if (!class_name || !config) return CN_FAIL(UNSUPPORTED, "the file has no config of it");
    cn_buf_text(out, "{\"class_name\": ");
    cn_json_print_string(out, class_name, strlen(class_name));
    cn_buf_text(out, ", \"config\": ");
    CN_TRY(cn_json_print(config, out));
    cn_buf_text(out, "}");
    return CORNU_OK;
}

static cornu_status write_training(h5_save* cx) {
    cornu_status st = CORNU_OK;
    const cn_json* compile = cn_compile_object(cx->doc);
    cn_optimizer_dialect dialect = cx->dialect == CORNU_DIALECT_TF ? CN_OPTIMIZER_TF : CN_OPTIMIZER_KERAS3;
    cn_optimizer_state state;
    cn_buf text = {0};

    if (!compile || !cx->build.job->options.include_optimizer) return CORNU_OK;
    CN_TRY(cn_optimizer_state_of(cx->doc, &cx->arena, &state));
    cn_buf_text(&text, "{");
    CN_STEP(cn_legacy_print_compile(cx->doc, compile, cx->dialect, &text));
    cn_buf_text(&text, ", \"optimizer_config\": ");
    st = state.optimizer ? print_optimizer(cx, &state, dialect, &text) : CN_FAIL(UNSUPPORTED, "the file has no config of it");
    if (st == CORNU_UNSUPPORTED) {
        cn_save_note(cx->build.job, "the optimizer is not carried: %s", cornu_last_error());
        st = CORNU_OK;
        goto done;
    }
    CN_STEP(st);
    cn_buf_text(&text, "}");
    CN_STEP(write_json(cx, "training_config", &text));
    CN_STEP(write_optimizer_weights(cx, &state, dialect));
done:
    cn_buf_deinit(&text);
    return st;
}

/* ---- the whole ---- */

static uint64_t layer_bytes(const cn_document* doc) {
    uint64_t sum = 0;

    for (size_t i = 0; i < doc->variable_count; i++)
        sum += (uint64_t)doc->variables[i].count * cornu_dtype_size(doc->variables[i].dtype);
    return sum;
}

static cornu_status write_sink(void* to, const void* data, uint64_t size) { return cn_sink_write(to, data, size); }

static cornu_status refuse_assets(const cn_document* doc) {
    for (size_t i = 0; i < doc->asset_count; i++) {
        if (cn_source_size(doc->assets[i].source) > 0)
            return CN_FAIL(UNSUPPORTED, "%s: legacy HDF5 has no place for '%s', without which the model is another one; .keras holds it",
                           doc->name, doc->assets[i].name);
    }
    return CORNU_OK;
}

static cornu_status save_h5(cn_document* doc, cn_save_job* job, bool whole) {
    h5_save cx = {.doc = doc, .whole = whole};
    cornu_status st = CORNU_OK;
    cn_source* bytes = NULL;

    cx.dialect = job->options.dialect;
    if (cx.dialect == CORNU_DIALECT_AUTO) cx.dialect = whole ? CORNU_DIALECT_KERAS : CORNU_DIALECT_TF;
    if (!cn_document_root(doc))
        return CN_FAIL(UNSUPPORTED, "%s: legacy HDF5 has weights by layer; a file of weights only needs an architecture (config_path)",
                       doc->name);
    if (cn_document_root(doc)->kind != CN_LAYER_FUNCTIONAL && cn_document_root(doc)->kind != CN_LAYER_SEQUENTIAL)
        return CN_FAIL(UNSUPPORTED, "%s: the model is of class %s; legacy HDF5 holds Functional and Sequential models only", doc->name,
                       cn_document_root(doc)->class_name);
    if (whole) CN_TRY(refuse_assets(doc));
    CN_STEP(cn_build_open(&cx.build, doc, job, layer_bytes(doc), whole ? "model.h5" : "weights.h5"));
    if (whole) CN_STEP(write_root(&cx));
    CN_STEP(write_weights(&cx));
    if (whole) CN_STEP(write_training(&cx));
    CN_STEP(cn_build_finish(&cx.build, &bytes));
    CN_STEP(cn_save_source(job, bytes, write_sink, job->sink));
done:
    cn_source_close(bytes);
    cn_build_close(&cx.build);
    cn_arena_deinit(&cx.arena);
    return st;
}

cornu_status cn_save_h5(cn_document* doc, cn_save_job* job) { return save_h5(doc, job, true); }
cornu_status cn_save_h5_weights(cn_document* doc, cn_save_job* job) { return save_h5(doc, job, false); }
