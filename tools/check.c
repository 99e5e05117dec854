/* cornu check: every reason for which Keras would refuse or misread a file, or Cornu not run it. The file is loaded without refusing anything. */
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "json_out.h"
#include "text.h"

typedef struct check_args {
    const char* custom;
    int json;
} check_args;

static const cli_option check_options[] = {
    {"json", 0, CLI_FLAG, offsetof(check_args, json), NULL, NULL, "print the findings as JSON"},
    {"custom", 0, CLI_TEXT, offsetof(check_args, custom), "NAME,...", NULL, "custom objects that the program which loads the model has"},
};

static cornu_finding get_row(const cornu_check* check, int64_t index) {
    cornu_finding row;
    memset(&row, 0, sizeof row);
    row.size = sizeof row;
    if (cornu_check_get(check, index, &row) != CORNU_OK) memset(&row, 0, sizeof row);
    return row;
}

static int64_t count_problems(const cornu_check* check, const char* who) {
    int64_t sum = 0;
    for (int64_t i = 0; i < cornu_check_count(check); i++) {
        const cornu_finding row = get_row(check, i);
        if (row.severity == CORNU_PROBLEM && (who == NULL || strcmp(row.who, who) == 0)) sum++;
    }
    return sum;
}

static void print_json(const cornu_check* check, const char* path) {
    cli_json json;
    cli_json_init(&json, stdout);
    cli_json_open_object(&json, NULL);
    cli_json_text(&json, "file", path);
    cli_json_bool(&json, "keras_accepts", count_problems(check, "keras") == 0);
    cli_json_bool(&json, "cornu_runs", count_problems(check, "cornu") == 0);
    cli_json_open_array(&json, "findings");
    for (int64_t i = 0; i < cornu_check_count(check); i++) {
        const cornu_finding row = get_row(check, i);
        cli_json_open_object(&json, NULL);
        cli_json_text(&json, "severity", row.severity == CORNU_PROBLEM ? "problem" : "note");
        cli_json_text(&json, "who", row.who);
        cli_json_text(&json, "code", row.code);
        cli_json_text(&json, "place", row.place);
        cli_json_text(&json, "what", row.what);
        cli_json_text(&json, "remedy", row.remedy);
        cli_json_close(&json);
    }
    cli_json_close(&json);
    cli_json_close(&json);
}

static void print_text(const cornu_check* check) {
    for (int64_t i = 0; i < cornu_check_count(check); i++) {
        const cornu_finding row = get_row(check, i);
        char* text = cli_format("%s, %s: %s: %s. %s", row.severity == CORNU_PROBLEM ? "problem" : "note", row.who, row.place, row.what, row.remedy);
        char* clean = cli_clean_text(text, 0);
        puts(clean);
        free(clean);
        free(text);
    }
    if (count_problems(check, NULL) == 0) puts("No problems: Keras 3.15 opens it, and it runs here.");
}

/* Cuts "a,b" into names, in place. Returns how many there are. */
static int split(char* text, const char** names) {
    int count = 0;
    for (char* name = text; name != NULL;) {
        char* comma = strchr(name, ',');
        if (comma != NULL) *comma = '\0';
        names[count++] = name;
        name = comma != NULL ? comma + 1 : NULL;
    }
    return count;
}

static int check_model(cornu_model* model, const char* path, const check_args* args) {
    cornu_check_options options = CORNU_CHECK_OPTIONS_INIT;
    cornu_check* check = NULL;
    char* names = cli_format("%s", args->custom != NULL ? args->custom : "");
    const char** list = cli_alloc(strlen(names) + 1, sizeof *list);
    int code = CLI_DONE;

    options.custom_objects = list;
    options.n_custom_objects = args->custom != NULL ? split(names, list) : 0;
    const cornu_status st = cornu_model_check(model, &options, &check);
    if (st != CORNU_OK) {
        code = cli_fail(st, CLI_RUNNING);
    } else {
        if (args->json) print_json(check, path);
        else print_text(check);
        code = count_problems(check, NULL) == 0 ? CLI_DONE : CLI_DIFFERENT;
    }
    cornu_check_destroy(check);
    free(list);
    free(names);
    return code;
}

static int run_check(const char* const* operands, const void* args) {
    cornu_model* model = NULL;
    int code = cli_load(operands[0], NULL, 0, &model);
    if (code == CLI_DONE) code = check_model(model, operands[0], args);
    cornu_model_destroy(model);
    return code;
}

const cli_command cli_check = {
    "check",
    "MODEL",
    1,
    "find what Keras would refuse or misread, and what cannot run here",
    "Every problem with its place and its remedy. Exit code 5: there is a problem; notes are none. Nothing in the file is run or refused;\n"
    "a file that cannot be read at all is exit code 3.\n",
    check_options,
    sizeof check_options / sizeof check_options[0],
    sizeof(check_args),
    run_check,
};
