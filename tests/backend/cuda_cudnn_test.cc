// The stand-in for cuDNN's graphs: convolutions against plain loops, and what the manual forbids.
#include "tests/backend/cudnn_graph.h"

namespace {

using namespace cudnn_host;

// A convolution with what may stand behind it, and its data.
class HostDnnConv : public HostDnn {
   protected:
    Tensor x, w, y, bias, z;
    Conv conv;
    Values x_values, w_values, bias_values, z_values;
    char *x_at = nullptr, *w_at = nullptr, *y_at = nullptr, *bias_at = nullptr, *z_at = nullptr;
    bool with_z = false, with_bias = false, with_relu = false;

    void shape(const Dims& x_dims, const Dims& w_dims, const Conv& c, int type = CN_DNN_DATA_FLOAT, bool last = true) {
        conv = c;
        Dims y_dims = {x_dims[0], w_dims[0]}, b_dims(x_dims.size(), 1);
        for (size_t i = 0; i < c.strides.size(); i++) {
            y_dims.push_back((x_dims[i + 2] + c.before[i] + c.after[i] - (w_dims[i + 2] - 1) * c.dilations[i] - 1) /
                                 c.strides[i] +
                             1);
        }
        b_dims[1] = w_dims[0];
        x = {X, x_dims, packed(x_dims, last), type};
        w = {W, w_dims, packed(w_dims, last), type};
        y = {Y, y_dims, packed(y_dims, last), type};
        z = {Z, y_dims, packed(y_dims, last), type};
        bias = {BIAS, b_dims, packed(b_dims, last), type};
        x_values = random_values(type, count_of(x_dims), 1);
        w_values = random_values(type, count_of(w_dims), 2);
        bias_values = random_values(type, w_dims[0], 3);
        z_values = random_values(type, count_of(y_dims), 4);
        x_at = upload(type, x.dims, x.strides, x_values);
        w_at = upload(type, w.dims, w.strides, w_values);
        bias_at = upload(type, bias.dims, bias.strides, bias_values);
        z_at = upload(type, z.dims, z.strides, z_values);
        y_at = block((size_t)count_of(y_dims) * size_of(type));
    }
    cn_dnn_descriptor chain() {
        std::vector<cn_dnn_descriptor> ops;
        int left = with_z + with_bias + with_relu;
        int64_t between = BETWEEN;
        auto next = [&] {
            Tensor t = {between++, y.dims, y.strides, CN_DNN_DATA_FLOAT, 16, true};
            return tensor(left-- ? t : y);
        };
        cn_dnn_descriptor last = next();
        ops.push_back(convolve(conv, tensor(x), tensor(w), last));
        for (int mode : std::vector<int>{Z, BIAS, 0}) {
            if (!(mode == Z ? with_z : mode == BIAS ? with_bias : with_relu)) continue;
            cn_dnn_descriptor made = next();
            ops.push_back(mode ? pointwise(CN_DNN_POINTWISE_ADD, last, tensor(mode == Z ? z : bias), made)
                               : pointwise(CN_DNN_POINTWISE_RELU_FWD, last, nullptr, made));
            last = made;
        }
        return graph(ops);
    }
    Dims ids() const {
        Dims out = {X, W, Y};
        if (with_bias) out.push_back(BIAS);
        if (with_z) out.push_back(Z);
        return out;
    }
    std::vector<void*> addresses() const {
        std::vector<void*> out = {x_at, w_at, y_at};
        if (with_bias) out.push_back(bias_at);
        if (with_z) out.push_back(z_at);
        return out;
    }
    // By a plain loop, in double, with inputs rounded by f.
    template <typename F>
    Values expected(F f) const {
        Values out;
        size_t axes = conv.strides.size();
        int64_t group = w.dims[0] / (x.dims[1] / w.dims[1]);
        for (int64_t i = 0; i < count_of(y.dims); i++) {
            Dims at(y.dims.size());
            int64_t rest = i;
            for (size_t k = at.size(); k-- > 0; rest /= y.dims[k]) at[k] = rest % y.dims[k];
            double sum = 0;
            for (int64_t j = 0; j < count_of(w.dims) / w.dims[0]; j++) {
                Dims tap(w.dims.size());
                bool inside = true;
                rest = j;
                for (size_t k = tap.size(); k-- > 1; rest /= w.dims[k]) tap[k] = rest % w.dims[k];
                int64_t from = at[0] * x.dims[1] + at[1] / group * w.dims[1] + tap[1];
                for (size_t k = 0; k < axes; k++) {
                    int64_t p = at[k + 2] * conv.strides[k] - conv.before[k] + tap[k + 2] * conv.dilations[k];
                    inside = inside && p >= 0 && p < x.dims[k + 2];
                    from = from * x.dims[k + 2] + p;
                }
                if (inside)
                    sum +=
                        f(x_values[(size_t)from]) * f(w_values[(size_t)(at[1] * (count_of(w.dims) / w.dims[0]) + j)]);
            }
            if (with_z) sum += z_values[(size_t)i];
            if (with_bias) sum += bias_values[(size_t)at[1]];
            out.push_back(with_relu && sum < 0 ? 0 : sum);
        }
        return out;
    }
    Values result() { return read(y_at, y.type, y.dims, y.strides); }
    void expect(const Values& want, const std::string& what) {
        Values got = result();
        double unit = y.type == CN_DNN_DATA_FLOAT  ? 1e-6
                      : y.type == CN_DNN_DATA_HALF ? 1e-3
                                                   : 8e-3;  // one rounding of the result, and of float sums on the way
        for (size_t i = 0; i < want.size(); i++)
            ASSERT_NEAR(got[i], want[i], unit * (1 + std::fabs(want[i]))) << what << ": element " << i;
    }
    static double same(double v) { return v; }
};

TEST_F(HostDnnConv, IsAPlainLoop) {
    Conv odd(2), deep(3), plain(2);
    odd.strides = {2, 1};
    odd.dilations = {1, 2};
    odd.before = {1, 2};
    odd.after = {0, 3};
    deep.before = deep.after = {1, 0, 1};
    deep.strides = {1, 2, 1};
    for (int type : {CN_DNN_DATA_FLOAT, CN_DNN_DATA_HALF, CN_DNN_DATA_BFLOAT16}) {
        for (int parts = 0; parts < 8; parts++) {
            with_z = parts & 1;
            with_bias = parts & 2;
            with_relu = parts & 4;
            if (parts != 0 && !with_bias) continue; /* has no engines */
            for (bool last : {true, false}) {
                shape({2, 6, 7, 5}, {4, 6, 3, 2}, odd, type, last);
                ASSERT_EQ(run(strict(chain()), ids(), addresses()), 0);
                expect(expected(same), "two axes");
                shape({1, 6, 5, 5}, {12, 2, 3, 3}, odd, type, last);
                ASSERT_EQ(run(strict(chain()), ids(), addresses()), 0);
                expect(expected(same), "three groups");
            }
        }
        with_z = with_bias = with_relu = true;
        shape({2, 3, 3, 4, 5}, {2, 3, 3, 2, 3}, deep, type);
        ASSERT_EQ(run(strict(chain()), ids(), addresses()), 0);
        expect(expected(same), "three axes");
        shape({1, 5, 1, 1}, {1, 5, 1, 1}, plain, type);
        ASSERT_EQ(run(strict(chain()), ids(), addresses()), 0);
        expect(expected(same), "one element");
    }
}

TEST_F(HostDnnConv, EveryEngineDoesWhatItsNotesAllow) {
    Conv c(2);
    int built = 0, refused = 0, greedy = 0, compiled = 0;
    std::vector<int> seen(CN_DNN_NUMERICAL_NOTE_TYPE_COUNT);
    c.before = c.after = {1, 1};
    with_bias = true;
    shape({1, 8, 6, 6}, {8, 8, 3, 3}, c);
    Values exact = expected(same), rough = expected(tf32);
    cn_dnn_descriptor g = chain();
    for (const Engine& e : engines(g)) {
        int64_t bytes = 0;
        cn_dnn_descriptor p = plan(e, &bytes);
        if (!p) refused++;
        if (!p) continue;
        if (bytes > (int64_t{1} << 36)) greedy++;
        if (bytes > (int64_t{1} << 36)) continue;
        built++;
        compiled += !e.behavior.empty();
        for (int note : e.numerical) seen[(size_t)note]++;
        ASSERT_EQ(run(p, ids(), addresses(), bytes ? block((size_t)bytes) : nullptr), 0);
        Values first = result();
        ASSERT_EQ(run(p, ids(), addresses(), bytes ? block((size_t)bytes) : nullptr), 0);
        Values second = result();
        double worst = 0;
        for (size_t i = 0; i < exact.size(); i++) worst = std::max(worst, std::fabs(first[i] - exact[i]));
        bool touched = e.has(CN_DNN_NUMERICAL_NOTE_WINOGRAD) || e.has(CN_DNN_NUMERICAL_NOTE_FFT) ||
                       e.has(CN_DNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS);
        EXPECT_EQ(first != second, e.has(CN_DNN_NUMERICAL_NOTE_NONDETERMINISTIC));
        if (e.has(CN_DNN_NUMERICAL_NOTE_NONDETERMINISTIC)) continue;
        if (std::all_of(e.numerical.begin(), e.numerical.end(), [](int note) { return note == 9; }))
            expect(exact, "strict");
        else if (!touched) expect(rough, "TF32");
        else EXPECT_GT(worst, 2e-6);
    }
    EXPECT_GT(built, 8);
    EXPECT_GT(refused, 1) << "engines that cannot be built";
    EXPECT_GT(greedy, 0) << "engines that want more than there is";
    EXPECT_GT(compiled, 0) << "engines compiled at run time";
    for (int note :
         {CN_DNN_NUMERICAL_NOTE_TENSOR_CORE, CN_DNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS, CN_DNN_NUMERICAL_NOTE_FFT,
          CN_DNN_NUMERICAL_NOTE_NONDETERMINISTIC, CN_DNN_NUMERICAL_NOTE_WINOGRAD}) {
        EXPECT_GT(seen[(size_t)note], 0) << note;
    }
    EXPECT_FALSE(engines(g, CN_DNN_HEUR_MODE_FALLBACK).empty());
}

// The strictest of tensors get engines that others do not.
TEST_F(HostDnnConv, EnginesDependOnTheTensors) {
    auto cores = [this] {
        int n = 0;
        for (const Engine& e : engines(chain())) n += e.has(CN_DNN_NUMERICAL_NOTE_TENSOR_CORE);
        return n;
    };
    shape({1, 8, 6, 6}, {8, 8, 3, 3}, Conv(2));
    EXPECT_GT(cores(), 0);
    x.alignment = 4;
    EXPECT_EQ(cores(), 0) << "tensor cores want 16 bytes";
    shape({1, 8, 6, 6}, {8, 1, 3, 3}, Conv(2));
    EXPECT_EQ(cores(), 0) << "depthwise";
}

// The library takes them, and has nothing to run them that is compiled already.
TEST_F(HostDnnConv, GraphsWithoutEngines) {
    cn_dnn_status st = 0;
    auto none = [&](const std::vector<cn_dnn_descriptor>& ops, const char* what) {
        EXPECT_TRUE(engines(graph(ops)).empty()) << what;
        EXPECT_TRUE(engines(graph(ops), CN_DNN_HEUR_MODE_FALLBACK).empty()) << what;
    };
    shape({1, 8, 6, 6}, {8, 8, 3, 3}, Conv(2));
    auto between = [this](int64_t n) { return tensor({BETWEEN + n, y.dims, y.strides, CN_DNN_DATA_FLOAT, 16, true}); };
    auto first = [&] { return convolve(conv, tensor(x), tensor(w), between(0)); };
    auto add = [&](cn_dnn_descriptor a, const Tensor& b, cn_dnn_descriptor c) {
        return pointwise(CN_DNN_POINTWISE_ADD, a, tensor(b), c);
    };
    auto relu = [&](cn_dnn_descriptor a, cn_dnn_descriptor c) {
        return pointwise(CN_DNN_POINTWISE_RELU_FWD, a, nullptr, c);
    };
    none({first(), add(between(0), bias, between(1)), add(between(1), z, tensor(y))}, "bias before z");
    none({first(), relu(between(0), between(1)), add(between(1), bias, tensor(y))}, "relu before bias");
    none({first(), relu(between(0), tensor(y))}, "relu without bias");
    none({first(), add(between(0), z, tensor(y))}, "z without bias");
    none({first(), add(between(0), z, between(1)), relu(between(1), tensor(y))}, "z and relu without bias");
    none({first(), add(between(0), z, between(1)), add(between(1), z, tensor(y))}, "z twice");
    none({first(), add(between(0), z, between(1)), add(between(1), bias, between(2)), add(between(2), bias, tensor(y))},
         "three summands");
    none({first(), add(between(0), bias, between(1)), relu(between(1), between(2)), relu(between(2), tensor(y))},
         "relu twice");
    none({first(), pointwise(CN_DNN_POINTWISE_MUL, between(0), tensor(bias), tensor(y))}, "a product");
    none({first(), pointwise(CN_DNN_POINTWISE_ADD, between(0), between(0), tensor(y))}, "twice itself");
    none({first(), pointwise(CN_DNN_POINTWISE_ADD, tensor(z), between(0), tensor(y))}, "z first");
    none({add(tensor(z), bias, tensor(y))}, "no convolution");
    none({convolve(conv, tensor(x), tensor(w), tensor(z)), add(tensor(z), bias, tensor(y))},
         "what is between lies in memory");
    Tensor half = {BETWEEN, y.dims, y.strides, CN_DNN_DATA_HALF, 16, true}, number = bias;
    none({convolve(conv, tensor(x), tensor(w), tensor(half)), add(tensor(half), bias, tensor(y))},
         "what is between is half");
    number.type = CN_DNN_DATA_HALF;
    none({first(), add(between(0), number, tensor(y))}, "another type of the bias");
    Tensor wide = x;
    wide.strides = packed({2, 9, 6, 6}, true);
    none({convolve(conv, tensor(wide), tensor(w), tensor(y))}, "not packed");
    wide.strides = packed(x.dims, false);
    none({convolve(conv, tensor(wide), tensor(w), tensor(y))}, "channels first and last");
    Tensor other = y;
    other.type = CN_DNN_DATA_HALF;
    none({convolve(conv, tensor(x), tensor(w), tensor(other))}, "another type of the result");
    EXPECT_TRUE(engines(graph({convolve(conv, tensor(x), tensor(w), tensor(y))}), 1, &st).empty());
    EXPECT_EQ(category(st), CN_DNN_STATUS_NOT_SUPPORTED) << "mode B";
}

TEST_F(HostDnnConv, GraphsThatAreNone) {
    shape({1, 8, 6, 6}, {8, 8, 3, 3}, Conv(2));
    auto bad = [&](const std::vector<cn_dnn_descriptor>& ops, const char* what) {
        EXPECT_EQ(category(finalize(draft_graph(ops))), CN_DNN_STATUS_BAD_PARAM) << what;
    };
    auto between = [this](int64_t n) { return tensor({BETWEEN + n, y.dims, y.strides, CN_DNN_DATA_FLOAT, 16, true}); };
    bad({convolve(conv, tensor(x), tensor(w), between(0))}, "a virtual tensor is not used");
    bad({pointwise(CN_DNN_POINTWISE_RELU_FWD, between(0), nullptr, tensor(y))}, "a virtual tensor is not made");
    bad({pointwise(CN_DNN_POINTWISE_RELU_FWD, between(0), nullptr, tensor(y)),
         convolve(conv, tensor(x), tensor(w), between(0))},
        "a virtual tensor is made too late");
    bad({convolve(conv, tensor(x), tensor(w), tensor(y)), convolve(conv, tensor(x), tensor(w), tensor(y))},
        "a result is made twice");
    Tensor twin = bias;
    twin.id = W;
    bad({convolve(conv, tensor(x), tensor(w), between(0)),
         pointwise(CN_DNN_POINTWISE_ADD, between(0), tensor(twin), tensor(y))},
        "two tensors of one id");
    bad({tensor(x)}, "no operation");
    cn_dnn_descriptor g = create(CN_DNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    EXPECT_EQ(set(g, CN_DNN_ATTR_OPERATIONGRAPH_OPS, convolve(conv, tensor(x), tensor(w), tensor(y))), 0);
    EXPECT_EQ(category(finalize(g)), CN_DNN_STATUS_BAD_PARAM) << "no handle";
}

TEST_F(HostDnn, TensorsThatAreNone) {
    auto bad = [this](const Tensor& t, const char* what) { EXPECT_NE(finalize(draft(t)), 0) << what; };
    Tensor t;
    t.dims = {2, 3, 4, 5};
    t.strides = packed(t.dims, true);
    EXPECT_EQ(finalize(draft(t)), 0);
    bad({X, {2, 0, 4, 5}, t.strides}, "an empty axis");
    bad({X, t.dims, {60, -1, 15, 3}}, "a negative stride");
    bad({X, t.dims, {1, 2, 3}}, "fewer strides than dimensions");
    bad({X, t.dims, t.strides, 1}, "double");
    bad({X, t.dims, t.strides, CN_DNN_DATA_FLOAT, 2}, "aligned to half an element");
    bad({X, t.dims, t.strides, CN_DNN_DATA_FLOAT, 0}, "not aligned");
    bad({X, t.dims, t.strides, CN_DNN_DATA_FLOAT, 16, false, true}, "many elements by value");
    bad({X, {1, 1, 1, 1}, {1, 1, 1, 1}, CN_DNN_DATA_FLOAT, 16, true, true}, "virtual and by value");
    for (int lacking : {CN_DNN_ATTR_TENSOR_DATA_TYPE, CN_DNN_ATTR_TENSOR_DIMENSIONS, CN_DNN_ATTR_TENSOR_STRIDES,
                        CN_DNN_ATTR_TENSOR_UNIQUE_ID, CN_DNN_ATTR_TENSOR_BYTE_ALIGNMENT}) {
        cn_dnn_descriptor x = create(CN_DNN_BACKEND_TENSOR_DESCRIPTOR);
        if (lacking != CN_DNN_ATTR_TENSOR_DATA_TYPE)
            (void)set(x, CN_DNN_ATTR_TENSOR_DATA_TYPE, CN_DNN_TYPE_DATA_TYPE, CN_DNN_DATA_FLOAT);
        if (lacking != CN_DNN_ATTR_TENSOR_DIMENSIONS) (void)set(x, CN_DNN_ATTR_TENSOR_DIMENSIONS, t.dims);
        if (lacking != CN_DNN_ATTR_TENSOR_STRIDES) (void)set(x, CN_DNN_ATTR_TENSOR_STRIDES, t.strides);
        if (lacking != CN_DNN_ATTR_TENSOR_UNIQUE_ID) (void)set(x, CN_DNN_ATTR_TENSOR_UNIQUE_ID, Dims{X});
        if (lacking != CN_DNN_ATTR_TENSOR_BYTE_ALIGNMENT) (void)set(x, CN_DNN_ATTR_TENSOR_BYTE_ALIGNMENT, Dims{16});
        EXPECT_EQ(category(finalize(x)), CN_DNN_STATUS_BAD_PARAM) << lacking;
    }
}

TEST_F(HostDnn, ConvolutionsThatAreNone) {
    auto status = [this](void (*change)(Conv*), int64_t axes = 2) {
        Conv c(2);
        change(&c);
        return category(finalize(draft(c, axes)));
    };
    EXPECT_EQ(status([](Conv*) {}), 0);
    EXPECT_EQ(status([](Conv* c) { c->strides[0] = 0; }), CN_DNN_STATUS_BAD_PARAM);
    EXPECT_EQ(status([](Conv* c) { c->dilations[1] = 0; }), CN_DNN_STATUS_BAD_PARAM);
    EXPECT_EQ(status([](Conv* c) { c->before[1] = -1; }), CN_DNN_STATUS_BAD_PARAM);
    EXPECT_EQ(status([](Conv* c) { c->after.push_back(1); }), CN_DNN_STATUS_BAD_PARAM);
    EXPECT_EQ(status([](Conv*) {}, 3), CN_DNN_STATUS_BAD_PARAM);
    for (int wrong : {CN_DNN_ATTR_CONVOLUTION_CONV_MODE, CN_DNN_ATTR_CONVOLUTION_COMP_TYPE}) {
        cn_dnn_descriptor x = draft(Conv(2), 2);
        int type = wrong == CN_DNN_ATTR_CONVOLUTION_CONV_MODE ? CN_DNN_TYPE_CONVOLUTION_MODE : CN_DNN_TYPE_DATA_TYPE;
        ASSERT_EQ(set(x, wrong, type, wrong == CN_DNN_ATTR_CONVOLUTION_CONV_MODE ? 0 : CN_DNN_DATA_HALF), 0);
        EXPECT_EQ(category(finalize(x)), CN_DNN_STATUS_NOT_SUPPORTED) << wrong;
    }
}

TEST_F(HostDnn, OperationsThatDoNotFit) {
    auto of = [this](int64_t id, const Dims& dims, int type = CN_DNN_DATA_FLOAT) {
        return tensor({id, dims, packed(dims, true), type});
    };
    cn_dnn_descriptor x = of(X, {2, 8, 4, 5}), w = of(W, {6, 8, 3, 3}), y = of(Y, {2, 6, 2, 3});
    auto conv = [&](cn_dnn_descriptor a, cn_dnn_descriptor b, cn_dnn_descriptor c, int64_t axes = 2) {
        return category(finalize(draft_convolve(Conv(axes), a, b, c)));
    };
    EXPECT_EQ(conv(x, w, y), 0);
    EXPECT_EQ(conv(x, w, of(Y, {2, 6, 3, 3})), CN_DNN_STATUS_BAD_PARAM) << "a spatial size";
    EXPECT_EQ(conv(x, w, of(Y, {1, 6, 2, 3})), CN_DNN_STATUS_BAD_PARAM) << "the batch";
    EXPECT_EQ(conv(x, w, of(Y, {2, 5, 2, 3})), CN_DNN_STATUS_BAD_PARAM) << "the filters";
    EXPECT_EQ(conv(x, of(W, {6, 3, 3, 3}), y), CN_DNN_STATUS_BAD_PARAM) << "channels that are no groups";
    EXPECT_EQ(conv(x, of(W, {6, 2, 3, 3}), y), CN_DNN_STATUS_BAD_PARAM) << "filters that are no groups";
    EXPECT_EQ(conv(x, of(W, {6, 4, 3, 3}), y), 0) << "two groups";
    EXPECT_EQ(conv(x, w, y, 3), CN_DNN_STATUS_BAD_PARAM) << "three axes of tensors with two";
    EXPECT_EQ(conv(x, of(W, {6, 8, 3, 3}, CN_DNN_DATA_HALF), y), CN_DNN_STATUS_BAD_PARAM) << "types";
    EXPECT_EQ(conv(of(X, {2, 8, 2, 5}), w, y), CN_DNN_STATUS_BAD_PARAM) << "an empty result";
    EXPECT_EQ(category(finalize(draft_convolve(Conv(2), x, w, y, 2, 0))), CN_DNN_STATUS_NOT_SUPPORTED) << "alpha";
    EXPECT_EQ(category(finalize(draft_convolve(Conv(2), x, w, y, 1, 1))), CN_DNN_STATUS_NOT_SUPPORTED) << "beta";
    EXPECT_EQ(conv(x, w, pointwise_mode(CN_DNN_POINTWISE_ADD)), CN_DNN_STATUS_BAD_PARAM) << "no tensor";
    auto add = [&](cn_dnn_descriptor a, cn_dnn_descriptor b, cn_dnn_descriptor c) {
        return category(finalize(draft_pointwise(CN_DNN_POINTWISE_ADD, a, b, c)));
    };
    EXPECT_EQ(add(y, of(BIAS, {1, 6, 1, 1}), of(Z, {2, 6, 2, 3})), 0);
    EXPECT_EQ(add(y, nullptr, of(Z, {2, 6, 2, 3})), CN_DNN_STATUS_BAD_PARAM) << "no second operand";
    EXPECT_EQ(add(y, of(BIAS, {1, 3, 1, 1}), of(Z, {2, 6, 2, 3})), CN_DNN_STATUS_BAD_PARAM) << "cannot be repeated";
    EXPECT_EQ(add(y, of(BIAS, {1, 6, 1}), of(Z, {2, 6, 2, 3})), CN_DNN_STATUS_BAD_PARAM)
        << "other counts of dimensions";
    EXPECT_EQ(add(y, of(BIAS, {1, 6, 1, 1}), of(Z, {2, 6, 2, 2})), CN_DNN_STATUS_BAD_PARAM) << "another result";
    EXPECT_EQ(
        category(finalize(draft_pointwise(CN_DNN_POINTWISE_RELU_FWD, y, of(BIAS, {1, 6, 1, 1}), of(Z, {2, 6, 2, 3})))),
        CN_DNN_STATUS_BAD_PARAM)
        << "one too many";
    cn_dnn_descriptor sigmoid = create(CN_DNN_BACKEND_POINTWISE_DESCRIPTOR);
    EXPECT_EQ(set(sigmoid, CN_DNN_ATTR_POINTWISE_MODE, CN_DNN_TYPE_POINTWISE_MODE, 103), 0);
    EXPECT_EQ(set(sigmoid, CN_DNN_ATTR_POINTWISE_MATH_PREC, CN_DNN_TYPE_DATA_TYPE, CN_DNN_DATA_FLOAT), 0);
    EXPECT_EQ(category(finalize(sigmoid)), CN_DNN_STATUS_NOT_SUPPORTED);
}

TEST_F(HostDnn, AttributesThatDoNotApply) {
    cn_dnn_descriptor x = create(CN_DNN_BACKEND_TENSOR_DESCRIPTOR), t = tensor(Tensor()), none = nullptr;
    cn_dnn_descriptor op = create(CN_DNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    int64_t count = 0, id = 0;
    auto bad = [](cn_dnn_status st, const char* what) { EXPECT_EQ(category(st), CN_DNN_STATUS_BAD_PARAM) << what; };
    bad(set(t, CN_DNN_ATTR_TENSOR_UNIQUE_ID, Dims{3}), "after it is finalized");
    bad(finalize(t), "finalized twice");
    bad(set(x, CN_DNN_ATTR_TENSOR_UNIQUE_ID, CN_DNN_TYPE_FLOAT, std::vector<float>{1}), "another type");
    bad(set(x, CN_DNN_ATTR_TENSOR_UNIQUE_ID, Dims{1, 2}), "too many");
    bad(set(x, CN_DNN_ATTR_TENSOR_DIMENSIONS, Dims(9, 1)), "nine dimensions");
    bad(d->BackendSetAttribute(x, CN_DNN_ATTR_TENSOR_UNIQUE_ID, CN_DNN_TYPE_INT64, 1, nullptr), "no value");
    bad(set(x, CN_DNN_ATTR_POINTWISE_MODE, CN_DNN_TYPE_POINTWISE_MODE, 0), "of another kind");
    bad(set(op, CN_DNN_ATTR_OPERATION_POINTWISE_XDESC, x), "a descriptor that is not finalized");
    bad(set(op, CN_DNN_ATTR_OPERATION_POINTWISE_XDESC, none), "no descriptor");
    bad(set(none, CN_DNN_ATTR_TENSOR_UNIQUE_ID, Dims{1}), "of nothing");
    bad(finalize(none), "nothing");
    bad(d->BackendDestroyDescriptor(&id), "what is no descriptor");
    EXPECT_NE(d->BackendGetAttribute(x, CN_DNN_ATTR_TENSOR_UNIQUE_ID, CN_DNN_TYPE_INT64, 1, &count, &id), 0)
        << "not finalized";
    EXPECT_EQ(category(d->BackendCreateDescriptor(12345, &none)), CN_DNN_STATUS_NOT_SUPPORTED);
    EXPECT_EQ(category(d->BackendCreateDescriptor(CN_DNN_BACKEND_DEVICEPROP_DESCRIPTOR, &none)),
              CN_DNN_STATUS_NOT_SUPPORTED);
}

TEST_F(HostDnn, NothingWhereSomethingBelongs) {
    auto bad = [](cn_dnn_status st, const char* what) { EXPECT_EQ(category(st), CN_DNN_STATUS_BAD_PARAM) << what; };
    cn_dnn_handle_t none = nullptr;
    cn_dnn_descriptor g = create(CN_DNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR), t = tensor(Tensor()), nothing = nullptr;
    int64_t count = 0;
    bad(d->Create(nullptr), "a handle");
    bad(d->SetStream(nullptr, s), "a handle");
    EXPECT_EQ(d->SetStream((cn_dnn_handle_t)&count, s), 1001) << "a handle that is none";
    bad(d->BackendCreateDescriptor(CN_DNN_BACKEND_TENSOR_DESCRIPTOR, nullptr), "a descriptor");
    bad(d->BackendGetAttribute(nothing, CN_DNN_ATTR_ENGINEHEUR_RESULTS, CN_DNN_TYPE_BACKEND_DESCRIPTOR, 0, &count,
                               nullptr),
        "a descriptor");
    EXPECT_EQ(category(d->BackendGetAttribute(t, CN_DNN_ATTR_ENGINEHEUR_RESULTS, CN_DNN_TYPE_BACKEND_DESCRIPTOR, 0,
                                              &count, nullptr)),
              CN_DNN_STATUS_NOT_SUPPORTED)
        << "of a tensor";
    EXPECT_EQ(set(g, CN_DNN_ATTR_OPERATIONGRAPH_HANDLE, CN_DNN_TYPE_HANDLE, std::vector<cn_dnn_handle_t>{nullptr}), 0);
    EXPECT_EQ(set(g, CN_DNN_ATTR_OPERATIONGRAPH_OPS, t), 0);
    bad(finalize(g), "a handle");
    cuda_host::Environment bare("CORNU_HOST_DEVICES", "0");
    EXPECT_EQ(d->Create(&none), 1001) << "a device";
}

TEST_F(HostDnn, DescriptorsOfAnotherKind) {
    auto bad = [this](cn_dnn_descriptor x, const char* what) {
        EXPECT_EQ(category(finalize(x)), CN_DNN_STATUS_BAD_PARAM) << what;
    };
    cn_dnn_descriptor t = tensor(Tensor()), y = tensor({Y}), pw = pointwise_mode(CN_DNN_POINTWISE_RELU_FWD),
                      half = create(CN_DNN_BACKEND_POINTWISE_DESCRIPTOR);
    cn_dnn_descriptor conv = draft_convolve(Conv(2), t, tensor({W}), y),
                      op = draft_pointwise(CN_DNN_POINTWISE_RELU_FWD, t, nullptr, y);
    ASSERT_EQ(set(conv, CN_DNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, pw), 0);
    bad(conv, "a pointwise mode as a convolution");
    ASSERT_EQ(set(op, CN_DNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, t), 0);
    bad(op, "a tensor as a pointwise mode");
    cn_dnn_descriptor heuristic = create(CN_DNN_BACKEND_ENGINEHEUR_DESCRIPTOR),
                      p = create(CN_DNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    ASSERT_EQ(set(heuristic, CN_DNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, t), 0);
    ASSERT_EQ(set(heuristic, CN_DNN_ATTR_ENGINEHEUR_MODE, CN_DNN_TYPE_HEUR_MODE, CN_DNN_HEUR_MODE_A), 0);
    bad(heuristic, "a tensor as a graph");
    ASSERT_EQ(set(p, CN_DNN_ATTR_EXECUTION_PLAN_HANDLE, CN_DNN_TYPE_HANDLE, std::vector<cn_dnn_handle_t>{handle}), 0);
    ASSERT_EQ(set(p, CN_DNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, t), 0);
    bad(p, "a tensor as an engine's configuration");
    EXPECT_EQ(category(finalize(draft(Conv(1), 1))), CN_DNN_STATUS_NOT_SUPPORTED) << "one axis";
    ASSERT_EQ(set(half, CN_DNN_ATTR_POINTWISE_MODE, CN_DNN_TYPE_POINTWISE_MODE, CN_DNN_POINTWISE_ADD), 0);
    ASSERT_EQ(set(half, CN_DNN_ATTR_POINTWISE_MATH_PREC, CN_DNN_TYPE_DATA_TYPE, CN_DNN_DATA_HALF), 0);
    EXPECT_EQ(category(finalize(half)), CN_DNN_STATUS_NOT_SUPPORTED) << "computes in half";
}

// Single numbers, all of which fit.
TEST_F(HostDnn, NumbersByValueAreNoTensorsOfAConvolution) {
    Tensor x, w, y, value;
    w.id = W;
    y.id = Y;
    value = x;
    value.by_value = true;
    EXPECT_TRUE(engines(graph({convolve(Conv(2), tensor(value), tensor(w), tensor(y))})).empty());
    y.by_value = true;
    EXPECT_EQ(category(finalize(draft_graph({convolve(Conv(2), tensor(x), tensor(w), tensor(y))}))),
              CN_DNN_STATUS_BAD_PARAM)
        << "a result by value";
}

TEST_F(HostDnnConv, WorkThatCannotBePutOnTheStream) {
    shape({1, 8, 6, 6}, {8, 8, 3, 3}, Conv(2));
    cn_dnn_descriptor p = strict(chain());
    cudaStream_t gone = nullptr;
    char text[200], again[200];
    ASSERT_EQ(cuda->StreamCreateWithFlags(&gone, cudaStreamNonBlocking), cudaSuccess);
    ASSERT_EQ(d->SetStream(handle, gone), 0);
    ASSERT_EQ(cuda->StreamDestroy(gone), cudaSuccess);
    EXPECT_EQ(category(run(p, ids(), addresses())), CN_DNN_STATUS_BAD_PARAM) << "the stream is gone";
    auto last = cuda_host::function<void (*)(char*, size_t)>("cn_host_cudnn_last_error");
    last(text, sizeof text);
    last(again, sizeof again);
    EXPECT_NE(std::string(text).find("stream"), std::string::npos) << text;
    EXPECT_EQ(std::string(again), "") << "told once";
}

TEST_F(HostDnnConv, ResultsGoIntoTheCallersDescriptors) {
    shape({1, 8, 6, 6}, {8, 8, 3, 3}, Conv(2));
    cn_dnn_descriptor g = chain(), heuristic = create(CN_DNN_BACKEND_ENGINEHEUR_DESCRIPTOR),
                      config = create(CN_DNN_BACKEND_ENGINECFG_DESCRIPTOR), none = nullptr;
    cn_dnn_descriptor other = create(CN_DNN_BACKEND_ENGINE_DESCRIPTOR);
    int64_t count = 0;
    auto ask = [&](cn_dnn_descriptor* into, int64_t room = 1, int type = CN_DNN_TYPE_BACKEND_DESCRIPTOR) {
        return category(d->BackendGetAttribute(heuristic, CN_DNN_ATTR_ENGINEHEUR_RESULTS, type, room, &count, into));
    };
    EXPECT_NE(ask(&config), 0) << "not finalized";
    ASSERT_EQ(set(heuristic, CN_DNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, g), 0);
    ASSERT_EQ(set(heuristic, CN_DNN_ATTR_ENGINEHEUR_MODE, CN_DNN_TYPE_HEUR_MODE, CN_DNN_HEUR_MODE_A), 0);
    ASSERT_EQ(finalize(heuristic), 0);
    EXPECT_EQ(ask(&none), CN_DNN_STATUS_BAD_PARAM) << "not created";
    EXPECT_EQ(ask(&other), CN_DNN_STATUS_BAD_PARAM) << "of another kind";
    EXPECT_EQ(ask(nullptr), CN_DNN_STATUS_BAD_PARAM) << "no room";
    EXPECT_EQ(ask(&config, 1, CN_DNN_TYPE_INT64), CN_DNN_STATUS_BAD_PARAM) << "another type";
    EXPECT_EQ(ask(&config), 0);
    EXPECT_EQ(count, 1) << "as many as were filled";
    EXPECT_EQ(ask(&config), CN_DNN_STATUS_BAD_PARAM) << "filled already";
    EXPECT_EQ(category(finalize(create(CN_DNN_BACKEND_ENGINECFG_DESCRIPTOR))), CN_DNN_STATUS_NOT_SUPPORTED)
        << "of one's own";
}

TEST_F(HostDnnConv, WhatARunDemands) {
    Conv c(2);
    with_bias = true;
    shape({1, 8, 6, 6}, {8, 8, 3, 3}, c);
    cn_dnn_descriptor p = strict(chain());
    auto bad = [&](const Dims& some_ids, const std::vector<void*>& some, const char* what) {
        EXPECT_EQ(category(run(p, some_ids, some)), CN_DNN_STATUS_BAD_PARAM) << what;
    };
    float host[1000];
    bad({X, W, Y}, {x_at, w_at, y_at}, "a tensor without memory");
    bad({X, W, Y, BIAS}, {x_at, w_at, y_at, nullptr}, "NULL");
    bad({X, W, Y, BIAS, BETWEEN}, {x_at, w_at, y_at, bias_at, z_at}, "a virtual tensor with memory");
    bad({X, W, Y, BIAS}, {host, w_at, y_at, bias_at}, "host memory");
    bad({X, W, Y, BIAS}, {x_at + 4, w_at, y_at, bias_at}, "behind the block's end");
    bad({X, W, Y, BIAS}, {x_at, w_at, y_at, w_at + 4}, "not aligned as promised");
    bad({X, W, Y, BIAS}, {x_at, w_at, x_at, bias_at}, "the result on the input");
    bad({X, W, Y, BIAS}, {x_at, w_at, w_at, bias_at}, "the result on the filter");
    bad({X, W, Y, BIAS}, {x_at, w_at, y_at, y_at}, "the result on the bias");
    EXPECT_EQ(category(finalize(draft_pack({X, X}, {x_at, x_at}))), CN_DNN_STATUS_BAD_PARAM) << "an id twice";
    EXPECT_EQ(category(finalize(draft_pack({X, W}, {x_at}))), CN_DNN_STATUS_BAD_PARAM) << "other counts";
    EXPECT_EQ(category(d->BackendExecute(handle, p, draft_pack(ids(), addresses()))), CN_DNN_STATUS_BAD_PARAM)
        << "a pack that is not finalized";
    EXPECT_EQ(category(d->BackendExecute(handle, p, p)), CN_DNN_STATUS_BAD_PARAM) << "no pack";
    EXPECT_EQ(category(d->BackendExecute(handle, nullptr, nullptr)), CN_DNN_STATUS_BAD_PARAM) << "nothing";
    cn_dnn_descriptor v = create(CN_DNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    ASSERT_EQ(set(v, CN_DNN_ATTR_VARIANT_PACK_UNIQUE_IDS, ids()), 0);
    ASSERT_EQ(set(v, CN_DNN_ATTR_VARIANT_PACK_DATA_POINTERS, CN_DNN_TYPE_VOID_PTR, addresses()), 0);
    EXPECT_EQ(category(finalize(v)), CN_DNN_STATUS_BAD_PARAM) << "no word about the workspace";
    EXPECT_EQ(run(p, ids(), addresses()), 0);
    EXPECT_EQ(cuda->StreamSynchronize(s), cudaSuccess);
}

TEST_F(HostDnnConv, WorkspaceIsCheckedAndSpoilt) {
    shape({1, 8, 6, 6}, {8, 8, 3, 3}, Conv(2));
    for (const Engine& e : engines(chain())) {
        int64_t bytes = 0;
        cn_dnn_descriptor p = e.numerical.empty() ? plan(e, &bytes) : nullptr;
        if (!p || bytes == 0 || bytes > 65536) continue;
        char* workspace = floats(Values((size_t)bytes / 4 + 64, 1.0));
        EXPECT_EQ(category(run(p, ids(), addresses())), CN_DNN_STATUS_BAD_PARAM) << "none";
        EXPECT_EQ(category(run(p, ids(), addresses(), block((size_t)bytes - 1))), CN_DNN_STATUS_BAD_PARAM)
            << "too small";
        EXPECT_EQ(category(run(p, ids(), addresses(), workspace + 16)), CN_DNN_STATUS_BAD_PARAM) << "not aligned";
        EXPECT_EQ(category(run(p, {X, W, Y}, {x_at, w_at, workspace}, workspace)), CN_DNN_STATUS_BAD_PARAM)
            << "holds the result";
        ASSERT_EQ(run(p, ids(), addresses(), workspace), 0);
        expect(expected(same), "with workspace");
        Values after = read(workspace, CN_DNN_DATA_FLOAT, {bytes / 4 + 1}, {1});
        EXPECT_TRUE(std::isnan(after[0]) && std::isnan(after[(size_t)bytes / 4 - 1]));
        EXPECT_EQ(after[(size_t)bytes / 4], 1);
        return;
    }
    FAIL() << "no strict engine with workspace";
}

TEST_F(HostDnnConv, TheSumInPlace) {
    with_z = with_bias = with_relu = true;
    shape({1, 8, 6, 6}, {8, 8, 3, 3}, Conv(2));
    cn_dnn_descriptor p = strict(chain());
    y_at = z_at;
    ASSERT_EQ(run(p, ids(), addresses()), 0);
    expect(expected(same), "on z");
    char* both = block(2 * (size_t)count_of(y.dims) * 4);
    EXPECT_EQ(category(run(p, {X, W, Y, BIAS, Z}, {x_at, w_at, both + 16, bias_at, both})), CN_DNN_STATUS_BAD_PARAM)
        << "beside z";
}

TEST_F(HostDnnConv, HandlesOfDevicesAndStreams) {
    shape({1, 8, 6, 6}, {8, 8, 3, 3}, Conv(2));
    cn_dnn_descriptor g = chain(), p = strict(g), v = draft_pack(ids(), addresses());
    std::vector<Engine> configs = engines(g);
    cn_dnn_handle_t fresh = nullptr, invented = (cn_dnn_handle_t)&fresh;
    cuda_host::Environment two("CORNU_HOST_DEVICES", "2");
    cudaStream_t far = nullptr;
    ASSERT_EQ(finalize(v), 0);
    ASSERT_EQ(d->Create(&fresh), 0);
    EXPECT_EQ(category(d->BackendExecute(fresh, p, v)), CN_DNN_STATUS_BAD_PARAM) << "no stream";
    EXPECT_NE(d->BackendExecute(invented, p, v), 0);
    EXPECT_NE(d->Destroy(invented), 0);
    EXPECT_EQ(d->Destroy(fresh), 0);
    EXPECT_NE(d->Destroy(fresh), 0) << "twice";
    ASSERT_EQ(cuda->SetDevice(1), cudaSuccess);
    ASSERT_EQ(cuda->StreamCreateWithFlags(&far, cudaStreamNonBlocking), cudaSuccess);
    EXPECT_NE(d->BackendExecute(handle, p, v), 0) << "another device is the current one";
    EXPECT_EQ(category(d->SetStream(handle, nullptr)), CN_DNN_STATUS_BAD_PARAM) << "another device is the current one";
    ASSERT_EQ(d->Create(&fresh), 0);
    EXPECT_NE(d->BackendExecute(fresh, p, v), 0) << "a plan of another device";
    cn_dnn_descriptor other = create(CN_DNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    ASSERT_EQ(set(other, CN_DNN_ATTR_EXECUTION_PLAN_HANDLE, CN_DNN_TYPE_HANDLE, std::vector<cn_dnn_handle_t>{fresh}),
              0);
    ASSERT_EQ(set(other, CN_DNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configs.back().config), 0);
    EXPECT_EQ(category(finalize(other)), CN_DNN_STATUS_BAD_PARAM) << "a plan for another device than its graph";
    EXPECT_EQ(d->Destroy(fresh), 0);
    ASSERT_EQ(cuda->SetDevice(0), cudaSuccess);
    EXPECT_NE(d->SetStream(handle, far), 0) << "a stream of another device";
    EXPECT_EQ(cuda->StreamDestroy(far), cudaSuccess);
    EXPECT_EQ(d->BackendExecute(handle, p, v), 0);
    EXPECT_EQ(cuda->StreamSynchronize(s), cudaSuccess);
}

// Run on what lies there when the graph runs, from where it lay when it was captured.
TEST_F(HostDnnConv, CapturedAndReplayed) {
    cudaGraph_t captured = nullptr;
    cudaGraphExec_t ready = nullptr;
    with_bias = true;
    shape({1, 8, 6, 6}, {8, 8, 3, 3}, Conv(2));
    cn_dnn_descriptor p = strict(chain());
    ASSERT_EQ(cuda->StreamBeginCapture(s, cudaStreamCaptureModeThreadLocal), cudaSuccess);
    ASSERT_EQ(run(p, ids(), addresses()), 0);
    ASSERT_EQ(cuda->StreamEndCapture(s, &captured), cudaSuccess);
    ASSERT_EQ(cuda->GraphInstantiate(&ready, captured, 0), cudaSuccess);
    for (cn_dnn_descriptor x : descriptors) EXPECT_EQ(d->BackendDestroyDescriptor(x), 0);
    descriptors.clear();
    EXPECT_TRUE(std::isnan(result()[0])) << "captured, not run";
    for (unsigned seed : {7u, 8u}) {
        x_values = random_values(CN_DNN_DATA_FLOAT, count_of(x.dims), seed);
        put(x_at, x.type, x.dims, x.strides, x_values);
        ASSERT_EQ(cuda->GraphLaunch(ready, s), cudaSuccess);
        expect(expected(same), "replayed");
    }
    blocks.erase(std::find(blocks.begin(), blocks.end(), (void*)x_at));
    ASSERT_EQ(cuda->Free(x_at), cudaSuccess);
    ASSERT_EQ(cuda->GraphLaunch(ready, s), cudaSuccess);
    EXPECT_EQ(cuda->StreamSynchronize(s), cudaErrorIllegalAddress) << "its memory is gone";
    cuda_host::revive();
    (void)cuda->GraphExecDestroy(ready);
    (void)cuda->GraphDestroy(captured);
}

}  // namespace
