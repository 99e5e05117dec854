/* The parser: one pass over the text with a stack of its own builds the nodes, holding the text to what Python's
 * json.loads accepts of a str (RFC 8259 plus NaN, Infinity, -Infinity and lone surrogates as escapes), in strict UTF-8
 * and without duplicate keys. Python's int() limit of 4300 digits is not held.
 *
 * cJSON then parses the same text, and what it sees (types, numbers of children, keys, strings, small integers) must be
 * what the pass saw; otherwise the text is refused. Where cJSON is known to read wrongly it is given something harmless
 * of the same size, so that nothing is hidden from it but these:
 *
 *     NaN Infinity -Infinity, floats, integers over 15 bytes    ->  0 and blanks (cJSON: refused, locale, cut at 63
 * bytes) \u0000 and surrogates that are no pair, inside strings    ->  \u003f       (cJSON: string ends there, refused)
 *
 * A surrogate that is no pair becomes three bytes as UTF-8 would write it (ED A0 80), which strict UTF-8 cannot
 * contain, so printing can tell it and gives the same escape back.
 *
 * cJSON is called without its hooks. It records its last error in a static variable that nobody here reads. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "archive/json_node.h"
#include "archive/limits.h"

typedef struct frame {
    cn_json* node; /* the open container */
    size_t base;   /* its first child in scan.pending */
} frame;

typedef struct scan {
    cn_arena* arena;
    const char* what;
    char* text;  /* size bytes, then a NUL, which no rule below lets the scan pass */
    char* plain; /* what cJSON gets: the same with the replacements above */
    char*
        pool; /* where the next decoded string goes; never more bytes than the text, as quotes make room for the NUL */
    size_t size;
    size_t at;
    cn_json** pending; /* children of all open containers, the outer ones first */
    size_t pending_size, pending_capacity;
    uint64_t nodes;
    int depth, outer_depth; /* open containers here, and around the text */
    const char* key;        /* of the next value, NULL if there is none */
    uint32_t key_size;
    bool key_masked;
    bool original; /* for each node */
    frame open[CN_LIMIT_JSON_DEPTH];
} scan;

static cornu_status bad(const scan* s, size_t at, const char* reason) {
    size_t line = 1, column = 1;

    for (size_t i = 0; i < at; i++) {
        if (s->text[i] == '\n') line++, column = 1;
        else if (((unsigned char)s->text[i] & 0xC0) != 0x80) column++;
    }
    return CN_FAIL(BAD_FILE, "%s: line %zu, column %zu: %s", s->what, line, column, reason);
}

static cornu_status expected(const scan* s, const char* things) {
    unsigned char c = (unsigned char)s->text[s->at];
    char reason[128];

    if (s->at == s->size) (void)snprintf(reason, sizeof reason, "expected %s, found the end of the text", things);
    else if (c > 0x20 && c < 0x7F) (void)snprintf(reason, sizeof reason, "expected %s, found '%c'", things, c);
    else (void)snprintf(reason, sizeof reason, "expected %s, found the byte 0x%02x", things, c);
    return bad(s, s->at, reason);
}

static void skip_blanks(scan* s) {
    while (s->text[s->at] == ' ' || s->text[s->at] == '\n' || s->text[s->at] == '\t' || s->text[s->at] == '\r') s->at++;
}

size_t cn_json_utf8_size(const char* text) {
    const unsigned char* p = (const unsigned char*)text;
    size_t size = p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
    unsigned char low = p[0] == 0xE0 ? 0xA0 : p[0] == 0xF0 ? 0x90 : 0x80;
    unsigned char high = p[0] == 0xED ? 0x9F : p[0] == 0xF4 ? 0x8F : 0xBF;

    if (p[0] < 0x80) return 1;
    if (p[0] < 0xC2 || p[0] > 0xF4 || p[1] < low || p[1] > high) return 0;
    for (size_t i = 2; i < size; i++) {
        if ((p[i] & 0xC0) != 0x80) return 0;
    }
    return size;
}

