// Sessions through the public API: results, refusals, changed variables, threads, allocations.
#include "cornu.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "base/alloc.h"
#include "tests/keras/files.h"

namespace {

const std::string kDigits = CORNU_SOURCE_DIR "/tools/demo_model/digits.keras";

struct Model {
    cornu_model* handle = nullptr;
    explicit Model(const std::string& path) {
        EXPECT_EQ(cornu_model_load(path.c_str(), nullptr, &handle), CORNU_OK) << cornu_last_error();
    }
    ~Model() { cornu_model_destroy(handle); }
};

struct Session {
    cornu_session* handle = nullptr;
    cornu_status status;
    explicit Session(const Model& model, const char* device = nullptr, int training = 0, uint64_t seed = 0) {
        cornu_session_options options = CORNU_SESSION_OPTIONS_INIT;
        options.device = device;
        options.training = training;
        options.seed = seed;
        status = cornu_session_create(model.handle, &options, &handle);
    }
    ~Session() { cornu_session_destroy(handle); }
};

// Pictures that are all different, in [0, 16).
std::vector<float> pictures(int batch) {
    std::vector<float> x((size_t)batch * 64);
    for (size_t i = 0; i < x.size(); i++) x[i] = (float)((i * 7 + i / 64 * 3) % 16);
    return x;
}

std::vector<float> run(cornu_session* s, int batch) {
    auto x = pictures(batch);
    std::vector<float> y((size_t)batch * 10);
    cornu_tensor in = cornu_tensor_of(CORNU_FLOAT32, x.data(), 4, batch, 8, 8, 1);
    cornu_tensor out = cornu_tensor_of(CORNU_FLOAT32, y.data(), 2, batch, 10);
    EXPECT_EQ(cornu_session_run(s, &in, 1, &out, 1), CORNU_OK) << cornu_last_error();
    return y;
}

}  // namespace

TEST(Session, TellsItsPorts) {
    Model model(kDigits);
    Session s(model);
    cornu_port port = {};
    ASSERT_EQ(s.status, CORNU_OK) << cornu_last_error();
    ASSERT_EQ(cornu_session_input_count(s.handle), 1);
    ASSERT_EQ(cornu_session_output_count(s.handle), 1);
    EXPECT_EQ(cornu_session_input(s.handle, 0, &port), CORNU_BAD_ARGUMENT);  // size is not set
    port.size = sizeof port;
    ASSERT_EQ(cornu_session_input(s.handle, 0, &port), CORNU_OK);
    EXPECT_EQ(port.dtype, CORNU_FLOAT32);
    ASSERT_EQ(port.ndim, 4);
    EXPECT_EQ(port.dims[0], -1);
    EXPECT_EQ(port.dims[1], 8);
    ASSERT_EQ(cornu_session_output(s.handle, 0, &port), CORNU_OK);
    ASSERT_EQ(port.ndim, 2);
    EXPECT_EQ(port.dims[0], -1);
    EXPECT_EQ(port.dims[1], 10);
    EXPECT_EQ(cornu_session_output(s.handle, 1, &port), CORNU_BAD_ARGUMENT);
}

TEST(Session, GivesProbabilitiesAlikeOnEveryBackendAndBatch) {
    Model model(kDigits);
    Session cpu(model, "cpu"), reference(model, "reference");
    ASSERT_EQ(cpu.status, CORNU_OK) << cornu_last_error();
    ASSERT_EQ(reference.status, CORNU_OK);
    for (int batch : {1, 2, 3, 7, 1}) {
        auto a = run(cpu.handle, batch), b = run(reference.handle, batch);
        for (int i = 0; i < batch; i++) {
            double sum = 0;
            for (int k = 0; k < 10; k++) sum += a[(size_t)(i * 10 + k)];
            EXPECT_NEAR(sum, 1, 1e-5);
        }
        for (size_t i = 0; i < a.size(); i++) EXPECT_NEAR(a[i], b[i], 1e-5);
    }
}

