/* Runs packed conformance cases through cornu.h and compares with what Keras computed.
 *
 *     conform_runner PACK... [--device NAME] [--precision MODE] [--only TEXT] [--shard I/N] [--tolerance X] [--perturb] [--repeat N] [--digest]
 *
 * One line a case: "PASS name error", "FAIL name: reason", "SKIP name: reason" where the library says that it cannot
 * run it.
 * --precision: strict where it is not given. Other modes have wider tolerances, see the table. --tolerance raises every case's tolerance to at least X, for devices that round more. --perturb changes one weight of
 * each model and wants the comparison to fail: it shows that the comparison sees. --repeat runs every input N times, as a session that has
 * captured its work replays it. --digest prints a hash of the results' bits. pack.py draws the format of a pack.
 * Exits with 1 if a line says FAIL, 2 for wrong usage or a damaged pack. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cornu.h"

enum { MAX_TENSORS = 32, MAX_PACKS = 8, REASON = 512 };

typedef struct options {
    const char* packs[MAX_PACKS];
    int n_packs;
    const char* device;
    const char* only;
    const struct mode* mode;
    long shard;
    long shards;
    double tolerance;
    int perturb;
    int repeat; /* runs of each input, of which the last counts */
    int digest; /* print one of each case's results */
} options;

/* Relative L2 errors that a precision may have: of a layer or an operation, and of a network. Keras's own error in float32 tells how much a case
 * enlarges errors; `unit` is how much larger the mode's roundings are than float32's. */
typedef struct mode {
    const char* name;
    cornu_precision precision;
    double layer, network, unit;
} mode;

static const mode modes[] = {
    {"strict", CORNU_PRECISION_STRICT, 0, 0, 1},
    {"default", CORNU_PRECISION_DEFAULT, 5e-4, 5e-3, 8192},
    {"tf32", CORNU_PRECISION_TF32, 5e-4, 5e-3, 8192},
    {"fp16", CORNU_PRECISION_FP16, 1e-3, 1e-2, 8192},
    {"bf16", CORNU_PRECISION_BF16, 6e-3, 5e-2, 32768},
};

/* What a pack says of a case. */
typedef struct bound {
    double tolerance; /* in strict */
    double keras_error;
} bound;

/* Networks are told by the tolerance that their pack gives them. The fewer numbers Keras's error was measured on, the more it is luck. */
static double tolerance_in(const mode* m, const bound* b, int64_t numbers) {
    const double luck = m->unit > 1 ? 2 + 8 / sqrt((double)(numbers > 0 ? numbers : 1)) : 2;
    return fmax(b->tolerance, fmax(b->tolerance >= 1e-4 ? m->network : m->layer, luck * m->unit * b->keras_error));
}

typedef struct counts {
    long pass;
    long fail;
    long skip;
    long seen; /* with --perturb: cases whose comparison failed, as it should */
    long above; /* passes of a rounding mode above the tolerance */
} counts;

/* A rounding can carry a value over an edge (of a hard sigmoid, of a relu behind a cancelling sum) where float32 stays on one side, so that
 * Keras's error tells nothing. Up to one case in ABOVE_SHARE may be above its tolerance in a mode that rounds, none above ABOVE_MOST. */
#define ABOVE_SHARE 200
#define ABOVE_MOST 0.25

/* A cursor over a pack. bad sticks once something does not fit. */
typedef struct cursor {
    const unsigned char* data;
    size_t size;
    size_t at;
    int bad;
} cursor;

typedef struct blob {
    const void* data;
    size_t size;
} blob;

static uint64_t take_u64(cursor* c) {
    uint64_t value = 0;

    if (c->bad || c->size - c->at < 8) {
        c->bad = 1;
        return 0;
    }
    for (int i = 0; i < 8; i++) value |= (uint64_t)c->data[c->at + (size_t)i] << (8 * i);
    c->at += 8;
    return value;
}

