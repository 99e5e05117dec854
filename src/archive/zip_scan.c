/* Scans the central directory and the local headers of a zip.
 *
 * Readers of zip disagree where an archive contradicts itself (which of two members of one name, which of two sizes),
 * and malicious files live on that. So an archive has one meaning here or is refused: nothing before the first record
 * of the directory that the end record does not count, nothing after the comment, no name twice, local header and
 * directory equal, no two members on the same bytes. */
#include "archive/zip_scan.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "archive/limits.h"
#include "archive/zip_format.h"
#include "base/size.h"

typedef struct zip_end {
    uint64_t count;  /* entries */
    uint64_t size;   /* bytes of the directory */
    uint64_t offset; /* of the directory */
    uint64_t limit;  /* offset of the first end record: the directory ends there */
} zip_end;

/* ---- end records ---- */

/* The end record is the last thing but its own comment, so its place follows from that comment's size. */
static cornu_status find_end(cn_source* source, cn_arena* arena, uint8_t end[CN_ZIP_END_BYTES], uint64_t* offset) {
    uint64_t size = cn_source_size(source);
    uint64_t tail = size < CN_ZIP_END_BYTES + 65535 ? size : CN_ZIP_END_BYTES + 65535;
    uint8_t* bytes;

    if (size < CN_ZIP_END_BYTES)
        return CN_FAIL(BAD_FILE, "%s: not a zip archive: %llu bytes", cn_source_name(source), (unsigned long long)size);
    bytes = cn_arena_alloc(arena, (size_t)tail);
    if (!bytes) return CN_NO_MEMORY(tail);
    CN_TRY(cn_source_read(source, size - tail, bytes, tail));
    for (uint64_t at = tail - CN_ZIP_END_BYTES + 1; at-- > 0;) {
        if (cn_zip_get32(bytes + at) != CN_ZIP_END_MARK) continue;
        if (at + CN_ZIP_END_BYTES + cn_zip_get16(bytes + at + 20) != tail) continue;
        memcpy(end, bytes + at, CN_ZIP_END_BYTES);
        *offset = size - tail + at;
        return CORNU_OK;
    }
    return CN_FAIL(BAD_FILE, "%s: not a zip archive, or truncated: it has no end record", cn_source_name(source));
}

/* Reads the ZIP64 end record, if its locator precedes the end record; *found says so. */
static cornu_status read_end64(cn_source* source, uint64_t end_offset, zip_end* out, bool* found) {
    const char* what = cn_source_name(source);
    uint8_t locator[CN_ZIP_LOCATOR_BYTES];
    uint8_t end[CN_ZIP_END64_BYTES];
    uint64_t at, body;

    *found = false;
    if (end_offset < CN_ZIP_LOCATOR_BYTES) return CORNU_OK;
    CN_TRY(cn_source_read(source, end_offset - CN_ZIP_LOCATOR_BYTES, locator, sizeof locator));
    if (cn_zip_get32(locator) != CN_ZIP_LOCATOR_MARK) return CORNU_OK;
    at = cn_zip_get64(locator + 8);
    if (cn_zip_get32(locator + 4) != 0 || cn_zip_get32(locator + 16) > 1)
        return CN_FAIL(BAD_FILE, "%s: a zip archive of several disks", what);
    if (!cn_range_fits(at, CN_ZIP_END64_BYTES, end_offset - CN_ZIP_LOCATOR_BYTES))
        return CN_FAIL(BAD_FILE, "%s: the ZIP64 end record lies outside", what);
    CN_TRY(cn_source_read(source, at, end, sizeof end));
    body = cn_zip_get64(end + 4);
    if (cn_zip_get32(end) != CN_ZIP_END64_MARK || body != end_offset - CN_ZIP_LOCATOR_BYTES - at - 12)
        return CN_FAIL(BAD_FILE, "%s: the ZIP64 end record is damaged", what);
    if (cn_zip_get32(end + 16) != 0 || cn_zip_get32(end + 20) != 0 || cn_zip_get64(end + 24) != cn_zip_get64(end + 32))
        return CN_FAIL(BAD_FILE, "%s: a zip archive of several disks", what);
    *out = (zip_end){cn_zip_get64(end + 32), cn_zip_get64(end + 40), cn_zip_get64(end + 48), at};
    *found = true;
    return CORNU_OK;
}

