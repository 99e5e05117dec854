/* Philox 4x32-10 (Salmon et al., SC 2011): numbers from a counter, so that every element of a random tensor is drawn on its
 * own, in any order, on any device alike. */
#ifndef CN_BASE_PHILOX_H
#define CN_BASE_PHILOX_H

#include <math.h>
#include <stdint.h>

/* Four random words for counter[4] under key[2]. */
static inline void cn_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3], k0 = key[0], k1 = key[1];

    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

/* The words of element i of random node `stream` in run `run` of a session with that seed. */
static inline void cn_philox_element(uint64_t seed, uint64_t run, uint32_t stream, uint64_t i, uint32_t out[4]) {
    const uint32_t counter[4] = {(uint32_t)i, (uint32_t)(i >> 32), stream, (uint32_t)run};
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    cn_philox(counter, key, out);
}

/* [0, 1), a multiple of 2^-24. */
static inline float cn_philox_uniform(uint32_t word) { return (float)(word >> 8) * 0x1p-24f; }

/* Standard normal, by Box and Muller; words 0 and 1 of an element. */
static inline float cn_philox_normal(uint32_t a, uint32_t b) {
    float u = ((float)(a >> 8) + 0.5f) * 0x1p-24f; /* (0, 1): its logarithm is finite */
    return sqrtf(-2.0f * logf(u)) * cosf(6.28318530717958647692f * cn_philox_uniform(b));
}

#endif
