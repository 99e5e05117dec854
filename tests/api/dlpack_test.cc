// DLPack in and out, and tensors that claim to be somewhere else.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <vector>

#include "cornu.h"

namespace {

// As dlpack.h has them.
struct Tensor {
    void* data;
    int32_t device_type, device_id, ndim;
    uint8_t code, bits;
    uint16_t lanes;
    int64_t *shape, *strides;
    uint64_t byte_offset;
};
struct Managed {
    Tensor tensor;
    void* manager;
    void (*deleter)(Managed*);
};

struct View {
    std::vector<float> data = std::vector<float>(24);
    std::vector<int64_t> shape = {2, 3, 4}, strides = {12, 4, 1};
    Managed managed = {{data.data(), 1, 0, 3, 2, 32, 1, shape.data(), strides.data(), 0}, nullptr, nullptr};
};

TEST(DlPack, ViewOfADenseTensor) {
    View v;
    cornu_tensor t;
    v.managed.tensor.byte_offset = 0;
    ASSERT_EQ(cornu_tensor_from_dlpack(&v.managed, &t), CORNU_OK) << cornu_last_error();
    EXPECT_EQ(t.dtype, CORNU_FLOAT32);
    EXPECT_EQ(t.ndim, 3);
    EXPECT_EQ(t.dims[2], 4);
    EXPECT_EQ(t.data, v.data.data());
    EXPECT_EQ(t.device, CORNU_HOST);
    v.managed.tensor.strides = nullptr;
    v.managed.tensor.device_type = 2;
    v.managed.tensor.device_id = 3;
    v.managed.tensor.byte_offset = 16;
    ASSERT_EQ(cornu_tensor_from_dlpack(&v.managed, &t), CORNU_OK) << cornu_last_error();
    EXPECT_EQ(t.device, 3);
    EXPECT_EQ(t.data, v.data.data() + 4);
    EXPECT_EQ(t.owner, nullptr);
}

TEST(DlPack, RefusesWhatItCannotRead) {
    cornu_tensor t;
    {
        View v;
        v.strides = {1, 2, 6};
        v.managed.tensor.strides = v.strides.data();
        EXPECT_EQ(cornu_tensor_from_dlpack(&v.managed, &t), CORNU_BAD_ARGUMENT);
    }
    {
        View v;
        v.managed.tensor.device_type = 10; // ROCm
        EXPECT_EQ(cornu_tensor_from_dlpack(&v.managed, &t), CORNU_BAD_ARGUMENT);
    }
    {
        View v;
        v.managed.tensor.device_type = 2;
        v.managed.tensor.device_id = -1;
        EXPECT_EQ(cornu_tensor_from_dlpack(&v.managed, &t), CORNU_BAD_ARGUMENT) << "memory of a device is not taken for the host's";
    }
    {
        View v;
        v.managed.tensor.lanes = 4;
        EXPECT_EQ(cornu_tensor_from_dlpack(&v.managed, &t), CORNU_BAD_ARGUMENT);
    }
    {
        View v;
        v.managed.tensor.code = 0;
        v.managed.tensor.bits = 4;
        EXPECT_EQ(cornu_tensor_from_dlpack(&v.managed, &t), CORNU_BAD_ARGUMENT);
    }
    {
        View v;
        v.shape[0] = INT64_MAX;
        EXPECT_EQ(cornu_tensor_from_dlpack(&v.managed, &t), CORNU_BAD_ARGUMENT);
    }
    EXPECT_EQ(cornu_tensor_from_dlpack(nullptr, &t), CORNU_BAD_ARGUMENT);
}

TEST(DlPack, AxesOfOneMayHaveAnyStride) {
    View v;
    cornu_tensor t;
    v.shape = {1, 6, 4};
    v.strides = {999, 4, 1};
    v.managed.tensor.shape = v.shape.data();
    v.managed.tensor.strides = v.strides.data();
    EXPECT_EQ(cornu_tensor_from_dlpack(&v.managed, &t), CORNU_OK) << cornu_last_error();
}

TEST(DlPack, ThereAndBackForEveryDtype) {
    for (int d = CORNU_FLOAT32; d <= CORNU_COMPLEX128; d++) {
        double room[8] = {0};
        void* managed = nullptr;
        cornu_tensor t = cornu_tensor_of((cornu_dtype)d, room, 2, 2, 2), back;
        ASSERT_EQ(cornu_tensor_to_dlpack(&t, &managed), CORNU_OK) << cornu_last_error();
        ASSERT_EQ(cornu_tensor_from_dlpack(managed, &back), CORNU_OK) << cornu_last_error();
        EXPECT_EQ(back.dtype, t.dtype);
        EXPECT_EQ(back.data, room);
        ((Managed*)managed)->deleter((Managed*)managed);
    }
    cornu_string s = {};
    void* managed = nullptr;
    cornu_tensor t = cornu_tensor_of(CORNU_STRING, &s, 1, 1);
    EXPECT_EQ(cornu_tensor_to_dlpack(&t, &managed), CORNU_BAD_ARGUMENT);
}

TEST(DeviceTensor, TheCpuTakesNone) {
    cornu_model* model = nullptr;
    cornu_session* session = nullptr;
    cornu_session_options options = CORNU_SESSION_OPTIONS_INIT;
    options.device = "cpu";
    ASSERT_EQ(cornu_model_load(CORNU_SOURCE_DIR "/tools/demo_model/digits.keras", nullptr, &model), CORNU_OK) << cornu_last_error();
    ASSERT_EQ(cornu_session_create(model, &options, &session), CORNU_OK) << cornu_last_error();
    std::vector<float> image(64);
    cornu_tensor in = cornu_tensor_of(CORNU_FLOAT32, image.data(), 4, 1, 8, 8, 1), out = {};
    in.device = 0;
    EXPECT_EQ(cornu_session_run(session, &in, 1, &out, 1), CORNU_BAD_ARGUMENT);
    EXPECT_NE(strstr(cornu_last_error(), "device 0"), nullptr) << cornu_last_error();
    in.device = CORNU_HOST;
    EXPECT_EQ(cornu_session_run_on_stream(session, &in, 1, &out, 1, &in), CORNU_BAD_ARGUMENT);
    EXPECT_EQ(cornu_session_run(session, &in, 1, &out, 1), CORNU_OK) << cornu_last_error();
    // What the library owns goes with the managed tensor.
    void* managed = nullptr;
    ASSERT_EQ(cornu_tensor_to_dlpack(&out, &managed), CORNU_OK);
    EXPECT_EQ(out.owner, nullptr);
    ((Managed*)managed)->deleter((Managed*)managed);
    cornu_session_destroy(session);
    cornu_model_destroy(model);
}

}  // namespace
