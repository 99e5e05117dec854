/* The backend "cuda", as the plug-in has it: prepares every step of a plan, launches them in order on the session's stream. */
#include "backend/cuda/cuda.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "backend/cuda/cudnn.h"
#include "backend/cuda/device.h"
#include "backend/cuda/precision.h"
#include "backend/cuda/steps.h"
#include "backend/cuda/tune.h"
#include "backend/plugin.h"
#include "base/alloc.h"

#define BYTES_PER_STEP 2048u /* of a captured graph */

struct cn_device {
    cn_device_options options;
    int index, capability;
    cudaStream_t stream;
    cublasLtHandle_t lt;
    cudaEvent_t done; /* behind what was enqueued last */
    bool pending;     /* nobody has waited for it */
    void *space, *staging;
    uint64_t space_bytes, staging_bytes;
    uint64_t l2_bytes;
    char text[320], title[640];
};

/* ---- device ---- */

cublasLtHandle_t cn_device_lt(const cn_device* device) { return device->lt; }
cudaStream_t cn_device_stream(const cn_device* device) { return device->stream; }
int cn_device_capability(const cn_device* device) { return device->capability; }

const char* cn_device_title(const cn_device* device) { return device->title; }
uint64_t cn_device_l2_bytes(const cn_device* device) { return device->l2_bytes; }

static cornu_status count_devices(int* devices) {
    cudaError_t error;
    int driver = 0;

    *devices = 0;
    CN_TRY(cn_calls_open());
    error = cn_calls()->GetDeviceCount(devices);
    if (error == cudaErrorNoDevice) return CN_FAIL(NO_DEVICE, "there is no CUDA device in this machine");
    if (error == cudaErrorInsufficientDriver) {
        if (cn_calls()->DriverGetVersion(&driver) != cudaSuccess || driver == 0) return CN_FAIL(NO_DEVICE, "there is no NVIDIA driver on this machine");
        return CN_FAIL(NO_DEVICE, "the NVIDIA driver is for CUDA %d.%d, which is too old for this plug-in; install a newer one", driver / 1000, driver % 1000 / 10);
    }
    return cn_cuda_check(error, "cudaGetDeviceCount", __FILE__, __LINE__);
}

/* Whether the kernels run on a device. */
static cornu_status check_capability(int index, struct cudaDeviceProp* properties) {
    CN_CUDA(cn_calls()->GetDeviceProperties(properties, index));
    if (properties->major * 10 + properties->minor >= CN_CUDA_OLDEST_CAPABILITY) return CORNU_OK;
    return CN_FAIL(NO_DEVICE, "device cuda:%d (%s) has compute capability %d.%d; %d.%d or newer is needed", index, properties->name, properties->major,
                   properties->minor, CN_CUDA_OLDEST_CAPABILITY / 10, CN_CUDA_OLDEST_CAPABILITY % 10);
}

static cornu_status find_device(int* devices, int* first) {
    struct cudaDeviceProp properties;
    cornu_status st;

    *first = 0;
    CN_TRY(count_devices(devices));
    do st = check_capability(*first, &properties);
    while (st != CORNU_OK && ++*first < *devices);
    return st;
}

static void close_device(cn_device* device) {
    if (!device) return;
    (void)cn_calls()->SetDevice(device->index);
    if (device->space) (void)cn_calls()->Free(device->space);
    if (device->staging) (void)cn_calls()->FreeHost(device->staging);
    if (device->lt) (void)cn_lt()->Destroy(device->lt);
    if (device->done) (void)cn_calls()->EventDestroy(device->done);
    if (device->stream) (void)cn_calls()->StreamDestroy(device->stream);
    cn_free(device);
}

static cornu_status describe_device(cn_device* device, const struct cudaDeviceProp* p) {
    int driver = 0, runtime = 0;

    CN_CUDA(cn_calls()->DriverGetVersion(&driver));
    CN_CUDA(cn_calls()->RuntimeGetVersion(&runtime));
    device->l2_bytes = p->l2CacheSize > 0 ? (uint64_t)p->l2CacheSize : 0;
    (void)snprintf(device->text, sizeof device->text, "cuda:%d (%s)", device->index, p->name);
    (void)snprintf(device->title, sizeof device->title, "%s, sm_%d%d, %d multiprocessors, L2 %d, memory bus %d; cornu %s, ways %d, runtime %d, cuBLASLt %zu, driver %d", p->name,
                   p->major, p->minor, p->multiProcessorCount, p->l2CacheSize, p->memoryBusWidth, CN_PLUGIN_VERSION, CN_CUDA_WAYS, runtime, cn_lt_version(),
                   driver / 1000);
    return CORNU_OK;
}

