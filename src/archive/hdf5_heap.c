/* Local heaps (names of old groups) and global heaps (texts of variable length).
 *
 *   HEAP  version 0, 3 reserved, segment size L, free list L, segment address O
 *   GCOL  version 1, 3 reserved, size L of all, then objects:
 *         index 2, references 2, reserved 4, size L, data padded to 8; index 0 is the free rest
 *
 * A collection is parsed once; its table of objects is sorted by index. */
#include <stdlib.h>

#include "archive/hdf5_read.h"

cornu_status cn_h5_read_local_heap(cn_h5_reader* r, uint64_t address, cn_h5_cursor* out) {
    cn_h5_cursor c;
    uint64_t size, segment;

    CN_TRY(cn_h5_take(r, address, 8 + 2 * (uint64_t)r->length_bytes + r->offset_bytes, "local heap", &c));
    if (!cn_h5_expect(&c, "HEAP") || cn_h5_u8(&c) != 0)
        return CN_FAIL(BAD_FILE, "local heap at %" PRIu64 ": no signature HEAP of version 0", address);
    cn_h5_skip(&c, 3);
    size = cn_h5_length(&c);
    (void)cn_h5_length(&c);
    segment = cn_h5_address(&c);
    return cn_h5_take(r, segment, size, "local heap data", out);
}

typedef struct heap_object {
    uint32_t index;
    uint64_t offset;
    uint64_t size;
} heap_object;

typedef struct collection {
    cn_h5_cursor bytes;
    heap_object* objects;
    size_t count;
} collection;

static int by_index(const void* a, const void* b) {
    const heap_object* x = a;
    const heap_object* y = b;
    return (x->index > y->index) - (x->index < y->index);
}

/* Passes over one object of a collection; false at the free rest or the end. */
static bool next_object(cn_h5_cursor* c, heap_object* out) {
    uint64_t padding;

    if (c->bad || c->size - c->at < 8 + (uint64_t)c->length_bytes) return false;
    out->index = cn_h5_u16(c);
    if (out->index == 0) return false;
    cn_h5_skip(c, 6);
    out->size = cn_h5_length(c);
    out->offset = c->at;
    cn_h5_skip(c, out->size);
    padding = (8 - out->size % 8) % 8;
    if (padding > c->size - c->at) padding = c->size - c->at;
    cn_h5_skip(c, padding);
    return !c->bad;
}

static cornu_status parse_collection(cn_h5_reader* r, uint64_t address, collection* heap) {
    cn_h5_cursor c = heap->bytes;
    heap_object object;

    cn_h5_skip(&c, 8 + (uint64_t)c.length_bytes);
    while (next_object(&c, &object)) heap->count++;
    if (c.bad) return CN_FAIL(BAD_FILE, "global heap at %" PRIu64 ": an object ends outside of it", address);
    heap->objects = cn_arena_array(&r->heaps, heap->count, sizeof *heap->objects);
    if (!heap->objects) return CN_NO_MEMORY(heap->count * sizeof *heap->objects);
    c = heap->bytes;
    cn_h5_skip(&c, 8 + (uint64_t)c.length_bytes);
    for (size_t i = 0; i < heap->count; i++) (void)next_object(&c, &heap->objects[i]);
    if (heap->count > 1) qsort(heap->objects, heap->count, sizeof *heap->objects, by_index);
    for (size_t i = 1; i < heap->count; i++)
        if (heap->objects[i].index == heap->objects[i - 1].index)
            return CN_FAIL(BAD_FILE, "global heap at %" PRIu64 ": two objects of index %" PRIu32, address,
                           heap->objects[i].index);
    return CORNU_OK;
}

static cornu_status read_collection(cn_h5_reader* r, uint64_t address, collection** out) {
    cn_h5_cursor c;
    uint64_t size;
    collection* heap = cn_arena_alloc(&r->heaps, sizeof *heap);

    if (!heap) return CN_NO_MEMORY(sizeof *heap);
    CN_TRY(cn_h5_fetch(r, &r->heaps, address, 8 + (uint64_t)r->length_bytes, "global heap", &c));
    if (!cn_h5_expect(&c, "GCOL") || cn_h5_u8(&c) != 1)
        return CN_FAIL(BAD_FILE, "global heap at %" PRIu64 ": no signature GCOL of version 1", address);
    cn_h5_skip(&c, 3);
    size = cn_h5_length(&c);
    if (size < c.size) return CN_FAIL(BAD_FILE, "global heap at %" PRIu64 ": its size is %" PRIu64, address, size);
    CN_TRY(cn_h5_claim_bytes(r, address, size, "global heap"));
    CN_TRY(cn_h5_fetch(r, &r->heaps, address, size, "global heap", &heap->bytes));
    CN_TRY(parse_collection(r, address, heap));
    CN_TRY(cn_h5_map_add(&r->collections, address, heap));
    *out = heap;
    return CORNU_OK;
}

