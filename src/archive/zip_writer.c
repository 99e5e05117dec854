/* Writing zip archives into a sink, byte for byte as Python's zipfile writes them for Keras: stored members, flags 0
 * (the UTF-8 flag for names beyond ASCII), version 20, system 3, mode 0600, no extra fields until ZIP64 is needed.
 *
 * libzip reads, but cannot write here: it wants to own the target through a temporary file of its own and builds
 * the archive only when it is closed, while a sink takes bytes in order and members are made while they are written.
 *
 * Invariant: directory holds the finished records of all ended members; the current one's header lies at header. */
#include <string.h>
#include <zlib.h>

#include "archive/limits.h"
#include "archive/zip.h"
#include "archive/zip_format.h"
#include "base/buf.h"
#include "base/hash.h"
#include "base/size.h"

#define ZIP64_LIMIT ((uint64_t)0x7FFFFFFF) /* Python's: above it ZIP64 fields are written */

enum { VERSION = 20, VERSION64 = 45, SYSTEM_UNIX = 3, LOCAL64_BYTES = 20 };

struct cn_zip_writer {
    cn_sink* sink; /* borrowed */
    cn_buf directory;
    cn_buf hashes; /* uint64_t of every name: a name twice is seen without reading the directory again */
    uint64_t count;
    bool open;     /* a member is being written */
    bool zip64;    /* its header has a ZIP64 field */
    bool finished;
    uint8_t central[CN_ZIP_CENTRAL_BYTES]; /* of the current member */
    cn_buf name;
    uint64_t header;  /* offset of its local header */
    uint64_t payload; /* offset of its bytes */
    uLong crc;
};

cornu_status cn_zip_writer_open(cn_sink* sink, cn_zip_writer** out) {
    *out = cn_alloc_zero(1, sizeof **out);
    if (!*out) return CN_NO_MEMORY(sizeof **out);
    (*out)->sink = sink;
    return CORNU_OK;
}

void cn_zip_writer_close(cn_zip_writer* writer) {
    if (!writer) return;
    cn_buf_deinit(&writer->directory);
    cn_buf_deinit(&writer->hashes);
    cn_buf_deinit(&writer->name);
    cn_free(writer);
}

/* Date and time of DOS: bits year-1980:7 month:4 day:5 hour:5 minute:6 seconds/2:5. Years 1980 to 2107. */
static uint32_t dos_time(int64_t mtime) {
    int64_t days = mtime / 86400, seconds = mtime % 86400;
    int64_t era, year, month, day;

    if (mtime < 315532800) return (uint32_t)(1 << 21 | 1 << 16);
    if (mtime >= 4354819200) return 0xFF9FBF7D; /* 2107-12-31 23:59:58 */
    days += 719468; /* since 0000-03-01, so that the leap day ends a year */
    era = days / 146097;
    days %= 146097;
    year = (days - days / 1460 + days / 36524 - days / 146096) / 365;
    days -= 365 * year + year / 4 - year / 100;
    month = (5 * days + 2) / 153;
    day = days - (153 * month + 2) / 5 + 1;
    year += era * 400 + (month >= 10 ? 1 : 0);
    month += month < 10 ? 3 : -9;
    return (uint32_t)((year - 1980) << 25 | month << 21 | day << 16 | (seconds / 3600) << 11 |
                      (seconds / 60 % 60) << 5 | seconds % 60 / 2);
}

/* Notes a name; refuses a second one, which readers understand differently. */
static cornu_status add_name(cn_zip_writer* writer, const char* name, size_t size) {
    const char* hashes = writer->hashes.data;
    uint64_t hash = cn_hash(CN_HASH_START, name, size);
    uint64_t other;

    for (size_t at = 0; at < writer->hashes.size; at += sizeof other) {
        memcpy(&other, hashes + at, sizeof other);
        if (other == hash) return CN_FAIL(BAD_ARGUMENT, "zip member '%s' is written twice", name);
    }
    cn_buf_add(&writer->hashes, &hash, sizeof hash);
    cn_buf_add(&writer->name, name, size);
    CN_TRY(cn_buf_check(&writer->name));
    return cn_buf_check(&writer->hashes);
}

