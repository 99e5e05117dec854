/* States of the config: each cn_document_set_json makes a new one from a copy of the text, so that a change that fails
 * leaves nothing behind, and what was given out of older ones stays valid. */
#include <string.h>

#include "keras/parts.h"

void cn_state_destroy(cn_config_state* state) {
    if (!state) return;
    if (state->owns_config) cn_json_doc_destroy(state->config);
    if (state->owns_metadata) cn_json_doc_destroy(state->metadata);
    (void)pthread_mutex_destroy(&state->lock);
    (void)pthread_mutex_destroy(&state->upgrade_lock);
    cn_arena_deinit(&state->arena);
    cn_free(state);
}

static cornu_status new_state(cn_config_state** out) {
    cn_config_state* state = cn_alloc_zero(1, sizeof *state);

    *out = NULL;
    if (!state) return CN_NO_MEMORY(sizeof *state);
    if (pthread_mutex_init(&state->lock, NULL) != 0) {
        cn_free(state);
        return CN_NO_MEMORY(sizeof(pthread_mutex_t));
    }
    if (pthread_mutex_init(&state->upgrade_lock, NULL) != 0) {
        (void)pthread_mutex_destroy(&state->lock);
        cn_free(state);
        return CN_NO_MEMORY(sizeof(pthread_mutex_t));
    }
    *out = state;
    return CORNU_OK;
}

static cornu_status parse_source(cn_source* source, cn_json_doc** out) {
    cornu_status st = CORNU_OK;
    uint64_t size = cn_source_size(source);
    char* text = NULL;

    *out = NULL;
    if (size > CN_LIMIT_JSON_BYTES)
        return CN_FAIL(BAD_FILE, "%s: %llu bytes of JSON are beyond the limit of %llu", cn_source_name(source),
                       (unsigned long long)size, (unsigned long long)CN_LIMIT_JSON_BYTES);
    text = cn_alloc((size_t)size);
    if (!text) return CN_NO_MEMORY(size);
    CN_STEP(cn_source_read(source, 0, text, size));
    CN_STEP(cn_json_parse(text, size, cn_source_name(source), out));
done:
    cn_free(text);
    return st;
}

/* What Keras demands of every config: an object with a class_name. */
static cornu_status check_root(const char* what, const cn_json* root) {
    const cn_json* class_name = cn_json_get(root, "class_name");

    if (!cn_json_is(root, CN_JSON_OBJECT))
        return CN_FAIL(BAD_FILE, "%s: the config is of type %s; an object with class_name and config is allowed", what,
                       cn_json_type_name(root));
    if (!cn_json_is(class_name, CN_JSON_STRING))
        return CN_FAIL(BAD_FILE, "%s: key 'class_name' of the root is of type %s; a string is allowed", what,
                       cn_json_type_name(class_name));
    return CORNU_OK;
}

cornu_status cn_state_create_text(cn_document* doc, const char* text, uint64_t size, const char* what, cn_config_state** out) {
    cornu_status st = CORNU_OK;
    cn_source* source = NULL;

    *out = NULL;
    CN_STEP(cn_source_open_memory(text, size, what, &source));
    CN_STEP(cn_state_create(doc, source, NULL, out));
done:
    cn_source_close(source);
    return st;
}

cornu_status cn_state_create(cn_document* doc, cn_source* config, cn_source* metadata, cn_config_state** out) {
    cornu_status st = CORNU_OK;
    cn_config_state* state = NULL;

    *out = NULL;
    CN_STEP(new_state(&state));
    if (config) {
        state->owns_config = true;
        CN_STEP(parse_source(config, &state->config));
        CN_STEP(check_root(cn_source_name(config), cn_json_root(state->config)));
        if (doc->safe_mode) CN_STEP(cn_config_check_safe(doc, cn_json_root(state->config)));
    }
    if (metadata) {
        /* Keras never opens the metadata of a model it loads, so damage there damages nothing. */
        cornu_status parsed = parse_source(metadata, &state->metadata);
        state->owns_metadata = true;
        if (parsed != CORNU_OK && parsed != CORNU_BAD_FILE) CN_STEP(parsed);
    }
    *out = state;
    state = NULL;
done:
    cn_state_destroy(state);
    return st;
}

