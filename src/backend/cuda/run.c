/* One run. The first with an arena launches every step by itself, which loads all kernels; the second captures the steps as a graph, and from
 * then on a run is one launch. What differs from run to run stays outside of the graph or is read from fixed places:
 *
 *     caller's memory -> pinned -> [ words, inputs ] -> steps -> outputs -> pinned -> caller's memory        host tensors
 *     caller's memory ------------> [ inputs ] ------> steps -> outputs ------------> caller's memory        device tensors
 *                                            captured: '-----'
 *
 * A device that shares the host's memory reads the inputs where they are pinned.
 *
 * A graph holds the addresses of the arena and of the device's space: when they change it is made anew. Runs of one session share both, so that each
 * follows the one before, whatever streams they are on. */
#include <string.h>

#include "backend/cuda/device.h"
#include "kernels/upload.h"

void cn_cuda_release_graph(cn_cuda_executable* e) {
    if (e->graph) (void)cn_calls()->GraphExecDestroy(e->graph);
    e->graph = NULL;
    e->runs = 0;
}

void cn_cuda_bind(cn_cuda_executable* e, void* arena) {
    const cn_plan* plan = e->plan;

    char *space = cn_device_space(e->device), *staging = cn_device_staging(e->device);
    bool shared = cn_cuda_shares_memory(cn_device_index(e->device));

    if (e->bound == arena && e->bound_space == space && e->bound_staging == staging && arena) return;
    cn_cuda_release_graph(e);
    for (int i = 0; i < plan->graph->count; i++) {
        const cn_place* place = &plan->places[i];
        if (place->kind == CN_PLACE_ARENA) e->frame.values[i] = (char*)arena + place->offset;
        else if (place->kind == CN_PLACE_INPUT) e->frame.values[i] = shared ? staging + e->inputs[place->index].staging : space + e->inputs[place->index].space;
    }
    e->frame.scratch = space + e->scratch_at;
    e->bound = arena;
    e->bound_space = space;
    e->bound_staging = staging;
}

static bool on_device(const bool* which, int i) { return which && which[i]; }

static cornu_status send_inputs(cn_cuda_executable* e, const cn_run* run, cudaStream_t stream) {
    cn_queue queue = {stream, e->frame.queue.launch, e->frame.queue.launch_together};
    cn_begin_args begin = {e->frame.words, run->seed, run->counter, e->waiting};
    char *space = cn_device_space(e->device), *staging = cn_device_staging(e->device);
    bool shared = cn_cuda_shares_memory(cn_device_index(e->device));

    if (shared && !run->enqueue) CN_TRY(cn_device_join(e->device)); /* kernels of earlier runs read there */
    CN_CUDA(cn_k_begin(&queue, &begin));
    for (int i = 0; i < e->plan->graph->input_count; i++) {
        const cn_cuda_port* port = &e->inputs[i];
        bool device = on_device(run->inputs_on_device, i);
        if (port->bytes == 0) continue;
        if (!device) memcpy(staging + port->staging, run->inputs[i], port->bytes);
        if (shared) {
            if (device) CN_CUDA(cn_calls()->MemcpyAsync(staging + port->staging, run->inputs[i], port->bytes, cudaMemcpyDefault, stream));
            continue;
        }
        CN_CUDA(cn_calls()->MemcpyAsync(space + port->space, device ? run->inputs[i] : staging + port->staging, port->bytes,
                                        device ? cudaMemcpyDeviceToDevice : cudaMemcpyHostToDevice, stream));
    }
    return CORNU_OK;
}

static cornu_status launch_steps(const cn_cuda_executable* e, const cn_cuda_frame* frame) {
    for (int i = 0; i < e->step_count; i++) {
        cornu_status st = e->steps[i].launch(&e->steps[i], frame);
        if (st != CORNU_OK) return e->steps[i].node->label[0] ? cn_fail_within(st, "%s", e->steps[i].node->label) : st;
    }
    return CORNU_OK;
}

