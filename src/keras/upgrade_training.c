/* The compile state of an older document in Keras 3.15's form: losses and metrics as objects with modules, the optimizer's config and its variables
 * in Keras 3's order. Which variable is which comes from keras/optimizer.h. */
#include <math.h>
#include <string.h>

#include "base/dtype.h"
#include "keras/check.h"
#include "keras/optimizer_table.h"
#include "keras/upgrade_parts.h"

#define OPTIMIZER_GROUP "optimizer_weights"

/* compile_config of an archive, or training_config of legacy HDF5; NULL for none. */
static const cn_json* compiled_of(const cn_document* doc) {
    const cn_json* object = doc->training ? cn_json_root(doc->training) : cn_json_get(cn_document_root(doc)->object, "compile_config");
    return doc->compile && cn_json_is(object, CN_JSON_OBJECT) && cn_json_size(object) > 0 ? object : NULL;
}

static const cn_json* optimizer_of(const cn_document* doc) {
    const cn_json* compiled = compiled_of(doc);
    return doc->training ? cn_json_get(compiled, "optimizer_config") : cn_json_get(compiled, "optimizer");
}

/* ---- losses and metrics ---- */

static void put_raw(cn_upgrade* u, const cn_json* value) {
    cornu_status st = cn_json_print(value, &u->text);
    if (u->status == CORNU_OK) u->status = st;
}

static void put_function(cn_upgrade* u, const char* name) {
    cn_upgrade_put(u, "{\"module\": \"builtins\", \"class_name\": \"function\", \"config\": ");
    cn_upgrade_put_string(u, name);
    cn_upgrade_put(u, ", \"registered_name\": \"function\"}");
}

/* One key of a loss's or metric's config. */
static void put_member(cn_upgrade* u, const char* key, const cn_json* value) {
    const char* text = cn_json_string(value, NULL);

    if (strcmp(key, "reduction") == 0 && text && (strcmp(text, "auto") == 0 || strcmp(text, "AUTO") == 0)) {
        cn_upgrade_put(u, "\"sum_over_batch_size\""); /* what tf.keras's "auto" is outside of distribution strategies */
    } else if (strcmp(key, "fn") == 0 && text && cn_keras_has_function(text)) {
        put_function(u, text);
    } else {
        put_raw(u, value);
    }
}

/* An object of a class of Keras, with the keys that it takes. */
static void put_known(cn_upgrade* u, const char* module, const char* class_name, const char* keys, const cn_json* config) {
    bool any = false;

    cn_buf_format(&u->text, "{\"module\": \"%s\", \"class_name\": \"%s\", \"config\": {", module, class_name);
    for (size_t i = 0; i < cn_json_size(config); i++) {
        const char* key = cn_json_key_at(config, i, NULL);
        if (!cn_is_word_of(keys, key)) continue;
        if (any) cn_upgrade_put(u, ", ");
        any = true;
        cn_upgrade_put_string(u, key);
        cn_upgrade_put(u, ": ");
        put_member(u, key, cn_json_at(config, i));
    }
    cn_upgrade_put(u, "}, \"registered_name\": null}");
}

/* A name, an object, or lists and dicts of these. */
static void put_objective(cn_upgrade* u, const cn_json* value, const char* module) {
    const char* class_name = cn_json_string(cn_json_get(value, "class_name"), NULL);
    const char* keys = class_name ? cn_keras_keys(module, class_name) : NULL;
    bool object = cn_json_is(value, CN_JSON_OBJECT);

    if (keys) {
        put_known(u, module, class_name, keys, cn_json_get(value, "config"));
    } else if (class_name || (!object && !cn_json_is(value, CN_JSON_ARRAY))) {
        put_raw(u, value);
    } else {
        cn_upgrade_put(u, object ? "{" : "[");
        for (size_t i = 0; i < cn_json_size(value); i++) {
            if (i) cn_upgrade_put(u, ", ");
            if (object) {
                cn_upgrade_put_string(u, cn_json_key_at(value, i, NULL));
                cn_upgrade_put(u, ": ");
            }
            put_objective(u, cn_json_at(value, i), module); /* depth: of the JSON */
        }
        cn_upgrade_put(u, object ? "}" : "]");
    }
}

/* ---- compile_config ---- */

