/* keras/src/ops/nn.py without the activations of one element, and core.py's casts. */
#include <inttypes.h>
#include <math.h>

#include "lower/ops.h"

#define EPSILON 1e-7 /* keras.config.epsilon() */

/* ---- over an axis ---- */

static cn_id soft_max(cn_call* c, cn_op op, cn_id x, uint32_t axes) {
    cn_attr attr;
    memset(&attr, 0, sizeof attr);
    attr.reduce.axes = axes;
    attr.reduce.keepdims = true;
    return cn_graph_add(c->g, op, &x, 1, &attr);
}

static cornu_status lower_softmax(cn_call* c) {
    uint32_t axes;
    cn_id x;

    CN_TRY(cn_op_tensor(c, 0, "x", &x));
    CN_TRY(cn_op_axes(c, "axis", cn_op_type(c, x)->ndim, &axes));
    return cn_call_return(c, soft_max(c, c->layer->class_name[0] == 'L' ? CN_OP_log_softmax : CN_OP_softmax, x, axes));
}

static cornu_status lower_sparsemax(cn_call* c) {
    int axis, ndim;
    int64_t n;
    cn_attr attr;
    cn_id x, sorted, sums, rank, support, k, tau;

    CN_TRY(cn_op_tensor(c, 0, "x", &x));
    ndim = cn_op_type(c, x)->ndim;
    CN_TRY(cn_op_axis(c, "axis", -1, ndim, &axis, NULL));
    n = cn_op_type(c, x)->dims[axis];
    memset(&attr, 0, sizeof attr);
    attr.cumulative.axis = axis;
    sorted = cn_op_sort(c, x, axis, true, false);
    sums = cn_graph_add(c->g, CN_OP_cumulative, &sorted, 1, &attr);
    rank = cn_op_ew(c, CN_EW_add, cn_op_iota_axis(c, cn_op_type(c, x)->dtype, n, axis, ndim), 1);
    support = cn_graph_ew2(c->g, CN_EW_div, cn_op_ew(c, CN_EW_sub, sums, 1), rank);
    support = cn_graph_ew2(c->g, CN_EW_gt, sorted, support);
    k = cn_op_sum(c, cn_graph_cast(c->g, support, cn_op_type(c, x)->dtype), 1u << axis, true);
    tau = cn_op_sum(c, cn_graph_select(c->g, support, sums, cn_op_fill(c, sums, 0)), 1u << axis, true);
    tau = cn_graph_ew2(c->g, CN_EW_div, cn_op_ew(c, CN_EW_sub, tau, 1), k);
    return cn_call_return(c, cn_op_ew(c, CN_EW_max, cn_graph_ew2(c->g, CN_EW_sub, x, tau), 0));
}

static cornu_status lower_glu(cn_call* c) {
    int axis;
    int64_t n;
    cn_id x, gate;

    CN_TRY(cn_op_tensor(c, 0, "x", &x));
    CN_TRY(cn_op_axis(c, "axis", -1, cn_op_type(c, x)->ndim, &axis, NULL));
    n = cn_op_type(c, x)->dims[axis];
    if (n % 2) return CN_FAIL(BAD_ARGUMENT, "axis %d has an odd size", axis);
    gate = cn_graph_ew1(c->g, CN_EW_sigmoid, cn_graph_slice_axis(c->g, x, axis, n / 2, n));
    return cn_call_return(c, cn_graph_ew2(c->g, CN_EW_mul, cn_graph_slice_axis(c->g, x, axis, 0, n / 2), gate));
}

static cornu_status lower_moments(cn_call* c) {
    cornu_dtype dtype;
    bool keepdims;
    uint32_t axes;
    cn_id x, mean, variance;

    CN_TRY(cn_op_tensor(c, 0, "x", &x));
    CN_TRY(cn_op_axes(c, "axes", cn_op_type(c, x)->ndim, &axes));
    CN_TRY(cn_config_bool(c->layer, "keepdims", false, &keepdims));
    dtype = cn_op_type(c, x)->dtype;
    if (dtype == CORNU_FLOAT16 || dtype == CORNU_BFLOAT16) x = cn_graph_cast(c->g, x, CORNU_FLOAT32);
    mean = cn_op_mean(c, x, axes, keepdims);
    variance = cn_op_variance(c, x, axes, keepdims);
    if (cn_op_type(c, x)->dtype != dtype) {
        mean = cn_op_ew(c, CN_EW_max, cn_op_ew(c, CN_EW_min, mean, 65504), -65504);
        variance = cn_op_ew(c, CN_EW_min, variance, 65504);
    }
    return cn_op_return2(c, cn_graph_cast(c->g, mean, dtype), cn_graph_cast(c->g, variance, dtype));
}

static cornu_status read_epsilon(cn_call* c, double fallback, double* out) {
    *out = fallback;
    return cn_config_get(c->layer, "epsilon") ? cn_config_double(c->layer, "epsilon", fallback, out) : CORNU_OK;
}

