/* Loading weights from one document into another. */
#ifndef CN_KERAS_LOAD_WEIGHTS_H
#define CN_KERAS_LOAD_WEIGHTS_H

#include "keras/document.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Gives doc the values that the file at path holds, as cornu_model_load_weights promises. options may be NULL; report may be
 * NULL. Nothing is changed unless everything fits, but for want of memory or a failing disk while values are copied. */
cornu_status cn_document_load_weights(cn_document* doc, const char* path, const cornu_weights_options* options,
                                      cornu_weights_report* report);

#ifdef __cplusplus
}
#endif

#endif
