/* cornu convert: loads one format, saves another. Rows of the table below are what it can write. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli.h"
#include "json_out.h"

typedef struct convert_args {
    const char *to, *config;
    int no_safe_mode, no_optimizer, overwrite, json;
} convert_args;

static const cli_option convert_options[] = {
    {"to", 0, CLI_CHOICE, offsetof(convert_args, to), "FORMAT", "keras|keras-dir|weights.h5",
     "keras, keras-dir or weights.h5 (default: by the ending of OUT)"},
    {"no-safe-mode", 0, CLI_FLAG, offsetof(convert_args, no_safe_mode), NULL, NULL,
     "take layers that hold code as data; it is never run"},
    {"no-optimizer", 0, CLI_FLAG, offsetof(convert_args, no_optimizer), NULL, NULL,
     "leave the optimizer's variables out"},
    {"config", 0, CLI_TEXT, offsetof(convert_args, config), "ARCH.json", NULL,
     "architecture of a file that holds weights only"},
    {"overwrite", 0, CLI_FLAG, offsetof(convert_args, overwrite), NULL, NULL, "replace an existing target"},
    {"json", 0, CLI_FLAG, offsetof(convert_args, json), NULL, NULL, "report what was written as JSON"},
};

typedef struct format_row {
    const char* name;
    const char* ending;
    cornu_format format;
} format_row;

static const format_row formats[] = {
    {"keras", ".keras", CORNU_FORMAT_KERAS},
    {"keras-dir", "/", CORNU_FORMAT_KERAS_DIR},
    {"weights.h5", ".weights.h5", CORNU_FORMAT_WEIGHTS},
};

/* The row of --to, or else of the ending of path; NULL if there is none. */
static const format_row* find_format(const char* name, const char* path) {
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        const format_row* row = &formats[i];
        if (name != NULL ? strcmp(row->name, name) == 0 : cli_ends_with(path, row->ending)) return row;
    }
    return NULL;
}

static int save(cornu_model* model, const char* path, const format_row* format, const convert_args* a, int overwrite) {
    cornu_save_options options = CORNU_SAVE_OPTIONS_INIT;
    cli_progress progress;

    options.format = format->format;
    options.overwrite = overwrite;
    options.include_optimizer = !a->no_optimizer;
    options.progress = cli_progress_step;
    options.progress_user = &progress;
    cli_progress_interruptible();
    cli_progress_start(&progress, "writing");
    const cornu_status st = cornu_model_save(model, path, &options);
    cli_progress_end(&progress);
    return st == CORNU_OK ? CLI_DONE : cli_fail(st, CLI_WRITING);
}

static void report(cornu_model* model, const char* const* operands, const format_row* format, int as_json) {
    cornu_model_info info;
    struct stat file;
    char size[32];
    cli_json json;

    const int is_file = stat(operands[1], &file) == 0 && S_ISREG(file.st_mode);
    if (!as_json) {
        if (is_file) cli_size_text((double)file.st_size, size);
        cli_say("wrote '%s' as %s%s%s", operands[1], format->name, is_file ? ", " : "", is_file ? size : "");
        return;
    }
    memset(&info, 0, sizeof info);
    info.size = sizeof info;
    cornu_model_get_info(model, &info);
    cli_json_init(&json, stdout);
    cli_json_open_object(&json, NULL);
    cli_json_text(&json, "input", operands[0]);
    cli_json_text(&json, "input_format", info.format_name);
    cli_json_text(&json, "output", operands[1]);
    cli_json_text(&json, "output_format", format->name);
    if (is_file) cli_json_uint(&json, "bytes", (uint64_t)file.st_size);
    cli_json_close(&json);
}

static int run_convert(const char* const* operands, const void* args) {
    const convert_args* a = args;
    const format_row* format = find_format(a->to, operands[1]);
    cornu_model* model = NULL;
    int overwrite = a->overwrite;

    if (format == NULL) {
        return cli_usage("no format is known for the name '%s'; .keras and .weights.h5 are, or --to FORMAT",
                         operands[1]);
    }
    int code = cli_check_target(operands[1], &overwrite);
    if (code == CLI_DONE) code = cli_load(operands[0], a->config, !a->no_safe_mode, &model);
    if (code == CLI_DONE) code = save(model, operands[1], format, a, overwrite);
    if (code == CLI_DONE) report(model, operands, format, a->json);
    cornu_model_destroy(model);
    return code;
}

const cli_command cli_convert = {
    "convert",
    "IN OUT",
    2,
    "load a model and save it, in another format if wanted",
    "The format of OUT follows its ending: .keras, .weights.h5, or a slash for an unpacked directory (keras-dir).\n"
    "OUT is replaced at once when all is written: after a failure it is what it was before.\n",
    convert_options,
    sizeof convert_options / sizeof convert_options[0],
    sizeof(convert_args),
    run_convert,
};
