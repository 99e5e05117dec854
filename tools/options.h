/* Options of a command: a table of rows, parsed and explained by the same rows. */
#ifndef CORNU_CLI_OPTIONS_H
#define CORNU_CLI_OPTIONS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef enum cli_option_kind {
    CLI_FLAG,   /* int, becomes 1 */
    CLI_TEXT,   /* const char* */
    CLI_COUNT,  /* int64_t, 1 or more */
    CLI_NUMBER, /* uint64_t */
    CLI_CHOICE, /* const char*, one of choices */
    CLI_DEVICE  /* const char*: auto, cpu, reference, cuda, cuda:N */
} cli_option_kind;

typedef struct cli_option {
    const char* name; /* without the dashes */
    char letter;      /* short form, 0 for none */
    cli_option_kind kind;
    size_t offset;       /* of the value in the command's struct */
    const char* value;   /* placeholder in help, NULL for a flag */
    const char* choices; /* "strict|default", NULL for none */
    const char* help;
} cli_option;

#define CLI_MAX_OPTIONS 32

struct cli_command;

/* Fills in args and operands[n_operands] of the command. `--name value`, `--name=value`, and `--` before operands that
 * begin with a dash. Sets *help where --help is among them. Returns an exit code, CLI_DONE or CLI_USAGE; the reason is
 * said. */
int cli_parse(const struct cli_command* command, int argc, char* const* argv, void* args, const char** operands,
              int* help);
/* The row of a name that is `size` bytes long; NULL if there is none. */
const cli_option* cli_find_option(const struct cli_command* command, const char* name, size_t size);
/* The lines of help about the options. */
void cli_print_options(const struct cli_command* command, FILE* out);
/* How many single-character edits two words are apart: small for a typing error. */
size_t cli_word_distance(const char* a, size_t a_size, const char* b);

#endif
