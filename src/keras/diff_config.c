/* Compares configs as values. The layers of a model are matched by name, so that one more of them is one difference and not one in each that follows. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "keras/diff.h"
#include "keras/parts.h"

#define SHOWN 200 /* bytes of a value that a difference shows */

typedef struct comparer {
    cn_diff* out;
    cornu_difference_kind kind;
} comparer;

/* Where we are: names of keys from the root on. */
typedef struct place {
    const struct place* up;
    const char* key;
    size_t index; /* of an element, when key is NULL */
    bool is_layer; /* key is the name of a layer */
} place;

/* ---- text ---- */

static void put_place(const place* at, cn_buf* out) {
    bool nested = at->up != NULL;

    if (at->up) put_place(at->up, out);
    if (at->is_layer) {
        cn_buf_format(out, "%slayer '%s':", nested && out->size ? " " : "", at->key);
    } else if (at->key) {
        bool after_layer = out->size && out->data[out->size - 1] == ':';
        cn_buf_format(out, "%s%s", !out->size ? "" : after_layer ? " " : ".", at->key);
    } else if (nested) cn_buf_format(out, "[%zu]", at->index);
}

/* A value as the file spells it, not too long. */
static cornu_status spell(cn_diff* diff, const cn_json* node, const char** out) {
    cornu_status st = CORNU_OK;
    cn_buf text = {0};

    *out = NULL;
    if (!node) return CORNU_OK;
    CN_STEP(cn_json_print(node, &text));
    CN_STEP(cn_buf_check(&text));
    if (text.size <= SHOWN) {
        *out = cn_arena_strndup(&diff->arena, text.data, text.size);
    } else {
        size_t n = SHOWN;
        while (n > 0 && ((unsigned char)text.data[n] & 0xC0) == 0x80) n--; /* between characters */
        *out = cn_arena_format(&diff->arena, "%.*s... (%zu bytes)", (int)n, text.data, text.size);
    }
    if (!*out) CN_STEP(CN_NO_MEMORY(text.size));
done:
    cn_buf_deinit(&text);
    return st;
}

static cornu_status add(comparer* cx, const place* at, const cn_json* a, const cn_json* b) {
    cornu_status st = CORNU_OK;
    cornu_difference row = {0};
    cn_buf text = {0};

    put_place(at, &text);
    CN_STEP(cn_buf_check(&text));
    if (text.size && text.data[text.size - 1] == ':') text.data[--text.size] = '\0';
    row.kind = cx->kind;
    row.place = text.size ? text.data : "config";
    CN_STEP(spell(cx->out, a, &row.a));
    CN_STEP(spell(cx->out, b, &row.b));
    CN_STEP(cn_diff_add(cx->out, &row));
done:
    cn_buf_deinit(&text);
    return st;
}

/* ---- values ---- */

static bool is_number(const cn_json* node) { return cn_json_is(node, CN_JSON_INT) || cn_json_is(node, CN_JSON_FLOAT); }

static bool same_scalar(const cn_json* a, const cn_json* b) {
    int64_t x, y;
    size_t n, m;

    if (is_number(a) && is_number(b)) {
        if (cn_json_int64(a, &x) && cn_json_int64(b, &y)) return x == y;
        return cn_json_double(a) == cn_json_double(b) || (isnan(cn_json_double(a)) && isnan(cn_json_double(b)));
    }
    if (cn_json_type_of(a) != cn_json_type_of(b)) return false;
    if (cn_json_is(a, CN_JSON_BOOL)) return cn_json_bool(a) == cn_json_bool(b);
    if (cn_json_is(a, CN_JSON_STRING)) {
        const char* s = cn_json_string(a, &n);
        const char* t = cn_json_string(b, &m);
        return n == m && memcmp(s, t, n) == 0;
    }
    return true; /* null */
}

/* Whether null says the same as the key's absence. */
static bool may_be_absent(const char* key, const cn_json* node) {
    static const char* const keys[] = {"registered_name", "build_config", "compile_config"};

    if (strcmp(key, "shared_object_id") == 0) return true;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (strcmp(keys[i], key) == 0) return cn_json_type_of(node) == CN_JSON_NULL || cn_json_size(node) == 0;
    }
    return false;
}

static const char* name_of(const cn_json* object) {
    const char* name = cn_json_string(cn_json_get(cn_json_get(object, "config"), "name"), NULL);
    return name ? name : cn_json_string(cn_json_get(object, "name"), NULL);
}

/* Whether all elements are objects with a name: the layers of a model. */
static bool are_named(const cn_json* array) {
    for (size_t i = 0; i < cn_json_size(array); i++) {
        if (!cn_json_get(cn_json_at(array, i), "class_name") || !name_of(cn_json_at(array, i))) return false;
    }
    return cn_json_size(array) > 0;
}

/* The element of that name, begun to search at its own place in the other list. */
static const cn_json* find_named(const cn_json* array, const char* name, size_t hint, size_t* out_index) {
    size_t count = cn_json_size(array);

    for (size_t i = 0; i < count; i++) {
        size_t at = (hint + i) % count;
        if (strcmp(name_of(cn_json_at(array, at)), name) != 0) continue;
        *out_index = at;
        return cn_json_at(array, at);
    }
    return NULL;
}

