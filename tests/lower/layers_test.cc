// Values of the layers without images: one small model each, what Keras gives for it worked out by hand; and what is refused.
#include <cmath>
#include <cstring>

#include "cornu.h"
#include "tests/keras/files.h"

namespace {

std::string layer(const std::string& class_name, const std::string& config, const std::string& name, const std::string& calls = "",
                  const std::string& module = "keras.layers") {
    return R"({"module":")" + module + R"(","class_name":")" + class_name + R"(","name":")" + name + R"(","config":{"name":")" + name +
           R"(","dtype":"float32")" + (config.empty() ? "" : ",") + config + R"(},"registered_name":null,"inbound_nodes":[)" + calls + "]}";
}
std::string tensor(const std::string& name) {
    return R"({"class_name":"__keras_tensor__","config":{"shape":[null],"dtype":"float32","keras_history":[")" + name + R"(",0,0]}})";
}
std::string call(const std::string& args, const std::string& kwargs = "") {
    return R"({"args":[)" + args + R"(],"kwargs":{)" + kwargs + "}}";
}
std::string input(const std::string& name, const std::string& shape, const std::string& dtype = "float32") {
    return R"({"module":"keras.layers","class_name":"InputLayer","name":")" + name + R"(","config":{"name":")" + name + R"(","batch_shape":)" + shape +
           R"(,"dtype":")" + dtype + R"("},"registered_name":null,"inbound_nodes":[]})";
}
// A Functional of these layers, inputs a and, with two, b; output y.
std::string model_of(const std::string& layers, bool two = false) {
    return R"({"module":"keras.src.models.functional","class_name":"Functional","config":{"name":"m","layers":[)" + layers +
           R"(],"input_layers":[["a",0,0])" + (two ? R"(,["b",0,0])" : "") + R"(],"output_layers":[["y",0,0]]},"registered_name":"Functional"})";
}

struct Result {
    cornu_status status = CORNU_OK;
    std::string error;
    std::vector<float> values;
    std::vector<int64_t> dims;
    cornu_dtype dtype = CORNU_FLOAT32;
};

Result run(const std::string& config, const std::vector<cornu_tensor>& in, bool training = false, uint64_t seed = 1) {
    const std::string bytes = files::archive_of(config);
    cornu_session_options options = CORNU_SESSION_OPTIONS_INIT;
    cornu_model* model = nullptr;
    cornu_session* session = nullptr;
    cornu_tensor out;
    Result r;

    memset(&out, 0, sizeof out);
    options.device = "reference";
    options.training = training;
    options.seed = seed;
    r.status = cornu_model_load_memory(bytes.data(), bytes.size(), nullptr, &model);
    if (r.status == CORNU_OK) r.status = cornu_session_create(model, &options, &session);
    if (r.status == CORNU_OK) r.status = cornu_session_run(session, in.data(), (int)in.size(), &out, 1);
    if (r.status != CORNU_OK) r.error = cornu_last_error();
    for (int64_t i = 0; out.data && i < cornu_tensor_count(&out); i++) {
        r.values.push_back(out.dtype == CORNU_INT32 ? (float)((const int32_t*)out.data)[i]
                           : out.dtype == CORNU_FLOAT64 ? (float)((const double*)out.data)[i] : ((const float*)out.data)[i]);
    }
    r.dims.assign(out.dims, out.dims + out.ndim);
    r.dtype = out.dtype;
    cornu_tensor_release(&out);
    cornu_session_destroy(session);
    cornu_model_destroy(model);
    return r;
}

Result one(const std::string& class_name, const std::string& config, const std::vector<int64_t>& dims, std::vector<float> data,
           bool training = false, uint64_t seed = 1) {
    std::string shape = "[null";
    for (size_t i = 1; i < dims.size(); i++) shape += "," + std::to_string(dims[i]);
    const std::string m = model_of(input("a", shape + "]") + "," + layer(class_name, config, "y", call(tensor("a"))));
    return run(m, {cornu_tensor_shaped(CORNU_FLOAT32, data.data(), (int)dims.size(), dims.data())}, training, seed);
}

void expect_values(const Result& r, const std::vector<float>& expected) {
    ASSERT_EQ(r.status, CORNU_OK) << r.error;
    ASSERT_EQ(r.values.size(), expected.size());
    for (size_t i = 0; i < expected.size(); i++) EXPECT_NEAR(r.values[i], expected[i], 1e-5f) << "element " << i;
}

const float kNan = std::nanf("");

}  // namespace

