// The HDF5 reader against what h5py reads from the same files, and against damage of every kind.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "archive/hdf5_read.h"
#include "tests/archive/h5_dump.h"

namespace {

namespace fs = std::filesystem;

const std::string kSamples = CORNU_SOURCE_DIR "/tests/archive/hdf5/";

std::string ReadFile(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(in), {});
}

// What h5_dump prints of these bytes, in *text; a refusal must have a sentence.
cornu_status Dump(const std::string& bytes, std::string* text) {
    cn_source* source = nullptr;
    cn_buf out = {};
    cornu_status st = cn_source_open_memory(bytes.data(), bytes.size(), "sample", &source);
    if (st == CORNU_OK) st = h5_dump_source(source, (uint64_t)64 << 20, &out);
    if (text) *text = out.data ? out.data : "";
    if (st != CORNU_OK) {
        EXPECT_STRNE(cornu_last_error(), "");
    }
    cn_buf_deinit(&out);
    cn_source_close(source);
    return st;
}

std::vector<std::string> SortedLines(const std::string& text) {
    std::vector<std::string> lines;
    for (size_t at = 0, end; (end = text.find('\n', at)) != std::string::npos; at = end + 1)
        lines.push_back(text.substr(at, end - at));
    std::sort(lines.begin(), lines.end());
    return lines;
}

std::map<std::string, std::string> Expected() {
    std::map<std::string, std::string> files;
    std::ifstream in(kSamples + "expected.txt");
    std::string line, name;
    while (std::getline(in, line))
        if (line.rfind("F ", 0) == 0) files[name = line.substr(2)];
        else files[name] += line + "\n";
    return files;
}

class Opened {
   public:
    explicit Opened(const std::string& name) {
        EXPECT_EQ(cn_source_open_file((kSamples + name).c_str(), &source_), CORNU_OK);
        EXPECT_EQ(cn_h5_open(source_, &h5), CORNU_OK) << cornu_last_error();
    }
    ~Opened() {
        cn_h5_close(h5);
        cn_source_close(source_);
    }
    cn_h5* h5 = nullptr;

   private:
    cn_source* source_ = nullptr;
};

TEST(Hdf5Read, EqualsH5pyOnEverySample) {
    const auto expected = Expected();
    ASSERT_GE(expected.size(), 15u);
    for (const auto& [name, want] : expected) {
        std::string got;
        EXPECT_EQ(Dump(ReadFile(kSamples + name), &got), CORNU_OK) << name << ": " << cornu_last_error();
        EXPECT_EQ(SortedLines(got), SortedLines(want)) << name;
    }
}

TEST(Hdf5Read, RefusesByName) {
    const std::map<std::string, std::pair<cornu_status, const char*>> cases = {
        {"soft_earliest", {CORNU_UNSUPPORTED, "soft link"}},
        {"soft_latest", {CORNU_UNSUPPORTED, "soft link 'b'"}},
        {"external_earliest", {CORNU_UNSUPPORTED, "external link 'b'"}},
        {"external_latest", {CORNU_UNSUPPORTED, "external link 'b'"}},
        {"hard", {CORNU_BAD_FILE, "two names"}},
        {"loop", {CORNU_BAD_FILE, "two names"}},
        {"virtual", {CORNU_UNSUPPORTED, "virtual storage"}},
        {"efl", {CORNU_UNSUPPORTED, "external files"}},
        {"bomb", {CORNU_BAD_FILE, "'/w'"}},
        {"bomb_plain", {CORNU_BAD_FILE, "'/w'"}},
        {"deep", {CORNU_BAD_FILE, "64 groups"}},
    };
    for (const auto& [name, want] : cases) {
        const std::string bytes = ReadFile(kSamples + "refused_" + name + ".h5");
        ASSERT_FALSE(bytes.empty()) << name;
        EXPECT_EQ(Dump(bytes, nullptr), want.first) << name;
        EXPECT_NE(std::string(cornu_last_error()).find(want.second), std::string::npos) << cornu_last_error();
    }
}

