/* From a document to a graph: what each Keras layer means, for inputs of given shapes. */
#ifndef CN_LOWER_LOWER_H
#define CN_LOWER_LOWER_H

#include "graph/graph.h"
#include "keras/config.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One of a model's inputs or outputs before shapes are known. */
typedef struct cn_port {
    const char* name; /* lives as long as the document */
    cornu_dtype dtype;
    int ndim;                     /* -1: any */
    int64_t dims[CORNU_MAX_DIMS]; /* -1: any */
    bool optional;
} cn_port;

/* What a layer's call gave, told to whoever watches the lowering: the types of its flattened outputs; count -1 when it cannot run, with
 * the reason in cornu_last_error. */
typedef void (*cn_lower_watch)(void* user, const cn_layer* layer, const cn_type* outputs, int count);

typedef struct cn_lower_options {
    const cn_layer* root; /* of the document, perhaps of an earlier config; NULL: the present one */
    bool training;
    const char* const* outputs; /* names of layers to return instead of the model's outputs */
    int n_outputs;
    uint64_t max_elements; /* of one tensor; 0: no limit */
    cn_lower_watch watch;  /* or NULL */
    void* watch_user;
} cn_lower_options;

/* A tensor that a layer keeps from run to run; zeros at first. */
typedef struct cn_state {
    const char* name; /* "layers/lstm/states/0" */
    cn_id value;      /* while lowering: what it is by now */
} cn_state;

/* A lowered model. Behind its inputs and outputs stand one input and one output for each state: what a run makes there, the next one gets. */
typedef struct cn_program {
    cn_graph graph;
    const cn_variable** slots; /* the document's variable behind each slot of the graph's variable nodes */
    int slot_count;
    int output_count;          /* of the model; graph.outputs has state_count more */
    const char** output_names; /* of those: the layers that make them */
    cn_state* states;
    int state_count;
} cn_program;

/* The inputs of the root model in flattened order (lists in order, dicts by sorted key). ports is in arena.
 * CORNU_UNSUPPORTED: the root is no model that can run. */
cornu_status cn_lower_ports(const cn_document* doc, const cn_layer* root, cn_arena* arena, cn_port** ports, int* count);

/* Lowers the root model for inputs of these types, in the order of cn_lower_ports; a type of dtype 0 is an optional input left out.
 * CORNU_UNSUPPORTED: one message with everything that cannot run; CORNU_BAD_FILE: a variable is missing or misshapen; CORNU_BAD_ARGUMENT: shapes do not
 * fit. On failure program is empty. */
cornu_status cn_lower_model(const cn_document* doc, const cn_lower_options* options, const cn_type* inputs, int count,
                            cn_program* program);
void cn_program_deinit(cn_program* program);

/* Whether the tables have a row for the layer's class. */
bool cn_lower_knows(const cn_layer* layer);
/* Names every layer below (and with) the root that has no row in the tables: "class L1Distance (layer 'a'); ...". Appends to out. */
void cn_lower_unknown(const cn_document* doc, cn_buf* out);

/* Rows for cornu_support_get: kind "layer", "activation" or "op". Static storage; false beyond the end. */
bool cn_lower_support(int index, const char** kind, const char** name, const char** limits);

#ifdef __cplusplus
}
#endif

#endif
