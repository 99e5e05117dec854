/* .weights.h5 of Keras 3: the HDF5 file alone. A config may come from a file of its own (config_path). */
#include "keras/parts.h"

static cornu_status open_weights(cn_document* doc, int dir_fd, const cornu_load_options* options) {
    cornu_status st = CORNU_OK;
    cn_source* config = NULL;
    cn_config_state* state = NULL;

    (void)dir_fd;
    if (options->config_path) CN_STEP(cn_source_open_file(options->config_path, &config));
    CN_STEP(cn_state_create(doc, config, NULL, &state));
    CN_STEP(cn_weights_open(doc, doc->source));
    st = cn_state_adopt(doc, state);
    state = NULL;
done:
    cn_state_destroy(state);
    cn_source_close(config);
    return st;
}

static cornu_status write_sink(void* to, const void* data, uint64_t size) { return cn_sink_write(to, data, size); }

static cornu_status save_weights(cn_document* doc, cn_save_job* job) {
    cornu_status st = CORNU_OK;
    cn_source* bytes;
    cn_source* owned = NULL;

    CN_STEP(cn_weights_build(doc, job, &bytes, &owned));
    CN_STEP(cn_save_source(job, bytes, write_sink, job->sink));
done:
    cn_source_close(owned);
    return st;
}

const cn_format cn_format_weights = {CORNU_FORMAT_WEIGHTS, "weights.h5", ".weights.h5", open_weights, save_weights};
