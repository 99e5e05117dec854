/* JSON pointers, and changing a document by them. A value is replaced inside its node, so that handles to the node, its
 * place among its parent's children and its key stay as they are. A change marks all containers around it; a call that
 * fails has changed nothing. Memory of replaced values is freed with the document. */
#include <string.h>

#include "archive/json_node.h"
#include "archive/limits.h"

/* One step of a pointer as written, escapes and all; not NUL-terminated. */
typedef struct token {
    const char* data;
    size_t size;
} token;

/* Whether pointer is "" or /step/step..., with ~ only as ~0 or ~1. */
static bool is_pointer(const char* pointer) {
    if (pointer[0] != '\0' && pointer[0] != '/') return false;
    for (const char* p = strchr(pointer, '~'); p; p = strchr(p + 1, '~')) {
        if (p[1] != '0' && p[1] != '1') return false;
    }
    return true;
}

/* The first step of a pointer that has one; *pointer moves behind it. */
static token next_token(const char** pointer) {
    token t = {*pointer + 1, strcspn(*pointer + 1, "/")};

    *pointer = t.data + t.size;
    return t;
}

/* Whether key is what t means. */
static bool token_is(token t, const char* key, size_t size) {
    size_t i = 0, j = 0;

    for (; i < t.size && j < size; i++, j++) {
        char c = t.data[i];
        if (c == '~') c = t.data[++i] == '0' ? '~' : '/';
        if (c != key[j]) return false;
    }
    return i == t.size && j == size;
}

/* The number that t is: digits without leading zeros. Numbers too large for any array count as none. */
static bool token_index(token t, size_t* out) {
    size_t value = 0;

    if (t.size == 0 || t.size > 9 || (t.size > 1 && t.data[0] == '0')) return false;
    for (size_t i = 0; i < t.size; i++) {
        if (t.data[i] < '0' || t.data[i] > '9') return false;
        value = value * 10 + (size_t)(t.data[i] - '0');
    }
    *out = value;
    return true;
}

static cn_json* child_of(const cn_json* node, token t, size_t* index) {
    *index = 0;
    if (cn_json_is(node, CN_JSON_ARRAY)) return token_index(t, index) ? cn_json_at(node, *index) : NULL;
    if (!cn_json_is(node, CN_JSON_OBJECT)) return NULL;
    if (!memchr(t.data, '~', t.size)) return cn_json_find(node, t.data, t.size);
    for (uint32_t i = 0; i < node->size; i++) {
        cn_json* child = node->as.items[i];
        if (token_is(t, child->key, child->key_size)) return child;
    }
    return NULL;
}

cn_json* cn_json_pointer(cn_json* node, const char* pointer) {
    size_t unused;

    if (!is_pointer(pointer)) return NULL;
    while (node && *pointer) node = child_of(node, next_token(&pointer), &unused);
    return node;
}

/* A place in a document: child is what is there (NULL if it would be added), parent NULL for the whole document. */
typedef struct place {
    cn_json* parent;
    cn_json* child;
    token last;
    size_t index; /* of child in an array */
    int depth;    /* containers around the place */
} place;

static cornu_status find_place(cn_json_doc* doc, const char* pointer, place* out) {
    const char* rest = pointer;

    *out = (place){.child = &doc->root};
    if (!is_pointer(pointer)) return CN_FAIL(BAD_ARGUMENT, "'%s' is no JSON pointer", pointer);
    while (*rest) {
        out->parent = out->child;
        if (!out->parent) return CN_FAIL(NOT_FOUND, "there is nothing at the JSON pointer '%s'", pointer);
        out->last = next_token(&rest);
        out->child = child_of(out->parent, out->last, &out->index);
        out->depth++;
    }
    return CORNU_OK;
}

/* Marks the containers around the place at pointer, which exist. */
static void mark_changed(cn_json_doc* doc, const char* pointer) {
    cn_json* node = &doc->root;
    size_t unused;

    while (*pointer) {
        node->changed = true;
        node = child_of(node, next_token(&pointer), &unused);
        if (!node) return;
    }
}

/* Room for one more child. */
static cornu_status reserve(cn_arena* arena, cn_json* parent) {
    uint32_t capacity = parent->capacity * 2 + 4;
    bool index = parent->type == CN_JSON_OBJECT && capacity > CN_JSON_LINEAR;
    cn_json **items, **sorted = NULL;

    if (parent->size < parent->capacity) return CORNU_OK;
    if (parent->size >= CN_LIMIT_JSON_NODES) return CN_FAIL(BAD_ARGUMENT, "a JSON value has too many children");
    items = cn_arena_array(arena, capacity, sizeof *items);
    if (index) sorted = cn_arena_array(arena, capacity, sizeof *sorted);
    if (!items || (index && !sorted)) return CN_NO_MEMORY(capacity * sizeof *items);
    if (parent->size) memcpy(items, parent->as.items, parent->size * sizeof *items);
    if (sorted && parent->size) {
        memcpy(sorted, items, parent->size * sizeof *items);
        cn_json_sort(sorted, parent->size);
    }
    parent->as.items = items;
    parent->sorted = sorted;
    parent->capacity = capacity;
    return CORNU_OK;
}

