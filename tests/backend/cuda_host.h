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

inline long inject(const char* name, long n, int error, bool sticky = false) {
    const cn_plugin* plugin = nullptr;
    EXPECT_EQ(cn_plugin_open(&plugin), CORNU_OK) << cornu_last_error();
    return plugin->inject(name, n, error, sticky);
}

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

// An environment variable for the length of a block.
struct Environment {
    std::string name, before;
    bool was = false;
    Environment(const char* variable, const char* value) : name(variable) {
        const char* old = getenv(variable);
        was = old != nullptr;
        if (old) before = old;
        setenv(variable, value, 1);
    }
    ~Environment() {
        if (was) setenv(name.c_str(), before.c_str(), 1);
        else unsetenv(name.c_str());
    }
    Environment(const Environment&) = delete;
};

}  // namespace cuda_host

#endif
