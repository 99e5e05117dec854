/* Saving: the format's row writes the members, the sink makes them appear at once. */
#include <string.h>

#include "keras/parts.h"

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

/* What progress counts up to: what is rewritten, and all that is copied. */
static uint64_t total_bytes(const cn_document* doc, const cn_save_job* job, bool weights_only) {
    uint64_t rewritten = cn_weights_rewrite_bytes(doc, &job->options);
    uint64_t sum = rewritten ? 2 * rewritten : doc->weights_source ? cn_source_size(doc->weights_source) : 0;

    for (size_t i = 0; i < doc->member_count && !weights_only; i++) {
        if (doc->members[i].source != doc->weights_source) sum += cn_source_size(doc->members[i].source);
    }
    return sum;
}

static cornu_status run_job(cn_document* doc, const cn_format* format, cn_save_job* job) {
    job->total = total_bytes(doc, job, format->id == CORNU_FORMAT_WEIGHTS);
    CN_TRY(format->save(doc, job));
    CN_TRY(cn_save_progress(job, job->total - job->done));
    return cn_sink_commit(job->sink);
}

cornu_status cn_document_save(cn_document* doc, const char* path, const cornu_save_options* options) {
    cornu_status st = CORNU_OK;
    cn_save_job job = {0};
    const cn_format* format;

    job.path = path;
    read_options(options, &job);
    CN_STEP(cn_format_of_path(path, job.options.format, &format));
    if (format->id == CORNU_FORMAT_KERAS_DIR) {
        CN_STEP(cn_format_check_directory(path));
        CN_STEP(cn_sink_open_dir(path, job.options.overwrite != 0, &job.sink));
    } else {
        CN_STEP(cn_sink_open(path, job.options.overwrite != 0, &job.sink));
    }
    CN_STEP(run_job(doc, format, &job));
done:
    cn_sink_close(job.sink);
    return st;
}

cornu_status cn_document_save_memory(cn_document* doc, const cornu_save_options* options, void** out,
                                     uint64_t* out_size) {
    cornu_status st = CORNU_OK;
    cn_save_job job = {0};
    const cn_format* format;

    *out = NULL;
    *out_size = 0;
    read_options(options, &job);
    if (job.options.format == CORNU_FORMAT_KERAS_DIR)
        return CN_FAIL(BAD_ARGUMENT, "%s: a directory cannot be saved to memory; keras and weights.h5 can", doc->name);
    if (job.options.format == CORNU_FORMAT_AUTO)
        job.options.format = doc->format->id == CORNU_FORMAT_KERAS_DIR ? CORNU_FORMAT_KERAS : doc->format->id;
    CN_STEP(cn_format_of_path("<memory>", job.options.format, &format));
    CN_STEP(cn_sink_open_memory(&job.sink));
    CN_STEP(run_job(doc, format, &job));
    *out = cn_sink_take_memory(job.sink, out_size);
    if (!*out) CN_STEP(CN_NO_MEMORY(1));
done:
    cn_sink_close(job.sink);
    return st;
}
