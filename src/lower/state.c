/* States that last from run to run: an input behind those of the model, and an output behind its outputs that the session feeds back. */
#include <stdio.h>
#include <string.h>

#include "lower/context.h"

static cn_state* find_state(cn_program* p, const char* name) {
    for (int i = 0; i < p->state_count; i++) {
        if (strcmp(p->states[i].name, name) == 0) return &p->states[i];
    }
    return NULL;
}

static cornu_status add_state(cn_call* c, const char* name, const cn_type* type, cn_state** out) {
    cn_program* p = c->cx->program;
    cn_state* states;
    const char* kept;

    if (c->cx->no_states) return CN_FAIL(UNSUPPORTED, "states that last from run to run, in a layer that is called for each step");
    states = cn_realloc(p->states, ((size_t)p->state_count + 1) * sizeof *states);
    if (!states) return CN_NO_MEMORY(((size_t)p->state_count + 1) * sizeof *states);
    p->states = states;
    kept = cn_arena_strdup(&c->g->arena, name);
    if (!kept) return CN_NO_MEMORY(strlen(name));
    states[p->state_count] = (cn_state){kept, cn_graph_input(c->g, type, name)};
    CN_TRY(cn_graph_status(c->g));
    *out = &states[p->state_count++];
    return CORNU_OK;
}

static cornu_status state_of(cn_call* c, int i, const cn_type* type, cn_state** out) {
    char name[600];

    (void)snprintf(name, sizeof name, "%.500s/states/%d", c->layer->path, i);
    *out = find_state(c->cx->program, name);
    return *out ? CORNU_OK : add_state(c, name, type, out);
}

cornu_status cn_call_get_state(cn_call* c, int i, const cn_type* type, cn_id* value) {
    cn_state* state = NULL;

    *value = CN_NONE;
    CN_TRY(state_of(c, i, type, &state));
    if (!cn_type_equal(cn_call_type(c, state->value), type)) return CN_FAIL(BAD_ARGUMENT, "it is called on batches of several sizes, but keeps a state");
    *value = state->value;
    return CORNU_OK;
}

cornu_status cn_call_set_state(cn_call* c, int i, cn_id value) {
    cn_state* state = NULL;
    cn_type type;

    CN_TRY(cn_graph_status(c->g));
    type = *cn_call_type(c, value); /* a type in the graph moves when nodes are added */
    CN_TRY(state_of(c, i, &type, &state));
    state->value = value;
    return CORNU_OK;
}
