// The stand-ins for the CUDA runtime and for cuBLASLt: what a real one would let pass or crash on is reported.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "kernels/host/block.h"
#include "tests/backend/cuda_host.h"

namespace {

using cuda_host::held;
using cuda_host::lt;

class HostRuntime : public testing::Test {
protected:
    const cn_cuda_calls* cuda = cuda_host::calls();
    cudaStream_t s = nullptr;
    HostRuntime() { EXPECT_EQ(cuda->StreamCreateWithFlags(&s, cudaStreamNonBlocking), cudaSuccess); }
    ~HostRuntime() override {
        cuda_host::revive();
        (void)cuda->StreamDestroy(s);
        EXPECT_EQ(held(), "");
    }
    void* block(size_t bytes) {
        void* p = nullptr;
        EXPECT_EQ(cuda->Malloc(&p, bytes), cudaSuccess);
        return p;
    }
    void* floats(const std::vector<float>& x) {
        void* p = block(x.size() * sizeof(float));
        EXPECT_EQ(cuda->MemcpyAsync(p, x.data(), x.size() * sizeof(float), cudaMemcpyHostToDevice, s), cudaSuccess);
        EXPECT_EQ(cuda->StreamSynchronize(s), cudaSuccess);
        return p;
    }
    std::vector<float> read(const void* p, size_t count) {
        std::vector<float> x(count);
        EXPECT_EQ(cuda->MemcpyAsync(x.data(), p, count * sizeof(float), cudaMemcpyDeviceToHost, s), cudaSuccess);
        EXPECT_EQ(cuda->StreamSynchronize(s), cudaSuccess);
        return x;
    }
};

TEST_F(HostRuntime, NewMemoryIsNan) {
    void* p = block(12);
    for (float v : read(p, 3)) EXPECT_TRUE(std::isnan(v));
    EXPECT_EQ(cuda->Free(p), cudaSuccess);
    EXPECT_EQ(cuda->Free(p), cudaErrorInvalidValue) << "freed twice";
}

TEST_F(HostRuntime, CopiesThatAreNotWhatTheySay) {
    float x[4] = {};
    void *p = block(16), *pinned = nullptr;
    ASSERT_EQ(cuda->MallocHost(&pinned, 16), cudaSuccess);
    EXPECT_EQ(cuda->MemcpyAsync(x, x, 16, cudaMemcpyHostToDevice, s), cudaErrorInvalidValue);
    EXPECT_EQ(cuda->MemcpyAsync(p, p, 16, cudaMemcpyHostToDevice, s), cudaErrorInvalidValue);
    EXPECT_EQ(cuda->MemcpyAsync(p, pinned, 16, cudaMemcpyDeviceToDevice, s), cudaErrorInvalidValue);
    EXPECT_EQ(cuda->MemcpyAsync(p, x, 17, cudaMemcpyHostToDevice, s), cudaErrorInvalidValue) << "beyond the block's end";
    EXPECT_EQ(cuda->MemsetAsync(pinned, 0, 16, s), cudaErrorInvalidValue);
    EXPECT_EQ(cuda->MemcpyAsync(p, pinned, 16, cudaMemcpyHostToDevice, s), cudaSuccess);
    EXPECT_EQ(cuda->FreeHost(p), cudaErrorInvalidValue);
    EXPECT_EQ(cuda->FreeHost(pinned), cudaSuccess);
    EXPECT_EQ(cuda->Free(p), cudaSuccess);
}

TEST_F(HostRuntime, WorkIsDoneWhenItIsWaitedFor) {
    void* p = floats({1, 2});
    float x[2] = {7, 7};
    cudaStream_t other = nullptr;
    cudaEvent_t event = nullptr;
    ASSERT_EQ(cuda->StreamCreateWithFlags(&other, 0), cudaSuccess);
    ASSERT_EQ(cuda->EventCreateWithFlags(&event, cudaEventDisableTiming), cudaSuccess);
    ASSERT_EQ(cuda->MemcpyAsync(x, p, 8, cudaMemcpyDeviceToHost, s), cudaSuccess);
    EXPECT_EQ(x[0], 7);
    ASSERT_EQ(cuda->EventRecord(event, s), cudaSuccess);
    ASSERT_EQ(cuda->MemsetAsync(p, 0, 8, s), cudaSuccess);
    ASSERT_EQ(cuda->StreamWaitEvent(other, event, 0), cudaSuccess);
    ASSERT_EQ(cuda->StreamSynchronize(other), cudaSuccess);
    EXPECT_EQ(x[0], 1) << "the other stream waits for the copy";
    EXPECT_EQ(read(p, 2)[0], 0);
    (void)cuda->EventDestroy(event);
    (void)cuda->StreamDestroy(other);
    EXPECT_EQ(cuda->Free(p), cudaSuccess);
}

// A graph of one copy, from p to q.
cudaGraphExec_t graph_of_copy(const cn_cuda_calls* cuda, cudaStream_t s, void* q, const void* p) {
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t ready = nullptr;
    EXPECT_EQ(cuda->StreamBeginCapture(s, cudaStreamCaptureModeThreadLocal), cudaSuccess);
    EXPECT_EQ(cuda->MemcpyAsync(q, p, 8, cudaMemcpyDeviceToDevice, s), cudaSuccess);
    EXPECT_EQ(cuda->StreamEndCapture(s, &graph), cudaSuccess);
    EXPECT_EQ(cuda->GraphInstantiate(&ready, graph, 0), cudaSuccess);
    EXPECT_EQ(cuda->GraphDestroy(graph), cudaSuccess);
    return ready;
}

TEST_F(HostRuntime, GraphsRunAgainAndAgain) {
    void *p = floats({1, 2}), *q = floats({0, 0});
    cudaGraphExec_t graph = graph_of_copy(cuda, s, q, p);
    EXPECT_EQ(read(q, 2)[0], 0) << "captured, not run";
    for (int i = 0; i < 2; i++) {
        ASSERT_EQ(cuda->MemsetAsync(q, 0, 8, s), cudaSuccess);
        ASSERT_EQ(cuda->GraphLaunch(graph, s), cudaSuccess);
        EXPECT_EQ(read(q, 2)[1], 2);
    }
    (void)cuda->GraphExecDestroy(graph);
    (void)cuda->Free(p);
    (void)cuda->Free(q);
}

TEST_F(HostRuntime, StaleAddressOfACopyInAGraph) {
    void *p = floats({1, 2}), *q = floats({0, 0});
    cudaGraphExec_t graph = graph_of_copy(cuda, s, q, p);
    ASSERT_EQ(cuda->Free(p), cudaSuccess);
    ASSERT_EQ(cuda->GraphLaunch(graph, s), cudaSuccess);
    EXPECT_EQ(cuda->StreamSynchronize(s), cudaErrorIllegalAddress);
    EXPECT_EQ(cuda->Malloc(&p, 8), cudaErrorIllegalAddress) << "the context is dead";
    cuda_host::revive();
    (void)cuda->GraphExecDestroy(graph);
    EXPECT_EQ(cuda->Free(q), cudaSuccess);
}

struct Arguments {
    int64_t n;
    float* p;
};

// A kernel as launch.h makes them, from outside of the plug-in: it needs nothing of a thread.
void set_first(Arguments a) { a.p[0] = (float)a.n; }
void invoke(void (*kernel)(), void** args) { reinterpret_cast<void (*)(Arguments)>(kernel)(*static_cast<Arguments*>(args[0])); }

TEST_F(HostRuntime, StaleAddressInAKernelsArguments) {
    static const size_t sizes[] = {sizeof(Arguments)};
    const cn_host_kernel kernel = {invoke, reinterpret_cast<void (*)()>(set_first), 1, sizes, "set_first"};
    Arguments a = {3, static_cast<float*>(block(8))};
    void* args[] = {&a};
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t ready = nullptr;
    ASSERT_EQ(cuda->StreamBeginCapture(s, cudaStreamCaptureModeThreadLocal), cudaSuccess);
    ASSERT_EQ(cuda->LaunchKernel(&kernel, dim3(1), dim3(1), args, 0, s), cudaSuccess);
    ASSERT_EQ(cuda->StreamEndCapture(s, &graph), cudaSuccess);
    ASSERT_EQ(cuda->GraphInstantiate(&ready, graph, 0), cudaSuccess);
    ASSERT_EQ(cuda->GraphLaunch(ready, s), cudaSuccess);
    EXPECT_EQ(read(a.p, 1)[0], 3);
    ASSERT_EQ(cuda->Free(a.p), cudaSuccess);
    ASSERT_EQ(cuda->GraphLaunch(ready, s), cudaSuccess);
    EXPECT_EQ(cuda->StreamSynchronize(s), cudaErrorIllegalAddress);
    cuda_host::revive();
    (void)cuda->GraphExecDestroy(ready);
    (void)cuda->GraphDestroy(graph);
}

TEST_F(HostRuntime, WhatBreaksACapture) {
    cudaGraph_t graph = nullptr;
    cudaStream_t other = nullptr;
    cudaEvent_t event = nullptr;
    void *p = block(8), *q = nullptr;
    ASSERT_EQ(cuda->StreamCreateWithFlags(&other, 0), cudaSuccess);
    ASSERT_EQ(cuda->EventCreateWithFlags(&event, 0), cudaSuccess);
    ASSERT_EQ(cuda->StreamBeginCapture(s, cudaStreamCaptureModeThreadLocal), cudaSuccess);
    EXPECT_EQ(cuda->Malloc(&q, 8), cudaErrorStreamCaptureUnsupported);
    EXPECT_EQ(cuda->StreamEndCapture(s, &graph), cudaErrorStreamCaptureInvalidated);
    ASSERT_EQ(cuda->StreamBeginCapture(s, cudaStreamCaptureModeThreadLocal), cudaSuccess);
    EXPECT_EQ(cuda->StreamSynchronize(s), cudaErrorStreamCaptureUnsupported);
    EXPECT_EQ(cuda->StreamEndCapture(s, &graph), cudaErrorStreamCaptureInvalidated);
    ASSERT_EQ(cuda->StreamBeginCapture(s, cudaStreamCaptureModeThreadLocal), cudaSuccess);
    ASSERT_EQ(cuda->EventRecord(event, s), cudaSuccess);
    ASSERT_EQ(cuda->StreamWaitEvent(other, event, 0), cudaSuccess);
    ASSERT_EQ(cuda->MemsetAsync(p, 0, 8, other), cudaSuccess);
    EXPECT_EQ(cuda->StreamEndCapture(s, &graph), cudaErrorStreamCaptureUnjoined) << "the other stream's work";
    EXPECT_EQ(graph, nullptr);
    EXPECT_EQ(cuda->MemsetAsync(p, 0, 8, s), cudaSuccess) << "the stream goes on";
    EXPECT_EQ(cuda->StreamSynchronize(s), cudaSuccess);
    (void)cuda->EventDestroy(event);
    (void)cuda->StreamDestroy(other);
    (void)cuda->Free(p);
}

// ---- cuBLASLt: y = x w + bias for row-major x [2, 3], w [3, 2] as the columns of the transposed problem ----

class HostCublasLt : public HostRuntime {
protected:
    cublasLtHandle_t handle = nullptr;
    cublasLtMatmulDesc_t desc = nullptr;
    cublasLtMatrixLayout_t a = nullptr, b = nullptr, d = nullptr;
    cublasLtMatmulPreference_t pref = nullptr;
    void *w = nullptr, *x = nullptr, *y = nullptr, *bias = nullptr;

