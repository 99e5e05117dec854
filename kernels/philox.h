/* Philox 4x32-10 on a device: the same words and numbers as base/philox.h gives on the host. */
#ifndef CN_KERNELS_PHILOX_H
#define CN_KERNELS_PHILOX_H

#include <math.h>

#include "kernels/launch.h"

/* Words 0 and 1 of element i of random node `stream` in run `run`. */
CN_DEVICE uint2 cn_philox_words(uint64_t seed, uint64_t run, uint32_t stream, uint64_t i) {
    uint32_t c0 = static_cast<uint32_t>(i), c1 = static_cast<uint32_t>(i >> 32), c2 = stream, c3 = static_cast<uint32_t>(run);
    uint32_t k0 = static_cast<uint32_t>(seed), k1 = static_cast<uint32_t>(seed >> 32);
    uint2 out;

    for (int round = 0; round < 10; round++) {
        uint64_t p0 = static_cast<uint64_t>(0xD2511F53u) * c0, p1 = static_cast<uint64_t>(0xCD9E8D57u) * c2;
        uint32_t n0 = static_cast<uint32_t>(p1 >> 32) ^ c1 ^ k0, n2 = static_cast<uint32_t>(p0 >> 32) ^ c3 ^ k1;
        c1 = static_cast<uint32_t>(p1);
        c3 = static_cast<uint32_t>(p0);
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out.x = c0;
    out.y = c1;
    return out;
}

/* [0, 1), a multiple of 2^-24. */
CN_DEVICE float cn_philox_uniform(uint32_t word) { return static_cast<float>(word >> 8) * 5.9604644775390625e-8f; }

/* Standard normal, by Box and Muller. */
CN_DEVICE float cn_philox_normal(uint2 words) {
    float u = (static_cast<float>(words.x >> 8) + 0.5f) * 5.9604644775390625e-8f; /* (0, 1): its logarithm is finite */
    return sqrtf(-2.0f * logf(u)) * cosf(6.28318530717958647692f * cn_philox_uniform(words.y));
}

#endif
