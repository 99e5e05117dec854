/* Which variables a class of Keras has of its own, in the order of "<path>/vars". */
#ifndef CN_KERAS_OWN_VARIABLES_H
#define CN_KERAS_OWN_VARIABLES_H

#include "keras/layer.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CN_OWN_MAX 16

typedef struct cn_own_variable {
    const char* name; /* "kernel": size bytes of it */
    size_t size;
    bool state; /* never trained */
} cn_own_variable;

/* Those that a layer of that class has by its config, in out; -1 for a class that is not known. */
int cn_own_variables(const char* class_name, const cn_layer* layer, cn_own_variable out[CN_OWN_MAX]);

#ifdef __cplusplus
}
#endif

#endif
