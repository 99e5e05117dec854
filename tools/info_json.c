/* The report of `cornu info` for programs. */
#include <stdlib.h>
#include <string.h>

#include "info.h"
#include "json_out.h"
#include "values.h"

static void put_head(cli_json* json, const info_report* report) {
    const cornu_model_info* info = &report->info;
    cli_json_text(json, "file", report->path);
    cli_json_text(json, "format", info->format_name);
    cli_json_uint(json, "file_bytes", report->file_bytes);
    cli_json_text(json, "keras_version", info->keras_version);
    cli_json_text(json, "date_saved", info->date_saved);
    cli_json_text(json, "class_name", info->class_name);
    cli_json_text(json, "name", info->name);
    cli_json_bool(json, "compiled", report->compiled);
    cli_json_text(json, "optimizer", info->optimizer);
    if (report->loss != NULL) cli_json_raw(json, "loss", report->loss);
    if (report->metrics != NULL) cli_json_raw(json, "metrics", report->metrics);
}

static void put_layers(cli_json* json, const info_report* report) {
    cli_json_open_array(json, "layers");
    for (int64_t i = 0; i < report->layer_count; i++) {
        const cornu_layer_info row = cli_layer_row(report, i);
        cli_json_open_object(json, NULL);
        cli_json_text(json, "name", row.name);
        cli_json_text(json, "class_name", row.class_name);
        cli_json_text(json, "path", row.path);
        cli_json_int(json, "depth", row.depth);
        cli_json_bool(json, "trainable", row.trainable);
        cli_json_int(json, "params", row.parameter_count);
        cli_json_text(json, "output_shape", row.output_shape);
        cli_json_text(json, "inputs", row.inputs);
        cli_json_text(json, "missing", row.missing);
        cli_json_close(json);
    }
    cli_json_close(json);
}

static void put_totals(cli_json* json, const info_report* report) {
    const cornu_model_info* info = &report->info;
    cli_json_open_object(json, "totals");
    cli_json_int(json, "total_params", info->parameter_count + info->optimizer_parameter_count);
    cli_json_int(json, "trainable_params", info->trainable_count);
    cli_json_int(json, "non_trainable_params", info->parameter_count - info->trainable_count);
    cli_json_int(json, "optimizer_params", info->optimizer_parameter_count);
    cli_json_uint(json, "weight_bytes", info->weight_bytes);
    cli_json_uint(json, "optimizer_bytes", info->optimizer_bytes);
    cli_json_int(json, "variables", info->variable_count);
    cli_json_close(json);
}

static void put_assets(cli_json* json, const info_report* report) {
    const int64_t count = cornu_model_asset_count(report->model);
    cli_json_open_array(json, "assets");
    for (int64_t i = 0; i < count; i++) {
        const char* name = NULL;
        uint64_t bytes = 0;
        if (cornu_model_asset_info(report->model, i, &name, &bytes) != CORNU_OK) continue;
        cli_json_open_object(json, NULL);
        cli_json_text(json, "name", name);
        cli_json_uint(json, "bytes", bytes);
        cli_json_close(json);
    }
    cli_json_close(json);
}

static void put_variables(cli_json* json, const info_report* report) {
    const int64_t count = cornu_model_variable_count(report->model);
    cli_json_open_array(json, "variables");
    for (int64_t i = 0; i < count; i++) {
        const cornu_variable_info row = cli_variable_row(report, i);
        cli_json_open_object(json, NULL);
        cli_json_text(json, "path", row.path);
        cli_json_text(json, "layer", row.layer);
        cli_json_text(json, "dtype", cornu_dtype_name(row.dtype));
        cli_json_shape(json, "shape", row.dims, row.ndim);
        cli_json_uint(json, "bytes", row.bytes);
        cli_json_bool(json, "optimizer", row.is_optimizer);
        cli_json_close(json);
    }
    cli_json_close(json);
}

static void put_ability(cli_json* json, const info_report* report) {
    cornu_session_info info;
    cornu_cuda_info cuda;
    memset(&info, 0, sizeof info);
    info.size = sizeof info;
    if (report->session != NULL) cornu_session_get_info(report->session, &info);
    cli_json_bool(json, "runnable", report->session != NULL);
    cli_json_text(json, "cannot_run", report->refusal);
    cli_json_text(json, "device", info.device);
    cli_json_text(json, "backend", info.backend);
    cli_json_text(json, "precision", info.precision);
    memset(&cuda, 0, sizeof cuda);
    cuda.size = sizeof cuda;
    cornu_cuda_get_info(&cuda);
    cli_json_text(json, "cuda_plugin", cuda.plugin[0] != '\0' ? cuda.plugin : NULL);
    cli_json_int(json, "cuda_devices", cuda.devices);
    cli_json_text(json, "cuda_unusable", cuda.devices > 0 ? NULL : cuda.reason);
}

void cli_info_print_json(const info_report* report) {
    cli_json json;
    cli_json_init(&json, stdout);
    cli_json_open_object(&json, NULL);
    put_head(&json, report);
    put_layers(&json, report);
    put_totals(&json, report);
    put_assets(&json, report);
    if (report->args->variables) put_variables(&json, report);
    put_ability(&json, report);
    cli_json_close(&json);
}