static char* put_utf8(char* out, uint32_t c) {
    if (c < 0x80) {
        *out++ = (char)c;
    } else if (c < 0x800) {
        *out++ = (char)(0xC0 | c >> 6);
        *out++ = (char)(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
        *out++ = (char)(0xE0 | c >> 12);
        *out++ = (char)(0x80 | (c >> 6 & 0x3F));
        *out++ = (char)(0x80 | (c & 0x3F));
    } else {
        *out++ = (char)(0xF0 | c >> 18);
        *out++ = (char)(0x80 | (c >> 12 & 0x3F));
        *out++ = (char)(0x80 | (c >> 6 & 0x3F));
        *out++ = (char)(0x80 | (c & 0x3F));
    }
    return out;
}

/* Value of the four hexadecimal digits at p, -1 if they are not there. Stops at the text's NUL. */
static int32_t hex4(const char* p) {
    int32_t value = 0;

    for (int i = 0; i < 4; i++) {
        char c = p[i];
        if (c >= '0' && c <= '9') value = value * 16 + (c - '0');
        else if (c >= 'a' && c <= 'f') value = value * 16 + (c - 'a' + 10);
        else if (c >= 'A' && c <= 'F') value = value * 16 + (c - 'A' + 10);
        else return -1;
    }
    return value;
}

/* \uXXXX at s->at. */
static cornu_status scan_unicode(scan* s, char** out, bool* masked) {
    const char* p = s->text + s->at;
    int32_t c = hex4(p + 2);
    int32_t low = -1;

    if (c < 0) return bad(s, s->at, "\\u without four hexadecimal digits");
    if (c >= 0xD800 && c <= 0xDBFF && p[6] == '\\' && p[7] == 'u') low = hex4(p + 8);
    if (low >= 0xDC00 && low <= 0xDFFF) {
        *out = put_utf8(*out, (uint32_t)(0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00)));
        s->at += 12;
        return CORNU_OK;
    }
    if (c == 0 || (c >= 0xD800 && c <= 0xDFFF)) {
        *masked = true;
        memcpy(s->plain + s->at + 2, "003f", 4);
    }
    *out = put_utf8(*out, (uint32_t)c);
    s->at += 6;
    return CORNU_OK;
}

static cornu_status scan_escape(scan* s, char** out, bool* masked) {
    static const char letters[] = "\"\\/bfnrt";
    static const char meanings[] = "\"\\/\b\f\n\r\t";
    char c = s->text[s->at + 1];
    const char* found = c ? strchr(letters, c) : NULL;

    if (c == 'u') return scan_unicode(s, out, masked);
    if (!found) return bad(s, s->at, "a backslash in a string is followed by none of \" \\ / b f n r t u");
    *(*out)++ = meanings[found - letters];
    s->at += 2;
    return CORNU_OK;
}

/* The string at s->at, decoded into the pool. */
static cornu_status scan_string(scan* s, const char** data, uint32_t* size, bool* masked) {
    size_t start = s->at++;
    char* out = s->pool;

    *masked = false;
    for (;;) {
        unsigned char c = (unsigned char)s->text[s->at];
        size_t count;
        if (c == '"') break;
        if (s->at == s->size) return bad(s, start, "a string is not ended");
        if (c < 0x20) return bad(s, s->at, "a control character in a string, which has to be written as an escape");
        if (c == '\\') {
            CN_TRY(scan_escape(s, &out, masked));
            continue;
        }
        count = cn_json_utf8_size(s->text + s->at);
        if (count == 0) return bad(s, s->at, "a string is not UTF-8");
        memcpy(out, s->text + s->at, count);
        out += count;
        s->at += count;
    }
    s->at++;
    *data = s->pool;
    *size = (uint32_t)(out - s->pool);
    *out++ = '\0';
    s->pool = out;
    return CORNU_OK;
}

/* The word at s->at if it is there. */
static bool scan_word(scan* s, const char* word) {
    size_t size = strlen(word);

    if (strncmp(s->text + s->at, word, size) != 0) return false;
    s->at += size;
    return true;
}

static bool scan_digits(scan* s) {
    size_t start = s->at;

    while (s->text[s->at] >= '0' && s->text[s->at] <= '9') s->at++;
    return s->at > start;
}

