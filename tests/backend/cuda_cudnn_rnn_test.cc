// The stand-in for cuDNN's recurrent layers: results against the formulas of the manual, and what the manual forbids.
#include <algorithm>

#include "tests/backend/cudnn_host.h"

namespace {

using namespace cudnn_host;

double sigmoid(double v) { return 1 / (1 + std::exp(-v)); }

class HostDnnRnn : public Fixture {
   protected:
    struct Options {
        int algorithm = CN_DNN_RNN_ALGO_STANDARD, cell = CN_DNN_LSTM, bias = CN_DNN_RNN_DOUBLE_BIAS,
            direction = CN_DNN_UNIDIRECTIONAL, input = CN_DNN_LINEAR_INPUT;
        int type = CN_DNN_DATA_FLOAT, sums = CN_DNN_DATA_FLOAT, math = CN_DNN_FMA_MATH;
        int size = 5, units = 4, projection = 4, layers = 1;
        unsigned flags = CN_DNN_RNN_PADDED_IO_ENABLED;
    };
    Options o;
    int batch = 3, steps = 4;
    std::vector<int> lengths = {4, 0, 2};
    float fill = -7;
    cn_dnn_dropout_t dropout = nullptr;
    cn_dnn_rnn_t rnn = nullptr;
    cn_dnn_rnn_data_t x_data = nullptr, y_data = nullptr;
    cn_dnn_tensor_t state = nullptr, matrix = nullptr, vector = nullptr;
    size_t weight_bytes = 0, work_bytes = 0, reserve_bytes = 0;
    std::vector<Values> matrices, vectors;
    Values x, h, c;
    char *x_at = nullptr, *y_at = nullptr, *h_at = nullptr, *c_at = nullptr, *h_out = nullptr, *c_out = nullptr,
         *weights = nullptr, *work = nullptr;
    int32_t* lengths_at = nullptr;

    HostDnnRnn() {
        EXPECT_EQ(d->CreateDropoutDescriptor(&dropout), 0);
        EXPECT_EQ(d->CreateRNNDescriptor(&rnn), 0);
        EXPECT_EQ(d->CreateRNNDataDescriptor(&x_data), 0);
        EXPECT_EQ(d->CreateRNNDataDescriptor(&y_data), 0);
        for (cn_dnn_tensor_t* t : {&state, &matrix, &vector}) EXPECT_EQ(d->CreateTensorDescriptor(t), 0);
    }
    ~HostDnnRnn() override {
        EXPECT_EQ(d->DestroyRNNDescriptor(rnn), 0);
        EXPECT_EQ(dropout ? d->DestroyDropoutDescriptor(dropout) : 0, 0);
        EXPECT_EQ(d->DestroyRNNDataDescriptor(x_data), 0);
        EXPECT_EQ(d->DestroyRNNDataDescriptor(y_data), 0);
        for (cn_dnn_tensor_t t : {state, matrix, vector}) EXPECT_EQ(d->DestroyTensorDescriptor(t), 0);
    }

