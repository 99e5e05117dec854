/* keras/src/layers/regularization: the identity at inference, random at training. */
#include "lower/layer.h"

#include <math.h>
#include <string.h>

/* A tensor of uniform [0, 1) or standard normal numbers, of a stream of its own. */
static cn_id random_tensor(cn_call* c, bool normal, int ndim, const int64_t* dims, cornu_dtype dtype) {
    cn_attr attr;

    memset(&attr, 0, sizeof attr);
    attr.random.normal = normal;
    attr.random.stream = cn_call_stream(c);
    attr.random.dtype = dtype;
    attr.random.shape.ndim = ndim;
    memcpy(attr.random.shape.dims, dims, (size_t)ndim * sizeof *dims);
    return cn_graph_add(c->g, CN_OP_random, NULL, 0, &attr);
}

/* Shape of the noise: noise_shape with null, where it stands, for the input's dimension; the input's own without one. */
static cornu_status noise_dims(cn_call* c, const cn_type* x, int64_t* dims, int* ndim) {
    *ndim = x->ndim;
    memcpy(dims, x->dims, sizeof x->dims);
    if (!cn_config_get(c->layer, "noise_shape")) return CORNU_OK;
    CN_TRY(cn_config_list(c->layer, "noise_shape", CORNU_MAX_DIMS, 1, INT64_MAX, true, dims, ndim));
    if (*ndim > x->ndim) return CN_FAIL(BAD_ARGUMENT, "noise_shape has %d dimensions; its input has %d", *ndim, x->ndim);
    for (int i = 0; i < *ndim; i++) {
        if (dims[i] < 0) dims[i] = x->dims[i];
    }
    return CORNU_OK;
}

static cornu_status read_rate(cn_call* c, const char* key, double* out) {
    CN_TRY(cn_config_double(c->layer, key, 0, out));
    return *out >= 0 && *out <= 1 ? CORNU_OK : cn_config_bad(c->layer, key, "0 to 1 is allowed");
}

/* Keeps x / (1 - rate) with probability 1 - rate, one draw for each element of a noise of these dims. */
static cornu_status drop(cn_call* c, cn_id x, double rate, int ndim, const int64_t* dims) {
    cn_type type = *cn_call_type(c, x);
    cn_id noise, keep, zero = cn_graph_scalar(c->g, type.dtype, 0), y;

    if (rate == 1) return cn_call_return(c, cn_graph_broadcast(c->g, zero, type.ndim, type.dims));
    noise = random_tensor(c, false, ndim, dims, CORNU_FLOAT32);
    keep = cn_graph_ew2(c->g, CN_EW_ge, noise, cn_graph_scalar(c->g, CORNU_FLOAT32, rate));
    y = cn_graph_select(c->g, keep, cn_graph_act(c->g, (cn_act){CN_EW_affine, 1 / (1 - rate), 0, 0}, x), zero);
    CN_TRY(cn_graph_status(c->g));
    if (!cn_type_equal(cn_call_type(c, y), &type)) return CN_FAIL(BAD_ARGUMENT, "noise_shape does not broadcast to its input");
    return cn_call_return(c, y);
}

static cornu_status lower_dropout(cn_call* c) {
    int64_t dims[CORNU_MAX_DIMS];
    double rate;
    cn_id x;
    int ndim;

    CN_TRY(cn_call_tensor(c, &x));
    CN_TRY(read_rate(c, "rate", &rate));
    if (!c->training || rate == 0) return cn_call_return(c, x);
    CN_TRY(noise_dims(c, cn_call_type(c, x), dims, &ndim));
    return drop(c, x, rate, ndim, dims);
}

/* Whole feature maps are dropped: one draw for each sample and channel. */
static cornu_status lower_spatial_dropout(cn_call* c) {
    int64_t dims[CORNU_MAX_DIMS];
    bool first = false;
    double rate;
    cn_id x;
    int ndim, channel;

    CN_TRY(cn_call_tensor(c, &x));
    CN_TRY(read_rate(c, "rate", &rate));
    if (strcmp(c->layer->class_name, "SpatialDropout1D") != 0) CN_TRY(cn_call_data_format(c, &first));
    ndim = cn_call_type(c, x)->ndim;
    if (ndim != c->layer->class_name[14] - '0' + 2) return CN_FAIL(BAD_ARGUMENT, "its input has %d axes", ndim);
    if (!c->training || rate == 0) return cn_call_return(c, x);
    channel = first ? 1 : ndim - 1;
    for (int i = 0; i < ndim; i++) dims[i] = i == 0 || i == channel ? cn_call_type(c, x)->dims[i] : 1;
    return drop(c, x, rate, ndim, dims);
}