    ~HostCublasLt() override {
        (void)lt()->MatmulPreferenceDestroy(pref);
        for (cublasLtMatrixLayout_t layout : {a, b, d}) (void)lt()->MatrixLayoutDestroy(layout);
        (void)lt()->MatmulDescDestroy(desc);
        (void)lt()->Destroy(handle);
        for (void* p : {w, x, y, bias}) (void)cuda->Free(p);
    }
    void make(cublasComputeType_t compute, int64_t ld = 2) {
        w = floats({1, 2, 3, 4, 5, 1.0009765625f + 0.000244140625f});  // the last is no TF32
        x = floats({1, 0, 0, 0, 0, 1});
        y = block(16);
        bias = floats({10, 20});
        ASSERT_EQ(lt()->Create(&handle), CUBLAS_STATUS_SUCCESS);
        ASSERT_EQ(lt()->MatmulDescCreate(&desc, compute, CUDA_R_32F), CUBLAS_STATUS_SUCCESS);
        ASSERT_EQ(lt()->MatrixLayoutCreate(&a, CUDA_R_32F, 2, 3, ld), CUBLAS_STATUS_SUCCESS);
        ASSERT_EQ(lt()->MatrixLayoutCreate(&b, CUDA_R_32F, 3, 2, 3), CUBLAS_STATUS_SUCCESS);
        ASSERT_EQ(lt()->MatrixLayoutCreate(&d, CUDA_R_32F, 2, 2, 2), CUBLAS_STATUS_SUCCESS);
        ASSERT_EQ(lt()->MatmulPreferenceCreate(&pref), CUBLAS_STATUS_SUCCESS);
    }
    cublasStatus_t epilogue(cublasLtEpilogue_t e, const void* vector) {
        (void)lt()->MatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &vector, sizeof vector);
        return lt()->MatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_EPILOGUE, &e, sizeof e);
    }
    cublasStatus_t allow(uint64_t inputs) {
        uint64_t mask = ~static_cast<uint64_t>(CUBLASLT_NUMERICAL_IMPL_FLAGS_OP_INPUT_TYPE_MASK) | inputs;
        return lt()->MatmulPreferenceSetAttribute(pref, CUBLASLT_MATMUL_PREF_IMPL_MASK, &mask, sizeof mask);
    }
    cublasStatus_t choose(cublasLtMatmulHeuristicResult_t* out) {
        int count = 0;
        cublasStatus_t st = lt()->MatmulAlgoGetHeuristic(handle, desc, a, b, d, d, pref, 1, out, &count);
        EXPECT_EQ(count, st == CUBLAS_STATUS_SUCCESS ? 1 : 0);
        return st;
    }
    cublasStatus_t multiply(const cublasLtMatmulAlgo_t* algo, const void* left, void* workspace = nullptr, size_t bytes = 0) {
        const float one = 1, zero = 0;
        return lt()->Matmul(handle, desc, &one, left, a, x, b, &zero, y, d, y, d, algo, workspace, bytes, s);
    }
};

