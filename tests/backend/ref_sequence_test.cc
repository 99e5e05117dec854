// The rnn and attention nodes against the formulas of Keras written out in double, and what their shape rule refuses.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "backend/cpu/ref.h"

namespace {

using Vector = std::vector<double>;

struct Graph {
    cn_graph g;
    unsigned state = 1;
    Graph() { cn_graph_init(&g); }
    ~Graph() { cn_graph_deinit(&g); }
    double draw() {
        state = state * 1664525u + 1013904223u;
        return (double)(state >> 8) / (1 << 24) * 2 - 1;
    }
    cn_id constant(std::vector<int64_t> dims, Vector* values) {
        cn_type type = {};
        int64_t n = 1;
        type.dtype = CORNU_FLOAT64;
        type.ndim = (int)dims.size();
        for (size_t i = 0; i < dims.size(); i++) n *= type.dims[i] = dims[i];
        values->resize((size_t)n);
        for (double& x : *values) x = draw();
        return cn_graph_constant(&g, &type, values->data());
    }
    cn_id mask(std::vector<int64_t> dims, const std::vector<uint8_t>& values) {
        cn_type type = {};
        type.dtype = CORNU_BOOL;
        type.ndim = (int)dims.size();
        for (size_t i = 0; i < dims.size(); i++) type.dims[i] = dims[i];
        return cn_graph_constant(&g, &type, values.data());
    }
    Vector run(cn_id v) {
        Vector out((size_t)cn_type_count(&g.types[v]));
        EXPECT_EQ(CORNU_OK, cn_graph_verify(&g));
        EXPECT_EQ(CORNU_OK, cn_ref_evaluate(&g, v, nullptr, nullptr, out.data()));
        return out;
    }
};

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// One step of one row as Keras's cells have it; h and c are replaced.
void cell_step(cn_rnn_kind kind, bool reset_after, int64_t units, const double* z, const Vector& kernel, const Vector& bias, Vector* h, Vector* c) {
    int64_t width = cn_rnn_gates(kind) * units;
    auto product = [&](const Vector& x, int64_t column) {
        double sum = bias.empty() ? 0 : bias[(size_t)column];
        for (int64_t k = 0; k < units; k++) sum += x[(size_t)k] * kernel[(size_t)(k * width + column)];
        return sum;
    };
    Vector y((size_t)units), rh((size_t)units);
    for (int64_t j = 0; j < units; j++) rh[(size_t)j] = kind == CN_RNN_GRU ? sigmoid(z[units + j] + product(*h, units + j)) * (*h)[(size_t)j] : 0;
    for (int64_t j = 0; j < units; j++) {
        size_t at = (size_t)j;
        if (kind == CN_RNN_SIMPLE) y[at] = std::tanh(z[j] + product(*h, j));
        if (kind == CN_RNN_LSTM) {
            double i = sigmoid(z[j] + product(*h, j)), f = sigmoid(z[units + j] + product(*h, units + j));
            double o = sigmoid(z[3 * units + j] + product(*h, 3 * units + j));
            (*c)[at] = f * (*c)[at] + i * std::tanh(z[2 * units + j] + product(*h, 2 * units + j));
            y[at] = o * std::tanh((*c)[at]);
        }
        if (kind == CN_RNN_GRU) {
            double update = sigmoid(z[j] + product(*h, j)), reset = sigmoid(z[units + j] + product(*h, units + j));
            double inner = reset_after ? reset * product(*h, 2 * units + j) : product(rh, 2 * units + j);
            y[at] = update * (*h)[at] + (1 - update) * std::tanh(z[2 * units + j] + inner);
        }
    }
    *h = y;
}

struct Case {
    cn_rnn_kind kind;
    bool reset_after, backwards, zero_masked, sequences, masked;
};

void check_rnn(const Case& t) {
    const int64_t batch = 3, steps = 5, units = 4, width = cn_rnn_gates(t.kind) * units;
    const std::vector<uint8_t> keep = {1, 1, 0, 1, 0, /**/ 0, 0, 0, 0, 0, /**/ 0, 1, 1, 1, 1};
    Graph graph;
    Vector z, kernel, h0, c0, bias;
    cn_attr attr = {};
    attr.rnn = {t.kind, {CN_EW_tanh, 0, 0, 0}, {CN_EW_sigmoid, 0, 0, 0}, t.backwards, t.reset_after, t.zero_masked, t.sequences};
    cn_id in[6] = {graph.constant({batch, steps, width}, &z), graph.constant({units, width}, &kernel), graph.constant({batch, units}, &h0),
                   CN_NONE, CN_NONE, t.masked ? graph.mask({batch, steps}, keep) : CN_NONE};
    if (t.kind == CN_RNN_LSTM) in[3] = graph.constant({batch, units}, &c0);
    if (t.kind == CN_RNN_GRU && t.reset_after) in[4] = graph.constant({width}, &bias);
    cn_id node = cn_graph_add(&graph.g, CN_OP_rnn, in, 6, &attr);
    ASSERT_NE(CN_NONE, node) << cornu_last_error();
    Vector got = graph.run(node);
    const int64_t rows = graph.g.types[node].dims[1], outputs = t.sequences ? steps : 1;
    ASSERT_EQ(outputs + cn_rnn_state_rows(&attr.rnn), rows);
    for (int64_t b = 0; b < batch; b++) {
        Vector h(h0.begin() + b * units, h0.begin() + (b + 1) * units), c((size_t)units), y((size_t)units);
        if (!c0.empty()) c.assign(c0.begin() + b * units, c0.begin() + (b + 1) * units);
        auto expect_row = [&](int64_t row, const Vector& want) {
            for (int64_t j = 0; j < units; j++) EXPECT_NEAR(want[(size_t)j], got[(size_t)((b * rows + row) * units + j)], 1e-14);
        };
        for (int64_t i = 0; i < steps; i++) {
            int64_t s = t.backwards ? steps - 1 - i : i;
            if (!t.masked || keep[(size_t)(b * steps + s)]) {
                cell_step(t.kind, t.reset_after, units, &z[(size_t)((b * steps + s) * width)], kernel, bias, &h, &c);
                y = h;
            } else if (t.zero_masked) {
                y.assign((size_t)units, 0);
            }
            if (t.sequences) expect_row(i, y);
        }
        if (!t.sequences) expect_row(0, y);
        expect_row(outputs, h);
        if (t.kind == CN_RNN_LSTM) expect_row(outputs + 1, c);
        if (rows == outputs + 2 && t.kind == CN_RNN_GRU) expect_row(outputs + 1, Vector((size_t)units));
    }
}

TEST(Rnn, EveryKindAndOption) {
    for (int bits = 0; bits < 64; bits++) {
        Case t = {CN_RNN_SIMPLE, (bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0, (bits & 8) != 0, (bits & 16) != 0};
        t.kind = bits & 32 ? CN_RNN_GRU : bits & 1 ? CN_RNN_LSTM : CN_RNN_SIMPLE;
        SCOPED_TRACE(bits);
        check_rnn(t);
    }
}

TEST(Rnn, RefusesWhatDoesNotFit) {
    Vector unused;
    const std::vector<std::vector<int64_t>> bad_kernels = {{4, 4}, {5, 16}, {16, 4}};
    cn_attr attr = {};
    attr.rnn = {CN_RNN_LSTM, {CN_EW_tanh, 0, 0, 0}, {CN_EW_sigmoid, 0, 0, 0}, false, false, false, false};
    for (const auto& dims : bad_kernels) {
        Graph graph;
        cn_id in[2] = {graph.constant({2, 3, 16}, &unused), graph.constant(dims, &unused)};
        EXPECT_EQ(CN_NONE, cn_graph_add(&graph.g, CN_OP_rnn, in, 2, &attr));
    }
    Graph graph;
    cn_id in[3] = {graph.constant({2, 3, 16}, &unused), graph.constant({4, 16}, &unused), graph.constant({3, 4}, &unused)};
    EXPECT_EQ(CN_NONE, cn_graph_add(&graph.g, CN_OP_rnn, in, 3, &attr)); /* a state of another batch */
    Graph empty;
    cn_id none[2] = {empty.constant({2, 0, 16}, &unused), empty.constant({4, 16}, &unused)};
    EXPECT_EQ(CN_NONE, cn_graph_add(&empty.g, CN_OP_rnn, none, 2, &attr));
    EXPECT_NE(nullptr, std::strstr(cornu_last_error(), "time step"));
}

void check_attention(bool causal, bool zero_rows, int masked, int64_t heads, int64_t kv_heads) {
    const int64_t batch = 2, queries = 4, keys = 5, depth = 3, width = 150; /* wider than a block of the reference */
    Graph graph;
    Vector q, k, v;
    cn_attr attr = {};
    attr.attention = {0.7, causal, zero_rows};
    std::vector<uint8_t> keep((size_t)(batch * queries * keys), 1);
    for (size_t i = 0; masked && i < keep.size(); i++) keep[i] = i % (size_t)(queries * keys) >= (size_t)keys && i % 3 != 0; /* row 0: nothing */
    cn_id in[4] = {graph.constant({batch, heads, queries, depth}, &q), graph.constant({batch, kv_heads, keys, depth}, &k),
                   graph.constant({batch, kv_heads, keys, width}, &v), CN_NONE};
    if (masked) in[3] = graph.mask({batch, 1, queries, keys}, keep);
    cn_id node = cn_graph_add(&graph.g, CN_OP_attention, in, 4, &attr);
    ASSERT_NE(CN_NONE, node) << cornu_last_error();
    Vector got = graph.run(node);
    for (int64_t r = 0; r < batch * heads * queries; r++) {
        int64_t b = r / (heads * queries), h = r / queries % heads, i = r % queries, head = b * kv_heads + h / (heads / kv_heads);
        Vector weights((size_t)keys), want((size_t)width);
        double norm = 0;
        for (int64_t j = 0; j < keys; j++) {
            double score = 0;
            for (int64_t d = 0; d < depth; d++) score += q[(size_t)(r * depth + d)] * k[(size_t)((head * keys + j) * depth + d)];
            bool seen = keep[(size_t)((b * queries + i) * keys + j)] && (!causal || j <= i);
            norm += weights[(size_t)j] = seen ? std::exp(0.7 * score) : 0;
        }
        for (int64_t j = 0; j < keys; j++) {
            double weight = norm > 0 ? weights[(size_t)j] / norm : zero_rows ? 0 : 1.0 / (double)keys;
            for (int64_t e = 0; e < width; e++) want[(size_t)e] += weight * v[(size_t)((head * keys + j) * width + e)];
        }
        for (int64_t e = 0; e < width; e++) EXPECT_NEAR(want[(size_t)e], got[(size_t)(r * width + e)], 1e-14);
    }
}

TEST(Attention, MasksAndHeads) {
    for (int bits = 0; bits < 8; bits++) {
        SCOPED_TRACE(bits);
        check_attention(bits & 1, bits & 2, bits & 4, 4, 4);
        check_attention(bits & 1, bits & 2, bits & 4, 4, 2);
        check_attention(bits & 1, bits & 2, bits & 4, 4, 1);
    }
}

TEST(Attention, RefusesWhatDoesNotFit) {
    Vector unused;
    cn_attr attr = {};
    attr.attention.scale = 1;
    Graph heads;
    cn_id three[3] = {heads.constant({2, 4, 5, 3}, &unused), heads.constant({2, 3, 6, 3}, &unused), heads.constant({2, 3, 6, 3}, &unused)};
    EXPECT_EQ(CN_NONE, cn_graph_add(&heads.g, CN_OP_attention, three, 3, &attr));
    Graph mask;
    cn_id four[4] = {mask.constant({2, 4, 5, 3}, &unused), mask.constant({2, 4, 6, 3}, &unused), mask.constant({2, 4, 6, 3}, &unused),
                     mask.mask({2, 1, 5, 5}, std::vector<uint8_t>(50))};
    EXPECT_EQ(CN_NONE, cn_graph_add(&mask.g, CN_OP_attention, four, 4, &attr));
}

}  // namespace