static cornu_status scan_finite(scan* s, cn_json* node) {
    if (s->text[s->at] == '0') s->at++;
    else if (!scan_digits(s)) return expected(s, "a digit");
    if (s->text[s->at] >= '0' && s->text[s->at] <= '9') return bad(s, s->at, "a number begins with 0");
    node->type = CN_JSON_INT;
    if (s->text[s->at] == '.') {
        node->type = CN_JSON_FLOAT;
        s->at++;
        if (!scan_digits(s)) return expected(s, "a digit after the decimal point");
    }
    if (s->text[s->at] == 'e' || s->text[s->at] == 'E') {
        node->type = CN_JSON_FLOAT;
        s->at++;
        if (s->text[s->at] == '+' || s->text[s->at] == '-') s->at++;
        if (!scan_digits(s)) return expected(s, "a digit in the exponent");
    }
    return CORNU_OK;
}

/* A number, NaN, Infinity or -Infinity. */
static cornu_status scan_number(scan* s, cn_json* node) {
    size_t start = s->at;

    if (scan_word(s, "NaN") || scan_word(s, "Infinity") || scan_word(s, "-Infinity")) {
        node->type = CN_JSON_FLOAT;
    } else {
        if (s->text[s->at] == '-') s->at++;
        CN_TRY(scan_finite(s, node));
    }
    if (node->type == CN_JSON_FLOAT || s->at - start > CN_JSON_EXACT_DIGITS) {
        memset(s->plain + start, ' ', s->at - start);
        s->plain[start] = '0';
    }
    return CORNU_OK;
}

static cornu_status open_container(scan* s, cn_json* node, cn_json_type type) {
    if (s->depth + s->outer_depth >= CN_LIMIT_JSON_DEPTH) {
        char reason[96];
        (void)snprintf(reason, sizeof reason, "arrays and objects are nested deeper than %d", CN_LIMIT_JSON_DEPTH);
        return bad(s, s->at, reason);
    }
    node->type = (uint8_t)type;
    s->open[s->depth++] = (frame){node, s->pending_size};
    s->at++;
    return CORNU_OK;
}

static cornu_status scan_any(scan* s, cn_json* node) {
    switch (s->text[s->at]) {
        case '{': return open_container(s, node, CN_JSON_OBJECT);
        case '[': return open_container(s, node, CN_JSON_ARRAY);
        case '"': node->type = CN_JSON_STRING; return scan_string(s, &node->as.data, &node->size, &node->masked);
        case 'n': node->type = CN_JSON_NULL; return scan_word(s, "null") ? CORNU_OK : expected(s, "a value");
        case 't': node->type = CN_JSON_BOOL; return scan_word(s, "true") ? CORNU_OK : expected(s, "a value");
        case 'f': node->type = CN_JSON_BOOL; return scan_word(s, "false") ? CORNU_OK : expected(s, "a value");
        case 'N': return strncmp(s->text + s->at, "NaN", 3) == 0 ? scan_number(s, node) : expected(s, "a value");
        case 'I': return strncmp(s->text + s->at, "Infinity", 8) == 0 ? scan_number(s, node) : expected(s, "a value");
        case '-': return scan_number(s, node);
        default: break;
    }
    if (s->text[s->at] >= '0' && s->text[s->at] <= '9') return scan_number(s, node);
    return expected(s, "a value");
}

static cornu_status push_pending(scan* s, cn_json* node) {
    if (s->pending_size == s->pending_capacity) {
        size_t capacity = s->pending_capacity ? s->pending_capacity * 2 : 64;
        cn_json** grown = cn_realloc(s->pending, capacity * sizeof *grown);
        if (!grown) return CN_NO_MEMORY(capacity * sizeof *grown);
        s->pending = grown;
        s->pending_capacity = capacity;
    }
    s->pending[s->pending_size++] = node;
    return CORNU_OK;
}