TEST(Layers, Activations) {
    expect_values(one("Activation", R"("activation":"glu")", {1, 4}, {1, 2, 0, 0}), {0.5f, 1});
    expect_values(one("Activation", R"("activation":"sparsemax")", {1, 3}, {5, 1, 0}), {1, 0, 0});
    // Two in the support: Keras sums the running sums, 0.5 + 0.9, and not 0.9.
    expect_values(one("Activation", R"("activation":"sparsemax")", {1, 2}, {0.5f, 0.4f}), {0.3f, 0.2f});
    expect_values(one("Activation", R"("activation":{"module":"builtins","class_name":"function","config":"relu6","registered_name":"function"})",
                      {1, 3}, {-1, 3, 9}), {0, 3, 6});
    expect_values(one("Activation", R"("activation":{"module":"keras.layers","class_name":"LeakyReLU","config":{"negative_slope":0.5}})",
                      {1, 2}, {-2, 2}), {-1, 2});
    EXPECT_EQ(one("Activation", R"("activation":"nothing")", {1, 2}, {0, 0}).status, CORNU_UNSUPPORTED);
    EXPECT_EQ(one("Activation", R"("activation":"glu")", {1, 3}, {0, 0, 0}).status, CORNU_BAD_FILE);
}

TEST(Layers, ReLU) {
    expect_values(one("ReLU", R"("max_value":4,"negative_slope":0.5,"threshold":1)", {1, 4}, {-1, 0.5f, 2, 9}), {-1, -0.25f, 2, 4});
    Result r = one("ReLU", R"("max_value":4.0)", {1, 2}, {kNan, 9});
    ASSERT_EQ(r.status, CORNU_OK) << r.error;
    EXPECT_TRUE(std::isnan(r.values[0]));
    expect_values(one("ReLU", R"("threshold":1)", {1, 2}, {kNan, 9}), {0, 9});
    expect_values(one("LeakyReLU", R"("alpha":0.25)", {1, 2}, {-4, 4}), {-1, 4});  // of Keras 2
    expect_values(one("LeakyReLU", "", {1, 2}, {-1, 4}), {-0.3f, 4});
}

TEST(Layers, IntegersThroughActivations) {
    int32_t data[] = {-3, 9};
    const std::vector<cornu_tensor> in = {cornu_tensor_of(CORNU_INT32, data, 2, 1, 2)};
    Result r = run(model_of(input("a", "[null,2]", "int32") + "," + layer("ReLU", R"("max_value":4)", "y", call(tensor("a")))), in);
    EXPECT_EQ(r.dtype, CORNU_INT32);
    expect_values(r, {0, 4});
    r = run(model_of(input("a", "[null,2]", "int32") + "," + layer("Activation", R"("activation":"tanh")", "y", call(tensor("a")))), in);
    EXPECT_EQ(r.dtype, CORNU_FLOAT32);
    r = run(model_of(input("a", "[null,2]", "int32") + "," + layer("Activation", R"("activation":"sigmoid")", "y", call(tensor("a")))), in);
    EXPECT_EQ(r.status, CORNU_BAD_FILE) << r.error;
}

TEST(Layers, MergingExpandsAfterTheBatch) {
    float a[] = {1, 2}, b[] = {10, 20, 30, 40};
    const std::string inputs = input("a", "[null,2]") + "," + input("b", "[null,2,2]") + ",";
    const std::string args = "[" + tensor("a") + "," + tensor("b") + "]";
    const std::vector<cornu_tensor> in = {cornu_tensor_of(CORNU_FLOAT32, a, 2, 1, 2), cornu_tensor_of(CORNU_FLOAT32, b, 3, 1, 2, 2)};
    expect_values(run(model_of(inputs + layer("Add", "", "y", call(args)), true), in), {11, 22, 31, 42});
    expect_values(run(model_of(inputs + layer("Average", "", "y", call(args)), true), in), {5.5f, 11, 15.5f, 21});
    expect_values(run(model_of(inputs + layer("Subtract", "", "y", call(args)), true), in), {-9, -18, -29, -38});
    expect_values(run(model_of(inputs + layer("Dot", R"("axes":[1,2])", "y", call(args)), true), in), {50, 110});
    EXPECT_EQ(run(model_of(inputs + layer("Dot", R"("axes":[0,2])", "y", call(args)), true), in).status, CORNU_BAD_FILE);
    EXPECT_EQ(run(model_of(inputs + layer("Concatenate", R"("axis":1)", "y", call(args)), true), in).status, CORNU_BAD_FILE);
}

