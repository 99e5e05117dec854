// Layers: kinds, names, paths in the weights file, variables; dialects of tf.keras.
#include "keras/layer.h"

#include "tests/keras/files.h"

using files::sample;

namespace {

struct Document {
    cn_document* doc = nullptr;
    std::string bytes;
    cornu_status status;
    explicit Document(std::string data) : bytes(std::move(data)) {
        cornu_load_options options = CORNU_LOAD_OPTIONS_INIT;
        options.safe_mode = 0;
        status = cn_document_open_memory(bytes.data(), bytes.size(), &options, &doc);
        EXPECT_EQ(status, CORNU_OK) << cornu_last_error();
    }
    ~Document() { cn_document_close(doc); }
    const cn_layer* root() const { return cn_document_root(doc); }
};

// A weights file with one float32 scalar at each path; a path that ends in '/' is an empty group.
std::string weights(const std::vector<std::string>& paths) {
    cn_h5_writer* writer = nullptr;
    void* bytes = nullptr;
    uint64_t size = 0;
    EXPECT_EQ(cn_h5_writer_open(nullptr, &writer), CORNU_OK);
    cn_h5_fill fill = [](void*, uint64_t, void* dst, uint64_t n) {
        memset(dst, 0, n);
        return CORNU_OK;
    };
    for (const std::string& path : paths) {
        bool group = path.back() == '/';
        EXPECT_EQ(group ? cn_h5_writer_group(writer, path.substr(0, path.size() - 1).c_str())
                        : cn_h5_writer_dataset(writer, path.c_str(), CORNU_FLOAT32, 0, nullptr, fill, nullptr),
                  CORNU_OK);
    }
    EXPECT_EQ(cn_h5_writer_finish(writer, &bytes, &size), CORNU_OK) << cornu_last_error();
    cn_h5_writer_close(writer);
    std::string out((const char*)bytes, size);
    cn_free(bytes);
    return out;
}

std::string model(const std::string& config, const std::vector<std::string>& paths,
                  const std::string& version = "3.15.1") {
    return files::zip({{"metadata.json", "{\"keras_version\": \"" + version + "\"}"},
                       {"config.json", config},
                       {"model.weights.h5", weights(paths)}});
}

std::string sequential(const std::vector<std::string>& classes) {
    std::string layers;
    int i = 0;
    for (const std::string& c : classes) {
        layers += (i ? "," : "") + std::string(R"({"module":"keras.layers","class_name":")") + c +
                  R"(","config":{"name":"l)" + std::to_string(i) + R"("}})";
        i++;
    }
    return R"({"module":"keras","class_name":"Sequential","config":{"name":"s","layers":[)" + layers + "]}}";
}

}  // namespace

TEST(Layer, SnakeCaseIsKeras) {
    const std::pair<const char*, const char*> cases[] = {{"Conv2DTranspose", "conv2d_transpose"},
                                                         {"PReLU", "p_re_lu"},
                                                         {"LSTM", "lstm"},
                                                         {"GRUCell", "gru_cell"},
                                                         {"RMSNormalization", "rms_normalization"},
                                                         {"RMSprop", "rm_sprop"},
                                                         {"MultiHeadAttention", "multi_head_attention"},
                                                         {"Dense", "dense"},
                                                         {"AbCdEf", "ab_cd_ef"},
                                                         {"my layer!", "mylayer"},
                                                         {"X1Ab2C", "x1_ab2c"},
                                                         {"", ""}};
    cn_arena arena = {};
    for (const auto& c : cases) EXPECT_STREQ(cn_snake_case(&arena, c.first), c.second);
    cn_arena_deinit(&arena);
}