TEST(Hdf5Read, FindsByPath) {
    Opened file("shapes_earliest.h5");
    ASSERT_NE(file.h5, nullptr);
    EXPECT_EQ(cn_h5_find(file.h5, ""), cn_h5_root(file.h5));
    const cn_h5_node* leaf = cn_h5_find(file.h5, "level0/level1/level2/level3/level4/level5/leaf");
    ASSERT_NE(leaf, nullptr);
    EXPECT_STREQ(leaf->name, "leaf");
    EXPECT_STREQ(leaf->path, "level0/level1/level2/level3/level4/level5/leaf");
    EXPECT_EQ(leaf->parent, cn_h5_find(file.h5, "level0/level1/level2/level3/level4/level5"));
    EXPECT_EQ(leaf->storage, CN_H5_CONTIGUOUS);
    EXPECT_EQ(leaf->size, 24u);
    for (const char* path : {"/", "/level0", "level0/", "level", "level00", "level0//level1", "scalar/x", "nothing"})
        EXPECT_EQ(cn_h5_find(file.h5, path), nullptr) << path;
    int32_t filled[5];
    const cn_h5_node* node = cn_h5_child(cn_h5_root(file.h5), "filled");
    ASSERT_NE(node, nullptr);
    EXPECT_EQ(node->storage, CN_H5_NOT_STORED);
    ASSERT_EQ(cn_h5_read(file.h5, node, filled), CORNU_OK);
    for (int32_t v : filled) EXPECT_EQ(v, -7);
    EXPECT_EQ(cn_h5_read(file.h5, cn_h5_root(file.h5), filled), CORNU_BAD_ARGUMENT);
}

TEST(Hdf5Read, Attributes) {
    Opened file("strings_latest.h5");
    ASSERT_NE(file.h5, nullptr);
    const cn_h5_node* root = cn_h5_root(file.h5);
    EXPECT_STREQ(cn_h5_attribute_text(root, "ascii"), "plain");
    EXPECT_STREQ(cn_h5_attribute_text(root, "np"), "fixed scalar");
    EXPECT_EQ(strlen(cn_h5_attribute_text(root, "model_config")), 40 * strlen("{\"class_name\": \"Sequential\"}"));
    EXPECT_EQ(cn_h5_attribute_text(root, "names"), nullptr);
    EXPECT_EQ(cn_h5_attribute_text(root, "nulltext"), nullptr);
    EXPECT_EQ(cn_h5_attribute_text(root, "none"), nullptr);
    const cn_h5_attribute* names = cn_h5_attribute_of(root, "vnames");
    ASSERT_NE(names, nullptr);
    EXPECT_EQ(names->array.string_kind, CN_H5_VLEN);
    EXPECT_TRUE(names->array.utf8);
    ASSERT_EQ(names->array.count, 3);
    EXPECT_STREQ(names->strings[1].data, "dense_1");
    EXPECT_EQ(cn_h5_attribute_of(root, "empty_list")->array.dtype, CORNU_FLOAT64);
    EXPECT_EQ(cn_h5_attribute_of(root, "empty_list")->array.count, 0);
    EXPECT_TRUE(cn_h5_attribute_of(root, "null")->array.empty_space);
}

TEST(Hdf5Read, UnsupportedTypesStayAlone) {
    Opened file("odd_earliest.h5");
    ASSERT_NE(file.h5, nullptr);
    double after[2];
    const cn_h5_node* compound = cn_h5_find(file.h5, "compound");
    ASSERT_NE(compound, nullptr);
    EXPECT_STREQ(compound->unsupported, "a compound type");
    EXPECT_EQ((int)compound->array.dtype, 0);
    EXPECT_EQ(cn_h5_read(file.h5, compound, after), CORNU_UNSUPPORTED);
    EXPECT_EQ(cn_h5_attribute_of(cn_h5_root(file.h5), "compound")->data, nullptr);
    EXPECT_EQ(cn_h5_find(file.h5, "type"), nullptr) << "a committed datatype is no node";
    ASSERT_EQ(cn_h5_read(file.h5, cn_h5_find(file.h5, "after"), after), CORNU_OK);
    EXPECT_EQ(after[1], 1.0);
}

TEST(Hdf5Read, Sniffs) {
    cn_source* source;
    const std::string bytes = ReadFile(kSamples + "user_block.h5");
    ASSERT_EQ(cn_source_open_memory(bytes.data(), bytes.size(), "s", &source), CORNU_OK);
    EXPECT_TRUE(cn_h5_sniff(source));
    cn_source_close(source);
    ASSERT_EQ(cn_source_open_memory("PK\3\4", 4, "s", &source), CORNU_OK);
    EXPECT_FALSE(cn_h5_sniff(source));
    cn_source_close(source);
}

