/* Fractal heaps: links and attributes of objects that have many.
 *
 *   FRHP  header: widths, limits, the doubling table (width, start block, largest direct block, heap bits), root block
 *   FHDB  direct block: header's address O, own offset, [checksum], objects. Offsets in the heap count these heads too.
 *   FHIB  indirect block: the same head, then addresses of direct blocks, then of indirect ones, row by row; checksum
 *
 *   row:            0      1      2      3   ...
 *   bytes of block: start  start  2start 4start ...        each row has table_width blocks
 *
 * All direct blocks are read at once; claims keep them smaller than the file. */
#include <stdlib.h>

#include "archive/hdf5_read.h"

typedef struct indirect {
    uint64_t address;
    uint64_t offset; /* in the heap */
    unsigned rows;
} indirect;

static unsigned log2_of(uint64_t value) {
    unsigned bits = 0;
    while (value >>= 1) bits++;
    return bits;
}

static bool is_power(uint64_t value) { return value != 0 && (value & (value - 1)) == 0; }

/* Bytes of a block in that row; 0 when it does not fit 64 bits. */
static uint64_t row_bytes(const cn_h5_fractal* heap, unsigned row) {
    unsigned shift = row > 0 ? row - 1 : 0;
    return log2_of(heap->start_block) + shift < 63 ? heap->start_block << shift : 0;
}

/* The sum of a direct block stands in its middle, at at, and counts there as zeros. */
static cornu_status verify_direct(cn_h5_cursor c, unsigned at) {
    uint8_t* bytes = (uint8_t*)(uintptr_t)c.data; /* ours, in scratch memory */
    uint32_t stored, computed;

    c.at = at;
    stored = cn_h5_u32(&c);
    if (c.bad) return CN_FAIL(BAD_FILE, "heap block of %" PRIu64 " bytes is too small", c.size);
    memset(bytes + at, 0, 4);
    computed = cn_h5_checksum(bytes, (size_t)c.size);
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
    stored = computed;
#endif
    if (stored != computed)
        return CN_FAIL(BAD_FILE, "heap block: checksum is %08" PRIx32 ", its bytes give %08" PRIx32, stored, computed);
    return CORNU_OK;
}

static cornu_status read_direct(cn_h5_reader* r, cn_h5_fractal* heap, uint64_t address, uint64_t offset,
                                uint64_t size) {
    const unsigned head = 5 + r->offset_bytes + heap->offset_width;
    cn_h5_fractal_block block = {offset, NULL, size, address};
    cn_h5_cursor c;

    CN_TRY(cn_h5_take(r, address, size, "heap block", &c));
    if (!cn_h5_expect(&c, "FHDB") || cn_h5_u8(&c) != 0 || cn_h5_address(&c) != heap->address ||
        cn_h5_uint(&c, heap->offset_width) != offset)
        return CN_FAIL(BAD_FILE,
                       "heap block at %" PRIu64 ": not the FHDB block of offset %" PRIu64 " of the heap at %" PRIu64,
                       address, offset, heap->address);
    if (heap->checksums) CN_TRY(verify_direct(c, head));
    block.data = c.data;
    cn_buf_add(&heap->blocks, &block, sizeof block);
    return cn_buf_check(&heap->blocks);
}

/* One address of an indirect block. */
static cornu_status read_entry(cn_h5_reader* r, cn_h5_fractal* heap, cn_buf* stack, indirect at, unsigned row) {
    const uint64_t size = row_bytes(heap, row);
    const unsigned first = log2_of(heap->start_block) + log2_of(heap->table_width);

    if (at.address == CN_H5_UNDEFINED) return CORNU_OK;
    if (size == 0) return CN_FAIL(BAD_FILE, "heap at %" PRIu64 ": row %u is too large", heap->address, row);
    if (size <= heap->max_direct) return read_direct(r, heap, at.address, at.offset, size);
    if (log2_of(size) < first) return CN_FAIL(BAD_FILE, "heap at %" PRIu64 ": row %u is too small", heap->address, row);
    at.rows = log2_of(size) - first + 1;
    cn_buf_add(stack, &at, sizeof at);
    return cn_buf_check(stack);
}

