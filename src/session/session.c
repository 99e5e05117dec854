/* Sessions. A run takes the model's lock shared; when variables have changed, the first run after takes it alone and makes
 * the store's entries anew, so that no run sees half of a change. */
#include "session/session.h"
#include "keras/upgrade.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/dtype.h"
#include "base/size.h"

/* ---- types of inputs ---- */

/* Refuses what can be seen without lowering: a wrong count or rank, a fixed dimension that differs, strings for numbers. */
static cornu_status check_input(const cn_port* port, const cornu_tensor* t, cn_type* out) {
    char text[256];
    cn_type type = {.dtype = t->dtype, .ndim = t->ndim};
    int64_t count;

    if (t->ndim < 0 || t->ndim > CORNU_MAX_DIMS) return CN_FAIL(BAD_ARGUMENT, "input '%s' has rank %d; 0 to %d are allowed", port->name, t->ndim, CORNU_MAX_DIMS);
    memcpy(type.dims, t->dims, (size_t)t->ndim * sizeof t->dims[0]);
    if (!cn_dims_count(type.dims, type.ndim, &count)) return CN_FAIL(BAD_ARGUMENT, "input '%s' has a negative or too large dimension", port->name);
    if (cornu_dtype_size(t->dtype) == 0) return CN_FAIL(BAD_ARGUMENT, "input '%s' has dtype number %d, which is none", port->name, (int)t->dtype);
    if ((t->dtype == CORNU_STRING) != (port->dtype == CORNU_STRING) || cn_dtype_kind_of(t->dtype) == CN_KIND_C) {
        return CN_FAIL(BAD_ARGUMENT, "input '%s' is %s; the model takes %s", port->name, cornu_dtype_name(t->dtype), cornu_dtype_name(port->dtype));
    }
    for (int i = 1; i < port->ndim && type.ndim == port->ndim; i++) {
        if (port->dims[i] < 0 || port->dims[i] == type.dims[i]) continue;
        return CN_FAIL(BAD_ARGUMENT, "input '%s' has shape %s; the model takes %lld in dimension %d", port->name, strchr(cn_type_text(&type, text), '['), (long long)port->dims[i], i);
    }
    type.dtype = port->dtype;
    *out = type;
    return CORNU_OK;
}

cornu_status cn_session_types(cornu_session* s, const cornu_tensor* in, int n_in, cn_type* types) {
    if (n_in != s->input_count) return CN_FAIL(BAD_ARGUMENT, "the model takes %d inputs; %d are given", s->input_count, n_in);
    for (int i = 0; i < n_in; i++) {
        memset(&types[i], 0, sizeof types[i]);
        if (in[i].dtype == 0 && s->inputs[i].optional) continue;
        CN_TRY(check_input(&s->inputs[i], &in[i], &types[i]));
    }
    return CORNU_OK;
}

/* ---- creation ---- */

/* A first lowering with made-up sizes for unknown dimensions, to find everything that cannot run before the first run and to learn
 * the outputs. The inner ones are tried in several sizes, since a kernel may need more room than a first guess gives. */
static cornu_status probe(cornu_session* s, int64_t batch, int64_t inner, cn_program* program) {
    for (int i = 0; i < s->input_count; i++) {
        cn_type* type = &s->types[i];
        memset(type, 0, sizeof *type);
        type->dtype = s->inputs[i].dtype;
        type->ndim = s->inputs[i].ndim < 0 ? 0 : s->inputs[i].ndim;
        for (int k = 0; k < type->ndim; k++) {
            int64_t dim = s->inputs[i].dims[k];
            type->dims[k] = dim >= 0 ? dim : k == 0 ? batch : inner;
        }
    }
    return cn_lower_model(s->doc, &s->lowering, s->types, s->input_count, program);
}

static bool inner_unknown(const cornu_session* s, bool* rank_unknown) {
    bool unknown = false;

    *rank_unknown = false;
    for (int i = 0; i < s->input_count; i++) {
        if (s->inputs[i].ndim < 0) *rank_unknown = true;
        for (int k = 1; k < s->inputs[i].ndim; k++) unknown = unknown || s->inputs[i].dims[k] < 0;
    }
    return unknown;
}

