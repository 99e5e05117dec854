/* Statuses and the thread-local sentence. Invariant: the buffer is always NUL-terminated, printable UTF-8. */
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define CN_STATUS(name, number) _Static_assert(CORNU_##name == (number), "status.def and cornu.h differ");
#include "base/status.def"
#undef CN_STATUS

static _Thread_local char last_error[CN_ERROR_SIZE];

const char* cornu_last_error(void) { return last_error; }

const char* cornu_status_name(cornu_status status) {
    switch (status) {
#define CN_STATUS(name, number) \
    case CORNU_##name:          \
        return #name;
#include "base/status.def"
#undef CN_STATUS
    }
    return "UNKNOWN";
}

/* Cuts a text that vsnprintf may have truncated inside a character, and blanks what a terminal would obey. */
static void make_printable(char* text) {
    size_t size = strlen(text);
    size_t i = size;

    while (i > 0 && ((unsigned char)text[i - 1] & 0xC0) == 0x80) i--;
    if (i > 0 && ((unsigned char)text[i - 1] & 0xC0) == 0xC0) {
        unsigned char lead = (unsigned char)text[i - 1];
        size_t need = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
        if (size - (i - 1) < need) text[i - 1] = '\0';
    }
    for (char* c = text; *c; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7F) *c = '?';
    }
}

cornu_status cn_fail(cornu_status code, const char* file, int line, const char* format, ...) {
    char text[CN_ERROR_SIZE]; /* arguments may point into last_error */
    va_list args;

    (void)file; /* for a debugger: break on cn_fail */
    (void)line;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    make_printable(text);
    memcpy(last_error, text, sizeof text);
    return code;
}

cornu_status cn_fail_within(cornu_status code, const char* format, ...) {
    char text[CN_ERROR_SIZE];
    size_t at, rest;
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    at = strlen(text);
    if (at + 2 < sizeof text) {
        memcpy(text + at, ": ", 2);
        at += 2;
        rest = strlen(last_error);
        if (rest > sizeof text - 1 - at) rest = sizeof text - 1 - at;
        memcpy(text + at, last_error, rest);
        text[at + rest] = '\0';
    }
    make_printable(text);
    memcpy(last_error, text, sizeof text);
    return code;
}
