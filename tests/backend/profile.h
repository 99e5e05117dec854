// A profile of a session of the demo model, with what must hold of any.
#ifndef CORNU_TESTS_BACKEND_PROFILE_H
#define CORNU_TESTS_BACKEND_PROFILE_H

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "cornu.h"

struct ProfiledStep {
    std::string layer, op, kernel, result;
    int launches;
    double ms;
    uint64_t flops, bytes;
};

struct Profiled {
    cornu_profile* handle = nullptr;
    cornu_profile_info info = {};
    std::vector<ProfiledStep> steps;

    Profiled(cornu_session* session, int batch, int runs = 3) {
        std::vector<float> x((size_t)batch * 64, 1.0f);
        cornu_tensor in = cornu_tensor_of(CORNU_FLOAT32, x.data(), 4, batch, 8, 8, 1);
        EXPECT_EQ(cornu_session_profile(session, &in, 1, runs, &handle), CORNU_OK) << cornu_last_error();
        if (!handle) return;
        info.size = sizeof info;
        EXPECT_EQ(cornu_profile_get_info(handle, &info), CORNU_OK) << cornu_last_error();
        for (int64_t i = 0; i < info.step_count; i++) {
            cornu_profile_step s = {};
            s.size = sizeof s;
            EXPECT_EQ(cornu_profile_get_step(handle, i, &s), CORNU_OK) << cornu_last_error();
            steps.push_back({s.layer, s.op, s.kernel, s.result, s.launches, s.ms, s.flops, s.bytes});
        }
    }
    ~Profiled() { cornu_profile_destroy(handle); }

    uint64_t flops() const {
        uint64_t sum = 0;
        for (const auto& s : steps) sum += s.flops;
        return sum;
    }
    uint64_t bytes() const {
        uint64_t sum = 0;
        for (const auto& s : steps) sum += s.bytes;
        return sum;
    }
    // Every layer of the demo model that computes is there, every step has launched something and moved something.
    void check() const {
        std::set<std::string> ops;
        double sum = 0;
        for (const auto& s : steps) {
            ops.insert(s.op);
            sum += s.ms;
            EXPECT_GE(s.launches, 1) << s.op;
            EXPECT_GE(s.ms, 0) << s.op;
            EXPECT_EQ(s.result.substr(0, 3), "f32") << s.op;
            if (s.op != "reshape") EXPECT_GT(s.bytes, 0u) << s.op;
        }
        EXPECT_TRUE(ops.count("conv") && ops.count("matmul") && ops.count("pool") && ops.count("softmax"));
        EXPECT_NEAR(sum, info.steps_ms, 1e-9 + sum * 1e-9);
    }
};

#endif