static double take_f64(cursor* c) {
    const uint64_t bits = take_u64(c);
    double value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

static blob take_blob(cursor* c) {
    const uint64_t size = take_u64(c);
    const uint64_t padded = size + (8 - size % 8) % 8;
    blob b = {NULL, 0};

    if (c->bad || size > c->size || padded > c->size - c->at) {
        c->bad = 1;
        return b;
    }
    b.data = c->data + c->at;
    b.size = (size_t)size;
    c->at += (size_t)padded;
    return b;
}

/* The elements stay in the pack, which is aligned to 8 bytes. */
static cornu_tensor take_tensor(cursor* c) {
    const uint64_t dtype = take_u64(c);
    const uint64_t ndim = take_u64(c);
    int64_t dims[CORNU_MAX_DIMS] = {0};
    cornu_tensor t = {0};

    if (ndim > CORNU_MAX_DIMS) c->bad = 1;
    for (uint64_t i = 0; i < ndim && !c->bad; i++) dims[i] = (int64_t)take_u64(c);
    const blob b = take_blob(c);
    if (c->bad) return t;
    t = cornu_tensor_shaped((cornu_dtype)dtype, (void*)(uintptr_t)b.data, (int)ndim, dims);
    if (cornu_tensor_count(&t) < 0 || (uint64_t)cornu_tensor_count(&t) * cornu_dtype_size(t.dtype) != b.size)
        c->bad = 1;
    return t;
}

static int take_tensors(cursor* c, cornu_tensor* out) {
    const uint64_t count = take_u64(c);

    if (count > MAX_TENSORS) c->bad = 1;
    for (uint64_t i = 0; i < count && !c->bad; i++) out[i] = take_tensor(c);
    return c->bad ? 0 : (int)count;
}

/* ---- Comparison ---- */

static double half_value(uint16_t bits) {
    const int exponent = bits >> 10 & 31;
    const double fraction = bits & 1023;
    const double size = exponent == 0 ? ldexp(fraction, -24) : ldexp(1024 + fraction, exponent - 25);
    const double special = fraction > 0 ? (double)NAN : (double)INFINITY;

    return copysign(exponent == 31 ? special : size, bits & 0x8000 ? -1.0 : 1.0);
}

static double bfloat16_value(uint16_t bits) {
    const uint32_t wide = (uint32_t)bits << 16;
    float value;

    memcpy(&value, &wide, sizeof value);
    return (double)value;
}

static double element(const cornu_tensor* t, int64_t i) {
    switch (t->dtype) {
        case CORNU_FLOAT16: return half_value(((const uint16_t*)t->data)[i]);
        case CORNU_BFLOAT16: return bfloat16_value(((const uint16_t*)t->data)[i]);
        case CORNU_FLOAT32: return (double)((const float*)t->data)[i];
        case CORNU_FLOAT64: return ((const double*)t->data)[i];
        case CORNU_INT8: return (double)((const int8_t*)t->data)[i];
        case CORNU_INT16: return (double)((const int16_t*)t->data)[i];
        case CORNU_UINT16: return (double)((const uint16_t*)t->data)[i];
        case CORNU_UINT32: return (double)((const uint32_t*)t->data)[i];
        case CORNU_INT32: return (double)((const int32_t*)t->data)[i];
        case CORNU_INT64: return (double)((const int64_t*)t->data)[i];
        case CORNU_UINT8:
        case CORNU_BOOL: return (double)((const uint8_t*)t->data)[i];
        default: return NAN;
    }
}

static int is_known(cornu_dtype d) {
    return d == CORNU_FLOAT16 || d == CORNU_BFLOAT16 || d == CORNU_FLOAT32 || d == CORNU_FLOAT64 || d == CORNU_INT8 ||
           d == CORNU_INT16 || d == CORNU_INT32 || d == CORNU_INT64 || d == CORNU_UINT8 || d == CORNU_UINT16 ||
           d == CORNU_UINT32 || d == CORNU_BOOL;
}

static int is_float(cornu_dtype d) {
    return d == CORNU_FLOAT16 || d == CORNU_BFLOAT16 || d == CORNU_FLOAT32 || d == CORNU_FLOAT64;
}

/* "[2, 3]" */
static void shape_text(const cornu_tensor* t, char out[REASON / 4]) {
    size_t used = (size_t)snprintf(out, REASON / 4, "[");

    for (int i = 0; i < t->ndim && used < REASON / 4; i++) {
        used += (size_t)snprintf(out + used, REASON / 4 - used, i ? ", %" PRId64 : "%" PRId64, t->dims[i]);
    }
    if (used < REASON / 4) snprintf(out + used, REASON / 4 - used, "]");
}

/* Relative L2 error of a tensor, INFINITY where shapes or infinities differ, with the reason. */
static double compare(const cornu_tensor* wanted, const cornu_tensor* got, char reason[REASON]) {
    double norm = 0;
    double error = 0;

    if (wanted->ndim != got->ndim || memcmp(wanted->dims, got->dims, sizeof wanted->dims) != 0) {
        char a[REASON / 4];
        char b[REASON / 4];
        shape_text(got, a);
        shape_text(wanted, b);
        snprintf(reason, REASON, "the shape is %s, not %s", a, b);
        return INFINITY;
    }
    if (!is_known(wanted->dtype) || !is_known(got->dtype)) {
        snprintf(reason, REASON, "dtype %s, for %s", cornu_dtype_name(got->dtype), cornu_dtype_name(wanted->dtype));
        return INFINITY;
    }
    const int exact = !is_float(wanted->dtype);
    if ((exact || !is_float(got->dtype)) && wanted->dtype != got->dtype) {
        snprintf(reason, REASON, "dtype %s, for %s", cornu_dtype_name(got->dtype), cornu_dtype_name(wanted->dtype));
        return INFINITY;
    }
    for (int64_t i = 0; i < cornu_tensor_count(wanted); i++) {
        const double x = element(wanted, i);
        const double y = element(got, i);
        if (isfinite(x) && isfinite(y)) {
            norm += x * x;
            error += (x - y) * (x - y);
        } else if (!(isnan(x) && isnan(y)) && !(isinf(x) && isinf(y) && signbit(x) == signbit(y))) {
            snprintf(reason, REASON, "element %" PRId64 " is %g, not %g", i, y, x);
            return INFINITY;
        }
    }
    if (exact && error > 0) {
        snprintf(reason, REASON, "integers or bools differ");
        return INFINITY;
    }
    return norm > 0 ? sqrt(error / norm) : sqrt(error);
}

static double compare_run(const cornu_tensor* wanted, int n_wanted, const cornu_tensor* got, char reason[REASON]) {
    double worst = 0;

    for (int i = 0; i < n_wanted; i++) {
        const double error = compare(&wanted[i], &got[i], reason);
        if (error > worst) worst = error;
    }
    return worst;
}

/* ---- One case ---- */

/* Adds to the middle element of the first float32 variable; 0 if the model has none. */
static int perturb(cornu_model* model) {
    for (int64_t i = 0; i < cornu_model_variable_count(model); i++) {
        cornu_variable_info info = {0};
        cornu_tensor value = {0};

        info.size = sizeof info;
        if (cornu_model_variable_info(model, i, &info) != CORNU_OK || info.dtype != CORNU_FLOAT32) continue;
        if (cornu_model_get_variable(model, info.path, &value) != CORNU_OK) return 0;
        ((float*)value.data)[cornu_tensor_count(&value) / 2] += 0.75f;
        const cornu_status st = cornu_model_set_variable(model, info.path, &value);
        cornu_tensor_release(&value);
        return st == CORNU_OK;
    }
    return 0;
}

typedef enum verdict { PASSED, FAILED, SKIPPED } verdict;

/* What a case has come to. */
typedef struct outcome {
    double worst;
    double tolerance; /* that the worst is above of, 0 if it is not */
    uint64_t digest; /* of the bits of all results */
} outcome;

/* FNV-1a. */
static uint64_t digest_of(uint64_t digest, const cornu_tensor* t) {
    const unsigned char* bytes = t->data;
    const size_t size = (size_t)cornu_tensor_count(t) * cornu_dtype_size(t->dtype);

    for (size_t i = 0; i < size; i++) digest = (digest ^ bytes[i]) * 0x100000001b3u;
    return digest;
}

/* Always reads the case's runs to their end, so that the next case can be read. */
static verdict run_all(cursor* c, cornu_session* session, const options* o, const bound* b, outcome* out, char reason[REASON]) {
    cornu_tensor in[MAX_TENSORS];
    cornu_tensor wanted[MAX_TENSORS];
    verdict result = PASSED;
    const uint64_t runs = take_u64(c);

    for (uint64_t r = 0; r < runs && !c->bad; r++) {
        cornu_tensor got[MAX_TENSORS] = {{0}};
        const int n_in = take_tensors(c, in);
        const int n_out = take_tensors(c, wanted);
        if (session == NULL || result != PASSED || c->bad) continue;
        if (cornu_session_output_count(session) != n_out || cornu_session_input_count(session) != n_in) {
            snprintf(reason, REASON, "the session has %d inputs and %d outputs, not %d and %d",
                     cornu_session_input_count(session), cornu_session_output_count(session), n_in, n_out);
            result = FAILED;
            continue;
        }
        cornu_status st = CORNU_OK;
        const int repeat = cornu_session_state_count(session) > 0 ? 1 : o->repeat; /* a state changes what the next run gives */
        for (int i = 0; i < repeat && st == CORNU_OK; i++) st = cornu_session_run(session, in, n_in, got, n_out);
        if (st != CORNU_OK) {
            snprintf(reason, REASON, "run %d: %s: %s", (int)r, cornu_status_name(st), cornu_last_error());
            result = st == CORNU_UNSUPPORTED ? SKIPPED : FAILED;
            continue;
        }
        const double error = compare_run(wanted, n_out, got, reason);
        int64_t numbers = 0;
        for (int i = 0; i < n_out; i++) numbers += is_float(wanted[i].dtype) ? cornu_tensor_count(&wanted[i]) : 0;
        const double tolerance = fmax(tolerance_in(o->mode, b, numbers), o->tolerance);
        if (error > out->worst) out->worst = error;
        for (int i = 0; i < n_out; i++) out->digest = digest_of(out->digest, &got[i]);
        if (error > tolerance && o->mode->unit > 1 && error <= ABOVE_MOST) {
            out->tolerance = tolerance;
        } else if (!(error <= tolerance)) {
            if (reason[0] == '\0')
                snprintf(reason, REASON, "run %d: error %.3g, tolerance %.3g", (int)r, error, tolerance);
            result = FAILED;
        }
        for (int i = 0; i < n_out; i++) cornu_tensor_release(&got[i]);
    }
    return result;
}

static int is_chosen(const options* o, const char* name, long number) {
    return (o->only == NULL || strstr(name, o->only) != NULL) && number % o->shards == o->shard;
}

static void report(const options* o, counts* n, verdict result, const char* name, const outcome* out, const char* reason) {
    if (o->perturb) {
        if (result == SKIPPED) return;
        n->pass++;
        n->seen += result == FAILED;
        return;
    }
    if (result == PASSED && out->tolerance > 0) printf("# conform.%s.%s: error %.3g is above the tolerance %.3g\n", o->device, name, out->worst, out->tolerance);
    n->above += result == PASSED && out->tolerance > 0;
    if (result == PASSED && o->digest) printf("PASS conform.%s.%s %.2g #%016" PRIx64 "\n", o->device, name, out->worst, out->digest);
    if (result == PASSED && !o->digest) printf("PASS conform.%s.%s %.2g\n", o->device, name, out->worst);
    if (result == FAILED) printf("FAIL conform.%s.%s: %s\n", o->device, name, reason);
    if (result == SKIPPED) printf("SKIP conform.%s.%s: %s\n", o->device, name, reason);
    n->pass += result == PASSED;
    n->fail += result == FAILED;
    n->skip += result == SKIPPED;
}

static void run_case(cursor* c, const options* o, long number, counts* n) {
    char reason[REASON] = "";
    char name[256];
    cornu_model* model = NULL;
    cornu_session* session = NULL;
    cornu_session_options how = CORNU_SESSION_OPTIONS_INIT;
    verdict result = PASSED;
    outcome out = {0, 0, 0xcbf29ce484222325u};
    cornu_status st = CORNU_OK;
    const blob text = take_blob(c);
    bound limits;

    limits.tolerance = take_f64(c);
    limits.keras_error = take_f64(c);
    const blob file = take_blob(c);
    if (c->bad) return;
    snprintf(name, sizeof name, "%.*s", (int)text.size, (const char*)text.data);
    const int chosen = is_chosen(o, name, number);
    how.device = o->device;
    how.precision = o->mode->precision;
    if (chosen) st = cornu_model_load_memory(file.data, file.size, NULL, &model);
    if (chosen && st == CORNU_OK && o->perturb && !perturb(model)) result = SKIPPED;
    if (chosen && st == CORNU_OK) st = cornu_session_create(model, &how, &session);
    if (st != CORNU_OK) {
        snprintf(reason, sizeof reason, "%s: %s", cornu_status_name(st), cornu_last_error());
        result = st == CORNU_UNSUPPORTED ? SKIPPED : FAILED;
    }
    const verdict ran = run_all(c, session, o, &limits, &out, reason);
    if (result == PASSED) result = ran;
    if (chosen) report(o, n, result, name, &out, reason);
    cornu_session_destroy(session);
    cornu_model_destroy(model);
}

/* ---- The program ---- */

/* The whole file, in memory aligned for any element. */
static int read_pack(const char* path, cursor* c) {
    int ok = 0;
    long size = 0;
    unsigned char* data = NULL;
    FILE* file = fopen(path, "rb");

    if (file != NULL && fseek(file, 0, SEEK_END) == 0 && (size = ftell(file)) >= 16) {
        rewind(file);
        data = malloc((size_t)size);
        ok = data != NULL && fread(data, 1, (size_t)size, file) == (size_t)size && memcmp(data, "CNPACK01", 8) == 0;
    }
    if (file != NULL) fclose(file);
    c->data = data;
    c->size = (size_t)size;
    c->at = 8;
    c->bad = !ok;
    return ok;
}

static const mode* mode_of(const char* name) {
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        if (strcmp(modes[i].name, name) == 0) return &modes[i];
    }
    return NULL;
}

