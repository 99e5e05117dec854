/* Reductions, arg-reductions and scans.
 *
 *     rows      a line's elements are neighbours: a warp a line (several lines a block), or a block where lines are long
 *     columns   neighbours belong to different lines: a thread a line, 8 threads a line where lines are long, so that every load is coalesced
 *     parts     few long lines are cut into parts, one block each, whose folds are columns of a second pass
 *
 * Accumulators are double for floats, uint64 for uint64 and int64 for other integers. y may not overlap x, but in scans, where it may equal x. */
#include "kernels/reduce.h"

#include "kernels/block.h"
#include "kernels/element.h"

#define ROWS_THREADS 256
#define COLUMN_THREADS 8 /* of a line */

namespace {

/* DTYPE 0: known at launch only. */
template <typename T, int DTYPE>
CN_DEVICE T load(int dtype, const void* x, int64_t i) {
    return cn_load<T>(DTYPE ? DTYPE : dtype, x, i);
}

template <typename T>
CN_DEVICE T highest();
template <>
CN_DEVICE double highest<double>() {
    return static_cast<double>(INFINITY);
}
template <>
CN_DEVICE int64_t highest<int64_t>() {
    return INT64_MAX;
}
template <>
CN_DEVICE uint64_t highest<uint64_t>() {
    return UINT64_MAX;
}

template <typename T>
CN_DEVICE T lowest() {
    return cn_is_float<T>::value ? -highest<T>() : -highest<T>() - 1;
}
template <>
CN_DEVICE uint64_t lowest<uint64_t>() {
    return 0;
}

/* Wrapping, as unsigned numbers do. */
CN_DEVICE double add(double a, double b) { return a + b; }
CN_DEVICE int64_t add(int64_t a, int64_t b) { return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b)); }
CN_DEVICE uint64_t add(uint64_t a, uint64_t b) { return a + b; }
CN_DEVICE double mul(double a, double b) { return a * b; }
CN_DEVICE int64_t mul(int64_t a, int64_t b) { return static_cast<int64_t>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b)); }
CN_DEVICE uint64_t mul(uint64_t a, uint64_t b) { return a * b; }

/* As rounded as a division (Markstein), without its call. */
CN_DEVICE double divide(double sum, const cn_divisor& count, double reciprocal) {
    const double mean = sum * reciprocal;
    if (!(mean > -highest<double>() && mean < highest<double>())) return mean;
    return fma(fma(-static_cast<double>(count.value), mean, sum), reciprocal, mean);
}
/* Towards zero; nothing has the mean 0. */
CN_DEVICE int64_t divide(int64_t sum, const cn_divisor& count, double) {
    const uint64_t size = sum < 0 ? 0 - static_cast<uint64_t>(sum) : static_cast<uint64_t>(sum);
    const uint64_t mean = static_cast<uint64_t>(cn_quotient(static_cast<int64_t>(size), count));
    return count.value == 0 ? 0 : static_cast<int64_t>(sum < 0 ? 0 - mean : mean);
}
CN_DEVICE uint64_t divide(uint64_t sum, const cn_divisor& count, double) {
    return count.value == 0 ? 0 : static_cast<uint64_t>(cn_quotient(static_cast<int64_t>(sum), count));
}

template <typename T>
struct folder {
    int kind;

    CN_DEVICE T start() const {
        switch (kind) {
            case CN_K_PROD:
            case CN_K_ALL: return 1;
            case CN_K_MAX: return lowest<T>();
            case CN_K_MIN: return highest<T>();
            default: return 0;
        }
    }
    CN_DEVICE T operator()(T a, T x) const {
        switch (kind) {
            case CN_K_PROD: return mul(a, x);
            case CN_K_MAX: return a != a || a > x ? a : x;
            case CN_K_MIN: return a != a || a < x ? a : x;
            case CN_K_ANY: return a != 0 || x != 0;
            case CN_K_ALL: return a != 0 && x != 0;
            default: return add(a, x);
        }
    }
};