// [0, 0] is masked in a, [5, 5] in b: a step masked in one is the other's, one masked in both is 0.
TEST(Layers, MasksInMerges) {
    float a[] = {0, 0, 1, 2, 0, 0}, b[] = {3, 4, 5, 5, 5, 5};
    const std::string inputs = input("a", "[null,3,2]") + "," + input("b", "[null,3,2]") + "," +
                               layer("Masking", R"("mask_value":0.0)", "ma", call(tensor("a"))) + "," +
                               layer("Masking", R"("mask_value":5.0)", "mb", call(tensor("b"))) + ",";
    const std::string args = "[" + tensor("ma") + "," + tensor("mb") + "]";
    const std::vector<cornu_tensor> in = {cornu_tensor_of(CORNU_FLOAT32, a, 3, 1, 3, 2), cornu_tensor_of(CORNU_FLOAT32, b, 3, 1, 3, 2)};
    expect_values(run(model_of(inputs + layer("Add", "", "y", call(args)), true), in), {3, 4, 1, 2, 0, 0});
    expect_values(run(model_of(inputs + layer("Multiply", "", "y", call(args)), true), in), {3, 4, 1, 2, 0, 0});
    expect_values(run(model_of(inputs + layer("Minimum", "", "y", call(args)), true), in), {3, 4, 1, 2, 0, 0});
    expect_values(run(model_of(inputs + layer("Maximum", "", "y", call(args)), true), in), {3, 4, 1, 2, 0, 0});
}

TEST(Layers, Softmax) {
    float a[] = {1, 1, 1, 1};
    uint8_t b[] = {1, 0, 0, 0};
    const std::string inputs = input("a", "[null,2,2]") + "," + input("b", "[null,2,2]", "bool") + ",";
    const std::vector<cornu_tensor> in = {cornu_tensor_of(CORNU_FLOAT32, a, 3, 1, 2, 2), cornu_tensor_of(CORNU_BOOL, b, 3, 1, 2, 2)};
    // A row that is masked whole gives zeros.
    expect_values(run(model_of(inputs + layer("Softmax", "", "y", call(tensor("a"), "\"mask\":" + tensor("b"))), true), in), {1, 0, 0, 0});
    expect_values(one("Softmax", R"("axis":[1,2])", {1, 2, 2}, {0, 0, 0, 0}), {.25f, .25f, .25f, .25f});
}

TEST(Layers, Normalizations) {
    expect_values(one("UnitNormalization", R"("axis":[1,2])", {1, 2, 2}, {2, 0, 0, 0}), {1, 0, 0, 0});
    expect_values(one("UnitNormalization", R"("axis":-1)", {1, 2}, {3, 4}), {.6f, .8f});
    expect_values(one("LayerNormalization", R"("axis":-1,"center":false,"scale":false,"epsilon":0.0)", {1, 2}, {1, 3}), {-1, 1});
    expect_values(one("GroupNormalization", R"("groups":2,"center":false,"scale":false,"epsilon":0.0)", {1, 4}, {1, 3, 10, 30}), {-1, 1, -1, 1});
    expect_values(one("Normalization", R"("axis":[-1],"mean":[1.0,2.0],"variance":[4.0,0.0])", {1, 2}, {3, 2}), {1, 0});
    expect_values(one("Normalization", R"("axis":[],"mean":1.0,"variance":4.0,"invert":true)", {1, 2}, {3, 2}), {7, 5});
    EXPECT_EQ(one("GroupNormalization", R"("groups":3,"center":false,"scale":false)", {1, 4}, {1, 3, 10, 30}).status, CORNU_BAD_FILE);
    const Result missing = one("BatchNormalization", "", {1, 2}, {0, 0});
    EXPECT_EQ(missing.status, CORNU_BAD_FILE);
    EXPECT_NE(missing.error.find("4 variables"), std::string::npos) << missing.error;
}

TEST(Layers, Rescaling) {
    expect_values(one("Rescaling", R"("scale":[2.0,3.0],"offset":1)", {1, 2}, {1, 1}), {3, 4});
    expect_values(one("Rescaling", R"("scale":{"class_name":"__numpy__","config":{"value":[2.0,3.0],"dtype":"float32"}})", {1, 2}, {1, 1}), {2, 3});
    EXPECT_EQ(one("Rescaling", R"("scale":[[2.0],[1.0,2.0]])", {1, 2}, {1, 1}).status, CORNU_BAD_FILE);
    EXPECT_EQ(one("Rescaling", R"("scale":"two")", {1, 2}, {1, 1}).status, CORNU_BAD_FILE);
}

TEST(Layers, Images) {
    const std::vector<float> square = {0, 1, 2, 3};
    expect_values(one("Resizing", R"("height":1,"width":1,"interpolation":"area")", {1, 2, 2, 1}, square), {1.5f});
    expect_values(one("Resizing", R"("height":1,"width":2,"crop_to_aspect_ratio":true)", {1, 2, 2, 1}, square), {0, 1});
    expect_values(one("Resizing", R"("height":2,"width":4,"pad_to_aspect_ratio":true,"fill_value":9.0)", {1, 2, 2, 1}, square), {9, 0, 1, 9, 9, 2, 3, 9});
    expect_values(one("CenterCrop", R"("height":1,"width":1)", {1, 3, 3, 1}, {0, 1, 2, 3, 4, 5, 6, 7, 8}), {4});
    EXPECT_EQ(one("Resizing", R"("height":1,"width":1,"crop_to_aspect_ratio":true,"pad_to_aspect_ratio":true)", {1, 2, 2, 1}, square).status, CORNU_BAD_FILE);
}