/* The outputs' ports from two lowerings: a dimension that differs between them is not fixed. */
static cornu_status set_outputs(cornu_session* s, const cn_program* a, const cn_program* b) {
    s->output_count = a->output_count;
    s->outputs = cn_arena_array(&s->arena, (size_t)s->output_count + 1, sizeof *s->outputs);
    if (!s->outputs) return CN_NO_MEMORY((size_t)s->output_count * sizeof *s->outputs);
    for (int i = 0; i < s->output_count; i++) {
        const cn_type* ta = &a->graph.types[a->graph.outputs[i]];
        const cn_type* tb = &b->graph.types[b->graph.outputs[i]];
        cn_port* port = &s->outputs[i];
        port->name = cn_arena_strdup(&s->arena, a->output_names[i]);
        if (!port->name) return CN_NO_MEMORY(strlen(a->output_names[i]));
        port->dtype = ta->dtype;
        port->ndim = ta->ndim == tb->ndim ? ta->ndim : -1;
        for (int k = 0; k < port->ndim; k++) port->dims[k] = ta->dims[k] == tb->dims[k] ? ta->dims[k] : -1;
    }
    return CORNU_OK;
}

static cornu_status learn_outputs(cornu_session* s) {
    static const int64_t sizes[] = {64, 224, 32, 7};
    cn_program a = {0}, b = {0};
    cornu_status st = CORNU_OK;
    bool rank_unknown, inner = inner_unknown(s, &rank_unknown);

    s->output_count = -1; /* not known before the first shapes are given */
    if (rank_unknown) return CORNU_OK;
    for (int i = 0; i < (inner ? 4 : 1); i++) {
        st = probe(s, 2, sizes[i], &a);
        if (st == CORNU_OK || st == CORNU_UNSUPPORTED || st == CORNU_BAD_FILE) break;
    }
    if (st == CORNU_BAD_ARGUMENT && inner) return CORNU_OK; /* made-up sizes prove nothing */
    if (st == CORNU_BAD_ARGUMENT) st = CORNU_BAD_FILE;      /* the file's own shapes do not fit each other */
    if (st != CORNU_OK) return st;
    st = probe(s, 3, 71, &b);
    if (st == CORNU_OK && a.output_count == b.output_count) st = set_outputs(s, &a, &b);
    else st = set_outputs(s, &a, &a);
    if (st == CORNU_OK) st = cn_session_learn_states(s, &a);
    cn_program_deinit(&a);
    cn_program_deinit(&b);
    return st;
}

static cornu_status make_store(cornu_model* model) {
    cornu_status st = CORNU_OK;

    (void)pthread_rwlock_wrlock(&model->lock);
    if (!model->store) st = cn_store_create(model->document, &model->store);
    (void)pthread_rwlock_unlock(&model->lock);
    return st;
}

/* Memory of the machine: more than that for activations can only end in the process being killed. 0 where it cannot be told. */
static uint64_t physical_bytes(void) {
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    return pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : 0;
}

static cornu_status copy_options(cornu_session* s, const cornu_session_options* options) {
    const char** names;

    s->lowering.training = options->training != 0;
    s->seed = options->seed;
    s->max_bytes = options->max_bytes ? options->max_bytes : physical_bytes();
    s->precision = options->precision;
    if (options->plan_cache) {
        s->plan_cache = cn_arena_strdup(&s->arena, options->plan_cache);
        if (!s->plan_cache) return CN_NO_MEMORY(strlen(options->plan_cache));
    }
    s->lowering.max_elements = s->max_bytes; /* an element has at least one byte */
    s->lowering.n_outputs = options->outputs ? options->n_outputs : 0;
    names = cn_arena_array(&s->arena, (size_t)s->lowering.n_outputs + 1, sizeof *names);
    if (!names) return CN_NO_MEMORY((size_t)s->lowering.n_outputs * sizeof *names);
    for (int i = 0; i < s->lowering.n_outputs; i++) {
        names[i] = options->outputs[i] ? cn_arena_strdup(&s->arena, options->outputs[i]) : NULL;
        if (!names[i]) return CN_FAIL(BAD_ARGUMENT, "outputs[%d] is NULL", i);
    }
    s->lowering.outputs = names;
    return CORNU_OK;
}

