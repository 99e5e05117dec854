/* y[n, o, c] = max or mean over the cells of x[n, :, c] that the window at o covers. Padding is not a cell: it takes no part. A window without
 * cells gives -infinity (max) or NaN (mean), of integers the lowest int64 (uint64: 0), cut to the dtype, or 0; means of integers are cut
 * towards zero.
 *
 * Small windows, and integers: one thread an output, neighbours along the channels. Large ones (global pooling): one block an output cell and up to 32
 * channels; the threads share out the window's cells and join what they found in a tree, always in the same order.
 * Both have a form for float32, float16 and bfloat16 whose threads take 16 bytes of channels at once, where channels are a multiple of that.
 * Sums in float32 (double for float64),  of integers in int64 or uint64. y must not alias x. */
#include "kernels/pool.h"

#include "kernels/rows.h"
#include "kernels/tile.h"

namespace {

/* The cells [from, to) under an output, and how many there are. */
typedef struct pool_window {
    int64_t from[3], size[3], count;
} pool_window;

CN_DEVICE pool_window window_of(const cn_pool_args& a, const int64_t* o) {
    pool_window w;

    w.count = 1;
    for (int d = 0; d < 3; d++) {
        int64_t from = o[d] * a.strides[d] - a.pad[d], to = from + a.window[d];
        if (a.adaptive) {
            from = cn_divide(o[d] * a.x_dims[d], a.y_dims[d]);
            to = cn_divide((o[d] + 1) * a.x_dims[d] + a.y_dims[d] - 1, a.y_dims[d]);
        }
        if (from < 0) from = 0;
        if (to > a.x_dims[d]) to = a.x_dims[d];
        w.from[d] = from;
        w.size[d] = to > from ? to - from : 0;
        w.count *= w.size[d];
    }
    return w;
}

template <typename T>
CN_DEVICE T lowest() {
    return cn_is_float<T>::value ? static_cast<T>(-INFINITY) : static_cast<T>(INT64_MIN);
}
template <>
CN_DEVICE int64_t lowest<int64_t>() {
    return INT64_MIN;
}
template <>
CN_DEVICE uint64_t lowest<uint64_t>() {
    return 0;
}

template <typename T>
CN_DEVICE T add(T a, T b) {
    return a + b;
}
/* Wraps. */
template <>
CN_DEVICE int64_t add<int64_t>(int64_t a, int64_t b) {
    return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}

template <typename T>
CN_DEVICE T join(bool mean, T a, T b) {
    return mean ? add(a, b) : b > a || b != b ? b : a;
}

/* The cells first, first + step, ... of a window joined. */
template <int D, typename T>
CN_DEVICE T pool_cells(const cn_pool_args& a, const pool_window& w, int64_t n, int64_t channel, int64_t first, int64_t step) {
    T sum = a.mean ? static_cast<T>(0) : lowest<T>();

    for (int64_t i = first; i < w.count; i += step) {
        int64_t cell[3];
        cell[0] = cn_split(cn_split(i, w.size[2], &cell[2]), w.size[1], &cell[1]);
        const int64_t at = ((n * a.x_dims[0] + w.from[0] + cell[0]) * a.x_dims[1] + w.from[1] + cell[1]) * a.x_dims[2] + w.from[2] + cell[2];
        sum = join(a.mean, sum, cn_load_as<D, T>(a.dtype, a.x, at * a.channels + channel));
    }
    return sum;
}

template <int D, typename T>
CN_DEVICE void pool_store(const cn_pool_args& a, const pool_window& w, int64_t at, T sum) {
    if (a.mean && !cn_is_float<T>::value && w.count == 0) sum = 0;
    else if (a.mean) sum = sum / static_cast<T>(w.count);
    cn_store_as<D, T>(a.dtype, a.y, at, sum);
}

/* The output cell with a number: its coordinates, and the image it is of. */
CN_DEVICE int64_t cell_of(const cn_pool_args& a, int64_t number, int64_t* o) {
    for (int d = 2; d >= 0; d--) number = cn_split(number, a.y_dims[d], &o[d]);
    return number;
}

template <int D, typename T>
CN_KERNEL(256) pool_thread_per_output(cn_pool_args a, int64_t count) {
    for (CN_ITEMS(i, count)) {
        int64_t channel, o[3];
        const int64_t n = cell_of(a, cn_split(i, a.channels, &channel), o);
        const pool_window w = window_of(a, o);
        pool_store<D, T>(a, w, i, pool_cells<D, T>(a, w, n, channel, 0, 1));
    }
}

#define POOL_THREADS 256

/* Threads: x along the channels, y along the cells; both powers of two, POOL_THREADS at most. tiles: of channels, of one cell. */
template <int D, typename T>
CN_KERNEL(POOL_THREADS) pool_block_per_cell(cn_pool_args a, int64_t cells, int64_t tiles) {
    CN_SHARED(T, sums, [POOL_THREADS]);
    const unsigned lane = threadIdx.y * blockDim.x + threadIdx.x;

    for (int64_t item = blockIdx.x; item < cells * tiles; item += gridDim.x) {
        int64_t tile, o[3];
        const int64_t cell = cn_split(item, tiles, &tile), channel = tile * blockDim.x + threadIdx.x, n = cell_of(a, cell, o);
        const pool_window w = window_of(a, o);
        sums[lane] = channel < a.channels ? pool_cells<D, T>(a, w, n, channel, threadIdx.y, blockDim.y) : static_cast<T>(0);
        for (unsigned rows = blockDim.y / 2; rows > 0; rows /= 2) {
            __syncthreads();
            if (threadIdx.y < rows) sums[lane] = join(a.mean, sums[lane], sums[lane + rows * blockDim.x]);
        }
        if (threadIdx.y == 0 && channel < a.channels) pool_store<D, T>(a, w, cell * a.channels + channel, sums[lane]);
        __syncthreads();
    }
}

/* ---- vectors of channels ---- */

template <typename E>
struct channels_of {
    enum { EACH = 16 / sizeof(E) };
    float v[EACH];

