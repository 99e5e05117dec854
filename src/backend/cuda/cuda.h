/* The CUDA backend's frame: an executable is a list of steps, each prepared for its shapes; a run launches them in order on one stream. */
#ifndef CN_BACKEND_CUDA_CUDA_H
#define CN_BACKEND_CUDA_CUDA_H

#include "backend/backend.h"
#include "backend/cuda/calls.h"
#include "base/arena.h"
#include "kernels/kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cn_cuda_executable cn_cuda_executable;
typedef struct cn_cuda_step cn_cuda_step;
typedef struct cn_cuda_dnn_entry cn_cuda_dnn_entry; /* of cudnn.c */

/* What a step runs with. Addresses are the device's and stay the same for all runs of an executable with one arena. */
typedef struct cn_cuda_frame {
    cn_queue queue;
    void** values;            /* address of each of the graph's values */
    void** weights;           /* address of each weight that cn_cuda_weight asked for */
    void* scratch;            /* the executable's scratch_bytes, aligned to 256 */
    cn_run_words* words;      /* on the device */
    const cn_cuda_executable* executable;
} cn_cuda_frame;

/* Puts the step's work on the frame's queue; waits for nothing, allocates nothing, reads no memory of the device. */
typedef cornu_status (*cn_cuda_launch)(const cn_cuda_step* step, const cn_cuda_frame* frame);

#define CN_CUDA_WAY_TEXT 64

struct cn_cuda_step {
    cn_cuda_launch launch;
    void (*destroy)(cn_cuda_step* step); /* or NULL */
    void* data;                          /* in the executable's arena */
    const cn_node* node;
    /* A step that can be made in several ways: their number (0: one), which of them launch() takes, and a text that stands for the
     * problem, in the executable's arena. Steps with equal texts have the same ways in the same order; way 0 is the guess. */
    int ways, way;
    const char* problem;
    /* A few words for a way, "tiles of 64 x 64", to text[CN_CUDA_WAY_TEXT]. Where there are several. */
    void (*name_way)(const cn_cuda_step* step, int way, char* text);
    /* Makes step->way ready to be launched, and gives up what other ways hold; NULL: all of them are ready. Never fails for way 0. */
    cornu_status (*take)(cn_cuda_executable* e, cn_cuda_step* step);
};

/* Forms that a weight may have on the device. */
typedef enum cn_cuda_form {
    CN_CUDA_DENSE,
    CN_CUDA_SWAPPED, /* the last two axes exchanged: a Dense kernel [K, N] as [N, K] */
    CN_CUDA_FILTERS  /* the last axis first: a convolution's kernel [cells, channels, filters] as [filters, cells, channels] */
} cn_cuda_form;

typedef struct cn_cuda_wanted {
    int constant; /* of the plan */
    cn_cuda_form form;
    const cn_node* node; /* that asked, for this input */
    int input;
} cn_cuda_wanted;

/* An input or output: its place on the device, and pinned memory of the host that host tensors go through; see device.h. */
typedef struct cn_cuda_port {
    uint64_t space;   /* of an input: bytes into the device's space */
    uint64_t staging; /* bytes into the device's staging memory */
    uint64_t bytes;   /* 0: nothing to copy */
} cn_cuda_port;

struct cn_cuda_executable {
    const cn_plan* plan;
    cn_weights* host_weights;
    cn_device* device;
    cornu_precision precision;
    const bool* heads; /* of each value; see precision.h */
    cn_arena arena;
    cn_cuda_step* steps;
    int step_count;
    cn_cuda_wanted* wanted;
    int wanted_count, wanted_capacity;
    uint64_t scratch_bytes; /* the most that a step asked for */
    cn_cuda_frame frame;
    cn_run_words* pinned; /* the words on the host */
    cn_cuda_port* inputs;
    cn_cuda_port* outputs;
    uint64_t space_bytes, scratch_at; /* of the device's space: inputs, then scratch */
    uint64_t staging_bytes;
    void *bound, *bound_space, *bound_staging; /* the arena, space and staging that the frame speaks of */
    int runs;                  /* with them, up to 2 */
    cudaGraphExec_t graph;     /* of all steps, with them; NULL until the second run */
    bool waiting;              /* runs were enqueued that nobody has waited for */
    cn_tuning tuning; /* in the arena */
    cn_dnn_handle_t dnn_handle; /* NULL until a way of cuDNN is taken */
    cn_cuda_dnn_entry* dnn_entries;
    int dnn_users; /* of the handle beside them */
    uint64_t dnn_bytes; /* of the device that they hold */
};

/* profile.c: the steps one by one, with what each took; the most that the device can do. */
cornu_status cn_cuda_profile(cn_cuda_executable* e, cudaStream_t stream, cn_profile* profile);
void cn_cuda_peak(int device, cn_peak* out);
/* run.c: one run; waiting for those that were enqueued; forgetting the captured graph. */
cornu_status cn_cuda_run(cn_executable* executable, const cn_run* run);
cornu_status cn_cuda_wait(cn_executable* executable);
/* Makes the values' addresses those in this arena; NULL: in none yet. */
void cn_cuda_bind(cn_cuda_executable* e, void* arena);
void cn_cuda_release_graph(cn_cuda_executable* e);

