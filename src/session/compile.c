/* The pipeline on one page. */
#include "session/compile.h"

#include <assert.h>
#include <string.h>

#include "graph/split.h"
#include "pass/pass.h"
#include "plan/segment.h"

static const void* constant_data(cn_weights* weights, int i) {
    return cn_store_data(((cn_compiled*)weights)->entries[i]);
}

static cornu_status constant_derived(cn_weights* weights, int i, const char* layout, uint64_t bytes, cn_derive fn,
                                     const void* user, uint64_t user_size, void** out) {
    cn_compiled* c = (cn_compiled*)weights;
    return cn_store_derived(c->store, c->entries[i], layout, bytes, fn, user, user_size, out);
}

static cornu_status constant_resident(cn_weights* weights, const cn_residence* residence, cn_resident* residents, int count) {
    cn_compiled* c = (cn_compiled*)weights;
    return cn_store_resident(c->store, c->entries, residence, residents, count);
}

static cornu_status get_constants(cn_compiled* c) {
    cn_program view = c->program; /* the plan's graph with the program's slots */

    view.graph = *c->plan->graph;
    c->entries = cn_alloc_zero((size_t)c->plan->constant_count + 1, sizeof(cn_store_entry*));
    if (!c->entries) return CN_NO_MEMORY((size_t)c->plan->constant_count * sizeof(cn_store_entry*));
    for (int i = 0; i < c->plan->constant_count; i++) {
        CN_TRY(cn_store_get(c->store, &view, c->plan->constants[i], &c->entries[i]));
    }
    return CORNU_OK;
}

/* The plan for the whole batch, or for a part of it that the backend repeats. */
static cornu_status make_plan(cn_compiled* c, cn_device* device) {
    int64_t batch = c->input_count > 0 && c->inputs[0].ndim > 0 ? c->inputs[0].dims[0] : 0;
    int64_t parts = c->backend->lanes ? cn_plan_parts(&c->program.graph, batch) : 1;
    bool split = false;

    if (parts > 1) CN_TRY(cn_graph_split(&c->program.graph, parts, &c->part, &split));
    CN_TRY(cn_plan_create(split ? &c->part : &c->program.graph, c->backend->alignment, &c->plan));
    if (split) {
        c->plan->repeats = parts;
        c->plan->lanes = device ? c->backend->lanes(device, parts) : 1;
    }
    return CORNU_OK;
}

static cornu_status count_segments(cn_compiled* c) {
    cn_segment* segments = NULL;

    CN_TRY(cn_segments_create(c->plan->graph, c->backend->is_host, NULL, NULL, &segments, &c->segment_count));
    cn_segments_destroy(segments, c->segment_count);
    assert(!c->backend->is_host || c->segment_count == 1);
    return CORNU_OK;
}

/* The passes that the backend wants. */
static cornu_status run_passes(cn_graph* g, const cn_compile_options* options) {
    cornu_precision precision = options->backend->has_precisions ? options->precision : CORNU_PRECISION_STRICT;

    if (options->backend->runs_passes) CN_TRY(cn_pass_run(g, NULL));
    if (precision == CORNU_PRECISION_BF16) CN_TRY(cn_pass_narrow(g, CORNU_BFLOAT16));
    if (precision == CORNU_PRECISION_FP16) CN_TRY(cn_pass_narrow(g, CORNU_FLOAT16));
    return cn_graph_verify(g);
}

cornu_status cn_compile(const cn_document* doc, cn_store* store, const cn_compile_options* options, const cn_type* inputs, int count,
                        cn_compiled** out) {
    cn_compiled* c = cn_alloc_zero(1, sizeof *c);
    cornu_status st = CORNU_OK;

    *out = NULL;
    if (!c) return CN_NO_MEMORY(sizeof *c);
    c->weights = (cn_weights){constant_data, constant_derived, constant_resident, cornu_last_error};
    c->store = store;
    c->backend = options->backend;
    c->input_count = count;
    c->inputs = cn_alloc_zero((size_t)count + 1, sizeof *c->inputs);
    if (!c->inputs) {
        st = CN_NO_MEMORY((size_t)count * sizeof *c->inputs);
        goto done;
    }
    memcpy(c->inputs, inputs, (size_t)count * sizeof *inputs);
    CN_STEP(cn_lower_model(doc, options->lowering, inputs, count, &c->program));
    CN_STEP(cn_graph_verify(&c->program.graph));
    CN_STEP(run_passes(&c->program.graph, options));
    CN_STEP(make_plan(c, options->device));
    CN_STEP(count_segments(c));
    if (store) {
        CN_STEP(get_constants(c));
        CN_STEP(options->backend->prepare(options->device, c->plan, &c->weights, &c->executable));
    }
    *out = c;
    c = NULL;
done:
    cn_compiled_destroy(c);
    return st;
}

void cn_compiled_destroy(cn_compiled* c) {
    if (!c) return;
    if (c->executable) c->backend->destroy(c->executable);
    cn_plan_destroy(c->plan);
    cn_graph_deinit(&c->part);
    cn_program_deinit(&c->program);
    cn_free(c->entries);
    cn_free(c->inputs);
    cn_free(c);
}
