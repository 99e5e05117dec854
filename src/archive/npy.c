/* Reading numpy's .npy.
 *
 *     "\x93NUMPY", u8 major, u8 minor, header bytes (u16 in version 1, u32 in 2 and 3), header, elements
 *     header: "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }", spaces, "\n"
 *
 * The header is a literal of Python; what is read of it is a dict of exactly these three keys, in any order, bounded by
 * CN_LIMIT_NPY_HEADER_BYTES. The elements must be exactly the rest of the file. */
#include "archive/npy.h"

#include <string.h>

#include "archive/limits.h"
#include "base/alloc.h"
#include "base/dtype.h"
#include "base/size.h"

enum { MAGIC_BYTES = 6, DESCR_MAX = 32 };
enum { EMPTY_MAX = 65536 }; /* elements of no bytes (|S0), which no file size bounds */

#define MAGIC "\x93NUMPY"

typedef struct npy_header {
    cornu_dtype dtype;
    char letter;        /* of the descr: 'U' and 'S' are both CORNU_STRING */
    bool swap;          /* elements are of the other byte order */
    uint64_t item_size; /* bytes of an element in the file */
    bool fortran;
    int ndim;
    int64_t dims[CORNU_MAX_DIMS];
    int64_t count;   /* elements */
    uint64_t offset; /* of the elements */
} npy_header;

/* A cursor over the header's text; bad sticks. */
typedef struct cursor {
    const char* at;
    const char* end;
    bool bad;
} cursor;

bool cn_npy_sniff(cn_source* source) {
    char magic[MAGIC_BYTES];

    return cn_source_size(source) >= MAGIC_BYTES && cn_source_read(source, 0, magic, MAGIC_BYTES) == CORNU_OK &&
           memcmp(magic, MAGIC, MAGIC_BYTES) == 0;
}

/* ---- the header's text ---- */

static void skip_space(cursor* c) {
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\n' || *c->at == '\r')) c->at++;
}

static bool accept(cursor* c, char expected) {
    skip_space(c);
    if (c->bad || c->at == c->end || *c->at != expected) return false;
    c->at++;
    return true;
}

static void expect(cursor* c, char expected) {
    if (!accept(c, expected)) c->bad = true;
}

static bool accept_word(cursor* c, const char* word) {
    size_t size = strlen(word);

    skip_space(c);
    if (c->bad || (size_t)(c->end - c->at) < size || memcmp(c->at, word, size) != 0) return false;
    c->at += size;
    return true;
}

/* A string in either quotes, without escapes, shorter than DESCR_MAX. */
static void read_text(cursor* c, char out[DESCR_MAX]) {
    char quote = accept(c, '\'') ? '\'' : '"';
    size_t size = 0;

    out[0] = '\0';
    if (quote == '"') expect(c, '"');
    for (; !c->bad && c->at < c->end && *c->at != quote; c->at++) {
        if (size + 1 >= DESCR_MAX || *c->at == '\\' || *c->at == '\0') c->bad = true;
        else out[size++] = *c->at;
    }
    out[size] = '\0';
    if (!c->bad && c->at < c->end) c->at++;
    else c->bad = true;
}

/* A count in decimal; Python 2 wrote some as 3L. */
static int64_t read_count(cursor* c) {
    int64_t value = 0;
    bool any = false;

    skip_space(c);
    for (; !c->bad && c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++, any = true)
        if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, *c->at - '0', &value))
            c->bad = true;
    if (!any) c->bad = true;
    (void)accept(c, 'L');
    return value;
}

static void read_shape(cursor* c, npy_header* header, bool* too_many) {
    expect(c, '(');
    header->ndim = 0;
    while (!c->bad && !accept(c, ')')) {
        int64_t dim = read_count(c);

        if (header->ndim < CORNU_MAX_DIMS) header->dims[header->ndim++] = dim;
        else *too_many = true;
        if (!accept(c, ',')) {
            /* "(3)" is a number in Python, not a tuple */
            if (header->ndim == 1) c->bad = true;
            expect(c, ')');
            return;
        }
    }
}

static bool host_is_big(void) {
    const uint16_t one = 1;
    uint8_t first;

    memcpy(&first, &one, 1);
    return first == 0;
}

