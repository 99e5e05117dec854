// Every way of a graph's steps, forced one after the other and compared with the reference.
#ifndef TESTS_BACKEND_CUDA_WAYS_H
#define TESTS_BACKEND_CUDA_WAYS_H

#include "backend/cuda/cuda.h"
#include "tests/backend/cuda_cases.h"

namespace cuda_test {

// Whether the plug-in is that of host execution, whose libraries always offer the same ways.
inline bool on_host_execution() {
    cn_device_options options = {};
    cn_device* device = nullptr;
    EXPECT_EQ(cn_backend_cuda.open(&options, &device), CORNU_OK) << cornu_last_error();
    const bool found = device && strstr(cn_backend_cuda.describe(device), "host execution");
    if (device) cn_backend_cuda.close(device);
    return found;
}

// How many ways a problem has, some of them a library's: on a device it is the library that knows.
inline void expect_way_count(int ways, int want) {
    static const bool is_host = on_host_execution();
    if (is_host) EXPECT_EQ(ways, want);
    else EXPECT_GE(ways, 1);
}

// The problems of the steps that were run last.
inline std::string problems;

// A way that a library turns out not to have is left for the guess; the others can be taken.
inline void take(cn_cuda_executable* e, cn_cuda_step* step) {
    cornu_status st = step->take(e, step);
    EXPECT_TRUE(st == CORNU_OK || (st == CORNU_UNSUPPORTED && step->way > 0)) << cornu_last_error();
    if (st == CORNU_OK) return;
    step->way = 0;
    EXPECT_EQ(step->take(e, step), CORNU_OK) << cornu_last_error();
}

// Outputs of two runs (the second one is a captured graph) with every step taking way `way`, or its last one; *ways is
// the most that a step has.
inline std::vector<std::vector<char>> run_way(const Case& c, cornu_precision precision, int way, int* ways) {
    const cn_backend& backend = cn_backend_cuda;
    std::vector<std::vector<char>> out, again;
    std::vector<void*> results, replayed;
    std::vector<const void*> in;
    cn_plan* plan = nullptr;
    cn_device* device = nullptr;
    cn_executable* executable = nullptr;
    void* arena = nullptr;
    cn_device_options options = {};
    options.precision = precision;
    options.tune = CORNU_TUNE_FAST; // so that the ways of cuDNN are there
    options.tune_seconds = -1;
    options.plan_cache = "";
    *ways = 0;
    EXPECT_EQ(cn_plan_create(&c.g, backend.alignment, &plan), CORNU_OK) << cornu_last_error();
    if (!plan) return out;
    for (int i = 0; i < c.g.output_count; i++) {
        out.emplace_back((size_t)cn_type_bytes(&c.g.types[c.g.outputs[i]]));
        again.emplace_back(out.back().size());
    }
    for (auto& bytes : out) results.push_back(bytes.data());
    for (auto& bytes : again) replayed.push_back(bytes.data());
    for (const Floats& f : c.data) in.push_back(f.data());
    {
        run_graph::Weights weights(plan);
        EXPECT_EQ(backend.open(&options, &device), CORNU_OK) << cornu_last_error();
        EXPECT_EQ(backend.alloc(device, plan->arena_bytes, &arena), CORNU_OK);
        EXPECT_EQ(backend.prepare(device, plan, &weights.base, &executable), CORNU_OK) << cornu_last_error();
        if (executable) {
            cn_cuda_executable* e = (cn_cuda_executable*)executable;
            problems.clear();
            for (int i = 0; i < e->step_count; i++) {
                int count = e->steps[i].ways ? e->steps[i].ways : 1;
                e->steps[i].way = way < count ? way : count - 1;
                if (e->steps[i].take) take(e, &e->steps[i]);
                EXPECT_TRUE(count == 1 || e->steps[i].problem);
                if (e->steps[i].problem) problems += std::string(e->steps[i].problem) + "\n";
                *ways = std::max(*ways, count);
            }
            cn_run first = {in.data(), results.data(), arena, 7, 0}, second = {in.data(), replayed.data(), arena, 7, 0};
            EXPECT_EQ(backend.run(executable, &first), CORNU_OK) << cornu_last_error();
            EXPECT_EQ(backend.run(executable, &second), CORNU_OK) << cornu_last_error();
            EXPECT_EQ(out, again) << "a replay differs";
            backend.destroy(executable);
        }
        backend.free(device, arena);
        backend.close(device);
    }
    cn_plan_destroy(plan);
    return out;
}

// The result y of every way within the tolerance (times its largest element) of the reference's, NaN and infinities
// alike. Returns the ways.
inline int expect_ways(Case& c, cn_id y, cornu_precision precision, double tolerance, const std::string& what) {
    int ways = 1;
    EXPECT_EQ(cn_graph_status(&c.g), CORNU_OK) << what << cornu_last_error();
    if (cn_graph_status(&c.g) != CORNU_OK) return 0;
    cn_graph_output(&c.g, y);
    const cn_type& type = c.g.types[y];
    std::vector<std::vector<char>> want = run_graph::run(c.g, cn_backend_reference, c.data);
    double largest = 0;
    for (size_t i = 0; i < (size_t)cn_type_count(&type); i++) {
        double b = element(type.dtype, want[0], i);
        if (std::isfinite(b)) largest = std::max(largest, std::fabs(b));
    }
    for (int way = 0; way < ways; way++) {
        std::vector<std::vector<char>> got = run_way(c, precision, way, &ways);
        digest.add(got);
        for (size_t i = 0; i < (size_t)cn_type_count(&type); i++) {
            double a = element(type.dtype, got[0], i), b = element(type.dtype, want[0], i);
            if (a == b || (std::isnan(a) && std::isnan(b)) || std::fabs(a - b) <= tolerance * largest) continue;
            ADD_FAILURE() << what << ", way " << way << " of " << ways << ": element " << i << " is " << a
                          << ", the reference has " << b;
            break;
        }
    }
    return ways;
}

}  // namespace cuda_test

#endif
