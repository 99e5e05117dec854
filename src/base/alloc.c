/* The allocator hook: malloc with a counter that tests can arm. */
#include "base/alloc.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static atomic_uint_fast64_t alloc_count;
static atomic_uint_fast64_t fail_at; /* 0: never; else the value of alloc_count at which to fail */
static atomic_bool fail_persistent;

void cn_alloc_fail_at(uint64_t n, bool persistent) {
    atomic_store(&fail_persistent, persistent);
    atomic_store(&fail_at, n == 0 ? 0 : atomic_load(&alloc_count) + n);
}

uint64_t cn_alloc_count(void) { return atomic_load(&alloc_count); }

static bool must_fail(void) {
    uint64_t number = atomic_fetch_add(&alloc_count, 1) + 1;
    uint64_t at = atomic_load(&fail_at);

    return at != 0 && (number == at || (number > at && atomic_load(&fail_persistent)));
}

void* cn_alloc(size_t size) { return must_fail() ? NULL : malloc(size ? size : 1); }

void* cn_alloc_zero(size_t count, size_t size) {
    if (must_fail() || (size != 0 && count > SIZE_MAX / size)) return NULL;
    return count && size ? calloc(count, size) : calloc(1, 1);
}

void* cn_realloc(void* memory, size_t size) { return must_fail() ? NULL : realloc(memory, size ? size : 1); }

void* cn_alloc_aligned(size_t size) {
    if (must_fail() || size > SIZE_MAX - 63) return NULL;
    return aligned_alloc(64, size ? (size + 63) / 64 * 64 : 64);
}

void cn_free_aligned(void* memory) { free(memory); }

void cn_free(void* memory) { free(memory); }

void cornu_free(void* memory) { cn_free(memory); }

char* cn_strndup(const char* text, size_t size) {
    char* copy = size < SIZE_MAX ? cn_alloc(size + 1) : NULL;

    if (!copy) return NULL;
    memcpy(copy, text, size);
    copy[size] = '\0';
    return copy;
}

char* cn_strdup(const char* text) { return cn_strndup(text, strlen(text)); }
