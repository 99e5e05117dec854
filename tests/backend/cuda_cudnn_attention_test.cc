// The stand-in for cuDNN's attention against a plain loop, and what the manual forbids.
#include "tests/backend/cudnn_graph.h"

namespace {

using namespace cudnn_host;

class HostDnnAttention : public HostDnn {
   protected:
    enum { Q = 11, K, V, O, SCALE };
    int64_t batch = 2, heads = 4, groups = 2, rows = 3, keys = 5, depth = 8, width = 16;
    bool token_major = false;  // [batch, row, head, depth] in memory
    int type = CN_DNN_DATA_FLOAT;
    Values q, k, v;
    char *q_at = nullptr, *k_at = nullptr, *v_at = nullptr, *o_at = nullptr;

    Tensor of(int64_t id, int64_t n, int64_t length, int64_t size) const {
        Dims dims = {batch, n, length, size};
        return {id, dims, token_major ? Dims{n * length * size, size, n * size, 1} : packed(dims, false), type};
    }
    Tensor q_of() const { return of(Q, heads, rows, depth); }
    Tensor k_of() const { return of(K, groups, keys, depth); }
    Tensor v_of() const { return of(V, groups, keys, width); }
    Tensor o_of() const { return of(O, heads, rows, width); }
    void upload_all() {
        q = random_values(type, count_of(q_of().dims), 5);
        k = random_values(type, count_of(k_of().dims), 6);
        v = random_values(type, count_of(v_of().dims), 7);
        q_at = upload(type, q_of().dims, q_of().strides, q);
        k_at = upload(type, k_of().dims, k_of().strides, k);
        v_at = upload(type, v_of().dims, v_of().strides, v);
        o_at = block((size_t)count_of(o_of().dims) * size_of(type));
    }
    cn_dnn_descriptor draft_attend(const Tensor& a, const Tensor& b, const Tensor& c, const Tensor& o,
                                   const Tensor* scale = nullptr) {
        cn_dnn_descriptor op = create(CN_DNN_BACKEND_OPERATION_SDPA_FWD_DESCRIPTOR);
        EXPECT_EQ(set(op, CN_DNN_ATTR_OPERATION_SDPA_FWD_QDESC, tensor(a)), 0);
        EXPECT_EQ(set(op, CN_DNN_ATTR_OPERATION_SDPA_FWD_KDESC, tensor(b)), 0);
        EXPECT_EQ(set(op, CN_DNN_ATTR_OPERATION_SDPA_FWD_VDESC, tensor(c)), 0);
        EXPECT_EQ(set(op, CN_DNN_ATTR_OPERATION_SDPA_FWD_ODESC, tensor(o)), 0);
        EXPECT_EQ(scale ? set(op, CN_DNN_ATTR_OPERATION_SDPA_FWD_SCALEDESC, tensor(*scale)) : 0, 0);
        return op;
    }
    cn_dnn_descriptor attend(const Tensor* scale = nullptr) {
        cn_dnn_descriptor op = draft_attend(q_of(), k_of(), v_of(), o_of(), scale);
        EXPECT_EQ(finalize(op), 0);
        return op;
    }
    cn_dnn_descriptor first_plan(cn_dnn_descriptor op) {
        for (const Engine& e : engines(graph({op}))) {
            int64_t bytes = 0;
            EXPECT_EQ(e.behavior, std::vector<int>{CN_DNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION});
            cn_dnn_descriptor p = e.has(CN_DNN_NUMERICAL_NOTE_NONDETERMINISTIC) ? nullptr : plan(e, &bytes);
            if (p && bytes == 0) return p;
        }
        ADD_FAILURE() << "no engine";
        return nullptr;
    }
    Values expected(double scale) const {
        Values out;
        for (int64_t i = 0; i < batch * heads * rows; i++) {
            int64_t at = i / (heads * rows) * groups + i / rows % heads / (heads / groups);
            Values p;
            double most = -INFINITY, total = 0;
            for (int64_t t = 0; t < keys; t++) {
                double sum = 0;
                for (int64_t j = 0; j < depth; j++)
                    sum += q[(size_t)(i * depth + j)] * k[(size_t)((at * keys + t) * depth + j)];
                p.push_back(sum * scale);
                most = std::max(most, p.back());
            }
            for (double& x : p) total += x = std::exp(x - most);
            for (int64_t j = 0; j < width; j++) {
                double sum = 0;
                for (int64_t t = 0; t < keys; t++) sum += p[(size_t)t] * v[(size_t)((at * keys + t) * width + j)];
                out.push_back(sum / total);
            }
        }
        return out;
    }
    void expect(double scale, const std::string& what) {
        Values got = read(o_at, type, o_of().dims, o_of().strides), want = expected(scale);
        double unit = type == CN_DNN_DATA_BFLOAT16 ? 1e-2 : 2e-3;  // weights and result are of 7 or 10 bits of fraction
        for (size_t i = 0; i < want.size(); i++) ASSERT_NEAR(got[i], want[i], unit) << what << ": element " << i;
    }
};

TEST_F(HostDnnAttention, IsAPlainLoop) {
    Tensor by_value = {SCALE, {1, 1, 1, 1}, {1, 1, 1, 1}, CN_DNN_DATA_FLOAT, 4, false, true}, on_device = by_value;
    on_device.by_value = false;
    for (int t : {CN_DNN_DATA_FLOAT, CN_DNN_DATA_HALF, CN_DNN_DATA_BFLOAT16}) {
        for (bool major : {false, true}) {
            float scale = 0.25f;
            type = t;
            token_major = major;
            upload_all();
            ASSERT_EQ(run(first_plan(attend()), {Q, K, V, O}, {q_at, k_at, v_at, o_at}), 0);
            expect(1, "no scale");
            ASSERT_EQ(run(first_plan(attend(&by_value)), {Q, K, V, O, SCALE}, {q_at, k_at, v_at, o_at, &scale}), 0);
            scale = 100;
            expect(0.25, "a scale by value, as it was when the work was put on the stream");
            ASSERT_EQ(run(first_plan(attend(&on_device)), {Q, K, V, O, SCALE}, {q_at, k_at, v_at, o_at, floats({2})}),
                      0);
            expect(2, "a scale on the device");
        }
    }
}

TEST_F(HostDnnAttention, WhatItForbids) {
    Tensor scale = {SCALE, {1, 1, 1, 1}, {1, 1, 1, 1}, CN_DNN_DATA_FLOAT, 4, false, true};
    float number = 1;
    auto status = [this](const Tensor& a, const Tensor& b, const Tensor& c, const Tensor& o,
                         const Tensor* x = nullptr) { return category(finalize(draft_attend(a, b, c, o, x))); };
    EXPECT_EQ(status(q_of(), k_of(), v_of(), o_of(), &scale), 0);
    EXPECT_EQ(status(q_of(), of(K, groups, depth, keys), v_of(), o_of()), CN_DNN_STATUS_BAD_PARAM) << "k transposed";
    Tensor more = q_of(), flat = q_of();
    more.dims[0] = 3;
    flat.dims = flat.strides = {8, 8, 1};
    EXPECT_EQ(status(more, k_of(), v_of(), o_of()), CN_DNN_STATUS_BAD_PARAM) << "batches";
    EXPECT_EQ(status(flat, k_of(), v_of(), o_of()), CN_DNN_STATUS_BAD_PARAM) << "three dimensions";
    EXPECT_EQ(status(q_of(), k_of(), of(V, groups, keys + 1, width), o_of()), CN_DNN_STATUS_BAD_PARAM) << "lengths";
    EXPECT_EQ(status(q_of(), of(K, 3, keys, depth), of(V, 3, keys, width), o_of()), CN_DNN_STATUS_BAD_PARAM) << "heads";
    EXPECT_EQ(status(q_of(), k_of(), v_of(), of(O, heads, rows, depth)), CN_DNN_STATUS_BAD_PARAM)
        << "width of the result";
    Tensor spread = q_of(), other = k_of(), wrong = scale;
    spread.strides[3] = 2;
    EXPECT_EQ(status(spread, k_of(), v_of(), o_of()), CN_DNN_STATUS_NOT_SUPPORTED) << "a stride within a head";
    other.type = CN_DNN_DATA_HALF;
    EXPECT_EQ(status(q_of(), other, v_of(), o_of()), CN_DNN_STATUS_NOT_SUPPORTED) << "types";
    wrong.type = CN_DNN_DATA_HALF;
    EXPECT_EQ(status(q_of(), k_of(), v_of(), o_of(), &wrong), CN_DNN_STATUS_BAD_PARAM) << "a scale of half";
    upload_all();
    cn_dnn_descriptor p = first_plan(attend(&scale));
    EXPECT_EQ(category(run(p, {Q, K, V, O, SCALE}, {q_at, k_at, v_at, o_at, floats({1})})), CN_DNN_STATUS_BAD_PARAM)
        << "a scale by value that lies on the device";
    EXPECT_EQ(category(run(p, {Q, K, V, O, SCALE}, {q_at, k_at, v_at, q_at, &number})), CN_DNN_STATUS_BAD_PARAM)
        << "the result on q";
    EXPECT_TRUE(engines(graph({attend()}), CN_DNN_HEUR_MODE_FALLBACK).empty());
    Tensor between = o_of(), loose = k_of();
    between.is_virtual = true;
    loose.alignment = 8;
    cn_dnn_descriptor op = draft_attend(q_of(), k_of(), v_of(), between),
                      other_op = draft_attend(q_of(), loose, v_of(), o_of());
    ASSERT_EQ(finalize(op) | finalize(other_op), 0);
    EXPECT_TRUE(engines(graph({op, pointwise(CN_DNN_POINTWISE_RELU_FWD, tensor(between), nullptr,
                                             tensor({Y, between.dims, between.strides}))}))
                    .empty())
        << "something behind it";
    EXPECT_TRUE(engines(graph({other_op})).empty()) << "aligned to 8 bytes";
    depth = 12;
    EXPECT_TRUE(engines(graph({attend()})).empty()) << "heads of 12";
}

}  // namespace
