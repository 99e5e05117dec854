/* Gather: one element of the result a thread. Scatter: the rows of one place form a chain in the order of the rows, and one thread for each
 * element of the place walks it; so the result is that of rows merged one after the other, whatever the order of threads.
 *
 *     find_places   place[r]: the place of row r, -1 if it is left out
 *     chains        next[r]: the next row of the same place, -1 behind the last; head rows are those that nobody comes before
 *                   few rows: each looks through the others; many: (place, row) is sorted, and neighbours are compared
 *     merge_chains  from each head */
#include "kernels/index.h"

#include "kernels/divide.h"
#include "kernels/element.h"

struct alignas(16) wide {
    uint64_t v[2];
};

static int threads_for(int64_t count) { return count >= 8192 ? 256 : count >= 64 ? 64 : 32; }
static dim3 blocks_for(int64_t count, int threads) {
    const dim3 blocks = cn_blocks(count, threads);
    return blocks.x > 65536 ? dim3(65536) : blocks;
}

/* ---- gather ---- */

/* The cell that index k of n cells means, -1 for none. */
CN_DEVICE int64_t gathered_cell(cn_gather_rule rule, int64_t k, int64_t n) {
    if (n == 0) return -1;
    if (rule == CN_GATHER_RULE_CLIP) return k < 0 ? 0 : k >= n ? n - 1 : k;
    if (rule == CN_GATHER_RULE_WRAP) return (k % n + n) % n;
    if (k < 0) k += n;
    return k < 0 || k >= n ? -1 : k;
}

template <typename E>
CN_KERNEL(256) gather_elements(const cn_gather_args a) {
    for (CN_ITEMS(i, a.outer * a.count * a.part)) {
        int64_t element, which, outer = cn_divide(cn_divide(i, a.part, &element), a.count, &which);
        const int64_t k = cn_load<int64_t>(a.index_dtype, a.indices, which), cell = gathered_cell(a.rule, k, a.n);

        if (cell < 0) cn_report_fault(a.words, CN_FAULT_INDEX, a.node, k, a.n);
        else static_cast<E*>(a.y)[i] = static_cast<const E*>(a.x)[(outer * a.n + cell) * a.part + element];
    }
}

extern "C" cudaError_t cn_k_gather(const cn_queue* q, const cn_gather_args* args) {
    cn_gather_args a = *args;

    while (a.size < 16 && a.part % 2 == 0 && reinterpret_cast<uintptr_t>(a.x) % (2 * static_cast<unsigned>(a.size)) == 0 &&
           reinterpret_cast<uintptr_t>(a.y) % (2 * static_cast<unsigned>(a.size)) == 0) {
        a.size *= 2;
        a.part /= 2;
    }
    const int64_t count = a.outer * a.count * a.part;
    const int threads = threads_for(count);
    const dim3 blocks = blocks_for(count, threads);
    switch (a.size) {
        case 1: return cn_launch(q, gather_elements<uint8_t>, blocks, dim3(threads), 0, a);
        case 2: return cn_launch(q, gather_elements<uint16_t>, blocks, dim3(threads), 0, a);
        case 4: return cn_launch(q, gather_elements<uint32_t>, blocks, dim3(threads), 0, a);
        case 8: return cn_launch(q, gather_elements<uint64_t>, blocks, dim3(threads), 0, a);
        default: return cn_launch(q, gather_elements<wide>, blocks, dim3(threads), 0, a);
    }
}

/* ---- scatter ---- */

CN_KERNEL(256) find_places(const cn_scatter_args a, int64_t* place) {
    for (CN_ITEMS(r, a.rows)) {
        int64_t at = 0;
        for (int d = 0; d < a.depth && at >= 0; d++) {
            const int64_t k = cn_load<int64_t>(a.index_dtype, a.indices, r * a.depth + d);
            if (k >= 0 && k < a.dims[d]) {
                at = at * a.dims[d] + k;
                continue;
            }
            if (!a.drop) cn_report_fault(a.words, CN_FAULT_INDEX, a.node, k, a.dims[d]);
            at = -1;
        }
        place[r] = at;
    }
}

/* next[r] of a head is its follower's number; of every other row it is that with its sign turned, less 1: ~follower. No follower: rows. */
CN_KERNEL(256) chain_by_search(const int64_t* place, int64_t* next, int64_t rows) {
    for (CN_ITEMS(r, rows)) {
        int64_t follower = r + 1;
        bool head = true;
        while (follower < rows && place[follower] != place[r]) follower++;
        for (int64_t before = 0; before < r && head; before++) head = place[before] != place[r];
        next[r] = head ? follower : ~follower;
    }
}

struct alignas(16) key {
    int64_t place, row;
};

CN_DEVICE bool is_behind(const key& a, const key& b) { return a.place > b.place || (a.place == b.place && a.row > b.row); }

CN_KERNEL(256) fill_keys(const int64_t* place, key* keys, int64_t rows, int64_t count) {
    for (CN_ITEMS(i, count)) keys[i] = i < rows ? key{place[i], i} : key{INT64_MAX, i};
}

