/* Attention of float16 and bfloat16 with depth and width up to 128 by products of small matrices (mma.h). What is computed is said in attention.cu;
 * here the weights, exp(score - largest), are rounded to the element for the second product, their sum is not.
 *
 *     warp     16 queries, held as fragments from the first to the last tile of KEYS keys; scores, weights and results never leave registers
 *     block    1 to 4 warps, so that few heads still make enough blocks
 *
 *     shared   keys [KEYS][D + 8]     values [KEYS][D + 8]     8 elements more a row: the 8 rows that ldmatrix reads at once lie in different banks
 *
 * Reads per element: q once, k and v once for every 64 queries. A tile whose values are not all finite is summed without fragments, since a
 * weight of 0 must not meet an infinity: weights [query][KEYS] then take the place of the keys. */
#include "kernels/attention.h"

#include <math.h>

#include "kernels/attention_place.h"
#include "kernels/block.h"
#include "kernels/element.h"
#include "kernels/mma.h"

#define WARPS 4
#define ROWS 16 /* a warp */
#define KEYS 64

namespace {

struct alignas(16) vector {
    uint16_t v[8];
};

CN_DEVICE uint32_t bits(__half x) { return __half_as_ushort(x); }
CN_DEVICE uint32_t bits(__nv_bfloat16 x) { return __bfloat16_as_ushort(x); }
template <typename E>
CN_DEVICE uint32_t packed(float low, float high) {
    E a, b;
    cn_narrow(&a, low);
    cn_narrow(&b, high);
    return bits(a) | bits(b) << 16;
}

CN_DEVICE void product(__half, float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) { cn_mma_m16n8k16_f16(d, a, b); }
CN_DEVICE void product(__nv_bfloat16, float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) { cn_mma_m16n8k16_bf16(d, a, b); }

/* tile [count][D + 8] from rows [count][width] of x, of which `rows` are there; what is not there is 0. Whether an element is not finite. */
template <typename E, int D>
CN_DEVICE bool load_tile(E* tile, const E* x, int count, int64_t rows, int width) {
    const bool aligned = width % 8 == 0 && reinterpret_cast<uintptr_t>(x) % sizeof(vector) == 0;
    const uint32_t infinite = bits(static_cast<E>(INFINITY)); /* all bits of the exponent */
    bool odd = false;

    for (int i = static_cast<int>(threadIdx.x); i < count * (D / 8); i += static_cast<int>(blockDim.x)) {
        const int row = i / (D / 8), at = i % (D / 8) * 8;
        vector v;
        CN_UNROLL
        for (int k = 0; k < 8; k++) v.v[k] = 0;
        if (row < rows && aligned && at < width) v = *reinterpret_cast<const vector*>(x + static_cast<int64_t>(row) * width + at);
        CN_UNROLL
        for (int k = 0; k < 8; k++) {
            if (!aligned && row < rows && at + k < width) v.v[k] = static_cast<uint16_t>(bits(x[static_cast<int64_t>(row) * width + at + k]));
            odd = odd || (v.v[k] & infinite) == infinite;
        }
        *reinterpret_cast<vector*>(tile + row * (D + 8) + at) = v;
    }
    return odd;
}

/* Two rows of a warp, g and g + 8, of which a lane has every fourth pair of columns. */
struct running {
    float top[2], sum[2]; /* sum: of this lane's columns */
    bool any[2];          /* a key was seen, among those */
};

/* Turns the scores of a tile into weights; results made before are scaled. */
template <int N>
CN_DEVICE void take(running& rows, float (&score)[KEYS / 8][4], unsigned seen, float (&total)[N][4]) {
    CN_UNROLL
    for (int r = 0; r < 2; r++) {
        float largest = -INFINITY;
        CN_UNROLL
        for (int n = 0; n < KEYS / 8; n++) {
            CN_UNROLL
            for (int i = 2 * r; i < 2 * r + 2; i++) {
                if ((seen >> (4 * n + i) & 1u) && score[n][i] > largest) largest = score[n][i]; /* NaN is passed over; its weight will be NaN */
            }
        }
        largest = fmaxf(largest, __shfl_xor_sync(CN_ALL_LANES, largest, 1));
        largest = fmaxf(largest, __shfl_xor_sync(CN_ALL_LANES, largest, 2));
        if (!(largest > rows.top[r])) largest = rows.top[r];
        const float scale = largest > rows.top[r] ? expf(rows.top[r] - largest) : 1.0f;
        float sum = 0;
        CN_UNROLL
        for (int n = 0; n < KEYS / 8; n++) {
            CN_UNROLL
            for (int i = 2 * r; i < 2 * r + 2; i++) {
                const bool is_seen = seen >> (4 * n + i) & 1u;
                const float s = score[n][i];
                float weight = 0;
                if (is_seen && !(largest == -INFINITY && s == s)) weight = expf(s - largest);
                rows.any[r] = rows.any[r] || is_seen;
                score[n][i] = weight;
                sum += weight;
            }
        }
        rows.sum[r] = rows.sum[r] * scale + sum;
        rows.top[r] = largest;
        CN_UNROLL
        for (int n = 0; n < N; n++) {
            total[n][2 * r] *= scale;
            total[n][2 * r + 1] *= scale;
        }
    }
}

/* Bit 4 n + i: the lane's score [n][i] is one of a key that the query sees. */
CN_DEVICE unsigned find_seen(const cn_attention_args& a, int64_t b, int64_t h, int64_t query, int64_t key) {
    unsigned seen = 0;
    if (!a.mask && key + KEYS <= a.keys && (!a.causal || key + KEYS <= query)) return ~0u; /* queries that are not there make no result */
    for (int i = 0; i < 4 * (KEYS / 8); i++) {
        const int64_t row = query + (i & 2 ? 8 : 0), at = key + i / 4 * 8 + (i & 1);
        bool is_seen = row < a.queries && at < a.keys && !(a.causal && at > row);
        if (is_seen && a.mask) is_seen = a.mask[b * a.mask_strides[0] + h * a.mask_strides[1] + row * a.mask_strides[2] + at * a.mask_strides[3]] != 0;
        seen |= is_seen ? 1u << i : 0u;
    }
    return seen;
}

/* total += weights values, one product at a time, none with a weight of 0. weights: of the warp [ROWS][KEYS]. */
template <typename E, int D>
CN_DEVICE void add_slowly(float* weights, const E* values, const float (&score)[KEYS / 8][4], float (&total)[D / 8][4]) {
    const int lane = static_cast<int>(threadIdx.x) % CN_WARP, g = lane / 4, t = lane % 4;
    CN_UNROLL
    for (int n = 0; n < KEYS / 8; n++) {
        CN_UNROLL
        for (int i = 0; i < 4; i++) weights[(g + i / 2 * 8) * KEYS + n * 8 + 2 * t + i % 2] = score[n][i];
    }
    __syncwarp();
    CN_NO_UNROLL
    for (int k = 0; k < KEYS; k++) {
        const float weight[2] = {weights[g * KEYS + k], weights[(g + 8) * KEYS + k]};
        CN_UNROLL
        for (int n = 0; n < D / 8; n++) {
            CN_UNROLL
            for (int i = 0; i < 4; i++) {
                if (weight[i / 2] != 0) total[n][i] += weight[i / 2] * cn_widen(values[k * (D + 8) + n * 8 + 2 * t + i % 2]);
            }
        }
    }
}

/* The queries' scores: s[n] of 8 keys. */
template <typename E, int D>
CN_DEVICE void make_scores(const E* keys, const uint32_t (&query)[D / 16][4], float factor, float (&score)[KEYS / 8][4]) {
    const int lane = static_cast<int>(threadIdx.x) % CN_WARP;
    CN_UNROLL
    for (int n = 0; n < KEYS / 8; n++) {
        CN_UNROLL
        for (int i = 0; i < 4; i++) score[n][i] = 0;
        CN_UNROLL
        for (int d = 0; d < D / 16; d += 2) {
            uint32_t r[4]; /* two steps of 16 along the depth */
            cn_ldmatrix_x4(r, keys + (n * 8 + lane % 8) * (D + 8) + d * 16 + lane / 8 * 8);
            const uint32_t low[2] = {r[0], r[1]}, high[2] = {r[2], r[3]};
            product(E(), score[n], query[d], low);
            product(E(), score[n], query[d + 1], high);
        }
        CN_UNROLL
        for (int i = 0; i < 4; i++) score[n][i] *= factor;
    }
}

template <typename E, int D>
CN_DEVICE void add_values(const E* values, const float (&weight)[KEYS / 8][4], float (&total)[D / 8][4]) {
    const int lane = static_cast<int>(threadIdx.x) % CN_WARP;
    CN_UNROLL
    for (int k = 0; k < KEYS / 16; k++) {
        const uint32_t w[4] = {packed<E>(weight[2 * k][0], weight[2 * k][1]), packed<E>(weight[2 * k][2], weight[2 * k][3]),
                               packed<E>(weight[2 * k + 1][0], weight[2 * k + 1][1]), packed<E>(weight[2 * k + 1][2], weight[2 * k + 1][3])};
        CN_UNROLL
        for (int n = 0; n < D / 8; n += 2) {
            uint32_t r[4]; /* two times 8 columns */
            cn_ldmatrix_x4_trans(r, values + (k * 16 + lane % 16) * (D + 8) + n * 8 + lane / 16 * 8);
            const uint32_t left[2] = {r[0], r[1]}, right[2] = {r[2], r[3]};
            product(E(), total[n], w, left);
            product(E(), total[n + 1], w, right);
        }
    }
}

/* Columns first, first + 1, first + 8, first + 9 ... of a row that sees no key: the mean of all values, or 0. */
template <typename E>
CN_DEVICE void put_unseen(const cn_attention_args& a, const place<E>& p, int64_t row, int first) {
    CN_NO_UNROLL
    for (int64_t column = first; column < a.width; column += column % 2 != 0 ? 7 : 1) {
        cn_long_sum<float> mean;
        CN_NO_UNROLL
        for (int64_t k = 0; k < (a.zero_rows ? 0 : a.keys); k++) mean.add(cn_widen(p.v[k * a.width + column]));
        cn_narrow(p.y + row * a.width + column, a.zero_rows ? 0.0f : mean.value() / static_cast<float>(a.keys));
    }
}

template <typename E, int D>
CN_KERNEL_BLOCKS(WARPS * 32, 1) attend_tensor(cn_attention_args a) {
    enum { TILE = KEYS * (D + 8), WEIGHTS = WARPS * ROWS * KEYS * 2 }; /* elements */
    CN_SHARED(vector, first_tile, [(TILE > WEIGHTS ? TILE : WEIGHTS) / 8]);
    CN_SHARED(vector, second_tile, [TILE / 8]);
    E *keys = reinterpret_cast<E*>(first_tile), *values = reinterpret_cast<E*>(second_tile);
    const int lane = static_cast<int>(threadIdx.x) % CN_WARP, warp = static_cast<int>(threadIdx.x) / CN_WARP, queries = static_cast<int>(blockDim.x) / CN_WARP * ROWS;
    const place<E> p(a, queries);
    const int64_t row = warp * ROWS + lane / 4, last = p.first + queries < a.queries ? p.first + queries : a.queries;
    const int64_t end = a.causal && last < a.keys ? last : a.keys;
    uint32_t query[D / 16][4];
    float total[D / 8][4];
    running rows = {{-INFINITY, -INFINITY}, {0, 0}, {false, false}};

    load_tile<E, D>(keys, p.q, queries, a.queries - p.first, static_cast<int>(a.depth));
    __syncthreads();
    CN_UNROLL
    for (int d = 0; d < D / 16; d++) cn_ldmatrix_x4(query[d], keys + (warp * ROWS + lane % 16) * (D + 8) + d * 16 + lane / 16 * 8);
    CN_UNROLL
    for (int n = 0; n < D / 8; n++) {
        CN_UNROLL
        for (int i = 0; i < 4; i++) total[n][i] = 0;
    }
    for (int64_t key = 0; key < end; key += KEYS) {
        float score[KEYS / 8][4];
        __syncthreads();
        load_tile<E, D>(keys, p.k + key * a.depth, KEYS, a.keys - key, static_cast<int>(a.depth));
        const int odd = load_tile<E, D>(values, p.v + key * a.width, KEYS, a.keys - key, static_cast<int>(a.width));
        const bool slow = __syncthreads_or(odd) != 0;
        make_scores<E, D>(keys, query, static_cast<float>(a.scale), score);
        take(rows, score, find_seen(a, p.b, p.h, p.first + row, key + lane % 4 * 2), total);
        if (slow) {
            __syncthreads();
            add_slowly<E, D>(reinterpret_cast<float*>(first_tile) + warp * ROWS * KEYS, values, score, total);
        } else {
            add_values<E, D>(values, score, total);
        }
    }
    CN_UNROLL
    for (int r = 0; r < 2; r++) {
        float sum = rows.sum[r];
        int any = rows.any[r];
        CN_UNROLL
        for (int width = 1; width < 4; width *= 2) {
            sum += __shfl_xor_sync(CN_ALL_LANES, sum, width);
            any |= __shfl_xor_sync(CN_ALL_LANES, any, width);
        }
        if (p.first + row + 8 * r >= a.queries) continue;
        if (!any) {
            put_unseen(a, p, row + 8 * r, lane % 4 * 2);
            continue;
        }
        if (rows.top[r] == -INFINITY) sum = NAN;
        CN_UNROLL
        for (int i = 0; i < D / 4; i++) {
            const int column = i / 2 * 8 + lane % 4 * 2 + i % 2;
            if (column < a.width) cn_narrow(p.y + (row + 8 * r) * a.width + column, total[i / 2][2 * r + i % 2] / sum);
        }
    }
}

template <typename E>
cudaError_t launch(const cn_queue* q, const cn_attention_args* a) {
    const int64_t larger = a->depth > a->width ? a->depth : a->width, heads = a->batch * a->heads;
    int warps = WARPS;

    while (warps > 1 && (a->queries <= warps / 2 * ROWS || heads * ((a->queries + warps * ROWS - 1) / (warps * ROWS)) < 128)) warps /= 2;
    const dim3 grid(static_cast<unsigned>(heads * ((a->queries + warps * ROWS - 1) / (warps * ROWS)))), block(static_cast<unsigned>(warps) * 32);
    if (larger <= 32) return cn_launch(q, attend_tensor<E, 32>, grid, block, 0, *a);
    if (larger <= 64) return cn_launch(q, attend_tensor<E, 64>, grid, block, 0, *a);
    return cn_launch(q, attend_tensor<E, 128>, grid, block, 0, *a);
}

}  // namespace

extern "C" cudaError_t cn_k_attention_tensor(const cn_queue* q, const cn_attention_args* a) {
    return a->dtype == CORNU_FLOAT16 ? launch<__half>(q, a) : launch<__nv_bfloat16>(q, a);
}
