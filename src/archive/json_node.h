/* The inside of cn_json, for the json*.c files only.
 *
 *     text of the document  |  {"a": [1, 2.50], "b\n": "x"}  |    one copy, NUL-terminated, never written to again
 *                                    ^text, text_size: the span of a node
 *     pool                  |  a\0b\n\0x\0 |                      decoded keys and strings, each with a NUL
 *
 * Nodes, arrays of children, pool and texts all lie in the document's arena. Numbers are read from their span at each
 * call, so nothing but cn_json_set and cn_json_remove writes to a parsed document: any number of threads may read it.
 */
#ifndef CN_ARCHIVE_JSON_NODE_H
#define CN_ARCHIVE_JSON_NODE_H

#include "archive/json.h"
#include "base/arena.h"

/* Objects with room for more members than this keep them sorted by key as well. */
#define CN_JSON_LINEAR 16
/* Integers of at most this many bytes are exact in a double. */
#define CN_JSON_EXACT_DIGITS 15

struct cn_json {
    const char* text; /* text_size bytes */
    const char* key;  /* key_size bytes, then a NUL; NULL unless in an object */
    union {
        const char* data; /* a string: size bytes, then a NUL */
        cn_json** items;  /* an array or object: size children in file order */
    } as;
    cn_json** sorted; /* the same children in cn_json_key_compare order, iff an object with capacity > CN_JSON_LINEAR */
    uint32_t text_size;
    uint32_t key_size;
    uint32_t size;
    uint32_t capacity; /* of items, and of sorted if there is one */
    uint8_t type;      /* cn_json_type */
    bool original;     /* text is a span of the document as it was parsed, not of a value that was set */
    bool changed;      /* something below was changed: text is out of date */
    bool outermost;    /* is cn_json_doc.root, with the blanks around it */
    bool masked;       /* the string holds what cJSON cannot read, so what cJSON was given differs */
    bool key_masked;   /* the same for the key */
};

struct cn_json_doc {
    cn_json root; /* first, so that the root leads to its document */
    const char* text;
    uint64_t text_size; /* bytes */
    cn_arena arena;
};

typedef struct cn_json_input {
    const char* text; /* size bytes; copied */
    uint64_t size;
    const char* what; /* names the text in messages */
    int depth;        /* containers that the value will lie in */
    bool original;    /* for cn_json.original */
} cn_json_input;

/* Parses into arena. *out_root is the root, *out_text the arena's copy of the text. */
cornu_status cn_json_scan(cn_arena* arena, const cn_json_input* in, cn_json* out_root, const char** out_text);
/* Orders keys by size, then bytes. */
int cn_json_key_compare(const char* a, size_t a_size, const char* b, size_t b_size);
void cn_json_sort(cn_json** nodes, size_t count);
/* Child of an object by a key of size bytes, NULL if there is none. */
cn_json* cn_json_find(const cn_json* node, const char* key, size_t size);
/* Appends a node as json.dumps(json.loads(text)) would give it. */
void cn_json_print_canonical(const cn_json* node, cn_buf* out);
/* Bytes of the UTF-8 character at text, 1 to 4; 0 if it is none (overlong, surrogate, beyond U+10FFFF, cut off by the
 * text's NUL). */
size_t cn_json_utf8_size(const char* text);
/* strtod of the text at data as if in the "C" locale. */
double cn_json_strtod(const char* data);

#endif
