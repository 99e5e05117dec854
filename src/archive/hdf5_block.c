/* Bytes of an HDF5 file on their way to the parsers: fetched inside the file's bounds, claimed once, and checksummed.
 */
#include <stdlib.h>

#include "archive/hdf5_read.h"

void cn_h5_reader_init(cn_h5_reader* r, cn_source* source, cn_arena* arena) {
    *r = (cn_h5_reader){0};
    r->source = source;
    r->arena = arena;
    r->path = "";
    r->size = cn_source_size(source);
    r->offset_bytes = 8;
    r->length_bytes = 8;
}

void cn_h5_reader_deinit(cn_h5_reader* r) {
    cn_arena_deinit(&r->scratch);
    cn_arena_deinit(&r->heaps);
    cn_h5_map_deinit(&r->collections);
    cn_h5_map_deinit(&r->objects);
    cn_h5_map_deinit(&r->types);
    cn_buf_deinit(&r->claims);
}

cornu_status cn_h5_fetch(cn_h5_reader* r, cn_arena* arena, uint64_t address, uint64_t size, const char* what,
                         cn_h5_cursor* out) {
    uint8_t* data;

    if (!cn_range_fits(address, size, r->size))
        return CN_FAIL(BAD_FILE, "%s at %" PRIu64 " of %" PRIu64 " bytes lies outside the file of %" PRIu64 " bytes",
                       what, address, size, r->size);
    data = cn_arena_alloc(arena, (size_t)size);
    if (!data) return CN_NO_MEMORY(size);
    CN_TRY(cn_source_read(r->source, r->base + address, data, size));
    *out = (cn_h5_cursor){data, size, 0, r->offset_bytes, r->length_bytes, false};
    return CORNU_OK;
}

cornu_status cn_h5_claim_bytes(cn_h5_reader* r, uint64_t address, uint64_t size, const char* what) {
    const cn_h5_claim claim = {address, size, what};

    if (size == 0) return CORNU_OK;
    if (!cn_range_fits(address, size, r->size))
        return CN_FAIL(BAD_FILE, "%s at %" PRIu64 " of %" PRIu64 " bytes lies outside the file of %" PRIu64 " bytes",
                       what, address, size, r->size);
    if (size > r->size - r->claimed)
        return CN_FAIL(BAD_FILE,
                       "%s at %" PRIu64 ": the parts of the file together are larger than its %" PRIu64
                       " bytes, so something is used twice",
                       what, address, r->size);
    r->claimed += size;
    cn_buf_add(&r->claims, &claim, sizeof claim);
    return cn_buf_check(&r->claims);
}

cornu_status cn_h5_take(cn_h5_reader* r, uint64_t address, uint64_t size, const char* what, cn_h5_cursor* out) {
    CN_TRY(cn_h5_claim_bytes(r, address, size, what));
    return cn_h5_fetch(r, &r->scratch, address, size, what, out);
}

static int by_address(const void* a, const void* b) {
    const cn_h5_claim* x = a;
    const cn_h5_claim* y = b;
    return (x->address > y->address) - (x->address < y->address);
}

cornu_status cn_h5_check_claims(cn_h5_reader* r) {
    size_t count = r->claims.size / sizeof(cn_h5_claim);
    cn_h5_claim* claims = (cn_h5_claim*)(void*)r->claims.data;

    if (count < 2) return CORNU_OK;
    qsort(claims, count, sizeof *claims, by_address);
    for (size_t i = 1; i < count; i++) {
        const cn_h5_claim* last = &claims[i - 1];
        if (claims[i].address - last->address < last->size)
            return CN_FAIL(BAD_FILE, "%s at %" PRIu64 " overlaps %s at %" PRIu64 " of %" PRIu64 " bytes",
                           claims[i].what, claims[i].address, last->what, last->address, last->size);
    }
    return CORNU_OK;
}

/* ---- map ---- */

static uint64_t mix(uint64_t key) {
    key ^= key >> 30;
    key *= 0xBF58476D1CE4E5B9u;
    key ^= key >> 27;
    key *= 0x94D049BB133111EBu;
    return key ^ key >> 31;
}

/* The slot of key, or the empty one where it would go. capacity must not be 0. */
static size_t slot_of(const uint64_t* keys, size_t capacity, uint64_t key) {
    size_t slot = (size_t)mix(key) & (capacity - 1);
    while (keys[slot] != key && keys[slot] != CN_H5_UNDEFINED) slot = (slot + 1) & (capacity - 1);
    return slot;
}

