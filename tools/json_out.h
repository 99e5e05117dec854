/* Writes JSON: indented, valid for every strict reader. Commas and indentation follow from the order of calls. */
#ifndef CORNU_CLI_JSON_OUT_H
#define CORNU_CLI_JSON_OUT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define CLI_JSON_DEPTH 32

typedef struct cli_json {
    FILE* file;
    int depth;
    int count[CLI_JSON_DEPTH];  /* values so far at each depth */
    char close[CLI_JSON_DEPTH]; /* '}' or ']' */
    int flat;                   /* depth from which values stay on one line; 0: none does */
} cli_json;

void cli_json_init(cli_json* json, FILE* file);
/* key is NULL inside an array and at the top. */
void cli_json_open_object(cli_json* json, const char* key);
void cli_json_open_array(cli_json* json, const char* key);
/* An array or object whose elements, and theirs, stay on one line. */
void cli_json_open_flat_object(cli_json* json, const char* key);
void cli_json_open_flat_array(cli_json* json, const char* key);
/* Ends the innermost object or array; at the outermost also the line. */
void cli_json_close(cli_json* json);
/* NULL is written as null. Bytes that are not UTF-8 become U+FFFD. */
void cli_json_text(cli_json* json, const char* key, const char* text);
void cli_json_bytes(cli_json* json, const char* key, const char* text, size_t size);
void cli_json_int(cli_json* json, const char* key, int64_t value);
void cli_json_uint(cli_json* json, const char* key, uint64_t value);
/* The shortest digits that read back as the same float32 (single 1) or float64. NaN and infinities become null. */
void cli_json_number(cli_json* json, const char* key, double value, int single);
void cli_json_bool(cli_json* json, const char* key, int value);
/* Copies JSON text; the tokens NaN, Infinity and -Infinity that Python writes become null. */
void cli_json_raw(cli_json* json, const char* key, const char* text);
/* Writes value with the fewest digits that read back the same, "nan", "inf" and "-inf" included. */
void cli_number_text(double value, int single, char out[40]);

#endif