static cornu_status open_device(const cn_device_options* options, cn_device** out) {
    cn_device* device = NULL;
    struct cudaDeviceProp properties;
    int devices;
    cornu_status st = CORNU_OK;

    *out = NULL;
    CN_TRY(count_devices(&devices));
    if (options->index >= devices) {
        return CN_FAIL(NO_DEVICE, "device cuda:%d is asked for, but this machine has %d CUDA device%s", options->index, devices, devices == 1 ? "" : "s");
    }
    CN_TRY(check_capability(options->index, &properties));
    device = cn_alloc_zero(1, sizeof *device);
    if (!device) return CN_NO_MEMORY(sizeof *device);
    device->options = *options;
    device->index = options->index;
    device->capability = properties.major * 10 + properties.minor;
    CN_STEP(describe_device(device, &properties));
    cn_cuda_note_sharing(device->index, properties.integrated && properties.unifiedAddressing); /* one address for both sides */
    CN_STEP(CN_CUDA_OK(cn_calls()->SetDevice(device->index)));
    CN_STEP(CN_CUDA_OK(cn_calls()->StreamCreateWithFlags(&device->stream, cudaStreamNonBlocking)));
    CN_STEP(CN_CUDA_OK(cn_calls()->EventCreateWithFlags(&device->done, cudaEventDisableTiming)));
    CN_STEP(CN_LT_OK(cn_lt()->Create(&device->lt)));
    *out = device;
    device = NULL;
done:
    close_device(device);
    return st;
}

static const char* describe(cn_device* device) { return device->text; }
const char* cn_device_text(const cn_device* device) { return device->text; }
int cn_device_index(const cn_device* device) { return device->index; }
const cn_device_options* cn_device_options_of(const cn_device* device) { return &device->options; }

char* cn_device_space(const cn_device* device) { return device->space; }
char* cn_device_staging(const cn_device* device) { return device->staging; }

cornu_status cn_device_follow(cn_device* device, cudaStream_t stream) {
    return device->pending ? CN_CUDA_OK(cn_calls()->StreamWaitEvent(stream, device->done, 0)) : CORNU_OK;
}

cornu_status cn_device_enqueued(cn_device* device, cudaStream_t stream) {
    CN_CUDA(cn_calls()->EventRecord(device->done, stream));
    device->pending = true;
    return CORNU_OK;
}

cornu_status cn_device_join(cn_device* device) {
    if (!device->pending) return CORNU_OK;
    device->pending = false;
    return CN_CUDA_OK(cn_calls()->EventSynchronize(device->done));
}

void cn_device_joined(cn_device* device) { device->pending = false; }

cornu_status cn_device_reserve(cn_device* device, uint64_t space_bytes, uint64_t staging_bytes) {
    if (space_bytes > device->space_bytes) {
        CN_TRY(cn_device_join(device));
        if (device->space) (void)cn_calls()->Free(device->space);
        device->space = NULL;
        device->space_bytes = 0;
        CN_CUDA(cn_calls()->Malloc(&device->space, space_bytes));
        device->space_bytes = space_bytes;
    }
    if (staging_bytes > device->staging_bytes) {
        CN_TRY(cn_device_join(device));
        if (device->staging) (void)cn_calls()->FreeHost(device->staging);
        device->staging = NULL;
        device->staging_bytes = 0;
        CN_CUDA(cn_calls()->MallocHost(&device->staging, staging_bytes));
        device->staging_bytes = staging_bytes;
    }
    return CORNU_OK;
}

static cornu_status alloc_memory(cn_device* device, uint64_t bytes, void** out) {
    *out = NULL;
    CN_CUDA(cn_calls()->SetDevice(device->index));
    return CN_CUDA_OK(cn_calls()->Malloc(out, bytes ? bytes : CN_CUDA_ALIGNMENT));
}

static void peak(cn_device* device, cn_peak* out) { cn_cuda_peak(device->index, out); }

