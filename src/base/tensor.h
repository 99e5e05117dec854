/* Elements of a tensor in a device's memory. */
#ifndef CN_BASE_TENSOR_H
#define CN_BASE_TENSOR_H

#include "cornu.h"

#ifdef __cplusplus
extern "C" {
#endif

/* cornu_tensor.owner of elements that lie on a device; from cn_alloc. */
typedef struct cn_tensor_owner {
    void (*release)(int device, void* memory);
    int device;
    void* memory;
} cn_tensor_owner;

#ifdef __cplusplus
}
#endif

#endif
