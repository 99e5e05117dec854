/* An opened CUDA device: its stream, its cuBLASLt handle and the memory that runs share, one of each a session. */
#ifndef CN_BACKEND_CUDA_DEVICE_H
#define CN_BACKEND_CUDA_DEVICE_H

#include "backend/cuda/cuda.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Oldest that the kernels are built for. */
#define CN_CUDA_OLDEST_CAPABILITY 80

cublasLtHandle_t cn_device_lt(const cn_device* device);
cudaStream_t cn_device_stream(const cn_device* device);
/* 90 for sm_90. */
int cn_device_capability(const cn_device* device);
int cn_device_index(const cn_device* device);
const cn_device_options* cn_device_options_of(const cn_device* device);
const char* cn_device_text(const cn_device* device);
/* What times on it depend on: the device and the versions of everything between it and a step. */
const char* cn_device_title(const cn_device* device);
uint64_t cn_device_l2_bytes(const cn_device* device);

/* A session runs one executable at a time, so that all of them share two blocks, which grow to the largest need: of the device, for inputs and
 * scratch, and pinned ones of the host, for what comes and goes. CORNU_NO_MEMORY: they may be gone; the next run asks again. */
cornu_status cn_device_reserve(cn_device* device, uint64_t space_bytes, uint64_t staging_bytes);
char* cn_device_space(const cn_device* device);
char* cn_device_staging(const cn_device* device);

/* Runs share memory, on whatever streams they are enqueued. Lets the stream's further work begin when what was enqueued before is done; says that
 * the stream's end is now the last of it; waits for it on the host; says that somebody has. */
cornu_status cn_device_follow(cn_device* device, cudaStream_t stream);
cornu_status cn_device_enqueued(cn_device* device, cudaStream_t stream);
cornu_status cn_device_join(cn_device* device);
void cn_device_joined(cn_device* device);

/* memory.c: whether the device's memory is the host's (Jetson), so that what the host has pinned is read in place. Noted when a device is opened. */
void cn_cuda_note_sharing(int index, bool shares);
bool cn_cuda_shares_memory(int index);

/* memory.c: memory of device `index` for callers' tensors; a copy from or to it, complete on return. */
cornu_status cn_cuda_take_memory(int index, uint64_t bytes, void** out);
void cn_cuda_give_back_memory(int index, void* memory);
cornu_status cn_cuda_copy_memory(int index, void* dst, const void* src, uint64_t bytes);

/* Where weights live on device `index`: the store's blocks (weights.c). CORNU_NO_DEVICE beyond the most devices. */
cornu_status cn_cuda_residence(int index, const cn_residence** out);

#ifdef __cplusplus
}
#endif

#endif
