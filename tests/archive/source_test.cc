// Sources of each kind, and files that are no files or change under the reader.
#include "archive/source.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include "base/alloc.h"

namespace {

class SourceFile : public ::testing::Test {
   protected:
    void SetUp() override {
        char name[] = "/tmp/cornu_source_XXXXXX";
        ASSERT_NE(mkdtemp(name), nullptr);
        folder_ = name;
        path_ = folder_ + "/file";
        Write("0123456789");
    }
    void TearDown() override {
        for (const char* name : {"/file", "/link", "/fifo", "/socket"}) (void)unlink((folder_ + name).c_str());
        (void)rmdir(folder_.c_str());
    }
    void Write(const std::string& text) { std::ofstream(path_, std::ios::binary) << text; }
    cornu_status Open(const std::string& path) { return cn_source_open_file(path.c_str(), &source_); }

    std::string folder_, path_;
    cn_source* source_ = nullptr;
};

TEST_F(SourceFile, ReadsAnyRange) {
    char bytes[11] = {};
    ASSERT_EQ(Open(path_), CORNU_OK);
    EXPECT_EQ(cn_source_size(source_), 10u);
    EXPECT_STREQ(cn_source_name(source_), path_.c_str());
    EXPECT_EQ(cn_source_memory(source_), nullptr);
    ASSERT_EQ(cn_source_read(source_, 3, bytes, 4), CORNU_OK);
    EXPECT_STREQ(bytes, "3456");
    EXPECT_EQ(cn_source_read(source_, 10, bytes, 0), CORNU_OK);
    EXPECT_EQ(cn_source_read(source_, 10, bytes, 1), CORNU_BAD_FILE);
    EXPECT_EQ(cn_source_read(source_, 2, bytes, UINT64_MAX), CORNU_BAD_FILE);
    EXPECT_EQ(cn_source_read(source_, UINT64_MAX, bytes, 2), CORNU_BAD_FILE);
    cn_source_close(source_);
}

TEST_F(SourceFile, SeesThatTheFileChanged) {
    char bytes[10];
    ASSERT_EQ(Open(path_), CORNU_OK);
    Write("0123");
    EXPECT_EQ(cn_source_read(source_, 0, bytes, 10), CORNU_IO_ERROR);
    EXPECT_EQ(cn_source_read(source_, 0, bytes, 2), CORNU_IO_ERROR);
    cn_source_close(source_);

    ASSERT_EQ(Open(path_), CORNU_OK);
    const struct timespec times[2] = {{1000, 0}, {1000, 5}};
    ASSERT_EQ(utimensat(AT_FDCWD, path_.c_str(), times, 0), 0);
    EXPECT_EQ(cn_source_read(source_, 0, bytes, 2), CORNU_IO_ERROR);
    cn_source_close(source_);
}

TEST_F(SourceFile, RefusesWhatIsNoRegularFile) {
    EXPECT_EQ(Open(folder_ + "/nothing"), CORNU_NOT_FOUND);
    EXPECT_EQ(Open(path_ + "/below"), CORNU_NOT_FOUND);
    EXPECT_EQ(Open(folder_), CORNU_BAD_FILE);
    EXPECT_EQ(Open("/dev/zero"), CORNU_BAD_FILE);
    ASSERT_EQ(mkfifo((folder_ + "/fifo").c_str(), 0600), 0);
    EXPECT_EQ(Open(folder_ + "/fifo"), CORNU_BAD_FILE);
    EXPECT_NE(std::string(cornu_last_error()).find("FIFO"), std::string::npos);

    struct sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", folder_.c_str());
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    ASSERT_EQ(bind(fd, (struct sockaddr*)&address, sizeof address), 0);
    EXPECT_EQ(Open(folder_ + "/socket"), CORNU_BAD_FILE);
    close(fd);
    EXPECT_EQ(source_, nullptr);
}

TEST_F(SourceFile, OpenAtFollowsNoLink) {
    int dir = open(folder_.c_str(), O_RDONLY | O_DIRECTORY);
    ASSERT_GE(dir, 0);
    ASSERT_EQ(symlink("file", (folder_ + "/link").c_str()), 0);
    EXPECT_EQ(cn_source_open_at(dir, "link", "folder/link", &source_), CORNU_BAD_FILE);
    EXPECT_EQ(cn_source_open_at(dir, "none", "folder/none", &source_), CORNU_NOT_FOUND);
    ASSERT_EQ(cn_source_open_at(dir, "file", "folder/file", &source_), CORNU_OK);
    EXPECT_STREQ(cn_source_name(source_), "folder/file");
    cn_source_close(source_);
    close(dir);
}

TEST(Source, WindowsInsideWindows) {
    cn_source *memory, *outer, *inner, *bad = nullptr;
    char bytes[4] = {};
    ASSERT_EQ(cn_source_open_memory("0123456789", 10, "m", &memory), CORNU_OK);
    ASSERT_EQ(cn_source_open_window(memory, 2, 6, "o", &outer), CORNU_OK);
    ASSERT_EQ(cn_source_open_window(outer, 1, 3, "i", &inner), CORNU_OK);
    ASSERT_EQ(cn_source_read(inner, 0, bytes, 3), CORNU_OK);
    EXPECT_STREQ(bytes, "345");
    EXPECT_EQ(((const char*)cn_source_memory(inner))[0], '3');
    EXPECT_EQ(cn_source_read(inner, 1, bytes, 3), CORNU_BAD_FILE);
    EXPECT_EQ(cn_source_open_window(outer, 4, 3, "b", &bad), CORNU_BAD_FILE);
    EXPECT_EQ(cn_source_open_window(outer, 1, UINT64_MAX, "b", &bad), CORNU_BAD_FILE);
    EXPECT_EQ(bad, nullptr);
    cn_source_close(inner);
    cn_source_close(outer);
    cn_source_close(memory);
}

TEST(Source, TakesMemoryAlsoWhenItFails) {
    for (uint64_t n = 1; n <= 3; n++) {
        cn_source* source = nullptr;
        void* data = cn_alloc(8);
        cn_alloc_fail_at(n, false);
        cornu_status st = cn_source_take_memory(data, 8, "m", &source);
        cn_alloc_fail_at(0, false);
        EXPECT_EQ(st, n < 3 ? CORNU_NO_MEMORY : CORNU_OK);
        cn_source_close(source);
    }
    cn_source* source = nullptr;
    ASSERT_EQ(cn_source_open_memory(nullptr, 0, "none", &source), CORNU_OK);
    EXPECT_EQ(cn_source_size(source), 0u);
    cn_source_close(source);
    cn_source_close(nullptr);
}

}  // namespace
