/* Convolutions as products of matrices that are never written down:
 *
 *     y [cells of y, filters] = image [cells of y, kernel cells * channels] kernel [kernel cells * channels, filters]
 *
 * A block makes a tile of y. Rows of the image come to shared memory sixteen bytes at a time, straight from x, those of
 * padding as zeros, three steps of the sum in flight at once (cp.async); images and kernels whose channels or filters
 * do not fill sixteen bytes come element by element.
 *
 *     one step of the sum:  image [rows][64 bytes + 16]     kernel [depth][columns + 8] or, by filters, as the image
 *                           padded so that no two lanes meet in a bank
 *
 * The products are made by mma.sync (tf32 of float32, float16, bfloat16) or, for plain float32, by a tile of registers
 * a thread. The sums go through shared memory once more, so that y, bias and residual are touched in rows. Where y has
 * fewer tiles than a device has processors, the sum is split: each part goes to its own place in `partial`, and a
 * second kernel adds them up in order.
 *
 * A zero of the padding times an infinite weight is NaN here, but 0 by definition: a sum that is NaN is made again over
 * the cells inside x.
 *
 * y must not alias the inputs. Sums in float32. */
#include "kernels/implicit.h"

#include "kernels/finish.h"
#include "kernels/mma.h"
#include "kernels/tile.h"

#define STAGES 3
#define CHUNKS 4 /* of sixteen bytes, of a row of the image in one step */
#define ROW_BYTES (16 * CHUNKS + 16)
#define FAR_OUTSIDE (-(1 << 30)) /* the first cell of a row that is none */

namespace {

enum kind { BY_FMA, BY_TF32, BY_F16, BY_BF16 };
/* How the kernel lies in memory: [inner, filters], or each filter for itself. */
enum layout { BY_CELLS, BY_FILTERS };

template <int Kind>
struct element_of {
    static const int dtype = Kind == BY_F16 ? CORNU_FLOAT16 : Kind == BY_BF16 ? CORNU_BFLOAT16 : CORNU_FLOAT32;
    static const int size = Kind == BY_F16 || Kind == BY_BF16 ? 2 : 4;
    static const int chunk = 16 / size;      /* elements */
    static const int depth = CHUNKS * chunk; /* of one step */
};

template <int Rows, int Columns>
struct tile_shape {
    enum { rows = Rows, columns = Columns };
    static const int threads = Rows == 32 ? 64 : 128;
};

/* Bytes of a row of the kernel's tile: no two of the lanes that read together meet in a bank. */
template <int Kind, int Columns>
struct kernel_row {
    static const int bytes = (Columns + 8) * element_of<Kind>::size;
};

template <int Kind, int Layout, int Rows, int Columns>
struct memory_of {
    static const int kernel_at = Rows * ROW_BYTES;
    static const int stage =
        kernel_at +
        (Layout == BY_FILTERS ? Columns * ROW_BYTES : element_of<Kind>::depth * kernel_row<Kind, Columns>::bytes);
    static const int table = Rows * 16;
    static const int staged = Rows * (Columns + 4) * 4;
    static const int bytes = table + (STAGES * stage > staged ? STAGES * stage : staged);
    static_assert(bytes <= CN_SHARED_BYTES, "more shared memory than a kernel has");
};

/* The convolution in 32-bit numbers. */
typedef struct work {
    const void *x, *kernel, *bias, *residual;
    void* y;
    float* partial; /* or NULL */
    cn_epilogue act;
    int rows, filters, channels, inner;
    int x_dims[3], k_dims[3], y_dims[3], strides[3], dilation[3], pad[3];
    int column_tiles, steps, steps_per_split;
    bool image_chunks, kernel_chunks,
        y_chunks; /* whether they can be read sixteen bytes at a time; y with bias and residual */
} work;

/* ---- where elements lie ---- */

/* First cell of the window of row m along each axis, and that cell's first element. */
CN_DEVICE int4 find_row(const work& w, int m) {
    int o[3], n = m;

    if (m >= w.rows) return make_int4(FAR_OUTSIDE, FAR_OUTSIDE, FAR_OUTSIDE, 0);
    CN_UNROLL
    for (int d = 2; d >= 0; d--) {
        const int rest = n / w.y_dims[d];
        o[d] = (n - rest * w.y_dims[d]) * w.strides[d] - w.pad[d];
        n = rest;
    }
    return make_int4(o[0], o[1], o[2],
                     (((n * w.x_dims[0] + o[0]) * w.x_dims[1] + o[1]) * w.x_dims[2] + o[2]) * w.channels);
}

/* A place in the sum: a channel of a kernel cell. */
struct place {
    int channel, j[3];

