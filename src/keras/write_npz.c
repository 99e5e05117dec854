/* Saving as .npz: PATH.npy for each variable. */
#include <string.h>

#include "archive/npy.h"
#include "keras/writers.h"

enum { HEADER_ROOM = 1 << 12 };

static cornu_status put_to_zip(void* user, const void* data, uint64_t size) { return cn_zip_writer_write(user, data, size); }

static cornu_status write_variable(cn_document* doc, cn_save_job* job, cn_zip_writer* zip, const cn_variable* variable) {
    cornu_status st = CORNU_OK;
    uint64_t bytes = (uint64_t)variable->count * cornu_dtype_size(variable->dtype); /* bounded by the file's */
    cn_buf name = {0};
    void* elements = cn_alloc((size_t)bytes + 1);
    cornu_tensor tensor;

    if (!elements) return CN_NO_MEMORY(bytes);
    if (variable->dtype == CORNU_BFLOAT16)
        CN_STEP(CN_FAIL(UNSUPPORTED, "%s: variable '%s' is of dtype bfloat16, which numpy and so .npz does not have", doc->name,
                        variable->path));
    CN_STEP(cn_document_read(doc, variable, elements));
    tensor = cornu_tensor_shaped(variable->dtype, elements, variable->ndim, variable->dims);
    cn_buf_text(&name, variable->path);
    cn_buf_text(&name, ".npy");
    CN_STEP(cn_buf_check(&name));
    CN_STEP(cn_zip_writer_begin(zip, name.data, -1, bytes + HEADER_ROOM));
    CN_STEP(cn_npy_put_to(put_to_zip, zip, &tensor));
    CN_STEP(cn_zip_writer_end(zip));
    CN_STEP(cn_save_progress(job, bytes));
done:
    cn_buf_deinit(&name);
    cn_free(elements);
    return st;
}

cornu_status cn_save_npz(cn_document* doc, cn_save_job* job) {
    cornu_status st = CORNU_OK;
    cn_zip_writer* zip = NULL;

    CN_STEP(cn_zip_writer_open(job->sink, &zip));
    for (size_t i = 0; i < doc->variable_count; i++) {
        const cn_variable* variable = &doc->variables[i];
        if (variable->is_optimizer && !job->options.include_optimizer) continue;
        CN_STEP(write_variable(doc, job, zip, variable));
    }
    CN_STEP(cn_zip_writer_finish(zip));
done:
    cn_zip_writer_close(zip);
    return st;
}
