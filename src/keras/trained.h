/* The variables that training changes, in the order in which Keras lists them (model.trainable_variables): layer by layer, own
 * variables first, then those of sub-layers in the order in which their class makes them, which is not that of the file. */
#ifndef CN_KERAS_TRAINED_H
#define CN_KERAS_TRAINED_H

#include "keras/layer.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cn_trained {
    const cn_variable* variable; /* of the layer */
    /* Its path in Keras, "dense/kernel", from which the names of an optimizer's variables are made; layers' names, then the
     * variable's where the class is known here, else its number. A caller that knows better may put its own here. */
    const char* name;
    bool in_embedding; /* a layer of class Embedding or ReversibleEmbedding, or one with "embedding" in its name, owns it */
    bool uncertain;    /* its place in the order is a guess: a class that is not known here holds several layers */
} cn_trained;

/* All of a document, in arena. A document without a config has none: *out_count is 0. */
cornu_status cn_trained_list(const cn_document* doc, cn_arena* arena, cn_trained** out, size_t* out_count);

/* Whether variable n of a layer of that class is state that no training step changes through a gradient: moving statistics and the like. */
bool cn_is_state_variable(const char* class_name, const cn_json* config, int64_t n);

#ifdef __cplusplus
}
#endif

#endif
