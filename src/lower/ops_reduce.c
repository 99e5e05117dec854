/* Operations over axes: sums, extremes, statistics, running sums, sorting. */
#include <float.h>
#include <math.h>

#include "lower/ops.h"

/* The one operand, the axes of the config as bits and keepdims. */
static cornu_status over_axes(cn_call* c, cn_id* x, uint32_t* axes, bool* keepdims) {
    CN_TRY(cn_op_tensor(c, 0, "x", x));
    CN_TRY(cn_op_axes(c, "axis", cn_op_type(c, *x)->ndim, axes));
    return cn_config_bool(c->layer, "keepdims", false, keepdims);
}

static bool is_nan_form(const cn_call* c) { return strncmp(c->layer->class_name, "Nan", 3) == 0; }

/* Small integers and bools are summed in 32 bits. */
static cornu_dtype sum_dtype(cornu_dtype dtype) {
    if (dtype == CORNU_BOOL || dtype == CORNU_INT8 || dtype == CORNU_INT16) return CORNU_INT32;
    return dtype == CORNU_UINT8 || dtype == CORNU_UINT16 ? CORNU_UINT32 : dtype;
}

static cn_id is_nan(cn_call* c, cn_id x) { return cn_graph_ew1(c->g, CN_EW_isnan, x); }

static cn_id replace_nan(cn_call* c, cn_id x, double value) {
    if (!cn_dtype_is_float(cn_op_type(c, x)->dtype)) return x;
    return cn_graph_select(c->g, is_nan(c, x), cn_op_fill(c, x, value), x);
}

static cornu_status lower_sum(cn_call* c) {
    bool keepdims, product = strstr(c->layer->class_name, "rod") != NULL;
    cornu_dtype dtype;
    uint32_t axes;
    cn_id x;

    CN_TRY(over_axes(c, &x, &axes, &keepdims));
    dtype = sum_dtype(cn_op_type(c, x)->dtype);
    if (product && cn_config_get(c->layer, "dtype")) dtype = cn_op_type(c, x)->dtype; /* Keras then leaves the operand as it is */
    if (product && dtype == CORNU_UINT64) dtype = CORNU_UINT32;
    if (is_nan_form(c)) x = replace_nan(c, x, product ? 1 : 0);
    x = cn_graph_cast(c->g, x, dtype);
    return cn_call_return(c, cn_graph_reduce(c->g, x, product ? CN_REDUCE_PROD : CN_REDUCE_SUM, axes, keepdims));
}

static cornu_status lower_mean(cn_call* c) {
    cornu_dtype dtype, compute;
    bool keepdims;
    uint32_t axes;
    cn_id x;

    CN_TRY(over_axes(c, &x, &axes, &keepdims));
    dtype = cn_op_type(c, x)->dtype;
    compute = cn_result_type2(dtype, CORNU_FLOAT32);
    x = cn_op_mean(c, cn_graph_cast(c->g, x, compute), axes, keepdims);
    return cn_call_return(c, cn_graph_cast(c->g, x, cn_dtype_is_float(dtype) ? dtype : compute));
}

static cn_id nan_mean(cn_call* c, cn_id x, uint32_t axes, bool keepdims) {
    cn_id there = cn_graph_cast(c->g, cn_graph_ew1(c->g, CN_EW_not, is_nan(c, x)), cn_op_type(c, x)->dtype);
    return cn_graph_ew2(c->g, CN_EW_div, cn_op_sum(c, replace_nan(c, x, 0), axes, keepdims), cn_op_sum(c, there, axes, keepdims));
}

static cornu_status lower_nan_mean(cn_call* c) {
    bool keepdims;
    uint32_t axes;
    cn_id x;

    CN_TRY(over_axes(c, &x, &axes, &keepdims));
    if (!cn_dtype_is_float(cn_op_type(c, x)->dtype)) return cn_call_return(c, cn_op_mean(c, cn_graph_cast(c->g, x, CORNU_FLOAT32), axes, keepdims));
    return cn_call_return(c, nan_mean(c, x, axes, keepdims));
}

