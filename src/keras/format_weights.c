/* .weights.h5 of Keras 3: the HDF5 file alone. A config may come from a file of its own (config_path). */
#include "keras/parts.h"

cornu_status cn_config_adopt(cn_document* doc, const cornu_load_options* options) {
    cn_config_state* state = NULL;
    cn_source* config = NULL;
    cornu_status st = CORNU_OK;

    if (options->config_path) CN_STEP(cn_source_open_file(options->config_path, &config));
    CN_STEP(cn_state_create(doc, config, NULL, &state));
    st = cn_state_adopt(doc, state);
    state = NULL;
done:
    cn_state_destroy(state);
    cn_source_close(config);
    return st;
}

static cornu_status open_keras3(cn_document* doc, const cornu_load_options* options) {
    const char* why;

    if (!cn_weights_is_keras3(doc->h5, &why)) return CN_FAIL(BAD_FILE, "%s: %s", doc->name, why);
    return cn_config_adopt(doc, options);
}

/* Any HDF5: what is in it decides. */
static cornu_status open_weights(cn_document* doc, int dir_fd, const cornu_load_options* options) {
    (void)dir_fd;
    CN_TRY(cn_weights_list(doc, doc->source));
    return cn_h5_is_legacy(doc->h5) ? cn_h5_open_legacy(doc, options) : open_keras3(doc, options);
}

static cornu_status write_sink(void* to, const void* data, uint64_t size) { return cn_sink_write(to, data, size); }

cornu_status cn_weights_save(cn_document* doc, cn_save_job* job) {
    cornu_status st = CORNU_OK;
    cn_source* bytes;
    cn_source* owned = NULL;

    CN_STEP(cn_weights_build(doc, job, &bytes, &owned));
    CN_STEP(cn_save_source(job, bytes, write_sink, job->sink));
done:
    cn_source_close(owned);
    return st;
}

const cn_format cn_format_weights = {CORNU_FORMAT_WEIGHTS, "weights.h5", ".weights.h5", open_weights, cn_weights_save};