static void free_memory(cn_device* device, void* memory) {
    (void)cn_calls()->SetDevice(device->index);
    (void)cn_device_join(device);
    if (memory) (void)cn_calls()->Free(memory);
}

/* ---- preparation ---- */

cornu_status cn_cuda_weight(cn_cuda_executable* e, const cn_node* node, int k, cn_cuda_form form, int* slot) {
    const cn_place* place = k < node->input_count && node->inputs[k] != CN_NONE ? &e->plan->places[node->inputs[k]] : NULL;

    *slot = -1;
    if (!place || place->kind != CN_PLACE_CONSTANT) return CORNU_OK;
    if (e->wanted_count == e->wanted_capacity) {
        int capacity = e->wanted_capacity ? 2 * e->wanted_capacity : 64;
        cn_cuda_wanted* wanted = cn_realloc(e->wanted, (size_t)capacity * sizeof *wanted);
        if (!wanted) return CN_NO_MEMORY((size_t)capacity * sizeof *wanted);
        e->wanted = wanted;
        e->wanted_capacity = capacity;
    }
    e->wanted[e->wanted_count] = (cn_cuda_wanted){place->index, form, node, k};
    *slot = e->wanted_count++;
    return CORNU_OK;
}

static void destroy(cn_executable* executable) {
    cn_cuda_executable* e = (cn_cuda_executable*)executable;

    if (!e) return;
    (void)cn_calls()->SetDevice(e->device->index);
    (void)cn_cuda_wait(executable);
    for (int i = 0; i < e->step_count; i++) {
        if (e->steps[i].destroy) e->steps[i].destroy(&e->steps[i]);
    }
    cn_cuda_release_graph(e);
    cn_cuda_dnn_close(e);
    if (e->frame.words) (void)cn_calls()->Free(e->frame.words);
    if (e->pinned) (void)cn_calls()->FreeHost(e->pinned);
    cn_free(e->wanted);
    cn_arena_deinit(&e->arena);
    cn_free(e);
}

static cornu_status prepare_steps(cn_cuda_executable* e) {
    const cn_graph* g = e->plan->graph;

    for (int i = 0; i < e->plan->step_count; i++) {
        int node = e->plan->steps[i];
        cn_cuda_step* step = &e->steps[e->step_count];
        cn_cuda_prepare prepare = cn_cuda_prepare_of(g->nodes[node].op);
        char text[256];
        if (e->plan->places[node].kind != CN_PLACE_ARENA || cn_type_count(&g->types[node]) == 0) continue; /* a view, or nothing to make */
        step->node = &g->nodes[node];
        if (prepare) CN_TRY(prepare(e, step));
        if (!step->launch) {
            return CN_FAIL(UNSUPPORTED, "%s%s%s to %s has no CUDA kernel", step->node->label, step->node->label[0] ? ": " : "",
                           cn_op_info_of(step->node->op)->name, cn_type_text(&g->types[node], text));
        }
        e->step_count++;
    }
    return CORNU_OK;
}

/* A constant that a step reads in no other form is wanted dense. */
static cornu_status want_dense(cn_cuda_executable* e, const cn_node* node, int k, int* dense) {
    const cn_place* place = &e->plan->places[node->inputs[k]];

    if (place->kind != CN_PLACE_CONSTANT || dense[place->index] >= 0) return CORNU_OK;
    for (int i = 0; i < e->wanted_count; i++) {
        if (e->wanted[i].node == node && e->wanted[i].input == k) return CORNU_OK;
    }
    return cn_cuda_weight(e, node, k, CN_CUDA_DENSE, &dense[place->index]);
}

