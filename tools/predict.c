/* cornu predict: arrays or a picture in, the model's outputs out. With --batch N the first axis is run in pieces of N,
 * whose outputs are joined again. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "inputs.h"
#include "json_out.h"
#include "text.h"
#include "values.h"

typedef struct predict_args {
    const char *input, *output, *device, *precision, *outputs, *config;
    int64_t batch, threads;
    uint64_t seed;
    int training, overwrite, json;
} predict_args;

static const cli_option predict_options[] = {
    {"input", 'i', CLI_TEXT, offsetof(predict_args, input), "FILE", NULL,
     "a .npz with one array for each input, a .npy, a .png or .jpg"},
    {"output", 'o', CLI_TEXT, offsetof(predict_args, output), "FILE", NULL,
     "write .npz (output_0, output_1, ...) or .npy; without it outputs are printed"},
    {"device", 0, CLI_DEVICE, offsetof(predict_args, device), "DEVICE", NULL, "auto, cpu, cuda or cuda:N"},
    {"batch", 0, CLI_COUNT, offsetof(predict_args, batch), "N", NULL, "run N rows of the first axis at a time"},
    {"precision", 0, CLI_CHOICE, offsetof(predict_args, precision), "P", "strict|default|tf32|bf16|fp16",
     "strict, default, tf32, bf16 or fp16"},
    {"threads", 0, CLI_COUNT, offsetof(predict_args, threads), "N", NULL, "CPU threads (default: all)"},
    {"outputs", 0, CLI_TEXT, offsetof(predict_args, outputs), "LAYER,...", NULL,
     "return these layers' outputs instead of the model's"},
    {"training", 0, CLI_FLAG, offsetof(predict_args, training), NULL, NULL, "run as Keras does with training=True"},
    {"seed", 0, CLI_NUMBER, offsetof(predict_args, seed), "N", NULL, "of random layers, with --training (default 0)"},
    {"config", 0, CLI_TEXT, offsetof(predict_args, config), "ARCH.json", NULL,
     "architecture of a file that holds weights only"},
    {"overwrite", 0, CLI_FLAG, offsetof(predict_args, overwrite), NULL, NULL, "replace an existing output"},
    {"json", 0, CLI_FLAG, offsetof(predict_args, json), NULL, NULL, "report shapes, times and device as JSON"},
};

typedef struct predict_job {
    const predict_args* args;
    const char* model_path;
    int overwrite;
    cornu_model* model;
    cornu_session* session;
    cli_inputs inputs;
    int n_out;
    int64_t runs;
    cornu_tensor* pieces;  /* [runs, n_out], what the library returned */
    cornu_tensor* outputs; /* [n_out], pieces joined; data is the piece's or in joined */
    void** joined;         /* [n_out], NULL where there is one piece */
    double load_ms, prepare_ms, run_ms;
} predict_job;

static int check_arguments(predict_job* job) {
    const predict_args* a = job->args;
    if (a->input == NULL) return cli_usage("--input is missing");
    if (a->output == NULL) return CLI_DONE;
    if (!cli_ends_with(a->output, ".npz") && !cli_ends_with(a->output, ".npy")) {
        return cli_usage("--output is '%s'; a name that ends in .npz or .npy is allowed", a->output);
    }
    return cli_check_target(a->output, &job->overwrite);
}

/* Cuts "a,b" into names, which point into text. */
static int split_names(char* text, const char*** out, int* count) {
    size_t commas = 0;
    for (const char* at = text; *at != '\0'; at++) commas += *at == ',';
    const char** names = cli_alloc(commas + 1, sizeof *names);
    *count = 0;
    for (char* at = text; at != NULL;) {
        char* comma = strchr(at, ',');
        if (comma != NULL) *comma = '\0';
        names[(*count)++] = at;
        at = comma != NULL ? comma + 1 : NULL;
    }
    *out = names;
    for (int i = 0; i < *count; i++) {
        if (names[i][0] == '\0') return cli_usage("--outputs has an empty name; LAYER,LAYER,... is allowed");
    }
    return CLI_DONE;
}

static int open_session(predict_job* job) {
    const predict_args* a = job->args;
    cornu_session_options options = CORNU_SESSION_OPTIONS_INIT;
    char* text = a->outputs != NULL ? cli_format("%s", a->outputs) : NULL;
    const char** names = NULL;
    int code = CLI_DONE;

    if (text != NULL) code = split_names(text, &names, &options.n_outputs);
    if (code == CLI_DONE) {
        options.device = a->device;
        (void)cli_precision(a->precision, &options.precision); /* one of the names, as the options' table says */
        options.threads = (int)a->threads;
        options.training = a->training;
        options.seed = a->seed;
        options.outputs = names;
        const cornu_status st = cornu_session_create(job->model, &options, &job->session);
        if (st != CORNU_OK) code = cli_fail(st, CLI_RUNNING);
    }
    free(names);
    free(text);
    return code;
}