/* Owners of all variables in a new state, in an array of its arena, so that taking them over cannot fail. */
static cornu_status find_owners(const cn_document* doc, cn_config_state* state, const cn_layer*** out) {
    const cn_layer** owners = cn_arena_array(&state->arena, doc->variable_count + 1, sizeof *owners);

    *out = owners;
    if (!owners) return CN_NO_MEMORY(doc->variable_count * sizeof *owners);
    for (size_t i = 0; i < doc->variable_count; i++) {
        const cn_variable* variable = &doc->variables[i];
        owners[i] = variable->is_optimizer ? NULL : cn_layers_owner(state, variable->path);
    }
    return CORNU_OK;
}

cornu_status cn_state_adopt(cn_document* doc, cn_config_state* state) {
    cornu_status st = CORNU_OK;
    const cn_layer** owners = NULL;

    if (state->config) CN_STEP(cn_layers_build(doc, state));
    CN_STEP(find_owners(doc, state, &owners));
    for (size_t i = 0; i < doc->variable_count; i++) doc->variables[i].layer = owners[i];
    state->older = doc->state;
    doc->state = state;
    state = NULL;
done:
    cn_state_destroy(state);
    return st;
}

/* A copy of a JSON document as it would be saved now. */
static cornu_status copy_json(cn_json_doc* from, const char* what, cn_json_doc** out) {
    cornu_status st = CORNU_OK;
    cn_buf text = {0};

    *out = NULL;
    CN_STEP(cn_json_print(cn_json_root(from), &text));
    CN_STEP(cn_buf_check(&text));
    CN_STEP(cn_json_parse(text.data, text.size, what, out));
done:
    cn_buf_deinit(&text);
    return st;
}

static cornu_status change_config(cn_document* doc, cn_config_state* state, const char* pointer, const char* text) {
    if (!state->config) return CN_FAIL(NOT_FOUND, "%s: the file holds weights only, it has no config", doc->name);
    state->config_changed = true;
    CN_TRY(copy_json(state->config, doc->name, &state->config));
    state->owns_config = true;
    CN_TRY(cn_json_set(state->config, pointer, text));
    CN_TRY(check_root(doc->name, cn_json_root(state->config)));
    if (doc->safe_mode) CN_TRY(cn_config_check_safe(doc, cn_json_root(state->config)));
    return CORNU_OK;
}

static cornu_status change_metadata(cn_document* doc, cn_config_state* state, const char* pointer, const char* text) {
    if (!state->metadata) return CN_FAIL(NOT_FOUND, "%s: the file has no readable metadata.json", doc->name);
    state->metadata_changed = true;
    CN_TRY(copy_json(state->metadata, doc->name, &state->metadata));
    state->owns_metadata = true;
    return cn_json_set(state->metadata, pointer, text);
}

cornu_status cn_state_renew(cn_document* doc) {
    cn_config_state* state;

    CN_TRY(new_state(&state));
    state->config = doc->state->config;
    state->metadata = doc->state->metadata;
    state->config_changed = doc->state->config_changed;
    state->metadata_changed = doc->state->metadata_changed;
    return cn_state_adopt(doc, state);
}

cornu_status cn_document_set_json(cn_document* doc, cornu_json_part part, const char* pointer, const char* text) {
    cornu_status st = CORNU_OK;
    cn_config_state* state = NULL;

    CN_STEP(new_state(&state));
    state->config = doc->state->config;
    state->metadata = doc->state->metadata;
    state->config_changed = doc->state->config_changed;
    state->metadata_changed = doc->state->metadata_changed;
    if (part == CORNU_JSON_CONFIG) CN_STEP(change_config(doc, state, pointer, text));
    else if (part == CORNU_JSON_METADATA) CN_STEP(change_metadata(doc, state, pointer, text));
    else
        CN_STEP(CN_FAIL(BAD_ARGUMENT, "%d is no part of a model; CORNU_JSON_CONFIG and CORNU_JSON_METADATA are",
                        (int)part));
    st = cn_state_adopt(doc, state);
    state = NULL;
done:
    cn_state_destroy(state);
    return st;
}
