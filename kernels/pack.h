/* Sixteen bytes of elements at once: 4 of float32, 8 of float16 or bfloat16, in kernels. */
#ifndef CN_KERNELS_PACK_H
#define CN_KERNELS_PACK_H

#include <string.h>

#include "kernels/launch.h"

template <int D>
struct cn_pack {
    static const int count = D == CORNU_FLOAT32 ? 4 : 8;
    static const int size = D == CORNU_FLOAT32 ? 4 : 2; /* bytes of an element */
};

/* D's low 16 bits as a float. */
template <int D>
CN_DEVICE float cn_half_to_float(uint32_t bits) {
    if constexpr (D == CORNU_BFLOAT16) {
        return __uint_as_float(bits << 16);
    } else {
        __half_raw half;
        half.x = static_cast<uint16_t>(bits);
        return __half2float(__half(half));
    }
}

/* Rounded to nearest even, in the low 16 bits. */
template <int D>
CN_DEVICE uint32_t cn_float_to_half(float v) {
    uint16_t bits;
    if constexpr (D == CORNU_BFLOAT16) {
        const __nv_bfloat16 half = __float2bfloat16_rn(v);
        memcpy(&bits, &half, sizeof bits);
    } else {
        const __half half = __float2half_rn(v);
        memcpy(&bits, &half, sizeof bits);
    }
    return bits;
}

template <int D>
CN_DEVICE void cn_unpack(const uint4& p, float (&v)[cn_pack<D>::count]) {
    const uint32_t words[4] = {p.x, p.y, p.z, p.w};
    CN_UNROLL
    for (int i = 0; i < 4; i++) {
        if constexpr (D == CORNU_FLOAT32) {
            v[i] = __uint_as_float(words[i]);
        } else {
            v[2 * i] = cn_half_to_float<D>(words[i] & 0xffffu);
            v[2 * i + 1] = cn_half_to_float<D>(words[i] >> 16);
        }
    }
}

template <int D>
CN_DEVICE uint4 cn_packed(const float (&v)[cn_pack<D>::count]) {
    uint32_t words[4];
    CN_UNROLL
    for (int i = 0; i < 4; i++) {
        if constexpr (D == CORNU_FLOAT32) words[i] = __float_as_uint(v[i]);
        else words[i] = cn_float_to_half<D>(v[2 * i]) | cn_float_to_half<D>(v[2 * i + 1]) << 16;
    }
    return make_uint4(words[0], words[1], words[2], words[3]);
}

/* Whether x may be read sixteen bytes at a time from every multiple of `elements`. NULL may. */
static inline bool cn_pack_fits(int dtype, const void* x, int64_t elements) {
    const int64_t count = dtype == CORNU_FLOAT32 ? 4 : 8;
    return elements % count == 0 && (reinterpret_cast<uintptr_t>(x) & 15u) == 0;
}

#endif
