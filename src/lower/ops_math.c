/* keras/src/ops/math.py and linalg.py: segments, the k largest, Fourier transforms of real and imaginary parts, matrices. */
#include <float.h>
#include <inttypes.h>
#include <math.h>

#include "lower/ops.h"

/* ---- segments and order ---- */

static double lowest(cornu_dtype dtype, bool largest) {
    switch (dtype) {
        case CORNU_FLOAT64: return largest ? DBL_MAX : -DBL_MAX;
        case CORNU_FLOAT16: return largest ? 65504 : -65504;
        case CORNU_BFLOAT16: return largest ? 0x1.fep127 : -0x1.fep127;
        case CORNU_FLOAT32: return largest ? (double)FLT_MAX : -(double)FLT_MAX;
        case CORNU_INT8: return largest ? INT8_MAX : INT8_MIN;
        case CORNU_INT16: return largest ? INT16_MAX : INT16_MIN;
        case CORNU_INT32: return largest ? INT32_MAX : INT32_MIN;
        case CORNU_INT64: return largest ? 0x1p63 : -0x1p63;
        default: return largest ? (double)UINT32_MAX : 0;
    }
}

static cornu_status lower_segment(cn_call* c) {
    const char* name = c->layer->class_name;
    cn_scatter_kind kind = name[7] == 'S' ? CN_SCATTER_ADD : name[7] == 'P' ? CN_SCATTER_MUL : name[8] == 'a' ? CN_SCATTER_MAX : CN_SCATTER_MIN;
    int64_t count;
    cn_type t;
    cn_id data, ids, base;

    CN_TRY(cn_op_tensor(c, 0, "data", &data));
    CN_TRY(cn_op_tensor(c, 1, "segment_ids", &ids));
    if (!cn_config_get(c->layer, "num_segments")) return cn_config_unsupported(c->layer, "num_segments", "without it the size depends on the data");
    CN_TRY(cn_op_int(c, "num_segments", 0, &count));
    t = *cn_op_type(c, data);
    if (cn_op_type(c, ids)->ndim != 1 || t.ndim < 1 || count < 0) return CN_FAIL(UNSUPPORTED, "segment ids that are no vector");
    t.dims[0] = count;
    base = cn_op_fill(c, data, kind == CN_SCATTER_MUL ? 1 : kind == CN_SCATTER_ADD ? 0 : lowest(t.dtype, kind == CN_SCATTER_MIN));
    base = cn_graph_broadcast(c->g, base, t.ndim, t.dims);
    return cn_call_return(c, cn_op_scatter(c, kind, true, base, cn_op_insert_axis(c, ids, 1), data));
}

static cornu_status lower_top_k(cn_call* c) {
    int64_t k;
    int last;
    cn_id x, values, indices;

    CN_TRY(cn_op_tensor(c, 0, "x", &x));
    CN_TRY(cn_op_int(c, "k", 1, &k));
    last = cn_op_type(c, x)->ndim - 1;
    if (last < 0 || k < 0 || k > cn_op_type(c, x)->dims[last]) return CN_FAIL(BAD_ARGUMENT, "k is %" PRId64 ", more than the last axis has", k);
    values = cn_graph_slice_axis(c->g, cn_op_sort(c, x, last, true, false), last, 0, k);
    indices = cn_graph_slice_axis(c->g, cn_op_sort(c, x, last, true, true), last, 0, k);
    return cn_op_return2(c, values, indices);
}

/* Fewer than k predictions are larger than that of the target. */
static cornu_status lower_in_top_k(cn_call* c) {
    int64_t k;
    cn_id targets, predictions, own, above, y;

    CN_TRY(cn_op_tensor(c, 0, "targets", &targets));
    CN_TRY(cn_op_tensor(c, 1, "predictions", &predictions));
    CN_TRY(cn_op_int(c, "k", 1, &k));
    if (cn_op_type(c, predictions)->ndim != 2 || cn_op_type(c, targets)->ndim != 1) return CN_FAIL(BAD_ARGUMENT, "in_top_k takes a vector and a matrix");
    own = cn_op_along(c, predictions, cn_op_insert_axis(c, targets, 1), 1);
    above = cn_graph_cast(c->g, cn_graph_ew2(c->g, CN_EW_gt, predictions, own), CORNU_INT32);
    y = cn_op_ew(c, CN_EW_lt, cn_op_sum(c, above, 2, false), (double)k);
    return cn_call_return(c, cn_graph_ew2(c->g, CN_EW_and, y, cn_graph_ew1(c->g, CN_EW_isfinite, cn_op_remove_axis(c, own, 1))));
}

