/* The program `cornu`: a table of commands and the help on them. */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static const cli_command* const commands[] = {&cli_predict, &cli_info, &cli_convert, &cli_plot, &cli_diff, &cli_check, &cli_bench, &cli_tune, &cli_layers};
#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

static const cli_command* find_command(const char* name) {
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i]->name, name) == 0) return commands[i];
    }
    return NULL;
}

static int unknown_command(const char* name) {
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (cli_word_distance(name, strlen(name), commands[i]->name) < 3) {
            return cli_usage("there is no command '%s'; did you mean '%s'?", name, commands[i]->name);
        }
    }
    return cli_usage("there is no command '%s'", name);
}

static void print_overview(FILE* out) {
    fputs("cornu runs, inspects, converts, compares, draws and measures Keras models.\n\nUsage: cornu COMMAND ARGUMENTS\n\nCommands:\n", out);
    for (size_t i = 0; i < COMMAND_COUNT; i++) fprintf(out, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
    fputs(
        "  help       show this text, or 'cornu help COMMAND'\n"
        "\nOptions:\n  --version  print the version\n  --help     show this text\n"
        "\nExit codes: 0 done; 1 failed while running; 2 wrong usage, also a wrong input shape, dtype or name;\n"
        "3 the model is missing, damaged or refused; 4 the model holds something that cannot run here;\n"
        "5 diff found a difference, check a problem.\n",
        out);
}

static void print_command(const cli_command* command, FILE* out) {
    fprintf(out, "cornu %s: %s\n\nUsage: cornu %s%s%s [OPTIONS]\n\n%s\nOptions:\n", command->name, command->summary,
            command->name, command->operands[0] != '\0' ? " " : "", command->operands, command->details);
    cli_print_options(command, out);
}

static int run_help(int argc, char* const* argv) {
    if (argc > 1) return cli_usage("'%s' is one argument too many; help takes one command", argv[1]);
    if (argc == 0 || strcmp(argv[0], "help") == 0) {
        print_overview(stdout);
        return CLI_DONE;
    }
    const cli_command* command = find_command(argv[0]);
    if (command == NULL) return unknown_command(argv[0]);
    print_command(command, stdout);
    return CLI_DONE;
}

static int run_command(const cli_command* command, int argc, char* const* argv) {
    const char** operands = cli_alloc((size_t)command->n_operands, sizeof *operands);
    void* args = cli_alloc(1, command->args_size);
    int help = 0;

    cli_set_command(command->name);
    int code = cli_parse(command, argc, argv, args, operands, &help);
    if (code == CLI_DONE && help) print_command(command, stdout);
    else if (code == CLI_DONE) code = command->run(operands, args);
    free(args);
    free(operands);
    return code;
}

static int run_program(int argc, char* const* argv) {
    if (argc < 2) {
        print_overview(stderr);
        return CLI_USAGE;
    }
    const char* first = argv[1];
    if (strcmp(first, "help") == 0) return run_help(argc - 2, argv + 2);
    if (strcmp(first, "--help") == 0 || strcmp(first, "-h") == 0) return run_help(0, NULL);
    if (strcmp(first, "--version") == 0) {
        printf("cornu %s\n", cornu_version());
        return CLI_DONE;
    }
    if (first[0] == '-') return cli_usage("there is no option '%s' before the command", first);
    const cli_command* command = find_command(first);
    if (command == NULL) return unknown_command(first);
    return run_command(command, argc - 2, argv + 2);
}

int main(int argc, char** argv) { return cli_finish_output(run_program(argc, argv)); }
