/* Layers as a config describes them, with the place of their variables in the weights file. No meaning yet: lower/ gives it.
 *
 * Paths follow keras-format's walk: the children of Functional and Sequential are "layers/<snake>[_N]", numbered over layers
 * alone (ops consume no number; in Functional InputLayers do); sub-layers of wrappers and composites are attributes ("cell", "forward_layer", "query_dense"). */
#ifndef CN_KERAS_LAYER_H
#define CN_KERAS_LAYER_H

#include "keras/document.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum cn_layer_kind {
    CN_LAYER_PLAIN,      /* a layer class, built in or custom */
    CN_LAYER_FUNCTIONAL, /* holds layers and the way they are connected */
    CN_LAYER_SEQUENTIAL, /* holds layers, one after the other */
    CN_LAYER_OP          /* an entry of a Functional that is an operation (module keras.src.ops...) */
} cn_layer_kind;

struct cn_layer {
    cn_layer_kind kind;
    const char* name;            /* config.name, or the entry's name; "" if the file has none */
    const char* class_name;      /* "Dense" */
    const char* module;          /* "keras.layers"; "" if the file has none */
    const char* registered_name; /* "package>Name" of a custom class, else "" */
    const cn_json* object;       /* {module, class_name, config, ...} */
    const cn_json* config;       /* object.config */
    const cn_json* inbound_nodes; /* in a Functional: its calls; else NULL */
    const char* path;            /* its group in the weights file: "layers/dense"; "" for the root; with a '#' for one that has none */
    const cn_layer* parent;      /* NULL for the root */
    cn_layer** layers;           /* of Functional and Sequential, in the order of the config */
    size_t layer_count;
};

/* The child of that name, NULL if there is none. */
const cn_layer* cn_layer_find(const cn_layer* model, const char* name);
/* The object of a sub-layer in a config ({class_name, config, ...}) as a layer at parent's path + "/" + attribute. attributes lists the names that
 * Keras may have stored it under, separated by '|', the usual one first: the first that the weights file has is taken, else the first.
 * The layer lives as long as the document. CORNU_BAD_FILE: object is no layer object. Thread-safe. */
cornu_status cn_layer_sub(const cn_document* doc, const cn_layer* parent, const cn_json* object, const char* attributes,
                          const cn_layer** out);
/* A sub-layer that has no object of its own in the config (MultiHeadAttention's query_dense): class and path only; config is NULL. */
cornu_status cn_layer_sub_plain(const cn_document* doc, const cn_layer* parent, const char* class_name,
                                const char* attributes, const cn_layer** out);

/* The layer's own variables (datasets of "<path>/vars"), not those of its sub-layers. */
int cn_layer_variable_count(const cn_document* doc, const cn_layer* layer);
/* Variable i of the layer ("<path>/vars/<i>"), NULL if the file has none. */
const cn_variable* cn_layer_variable(const cn_document* doc, const cn_layer* layer, int i);
/* "Conv2DTranspose" -> "conv2d_transpose", as Keras's to_snake_case; in arena. NULL when there is no memory. */
char* cn_snake_case(cn_arena* arena, const char* class_name);
/* "layer 'dense' (Dense)" in a thread-local buffer, for messages; valid until the next call on this thread. */
const char* cn_layer_describe(const cn_layer* layer);

#ifdef __cplusplus
}
#endif

#endif
