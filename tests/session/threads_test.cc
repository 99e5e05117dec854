// Results do not depend on the number of threads, bit for bit, nor on who else runs.
#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "cornu.h"

namespace {

std::vector<float> run(cornu_model* model, int threads, int batch, int times = 1) {
    cornu_session_options options = CORNU_SESSION_OPTIONS_INIT;
    cornu_session* s = nullptr;
    std::vector<float> x((size_t)batch * 64), y((size_t)batch * 10);
    options.device = "cpu";
    options.threads = threads;
    EXPECT_EQ(cornu_session_create(model, &options, &s), CORNU_OK) << cornu_last_error();
    for (size_t i = 0; i < x.size(); i++) x[i] = (float)((i * 7 + i / 64 * 3) % 16);
    cornu_tensor in = cornu_tensor_of(CORNU_FLOAT32, x.data(), 4, batch, 8, 8, 1);
    cornu_tensor out = cornu_tensor_of(CORNU_FLOAT32, y.data(), 2, batch, 10);
    for (int i = 0; i < times; i++) EXPECT_EQ(cornu_session_run(s, &in, 1, &out, 1), CORNU_OK) << cornu_last_error();
    cornu_session_destroy(s);
    return y;
}

}  // namespace

TEST(Threads, AnyNumberGivesTheSameBits) {
    cornu_model* model = nullptr;
    ASSERT_EQ(cornu_model_load(CORNU_SOURCE_DIR "/tools/demo_model/digits.keras", nullptr, &model), CORNU_OK);
    for (int batch : {1, 7, 128, 500}) {
        auto one = run(model, 1, batch);
        for (int threads : {2, 3, 0}) EXPECT_EQ(run(model, threads, batch, 2), one) << batch << " " << threads;
    }
    cornu_model_destroy(model);
}

TEST(Threads, SessionsWithThreadsOfTheirOwnRunAtOnce) {
    cornu_model* model = nullptr;
    ASSERT_EQ(cornu_model_load(CORNU_SOURCE_DIR "/tools/demo_model/digits.keras", nullptr, &model), CORNU_OK);
    auto want = run(model, 1, 256);
    std::vector<std::vector<float>> got(3);
    std::vector<std::thread> threads;
    for (auto& y : got) threads.emplace_back([&] { y = run(model, 2, 256, 5); });
    for (auto& t : threads) t.join();
    for (auto& y : got) EXPECT_EQ(y, want);
    cornu_model_destroy(model);
}