static cornu_status lower_normalize(cn_call* c) {
    const cn_json* order_json = cn_config_get(c->layer, "order");
    double epsilon, order = cn_json_is(order_json, CN_JSON_INT) || cn_json_is(order_json, CN_JSON_FLOAT) ? cn_json_double(order_json) : INFINITY;
    uint32_t axes;
    cn_id x, norm;

    CN_TRY(cn_op_tensor(c, 0, "x", &x));
    CN_TRY(cn_op_axes(c, "axis", cn_op_type(c, x)->ndim, &axes));
    CN_TRY(read_epsilon(c, EPSILON, &epsilon));
    x = cn_graph_cast(c->g, x, cn_float_of(cn_op_type(c, x)->dtype));
    if (!order_json) order = 2;
    if (order == 2) { /* by the reciprocal root, of at least epsilon squared */
        norm = cn_op_sum(c, cn_graph_ew1(c->g, CN_EW_square, x), axes, true);
        norm = cn_graph_ew1(c->g, CN_EW_rsqrt, cn_op_ew(c, CN_EW_max, norm, epsilon * epsilon));
        return cn_call_return(c, cn_graph_ew2(c->g, CN_EW_mul, x, norm));
    }
    norm = cn_graph_ew1(c->g, CN_EW_abs, x);
    if (isinf(order)) norm = cn_graph_reduce(c->g, norm, order > 0 ? CN_REDUCE_MAX : CN_REDUCE_MIN, axes, true);
    else if (order == 0) norm = cn_op_sum(c, cn_graph_cast(c->g, cn_op_ew(c, CN_EW_ne, x, 0), cn_op_type(c, x)->dtype), axes, true);
    else norm = cn_op_ew(c, CN_EW_pow, cn_op_sum(c, cn_op_ew(c, CN_EW_pow, norm, order), axes, true), 1 / order);
    return cn_call_return(c, cn_graph_ew2(c->g, CN_EW_div, x, cn_op_ew(c, CN_EW_max, norm, epsilon)));
}

/* An optional operand [n] or with the axes of the norm, in dims of x. */
static cornu_status scale_of(cn_call* c, int position, const char* name, cn_id x, uint32_t axes, cn_id* out) {
    const cn_arg* arg = cn_op_arg(c, position, name);
    int64_t dims[CORNU_MAX_DIMS];
    const cn_type* t = cn_op_type(c, x);

    *out = CN_NONE;
    if (!cn_op_given(arg)) return CORNU_OK;
    CN_TRY(cn_op_convert(c, arg, t->dtype, out));
    for (int i = 0; i < t->ndim; i++) dims[i] = axes >> i & 1 ? t->dims[i] : 1;
    if (cn_type_count(cn_op_type(c, *out)) != 1) *out = cn_graph_reshape(c->g, *out, t->ndim, dims);
    return cn_graph_status(c->g);
}

static cornu_status lower_batch_norm(cn_call* c) {
    double epsilon;
    int axis;
    cn_id x, mean, variance, offset, scale;

    CN_TRY(cn_op_tensor(c, 0, "x", &x));
    CN_TRY(cn_op_axis(c, "axis", -1, cn_op_type(c, x)->ndim, &axis, NULL));
    CN_TRY(read_epsilon(c, 1e-3, &epsilon));
    CN_TRY(scale_of(c, 1, "mean", x, 1u << axis, &mean));
    CN_TRY(scale_of(c, 2, "variance", x, 1u << axis, &variance));
    CN_TRY(scale_of(c, 3, "offset", x, 1u << axis, &offset));
    CN_TRY(scale_of(c, 4, "scale", x, 1u << axis, &scale));
    variance = cn_graph_ew1(c->g, CN_EW_rsqrt, cn_op_ew(c, CN_EW_add, variance, epsilon));
    x = cn_graph_ew2(c->g, CN_EW_mul, cn_graph_ew2(c->g, CN_EW_sub, x, mean), variance);
    if (scale != CN_NONE) x = cn_graph_ew2(c->g, CN_EW_mul, x, scale);
    return cn_call_return(c, offset == CN_NONE ? x : cn_graph_ew2(c->g, CN_EW_add, x, offset));
}

/* layer_normalization and rms_normalization: statistics in float32 at least. */
static cornu_status lower_layer_norm(cn_call* c) {
    bool rms = c->layer->class_name[0] == 'R', rms_scaling = false;
    cornu_dtype dtype;
    double epsilon;
    uint32_t axes;
    cn_id x, y, gamma, beta = CN_NONE, variance;

    CN_TRY(cn_op_tensor(c, 0, "x", &x));
    dtype = cn_op_type(c, x)->dtype;
    CN_TRY(cn_op_axes(c, "axis", cn_op_type(c, x)->ndim, &axes));
    CN_TRY(read_epsilon(c, EPSILON, &epsilon));
    if (!rms) CN_TRY(cn_config_bool(c->layer, "rms_scaling", false, &rms_scaling));
    x = cn_graph_cast(c->g, x, cn_result_type2(dtype, CORNU_FLOAT32));
    CN_TRY(scale_of(c, 1, "gamma|scale", x, axes, &gamma));
    if (!rms) CN_TRY(scale_of(c, 2, "beta", x, axes, &beta));
    if (rms) {
        variance = cn_op_mean(c, cn_graph_ew1(c->g, CN_EW_square, x), axes, true);
        y = x;
    } else {
        variance = cn_op_variance(c, x, axes, true);
        y = rms_scaling ? x : cn_graph_ew2(c->g, CN_EW_sub, x, cn_op_mean(c, x, axes, true));
    }
    y = cn_graph_ew2(c->g, CN_EW_mul, y, cn_graph_ew1(c->g, CN_EW_rsqrt, cn_op_ew(c, CN_EW_add, variance, epsilon)));
    if (gamma != CN_NONE) y = cn_graph_ew2(c->g, CN_EW_mul, y, gamma);
    if (beta != CN_NONE && !rms_scaling) y = cn_graph_ew2(c->g, CN_EW_add, y, beta);
    return cn_call_return(c, cn_graph_cast(c->g, y, dtype));
}