static cornu_status lower_logsumexp(cn_call* c) {
    bool keepdims;
    uint32_t axes;
    cn_id x, most, y;

    CN_TRY(cn_op_tensor(c, 0, "x", &x));
    CN_TRY(cn_op_axes(c, "axis", cn_op_type(c, x)->ndim, &axes));
    CN_TRY(cn_config_bool(c->layer, "keepdims", false, &keepdims));
    most = cn_graph_reduce(c->g, x, CN_REDUCE_MAX, axes, true);
    most = cn_graph_select(c->g, cn_graph_ew1(c->g, CN_EW_isfinite, most), most, cn_op_fill(c, most, 0));
    y = cn_op_sum(c, cn_graph_ew1(c->g, CN_EW_exp, cn_graph_ew2(c->g, CN_EW_sub, x, most)), axes, true);
    y = cn_graph_ew2(c->g, CN_EW_add, cn_graph_ew1(c->g, CN_EW_log, y), most);
    return cn_call_return(c, keepdims ? y : cn_op_sum(c, y, axes, false)); /* sums of one element: the axes go */
}

static cornu_status lower_cdist(cn_call* c) {
    cn_id x, z, y;
    int nx, nz;

    CN_TRY(cn_op_tensor(c, 0, "x", &x));
    CN_TRY(cn_op_tensor(c, 1, "y", &z));
    nx = cn_op_type(c, x)->ndim;
    nz = cn_op_type(c, z)->ndim;
    if (nx < 2 || nz < 2) return CN_FAIL(BAD_ARGUMENT, "cdist takes matrices");
    y = cn_graph_ew2(c->g, CN_EW_sub, cn_op_insert_axis(c, x, nx - 1), cn_op_insert_axis(c, z, nz - 2));
    y = cn_op_sum(c, cn_graph_ew1(c->g, CN_EW_square, y), 1u << (cn_op_type(c, y)->ndim - 1), false);
    return cn_call_return(c, cn_graph_ew1(c->g, CN_EW_sqrt, y));
}

/* Windows of the last axis: a new axis before it. */
static cornu_status frames(cn_call* c, cn_id x, int64_t length, int64_t stride, cn_id* out) {
    int last = cn_op_type(c, x)->ndim - 1;
    int64_t n = last < 0 ? 0 : cn_op_type(c, x)->dims[last], count;
    cn_id places;

    if (length < 1 || stride < 1 || last < 0) return CN_FAIL(BAD_ARGUMENT, "sequence_length and sequence_stride must be positive");
    count = n < length ? 0 : (n - length) / stride + 1;
    places = cn_op_ew(c, CN_EW_mul, cn_op_iota_axis(c, CORNU_INT64, count, 0, 2), (double)stride);
    places = cn_graph_ew2(c->g, CN_EW_add, places, cn_op_iota_axis(c, CORNU_INT64, length, 1, 2));
    *out = cn_graph_gather(c->g, x, places, last, CN_GATHER_CHECKED);
    return cn_graph_status(c->g);
}

static cornu_status lower_extract_sequences(cn_call* c) {
    int64_t length, stride;
    cn_id x;

    CN_TRY(cn_op_tensor(c, 0, "x", &x));
    CN_TRY(cn_op_int(c, "sequence_length", 1, &length));
    CN_TRY(cn_op_int(c, "sequence_stride", 1, &stride));
    CN_TRY(frames(c, x, length, stride, &x));
    return cn_call_return(c, x);
}

/* ---- Fourier transforms: products with matrices of cosines and sines. Fine for the sizes that models have. ---- */

#define MAX_FOURIER 8192

typedef struct wave {
    cn_id re, im; /* [n, m]: cos and -sin of 2 pi i k / n */
} wave;

/* scale is 1 for the forward, 1 / n for the inverse transform, whose sine is positive. mirrored: for real results of n points, each
 * coefficient stands also for its conjugate. */
static cornu_status make_wave(cn_call* c, cornu_dtype dtype, int64_t rows, int64_t columns, int64_t n, bool inverse, bool mirrored, wave* out) {
    cn_type type = {.dtype = CORNU_FLOAT64, .ndim = 2};
    double *re, *im;

    if (n < 1 || n > MAX_FOURIER || rows > MAX_FOURIER || columns > MAX_FOURIER) return CN_FAIL(UNSUPPORTED, "a Fourier transform of %" PRId64 " points; up to %d are possible", n, MAX_FOURIER);
    type.dims[0] = rows;
    type.dims[1] = columns;
    re = cn_call_alloc(c, ((size_t)(rows * columns) + 1) * sizeof *re);
    im = cn_call_alloc(c, ((size_t)(rows * columns) + 1) * sizeof *im);
    if (!re || !im) return CORNU_NO_MEMORY;
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t k = 0; k < columns; k++) {
            double angle = 6.28318530717958647692 * (double)(i * k % n) / (double)n;
            double scale = inverse ? 1.0 / (double)n : 1;
            if (mirrored && i != 0 && 2 * i != n) scale *= 2;
            re[i * columns + k] = scale * cos(angle);
            im[i * columns + k] = scale * (inverse ? sin(angle) : -sin(angle));
        }
    }
    out->re = cn_graph_cast(c->g, cn_graph_constant(c->g, &type, re), dtype);
    out->im = cn_graph_cast(c->g, cn_graph_constant(c->g, &type, im), dtype);
    return cn_graph_status(c->g);
}

