/* Where a dataset's bytes are: layout, fill value and filter messages, and the index of chunks.
 *
 *   layout 1, 2: version, rank, class, 5 reserved, [address O], dims 4 each, [element 4], [compact size 4, data]
 *   layout 3:    version, class; compact: size 2, data; contiguous: address O, size L;
 *                chunked: rank + 1, address O, dims 4 each, element 4
 *   layout 4:    the same but chunked: flags, rank + 1, width, dims, index kind 1, its parameters, address O
 *
 * What a dataset declares must be there: contiguous bytes all of them, chunks within what deflate can gain. What is
 * not stored at all (fill values) is limited for the whole file together. */
#include <stdlib.h>

#include "archive/hdf5_read.h"

enum { COMPACT, CONTIGUOUS, CHUNKED, VIRTUAL };
enum { DEFLATE = 1, SHUFFLE = 2, FLETCHER32 = 3 };

static cornu_status limit_unstored(cn_h5_reader* r, uint64_t bytes) {
    uint64_t most;

    if (!cn_size_mul(r->size, CN_LIMIT_INFLATE_RATIO, &most)) most = UINT64_MAX;
    if (bytes > most - r->unstored)
        return CN_FAIL(BAD_FILE, "declares %" PRIu64 " bytes that are not in the file of %" PRIu64 " bytes", bytes,
                       r->size);
    r->unstored += bytes;
    return CORNU_OK;
}

static cornu_status set_contiguous(cn_h5_reader* r, cn_h5_object* d, uint64_t address, uint64_t stored) {
    d->node.storage = CN_H5_NOT_STORED;
    if (d->node.size == 0) return CORNU_OK;
    if (address == CN_H5_UNDEFINED) return limit_unstored(r, d->node.size);
    if (stored < d->node.size)
        return CN_FAIL(BAD_FILE, "declares %" PRIu64 " bytes, but stores %" PRIu64, d->node.size, stored);
    d->node.storage = CN_H5_CONTIGUOUS;
    d->node.offset = r->base + address;
    return cn_h5_claim_bytes(r, address, d->node.size, d->node.path);
}

/* body stands at the data, which lies inside a message that is claimed already. */
static cornu_status set_compact(cn_h5_reader* r, cn_h5_object* d, const cn_h5_message* message, cn_h5_cursor body,
                                uint64_t stored) {
    uint64_t at = body.at;

    cn_h5_skip(&body, stored);
    if (body.bad || stored < d->node.size)
        return CN_FAIL(BAD_FILE, "declares %" PRIu64 " bytes, but its compact storage has %" PRIu64, d->node.size,
                       stored);
    d->node.storage = CN_H5_COMPACT;
    d->node.offset = r->base + message->address + at;
    return CORNU_OK;
}

/* ---- filters and fill value ---- */

static cornu_status read_filter(cn_h5_object* d, cn_h5_cursor* c, unsigned version, int i) {
    unsigned id = cn_h5_u16(c);
    uint64_t name = version == 1 || id >= 256 ? cn_h5_u16(c) : 0;
    unsigned values;

    (void)cn_h5_u16(c); /* flags: whether writing may go on without it */
    values = cn_h5_u16(c);
    cn_h5_skip(c, version == 1 ? (name + 7) / 8 * 8 : name);
    d->filters[i] = (cn_h5_filter){(uint16_t)id, values > 0 ? cn_h5_u32(c) : 0};
    if (values > 1) cn_h5_skip(c, 4 * (uint64_t)(values - 1));
    if (version == 1 && values % 2) cn_h5_skip(c, 4);
    if (c->bad) return CN_FAIL(BAD_FILE, "a filter message is cut off");
    if (id < DEFLATE || id > FLETCHER32) d->node.unsupported = "a filter other than deflate, shuffle and fletcher32";
    return CORNU_OK;
}

static cornu_status read_filters(cn_h5_object* d, cn_h5_message* messages) {
    cn_h5_message* message = cn_h5_find_message(messages, CN_H5_MSG_FILTERS);
    unsigned version, count;

    if (!message) return CORNU_OK;
    version = cn_h5_u8(&message->body);
    count = cn_h5_u8(&message->body);
    if (version == 1) cn_h5_skip(&message->body, 6);
    if (version < 1 || version > 2) return CN_FAIL(BAD_FILE, "filter message of version %u", version);
    if (count > CN_H5_FILTERS) {
        d->node.unsupported = "more than 8 filters";
        return CORNU_OK;
    }
    d->filter_count = (int)count;
    for (unsigned i = 0; i < count; i++) CN_TRY(read_filter(d, &message->body, version, (int)i));
    return CORNU_OK;
}

