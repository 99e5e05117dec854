/* Reading the elements of a dataset. Its extent and its chunks were checked when the file was opened; only what the
 * filters yield is checked here. Nothing of the file's state changes, so any number of threads may read. */
#include <zlib.h>

#include "archive/hdf5_read.h"

static void fill_elements(const cn_h5_object* d, uint8_t* dst) {
    const uint64_t width = d->node.array.element_bytes;

    if (!d->fill) {
        memset(dst, 0, (size_t)d->node.size);
        return;
    }
    for (uint64_t at = 0; at < d->node.size; at += width) memcpy(dst + at, d->fill, (size_t)width);
}

/* ---- filters ---- */

static void* zlib_alloc(void* opaque, uInt count, uInt size) {
    (void)opaque;
    return cn_alloc_zero(count, size);
}

static void zlib_free(void* opaque, void* memory) {
    (void)opaque;
    cn_free(memory);
}

/* size bytes of src to at most room bytes of dst. */
static cornu_status inflate_chunk(const uint8_t* src, uint64_t size, uint8_t* dst, uint64_t room, uint64_t* out) {
    z_stream stream = {0};
    int code;

    if (size > UINT32_MAX || room > UINT32_MAX) return CN_FAIL(BAD_FILE, "a deflated chunk of 4 GiB or more");
    stream.zalloc = zlib_alloc;
    stream.zfree = zlib_free;
    stream.next_in = (Bytef*)(uintptr_t)src;
    stream.avail_in = (uInt)size;
    stream.next_out = dst;
    stream.avail_out = (uInt)room;
    code = inflateInit(&stream);
    if (code != Z_OK) return CN_NO_MEMORY(size);
    code = inflate(&stream, Z_FINISH);
    *out = stream.total_out;
    (void)inflateEnd(&stream);
    if (code == Z_MEM_ERROR) return CN_NO_MEMORY(size);
    if (code != Z_STREAM_END) return CN_FAIL(BAD_FILE, "a deflated chunk is damaged, or larger than a chunk");
    return CORNU_OK;
}

/* Byte j of every element lies together: element i's byte j is at j * n + i. The rest is as it is. */
static void unshuffle(const uint8_t* src, uint8_t* dst, uint64_t size, uint64_t width) {
    const uint64_t n = size / width;

    for (uint64_t j = 0; j < width; j++)
        for (uint64_t i = 0; i < n; i++) dst[i * width + j] = src[j * n + i];
    memcpy(dst + n * width, src + n * width, (size_t)(size - n * width));
}

/* Fletcher's sum over big-endian words of 16 bits. */
static uint32_t fletcher(const uint8_t* p, uint64_t size) {
    uint32_t low = 0, high = 0;

    for (uint64_t i = 0; i < size; i += 2) {
        low += (uint32_t)p[i] << 8 | (i + 1 < size ? p[i + 1] : 0u);
        low = (low & 0xFFFF) + (low >> 16);
        high += low;
        high = (high & 0xFFFF) + (high >> 16);
    }
    low = (low & 0xFFFF) + (low >> 16);
    high = (high & 0xFFFF) + (high >> 16);
    return high << 16 | low;
}

static cornu_status check_fletcher(const uint8_t* p, uint64_t* size) {
    uint32_t sum, stored, swapped;
    const uint8_t* end;

    if (*size < 4) return CN_FAIL(BAD_FILE, "a chunk of %" PRIu64 " bytes has no fletcher32 sum", *size);
    *size -= 4;
    end = p + *size;
    sum = fletcher(p, *size);
    stored = (uint32_t)end[0] | (uint32_t)end[1] << 8 | (uint32_t)end[2] << 16 | (uint32_t)end[3] << 24;
    /* HDF5 before 1.6.3 swapped the bytes of each half on some machines. */
    swapped = (sum & 0x00FF00FFu) << 8 | (sum & 0xFF00FF00u) >> 8;
    if (stored != sum && stored != swapped) return CN_FAIL(BAD_FILE, "a chunk's fletcher32 sum is wrong");
    return CORNU_OK;
}

/* Two buffers of room bytes each; data is in [0] before and after every filter. */
typedef struct chunk_space {
    uint8_t* bytes[2];
    uint64_t room;
} chunk_space;