TEST_F(HostCublasLt, StrictAndTf32) {
    for (auto compute : {CUBLAS_COMPUTE_32F, CUBLAS_COMPUTE_32F_FAST_TF32}) {
        cublasLtMatmulHeuristicResult_t found = {};
        if (!handle) make(compute);
        ASSERT_EQ(lt()->MatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_COMPUTE_TYPE, &compute, sizeof compute), CUBLAS_STATUS_SUCCESS);
        ASSERT_EQ(epilogue(CUBLASLT_EPILOGUE_BIAS, bias), CUBLAS_STATUS_SUCCESS);
        ASSERT_EQ(allow(CUBLASLT_NUMERICAL_IMPL_FLAGS_INPUT_32F | (compute == CUBLAS_COMPUTE_32F ? 0 : CUBLASLT_NUMERICAL_IMPL_FLAGS_INPUT_TF32)),
                  CUBLAS_STATUS_SUCCESS);
        ASSERT_EQ(choose(&found), CUBLAS_STATUS_SUCCESS);
        EXPECT_EQ(found.workspaceSize, 0u) << "none is allowed unless the preference says so";
        ASSERT_EQ(multiply(&found.algo, w), CUBLAS_STATUS_SUCCESS);
        float last = compute == CUBLAS_COMPUTE_32F ? 20 + 1.001220703125f : 20 + 1.0009765625f;
        EXPECT_EQ(read(y, 4), (std::vector<float>{11, 22, 15, last}));
    }
}