/* The scalar or the opening bracket at s->at. */
static cornu_status scan_value(scan* s) {
    cn_json* node;

    if (s->nodes++ >= CN_LIMIT_JSON_NODES) {
        char reason[96];
        (void)snprintf(reason, sizeof reason, "more than %llu values", (unsigned long long)CN_LIMIT_JSON_NODES);
        return bad(s, s->at, reason);
    }
    node = cn_arena_alloc(s->arena, sizeof *node);
    if (!node) return CN_NO_MEMORY(sizeof *node);
    CN_TRY(push_pending(s, node));
    node->key = s->key;
    node->key_size = s->key_size;
    node->key_masked = s->key_masked;
    node->original = s->original;
    node->text = s->text + s->at;
    s->key = NULL;
    s->key_size = 0;
    s->key_masked = false;
    CN_TRY(scan_any(s, node));
    node->text_size = (uint32_t)(s->text + s->at - node->text);
    return CORNU_OK;
}

/* "key" : up to the value. */
static cornu_status scan_key(scan* s) {
    skip_blanks(s);
    if (s->text[s->at] != '"') return expected(s, "a key in double quotes");
    CN_TRY(scan_string(s, &s->key, &s->key_size, &s->key_masked));
    skip_blanks(s);
    if (s->text[s->at] != ':') return expected(s, "':'");
    s->at++;
    return CORNU_OK;
}

static cornu_status bad_duplicate(const scan* s, const cn_json* a, const cn_json* b) {
    const cn_json* second = a->text > b->text ? a : b;
    char reason[256];

    (void)snprintf(reason, sizeof reason, "the key '%.128s' is in the object twice", second->key);
    return bad(s, (size_t)(second->text - s->text), reason);
}

static cornu_status check_keys(const scan* s, const cn_json* node) {
    if (node->sorted) {
        for (uint32_t i = 1; i < node->size; i++) {
            const cn_json *a = node->sorted[i - 1], *b = node->sorted[i];
            if (cn_json_key_compare(a->key, a->key_size, b->key, b->key_size) == 0) return bad_duplicate(s, a, b);
        }
        return CORNU_OK;
    }
    for (uint32_t i = 1; i < node->size; i++) {
        for (uint32_t j = 0; j < i; j++) {
            const cn_json *a = node->as.items[j], *b = node->as.items[i];
            if (cn_json_key_compare(a->key, a->key_size, b->key, b->key_size) == 0) return bad_duplicate(s, a, b);
        }
    }
    return CORNU_OK;
}

/* At the closing bracket of the innermost container. */
static cornu_status close_container(scan* s) {
    cn_json* node = s->open[--s->depth].node;
    size_t base = s->open[s->depth].base;
    size_t count = s->pending_size - base;

    s->at++;
    node->text_size = (uint32_t)(s->text + s->at - node->text);
    if (count == 0) return CORNU_OK;
    node->as.items = cn_arena_array(s->arena, count, sizeof *node->as.items);
    if (!node->as.items) return CN_NO_MEMORY(count * sizeof *node->as.items);
    memcpy(node->as.items, s->pending + base, count * sizeof *node->as.items);
    s->pending_size = base;
    node->size = node->capacity = (uint32_t)count;
    if (node->type != CN_JSON_OBJECT) return CORNU_OK;
    if (count > CN_JSON_LINEAR) {
        node->sorted = cn_arena_array(s->arena, count, sizeof *node->sorted);
        if (!node->sorted) return CN_NO_MEMORY(count * sizeof *node->sorted);
        memcpy(node->sorted, node->as.items, count * sizeof *node->sorted);
        cn_json_sort(node->sorted, count);
    }
    return check_keys(s, node);
}

/* After a value: closes what ends here, up to the next value or the end of the text. */
static cornu_status scan_after(scan* s, bool* more) {
    for (;;) {
        bool is_object;
        skip_blanks(s);
        *more = s->depth > 0;
        if (!*more) return s->at == s->size ? CORNU_OK : expected(s, "the end of the text");
        is_object = s->open[s->depth - 1].node->type == CN_JSON_OBJECT;
        if (s->text[s->at] == ',') {
            s->at++;
            return is_object ? scan_key(s) : CORNU_OK;
        }
        if (s->text[s->at] != (is_object ? '}' : ']')) return expected(s, is_object ? "',' or '}'" : "',' or ']'");
        CN_TRY(close_container(s));
    }
}