static cornu_status check_names(const cornu_session* s) {
    for (int i = 0; i < s->lowering.n_outputs; i++) {
        if (cn_layer_find(s->lowering.root, s->lowering.outputs[i])) continue;
        return CN_FAIL(BAD_ARGUMENT, "output '%s' is asked for, but the model has no layer of that name", s->lowering.outputs[i]);
    }
    return CORNU_OK;
}

static cornu_status refuse_unknown(const cn_document* doc) {
    cn_buf text = {0};
    cornu_status st;

    cn_lower_unknown(doc, &text);
    if (*cn_document_upgrade_notes(doc)) cn_buf_format(&text, "%s%s", text.size ? "; " : "", cn_document_upgrade_notes(doc));
    st = cn_buf_check(&text);
    if (st == CORNU_OK && text.size > 0) {
        st = CN_FAIL(UNSUPPORTED, "%s: cannot run here: not known here: %s", cn_document_name(doc), text.data);
    }
    cn_buf_deinit(&text);
    return st;
}

cornu_status cn_session_create(cornu_model* model, const cornu_session_options* options, cornu_session** out) {
    static const cornu_session_options defaults = CORNU_SESSION_OPTIONS_INIT;
    cornu_session* s = cn_alloc_zero(1, sizeof *s);
    cn_device_options device = {0};
    cornu_status st = CORNU_OK;

    *out = NULL;
    if (!s) return CN_NO_MEMORY(sizeof *s);
    if (!options) options = &defaults;
    s->model = model;
    cn_model_reference(model);
    (void)pthread_rwlock_rdlock(&model->lock);
    CN_STEP(copy_options(s, options));
    CN_STEP(cn_backend_find(options->device, &s->backend, &device.index));
    s->device_index = device.index;
    device.precision = options->precision;
    device.threads = options->threads;
    device.tune = options->tune;
    device.tune_seconds = options->tune_seconds;
    device.deterministic = options->deterministic != 0;
    device.plan_cache = s->plan_cache;
    CN_STEP(cn_document_upgraded(model->document, &s->doc));
    s->lowering.root = cn_document_root(s->doc);
    CN_STEP(cn_lower_ports(s->doc, NULL, &s->arena, &s->inputs, &s->input_count));
    CN_STEP(refuse_unknown(s->doc));
    CN_STEP(check_names(s));
    s->types = cn_arena_array(&s->arena, (size_t)s->input_count + 1, sizeof *s->types);
    s->pointers = cn_arena_array(&s->arena, (size_t)s->input_count + 1, sizeof *s->pointers);
    s->converted = cn_arena_array(&s->arena, (size_t)s->input_count + 1, sizeof *s->converted);
    s->inputs_on_device = cn_arena_array(&s->arena, (size_t)s->input_count + 1, sizeof *s->inputs_on_device);
    s->converted_bytes = cn_arena_array(&s->arena, (size_t)s->input_count + 1, sizeof *s->converted_bytes);
    if (!s->types || !s->pointers || !s->inputs_on_device || !s->converted || !s->converted_bytes) {
        st = CN_NO_MEMORY((size_t)s->input_count * sizeof *s->types);
        goto done;
    }
    CN_STEP(learn_outputs(s));
    CN_STEP(s->backend->open(&device, &s->device));
done:
    (void)pthread_rwlock_unlock(&model->lock);
    if (st == CORNU_OK) st = make_store(model);
    if (st == CORNU_OK) *out = s;
    else cn_session_destroy(s);
    return st;
}

void cn_session_destroy(cornu_session* s) {
    if (!s) return;
    while (s->shapes) {
        cn_compiled* next = s->shapes->next;
        cn_compiled_destroy(s->shapes);
        s->shapes = next;
    }
    if (s->device) {
        if (s->memory) s->backend->free(s->device, s->memory);
        s->backend->close(s->device);
    }
    for (int i = 0; s->converted && i < s->input_count; i++) cn_free_aligned(s->converted[i]);
    cn_free(s->results);
    cn_free(s->results_on_device);
    cn_session_reset_states(s);
    cn_arena_deinit(&s->arena);
    cn_model_release(s->model);
    cn_free(s);
}

/* ---- compiled shapes ---- */

