/* All memory of the library comes from here, so that tests can make each allocation fail in turn. */
#ifndef CN_BASE_ALLOC_H
#define CN_BASE_ALLOC_H

#include <stdbool.h>

#include "base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* size bytes, aligned for any scalar; NULL when there are none. Size 0 gives a pointer that can be freed. Thread-safe. */
void* cn_alloc(size_t size);
/* The same, zeroed, for count elements; NULL also when count * size overflows. */
void* cn_alloc_zero(size_t count, size_t size);
/* As realloc: memory stays valid when NULL comes back. */
void* cn_realloc(void* memory, size_t size);
/* size bytes aligned to 64. Freed by cn_free_aligned only. */
void* cn_alloc_aligned(size_t size);
void cn_free_aligned(void* memory);
/* NULL is allowed. */
void cn_free(void* memory);
/* A copy of text, NUL-terminated; NULL when there is no memory. */
char* cn_strdup(const char* text);
char* cn_strndup(const char* text, size_t size);

/* The failure to return when one of the above gave NULL. */
#define CN_NO_MEMORY(size) CN_FAIL(NO_MEMORY, "out of memory: %zu bytes could not be allocated", (size_t)(size))

/* For tests: allocation number n from now on (1 is the next) fails, and all later ones too if persistent; 0 turns it
 * off. Counts the allocations of all threads. cn_alloc_count: allocations since the program began. */
void cn_alloc_fail_at(uint64_t n, bool persistent);
uint64_t cn_alloc_count(void);

#ifdef __cplusplus
}
#endif

#endif
