/* Sort of pairs (key, position). Keys are 64-bit numbers in the wanted order, made from the elements; no two pairs are equal, so any sort of
 * them is stable.
 *
 *     up to 2048 elements     bitonic sort in shared memory, a block a line
 *     longer lines            tiles of 2048 by the same kernel, then merges of neighbouring runs, each twice as long as the ones before: an
 *                             element's new place is its place in its own run plus the number of smaller elements in the other
 *
 * y may not overlap x. */
#include "kernels/sort.h"

#include <string.h>

#include "kernels/block.h"
#include "kernels/element.h"

#define THREADS 256

namespace {

/* Only the dtypes that are not floats: fewer registers than cn_load takes. */
CN_DEVICE uint64_t load_integer(int dtype, const void* x, int64_t i) {
    switch (dtype) {
        case CORNU_INT8: return static_cast<uint64_t>(static_cast<const int8_t*>(x)[i]);
        case CORNU_INT16: return static_cast<uint64_t>(static_cast<const int16_t*>(x)[i]);
        case CORNU_INT32: return static_cast<uint64_t>(static_cast<const int32_t*>(x)[i]);
        case CORNU_INT64:
        case CORNU_UINT64: return static_cast<const uint64_t*>(x)[i];
        case CORNU_UINT16: return static_cast<const uint16_t*>(x)[i];
        case CORNU_UINT32: return static_cast<const uint32_t*>(x)[i];
        default: return static_cast<const uint8_t*>(x)[i];
    }
}

/* A number whose order among others is that of the elements. */
CN_DEVICE uint64_t key_of(const cn_sort_args& a, int64_t at) {
    const uint64_t top = static_cast<uint64_t>(1) << 63;
    uint64_t key;
    if (a.floats) {
        double x = cn_load<double>(a.dtype, a.x, at);
        if (x != x) return UINT64_MAX;
        if (x == 0) x = 0;
        memcpy(&key, &x, sizeof key);
        key = key & top ? ~key : key | top;
    } else {
        key = load_integer(a.dtype, a.x, at);
        if (a.dtype != CORNU_UINT64) key ^= top;
    }
    return a.descending ? ~key : key;
}

struct pair {
    uint64_t key;
    int32_t at;
};

CN_DEVICE bool is_less(pair a, pair b) { return a.key < b.key || (a.key == b.key && a.at < b.at); }

/* Element i of the line that begins at start becomes the one that was at position from. */
CN_DEVICE void emit(const cn_sort_args& a, int64_t start, int64_t stride, int64_t i, int32_t from) {
    const int64_t to = start + i * stride, at = start + from * stride;
    if (a.indices) {
        static_cast<int32_t*>(a.y)[to] = from;
        return;
    }
    switch (a.size) {
        case 1: static_cast<uint8_t*>(a.y)[to] = static_cast<const uint8_t*>(a.x)[at]; break;
        case 2: static_cast<uint16_t*>(a.y)[to] = static_cast<const uint16_t*>(a.x)[at]; break;
        case 4: static_cast<uint32_t*>(a.y)[to] = static_cast<const uint32_t*>(a.x)[at]; break;
        default: static_cast<uint64_t*>(a.y)[to] = static_cast<const uint64_t*>(a.x)[at]; break;
    }
}

/* Lines first .. first + lines of the tensor, as runs of pairs. */
struct runs {
    int64_t first, lines;
    uint64_t* keys; /* [lines, n] */
    int32_t* places;
};

/* Puts the smaller pair of two first, or last. */
CN_DEVICE void order_pair(uint64_t* keys, int32_t* places, int gap, bool up) {
    const pair x = {keys[0], places[0]}, y = {keys[gap], places[gap]};
    if (up != is_less(y, x)) return;
    keys[0] = y.key, places[0] = y.at;
    keys[gap] = x.key, places[gap] = x.at;
}

/* `width` pairs, a power of 2. */
CN_DEVICE void sort_tile(uint64_t* keys, int32_t* places, int width) {
    for (int size = 2; size <= width; size *= 2) {
        for (int gap = size / 2; gap > 0; gap /= 2) {
            __syncthreads();
            for (int t = static_cast<int>(threadIdx.x); t < width / 2; t += static_cast<int>(blockDim.x)) {
                const int low = 2 * t - (t & (gap - 1));
                order_pair(keys + low, places + low, gap, (low & size) == 0);
            }
        }
    }
    __syncthreads();
}

/* The tile of `width` elements that begins with element from of a line. The ONLY tile of a line goes to y, others to r. Pads sort behind all
 * elements. */
template <bool ONLY>
CN_DEVICE void sort_part(const cn_sort_args& a, const runs& r, uint64_t* keys, int width, int64_t line, int64_t from, int64_t stride) {
    int32_t* places = reinterpret_cast<int32_t*>(keys + width);
    const int64_t n = a.lines.over, start = cn_line_start(a.lines, r.first + line);
    const int count = static_cast<int>(n - from < width ? n - from : width);

    for (int i = static_cast<int>(threadIdx.x); i < width; i += static_cast<int>(blockDim.x)) {
        keys[i] = i < count ? key_of(a, start + (from + i) * stride) : UINT64_MAX;
        places[i] = i < count ? static_cast<int32_t>(from + i) : INT32_MAX;
    }
    sort_tile(keys, places, width);
    for (int i = static_cast<int>(threadIdx.x); i < count; i += static_cast<int>(blockDim.x)) {
        if (ONLY) {
            emit(a, start, stride, i, places[i]);
        } else {
            r.keys[line * n + from + i] = keys[i];
            r.places[line * n + from + i] = places[i];
        }
    }
    __syncthreads();
}

/* A block a line. */
CN_KERNEL(THREADS) sort_lines(cn_sort_args a, runs r, int width, int64_t stride) {
    CN_DYN_SHARED(uint64_t, keys);
    for (int64_t line = blockIdx.x; line < r.lines; line += gridDim.x) sort_part<true>(a, r, keys, width, line, 0, stride);
}

/* Grid (tiles, lines). */
CN_KERNEL(THREADS) sort_tiles(cn_sort_args a, runs r, int64_t stride) {
    CN_DYN_SHARED(uint64_t, keys);
    for (int64_t line = blockIdx.y; line < r.lines; line += gridDim.y) {
        sort_part<false>(a, r, keys, CN_SORT_TILE, line, static_cast<int64_t>(blockIdx.x) * CN_SORT_TILE, stride);
    }
}

/* Runs of 2^shift pairs into runs twice as long; n: length of a line. */
CN_KERNEL(THREADS) merge_runs(runs in, runs out, cn_divisor n, int shift) {
    for (CN_ITEMS(i, in.lines * n.value)) {
        const int64_t line = cn_quotient(i, n), at = i - line * n.value, base = line * n.value, run = at >> shift, other = run ^ 1;
        const pair self = {in.keys[i], in.places[i]};
        int64_t low = other << shift < n.value ? other << shift : n.value, high = low + (static_cast<int64_t>(1) << shift);
        const int64_t begin = low;

        high = high < n.value ? high : n.value;
        while (low < high) {
            const int64_t middle = low + (high - low) / 2;
            const pair x = {in.keys[base + middle], in.places[base + middle]};
            if (is_less(x, self)) low = middle + 1;
            else high = middle;
        }
        const int64_t to = base + ((run & ~static_cast<int64_t>(1)) << shift) + (at - (run << shift)) + (low - begin);
        out.keys[to] = self.key;
        out.places[to] = self.at;
    }
}

CN_KERNEL(THREADS) emit_runs(cn_sort_args a, runs r, cn_divisor n, int64_t stride) {
    for (CN_ITEMS(i, r.lines * n.value)) {
        const int64_t line = cn_quotient(i, n);
        emit(a, cn_line_start(a.lines, r.first + line), stride, i - line * n.value, r.places[i]);
    }
}

cudaError_t sort_long(const cn_queue* q, const cn_sort_args* a, runs r, runs spare, int64_t stride) {
    const int64_t n = a->lines.over, tiles = (n + CN_SORT_TILE - 1) / CN_SORT_TILE;
    const cn_divisor length = cn_divisor_of(n);
    const dim3 cells(static_cast<unsigned>(tiles), static_cast<unsigned>(r.lines < 65535 ? r.lines : 65535));
    cudaError_t error = cn_launch(q, sort_tiles, cells, dim3(THREADS), CN_SORT_TILE * 12, *a, r, stride);
    const dim3 grid = cn_blocks(r.lines * n, THREADS), block(THREADS);

    for (int shift = 11; error == cudaSuccess && n > static_cast<int64_t>(1) << shift; shift++) {
        const runs swap = r;
        error = cn_launch(q, merge_runs, grid, block, 0, r, spare, length, shift);
        r = spare;
        spare = swap;
    }
    return error == cudaSuccess ? cn_launch(q, emit_runs, grid, block, 0, *a, r, length, stride) : error;
}

}  // namespace