/* ---- losses ---- */

/* Keras takes the logits behind an activation where it finds them: the node's input, and true. */
static bool take_logits(cn_call* c, cn_id* x, bool softmax) {
    const cn_node* node = *x == CN_NONE ? NULL : &c->g->nodes[*x];

    if (!node || (softmax ? node->op != CN_OP_softmax : node->op != CN_OP_ew || node->attr.ew.fn != CN_EW_sigmoid)) return false;
    *x = node->inputs[0];
    return true;
}

static cornu_status loss_operands(cn_call* c, bool softmax, cn_id* target, cn_id* output, bool* from_logits) {
    CN_TRY(cn_op_tensor(c, 0, "target", target));
    CN_TRY(cn_op_tensor(c, 1, "output", output));
    CN_TRY(cn_config_bool(c->layer, "from_logits", false, from_logits));
    *from_logits = take_logits(c, output, softmax) || *from_logits;
    return CORNU_OK;
}

static cn_id clipped(cn_call* c, cn_id x) { return cn_op_ew(c, CN_EW_max, cn_op_ew(c, CN_EW_min, x, 1 - EPSILON), EPSILON); }

static cornu_status lower_categorical_crossentropy(cn_call* c) {
    bool from_logits;
    int axis;
    cn_id target, output;

    CN_TRY(loss_operands(c, true, &target, &output, &from_logits));
    CN_TRY(cn_op_axis(c, "axis", -1, cn_op_type(c, output)->ndim, &axis, NULL));
    if (from_logits) {
        output = soft_max(c, CN_OP_log_softmax, output, 1u << axis);
    } else {
        output = cn_graph_ew2(c->g, CN_EW_div, output, cn_op_sum(c, output, 1u << axis, true));
        output = cn_graph_ew1(c->g, CN_EW_log, clipped(c, output));
    }
    target = cn_graph_cast(c->g, target, cn_op_type(c, output)->dtype);
    return cn_call_return(c, cn_graph_ew1(c->g, CN_EW_neg, cn_op_sum(c, cn_graph_ew2(c->g, CN_EW_mul, target, output), 1u << axis, false)));
}

static cornu_status lower_sparse_crossentropy(cn_call* c) {
    bool from_logits;
    int last;
    cn_id target, output;

    CN_TRY(loss_operands(c, true, &target, &output, &from_logits));
    last = cn_op_type(c, output)->ndim - 1;
    if (last < 0) return CN_FAIL(BAD_ARGUMENT, "output must have at least 1 axis");
    if (!from_logits) output = cn_graph_ew1(c->g, CN_EW_log, clipped(c, output));
    output = soft_max(c, CN_OP_log_softmax, output, 1u << last);
    if (cn_op_type(c, target)->ndim == last) target = cn_op_insert_axis(c, target, last);
    output = cn_op_along(c, output, cn_graph_cast(c->g, target, CORNU_INT64), last);
    return cn_call_return(c, cn_graph_ew1(c->g, CN_EW_neg, cn_op_remove_axis(c, output, last)));
}

static cornu_status lower_binary_crossentropy(cn_call* c) {
    bool from_logits;
    cn_id t, x, y, rest;

    CN_TRY(loss_operands(c, false, &t, &x, &from_logits));
    t = cn_graph_cast(c->g, t, cn_op_type(c, x)->dtype);
    if (from_logits) { /* max(x, 0) - x t + log(1 + exp(-|x|)) */
        y = cn_graph_ew2(c->g, CN_EW_sub, cn_graph_ew1(c->g, CN_EW_softplus, x), cn_graph_ew2(c->g, CN_EW_mul, x, t));
        return cn_call_return(c, y);
    }
    x = clipped(c, x);
    y = cn_graph_ew2(c->g, CN_EW_mul, t, cn_graph_ew1(c->g, CN_EW_log, x));
    rest = cn_graph_ew1(c->g, CN_EW_log, cn_graph_ew2(c->g, CN_EW_sub, cn_op_fill(c, x, 1), x));
    rest = cn_graph_ew2(c->g, CN_EW_mul, cn_graph_ew2(c->g, CN_EW_sub, cn_op_fill(c, t, 1), t), rest);
    return cn_call_return(c, cn_graph_ew1(c->g, CN_EW_neg, cn_graph_ew2(c->g, CN_EW_add, y, rest)));
}

