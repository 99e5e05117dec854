/* Our own look at a zip's directory: where payloads lie, and every check that libzip does not make. */
#ifndef CN_ARCHIVE_ZIP_SCAN_H
#define CN_ARCHIVE_ZIP_SCAN_H

#include "archive/zip.h"
#include "base/arena.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cn_zip_member {
    cn_zip_entry entry; /* first: an entry is its member */
    size_t name_size;
    uint16_t flags;
    uint64_t header_offset;  /* of the local header */
    uint64_t payload_offset; /* stored_size bytes there */
} cn_zip_member;

typedef struct cn_zip_scan {
    cn_zip_member* members; /* count, in the directory's order; in the arena */
    size_t count;
    size_t* by_name;           /* indices sorted by name; in the arena */
    uint64_t directory_offset; /* bytes before it are members */
} cn_zip_scan;

/* CORNU_BAD_FILE naming archive, member and what is wrong; CORNU_NO_MEMORY, CORNU_IO_ERROR. */
cornu_status cn_zip_scan_directory(cn_source* source, cn_arena* arena, cn_zip_scan* out);

#ifdef __cplusplus
}
#endif

#endif