/* x [.., n] times a matrix [n, m]. */
static cn_id apply(cn_call* c, cn_id x, cn_id matrix) {
    cn_type t = *cn_op_type(c, x);
    int64_t n = t.ndim ? t.dims[t.ndim - 1] : 1;

    if (cn_graph_status(c->g) != CORNU_OK || t.ndim < 1) return CN_NONE;
    x = cn_graph_reshape(c->g, x, 2, (const int64_t[]){n ? cn_type_count(&t) / n : 0, n});
    t.dims[t.ndim - 1] = cn_op_type(c, matrix)->dims[1];
    return cn_graph_reshape(c->g, cn_graph_matmul(c->g, x, matrix, false, false), t.ndim, t.dims);
}

/* (re + i im) times the wave. */
static void transform(cn_call* c, cn_id* re, cn_id* im, const wave* w) {
    cn_id r = cn_graph_ew2(c->g, CN_EW_sub, apply(c, *re, w->re), apply(c, *im, w->im));
    *im = cn_graph_ew2(c->g, CN_EW_add, apply(c, *re, w->im), apply(c, *im, w->re));
    *re = r;
}

static cornu_status complex_pair(cn_call* c, cn_id* re, cn_id* im) {
    const cn_arg* arg = cn_op_arg(c, 0, "x");

    if (arg->kind != CN_ARG_LIST || arg->count != 2) return CN_FAIL(BAD_FILE, "it must be called on a pair: the real and the imaginary part");
    CN_TRY(cn_op_convert(c, &arg->items[0], 0, re));
    CN_TRY(cn_op_convert(c, &arg->items[1], 0, im));
    return cn_op_type(c, *re)->ndim < 1 ? CN_FAIL(BAD_ARGUMENT, "a Fourier transform of a scalar") : CORNU_OK;
}

static cornu_status lower_fft(cn_call* c) {
    const char* name = c->layer->class_name;
    bool inverse = name[0] == 'I';
    int axes = strchr(name, '2') ? 2 : 1, last;
    cn_id re, im;

    CN_TRY(complex_pair(c, &re, &im));
    last = cn_op_type(c, re)->ndim - 1;
    if (axes > last + 1) return CN_FAIL(BAD_ARGUMENT, "its input has too few axes");
    for (int a = 0; a < axes; a++) { /* the other axis is brought to the end, and stays there for the second */
        int64_t n = cn_op_type(c, re)->dims[last];
        wave w;
        CN_TRY(make_wave(c, cn_op_type(c, re)->dtype, n, n, n, inverse, false, &w));
        transform(c, &re, &im, &w);
        if (axes == 1) break;
        re = cn_graph_move_axis(c->g, re, last, last - 1);
        im = cn_graph_move_axis(c->g, im, last, last - 1);
        CN_TRY(cn_graph_status(c->g));
    }
    return cn_op_return2(c, re, im);
}

/* Cuts or pads the last axis with zeros to n. */
static cn_id fit_last(cn_call* c, cn_id x, int64_t n) {
    int last = cn_op_type(c, x)->ndim - 1;
    int64_t low[CORNU_MAX_DIMS] = {0}, high[CORNU_MAX_DIMS] = {0}, have = last < 0 ? 0 : cn_op_type(c, x)->dims[last];

    if (last < 0) return CN_NONE;
    if (have > n) return cn_graph_slice_axis(c->g, x, last, 0, n);
    high[last] = n - have;
    return cn_graph_pad(c->g, x, low, high, 0);
}

static cornu_status lower_rfft(cn_call* c) {
    int64_t n;
    wave w;
    cn_id x;

    CN_TRY(cn_op_tensor(c, 0, "x", &x));
    if (cn_op_type(c, x)->ndim < 1) return CN_FAIL(BAD_ARGUMENT, "a Fourier transform of a scalar");
    n = cn_op_type(c, x)->dims[cn_op_type(c, x)->ndim - 1];
    if (cn_config_get(c->layer, "fft_length")) CN_TRY(cn_op_int(c, "fft_length", n, &n));
    if (n < 1) return CN_FAIL(BAD_ARGUMENT, "a Fourier transform of no points");
    CN_TRY(make_wave(c, cn_op_type(c, x)->dtype, n, n / 2 + 1, n, false, false, &w));
    x = fit_last(c, x, n);
    return cn_op_return2(c, apply(c, x, w.re), apply(c, x, w.im));
}