/* What a pass leaves of a line. */
template <typename T>
struct sink {
    void* y;
    int dtype;
    bool mean;
    cn_divisor count; /* elements that a mean divides by */
    double reciprocal;

    CN_DEVICE void put(int64_t k, T v) const {
        if (mean) v = divide(v, count, reciprocal);
        cn_store<T>(dtype, y, k, v);
    }
};

/* Elements o, o + step, ... of a line up to end. Loads of usual dtypes go out four at a time. */
template <typename T, int DTYPE>
CN_DEVICE T fold_some(const cn_reduce_args& a, folder<T> fold, int64_t start, int64_t o, int64_t end, int64_t step) {
    T v = fold.start();
    for (; DTYPE && o + 3 * step < end; o += 4 * step) {
        T x[4];
        for (int i = 0; i < 4; i++) x[i] = load<T, DTYPE>(a.dtype, a.x, start + cn_line_offset(a.lines, o + i * step));
        for (int i = 0; i < 4; i++) v = fold(v, x[i]);
    }
    for (; o < end; o += step) v = fold(v, load<T, DTYPE>(a.dtype, a.x, start + cn_line_offset(a.lines, o)));
    return v;
}

/* How lines are cut: each part has `each` elements, the first `more` parts one more. */
struct cut {
    int64_t each, more;

    CN_DEVICE int64_t begin(int64_t part) const { return each * part + (part < more ? part : more); }
};

/* Block (32, lines) or (threads, 1); grid (lines, parts). Part p of line k goes to y[p kept + k]. */
template <typename T, int DTYPE>
CN_KERNEL(ROWS_THREADS) reduce_rows(cn_reduce_args a, cut parts, sink<T> y) {
    CN_SHARED(T, warps, [ROWS_THREADS / CN_WARP]);
    const folder<T> fold = {a.kind};
    const int64_t begin = parts.begin(blockIdx.y), end = parts.begin(blockIdx.y + 1);

    for (int64_t first = static_cast<int64_t>(blockIdx.x) * blockDim.y; first < a.lines.kept; first += static_cast<int64_t>(gridDim.x) * blockDim.y) {
        const int64_t k = first + threadIdx.y;
        T v = fold.start();
        if (k < a.lines.kept) v = fold_some<T, DTYPE>(a, fold, cn_line_start(a.lines, k), begin + threadIdx.x, end, blockDim.x);
        v = cn_block_fold(v, warps, fold);
        if (threadIdx.x == 0 && k < a.lines.kept) y.put(blockIdx.y * a.lines.kept + k, v);
    }
}

/* Block (lines, threads of a line); grid (lines, parts). */
template <typename T, int DTYPE>
CN_KERNEL(ROWS_THREADS) reduce_columns(cn_reduce_args a, cut parts, sink<T> y) {
    CN_SHARED(T, column, [COLUMN_THREADS][CN_WARP + 1]);
    const folder<T> fold = {a.kind};
    const int64_t begin = parts.begin(blockIdx.y), end = parts.begin(blockIdx.y + 1);

    for (int64_t first = static_cast<int64_t>(blockIdx.x) * blockDim.x; first < a.lines.kept; first += static_cast<int64_t>(gridDim.x) * blockDim.x) {
        const int64_t k = first + threadIdx.x;
        T v = fold.start();
        if (k < a.lines.kept) v = fold_some<T, DTYPE>(a, fold, cn_line_start(a.lines, k), begin + threadIdx.y, end, blockDim.y);
        if (blockDim.y > 1) {
            column[threadIdx.y][threadIdx.x] = v;
            __syncthreads();
            for (unsigned i = 1; threadIdx.y == 0 && i < blockDim.y; i++) v = fold(v, column[i][threadIdx.x]);
            __syncthreads();
        }
        if (threadIdx.y == 0 && k < a.lines.kept) y.put(blockIdx.y * a.lines.kept + k, v);
    }
}

