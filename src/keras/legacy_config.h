/* A config of Keras 3.15's form as legacy HDF5 has it: model_config and training_config, in the form of either dialect.
 *
 *     {"module": "keras.layers", "class_name": "Dense", "config": {...}, "registered_name": null, "build_config": ...}
 *     {"class_name": "Dense", "config": {...}} */
#ifndef CN_KERAS_LEGACY_CONFIG_H
#define CN_KERAS_LEGACY_CONFIG_H

#include "base/buf.h"
#include "keras/layer.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Appends model_config: {"class_name": ..., "config": ...}. CORNU_UNSUPPORTED, naming layer and key: what that Keras could not read back from
 * it, or would read as another model. */
cornu_status cn_legacy_print_model(const cn_document* doc, cornu_dialect dialect, cn_buf* out);
/* Appends the members of training_config but for optimizer_config: "loss": ..., ..., without braces. compile is compile_config. */
cornu_status cn_legacy_print_compile(const cn_document* doc, const cn_json* compile, cornu_dialect dialect, cn_buf* out);

/* Of legacy_config.c, for legacy_tf.c. Appends , and a key. */
void cn_legacy_key(cn_buf* out, bool* first, const char* key, size_t size);
/* Whether the object is a Functional or Sequential with layers in its config. */
bool cn_legacy_is_model(const cn_json* object);
/* "package>Name" of a custom class, else its class_name; NULL if it has none. */
const char* cn_legacy_class(const cn_json* object);
/* legacy_masks.c, of a Functional's config: its entry of that name (which may be NULL), NULL if there is none; whether an entry is an operation;
 * keras_history of a tensor, NULL for anything else. */
const cn_json* cn_legacy_entry(const cn_json* model, const char* name);
bool cn_legacy_is_operation(const cn_json* entry);
const cn_json* cn_legacy_history(const cn_json* value);
/* Whether a keyword of a call is a mask that layers pass on, and whether its value comes from nothing but Embedding and Masking layers of the model,
 * so that a reader makes it again. */
bool cn_legacy_is_mask(const char* key);
bool cn_legacy_is_implicit(const cn_json* model, const cn_json* value);
/* An operation of the model that is used for something else than such masks; NULL if there is none. */
const cn_json* cn_legacy_operation(const cn_json* model);
/* legacy_tf.c: {"class_name", "config"} of the root, a layer's object or another one as tf.keras has it. */
cornu_status cn_legacy_print_tf_model(const cn_document* doc, const cn_json* object, cn_buf* out);
cornu_status cn_legacy_print_tf_value(const cn_document* doc, const cn_json* value, cn_buf* out);

#ifdef __cplusplus
}
#endif

#endif