/* Real x [.., n] of the first n / 2 + 1 coefficients. */
static cornu_status inverse_real(cn_call* c, cn_id re, cn_id im, int64_t n, cn_id* out) {
    wave w;
    if (n < 1) return CN_FAIL(BAD_ARGUMENT, "a Fourier transform of no points");
    CN_TRY(make_wave(c, cn_op_type(c, re)->dtype, n / 2 + 1, n, n, true, true, &w));
    re = fit_last(c, re, n / 2 + 1);
    im = fit_last(c, im, n / 2 + 1);
    *out = cn_graph_ew2(c->g, CN_EW_sub, apply(c, re, w.re), apply(c, im, w.im));
    return cn_graph_status(c->g);
}

static cornu_status lower_irfft(cn_call* c) {
    int64_t n;
    cn_id re, im, y;

    CN_TRY(complex_pair(c, &re, &im));
    n = 2 * (cn_op_type(c, re)->dims[cn_op_type(c, re)->ndim - 1] - 1);
    if (cn_config_get(c->layer, "fft_length")) CN_TRY(cn_op_int(c, "fft_length", n, &n));
    CN_TRY(inverse_real(c, re, im, n, &y));
    return cn_call_return(c, y);
}

/* The window of the config, [fft_length], with zeros around; CN_NONE for null. */
static cornu_status read_window(cn_call* c, cornu_dtype dtype, int64_t length, int64_t fft_length, double* window, cn_id* out) {
    const cn_json* value = cn_config_get(c->layer, "window");
    bool hann = cn_json_equals(value, "hann");
    cn_type type = {.dtype = CORNU_FLOAT64, .ndim = 1, .dims = {fft_length}};
    int64_t before = (fft_length - length) / 2;

    *out = CN_NONE;
    if (value && !hann && !cn_json_equals(value, "hamming")) return cn_config_unsupported(c->layer, "window", "null, hann and hamming are possible");
    for (int64_t i = 0; i < fft_length; i++) {
        double wave_at = cos(6.28318530717958647692 * (double)(i - before) / (double)length);
        bool inside = i >= before && i < before + length;
        window[i] = !value ? 1 : !inside ? 0 : hann ? 0.5 - 0.5 * wave_at : 0.54 - 0.46 * wave_at;
    }
    *out = cn_graph_cast(c->g, cn_graph_constant(c->g, &type, window), dtype);
    return cn_graph_status(c->g);
}

typedef struct stft_config {
    int64_t length, stride, n;
    bool center;
    double* window;
    cn_id window_id;
} stft_config;

static cornu_status read_stft(cn_call* c, cornu_dtype dtype, stft_config* s) {
    CN_TRY(cn_op_int(c, "sequence_length", 1, &s->length));
    CN_TRY(cn_op_int(c, "sequence_stride", 1, &s->stride));
    CN_TRY(cn_op_int(c, "fft_length", 1, &s->n));
    CN_TRY(cn_config_bool(c->layer, "center", true, &s->center));
    if (s->n < s->length || s->length < 1 || s->stride < 1 || s->n > MAX_FOURIER) return CN_FAIL(UNSUPPORTED, "fft_length is %" PRId64 ", sequence_length %" PRId64, s->n, s->length);
    s->window = cn_call_alloc(c, (size_t)s->n * sizeof *s->window);
    if (!s->window) return CORNU_NO_MEMORY;
    return read_window(c, dtype, s->length, s->n, s->window, &s->window_id);
}

static cornu_status lower_stft(cn_call* c) {
    stft_config s;
    cn_attr attr;
    wave w;
    cn_id x;
    int last;

    CN_TRY(cn_op_tensor(c, 0, "x", &x));
    last = cn_op_type(c, x)->ndim - 1;
    if (last < 0) return CN_FAIL(BAD_ARGUMENT, "a Fourier transform of a scalar");
    CN_TRY(read_stft(c, cn_op_type(c, x)->dtype, &s));
    memset(&attr, 0, sizeof attr);
    attr.pad.mode = CN_PAD_REFLECT;
    attr.pad.low[last] = attr.pad.high[last] = s.n / 2;
    if (s.center && s.n > 1) x = cn_graph_add(c->g, CN_OP_pad, &x, 1, &attr);
    CN_TRY(frames(c, x, s.n, s.stride, &x));
    x = cn_graph_ew2(c->g, CN_EW_mul, x, s.window_id);
    CN_TRY(make_wave(c, cn_op_type(c, x)->dtype, s.n, s.n / 2 + 1, s.n, false, false, &w));
    return cn_op_return2(c, apply(c, x, w.re), apply(c, x, w.im));
}

