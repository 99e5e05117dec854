/* Products of matrices by tiles in shared memory, in one piece for matmul and the convolutions: they differ in where the elements come from.
 *
 *     a block makes LINES x LINES results with LINES^2 / 16 threads, 4 x 4 results a thread
 *
 *                     b tile [DEPTH][LINES]        A thread's rows and columns lie LINES / 4 apart, so that the threads of a warp read
 *                        | columns                 neighbouring words of shared memory and write neighbouring results.
 *     a tile [DEPTH][LINES] -> sum [4][4]
 *       rows
 *
 * Sums of float32 are added up in pieces of 256 products: the error grows with the root of the number of pieces. */
#ifndef CN_KERNELS_TILE_H
#define CN_KERNELS_TILE_H

#include "kernels/element.h"
#include "kernels/ew.h"

/* A dtype known to the compiler and what its sums are made in. All integers share the uint64 form: sums wrap, and a store keeps the low bits. */
template <int D, typename T>
struct cn_domain {
    static const int dtype = D;
    using sum = T;
};
#define CN_ANY_INTEGER (-1)

/* fn(domain) for a float dtype. */
template <typename F>
static inline cudaError_t cn_by_float(int dtype, F fn) {
    switch (dtype) {
        case CORNU_FLOAT16: return fn(cn_domain<CORNU_FLOAT16, float>());
        case CORNU_BFLOAT16: return fn(cn_domain<CORNU_BFLOAT16, float>());
        case CORNU_FLOAT64: return fn(cn_domain<CORNU_FLOAT64, double>());
        default: return fn(cn_domain<CORNU_FLOAT32, float>());
    }
}

/* fn(domain) for any dtype. */
template <typename F>
static inline cudaError_t cn_by_dtype(int dtype, F fn) {
    if (cn_class_of(dtype) == CN_CLASS_FLOAT || dtype == CORNU_FLOAT64) return cn_by_float(dtype, fn);
    return fn(cn_domain<CN_ANY_INTEGER, uint64_t>());
}

/* Not in place: the choice of the dtype costs more registers than a call. */
template <typename T>
CN_DEVICE_NOINLINE T cn_load_integer(int dtype, const void* x, int64_t i) {
    return cn_load<T>(dtype, x, i);
}

template <int D, typename T>
CN_DEVICE T cn_load_as(int dtype, const void* x, int64_t i) {
    if constexpr (D == CN_ANY_INTEGER) return cn_load_integer<T>(dtype, x, i);
    else return cn_load<T>(D, x, i);
}
template <int D, typename T>
CN_DEVICE void cn_store_as(int dtype, void* y, int64_t i, T v) {
    cn_store<T>(D == CN_ANY_INTEGER ? dtype : D, y, i, v);
}

/* n / d for n >= 0, d > 0; by 32 bits where they suffice, which takes a fifth of the time. */
CN_DEVICE int64_t cn_divide(int64_t n, int64_t d) {
    if (((n | d) >> 32) == 0) return static_cast<int64_t>(static_cast<uint32_t>(n) / static_cast<uint32_t>(d));
    return n / d;
}

/* n / d, and n % d in *rest. */
CN_DEVICE int64_t cn_split(int64_t n, int64_t d, int64_t* rest) {
    const int64_t q = cn_divide(n, d);
    *rest = n - q * d;
    return q;
}

#define CN_TILE_DEPTH 16
#define CN_TILE_THREADS(lines) ((lines) * (lines) / 16)
#define CN_TILE_LARGE 64
#define CN_TILE_SMALL 32

/* Lines of the tile for a result of rows x columns, `count` times: small tiles where large ones would leave most of a device idle, and for
 * sums of 8 bytes, which would need more registers than there are. */
template <typename T>
static inline int cn_tile_lines(int64_t rows, int64_t columns, int64_t count) {
    const int64_t large = (rows + CN_TILE_LARGE - 1) / CN_TILE_LARGE * ((columns + CN_TILE_LARGE - 1) / CN_TILE_LARGE) * count;
    return sizeof(T) == 8 || rows <= CN_TILE_SMALL || columns <= CN_TILE_SMALL || large < 132 ? CN_TILE_SMALL : CN_TILE_LARGE;
}

/* Blocks for that many tiles; each takes more than one if there are very many. */
static inline dim3 cn_tile_grid(int64_t tiles) { return cn_blocks(tiles, 1); }

