// Documents of older Keras: opened by content, brought to Keras 3.15's form, weights converted and loaded into others.
#include "tests/keras/legacy.h"

#include "keras/load_weights.h"
#include "keras/upgrade.h"

using namespace legacy;
using files::Folder;

namespace {

struct Document {
    cn_document* doc = nullptr;
    cn_document* up = nullptr;
    std::string bytes;  // borrowed by doc
    cornu_status status, upgrade = CORNU_OK;
    explicit Document(std::string data, bool safe = false) : bytes(std::move(data)) {
        cornu_load_options options = CORNU_LOAD_OPTIONS_INIT;
        options.safe_mode = safe;
        status = cn_document_open_memory(bytes.data(), bytes.size(), &options, &doc);
        if (doc) upgrade = cn_document_upgraded(doc, &up);
    }
    ~Document() { cn_document_close(doc); }
    std::string config() const {
        cn_buf text = {};
        EXPECT_EQ(cn_json_print(cn_json_root(cn_document_config_doc(up)), &text), CORNU_OK);
        std::string out(text.data, text.size);
        cn_buf_deinit(&text);
        return out;
    }
    std::vector<float> values(const std::string& path) const {
        const cn_variable* v = up ? cn_document_variable(up, path.c_str()) : nullptr;
        std::vector<float> out(v ? (size_t)v->count : 0);
        EXPECT_NE(v, nullptr) << path;
        if (v) {
            EXPECT_EQ(cn_document_read(up, v, out.data()), CORNU_OK) << cornu_last_error();
        }
        return out;
    }
    std::vector<int64_t> dims(const std::string& path) const {
        const cn_variable* v = cn_document_variable(up, path.c_str());
        return v ? std::vector<int64_t>(v->dims, v->dims + v->ndim) : std::vector<int64_t>{-1};
    }
};

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

std::string error() { return cornu_last_error(); }

const std::string two = sequential(dense_config("a", 3, R"(, "batch_input_shape": [null, 2], "dtype": "float32")") + ", " + dense_config("b", 1));

}  // namespace

TEST(Legacy, OpensWholeModelsAndWeightsByContent) {
    Document whole(file(two, {dense("a", 2, 3), dense("b", 3, 1)}));
    ASSERT_EQ(whole.status, CORNU_OK) << error();
    EXPECT_EQ(cn_document_format(whole.doc), CORNU_FORMAT_H5);
    EXPECT_STREQ(cn_document_keras_version(whole.doc), "2.2.4");
    EXPECT_EQ(cn_document_variable(whole.doc, "model_weights/a/a/kernel:0")->layer, cn_layer_find(cn_document_root(whole.doc), "a"));
    Document alone(file("", {dense("a", 2, 3)}));
    ASSERT_EQ(alone.status, CORNU_OK) << error();
    EXPECT_EQ(cn_document_format(alone.doc), CORNU_FORMAT_H5_WEIGHTS);
    EXPECT_EQ(cn_document_root(alone.doc), nullptr);
    EXPECT_EQ(alone.up, alone.doc);
}

TEST(Legacy, TheDocumentKeepsTheConfigAsItStood) {
    Document d(file(two, {dense("a", 2, 3), dense("b", 3, 1)}));
    cn_buf text = {};
    ASSERT_EQ(cn_json_print(cn_json_root(cn_document_config_doc(d.doc)), &text), CORNU_OK);
    EXPECT_EQ(std::string(text.data, text.size), two);
    cn_buf_deinit(&text);
}

TEST(Legacy, WeightsGetThePathsOfKeras3) {
    Document d(file(two, {dense("a", 2, 3), dense("b", 3, 1)}));
    ASSERT_EQ(d.upgrade, CORNU_OK) << error();
    EXPECT_EQ(d.values("layers/dense/vars/0"), ramp(6));
    EXPECT_EQ(d.values("layers/dense_1/vars/1"), ramp(1, 100));
    EXPECT_TRUE(has(d.config(), R"("batch_shape": [null, 2])"));
    EXPECT_FALSE(has(d.config(), "batch_input_shape"));
    EXPECT_TRUE(has(d.config(), R"({"module": "keras.layers", "class_name": "Dense")"));
}

