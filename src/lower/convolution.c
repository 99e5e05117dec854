/* keras/src/layers/convolutional. The graph's convolutions are channels last; channels_first is a transpose before and
 * after, which passes cancel between layers. */
#include "lower/layer.h"

#include <string.h>

/* Cells that padding "same" adds in all to n cells: TensorFlow's rule, the odd one at the end. */
static void same_padding(int64_t n, int64_t k, int64_t stride, int64_t dilation, int64_t* lo, int64_t* hi) {
    int64_t out = (n + stride - 1) / stride;
    int64_t total = (out - 1) * stride + (k - 1) * dilation + 1 - n;

    if (total < 0) total = 0;
    *lo = total / 2;
    *hi = total - total / 2;
}

typedef struct conv_config {
    bool channels_first, use_bias;
    int padding; /* 0 valid, 1 same, 2 causal */
    int64_t kernel[CN_MAX_SPATIAL];
    cn_conv_attr attr;
} conv_config;

static cornu_status read_conv(cn_call* c, int spatial, conv_config* out) {
    memset(out, 0, sizeof *out);
    out->attr.spatial = spatial;
    out->attr.groups = 1;
    CN_TRY(cn_call_data_format(c, &out->channels_first));
    CN_TRY(cn_config_bool(c->layer, "use_bias", true, &out->use_bias));
    CN_TRY(cn_config_choice(c->layer, "padding", "valid", "valid|same|causal", &out->padding));
    CN_TRY(cn_config_ints(c->layer, "kernel_size", spatial, 1, 1, INT32_MAX, out->kernel));
    CN_TRY(cn_config_ints(c->layer, "strides", spatial, 1, 1, INT32_MAX, out->attr.strides));
    CN_TRY(cn_config_ints(c->layer, "dilation_rate", spatial, 1, 1, INT32_MAX, out->attr.dilation));
    return CORNU_OK;
}

static void set_padding(const cn_type* x, conv_config* v) {
    for (int i = 0; i < v->attr.spatial; i++) {
        int64_t n = x->dims[i + 1];
        if (v->padding == 1) same_padding(n, v->kernel[i], v->attr.strides[i], v->attr.dilation[i], &v->attr.pad_lo[i], &v->attr.pad_hi[i]);
        if (v->padding == 2) v->attr.pad_lo[i] = (v->kernel[i] - 1) * v->attr.dilation[i];
    }
}

static cornu_status lower_conv(cn_call* c, int spatial) {
    int64_t filters, dims[CN_MAX_SPATIAL + 2];
    cn_id x, kernel, bias, y, in[2];
    conv_config v;
    cn_attr attr;

    CN_TRY(cn_call_tensor(c, &x));
    CN_TRY(read_conv(c, spatial, &v));
    CN_TRY(cn_config_int(c->layer, "filters", 0, 1, INT32_MAX, &filters));
    CN_TRY(cn_config_int(c->layer, "groups", 1, 1, INT32_MAX, &v.attr.groups));
    if (cn_call_type(c, x)->ndim != spatial + 2) {
        return CN_FAIL(BAD_ARGUMENT, "its input must have %d axes, not %d", spatial + 2, cn_call_type(c, x)->ndim);
    }
    if (v.channels_first) x = cn_to_channels_last(c->g, x);
    CN_TRY(cn_graph_status(c->g));
    set_padding(cn_call_type(c, x), &v);
    memcpy(dims, v.kernel, (size_t)spatial * sizeof dims[0]);
    dims[spatial] = cn_call_type(c, x)->dims[spatial + 1] / v.attr.groups;
    dims[spatial + 1] = filters;
    CN_TRY(cn_call_weight_count(c, v.use_bias ? 2 : 1));
    CN_TRY(cn_call_weight(c, 0, spatial + 2, dims, &kernel));
    memset(&attr, 0, sizeof attr);
    attr.conv = v.attr;
    in[0] = x, in[1] = kernel;
    y = cn_graph_add(c->g, CN_OP_conv, in, 2, &attr);
    if (v.use_bias) {
        CN_TRY(cn_call_weight(c, 1, 1, &filters, &bias));
        y = cn_graph_ew2(c->g, CN_EW_add, y, bias);
    }
    if (v.channels_first) y = cn_to_channels_first(c->g, y);
    CN_TRY(cn_call_activation(c, "activation", y, &y));
    return cn_call_return(c, y);
}

static cornu_status lower_conv2d(cn_call* c) { return lower_conv(c, 2); }

const cn_layer_def cn_layers_convolution[] = {
    {"Conv2D", lower_conv2d, CN_MASK_DROP, false, NULL},
    {0},
};