static cornu_status lower_psnr(cn_call* c) {
    double most;
    cn_id x, z, y;

    CN_TRY(cn_op_pair(c, false, 0, &x, &z));
    CN_TRY(cn_config_double(c->layer, "max_val", 1, &most));
    y = cn_graph_ew1(c->g, CN_EW_square, cn_graph_ew2(c->g, CN_EW_sub, x, z));
    y = cn_op_mean(c, y, cn_op_all_axes(cn_op_type(c, y)->ndim), false);
    y = cn_op_ew(c, CN_EW_mul, cn_graph_ew1(c->g, CN_EW_log10, y), -10);
    return cn_call_return(c, cn_op_ew(c, CN_EW_add, y, 20 * log10(most)));
}

/* ---- windows ---- */

static cornu_status image_operand(cn_call* c, cn_id* x, bool* channels_first, int* spatial) {
    CN_TRY(cn_op_tensor(c, 0, "inputs|x", x));
    CN_TRY(cn_op_channels_first(c, channels_first));
    *spatial = cn_op_type(c, *x)->ndim - 2;
    if (*spatial < 1 || *spatial > CN_MAX_SPATIAL) return CN_FAIL(BAD_ARGUMENT, "its input must have 3 to 5 axes");
    if (*channels_first) *x = cn_to_channels_last(c->g, *x);
    return cn_graph_status(c->g);
}

static cornu_status read_windows(cn_call* c, const char* key, int n, int64_t fallback, int64_t* out) {
    for (int i = 0; i < n; i++) out[i] = fallback;
    return cn_config_get(c->layer, key) ? cn_config_ints(c->layer, key, n, fallback, 1, INT32_MAX, out) : CORNU_OK;
}

/* TensorFlow's "same": the odd cell at the end. */
static void pad_same(int64_t n, int64_t window, int64_t stride, int64_t* low, int64_t* high) {
    int64_t total = ((n + stride - 1) / stride - 1) * stride + window - n;
    if (total < 0) total = 0;
    *low = total / 2;
    *high = total - total / 2;
}

static cornu_status lower_pool(cn_call* c) {
    const char* name = c->layer->class_name;
    bool channels_first, adaptive = name[1] == 'd';
    int spatial, padding;
    cn_attr attr;
    cn_id x;

    memset(&attr, 0, sizeof attr);
    CN_TRY(image_operand(c, &x, &channels_first, &spatial));
    attr.pool.kind = strstr(name, "Max") ? CN_POOL_MAX : CN_POOL_AVG;
    attr.pool.spatial = spatial;
    CN_TRY(read_windows(c, adaptive ? "output_size" : "pool_size", spatial, 1, attr.pool.window));
    memcpy(attr.pool.strides, attr.pool.window, sizeof attr.pool.strides);
    if (!adaptive && cn_config_get(c->layer, "strides")) CN_TRY(read_windows(c, "strides", spatial, 1, attr.pool.strides));
    CN_TRY(cn_config_choice(c->layer, "padding", "valid", "valid|same", &padding));
    for (int i = 0; i < spatial && padding == 1; i++) {
        pad_same(cn_op_type(c, x)->dims[i + 1], attr.pool.window[i], attr.pool.strides[i], &attr.pool.pad_lo[i], &attr.pool.pad_hi[i]);
    }
    x = cn_graph_add(c->g, adaptive ? CN_OP_adaptive_pool : CN_OP_pool, &x, 1, &attr);
    return cn_call_return(c, channels_first ? cn_to_channels_first(c->g, x) : x);
}

/* Strides, dilation and padding of the config over x [N, spatial.., C] and a kernel [spatial.., ..]. */
static cornu_status conv_attr(cn_call* c, cn_id x, cn_id kernel, int spatial, cn_attr* attr) {
    int padding;

    memset(attr, 0, sizeof *attr);
    attr->conv.spatial = spatial;
    attr->conv.groups = 1;
    if (cn_op_type(c, kernel)->ndim != spatial + 2) return CN_FAIL(BAD_ARGUMENT, "the kernel must have %d axes", spatial + 2);
    CN_TRY(read_windows(c, "strides", spatial, 1, attr->conv.strides));
    CN_TRY(read_windows(c, "dilation_rate", spatial, 1, attr->conv.dilation));
    CN_TRY(cn_config_choice(c->layer, "padding", "valid", "valid|same", &padding));
    for (int i = 0; i < spatial && padding == 1; i++) {
        int64_t window = (cn_op_type(c, kernel)->dims[i] - 1) * attr->conv.dilation[i] + 1;
        pad_same(cn_op_type(c, x)->dims[i + 1], window, attr->conv.strides[i], &attr->conv.pad_lo[i], &attr->conv.pad_hi[i]);
    }
    return CORNU_OK;
}

static cn_id run_conv(cn_call* c, cn_op op, cn_id x, cn_id kernel, const cn_attr* attr) {
    const cn_id in[] = {x, kernel};
    return cn_graph_add(c->g, op, in, 2, attr);
}

