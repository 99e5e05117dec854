// Weights on the device: read as they are, read with their axes exchanged, filled anew.
#include "tests/backend/cuda_test.h"

namespace {

using cuda_test::expect_same;
using run_graph::Graph;

TEST(CudaUpload, OutputsWithoutSteps) {
    Graph g;
    cn_id x = g.input({3, 5});
    cn_id v = g.variable({4, 2});
    cn_graph_output(&g.g, x);
    cn_graph_output(&g.g, v);
    expect_same(g, g.inputs());
}

TEST(CudaUpload, MoreThanOneConstant) {
    Graph g;
    cn_id x = g.input({7, 1});
    for (int64_t n : {1, 63, 64, 65, 1000}) cn_graph_output(&g.g, cn_graph_ew2(&g.g, CN_EW_mul, x, g.variable({1, n})));
    expect_same(g, g.inputs());
}

}  // namespace