/* Whether a value of the end record agrees with the ZIP64 one: equal, or all ones. */
static bool agrees(uint64_t small, uint64_t mask, uint64_t large) { return small == mask || small == large; }

static cornu_status read_end(cn_source* source, cn_arena* arena, zip_end* out) {
    const char* what = cn_source_name(source);
    uint8_t end[CN_ZIP_END_BYTES] = {0};
    uint64_t offset = 0;
    zip_end small;
    bool zip64;

    CN_TRY(find_end(source, arena, end, &offset));
    if (cn_zip_get16(end + 4) != cn_zip_get16(end + 6) || cn_zip_get16(end + 8) != cn_zip_get16(end + 10) ||
        (cn_zip_get16(end + 4) != 0 && cn_zip_get16(end + 4) != 0xFFFF))
        return CN_FAIL(BAD_FILE, "%s: a zip archive of several disks", what);
    small = (zip_end){cn_zip_get16(end + 10), cn_zip_get32(end + 12), cn_zip_get32(end + 16), offset};
    CN_TRY(read_end64(source, offset, out, &zip64));
    if (!zip64) *out = small;
    else if (!agrees(small.count, 0xFFFF, out->count) || !agrees(small.size, 0xFFFFFFFF, out->size) ||
             !agrees(small.offset, 0xFFFFFFFF, out->offset))
        return CN_FAIL(BAD_FILE, "%s: the two end records of the zip contradict each other", what);
    if (!cn_range_fits(out->offset, out->size, out->limit) || out->offset + out->size != out->limit)
        return CN_FAIL(BAD_FILE, "%s: the zip directory (%llu bytes at %llu) does not end where the end record begins (%llu)",
                       what, (unsigned long long)out->size, (unsigned long long)out->offset,
                       (unsigned long long)out->limit);
    if (out->count > CN_LIMIT_ZIP_MEMBERS)
        return CN_FAIL(BAD_FILE, "%s: %llu zip members, at most %llu are allowed", what,
                       (unsigned long long)out->count, (unsigned long long)CN_LIMIT_ZIP_MEMBERS);
    if (out->count > out->size / CN_ZIP_CENTRAL_BYTES)
        return CN_FAIL(BAD_FILE, "%s: the zip directory is too small for %llu members", what,
                       (unsigned long long)out->count);
    return CORNU_OK;
}

/* ---- one record of the directory ---- */

/* Walks extra fields for the ZIP64 one, and puts its values in place of those of *values that are all ones. */
static bool apply_extra64(const uint8_t* extra, size_t size, uint64_t* const* values, int count) {
    size_t at = 0;

    while (size - at >= 4) {
        uint16_t id = cn_zip_get16(extra + at);
        size_t bytes = cn_zip_get16(extra + at + 2);
        size_t used = 0;

        at += 4;
        if (bytes > size - at) return false;
        for (int i = 0; id == CN_ZIP_EXTRA64 && i < count; i++) {
            if (*values[i] != 0xFFFFFFFF) continue;
            if (bytes - used < 8) return false;
            *values[i] = cn_zip_get64(extra + at + used);
            used += 8;
        }
        if (id == CN_ZIP_EXTRA64) return true;
        at += bytes;
    }
    return true; /* less than 4 bytes left: padding, as Android's tools write */
}

/* Well-formed UTF-8: no overlong form, no surrogate, nothing above U+10FFFF. */
static bool is_utf8(const uint8_t* s, size_t size) {
    for (size_t i = 0; i < size;) {
        uint8_t c = s[i];
        size_t more = c < 0x80 ? 0 : c >= 0xC2 && c < 0xE0 ? 1 : (c & 0xF0) == 0xE0 ? 2 : c >= 0xF0 && c < 0xF5 ? 3 : 9;

        if (more > size - i - 1) return false;
        if (more >= 2 && ((c == 0xE0 && s[i + 1] < 0xA0) || (c == 0xED && s[i + 1] > 0x9F) ||
                          (c == 0xF0 && s[i + 1] < 0x90) || (c == 0xF4 && s[i + 1] > 0x8F)))
            return false;
        for (size_t k = 1; k <= more; k++)
            if ((s[i + k] & 0xC0) != 0x80) return false;
        i += more + 1;
    }
    return true;
}

