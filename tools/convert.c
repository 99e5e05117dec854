/* cornu convert: loads one format, saves another. Rows of the table below are what it can write. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli.h"
#include "json_out.h"

typedef struct convert_args {
    const char *to, *config, *dialect, *shard_size;
    int no_safe_mode, no_optimizer, overwrite, json;
} convert_args;

static const cli_option convert_options[] = {
    {"to", 0, CLI_CHOICE, offsetof(convert_args, to), "FORMAT", "keras|keras-dir|weights.h5|weights.json|h5|h5-weights|json|npz",
     "keras, keras-dir, weights.h5, weights.json, h5, h5-weights, json or npz (default: by the ending of OUT)"},
    {"dialect", 0, CLI_CHOICE, offsetof(convert_args, dialect), "WHOSE", "keras|tf",
     "write the form of Keras 3.15 (keras), or of h5, h5-weights and json that of tf.keras 2.15 (tf)"},
    {"shard-size", 0, CLI_TEXT, offsetof(convert_args, shard_size), "SIZE", NULL,
     "most bytes of variables in a file of weights.json: a number, or one with K, M or G behind it (default: 5G)"},
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

/* A longer ending comes before one that it ends with. */
static const format_row formats[] = {
    {"keras", ".keras", CORNU_FORMAT_KERAS},
    {"keras-dir", "/", CORNU_FORMAT_KERAS_DIR},
    {"weights.h5", ".weights.h5", CORNU_FORMAT_WEIGHTS},
    {"weights.json", ".weights.json", CORNU_FORMAT_SHARDED},
    {"h5", ".h5", CORNU_FORMAT_H5},
    {"h5", ".hdf5", CORNU_FORMAT_H5},
    {"h5-weights", NULL, CORNU_FORMAT_H5_WEIGHTS},
    {"json", ".json", CORNU_FORMAT_JSON},
    {"npz", ".npz", CORNU_FORMAT_NPZ},
};

/* The row of --to, or else of the ending of path; NULL if there is none. */
static const format_row* find_format(const char* name, const char* path) {
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        const format_row* row = &formats[i];
        if (name != NULL ? strcmp(row->name, name) == 0 : row->ending != NULL && cli_ends_with(path, row->ending)) return row;
    }
    return NULL;
}

/* "1500", "64K", "500M", "2G"; 0 where it is none of these. */
static uint64_t read_size(const char* text) {
    static const char units[] = "KMG";
    char* end;
    const char* unit;

    const uint64_t number = text[0] >= '0' && text[0] <= '9' ? strtoull(text, &end, 10) : 0;
    if (number == 0 || number > UINT64_MAX >> 31 || *end == '\0') return *text != '\0' && number > 0 && *end == '\0' ? number : 0;
    unit = strchr(units, *end);
    return unit != NULL && end[1] == '\0' ? number << (10 * (unit - units + 1)) : 0;
}

static void say_note(void* user, const char* sentence) {
    (void)user;
    cli_say("note: %s", sentence);
}

static int save(cornu_model* model, const char* path, const format_row* format, const convert_args* a, int overwrite,
                uint64_t shard_bytes) {
    cornu_save_options options = CORNU_SAVE_OPTIONS_INIT;
    cli_progress progress;

    options.format = format->format;
    options.overwrite = overwrite;
    options.include_optimizer = !a->no_optimizer;
    options.shard_bytes = shard_bytes;
    options.note = say_note;
    if (a->dialect != NULL) options.dialect = strcmp(a->dialect, "tf") == 0 ? CORNU_DIALECT_TF : CORNU_DIALECT_KERAS;
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
    const uint64_t shard_bytes = a->shard_size != NULL ? read_size(a->shard_size) : 0;

    if (format == NULL) {
        return cli_usage("no format is known for the name '%s'; .keras, .weights.h5, .weights.json, .h5, .hdf5, .json and .npz are, or --to FORMAT",
                         operands[1]);
    }
    if (a->shard_size != NULL && shard_bytes == 0) {
        return cli_usage("--shard-size is '%s'; a number is allowed, or one with K, M or G behind it", a->shard_size);
    }
    if (a->shard_size != NULL && format->format != CORNU_FORMAT_SHARDED) {
        return cli_usage("--shard-size is for weights.json; '%s' would be one file", operands[1]);
    }
    int code = cli_check_target(operands[1], &overwrite);
    if (code == CLI_DONE) code = cli_load(operands[0], a->config, !a->no_safe_mode, &model);
    if (code == CLI_DONE) code = save(model, operands[1], format, a, overwrite, shard_bytes);
    if (code == CLI_DONE) report(model, operands, format, a->json);
    cornu_model_destroy(model);
    return code;
}

const cli_command cli_convert = {
    "convert",
    "IN OUT",
    2,
    "load a model and save it, in another format if wanted",
    "The format of OUT follows its ending: .keras, .weights.h5, .weights.json (sharded), .h5 or .hdf5 (a whole model in legacy\n"
    "HDF5), .json (the architecture), .npz, or a slash for an unpacked directory (keras-dir). h5-weights, the weights of\n"
    "tf.keras and older Keras, is written only by --to. Models of another format than OUT's are brought to the form of\n"
    "Keras 3.15; between equal formats --dialect keras asks for it. What OUT cannot hold is named on standard error, and\n"
    "refused where the model would be another one without it.\n"
    "OUT is replaced at once when all is written: after a failure it is what it was before.\n",
    convert_options,
    sizeof convert_options / sizeof convert_options[0],
    sizeof(convert_args),
    run_convert,
};
