// Ops that move elements on the device: equal to the byte, in every size of element, around the edges of tiles and of wider elements.
#include "tests/backend/cuda_raw.h"

namespace {

using namespace cuda_raw;

const cornu_dtype kSizes[] = {CORNU_UINT8, CORNU_FLOAT16, CORNU_FLOAT32, CORNU_INT64, CORNU_COMPLEX128};

TEST(CudaMove, ReshapesAndBroadcasts) {
    const std::vector<std::pair<Dims, Dims>> shapes = {{{}, {1, 7}},       {{5}, {5}},          {{1}, {33}},    {{3, 1}, {3, 4}},
                                                       {{3, 1}, {2, 3, 5}}, {{1, 4, 1}, {6, 4, 16}}, {{8}, {3, 5, 8}}, {{2, 1, 3, 1}, {2, 4, 3, 5}}, {{1, 1}, {129, 65}}};
    for (cornu_dtype dtype : kSizes) {
        for (const auto& s : shapes) {
            Raw g;
            cn_id x = g.random(s.first, dtype), y = cn_graph_broadcast(&g.g, x, (int)s.second.size(), s.second.data());
            const int64_t flat = -1;
            cn_graph_output(&g.g, y);
            cn_graph_output(&g.g, cn_graph_reshape(&g.g, y, 1, &flat));
            g.expect_same_bytes(std::string(cornu_dtype_name(dtype)) + text_of(s.first) + " to " + text_of(s.second));
        }
    }
}

TEST(CudaMove, Transposes) {
    struct Row {
        Dims dims;
        std::vector<int> perm;
    };
    const std::vector<Row> rows = {
        {{}, {}}, {{5}, {0}}, {{3, 5}, {1, 0}}, {{7, 8}, {1, 0}}, {{8, 8}, {1, 0}}, {{31, 33}, {1, 0}}, {{32, 32}, {1, 0}}, {{33, 64}, {1, 0}}, {{1, 65}, {1, 0}}, {{64, 9, 17}, {0, 2, 1}},
        {{3, 40, 41}, {0, 2, 1}}, {{3, 40, 41}, {2, 1, 0}}, {{12, 10, 41}, {1, 2, 0}}, {{12, 10, 41}, {2, 0, 1}}, {{12, 10, 41}, {1, 0, 2}}, {{2, 16, 16, 3}, {0, 3, 1, 2}}, {{2, 3, 16, 16}, {0, 2, 3, 1}},
        {{2, 9, 4, 8}, {0, 2, 1, 3}}, {{2, 9, 4, 8}, {3, 1, 2, 0}}, {{3, 2, 4, 2, 3, 2}, {5, 3, 1, 0, 2, 4}}, {{9, 2, 3, 10, 11}, {3, 0, 1, 2, 4}}, {{9, 2, 3, 10, 11}, {4, 2, 1, 3, 0}},
        {{2, 2, 2, 2, 2, 2, 2, 2}, {7, 6, 5, 4, 3, 2, 1, 0}},
    };
    for (cornu_dtype dtype : kSizes) {
        for (const Row& row : rows) {
            Raw g;
            cn_graph_output(&g.g, cn_graph_transpose(&g.g, g.random(row.dims, dtype), row.perm.data()));
            g.expect_same_bytes(std::string("transpose of ") + cornu_dtype_name(dtype) + text_of(row.dims));
        }
    }
}

TEST(CudaMove, TransposesAtRandom) {
    std::mt19937 random(3);
    for (int round = 0; round < 60; round++) {
        const int ndim = 1 + (int)(random() % 5);
        Dims dims;
        std::vector<int> perm;
        for (int d = 0; d < ndim; d++) {
            dims.push_back(1 + (int64_t)(random() % (ndim > 3 ? 9 : 20)));
            perm.push_back(d);
        }
        std::shuffle(perm.begin(), perm.end(), random);
        Raw g;
        cn_graph_output(&g.g, cn_graph_transpose(&g.g, g.random(dims, kSizes[round % 5]), perm.data()));
        g.expect_same_bytes("transpose of " + text_of(dims));
    }
}

TEST(CudaMove, Slices) {
    std::mt19937 random(4);
    for (int round = 0; round < 80; round++) {
        const int ndim = 1 + (int)(random() % 4);
        Dims dims;
        cn_attr attr = run_graph::no_attr();
        for (int d = 0; d < ndim; d++) {
            const int64_t n = 1 + (int64_t)(random() % 17), step = 1 + (int64_t)(random() % 3);
            const int64_t count = 1 + (int64_t)(random() % (uint64_t)((n - 1) / step + 1)), reach = (count - 1) * step;
            const int64_t first = (int64_t)(random() % (uint64_t)(n - reach));
            const bool back = random() % 3 == 0;
            dims.push_back(n);
            attr.slice.begin[d] = back ? first + reach : first;
            attr.slice.step[d] = back ? -step : step;
            attr.slice.dims[d] = count;
        }
        Raw g;
        cn_graph_output(&g.g, g.add(CN_OP_slice, {g.random(dims, kSizes[round % 5])}, attr));
        g.expect_same_bytes("slice " + std::to_string(round) + " of " + text_of(dims));
    }
}

// A slice that starts at an odd element and has even rows must not be taken as one of wider elements.
TEST(CudaMove, SlicesThatAreNotAligned) {
    for (cornu_dtype dtype : kSizes) {
        for (int64_t begin : {0, 1, 2, 3, 4, 6, 8}) {
            Raw g;
            cn_id x = g.random({6, 32}, dtype);
            cn_graph_output(&g.g, cn_graph_slice_axis(&g.g, x, 1, begin, begin + 16));
            cn_graph_output(&g.g, cn_graph_slice_axis(&g.g, x, 1, begin, begin + 12));
            g.expect_same_bytes("slice at " + std::to_string(begin));
        }
    }
}

TEST(CudaMove, Concatenations) {
    for (cornu_dtype dtype : kSizes) {
        for (int axis : {0, 1, 2}) {
            Raw g;
            std::vector<cn_id> in;
            for (int64_t n : {3, 0, 1, 8, 5}) {
                Dims dims = {2, 4, 6};
                dims[(size_t)axis] = n;
                in.push_back(g.random(dims, dtype));
            }
            cn_graph_output(&g.g, cn_graph_concat(&g.g, in.data(), (int)in.size(), axis));
            cn_graph_output(&g.g, cn_graph_concat(&g.g, in.data(), 1, axis));
            const cn_id same[] = {in[3], in[3], in[3]};
            cn_graph_output(&g.g, cn_graph_concat(&g.g, same, 3, axis));
            g.expect_same_bytes(std::string("concat of ") + cornu_dtype_name(dtype) + " along " + std::to_string(axis));
        }
    }
}

// More inputs than one launch takes; many of them with nothing.
TEST(CudaMove, ConcatenationsOfMany) {
    for (int count : {63, 64, 65, 128, 200}) {
        Raw g;
        std::vector<cn_id> in;
        for (int k = 0; k < count; k++) in.push_back(g.random({3, k % 3}, CORNU_FLOAT32));
        cn_graph_output(&g.g, cn_graph_concat(&g.g, in.data(), count, 1));
        g.expect_same_bytes("concat of " + std::to_string(count));
    }
}

TEST(CudaMove, Paddings) {
    struct Row {
        Dims dims, low, high;
    };
    const std::vector<Row> rows = {{{5}, {2}, {3}}, {{4, 6}, {0, 1}, {0, 4}}, {{4, 6}, {3, 0}, {2, 0}}, {{2, 5, 7, 3}, {0, 2, 1, 0}, {0, 4, 3, 0}}, {{3, 3, 3, 3}, {1, 2, 0, 1}, {2, 0, 1, 2}}, {{6, 4}, {0, 0}, {0, 0}}};
    for (cornu_dtype dtype : kSizes) {
        for (cn_pad_mode mode : {CN_PAD_CONSTANT, CN_PAD_REFLECT, CN_PAD_SYMMETRIC, CN_PAD_EDGE}) {
            for (const Row& row : rows) {
                Raw g;
                cn_attr attr = run_graph::no_attr();
                attr.pad.mode = mode;
                attr.pad.value = 2.5;
                for (size_t d = 0; d < row.dims.size(); d++) {
                    const int64_t most = row.dims[d] - (mode == CN_PAD_REFLECT);
                    attr.pad.low[d] = mode == CN_PAD_CONSTANT || mode == CN_PAD_EDGE ? row.low[d] : std::min(row.low[d], most);
                    attr.pad.high[d] = mode == CN_PAD_CONSTANT || mode == CN_PAD_EDGE ? row.high[d] : std::min(row.high[d], most);
                }
                cn_graph_output(&g.g, g.add(CN_OP_pad, {g.random(row.dims, dtype)}, attr));
                g.expect_same_bytes(std::string("pad of ") + cornu_dtype_name(dtype) + text_of(row.dims) + " mode " + std::to_string((int)mode));
            }
        }
    }
}

TEST(CudaMove, PaddingOfNothing) {
    Raw g;
    cn_attr attr = run_graph::no_attr();
    attr.pad.value = -1;
    attr.pad.low[0] = 2;
    attr.pad.high[0] = 1;
    cn_graph_output(&g.g, g.add(CN_OP_pad, {g.random({0, 4}, CORNU_FLOAT32)}, attr));
    g.expect_same_bytes("pad of nothing");
}

}  // namespace