static cornu_status lower_variance(cn_call* c) {
    bool keepdims, root = strstr(c->layer->class_name, "td") != NULL;
    cornu_dtype dtype;
    uint32_t axes;
    cn_id x;

    CN_TRY(over_axes(c, &x, &axes, &keepdims));
    dtype = cn_float_of(cn_op_type(c, x)->dtype);
    x = cn_graph_cast(c->g, x, root ? dtype : cn_result_type2(dtype, CORNU_FLOAT32));
    x = cn_op_variance(c, x, axes, keepdims);
    if (root) x = cn_graph_ew1(c->g, CN_EW_sqrt, x);
    return cn_call_return(c, cn_graph_cast(c->g, x, dtype));
}

static cornu_status lower_nan_variance(cn_call* c) {
    bool keepdims, root = strcmp(c->layer->class_name, "Nanstd") == 0;
    cn_id x, centred, count, y;
    uint32_t axes;

    CN_TRY(over_axes(c, &x, &axes, &keepdims));
    x = cn_graph_cast(c->g, x, cn_float_of(cn_op_type(c, x)->dtype));
    centred = cn_graph_ew2(c->g, CN_EW_sub, x, nan_mean(c, x, axes, true));
    centred = cn_graph_select(c->g, is_nan(c, x), cn_op_fill(c, x, 0), centred);
    count = cn_graph_cast(c->g, cn_graph_ew1(c->g, CN_EW_not, is_nan(c, x)), cn_op_type(c, x)->dtype);
    y = cn_op_sum(c, cn_graph_ew1(c->g, CN_EW_square, centred), axes, keepdims);
    y = cn_graph_ew2(c->g, CN_EW_div, y, cn_op_sum(c, count, axes, keepdims));
    return cn_call_return(c, root ? cn_graph_ew1(c->g, CN_EW_sqrt, y) : y);
}

static cornu_status lower_extreme(cn_call* c) {
    bool keepdims, largest = strstr(c->layer->class_name, "max") != NULL || strcmp(c->layer->class_name, "Max") == 0;
    uint32_t axes;
    cn_id x, y;

    CN_TRY(over_axes(c, &x, &axes, &keepdims));
    y = is_nan_form(c) ? replace_nan(c, x, largest ? -INFINITY : INFINITY) : x;
    y = cn_graph_reduce(c->g, y, largest ? CN_REDUCE_MAX : CN_REDUCE_MIN, axes, keepdims);
    if (is_nan_form(c) && cn_dtype_is_float(cn_op_type(c, x)->dtype)) {
        y = cn_graph_select(c->g, cn_graph_reduce(c->g, is_nan(c, x), CN_REDUCE_ALL, axes, keepdims), cn_op_fill(c, y, NAN), y);
    }
    if (cn_config_get(c->layer, "initial")) {
        double initial;
        CN_TRY(cn_config_double(c->layer, "initial", 0, &initial));
        y = cn_op_ew(c, largest ? CN_EW_max : CN_EW_min, y, initial);
    }
    return cn_call_return(c, y);
}

static cornu_status lower_ptp(cn_call* c) {
    bool keepdims;
    uint32_t axes;
    cn_id x;

    CN_TRY(over_axes(c, &x, &axes, &keepdims));
    return cn_call_return(c, cn_graph_ew2(c->g, CN_EW_sub, cn_graph_reduce(c->g, x, CN_REDUCE_MAX, axes, keepdims), cn_graph_reduce(c->g, x, CN_REDUCE_MIN, axes, keepdims)));
}

static cornu_status lower_all(cn_call* c) {
    bool keepdims, all = strcmp(c->layer->class_name, "All") == 0;
    uint32_t axes;
    cn_id x;

    CN_TRY(over_axes(c, &x, &axes, &keepdims));
    return cn_call_return(c, cn_graph_reduce(c->g, cn_graph_cast(c->g, x, CORNU_BOOL), all ? CN_REDUCE_ALL : CN_REDUCE_ANY, axes, keepdims));
}

static cornu_status lower_count_nonzero(cn_call* c) {
    bool keepdims;
    uint32_t axes;
    cn_id x;

    CN_TRY(over_axes(c, &x, &axes, &keepdims));
    x = cn_graph_cast(c->g, cn_op_ew(c, CN_EW_ne, x, 0), CORNU_INT32);
    return cn_call_return(c, cn_op_sum(c, x, axes, keepdims));
}

