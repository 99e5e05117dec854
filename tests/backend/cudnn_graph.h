// Descriptors of cuDNN's graph interface, made and asked.
#ifndef TESTS_BACKEND_CUDNN_GRAPH_H
#define TESTS_BACKEND_CUDNN_GRAPH_H

#include <algorithm>

#include "tests/backend/cudnn_host.h"

namespace cudnn_host {

enum { X = 1, W = 2, Y = 3, BIAS = 4, Z = 5, BETWEEN = 100 };

struct Tensor {
    int64_t id = X;
    Dims dims = {1, 1, 1, 1}, strides = packed({1, 1, 1, 1}, true);
    int type = CN_DNN_DATA_FLOAT;
    int64_t alignment = 16;
    bool is_virtual = false, by_value = false;
};

struct Engine {
    cn_dnn_descriptor config;
    std::vector<int> numerical, behavior;
    bool has(int note) const { return std::find(numerical.begin(), numerical.end(), note) != numerical.end(); }
};

class HostDnn : public Fixture {
   protected:
    // A tensor's descriptor, set and not finalized.
    cn_dnn_descriptor draft(const Tensor& t) {
        cn_dnn_descriptor x = create(CN_DNN_BACKEND_TENSOR_DESCRIPTOR);
        EXPECT_EQ(set(x, CN_DNN_ATTR_TENSOR_DATA_TYPE, CN_DNN_TYPE_DATA_TYPE, t.type), 0);
        EXPECT_EQ(set(x, CN_DNN_ATTR_TENSOR_DIMENSIONS, t.dims), 0);
        EXPECT_EQ(set(x, CN_DNN_ATTR_TENSOR_STRIDES, t.strides), 0);
        EXPECT_EQ(set(x, CN_DNN_ATTR_TENSOR_UNIQUE_ID, Dims{t.id}), 0);
        EXPECT_EQ(set(x, CN_DNN_ATTR_TENSOR_BYTE_ALIGNMENT, Dims{t.alignment}), 0);
        EXPECT_EQ(set(x, CN_DNN_ATTR_TENSOR_IS_VIRTUAL, CN_DNN_TYPE_BOOLEAN, std::vector<char>{t.is_virtual}), 0);
        EXPECT_EQ(set(x, CN_DNN_ATTR_TENSOR_IS_BY_VALUE, CN_DNN_TYPE_BOOLEAN, std::vector<char>{t.by_value}), 0);
        return x;
    }
    cn_dnn_descriptor tensor(const Tensor& t) {
        cn_dnn_descriptor x = draft(t);
        EXPECT_EQ(finalize(x), 0);
        return x;
    }