cornu_status cn_h5_global_object(cn_h5_reader* r, uint64_t address, uint32_t index, cn_h5_cursor* out) {
    collection* heap = cn_h5_map_get(&r->collections, address);
    heap_object key = {0};
    const heap_object* found = NULL;

    if (!heap) CN_TRY(read_collection(r, address, &heap));
    key.index = index;
    if (heap->count > 0) found = bsearch(&key, heap->objects, heap->count, sizeof key, by_index);
    if (!found) return CN_FAIL(BAD_FILE, "global heap at %" PRIu64 " has no object %" PRIu32, address, index);
    *out = heap->bytes;
    cn_h5_skip(out, found->offset);
    *out = cn_h5_part(out, found->size);
    return CORNU_OK;
}

cornu_status cn_h5_vlen_string(cn_h5_reader* r, cn_h5_cursor* element, cn_arena* arena, cornu_string* out) {
    uint64_t length = cn_h5_u32(element);
    uint64_t address = cn_h5_address(element);
    uint32_t index = cn_h5_u32(element);
    cn_h5_cursor object;
    const uint8_t* end;
    char* text;

    *out = (cornu_string){"", 0};
    /* Address 0 is how HDF5 writes a string that was never set. */
    if (length == 0 || address == 0 || address == CN_H5_UNDEFINED) return CORNU_OK;
    CN_TRY(cn_h5_global_object(r, address, index, &object));
    if (length > object.size)
        return CN_FAIL(BAD_FILE, "a string of %" PRIu64 " bytes points to an object of %" PRIu64 " bytes", length,
                       object.size);
    end = memchr(object.data, 0, (size_t)length);
    if (end) length = (uint64_t)(end - object.data);
    /* In a real file each element has an object of its own, so that together they are smaller than the file. */
    if (length > r->size - r->string_bytes)
        return CN_FAIL(BAD_FILE, "the strings together are larger than the file of %" PRIu64 " bytes", r->size);
    r->string_bytes += length;
    text = cn_arena_strndup(arena, (const char*)object.data, (size_t)length);
    if (!text) return CN_NO_MEMORY(length);
    *out = (cornu_string){text, (size_t)length};
    return CORNU_OK;
}

static size_t fixed_length(const uint8_t* text, size_t size, cn_h5_padding padding) {
    if (padding == CN_H5_NUL_ENDED) {
        const uint8_t* end = size > 0 ? memchr(text, 0, size) : NULL;
        return end ? (size_t)(end - text) : size;
    }
    while (size > 0 && text[size - 1] == (padding == CN_H5_SPACE_PADDED ? ' ' : 0)) size--;
    return size;
}

static cornu_status decode_fixed(const cn_h5_array* array, cn_h5_padding padding, cn_h5_cursor elements,
                                 cn_arena* arena, cornu_string* strings) {
    size_t width = (size_t)array->element_bytes;
    uint64_t bytes;
    char* texts;

    if (!cn_size_mul((uint64_t)array->count, array->element_bytes + 1, &bytes)) return CN_NO_MEMORY(SIZE_MAX);
    texts = cn_arena_alloc(arena, (size_t)bytes);
    if (!texts) return CN_NO_MEMORY(bytes);
    for (int64_t i = 0; i < array->count; i++) {
        const uint8_t* text = cn_h5_bytes(&elements, width);
        size_t size = fixed_length(text, width, padding);
        memcpy(texts, text, size);
        strings[i] = (cornu_string){texts, size};
        texts += width + 1; /* what follows the text is zero, as the arena gave it */
    }
    return CORNU_OK;
}

cornu_status cn_h5_decode_strings(cn_h5_reader* r, const cn_h5_array* array, cn_h5_padding padding,
                                  cn_h5_cursor elements, cn_arena* arena, const cornu_string** out) {
    cornu_string* strings;
    uint64_t need;

    *out = NULL;
    if (!cn_size_mul((uint64_t)array->count, array->element_bytes, &need) || need > elements.size - elements.at)
        return CN_FAIL(BAD_FILE, "%" PRId64 " strings of %" PRIu64 " bytes have only %" PRIu64 " bytes", array->count,
                       array->element_bytes, elements.size - elements.at);
    strings = cn_arena_array(arena, (size_t)array->count, sizeof *strings);
    if (!strings) return CN_NO_MEMORY((uint64_t)array->count * sizeof *strings);
    if (array->string_kind == CN_H5_FIXED) {
        CN_TRY(decode_fixed(array, padding, elements, arena, strings));
    } else {
        for (int64_t i = 0; i < array->count; i++) {
            cn_h5_cursor element = cn_h5_part(&elements, array->element_bytes);
            CN_TRY(cn_h5_vlen_string(r, &element, arena, &strings[i]));
        }
    }
    *out = strings;
    return CORNU_OK;
}
