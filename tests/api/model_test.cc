// cornu_model_* and cornu_arrays_* as a caller sees them.
#include <atomic>
#include <thread>

#include "cornu.h"
#include "tests/keras/files.h"

using files::Folder;
using files::sample;

namespace {

struct Model {
    cornu_model* model = nullptr;
    explicit Model(const std::string& path) {
        EXPECT_EQ(cornu_model_load(path.c_str(), nullptr, &model), CORNU_OK) << cornu_last_error();
    }
    ~Model() { cornu_model_destroy(model); }
};

template <typename T>
T sized() {
    T t{};
    t.size = sizeof t;
    return t;
}

}  // namespace

TEST(Model, TellsWhatIsInTheFile) {
    Model m(sample("sequential.keras"));
    auto info = sized<cornu_model_info>();
    ASSERT_EQ(cornu_model_get_info(m.model, &info), CORNU_OK);
    EXPECT_EQ(info.format, CORNU_FORMAT_KERAS);
    EXPECT_STREQ(info.format_name, "keras");
    EXPECT_STREQ(info.keras_version, "3.15.1");
    EXPECT_STREQ(info.class_name, "Sequential");
    EXPECT_STREQ(info.name, "small");
    EXPECT_STREQ(info.optimizer, "Adam");
    EXPECT_EQ(info.layer_count, 4);
    EXPECT_EQ(info.parameter_count, 35);
    EXPECT_EQ(info.trainable_count, 29);  // without BatchNormalization's moving statistics, 2 x 3
    EXPECT_EQ(info.optimizer_parameter_count, 60);
    EXPECT_EQ(info.weight_bytes, 140u);
    EXPECT_EQ(info.variable_count, cornu_model_variable_count(m.model));
}

TEST(Model, CountsNothingTrainableWhenFrozen) {
    Model m(sample("sequential.keras"));
    auto info = sized<cornu_model_info>();
    ASSERT_EQ(cornu_model_set_json(m.model, CORNU_JSON_CONFIG, "/config/layers/1/config/trainable", "false"), CORNU_OK);
    ASSERT_EQ(cornu_model_get_info(m.model, &info), CORNU_OK);
    EXPECT_EQ(info.trainable_count, 29 - 15);
}

TEST(Model, RowsOfLayersFollowTheFile) {
    Model m(sample("functional.keras"));
    std::vector<std::string> rows;
    for (int64_t i = 0; i < cornu_model_layer_count(m.model); i++) {
        auto row = sized<cornu_layer_info>();
        ASSERT_EQ(cornu_model_layer_info(m.model, i, &row), CORNU_OK);
        rows.push_back(std::to_string(row.depth) + row.name + ":" + row.path + ":" +
                       std::to_string(row.parameter_count) + ":" + row.inputs);
    }
    const std::vector<std::string> expected = {"0a:layers/input_layer:0:",
                                               "0b:layers/input_layer_1:0:",
                                               "0shared:layers/dense:12:a, b",
                                               "0inner:layers/sequential:24:shared",
                                               "1input_layer_1::0:",
                                               "1dense_2:layers/sequential/layers/dense:12:input_layer_1",
                                               "1dense_3:layers/sequential/layers/dense_1:12:dense_2"};
    ASSERT_GE(rows.size(), expected.size());
    for (const std::string& row : expected) EXPECT_NE(std::find(rows.begin(), rows.end(), row), rows.end()) << row;
    auto row = sized<cornu_layer_info>();
    EXPECT_EQ(cornu_model_layer_info(m.model, (int64_t)rows.size(), &row), CORNU_BAD_ARGUMENT);
    EXPECT_EQ(cornu_model_layer_info(m.model, -1, &row), CORNU_BAD_ARGUMENT);
}

