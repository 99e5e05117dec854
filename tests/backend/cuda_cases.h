// Graphs over inputs and constants of any dtype, compared with the reference.
#ifndef TESTS_BACKEND_CUDA_CASES_H
#define TESTS_BACKEND_CUDA_CASES_H

#include "backend/plugin.h"
#include "base/dtype.h"
#include "tests/backend/cuda_test.h"

namespace cuda_test {

using Dims = std::vector<int64_t>;

static const cornu_dtype kFloats[] = {CORNU_FLOAT32, CORNU_FLOAT64, CORNU_FLOAT16, CORNU_BFLOAT16};
static const cornu_dtype kIntegers[] = {CORNU_INT8, CORNU_INT16, CORNU_INT32, CORNU_INT64, CORNU_UINT8, CORNU_UINT16, CORNU_UINT32, CORNU_UINT64, CORNU_BOOL};

inline cn_act act_of(cn_ew fn, double p = 0, double q = 0, double r = 0) { return {fn, p, q, r}; }

class Case : public Graph {
   public:
    explicit Case(cornu_dtype of) : dtype(of) {}

    cn_id input_of(const Dims& dims) {
        cn_type t = type(dims);
        std::vector<char> bytes = values(t);
        data.emplace_back(bytes.size() / sizeof(float) + 1);
        if (!bytes.empty()) memcpy(data.back().data(), bytes.data(), bytes.size());
        return cn_graph_input(&g, &t, "x");
    }
    cn_id constant_of(const Dims& dims) {
        cn_type t = type(dims);
        std::vector<char> bytes = values(t);
        bytes.resize(bytes.size() + 1);
        return cn_graph_constant(&g, &t, bytes.data());
    }
    cn_id some(bool constant, const Dims& dims) { return constant ? constant_of(dims) : input_of(dims); }
    // An absent input behind present ones is CN_NONE.
    cn_id node(cn_op op, const std::vector<cn_id>& in, const cn_attr& attr) { return cn_graph_add(&g, op, in.data(), (int)in.size(), &attr); }

    void expect(cn_id y, const std::string& what, double tolerance = 0) {
        char text[256];
        ASSERT_EQ(cn_graph_status(&g), CORNU_OK) << what << cornu_last_error();
        cn_graph_output(&g, y);
        expect_same(*this, data, tolerance > 0 ? tolerance : tolerance_of(dtype), what + " to " + cn_type_text(&g.types[y], text));
    }

    cornu_dtype dtype;
    std::vector<Floats> data;
    bool special = false; // some values are NaN or infinite
    bool small = false;   // sums of integers do not wrap

   private:
    unsigned seed_ = 1;

    cn_type type(const Dims& dims) const {
        cn_type t = {};
        t.dtype = dtype;
        for (int64_t d : dims) t.dims[t.ndim++] = d;
        return t;
    }
    // Floats in [-1, 1); integers of all sizes, so that sums wrap.
    std::vector<char> values(const cn_type& t) {
        std::mt19937_64 random(seed_++);
        std::vector<char> bytes((size_t)cn_type_bytes(&t));
        for (int64_t i = 0; i < cn_type_count(&t); i++) {
            uint64_t word = random();
            double v = (double)(int64_t)word / 9223372036854775808.0;
            if (special && word % 7 == 0) v = word % 3 == 0 ? NAN : word % 3 == 1 ? INFINITY : -INFINITY;
            if (cn_dtype_is_float(dtype)) cn_ref_store(dtype, bytes.data(), i, v);
            else cn_ref_store_int(dtype, bytes.data(), i, dtype == CORNU_BOOL ? (int64_t)(word & 1) : (int64_t)word >> (small ? 50 : word % 60));
        }
        return bytes;
    }
};

// Makes the library say that it has no way while it lives.
class WithoutLibrary {
   public:
    WithoutLibrary() {
        EXPECT_EQ(cn_plugin_open(&plugin_), CORNU_OK) << cornu_last_error();
        if (plugin_) plugin_->inject("Lt.MatmulAlgoGetHeuristic", 1, 15 /* CUBLAS_STATUS_NOT_SUPPORTED */, true);
    }
    ~WithoutLibrary() {
        if (plugin_) plugin_->inject(nullptr, 0, 0, false);
    }
    WithoutLibrary(const WithoutLibrary&) = delete;

   private:
    const cn_plugin* plugin_ = nullptr;
};

}  // namespace cuda_test

#endif
