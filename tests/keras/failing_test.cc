// Memory and the file system failing at every step: nothing crashes or leaks, the code says what failed, what was there before stays.
#include <cerrno>
#include <functional>

#include "archive/sink_fs.h"
#include "keras/check.h"
#include "keras/diff.h"
#include "keras/load_weights.h"
#include "keras/upgrade.h"
#include "tests/keras/legacy.h"

using files::Folder;
using files::read;
using files::sample;
using namespace legacy;

namespace {

struct Document {
    cn_document* doc = nullptr;
    explicit Document(const std::string& path, const char* config = nullptr) {
        cornu_load_options options = CORNU_LOAD_OPTIONS_INIT;
        options.config_path = config;
        status = cn_document_open(path.c_str(), &options, &doc);
    }
    ~Document() { cn_document_close(doc); }
    cornu_status status;
};

cornu_status save(cn_document* doc, const std::string& path, cornu_dialect dialect = CORNU_DIALECT_AUTO, uint64_t shard_bytes = 0) {
    cornu_save_options options = CORNU_SAVE_OPTIONS_INIT;
    options.dialect = dialect;
    options.shard_bytes = shard_bytes;
    return cn_document_save(doc, path.c_str(), &options);
}

// Calls run with allocation 1, 2, 3, ... failing, until it makes no more of them.
void fail_each(const std::string& name, const std::function<cornu_status()>& run) {
    bool done = false;
    ASSERT_EQ(run(), CORNU_OK) << name << ": " << cornu_last_error();
    for (uint64_t n = 1; !done && n < 100000; n++) {
        const uint64_t before = cn_alloc_count();
        cn_alloc_fail_at(n, false);
        const cornu_status st = run();
        cn_alloc_fail_at(0, false);
        done = cn_alloc_count() - before < n;
        ASSERT_EQ(st, done ? CORNU_OK : CORNU_NO_MEMORY) << name << ", allocation " << n << ": " << cornu_last_error();
    }
    EXPECT_TRUE(done) << name;
}

const std::string cell = R"({"class_name": "LSTM", "config": {"name": "l", "units": 2, "recurrent_activation": "hard_sigmoid", "return_sequences": true,
    "batch_input_shape": [null, 3, 2]}}, {"class_name": "GRU", "config": {"name": "g", "units": 2}}, )";

Layer cudnn(const std::string& name, int64_t gates) {
    return {name, {{"kernel:0", {2, gates * 2}, ramp((size_t)gates * 4)},
                   {"recurrent_kernel:0", {2, gates * 2}, ramp((size_t)gates * 4)},
                   {"bias:0", {gates * 4}, ramp((size_t)gates * 4)}}};
}

// Models of other ages in a folder.
struct Models : Folder {
    std::string recurrent = *this / "recurrent.h5", tf = *this / "tf.h5", keras = *this / "keras.h5", config = *this / "config.json";
    std::string weights = *this / "a.weights.h5", sharded = *this / "a.weights.json", arrays = *this / "a.npz";
    Models() {
        files::write(recurrent, file(sequential(cell + dense_config("d", 1)), {cudnn("l", 4), cudnn("g", 3), dense("d", 2, 1)}));
        Document a(sample("sequential.keras"));
        EXPECT_EQ(save(a.doc, tf, CORNU_DIALECT_TF), CORNU_OK) << cornu_last_error();
        EXPECT_EQ(save(a.doc, keras, CORNU_DIALECT_KERAS), CORNU_OK) << cornu_last_error();
        EXPECT_EQ(save(a.doc, config), CORNU_OK) << cornu_last_error();
        EXPECT_EQ(save(a.doc, weights), CORNU_OK) << cornu_last_error();
        EXPECT_EQ(save(a.doc, sharded), CORNU_OK) << cornu_last_error();
        EXPECT_EQ(save(a.doc, arrays), CORNU_OK) << cornu_last_error();
    }
};

}  // namespace

