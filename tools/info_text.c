/* The report of `cornu info` for a reader. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "info.h"
#include "table.h"
#include "text.h"
#include "values.h"

#define LONGEST_TEXT 300

static void print_field(const char* label, const char* text) {
    if (text == NULL || text[0] == '\0') return;
    char* clean = cli_clean_text(text, 0);
    printf("%-15s %.*s%s\n", label, LONGEST_TEXT, clean, strlen(clean) > LONGEST_TEXT ? "..." : "");
    free(clean);
}

static void print_head(const info_report* report) {
    const cornu_model_info* info = &report->info;
    char size[32];
    print_field("File:", report->path);
    print_field("Format:", info->format_name);
    if (report->file_bytes > 0) {
        cli_size_text((double)report->file_bytes, size);
        print_field("File size:", size);
    }
    print_field("Keras version:", info->keras_version);
    print_field("Saved:", info->date_saved);
    print_field("Class:", info->class_name != NULL
                              ? info->class_name
                              : "none, the file holds no architecture; --config ARCH.json gives one");
    print_field("Compiled:", report->compiled ? "yes" : "no");
    print_field("Optimizer:", info->optimizer);
    print_field("Loss:", report->loss);
    print_field("Metrics:", report->metrics);
}

/* As Keras shows them: only where the layers are not simply a row of layers, each called on the one before it. */
static int has_connections(const info_report* report) {
    char* before = NULL;
    int found = 0;
    if (report->info.class_name == NULL || strcmp(report->info.class_name, "Sequential") == 0) return 0;
    for (int64_t i = 0; i < report->layer_count; i++) {
        const cornu_layer_info row = cli_layer_row(report, i);
        if (row.depth != 0) continue;
        const char* inputs = row.inputs != NULL ? row.inputs : "";
        if (inputs[0] != '\0' && (before == NULL || strcmp(inputs, before) != 0)) found = 1;
        free(before);
        before = cli_format("%s", row.name != NULL ? row.name : "");
    }
    free(before);
    return found;
}

static void print_layers(const info_report* report) {
    static const char* const header[] = {"Layer (type)", "Output Shape", "Param #", "Connected to"};
    const int connections = has_connections(report);
    char params[32];
    cli_table table;

    cli_table_init(&table, connections ? "llrl" : "llr");
    cli_table_add(&table, header);
    for (int64_t i = 0; i < report->layer_count; i++) {
        const cornu_layer_info row = cli_layer_row(report, i);
        char* name = cli_format("%*s%s%s (%s)", row.depth > 0 && row.depth < 32 ? 3 * (int)row.depth : 0, "",
                                row.depth > 0 ? "- " : "", row.name != NULL ? row.name : "?",
                                row.class_name != NULL ? row.class_name : "?");
        const char* inputs = row.inputs != NULL && row.inputs[0] != '\0' ? row.inputs : "-";
        cli_count_text(row.parameter_count, params);
        const char* const texts[] = {name, row.output_shape, params, inputs};
        cli_table_add(&table, texts);
        free(name);
    }
    cli_table_print(&table, stdout);
    cli_table_deinit(&table);
}

static void print_total(const char* label, int64_t count, double bytes) {
    char number[32], size[32];
    cli_count_text(count, number);
    cli_size_text(bytes, size);
    printf(" %s params: %s (%s)\n", label, number, size);
}

static void print_totals(const info_report* report) {
    const cornu_model_info* info = &report->info;
    const int64_t fixed = info->parameter_count - info->trainable_count;
    print_total("Total", info->parameter_count + info->optimizer_parameter_count,
                (double)info->weight_bytes + (double)info->optimizer_bytes);
    print_total("Trainable", info->trainable_count, cli_parameter_bytes(report, info->trainable_count));
    print_total("Non-trainable", fixed, cli_parameter_bytes(report, fixed));
    if (info->optimizer_parameter_count > 0) {
        print_total("Optimizer", info->optimizer_parameter_count, (double)info->optimizer_bytes);
    }
}

