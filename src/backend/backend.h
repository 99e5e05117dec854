/* What a backend is: it takes whole plans and runs them. One row a backend in registry.c. */
#ifndef CN_BACKEND_BACKEND_H
#define CN_BACKEND_BACKEND_H

#include "plan/plan.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cn_device cn_device;         /* an opened backend: threads, handles */
typedef struct cn_executable cn_executable; /* a plan made ready */

typedef struct cn_device_options {
    cornu_precision precision;
    int threads; /* 0: as many as the machine has */
    int index;   /* of the device */
    cornu_tune tune;
    double tune_seconds; /* below 0: steps get all their ways, but nothing is timed */
    bool deterministic;
    const char* plan_cache; /* outlives the device; may be NULL */
} cn_device_options;

/* The choices of an executable, in its memory. */
typedef struct cn_tuning {
    const cornu_tuning* rows; /* size not set */
    int count;
    const char* note; /* why they could not be kept; NULL: they could */
} cn_tuning;

/* Makes another form of a constant: bytes at dst from the dense elements at src. user: the bytes given with it. */
typedef cornu_status (*cn_derive)(const void* user, const void* src, void* dst);

/* A form of a constant in memory that is not the host's. */
typedef struct cn_resident {
    int constant; /* of the plan */
    int form;     /* what the backend calls it */
    uint64_t bytes;
    cn_type type;     /* of the dense elements; the store fills it in */
    const void* data; /* dense elements on the host, while make or fill runs */
    void* address;    /* on the device; the backend fills it in */
} cn_resident;

/* A place where constants live. One a device, static or as long as the process: stores remember it. */
typedef struct cn_residence cn_residence;
struct cn_residence {
    /* Takes one block of memory for all of them, in this order, and fills it. *block is what release is given. */
    cornu_status (*make)(const cn_residence* residence, cn_resident* residents, int count, void** block);
    /* Fills an address anew; nothing that reads it runs. */
    cornu_status (*fill)(const cn_residence* residence, const cn_resident* resident);
    void (*release)(const cn_residence* residence, void* block);
    int index; /* of the device */
    /* Sentence of this thread's last failure of the above, which may be in another library. */
    const char* (*last_error)(void);
};

/* The weights of a plan, made and kept by the session's side for all sessions of a model. Addresses stay the same while the
 * model lives; when variables change, contents are made anew, derived forms included, while nothing runs. */
typedef struct cn_weights cn_weights;
struct cn_weights {
    /* Dense elements of the plan's constant i, aligned to 64. */
    const void* (*data)(cn_weights* weights, int i);
    /* Another form of constant i ("onednn ..."), made once for each layout text: bytes of memory filled by fn. user_size bytes of user are copied. */
    cornu_status (*derived)(cn_weights* weights, int i, const char* layout, uint64_t bytes, cn_derive fn, const void* user,
                            uint64_t user_size, void** out);
    /* Addresses of forms of constants in a residence: those that no session has asked for before are made, all at once and in the order in which
     * the file has them. */
    cornu_status (*resident)(cn_weights* weights, const cn_residence* residence, cn_resident* residents, int count);
    /* Sentence of this thread's last failure of the above, for a backend in another library; may be NULL. */
    const char* (*last_error)(void);
};

/* What a profiled run says of the step of one node; a backend adds to it. */
typedef struct cn_profile_step {
    double ms;
    int launches;    /* of kernels and library calls; on the host 1 */
    char kernel[48]; /* the first of them, "" where the op's name says all */
} cn_profile_step;

typedef struct cn_profile {
    cn_profile_step* steps; /* of each node of the plan's graph */
    double run_ms;          /* of all steps as runs usually make them, without copies of host tensors; 0: not told apart */
} cn_profile;

/* The most that a device can do, 0: not known. */
typedef struct cn_peak {
    double bytes_per_s;
    double float32, tf32, half; /* operations per second in dense products */
} cn_peak;

