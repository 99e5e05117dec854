/* A session: a model on a device, with the shapes that it has run. */
#ifndef CN_SESSION_SESSION_H
#define CN_SESSION_SESSION_H

#include "session/compile.h"
#include "session/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Compiled shapes that a session keeps, and bytes for them besides activations and weights; the least recently used goes first. */
#define CN_SESSION_SHAPES 16
#define CN_SESSION_SHAPE_BYTES ((uint64_t)64 << 20)

/* A state that a layer keeps. A run reads one memory and writes the other, so that one that fails changes nothing. */
typedef struct cn_session_state {
    const char* name;
    cn_type type;  /* dtype 0 until it is known */
    void* data[2]; /* the present values, and room for the next; NULL until it is known */
} cn_session_state;

struct cornu_session {
    cornu_model* model;
    cn_document* doc; /* the model's, in the form that is lowered */
    cn_arena arena;
    const cn_backend* backend;
    cn_device* device;
    int device_index; /* N of "cuda:N" */
    cn_lower_options lowering; /* training, outputs */
    cornu_precision precision;
    const char* plan_cache; /* in the arena, or NULL */
    uint64_t seed, max_bytes, runs;
    cn_port* inputs; /* in the arena */
    int input_count;
    cn_port* outputs;
    int output_count;
    cn_compiled* shapes;    /* most recently used first */
    cornu_status evicted;   /* what enqueued runs of a shape that is gone have come to, for cn_session_wait */
    char evicted_text[512];
    void* memory;           /* from the backend, memory_bytes of it */
    uint64_t memory_bytes;
    uint64_t last_bytes;    /* of the arena of the last run */
    cn_type* types;         /* input_count of them: of the inputs of the run */
    const void** pointers;  /* of the inputs */
    bool* inputs_on_device; /* of each of pointers: an address of the device */
    void** results;         /* of the outputs */
    bool* results_on_device;
    cn_profile* profile;      /* of the run, NULL but for profiled runs */
    cn_session_state* states; /* in the arena */
    int state_count;
    void** converted;       /* inputs of another dtype, converted: kept from run to run */
    uint64_t* converted_bytes;
};

static inline cn_compile_options cn_session_compile_options(const cornu_session* s) {
    cn_compile_options options = {&s->lowering, s->backend, s->device, s->precision};
    return options;
}
cornu_status cn_session_create(cornu_model* model, const cornu_session_options* options, cornu_session** out);
void cn_session_destroy(cornu_session* session);
/* The compiled form for inputs of these types; only the plan, nothing of weights, when only_plan. */
cornu_status cn_session_compile(cornu_session* session, const cn_type* inputs, cn_compiled** out);
/* Types of the graph's inputs for the caller's tensors, checked against the ports. */
cornu_status cn_session_types(cornu_session* session, const cornu_tensor* in, int n_in, cn_type* types);
/* Copies a state's values; gives it values; makes all of them zeros of a size that the next run decides. */
cornu_status cn_session_get_state(cornu_session* session, int i, cornu_tensor* out);
cornu_status cn_session_set_state(cornu_session* session, int i, const cornu_tensor* value);
void cn_session_reset_states(cornu_session* session);
/* Points the run's inputs and outputs behind the model's own at the states. For state.c's callers in session/. */
cornu_status cn_session_learn_states(cornu_session* session, const cn_program* program);
cornu_status cn_session_bind_states(cornu_session* session, const cn_program* program, const void** inputs, void** outputs);
void cn_session_advance_states(cornu_session* session);
cornu_status cn_session_run(cornu_session* session, const cornu_tensor* in, int n_in, cornu_tensor* out, int n_out, void* stream);
/* The compiled form for these tensors' shapes, kept. */
cornu_status cn_session_prepare(cornu_session* session, const cornu_tensor* in, int n_in);
/* The choices of the shapes used last. */
cn_tuning cn_session_tuning(const cornu_session* session);
cornu_status cn_session_wait(cornu_session* session);

#ifdef __cplusplus
}
#endif

#endif
