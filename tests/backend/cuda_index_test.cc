// Gather and scatter on the device: equal to the byte, whatever the order of threads, duplicates and faults included.
#include "tests/backend/cuda_raw.h"

namespace {

using namespace cuda_raw;

TEST(CudaIndex, GathersOfEveryKind) {
    for (cornu_dtype index : kIntegers) {
        for (cn_gather_mode mode : {CN_GATHER_CHECKED, CN_GATHER_CLIP, CN_GATHER_WRAP}) {
            for (int axis : {0, 1, 2}) {
                Raw g;
                const bool is_signed = index == CORNU_INT8 || index == CORNU_INT16 || index == CORNU_INT32 || index == CORNU_INT64;
                const int64_t n = 5, reach = mode == CN_GATHER_CHECKED ? 0 : 20;
                cn_id x = g.random({5, 5, 5}, CORNU_FLOAT32);
                cn_id indices = g.input({3, 4}, index, random_indices(index, 12, 7, is_signed ? -n - reach : 0, n - 1 + reach));
                cn_graph_output(&g.g, cn_graph_gather(&g.g, x, indices, axis, mode));
                g.expect_same_bytes(std::string("gather by ") + cornu_dtype_name(index) + " along " + std::to_string(axis) + " mode " + std::to_string((int)mode));
            }
        }
    }
}

TEST(CudaIndex, GathersOfEverySize) {
    for (cornu_dtype dtype : {CORNU_BOOL, CORNU_BFLOAT16, CORNU_FLOAT32, CORNU_INT64, CORNU_COMPLEX128}) {
        for (int64_t part : {1, 2, 3, 4, 8, 16, 33}) {
            for (int64_t count : {1, 2, 31, 100}) {
                Raw g;
                cn_id x = g.random({10, part}, dtype);
                cn_id indices = g.input({count}, CORNU_INT32, random_indices(CORNU_INT32, count, (unsigned)count, -10, 9));
                cn_graph_output(&g.g, cn_graph_gather(&g.g, x, indices, 0, CN_GATHER_CHECKED));
                g.expect_same_bytes("gather of " + std::to_string(count) + " times " + std::to_string(part));
            }
        }
    }
}

TEST(CudaIndex, ScalarIndices) {
    Raw g;
    cn_id x = g.random({4, 6}, CORNU_FLOAT32), indices = g.input({}, CORNU_INT64, random_indices(CORNU_INT64, 1, 1, -1, -1));
    cn_graph_output(&g.g, cn_graph_gather(&g.g, x, indices, 0, CN_GATHER_CHECKED));
    cn_graph_output(&g.g, cn_graph_gather(&g.g, x, indices, 1, CN_GATHER_CHECKED));
    g.expect_same_bytes("one index");
}

// The sentence and code of the run; the device goes on working after it.
cornu_status run_on_device(Raw& g) {
    cn_plan* plan = nullptr;
    cn_device* device = nullptr;
    cn_executable* executable = nullptr;
    void* arena = nullptr;
    cn_device_options options = {};
    std::vector<const void*> in;
    std::vector<Bytes> out;
    std::vector<void*> results;
    cornu_status st = CORNU_NO_MEMORY;

    EXPECT_EQ(cn_plan_create(&g.g, cn_backend_cuda.alignment, &plan), CORNU_OK);
    {
        run_graph::Weights weights(plan);
        for (const auto& f : g.data) in.push_back(f.data());
        for (int i = 0; i < g.g.output_count; i++) out.emplace_back(cn_type_bytes(&g.g.types[g.g.outputs[i]]));
        for (Bytes& bytes : out) results.push_back(bytes.data());
        EXPECT_EQ(cn_backend_cuda.open(&options, &device), CORNU_OK) << cornu_last_error();
        if (device) {
            EXPECT_EQ(cn_backend_cuda.alloc(device, plan->arena_bytes, &arena), CORNU_OK);
            EXPECT_EQ(cn_backend_cuda.prepare(device, plan, &weights.base, &executable), CORNU_OK) << cornu_last_error();
            cn_run r = {};
            r.inputs = in.data();
            r.outputs = results.data();
            r.arena = arena;
            if (executable) st = cn_backend_cuda.run(executable, &r);
            if (executable) cn_backend_cuda.destroy(executable);
            cn_backend_cuda.free(device, arena);
            cn_backend_cuda.close(device);
        }
    }
    cn_plan_destroy(plan);
    return st;
}

TEST(CudaIndex, IndicesOutsideAreFaults) {
    for (int64_t bad : {-6, 5, 100}) {
        Raw g;
        cn_id x = g.random({5, 3}, CORNU_FLOAT32), indices = g.input({1}, CORNU_INT32, random_indices(CORNU_INT32, 1, 1, bad, bad));
        cn_graph_output(&g.g, cn_graph_gather(&g.g, x, indices, 0, CN_GATHER_CHECKED));
        EXPECT_EQ(run_on_device(g), CORNU_BAD_ARGUMENT) << bad;
        EXPECT_NE(strstr(cornu_last_error(), std::to_string(bad).c_str()), nullptr) << cornu_last_error();
        EXPECT_NE(strstr(cornu_last_error(), "5"), nullptr) << cornu_last_error();
    }
}

TEST(CudaIndex, GathersFromNothingAreFaults) {
    for (cn_gather_mode mode : {CN_GATHER_CHECKED, CN_GATHER_CLIP, CN_GATHER_WRAP}) {
        Raw g;
        cn_id x = g.random({0, 3}, CORNU_FLOAT32), indices = g.input({1}, CORNU_INT32, random_indices(CORNU_INT32, 1, 1, 0, 0));
        cn_graph_output(&g.g, cn_graph_gather(&g.g, x, indices, 0, mode));
        EXPECT_EQ(run_on_device(g), CORNU_BAD_ARGUMENT);
    }
}

cn_id scatter(Raw& g, cn_id base, cn_id indices, cn_id updates, cn_scatter_kind kind, bool drop) {
    cn_attr attr = run_graph::no_attr();
    attr.scatter.kind = kind;
    attr.scatter.drop = drop;
    return g.add(CN_OP_scatter, {base, indices, updates}, attr);
}

const cn_scatter_kind kKinds[] = {CN_SCATTER_SET, CN_SCATTER_ADD, CN_SCATTER_MAX, CN_SCATTER_MIN, CN_SCATTER_MUL};

// Few places and many rows: duplicates, whose order shows in floats.
TEST(CudaIndex, ScattersOfEveryDtype) {
    for (cornu_dtype dtype : kNumbers) {
        Raw g;
        cn_id base = g.random({5, 4}, dtype), updates = g.random({40, 4}, dtype);
        cn_id indices = g.input({40, 1}, CORNU_INT32, random_indices(CORNU_INT32, 40, 3, 0, 4));
        for (cn_scatter_kind kind : kKinds) cn_graph_output(&g.g, scatter(g, base, indices, updates, kind, false));
        g.expect_same_bytes(std::string("scatter of ") + cornu_dtype_name(dtype));
    }
}

// Numbers above 2^63 are the largest, on the reference too.
TEST(CudaIndex, ScattersOfLargeUnsigned) {
    const uint64_t base[] = {UINT64_C(1) << 63, 7}, update[] = {7, UINT64_C(1) << 63};
    const int32_t at[] = {0, 1};
    const uint64_t wanted[][2] = {{base[0], base[0]}, {7, 7}};
    Raw g;
    cn_id b = g.input({2}, CORNU_UINT64, Bytes((const char*)base, (const char*)(base + 2))), u = g.input({2}, CORNU_UINT64, Bytes((const char*)update, (const char*)(update + 2)));
    cn_id i = g.input({2, 1}, CORNU_INT32, Bytes((const char*)at, (const char*)(at + 2)));
    for (cn_scatter_kind kind : {CN_SCATTER_MAX, CN_SCATTER_MIN}) cn_graph_output(&g.g, scatter(g, b, i, u, kind, false));
    for (const cn_backend& backend : {cn_backend_reference, cn_backend_cuda}) {
        std::vector<std::vector<char>> y = run_graph::run(g.g, backend, g.data);
        for (size_t k = 0; k < 2; k++) EXPECT_EQ(memcmp(y[k].data(), wanted[k], 16), 0) << k;
    }
}

TEST(CudaIndex, ScattersOfEveryDepth) {
    for (cornu_dtype index : {CORNU_INT8, CORNU_INT32, CORNU_INT64, CORNU_UINT8, CORNU_UINT16}) {
        for (int64_t depth : {0, 1, 2, 3}) {
            for (bool drop : {false, true}) {
                Raw g;
                Dims dims = {3, 4, 2}, update = {2, 7};
                const bool is_signed = index == CORNU_INT8 || index == CORNU_INT32 || index == CORNU_INT64;
                for (size_t d = (size_t)depth; d < 3; d++) update.push_back(dims[d]);
                cn_id base = g.random(dims, CORNU_FLOAT32), updates = g.random(update, CORNU_FLOAT32);
                cn_id indices = g.input({2, 7, depth}, index, random_indices(index, 14 * depth, 5, drop && is_signed ? -1 : 0, drop ? 4 : 1));
                for (cn_scatter_kind kind : kKinds) cn_graph_output(&g.g, scatter(g, base, indices, updates, kind, drop));
                g.expect_same_bytes("scatter of depth " + std::to_string(depth) + " by " + cornu_dtype_name(index));
            }
        }
    }
}

TEST(CudaIndex, ScattersOfManyRows) {
    for (int64_t rows : {2047, 2048, 2049, 5000}) {
        for (int64_t places : {1, 3, 4000}) {
            Raw g;
            cn_id base = g.random({places}, CORNU_FLOAT32), updates = g.random({rows}, CORNU_FLOAT32);
            cn_id indices = g.input({rows, 1}, CORNU_INT32, random_indices(CORNU_INT32, rows, 9, -1, places - 1));
            cn_graph_output(&g.g, scatter(g, base, indices, updates, CN_SCATTER_ADD, true));
            cn_graph_output(&g.g, scatter(g, base, indices, updates, CN_SCATTER_SET, true));
            g.expect_same_bytes(std::to_string(rows) + " rows into " + std::to_string(places));
        }
    }
}

TEST(CudaIndex, ScattersOfNothing) {
    Raw g;
    cn_id base = g.random({5, 4}, CORNU_FLOAT32), updates = g.random({0, 4}, CORNU_FLOAT32), indices = g.input({0, 1}, CORNU_INT32, {});
    cn_graph_output(&g.g, scatter(g, base, indices, updates, CN_SCATTER_ADD, false));
    g.expect_same_bytes("scatter of no rows");
}

TEST(CudaIndex, NanInScatters) {
    Raw g;
    const float nan = std::numeric_limits<float>::quiet_NaN(), base[] = {1, nan, 3, nan}, update[] = {nan, 2, nan, 5, 7};
    const int32_t at[] = {0, 1, 2, 2, 3};
    cn_id b = g.input({4}, CORNU_FLOAT32, Bytes((const char*)base, (const char*)(base + 4))), u = g.input({5}, CORNU_FLOAT32, Bytes((const char*)update, (const char*)(update + 5)));
    cn_id i = g.input({5, 1}, CORNU_INT32, Bytes((const char*)at, (const char*)(at + 5)));
    for (cn_scatter_kind kind : kKinds) cn_graph_output(&g.g, scatter(g, b, i, u, kind, false));
    cuda_test::expect_same(g, g.data, 0, "NaN");
}

TEST(CudaIndex, ScattersOutsideAreFaults) {
    for (int64_t bad : {-1, 5}) {
        Raw g;
        cn_id base = g.random({5, 3}, CORNU_FLOAT32), updates = g.random({1, 3}, CORNU_FLOAT32), indices = g.input({1, 1}, CORNU_INT32, random_indices(CORNU_INT32, 1, 1, bad, bad));
        cn_graph_output(&g.g, scatter(g, base, indices, updates, CN_SCATTER_SET, false));
        EXPECT_EQ(run_on_device(g), CORNU_BAD_ARGUMENT) << bad;
    }
}

}  // namespace
