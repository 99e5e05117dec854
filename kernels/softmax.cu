/* Softmax, y = exp(x - max x) / sum exp(x - max x) over the elements of a line; y may equal x.
 *
 *     held             rows of a multiple of 16 bytes, in registers: x is read once, y written once, 16 bytes at a time (rows.h)
 *     warp a line      up to 1024 elements, several lines a block
 *     block a line     longer ones
 *     thread a line    neighbours in memory belong to different lines and there are many of them, or lines are short
 *
 * In the second and third, lines of up to 40 KiB are held in shared memory, so that x is read once; longer ones are read three times.
 *
 * float16, bfloat16 and float32 in float, float64 in double. A NaN, an infinity above or nothing but -infinity makes the whole line NaN. */
#include "kernels/softmax.h"

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

CN_DEVICE float exp_of(float x) { return expf(x); }
CN_DEVICE double exp_of(double x) { return exp(x); }
CN_DEVICE float log_of(float x) { return logf(x); }
CN_DEVICE double log_of(double x) { return log(x); }

template <typename T>
CN_DEVICE T minus_infinity() {
    return static_cast<T>(-INFINITY);
}

/* The larger number; a NaN is passed over: the sum finds it. */
template <typename T>
struct top_of {
    CN_DEVICE T operator()(T a, T x) const { return x > a ? x : a; }
};

/* What each element of a line is turned into, once its sum is known. */
template <typename T>
struct result {
    T top, part; /* 1 / sum, or log(sum) */
    bool log;

    CN_DEVICE result(T largest, T sum, bool logarithm) : top(largest), part(logarithm ? log_of(sum) : 1 / sum), log(logarithm) {}
    CN_DEVICE T of(T x) const { return log ? x - top - part : exp_of(x - top) * part; }
};

/* Block (threads of a line, lines). Each thread reads what it cached itself, so the cache needs no barrier. */
template <typename T, int DTYPE>
CN_KERNEL(THREADS) softmax_wide(cn_softmax_args a, bool cached) {
    CN_SHARED(T, warps, [THREADS / CN_WARP]);
    CN_DYN_SHARED(T, all);
    T* cache = cached ? all + threadIdx.y * static_cast<size_t>(a.lines.over) : all;
    const int64_t step = blockDim.x;

    for (int64_t first = static_cast<int64_t>(blockIdx.x) * blockDim.y; first < a.lines.kept; first += static_cast<int64_t>(gridDim.x) * blockDim.y) {
        const int64_t k = first + threadIdx.y, over = k < a.lines.kept ? a.lines.over : 0;
        const int64_t start = over ? cn_line_start(a.lines, k) : 0;
        T top = minus_infinity<T>();
        cn_long_sum<T> sum;

        for (int64_t o = threadIdx.x; o < over; o += step) {
            const T x = load<T, DTYPE>(a.dtype, a.x, start + cn_line_offset(a.lines, o));
            if (cached) cache[o] = x;
            top = top_of<T>()(top, x);
        }
        top = cn_block_fold(top, warps, top_of<T>());
        for (int64_t o = threadIdx.x; o < over; o += step) {
            sum.add(exp_of((cached ? cache[o] : load<T, DTYPE>(a.dtype, a.x, start + cn_line_offset(a.lines, o))) - top));
        }
        const result<T> r(top, cn_block_fold(sum.value(), warps, cn_add<T>()), a.log);
        for (int64_t o = threadIdx.x; o < over; o += step) {
            const int64_t at = start + cn_line_offset(a.lines, o);
            store<T, DTYPE>(a.dtype, a.y, at, r.of(cached ? cache[o] : load<T, DTYPE>(a.dtype, a.x, at)));
        }
    }
}

template <typename T>
CN_KERNEL(128) softmax_thread_per_line(cn_softmax_args a) {
    for (CN_ITEMS(k, a.lines.kept)) {
        const int64_t start = cn_line_start(a.lines, k);
        T top = minus_infinity<T>();
        cn_long_sum<T> sum;

        for (int64_t o = 0; o < a.lines.over; o++) top = top_of<T>()(top, cn_load<T>(a.dtype, a.x, start + cn_line_offset(a.lines, o)));
        for (int64_t o = 0; o < a.lines.over; o++) sum.add(exp_of(cn_load<T>(a.dtype, a.x, start + cn_line_offset(a.lines, o)) - top));
        const result<T> r(top, sum.value(), a.log);
        for (int64_t o = 0; o < a.lines.over; o++) {
            const int64_t at = start + cn_line_offset(a.lines, o);
            cn_store<T>(a.dtype, a.y, at, r.of(cn_load<T>(a.dtype, a.x, at)));
        }
    }
}

/* Block (threads of a row, rows). */
template <typename E, int VECTORS>
CN_KERNEL(CN_ROW_THREADS) softmax_held(cn_softmax_args a) {
    CN_SHARED(float, warps, [CN_ROW_THREADS / CN_WARP]);

    for (int64_t first = static_cast<int64_t>(blockIdx.x) * blockDim.y; first < a.lines.kept; first += static_cast<int64_t>(gridDim.x) * blockDim.y) {
        const int64_t start = (first + threadIdx.y) * a.lines.over;
        const int over = first + threadIdx.y < a.lines.kept ? static_cast<int>(a.lines.over) : 0;
        cn_row<E, VECTORS> row;
        float top = -INFINITY, sum = 0;

        row.load(static_cast<const E*>(a.x) + start, over);
        row.each(over, [&](float x) { top = top_of<float>()(top, x); });
        top = cn_block_fold(top, warps, top_of<float>());
        if (a.log) row.each(over, [&](float x) { sum += expf(x - top); });
        else row.each(over, [&](float& x) { sum += x = expf(x - top); });
        const result<float> r(top, cn_block_fold(sum, warps, cn_add<float>()), a.log);
        row.each(over, [&](float& x) { x = a.log ? x - top - r.part : x * r.part; });
        row.store(static_cast<E*>(a.y) + start, over);
    }
}

template <typename E>
cudaError_t launch_held(const cn_queue* q, const cn_softmax_args* a, const cn_row_plan& p) {
    return cn_by_vectors(p, [&](auto vectors) {
        return cn_launch(q, softmax_held<E, decltype(vectors)::value>, cn_blocks(a->lines.kept, static_cast<int>(p.rows)), dim3(p.threads, p.rows), 0, *a);
    });
}

template <typename T, int DTYPE>
cudaError_t launch(const cn_queue* q, const cn_softmax_args* a) {
    return cn_launch_lines<T>(q, softmax_wide<T, DTYPE>, softmax_thread_per_line<T>, a);
}

}  // namespace

extern "C" cudaError_t cn_k_softmax(const cn_queue* q, const cn_softmax_args* a) {
    const cn_row_plan p = cn_row_plan_of(a->lines, a->dtype, a->x, a->y);
    if (p.vectors && a->dtype == CORNU_FLOAT32) return launch_held<float>(q, a, p);
    if (p.vectors) return a->dtype == CORNU_FLOAT16 ? launch_held<__half>(q, a, p) : launch_held<__nv_bfloat16>(q, a, p);
    if (a->dtype == CORNU_FLOAT64) return launch<double, CORNU_FLOAT64>(q, a);
    return a->dtype == CORNU_FLOAT32 ? launch<float, CORNU_FLOAT32>(q, a) : launch<float, 0>(q, a);
}
