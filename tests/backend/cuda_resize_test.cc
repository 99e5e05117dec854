// Resizing: every kind, up and down, with and without antialias.
#include "tests/backend/cuda_cases.h"

using namespace cuda_test;

namespace {

void expect_resize(cornu_dtype dtype, cn_resize_kind kind, bool antialias, const Dims& x, int64_t height, int64_t width) {
    Case c(dtype);
    cn_attr a = run_graph::no_attr();
    a.resize = {kind, antialias, height, width};
    cn_id y = c.node(CN_OP_resize, {c.input_of(x)}, a);
    c.expect(y, "kind " + std::to_string((int)kind) + (antialias ? " antialias" : ""));
}

TEST(CudaResize, Kinds) {
    const struct {
        Dims x;
        int64_t height, width;
    } shapes[] = {{{2, 5, 7, 3}, 10, 14}, {{1, 9, 8, 3}, 4, 3}, {{1, 1, 1, 2}, 3, 5}, {{1, 6, 5, 1}, 6, 5}, {{1, 13, 4, 33}, 5, 9}, {{1, 40, 3, 2}, 1, 2}, {{1, 31, 17, 1}, 100, 3}};
    for (cornu_dtype dtype : kFloats) {
        for (int kind = CN_RESIZE_NEAREST; kind <= CN_RESIZE_AREA; kind++) {
            for (auto& s : shapes) {
                expect_resize(dtype, (cn_resize_kind)kind, false, s.x, s.height, s.width);
                expect_resize(dtype, (cn_resize_kind)kind, true, s.x, s.height, s.width);
            }
        }
    }
}

}  // namespace