    CN_DEVICE void seek(const work& w, int k) {
        int rest = k / w.channels;
        channel = k - rest * w.channels;
        j[0] = rest / (w.k_dims[1] * w.k_dims[2]);
        rest -= j[0] * w.k_dims[1] * w.k_dims[2];
        j[1] = rest / w.k_dims[2];
        j[2] = rest - j[1] * w.k_dims[2];
    }
    CN_DEVICE void advance(const work& w, int elements) {
        channel += elements;
        while (channel >= w.channels && j[0] < w.k_dims[0]) {
            channel -= w.channels;
            if (++j[2] < w.k_dims[2]) continue;
            j[2] = 0;
            if (++j[1] < w.k_dims[1]) continue;
            j[1] = 0;
            j[0]++;
        }
    }
    CN_DEVICE bool inside(const work& w) const { return j[0] < w.k_dims[0]; }
    CN_DEVICE int4 offset(const work& w) const {
        const int a = j[0] * w.dilation[0], b = j[1] * w.dilation[1], c = j[2] * w.dilation[2];
        return make_int4(a, b, c, ((a * w.x_dims[1] + b) * w.x_dims[2] + c) * w.channels + channel);
    }
};

CN_DEVICE bool reads_cell(const work& w, const int4& row, const int4& at) {
    return static_cast<unsigned>(row.x + at.x) < static_cast<unsigned>(w.x_dims[0]) &&
           static_cast<unsigned>(row.y + at.y) < static_cast<unsigned>(w.x_dims[1]) &&
           static_cast<unsigned>(row.z + at.z) < static_cast<unsigned>(w.x_dims[2]);
}

template <int Size>
CN_DEVICE void copy_element(void* to, const void* from, int64_t i, bool reads) {
    if constexpr (Size == 2)
        *static_cast<uint16_t*>(to) = reads ? static_cast<const uint16_t*>(from)[i] : static_cast<uint16_t>(0);
    else *static_cast<uint32_t*>(to) = reads ? static_cast<const uint32_t*>(from)[i] : 0u;
}

/* ---- bringing one step of the sum to shared memory ---- */

/* A thread brings chunk `t % CHUNKS` of every (threads / CHUNKS)th row. at moves on by one step. */
template <int Kind, int Rows, int Threads>
CN_DEVICE void load_image(const work& w, const int4* table, place* at, unsigned char* tile) {
    using E = element_of<Kind>;
    const int thread = static_cast<int>(threadIdx.x);
    const int first = thread / CHUNKS;
    unsigned char* to = tile + first * ROW_BYTES + thread % CHUNKS * 16;

    if (w.image_chunks) {
        const bool inside = at->inside(w);
        const int4 offset = at->offset(w);
        CN_UNROLL
        for (int i = 0; i < Rows * CHUNKS / Threads; i++) {
            const int4 row = table[first + i * (Threads / CHUNKS)];
            const bool reads = inside && reads_cell(w, row, offset);
            const char* from =
                static_cast<const char*>(w.x) + (reads ? static_cast<int64_t>(row.w + offset.w) * E::size : 0);
            cn_cp_async16(to + i * (Threads / CHUNKS) * ROW_BYTES, from, reads ? 16 : 0);
        }
        at->advance(w, E::depth);
        return;
    }
    for (int e = 0; e < E::chunk; e++) {
        const bool inside = at->inside(w);
        const int4 offset = at->offset(w);
        CN_UNROLL
        for (int i = 0; i < Rows * CHUNKS / Threads; i++) {
            const int4 row = table[first + i * (Threads / CHUNKS)];
            const bool reads = inside && reads_cell(w, row, offset);
            copy_element<E::size>(to + i * (Threads / CHUNKS) * ROW_BYTES + e * E::size, w.x, row.w + offset.w, reads);
        }
        at->advance(w, 1);
    }
    at->advance(w, E::depth - E::chunk);
}

template <int Kind, int Columns, int Threads>
CN_DEVICE void load_kernel(const work& w, int k0, int column0, unsigned char* tile) {
    using E = element_of<Kind>;
    const int across = Columns / E::chunk, thread = static_cast<int>(threadIdx.x);
    const int first = thread / across, column = column0 + thread % across * E::chunk;
    unsigned char* to = tile + first * kernel_row<Kind, Columns>::bytes + thread % across * 16;

    CN_UNROLL
    for (int i = 0; i < E::depth * across / Threads; i++) {
        const int k = k0 + first + i * (Threads / across);
        const int64_t from = static_cast<int64_t>(k) * w.filters + column;
        unsigned char* row = to + i * (Threads / across) * kernel_row<Kind, Columns>::bytes;
        if (w.kernel_chunks) {
            const bool reads = k < w.inner && column < w.filters;
            cn_cp_async16(row, static_cast<const char*>(w.kernel) + (reads ? from * E::size : 0), reads ? 16 : 0);
        } else {
            for (int e = 0; e < E::chunk; e++)
                copy_element<E::size>(row + e * E::size, w.kernel, from + e, k < w.inner && column + e < w.filters);
        }
    }
}

/* The same of a kernel that lies by filters: a row of the tile is a filter's, as the image's are. */
template <int Kind, int Columns, int Threads>
CN_DEVICE void load_filters(const work& w, int k0, int column0, unsigned char* tile) {
    using E = element_of<Kind>;
    const int thread = static_cast<int>(threadIdx.x);
    const int first = thread / CHUNKS, k = k0 + thread % CHUNKS * E::chunk;
    unsigned char* to = tile + first * ROW_BYTES + thread % CHUNKS * 16;

    CN_UNROLL
    for (int i = 0; i < Columns * CHUNKS / Threads; i++) {
        const int column = column0 + first + i * (Threads / CHUNKS);
        const int64_t from = static_cast<int64_t>(column) * w.inner + k;
        unsigned char* row = to + i * (Threads / CHUNKS) * ROW_BYTES;
        if (w.kernel_chunks) {
            const bool reads = k < w.inner && column < w.filters;
            cn_cp_async16(row, static_cast<const char*>(w.kernel) + (reads ? from * E::size : 0), reads ? 16 : 0);
        } else {
            for (int e = 0; e < E::chunk; e++)
                copy_element<E::size>(row + e * E::size, w.kernel, from + e, k + e < w.inner && column < w.filters);
        }
    }
}

/* ---- the product of one step ---- */

/* By fused multiply-adds: a thread's rows lie ty_count apart, its columns in fours. */
template <int Rows, int Columns>
struct fma_tile {
    static const int tx_count = Rows == 64 ? 16 : 8, ty_count = tile_shape<Rows, Columns>::threads / tx_count;
    static const int own_rows = Rows / ty_count, fours = Columns / 4 / tx_count;
    float sum[own_rows][4 * fours];

