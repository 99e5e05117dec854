/* Numbers from a counter (Philox 4x32-10: Salmon et al., SC 2011): every element is drawn on its own, in C and in numpy alike. */
#include "bench.h"

static void philox(uint64_t seed, uint32_t stream, uint64_t block, uint32_t out[4]) {
    uint32_t c[4] = {(uint32_t)block, (uint32_t)(block >> 32), stream, 0};
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);

    for (int round = 0; round < 10; round++) {
        const uint64_t p0 = (uint64_t)0xD2511F53u * c[0];
        const uint64_t p1 = (uint64_t)0xCD9E8D57u * c[2];
        c[0] = (uint32_t)(p1 >> 32) ^ c[1] ^ k0;
        c[1] = (uint32_t)p1;
        c[2] = (uint32_t)(p0 >> 32) ^ c[3] ^ k1;
        c[3] = (uint32_t)p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    for (int i = 0; i < 4; i++) out[i] = c[i];
}

static float uniform(uint32_t word) { return (float)(word >> 8) * 0x1p-24f; }

float bench_uniform(uint64_t seed, uint32_t stream, uint64_t i) {
    uint32_t words[4];
    philox(seed, stream, i / 4, words);
    return uniform(words[i % 4]);
}

void bench_fill(uint64_t seed, uint32_t stream, double low, double high, float* out, uint64_t count) {
    const double width = high - low;
    uint32_t words[4];

    for (uint64_t i = 0; i < count; i++) {
        if (i % 4 == 0) philox(seed, stream, i / 4, words);
        out[i] = (float)(low + width * (double)uniform(words[i % 4]));
    }
}
