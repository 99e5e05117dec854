/* The pipeline on one page: a document and input types -> a program -> passes -> a plan -> an executable. */
#ifndef CN_SESSION_COMPILE_H
#define CN_SESSION_COMPILE_H

#include "backend/backend.h"
#include "lower/lower.h"
#include "session/store.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A model compiled for one set of input types. */
typedef struct cn_compiled cn_compiled;
struct cn_compiled {
    cn_weights weights; /* first: the backend's view of this struct */
    cn_compiled* next;  /* in the session's list, most recently used first */
    cn_type* inputs;    /* that it was compiled for */
    int input_count;
    cn_program program;
    cn_graph part; /* what the plan is for when it repeats: the graph for a part of the batch */
    cn_plan* plan;
    int segment_count; /* stretches of the plan on one side; 1 where the device is the host */
    cn_store* store;
    cn_store_entry** entries; /* of the plan's constants */
    const cn_backend* backend;
    cn_executable* executable;
};

typedef struct cn_compile_options {
    const cn_lower_options* lowering;
    const cn_backend* backend;
    cn_device* device;
    cornu_precision precision;
} cn_compile_options;

/* store NULL: stop after the plan (to see the graph). */
cornu_status cn_compile(const cn_document* doc, cn_store* store, const cn_compile_options* options, const cn_type* inputs, int count,
                        cn_compiled** out);
void cn_compiled_destroy(cn_compiled* compiled);

#ifdef __cplusplus
}
#endif

#endif