template <typename T, int DTYPE>
cudaError_t launch_reduce(const cn_queue* q, const cn_reduce_args* a, sink<T> y, int parts) {
    const int64_t kept = a->lines.kept, over = a->lines.over;
    const cut cuts = {over / parts, over % parts};

    if (cn_lines_are_rows(&a->lines) && over > 8) {
        const unsigned threads = over > 1024 ? ROWS_THREADS : CN_WARP;
        const unsigned lines = threads > CN_WARP ? 1 : kept < ROWS_THREADS / CN_WARP ? static_cast<unsigned>(kept) : ROWS_THREADS / CN_WARP;
        return cn_launch(q, reduce_rows<T, DTYPE>, dim3(cn_blocks(kept, static_cast<int>(lines)).x, static_cast<unsigned>(parts)), dim3(threads, lines), 0, *a, cuts, y);
    }
    const unsigned threads = over >= 32 ? COLUMN_THREADS : 1;
    const unsigned lines = threads > 1 || kept < 4096 ? CN_WARP : 4 * CN_WARP;
    return cn_launch(q, reduce_columns<T, DTYPE>, dim3(cn_blocks(kept, static_cast<int>(lines)).x, static_cast<unsigned>(parts)), dim3(lines, threads), 0, *a, cuts, y);
}

template <typename T, int USUAL>
cudaError_t reduce(const cn_queue* q, const cn_reduce_args* a, int wide_dtype) {
    const sink<T> last = {a->y, a->y_dtype, a->kind == CN_K_MEAN, cn_divisor_of(a->lines.over), 1 / static_cast<double>(a->lines.over)};
    const sink<T> first = {a->partial, wide_dtype, false, cn_divisor_of(1), 1};
    cn_reduce_args second = *a;
    cudaError_t error;

    if (a->parts <= 1) return a->dtype == USUAL ? launch_reduce<T, USUAL>(q, a, last, 1) : launch_reduce<T, 0>(q, a, last, 1);
    error = a->dtype == USUAL ? launch_reduce<T, USUAL>(q, a, first, a->parts) : launch_reduce<T, 0>(q, a, first, a->parts);
    if (error != cudaSuccess) return error;
    const int64_t dims[2] = {a->parts, a->lines.kept};
    second.x = a->partial;
    second.dtype = wide_dtype;
    second.lines = cn_lines_of(2, dims, 1u);
    return launch_reduce<T, 0>(q, &second, last, 1);
}

}  // namespace

extern "C" cudaError_t cn_k_reduce(const cn_queue* q, const cn_reduce_args* a) {
    switch (cn_class_of(a->dtype)) {
        case CN_CLASS_INT: return reduce<int64_t, CORNU_INT32>(q, a, CORNU_INT64);
        case CN_CLASS_UINT: return reduce<uint64_t, CORNU_UINT64>(q, a, CORNU_UINT64);
        default: return reduce<double, CORNU_FLOAT32>(q, a, CORNU_FLOAT64);
    }
}

/* ---- arg ---- */

