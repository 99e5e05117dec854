/* Which family of kernels takes which op. */
#include "backend/cuda/steps.h"

static const cn_cuda_prepare prepares[CN_OP_COUNT] = {
    [CN_OP_ew] = cn_cuda_prepare_elementwise,
    [CN_OP_fused] = cn_cuda_prepare_elementwise,
    [CN_OP_cast] = cn_cuda_prepare_elementwise,
    [CN_OP_iota] = cn_cuda_prepare_elementwise,
    [CN_OP_random] = cn_cuda_prepare_elementwise,
    [CN_OP_reshape] = cn_cuda_prepare_move,
    [CN_OP_broadcast] = cn_cuda_prepare_move,
    [CN_OP_transpose] = cn_cuda_prepare_move,
    [CN_OP_concat] = cn_cuda_prepare_move,
    [CN_OP_slice] = cn_cuda_prepare_move,
    [CN_OP_pad] = cn_cuda_prepare_move,
    [CN_OP_gather] = cn_cuda_prepare_index,
    [CN_OP_scatter] = cn_cuda_prepare_index,
    [CN_OP_reduce] = cn_cuda_prepare_reduce,
    [CN_OP_arg] = cn_cuda_prepare_reduce,
    [CN_OP_cumulative] = cn_cuda_prepare_reduce,
    [CN_OP_sort] = cn_cuda_prepare_sort,
    [CN_OP_linalg] = cn_cuda_prepare_linalg,
    [CN_OP_softmax] = cn_cuda_prepare_softmax,
    [CN_OP_log_softmax] = cn_cuda_prepare_softmax,
    [CN_OP_batch_norm] = cn_cuda_prepare_norm,
    [CN_OP_layer_norm] = cn_cuda_prepare_norm,
    [CN_OP_rms_norm] = cn_cuda_prepare_norm,
    [CN_OP_group_norm] = cn_cuda_prepare_norm,
    [CN_OP_matmul] = cn_cuda_prepare_matmul,
    [CN_OP_conv] = cn_cuda_prepare_conv,
    [CN_OP_conv_transpose] = cn_cuda_prepare_conv,
    [CN_OP_pool] = cn_cuda_prepare_pool,
    [CN_OP_adaptive_pool] = cn_cuda_prepare_pool,
    [CN_OP_resize] = cn_cuda_prepare_resize,
    [CN_OP_rnn] = cn_cuda_prepare_rnn,
    [CN_OP_attention] = cn_cuda_prepare_attention,
};

cn_cuda_prepare cn_cuda_prepare_of(cn_op op) { return prepares[op]; }
