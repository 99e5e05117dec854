/* .keras: an archive of members, and the same members in a directory.
 *
 *   metadata.json      who wrote it and when
 *   config.json        the object that the model is
 *   model.weights.h5   its variables
 *   assets/...         vocabularies and the like
 *
 * Whatever else an archive holds is kept and written back, for Keras ignores it too; of a directory nothing else is
 * opened. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "keras/parts.h"

#define ASSET_DEPTH 32 /* folders inside folders of a directory's assets */

/* ---- opening ---- */

/* All members are listed: reads the config, then the weights. */
static cornu_status open_members(cn_document* doc, const cornu_load_options* options) {
    const cn_member* config = cn_document_member(doc, CN_MEMBER_CONFIG);
    const cn_member* metadata = cn_document_member(doc, CN_MEMBER_METADATA);
    const cn_member* weights = cn_document_member(doc, CN_MEMBER_WEIGHTS);
    cn_config_state* state = NULL;
    cornu_status st = CORNU_OK;

    if (options->config_path)
        return CN_FAIL(BAD_ARGUMENT, "%s: a config_path was given, but the model has a config of its own", doc->name);
    CN_STEP(cn_state_create(doc, config->source, metadata ? metadata->source : NULL, &state));
    if (!weights && cn_document_member(doc, CN_MEMBER_NPZ))
        CN_STEP(CN_FAIL(UNSUPPORTED,
                        "%s: member '" CN_MEMBER_NPZ
                        "': weights as .npz are not read; Keras itself cannot restore them",
                        doc->name));
    if (!weights) CN_STEP(CN_FAIL(BAD_FILE, "%s: there is no member '" CN_MEMBER_WEIGHTS "'", doc->name));
    if (state->metadata) {
        const char* version = cn_json_string(cn_json_get(cn_json_root(state->metadata), "keras_version"), NULL);
        if (version) doc->writer_version = version;
    }
    CN_STEP(cn_weights_open(doc, weights->source));
    st = cn_state_adopt(doc, state);
    state = NULL;
done:
    cn_state_destroy(state);
    return st;
}

/* Says what an archive without a config is. */
static cornu_status refuse_zip(const cn_document* doc) {
    size_t count = cn_zip_count(doc->zip);

    for (size_t i = 0; i < count; i++) {
        const char* name = cn_zip_entry_at(doc->zip, i)->name;
        size_t n = strlen(name), m = strlen("/" CN_MEMBER_CONFIG);
        if (n > m && strcmp(name + n - m, "/" CN_MEMBER_CONFIG) == 0)
            return CN_FAIL(BAD_FILE,
                           "%s: the archive holds a folder with '%s' in it; zip what is in the folder, not the folder",
                           doc->name, name);
    }
    return CN_FAIL(BAD_FILE, "%s: there is no member '" CN_MEMBER_CONFIG "' in the archive", doc->name);
}

static cornu_status check_zip_names(const cn_document* doc) {
    for (size_t i = 0; i < cn_zip_count(doc->zip); i++) {
        const char* name = cn_zip_entry_at(doc->zip, i)->name;
        if (strchr(name, '\\'))
            return CN_FAIL(BAD_FILE, "%s: member '%s' has a '\\' in its name; '/' is allowed", doc->name, name);
    }
    return CORNU_OK;
}

/* Deflated members are inflated into memory: not beyond the caller's limit. */
static cornu_status check_inflated(const cn_document* doc, uint64_t max_bytes) {
    uint64_t sum = 0;

    for (size_t i = 0; i < cn_zip_count(doc->zip) && max_bytes; i++) {
        const cn_zip_entry* entry = cn_zip_entry_at(doc->zip, i);
        if (!entry->stored) sum += entry->size; /* in all below CN_LIMIT_INFLATED_BYTES */
        if (sum > max_bytes)
            return CN_FAIL(NO_MEMORY, "%s: inflating its members takes more memory than max_bytes, %llu, allows",
                           doc->name, (unsigned long long)max_bytes);
    }
    return CORNU_OK;
}

