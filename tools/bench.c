/* cornu bench: latency and throughput of a model, over devices, precisions and batches.
 *
 *     for each device, precision      one session
 *         for each batch              random inputs, runs until warm, runs that are timed one by one
 *
 * On a CUDA device a case is measured with tensors of the host, as a caller without CUDA has them, and with inputs and outputs on the device. */
#include "bench.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "table.h"

#define LEAST_RUNS 10
#define MOST_RUNS 20000
#define WARM_RUNS 3 /* a device launches one by one first, then captures, then replays */
#define WARM_MS 100.0
#define CASE_MS 1000.0 /* of timed runs, without --runs */
#define PROFILE_RUNS 20

typedef struct bench_args {
    const char *batch, *device, *precision, *shape, *config, *save;
    int64_t threads, runs;
    uint64_t seed;
    int profile, json, overwrite;
} bench_args;

static const cli_option bench_options[] = {
    {"batch", 0, CLI_TEXT, offsetof(bench_args, batch), "N,...", NULL, "sizes of the batch (default 1)"},
    {"device", 0, CLI_TEXT, offsetof(bench_args, device), "DEVICE,...", NULL, "cpu, cuda, cuda:N (default cpu, and cuda if it is there)"},
    {"precision", 0, CLI_TEXT, offsetof(bench_args, precision), "P,...", NULL,
     "strict, default, tf32, bf16, fp16 of CUDA devices (default: default)"},
    {"threads", 0, CLI_COUNT, offsetof(bench_args, threads), "N", NULL, "CPU threads (default: all)"},
    {"shape", 0, CLI_TEXT, offsetof(bench_args, shape), "DIMxDIM,...", NULL, "of each input behind the batch, where the model does not say"},
    {"runs", 0, CLI_COUNT, offsetof(bench_args, runs), "N", NULL, "timed runs of a case (default: a second of them, 10 at least)"},
    {"profile", 0, CLI_FLAG, offsetof(bench_args, profile), NULL, NULL, "print time by layer and kernel too"},
    {"seed", 0, CLI_NUMBER, offsetof(bench_args, seed), "N", NULL, "of inputs, and of weights of bench/models (default 0)"},
    {"save", 0, CLI_TEXT, offsetof(bench_args, save), "FILE", NULL, "write a model of config and seed, with its weights"},
    {"config", 0, CLI_TEXT, offsetof(bench_args, config), "ARCH.json", NULL, "architecture of a file that holds weights only"},
    {"overwrite", 0, CLI_FLAG, offsetof(bench_args, overwrite), NULL, NULL, "replace an existing target of --save"},
    {"json", 0, CLI_FLAG, offsetof(bench_args, json), NULL, NULL, "print one JSON object a case, one a line"},
};

/* One measured case. */
typedef struct bench_case {
    const char *device, *precision; /* as asked for */
    int64_t batch;
    int on_device; /* tensors on the device */
    char* device_name;
    char* used; /* precision as the session has it */
    int64_t threads, runs;
    double first_ms, min_ms, median_ms, p99_ms, mean_ms;
    uint64_t arena_bytes;
    double device_ms; /* 0: not told apart */
    double cpu_ratio; /* median of the CPU / this; 0: no CPU case of that batch */
} bench_case;

typedef struct bench_job {
    const bench_args* args;
    const char* path;
    cornu_model* model;
    char *device_text, *precision_text;
    const char* devices[CLI_MOST_NAMES];
    const char* precisions[CLI_MOST_NAMES];
    int64_t batches[CLI_MOST_NAMES];
    double cpu_ms[CLI_MOST_NAMES]; /* of each batch; 0: not measured */
    int n_devices, n_precisions, n_batches;
    cli_table table;
} bench_job;

/* ---- lists ---- */

static int is_one_of(const char* name, const char* const* names, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (strcmp(names[i], name) == 0) return 1;
    }
    return 0;
}

