// Documents: opening by content, refusing, saving without loss.
#include "keras/document.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "tests/keras/files.h"

using files::Folder;
using files::member;
using files::read;
using files::sample;
using files::contents;
using files::tree;
using files::unzip;
using files::zip;

namespace {

cornu_load_options unsafe() {
    cornu_load_options options = CORNU_LOAD_OPTIONS_INIT;
    options.safe_mode = 0;
    return options;
}

struct Document {
    cn_document* doc = nullptr;
    std::string bytes;  // borrowed by doc
    cornu_status status;
    explicit Document(const std::string& path) {
        cornu_load_options options = unsafe();
        status = cn_document_open(path.c_str(), &options, &doc);
    }
    Document(std::string data, bool safe) : bytes(std::move(data)) {
        cornu_load_options options = unsafe();
        options.safe_mode = safe;
        status = cn_document_open_memory(bytes.data(), bytes.size(), &options, &doc);
        if (status != CORNU_OK) {
            EXPECT_EQ(doc, nullptr);
        }
    }
    ~Document() { cn_document_close(doc); }
};

std::string saved(cn_document* doc, cornu_save_options options = CORNU_SAVE_OPTIONS_INIT) {
    void* data = nullptr;
    uint64_t size = 0;
    EXPECT_EQ(cn_document_save_memory(doc, &options, &data, &size), CORNU_OK) << cornu_last_error();
    std::string out((const char*)data, size);
    cn_free(data);
    return out;
}

const char* const archives[] = {"sequential.keras", "functional.keras", "lookup.keras",
                                "custom.keras",     "lambda.keras",     "bfloat16.keras"};

}  // namespace

TEST(Document, SavesEveryMemberAsItWas) {
    for (const char* name : archives) {
        Document d(sample(name));
        ASSERT_EQ(d.status, CORNU_OK) << cornu_last_error();
        EXPECT_EQ(contents(saved(d.doc)), contents(read(sample(name)))) << name;
    }
}

TEST(Document, RewritesEqualTreesAfterAChange) {
    for (const char* name : archives) {
        Document d(sample(name));
        ASSERT_EQ(d.status, CORNU_OK) << cornu_last_error();
        for (size_t i = 0; i < cn_document_variable_count(d.doc); i++) {  // each to what it was
            cn_variable* v = cn_document_variable_at(d.doc, i);
            std::string data((size_t)v->count * cornu_dtype_size(v->dtype), '\0');
            ASSERT_EQ(cn_document_read(d.doc, v, data.data()), CORNU_OK);
            cornu_tensor value = cornu_tensor_shaped(v->dtype, data.data(), v->ndim, v->dims);
            ASSERT_EQ(cn_document_set_variable(d.doc, v, &value), CORNU_OK) << cornu_last_error();
        }
        EXPECT_EQ(tree(member(unzip(saved(d.doc)), "model.weights.h5")),
                  tree(member(unzip(read(sample(name))), "model.weights.h5")))
            << name;
    }
}

TEST(Document, NewValuesAreSavedAndRead) {
    Document d(sample("sequential.keras"));
    cn_variable* v = cn_document_variable(d.doc, "layers/dense/vars/1");
    double data[3] = {0.5, -2, 3};
    cornu_tensor value = cornu_tensor_of(CORNU_FLOAT64, data, 1, 3);
    ASSERT_EQ(cn_document_set_variable(d.doc, v, &value), CORNU_OK);
    EXPECT_EQ(v->version, 1u);
    Document again(saved(d.doc), true);
    float got[3];
    ASSERT_EQ(again.status, CORNU_OK) << cornu_last_error();
    ASSERT_EQ(cn_document_read(again.doc, cn_document_variable(again.doc, "layers/dense/vars/1"), got), CORNU_OK);
    EXPECT_EQ(got[0], 0.5f);
    EXPECT_EQ(got[1], -2.0f);
    EXPECT_EQ(got[2], 3.0f);
    value = cornu_tensor_of(CORNU_FLOAT64, data, 1, 2);
    EXPECT_EQ(cn_document_set_variable(d.doc, v, &value), CORNU_BAD_ARGUMENT);
    EXPECT_NE(std::string(cornu_last_error()).find("layers/dense/vars/1"), std::string::npos);
}

