// What tests of every plug-in may use, that for a device too: failures that are injected, variables of the environment.
#ifndef TESTS_BACKEND_CUDA_INJECT_H
#define TESTS_BACKEND_CUDA_INJECT_H

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "backend/plugin.h"

namespace cuda_host {

inline long inject(const char* name, long n, int error, bool sticky = false) {
    const cn_plugin* plugin = nullptr;
    EXPECT_EQ(cn_plugin_open(&plugin), CORNU_OK) << cornu_last_error();
    return plugin->inject(name, n, error, sticky);
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