static cornu_status read_fill(cn_h5_reader* r, cn_h5_object* d, cn_h5_message* messages) {
    cn_h5_message* message = cn_h5_find_message(messages, CN_H5_MSG_FILL);
    bool old = !message, defined = true;
    const uint8_t* value;
    uint8_t* copy;
    uint64_t size;

    if (old) message = cn_h5_find_message(messages, CN_H5_MSG_OLD_FILL);
    if (!message) return CORNU_OK;
    if (!old) {
        unsigned version = cn_h5_u8(&message->body);
        if (version < 1 || version > 3) return CN_FAIL(BAD_FILE, "fill value message of version %u", version);
        if (version < 3) {
            cn_h5_skip(&message->body, 2);
            defined = cn_h5_u8(&message->body) != 0 || version == 1;
        } else {
            defined = (cn_h5_u8(&message->body) & 0x20) != 0;
        }
    }
    size = defined ? cn_h5_u32(&message->body) : 0;
    /* -1 in version 1 stands for undefined. */
    if (size == UINT32_MAX) size = 0;
    value = cn_h5_bytes(&message->body, size);
    if (!value) return CN_FAIL(BAD_FILE, "a fill value message is cut off");
    if (size == 0 || d->node.array.dtype == CORNU_STRING || d->node.unsupported) return CORNU_OK;
    if (size != d->node.array.element_bytes)
        return CN_FAIL(BAD_FILE, "a fill value of %" PRIu64 " bytes for elements of %" PRIu64, size,
                       d->node.array.element_bytes);
    copy = cn_arena_alloc(r->arena, (size_t)size);
    if (!copy) return CN_NO_MEMORY(size);
    memcpy(copy, value, (size_t)size);
    d->fill = copy;
    return CORNU_OK;
}

/* ---- chunks ---- */

/* chunk_dims are known: the grid of chunks. */
static cornu_status set_grid(cn_h5_object* d, uint64_t element) {
    const cn_h5_array* array = &d->node.array;

    if (array->ndim == 0) return CN_FAIL(BAD_FILE, "chunks in a dataset without dimensions");
    if (element != array->element_bytes)
        return CN_FAIL(BAD_FILE, "chunks of elements of %" PRIu64 " bytes in a dataset of %" PRIu64, element,
                       array->element_bytes);
    d->chunk_bytes = element;
    d->chunk_total = 1;
    for (int i = 0; i < array->ndim; i++) {
        uint64_t chunk = d->chunk_dims[i], dim = (uint64_t)array->dims[i];
        if (chunk == 0 || !cn_size_mul(d->chunk_bytes, chunk, &d->chunk_bytes))
            return CN_FAIL(BAD_FILE, "chunks of impossible size: dimension %d is %" PRIu64, i, chunk);
        d->grid[i] = dim / chunk + (dim % chunk != 0);
        if (!cn_size_mul(d->chunk_total, d->grid[i], &d->chunk_total))
            return CN_FAIL(BAD_FILE, "more than 2^64 chunks");
    }
    return CORNU_OK;
}

typedef struct chunk_list {
    cn_h5_object* dataset;
    cn_buf chunks;   /* cn_h5_chunk */
    uint64_t stored; /* bytes of all */
} chunk_list;

static cornu_status add_chunk(cn_h5_reader* r, chunk_list* list, cn_h5_chunk chunk) {
    const cn_h5_object* d = list->dataset;
    uint64_t most;

    if (d->filter_count == 0 && chunk.size != d->chunk_bytes)
        return CN_FAIL(BAD_FILE, "a chunk of %" PRIu64 " bytes stores %" PRIu64, d->chunk_bytes, chunk.size);
    if (!cn_size_mul(chunk.size, CN_LIMIT_INFLATE_RATIO, &most) || !cn_size_add(most, 65536, &most)) most = UINT64_MAX;
    if (d->chunk_bytes > most)
        return CN_FAIL(BAD_FILE, "a chunk of %" PRIu64 " bytes is said to come from %" PRIu64, d->chunk_bytes,
                       chunk.size);
    CN_TRY(cn_h5_claim_bytes(r, chunk.address, chunk.size, d->node.path));
    list->stored += chunk.size;
    cn_buf_add(&list->chunks, &chunk, sizeof chunk);
    return cn_buf_check(&list->chunks);
}

