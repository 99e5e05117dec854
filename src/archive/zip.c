/* Reading zip archives: our scan says where every payload lies and refuses what is doubtful; libzip, with its own
 * consistency checks, must see the same members, and inflates. Stored members are windows into the archive, so that
 * weights are never copied.
 *
 * Invariant: entry i is members[i].entry, and libzip's entry i. */
#include "archive/zip.h"

#include <string.h>
#include <zip.h>
#include <zlib.h>

#include "archive/zip_format.h"
#include "archive/zip_scan.h"
#include "base/size.h"

enum { PIECE_BYTES = 1 << 20 }; /* of a CRC check or an inflation step */

struct cn_zip {
    cn_source* source; /* borrowed */
    cn_arena arena;
    cn_zip_scan scan;
    zip_t* libzip;
    uint64_t position;        /* of libzip's reading */
    cornu_status read_status; /* first failure of source while libzip read */
    zip_error_t error;        /* of the callback below */
};

bool cn_zip_sniff(cn_source* source) {
    uint8_t mark[4];

    if (cn_source_size(source) < CN_ZIP_END_BYTES) return false;
    if (cn_source_read(source, 0, mark, sizeof mark) != CORNU_OK) return false;
    return cn_zip_get32(mark) == CN_ZIP_LOCAL_MARK || cn_zip_get32(mark) == CN_ZIP_END_MARK;
}

/* ---- libzip's view of a source ---- */

static zip_int64_t read_for_libzip(cn_zip* zip, void* data, zip_uint64_t size) {
    uint64_t left = cn_source_size(zip->source) - zip->position;
    uint64_t n = size < left ? size : left;
    cornu_status st = cn_source_read(zip->source, zip->position, data, n);

    if (st != CORNU_OK) {
        zip->read_status = st;
        zip_error_set(&zip->error, ZIP_ER_READ, 0);
        return -1;
    }
    zip->position += n;
    return (zip_int64_t)n;
}

static zip_int64_t seek_for_libzip(cn_zip* zip, void* data, zip_uint64_t size) {
    zip_int64_t to = zip_source_seek_compute_offset(zip->position, cn_source_size(zip->source), data, size, &zip->error);

    if (to < 0) return -1;
    zip->position = (uint64_t)to;
    return 0;
}

static zip_int64_t stat_for_libzip(const cn_zip* zip, void* data) {
    zip_stat_t* stat = data;

    zip_stat_init(stat);
    stat->size = cn_source_size(zip->source);
    stat->valid |= ZIP_STAT_SIZE;
    return (zip_int64_t)sizeof *stat;
}

static zip_int64_t source_callback(void* user, void* data, zip_uint64_t size, zip_source_cmd_t command) {
    cn_zip* zip = user;

    switch (command) {
    case ZIP_SOURCE_OPEN: zip->position = 0; return 0;
    case ZIP_SOURCE_READ: return read_for_libzip(zip, data, size);
    case ZIP_SOURCE_SEEK: return seek_for_libzip(zip, data, size);
    case ZIP_SOURCE_TELL: return (zip_int64_t)zip->position;
    case ZIP_SOURCE_STAT: return stat_for_libzip(zip, data);
    case ZIP_SOURCE_ERROR: return zip_error_to_data(&zip->error, data, size);
    case ZIP_SOURCE_SUPPORTS:
        return zip_source_make_command_bitmap(ZIP_SOURCE_OPEN, ZIP_SOURCE_READ, ZIP_SOURCE_CLOSE, ZIP_SOURCE_STAT,
                                              ZIP_SOURCE_ERROR, ZIP_SOURCE_FREE, ZIP_SOURCE_SEEK, ZIP_SOURCE_TELL,
                                              ZIP_SOURCE_SUPPORTS, -1);
    case ZIP_SOURCE_CLOSE:
    case ZIP_SOURCE_FREE: return 0;
    default: zip_error_set(&zip->error, ZIP_ER_OPNOTSUPP, 0); return -1;
    }
}

