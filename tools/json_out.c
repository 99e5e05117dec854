/* A small writer of JSON. */
#include "json_out.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

void cli_json_init(cli_json* json, FILE* file) {
    memset(json, 0, sizeof *json);
    json->file = file;
}

static void new_line(const cli_json* json) {
    fputc('\n', json->file);
    for (int i = 0; i < json->depth; i++) fputs("  ", json->file);
}

static void put_text(const cli_json* json, const char* text, size_t size) {
    fputc('"', json->file);
    for (size_t i = 0; i < size;) {
        uint32_t point = 0;
        const size_t n = cli_decode_utf8(text + i, size - i, &point);
        if (n == 0) fputs("\\ufffd", json->file);
        else if (point == '"' || point == '\\') fprintf(json->file, "\\%c", (int)point);
        else if (point == '\n') fputs("\\n", json->file);
        else if (point < 0x20 || (point >= 0x7F && point < 0xA0)) fprintf(json->file, "\\u%04x", (unsigned)point);
        else fwrite(text + i, 1, n, json->file);
        i += n > 0 ? n : 1;
    }
    fputc('"', json->file);
}

/* What comes before a value: comma, line and key. */
static void begin_value(cli_json* json, const char* key) {
    if (json->depth > 0) {
        int* count = &json->count[json->depth - 1];
        const int flat = json->flat > 0 && json->depth >= json->flat;
        if ((*count)++ > 0) fputs(flat ? ", " : ",", json->file);
        if (!flat) new_line(json);
    }
    if (key == NULL) return;
    put_text(json, key, strlen(key));
    fputs(": ", json->file);
}

static void open_value(cli_json* json, const char* key, char open, char close) {
    assert(json->depth < CLI_JSON_DEPTH);
    begin_value(json, key);
    fputc(open, json->file);
    json->count[json->depth] = 0;
    json->close[json->depth] = close;
    json->depth++;
}

void cli_json_open_object(cli_json* json, const char* key) { open_value(json, key, '{', '}'); }

void cli_json_open_array(cli_json* json, const char* key) { open_value(json, key, '[', ']'); }

void cli_json_open_flat_object(cli_json* json, const char* key) {
    open_value(json, key, '{', '}');
    if (json->flat == 0) json->flat = json->depth;
}

void cli_json_open_flat_array(cli_json* json, const char* key) {
    open_value(json, key, '[', ']');
    if (json->flat == 0) json->flat = json->depth;
}

void cli_json_close(cli_json* json) {
    assert(json->depth > 0);
    const int flat = json->flat > 0 && json->depth >= json->flat;
    if (json->flat == json->depth) json->flat = 0;
    json->depth--;
    if (!flat && json->count[json->depth] > 0) new_line(json);
    fputc(json->close[json->depth], json->file);
    if (json->depth == 0) fputc('\n', json->file);
}

void cli_json_bytes(cli_json* json, const char* key, const char* text, size_t size) {
    begin_value(json, key);
    put_text(json, text, size);
}

void cli_json_text(cli_json* json, const char* key, const char* text) {
    if (text != NULL) {
        cli_json_bytes(json, key, text, strlen(text));
        return;
    }
    begin_value(json, key);
    fputs("null", json->file);
}

void cli_json_int(cli_json* json, const char* key, int64_t value) {
    begin_value(json, key);
    fprintf(json->file, "%" PRId64, value);
}

void cli_json_uint(cli_json* json, const char* key, uint64_t value) {
    begin_value(json, key);
    fprintf(json->file, "%" PRIu64, value);
}

void cli_number_text(double value, int single, char out[40]) {
    if (!isfinite(value)) {
        snprintf(out, 40, "%s", isnan(value) ? "nan" : value > 0 ? "inf" : "-inf");
        return;
    }
    for (int digits = single ? 6 : 15; digits <= (single ? 9 : 17); digits++) {
        snprintf(out, 40, "%.*g", digits, value);
        if (single ? strtof(out, NULL) == (float)value : strtod(out, NULL) == value) return;
    }
}

void cli_json_number(cli_json* json, const char* key, double value, int single) {
    char text[40];
    cli_number_text(value, single, text);
    begin_value(json, key);
    fputs(isfinite(value) ? text : "null", json->file);
}

void cli_json_bool(cli_json* json, const char* key, int value) {
    begin_value(json, key);
    fputs(value ? "true" : "false", json->file);
}

/* Bytes of a token that Python writes for a number that is not finite; 0 for anything else. */
static size_t python_token(const char* at) {
    static const char* const tokens[] = {"NaN", "Infinity", "-Infinity"};
    for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++) {
        if (strncmp(at, tokens[i], strlen(tokens[i])) == 0) return strlen(tokens[i]);
    }
    return 0;
}

void cli_json_raw(cli_json* json, const char* key, const char* text) {
    int in_string = 0;
    begin_value(json, key);
    for (const char* at = text; *at != '\0'; at++) {
        const size_t token = in_string ? 0 : python_token(at);
        if (token > 0) {
            fputs("null", json->file);
            at += token - 1;
            continue;
        }
        if (*at == '"') in_string = !in_string;
        fputc(*at, json->file);
        if (in_string && *at == '\\' && at[1] != '\0') fputc(*++at, json->file);
    }
}
