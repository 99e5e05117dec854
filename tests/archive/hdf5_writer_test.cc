#include <string.h>

#include <map>

#include "archive/hdf5.h"
#include "base/alloc.h"
#include "tests/archive/folder.h"

namespace {

// Byte k of every dataset is k % 251.
cornu_status Fill(void* calls, uint64_t offset, void* dst, uint64_t size) {
    if (calls) ++*(int*)calls;
    for (uint64_t i = 0; i < size; i++) ((uint8_t*)dst)[i] = (uint8_t)((offset + i) % 251);
    return CORNU_OK;
}

cornu_status FillFails(void*, uint64_t, void*, uint64_t) { return CN_FAIL(CANCELLED, "stop"); }

std::string Pattern(size_t size) {
    std::string bytes(size, '\0');
    Fill(nullptr, 0, bytes.data(), size);
    return bytes;
}

const cn_h5_array kText = [] {
    cn_h5_array a = {};
    a.dtype = CORNU_STRING;
    a.string_kind = CN_H5_VLEN;
    a.utf8 = true;
    a.count = 1;
    return a;
}();

cornu_status WriteSome(const char* path, std::string* out) {
    const int64_t dims[2] = {30, 7};
    const cornu_string name = {"dense", 5};
    cn_h5_writer* w;
    void* bytes = nullptr;
    uint64_t size = 0;
    cornu_status st = cn_h5_writer_open(path, &w);
    if (st == CORNU_OK) st = cn_h5_writer_group(w, "layers/dense/vars");
    if (st == CORNU_OK) st = cn_h5_writer_dataset(w, "layers/dense/vars/0", CORNU_FLOAT32, 2, dims, Fill, nullptr);
    if (st == CORNU_OK) st = cn_h5_writer_dataset(w, "layers/dense/vars/1", CORNU_BFLOAT16, 1, dims, Fill, nullptr);
    if (st == CORNU_OK) st = cn_h5_writer_attribute(w, "layers/dense/vars", "name", &kText, &name);
    if (st == CORNU_OK) st = cn_h5_writer_finish(w, path ? nullptr : &bytes, path ? nullptr : &size);
    if (out) out->assign((const char*)bytes, size);
    cn_free(bytes);
    cn_h5_writer_close(w);
    return st;
}

TEST(Hdf5Writer, MemoryAndFileHoldTheSame) {
    Folder folder;
    std::string memory;
    ASSERT_EQ(CORNU_OK, WriteSome(nullptr, &memory)) << cornu_last_error();
    ASSERT_EQ(CORNU_OK, WriteSome((folder / "m.h5").c_str(), nullptr)) << cornu_last_error();
    const std::string file = ReadAll(folder / "m.h5");
    EXPECT_EQ(std::string("\x89HDF\r\n\x1a\n\0", 9), memory.substr(0, 9)) << "superblock 0";
    EXPECT_NE(std::string::npos, memory.find(Pattern(840)));
    EXPECT_NE(std::string::npos, file.find(Pattern(840)));
    EXPECT_NE(std::string::npos, memory.find("bfloat16"));
    EXPECT_EQ(memory.size(), file.size());
}

TEST(Hdf5Writer, LargeDatasetsComeInPieces) {
    const int64_t dims[1] = {20 << 20};
    for (bool in_file : {false, true}) {
        Folder folder;
        const std::string path = folder / "m.h5";
        cn_h5_writer* w;
        void* bytes = nullptr;
        uint64_t size = 0;
        int calls = 0;
        ASSERT_EQ(CORNU_OK, cn_h5_writer_open(in_file ? path.c_str() : nullptr, &w));
        ASSERT_EQ(CORNU_OK, cn_h5_writer_dataset(w, "x", CORNU_UINT8, 1, dims, Fill, &calls));
        ASSERT_EQ(CORNU_OK, cn_h5_writer_finish(w, in_file ? nullptr : &bytes, in_file ? nullptr : &size));
        EXPECT_EQ(3, calls);
        const std::string all = in_file ? ReadAll(path) : std::string((char*)bytes, size);
        EXPECT_NE(std::string::npos, all.find(Pattern(20 << 20)));
        cn_free(bytes);
        cn_h5_writer_close(w);
    }
}

TEST(Hdf5Writer, RefusesWhatDoesNotFit) {
    const int64_t dims[2] = {2, 3}, huge[2] = {INT64_MAX, 3};
    const cornu_string nul = {"a\0b", 3}, long_text = {"abcdef", 6};
    cn_h5_array fixed = kText, wide = kText;
    cn_h5_writer* w;
    fixed.string_kind = CN_H5_FIXED;
    fixed.element_bytes = 5;
    wide.string_kind = CN_H5_FIXED;
    wide.element_bytes = 100000;
    ASSERT_EQ(CORNU_OK, cn_h5_writer_open(nullptr, &w));
    EXPECT_EQ(CORNU_BAD_ARGUMENT, cn_h5_writer_dataset(w, "x", CORNU_FLOAT32, 2, huge, Fill, nullptr));
    EXPECT_EQ(CORNU_BAD_ARGUMENT, cn_h5_writer_dataset(w, "/x", CORNU_FLOAT32, 2, dims, Fill, nullptr));
    EXPECT_EQ(CORNU_BAD_ARGUMENT, cn_h5_writer_dataset(w, "", CORNU_FLOAT32, 2, dims, Fill, nullptr));
    EXPECT_EQ(CORNU_UNSUPPORTED, cn_h5_writer_dataset(w, "x", CORNU_STRING, 2, dims, Fill, nullptr));
    EXPECT_EQ(CORNU_BAD_ARGUMENT, cn_h5_writer_attribute(w, "", "a", &kText, &nul));
    EXPECT_EQ(CORNU_BAD_ARGUMENT, cn_h5_writer_attribute(w, "", "a", &fixed, &long_text));
    EXPECT_EQ(CORNU_UNSUPPORTED, cn_h5_writer_attribute(w, "", "a", &wide, &long_text));
    EXPECT_EQ(CORNU_CANCELLED, cn_h5_writer_dataset(w, "x", CORNU_FLOAT32, 2, dims, FillFails, nullptr));
    EXPECT_EQ(CORNU_IO_ERROR, cn_h5_writer_dataset(w, "x", CORNU_FLOAT32, 2, dims, Fill, nullptr)) << "twice";
    EXPECT_NE(nullptr, strstr(cornu_last_error(), "'x'")) << cornu_last_error();
    EXPECT_EQ(CORNU_IO_ERROR, cn_h5_writer_group(w, "x/y")) << "inside a dataset";
    EXPECT_EQ(CORNU_IO_ERROR, cn_h5_writer_attribute(w, "nothing", "a", &kText, &long_text));
    cn_h5_writer_close(w);
}

TEST(Hdf5Writer, UnfinishedFilesGoAndForeignOnesStay) {
    Folder folder;
    cn_h5_writer* w;
    ASSERT_EQ(CORNU_OK, cn_h5_writer_open((folder / "m.h5").c_str(), &w));
    EXPECT_EQ(1u, folder.names().size());
    cn_h5_writer_close(w);
    EXPECT_TRUE(folder.names().empty());
    WriteAll(folder / "m.h5", "there");
    EXPECT_EQ(CORNU_IO_ERROR, cn_h5_writer_open((folder / "m.h5").c_str(), &w));
    EXPECT_EQ(nullptr, w);
    EXPECT_EQ("there", ReadAll(folder / "m.h5"));
    EXPECT_EQ(CORNU_IO_ERROR, cn_h5_writer_open((folder / "missing/m.h5").c_str(), &w));
}

TEST(Hdf5Writer, EveryAllocationFails) {
    Folder folder;
    for (int in_file = 0; in_file < 2; in_file++) {
        cornu_status st = CORNU_NO_MEMORY;
        for (uint64_t n = 1; st != CORNU_OK && n < 100; n++) {
            cn_alloc_fail_at(n, n % 2 == 0);
            st = WriteSome(in_file ? (folder / "m.h5").c_str() : nullptr, nullptr);
            cn_alloc_fail_at(0, false);
            ASSERT_TRUE(st == CORNU_OK || st == CORNU_NO_MEMORY) << cornu_last_error();
            ASSERT_EQ(st == CORNU_OK && in_file ? 1u : 0u, folder.names().size());
        }
        EXPECT_EQ(CORNU_OK, st);
    }
}

}  // namespace
