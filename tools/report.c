/* Messages and exit codes. Everything that is not a result goes to standard error, through one function. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "text.h"

static const char* command_name = "";

void cli_set_command(const char* name) { command_name = name; }

void* cli_alloc(size_t count, size_t size) {
    void* memory = calloc(count > 0 ? count : 1, size > 0 ? size : 1);
    if (memory == NULL) {
        fputs("cornu: there is not enough memory\n", stderr);
        exit(CLI_FAILED);
    }
    return memory;
}

static char* format_list(const char* format, va_list list) {
    va_list copy;
    va_copy(copy, list);
    const int size = vsnprintf(NULL, 0, format, copy);
    va_end(copy);
    char* text = cli_alloc((size_t)(size < 0 ? 0 : size) + 1, 1);
    if (size >= 0) vsnprintf(text, (size_t)size + 1, format, list);
    return text;
}

char* cli_format(const char* format, ...) {
    va_list list;
    va_start(list, format);
    char* text = format_list(format, list);
    va_end(list);
    return text;
}

static void say_list(const char* format, va_list list) {
    char* text = format_list(format, list);
    char* clean = cli_clean_text(text, 1);
    fprintf(stderr, "cornu%s%s: %s\n", command_name[0] != '\0' ? " " : "", command_name, clean);
    free(clean);
    free(text);
}

void cli_say(const char* format, ...) {
    va_list list;
    va_start(list, format);
    say_list(format, list);
    va_end(list);
}

int cli_usage(const char* format, ...) {
    va_list list;
    va_start(list, format);
    say_list(format, list);
    va_end(list);
    fprintf(stderr, "See 'cornu help%s%s'.\n", command_name[0] != '\0' ? " " : "", command_name);
    return CLI_USAGE;
}

/* The phase tells whose fault a status is: a missing file is wrong usage, unless it is the model. */
static int exit_code(cornu_status status, cli_phase phase) {
    static const struct {
        cornu_status status;
        int code[4]; /* of CLI_LOADING, CLI_READING, CLI_RUNNING, CLI_WRITING */
    } rows[] = {
        {CORNU_BAD_ARGUMENT, {CLI_USAGE, CLI_USAGE, CLI_USAGE, CLI_USAGE}},
        {CORNU_NOT_FOUND, {CLI_MODEL, CLI_USAGE, CLI_USAGE, CLI_FAILED}},
        {CORNU_IO_ERROR, {CLI_MODEL, CLI_USAGE, CLI_MODEL, CLI_FAILED}},
        {CORNU_BAD_FILE, {CLI_MODEL, CLI_USAGE, CLI_MODEL, CLI_MODEL}},
        {CORNU_REFUSED, {CLI_MODEL, CLI_USAGE, CLI_MODEL, CLI_MODEL}},
        {CORNU_UNSUPPORTED, {CLI_UNSUPPORTED, CLI_USAGE, CLI_UNSUPPORTED, CLI_UNSUPPORTED}},
        {CORNU_EXISTS, {CLI_USAGE, CLI_USAGE, CLI_USAGE, CLI_USAGE}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].status == status) return rows[i].code[phase];
    }
    return CLI_FAILED;
}

int cli_fail(cornu_status status, cli_phase phase) {
    const char* sentence = cornu_last_error();
    cli_say("%s", sentence[0] != '\0' ? sentence : cornu_status_name(status));
    return exit_code(status, phase);
}

int cli_finish_output(int code) {
    const int failed = fflush(stdout) != 0 || ferror(stdout);
    if (!failed) return code;
    cli_say("cannot write standard output: %s", errno != 0 ? strerror(errno) : "unknown reason");
    return code == CLI_DONE ? CLI_FAILED : code;
}
