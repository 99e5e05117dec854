// Kernels against the reference: the same graph on the CUDA backend (through the plug-in that CORNU_CUDA_LIBRARY names) and on the reference.
#ifndef TESTS_BACKEND_CUDA_TEST_H
#define TESTS_BACKEND_CUDA_TEST_H

#include <cstdio>

#include "tests/backend/run_graph.h"

namespace cuda_test {

using run_graph::Floats;
using run_graph::Graph;

// An element as double; NaN for other dtypes.
inline double element(cornu_dtype dtype, const std::vector<char>& bytes, size_t i) { return cn_ref_load(dtype, bytes.data(), (int64_t)i); }

// A digest of all bytes that the kernels made, printed at the end: the same for every order of threads and blocks (orders.cmake).
class Digest {
   public:
    ~Digest() { printf("results: %016llx of %lld\n", (unsigned long long)hash_, (long long)count_); }
    void add(const std::vector<std::vector<char>>& outputs) {
        for (const std::vector<char>& bytes : outputs) {
            for (char byte : bytes) hash_ = (hash_ ^ (unsigned char)byte) * 1099511628211u;
        }
        count_++;
    }

   private:
    uint64_t hash_ = 14695981039346656037u;
    int64_t count_ = 0;
};
inline Digest digest;

// Both results of every output, element by element: |a - b| <= tolerance * (largest |b| of the output), NaN and infinities alike;
// integers and bool equal.
inline void expect_same(const Graph& g, const std::vector<Floats>& inputs, double tolerance = 1e-5, const std::string& what = "") {
    std::vector<std::vector<char>> got = run_graph::run(g.g, cn_backend_cuda, inputs);
    std::vector<std::vector<char>> want = run_graph::run(g.g, cn_backend_reference, inputs);
    digest.add(got);
    ASSERT_EQ(got.size(), want.size()) << what;
    for (size_t o = 0; o < got.size(); o++) {
        const cn_type& type = g.g.types[g.g.outputs[o]];
        bool floats = type.dtype == CORNU_FLOAT32 || type.dtype == CORNU_FLOAT64 || type.dtype == CORNU_FLOAT16 || type.dtype == CORNU_BFLOAT16;
        double largest = 0;
        size_t count = (size_t)cn_type_count(&type);
        ASSERT_EQ(got[o].size(), want[o].size()) << what;
        if (!floats) {
            EXPECT_EQ(memcmp(got[o].data(), want[o].data(), got[o].size()), 0) << what << ": output " << o << " differs";
            continue;
        }
        for (size_t i = 0; i < count; i++) {
            double b = element(type.dtype, want[o], i);
            if (std::isfinite(b)) largest = std::max(largest, std::fabs(b));
        }
        for (size_t i = 0; i < count; i++) {
            double a = element(type.dtype, got[o], i), b = element(type.dtype, want[o], i);
            if (a == b || (std::isnan(a) && std::isnan(b))) continue;
            ASSERT_LE(std::fabs(a - b), tolerance * largest) << what << ": output " << o << " element " << i << " is " << a << ", the reference has " << b;
        }
    }
}

// A tolerance for results of a dtype: some units of its last place.
inline double tolerance_of(cornu_dtype dtype) {
    return dtype == CORNU_FLOAT64 ? 1e-12 : dtype == CORNU_FLOAT16 ? 2e-3 : dtype == CORNU_BFLOAT16 ? 1.6e-2 : 1e-5;
}

}  // namespace cuda_test

#endif
