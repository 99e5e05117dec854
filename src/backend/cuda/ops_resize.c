/* Resizing of images. */
#include "backend/cuda/cuda.h"

cornu_status cn_cuda_prepare_resize(cn_cuda_executable* e, cn_cuda_step* step) {
    (void)e;
    (void)step;
    return CORNU_OK;
}
