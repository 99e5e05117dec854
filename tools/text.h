/* UTF-8 for terminals and tables. What a file says is never sent to a terminal as it is: it could steer the terminal.
 */
#ifndef CORNU_CLI_TEXT_H
#define CORNU_CLI_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Reads the code point at text, of which size > 0 bytes are left. Returns its bytes, 0 where they are not UTF-8. */
size_t cli_decode_utf8(const char* text, size_t size, uint32_t* out);
/* The text with control characters and bytes that are not UTF-8 spelled \xNN; keeps '\n' where keep_lines is 1. free()
 * it. */
char* cli_clean_text(const char* text, int keep_lines);
/* Columns on a terminal; East Asian wide characters take two. */
int cli_text_width(const char* text);
/* Bytes of the longest beginning that fits into width columns, at least one character; ends behind a space where it
 * can. */
size_t cli_text_fit(const char* text, int width);

#endif