    CN_DEVICE void start(bool mean) {
        CN_UNROLL
        for (int k = 0; k < EACH; k++) v[k] = mean ? 0.0f : -INFINITY;
    }
    CN_DEVICE void take(bool mean, const void* x, int64_t at) {
        const cn_row_vector<E> part = *reinterpret_cast<const cn_row_vector<E>*>(static_cast<const E*>(x) + at);
        CN_UNROLL
        for (int k = 0; k < EACH; k++) v[k] = join(mean, v[k], cn_widen(part.v[k]));
    }
    CN_DEVICE void store(const cn_pool_args& a, const pool_window& w, int64_t at) const {
        cn_row_vector<E> part;
        CN_UNROLL
        for (int k = 0; k < EACH; k++) cn_narrow(&part.v[k], a.mean ? v[k] / static_cast<float>(w.count) : v[k]);
        *reinterpret_cast<cn_row_vector<E>*>(static_cast<E*>(a.y) + at) = part;
    }
};

template <typename E>
CN_KERNEL_BLOCKS(256, 2) pool_vector_per_thread(cn_pool_args a, int64_t count) {
    enum { EACH = channels_of<E>::EACH };
    for (CN_ITEMS(i, count / EACH)) {
        int64_t vector, o[3];
        const int64_t n = cell_of(a, cn_split(i, a.channels / EACH, &vector), o);
        const pool_window w = window_of(a, o);
        channels_of<E> sum;
        sum.start(a.mean);
        for (int64_t d = 0; d < w.size[0]; d++) {
            for (int64_t h = 0; h < w.size[1]; h++) {
                const int64_t row = ((n * a.x_dims[0] + w.from[0] + d) * a.x_dims[1] + w.from[1] + h) * a.x_dims[2] + w.from[2];
                for (int64_t c = 0; c < w.size[2]; c++) sum.take(a.mean, a.x, (row + c) * a.channels + vector * EACH);
            }
        }
        sum.store(a, w, i * EACH);
    }
}

/* As pool_block_per_cell; tiles: of channel vectors, of one cell. */
template <typename E>
CN_KERNEL_BLOCKS(POOL_THREADS, 2) pool_vectors_per_cell(cn_pool_args a, int64_t cells, int64_t tiles) {
    enum { EACH = channels_of<E>::EACH };
    CN_SHARED(float, sums, [EACH][POOL_THREADS]);
    const unsigned lane = threadIdx.y * blockDim.x + threadIdx.x;

    for (int64_t item = blockIdx.x; item < cells * tiles; item += gridDim.x) {
        int64_t tile, o[3];
        const int64_t cell = cn_split(item, tiles, &tile), channel = (tile * blockDim.x + threadIdx.x) * EACH, n = cell_of(a, cell, o);
        const pool_window w = window_of(a, o);
        channels_of<E> sum;
        sum.start(a.mean);
        for (int64_t i = threadIdx.y; i < w.count && channel < a.channels; i += blockDim.y) {
            int64_t at[3];
            at[0] = cn_split(cn_split(i, w.size[2], &at[2]), w.size[1], &at[1]);
            const int64_t place = ((n * a.x_dims[0] + w.from[0] + at[0]) * a.x_dims[1] + w.from[1] + at[1]) * a.x_dims[2] + w.from[2] + at[2];
            sum.take(a.mean, a.x, place * a.channels + channel);
        }
        for (int k = 0; k < EACH; k++) sums[k][lane] = sum.v[k];
        for (unsigned rows = blockDim.y / 2; rows > 0; rows /= 2) {
            __syncthreads();
            if (threadIdx.y >= rows) continue;
            for (int k = 0; k < EACH; k++) sums[k][lane] = join(a.mean, sums[k][lane], sums[k][lane + rows * blockDim.x]);
        }
        for (int k = 0; k < EACH; k++) sum.v[k] = sums[k][lane];
        if (threadIdx.y == 0 && channel < a.channels) sum.store(a, w, cell * a.channels + channel);
        __syncthreads();
    }
}

template <typename E>
cudaError_t launch_vectors(const cn_queue* q, const cn_pool_args* a, int64_t cells, int64_t in_window) {
    const int64_t vectors = a->channels / channels_of<E>::EACH, count = cells * vectors;
    unsigned across = 1, along = 1;

    while (across < 32 && across < vectors) across *= 2;
    while (along < POOL_THREADS / across && along * 4 < in_window) along *= 2;
    if (in_window < 32) {
        const unsigned threads = count >= 16384 ? 256 : count > 64 ? 64 : 32;
        return cn_launch(q, pool_vector_per_thread<E>, cn_blocks(count, static_cast<int>(threads)), dim3(threads), 0, *a, cells * a->channels);
    }
    const int64_t tiles = (vectors + across - 1) / across;
    return cn_launch(q, pool_vectors_per_cell<E>, cn_tile_grid(cells * tiles), dim3(across, along), 0, *a, cells, tiles);
}

/* The integers' form, for division and comparison: signed, but of uint64. */
template <int D, typename T>
struct pool_domain {
    using sum = T;
};
template <typename T>
struct pool_domain<CN_ANY_INTEGER, T> {
    using sum = int64_t;
};

/* Cells of a window, at most. */
static int64_t window_cells(const cn_pool_args* a) {
    int64_t cells = 1;
    for (int d = 0; d < 3; d++) {
        const int64_t window = a->adaptive ? (a->x_dims[d] + a->y_dims[d] - 1) / a->y_dims[d] + 1 : a->window[d];
        cells *= window < a->x_dims[d] ? window : a->x_dims[d];
    }
    return cells;
}

}  // namespace