static cornu_status lower_conv(cn_call* c) {
    bool channels_first;
    int spatial;
    cn_attr attr;
    cn_id x, kernel;

    CN_TRY(image_operand(c, &x, &channels_first, &spatial));
    CN_TRY(cn_op_tensor(c, 1, "kernel", &kernel));
    CN_TRY(conv_attr(c, x, kernel, spatial, &attr));
    if (cn_op_type(c, kernel)->dims[spatial] > 0) attr.conv.groups = cn_op_type(c, x)->dims[spatial + 1] / cn_op_type(c, kernel)->dims[spatial];
    x = run_conv(c, CN_OP_conv, x, kernel, &attr);
    return cn_call_return(c, channels_first ? cn_to_channels_first(c->g, x) : x);
}

/* A kernel [spatial.., C, multiplier] is one of C groups. */
static cornu_status lower_depthwise(cn_call* c) {
    bool channels_first, separable = c->layer->class_name[0] == 'S';
    int spatial;
    cn_attr attr;
    cn_type t;
    cn_id x, kernel, pointwise;

    CN_TRY(image_operand(c, &x, &channels_first, &spatial));
    CN_TRY(cn_op_tensor(c, 1, "kernel|depthwise_kernel", &kernel));
    CN_TRY(conv_attr(c, x, kernel, spatial, &attr));
    t = *cn_op_type(c, kernel);
    attr.conv.groups = t.dims[spatial];
    t.dims[spatial + 1] *= t.dims[spatial];
    t.dims[spatial] = 1;
    x = run_conv(c, CN_OP_conv, x, cn_graph_reshape(c->g, kernel, spatial + 2, t.dims), &attr);
    if (separable) {
        cn_attr one;
        CN_TRY(cn_op_tensor(c, 2, "pointwise_kernel", &pointwise));
        memset(&one, 0, sizeof one);
        one.conv.spatial = spatial;
        one.conv.groups = 1;
        for (int i = 0; i < spatial; i++) one.conv.strides[i] = one.conv.dilation[i] = 1;
        x = run_conv(c, CN_OP_conv, x, pointwise, &one);
    }
    return cn_call_return(c, channels_first ? cn_to_channels_first(c->g, x) : x);
}

/* The result's size by Keras's rule; TensorFlow then crops as the gradient of a convolution of that size pads. */
static cornu_status crop_transpose(cn_call* c, int64_t n, int64_t kernel, int i, bool same, cn_conv_attr* a) {
    const cn_json* given = cn_config_get(c->layer, "output_padding");
    int64_t extra[CN_MAX_SPATIAL] = {0}, k = (kernel - 1) * a->dilation[i] + 1, s = a->strides[i], size, total;

    if (given) {
        CN_TRY(cn_config_ints(c->layer, "output_padding", a->spatial, 0, 0, INT32_MAX, extra));
        size = (n - 1) * s + k - (same ? 2 * (k / 2) : 0) + extra[i];
    } else {
        size = same ? n * s : n * s + (k > s ? k - s : 0);
    }
    total = (n - 1) * s + k - size;
    a->pad_lo[i] = same && total > 0 ? total / 2 : 0;
    a->pad_hi[i] = total - a->pad_lo[i];
    return CORNU_OK;
}

static cornu_status lower_conv_transpose(cn_call* c) {
    bool channels_first;
    int spatial, padding;
    cn_attr attr;
    cn_id x, kernel;

    CN_TRY(image_operand(c, &x, &channels_first, &spatial));
    CN_TRY(cn_op_tensor(c, 1, "kernel", &kernel));
    CN_TRY(cn_config_choice(c->layer, "padding", "valid", "valid|same", &padding));
    CN_TRY(conv_attr(c, x, kernel, spatial, &attr));
    for (int i = 0; i < spatial; i++) CN_TRY(crop_transpose(c, cn_op_type(c, x)->dims[i + 1], cn_op_type(c, kernel)->dims[i], i, padding == 1, &attr.conv));
    x = run_conv(c, CN_OP_conv_transpose, x, kernel, &attr);
    return cn_call_return(c, channels_first ? cn_to_channels_first(c->g, x) : x);
}

static cornu_status lower_depth_space(cn_call* c) {
    bool to_space = c->layer->class_name[0] == 'D', channels_first;
    int64_t b, h, w, ch;
    int spatial;
    cn_id x;

    CN_TRY(image_operand(c, &x, &channels_first, &spatial));
    CN_TRY(cn_op_int(c, "block_size", 1, &b));
    if (spatial != 2 || b < 1) return CN_FAIL(BAD_ARGUMENT, "it takes images of 4 axes and a positive block_size");
    h = cn_op_type(c, x)->dims[1], w = cn_op_type(c, x)->dims[2], ch = cn_op_type(c, x)->dims[3];
    if (to_space) {
        x = cn_graph_reshape(c->g, x, 6, (const int64_t[]){cn_op_type(c, x)->dims[0], h, w, b, b, ch / (b * b)});
        x = cn_graph_transpose(c->g, x, (const int[]){0, 1, 3, 2, 4, 5});
        x = cn_graph_reshape(c->g, x, 4, (const int64_t[]){cn_op_type(c, x)->dims[0], h * b, w * b, ch / (b * b)});
    } else {
        x = cn_graph_reshape(c->g, x, 6, (const int64_t[]){cn_op_type(c, x)->dims[0], h / b, b, w / b, b, ch});
        x = cn_graph_transpose(c->g, x, (const int[]){0, 1, 3, 2, 4, 5});
        x = cn_graph_reshape(c->g, x, 4, (const int64_t[]){cn_op_type(c, x)->dims[0], h / b, w / b, ch * b * b});
    }
    return cn_call_return(c, channels_first ? cn_to_channels_first(c->g, x) : x);
}

