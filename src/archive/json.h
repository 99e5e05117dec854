/* JSON as Python's json module reads and writes it: NaN, Infinity and -Infinity are numbers, 1e999 is infinite, duplicate
 * keys are refused, look-ups are case-sensitive, a NUL in a string is kept (pointer and size), integers of any length
 * keep their text, a surrogate escaped without its other half is kept as the three bytes ED xx xx. Text has to be strict
 * UTF-8 without a byte order mark.
 * Each node remembers its span of the original text; printing copies the span of every node that nothing below was
 * changed in, and for a whole document the blanks around it, so that an untouched document is printed byte for byte.
 * Containers around a change are written as json.dumps does by default (", " and ": ", keys with \uXXXX outside ASCII),
 * their untouched children still from their spans; values that were set as json.dumps(json.loads(text)) gives them (repr
 * of floats). In any locale. A document may be read by any number of threads while nobody changes it. */
#ifndef CN_ARCHIVE_JSON_H
#define CN_ARCHIVE_JSON_H

#include <stdbool.h>

#include "base/buf.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum cn_json_type {
    CN_JSON_NULL,
    CN_JSON_BOOL,
    CN_JSON_INT,   /* a number without '.', 'e', 'E': as large as it likes */
    CN_JSON_FLOAT, /* also NaN, Infinity, -Infinity */
    CN_JSON_STRING,
    CN_JSON_ARRAY,
    CN_JSON_OBJECT
} cn_json_type;

typedef struct cn_json cn_json;         /* a node, owned by its document */
typedef struct cn_json_doc cn_json_doc; /* the text and the nodes */

/* Parses size bytes, which are copied. what names the text in messages ("model.keras: config.json").
 * CORNU_BAD_FILE with line, column and what is wrong; CORNU_NO_MEMORY. */
cornu_status cn_json_parse(const char* text, uint64_t size, const char* what, cn_json_doc** out);
void cn_json_doc_destroy(cn_json_doc* doc);
cn_json* cn_json_root(cn_json_doc* doc);

/* All of these accept NULL as a node that is not there: type NULL, size 0, no child. */
cn_json_type cn_json_type_of(const cn_json* node);
static inline bool cn_json_is(const cn_json* node, cn_json_type type) { return node && cn_json_type_of(node) == type; }
/* Name of the node's type, "null", "bool", "int", "float", "string", "array", "object"; "nothing" for NULL. */
const char* cn_json_type_name(const cn_json* node);
/* Children of an array or object, else 0. */
size_t cn_json_size(const cn_json* node);
/* Child i in file order, NULL beyond the end. */
cn_json* cn_json_at(const cn_json* node, size_t i);
/* Key of child i of an object, NUL-terminated; *size, when not NULL, its bytes. NULL beyond the end. */
const char* cn_json_key_at(const cn_json* node, size_t i, size_t* size);
/* Child of an object by its exact key; NULL when it is not there or node is no object. */
cn_json* cn_json_get(const cn_json* node, const char* key);
bool cn_json_bool(const cn_json* node);
/* A number's value; NaN for other types. */
double cn_json_double(const cn_json* node);
/* Whether the node is an integer that fits, then in *out. */
bool cn_json_int64(const cn_json* node, int64_t* out);
/* A string's bytes, NUL-terminated as well; NULL for other types. *size may be NULL. */
const char* cn_json_string(const cn_json* node, size_t* size);
/* Whether the node is a string equal to text. */
bool cn_json_equals(const cn_json* node, const char* text);
/* The original text of the value (not NUL-terminated); NULL if the node, something below or above it was set, or
 * something below it changed in another way. */
const char* cn_json_text(const cn_json* node, size_t* size);

/* The node at a JSON pointer (RFC 6901), NULL when there is none or the pointer is malformed. */
cn_json* cn_json_pointer(cn_json* node, const char* pointer);
/* Replaces the value at a JSON pointer by that of a JSON text; a new last key is added to an existing object, "-" or the
 * size as last step appends to an array. Handles to the replaced node stay valid and see the new value; those to nodes
 * below it see what was. On failure nothing has changed. CORNU_NOT_FOUND: no such place. CORNU_BAD_ARGUMENT: text is no
 * JSON or nests deeper there than CN_LIMIT_JSON_DEPTH, the pointer is malformed, the new key is no UTF-8.
 * CORNU_NO_MEMORY. */
cornu_status cn_json_set(cn_json_doc* doc, const char* pointer, const char* text);
/* Removes the member or element at a JSON pointer. CORNU_NOT_FOUND; CORNU_BAD_ARGUMENT: malformed, or "". */
cornu_status cn_json_remove(cn_json_doc* doc, const char* pointer);

/* Appends the text of a node, as the top comment says; "null" for NULL. */
cornu_status cn_json_print(const cn_json* node, cn_buf* out);
/* Append one scalar as json.dumps writes it; a byte that is no UTF-8 as \ufffd. */
void cn_json_print_string(cn_buf* out, const char* data, size_t size);
void cn_json_print_double(cn_buf* out, double value);

#ifdef __cplusplus
}
#endif

#endif