static int check_devices(bench_job* job) {
    static const char* const known[] = {"cpu", "cuda", "reference", "auto"};
    cornu_cuda_info info = {.size = sizeof info};

    if (job->args->device == NULL) {
        const int cuda = cornu_cuda_get_info(&info) == CORNU_OK && info.devices > 0;
        job->device_text = cli_format("cpu%s", cuda ? ",cuda" : "");
    } else {
        job->device_text = cli_format("%s", job->args->device);
    }
    job->n_devices = cli_split(job->device_text, job->devices);
    for (int i = 0; i < job->n_devices; i++) {
        const char* name = job->devices[i];
        const int numbered = strncmp(name, "cuda:", 5) == 0 && name[5] != '\0' && name[5 + strspn(name + 5, "0123456789")] == '\0';
        if (!numbered && !is_one_of(name, known, 4)) return cli_usage("--device has '%s'; cpu, cuda or cuda:N is allowed", name);
    }
    return job->n_devices > 0 ? CLI_DONE : cli_usage("--device is '%s'; DEVICE,DEVICE,... is allowed", job->args->device);
}

static int check_precisions(bench_job* job) {
    cornu_precision precision;
    job->precision_text = cli_format("%s", job->args->precision != NULL ? job->args->precision : "default");
    job->n_precisions = cli_split(job->precision_text, job->precisions);
    for (int i = 0; i < job->n_precisions; i++) {
        if (!cli_precision(job->precisions[i], &precision)) {
            return cli_usage("--precision has '%s'; strict, default, tf32, bf16 or fp16 is allowed", job->precisions[i]);
        }
    }
    return job->n_precisions > 0 ? CLI_DONE : cli_usage("--precision is '%s'; P,P,... is allowed", job->args->precision);
}

/* ---- measuring ---- */

static int by_size(const void* a, const void* b) {
    const double x = *(const double*)a, y = *(const double*)b;
    return (x > y) - (x < y);
}

static void set_times(bench_case* c, double* ms, int64_t runs) {
    qsort(ms, (size_t)runs, sizeof *ms, by_size);
    c->runs = runs;
    c->min_ms = ms[0];
    c->median_ms = (ms[(runs - 1) / 2] + ms[runs / 2]) / 2;
    c->p99_ms = ms[(99 * runs + 99) / 100 - 1];
    c->mean_ms = 0;
    for (int64_t i = 0; i < runs; i++) c->mean_ms += ms[i] / (double)runs;
}

typedef struct timed {
    cornu_session* session;
    const cornu_tensor* in;
    int n_in;
    cornu_tensor* out;
    int n_out;
} timed;

static cornu_status run_timed(const timed* t, double* ms) {
    const double start = cli_now_ms();
    const cornu_status st = cornu_session_run(t->session, t->in, t->n_in, t->out, t->n_out);
    *ms = cli_now_ms() - start;
    return st;
}

/* The first run, warm ones that are not counted, and those that are. */
static cornu_status measure(const bench_args* args, const timed* t, bench_case* c) {
    double* ms = cli_alloc(MOST_RUNS, sizeof *ms);
    double spent = 0;
    int64_t runs = 0;
    const int64_t wanted = args->runs > MOST_RUNS ? MOST_RUNS : args->runs;
    cornu_status st = run_timed(t, &c->first_ms);

    for (int i = 1; st == CORNU_OK && (i < WARM_RUNS || (wanted == 0 && spent < WARM_MS)); i++) {
        st = run_timed(t, &ms[0]);
        spent += ms[0];
    }
    spent = 0;
    while (st == CORNU_OK && runs < MOST_RUNS && (wanted > 0 ? runs < wanted : runs < LEAST_RUNS || spent < CASE_MS)) {
        st = run_timed(t, &ms[runs]);
        spent += ms[runs++];
    }
    if (st == CORNU_OK) set_times(c, ms, runs);
    free(ms);
    return st;
}