/* A key of the version 1 tree: size 4, filter mask 4, offsets 8 each of rank + 1 dims. */
static cornu_status add_tree_chunk(cn_h5_reader* r, void* user, cn_h5_cursor key, uint64_t child) {
    chunk_list* list = user;
    const cn_h5_object* d = list->dataset;
    cn_h5_chunk chunk = {0};

    chunk.address = child;
    chunk.size = cn_h5_u32(&key);
    chunk.filter_mask = cn_h5_u32(&key);
    for (int i = 0; i < d->node.array.ndim; i++) {
        uint64_t at = cn_h5_uint(&key, 8);
        if (at % d->chunk_dims[i] != 0 || at / d->chunk_dims[i] >= d->grid[i])
            return CN_FAIL(BAD_FILE, "a chunk at element %" PRIu64 " of dimension %d, which has %" PRId64, at, i,
                           d->node.array.dims[i]);
        chunk.index = chunk.index * d->grid[i] + at / d->chunk_dims[i];
    }
    return add_chunk(r, list, chunk);
}

static int by_index(const void* a, const void* b) {
    const cn_h5_chunk* x = a;
    const cn_h5_chunk* y = b;
    return (x->index > y->index) - (x->index < y->index);
}

static cornu_status finish_chunks(cn_h5_reader* r, cn_h5_object* d, chunk_list* list) {
    uint64_t most;

    d->chunk_count = list->chunks.size / sizeof *d->chunks;
    if (d->chunk_count == 0) {
        d->node.storage = CN_H5_NOT_STORED;
        return limit_unstored(r, d->node.size);
    }
    d->node.storage = CN_H5_CHUNKED;
    d->chunks = cn_arena_array(r->arena, (size_t)d->chunk_count, sizeof *d->chunks);
    if (!d->chunks) return CN_NO_MEMORY(list->chunks.size);
    memcpy(d->chunks, list->chunks.data, list->chunks.size);
    qsort(d->chunks, (size_t)d->chunk_count, sizeof *d->chunks, by_index);
    for (uint64_t i = 1; i < d->chunk_count; i++)
        if (d->chunks[i].index == d->chunks[i - 1].index)
            return CN_FAIL(BAD_FILE, "chunk %" PRIu64 " is stored twice", d->chunks[i].index);
    if (!cn_size_mul(list->stored, CN_LIMIT_INFLATE_RATIO, &most) || !cn_size_add(most, 65536, &most))
        most = UINT64_MAX;
    if (d->node.size > most)
        return CN_FAIL(BAD_FILE, "declares %" PRIu64 " bytes, but stores %" PRIu64, d->node.size, list->stored);
    return limit_unstored(r, d->node.size);
}

static cornu_status read_chunk_tree(cn_h5_reader* r, cn_h5_object* d, uint64_t address) {
    cornu_status st = CORNU_OK;
    chunk_list list = {0};

    list.dataset = d;
    if (address != CN_H5_UNDEFINED)
        CN_STEP(cn_h5_walk_tree(r, address, 1, 8 + 8 * ((unsigned)d->node.array.ndim + 1), add_tree_chunk, &list));
    CN_STEP(finish_chunks(r, d, &list));
done:
    cn_buf_deinit(&list.chunks);
    return st;
}

/* Layouts 1 to 3. For 1 and 2 the address came before. */
static cornu_status read_old_chunked(cn_h5_reader* r, cn_h5_object* d, cn_h5_cursor* c, unsigned ranks,
                                     uint64_t address) {
    if (ranks != (unsigned)d->node.array.ndim + 1)
        return CN_FAIL(BAD_FILE, "chunks of %u dimensions in a dataset of %d", ranks - 1, d->node.array.ndim);
    for (int i = 0; i < d->node.array.ndim; i++) d->chunk_dims[i] = cn_h5_u32(c);
    CN_TRY(set_grid(d, cn_h5_u32(c)));
    if (c->bad) return CN_FAIL(BAD_FILE, "a layout message is cut off");
    return read_chunk_tree(r, d, address);
}