/* Where node is, or belongs, among the sorted children. */
static uint32_t sorted_position(const cn_json* parent, const cn_json* node, uint32_t count) {
    uint32_t low = 0, high = count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const cn_json* other = parent->sorted[middle];
        if (cn_json_key_compare(other->key, other->key_size, node->key, node->key_size) < 0) low = middle + 1;
        else high = middle;
    }
    return low;
}

/* parent has room. */
static void append(cn_json* parent, cn_json* node) {
    if (parent->sorted) {
        uint32_t i = sorted_position(parent, node, parent->size);
        memmove(parent->sorted + i + 1, parent->sorted + i, (parent->size - i) * sizeof *parent->sorted);
        parent->sorted[i] = node;
    }
    parent->as.items[parent->size++] = node;
}

/* The decoded key that t means. */
static cornu_status take_key(cn_arena* arena, token t, cn_json* node) {
    char* key = cn_arena_strndup(arena, t.data, t.size);
    size_t size = 0;

    if (!key) return CN_NO_MEMORY(t.size + 1);
    for (size_t i = 0; i < t.size; i++) {
        char c = t.data[i];
        if (c == '~') c = t.data[++i] == '0' ? '~' : '/';
        key[size++] = c;
    }
    key[size] = '\0';
    /* Anything else could be printed only as another key. */
    for (size_t i = 0, count = 0; i < size; i += count) {
        count = cn_json_utf8_size(key + i);
        if (count == 0) return CN_FAIL(BAD_ARGUMENT, "the last key of a JSON pointer is not UTF-8");
    }
    node->key = key;
    node->key_size = (uint32_t)size;
    return CORNU_OK;
}

/* Parses text as a value for a place, in the form that json.dumps gives it: that form is what its nodes have as spans.
 */
static cornu_status read_value(cn_json_doc* doc, const char* pointer, int depth, const char* text, cn_json* out) {
    cornu_status st = CORNU_OK;
    cn_arena scratch = {0};
    cn_buf canonical = {0};
    cn_json given;
    const char* unused;
    cn_json_input in = {.text = text, .size = strlen(text), .what = "value", .depth = depth, .original = false};

    CN_STEP(cn_json_scan(&scratch, &in, &given, &unused));
    cn_json_print_canonical(&given, &canonical);
    CN_STEP(cn_buf_check(&canonical));
    in.text = canonical.data;
    in.size = canonical.size;
    CN_STEP(cn_json_scan(&doc->arena, &in, out, &unused));
done:
    if (st == CORNU_BAD_FILE) st = cn_fail_within(CORNU_BAD_ARGUMENT, "at the JSON pointer '%s'", pointer);
    cn_arena_deinit(&scratch);
    cn_buf_deinit(&canonical);
    return st;
}

static cornu_status add_value(cn_json_doc* doc, const char* pointer, const place* at, const cn_json* value) {
    bool is_array = at->parent->type == CN_JSON_ARRAY;
    bool is_end = is_array && ((at->last.size == 1 && at->last.data[0] == '-') ||
                               (token_index(at->last, &(size_t){0}) && at->index == at->parent->size));
    cn_json* node;

    if (is_array ? !is_end : at->parent->type != CN_JSON_OBJECT) {
        return CN_FAIL(NOT_FOUND, "there is no place at the JSON pointer '%s' in an %s of %zu", pointer,
                       cn_json_type_name(at->parent), cn_json_size(at->parent));
    }
    node = cn_arena_alloc(&doc->arena, sizeof *node);
    if (!node) return CN_NO_MEMORY(sizeof *node);
    *node = *value;
    if (!is_array) CN_TRY(take_key(&doc->arena, at->last, node));
    CN_TRY(reserve(&doc->arena, at->parent));
    append(at->parent, node);
    return CORNU_OK;
}

static void replace_value(cn_json* node, const cn_json* value) {
    cn_json old = *node;

    *node = *value;
    node->key = old.key;
    node->key_size = old.key_size;
    node->key_masked = old.key_masked;
}

cornu_status cn_json_set(cn_json_doc* doc, const char* pointer, const char* text) {
    cn_json value;
    place at;

    CN_TRY(find_place(doc, pointer, &at));
    CN_TRY(read_value(doc, pointer, at.depth, text, &value));
    if (at.child) replace_value(at.child, &value);
    else CN_TRY(add_value(doc, pointer, &at, &value));
    mark_changed(doc, pointer);
    return CORNU_OK;
}

cornu_status cn_json_remove(cn_json_doc* doc, const char* pointer) {
    place at;
    cn_json* parent;
    uint32_t i = 0;

    CN_TRY(find_place(doc, pointer, &at));
    parent = at.parent;
    if (!parent) return CN_FAIL(BAD_ARGUMENT, "the whole JSON document cannot be removed from itself");
    if (!at.child) return CN_FAIL(NOT_FOUND, "there is nothing at the JSON pointer '%s'", pointer);
    mark_changed(doc, pointer);
    if (parent->sorted) {
        uint32_t k = sorted_position(parent, at.child, parent->size);
        memmove(parent->sorted + k, parent->sorted + k + 1, (parent->size - k - 1) * sizeof *parent->sorted);
    }
    while (parent->as.items[i] != at.child) i++;
    memmove(parent->as.items + i, parent->as.items + i + 1, (parent->size - i - 1) * sizeof *parent->as.items);
    parent->size--;
    return CORNU_OK;
}
