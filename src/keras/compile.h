/* The compile state of a model: losses, metrics and their weights by output, in a typed form, with the optimizer of keras/optimizer.h. */
#ifndef CN_KERAS_COMPILE_H
#define CN_KERAS_COMPILE_H

#include "keras/optimizer.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The object with keys optimizer, loss, loss_weights, metrics, weighted_metrics, ...: compile_config of .keras, or what a reader of another format put
 * in its place. NULL for a model that is not compiled, and when the document was loaded with compile 0. */
const cn_json* cn_compile_object(const cn_document* doc);
/* The same as a JSON pointer into the config. */
#define CN_COMPILE_POINTER "/compile_config"

/* A loss or metric. */
typedef struct cn_objective {
    cornu_objective_kind kind;
    const char* output;     /* name of the model's output, NULL where the file has none */
    int32_t output_index;   /* in flattened order, -1: every output, or one that the model does not have under that name */
    const char* spelled;    /* as the file names it: "mse", "MeanSquaredError", "my>loss" */
    const char* class_name; /* the class or function that Keras takes: "mean_squared_error"; as spelled when it is not known */
    bool is_function;
    bool is_known;         /* Keras 3.15 has it */
    const cn_json* object; /* as the file has it */
    const cn_json* config; /* of an object of a class, else NULL */
    double weight;         /* of a loss, 1 for others */
} cn_objective;

typedef struct cn_compile cn_compile;
struct cn_compile {
    const cn_json* object; /* NULL: not compiled */
    cn_objective* objectives;
    size_t objective_count;
    cn_optimizer_state optimizer;
};

/* In arena. CORNU_BAD_FILE: a loss or metric is neither a name nor an object, nor a list or object of these. */
cornu_status cn_compile_read(const cn_document* doc, cn_arena* arena, cn_compile** out);
/* Names of the root model's outputs in flattened order; "" where it has no name for one. */
cornu_status cn_output_names(const cn_document* doc, cn_arena* arena, const char*** out, size_t* out_count);

#ifdef __cplusplus
}
#endif

#endif