/* "<f4", "|S5", "=i8", "f4", "?" */
static cornu_status read_descr(const char* what, const char* descr, npy_header* header) {
    const char* at = descr;
    char order = strchr("<>|=", at[0]) && at[0] ? *at++ : '=';
    char letter = *at ? *at++ : '\0';
    uint64_t number = 0;
    char name[8] = {letter};

    if (letter == '?' && !*at) memcpy(name, "b1", 3), number = 1;
    for (size_t i = 1; *at >= '0' && *at <= '9'; at++, i++) {
        number = number * 10 + (uint64_t)(*at - '0');
        if (i < sizeof name - 1) name[i] = *at;
        if (number > UINT32_MAX) return CN_FAIL(BAD_FILE, "%s: the dtype '%s' is too large", what, descr);
    }
    header->letter = letter;
    header->item_size = number;
    header->swap = order == (host_is_big() ? '<' : '>');
    if (*at == '\0' && (letter == 'U' || letter == 'S')) {
        header->dtype = CORNU_STRING;
        if (letter == 'U') header->item_size *= 4;
        return CORNU_OK;
    }
    if (letter == 'O') return CN_FAIL(UNSUPPORTED, "%s: holds pickled Python objects (dtype 'O')", what);
    for (int d = CORNU_FLOAT32; *at == '\0' && d < CORNU_STRING && d != 0; d++) {
        const char* numpy = cn_dtype_numpy((cornu_dtype)d);
        if (d == CORNU_BFLOAT16 || !numpy || strcmp(numpy, name) != 0) continue;
        header->dtype = (cornu_dtype)d;
        if (cornu_dtype_size(header->dtype) == 1) header->swap = false;
        return CORNU_OK;
    }
    return CN_FAIL(UNSUPPORTED, "%s: the dtype '%s' has no counterpart here", what, descr);
}

enum { SEEN_DESCR = 1, SEEN_ORDER = 2, SEEN_SHAPE = 4 };

static cornu_status parse_header(const char* what, const char* text, size_t size, npy_header* header) {
    cursor c = {text, text + size, false};
    char key[DESCR_MAX], descr[DESCR_MAX] = "";
    bool too_many = false, structured = false;
    int seen = 0;

    expect(&c, '{');
    while (!c.bad && !structured && !accept(&c, '}')) {
        int flag;

        read_text(&c, key);
        expect(&c, ':');
        flag = !strcmp(key, "descr") ? SEEN_DESCR : !strcmp(key, "fortran_order") ? SEEN_ORDER
               : !strcmp(key, "shape") ? SEEN_SHAPE : 0;
        if (!flag || (seen & flag)) c.bad = true;
        seen |= flag;
        if (flag == SEEN_DESCR && (accept(&c, '[') || accept(&c, '('))) structured = true;
        else if (flag == SEEN_DESCR) read_text(&c, descr);
        else if (flag == SEEN_ORDER && accept_word(&c, "True")) header->fortran = true;
        else if (flag == SEEN_ORDER && !accept_word(&c, "False")) c.bad = true;
        else if (flag == SEEN_SHAPE) read_shape(&c, header, &too_many);
        if (!structured && !accept(&c, ',')) {
            expect(&c, '}');
            break;
        }
    }
    if (structured && !c.bad) return CN_FAIL(UNSUPPORTED, "%s: structured dtypes have no counterpart here", what);
    skip_space(&c);
    if (c.bad || c.at != c.end || seen != (SEEN_DESCR | SEEN_ORDER | SEEN_SHAPE))
        return CN_FAIL(BAD_FILE, "%s: the .npy header is malformed at byte %zu; allowed are the keys 'descr', "
                       "'fortran_order' and 'shape', once each", what, (size_t)(c.at - text));
    if (too_many) return CN_FAIL(UNSUPPORTED, "%s: more than %d dimensions", what, CORNU_MAX_DIMS);
    return read_descr(what, descr, header);
}