    struct Conv {
        Dims dilations, strides, before, after;
        Conv(int64_t axes = 2)
            : dilations((size_t)axes, 1), strides((size_t)axes, 1), before((size_t)axes, 0), after((size_t)axes, 0) {}
    };
    cn_dnn_descriptor draft(const Conv& c, int64_t axes) {
        cn_dnn_descriptor x = create(CN_DNN_BACKEND_CONVOLUTION_DESCRIPTOR);
        EXPECT_EQ(set(x, CN_DNN_ATTR_CONVOLUTION_SPATIAL_DIMS, Dims{axes}), 0);
        EXPECT_EQ(set(x, CN_DNN_ATTR_CONVOLUTION_COMP_TYPE, CN_DNN_TYPE_DATA_TYPE, CN_DNN_DATA_FLOAT), 0);
        EXPECT_EQ(set(x, CN_DNN_ATTR_CONVOLUTION_CONV_MODE, CN_DNN_TYPE_CONVOLUTION_MODE, CN_DNN_CROSS_CORRELATION), 0);
        EXPECT_EQ(set(x, CN_DNN_ATTR_CONVOLUTION_DILATIONS, c.dilations), 0);
        EXPECT_EQ(set(x, CN_DNN_ATTR_CONVOLUTION_FILTER_STRIDES, c.strides), 0);
        EXPECT_EQ(set(x, CN_DNN_ATTR_CONVOLUTION_PRE_PADDINGS, c.before), 0);
        EXPECT_EQ(set(x, CN_DNN_ATTR_CONVOLUTION_POST_PADDINGS, c.after), 0);
        return x;
    }
    cn_dnn_descriptor draft_convolve(const Conv& c, cn_dnn_descriptor x, cn_dnn_descriptor w, cn_dnn_descriptor y,
                                     float alpha = 1, float beta = 0) {
        cn_dnn_descriptor conv = draft(c, (int64_t)c.strides.size()),
                          op = create(CN_DNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR);
        EXPECT_EQ(finalize(conv), 0);
        EXPECT_EQ(set(op, CN_DNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, conv), 0);
        EXPECT_EQ(set(op, CN_DNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, x), 0);
        EXPECT_EQ(set(op, CN_DNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, w), 0);
        EXPECT_EQ(set(op, CN_DNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, y), 0);
        EXPECT_EQ(
            set(op, CN_DNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CN_DNN_TYPE_FLOAT, std::vector<float>{alpha}), 0);
        EXPECT_EQ(set(op, CN_DNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, CN_DNN_TYPE_FLOAT, std::vector<float>{beta}),
                  0);
        return op;
    }
    cn_dnn_descriptor convolve(const Conv& c, cn_dnn_descriptor x, cn_dnn_descriptor w, cn_dnn_descriptor y) {
        cn_dnn_descriptor op = draft_convolve(c, x, w, y);
        EXPECT_EQ(finalize(op), 0);
        return op;
    }
    cn_dnn_descriptor pointwise_mode(int mode) {
        cn_dnn_descriptor x = create(CN_DNN_BACKEND_POINTWISE_DESCRIPTOR);
        EXPECT_EQ(set(x, CN_DNN_ATTR_POINTWISE_MODE, CN_DNN_TYPE_POINTWISE_MODE, mode), 0);
        EXPECT_EQ(set(x, CN_DNN_ATTR_POINTWISE_MATH_PREC, CN_DNN_TYPE_DATA_TYPE, CN_DNN_DATA_FLOAT), 0);
        EXPECT_EQ(finalize(x), 0);
        return x;
    }
    cn_dnn_descriptor draft_pointwise(int mode, cn_dnn_descriptor x, cn_dnn_descriptor b, cn_dnn_descriptor y) {
        cn_dnn_descriptor op = create(CN_DNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
        EXPECT_EQ(set(op, CN_DNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, pointwise_mode(mode)), 0);
        EXPECT_EQ(set(op, CN_DNN_ATTR_OPERATION_POINTWISE_XDESC, x), 0);
        EXPECT_EQ(set(op, CN_DNN_ATTR_OPERATION_POINTWISE_YDESC, y), 0);
        EXPECT_EQ(b ? set(op, CN_DNN_ATTR_OPERATION_POINTWISE_BDESC, b) : 0, 0);
        return op;
    }
    cn_dnn_descriptor pointwise(int mode, cn_dnn_descriptor x, cn_dnn_descriptor b, cn_dnn_descriptor y) {
        cn_dnn_descriptor op = draft_pointwise(mode, x, b, y);
        EXPECT_EQ(finalize(op), 0);
        return op;
    }
    cn_dnn_descriptor draft_graph(const std::vector<cn_dnn_descriptor>& ops) {
        cn_dnn_descriptor g = create(CN_DNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
        EXPECT_EQ(set(g, CN_DNN_ATTR_OPERATIONGRAPH_HANDLE, CN_DNN_TYPE_HANDLE, std::vector<cn_dnn_handle_t>{handle}),
                  0);
        EXPECT_EQ(set(g, CN_DNN_ATTR_OPERATIONGRAPH_OPS, CN_DNN_TYPE_BACKEND_DESCRIPTOR, ops), 0);
        return g;
    }
    cn_dnn_descriptor graph(const std::vector<cn_dnn_descriptor>& ops) {
        cn_dnn_descriptor g = draft_graph(ops);
        EXPECT_EQ(finalize(g), 0);
        return g;
    }

    // The engines of a graph, best first; *st is that of the heuristic.
    std::vector<Engine> engines(cn_dnn_descriptor g, int mode = CN_DNN_HEUR_MODE_A, cn_dnn_status* st = nullptr) {
        cn_dnn_descriptor heuristic = create(CN_DNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
        std::vector<Engine> out;
        std::vector<cn_dnn_descriptor> configs;
        int64_t count = 0, again = 0;
        EXPECT_EQ(set(heuristic, CN_DNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, g), 0);
        EXPECT_EQ(set(heuristic, CN_DNN_ATTR_ENGINEHEUR_MODE, CN_DNN_TYPE_HEUR_MODE, mode), 0);
        cn_dnn_status found = finalize(heuristic);
        EXPECT_TRUE(st || found == 0) << found;
        if (st) *st = found;
        if (found != 0) return out;
        EXPECT_EQ(d->BackendGetAttribute(heuristic, CN_DNN_ATTR_ENGINEHEUR_RESULTS, CN_DNN_TYPE_BACKEND_DESCRIPTOR, 0,
                                         &count, nullptr),
                  0);
        for (int64_t i = 0; i < count; i++) configs.push_back(create(CN_DNN_BACKEND_ENGINECFG_DESCRIPTOR));
        EXPECT_EQ(d->BackendGetAttribute(heuristic, CN_DNN_ATTR_ENGINEHEUR_RESULTS, CN_DNN_TYPE_BACKEND_DESCRIPTOR,
                                         count, &again, configs.data()),
                  0);
        EXPECT_LT(again, count) << "without room, some are counted that do not fit";
        configs.resize((size_t)again);
        for (cn_dnn_descriptor config : configs) {
            cn_dnn_descriptor engine = create(CN_DNN_BACKEND_ENGINE_DESCRIPTOR);
            EXPECT_EQ(d->BackendGetAttribute(config, CN_DNN_ATTR_ENGINECFG_ENGINE, CN_DNN_TYPE_BACKEND_DESCRIPTOR, 1,
                                             &count, &engine),
                      0);
            out.push_back({config, notes(engine, CN_DNN_ATTR_ENGINE_NUMERICAL_NOTE, CN_DNN_TYPE_NUMERICAL_NOTE),
                           notes(engine, CN_DNN_ATTR_ENGINE_BEHAVIOR_NOTE, CN_DNN_TYPE_BEHAVIOR_NOTE)});
        }
        return out;
    }
    std::vector<int> notes(cn_dnn_descriptor engine, int attribute, int type) {
        std::vector<int> out(CN_DNN_NUMERICAL_NOTE_TYPE_COUNT);
        int64_t count = 0;
        EXPECT_EQ(d->BackendGetAttribute(engine, attribute, type, CN_DNN_NUMERICAL_NOTE_TYPE_COUNT, &count, out.data()),
                  0);
        out.resize((size_t)count);
        return out;
    }
    // A plan's descriptor; *bytes of workspace. NULL where it cannot be built.
    cn_dnn_descriptor plan(const Engine& e, int64_t* bytes = nullptr) {
        cn_dnn_descriptor p = create(CN_DNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
        int64_t count = 0, size = 0;
        EXPECT_EQ(set(p, CN_DNN_ATTR_EXECUTION_PLAN_HANDLE, CN_DNN_TYPE_HANDLE, std::vector<cn_dnn_handle_t>{handle}),
                  0);
        EXPECT_EQ(set(p, CN_DNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, e.config), 0);
        cn_dnn_status st = finalize(p);
        EXPECT_TRUE(st == 0 || category(st) == CN_DNN_STATUS_NOT_SUPPORTED) << st;
        if (st != 0) return nullptr;
        EXPECT_EQ(
            d->BackendGetAttribute(p, CN_DNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CN_DNN_TYPE_INT64, 1, &count, &size),
            0);
        EXPECT_EQ(count, 1);
        if (bytes) *bytes = size;
        return p;
    }
    // The first plan without notes and without workspace.
    cn_dnn_descriptor strict(cn_dnn_descriptor g) {
        for (const Engine& e : engines(g)) {
            int64_t bytes = 0;
            if (!e.numerical.empty() || !e.behavior.empty()) continue;
            cn_dnn_descriptor p = plan(e, &bytes);
            if (p && bytes == 0) return p;
        }
        ADD_FAILURE() << "no strict engine";
        return nullptr;
    }
    cn_dnn_descriptor draft_pack(const Dims& ids, const std::vector<void*>& addresses, void* workspace = nullptr) {
        cn_dnn_descriptor v = create(CN_DNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
        EXPECT_EQ(set(v, CN_DNN_ATTR_VARIANT_PACK_UNIQUE_IDS, ids), 0);
        EXPECT_EQ(set(v, CN_DNN_ATTR_VARIANT_PACK_DATA_POINTERS, CN_DNN_TYPE_VOID_PTR, addresses), 0);
        EXPECT_EQ(set(v, CN_DNN_ATTR_VARIANT_PACK_WORKSPACE, CN_DNN_TYPE_VOID_PTR, std::vector<void*>{workspace}), 0);
        return v;
    }
    cn_dnn_status run(cn_dnn_descriptor p, const Dims& ids, const std::vector<void*>& addresses,
                      void* workspace = nullptr) {
        cn_dnn_descriptor v = draft_pack(ids, addresses, workspace);
        EXPECT_EQ(finalize(v), 0);
        return d->BackendExecute(handle, p, v);
    }
};

}  // namespace cudnn_host

#endif
