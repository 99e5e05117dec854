/* One run. The first with an arena launches every step by itself, which loads all kernels; the second captures the steps as a graph, and from
 * then on a run is one launch. What differs from run to run stays outside of the graph or is read from fixed places:
 *
 *     caller's memory -> pinned -> [ words, inputs ] -> steps -> outputs -> pinned -> caller's memory        host tensors
 *     caller's memory ------------> [ inputs ] ------> steps -> outputs ------------> caller's memory        device tensors
 *                                            captured: '-----'
 *
 * A graph holds the arena's address: with another arena it is made anew. */
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

    if (e->bound == arena && arena) return;
    cn_cuda_release_graph(e);
    for (int i = 0; i < plan->graph->count; i++) {
        const cn_place* place = &plan->places[i];
        if (place->kind == CN_PLACE_ARENA) e->frame.values[i] = (char*)arena + place->offset;
        else if (place->kind == CN_PLACE_INPUT) e->frame.values[i] = e->inputs[place->index].device;
    }
    e->bound = arena;
}

static bool on_device(const bool* which, int i) { return which && which[i]; }

static cornu_status send_inputs(cn_cuda_executable* e, const cn_run* run, cudaStream_t stream) {
    cn_queue queue = {stream, e->frame.queue.launch};
    cn_begin_args begin = {e->frame.words, run->seed, run->counter, e->waiting};

    CN_CUDA(cn_k_begin(&queue, &begin));
    for (int i = 0; i < e->plan->graph->input_count; i++) {
        const cn_cuda_port* port = &e->inputs[i];
        bool device = on_device(run->inputs_on_device, i);
        if (port->bytes == 0) continue;
        if (!device) memcpy(port->pinned, run->inputs[i], port->bytes);
        CN_CUDA(cn_calls()->MemcpyAsync(port->device, device ? run->inputs[i] : port->pinned, port->bytes,
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
            CN_CUDA(cn_calls()->MemcpyAsync(device ? run->outputs[i] : e->outputs[i].pinned, e->frame.values[g->outputs[i]], bytes,
                                            device ? cudaMemcpyDeviceToDevice : cudaMemcpyDeviceToHost, stream));
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
        memcpy(run->outputs[i], place->kind == CN_PLACE_CONSTANT ? e->host_weights->data(e->host_weights, place->index) : e->outputs[i].pinned, bytes);
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
    CN_CUDA(cn_calls()->StreamSynchronize(e->enqueued));
    return check_fault(e);
}

static cornu_status run_on(cn_cuda_executable* e, const cn_run* run, cudaStream_t stream) {
    CN_TRY(send_inputs(e, run, stream));
    CN_TRY(run->profile ? cn_cuda_profile(e, stream, run->profile) : run_steps(e, stream));
    return get_outputs(e, run, stream);
}

cornu_status cn_cuda_run(cn_executable* executable, const cn_run* run) {
    cn_cuda_executable* e = (cn_cuda_executable*)executable;
    cudaStream_t stream = run->stream ? run->stream : e->frame.queue.stream;
    cudaError_t error;
    cornu_status st;

    CN_TRY(refuse_lost(e));
    CN_CUDA(cn_calls()->SetDevice(cn_device_index(e->device)));
    if (e->waiting && (e->enqueued != stream || !run->enqueue)) CN_TRY(cn_cuda_wait(executable)); /* the pinned memory is in use */
    cn_cuda_bind(e, run->arena);
    st = run_on(e, run, stream);
    if (st == CORNU_OK && run->enqueue) {
        e->waiting = true;
        e->enqueued = stream;
    } else { /* after a failure too: the caller's memory may be in use */
        error = cn_calls()->StreamSynchronize(stream);
        if (st == CORNU_OK) st = cn_cuda_check(error, "cudaStreamSynchronize", __FILE__, __LINE__);
    }
    if (st != CORNU_OK) return st;
    if (e->runs < 2) e->runs++;
    if (run->enqueue) return CORNU_OK;
    hand_over(e, run);
    return check_fault(e);
}
