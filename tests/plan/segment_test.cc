// Segments of random graphs with nodes placed at random.
#include "plan/segment.h"

#include "base/alloc.h"
#include "plan/plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <vector>

namespace {

struct Random {
    cn_graph g;
    std::vector<char> host;
    std::vector<char> constant;

    Random(unsigned seed, int nodes) {
        std::mt19937 random(seed);
        cn_type t = {};
        t.dtype = CORNU_FLOAT32;
        t.ndim = 1;
        t.dims[0] = 4;
        cn_graph_init(&g);
        (void)cn_graph_input(&g, &t, "x");
        (void)cn_graph_input(&g, &t, "y");
        (void)cn_graph_variable(&g, &t, 0, "v");
        for (int i = 0; i < nodes; i++) {
            cn_id a = (cn_id)(random() % (unsigned)g.count), b = (cn_id)(random() % (unsigned)g.count);
            (void)(random() % 3 ? cn_graph_ew2(&g, CN_EW_add, a, b) : cn_graph_ew1(&g, CN_EW_relu, a));
        }
        cn_graph_output(&g, g.count - 1);
        cn_graph_output(&g, (cn_id)(random() % (unsigned)g.count));
        for (int i = 0; i < g.count; i++) host.push_back((char)(random() % 3 == 0));
        std::vector<char> buffer((size_t)g.count * sizeof(bool));
        cn_plan_mark_constant(&g, (bool*)buffer.data());
        constant = buffer;
    }
    ~Random() { cn_graph_deinit(&g); }
    Random(const Random&) = delete;