static cornu_status check_name(const char* what, const cn_zip_member* member) {
    const char* name = member->entry.name;
    size_t size = member->name_size;
    const char* fault;

    if (!is_utf8((const uint8_t*)name, size)) return CN_FAIL(BAD_FILE, "%s: the name of a zip member is no UTF-8", what);
    if (size > 1 && name[size - 1] == '/') size--; /* a folder's entry */
    fault = cn_member_name_fault(name, size);
    if (fault) return CN_FAIL(BAD_FILE, "%s: the name of zip member '%s' %s", what, name, fault);
    return CORNU_OK;
}

static cornu_status check_kind(const char* what, const cn_zip_member* m, uint16_t method, const uint8_t* record) {
    const char* name = m->entry.name;
    unsigned system = record[5];
    uint32_t mode = cn_zip_get32(record + 38) >> 16;
    uint32_t type = mode & S_IFMT;

    if (m->flags & (CN_ZIP_FLAG_ENCRYPTED | CN_ZIP_FLAG_STRONG | CN_ZIP_FLAG_MASKED))
        return CN_FAIL(BAD_FILE, "%s: zip member '%s' is encrypted", what, name);
    if (method != CN_ZIP_STORED && method != CN_ZIP_DEFLATED)
        return CN_FAIL(BAD_FILE, "%s: zip member '%s' is compressed by method %u; 0 (stored) and 8 (deflate) are allowed",
                       what, name, method);
    if ((system == 3 || system == 19) && type != 0 && type != S_IFREG && type != S_IFDIR)
        return CN_FAIL(BAD_FILE, "%s: zip member '%s' is %s", what, name,
                       type == S_IFLNK ? "a symbolic link" : "not a regular file");
    if (cn_zip_get16(record + 34) != 0) return CN_FAIL(BAD_FILE, "%s: zip member '%s' is on another disk", what, name);
    if (m->entry.stored && m->entry.size != m->entry.stored_size)
        return CN_FAIL(BAD_FILE, "%s: stored zip member '%s' has two sizes, %llu and %llu", what, name,
                       (unsigned long long)m->entry.size, (unsigned long long)m->entry.stored_size);
    if (name[m->name_size - 1] == '/' && m->entry.size != 0)
        return CN_FAIL(BAD_FILE, "%s: zip member '%s' is a folder, but has bytes", what, name);
    return CORNU_OK;
}

/* Reads the record at *at of the directory and moves *at behind it. */
static cornu_status read_record(const char* what, const uint8_t* bytes, uint64_t size, uint64_t* at, cn_arena* arena,
                                cn_zip_member* m) {
    const uint8_t* record = bytes + *at;
    size_t name_size, extra_size, all;
    uint64_t* values[3] = {&m->entry.size, &m->entry.stored_size, &m->header_offset};

    if (size - *at < CN_ZIP_CENTRAL_BYTES || cn_zip_get32(record) != CN_ZIP_CENTRAL_MARK)
        return CN_FAIL(BAD_FILE, "%s: the zip directory is damaged at byte %llu", what, (unsigned long long)*at);
    name_size = cn_zip_get16(record + 28);
    extra_size = cn_zip_get16(record + 30);
    all = CN_ZIP_CENTRAL_BYTES + name_size + extra_size + cn_zip_get16(record + 32);
    if (size - *at < all)
        return CN_FAIL(BAD_FILE, "%s: the zip directory is damaged at byte %llu", what, (unsigned long long)*at);
    m->entry.name = cn_arena_strndup(arena, (const char*)record + CN_ZIP_CENTRAL_BYTES, name_size);
    if (!m->entry.name) return CN_NO_MEMORY(name_size);
    m->name_size = name_size;
    m->flags = cn_zip_get16(record + 8);
    m->entry.stored = cn_zip_get16(record + 10) == CN_ZIP_STORED;
    m->entry.crc = cn_zip_get32(record + 16);
    m->entry.stored_size = cn_zip_get32(record + 20);
    m->entry.size = cn_zip_get32(record + 24);
    m->header_offset = cn_zip_get32(record + 42);
    CN_TRY(check_name(what, m));
    if (!apply_extra64(record + CN_ZIP_CENTRAL_BYTES + name_size, extra_size, values, 3))
        return CN_FAIL(BAD_FILE, "%s: the extra fields of zip member '%s' are damaged", what, m->entry.name);
    CN_TRY(check_kind(what, m, cn_zip_get16(record + 10), record));
    *at += all;
    return CORNU_OK;
}