/* Inputs and outputs copied to the device of `device`; out has shapes and no data. */
static cornu_status move_tensors(timed* t, int32_t device, cornu_tensor* in, cornu_tensor* out) {
    cornu_status st = CORNU_OK;
    for (int i = 0; i < t->n_in && st == CORNU_OK; i++) {
        if (t->in[i].dtype != 0) st = cornu_tensor_copy(&t->in[i], device, &in[i]);
    }
    for (int i = 0; i < t->n_out && st == CORNU_OK; i++) {
        cornu_tensor host = t->out[i];
        host.owner = NULL;
        st = cornu_tensor_copy(&host, device, &out[i]);
    }
    return st;
}

static int device_number(const char* name) { return strncmp(name, "cuda:", 5) == 0 ? atoi(name + 5) : 0; }

/* Whether every tensor can lie on the device: strings cannot. */
static int can_move(const timed* t) {
    for (int i = 0; i < t->n_in; i++) {
        if (t->in[i].dtype == CORNU_STRING) return 0;
    }
    for (int i = 0; i < t->n_out; i++) {
        if (t->out[i].dtype == CORNU_STRING) return 0;
    }
    return 1;
}

/* The same case with the tensors on the device. t->out has the outputs of a run before. */
static cornu_status measure_on_device(const bench_args* args, const timed* t, bench_case* c) {
    cornu_tensor* in = cli_alloc((size_t)t->n_in + 1, sizeof *in);
    cornu_tensor* out = cli_alloc((size_t)t->n_out + 1, sizeof *out);
    timed moved = *t;
    cornu_status st = move_tensors(&moved, device_number(c->device), in, out);

    moved.in = in;
    moved.out = out;
    if (st == CORNU_OK) st = measure(args, &moved, c);
    for (int i = 0; i < t->n_in; i++) cornu_tensor_release(&in[i]);
    for (int i = 0; i < t->n_out; i++) cornu_tensor_release(&out[i]);
    free(in);
    free(out);
    return st;
}

/* ---- results ---- */

static double items_per_s(const bench_case* c) { return c->median_ms > 0 ? (double)c->batch * 1e3 / c->median_ms : 0; }

static void print_json(const bench_job* job, const bench_case* c, const cornu_profile* profile) {
    cli_json json;
    cli_json_init(&json, stdout);
    cli_json_open_flat_object(&json, NULL);
    cli_json_text(&json, "model", job->path);
    cli_json_text(&json, "device", c->device);
    cli_json_int(&json, "batch", c->batch);
    cli_json_int(&json, "threads", c->threads);
    cli_json_number(&json, "median_ms", c->median_ms, 1);
    cli_json_number(&json, "p99_ms", c->p99_ms, 1);
    cli_json_number(&json, "items_per_s", items_per_s(c), 1);
    cli_json_text(&json, "device_name", c->device_name);
    cli_json_text(&json, "precision", c->precision);
    cli_json_text(&json, "precision_used", c->used);
    cli_json_text(&json, "tensors", c->on_device ? "device" : "host");
    cli_json_int(&json, "runs", c->runs);
    cli_json_number(&json, "min_ms", c->min_ms, 1);
    cli_json_number(&json, "mean_ms", c->mean_ms, 1);
    cli_json_number(&json, "first_ms", c->first_ms, 1);
    if (c->device_ms > 0) cli_json_number(&json, "device_ms", c->device_ms, 1);
    if (c->cpu_ratio > 0) cli_json_number(&json, "cpu_ratio", c->cpu_ratio, 1);
    cli_json_uint(&json, "arena_bytes", c->arena_bytes);
    if (profile != NULL) bench_profile_json(profile, &json);
    cli_json_close(&json);
    fflush(stdout);
}

