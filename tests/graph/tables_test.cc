// Completeness: every row of the tables has what it needs, so that a new row fails until all of it exists.
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "backend/cpu/ref.h"
#include "graph/decompose.h"
#include "graph/graph.h"

TEST(Tables, EveryOpHasARowAndAShapeRule) {
    std::set<std::string> names;
    for (int op = 0; op < CN_OP_COUNT; op++) {
        const cn_op_info* info = cn_op_info_of((cn_op)op);
        ASSERT_NE(info, nullptr);
        EXPECT_TRUE(names.insert(info->name).second) << info->name;
        EXPECT_LE(info->min_inputs, info->max_inputs) << info->name;
        if (info->attr == CN_ATTR_port || info->attr == CN_ATTR_constant || info->attr == CN_ATTR_variable) continue;
        cn_attr attr = {};
        cn_type type = {}, out = {};
        type.dtype = CORNU_FLOAT32;
        const cn_type* in[8] = {&type, &type, &type, &type, &type, &type, &type, &type};
        (void)cn_infer((cn_op)op, &attr, in, info->min_inputs < 8 ? info->min_inputs : 8, &out);
        EXPECT_EQ(std::string(cornu_last_error()).find("its type is given"), std::string::npos) << info->name;
    }
    EXPECT_EQ(cn_op_info_of(CN_OP_COUNT), nullptr);
}

TEST(Tables, EveryOpHasAReference) {
    for (int op = 0; op < CN_OP_COUNT; op++) {
        const cn_op_info* info = cn_op_info_of((cn_op)op);
        if (info->attr == CN_ATTR_port || info->attr == CN_ATTR_constant || info->attr == CN_ATTR_variable) continue;
        EXPECT_TRUE(cn_ref_has((cn_op)op)) << info->name;
    }
}

// No op gets its form by being forgotten: those that need a kernel are named here, too.
TEST(Tables, EveryOpIsPrimitiveOrDecomposesOrNeedsAKernel) {
    const std::set<std::string> kernel = {"sort", "scatter", "linalg"};
    for (int op = 0; op < CN_OP_COUNT; op++) {
        const char* name = cn_op_info_of((cn_op)op)->name;
        EXPECT_EQ(cn_op_form_of((cn_op)op) == CN_FORM_KERNEL, kernel.count(name) == 1) << name;
        EXPECT_EQ(cn_decomposes((cn_op)op), cn_op_form_of((cn_op)op) == CN_FORM_COMPOSITE) << name;
    }
    EXPECT_TRUE(cn_decomposes(CN_OP_conv));
    EXPECT_FALSE(cn_decomposes(CN_OP_ew));
}

TEST(Tables, EveryElementwiseFunctionHasARow) {
    std::set<std::string> names;
    for (int fn = 0; fn < CN_EW_COUNT; fn++) {
        const cn_ew_info* info = cn_ew_info_of((cn_ew)fn);
        ASSERT_NE(info, nullptr);
        EXPECT_TRUE(names.insert(info->name).second) << info->name;
        EXPECT_GE(info->arity, 1);
        EXPECT_LE(info->arity, 3);
        EXPECT_NE(std::string(info->domains), "");
    }
}

TEST(Graph, FailuresStickAndNameTheShapes) {
    cn_graph g;
    cn_graph_init(&g);
    cn_type a = {}, b = {};
    a.dtype = b.dtype = CORNU_FLOAT32;
    a.ndim = b.ndim = 1;
    a.dims[0] = 3;
    b.dims[0] = 4;
    cn_id x = cn_graph_input(&g, &a, "x"), y = cn_graph_input(&g, &b, "y");
    cn_id z = cn_graph_ew2(&g, CN_EW_add, x, y);
    EXPECT_EQ(z, CN_NONE);
    EXPECT_EQ(cn_graph_status(&g), CORNU_BAD_ARGUMENT);
    EXPECT_STREQ(cornu_last_error(), "shapes f32[3] and f32[4] cannot be broadcast together");
    EXPECT_EQ(cn_graph_ew1(&g, CN_EW_relu, z), CN_NONE);
    cn_graph_deinit(&g);
}

TEST(Graph, RefusesTooManyElementsBeforeAllocating) {
    cn_graph g;
    cn_graph_init(&g);
    g.max_elements = 1000;
    cn_type a = {};
    a.dtype = CORNU_FLOAT32;
    a.ndim = 1;
    a.dims[0] = 10;
    cn_id x = cn_graph_input(&g, &a, "x");
    int64_t dims[] = {100000000, 100000000, 10};
    EXPECT_EQ(cn_graph_broadcast(&g, x, 3, dims), CN_NONE);
    EXPECT_EQ(cn_graph_status(&g), CORNU_NO_MEMORY);
    cn_graph_deinit(&g);
}

TEST(Graph, TextIsStable) {
    cn_graph g;
    cn_buf text = {};
    cn_graph_init(&g);
    cn_type a = {};
    a.dtype = CORNU_FLOAT32;
    a.ndim = 2;
    a.dims[0] = 2;
    a.dims[1] = 3;
    cn_id x = cn_graph_input(&g, &a, "x");
    cn_graph_output(&g, cn_graph_softmax(&g, cn_graph_ew1(&g, CN_EW_relu, x), 2));
    cn_graph_print(&g, &text);
    EXPECT_STREQ(text.data,
                 "%0 = input() { index=0 name=x } : f32[2,3]\n"
                 "%1 = ew(%0) { fn=relu } : f32[2,3]\n"
                 "%2 = softmax(%1) { axes=[1] } : f32[2,3]\n"
                 "return %2\n");
    cn_buf_deinit(&text);
    cn_graph_deinit(&g);
}
