/* What the family files of lower/ share: a layer is a row and a function.
 *
 *     static cornu_status lower_dense(cn_call* c) {
 *         cn_id x, kernel;
 *         CN_TRY(cn_call_tensor(c, &x));
 *         CN_TRY(cn_call_weight(c, 0, 2, (int64_t[]){units, ...}, &kernel));
 *         return cn_call_return(c, cn_graph_matmul(c->g, x, kernel, false, false));
 *     }
 *
 * Before the function runs, float inputs are cast to the layer's compute dtype, as Keras's autocast does; after it, the mask
 * is set by the row's rule. Building errors stick in the graph; cn_call_return gives them back. */
#ifndef CN_LOWER_LAYER_H
#define CN_LOWER_LAYER_H

#include "lower/lower.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cn_lower cn_lower;

/* A tensor with the mask that Keras would carry on it: bool, [batch, steps...], CN_NONE for none. */
typedef struct cn_value {
    cn_id tensor;
    cn_id mask;
} cn_value;

typedef enum cn_arg_kind {
    CN_ARG_NONE, /* Python's None, or not given */
    CN_ARG_TENSOR,
    CN_ARG_LIST,
    CN_ARG_DICT,
    CN_ARG_JSON /* a literal of the config: number, string, bool, __slice__, __numpy__, ... */
} cn_arg_kind;

/* An argument or a result of a call: a nest of tensors and literals. Lives in the lowering's arena. */
typedef struct cn_arg cn_arg;
struct cn_arg {
    cn_arg_kind kind;
    cn_value value;      /* of TENSOR */
    const cn_json* json; /* of JSON */
    cn_arg* items;       /* of LIST and DICT */
    const char** keys;   /* of DICT */
    int count;
};

/* One call of one layer. */
typedef struct cn_call {
    cn_lower* cx;
    const cn_document* doc;
    cn_graph* g;
    const cn_layer* layer;
    cornu_dtype compute;  /* compute dtype of the layer's policy */
    cornu_dtype variable; /* variable dtype of it */
    bool training;
    const cn_arg* args; /* positional */
    int arg_count;
    const cn_arg* kwargs; /* a DICT */
    cn_arg out;           /* the result: cn_call_return and the like */
} cn_call;

typedef cornu_status (*cn_layer_fn)(cn_call* call);

typedef enum cn_mask_rule {
    CN_MASK_DROP, /* the output has no mask */
    CN_MASK_PASS, /* that of the first input */
    CN_MASK_OWN   /* the function sets out.value.mask */
} cn_mask_rule;

typedef struct cn_layer_def {
    const char* name; /* class */
    cn_layer_fn lower;
    cn_mask_rule mask;
    bool no_autocast;   /* inputs come as they are */
    const char* limits; /* options that are refused and why, for `cornu layers`; NULL for none */
} cn_layer_def;

/* The tables, one a family file, each ended by a row without name. */
extern const cn_layer_def cn_layers_core[];
extern const cn_layer_def cn_layers_convolution[];
extern const cn_layer_def cn_layers_convolution_depthwise[];
extern const cn_layer_def cn_layers_pooling[];
extern const cn_layer_def cn_layers_normalization[];
extern const cn_layer_def cn_layers_activation[];
extern const cn_layer_def cn_layers_merging[];
extern const cn_layer_def cn_layers_reshaping[];
extern const cn_layer_def cn_layers_regularization[];
extern const cn_layer_def cn_layers_preprocessing[];
/* Layers that keras.applications defines for itself: found only under its modules. */
extern const cn_layer_def cn_layers_applications[];
extern const cn_layer_def cn_layers_rnn[];
extern const cn_layer_def cn_layers_rnn_cells[];
extern const cn_layer_def cn_layers_attention[];
extern const cn_layer_def cn_layers_wrapper[];

/* The operations that a Functional records (keras.ops and operators on tensors), by class name; rows as those of layers, tables by kind.
 * A row of cn_op_refused says in limits why the operation cannot run. Inputs come as they are: args and kwargs of the call, attributes in the layer's config. */
extern const cn_layer_def cn_ops_elementwise[];
extern const cn_layer_def cn_ops_reduce[];
extern const cn_layer_def cn_ops_shape[];
extern const cn_layer_def cn_ops_index[];
extern const cn_layer_def cn_ops_image[];
extern const cn_layer_def cn_ops_nn[];
extern const cn_layer_def cn_ops_math[];
extern const cn_layer_def cn_ops_product[];

/* A row of core that has a file of its own. */
cornu_status cn_lower_einsum_dense(cn_call* call);

/* The row of a layer's class, NULL if there is none. A class of a user's own module is none of Keras's, whatever its name; files
 * of Keras 1 and 2 name no module. */
const cn_layer_def* cn_layer_def_of(const cn_layer* layer);
/* The row of an operation. */
const cn_layer_def* cn_op_def_of(const char* class_name);

/* ---- arguments --------------------------------------------------------------------------------------------------- */

/* The one tensor that the layer is called on. CORNU_BAD_FILE: it is called on something else. */
cornu_status cn_call_tensor(cn_call* call, cn_id* out);
cornu_status cn_call_value(cn_call* call, cn_value* out);
/* The list of at least `least` tensors that the layer is called on, in the lowering's arena. */
cornu_status cn_call_values(cn_call* call, int least, cn_value** out, int* count);
/* Positional argument `position` or keyword `name`, a NONE if neither was given. */
const cn_arg* cn_call_arg(const cn_call* call, int position, const char* name);
const cn_type* cn_call_type(const cn_call* call, cn_id v);
/* What a layer's mask parameter receives: argument `position` or keyword "mask", else the mask that the first input carries, else
 * CN_NONE. */