static bool same_types(const cn_compiled* c, const cn_type* types) {
    for (int i = 0; i < c->input_count; i++) {
        if (!cn_type_equal(&c->inputs[i], &types[i])) return false;
    }
    return true;
}

static uint64_t held_bytes(const cn_compiled* c) {
    uint64_t bytes = c->program.graph.arena.total + c->part.arena.total;
    return bytes + (c->backend->held_bytes && c->executable ? c->backend->held_bytes(c->executable) : 0);
}

/* Its enqueued runs come to their end; what they found wrong is kept for cn_session_wait. */
static void evict(cornu_session* s, cn_compiled* old) {
    cornu_status st = s->backend->wait && old->executable ? s->backend->wait(old->executable) : CORNU_OK;

    if (st != CORNU_OK && s->evicted == CORNU_OK) {
        s->evicted = st;
        (void)snprintf(s->evicted_text, sizeof s->evicted_text, "%s", cornu_last_error());
    }
    cn_compiled_destroy(old);
}

/* Keeps the newest in any case. */
static void drop_oldest(cornu_session* s) {
    cn_compiled** at = &s->shapes;
    uint64_t bytes = 0;
    int n = 0;

    for (; *at; at = &(*at)->next) {
        bytes += held_bytes(*at);
        if (n > 0 && (n >= CN_SESSION_SHAPES || bytes > CN_SESSION_SHAPE_BYTES)) break;
        n++;
    }
    while (*at) {
        cn_compiled* old = *at;
        *at = old->next;
        evict(s, old);
    }
}

cornu_status cn_session_compile(cornu_session* s, const cn_type* inputs, cn_compiled** out) {
    cn_compiled** at = &s->shapes;
    cn_compiled* c;

    while (*at && !same_types(*at, inputs)) at = &(*at)->next;
    c = *at;
    if (c) {
        *at = c->next;
    } else {
        const cn_compile_options options = cn_session_compile_options(s);
        CN_TRY(cn_compile(s->doc, s->model->store, &options, inputs, s->input_count, &c));
    }
    c->next = s->shapes;
    s->shapes = c;
    drop_oldest(s);
    *out = c;
    return CORNU_OK;
}

/* ---- runs ---- */

static cornu_status reserve_memory(cornu_session* s, uint64_t bytes) {
    if (s->max_bytes && bytes > s->max_bytes) {
        return CN_FAIL(NO_MEMORY, "the run needs %llu bytes for activations; the limit is %llu", (unsigned long long)bytes, (unsigned long long)s->max_bytes);
    }
    s->last_bytes = bytes;
    if (bytes <= s->memory_bytes) return CORNU_OK;
    if (s->memory) s->backend->free(s->device, s->memory);
    s->memory = NULL;
    s->memory_bytes = 0;
    CN_TRY(s->backend->alloc(s->device, bytes, &s->memory));
    s->memory_bytes = bytes;
    return CORNU_OK;
}

/* Memory that the caller says lies on a device must be the session's device's. */
static cornu_status check_device(const cornu_session* s, const char* what, const char* name, const cornu_tensor* t, cornu_dtype dtype) {
    cornu_status st;

    if (!s->backend->check_address) {
        return CN_FAIL(BAD_ARGUMENT, "%s '%s' is memory of device %d; the session runs on %s, which takes memory of the host", what, name, (int)t->device,
                       s->backend->describe(s->device));
    }
    if (t->device != s->device_index) {
        return CN_FAIL(BAD_ARGUMENT, "%s '%s' is on device %d; the session runs on %s", what, name, (int)t->device, s->backend->describe(s->device));
    }
    if (t->dtype != dtype) {
        return CN_FAIL(BAD_ARGUMENT, "%s '%s' on the device is %s; there it must be %s", what, name, cornu_dtype_name(t->dtype), cornu_dtype_name(dtype));
    }
    st = s->backend->check_address(s->device, t->data, (uint64_t)cornu_tensor_count(t) * cornu_dtype_size(t->dtype));
    return st == CORNU_OK ? st : cn_fail_within(st, "%s '%s'", what, name);
}

