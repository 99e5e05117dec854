/* Saving weights of Keras 3 in several files.
 *
 *   model.weights.json         {"metadata": {"total_size": BYTES}, "weight_map": {"/layers/dense/vars": "model_00000.weights.h5", ...}}
 *   model_00000.weights.h5     variables under the paths that one file would have, as many as fit
 *   model_00001.weights.h5     ...
 *
 * The map appears last, and shards that it may name are never written over. Where one of these names is taken, the new set gets others first:
 *
 *   1. model-1_00000.weights.h5, ... are written          the old map and its shards are whole
 *   2. a map that names them takes the map's place        the new set is whole
 *   3. links to them take the places of model_00000, ...  which no map names any more; Keras opens number 0 whatever the map says
 *   4. the map of the plain names takes its place         then model-1_... and older shards go
 *
 * A crash between two steps leaves the old set or the new one, perhaps with files that no map names. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "archive/sink_fs.h"
#include "keras/build.h"
#include "keras/writers.h"

#define DEFAULT_SHARD ((uint64_t)5 << 30)

enum { MAX_SHARDS = 99999, GENERATIONS = 1000 };

typedef struct sharder {
    cn_document* doc;
    cn_save_job* job;
    cn_arena arena;
    const char* folder; /* with '/' behind it, or "" */
    const char* base;   /* of the shards' names */
    const char* plain;  /* of the map's name, which base begins with */
    uint64_t limit, total; /* bytes */
    size_t count;       /* shards */
    size_t* shard_of;   /* of each variable; SIZE_MAX: it is left out */
} sharder;

/* ---- the plan ---- */

static bool left_out(const sharder* cx, const cn_variable* variable) {
    return variable->is_optimizer && !cx->job->options.include_optimizer;
}

static uint64_t bytes_of(const cn_variable* variable) { return (uint64_t)variable->count * cornu_dtype_size(variable->dtype); }

static cornu_status plan(sharder* cx) {
    uint64_t used = 0;

    cx->shard_of = cn_arena_array(&cx->arena, cx->doc->variable_count + 1, sizeof *cx->shard_of);
    if (!cx->shard_of) return CN_NO_MEMORY(cx->doc->variable_count * sizeof *cx->shard_of);
    cx->count = 1;
    for (size_t i = 0; i < cx->doc->variable_count; i++) {
        const cn_variable* variable = &cx->doc->variables[i];
        uint64_t bytes = bytes_of(variable);

        cx->shard_of[i] = SIZE_MAX;
        if (left_out(cx, variable)) continue;
        if (bytes > cx->limit)
            return CN_FAIL(BAD_ARGUMENT, "%s: variable '%s' takes %llu bytes; a shard of %llu (shard_bytes) cannot hold it", cx->doc->name,
                           variable->path, (unsigned long long)bytes, (unsigned long long)cx->limit);
        if (bytes > cx->limit - used) {
            cx->count++;
            used = 0;
        }
        if (cx->count > MAX_SHARDS)
            return CN_FAIL(BAD_ARGUMENT, "%s: shards of %llu bytes would be more than %d", cx->doc->name, (unsigned long long)cx->limit, MAX_SHARDS);
        used += bytes;
        cx->total += bytes;
        cx->shard_of[i] = cx->count - 1;
    }
    return CORNU_OK;
}

/* ---- names ---- */

static const char* shard_name(sharder* cx, const char* base, size_t i) {
    return cn_arena_format(&cx->arena, "%s_%05zu.weights.h5", base, i);
}

static const char* shard_path(sharder* cx, const char* base, size_t i) {
    return cn_arena_format(&cx->arena, "%s%s_%05zu.weights.h5", cx->folder, base, i);
}

static cornu_status is_free(sharder* cx, bool* out) {
    *out = true;
    for (size_t i = 0; i < cx->count && *out; i++) {
        const char* path = shard_path(cx, cx->base, i);
        if (!path) return CN_NO_MEMORY(strlen(cx->base));
        *out = access(path, F_OK) != 0;
    }
    return CORNU_OK;
}

static cornu_status pick_names(sharder* cx) {
    const char* path = cx->job->path;
    const char* slash = strrchr(path, '/');
    const char* name = slash ? slash + 1 : path;
    size_t size = strlen(name);
    const char* base;
    bool unused = false;

    if (size > 5 && strcmp(name + size - 5, ".json") == 0) size -= 5;
    if (size > 8 && memcmp(name + size - 8, ".weights", 8) == 0) size -= 8;
    cx->folder = cn_arena_strndup(&cx->arena, path, (size_t)(name - path));
    cx->plain = cx->base = base = cn_arena_strndup(&cx->arena, name, size);
    if (!cx->folder || !base) return CN_NO_MEMORY(strlen(path));
    for (int i = 1; i <= GENERATIONS; i++) {
        CN_TRY(is_free(cx, &unused));
        if (unused) return CORNU_OK;
        if (!cx->job->options.overwrite)
            return CN_FAIL(EXISTS, "%s: '%s_00000.weights.h5' or another of its shards exists, and overwriting was not asked for", path, base);
        cx->base = cn_arena_format(&cx->arena, "%s-%d", base, i);
        if (!cx->base) return CN_NO_MEMORY(strlen(base));
    }
    return CN_FAIL(EXISTS, "%s: too many older shards lie beside it", path);
}