/* Chunks that follow each other without an index. */
static cornu_status add_implicit(cn_h5_reader* r, chunk_list* list, uint64_t address) {
    const cn_h5_object* d = list->dataset;

    if (d->filter_count > 0) return CN_FAIL(BAD_FILE, "filtered chunks without an index");
    if (d->chunk_bytes == 0 || d->chunk_total > r->size / d->chunk_bytes)
        return CN_FAIL(BAD_FILE, "%" PRIu64 " chunks of %" PRIu64 " bytes are not in the file", d->chunk_total,
                       d->chunk_bytes);
    for (uint64_t i = 0; i < d->chunk_total; i++) {
        cn_h5_chunk chunk = {i, address + i * d->chunk_bytes, d->chunk_bytes, 0};
        if (!cn_range_fits(address, d->chunk_total * d->chunk_bytes, r->size))
            return CN_FAIL(BAD_FILE, "chunks at %" PRIu64 " lie outside the file", address);
        CN_TRY(add_chunk(r, list, chunk));
    }
    return CORNU_OK;
}

/* Chunks of a dataset that cannot grow.
 *
 *   FAHD  version 0, filtered 1, entry bytes 1, log2 of a page 1, entries L, block O, checksum
 *   FADB  version 0, filtered 1, header O, entries {address O, [size, mask 4]}, checksum; with pages when there are
 *         more entries than one holds: those are not read */
static cornu_status add_fixed_array(cn_h5_reader* r, chunk_list* list, uint64_t address) {
    const cn_h5_object* d = list->dataset;
    const bool filtered = d->filter_count > 0;
    unsigned entry_bytes, page_bits;
    uint64_t entries, block;
    cn_h5_cursor c;

    CN_TRY(cn_h5_take(r, address, 12 + (uint64_t)r->length_bytes + r->offset_bytes, "chunk array", &c));
    CN_TRY(cn_h5_verify(&c, "chunk array"));
    if (!cn_h5_expect(&c, "FAHD") || cn_h5_u8(&c) != 0 || cn_h5_u8(&c) != filtered)
        return CN_FAIL(BAD_FILE, "chunk array at %" PRIu64 ": no signature FAHD of version 0", address);
    entry_bytes = cn_h5_u8(&c);
    page_bits = cn_h5_u8(&c);
    entries = cn_h5_length(&c);
    block = cn_h5_address(&c);
    if (block == CN_H5_UNDEFINED) return CORNU_OK;
    if (filtered ? entry_bytes < r->offset_bytes + 5 || entry_bytes > r->offset_bytes + 12
                 : entry_bytes != r->offset_bytes)
        return CN_FAIL(BAD_FILE, "chunk array at %" PRIu64 ": entries of %u bytes", address, entry_bytes);
    if (page_bits > 62 || entries > (uint64_t)1 << page_bits || entries != d->chunk_total) {
        list->dataset->node.unsupported = "chunks indexed by a paged or growing array";
        return CORNU_OK;
    }
    if (entries > r->size / entry_bytes)
        return CN_FAIL(BAD_FILE, "chunk array at %" PRIu64 ": %" PRIu64 " entries", address, entries);
    CN_TRY(cn_h5_take(r, block, 10 + r->offset_bytes + entries * entry_bytes, "chunk array block", &c));
    CN_TRY(cn_h5_verify(&c, "chunk array block"));
    if (!cn_h5_expect(&c, "FADB") || cn_h5_u8(&c) != 0 || cn_h5_u8(&c) != filtered || cn_h5_address(&c) != address)
        return CN_FAIL(BAD_FILE, "chunk array block at %" PRIu64 ": no signature FADB of version 0", block);
    for (uint64_t i = 0; i < entries; i++) {
        cn_h5_chunk chunk = {i, cn_h5_address(&c), d->chunk_bytes, 0};
        if (filtered) {
            chunk.size = cn_h5_uint(&c, entry_bytes - r->offset_bytes - 4);
            chunk.filter_mask = cn_h5_u32(&c);
        }
        if (chunk.address != CN_H5_UNDEFINED) CN_TRY(add_chunk(r, list, chunk));
    }
    return CORNU_OK;
}

