/* cornu tune: times the ways of running a model's layers on a device and keeps the fastest in the plan cache, so that no later session has to. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "table.h"

typedef struct tune_args {
    const char *batch, *device, *precision, *shape, *config, *cache;
    int64_t seconds;
    uint64_t seed;
    int json;
} tune_args;

static const cli_option tune_options[] = {
    {"batch", 0, CLI_TEXT, offsetof(tune_args, batch), "N,...", NULL, "sizes of the batch (default 1)"},
    {"device", 0, CLI_TEXT, offsetof(tune_args, device), "DEVICE", NULL, "cuda, cuda:N (default cuda)"},
    {"precision", 0, CLI_CHOICE, offsetof(tune_args, precision), "P", "strict|default|tf32|bf16|fp16", "of the sessions that are to profit (default: default)"},
    {"shape", 0, CLI_TEXT, offsetof(tune_args, shape), "DIMxDIM,...", NULL, "of each input behind the batch, where the model does not say"},
    {"seconds", 0, CLI_COUNT, offsetof(tune_args, seconds), "N", NULL, "for each batch at most (default: as long as it takes)"},
    {"cache", 0, CLI_TEXT, offsetof(tune_args, cache), "FOLDER", NULL, "of the plan cache, instead of the user's"},
    {"seed", 0, CLI_NUMBER, offsetof(tune_args, seed), "N", NULL, "of the weights of bench/models (default 0)"},
    {"config", 0, CLI_TEXT, offsetof(tune_args, config), "ARCH.json", NULL, "architecture of a file that holds weights only"},
    {"json", 0, CLI_FLAG, offsetof(tune_args, json), NULL, NULL, "print one JSON object a problem, one a line"},
};

static const char* source_of(const cornu_tuning* row) { return row->known ? "known" : row->timed ? "timed" : "guessed"; }

static void print_json(int64_t batch, const cornu_tuning* row) {
    cli_json json;
    cli_json_init(&json, stdout);
    cli_json_open_flat_object(&json, NULL);
    cli_json_int(&json, "batch", batch);
    cli_json_text(&json, "problem", row->problem);
    cli_json_int(&json, "steps", row->steps);
    cli_json_int(&json, "ways", row->ways);
    cli_json_int(&json, "way", row->way);
    cli_json_text(&json, "name", row->name);
    cli_json_text(&json, "source", source_of(row));
    if (row->known || row->timed) {
        cli_json_number(&json, "guess_ms", row->guess_ms, 1);
        cli_json_number(&json, "best_ms", row->best_ms, 1);
    }
    cli_json_close(&json);
}

static void add_row(cli_table* table, int64_t batch, const cornu_tuning* row) {
    const int has_times = row->known || row->timed;
    char* cells[] = {cli_format("%" PRId64, batch), cli_format("%d", row->steps), cli_format("%d of %d", row->way, row->ways), cli_format("%s", row->name), cli_format("%s", source_of(row)),
                     has_times ? cli_format("%.4f", row->guess_ms) : cli_format("-"), has_times ? cli_format("%.4f", row->best_ms) : cli_format("-")};
    cli_table_add(table, (const char* const[]){cells[0], cells[1], cells[2], cells[3], cells[4], cells[5], cells[6], row->problem});
    for (size_t i = 0; i < sizeof cells / sizeof cells[0]; i++) free(cells[i]);
}

/* One batch: the session is made ready for it, which times what is not known. */
static int tune_batch(const tune_args* args, cornu_model* model, cornu_session* session, int64_t batch, cli_table* table) {
    bench_inputs inputs;
    int code = bench_inputs_make(model, session, batch, args->shape, 1, &inputs);

    if (code == CLI_DONE) {
        const cornu_status st = cornu_session_prepare(session, inputs.tensors, inputs.count);
        if (st != CORNU_OK) code = cli_fail(st, CLI_RUNNING);
    }
    if (code == CLI_DONE && *cornu_session_tuning_note(session) != '\0') {
        cli_say("the plan cache could not be written: %s", cornu_session_tuning_note(session));
        code = CLI_FAILED;
    }
    for (int i = 0; code == CLI_DONE && i < cornu_session_tuning_count(session); i++) {
        cornu_tuning row = {.size = sizeof row};
        cornu_session_tuning_get(session, i, &row);
        if (args->json) print_json(batch, &row);
        else add_row(table, batch, &row);
    }
    bench_inputs_free(&inputs);
    return code;
}

static int open_session(const tune_args* args, cornu_model* model, cornu_session** out) {
    cornu_session_options options = CORNU_SESSION_OPTIONS_INIT;

    options.device = args->device != NULL ? args->device : "cuda";
    (void)cli_precision(args->precision, &options.precision);
    options.tune = CORNU_TUNE_FULL;
    options.tune_seconds = (double)args->seconds;
    options.plan_cache = args->cache;
    const cornu_status st = cornu_session_create(model, &options, out);
    return st == CORNU_OK ? CLI_DONE : cli_fail(st, CLI_RUNNING);
}

static int run_tune(const char* const* operands, const void* args_given) {
    const tune_args* args = args_given;
    int64_t batches[CLI_MOST_NAMES];
    int n_batches = 0;
    cornu_model* model = NULL;
    cornu_session* session = NULL;
    cli_table table;

    if (args->device != NULL && strncmp(args->device, "cuda", 4) != 0) return cli_usage("--device is '%s'; cuda or cuda:N is allowed", args->device);
    int code = cli_batches(args->batch != NULL ? args->batch : "1", batches, &n_batches);
    cli_table_init(&table, "rrrllrrl");
    cli_table_add(&table, (const char* const[]){"Batch", "Steps", "Way", "Chosen", "Source", "Guess ms", "Best ms", "Problem"});
    if (code == CLI_DONE) code = bench_load(operands[0], args->config, args->seed, NULL, 0, &model);
    if (code == CLI_DONE) code = open_session(args, model, &session);
    for (int i = 0; i < n_batches && code == CLI_DONE; i++) code = tune_batch(args, model, session, batches[i], &table);
    if (code == CLI_DONE && !args->json && table.rows > 1) cli_table_print(&table, stdout);
    if (code == CLI_DONE && !args->json && table.rows == 1) puts("This model has no layer that the device can run in more than one way.");
    cli_table_deinit(&table);
    cornu_session_destroy(session);
    cornu_model_destroy(model);
    return code;
}

const cli_command cli_tune = {
    "tune",
    "MODEL",
    1,
    "time the ways of running a model, keep the fastest",
    "A CUDA device has several ways of making products and convolutions. Each is timed for this model's shapes, and the fastest\n"
    "is kept in the plan cache, for this device and these library versions: CORNU_PLAN_CACHE, else cornu in XDG_CACHE_HOME\n"
    "or ~/.cache. Sessions read it; without it they time for 2 seconds at most when they see shapes for the first time.\n",
    tune_options,
    sizeof tune_options / sizeof tune_options[0],
    sizeof(tune_args),
    run_tune,
};