/* One run. */
typedef struct cn_run {
    const void* const* inputs; /* dense elements of each input port, host */
    void* const* outputs;      /* memory for each of the graph's outputs, host */
    void* arena;               /* plan->arena_bytes for each of plan->lanes, from the backend's alloc */
    uint64_t seed;             /* of random nodes */
    uint64_t counter;          /* number of this run in its session: each run draws new numbers */
    const bool* inputs_on_device;  /* which inputs and outputs are addresses of the device; NULL: none */
    const bool* outputs_on_device;
    void* stream; /* the caller's, or NULL */
    bool enqueue; /* every input and output is on the device: return when the work is on the stream */
    cn_profile* profile; /* NULL, or where to write what each step took: steps run one by one, parts of a batch one after the other */
} cn_run;

typedef struct cn_backend {
    const char* name;    /* "cpu" */
    uint64_t alignment;  /* of values in the arena, bytes */
    bool runs_passes;    /* fusing passes are meant for it; the reference takes the graph as lowered */
    cornu_status (*open)(const cn_device_options* options, cn_device** out);
    void (*close)(cn_device* device);
    /* "cpu", "cuda:0 (NVIDIA H200)"; borrowed until close. */
    const char* (*describe)(cn_device* device);
    cornu_status (*alloc)(cn_device* device, uint64_t bytes, void** out);
    void (*free)(cn_device* device, void* memory);
    /* How many parts of a batch it runs at once, of `repeats` that there are. NULL: it takes no plan that repeats. */
    int (*lanes)(cn_device* device, int64_t repeats);
    /* plan and weights must outlive the executable. */
    cornu_status (*prepare)(cn_device* device, const cn_plan* plan, cn_weights* weights, cn_executable** out);
    void (*destroy)(cn_executable* executable);
    /* Returns when the outputs are complete, unless the run says enqueue. Allocates nothing, but for what the first runs find out. */
    cornu_status (*run)(cn_executable* executable, const cn_run* run);
    /* Whether the bytes at address are memory of the device, so that they can be an input or output. CORNU_BAD_ARGUMENT says what it is instead.
     * NULL: the backend takes no such addresses. */
    cornu_status (*check_address)(cn_device* device, const void* address, uint64_t bytes);
    /* Waits for everything that runs enqueued; fails as they did. NULL: nothing is ever enqueued. */
    cornu_status (*wait)(cn_executable* executable);
    /* Memory that it takes besides the arena and the weights, for a bound on the executables that are kept; may be NULL. */
    uint64_t (*held_bytes)(const cn_executable* executable);
    /* NULL: it has no choices. */
    cn_tuning (*tuning)(const cn_executable* executable);
    /* NULL: not known. */
    void (*peak)(cn_device* device, cn_peak* out);
    /* Memory of device `index` that belongs to no opened device, for callers' tensors; a copy between it and any memory, complete on
     * return. NULL: the device's memory is the host's. */
    cornu_status (*take_memory)(int index, uint64_t bytes, void** out);
    void (*give_back_memory)(int index, void* memory);
    cornu_status (*copy_memory)(int index, void* dst, const void* src, uint64_t bytes);
    bool has_precisions; /* it computes as the session's precision says; others compute in the model's own dtypes */
    bool is_host; /* it runs on the host: ops placed there need no segment of their own */
} cn_backend;

extern const cn_backend cn_backend_reference;
extern const cn_backend cn_backend_cpu;
extern const cn_backend cn_backend_cuda; /* through the plug-in; see backend/plugin.h */
extern const cn_backend cn_backend_cpu_plain; /* "cpu-plain": its kernels on the graph as lowered, one thread; for comparison */

/* The backend for a device text: "auto", "cpu", "reference", ...; *index is the device's number. CORNU_NO_DEVICE. */
cornu_status cn_backend_find(const char* device, const cn_backend** out, int* index);
/* Row i of the table, NULL beyond the end. */
const cn_backend* cn_backend_at(int i);

#ifdef __cplusplus
}
#endif

#endif
