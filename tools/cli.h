/* What the commands of the program `cornu` share: exit codes, errors, models, targets and progress. The program is a
 * user of cornu.h like any other. It allocates with cli_alloc, which ends the program when there is no memory. */
#ifndef CORNU_CLI_H
#define CORNU_CLI_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "cornu.h"
#include "options.h"

/* The program's exit codes. */
enum {
    CLI_DONE = 0,
    CLI_FAILED = 1,      /* failed while running: device lost, out of memory, disk full */
    CLI_USAGE = 2,       /* wrong usage, also a wrong input shape, dtype or name */
    CLI_MODEL = 3,       /* the model file is missing, damaged or refused */
    CLI_UNSUPPORTED = 4, /* the model is good but holds something that cannot run here */
    CLI_DIFFERENT = 5    /* a difference or a problem was found by a command that looks for them */
};

/* One command: a row in the table of cornu.c and a file of its own. */
typedef struct cli_command {
    const char* name;
    const char* operands; /* "IN OUT", as help writes them */
    int n_operands;
    const char* summary; /* one line of `cornu help` */
    const char* details; /* paragraphs of `cornu help COMMAND` */
    const cli_option* options;
    int n_options;
    size_t args_size; /* of the struct that the options fill in, all zero before */
    int (*run)(const char* const* operands, const void* args);
} cli_command;

extern const cli_command cli_predict, cli_info, cli_convert, cli_plot, cli_diff, cli_check, cli_bench, cli_tune, cli_layers;

/* What was being done when the library failed: decides the exit code. */
typedef enum cli_phase {
    CLI_LOADING, /* the model file */
    CLI_READING, /* the input arrays */
    CLI_RUNNING, /* creating a session and running it; weights are read here */
    CLI_WRITING  /* results */
} cli_phase;

/* ---- report.c ---- */

/* Names the command in the messages that follow. */
void cli_set_command(const char* name);
/* Writes "cornu COMMAND: sentence" to standard error; control characters are shown, not sent. */
void cli_say(const char* format, ...) __attribute__((format(printf, 1, 2)));
/* The same and where to find help. Returns CLI_USAGE. */
int cli_usage(const char* format, ...) __attribute__((format(printf, 1, 2)));
/* Says the library's last error. Returns the exit code that status means in that phase. */
int cli_fail(cornu_status status, cli_phase phase);
/* Ends what goes to standard output. Returns code, or CLI_FAILED where not all of it could be written. */
int cli_finish_output(int code);

/* Memory, never NULL. Freed by free(). */
void* cli_alloc(size_t count, size_t size);
char* cli_format(const char* format, ...) __attribute__((format(printf, 1, 2)));

/* ---- common.c ---- */

/* Loads a model with a progress bar, config_path being NULL or the architecture of a file that holds weights only. */
int cli_load(const char* path, const char* config_path, int safe_mode, cornu_model** out);
/* Whether a target may be written: it is not there, overwrite is 1, or the user at the terminal agrees. *overwrite
 * becomes 1 where he does. Returns CLI_DONE or CLI_USAGE. */
int cli_check_target(const char* path, int* overwrite);
int cli_ends_with(const char* text, const char* ending);
/* Milliseconds of a clock that never goes back. */
double cli_now_ms(void);
/* "1.23 MB", as Keras's summary() writes sizes. */
void cli_size_text(double bytes, char out[32]);
/* "1,234,567" */
void cli_count_text(int64_t count, char out[32]);

/* ---- lists.c ---- */

#define CLI_MOST_NAMES 64
/* Cuts "a,b" into names, which point into text. Returns their number, -1 for an empty name or more than CLI_MOST_NAMES. */
int cli_split(char* text, const char** names);
/* Numbers of --batch, "1,32": up to CLI_MOST_NAMES of them. Returns an exit code. */
int cli_batches(const char* text, int64_t* out, int* count);
/* The precision of that name; NULL: the default. Returns 0 for another name. */
int cli_precision(const char* name, cornu_precision* out);

/* ---- progress.c ---- */

/* A bar on standard error where that is a terminal, nothing elsewhere. */
typedef struct cli_progress {
    const char* label;
    int terminal;
    int drawn;
    double drawn_ms;
} cli_progress;

void cli_progress_start(cli_progress* progress, const char* label);
/* A cornu_progress whose user is a cli_progress. Asks to stop after an interrupt that cli_progress_interruptible
 * caught. */
int cli_progress_step(void* user, uint64_t done, uint64_t total);
/* Takes the bar away. */
void cli_progress_end(cli_progress* progress);
/* From here on the first interrupt (Ctrl-C) makes the steps ask to stop; the second ends the program. */
void cli_progress_interruptible(void);

#endif
