/* Attention in its general form (attention_tile.cu and attention_tensor.cu have others): y = softmax(scale q k', over the keys that a query sees) v, in one pass over the keys (Milakov and Gimelshein 2018): when a
 * larger score comes, what was summed before it is scaled down.
 *
 *     block   QUERIES queries of a head and COLUMNS columns of the result; the scores are computed again for further columns
 *     warp    ROWS of the queries; lane = key of a tile of KEYS while scores are made, = column while values are summed
 *
 *     shared  queries [QUERIES][DEPTH]   keys, transposed [DEPTH][KEYS + 1]   values [KEYS][COLUMNS]   weights [warp][KEYS][ROWS]
 *
 * float16, bfloat16 and float32 in float, float64 in double. As in the reference, a key with weight 0 counts for nothing even where its value is
 * not finite, a score of NaN or infinity makes its row NaN, and so does nothing but -infinity. */
#include "kernels/attention.h"

#include <math.h>

#include "kernels/attention_place.h"
#include "kernels/block.h"
#include "kernels/element.h"

#define WARPS 4
#define ROWS 4 /* a warp */
#define QUERIES (WARPS * ROWS)
#define KEYS 32
#define DEPTH 32 /* of q and k at once */

namespace {

CN_DEVICE float exp_of(float x) { return expf(x); }
CN_DEVICE double exp_of(double x) { return exp(x); }

/* What sums are made in, and columns of the result a lane. */
template <typename E>
struct kind_of {
    typedef float type;
    static const int columns = 4;
};
template <>
struct kind_of<double> {
    typedef double type;
    static const int columns = 2;
};

/* A block's columns of the result too. */
template <typename E>
struct part : place<E> {
    int64_t column; /* first one; v and y begin there */

    CN_DEVICE explicit part(const cn_attention_args& a) : place<E>(a, QUERIES) {
        column = static_cast<int64_t>(blockIdx.y) * 32 * kind_of<E>::columns;
        this->v += column;
        this->y += column;
    }
};

CN_DEVICE bool sees(const cn_attention_args& a, int64_t b, int64_t h, int64_t i, int64_t j) {
    if (i >= a.queries || j >= a.keys || (a.causal && j > i)) return false;
    return !a.mask || a.mask[b * a.mask_strides[0] + h * a.mask_strides[1] + i * a.mask_strides[2] + j * a.mask_strides[3]];
}

/* A row's softmax so far. */
template <typename T>
struct running {
    T top, sum;
    bool any; /* a key was seen */

    CN_DEVICE running() : top(static_cast<T>(-INFINITY)), sum(0), any(false) {}