static int prepare(predict_job* job) {
    double start = cli_now_ms();
    int code = cli_load(job->model_path, job->args->config, 1, &job->model);
    job->load_ms = cli_now_ms() - start;
    start = cli_now_ms();
    if (code == CLI_DONE) code = open_session(job);
    job->prepare_ms = cli_now_ms() - start;
    if (code != CLI_DONE) return code;
    job->n_out = cornu_session_output_count(job->session);
    if (job->args->output != NULL && job->n_out != 1 && cli_ends_with(job->args->output, ".npy")) {
        return cli_usage("--output is '%s', but the model has %d outputs; a .npz can hold them", job->args->output,
                         job->n_out);
    }
    code = cli_inputs_read(job->session, job->args->input, &job->inputs);
    if (code == CLI_DONE && job->args->batch > 0 && job->inputs.rows < 0) {
        return cli_usage("--batch splits the first axis, but the inputs have none");
    }
    return code;
}

/* The rows first ... first + count - 1 of a tensor, over the same elements. */
static cornu_tensor rows_of(const cornu_tensor* tensor, int64_t first, int64_t count) {
    cornu_tensor part = *tensor;
    size_t row_bytes = cornu_dtype_size(tensor->dtype);
    part.owner = NULL;
    if (tensor->dtype == 0 || tensor->ndim < 1) return part;
    for (int i = 1; i < tensor->ndim; i++) row_bytes *= (size_t)tensor->dims[i];
    if (first > 0) part.data = (char*)tensor->data + (size_t)first * row_bytes;
    part.dims[0] = count;
    return part;
}

static int run_piece(predict_job* job, int64_t piece, int64_t first, int64_t count) {
    const int n_in = job->inputs.count;
    cornu_tensor* in = cli_alloc((size_t)n_in, sizeof *in);
    for (int i = 0; i < n_in; i++) {
        in[i] = job->runs > 1 ? rows_of(&job->inputs.tensors[i], first, count) : job->inputs.tensors[i];
    }
    const cornu_status st = cornu_session_run(job->session, in, n_in, job->pieces + piece * job->n_out, job->n_out);
    free(in);
    return st == CORNU_OK ? CLI_DONE : cli_fail(st, CLI_RUNNING);
}

static int run_pieces(predict_job* job) {
    const int64_t rows = job->inputs.rows;
    const int64_t batch = job->args->batch > 0 ? job->args->batch : rows;
    cli_progress progress;
    int code = CLI_DONE;

    job->runs = rows > batch ? (rows - 1) / batch + 1 : 1;
    job->pieces = cli_alloc((size_t)(job->runs * job->n_out), sizeof *job->pieces);
    cli_progress_start(&progress, "predicting");
    const double start = cli_now_ms();
    for (int64_t i = 0; i < job->runs && code == CLI_DONE; i++) {
        const int64_t first = i * batch;
        if (job->runs > 1) cli_progress_step(&progress, (uint64_t)first, (uint64_t)rows);
        code = run_piece(job, i, first, rows - first < batch ? rows - first : batch);
    }
    job->run_ms = cli_now_ms() - start;
    cli_progress_end(&progress);
    return code;
}

/* Rows of all pieces of one output; -1 where they do not fit together. */
static int64_t joined_rows(const predict_job* job, int index) {
    const cornu_tensor* first = &job->pieces[index];
    int64_t rows = 0;
    for (int64_t i = 0; i < job->runs; i++) {
        const cornu_tensor* piece = &job->pieces[i * job->n_out + index];
        if (piece->ndim < 1 || piece->ndim != first->ndim || piece->dtype != first->dtype) return -1;
        if (memcmp(piece->dims + 1, first->dims + 1, sizeof first->dims[0] * (size_t)(first->ndim - 1)) != 0) return -1;
        rows += piece->dims[0];
    }
    return rows == job->inputs.rows ? rows : -1;
}

static int join_output(predict_job* job, int index) {
    cornu_tensor* output = &job->outputs[index];
    *output = job->pieces[index];
    output->owner = NULL;
    if (job->runs == 1) return CLI_DONE;
    const int64_t rows = joined_rows(job, index);
    if (rows < 0) {
        return cli_usage("output_%d cannot be put together from runs of --batch %" PRId64
                         " rows, because its first axis is not that of the inputs; run without --batch",
                         index, job->args->batch);
    }
    output->dims[0] = rows;
    const size_t size = cornu_dtype_size(output->dtype);
    char* to = cli_alloc((size_t)cornu_tensor_count(output), size);
    job->joined[index] = output->data = to;
    for (int64_t i = 0; i < job->runs; i++) {
        const cornu_tensor* piece = &job->pieces[i * job->n_out + index];
        const size_t bytes = (size_t)cornu_tensor_count(piece) * size;
        if (bytes > 0) memcpy(to, piece->data, bytes);
        to += bytes;
    }
    return CLI_DONE;
}

static int join_outputs(predict_job* job) {
    int code = CLI_DONE;
    job->outputs = cli_alloc((size_t)job->n_out, sizeof *job->outputs);
    job->joined = cli_alloc((size_t)job->n_out, sizeof *job->joined);
    for (int i = 0; i < job->n_out && code == CLI_DONE; i++) code = join_output(job, i);
    return code;
}