/* Windows' columns of [N, C, H, W] in places of height (axis 2) and width: [N, C, kh, nh, kw, nw]. */
static cornu_status window_places(cn_call* c, int64_t count, int64_t k, int64_t dilation, int64_t stride, cn_id* out) {
    cn_id at = cn_op_ew(c, CN_EW_mul, cn_op_iota_axis(c, CORNU_INT64, k, 0, 2), (double)dilation);
    *out = cn_graph_ew2(c->g, CN_EW_add, at, cn_op_ew(c, CN_EW_mul, cn_op_iota_axis(c, CORNU_INT64, count, 1, 2), (double)stride));
    return cn_graph_status(c->g);
}

typedef struct fold_config {
    int64_t k[2], d[2], p[2], s[2], count[2];
} fold_config;

static cornu_status read_fold(cn_call* c, const int64_t* size, fold_config* f) {
    CN_TRY(read_windows(c, "kernel_size", 2, 1, f->k));
    CN_TRY(read_windows(c, "dilation", 2, 1, f->d));
    CN_TRY(read_windows(c, "stride", 2, 1, f->s));
    f->p[0] = f->p[1] = 0;
    if (cn_config_get(c->layer, "padding")) CN_TRY(cn_config_ints(c->layer, "padding", 2, 0, 0, INT32_MAX, f->p));
    for (int i = 0; i < 2; i++) {
        f->count[i] = (size[i] + 2 * f->p[i] - f->d[i] * (f->k[i] - 1) - 1) / f->s[i] + 1;
        if (size[i] + 2 * f->p[i] < f->d[i] * (f->k[i] - 1) + 1) return CN_FAIL(BAD_ARGUMENT, "the kernel is larger than the image");
    }
    return CORNU_OK;
}

static cornu_status lower_unfold(cn_call* c) {
    fold_config f;
    cn_type t;
    cn_id x, rows, columns;

    CN_TRY(cn_op_tensor(c, 0, "x", &x));
    t = *cn_op_type(c, x);
    if (t.ndim != 4) return CN_FAIL(BAD_ARGUMENT, "unfold takes images of 4 axes");
    CN_TRY(read_fold(c, &t.dims[2], &f));
    x = cn_graph_pad(c->g, x, (const int64_t[]){0, 0, f.p[0], f.p[1]}, (const int64_t[]){0, 0, f.p[0], f.p[1]}, 0);
    CN_TRY(window_places(c, f.count[0], f.k[0], f.d[0], f.s[0], &rows));
    CN_TRY(window_places(c, f.count[1], f.k[1], f.d[1], f.s[1], &columns));
    x = cn_graph_gather(c->g, cn_graph_gather(c->g, x, rows, 2, CN_GATHER_CHECKED), columns, 4, CN_GATHER_CHECKED);
    x = cn_graph_transpose(c->g, x, (const int[]){0, 1, 2, 4, 3, 5});
    return cn_call_return(c, cn_graph_reshape(c->g, x, 3, (const int64_t[]){t.dims[0], t.dims[1] * f.k[0] * f.k[1], f.count[0] * f.count[1]}));
}

/* The sum of the windows: scattered into rows of [H W, N C]. */
static cornu_status lower_fold(cn_call* c) {
    int64_t size[2], n, channels, h, w, cells;
    fold_config f;
    cn_id x, rows, columns, base;

    CN_TRY(cn_op_tensor(c, 0, "x", &x));
    CN_TRY(read_windows(c, "output_size", 2, 1, size));
    CN_TRY(read_fold(c, size, &f));
    if (cn_op_type(c, x)->ndim != 3) return CN_FAIL(BAD_ARGUMENT, "fold takes 3 axes");
    n = cn_op_type(c, x)->dims[0];
    channels = cn_op_type(c, x)->dims[1] / (f.k[0] * f.k[1]);
    h = size[0] + 2 * f.p[0], w = size[1] + 2 * f.p[1];
    cells = f.k[0] * f.k[1] * f.count[0] * f.count[1];
    CN_TRY(window_places(c, f.count[0], f.k[0], f.d[0], f.s[0], &rows));
    CN_TRY(window_places(c, f.count[1], f.k[1], f.d[1], f.s[1], &columns));
    rows = cn_graph_reshape(c->g, cn_op_ew(c, CN_EW_mul, rows, (double)w), 4, (const int64_t[]){f.k[0], 1, f.count[0], 1});
    columns = cn_graph_reshape(c->g, columns, 4, (const int64_t[]){1, f.k[1], 1, f.count[1]});
    rows = cn_graph_reshape(c->g, cn_graph_ew2(c->g, CN_EW_add, rows, columns), 2, (const int64_t[]){cells, 1});
    x = cn_graph_transpose(c->g, cn_graph_reshape(c->g, x, 2, (const int64_t[]){n * channels, cells}), (const int[]){1, 0});
    base = cn_graph_broadcast(c->g, cn_op_fill(c, x, 0), 2, (const int64_t[]){h * w, n * channels});
    x = cn_graph_transpose(c->g, cn_op_scatter(c, CN_SCATTER_ADD, false, base, rows, x), (const int[]){1, 0});
    x = cn_graph_reshape(c->g, x, 4, (const int64_t[]){n, channels, h, w});
    return cn_call_return(c, cn_graph_slice(c->g, x, (const int64_t[]){0, 0, f.p[0], f.p[1]}, (const int64_t[]){n, channels, f.p[0] + size[0], f.p[1] + size[1]}));
}

