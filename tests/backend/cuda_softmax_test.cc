// Softmax and its logarithm: all sets of axes, lines of all lengths, infinities and NaN, every float dtype.
#include "tests/backend/cuda_cases.h"

using namespace cuda_test;

namespace {

struct Shape {
    Dims dims;
    uint32_t axes;
};

// fill: of whole lines; NaN: none
void expect_softmax(cornu_dtype dtype, const Shape& s, bool logarithm, double scale = 1, bool special = false, double fill = NAN) {
    Case c(dtype);
    cn_attr a = run_graph::no_attr();
    std::string what = "softmax of";
    c.special = special;
    a.reduce.axes = s.axes;
    for (int64_t d : s.dims) what += " " + std::to_string(d);
    cn_id x = c.input_of(s.dims);
    for (int64_t i = 0; i < cn_type_count(&c.g.types[x]); i++) {
        double v = cn_ref_load(dtype, c.data[0].data(), i) * scale;
        if (!std::isnan(fill)) v = i % 3 == 1 ? v : fill;
        cn_ref_store(dtype, c.data[0].data(), i, v);
    }
    c.expect(c.node(logarithm ? CN_OP_log_softmax : CN_OP_softmax, {x}, a), what);
}

const Shape kShapes[] = {
    {{1}, 1},          {{5}, 0},           {{8}, 1},           {{9}, 1},           {{3, 33}, 2},      {{9, 31}, 2},   {{2, 128}, 2},  {{1, 129}, 2},
    {{2, 1000}, 2},    {{2, 1024}, 2},     {{1, 1025}, 2},     {{3, 40, 5}, 2},    {{2, 3, 4, 5}, 10}, {{2, 3, 4, 5}, 5}, {{2, 3, 4, 5}, 15}, {{7, 2}, 1},
    {{1, 40, 2100}, 2}, {{2, 7, 9, 1}, 6}, {{1, 10241}, 2},    {{1, 5121}, 2},     {{1, 11000}, 2},   {{4097, 3}, 2}, {{12, 700}, 2},
    {{5, 16}, 2},      {{3, 136}, 2},      {{3, 520}, 2},     {{2, 2056}, 2},    {{2, 4096}, 2},   {{1, 16384}, 2}, {{1, 16392}, 2},
};

TEST(CudaSoftmax, Shapes) {
    for (cornu_dtype dtype : kFloats) {
        for (const Shape& s : kShapes) {
            for (bool logarithm : {false, true}) expect_softmax(dtype, s, logarithm, 8);
        }
    }
}

TEST(CudaSoftmax, LargeNumbers) {
    for (cornu_dtype dtype : kFloats) {
        for (const Shape& s : {Shape{{4, 50}, 2}, Shape{{6, 4}, 2}, Shape{{1, 1100}, 2}}) {
            for (bool logarithm : {false, true}) expect_softmax(dtype, s, logarithm, 30000);
        }
    }
}

TEST(CudaSoftmax, InfinitiesAndNaN) {
    for (cornu_dtype dtype : kFloats) {
        for (const Shape& s : {Shape{{40, 4}, 2}, Shape{{9, 12}, 2}, Shape{{3, 40}, 1}, Shape{{3, 3, 40}, 2}, Shape{{1, 1100}, 2}}) {
            for (bool logarithm : {false, true}) {
                expect_softmax(dtype, s, logarithm, 1, true);
                expect_softmax(dtype, s, logarithm, 1, false, -INFINITY); // whole lines for axes of 3
                expect_softmax(dtype, s, logarithm, 1, false, INFINITY);
            }
        }
    }
}

}  // namespace