/* The failure that libzip reports: of our source where that was the cause. */
static cornu_status libzip_failure(const cn_zip* zip, zip_error_t* error, const char* what) {
    if (zip->read_status != CORNU_OK) return zip->read_status;
    if (zip_error_code_zip(error) == ZIP_ER_MEMORY) return CN_FAIL(NO_MEMORY, "%s: out of memory", what);
    return CN_FAIL(BAD_FILE, "%s: damaged zip archive: %s", what, zip_error_strerror(error));
}

static cornu_status open_libzip(cn_zip* zip) {
    const char* what = cn_source_name(zip->source);
    cornu_status st = CORNU_OK;
    zip_error_t error;
    zip_source_t* source;

    zip_error_init(&error);
    source = zip_source_function_create(source_callback, zip, &error);
    if (source) zip->libzip = zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, &error);
    if (!zip->libzip) {
        st = libzip_failure(zip, &error, what);
        if (source) zip_source_free(source);
    }
    zip_error_fini(&error);
    return st;
}

/* libzip and our scan must have read the same. */
static cornu_status compare_views(const cn_zip* zip) {
    const char* what = cn_source_name(zip->source);

    if (zip_get_num_entries(zip->libzip, 0) != (zip_int64_t)zip->scan.count)
        return CN_FAIL(BAD_FILE, "%s: the zip directory can be read in two ways", what);
    for (size_t i = 0; i < zip->scan.count; i++) {
        const cn_zip_entry* entry = &zip->scan.members[i].entry;
        const char* name = zip_get_name(zip->libzip, i, ZIP_FL_ENC_RAW);
        zip_stat_t stat;

        if (!name || zip_stat_index(zip->libzip, i, 0, &stat) != 0)
            return libzip_failure(zip, zip_get_error(zip->libzip), what);
        if (strcmp(name, entry->name) != 0 || stat.size != entry->size || stat.comp_size != entry->stored_size ||
            stat.crc != entry->crc || (stat.comp_method == ZIP_CM_STORE) != entry->stored)
            return CN_FAIL(BAD_FILE, "%s: zip member '%s' can be read in two ways", what, entry->name);
    }
    return CORNU_OK;
}

cornu_status cn_zip_open(cn_source* source, cn_zip** out) {
    cornu_status st = CORNU_OK;
    cn_zip* zip = cn_alloc_zero(1, sizeof *zip);

    *out = NULL;
    if (!zip) return CN_NO_MEMORY(sizeof *zip);
    zip->source = source;
    zip_error_init(&zip->error);
    CN_STEP(cn_zip_scan_directory(source, &zip->arena, &zip->scan));
    CN_STEP(open_libzip(zip));
    CN_STEP(compare_views(zip));
    *out = zip;
    zip = NULL;
done:
    cn_zip_close(zip);
    return st;
}

void cn_zip_close(cn_zip* zip) {
    if (!zip) return;
    if (zip->libzip) zip_discard(zip->libzip);
    zip_error_fini(&zip->error);
    cn_arena_deinit(&zip->arena);
    cn_free(zip);
}

size_t cn_zip_count(const cn_zip* zip) { return zip->scan.count; }

const cn_zip_entry* cn_zip_entry_at(const cn_zip* zip, size_t i) {
    return i < zip->scan.count ? &zip->scan.members[i].entry : NULL;
}

const cn_zip_entry* cn_zip_find(const cn_zip* zip, const char* name) {
    size_t low = 0, high = zip->scan.count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const cn_zip_entry* entry = &zip->scan.members[zip->scan.by_name[middle]].entry;
        int order = strcmp(name, entry->name);

        if (order == 0) return entry;
        if (order < 0) high = middle;
        else low = middle + 1;
    }
    return NULL;
}

/* ---- payloads ---- */

