// Reductions over any axes, index of the largest, running sums: lines of all lengths, rows and columns, empty ones, every dtype.
#include "tests/backend/cuda_cases.h"

using namespace cuda_test;

namespace {

struct Shape {
    Dims dims;
    uint32_t axes;
};

std::vector<cornu_dtype> all_dtypes() {
    std::vector<cornu_dtype> out(std::begin(kFloats), std::end(kFloats));
    out.insert(out.end(), std::begin(kIntegers), std::end(kIntegers));
    return out;
}

std::string text_of(const Dims& dims, const char* name, int64_t detail) {
    std::string out = std::string(name) + " " + std::to_string(detail) + " of";
    for (int64_t d : dims) out += " " + std::to_string(d);
    return out;
}

bool is_allowed(cornu_dtype dtype, cn_reduce_kind kind, bool empty) {
    if (kind == CN_REDUCE_MAX || kind == CN_REDUCE_MIN) return !empty;
    return dtype != CORNU_BOOL || kind == CN_REDUCE_ANY || kind == CN_REDUCE_ALL;
}

void expect_reduce(cornu_dtype dtype, const Shape& s, cn_reduce_kind kind, bool special = false, bool sparse = false) {
    Case c(dtype);
    cn_attr a = run_graph::no_attr();
    c.special = special;
    a.reduce.kind = kind;
    a.reduce.axes = s.axes;
    a.reduce.keepdims = s.dims.size() % 2 == 0;
    cn_id x = c.input_of(s.dims);
    if (sparse) { // a single element that is not 0, somewhere behind
        char* bytes = (char*)c.data[0].data();
        int64_t count = cn_type_count(&c.g.types[x]);
        for (int64_t i = 0; i < count; i++) cn_ref_store_int(dtype, bytes, i, i == count * 2 / 3);
    }
    c.expect(c.node(CN_OP_reduce, {x}, a), text_of(s.dims, "reduce", kind));
}

const Shape kShapes[] = {
    {{}, 0},           {{1}, 1},          {{5}, 0},          {{5}, 1},           {{9}, 1},           {{33}, 1},
    {{3, 33}, 1},      {{3, 33}, 2},      {{3, 33}, 3},      {{31, 2}, 1},       {{31, 2}, 2},       {{40, 35}, 1},
    {{2, 3, 4, 5}, 5}, {{2, 3, 4, 5}, 10}, {{2, 3, 4, 5}, 6}, {{2, 3, 4, 5}, 9}, {{3, 1, 5, 1, 2}, 20}, {{4, 11, 13}, 5},
    {{0, 3}, 1},       {{3, 0}, 2},       {{2, 0, 3}, 2},    {{2, 3, 2, 3, 2, 3, 2}, 0x55}, {{65, 8}, 2}, {{65, 9}, 2},
};

// Blocks a line, and lines in parts.
const Shape kLong[] = {
    {{2, 1025}, 2}, {{1300}, 1}, {{20000}, 1}, {{2, 16411}, 2}, {{3001, 5}, 1}, {{2, 2053, 33}, 2}, {{37, 3, 50}, 5}, {{4099, 2}, 2}, {{130, 2, 70}, 5},
};

TEST(CudaReduce, Shapes) {
    for (cornu_dtype dtype : all_dtypes()) {
        for (const Shape& s : kShapes) {
            for (int kind = CN_REDUCE_SUM; kind <= CN_REDUCE_ALL; kind++) {
                bool empty = false;
                for (int64_t d : s.dims) empty = empty || d == 0;
                if (is_allowed(dtype, (cn_reduce_kind)kind, empty)) expect_reduce(dtype, s, (cn_reduce_kind)kind);
            }
        }
    }
}

TEST(CudaReduce, LongLines) {
    for (cornu_dtype dtype : {CORNU_FLOAT32, CORNU_FLOAT64, CORNU_FLOAT16, CORNU_INT8, CORNU_INT32, CORNU_UINT64}) {
        for (const Shape& s : kLong) {
            for (cn_reduce_kind kind : {CN_REDUCE_SUM, CN_REDUCE_MEAN, CN_REDUCE_MAX}) expect_reduce(dtype, s, kind);
            expect_reduce(dtype, s, CN_REDUCE_ANY, false, true);
        }
    }
}

TEST(CudaReduce, NaN) {
    for (cornu_dtype dtype : kFloats) {
        for (const Shape& s : {Shape{{40, 3}, 1}, Shape{{40, 3}, 2}, Shape{{3, 40}, 2}, Shape{{12}, 0}}) {
            for (int kind = CN_REDUCE_SUM; kind <= CN_REDUCE_ALL; kind++) expect_reduce(dtype, s, (cn_reduce_kind)kind, true);
        }
    }
}

// Numbers above 2^63 are the largest, on the reference too.
TEST(CudaReduce, LargeUnsigned) {
    const uint64_t top = UINT64_C(1) << 63, values[] = {3, top + 5, 1, top + 3}, wanted[] = {top + 5, 1, (3 + (top + 5) + 1 + (top + 3)) / 4};
    const cn_reduce_kind kinds[] = {CN_REDUCE_MAX, CN_REDUCE_MIN, CN_REDUCE_MEAN};
    Case c(CORNU_UINT64);
    cn_id x = c.input_of({4});
    cn_attr a = run_graph::no_attr();
    memcpy(c.data[0].data(), values, sizeof values);
    a.reduce.axes = 1;
    for (cn_reduce_kind kind : kinds) {
        a.reduce.kind = kind;
        cn_graph_output(&c.g, c.node(CN_OP_reduce, {x}, a));
    }
    a = run_graph::no_attr();
    a.arg.largest = true;
    cn_graph_output(&c.g, c.node(CN_OP_arg, {x}, a));
    for (const cn_backend& backend : {cn_backend_reference, cn_backend_cuda}) {
        std::vector<std::vector<char>> y = run_graph::run(c.g, backend, c.data);
        for (size_t i = 0; i < 3; i++) EXPECT_EQ(memcmp(y[i].data(), &wanted[i], 8), 0) << "kind " << kinds[i];
        EXPECT_EQ(y[3][0], 1);
    }
}

// ---- arg ----

void expect_arg(cornu_dtype dtype, const Dims& dims, int axis, bool largest, int64_t different, bool special = false) {
    Case c(dtype);
    cn_attr a = run_graph::no_attr();
    c.special = special;
    a.arg.axis = axis;
    a.arg.largest = largest;
    a.arg.keepdims = axis % 2 == 0;
    cn_id x = c.input_of(dims);
    for (int64_t i = 0; different > 0 && i < cn_type_count(&c.g.types[x]); i++) cn_ref_store_int(dtype, c.data[0].data(), i, i * 7919 % different);
    c.expect(c.node(CN_OP_arg, {x}, a), text_of(dims, "arg", axis));
}

const struct {
    Dims dims;
    int axis;
} kLines[] = {
    {{1}, 0}, {{7}, 0}, {{8}, 0}, {{9}, 0}, {{33}, 0}, {{1025}, 0}, {{2500}, 0}, {{3, 40}, 1}, {{3, 40}, 0}, {{40, 3}, 0}, {{33, 31}, 0}, {{5, 6, 7}, 1}, {{2, 300, 3}, 1}, {{2, 1, 3}, 1}, {{19, 13}, 1},
};

TEST(CudaReduce, Arg) {
    for (cornu_dtype dtype : all_dtypes()) {
        for (const auto& l : kLines) {
            for (bool largest : {false, true}) {
                expect_arg(dtype, l.dims, l.axis, largest, 0);
                expect_arg(dtype, l.dims, l.axis, largest, dtype == CORNU_BOOL ? 2 : 5);
            }
        }
    }
}

TEST(CudaReduce, ArgOfNaN) {
    for (cornu_dtype dtype : kFloats) {
        for (const auto& l : kLines) {
            for (bool largest : {false, true}) expect_arg(dtype, l.dims, l.axis, largest, 0, true);
        }
    }
}

// ---- cumulative ----

TEST(CudaReduce, Cumulative) {
    for (cornu_dtype dtype : all_dtypes()) {
        for (const auto& l : kLines) {
            for (bool product : {false, true}) {
                for (bool special : {false, true}) {
                    Case c(dtype);
                    cn_attr a = run_graph::no_attr();
                    c.special = special;
                    a.cumulative.axis = l.axis;
                    a.cumulative.product = product;
                    cn_id x = c.input_of(l.dims);
                    c.expect(c.node(CN_OP_cumulative, {x}, a), text_of(l.dims, product ? "product" : "sum", l.axis));
                    if (!cn_dtype_is_float(dtype)) break;
                }
            }
        }
    }
}

// Many lines beside each other: a thread a line.
TEST(CudaReduce, CumulativeOfManyColumns) {
    Case c(CORNU_FLOAT32);
    cn_attr a = run_graph::no_attr();
    cn_id x = c.input_of({40, 4099});
    c.expect(c.node(CN_OP_cumulative, {x}, a), "many columns");
}

}  // namespace