    /* Takes the lanes' scores; *weight becomes the lane's. Returns what sums made before must be multiplied by. */
    CN_DEVICE T take(T score, bool seen, T* weight) {
        T largest = seen ? score : static_cast<T>(-INFINITY);
        for (int width = CN_WARP / 2; width > 0; width /= 2) {
            const T other = __shfl_xor_sync(CN_ALL_LANES, largest, width);
            if (other > largest || largest != largest) largest = other; /* NaN is passed over; its weight will be NaN */
        }
        if (!(largest > top)) largest = top;
        const T scale = largest > top ? exp_of(top - largest) : static_cast<T>(1);
        if (!seen) *weight = 0;
        else if (largest == static_cast<T>(-INFINITY) && score == score) *weight = 0; /* all are -infinity until now */
        else *weight = exp_of(score - largest);
        sum = sum * scale + cn_warp_fold(*weight, cn_add<T>());
        any = any || __any_sync(CN_ALL_LANES, seen);
        top = largest;
        return scale;
    }
};

/* values[key][column] of the tile's keys; true in all threads if one is not finite. */
template <typename E, typename T, int C>
CN_DEVICE bool load_values(const cn_attention_args& a, const part<E>& p, int64_t key, T (&values)[KEYS][32 * C]) {
    int odd = 0;
    for (int i = static_cast<int>(threadIdx.x); i < KEYS * 32 * C; i += WARPS * 32) {
        const int row = i / (32 * C), column = i % (32 * C);
        const T x = key + row < a.keys && p.column + column < a.width ? cn_widen(p.v[(key + row) * a.width + column]) : T(0);
        values[row][column] = x;
        odd |= !(x - x == static_cast<T>(0));
    }
    return __syncthreads_or(odd) != 0;
}

template <typename E>
CN_KERNEL_BLOCKS(WARPS * 32, 1) attend(cn_attention_args a) {
    typedef typename kind_of<E>::type T;
    enum { C = kind_of<E>::columns };
    CN_SHARED(T, queries, [QUERIES][DEPTH]);
    CN_SHARED(T, keys, [DEPTH][KEYS + 1]);
    CN_SHARED(T, values, [KEYS][32 * C]);
    CN_SHARED(T, weights, [WARPS][KEYS][ROWS]);
    const part<E> p(a);
    const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
    const T factor = static_cast<T>(a.scale);
    running<T> rows[ROWS];
    T total[ROWS][C];
    const int64_t last = p.first + QUERIES < a.queries ? p.first + QUERIES : a.queries; /* behind the block's queries */
    const int64_t end = a.causal && last < a.keys ? last : a.keys;

    CN_UNROLL
    for (int r = 0; r < ROWS; r++) {
        for (int c = 0; c < C; c++) total[r][c] = 0;
    }
    for (int64_t key = 0; key < end; key += KEYS) {
        T score[ROWS];
        CN_UNROLL
        for (int r = 0; r < ROWS; r++) score[r] = 0;
        for (int64_t d = 0; d < a.depth; d += DEPTH) {
            __syncthreads();
            for (int i = static_cast<int>(threadIdx.x); i < QUERIES * DEPTH; i += WARPS * 32) {
                const int row = i / DEPTH, at = i % DEPTH;
                queries[row][at] = p.first + row < a.queries && d + at < a.depth ? cn_widen(p.q[row * a.depth + d + at]) : T(0);
            }
            for (int i = static_cast<int>(threadIdx.x); i < KEYS * DEPTH; i += WARPS * 32) {
                const int row = i / DEPTH, at = i % DEPTH;
                keys[at][row] = key + row < a.keys && d + at < a.depth ? cn_widen(p.k[(key + row) * a.depth + d + at]) : T(0);
            }
            __syncthreads();
            CN_UNROLL
            for (int i = 0; i < DEPTH; i++) {
                const T k = keys[i][lane];
                CN_UNROLL
                for (int r = 0; r < ROWS; r++) score[r] += queries[warp * ROWS + r][i] * k;
            }
        }
        CN_UNROLL
        for (int r = 0; r < ROWS; r++) {
            T weight;
            const T scale = rows[r].take(score[r] * factor, sees(a, p.b, p.h, p.first + warp * ROWS + r, key + lane), &weight);
            weights[warp][lane][r] = weight;
            CN_UNROLL
            for (int c = 0; c < C; c++) total[r][c] *= scale;
        }
        const bool odd = load_values<E, T, C>(a, p, key, values); /* its barrier orders the weights too */
        for (int k = 0; k < KEYS; k++) {
            T value[C];
            for (int c = 0; c < C; c++) value[c] = values[k][lane + 32 * c];
            CN_UNROLL
            for (int r = 0; r < ROWS; r++) {
                const T weight = weights[warp][k][r];
                if (odd && weight == static_cast<T>(0)) continue;
                CN_UNROLL
                for (int c = 0; c < C; c++) total[r][c] += weight * value[c];
            }
        }
        __syncthreads();
    }
    CN_UNROLL
    for (int r = 0; r < ROWS; r++) {
        const int64_t row = warp * ROWS + r;
        if (rows[r].any && rows[r].top == static_cast<T>(-INFINITY)) rows[r].sum = static_cast<T>(NAN);
        CN_UNROLL
        for (int c = 0; c < C; c++) {
            const int64_t column = lane + 32 * c;
            if (p.first + row >= a.queries || p.column + column >= a.width) continue;
            T result = rows[r].any ? total[r][c] / rows[r].sum : T(0);
            if (!rows[r].any && !a.zero_rows) { /* the mean of all values */
                cn_long_sum<T> mean;
                for (int64_t k = 0; k < a.keys; k++) mean.add(cn_widen(p.v[k * a.width + column]));
                result = mean.value() / static_cast<T>(a.keys);
            }
            cn_narrow(p.y + row * a.width + column, result);
        }
    }
}

template <typename E>
cudaError_t launch(const cn_queue* q, const cn_attention_args* a) {
    const int64_t tiles = (a->queries + QUERIES - 1) / QUERIES, columns = 32 * kind_of<E>::columns;
    const dim3 grid(static_cast<unsigned>(a->batch * a->heads * tiles), static_cast<unsigned>((a->width + columns - 1) / columns));
    return cn_launch(q, attend<E>, grid, dim3(WARPS * 32), 0, *a);
}

}  // namespace

extern "C" cudaError_t cn_k_attention(const cn_queue* q, const cn_attention_args* a) {
    switch (a->dtype) {
        case CORNU_FLOAT64: return launch<double>(q, a);
        case CORNU_FLOAT16: return launch<__half>(q, a);
        case CORNU_BFLOAT16: return launch<__nv_bfloat16>(q, a);
        default: return launch<float>(q, a);
    }
}
