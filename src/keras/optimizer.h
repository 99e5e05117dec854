/* Optimizers: what a config says of one, and which variables it keeps, in which order and under which names each Keras stores them.
 *
 *   compile_config.optimizer --cn_optimizer_read--> cn_optimizer --+
 *   trained variables (keras/trained.h) ---------------------------+--cn_optimizer_layout--> items, for one dialect
 *
 * An item is one variable of the optimizer: which slot ("momentum"), of which of the optimizers (a wrapper has inner ones), for which trained
 * variable. Items of two dialects that agree in these three are the same variable: that is how state goes from format to format.
 *
 *   reading    names and shapes as stored --cn_optimizer_identify--> dialect and items: item i is stored variable i
 *   writing    document --cn_optimizer_export--> for each variable of the target's dialect its name, shape and where its elements come from */
#ifndef CN_KERAS_OPTIMIZER_H
#define CN_KERAS_OPTIMIZER_H

#include "base/buf.h"
#include "keras/trained.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum cn_optimizer_dialect {
    CN_OPTIMIZER_KERAS3 = 0,    /* .keras, .weights.h5: optimizer/vars/<i>; in its own .h5 "adam/dense_kernel_momentum": one order */
    CN_OPTIMIZER_TF = 1,        /* tf.keras 2.11 and later, tf_keras: "Adam/m/dense/kernel:0"; no learning rate */
    CN_OPTIMIZER_TF_LEGACY = 2, /* tf.keras before, its optimizers.legacy: "Adam/dense/kernel/m:0", slot after slot */
    CN_OPTIMIZER_KERAS2 = 3     /* Keras 1 to 2.3 without TensorFlow: names say nothing; read only */
} cn_optimizer_dialect;
#define CN_OPTIMIZER_DIALECTS 4

/* A row of optimizer.def; private to optimizer*.c but for its name. */
typedef struct cn_optimizer_def cn_optimizer_def;
typedef struct cn_optimizer cn_optimizer;

struct cn_optimizer {
    const char* class_name; /* "Adam", also where the file says "adam" or "Custom>Adam"; as in the file where the class is not known */
    const char* name;       /* of the instance: "adam"; "" if the file does not say */
    const cn_optimizer_def* def; /* NULL: a class that is not known here */
    const cn_json* config;       /* NULL when the file has only a name */
    const cn_json* schedule;     /* the object of learning_rate when that is a schedule, else NULL */
    bool legacy;                 /* written by an optimizer of tf.keras before 2.11, Keras 1 or 2: keys lr, decay */
    cn_optimizer* inner;         /* of LossScaleOptimizer one; of MultiOptimizer those of its map, the default one last */
    size_t inner_count;
    const char* pattern; /* in a MultiOptimizer: key of the map, NULL for the default */
};

/* Reads an optimizer's object ({class_name, config}, or its name as a string), in arena. *out is NULL for null. A class that is not known is
 * read as such. CORNU_BAD_FILE: neither a string nor an object with a class_name. */
cornu_status cn_optimizer_read(const cn_json* object, cn_arena* arena, cn_optimizer** out);
/* A hyperparameter as a number: the config's, else Keras's default; NaN where it is null or no number. Booleans are 0 and 1. `learning_rate`
 * also under Keras 1's name lr. */
double cn_optimizer_number(const cn_optimizer* optimizer, const char* key);
/* Keys of the class that the table lists, in Keras's order; NULL beyond the end. *fallback is the default as JSON text. */
const char* cn_optimizer_key(const cn_optimizer* optimizer, size_t i, const char** fallback);

typedef struct cn_optimizer_item {
    const char* slot; /* as Keras 3 calls it: "iteration", "learning_rate", "average", "gradient_accumulator", "momentum", ... */
    int32_t owner;    /* 0: the optimizer itself, else number of the inner one, from 1 */
    int64_t trained;  /* number in the list of trained variables, -1 for a scalar of the optimizer */
    cornu_dtype dtype;
    int32_t ndim;
    int64_t dims[CORNU_MAX_DIMS];
    const char* name; /* as the dialect's .h5 names it, with "/" and, in tf.keras, ":0"; NULL for CN_OPTIMIZER_KERAS2 */
    double initial;   /* its elements in a new optimizer; NaN: the trained variable's own */
} cn_optimizer_item;

typedef struct cn_optimizer_layout {
    cn_optimizer_dialect dialect;
    cn_optimizer_item* items;
    size_t count;
    bool outdated; /* an order of the dialect's older versions, which its newest does not read */
    bool unbuilt;  /* of an optimizer that has not trained yet: counters and learning rates alone */
} cn_optimizer_layout;

