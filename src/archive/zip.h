/* Zip archives: reading by libzip with ZIP_CHECKCONS, writing as Python's zipfile does for Keras. */
#ifndef CN_ARCHIVE_ZIP_H
#define CN_ARCHIVE_ZIP_H

#include "archive/sink.h"
#include "archive/source.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cn_zip cn_zip;

typedef struct cn_zip_entry {
    const char* name; /* as in the archive, '/' between parts, UTF-8; a folder's own entry ends in '/'. Borrowed until close */
    uint64_t size;    /* bytes, uncompressed */
    uint64_t stored_size; /* bytes in the archive */
    uint32_t crc;
    bool stored; /* method 0: its bytes lie in the archive as they are */
} cn_zip_entry;

/* Whether the bytes begin as a zip archive does. */
bool cn_zip_sniff(cn_source* source);
/* Reads the directory of an archive; source is borrowed until close. CORNU_BAD_FILE: damaged, inconsistent, encrypted, a
 * duplicate or unsafe name (absolute, "..", NUL; '\' is kept and left to the caller), a symbolic link, a bomb, an unknown method. */
cornu_status cn_zip_open(cn_source* source, cn_zip** out);
void cn_zip_close(cn_zip* zip);
size_t cn_zip_count(const cn_zip* zip);
/* Entry i in the order of the archive. */
const cn_zip_entry* cn_zip_entry_at(const cn_zip* zip, size_t i);
/* By exact name; NULL when it is not there. */
const cn_zip_entry* cn_zip_find(const cn_zip* zip, const char* name);
/* A member's bytes as a source of their own: a window into the archive where it is stored, memory where it is deflated.
 * The CRC is verified. The source borrows zip and must be closed before it.
 * One thread at a time on one zip. */
cornu_status cn_zip_open_entry(cn_zip* zip, const cn_zip_entry* entry, cn_source** out);

typedef struct cn_zip_writer cn_zip_writer;

/* Writes to a sink, which is borrowed: stored members, mode 0600, no extra fields below 2 GiB
 * (where Python's zipfile begins with them), ZIP64 above. */
cornu_status cn_zip_writer_open(cn_sink* sink, cn_zip_writer** out);
/* Begins a member; the bytes follow by cn_zip_writer_write. mtime: seconds since 1970-01-01 00:00:00, both on the local
 * clock, or -1 for 1980-01-01 00:00:00. expected_size: at least the bytes that follow, where they may be near 2 GiB or
 * more, since the header must have room for them; else 0 will do. CORNU_BAD_ARGUMENT: name with a fault, or twice. */
cornu_status cn_zip_writer_begin(cn_zip_writer* writer, const char* name, int64_t mtime, uint64_t expected_size);
cornu_status cn_zip_writer_write(cn_zip_writer* writer, const void* data, uint64_t size);
/* Ends the current member (size and CRC are patched into its header). */
cornu_status cn_zip_writer_end(cn_zip_writer* writer);
/* Writes the central directory. */
cornu_status cn_zip_writer_finish(cn_zip_writer* writer);
void cn_zip_writer_close(cn_zip_writer* writer);

#ifdef __cplusplus
}
#endif

#endif
