/* Attention of float32 with depth and width up to 128 by tiles in registers: as attention.cu, with fewer loads for each product.
 *
 *     block    32 queries of a head, 128 threads; keys in tiles of 64
 *     thread   scores: 4 queries x 4 keys; results: the same 4 queries x 4 columns for every 64 of the width. Threads 16 q .. 16 q + 15 have
 *              queries 4 q .. 4 q + 3, so that a row's largest score is found by shuffles
 *
 *     shared   queries [D][32 + 4]   transposed, all of the depth      weights [64][32 + 4]
 *              keys [32][64 + 4]     transposed, 32 of the depth; then values [32][D], 32 of the keys
 *
 * 16 products take two loads of 16 bytes, against five loads of 4 bytes for 4 products there. */
#include "kernels/attention.h"

#include <math.h>

#include "kernels/attention_place.h"
#include "kernels/block.h"
#include "kernels/element.h"

#define THREADS 128
#define QUERIES 32
#define KEYS 64
#define PART 32 /* of the depth, or of the keys, in shared memory at once */

namespace {

struct alignas(16) four {
    float v[4];
};

CN_DEVICE four read(const float* at) { return *reinterpret_cast<const four*>(at); }

/* Elements [at, at + 4) of a row of `width`, 0 where there are none. */
CN_DEVICE four read_row(const float* row, int at, int width, bool there, bool aligned) {
    four f = {{0, 0, 0, 0}};
    if (!there) return f;
    if (aligned && at < width) return read(row + at);
    CN_UNROLL
    for (int i = 0; i < 4; i++) {
        if (at + i < width) f.v[i] = row[at + i];
    }
    return f;
}

/* tile[c][r] = x[r][from + c] for `rows` rows and `columns` columns. Neighbouring threads take neighbouring rows: they write without conflicts. */
CN_DEVICE void load_transposed(float* tile, int pitch, const float* x, int rows, int64_t there, int from, int columns, int width) {
    const bool aligned = width % 4 == 0 && reinterpret_cast<uintptr_t>(x) % 16 == 0;
    for (int i = static_cast<int>(threadIdx.x); i < rows * (columns / 4); i += THREADS) {
        const int row = i % rows, at = i / rows * 4;
        const four f = read_row(x + static_cast<int64_t>(row) * width, from + at, width, row < there, aligned);
        CN_UNROLL
        for (int k = 0; k < 4; k++) tile[(at + k) * pitch + row] = f.v[k];
    }
}

/* values[r][c] = x[r][c]; whether one is not finite. */
template <int D>
CN_DEVICE bool load_values(float* values, const float* x, int64_t there, int width) {
    const bool aligned = width % 4 == 0 && reinterpret_cast<uintptr_t>(x) % 16 == 0;
    bool odd = false;
    for (int i = static_cast<int>(threadIdx.x); i < PART * (D / 4); i += THREADS) {
        const int row = i / (D / 4), at = i % (D / 4) * 4;
        const four f = read_row(x + static_cast<int64_t>(row) * width, at, width, row < there, aligned);
        CN_UNROLL
        for (int k = 0; k < 4; k++) odd = odd || !(f.v[k] - f.v[k] == 0);
        *reinterpret_cast<four*>(values + row * D + at) = f;
    }
    return odd;
}

/* Bit 4 r + i: query `row` + r sees key + i. */
CN_DEVICE unsigned find_seen(const cn_attention_args& a, const place<float>& p, int64_t row, int64_t key) {
    unsigned seen = 0;
    if (!a.mask && key + 4 <= a.keys && (!a.causal || key + 4 <= row)) return 0xffffu; /* queries that are not there make no result */
    for (int i = 0; i < 16; i++) {
        const int64_t query = row + i / 4, at = key + i % 4;
        bool is_seen = query < a.queries && at < a.keys && !(a.causal && at > query);
        if (is_seen && a.mask) is_seen = a.mask[p.b * a.mask_strides[0] + p.h * a.mask_strides[1] + query * a.mask_strides[2] + at * a.mask_strides[3]] != 0;
        seen |= is_seen ? 1u << i : 0u;
    }
    return seen;
}

struct running {
    float top, sum; /* sum: of this thread's keys */
    bool any;       /* a key was seen, among those */

