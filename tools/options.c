/* The parser of options. Rows of a command's table say what exists; here is how it is read. */
#include "options.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

/* Every command has it without a row of its own. */
static const cli_option help_option = {"help", 'h', CLI_FLAG, 0, NULL, NULL, "show this text"};

const cli_option* cli_find_option(const cli_command* command, const char* name, size_t size) {
    if (size == 4 && memcmp(name, "help", 4) == 0) return &help_option;
    for (int i = 0; i < command->n_options; i++) {
        const cli_option* option = &command->options[i];
        if (strlen(option->name) == size && memcmp(option->name, name, size) == 0) return option;
    }
    return NULL;
}

static const cli_option* find_letter(const cli_command* command, char letter) {
    if (letter == help_option.letter) return &help_option;
    for (int i = 0; i < command->n_options; i++) {
        if (command->options[i].letter == letter) return &command->options[i];
    }
    return NULL;
}

size_t cli_word_distance(const char* a, size_t a_size, const char* b) {
    enum { LONGEST = 40 };
    const size_t b_size = strlen(b);
    size_t row[LONGEST + 1];
    if (a_size > LONGEST || b_size > LONGEST) return LONGEST;
    for (size_t j = 0; j <= b_size; j++) row[j] = j;
    for (size_t i = 1; i <= a_size; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best) best = row[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[b_size];
}

static int unknown_option(const cli_command* command, const char* argument) {
    const char* name = argument + strspn(argument, "-");
    const size_t size = strcspn(name, "=");
    const cli_option* nearest = NULL;
    size_t nearest_distance = 4;
    for (int i = 0; i < command->n_options; i++) {
        const size_t distance = cli_word_distance(name, size, command->options[i].name);
        if (distance < nearest_distance && distance < size) {
            nearest = &command->options[i];
            nearest_distance = distance;
        }
    }
    if (nearest != NULL) return cli_usage("there is no option '%s'; did you mean '--%s'?", argument, nearest->name);
    return cli_usage("there is no option '%s'", argument);
}

static int all_digits(const char* text) { return text[0] != '\0' && text[strspn(text, "0123456789")] == '\0'; }

/* Whether value is one of "a|b|c". */
static int is_choice(const char* choices, const char* value) {
    const size_t size = strlen(value);
    for (const char* at = choices; at != NULL; at = strchr(at, '|')) {
        if (*at == '|') at++;
        if (strcspn(at, "|") == size && memcmp(at, value, size) == 0) return 1;
    }
    return 0;
}

static int is_device(const char* value) {
    if (is_choice("auto|cpu|reference|cuda", value)) return 1;
    return strncmp(value, "cuda:", 5) == 0 && all_digits(value + 5) && strlen(value + 5) < 5;
}

static int store_number(const cli_option* option, const char* value, void* target) {
    errno = 0;
    const uint64_t number = all_digits(value) ? strtoull(value, NULL, 10) : 0;
    if (option->kind == CLI_NUMBER) {
        if (!all_digits(value) || errno != 0) {
            return cli_usage("--%s is '%s'; a whole number from 0 to %" PRIu64 " is allowed", option->name, value,
                             UINT64_MAX);
        }
        memcpy(target, &number, sizeof number);
        return CLI_DONE;
    }
    if (errno != 0 || number < 1 || number > INT32_MAX) {
        return cli_usage("--%s is '%s'; a whole number from 1 to %d is allowed", option->name, value, INT32_MAX);
    }
    const int64_t count = (int64_t)number;
    memcpy(target, &count, sizeof count);
    return CLI_DONE;
}

static int store(const cli_option* option, const char* value, void* args) {
    void* target = (char*)args + option->offset;
    const int yes = 1;
    switch (option->kind) {
        case CLI_FLAG: memcpy(target, &yes, sizeof yes); return CLI_DONE;
        case CLI_COUNT:
        case CLI_NUMBER: return store_number(option, value, target);
        case CLI_CHOICE:
            if (is_choice(option->choices, value)) break;
            return cli_usage("--%s is '%s'; one of %s is allowed", option->name, value, option->choices);
        case CLI_DEVICE:
            if (is_device(value)) break;
            return cli_usage("--%s is '%s'; auto, cpu, cuda or cuda:N is allowed", option->name, value);
        case CLI_TEXT:
            if (value[0] != '\0') break;
            return cli_usage("--%s is empty", option->name);
    }
    memcpy(target, &value, sizeof value);
    return CLI_DONE;
}

typedef struct parser {
    const cli_command* command;
    int argc;
    char* const* argv;
    int at;
    void* args;
    int help;
    int n_operands;
    const char** operands;
    char seen[CLI_MAX_OPTIONS];
} parser;

static int parse_option(parser* p) {
    const char* argument = p->argv[p->at];
    const int is_long = argument[1] == '-';
    const char* name = argument + (is_long ? 2 : 1);
    const char* equals = is_long ? strchr(name, '=') : NULL;
    const cli_option* option = NULL;
    const char* value = NULL;

    if (is_long) option = cli_find_option(p->command, name, strcspn(name, "="));
    else if (name[1] == '\0') option = find_letter(p->command, name[0]);
    if (option == NULL) return unknown_option(p->command, argument);
    if (option->kind == CLI_FLAG && equals != NULL) return cli_usage("--%s takes no value", option->name);
    if (option == &help_option) {
        p->help = 1;
        return CLI_DONE;
    }
    char* seen = &p->seen[option - p->command->options];
    if (*seen) return cli_usage("--%s is given twice", option->name);
    *seen = 1;
    if (option->kind != CLI_FLAG) {
        if (equals == NULL && p->at + 1 >= p->argc) {
            return cli_usage("--%s needs a value, %s", option->name, option->value);
        }
        value = equals != NULL ? equals + 1 : p->argv[++p->at];
    }
    return store(option, value, p->args);
}

static int add_operand(parser* p) {
    const char* argument = p->argv[p->at];
    if (p->n_operands == p->command->n_operands) {
        return cli_usage("'%s' is one argument too many; the arguments are %s", argument,
                         p->n_operands > 0 ? p->command->operands : "options only");
    }
    if (argument[0] == '\0') return cli_usage("a path is empty");
    p->operands[p->n_operands++] = argument;
    return CLI_DONE;
}

int cli_parse(const cli_command* command, int argc, char* const* argv, void* args, const char** operands, int* help) {
    parser p = {.command = command, .argc = argc, .argv = argv, .args = args, .operands = operands};
    int only_operands = 0;
    int code = CLI_DONE;

    for (; p.at < argc && code == CLI_DONE; p.at++) {
        const char* argument = argv[p.at];
        if (!only_operands && strcmp(argument, "--") == 0) only_operands = 1;
        else if (!only_operands && argument[0] == '-' && argument[1] != '\0') code = parse_option(&p);
        else code = add_operand(&p);
    }
    *help = p.help;
    if (code == CLI_DONE && !p.help && p.n_operands < command->n_operands) {
        return cli_usage("%s missing; the arguments are %s",
                         p.n_operands + 1 < command->n_operands ? "arguments are" : "an argument is",
                         command->operands);
    }
    return code;
}

static void print_option(const cli_option* option, FILE* out) {
    char left[80];
    int size = snprintf(left, sizeof left, "  --%s", option->name);
    if (option->value != NULL) size += snprintf(left + size, sizeof left - (size_t)size, " %s", option->value);
    if (option->letter != 0) snprintf(left + size, sizeof left - (size_t)size, ", -%c", option->letter);
    fprintf(out, "%-26s%s%s\n", left, strlen(left) > 24 ? "\n                          " : "", option->help);
}

void cli_print_options(const cli_command* command, FILE* out) {
    for (int i = 0; i < command->n_options; i++) print_option(&command->options[i], out);
    print_option(&help_option, out);
}