/* ---- shards ---- */

static cornu_status write_sink(void* to, const void* data, uint64_t size) { return cn_sink_write(to, data, size); }

static cornu_status write_variables(sharder* cx, size_t shard, cn_source** out) {
    cornu_status st = CORNU_OK;
    cn_build build = {0};
    uint64_t bytes = 0;

    for (size_t i = 0; i < cx->doc->variable_count; i++) bytes += cx->shard_of[i] == shard ? bytes_of(&cx->doc->variables[i]) : 0;
    CN_STEP(cn_build_open(&build, cx->doc, cx->job, bytes, "shard"));
    for (size_t i = 0; i < cx->doc->variable_count; i++) {
        const cn_variable* variable = &cx->doc->variables[i];
        if (cx->shard_of[i] == shard) CN_STEP(cn_build_variable(&build, variable->path, variable));
    }
    CN_STEP(cn_build_finish(&build, out));
done:
    cn_build_close(&build);
    return st;
}

static cornu_status write_shard(sharder* cx, size_t shard) {
    cornu_status st = CORNU_OK;
    cn_source* bytes = NULL;
    cn_sink* sink = NULL;
    size_t before;
    const char* path = shard_path(cx, cx->base, shard);

    if (!path) return CN_NO_MEMORY(strlen(cx->base));
    CN_STEP(write_variables(cx, shard, &bytes));
    CN_STEP(cn_sink_open(path, false, &sink));
    CN_STEP(cn_save_source(cx->job, bytes, write_sink, sink));
    before = cx->job->made.size;
    cn_buf_add(&cx->job->made, path, strlen(path) + 1);
    CN_STEP(cn_buf_check(&cx->job->made));
    st = cn_sink_commit(sink);
    if (!cn_sink_is_placed(sink)) cx->job->made.size = before; /* what is there now is not ours */
done:
    cn_sink_close(sink);
    cn_source_close(bytes);
    return st;
}

/* ---- the map ---- */

static size_t group_size(const char* path) {
    const char* slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) : 0;
}

static bool same_group(const cn_variable* a, const cn_variable* b) {
    size_t size = group_size(a->path);
    return size == group_size(b->path) && memcmp(a->path, b->path, size) == 0;
}

/* The entry of the group that begins with variable i; *next is the variable behind the group. */
static cornu_status print_group(sharder* cx, size_t i, size_t* next, cn_buf* out) {
    const cn_variable* variables = cx->doc->variables;
    size_t first = cx->shard_of[i], last = first;
    cn_buf key = {0};

    for (*next = i; *next < cx->doc->variable_count && same_group(&variables[i], &variables[*next]); (*next)++) {
        if (cx->shard_of[*next] != SIZE_MAX) last = cx->shard_of[*next];
    }
    cn_buf_text(&key, "/");
    cn_buf_add(&key, variables[i].path, group_size(variables[i].path));
    if (!key.failed) cn_json_print_string(out, key.data, key.size);
    cn_buf_text(out, last > first ? ": [\n            " : ": ");
    for (size_t k = first; k <= last; k++) {
        const char* name = shard_name(cx, cx->base, k);
        if (k > first) cn_buf_text(out, ",\n            ");
        if (name) cn_json_print_string(out, name, strlen(name));
        else out->failed = true;
    }
    if (last > first) cn_buf_text(out, "\n        ]");
    out->failed = out->failed || key.failed;
    cn_buf_deinit(&key);
    return cn_buf_check(out);
}

static cornu_status write_map(sharder* cx, cn_sink* sink) {
    cornu_status st = CORNU_OK;
    bool first = true;
    cn_buf text = {0};

    cn_buf_format(&text, "{\n    \"metadata\": {\n        \"total_size\": %llu.0\n    },\n    \"weight_map\": {", (unsigned long long)cx->total);
    for (size_t i = 0; i < cx->doc->variable_count;) {
        if (cx->shard_of[i] == SIZE_MAX) {
            i++;
            continue;
        }
        cn_buf_text(&text, first ? "\n        " : ",\n        ");
        first = false;
        CN_STEP(print_group(cx, i, &i, &text));
    }
    cn_buf_text(&text, first ? "}\n}" : "\n    }\n}");
    CN_STEP(cn_buf_check(&text));
    CN_STEP(cn_sink_write(sink, text.data, text.size));
done:
    cn_buf_deinit(&text);
    return st;
}

/* ---- older shards ---- */