    /* Turns scores of a row into weights. Returns what sums made before must be multiplied by. */
    CN_DEVICE float take(float (&score)[4], unsigned seen) {
        float largest = -INFINITY, part = 0;
        CN_UNROLL
        for (int i = 0; i < 4; i++) largest = (seen >> i & 1u) && score[i] > largest ? score[i] : largest; /* NaN is passed over; its weight will be NaN */
        CN_UNROLL
        for (int width = 1; width < 16; width *= 2) largest = fmaxf(largest, __shfl_xor_sync(CN_ALL_LANES, largest, width));
        if (!(largest > top)) largest = top;
        const float scale = largest > top ? expf(top - largest) : 1.0f;
        CN_UNROLL
        for (int i = 0; i < 4; i++) {
            const bool is_seen = seen >> i & 1u;
            float weight = 0;
            if (is_seen && !(largest == -INFINITY && score[i] == score[i])) weight = expf(score[i] - largest);
            any = any || is_seen;
            part += score[i] = weight;
        }
        sum = sum * scale + part;
        top = largest;
        return scale;
    }
};

/* Columns first to first + 3, first + 64 ... of a row that sees no key: the mean of all values, or 0. */
CN_DEVICE void put_unseen(const cn_attention_args& a, const place<float>& p, int64_t row, int first) {
    CN_NO_UNROLL
    for (int64_t column = first; column < a.width; column += column % 4 == 3 ? 61 : 1) {
        cn_long_sum<float> mean;
        CN_NO_UNROLL
        for (int64_t k = 0; k < (a.zero_rows ? 0 : a.keys); k++) mean.add(p.v[k * a.width + column]);
        p.y[row * a.width + column] = a.zero_rows ? 0.0f : mean.value() / static_cast<float>(a.keys);
    }
}

template <int D>
CN_KERNEL_BLOCKS(THREADS, 1) attend_tile(cn_attention_args a) {
    enum { PITCH = QUERIES + 4, KEY_PITCH = KEYS + 4, GROUPS = D / 64, ROOM = PART * (D > KEY_PITCH ? D : KEY_PITCH) };
    CN_SHARED(four, query_room, [D * PITCH / 4]);
    CN_SHARED(four, weight_room, [KEYS * PITCH / 4]);
    CN_SHARED(four, room, [ROOM / 4]);
    float *queries = query_room[0].v, *weights = weight_room[0].v, *tile = room[0].v;
    const place<float> p(a, QUERIES);
    const int q = static_cast<int>(threadIdx.x) / 16 * 4, c = static_cast<int>(threadIdx.x) % 16 * 4, depth = static_cast<int>(a.depth), width = static_cast<int>(a.width);
    const int64_t last = p.first + QUERIES < a.queries ? p.first + QUERIES : a.queries, end = a.causal && last < a.keys ? last : a.keys;
    running rows[4];
    float total[GROUPS][4][4];

    load_transposed(queries, PITCH, p.q, QUERIES, a.queries - p.first, 0, D, depth);
    CN_UNROLL
    for (int r = 0; r < 4; r++) {
        rows[r].top = -INFINITY;
        rows[r].sum = 0;
        rows[r].any = false;
        CN_UNROLL
        for (int i = 0; i < 4 * GROUPS; i++) total[i / 4][r][i % 4] = 0;
    }
    for (int64_t key = 0; key < end; key += KEYS) {
        float score[4][4];
        CN_UNROLL
        for (int i = 0; i < 16; i++) score[i / 4][i % 4] = 0;
        for (int d = 0; d < depth; d += PART) {
            __syncthreads();
            load_transposed(tile, KEY_PITCH, p.k + key * depth, KEYS, a.keys - key, d, PART, depth);
            __syncthreads();
            for (int i = 0; i < PART; i++) {
                const four x = read(queries + (d + i) * PITCH + q), z = read(tile + i * KEY_PITCH + c);
                CN_UNROLL
                for (int k = 0; k < 16; k++) score[k / 4][k % 4] += x.v[k / 4] * z.v[k % 4];
            }
        }
        const unsigned seen = find_seen(a, p, p.first + q, key + c);
        CN_UNROLL
        for (int r = 0; r < 4; r++) {
            CN_UNROLL
            for (int i = 0; i < 4; i++) score[r][i] *= static_cast<float>(a.scale);
            const float scale = rows[r].take(score[r], seen >> (4 * r) & 15u);
            CN_UNROLL
            for (int i = 0; i < 4 * GROUPS; i++) total[i / 4][r][i % 4] *= scale;
            CN_UNROLL
            for (int i = 0; i < 4; i++) weights[(c + i) * PITCH + q + r] = score[r][i];
        }
        for (int from = 0; from < KEYS && key + from < end; from += PART) {
            __syncthreads();
            const bool odd = __syncthreads_or(load_values<D>(tile, p.v + (key + from) * width, a.keys - key - from, width)) != 0;
            for (int k = 0; k < PART; k++) {
                const four w = read(weights + (from + k) * PITCH + q);
                CN_UNROLL
                for (int g = 0; g < GROUPS; g++) {
                    const four z = read(tile + k * D + g * 64 + c);
                    CN_UNROLL
                    for (int i = 0; i < 16; i++) {
                        if (!odd || w.v[i / 4] != 0) total[g][i / 4][i % 4] += w.v[i / 4] * z.v[i % 4];
                    }
                }
            }
        }
    }
    CN_UNROLL
    for (int r = 0; r < 4; r++) {
        float sum = rows[r].sum;
        int any = rows[r].any;
        CN_UNROLL
        for (int w = 1; w < 16; w *= 2) {
            sum += __shfl_xor_sync(CN_ALL_LANES, sum, w);
            any |= __shfl_xor_sync(CN_ALL_LANES, any, w);
        }
        if (p.first + q + r >= a.queries) continue;
        if (!any) {
            put_unseen(a, p, q + r, c);
            continue;
        }
        if (rows[r].top == -INFINITY) sum = NAN;
        CN_UNROLL
        for (int i = 0; i < 4 * GROUPS; i++) {
            const int column = i / 4 * 64 + c + i % 4;
            if (column < width) p.y[static_cast<int64_t>(q + r) * width + column] = total[i / 4][r][i % 4] / sum;
        }
    }
}

}  // namespace

extern "C" cudaError_t cn_k_attention_tile(const cn_queue* q, const cn_attention_args* a) {
    const dim3 grid(static_cast<unsigned>(a->batch * a->heads * ((a->queries + QUERIES - 1) / QUERIES)));
    if (a->depth <= 64 && a->width <= 64) return cn_launch(q, attend_tile<64>, grid, dim3(THREADS), 0, *a);
    return cn_launch(q, attend_tile<128>, grid, dim3(THREADS), 0, *a);
}
