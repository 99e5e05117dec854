/* A list of blocks, each twice as large as the one before up to 1 MiB; large requests get a block of their own. */
#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct cn_arena_block {
    cn_arena_block* next;
    size_t size; /* bytes that follow this header */
};

#define HEADER 16 /* bytes: the block struct, padded to the alignment */
_Static_assert(sizeof(cn_arena_block) <= HEADER, "arena header");

static void* add_block(cn_arena* arena, size_t need) {
    size_t size = arena->blocks ? arena->blocks->size * 2 : 4096 - HEADER;
    cn_arena_block* block;

    if (size > ((size_t)1 << 20)) size = (size_t)1 << 20;
    if (size < need) size = need;
    block = cn_alloc_zero(1, HEADER + size);
    if (!block) return NULL;
    block->next = arena->blocks;
    block->size = size;
    arena->blocks = block;
    arena->used = need;
    arena->total += size;
    return (char*)block + HEADER;
}

void* cn_arena_alloc(cn_arena* arena, size_t size) {
    void* memory;

    if (size > SIZE_MAX / 2) return NULL;
    size = (size + 15) / 16 * 16;
    if (size == 0) size = 16;
    if (!arena->blocks || arena->blocks->size - arena->used < size) return add_block(arena, size);
    memory = (char*)arena->blocks + HEADER + arena->used;
    arena->used += size;
    return memory;
}

void* cn_arena_array(cn_arena* arena, size_t count, size_t size) {
    if (size != 0 && count > SIZE_MAX / 2 / size) return NULL;
    return cn_arena_alloc(arena, count * size);
}

char* cn_arena_strndup(cn_arena* arena, const char* text, size_t size) {
    char* copy = size < SIZE_MAX ? cn_arena_alloc(arena, size + 1) : NULL;
    if (copy) memcpy(copy, text, size);
    return copy;
}

char* cn_arena_strdup(cn_arena* arena, const char* text) { return cn_arena_strndup(arena, text, strlen(text)); }

char* cn_arena_format(cn_arena* arena, const char* format, ...) {
    va_list args;
    int size;
    char* text;

    va_start(args, format);
    size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (size < 0) return NULL;
    text = cn_arena_alloc(arena, (size_t)size + 1);
    if (!text) return NULL;
    va_start(args, format);
    (void)vsnprintf(text, (size_t)size + 1, format, args);
    va_end(args);
    return text;
}

void cn_arena_deinit(cn_arena* arena) {
    while (arena->blocks) {
        cn_arena_block* next = arena->blocks->next;
        cn_free(arena->blocks);
        arena->blocks = next;
    }
    *arena = (cn_arena){0};
}
