/* Moving elements. Every kernel writes y in order, one element a thread; elements that stay beside each other are first taken together as
 * wider ones. A copy that exchanges axes goes through tiles in shared memory, so that x and y are both passed in rows. */
#include "kernels/move.h"

#include "kernels/divide.h"

#define TILE 32
#define TILE_ROWS 8 /* of a tile that a block moves at once */

struct alignas(16) wide {
    uint64_t v[2];
};

/* run(E()) for elements of that size. */
template <typename F>
static cudaError_t by_size(int size, F run) {
    switch (size) {
        case 1: return run(uint8_t());
        case 2: return run(uint16_t());
        case 4: return run(uint32_t());
        case 8: return run(uint64_t());
        default: return run(wide());
    }
}

static bool is_aligned(const void* p, int size) { return reinterpret_cast<uintptr_t>(p) % static_cast<uintptr_t>(size) == 0; }
static int threads_for(int64_t count) { return count >= 8192 ? 256 : count >= 64 ? 64 : 32; }
static dim3 blocks_for(int64_t count, int threads) {
    const dim3 blocks = cn_blocks(count, threads);
    return blocks.x > 65536 ? dim3(65536) : blocks;
}

/* ---- copies under strides ---- */

template <typename E>
CN_KERNEL(256) strided_copy(const cn_strided_copy_args a, int64_t count) {
    const E* x = static_cast<const E*>(a.x) + a.base;
    E* y = static_cast<E*>(a.y);

    for (CN_ITEMS(i, count)) y[i] = x[cn_strided(a.ndim, a.dims, a.strides, i)];
}

/* Two axes of a copy: `across`, along which x is dense, and `along`, y's last. All others count tiles. */
typedef struct tiles {
    int ndim; /* of the others */
    int64_t dims[CORNU_MAX_DIMS], x_strides[CORNU_MAX_DIMS], y_strides[CORNU_MAX_DIMS];
    int64_t across, along;
    int64_t x_stride; /* of along, in x */
    int64_t y_stride; /* of across, in y */
    int64_t across_tiles, along_tiles, count;
} tiles;

template <typename E>
CN_KERNEL(TILE* TILE_ROWS) tiled_copy(const E* x, E* y, const tiles t) {
    CN_SHARED(E, tile, [TILE][TILE + 1]);
    const int column = static_cast<int>(threadIdx.x) % TILE, first = static_cast<int>(threadIdx.x) / TILE;

    for (int64_t k = blockIdx.x; k < t.count; k += gridDim.x) {
        int64_t across, along, other = cn_divide(cn_divide(k, t.along_tiles, &along), t.across_tiles, &across);
        const E* from = x + cn_strided(t.ndim, t.dims, t.x_strides, other);
        E* to = y + cn_strided(t.ndim, t.dims, t.y_strides, other);

        across *= TILE;
        along *= TILE;
        for (int r = first; r < TILE; r += TILE_ROWS) {
            if (along + r < t.along && across + column < t.across) tile[r][column] = from[(along + r) * t.x_stride + across + column];
        }
        __syncthreads();
        for (int r = first; r < TILE; r += TILE_ROWS) {
            if (across + r < t.across && along + column < t.along) to[(across + r) * t.y_stride + along + column] = tile[column][r];
        }
        __syncthreads();
    }
}

/* Whether the copy is one for tiles, and which. */
static bool find_tiles(const cn_strided_copy_args* a, tiles* t) {
    int64_t y_strides[CORNU_MAX_DIMS], stride = 1, others = 1;
    int last = a->ndim - 1, across = -1;

    *t = tiles();
    if (a->ndim < 2 || a->strides[last] == 1 || a->strides[last] == 0 || a->dims[last] < TILE / 4) return false;
    for (int d = last; d >= 0; d--) {
        y_strides[d] = stride;
        stride *= a->dims[d];
        if (d < last && a->strides[d] == 1 && a->dims[d] >= TILE / 4) across = d;
    }
    if (across < 0) return false;
    for (int d = 0; d < last; d++) {
        if (d == across) continue;
        t->dims[t->ndim] = a->dims[d];
        t->x_strides[t->ndim] = a->strides[d];
        t->y_strides[t->ndim++] = y_strides[d];
        others *= a->dims[d];
    }
    t->across = a->dims[across];
    t->along = a->dims[last];
    t->x_stride = a->strides[last];
    t->y_stride = y_strides[across];
    t->across_tiles = (t->across + TILE - 1) / TILE;
    t->along_tiles = (t->along + TILE - 1) / TILE;
    t->count = others * t->across_tiles * t->along_tiles;
    return true;
}

/* Takes pairs of elements as one, as often as every offset allows it. */
static void widen_copy(cn_strided_copy_args* a) {
    const int last = a->ndim - 1;

    if (a->ndim == 0 || a->strides[last] != 1) return;
    while (a->size < 16 && is_aligned(a->x, 2 * a->size) && is_aligned(a->y, 2 * a->size) && a->base % 2 == 0 && a->dims[last] % 2 == 0) {
        for (int d = 0; d < last; d++) {
            if (a->strides[d] % 2 != 0) return;
        }
        for (int d = 0; d < last; d++) a->strides[d] /= 2;
        a->dims[last] /= 2;
        a->base /= 2;
        a->size *= 2;
    }
}