    int gates() const { return o.cell == CN_DNN_LSTM ? 4 : o.cell == CN_DNN_GRU ? 3 : 1; }
    int set_rnn(const Options& with) {
        EXPECT_EQ(d->SetDropoutDescriptor(dropout, handle, 0, nullptr, 0, 0), 0);
        return category(d->SetRNNDescriptor_v8(rnn, with.algorithm, with.cell, with.bias, with.direction, with.input,
                                               with.type, with.sums, with.math, with.size, with.units, with.projection,
                                               with.layers, dropout, with.flags));
    }
    int set_data(cn_dnn_rnn_data_t data, int size, void* padding = nullptr) {
        return category(d->SetRNNDataDescriptor(data, o.type, CN_DNN_RNN_DATA_LAYOUT_BATCH_MAJOR_UNPACKED, steps, batch,
                                                size, lengths.data(), padding));
    }
    int set_state(int rows, int units) {
        int dims[3] = {1, rows, units}, strides[3] = {rows * units, units, 1};
        return category(d->SetTensorNdDescriptor(state, o.type, 3, dims, strides));
    }
    char* random_block(int64_t count, unsigned seed, Values* out) {
        *out = random_values(o.type, count, seed);
        return upload(o.type, {count}, {1}, *out);
    }
    // Sets all descriptors and puts all that a run needs on the device.
    void prepare() {
        unsigned char padding[4] = {};
        __half half = __float2half(fill);
        __nv_bfloat16 brain = __float2bfloat16(fill);
        memcpy(padding,
               o.type == CN_DNN_DATA_FLOAT  ? (void*)&fill
               : o.type == CN_DNN_DATA_HALF ? (void*)&half
                                            : (void*)&brain,
               size_of(o.type));
        ASSERT_EQ(set_rnn(o), 0);
        ASSERT_EQ(set_data(x_data, o.size), 0);
        ASSERT_EQ(set_data(y_data, o.units, padding), 0);
        ASSERT_EQ(set_state(batch, o.units), 0);
        ASSERT_EQ(d->GetRNNWeightSpaceSize(handle, rnn, &weight_bytes), 0);
        ASSERT_EQ(d->GetRNNTempSpaceSizes(handle, rnn, CN_DNN_FWD_MODE_INFERENCE, x_data, &work_bytes, &reserve_bytes),
                  0);
        EXPECT_EQ(reserve_bytes, 0u) << "of training only";
        weights = block(weight_bytes);
        work = block(work_bytes);
        x_at = random_block(batch * steps * o.size, 1, &x);
        h_at = random_block(batch * o.units, 2, &h);
        c_at = random_block(batch * o.units, 3, &c);
        y_at = block((size_t)(batch * steps * o.units) * size_of(o.type));
        h_out = block((size_t)(batch * o.units) * size_of(o.type));
        c_out = block((size_t)(batch * o.units) * size_of(o.type));
        lengths_at = (int32_t*)block((size_t)batch * 4);
        put_lengths(lengths);
        put_weights();
    }
    void put_lengths(const std::vector<int>& values) {
        ASSERT_EQ(cuda->MemcpyAsync(lengths_at, values.data(), values.size() * 4, cudaMemcpyHostToDevice, s),
                  cudaSuccess);
        ASSERT_EQ(cuda->StreamSynchronize(s), cudaSuccess);
    }
    void put_weights() {
        char* last = weights;
        matrices.clear();
        vectors.clear();
        for (int id = 0; id < 2 * gates(); id++) {
            void *m_at = nullptr, *v_at = nullptr;
            int type = -1, ndim = 0, dims[8], strides[8], size = id < gates() ? o.size : o.units;
            ASSERT_EQ(d->GetRNNWeightParams(handle, rnn, 0, weight_bytes, weights, id, matrix, &m_at, vector, &v_at),
                      0);
            ASSERT_EQ(d->GetTensorNdDescriptor(matrix, 8, &type, &ndim, dims, strides), 0);
            EXPECT_EQ(std::vector<int>(dims, dims + ndim), (std::vector<int>{1, o.units, size}));
            EXPECT_EQ(std::vector<int>(strides, strides + ndim), (std::vector<int>{o.units * size, size, 1}));
            EXPECT_EQ(type, o.type);
            ASSERT_EQ(d->GetTensorNdDescriptor(vector, 8, &type, &ndim, dims, strides), 0);
            EXPECT_EQ(std::vector<int>(dims, dims + ndim), (std::vector<int>{1, o.units, 1}));
            EXPECT_TRUE(id == 0 || (char*)m_at > last) << "matrices do not lie one behind the other";
            last = (char*)m_at + (size_t)(o.units * size) * size_of(o.type);
            matrices.push_back(random_values(o.type, o.units * size, 10 + (unsigned)id));
            vectors.push_back(random_values(o.type, o.units, 30 + (unsigned)id));
            put(m_at, o.type, {o.units * size}, {1}, matrices.back());
            put(v_at, o.type, {o.units}, {1}, vectors.back());
        }
    }
    cn_dnn_status forward() {
        bool lstm = o.cell == CN_DNN_LSTM;
        return d->RNNForward(handle, rnn, CN_DNN_FWD_MODE_INFERENCE, lengths_at, x_data, x_at, y_data, y_at, state,
                             h_at, h_out, lstm ? state : nullptr, lstm ? c_at : nullptr, lstm ? c_out : nullptr,
                             weight_bytes, weights, work_bytes, work, 0, nullptr);
    }

