// Graphs over inputs of any dtype whose elements are given, run on the device and on the reference.
#ifndef TESTS_BACKEND_CUDA_RAW_H
#define TESTS_BACKEND_CUDA_RAW_H

#include <limits>

#include "base/dtype.h"
#include "tests/backend/cuda_test.h"

namespace cuda_raw {

using Dims = std::vector<int64_t>;
using Bytes = std::vector<char>;

static const cornu_dtype kFloats[] = {CORNU_FLOAT32, CORNU_FLOAT64, CORNU_FLOAT16, CORNU_BFLOAT16};
static const cornu_dtype kIntegers[] = {CORNU_INT8, CORNU_INT16, CORNU_INT32, CORNU_INT64, CORNU_UINT8, CORNU_UINT16, CORNU_UINT32, CORNU_UINT64};
static const cornu_dtype kNumbers[] = {CORNU_FLOAT32, CORNU_FLOAT64, CORNU_FLOAT16, CORNU_BFLOAT16, CORNU_INT8,   CORNU_INT16, CORNU_INT32,
                                       CORNU_INT64,   CORNU_UINT8,   CORNU_UINT16,  CORNU_UINT32,   CORNU_UINT64, CORNU_BOOL};
static const double kInf = std::numeric_limits<double>::infinity(), kNan = std::numeric_limits<double>::quiet_NaN();

inline bool is_float(cornu_dtype dtype) { return cn_dtype_is_float(dtype); }

inline cn_type type_of(const Dims& dims, cornu_dtype dtype) {
    cn_type t = {};
    t.dtype = dtype;
    for (int64_t d : dims) t.dims[t.ndim++] = d;
    return t;
}

// Ordinary and extreme numbers of a dtype, each as its bytes in a row.
inline Bytes special_values(cornu_dtype dtype) {
    static const double floats[] = {0.0,  -0.0, 1e-45, -1e-45, 1e-40, 6e-8, -6e-8, 1e-38, 1e-20, 1e-5, -1e-5, 0.1, -0.1, 0.25, -0.25, 0.5, -0.5, 0.75, -0.75, 1, -1, 1.5, -1.5,
                                    2,    -2,   2.5,   -2.5,   3,     -3,   5.75,  6,     -6,    7.25, -7.25, 20,  -20,  33,   -33,   80,  -80,  100,  -100,  700, -700, 1000.5, -1000.5,
                                    6e4, -6e4,  1e6,   -1e6,   1e10,  -1e10, 1e18, -1e18, 1e30,  -1e30, 3.4028234663852886e38, -3.4028234663852886e38, kInf, -kInf, kNan};
    static const int64_t integers[] = {0,     1,     -1,     2,     -2,    3,     -3,         5,          7,         -7,        8,         10,        16,
                                       31,    32,    63,     64,    65,    100,   127,        -127,       -128,      128,       255,       256,       32767,
                                       65535, 65536, -32768, 46341, 99999, -5555, 2147483647, -2147483647 - 1, 2147483648, 4294967295, 4294967296, INT64_MAX, INT64_MIN, INT64_MAX - 1};
    const size_t size = cornu_dtype_size(dtype);
    Bytes out;
    auto add = [&](cornu_dtype from, const void* value) {
        out.resize(out.size() + size);
        EXPECT_EQ(cn_dtype_convert(dtype, &out[out.size() - size], from, value, 1), CORNU_OK);
    };
    if (is_float(dtype)) {
        for (const double& v : floats) add(CORNU_FLOAT64, &v);
    } else {
        for (const int64_t& v : integers) add(CORNU_INT64, &v);
    }
    return out;
}

// Floats in [low, high), integers of all bits, bool 0 or 1.
inline Bytes random_values(cornu_dtype dtype, int64_t count, unsigned seed, double low = -1, double high = 1) {
    const size_t size = cornu_dtype_size(dtype);
    Bytes out(size * (size_t)count);
    std::mt19937_64 random(seed);
    std::uniform_real_distribution<double> spread(low, high);
    for (int64_t i = 0; i < count; i++) {
        if (is_float(dtype)) {
            cn_ref_store(dtype, out.data(), i, spread(random));
            continue;
        }
        for (size_t k = 0; k < size; k++) out[(size_t)i * size + k] = (char)(random() >> 20);
        if (dtype == CORNU_BOOL) out[(size_t)i] = (char)(out[(size_t)i] & 1);
    }
    return out;
}

// Integers in [low, high] of any integer dtype.
inline Bytes random_indices(cornu_dtype dtype, int64_t count, unsigned seed, int64_t low, int64_t high) {
    Bytes out(cornu_dtype_size(dtype) * (size_t)count);
    std::mt19937_64 random(seed);
    std::uniform_int_distribution<int64_t> spread(low, high);
    for (int64_t i = 0; i < count; i++) cn_ref_store_int(dtype, out.data(), i, spread(random));
    return out;
}

class Raw : public run_graph::Graph {
   public:
    cn_id input(const Dims& dims, cornu_dtype dtype, const Bytes& bytes) {
        cn_type t = type_of(dims, dtype);
        EXPECT_EQ(bytes.size(), cn_type_bytes(&t));
        data.emplace_back(bytes.size() / sizeof(float) + 1);
        if (!bytes.empty()) memcpy((void*)data.back().data(), bytes.data(), bytes.size());
        return cn_graph_input(&g, &t, "x");
    }
    cn_id random(const Dims& dims, cornu_dtype dtype, double low = -1, double high = 1) {
        cn_type t = type_of(dims, dtype);
        return input(dims, dtype, random_values(dtype, cn_type_count(&t), ++seed_, low, high));
    }
    // All outputs; empty where a backend failed.
    std::vector<Bytes> on(const cn_backend& backend) { return run_graph::run(g, backend, data); }
    void expect_same_bytes(const std::string& what) {
        ASSERT_EQ(cn_graph_status(&g), CORNU_OK) << what << ": " << cornu_last_error();
        std::vector<Bytes> got = on(cn_backend_cuda), want = on(cn_backend_reference);
        ASSERT_EQ(got.size(), want.size()) << what;
        for (size_t o = 0; o < got.size(); o++) {
            const size_t size = cornu_dtype_size(g.types[g.outputs[o]].dtype);
            ASSERT_EQ(got[o].size(), want[o].size()) << what;
            for (size_t i = 0; i < got[o].size(); i += size) {
                ASSERT_EQ(memcmp(&got[o][i], &want[o][i], size), 0) << what << ": output " << o << " differs at element " << i / size;
            }
        }
    }

    std::vector<run_graph::Floats> data;

   private:
    unsigned seed_ = 0;
};

inline std::string text_of(const Dims& dims) {
    std::string out = "[";
    for (int64_t d : dims) out += (out.size() > 1 ? "," : "") + std::to_string(d);
    return out + "]";
}

}  // namespace cuda_raw

#endif