static void add_row(bench_job* job, const bench_case* c) {
    char* device = cli_format("%s%s", c->device, !c->on_device && strncmp(c->device_name, "cuda", 4) == 0 ? ", host tensors" : "");
    char* batch = cli_format("%" PRId64, c->batch);
    char* median = cli_format("%.4f", c->median_ms);
    char* p99 = cli_format("%.4f", c->p99_ms);
    char* items = cli_format("%.1f", items_per_s(c));
    char* ratio = c->cpu_ratio > 0 ? cli_format("%.2f", c->cpu_ratio) : cli_format("-");
    cli_table_add(&job->table, (const char* const[]){device, c->precision, batch, median, p99, items, ratio});
    free(device);
    free(batch);
    free(median);
    free(p99);
    free(items);
    free(ratio);
}

static void tell(bench_job* job, const bench_case* c, const cornu_profile* profile) {
    if (job->args->json) {
        print_json(job, c, profile);
        return;
    }
    add_row(job, c);
    if (profile == NULL) return;
    printf("%s, precision %s, batch %" PRId64 "\n", c->device, c->precision, c->batch);
    bench_profile_print(profile, stdout);
}

static void describe(const bench_args* args, cornu_session* session, bench_case* c) {
    cornu_session_info info;
    const long machine = sysconf(_SC_NPROCESSORS_ONLN);
    memset(&info, 0, sizeof info);
    info.size = sizeof info;
    cornu_session_get_info(session, &info);
    c->device_name = cli_format("%s", info.device != NULL ? info.device : "");
    c->used = cli_format("%s", info.precision != NULL ? info.precision : "");
    c->arena_bytes = info.arena_bytes;
    c->threads = args->threads > 0 ? args->threads : machine > 0 ? machine : 1;
}

/* ---- cases ---- */

static int run_case(bench_job* job, cornu_session* session, const bench_inputs* inputs, int batch, bench_case* c) {
    timed t = {session, inputs->tensors, inputs->count, NULL, cornu_session_output_count(session)};
    cornu_profile* profile = NULL;
    cornu_profile_info info = {.size = sizeof info};
    cornu_status st;

    if (t.n_out < 0) return cli_usage("the model's outputs are not known before it has run");
    t.out = cli_alloc((size_t)t.n_out + 1, sizeof *t.out);
    st = measure(job->args, &t, c);
    describe(job->args, session, c);
    const int cuda = strncmp(c->device_name, "cuda", 4) == 0;
    if (!cuda && st == CORNU_OK) job->cpu_ms[batch] = c->median_ms;
    if (job->cpu_ms[batch] > 0 && st == CORNU_OK) c->cpu_ratio = job->cpu_ms[batch] / c->median_ms;
    if (st == CORNU_OK && (job->args->profile || cuda)) {
        const int64_t runs = job->args->runs > 0 && job->args->runs < PROFILE_RUNS ? job->args->runs : PROFILE_RUNS;
        st = cornu_session_profile(session, t.in, t.n_in, (int)runs, &profile);
    }
    if (st == CORNU_OK && cuda && cornu_profile_get_info(profile, &info) == CORNU_OK) c->device_ms = info.run_ms;
    if (st == CORNU_OK) tell(job, c, job->args->profile && !(cuda && can_move(&t)) ? profile : NULL);
    if (st == CORNU_OK && cuda && can_move(&t)) {
        c->on_device = 1;
        st = measure_on_device(job->args, &t, c);
        if (job->cpu_ms[batch] > 0 && st == CORNU_OK) c->cpu_ratio = job->cpu_ms[batch] / c->median_ms;
        if (st == CORNU_OK) tell(job, c, job->args->profile ? profile : NULL);
    }
    for (int i = 0; i < t.n_out; i++) cornu_tensor_release(&t.out[i]);
    cornu_profile_destroy(profile);
    free(t.out);
    free(c->device_name);
    free(c->used);
    return st == CORNU_OK ? CLI_DONE : cli_fail(st, CLI_RUNNING);
}

static int run_batches(bench_job* job, cornu_session* session, const char* device, const char* precision) {
    int code = CLI_DONE;
    for (int i = 0; i < job->n_batches && code == CLI_DONE; i++) {
        bench_case c = {.device = device, .precision = precision, .batch = job->batches[i]};
        bench_inputs inputs;
        code = bench_inputs_make(job->model, session, c.batch, job->args->shape, job->args->seed, &inputs);
        if (code == CLI_DONE) code = run_case(job, session, &inputs, i, &c);
        bench_inputs_free(&inputs);
    }
    return code;
}

