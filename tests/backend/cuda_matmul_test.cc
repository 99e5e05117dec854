// Products of matrices: by the library and by the tiled kernel, in every dtype, form, batch and epilogue.
#include "tests/backend/cuda_cases.h"

using namespace cuda_test;

namespace {

struct Form {
    bool transpose_a, transpose_b, constant_b;
};

cn_id product(Case& c, const Dims& a, const Dims& b, Form form, bool bias = false, bool residual = false, cn_act act = {}) {
    cn_attr attr = run_graph::no_attr();
    attr.matmul = {form.transpose_a, form.transpose_b, act};
    std::vector<cn_id> in = {c.input_of(a), c.some(form.constant_b, b)};
    cn_id plain = cn_graph_add(&c.g, CN_OP_matmul, in.data(), 2, &attr);
    if (plain == CN_NONE || (!bias && !residual)) return plain;
    cn_type y = c.g.types[plain];
    in.push_back(bias ? c.constant_of({y.dims[y.ndim - 1]}) : CN_NONE);
    if (residual) in.push_back(c.input_of(Dims(y.dims, y.dims + y.ndim)));
    return c.node(CN_OP_matmul, in, attr);
}

void expect_product(cornu_dtype dtype, int64_t rows, int64_t columns, int64_t inner, Form form, bool bias = false, bool residual = false, cn_act act = {}) {
    Case c(dtype);
    Dims a = {rows, inner}, b = {inner, columns};
    if (form.transpose_a) std::swap(a[0], a[1]);
    if (form.transpose_b) std::swap(b[0], b[1]);
    cn_id y = product(c, a, b, form, bias, residual, act);
    c.expect(y, std::to_string(rows) + "x" + std::to_string(columns) + "x" + std::to_string(inner) + (form.transpose_a ? " ta" : "") + (form.transpose_b ? " tb" : ""));
}

void expect_sizes(cornu_dtype dtype) {
    const int64_t sizes[][3] = {{1, 1, 1}, {1, 33, 16}, {31, 32, 17}, {33, 1, 15}, {32, 31, 64}, {7, 65, 33}, {5, 3, 0}, {64, 2, 300}};
    for (auto& s : sizes) {
        for (int form = 0; form < 4; form++) expect_product(dtype, s[0], s[1], s[2], {(form & 1) != 0, (form & 2) != 0, false});
    }
}

TEST(CudaMatmul, Sizes) {
    for (cornu_dtype dtype : kFloats) expect_sizes(dtype);
}

TEST(CudaMatmul, SizesWithoutLibrary) {
    WithoutLibrary without;
    for (cornu_dtype dtype : kFloats) expect_sizes(dtype);
}

TEST(CudaMatmul, Integers) {
    for (cornu_dtype dtype : kIntegers) {
        expect_product(dtype, 33, 31, 18, {false, false, false});
        expect_product(dtype, 3, 5, 40, {true, true, false});
        expect_product(dtype, 3, 5, 4, {false, false, true});
        expect_product(dtype, 2, 3, 0, {false, false, false});
    }
}

// More tiles than the small form is used for.
TEST(CudaMatmul, LargeTiles) {
    WithoutLibrary without;
    for (cornu_dtype dtype : {CORNU_FLOAT32, CORNU_BFLOAT16}) {
        expect_product(dtype, 707, 769, 5, {false, true, false});
        expect_product(dtype, 769, 705, 17, {true, false, false}, true, true, act_of(CN_EW_silu));
    }
}

TEST(CudaMatmul, LongSums) {
    WithoutLibrary without;
    for (cornu_dtype dtype : kFloats) expect_product(dtype, 3, 2, 20011, {false, false, false});
}

void expect_epilogues(cornu_dtype dtype) {
    const cn_act acts[] = {act_of(CN_EW_copy), act_of(CN_EW_relu), act_of(CN_EW_gelu), act_of(CN_EW_leaky_relu, 0.25), act_of(CN_EW_softplus), act_of(CN_EW_clip, -0.5, 0.75)};
    for (cn_act act : acts) {
        for (int parts = 0; parts < 4; parts++) {
            for (int constant = 0; constant < 2; constant++) expect_product(dtype, 9, 35, 12, {false, false, constant != 0}, parts & 1, parts & 2, act);
        }
    }
}

TEST(CudaMatmul, Epilogues) {
    for (cornu_dtype dtype : kFloats) expect_epilogues(dtype);
}

TEST(CudaMatmul, EpiloguesWithoutLibrary) {
    WithoutLibrary without;
    for (cornu_dtype dtype : kFloats) expect_epilogues(dtype);
}

void expect_batches(cornu_dtype dtype) {
    const struct {
        Dims a, b;
        Form form;
    } cases[] = {
        {{2, 3, 4, 5}, {5, 6}, {false, false, true}},              // into the rows
        {{2, 3, 4, 5}, {6, 5}, {false, true, true}},
        {{2, 3, 5, 4}, {5, 6}, {true, false, false}},              // not into the rows
        {{7, 4, 5}, {7, 5, 6}, {false, false, false}},
        {{7, 4, 5}, {7, 5, 6}, {false, false, true}},
        {{2, 3, 4, 5}, {2, 3, 6, 5}, {false, true, false}},        // merged
        {{1, 3, 4, 5}, {2, 1, 5, 6}, {false, false, false}},       // both broadcast
        {{4, 5}, {2, 3, 5, 6}, {false, false, false}},
        {{3, 1, 4, 5}, {2, 5, 6}, {false, false, false}},
        {{2, 1, 3, 4, 5}, {2, 4, 1, 5, 3}, {false, false, false}},
        {{2, 1, 3, 2, 1, 5, 3}, {4, 1, 2, 1, 3, 5}, {true, true, false}},
    };
    for (auto& c : cases) {
        for (int parts = 0; parts < 2; parts++) {
            Case one(dtype);
            bool floats = cn_dtype_is_float(dtype);
            cn_id y = product(one, c.a, c.b, c.form, floats && parts, floats && parts, act_of(floats && parts ? CN_EW_tanh : CN_EW_copy));
            one.expect(y, "batch");
        }
    }
}

TEST(CudaMatmul, Batches) {
    for (cornu_dtype dtype : kFloats) expect_batches(dtype);
    expect_batches(CORNU_INT32);
}

TEST(CudaMatmul, BatchesWithoutLibrary) {
    WithoutLibrary without;
    expect_batches(CORNU_FLOAT32);
    expect_batches(CORNU_FLOAT64);
}

// As many calls as there are pairs would be too many: one launch of the kernel.
TEST(CudaMatmul, ManyBroadcastBatches) {
    Case c(CORNU_FLOAT32);
    cn_id y = product(c, {1, 17, 1, 2, 3}, {17, 1, 17, 3, 2}, {false, false, false});
    c.expect(y, "many");
}

TEST(CudaMatmul, NotFinite) {
    WithoutLibrary without;
    for (cornu_dtype dtype : kFloats) {
        Case c(dtype);
        c.special = true;
        cn_id y = product(c, {6, 2}, {2, 40}, {false, false, false}, true, false, act_of(CN_EW_relu));
        c.expect(y, "not finite");
    }
}

// Opens, prepares and runs; the first failure.
cornu_status attempt(const Case& c) {
    const cn_backend& backend = cn_backend_cuda;
    cn_device_options options = {};
    cn_device* device = nullptr;
    cn_executable* executable = nullptr;
    cn_plan* plan = nullptr;
    void* arena = nullptr;
    std::vector<const void*> in;
    std::vector<char> out((size_t)cn_type_bytes(&c.g.types[c.g.outputs[0]]));
    void* results[] = {out.data()};
    cornu_status st = cn_plan_create(&c.g, backend.alignment, &plan);
    if (st != CORNU_OK) return st;
    {
        run_graph::Weights weights(plan);
        for (const Floats& f : c.data) in.push_back(f.data());
        st = backend.open(&options, &device);
        if (st == CORNU_OK) st = backend.alloc(device, plan->arena_bytes, &arena);
        if (st == CORNU_OK) st = backend.prepare(device, plan, &weights.base, &executable);
        cn_run run = {in.data(), results, arena, 7, 0};
        if (st == CORNU_OK) st = backend.run(executable, &run);
        if (executable) backend.destroy(executable);
        if (arena) backend.free(device, arena);
        if (device) backend.close(device);
    }
    cn_plan_destroy(plan);
    return st;
}

TEST(CudaMatmul, EachCallFails) {
    const cn_plugin* plugin = nullptr;
    Case c(CORNU_FLOAT32);
    cn_graph_output(&c.g, product(c, {2, 3, 4, 5}, {2, 1, 5, 6}, {false, false, false}, true, true, act_of(CN_EW_gelu)));
    ASSERT_EQ(cn_graph_status(&c.g), CORNU_OK) << cornu_last_error();
    ASSERT_EQ(cn_plugin_open(&plugin), CORNU_OK) << cornu_last_error();
    for (const char* call : {"Lt.MatmulDescCreate", "Lt.MatmulDescSetAttribute", "Lt.MatrixLayoutCreate", "Lt.MatrixLayoutSetAttribute", "Lt.MatmulPreferenceCreate",
                             "Lt.MatmulPreferenceSetAttribute", "Lt.MatmulAlgoGetHeuristic", "Lt.Matmul", "LaunchKernel"}) {
        int failures = 0;
        for (cornu_status st = CORNU_DEVICE_ERROR; st != CORNU_OK && failures < 50; failures++) {
            plugin->inject(call, failures + 1, 14 /* CUBLAS_STATUS_INTERNAL_ERROR */, false);
            st = attempt(c);
            plugin->inject(nullptr, 0, 0, false);
            if (st == CORNU_OK || strcmp(call, "LaunchKernel") == 0) continue; // a failed launch names the kernel instead
            EXPECT_NE(std::string(cornu_last_error()).find(strchr(call, '.') + 1), std::string::npos) << call << ": " << cornu_last_error();
        }
        EXPECT_GT(failures, 1) << call;
        EXPECT_LT(failures, 50) << call;
    }
}

}  // namespace
