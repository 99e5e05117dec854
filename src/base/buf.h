/* Growing bytes. Zero-initialise; an error sticks (failed), so that writers check once at the end. */
#ifndef CN_BASE_BUF_H
#define CN_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>

#include "base/alloc.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cn_buf {
    char* data;      /* size bytes, then a NUL once anything was added; NULL at first */
    size_t size;     /* bytes */
    size_t capacity; /* bytes, the NUL included */
    bool failed;     /* an allocation failed: data holds what came before */
} cn_buf;

void cn_buf_add(cn_buf* buf, const void* data, size_t size);
void cn_buf_text(cn_buf* buf, const char* text);
void cn_buf_format(cn_buf* buf, const char* format, ...) __attribute__((format(printf, 2, 3)));
/* Room for size more bytes, uninitialised, counted as added; NULL on failure. */
void* cn_buf_extend(cn_buf* buf, size_t size);
/* CORNU_NO_MEMORY if any addition failed. */
cornu_status cn_buf_check(const cn_buf* buf);
/* The bytes, now the caller's (cn_free); the buffer is empty again. "" when nothing was added; NULL on no memory. */
char* cn_buf_take(cn_buf* buf);
void cn_buf_deinit(cn_buf* buf);

#ifdef __cplusplus
}
#endif

#endif