// What an environment variable may do to a caller that allows it.
TEST_F(HostCublasLt, AnOpenMaskIsTf32) {
    cublasLtMatmulHeuristicResult_t found = {};
    make(CUBLAS_COMPUTE_32F);
    ASSERT_EQ(choose(&found), CUBLAS_STATUS_SUCCESS);
    ASSERT_EQ(multiply(&found.algo, w), CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(read(y, 4), (std::vector<float>{1, 2, 5, 1.0009765625f}));
    ASSERT_EQ(allow(CUBLASLT_NUMERICAL_IMPL_FLAGS_INPUT_16F), CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(choose(&found), CUBLAS_STATUS_NOT_SUPPORTED) << "no algorithm is left";
}

TEST_F(HostCublasLt, WhatTheManualForbids) {
    cublasLtMatmulHeuristicResult_t found = {};
    cublasLtMatmulAlgo_t invented = {};
    uint64_t workspace = 1 << 20;
    int32_t wrong_size = 0;
    make(CUBLAS_COMPUTE_32F);
    EXPECT_EQ(lt()->MatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &wrong_size, sizeof wrong_size), CUBLAS_STATUS_INVALID_VALUE);
    EXPECT_EQ(multiply(nullptr, w), CUBLAS_STATUS_INVALID_VALUE) << "no algorithm";
    EXPECT_EQ(multiply(&invented, w), CUBLAS_STATUS_INVALID_VALUE) << "not of the heuristic";
    ASSERT_EQ(choose(&found), CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(multiply(&found.algo, static_cast<float*>(w) + 1), CUBLAS_STATUS_INVALID_VALUE) << "beyond the block, and not aligned as promised";
    EXPECT_EQ(multiply(&found.algo, "host memory"), CUBLAS_STATUS_INVALID_VALUE);
    ASSERT_EQ(epilogue(CUBLASLT_EPILOGUE_RELU_BIAS, bias), CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(multiply(&found.algo, w), CUBLAS_STATUS_INVALID_VALUE) << "an algorithm of another problem";
    ASSERT_EQ(lt()->MatmulPreferenceSetAttribute(pref, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace, sizeof workspace), CUBLAS_STATUS_SUCCESS);
    ASSERT_EQ(choose(&found), CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(multiply(&found.algo, w), CUBLAS_STATUS_INVALID_VALUE) << "too little workspace";
    ASSERT_EQ(epilogue(CUBLASLT_EPILOGUE_GELU, nullptr), CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(choose(&found), CUBLAS_STATUS_NOT_SUPPORTED);
}

TEST_F(HostCublasLt, LeadingDimensionBelowTheRows) {
    cublasLtMatmulHeuristicResult_t found = {};
    make(CUBLAS_COMPUTE_32F, 1);
    EXPECT_EQ(choose(&found), CUBLAS_STATUS_INVALID_VALUE);
}

}  // namespace
