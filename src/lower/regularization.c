/* keras/src/layers/regularization: the identity at inference, random at training. */
#include "lower/layer.h"

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

/* Shape of the noise: noise_shape with null, where it stands, for the input's dimension. */
static cornu_status noise_dims(cn_call* c, const cn_type* x, int64_t* dims) {
    int n;

    memcpy(dims, x->dims, sizeof x->dims);
    if (!cn_config_get(c->layer, "noise_shape")) return CORNU_OK;
    CN_TRY(cn_config_list(c->layer, "noise_shape", CORNU_MAX_DIMS, 0, INT64_MAX, true, dims, &n));
    if (n != x->ndim) return CN_FAIL(BAD_ARGUMENT, "noise_shape has %d dimensions; its input has %d", n, x->ndim);
    for (int i = 0; i < n; i++) {
        if (dims[i] < 0) dims[i] = x->dims[i];
    }
    return CORNU_OK;
}

/* Keeps x / (1 - rate) with probability 1 - rate. */
static cornu_status lower_dropout(cn_call* c) {
    int64_t dims[CORNU_MAX_DIMS];
    double rate;
    cn_id x, noise, keep, zero, y;
    cn_type type;

    CN_TRY(cn_call_tensor(c, &x));
    CN_TRY(cn_config_double(c->layer, "rate", 0, &rate));
    if (!(rate >= 0 && rate <= 1)) return cn_config_bad(c->layer, "rate", "0 to 1 is allowed");
    if (!c->training || rate == 0) return cn_call_return(c, x);
    type = *cn_call_type(c, x);
    CN_TRY(noise_dims(c, &type, dims));
    zero = cn_graph_scalar(c->g, type.dtype, 0);
    if (rate == 1) return cn_call_return(c, cn_graph_broadcast(c->g, zero, type.ndim, type.dims));
    noise = random_tensor(c, false, type.ndim, dims, CORNU_FLOAT32);
    keep = cn_graph_ew2(c->g, CN_EW_ge, noise, cn_graph_scalar(c->g, CORNU_FLOAT32, rate));
    y = cn_graph_act(c->g, (cn_act){CN_EW_affine, 1 / (1 - rate), 0, 0}, x);
    return cn_call_return(c, cn_graph_select(c->g, keep, y, zero));
}

const cn_layer_def cn_layers_regularization[] = {
    {"Dropout", lower_dropout, CN_MASK_PASS, false, NULL},
    {0},
};
