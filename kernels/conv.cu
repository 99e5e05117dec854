/* Convolutions and their transposes.
 *
 *     y[n, o, f] = act(sum over j, c of x[n, o stride + j dilation - pad, c] k[j, c, f] + bias[f] + residual[n, o, f])
 *
 * General: a product of matrices, [N cells of y, cells of k * C] by [cells of k * C, F], whose left side is read straight from the image
 * (nothing is unfolded); tiles of kernels/tile.h, one list of tiles a group. The transpose is the same with the cells of x that reach an
 * output; each output sums what reaches it, so that no two threads write one place. Outputs are taken in an order in which those of one
 * tile lie equally far from the stride's raster, and kernel cells that miss the raster are not visited:
 *
 *     stride 2:   o + pad = 0 . 2 . 4 . 6      phase 0: kernel cells j with j dilation even
 *                         . 1 . 3 . 5 .        phase 1: those with j dilation odd
 *
 * A zero that stands for a cell outside x times an infinite weight is NaN, but such cells have no part in a sum: sums that are NaN are made again
 * over the cells inside x.
 *
 * Depthwise: threads along the channels, POSITIONS outputs of a row each. Sums in float32, or float64 for float64.
 * y must not alias the inputs. */
#include "kernels/conv.h"

#include "kernels/tile.h"

/* ---- general ---- */