TEST(Document, LeavesOutTheOptimizer) {
    Document d(sample("sequential.keras"));
    cornu_save_options options = CORNU_SAVE_OPTIONS_INIT;
    options.include_optimizer = 0;
    std::string after = tree(member(unzip(saved(d.doc, options)), "model.weights.h5"));
    std::string before = tree(member(unzip(read(sample("sequential.keras"))), "model.weights.h5"));
    EXPECT_NE(before.find("group optimizer\n"), std::string::npos);
    EXPECT_EQ(after.find("optimizer"), std::string::npos);
    EXPECT_NE(after.find("data layers/dense/vars/0"), std::string::npos);
    EXPECT_EQ(after, before.substr(0, before.find("group optimizer\n")) + before.substr(before.find("group vars\n")));
}

TEST(Document, SetJsonChangesOnlyThatText) {
    std::string original = member(unzip(read(sample("sequential.keras"))), "config.json");
    Document d(zip({{"config.json", "  " + original + "\n"},
                    {"model.weights.h5", member(unzip(read(sample("sequential.keras"))), "model.weights.h5")}}),
               true);
    ASSERT_EQ(d.status, CORNU_OK) << cornu_last_error();
    ASSERT_EQ(cn_document_set_json(d.doc, CORNU_JSON_CONFIG, "/config/layers/1/config/units", "7"), CORNU_OK)
        << cornu_last_error();
    std::string expected = original;
    expected.replace(expected.find("\"units\": 3"), 10, "\"units\": 7");
    EXPECT_EQ(member(unzip(saved(d.doc)), "config.json"), "  " + expected + "\n");
}

TEST(Document, AFailedSetJsonChangesNothing) {
    Document d(sample("sequential.keras"));
    const cn_layer* root = cn_document_root(d.doc);
    EXPECT_EQ(cn_document_set_json(d.doc, CORNU_JSON_CONFIG, "/config/layers", "5"), CORNU_BAD_FILE);
    EXPECT_NE(std::string(cornu_last_error()).find("config.layers"), std::string::npos) << cornu_last_error();
    EXPECT_NE(cn_document_set_json(d.doc, CORNU_JSON_CONFIG, "/nothing/there", "5"), CORNU_OK);
    EXPECT_NE(cn_document_set_json(d.doc, CORNU_JSON_CONFIG, "/config/name", "{"), CORNU_OK);
    EXPECT_EQ(cn_document_root(d.doc), root);
    EXPECT_EQ(contents(saved(d.doc)), contents(read(sample("sequential.keras"))));
}

TEST(Document, LayersFollowTheirOwnPathsAfterSetJson) {
    Document d(sample("sequential.keras"));
    ASSERT_EQ(cn_document_set_json(d.doc, CORNU_JSON_CONFIG, "/config/layers/1/config/name", "\"first\""), CORNU_OK);
    EXPECT_STREQ(cn_document_variable(d.doc, "layers/dense/vars/0")->layer->name, "first");
}

// ---- directories ----

TEST(Document, DirectoryAndArchiveHoldTheSame) {
    Folder folder;
    Document d(sample("lookup.keras"));
    cornu_save_options options = CORNU_SAVE_OPTIONS_INIT;
    ASSERT_EQ(cn_document_save(d.doc, (folder / "model/").c_str(), &options), CORNU_OK) << cornu_last_error();
    Document dir(folder / "model");
    ASSERT_EQ(dir.status, CORNU_OK) << cornu_last_error();
    EXPECT_EQ(cn_document_format(dir.doc), CORNU_FORMAT_KERAS_DIR);
    EXPECT_EQ(cn_document_asset_count(dir.doc), 1u);
    EXPECT_EQ(contents(saved(dir.doc)), contents(read(sample("lookup.keras"))));
    // onto itself, while it is read
    ASSERT_EQ(cn_document_save(dir.doc, (folder / "model/").c_str(), &options), CORNU_OK) << cornu_last_error();
    EXPECT_EQ(contents(saved(dir.doc)), contents(read(sample("lookup.keras"))));
}

TEST(Document, ADirectoryWithOtherFilesIsNotReplaced) {
    Folder folder;
    Document d(sample("lookup.keras"));
    std::filesystem::create_directory(folder / "mine");
    files::write(folder / "mine/notes.txt", "precious");
    EXPECT_EQ(cn_document_save(d.doc, (folder / "mine/").c_str(), nullptr), CORNU_BAD_ARGUMENT);
    EXPECT_NE(std::string(cornu_last_error()).find("notes.txt"), std::string::npos);
    EXPECT_EQ(read(folder / "mine/notes.txt"), "precious");
}