/* Brings the weights to the device and writes their addresses into the frame. */
static cornu_status get_weights(cn_cuda_executable* e) {
    const cn_plan* plan = e->plan;
    const cn_residence* residence;
    int* dense = cn_arena_array(&e->arena, (size_t)plan->constant_count + 1, sizeof *dense);
    cn_resident* residents;
    cornu_status st;

    if (!dense) return CN_NO_MEMORY((size_t)plan->constant_count * sizeof *dense);
    for (int i = 0; i < plan->constant_count; i++) dense[i] = -1;
    for (int i = 0; i < e->step_count; i++) {
        for (int k = 0; k < e->steps[i].node->input_count; k++) {
            if (e->steps[i].node->inputs[k] != CN_NONE) CN_TRY(want_dense(e, e->steps[i].node, k, dense));
        }
    }
    residents = cn_arena_array(&e->arena, (size_t)e->wanted_count + 1, sizeof *residents);
    e->frame.weights = cn_arena_array(&e->arena, (size_t)e->wanted_count + 1, sizeof *e->frame.weights);
    if (!residents || !e->frame.weights) return CN_NO_MEMORY((size_t)e->wanted_count * sizeof *residents);
    for (int i = 0; i < e->wanted_count; i++) {
        residents[i].constant = e->wanted[i].constant;
        residents[i].form = (int)e->wanted[i].form;
        residents[i].bytes = cn_type_bytes(&plan->graph->types[plan->constants[e->wanted[i].constant]]);
    }
    CN_TRY(cn_cuda_residence(e->device->index, &residence));
    st = e->host_weights->resident(e->host_weights, residence, residents, e->wanted_count);
    if (st != CORNU_OK) return cn_fail(st, __FILE__, __LINE__, "%s", e->host_weights->last_error ? e->host_weights->last_error() : "weights cannot be placed");
    for (int i = 0; i < e->wanted_count; i++) e->frame.weights[i] = residents[i].address;
    for (int i = 0; i < plan->constant_count; i++) {
        if (dense[i] >= 0) e->frame.values[plan->constants[i]] = residents[dense[i]].address;
    }
    return CORNU_OK;
}

/* A value that is copied out of the device's memory: not a constant, which the host has. */
static bool leaves_device(const cn_plan* plan, int output) { return plan->places[plan->graph->outputs[output]].kind != CN_PLACE_CONSTANT; }

/* Where inputs, scratch and outputs lie in the memory that the session's executables share, and the run's words, which are this one's:
 *
 *     space      [ inputs | scratch ]        staging  [ inputs | outputs ]                                                    */
static cornu_status get_memory(cn_cuda_executable* e) {
    const cn_graph* g = e->plan->graph;

    e->inputs = cn_arena_array(&e->arena, (size_t)g->input_count + 1, sizeof *e->inputs);
    e->outputs = cn_arena_array(&e->arena, (size_t)g->output_count + 1, sizeof *e->outputs);
    if (!e->inputs || !e->outputs) return CN_NO_MEMORY((size_t)(g->input_count + g->output_count) * sizeof *e->inputs);
    for (int i = 0; i < g->count; i++) {
        if (g->nodes[i].op == CN_OP_input) e->inputs[g->nodes[i].attr.port.index].bytes = cn_type_bytes(&g->types[i]);
    }
    for (int i = 0; i < g->input_count; i++) {
        e->inputs[i].space = e->space_bytes;
        e->inputs[i].staging = e->staging_bytes;
        e->space_bytes += cn_cuda_aligned(e->inputs[i].bytes);
        e->staging_bytes += cn_cuda_aligned(e->inputs[i].bytes);
    }
    for (int i = 0; i < g->output_count; i++) {
        e->outputs[i].bytes = leaves_device(e->plan, i) ? cn_type_bytes(&g->types[g->outputs[i]]) : 0;
        e->outputs[i].staging = e->staging_bytes;
        e->staging_bytes += cn_cuda_aligned(e->outputs[i].bytes);
    }
    e->scratch_at = e->space_bytes;
    e->space_bytes += cn_cuda_aligned(e->scratch_bytes);
    CN_CUDA(cn_calls()->Malloc((void**)&e->frame.words, cn_cuda_aligned(sizeof(cn_run_words))));
    CN_CUDA(cn_calls()->MallocHost((void**)&e->pinned, sizeof *e->pinned));
    return cn_device_reserve(e->device, e->space_bytes, e->staging_bytes);
}

