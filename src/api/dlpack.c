/* DLPack's tensors in and out. The layout is that of dlpack.h (github.com/dmlc/dlpack), which has not changed since 0.6:
 *
 *     DLManagedTensor { DLTensor; void* manager; void (*deleter)(self) }
 *     DLTensor { void* data; device { int32 type, id }; int32 ndim; dtype { u8 code, u8 bits, u16 lanes }; i64* shape; i64* strides; u64 byte_offset } */
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"
#include "base/dtype.h"
#include "base/size.h"

typedef struct dl_tensor {
    void* data;
    int32_t device_type, device_id;
    int32_t ndim;
    uint8_t code, bits;
    uint16_t lanes;
    int64_t* shape;
    int64_t* strides; /* in elements; NULL: dense row-major */
    uint64_t byte_offset;
} dl_tensor;

typedef struct dl_managed dl_managed;
struct dl_managed {
    dl_tensor tensor;
    void* manager;
    void (*deleter)(dl_managed* self);
};

enum { DL_CPU = 1, DL_CUDA = 2, DL_CUDA_HOST = 3, DL_CUDA_MANAGED = 13 };
enum { DL_INT = 0, DL_UINT = 1, DL_FLOAT = 2, DL_BFLOAT = 4, DL_COMPLEX = 5, DL_BOOL = 6 };

typedef struct dl_row {
    cornu_dtype dtype;
    uint8_t code, bits;
} dl_row;

static const dl_row rows[] = {
    {CORNU_FLOAT32, DL_FLOAT, 32}, {CORNU_FLOAT64, DL_FLOAT, 64},   {CORNU_FLOAT16, DL_FLOAT, 16},      {CORNU_BFLOAT16, DL_BFLOAT, 16},
    {CORNU_INT8, DL_INT, 8},       {CORNU_INT16, DL_INT, 16},       {CORNU_INT32, DL_INT, 32},          {CORNU_INT64, DL_INT, 64},
    {CORNU_UINT8, DL_UINT, 8},     {CORNU_UINT16, DL_UINT, 16},     {CORNU_UINT32, DL_UINT, 32},        {CORNU_UINT64, DL_UINT, 64},
    {CORNU_BOOL, DL_BOOL, 8},      {CORNU_COMPLEX64, DL_COMPLEX, 64}, {CORNU_COMPLEX128, DL_COMPLEX, 128},
};
#define ROWS (sizeof rows / sizeof rows[0])

static bool is_dense(const dl_tensor* t, int64_t count) {
    int64_t stride = 1;

    for (int i = t->ndim - 1; t->strides && count > 0 && i >= 0; i--) {
        if (t->shape[i] != 1 && t->strides[i] != stride) return false;
        stride *= t->shape[i];
    }
    return true;
}

cornu_status cornu_tensor_from_dlpack(const void* dl_managed_tensor, cornu_tensor* out) {
    const dl_tensor* t = dl_managed_tensor;
    cornu_dtype dtype = 0;
    int64_t count;

    if (!t || !out) return CN_FAIL(BAD_ARGUMENT, "cornu_tensor_from_dlpack: an argument is NULL");
    if (t->device_type != DL_CPU && t->device_type != DL_CUDA && t->device_type != DL_CUDA_HOST && t->device_type != DL_CUDA_MANAGED) {
        return CN_FAIL(BAD_ARGUMENT, "the DLPack tensor is on a device of type %d; the CPU (1) and CUDA (2) are taken", (int)t->device_type);
    }
    if (t->device_id < 0) return CN_FAIL(BAD_ARGUMENT, "the DLPack tensor is on device number %d, which is none", (int)t->device_id);
    for (size_t i = 0; i < ROWS; i++) {
        if (rows[i].code == t->code && rows[i].bits == t->bits) dtype = rows[i].dtype;
    }
    if (dtype == 0 || t->lanes != 1) {
        return CN_FAIL(BAD_ARGUMENT, "the DLPack tensor's type (code %d, %d bits, %d lanes) is not known here", (int)t->code, (int)t->bits, (int)t->lanes);
    }
    if (t->ndim < 0 || t->ndim > CORNU_MAX_DIMS || (t->ndim > 0 && !t->shape) || !cn_dims_count(t->shape, t->ndim, &count)) {
        return CN_FAIL(BAD_ARGUMENT, "the DLPack tensor has rank %d or a shape that cannot be", (int)t->ndim);
    }
    if (!is_dense(t, count)) return CN_FAIL(BAD_ARGUMENT, "the DLPack tensor is not dense and row-major; make a contiguous copy of it");
    *out = cornu_tensor_shaped(dtype, t->data ? (char*)t->data + t->byte_offset : NULL, t->ndim, t->shape);
    out->device = t->device_type == DL_CUDA || t->device_type == DL_CUDA_MANAGED ? t->device_id : CORNU_HOST;
    return CORNU_OK;
}

/* A managed tensor of ours, with room for its shape. */
typedef struct exported {
    dl_managed managed;
    cornu_tensor tensor; /* its elements, if they were the library's */
    int64_t dims[CORNU_MAX_DIMS];
} exported;

static void delete_exported(dl_managed* self) {
    exported* e = (exported*)self;
    cornu_tensor_release(&e->tensor);
    cn_free(e);
}

cornu_status cornu_tensor_to_dlpack(cornu_tensor* tensor, void** dl_managed_tensor) {
    const dl_row* row = NULL;
    exported* e;

    if (!tensor || !dl_managed_tensor || cornu_tensor_count(tensor) < 0) return CN_FAIL(BAD_ARGUMENT, "cornu_tensor_to_dlpack: an argument is NULL or no tensor");
    *dl_managed_tensor = NULL;
    for (size_t i = 0; i < ROWS; i++) {
        if (rows[i].dtype == tensor->dtype) row = &rows[i];
    }
    if (!row) return CN_FAIL(BAD_ARGUMENT, "DLPack has no dtype %s", cornu_dtype_name(tensor->dtype));
    e = cn_alloc_zero(1, sizeof *e);
    if (!e) return CN_NO_MEMORY(sizeof *e);
    memcpy(e->dims, tensor->dims, sizeof e->dims);
    e->managed.tensor = (dl_tensor){.data = tensor->data,
                                    .device_type = tensor->device == CORNU_HOST ? DL_CPU : DL_CUDA,
                                    .device_id = tensor->device == CORNU_HOST ? 0 : tensor->device,
                                    .ndim = tensor->ndim,
                                    .code = row->code,
                                    .bits = row->bits,
                                    .lanes = 1,
                                    .shape = e->dims};
    e->managed.deleter = delete_exported;
    if (tensor->owner) e->tensor = *tensor;
    tensor->owner = NULL;
    *dl_managed_tensor = e;
    return CORNU_OK;
}
