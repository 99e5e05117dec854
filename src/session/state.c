/* States that layers keep from run to run (stateful recurrent layers). They belong to the session, not to the model, and are never saved. */
#include <string.h>

#include "base/dtype.h"
#include "base/size.h"
#include "session/session.h"

cornu_status cn_session_learn_states(cornu_session* s, const cn_program* program) {
    const void** pointers;
    size_t inputs = (size_t)s->input_count + (size_t)program->state_count;

    if (s->states || program->state_count == 0) return CORNU_OK;
    s->states = cn_arena_array(&s->arena, (size_t)program->state_count, sizeof *s->states);
    pointers = cn_arena_array(&s->arena, inputs + 1, sizeof *pointers);
    if (!s->states || !pointers) {
        s->states = NULL;
        return CN_NO_MEMORY(inputs * sizeof *pointers);
    }
    if (s->input_count) memcpy(pointers, s->pointers, (size_t)s->input_count * sizeof *pointers);
    s->pointers = pointers;
    for (int i = 0; i < program->state_count; i++) {
        s->states[i].name = cn_arena_strdup(&s->arena, program->states[i].name);
        if (!s->states[i].name) {
            s->states = NULL;
            return CN_NO_MEMORY(strlen(program->states[i].name));
        }
    }
    s->state_count = program->state_count;
    return CORNU_OK;
}

static cornu_status allocate(cn_session_state* state, const cn_type* type) {
    uint64_t bytes = cn_type_bytes(type);

    for (int k = 0; k < 2 && !state->data[k]; k++) {
        state->data[k] = cn_alloc_aligned(bytes);
        if (!state->data[k]) return CN_NO_MEMORY(bytes);
        memset(state->data[k], 0, bytes);
    }
    state->type = *type;
    return CORNU_OK;
}

static void forget(cn_session_state* state) {
    for (int k = 0; k < 2; k++) {
        cn_free_aligned(state->data[k]);
        state->data[k] = NULL;
    }
    memset(&state->type, 0, sizeof state->type);
}

cornu_status cn_session_bind_states(cornu_session* s, const cn_program* program, const void** inputs, void** outputs) {
    for (int i = 0; i < program->state_count; i++) {
        cn_session_state* state = &s->states[i];
        const cn_type* type = &program->graph.types[program->graph.outputs[program->output_count + i]];
        char have[256], want[256];
        if (state->type.dtype != 0 && !cn_type_equal(&state->type, type)) {
            return CN_FAIL(BAD_ARGUMENT, "state '%s' is %s; this run needs %s; reset the states first", state->name, cn_type_text(&state->type, have), cn_type_text(type, want));
        }
        if (state->type.dtype == 0) {
            cornu_status st = allocate(state, type);
            if (st != CORNU_OK) return forget(state), st;
        }
        inputs[s->input_count + i] = state->data[0];
        outputs[program->output_count + i] = state->data[1];
    }
    return CORNU_OK;
}

void cn_session_advance_states(cornu_session* s) {
    for (int i = 0; i < s->state_count; i++) {
        void* last = s->states[i].data[0];
        s->states[i].data[0] = s->states[i].data[1];
        s->states[i].data[1] = last;
    }
}

void cn_session_reset_states(cornu_session* s) {
    for (int i = 0; i < s->state_count; i++) forget(&s->states[i]);
}

cornu_status cn_session_get_state(cornu_session* s, int i, cornu_tensor* out) {
    const cn_session_state* state = &s->states[i];
    uint64_t bytes = cn_type_bytes(&state->type);
    cornu_tensor made;

    if (state->type.dtype == 0) return CN_FAIL(BAD_ARGUMENT, "state '%s' has no values before the first run", state->name);
    made = cornu_tensor_shaped(state->type.dtype, out->data, state->type.ndim, state->type.dims);
    if (out->data) {
        cn_type given = {.dtype = out->dtype, .ndim = out->ndim};
        if (out->ndim >= 0 && out->ndim <= CORNU_MAX_DIMS) memcpy(given.dims, out->dims, sizeof given.dims);
        if (out->ndim < 0 || out->ndim > CORNU_MAX_DIMS || !cn_type_equal(&given, &state->type)) return CN_FAIL(BAD_ARGUMENT, "state '%s' has another dtype or shape than out", state->name);
    } else {
        made.owner = made.data = cn_alloc_aligned(bytes);
        if (!made.data) return CN_NO_MEMORY(bytes);
        *out = made;
    }
    if (bytes) memcpy(out->data, state->data[0], bytes);
    return CORNU_OK;
}

cornu_status cn_session_set_state(cornu_session* s, int i, const cornu_tensor* value) {
    cn_session_state* state = &s->states[i];
    cn_type given = {.dtype = CORNU_FLOAT32, .ndim = value->ndim};
    int64_t count;

    if (value->ndim < 0 || value->ndim > CORNU_MAX_DIMS) return CN_FAIL(BAD_ARGUMENT, "the value for state '%s' has rank %d", state->name, value->ndim);
    memcpy(given.dims, value->dims, sizeof given.dims);
    if (!cn_dims_count(given.dims, given.ndim, &count)) return CN_FAIL(BAD_ARGUMENT, "the value for state '%s' has a negative or too large dimension", state->name);
    if (!value->data && count > 0) return CN_FAIL(BAD_ARGUMENT, "the value for state '%s' has no data", state->name);
    if (state->type.dtype == 0) {
        cornu_status st;
        if (cn_dtype_is_float(value->dtype)) given.dtype = value->dtype;
        st = allocate(state, &given);
        if (st != CORNU_OK) return forget(state), st;
    }
    given.dtype = state->type.dtype;
    if (!cn_type_equal(&given, &state->type)) return CN_FAIL(BAD_ARGUMENT, "the value for state '%s' has another shape", state->name);
    return cn_dtype_convert(state->type.dtype, state->data[0], value->dtype, value->data, count);
}
