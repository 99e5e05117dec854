// Profiles of sessions on a CUDA device: names of kernels, the device's peak, and results that a profile leaves alone.
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "cornu.h"
#include "tests/backend/profile.h"

namespace {

// The demo model, also where the sources are not.
std::string model_path() {
    const char* given = getenv("CORNU_DEMO_MODEL");
    return given ? given : CORNU_SOURCE_DIR "/tools/demo_model/digits.keras";
}

struct OnDevice {
    cornu_model* model = nullptr;
    cornu_session* session = nullptr;
    explicit OnDevice(cornu_precision precision = CORNU_PRECISION_DEFAULT) {
        cornu_session_options options = CORNU_SESSION_OPTIONS_INIT;
        options.device = "cuda";
        options.precision = precision;
        EXPECT_EQ(cornu_model_load(model_path().c_str(), nullptr, &model), CORNU_OK) << cornu_last_error();
        EXPECT_EQ(cornu_session_create(model, &options, &session), CORNU_OK) << cornu_last_error();
    }
    ~OnDevice() {
        cornu_session_destroy(session);
        cornu_model_destroy(model);
    }
    std::vector<float> run() {
        std::vector<float> x(64), y(10);
        for (size_t i = 0; i < x.size(); i++) x[i] = (float)(i % 16);
        cornu_tensor in = cornu_tensor_of(CORNU_FLOAT32, x.data(), 4, 1, 8, 8, 1), out = cornu_tensor_of(CORNU_FLOAT32, y.data(), 2, 1, 10);
        EXPECT_EQ(cornu_session_run(session, &in, 1, &out, 1), CORNU_OK) << cornu_last_error();
        return y;
    }
};

}  // namespace

TEST(CudaProfile, NamesKernelsAndThePeak) {
    OnDevice m;
    Profiled p(m.session, 2);
    p.check();
    EXPECT_EQ(std::string(p.info.device).substr(0, 6), "cuda:0");
    EXPECT_GT(p.info.run_ms, 0);
    EXPECT_GT(p.info.peak_gb_per_s, 0);
    EXPECT_GT(p.info.peak_gflop_per_s, 0);
    for (const auto& s : p.steps) {
        EXPECT_FALSE(s.kernel.empty()) << s.op;
        EXPECT_EQ(s.kernel.find_first_of(" <>(){}"), std::string::npos) << s.kernel;
    }
}

TEST(CudaProfile, PeakFollowsThePrecision) {
    double last = 0;
    for (cornu_precision precision : {CORNU_PRECISION_STRICT, CORNU_PRECISION_TF32}) {
        OnDevice m(precision);
        Profiled p(m.session, 1, 1);
        EXPECT_GT(p.info.peak_gflop_per_s, last);
        last = p.info.peak_gflop_per_s;
    }
}

TEST(CudaProfile, ResultsStayTheSame) {
    OnDevice m;
    std::vector<float> before = m.run();
    Profiled p(m.session, 1), again(m.session, 1);
    EXPECT_EQ(before, m.run());
    EXPECT_EQ(p.flops(), again.flops());
}