static cornu_status lower_average(cn_call* c) {
    const cn_arg* given = cn_op_arg(c, 1, "weights");
    cornu_dtype dtype;
    uint32_t axes;
    cn_id x, w, total;

    CN_TRY(cn_op_tensor(c, 0, "x", &x));
    CN_TRY(cn_op_axes(c, "axis", cn_op_type(c, x)->ndim, &axes));
    dtype = cn_float_of(cn_op_type(c, x)->dtype);
    if (!cn_op_given(given)) return cn_call_return(c, cn_op_mean(c, cn_graph_cast(c->g, x, dtype), axes, false));
    CN_TRY(cn_op_convert(c, given, 0, &w));
    dtype = cn_result_type((const cornu_dtype[]){cn_op_type(c, x)->dtype, cn_op_type(c, w)->dtype, CN_WEAK_FLOAT}, 3);
    x = cn_graph_cast(c->g, x, dtype);
    w = cn_graph_cast(c->g, w, dtype);
    if (cn_op_type(c, w)->ndim == 1 && cn_op_type(c, x)->ndim != 1 && (axes & (axes - 1)) == 0) { /* weights along the one axis */
        int64_t dims[CORNU_MAX_DIMS];
        for (int i = 0; i < cn_op_type(c, x)->ndim; i++) dims[i] = axes >> i & 1 ? cn_op_type(c, w)->dims[0] : 1;
        w = cn_graph_reshape(c->g, w, cn_op_type(c, x)->ndim, dims);
    }
    total = cn_op_sum(c, w, axes, false);
    return cn_call_return(c, cn_graph_ew2(c->g, CN_EW_div, cn_op_sum(c, cn_graph_ew2(c->g, CN_EW_mul, x, w), axes, false), total));
}

/* ---- positions ---- */

/* Keras makes -0 the least negative number, so that it is smaller than 0. */
static cn_id order_zeros(cn_call* c, cn_id x) {
    double tiny = cn_op_type(c, x)->dtype == CORNU_FLOAT64 ? DBL_MIN : (double)FLT_MIN;
    cn_id negative = cn_graph_ew2(c->g, CN_EW_and, cn_op_ew(c, CN_EW_eq, x, 0), cn_graph_ew1(c->g, CN_EW_signbit, x));
    return cn_graph_select(c->g, negative, cn_op_fill(c, x, -tiny), x);
}

static cn_id arg_extreme(cn_call* c, cn_id x, int axis, bool none, bool keepdims, bool largest) {
    cn_type t = *cn_op_type(c, x);
    int64_t ones[CORNU_MAX_DIMS];
    cn_attr attr;
    cn_id y;

    memset(&attr, 0, sizeof attr);
    attr.arg = (cn_arg_attr){none ? 0 : axis, largest, keepdims && !none};
    if (none) x = cn_op_flatten(c, x);
    if (cn_dtype_is_float(t.dtype)) x = order_zeros(c, cn_graph_cast(c->g, x, cn_result_type2(t.dtype, CORNU_FLOAT32)));
    y = cn_graph_add(c->g, CN_OP_arg, &x, 1, &attr);
    for (int i = 0; i < t.ndim; i++) ones[i] = 1;
    return none && keepdims ? cn_graph_reshape(c->g, y, t.ndim, ones) : y;
}

static cornu_status lower_arg(cn_call* c) {
    bool largest = strstr(c->layer->class_name, "max") != NULL, none, keepdims;
    cn_id x, y, all;
    int axis;

    CN_TRY(cn_op_tensor(c, 0, "x", &x));
    CN_TRY(cn_config_bool(c->layer, "keepdims", false, &keepdims));
    CN_TRY(cn_op_axis(c, "axis", 0, cn_op_type(c, x)->ndim, &axis, &none));
    if (!is_nan_form(c) || !cn_dtype_is_float(cn_op_type(c, x)->dtype)) return cn_call_return(c, arg_extreme(c, x, axis, none, keepdims, largest));
    y = arg_extreme(c, replace_nan(c, x, largest ? -INFINITY : INFINITY), axis, none, keepdims, largest);
    all = cn_graph_reduce(c->g, is_nan(c, x), CN_REDUCE_ALL, none ? cn_op_all_axes(cn_op_type(c, x)->ndim) : 1u << axis, keepdims);
    return cn_call_return(c, cn_graph_select(c->g, all, cn_op_fill(c, y, -1), y));
}

