/* JSON: parse, walk, print untouched (the same bytes), canonicalise, parse again (the same value), edit by a pointer
 * taken from the input, print, parse again. The first byte chooses the edit, the next says how long the pointer is. */
#include <stdlib.h>
#include <string.h>

#include "archive/json.h"

#define REQUIRE(condition)         \
    do {                           \
        if (!(condition)) abort(); \
    } while (0)

static bool same_double(double a, double b) { return a == b || (a != a && b != b); }

/* Whether two trees hold equal values; depth is what the parser allows. */
static bool same(const cn_json* a, const cn_json* b) {
    size_t a_size, b_size;
    cn_json_type type = cn_json_type_of(a);
    int64_t i = 0, j = 0;

    if (type != cn_json_type_of(b) || cn_json_size(a) != cn_json_size(b)) return false;
    if (cn_json_bool(a) != cn_json_bool(b) || !same_double(cn_json_double(a), cn_json_double(b))) return false;
    if (cn_json_int64(a, &i) != cn_json_int64(b, &j) || i != j) return false;
    if (type == CN_JSON_STRING) {
        const char* x = cn_json_string(a, &a_size);
        const char* y = cn_json_string(b, &b_size);
        if (a_size != b_size || memcmp(x, y, a_size) != 0 || x[a_size] != '\0') return false;
    }
    for (size_t k = 0; k < cn_json_size(a); k++) {
        const char* x = cn_json_key_at(a, k, &a_size);
        const char* y = cn_json_key_at(b, k, &b_size);
        if (a_size != b_size || (x && memcmp(x, y, a_size) != 0)) return false;
        if (x && strlen(x) == a_size && cn_json_get(a, x) != cn_json_at(a, k)) return false;
        if (!same(cn_json_at(a, k), cn_json_at(b, k))) return false;
    }
    return true;
}

/* Parses what node prints and compares. */
static void check_printed(cn_json_doc* doc) {
    cn_json_doc* again;
    cn_buf out = {0};

    REQUIRE(cn_json_print(cn_json_root(doc), &out) == CORNU_OK);
    REQUIRE(cn_json_parse(out.data, out.size, "printed", &again) == CORNU_OK);
    REQUIRE(same(cn_json_root(doc), cn_json_root(again)));
    cn_json_doc_destroy(again);
    cn_buf_deinit(&out);
}

static void check_untouched(cn_json_doc* doc, const char* text, size_t size) {
    cn_buf out = {0};

    REQUIRE(cn_json_print(cn_json_root(doc), &out) == CORNU_OK);
    REQUIRE(out.size == size && memcmp(out.data, text, size) == 0);
    cn_buf_deinit(&out);
}

/* A text set as a whole is canonical: setting it once more changes nothing. */
static void check_canonical(const cn_json_doc* doc, const char* text, size_t size) {
    cn_json_doc* other;
    cn_buf once = {0}, twice = {0};
    char* copy = cn_strndup(text, size);

    REQUIRE(copy && cn_json_parse("0", 1, "zero", &other) == CORNU_OK);
    REQUIRE(cn_json_set(other, "", copy) == CORNU_OK);
    REQUIRE(same(cn_json_root((cn_json_doc*)(uintptr_t)doc), cn_json_root(other)));
    REQUIRE(cn_json_print(cn_json_root(other), &once) == CORNU_OK);
    REQUIRE(cn_json_set(other, "", once.data) == CORNU_OK);
    REQUIRE(cn_json_print(cn_json_root(other), &twice) == CORNU_OK);
    REQUIRE(once.size == twice.size && memcmp(once.data, twice.data, once.size) == 0);
    cn_json_doc_destroy(other);
    cn_buf_deinit(&once);
    cn_buf_deinit(&twice);
    cn_free(copy);
}

static void edit(cn_json_doc* doc, int choice, const char* pointer) {
    static const char* const values[] = {"1", "[1.50, {\"\\u0061\": null}]", "{}", "\"\\ud800\"", "[", "-0", "1e400"};
    cn_json* node = cn_json_pointer(cn_json_root(doc), pointer);
    cornu_status st;

    if (choice % 8 == 7) {
        st = cn_json_remove(doc, pointer);
        REQUIRE((st == CORNU_OK) == (node && *pointer));
    } else {
        st = cn_json_set(doc, pointer, values[choice % 8]);
        REQUIRE(st == CORNU_OK || st == CORNU_NOT_FOUND || st == CORNU_BAD_ARGUMENT);
        REQUIRE(!node || st == CORNU_OK || st == CORNU_BAD_ARGUMENT);
    }
    REQUIRE(st != CORNU_OK || *pointer == '\0' || !cn_json_text(cn_json_root(doc), NULL));
}

/* A pointer to the place that path leads to: a byte a step. NULL bytes in keys cannot be pointed at and end it. */
static char* make_pointer(const cn_json* node, const uint8_t* path, size_t steps) {
    cn_buf out = {0};

    for (size_t i = 0; i < steps && cn_json_size(node) > 0; i++) {
        size_t k = path[i] % cn_json_size(node), size;
        const char* key = cn_json_key_at(node, k, &size);
        if (key && strlen(key) != size) break;
        cn_buf_text(&out, "/");
        if (!key) cn_buf_format(&out, "%zu", k);
        for (const char* p = key; p && *p; p++) {
            if (*p == '~' || *p == '/') cn_buf_text(&out, *p == '~' ? "~0" : "~1");
            else cn_buf_add(&out, p, 1);
        }
        node = cn_json_at(node, k);
    }
    if (steps > 0 && path[steps - 1] > 200) cn_buf_text(&out, path[steps - 1] > 230 ? "/-" : "/new~0");
    return cn_buf_take(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    /* From the start, as keys are quoted in other messages. */
    static const char disagreement[] = "input: refused because two JSON parsers disagree";
    cn_json_doc* doc;
    size_t steps;
    const char* text;
    char *made, *given;
    cornu_status st;

    if (size < 2 || data[1] % 16 > size - 2) return 0;
    steps = data[1] % 16;
    text = (const char*)data + 2 + steps;
    st = cn_json_parse(text, size - 2 - steps, "input", &doc);
    if (st != CORNU_OK) {
        REQUIRE(st == CORNU_BAD_FILE && strncmp(cornu_last_error(), disagreement, strlen(disagreement)) != 0);
        return 0;
    }
    REQUIRE(same(cn_json_root(doc), cn_json_root(doc)));
    check_untouched(doc, text, size - 2 - steps);
    check_canonical(doc, text, size - 2 - steps);
    made = make_pointer(cn_json_root(doc), data + 2, steps);
    given = cn_strndup((const char*)data + 2, steps);
    REQUIRE(made && given);
    edit(doc, data[0], made);
    check_printed(doc);
    edit(doc, data[0] >> 4, given);
    check_printed(doc);
    cn_free(made);
    cn_free(given);
    cn_json_doc_destroy(doc);
    return 0;
}