namespace {

/* Where the outputs of a tile's rows take from: the first cell under the window, and that cell's offset into x. */
template <int LINES>
struct row_table {
    int64_t (*origin)[LINES]; /* [3][LINES] */
    int64_t* base;            /* [LINES] */
};

/* Elements (output, kernel cell and channel) of the image seen as a matrix. */
template <int LINES, int D, typename T>
struct image_source {
    const cn_conv_args& a;
    row_table<LINES> rows;
    int64_t lines, per_group, inner, first_channel;
    bool by_k;
    int64_t cell[3], offset;
    bool inside;
    CN_DEVICE void seek(int64_t k) {
        int64_t channel, rest;
        inside = k < inner;
        if (!inside) return;
        rest = cn_split(k, per_group, &channel);
        rest = cn_split(rest, a.k_dims[2], &cell[2]);
        cell[0] = cn_split(rest, a.k_dims[1], &cell[1]);
        for (int d = 0; d < 3; d++) cell[d] *= a.dilation[d];
        offset = ((cell[0] * a.x_dims[1] + cell[1]) * a.x_dims[2] + cell[2]) * a.channels + first_channel + channel;
    }
    CN_DEVICE bool reads(int line) const {
        bool inside_x = inside && line < lines;
        for (int d = 0; d < 3; d++) {
            const int64_t at = rows.origin[d][line] + cell[d];
            inside_x = inside_x && at >= 0 && at < a.x_dims[d];
        }
        return inside_x;
    }
    CN_DEVICE T get(int line) const { return reads(line) ? cn_load_as<D, T>(a.dtype, a.x, rows.base[line] + offset) : static_cast<T>(0); }
};

/* Fills the table for outputs row0 ...: the whole block, a barrier after it. */
template <int LINES>
CN_DEVICE void find_rows(const cn_conv_args& a, const row_table<LINES>& rows, int64_t row0, int64_t row_count) {
    for (int line = static_cast<int>(threadIdx.x); line < LINES; line += static_cast<int>(blockDim.x)) {
        int64_t o[3], n = row0 + line < row_count ? row0 + line : 0;
        for (int d = 2; d >= 0; d--) {
            n = cn_split(n, a.y_dims[d], &o[d]);
            o[d] = o[d] * a.strides[d] - a.pad[d];
            rows.origin[d][line] = o[d];
        }
        rows.base[line] = (((n * a.x_dims[0] + o[0]) * a.x_dims[1] + o[1]) * a.x_dims[2] + o[2]) * a.channels;
    }
    __syncthreads();
}

/* A product of row `line` and column `column` over the cells inside x alone. */
template <typename T, typename Image, typename Kernel>
CN_DEVICE T sum_inside(Image& image, Kernel& kernel, int64_t inner, int line, int column) {
    T total = 0;
    for (int64_t k = 0; k < inner; k++) {
        image.seek(k);
        kernel.seek(k);
        if (image.reads(line)) total += image.get(line) * kernel.get(column);
    }
    return total;
}

template <int LINES, int D, typename T>
CN_KERNEL(CN_TILE_THREADS(LINES)) conv_tiled(cn_conv_args a, int64_t row_count, int64_t row_tiles, int64_t column_tiles) {
    CN_SHARED(T, a_tile, [CN_TILE_DEPTH][LINES + 1]);
    CN_SHARED(T, b_tile, [CN_TILE_DEPTH][LINES + 1]);
    CN_SHARED(int64_t, origin, [3][LINES]);
    CN_SHARED(int64_t, base, [LINES]);
    const row_table<LINES> rows = {origin, base};
    const int64_t per_group = a.channels / a.groups, columns = a.filters / a.groups, inner = a.k_dims[0] * a.k_dims[1] * a.k_dims[2] * per_group;
    T sum[4][4];

    for (int64_t tile = blockIdx.x; tile < row_tiles * column_tiles * a.groups; tile += gridDim.x) {
        int64_t column_tile, row_tile;
        const int64_t group = cn_split(cn_split(tile, column_tiles, &column_tile), row_tiles, &row_tile);
        const int64_t row0 = row_tile * LINES, column0 = column_tile * LINES;
        image_source<LINES, D, T> image = {a, rows, row_count - row0, per_group, inner, group * per_group, true, {0, 0, 0}, 0, false};
        cn_matrix_source<D, T> kernel = {a.kernel, a.dtype, false, group * columns + column0, 1, a.filters, columns - column0, inner, 0, false};
        find_rows<LINES>(a, rows, row0, row_count);
        cn_tile_product<LINES>(image, kernel, inner, a_tile, b_tile, sum);
        unsigned again = 0;
        for (int i = 0; i < 16; i++) {
            const int64_t row = row0 + cn_tile_row<LINES>(i / 4), column = column0 + cn_tile_column<LINES>(i % 4), filter = group * columns + column;
            if (row >= row_count || column >= columns) continue;
            cn_tile_finish<D, T>(a.dtype, a.y, a.bias, a.residual, a.act, row * a.filters + filter, filter, sum[i / 4][i % 4]);
            if (sum[i / 4][i % 4] != sum[i / 4][i % 4]) again |= 1u << i;
        }
        for (; again; again &= again - 1) {
            const int i = __ffs(static_cast<int>(again)) - 1, line = cn_tile_row<LINES>(i / 4), column = cn_tile_column<LINES>(i % 4);
            const int64_t filter = group * columns + column0 + column;
            const T total = sum_inside<T>(image, kernel, inner, line, column);
            cn_tile_finish<D, T>(a.dtype, a.y, a.bias, a.residual, a.act, (row0 + line) * a.filters + filter, filter, total);
        }
        __syncthreads(); /* the table is read until here */
    }
}

template <int LINES, int D, typename T>
static cudaError_t launch_conv(const cn_queue* q, const cn_conv_args* a, int64_t rows) {
    const int64_t row_tiles = (rows + LINES - 1) / LINES, column_tiles = (a->filters / a->groups + LINES - 1) / LINES;
    return cn_launch(q, conv_tiled<LINES, D, T>, cn_tile_grid(row_tiles * column_tiles * a->groups), dim3(CN_TILE_THREADS(LINES)), 0, *a, rows, row_tiles, column_tiles);
}

}  // namespace

extern "C" cudaError_t cn_k_conv(const cn_queue* q, const cn_conv_args* a) {
    const int64_t rows = a->batch * a->y_dims[0] * a->y_dims[1] * a->y_dims[2];

    return cn_by_float(a->dtype, [&](auto domain) {
        using Domain = decltype(domain);
        using T = typename Domain::sum;
        return cn_by_lines<T>(cn_tile_lines<T>(rows, a->filters / a->groups, a->groups), [&](auto lines) { return launch_conv<decltype(lines)::value, Domain::dtype, T>(q, a, rows); });
    });
}

/* ---- transpose ---- */

