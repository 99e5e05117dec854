/* cornu diff: what two models differ in, in one line each. Both are loaded without refusing anything. */
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "json_out.h"
#include "text.h"

typedef struct diff_args {
    int json;
} diff_args;

static const cli_option diff_options[] = {
    {"json", 0, CLI_FLAG, offsetof(diff_args, json), NULL, NULL, "print the differences as JSON"},
};

static const char* kind_name(cornu_difference_kind kind) {
    static const char* const names[] = {"config", "compile", "weight", "optimizer", "asset"};
    return (size_t)kind < sizeof names / sizeof names[0] ? names[kind] : "other";
}

static cornu_difference get_row(const cornu_diff* diff, int64_t index) {
    cornu_difference row;
    memset(&row, 0, sizeof row);
    row.size = sizeof row;
    if (cornu_diff_get(diff, index, &row) != CORNU_OK) memset(&row, 0, sizeof row);
    return row;
}

static void print_json(const cornu_diff* diff, const char* const* operands) {
    const int64_t count = cornu_diff_count(diff);
    cli_json json;
    cli_json_init(&json, stdout);
    cli_json_open_object(&json, NULL);
    cli_json_text(&json, "a", operands[0]);
    cli_json_text(&json, "b", operands[1]);
    cli_json_bool(&json, "equal", count == 0);
    cli_json_open_array(&json, "differences");
    for (int64_t i = 0; i < count; i++) {
        const cornu_difference row = get_row(diff, i);
        cli_json_open_object(&json, NULL);
        cli_json_text(&json, "kind", kind_name(row.kind));
        cli_json_text(&json, "place", row.place);
        cli_json_text(&json, "a", row.a);
        cli_json_text(&json, "b", row.b);
        if (row.has_errors) {
            cli_json_number(&json, "max_error", row.max_error, 0);
            cli_json_number(&json, "mean_error", row.mean_error, 0);
            cli_json_int(&json, "different", row.different);
            cli_json_int(&json, "count", row.count);
        }
        cli_json_close(&json);
    }
    cli_json_close(&json);
    cli_json_close(&json);
}

static char* row_text(const cornu_difference* row) {
    const char* kind = kind_name(row->kind);
    if (!row->has_errors) {
        return row->a == NULL   ? cli_format("%s: %s: only in B: %s", kind, row->place, row->b)
               : row->b == NULL ? cli_format("%s: %s: only in A: %s", kind, row->place, row->a)
                                : cli_format("%s: %s: %s -> %s", kind, row->place, row->a, row->b);
    }
    char max[40], mean[40];
    cli_number_text(row->max_error, 1, max);
    cli_number_text(row->mean_error, 1, mean);
    char* changed = strcmp(row->a, row->b) == 0 ? cli_format("%s", "") : cli_format(", %s -> %s", row->a, row->b);
    char* text = cli_format("%s: %s: max error %s, mean error %s, %lld of %lld elements%s", kind, row->place, max, mean, (long long)row->different,
                            (long long)row->count, changed);
    free(changed);
    return text;
}

static void print_text(const cornu_diff* diff) {
    const int64_t count = cornu_diff_count(diff);
    for (int64_t i = 0; i < count; i++) {
        const cornu_difference row = get_row(diff, i);
        char* text = row_text(&row);
        char* clean = cli_clean_text(text, 0);
        puts(clean);
        free(clean);
        free(text);
    }
    if (count == 0) puts("The models do not differ.");
}

static int compare(cornu_model* a, cornu_model* b, const char* const* operands, const diff_args* args) {
    cornu_diff* diff = NULL;
    const cornu_status st = cornu_model_diff(a, b, &diff);
    if (st != CORNU_OK) return cli_fail(st, CLI_RUNNING);
    if (args->json) print_json(diff, operands);
    else print_text(diff);
    const int code = cornu_diff_count(diff) == 0 ? CLI_DONE : CLI_DIFFERENT;
    cornu_diff_destroy(diff);
    return code;
}

static int run_diff(const char* const* operands, const void* args) {
    cornu_model *a = NULL, *b = NULL;
    int code = cli_load(operands[0], NULL, 0, &a);
    if (code == CLI_DONE) code = cli_load(operands[1], NULL, 0, &b);
    if (code == CLI_DONE) code = compare(a, b, operands, args);
    cornu_model_destroy(b);
    cornu_model_destroy(a);
    return code;
}

const cli_command cli_diff = {
    "diff",
    "A B",
    2,
    "show what two models differ in",
    "Configs, losses and metrics, weights with their largest and mean error, the optimizer's state, assets; also of two formats.\n"
    "Versions and dates are not compared. Exit code 5: there is a difference. Nothing in the files is run or refused.\n",
    diff_options,
    sizeof diff_options / sizeof diff_options[0],
    sizeof(diff_args),
    run_diff,
};