TEST(Hdf5Read, ChecksumIsLookup3) {
    const char* text = "Four score and seven years ago";  // value from Jenkins's own test
    EXPECT_EQ(cn_h5_checksum((const uint8_t*)text, 30), 0x17770551u);
    EXPECT_EQ(cn_h5_checksum((const uint8_t*)"", 0), 0xDEADBEEFu);
}

// The superblock names the size, so that every prefix is seen to be cut off.
TEST(Hdf5Read, EveryPrefixIsRefused) {
    for (const char* name : {"strings_earliest.h5", "odd_earliest.h5", "strings_latest.h5", "many_latest.h5"}) {
        const std::string bytes = ReadFile(kSamples + name);
        for (size_t size = 0; size < bytes.size(); size += size < 3000 ? 1 : 61)
            ASSERT_EQ(Dump(bytes.substr(0, size), nullptr), CORNU_BAD_FILE) << name << " " << size;
    }
}

// No crash, no leak, no hang; where HDF5 has checksums, a change in them is seen.
TEST(Hdf5Read, EveryByteMayBeWrong) {
    for (const char* name : {"odd_earliest.h5", "refused_soft_latest.h5", "strings_latest.h5"}) {
        std::string bytes = ReadFile(kSamples + name);
        for (size_t i = 0; i < bytes.size(); i++) {
            const char kept = bytes[i];
            for (char change : {(char)0xFF, (char)0x01, (char)0x80}) {
                bytes[i] = (char)(kept ^ change);
                (void)Dump(bytes, nullptr);
            }
            bytes[i] = kept;
        }
    }
}

TEST(Hdf5Read, DamagedHeaderIsSeenByItsChecksum) {
    std::string bytes = ReadFile(kSamples + "many_latest.h5");
    for (const char* mark : {"OHDR", "OCHK", "FRHP", "FHIB", "BTHD", "BTLF"}) {
        const size_t at = bytes.find(mark);
        if (at == std::string::npos) continue;
        bytes[at + 9] = (char)(bytes[at + 9] ^ 1);
        EXPECT_EQ(Dump(bytes, nullptr), CORNU_BAD_FILE) << mark;
        bytes[at + 9] = (char)(bytes[at + 9] ^ 1);
    }
    EXPECT_EQ(Dump(bytes, nullptr), CORNU_OK);
}

TEST(Hdf5Read, EveryAllocationMayFail) {
    for (const char* name : {"odd_earliest.h5", "strings_latest.h5", "chunks_earliest.h5", "many_latest.h5"}) {
        const std::string bytes = ReadFile(kSamples + name);
        for (bool persistent : {false, true}) {
            cornu_status st = CORNU_NO_MEMORY;
            for (uint64_t n = 1; st != CORNU_OK; n++) {
                ASSERT_LT(n, 100000u);
                cn_source* source = nullptr;
                cn_buf out = {};
                ASSERT_EQ(cn_source_open_memory(bytes.data(), bytes.size(), "sample", &source), CORNU_OK);
                cn_alloc_fail_at(n, persistent);
                st = h5_dump_source(source, (uint64_t)64 << 20, &out);
                cn_alloc_fail_at(0, false);
                cn_buf_deinit(&out);
                cn_source_close(source);
                ASSERT_TRUE(st == CORNU_OK || st == CORNU_NO_MEMORY) << name << " " << n << cornu_last_error();
            }
        }
    }
}

std::string Corpora() {
    const char* from = getenv("CORNU_CORPORA");
    return from ? from : CORNU_SOURCE_DIR "/../shared/corpora";
}

// HDF Group's collection of files that crashed libhdf5: each is read or refused.
TEST(Hdf5Read, FilesOfKnownFaults) {
    const fs::path folder = Corpora() + "/hdf5-cve";
    int read = 0, refused = 0;
    if (!fs::is_directory(folder)) GTEST_SKIP() << "no " << folder;
    for (const auto& entry : fs::directory_iterator(folder)) {
        const cornu_status st = Dump(ReadFile(entry.path().string()), nullptr);
        EXPECT_TRUE(st == CORNU_OK || st == CORNU_BAD_FILE || st == CORNU_UNSUPPORTED) << entry.path() << " " << st;
        st == CORNU_OK ? read++ : refused++;
    }
    EXPECT_GE(read + refused, 130);
    RecordProperty("read", read);
    RecordProperty("refused", refused);
}

}  // namespace