static int save_outputs(const predict_job* job) {
    cornu_array* arrays = cli_alloc((size_t)job->n_out, sizeof *arrays);
    for (int i = 0; i < job->n_out; i++) arrays[i] = (cornu_array){cli_format("output_%d", i), job->outputs[i]};
    const cornu_status st = cornu_arrays_save(job->args->output, arrays, job->n_out, job->overwrite);
    for (int i = 0; i < job->n_out; i++) free((char*)(uintptr_t)arrays[i].name);
    free(arrays);
    return st == CORNU_OK ? CLI_DONE : cli_fail(st, CLI_WRITING);
}

static cornu_port output_port(const predict_job* job, int index) {
    cornu_port port;
    memset(&port, 0, sizeof port);
    port.size = sizeof port;
    if (cornu_session_output(job->session, index, &port) != CORNU_OK || port.name == NULL) port.name = "";
    return port;
}

static void print_json(const predict_job* job) {
    cornu_session_info info;
    cli_json json;

    memset(&info, 0, sizeof info);
    info.size = sizeof info;
    cornu_session_get_info(job->session, &info);
    cli_json_init(&json, stdout);
    cli_json_open_object(&json, NULL);
    cli_json_text(&json, "model", job->model_path);
    cli_json_text(&json, "input", job->args->input);
    cli_json_text(&json, "output", job->args->output);
    cli_json_text(&json, "device", info.device);
    cli_json_text(&json, "backend", info.backend);
    cli_json_text(&json, "precision", info.precision);
    cli_json_int(&json, "runs", job->runs);
    cli_json_number(&json, "load_ms", job->load_ms, 1);
    cli_json_number(&json, "prepare_ms", job->prepare_ms, 1);
    cli_json_number(&json, "run_ms", job->run_ms, 1);
    cli_json_open_array(&json, "outputs");
    for (int i = 0; i < job->n_out; i++) {
        const cornu_tensor* tensor = &job->outputs[i];
        char* key = cli_format("output_%d", i);
        cli_json_open_object(&json, NULL);
        cli_json_text(&json, "key", key);
        cli_json_text(&json, "name", output_port(job, i).name);
        cli_json_text(&json, "dtype", cornu_dtype_name(tensor->dtype));
        cli_json_shape(&json, "shape", tensor->dims, tensor->ndim);
        if (job->args->output == NULL) cli_json_values(&json, "values", tensor);
        cli_json_close(&json);
        free(key);
    }
    cli_json_close(&json);
    cli_json_close(&json);
}

static void print_outputs(const predict_job* job) {
    for (int i = 0; i < job->n_out; i++) {
        const cornu_tensor* tensor = &job->outputs[i];
        char* shape = cli_shape_text(tensor->dims, tensor->ndim);
        char* name = cli_clean_text(output_port(job, i).name, 0);
        printf("output_%d%s%s%s: %s %s\n", i, name[0] != '\0' ? " '" : "", name, name[0] != '\0' ? "'" : "",
               cornu_dtype_name(tensor->dtype), shape);
        if (!cli_print_top_classes(tensor, stdout)) cli_print_values(tensor, stdout);
        free(name);
        free(shape);
    }
}

static void close_job(predict_job* job) {
    for (int64_t i = 0; job->pieces != NULL && i < job->runs * job->n_out; i++) cornu_tensor_release(&job->pieces[i]);
    for (int i = 0; job->joined != NULL && i < job->n_out; i++) free(job->joined[i]);
    free(job->pieces);
    free(job->outputs);
    free(job->joined);
    cli_inputs_free(&job->inputs);
    cornu_session_destroy(job->session);
    cornu_model_destroy(job->model);
}

static int run_predict(const char* const* operands, const void* args) {
    predict_job job;
    memset(&job, 0, sizeof job);
    job.args = args;
    job.model_path = operands[0];
    job.overwrite = job.args->overwrite;
    int code = check_arguments(&job);
    if (code == CLI_DONE) code = prepare(&job);
    if (code == CLI_DONE) code = run_pieces(&job);
    if (code == CLI_DONE) code = join_outputs(&job);
    if (code == CLI_DONE && job.args->output != NULL) code = save_outputs(&job);
    if (code == CLI_DONE && job.args->json) print_json(&job);
    else if (code == CLI_DONE && job.args->output == NULL) print_outputs(&job);
    close_job(&job);
    return code;
}

const cli_command cli_predict = {
    "predict",
    "MODEL",
    1,
    "run a model on arrays or a picture",
    "A .npz holds one array for each input of the model, under the input's name or as input_0, input_1, ... in the\n"
    "order of the inputs. A .npy or a picture feeds a model with one input. A picture is read as\n"
    "keras.utils.load_img reads it: values 0 to 255, a batch of one, nearest pixel where the size differs.\n",
    predict_options,
    sizeof predict_options / sizeof predict_options[0],
    sizeof(predict_args),
    run_predict,
};