extern "C" cudaError_t cn_k_sort(const cn_queue* q, const cn_sort_args* a) {
    const int64_t n = a->lines.over, kept = a->lines.kept, at_once = cn_sort_lines(&a->lines), stride = cn_lines_stride(&a->lines);
    cudaError_t error = cudaSuccess;
    runs r = {0, kept, nullptr, nullptr};
    int width = 1;

    if (n <= CN_SORT_TILE) {
        while (width < n) width *= 2;
        const int threads = width / 2 > THREADS ? THREADS : width / 2 < CN_WARP ? CN_WARP : width / 2;
        return cn_launch(q, sort_lines, cn_blocks(kept, 1), dim3(static_cast<unsigned>(threads)), static_cast<size_t>(width) * 12, *a, r, width, stride);
    }
    for (; error == cudaSuccess && r.first < kept; r.first += at_once) {
        const int64_t pairs = at_once * n;
        runs spare;
        r.lines = kept - r.first < at_once ? kept - r.first : at_once;
        r.keys = static_cast<uint64_t*>(a->scratch);
        r.places = reinterpret_cast<int32_t*>(r.keys + 2 * pairs);
        spare = {r.first, r.lines, r.keys + pairs, r.places + pairs};
        error = sort_long(q, a, r, spare, stride);
    }
    return error;
}