/* ---- local headers ---- */

/* Whether crc and sizes of a local header are those of the directory, or zeros where a descriptor follows. */
static bool same_facts(const cn_zip_member* m, uint16_t flags, uint32_t crc, uint64_t stored_size, uint64_t size) {
    bool later = flags & CN_ZIP_FLAG_DESCRIPTOR;

    return (crc == m->entry.crc || (later && crc == 0)) &&
           (stored_size == m->entry.stored_size || (later && stored_size == 0)) &&
           (size == m->entry.size || (later && size == 0));
}

static cornu_status read_local(cn_source* source, uint64_t directory, uint8_t* buffer, cn_zip_member* m) {
    const char* what = cn_source_name(source);
    const char* name = m->entry.name;
    uint8_t header[CN_ZIP_LOCAL_BYTES];
    size_t name_size, extra_size;
    uint64_t stored_size, size, at;
    uint64_t* values[2] = {&size, &stored_size};

    if (!cn_range_fits(m->header_offset, CN_ZIP_LOCAL_BYTES, directory))
        return CN_FAIL(BAD_FILE, "%s: zip member '%s' lies outside the archive", what, name);
    CN_TRY(cn_source_read(source, m->header_offset, header, sizeof header));
    name_size = cn_zip_get16(header + 26);
    extra_size = cn_zip_get16(header + 28);
    at = m->header_offset + CN_ZIP_LOCAL_BYTES;
    if (cn_zip_get32(header) != CN_ZIP_LOCAL_MARK || name_size != m->name_size ||
        !cn_range_fits(at, name_size + extra_size, directory))
        return CN_FAIL(BAD_FILE, "%s: the local header of zip member '%s' is damaged", what, name);
    CN_TRY(cn_source_read(source, at, buffer, name_size + extra_size));
    stored_size = cn_zip_get32(header + 18);
    size = cn_zip_get32(header + 22);
    if (!apply_extra64(buffer + name_size, extra_size, values, 2) || memcmp(buffer, name, name_size) != 0 ||
        cn_zip_get16(header + 8) != (m->entry.stored ? CN_ZIP_STORED : CN_ZIP_DEFLATED) ||
        ((cn_zip_get16(header + 6) ^ m->flags) & (CN_ZIP_FLAG_ENCRYPTED | CN_ZIP_FLAG_DESCRIPTOR)) ||
        !same_facts(m, m->flags, cn_zip_get32(header + 14), stored_size, size))
        return CN_FAIL(BAD_FILE, "%s: the local header of zip member '%s' contradicts the directory", what, name);
    m->payload_offset = at + name_size + extra_size;
    if (!cn_range_fits(m->payload_offset, m->entry.stored_size, directory))
        return CN_FAIL(BAD_FILE, "%s: zip member '%s' lies outside the archive", what, name);
    return CORNU_OK;
}

static int compare_offset(const void* a, const void* b) {
    uint64_t x = (*(const cn_zip_member* const*)a)->header_offset, y = (*(const cn_zip_member* const*)b)->header_offset;

    return (x > y) - (x < y);
}

static int compare_name(const void* a, const void* b) {
    return strcmp((*(const cn_zip_member* const*)a)->entry.name, (*(const cn_zip_member* const*)b)->entry.name);
}

