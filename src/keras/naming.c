/* Names of groups in the weights file: Keras's to_snake_case, and the numbering of what a container holds. */
#include "keras/naming.h"

#include <string.h>

static bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
static bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
/* Bytes of characters outside ASCII count as word characters, as nearly all of them are. */
static bool is_word(char c) {
    return is_lower(c) || is_upper(c) || (c >= '0' && c <= '9') || c == '_' || (unsigned char)c >= 0x80;
}

/* The substitution (.)([A-Z][a-z]+) -> \1_\2, from left to right without overlap. */
static void split_words(const char* in, char* out) {
    while (*in) {
        *out++ = *in++;
        if (!is_upper(in[0]) || !is_lower(in[1])) continue;
        *out++ = '_';
        *out++ = *in++;
        while (is_lower(*in)) *out++ = *in++;
    }
    *out = '\0';
}

/* The substitution ([a-z])([A-Z]) -> \1_\2, then lower case. */
static void split_cases(const char* in, char* out) {
    for (; *in; in++) {
        *out++ = is_upper(*in) ? (char)(*in - 'A' + 'a') : *in;
        if (is_lower(in[0]) && is_upper(in[1])) *out++ = '_';
    }
    *out = '\0';
}

char* cn_snake_case(cn_arena* arena, const char* class_name) {
    size_t size = strlen(class_name), n = 0;
    char* words = cn_arena_array(arena, size + 1, 1);
    char* parts = cn_arena_array(arena, 2 * size + 1, 1);
    char* out = cn_arena_array(arena, 3 * size + 1, 1);

    if (!words || !parts || !out) return NULL;
    for (const char* c = class_name; *c; c++) {
        if (is_word(*c)) words[n++] = *c;
    }
    split_words(words, parts);
    split_cases(parts, out);
    return out;
}

/* Exported classes whose Python name, from which Keras makes the group's name and which legacy HDF5 has, is another. */
static const struct {
    const char* class_name;
    const char* python_name;
} renamed[] = {
    {"GroupQueryAttention", "GroupedQueryAttention"},
};

const char* cn_naming_python(const char* class_name) {
    for (size_t i = 0; i < sizeof renamed / sizeof *renamed; i++) {
        if (strcmp(renamed[i].class_name, class_name) == 0) return renamed[i].python_name;
    }
    return class_name;
}

const char* cn_naming_exported(const char* python_name) {
    for (size_t i = 0; i < sizeof renamed / sizeof *renamed; i++) {
        if (strcmp(renamed[i].python_name, python_name) == 0) return renamed[i].class_name;
    }
    return python_name;
}

const char* cn_naming_base(cn_arena* arena, const char* class_name) { return cn_snake_case(arena, cn_naming_python(class_name)); }

/* ---- counters, a hash table of open addressing ---- */

cornu_status cn_naming_init(cn_naming* naming, cn_arena* arena, size_t count) {
    size_t capacity = 8;

    while (capacity < 2 * count) capacity *= 2;
    naming->counters = cn_arena_array(arena, capacity, sizeof *naming->counters);
    naming->capacity = capacity;
    return naming->counters ? CORNU_OK : CN_NO_MEMORY(capacity * sizeof *naming->counters);
}

uint64_t* cn_naming_counter(cn_naming* naming, const char* base) {
    uint64_t hash = 14695981039346656037u;

    for (const char* c = base; *c; c++) hash = (hash ^ (unsigned char)*c) * 1099511628211u;
    for (size_t i = (size_t)(hash ^ (hash >> 32)) & (naming->capacity - 1);; i = (i + 1) & (naming->capacity - 1)) {
        cn_naming_entry* entry = &naming->counters[i];
        if (!entry->base) entry->base = base;
        if (strcmp(entry->base, base) == 0) return &entry->next;
    }
}
