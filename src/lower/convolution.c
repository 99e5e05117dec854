/* keras/src/layers/convolutional. The graph's convolutions are channels last; channels_first is a transpose before and
 * after, which passes cancel between layers. */
#include "lower/convolution.h"

#include <string.h>

cornu_status cn_conv_begin(cn_call* c, int spatial, const char* paddings, cn_conv_config* out, cn_id* x) {
    int padding;

    memset(out, 0, sizeof *out);
    out->attr.spatial = spatial;
    out->attr.groups = 1;
    CN_TRY(cn_call_image(c, spatial, x, &out->channels_first));
    CN_TRY(cn_config_bool(c->layer, "use_bias", true, &out->use_bias));
    CN_TRY(cn_config_choice(c->layer, "padding", "valid", paddings, &padding));
    out->padding = (cn_conv_padding)padding;
    if (!cn_config_get(c->layer, "kernel_size")) return cn_config_bad(c->layer, "kernel_size", "integers are needed");
    CN_TRY(cn_config_ints(c->layer, "kernel_size", spatial, 1, 1, INT32_MAX, out->kernel));
    CN_TRY(cn_config_ints(c->layer, "strides", spatial, 1, 1, INT32_MAX, out->attr.strides));
    CN_TRY(cn_config_ints(c->layer, "dilation_rate", spatial, 1, 1, INT32_MAX, out->attr.dilation));
    if (out->channels_first) *x = cn_to_channels_last(c->g, *x);
    *x = cn_graph_cast(c->g, *x, c->compute); /* integers, which autocast leaves alone */
    return cn_graph_status(c->g);
}

cornu_status cn_conv_pad(cn_call* c, cn_id x, cn_conv_config* v) {
    const cn_type* type = cn_call_type(c, x);

    for (int i = 0; i < v->attr.spatial; i++) {
        int64_t n = type->dims[i + 1], span = (v->kernel[i] - 1) * v->attr.dilation[i] + 1;
        if (v->padding == CN_CONV_SAME) {
            cn_same_padding(n, v->kernel[i], v->attr.strides[i], v->attr.dilation[i], &v->attr.pad_lo[i], &v->attr.pad_hi[i]);
        }
        if (v->padding == CN_CONV_CAUSAL) v->attr.pad_lo[i] = span - 1;
        if (v->padding == CN_CONV_VALID && n < span) {
            char text[256];
            return CN_FAIL(BAD_ARGUMENT, "its kernel covers %lld cells along spatial axis %d, more than its input %s has", (long long)span, i, cn_type_text(type, text));
        }
    }
    return CORNU_OK;
}

cornu_status cn_conv_kernel(cn_call* c, const cn_conv_config* v, int i, int64_t a, int64_t b, cn_id* out) {
    int64_t dims[CN_MAX_SPATIAL + 2];
    int spatial = v->attr.spatial;

    memcpy(dims, v->kernel, (size_t)spatial * sizeof dims[0]);
    dims[spatial] = a;
    dims[spatial + 1] = b;
    return cn_call_weight(c, i, spatial + 2, dims, out);
}

cornu_status cn_conv_end(cn_call* c, const cn_conv_config* v, cn_id y, int i, int64_t filters) {
    cn_id bias;

    if (v->use_bias) {
        CN_TRY(cn_call_weight(c, i, 1, &filters, &bias));
        y = cn_graph_ew2(c->g, CN_EW_add, y, bias);
    }
    if (v->channels_first) y = cn_to_channels_first(c->g, y);
    CN_TRY(cn_call_activation(c, "activation", y, &y));
    return cn_call_return(c, y);
}

/* ---- Conv ---- */

static cornu_status lower_conv(cn_call* c, int spatial) {
    int64_t filters, channels;
    cn_id in[2];
    cn_conv_config v;
    cn_attr attr;

    CN_TRY(cn_conv_begin(c, spatial, spatial == 1 ? "valid|same|causal" : "valid|same", &v, &in[0]));
    CN_TRY(cn_config_int(c->layer, "filters", 0, 1, INT32_MAX, &filters));
    CN_TRY(cn_config_int(c->layer, "groups", 1, 1, INT32_MAX, &v.attr.groups));
    if (filters % v.attr.groups) return cn_config_bad(c->layer, "groups", "a divisor of filters is allowed");
    channels = cn_call_type(c, in[0])->dims[spatial + 1];
    if (channels % v.attr.groups) {
        return CN_FAIL(BAD_ARGUMENT, "its input has %lld channels, no multiple of its %lld groups", (long long)channels, (long long)v.attr.groups);
    }
    CN_TRY(cn_conv_pad(c, in[0], &v));
    CN_TRY(cn_call_weight_count(c, v.use_bias ? 2 : 1));
    CN_TRY(cn_conv_kernel(c, &v, 0, channels / v.attr.groups, filters, &in[1]));
    memset(&attr, 0, sizeof attr);
    attr.conv = v.attr;
    return cn_conv_end(c, &v, cn_graph_add(c->g, CN_OP_conv, in, 2, &attr), 1, filters);
}