static int parse(int argc, char** argv, options* o) {
    *o = (options){.device = "cpu", .mode = modes, .shards = 1, .repeat = 1};
    for (int i = 1; i < argc; i++) {
        const int more = i + 1 < argc;
        if (strcmp(argv[i], "--perturb") == 0) {
            o->perturb = 1;
        } else if (strcmp(argv[i], "--repeat") == 0 && more) {
            o->repeat = atoi(argv[++i]);
        } else if (strcmp(argv[i], "--digest") == 0) {
            o->digest = 1;
        } else if (strcmp(argv[i], "--device") == 0 && more) {
            o->device = argv[++i];
        } else if (strcmp(argv[i], "--precision") == 0 && more) {
            o->mode = mode_of(argv[++i]);
        } else if (strcmp(argv[i], "--only") == 0 && more) {
            o->only = argv[++i];
        } else if (strcmp(argv[i], "--tolerance") == 0 && more) {
            o->tolerance = strtod(argv[++i], NULL);
        } else if (strcmp(argv[i], "--shard") == 0 && more) {
            char* end = NULL;
            o->shard = strtol(argv[++i], &end, 10);
            o->shards = *end == '/' ? strtol(end + 1, NULL, 10) : 0;
        } else if (argv[i][0] != '-' && o->n_packs < MAX_PACKS) {
            o->packs[o->n_packs++] = argv[i];
        } else {
            return 0;
        }
    }
    return o->mode != NULL && o->n_packs > 0 && o->shards > 0 && o->shard >= 0 && o->shard < o->shards;
}