TEST(Legacy, ListsOfNamesMayBeCut) {
    Document d(file(two, {dense("a", 2, 3), dense("b", 3, 1)}, "2.4.0", "tensorflow", 1));
    ASSERT_EQ(d.upgrade, CORNU_OK) << error();
    EXPECT_EQ(d.values("layers/dense_1/vars/0"), ramp(3));
}

TEST(Legacy, LayersOfOtherNamesAreMatchedInOrder) {
    Document d(file(two, {dense("x", 2, 3), {"nothing", {}}, dense("y", 3, 1)}));
    ASSERT_EQ(d.upgrade, CORNU_OK) << error();
    EXPECT_EQ(d.values("layers/dense_1/vars/0"), ramp(3));
    Document more(file(two, {dense("x", 2, 3), dense("y", 3, 1), dense("z", 3, 1)}));
    EXPECT_EQ(more.status, CORNU_OK);
    EXPECT_EQ(more.upgrade, CORNU_BAD_FILE);
    EXPECT_TRUE(has(error(), "3 layers")) << error();
}

TEST(Legacy, OldKeysAndClassesAreRenamed) {
    struct Row {
        std::string layer, has, without;
    };
    const Row rows[] = {
        {R"({"class_name": "LeakyReLU", "config": {"name": "x", "alpha": 0.25}})", R"("negative_slope": 0.25)", "alpha"},
        {R"({"class_name": "ThresholdedReLU", "config": {"name": "x", "theta": 0.5}})", R"("class_name": "ReLU", "config": {"name": "x", "threshold": 0.5})", "theta"},
        {R"({"class_name": "BatchNormalization", "config": {"name": "x", "axis": [3]}})", R"("axis": 3)", "[3]"},
        {R"({"class_name": "Activation", "config": {"name": "x", "activation": "hard_sigmoid"}})", R"("scale": 0.2, "offset": 0.5)", "\"activation\": \"hard_sigmoid\""},
        {R"({"class_name": "GRU", "config": {"name": "x", "units": 3}})", R"("reset_after": false)", "@"},
        {R"({"class_name": "CuDNNGRU", "config": {"name": "x", "units": 3}})", R"("reset_after": true)", "CuDNN"},
        {R"({"class_name": "LSTM", "config": {"name": "x", "units": 3, "time_major": false, "implementation": 1}})", R"("class_name": "LSTM")", "time_major"},
        {R"({"class_name": "Dense", "config": {"name": "x", "units": 1, "dtype": {"class_name": "Policy", "config": {"name": "mixed_float16"}}}})",
         R"({"module": "keras", "class_name": "DTypePolicy", "config": {"name": "mixed_float16"})", "\"Policy\""},
        {R"({"class_name": "Dense", "config": {"name": "a/b", "units": 1, "kernel_initializer": {"class_name": "Zeros", "config": {"dtype": "float32"}}}})",
         R"({"module": "keras.initializers", "class_name": "Zeros", "config": {}, "registered_name": null})", "a/b"},
        {R"({"class_name": "Own", "config": {"name": "x", "alpha": 1}})", R"({"module": null, "class_name": "Own", "config": {"name": "x", "alpha": 1}, "registered_name": "Own")", "@"},
    };
    for (const Row& row : rows) {
        Document d(file(sequential(row.layer), {}));
        ASSERT_EQ(d.upgrade, CORNU_OK) << row.layer << error();
        EXPECT_TRUE(has(d.config(), row.has)) << d.config();
        EXPECT_FALSE(has(d.config(), row.without)) << d.config();
    }
}

