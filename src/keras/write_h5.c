/* Saving as legacy HDF5: a whole model, or its weights alone.
 *
 *   / @keras_version @backend @model_config @training_config       of a whole model; without these its model_weights are the root
 *     model_weights @layer_names @backend @keras_version
 *       dense @weight_names = ["dense/kernel", "dense/bias"]      tf.keras: "dense/kernel:0"
 *         dense/kernel, dense/bias                                data sets
 *       top_level_model_weights @weight_names                     what the model itself owns
 *     optimizer_weights @weight_names */
#include <stdlib.h>
#include <string.h>

#include "keras/build.h"
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

/* The optimizer's variables under names of their numbers, as Keras 3 orders them. */
static cornu_status write_optimizer_weights(h5_save* cx, const char* optimizer) {
    const char** names = cn_arena_array(&cx->arena, cx->doc->variable_count + 1, sizeof *names);
    size_t count = 0;

    if (!names) return CN_NO_MEMORY(cx->doc->variable_count * sizeof *names);
    for (;; count++) {
        const char* number = cn_arena_format(&cx->arena, "optimizer/vars/%zu", count);
        if (!number) return CN_NO_MEMORY(32);
        if (!cn_document_variable(cx->doc, number)) break;
        names[count] = count == 0   ? cn_arena_format(&cx->arena, "%s/iteration", optimizer)
                       : count == 1 ? cn_arena_format(&cx->arena, "%s/learning_rate", optimizer)
                                    : cn_arena_format(&cx->arena, "%s/variable_%zu", optimizer, count);
        if (!names[count]) return no_room(optimizer);
    }
    if (count == 0) return CORNU_OK;
    CN_TRY(cn_h5_writer_group(cx->build.writer, "optimizer_weights"));
    CN_TRY(cn_build_names(&cx->build, "optimizer_weights", "weight_names", names, count));
    for (size_t i = 0; i < count; i++) {
        const char* from = cn_arena_format(&cx->arena, "optimizer/vars/%zu", i);
        const char* path = cn_arena_format(&cx->arena, "optimizer_weights/%s", names[i]);
        if (!from || !path) return no_room(names[i]);
        CN_TRY(cn_build_variable(&cx->build, path, cn_document_variable(cx->doc, from)));
    }
    return CORNU_OK;
}

static cornu_status write_training(h5_save* cx) {
    cornu_status st = CORNU_OK;
    const cn_json* compile = cn_json_get(cn_document_root(cx->doc)->object, "compile_config");
    const cn_json* optimizer = cn_json_get(compile, "optimizer");
    const cn_json* config = cn_json_get(optimizer, "config");
    const char* name = cn_json_string(cn_json_get(config, "name"), NULL);
    const char* class_name = cn_legacy_class(optimizer);
    cn_buf text = {0};

    if (!compile || cn_json_size(compile) == 0 || !cx->build.job->options.include_optimizer) return CORNU_OK;
    if (!class_name || !config) {
        cn_save_note(cx->build.job, "the optimizer is not carried: the file has no config of it");
        return CORNU_OK;
    }
    if (cx->dialect == CORNU_DIALECT_TF) {
        cn_save_note(cx->build.job, "the optimizer and its state are not carried: compile the model in tf.keras");
        return CORNU_OK;
    }
    cn_buf_text(&text, "{");
    CN_STEP(cn_legacy_print_compile(cx->doc, compile, cx->dialect, &text));
    cn_buf_text(&text, ", \"optimizer_config\": {\"class_name\": ");
    cn_json_print_string(&text, class_name, strlen(class_name));
    cn_buf_text(&text, ", \"config\": ");
    CN_STEP(cn_json_print(config, &text));
    cn_buf_text(&text, "}}");
    CN_STEP(write_json(cx, "training_config", &text));
    CN_STEP(write_optimizer_weights(cx, name ? name : "optimizer"));
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