namespace {

/* One phase along one axis. Outputs first, first + stride, ... (count of them) are reached by kernel cells first_cell, first_cell + cell_step, ...
 * (cells of them); output number i and cell number j meet input cell i + base - j * back. */
typedef struct phase_axis {
    int64_t first, count;
    int64_t first_cell, cell_step, cells;
    int64_t base, back;
} phase_axis;

/* Phase `number` of the stride's along axis d. An output o meets cell j when o + pad - j dilation is a multiple of the stride; the cells that
 * do so for one o repeat every stride / gcd(stride, dilation). */
CN_DEVICE void find_phase(const cn_conv_args& a, int d, int64_t number, phase_axis* out) {
    const int64_t stride = a.strides[d], dilation = a.dilation[d], shifted = number + a.pad[d];
    int64_t divisor = stride, rest = dilation;

    while (rest) {
        const int64_t next = divisor % rest;
        divisor = rest;
        rest = next;
    }
    *out = {number, number < a.y_dims[d] ? (a.y_dims[d] - number - 1) / stride + 1 : 0, 0, stride / divisor, 0, 0, dilation / divisor};
    for (int64_t j = 0; j < out->cell_step && j < a.k_dims[d]; j++) {
        if ((shifted - j * dilation) % stride != 0) continue;
        out->first_cell = j;
        out->cells = (a.k_dims[d] - j - 1) / out->cell_step + 1;
        out->base = (shifted - j * dilation) / stride;
        break;
    }
}

/* Elements (output, kernel cell and channel) of the image, for the outputs of one phase. */
template <int LINES, int D, typename T>
struct phase_source {
    const cn_conv_args& a;
    const phase_axis* phase; /* [3] */
    row_table<LINES> rows;
    int64_t lines, inner;
    bool by_k;
    int64_t back[3], offset;
    bool inside;
    CN_DEVICE void seek(int64_t k) {
        int64_t channel, rest;
        inside = k < inner;
        if (!inside) return;
        rest = cn_split(k, a.channels, &channel);
        for (int d = 2; d >= 0; d--) {
            rest = cn_split(rest, phase[d].cells, &back[d]);
            back[d] *= phase[d].back;
        }
        offset = channel - ((back[0] * a.x_dims[1] + back[1]) * a.x_dims[2] + back[2]) * a.channels;
    }
    CN_DEVICE bool reads(int line) const {
        bool inside_x = inside && line < lines;
        for (int d = 0; d < 3; d++) {
            const int64_t at = rows.origin[d][line] - back[d];
            inside_x = inside_x && at >= 0 && at < a.x_dims[d];
        }
        return inside_x;
    }
    CN_DEVICE T get(int line) const { return reads(line) ? cn_load_as<D, T>(a.dtype, a.x, rows.base[line] + offset) : static_cast<T>(0); }
};

/* Elements (filter, kernel cell and channel) of the kernel, for the cells of one phase. */
template <int D, typename T>
struct phase_kernel_source {
    const cn_conv_args& a;
    const phase_axis* phase; /* [3] */
    int64_t filter0, lines, inner;
    bool by_k;
    int64_t offset;
    bool inside;
    CN_DEVICE void seek(int64_t k) {
        int64_t channel, rest, j[3];
        inside = k < inner;
        if (!inside) return;
        rest = cn_split(k, a.channels, &channel);
        for (int d = 2; d >= 0; d--) {
            rest = cn_split(rest, phase[d].cells, &j[d]);
            j[d] = phase[d].first_cell + j[d] * phase[d].cell_step;
        }
        offset = (((j[0] * a.k_dims[1] + j[1]) * a.k_dims[2] + j[2]) * a.filters + filter0) * a.channels + channel;
    }
    CN_DEVICE T get(int line) const {
        return inside && line < lines ? cn_load_as<D, T>(a.dtype, a.kernel, offset + line * a.channels) : static_cast<T>(0);
    }
};

/* Fills the table for outputs row0 ... of a phase, and their cells' places in y: the whole block, a barrier after it. */
template <int LINES>
CN_DEVICE void find_phase_rows(const cn_conv_args& a, const phase_axis* phase, const row_table<LINES>& rows, int64_t* place, int64_t row0, int64_t row_count) {
    for (int line = static_cast<int>(threadIdx.x); line < LINES; line += static_cast<int>(blockDim.x)) {
        int64_t at = 0, step = 1, n = row0 + line < row_count ? row0 + line : 0, cell[3];
        for (int d = 2; d >= 0; d--) {
            n = cn_split(n, phase[d].count, &cell[d]);
            at += (phase[d].first + cell[d] * a.strides[d]) * step;
            step *= a.y_dims[d];
            cell[d] += phase[d].base;
            rows.origin[d][line] = cell[d];
        }
        place[line] = at + n * step;
        rows.base[line] = (((n * a.x_dims[0] + cell[0]) * a.x_dims[1] + cell[1]) * a.x_dims[2] + cell[2]) * a.channels;
    }
    __syncthreads();
}

/* phases: along each axis; row_tiles: of the phase that has the most outputs. */
typedef struct phase_grid {
    int64_t phases[3], row_tiles, column_tiles;
} phase_grid;

template <int LINES, int D, typename T>
CN_KERNEL(CN_TILE_THREADS(LINES)) conv_transpose_tiled(cn_conv_args a, phase_grid grid) {
    CN_SHARED(T, a_tile, [CN_TILE_DEPTH][LINES + 1]);
    CN_SHARED(T, b_tile, [CN_TILE_DEPTH][LINES + 1]);
    CN_SHARED(int64_t, origin, [3][LINES]);
    CN_SHARED(int64_t, base, [LINES]);
    CN_SHARED(int64_t, place, [LINES]);
    CN_SHARED(phase_axis, phase, [3]);
    const row_table<LINES> rows = {origin, base};
    T sum[4][4];

    for (int64_t tile = blockIdx.x; tile < grid.phases[0] * grid.phases[1] * grid.phases[2] * grid.row_tiles * grid.column_tiles; tile += gridDim.x) {
        int64_t column_tile, row_tile, number[3];
        number[0] = cn_split(cn_split(tile, grid.column_tiles, &column_tile), grid.row_tiles, &row_tile);
        number[0] = cn_split(cn_split(number[0], grid.phases[2], &number[2]), grid.phases[1], &number[1]);
        for (int d = 0; d < 3; d++) {
            if (threadIdx.x == static_cast<unsigned>(d)) find_phase(a, d, number[d], &phase[d]);
        }
        __syncthreads();
        const int64_t inner = phase[0].cells * phase[1].cells * phase[2].cells * a.channels, row0 = row_tile * LINES, column0 = column_tile * LINES;
        const int64_t row_count = a.batch * phase[0].count * phase[1].count * phase[2].count;
        phase_source<LINES, D, T> image = {a, phase, rows, row_count - row0, inner, true, {0, 0, 0}, 0, false};
        phase_kernel_source<D, T> kernel = {a, phase, column0, a.filters - column0, inner, true, 0, false};
        find_phase_rows<LINES>(a, phase, rows, place, row0, row_count);
        cn_tile_product<LINES>(image, kernel, inner, a_tile, b_tile, sum);
        unsigned again = 0;
        for (int i = 0; i < 16; i++) {
            const int64_t column = column0 + cn_tile_column<LINES>(i % 4);
            if (row0 + cn_tile_row<LINES>(i / 4) >= row_count || column >= a.filters) continue;
            cn_tile_finish<D, T>(a.dtype, a.y, a.bias, a.residual, a.act, place[cn_tile_row<LINES>(i / 4)] * a.filters + column, column, sum[i / 4][i % 4]);
            if (sum[i / 4][i % 4] != sum[i / 4][i % 4]) again |= 1u << i;
        }
        for (; again; again &= again - 1) {
            const int i = __ffs(static_cast<int>(again)) - 1, line = cn_tile_row<LINES>(i / 4), column = cn_tile_column<LINES>(i % 4);
            const T total = sum_inside<T>(image, kernel, inner, line, column);
            cn_tile_finish<D, T>(a.dtype, a.y, a.bias, a.residual, a.act, place[line] * a.filters + column0 + column, column0 + column, total);
        }
        __syncthreads();
    }
}

template <int LINES, int D, typename T>
static cudaError_t launch_transpose(const cn_queue* q, const cn_conv_args* a, phase_grid grid, int64_t rows) {
    grid.row_tiles = (rows + LINES - 1) / LINES;
    grid.column_tiles = (a->filters + LINES - 1) / LINES;
    return cn_launch(q, conv_transpose_tiled<LINES, D, T>, cn_tile_grid(grid.phases[0] * grid.phases[1] * grid.phases[2] * grid.row_tiles * grid.column_tiles),
                     dim3(CN_TILE_THREADS(LINES)), 0, *a, grid);
}

}  // namespace