TEST(Session, OutputMayBeTheLibrarys) {
    Model model(kDigits);
    Session s(model);
    auto x = pictures(2);
    cornu_tensor in = cornu_tensor_of(CORNU_FLOAT32, x.data(), 4, 2, 8, 8, 1), out = {}, shape = {};
    ASSERT_EQ(cornu_session_output_shapes(s.handle, &in, 1, &shape, 1), CORNU_OK) << cornu_last_error();
    EXPECT_EQ(shape.ndim, 2);
    EXPECT_EQ(shape.dims[0], 2);
    ASSERT_EQ(cornu_session_run(s.handle, &in, 1, &out, 1), CORNU_OK) << cornu_last_error();
    ASSERT_NE(out.data, nullptr);
    EXPECT_EQ(std::memcmp(out.data, run(s.handle, 2).data(), 80), 0);
    cornu_tensor_release(&out);
    EXPECT_EQ(out.data, nullptr);
}

TEST(Session, ConvertsNumericInputs) {
    Model model(kDigits);
    Session s(model, "reference");
    auto x = pictures(1);
    std::vector<uint8_t> bytes(x.begin(), x.end());
    std::vector<double> doubles(x.begin(), x.end());
    std::vector<float> want = run(s.handle, 1), y(10);
    cornu_tensor out = cornu_tensor_of(CORNU_FLOAT32, y.data(), 2, 1, 10);
    cornu_tensor in = cornu_tensor_of(CORNU_UINT8, bytes.data(), 4, 1, 8, 8, 1);
    ASSERT_EQ(cornu_session_run(s.handle, &in, 1, &out, 1), CORNU_OK) << cornu_last_error();
    EXPECT_EQ(y, want);
    in = cornu_tensor_of(CORNU_FLOAT64, doubles.data(), 4, 1, 8, 8, 1);
    ASSERT_EQ(cornu_session_run(s.handle, &in, 1, &out, 1), CORNU_OK) << cornu_last_error();
    EXPECT_EQ(y, want);
}

TEST(Session, RefusesWhatDoesNotFitAndStaysUsable) {
    Model model(kDigits);
    Session s(model);
    std::vector<float> x(9 * 64), y(10);
    cornu_string text = {"a", 1};
    cornu_tensor good = cornu_tensor_of(CORNU_FLOAT32, x.data(), 4, 1, 8, 8, 1);
    cornu_tensor out = cornu_tensor_of(CORNU_FLOAT32, y.data(), 2, 1, 10);
    const cornu_tensor bad[] = {
        cornu_tensor_of(CORNU_FLOAT32, x.data(), 4, 1, 9, 8, 1), cornu_tensor_of(CORNU_FLOAT32, x.data(), 2, 1, 64),
        cornu_tensor_of(CORNU_FLOAT32, x.data(), 4, -1, 8, 8, 1), cornu_tensor_of(CORNU_FLOAT32, nullptr, 4, 1, 8, 8, 1),
        cornu_tensor_of((cornu_dtype)77, x.data(), 4, 1, 8, 8, 1), cornu_tensor_of(CORNU_STRING, &text, 1, 1),
        cornu_tensor_of(CORNU_COMPLEX64, x.data(), 4, 1, 8, 8, 1), cornu_tensor_of(CORNU_FLOAT32, x.data(), 17, 1),
    };
    for (const cornu_tensor& in : bad) {
        EXPECT_EQ(cornu_session_run(s.handle, &in, 1, &out, 1), CORNU_BAD_ARGUMENT);
        EXPECT_NE(std::string(cornu_last_error()), "");
    }
    EXPECT_EQ(cornu_session_run(s.handle, &good, 0, &out, 1), CORNU_BAD_ARGUMENT);
    EXPECT_EQ(cornu_session_run(s.handle, &good, 1, &out, 2), CORNU_BAD_ARGUMENT);
    EXPECT_EQ(cornu_session_run(s.handle, nullptr, 1, &out, 1), CORNU_BAD_ARGUMENT);
    EXPECT_EQ(cornu_session_run(nullptr, &good, 1, &out, 1), CORNU_BAD_ARGUMENT);
    cornu_tensor wrong = cornu_tensor_of(CORNU_FLOAT64, y.data(), 2, 1, 5);
    EXPECT_EQ(cornu_session_run(s.handle, &good, 1, &wrong, 1), CORNU_BAD_ARGUMENT);
    EXPECT_NE(std::string(cornu_last_error()).find("[1,10]"), std::string::npos) << cornu_last_error();
    EXPECT_EQ(cornu_session_run(s.handle, &good, 1, &out, 1), CORNU_OK) << cornu_last_error();
}