static cornu_status compare(comparer* cx, const place* at, const cn_json* a, const cn_json* b);

static cornu_status compare_layers(comparer* cx, const place* at, const cn_json* a, const cn_json* b) {
    bool moved = false;
    size_t j = 0;

    for (size_t i = 0; i < cn_json_size(a); i++) {
        const cn_json* layer = cn_json_at(a, i);
        place below = {at->up, name_of(layer), 0, true};
        const cn_json* other = find_named(b, below.key, i, &j);
        if (other && j != i) moved = true;
        if (other) CN_TRY(compare(cx, &below, layer, other));
        else CN_TRY(add(cx, &below, layer, NULL));
    }
    for (size_t i = 0; i < cn_json_size(b); i++) {
        const cn_json* layer = cn_json_at(b, i);
        place below = {at->up, name_of(layer), 0, true};
        if (!find_named(a, below.key, i, &j)) CN_TRY(add(cx, &below, NULL, layer));
    }
    /* The same layers in another order are another model. */
    if (moved && cn_json_size(a) == cn_json_size(b)) {
        place order = {at, "order", 0, false};
        return add(cx, &order, a, b);
    }
    return CORNU_OK;
}

static cornu_status compare_arrays(comparer* cx, const place* at, const cn_json* a, const cn_json* b) {
    size_t n = cn_json_size(a), m = cn_json_size(b);

    if (at->key && strcmp(at->key, "layers") == 0 && are_named(a) && are_named(b)) return compare_layers(cx, at, a, b);
    if (n != m) return add(cx, at, a, b);
    for (size_t i = 0; i < n; i++) {
        place below = {at, NULL, i, false};
        CN_TRY(compare(cx, &below, cn_json_at(a, i), cn_json_at(b, i)));
    }
    return CORNU_OK;
}

/* "config" between an object and its keys is left out of the places. */
static place step_to(const place* at, const char* key) {
    place below = {at, key, 0, false};
    if (strcmp(key, "config") == 0 && (at->is_layer || !at->up)) below = *at;
    return below;
}

static cornu_status compare_objects(comparer* cx, const place* at, const cn_json* a, const cn_json* b) {
    for (size_t i = 0; i < cn_json_size(a); i++) {
        const char* key = cn_json_key_at(a, i, NULL);
        const cn_json* x = cn_json_at(a, i);
        const cn_json* y = cn_json_get(b, key);
        place below = step_to(at, key);
        if (!y && may_be_absent(key, x)) continue;
        if (strcmp(key, "shared_object_id") == 0) continue;
        if (!at->up && strcmp(key, "compile_config") == 0) continue; /* compared on its own */
        if (y) CN_TRY(compare(cx, &below, x, y));
        else CN_TRY(add(cx, &below, x, NULL));
    }
    for (size_t i = 0; i < cn_json_size(b); i++) {
        const char* key = cn_json_key_at(b, i, NULL);
        place below = step_to(at, key);
        if (cn_json_get(a, key) || may_be_absent(key, cn_json_at(b, i)) || (!at->up && strcmp(key, "compile_config") == 0)) continue;
        CN_TRY(add(cx, &below, NULL, cn_json_at(b, i)));
    }
    return CORNU_OK;
}

/* Depth is bounded by the JSON parser. */
static cornu_status compare(comparer* cx, const place* at, const cn_json* a, const cn_json* b) {
    if (cn_json_is(a, CN_JSON_OBJECT) && cn_json_is(b, CN_JSON_OBJECT)) return compare_objects(cx, at, a, b);
    if (cn_json_is(a, CN_JSON_ARRAY) && cn_json_is(b, CN_JSON_ARRAY)) return compare_arrays(cx, at, a, b);
    if (cn_json_size(a) == 0 && cn_json_size(b) == 0 && same_scalar(a, b)) return CORNU_OK;
    return add(cx, at, a, b);
}

static const cn_json* compile_of(const cn_json* root) {
    const cn_json* compile = cn_json_get(root, "compile_config");
    return cn_json_size(compile) > 0 ? compile : NULL;
}

cornu_status cn_diff_configs(const cn_document* a, const cn_document* b, cn_diff* out) {
    comparer cx = {out, CORNU_DIFF_CONFIG};
    const place root = {NULL, NULL, 0, false};
    const place compile = {NULL, "compile_config", 0, false};
    const cn_json* x = a->state->config ? cn_json_root(a->state->config) : NULL;
    const cn_json* y = b->state->config ? cn_json_root(b->state->config) : NULL;

    if (!x && !y) return CORNU_OK;
    if (!x || !y) return add(&cx, &root, x, y);
    CN_TRY(compare(&cx, &root, x, y));
    cx.kind = CORNU_DIFF_COMPILE;
    x = compile_of(x);
    y = compile_of(y);
    if (!x && !y) return CORNU_OK;
    return x && y ? compare(&cx, &compile, x, y) : add(&cx, &compile, x, y);
}
