// A device whose memory is the host's: weights and inputs are read in place. Runs as cuda.integrated, with CORNU_HOST_INTEGRATED=1.
#include <gtest/gtest.h>

#include <cstdlib>
#include <vector>

#include "cornu.h"
#include "tests/backend/cuda_host.h"

namespace {

bool integrated() { return getenv("CORNU_HOST_INTEGRATED") != nullptr; }

std::vector<float> run(const char* device, uint64_t* device_bytes) {
    cornu_model* model = nullptr;
    cornu_session* session = nullptr;
    cornu_session_options options = CORNU_SESSION_OPTIONS_INIT;
    std::vector<float> x(5 * 64), y(5 * 10);
    options.device = device;
    options.precision = CORNU_PRECISION_STRICT;
    for (size_t i = 0; i < x.size(); i++) x[i] = (float)(i * 5 % 17);
    EXPECT_EQ(cornu_model_load(CORNU_SOURCE_DIR "/tools/demo_model/digits.keras", nullptr, &model), CORNU_OK) << cornu_last_error();
    EXPECT_EQ(cornu_session_create(model, &options, &session), CORNU_OK) << cornu_last_error();
    cornu_tensor in = cornu_tensor_of(CORNU_FLOAT32, x.data(), 4, 5, 8, 8, 1), out = cornu_tensor_of(CORNU_FLOAT32, y.data(), 2, 5, 10);
    for (int i = 0; i < 3; i++) EXPECT_EQ(cornu_session_run(session, &in, 1, &out, 1), CORNU_OK) << cornu_last_error();
    if (device_bytes) *device_bytes = cuda_host::usage().device_bytes;
    cornu_session_destroy(session);
    cornu_model_destroy(model);
    return y;
}

}  // namespace

TEST(HostIntegrated, WeightsHaveNoCopyOnTheDevice) {
    uint64_t bytes = 0;
    const std::vector<float> y = run("cuda", &bytes), want = run("reference", nullptr);
    const uint64_t weights = 27000 * 4;  // of the model, and a little less
    for (size_t i = 0; i < y.size(); i++) EXPECT_NEAR(y[i], want[i], 1e-5) << i;
    EXPECT_GT(bytes, 0);
    if (integrated()) EXPECT_LT(bytes, weights);
    else EXPECT_GT(bytes, weights);
    EXPECT_EQ(cuda_host::held(), "");
}