TEST(Document, DirectoriesFollowNoLinks) {
    Folder folder;
    Document d(sample("lookup.keras"));
    ASSERT_EQ(cn_document_save(d.doc, (folder / "model/").c_str(), nullptr), CORNU_OK) << cornu_last_error();
    std::filesystem::rename(folder / "model/config.json", folder / "outside.json");
    std::filesystem::create_symlink(folder / "outside.json", folder / "model/config.json");
    Document linked(folder / "model");
    EXPECT_NE(linked.status, CORNU_OK);
    EXPECT_NE(std::string(cornu_last_error()).find("config.json"), std::string::npos);
}

// ---- what is no model ----

struct Bad {
    const char* name;
    std::string bytes;
    cornu_status status;
    const char* says;
};

TEST(Document, RefusesWhatIsNoModelAndSaysWhatItIs) {
    std::string good = read(sample("custom.keras"));
    auto all = unzip(good);
    std::string weights = member(all, "model.weights.h5"), config = member(all, "config.json");
    std::string half = good.substr(0, good.size() / 2);
    const Bad cases[] = {
        {"empty", "", CORNU_BAD_FILE, "empty"},
        {"text", "hello there", CORNU_BAD_FILE, "not a model file"},
        {"lfs", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", CORNU_BAD_FILE, "git lfs pull"},
        {"json", "{\"a\": 1}", CORNU_BAD_FILE, "JSON"},
        {"pickle", "\x80\x04\x95xxxxxx", CORNU_BAD_FILE, "pickle"},
        {"truncated zip", half, CORNU_BAD_FILE, ""},
        {"truncated h5", weights.substr(0, weights.size() / 2), CORNU_BAD_FILE, ""},
        {"no config", zip({{"model.weights.h5", weights}}), CORNU_BAD_FILE, "config.json"},
        {"no weights", zip({{"config.json", config}}), CORNU_BAD_FILE, "model.weights.h5"},
        {"npz weights", zip({{"config.json", config}, {"model.weights.npz", "PK"}}), CORNU_UNSUPPORTED,
         "model.weights.npz"},
        {"npz", zip({{"a.npy", "x"}}), CORNU_BAD_FILE, "a.npy"},
        {"folder", zip({{"m/config.json", config}}), CORNU_BAD_FILE, "m/config.json"},
        {"root list", files::archive_of("[]"), CORNU_BAD_FILE, "array"},
        {"root null", files::archive_of("null"), CORNU_BAD_FILE, "null"},
        {"no class", files::archive_of("{}"), CORNU_BAD_FILE, "class_name"},
        {"class number", files::archive_of("{\"class_name\": 1}"), CORNU_BAD_FILE, "class_name"},
        {"layers number",
         files::archive_of(R"({"module":"keras","class_name":"Sequential","config":{"name":"s","layers":3}})"),
         CORNU_BAD_FILE, "'s' (Sequential)"},
        {"layer number", files::archive_of(R"({"module":"keras","class_name":"Sequential","config":{"layers":[1]}})"),
         CORNU_BAD_FILE, "config.layers/0"},
        {"config string", files::archive_of(R"({"class_name":"X","config":"y"})"), CORNU_BAD_FILE, "'config'"},
        {"no json", files::archive_of("{\"class_name\": }"), CORNU_BAD_FILE, "config.json"},
        {"backslash", zip({{"config.json", config}, {"model.weights.h5", weights}, {"assets\\x", ""}}), CORNU_BAD_FILE,
         "assets\\x"},
    };
    for (const Bad& c : cases) {
        Document d(c.bytes, false);
        EXPECT_EQ(d.status, c.status) << c.name << ": " << cornu_last_error();
        EXPECT_NE(std::string(cornu_last_error()).find(c.says), std::string::npos)
            << c.name << ": " << cornu_last_error();
    }
}

TEST(Document, RefusesPathsThatAreNoFiles) {
    Folder folder;
    EXPECT_EQ(Document(folder / "missing.keras").status, CORNU_NOT_FOUND);
    EXPECT_NE(std::string(cornu_last_error()).find("missing.keras"), std::string::npos);
    EXPECT_EQ(Document("/dev/zero").status, CORNU_BAD_FILE);
    ASSERT_EQ(mkfifo((folder / "pipe.keras").c_str(), 0600), 0);
    EXPECT_EQ(Document(folder / "pipe.keras").status, CORNU_BAD_FILE);
    EXPECT_EQ(Document(folder.path).status, CORNU_BAD_FILE);
    EXPECT_NE(std::string(cornu_last_error()).find("config.json"), std::string::npos);
    files::write(folder / "saved_model.pb", "x");
    EXPECT_EQ(Document(folder.path).status, CORNU_UNSUPPORTED);
    EXPECT_NE(std::string(cornu_last_error()).find("SavedModel"), std::string::npos);
}

TEST(Document, SafeModeRefusesCodeAndPaths) {
    const std::pair<const char*, const char*> cases[] = {
        {R"({"class_name":"Lambda","config":{"name":"bad","function":{"class_name":"__lambda__","config":{"code":"x"}}}})",
         "function"},
        {R"({"class_name":"Lambda","config":{"name":"bad","function":["4wE=",null,null],"function_type":"lambda"}})",
         "function"},
        {R"({"class_name":"Lambda","config":{"name":"bad","output_shape":{"class_name":"__lambda__","config":{}}}})",
         "output_shape"},
        {R"({"class_name":"Dense","config":{"name":"bad","activation":{"class_name":"__lambda__","config":{"value":[]}}}})",
         "__lambda__"},
        {R"({"class_name":"TorchModuleWrapper","config":{"name":"bad","module":"gAI="}})", "TorchModuleWrapper"},
        {R"({"class_name":"TFSMLayer","config":{"name":"bad","filepath":"/x"}})", "TFSMLayer"},
        {R"({"class_name":"StringLookup","config":{"name":"bad","vocabulary":"/etc/passwd"}})", "vocabulary"},
        {R"({"class_name":"TextVectorization","config":{"name":"bad","vocabulary":"v.txt"}})", "vocabulary"},
    };
    for (const auto& c : cases) {
        std::string config =
            std::string(R"({"module":"keras","class_name":"Sequential","config":{"name":"s","layers":[)") + c.first +
            "]}}";
        Document safe(files::archive_of(config), true);
        EXPECT_EQ(safe.status, CORNU_REFUSED) << c.first;
        EXPECT_NE(std::string(cornu_last_error()).find("'bad'"), std::string::npos) << cornu_last_error();
        EXPECT_NE(std::string(cornu_last_error()).find(c.second), std::string::npos) << cornu_last_error();
        Document open(files::archive_of(config), false);
        EXPECT_EQ(open.status, CORNU_OK) << cornu_last_error();
        EXPECT_EQ(member(unzip(saved(open.doc)), "config.json"), config);
    }
    Document named(
        files::archive_of(
            R"({"class_name":"Lambda","config":{"name":"f","function":{"class_name":"function","config":"f"}}})"),
        true);
    EXPECT_EQ(named.status, CORNU_OK) << cornu_last_error();
    EXPECT_EQ(cn_document_set_json(named.doc, CORNU_JSON_CONFIG, "/config/function",
                                   R"({"class_name":"__lambda__","config":{}})"),
              CORNU_REFUSED);
}

TEST(Document, UnknownMembersAndMetadataAreKept) {
    auto members = unzip(read(sample("custom.keras")));
    members.emplace_back("notes/read me.txt", "kept");
    members[0].second = "no json at all";
    Document d(zip(members), true);
    ASSERT_EQ(d.status, CORNU_OK) << cornu_last_error();
    EXPECT_EQ(cn_document_keras_version(d.doc), nullptr);
    EXPECT_EQ(contents(saved(d.doc)), contents(members));
}

// ---- targets ----

TEST(Document, AFailedSaveLeavesTheTarget) {
    Folder folder;
    Document d(sample("custom.keras"));
    files::write(folder / "old.keras", "old");
    cornu_save_options options = CORNU_SAVE_OPTIONS_INIT;
    options.overwrite = 0;
    EXPECT_EQ(cn_document_save(d.doc, (folder / "old.keras").c_str(), &options), CORNU_EXISTS);
    options.overwrite = 1;
    options.progress = [](void*, uint64_t, uint64_t) { return 1; };
    EXPECT_EQ(cn_document_save(d.doc, (folder / "old.keras").c_str(), &options), CORNU_CANCELLED);
    EXPECT_EQ(read(folder / "old.keras"), "old");
    EXPECT_EQ(folder.count(), 1u);
    EXPECT_EQ(cn_document_save(d.doc, (folder / "no/such.keras").c_str(), nullptr), CORNU_IO_ERROR)
        << cornu_last_error();
    for (const char* name : {"model", "model.onnx", "old"})
        EXPECT_EQ(cn_document_save(d.doc, (folder / name).c_str(), nullptr), CORNU_BAD_ARGUMENT) << name;
    EXPECT_NE(std::string(cornu_last_error()).find(".weights.h5"), std::string::npos);
}

TEST(Document, AFolderThatCannotBeWrittenIsReported) {
    Folder folder;
    Document d(sample("custom.keras"));
    files::write(folder / "file", "old");
    EXPECT_EQ(cn_document_save(d.doc, "/proc/x.keras", nullptr), CORNU_IO_ERROR) << cornu_last_error();  // root cannot either
    EXPECT_NE(std::string(cornu_last_error()).find("/proc/x.keras"), std::string::npos) << cornu_last_error();
    EXPECT_EQ(cn_document_save(d.doc, (folder / "file/x.keras").c_str(), nullptr), CORNU_IO_ERROR) << cornu_last_error();
    EXPECT_EQ(read(folder / "file"), "old");
    EXPECT_EQ(folder.count(), 1u);
}

TEST(Document, SavesOntoTheFileItReads) {
    Folder folder;
    std::string path = folder / "m.keras";
    std::filesystem::copy_file(sample("sequential.keras"), path);
    Document d(path);
    cn_variable* v = cn_document_variable(d.doc, "layers/dense_1/vars/1");
    float data[2] = {1, 2}, got[2];
    cornu_tensor value = cornu_tensor_of(CORNU_FLOAT32, data, 1, 2);
    ASSERT_EQ(cn_document_set_variable(d.doc, v, &value), CORNU_OK);
    ASSERT_EQ(cn_document_save(d.doc, path.c_str(), nullptr), CORNU_OK) << cornu_last_error();
    std::string first = read(path);
    ASSERT_EQ(cn_document_save(d.doc, path.c_str(), nullptr), CORNU_OK) << cornu_last_error();
    EXPECT_EQ(contents(read(path)), contents(first));
    Document again(path);
    ASSERT_EQ(cn_document_read(again.doc, cn_document_variable(again.doc, "layers/dense_1/vars/1"), got), CORNU_OK);
    EXPECT_EQ(got[1], 2.0f);
    EXPECT_EQ(folder.count(), 1u);
}

TEST(Document, WeightsAreWrittenAnew) {
    auto members = unzip(read(sample("sequential.keras")));
    const std::string junk(4096, 'j');
    for (auto& m : members) {
        if (m.first == "model.weights.h5") m.second += junk;  // beyond the end that the file declares
    }
    Document d(zip(members), true);
    ASSERT_EQ(d.status, CORNU_OK) << cornu_last_error();
    EXPECT_EQ(contents(saved(d.doc)), contents(read(sample("sequential.keras"))));
    EXPECT_EQ(saved(d.doc).find(junk), std::string::npos);
}

TEST(Document, WeightsAlone) {
    Folder folder;
    Document d(sample("sequential.keras"));
    ASSERT_EQ(cn_document_save(d.doc, (folder / "x.weights.h5").c_str(), nullptr), CORNU_OK) << cornu_last_error();
    EXPECT_EQ(tree(read(folder / "x.weights.h5")),
              tree(member(unzip(read(sample("sequential.keras"))), "model.weights.h5")));
    Document w(folder / "x.weights.h5");
    ASSERT_EQ(w.status, CORNU_OK) << cornu_last_error();
    EXPECT_EQ(cn_document_root(w.doc), nullptr);
    EXPECT_EQ(cn_document_config_doc(w.doc), nullptr);
    EXPECT_EQ(cn_document_save(w.doc, (folder / "y.keras").c_str(), nullptr), CORNU_UNSUPPORTED);
    EXPECT_NE(std::string(cornu_last_error()).find("config_path"), std::string::npos);
    std::string config = member(unzip(read(sample("sequential.keras"))), "config.json");
    files::write(folder / "arch.json", config);
    std::string arch = folder / "arch.json";
    cornu_load_options options = CORNU_LOAD_OPTIONS_INIT;
    options.config_path = arch.c_str();
    cn_document* both = nullptr;
    ASSERT_EQ(cn_document_open((folder / "x.weights.h5").c_str(), &options, &both), CORNU_OK) << cornu_last_error();
    EXPECT_STREQ(cn_document_variable(both, "layers/dense/vars/0")->layer->name, "dense");
    EXPECT_EQ(cn_document_save(both, (folder / "y.keras").c_str(), nullptr), CORNU_OK) << cornu_last_error();
    EXPECT_EQ(member(unzip(read(folder / "y.keras")), "config.json"), config);
    cn_document_close(both);
}

TEST(Document, MaxBytesIsALimit) {
    cornu_load_options options = CORNU_LOAD_OPTIONS_INIT;
    cn_document* doc = nullptr;
    options.max_bytes = 1000;
    EXPECT_EQ(cn_document_open(sample("sequential.keras").c_str(), &options, &doc), CORNU_NO_MEMORY);
    EXPECT_EQ(doc, nullptr);
    options.max_bytes = 1 << 20;
    EXPECT_EQ(cn_document_open(sample("sequential.keras").c_str(), &options, &doc), CORNU_OK) << cornu_last_error();
    cn_document_close(doc);
}

TEST(Document, EveryAllocationMayFail) {
    std::string bytes = read(sample("sequential.keras"));
    bool done = false;
    for (uint64_t n = 1; !done && n < 100000; n++) {
        cn_document* doc = nullptr;
        void* data = nullptr;
        uint64_t size = 0;
        float values[3] = {1, 2, 3};
        cornu_tensor value = cornu_tensor_of(CORNU_FLOAT32, values, 1, 3);
        cn_alloc_fail_at(n, false);
        cornu_status st = cn_document_open_memory(bytes.data(), bytes.size(), nullptr, &doc);
        if (st == CORNU_OK) st = cn_document_set_json(doc, CORNU_JSON_CONFIG, "/config/layers/1/config/units", "4");
        if (st == CORNU_OK)
            st = cn_document_set_variable(doc, cn_document_variable(doc, "layers/dense/vars/1"), &value);
        if (st == CORNU_OK) st = cn_document_save_memory(doc, nullptr, &data, &size);
        cn_alloc_fail_at(0, false);
        ASSERT_TRUE(st == CORNU_OK || st == CORNU_NO_MEMORY) << n << ": " << cornu_last_error();
        done = st == CORNU_OK;
        cn_free(data);
        cn_document_close(doc);
    }
    EXPECT_TRUE(done);
}

TEST(Document, TheCorpusLoadsAndSavesWithoutLoss) {
    std::string root = files::corpora() + "/models";
    int count = 0;
    if (!std::filesystem::is_directory(root)) GTEST_SKIP() << "no corpus at " << root;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
        std::string bytes = entry.path().extension() == ".keras" && entry.is_regular_file() ? read(entry.path()) : "";
        if (bytes.substr(0, 2) != "PK") continue;
        Document d(bytes, false);
        ASSERT_EQ(d.status, CORNU_OK) << cornu_last_error();
        auto before = contents(bytes), after = contents(saved(d.doc));
        std::sort(before.begin(), before.end());
        std::sort(after.begin(), after.end());
        EXPECT_EQ(after, before) << entry.path();
        cn_variable* v = cn_document_variable_at(d.doc, 0);
        if (v) {  // written anew, as one variable is set to what it was
            std::string data((size_t)v->count * cornu_dtype_size(v->dtype), '\0');
            ASSERT_EQ(cn_document_read(d.doc, v, data.data()), CORNU_OK);
            cornu_tensor value = cornu_tensor_shaped(v->dtype, data.data(), v->ndim, v->dims);
            ASSERT_EQ(cn_document_set_variable(d.doc, v, &value), CORNU_OK) << cornu_last_error();
            EXPECT_EQ(tree(member(unzip(saved(d.doc)), "model.weights.h5")), member(before, "model.weights.h5"))
                << entry.path();
        }
        count++;
    }
    EXPECT_GT(count, 10);
}