int main(int argc, char** argv) {
    options o;
    counts n = {0};

    if (!parse(argc, argv, &o)) {
        fprintf(
            stderr,
            "usage: conform_runner PACK... [--device NAME] [--precision MODE] [--only TEXT] [--shard I/N] [--tolerance X] [--perturb] [--repeat N] [--digest]\n");
        return 2;
    }
    for (int p = 0; p < o.n_packs; p++) {
        cursor c;
        int ok = read_pack(o.packs[p], &c);
        const uint64_t count = ok ? take_u64(&c) : 0;
        for (uint64_t i = 0; i < count && !c.bad; i++) run_case(&c, &o, (long)i, &n);
        ok = ok && !c.bad;
        free((void*)(uintptr_t)c.data);
        if (!ok) {
            printf("FAIL conform.pack: %s is no pack of cases, or is damaged\n", o.packs[p]);
            return 2;
        }
    }
    if (o.perturb) { /* a weight may be hidden behind a dead unit, but not often */
        const int saw = n.pass > 0 && n.seen * 10 >= n.pass * 8;
        printf("%s conform.%s.perturbed: the comparison saw %ld of %ld changed weights\n", saw ? "PASS" : "FAIL",
               o.device, n.seen, n.pass);
        return saw ? 0 : 1;
    }
    if (n.above > 1 && n.above * ABOVE_SHARE > n.pass) {
        printf("FAIL conform.%s.%s: %ld of %ld cases are above their tolerance\n", o.device, o.mode->name, n.above, n.pass);
        n.fail++;
    }
    fprintf(stderr, "%ld passed, %ld failed, %ld skipped on %s in %s\n", n.pass, n.fail, n.skip, o.device, o.mode->name);
    return n.fail > 0;
}