static cornu_status open_zip(cn_document* doc, int dir_fd, const cornu_load_options* options) {
    size_t count;

    CN_TRY(cn_zip_open(doc->source, &doc->zip));
    /* An empty archive can only be the weights of a model that has none, and that model has to be known. */
    if (cn_npz_is_plain(doc->zip) || (cn_zip_count(doc->zip) == 0 && options->config_path)) {
        doc->format = &cn_format_npz;
        return cn_format_npz.open(doc, dir_fd, options);
    }
    CN_TRY(check_zip_names(doc));
    if (!cn_zip_find(doc->zip, CN_MEMBER_CONFIG)) return refuse_zip(doc);
    CN_TRY(check_inflated(doc, options->max_bytes));
    count = cn_zip_count(doc->zip);
    CN_TRY(cn_document_reserve(doc, count));
    for (size_t i = 0; i < count; i++) {
        const cn_zip_entry* entry = cn_zip_entry_at(doc->zip, i);
        cn_source* source;
        size_t n = strlen(entry->name);
        if (n > 0 && entry->name[n - 1] == '/' && entry->size == 0) continue; /* a folder, which says nothing */
        CN_TRY(cn_zip_open_entry(doc->zip, entry, &source));
        CN_TRY(cn_document_add_member(doc, entry->name, source));
    }
    return open_members(doc, options);
}

/* ---- opening a directory ---- */

typedef struct folder_walk {
    cn_document* doc;
    size_t count; /* files seen */
    bool add;     /* else they are only counted */
} folder_walk;

/* Files below a folder, in no order. */
static cornu_status walk_folder(folder_walk* walk, int parent_fd, const char* name, const char* path, int depth);

static cornu_status walk_file(folder_walk* walk, int fd, const char* name, const char* path) {
    char* shown;
    cn_source* source;

    walk->count++;
    if (walk->count > CN_LIMIT_ZIP_MEMBERS)
        return CN_FAIL(BAD_FILE, "%s: more than %llu files", walk->doc->name, (unsigned long long)CN_LIMIT_ZIP_MEMBERS);
    if (!walk->add) return CORNU_OK;
    shown = cn_arena_format(&walk->doc->arena, "%s/%s", walk->doc->name, path);
    if (!shown) return CN_NO_MEMORY(strlen(path));
    CN_TRY(cn_source_open_at(fd, name, shown, &source));
    return cn_document_add_member(walk->doc, path, source);
}

static cornu_status walk_entry(folder_walk* walk, int fd, const char* name, const char* folder, int depth) {
    struct stat info;
    const char* path = cn_arena_format(&walk->doc->arena, "%s/%s", folder, name);

    if (!path) return CN_NO_MEMORY(strlen(name));
    if (strchr(name, '\\')) return CN_FAIL(BAD_FILE, "%s: '%s' has a '\\' in its name", walk->doc->name, path);
    if (fstatat(fd, name, &info, AT_SYMLINK_NOFOLLOW) != 0)
        return CN_FAIL(IO_ERROR, "%s: '%s' cannot be read: %s", walk->doc->name, path, strerror(errno));
    if (S_ISDIR(info.st_mode)) return walk_folder(walk, fd, name, path, depth + 1);
    return walk_file(walk, fd, name, path);
}