static cornu_status read_indirect(cn_h5_reader* r, cn_h5_fractal* heap, cn_buf* stack, indirect at) {
    const uint64_t entries = (uint64_t)at.rows * heap->table_width;
    uint64_t offset = at.offset;
    cn_h5_cursor c;

    CN_TRY(cn_h5_take(r, at.address, 9 + (uint64_t)r->offset_bytes + heap->offset_width + entries * r->offset_bytes,
                      "heap index block", &c));
    CN_TRY(cn_h5_verify(&c, "heap index block"));
    if (!cn_h5_expect(&c, "FHIB") || cn_h5_u8(&c) != 0 || cn_h5_address(&c) != heap->address ||
        cn_h5_uint(&c, heap->offset_width) != at.offset)
        return CN_FAIL(BAD_FILE, "heap index block at %" PRIu64 ": not the FHIB block of offset %" PRIu64, at.address,
                       at.offset);
    for (uint64_t i = 0; i < entries; i++) {
        unsigned row = (unsigned)(i / heap->table_width);
        indirect child = {cn_h5_address(&c), offset, 0};
        CN_TRY(read_entry(r, heap, stack, child, row));
        offset += row_bytes(heap, row); /* may wrap for rows that hold no blocks */
    }
    return CORNU_OK;
}

