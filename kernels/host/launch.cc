/* Launches of host execution: the arguments are copied at once, the kernel runs when its stream comes to it. */
#include <stdlib.h>
#include <string.h>

#include <memory>

#include "kernels/host/block.h"
#include "kernels/host/runtime.h"

namespace {

/* The arguments of a launch, copied: what the caller's pointed to is gone when the kernel runs. */
struct arguments {
    std::vector<void*> pointers;
    explicit arguments(const cn_host_kernel* kernel, void** from) {
        for (int i = 0; i < kernel->arg_count; i++) {
            void* copy = aligned_alloc(16, (kernel->arg_sizes[i] + 15) / 16 * 16);
            memcpy(copy, from[i], kernel->arg_sizes[i]);
            pointers.push_back(copy);
        }
    }
    arguments(const arguments&) = delete;
    ~arguments() {
        for (void* copy : pointers) free(copy);
    }
};

/* Every word of the arguments: it may point into a block. */
std::vector<cn_host::use> uses_of(const cn_host_kernel* kernel, const arguments& a) {
    std::vector<cn_host::use> uses;
    for (int i = 0; i < kernel->arg_count; i++) {
        for (size_t at = 0; at + sizeof(void*) <= kernel->arg_sizes[i]; at += sizeof(void*)) {
            const void* address;
            memcpy(&address, static_cast<const char*>(a.pointers[static_cast<size_t>(i)]) + at, sizeof address);
            uses.push_back({address, 1});
        }
    }
    return uses;
}

typedef cudaError_t (*execute_fn)(const cn_host_kernel* kernel, dim3 grid, dim3 block, void** args, size_t shared);

cudaError_t launch(const void* function, dim3 grid, dim3 block, void** args, size_t shared_bytes, cudaStream_t s,
                   cudaError_t refused, execute_fn execute) {
    const cn_host_kernel* kernel = static_cast<const cn_host_kernel*>(function);
    auto copied = std::make_shared<arguments>(kernel, args);
    return cn_host::enqueue_launch(s, refused, uses_of(kernel, *copied),
                                   [=] { return execute(kernel, grid, block, copied->pointers.data(), shared_bytes); });
}

/* Whether all blocks fit on the device at once. */
cudaError_t check_together(const void* function, dim3 grid, dim3 block, size_t shared_bytes) {
    int device, processors, most;
    cudaError_t error = cn_host_check(grid, block, shared_bytes);
    if (error == cudaSuccess) error = cudaGetDevice(&device);
    if (error == cudaSuccess) error = cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device);
    if (error == cudaSuccess)
        error = cudaOccupancyMaxActiveBlocksPerMultiprocessor(
            &most, function, static_cast<int>(block.x * block.y * block.z), shared_bytes);
    if (error != cudaSuccess) return error;
    return static_cast<uint64_t>(grid.x) * grid.y * grid.z >
                   static_cast<uint64_t>(processors) * static_cast<uint64_t>(most)
               ? cudaErrorCooperativeLaunchTooLarge
               : cudaSuccess;
}

}  // namespace

cudaError_t cudaLaunchKernel(const void* kernel, dim3 grid, dim3 block, void** args, size_t shared_bytes,
                             cudaStream_t s) {
    return launch(kernel, grid, block, args, shared_bytes, s, cn_host_check(grid, block, shared_bytes),
                  cn_host_execute);
}

cudaError_t cudaLaunchCooperativeKernel(const void* kernel, dim3 grid, dim3 block, void** args, size_t shared_bytes,
                                        cudaStream_t s) {
    return launch(kernel, grid, block, args, shared_bytes, s, check_together(kernel, grid, block, shared_bytes),
                  cn_host_execute_together);
}