static cornu_status lower_sort(cn_call* c) {
    bool indices = strcmp(c->layer->class_name, "Argsort") == 0, none;
    int axis;
    cn_id x;

    CN_TRY(cn_op_tensor(c, 0, "x", &x));
    if (cn_op_type(c, x)->ndim == 0 && indices) return cn_call_return(c, cn_graph_reshape(c->g, cn_graph_scalar(c->g, CORNU_INT32, 0), 1, (const int64_t[]){1}));
    CN_TRY(cn_op_axis(c, "axis", -1, cn_op_type(c, x)->ndim, &axis, &none));
    if (none) x = cn_op_flatten(c, x);
    return cn_call_return(c, cn_op_sort(c, x, none ? 0 : axis, false, indices));
}

static cornu_status lower_cumulative(cn_call* c) {
    bool product = strstr(c->layer->class_name, "prod") != NULL, none;
    cornu_dtype dtype;
    cn_attr attr;
    int axis;
    cn_id x;

    memset(&attr, 0, sizeof attr);
    CN_TRY(cn_op_tensor(c, 0, "x", &x));
    CN_TRY(cn_op_dtype_attr(c, "dtype", cn_op_type(c, x)->dtype, &dtype));
    CN_TRY(cn_op_axis(c, "axis", 0, cn_op_type(c, x)->ndim, &axis, &none));
    if (is_nan_form(c)) {
        x = replace_nan(c, x, product ? 1 : 0);
        if (cn_dtype_is_float(cn_op_type(c, x)->dtype)) { /* Keras takes nan_to_num, which makes infinities finite */
            double most = cn_op_type(c, x)->dtype == CORNU_FLOAT64 ? DBL_MAX : (double)FLT_MAX;
            x = cn_op_ew(c, CN_EW_max, cn_op_ew(c, CN_EW_min, x, most), -most);
        }
    }
    x = cn_graph_cast(c->g, x, dtype == CORNU_BOOL ? CORNU_INT32 : dtype);
    if (none) x = cn_op_flatten(c, x);
    attr.cumulative = (cn_cumulative_attr){none ? 0 : axis, product};
    return cn_call_return(c, cn_graph_add(c->g, CN_OP_cumulative, &x, 1, &attr));
}

/* ---- quantiles ---- */

/* Brings the axes that are reduced over to the end, as one. */
static cn_id gather_axes(cn_call* c, cn_id x, uint32_t axes) {
    cn_type t = *cn_op_type(c, x);
    int perm[CORNU_MAX_DIMS], n = 0, kept;
    int64_t dims[CORNU_MAX_DIMS];

    for (int i = 0; i < t.ndim; i++) {
        if (!(axes >> i & 1)) perm[n++] = i;
    }
    kept = n;
    for (int i = 0; i < kept; i++) dims[i] = t.dims[perm[i]];
    dims[kept] = 1;
    for (int i = 0; i < t.ndim; i++) {
        if (!(axes >> i & 1)) continue;
        perm[n++] = i;
        dims[kept] *= t.dims[i];
    }
    if (kept == CORNU_MAX_DIMS) return CN_NONE;
    return cn_graph_reshape(c->g, cn_graph_transpose(c->g, x, perm), kept + 1, dims);
}

/* Elements of sorted [.., n] at positions [.., q] given as float64 whole numbers. */
static cn_id take_at(cn_call* c, cn_id sorted, cn_id positions) {
    return cn_op_along(c, sorted, cn_graph_cast(c->g, positions, CORNU_INT64), cn_op_type(c, sorted)->ndim - 1);
}