static cornu_status grow_map(cn_h5_map* map) {
    size_t capacity = map->capacity ? map->capacity * 2 : 64;
    uint64_t* keys = cn_alloc_zero(capacity, sizeof *keys);
    void** values = cn_alloc_zero(capacity, sizeof *values);

    if (!keys || !values) {
        cn_free(keys);
        cn_free(values);
        return CN_NO_MEMORY(capacity * (sizeof *keys + sizeof *values));
    }
    memset(keys, 0xFF, capacity * sizeof *keys);
    for (size_t i = 0; i < map->capacity; i++) {
        size_t slot;
        if (map->keys[i] == CN_H5_UNDEFINED) continue;
        slot = slot_of(keys, capacity, map->keys[i]);
        keys[slot] = map->keys[i];
        values[slot] = map->values[i];
    }
    cn_free(map->keys);
    cn_free(map->values);
    map->keys = keys;
    map->values = values;
    map->capacity = capacity;
    return CORNU_OK;
}

void* cn_h5_map_get(const cn_h5_map* map, uint64_t key) {
    size_t slot;
    if (map->count == 0 || key == CN_H5_UNDEFINED) return NULL;
    slot = slot_of(map->keys, map->capacity, key);
    return map->keys[slot] == key ? map->values[slot] : NULL;
}

cornu_status cn_h5_map_add(cn_h5_map* map, uint64_t key, void* value) {
    size_t slot;
    if (map->count * 2 >= map->capacity) CN_TRY(grow_map(map));
    slot = slot_of(map->keys, map->capacity, key);
    if (map->keys[slot] != key) map->count++;
    map->keys[slot] = key;
    map->values[slot] = value;
    return CORNU_OK;
}

void cn_h5_map_deinit(cn_h5_map* map) {
    cn_free(map->keys);
    cn_free(map->values);
    *map = (cn_h5_map){0};
}

/* ---- checksum ---- */

static uint32_t rotate(uint32_t x, int n) { return x << n | x >> (32 - n); }

/* Up to four bytes, little-endian, missing ones 0. */
static uint32_t load_part(const uint8_t* p, size_t left) {
    uint32_t value = 0;
    for (size_t i = 0; i < 4 && i < left; i++) value |= (uint32_t)p[i] << (8 * i);
    return value;
}

static void add_words(uint32_t s[3], const uint8_t* p, size_t left) {
    for (size_t i = 0; i < 3; i++)
        if (left > 4 * i) s[i] += load_part(p + 4 * i, left - 4 * i);
}

static void mix_words(uint32_t s[3]) {
    static const int turns[6] = {4, 6, 8, 16, 19, 4};
    for (int i = 0; i < 6; i++) {
        uint32_t* a = &s[i % 3];
        uint32_t* b = &s[(i + 1) % 3];
        uint32_t* c = &s[(i + 2) % 3];
        *a -= *c;
        *a ^= rotate(*c, turns[i]);
        *c += *b;
    }
}

uint32_t cn_h5_checksum(const uint8_t* data, size_t size) {
    uint32_t s[3];
    static const int turns[7] = {14, 11, 25, 16, 4, 14, 24};

    s[0] = s[1] = s[2] = 0xDEADBEEFu + (uint32_t)size;
    while (size > 12) {
        add_words(s, data, size);
        mix_words(s);
        data += 12;
        size -= 12;
    }
    if (size == 0) return s[2];
    add_words(s, data, size);
    /* c ^= b, c -= b<<<14; a ^= c, a -= c<<<11; b ^= a, b -= a<<<25; and again from c. */
    for (int i = 0; i < 7; i++) {
        uint32_t* x = &s[(i + 2) % 3];
        uint32_t* y = &s[(i + 1) % 3];
        *x ^= *y;
        *x -= rotate(*y, turns[i]);
    }
    return s[2];
}

cornu_status cn_h5_verify(const cn_h5_cursor* c, const char* what) {
    uint32_t stored, computed;

    if (c->size < 4) return CN_FAIL(BAD_FILE, "%s of %" PRIu64 " bytes has no checksum", what, c->size);
    stored = load_part(c->data + c->size - 4, 4);
    computed = cn_h5_checksum(c->data, (size_t)c->size - 4);
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
    stored = computed; /* so that mutations get past the sums */
#endif
    if (stored != computed)
        return CN_FAIL(BAD_FILE, "%s: checksum is %08" PRIx32 ", its bytes give %08" PRIx32, what, stored, computed);
    return CORNU_OK;
}
