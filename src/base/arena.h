/* Memory that dies all at once. Nothing in it is freed singly. Zero-initialise. One thread at a time. */
#ifndef CN_BASE_ARENA_H
#define CN_BASE_ARENA_H

#include "base/alloc.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cn_arena_block cn_arena_block;

typedef struct cn_arena {
    cn_arena_block* blocks; /* newest first */
    size_t used;            /* bytes of the newest block */
    uint64_t total;         /* bytes of all blocks */
} cn_arena;

/* size zeroed bytes, aligned to 16; NULL when there is no memory. */
void* cn_arena_alloc(cn_arena* arena, size_t size);
/* count zeroed elements; NULL also on overflow. */
void* cn_arena_array(cn_arena* arena, size_t count, size_t size);
char* cn_arena_strdup(cn_arena* arena, const char* text);
char* cn_arena_strndup(cn_arena* arena, const char* text, size_t size);
char* cn_arena_format(cn_arena* arena, const char* format, ...) __attribute__((format(printf, 2, 3)));
void cn_arena_deinit(cn_arena* arena);

#ifdef __cplusplus
}
#endif

#endif