static cornu_status walk_folder(folder_walk* walk, int parent_fd, const char* name, const char* path, int depth) {
    cornu_status st = CORNU_OK;
    DIR* dir = NULL;
    const struct dirent* entry;
    int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return CN_FAIL(IO_ERROR, "%s: folder '%s' cannot be opened: %s", walk->doc->name, path, strerror(errno));
    dir = fdopendir(fd); /* owns fd from here on */
    if (!dir) CN_STEP(CN_FAIL(IO_ERROR, "%s: folder '%s' cannot be read: %s", walk->doc->name, path, strerror(errno)));
    if (depth > ASSET_DEPTH)
        CN_STEP(CN_FAIL(BAD_FILE, "%s: folder '%s' is more than %d folders deep", walk->doc->name, path, ASSET_DEPTH));
    while ((entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        CN_STEP(walk_entry(walk, fd, entry->d_name, path, depth));
    }
done:
    if (dir) (void)closedir(dir);
    else (void)close(fd);
    return st;
}

static int compare_members(const void* a, const void* b) {
    return strcmp(((const cn_member*)a)->name, ((const cn_member*)b)->name);
}

static int compare_assets(const void* a, const void* b) {
    return strcmp(((const cn_asset*)a)->name, ((const cn_asset*)b)->name);
}

static bool has_name(int dir_fd, const char* name, bool* is_folder) {
    struct stat info;
    bool there = fstatat(dir_fd, name, &info, AT_SYMLINK_NOFOLLOW) == 0;

    *is_folder = there && S_ISDIR(info.st_mode);
    return there;
}

static cornu_status open_directory(cn_document* doc, int dir_fd, const cornu_load_options* options) {
    static const char* const fixed[] = {CN_MEMBER_METADATA, CN_MEMBER_CONFIG, CN_MEMBER_WEIGHTS, CN_MEMBER_NPZ};
    folder_walk walk = {doc, 0, false};
    size_t fixed_count;
    bool is_folder;

    if (has_name(dir_fd, "assets", &is_folder) && is_folder) CN_TRY(walk_folder(&walk, dir_fd, "assets", "assets", 0));
    /* Files may appear between the two walks; they are then refused below. */
    CN_TRY(cn_document_reserve(doc, walk.count + sizeof fixed / sizeof *fixed));
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) {
        char* shown = cn_arena_format(&doc->arena, "%s/%s", doc->name, fixed[i]);
        cn_source* source;
        if (!shown) return CN_NO_MEMORY(strlen(doc->name));
        if (!has_name(dir_fd, fixed[i], &is_folder)) continue;
        CN_TRY(cn_source_open_at(dir_fd, fixed[i], shown, &source));
        CN_TRY(cn_document_add_member(doc, fixed[i], source));
    }
    fixed_count = doc->member_count;
    walk.add = true;
    if (walk.count > 0) CN_TRY(walk_folder(&walk, dir_fd, "assets", "assets", 0));
    qsort(doc->members + fixed_count, doc->member_count - fixed_count, sizeof *doc->members, compare_members);
    qsort(doc->assets, doc->asset_count, sizeof *doc->assets, compare_assets);
    return open_members(doc, options);
}

/* ---- saving ---- */

/* One interface over the two forms. */
typedef struct member_writer {
    cn_save_job* job;
    cn_zip_writer* zip; /* NULL for a directory */
} member_writer;

/* All members carry 1980-01-01 as Keras's JSON members do, so that equal documents make equal files. */
static cornu_status begin_member(member_writer* to, const char* name, uint64_t size) {
    return to->zip ? cn_zip_writer_begin(to->zip, name, -1, size) : cn_sink_member(to->job->sink, name);
}

static cornu_status write_member(void* user, const void* data, uint64_t size) {
    member_writer* to = user;
    return to->zip ? cn_zip_writer_write(to->zip, data, size) : cn_sink_write(to->job->sink, data, size);
}

static cornu_status end_member(member_writer* to) { return to->zip ? cn_zip_writer_end(to->zip) : CORNU_OK; }

static cornu_status copy_member(member_writer* to, const char* name, cn_source* source) {
    CN_TRY(begin_member(to, name, cn_source_size(source)));
    CN_TRY(cn_save_source(to->job, source, write_member, to));
    return end_member(to);
}

/* A JSON member: its own bytes, unless the value was changed or is from elsewhere. */
static cornu_status save_json(cn_document* doc, member_writer* to, const char* name, cn_json_doc* json, bool changed) {
    cornu_status st = CORNU_OK;
    cn_buf text = {0};
    const cn_member* member = cn_document_member(doc, name);

    if (member && !changed) return copy_member(to, name, member->source);
    if (!json) return CORNU_OK;
    CN_STEP(cn_json_print(cn_json_root(json), &text)); /* with the blanks around the whole, too */
    CN_STEP(cn_buf_check(&text));
    CN_STEP(begin_member(to, name, text.size));
    CN_STEP(write_member(to, text.data, text.size));
    CN_STEP(end_member(to));
done:
    cn_buf_deinit(&text);
    return st;
}