TEST(Failing, UpgradeAndConvert) {
    Models models;
    for (const std::string& path : {models.recurrent, models.tf, models.keras}) {
        const std::string bytes = read(path);
        fail_each(path, [&] {
            cn_document* doc = nullptr;
            void* out = nullptr;
            uint64_t size = 0;
            cornu_save_options options = CORNU_SAVE_OPTIONS_INIT;
            options.format = CORNU_FORMAT_KERAS;
            cornu_status st = cn_document_open_memory(bytes.data(), bytes.size(), nullptr, &doc);
            if (st == CORNU_OK) st = cn_document_save_memory(doc, &options, &out, &size);
            cn_free(out);
            cn_document_close(doc);
            return st;
        });
    }
}

TEST(Failing, Check) {
    Models models;
    for (const std::string& path : {models.recurrent, models.tf, sample("functional.keras"), sample("custom.keras")}) {
        cornu_load_options options = CORNU_LOAD_OPTIONS_INIT;
        options.safe_mode = 0;
        fail_each(path, [&] {
            cn_document* doc = nullptr;
            cn_check check = {};
            cornu_status st = cn_document_open(path.c_str(), &options, &doc);
            if (st == CORNU_OK) st = cn_check_document(doc, &check);
            cn_check_deinit(&check);
            cn_document_close(doc);
            return st;
        });
    }
}

TEST(Failing, Diff) {
    Models models;
    Document a(sample("sequential.keras")), b(models.weights, models.config.c_str());
    ASSERT_EQ(b.status, CORNU_OK) << cornu_last_error();
    float values[3] = {1, 2, 3};
    cornu_tensor value = cornu_tensor_of(CORNU_FLOAT32, values, 1, 3);
    for (size_t i = 0; i < cn_document_variable_count(b.doc); i++) {
        cn_variable* v = cn_document_variable_at(b.doc, i);
        if (v->ndim != 1 || v->dims[0] != 3) continue;
        ASSERT_EQ(cn_document_set_variable(b.doc, v, &value), CORNU_OK) << cornu_last_error();
    }
    fail_each("diff", [&] {
        cn_diff diff = {};
        const cornu_status st = cn_diff_documents(a.doc, b.doc, &diff);
        cn_diff_deinit(&diff);
        return st;
    });
}

TEST(Failing, LoadWeights) {
    Models models;
    for (const std::string& source : {models.weights, models.sharded, models.arrays, models.keras, models.tf}) {
        for (const std::string& target : {sample("sequential.keras"), models.config}) {
            fail_each(source + " into " + target, [&] {
                Document doc(target);
                cornu_weights_options options = CORNU_WEIGHTS_OPTIONS_INIT;
                options.require_all = 1;
                return doc.status == CORNU_OK ? cn_document_load_weights(doc.doc, source.c_str(), &options, nullptr) : doc.status;
            });
        }
    }
}

// ---- the file system ----

namespace {

std::string snapshot(const std::string& folder) {
    std::vector<std::string> names;
    std::string out;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
        if (entry.is_regular_file()) names.push_back(entry.path());
    }
    std::sort(names.begin(), names.end());
    for (const auto& name : names) out += name + "\n" + read(name) + "\n";
    return out;
}

}  // namespace

