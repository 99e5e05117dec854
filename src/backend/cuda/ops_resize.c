/* Resizing of images. */
#include "backend/cuda/cuda.h"
#include "kernels/resize.h"

_Static_assert((int)CN_K_NEAREST == (int)CN_RESIZE_NEAREST && (int)CN_K_BILINEAR == (int)CN_RESIZE_BILINEAR && (int)CN_K_BICUBIC == (int)CN_RESIZE_BICUBIC &&
                   (int)CN_K_LANCZOS3 == (int)CN_RESIZE_LANCZOS3 && (int)CN_K_LANCZOS5 == (int)CN_RESIZE_LANCZOS5 && (int)CN_K_AREA == (int)CN_RESIZE_AREA,
               "the kernels number the kinds as the graph does");

static cornu_status launch(const cn_cuda_step* step, const cn_cuda_frame* frame) {
    cn_resize_args args = *(const cn_resize_args*)step->data;

    args.x = cn_cuda_in(step, frame, 0);
    args.y = cn_cuda_out(step, frame);
    args.scratch = frame->scratch;
    return CN_CUDA_OK(cn_k_resize(&frame->queue, &args));
}

cornu_status cn_cuda_prepare_resize(cn_cuda_executable* e, cn_cuda_step* step) {
    const cn_resize_attr* a = &step->node->attr.resize;
    const cn_type *x = cn_cuda_input_type(e, step->node, 0), *y = cn_cuda_type(e, step->node);
    cn_resize_args* args = cn_cuda_data(e, step, sizeof *args);

    if (!args) return CN_NO_MEMORY(sizeof *args);
    *args = (cn_resize_args){.dtype = (int)y->dtype, .method = (int)a->kind, .antialias = a->antialias, .batch = y->dims[0], .channels = y->dims[3],
                             .x_dims = {x->dims[1], x->dims[2]}, .y_dims = {y->dims[1], y->dims[2]}};
    cn_cuda_need_scratch(e, cn_k_resize_scratch(args));
    step->launch = launch;
    return CORNU_OK;
}