static void print_variables(const info_report* report) {
    static const char* const header[] = {"Variable", "Layer", "Dtype", "Shape", "Bytes"};
    const int64_t count = cornu_model_variable_count(report->model);
    char bytes[32];
    cli_table table;

    cli_table_init(&table, "llllr");
    cli_table_add(&table, header);
    for (int64_t i = 0; i < count; i++) {
        const cornu_variable_info row = cli_variable_row(report, i);
        char* shape = cli_shape_text(row.dims, row.ndim);
        cli_count_text((int64_t)row.bytes, bytes);
        const char* owner = row.layer != NULL ? row.layer : row.is_optimizer ? "(optimizer)" : "";
        const char* const texts[] = {row.path, owner, cornu_dtype_name(row.dtype), shape, bytes};
        cli_table_add(&table, texts);
        free(shape);
    }
    printf("\n");
    cli_table_print(&table, stdout);
    cli_table_deinit(&table);
}

static void print_assets(const info_report* report) {
    const int64_t count = cornu_model_asset_count(report->model);
    for (int64_t i = 0; i < count; i++) {
        const char* name = NULL;
        uint64_t bytes = 0;
        char size[32];
        if (cornu_model_asset_info(report->model, i, &name, &bytes) != CORNU_OK) continue;
        cli_size_text((double)bytes, size);
        char* clean = cli_clean_text(name, 0);
        printf("%-15s %s (%s)\n", i == 0 ? "Assets:" : "", clean, size);
        free(clean);
    }
}

/* Layers that say why, or else the sentence with which a session was refused. */
static void print_ability(const info_report* report) {
    int named = 0;
    for (int64_t i = 0; i < report->layer_count; i++) {
        const cornu_layer_info row = cli_layer_row(report, i);
        if (row.missing == NULL) continue;
        /* The library's sentence mostly names the layer itself. */
        char* line = strncmp(row.missing, "layer '", 7) == 0
                         ? cli_format("  %s", row.missing)
                         : cli_format("  layer '%s' (%s): %s", row.name, row.class_name, row.missing);
        char* clean = cli_clean_text(line, 0);
        if (named++ == 0) puts("Cannot run here:");
        puts(clean);
        free(clean);
        free(line);
    }
    if (report->session == NULL && named == 0) {
        char* clean = cli_clean_text(report->refusal, 1);
        printf("Cannot run here: %s\n", clean);
        free(clean);
    }
}

static void print_cuda(void) {
    cornu_cuda_info cuda;
    memset(&cuda, 0, sizeof cuda);
    cuda.size = sizeof cuda;
    cornu_cuda_get_info(&cuda);
    char* text = cuda.devices > 0 ? cli_format("%s (%s), %d device%s", cuda.plugin, cuda.kind, cuda.devices, cuda.devices == 1 ? "" : "s")
                                  : cli_format("not used: %s", cuda.reason);
    print_field("CUDA plug-in:", text);
    free(text);
}

static void print_device(const info_report* report) {
    cornu_session_info info;
    memset(&info, 0, sizeof info);
    info.size = sizeof info;
    if (report->session != NULL && cornu_session_get_info(report->session, &info) == CORNU_OK) {
        char* text = cli_format("%s, backend %s, precision %s", info.device, info.backend, info.precision);
        print_field("Runs on:", text);
        free(text);
    }
    print_cuda();
}

void cli_info_print_text(const info_report* report) {
    print_head(report);
    if (report->info.name != NULL) {
        char* clean = cli_clean_text(report->info.name, 0);
        printf("Model: \"%s\"\n", clean);
        free(clean);
    }
    if (report->layer_count > 0) print_layers(report);
    print_totals(report);
    print_assets(report);
    print_ability(report);
    print_device(report);
    if (report->args->variables) print_variables(report);
}
