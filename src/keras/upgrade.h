/* A document of any age in the form of Keras 3.15.
 *
 *   as it stands in the file                    upgraded
 *     Keras 1, 2, tf.keras, legacy HDF5, ... --> config: objects with module and registered_name, calls as args and kwargs
 *     model_weights/dense_1/dense_1/kernel:0 --> layers/dense/vars/0, read through the file's variable (cn_origin)
 *
 * Only what keeps every value is rewritten. What has no form in Keras 3.15 stays as it is, and a note says so: sessions
 * refuse it by name, loading never does. */
#ifndef CN_KERAS_UPGRADE_H
#define CN_KERAS_UPGRADE_H

#include "keras/document.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The document that sessions lower and that `convert` writes as .keras: doc itself when it is of Keras 3's own form already, else one
 * that belongs to doc and lives as long. Made on first use and after every cn_document_set_json; its variables follow those of doc
 * (cn_document_set_variable on either raises the version of both, where the file's elements are the layer's). Its variables have no node:
 * read them by cn_document_read. Thread-safe among readers of doc. CORNU_BAD_FILE: the config or the list of weights does not hold
 * together; CORNU_NO_MEMORY. */
cornu_status cn_document_upgraded(cn_document* doc, cn_document** out);

/* What could not be brought to Keras 3.15's form, one sentence each, "" for nothing; of an upgraded document. Borrowed. */
const char* cn_document_upgrade_notes(const cn_document* upgraded);
/* The sentence about one layer of the root model by its name, NULL if there is none. */
const char* cn_document_upgrade_note(const cn_document* upgraded, const char* layer);

/* training_config of a legacy HDF5 file as it stood there; NULL if there is none. */
cn_json_doc* cn_document_training_doc(cn_document* doc);

#ifdef __cplusplus
}
#endif

#endif