TEST(Legacy, KeysOfKeras1AreRenamed) {
    std::string layer = R"({"class_name": "Convolution2D", "config": {"name": "c", "batch_input_shape": [null, 5, 5, 1], "input_dtype": "float32", "nb_filter": 2, "nb_row": 3, "nb_col": 2,
        "border_mode": "same", "subsample": [1, 1], "dim_ordering": "tf", "init": "glorot_uniform", "bias": false, "W_regularizer": {"name": "WeightRegularizer", "l1": 0.0, "l2": 0.5}}})";
    Document d(file(R"({"class_name": "Sequential", "config": [)" + layer + "]}", {{"c", {{"c_W", {3, 2, 1, 2}, ramp(12)}}}}, "1.2.0"));
    ASSERT_EQ(d.upgrade, CORNU_OK) << error();
    for (const char* part : {R"("class_name": "Conv2D")", R"("filters": 2)", R"("kernel_size": [3, 2])", R"("padding": "same")", R"("strides": [1, 1])", R"("data_format": "channels_last")",
                             R"("kernel_initializer": "glorot_uniform")", R"("use_bias": false)", R"("class_name": "L1L2", "config": {"l1": 0.0, "l2": 0.5})"})
        EXPECT_TRUE(has(d.config(), part)) << part << d.config();
    EXPECT_EQ(d.values("layers/conv2d/vars/0"), ramp(12));
}

TEST(Legacy, TheanoKernelsAreFlipped) {
    std::string conv = R"({"class_name": "Conv1D", "config": {"name": "c", "filters": 2, "kernel_size": [3], "use_bias": false}})";
    Document d(file(sequential(conv), {{"c", {{"c/kernel:0", {3, 1, 2}, ramp(6)}}}}, "2.0.8", "theano"));
    ASSERT_EQ(d.upgrade, CORNU_OK) << error();
    EXPECT_EQ(d.values("layers/conv1d/vars/0"), (std::vector<float>{4, 5, 2, 3, 0, 1}));
}

TEST(Legacy, CudnnWeightsBecomePlain) {
    // One unit, one input: every gate is a number, so only the biases change.
    std::string lstm = R"({"class_name": "CuDNNLSTM", "config": {"name": "r", "units": 1}})";
    Document d(file(sequential(lstm), {{"r", {{"r/kernel:0", {1, 4}, ramp(4)}, {"r/recurrent_kernel:0", {1, 4}, ramp(4)}, {"r/bias:0", {8}, ramp(8)}}}}));
    ASSERT_EQ(d.upgrade, CORNU_OK) << error();
    EXPECT_EQ(d.values("layers/lstm/cell/vars/2"), (std::vector<float>{4, 6, 8, 10}));
    // Two units, three inputs: element (i, j) of a gate is number i + 3 j of its transpose's rows.
    std::string gru = R"({"class_name": "CuDNNGRU", "config": {"name": "r", "units": 2}})";
    Document g(file(sequential(gru), {{"r", {{"r/kernel:0", {3, 6}, ramp(18)}, {"r/recurrent_kernel:0", {2, 6}, ramp(12)}, {"r/bias:0", {12}, ramp(12)}}}}));
    ASSERT_EQ(g.upgrade, CORNU_OK) << error();
    EXPECT_EQ(g.dims("layers/gru/cell/vars/2"), (std::vector<int64_t>{2, 6}));
    EXPECT_EQ(g.values("layers/gru/cell/vars/1"), (std::vector<float>{0, 6, 2, 8, 4, 10, 1, 7, 3, 9, 5, 11}));
    std::vector<float> kernel = g.values("layers/gru/cell/vars/0");
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 2; j++) {
            int p = i + 3 * j;
            EXPECT_EQ(kernel[(size_t)(i * 6 + j)], (float)((p / 2) * 6 + p % 2)) << i << "," << j;
        }
    }
}

