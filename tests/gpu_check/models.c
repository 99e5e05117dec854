/* gpu_models MODEL... [--batch N] [--precision P,...]: the models of bench/models, of full size, on the device against
 * the CPU, on the same random inputs and weights. Each precision's third run counts, which replays a captured graph.
 *
 *     PASS models.resnet50.bf16 0.0042      relative L2 distance of the worst output
 *
 * A line "FAIL name: reason" where it is above the precision's limit or nothing comes out. Exits with 1 if there is
 * one, 2 for wrong usage. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/bench.h"

enum { MOST_OUTPUTS = 8, RUNS = 3 };

/* limit: of networks of up to 150 layers. unit: how much larger the mode's roundings are than float32's: a network that
 * enlarges those, as the distance in strict tells, may enlarge these as much; the same rule as conform_runner's. */
static const struct mode {
    const char* name;
    cornu_precision precision;
    double limit, unit;
} modes[] = {
    {"strict", CORNU_PRECISION_STRICT, 1e-4, 0}, {"default", CORNU_PRECISION_DEFAULT, 5e-3, 8192},
    {"tf32", CORNU_PRECISION_TF32, 5e-3, 8192},  {"bf16", CORNU_PRECISION_BF16, 5e-2, 32768},
    {"fp16", CORNU_PRECISION_FP16, 1e-2, 8192},
};
#define LUCK 2.0        /* the distance in strict is one draw */
#define LIMIT_MOST 0.25 /* whatever a network enlarges */

typedef struct outputs {
    int count;
    cornu_tensor tensors[MOST_OUTPUTS]; /* the library's memory */
} outputs;

static void release(outputs* out) {
    for (int i = 0; i < out->count; i++) cornu_tensor_release(&out->tensors[i]);
    out->count = 0;
}

static cornu_status open_session(cornu_model* model, const char* device, cornu_precision precision,
                                 cornu_session** out) {
    cornu_session_options options = CORNU_SESSION_OPTIONS_INIT;

    options.device = device;
    options.precision = precision;
    return cornu_session_create(model, &options, out);
}

static cornu_status run(cornu_session* session, const bench_inputs* inputs, int runs, outputs* out) {
    cornu_status st = CORNU_OK;

    for (int i = 0; i < runs && st == CORNU_OK; i++) {
        release(out);
        memset(out->tensors, 0, sizeof out->tensors);
        out->count = cornu_session_output_count(session);
        if (out->count > MOST_OUTPUTS) out->count = MOST_OUTPUTS;
        st = cornu_session_run(session, inputs->tensors, inputs->count, out->tensors, out->count);
        if (st != CORNU_OK) out->count = 0;
    }
    return st;
}

static int64_t numbers_of(const cornu_tensor* t) {
    int64_t n = 1;
    for (int i = 0; i < t->ndim; i++) n *= t->dims[i];
    return n;
}

/* ||a - b|| / ||b|| of float32 tensors; infinite where they cannot be compared or one is not finite. */
static double distance(const cornu_tensor* a, const cornu_tensor* b) {
    const float *x = a->data, *y = b->data;
    double square = 0, norm = 0;

    if (a->dtype != CORNU_FLOAT32 || b->dtype != CORNU_FLOAT32 || numbers_of(a) != numbers_of(b) || numbers_of(a) < 1)
        return INFINITY;
    for (int64_t i = 0; i < numbers_of(a); i++) {
        const double d = (double)x[i] - (double)y[i];
        if (!isfinite(d)) return INFINITY;
        square += d * d;
        norm += (double)y[i] * (double)y[i];
    }
    return norm > 0 ? sqrt(square / norm) : square > 0 ? INFINITY : 0;
}

/* One precision; whether it passes. *strict: the distance in strict, which is the first of them; 0 before it. */
static int compare(cornu_model* model, const char* name, const struct mode* mode, const bench_inputs* inputs,
                   const outputs* want, double* strict) {
    const double limit = fmin(LIMIT_MOST, fmax(mode->limit, LUCK * mode->unit * *strict));
    cornu_session* session = NULL;
    outputs got = {0};
    double worst = want->count > 0 ? 0 : INFINITY;
    cornu_status st = open_session(model, "cuda", mode->precision, &session);

    if (st == CORNU_OK) st = run(session, inputs, RUNS, &got);
    for (int i = 0; st == CORNU_OK && i < want->count; i++)
        worst = fmax(worst, i < got.count ? distance(&got.tensors[i], &want->tensors[i]) : INFINITY);
    if (st != CORNU_OK) printf("FAIL models.%s.%s: %s\n", name, mode->name, cornu_last_error());
    else if (worst <= limit) printf("PASS models.%s.%s %.2g\n", name, mode->name, worst);
    else printf("FAIL models.%s.%s: %.2g from the CPU's, %.2g is allowed\n", name, mode->name, worst, limit);
    (void)fflush(stdout);
    release(&got);
    cornu_session_destroy(session);
    if (st == CORNU_OK && mode->precision == CORNU_PRECISION_STRICT) *strict = fmin(worst, mode->limit);
    return st == CORNU_OK && worst <= limit;
}

/* Whether a name is in a list "a,b"; NULL has all. */
static int is_listed(const char* list, const char* name) {
    const size_t n = strlen(name);

    if (list == NULL) return 1;
    for (const char* at = list; at != NULL; at = strchr(at, ',') != NULL ? strchr(at, ',') + 1 : NULL) {
        if (strncmp(at, name, n) == 0 && (at[n] == ',' || at[n] == '\0')) return 1;
    }
    return 0;
}

static int check_model(const char* path, int64_t batch, const char* precisions) {
    const char* slash = strrchr(path, '/');
    char name[64];
    cornu_model* model = NULL;
    cornu_session* session = NULL;
    bench_inputs inputs = {0};
    outputs want = {0};
    double strict = 0;
    int passes = 1;

    (void)snprintf(name, sizeof name, "%s", slash != NULL ? slash + 1 : path);
    name[strcspn(name, ".")] = '\0';
    if (bench_load(path, NULL, 1, NULL, 0, &model) != CLI_DONE) return 0; /* it has said why */
    if (open_session(model, "cpu", CORNU_PRECISION_STRICT, &session) != CORNU_OK ||
        bench_inputs_make(model, session, batch, NULL, 1, &inputs) != CLI_DONE ||
        run(session, &inputs, 1, &want) != CORNU_OK) {
        printf("FAIL models.%s.cpu: %s\n", name, cornu_last_error());
        passes = 0;
    }
    for (size_t i = 0; want.count > 0 && i < sizeof modes / sizeof modes[0]; i++) {
        if (is_listed(precisions, modes[i].name)) passes &= compare(model, name, &modes[i], &inputs, &want, &strict);
    }
    release(&want);
    bench_inputs_free(&inputs);
    cornu_session_destroy(session);
    cornu_model_destroy(model);
    return passes;
}

int main(int argc, char** argv) {
    const char* precisions = NULL;
    int64_t batch = 2;
    int models = 0, passes = 1;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--batch") == 0 && i + 1 < argc) batch = atoll(argv[++i]);
        else if (strcmp(argv[i], "--precision") == 0 && i + 1 < argc) precisions = argv[++i];
        else models++;
    }
    if (models == 0 || batch < 1) {
        fprintf(stderr, "Usage: gpu_models MODEL... [--batch N] [--precision P,...]\n");
        return 2;
    }
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--batch") == 0 || strcmp(argv[i], "--precision") == 0) i++;
        else passes &= check_model(argv[i], batch, precisions);
    }
    return passes ? 0 : 1;
}
