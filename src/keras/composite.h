/* The classes of Keras that make sub-layers: which ones, and in which order. A layer's weights are listed in that order, which is not that
 * of a file by paths. */
#ifndef CN_KERAS_COMPOSITE_H
#define CN_KERAS_COMPOSITE_H

#include "keras/naming.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cn_composite {
    const char* class_name;
    const char* attributes; /* as cn_layer_sub takes them */
    const char* key;        /* of the config that has the object; NULL: there is none, but class and name */
    const char* sub_class;
    const char* sub_name;
} cn_composite;

/* The sub-layers of a class in order, *count of them; NULL and 0 for other classes. StackedRNNCells is none of them: it has cells. */
const cn_composite* cn_composite_find(const char* class_name, size_t* count);
/* The object of a sub-layer that has one, NULL where the config lacks it. */
const cn_json* cn_composite_object(const cn_layer* layer, const cn_composite* row);
/* Cell i of StackedRNNCells in *out, and its attribute, "cells/lstm_cell_1", in arena. naming: has counted the cells before it. */
cornu_status cn_composite_cell(const cn_document* doc, const cn_layer* layer, size_t i, cn_naming* naming, cn_arena* arena, const char** attribute,
                               const cn_layer** out);

#ifdef __cplusplus
}
#endif

#endif