static cornu_status put_optimizer(cn_upgrade* u) {
    cornu_status st = CORNU_OK;
    cn_arena arena = {0};
    cn_optimizer_state state = {0};
    const cn_json* object = optimizer_of(u->from);
    size_t before = u->text.size;

    CN_STEP(cn_optimizer_read(object, &arena, &state.optimizer));
    if (state.optimizer) st = cn_optimizer_print(u->from, &state, CN_OPTIMIZER_KERAS3, &u->text);
    if (!state.optimizer || st == CORNU_UNSUPPORTED) { /* of a class that is not known */
        u->text.size = before;
        st = cn_json_print(object, &u->text);
    }
done:
    cn_arena_deinit(&arena);
    return st;
}

cornu_status cn_upgrade_put_compile(cn_upgrade* u) {
    static const struct {
        const char *key, *module;
    } rows[] = {{"loss", "keras.losses"}, {"loss_weights", NULL}, {"metrics", "keras.metrics"}, {"weighted_metrics", "keras.metrics"},
                {"run_eagerly", NULL}, {"steps_per_execution", NULL}, {"jit_compile", NULL}};
    const cn_json* compiled = compiled_of(u->from);

    if (!compiled) return CORNU_OK;
    cn_upgrade_put(u, ", \"compile_config\": {\"optimizer\": ");
    CN_TRY(put_optimizer(u));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const cn_json* value = cn_json_get(compiled, rows[i].key);
        if (!value || (i > 3 && cn_json_type_of(value) == CN_JSON_NULL)) continue; /* Keras's defaults */
        cn_buf_format(&u->text, ", \"%s\": ", rows[i].key);
        if (rows[i].module) put_objective(u, value, rows[i].module);
        else put_raw(u, value);
    }
    cn_upgrade_put(u, "}");
    return u->status;
}

/* ---- variables ---- */

/* The optimizer's variables as the file lists them, with their names there. */
static cornu_status list_stored(cn_upgrade* u, cn_arena* arena, cn_optimizer_state* state, cn_optimizer_stored** out) {
    const cn_document* from = u->from;
    const cn_h5_node* group = from->legacy ? cn_h5_child(cn_h5_root(from->h5), OPTIMIZER_GROUP) : NULL;
    const char** names = NULL;
    size_t count = 0;

    state->variables = cn_arena_array(arena, from->variable_count + 1, sizeof(cn_variable*));
    *out = cn_arena_array(arena, from->variable_count + 1, sizeof **out);
    if (!state->variables || !*out) return CN_NO_MEMORY(from->variable_count * sizeof **out);
    if (from->legacy && (!group || group->is_dataset)) return CORNU_OK;
    if (group) CN_TRY(cn_h5_names(from, group, "weight_names", arena, &names, &count));
    for (size_t i = 0; i < from->variable_count && (!group || i < count); i++) {
        const char* path = group ? cn_arena_format(arena, OPTIMIZER_GROUP "/%s", names[i]) : cn_arena_format(arena, "optimizer/vars/%zu", i);
        cn_variable* variable = path ? cn_document_variable(from, path) : NULL;
        if (!path) return CN_NO_MEMORY(32);
        if (!variable) return CORNU_OK;
        (*out)[state->count] = (cn_optimizer_stored){group ? names[i] : NULL, variable->ndim, variable->dims};
        state->variables[state->count++] = variable;
    }
    return CORNU_OK;
}

static cornu_status fill_value(cn_variable* variable, double fill) {
    size_t size = cornu_dtype_size(variable->dtype);

    variable->value = cn_alloc_zero((size_t)variable->count, size);
    if (!variable->value) return CN_NO_MEMORY((uint64_t)variable->count * size);
    for (int64_t i = 0; i < variable->count && fill != 0; i++)
        CN_TRY(cn_dtype_convert(variable->dtype, (char*)variable->value + (size_t)i * size, CORNU_FLOAT64, &fill, 1));
    return CORNU_OK;
}