    CN_DEVICE void clear() {
        CN_UNROLL
        for (int i = 0; i < own_rows; i++) {
            CN_UNROLL
            for (int j = 0; j < 4 * fours; j++) sum[i][j] = 0;
        }
    }
    CN_DEVICE void add(const unsigned char* image, const unsigned char* kernel) {
        const int thread = static_cast<int>(threadIdx.x);
        const unsigned char* rows = image + thread / tx_count * ROW_BYTES;
        const unsigned char* columns = kernel + thread % tx_count * 16;
        CN_UNROLL
        for (int c = 0; c < CHUNKS; c++) {
            float x[own_rows][4], z[4];
            CN_UNROLL
            for (int i = 0; i < own_rows; i++)
                cn_unpack<CORNU_FLOAT32>(*reinterpret_cast<const uint4*>(rows + i * ty_count * ROW_BYTES + c * 16),
                                         x[i]);
            CN_UNROLL
            for (int k = 0; k < 4; k++) {
                CN_UNROLL
                for (int f = 0; f < fours; f++) {
                    cn_unpack<CORNU_FLOAT32>(
                        *reinterpret_cast<const uint4*>(columns + (4 * c + k) * kernel_row<BY_FMA, Columns>::bytes +
                                                        f * tx_count * 16),
                        z);
                    CN_UNROLL
                    for (int i = 0; i < own_rows; i++) {
                        CN_UNROLL
                        for (int j = 0; j < 4; j++) sum[i][4 * f + j] += x[i][k] * z[j];
                    }
                }
            }
        }
    }
    CN_DEVICE void save(float* staged) const {
        const int thread = static_cast<int>(threadIdx.x);
        CN_UNROLL
        for (int i = 0; i < own_rows; i++) {
            float* row = staged + (thread / tx_count + i * ty_count) * (Columns + 4) + thread % tx_count * 4;
            CN_UNROLL
            for (int j = 0; j < 4 * fours; j++) row[j / 4 * tx_count * 4 + j % 4] = sum[i][j];
        }
    }
};

/* By tensor cores: two rows of warps, each with `slabs` times 16 rows and 32 columns. */
template <int Kind, int Layout, int Rows, int Columns>
struct mma_tile {
    static const int warps_across = Columns / 32, warps_down = tile_shape<Rows, Columns>::threads / 32 / warps_across;
    static const int slabs = Rows / warps_down / 16;
    float sum[slabs][4][4];

