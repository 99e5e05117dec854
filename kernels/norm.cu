/* Normalizations; y may equal x or the residual.
 *
 *     held             rows of a multiple of 16 bytes, in registers: x is read once, y written once, 16 bytes at a time (rows.h); a residual
 *                      is added as it comes in, so that the sum is never written
 *     groups           of channels in vectors of up to 16 bytes: as the next two, but a vector at a time
 *     warp a line      up to 1024 elements, several lines a block
 *     block a line     longer ones
 *     thread a line    neighbours in memory belong to different lines and there are many of them, or lines are short
 *
 * In the second to fourth, lines of up to 40 KiB are held in shared memory, so that x is read once; longer ones are read three times.
 *
 * Statistics in float (float64: double), in two passes: the second one takes differences to the mean of the first, whose own mean corrects
 * it. So a mean far from zero costs no digits. */
#include "kernels/norm.h"

#include <math.h>

#include "kernels/block.h"
#include "kernels/element.h"
#include "kernels/rows.h"

#define THREADS CN_LINE_THREADS

namespace {

/* DTYPE 0: known at launch only. */
template <typename T, int DTYPE>
CN_DEVICE T load(int dtype, const void* x, int64_t i) {
    return cn_load<T>(DTYPE ? DTYPE : dtype, x, i);
}
template <typename T, int DTYPE>
CN_DEVICE void store(int dtype, void* y, int64_t i, T v) {
    cn_store<T>(DTYPE ? DTYPE : dtype, y, i, v);
}

CN_DEVICE float sqrt_of(float x) { return sqrtf(x); }
CN_DEVICE double sqrt_of(double x) { return sqrt(x); }

/* ---- batch ---- */

template <typename T, int DTYPE>
CN_KERNEL(THREADS) batch_norm(cn_batch_norm_args a) {
    for (CN_ITEMS(i, a.count)) {
        const int64_t row = cn_quotient(i, a.inner), c = row - cn_quotient(row, a.channels) * a.channels.value;
        T y = (load<T, DTYPE>(a.dtype, a.x, i) - load<T, DTYPE>(a.dtype, a.mean, c)) / sqrt_of(load<T, DTYPE>(a.dtype, a.variance, c) + static_cast<T>(a.epsilon));
        if (a.gamma) y *= load<T, DTYPE>(a.dtype, a.gamma, c);
        if (a.beta) y += load<T, DTYPE>(a.dtype, a.beta, c);
        store<T, DTYPE>(a.dtype, a.y, i, y);
    }
}

/* ---- over lines ---- */

/* x - mean - correction, where the mean is no further off than a rounding of x. */
template <typename T>
struct statistics {
    T mean, correction, scale;

