/* The variables of a layer in the order and under the names of legacy HDF5: all that are trained, then the others, each in the order in which
 * Keras lists a layer's weights: its own, then those of its sub-layers as the class makes them. */
#ifndef CN_KERAS_LISTING_H
#define CN_KERAS_LISTING_H

#include "keras/layer.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cn_listed {
    const cn_variable* variable;
    const char* name; /* "inner/dense_1/kernel": names of the layers from the listed one on, then the variable's */
    bool trainable;
} cn_listed;

/* All variables of a layer and what is below it, in arena. CORNU_UNSUPPORTED, naming the layer: its order cannot be told (a class that is not
 * known here and has sub-layers), or its variables are not those of its class (quantized). CORNU_BAD_FILE: a variable is missing. */
cornu_status cn_list_weights(const cn_document* doc, const cn_layer* layer, cn_arena* arena, cn_listed** out, size_t* out_count);

/* Calls told with the path of each variable that a layer or what is below it should have by its class, and has not. */
cornu_status cn_list_missing(const cn_document* doc, const cn_layer* layer, cn_arena* arena, cornu_status (*told)(void* user, const char* path),
                             void* user);

#ifdef __cplusplus
}
#endif

#endif
