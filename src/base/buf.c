/* Growing bytes, doubling. */
#include "base/buf.h"

#include <stdio.h>
#include <string.h>

void* cn_buf_extend(cn_buf* buf, size_t size) {
    size_t need, capacity;
    char* data;

    if (buf->failed) return NULL;
    if (size > SIZE_MAX / 2 - buf->size - 1) {
        buf->failed = true;
        return NULL;
    }
    need = buf->size + size + 1;
    if (need > buf->capacity) {
        capacity = buf->capacity < 64 ? 64 : buf->capacity;
        while (capacity < need) capacity *= 2;
        data = cn_realloc(buf->data, capacity);
        if (!data) {
            buf->failed = true;
            return NULL;
        }
        buf->data = data;
        buf->capacity = capacity;
    }
    data = buf->data + buf->size;
    buf->size += size;
    buf->data[buf->size] = '\0';
    return data;
}

void cn_buf_add(cn_buf* buf, const void* data, size_t size) {
    void* to = cn_buf_extend(buf, size);
    if (to && size) memcpy(to, data, size);
}

void cn_buf_text(cn_buf* buf, const char* text) { cn_buf_add(buf, text, strlen(text)); }

void cn_buf_format(cn_buf* buf, const char* format, ...) {
    va_list args;
    int size;
    char* to;

    va_start(args, format);
    size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (size < 0) {
        buf->failed = true;
        return;
    }
    to = cn_buf_extend(buf, (size_t)size);
    if (!to) return;
    va_start(args, format);
    (void)vsnprintf(to, (size_t)size + 1, format, args);
    va_end(args);
}

cornu_status cn_buf_check(const cn_buf* buf) {
    return buf->failed ? CN_FAIL(NO_MEMORY, "out of memory: a text of %zu bytes could not grow", buf->size) : CORNU_OK;
}

char* cn_buf_take(cn_buf* buf) {
    char* data = buf->failed ? NULL : buf->data ? buf->data : cn_strdup("");

    if (buf->failed) cn_free(buf->data);
    *buf = (cn_buf){0};
    return data;
}

void cn_buf_deinit(cn_buf* buf) {
    cn_free(buf->data);
    *buf = (cn_buf){0};
}
