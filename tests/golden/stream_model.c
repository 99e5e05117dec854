/* Runs a stateful model over whole sequences and step by step, and compares.
 *
 *     stream_model MODEL.keras INPUT.npy OUTPUTS.npz [--device NAME]
 *
 * INPUT is [batch, steps, ...]. One session each reads it whole, one step a run, and in pieces of 1, 2, 3, 1, ... steps; twice, so that
 * the second pass begins where the first ended; and again after a reset. Outputs with an axis of steps are joined, of
 * others the last one counts. All must be equal within LIMIT, and so must the states. OUTPUTS gets the whole runs:
 * first_0, second_0, ... and states as state_0, ... Exits with 0 if all is equal. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cornu.h"

#define LIMIT 1e-6 /* relative L2: the order of a sum may depend on the number of steps, nothing else */

enum { MAX_OUTPUTS = 4, MAX_STATES = 8, PASSES = 2 };

/* What the passes over the input gave: outputs [pass][output], states after the last pass. */
typedef struct result {
    cornu_tensor out[PASSES][MAX_OUTPUTS];
    cornu_tensor state[MAX_STATES];
    int n_out;
    int n_state;
} result;

static int fail(const char* what) {
    fprintf(stderr, "stream_model: %s: %s\n", what, cornu_last_error());
    return 1;
}

static void result_deinit(result* r) {
    for (int p = 0; p < PASSES; p++) {
        for (int i = 0; i < MAX_OUTPUTS; i++) cornu_tensor_release(&r->out[p][i]);
    }
    for (int i = 0; i < MAX_STATES; i++) cornu_tensor_release(&r->state[i]);
}

/* Bytes of one step of one sequence. */
static size_t step_bytes(const cornu_tensor* t) {
    return (size_t)(cornu_tensor_count(t) / (t->dims[0] * t->dims[1])) * cornu_dtype_size(t->dtype);
}

/* Copies all the steps of piece to step `at` of whole, or back: both are [batch, steps, ...]. */
static void copy_steps(const cornu_tensor* whole, const cornu_tensor* piece, int64_t at, int back) {
    const size_t one = step_bytes(whole);
    const size_t size = one * (size_t)piece->dims[1];

    for (int64_t row = 0; row < whole->dims[0]; row++) {
        char* a = (char*)whole->data + one * (size_t)(row * whole->dims[1] + at);
        char* b = (char*)piece->data + size * (size_t)row;
        memcpy(back ? a : b, back ? b : a, size);
    }
}

/* Puts the outputs of a piece into those of the whole sequence, shaped as `like` says. */
static int join(result* r, int pass, const result* like, int64_t at, int64_t steps, cornu_tensor* got) {
    for (int i = 0; i < r->n_out; i++) {
        const cornu_tensor* shape = &like->out[pass][i];
        cornu_tensor* all = &r->out[pass][i];
        if (shape->ndim < 3 || shape->dims[1] != steps) {
            cornu_tensor_release(all);
            *all = got[i];
            got[i] = (cornu_tensor){0};
            continue;
        }
        if (at == 0) {
            *all = *shape;
            all->owner = NULL;
            all->data = calloc((size_t)cornu_tensor_count(shape), cornu_dtype_size(shape->dtype));
            if (all->data == NULL) return 1;
        }
        copy_steps(all, &got[i], at, 1);
    }
    return 0;
}

/* One pass in pieces of 1, 1 + vary % 3, ... steps, into outputs of the shapes of `like`. */
static int run_pieces(cornu_session* session, const cornu_tensor* in, int vary, const result* like, result* r, int pass) {
    const int64_t steps = in->dims[1];
    cornu_tensor piece = *in;
    int64_t at = 0;
    int code = 0;

    piece.owner = NULL;
    piece.data = malloc(step_bytes(in) * (size_t)(in->dims[0] * steps));
    for (int n = 0; piece.data != NULL && at < steps && code == 0; n++) {
        cornu_tensor got[MAX_OUTPUTS] = {{0}};
        const int64_t wanted = vary ? 1 + n % 3 : 1;
        piece.dims[1] = wanted < steps - at ? wanted : steps - at;
        copy_steps(in, &piece, at, 0);
        if (cornu_session_run(session, &piece, 1, got, r->n_out) != CORNU_OK) code = fail("a piece");
        if (code == 0) code = join(r, pass, like, at, steps, got);
        for (int i = 0; i < r->n_out; i++) cornu_tensor_release(&got[i]);
        at += piece.dims[1];
    }
    if (piece.data == NULL) code = 1;
    free(piece.data);
    return code;
}

static int take_states(cornu_session* session, result* r) {
    r->n_state = cornu_session_state_count(session);
    if (r->n_state < 1 || r->n_state > MAX_STATES) return fail("number of states");
    for (int i = 0; i < r->n_state; i++) {
        if (cornu_session_state_get(session, i, &r->state[i]) != CORNU_OK) return fail("state_get");
    }
    return 0;
}

