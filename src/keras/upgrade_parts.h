/* What the files of the upgrade share.
 *
 *   upgrade.c          the document as a whole; models and their calls
 *   upgrade_layer.c    classes, keys and values of a layer's config
 *   upgrade_ops.c      TensorFlow functions that tf.keras recorded as layers
 *   upgrade_weights.c  which variable of the file becomes which of Keras 3
 *   upgrade_training.c losses, metrics and the optimizer with its variables
 *   upgrade_convert.c  how its elements change on the way */
#ifndef CN_KERAS_UPGRADE_PARTS_H
#define CN_KERAS_UPGRADE_PARTS_H

#include "keras/parts.h"
#include "keras/upgrade.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cn_upgrade {
    cn_document* from; /* as it stands in the file */
    cn_document* to;   /* being made; its arena holds what lasts */
    int era;           /* whose config it is: 1, 2 (tf.keras too) or 3 */
    int weights_era;   /* whose layout the weights are in */
    size_t variable_room; /* how many variables to may get: those of from, and those that it has twice */
    cn_buf text;       /* the new config so far */
    cn_buf notes;
    cn_upgrade_note* note_list;
    size_t note_count, note_capacity;
    cornu_status status; /* the first failure */
} cn_upgrade;

typedef enum cn_name_kind { CN_NAME_layer, CN_NAME_op, CN_NAME_object } cn_name_kind;

/* Module of a class of Keras 3.15 of that kind, NULL if there is none. */
const char* cn_name_module(cn_name_kind kind, const char* class_name);

/* ---- upgrade.c ---- */

/* Records that a layer has no form in Keras 3.15. */
void cn_upgrade_add_note(cn_upgrade* u, const char* layer, const char* format, ...) __attribute__((format(printf, 3, 4)));
/* The name that a layer of a model gets: without '/'. In to's arena; "" without memory. */
const char* cn_upgrade_name(cn_upgrade* u, const cn_layer* model, const char* name);
/* Writes the object of a layer, without the braces' end, so that the caller may add keys: {"module": ..., ..., "registered_name": ... */
void cn_upgrade_put_model_or_layer(cn_upgrade* u, const cn_layer* layer, const char* name);

void cn_upgrade_put(cn_upgrade* u, const char* text);
void cn_upgrade_put_string(cn_upgrade* u, const char* text);

/* Whether a value is ["layer", node, tensor, ...] with a layer of the model; *layer is it, *node its call in Keras 3's counting. */
bool cn_upgrade_reference(cn_upgrade* u, const cn_layer* model, const cn_json* node, const cn_layer** layer, int64_t* call);
/* Writes a reference as a tensor of Keras 3. */
void cn_upgrade_put_tensor(cn_upgrade* u, const cn_layer* model, const cn_json* reference);
/* References of a node: the list of them, or the one that the node itself is. */
size_t cn_upgrade_node_size(const cn_json* node);
const cn_json* cn_upgrade_node_at(const cn_json* node, size_t i);
/* The keyword arguments of a node, behind its last reference; NULL for none. */
const cn_json* cn_upgrade_kwargs(const cn_json* node);
/* Writes an argument of a call: references as tensors, constants as they are. */
void cn_upgrade_put_argument(cn_upgrade* u, const cn_layer* model, const cn_json* value);

/* How the variables of a file of weights are matched to layers. */
typedef struct cn_match {
    bool by_name;       /* by layers' names only; those of other names are left out */
    bool in_order;      /* legacy HDF5: by the layers' order only; neither: by names where all are known, else in order */
    bool skip_mismatch; /* by_name: leave out layers with another number of weights */
} cn_match;

/* The document in Keras 3.15's form, taken to be of that era. The caller's: cn_document_close. */
cornu_status cn_upgrade_build(cn_document* doc, int era, const cn_match* match, cn_document** out);

/* ---- upgrade_layer.c ---- */

/* The same as cn_upgrade_put_model_or_layer for a layer that is no model. */
void cn_upgrade_put_layer(cn_upgrade* u, const cn_layer* layer, const char* name);
/* Any value inside a config. key: of the object that it lies in, or NULL. */
void cn_upgrade_put_value(cn_upgrade* u, const cn_layer* owner, const char* key, const cn_json* value);

/* ---- upgrade_ops.c ---- */

/* Whether the class records a TensorFlow function. */
bool cn_upgrade_is_tensorflow(const char* class_name);
/* Writes the whole entry of such a layer in a Functional, as an operation of Keras 3; false, with a note, when there is none like it. */
bool cn_upgrade_put_tensorflow(cn_upgrade* u, const cn_layer* model, const cn_layer* layer, const char* name);

/* A function of TensorFlow by what computes the same in Keras 3. */
typedef struct cn_tf_function {
    const char* name;        /* "math.multiply" */
    const char* second;      /* what it calls its second tensor, NULL where it has one alone, or a list */
    const char* const* keys; /* three, "theirs=ours", NULL behind the last */
} cn_tf_function;

/* Whether there is one for an operation's class. */
bool cn_upgrade_tensorflow_of(const char* op, cn_tf_function* out);
/* legacy_tf_ops.c: whether tf.keras can have an entry of a Functional as a TFOpLambda; its attributes as keywords of a call. */
bool cn_legacy_tf_function(const cn_json* entry, cn_tf_function* out);
cornu_status cn_legacy_tf_attributes(const cn_json* entry, const cn_tf_function* function, bool* first, cn_buf* out);

/* ---- upgrade_weights.c ---- */

/* Makes to's variables from those of from; to has its layers. */
cornu_status cn_upgrade_weights(cn_upgrade* u, const cn_match* match);
/* One more variable of to, with the elements of one of from. The caller has made room. */
cornu_status cn_upgrade_add_variable(cn_upgrade* u, const char* path, const cn_variable* like);

/* ---- upgrade_training.c ---- */

/* Writes , "compile_config": {...} where from is compiled. */
cornu_status cn_upgrade_put_compile(cn_upgrade* u);
/* Puts the optimizer's variables of from in the place and order of Keras 3 into to, whose layers have their variables. Layers have to look for them
 * again where *changed is true. What cannot be told apart is left out. */
cornu_status cn_upgrade_optimizer(cn_upgrade* u, bool* changed);

/* ---- upgrade_convert.c ---- */

#define CN_CONVERT_SOURCES 12

typedef enum cn_convert_kind {
    CN_CONVERT_PERMUTE,      /* axes in another order, some reversed, axes of size 1 left out */
    CN_CONVERT_CONCAT,       /* several arrays beside each other along the last axis */
    CN_CONVERT_CUDNN_KERNEL, /* gate by gate: the transpose read as [inputs, units] in Fortran order */
    CN_CONVERT_CUDNN_RECURRENT, /* gate by gate: the transpose */
    CN_CONVERT_SUM_HALVES,   /* first half + second half */
    CN_CONVERT_RESHAPE       /* the same elements in another shape */
} cn_convert_kind;

typedef struct cn_conversion {
    cn_convert_kind kind;
    int axis[CORNU_MAX_DIMS];  /* PERMUTE: of the source, for each axis of the result */
    bool flip[CORNU_MAX_DIMS]; /* PERMUTE: for each axis of the result */
    int gates;                 /* CUDNN */
} cn_conversion;

/* Elements of a variable with a conversion. */
cornu_status cn_convert_read(const cn_document* doc, const cn_variable* variable, void* dst);

#ifdef __cplusplus
}
#endif

#endif
