// The stand-in for cuDNN from outside of the plug-in: its functions, and a fixture that gives back what it made.
#ifndef TESTS_BACKEND_CUDNN_HOST_H
#define TESTS_BACKEND_CUDNN_HOST_H

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "backend/cuda/cudnn_api.h"
#include "tests/backend/cuda_host.h"

namespace cudnn_host {

typedef std::vector<int64_t> Dims;
typedef std::vector<double> Values;

inline const cn_cudnn_calls* dnn() { return cuda_host::function<const cn_cudnn_calls* (*)()>("cn_host_cudnn")(); }

// The class of a status: all that the manual promises.
inline int category(cn_dnn_status st) { return st / 1000 * 1000; }

inline int64_t count_of(const Dims& dims) {
    int64_t n = 1;
    for (int64_t d : dims) n *= d;
    return n;
}

// Strides of a tensor [N, C, ...]: channels last (N, spatial, C), or in the order of the dimensions.
inline Dims packed(const Dims& dims, bool channels_last) {
    Dims out(dims.size());
    int64_t stride = 1;
    if (channels_last) {
        out[1] = 1;
        stride = dims[1];
    }
    for (size_t i = dims.size(); i-- > 0;) {
        if (channels_last && i == 1) continue;
        out[i] = stride;
        stride *= dims[i];
    }
    return out;
}

inline size_t size_of(int type) { return type == CN_DNN_DATA_FLOAT ? 4 : 2; }
inline double rounded(int type, double v) {
    switch (type) {
        case CN_DNN_DATA_FLOAT: return (float)v;
        case CN_DNN_DATA_HALF: return __half2float(__double2half(v));
        default: return __bfloat162float(__double2bfloat16(v));
    }
}
// v as TF32: 10 bits of fraction, to nearest even.
inline double tf32(double v) {
    float scale = std::ldexp(1.0f, 10 - std::ilogb((float)v));
    return v == 0 ? 0 : std::nearbyint(v * scale) / scale;
}

inline Values random_values(int type, int64_t count, unsigned seed) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<double> spread(-1, 1);
    Values out;
    for (int64_t i = 0; i < count; i++) out.push_back(rounded(type, spread(random)));
    return out;
}

// Where element number i of dims (last axis fastest) lies.
inline int64_t place(const Dims& dims, const Dims& strides, int64_t i) {
    int64_t at = 0;
    for (size_t axis = dims.size(); axis-- > 0;) {
        at += i % dims[axis] * strides[axis];
        i /= dims[axis];
    }
    return at;
}

class Fixture : public testing::Test {
   protected:
    const cn_cuda_calls* cuda = cuda_host::calls();
    const cn_cudnn_calls* d = dnn();
    cudaStream_t s = nullptr;
    cn_dnn_handle_t handle = nullptr;

    Fixture() {
        EXPECT_EQ(cuda->SetDevice(0), cudaSuccess);
        EXPECT_EQ(cuda->StreamCreateWithFlags(&s, cudaStreamNonBlocking), cudaSuccess);
        EXPECT_EQ(d->Create(&handle), 0);
        EXPECT_EQ(d->SetStream(handle, s), 0);
    }
    ~Fixture() override {
        cuda_host::revive();
        for (cn_dnn_descriptor x : descriptors) EXPECT_EQ(d->BackendDestroyDescriptor(x), 0);
        for (void* p : blocks) EXPECT_EQ(cuda->Free(p), cudaSuccess);
        EXPECT_EQ(d->Destroy(handle), 0);
        (void)cuda->StreamDestroy(s);
        EXPECT_EQ(cuda_host::held(), "");
    }

    char* block(size_t bytes) {
        void* p = nullptr;
        EXPECT_EQ(cuda->Malloc(&p, bytes), cudaSuccess);
        blocks.push_back(p);
        return (char*)p;
    }
    void put(void* to, int type, const Dims& dims, const Dims& strides, const Values& x) {
        int64_t last = 0;
        for (size_t i = 0; i < dims.size(); i++) last += (dims[i] - 1) * strides[i];
        std::vector<char> bytes((size_t)(last + 1) * size_of(type));
        for (int64_t i = 0; i < count_of(dims); i++) {
            char* at = &bytes[(size_t)place(dims, strides, i) * size_of(type)];
            float f = (float)x[(size_t)i];
            __half h = __double2half(x[(size_t)i]);
            __nv_bfloat16 b = __double2bfloat16(x[(size_t)i]);
            memcpy(at,
                   type == CN_DNN_DATA_FLOAT  ? (void*)&f
                   : type == CN_DNN_DATA_HALF ? (void*)&h
                                              : (void*)&b,
                   size_of(type));
        }
        EXPECT_EQ(cuda->MemcpyAsync(to, bytes.data(), bytes.size(), cudaMemcpyHostToDevice, s), cudaSuccess);
        EXPECT_EQ(cuda->StreamSynchronize(s), cudaSuccess);
    }
    char* upload(int type, const Dims& dims, const Dims& strides, const Values& x) {
        char* p = block((size_t)count_of(dims) * size_of(type));
        put(p, type, dims, strides, x);
        return p;
    }
    char* floats(const Values& x) { return upload(CN_DNN_DATA_FLOAT, {(int64_t)x.size()}, {1}, x); }
    Values read(const void* from, int type, const Dims& dims, const Dims& strides) {
        std::vector<char> bytes((size_t)count_of(dims) * size_of(type));
        Values out;
        EXPECT_EQ(cuda->MemcpyAsync(bytes.data(), from, bytes.size(), cudaMemcpyDeviceToHost, s), cudaSuccess);
        EXPECT_EQ(cuda->StreamSynchronize(s), cudaSuccess);
        for (int64_t i = 0; i < count_of(dims); i++) {
            const char* at = &bytes[(size_t)place(dims, strides, i) * size_of(type)];
            float f = 0;
            __half h;
            __nv_bfloat16 b;
            if (type == CN_DNN_DATA_FLOAT) memcpy(&f, at, 4);
            else if (type == CN_DNN_DATA_HALF) memcpy(&h, at, 2), f = __half2float(h);
            else memcpy(&b, at, 2), f = __bfloat162float(b);
            out.push_back(f);
        }
        return out;
    }

    cn_dnn_descriptor create(int kind) {
        cn_dnn_descriptor x = nullptr;
        EXPECT_EQ(d->BackendCreateDescriptor(kind, &x), 0);
        descriptors.push_back(x);
        return x;
    }
    template <typename T>
    cn_dnn_status set(cn_dnn_descriptor x, int attribute, int type, const std::vector<T>& values) {
        return d->BackendSetAttribute(x, attribute, type, (int64_t)values.size(), values.data());
    }
    cn_dnn_status set(cn_dnn_descriptor x, int attribute, cn_dnn_descriptor value) {
        return set(x, attribute, CN_DNN_TYPE_BACKEND_DESCRIPTOR, std::vector<cn_dnn_descriptor>{value});
    }
    cn_dnn_status set(cn_dnn_descriptor x, int attribute, int type, int value) {
        return set(x, attribute, type, std::vector<int>{value});
    }
    cn_dnn_status set(cn_dnn_descriptor x, int attribute, const Dims& values) {
        return set(x, attribute, CN_DNN_TYPE_INT64, values);
    }
    cn_dnn_status finalize(cn_dnn_descriptor x) { return d->BackendFinalize(x); }

    std::vector<cn_dnn_descriptor> descriptors;
    std::vector<void*> blocks;
};

}  // namespace cudnn_host

#endif