static cornu_status lower_conv1d(cn_call* c) { return lower_conv(c, 1); }
static cornu_status lower_conv2d(cn_call* c) { return lower_conv(c, 2); }
static cornu_status lower_conv3d(cn_call* c) { return lower_conv(c, 3); }

/* ---- ConvTranspose ---- */

/* What is cropped from the full result of (n - 1) s + k cells along axis i, k the span of the dilated kernel and p the output_padding:
 *
 *     valid            (n - 1) s + max(k, s)          same            n s
 *     valid, p         (n - 1) s + k + p              same, p         (n - 1) s + k % 2 + p
 *
 * are the lengths. "same" crops half of the rest, rounded down, in front; what a length is beyond the full result are zeros at the end. */
static cornu_status set_crop(int64_t n, int64_t p, int i, cn_conv_config* v) {
    int64_t s = v->attr.strides[i], k = (v->kernel[i] - 1) * v->attr.dilation[i] + 1;
    int64_t out = p < 0 ? (k > s ? k : s) : k + p; /* beyond (n - 1) s */

    if (v->padding == CN_CONV_SAME) out = p < 0 ? s : k % 2 + p;
    if (n > 0 && (n - 1) * s + out < 1) return CN_FAIL(BAD_ARGUMENT, "nothing is left of %lld cells along spatial axis %d", (long long)n, i);
    v->attr.pad_lo[i] = v->padding == CN_CONV_SAME && k > out ? (k - out) / 2 : 0;
    v->attr.pad_hi[i] = k - out - v->attr.pad_lo[i];
    return CORNU_OK;
}

static cornu_status lower_conv_transpose(cn_call* c, int spatial) {
    int64_t filters, more[CN_MAX_SPATIAL];
    cn_id in[2];
    cn_conv_config v;
    cn_attr attr;

    CN_TRY(cn_conv_begin(c, spatial, "valid|same", &v, &in[0]));
    CN_TRY(cn_config_int(c->layer, "filters", 0, 1, INT32_MAX, &filters));
    CN_TRY(cn_config_ints(c->layer, "output_padding", spatial, -1, 0, INT32_MAX, more));
    for (int i = 0; i < spatial; i++) {
        if (more[i] >= v.attr.strides[i]) return cn_config_bad(c->layer, "output_padding", "less than strides is allowed");
        CN_TRY(set_crop(cn_call_type(c, in[0])->dims[i + 1], more[i], i, &v));
    }
    CN_TRY(cn_call_weight_count(c, v.use_bias ? 2 : 1));
    CN_TRY(cn_conv_kernel(c, &v, 0, filters, cn_call_type(c, in[0])->dims[spatial + 1], &in[1]));
    memset(&attr, 0, sizeof attr);
    attr.conv = v.attr;
    return cn_conv_end(c, &v, cn_graph_add(c->g, CN_OP_conv_transpose, in, 2, &attr), 1, filters);
}

static cornu_status lower_conv1d_transpose(cn_call* c) { return lower_conv_transpose(c, 1); }
static cornu_status lower_conv2d_transpose(cn_call* c) { return lower_conv_transpose(c, 2); }
static cornu_status lower_conv3d_transpose(cn_call* c) { return lower_conv_transpose(c, 3); }

const cn_layer_def cn_layers_convolution[] = {
    {"Conv1D", lower_conv1d, CN_MASK_DROP, false, NULL},
    {"Conv2D", lower_conv2d, CN_MASK_DROP, false, NULL},
    {"Conv3D", lower_conv3d, CN_MASK_DROP, false, NULL},
    {"Conv1DTranspose", lower_conv1d_transpose, CN_MASK_DROP, false, NULL},
    {"Conv2DTranspose", lower_conv2d_transpose, CN_MASK_DROP, false, NULL},
    {"Conv3DTranspose", lower_conv3d_transpose, CN_MASK_DROP, false, NULL},
    {0},
};
