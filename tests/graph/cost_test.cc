// What nodes cost by their shapes.
#include "graph/cost.h"

#include <gtest/gtest.h>

#include <vector>

namespace {

struct Graph {
    cn_graph g;
    Graph() { cn_graph_init(&g); }
    ~Graph() { cn_graph_deinit(&g); }
    cn_id in(std::vector<int64_t> dims, cornu_dtype dtype = CORNU_FLOAT32) {
        cn_type type = {};
        type.dtype = dtype;
        type.ndim = (int)dims.size();
        for (size_t i = 0; i < dims.size(); i++) type.dims[i] = dims[i];
        return cn_graph_input(&g, &type, "x");
    }
    cn_id add(cn_op op, std::vector<cn_id> inputs, const cn_attr& attr) { return cn_graph_add(&g, op, inputs.data(), (int)inputs.size(), &attr); }
    cn_cost cost(cn_id v) {
        EXPECT_EQ(cn_graph_status(&g), CORNU_OK) << cornu_last_error();
        return v == CN_NONE ? cn_cost{0, 0} : cn_node_cost(&g, &g.nodes[v]);
    }
};

}  // namespace

TEST(Cost, ProductsCountTheirDepth) {
    Graph g;
    cn_id y = cn_graph_matmul(&g.g, g.in({2, 3, 5}), g.in({5, 7}), false, false);
    EXPECT_EQ(g.cost(y).flops, 2u * 2 * 3 * 5 * 7);
    EXPECT_EQ(g.cost(y).bytes, 4u * (30 + 35 + 42));
    y = cn_graph_matmul(&g.g, g.in({5, 3}), g.in({7, 5}), true, true);
    EXPECT_EQ(g.cost(y).flops, 2u * 3 * 5 * 7);
    cn_attr attr = {};
    attr.matmul.act.fn = CN_EW_relu;
    y = g.add(CN_OP_matmul, {g.in({3, 5}), g.in({5, 7}), g.in({7}), g.in({3, 7})}, attr);
    EXPECT_EQ(g.cost(y).flops, 2u * 3 * 5 * 7 + 3 * 21);  // bias, residual, function
    EXPECT_EQ(g.cost(y).bytes, 4u * (15 + 35 + 7 + 21 + 21));
}

TEST(Cost, ConvolutionsCountTheirWindow) {
    Graph g;
    cn_attr attr = {};
    attr.conv.spatial = 2;
    attr.conv.groups = 1;
    for (int i = 0; i < 2; i++) attr.conv.strides[i] = attr.conv.dilation[i] = 1;
    cn_id y = g.add(CN_OP_conv, {g.in({1, 8, 8, 4}), g.in({3, 3, 4, 6})}, attr);
    EXPECT_EQ(g.cost(y).flops, 2u * 6 * 6 * 6 * 9 * 4);
    attr.conv.groups = 4;  // depthwise
    y = g.add(CN_OP_conv, {g.in({1, 8, 8, 4}), g.in({3, 3, 1, 4})}, attr);
    EXPECT_EQ(g.cost(y).flops, 2u * 6 * 6 * 4 * 9);
    attr.conv.groups = 1;
    y = g.add(CN_OP_conv_transpose, {g.in({1, 8, 8, 4}), g.in({3, 3, 6, 4})}, attr);
    EXPECT_EQ(g.cost(y).flops, 2u * 8 * 8 * 4 * 9 * 6);
}

TEST(Cost, MovesCountTheirBytesAndSharedInputsOnce) {
    Graph g;
    cn_id x = g.in({4, 6});
    EXPECT_EQ(g.cost(x).bytes, 0u);
    cn_id square = cn_graph_ew2(&g.g, CN_EW_mul, x, x);
    EXPECT_EQ(g.cost(square).flops, 24u);
    EXPECT_EQ(g.cost(square).bytes, 4u * (24 + 24));
    EXPECT_EQ(g.cost(cn_graph_ew2(&g.g, CN_EW_mul, x, square)).bytes, 4u * 72);
    const int64_t dims[] = {24};
    cn_cost view = g.cost(cn_graph_reshape(&g.g, x, 1, dims));
    EXPECT_EQ(view.bytes + view.flops, 0u);
    cn_id table = g.in({1000, 16});
    cn_cost taken = g.cost(cn_graph_gather(&g.g, table, g.in({3}, CORNU_INT32), 0, CN_GATHER_CHECKED));
    EXPECT_EQ(taken.bytes, 4u * (48 + 3 + 48));  // not the whole table
    EXPECT_EQ(taken.flops, 0u);
    cn_id sum = cn_graph_reduce(&g.g, x, CN_REDUCE_SUM, 2, false);
    EXPECT_EQ(g.cost(sum).flops, 24u);
    EXPECT_EQ(g.cost(sum).bytes, 4u * (24 + 4));
    EXPECT_EQ(g.cost(cn_graph_softmax(&g.g, x, 2)).flops, 24u * 5);
}

TEST(Cost, SequencesAndEmptyTensors) {
    Graph g;
    cn_attr attr = {};
    attr.rnn.kind = CN_RNN_LSTM;
    attr.rnn.act.fn = CN_EW_tanh;
    attr.rnn.gate.fn = CN_EW_sigmoid;
    cn_id y = g.add(CN_OP_rnn, {g.in({2, 10, 32}), g.in({8, 32})}, attr);
    EXPECT_EQ(g.cost(y).flops, 20u * (2 * 8 * 32 + 2 * 32 + 4 * 8));
    attr = cn_attr{};
    attr.attention.scale = 1;
    y = g.add(CN_OP_attention, {g.in({1, 2, 5, 4}), g.in({1, 2, 7, 4}), g.in({1, 2, 7, 3})}, attr);
    EXPECT_EQ(g.cost(y).flops, 10u * 7 * (2 * (4 + 3) + 5));
    attr.attention.causal = true;
    cn_id half = g.add(CN_OP_attention, {g.in({1, 2, 6, 4}), g.in({1, 2, 6, 4}), g.in({1, 2, 6, 3})}, attr);
    EXPECT_LT(g.cost(half).flops, 12u * 6 * 19 * 2 / 3);
    y = cn_graph_matmul(&g.g, g.in({0, 5}), g.in({5, 7}), false, false);
    EXPECT_EQ(g.cost(y).flops, 0u);
    EXPECT_EQ(g.cost(y).bytes, 4u * 35);
}
