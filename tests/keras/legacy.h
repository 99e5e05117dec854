// Legacy HDF5 files made on the spot.
#ifndef CN_TESTS_KERAS_LEGACY_H
#define CN_TESTS_KERAS_LEGACY_H

#include <cstring>

#include "tests/keras/files.h"

namespace legacy {

struct Weight {
    std::string name;
    std::vector<int64_t> dims;
    std::vector<float> values;
};

struct Layer {
    std::string name;
    std::vector<Weight> weights;
};

inline std::vector<float> ramp(size_t n, float first = 0) {
    std::vector<float> out(n);
    for (size_t i = 0; i < n; i++) out[i] = first + (float)i;
    return out;
}

inline cornu_status fill(void* user, uint64_t offset, void* dst, uint64_t size) {
    std::memcpy(dst, (const char*)user + offset, size);
    return CORNU_OK;
}

inline void text(cn_h5_writer* w, const std::string& path, const char* name, const std::string& value) {
    cn_h5_array array = {};
    cornu_string s = {value.c_str(), value.size()};
    array.dtype = CORNU_STRING;
    array.string_kind = CN_H5_FIXED;
    array.element_bytes = value.size() ? value.size() : 1;
    array.count = 1;
    EXPECT_EQ(cn_h5_writer_attribute(w, path.c_str(), name, &array, &s), CORNU_OK) << cornu_last_error();
}

// A list of names, cut into pieces of `piece` where that is not 0.
inline void names(cn_h5_writer* w, const std::string& path, const std::string& key, const std::vector<std::string>& list, size_t piece = 0) {
    size_t longest = 1;
    for (const auto& n : list) longest = std::max(longest, n.size());
    for (size_t at = 0, k = 0; at == 0 || at < list.size(); k++) {
        size_t n = piece ? std::min(piece, list.size() - at) : list.size();
        std::vector<cornu_string> strings;
        for (size_t i = at; i < at + n; i++) strings.push_back({list[i].c_str(), list[i].size()});
        cn_h5_array array = {};
        array.dtype = CORNU_STRING;
        array.string_kind = CN_H5_FIXED;
        array.element_bytes = longest;
        array.ndim = 1;
        array.dims[0] = array.count = (int64_t)n;
        std::string name = piece ? key + std::to_string(k) : key;
        if (n > 0) {
            EXPECT_EQ(cn_h5_writer_attribute(w, path.c_str(), name.c_str(), &array, strings.data()), CORNU_OK) << cornu_last_error();
        }
        at += n ? n : 1;
    }
}

// A whole model, or weights alone where config is empty.
inline std::string file(const std::string& config, const std::vector<Layer>& layers, const std::string& version = "2.2.4", const std::string& backend = "tensorflow",
                        size_t piece = 0) {
    cn_h5_writer* w = nullptr;
    std::string root = config.empty() ? "" : "model_weights";
    std::vector<std::string> layer_names;
    EXPECT_EQ(cn_h5_writer_open(nullptr, &w), CORNU_OK);
    if (!config.empty()) text(w, "", "model_config", config);
    if (!root.empty()) {
        EXPECT_EQ(cn_h5_writer_group(w, root.c_str()), CORNU_OK);
    }
    if (!version.empty()) text(w, root, "keras_version", version);
    if (!backend.empty()) text(w, root, "backend", backend);
    for (const Layer& layer : layers) {
        std::string path = root.empty() ? layer.name : root + "/" + layer.name;
        std::vector<std::string> weight_names;
        EXPECT_EQ(cn_h5_writer_group(w, path.c_str()), CORNU_OK);
        for (const Weight& v : layer.weights) {
            EXPECT_EQ(cn_h5_writer_dataset(w, (path + "/" + v.name).c_str(), CORNU_FLOAT32, (int)v.dims.size(), v.dims.data(), fill, (void*)v.values.data()), CORNU_OK)
                << cornu_last_error();
            weight_names.push_back(v.name);
        }
        names(w, path, "weight_names", weight_names, weight_names.empty() ? 0 : piece);
        layer_names.push_back(layer.name);
    }
    names(w, root, "layer_names", layer_names, piece);
    void* bytes = nullptr;
    uint64_t size = 0;
    EXPECT_EQ(cn_h5_writer_finish(w, &bytes, &size), CORNU_OK) << cornu_last_error();
    std::string out((const char*)bytes, size);
    cn_free(bytes);
    cn_h5_writer_close(w);
    return out;
}

inline std::string sequential(const std::string& layers) { return R"({"class_name": "Sequential", "config": {"name": "s", "layers": [)" + layers + "]}}"; }

inline Layer dense(const std::string& name, int64_t in, int64_t out) {
    return {name, {{name + "/kernel:0", {in, out}, ramp((size_t)(in * out))}, {name + "/bias:0", {out}, ramp((size_t)out, 100)}}};
}

inline std::string dense_config(const std::string& name, int units, const std::string& more = "") {
    return R"({"class_name": "Dense", "config": {"name": ")" + name + R"(", "trainable": true, "units": )" + std::to_string(units) + R"(, "use_bias": true)" + more + "}}";
}

}  // namespace legacy

#endif
