/* The compile state of a model: losses, metrics and their weights, by output, in a typed form. The optimizer is in keras/optimizer.h. */
#ifndef CN_KERAS_COMPILE_H
#define CN_KERAS_COMPILE_H

#include "keras/optimizer.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The object with keys optimizer, loss, loss_weights, metrics, weighted_metrics, ...: compile_config of .keras, or what a reader of another format put
 * in its place. NULL for a model that is not compiled, and when the document was loaded with compile 0. */
const cn_json* cn_compile_object(const cn_document* doc);

#ifdef __cplusplus
}
#endif

#endif