/* Sorts by offset, then by name, and looks at neighbours. */
static cornu_status check_neighbours(const char* what, cn_arena* arena, cn_zip_scan* scan) {
    cn_zip_member** sorted = cn_arena_array(arena, scan->count, sizeof *sorted);

    scan->by_name = cn_arena_array(arena, scan->count, sizeof *scan->by_name);
    if (!sorted || !scan->by_name) return CN_NO_MEMORY(scan->count * sizeof *sorted);
    for (size_t i = 0; i < scan->count; i++) sorted[i] = &scan->members[i];
    if (scan->count > 1) qsort(sorted, scan->count, sizeof *sorted, compare_offset);
    for (size_t i = 1; i < scan->count; i++) {
        const cn_zip_member* before = sorted[i - 1];
        if (before->payload_offset + before->entry.stored_size > sorted[i]->header_offset)
            return CN_FAIL(BAD_FILE, "%s: zip members '%s' and '%s' overlap", what, before->entry.name,
                           sorted[i]->entry.name);
    }
    if (scan->count > 1) qsort(sorted, scan->count, sizeof *sorted, compare_name);
    for (size_t i = 0; i < scan->count; i++) {
        scan->by_name[i] = (size_t)(sorted[i] - scan->members);
        if (i > 0 && compare_name(&sorted[i - 1], &sorted[i]) == 0)
            return CN_FAIL(BAD_FILE, "%s: two zip members are called '%s'", what, sorted[i]->entry.name);
    }
    return CORNU_OK;
}

/* Refuses what deflate cannot reach, and more than the limit together. */
static cornu_status check_inflated(const char* what, const cn_zip_scan* scan) {
    uint64_t total = 0;

    for (size_t i = 0; i < scan->count; i++) {
        const cn_zip_entry* entry = &scan->members[i].entry;
        uint64_t most;

        if (entry->stored) continue;
        if (!cn_size_mul(entry->stored_size, CN_LIMIT_INFLATE_RATIO, &most) || entry->size > most)
            return CN_FAIL(BAD_FILE, "%s: zip member '%s' claims %llu bytes inflated from %llu, at most %llu times is allowed",
                           what, entry->name, (unsigned long long)entry->size, (unsigned long long)entry->stored_size,
                           (unsigned long long)CN_LIMIT_INFLATE_RATIO);
        if (!cn_size_add(total, entry->size, &total) || total > CN_LIMIT_INFLATED_BYTES)
            return CN_FAIL(BAD_FILE, "%s: deflated zip members of more than %llu bytes together, at '%s'", what,
                           (unsigned long long)CN_LIMIT_INFLATED_BYTES, entry->name);
    }
    return CORNU_OK;
}

cornu_status cn_zip_scan_directory(cn_source* source, cn_arena* arena, cn_zip_scan* out) {
    const char* what = cn_source_name(source);
    cornu_status st = CORNU_OK;
    cn_arena scratch = {0};
    uint64_t at = 0;
    uint8_t* bytes;
    uint8_t* buffer;
    zip_end end = {0};

    *out = (cn_zip_scan){0};
    CN_STEP(read_end(source, &scratch, &end));
    bytes = cn_arena_alloc(&scratch, (size_t)end.size);
    buffer = cn_arena_alloc(&scratch, 2 * 65536);
    out->members = cn_arena_array(arena, (size_t)end.count, sizeof *out->members);
    if (!bytes || !buffer || !out->members) CN_STEP(CN_NO_MEMORY(end.size));
    out->count = (size_t)end.count;
    out->directory_offset = end.offset;
    CN_STEP(cn_source_read(source, end.offset, bytes, end.size));
    for (size_t i = 0; i < out->count; i++) CN_STEP(read_record(what, bytes, end.size, &at, arena, &out->members[i]));
    if (at != end.size) CN_STEP(CN_FAIL(BAD_FILE, "%s: the zip directory holds more than its members", what));
    CN_STEP(check_inflated(what, out));
    for (size_t i = 0; i < out->count; i++) CN_STEP(read_local(source, end.offset, buffer, &out->members[i]));
    CN_STEP(check_neighbours(what, arena, out));
done:
    cn_arena_deinit(&scratch);
    return st;
}
