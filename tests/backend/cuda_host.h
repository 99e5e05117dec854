// The host plug-in from outside: its table of calls, its accounts, its injections.
#ifndef TESTS_BACKEND_CUDA_HOST_H
#define TESTS_BACKEND_CUDA_HOST_H

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "backend/cuda/calls.h"
#include "backend/plugin.h"
#include "kernels/host/runtime.h"
#include "tests/backend/cuda_inject.h"

namespace cuda_host {

// A function that the plug-in exports; it is open for good after the first use.
template <typename F>
F function(const char* name) {
    const cn_plugin* plugin = nullptr;
    EXPECT_EQ(cn_plugin_open(&plugin), CORNU_OK) << cornu_last_error();
    void* library = dlopen(cn_plugin_path(), RTLD_NOW | RTLD_NOLOAD);
    F found = library ? reinterpret_cast<F>(dlsym(library, name)) : nullptr;
    EXPECT_NE(found, nullptr) << name << " is not in " << cn_plugin_path();
    return found;
}

inline const cn_cuda_calls* calls() {
    auto get = function<const cn_cuda_calls* (*)()>("cn_host_calls");
    EXPECT_EQ(function<int (*)()>("cn_host_open")(), CORNU_OK);
    return get();
}
inline const cn_cublaslt_calls* lt() { return function<const cn_cublaslt_calls* (*)()>("cn_host_lt")(); }

inline cn_host_usage usage() {
    cn_host_usage u = {};
    function<void (*)(cn_host_usage*)>("cn_host_get_usage")(&u);
    return u;
}
inline void revive() { function<void (*)()>("cn_host_revive")(); }

// What is there and not given back, as one text.
inline std::string held() {
    cn_host_usage u = usage();
    std::string text;
    auto add = [&text](const char* what, long n) {
        if (n) text += std::string(text.empty() ? "" : ", ") + std::to_string(n) + " " + what;
    };
    add("device blocks", u.device_blocks);
    add("host blocks", u.host_blocks);
    add("streams", u.streams);
    add("events", u.events);
    add("graphs", u.graphs);
    add("executable graphs", u.graph_execs);
    add("cuBLASLt handles", u.lt_handles);
    add("cuBLASLt objects", u.lt_objects);
    add("cuDNN handles", u.dnn_handles);
    add("cuDNN objects", u.dnn_objects);
    return text;
}

}  // namespace cuda_host

#endif