/* Keras's class of that spelling ("Custom>Adam", "adam": "Adam"); as spelled where Keras has none such. */
const char* cn_optimizer_class_of(const char* spelled);

/* The variables that an optimizer keeps for those trained variables. CORNU_UNSUPPORTED, naming the class, where that is not known. */
cornu_status cn_optimizer_make_layout(const cn_optimizer* optimizer, const cn_trained* trained, size_t trained_count,
                                      cn_optimizer_dialect dialect, cn_arena* arena, cn_optimizer_layout* out);

/* A variable of an optimizer as a file has it. */
typedef struct cn_optimizer_stored {
    const char* name; /* "Adam/m/dense/kernel:0"; NULL or a number where there is none */
    int32_t ndim;
    const int64_t* dims;
} cn_optimizer_stored;

/* Finds the dialect whose variables have the shapes of the stored ones, all of them in that order; names decide between several. Item i of
 * *out is stored[i]. Where only a LossScaleOptimizer around *optimizer keeps these variables, *optimizer becomes that: Keras puts it around what
 * trains a mixed_float16 model, and writes the config of the inner one. CORNU_UNSUPPORTED: none does, and why. */
cornu_status cn_optimizer_identify(cn_optimizer** optimizer, const cn_trained* trained, size_t trained_count,
                                   const cn_optimizer_stored* stored, size_t stored_count, cn_arena* arena,
                                   cn_optimizer_layout* out);
/* A LossScaleOptimizer with Keras's defaults around an optimizer, in arena; NULL without memory. */
cn_optimizer* cn_optimizer_wrap(const cn_optimizer* inner, cn_arena* arena);

/* Leaves counters and learning rates: what an optimizer has before it trains. */
void cn_optimizer_leave_built(cn_optimizer_layout* layout);

/* Number of the item of `layout` that is the same variable, -1 if it has none. */
int64_t cn_optimizer_find(const cn_optimizer_layout* layout, const cn_optimizer_item* item);

/* The state that a document holds. */
typedef struct cn_optimizer_state {
    cn_optimizer* optimizer;     /* NULL: the model is not compiled */
    cn_trained* trained;         /* trained_count of them */
    size_t trained_count;
    cn_variable** variables;     /* of the document, "optimizer/vars/0" and on; count of them */
    size_t count;
    cn_optimizer_layout layout;  /* item i is variables[i]; no items where `unknown` says why they cannot be told apart */
    const char* unknown;
} cn_optimizer_state;

/* In arena. A document that was loaded with compile 0 has no optimizer. */
cornu_status cn_optimizer_state_of(const cn_document* doc, cn_arena* arena, cn_optimizer_state* out);

/* The value of a scalar ("iteration", "learning_rate", "dynamic_scale", ...) of an optimizer (0, or number of the inner one), NaN where there is none. */
cornu_status cn_optimizer_scalar(const cn_document* doc, const cn_optimizer_state* state, int32_t owner, const char* slot, double* out);

/* One variable to be written. */
typedef struct cn_optimizer_entry {
    cn_optimizer_item item;
    const cn_variable* source; /* its elements (to be converted to item.dtype); NULL: all are `fill`, or trained's when that is NaN */
    double fill;
} cn_optimizer_entry;

/* What a file of that dialect stores of the document's optimizer, in order. Learning rates and counters that the document's own dialect lacks are
 * computed. *out_lost, in arena, names what the dialect has no place for, NULL for nothing. No optimizer or no state: *out_count is 0.
 * CORNU_UNSUPPORTED: the variables cannot be told apart, and why. */
cornu_status cn_optimizer_export(const cn_document* doc, const cn_optimizer_state* state, cn_optimizer_dialect dialect, cn_arena* arena,
                                 cn_optimizer_entry** out, size_t* out_count, const char** out_lost);
/* Appends the optimizer's object as that dialect's Keras reads it: {"module": ..., "class_name": "Adam", "config": {...}, "registered_name": null}
 * for Keras 3 (also from configs of tf.keras and Keras 1 and 2: lr and decay become a learning rate or a schedule), {"class_name": "Custom>Adam",
 * "config": {...}} of training_config for tf.keras. Learning rates are those of the variables. CORNU_UNSUPPORTED: that Keras has no such class. */
cornu_status cn_optimizer_print(const cn_document* doc, const cn_optimizer_state* state, cn_optimizer_dialect dialect, cn_buf* out);

#ifdef __cplusplus
}
#endif

#endif