/* TensorFlow's inverse window: the window over the sum of its squares at every stride. */
static cn_id inverse_window(cn_call* c, const stft_config* s, cornu_dtype dtype) {
    cn_type type = {.dtype = CORNU_FLOAT64, .ndim = 1, .dims = {s->n}};
    double* inverse = cn_call_alloc(c, (size_t)s->n * sizeof *inverse);

    if (!inverse) return CN_NONE;
    for (int64_t i = 0; i < s->n; i++) {
        double sum = 0;
        for (int64_t k = i % s->stride; k < s->n; k += s->stride) sum += s->window[k] * s->window[k];
        inverse[i] = s->window[i] / sum;
    }
    return cn_graph_cast(c->g, cn_graph_constant(c->g, &type, inverse), dtype);
}

static cornu_status lower_istft(cn_call* c) {
    stft_config s;
    cn_id re, im, x, places, base;
    int64_t count, total, from, to, rows;
    cn_type t;

    CN_TRY(complex_pair(c, &re, &im));
    t = *cn_op_type(c, re);
    if (t.ndim < 2) return CN_FAIL(BAD_ARGUMENT, "its input has too few axes");
    CN_TRY(read_stft(c, t.dtype, &s));
    CN_TRY(inverse_real(c, re, im, s.n, &x));
    if (cn_config_get(c->layer, "window")) x = cn_graph_ew2(c->g, CN_EW_mul, x, inverse_window(c, &s, t.dtype));
    count = t.dims[t.ndim - 2];
    total = count ? s.n + s.stride * (count - 1) : 0;
    rows = count > 0 && t.dims[t.ndim - 1] > 0 ? cn_type_count(&t) / (count * t.dims[t.ndim - 1]) : 0;
    /* Overlapping frames are added: [count * n, rows] into [total, rows]. */
    x = cn_graph_transpose(c->g, cn_graph_reshape(c->g, x, 2, (const int64_t[]){rows, count * s.n}), (const int[]){1, 0});
    places = cn_op_ew(c, CN_EW_mul, cn_op_iota_axis(c, CORNU_INT64, count, 0, 2), (double)s.stride);
    places = cn_graph_ew2(c->g, CN_EW_add, places, cn_op_iota_axis(c, CORNU_INT64, s.n, 1, 2));
    places = cn_graph_reshape(c->g, places, 2, (const int64_t[]){count * s.n, 1});
    base = cn_graph_broadcast(c->g, cn_graph_scalar(c->g, t.dtype, 0), 2, (const int64_t[]){total, rows});
    x = cn_graph_transpose(c->g, cn_op_scatter(c, CN_SCATTER_ADD, false, base, places, x), (const int[]){1, 0});
    from = s.center ? s.n / 2 : 0;
    to = s.center ? total - s.n / 2 : total;
    if (cn_config_get(c->layer, "length")) {
        CN_TRY(cn_op_int(c, "length", 0, &to));
        to = from + to < total ? from + to : total;
    }
    x = cn_graph_slice_axis(c->g, x, 1, from, to);
    t.dims[t.ndim - 2] = to > from ? to - from : 0;
    return cn_call_return(c, cn_graph_reshape(c->g, x, t.ndim - 1, t.dims));
}

/* ---- linalg.py ---- */

static cn_id transposed(cn_call* c, cn_id x) {
    int n = cn_op_type(c, x)->ndim;
    return cn_graph_move_axis(c->g, x, n - 1, n - 2);
}

static cornu_status matrix(cn_call* c, const char* names, cn_id* x) {
    CN_TRY(cn_op_tensor(c, 0, names, x));
    return cn_op_type(c, *x)->ndim < 2 ? CN_FAIL(BAD_ARGUMENT, "it takes matrices") : CORNU_OK;
}

static cornu_status lower_decomposition(cn_call* c) {
    const char* name = c->layer->class_name;
    cn_linalg_attr attr = {.kind = CN_LINALG_CHOLESKY};
    bool upper = false;
    cn_id x;

    CN_TRY(matrix(c, "x|a", &x));
    if (strcmp(name, "Cholesky") == 0) CN_TRY(cn_config_bool(c->layer, "upper", false, &upper));
    if (strcmp(name, "Det") == 0) attr.kind = CN_LINALG_DET;
    if (strcmp(name, "Inv") == 0) attr.kind = CN_LINALG_INV;
    if (strcmp(name, "Logdet") == 0) attr.kind = CN_LINALG_LOG_ABS_DET;
    x = cn_op_linalg(c, attr, x, CN_NONE);
    return cn_call_return(c, upper ? transposed(c, x) : x);
}