TEST(Legacy, GatesOfKeras1AreJoined) {
    std::vector<Weight> weights;
    for (int g = 0; g < 4; g++) {  // i, c, f, o
        weights.push_back({"W" + std::to_string(g), {1, 1}, {(float)g}});
        weights.push_back({"U" + std::to_string(g), {1, 1}, {(float)(10 + g)}});
        weights.push_back({"b" + std::to_string(g), {1}, {(float)(20 + g)}});
    }
    std::string lstm = R"({"class_name": "LSTM", "config": {"name": "l", "output_dim": 1, "inner_activation": "sigmoid"}})";
    Document d(file(R"({"class_name": "Sequential", "config": [)" + lstm + "]}", {{"l", weights}}, "1.1.0"));
    ASSERT_EQ(d.upgrade, CORNU_OK) << error();
    EXPECT_EQ(d.values("layers/lstm/cell/vars/0"), (std::vector<float>{0, 2, 1, 3}));
    EXPECT_EQ(d.values("layers/lstm/cell/vars/2"), (std::vector<float>{20, 22, 21, 23}));
}

TEST(Legacy, CallsBecomeArguments) {
    std::string config = R"({"class_name": "Model", "config": {"name": "m", "layers": [
        {"class_name": "InputLayer", "name": "i", "config": {"name": "i", "batch_input_shape": [null, 2], "dtype": "float32"}, "inbound_nodes": []},
        {"class_name": "Model", "name": "n", "config": {"name": "n", "layers": [
            {"class_name": "InputLayer", "name": "j", "config": {"name": "j", "batch_input_shape": [null, 2]}, "inbound_nodes": []}],
            "input_layers": [["j", 0, 0]], "output_layers": [["j", 0, 0]]}, "inbound_nodes": [[["i", 0, 0, {}]]]},
        {"class_name": "TFOpLambda", "name": "tf.math.multiply", "config": {"name": "tf.math.multiply", "function": "math.multiply"}, "inbound_nodes": [["n", 1, 0, {"y": ["i", 0, 0], "name": null}]]},
        {"class_name": "TFOpLambda", "name": "odd", "config": {"name": "odd", "function": "linalg.svd"}, "inbound_nodes": [["n", 1, 0, {}]]}],
        "input_layers": [["i", 0, 0]], "output_layers": [["n", 1, 0]]}})";
    Document d(file(config, {}));
    ASSERT_EQ(d.upgrade, CORNU_OK) << error();
    std::string text = d.config();
    EXPECT_TRUE(has(text, R"("keras_history": ["n", 0, 0])")) << text;
    EXPECT_TRUE(has(text, R"("output_layers": ["n", 1, 0])")) << text;
    EXPECT_TRUE(has(text, R"({"module": "keras.src.ops.numpy", "class_name": "Multiply")")) << text;
    EXPECT_TRUE(has(cn_document_upgrade_notes(d.up), "tf.linalg.svd")) << cn_document_upgrade_notes(d.up);
    EXPECT_NE(cn_document_upgrade_note(d.up, "odd"), nullptr);
}

TEST(Legacy, BadFilesAreRefusedByName) {
    struct Row {
        std::string bytes;
        cornu_status load, upgrade;
        std::string says;
    };
    auto no_group = [] {
        cn_h5_writer* w = nullptr;
        EXPECT_EQ(cn_h5_writer_open(nullptr, &w), CORNU_OK);
        names(w, "", "layer_names", {"ghost"});
        void* bytes = nullptr;
        uint64_t size = 0;
        EXPECT_EQ(cn_h5_writer_finish(w, &bytes, &size), CORNU_OK);
        std::string out((const char*)bytes, size);
        cn_free(bytes);
        cn_h5_writer_close(w);
        return out;
    };
    const Row rows[] = {
        {no_group(), CORNU_BAD_FILE, CORNU_OK, "ghost"},
        {file("{\"class_name\": \"Sequential\", \"class_name\": 1}", {}), CORNU_BAD_FILE, CORNU_OK, "class_name"},
        {file("[1]", {}), CORNU_BAD_FILE, CORNU_OK, "model_config"},
        {file(two, {dense("a", 2, 3), {"b", {{"b/kernel:0", {3, 1}, ramp(3)}}}}), CORNU_OK, CORNU_BAD_FILE, "expects 2 weights"},
    };
    for (const Row& row : rows) {
        Document d(row.bytes);
        EXPECT_EQ(d.status, row.load) << row.says << error();
        EXPECT_EQ(d.upgrade, row.upgrade) << row.says << error();
        EXPECT_TRUE(has(error(), row.says)) << error();
    }
}

