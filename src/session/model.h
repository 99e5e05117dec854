/* What a cornu_model is: a document, and what its sessions share. */
#ifndef CN_SESSION_MODEL_H
#define CN_SESSION_MODEL_H

#include <pthread.h>
#ifdef __cplusplus
#include <atomic>
using std::atomic_int;
#else
#include <stdatomic.h>
#endif

#include "keras/document.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cn_store cn_store;

struct cornu_model {
    cn_document* document;
    pthread_rwlock_t lock;  /* runs and reads hold it shared; changes of variables and JSON hold it alone */
    atomic_int references;  /* the owner's, and one a session */
    cn_store* store;        /* weights in the form that backends want; made on first use */
    cn_arena strings;       /* names and shapes given out by cornu_model_layer_info; under the lock */
    void* layer_rows;       /* cached rows of cornu_model_layer_info, NULL until asked for */
    int64_t layer_row_count;
    struct cn_compile* compile; /* cached compile state, NULL until asked for; in `strings` */
};

/* Takes the document over, also when it fails. */
cornu_status cn_model_create(cn_document* document, cornu_model** out);
void cn_model_reference(cornu_model* model);
/* The last one frees it. */
void cn_model_release(cornu_model* model);

#ifdef __cplusplus
}
#endif

#endif