static cornu_status lower_pair_decomposition(cn_call* c) {
    const char *name = c->layer->class_name, *mode;
    cn_linalg_attr first = {.kind = CN_LINALG_SIGN_DET}, second = {.kind = CN_LINALG_LOG_ABS_DET};
    cn_id x;

    CN_TRY(matrix(c, "x|a", &x));
    if (strcmp(name, "Qr") == 0) {
        CN_TRY(cn_config_string(c->layer, "mode", "reduced", &mode));
        first = (cn_linalg_attr){.kind = CN_LINALG_QR_Q, .full = strcmp(mode, "complete") == 0};
        second = (cn_linalg_attr){.kind = CN_LINALG_QR_R, .full = first.full};
    } else if (strcmp(name, "LuFactor") == 0) {
        cn_id lu = cn_op_linalg(c, (cn_linalg_attr){.kind = CN_LINALG_LU}, x, CN_NONE), perm = cn_op_linalg(c, (cn_linalg_attr){.kind = CN_LINALG_LU_PERM}, x, CN_NONE);
        return cn_op_return2(c, lu, cn_op_sort(c, perm, cn_op_type(c, perm)->ndim ? cn_op_type(c, perm)->ndim - 1 : 0, false, true)); /* the inverse permutation */
    }
    return cn_op_return2(c, cn_op_linalg(c, first, x, CN_NONE), cn_op_linalg(c, second, x, CN_NONE));
}

static cornu_status lower_solve(cn_call* c) {
    cn_linalg_attr attr = {.kind = CN_LINALG_SOLVE};
    bool vector;
    cn_id a, b, y;

    CN_TRY(matrix(c, "a", &a));
    CN_TRY(cn_op_tensor(c, 1, "b", &b));
    if (strcmp(c->layer->class_name, "SolveTriangular") == 0) {
        attr.kind = CN_LINALG_TRIANGULAR;
        CN_TRY(cn_config_bool(c->layer, "lower", false, &attr.lower));
    }
    vector = cn_op_type(c, b)->ndim == cn_op_type(c, a)->ndim - 1;
    if (vector) b = cn_op_insert_axis(c, b, cn_op_type(c, b)->ndim);
    y = cn_op_linalg(c, attr, a, b);
    return cn_call_return(c, vector ? cn_op_remove_axis(c, y, cn_op_type(c, y)->ndim - 1) : y);
}

/* The identity in x's type. */
static cn_id identity_like(cn_call* c, cn_id x) {
    cn_type t = *cn_op_type(c, x);
    int64_t n = t.ndim ? t.dims[t.ndim - 1] : 0;
    return cn_graph_broadcast(c->g, cn_graph_cast(c->g, cn_op_band(c, n, n, 0, 0), t.dtype), t.ndim, t.dims);
}

static cornu_status lower_cholesky_inverse(cn_call* c) {
    bool upper;
    cn_id x;

    CN_TRY(matrix(c, "x|a", &x));
    CN_TRY(cn_config_bool(c->layer, "upper", false, &upper));
    x = cn_op_linalg(c, (cn_linalg_attr){.kind = CN_LINALG_TRIANGULAR, .lower = !upper}, x, identity_like(c, x));
    return cn_call_return(c, upper ? cn_graph_matmul(c->g, x, x, false, true) : cn_graph_matmul(c->g, x, x, true, false));
}

static double epsilon_of(cornu_dtype dtype) { return dtype == CORNU_FLOAT64 ? DBL_EPSILON : (double)FLT_EPSILON; }

static double largest_dim(const cn_type* t) {
    int64_t m = t->dims[t->ndim - 2], n = t->dims[t->ndim - 1];
    return (double)(m > n ? m : n);
}

static cornu_status lower_pinv(cn_call* c) {
    cn_linalg_attr attr = {.kind = CN_LINALG_PINV};
    cn_id x;

    CN_TRY(matrix(c, "x", &x));
    attr.rcond = 10 * largest_dim(cn_op_type(c, x)) * epsilon_of(cn_op_type(c, x)->dtype);
    if (cn_config_get(c->layer, "rcond")) CN_TRY(cn_config_double(c->layer, "rcond", 0, &attr.rcond));
    return cn_call_return(c, cn_op_linalg(c, attr, x, CN_NONE));
}

static cornu_status lower_lstsq(cn_call* c) {
    cn_linalg_attr attr = {.kind = CN_LINALG_PINV};
    bool vector;
    cn_id a, b, y;

    CN_TRY(matrix(c, "a", &a));
    CN_TRY(cn_op_tensor(c, 1, "b", &b));
    attr.rcond = largest_dim(cn_op_type(c, a)) * epsilon_of(cn_op_type(c, a)->dtype);
    if (cn_config_get(c->layer, "rcond")) CN_TRY(cn_config_double(c->layer, "rcond", 0, &attr.rcond));
    vector = cn_op_type(c, b)->ndim == 1;
    if (vector) b = cn_op_insert_axis(c, b, 1);
    y = cn_graph_matmul(c->g, cn_op_linalg(c, attr, a, CN_NONE), b, false, false);
    return cn_call_return(c, vector ? cn_op_flatten(c, y) : y);
}

