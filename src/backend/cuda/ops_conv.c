/* Convolutions and their transposes. One whose kernel is a single cell that moves over every cell is a product of matrices. */
#include "backend/cuda/product.h"
#include "backend/cuda/space.h"
#include "kernels/conv.h"

static cn_conv_args args_of(const cn_cuda_executable* e, const cn_node* node) {
    const cn_conv_attr* a = &node->attr.conv;
    const cn_type *x = cn_cuda_input_type(e, node, 0), *kernel = cn_cuda_input_type(e, node, 1), *y = cn_cuda_type(e, node);
    cn_conv_args out = {.dtype = (int)y->dtype, .batch = y->dims[0], .channels = x->dims[a->spatial + 1], .filters = y->dims[a->spatial + 1], .groups = a->groups,
                        .act = cn_cuda_epilogue(&a->act)};

    cn_cuda_space(out.x_dims, x->dims + 1, a->spatial, 1);
    cn_cuda_space(out.k_dims, kernel->dims, a->spatial, 1);
    cn_cuda_space(out.y_dims, y->dims + 1, a->spatial, 1);
    cn_cuda_space(out.strides, a->strides, a->spatial, 1);
    cn_cuda_space(out.dilation, a->dilation, a->spatial, 1);
    cn_cuda_space(out.pad, a->pad_lo, a->spatial, 0);
    return out;
}

static bool is_product(const cn_node* node, const cn_conv_args* a) {
    bool is = node->op == CN_OP_conv && a->groups == 1;
    for (int d = 0; d < 3; d++) is = is && a->k_dims[d] == 1 && a->strides[d] == 1 && a->pad[d] == 0 && a->x_dims[d] == a->y_dims[d];
    return is;
}

static cornu_status launch(const cn_cuda_step* step, const cn_cuda_frame* frame) {
    cn_conv_args args = *(const cn_conv_args*)step->data;

    args.x = cn_cuda_in(step, frame, 0);
    args.kernel = cn_cuda_in(step, frame, 1);
    args.bias = cn_cuda_in(step, frame, 2);
    args.residual = cn_cuda_in(step, frame, 3);
    args.y = cn_cuda_out(step, frame);
    if (step->node->op == CN_OP_conv_transpose) return CN_CUDA_OK(cn_k_conv_transpose(&frame->queue, &args));
    if (args.groups > 1 && args.groups == args.channels) return CN_CUDA_OK(cn_k_conv_depthwise(&frame->queue, &args));
    return CN_CUDA_OK(cn_k_conv(&frame->queue, &args));
}

cornu_status cn_cuda_prepare_conv(cn_cuda_executable* e, cn_cuda_step* step) {
    cn_conv_args args = args_of(e, step->node), *data;

    if (is_product(step->node, &args)) {
        cn_cuda_product product = {.dtype = (cornu_dtype)args.dtype, .rows = args.batch * args.y_dims[0] * args.y_dims[1] * args.y_dims[2], .columns = args.filters,
                                   .inner = args.channels, .act = step->node->attr.conv.act};
        return cn_cuda_prepare_product(e, step, &product);
    }
    data = cn_cuda_data(e, step, sizeof *data);
    if (!data) return CN_NO_MEMORY(sizeof *data);
    *data = args;
    step->launch = launch;
    return CORNU_OK;
}
