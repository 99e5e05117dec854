// Elementwise functions, programs, casts, counting and random numbers on the device.
#include "tests/backend/cuda_raw.h"

namespace {

using namespace cuda_raw;

const double kP = 0.75, kQ = 2.5, kR = 0.25;

// Results that float32 arithmetic may lose to the last digits of its own steps: an error of a unit of float32 in x or in exp(x) is larger in them.
double relative(cornu_dtype dtype) { return dtype == CORNU_FLOAT64 ? 4e-14 : dtype == CORNU_FLOAT16 ? 1.1e-3 : dtype == CORNU_BFLOAT16 ? 8e-3 : 4e-6; }
double absolute(cornu_dtype dtype) { return dtype == CORNU_FLOAT64 ? 4e-15 : dtype == CORNU_FLOAT16 ? 6e-8 : 3e-7; }

double number(const Bytes& bytes, cornu_dtype dtype, size_t i) {
    return is_float(dtype) ? cn_ref_load(dtype, bytes.data(), (int64_t)i) : (double)cn_ref_load_int(dtype, bytes.data(), (int64_t)i);
}

bool near(double a, double b, cornu_dtype dtype) {
    if (a == b || (std::isnan(a) && std::isnan(b))) return true;
    return std::fabs(a - b) <= relative(dtype) * std::fabs(b) + absolute(dtype);
}

// Every row of one or two inputs, or select, over all values or pairs of values.
void check_rows(cornu_dtype dtype, int arity) {
    const Bytes values = special_values(dtype);
    const size_t size = cornu_dtype_size(dtype);
    const int64_t n = (int64_t)(values.size() / size);
    const char domain = dtype == CORNU_BOOL ? 'B' : is_float(dtype) ? 'F' : 'I';
    Raw g;
    std::vector<int> rows;
    cn_id x = g.input({n, 1}, dtype, values), z = arity == 2 ? g.input({n}, dtype, values) : CN_NONE;
    for (int fn = 0; fn < CN_EW_COUNT; fn++) {
        const cn_ew_info* info = cn_ew_info_of((cn_ew)fn);
        if (info->arity != arity || !strchr(info->domains, domain)) continue;
        cn_attr attr = run_graph::no_attr();
        attr.ew = {(cn_ew)fn, domain == 'I' ? -3 : kP, domain == 'I' ? 100 : kQ, kR};
        cn_graph_output(&g.g, arity == 1 ? g.add(CN_OP_ew, {x}, attr) : g.add(CN_OP_ew, {x, z}, attr));
        rows.push_back(fn);
    }
    ASSERT_EQ(cn_graph_status(&g.g), CORNU_OK) << cornu_last_error();
    const std::vector<Bytes> got = g.on(cn_backend_cuda), want = g.on(cn_backend_reference);
    ASSERT_EQ(got.size(), want.size());
    ASSERT_GT(rows.size(), 0u);
    for (size_t k = 0; k < rows.size(); k++) {
        const cornu_dtype type = g.g.types[g.g.outputs[k]].dtype;
        const int64_t count = cn_type_count(&g.g.types[g.g.outputs[k]]);
        for (int64_t i = 0; i < count; i++) {
            const double a = number(got[k], type, (size_t)i), b = number(want[k], type, (size_t)i);
            const bool same = is_float(type) ? near(a, b, type) : memcmp(&got[k][(size_t)i * cornu_dtype_size(type)], &want[k][(size_t)i * cornu_dtype_size(type)], cornu_dtype_size(type)) == 0;
            const int64_t row = arity == 2 ? i / n : i;
            EXPECT_TRUE(same) << cn_ew_info_of((cn_ew)rows[k])->name << "<" << cornu_dtype_name(dtype) << ">(" << number(values, dtype, (size_t)row)
                              << (arity == 2 ? ", " + std::to_string(number(values, dtype, (size_t)(i % n))) : std::string()) << ") is " << a << ", the reference has " << b;
        }
    }
}

TEST(CudaElementwise, RowsOfOneInput) {
    for (cornu_dtype dtype : kNumbers) check_rows(dtype, 1);
}

TEST(CudaElementwise, RowsOfTwoInputs) {
    for (cornu_dtype dtype : kNumbers) check_rows(dtype, 2);
}

TEST(CudaElementwise, SignsOfZeroAreKept) {
    Raw g;
    const float zeros[] = {0.0f, -0.0f};
    cn_id x = g.input({2}, CORNU_FLOAT32, Bytes((const char*)zeros, (const char*)(zeros + 2)));
    for (cn_ew fn : {CN_EW_copy, CN_EW_neg, CN_EW_abs, CN_EW_sqrt, CN_EW_relu, CN_EW_floor, CN_EW_tanh, CN_EW_sin, CN_EW_leaky_relu, CN_EW_sign}) {
        cn_graph_output(&g.g, cn_graph_ew1(&g.g, fn, x));
    }
    g.expect_same_bytes("zeros");
}

TEST(CudaElementwise, Select) {
    for (cornu_dtype dtype : kNumbers) {
        Raw g;
        cn_id condition = g.random({5, 1, 9}, CORNU_BOOL), x = g.random({3, 9}, dtype), z = g.random({5, 3, 1}, dtype);
        cn_graph_output(&g.g, cn_graph_select(&g.g, condition, x, z));
        g.expect_same_bytes(std::string("select of ") + cornu_dtype_name(dtype));
    }
}

// Whether a broadcast is found right does not depend on what is computed: add of integers is exact.
TEST(CudaElementwise, Broadcasts) {
    const std::vector<std::pair<Dims, Dims>> shapes = {
        {{}, {}}, {{1}, {1}}, {{7}, {7}}, {{}, {5}}, {{1023}, {1}}, {{4, 8}, {8}}, {{4, 7}, {7}}, {{4, 8}, {4, 1}}, {{3, 4}, {3, 1}}, {{2, 3, 4}, {3, 1}}, {{2, 8, 12}, {8, 1}},
        {{5, 1, 7}, {1, 6, 1}}, {{2, 3, 4, 5}, {2, 1, 4, 1}}, {{2, 1, 4, 1}, {1, 3, 1, 5}}, {{1, 1, 1}, {2, 3, 5}}, {{3, 1, 2, 1, 2, 1}, {1, 2, 1, 3, 1, 2}}, {{64, 3, 3, 16}, {16}},
        {{64, 33}, {64, 33}}, {{2, 2, 2, 2, 2, 2, 2, 2, 2, 2}, {2, 1, 2, 1, 2, 1, 2, 1, 2, 1}}, {{257, 129}, {129}}, {{6, 1, 1, 8}, {6, 5, 5, 8}},
    };
    for (cornu_dtype dtype : {CORNU_INT8, CORNU_INT16, CORNU_INT32, CORNU_INT64, CORNU_UINT64, CORNU_FLOAT32, CORNU_FLOAT16}) {
        for (const auto& s : shapes) {
            Raw g;
            cn_id x = g.random(s.first, dtype), z = g.random(s.second, dtype);
            cn_graph_output(&g.g, cn_graph_ew2(&g.g, CN_EW_sub, x, z));
            cn_graph_output(&g.g, cn_graph_ew2(&g.g, CN_EW_sub, z, x));
            g.expect_same_bytes(std::string("sub of ") + cornu_dtype_name(dtype) + text_of(s.first) + " and " + text_of(s.second));
        }
    }
}

TEST(CudaElementwise, ResultsWrittenOverInputs) {
    for (int64_t n : {1, 2, 3, 4, 5, 31, 127, 1025}) {
        Raw g;
        cn_id x = g.random({n}, CORNU_FLOAT32), y = cn_graph_ew1(&g.g, CN_EW_neg, x);
        for (int i = 0; i < 5; i++) y = cn_graph_ew2(&g.g, i % 2 ? CN_EW_add : CN_EW_mul, y, i == 3 ? y : x);
        cn_graph_output(&g.g, y);
        g.expect_same_bytes("a chain over " + std::to_string(n));
    }
}

TEST(CudaElementwise, CastsOfEveryPair) {
    std::vector<cornu_dtype> all(std::begin(kNumbers), std::end(kNumbers));
    all.push_back(CORNU_COMPLEX64);
    all.push_back(CORNU_COMPLEX128);
    for (cornu_dtype from : all) {
        Raw g;
        const Bytes values = special_values(from);
        cn_id x = g.input({(int64_t)(values.size() / cornu_dtype_size(from))}, from, values);
        for (cornu_dtype to : all) {
            cn_attr attr = run_graph::no_attr();
            attr.cast.dtype = to;
            cn_graph_output(&g.g, g.add(CN_OP_cast, {x}, attr));
        }
        const std::vector<Bytes> got = g.on(cn_backend_cuda), want = g.on(cn_backend_reference);
        ASSERT_EQ(got.size(), all.size());
        for (size_t k = 0; k < all.size(); k++) {
            const bool complex = cn_dtype_kind_of(all[k]) == CN_KIND_C;
            const cornu_dtype part = all[k] == CORNU_COMPLEX64 ? CORNU_FLOAT32 : all[k] == CORNU_COMPLEX128 ? CORNU_FLOAT64 : all[k];
            const size_t size = cornu_dtype_size(part);
            ASSERT_EQ(got[k].size(), want[k].size());
            for (size_t i = 0; i * size < got[k].size(); i++) {
                if ((is_float(part) || complex) && std::isnan(number(got[k], part, i)) && std::isnan(number(want[k], part, i))) continue;
                ASSERT_EQ(memcmp(&got[k][i * size], &want[k][i * size], size), 0) << cornu_dtype_name(from) << " to " << cornu_dtype_name(all[k]) << " at " << i << ": "
                                                                                 << number(got[k], part, i) << ", the reference has " << number(want[k], part, i);
            }
        }
    }
}

cn_fused_op op_of(cn_ew fn, int x, int z = 0) { return {{fn, kP, kQ, kR}, {x, z}}; }

cn_id fuse(Raw& g, const std::vector<cn_id>& in, const std::vector<cn_fused_op>& ops) {
    cn_attr attr = run_graph::no_attr();
    attr.fused.count = (int)ops.size();
    attr.fused.ops = ops.data();
    return g.add(CN_OP_fused, in, attr);
}

// Every way in which an op finds its operands: in the accumulator, in an input, in a slot, twice the same, in either order.
TEST(CudaElementwise, FusedOperands) {
    const std::vector<std::vector<cn_fused_op>> programs = {
        {op_of(CN_EW_neg, 0)},
        {op_of(CN_EW_sub, 0, 1)},
        {op_of(CN_EW_sub, 1, 1)},
        {op_of(CN_EW_mul, 0, 1), op_of(CN_EW_sub, 2, 2)},
        {op_of(CN_EW_mul, 0, 1), op_of(CN_EW_sub, 1, 2)},
        {op_of(CN_EW_mul, 0, 1), op_of(CN_EW_sub, 2, 0)},
        {op_of(CN_EW_mul, 0, 1), op_of(CN_EW_add, 0, 1), op_of(CN_EW_sub, 2, 3)},
        {op_of(CN_EW_mul, 0, 1), op_of(CN_EW_add, 0, 1), op_of(CN_EW_sub, 3, 2), op_of(CN_EW_sub, 2, 0)},
        {op_of(CN_EW_mul, 0, 1), op_of(CN_EW_add, 0, 1), op_of(CN_EW_sub, 0, 1), op_of(CN_EW_sub, 2, 3), op_of(CN_EW_mul, 2, 4), op_of(CN_EW_sub, 6, 5)},
        {op_of(CN_EW_tanh, 0), op_of(CN_EW_sigmoid, 1), op_of(CN_EW_add, 0, 0), op_of(CN_EW_mul, 2, 2)}, /* two ops for nothing */
    };
    for (size_t k = 0; k < programs.size(); k++) {
        for (cornu_dtype dtype : kFloats) {
            Raw g;
            cn_graph_output(&g.g, fuse(g, {g.random({37, 5}, dtype), g.random({5}, dtype)}, programs[k]));
            cuda_test::expect_same(g, g.data, cuda_test::tolerance_of(dtype), "program " + std::to_string(k) + " of " + cornu_dtype_name(dtype));
        }
    }
}

TEST(CudaElementwise, FusedProgramsAtRandom) {
    const cn_ew ones[] = {CN_EW_neg, CN_EW_abs, CN_EW_tanh, CN_EW_sigmoid, CN_EW_relu, CN_EW_affine, CN_EW_clip, CN_EW_gelu, CN_EW_silu, CN_EW_softplus, CN_EW_sin, CN_EW_elu};
    const cn_ew twos[] = {CN_EW_add, CN_EW_sub, CN_EW_mul, CN_EW_max, CN_EW_min, CN_EW_prelu, CN_EW_hypot};
    const Dims shapes[] = {{4, 3, 8}, {8}, {3, 1}, {4, 1, 1}, {}, {4, 3, 8}};
    std::mt19937 random(5);
    for (int round = 0; round < 60; round++) {
        const cornu_dtype dtype = kFloats[round % 4];
        const int inputs = 1 + (int)(random() % 6), count = 1 + (int)(random() % CN_FUSED_OPS);
        std::vector<cn_id> in;
        std::vector<cn_fused_op> ops;
        Raw g;
        for (int k = 0; k < inputs; k++) in.push_back(g.random(shapes[k], dtype));
        for (int k = 0; k < count; k++) { // with values kept small, so that no error grows
            const int values = inputs + k;
            const int x = (int)(random() % 3) == 0 ? (int)(random() % (unsigned)values) : values - 1, z = (int)(random() % (unsigned)values);
            if (k % 3 == 2) ops.push_back(op_of(CN_EW_tanh, x));
            else if (random() % 3 == 0) ops.push_back(op_of(ones[random() % (sizeof ones / sizeof *ones)], x));
            else ops.push_back(random() % 2 ? op_of(twos[random() % (sizeof twos / sizeof *twos)], x, z) : op_of(twos[random() % (sizeof twos / sizeof *twos)], z, x));
        }
        cn_graph_output(&g.g, fuse(g, in, ops));
        cuda_test::expect_same(g, g.data, cuda_test::tolerance_of(dtype), "round " + std::to_string(round));
    }
}

// As many values as can be kept: each is read at the end once more.
TEST(CudaElementwise, FusedSlots) {
    for (cornu_dtype dtype : kFloats) {
        Raw g;
        std::vector<cn_fused_op> ops;
        for (int k = 0; k < 12; k++) ops.push_back(op_of(k % 2 ? CN_EW_affine : CN_EW_tanh, k % 3 ? 1 : 0));
        for (int k = 0; k < 12; k++) ops.push_back(op_of(k % 2 ? CN_EW_add : CN_EW_sub, 2 + k, 2 + (k == 0 ? 11 : 11 + k)));
        cn_graph_output(&g.g, fuse(g, {g.random({1000}, dtype), g.random({1}, dtype)}, ops));
        cuda_test::expect_same(g, g.data, cuda_test::tolerance_of(dtype), cornu_dtype_name(dtype));
    }
}

TEST(CudaElementwise, Iota) {
    for (cornu_dtype dtype : kNumbers) {
        for (int64_t n : {1, 2, 33, 1000}) {
            Raw g;
            cn_attr attr = run_graph::no_attr();
            attr.iota = {dtype, n, -3.25, 0.7};
            cn_id x = g.random({1}, CORNU_FLOAT32), y = g.add(CN_OP_iota, {}, attr);
            cn_graph_output(&g.g, y);
            cn_graph_output(&g.g, x);
            g.expect_same_bytes(std::string("iota of ") + cornu_dtype_name(dtype) + " " + std::to_string(n));
        }
    }
}

TEST(CudaElementwise, RandomNumbersAreTheHosts) {
    for (cornu_dtype dtype : kFloats) {
        for (bool normal : {false, true}) {
            for (int64_t n : {1, 7, 1000}) {
                Raw g;
                cn_attr attr = run_graph::no_attr();
                attr.random.normal = normal;
                attr.random.stream = 3;
                attr.random.shape.ndim = 2;
                attr.random.shape.dims[0] = n;
                attr.random.shape.dims[1] = 3;
                attr.random.dtype = dtype;
                cn_graph_output(&g.g, g.add(CN_OP_random, {}, attr));
                if (normal) cuda_test::expect_same(g, g.data, dtype == CORNU_FLOAT16 ? 1e-3 : dtype == CORNU_BFLOAT16 ? 8e-3 : 1e-6, "normal");
                else g.expect_same_bytes(std::string("uniform of ") + cornu_dtype_name(dtype));
            }
        }
    }
}

}  // namespace