/* Whether a name is one that a save under this base could have given: BASE[-N]_NNNNN.weights.h5. */
static bool is_ours(const char* base, const char* name) {
    size_t size = strlen(base);

    if (strncmp(name, base, size) != 0) return false;
    name += size;
    if (*name == '-') name += 1 + strspn(name + 1, "0123456789");
    return *name == '_' && strspn(name + 1, "0123456789") == 5 && strcmp(name + 6, ".weights.h5") == 0;
}

/* Whether the new set will have a shard of that name. */
static bool is_new(sharder* cx, const char* name) {
    for (size_t i = 0; i < cx->count; i++) {
        const char* other = shard_name(cx, cx->plain, i);
        if (!other || strcmp(other, name) == 0) return true;
    }
    return false;
}

static void add_stale(sharder* cx, const cn_json* value) {
    const char* name = cn_json_string(value, NULL);
    cn_buf* stale = &cx->job->stale;

    if (!name || strchr(name, '/') || !is_ours(cx->plain, name) || is_new(cx, name)) return;
    cn_buf_text(stale, cx->folder);
    cn_buf_add(stale, name, strlen(name) + 1);
}

/* What the map that is replaced names. One that cannot be read names nothing. */
static void list_stale(sharder* cx) {
    cn_source* source = NULL;
    cn_json_doc* map = NULL;
    char* text = NULL;
    uint64_t size = 0;

    if (cn_source_open_file(cx->job->path, &source) == CORNU_OK) size = cn_source_size(source);
    if (size > 0 && size <= CN_LIMIT_JSON_BYTES) text = cn_alloc((size_t)size);
    if (text && cn_source_read(source, 0, text, size) == CORNU_OK && cn_json_parse(text, size, cx->job->path, &map) == CORNU_OK) {
        const cn_json* groups = cn_json_get(cn_json_root(map), "weight_map");
        for (size_t i = 0; i < cn_json_size(groups); i++) {
            const cn_json* value = cn_json_at(groups, i);
            add_stale(cx, value);
            for (size_t k = 0; k < cn_json_size(value); k++) add_stale(cx, cn_json_at(value, k));
        }
    }
    cn_json_doc_destroy(map);
    cn_free(text);
    cn_source_close(source);
}

/* ---- plain names for a set that has others ---- */

static cornu_status write_first_map(sharder* cx) {
    cornu_status st = CORNU_OK;
    cn_sink* sink = NULL;

    CN_STEP(cn_sink_open(cx->job->path, true, &sink));
    CN_STEP(write_map(cx, sink));
    st = cn_sink_commit(sink);
    if (cn_sink_is_placed(sink)) cx->job->made.size = 0; /* the map names them: they stay */
done:
    cn_sink_close(sink);
    return st;
}

/* A second name for a file, in place of what has that name. */
static bool link_over(const char* from, const char* to) {
    char* temporary = cn_temporary_beside(to);
    bool done = temporary && CN_FS(link(from, temporary)) == 0;

    if (done && CN_FS(rename(temporary, to)) != 0) {
        (void)unlink(temporary);
        done = false;
    }
    cn_free(temporary);
    return done;
}

static bool sync_folder(const sharder* cx) {
    int fd = open(*cx->folder ? cx->folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool done = fd >= 0 && cn_fs_sync_folder(fd) == 0;

    if (fd >= 0) (void)close(fd);
    return done;
}

/* Where the file system has no links, the set keeps the names that it has. */
static cornu_status take_plain_names(sharder* cx) {
    const char* other = cx->base;

    for (size_t i = 0; i < cx->count; i++) {
        const char* from = shard_path(cx, other, i);
        const char* to = shard_path(cx, cx->plain, i);
        if (!from || !to) return CN_NO_MEMORY(strlen(other));
        if (!link_over(from, to)) return CORNU_OK;
    }
    if (!sync_folder(cx)) return CORNU_OK;
    cx->base = cx->plain;
    for (size_t i = 0; i < cx->count; i++) {
        const char* path = shard_path(cx, other, i);
        if (!path) return CN_NO_MEMORY(strlen(other));
        cn_buf_add(&cx->job->stale, path, strlen(path) + 1);
    }
    return cn_buf_check(&cx->job->stale);
}

cornu_status cn_save_sharded(cn_document* doc, cn_save_job* job) {
    cornu_status st = CORNU_OK;
    sharder cx = {.doc = doc, .job = job, .limit = job->options.shard_bytes ? job->options.shard_bytes : DEFAULT_SHARD};

    CN_STEP(plan(&cx));
    CN_STEP(pick_names(&cx));
    for (size_t i = 0; i < cx.count; i++) CN_STEP(write_shard(&cx, i));
    list_stale(&cx);
    if (strcmp(cx.base, cx.plain) != 0) {
        CN_STEP(write_first_map(&cx));
        CN_STEP(take_plain_names(&cx));
    }
    CN_STEP(write_map(&cx, job->sink));
done:
    cn_arena_deinit(&cx.arena);
    return st;
}
