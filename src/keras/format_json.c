/* JSON files: an architecture without weights (to_json of any Keras), and the map of sharded weights.
 *
 *   {"metadata": {"total_size": 1.0}, "weight_map": {"/layers/dense/vars": "m_00000.weights.h5" or a list of such, ...}}
 *
 * An object's data sets may lie in several shards; their numbers go on. The map counts, not which groups a shard has. */
#include <string.h>

#include "keras/parts.h"

#define LIMIT_SHARDS 10000

/* ---- an architecture ---- */

static cornu_status open_json(cn_document* doc, int dir_fd, const cornu_load_options* options) {
    cornu_status st = CORNU_OK;
    cn_config_state* state = NULL;
    const char* version;

    (void)dir_fd;
    if (options->config_path)
        return CN_FAIL(BAD_ARGUMENT, "%s: a config_path was given, but the file is an architecture itself", doc->name);
    CN_STEP(cn_state_create(doc, doc->source, NULL, &state));
    version = cn_json_string(cn_json_get(cn_json_root(state->config), "keras_version"), NULL);
    if (version) doc->writer_version = version;
    st = cn_state_adopt(doc, state);
    state = NULL;
done:
    cn_state_destroy(state);
    return st;
}

static cornu_status write_sink(void* to, const void* data, uint64_t size) { return cn_sink_write(to, data, size); }

static cornu_status save_json(cn_document* doc, cn_save_job* job) {
    cornu_status st = CORNU_OK;
    cn_buf text = {0};

    if (!doc->state->config) return CN_FAIL(UNSUPPORTED, "%s: the file holds no architecture to be written", doc->name);
    if (doc->format == &cn_format_json && !doc->state->config_changed)
        return cn_save_source(job, doc->source, write_sink, job->sink);
    CN_STEP(cn_json_print(cn_json_root(doc->state->config), &text));
    CN_STEP(cn_buf_check(&text));
    CN_STEP(cn_sink_write(job->sink, text.data, text.size));
done:
    cn_buf_deinit(&text);
    return st;
}

/* ---- sharded weights ---- */

static cornu_status read_shard(const cn_document* doc, const cn_variable* variable, void* dst) {
    (void)doc;
    return cn_h5_read(variable->origin->h5, variable->origin->node, dst);
}

/* The shard of that name, opened beside the map. A name that leads elsewhere is refused. */
static cornu_status get_shard(cn_document* doc, const char* name, cn_shard** out) {
    const char* slash = strrchr(doc->name, '/');
    cn_shard* shard = &doc->shards[doc->shard_count];
    const char* path;

    for (size_t i = 0; i < doc->shard_count; i++) {
        if (strcmp(doc->shards[i].name, name) == 0) return *out = &doc->shards[i], CORNU_OK;
    }
    if (!*name || strchr(name, '/') || strchr(name, '\\') || strcmp(name, "..") == 0 || strcmp(name, ".") == 0)
        return CN_FAIL(BAD_FILE, "%s: weight_map names '%s'; the name of a file in the same folder is allowed", doc->name, name);
    if (doc->shard_count == LIMIT_SHARDS)
        return CN_FAIL(BAD_FILE, "%s: weight_map names more than %d files", doc->name, LIMIT_SHARDS);
    path = cn_arena_format(&doc->arena, "%.*s%s", slash ? (int)(slash + 1 - doc->name) : 0, doc->name, name);
    if (!path) return CN_NO_MEMORY(strlen(name));
    doc->shard_count++;
    *shard = (cn_shard){name, NULL, NULL};
    CN_TRY(cn_source_open_file(path, &shard->source));
    CN_TRY(cn_h5_open(shard->source, &shard->h5));
    *out = shard;
    return CORNU_OK;
}

static cornu_status add_variable(cn_document* doc, const char* group, cn_shard* shard, const cn_h5_node* node, size_t room) {
    cn_variable* variable = &doc->variables[doc->variable_count];
    cn_origin* origin = cn_arena_alloc(&doc->arena, sizeof *origin);

    if (!origin) return CN_NO_MEMORY(sizeof *origin);
    if (doc->variable_count == room) return CN_FAIL(BAD_FILE, "%s: weight_map lists a group twice", doc->name);
    *origin = (cn_origin){.read = read_shard, .h5 = shard->h5, .node = node};
    variable->path = cn_arena_format(&doc->arena, "%s%s%s", group, *group ? "/" : "", node->name);
    if (!variable->path) return CN_NO_MEMORY(strlen(group));
    if (node->unsupported) return CN_FAIL(UNSUPPORTED, "%s: variable '%s': %s", doc->name, variable->path, node->unsupported);
    variable->dtype = node->array.dtype;
    variable->ndim = node->array.ndim;
    memcpy(variable->dims, node->array.dims, sizeof variable->dims);
    variable->count = node->array.count;
    variable->is_optimizer = strncmp(variable->path, "optimizer/", 10) == 0;
    variable->origin = origin;
    doc->variable_count++;
    return CORNU_OK;
}

