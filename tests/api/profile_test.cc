// Profiles of sessions on the host; tests/backend/cuda_profile_test.cc has those of a device.
#include "cornu.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/alloc.h"
#include "tests/backend/profile.h"

namespace {

struct Opened {
    cornu_model* model = nullptr;
    cornu_session* session = nullptr;
    explicit Opened(const char* device, int threads = 1) {
        cornu_session_options options = CORNU_SESSION_OPTIONS_INIT;
        options.device = device;
        options.threads = threads;
        EXPECT_EQ(cornu_model_load(CORNU_SOURCE_DIR "/tools/demo_model/digits.keras", nullptr, &model), CORNU_OK) << cornu_last_error();
        EXPECT_EQ(cornu_session_create(model, &options, &session), CORNU_OK) << cornu_last_error();
    }
    ~Opened() {
        cornu_session_destroy(session);
        cornu_model_destroy(model);
    }
};

}  // namespace

TEST(Profile, CountsEveryStepOnTheHost) {
    for (const char* device : {"cpu", "reference"}) {
        Opened m(device);
        Profiled p(m.session, 2);
        EXPECT_EQ(std::string(p.info.device).substr(0, 3), "cpu");
        EXPECT_GT(p.info.run_ms, 0);
        EXPECT_EQ(p.info.peak_gflop_per_s, 0);
        p.check();
        for (const auto& step : p.steps) EXPECT_EQ(step.kernel, std::string()) << step.op;
    }
}

TEST(Profile, CostGrowsWithTheBatch) {
    Opened m("reference");
    Profiled one(m.session, 1), eight(m.session, 8);
    EXPECT_EQ(8 * one.flops(), eight.flops());
    EXPECT_LT(eight.bytes(), 8 * one.bytes());  // weights are read once
}

TEST(Profile, PartsOfABatchAreAddedUp) {
    Opened one("cpu", 1), two("cpu", 2);
    Profiled a(one.session, 64), b(two.session, 64);
    EXPECT_EQ(a.flops(), b.flops());
    EXPECT_EQ(a.steps.size(), b.steps.size());
}

TEST(Profile, RefusesBadArguments) {
    Opened m("cpu");
    std::vector<float> x(64, 1.0f);
    cornu_tensor in = cornu_tensor_of(CORNU_FLOAT32, x.data(), 4, 1, 8, 8, 1);
    cornu_profile* p = nullptr;
    EXPECT_EQ(cornu_session_profile(nullptr, &in, 1, 1, &p), CORNU_BAD_ARGUMENT);
    EXPECT_EQ(cornu_session_profile(m.session, &in, 1, 0, &p), CORNU_BAD_ARGUMENT);
    EXPECT_EQ(cornu_session_profile(m.session, &in, 1, 10001, &p), CORNU_BAD_ARGUMENT);
    EXPECT_EQ(cornu_session_profile(m.session, nullptr, 1, 1, &p), CORNU_BAD_ARGUMENT);
    EXPECT_EQ(cornu_session_profile(m.session, &in, 1, 1, nullptr), CORNU_BAD_ARGUMENT);
    in.dims[1] = 9;
    EXPECT_EQ(cornu_session_profile(m.session, &in, 1, 1, &p), CORNU_BAD_ARGUMENT);
    EXPECT_EQ(p, nullptr);
    in.dims[1] = 8;
    ASSERT_EQ(cornu_session_profile(m.session, &in, 1, 1, &p), CORNU_OK) << cornu_last_error();
    cornu_profile_info info = {};
    cornu_profile_step step = {};
    EXPECT_EQ(cornu_profile_get_info(p, &info), CORNU_BAD_ARGUMENT);
    EXPECT_EQ(cornu_profile_get_step(p, 0, &step), CORNU_BAD_ARGUMENT);
    step.size = sizeof step;
    EXPECT_EQ(cornu_profile_get_step(p, -1, &step), CORNU_NOT_FOUND);
    EXPECT_EQ(cornu_profile_get_step(p, 1000, &step), CORNU_NOT_FOUND);
    cornu_profile_destroy(p);
    cornu_profile_destroy(nullptr);
}

TEST(Profile, EveryAllocationMayFail) {
    Opened m("cpu");
    std::vector<float> x(64, 1.0f);
    cornu_tensor in = cornu_tensor_of(CORNU_FLOAT32, x.data(), 4, 1, 8, 8, 1);
    cornu_status st = CORNU_NO_MEMORY;
    for (long n = 1; st == CORNU_NO_MEMORY; n++) {
        cornu_profile* p = nullptr;
        cn_alloc_fail_at((uint64_t)n, false);
        st = cornu_session_profile(m.session, &in, 1, 1, &p);
        cn_alloc_fail_at(0, false);
        EXPECT_EQ(st == CORNU_OK, p != nullptr);
        cornu_profile_destroy(p);
        ASSERT_LT(n, 5000);
    }
    EXPECT_EQ(st, CORNU_OK) << cornu_last_error();
}