static int by_offset(const void* a, const void* b) {
    const cn_h5_fractal_block* x = a;
    const cn_h5_fractal_block* y = b;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

static cornu_status read_blocks(cn_h5_reader* r, cn_h5_fractal* heap, indirect root) {
    cornu_status st = CORNU_OK;
    cn_buf stack = {0};

    if (root.rows == 0) {
        CN_STEP(read_direct(r, heap, root.address, 0, heap->start_block));
    } else {
        cn_buf_add(&stack, &root, sizeof root);
        CN_STEP(cn_buf_check(&stack));
    }
    while (stack.size >= sizeof root) {
        stack.size -= sizeof root;
        memcpy(&root, stack.data + stack.size, sizeof root);
        CN_STEP(read_indirect(r, heap, &stack, root));
    }
    if (heap->blocks.size > 0)
        qsort(heap->blocks.data, heap->blocks.size / sizeof(cn_h5_fractal_block), sizeof(cn_h5_fractal_block),
              by_offset);
done:
    cn_buf_deinit(&stack);
    return st;
}

static cornu_status check_table(const cn_h5_fractal* heap, const indirect* root) {
    if (!is_power(heap->start_block) || !is_power(heap->max_direct) || heap->max_direct < heap->start_block ||
        !is_power(heap->table_width) || heap->heap_bits > 64 || heap->heap_bits == 0 || root->rows > 64 ||
        log2_of(heap->max_direct) >= heap->heap_bits)
        return CN_FAIL(
            BAD_FILE,
            "heap at %" PRIu64 ": impossible table (width %u, blocks %" PRIu64 " to %" PRIu64 ", %u bits, %u rows)",
            heap->address, heap->table_width, heap->start_block, heap->max_direct, heap->heap_bits, root->rows);
    return CORNU_OK;
}

cornu_status cn_h5_fractal_open(cn_h5_reader* r, uint64_t address, cn_h5_fractal* out) {
    indirect root = {0};
    unsigned filter_bytes, flags;
    uint64_t max_managed;
    cn_h5_cursor c;

    *out = (cn_h5_fractal){0};
    out->address = address;
    CN_TRY(
        cn_h5_take(r, address, 26 + 12 * (uint64_t)r->length_bytes + 3 * (uint64_t)r->offset_bytes, "heap header", &c));
    if (!cn_h5_expect(&c, "FRHP") || cn_h5_u8(&c) != 0)
        return CN_FAIL(BAD_FILE, "heap at %" PRIu64 ": no signature FRHP of version 0", address);
    out->id_bytes = cn_h5_u16(&c);
    filter_bytes = cn_h5_u16(&c);
    if (filter_bytes > 0) return CN_FAIL(UNSUPPORTED, "heap at %" PRIu64 ": is filtered", address);
    CN_TRY(cn_h5_verify(&c, "heap header"));
    flags = cn_h5_u8(&c);
    max_managed = cn_h5_u32(&c);
    (void)cn_h5_length(&c); /* next id of a huge object */
    out->huge_tree = cn_h5_address(&c);
    (void)cn_h5_length(&c);
    (void)cn_h5_address(&c); /* free space */
    cn_h5_skip(&c, 8 * (uint64_t)r->length_bytes);
    out->table_width = cn_h5_u16(&c);
    out->start_block = cn_h5_length(&c);
    out->max_direct = cn_h5_length(&c);
    out->heap_bits = cn_h5_u16(&c);
    (void)cn_h5_u16(&c); /* rows of the root when it was made */
    root.address = cn_h5_address(&c);
    root.rows = cn_h5_u16(&c);
    if (c.bad) return CN_FAIL(BAD_FILE, "heap at %" PRIu64 " is cut off", address);
    CN_TRY(check_table(out, &root));
    out->checksums = (flags & 2) != 0;
    out->offset_width = (out->heap_bits + 7) / 8;
    out->length_width = (log2_of(out->max_direct) + 7) / 8;
    if (log2_of(max_managed) / 8 + 1 < out->length_width) out->length_width = log2_of(max_managed) / 8 + 1;
    return root.address == CN_H5_UNDEFINED ? CORNU_OK : read_blocks(r, out, root);
}

static cornu_status get_managed(const cn_h5_fractal* heap, uint64_t offset, uint64_t size, cn_h5_cursor* out) {
    const cn_h5_fractal_block* blocks = (const cn_h5_fractal_block*)(const void*)heap->blocks.data;
    size_t low = 0, high = heap->blocks.size / sizeof *blocks;

    while (low < high) { /* the last block that begins at or before offset */
        size_t middle = low + (high - low) / 2;
        if (blocks[middle].offset <= offset) low = middle + 1;
        else high = middle;
    }
    if (low == 0 || !cn_range_fits(offset - blocks[low - 1].offset, size, blocks[low - 1].size))
        return CN_FAIL(BAD_FILE, "heap at %" PRIu64 ": no object of %" PRIu64 " bytes at offset %" PRIu64,
                       heap->address, size, offset);
    out->data = blocks[low - 1].data + (offset - blocks[low - 1].offset);
    out->size = size;
    return CORNU_OK;
}

/* Objects too large for blocks; a B-tree of type 1 holds address L, length O, number L of each. */
static cornu_status get_huge(cn_h5_reader* r, cn_h5_fractal* heap, uint64_t number, cn_h5_cursor* out) {
    cn_h5_cursor c = {0};

    if (!heap->huge_read) {
        heap->huge.record_bytes = r->offset_bytes + 2 * r->length_bytes;
        if (heap->huge_tree == CN_H5_UNDEFINED)
            return CN_FAIL(BAD_FILE, "heap at %" PRIu64 " has no large objects", heap->address);
        CN_TRY(cn_h5_read_records(r, heap->huge_tree, 1, &heap->huge));
        heap->huge_read = true;
    }
    c = (cn_h5_cursor){
        (const uint8_t*)heap->huge.bytes.data, heap->huge.bytes.size, 0, r->offset_bytes, r->length_bytes, false};
    while (c.at < c.size) {
        uint64_t address = cn_h5_address(&c);
        uint64_t size = cn_h5_length(&c);
        if (cn_h5_length(&c) == number) return cn_h5_take(r, address, size, "large heap object", out);
    }
    return CN_FAIL(BAD_FILE, "heap at %" PRIu64 ": no large object %" PRIu64, heap->address, number);
}

cornu_status cn_h5_fractal_get(cn_h5_reader* r, cn_h5_fractal* heap, cn_h5_cursor* id, cn_h5_cursor* out) {
    cn_h5_cursor c = cn_h5_part(id, heap->id_bytes);
    unsigned first = cn_h5_u8(&c);
    uint64_t offset, size;

    *out = (cn_h5_cursor){NULL, 0, 0, r->offset_bytes, r->length_bytes, false};
    if (first >> 6 != 0) return CN_FAIL(BAD_FILE, "heap at %" PRIu64 ": id of version %u", heap->address, first >> 6);
    if ((first >> 4 & 3) == 0) {
        offset = cn_h5_uint(&c, heap->offset_width);
        size = cn_h5_uint(&c, heap->length_width);
        if (!c.bad) return get_managed(heap, offset, size, out);
    } else if ((first >> 4 & 3) == 1) {
        unsigned width = heap->id_bytes - 1 < 8 ? heap->id_bytes - 1 : 8;
        if (heap->id_bytes - 1 >= r->offset_bytes + r->length_bytes)
            return CN_FAIL(UNSUPPORTED, "heap at %" PRIu64 ": ids that are addresses", heap->address);
        size = cn_h5_uint(&c, width);
        if (!c.bad) return get_huge(r, heap, size, out);
    } else if ((first >> 4 & 3) == 2 && heap->id_bytes <= 18) {
        out->size = (first & 15) + 1;
        out->data = cn_h5_bytes(&c, out->size);
        if (!c.bad) return CORNU_OK;
    }
    return CN_FAIL(BAD_FILE, "heap at %" PRIu64 ": an id of %u bytes that begins with %02x", heap->address,
                   heap->id_bytes, first);
}

void cn_h5_fractal_deinit(cn_h5_fractal* heap) {
    cn_buf_deinit(&heap->blocks);
    cn_buf_deinit(&heap->huge.bytes);
}
