/* Products of matrices whose elements lie in the registers of 32 lanes. Not instrumented: it reads what other lanes hold. */
#include "kernels/host/mma.h"

namespace {

float from_tf32(uint32_t bits) { return cn_host_bits<float>(bits & ~0x1fffu); }
float from_bf16(uint32_t bits) { return cn_host_bits<float>(bits << 16); }
float from_f16(uint32_t bits) {
    const uint32_t sign = (bits & 0x8000u) << 16, exponent = (bits >> 10) & 31u, fraction = bits & 1023u;
    if (exponent == 0) return (sign ? -1.0f : 1.0f) * static_cast<float>(fraction) * 5.9604644775390625e-8f; /* 2^-24 */
    return cn_host_bits<float>(sign | (exponent == 31 ? 0xffu : exponent + 112) << 23 | fraction << 13);
}

/* a and b as [16][depth] and [depth][8], then d += a b with one rounding an element. */
template <int Depth>
void multiply(cn_host_product* const* lanes, const float (&a)[16][Depth], const float (&b)[Depth][8]) {
    for (int lane = 0; lane < 32; lane++) {
        for (int i = 0; i < 4; i++) {
            const int row = lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2;
            double sum = static_cast<double>(lanes[lane]->d[i]);
            for (int k = 0; k < Depth; k++) sum += static_cast<double>(a[row][k]) * static_cast<double>(b[k][column]);
            lanes[lane]->d[i] = static_cast<float>(sum);
        }
    }
}

void multiply_halves(void* const* data, float (*widen)(uint32_t)) {
    cn_host_product* const* lanes = reinterpret_cast<cn_host_product* const*>(data);
    float a[16][16], b[16][8];

    for (int lane = 0; lane < 32; lane++) {
        const int g = lane / 4, t = lane % 4;
        for (int half = 0; half < 2; half++) {
            for (int i = 0; i < 4; i++) a[g + i % 2 * 8][2 * t + i / 2 * 8 + half] = widen(lanes[lane]->a[i] >> (16 * half) & 0xffffu);
            for (int i = 0; i < 2; i++) b[2 * t + i * 8 + half][g] = widen(lanes[lane]->b[i] >> (16 * half) & 0xffffu);
        }
    }
    multiply<16>(lanes, a, b);
}

void spread(void* const* data, bool transposed) {
    cn_host_matrix_rows* const* lanes = reinterpret_cast<cn_host_matrix_rows* const*>(data);
    for (int lane = 0; lane < 32; lane++) {
        const int g = lane / 4, t = lane % 4;
        for (int i = 0; i < 4; i++) {
            const uint32_t low = transposed ? lanes[8 * i + 2 * t]->row[g] : lanes[8 * i + g]->row[2 * t];
            const uint32_t high = transposed ? lanes[8 * i + 2 * t + 1]->row[g] : lanes[8 * i + g]->row[2 * t + 1];
            lanes[lane]->r[i] = low | high << 16;
        }
    }
}

}  // namespace

extern "C" {

void cn_host_product_tf32(void* const* data) {
    cn_host_product* const* lanes = reinterpret_cast<cn_host_product* const*>(data);
    float a[16][8], b[8][8];

    for (int lane = 0; lane < 32; lane++) {
        const int g = lane / 4, t = lane % 4;
        for (int i = 0; i < 4; i++) a[g + i % 2 * 8][t + i / 2 * 4] = from_tf32(lanes[lane]->a[i]);
        for (int i = 0; i < 2; i++) b[t + i * 4][g] = from_tf32(lanes[lane]->b[i]);
    }
    multiply<8>(lanes, a, b);
}

void cn_host_product_bf16(void* const* lanes) { multiply_halves(lanes, from_bf16); }
void cn_host_product_f16(void* const* lanes) { multiply_halves(lanes, from_f16); }
void cn_host_spread_rows(void* const* lanes) { spread(lanes, false); }
void cn_host_spread_columns(void* const* lanes) { spread(lanes, true); }

}  // extern "C"