/* vary: -1 for the whole sequence in one run, else as run_pieces. */
static int run_all(cornu_session* session, const cornu_tensor* in, int vary, const result* like, result* r) {
    *r = (result){.n_out = cornu_session_output_count(session)};
    if (r->n_out > MAX_OUTPUTS) return fail("number of outputs");
    for (int pass = 0; pass < PASSES; pass++) {
        if (vary < 0 && cornu_session_run(session, in, 1, r->out[pass], r->n_out) != CORNU_OK) return fail("whole");
        if (vary >= 0 && run_pieces(session, in, vary, like, r, pass) != 0) return 1;
    }
    return take_states(session, r);
}

static int differ(const char* what, int number, const cornu_tensor* a, const cornu_tensor* b) {
    double norm = 0;
    double error = 0;
    const int64_t count = cornu_tensor_count(a);

    if (a->dtype != CORNU_FLOAT32 || b->dtype != CORNU_FLOAT32 || memcmp(a->dims, b->dims, sizeof a->dims) != 0) {
        fprintf(stderr, "stream_model: %s %d: shapes or dtypes differ\n", what, number);
        return 1;
    }
    for (int64_t i = 0; i < count; i++) {
        const double x = (double)((const float*)a->data)[i];
        const double y = (double)((const float*)b->data)[i];
        norm += x * x;
        error += (x - y) * (x - y);
    }
    if (norm > 0 && sqrt(error / norm) <= LIMIT) return 0;
    fprintf(stderr, "stream_model: %s %d: relative error %g\n", what, number, norm > 0 ? sqrt(error / norm) : sqrt(error));
    return 1;
}

static int compare(const char* what, const result* a, const result* b) {
    int wrong = 0;

    for (int pass = 0; pass < PASSES; pass++) {
        for (int i = 0; i < a->n_out; i++) wrong |= differ(what, pass, &a->out[pass][i], &b->out[pass][i]);
    }
    for (int i = 0; i < a->n_state; i++) wrong |= differ("a state", i, &a->state[i], &b->state[i]);
    return wrong;
}

static int save(const char* path, const result* r) {
    char names[PASSES * MAX_OUTPUTS + MAX_STATES][24];
    cornu_array arrays[PASSES * MAX_OUTPUTS + MAX_STATES];
    int n = 0;

    for (int i = 0; i < PASSES * r->n_out + r->n_state; i++, n++) {
        const int state = i - PASSES * r->n_out;
        snprintf(names[n], sizeof names[n], "%s_%d", state >= 0 ? "state" : i < r->n_out ? "first" : "second",
                 state >= 0 ? state : i % r->n_out);
        arrays[n].name = names[n];
        arrays[n].tensor = state >= 0 ? r->state[state] : r->out[i / r->n_out][i % r->n_out];
    }
    return cornu_arrays_save(path, arrays, n, 1) == CORNU_OK ? 0 : fail(path);
}

/* joined outputs are this program's own memory, the rest the library's */
static void pieces_deinit(result* r) {
    for (int p = 0; p < PASSES; p++) {
        for (int i = 0; i < MAX_OUTPUTS; i++) {
            if (r->out[p][i].owner == NULL) free(r->out[p][i].data);
        }
    }
    result_deinit(r);
}

static int stream(cornu_session* session, const cornu_tensor* in, const char* path) {
    static const char* const names[] = {"step by step", "in pieces"};
    result whole = {.n_out = 0};
    result again = {.n_out = 0};
    int code = run_all(session, in, -1, NULL, &whole);

    for (int vary = 0; vary < 2 && code == 0; vary++) {
        result pieces = {.n_out = 0};
        cornu_session_state_reset(session);
        code = run_all(session, in, vary, &whole, &pieces);
        if (code == 0) code = compare(names[vary], &whole, &pieces);
        pieces_deinit(&pieces);
    }
    cornu_session_state_reset(session);
    if (code == 0) code = run_all(session, in, -1, NULL, &again);
    if (code == 0) code = compare("after a reset", &whole, &again);
    if (code == 0) code = save(path, &whole);
    result_deinit(&whole);
    result_deinit(&again);
    return code;
}

int main(int argc, char** argv) {
    cornu_session_options how = CORNU_SESSION_OPTIONS_INIT;
    cornu_model* model = NULL;
    cornu_session* session = NULL;
    cornu_array* arrays = NULL;
    int count = 0;
    int code = 0;

    if (argc != 4 && !(argc == 6 && strcmp(argv[4], "--device") == 0)) {
        fprintf(stderr, "usage: stream_model MODEL.keras INPUT.npy OUTPUTS.npz [--device NAME]\n");
        return 2;
    }
    how.device = argc == 6 ? argv[5] : "cpu";
    how.precision = CORNU_PRECISION_STRICT;
    if (cornu_arrays_load(argv[2], &arrays, &count) != CORNU_OK) code = fail(argv[2]);
    if (code == 0 && (count != 1 || arrays[0].tensor.ndim < 2)) code = 2;
    if (code == 0 && cornu_model_load(argv[1], NULL, &model) != CORNU_OK) code = fail(argv[1]);
    if (code == 0 && cornu_session_create(model, &how, &session) != CORNU_OK) code = fail("session");
    if (code == 0) code = stream(session, &arrays[0].tensor, argv[3]);
    cornu_session_destroy(session);
    cornu_model_destroy(model);
    cornu_arrays_free(arrays, count);
    return code;
}