/* A source gives elements (line, k) of an operand, 0 outside of it: seek(k), then get(line). by_k: neighbours along k are neighbours in memory. */
template <int D, typename T>
struct cn_matrix_source {
    const void* data;
    int dtype;
    bool by_k;
    int64_t at, line_step, k_step; /* of element (0, 0); elements */
    int64_t lines, inner;
    int64_t place;
    bool inside;
    CN_DEVICE void seek(int64_t k) {
        inside = k < inner;
        place = at + k * k_step;
    }
    CN_DEVICE T get(int line) const {
        return inside && line < lines ? cn_load_as<D, T>(dtype, data, place + line * line_step) : static_cast<T>(0);
    }
};

template <int LINES, typename T, typename Source>
CN_DEVICE void cn_tile_fill(T (*tile)[LINES + 1], Source& source, int64_t k0) {
    const int t = static_cast<int>(threadIdx.x);

    if (source.by_k) {
        const int k = t % CN_TILE_DEPTH;
        source.seek(k0 + k);
        for (int line = t / CN_TILE_DEPTH; line < LINES; line += CN_TILE_THREADS(LINES) / CN_TILE_DEPTH) tile[k][line] = source.get(line);
        return;
    }
    for (int k = t / LINES; k < CN_TILE_DEPTH; k += CN_TILE_THREADS(LINES) / LINES) {
        source.seek(k0 + k);
        tile[k][t % LINES] = source.get(t % LINES);
    }
}

/* Row or column i of this thread. */
template <int LINES>
CN_DEVICE int cn_tile_row(int i) {
    return static_cast<int>(threadIdx.x) / (LINES / 4) + i * (LINES / 4);
}
template <int LINES>
CN_DEVICE int cn_tile_column(int j) {
    return static_cast<int>(threadIdx.x) % (LINES / 4) + j * (LINES / 4);
}

/* sum[i][j] = the product of row i and column j of this thread over k < inner. All threads of the block; ends with a barrier. */
template <int LINES, typename T, typename A, typename B>
CN_DEVICE void cn_tile_product(A& a, B& b, int64_t inner, T (*a_tile)[LINES + 1], T (*b_tile)[LINES + 1], T (&sum)[4][4]) {
    T part[4][4] = {};
    int pieces = 0;

    for (int i = 0; i < 16; i++) sum[i / 4][i % 4] = 0;
    for (int64_t k0 = 0; k0 < inner; k0 += CN_TILE_DEPTH) {
        cn_tile_fill<LINES>(a_tile, a, k0);
        cn_tile_fill<LINES>(b_tile, b, k0);
        __syncthreads();
        for (int k = 0; k < CN_TILE_DEPTH; k++) {
            T x[4], z[4];
            for (int i = 0; i < 4; i++) x[i] = a_tile[k][cn_tile_row<LINES>(i)];
            for (int j = 0; j < 4; j++) z[j] = b_tile[k][cn_tile_column<LINES>(j)];
            for (int i = 0; i < 16; i++) part[i / 4][i % 4] += x[i / 4] * z[i % 4];
        }
        if (sizeof(T) == sizeof(float) && ++pieces == 256 / CN_TILE_DEPTH) {
            for (int i = 0; i < 16; i++) {
                sum[i / 4][i % 4] += part[i / 4][i % 4];
                part[i / 4][i % 4] = 0;
            }
            pieces = 0;
        }
        __syncthreads();
    }
    for (int i = 0; i < 16; i++) sum[i / 4][i % 4] += part[i / 4][i % 4];
}

/* y[at] = act(v + bias[column] + residual[at]). */
template <int D, typename T>
CN_DEVICE void cn_tile_finish(int dtype, void* y, const void* bias, const void* residual, const cn_epilogue& act, int64_t at, int64_t column, T v) {
    if constexpr (cn_is_float<T>::value) {
        if (bias) v += cn_load_as<D, T>(dtype, bias, column);
        if (residual) v += cn_load_as<D, T>(dtype, residual, at);
        if (act.fn) v = cn_act<T>(act, v);
    }
    cn_store_as<D, T>(dtype, y, at, v);
}

/* launch(tag) with tag::value the lines. */
template <int LINES>
struct cn_tile_size {
    static const int value = LINES;
};
template <typename T, typename F>
static inline cudaError_t cn_by_lines(int lines, F launch) {
    if constexpr (sizeof(T) == sizeof(float)) {
        if (lines == CN_TILE_LARGE) return launch(cn_tile_size<CN_TILE_LARGE>());
    }
    return launch(cn_tile_size<CN_TILE_SMALL>());
}

#endif