static int open_session(const bench_job* job, const char* device, const char* precision, cornu_session** out) {
    cornu_session_options options = CORNU_SESSION_OPTIONS_INIT;

    options.device = device;
    (void)cli_precision(precision, &options.precision);
    options.threads = (int)job->args->threads;
    const cornu_status st = cornu_session_create(job->model, &options, out);
    return st == CORNU_OK ? CLI_DONE : cli_fail(st, CLI_RUNNING);
}

/* Whether all that is asked for can be had, before minutes are spent on the first part of it. */
static int try_devices(const bench_job* job) {
    int code = CLI_DONE;
    for (int d = 0; d < job->n_devices && code == CLI_DONE; d++) {
        cornu_session* session = NULL;
        bench_inputs inputs;
        code = open_session(job, job->devices[d], job->precisions[0], &session);
        if (code == CLI_DONE) {
            code = bench_inputs_make(job->model, session, 1, job->args->shape, 0, &inputs);
            bench_inputs_free(&inputs);
        }
        cornu_session_destroy(session);
    }
    return code;
}

static int run_session(bench_job* job, const char* device, const char* precision) {
    cornu_session* session = NULL;
    int code = open_session(job, device, precision, &session);
    if (code == CLI_DONE) code = run_batches(job, session, device, precision);
    cornu_session_destroy(session);
    return code;
}

/* The CPU has one way of computing: it is measured once. */
static int run_devices(bench_job* job) {
    int code = CLI_DONE;
    for (int d = 0; d < job->n_devices; d++) {
        const int cuda = strncmp(job->devices[d], "cuda", 4) == 0 || strcmp(job->devices[d], "auto") == 0;
        for (int p = 0; p < (cuda ? job->n_precisions : 1) && code == CLI_DONE; p++) code = run_session(job, job->devices[d], job->precisions[p]);
    }
    return code;
}

static int run_bench(const char* const* operands, const void* args) {
    bench_job job;
    memset(&job, 0, sizeof job);
    job.args = args;
    job.path = operands[0];
    int overwrite = job.args->overwrite;
    int code = check_devices(&job);
    if (code == CLI_DONE) code = check_precisions(&job);
    if (code == CLI_DONE) code = cli_batches(job.args->batch != NULL ? job.args->batch : "1", job.batches, &job.n_batches);
    if (code == CLI_DONE && job.args->save != NULL) code = cli_check_target(job.args->save, &overwrite);
    if (code == CLI_DONE) code = bench_load(job.path, job.args->config, job.args->seed, job.args->save, overwrite, &job.model);
    cli_table_init(&job.table, "llrrrrr");
    cli_table_add(&job.table, (const char* const[]){"Device", "Precision", "Batch", "Median ms", "p99 ms", "Items/s", "CPU/this"});
    if (code == CLI_DONE) code = try_devices(&job);
    if (code == CLI_DONE) code = run_devices(&job);
    if (!job.args->json && job.table.rows > 1) cli_table_print(&job.table, stdout);
    cli_table_deinit(&job.table);
    cornu_model_destroy(job.model);
    free(job.device_text);
    free(job.precision_text);
    return code;
}

const cli_command cli_bench = {
    "bench",
    "MODEL",
    1,
    "measure latency and throughput",
    "Runs the model on random inputs until it is warm, then times single runs: median, 99th percentile, items a second,\n"
    "and how many times faster than the CPU. On CUDA with tensors of the host, and with tensors on the device.\n"
    "A model of config and seed, as in bench/models, gets its weights from the seed. Rates of --profile are of the\n"
    "operations and bytes that the results need at least, with their part of the device's peak.\n",
    bench_options,
    sizeof bench_options / sizeof bench_options[0],
    sizeof(bench_args),
    run_bench,
};