/* Quantiles of sorted [.., n] whose first counts (float64 [.., 1]) elements are numbers, at q (float64 [m]): [.., m]. */
static cornu_status quantiles(cn_call* c, cn_id sorted, cn_id counts, cn_id q, const char* method, cn_id* out) {
    cn_type t = *cn_op_type(c, sorted);
    cn_id last = cn_op_ew(c, CN_EW_max, cn_op_ew(c, CN_EW_sub, counts, 1), 0), place, low, high;
    int64_t dims[CORNU_MAX_DIMS];

    CN_TRY(cn_graph_status(c->g));
    memcpy(dims, t.dims, sizeof dims);
    dims[t.ndim - 1] = cn_op_type(c, q)->dims[0];
    place = cn_graph_broadcast(c->g, cn_graph_ew2(c->g, CN_EW_mul, last, q), t.ndim, dims);
    low = cn_graph_ew2(c->g, CN_EW_min, cn_op_ew(c, CN_EW_max, cn_graph_ew1(c->g, CN_EW_floor, place), 0), last);
    high = cn_graph_ew2(c->g, CN_EW_min, cn_op_ew(c, CN_EW_max, cn_graph_ew1(c->g, CN_EW_ceil, place), 0), last);
    if (strcmp(method, "lower") == 0) *out = take_at(c, sorted, low);
    else if (strcmp(method, "higher") == 0) *out = take_at(c, sorted, high);
    else if (strcmp(method, "nearest") == 0) *out = take_at(c, sorted, cn_graph_ew1(c->g, CN_EW_round, place));
    else if (strcmp(method, "midpoint") == 0) *out = cn_op_ew(c, CN_EW_mul, cn_graph_ew2(c->g, CN_EW_add, take_at(c, sorted, low), take_at(c, sorted, high)), 0.5);
    else if (strcmp(method, "linear") == 0) {
        cn_id before = cn_op_ew(c, CN_EW_max, cn_op_ew(c, CN_EW_sub, high, 1), 0), after = cn_graph_ew2(c->g, CN_EW_min, cn_op_ew(c, CN_EW_add, before, 1), last);
        cn_id share = cn_graph_cast(c->g, cn_graph_ew2(c->g, CN_EW_sub, after, place), t.dtype);
        cn_id rest = cn_graph_ew2(c->g, CN_EW_sub, cn_op_fill(c, share, 1), share);
        *out = cn_graph_ew2(c->g, CN_EW_add, cn_graph_ew2(c->g, CN_EW_mul, take_at(c, sorted, after), rest), cn_graph_ew2(c->g, CN_EW_mul, take_at(c, sorted, before), share));
    } else {
        return cn_config_unsupported(c->layer, "method", "linear, lower, higher, nearest and midpoint are possible");
    }
    return cn_graph_status(c->g);
}