/* The caller's elements in the port's dtype: its own memory, or a converted copy that the session keeps. */
static cornu_status convert_input(cornu_session* s, int i, const cornu_tensor* t) {
    uint64_t bytes = cn_type_bytes(&s->types[i]);

    s->pointers[i] = t->data;
    s->inputs_on_device[i] = t->device != CORNU_HOST;
    if (s->inputs_on_device[i]) return check_device(s, "input", s->inputs[i].name, t, s->types[i].dtype);
    if (s->types[i].dtype == 0 || t->dtype == s->types[i].dtype) return CORNU_OK;
    if (bytes > s->converted_bytes[i]) {
        cn_free_aligned(s->converted[i]);
        s->converted_bytes[i] = 0;
        s->converted[i] = cn_alloc_aligned(bytes);
        if (!s->converted[i]) return CN_NO_MEMORY(bytes);
        s->converted_bytes[i] = bytes;
    }
    s->pointers[i] = s->converted[i];
    return cn_dtype_convert(s->types[i].dtype, s->converted[i], t->dtype, t->data, cn_type_count(&s->types[i]));
}

/* Checks the caller's output tensors, or makes their memory. `made` marks those that a failure must take back. */
static cornu_status prepare_outputs(cornu_session* s, const cn_graph* g, cornu_tensor* out, int n_out, uint64_t* made) {
    char have[256], want[256];

    for (int i = 0; i < n_out; i++) {
        const cn_type* type = &g->types[g->outputs[i]];
        cornu_tensor shaped = cornu_tensor_shaped(type->dtype, out[i].data, type->ndim, type->dims);
        if (out[i].data) {
            cn_type given = {.dtype = out[i].dtype, .ndim = out[i].ndim};
            if (out[i].ndim >= 0 && out[i].ndim <= CORNU_MAX_DIMS) memcpy(given.dims, out[i].dims, sizeof given.dims);
            if (given.ndim < 0 || given.ndim > CORNU_MAX_DIMS || !cn_type_equal(&given, type)) {
                return CN_FAIL(BAD_ARGUMENT, "out[%d] is %s; the output is %s", i, given.ndim < 0 || given.ndim > CORNU_MAX_DIMS ? "no tensor" : cn_type_text(&given, have), cn_type_text(type, want));
            }
            if (out[i].device != CORNU_HOST) CN_TRY(check_device(s, "output", i < s->output_count ? s->outputs[i].name : "?", &out[i], type->dtype));
        } else {
            shaped.owner = shaped.data = cn_alloc_aligned(cn_type_bytes(type));
            if (!shaped.data) return CN_NO_MEMORY(cn_type_bytes(type));
            *made |= (uint64_t)1 << (i & 63);
            out[i] = shaped;
        }
        s->results[i] = out[i].data;
        s->results_on_device[i] = out[i].device != CORNU_HOST;
    }
    return CORNU_OK;
}

static cornu_status make_results(cornu_session* s, int count) {
    if (!s->results) s->results = cn_alloc_zero((size_t)count + 1, sizeof *s->results);
    if (!s->results_on_device) s->results_on_device = cn_alloc_zero((size_t)count + 1, sizeof *s->results_on_device);
    return s->results && s->results_on_device ? CORNU_OK : CN_NO_MEMORY((size_t)count * sizeof *s->results);
}

/* Whether nothing of a run touches memory of the host. */
static bool only_device(const cornu_session* s, int n_in, int n_out) {
    if (s->state_count > 0) return false;
    for (int i = 0; i < n_in; i++) {
        if (!s->inputs_on_device[i] && s->pointers[i]) return false;
    }
    for (int i = 0; i < n_out; i++) {
        if (!s->results_on_device[i]) return false;
    }
    return true;
}

