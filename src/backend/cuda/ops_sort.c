/* Sort along an axis. */
#include "backend/cuda/cuda.h"
#include "base/dtype.h"
#include "kernels/sort.h"

static cornu_status launch_sort(const cn_cuda_step* step, const cn_cuda_frame* frame) {
    cn_sort_args a = *(const cn_sort_args*)step->data;

    a.x = cn_cuda_in(step, frame, 0);
    a.y = cn_cuda_out(step, frame);
    a.scratch = frame->scratch;
    return CN_CUDA_OK(cn_k_sort(&frame->queue, &a));
}

cornu_status cn_cuda_prepare_sort(cn_cuda_executable* e, cn_cuda_step* step) {
    const cn_sort_attr* attr = &step->node->attr.sort;
    const cn_type* x = cn_cuda_input_type(e, step->node, 0);
    cn_sort_args* a = cn_cuda_data(e, step, sizeof *a);

    if (!a) return CN_NO_MEMORY(sizeof *a);
    if (x->dims[attr->axis] > INT32_MAX) return CN_FAIL(UNSUPPORTED, "sort of %lld elements; an axis may have %d", (long long)x->dims[attr->axis], INT32_MAX);
    a->dtype = (int)x->dtype;
    a->floats = cn_dtype_is_float(x->dtype);
    a->size = (int)cornu_dtype_size(x->dtype);
    a->descending = attr->descending;
    a->indices = attr->indices;
    a->lines = cn_lines_of(x->ndim, x->dims, 1u << attr->axis);
    cn_cuda_need_scratch(e, cn_sort_scratch(&a->lines));
    step->launch = launch_sort;
    return CORNU_OK;
}
