/* Loading models, asking about targets, and how sizes and counts are written. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"

int cli_load(const char* path, const char* config_path, int safe_mode, cornu_model** out) {
    cornu_load_options options = CORNU_LOAD_OPTIONS_INIT;
    cli_progress progress;

    /* A missing architecture is wrong usage, a missing model is not: the library cannot tell them apart for us. */
    if (config_path != NULL && access(config_path, R_OK) != 0) {
        return cli_usage("cannot read '%s', given as --config: %s", config_path, strerror(errno));
    }
    options.safe_mode = safe_mode;
    options.config_path = config_path;
    options.progress = cli_progress_step;
    options.progress_user = &progress;
    cli_progress_start(&progress, "loading");
    const cornu_status st = cornu_model_load(path, &options, out);
    cli_progress_end(&progress);
    return st == CORNU_OK ? CLI_DONE : cli_fail(st, CLI_LOADING);
}

int cli_check_target(const char* path, int* overwrite) {
    struct stat info;
    char answer[16];

    if (*overwrite || lstat(path, &info) != 0) return CLI_DONE;
    if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)) {
        return cli_usage("'%s' exists; --overwrite replaces it", path);
    }
    cli_say("'%s' exists. Replace it? [y/N]", path);
    if (fgets(answer, sizeof answer, stdin) != NULL && (answer[0] == 'y' || answer[0] == 'Y')) {
        *overwrite = 1;
        return CLI_DONE;
    }
    cli_say("'%s' was left as it is", path);
    return CLI_USAGE;
}

int cli_ends_with(const char* text, const char* ending) {
    const size_t size = strlen(text);
    const size_t ending_size = strlen(ending);
    return size >= ending_size && strcmp(text + size - ending_size, ending) == 0;
}

double cli_now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

void cli_size_text(double bytes, char out[32]) {
    static const char* const units[] = {"B", "KB", "MB", "GB", "TB", "PB"};
    size_t unit = 0;
    while (bytes >= 1024 && unit + 1 < sizeof units / sizeof units[0]) {
        bytes /= 1024;
        unit++;
    }
    snprintf(out, 32, "%.2f %s", bytes, units[unit]);
}

void cli_count_text(int64_t count, char out[32]) {
    char digits[24];
    const int size = snprintf(digits, sizeof digits, "%lld", (long long)count);
    int used = 0;
    for (int i = 0; i < size; i++) {
        if (i > 0 && digits[i - 1] != '-' && (size - i) % 3 == 0) out[used++] = ',';
        out[used++] = digits[i];
    }
    out[used] = '\0';
}