/* Fields that local and central header share begin at 4 and 6. */
static void put_common(uint8_t* p, unsigned version, unsigned flags, uint32_t time, size_t name_size) {
    cn_zip_put16(p, version);
    cn_zip_put16(p + 2, flags);
    cn_zip_put16(p + 4, CN_ZIP_STORED);
    cn_zip_put32(p + 6, time);
    cn_zip_put16(p + 22, (uint32_t)name_size);
}

cornu_status cn_zip_writer_begin(cn_zip_writer* writer, const char* name, int64_t mtime, uint64_t expected_size) {
    uint8_t local[CN_ZIP_LOCAL_BYTES + LOCAL64_BYTES] = {0};
    size_t size = strlen(name);
    const char* fault = cn_member_name_fault(name, size);
    uint32_t time = dos_time(mtime);
    unsigned flags = 0, version;

    if (writer->open || writer->finished) return CN_FAIL(BAD_ARGUMENT, "zip member '%s' begins inside another", name);
    if (fault) return CN_FAIL(BAD_ARGUMENT, "the name of zip member '%s' %s", name, fault);
    if (size > CN_LIMIT_NAME_BYTES) return CN_FAIL(BAD_ARGUMENT, "the name of a zip member has %zu bytes", size);
    for (size_t i = 0; i < size; i++)
        if (name[i] & 0x80) flags = CN_ZIP_FLAG_UTF8;
    writer->name.size = 0;
    CN_TRY(add_name(writer, name, size));
    writer->zip64 = expected_size > ZIP64_LIMIT / 105 * 100; /* Python's margin of 5 % */
    version = writer->zip64 ? VERSION64 : VERSION;
    cn_zip_put32(local, CN_ZIP_LOCAL_MARK);
    put_common(local + 4, version, flags, time, size);
    cn_zip_put16(local + 28, writer->zip64 ? LOCAL64_BYTES : 0);
    memset(writer->central, 0, sizeof writer->central);
    put_common(writer->central + 6, version, flags, time, size);
    writer->header = cn_sink_size(writer->sink);
    CN_TRY(cn_sink_write(writer->sink, local, CN_ZIP_LOCAL_BYTES));
    CN_TRY(cn_sink_write(writer->sink, name, size));
    if (writer->zip64) CN_TRY(cn_sink_write(writer->sink, local + CN_ZIP_LOCAL_BYTES, LOCAL64_BYTES));
    writer->payload = cn_sink_size(writer->sink);
    writer->crc = crc32(0, NULL, 0);
    writer->open = true;
    return CORNU_OK;
}

cornu_status cn_zip_writer_write(cn_zip_writer* writer, const void* data, uint64_t size) {
    const uint8_t* from = data;

    if (!writer->open) return CN_FAIL(BAD_ARGUMENT, "bytes outside any zip member");
    CN_TRY(cn_sink_write(writer->sink, data, size));
    while (size > 0) {
        uInt n = size < 1 << 30 ? (uInt)size : 1 << 30;
        writer->crc = crc32(writer->crc, from, n);
        from += n;
        size -= n;
    }
    return CORNU_OK;
}

/* Patches crc and sizes into the local header. */
static cornu_status patch_local(const cn_zip_writer* writer, uint64_t size) {
    uint8_t facts[12];
    uint8_t extra[LOCAL64_BYTES];
    uint32_t small = writer->zip64 ? 0xFFFFFFFF : (uint32_t)size;

    cn_zip_put32(facts, (uint32_t)writer->crc);
    cn_zip_put32(facts + 4, small);
    cn_zip_put32(facts + 8, small);
    CN_TRY(cn_sink_patch(writer->sink, writer->header + 14, facts, sizeof facts));
    if (!writer->zip64) return CORNU_OK;
    cn_zip_put16(extra, CN_ZIP_EXTRA64);
    cn_zip_put16(extra + 2, 16);
    cn_zip_put64(extra + 4, size);
    cn_zip_put64(extra + 12, size);
    return cn_sink_patch(writer->sink, writer->payload - LOCAL64_BYTES, extra, sizeof extra);
}