/* ---- attention ---- */

/* Heads first: [B, T, N, H] as [B, N, T, H]. */
static cn_id heads_first(cn_call* c, cn_id x) { return cn_graph_transpose(c->g, x, (const int[]){0, 2, 1, 3}); }

static cn_id repeat_heads(cn_call* c, cn_id x, int64_t heads) {
    cn_type t = *cn_op_type(c, x);
    if (t.dims[2] == heads || t.dims[2] <= 1 || heads % t.dims[2]) return x;
    x = cn_graph_broadcast(c->g, cn_op_insert_axis(c, x, 3), 5, (const int64_t[]){t.dims[0], t.dims[1], t.dims[2], heads / t.dims[2], t.dims[3]});
    return cn_graph_reshape(c->g, x, 4, (const int64_t[]){t.dims[0], t.dims[1], heads, t.dims[3]});
}

static cornu_status attention_mask(cn_call* c, cn_id* logits) {
    const cn_arg* given = cn_op_arg(c, 4, "mask");
    cn_type t = *cn_op_type(c, *logits);
    bool causal;
    cn_id mask = CN_NONE, low;

    CN_TRY(cn_config_bool(c->layer, "is_causal", false, &causal));
    if (cn_op_given(given)) CN_TRY(cn_op_convert(c, given, CORNU_BOOL, &mask));
    if (causal) {
        cn_id band = cn_op_band(c, t.dims[2], t.dims[3], INT32_MIN, 0);
        mask = mask == CN_NONE ? band : cn_graph_ew2(c->g, CN_EW_and, mask, band);
    }
    if (mask == CN_NONE) return CORNU_OK;
    low = cn_op_fill(c, *logits, (t.dtype == CORNU_FLOAT16 ? 65500.0 : 3.38953e38) * -0.7);
    *logits = cn_graph_select(c->g, mask, *logits, low);
    return cn_graph_status(c->g);
}

static cornu_status lower_attention(cn_call* c) {
    const cn_arg *bias_arg = cn_op_arg(c, 3, "bias"), *scale_arg = cn_op_arg(c, 5, "scale");
    cornu_dtype dtype;
    double scale;
    cn_id q, k, v, x, bias;

    CN_TRY(cn_op_tensor(c, 0, "query", &q));
    CN_TRY(cn_op_tensor(c, 1, "key", &k));
    CN_TRY(cn_op_tensor(c, 2, "value", &v));
    dtype = cn_result_type((const cornu_dtype[]){cn_op_type(c, q)->dtype, cn_op_type(c, k)->dtype, cn_op_type(c, v)->dtype}, 3);
    if (cn_op_type(c, q)->ndim != 4 || cn_op_type(c, k)->ndim != 4 || cn_op_type(c, v)->ndim != 4) return CN_FAIL(BAD_ARGUMENT, "query, key and value must have 4 axes");
    q = cn_graph_cast(c->g, q, dtype);
    k = repeat_heads(c, cn_graph_cast(c->g, k, dtype), cn_op_type(c, q)->dims[2]);
    v = repeat_heads(c, cn_graph_cast(c->g, v, dtype), cn_op_type(c, q)->dims[2]);
    CN_TRY(cn_op_number(scale_arg, 1 / sqrt((double)cn_op_type(c, k)->dims[3]), &scale));
    x = cn_graph_matmul(c->g, heads_first(c, q), heads_first(c, k), false, true);
    x = cn_op_ew(c, CN_EW_mul, cn_graph_cast(c->g, x, cn_result_type2(dtype, CORNU_FLOAT32)), scale);
    if (cn_op_given(bias_arg)) {
        CN_TRY(cn_op_convert(c, bias_arg, cn_op_type(c, x)->dtype, &bias));
        x = cn_graph_ew2(c->g, CN_EW_add, x, bias);
    }
    CN_TRY(attention_mask(c, &x));
    x = cn_graph_cast(c->g, soft_max(c, CN_OP_softmax, x, 8), dtype);
    return cn_call_return(c, heads_first(c, cn_graph_matmul(c->g, x, heads_first(c, v), false, false)));
}

/* ---- core.py: casts ---- */