/* Metadata of a model that comes from another format, as Keras writes them: the time is the local one. */
static cornu_status save_new_metadata(member_writer* to) {
    char date[32], text[128];
    time_t now = time(NULL);
    struct tm local = {0};
    int size;

    (void)localtime_r(&now, &local);
    (void)strftime(date, sizeof date, "%Y-%m-%d@%H:%M:%S", &local);
    size = snprintf(text, sizeof text, "{\"keras_version\": \"3.15.1\", \"date_saved\": \"%s\"}", date);
    CN_TRY(begin_member(to, CN_MEMBER_METADATA, (uint64_t)size));
    CN_TRY(write_member(to, text, (uint64_t)size));
    return end_member(to);
}

static cornu_status save_weights(cn_document* doc, member_writer* to) {
    cornu_status st = CORNU_OK;
    cn_source* bytes;
    cn_source* owned = NULL;

    CN_STEP(cn_weights_build(doc, to->job, &bytes, &owned));
    CN_STEP(copy_member(to, CN_MEMBER_WEIGHTS, bytes));
done:
    cn_source_close(owned);
    return st;
}

/* Members in Keras's order; assets, then what Keras does not know, as the archive had them. */
static cornu_status save_members(cn_document* doc, member_writer* to) {
    const cn_config_state* state = doc->state;
    const cn_member* config = cn_document_member(doc, CN_MEMBER_CONFIG);
    const cn_member* metadata = cn_document_member(doc, CN_MEMBER_METADATA);
    const cn_member* weights = cn_document_member(doc, CN_MEMBER_WEIGHTS);

    if (!state->config)
        return CN_FAIL(UNSUPPORTED, "%s: the file holds weights only; a .keras needs a config as well (config_path)",
                       doc->name);
    if (!doc->view_of && (doc->format == &cn_format_keras || doc->format == &cn_format_keras_dir))
        CN_TRY(save_json(doc, to, CN_MEMBER_METADATA, state->metadata, state->metadata_changed));
    else CN_TRY(save_new_metadata(to));
    CN_TRY(save_json(doc, to, CN_MEMBER_CONFIG, state->config, state->config_changed));
    CN_TRY(save_weights(doc, to));
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < doc->member_count; i++) {
            const cn_member* member = &doc->members[i];
            bool asset = strncmp(member->name, CN_MEMBER_ASSETS, strlen(CN_MEMBER_ASSETS)) == 0;
            if (member == config || member == metadata || member == weights || asset != (pass == 0)) continue;
            CN_TRY(copy_member(to, member->name, member->source));
        }
    }
    return CORNU_OK;
}

static cornu_status save_zip(cn_document* doc, cn_save_job* job) {
    cornu_status st = CORNU_OK;
    member_writer to = {job, NULL};

    CN_STEP(cn_zip_writer_open(job->sink, &to.zip));
    CN_STEP(save_members(doc, &to));
    CN_STEP(cn_zip_writer_finish(to.zip));
done:
    cn_zip_writer_close(to.zip);
    return st;
}

cornu_status cn_format_check_directory(const char* path) {
    static const char* const known[] = {
        ".", "..", "assets", CN_MEMBER_METADATA, CN_MEMBER_CONFIG, CN_MEMBER_WEIGHTS, CN_MEMBER_NPZ};
    cornu_status st = CORNU_OK;
    const struct dirent* entry;
    DIR* dir = opendir(path);

    if (!dir) return CORNU_OK; /* not there, or the sink will say what it is */
    while (st == CORNU_OK && (entry = readdir(dir))) {
        size_t i = 0;
        while (i < sizeof known / sizeof *known && strcmp(known[i], entry->d_name) != 0) i++;
        if (i == sizeof known / sizeof *known)
            st = CN_FAIL(BAD_ARGUMENT,
                         "cannot save '%s': the directory holds '%s', which is no part of a model and would be lost",
                         path, entry->d_name);
    }
    (void)closedir(dir);
    return st;
}

static cornu_status save_directory(cn_document* doc, cn_save_job* job) {
    member_writer to = {job, NULL};
    return save_members(doc, &to);
}

const cn_format cn_format_keras = {CORNU_FORMAT_KERAS, "keras", ".keras", open_zip, save_zip};
const cn_format cn_format_keras_dir = {CORNU_FORMAT_KERAS_DIR, "keras-dir", NULL, open_directory, save_directory};