    CN_DEVICE static int first_row() { return static_cast<int>(threadIdx.x) / 32 / warps_across * slabs * 16; }
    CN_DEVICE static int first_column() { return static_cast<int>(threadIdx.x) / 32 % warps_across * 32; }
    CN_DEVICE void clear() {
        CN_UNROLL
        for (int i = 0; i < slabs * 16; i++) sum[i / 16][i / 4 % 4][i % 4] = 0;
    }
    CN_DEVICE static uint32_t tf32_at(const unsigned char* tile, int row_bytes, int row, int column) {
        return cn_to_tf32(*reinterpret_cast<const float*>(tile + row * row_bytes + column * 4));
    }
    /* half: of the step's depth, 8 of float32 or 16 of the others */
    CN_DEVICE static void read_image(const unsigned char* image, int half, uint32_t (&x)[slabs][4]) {
        const int lane = static_cast<int>(threadIdx.x) % 32;
        CN_UNROLL
        for (int i = 0; i < slabs; i++) {
            const int row = first_row() + i * 16;
            if constexpr (Kind == BY_TF32) {
                CN_UNROLL
                for (int r = 0; r < 4; r++)
                    x[i][r] = tf32_at(image, ROW_BYTES, row + lane / 4 + r % 2 * 8, half * 8 + lane % 4 + r / 2 * 4);
            } else {
                cn_ldmatrix_x4(x[i], image + (row + lane % 16) * ROW_BYTES + half * 32 + lane / 16 * 16);
            }
        }
    }
    CN_DEVICE static void read_kernel(const unsigned char* kernel, int half, uint32_t (&z)[4][2]) {
        const int lane = static_cast<int>(threadIdx.x) % 32, row_bytes = kernel_row<Kind, Columns>::bytes;
        CN_UNROLL
        for (int j = 0; j < 4; j++) {
            const int column = first_column() + j * 8;
            if constexpr (Kind == BY_TF32) {
                CN_UNROLL
                for (int r = 0; r < 2; r++) {
                    const int k = half * 8 + lane % 4 + r * 4;
                    z[j][r] = Layout == BY_FILTERS ? tf32_at(kernel, ROW_BYTES, column + lane / 4, k)
                                                   : tf32_at(kernel, row_bytes, k, column + lane / 4);
                }
            } else if (j % 2 == 0) { /* four matrices: two along the depth, two across */
                uint32_t r[4];
                if constexpr (Layout == BY_FILTERS)
                    cn_ldmatrix_x4(
                        r, kernel + (column + lane / 16 * 8 + lane % 8) * ROW_BYTES + half * 32 + lane / 8 % 2 * 16);
                else
                    cn_ldmatrix_x4_trans(r,
                                         kernel + (half * 16 + lane % 16) * row_bytes + (column + lane / 16 * 8) * 2);
                z[j][0] = r[0];
                z[j][1] = r[1];
                z[j + 1][0] = r[2];
                z[j + 1][1] = r[3];
            }
        }
    }
    CN_DEVICE void add(const unsigned char* image, const unsigned char* kernel) {
        uint32_t x[slabs][4], z[4][2];
        CN_UNROLL
        for (int half = 0; half < 2; half++) {
            read_image(image, half, x);
            read_kernel(kernel, half, z);
            CN_UNROLL
            for (int i = 0; i < slabs * 4; i++) {
                if constexpr (Kind == BY_TF32) cn_mma_m16n8k8_tf32(sum[i / 4][i % 4], x[i / 4], z[i % 4]);
                else if constexpr (Kind == BY_F16) cn_mma_m16n8k16_f16(sum[i / 4][i % 4], x[i / 4], z[i % 4]);
                else cn_mma_m16n8k16_bf16(sum[i / 4][i % 4], x[i / 4], z[i % 4]);
            }
        }
    }
    CN_DEVICE void save(float* staged) const {
        const int lane = static_cast<int>(threadIdx.x) % 32;
        CN_UNROLL
        for (int i = 0; i < slabs * 16; i++) {
            const int row = first_row() + i / 16 * 16 + lane / 4 + i % 4 / 2 * 8,
                      column = first_column() + i / 4 % 4 * 8 + lane % 4 * 2 + i % 2;
            staged[row * (Columns + 4) + column] = sum[i / 16][i / 4 % 4][i % 4];
        }
    }
};

template <int Kind, int Layout, int Rows, int Columns>
struct tile_of {
    using type = mma_tile<Kind, Layout, Rows, Columns>;
};
template <int Layout, int Rows, int Columns>
struct tile_of<BY_FMA, Layout, Rows, Columns> {
    using type = fma_tile<Rows, Columns>;
};

/* ---- the end of a result ---- */

/* The sum of row m and filter f over the cells inside x alone; `sum` where no cell is padding. */
template <int D, int Layout>
CN_DEVICE float sum_inside(const work& w, int m, int f, float sum) {
    const int4 row = find_row(w, m);
    const int4 last = make_int4((w.k_dims[0] - 1) * w.dilation[0], (w.k_dims[1] - 1) * w.dilation[1],
                                (w.k_dims[2] - 1) * w.dilation[2], 0);
    float total = 0;

    if (reads_cell(w, row, make_int4(0, 0, 0, 0)) && reads_cell(w, row, last)) return sum;
    place at;
    at.seek(w, 0);
    for (int k = 0; k < w.inner; k++) {
        const int4 offset = at.offset(w);
        const int64_t from =
            Layout == BY_FILTERS ? static_cast<int64_t>(f) * w.inner + k : static_cast<int64_t>(k) * w.filters + f;
        if (reads_cell(w, row, offset))
            total += cn_load<float>(D, w.x, row.w + offset.w) * cn_load<float>(D, w.kernel, from);
        at.advance(w, 1);
    }
    return total;
}

template <int D, int Layout>
CN_DEVICE void finish(const work& w, int m, int f, float sum) {
    if (sum != sum) sum = sum_inside<D, Layout>(w, m, f, sum);
    cn_tile_finish<D, float>(D, w.y, w.bias, w.residual, w.act, static_cast<int64_t>(m) * w.filters + f, f, sum);
}

/* Sixteen bytes of y from filter f on. */
template <int D, int Layout>
CN_DEVICE void finish_chunk(const work& w, int m, int f, float (&sum)[cn_pack<D>::count]) {
    const int count = cn_pack<D>::count;
    bool number = true;

    CN_UNROLL
    for (int i = 0; i < count; i++) number = number && sum[i] == sum[i];
    if (number) {
        cn_finish_chunk<D>(w.y, w.bias, w.residual, w.act, (static_cast<int64_t>(m) * w.filters + f) / count, f / count,
                           sum);
        return;
    }
    CN_UNROLL_BY(1)
    for (int i = 0; i < count; i++) {
        float one = sum[0];
        CN_UNROLL
        for (int k = 1; k < count; k++) one = k == i ? sum[k] : one;
        finish<D, Layout>(w, m, f + i, one);
    }
}

/* One block's results from shared memory to their places. */
template <int D, int Layout, int Rows, int Columns>
CN_DEVICE void finish_tile(const work& w, const float* staged, int row0, int column0) {
    const int chunk = cn_pack<D>::count, threads = tile_shape<Rows, Columns>::threads;

    CN_UNROLL_BY(1)
    for (int i = static_cast<int>(threadIdx.x); i < Rows * Columns / chunk; i += threads) {
        const int row = i / (Columns / chunk), column = i % (Columns / chunk) * chunk;
        float sum[chunk];
        if (row0 + row >= w.rows || column0 + column >= w.filters) continue;
        CN_UNROLL
        for (int k = 0; k < chunk; k++) sum[k] = staged[row * (Columns + 4) + column + k];
        finish_chunk<D, Layout>(w, row0 + row, column0 + column, sum);
    }
}

/* ---- kernels ---- */

template <int Kind, int Layout, int Rows, int Columns>
CN_KERNEL_BLOCKS((tile_shape<Rows, Columns>::threads), 2)
implicit_product(work w) {
    using Memory = memory_of<Kind, Layout, Rows, Columns>;
    const int threads = tile_shape<Rows, Columns>::threads, thread = static_cast<int>(threadIdx.x);
    const int row0 = static_cast<int>(blockIdx.x) / w.column_tiles * Rows,
              column0 = static_cast<int>(blockIdx.x) % w.column_tiles * Columns;
    const int first = static_cast<int>(blockIdx.y) * w.steps_per_split, count = min(w.steps_per_split, w.steps - first);
    typename tile_of<Kind, Layout, Rows, Columns>::type tile;
    CN_DYN_SHARED(unsigned char, memory);
    int4* table = reinterpret_cast<int4*>(memory);
    unsigned char* stages = memory + Memory::table;
    float* staged = reinterpret_cast<float*>(stages);
    place at;

    for (int i = thread; i < Rows; i += threads) table[i] = find_row(w, row0 + i);
    at.seek(w, first * element_of<Kind>::depth + thread % CHUNKS * element_of<Kind>::chunk);
    tile.clear();
    __syncthreads();
    for (int i = 0; i < count + STAGES - 1; i++) { /* brings step i, adds step i - (STAGES - 1) */
        const bool adds = i >= STAGES - 1;
        if (adds) {
            cn_cp_async_wait<STAGES - 2>();
            __syncthreads(); /* the step is there, and the one before it is done with: its place is taken */
        }
        if (i < count) {
            unsigned char* stage = stages + i % STAGES * Memory::stage;
            load_image<Kind, Rows, threads>(w, table, &at, stage);
            const int k0 = (first + i) * element_of<Kind>::depth;
            if constexpr (Layout == BY_FILTERS)
                load_filters<Kind, Columns, threads>(w, k0, column0, stage + Memory::kernel_at);
            else load_kernel<Kind, Columns, threads>(w, k0, column0, stage + Memory::kernel_at);
        }
        cn_cp_async_commit();
        if (adds)
            tile.add(stages + (i + 1) % STAGES * Memory::stage,
                     stages + (i + 1) % STAGES * Memory::stage + Memory::kernel_at);
    }
    __syncthreads();
    tile.save(staged);
    __syncthreads();
    if (w.y_chunks && !w.partial) {
        finish_tile<element_of<Kind>::dtype, Layout, Rows, Columns>(w, staged, row0, column0);
        return;
    }
    CN_UNROLL_BY(1)
    for (int i = thread; i < Rows * Columns; i += threads) {
        const int m = row0 + i / Columns, f = column0 + i % Columns;
        const float sum = staged[i / Columns * (Columns + 4) + i % Columns];
        if (m >= w.rows || f >= w.filters) continue;
        if (w.partial) w.partial[(static_cast<int64_t>(blockIdx.y) * w.rows + m) * w.filters + f] = sum;
        else finish<element_of<Kind>::dtype, Layout>(w, m, f, sum);
    }
}

template <int D, int Layout>
CN_KERNEL(256)
add_splits(work w, int splits) {
    const int64_t results = static_cast<int64_t>(w.rows) * w.filters;
    for (CN_ITEMS(i, results)) {
        float sum = 0;
        for (int s = 0; s < splits; s++) sum += w.partial[s * results + i];
        finish<D, Layout>(w, static_cast<int>(i) / w.filters, static_cast<int>(i) % w.filters, sum);
    }
}

/* ---- launching ---- */

template <int Kind, int Layout, int Rows, int Columns>
static cudaError_t launch_tiles(const cn_queue* q, work w, int splits) {
    const int row_tiles = (w.rows + Rows - 1) / Rows;

    w.column_tiles = (w.filters + Columns - 1) / Columns;
    w.steps = (w.inner + element_of<Kind>::depth - 1) / element_of<Kind>::depth;
    w.steps_per_split = (w.steps + splits - 1) / splits;
    return cn_launch(
        q, implicit_product<Kind, Layout, Rows, Columns>,
        dim3(static_cast<unsigned>(row_tiles) * static_cast<unsigned>(w.column_tiles), static_cast<unsigned>(splits)),
        dim3(tile_shape<Rows, Columns>::threads), memory_of<Kind, Layout, Rows, Columns>::bytes, w);
}

template <int Kind, int Layout>
static cudaError_t launch_kind(const cn_queue* q, const work& w, const cn_implicit_how* how) {
    const int D = element_of<Kind>::dtype;
    cudaError_t error;

    if (how->tile == CN_IMPLICIT_128X64) error = launch_tiles<Kind, Layout, 128, 64>(q, w, how->splits);
    else if (how->tile == CN_IMPLICIT_64X64) error = launch_tiles<Kind, Layout, 64, 64>(q, w, how->splits);
    else error = launch_tiles<Kind, Layout, 32, 32>(q, w, how->splits);
    if (error != cudaSuccess || !w.partial) return error;
    return cn_launch(q, add_splits<D, Layout>,
                     cn_blocks(static_cast<int64_t>(w.rows) * w.filters, w.rows > 32 ? 256 : 32),
                     dim3(w.rows > 32 ? 256 : 32), 0, w, how->splits);
}

template <int Kind>
static cudaError_t by_layout(const cn_queue* q, const work& w, const cn_implicit_how* how) {
    return how->by_filters ? launch_kind<Kind, BY_FILTERS>(q, w, how) : launch_kind<Kind, BY_CELLS>(q, w, how);
}

static work work_of(const cn_conv_args* a, const cn_implicit_how* how) {
    work w = {};

    w.x = a->x;
    w.kernel = a->kernel;
    w.bias = a->bias;
    w.residual = a->residual;
    w.y = a->y;
    w.partial = how->splits > 1 ? how->partial : NULL;
    w.act = a->act;
    w.filters = static_cast<int>(a->filters);
    w.channels = static_cast<int>(a->channels);
    w.rows = static_cast<int>(a->batch);
    w.inner = w.channels;
    for (int d = 0; d < 3; d++) {
        w.x_dims[d] = static_cast<int>(a->x_dims[d]);
        w.k_dims[d] = static_cast<int>(a->k_dims[d]);
        w.y_dims[d] = static_cast<int>(a->y_dims[d]);
        w.strides[d] = static_cast<int>(a->strides[d]);
        w.dilation[d] = static_cast<int>(a->dilation[d]);
        w.pad[d] = static_cast<int>(a->pad[d]);
        w.rows *= w.y_dims[d];
        w.inner *= w.k_dims[d];
    }
    w.image_chunks = cn_pack_fits(a->dtype, a->x, a->channels);
    w.kernel_chunks = cn_pack_fits(a->dtype, a->kernel, how->by_filters ? w.inner : a->filters);
    w.y_chunks = cn_pack_fits(a->dtype, a->y, a->filters) && cn_pack_fits(a->dtype, a->bias, 0) &&
                 cn_pack_fits(a->dtype, a->residual, 0);
    return w;
}

/* Whether the product of n sizes stays below 2^30; sizes may be large each. */
static bool small_product(const int64_t* sizes, int n) {
    int64_t product = 1;
    for (int i = 0; i < n; i++) {
        if (sizes[i] >= INT64_C(1) << 30) return false;
        product *= sizes[i];
        if (product >= INT64_C(1) << 30) return false;
    }
    return true;
}

}  // namespace