extern "C" cudaError_t cn_k_pool(const cn_queue* q, const cn_pool_args* a) {
    const int64_t cells = a->batch * a->y_dims[0] * a->y_dims[1] * a->y_dims[2], count = cells * a->channels, in_window = window_cells(a);
    unsigned across = 1, along = 1;

    while (across < 32 && across < a->channels) across *= 2;
    while (along < POOL_THREADS / across && along * 4 < in_window) along *= 2;
    if (cn_class_of(a->dtype) == CN_CLASS_FLOAT && a->channels % (16 / cn_element_size(a->dtype)) == 0 &&
        (reinterpret_cast<uintptr_t>(a->x) | reinterpret_cast<uintptr_t>(a->y)) % 16 == 0) {
        if (a->dtype == CORNU_FLOAT32) return launch_vectors<float>(q, a, cells, in_window);
        return a->dtype == CORNU_FLOAT16 ? launch_vectors<__half>(q, a, cells, in_window) : launch_vectors<__nv_bfloat16>(q, a, cells, in_window);
    }
    const auto run = [&](auto domain) {
        using Domain = decltype(domain);
        using T = typename pool_domain<Domain::dtype, typename Domain::sum>::sum;
        if constexpr (cn_is_float<T>::value) {
            const int64_t tiles = (a->channels + across - 1) / across;
            if (in_window >= 64) return cn_launch(q, pool_block_per_cell<Domain::dtype, T>, cn_tile_grid(cells * tiles), dim3(across, along), 0, *a, cells, tiles);
        }
        return cn_launch(q, pool_thread_per_output<Domain::dtype, T>, cn_blocks(count, 256), dim3(count < 256 ? static_cast<unsigned>(count) : 256), 0, *a, count);
    };
    return a->dtype == CORNU_UINT64 ? run(cn_domain<CORNU_UINT64, uint64_t>()) : cn_by_dtype(a->dtype, run);
}
