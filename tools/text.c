/* UTF-8 for terminals and tables. */
#include "text.h"

#include <string.h>

#include "cli.h"

size_t cli_decode_utf8(const char* text, size_t size, uint32_t* out) {
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char first = (unsigned char)text[0];
    const size_t need = first < 0x80   ? 1
                        : first < 0xC0 ? 0
                        : first < 0xE0 ? 2
                        : first < 0xF0 ? 3
                        : first < 0xF8 ? 4
                                       : 0;
    if (need == 0 || need > size) return 0;
    uint32_t point = need == 1 ? first : first & (0xFFu >> (need + 1));
    for (size_t i = 1; i < need; i++) {
        const unsigned char next = (unsigned char)text[i];
        if ((next & 0xC0) != 0x80) return 0;
        point = point << 6 | (next & 0x3Fu);
    }
    if (point < smallest[need] || point > 0x10FFFF || (point >= 0xD800 && point < 0xE000)) return 0;
    *out = point;
    return need;
}

/* C0 and C1 controls, and the marks that turn the direction of writing. */
static int is_control(uint32_t point) {
    return point < 0x20 || (point >= 0x7F && point < 0xA0) || (point >= 0x202A && point <= 0x202E) ||
           (point >= 0x2066 && point <= 0x2069);
}

char* cli_clean_text(const char* text, int keep_lines) {
    static const char hex[] = "0123456789abcdef";
    const size_t size = strlen(text);
    char* clean = cli_alloc(4 * size + 1, 1);
    size_t used = 0;
    for (size_t i = 0; i < size;) {
        uint32_t point = 0;
        const size_t n = cli_decode_utf8(text + i, size - i, &point);
        if (n > 0 && (!is_control(point) || (keep_lines && point == '\n'))) {
            memcpy(clean + used, text + i, n);
            used += n;
            i += n;
            continue;
        }
        for (const size_t end = i + (n > 0 ? n : 1); i < end; i++) {
            const unsigned byte = (unsigned char)text[i];
            clean[used++] = '\\';
            clean[used++] = 'x';
            clean[used++] = hex[byte >> 4];
            clean[used++] = hex[byte & 15];
        }
    }
    return clean;
}

static int point_width(uint32_t point) {
    static const struct {
        uint32_t first, last;
        int width;
    } rows[] = {
        {0x0300, 0x036F, 0}, {0x1100, 0x115F, 2}, {0x200B, 0x200D, 0},   {0x2E80, 0xA4CF, 2},
        {0xAC00, 0xD7A3, 2}, {0xF900, 0xFAFF, 2}, {0xFE00, 0xFE0F, 0},   {0xFE30, 0xFE6F, 2},
        {0xFF00, 0xFF60, 2}, {0xFFE0, 0xFFE6, 2}, {0x1F300, 0x1FAFF, 2}, {0x20000, 0x3FFFD, 2},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (point >= rows[i].first && point <= rows[i].last) return rows[i].width;
    }
    return 1;
}

/* Steps over one character and adds its width; a stray byte counts as one column. */
static size_t step(const char* text, size_t left, int* width) {
    uint32_t point = '?';
    const size_t n = cli_decode_utf8(text, left, &point);
    *width += point_width(point);
    return n > 0 ? n : 1;
}

int cli_text_width(const char* text) {
    const size_t size = strlen(text);
    int width = 0;
    for (size_t i = 0; i < size;) i += step(text + i, size - i, &width);
    return width;
}

size_t cli_text_fit(const char* text, int width) {
    const size_t size = strlen(text);
    size_t i = 0, behind_space = 0;
    int used = 0;
    while (i < size) {
        const size_t n = step(text + i, size - i, &used);
        if (used > width && i > 0) return behind_space > 0 ? behind_space : i;
        i += n;
        if (text[i - 1] == ' ') behind_space = i;
    }
    return size;
}
