/* The classes, functions and operations of Keras 3.15, and which keys its classes take. */
#include <string.h>

#include "keras/check.h"

static const struct {
    const char *module, *class_name, *keys;
} classes[] = {
#define CN_ACCEPTS(module, class_name, keys) {module, class_name, keys},
#include "keras/accepts.def"
};

static const char* const functions[] = {
#define CN_FUNCTION(name) name,
#include "keras/accepts.def"
};

static const char* const ops[] = {
#define CN_OP(name) name,
#include "keras/accepts.def"
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

const char* cn_keras_keys(const char* module, const char* class_name) {
    for (size_t i = 0; i < COUNT(classes); i++) {
        if (strcmp(classes[i].class_name, class_name) == 0 && (!module || strcmp(classes[i].module, module) == 0)) return classes[i].keys;
    }
    return NULL;
}

bool cn_keras_has_module(const char* module) {
    for (size_t i = 0; i < COUNT(classes); i++) {
        if (strcmp(classes[i].module, module) == 0) return true;
    }
    return false;
}

static bool has(const char* const* names, size_t count, const char* name) {
    for (size_t i = 0; i < count; i++) {
        if (strcmp(names[i], name) == 0) return true;
    }
    return false;
}

bool cn_keras_has_function(const char* name) { return has(functions, COUNT(functions), name); }
bool cn_keras_has_op(const char* class_name) { return has(ops, COUNT(ops), class_name); }

bool cn_is_word_of(const char* words, const char* text) {
    size_t n = strlen(text);

    for (const char* at = words; *at;) {
        size_t size = strcspn(at, " ");
        if (size == n && memcmp(at, text, n) == 0) return true;
        at += size + (at[size] == ' ');
    }
    return false;
}
