/* cornu info: loads without refusing anything, gathers what the library knows, and prints it in one of four forms. */
#include "info.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "inputs.h"

static const cli_option info_options[] = {
    {"json", 0, CLI_FLAG, offsetof(info_args, json), NULL, NULL, "print everything as JSON"},
    {"variables", 0, CLI_FLAG, offsetof(info_args, variables), NULL, NULL, "list the variables with dtype and shape"},
    {"config", 0, CLI_TEXT, offsetof(info_args, config), "ARCH.json", NULL,
     "architecture of a file that holds weights only"},
    {"config-json", 0, CLI_FLAG, offsetof(info_args, config_json), NULL, NULL, "print the model's config.json only"},
    {"graph", 0, CLI_FLAG, offsetof(info_args, graph), NULL, NULL, "print the graph that runs only"},
    {"batch", 0, CLI_COUNT, offsetof(info_args, batch), "N", NULL,
     "with --graph: what dimensions that are None are (default 1)"},
    {"device", 0, CLI_DEVICE, offsetof(info_args, device), "DEVICE", NULL, "auto, cpu, cuda or cuda:N"},
};

cornu_layer_info cli_layer_row(const info_report* report, int64_t index) {
    cornu_layer_info row;
    memset(&row, 0, sizeof row);
    row.size = sizeof row;
    if (cornu_model_layer_info(report->model, index, &row) != CORNU_OK) memset(&row, 0, sizeof row);
    return row;
}

cornu_variable_info cli_variable_row(const info_report* report, int64_t index) {
    cornu_variable_info row;
    memset(&row, 0, sizeof row);
    row.size = sizeof row;
    if (cornu_model_variable_info(report->model, index, &row) != CORNU_OK) memset(&row, 0, sizeof row);
    return row;
}

double cli_parameter_bytes(const info_report* report, int64_t count) {
    const int64_t all = report->info.parameter_count;
    return all > 0 ? (double)report->info.weight_bytes * ((double)count / (double)all) : 0;
}

/* The JSON text at a pointer in the compile state; NULL where it is not there or null. Library memory. */
static char* compile_text(cornu_model* model, const char* pointer) {
    char* text = NULL;
    if (cornu_model_get_json(model, CORNU_JSON_COMPILE, pointer, &text) != CORNU_OK) return NULL;
    if (strcmp(text, "null") != 0) return text;
    cornu_free(text);
    return NULL;
}

static void gather(info_report* report) {
    cornu_session_options options = CORNU_SESSION_OPTIONS_INIT;
    struct stat file;
    if (stat(report->path, &file) == 0 && S_ISREG(file.st_mode)) report->file_bytes = (uint64_t)file.st_size;
    char* compile = compile_text(report->model, "");
    report->compiled = compile != NULL && strcmp(compile, "{}") != 0;
    cornu_free(compile);
    report->loss = compile_text(report->model, "/loss");
    report->metrics = compile_text(report->model, "/metrics");
    report->layer_count = cornu_model_layer_count(report->model);
    if (report->layer_count <= 0) {
        report->layer_count = 0;
        report->refusal = cli_format("the file holds no layers");
        return;
    }
    options.device = report->args->device;
    if (cornu_session_create(report->model, &options, &report->session) != CORNU_OK) {
        report->session = NULL;
        report->refusal = cli_format("%s", cornu_last_error());
    }
}

static int print_config(const info_report* report) {
    char* text = NULL;
    const cornu_status st = cornu_model_get_json(report->model, CORNU_JSON_CONFIG, "", &text);
    if (st != CORNU_OK) return cli_fail(st, CLI_LOADING);
    puts(text);
    cornu_free(text);
    return CLI_DONE;
}

/* The inputs of a session without data; dimensions that the model leaves open are batch. */
static int make_inputs(const info_report* report, cornu_tensor* in, int count) {
    const int64_t batch = report->args->batch > 0 ? report->args->batch : 1;
    for (int i = 0; i < count; i++) {
        cornu_port port = cli_input_port(report->session, i);
        if (port.ndim < 0) return cli_usage("the shape of the input '%s' is not in the file", port.name);
        for (int j = 0; j < port.ndim; j++) {
            if (port.dims[j] < 0) port.dims[j] = batch;
        }
        in[i] = cornu_tensor_shaped(port.dtype, NULL, port.ndim, port.dims);
    }
    return CLI_DONE;
}

static int print_graph(const info_report* report) {
    cornu_session_options options = CORNU_SESSION_OPTIONS_INIT;
    cornu_session* session = NULL;
    char* text = NULL;

    if (report->session == NULL) {
        /* Once more, for the status: gathering keeps only the sentence. */
        options.device = report->args->device;
        const cornu_status refused = cornu_session_create(report->model, &options, &session);
        cornu_session_destroy(session);
        return cli_fail(refused, CLI_RUNNING);
    }
    const int count = cornu_session_input_count(report->session);
    cornu_tensor* in = cli_alloc((size_t)count, sizeof *in);
    int code = make_inputs(report, in, count);
    if (code == CLI_DONE) {
        const cornu_status st = cornu_session_graph_text(report->session, in, count, &text);
        if (st != CORNU_OK) code = cli_fail(st, CLI_RUNNING);
        else fputs(text, stdout);
    }
    cornu_free(text);
    free(in);
    return code;
}

static int print_report(info_report* report) {
    const info_args* a = report->args;
    report->info.size = sizeof report->info;
    const cornu_status st = cornu_model_get_info(report->model, &report->info);
    if (st != CORNU_OK) return cli_fail(st, CLI_LOADING);
    if (a->config_json) return print_config(report);
    gather(report);
    if (a->graph) return print_graph(report);
    if (a->json) cli_info_print_json(report);
    else cli_info_print_text(report);
    return CLI_DONE;
}

static int run_info(const char* const* operands, const void* args) {
    info_report report;
    memset(&report, 0, sizeof report);
    report.args = args;
    report.path = operands[0];
    if (report.args->batch > 0 && !report.args->graph) return cli_usage("--batch goes with --graph");
    int code = cli_load(report.path, report.args->config, 0, &report.model);
    if (code == CLI_DONE) code = print_report(&report);
    free(report.refusal);
    cornu_free(report.loss);
    cornu_free(report.metrics);
    cornu_session_destroy(report.session);
    cornu_model_destroy(report.model);
    return code;
}

const cli_command cli_info = {
    "info",
    "MODEL",
    1,
    "show what a model holds, and whether it can run here",
    "Layers, shapes and parameters as Keras's summary() shows them; format, versions, compile state, optimizer,\n"
    "assets and sizes; what cannot run here and why. Nothing in the file is run or refused.\n",
    info_options,
    sizeof info_options / sizeof info_options[0],
    sizeof(info_args),
    run_info,
};