static cornu_status read_new_chunked(cn_h5_reader* r, cn_h5_object* d, cn_h5_cursor* c) {
    static const char* const unsupported[] = {
        [4] = "chunks indexed by an extensible array", [5] = "chunks indexed by a B-tree of version 2"};
    cornu_status st = CORNU_OK;
    unsigned flags = cn_h5_u8(c), ranks = cn_h5_u8(c), width = cn_h5_u8(c), kind;
    cn_h5_chunk single = {0};
    chunk_list list = {0};
    uint64_t address;

    list.dataset = d;
    if (width < 1 || width > 8 || ranks != (unsigned)d->node.array.ndim + 1)
        return CN_FAIL(BAD_FILE, "chunks of %u dimensions of %u bytes in a dataset of %d", ranks, width,
                       d->node.array.ndim);
    for (int i = 0; i < d->node.array.ndim; i++) d->chunk_dims[i] = cn_h5_uint(c, width);
    CN_TRY(set_grid(d, cn_h5_uint(c, width)));
    kind = cn_h5_u8(c);
    if (c->bad || kind < 1 || kind > 5) return CN_FAIL(BAD_FILE, "chunk index of kind %u", kind);
    if (kind > 3) {
        d->node.unsupported = unsupported[kind];
        return CORNU_OK;
    }
    single.size = d->chunk_bytes;
    if (kind == 1 && (flags & 2)) {
        single.size = cn_h5_length(c);
        single.filter_mask = cn_h5_u32(c);
    }
    if (kind == 3) cn_h5_skip(c, 1); /* log2 of a page, which the array says as well */
    address = cn_h5_address(c);
    if (c->bad) return CN_FAIL(BAD_FILE, "a layout message is cut off");
    single.address = address;
    if (address != CN_H5_UNDEFINED && kind == 1) {
        CN_STEP(d->chunk_total == 1 ? add_chunk(r, &list, single)
                                    : CN_FAIL(BAD_FILE, "one chunk for a grid of %" PRIu64, d->chunk_total));
    }
    if (address != CN_H5_UNDEFINED && kind == 2) CN_STEP(add_implicit(r, &list, address));
    if (address != CN_H5_UNDEFINED && kind == 3) CN_STEP(add_fixed_array(r, &list, address));
    if (!d->node.unsupported) CN_STEP(finish_chunks(r, d, &list));
done:
    cn_buf_deinit(&list.chunks);
    return st;
}

/* ---- the layout message ---- */

static cornu_status read_first_layout(cn_h5_reader* r, cn_h5_object* d, const cn_h5_message* message, cn_h5_cursor* c) {
    unsigned ranks = cn_h5_u8(c), kind = cn_h5_u8(c);
    uint64_t address;

    cn_h5_skip(c, 5);
    address = kind == COMPACT ? 0 : cn_h5_address(c);
    if (kind == CHUNKED) return read_old_chunked(r, d, c, ranks, address);
    cn_h5_skip(c, 4 * (uint64_t)ranks);
    if (kind == CONTIGUOUS && !c->bad) return set_contiguous(r, d, address, d->node.size);
    if (kind == COMPACT && !c->bad) {
        uint64_t size = cn_h5_u32(c);
        return set_compact(r, d, message, *c, size);
    }
    return CN_FAIL(BAD_FILE, "layout of class %u, or a layout message that is cut off", kind);
}

cornu_status cn_h5_read_layout(cn_h5_reader* r, cn_h5_object* d, cn_h5_message* messages) {
    cn_h5_message* message = cn_h5_find_message(messages, CN_H5_MSG_LAYOUT);
    cn_h5_cursor c = message->body;
    unsigned version = cn_h5_u8(&c), kind;
    uint64_t address, size;

    if (!cn_size_mul((uint64_t)d->node.array.count, d->node.array.element_bytes, &d->node.size))
        return CN_FAIL(BAD_FILE, "%" PRId64 " elements of %" PRIu64 " bytes", d->node.array.count,
                       d->node.array.element_bytes);
    CN_TRY(read_fill(r, d, messages));
    CN_TRY(read_filters(d, messages));
    if (version == 1 || version == 2) return read_first_layout(r, d, message, &c);
    kind = cn_h5_u8(&c);
    if (version == 4 && kind == VIRTUAL) return CN_FAIL(UNSUPPORTED, "virtual storage is refused");
    if (version < 3 || version > 4 || c.bad || kind > CHUNKED)
        return CN_FAIL(BAD_FILE, "layout of version %u, class %u", version, kind);
    if (kind == COMPACT) {
        size = cn_h5_u16(&c);
        return set_compact(r, d, message, c, size);
    }
    if (kind == CONTIGUOUS) {
        address = cn_h5_address(&c);
        size = cn_h5_length(&c);
        if (c.bad) return CN_FAIL(BAD_FILE, "a layout message is cut off");
        return set_contiguous(r, d, address, size);
    }
    if (version == 4) return read_new_chunked(r, d, &c);
    kind = cn_h5_u8(&c);
    address = cn_h5_address(&c);
    return read_old_chunked(r, d, &c, kind, address);
}