/* What one shard has of a group: counted (room NULL), or added. */
static cornu_status visit_group(cn_document* doc, const char* key, const char* name, const size_t* room, size_t* count) {
    const char* group = *key == '/' ? key + 1 : key;
    const cn_h5_node* node;
    cn_shard* shard = NULL;

    CN_TRY(get_shard(doc, name, &shard));
    node = cn_h5_find(shard->h5, group);
    if (!node || node->is_dataset)
        return CN_FAIL(BAD_FILE, "%s: weight_map says that '%s' is in '%s', which has no such group", doc->name, key, name);
    for (size_t i = 0; i < node->child_count; i++) {
        if (!node->children[i]->is_dataset) continue;
        (*count)++;
        if (room) CN_TRY(add_variable(doc, group, shard, node->children[i], *room));
    }
    return CORNU_OK;
}

static cornu_status visit_map(cn_document* doc, const cn_json* map, const size_t* room, size_t* count) {
    *count = 0;
    for (size_t i = 0; i < cn_json_size(map); i++) {
        const cn_json* value = cn_json_at(map, i);
        bool list = cn_json_is(value, CN_JSON_ARRAY);
        size_t n = list ? cn_json_size(value) : 1;
        for (size_t k = 0; k < n; k++) {
            const char* name = cn_json_string(list ? cn_json_at(value, k) : value, NULL);
            if (!name)
                return CN_FAIL(BAD_FILE, "%s: key '%s' of weight_map is of type %s; a file's name or a list of such is allowed",
                               doc->name, cn_json_key_at(map, i, NULL), cn_json_type_name(value));
            CN_TRY(visit_group(doc, cn_json_key_at(map, i, NULL), name, room, count));
        }
    }
    return CORNU_OK;
}

static cornu_status read_json(cn_document* doc, cn_json_doc** out) {
    cornu_status st = CORNU_OK;
    uint64_t size = cn_source_size(doc->source);
    char* text = size <= CN_LIMIT_JSON_BYTES ? cn_alloc((size_t)size) : NULL;

    *out = NULL;
    if (size > CN_LIMIT_JSON_BYTES) return CN_FAIL(BAD_FILE, "%s: %llu bytes of JSON are too many", doc->name, (unsigned long long)size);
    if (!text) return CN_NO_MEMORY(size);
    CN_STEP(cn_source_read(doc->source, 0, text, size));
    CN_STEP(cn_json_parse(text, size, doc->name, out));
done:
    cn_free(text);
    return st;
}

static cornu_status open_map(cn_document* doc, const cn_json* map) {
    size_t count, again;

    if (!cn_json_is(map, CN_JSON_OBJECT))
        return CN_FAIL(BAD_FILE, "%s: key 'weight_map' is of type %s; an object is allowed", doc->name, cn_json_type_name(map));
    doc->shards = cn_arena_array(&doc->arena, LIMIT_SHARDS, sizeof *doc->shards);
    if (!doc->shards) return CN_NO_MEMORY(LIMIT_SHARDS * sizeof *doc->shards);
    CN_TRY(visit_map(doc, map, NULL, &count));
    doc->variables = cn_arena_array(&doc->arena, count + 1, sizeof *doc->variables);
    if (!doc->variables) return CN_NO_MEMORY(count * sizeof *doc->variables);
    CN_TRY(visit_map(doc, map, &count, &again));
    return cn_weights_index(doc);
}

static cornu_status open_sharded(cn_document* doc, int dir_fd, const cornu_load_options* options) {
    (void)dir_fd;
    if (cn_source_memory(doc->source))
        return CN_FAIL(BAD_ARGUMENT, "%s: sharded weights are read from a path, beside which the shards lie", doc->name);
    CN_TRY(read_json(doc, &doc->shard_map));
    CN_TRY(open_map(doc, cn_json_get(cn_json_root(doc->shard_map), "weight_map")));
    return cn_config_adopt(doc, options);
}

static cornu_status save_sharded(cn_document* doc, cn_save_job* job) {
    (void)job;
    return CN_FAIL(UNSUPPORTED, "%s: sharded weights are not written here", doc->name);
}

cornu_status cn_json_sniff(cn_document* doc, const cn_format** out) {
    cornu_status st = CORNU_OK;
    cn_json_doc* json = NULL;

    *out = NULL;
    CN_STEP(read_json(doc, &json));
    if (cn_json_get(cn_json_root(json), "weight_map")) *out = &cn_format_sharded;
    else if (cn_json_get(cn_json_root(json), "class_name")) *out = &cn_format_json;
    else
        st = CN_FAIL(BAD_FILE, "%s: this is JSON, but neither an architecture (key class_name) nor a map of shards (key weight_map)",
                     doc->name);
done:
    cn_json_doc_destroy(json);
    return st;
}

const cn_format cn_format_json = {CORNU_FORMAT_JSON, "json", NULL, open_json, save_json};
const cn_format cn_format_sharded = {CORNU_FORMAT_SHARDED, "weights.json", NULL, open_sharded, save_sharded};