cornu_status cn_zip_writer_end(cn_zip_writer* writer) {
    uint64_t size = cn_sink_size(writer->sink) - writer->payload;
    uint8_t* central = writer->central;
    uint8_t extra[4 + 3 * 8];
    uint32_t extra_size = 4;
    bool large = size > ZIP64_LIMIT, far = writer->header > ZIP64_LIMIT;

    if (!writer->open) return CN_FAIL(BAD_ARGUMENT, "no zip member is open");
    if (large && !writer->zip64)
        return CN_FAIL(BAD_ARGUMENT, "zip member '%s' is larger (%llu bytes) than it was announced", writer->name.data,
                       (unsigned long long)size);
    CN_TRY(patch_local(writer, size));
    if (large) cn_zip_put64(extra + extra_size, size), extra_size += 8;
    if (large) cn_zip_put64(extra + extra_size, size), extra_size += 8;
    if (far) cn_zip_put64(extra + extra_size, writer->header), extra_size += 8;
    cn_zip_put16(extra, CN_ZIP_EXTRA64);
    cn_zip_put16(extra + 2, extra_size - 4);
    if (extra_size == 4) extra_size = 0;
    else cn_zip_put16(central + 6, VERSION64);
    cn_zip_put32(central, CN_ZIP_CENTRAL_MARK);
    central[4] = central[6]; /* made by what is needed, as Python says */
    central[5] = SYSTEM_UNIX;
    cn_zip_put32(central + 16, (uint32_t)writer->crc);
    cn_zip_put32(central + 20, large ? 0xFFFFFFFF : (uint32_t)size);
    cn_zip_put32(central + 24, large ? 0xFFFFFFFF : (uint32_t)size);
    cn_zip_put16(central + 30, extra_size);
    cn_zip_put32(central + 38, (uint32_t)0600 << 16);
    cn_zip_put32(central + 42, far ? 0xFFFFFFFF : (uint32_t)writer->header);
    cn_buf_add(&writer->directory, central, CN_ZIP_CENTRAL_BYTES);
    cn_buf_add(&writer->directory, writer->name.data, writer->name.size);
    cn_buf_add(&writer->directory, extra, extra_size);
    writer->count++;
    writer->open = false;
    return cn_buf_check(&writer->directory);
}

/* The ZIP64 end record and its locator. */
static void add_end64(cn_zip_writer* writer, uint64_t offset, uint64_t size) {
    uint8_t end[CN_ZIP_END64_BYTES + CN_ZIP_LOCATOR_BYTES] = {0};
    uint8_t* locator = end + CN_ZIP_END64_BYTES;

    cn_zip_put32(end, CN_ZIP_END64_MARK);
    cn_zip_put64(end + 4, CN_ZIP_END64_BYTES - 12);
    cn_zip_put16(end + 12, VERSION64);
    cn_zip_put16(end + 14, VERSION64);
    cn_zip_put64(end + 24, writer->count);
    cn_zip_put64(end + 32, writer->count);
    cn_zip_put64(end + 40, size);
    cn_zip_put64(end + 48, offset);
    cn_zip_put32(locator, CN_ZIP_LOCATOR_MARK);
    cn_zip_put64(locator + 8, offset + size);
    cn_zip_put32(locator + 16, 1);
    cn_buf_add(&writer->directory, end, sizeof end);
}

cornu_status cn_zip_writer_finish(cn_zip_writer* writer) {
    uint8_t end[CN_ZIP_END_BYTES] = {0};
    uint64_t offset = cn_sink_size(writer->sink), size = writer->directory.size, count = writer->count;

    if (writer->open || writer->finished) return CN_FAIL(BAD_ARGUMENT, "a zip member is open, or the zip is complete");
    if (count > 0xFFFF || offset > ZIP64_LIMIT || size > ZIP64_LIMIT) {
        add_end64(writer, offset, size);
        count = count < 0xFFFF ? count : 0xFFFF;
        size = size < 0xFFFFFFFF ? size : 0xFFFFFFFF;
    }
    cn_zip_put32(end, CN_ZIP_END_MARK);
    cn_zip_put16(end + 8, (uint32_t)count);
    cn_zip_put16(end + 10, (uint32_t)count);
    cn_zip_put32(end + 12, (uint32_t)size);
    cn_zip_put32(end + 16, offset < 0xFFFFFFFF ? (uint32_t)offset : 0xFFFFFFFF);
    cn_buf_add(&writer->directory, end, sizeof end);
    CN_TRY(cn_buf_check(&writer->directory));
    CN_TRY(cn_sink_write(writer->sink, writer->directory.data, writer->directory.size));
    writer->finished = true;
    return CORNU_OK;
}