cn_id cn_call_mask(cn_call* call, int position);
/* Memory that lives as long as the lowering, zeroed; NULL when there is none (the graph has then failed). */
void* cn_call_alloc(cn_call* call, size_t size);

/* Sets the result to one tensor (the mask follows the row's rule) and gives back the graph's status. */
cornu_status cn_call_return(cn_call* call, cn_id tensor);
cornu_status cn_call_return_masked(cn_call* call, cn_id tensor, cn_id mask);
/* Sets the result to a list of tensors, as Keras returns it. */
cornu_status cn_call_return_list(cn_call* call, const cn_value* values, int count);

/* ---- weights ----------------------------------------------------------------------------------------------------- */

/* Variable i of the layer, cast to the compute dtype. The file's shape must be dims (-1: any); CORNU_BAD_FILE says what is
 * missing or which shapes differ, before anything is allocated. */
cornu_status cn_call_weight(cn_call* call, int i, int ndim, const int64_t* dims, cn_id* out);
/* Variable i in the layer's variable dtype, which may be wider than the compute dtype: for layers that compute in float32 at least. */
cornu_status cn_call_stored(cn_call* call, int i, int ndim, const int64_t* dims, cn_id* out);
/* The same of a sub-layer, and without the cast. */
cornu_status cn_lower_weight(cn_call* call, const cn_layer* layer, int i, int ndim, const int64_t* dims, cn_id* out);
/* Fails unless the file holds exactly count variables for the layer, as Keras checks. */
cornu_status cn_call_weight_count(cn_call* call, int count);

/* ---- values -------------------------------------------------------------------------------------------------------- */

/* The dtype that Keras computes a op b in (backend.result_type). Not for strings. */
cornu_dtype cn_promote(cornu_dtype a, cornu_dtype b);
/* fn of both after casting them to the dtype that they promote to. */
cn_id cn_lower_ew2(cn_graph* g, cn_ew fn, cn_id a, cn_id b);
/* What a config has under key, a number, a nested list of numbers, or a numpy array or tensor object, as a constant of that dtype;
 * fallback as a scalar when it is absent or null. */
cornu_status cn_call_array(cn_call* call, const char* key, double fallback, cornu_dtype dtype, cn_id* out);
/* x with 1s inserted after axis 0 until it has ndim axes. */
cn_id cn_lower_expand(cn_graph* g, cn_id x, int ndim);
/* x with a last axis of size 1. */
cn_id cn_lower_expand_last(cn_graph* g, cn_id x);
/* x min(1 / |x|, 1 / epsilon), |x| the Euclidean norm over axes. */
cn_id cn_lower_l2_normalize(cn_graph* g, cn_id x, uint32_t axes, double epsilon);

/* ---- states ------------------------------------------------------------------------------------------------------ */

/* State i that the layer keeps from run to run, and what it is from now on. */
cornu_status cn_call_get_state(cn_call* call, int i, const cn_type* type, cn_id* value);
cornu_status cn_call_set_state(cn_call* call, int i, cn_id value);

/* ---- calling others ---------------------------------------------------------------------------------------------- */

/* Calls a layer (also a nested model) on arguments. */
cornu_status cn_lower_call(cn_lower* cx, const cn_layer* layer, const cn_arg* args, int arg_count, const cn_arg* kwargs,
                           cn_arg* out);
/* An argument that is one tensor. */
cn_arg cn_arg_tensor(cn_value value);

/* Applies what a config has under key as activation: null, a name, a function object, or a layer object. */
cornu_status cn_call_activation(cn_call* call, const char* key, cn_id x, cn_id* out);
/* The function of that name with Keras's default arguments applied to x; CORNU_UNSUPPORTED if there is none. */
cornu_status cn_lower_activation(cn_call* call, const char* name, cn_id x, cn_id* out);

/* Path of member i of the config's list `key` of layer objects, numbered within its class as Keras's container rule has it: "cells/lstm_cell_1". In
 * the lowering's arena. */
cornu_status cn_call_member(cn_call* call, const char* key, const cn_json* list, size_t i, const char** out);

/* A new stream number for a random node. */
uint32_t cn_call_stream(cn_call* call);
/* Moves the channels of a "channels_first" tensor to the end, and back. */
cn_id cn_to_channels_last(cn_graph* g, cn_id x);
cn_id cn_to_channels_first(cn_graph* g, cn_id x);
/* axis of a config made non-negative; CORNU_BAD_ARGUMENT when it is not in [-ndim, ndim). */
cornu_status cn_call_axis(cn_call* call, const char* key, int64_t axis, int ndim, int* out);
/* An integer from 1 to INT32_MAX that the config must have. */
cornu_status cn_config_size(const cn_layer* layer, const char* key, int64_t* out);
/* Reads data_format: null or absent is channels_last. */
cornu_status cn_call_data_format(cn_call* call, bool* channels_first);
/* The one input of a layer over images of 1 to 3 dimensions, as it came: CORNU_BAD_ARGUMENT unless it has spatial + 2 axes. Reads
 * data_format too, unless channels_first is NULL. Dimensions are small enough to be multiplied by an int32. */
cornu_status cn_call_image(cn_call* call, int spatial, cn_id* x, bool* channels_first);
/* Cells that padding "same" adds before and after n cells: TensorFlow's rule, the odd one at the end. */
void cn_same_padding(int64_t n, int64_t window, int64_t stride, int64_t dilation, int64_t* low, int64_t* high);

#ifdef __cplusplus
}
#endif

#endif