static cornu_status check_crc(cn_source* window, const cn_zip_entry* entry) {
    cornu_status st = CORNU_OK;
    uint8_t* piece = cn_alloc(PIECE_BYTES);
    uLong crc = crc32(0, NULL, 0);

    if (!piece) return CN_NO_MEMORY(PIECE_BYTES);
    for (uint64_t at = 0; at < entry->size;) {
        uint64_t n = entry->size - at < PIECE_BYTES ? entry->size - at : PIECE_BYTES;

        CN_STEP(cn_source_read(window, at, piece, n));
        crc = crc32(crc, piece, (uInt)n);
        at += n;
    }
    if (crc != entry->crc)
        st = CN_FAIL(BAD_FILE, "%s: damaged: its CRC is %08lx, the archive says %08lx", cn_source_name(window), crc,
                     (unsigned long)entry->crc);
done:
    cn_free(piece);
    return st;
}

static cornu_status open_window(cn_zip* zip, const cn_zip_member* member, const char* name, cn_source** out) {
    cornu_status st = CORNU_OK;
    cn_source* window = NULL;

    CN_STEP(cn_source_open_window(zip->source, member->payload_offset, member->entry.stored_size, name, &window));
    CN_STEP(check_crc(window, &member->entry));
    *out = window;
    window = NULL;
done:
    cn_source_close(window);
    return st;
}

/* Inflates exactly entry->size bytes; one more would show that the size was a lie. */
static cornu_status inflate_all(const cn_zip* zip, zip_file_t* file, const cn_zip_entry* entry, uint8_t* dst) {
    const char* what = cn_source_name(zip->source);
    uLong crc = crc32(0, NULL, 0);
    uint64_t at = 0;
    uint8_t more;

    while (at < entry->size) {
        uint64_t want = entry->size - at < PIECE_BYTES ? entry->size - at : PIECE_BYTES;
        zip_int64_t n = zip_fread(file, dst + at, want);

        if (n < 0) return libzip_failure(zip, zip_file_get_error(file), what);
        if (n == 0) return CN_FAIL(BAD_FILE, "%s: zip member '%s' inflates to less than its size", what, entry->name);
        crc = crc32(crc, dst + at, (uInt)n);
        at += (uint64_t)n;
    }
    switch (zip_fread(file, &more, 1)) {
    case 0: break;
    case 1: return CN_FAIL(BAD_FILE, "%s: zip member '%s' inflates to more than its size", what, entry->name);
    default: return libzip_failure(zip, zip_file_get_error(file), what);
    }
    if (crc != entry->crc) return CN_FAIL(BAD_FILE, "%s: zip member '%s' is damaged: CRC", what, entry->name);
    return CORNU_OK;
}

static cornu_status open_inflated(cn_zip* zip, size_t index, const char* name, cn_source** out) {
    const cn_zip_entry* entry = &zip->scan.members[index].entry;
    cornu_status st = CORNU_OK;
    uint8_t* bytes = entry->size <= SIZE_MAX ? cn_alloc((size_t)entry->size) : NULL;
    zip_file_t* file = NULL;

    if (!bytes) return CN_NO_MEMORY(entry->size);
    zip->read_status = CORNU_OK;
    file = zip_fopen_index(zip->libzip, index, 0);
    if (!file) CN_STEP(libzip_failure(zip, zip_get_error(zip->libzip), name));
    CN_STEP(inflate_all(zip, file, entry, bytes));
    st = cn_source_take_memory(bytes, entry->size, name, out);
    bytes = NULL;
done:
    if (file) (void)zip_fclose(file);
    cn_free(bytes);
    return st;
}

cornu_status cn_zip_open_entry(cn_zip* zip, const cn_zip_entry* entry, cn_source** out) {
    const cn_zip_member* member = (const cn_zip_member*)(const void*)entry; /* its first part */
    const char* what = cn_source_name(zip->source);
    size_t size = strlen(what) + member->name_size + 3;
    char* name = cn_alloc(size);
    cornu_status st;

    *out = NULL;
    if (!name) return CN_NO_MEMORY(size);
    memcpy(name, what, strlen(what));
    memcpy(name + strlen(what), ": ", 2);
    memcpy(name + strlen(what) + 2, entry->name, member->name_size + 1);
    if (entry->stored) st = open_window(zip, member, name, out);
    else st = open_inflated(zip, (size_t)(member - zip->scan.members), name, out);
    cn_free(name);
    return st;
}
