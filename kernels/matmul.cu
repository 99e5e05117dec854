/* y = act(a b + bias + residual), for every size, dtype and layout that the library does not take.
 *
 * y must not alias the inputs. Sums in float32 for float16, bfloat16 and float32, in float64 for float64, modulo 2^64 for integers.
 * One block a tile of kernels/tile.h; blocks take further tiles of a long list. */
#include "kernels/matmul.h"

#include "kernels/finish.h"
#include "kernels/tile.h"

namespace {

/* Offset of matrix `batch` of an operand. */
CN_DEVICE int64_t batch_offset(const cn_matmul_args& a, const int64_t* steps, int64_t batch) {
    int64_t offset = 0;

    for (int i = a.batch_ndim - 1; i >= 0; i--) {
        int64_t index;
        batch = cn_split(batch, a.batch_dims[i], &index);
        offset += index * steps[i];
    }
    return offset;
}

template <int LINES, int D, typename T>
CN_KERNEL(CN_TILE_THREADS(LINES)) matmul_tiled(cn_matmul_args a, int64_t row_tiles, int64_t column_tiles, int64_t tiles) {
    CN_SHARED(T, a_tile, [CN_TILE_DEPTH][LINES + 1]);
    CN_SHARED(T, b_tile, [CN_TILE_DEPTH][LINES + 1]);
    T sum[4][4];

    for (int64_t tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
        int64_t column_tile, row_tile;
        const int64_t batch = cn_split(cn_split(tile, column_tiles, &column_tile), row_tiles, &row_tile);
        const int64_t row0 = row_tile * LINES, column0 = column_tile * LINES;
        const int64_t a_at = batch_offset(a, a.a_batch, batch) + row0 * a.a_row, b_at = batch_offset(a, a.b_batch, batch) + column0 * a.b_column;
        cn_matrix_source<D, T> left = {a.a, a.dtype, a.a_k <= a.a_row, a_at, a.a_row, a.a_k, a.rows - row0, a.inner, 0, false};
        cn_matrix_source<D, T> right = {a.b, a.dtype, a.b_k < a.b_column, b_at, a.b_column, a.b_k, a.columns - column0, a.inner, 0, false};
        cn_tile_product<LINES>(left, right, a.inner, a_tile, b_tile, sum);
        for (int i = 0; i < 16; i++) {
            const int64_t row = row0 + cn_tile_row<LINES>(i / 4), column = column0 + cn_tile_column<LINES>(i % 4);
            if (row >= a.rows || column >= a.columns) continue;
            cn_tile_finish<D, T>(a.dtype, a.y, a.bias, a.residual, a.act, (batch * a.rows + row) * a.columns + column, column, sum[i / 4][i % 4]);
        }
    }
}

template <int LINES, int D, typename T>
static cudaError_t launch_tiled(const cn_queue* q, const cn_matmul_args* a, int64_t batches) {
    const int64_t row_tiles = (a->rows + LINES - 1) / LINES, column_tiles = (a->columns + LINES - 1) / LINES, tiles = row_tiles * column_tiles * batches;
    return cn_launch(q, matmul_tiled<LINES, D, T>, cn_tile_grid(tiles), dim3(CN_TILE_THREADS(LINES)), 0, *a, row_tiles, column_tiles, tiles);
}

template <int D, typename T>
CN_KERNEL(256) bias_act_strided(cn_bias_act_args a) {
    for (CN_ITEMS(i, a.rows * a.columns)) {
        const int64_t column = a.bias ? i - cn_divide(i, a.columns) * a.columns : 0;
        cn_tile_finish<D, T>(a.dtype, a.y, a.bias, NULL, a.act, i, column, cn_load_as<D, T>(a.dtype, a.x, i));
    }
}

/* Sixteen bytes a thread, of rows of `chunks` of them. */
template <int D>
CN_KERNEL(256) bias_act_chunks(cn_bias_act_args a, int64_t chunks) {
    for (CN_ITEMS(i, a.rows * chunks)) {
        float v[cn_pack<D>::count];
        cn_unpack<D>(static_cast<const uint4*>(a.x)[i], v);
        cn_finish_chunk<D>(a.y, a.bias, NULL, a.act, i, a.bias ? i - cn_divide(i, chunks) * chunks : 0, v);
    }
}

}  // namespace

extern "C" cudaError_t cn_k_matmul(const cn_queue* q, const cn_matmul_args* a) {
    int64_t batches = 1;

    for (int i = 0; i < a->batch_ndim; i++) batches *= a->batch_dims[i];
    return cn_by_dtype(a->dtype, [&](auto domain) {
        using Domain = decltype(domain);
        using T = typename Domain::sum;
        return cn_by_lines<T>(cn_tile_lines<T>(a->rows, a->columns, batches), [&](auto lines) { return launch_tiled<decltype(lines)::value, Domain::dtype, T>(q, a, batches); });
    });
}

extern "C" cudaError_t cn_k_bias_act(const cn_queue* q, const cn_bias_act_args* a) {
    return cn_by_float(a->dtype, [&](auto domain) {
        using Domain = decltype(domain);
        if constexpr (Domain::dtype != CORNU_FLOAT64) {
            const int64_t chunks = a->columns / cn_pack<Domain::dtype>::count;
            if (cn_pack_fits(a->dtype, a->x, a->columns) && cn_pack_fits(a->dtype, a->y, 0) && cn_pack_fits(a->dtype, a->bias, 0)) {
                return cn_launch(q, bias_act_chunks<Domain::dtype>, cn_blocks(a->rows * chunks, 256), dim3(256), 0, *a, chunks);
            }
        }
        return cn_launch(q, bias_act_strided<Domain::dtype, typename Domain::sum>, cn_blocks(a->rows * a->columns, 256), dim3(256), 0, *a);
    });
}
