/* What Keras 3.15 would refuse or misread in a document, found from the document alone. */
#ifndef CN_KERAS_CHECK_H
#define CN_KERAS_CHECK_H

#include "keras/parts.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cn_check {
    cornu_finding* rows; /* strings in arena, or static */
    size_t count, capacity;
    cn_arena arena;
    const char* const* declared; /* names of custom objects */
    int declared_count;
} cn_check;

/* Fills *out, which has only `declared` set before; cn_check_deinit also after a failure. */
cornu_status cn_check_document(cn_document* doc, cn_check* out);
void cn_check_deinit(cn_check* check);

/* Adds a finding; place and what are copied, the others static. One that is there already is not added again. */
cornu_status cn_check_add(cn_check* check, cornu_severity severity, const char* who, const char* code, const char* place, const char* remedy,
                          const char* format, ...) __attribute__((format(printf, 7, 8)));
bool cn_check_is_declared(const cn_check* check, const char* name);

/* check_config.c: objects of the config, and how layers are connected. */
cornu_status cn_check_config(cn_document* doc, cn_check* check);
/* check_weights.c: the weights file, the optimizer's state, assets. */
cornu_status cn_check_weights(cn_document* doc, cn_check* check);

/* check_legacy.c: legacy HDF5, which Keras 3.15 reads by other rules. */
cornu_status cn_check_legacy(cn_document* doc, cn_check* check);

/* check_class.c: what Keras 3.15 has. Rows of accepts.def. */
/* The keys that a class's constructor takes, separated by blanks; NULL: Keras has no such class in that module. */
const char* cn_keras_keys(const char* module, const char* class_name);
/* Whether text is one of the words of a list separated by blanks. */
bool cn_is_word_of(const char* words, const char* text);
bool cn_keras_has_module(const char* module);
bool cn_keras_has_function(const char* name);
bool cn_keras_has_op(const char* class_name);

#ifdef __cplusplus
}
#endif

#endif
