/* The state of one lowering, private to lower/. */
#ifndef CN_LOWER_CONTEXT_H
#define CN_LOWER_CONTEXT_H

#include "lower/layer.h"

#ifdef __cplusplus
extern "C" {
#endif

struct cn_lower {
    const cn_document* doc;
    const cn_lower_options* options;
    cn_program* program;
    cn_graph* g;
    cn_arena arena;    /* arguments and results */
    cn_buf problems;   /* all that cannot run, "; " between */
    bool more_problems; /* some did not fit */
    uint32_t streams;  /* random nodes so far */
    int depth;         /* of nested calls */
    int slot_capacity;
    const cn_layer* root;
    int no_states;     /* more than 0: no layer may keep a state */
    cn_id* unmasked;   /* tensors whose mask a layer took off, unmasked_count of them */
    int unmasked_count, unmasked_capacity;
    cn_arg* captured;  /* results of the layers named in options->outputs */
};

/* Layers inside layers: deeper nesting is refused. */
#define CN_LIMIT_CALL_DEPTH 64

/* Calls a Functional or Sequential on its input structure. */
cornu_status cn_lower_nested(cn_lower* cx, const cn_layer* model, const cn_arg* inputs, cn_arg* out);
/* Flattens a nest of tensors as Keras does: lists in order, dicts by sorted key. *out in the arena. */
cornu_status cn_arg_flatten(cn_lower* cx, const cn_arg* arg, cn_value** out, int* count);
/* Takes the mask off a tensor for all calls to come, as MultiHeadAttention does with its inputs. */
cornu_status cn_lower_unmask(cn_lower* cx, cn_id tensor);
bool cn_lower_unmasked(const cn_lower* cx, cn_id tensor);
/* Tells the watcher what a layer gave. */
void cn_lower_tell(cn_lower* cx, const cn_layer* layer, const cn_arg* out);
/* Adds one sentence to the list of what cannot run: the thread's last error. */
void cn_lower_problem(cn_lower* cx);
/* Order of a dict's keys: out[i] is the position of the i-th smallest key. In the arena, NULL without memory. */
int* cn_arg_key_order(cn_lower* cx, const cn_arg* dict);

#ifdef __cplusplus
}
#endif

#endif
