// Layers over images and their shapes without variables: what comes out, and what Keras refuses.
#include <cstring>

#include "cornu.h"
#include "tests/keras/files.h"

namespace {

typedef std::vector<int64_t> Dims;

// The output's shape of one layer on an input, or why there is none.
std::string shape_of(const std::string& class_name, const std::string& config, const Dims& input) {
    const std::string layer = R"({"module":"keras.layers","class_name":")" + class_name + R"(","config":{"name":"it",)" + config + "}}";
    const std::string bytes = files::archive_of(R"({"module":"keras","class_name":"Sequential","config":{"name":"s","layers":[)" + layer + "]}}");
    cornu_session_options options = CORNU_SESSION_OPTIONS_INIT;
    cornu_model* model = nullptr;
    cornu_session* session = nullptr;
    cornu_tensor in = cornu_tensor_shaped(CORNU_FLOAT32, nullptr, (int)input.size(), input.data()), out;
    std::string text;

    memset(&out, 0, sizeof out);
    options.device = "reference";
    if (cornu_model_load_memory(bytes.data(), bytes.size(), nullptr, &model) != CORNU_OK ||
        cornu_session_create(model, &options, &session) != CORNU_OK ||
        cornu_session_output_shapes(session, &in, 1, &out, 1) != CORNU_OK) {
        text = cornu_last_error();
    } else {
        for (int i = 0; i < out.ndim; i++) text += (i ? "," : "") + std::to_string(out.dims[i]);
    }
    cornu_session_destroy(session);
    cornu_model_destroy(model);
    return text;
}

// What the model of a config makes of inputs; empty, with a failed test, if it does not run.
std::vector<float> run(const std::string& config, const std::vector<cornu_tensor>& in) {
    const std::string bytes = files::archive_of(config);
    cornu_session_options options = CORNU_SESSION_OPTIONS_INIT;
    cornu_model* model = nullptr;
    cornu_session* session = nullptr;
    cornu_tensor out;
    std::vector<float> values;

    memset(&out, 0, sizeof out);
    options.device = "reference";
    EXPECT_EQ(cornu_model_load_memory(bytes.data(), bytes.size(), nullptr, &model), CORNU_OK) << cornu_last_error();
    EXPECT_EQ(cornu_session_create(model, &options, &session), CORNU_OK) << cornu_last_error();
    EXPECT_EQ(cornu_session_run(session, in.data(), (int)in.size(), &out, 1), CORNU_OK) << cornu_last_error();
    for (int64_t i = 0; out.data && i < cornu_tensor_count(&out); i++) {
        values.push_back(out.dtype == CORNU_INT32 ? (float)((const int32_t*)out.data)[i] : ((const float*)out.data)[i]);
    }
    cornu_tensor_release(&out);
    cornu_session_destroy(session);
    cornu_model_destroy(model);
    return values;
}

// An InputLayer, and an argument of a call that is its tensor.
std::string input(const std::string& name, const std::string& dtype, const std::string& shape, bool functional) {
    return R"({"module":"keras.layers","class_name":"InputLayer","name":")" + name + R"(","config":{"name":")" + name + R"(","batch_shape":)" + shape +
           R"(,"dtype":")" + dtype + "\"}" + (functional ? R"(,"inbound_nodes":[])" : "") + "}";
}
std::string argument(const std::string& name) {
    return R"({"class_name":"__keras_tensor__","config":{"shape":[null],"dtype":"float32","keras_history":[")" + name + R"(",0,0]}})";
}

bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST(ImageLayers, Pools) {
    EXPECT_EQ(shape_of("MaxPooling2D", R"("pool_size":[2,3],"padding":"valid")", {1, 7, 7, 2}), "1,3,2,2");
    EXPECT_EQ(shape_of("AveragePooling1D", R"("pool_size":[2],"strides":[3],"padding":"same")", {1, 7, 2}), "1,3,2");
    EXPECT_EQ(shape_of("MaxPooling3D", R"("pool_size":2,"data_format":"channels_first")", {1, 2, 4, 5, 6}), "1,2,2,2,3");
    EXPECT_EQ(shape_of("GlobalAveragePooling2D", R"("data_format":"channels_first","keepdims":true)", {1, 2, 4, 5}), "1,2,1,1");
    EXPECT_EQ(shape_of("AdaptiveMaxPooling2D", R"("output_size":[3,9])", {1, 5, 5, 2}), "1,3,9,2");
    const std::string wide = shape_of("MaxPooling2D", R"("pool_size":[2,8])", {1, 7, 7, 2});
    EXPECT_TRUE(has(wide, "'it'") && has(wide, "8 cells") && has(wide, "[1,7,7,2]")) << wide;
    EXPECT_TRUE(has(shape_of("MaxPooling2D", R"("pool_size":2,"strides":0)", {1, 7, 7, 2}), "strides"));
    EXPECT_TRUE(has(shape_of("GlobalMaxPooling1D", R"("keepdims":false)", {1, 7, 7, 2}), "3 axes"));
}