    // The formulas of the manual, in double; f rounds the inputs of products.
    template <typename F>
    void expected(F f, Values* y, Values* h_end, Values* c_end) const {
        int n = gates(), units = o.units;
        for (int b = 0; b < batch; b++) {
            Values now(units), cell(units);
            for (int u = 0; u < units; u++)
                now[(size_t)u] = h_at ? h[(size_t)(b * units + u)] : 0,
                cell[(size_t)u] = c_at ? c[(size_t)(b * units + u)] : 0;
            for (int t = 0; t < steps; t++) {
                Values next = now;
                for (int u = 0; u < units && t < lengths[(size_t)b]; u++) {
                    double in[4], back[4];
                    for (int g = 0; g < n; g++) {
                        in[g] = vectors[(size_t)g][(size_t)u];
                        back[g] = vectors[(size_t)(n + g)][(size_t)u];
                        for (int i = 0; i < o.size; i++)
                            in[g] += f(matrices[(size_t)g][(size_t)(u * o.size + i)]) *
                                     f(x[(size_t)((b * steps + t) * o.size + i)]);
                        for (int i = 0; i < units; i++)
                            back[g] += f(matrices[(size_t)(n + g)][(size_t)(u * units + i)]) * f(now[(size_t)i]);
                    }
                    double& v = next[(size_t)u];
                    double& k = cell[(size_t)u];
                    if (o.cell == CN_DNN_LSTM)
                        k = sigmoid(in[1] + back[1]) * k + sigmoid(in[0] + back[0]) * std::tanh(in[2] + back[2]),
                        v = sigmoid(in[3] + back[3]) * std::tanh(k);
                    else if (o.cell == CN_DNN_GRU) {
                        double z = sigmoid(in[1] + back[1]);
                        v = (1 - z) * std::tanh(in[2] + sigmoid(in[0] + back[0]) * back[2]) + z * v;
                    } else v = o.cell == CN_DNN_RNN_TANH ? std::tanh(in[0] + back[0]) : std::max(0.0, in[0] + back[0]);
                }
                now = next;
                for (int u = 0; u < units; u++) y->push_back(t < lengths[(size_t)b] ? now[(size_t)u] : fill);
            }
            h_end->insert(h_end->end(), now.begin(), now.end());
            c_end->insert(c_end->end(), cell.begin(), cell.end());
        }
    }
    void near(const void* at, const Values& want, double unit, const std::string& what) {
        Values got = read(at, o.type, {(int64_t)want.size()}, {1});
        for (size_t i = 0; i < want.size(); i++) ASSERT_NEAR(got[i], want[i], unit) << what << ": element " << i;
    }
    template <typename F>
    void expect(F f, const std::string& what) {
        Values y, h_end, c_end;
        double unit = o.type == CN_DNN_DATA_FLOAT  ? 2e-6
                      : o.type == CN_DNN_DATA_HALF ? 6e-3
                                                   : 5e-2;  // a few roundings of the state to its type
        expected(f, &y, &h_end, &c_end);
        near(y_at, y, unit, what + ", y");
        if (h_out) near(h_out, h_end, unit, what + ", hy");
        if (c_out && o.cell == CN_DNN_LSTM) near(c_out, c_end, unit, what + ", cy");
    }
    static double same(double v) { return v; }
};

TEST_F(HostDnnRnn, IsTheFormulasOfTheManual) {
    for (int cell : {CN_DNN_LSTM, CN_DNN_GRU, CN_DNN_RNN_TANH, CN_DNN_RNN_RELU}) {
        for (int type : {CN_DNN_DATA_FLOAT, CN_DNN_DATA_HALF, CN_DNN_DATA_BFLOAT16}) {
            std::string what = "cell " + std::to_string(cell) + ", type " + std::to_string(type);
            o.cell = cell;
            o.type = type;
            prepare();
            ASSERT_EQ(forward(), 0);
            expect(same, what);
            h_at = c_at = h_out = c_out = nullptr;
            ASSERT_EQ(forward(), 0);
            expect(same, what + ", no states");
        }
    }
}

TEST_F(HostDnnRnn, StrictOnlyWithFma) {
    lengths = {4, 4, 4};
    for (int math :
         {CN_DNN_FMA_MATH, CN_DNN_DEFAULT_MATH, CN_DNN_TENSOR_OP_MATH, CN_DNN_TENSOR_OP_MATH_ALLOW_CONVERSION}) {
        Values y, rough, unused;
        o.math = math;
        prepare();
        ASSERT_EQ(forward(), 0);
        if (math == CN_DNN_FMA_MATH) {
            expect(same, "strict");
            continue;
        }
        Values got = read(y_at, o.type, {batch * steps * o.units}, {1});
        double worst = 0;
        expected(same, &y, &unused, &unused);
        expected(tf32, &rough, &unused, &unused);
        for (size_t i = 0; i < y.size(); i++) worst = std::max(worst, std::fabs(got[i] - y[i]));
        for (size_t i = 0; i < y.size(); i++) EXPECT_NEAR(got[i], rough[i], 2e-3);
        EXPECT_GT(worst, 1e-5) << "inputs of products are TF32";
    }
}

TEST_F(HostDnnRnn, PaddingAndWorkspaceAreGarbage) {
    prepare();
    ASSERT_EQ(set_data(y_data, o.units), 0);
    ASSERT_EQ(forward(), 0);
    Values y = read(y_at, o.type, {batch, steps, o.units}, {steps * o.units, o.units, 1});
    EXPECT_TRUE(std::isnan(y[(size_t)(steps * o.units)])) << "no padding is named";
    EXPECT_FALSE(std::isnan(y[0]));
    EXPECT_TRUE(std::isnan(read(work, CN_DNN_DATA_FLOAT, {(int64_t)work_bytes / 4}, {1})[0]));
}

TEST_F(HostDnnRnn, DescriptorsThatAreNone) {
    auto status = [this](void (*change)(Options*)) {
        Options with = o;
        change(&with);
        return set_rnn(with);
    };
    EXPECT_EQ(d->SetRNNDescriptor_v8(rnn, 0, CN_DNN_LSTM, 2, 0, 0, 0, 0, 3, 5, 4, 4, 1, dropout, 1) / 1000, 2)
        << "dropout never set";
    EXPECT_EQ(status([](Options*) {}), 0);
    EXPECT_EQ(status([](Options* w) { w->units = 0; }), CN_DNN_STATUS_BAD_PARAM);
    EXPECT_EQ(status([](Options* w) { w->size = 0; }), CN_DNN_STATUS_BAD_PARAM);
    EXPECT_EQ(status([](Options* w) { w->projection = 0; }), CN_DNN_STATUS_BAD_PARAM);
    EXPECT_EQ(status([](Options* w) { w->flags = 2; }), CN_DNN_STATUS_BAD_PARAM);
    EXPECT_EQ(status([](Options* w) { w->math = 4; }), CN_DNN_STATUS_BAD_PARAM);
    EXPECT_EQ(status([](Options* w) { w->cell = 9; }), CN_DNN_STATUS_BAD_PARAM);
    EXPECT_EQ(status([](Options* w) { w->projection = 2; }), CN_DNN_STATUS_NOT_SUPPORTED);
    EXPECT_EQ(status([](Options* w) { w->layers = 2; }), CN_DNN_STATUS_NOT_SUPPORTED);
    EXPECT_EQ(status([](Options* w) { w->direction = 1; }), CN_DNN_STATUS_NOT_SUPPORTED);
    EXPECT_EQ(status([](Options* w) { w->bias = 1; }), CN_DNN_STATUS_NOT_SUPPORTED);
    EXPECT_EQ(status([](Options* w) { w->input = 1; }), CN_DNN_STATUS_NOT_SUPPORTED);
    EXPECT_EQ(status([](Options* w) { w->sums = CN_DNN_DATA_HALF; }), CN_DNN_STATUS_NOT_SUPPORTED);
    EXPECT_EQ(status([](Options* w) { w->algorithm = 2; }), CN_DNN_STATUS_NOT_SUPPORTED);
    EXPECT_EQ(category(d->SetDropoutDescriptor(dropout, handle, 0.5f, nullptr, 0, 0)), CN_DNN_STATUS_NOT_SUPPORTED);
    EXPECT_EQ(category(d->SetDropoutDescriptor(dropout, handle, 2, nullptr, 0, 0)), CN_DNN_STATUS_BAD_PARAM);
    auto data = [this](int layout, int n, int longest, const int* all) {
        return category(d->SetRNNDataDescriptor(x_data, o.type, layout, longest, n, 5, all, nullptr));
    };
    int some[3] = {4, 0, 2}, negative[3] = {4, -1, 2};
    EXPECT_EQ(data(2, 3, 4, some), 0);
    EXPECT_EQ(data(2, 3, 3, some), CN_DNN_STATUS_BAD_PARAM) << "longer than the longest";
    EXPECT_EQ(data(2, 3, 4, negative), CN_DNN_STATUS_BAD_PARAM);
    EXPECT_EQ(data(2, 3, 4, nullptr), CN_DNN_STATUS_BAD_PARAM);
    EXPECT_EQ(data(2, 0, 4, some), CN_DNN_STATUS_BAD_PARAM);
    EXPECT_EQ(data(0, 3, 4, some), CN_DNN_STATUS_NOT_SUPPORTED);
    int dims[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1}, zero[3] = {1, 0, 1};
    EXPECT_EQ(category(d->SetTensorNdDescriptor(state, 0, 3, zero, dims)), CN_DNN_STATUS_BAD_PARAM);
    EXPECT_EQ(category(d->SetTensorNdDescriptor(state, 0, 9, dims, dims)), CN_DNN_STATUS_NOT_SUPPORTED);
    EXPECT_EQ(category(d->SetTensorNdDescriptor(nullptr, 0, 3, dims, dims)), CN_DNN_STATUS_BAD_PARAM);
}

TEST_F(HostDnnRnn, NothingWhereSomethingBelongs) {
    auto bad = [](cn_dnn_status st, const char* what) { EXPECT_EQ(category(st), CN_DNN_STATUS_BAD_PARAM) << what; };
    int type = 0, ndim = 0, dims[9] = {1, 1, 1}, strides[9] = {1, 1, 1};
    int64_t invented = 0;
    size_t bytes = 0;
    void *m_at = nullptr, *v_at = nullptr;
    bad(d->CreateTensorDescriptor(nullptr), "a place");
    bad(d->CreateDropoutDescriptor(nullptr), "a place");
    bad(d->CreateRNNDescriptor(nullptr), "a place");
    bad(d->CreateRNNDataDescriptor(nullptr), "a place");
    bad(d->DestroyTensorDescriptor((cn_dnn_tensor_t)&invented), "a tensor descriptor");
    bad(d->DestroyDropoutDescriptor((cn_dnn_dropout_t)&invented), "a dropout descriptor");
    bad(d->DestroyRNNDescriptor((cn_dnn_rnn_t)&invented), "an RNN descriptor");
    bad(d->DestroyRNNDataDescriptor((cn_dnn_rnn_data_t)&invented), "a data descriptor");
    bad(d->SetTensorNdDescriptor(state, o.type, 3, nullptr, strides), "dimensions");
    bad(d->SetTensorNdDescriptor(state, 1, 3, dims, strides), "a type");
    bad(d->GetTensorNdDescriptor(state, 3, &type, &ndim, dims, strides), "a tensor descriptor that was set");
    bad(d->GetTensorNdDescriptor(nullptr, 3, &type, &ndim, dims, strides), "a tensor descriptor");
    ASSERT_EQ(set_state(2, 3), 0);
    bad(d->GetTensorNdDescriptor(state, 3, &type, &ndim, nullptr, strides), "a place for the dimensions");
    EXPECT_EQ(category(d->GetTensorNdDescriptor(state, 9, &type, &ndim, dims, strides)), CN_DNN_STATUS_NOT_SUPPORTED);
    bad(d->SetDropoutDescriptor(nullptr, handle, 0, nullptr, 0, 0), "a dropout descriptor");
    bad(d->SetRNNDescriptor_v8(rnn, 0, CN_DNN_LSTM, 2, 0, 0, 0, 0, 3, 5, 4, 4, 1, nullptr, 1), "a dropout descriptor");
    EXPECT_EQ(d->SetDropoutDescriptor(dropout, handle, 0, nullptr, 0, 0), 0);
    bad(d->SetRNNDescriptor_v8(nullptr, 0, CN_DNN_LSTM, 2, 0, 0, 0, 0, 3, 5, 4, 4, 1, dropout, 1), "an RNN descriptor");
    bad(d->SetRNNDataDescriptor(nullptr, o.type, 2, steps, batch, o.size, lengths.data(), nullptr),
        "a data descriptor");
    EXPECT_EQ(category(d->SetRNNDataDescriptor(x_data, 1, 2, steps, batch, o.size, lengths.data(), nullptr)),
              CN_DNN_STATUS_NOT_SUPPORTED)
        << "of double";
    ASSERT_EQ(set_rnn(o), 0);
    bad(d->GetRNNTempSpaceSizes(handle, rnn, CN_DNN_FWD_MODE_INFERENCE, x_data, &bytes, &bytes),
        "a data descriptor that was set");
    prepare();
    bad(d->GetRNNTempSpaceSizes(handle, rnn, CN_DNN_FWD_MODE_INFERENCE, x_data, nullptr, nullptr), "a place");
    bad(d->GetRNNWeightSpaceSize(handle, rnn, nullptr), "a place");
    bad(d->GetRNNWeightParams(handle, rnn, 0, weight_bytes, weights, 0, nullptr, &m_at, vector, &v_at),
        "a tensor descriptor");
    bad(d->GetRNNWeightParams(handle, rnn, 0, weight_bytes, weights, 0, matrix, nullptr, vector, &v_at), "a place");
    EXPECT_EQ(d->SetStream(handle, nullptr), 0);
    bad(forward(), "a stream");
    EXPECT_EQ(d->SetStream(handle, s), 0);
    bad(d->RNNForward(handle, rnn, 0, lengths_at, x_data, x_at, y_data, y_at, state, h_at, h_out, state, c_at, c_out,
                      weight_bytes, weights, work_bytes, work, 16, nullptr),
        "a reserve space");
}

TEST_F(HostDnnRnn, DescriptorsThatDoNotFit) {
    int dims[3] = {1, batch, o.units}, spread[3] = {batch * o.units * 2, o.units * 2, 2};
    size_t bytes = 0;
    prepare();
    ASSERT_EQ(d->SetTensorNdDescriptor(state, o.type, 3, dims, spread), 0);
    EXPECT_EQ(category(forward()), CN_DNN_STATUS_BAD_PARAM) << "a state that is not packed";
    ASSERT_EQ(set_state(batch, o.units), 0);
    o.type = CN_DNN_DATA_HALF;
    ASSERT_EQ(set_state(batch, o.units), 0);
    EXPECT_EQ(category(forward()), CN_DNN_STATUS_BAD_PARAM) << "a state of another type";
    o.type = CN_DNN_DATA_FLOAT;
    ASSERT_EQ(set_state(batch, o.units), 0);
    o.type = CN_DNN_DATA_HALF;
    ASSERT_EQ(set_data(x_data, o.size), 0);
    EXPECT_EQ(category(forward()), CN_DNN_STATUS_BAD_PARAM) << "x of another type";
    o.type = CN_DNN_DATA_FLOAT;
    lengths = {4, 4, 4};
    ASSERT_EQ(set_data(x_data, o.size), 0);
    o.algorithm = CN_DNN_RNN_ALGO_PERSIST_STATIC_SMALL_H;
    o.units = o.projection = 512;
    ASSERT_EQ(set_rnn(o), 0);
    EXPECT_EQ(category(d->GetRNNTempSpaceSizes(handle, rnn, CN_DNN_FWD_MODE_INFERENCE, x_data, &bytes, nullptr)),
              CN_DNN_STATUS_NOT_SUPPORTED)
        << "not small";
}

TEST_F(HostDnnRnn, SizesAndWeights) {
    void *m_at = nullptr, *v_at = nullptr;
    size_t bytes = 0;
    EXPECT_EQ(category(d->GetRNNWeightSpaceSize(handle, rnn, &bytes)), CN_DNN_STATUS_BAD_PARAM) << "never set";
    prepare();
    auto ask = [&](int layer, size_t room, void* space, int id) {
        return category(d->GetRNNWeightParams(handle, rnn, layer, room, space, id, matrix, &m_at, vector, &v_at));
    };
    EXPECT_EQ(ask(0, weight_bytes, weights, 7), 0);
    EXPECT_EQ(ask(0, weight_bytes, weights, 8), CN_DNN_STATUS_BAD_PARAM) << "an LSTM has eight";
    EXPECT_EQ(ask(1, weight_bytes, weights, 0), CN_DNN_STATUS_BAD_PARAM) << "one layer";
    EXPECT_EQ(ask(0, weight_bytes - 1, weights, 0), CN_DNN_STATUS_BAD_PARAM) << "too small";
    EXPECT_EQ(ask(0, weight_bytes, nullptr, 0), CN_DNN_STATUS_BAD_PARAM) << "none";
    EXPECT_EQ(ask(0, weight_bytes, &bytes, 0), CN_DNN_STATUS_BAD_PARAM) << "host memory";
    EXPECT_EQ(category(d->GetRNNTempSpaceSizes(handle, rnn, 1, x_data, &bytes, &bytes)), CN_DNN_STATUS_NOT_SUPPORTED)
        << "training";
    EXPECT_EQ(category(d->GetRNNTempSpaceSizes(handle, rnn, CN_DNN_FWD_MODE_INFERENCE, y_data, &bytes, &bytes)),
              CN_DNN_STATUS_BAD_PARAM)
        << "of the result";
    EXPECT_EQ(category(d->GetRNNTempSpaceSizes(nullptr, rnn, CN_DNN_FWD_MODE_INFERENCE, x_data, &bytes, &bytes)),
              CN_DNN_STATUS_BAD_PARAM)
        << "no handle";
    o.algorithm = CN_DNN_RNN_ALGO_PERSIST_STATIC_SMALL_H;
    ASSERT_EQ(set_rnn(o), 0);
    EXPECT_EQ(category(d->GetRNNTempSpaceSizes(handle, rnn, CN_DNN_FWD_MODE_INFERENCE, x_data, &bytes, &bytes)),
              CN_DNN_STATUS_NOT_SUPPORTED)
        << "several lengths";
    o.algorithm = CN_DNN_RNN_ALGO_PERSIST_STATIC;
    o.units = o.projection = 2048;
    ASSERT_EQ(set_rnn(o), 0);
    EXPECT_EQ(category(d->GetRNNTempSpaceSizes(handle, rnn, CN_DNN_FWD_MODE_INFERENCE, x_data, &bytes, &bytes)),
              CN_DNN_STATUS_NOT_SUPPORTED)
        << "many units";
}

TEST_F(HostDnnRnn, WhatARunDemands) {
    prepare();
    int32_t host[3] = {4, 0, 2};
    auto bad = [this](const char* what) { EXPECT_EQ(category(forward()), CN_DNN_STATUS_BAD_PARAM) << what; };
    // One thing wrong at a time.
#define WITH(thing, value, what) \
    {                            \
        auto was = thing;        \
        thing = value;           \
        bad(what);               \
        thing = was;             \
    }
    WITH(x_at, nullptr, "no x");
    WITH(x_at, (char*)host, "x on the host");
    WITH(x_at, x_at + 4, "x beyond its block");
    WITH(h_at, h_at + 1, "hx beyond its block");
    WITH(y_at, x_at, "y on x");
    WITH(h_out, h_at, "hy on hx");
    WITH(c_out, h_out, "cy on hy");
    WITH(lengths_at, nullptr, "no lengths");
    WITH(lengths_at, host, "lengths on the host");
    WITH(weights, nullptr, "no weights");
    WITH(weight_bytes, weight_bytes - 1, "a small weight space");
    WITH(weight_bytes, weight_bytes + 1, "a weight space beyond its block");
    WITH(work, nullptr, "no workspace");
    WITH(work_bytes, work_bytes - 1, "a small workspace");
    WITH(work, block(work_bytes + 256) + 16, "a workspace that is not aligned");
    WITH(rnn, nullptr, "no RNN");
    WITH(x_data, y_data, "x as y");
    WITH(state, matrix, "a state of another shape");
    WITH(state, nullptr, "no descriptor of the state");
#undef WITH
    ASSERT_EQ(set_state(batch + 1, o.units), 0);
    bad("states of another batch");
    ASSERT_EQ(set_state(batch, o.units), 0);
    lengths = {4, 1, 2};
    ASSERT_EQ(set_data(y_data, o.units), 0);
    bad("other lengths of y");
    lengths = {4, 0, 2};
    ASSERT_EQ(set_data(y_data, o.units), 0);
    ASSERT_EQ(forward(), 0);
    EXPECT_EQ(cuda->StreamSynchronize(s), cudaSuccess);
    EXPECT_EQ(category(d->RNNForward(handle, rnn, 1, lengths_at, x_data, x_at, y_data, y_at, state, h_at, h_out, state,
                                     c_at, c_out, weight_bytes, weights, work_bytes, work, 0, nullptr)),
              CN_DNN_STATUS_NOT_SUPPORTED)
        << "training";
    o.cell = CN_DNN_GRU;
    ASSERT_EQ(set_rnn(o), 0);
    EXPECT_EQ(category(d->RNNForward(handle, rnn, 0, lengths_at, x_data, x_at, y_data, y_at, state, h_at, h_out, state,
                                     c_at, nullptr, weight_bytes, weights, work_bytes, work, 0, nullptr)),
              CN_DNN_STATUS_BAD_PARAM)
        << "a cell state of a GRU";
    o.cell = CN_DNN_LSTM;
    o.flags = 0;
    ASSERT_EQ(set_rnn(o), 0);
    EXPECT_EQ(category(forward()), CN_DNN_STATUS_NOT_SUPPORTED) << "padding was not enabled";
    o.flags = CN_DNN_RNN_PADDED_IO_ENABLED;
    ASSERT_EQ(set_rnn(o), 0);
    EXPECT_EQ(d->DestroyDropoutDescriptor(dropout), 0);
    dropout = nullptr;
    bad("its dropout descriptor is gone");
}

TEST_F(HostDnnRnn, LengthsOnTheDeviceAreThoseOfTheDescriptor) {
    prepare();
    put_lengths({4, 1, 2});
    ASSERT_EQ(forward(), 0);
    EXPECT_EQ(cuda->StreamSynchronize(s), cudaErrorIllegalAddress);
    EXPECT_EQ(category(forward()), CN_DNN_STATUS_EXECUTION_FAILED) << "the context is dead";
}

TEST_F(HostDnnRnn, CapturedAndReplayed) {
    cudaGraph_t captured = nullptr;
    cudaGraphExec_t ready = nullptr;
    prepare();
    ASSERT_EQ(cuda->StreamBeginCapture(s, cudaStreamCaptureModeThreadLocal), cudaSuccess);
    ASSERT_EQ(forward(), 0);
    ASSERT_EQ(cuda->StreamEndCapture(s, &captured), cudaSuccess);
    ASSERT_EQ(cuda->GraphInstantiate(&ready, captured, 0), cudaSuccess);
    lengths = {1, 1, 1};
    ASSERT_EQ(set_data(x_data, o.size), 0) << "descriptors may change: the work has what they were";
    lengths = {4, 0, 2};
    for (unsigned seed : {7u, 8u}) {
        x = random_values(o.type, batch * steps * o.size, seed);
        put(x_at, o.type, {batch * steps * o.size}, {1}, x);
        ASSERT_EQ(cuda->GraphLaunch(ready, s), cudaSuccess);
        expect(same, "replayed");
    }
    blocks.erase(std::find(blocks.begin(), blocks.end(), (void*)weights));
    ASSERT_EQ(cuda->Free(weights), cudaSuccess);
    ASSERT_EQ(cuda->GraphLaunch(ready, s), cudaSuccess);
    EXPECT_EQ(cuda->StreamSynchronize(s), cudaErrorIllegalAddress) << "the weights are gone";
    cuda_host::revive();
    (void)cuda->GraphExecDestroy(ready);
    (void)cuda->GraphDestroy(captured);
}

}  // namespace
