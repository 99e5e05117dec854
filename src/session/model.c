/* Life of a model: its owner and each of its sessions hold a reference. */
#include "session/model.h"

#include "session/store.h"

cornu_status cn_model_create(cn_document* document, cornu_model** out) {
    cornu_model* model = cn_alloc_zero(1, sizeof *model);

    *out = NULL;
    if (!model || pthread_rwlock_init(&model->lock, NULL) != 0) {
        cn_free(model);
        cn_document_close(document);
        return CN_NO_MEMORY(sizeof *model);
    }
    model->document = document;
    atomic_init(&model->references, 1);
    *out = model;
    return CORNU_OK;
}

void cn_model_reference(cornu_model* model) { (void)atomic_fetch_add(&model->references, 1); }

void cn_model_release(cornu_model* model) {
    if (!model || atomic_fetch_sub(&model->references, 1) != 1) return;
    cn_store_destroy(model->store);
    cn_document_close(model->document);
    cn_arena_deinit(&model->strings);
    (void)pthread_rwlock_destroy(&model->lock);
    cn_free(model);
}
