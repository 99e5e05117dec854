/* Printing. What nothing was changed in is copied from its span. A container with a change below it is written as
 * json.dumps would (", " and ": ", keys in ASCII), its untouched children still from their spans, however those are
 * indented. Blanks around the outermost value stay while it is not replaced itself. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "archive/json_node.h"

/* Significant digits that tell any two doubles apart. */
#define MOST_DIGITS 17

/* Bytes of the character at p (size > 0 are left), and its code point; surrogates as ED xx xx count as characters.
 * Bytes that are no UTF-8 give U+FFFD each. */
static size_t get_utf8(const unsigned char* p, size_t size, uint32_t* c) {
    size_t count = p[0] < 0x80 ? 1 : p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
    uint32_t least = count == 2 ? 0x80 : count == 3 ? 0x800 : 0x10000;
    uint32_t value;

    *c = p[0];
    if (count == 1) return 1;
    *c = 0xFFFD;
    if (p[0] < 0xC2 || p[0] > 0xF4 || count > size) return 1;
    value = p[0] & (0x7Fu >> count);
    for (size_t i = 1; i < count; i++) {
        if ((p[i] & 0xC0) != 0x80) return 1;
        value = value << 6 | (p[i] & 0x3Fu);
    }
    if (value < least || value > 0x10FFFF) return 1;
    *c = value;
    return count;
}

static void print_character(cn_buf* out, uint32_t c) {
    static const char controls[] = "\b\f\n\r\t";
    static const char letters[] = "bfnrt";
    const char* found = c && c < 0x20 ? strchr(controls, (int)c) : NULL;
    char escape[2] = {'\\', (char)c};

    if (c == '"' || c == '\\') {
        cn_buf_add(out, escape, 2);
    } else if (found) {
        escape[1] = letters[found - controls];
        cn_buf_add(out, escape, 2);
    } else if (c < 0x10000) {
        cn_buf_format(out, "\\u%04x", (unsigned)c);
    } else {
        c -= 0x10000;
        cn_buf_format(out, "\\u%04x\\u%04x", (unsigned)(0xD800 + (c >> 10)), (unsigned)(0xDC00 + (c & 0x3FF)));
    }
}

static bool is_plain(char c) { return c >= ' ' && c <= '~' && c != '"' && c != '\\'; }

void cn_json_print_string(cn_buf* out, const char* data, size_t size) {
    cn_buf_add(out, "\"", 1);
    for (size_t i = 0; i < size;) {
        size_t start = i;
        uint32_t c;
        while (i < size && is_plain(data[i])) i++;
        if (i > start) cn_buf_add(out, data + start, i - start);
        if (i == size) break;
        i += get_utf8((const unsigned char*)data + i, size - i, &c);
        print_character(out, c);
    }
    cn_buf_add(out, "\"", 1);
}

/* value = 0.d1d2d3... * 10^point */
typedef struct decimal {
    char digits[MOST_DIGITS + 1];
    int count;
    int point;
} decimal;

/* value > 0, rounded to count digits. printf's decimal point, which the locale chooses, is passed over. */
static void round_to(double value, int count, decimal* out) {
    char text[64];
    const char* p = text;

    (void)snprintf(text, sizeof text, "%.*e", count - 1, value);
    out->count = 0;
    for (; *p != 'e'; p++) {
        if (*p >= '0' && *p <= '9' && out->count < count) out->digits[out->count++] = *p;
    }
    out->digits[out->count] = '\0';
    out->point = (int)strtol(p + 1, NULL, 10) + 1;
}

static bool reads_back(const decimal* d, double value) {
    char text[MOST_DIGITS + 16];

    (void)snprintf(text, sizeof text, "%se%d", d->digits, d->point - d->count);
    return cn_json_strtod(text) == value;
}

/* The next decimal above of as many digits; false if all of them are 9. */
static bool step_up(decimal* d) {
    int i = d->count - 1;

    while (i >= 0 && d->digits[i] == '9') d->digits[i--] = '0';
    if (i < 0) return false;
    d->digits[i]++;
    return true;
}