    /* From the sums of x - mean and of its square. */
    CN_DEVICE void finish(const cn_line_norm_args& a, T sum, T squares) {
        const T count = static_cast<T>(a.lines.over);
        T variance;
        correction = a.about_zero ? 0 : sum / count;
        variance = squares / count - correction * correction;
        scale = 1 / sqrt_of((variance < 0 ? 0 : variance) + static_cast<T>(a.epsilon));
        if (a.no_center) mean = correction = 0;
    }
};

template <typename T, int DTYPE>
CN_DEVICE T load_sum(const cn_line_norm_args& a, int64_t at) {
    const T x = load<T, DTYPE>(a.dtype, a.x, at);
    return a.residual ? x + load<T, DTYPE>(a.dtype, a.residual, at) : x;
}

template <typename T, int DTYPE>
CN_DEVICE void put(const cn_line_norm_args& a, const statistics<T>& s, int64_t k, int64_t o, int64_t at, T x) {
    T y = (x - s.mean - s.correction) * s.scale;
    if (a.gamma || a.beta) {
        int64_t c = o;
        if (a.grouped) {
            c = (k - cn_quotient(k, a.groups) * a.groups.value) * a.per_group.value + o - cn_quotient(o, a.per_group) * a.per_group.value;
        }
        if (a.gamma) y *= load<T, DTYPE>(a.dtype, a.gamma, c);
        if (a.beta) y += load<T, DTYPE>(a.dtype, a.beta, c);
    }
    store<T, DTYPE>(a.dtype, a.y, at, y);
}

/* Block (threads of a line, lines). Each thread reads what it cached itself, so the cache needs no barrier. */
template <typename T, int DTYPE>
CN_KERNEL_BLOCKS(THREADS, 4)
norm_wide(cn_line_norm_args a, bool cached) {
    CN_SHARED(T, warps, [THREADS / CN_WARP]);
    CN_DYN_SHARED(T, all);
    T* cache = cached ? all + threadIdx.y * static_cast<size_t>(a.lines.over) : all;
    const int64_t step = blockDim.x;

    for (int64_t first = static_cast<int64_t>(blockIdx.x) * blockDim.y; first < a.lines.kept; first += static_cast<int64_t>(gridDim.x) * blockDim.y) {
        const int64_t k = first + threadIdx.y, over = k < a.lines.kept ? a.lines.over : 0;
        const int64_t start = over ? cn_line_start(a.lines, k) : 0;
        statistics<T> s;
        cn_long_sum<T> sum, off, squares;

        for (int64_t o = threadIdx.x; o < over; o += step) {
            const T x = load_sum<T, DTYPE>(a, start + cn_line_offset(a.lines, o));
            if (cached) cache[o] = x;
            sum.add(x);
        }
        s.mean = a.about_zero ? 0 : cn_block_fold(sum.value(), warps, cn_add<T>()) / static_cast<T>(a.lines.over);
        for (int64_t o = threadIdx.x; o < over; o += step) {
            const T d = (cached ? cache[o] : load_sum<T, DTYPE>(a, start + cn_line_offset(a.lines, o))) - s.mean;
            off.add(d);
            squares.add(d * d);
        }
        const T total = cn_block_fold(off.value(), warps, cn_add<T>());
        s.finish(a, total, cn_block_fold(squares.value(), warps, cn_add<T>()));
        for (int64_t o = threadIdx.x; o < over; o += step) {
            const int64_t at = start + cn_line_offset(a.lines, o);
            put<T, DTYPE>(a, s, k, o, at, cached ? cache[o] : load_sum<T, DTYPE>(a, at));
        }
    }
}

template <typename T>
CN_KERNEL(128) norm_thread_per_line(cn_line_norm_args a) {
    for (CN_ITEMS(k, a.lines.kept)) {
        const int64_t start = cn_line_start(a.lines, k);
        statistics<T> s;
        cn_long_sum<T> sum, off, squares;

        for (int64_t o = 0; !a.about_zero && o < a.lines.over; o++)
            sum.add(load_sum<T, 0>(a, start + cn_line_offset(a.lines, o)));
        s.mean = sum.value() / static_cast<T>(a.lines.over);
        for (int64_t o = 0; o < a.lines.over; o++) {
            const T d = load_sum<T, 0>(a, start + cn_line_offset(a.lines, o)) - s.mean;
            off.add(d);
            squares.add(d * d);
        }
        s.finish(a, off.value(), squares.value());
        for (int64_t o = 0; o < a.lines.over; o++) {
            const int64_t at = start + cn_line_offset(a.lines, o);
            put<T, 0>(a, s, k, o, at, load_sum<T, 0>(a, at));
        }
    }
}

template <typename E, int EACH>
struct alignas(sizeof(E) * EACH) vector_of {
    E v[EACH];
};

/* Elements [at, at + EACH). */
template <typename E, int EACH>
CN_DEVICE void load_vector(const void* from, int64_t at, float* v) {
    const vector_of<E, EACH> part = *reinterpret_cast<const vector_of<E, EACH>*>(static_cast<const E*>(from) + at);
    CN_UNROLL
    for (int k = 0; k < EACH; k++) v[k] = cn_widen(part.v[k]);
}

/* Vector number v of the line that begins at start, from the cache or from x. */
template <typename E, int EACH>
CN_DEVICE vector_of<float, EACH> group_part(const cn_line_norm_args& a, const vector_of<float, EACH>* cache,
                                            int64_t start, int64_t v) {
    vector_of<float, EACH> x;
    if (cache) return cache[v];
    load_vector<E, EACH>(a.x, start + cn_line_offset(a.lines, v * EACH), x.v);
    return x;
}

/* As norm_wide, for groups of channels in whole vectors. */
template <typename E, int EACH>
CN_KERNEL_BLOCKS(THREADS, 4)
norm_groups(cn_line_norm_args a, bool cached) {
    typedef vector_of<float, EACH> part;
    CN_SHARED(float, warps, [THREADS / CN_WARP]);
    CN_DYN_SHARED(part, all);
    const int64_t vectors = a.lines.over / EACH, step = blockDim.x;
    part* cache = cached ? all + threadIdx.y * vectors : nullptr;

    for (int64_t first = static_cast<int64_t>(blockIdx.x) * blockDim.y; first < a.lines.kept;
         first += static_cast<int64_t>(gridDim.x) * blockDim.y) {
        const int64_t k = first + threadIdx.y, count = k < a.lines.kept ? vectors : 0;
        const int64_t start = count ? cn_line_start(a.lines, k) : 0,
                      channels = (k - cn_quotient(k, a.groups) * a.groups.value) * a.per_group.value;
        statistics<float> s;
        cn_long_sum<float> sum, off, squares;

        for (int64_t v = threadIdx.x; v < count; v += step) {
            const part x = group_part<E, EACH>(a, nullptr, start, v);
            float total = 0;
            CN_UNROLL
            for (int i = 0; i < EACH; i++) total += x.v[i];
            sum.add(total);
            if (cached) cache[v] = x;
        }
        s.mean = cn_block_fold(sum.value(), warps, cn_add<float>()) / static_cast<float>(a.lines.over);
        for (int64_t v = threadIdx.x; v < count; v += step) {
            const part x = group_part<E, EACH>(a, cache, start, v);
            float total = 0, square = 0;
            CN_UNROLL
            for (int i = 0; i < EACH; i++) {
                total += x.v[i] - s.mean;
                square += (x.v[i] - s.mean) * (x.v[i] - s.mean);
            }
            off.add(total);
            squares.add(square);
        }
        const float total = cn_block_fold(off.value(), warps, cn_add<float>());
        s.finish(a, total, cn_block_fold(squares.value(), warps, cn_add<float>()));
        for (int64_t v = threadIdx.x; v < count; v += step) {
            const int64_t o = v * EACH, channel = channels + o - cn_quotient(o, a.per_group) * a.per_group.value;
            const part x = group_part<E, EACH>(a, cache, start, v);
            float gamma[EACH] = {}, beta[EACH] = {};
            vector_of<E, EACH> out;
            if (a.gamma) load_vector<E, EACH>(a.gamma, channel, gamma);
            if (a.beta) load_vector<E, EACH>(a.beta, channel, beta);
            CN_UNROLL
            for (int i = 0; i < EACH; i++) {
                float y = (x.v[i] - s.mean - s.correction) * s.scale;
                if (a.gamma) y *= gamma[i];
                if (a.beta) y += beta[i];
                cn_narrow(&out.v[i], y);
            }
            *reinterpret_cast<vector_of<E, EACH>*>(static_cast<E*>(a.y) + start + cn_line_offset(a.lines, o)) = out;
        }
    }
}

/* Block (threads of a row, rows). */
template <typename E, int VECTORS>
CN_KERNEL(CN_ROW_THREADS) norm_held(cn_line_norm_args a) {
    typedef cn_row<E, VECTORS> held;
    CN_SHARED(float, warps, [CN_ROW_THREADS / CN_WARP]);

    for (int64_t first = static_cast<int64_t>(blockIdx.x) * blockDim.y; first < a.lines.kept; first += static_cast<int64_t>(gridDim.x) * blockDim.y) {
        const int64_t start = (first + threadIdx.y) * a.lines.over;
        const int over = first + threadIdx.y < a.lines.kept ? static_cast<int>(a.lines.over) : 0;
        statistics<float> s;
        held row;
        float sum = 0, off = 0, squares = 0;

        row.load(static_cast<const E*>(a.x) + start, over);
        if (a.residual) row.add(static_cast<const E*>(a.residual) + start, over);
        row.each(over, [&](float x) { sum += x; });
        s.mean = a.about_zero ? 0 : cn_block_fold(sum, warps, cn_add<float>()) / static_cast<float>(a.lines.over);
        row.each(over, [&](float x) {
            off += x - s.mean;
            squares += (x - s.mean) * (x - s.mean);
        });
        off = cn_block_fold(off, warps, cn_add<float>());
        s.finish(a, off, cn_block_fold(squares, warps, cn_add<float>()));
        CN_UNROLL
        for (int i = 0; i < VECTORS; i++) {
            const int at = held::place(i);
            float gamma[held::EACH] = {}, beta[held::EACH] = {};
            if (at >= over) continue;
            if (a.gamma) load_vector<E, held::EACH>(a.gamma, at, gamma);
            if (a.beta) load_vector<E, held::EACH>(a.beta, at, beta);
            CN_UNROLL
            for (int k = 0; k < held::EACH; k++) {
                float y = (row.v[i][k] - s.mean - s.correction) * s.scale;
                if (a.gamma) y *= gamma[k];
                if (a.beta) y += beta[k];
                row.v[i][k] = y;
            }
        }
        row.store(static_cast<E*>(a.y) + start, over);
    }
}

template <typename E>
cudaError_t launch_held(const cn_queue* q, const cn_line_norm_args* a, const cn_row_plan& p) {
    return cn_by_vectors(p, [&](auto vectors) {
        return cn_launch(q, norm_held<E, decltype(vectors)::value>, cn_blocks(a->lines.kept, static_cast<int>(p.rows)), dim3(p.threads, p.rows), 0, *a);
    });
}

/* How many elements a vector of norm_groups may have, as many as `most` or 2; 0: none. */
int group_vector(const cn_line_norm_args* a, int most, size_t size) {
    const uintptr_t all = reinterpret_cast<uintptr_t>(a->x) | reinterpret_cast<uintptr_t>(a->y) |
                          reinterpret_cast<uintptr_t>(a->gamma) | reinterpret_cast<uintptr_t>(a->beta);
    if (!a->grouped || a->residual || a->about_zero || a->lines.over <= 8) return 0;
    for (int each = most; each >= 2; each = each > 2 ? 2 : 0) {
        if (a->per_group.value % each == 0 && all % (static_cast<size_t>(each) * size) == 0) return each;
    }
    return 0;
}

/* Lines are rows and no shorter than that: none goes to a thread. */
template <typename E, int EACH>
cudaError_t launch_groups(const cn_queue* q, const cn_line_norm_args* a) {
    return cn_launch_lines<float>(q, norm_groups<E, EACH>, static_cast<void (*)(cn_line_norm_args)>(nullptr), a);
}

template <typename T, int DTYPE>
cudaError_t launch(const cn_queue* q, const cn_line_norm_args* a) {
    return cn_launch_lines<T>(q, norm_wide<T, DTYPE>, norm_thread_per_line<T>, a);
}

}  // namespace

