// Splitting a batch: parts one behind the other are the whole, bit for bit, or it is refused.
#include "graph/split.h"

#include "tests/backend/run_graph.h"

using namespace run_graph;

namespace {

cn_attr reduce_attr(uint32_t axes) {
    cn_attr a = no_attr();
    a.reduce.kind = CN_REDUCE_SUM;
    a.reduce.axes = axes;
    return a;
}

}  // namespace

TEST(Split, PartsAreTheWhole) {
    Graph m;
    const int perm[] = {0, 2, 1};
    const int64_t dims[] = {4, 16, 2}, begin[] = {0, 1, 0}, end[] = {4, 9, 2};
    cn_id x = m.input({4, 4, 4, 2});
    cn_id y = m.add(CN_OP_conv, {x, m.variable({3, 3, 2, 2}), m.variable({2}), x}, conv_attr(2, 1, 1, 1, 1, 1));
    y = cn_graph_reshape(&m.g, y, 3, dims);
    cn_id z = cn_graph_slice(&m.g, y, begin, end);
    cn_id w = cn_graph_matmul(&m.g, z, z, false, true);
    w = cn_graph_softmax(&m.g, w, 4);
    w = cn_graph_matmul(&m.g, w, z, false, false);
    w = cn_graph_ew2(&m.g, CN_EW_add, cn_graph_transpose(&m.g, w, perm), m.variable({2, 1}));
    cn_graph_output(&m.g, m.add(CN_OP_reduce, {w}, reduce_attr(2)));
    cn_graph_output(&m.g, cn_graph_matmul(&m.g, m.add(CN_OP_reduce, {y}, reduce_attr(2)), m.variable({2, 3}), false, false));
    ASSERT_EQ(cn_graph_status(&m.g), CORNU_OK) << cornu_last_error();
    auto whole = run(m.g, cn_backend_reference, m.inputs());
    for (int64_t parts : {1, 2, 4}) {
        cn_graph part;
        bool possible;
        ASSERT_EQ(cn_graph_split(&m.g, parts, &part, &possible), CORNU_OK);
        ASSERT_TRUE(possible);
        EXPECT_EQ(run(part, cn_backend_cpu, m.inputs(), {parts, 1}), run(part, cn_backend_cpu, m.inputs(), {parts, 3, 2}));
        auto split = run(part, cn_backend_cpu, m.inputs(), {parts, 2});
        for (size_t i = 0; i < whole.size(); i++) EXPECT_LT(difference(split[i], whole[i]), 2e-6);
        cn_graph_deinit(&part);
    }
}

TEST(Split, RefusesWhatMixesEntries) {
    for (int kind = 0; kind < 7; kind++) {
        Graph m;
        cn_graph part;
        bool possible = true;
        cn_id x = m.input({4, 6}), y = x;
        const int perm[] = {1, 0};
        const int64_t dims[] = {2, 12}, begin[] = {1, 0}, end[] = {4, 6};
        if (kind == 0) y = m.add(CN_OP_reduce, {x}, reduce_attr(1));
        if (kind == 1) y = cn_graph_transpose(&m.g, x, perm);
        if (kind == 2) y = cn_graph_reshape(&m.g, x, 2, dims);
        if (kind == 3) y = cn_graph_slice(&m.g, x, begin, end);
        if (kind == 4) y = cn_graph_softmax(&m.g, x, 1);
        if (kind == 5) y = cn_graph_ew2(&m.g, CN_EW_add, x, m.variable({4, 1}));
        if (kind == 6) y = cn_graph_matmul(&m.g, m.variable({4, 4}), x, false, false);
        cn_graph_output(&m.g, y);
        ASSERT_EQ(cn_graph_status(&m.g), CORNU_OK) << cornu_last_error();
        ASSERT_EQ(cn_graph_split(&m.g, 2, &part, &possible), CORNU_OK);
        EXPECT_FALSE(possible) << kind;
    }
}