static cornu_status scan_all(scan* s) {
    bool more = true;

    while (more) {
        bool is_object;
        int depth = s->depth;
        skip_blanks(s);
        CN_TRY(scan_value(s));
        if (s->depth > depth) {
            is_object = s->open[depth].node->type == CN_JSON_OBJECT;
            skip_blanks(s);
            if (s->text[s->at] != (is_object ? '}' : ']')) {
                if (is_object) CN_TRY(scan_key(s));
                continue;
            }
            CN_TRY(close_container(s));
        }
        CN_TRY(scan_after(s, &more));
    }
    return CORNU_OK;
}

static bool same_bytes(const char* a, size_t size, bool masked, const char* b) {
    return b && (masked || (strlen(b) == size && memcmp(a, b, size) == 0));
}

/* Whether cJSON saw the same. Recursion is bounded by CN_LIMIT_JSON_DEPTH. */
static bool agrees(const cn_json* node, const cJSON* seen) {
    const cJSON* child = seen->child;

    if (node->key && !same_bytes(node->key, node->key_size, node->key_masked, seen->string)) return false;
    switch ((cn_json_type)node->type) {
        case CN_JSON_NULL: return cJSON_IsNull(seen);
        case CN_JSON_BOOL: return node->text[0] == 't' ? cJSON_IsTrue(seen) : cJSON_IsFalse(seen);
        case CN_JSON_FLOAT: return cJSON_IsNumber(seen);
        case CN_JSON_INT:
            return cJSON_IsNumber(seen) &&
                   (node->text_size > CN_JSON_EXACT_DIGITS || cn_json_double(node) == seen->valuedouble);
        case CN_JSON_STRING:
            return cJSON_IsString(seen) && same_bytes(node->as.data, node->size, node->masked, seen->valuestring);
        case CN_JSON_ARRAY:
        case CN_JSON_OBJECT: break;
    }
    if (!(node->type == CN_JSON_ARRAY ? cJSON_IsArray(seen) : cJSON_IsObject(seen))) return false;
    for (uint32_t i = 0; i < node->size; i++, child = child->next) {
        if (!child || !agrees(node->as.items[i], child)) return false;
    }
    return !child;
}

static cornu_status check_with_cjson(const scan* s) {
    cornu_status st = CORNU_OK;
    /* The size counts the NUL, which cJSON wants to find behind the value. */
    cJSON* seen = cJSON_ParseWithLengthOpts(s->plain, s->size + 1, NULL, 1);

    /* The text is known to be well-formed, so only memory can have been lacking. */
    if (!seen) CN_STEP(CN_NO_MEMORY(s->size));
    if (!agrees(s->pending[0], seen)) {
        CN_STEP(CN_FAIL(BAD_FILE, "%s: refused because two JSON parsers disagree about its content", s->what));
    }
done:
    cJSON_Delete(seen);
    return st;
}

cornu_status cn_json_scan(cn_arena* arena, const cn_json_input* in, cn_json* out_root, const char** out_text) {
    cornu_status st = CORNU_OK;
    scan s = {.arena = arena, .what = in->what, .outer_depth = in->depth, .original = in->original};
    const char* text = in->text ? in->text : "";

    if (in->size > CN_LIMIT_JSON_BYTES) {
        CN_STEP(CN_FAIL(BAD_FILE, "%s: a JSON text of %llu bytes, more than the limit of %llu", in->what,
                        (unsigned long long)in->size, (unsigned long long)CN_LIMIT_JSON_BYTES));
    }
    s.size = (size_t)in->size;
    s.text = cn_arena_strndup(arena, text, s.size);
    s.pool = cn_arena_alloc(arena, s.size + 1);
    s.plain = cn_strndup(text, s.size);
    if (!s.text || !s.pool || !s.plain) CN_STEP(CN_NO_MEMORY(s.size + 1));
    CN_STEP(scan_all(&s));
    CN_STEP(check_with_cjson(&s));
    *out_root = *s.pending[0];
    *out_text = s.text;
done:
    cn_free(s.plain);
    cn_free(s.pending);
    return st;
}
