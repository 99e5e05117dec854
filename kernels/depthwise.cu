/* Depthwise convolutions, one filter a channel:
 *
 *     y[n, o, c] = act(sum over j of load(x[n, o stride + j dilation - pad, c]) k[j, c] + bias[c] + residual[n, o, c])
 *
 * A thread makes sixteen bytes of channels of Span neighbouring results of a row. Under each row of the kernel it reads
 * the cells below them once, and multiplies each with every kernel cell that it lies under:
 *
 *     kernel 3, stride 1, span 4:   cells    0 1 2 3 4 5
 *                                   results  ----- 0         cell 2 is under kernel cell 2 of result 0,
 *                                              ----- 1       1 of result 1, 0 of result 2
 *
 * Threads along the channels are neighbours in memory. Other widths, strides and dilations than the common ones read a
 * cell for every product. Bound by memory: x is read once from it and again from the cache. y must not alias the
 * inputs. Sums in float32. */
#include "kernels/depthwise.h"

#include "kernels/finish.h"
#include "kernels/tile.h"

#define THREADS 128

namespace {

typedef struct work {
    cn_conv_args a;
    int load_fn;
    int64_t chunks, spans, span_count; /* sixteen bytes of the channels; spans of a row; of y */
} work;

/* v as it comes from x. */
template <int D>
CN_DEVICE void unpack_loaded(int fn, const uint4& p, float (&v)[cn_pack<D>::count]) {
    cn_unpack<D>(p, v);
    if (fn == CN_FN_copy) return;
    CN_UNROLL
    for (int i = 0; i < cn_pack<D>::count; i++) v[i] = cn_light_act(fn, v[i]);
}

template <int D>
CN_DEVICE void add_product(const float (&x)[cn_pack<D>::count], const uint4& weights, float (&sum)[cn_pack<D>::count]) {
    float k[cn_pack<D>::count];
    cn_unpack<D>(weights, k);
    CN_UNROLL
    for (int i = 0; i < cn_pack<D>::count; i++) sum[i] += x[i] * k[i];
}

/* Adds what one row of cells gives under one row of the kernel to results o, o + 1, ...: x and kernel are chunk numbers
 * of the row's first cell. */
template <int D, int Width, int Stride, int Span>
CN_DEVICE void add_row(const work& w, int64_t x, int64_t kernel, int64_t o, float (&sum)[Span][cn_pack<D>::count]) {
    const int cells = (Span - 1) * Stride + Width;
    const int64_t first = o * Stride - w.a.pad[2];
    uint4 weights[Width], row[cells];
    float v[cn_pack<D>::count];

    CN_UNROLL
    for (int i = 0; i < cells; i++) {
        if (first + i >= 0 && first + i < w.a.x_dims[2]) row[i] = cn_load_chunk(w.a.x, x + (first + i) * w.chunks);
    }
    CN_UNROLL
    for (int j = 0; j < Width; j++) weights[j] = cn_load_chunk(w.a.kernel, kernel + j * w.chunks);
    CN_UNROLL
    for (int i = 0; i < cells; i++) {
        if (first + i < 0 || first + i >= w.a.x_dims[2]) continue;
        unpack_loaded<D>(w.load_fn, row[i], v);
        CN_UNROLL
        for (int s = 0; s < Span; s++) {
            if (i - s * Stride >= 0 && i - s * Stride < Width) add_product<D>(v, weights[i - s * Stride], sum[s]);
        }
    }
}

/* The same for any width, stride and dilation. */
template <int D, int Span>
CN_DEVICE void add_any_row(const work& w, int64_t x, int64_t kernel, int64_t o, float (&sum)[Span][cn_pack<D>::count]) {
    for (int64_t j = 0; j < w.a.k_dims[2]; j++) {
        const uint4 weights = cn_load_chunk(w.a.kernel, kernel + j * w.chunks);
        CN_UNROLL
        for (int s = 0; s < Span; s++) {
            const int64_t cell = (o + s) * w.a.strides[2] + j * w.a.dilation[2] - w.a.pad[2];
            float v[cn_pack<D>::count];
            if (cell < 0 || cell >= w.a.x_dims[2]) continue;
            unpack_loaded<D>(w.load_fn, cn_load_chunk(w.a.x, x + cell * w.chunks), v);
            add_product<D>(v, weights, sum[s]);
        }
    }
}

/* Threads: x along the chunks, y along the spans. Width 0: any. */
template <int D, int Width, int Stride, int Span>
CN_KERNEL_BLOCKS(THREADS, 3)
depthwise(work w) {
    const cn_conv_args& a = w.a;
    const int64_t chunk_tiles = (w.chunks + blockDim.x - 1) / blockDim.x,
                  span_tiles = (w.span_count + blockDim.y - 1) / blockDim.y;

    for (int64_t tile = blockIdx.x; tile < chunk_tiles * span_tiles; tile += gridDim.x) {
        int64_t chunk, o[3], n;
        float sum[Span][cn_pack<D>::count] = {};
        const int64_t span = cn_split(tile, chunk_tiles, &chunk) * blockDim.y + threadIdx.y;
        chunk = chunk * blockDim.x + threadIdx.x;
        if (chunk >= w.chunks || span >= w.span_count) continue;
        n = cn_split(cn_split(cn_split(span, w.spans, &o[2]), a.y_dims[1], &o[1]), a.y_dims[0], &o[0]);
        o[2] *= Span;
        for (int64_t k = 0; k < a.k_dims[0] * a.k_dims[1]; k++) {
            int64_t cell[2];
            cell[0] = cn_split(k, a.k_dims[1], &cell[1]);
            for (int d = 0; d < 2; d++) cell[d] = o[d] * a.strides[d] + cell[d] * a.dilation[d] - a.pad[d];
            if (cell[0] < 0 || cell[0] >= a.x_dims[0] || cell[1] < 0 || cell[1] >= a.x_dims[1]) continue;
            const int64_t x = ((n * a.x_dims[0] + cell[0]) * a.x_dims[1] + cell[1]) * a.x_dims[2] * w.chunks + chunk,
                          kernel = k * a.k_dims[2] * w.chunks + chunk;
            if constexpr (Width == 0) add_any_row<D, Span>(w, x, kernel, o[2], sum);
            else add_row<D, Width, Stride, Span>(w, x, kernel, o[2], sum);
        }
        const int64_t at = (((n * a.y_dims[0] + o[0]) * a.y_dims[1] + o[1]) * a.y_dims[2] + o[2]) * w.chunks + chunk;
        CN_UNROLL
        for (int s = 0; s < Span; s++) {
            if (o[2] + s < a.y_dims[2])
                cn_finish_chunk<D>(a.y, a.bias, a.residual, a.act, at + s * w.chunks, chunk, sum[s]);
        }
    }
}

/* ---- launching ---- */

template <int D, int Width, int Stride, int Span>
static cudaError_t launch_spans(const cn_queue* q, work w) {
    unsigned across = 1, along;

    w.chunks = w.a.channels / cn_pack<D>::count;
    w.spans = (w.a.y_dims[2] + Span - 1) / Span;
    w.span_count = w.a.batch * w.a.y_dims[0] * w.a.y_dims[1] * w.spans;
    while (across < THREADS && across < w.chunks) across *= 2;
    along = static_cast<unsigned>(w.span_count < THREADS / across ? w.span_count : THREADS / across);
    const int64_t tiles = (w.chunks + across - 1) / across * ((w.span_count + along - 1) / along);
    return cn_launch(q, depthwise<D, Width, Stride, Span>, cn_tile_grid(tiles), dim3(across, along), 0, w);
}

template <int D, int Width, int Stride>
static cudaError_t by_span(const cn_queue* q, const work& w, cn_depthwise_span span) {
    return span == CN_DEPTHWISE_ONE ? launch_spans<D, Width, Stride, 1>(q, w) : launch_spans<D, Width, Stride, 4>(q, w);
}

template <int D>
static cudaError_t by_width(const cn_queue* q, const work& w, cn_depthwise_span span) {
    const int64_t width = w.a.k_dims[2], stride = w.a.strides[2];

    if (w.a.dilation[2] == 1 && stride <= 2) {
        if (width == 3) return stride == 1 ? by_span<D, 3, 1>(q, w, span) : by_span<D, 3, 2>(q, w, span);
        if (width == 5) return stride == 1 ? by_span<D, 5, 1>(q, w, span) : by_span<D, 5, 2>(q, w, span);
        if (width == 7 && stride == 1) return by_span<D, 7, 1>(q, w, span);
    }
    return by_span<D, 0, 0>(q, w, span);
}

}  // namespace

extern "C" bool cn_depthwise_fits(const cn_conv_args* a) {
    return a->dtype != CORNU_FLOAT64 && a->groups == a->channels && a->filters == a->channels &&
           cn_pack_fits(a->dtype, NULL, a->channels);
}

extern "C" bool cn_depthwise_loads(int fn) { return cn_act_is_light(fn); }

extern "C" cudaError_t cn_k_depthwise(const cn_queue* q, const cn_conv_args* a, const cn_depthwise_how* how) {
    const work w = {*a, how->load_fn, 0, 0, 0};

    switch (a->dtype) {
        case CORNU_FLOAT16: return by_width<CORNU_FLOAT16>(q, w, how->span);
        case CORNU_BFLOAT16: return by_width<CORNU_BFLOAT16>(q, w, how->span);
        default: return by_width<CORNU_FLOAT32>(q, w, how->span);
    }
}