/* The fewest digits that read back as value > 0, and of those the nearest. Normal numbers keep any 15 digits, so fewer
 * need no trial: zeros are cut off. At a power of two the doubles below lie twice as close as those above, so the
 * decimal that reads back can be the one above the nearest. */
static void shortest(double value, decimal* out) {
    int exponent;
    bool power = frexp(value, &exponent) == 0.5;

    for (int count = value < 0x1p-1022 ? 1 : 15; count <= MOST_DIGITS; count++) {
        round_to(value, count, out);
        if (reads_back(out, value)) break;
        if (power && step_up(out) && reads_back(out, value)) break;
    }
    while (out->count > 1 && out->digits[out->count - 1] == '0') out->digits[--out->count] = '\0';
}

static void print_decimal(cn_buf* out, const decimal* d) {
    if (d->point <= -4 || d->point > 16) {
        cn_buf_add(out, d->digits, 1);
        if (d->count > 1) cn_buf_format(out, ".%s", d->digits + 1);
        cn_buf_format(out, "e%c%02d", d->point > 0 ? '+' : '-', abs(d->point - 1));
    } else if (d->point <= 0) {
        cn_buf_format(out, "0.%.*s%s", -d->point, "0000", d->digits);
    } else if (d->point >= d->count) {
        cn_buf_format(out, "%s%.*s.0", d->digits, d->point - d->count, "0000000000000000");
    } else {
        cn_buf_format(out, "%.*s.%s", d->point, d->digits, d->digits + d->point);
    }
}

void cn_json_print_double(cn_buf* out, double value) {
    decimal d;

    if (isnan(value)) {
        cn_buf_text(out, "NaN");
        return;
    }
    if (signbit(value)) cn_buf_text(out, "-");
    value = fabs(value);
    if (isinf(value)) {
        cn_buf_text(out, "Infinity");
    } else if (value == 0) {
        cn_buf_text(out, "0.0");
    } else {
        shortest(value, &d);
        print_decimal(out, &d);
    }
}

static void print_scalar(const cn_json* node, cn_buf* out) {
    bool minus_zero = node->type == CN_JSON_INT && node->text_size == 2 && memcmp(node->text, "-0", 2) == 0;

    if (node->type == CN_JSON_STRING) cn_json_print_string(out, node->as.data, node->size);
    else if (node->type == CN_JSON_FLOAT) cn_json_print_double(out, cn_json_double(node));
    else if (minus_zero) cn_buf_text(out, "0"); /* Python's integers have no -0 */
    else cn_buf_add(out, node->text, node->text_size);
}

/* Recursion is bounded by CN_LIMIT_JSON_DEPTH, which cn_json_set keeps too. */
static void print_node(const cn_json* node, bool canonical, cn_buf* out) {
    bool is_object = node->type == CN_JSON_OBJECT;

    if (!canonical && !node->changed) {
        cn_buf_add(out, node->text, node->text_size);
        return;
    }
    if (!is_object && node->type != CN_JSON_ARRAY) {
        print_scalar(node, out);
        return;
    }
    cn_buf_text(out, is_object ? "{" : "[");
    for (uint32_t i = 0; i < node->size; i++) {
        const cn_json* child = node->as.items[i];
        if (i > 0) cn_buf_text(out, ", ");
        if (is_object) {
            cn_json_print_string(out, child->key, child->key_size);
            cn_buf_text(out, ": ");
        }
        print_node(child, canonical, out);
    }
    cn_buf_text(out, is_object ? "}" : "]");
}

void cn_json_print_canonical(const cn_json* node, cn_buf* out) { print_node(node, true, out); }

cornu_status cn_json_print(const cn_json* node, cn_buf* out) {
    const cn_json_doc* doc = node && node->outermost ? (const cn_json_doc*)(const void*)node : NULL;
    const char* end = node ? node->text + node->text_size : NULL;

    if (!node) {
        cn_buf_text(out, "null");
        return cn_buf_check(out);
    }
    if (doc) cn_buf_add(out, doc->text, (size_t)(node->text - doc->text));
    print_node(node, false, out);
    if (doc) cn_buf_add(out, end, (size_t)(doc->text + doc->text_size - end));
    return cn_buf_check(out);
}
