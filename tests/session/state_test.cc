// States that last from run to run: what Keras computes, and get, set, reset, failing allocations.
#include "cornu.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "base/alloc.h"

namespace {

const std::string kSample = CORNU_SOURCE_DIR "/tests/session/samples/stateful.keras";
const std::vector<float> kFirst = {0.00060915598f, -0.00016859092f, -0.0012865197f, -0.00036317407f, -0.002131297f, 0.00011807872f, 0.0039085872f, 0.0012166661f};
const std::vector<float> kSecond = {0.0015259043f, -0.00020330597f, -0.0027381815f, -0.001213908f, -0.0040399171f, 0.00051585131f, 0.0072817281f, 0.00283687f};
const std::vector<float> kH = {-0.0053695561f, 0.0051393947f, -0.00024367867f, 0.0073627965f, -0.01166837f, 0.0022529014f};

struct Session {
    cornu_model* model = nullptr;
    cornu_session* handle = nullptr;
    explicit Session(const char* device) {
        cornu_session_options options = CORNU_SESSION_OPTIONS_INIT;
        options.device = device;
        EXPECT_EQ(cornu_model_load(kSample.c_str(), nullptr, &model), CORNU_OK) << cornu_last_error();
        EXPECT_EQ(cornu_session_create(model, &options, &handle), CORNU_OK) << cornu_last_error();
    }
    ~Session() {
        cornu_session_destroy(handle);
        cornu_model_destroy(model);
    }
};

cornu_status run(cornu_session* s, int batch, std::vector<float>* y) {
    int32_t ids[] = {1, 2, 3, 0, 4, 1, 0, 0, 1, 1, 1, 1};
    y->assign((size_t)batch * 4, 0);
    cornu_tensor in = cornu_tensor_of(CORNU_INT32, ids, 2, batch, 4), out = cornu_tensor_of(CORNU_FLOAT32, y->data(), 2, batch, 4);
    return cornu_session_run(s, &in, 1, &out, 1);
}

// Float32 of values near 1e-3, behind sums of a dozen terms.
void expect_near(const std::vector<float>& want, const std::vector<float>& got) {
    ASSERT_EQ(want.size(), got.size());
    for (size_t i = 0; i < want.size(); i++) EXPECT_NEAR(want[i], got[i], 1e-8) << i;
}

}  // namespace

TEST(State, LastsFromRunToRun) {
    for (const char* device : {"reference", "cpu"}) {
        SCOPED_TRACE(device);
        Session s(device);
        std::vector<float> y, h(6);
        ASSERT_EQ(cornu_session_state_count(s.handle), 4);
        EXPECT_STREQ(cornu_session_state_name(s.handle, 0), "layers/lstm/states/0");
        EXPECT_STREQ(cornu_session_state_name(s.handle, 3), "layers/bidirectional/backward_layer/states/0");
        EXPECT_EQ(cornu_session_state_name(s.handle, 4), nullptr);
        ASSERT_EQ(run(s.handle, 2, &y), CORNU_OK) << cornu_last_error();
        expect_near(kFirst, y);
        ASSERT_EQ(run(s.handle, 2, &y), CORNU_OK);
        expect_near(kSecond, y);
        cornu_tensor out = cornu_tensor_of(CORNU_FLOAT32, h.data(), 2, 2, 3);
        ASSERT_EQ(cornu_session_state_get(s.handle, 0, &out), CORNU_OK) << cornu_last_error();
        expect_near(kH, h);
        cornu_session_state_reset(s.handle);
        ASSERT_EQ(run(s.handle, 2, &y), CORNU_OK);
        expect_near(kFirst, y);
    }
}

TEST(State, IsTakenOutAndPutBack) {
    Session s("reference"), other("reference");
    std::vector<float> y;
    ASSERT_EQ(run(s.handle, 2, &y), CORNU_OK);
    for (int i = 0; i < 4; i++) {
        cornu_tensor kept = {};
        ASSERT_EQ(cornu_session_state_get(s.handle, i, &kept), CORNU_OK);
        ASSERT_EQ(cornu_session_state_set(other.handle, i, &kept), CORNU_OK) << cornu_last_error();
        cornu_tensor_release(&kept);
    }
    ASSERT_EQ(run(other.handle, 2, &y), CORNU_OK) << cornu_last_error();
    expect_near(kSecond, y);
}

TEST(State, RefusesWhatDoesNotFit) {
    Session s("reference");
    std::vector<float> y, values(9);
    cornu_tensor t = {};
    EXPECT_EQ(cornu_session_state_get(s.handle, 0, &t), CORNU_BAD_ARGUMENT);  // before the first run
    EXPECT_EQ(cornu_session_state_get(s.handle, 4, &t), CORNU_BAD_ARGUMENT);
    EXPECT_EQ(cornu_session_state_get(nullptr, 0, &t), CORNU_BAD_ARGUMENT);
    EXPECT_EQ(run(s.handle, 3, &y), CORNU_BAD_ARGUMENT);  // built for two sequences
    EXPECT_NE(std::strstr(cornu_last_error(), "2 sequences"), nullptr) << cornu_last_error();
    ASSERT_EQ(run(s.handle, 2, &y), CORNU_OK);
    t = cornu_tensor_of(CORNU_FLOAT32, values.data(), 2, 3, 3);
    EXPECT_EQ(cornu_session_state_set(s.handle, 0, &t), CORNU_BAD_ARGUMENT);
    EXPECT_EQ(cornu_session_state_get(s.handle, 0, &t), CORNU_BAD_ARGUMENT);
    ASSERT_EQ(run(s.handle, 2, &y), CORNU_OK);
    expect_near(kSecond, y);  // what was refused changed nothing
}

TEST(State, SurvivesEveryFailingAllocation) {
    cornu_model* model = nullptr;
    bool done = false;
    ASSERT_EQ(cornu_model_load(kSample.c_str(), nullptr, &model), CORNU_OK);
    for (uint64_t n = 1; !done; n++) {
        cornu_session* s = nullptr;
        std::vector<float> y;
        uint64_t before = cn_alloc_count();
        cn_alloc_fail_at(n, true);
        cornu_status st = cornu_session_create(model, nullptr, &s);
        if (st == CORNU_OK) st = run(s, 2, &y);
        done = cn_alloc_count() - before < n;
        cn_alloc_fail_at(0, false);
        EXPECT_TRUE(st == CORNU_OK || st == CORNU_NO_MEMORY) << n << ": " << cornu_last_error();
        if (st == CORNU_NO_MEMORY && s != nullptr) { /* the same session works once there is memory */
            ASSERT_EQ(run(s, 2, &y), CORNU_OK) << n << ": " << cornu_last_error();
            expect_near(kFirst, y);
        }
        cornu_session_destroy(s);
    }
    cornu_model_destroy(model);
}
