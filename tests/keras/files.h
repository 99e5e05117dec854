// Files for the tests of documents: samples, temporary folders, archives made on the spot.
#ifndef CN_TESTS_KERAS_FILES_H
#define CN_TESTS_KERAS_FILES_H

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "archive/hdf5.h"
#include "archive/zip.h"
#include "keras/layer.h"

namespace files {

inline std::string sample(const std::string& name) { return CORNU_SOURCE_DIR "/tests/keras/samples/" + name; }

inline std::string read(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(in), {});
}

inline void write(const std::string& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }

// A folder that goes with the test.
struct Folder {
    std::string path;
    Folder() {
        std::string name = std::filesystem::temp_directory_path() / "cornu-keras-XXXXXX";
        path = mkdtemp(name.data());
    }
    ~Folder() {
        std::error_code ignored;
        std::filesystem::permissions(path, std::filesystem::perms::owner_all, ignored);
        std::filesystem::remove_all(path, ignored);
    }
    std::string operator/(const std::string& name) const { return path + "/" + name; }
    size_t count() const {
        return (size_t)std::distance(std::filesystem::directory_iterator(path), std::filesystem::directory_iterator());
    }
};

typedef std::vector<std::pair<std::string, std::string>> Members;

inline std::string zip(const Members& members) {
    cn_sink* sink = nullptr;
    cn_zip_writer* writer = nullptr;
    uint64_t size = 0;
    EXPECT_EQ(cn_sink_open_memory(&sink), CORNU_OK);
    EXPECT_EQ(cn_zip_writer_open(sink, &writer), CORNU_OK);
    for (const auto& m : members) {
        EXPECT_EQ(cn_zip_writer_begin(writer, m.first.c_str(), -1, 0), CORNU_OK) << cornu_last_error();
        EXPECT_EQ(cn_zip_writer_write(writer, m.second.data(), m.second.size()), CORNU_OK);
        EXPECT_EQ(cn_zip_writer_end(writer), CORNU_OK);
    }
    EXPECT_EQ(cn_zip_writer_finish(writer), CORNU_OK);
    cn_zip_writer_close(writer);
    EXPECT_EQ(cn_sink_commit(sink), CORNU_OK);
    void* bytes = cn_sink_take_memory(sink, &size);
    std::string out((const char*)bytes, size);
    cn_free(bytes);
    cn_sink_close(sink);
    return out;
}

inline Members unzip(const std::string& bytes) {
    cn_source* source = nullptr;
    cn_zip* archive = nullptr;
    Members out;
    EXPECT_EQ(cn_source_open_memory(bytes.data(), bytes.size(), "test", &source), CORNU_OK);
    EXPECT_EQ(cn_zip_open(source, &archive), CORNU_OK) << cornu_last_error();
    for (size_t i = 0; archive && i < cn_zip_count(archive); i++) {
        const cn_zip_entry* entry = cn_zip_entry_at(archive, i);
        cn_source* member = nullptr;
        std::string data(entry->size, '\0');
        EXPECT_EQ(cn_zip_open_entry(archive, entry, &member), CORNU_OK);
        EXPECT_EQ(cn_source_read(member, 0, data.data(), entry->size), CORNU_OK);
        out.emplace_back(entry->name, data);
        cn_source_close(member);
    }
    cn_zip_close(archive);
    cn_source_close(source);
    return out;
}

inline std::string member(const Members& members, const std::string& name) {
    for (const auto& m : members) {
        if (m.first == name) return m.second;
    }
    ADD_FAILURE() << "no member " << name;
    return "";
}

// An HDF5 tree as text: groups, attributes, datasets with their bytes in host order.
inline void describe(cn_h5* h5, const cn_h5_node* node, std::string& out) {
    out += std::string(node->is_dataset ? "data " : "group ") + node->path + "\n";
    for (const cn_h5_attribute* a = node->attributes; a; a = a->next) {
        out +=
            std::string("  @") + a->name + " " + std::to_string(a->array.dtype) + " x" + std::to_string(a->array.count);
        for (int64_t i = 0; a->strings && i < a->array.count; i++)
            out += " '" + std::string(a->strings[i].data, a->strings[i].size) + "'";
        out += "\n";
    }
    if (node->is_dataset) {
        std::string bytes((size_t)node->array.count * cornu_dtype_size(node->array.dtype), '\0');
        EXPECT_EQ(cn_h5_read(h5, node, bytes.data()), CORNU_OK) << cornu_last_error();
        out += "  " + std::to_string(node->array.dtype);
        for (int i = 0; i < node->array.ndim; i++) out += " " + std::to_string(node->array.dims[i]);
        out += " : " + bytes + "\n";
    }
    for (size_t i = 0; i < node->child_count; i++) describe(h5, node->children[i], out);
}

inline std::string tree(const std::string& bytes) {
    cn_source* source = nullptr;
    cn_h5* h5 = nullptr;
    std::string out;
    EXPECT_EQ(cn_source_open_memory(bytes.data(), bytes.size(), "test", &source), CORNU_OK);
    EXPECT_EQ(cn_h5_open(source, &h5), CORNU_OK) << cornu_last_error();
    if (h5) describe(h5, cn_h5_root(h5), out);
    cn_h5_close(h5);
    cn_source_close(source);
    return out;
}

// Members as they stand, but that of the weights as its tree: HDF5 is written anew, so its layout may differ.
inline Members contents(Members members) {
    for (auto& m : members) {
        if (m.first == "model.weights.h5") m.second = tree(m.second);
    }
    return members;
}
inline Members contents(const std::string& bytes) { return contents(unzip(bytes)); }

// An archive with a config and the weights of a sample.
inline std::string archive_of(const std::string& config) {
    return zip({{"config.json", config},
                {"model.weights.h5", member(unzip(read(sample("custom.keras"))), "model.weights.h5")}});
}

inline std::string corpora() {
    const char* path = getenv("CORNU_CORPORA");
    return path ? path : CORNU_SOURCE_DIR "/../shared/corpora";
}

}  // namespace files

#endif
