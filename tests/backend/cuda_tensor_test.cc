// Tensors copied between the host and a device.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/alloc.h"
#include "cornu.h"
#include "tests/backend/cuda_host.h"

namespace {

std::vector<float> numbers(size_t n) {
    std::vector<float> x(n);
    for (size_t i = 0; i < n; i++) x[i] = (float)i * 0.5f;
    return x;
}

}  // namespace

TEST(HostTensor, GoesToTheDeviceAndBack) {
    std::string before = cuda_host::held();
    std::vector<float> x = numbers(12);
    cornu_tensor host = cornu_tensor_of(CORNU_FLOAT32, x.data(), 2, 3, 4), device = {}, other = {}, back = {};
    ASSERT_EQ(cornu_tensor_copy(&host, 0, &device), CORNU_OK) << cornu_last_error();
    EXPECT_EQ(device.device, 0);
    EXPECT_EQ(device.ndim, 2);
    EXPECT_EQ(device.dims[1], 4);
    ASSERT_EQ(cornu_tensor_copy(&device, 0, &other), CORNU_OK) << cornu_last_error();
    cornu_tensor_release(&device);
    EXPECT_EQ(device.data, nullptr);
    ASSERT_EQ(cornu_tensor_copy(&other, CORNU_HOST, &back), CORNU_OK) << cornu_last_error();
    cornu_tensor_release(&other);
    EXPECT_EQ(std::vector<float>((float*)back.data, (float*)back.data + 12), x);
    cornu_tensor_release(&back);
    EXPECT_EQ(cuda_host::held(), before);
}

TEST(HostTensor, FeedsASession) {
    cornu_model* model = nullptr;
    cornu_session* session = nullptr;
    cornu_session_options options = CORNU_SESSION_OPTIONS_INIT;
    options.device = "cuda";
    ASSERT_EQ(cornu_model_load(CORNU_SOURCE_DIR "/tools/demo_model/digits.keras", nullptr, &model), CORNU_OK) << cornu_last_error();
    ASSERT_EQ(cornu_session_create(model, &options, &session), CORNU_OK) << cornu_last_error();
    std::vector<float> x = numbers(128), want(20), zeros(20);
    cornu_tensor in = cornu_tensor_of(CORNU_FLOAT32, x.data(), 4, 2, 8, 8, 1), out = cornu_tensor_of(CORNU_FLOAT32, want.data(), 2, 2, 10);
    ASSERT_EQ(cornu_session_run(session, &in, 1, &out, 1), CORNU_OK) << cornu_last_error();
    cornu_tensor room = cornu_tensor_of(CORNU_FLOAT32, zeros.data(), 2, 2, 10), device_in = {}, device_out = {}, got = {};
    ASSERT_EQ(cornu_tensor_copy(&in, 0, &device_in), CORNU_OK) << cornu_last_error();
    ASSERT_EQ(cornu_tensor_copy(&room, 0, &device_out), CORNU_OK) << cornu_last_error();
    ASSERT_EQ(cornu_session_run(session, &device_in, 1, &device_out, 1), CORNU_OK) << cornu_last_error();
    cornu_session_destroy(session);  // the tensors are not the session's
    cornu_model_destroy(model);
    ASSERT_EQ(cornu_tensor_copy(&device_out, CORNU_HOST, &got), CORNU_OK) << cornu_last_error();
    EXPECT_EQ(std::vector<float>((float*)got.data, (float*)got.data + 20), want);
    for (cornu_tensor* t : {&device_in, &device_out, &got}) cornu_tensor_release(t);
}

TEST(HostTensor, IsGivenAwayByDlpack) {
    std::string before = cuda_host::held();
    std::vector<float> x = numbers(6);
    cornu_tensor host = cornu_tensor_of(CORNU_FLOAT32, x.data(), 1, 6), device = {}, view = {};
    void* managed = nullptr;
    ASSERT_EQ(cornu_tensor_copy(&host, 0, &device), CORNU_OK) << cornu_last_error();
    ASSERT_EQ(cornu_tensor_to_dlpack(&device, &managed), CORNU_OK) << cornu_last_error();
    ASSERT_EQ(cornu_tensor_from_dlpack(managed, &view), CORNU_OK) << cornu_last_error();
    EXPECT_EQ(view.device, 0);
    struct head { void* data; int32_t device[2], ndim; uint8_t dtype[4]; int64_t *shape, *strides; uint64_t offset; void* manager; void (*deleter)(void*); };
    static_cast<head*>(managed)->deleter(managed);
    EXPECT_EQ(cuda_host::held(), before);
}

TEST(HostTensor, RefusesWhatItCannotCopy) {
    std::vector<float> x = numbers(6);
    cornu_tensor host = cornu_tensor_of(CORNU_FLOAT32, x.data(), 1, 6), out = {}, empty = cornu_tensor_of(CORNU_FLOAT32, nullptr, 1, 0);
    EXPECT_EQ(cornu_tensor_copy(nullptr, 0, &out), CORNU_BAD_ARGUMENT);
    EXPECT_EQ(cornu_tensor_copy(&host, 0, nullptr), CORNU_BAD_ARGUMENT);
    EXPECT_EQ(cornu_tensor_copy(&host, -2, &out), CORNU_BAD_ARGUMENT);
    EXPECT_EQ(cornu_tensor_copy(&host, 9, &out), CORNU_NO_DEVICE);
    EXPECT_NE(std::string(cornu_last_error()).find("cuda:9"), std::string::npos) << cornu_last_error();
    host.dtype = CORNU_STRING;
    EXPECT_EQ(cornu_tensor_copy(&host, 0, &out), CORNU_BAD_ARGUMENT);
    host = cornu_tensor_of(CORNU_FLOAT32, nullptr, 1, 6);
    EXPECT_EQ(cornu_tensor_copy(&host, 0, &out), CORNU_BAD_ARGUMENT);
    for (int device : {CORNU_HOST, 0}) {
        ASSERT_EQ(cornu_tensor_copy(&empty, device, &out), CORNU_OK) << cornu_last_error();
        cornu_tensor_release(&out);
    }
}

TEST(HostTensor, EveryCallAndAllocationMayFail) {
    std::string before = cuda_host::held();
    std::vector<float> x = numbers(6);
    cornu_tensor host = cornu_tensor_of(CORNU_FLOAT32, x.data(), 1, 6), out = {};
    cornu_status st = CORNU_DEVICE_ERROR;
    for (long n = 1; st != CORNU_OK; n++) {
        cuda_host::inject(nullptr, n, 1);
        st = cornu_tensor_copy(&host, 0, &out);
        cuda_host::inject(nullptr, 0, 0);
        EXPECT_EQ(st == CORNU_OK, out.data != nullptr);
        cornu_tensor_release(&out);
        EXPECT_EQ(cuda_host::held(), before) << n;
        ASSERT_LT(n, 100);
    }
    st = CORNU_NO_MEMORY;
    for (uint64_t n = 1; st == CORNU_NO_MEMORY; n++) {
        cn_alloc_fail_at(n, false);
        st = cornu_tensor_copy(&host, CORNU_HOST, &out);
        cn_alloc_fail_at(0, false);
        cornu_tensor_release(&out);
    }
    EXPECT_EQ(st, CORNU_OK);
}
