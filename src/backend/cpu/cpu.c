/* The backend "cpu": prepares every step of a plan, runs them in order. A plan that repeats itself over a batch is run by several
 * lanes, each taking the next part; which thread runs a part does not change its result. */
#include "backend/cpu/cpu.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

struct cn_device {
    cn_device_options options;
    const cn_loops* loops;
    void* engine;
    cn_cpu_openmp openmp;
    char text[64];
};

static const cn_cpu_prepare prepares[CN_OP_COUNT][2] = {
    [CN_OP_ew] = {cn_cpu_prepare_elementwise, cn_cpu_prepare_mask},
    [CN_OP_fused] = {cn_cpu_prepare_elementwise},
    [CN_OP_transpose] = {cn_cpu_prepare_copy},
    [CN_OP_broadcast] = {cn_cpu_prepare_copy},
    [CN_OP_slice] = {cn_cpu_prepare_copy},
    [CN_OP_pad] = {cn_cpu_prepare_copy},
    [CN_OP_reshape] = {cn_cpu_prepare_copy},
    [CN_OP_concat] = {cn_cpu_prepare_concat},
    [CN_OP_gather] = {cn_cpu_prepare_gather},
    [CN_OP_reduce] = {cn_cpu_prepare_reduce, cn_cpu_prepare_mask},
    [CN_OP_softmax] = {cn_cpu_prepare_softmax},
    [CN_OP_log_softmax] = {cn_cpu_prepare_softmax},
    [CN_OP_layer_norm] = {cn_cpu_prepare_norm},
    [CN_OP_rms_norm] = {cn_cpu_prepare_norm},
    [CN_OP_group_norm] = {cn_cpu_prepare_group_norm},
    [CN_OP_matmul] = {cn_cpu_prepare_dnnl, cn_cpu_prepare_product},
    [CN_OP_conv] = {cn_cpu_prepare_dnnl, cn_cpu_prepare_product},
    [CN_OP_conv_transpose] = {cn_cpu_prepare_dnnl},
    [CN_OP_pool] = {cn_cpu_prepare_dnnl, cn_cpu_prepare_pool},
    [CN_OP_adaptive_pool] = {cn_cpu_prepare_pool},
    [CN_OP_resize] = {cn_cpu_prepare_resize},
    [CN_OP_rnn] = {cn_cpu_prepare_rnn},
    [CN_OP_attention] = {cn_cpu_prepare_attention},
};

bool cn_cpu_is_float(const cn_cpu_executable* e, const cn_node* node) {
    if (cn_cpu_type(e, node)->dtype != CORNU_FLOAT32 || cn_type_count(cn_cpu_type(e, node)) == 0) return false;
    for (int k = 0; k < node->input_count; k++) {
        const cn_type* t = cn_cpu_input_type(e, node, k);
        if (t && (t->dtype != CORNU_FLOAT32 || cn_type_count(t) == 0)) return false;
    }
    return true;
}

/* ---- device ---- */

static int machine_threads(void) {
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > 256 ? 256 : (int)n;
}

static cornu_status open_device(const cn_device_options* options, cn_device** out) {
    cn_device* device = cn_alloc_zero(1, sizeof *device);

    *out = NULL;
    if (!device) return CN_NO_MEMORY(sizeof *device);
    device->options = *options;
    if (device->options.threads <= 0) device->options.threads = machine_threads();
    device->loops = cn_loops_choose();
    device->engine = cn_cpu_engine_create();
    if (device->engine) cn_cpu_openmp_find(&device->openmp);
    (void)snprintf(device->text, sizeof device->text, "cpu");
    *out = device;
    return CORNU_OK;
}

static void close_device(cn_device* device) {
    if (!device) return;
    cn_cpu_engine_destroy(device->engine);
    cn_free(device);
}

static const char* describe(cn_device* device) { return device->text; }

static int lanes(cn_device* device, int64_t repeats) {
    return repeats < device->options.threads ? (int)repeats : device->options.threads;
}

/* ---- preparation ---- */

static cornu_status run_by_reference(const cn_cpu_step* step, const cn_cpu_lane* lane) {
    return cn_host_step(lane->host, &lane->run, step->node->output);
}

