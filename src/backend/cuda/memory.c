/* Memory of a device for the caller's tensors, which belongs to no session. */
#include <stdatomic.h>

#include "backend/cuda/device.h"

#define MOST_DEVICES 64

static atomic_bool shares[MOST_DEVICES];

void cn_cuda_note_sharing(int index, bool is) {
    if (index >= 0 && index < MOST_DEVICES) atomic_store(&shares[index], is);
}

bool cn_cuda_shares_memory(int index) { return index >= 0 && index < MOST_DEVICES && atomic_load(&shares[index]); }

cornu_status cn_cuda_take_memory(int index, uint64_t bytes, void** out) {
    int devices = 0;

    *out = NULL;
    CN_TRY(cn_calls_open());
    CN_CUDA(cn_calls()->GetDeviceCount(&devices));
    if (index < 0 || index >= devices) {
        return CN_FAIL(NO_DEVICE, "device cuda:%d is asked for, but this machine has %d CUDA device%s", index, devices, devices == 1 ? "" : "s");
    }
    CN_CUDA(cn_calls()->SetDevice(index));
    return CN_CUDA_OK(cn_calls()->Malloc(out, bytes ? bytes : 1));
}

void cn_cuda_give_back_memory(int index, void* memory) {
    if (!memory) return;
    (void)cn_calls()->SetDevice(index);
    (void)cn_calls()->Free(memory);
}

/* The default stream would wait for every other one; a stream for this copy alone does not. */
cornu_status cn_cuda_copy_memory(int index, void* dst, const void* src, uint64_t bytes) {
    cudaStream_t stream = NULL;
    cornu_status st = CORNU_OK;

    CN_TRY(cn_calls_open());
    CN_CUDA(cn_calls()->SetDevice(index));
    CN_CUDA(cn_calls()->StreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    CN_STEP(CN_CUDA_OK(cn_calls()->MemcpyAsync(dst, src, bytes, cudaMemcpyDefault, stream)));
    CN_STEP(CN_CUDA_OK(cn_calls()->StreamSynchronize(stream)));
done:
    (void)cn_calls()->StreamDestroy(stream);
    return st;
}
