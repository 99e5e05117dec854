/* y [m, n] = act(sum over k of x[m, k] w[n, k] + bias[n] + residual[m, n]) for up to 16 rows: bound by reading w once.
 *
 * Eight lanes, a team, make `Columns` columns of all rows: they walk along k side by side, sixteen bytes a lane and
 * load where the rows of memory are aligned, so that a team reads 128 neighbouring bytes. Where the columns alone would
 * leave most of a device idle, several teams share k: split s of S takes the pieces s, s + S, ... A block's splits meet
 * in shared memory, always in the same order:
 *
 *     teams of a block [splits][across]     k ->  |0  |1  |2  |3  |0  |1  |2  |3  |...     pieces of 8 loads
 *
 * No sum goes through global memory, so there is nothing to count or to reset. y must not alias the inputs. Sums in
 * float32. */
#include "kernels/skinny.h"

#include "kernels/pack.h"
#include "kernels/tile.h"

#define TEAM 8            /* lanes */
#define MOST_TEAMS 32     /* of a block */
#define ENOUGH_TEAMS 8448 /* for 132 processors of 16 warps */
#define ENOUGH_BLOCKS 264

namespace {

/* v[i], i < Count, summed over the lanes of a team; lane l then holds the Count / TEAM sums from its first one on (one,
 * where there are fewer than TEAM: each is held by several lanes). */
template <int Count, int Width>
CN_DEVICE int fold_team(float* v, int lane) {
    if constexpr (Width == 0) {
        return 0;
    } else if constexpr (Count == 1) {
        v[0] += __shfl_xor_sync(0xffffffffu, v[0], Width);
        return fold_team<1, Width / 2>(v, lane);
    } else {
        const bool upper = (lane & Width) != 0;
        CN_UNROLL
        for (int i = 0; i < Count / 2; i++) {
            const float mine = upper ? v[i + Count / 2] : v[i], other = upper ? v[i] : v[i + Count / 2];
            v[i] = mine + __shfl_xor_sync(0xffffffffu, other, Width);
        }
        return (upper ? Count / 2 : 0) + fold_team<Count / 2, Width / 2>(v, lane);
    }
}

/* What a lane loads at once: Vector elements from element i on, zeros where it does not read. */
template <int D, int Vector>
struct piece {
    uint4 data;
    CN_DEVICE void load(const void* x, int64_t i, bool reads) {
        data = reads ? __ldg(reinterpret_cast<const uint4*>(static_cast<const char*>(x) + i * cn_pack<D>::size))
                     : make_uint4(0, 0, 0, 0);
    }
    CN_DEVICE void get(float (&v)[Vector]) const { cn_unpack<D>(data, v); }
};
template <int D>
struct piece<D, 1> {
    float data;
    CN_DEVICE void load(const void* x, int64_t i, bool reads) { data = reads ? cn_load<float>(D, x, i) : 0.0f; }
    CN_DEVICE void get(float (&v)[1]) const { v[0] = data; }
};

/* Batch pieces are loaded before the first is used: a warp that waits for each has too few bytes on their way. */
template <int D, int Rows, int Columns, int Vector>
CN_DEVICE void add_products(const cn_skinny_args& a, int64_t column, int64_t k, int64_t step,
                            float (&sum)[Rows * Columns]) {
    const int batch = Rows <= 2 ? 4 : Rows <= 4 ? 2 : 1;
    CN_UNROLL_BY(1)
    for (; k < a.inner; k += batch * step) {
        piece<D, Vector> weights[batch][Columns], rows[batch][Rows];
        CN_UNROLL
        for (int b = 0; b < batch; b++) {
            const int64_t at = k + b * step;
            CN_UNROLL
            for (int c = 0; c < Columns; c++)
                weights[b][c].load(a.weights, min(column + c, a.columns - 1) * a.inner + at, at < a.inner);
            CN_UNROLL
            for (int r = 0; r < Rows; r++)
                rows[b][r].load(a.x, min(static_cast<int64_t>(r), a.rows - 1) * a.inner + at, at < a.inner);
        }
        CN_UNROLL
        for (int b = 0; b < batch; b++) {
            float w[Columns][Vector], x[Vector];
            CN_UNROLL
            for (int c = 0; c < Columns; c++) weights[b][c].get(w[c]);
            CN_UNROLL
            for (int r = 0; r < Rows; r++) {
                rows[b][r].get(x);
                CN_UNROLL
                for (int i = 0; i < Columns * Vector; i++)
                    sum[r * Columns + i / Vector] += x[i % Vector] * w[i / Vector][i % Vector];
            }
        }
    }
}

/* Threads: lanes fastest, then `across` teams of neighbouring columns, then `splits` of k. */
template <int D, int Rows, int Columns, int Vector>
CN_KERNEL_BLOCKS(TEAM* MOST_TEAMS, (Rows > 8   ? 1
                                    : Rows > 4 ? 2
                                               : 3))
skinny_product(cn_skinny_args a, int splits, int across) {
    CN_SHARED(float, partial, [MOST_TEAMS * Rows * Columns]);
    const int sums = Rows * Columns, thread = static_cast<int>(threadIdx.x), lane = thread % TEAM, team = thread / TEAM;
    const int held = sums < TEAM ? 1 : sums / TEAM, copies = sums < TEAM ? TEAM / sums : 1, wide = across * Columns;

    for (int64_t column0 = static_cast<int64_t>(blockIdx.x) * wide; column0 < a.columns;
         column0 += static_cast<int64_t>(gridDim.x) * wide) {
        float sum[sums] = {};
        add_products<D, Rows, Columns, Vector>(a, column0 + team % across * Columns,
                                               (team / across * TEAM + lane) * Vector,
                                               static_cast<int64_t>(splits) * TEAM * Vector, sum);
        const int first = fold_team<sums, TEAM / 2>(sum, lane);
        if (lane % copies == 0) {
            CN_UNROLL
            for (int i = 0; i < held; i++) partial[team * sums + first + i] = sum[i];
        }
        __syncthreads();
        for (int i = thread; i < wide * Rows; i += static_cast<int>(blockDim.x)) {
            const int row = i / wide, at = i % wide;
            float total = 0;
            if (row >= a.rows || column0 + at >= a.columns) continue;
            for (int s = 0; s < splits; s++)
                total += partial[(s * across + at / Columns) * sums + row * Columns + at % Columns];
            cn_tile_finish<D, float>(D, a.y, a.bias, a.residual, a.act, row * a.columns + column0 + at, column0 + at,
                                     total);
        }
        __syncthreads();
    }
}

template <int D, int Rows, int Columns, int Vector>
static cudaError_t launch_skinny(const cn_queue* q, const cn_skinny_args* a) {
    const int64_t teams = (a->columns + Columns - 1) / Columns,
                  pieces = (a->inner + TEAM * Vector - 1) / (TEAM * Vector);
    int splits = 1, across;

    while (splits < MOST_TEAMS && teams * splits < ENOUGH_TEAMS && pieces >= 4 * splits) splits *= 2;
    across = splits < 16 ? 16 / splits : 1;
    while (across > 1 && across * splits > 4 && (across * splits > TEAM || across / 2 >= teams) &&
           (teams + across - 1) / across < ENOUGH_BLOCKS)
        across /= 2;
    return cn_launch(q, skinny_product<D, Rows, Columns, Vector>, cn_blocks(teams, across),
                     dim3(static_cast<unsigned>(TEAM * across * splits)), 0, *a, splits, across);
}

template <int D, int Vector>
static cudaError_t by_rows(const cn_queue* q, const cn_skinny_args* a) {
    if (a->rows <= 1) return launch_skinny<D, 1, 1, Vector>(q, a);
    if (a->rows <= 2) return launch_skinny<D, 2, 1, Vector>(q, a);
    if (a->rows <= 4) return launch_skinny<D, 4, 1, Vector>(q, a);
    if (a->rows <= 8) return launch_skinny<D, 8, 2, Vector>(q, a);
    return launch_skinny<D, 16, 4, Vector>(q, a);
}

template <int D>
static cudaError_t by_vector(const cn_queue* q, const cn_skinny_args* a) {
    if (cn_pack_fits(D, a->x, a->inner) && cn_pack_fits(D, a->weights, a->inner))
        return by_rows<D, cn_pack<D>::count>(q, a);
    return by_rows<D, 1>(q, a);
}

}  // namespace

extern "C" cudaError_t cn_k_skinny(const cn_queue* q, const cn_skinny_args* a) {
    switch (a->dtype) {
        case CORNU_FLOAT16: return by_vector<CORNU_FLOAT16>(q, a);
        case CORNU_BFLOAT16: return by_vector<CORNU_BFLOAT16>(q, a);
        default: return by_vector<CORNU_FLOAT32>(q, a);
    }
}