static void destroy(cn_executable* executable) {
    cn_cpu_executable* e = (cn_cpu_executable*)executable;

    if (!e) return;
    for (int i = 0; i < e->step_count; i++) {
        if (e->steps[i].destroy) e->steps[i].destroy(e->steps[i].data);
    }
    for (int i = 0; e->lanes && i < e->lane_count; i++) {
        cn_host_destroy(e->lanes[i].host);
        cn_free_aligned(e->lanes[i].scratch);
    }
    cn_arena_deinit(&e->arena);
    cn_free(e);
}

static cornu_status prepare_step(cn_cpu_executable* e, cn_cpu_step* step) {
    for (int k = 0; k < 2 && !step->run && prepares[step->node->op][k]; k++) CN_TRY(prepares[step->node->op][k](e, step));
    if (!step->run) step->run = run_by_reference;
    return CORNU_OK;
}

static cornu_status prepare_lane(cn_cpu_executable* e, cn_cpu_lane* lane, int index) {
    const cn_graph* g = e->plan->graph;

    lane->executable = e;
    lane->index = index;
    lane->values = cn_arena_array(&e->arena, (size_t)g->count + 1, sizeof *lane->values);
    lane->inputs = cn_arena_array(&e->arena, (size_t)g->input_count + 1, sizeof *lane->inputs);
    lane->outputs = cn_arena_array(&e->arena, (size_t)g->output_count + 1, sizeof *lane->outputs);
    lane->scratch = cn_alloc_aligned(e->scratch_bytes + 64);
    if (!lane->values || !lane->inputs || !lane->outputs || !lane->scratch) return CN_NO_MEMORY(e->scratch_bytes);
    CN_TRY(cn_host_prepare(e->plan, e->weights, &lane->host));
    for (int i = 0; i < e->plan->constant_count; i++) lane->values[e->plan->constants[i]] = (void*)e->weights->data(e->weights, i);
    return CORNU_OK;
}

static cornu_status prepare_steps(cn_cpu_executable* e) {
    for (int i = 0; i < e->plan->step_count; i++) {
        int node = e->plan->steps[i];
        cn_cpu_step* step = &e->steps[e->step_count];
        if (e->plan->places[node].kind != CN_PLACE_ARENA) continue; /* a view of an input or a constant */
        step->node = &e->plan->graph->nodes[node];
        e->step_count++;
        CN_TRY(prepare_step(e, step));
    }
    return CORNU_OK;
}

static cornu_status prepare(cn_device* device, const cn_plan* plan, cn_weights* weights, cn_executable** out) {
    cn_cpu_executable* e = cn_alloc_zero(1, sizeof *e);
    cornu_status st = CORNU_OK;
    int threads;

    *out = NULL;
    if (!e) return CN_NO_MEMORY(sizeof *e);
    e->plan = plan;
    e->weights = weights;
    e->loops = device->loops;
    e->engine = device->engine;
    e->openmp = device->openmp;
    e->lane_count = plan->lanes;
    e->steps = cn_arena_array(&e->arena, (size_t)plan->step_count + 1, sizeof *e->steps);
    e->lanes = cn_arena_array(&e->arena, (size_t)plan->lanes, sizeof *e->lanes);
    if (!e->steps || !e->lanes) {
        st = CN_NO_MEMORY((size_t)plan->step_count * sizeof *e->steps);
        goto done;
    }
    threads = cn_cpu_openmp_enter(&e->openmp);
    st = prepare_steps(e);
    cn_cpu_openmp_leave(&e->openmp, threads);
    if (st != CORNU_OK) goto done;
    for (int i = 0; i < e->lane_count; i++) CN_STEP(prepare_lane(e, &e->lanes[i], i));
    *out = (cn_executable*)e;
    e = NULL;
done:
    destroy((cn_executable*)e);
    return st;
}

/* ---- running ---- */

/* Where every value of this part of the batch lies. */
static void bind(cn_cpu_lane* lane, const cn_run* run, int64_t part) {
    const cn_plan* plan = lane->executable->plan;
    const cn_graph* g = plan->graph;
    char* memory = (char*)run->arena + (uint64_t)lane->index * plan->arena_bytes;

    for (int i = 0; i < g->count; i++) {
        const cn_place* place = &plan->places[i];
        if (g->nodes[i].op == CN_OP_input) {
            int port = g->nodes[i].attr.port.index;
            lane->inputs[port] = (const char*)run->inputs[port] + (uint64_t)part * cn_type_bytes(&g->types[i]);
        }
        if (place->kind == CN_PLACE_ARENA) lane->values[i] = memory + place->offset;
        else if (place->kind == CN_PLACE_INPUT) lane->values[i] = (void*)lane->inputs[place->index];
        else if (place->kind == CN_PLACE_CONSTANT) lane->values[i] = lane->values[plan->constants[place->index]];
    }
    for (int i = 0; i < g->output_count; i++) {
        lane->outputs[i] = (char*)run->outputs[i] + (uint64_t)part * cn_type_bytes(&g->types[g->outputs[i]]);
    }
    lane->run = *run;
    lane->run.inputs = lane->inputs;
    lane->run.outputs = lane->outputs;
    lane->run.arena = memory;
}

