// Sort: values and positions, both directions, equal elements, NaN, lengths around the tiles of the kernels, every dtype.
#include "tests/backend/cuda_cases.h"

using namespace cuda_test;

namespace {

// different: how many different values there are; 0: any
void expect_sort(cornu_dtype dtype, const Dims& dims, int axis, bool descending, bool indices, int64_t different = 0, bool special = false) {
    Case c(dtype);
    cn_attr a = run_graph::no_attr();
    std::string what = std::string("sort ") + (descending ? "down" : "up") + (indices ? " positions of" : " values of");
    c.special = special;
    a.sort.axis = axis;
    a.sort.descending = descending;
    a.sort.indices = indices;
    for (int64_t d : dims) what += " " + std::to_string(d);
    cn_id x = c.input_of(dims);
    for (int64_t i = 0; different > 0 && i < cn_type_count(&c.g.types[x]); i++) cn_ref_store_int(dtype, c.data[0].data(), i, i * 7919 % different);
    c.expect(c.node(CN_OP_sort, {x}, a), what, 1e-30);
}

const struct {
    Dims dims;
    int axis;
} kLines[] = {
    {{1}, 0}, {{2}, 0}, {{3}, 0}, {{31}, 0}, {{64}, 0}, {{65}, 0}, {{5, 7}, 0}, {{5, 7}, 1}, {{2, 33, 3}, 1}, {{3, 1, 2}, 1}, {{130, 2}, 0}, {{1, 257}, 1},
};

TEST(CudaSort, Shapes) {
    std::vector<cornu_dtype> dtypes(std::begin(kFloats), std::end(kFloats));
    dtypes.insert(dtypes.end(), std::begin(kIntegers), std::end(kIntegers));
    for (cornu_dtype dtype : dtypes) {
        for (const auto& l : kLines) {
            for (int way = 0; way < 4; way++) {
                expect_sort(dtype, l.dims, l.axis, way & 1, way & 2);
                expect_sort(dtype, l.dims, l.axis, way & 1, way & 2, dtype == CORNU_BOOL ? 2 : 4);
            }
        }
    }
}

TEST(CudaSort, NaN) {
    for (cornu_dtype dtype : kFloats) {
        for (const auto& l : kLines) {
            for (int way = 0; way < 4; way++) expect_sort(dtype, l.dims, l.axis, way & 1, way & 2, 0, true);
        }
    }
}

TEST(CudaSort, LongLines) {
    for (int64_t n : {1023, 2048, 2049, 4096, 4099, 10007}) {
        for (int way = 0; way < 4; way++) {
            expect_sort(CORNU_FLOAT32, {n}, 0, way & 1, way & 2, 0, way & 1);
            expect_sort(CORNU_INT8, {n}, 0, way & 1, way & 2);
        }
    }
    expect_sort(CORNU_FLOAT16, {2, 3001, 2}, 1, true, true);
    expect_sort(CORNU_UINT64, {3, 2100}, 1, false, false);
}

// -0 and 0 are equal: positions tell whether they kept their order.
TEST(CudaSort, ZerosOfBothSigns) {
    for (bool descending : {false, true}) {
        Case c(CORNU_FLOAT32);
        cn_attr a = run_graph::no_attr();
        a.sort.descending = descending;
        a.sort.indices = true;
        cn_id x = c.input_of({37});
        for (size_t i = 0; i < 37; i++) c.data[0][i] = i % 3 == 0 ? -0.0f : i % 3 == 1 ? 0.0f : (float)((int)i - 20);
        c.expect(c.node(CN_OP_sort, {x}, a), "zeros");
    }
}

}  // namespace
