/* Products of matrices. */
#include "backend/cuda/product.h"

/* Elements from one matrix to the next along each axis of y's batch. */
static void steps_of(const cn_type* in, const cn_type* y, int64_t* steps) {
    int64_t step = in->dims[in->ndim - 1] * in->dims[in->ndim - 2];

    for (int i = y->ndim - 3, k = in->ndim - 3; i >= 0; i--, k--) {
        steps[i] = k >= 0 && in->dims[k] != 1 ? step : 0;
        if (k >= 0) step *= in->dims[k];
    }
}

cornu_status cn_cuda_prepare_matmul(cn_cuda_executable* e, cn_cuda_step* step) {
    const cn_matmul_attr* m = &step->node->attr.matmul;
    const cn_type *a = cn_cuda_input_type(e, step->node, 0), *b = cn_cuda_input_type(e, step->node, 1), *y = cn_cuda_type(e, step->node);
    cn_cuda_product p = {.dtype = y->dtype, .rows = y->dims[y->ndim - 2], .columns = y->dims[y->ndim - 1], .inner = a->dims[a->ndim - (m->transpose_a ? 2 : 1)],
                         .swapped_a = m->transpose_a, .swapped_b = m->transpose_b, .batch_ndim = y->ndim - 2, .act = m->act};

    for (int i = 0; i < p.batch_ndim; i++) p.batch_dims[i] = y->dims[i];
    steps_of(a, y, p.a_steps);
    steps_of(b, y, p.b_steps);
    return cn_cuda_prepare_product(e, step, &p);
}