static cornu_status run_part(cn_cpu_lane* lane, const cn_run* run, int64_t part) {
    const cn_cpu_executable* e = lane->executable;

    bind(lane, run, part);
    for (int i = 0; i < e->step_count; i++) {
        double start = run->profile ? cn_now_ms() : 0;
        CN_TRY(e->steps[i].run(&e->steps[i], lane));
        if (run->profile) cn_host_note(run->profile, e->steps[i].node->output, start);
    }
    cn_host_outputs(lane->host, &lane->run);
    return CORNU_OK;
}

typedef struct crew {
    const cn_run* run;
    atomic_llong next; /* part of the batch */
    long long parts;
    atomic_bool failed;
} crew;

typedef struct worker {
    crew* crew;
    cn_cpu_lane* lane;
} worker;

static void work(worker* w) {
    cn_cpu_lane* lane = w->lane;
    long long part;

    lane->status = CORNU_OK;
    while ((part = atomic_fetch_add(&w->crew->next, 1)) < w->crew->parts && !atomic_load(&w->crew->failed)) {
        lane->status = run_part(lane, w->crew->run, part);
        if (lane->status == CORNU_OK) continue;
        (void)snprintf(lane->message, sizeof lane->message, "%s", cornu_last_error());
        atomic_store(&w->crew->failed, true);
        return;
    }
}

static void* work_on_thread(void* user) {
    worker* w = user;
    (void)cn_cpu_openmp_enter(&w->lane->executable->openmp);
    work(w);
    return NULL;
}

#define MOST_LANES 256

/* Lane 0 is the caller's thread. A thread that cannot be made is done without. */
static cornu_status run_crew(cn_cpu_executable* e, const cn_run* run) {
    crew c = {.run = run, .parts = e->plan->repeats};
    worker workers[MOST_LANES];
    pthread_t threads[MOST_LANES];
    int count = e->lane_count < MOST_LANES ? e->lane_count : MOST_LANES, started = 1;

    atomic_init(&c.next, 0);
    atomic_init(&c.failed, false);
    for (int i = 0; i < count; i++) workers[i] = (worker){&c, &e->lanes[i]};
    while (started < count && pthread_create(&threads[started], NULL, work_on_thread, &workers[started]) == 0) started++;
    work(&workers[0]);
    for (int i = 1; i < started; i++) (void)pthread_join(threads[i], NULL);
    for (int i = 0; i < started; i++) {
        if (e->lanes[i].status != CORNU_OK) return cn_fail(e->lanes[i].status, __FILE__, __LINE__, "%s", e->lanes[i].message);
    }
    return CORNU_OK;
}

static cornu_status run(cn_executable* executable, const cn_run* r) {
    cn_cpu_executable* e = (cn_cpu_executable*)executable;
    int threads = cn_cpu_openmp_enter(&e->openmp);
    cornu_status st = CORNU_OK;

    if (e->plan->repeats == 1 || r->profile) {
        for (int64_t part = 0; part < e->plan->repeats && st == CORNU_OK; part++) st = run_part(&e->lanes[0], r, part);
    } else {
        st = run_crew(e, r);
    }
    cn_cpu_openmp_leave(&e->openmp, threads);
    return st;
}

const cn_backend cn_backend_cpu = {.name = "cpu", .alignment = 64, .runs_passes = true, .open = open_device, .close = close_device, .describe = describe,
    .alloc = cn_host_alloc, .free = cn_host_free, .lanes = lanes, .prepare = prepare, .destroy = destroy, .run = run, .is_host = true};
const cn_backend cn_backend_cpu_plain = {.name = "cpu-plain", .alignment = 64, .runs_passes = false, .open = open_device, .close = close_device, .describe = describe,
    .alloc = cn_host_alloc, .free = cn_host_free, .prepare = prepare, .destroy = destroy, .run = run, .is_host = true};