TEST(Layer, FunctionalWithSharedNestedAndOperations) {
    Document d(files::read(sample("functional.keras")));
    const cn_layer* root = d.root();
    ASSERT_EQ(root->kind, CN_LAYER_FUNCTIONAL);
    EXPECT_STREQ(root->name, "graph");
    EXPECT_STREQ(root->path, "");
    const cn_layer* shared = cn_layer_find(root, "shared");
    EXPECT_STREQ(shared->path, "layers/dense");
    EXPECT_EQ(cn_json_size(shared->inbound_nodes), 2u);
    EXPECT_STREQ(cn_layer_find(root, "out")->path, "layers/dense_1");
    const cn_layer* inner = cn_layer_find(root, "inner");
    ASSERT_EQ(inner->kind, CN_LAYER_SEQUENTIAL);
    ASSERT_EQ(inner->layer_count, 3u);
    EXPECT_STREQ(inner->layers[2]->path, "layers/sequential/layers/dense_1");
    EXPECT_EQ(inner->layers[2]->parent, inner);
    EXPECT_EQ(cn_layer_find(root, "multiply")->kind, CN_LAYER_OP);
    EXPECT_EQ(cn_layer_find(root, "nothing"), nullptr);
    EXPECT_EQ(cn_layer_variable_count(d.doc, shared), 2);
    const cn_variable* bias = cn_layer_variable(d.doc, shared, 1);
    EXPECT_STREQ(bias->path, "layers/dense/vars/1");
    EXPECT_EQ(bias->layer, shared);
    EXPECT_EQ(cn_layer_variable(d.doc, shared, 2), nullptr);
    EXPECT_STREQ(cn_layer_describe(shared), "layer 'shared' (Dense)");
}

TEST(Layer, SubLayersAreFoundUnderTheirAttributes) {
    Document d(files::read(sample("functional.keras")));
    const cn_layer* bi = cn_layer_find(d.root(), "bi");
    const cn_layer *forward = nullptr, *again = nullptr, *cell = nullptr, *none = nullptr;
    const cn_json* object = cn_json_get(bi->config, "layer");
    ASSERT_EQ(cn_layer_sub(d.doc, bi, object, "_forward_layer|forward_layer", &forward), CORNU_OK);
    EXPECT_STREQ(forward->path, "layers/bidirectional/forward_layer");
    EXPECT_STREQ(forward->class_name, "LSTM");
    ASSERT_EQ(cn_layer_sub(d.doc, bi, object, "_forward_layer|forward_layer", &again), CORNU_OK);
    EXPECT_EQ(again, forward);
    ASSERT_EQ(cn_layer_sub_plain(d.doc, forward, "LSTMCell", "cell", &cell), CORNU_OK);
    EXPECT_EQ(cn_layer_variable_count(d.doc, cell), 3);
    EXPECT_EQ(cell->config, nullptr);
    ASSERT_EQ(cn_layer_sub_plain(d.doc, bi, "X", "first|second", &none), CORNU_OK);
    EXPECT_STREQ(none->path, "layers/bidirectional/first");
    EXPECT_EQ(cn_layer_variable_count(d.doc, none), 0);
    EXPECT_EQ(cn_layer_sub(d.doc, bi, nullptr, "x", &none), CORNU_BAD_FILE);
    EXPECT_EQ(cn_layer_sub(d.doc, bi, cn_json_get(bi->config, "merge_mode"), "x", &none), CORNU_BAD_FILE);
    EXPECT_NE(std::string(cornu_last_error()).find("'bi'"), std::string::npos);
}

TEST(Layer, SequentialDoesNotNumberItsInput) {
    Document d(model(sequential({"InputLayer", "Dense", "Dropout", "Dense", "GroupQueryAttention"}),
                     {"layers/dense/vars/0", "layers/dense_1/vars/0", "layers/grouped_query_attention/vars/0"}));
    EXPECT_STREQ(d.root()->layers[1]->path, "layers/dense");
    EXPECT_STREQ(d.root()->layers[2]->path, "layers/dropout");
    EXPECT_STREQ(d.root()->layers[3]->path, "layers/dense_1");
    EXPECT_STREQ(d.root()->layers[4]->path, "layers/grouped_query_attention");
}

TEST(Layer, TfKeras214HasAnotherContainer) {
    Document d(model(sequential({"Dense", "Dense"}),
                     {"_layer_checkpoint_dependencies/dense/vars/0", "_layer_checkpoint_dependencies/dense_1/vars/0"},
                     "2.14.0"));
    EXPECT_STREQ(d.root()->layers[1]->path, "_layer_checkpoint_dependencies/dense_1");
    EXPECT_EQ(cn_layer_variable_count(d.doc, d.root()->layers[1]), 1);
}

