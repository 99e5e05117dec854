/* Reading a parsed document. The parser is json_scan.c, printing json_print.c, changing json_edit.c; json_node.h draws
 * what they share. */
#include "archive/json.h"

#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "archive/json_node.h"

static const char* const type_names[] = {"null", "bool", "int", "float", "string", "array", "object"};

static pthread_once_t c_locale_once = PTHREAD_ONCE_INIT;
static locale_t c_locale; /* lives as long as the process */

static void make_c_locale(void) { c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0); }

double cn_json_strtod(const char* data) {
    (void)pthread_once(&c_locale_once, make_c_locale);
    return c_locale ? strtod_l(data, NULL, c_locale) : strtod(data, NULL);
}

cornu_status cn_json_parse(const char* text, uint64_t size, const char* what, cn_json_doc** out) {
    cornu_status st = CORNU_OK;
    cn_json_doc* doc = cn_alloc_zero(1, sizeof *doc);
    cn_json_input in = {.text = text, .size = size, .what = what, .depth = 0, .original = true};

    *out = NULL;
    if (!doc) return CN_NO_MEMORY(sizeof *doc);
    CN_STEP(cn_json_scan(&doc->arena, &in, &doc->root, &doc->text));
    doc->text_size = size;
    doc->root.outermost = true;
    *out = doc;
    doc = NULL;
done:
    cn_json_doc_destroy(doc);
    return st;
}

void cn_json_doc_destroy(cn_json_doc* doc) {
    if (!doc) return;
    cn_arena_deinit(&doc->arena);
    cn_free(doc);
}

cn_json* cn_json_root(cn_json_doc* doc) { return doc ? &doc->root : NULL; }

cn_json_type cn_json_type_of(const cn_json* node) { return node ? (cn_json_type)node->type : CN_JSON_NULL; }

const char* cn_json_type_name(const cn_json* node) { return node ? type_names[node->type] : "nothing"; }

static bool is_container(const cn_json* node) {
    return cn_json_is(node, CN_JSON_ARRAY) || cn_json_is(node, CN_JSON_OBJECT);
}

size_t cn_json_size(const cn_json* node) { return is_container(node) ? node->size : 0; }

cn_json* cn_json_at(const cn_json* node, size_t i) { return i < cn_json_size(node) ? node->as.items[i] : NULL; }

const char* cn_json_key_at(const cn_json* node, size_t i, size_t* size) {
    const cn_json* child = cn_json_is(node, CN_JSON_OBJECT) ? cn_json_at(node, i) : NULL;

    if (size) *size = child ? child->key_size : 0;
    return child ? child->key : NULL;
}

int cn_json_key_compare(const char* a, size_t a_size, const char* b, size_t b_size) {
    if (a_size != b_size) return a_size < b_size ? -1 : 1;
    return a_size ? memcmp(a, b, a_size) : 0;
}

static int compare_nodes(const void* a, const void* b) {
    const cn_json* x = *(cn_json* const*)a;
    const cn_json* y = *(cn_json* const*)b;

    return cn_json_key_compare(x->key, x->key_size, y->key, y->key_size);
}

/* Comparing bounds the work by n log n whatever the keys are; a hash could be made to collide by a file. */
void cn_json_sort(cn_json** nodes, size_t count) { qsort(nodes, count, sizeof *nodes, compare_nodes); }

static cn_json* find_sorted(const cn_json* node, const char* key, size_t size) {
    size_t low = 0, high = node->size;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        cn_json* child = node->sorted[middle];
        int order = cn_json_key_compare(key, size, child->key, child->key_size);

        if (order == 0) return child;
        if (order < 0) high = middle;
        else low = middle + 1;
    }
    return NULL;
}

cn_json* cn_json_find(const cn_json* node, const char* key, size_t size) {
    if (!cn_json_is(node, CN_JSON_OBJECT)) return NULL;
    if (node->sorted) return find_sorted(node, key, size);
    for (size_t i = 0; i < node->size; i++) {
        cn_json* child = node->as.items[i];
        if (cn_json_key_compare(key, size, child->key, child->key_size) == 0) return child;
    }
    return NULL;
}

cn_json* cn_json_get(const cn_json* node, const char* key) { return cn_json_find(node, key, strlen(key)); }

bool cn_json_bool(const cn_json* node) { return cn_json_is(node, CN_JSON_BOOL) && node->text[0] == 't'; }

double cn_json_double(const cn_json* node) {
    if (!cn_json_is(node, CN_JSON_INT) && !cn_json_is(node, CN_JSON_FLOAT)) return (double)NAN;
    if (node->text[0] == 'N') return (double)NAN;
    /* The span ends at a blank, ',', ']', '}' or the NUL, none of which continues a number; strtod reads Infinity. */
    return cn_json_strtod(node->text);
}

bool cn_json_int64(const cn_json* node, int64_t* out) {
    bool minus;
    int64_t value = 0;

    if (!cn_json_is(node, CN_JSON_INT)) return false;
    minus = node->text[0] == '-';
    for (uint32_t i = minus ? 1 : 0; i < node->text_size; i++) {
        int digit = node->text[i] - '0';
        /* Built up below zero, where there is one more number. */
        if (__builtin_mul_overflow(value, (int64_t)10, &value)) return false;
        if (__builtin_sub_overflow(value, (int64_t)digit, &value)) return false;
    }
    if (!minus && value == INT64_MIN) return false;
    *out = minus ? value : -value;
    return true;
}

const char* cn_json_string(const cn_json* node, size_t* size) {
    bool is_string = cn_json_is(node, CN_JSON_STRING);

    if (size) *size = is_string ? node->size : 0;
    return is_string ? node->as.data : NULL;
}

bool cn_json_equals(const cn_json* node, const char* text) {
    return cn_json_is(node, CN_JSON_STRING) && node->size == strlen(text) &&
           memcmp(node->as.data, text, node->size) == 0;
}

const char* cn_json_text(const cn_json* node, size_t* size) {
    bool known = node && node->original && !node->changed;

    if (size) *size = known ? node->text_size : 0;
    return known ? node->text : NULL;
}