/* Normal numbers of that mean and deviation, as x's dtype and shape. */
static cn_id normal_like(cn_call* c, cn_id x, double mean, double deviation) {
    cn_type type = *cn_call_type(c, x);
    cn_id noise = random_tensor(c, true, type.ndim, type.dims, CORNU_FLOAT32);

    return cn_graph_cast(c->g, cn_graph_act(c->g, (cn_act){CN_EW_affine, deviation, mean, 0}, noise), c->compute);
}

static cornu_status lower_gaussian_dropout(cn_call* c) {
    double rate;
    cn_id x;

    CN_TRY(cn_call_tensor(c, &x));
    CN_TRY(read_rate(c, "rate", &rate));
    if (!c->training || rate == 0) return cn_call_return(c, x);
    if (rate == 1) return cn_config_bad(c->layer, "rate", "at training, below 1 is allowed");
    return cn_call_return(c, cn_lower_ew2(c->g, CN_EW_mul, x, normal_like(c, x, 1, sqrt(rate / (1 - rate)))));
}

static cornu_status lower_gaussian_noise(cn_call* c) {
    double deviation;
    cn_id x;

    CN_TRY(cn_call_tensor(c, &x));
    CN_TRY(read_rate(c, "stddev", &deviation));
    if (!c->training || deviation == 0) return cn_call_return(c, x);
    return cn_call_return(c, cn_lower_ew2(c->g, CN_EW_add, x, normal_like(c, x, 0, deviation)));
}

/* Dropped elements become selu's lowest value; an affine map then restores mean and variance. */
static cornu_status lower_alpha_dropout(cn_call* c) {
    const double low = -1.6732632423543772848170429916717 * 1.0507009873554804934193349852946;
    int64_t dims[CORNU_MAX_DIMS];
    double rate, a;
    cn_id x, keep, y;
    cn_type type;
    int ndim;

    CN_TRY(cn_call_tensor(c, &x));
    CN_TRY(read_rate(c, "rate", &rate));
    if (!c->training || rate == 0) return cn_call_return(c, x);
    if (rate == 1) return cn_config_bad(c->layer, "rate", "at training, below 1 is allowed");
    type = *cn_call_type(c, x);
    CN_TRY(noise_dims(c, &type, dims, &ndim));
    a = 1 / sqrt((1 - rate) * (1 + rate * low * low));
    keep = cn_graph_ew2(c->g, CN_EW_ge, random_tensor(c, false, ndim, dims, CORNU_FLOAT32), cn_graph_scalar(c->g, CORNU_FLOAT32, rate));
    y = cn_graph_select(c->g, keep, x, cn_graph_scalar(c->g, type.dtype, low));
    y = cn_graph_act(c->g, (cn_act){CN_EW_affine, a, -a * low * rate, 0}, y);
    CN_TRY(cn_graph_status(c->g));
    if (!cn_type_equal(cn_call_type(c, y), &type)) return CN_FAIL(BAD_ARGUMENT, "noise_shape does not broadcast to its input");
    return cn_call_return(c, y);
}

static cornu_status lower_activity_regularization(cn_call* c) {
    cn_id x;
    CN_TRY(cn_call_tensor(c, &x));
    return cn_call_return(c, x);
}

const cn_layer_def cn_layers_regularization[] = {
    {"ActivityRegularization", lower_activity_regularization, CN_MASK_PASS, false, NULL},
    {"AlphaDropout", lower_alpha_dropout, CN_MASK_PASS, false, "rate: not 1 at training"},
    {"Dropout", lower_dropout, CN_MASK_PASS, false, NULL},
    {"GaussianDropout", lower_gaussian_dropout, CN_MASK_PASS, false, "rate: not 1 at training"},
    {"GaussianNoise", lower_gaussian_noise, CN_MASK_PASS, false, NULL},
    {"SpatialDropout1D", lower_spatial_dropout, CN_MASK_PASS, false, NULL},
    {"SpatialDropout2D", lower_spatial_dropout, CN_MASK_PASS, false, NULL},
    {"SpatialDropout3D", lower_spatial_dropout, CN_MASK_PASS, false, NULL},
    {0},
};