/* Makes a step's launch and data. CORNU_OK with step->launch NULL: not for this family. Results with no elements never get here. */
typedef cornu_status (*cn_cuda_prepare)(cn_cuda_executable* e, cn_cuda_step* step);

/* One a family of kernels/; which ops each takes is the table in steps.c. */
cornu_status cn_cuda_prepare_elementwise(cn_cuda_executable* e, cn_cuda_step* step); /* ew fused cast iota random */
cornu_status cn_cuda_prepare_move(cn_cuda_executable* e, cn_cuda_step* step);        /* reshape broadcast transpose concat slice pad */
cornu_status cn_cuda_prepare_index(cn_cuda_executable* e, cn_cuda_step* step);       /* gather scatter */
cornu_status cn_cuda_prepare_reduce(cn_cuda_executable* e, cn_cuda_step* step);      /* reduce arg cumulative */
cornu_status cn_cuda_prepare_sort(cn_cuda_executable* e, cn_cuda_step* step);
cornu_status cn_cuda_prepare_linalg(cn_cuda_executable* e, cn_cuda_step* step);
cornu_status cn_cuda_prepare_softmax(cn_cuda_executable* e, cn_cuda_step* step);     /* softmax log_softmax */
cornu_status cn_cuda_prepare_norm(cn_cuda_executable* e, cn_cuda_step* step);        /* batch, layer, rms, group */
cornu_status cn_cuda_prepare_matmul(cn_cuda_executable* e, cn_cuda_step* step);
cornu_status cn_cuda_prepare_conv(cn_cuda_executable* e, cn_cuda_step* step);        /* conv conv_transpose */
cornu_status cn_cuda_prepare_pool(cn_cuda_executable* e, cn_cuda_step* step);        /* pool adaptive_pool */
cornu_status cn_cuda_prepare_resize(cn_cuda_executable* e, cn_cuda_step* step);
cornu_status cn_cuda_prepare_rnn(cn_cuda_executable* e, cn_cuda_step* step);
cornu_status cn_cuda_prepare_attention(cn_cuda_executable* e, cn_cuda_step* step);

/* What memory of the device begins at a multiple of; the next of them. */
#define CN_CUDA_ALIGNMENT 256u
static inline uint64_t cn_cuda_aligned(uint64_t bytes) {
    return (bytes + CN_CUDA_ALIGNMENT - 1) / CN_CUDA_ALIGNMENT * CN_CUDA_ALIGNMENT;
}

/* ---- for prepare functions ---------------------------------------------------------------------------------------- */

static inline bool cn_cuda_has_input(const cn_node* node, int k) { return k < node->input_count && node->inputs[k] != CN_NONE; }
/* Type of input k, NULL if absent; of the result. */
static inline const cn_type* cn_cuda_input_type(const cn_cuda_executable* e, const cn_node* node, int k) {
    return cn_cuda_has_input(node, k) ? &e->plan->graph->types[node->inputs[k]] : NULL;
}
static inline const cn_type* cn_cuda_type(const cn_cuda_executable* e, const cn_node* node) { return &e->plan->graph->types[node->output]; }
/* Zeroed data for a step; NULL when there is no memory. */
static inline void* cn_cuda_data(cn_cuda_executable* e, cn_cuda_step* step, size_t size) { return step->data = cn_arena_alloc(&e->arena, size); }
static inline void cn_cuda_need_scratch(cn_cuda_executable* e, uint64_t bytes) {
    if (e->scratch_bytes < bytes) e->scratch_bytes = bytes;
}
/* If input k is a constant of the plan, asks for it in a form: *slot is its place in frame->weights. *slot is -1 if it is none. */
cornu_status cn_cuda_weight(cn_cuda_executable* e, const cn_node* node, int k, cn_cuda_form form, int* slot);
static inline cn_shape cn_cuda_shape(const cn_type* type) {
    cn_shape shape = {0};
    shape.ndim = type->ndim;
    for (int i = 0; i < type->ndim; i++) shape.dims[i] = type->dims[i];
    return shape;
}
static inline cn_epilogue cn_cuda_epilogue(const cn_act* act) { return (cn_epilogue){(int)act->fn, act->p, act->q, act->r}; }

/* ---- for launch functions ------------------------------------------------------------------------------------------ */

/* Address of input k, NULL if absent; of the result. */
static inline const void* cn_cuda_in(const cn_cuda_step* step, const cn_cuda_frame* frame, int k) {
    return cn_cuda_has_input(step->node, k) ? frame->values[step->node->inputs[k]] : NULL;
}
static inline void* cn_cuda_out(const cn_cuda_step* step, const cn_cuda_frame* frame) { return frame->values[step->node->output]; }

#ifdef __cplusplus
}
#endif

#endif
