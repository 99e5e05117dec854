/* A progress bar of one line, redrawn in place and taken away at the end. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

#define BAR_WIDTH 30
#define REDRAW_MS 50.0

static volatile sig_atomic_t interrupted;

static void note_interrupt(int number) {
    (void)number;
    interrupted = 1;
}

void cli_progress_interruptible(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = note_interrupt;
    action.sa_flags = (int)SA_RESETHAND;
    sigaction(SIGINT, &action, NULL);
}

void cli_progress_start(cli_progress* progress, const char* label) {
    const char* term = getenv("TERM");
    memset(progress, 0, sizeof *progress);
    progress->label = label;
    progress->terminal = isatty(STDERR_FILENO) && (term == NULL || strcmp(term, "dumb") != 0);
}

int cli_progress_step(void* user, uint64_t done, uint64_t total) {
    cli_progress* progress = user;
    char bar[BAR_WIDTH + 1];

    if (interrupted) return 1;
    if (!progress->terminal || total == 0 || done >= total) return 0;
    const double now = cli_now_ms();
    if (progress->drawn && now - progress->drawn_ms < REDRAW_MS) return 0;
    const double share = (double)done / (double)total;
    const int filled = (int)(share * BAR_WIDTH);
    for (int i = 0; i < BAR_WIDTH; i++) bar[i] = i < filled ? '#' : '.';
    bar[BAR_WIDTH] = '\0';
    fprintf(stderr, "\r%s [%s] %3d%%", progress->label, bar, (int)(share * 100));
    fflush(stderr);
    progress->drawn = 1;
    progress->drawn_ms = now;
    return 0;
}

void cli_progress_end(cli_progress* progress) {
    if (progress->drawn) fputs("\r\033[K", stderr);
    progress->drawn = 0;
}
