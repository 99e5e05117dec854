/* y[n, i, j, c] = sum over r, k of row_weight(i, r) column_weight(j, k) x[n, r, k, c].
 *
 * Output cell i of an axis of n cells in and m out reads cells [from, from + count) with weights K((j + 0.5 - centre) / width), divided by
 * their sum; centre = (i + 0.5) n / m, width = max(n / m, 1) with antialias, else 1. Area: the mean of what lies under the cell. A first kernel
 * makes the weights of both axes in double, one thread an output cell:
 *
 *     scratch   int64 from, count [m rows + m columns]      double weight [m rows][taps of rows], [m columns][taps of columns]
 *
 * a second one sums, one thread an output, neighbours along the channels. Sums in float32, or float64 for float64. y must not alias x. */
#include "kernels/resize.h"

#include "kernels/tile.h"

namespace {

typedef struct axis_cell {
    int64_t from, count;
} axis_cell;

/* The tables of one axis. */
typedef struct axis_table {
    int64_t n, m, taps; /* cells in, cells out, weights that a cell has room for */
    axis_cell* cells;   /* [m] */
    double* weights;    /* [m, taps] */
} axis_table;

typedef struct resize_tables {
    axis_table axes[2];
} resize_tables;

static double support_of(int method) {
    return method == CN_K_BILINEAR ? 1 : method == CN_K_BICUBIC ? 2 : method == CN_K_LANCZOS3 ? 3 : method == CN_K_LANCZOS5 ? 5 : 0;
}

static resize_tables tables_of(const cn_resize_args* a) {
    resize_tables t;
    uint64_t at = 0;

    for (int d = 0; d < 2; d++) {
        const double ratio = static_cast<double>(a->x_dims[d]) / static_cast<double>(a->y_dims[d]);
        const double reach = a->method == CN_K_AREA ? ratio / 2 : a->method == CN_K_NEAREST ? 0 : support_of(a->method) * (a->antialias && ratio > 1 ? ratio : 1);
        const int64_t taps = static_cast<int64_t>(2 * reach) + 4;
        t.axes[d] = {a->x_dims[d], a->y_dims[d], taps < a->x_dims[d] ? taps : a->x_dims[d], NULL, NULL};
        t.axes[d].cells = reinterpret_cast<axis_cell*>(reinterpret_cast<uintptr_t>(a->scratch) + at);
        at += static_cast<uint64_t>(a->y_dims[d]) * sizeof(axis_cell);
    }
    for (int d = 0; d < 2; d++) {
        t.axes[d].weights = reinterpret_cast<double*>(reinterpret_cast<uintptr_t>(a->scratch) + at);
        at += static_cast<uint64_t>(t.axes[d].m * t.axes[d].taps) * sizeof(double);
    }
    return t;
}

CN_DEVICE double sinc(double x) { return x == 0 ? 1 : sin(3.14159265358979323846 * x) / (3.14159265358979323846 * x); }

CN_DEVICE double resize_weight(int method, double x) {
    x = fabs(x);
    switch (method) {
        case CN_K_BILINEAR: return x < 1 ? 1 - x : 0;
        case CN_K_BICUBIC: return x < 1 ? (1.5 * x - 2.5) * x * x + 1 : x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
        case CN_K_LANCZOS3: return x < 3 ? sinc(x) * sinc(x / 3) : 0;
        case CN_K_LANCZOS5: return x < 5 ? sinc(x) * sinc(x / 5) : 0;
        default: return 1;
    }
}

/* Output cell i of the table, for the methods that are a function of the distance. */
CN_DEVICE void make_cell(const axis_table& t, int method, double reach, double width, double centre, int64_t i) {
    int64_t from = static_cast<int64_t>(floor(centre - 0.5 - reach)), to = static_cast<int64_t>(ceil(centre + 0.5 + reach));
    double sum = 0;

    if (from < 0) from = 0;
    if (to > t.n) to = t.n;
    if (to > from + t.taps) to = from + t.taps;
    t.cells[i] = {from, to - from};
    for (int64_t j = from; j < to; j++) {
        const double w = resize_weight(method, (static_cast<double>(j) + 0.5 - centre) / width);
        t.weights[i * t.taps + j - from] = w;
        sum += w;
    }
    for (int64_t j = from; j < to; j++) t.weights[i * t.taps + j - from] /= sum;
}

CN_DEVICE void make_area_cell(const axis_table& t, double ratio, double centre, int64_t i) {
    const int64_t from = cn_divide(i * t.n, t.m);
    int64_t to = cn_divide((i + 1) * t.n + t.m - 1, t.m);

    if (to > t.n) to = t.n;
    t.cells[i] = {from, to - from};
    for (int64_t j = from; j < to; j++) {
        t.weights[i * t.taps + j - from] = (fmin(static_cast<double>(j + 1), centre + ratio / 2) - fmax(static_cast<double>(j), centre - ratio / 2)) / ratio;
    }
}

CN_KERNEL(64) resize_weights(resize_tables tables, int method, bool antialias, double support) {
    for (CN_ITEMS(item, tables.axes[0].m + tables.axes[1].m)) {
        const axis_table& t = tables.axes[item < tables.axes[0].m ? 0 : 1];
        const int64_t i = item < tables.axes[0].m ? item : item - tables.axes[0].m;
        const double ratio = static_cast<double>(t.n) / static_cast<double>(t.m), centre = (static_cast<double>(i) + 0.5) * ratio;
        const double width = antialias && ratio > 1 ? ratio : 1;
        if (method == CN_K_AREA) {
            make_area_cell(t, ratio, centre, i);
        } else if (method == CN_K_NEAREST) {
            const int64_t j = static_cast<int64_t>(floor(centre));
            t.cells[i] = {j >= t.n ? t.n - 1 : j, 1};
            t.weights[i * t.taps] = 1;
        } else {
            make_cell(t, method, support * width, width, centre, i);
        }
    }
}

template <int D, typename T>
CN_KERNEL(256) resize_sum(cn_resize_args a, resize_tables tables, int64_t count) {
    for (CN_ITEMS(item, count)) {
        const axis_table &down = tables.axes[0], &across = tables.axes[1];
        int64_t channel, i, j;
        const int64_t n = cn_split(cn_split(cn_split(item, a.channels, &channel), across.m, &j), down.m, &i);
        const axis_cell rows = down.cells[i], columns = across.cells[j];
        T sum = 0;
        for (int64_t r = 0; r < rows.count; r++) {
            const int64_t at = (((n * down.n + rows.from + r) * across.n) + columns.from) * a.channels + channel;
            T row = 0;
            for (int64_t k = 0; k < columns.count; k++) row += static_cast<T>(across.weights[j * across.taps + k]) * cn_load_as<D, T>(a.dtype, a.x, at + k * a.channels);
            sum += static_cast<T>(down.weights[i * down.taps + r]) * row;
        }
        cn_store_as<D, T>(a.dtype, a.y, item, sum);
    }
}

}  // namespace