TEST(ImageLayers, Reshapes) {
    EXPECT_EQ(shape_of("Reshape", R"("target_shape":[-1,4])", {3, 2, 6}), "3,3,4");
    EXPECT_EQ(shape_of("Reshape", R"("target_shape":[-1,4])", {0, 2, 6}), "0,3,4");
    EXPECT_TRUE(has(shape_of("Reshape", R"("target_shape":[-1,5])", {3, 2, 6}), "number of elements"));
    EXPECT_TRUE(has(shape_of("Reshape", R"("target_shape":[5])", {3, 2, 6}), "[3,2,6]"));
    EXPECT_TRUE(has(shape_of("Reshape", R"("target_shape":[-1,-1])", {3, 2, 6}), "target_shape"));
    EXPECT_EQ(shape_of("Flatten", R"("data_format":"channels_first")", {3, 2, 6}), "3,12");
    EXPECT_EQ(shape_of("Flatten", R"("data_format":null)", {3}), "3,1");
    EXPECT_EQ(shape_of("Permute", R"("dims":[3,1,2])", {1, 2, 3, 4}), "1,4,2,3");
    EXPECT_TRUE(has(shape_of("Permute", R"("dims":[1,1])", {1, 2, 3}), "dims"));
    EXPECT_TRUE(has(shape_of("Permute", R"("dims":[2,1])", {1, 2, 3, 4}), "3 axes"));
    EXPECT_EQ(shape_of("RepeatVector", R"("n":5)", {2, 3}), "2,5,3");
    EXPECT_TRUE(has(shape_of("RepeatVector", R"("n":0)", {2, 3}), "n is 0"));
}

TEST(ImageLayers, PadsAndCrops) {
    EXPECT_EQ(shape_of("ZeroPadding1D", R"("padding":[1,3])", {1, 4, 2}), "1,8,2");
    EXPECT_EQ(shape_of("ZeroPadding2D", R"("padding":[1,3])", {1, 4, 4, 2}), "1,6,10,2");
    EXPECT_EQ(shape_of("ZeroPadding2D", R"("padding":[[1,0],[0,3]],"data_format":"channels_first")", {1, 2, 4, 4}), "1,2,5,7");
    EXPECT_EQ(shape_of("ZeroPadding3D", R"("padding":2)", {1, 1, 2, 3, 1}), "1,5,6,7,1");
    EXPECT_EQ(shape_of("Cropping1D", R"("cropping":[1,2])", {1, 4, 2}), "1,1,2");
    EXPECT_EQ(shape_of("Cropping2D", R"("cropping":[1,[0,2]])", {1, 4, 4, 2}), "1,2,2,2");
    EXPECT_EQ(shape_of("Cropping3D", R"("cropping":[[1,0],[0,1],[1,1]],"data_format":"channels_first")", {1, 2, 4, 4, 4}), "1,2,3,3,2");
    const std::string all = shape_of("Cropping1D", R"("cropping":[2,2])", {1, 4, 2});
    EXPECT_TRUE(has(all, "leaves nothing") && has(all, "[1,4,2]")) << all;
    for (const char* bad : {"[1]", "[1,2,3]", "-1", "[[1,2],[1,-2]]", "[[1,2],[1]]", "\"x\"", "1.5"}) {
        EXPECT_TRUE(has(shape_of("ZeroPadding2D", std::string(R"("padding":)") + bad, {1, 4, 4, 2}), "padding is")) << bad;
    }
}

TEST(ImageLayers, Upsampling) {
    EXPECT_EQ(shape_of("UpSampling1D", R"("size":3)", {1, 4, 2}), "1,12,2");
    EXPECT_EQ(shape_of("UpSampling2D", R"("size":[2,3],"interpolation":"bicubic","data_format":"channels_first")", {1, 2, 4, 4}), "1,2,8,12");
    EXPECT_EQ(shape_of("UpSampling3D", R"("size":[1,2,3])", {0, 4, 4, 4, 2}), "0,4,8,12,2");
    EXPECT_TRUE(has(shape_of("UpSampling2D", R"("interpolation":"cubic")", {1, 4, 4, 2}), "interpolation"));
    EXPECT_TRUE(has(shape_of("UpSampling3D", R"("size":2147483647)", {1, 100000, 100000, 1, 1}), "'it'"));
}

TEST(ImageLayers, ResizedIntegersAreRoundedToEven) {
    int32_t x[] = {0, 10};
    const std::string layers = input("x", "int32", "[null,1,2,1]", false) +
        R"(,{"module":"keras.layers","class_name":"UpSampling2D","config":{"name":"up","size":[1,2],"interpolation":"bilinear"}})";
    EXPECT_EQ(run(R"({"module":"keras","class_name":"Sequential","config":{"name":"s","layers":[)" + layers + "]}}",
                  {cornu_tensor_of(CORNU_INT32, x, 4, 1, 1, 2, 1)}),
              (std::vector<float>{0, 2, 8, 10}));
}

TEST(ImageLayers, MeanOverTheStepsThatAMaskLeaves) {
    float x[] = {1, 10, 2, 20, 6, 60};
    uint8_t mask[] = {1, 0, 1};
    const std::string layers = input("x", "float32", "[null,3,2]", true) + "," + input("m", "bool", "[null,3]", true) +
        R"(,{"module":"keras.layers","class_name":"GlobalAveragePooling1D","name":"mean","config":{"name":"mean"},"inbound_nodes":[{"args":[)" +
        argument("x") + R"(],"kwargs":{"mask":)" + argument("m") + "}}]}";
    const std::string config = R"({"module":"keras.src.models.functional","class_name":"Functional","config":{"name":"f","layers":[)" + layers +
        R"(],"input_layers":[["x",0,0],["m",0,0]],"output_layers":["mean",0,0]}})";
    EXPECT_EQ(run(config, {cornu_tensor_of(CORNU_FLOAT32, x, 3, 1, 3, 2), cornu_tensor_of(CORNU_BOOL, mask, 2, 1, 3)}),
              (std::vector<float>{3.5f, 35}));
}
