/* The session half of the API: argument checks and handles, nothing else. */
#include "session/session.h"

#include <string.h>

cornu_status cornu_session_create(cornu_model* model, const cornu_session_options* options, cornu_session** out) {
    if (!out) return CN_FAIL(BAD_ARGUMENT, "cornu_session_create: out is NULL");
    *out = NULL;
    if (!model) return CN_FAIL(BAD_ARGUMENT, "cornu_session_create: model is NULL");
    if (options && options->size < sizeof(cornu_session_options)) {
        return CN_FAIL(BAD_ARGUMENT, "cornu_session_create: options->size is %zu; initialise options with CORNU_SESSION_OPTIONS_INIT", options->size);
    }
    if (options && ((unsigned)options->precision > CORNU_PRECISION_FP16 || options->threads < 0 || options->n_outputs < 0 ||
                    (unsigned)options->tune > CORNU_TUNE_FULL || !(options->tune_seconds >= 0.0))) {
        return CN_FAIL(BAD_ARGUMENT, "cornu_session_create: precision, threads, n_outputs, tune or tune_seconds is out of range");
    }
    return cn_session_create(model, options, out);
}

void cornu_session_destroy(cornu_session* session) { cn_session_destroy(session); }

int cornu_session_input_count(cornu_session* session) { return session ? session->input_count : 0; }

int cornu_session_output_count(cornu_session* session) { return session ? session->output_count : 0; }

static cornu_status fill_port(const cn_port* from, int count, int index, cornu_port* port, const char* what) {
    size_t size = port ? port->size : 0;

    if (size < sizeof *port) return CN_FAIL(BAD_ARGUMENT, "%s: port is NULL or its size is not set", what);
    if (index < 0 || index >= count) return CN_FAIL(BAD_ARGUMENT, "%s: there is no %d of %d", what, index, count);
    memset(port, 0, sizeof *port);
    port->size = size;
    port->name = from[index].name;
    port->dtype = from[index].dtype;
    port->ndim = from[index].ndim;
    memcpy(port->dims, from[index].dims, sizeof port->dims);
    port->optional = from[index].optional;
    return CORNU_OK;
}

cornu_status cornu_session_input(cornu_session* session, int index, cornu_port* port) {
    if (!session) return CN_FAIL(BAD_ARGUMENT, "cornu_session_input: session is NULL");
    return fill_port(session->inputs, session->input_count, index, port, "cornu_session_input");
}

cornu_status cornu_session_output(cornu_session* session, int index, cornu_port* port) {
    if (!session) return CN_FAIL(BAD_ARGUMENT, "cornu_session_output: session is NULL");
    return fill_port(session->outputs, session->output_count, index, port, "cornu_session_output");
}

static cornu_status check_run(cornu_session* session, const void* in, int n_in, const void* out, int n_out, const char* what) {
    if (!session) return CN_FAIL(BAD_ARGUMENT, "%s: session is NULL", what);
    if (n_in < 0 || n_out < 0 || (n_in > 0 && !in) || (n_out > 0 && !out)) return CN_FAIL(BAD_ARGUMENT, "%s: in or out is NULL, or a count is negative", what);
    return CORNU_OK;
}

/* Compiles for the shapes alone and gives the graph to look at; *out is the caller's to destroy. */
static cornu_status compile_shapes(cornu_session* s, const cornu_tensor* in, int n_in, cn_compiled** out) {
    const cn_compile_options options = cn_session_compile_options(s);
    cornu_status st;

    *out = NULL;
    (void)pthread_rwlock_rdlock(&s->model->lock);
    st = cn_session_types(s, in, n_in, s->types);
    if (st == CORNU_OK) st = cn_compile(s->doc, NULL, &options, s->types, n_in, out);
    (void)pthread_rwlock_unlock(&s->model->lock);
    return st;
}

cornu_status cornu_session_output_shapes(cornu_session* session, const cornu_tensor* in, int n_in, cornu_tensor* out, int n_out) {
    cn_compiled* c;
    cornu_status st = CORNU_OK;

    CN_TRY(check_run(session, in, n_in, out, n_out, "cornu_session_output_shapes"));
    CN_TRY(compile_shapes(session, in, n_in, &c));
    if (n_out != c->program.output_count) {
        st = CN_FAIL(BAD_ARGUMENT, "cornu_session_output_shapes: the model has %d outputs; %d are given", c->program.output_count, n_out);
    }
    for (int i = 0; st == CORNU_OK && i < n_out; i++) {
        const cn_type* type = &c->program.graph.types[c->program.graph.outputs[i]];
        out[i] = cornu_tensor_shaped(type->dtype, NULL, type->ndim, type->dims);
    }
    cn_compiled_destroy(c);
    return st;
}