static cornu_status lower_cast(cn_call* c) {
    const char* name = c->layer->class_name;
    cornu_dtype dtype;
    cn_id x;

    CN_TRY(cn_op_tensor(c, 0, "x", &x));
    CN_TRY(cn_op_dtype_attr(c, "dtype", cn_op_type(c, x)->dtype, &dtype));
    if (name[0] == 'S' && cn_dtype_is_float(cn_op_type(c, x)->dtype) && cn_dtype_is_float(dtype)) {
        double most = dtype == CORNU_FLOAT16 ? 65504 : dtype == CORNU_BFLOAT16 ? 0x1.fep127 : 0x1.fffffep127;
        if (dtype != CORNU_FLOAT64) x = cn_op_ew(c, CN_EW_max, cn_op_ew(c, CN_EW_min, x, most), -most);
    } else if (name[0] == 'S' && cn_dtype_is_int(dtype) && cn_dtype_is_int(cn_op_type(c, x)->dtype)) {
        int bits = 8 * (int)cornu_dtype_size(dtype) - (cn_dtype_kind_of(dtype) == CN_KIND_I);
        bool narrower = bits < 8 * (int)cornu_dtype_size(cn_op_type(c, x)->dtype) - (cn_dtype_kind_of(cn_op_type(c, x)->dtype) == CN_KIND_I);
        if (narrower && bits < 53) x = cn_op_ew(c, CN_EW_min, x, ldexp(1, bits) - 1);
        if (cn_dtype_kind_of(cn_op_type(c, x)->dtype) == CN_KIND_I) {
            if (cn_dtype_kind_of(dtype) == CN_KIND_U) x = cn_op_ew(c, CN_EW_max, x, 0);
            else if (narrower) x = cn_op_ew(c, CN_EW_max, x, -ldexp(1, bits));
        }
    }
    return cn_call_return(c, cn_graph_cast(c->g, x, dtype));
}

#define COMPLEX "complex numbers are not possible here"
#define CALLS "it calls a Python function, which no file holds"
#define DATA "the size of the result depends on the data"

const cn_layer_def cn_ops_nn[] = {
    CN_OP_ROW("Softmax", lower_softmax),
    CN_OP_ROW("LogSoftmax", lower_softmax),
    CN_OP_ROW("Sparsemax", lower_sparsemax),
    CN_OP_ROW("Glu", lower_glu),
    CN_OP_ROW("Moments", lower_moments),
    CN_OP_ROW("Normalize", lower_normalize),
    CN_OP_ROW("BatchNorm", lower_batch_norm),
    CN_OP_ROW("LayerNorm", lower_layer_norm),
    CN_OP_ROW("RMSNorm", lower_layer_norm),
    CN_OP_ROW("CategoricalCrossentropy", lower_categorical_crossentropy),
    CN_OP_ROW("SparseCategoricalCrossentropy", lower_sparse_crossentropy),
    CN_OP_ROW("BinaryCrossentropy", lower_binary_crossentropy),
    CN_OP_ROW("PSNR", lower_psnr),
    CN_OP_ROW("MaxPool", lower_pool),
    CN_OP_ROW("AveragePool", lower_pool),
    CN_OP_ROW("AdaptiveMaxPool", lower_pool),
    CN_OP_ROW("AdaptiveAveragePool", lower_pool),
    CN_OP_ROW("Conv", lower_conv),
    CN_OP_ROW("DepthwiseConv", lower_depthwise),
    CN_OP_ROW("SeparableConv", lower_depthwise),
    CN_OP_ROW("ConvTranspose", lower_conv_transpose),
    CN_OP_ROW("DepthToSpace", lower_depth_space),
    CN_OP_ROW("SpaceToDepth", lower_depth_space),
    CN_OP_ROW("Unfold", lower_unfold),
    CN_OP_ROW("Fold", lower_fold),
    CN_OP_ROW_LIMITS("DotProductAttention", lower_attention, "scale is a number"),
    CN_OP_REFUSED("Polar", COMPLEX),
    CN_OP_REFUSED("CTCLoss", "not there yet"),
    CN_OP_REFUSED("CTCDecode", "not there yet"),
    /* core.py */
    CN_OP_ROW("Cast", lower_cast),
    CN_OP_ROW("SaturateCast", lower_cast),
    CN_OP_ROW("ConvertToTensor", lower_cast),
    CN_OP_ROW("Array", lower_cast),
    CN_OP_REFUSED("AssociativeScan", CALLS),
    CN_OP_REFUSED("Cond", CALLS),
    CN_OP_REFUSED("ForiLoop", CALLS),
    CN_OP_REFUSED("Map", CALLS),
    CN_OP_REFUSED("Scan", CALLS),
    CN_OP_REFUSED("Switch", CALLS),
    CN_OP_REFUSED("VectorizedMap", CALLS),
    CN_OP_REFUSED("WhileLoop", CALLS),
    /* numpy.py */
    CN_OP_REFUSED("Nonzero", DATA),
    CN_OP_REFUSED("Unique", DATA),
    CN_OP_REFUSED("Bincount", DATA),
    CN_OP_REFUSED("Argpartition", "Keras leaves the order open"),
    CN_OP_REFUSED("View", "elements are not taken for another dtype's"),
    {0},
};