extern "C" cudaError_t cn_k_strided_copy(const cn_queue* q, const cn_strided_copy_args* args) {
    cn_strided_copy_args a = *args;
    int64_t count = 1;
    tiles t;

    if (find_tiles(&a, &t)) {
        return by_size(a.size, [&](auto element) {
            using E = decltype(element);
            const dim3 blocks(static_cast<unsigned>(t.count > 65536 ? 65536 : t.count));
            return cn_launch(q, tiled_copy<E>, blocks, dim3(TILE * TILE_ROWS), 0, static_cast<const E*>(a.x) + a.base, static_cast<E*>(a.y), t);
        });
    }
    widen_copy(&a);
    for (int d = 0; d < a.ndim; d++) count *= a.dims[d];
    return by_size(a.size, [&](auto element) {
        const int threads = threads_for(count);
        return cn_launch(q, strided_copy<decltype(element)>, blocks_for(count, threads), dim3(threads), 0, a, count);
    });
}

/* ---- concatenation ---- */

template <typename E>
CN_KERNEL(256) concat_columns(const cn_concat_args a) {
    const int64_t first = a.start[0], columns = a.start[a.count] - first;

    for (CN_ITEMS(i, a.outer * columns)) {
        int64_t column, row = cn_divide(i, columns, &column);
        int low = 0, high = a.count; /* start[low] <= column < start[high] */
        column += first;
        while (high - low > 1) {
            const int middle = (low + high) / 2;
            if (a.start[middle] <= column) low = middle;
            else high = middle;
        }
        static_cast<E*>(a.y)[row * a.row + column] =
            static_cast<const E*>(a.x[low])[row * (a.start[low + 1] - a.start[low]) + column - a.start[low]];
    }
}

static bool can_widen(const cn_concat_args* a) {
    if (a->size == 16 || !is_aligned(a->y, 2 * a->size) || a->row % 2 != 0 || a->start[0] % 2 != 0) return false;
    for (int k = 0; k < a->count; k++) {
        if (a->start[k + 1] % 2 != 0 || !is_aligned(a->x[k], 2 * a->size)) return false;
    }
    return true;
}

extern "C" cudaError_t cn_k_concat(const cn_queue* q, const cn_concat_args* args) {
    cn_concat_args a = *args;

    while (can_widen(&a)) {
        a.size *= 2;
        a.row /= 2;
        for (int k = 0; k <= a.count; k++) a.start[k] /= 2;
    }
    const int64_t count = a.outer * (a.start[a.count] - a.start[0]);
    if (count == 0) return cudaSuccess;
    return by_size(a.size, [&](auto element) {
        const int threads = threads_for(count);
        return cn_launch(q, concat_columns<decltype(element)>, blocks_for(count, threads), dim3(threads), 0, a);
    });
}

/* ---- padding ---- */

/* Index into n cells of the cell that a padded index i shows, which may be negative or beyond; -1 for the constant. */
CN_DEVICE int64_t border_source(cn_border border, int64_t i, int64_t n) {
    if (i >= 0 && i < n) return i;
    if (n == 0) return -1;
    switch (border) {
        case CN_BORDER_EDGE: return i < 0 ? 0 : n - 1;
        case CN_BORDER_REFLECT: return i < 0 ? -i : 2 * n - 2 - i;
        case CN_BORDER_SYMMETRIC: return i < 0 ? -i - 1 : 2 * n - 1 - i;
        default: return -1;
    }
}

template <typename E>
CN_KERNEL(256) pad_elements(const cn_pad_args a, E value, int64_t count) {
    for (CN_ITEMS(i, count)) {
        int64_t rest = i, at = 0, stride = 1;
        for (int d = a.ndim - 1; d >= 0 && at >= 0; d--) {
            int64_t index;
            rest = cn_divide(rest, a.dims[d], &index);
            const int64_t from = border_source(a.border, index - a.low[d], a.in_dims[d]);
            at = from < 0 ? -1 : at + from * stride;
            stride *= a.in_dims[d];
        }
        static_cast<E*>(a.y)[i] = at < 0 ? value : static_cast<const E*>(a.x)[at];
    }
}

extern "C" cudaError_t cn_k_pad(const cn_queue* q, const cn_pad_args* a) {
    int64_t count = 1;

    for (int d = 0; d < a->ndim; d++) count *= a->dims[d];
    return by_size(a->size, [&](auto element) {
        const int threads = threads_for(count);
        for (size_t k = 0; k < sizeof element; k++) reinterpret_cast<unsigned char*>(&element)[k] = a->value[k];
        return cn_launch(q, pad_elements<decltype(element)>, blocks_for(count, threads), dim3(threads), 0, *a, element, count);
    });
}
