/* What can be told of a model without running it: its rows of layers and its counts. */
#ifndef CN_SESSION_DESCRIBE_H
#define CN_SESSION_DESCRIBE_H

#include "keras/layer.h"
#include "session/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A row of cornu_model_layer_info. Strings live in model->strings. */
typedef struct cn_layer_row {
    cornu_layer_info info;
    const cn_layer* layer; /* NULL for a group of the weights file that no config describes */
} cn_layer_row;

/* The document in Keras 3.15's form, or as it stands in the file where it cannot be brought to that. */
cn_document* cn_model_readable(const cornu_model* model);
/* Fills model->layer_rows (cn_layer_row) and layer_row_count if that was not done since the config changed; the lock is
 * held alone. On failure there are none. */
cornu_status cn_model_describe_layers(cornu_model* model);
/* Whether a variable is trained, as far as the file tells: flags `trainable` of its layer and of those above, and what
 * is known of classes (moving statistics and the like). */
bool cn_variable_is_trainable(const cn_variable* variable);
/* Layers of the root model as Keras counts them: no operations, no InputLayer of a Sequential. */
int64_t cn_model_root_layers(const cornu_model* model);

#ifdef __cplusplus
}
#endif

#endif
