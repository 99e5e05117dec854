// Sessions of the digits' model whose ways are timed, and the folder of their plan cache.
#ifndef TESTS_BACKEND_CUDA_TUNED_H
#define TESTS_BACKEND_CUDA_TUNED_H

#include <dirent.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "cornu.h"
#include "tests/backend/cuda_host.h"

namespace cuda_tuned {

struct Folder {
    std::string path;
    Folder() {
        char name[] = "/tmp/cornu-plans-XXXXXX";
        path = mkdtemp(name);
    }
    ~Folder() { (void)!system(("chmod -R u+w '" + path + "'; rm -rf '" + path + "'").c_str()); }
    // The one .cnplan in it, or "".
    std::string file() const {
        std::string found;
        if (DIR* d = opendir(path.c_str())) {
            while (dirent* e = readdir(d)) {
                std::string name = e->d_name;
                if (name.size() > 7 && name.substr(name.size() - 7) == ".cnplan") found = path + "/" + name;
                EXPECT_EQ(name.find(".tmp"), std::string::npos) << "a temporary file was left: " << name;
            }
            closedir(d);
        }
        return found;
    }
};

inline std::string read_file(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
}
inline void write_file(const std::string& path, const std::string& text) {
    std::ofstream(path, std::ios::binary) << text;
}

// Sessions of the digits' model, with what the tuner found.
struct Tuned {
    cornu_model* model = nullptr;
    cornu_session* session = nullptr;
    cornu_status status = CORNU_OK;
    std::vector<float> y;
    std::vector<cornu_tuning> rows;
    std::string note;

    explicit Tuned(const char* cache, cornu_tune tune = CORNU_TUNE_FULL, int deterministic = 0, double seconds = 0,
                   cornu_precision precision = CORNU_PRECISION_STRICT) {
        cornu_session_options options = CORNU_SESSION_OPTIONS_INIT;
        options.device = "cuda";
        options.precision = precision;
        options.tune = tune;
        options.plan_cache = cache;
        options.deterministic = deterministic;
        options.tune_seconds = seconds;
        status = cornu_model_load(CORNU_SOURCE_DIR "/tools/demo_model/digits.keras", nullptr, &model);
        if (status == CORNU_OK) status = cornu_session_create(model, &options, &session);
        if (status == CORNU_OK) run();
    }
    ~Tuned() {
        cornu_session_destroy(session);
        cornu_model_destroy(model);
    }
    Tuned(const Tuned&) = delete;

    void run(int batch = 3) {
        std::vector<float> x((size_t)batch * 64);
        for (size_t i = 0; i < x.size(); i++) x[i] = (float)(i * 7 % 16);
        y.assign((size_t)batch * 10, -1);
        cornu_tensor in = cornu_tensor_of(CORNU_FLOAT32, x.data(), 4, batch, 8, 8, 1),
                     out = cornu_tensor_of(CORNU_FLOAT32, y.data(), 2, batch, 10);
        status = cornu_session_run(session, &in, 1, &out, 1);
        rows.clear();
        for (int i = 0; i < cornu_session_tuning_count(session); i++) {
            cornu_tuning row = {};
            row.size = sizeof row;
            EXPECT_EQ(cornu_session_tuning_get(session, i, &row), CORNU_OK);
            rows.push_back(row);
        }
        note = cornu_session_tuning_note(session);
    }
    int known() const {
        int n = 0;
        for (const auto& row : rows) n += row.known;
        return n;
    }
    int timed() const {
        int n = 0;
        for (const auto& row : rows) n += row.timed;
        return n;
    }
};

inline void expect_close(const std::vector<float>& a, const std::vector<float>& b, double tolerance = 1e-5) {
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); i++) ASSERT_NEAR(a[i], b[i], tolerance) << i;
}

// A line of the cache that names a way.
inline std::string plan_line(int way, int ways, const char* problem) {
    std::string line = std::to_string(way) + " " + std::to_string(ways) + " 1 2 " + problem;
    uint64_t h = 0xcbf29ce484222325u;
    for (unsigned char c : line) h = (h ^ c) * 0x100000001b3u;
    char text[20];
    snprintf(text, sizeof text, "%016llx", (unsigned long long)h);
    return std::string(text) + " " + line + "\n";
}

// Where the lines begin in the text of a cache.
inline size_t lines_at(const std::string& text) { return text.find('\n', text.find('\n') + 1) + 1; }

}  // namespace cuda_tuned

#endif