extern "C" cudaError_t cn_k_line_norm(const cn_queue* q, const cn_line_norm_args* a) {
    const cn_row_plan p = cn_row_plan_of(a->lines, a->dtype, a->x, a->y);
    const uintptr_t others = reinterpret_cast<uintptr_t>(a->gamma) | reinterpret_cast<uintptr_t>(a->beta) |
                             reinterpret_cast<uintptr_t>(a->residual);
    if (p.vectors && !a->grouped && others % 16 == 0) {
        if (a->dtype == CORNU_FLOAT32) return launch_held<float>(q, a, p);
        return a->dtype == CORNU_FLOAT16 ? launch_held<__half>(q, a, p) : launch_held<__nv_bfloat16>(q, a, p);
    }
    if (a->dtype == CORNU_FLOAT64) return launch<double, CORNU_FLOAT64>(q, a);
    switch (group_vector(a, a->dtype == CORNU_FLOAT32 ? 4 : 8, a->dtype == CORNU_FLOAT32 ? 4 : 2)) {
        case 2:
            return a->dtype == CORNU_FLOAT32   ? launch_groups<float, 2>(q, a)
                   : a->dtype == CORNU_FLOAT16 ? launch_groups<__half, 2>(q, a)
                                               : launch_groups<__nv_bfloat16, 2>(q, a);
        case 4: return launch_groups<float, 4>(q, a);
        case 8:
            return a->dtype == CORNU_FLOAT16 ? launch_groups<__half, 8>(q, a) : launch_groups<__nv_bfloat16, 8>(q, a);
        default: break;
    }
    return a->dtype == CORNU_FLOAT32 ? launch<float, CORNU_FLOAT32>(q, a) : launch<float, 0>(q, a);
}

extern "C" cudaError_t cn_k_batch_norm(const cn_queue* q, const cn_batch_norm_args* a) {
    const int threads = a->count < 4096 ? 64 : THREADS;
    const dim3 grid = cn_blocks(a->count, threads), block(static_cast<unsigned>(threads));
    if (a->dtype == CORNU_FLOAT64) return cn_launch(q, batch_norm<double, CORNU_FLOAT64>, grid, block, 0, *a);
    return a->dtype == CORNU_FLOAT32 ? cn_launch(q, batch_norm<float, CORNU_FLOAT32>, grid, block, 0, *a) : cn_launch(q, batch_norm<float, 0>, grid, block, 0, *a);
}