TEST(Failing, EveryStepOfASave) {
    static const int errors[] = {ENOSPC, EIO, EACCES, EROFS, EDQUOT};
    for (const char* name : {"B.keras", "B-dir/", "B.weights.h5", "B.weights.json", "B.h5", "B.json", "B.npz"}) {
        Folder folder;
        const std::string path = folder / name;
        Document first(sample("sequential.keras")), second(sample("sequential.keras"));
        ASSERT_EQ(cn_document_set_json(second.doc, CORNU_JSON_CONFIG, "/config/name", "\"other\""), CORNU_OK) << cornu_last_error();
        for (size_t i = 0; i < cn_document_variable_count(second.doc); i++) {
            cn_variable* v = cn_document_variable_at(second.doc, i);
            const std::vector<double> zeros((size_t)v->count);
            cornu_tensor value = cornu_tensor_shaped(v->dtype, (void*)zeros.data(), v->ndim, v->dims);
            ASSERT_EQ(cn_document_set_variable(second.doc, v, &value), CORNU_OK) << cornu_last_error();
        }
        ASSERT_EQ(save(first.doc, path, CORNU_DIALECT_AUTO, 256), CORNU_OK) << cornu_last_error();
        std::string old = snapshot(folder.path);
        bool done = false;
        for (uint64_t n = 1; !done && n < 1000; n++) {
            const int error = errors[n % (sizeof errors / sizeof *errors)];
            cn_fs_fail_at(n, error);
            const cornu_status st = save(second.doc, path, CORNU_DIALECT_AUTO, 256);
            cn_fs_fail_at(0, 0);
            done = st == CORNU_OK;
            if (done) break;
            const std::string said = cornu_last_error();
            ASSERT_EQ(st, CORNU_IO_ERROR) << name << " " << n << ": " << said;
            EXPECT_NE(said.find(strerror(error)), std::string::npos) << name << " " << n << ": " << said;
            EXPECT_NE(said.find("/B"), std::string::npos) << said;  // a shard's name begins with the target's
            if (said.find("was written, but") != std::string::npos) { // only its folder could not be synced
                ASSERT_EQ(Document(path).status, CORNU_OK) << name << " " << n << ": " << cornu_last_error();
                ASSERT_EQ(save(first.doc, path, CORNU_DIALECT_AUTO, 256), CORNU_OK);
                old = snapshot(folder.path);  // HDF5 has the time in it
            }
            ASSERT_EQ(snapshot(folder.path), old) << name << " " << n << ": " << said;
        }
        EXPECT_TRUE(done) << name;
        EXPECT_NE(snapshot(folder.path), old) << name;
    }
}

TEST(Failing, InterruptedStepsAreDoneAgain) {
    Folder folder;
    Document doc(sample("sequential.keras"));
    const std::string path = folder / "B.npz";
    ASSERT_EQ(save(doc.doc, path), CORNU_OK);
    const std::string good = read(path);
    int interrupted = 0;
    for (uint64_t n = 1; n < 100; n++) {
        cn_fs_fail_at(n, EINTR);
        const cornu_status st = save(doc.doc, path);
        cn_fs_fail_at(0, 0);
        EXPECT_EQ(read(path), good) << n;
        interrupted += st != CORNU_OK;
    }
    EXPECT_LE(interrupted, 4);  // looking at the target, its mode and the rename, which Linux does not interrupt
}

TEST(Failing, ZippedSaysWhetherItIsOneFile) {
    Folder folder;
    Document doc(sample("sequential.keras"));
    cornu_save_options options = CORNU_SAVE_OPTIONS_INIT;
    options.zipped = 0;
    const std::string path = folder / "a.keras";
    ASSERT_EQ(cn_document_save(doc.doc, path.c_str(), &options), CORNU_OK) << cornu_last_error();
    EXPECT_TRUE(std::filesystem::is_directory(path));
    Document again(path);
    ASSERT_EQ(again.status, CORNU_OK) << cornu_last_error();
    EXPECT_EQ(cn_document_format(again.doc), CORNU_FORMAT_KERAS_DIR);
    options.zipped = 1;
    ASSERT_EQ(cn_document_save(again.doc, (folder / "b.keras").c_str(), &options), CORNU_OK) << cornu_last_error();
    EXPECT_TRUE(std::filesystem::is_regular_file(folder / "b.keras"));
    EXPECT_EQ(cn_document_save(doc.doc, (folder / "c.h5").c_str(), &options), CORNU_BAD_ARGUMENT);
    EXPECT_NE(std::string(cornu_last_error()).find("zipped"), std::string::npos) << cornu_last_error();
}