static cornu_status add_entry(cn_upgrade* u, const cn_optimizer_entry* entry, const char* group, size_t i) {
    const char* path = cn_arena_format(&u->to->arena, "optimizer/%s/%zu", group, i);
    cn_variable* variable = &u->to->variables[u->to->variable_count];

    if (!path) return CN_NO_MEMORY(32);
    if (entry->source) {
        CN_TRY(cn_upgrade_add_variable(u, path, entry->source));
        variable->is_optimizer = true;
        return CORNU_OK;
    }
    *variable = (cn_variable){.path = path, .dtype = entry->item.dtype, .ndim = entry->item.ndim, .count = 1, .is_optimizer = true};
    memcpy(variable->dims, entry->item.dims, sizeof variable->dims);
    for (int k = 0; k < variable->ndim; k++) variable->count *= variable->dims[k]; /* as large as a variable that the file has */
    u->to->variable_count++;
    return fill_value(variable, isnan(entry->fill) ? 0 : entry->fill);
}

/* Keras stores those of an optimizer inside a LossScaleOptimizer a second time; Nadam's product would be there alone. */
static cornu_status add_inner(cn_upgrade* u, const cn_optimizer* optimizer, const cn_optimizer_entry* entries, size_t count) {
    size_t n = 0;

    if (!cn_optimizer_is_loss_scale(optimizer) || optimizer->inner_count == 0) return CORNU_OK;
    if (strcmp(optimizer->inner->class_name, "Nadam") == 0) return CORNU_OK;
    for (size_t i = 0; i < count; i++) {
        if (entries[i].item.owner == 1) CN_TRY(add_entry(u, &entries[i], "inner_optimizer/vars", n++));
    }
    return CORNU_OK;
}

/* The document's variables anew, without those that the file has of the optimizer and with the entries. */
static cornu_status replace(cn_upgrade* u, const cn_optimizer* optimizer, const cn_optimizer_entry* entries, size_t count) {
    cn_document* to = u->to;
    cn_variable* old = to->variables;
    size_t old_count = to->variable_count;
    cn_variable* variables = cn_arena_array(&to->arena, old_count + 2 * count + 1, sizeof *variables);

    if (!variables) return CN_NO_MEMORY((old_count + count) * sizeof *variables);
    to->variables = variables;
    to->variable_count = 0;
    for (size_t i = 0; i < old_count; i++) {
        if (!old[i].is_optimizer) variables[to->variable_count++] = old[i];
    }
    for (size_t i = 0; i < count; i++) CN_TRY(add_entry(u, &entries[i], "vars", i));
    CN_TRY(add_inner(u, optimizer, entries, count));
    return cn_weights_index(to);
}

static cornu_status upgrade_state(cn_upgrade* u, cn_arena* arena, bool* changed) {
    cn_optimizer_state state = {0};
    cn_optimizer_stored* stored;
    cn_optimizer_entry* entries;
    cn_optimizer *as_written, *plain;
    size_t count;
    const char* lost;
    cornu_status st;

    CN_TRY(cn_optimizer_read(optimizer_of(u->from), arena, &as_written));
    CN_TRY(cn_optimizer_read(cn_json_get(cn_json_get(cn_document_root(u->to)->object, "compile_config"), "optimizer"), arena, &state.optimizer));
    if (!as_written || !state.optimizer) return CORNU_OK;
    CN_TRY(cn_trained_list(u->to, arena, &state.trained, &state.trained_count));
    CN_TRY(list_stored(u, arena, &state, &stored));
    if (state.count == 0) return CORNU_OK;
    plain = as_written;
    st = cn_optimizer_identify(&as_written, state.trained, state.trained_count, stored, state.count, arena, &state.layout);
    if (as_written != plain) state.optimizer = cn_optimizer_wrap(state.optimizer, arena);
    if (!state.optimizer) return CN_NO_MEMORY(sizeof *plain);
    if (st == CORNU_OK) st = cn_optimizer_export(u->from, &state, CN_OPTIMIZER_KERAS3, arena, &entries, &count, &lost);
    if (st == CORNU_UNSUPPORTED) { /* Keras would start the optimizer anew; so does the new form */
        entries = NULL;
        count = 0;
    } else {
        CN_TRY(st);
    }
    *changed = true;
    return replace(u, state.optimizer, entries, count);
}

cornu_status cn_upgrade_optimizer(cn_upgrade* u, bool* changed) {
    cornu_status st = CORNU_OK;
    cn_arena arena = {0};

    *changed = false;
    if (!compiled_of(u->from)) return CORNU_OK;
    CN_STEP(upgrade_state(u, &arena, changed));
done:
    cn_arena_deinit(&arena);
    return st;
}