/* The run itself, under the model's lock, held shared. */
static cornu_status run_locked(cornu_session* s, const cornu_tensor* in, int n_in, cornu_tensor* out, int n_out, void* stream) {
    cn_run run = {.stream = stream, .seed = s->seed, .counter = s->runs, .profile = s->profile};
    uint64_t made = 0;
    cn_compiled* c;
    cornu_status st = CORNU_OK;
    bool fresh = false;

    CN_TRY(cn_session_types(s, in, n_in, s->types));
    for (int i = 0; i < n_in; i++) {
        if (!in[i].data && s->types[i].dtype != 0 && cn_type_count(&s->types[i]) > 0) return CN_FAIL(BAD_ARGUMENT, "input '%s' has no data", s->inputs[i].name);
    }
    CN_TRY(cn_session_compile(s, s->types, &c));
    if (n_out != c->program.output_count) return CN_FAIL(BAD_ARGUMENT, "the model has %d outputs; %d are given", c->program.output_count, n_out);
    CN_TRY(reserve_memory(s, c->plan->arena_bytes * (uint64_t)c->plan->lanes));
    CN_TRY(make_results(s, c->program.graph.output_count));
    for (int i = 0; i < n_in; i++) CN_TRY(convert_input(s, i, &in[i]));
    CN_TRY(cn_session_learn_states(s, &c->program));
    CN_TRY(cn_session_bind_states(s, &c->program, s->pointers, s->results));
    fresh = true;
    CN_STEP(prepare_outputs(s, &c->program.graph, out, n_out, &made));
    run.inputs = s->pointers;
    run.outputs = s->results;
    run.arena = s->memory;
    run.inputs_on_device = s->inputs_on_device;
    run.outputs_on_device = s->results_on_device;
    run.enqueue = stream && only_device(s, n_in, n_out);
    CN_STEP(s->backend->run(c->executable, &run));
    s->runs++;
    cn_session_advance_states(s);
done:
    for (int i = 0; st != CORNU_OK && fresh && i < n_out; i++) {
        if (i < 64 ? made >> i & 1 : out[i].owner != NULL) cornu_tensor_release(&out[i]);
    }
    return st;
}

/* Takes the model's lock, shared, with a store that holds the variables' present values, unless that fails. */
static cornu_status lock_fresh(cornu_session* s) {
    cornu_status st = CORNU_OK;

    (void)pthread_rwlock_rdlock(&s->model->lock);
    while (st == CORNU_OK && cn_store_stale(s->model->store)) {
        (void)pthread_rwlock_unlock(&s->model->lock);
        (void)pthread_rwlock_wrlock(&s->model->lock);
        st = cn_store_refresh(s->model->store);
        (void)pthread_rwlock_unlock(&s->model->lock);
        (void)pthread_rwlock_rdlock(&s->model->lock);
    }
    return st;
}

cornu_status cn_session_prepare(cornu_session* s, const cornu_tensor* in, int n_in) {
    cn_compiled* c;
    cornu_status st = lock_fresh(s);

    if (st == CORNU_OK) st = cn_session_types(s, in, n_in, s->types);
    if (st == CORNU_OK) st = cn_session_compile(s, s->types, &c);
    (void)pthread_rwlock_unlock(&s->model->lock);
    return st;
}

cn_tuning cn_session_tuning(const cornu_session* s) {
    return s->shapes && s->backend->tuning ? s->backend->tuning(s->shapes->executable) : (cn_tuning){NULL, 0, NULL};
}

cornu_status cn_session_run(cornu_session* s, const cornu_tensor* in, int n_in, cornu_tensor* out, int n_out, void* stream) {
    cornu_status st;

    if (stream && !s->backend->wait) return CN_FAIL(BAD_ARGUMENT, "a stream is given, but the session runs on %s", s->backend->describe(s->device));
    st = lock_fresh(s);
    if (st == CORNU_OK) st = run_locked(s, in, n_in, out, n_out, stream);
    (void)pthread_rwlock_unlock(&s->model->lock);
    return st;
}

cornu_status cn_session_wait(cornu_session* s) {
    cornu_status st = CORNU_OK;

    if (s->evicted != CORNU_OK) st = cn_fail(s->evicted, __FILE__, __LINE__, "%s", s->evicted_text);
    s->evicted = CORNU_OK;
    for (cn_compiled* c = s->shapes; c && s->backend->wait; c = c->next) {
        char text[sizeof s->evicted_text];
        cornu_status one;
        if (st == CORNU_OK) {
            st = s->backend->wait(c->executable);
            continue;
        }
        (void)snprintf(text, sizeof text, "%s", cornu_last_error());
        one = s->backend->wait(c->executable);
        if (one != CORNU_OK) (void)cn_fail(st, __FILE__, __LINE__, "%s", text); /* the first one's sentence stays */
    }
    return st;
}