TEST(Layers, DropoutOnlyAtTraining) {
    const std::vector<float> ones(1000, 1.0f);
    for (const char* name : {"Dropout", "AlphaDropout", "GaussianDropout"}) expect_values(one(name, R"("rate":0.5)", {1, 1000}, ones), ones);
    const Result r = one("Dropout", R"("rate":0.25)", {1, 1000}, ones, true);
    ASSERT_EQ(r.status, CORNU_OK) << r.error;
    int kept = 0;
    for (float v : r.values) {
        EXPECT_TRUE(v == 0 || std::fabs(v - 4 / 3.0f) < 1e-6) << v;
        kept += v != 0;
    }
    EXPECT_NEAR(kept, 750, 5 * std::sqrt(1000 * .25 * .75));  // five standard deviations
    EXPECT_EQ(one("Dropout", R"("rate":0.25)", {1, 1000}, ones, true).values, r.values);
    EXPECT_NE(one("Dropout", R"("rate":0.25)", {1, 1000}, ones, true, 2).values, r.values);
    for (float v : one("Dropout", R"("rate":1.0)", {1, 1000}, ones, true).values) EXPECT_EQ(v, 0);
}

// Mean and deviation of 20000 numbers, within five standard errors.
TEST(Layers, NoiseKeepsItsMoments) {
    const std::vector<float> ones(20000, 1.0f);
    for (const auto& [name, config, mean, deviation] : std::vector<std::tuple<std::string, std::string, double, double>>{
             {"GaussianNoise", R"("stddev":0.5)", 1, 0.5}, {"GaussianDropout", R"("rate":0.2)", 1, 0.5}}) {
        const Result r = one(name, config, {1, 20000}, ones, true);
        ASSERT_EQ(r.status, CORNU_OK) << r.error;
        double sum = 0, squares = 0;
        for (float v : r.values) sum += v, squares += (v - mean) * (v - mean);
        EXPECT_NEAR(sum / 20000, mean, 5 * deviation / std::sqrt(20000.0)) << name;
        EXPECT_NEAR(std::sqrt(squares / 20000), deviation, 5 * deviation / std::sqrt(40000.0)) << name;
    }
}

TEST(Layers, SpatialDropoutDropsWholeMaps) {
    const Result r = one("SpatialDropout2D", R"("rate":0.5,"data_format":"channels_first")", {1, 64, 2, 2}, std::vector<float>(256, 1.0f), true);
    ASSERT_EQ(r.status, CORNU_OK) << r.error;
    int kept = 0;
    for (int c = 0; c < 64; c++) {
        for (int i = 1; i < 4; i++) EXPECT_EQ(r.values[c * 4 + i], r.values[c * 4]);
        kept += r.values[c * 4] != 0;
    }
    EXPECT_TRUE(kept > 0 && kept < 64);
    expect_values(one("Dropout", R"("rate":0.5,"noise_shape":[1,1])", {1, 3}, {0, 0, 0}, true), {0, 0, 0});
    EXPECT_EQ(one("Dropout", R"("rate":0.5,"noise_shape":[1,2])", {1, 3}, {0, 0, 0}, true).status, CORNU_BAD_FILE);
}

// Layers that keras.applications does not export are known by module; a user's class of that name, or of a name of Keras's, is not.
TEST(Layers, ClassesAreKnownByModule) {
    float a[] = {1}, b[] = {10};
    const std::vector<cornu_tensor> in = {cornu_tensor_of(CORNU_FLOAT32, a, 2, 1, 1), cornu_tensor_of(CORNU_FLOAT32, b, 2, 1, 1)};
    const std::string inputs = input("a", "[null,1]") + "," + input("b", "[null,1]") + ",", args = call("[" + tensor("a") + "," + tensor("b") + "]");
    const char* own = "keras.src.applications.inception_resnet_v2";
    expect_values(run(model_of(inputs + layer("CustomScaleLayer", R"("scale":0.5)", "y", args, own), true), in), {6});
    EXPECT_EQ(run(model_of(inputs + layer("CustomScaleLayer", R"("scale":0.5)", "y", args, "mine"), true), in).status, CORNU_UNSUPPORTED);
    EXPECT_EQ(run(model_of(inputs + layer("Add", "", "y", args, "mine"), true), in).status, CORNU_UNSUPPORTED);
    EXPECT_EQ(run(model_of(inputs + layer("CustomScaleLayer", R"("scale":0.5)", "y", args), true), in).status, CORNU_UNSUPPORTED);
}