TEST(Session, NamesEverythingThatCannotRun) {
    Model model(files::sample("custom.keras"));
    Session s(model);
    EXPECT_EQ(s.status, CORNU_UNSUPPORTED);
    EXPECT_EQ(s.handle, nullptr);
    EXPECT_NE(std::string(cornu_last_error()).find("Scale"), std::string::npos) << cornu_last_error();
}

TEST(Session, UnknownDevices) {
    Model model(kDigits);
    Session nonsense(model, "abacus"), cuda(model, "cuda:7");
    EXPECT_EQ(nonsense.status, CORNU_BAD_ARGUMENT);
    EXPECT_EQ(cuda.status, CORNU_NO_DEVICE);
}

TEST(Session, MemoryLimitIsKept) {
    Model model(kDigits);
    cornu_session_options options = CORNU_SESSION_OPTIONS_INIT;
    cornu_session* s = nullptr;
    options.max_bytes = 4096;
    cornu_status st = cornu_session_create(model.handle, &options, &s);
    if (st == CORNU_OK) {
        auto x = pictures(64);
        cornu_tensor in = cornu_tensor_of(CORNU_FLOAT32, x.data(), 4, 64, 8, 8, 1), out = {};
        st = cornu_session_run(s, &in, 1, &out, 1);
        EXPECT_EQ(out.data, nullptr);
    }
    EXPECT_EQ(st, CORNU_NO_MEMORY);
    cornu_session_destroy(s);
}

TEST(Session, ReturnsNamedLayers) {
    Model model(kDigits);
    cornu_layer_info layer = {};
    layer.size = sizeof layer;
    ASSERT_EQ(cornu_model_layer_info(model.handle, 1, &layer), CORNU_OK);
    const char* names[] = {layer.name};
    cornu_session_options options = CORNU_SESSION_OPTIONS_INIT;
    options.outputs = names;
    options.n_outputs = 1;
    cornu_session* s = nullptr;
    ASSERT_EQ(cornu_session_create(model.handle, &options, &s), CORNU_OK) << cornu_last_error();
    cornu_port port = {};
    port.size = sizeof port;
    ASSERT_EQ(cornu_session_output(s, 0, &port), CORNU_OK);
    EXPECT_EQ(port.ndim, 4);
    cornu_session_destroy(s);
    names[0] = "nobody";
    EXPECT_EQ(cornu_session_create(model.handle, &options, &s), CORNU_BAD_ARGUMENT);
    EXPECT_NE(std::string(cornu_last_error()).find("nobody"), std::string::npos);
}

// Every variable set to other values, with three sessions alive: their next run equals that of a model loaded afresh from the saved file.
TEST(Session, ChangedVariablesReachEverySession) {
    Model model(kDigits);
    Session a(model, "cpu"), b(model, "cpu"), c(model, "reference");
    auto before = run(a.handle, 3);
    run(b.handle, 1);
    run(c.handle, 3);
    for (int64_t i = 0; i < cornu_model_variable_count(model.handle); i++) {
        cornu_variable_info info = {};
        info.size = sizeof info;
        ASSERT_EQ(cornu_model_variable_info(model.handle, i, &info), CORNU_OK);
        cornu_tensor t = {};
        ASSERT_EQ(cornu_model_get_variable(model.handle, info.path, &t), CORNU_OK);
        if (t.dtype == CORNU_FLOAT32) {
            for (int64_t k = 0; k < cornu_tensor_count(&t); k++) ((float*)t.data)[k] = std::fabs(((float*)t.data)[k]) * 0.9f + 0.01f;
        }
        ASSERT_EQ(cornu_model_set_variable(model.handle, info.path, &t), CORNU_OK) << cornu_last_error();
        cornu_tensor_release(&t);
    }
    auto after_a = run(a.handle, 3), after_b = run(b.handle, 3), after_c = run(c.handle, 3);
    EXPECT_NE(after_a, before);
    EXPECT_EQ(after_a, after_b);
    files::Folder folder;
    ASSERT_EQ(cornu_model_save(model.handle, (folder / "changed.keras").c_str(), nullptr), CORNU_OK) << cornu_last_error();
    Model fresh(folder / "changed.keras");
    Session f(fresh, "cpu"), r(fresh, "reference");
    EXPECT_EQ(run(f.handle, 3), after_a);
    EXPECT_EQ(run(r.handle, 3), after_c);
}

