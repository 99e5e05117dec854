/* Where bytes come from: a file, memory, or a window into either. Reads are by offset; there is no position.
 * Reference-counted by hand-over only: a window borrows its parent, which must outlive it. */
#ifndef CN_ARCHIVE_SOURCE_H
#define CN_ARCHIVE_SOURCE_H

#include "base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cn_source cn_source;

/* Opens a regular file for reading (never blocking: FIFOs, devices, sockets and directories are refused by kind).
 * CORNU_NOT_FOUND, CORNU_IO_ERROR, CORNU_BAD_FILE (not a regular file), CORNU_NO_MEMORY. */
cornu_status cn_source_open_file(const char* path, cn_source** out);
/* The same for a name inside an open directory (no symbolic link is followed). */
cornu_status cn_source_open_at(int dir_fd, const char* name, const char* path_for_errors, cn_source** out);
/* size bytes of memory, borrowed until close. */
cornu_status cn_source_open_memory(const void* data, uint64_t size, const char* name, cn_source** out);
/* size bytes of memory, now owned by the source (freed with cn_free), also when this fails. */
cornu_status cn_source_take_memory(void* data, uint64_t size, const char* name, cn_source** out);
/* [offset, offset + size) of parent, which is borrowed. CORNU_BAD_FILE when it does not lie inside. */
cornu_status cn_source_open_window(cn_source* parent, uint64_t offset, uint64_t size, const char* name, cn_source** out);
void cn_source_close(cn_source* source);

uint64_t cn_source_size(const cn_source* source);
/* What to call it in a message: the path, or "path: member". Borrowed. */
const char* cn_source_name(const cn_source* source);
/* Copies size bytes at offset to dst. CORNU_BAD_FILE when they do not lie inside; CORNU_IO_ERROR when the system fails, or the file
 * has shrunk or changed (size, mtime) since it was opened. Thread-safe. */
cornu_status cn_source_read(cn_source* source, uint64_t offset, void* dst, uint64_t size);
/* The bytes themselves where the source (or a window's root) is memory, else NULL. Borrowed until close. */
const void* cn_source_memory(const cn_source* source);

#ifdef __cplusplus
}
#endif

#endif