TEST(Model, WeightsAloneHaveRowsOfTheirGroups) {
    Model m(sample("plain.weights.h5"));
    auto row = sized<cornu_layer_info>();
    ASSERT_EQ(cornu_model_layer_count(m.model), 1);
    ASSERT_EQ(cornu_model_layer_info(m.model, 0, &row), CORNU_OK);
    EXPECT_STREQ(row.path, "layers/dense");
    EXPECT_EQ(row.parameter_count, 15);
    EXPECT_NE(row.missing, nullptr);
}

TEST(Model, VariablesAreReadAndSet) {
    Model m(sample("sequential.keras"));
    cornu_tensor out = {};
    ASSERT_EQ(cornu_model_get_variable(m.model, "layers/dense/vars/0", &out), CORNU_OK);
    EXPECT_EQ(out.ndim, 2);
    EXPECT_EQ(out.dims[0], 4);
    EXPECT_EQ(out.dtype, CORNU_FLOAT32);
    std::vector<float> values((float*)out.data, (float*)out.data + 12);
    cornu_tensor_release(&out);
    float mine[12];
    cornu_tensor into = cornu_tensor_of(CORNU_FLOAT32, mine, 2, 4, 3);
    ASSERT_EQ(cornu_model_get_variable(m.model, "layers/dense/vars/0", &into), CORNU_OK);
    EXPECT_EQ(std::vector<float>(mine, mine + 12), values);
    into = cornu_tensor_of(CORNU_FLOAT32, mine, 2, 3, 4);
    EXPECT_EQ(cornu_model_get_variable(m.model, "layers/dense/vars/0", &into), CORNU_BAD_ARGUMENT);
    EXPECT_EQ(cornu_model_get_variable(m.model, "layers/none", &out), CORNU_NOT_FOUND);
    int32_t ints[3] = {1, 2, 3};
    cornu_tensor value = cornu_tensor_of(CORNU_INT32, ints, 1, 3);
    ASSERT_EQ(cornu_model_set_variable(m.model, "layers/dense/vars/1", &value), CORNU_OK);
    ASSERT_EQ(cornu_model_get_variable(m.model, "layers/dense/vars/1", &out), CORNU_OK);
    EXPECT_EQ(((float*)out.data)[2], 3.0f);
    cornu_tensor_release(&out);
    value.ndim = -1;
    EXPECT_EQ(cornu_model_set_variable(m.model, "layers/dense/vars/1", &value), CORNU_BAD_ARGUMENT);
    for (int64_t i = 0; i < cornu_model_variable_count(m.model); i++) {
        auto info = sized<cornu_variable_info>();
        ASSERT_EQ(cornu_model_variable_info(m.model, i, &info), CORNU_OK);
        EXPECT_EQ(info.version, std::string(info.path) == "layers/dense/vars/1" ? 1u : 0u);
        EXPECT_EQ(info.is_optimizer, std::string(info.path).find("optimizer/") == 0);
    }
}

TEST(Model, JsonKeepsItsSpelling) {
    Model m(sample("sequential.keras"));
    char* text = nullptr;
    ASSERT_EQ(cornu_model_get_json(m.model, CORNU_JSON_CONFIG, "", &text), CORNU_OK);
    EXPECT_EQ(std::string(text), files::member(files::unzip(files::read(sample("sequential.keras"))), "config.json"));
    cornu_free(text);
    EXPECT_EQ(cornu_model_get_json(m.model, CORNU_JSON_CONFIG, "/config/nothing", &text), CORNU_NOT_FOUND);
    EXPECT_EQ(text, nullptr);
    EXPECT_EQ(cornu_model_get_json(m.model, (cornu_json_part)9, "", &text), CORNU_BAD_ARGUMENT);
    ASSERT_EQ(cornu_model_set_json(m.model, CORNU_JSON_METADATA, "/note", "\"x\""), CORNU_OK) << cornu_last_error();
    ASSERT_EQ(cornu_model_get_json(m.model, CORNU_JSON_METADATA, "/note", &text), CORNU_OK);
    EXPECT_STREQ(text, "\"x\"");
    cornu_free(text);
}

