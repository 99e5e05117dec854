// Plans: values that live at the same time do not overlap, and the block is hardly larger than it must be.
#include "plan/plan.h"

#include "pass/pass.h"

#include <gtest/gtest.h>

#include <random>

namespace {

cn_type type_of(std::initializer_list<int64_t> dims) {
    cn_type t = {};
    t.dtype = CORNU_FLOAT32;
    for (int64_t d : dims) t.dims[t.ndim++] = d;
    return t;
}

// Which steps may read a value: from the step that makes it to the last that uses it or a view of it.
struct Life {
    int first = -1, last = -1;
};

void expect_no_overlap(const cn_graph& g, const cn_plan& plan) {
    std::vector<Life> life((size_t)g.count);
    for (int s = 0; s < plan.step_count; s++) {
        const cn_node& node = g.nodes[plan.steps[s]];
        life[(size_t)node.output].first = life[(size_t)node.output].last = s;
        for (int k = 0; k < node.input_count; k++) {
            if (node.inputs[k] != CN_NONE) life[(size_t)node.inputs[k]].last = s;
        }
    }
    for (int i = 0; i < g.output_count; i++) life[(size_t)g.outputs[i]].last = plan.step_count;
    for (int a = 0; a < g.count; a++) {
        for (int b = 0; b < a; b++) {
            const cn_place &pa = plan.places[a], &pb = plan.places[b];
            if (pa.kind != CN_PLACE_ARENA || pb.kind != CN_PLACE_ARENA) continue;
            if (life[(size_t)a].first < 0 || life[(size_t)b].first < 0) continue;
            // b ends before a begins, or they may share: a written over b in the step that reads b last.
            if (life[(size_t)b].last < life[(size_t)a].first) continue;
            uint64_t na = cn_type_bytes(&g.types[a]), nb = cn_type_bytes(&g.types[b]);
            bool apart = pa.offset + na <= pb.offset || pb.offset + nb <= pa.offset || na == 0 || nb == 0;
            bool in_place = life[(size_t)b].last == life[(size_t)a].first && pa.offset == pb.offset && g.nodes[a].op == CN_OP_ew;
            bool view = g.nodes[a].op == CN_OP_reshape && pa.offset == pb.offset;
            EXPECT_TRUE(apart || in_place || view) << "values " << a << " and " << b;
        }
    }
}

}  // namespace

TEST(Plan, RandomGraphsDoNotOverlap) {
    std::mt19937 random(3);
    for (int trial = 0; trial < 200; trial++) {
        cn_graph g;
        cn_plan* plan = nullptr;
        cn_graph_init(&g);
        cn_type t = type_of({2, (int64_t)(random() % 7 + 1)});
        std::vector<cn_id> values = {cn_graph_input(&g, &t, "x")};
        for (int i = 0; i < 25; i++) {
            cn_id x = values[random() % values.size()], y = values[random() % values.size()], v = CN_NONE;
            int64_t flat[] = {-1}, rows[] = {1, -1};
            const int perm[] = {1, 0};
            switch (random() % 5) {
                case 0: v = cn_graph_ew1(&g, CN_EW_relu, x); break;
                case 1: v = cn_type_equal(&g.types[x], &g.types[y]) ? cn_graph_ew2(&g, CN_EW_add, x, y) : cn_graph_ew1(&g, CN_EW_neg, x); break;
                case 2: v = random() % 2 ? cn_graph_reshape(&g, x, 1, flat) : cn_graph_reshape(&g, x, 2, rows); break;
                case 3: v = g.types[x].ndim == 2 ? cn_graph_transpose(&g, x, perm) : cn_graph_ew1(&g, CN_EW_abs, x); break;
                default: {
                    cn_id both[] = {x, x};
                    v = cn_graph_concat(&g, both, 2, g.types[x].ndim - 1);
                }
            }
            if (v == CN_NONE) {  // a reshape to one axis asked with two dims
                g.status = CORNU_OK;
                continue;
            }
            values.push_back(v);
        }
        cn_graph_output(&g, values.back());
        cn_graph_output(&g, values[values.size() / 2]);
        ASSERT_EQ(cn_graph_verify(&g), CORNU_OK) << cornu_last_error();
        ASSERT_EQ(cn_plan_create(&g, 64, &plan), CORNU_OK);
        expect_no_overlap(g, *plan);
        EXPECT_GE(plan->arena_bytes, plan->peak_bytes);
        cn_plan_destroy(plan);
        cn_graph_deinit(&g);
    }
}