static cornu_status prepare(cn_device* device, const cn_plan* plan, cn_weights* weights, cn_executable** out) {
    cn_cuda_executable* e = cn_alloc_zero(1, sizeof *e);
    cornu_status st = CORNU_OK;

    *out = NULL;
    if (!e) return CN_NO_MEMORY(sizeof *e);
    e->plan = plan;
    e->host_weights = weights;
    e->device = device;
    e->precision = device->options.precision;
    e->steps = cn_arena_array(&e->arena, (size_t)plan->step_count + 1, sizeof *e->steps);
    e->frame.values = cn_arena_array(&e->arena, (size_t)plan->graph->count + 1, sizeof *e->frame.values);
    if (!e->steps || !e->frame.values) {
        st = CN_NO_MEMORY((size_t)plan->step_count * sizeof *e->steps);
        goto done;
    }
    e->frame.queue = (cn_queue){device->stream, cn_calls()->LaunchKernel, cn_calls()->LaunchCooperativeKernel};
    e->frame.executable = e;
    CN_STEP(CN_CUDA_OK(cn_calls()->SetDevice(device->index)));
    CN_STEP(cn_cuda_find_heads(e));
    CN_STEP(prepare_steps(e));
    CN_STEP(get_weights(e));
    CN_STEP(get_memory(e));
    CN_STEP(cn_cuda_tune(e, &device->options));
    *out = (cn_executable*)e;
    e = NULL;
done:
    destroy((cn_executable*)e);
    return st;
}

static cn_tuning tuning_of(const cn_executable* executable) { return ((const cn_cuda_executable*)executable)->tuning; }

/* ---- memory of the device that callers give ---- */

static cornu_status check_place(cn_device* device, const void* address) {
    struct cudaPointerAttributes attributes;
    cudaError_t error;

    CN_CUDA(cn_calls()->SetDevice(device->index));
    error = cn_calls()->PointerGetAttributes(&attributes, address);
    if (error == cudaErrorInvalidValue) return CN_FAIL(BAD_ARGUMENT, "address %p is no memory that CUDA knows", address);
    CN_TRY(cn_cuda_check(error, "cudaPointerGetAttributes", __FILE__, __LINE__));
    if (attributes.type != cudaMemoryTypeDevice && attributes.type != cudaMemoryTypeManaged) {
        return CN_FAIL(BAD_ARGUMENT, "address %p is not memory of a CUDA device, or was freed", address);
    }
    if (attributes.device != device->index && attributes.type == cudaMemoryTypeDevice) {
        return CN_FAIL(BAD_ARGUMENT, "address %p is memory of device cuda:%d; the session runs on cuda:%d", address, attributes.device, device->index);
    }
    return CORNU_OK;
}

/* The first byte and the last: memory that is too small or was freed is seen as far as CUDA knows of it. */
static cornu_status check_address(cn_device* device, const void* address, uint64_t bytes) {
    CN_TRY(check_place(device, address));
    return bytes > 1 ? check_place(device, (const char*)address + (bytes - 1)) : CORNU_OK;
}

/* What the driver keeps of a captured step is not told; this is what it is about. */
static uint64_t held_bytes(const cn_executable* executable) {
    const cn_cuda_executable* e = (const cn_cuda_executable*)executable;
    return e->arena.total + (uint64_t)e->step_count * BYTES_PER_STEP + e->dnn_bytes + sizeof *e;
}

/* ---- the plug-in's table ---- */

static const cn_backend backend = {
    .name = "cuda",
    .alignment = CN_CUDA_ALIGNMENT,
    .runs_passes = true,
    .open = open_device,
    .close = close_device,
    .describe = describe,
    .alloc = alloc_memory,
    .free = free_memory,
    .prepare = prepare,
    .destroy = destroy,
    .run = cn_cuda_run,
    .is_host = false,
    .has_precisions = true,
    .check_address = check_address,
    .wait = cn_cuda_wait,
    .held_bytes = held_bytes,
    .tuning = tuning_of,
    .peak = peak,
    .take_memory = cn_cuda_take_memory,
    .give_back_memory = cn_cuda_give_back_memory,
    .copy_memory = cn_cuda_copy_memory,
};

static cn_plugin table;
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static void fill_table(void) {
    table = (cn_plugin){CN_PLUGIN_MAGIC, CN_PLUGIN_ABI, CN_PLUGIN_VERSION, cn_plugin_layout(), cn_calls_kind(), &backend, cornu_last_error, find_device, cn_calls_inject};
}

__attribute__((visibility("default"))) const cn_plugin* cornu_plugin_table(void);

const cn_plugin* cornu_plugin_table(void) {
    (void)pthread_once(&table_once, fill_table);
    return &table;
}