TEST(Model, AssetsAreListed) {
    Model m(sample("lookup.keras"));
    const char* name = nullptr;
    uint64_t bytes = 0;
    ASSERT_EQ(cornu_model_asset_count(m.model), 1);
    ASSERT_EQ(cornu_model_asset_info(m.model, 0, &name, &bytes), CORNU_OK);
    EXPECT_STREQ(name, "assets/layers/string_lookup/vocabulary.txt");
    EXPECT_GT(bytes, 0u);
    EXPECT_EQ(cornu_model_asset_info(m.model, 1, &name, &bytes), CORNU_BAD_ARGUMENT);
}

TEST(Model, RefusesBadArguments) {
    Model m(sample("sequential.keras"));
    cornu_model* out = nullptr;
    cornu_model_info small = {};
    size_t size;
    void* data;
    EXPECT_EQ(cornu_model_load(nullptr, nullptr, &out), CORNU_BAD_ARGUMENT);
    EXPECT_EQ(cornu_model_load("x", nullptr, nullptr), CORNU_BAD_ARGUMENT);
    EXPECT_EQ(cornu_model_load_memory(nullptr, 5, nullptr, &out), CORNU_BAD_ARGUMENT);
    EXPECT_EQ(cornu_model_load_memory(nullptr, 0, nullptr, &out), CORNU_BAD_FILE);
    EXPECT_EQ(cornu_model_save(nullptr, "x.keras", nullptr), CORNU_BAD_ARGUMENT);
    EXPECT_EQ(cornu_model_save(m.model, "", nullptr), CORNU_BAD_ARGUMENT);
    EXPECT_EQ(cornu_model_save_memory(m.model, nullptr, nullptr, &size), CORNU_BAD_ARGUMENT);
    cornu_save_options options = CORNU_SAVE_OPTIONS_INIT;
    options.format = CORNU_FORMAT_KERAS_DIR;
    EXPECT_EQ(cornu_model_save_memory(m.model, &options, &data, &size), CORNU_BAD_ARGUMENT);
    options.size = 0;
    EXPECT_EQ(cornu_model_save_memory(m.model, &options, &data, &size), CORNU_BAD_ARGUMENT);
    EXPECT_EQ(cornu_model_get_info(m.model, &small), CORNU_BAD_ARGUMENT);
    EXPECT_NE(std::string(cornu_last_error()).find("size"), std::string::npos);
    EXPECT_EQ(cornu_model_layer_count(nullptr), 0);
    cornu_model_destroy(nullptr);
}

TEST(Model, SafeModeNamesFileLayerAndKey) {
    cornu_model* model = nullptr;
    EXPECT_EQ(cornu_model_load(sample("lambda.keras").c_str(), nullptr, &model), CORNU_REFUSED);
    std::string says = cornu_last_error();
    for (const char* part : {"lambda.keras", "'code'", "'function'"})
        EXPECT_NE(says.find(part), std::string::npos) << says;
}

TEST(Model, ProgressCountsToItsTotal) {
    Folder folder;
    Model m(sample("sequential.keras"));
    struct Seen {
        uint64_t done, total;
        int calls;
    } seen = {0, 0, 0};
    float zero[3] = {};
    cornu_tensor value = cornu_tensor_of(CORNU_FLOAT32, zero, 1, 3);
    ASSERT_EQ(cornu_model_set_variable(m.model, "layers/dense/vars/1", &value), CORNU_OK);
    cornu_save_options options = CORNU_SAVE_OPTIONS_INIT;
    options.progress_user = &seen;
    options.progress = [](void* user, uint64_t done, uint64_t total) {
        Seen* s = (Seen*)user;
        EXPECT_GE(done, s->done);
        EXPECT_LE(done, total);
        *s = {done, total, s->calls + 1};
        return 0;
    };
    ASSERT_EQ(cornu_model_save(m.model, (folder / "x.keras").c_str(), &options), CORNU_OK) << cornu_last_error();
    EXPECT_GT(seen.calls, 2);
    EXPECT_EQ(seen.done, seen.total);
}