/* Captures the steps on the device's own stream, whatever stream they will be launched on. */
static cornu_status capture(cn_cuda_executable* e) {
    cudaGraph_t graph = NULL;
    cornu_status st;
    cudaError_t end;

    CN_CUDA(cn_calls()->StreamBeginCapture(e->frame.queue.stream, cudaStreamCaptureModeThreadLocal));
    st = launch_steps(e, &e->frame);
    end = cn_calls()->StreamEndCapture(e->frame.queue.stream, &graph);
    if (st == CORNU_OK) st = cn_cuda_check(end, "cudaStreamEndCapture", __FILE__, __LINE__);
    if (st == CORNU_OK) st = CN_CUDA_OK(cn_calls()->GraphInstantiate(&e->graph, graph, 0));
    if (st != CORNU_OK) e->graph = NULL;
    if (graph) (void)cn_calls()->GraphDestroy(graph);
    return st;
}

static cornu_status run_steps(cn_cuda_executable* e, cudaStream_t stream) {
    if (e->step_count == 0) return CORNU_OK;
    if (e->runs == 0) { /* launched one by one, on whatever stream */
        cn_cuda_frame frame = e->frame;
        frame.queue.stream = stream;
        return launch_steps(e, &frame);
    }
    if (!e->graph) CN_TRY(capture(e));
    return CN_CUDA_OK(cn_calls()->GraphLaunch(e->graph, stream));
}

static cornu_status get_outputs(cn_cuda_executable* e, const cn_run* run, cudaStream_t stream) {
    const cn_graph* g = e->plan->graph;

    for (int i = 0; i < g->output_count; i++) {
        const cn_place* place = &e->plan->places[g->outputs[i]];
        uint64_t bytes = cn_type_bytes(&g->types[g->outputs[i]]);
        bool device = on_device(run->outputs_on_device, i);
        if (bytes == 0) continue;
        if (place->kind == CN_PLACE_CONSTANT && device) {
            CN_CUDA(cn_calls()->MemcpyAsync(run->outputs[i], e->host_weights->data(e->host_weights, place->index), bytes, cudaMemcpyHostToDevice, stream));
        } else if (place->kind != CN_PLACE_CONSTANT) {
            CN_CUDA(cn_calls()->MemcpyAsync(device ? run->outputs[i] : cn_device_staging(e->device) + e->outputs[i].staging, e->frame.values[g->outputs[i]], bytes,
                                            cudaMemcpyDefault, stream));
        }
    }
    return CN_CUDA_OK(cn_calls()->MemcpyAsync(e->pinned, e->frame.words, sizeof *e->pinned, cudaMemcpyDeviceToHost, stream));
}

/* Out of the pinned memory, when the stream has come to its end. */
static void hand_over(const cn_cuda_executable* e, const cn_run* run) {
    const cn_graph* g = e->plan->graph;

    for (int i = 0; i < g->output_count; i++) {
        const cn_place* place = &e->plan->places[g->outputs[i]];
        uint64_t bytes = cn_type_bytes(&g->types[g->outputs[i]]);
        if (bytes == 0 || on_device(run->outputs_on_device, i)) continue;
        memcpy(run->outputs[i],
               place->kind == CN_PLACE_CONSTANT ? e->host_weights->data(e->host_weights, place->index) : cn_device_staging(e->device) + e->outputs[i].staging, bytes);
    }
}

/* What the kernels of the runs so far have found. */
static cornu_status check_fault(const cn_cuda_executable* e) {
    const cn_run_words* words = e->pinned;
    const char* label;

    if (words->fault == CN_FAULT_NONE) return CORNU_OK;
    label = e->plan->graph->nodes[words->node].label;
    if (words->fault == CN_FAULT_CHOLESKY) return CN_FAIL(BAD_ARGUMENT, "%s%scholesky of a matrix that is not positive definite", label, label[0] ? ": " : "");
    return CN_FAIL(BAD_ARGUMENT, "%s%sindex %lld is out of range for an axis of %lld", label, label[0] ? ": " : "", (long long)words->value,
                   (long long)words->limit);
}