/* One step of a bitonic sort: pairs `distance` apart, upwards in runs of `run` that alternate. */
CN_KERNEL(256) exchange_keys(key* keys, int64_t pairs, int64_t distance, int64_t run) {
    for (CN_ITEMS(p, pairs)) {
        const int64_t low = (p / distance) * 2 * distance + p % distance, high = low + distance;
        const key a = keys[low], b = keys[high];
        if (is_behind(a, b) == ((low & run) == 0)) {
            keys[low] = b;
            keys[high] = a;
        }
    }
}

CN_KERNEL(256) chain_by_order(const key* keys, int64_t* next, int64_t rows) {
    for (CN_ITEMS(i, rows)) {
        const bool head = i == 0 || keys[i - 1].place != keys[i].place, last = i + 1 == rows || keys[i + 1].place != keys[i].place;
        const int64_t follower = last ? rows : keys[i + 1].row;
        next[keys[i].row] = head ? follower : ~follower;
    }
}

/* x merged into y. */
template <typename T>
CN_DEVICE T merged(cn_merge merge, T y, T x) {
    switch (merge) {
        case CN_MERGE_ADD: return y + x;
        case CN_MERGE_MUL: return y * x;
        case CN_MERGE_MAX: return x > y ? x : y;
        case CN_MERGE_MIN: return x < y ? x : y;
        default: return x;
    }
}
CN_DEVICE int64_t merged(cn_merge merge, int64_t y, int64_t x) {
    switch (merge) {
        case CN_MERGE_ADD: return static_cast<int64_t>(static_cast<uint64_t>(y) + static_cast<uint64_t>(x));
        case CN_MERGE_MUL: return static_cast<int64_t>(static_cast<uint64_t>(y) * static_cast<uint64_t>(x));
        case CN_MERGE_MAX: return x > y ? x : y;
        case CN_MERGE_MIN: return x < y ? x : y;
        default: return x;
    }
}

template <typename T>
CN_KERNEL_BLOCKS(128, 8) merge_chains(const cn_scatter_args a, const int64_t* place, const int64_t* next) {
    for (CN_ITEMS(i, a.rows * a.part)) {
        int64_t element, r = cn_divide(i, a.part, &element), at = place[r], follower = next[r];
        if (at < 0 || follower < 0) continue;
        at = at * a.part + element;
        for (;;) {
            cn_store<T>(a.dtype, a.y, at, merged(a.merge, cn_load<T>(a.dtype, a.y, at), cn_load<T>(a.dtype, a.updates, r * a.part + element)));
            r = follower;
            if (r == a.rows) break;
            follower = ~next[r];
        }
    }
}

#define TRY(call)                                  \
    do {                                           \
        const cudaError_t error = (call);          \
        if (error != cudaSuccess) return error;    \
    } while (0)

static cudaError_t sort_rows(const cn_queue* q, const int64_t* place, int64_t* next, key* keys, int64_t rows) {
    const int64_t count = cn_scatter_keys(rows);
    const int threads = 256;

    TRY(cn_launch(q, fill_keys, blocks_for(count, threads), dim3(threads), 0, place, keys, rows, count));
    for (int64_t run = 2; run <= count; run *= 2) {
        for (int64_t distance = run / 2; distance > 0; distance /= 2) {
            TRY(cn_launch(q, exchange_keys, blocks_for(count / 2, threads), dim3(threads), 0, keys, count / 2, distance, run));
        }
    }
    return cn_launch(q, chain_by_order, blocks_for(rows, threads), dim3(threads), 0, keys, next, rows);
}

extern "C" cudaError_t cn_k_scatter(const cn_queue* q, const cn_scatter_args* a) {
    int64_t *place = static_cast<int64_t*>(a->scratch), *next = place + a->rows;
    const int64_t count = a->rows * a->part;
    int threads = threads_for(a->rows);

    if (a->rows == 0) return cudaSuccess;
    TRY(cn_launch(q, find_places, blocks_for(a->rows, threads), dim3(threads), 0, *a, place));
    if (count == 0) return cudaSuccess;
    if (a->rows <= CN_SCATTER_FEW) TRY(cn_launch(q, chain_by_search, blocks_for(a->rows, threads), dim3(threads), 0, place, next, a->rows));
    else TRY(sort_rows(q, place, next, reinterpret_cast<key*>(next + a->rows), a->rows));
    threads = count >= 64 ? 128 : 32;
    switch (cn_class_of(a->dtype)) {
        case CN_CLASS_FLOAT: return cn_launch(q, merge_chains<float>, blocks_for(count, threads), dim3(threads), 0, *a, place, next);
        case CN_CLASS_DOUBLE: return cn_launch(q, merge_chains<double>, blocks_for(count, threads), dim3(threads), 0, *a, place, next);
        case CN_CLASS_UINT: return cn_launch(q, merge_chains<uint64_t>, blocks_for(count, threads), dim3(threads), 0, *a, place, next);
        default: return cn_launch(q, merge_chains<int64_t>, blocks_for(count, threads), dim3(threads), 0, *a, place, next);
    }
}