TEST(Model, ThreadsReadWhileOneWrites) {
    Model m(sample("sequential.keras"));
    std::atomic<bool> stop{false};
    std::vector<std::thread> readers;
    for (int t = 0; t < 3; t++)
        readers.emplace_back([&] {
            while (!stop) {
                cornu_tensor out = {};
                auto row = sized<cornu_layer_info>();
                EXPECT_EQ(cornu_model_get_variable(m.model, "layers/dense/vars/1", &out), CORNU_OK);
                EXPECT_EQ(((float*)out.data)[0], ((float*)out.data)[2]);  // never half written
                cornu_tensor_release(&out);
                EXPECT_EQ(cornu_model_layer_info(m.model, 1, &row), CORNU_OK);
            }
        });
    for (int i = 0; i < 200; i++) {
        float v[3] = {(float)i, (float)i, (float)i};
        cornu_tensor value = cornu_tensor_of(CORNU_FLOAT32, v, 1, 3);
        EXPECT_EQ(cornu_model_set_variable(m.model, "layers/dense/vars/1", &value), CORNU_OK);
        if (i % 50 != 0) continue;
        EXPECT_EQ(cornu_model_set_json(m.model, CORNU_JSON_CONFIG, "/config/name", "\"n\""), CORNU_OK);
    }
    stop = true;
    for (auto& t : readers) t.join();
}

TEST(Arrays, AreSavedAndLoaded) {
    Folder folder;
    float a[6] = {1, 2, 3, 4, 5, 6};
    int64_t b[1] = {7};
    cornu_array in[2] = {{"x", cornu_tensor_of(CORNU_FLOAT32, a, 2, 2, 3)}, {"y", cornu_tensor_of(CORNU_INT64, b, 0)}};
    cornu_array* out = nullptr;
    int count = 0;
    ASSERT_EQ(cornu_arrays_save((folder / "a.npz").c_str(), in, 2, 0), CORNU_OK) << cornu_last_error();
    ASSERT_EQ(cornu_arrays_load((folder / "a.npz").c_str(), &out, &count), CORNU_OK) << cornu_last_error();
    ASSERT_EQ(count, 2);
    EXPECT_STREQ(out[0].name, "x");
    EXPECT_EQ(memcmp(out[0].tensor.data, a, sizeof a), 0);
    EXPECT_EQ(*(int64_t*)out[1].tensor.data, 7);
    cornu_arrays_free(out, count);
    EXPECT_EQ(cornu_arrays_save((folder / "a.npz").c_str(), in, 2, 0), CORNU_EXISTS);
    EXPECT_EQ(cornu_arrays_save((folder / "a.npy").c_str(), in, 2, 0), CORNU_BAD_ARGUMENT);
    ASSERT_EQ(cornu_arrays_save((folder / "a.npy").c_str(), in, 1, 0), CORNU_OK);
    ASSERT_EQ(cornu_arrays_load((folder / "a.npy").c_str(), &out, &count), CORNU_OK);
    ASSERT_EQ(count, 1);
    EXPECT_STREQ(out[0].name, "");
    EXPECT_EQ(out[0].tensor.dims[1], 3);
    cornu_arrays_free(out, count);
    EXPECT_EQ(cornu_arrays_save((folder / "a.txt").c_str(), in, 1, 0), CORNU_BAD_ARGUMENT);
    EXPECT_EQ(cornu_arrays_load(sample("plain.weights.h5").c_str(), &out, &count), CORNU_BAD_FILE);
    EXPECT_EQ(cornu_arrays_load((folder / "none.npz").c_str(), &out, &count), CORNU_NOT_FOUND);
    EXPECT_EQ(out, nullptr);
}
