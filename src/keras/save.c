/* Saving: the format's row writes the members, the sink makes them appear at once. */
#include <string.h>
#include <unistd.h>

#include "keras/upgrade.h"
#include "keras/writers.h"

#define PIECE ((uint64_t)1 << 20) /* bytes copied at a time */

cornu_status cn_save_progress(cn_save_job* job, uint64_t size) {
    job->done += size;
    if (job->done > job->total) job->done = job->total; /* what a rewritten weights file has besides its data */
    if (!job->options.progress) return CORNU_OK;
    if (job->options.progress(job->options.progress_user, job->done, job->total) == 0) return CORNU_OK;
    return CN_FAIL(CANCELLED, "%s: the save was cancelled; the target is what it was",
                   job->path ? job->path : "<memory>");
}

cornu_status cn_save_source(cn_save_job* job, cn_source* source,
                            cornu_status (*write)(void* to, const void* data, uint64_t size), void* to) {
    cornu_status st = CORNU_OK;
    uint64_t size = cn_source_size(source);
    void* piece = cn_alloc((size_t)(size < PIECE ? size : PIECE));

    if (!piece) return CN_NO_MEMORY(size < PIECE ? size : PIECE);
    for (uint64_t at = 0; at < size; at += PIECE) {
        uint64_t n = size - at < PIECE ? size - at : PIECE;
        CN_STEP(cn_source_read(source, at, piece, n));
        CN_STEP(write(to, piece, n));
        CN_STEP(cn_save_progress(job, n));
    }
done:
    cn_free(piece);
    return st;
}

static void read_options(const cornu_save_options* options, cn_save_job* job) {
    static const cornu_save_options defaults = CORNU_SAVE_OPTIONS_INIT;

    job->options = defaults;
    if (options) {
        size_t size = options->size < sizeof defaults ? options->size : sizeof defaults;
        if (size > sizeof options->size) memcpy(&job->options, options, size);
        job->options.size = sizeof defaults;
    }
}

/* ---- what is saved ---- */

/* Whether the document is written as it stands, without being brought to Keras 3.15's form: into what it came from, or from an archive into a
 * directory or a weights file, which share their parts. */
static bool is_native(const cn_document* doc, const cn_writer* writer, const cornu_save_options* options) {
    cornu_format from = doc->format->id, to = writer->id;

    if (options->dialect != CORNU_DIALECT_AUTO) return false;
    if (from == to) return true;
    return (from == CORNU_FORMAT_KERAS || from == CORNU_FORMAT_KERAS_DIR) &&
           (to == CORNU_FORMAT_KERAS || to == CORNU_FORMAT_KERAS_DIR || to == CORNU_FORMAT_WEIGHTS);
}

/* What progress counts up to: what is rewritten, and all that is copied. */
static uint64_t total_bytes(const cn_document* doc, const cn_save_job* job, const cn_writer* writer) {
    bool weights_only = writer->weights_only;
    uint64_t rewritten = cn_weights_rewrite_bytes(doc, &job->options);
    uint64_t sum = rewritten ? 2 * rewritten : doc->weights_source ? cn_source_size(doc->weights_source) : 0;

    for (size_t i = 0; i < doc->member_count && !weights_only; i++) {
        if (doc->members[i].source != doc->weights_source) sum += cn_source_size(doc->members[i].source);
    }
    return sum;
}

static bool is_known_member(const char* name) {
    static const char* const known[] = {CN_MEMBER_CONFIG, CN_MEMBER_METADATA, CN_MEMBER_WEIGHTS};

    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(name, known[i]) == 0) return true;
    }
    return false;
}

/* Says what the format has no place for, and would not make another model of what is written. */
static void note_losses(const cn_document* doc, const cn_writer* writer, const cn_save_job* job) {
    bool archive = writer->id == CORNU_FORMAT_KERAS || writer->id == CORNU_FORMAT_KERAS_DIR;
    bool compiled = doc->state->root && cn_json_size(cn_json_get(doc->state->root->object, "compile_config")) > 0;

    if (archive) return;
    if (writer->weights_only && doc->state->config)
        cn_save_note(job, "%s holds weights only: the architecture%s not carried", writer->name,
                     compiled ? " and the compile state are" : " is");
    if (writer->config_only && doc->variable_count > 0)
        cn_save_note(job, "%s holds the architecture only: %zu variables are not carried", writer->name, doc->variable_count);
    for (size_t i = 0; i < doc->member_count; i++) {
        if (is_known_member(doc->members[i].name) || (doc->format != &cn_format_keras && doc->format != &cn_format_keras_dir)) continue;
        cn_save_note(job, "%s has no place for '%s': it is not carried", writer->name, doc->members[i].name);
    }
}

