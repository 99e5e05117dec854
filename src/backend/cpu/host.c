/* Running a plan on host memory by the reference functions. */
#include "backend/cpu/host.h"

#include <string.h>

#include "base/clock.h"

cornu_status cn_host_alloc(cn_device* device, uint64_t bytes, void** out) {
    (void)device;
    *out = bytes > SIZE_MAX ? NULL : cn_alloc_aligned((size_t)bytes);
    return *out ? CORNU_OK : CN_NO_MEMORY(bytes);
}

void cn_host_free(cn_device* device, void* memory) {
    (void)device;
    cn_free_aligned(memory);
}

cornu_status cn_host_prepare(const cn_plan* plan, cn_weights* weights, cn_host_executable** out) {
    cn_host_executable* e = cn_alloc_zero(1, sizeof *e);
    size_t most = 1;

    *out = NULL;
    for (int i = 0; i < plan->graph->count; i++) {
        if ((size_t)plan->graph->nodes[i].input_count > most) most = (size_t)plan->graph->nodes[i].input_count;
    }
    if (e) {
        e->plan = plan;
        e->weights = weights;
        e->pointers = cn_alloc_zero(most, sizeof *e->pointers);
        e->types = cn_alloc_zero(most, sizeof *e->types);
    }
    if (!e || !e->pointers || !e->types) {
        cn_host_destroy(e);
        return CN_NO_MEMORY(most * sizeof *e->pointers);
    }
    *out = e;
    return CORNU_OK;
}

void cn_host_destroy(cn_host_executable* e) {
    if (!e) return;
    cn_free(e->pointers);
    cn_free(e->types);
    cn_free(e);
}

void* cn_host_value(const cn_host_executable* e, const cn_run* run, cn_id v) {
    const cn_place* place = &e->plan->places[v];

    switch (place->kind) {
        case CN_PLACE_ARENA: return (char*)run->arena + place->offset;
        case CN_PLACE_INPUT: return (void*)run->inputs[place->index]; /* never written: inputs are the caller's */
        case CN_PLACE_CONSTANT: return (void*)e->weights->data(e->weights, place->index);
        case CN_PLACE_NOWHERE: break;
    }
    return NULL;
}

cornu_status cn_host_step(cn_host_executable* e, const cn_run* run, int i) {
    const cn_graph* g = e->plan->graph;
    const cn_node* node = &g->nodes[i];
    cn_ref_step step = {node->op, &node->attr, node->input_count, e->types, e->pointers, &g->types[i],
                        cn_host_value(e, run, i), run->seed, run->counter};

    for (int k = 0; k < node->input_count; k++) {
        e->types[k] = node->inputs[k] == CN_NONE ? NULL : &g->types[node->inputs[k]];
        e->pointers[k] = node->inputs[k] == CN_NONE ? NULL : cn_host_value(e, run, node->inputs[k]);
    }
    if (step.out == NULL || e->plan->places[i].kind != CN_PLACE_ARENA) return CORNU_OK; /* a view of an input or a constant */
    if (cn_ref_run(&step) == CORNU_OK) return CORNU_OK;
    return cn_fail_within(CORNU_BAD_ARGUMENT, "layer '%s'", node->label);
}

void cn_host_outputs(const cn_host_executable* e, const cn_run* run) {
    const cn_graph* g = e->plan->graph;

    for (int i = 0; i < g->output_count; i++) {
        uint64_t bytes = cn_type_bytes(&g->types[g->outputs[i]]);
        if (bytes) memcpy(run->outputs[i], cn_host_value(e, run, g->outputs[i]), bytes);
    }
}

void cn_host_note(cn_profile* profile, cn_id i, double start_ms) {
    profile->steps[i].ms += cn_now_ms() - start_ms;
    profile->steps[i].launches++;
}

cornu_status cn_host_run(cn_host_executable* e, const cn_run* run) {
    for (int s = 0; s < e->plan->step_count; s++) {
        int i = e->plan->steps[s];
        double start = run->profile ? cn_now_ms() : 0;
        CN_TRY(cn_host_step(e, run, i));
        if (run->profile && e->plan->places[i].kind == CN_PLACE_ARENA) cn_host_note(run->profile, i, start);
    }
    cn_host_outputs(e, run);
    return CORNU_OK;
}
