/* Options whose value is a list, and the names of precisions. */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static const char* const precisions[] = {"default", "strict", "tf32", "bf16", "fp16"}; /* in the order of cornu_precision */
#define PRECISION_COUNT (sizeof precisions / sizeof precisions[0])

int cli_split(char* text, const char** names) {
    int count = 0;
    for (char* at = text; at != NULL;) {
        char* comma = strchr(at, ',');
        if (comma != NULL) *comma = '\0';
        if (*at == '\0' || count == CLI_MOST_NAMES) return -1;
        names[count++] = at;
        at = comma != NULL ? comma + 1 : NULL;
    }
    return count;
}

int cli_batches(const char* text, int64_t* out, int* count) {
    const char* names[CLI_MOST_NAMES];
    char* copy = cli_format("%s", text);
    int code = CLI_DONE;

    *count = cli_split(copy, names);
    if (*count < 0) code = cli_usage("--batch is '%s'; N,N,... is allowed", text);
    for (int i = 0; i < *count && code == CLI_DONE; i++) {
        char* end;
        out[i] = strtoll(names[i], &end, 10);
        if (*end != '\0' || names[i][0] == '-' || out[i] < 1 || out[i] > INT32_MAX) {
            code = cli_usage("--batch has '%s'; whole numbers from 1 to %d are allowed", names[i], INT32_MAX);
        }
    }
    free(copy);
    return code;
}

int cli_precision(const char* name, cornu_precision* out) {
    *out = CORNU_PRECISION_DEFAULT;
    for (size_t i = 0; name != NULL && i < PRECISION_COUNT; i++) {
        if (strcmp(precisions[i], name) != 0) continue;
        *out = (cornu_precision)i;
        return 1;
    }
    return name == NULL;
}