cornu_status cornu_session_run(cornu_session* session, const cornu_tensor* in, int n_in, cornu_tensor* out, int n_out) {
    CN_TRY(check_run(session, in, n_in, out, n_out, "cornu_session_run"));
    return cn_session_run(session, in, n_in, out, n_out, NULL);
}

cornu_status cornu_session_run_on_stream(cornu_session* session, const cornu_tensor* in, int n_in, cornu_tensor* out, int n_out, void* stream) {
    CN_TRY(check_run(session, in, n_in, out, n_out, "cornu_session_run_on_stream"));
    return cn_session_run(session, in, n_in, out, n_out, stream);
}

cornu_status cornu_session_wait(cornu_session* session) {
    if (!session) return CN_FAIL(BAD_ARGUMENT, "cornu_session_wait: session is NULL");
    return cn_session_wait(session);
}

cornu_status cornu_session_prepare(cornu_session* session, const cornu_tensor* in, int n_in) {
    CN_TRY(check_run(session, in, n_in, NULL, 0, "cornu_session_prepare"));
    return cn_session_prepare(session, in, n_in);
}

int cornu_session_tuning_count(cornu_session* session) { return session ? cn_session_tuning(session).count : 0; }

cornu_status cornu_session_tuning_get(cornu_session* session, int index, cornu_tuning* row) {
    size_t size = row ? row->size : 0;

    if (!session || size < sizeof *row) return CN_FAIL(BAD_ARGUMENT, "cornu_session_tuning_get: session or row is NULL, or row->size is not set");
    if (index < 0 || index >= cn_session_tuning(session).count) return CN_FAIL(BAD_ARGUMENT, "cornu_session_tuning_get: there is no row %d", index);
    *row = cn_session_tuning(session).rows[index];
    row->size = size;
    return CORNU_OK;
}

const char* cornu_session_tuning_note(cornu_session* session) {
    const char* note = session ? cn_session_tuning(session).note : NULL;
    return note ? note : "";
}

int cornu_session_state_count(cornu_session* session) { return session ? session->state_count : 0; }

const char* cornu_session_state_name(cornu_session* session, int index) {
    return session && index >= 0 && index < session->state_count ? session->states[index].name : NULL;
}

static cornu_status check_state(cornu_session* session, int index, const void* tensor, const char* what) {
    if (!session || !tensor) return CN_FAIL(BAD_ARGUMENT, "%s: session or the tensor is NULL", what);
    if (index < 0 || index >= session->state_count) return CN_FAIL(BAD_ARGUMENT, "%s: there is no state %d of %d", what, index, session->state_count);
    return CORNU_OK;
}

cornu_status cornu_session_state_get(cornu_session* session, int index, cornu_tensor* out) {
    CN_TRY(check_state(session, index, out, "cornu_session_state_get"));
    return cn_session_get_state(session, index, out);
}

cornu_status cornu_session_state_set(cornu_session* session, int index, const cornu_tensor* value) {
    CN_TRY(check_state(session, index, value, "cornu_session_state_set"));
    return cn_session_set_state(session, index, value);
}

void cornu_session_state_reset(cornu_session* session) {
    if (session) cn_session_reset_states(session);
}

cornu_status cornu_session_get_info(cornu_session* session, cornu_session_info* info) {
    static const char* const precisions[] = {"tf32 in convolutions and large products, else float32", "float32", "tf32", "bf16", "fp16"};
    size_t size = info ? info->size : 0;

    if (!session || size < sizeof *info) return CN_FAIL(BAD_ARGUMENT, "cornu_session_get_info: session or info is NULL, or info->size is not set");
    memset(info, 0, sizeof *info);
    info->size = size;
    info->device = session->backend->describe(session->device);
    info->backend = session->backend->name;
    info->precision = session->backend->has_precisions ? precisions[session->precision] : "float32";
    info->arena_bytes = session->last_bytes;
    info->runs = session->runs;
    return CORNU_OK;
}

cornu_status cornu_session_graph_text(cornu_session* session, const cornu_tensor* in, int n_in, char** out) {
    cn_compiled* c = NULL;
    cn_buf text = {0};
    cornu_status st = CORNU_OK;

    if (!out) return CN_FAIL(BAD_ARGUMENT, "cornu_session_graph_text: out is NULL");
    *out = NULL;
    CN_TRY(check_run(session, in, n_in, out, 0, "cornu_session_graph_text"));
    CN_TRY(compile_shapes(session, in, n_in, &c));
    cn_graph_print(&c->program.graph, &text);
    CN_STEP(cn_buf_check(&text));
    *out = cn_buf_take(&text);
done:
    cn_buf_deinit(&text);
    cn_compiled_destroy(c);
    return st;
}
