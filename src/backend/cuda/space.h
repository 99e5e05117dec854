/* Sizes of images in one to three dimensions, as kernels take them: three axes always. */
#ifndef CN_BACKEND_CUDA_SPACE_H
#define CN_BACKEND_CUDA_SPACE_H

#include <stdint.h>

/* The missing axes come first. */
static inline void cn_cuda_space(int64_t out[3], const int64_t* dims, int spatial, int64_t missing) {
    for (int i = 0; i < 3; i++) out[i] = i < 3 - spatial ? missing : dims[i - (3 - spatial)];
}

#endif
