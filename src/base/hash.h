/* FNV-1a, 64 bits: for tables and for noticing damage, never for keeping anything safe. */
#ifndef CN_BASE_HASH_H
#define CN_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define CN_HASH_START UINT64_C(0xcbf29ce484222325)

/* hash goes on over size more bytes; begin with CN_HASH_START. */
static inline uint64_t cn_hash(uint64_t hash, const void* data, size_t size) {
    const unsigned char* bytes = (const unsigned char*)data;
    for (size_t i = 0; i < size; i++) hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    return hash;
}

#endif