/* ---- the job ---- */

static void remove_files(const cn_buf* paths) {
    for (size_t at = 0; at < paths->size; at += strlen(paths->data + at) + 1) (void)unlink(paths->data + at);
}

static cornu_status run_job(cn_document* doc, const cn_writer* writer, cn_save_job* job) {
    bool native = is_native(doc, writer, &job->options);
    cn_document* view = doc;

    if (!native) CN_TRY(cn_document_upgraded(doc, &view));
    job->total = total_bytes(view, job, writer);
    note_losses(doc, writer, job);
    if (native && (writer->id == CORNU_FORMAT_H5 || writer->id == CORNU_FORMAT_H5_WEIGHTS || writer->id == CORNU_FORMAT_JSON))
        CN_TRY(doc->format->save(doc, job));
    else CN_TRY(writer->save(view, job));
    CN_TRY(cn_save_progress(job, job->total - job->done));
    return cn_sink_commit(job->sink);
}

static void end_job(cn_save_job* job, cornu_status st) {
    cn_sink_close(job->sink);
    remove_files(st == CORNU_OK ? &job->stale : &job->made);
    cn_buf_deinit(&job->stale);
    cn_buf_deinit(&job->made);
}

/* The row that path, format and zipped mean together. */
static cornu_status pick_writer(const cn_save_job* job, const char* path, const cn_writer** out) {
    int zipped = job->options.zipped;

    CN_TRY(cn_writer_of_path(path, job->options.format, out));
    if (zipped < 0) return CORNU_OK;
    if ((*out)->id != CORNU_FORMAT_KERAS && (*out)->id != CORNU_FORMAT_KERAS_DIR)
        return CN_FAIL(BAD_ARGUMENT, "cannot save '%s': zipped is %d, but %s is neither an archive nor its directory", path, zipped,
                       (*out)->name);
    return cn_writer_of_path(path, zipped ? CORNU_FORMAT_KERAS : CORNU_FORMAT_KERAS_DIR, out);
}

cornu_status cn_document_save(cn_document* doc, const char* path, const cornu_save_options* options) {
    cornu_status st = CORNU_OK;
    cn_save_job job = {0};
    const cn_writer* writer;

    job.path = path;
    read_options(options, &job);
    CN_STEP(pick_writer(&job, path, &writer));
    if (writer->id == CORNU_FORMAT_KERAS_DIR) {
        CN_STEP(cn_format_check_directory(path));
        CN_STEP(cn_sink_open_dir(path, job.options.overwrite != 0, &job.sink));
    } else {
        CN_STEP(cn_sink_open(path, job.options.overwrite != 0, &job.sink));
    }
    CN_STEP(run_job(doc, writer, &job));
done:
    end_job(&job, st);
    return st;
}

cornu_status cn_document_save_memory(cn_document* doc, const cornu_save_options* options, void** out,
                                     uint64_t* out_size) {
    cornu_status st = CORNU_OK;
    cn_save_job job = {0};
    const cn_writer* writer;

    *out = NULL;
    *out_size = 0;
    read_options(options, &job);
    if (job.options.format == CORNU_FORMAT_AUTO)
        job.options.format = doc->format->id == CORNU_FORMAT_KERAS_DIR ? CORNU_FORMAT_KERAS : doc->format->id;
    if (job.options.format == CORNU_FORMAT_KERAS_DIR || job.options.format == CORNU_FORMAT_SHARDED)
        return CN_FAIL(BAD_ARGUMENT, "%s: %s cannot be saved to memory; formats of one file can", doc->name,
                       job.options.format == CORNU_FORMAT_SHARDED ? "sharded weights" : "a directory");
    CN_STEP(pick_writer(&job, "<memory>", &writer));
    if (writer->id == CORNU_FORMAT_KERAS_DIR) CN_STEP(CN_FAIL(BAD_ARGUMENT, "a directory cannot be saved to memory; zipped must not be 0"));
    CN_STEP(cn_sink_open_memory(&job.sink));
    CN_STEP(run_job(doc, writer, &job));
    *out = cn_sink_take_memory(job.sink, out_size);
    if (!*out) CN_STEP(CN_NO_MEMORY(1));
done:
    end_job(&job, st);
    return st;
}
