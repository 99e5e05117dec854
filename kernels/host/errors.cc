/* Names and sentences of the errors that host execution knows. */
#include <cuda_runtime_api.h>

#define ERRORS(E) \
    E(cudaSuccess, "no error")                                                         \
    E(cudaErrorInvalidValue, "invalid argument")                                       \
    E(cudaErrorMemoryAllocation, "out of memory")                                      \
    E(cudaErrorInitializationError, "initialization error")                            \
    E(cudaErrorInvalidConfiguration, "invalid configuration argument")                 \
    E(cudaErrorCooperativeLaunchTooLarge, "too many blocks in cooperative launch")     \
    E(cudaErrorInsufficientDriver, "CUDA driver version is insufficient for CUDA runtime version") \
    E(cudaErrorNoDevice, "no CUDA-capable device is detected")                         \
    E(cudaErrorInvalidDevice, "invalid device ordinal")                                \
    E(cudaErrorNoKernelImageForDevice, "no kernel image is available for execution on the device") \
    E(cudaErrorECCUncorrectable, "uncorrectable ECC error encountered")                \
    E(cudaErrorInvalidResourceHandle, "invalid resource handle")                       \
    E(cudaErrorNotReady, "device not ready")                                           \
    E(cudaErrorIllegalAddress, "an illegal memory access was encountered")             \
    E(cudaErrorLaunchOutOfResources, "too many resources requested for launch")        \
    E(cudaErrorMisalignedAddress, "misaligned address")                                \
    E(cudaErrorLaunchFailure, "unspecified launch failure")                            \
    E(cudaErrorStreamCaptureUnsupported, "operation not permitted when stream is capturing") \
    E(cudaErrorStreamCaptureInvalidated, "operation failed due to a previous error during capture") \
    E(cudaErrorStreamCaptureUnmatched, "capture was not ended in the same stream as it began") \
    E(cudaErrorStreamCaptureUnjoined, "capturing stream has unjoined work")            \
    E(cudaErrorStreamCaptureIsolation, "dependency created on uncaptured work in another stream") \
    E(cudaErrorStreamCaptureWrongThread, "attempt to terminate a thread-local capture sequence from another thread") \
    E(cudaErrorCapturedEvent, "operation not permitted on an event last recorded in a capturing stream") \
    E(cudaErrorUnknown, "unknown error")

const char* cudaGetErrorName(cudaError_t error) {
    switch (error) {
#define ROW(name, text) \
    case name: return #name;
        ERRORS(ROW)
#undef ROW
        default: return "an error that host execution does not know";
    }
}

const char* cudaGetErrorString(cudaError_t error) {
    switch (error) {
#define ROW(name, text) \
    case name: return text;
        ERRORS(ROW)
#undef ROW
        default: return "unrecognized error code";
    }
}