static cornu_status undo_filters(const cn_h5_object* d, uint32_t mask, chunk_space* space, uint64_t* size) {
    for (int i = d->filter_count - 1; i >= 0; i--) {
        uint8_t* other = space->bytes[1];
        if (mask >> i & 1) continue;
        if (d->filters[i].id == 3) {
            CN_TRY(check_fletcher(space->bytes[0], size));
            continue;
        }
        if (d->filters[i].id == 1) {
            CN_TRY(inflate_chunk(space->bytes[0], *size, other, space->room, size));
        } else {
            if (d->filters[i].value <= 1) continue;
            unshuffle(space->bytes[0], other, *size, d->filters[i].value);
        }
        space->bytes[1] = space->bytes[0];
        space->bytes[0] = other;
    }
    if (*size != d->chunk_bytes)
        return CN_FAIL(BAD_FILE, "a chunk of %" PRIu64 " bytes yields %" PRIu64, d->chunk_bytes, *size);
    return CORNU_OK;
}

/* ---- chunks ---- */

/* Copies the part of a chunk that lies inside the dataset, run by run along the last dim. */
static void place_chunk(const cn_h5_object* d, uint64_t index, const uint8_t* src, uint8_t* dst) {
    const cn_h5_array* array = &d->node.array;
    const int last = array->ndim - 1;
    const uint64_t width = array->element_bytes;
    uint64_t start[CORNU_MAX_DIMS] = {0}, extent[CORNU_MAX_DIMS] = {0}, at[CORNU_MAX_DIMS] = {0};
    int i;

    for (i = last; i >= 0; i--) {
        uint64_t left;
        start[i] = index % d->grid[i] * d->chunk_dims[i];
        index /= d->grid[i];
        left = (uint64_t)array->dims[i] - start[i];
        extent[i] = left < d->chunk_dims[i] ? left : d->chunk_dims[i];
    }
    do {
        uint64_t from = 0, to = 0;
        for (i = 0; i <= last; i++) {
            from = from * d->chunk_dims[i] + at[i];
            to = to * (uint64_t)array->dims[i] + start[i] + at[i];
        }
        memcpy(dst + to * width, src + from * width, (size_t)(extent[last] * width));
        for (i = last - 1; i >= 0 && ++at[i] == extent[i]; i--) at[i] = 0;
    } while (i >= 0);
}

static cornu_status read_chunks(cn_source* source, uint64_t base, const cn_h5_object* d, uint8_t* dst) {
    cornu_status st = CORNU_OK;
    chunk_space space = {{NULL, NULL}, 0};

    /* Room for a chunk with its fletcher32 sum, and for the largest that is stored. */
    CN_STEP(cn_size_add(d->chunk_bytes, 4, &space.room) ? CORNU_OK : CN_NO_MEMORY(SIZE_MAX));
    for (uint64_t i = 0; i < d->chunk_count; i++)
        if (d->chunks[i].size > space.room) space.room = d->chunks[i].size;
    space.bytes[0] = cn_alloc((size_t)space.room);
    space.bytes[1] = cn_alloc((size_t)space.room);
    if (!space.bytes[0] || !space.bytes[1]) CN_STEP(CN_NO_MEMORY(space.room));
    if (d->chunk_count < d->chunk_total) fill_elements(d, dst);
    for (uint64_t i = 0; i < d->chunk_count; i++) {
        uint64_t size = d->chunks[i].size;
        CN_STEP(cn_source_read(source, base + d->chunks[i].address, space.bytes[0], size));
        CN_STEP(undo_filters(d, d->chunks[i].filter_mask, &space, &size));
        place_chunk(d, d->chunks[i].index, space.bytes[0], dst);
    }
done:
    cn_free(space.bytes[0]);
    cn_free(space.bytes[1]);
    return st;
}

cornu_status cn_h5_read_raw(cn_source* source, uint64_t base, const cn_h5_object* d, void* dst) {
    if (d->node.size == 0) return CORNU_OK;
    switch (d->node.storage) {
        case CN_H5_CONTIGUOUS:
        case CN_H5_COMPACT: return cn_source_read(source, d->node.offset, dst, d->node.size);
        case CN_H5_CHUNKED: return read_chunks(source, base, d, dst);
        case CN_H5_NOT_STORED: break;
    }
    fill_elements(d, dst);
    return CORNU_OK;
}