TEST(Legacy, SafeModeRefusesCode) {
    std::string lambda = sequential(R"({"class_name": "Lambda", "config": {"name": "x", "function": ["4wEA", null, null], "function_type": "lambda"}})");
    EXPECT_EQ(Document(file(lambda, {}), true).status, CORNU_REFUSED);
    Document d(file(lambda, {}));
    ASSERT_EQ(d.upgrade, CORNU_OK) << error();
    EXPECT_TRUE(has(d.config(), R"("function": {"class_name": "__lambda__", "config": {"code": "4wEA")")) << d.config();
}

TEST(Legacy, ChangedVariablesAreSeenThroughTheUpgrade) {
    Document d(file(two, {dense("a", 2, 3), dense("b", 3, 1)}));
    cn_variable* raw = cn_document_variable(d.doc, "model_weights/b/b/bias:0");
    float seven = 7;
    int64_t one = 1;
    cornu_tensor value = cornu_tensor_shaped(CORNU_FLOAT32, &seven, 1, &one);
    uint64_t version = cn_document_variable(d.up, "layers/dense_1/vars/1")->version;
    ASSERT_EQ(cn_document_set_variable(d.doc, raw, &value), CORNU_OK);
    EXPECT_EQ(d.values("layers/dense_1/vars/1"), std::vector<float>{7});
    EXPECT_GT(cn_document_variable(d.up, "layers/dense_1/vars/1")->version, version);
}

// ---- loading weights ----

namespace {

struct Told {
    std::vector<std::string> lines;
    static void note(void* user, cornu_weights_match what, const char* path) { ((Told*)user)->lines.push_back(std::to_string(what) + " " + path); }
};

cornu_status load(Document& d, const std::string& bytes, cornu_weights_options options = CORNU_WEIGHTS_OPTIONS_INIT, cornu_weights_report* report = nullptr) {
    Folder folder;
    files::write(folder / "w.h5", bytes);
    return cn_document_load_weights(d.doc, (folder / "w.h5").c_str(), &options, report);
}

Layer filled(const std::string& name, int64_t in, int64_t out, float value) {
    return {name, {{"k", {in, out}, std::vector<float>((size_t)(in * out), value)}, {"b", {out}, std::vector<float>((size_t)out, value)}}};
}

}  // namespace

TEST(LoadWeights, InOrderWhateverTheNames) {
    Document d(file(two, {dense("a", 2, 3), dense("b", 3, 1)}));
    cornu_weights_report report = {sizeof report, 0, 0, 0, 0};
    ASSERT_EQ(load(d, file("", {filled("x", 2, 3, 5), filled("y", 3, 1, 6)}), CORNU_WEIGHTS_OPTIONS_INIT, &report), CORNU_OK) << error();
    EXPECT_EQ(report.matched, 4);
    EXPECT_EQ(report.missing + report.mismatched + report.unused, 0);
    EXPECT_EQ(d.values("layers/dense/vars/0"), std::vector<float>(6, 5));
    EXPECT_EQ(d.values("layers/dense_1/vars/1"), std::vector<float>(1, 6));
}

TEST(LoadWeights, ByNameLeavesTheOthers) {
    Document d(file(two, {dense("a", 2, 3), dense("b", 3, 1)}));
    cornu_weights_options options = CORNU_WEIGHTS_OPTIONS_INIT;
    cornu_weights_report report = {sizeof report, 0, 0, 0, 0};
    Told told;
    options.by_name = 1;
    options.note = Told::note;
    options.note_user = &told;
    std::string bytes = file("", {filled("b", 3, 1, 6), filled("z", 2, 2, 1)});
    ASSERT_EQ(load(d, bytes, options, &report), CORNU_OK) << error();
    EXPECT_EQ(report.matched, 2);
    EXPECT_EQ(report.missing, 2);
    EXPECT_EQ(report.unused, 2);
    EXPECT_EQ(d.values("layers/dense/vars/0"), ramp(6));
    EXPECT_EQ(d.values("layers/dense_1/vars/0"), std::vector<float>(3, 6));
    EXPECT_NE(std::find(told.lines.begin(), told.lines.end(), "3 z/k"), told.lines.end());
    options.require_all = 1;
    EXPECT_EQ(load(d, bytes, options), CORNU_NOT_FOUND);
    EXPECT_TRUE(has(error(), "layers/dense/vars/0")) << error();
}

