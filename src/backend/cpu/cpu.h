/* The CPU backend's frame: an executable is a list of steps, each prepared for its shapes. Lanes are threads that run the same
 * steps on different parts of a batch, each with memory of its own. */
#ifndef CN_BACKEND_CPU_CPU_H
#define CN_BACKEND_CPU_CPU_H

#include "backend/backend.h"
#include "backend/cpu/host.h"
#include "backend/cpu/loops.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cn_cpu_executable cn_cpu_executable;
typedef struct cn_cpu_step cn_cpu_step;

/* omp_get_max_threads and omp_set_num_threads of the runtime that oneDNN brings; NULL without. */
typedef struct cn_cpu_openmp {
    int (*get)(void);
    void (*set)(int);
} cn_cpu_openmp;

/* What one thread runs with. */
typedef struct cn_cpu_lane {
    const cn_cpu_executable* executable;
    int index;
    cn_host_executable* host; /* for steps without a fast path */
    void** values;            /* address of each of the graph's values in this run */
    float* scratch;           /* the executable's scratch_bytes */
    const void** inputs;      /* of the part of the batch that is being run */
    void** outputs;
    cn_run run;
    cornu_status status;
    char message[512]; /* of a failure on a thread of our own */
} cn_cpu_lane;

typedef cornu_status (*cn_cpu_run)(const cn_cpu_step* step, const cn_cpu_lane* lane);

struct cn_cpu_step {
    cn_cpu_run run;
    void (*destroy)(void* data); /* or NULL */
    void* data;                  /* in the executable's arena */
    const cn_node* node;
};

/* What prepare functions work with. */
struct cn_cpu_executable {
    const cn_plan* plan;
    cn_weights* weights;
    const cn_loops* loops;
    cn_arena arena;
    cn_cpu_step* steps;
    int step_count;
    int lane_count;
    cn_cpu_lane* lanes;
    uint64_t scratch_bytes; /* the most that a step asked for */
    void* engine;           /* oneDNN's, or NULL */
    cn_cpu_openmp openmp;
};

/* Makes a step's run and data. CORNU_OK with step->run NULL: there is no fast path for it. */
typedef cornu_status (*cn_cpu_prepare)(cn_cpu_executable* e, cn_cpu_step* step);

cornu_status cn_cpu_prepare_elementwise(cn_cpu_executable* e, cn_cpu_step* step);
cornu_status cn_cpu_prepare_copy(cn_cpu_executable* e, cn_cpu_step* step);
cornu_status cn_cpu_prepare_concat(cn_cpu_executable* e, cn_cpu_step* step);
cornu_status cn_cpu_prepare_gather(cn_cpu_executable* e, cn_cpu_step* step);
cornu_status cn_cpu_prepare_reduce(cn_cpu_executable* e, cn_cpu_step* step);
cornu_status cn_cpu_prepare_softmax(cn_cpu_executable* e, cn_cpu_step* step);
cornu_status cn_cpu_prepare_norm(cn_cpu_executable* e, cn_cpu_step* step);
cornu_status cn_cpu_prepare_group_norm(cn_cpu_executable* e, cn_cpu_step* step);
cornu_status cn_cpu_prepare_product(cn_cpu_executable* e, cn_cpu_step* step);
cornu_status cn_cpu_prepare_mask(cn_cpu_executable* e, cn_cpu_step* step);
cornu_status cn_cpu_prepare_pool(cn_cpu_executable* e, cn_cpu_step* step);
cornu_status cn_cpu_prepare_resize(cn_cpu_executable* e, cn_cpu_step* step);
cornu_status cn_cpu_prepare_rnn(cn_cpu_executable* e, cn_cpu_step* step);
cornu_status cn_cpu_prepare_attention(cn_cpu_executable* e, cn_cpu_step* step);
cornu_status cn_cpu_prepare_dnnl(cn_cpu_executable* e, cn_cpu_step* step);

/* oneDNN's engine; NULL without it. */
void* cn_cpu_engine_create(void);
void cn_cpu_engine_destroy(void* engine);
/* oneDNN runs some primitives by as many OpenMP threads as the calling thread's setting says. While we are inside a call that setting is 1,
 * and afterwards what it was; it belongs to the calling thread alone. */
void cn_cpu_openmp_find(cn_cpu_openmp* out);
static inline int cn_cpu_openmp_enter(const cn_cpu_openmp* omp) {
    int before = omp->get ? omp->get() : 1;
    if (before != 1) omp->set(1);
    return before;
}
static inline void cn_cpu_openmp_leave(const cn_cpu_openmp* omp, int before) {
    if (before != 1) omp->set(before);
}

/* Type of input k of a step, NULL if absent; of its result. */
static inline const cn_type* cn_cpu_input_type(const cn_cpu_executable* e, const cn_node* node, int k) {
    return k < node->input_count && node->inputs[k] != CN_NONE ? &e->plan->graph->types[node->inputs[k]] : NULL;
}
static inline const cn_type* cn_cpu_type(const cn_cpu_executable* e, const cn_node* node) { return &e->plan->graph->types[node->output]; }
static inline const void* cn_cpu_in(const cn_cpu_step* step, const cn_cpu_lane* lane, int k) {
    return k < step->node->input_count && step->node->inputs[k] != CN_NONE ? lane->values[step->node->inputs[k]] : NULL;
}
static inline void* cn_cpu_out(const cn_cpu_step* step, const cn_cpu_lane* lane) { return lane->values[step->node->output]; }
/* Zeroed data for a step; NULL when there is no memory. */
static inline void* cn_cpu_data(cn_cpu_executable* e, cn_cpu_step* step, size_t size) { return step->data = cn_arena_alloc(&e->arena, size); }
static inline void cn_cpu_need_scratch(cn_cpu_executable* e, uint64_t bytes) {
    if (e->scratch_bytes < bytes) e->scratch_bytes = bytes;
}
/* Number of the plan's constant behind input k, -1 if it is none. */
static inline int cn_cpu_constant(const cn_cpu_executable* e, const cn_node* node, int k) {
    const cn_place* place = k < node->input_count && node->inputs[k] != CN_NONE ? &e->plan->places[node->inputs[k]] : NULL;
    return place && place->kind == CN_PLACE_CONSTANT ? place->index : -1;
}
/* Whether every input that is there, and the result, is float32 and not empty. */
bool cn_cpu_is_float(const cn_cpu_executable* e, const cn_node* node);

#ifdef __cplusplus
}
#endif

#endif
