/* Tensor values. Elements owned by the library are marked by `owner`: on the host what to free, on a device a cn_tensor_owner. */
#include "base/tensor.h"

#include <stdarg.h>
#include <string.h>

#include "base/alloc.h"
#include "base/size.h"

cornu_tensor cornu_tensor_shaped(cornu_dtype dtype, void* data, int ndim, const int64_t* dims) {
    cornu_tensor t;

    memset(&t, 0, sizeof t);
    t.dtype = dtype;
    t.data = data;
    t.device = CORNU_HOST;
    t.ndim = ndim < 0 || ndim > CORNU_MAX_DIMS ? -1 : ndim;
    for (int i = 0; i < t.ndim; i++) t.dims[i] = dims[i];
    return t;
}

cornu_tensor cornu_tensor_of(cornu_dtype dtype, void* data, int ndim, ...) {
    int64_t dims[CORNU_MAX_DIMS] = {0};
    va_list args;

    va_start(args, ndim);
    for (int i = 0; ndim <= CORNU_MAX_DIMS && i < ndim; i++) dims[i] = va_arg(args, int);
    va_end(args);
    return cornu_tensor_shaped(dtype, data, ndim, dims);
}

int64_t cornu_tensor_count(const cornu_tensor* tensor) {
    int64_t count;

    if (!tensor || tensor->ndim < 0 || tensor->ndim > CORNU_MAX_DIMS) return -1;
    return cn_dims_count(tensor->dims, tensor->ndim, &count) ? count : -1;
}

void cornu_tensor_release(cornu_tensor* tensor) {
    if (!tensor || !tensor->owner) return;
    if (tensor->device == CORNU_HOST) {
        cn_free_aligned(tensor->owner);
    } else {
        cn_tensor_owner* owner = tensor->owner;
        owner->release(owner->device, owner->memory);
        cn_free(owner);
    }
    tensor->owner = NULL;
    tensor->data = NULL;
}