/* Reads and checks all but the elements. */
static cornu_status read_header(cn_source* source, npy_header* header) {
    const char* what = cn_source_name(source);
    cornu_status st = CORNU_OK;
    uint8_t start[MAGIC_BYTES + 6] = {0};
    uint64_t size = cn_source_size(source), bytes = 0, text_size, begin;
    char* text = NULL;

    *header = (npy_header){0};
    if (size < MAGIC_BYTES + 4) return CN_FAIL(BAD_FILE, "%s: not a .npy file: %llu bytes", what, (unsigned long long)size);
    CN_TRY(cn_source_read(source, 0, start, size < sizeof start ? size : sizeof start));
    if (memcmp(start, MAGIC, MAGIC_BYTES) != 0) return CN_FAIL(BAD_FILE, "%s: not a .npy file", what);
    if (start[6] < 1 || start[6] > 3 || start[7] != 0)
        return CN_FAIL(UNSUPPORTED, "%s: .npy version %u.%u; 1.0, 2.0 and 3.0 are allowed", what, start[6], start[7]);
    begin = start[6] == 1 ? 10 : 12;
    text_size = (uint64_t)start[8] | (uint64_t)start[9] << 8;
    if (start[6] > 1) text_size |= (uint64_t)start[10] << 16 | (uint64_t)start[11] << 24;
    if (!cn_range_fits(begin, text_size, size))
        return CN_FAIL(BAD_FILE, "%s: truncated: the .npy header has %llu bytes", what, (unsigned long long)text_size);
    if (text_size > CN_LIMIT_NPY_HEADER_BYTES)
        return CN_FAIL(BAD_FILE, "%s: a .npy header of %llu bytes, at most %llu are allowed", what,
                       (unsigned long long)text_size, (unsigned long long)CN_LIMIT_NPY_HEADER_BYTES);
    text = cn_alloc((size_t)text_size);
    if (!text) return CN_NO_MEMORY(text_size);
    CN_STEP(cn_source_read(source, begin, text, text_size));
    CN_STEP(parse_header(what, text, (size_t)text_size, header));
    header->offset = begin + text_size;
    if (!cn_dims_count(header->dims, header->ndim, &header->count) ||
        !cn_size_mul((uint64_t)header->count, header->item_size, &bytes))
        CN_STEP(CN_FAIL(BAD_FILE, "%s: the shape in the .npy header overflows", what));
    if (bytes != size - header->offset)
        CN_STEP(CN_FAIL(BAD_FILE, "%s: the .npy header tells of %llu bytes of elements, %llu are there", what,
                        (unsigned long long)bytes, (unsigned long long)(size - header->offset)));
    if (header->item_size == 0 && header->count > EMPTY_MAX)
        CN_STEP(CN_FAIL(BAD_FILE, "%s: %lld strings of no bytes, at most %d are allowed", what, (long long)header->count, EMPTY_MAX));
done:
    cn_free(text);
    return st;
}

/* ---- elements ---- */

/* Turns the bytes of count words of size bytes each around. */
static void swap_words(uint8_t* data, uint64_t count, size_t size) {
    for (uint64_t i = 0; i < count; i++, data += size) {
        for (size_t k = 0; k < size / 2; k++) {
            uint8_t byte = data[k];
            data[k] = data[size - 1 - k];
            data[size - 1 - k] = byte;
        }
    }
}

/* dst, row-major, from src, column-major: walks dst in order, and src by the strides of its dims. */
static void reorder(uint8_t* dst, const uint8_t* src, const npy_header* header) {
    size_t size = (size_t)header->item_size;
    int64_t index[CORNU_MAX_DIMS] = {0};
    int64_t strides[CORNU_MAX_DIMS];
    int64_t at = 0, stride = 1;

    for (int d = 0; d < header->ndim; d++) {
        strides[d] = stride;
        stride *= header->dims[d];
    }
    for (int64_t i = 0; i < header->count; i++, dst += size) {
        memcpy(dst, src + (size_t)at * size, size);
        for (int d = header->ndim - 1; d >= 0; d--) {
            at += strides[d];
            if (++index[d] < header->dims[d]) break;
            at -= strides[d] * header->dims[d];
            index[d] = 0;
        }
    }
}

/* The elements as bytes in row-major order; *out is the caller's: cn_free_aligned. */
static cornu_status read_bytes(cn_source* source, const npy_header* header, uint8_t** out) {
    uint64_t bytes = (uint64_t)header->count * header->item_size;
    cornu_status st = CORNU_OK;
    uint8_t* raw = cn_alloc_aligned((size_t)bytes);
    uint8_t* sorted = NULL;

    *out = NULL;
    if (!raw) return CN_NO_MEMORY(bytes);
    CN_STEP(cn_source_read(source, header->offset, raw, bytes));
    if (header->fortran && header->ndim > 1 && bytes > 0) {
        sorted = cn_alloc_aligned((size_t)bytes);
        if (!sorted) CN_STEP(CN_NO_MEMORY(bytes));
        reorder(sorted, raw, header);
        cn_free_aligned(raw);
        raw = sorted;
    }
    *out = raw;
    raw = NULL;
done:
    cn_free_aligned(raw);
    return st;
}