extern "C" uint64_t cn_k_resize_scratch(const cn_resize_args* a) {
    const resize_tables t = tables_of(a);
    uint64_t bytes = 0;

    for (int d = 0; d < 2; d++) bytes += static_cast<uint64_t>(t.axes[d].m) * (sizeof(axis_cell) + static_cast<uint64_t>(t.axes[d].taps) * sizeof(double));
    return bytes;
}

extern "C" cudaError_t cn_k_resize(const cn_queue* q, const cn_resize_args* a) {
    const resize_tables tables = tables_of(a);
    const int64_t cells = a->y_dims[0] + a->y_dims[1], count = a->batch * a->y_dims[0] * a->y_dims[1] * a->channels;
    const dim3 threads(cells < 64 ? static_cast<unsigned>(cells) : 64);
    const cudaError_t error = cn_launch(q, resize_weights, cn_blocks(cells, 64), threads, 0, tables, a->method, a->antialias, support_of(a->method));

    if (error != cudaSuccess) return error;
    return cn_by_float(a->dtype, [&](auto domain) {
        using Domain = decltype(domain);
        return cn_launch(q, resize_sum<Domain::dtype, typename Domain::sum>, cn_blocks(count, 256), dim3(count < 256 ? static_cast<unsigned>(count) : 256), 0, *a, tables, count);
    });
}