extern "C" cudaError_t cn_k_conv_transpose(const cn_queue* q, const cn_conv_args* a) {
    phase_grid grid = {};
    int64_t rows = a->batch;

    /* A stride larger than y has no more phases than y has cells. */
    for (int d = 0; d < 3; d++) {
        grid.phases[d] = a->strides[d] < a->y_dims[d] ? a->strides[d] : a->y_dims[d];
        rows *= (a->y_dims[d] + a->strides[d] - 1) / a->strides[d];
    }
    return cn_by_float(a->dtype, [&](auto domain) {
        using Domain = decltype(domain);
        using T = typename Domain::sum;
        const int64_t phases = grid.phases[0] * grid.phases[1] * grid.phases[2];
        return cn_by_lines<T>(cn_tile_lines<T>(rows, a->filters, phases), [&](auto lines) { return launch_transpose<decltype(lines)::value, Domain::dtype, T>(q, a, grid, rows); });
    });
}

/* ---- depthwise ---- */

#define POSITIONS 4

namespace {

/* Adds what row (cell of x) gives under kernel cells first ... of the last axis to the outputs from o on. */
template <int D, typename T>
CN_DEVICE void add_row(const cn_conv_args& a, int64_t row, int64_t first, int64_t o, int64_t filter, int64_t channel, T (&sum)[POSITIONS]) {
    for (int64_t j = 0; j < a.k_dims[2]; j++) {
        const T w = cn_load_as<D, T>(a.dtype, a.kernel, (first + j) * a.filters + filter);
        for (int i = 0; i < POSITIONS; i++) {
            const int64_t cell = (o + i) * a.strides[2] + j * a.dilation[2] - a.pad[2];
            if (cell >= 0 && cell < a.x_dims[2]) sum[i] += w * cn_load_as<D, T>(a.dtype, a.x, (row + cell) * a.channels + channel);
        }
    }
}

/* Threads: x along the filters, y along the spans of POSITIONS outputs in a row of y (`spans` in a row, span_count in all). */
template <int D, typename T>
CN_KERNEL(128) conv_depthwise(cn_conv_args a, int64_t spans, int64_t span_count) {
    const int64_t filter_tiles = (a.filters + blockDim.x - 1) / blockDim.x, span_tiles = (span_count + blockDim.y - 1) / blockDim.y;

    for (int64_t tile = blockIdx.x; tile < filter_tiles * span_tiles; tile += gridDim.x) {
        int64_t filter, o[3], n;
        T sum[POSITIONS] = {};
        const int64_t span = cn_split(tile, filter_tiles, &filter) * blockDim.y + threadIdx.y;
        filter = filter * blockDim.x + threadIdx.x;
        if (filter >= a.filters || span >= span_count) continue;
        n = cn_split(cn_split(cn_split(span, spans, &o[2]), a.y_dims[1], &o[1]), a.y_dims[0], &o[0]);
        o[2] *= POSITIONS;
        for (int64_t k = 0; k < a.k_dims[0] * a.k_dims[1]; k++) {
            int64_t cell[2];
            cell[0] = cn_split(k, a.k_dims[1], &cell[1]);
            for (int d = 0; d < 2; d++) cell[d] = o[d] * a.strides[d] + cell[d] * a.dilation[d] - a.pad[d];
            if (cell[0] < 0 || cell[0] >= a.x_dims[0] || cell[1] < 0 || cell[1] >= a.x_dims[1]) continue;
            add_row<D, T>(a, ((n * a.x_dims[0] + cell[0]) * a.x_dims[1] + cell[1]) * a.x_dims[2], k * a.k_dims[2], o[2], filter, cn_divide(filter, a.filters / a.channels), sum);
        }
        for (int i = 0; i < POSITIONS && o[2] + i < a.y_dims[2]; i++) {
            const int64_t at = (((n * a.y_dims[0] + o[0]) * a.y_dims[1] + o[1]) * a.y_dims[2] + o[2] + i) * a.filters + filter;
            cn_tile_finish<D, T>(a.dtype, a.y, a.bias, a.residual, a.act, at, filter, sum[i]);
        }
    }
}

}  // namespace

extern "C" cudaError_t cn_k_conv_depthwise(const cn_queue* q, const cn_conv_args* a) {
    const int64_t spans = (a->y_dims[2] + POSITIONS - 1) / POSITIONS, span_count = a->batch * a->y_dims[0] * a->y_dims[1] * spans;
    unsigned across = 1;

    while (across < 128 && across < a->filters) across *= 2;
    const unsigned along = static_cast<unsigned>(span_count < 128 / across ? span_count : 128 / across);
    const int64_t tiles = (a->filters + across - 1) / across * ((span_count + along - 1) / along);
    return cn_by_float(a->dtype, [&](auto domain) {
        using Domain = decltype(domain);
        return cn_launch(q, conv_depthwise<Domain::dtype, typename Domain::sum>, cn_tile_grid(tiles), dim3(across, along), 0, *a, spans, span_count);
    });
}
