/* The host's form of kernels/mma.h: the last lane to come computes for all. */
#ifndef CN_KERNELS_HOST_MMA_H
#define CN_KERNELS_HOST_MMA_H

#include "kernels/host/device.h"

/* One lane's registers. */
typedef struct cn_host_product {
    float* d;
    const uint32_t *a, *b;
} cn_host_product;

typedef struct cn_host_matrix_rows {
    uint16_t row[8];
    uint32_t* r;
} cn_host_matrix_rows;

extern "C" {
void cn_host_product_tf32(void* const* lanes);
void cn_host_product_bf16(void* const* lanes);
void cn_host_product_f16(void* const* lanes);
void cn_host_spread_rows(void* const* lanes);
void cn_host_spread_columns(void* const* lanes);
}

inline uint32_t cn_to_tf32(float x) {
    const uint32_t bits = cn_host_bits<uint32_t>(x);
    return x - x == 0 ? (bits + 0x1000u) & ~0x1fffu : bits;
}

#define CN_HOST_PRODUCT(name, compute)                                                                                  \
    inline void name(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], CN_HOST_PLACE) {                     \
        cn_host_product mine = {d, a, b};                                                                                \
        cn_host_together(compute, &mine, file, line);                                                                    \
    }
CN_HOST_PRODUCT(cn_mma_m16n8k8_tf32, cn_host_product_tf32)
CN_HOST_PRODUCT(cn_mma_m16n8k16_bf16, cn_host_product_bf16)
CN_HOST_PRODUCT(cn_mma_m16n8k16_f16, cn_host_product_f16)

struct alignas(16) cn_host_sixteen {
    uint16_t v[8];
};

/* A lane reads its row itself, so that sanitizers see who read what. */
inline void cn_host_load_matrix(uint32_t* r, const void* row, cn_host_compute compute, const char* file, int line) {
    cn_host_matrix_rows mine;
    const cn_host_sixteen read = *static_cast<const cn_host_sixteen*>(row);
    memcpy(mine.row, read.v, sizeof mine.row);
    mine.r = r;
    cn_host_together(compute, &mine, file, line);
}
inline void cn_ldmatrix_x4(uint32_t (&r)[4], const void* row, CN_HOST_PLACE) { cn_host_load_matrix(r, row, cn_host_spread_rows, file, line); }
inline void cn_ldmatrix_x4_trans(uint32_t (&r)[4], const void* row, CN_HOST_PLACE) { cn_host_load_matrix(r, row, cn_host_spread_columns, file, line); }

/* Garbage until it is waited for. */
inline void cn_cp_async16(void* dst, const void* src, int bytes) {
    cn_host_sixteen garbage;
    for (int i = 0; i < 8; i++) garbage.v[i] = 0xffff;
    *static_cast<cn_host_sixteen*>(dst) = garbage;
    cn_host_async_push(dst, src, bytes);
}
inline void cn_cp_async_commit() { cn_host_async_commit(); }
template <int N>
inline void cn_cp_async_wait() {
    cn_host_copy copy;
    while (cn_host_async_take(N, &copy)) {
        cn_host_sixteen moved = {};
        if (copy.bytes == 16) moved = *static_cast<const cn_host_sixteen*>(copy.src);
        else memcpy(moved.v, copy.src, static_cast<size_t>(copy.bytes));
        *static_cast<cn_host_sixteen*>(copy.dst) = moved;
    }
}

#endif