// y = conv(x) + x: the result may not lie over x, which is still being read.
TEST(Plan, ResidualThatIsTheInputIsNotOverwritten) {
    cn_graph g;
    cn_plan* plan = nullptr;
    cn_graph_init(&g);
    cn_type t = type_of({1, 6, 6, 4}), kt = type_of({3, 3, 4, 4});
    cn_id x = cn_graph_ew1(&g, CN_EW_relu, cn_graph_input(&g, &t, "x"));
    cn_id in[] = {x, cn_graph_variable(&g, &kt, 0, "k"), CN_NONE, x};
    cn_attr attr = {};
    attr.conv.spatial = 2;
    attr.conv.groups = 1;
    for (int i = 0; i < 2; i++) attr.conv.strides[i] = attr.conv.dilation[i] = attr.conv.pad_lo[i] = attr.conv.pad_hi[i] = 1;
    cn_id y = cn_graph_add(&g, CN_OP_conv, in, 4, &attr);
    cn_graph_output(&g, y);
    ASSERT_EQ(cn_graph_verify(&g), CORNU_OK) << cornu_last_error();
    ASSERT_EQ(cn_plan_create(&g, 64, &plan), CORNU_OK);
    EXPECT_NE(plan->places[x].offset, plan->places[y].offset);
    cn_plan_destroy(plan);
    cn_graph_deinit(&g);
}

TEST(Plan, ConstantsAreNotRun) {
    cn_graph g;
    cn_plan* plan = nullptr;
    cn_graph_init(&g);
    cn_type t = type_of({4});
    cn_id x = cn_graph_input(&g, &t, "x"), w = cn_graph_variable(&g, &t, 0, "w");
    cn_id folded = cn_graph_ew1(&g, CN_EW_exp, cn_graph_ew2(&g, CN_EW_add, w, cn_graph_scalar(&g, CORNU_FLOAT32, 1)));
    cn_graph_output(&g, cn_graph_ew2(&g, CN_EW_mul, x, folded));
    ASSERT_EQ(cn_plan_create(&g, 64, &plan), CORNU_OK);
    EXPECT_EQ(plan->step_count, 1);
    ASSERT_EQ(plan->constant_count, 1);
    EXPECT_EQ(plan->constants[0], folded);
    cn_plan_destroy(plan);
    cn_graph_deinit(&g);
}

// ResNet-50's shapes at batch 1, as lowered and after the passes: the block is at most a tenth larger than the values that live at once.
TEST(Plan, AResidualNetworkFitsTightly) {
    for (bool passes : {false, true}) {
        cn_graph g;
        cn_plan* plan = nullptr;
        int slot = 0;
        cn_graph_init(&g);
        const auto variable = [&](std::initializer_list<int64_t> dims) {
            cn_type t = type_of(dims);
            return cn_graph_variable(&g, &t, slot++, "v");
        };
        const auto conv = [&](cn_id x, int64_t size, int64_t filters, int64_t stride, bool relu) {
            int64_t channels = g.types[x].dims[3];
            cn_attr a = {}, norm = {};
            a.conv.spatial = 2;
            a.conv.groups = 1;
            for (int i = 0; i < 2; i++) {
                a.conv.strides[i] = stride;
                a.conv.dilation[i] = 1;
                a.conv.pad_lo[i] = a.conv.pad_hi[i] = size / 2;
            }
            norm.norm.axes = 8;
            norm.norm.epsilon = 1e-3;
            const cn_id in[] = {x, variable({size, size, channels, filters})};
            cn_id y = cn_graph_ew2(&g, CN_EW_add, cn_graph_add(&g, CN_OP_conv, in, 2, &a), variable({filters}));
            const cn_id parts[] = {y, variable({filters}), variable({filters}), variable({filters}), variable({filters})};
            y = cn_graph_add(&g, CN_OP_batch_norm, parts, 5, &norm);
            return relu ? cn_graph_ew1(&g, CN_EW_relu, y) : y;
        };
        cn_type image = type_of({1, 224, 224, 3});
        cn_id x = conv(conv(cn_graph_input(&g, &image, "x"), 7, 64, 2, true), 3, 64, 2, true);
        const int64_t blocks[] = {3, 4, 6, 3};
        for (int stage = 0; stage < 4; stage++) {
            int64_t width = 64 << stage;
            for (int64_t b = 0; b < blocks[stage]; b++) {
                int64_t stride = stage > 0 && b == 0 ? 2 : 1;
                cn_id shortcut = b == 0 ? conv(x, 1, width * 4, stride, false) : x;
                cn_id y = conv(conv(conv(x, 1, width, stride, true), 3, width, 1, true), 1, width * 4, 1, false);
                x = cn_graph_ew1(&g, CN_EW_relu, cn_graph_ew2(&g, CN_EW_add, shortcut, y));
            }
        }
        cn_graph_output(&g, cn_graph_reduce(&g, x, CN_REDUCE_MEAN, 6, false));
        ASSERT_EQ(cn_graph_status(&g), CORNU_OK) << cornu_last_error();
        if (passes) {
            ASSERT_EQ(cn_pass_run(&g, nullptr), CORNU_OK) << cornu_last_error();
        }
        ASSERT_EQ(cn_plan_create(&g, 64, &plan), CORNU_OK);
        if (passes) EXPECT_EQ(plan->step_count, 54 + 1);  // convolutions and the mean
        EXPECT_LE((double)plan->arena_bytes, 1.1 * (double)plan->peak_bytes);
        cn_plan_destroy(plan);
        cn_graph_deinit(&g);
    }
}
