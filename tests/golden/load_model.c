/* Loads weights into a model through cornu.h, for run_load_weights.py to compare with Keras.
 *
 *     load_model IN WEIGHTS OUT [--by-name] [--skip-mismatch] [--require-all] [--layer NAME]
 *
 * Prints {"status": ..., "matched": ..., "missing": ..., "mismatched": ..., "unused": ..., "told": ..., "error": ...} with the library's own names;
 * OUT is written when all went well. Exits with 0 unless it is called wrongly or IN cannot be read. */
#include <stdio.h>
#include <string.h>

#include "cornu.h"

static void count_note(void* user, cornu_weights_match what, const char* path) {
    int* told = user;
    if (path != NULL && what <= CORNU_WEIGHTS_UNUSED) (*told)++;
}

static int read_options(int argc, char** argv, cornu_weights_options* out) {
    for (int i = 4; i < argc; i++) {
        if (strcmp(argv[i], "--by-name") == 0) out->by_name = 1;
        else if (strcmp(argv[i], "--skip-mismatch") == 0) out->skip_mismatch = 1;
        else if (strcmp(argv[i], "--require-all") == 0) out->require_all = 1;
        else if (strcmp(argv[i], "--layer") == 0 && i + 1 < argc) out->layer = argv[++i];
        else return 0;
    }
    return argc >= 4;
}

static void put_text(const char* text) {
    putchar('"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') putchar('\\');
        putchar(*text == '\n' ? ' ' : *text);
    }
    putchar('"');
}

int main(int argc, char** argv) {
    cornu_weights_options options = CORNU_WEIGHTS_OPTIONS_INIT;
    cornu_weights_report report = {sizeof report, 0, 0, 0, 0};
    cornu_model* model = NULL;
    cornu_status st;
    int told = 0;

    if (!read_options(argc, argv, &options)) {
        fprintf(stderr, "usage: load_model IN WEIGHTS OUT [--by-name] [--skip-mismatch] [--require-all] [--layer NAME]\n");
        return 2;
    }
    options.note = count_note;
    options.note_user = &told;
    st = cornu_model_load(argv[1], NULL, &model);
    if (st != CORNU_OK) {
        fprintf(stderr, "load_model: %s: %s\n", cornu_status_name(st), cornu_last_error());
        return 1;
    }
    st = cornu_model_load_weights(model, argv[2], &options, &report);
    if (st == CORNU_OK) st = cornu_model_save(model, argv[3], NULL);
    printf("{\"status\": \"%s\", \"matched\": %lld, \"missing\": %lld, \"mismatched\": %lld, \"unused\": %lld, \"told\": %d, \"error\": ",
           cornu_status_name(st), (long long)report.matched, (long long)report.missing, (long long)report.mismatched, (long long)report.unused, told);
    put_text(st == CORNU_OK ? "" : cornu_last_error());
    printf("}\n");
    cornu_model_destroy(model);
    return 0;
}