namespace {

template <typename T>
struct place {
    T value;
    int64_t at; /* -1: no element yet */
};

/* Whether x wins over y. Of equals the first in the line does, and the first NaN over all. */
template <typename T>
CN_DEVICE bool wins(bool largest, place<T> x, place<T> y) {
    const bool x_is_nan = x.value != x.value, y_is_nan = y.value != y.value;
    if (x.at < 0 || y.at < 0) return x.at >= 0;
    if (x_is_nan || y_is_nan) return x_is_nan && (!y_is_nan || x.at < y.at);
    if (x.value == y.value) return x.at < y.at;
    return largest ? x.value > y.value : x.value < y.value;
}

template <typename T>
CN_DEVICE place<T> search(const cn_arg_args& a, int64_t k, int64_t first, int64_t step) {
    const int64_t start = cn_line_start(a.lines, k);
    place<T> best = {0, -1};
    for (int64_t o = first; o < a.lines.over; o += step) {
        const place<T> x = {cn_load<T>(a.dtype, a.x, start + cn_line_offset(a.lines, o)), o};
        if (wins(a.largest, x, best)) best = x;
    }
    return best;
}

/* Block (32, lines) or (threads, 1). */
template <typename T>
CN_KERNEL(ROWS_THREADS) arg_rows(cn_arg_args a) {
    CN_SHARED(T, values, [ROWS_THREADS / CN_WARP]);
    CN_SHARED(int64_t, places, [ROWS_THREADS / CN_WARP]);

    for (int64_t first = static_cast<int64_t>(blockIdx.x) * blockDim.y; first < a.lines.kept; first += static_cast<int64_t>(gridDim.x) * blockDim.y) {
        const int64_t k = first + threadIdx.y;
        place<T> best = {0, -1};
        if (k < a.lines.kept) best = search<T>(a, k, threadIdx.x, blockDim.x);
        for (int width = CN_WARP / 2; width > 0; width /= 2) {
            place<T> other;
            other.value = __shfl_xor_sync(CN_ALL_LANES, best.value, width);
            other.at = __shfl_xor_sync(CN_ALL_LANES, best.at, width);
            if (wins(a.largest, other, best)) best = other;
        }
        if (blockDim.x > CN_WARP) {
            if (threadIdx.x % CN_WARP == 0) {
                values[threadIdx.x / CN_WARP] = best.value;
                places[threadIdx.x / CN_WARP] = best.at;
            }
            __syncthreads();
            for (unsigned i = 0; threadIdx.x == 0 && i < blockDim.x / CN_WARP; i++) {
                const place<T> other = {values[i], places[i]};
                if (wins(a.largest, other, best)) best = other;
            }
            __syncthreads();
        }
        if (threadIdx.x == 0 && k < a.lines.kept) a.y[k] = static_cast<int32_t>(best.at);
    }
}

/* Block (32 lines, threads of a line). */
template <typename T>
CN_KERNEL(ROWS_THREADS) arg_columns(cn_arg_args a) {
    CN_SHARED(T, values, [COLUMN_THREADS][CN_WARP + 1]);
    CN_SHARED(int64_t, places, [COLUMN_THREADS][CN_WARP + 1]);

    for (int64_t first = static_cast<int64_t>(blockIdx.x) * blockDim.x; first < a.lines.kept; first += static_cast<int64_t>(gridDim.x) * blockDim.x) {
        const int64_t k = first + threadIdx.x;
        place<T> best = {0, -1};
        if (k < a.lines.kept) best = search<T>(a, k, threadIdx.y, blockDim.y);
        if (blockDim.y > 1) {
            values[threadIdx.y][threadIdx.x] = best.value;
            places[threadIdx.y][threadIdx.x] = best.at;
            __syncthreads();
            for (unsigned i = 1; threadIdx.y == 0 && i < blockDim.y; i++) {
                const place<T> other = {values[i][threadIdx.x], places[i][threadIdx.x]};
                if (wins(a.largest, other, best)) best = other;
            }
            __syncthreads();
        }
        if (threadIdx.y == 0 && k < a.lines.kept) a.y[k] = static_cast<int32_t>(best.at);
    }
}

template <typename T>
cudaError_t launch_arg(const cn_queue* q, const cn_arg_args* a) {
    const int64_t kept = a->lines.kept, over = a->lines.over;

    if (cn_lines_are_rows(&a->lines) && over > 8) {
        const unsigned threads = over > 1024 ? ROWS_THREADS : CN_WARP;
        const unsigned lines = threads > CN_WARP ? 1 : kept < ROWS_THREADS / CN_WARP ? static_cast<unsigned>(kept) : ROWS_THREADS / CN_WARP;
        return cn_launch(q, arg_rows<T>, cn_blocks(kept, static_cast<int>(lines)), dim3(threads, lines), 0, *a);
    }
    return cn_launch(q, arg_columns<T>, cn_blocks(kept, CN_WARP), dim3(CN_WARP, over >= 32 ? COLUMN_THREADS : 1), 0, *a);
}

}  // namespace