    bool runs(int i) const { return !constant[(size_t)i] && g.nodes[i].op != CN_OP_input; }
    static cn_placement place(void* user, const cn_graph*, int i) { return ((Random*)user)->host[(size_t)i] ? CN_PLACE_HOST : CN_PLACE_ANY; }
    // Whether node i can run after the nodes of done.
    bool ready(int i, unsigned done) const {
        for (int k = 0; k < g.nodes[i].input_count; k++) {
            int from = g.nodes[i].inputs[k];
            if (runs(from) && !(done >> from & 1)) return false;
        }
        return true;
    }
};

struct Segments {
    cn_segment* list = nullptr;
    int count = 0;
    ~Segments() { cn_segments_destroy(list, count); }
};

void expect_sound(Random& r, const Segments& s) {
    std::vector<int> made(r.g.count, -1);
    for (int n = 0; n < s.count; n++) {
        const cn_segment& segment = s.list[n];
        std::set<int> reads;
        for (int i = 0; i < segment.node_count; i++) {
            int node = segment.nodes[i];
            EXPECT_TRUE(r.runs(node));
            EXPECT_EQ(made[(size_t)node], -1) << "node " << node << " is in two segments";
            EXPECT_EQ(segment.host, r.host[(size_t)node] != 0);
            made[(size_t)node] = n;
            for (int k = 0; k < r.g.nodes[node].input_count; k++) {
                int from = r.g.nodes[node].inputs[k];
                if (r.runs(from)) {
                    EXPECT_GE(made[(size_t)from], 0) << "node " << node << " runs before its input";
                }
                if (!r.constant[(size_t)from] && made[(size_t)from] != n) reads.insert(from);
            }
        }
        EXPECT_EQ(std::set<int>(segment.inputs, segment.inputs + segment.input_count), reads);
        EXPECT_EQ((size_t)segment.input_count, reads.size());
        if (n > 0) {
            EXPECT_NE(segment.host, s.list[n - 1].host);
        }
    }
    for (int i = 0; i < r.g.count; i++) EXPECT_EQ(made[(size_t)i] >= 0, r.runs(i));
    for (int n = 0; n < s.count; n++) {
        std::set<int> leave;
        for (int i = 0; i < r.g.count; i++) {
            for (int k = 0; k < r.g.nodes[i].input_count && r.runs(i); k++) {
                int from = r.g.nodes[i].inputs[k];
                if (made[(size_t)from] == n && made[(size_t)i] != n) leave.insert(from);
            }
        }
        for (int i = 0; i < r.g.output_count; i++) {
            if (made[(size_t)r.g.outputs[i]] == n) leave.insert(r.g.outputs[i]);
        }
        EXPECT_EQ(std::set<int>(s.list[n].outputs, s.list[n].outputs + s.list[n].output_count), leave);
        EXPECT_EQ((size_t)s.list[n].output_count, leave.size());
    }
}

TEST(Segment, NodesOrderAndBordersOfRandomGraphs) {
    for (unsigned seed = 0; seed < 300; seed++) {
        Random r(seed, (int)(seed % 40));
        Segments s;
        ASSERT_EQ(cn_segments_create(&r.g, false, Random::place, &r, &s.list, &s.count), CORNU_OK);
        ASSERT_GE(s.count, 1);
        expect_sound(r, s);
        if (HasFailure()) FAIL() << "seed " << seed;
    }
}

// The fewest switches over all orders, by dynamic programming over sets of nodes that have run.
int fewest(const Random& r) {
    unsigned all = 0;
    for (int i = 0; i < r.g.count; i++) all |= r.runs(i) ? 1u << i : 0;
    std::vector<int> best[2] = {std::vector<int>(1u << r.g.count, 1000), std::vector<int>(1u << r.g.count, 1000)};
    best[0][0] = best[1][0] = 1;
    for (unsigned done = 0; done <= all; done++) {
        for (int place = 0; place < 2; place++) {
            if (best[place][done] >= 1000) continue;
            for (int i = 0; i < r.g.count; i++) {
                if (!(all >> i & 1) || (done >> i & 1) || !r.ready(i, done)) continue;
                int next = r.host[(size_t)i], cost = best[place][done] + (next != place);
                int& at = best[next][done | 1u << i];
                at = std::min(at, cost);
            }
        }
    }
    return std::min(best[0][all], best[1][all]);
}

TEST(Segment, NoOrderHasFewer) {
    int most = 0;
    for (unsigned seed = 0; seed < 150; seed++) {
        Random r(seed + 1000, (int)(seed % 9));
        Segments s;
        ASSERT_EQ(cn_segments_create(&r.g, false, Random::place, &r, &s.list, &s.count), CORNU_OK);
        EXPECT_EQ(s.count, fewest(r)) << "seed " << seed;
        most = std::max(most, s.count);
    }
    EXPECT_GE(most, 3);
}

TEST(Segment, OneWhereTheDeviceIsTheHost) {
    Random r(3, 30);
    Segments s, rows;
    ASSERT_EQ(cn_segments_create(&r.g, true, Random::place, &r, &s.list, &s.count), CORNU_OK);
    EXPECT_EQ(s.count, 1);
    EXPECT_TRUE(s.list[0].host);
    std::fill(r.host.begin(), r.host.end(), (char)1);
    expect_sound(r, s);
    ASSERT_EQ(cn_segments_create(&r.g, false, nullptr, nullptr, &rows.list, &rows.count), CORNU_OK);
    EXPECT_EQ(rows.count, 1);
    EXPECT_FALSE(rows.list[0].host);
}

TEST(Segment, LacksMemory) {
    Random r(5, 20);
    cornu_status st = CORNU_NO_MEMORY;
    for (uint64_t n = 1; st != CORNU_OK && n < 100; n++) {
        Segments s;
        cn_alloc_fail_at(n, false);
        st = cn_segments_create(&r.g, false, Random::place, &r, &s.list, &s.count);
        cn_alloc_fail_at(0, false);
        EXPECT_TRUE(st == CORNU_OK || st == CORNU_NO_MEMORY);
    }
    EXPECT_EQ(st, CORNU_OK);
}

}  // namespace