static cn_id singular_values(cn_call* c, cn_id x) { return cn_op_linalg(c, (cn_linalg_attr){.kind = CN_LINALG_SINGULAR_VALUES}, x, CN_NONE); }

static cornu_status lower_matrix_rank(cn_call* c) {
    double tol = 0;
    int last;
    cn_id x, s, bound;

    CN_TRY(matrix(c, "x", &x));
    s = singular_values(c, x);
    last = cn_op_type(c, s)->ndim - 1;
    bound = cn_graph_reduce(c->g, s, CN_REDUCE_MAX, last < 0 ? 0 : 1u << last, true);
    bound = cn_op_ew(c, CN_EW_mul, bound, largest_dim(cn_op_type(c, x)) * epsilon_of(cn_op_type(c, x)->dtype));
    if (cn_config_get(c->layer, "tol")) {
        CN_TRY(cn_config_double(c->layer, "tol", 0, &tol));
        bound = cn_op_fill(c, s, tol);
    }
    s = cn_graph_cast(c->g, cn_graph_ew2(c->g, CN_EW_gt, s, bound), CORNU_INT32);
    return cn_call_return(c, cn_op_sum(c, s, last < 0 ? 0 : 1u << last, false));
}

static cornu_status lower_svd(cn_call* c) {
    bool vectors;
    cn_id x;

    CN_TRY(matrix(c, "x", &x));
    CN_TRY(cn_config_bool(c->layer, "compute_uv", true, &vectors));
    if (vectors) return cn_config_unsupported(c->layer, "compute_uv", "only the singular values are possible: the signs of the vectors are not defined");
    return cn_call_return(c, singular_values(c, x));
}

static cornu_status vector_norm(cn_call* c, cn_id x, uint32_t axes, bool keepdims, double order) {
    cn_id size = cn_graph_ew1(c->g, CN_EW_abs, x);

    if (order == 2) return cn_call_return(c, cn_graph_ew1(c->g, CN_EW_sqrt, cn_op_sum(c, cn_graph_ew1(c->g, CN_EW_square, x), axes, keepdims)));
    if (isinf(order)) return cn_call_return(c, cn_graph_reduce(c->g, size, order > 0 ? CN_REDUCE_MAX : CN_REDUCE_MIN, axes, keepdims));
    if (order == 0) return cn_call_return(c, cn_op_sum(c, cn_graph_cast(c->g, cn_op_ew(c, CN_EW_ne, x, 0), cn_op_type(c, x)->dtype), axes, keepdims));
    x = cn_op_sum(c, cn_op_ew(c, CN_EW_pow, size, order), axes, keepdims);
    return cn_call_return(c, cn_op_ew(c, CN_EW_pow, x, 1 / order));
}

static cornu_status spectral_norm(cn_call* c, cn_id x, int row, int column, bool keepdims, double order) {
    int ndim = cn_op_type(c, x)->ndim, perm[CORNU_MAX_DIMS], n = 0;
    cn_id s;

    for (int i = 0; i < ndim; i++) {
        if (i != row && i != column) perm[n++] = i;
    }
    perm[n++] = row;
    perm[n] = column;
    s = singular_values(c, cn_graph_transpose(c->g, x, perm));
    s = cn_graph_reduce(c->g, s, order == 2 ? CN_REDUCE_MAX : order == -2 ? CN_REDUCE_MIN : CN_REDUCE_SUM, 1u << (ndim - 2), false);
    for (int i = 0; keepdims && i < ndim; i++) s = i == row || i == column ? cn_op_insert_axis(c, s, i) : s;
    return cn_call_return(c, s);
}