TEST(LoadWeights, OtherShapesAreAnErrorUnlessSkipped) {
    Document d(file(two, {dense("a", 2, 3), dense("b", 3, 1)}));
    std::string bytes = file("", {filled("a", 4, 3, 5), filled("b", 3, 1, 6)});
    cornu_weights_options options = CORNU_WEIGHTS_OPTIONS_INIT;
    EXPECT_EQ(load(d, bytes), CORNU_BAD_ARGUMENT);
    EXPECT_TRUE(has(error(), "(4, 3)") && has(error(), "(2, 3)")) << error();
    EXPECT_EQ(d.values("layers/dense_1/vars/0"), ramp(3));  // nothing was changed
    options.skip_mismatch = 1;
    ASSERT_EQ(load(d, bytes, options), CORNU_OK) << error();
    EXPECT_EQ(d.values("layers/dense/vars/0"), ramp(6));
    EXPECT_EQ(d.values("layers/dense/vars/1"), std::vector<float>(3, 5));
    EXPECT_EQ(d.values("layers/dense_1/vars/0"), std::vector<float>(3, 6));
}

TEST(LoadWeights, OneLayerFromAFileOfTheWholeModelOrOfItself) {
    Document d(file(two, {dense("a", 2, 3), dense("b", 3, 1)}));
    cornu_weights_options options = CORNU_WEIGHTS_OPTIONS_INIT;
    options.layer = "b";
    ASSERT_EQ(load(d, file("", {filled("a", 2, 3, 5), filled("b", 3, 1, 6)}), options), CORNU_OK) << error();
    EXPECT_EQ(d.values("layers/dense/vars/0"), ramp(6));
    EXPECT_EQ(d.values("layers/dense_1/vars/0"), std::vector<float>(3, 6));
    options.layer = "nobody";
    EXPECT_EQ(load(d, file("", {}), options), CORNU_BAD_ARGUMENT);
    EXPECT_TRUE(has(error(), "nobody")) << error();
}

TEST(LoadWeights, AnArchitectureGetsItsVariables) {
    Document d(two);
    ASSERT_EQ(d.status, CORNU_OK) << error();
    EXPECT_EQ(cn_document_format(d.doc), CORNU_FORMAT_JSON);
    ASSERT_EQ(load(d, file("", {filled("x", 2, 3, 5), filled("y", 3, 1, 6)})), CORNU_OK) << error();
    ASSERT_EQ(cn_document_upgraded(d.doc, &d.up), CORNU_OK) << error();
    EXPECT_EQ(d.values("layers/dense_1/vars/0"), std::vector<float>(3, 6));
}

TEST(LoadWeights, DeclaredClassesAreRemembered) {
    const char* names[] = {"Mine", "pkg>Yours"};
    cornu_load_options options = CORNU_LOAD_OPTIONS_INIT;
    cn_document* doc = nullptr;
    options.custom_objects = names;
    options.n_custom_objects = 2;
    ASSERT_EQ(cn_document_open_memory(two.data(), two.size(), &options, &doc), CORNU_OK) << error();
    EXPECT_TRUE(cn_document_is_declared(doc, "Mine"));
    EXPECT_TRUE(cn_document_is_declared(doc, "pkg>Mine"));
    EXPECT_TRUE(cn_document_is_declared(doc, "pkg>Yours"));
    EXPECT_FALSE(cn_document_is_declared(doc, "Other"));
    cn_document_close(doc);
}
