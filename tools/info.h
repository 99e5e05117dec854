/* What `cornu info` has found out about a model before it prints. */
#ifndef CORNU_CLI_INFO_H
#define CORNU_CLI_INFO_H

#include "cli.h"

typedef struct info_args {
    const char *config, *device;
    int64_t batch;
    int json, graph, variables, config_json;
} info_args;

typedef struct info_report {
    const info_args* args;
    const char* path;
    cornu_model* model;
    cornu_model_info info;
    cornu_session* session; /* NULL where the model cannot run here */
    char* refusal;          /* why there is no session, NULL if there is one */
    uint64_t file_bytes;    /* 0 for a directory */
    int64_t layer_count;    /* with those of nested models */
    char *loss, *metrics;   /* JSON text, NULL where the file does not say */
    int compiled;
} info_report;

void cli_info_print_text(const info_report* report);
void cli_info_print_json(const info_report* report);
/* One row; all zero where the library has none. */
cornu_layer_info cli_layer_row(const info_report* report, int64_t index);
cornu_variable_info cli_variable_row(const info_report* report, int64_t index);
/* Bytes of `count` of the layers' parameters, all taken as equally large. */
double cli_parameter_bytes(const info_report* report, int64_t count);
#endif
