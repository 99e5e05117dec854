/* Saving the architecture alone: the config as it stands, or as tf.keras's to_json writes it. */
#include <string.h>

#include "keras/legacy_config.h"
#include "keras/writers.h"

/* {"class_name": ..., "config": ..., "keras_version": ..., "backend": ...} */
static cornu_status print_tf(const cn_document* doc, cn_buf* out) {
    CN_TRY(cn_legacy_print_model(doc, CORNU_DIALECT_TF, out));
    CN_TRY(cn_buf_check(out));
    out->size--; /* the closing brace */
    cn_buf_text(out, ", \"keras_version\": \"2.15.0\", \"backend\": \"tensorflow\"}");
    return cn_buf_check(out);
}

cornu_status cn_save_json(cn_document* doc, cn_save_job* job) {
    cornu_status st = CORNU_OK;
    cn_buf text = {0};

    if (!doc->state->config) return CN_FAIL(UNSUPPORTED, "%s: the file holds no architecture to be written", doc->name);
    if (job->options.dialect == CORNU_DIALECT_TF) CN_STEP(print_tf(doc, &text));
    else CN_STEP(cn_json_print(cn_json_root(doc->state->config), &text));
    CN_STEP(cn_buf_check(&text));
    CN_STEP(cn_sink_write(job->sink, text.data, text.size));
done:
    cn_buf_deinit(&text);
    return st;
}