TEST(Session, SecondRunAllocatesNothing) {
    Model model(kDigits);
    for (const char* device : {"cpu", "reference"}) {
        Session s(model, device);
        auto x = pictures(2);
        std::vector<float> y(20);
        cornu_tensor in = cornu_tensor_of(CORNU_FLOAT32, x.data(), 4, 2, 8, 8, 1);
        cornu_tensor out = cornu_tensor_of(CORNU_FLOAT32, y.data(), 2, 2, 10);
        ASSERT_EQ(cornu_session_run(s.handle, &in, 1, &out, 1), CORNU_OK);
        run(s.handle, 3);
        uint64_t count = cn_alloc_count();
        for (int i = 0; i < 3; i++) ASSERT_EQ(cornu_session_run(s.handle, &in, 1, &out, 1), CORNU_OK);
        EXPECT_EQ(cn_alloc_count(), count) << device;
    }
}

// Each allocation of creating a session and running it fails once, and from then on: no crash, no leak, the right code, and it works again after.
TEST(Session, SurvivesEveryFailingAllocation) {
    Model model(kDigits);
    for (bool persistent : {false, true}) {
        bool done = false;
        for (uint64_t n = 1; !done; n++) {
            cornu_session* s = nullptr;
            auto x = pictures(1);
            cornu_tensor in = cornu_tensor_of(CORNU_FLOAT32, x.data(), 4, 1, 8, 8, 1), out = {};
            uint64_t before = cn_alloc_count();
            cn_alloc_fail_at(n, persistent);
            cornu_status st = cornu_session_create(model.handle, nullptr, &s);
            if (st == CORNU_OK) st = cornu_session_run(s, &in, 1, &out, 1);
            done = cn_alloc_count() - before < n;
            cn_alloc_fail_at(0, false);
            if (st != CORNU_OK) ASSERT_EQ(st, CORNU_NO_MEMORY) << n << ": " << cornu_last_error();
            cornu_tensor_release(&out);
            cornu_session_destroy(s);
        }
        Session again(model);
        EXPECT_EQ(run(again.handle, 1).size(), 10u);
    }
}

TEST(Session, ThreadsShareOneModel) {
    Model model(kDigits);
    Session first(model);
    auto want = run(first.handle, 2);
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; t++) {
        threads.emplace_back([&] {
            cornu_session* s = nullptr;
            if (cornu_session_create(model.handle, nullptr, &s) != CORNU_OK) wrong++;
            for (int i = 0; s && i < 20; i++) wrong += run(s, 2) != want;
            cornu_session_destroy(s);
        });
    }
    for (auto& t : threads) t.join();
    EXPECT_EQ(wrong, 0);
}

TEST(Session, OutlivesTheModelsHandle) {
    cornu_model* model = nullptr;
    cornu_session* s = nullptr;
    ASSERT_EQ(cornu_model_load(kDigits.c_str(), nullptr, &model), CORNU_OK);
    ASSERT_EQ(cornu_session_create(model, nullptr, &s), CORNU_OK);
    cornu_model_destroy(model);
    EXPECT_EQ(run(s, 1).size(), 10u);
    cornu_session_destroy(s);
}

TEST(Session, TrainingIsRandomAndSeeded) {
    Model model(kDigits);
    Session a(model, "reference", 1, 5), b(model, "reference", 1, 5), c(model, "reference", 1, 6);
    auto first = run(a.handle, 4);
    EXPECT_EQ(first, run(b.handle, 4));
    EXPECT_NE(first, run(c.handle, 4));
    EXPECT_NE(first, run(a.handle, 4));  // each run draws new numbers
}

TEST(Session, KeepsItsConfig) {
    Model model(kDigits);
    Session s(model, "reference");
    auto want = run(s.handle, 1);
    ASSERT_EQ(cornu_model_set_json(model.handle, CORNU_JSON_CONFIG, "/config/layers/1/config/scale", "99.0"), CORNU_OK) << cornu_last_error();
    EXPECT_EQ(run(s.handle, 1), want);
    run(s.handle, 5);  // a new shape is lowered from the config that the session was made with
    Session changed(model, "reference");
    EXPECT_NE(run(changed.handle, 1), want);
}
