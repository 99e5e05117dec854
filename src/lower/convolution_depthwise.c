/* Depthwise and separable convolutions. Keras's depthwise kernel [k..., C, M] is the graph's [k..., 1, C M] with C groups: channel c's
 * results are c M .. c M + M - 1 in both. */
#include <string.h>

#include "lower/convolution.h"

/* The depthwise product of x with variable 0; *out_channels is C M. */
static cornu_status depthwise(cn_call* c, cn_conv_config* v, cn_id x, cn_id* y, int64_t* out_channels) {
    int64_t multiplier, channels, dims[CN_MAX_SPATIAL + 2];
    int spatial = v->attr.spatial;
    cn_id in[2];
    cn_attr attr;

    CN_TRY(cn_config_int(c->layer, "depth_multiplier", 1, 1, INT32_MAX, &multiplier));
    channels = cn_call_type(c, x)->dims[spatial + 1];
    if (channels < 1) return CN_FAIL(BAD_ARGUMENT, "its input has no channels");
    CN_TRY(cn_conv_pad(c, x, v));
    in[0] = x;
    CN_TRY(cn_conv_kernel(c, v, 0, channels, multiplier, &in[1]));
    memcpy(dims, v->kernel, (size_t)spatial * sizeof dims[0]);
    dims[spatial] = 1;
    dims[spatial + 1] = *out_channels = channels * multiplier;
    in[1] = cn_graph_reshape(c->g, in[1], spatial + 2, dims);
    memset(&attr, 0, sizeof attr);
    attr.conv = v->attr;
    attr.conv.groups = channels;
    *y = cn_graph_add(c->g, CN_OP_conv, in, 2, &attr);
    return cn_graph_status(c->g);
}

static cornu_status lower_depthwise(cn_call* c, int spatial) {
    cn_conv_config v;
    int64_t channels;
    cn_id x, y;

    CN_TRY(cn_conv_begin(c, spatial, "valid|same", &v, &x));
    CN_TRY(cn_call_weight_count(c, v.use_bias ? 2 : 1));
    CN_TRY(depthwise(c, &v, x, &y, &channels));
    return cn_conv_end(c, &v, y, 1, channels);
}

static cornu_status lower_separable(cn_call* c, int spatial) {
    cn_conv_config v, point;
    int64_t channels, filters;
    cn_id x, in[2];
    cn_attr attr;

    CN_TRY(cn_conv_begin(c, spatial, "valid|same", &v, &x));
    CN_TRY(cn_config_int(c->layer, "filters", 0, 1, INT32_MAX, &filters));
    CN_TRY(cn_call_weight_count(c, v.use_bias ? 3 : 2));
    CN_TRY(depthwise(c, &v, x, &in[0], &channels));
    memset(&point, 0, sizeof point);
    point.attr.spatial = spatial;
    point.attr.groups = 1;
    for (int i = 0; i < spatial; i++) point.kernel[i] = point.attr.strides[i] = point.attr.dilation[i] = 1;
    CN_TRY(cn_conv_kernel(c, &point, 1, channels, filters, &in[1]));
    memset(&attr, 0, sizeof attr);
    attr.conv = point.attr;
    return cn_conv_end(c, &v, cn_graph_add(c->g, CN_OP_conv, in, 2, &attr), 2, filters);
}

static cornu_status lower_depthwise_conv1d(cn_call* c) { return lower_depthwise(c, 1); }
static cornu_status lower_depthwise_conv2d(cn_call* c) { return lower_depthwise(c, 2); }
static cornu_status lower_separable_conv1d(cn_call* c) { return lower_separable(c, 1); }
static cornu_status lower_separable_conv2d(cn_call* c) { return lower_separable(c, 2); }

const cn_layer_def cn_layers_convolution_depthwise[] = {
    {"DepthwiseConv1D", lower_depthwise_conv1d, CN_MASK_DROP, false, NULL},
    {"DepthwiseConv2D", lower_depthwise_conv2d, CN_MASK_DROP, false, NULL},
    {"SeparableConv1D", lower_separable_conv1d, CN_MASK_DROP, false, NULL},
    {"SeparableConv2D", lower_separable_conv2d, CN_MASK_DROP, false, NULL},
    {0},
};
