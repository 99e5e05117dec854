/* Runs a session until it is warm, then takes turns: an ordinary run, a profiled one. Every time is the median of its runs. */
#include "session/profile.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "graph/cost.h"

#define WARM_RUNS 3 /* a device launches step by step first, then captures, then replays */

typedef struct profiling {
    cornu_session* session;
    const cornu_tensor* in;
    int n_in, n_out;
    cornu_tensor* out; /* kept from run to run */
    int runs, nodes;
    cn_profile_step* steps; /* [nodes], of the last run */
    double* whole;          /* [runs] */
    double* parts;          /* [nodes, runs] */
} profiling;

static cornu_status run_once(profiling* x) { return cn_session_run(x->session, x->in, x->n_in, x->out, x->n_out, NULL); }

/* The outputs are known once the model has run or its shapes have been lowered. */
static cornu_status warm_up(profiling* x) {
    cn_compiled* c;
    cornu_status st;

    CN_TRY(cn_session_types(x->session, x->in, x->n_in, x->session->types));
    (void)pthread_rwlock_rdlock(&x->session->model->lock);
    st = cn_session_compile(x->session, x->session->types, &c);
    (void)pthread_rwlock_unlock(&x->session->model->lock);
    if (st != CORNU_OK) return st;
    x->n_out = c->program.output_count;
    x->nodes = c->plan->graph->count;
    x->out = cn_alloc_zero((size_t)x->n_out + 1, sizeof *x->out);
    x->steps = cn_alloc_zero((size_t)x->nodes + 1, sizeof *x->steps);
    x->whole = cn_alloc_zero((size_t)x->runs, sizeof *x->whole);
    x->parts = cn_alloc_zero((size_t)x->nodes + 1, (size_t)x->runs * sizeof *x->parts);
    if (!x->out || !x->steps || !x->whole || !x->parts) return CN_NO_MEMORY((size_t)x->nodes * (size_t)x->runs * sizeof *x->parts);
    for (int i = 0; i < WARM_RUNS; i++) CN_TRY(run_once(x));
    return CORNU_OK;
}

static cornu_status take_turns(profiling* x) {
    for (int r = 0; r < x->runs; r++) {
        cn_profile profile = {.steps = x->steps};
        double start = cn_now_ms();
        cornu_status st;
        CN_TRY(run_once(x));
        x->whole[r] = cn_now_ms() - start;
        memset(x->steps, 0, (size_t)x->nodes * sizeof *x->steps);
        x->session->profile = &profile;
        st = run_once(x);
        x->session->profile = NULL;
        if (st != CORNU_OK) return st;
        if (profile.run_ms > 0) x->whole[r] = profile.run_ms;
        for (int i = 0; i < x->nodes; i++) x->parts[(size_t)i * (size_t)x->runs + (size_t)r] = x->steps[i].ms;
    }
    return CORNU_OK;
}

static int by_size(const void* a, const void* b) {
    const double x = *(const double*)a, y = *(const double*)b;
    return (x > y) - (x < y);
}

static double median(double* values, int count) {
    qsort(values, (size_t)count, sizeof *values, by_size);
    return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

static cornu_status add_step(profiling* x, cornu_profile* p, const cn_plan* plan, int node) {
    const cn_graph* g = plan->graph;
    const cn_cost cost = cn_node_cost(g, &g->nodes[node]);
    cornu_profile_step* step = &p->steps[p->step_count];
    char text[256];

    step->layer = cn_arena_strdup(&p->arena, g->nodes[node].label);
    step->op = cn_op_info_of(g->nodes[node].op)->name;
    step->kernel = cn_arena_strdup(&p->arena, x->steps[node].kernel);
    step->result = cn_arena_strdup(&p->arena, cn_type_text(&g->types[node], text));
    if (!step->layer || !step->kernel || !step->result) return CN_NO_MEMORY(sizeof text);
    step->launches = x->steps[node].launches;
    step->ms = median(&x->parts[(size_t)node * (size_t)x->runs], x->runs);
    step->flops = cost.flops * (uint64_t)plan->repeats;
    step->bytes = cost.bytes * (uint64_t)plan->repeats;
    p->info.steps_ms += step->ms;
    p->step_count++;
    return CORNU_OK;
}

static void set_peak(const cornu_session* s, cornu_profile_info* info) {
    cn_peak peak = {0};
    double flops;

    if (s->backend->peak) s->backend->peak(s->device, &peak);
    switch (s->precision) {
        case CORNU_PRECISION_STRICT: flops = peak.float32; break;
        case CORNU_PRECISION_BF16:
        case CORNU_PRECISION_FP16: flops = peak.half; break;
        default: flops = peak.tf32;
    }
    info->peak_gb_per_s = peak.bytes_per_s / 1e9;
    info->peak_gflop_per_s = flops / 1e9;
}

static cornu_status fill(profiling* x, cornu_profile* p) {
    const cn_plan* plan = x->session->shapes->plan; /* the shape that ran last */

    p->steps = cn_arena_array(&p->arena, (size_t)plan->step_count + 1, sizeof *p->steps);
    p->info.device = cn_arena_strdup(&p->arena, x->session->backend->describe(x->session->device));
    if (!p->steps || !p->info.device) return CN_NO_MEMORY((size_t)plan->step_count * sizeof *p->steps);
    for (int i = 0; i < plan->step_count; i++) {
        if (x->steps[plan->steps[i]].launches > 0) CN_TRY(add_step(x, p, plan, plan->steps[i]));
    }
    p->info.step_count = p->step_count;
    p->info.run_ms = median(x->whole, x->runs);
    set_peak(x->session, &p->info);
    return CORNU_OK;
}

cornu_status cn_session_profile(cornu_session* session, const cornu_tensor* in, int n_in, int runs, cornu_profile** out) {
    profiling x = {.session = session, .in = in, .n_in = n_in, .runs = runs};
    cornu_profile* p = cn_alloc_zero(1, sizeof *p);
    cornu_status st = CORNU_OK;

    *out = NULL;
    if (!p) return CN_NO_MEMORY(sizeof *p);
    CN_STEP(warm_up(&x));
    CN_STEP(take_turns(&x));
    CN_STEP(fill(&x, p));
    *out = p;
    p = NULL;
done:
    for (int i = 0; x.out && i < x.n_out; i++) cornu_tensor_release(&x.out[i]);
    cn_free(x.out);
    cn_free(x.steps);
    cn_free(x.whole);
    cn_free(x.parts);
    cn_profile_destroy(p);
    return st;
}

void cn_profile_destroy(cornu_profile* profile) {
    if (!profile) return;
    cn_arena_deinit(&profile->arena);
    cn_free(profile);
}
