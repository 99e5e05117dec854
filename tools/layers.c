/* cornu layers: what this build supports, printed from the tables in the library. */
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "json_out.h"
#include "table.h"

typedef struct layers_args {
    int json;
} layers_args;

static const cli_option layers_options[] = {
    {"json", 0, CLI_FLAG, offsetof(layers_args, json), NULL, NULL, "print the tables as JSON"},
};

static int get_row(int index, cornu_support* row) {
    memset(row, 0, sizeof *row);
    row->size = sizeof *row;
    return cornu_support_get(index, row) == CORNU_OK && row->kind != NULL && row->name != NULL;
}

/* Whether an earlier row has the kind of this one: each kind is one list, wherever its rows stand. */
static int is_known_kind(int index, const char* kind) {
    cornu_support row;
    for (int i = 0; i < index; i++) {
        if (get_row(i, &row) && strcmp(row.kind, kind) == 0) return 1;
    }
    return 0;
}

static void print_json(void) {
    cornu_support first, row;
    cli_json json;
    const int count = cornu_support_count();

    cli_json_init(&json, stdout);
    cli_json_open_object(&json, NULL);
    for (int i = 0; i < count; i++) {
        if (!get_row(i, &first) || is_known_kind(i, first.kind)) continue;
        char* key = cli_format("%ss", first.kind);
        cli_json_open_array(&json, key);
        free(key);
        for (int j = i; j < count; j++) {
            if (!get_row(j, &row) || strcmp(row.kind, first.kind) != 0) continue;
            cli_json_open_object(&json, NULL);
            cli_json_text(&json, "name", row.name);
            cli_json_text(&json, "limits", row.limits != NULL ? row.limits : "");
            cli_json_close(&json);
        }
        cli_json_close(&json);
    }
    cli_json_close(&json);
}

static void print_table(void) {
    static const char* const header[] = {"Kind", "Name", "Limits"};
    cornu_support first, row;
    cli_table table;
    const int count = cornu_support_count();

    cli_table_init(&table, "lll");
    cli_table_add(&table, header);
    for (int i = 0; i < count; i++) {
        if (!get_row(i, &first) || is_known_kind(i, first.kind)) continue;
        for (int j = i; j < count; j++) {
            if (!get_row(j, &row) || strcmp(row.kind, first.kind) != 0) continue;
            const char* const texts[] = {row.kind, row.name, row.limits};
            cli_table_add(&table, texts);
        }
    }
    cli_table_print(&table, stdout);
    cli_table_deinit(&table);
}

static int run_layers(const char* const* operands, const void* args) {
    const layers_args* a = args;
    (void)operands;
    if (a->json) print_json();
    else print_table();
    return CLI_DONE;
}

const cli_command cli_layers = {
    "layers",
    "",
    0,
    "list the layers, ops, formats and backends of this build",
    "The rows come from the tables that the library itself works with. An empty last column means: without limits.\n",
    layers_options,
    sizeof layers_options / sizeof layers_options[0],
    sizeof(layers_args),
    run_layers,
};