static cornu_status lower_norm(cn_call* c) {
    const cn_json* ord = cn_config_get(c->layer, "ord");
    int64_t list[CORNU_MAX_DIMS];
    double order = cn_json_is(ord, CN_JSON_INT) || cn_json_is(ord, CN_JSON_FLOAT) ? cn_json_double(ord) : cn_json_equals(ord, "inf") ? INFINITY : cn_json_equals(ord, "-inf") ? -INFINITY : NAN;
    bool keepdims, nuclear = cn_json_equals(ord, "nuc");
    int n, row, column;
    cn_id x, y;

    CN_TRY(cn_op_tensor(c, 0, "x", &x));
    CN_TRY(cn_config_bool(c->layer, "keepdims", false, &keepdims));
    x = cn_graph_cast(c->g, x, cn_float_of(cn_op_type(c, x)->dtype));
    for (n = 0; n < cn_op_type(c, x)->ndim; n++) list[n] = n;
    if (cn_config_get(c->layer, "axis")) CN_TRY(cn_config_list(c->layer, "axis", CORNU_MAX_DIMS, INT32_MIN, INT32_MAX, false, list, &n));
    if (n == 1 || (n == 2 && (!ord || cn_json_equals(ord, "fro")))) {
        uint32_t axes = 0;
        for (int i = 0; i < n; i++) {
            CN_TRY(cn_call_axis(c, "axis", list[i], cn_op_type(c, x)->ndim, &row));
            axes |= 1u << row;
        }
        return vector_norm(c, x, axes, keepdims, ord && n == 1 ? order : 2);
    }
    if (n != 2 || (isnan(order) && !nuclear)) return cn_config_unsupported(c->layer, "ord", "there is no such norm");
    CN_TRY(cn_call_axis(c, "axis", list[0], cn_op_type(c, x)->ndim, &row));
    CN_TRY(cn_call_axis(c, "axis", list[1], cn_op_type(c, x)->ndim, &column));
    if (nuclear || order == 2 || order == -2) return spectral_norm(c, x, row, column, keepdims, nuclear ? 0 : order);
    if (fabs(order) != 1 && !isinf(order)) return cn_config_unsupported(c->layer, "ord", "there is no such norm");
    y = cn_op_sum(c, cn_graph_ew1(c->g, CN_EW_abs, x), 1u << (isinf(order) ? column : row), true);
    y = cn_graph_reduce(c->g, y, order > 0 ? CN_REDUCE_MAX : CN_REDUCE_MIN, 1u << (isinf(order) ? row : column), true);
    return cn_call_return(c, keepdims ? y : cn_op_sum(c, y, 1u << row | 1u << column, false));
}

#define COMPLEX "complex numbers are not possible here"
#define CALLS "it calls a Python function"

const cn_layer_def cn_ops_math[] = {
    CN_OP_ROW_LIMITS("SegmentSum", lower_segment, "needs num_segments"),
    CN_OP_ROW_LIMITS("SegmentMax", lower_segment, "needs num_segments"),
    CN_OP_ROW_LIMITS("SegmentMin", lower_segment, "needs num_segments"),
    CN_OP_ROW_LIMITS("SegmentProd", lower_segment, "needs num_segments"),
    CN_OP_ROW("TopK", lower_top_k),
    CN_OP_ROW("InTopK", lower_in_top_k),
    CN_OP_ROW("Logsumexp", lower_logsumexp),
    CN_OP_ROW("CDist", lower_cdist),
    CN_OP_ROW("ExtractSequences", lower_extract_sequences),
    CN_OP_ROW_LIMITS("FFT", lower_fft, "up to 8192 points"),
    CN_OP_ROW_LIMITS("FFT2", lower_fft, "up to 8192 points"),
    CN_OP_ROW_LIMITS("IFFT2", lower_fft, "up to 8192 points"),
    CN_OP_ROW_LIMITS("RFFT", lower_rfft, "up to 8192 points"),
    CN_OP_ROW_LIMITS("IRFFT", lower_irfft, "up to 8192 points"),
    CN_OP_ROW_LIMITS("STFT", lower_stft, "up to 8192 points; window by name or null"),
    CN_OP_ROW_LIMITS("ISTFT", lower_istft, "up to 8192 points; window by name or null"),
    CN_OP_ROW("Logdet", lower_decomposition),
    CN_OP_REFUSED("ViewAsComplex", COMPLEX),
    CN_OP_REFUSED("ViewAsReal", COMPLEX),
    CN_OP_REFUSED("Gammainc", "the incomplete gamma function is not there"),
    /* linalg.py */
    CN_OP_ROW("Cholesky", lower_decomposition),
    CN_OP_ROW("CholeskyInverse", lower_cholesky_inverse),
    CN_OP_ROW("Det", lower_decomposition),
    CN_OP_ROW("Inv", lower_decomposition),
    CN_OP_ROW("LuFactor", lower_pair_decomposition),
    CN_OP_ROW("Qr", lower_pair_decomposition),
    CN_OP_ROW("Slogdet", lower_pair_decomposition),
    CN_OP_ROW("Solve", lower_solve),
    CN_OP_ROW("SolveTriangular", lower_solve),
    CN_OP_ROW("Pinv", lower_pinv),
    CN_OP_ROW("Lstsq", lower_lstsq),
    CN_OP_ROW("MatrixRank", lower_matrix_rank),
    CN_OP_ROW_LIMITS("SVD", lower_svd, "compute_uv false: the signs of singular vectors are not defined"),
    CN_OP_ROW("Norm", lower_norm),
    CN_OP_REFUSED("Eig", COMPLEX),
    CN_OP_REFUSED("Eigh", "the signs of eigenvectors are not defined"),
    CN_OP_REFUSED("JVP", CALLS),
    {0},
};