/* median, quantile, percentile and their nan forms. The axis of q comes first in the result. */
static cornu_status lower_quantile(cn_call* c) {
    const char *name = c->layer->class_name, *method;
    bool nan_form = is_nan_form(c), median = strstr(name, "edian") != NULL, keepdims;
    cn_id x, q, y, missing, counts;
    int q_ndim = 0, kept;
    cn_type t;
    uint32_t axes;

    CN_TRY(over_axes(c, &x, &axes, &keepdims));
    CN_TRY(cn_config_string(c->layer, "method", "linear", &method));
    if (strcmp(name, "Quantile") == 0) method = "linear"; /* the operation keeps its method and does not use it */
    x = cn_graph_cast(c->g, x, cn_float_of(cn_op_type(c, x)->dtype));
    q = cn_graph_scalar(c->g, CORNU_FLOAT64, 0.5);
    if (!median) {
        const cn_arg* given = cn_op_arg(c, 1, "q");
        bool percent = strstr(name, "ercentile") != NULL, number = given->kind == CN_ARG_JSON && !cn_json_get(given->json, "class_name");
        if (!cn_op_given(given)) return CN_FAIL(BAD_FILE, "argument q is missing");
        CN_TRY(cn_op_convert(c, given, percent || nan_form ? CORNU_FLOAT32 : number ? CORNU_FLOAT32 : (cornu_dtype)0, &q));
        if (percent) q = cn_op_ew(c, CN_EW_div, q, 100);
        q = cn_graph_cast(c->g, q, CORNU_FLOAT64);
        q_ndim = cn_op_type(c, q)->ndim;
    }
    CN_TRY(cn_graph_status(c->g));
    if (q_ndim > 1) return CN_FAIL(UNSUPPORTED, "q of more than one axis");
    t = *cn_op_type(c, x);
    q = cn_op_flatten(c, q);
    x = gather_axes(c, x, axes);
    CN_TRY(cn_graph_status(c->g));
    kept = cn_op_type(c, x)->ndim - 1;
    missing = cn_graph_reduce(c->g, is_nan(c, x), nan_form ? CN_REDUCE_ALL : CN_REDUCE_ANY, 1u << kept, true);
    counts = cn_graph_cast(c->g, cn_graph_ew1(c->g, CN_EW_not, is_nan(c, x)), CORNU_FLOAT64);
    counts = cn_op_sum(c, counts, 1u << kept, true);
    if (!nan_form) counts = cn_graph_scalar(c->g, CORNU_FLOAT64, (double)cn_op_type(c, x)->dims[kept]);
    CN_TRY(quantiles(c, cn_op_sort(c, x, kept, false, false), counts, q, method, &y));
    y = cn_graph_move_axis(c->g, cn_graph_select(c->g, missing, cn_op_fill(c, y, NAN), y), kept, 0);
    if (q_ndim == 0) y = cn_op_remove_axis(c, y, 0);
    for (int i = 0; keepdims && i < t.ndim; i++) y = axes >> i & 1 ? cn_op_insert_axis(c, y, i + q_ndim) : y;
    return cn_call_return(c, y);
}

const cn_layer_def cn_ops_reduce[] = {
    CN_OP_ROW("Sum", lower_sum),
    CN_OP_ROW("Prod", lower_sum),
    CN_OP_ROW("Nansum", lower_sum),
    CN_OP_ROW("Nanprod", lower_sum),
    CN_OP_ROW("Mean", lower_mean),
    CN_OP_ROW("Nanmean", lower_nan_mean),
    CN_OP_ROW("Var", lower_variance),
    CN_OP_ROW("Std", lower_variance),
    CN_OP_ROW("Nanvar", lower_nan_variance),
    CN_OP_ROW("Nanstd", lower_nan_variance),
    CN_OP_ROW("Max", lower_extreme),
    CN_OP_ROW("Min", lower_extreme),
    CN_OP_ROW("Amax", lower_extreme),
    CN_OP_ROW("Amin", lower_extreme),
    CN_OP_ROW("Nanmax", lower_extreme),
    CN_OP_ROW("Nanmin", lower_extreme),
    CN_OP_ROW("Ptp", lower_ptp),
    CN_OP_ROW("All", lower_all),
    CN_OP_ROW("Any", lower_all),
    CN_OP_ROW("CountNonzero", lower_count_nonzero),
    CN_OP_ROW("Average", lower_average),
    CN_OP_ROW("Argmax", lower_arg),
    CN_OP_ROW("Argmin", lower_arg),
    CN_OP_ROW("Nanargmax", lower_arg),
    CN_OP_ROW("Nanargmin", lower_arg),
    CN_OP_ROW("Sort", lower_sort),
    CN_OP_ROW("Argsort", lower_sort),
    CN_OP_ROW("Cumsum", lower_cumulative),
    CN_OP_ROW("Cumprod", lower_cumulative),
    CN_OP_ROW("Nancumsum", lower_cumulative),
    CN_OP_ROW("Nancumprod", lower_cumulative),
    CN_OP_ROW_LIMITS("Quantile", lower_quantile, "q has at most one axis"),
    CN_OP_ROW_LIMITS("Percentile", lower_quantile, "q has at most one axis"),
    CN_OP_ROW("Median", lower_quantile),
    CN_OP_ROW_LIMITS("Nanquantile", lower_quantile, "q has at most one axis"),
    CN_OP_ROW_LIMITS("Nanpercentile", lower_quantile, "q has at most one axis"),
    CN_OP_ROW("Nanmedian", lower_quantile),
    {0},
};
