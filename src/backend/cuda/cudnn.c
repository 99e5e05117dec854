/* The library's handle and graphs of an executable. */
#include "backend/cuda/cudnn.h"

#include <string.h>

#include "backend/cuda/device.h"
#include "backend/cuda/tune.h"
#include "base/alloc.h"

#define LEAST_WORKSPACE (UINT64_C(1) << 20)
#define MOST_WORKSPACE (UINT64_C(4) << 20)
#define MOST_WORKSPACE_SM90 (UINT64_C(32) << 20)
#define WORKSPACE_PER_BYTE 8 /* of the operands */

struct cn_cuda_dnn_entry {
    cn_cuda_dnn_entry* next;
    const char* problem; /* a step's */
    cn_dnn_graph graph;
    bool taken;
};

bool cn_cuda_has_dnn(const cn_cuda_executable* e) {
    return cn_cuda_is_tuned(cn_device_options_of(e->device)) && cn_dnn() != NULL;
}

uint64_t cn_cuda_dnn_workspace(cn_cuda_executable* e, uint64_t operand_bytes) {
    uint64_t most = cn_device_capability(e->device) >= 90 ? MOST_WORKSPACE_SM90 : MOST_WORKSPACE;
    uint64_t bytes = operand_bytes < most / WORKSPACE_PER_BYTE ? operand_bytes * WORKSPACE_PER_BYTE : most;

    if (bytes < LEAST_WORKSPACE) bytes = LEAST_WORKSPACE;
    cn_cuda_need_scratch(e, bytes);
    return bytes;
}

cornu_status cn_cuda_dnn_handle(cn_cuda_executable* e, cn_dnn_handle_t* out) {
    if (!e->dnn_handle) CN_TRY(CN_DNN_OK(cn_dnn()->Create(&e->dnn_handle)));
    *out = e->dnn_handle;
    return CORNU_OK;
}

static cornu_status make_entry(cn_cuda_executable* e, const char* problem, cn_cuda_dnn_make make, const void* args,
                               const cn_dnn_limits* limits, cn_cuda_dnn_entry** out) {
    cn_cuda_dnn_entry* entry;
    cn_dnn_target target = {.calls = cn_dnn()};
    cornu_status st;

    CN_TRY(cn_cuda_dnn_handle(e, &target.handle));
    entry = cn_alloc_zero(1, sizeof *entry);
    if (!entry) return CN_NO_MEMORY(sizeof *entry);
    entry->problem = problem;
    st = make(&target, args, &entry->graph);
    if (st == CORNU_OK) st = cn_dnn_find_plans(&target, limits, &entry->graph);
    if (st != CORNU_OK && st != CORNU_UNSUPPORTED) {
        cn_dnn_graph_deinit(&entry->graph);
        cn_free(entry);
        return st;
    }
    entry->next = e->dnn_entries; /* without plans too: nobody need ask again */
    e->dnn_entries = *out = entry;
    return CORNU_OK;
}

cornu_status cn_cuda_dnn_take(cn_cuda_executable* e, const char* problem, cn_cuda_dnn_make make, const void* args,
                              const cn_dnn_limits* limits, int plan, const cn_dnn_graph** out) {
    cn_cuda_dnn_entry* entry = e->dnn_entries;

    *out = NULL;
    while (entry && strcmp(entry->problem, problem) != 0) entry = entry->next;
    if (!entry) CN_TRY(make_entry(e, problem, make, args, limits, &entry));
    if (plan >= entry->graph.plan_count)
        return CN_FAIL(UNSUPPORTED, "cuDNN has %d plans for %s", entry->graph.plan_count, problem);
    entry->taken = true;
    *out = &entry->graph;
    return CORNU_OK;
}

void cn_cuda_dnn_keep_taken(cn_cuda_executable* e) {
    cn_cuda_dnn_entry** at = &e->dnn_entries;

    while (*at) {
        cn_cuda_dnn_entry* entry = *at;
        if (entry->taken) {
            entry->taken = false;
            at = &entry->next;
            continue;
        }
        *at = entry->next;
        cn_dnn_graph_deinit(&entry->graph);
        cn_free(entry);
    }
    if (e->dnn_entries || e->dnn_users > 0 || !e->dnn_handle) return;
    (void)cn_dnn()->Destroy(e->dnn_handle);
    e->dnn_handle = NULL;
}

void cn_cuda_dnn_close(cn_cuda_executable* e) {
    for (cn_cuda_dnn_entry* entry = e->dnn_entries; entry; entry = entry->next) entry->taken = false;
    cn_cuda_dnn_keep_taken(e);
}

cornu_status cn_cuda_dnn_run(const cn_cuda_frame* frame, const cn_dnn_graph* graph, int plan,
                             const cn_dnn_binding* bindings, int count) {
    cn_dnn_handle_t handle = frame->executable->dnn_handle;

    CN_TRY(CN_DNN_OK(cn_dnn()->SetStream(handle, frame->queue.stream)));
    return cn_dnn_execute(graph, handle, plan, bindings, count,
                          graph->workspace_bytes[plan] > 0 ? frame->scratch : NULL);
}