extern "C" cudaError_t cn_k_arg(const cn_queue* q, const cn_arg_args* a) {
    switch (cn_class_of(a->dtype)) {
        case CN_CLASS_INT: return launch_arg<int64_t>(q, a);
        case CN_CLASS_UINT: return launch_arg<uint64_t>(q, a);
        default: return launch_arg<double>(q, a);
    }
}

/* ---- cumulative ---- */

namespace {

template <typename T>
CN_DEVICE T join(bool product, T a, T b) {
    return product ? mul(a, b) : add(a, b);
}

/* A thread a line: neighbouring lines are neighbours in memory, or lines are short. */
template <typename T>
CN_KERNEL(128) scan_serial(cn_cumulative_args a, int64_t stride) {
    for (CN_ITEMS(k, a.lines.kept)) {
        const int64_t start = cn_line_start(a.lines, k);
        T sum = a.product ? 1 : 0;
        for (int64_t o = 0; o < a.lines.over; o++) {
            sum = join(a.product, sum, cn_load<T>(a.dtype, a.x, start + o * stride));
            cn_store<T>(a.dtype, a.y, start + o * stride, sum);
        }
    }
}

/* A block a line, which carries the sum from one stretch of blockDim.x elements to the next. */
template <typename T>
CN_KERNEL(ROWS_THREADS) scan_block(cn_cumulative_args a, int64_t stride) {
    CN_SHARED(T, warps, [ROWS_THREADS / CN_WARP]);
    const T one = a.product ? 1 : 0;
    const int lane = static_cast<int>(threadIdx.x) % CN_WARP, warp = static_cast<int>(threadIdx.x) / CN_WARP;

    for (int64_t k = blockIdx.x; k < a.lines.kept; k += gridDim.x) {
        const int64_t start = cn_line_start(a.lines, k);
        T carry = one;
        for (int64_t first = 0; first < a.lines.over; first += blockDim.x) {
            const int64_t o = first + threadIdx.x;
            T sum = o < a.lines.over ? cn_load<T>(a.dtype, a.x, start + o * stride) : one;
            for (int width = 1; width < CN_WARP; width *= 2) {
                const T before = __shfl_up_sync(CN_ALL_LANES, sum, width);
                if (lane >= width) sum = join(a.product, before, sum);
            }
            if (lane == CN_WARP - 1) warps[warp] = sum;
            __syncthreads();
            T before = carry;
            for (int i = 0; i < static_cast<int>(blockDim.x) / CN_WARP; i++) {
                if (i == warp) sum = join(a.product, before, sum);
                before = join(a.product, before, warps[i]);
            }
            carry = before;
            if (o < a.lines.over) cn_store<T>(a.dtype, a.y, start + o * stride, sum);
            __syncthreads();
        }
    }
}

template <typename T>
cudaError_t launch_scan(const cn_queue* q, const cn_cumulative_args* a) {
    const int64_t kept = a->lines.kept, over = a->lines.over, stride = cn_lines_stride(&a->lines);

    if (over <= 32 || (stride > 1 && kept >= 4096)) {
        const int threads = kept >= 4096 ? 128 : CN_WARP;
        return cn_launch(q, scan_serial<T>, cn_blocks(kept, threads), dim3(static_cast<unsigned>(threads)), 0, *a, stride);
    }
    const unsigned threads = over >= ROWS_THREADS ? ROWS_THREADS : static_cast<unsigned>((over + CN_WARP - 1) / CN_WARP * CN_WARP);
    return cn_launch(q, scan_block<T>, cn_blocks(kept, 1), dim3(threads), 0, *a, stride);
}

}  // namespace

extern "C" cudaError_t cn_k_cumulative(const cn_queue* q, const cn_cumulative_args* a) {
    const cn_class c = cn_class_of(a->dtype);
    return c == CN_CLASS_FLOAT || c == CN_CLASS_DOUBLE ? launch_scan<double>(q, a) : launch_scan<int64_t>(q, a);
}