static cornu_status read_numbers(cn_source* source, const npy_header* header, void** out) {
    uint8_t* data;
    size_t word = (size_t)header->item_size;
    uint64_t words = (uint64_t)header->count;

    CN_TRY(read_bytes(source, header, &data));
    if (cn_dtype_kind_of(header->dtype) == CN_KIND_C) {
        word /= 2;
        words *= 2;
    }
    if (header->swap) swap_words(data, words, word);
    for (int64_t i = 0; header->dtype == CORNU_BOOL && i < header->count; i++) data[i] = data[i] != 0;
    *out = data;
    return CORNU_OK;
}

/* Appends a code point as UTF-8 to *to, which may be NULL: then only counts. 0 for what is no character. */
static size_t put_utf8(uint32_t code, char* to) {
    char bytes[4];
    size_t size = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;

    if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return 0;
    for (size_t i = size; i-- > 1; code >>= 6) bytes[i] = (char)(0x80 | (code & 0x3F));
    bytes[0] = (char)(size == 1 ? code : (0xF00u >> size & 0xF0u) | code);
    if (to) memcpy(to, bytes, size);
    return size;
}

/* One element as text: its trailing NULs are padding. *size: bytes, written to to unless that is NULL. */
static bool decode_text(const uint8_t* item, const npy_header* header, char* to, uint64_t* size) {
    size_t units = (size_t)(header->letter == 'U' ? header->item_size / 4 : header->item_size);

    *size = 0;
    if (header->letter == 'S') {
        while (units > 0 && item[units - 1] == 0) units--;
        if (to) memcpy(to, item, units);
        *size = units;
        return true;
    }
    while (units > 0 && !(item[4 * units - 4] | item[4 * units - 3] | item[4 * units - 2] | item[4 * units - 1])) units--;
    for (size_t i = 0; i < units; i++) {
        uint32_t code;
        size_t n;

        memcpy(&code, item + 4 * i, 4);
        if (header->swap) code = __builtin_bswap32(code);
        n = put_utf8(code, to ? to + *size : NULL);
        if (n == 0) return false;
        *size += n;
    }
    return true;
}

/* One block: count cornu_strings, then their texts, each with a NUL. */
static cornu_status read_strings(cn_source* source, const npy_header* header, void** out) {
    const char* what = cn_source_name(source);
    cornu_status st = CORNU_OK;
    uint64_t total = 0, size;
    uint8_t* raw = NULL;
    cornu_string* strings;
    char* text;

    CN_STEP(read_bytes(source, header, &raw));
    for (int64_t i = 0; i < header->count; i++) {
        if (!decode_text(raw + (uint64_t)i * header->item_size, header, NULL, &size))
            CN_STEP(CN_FAIL(BAD_FILE, "%s: element %lld of the strings is no text", what, (long long)i));
        total += size + 1; /* at most twice the bytes that were read, and the count */
    }
    if (!cn_size_mul((uint64_t)header->count, sizeof *strings, &size) || !cn_size_add(size, total, &total) ||
        !(strings = cn_alloc_aligned((size_t)total)))
        CN_STEP(CN_NO_MEMORY(total));
    text = (char*)(strings + header->count);
    for (int64_t i = 0; i < header->count; i++) {
        (void)decode_text(raw + (uint64_t)i * header->item_size, header, text, &size);
        text[size] = '\0';
        strings[i] = (cornu_string){text, (size_t)size};
        text += size + 1;
    }
    *out = strings;
done:
    cn_free_aligned(raw);
    return st;
}

cornu_status cn_npy_read(cn_source* source, cornu_tensor* out) {
    npy_header header;
    void* data = NULL;

    memset(out, 0, sizeof *out);
    CN_TRY(read_header(source, &header));
    if (header.dtype == CORNU_STRING) CN_TRY(read_strings(source, &header, &data));
    else CN_TRY(read_numbers(source, &header, &data));
    *out = cornu_tensor_shaped(header.dtype, data, header.ndim, header.dims);
    out->owner = data;
    return CORNU_OK;
}

cornu_status cn_npy_shape(cn_source* source, cornu_tensor* out) {
    npy_header header;

    memset(out, 0, sizeof *out);
    CN_TRY(read_header(source, &header));
    *out = cornu_tensor_shaped(header.dtype, NULL, header.ndim, header.dims);
    return CORNU_OK;
}