static cornu_status refuse_lost(const cn_cuda_executable* e) {
    if (!cn_cuda_lost()) return CORNU_OK;
    return CN_FAIL(DEVICE_LOST, "%s: an earlier error has ended the device's context; only the CPU can be used in this process", cn_device_text(e->device));
}

cornu_status cn_cuda_wait(cn_executable* executable) {
    cn_cuda_executable* e = (cn_cuda_executable*)executable;

    if (!e->waiting) return CORNU_OK;
    e->waiting = false;
    CN_TRY(refuse_lost(e));
    CN_CUDA(cn_calls()->SetDevice(cn_device_index(e->device)));
    CN_TRY(cn_device_join(e->device));
    return check_fault(e);
}

static cornu_status run_on(cn_cuda_executable* e, const cn_run* run, cudaStream_t stream) {
    CN_TRY(send_inputs(e, run, stream));
    CN_TRY(run->profile ? cn_cuda_profile(e, stream, run->profile) : run_steps(e, stream));
    return get_outputs(e, run, stream);
}

/* CUDA 12.8 and later tell. */
static cornu_status check_stream(const cn_cuda_executable* e, cudaStream_t stream) {
#if CUDART_VERSION >= 12080
    int device;
    cudaError_t error = cn_calls()->StreamGetDevice(stream, &device);

    if (error == cudaErrorInvalidResourceHandle || error == cudaErrorInvalidValue) {
        (void)cn_calls()->GetLastError();
        return CN_FAIL(BAD_ARGUMENT, "the stream that is given is none of this process's CUDA runtime, or was destroyed");
    }
    CN_TRY(cn_cuda_check(error, "cudaStreamGetDevice", __FILE__, __LINE__));
    if (device != cn_device_index(e->device)) {
        return CN_FAIL(BAD_ARGUMENT, "the stream that is given is one of device cuda:%d; the session runs on cuda:%d", device, cn_device_index(e->device));
    }
#else
    (void)e;
    (void)stream;
#endif
    return CORNU_OK;
}

/* A run that is enqueued waits for nothing on the host. */
static cornu_status make_ready(cn_cuda_executable* e, const cn_run* run, cudaStream_t stream) {
    CN_TRY(refuse_lost(e));
    CN_CUDA(cn_calls()->SetDevice(cn_device_index(e->device)));
    if (run->stream) CN_TRY(check_stream(e, run->stream));
    if (!run->enqueue) CN_TRY(cn_cuda_wait((cn_executable*)e)); /* what the earlier runs found wrong is theirs */
    CN_TRY(cn_device_reserve(e->device, e->space_bytes, e->staging_bytes));
    cn_cuda_bind(e, run->arena);
    return cn_device_follow(e->device, stream);
}

cornu_status cn_cuda_run(cn_executable* executable, const cn_run* run) {
    cn_cuda_executable* e = (cn_cuda_executable*)executable;
    cudaStream_t stream = run->stream ? run->stream : e->frame.queue.stream;
    cudaError_t error;
    cornu_status st;

    CN_TRY(make_ready(e, run, stream));
    st = run_on(e, run, stream);
    if (st == CORNU_OK && run->enqueue) st = cn_device_enqueued(e->device, stream);
    if (st == CORNU_OK && run->enqueue) {
        e->waiting = true;
    } else { /* after a failure too: the caller's memory may be in use */
        error = cn_calls()->StreamSynchronize(stream);
        if (st == CORNU_OK) st = cn_cuda_check(error, "cudaStreamSynchronize", __FILE__, __LINE__);
        if (error == cudaSuccess) cn_device_joined(e->device); /* the stream has followed what was enqueued */
    }
    if (st != CORNU_OK) return st;
    if (e->runs < 2) e->runs++;
    if (run->enqueue) return CORNU_OK;
    hand_over(e, run);
    return check_fault(e);
}