extern "C" bool cn_implicit_fits(const cn_conv_args* a) {
    int64_t x[5] = {a->batch, 1, 1, 1, a->channels},
            y[5] = {a->batch, a->y_dims[0], a->y_dims[1], a->y_dims[2], a->filters};
    const int64_t kernel[5] = {a->channels, a->k_dims[0], a->k_dims[1], a->k_dims[2], a->filters};

    if (a->dtype == CORNU_FLOAT64 || a->groups != 1 || a->channels == 0 ||
        a->k_dims[0] * a->k_dims[1] * a->k_dims[2] == 0)
        return false;
    for (int d = 0; d < 3; d++) { /* all cells that a window reaches, padding included */
        const int64_t pad = a->pad[d] < 0 ? -a->pad[d] : a->pad[d], limit = INT64_C(1) << 30;
        if (pad >= limit || a->y_dims[d] >= limit || a->strides[d] >= limit || a->k_dims[d] >= limit ||
            a->dilation[d] >= limit)
            return false;
        x[d + 1] = a->x_dims[d] + pad + a->y_dims[d] * a->strides[d] + a->k_dims[d] * a->dilation[d];
    }
    return small_product(x, 5) && small_product(y, 5) && small_product(kernel, 5);
}

extern "C" int cn_implicit_rows(cn_implicit_tile tile) {
    return tile == CN_IMPLICIT_128X64 ? 128 : tile == CN_IMPLICIT_64X64 ? 64 : 32;
}
extern "C" int cn_implicit_columns(cn_implicit_tile tile) { return tile == CN_IMPLICIT_32X32 ? 32 : 64; }
extern "C" int cn_implicit_depth(int dtype) {
    return dtype == CORNU_FLOAT32 ? element_of<BY_FMA>::depth : element_of<BY_F16>::depth;
}

extern "C" cudaError_t cn_k_implicit(const cn_queue* q, const cn_conv_args* a, const cn_implicit_how* how) {
    const work w = work_of(a, how);

    switch (a->dtype) {
        case CORNU_FLOAT16: return by_layout<BY_F16>(q, w, how);
        case CORNU_BFLOAT16: return by_layout<BY_BF16>(q, w, how);
        default: return how->tf32 ? by_layout<BY_TF32>(q, w, how) : launch_kind<BY_FMA, BY_CELLS>(q, w, how);
    }
}