TEST(Layer, TfKeras213CountsLayersWithWeightsTwice) {
    const std::vector<std::string> paths = {
        "_layer_checkpoint_dependencies/dense/vars/0", "_layer_checkpoint_dependencies/dropout/vars/",
        "_layer_checkpoint_dependencies/dense_2/vars/0", "_layer_checkpoint_dependencies/dropout_1/vars/",
        "_layer_checkpoint_dependencies/dense_4/vars/0"};
    for (const char* version : {"2.12.0", "2.13.1", ""}) {
        Document d(model(sequential({"Dense", "Dropout", "Dense", "Dropout", "Dense"}), paths, version));
        EXPECT_STREQ(d.root()->layers[2]->path, "_layer_checkpoint_dependencies/dense_2") << version;
        EXPECT_STREQ(d.root()->layers[3]->path, "_layer_checkpoint_dependencies/dropout_1") << version;
        EXPECT_STREQ(d.root()->layers[4]->path, "_layer_checkpoint_dependencies/dense_4") << version;
    }
}

TEST(Layer, BackslashesOfWindowsAreReadAsSlashesAndSavedAsTheyWere) {
    std::string bytes =
        model(sequential({"Dense", "Dense"}), {"layers\\dense/vars/0", "layers\\dense_1/vars/0", "vars/"}, "2.15.0");
    Document d(bytes);
    EXPECT_STREQ(d.root()->layers[1]->path, "layers/dense_1");
    const cn_variable* v = cn_layer_variable(d.doc, d.root()->layers[1], 0);
    ASSERT_NE(v, nullptr);
    EXPECT_STREQ(v->path, "layers/dense_1/vars/0");
    float one = 1;
    cornu_tensor value = cornu_tensor_of(CORNU_FLOAT32, &one, 0);
    ASSERT_EQ(cn_document_set_variable(d.doc, cn_document_variable(d.doc, "layers/dense/vars/0"), &value), CORNU_OK);
    void* data = nullptr;
    uint64_t size = 0;
    ASSERT_EQ(cn_document_save_memory(d.doc, nullptr, &data, &size), CORNU_OK) << cornu_last_error();
    std::string tree =
        files::tree(files::member(files::unzip(std::string((const char*)data, size)), "model.weights.h5"));
    cn_free(data);
    EXPECT_NE(tree.find("group layers\\dense_1\n"), std::string::npos);
    EXPECT_EQ(tree.find("group layers\n"), std::string::npos);
}

TEST(Layer, OwnClassesStayPlain) {
    const char* graph = R"("config":{"name":"g","layers":[],"input_layers":[],"output_layers":[]}})";
    auto kind = [&](const std::string& head) {
        Document d(files::archive_of("{" + head + "," + graph));
        return d.root()->kind;
    };
    EXPECT_EQ(
        kind(R"("module":"keras.src.models.functional","class_name":"Functional","registered_name":"Functional")"),
        CN_LAYER_FUNCTIONAL);
    EXPECT_EQ(kind(R"("module":"keras","class_name":"Model")"), CN_LAYER_FUNCTIONAL);
    EXPECT_EQ(kind(R"("class_name":"Functional")"), CN_LAYER_FUNCTIONAL);
    EXPECT_EQ(kind(R"("module":null,"class_name":"Functional","registered_name":"mine>Functional")"), CN_LAYER_PLAIN);
    EXPECT_EQ(kind(R"("module":"mine","class_name":"Sequential","registered_name":"Sequential")"), CN_LAYER_PLAIN);
    EXPECT_EQ(kind(R"("module":null,"class_name":"Mine","registered_name":"a>Mine")"), CN_LAYER_PLAIN);
}

TEST(Layer, MissingVariablesAreNoVariables) {
    Document d(model(sequential({"Dense"}), {"vars/", "layers/other/vars/0"}));
    EXPECT_EQ(cn_layer_variable_count(d.doc, d.root()->layers[0]), 0);
    EXPECT_EQ(cn_layer_variable(d.doc, d.root()->layers[0], 0), nullptr);
    EXPECT_EQ(cn_document_variable(d.doc, "layers/other/vars/0")->layer, nullptr);
}
