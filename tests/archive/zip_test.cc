#include "archive/zip.h"

#include <string.h>
#include <zlib.h>

#include "base/alloc.h"
#include "tests/archive/folder.h"

namespace {

const std::string kSamples = CORNU_SOURCE_DIR "/tests/archive/zip/";

struct Member {
    std::string name, bytes;
    bool stored;
};

// Opens bytes as a zip and reads all of it.
cornu_status ReadZip(const std::string& bytes, std::vector<Member>* out) {
    cn_source* source = nullptr;
    cn_zip* zip = nullptr;
    out->clear();
    cornu_status st = cn_source_open_memory(bytes.data(), bytes.size(), "test.zip", &source);
    if (st != CORNU_OK) return st;
    st = cn_zip_open(source, &zip);
    for (size_t i = 0; st == CORNU_OK && i < cn_zip_count(zip); i++) {
        const cn_zip_entry* entry = cn_zip_entry_at(zip, i);
        cn_source* member;
        EXPECT_EQ(entry, cn_zip_find(zip, entry->name));
        st = cn_zip_open_entry(zip, entry, &member);
        if (st != CORNU_OK) break;
        std::string data((size_t)entry->size, '\0');
        EXPECT_EQ(entry->size, cn_source_size(member));
        st = cn_source_read(member, 0, data.data(), data.size());
        out->push_back({entry->name, data, entry->stored});
        cn_source_close(member);
    }
    EXPECT_TRUE(!zip || !cn_zip_find(zip, "no such member"));
    cn_zip_close(zip);
    cn_source_close(source);
    return st;
}

cornu_status WriteZip(const std::vector<std::pair<std::string, std::string>>& members, std::string* out,
                      uint64_t expected = 0) {
    cn_sink* sink = nullptr;
    cn_zip_writer* writer = nullptr;
    cornu_status st = cn_sink_open_memory(&sink);
    if (st == CORNU_OK) st = cn_zip_writer_open(sink, &writer);
    for (auto& [name, bytes] : members) {
        if (st == CORNU_OK) st = cn_zip_writer_begin(writer, name.c_str(), -1, expected);
        if (st == CORNU_OK) st = cn_zip_writer_write(writer, bytes.data(), bytes.size());
        if (st == CORNU_OK) st = cn_zip_writer_end(writer);
    }
    if (st == CORNU_OK) st = cn_zip_writer_finish(writer);
    if (st == CORNU_OK) st = cn_sink_commit(sink);
    if (st == CORNU_OK) {
        uint64_t size;
        void* data = cn_sink_take_memory(sink, &size);
        out->assign((const char*)data, size);
        cn_free(data);
    }
    cn_zip_writer_close(writer);
    cn_sink_close(sink);
    return st;
}

void ExpectRefused(const std::string& bytes, const char* reason) {
    std::vector<Member> members;
    EXPECT_EQ(CORNU_BAD_FILE, ReadZip(bytes, &members));
    EXPECT_NE(nullptr, strstr(cornu_last_error(), reason)) << cornu_last_error();
    EXPECT_NE(nullptr, strstr(cornu_last_error(), "test.zip")) << cornu_last_error();
}

// Replaces every occurrence, of the same size.
std::string Replaced(std::string bytes, const std::string& from, const std::string& to) {
    for (size_t at = 0; (at = bytes.find(from, at)) != std::string::npos; at += to.size()) bytes.replace(at, from.size(), to);
    return bytes;
}

TEST(Zip, ReadsPythonsArchives) {
    std::vector<Member> first;
    for (const char* name : {"stored.zip", "deflated.zip", "streamed.zip", "streamed_stored.zip"}) {
        std::vector<Member> members;
        ASSERT_EQ(CORNU_OK, ReadZip(ReadAll(kSamples + name), &members)) << name << cornu_last_error();
        ASSERT_EQ(4u, members.size());
        if (first.empty()) first = members;
        for (int i = 0; i < 4; i++) EXPECT_EQ(first[i].bytes, members[i].bytes);
        EXPECT_EQ("model.weights.h5", members[2].name);
        EXPECT_EQ(512u, members[2].bytes.size());
        EXPECT_EQ(strstr(name, "stored") != nullptr, members[2].stored);
    }
    ASSERT_EQ(CORNU_OK, ReadZip(ReadAll(kSamples + "zip64.zip"), &first)) << cornu_last_error();
    EXPECT_EQ("{\"a\": 1}", first[0].bytes);
    ASSERT_EQ(CORNU_OK, ReadZip(ReadAll(kSamples + "empty.zip"), &first)) << cornu_last_error();
    EXPECT_TRUE(first.empty());
    ASSERT_EQ(CORNU_OK, ReadZip(ReadAll(kSamples + "folders.zip"), &first)) << cornu_last_error();
    EXPECT_EQ("assets/", first[0].name);
    EXPECT_EQ("assets/a\\b", first[1].name);
}

TEST(Zip, StoredMembersAreWindows) {
    const std::string bytes = ReadAll(kSamples + "stored.zip");
    cn_source *source, *member;
    cn_zip* zip;
    ASSERT_EQ(CORNU_OK, cn_source_open_memory(bytes.data(), bytes.size(), "test.zip", &source));
    EXPECT_TRUE(cn_zip_sniff(source));
    ASSERT_EQ(CORNU_OK, cn_zip_open(source, &zip));
    ASSERT_EQ(CORNU_OK, cn_zip_open_entry(zip, cn_zip_find(zip, "model.weights.h5"), &member));
    const char* at = (const char*)cn_source_memory(member);
    EXPECT_TRUE(at > bytes.data() && at < bytes.data() + bytes.size());
    EXPECT_STREQ("test.zip: model.weights.h5", cn_source_name(member));
    cn_source_close(member);
    cn_zip_close(zip);
    cn_source_close(source);
}

TEST(Zip, RefusesBadArchives) {
    ExpectRefused(ReadAll(kSamples + "duplicate.zip"), "two zip members are called 'a'");
    ExpectRefused(ReadAll(kSamples + "symlink.zip"), "symbolic link");
    ExpectRefused(ReadAll(kSamples + "bzip2.zip"), "method 12");
    ExpectRefused("", "not a zip archive");
    ExpectRefused("version https://git-lfs.github.com/spec/v1\n", "not a zip archive");
    const std::string good = ReadAll(kSamples + "stored.zip");
    ExpectRefused(good + "x", "end record");
    ExpectRefused("x" + good, "does not end where");
}

TEST(Zip, RefusesUnsafeNames) {
    std::string zip;
    ASSERT_EQ(CORNU_OK, WriteZip({{"abcdefg", "x"}}, &zip));
    for (const char* name : {"../bcde", "/bcdefg", "a/../fg", "abcd/..", "a//defg", "./cdefg"})
        ExpectRefused(Replaced(zip, "abcdefg", name), "the name of zip member");
    ExpectRefused(Replaced(zip, "abcdefg", std::string("abc\0efg", 7)), "holds a NUL");
    for (const char* name : {"abcde\xc3g", "abcd\xed\xa0\x80", "abcdef\xff", "abcde\xc0\x80"})
        ExpectRefused(Replaced(zip, "abcdefg", name), "no UTF-8");
    ExpectRefused(Replaced(zip, "abcdefg", "abcdef/"), "is a folder");
}

TEST(Zip, RefusesEncryptedOverlappingAndContradicting) {
    const std::string good = ReadAll(kSamples + "stored.zip");
    const size_t central = good.find("PK\1\2"), second = good.find("PK\1\2", central + 1);
    std::string bytes = good;
    bytes[central + 8] = 1;
    ExpectRefused(bytes, "encrypted");
    bytes = good;
    bytes.replace(second + 42, 4, good.substr(central + 42, 4));
    ExpectRefused(bytes, "zip member 'config.json'");
    bytes = good;
    bytes[central + 16] = (char)(bytes[central + 16] ^ 1);
    ExpectRefused(bytes, "contradicts the directory");
    bytes = good;
    bytes[bytes.find("keras_version")] = 'K';
    ExpectRefused(bytes, "CRC");
    bytes = good;
    bytes[central + 20] = 1;
    ExpectRefused(bytes, "two sizes");
    bytes = ReadAll(kSamples + "deflated.zip");
    bytes[bytes.find("PK\1\2") + 26] = 1;
    ExpectRefused(bytes, "inflated from");
}

// Two directory records of different names on one payload.
TEST(Zip, RefusesOverlap) {
    std::string zip;
    ASSERT_EQ(CORNU_OK, WriteZip({{"a", std::string(100, 'x')}, {"b", "y"}}, &zip));
    // The first member claims to reach over the second's header.
    const size_t central = zip.find("PK\1\2");
    for (size_t at : {(size_t)18, (size_t)22, central + 20, central + 24}) zip[at] = 110;
    ExpectRefused(zip, "overlap");
}

TEST(Zip, BombsAreSeenByTheirHeader) {
    std::vector<Member> members;
    std::string bomb = ReadAll(kSamples + "bomb.zip");
    EXPECT_EQ(CORNU_OK, ReadZip(bomb, &members)) << "what deflate can honestly gain is read";
    const size_t central = bomb.find("PK\1\2");
    for (size_t at : {(size_t)22, central + 24}) bomb.replace(at, 4, std::string("\xff\xff\xff\x0f", 4));
    ExpectRefused(bomb, "claims 268435455 bytes");
    bomb = ReadAll(kSamples + "bomb.zip");
    for (size_t at : {(size_t)22, central + 24}) bomb[at] = (char)(bomb[at] - 1);
    ExpectRefused(bomb, "more than its size");
    for (size_t at : {(size_t)22, central + 24}) bomb[at] = (char)(bomb[at] + 2);
    ExpectRefused(bomb, "");
}

TEST(Zip, TruncatedAnywhere) {
    for (const char* name : {"stored.zip", "deflated.zip", "zip64.zip"}) {
        const std::string good = ReadAll(kSamples + name);
        std::vector<Member> members;
        for (size_t n = 0; n < good.size(); n++)
            ASSERT_EQ(CORNU_BAD_FILE, ReadZip(good.substr(0, n), &members)) << name << " " << n;
    }
}

// A changed byte is refused, or changes nothing of what is read but names.
TEST(Zip, MutatedAnywhere) {
    for (const char* name : {"stored.zip", "deflated.zip", "zip64.zip", "streamed.zip"}) {
        const std::string good = ReadAll(kSamples + name);
        std::vector<Member> expected, members;
        ASSERT_EQ(CORNU_OK, ReadZip(good, &expected));
        for (size_t i = 0; i < good.size(); i++) {
            for (int value : {0, 1, 0x7f, 0x80, 0xff}) {
                std::string bytes = good;
                bytes[i] = (char)(value == 1 ? bytes[i] ^ 1 : value);
                cornu_status st = ReadZip(bytes, &members);
                ASSERT_TRUE(st == CORNU_OK || st == CORNU_BAD_FILE) << name << " " << i << cornu_last_error();
                for (size_t k = 0; st == CORNU_OK && k < members.size(); k++)
                    ASSERT_EQ(expected[k].bytes, members[k].bytes) << name << " " << i;
            }
        }
    }
}

TEST(Zip, RoundTrip) {
    const std::vector<std::pair<std::string, std::string>> members = {
        {"config.json", "{}"}, {"model.weights.h5", std::string(3000000, 'w')}, {"assets/\xc3\xa9", ""}};
    for (uint64_t expected : {(uint64_t)0, (uint64_t)1 << 32}) {
        std::string zip;
        std::vector<Member> back;
        ASSERT_EQ(CORNU_OK, WriteZip(members, &zip, expected));
        ASSERT_EQ(CORNU_OK, ReadZip(zip, &back)) << cornu_last_error();
        ASSERT_EQ(members.size(), back.size());
        for (size_t i = 0; i < back.size(); i++) {
            EXPECT_EQ(members[i].first, back[i].name);
            EXPECT_EQ(members[i].second, back[i].bytes);
        }
    }
}

TEST(Zip, ManyMembersNeedZip64) {
    std::vector<std::pair<std::string, std::string>> members;
    std::vector<Member> back;
    std::string zip;
    for (int i = 0; i < 66000; i++) members.push_back({std::to_string(i), ""});
    ASSERT_EQ(CORNU_OK, WriteZip(members, &zip));
    ASSERT_EQ(CORNU_OK, ReadZip(zip, &back)) << cornu_last_error();
    EXPECT_EQ(66000u, back.size());
}

TEST(Zip, WriterChecksItsCaller) {
    std::string zip;
    EXPECT_EQ(CORNU_BAD_ARGUMENT, WriteZip({{"a", ""}, {"a", ""}}, &zip));
    EXPECT_EQ(CORNU_BAD_ARGUMENT, WriteZip({{"../a", ""}}, &zip));
    EXPECT_EQ(CORNU_BAD_ARGUMENT, WriteZip({{"", ""}}, &zip));
    EXPECT_EQ(CORNU_BAD_ARGUMENT, WriteZip({{std::string(70000, 'n'), ""}}, &zip));
}

TEST(Zip, EveryAllocationFails) {
    const std::string good = ReadAll(kSamples + "deflated.zip") , stored = ReadAll(kSamples + "stored.zip");
    for (int which = 0; which < 3; which++) {
        cornu_status st = CORNU_NO_MEMORY;
        for (uint64_t n = 1; st != CORNU_OK && n < 200; n++) {
            std::vector<Member> members;
            std::string zip;
            cn_alloc_fail_at(n, n % 2 == 0);
            st = which == 2 ? WriteZip({{"a", "x"}, {"b", "y"}}, &zip) : ReadZip(which ? good : stored, &members);
            cn_alloc_fail_at(0, false);
            ASSERT_TRUE(st == CORNU_OK || st == CORNU_NO_MEMORY) << cornu_last_error();
        }
        EXPECT_EQ(CORNU_OK, st);
    }
}

}  // namespace
