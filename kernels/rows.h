/* Lines that are dense rows of neighbours, each held in registers: a warp or a block a row, VECTORS vectors of 16 bytes a thread.
 *
 *     cn_row_plan p = cn_row_plan_of(lines, dtype, x, y)     p.vectors: 0 if the rows do not fit, else 1, 2, 4 or 8
 *     cn_row<E, VECTORS> row;  row.load(x + k * over, over);  row.each(over, [&](float& v) { ... });  row.store(y + k * over, over)
 *
 * The order of a fold over a row is fixed by its length alone. */
#ifndef CN_KERNELS_ROWS_H
#define CN_KERNELS_ROWS_H

#include <type_traits>

#include "kernels/element.h"
#include "kernels/lines.h"

template <typename E>
struct alignas(16) cn_row_vector {
    E v[16 / sizeof(E)];
};

#define CN_ROW_THREADS 512

typedef struct cn_row_plan {
    int vectors;            /* a thread */
    unsigned threads, rows; /* of a row; rows of a block */
} cn_row_plan;

static inline cn_row_plan cn_row_plan_of(const cn_lines& l, int dtype, const void* x, const void* y) {
    const int64_t each = dtype == CORNU_FLOAT32 ? 4 : 8, vectors = l.over / each;
    cn_row_plan p = {0, 32, 1};

    if (dtype == CORNU_FLOAT64 || l.over == 0 || l.over % each != 0 || vectors > CN_ROW_THREADS * 8 || !cn_lines_are_rows(&l) || l.over_ndim != 1 || l.kept_ndim > 1) return p;
    if ((reinterpret_cast<uintptr_t>(x) | reinterpret_cast<uintptr_t>(y)) % 16 != 0) return p;
    while (static_cast<int64_t>(p.threads) * (p.threads < 256 ? 4 : 8) < vectors) p.threads *= 2;
    p.vectors = 1;
    while (static_cast<int64_t>(p.threads) * p.vectors < vectors) p.vectors *= 2;
    while (p.threads == 32 && p.rows < 4 && static_cast<int64_t>(p.rows) < l.kept) p.rows *= 2;
    return p;
}

/* run(vectors as a constant) for p.vectors. */
template <typename F>
static inline cudaError_t cn_by_vectors(const cn_row_plan& p, F run) {
    switch (p.vectors) {
        case 1: return run(std::integral_constant<int, 1>());
        case 2: return run(std::integral_constant<int, 2>());
        case 4: return run(std::integral_constant<int, 4>());
        default: return run(std::integral_constant<int, 8>());
    }
}

/* A thread's part of a row: vectors threadIdx.x, threadIdx.x + blockDim.x, ... as float. */
template <typename E, int VECTORS>
struct cn_row {
    enum { EACH = 16 / sizeof(E) };
    float v[VECTORS][EACH];

    /* A part of another row of `over` elements that lies like this one's. */
    CN_DEVICE void load(const void* from, int over) {
        CN_UNROLL
        for (int i = 0; i < VECTORS; i++) {
            const int at = place(i);
            cn_row_vector<E> part;
            if (at < over) part = *reinterpret_cast<const cn_row_vector<E>*>(static_cast<const E*>(from) + at);
            CN_UNROLL
            for (int k = 0; k < EACH; k++) v[i][k] = at < over ? cn_widen(part.v[k]) : 0.0f;
        }
    }
    /* The same, added to what is held. */
    CN_DEVICE void add(const void* from, int over) {
        CN_UNROLL
        for (int i = 0; i < VECTORS; i++) {
            const int at = place(i);
            if (at >= over) continue;
            const cn_row_vector<E> part = *reinterpret_cast<const cn_row_vector<E>*>(static_cast<const E*>(from) + at);
            CN_UNROLL
            for (int k = 0; k < EACH; k++) v[i][k] += cn_widen(part.v[k]);
        }
    }
    CN_DEVICE void store(void* to, int over) const {
        CN_UNROLL
        for (int i = 0; i < VECTORS; i++) {
            const int at = place(i);
            cn_row_vector<E> part;
            CN_UNROLL
            for (int k = 0; k < EACH; k++) cn_narrow(&part.v[k], v[i][k]);
            if (at < over) *reinterpret_cast<cn_row_vector<E>*>(static_cast<E*>(to) + at) = part;
        }
    }
    /* run(element) for those that are there. */
    template <typename F>
    CN_DEVICE void each(int over, F run) {
        CN_UNROLL
        for (int i = 0; i < VECTORS; i++) {
            if (place(i) >= over) continue;
            CN_UNROLL
            for (int k = 0; k < EACH; k++) run(v[i][k]);
        }
    }
    static CN_DEVICE int place(int i) { return (static_cast<int>(threadIdx.x) + i * static_cast<int>(blockDim.x)) * EACH; }
};

#endif
