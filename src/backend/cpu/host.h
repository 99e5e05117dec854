/* A plan bound to host memory, run node by node: what the reference is, and the frame that the CPU backend hangs its own
 * kernels into. */
#ifndef CN_BACKEND_CPU_HOST_H
#define CN_BACKEND_CPU_HOST_H

#include "backend/backend.h"
#include "backend/cpu/ref.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cn_host_executable {
    const cn_plan* plan;
    cn_weights* weights;
    const void** pointers;  /* room for the inputs of any step */
    const cn_type** types;  /* the same */
} cn_host_executable;

cornu_status cn_host_alloc(cn_device* device, uint64_t bytes, void** out);
void cn_host_free(cn_device* device, void* memory);
cornu_status cn_host_prepare(const cn_plan* plan, cn_weights* weights, cn_host_executable** out);
void cn_host_destroy(cn_host_executable* executable);
/* Notes in a profile that the step of node i began at start_ms and has ended. */
void cn_host_note(cn_profile* profile, cn_id i, double start_ms);
/* Elements of a value during a run. */
void* cn_host_value(const cn_host_executable* executable, const cn_run* run, cn_id v);
/* Runs one step of the plan by the reference. */
cornu_status cn_host_step(cn_host_executable* executable, const cn_run* run, int node);
/* Copies the graph's outputs to run->outputs. */
void cn_host_outputs(const cn_host_executable* executable, const cn_run* run);
/* All steps, then the outputs. */
cornu_status cn_host_run(cn_host_executable* executable, const cn_run* run);

#ifdef __cplusplus
}
#endif

#endif
