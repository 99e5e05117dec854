/* Tensors between the host's memory and devices'. */
#include "base/tensor.h"

#include <string.h>

#include "backend/backend.h"
#include "base/dtype.h"
#include "base/size.h"

static cornu_status check(const cornu_tensor* tensor, int32_t device, uint64_t* bytes) {
    int64_t count = cornu_tensor_count(tensor);

    if (!tensor || count < 0) return CN_FAIL(BAD_ARGUMENT, "cornu_tensor_copy: tensor is NULL or none");
    if (cornu_dtype_size(tensor->dtype) == 0 || tensor->dtype == CORNU_STRING) {
        return CN_FAIL(BAD_ARGUMENT, "cornu_tensor_copy: elements of dtype %s cannot be copied", cornu_dtype_name(tensor->dtype));
    }
    if (!tensor->data && count > 0) return CN_FAIL(BAD_ARGUMENT, "cornu_tensor_copy: the tensor has no data");
    if (device < CORNU_HOST || tensor->device < CORNU_HOST) return CN_FAIL(BAD_ARGUMENT, "cornu_tensor_copy: there is no device %d", (int)device);
    *bytes = (uint64_t)count * cornu_dtype_size(tensor->dtype);
    return CORNU_OK;
}

/* Bytes from anywhere to anywhere, by the device that has a part in it. */
static cornu_status copy_bytes(const cornu_tensor* to, const cornu_tensor* from, uint64_t bytes) {
    if (bytes == 0) return CORNU_OK;
    if (to->device == CORNU_HOST && from->device == CORNU_HOST) return memcpy(to->data, from->data, bytes), CORNU_OK;
    return cn_backend_cuda.copy_memory(to->device != CORNU_HOST ? to->device : from->device, to->data, from->data, bytes);
}

static cornu_status make_on_host(uint64_t bytes, cornu_tensor* out) {
    if (bytes <= SIZE_MAX) out->data = out->owner = cn_alloc_aligned((size_t)bytes);
    return out->owner ? CORNU_OK : CN_NO_MEMORY(bytes);
}

static cornu_status make_on_device(uint64_t bytes, cornu_tensor* out) {
    cn_tensor_owner* owner = cn_alloc_zero(1, sizeof *owner);
    cornu_status st;

    if (!owner) return CN_NO_MEMORY(sizeof *owner);
    st = cn_backend_cuda.take_memory(out->device, bytes, &owner->memory);
    if (st != CORNU_OK) {
        cn_free(owner);
        return st;
    }
    owner->release = cn_backend_cuda.give_back_memory;
    owner->device = out->device;
    out->data = owner->memory;
    out->owner = owner;
    return CORNU_OK;
}

cornu_status cornu_tensor_copy(const cornu_tensor* tensor, int32_t device, cornu_tensor* out) {
    cornu_tensor made;
    cornu_status st;
    uint64_t bytes;

    if (!out) return CN_FAIL(BAD_ARGUMENT, "cornu_tensor_copy: out is NULL");
    memset(out, 0, sizeof *out);
    CN_TRY(check(tensor, device, &bytes));
    made = cornu_tensor_shaped(tensor->dtype, NULL, tensor->ndim, tensor->dims);
    made.device = device;
    CN_TRY(device == CORNU_HOST ? make_on_host(bytes, &made) : make_on_device(bytes, &made));
    st = copy_bytes(&made, tensor, bytes);
    if (st == CORNU_OK) *out = made;
    else cornu_tensor_release(&made);
    return st;
}
