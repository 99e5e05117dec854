#include "archive/npy.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "tests/archive/folder.h"

namespace {

const std::string kSamples = CORNU_SOURCE_DIR "/tests/archive/npy/";

cornu_status Read(const std::string& bytes, cornu_tensor* out) {
    cn_source* source;
    cornu_status st = cn_source_open_memory(bytes.data(), bytes.size(), "test.npy", &source);
    if (st != CORNU_OK) return st;
    st = cn_npy_read(source, out);
    cn_source_close(source);
    return st;
}

cornu_status Write(const cornu_tensor& tensor, std::string* out) {
    cn_sink* sink;
    cornu_status st = cn_sink_open_memory(&sink);
    if (st != CORNU_OK) return st;
    st = cn_npy_write(sink, &tensor);
    if (st == CORNU_OK) st = cn_sink_commit(sink);
    if (st == CORNU_OK) {
        uint64_t size;
        void* data = cn_sink_take_memory(sink, &size);
        out->assign((const char*)data, size);
        cn_free(data);
    }
    cn_sink_close(sink);
    return st;
}

// A version 1 file of this header, unpadded.
std::string Npy(const std::string& header, const std::string& data = "", char version = 1) {
    std::string bytes = "\x93NUMPY";
    bytes += {version, 0, (char)(header.size() & 0xff), (char)(header.size() >> 8)};
    if (version > 1) bytes += {0, 0};
    return bytes + header + data;
}

std::string Header(const std::string& descr, const std::string& shape, const char* order = "False") {
    return "{'descr': " + descr + ", 'fortran_order': " + order + ", 'shape': " + shape + ", }\n";
}

TEST(Npy, ReadsNumpysFiles) {
    cornu_tensor t;
    ASSERT_EQ(CORNU_OK, Read(ReadAll(kSamples + "matrix_f4.npy"), &t));
    EXPECT_EQ(CORNU_FLOAT32, t.dtype);
    ASSERT_EQ(2, t.ndim);
    EXPECT_EQ(3, t.dims[1]);
    for (int i = 0; i < 6; i++) EXPECT_EQ((float)i, ((float*)t.data)[i]);
    cornu_tensor_release(&t);
    ASSERT_EQ(CORNU_OK, Read(ReadAll(kSamples + "fortran_big_i2.npy"), &t));
    for (int i = 0; i < 6; i++) EXPECT_EQ(i, ((int16_t*)t.data)[i]);
    cornu_tensor_release(&t);
    ASSERT_EQ(CORNU_OK, Read(ReadAll(kSamples + "scalar_bool.npy"), &t));
    EXPECT_EQ(0, t.ndim);
    EXPECT_EQ(1, *(uint8_t*)t.data);
    cornu_tensor_release(&t);
    ASSERT_EQ(CORNU_OK, Read(ReadAll(kSamples + "empty_c8.npy"), &t));
    EXPECT_EQ(0, cornu_tensor_count(&t));
    cornu_tensor_release(&t);
}

TEST(Npy, ReadsStrings) {
    cornu_tensor t;
    ASSERT_EQ(CORNU_OK, Read(ReadAll(kSamples + "strings.npy"), &t));
    const cornu_string* s = (const cornu_string*)t.data;
    EXPECT_STREQ("a", s[0].data);
    EXPECT_STREQ("h\xc3\xa9", s[1].data);
    EXPECT_EQ(3u, s[1].size);
    EXPECT_EQ(0u, s[2].size);
    EXPECT_STREQ("\xf0\x9f\x98\x80", s[3].data);
    cornu_tensor_release(&t);
    ASSERT_EQ(CORNU_OK, Read(ReadAll(kSamples + "bytes.npy"), &t));
    EXPECT_STREQ("ab", ((const cornu_string*)t.data)[0].data);
    cornu_tensor_release(&t);
    for (const char* code : {"\x00\xd8\x00\x00", "\x00\x00\x11\x00", "\xff\xff\xff\xff"})
        EXPECT_EQ(CORNU_BAD_FILE, Read(Npy(Header("'<U1'", "(1,)"), std::string(code, 4)), &t));
}

TEST(Npy, AcceptsEverySpelling) {
    cornu_tensor t;
    for (const std::string& header : {Header("'<f4'", "(1,)"), Header("\"<f4\"", "(1L,)"), Header("'=f4'", "(1,)"), Header("'f4'", "( 1 , )"),
                                      std::string("{\"shape\":(1,),'fortran_order':True,'descr':'<f4'}"), Header("'<f4'", "(1, 1)")}) {
        for (char version = 1; version <= 3; version++) {
            ASSERT_EQ(CORNU_OK, Read(Npy(header, std::string("\0\0\x80\x3f", 4), version), &t)) << header << cornu_last_error();
            EXPECT_EQ(1.0f, *(float*)t.data);
            cornu_tensor_release(&t);
        }
    }
    ASSERT_EQ(CORNU_OK, Read(Npy(Header("'|b1'", "(3,)"), std::string("\0\1\5", 3)), &t));
    EXPECT_EQ(1, ((uint8_t*)t.data)[2]);
    cornu_tensor_release(&t);
}

TEST(Npy, RefusesMalformedHeaders) {
    cornu_tensor t;
    const std::string one(4, '\0');
    for (const std::string& header :
         {std::string(""), std::string("{}"), std::string("{'descr': '<f4'}"), Header("'<f4'", "(1)"), Header("'<f4'", "(-1,)"),
          Header("'<f4'", "1"), Header("'<f4'", "[1]"), Header("'<f4'", "(1,), 'shape': (1,)"), Header("'<f4", "(1,)"),
          Header("'<f4'", "(1,)", "false"), Header("'<f4'", "(1,), 'x': 1"), Header("'<f4'", "(1,)") + "x", Header("'<\\x664'", "(1,)"),
          Header("'<f4'", "(99999999999999999999,)"), Header("'<f4'", "(4611686018427387904, 4)"), Header("'<f4'", "(2,)"),
          Header("'<f4'", "()") + std::string(1, '\0'), Header("'<f99999999999'", "(1,)"), Header("'<f4'", "(,)")})
        EXPECT_EQ(CORNU_BAD_FILE, Read(Npy(header, one), &t)) << header;
    EXPECT_EQ(CORNU_BAD_FILE, Read(Npy(Header("'<f4'", "(1,)"), one + "x"), &t)) << "bytes behind the elements";
    EXPECT_EQ(CORNU_BAD_FILE, Read(Npy(Header("'<U0'", "(99999999999,)")), &t));
    for (const char* descr : {"'|O'", "[('a', '<f4')]", "'<M8[s]'", "'|V4'", "'<f16'", "'<f3'", "''", "'<'", "'float32'", "'<c4'"})
        EXPECT_EQ(CORNU_UNSUPPORTED, Read(Npy(Header(descr, "(1,)"), one), &t)) << descr;
    EXPECT_EQ(CORNU_UNSUPPORTED, Read(Npy(Header("'<f4'", "(1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1)"), one), &t));
    EXPECT_EQ(CORNU_UNSUPPORTED, Read(Npy(Header("'<f4'", "(1,)"), one, 4), &t));
    EXPECT_EQ(CORNU_UNSUPPORTED, Read(ReadAll(kSamples + "pickled.npy"), &t));
    EXPECT_EQ(nullptr, t.data);
    EXPECT_NE(nullptr, strstr(cornu_last_error(), "pickled")) << cornu_last_error();
}

TEST(Npy, TruncatedAndMutatedAnywhere) {
    for (const char* name : {"matrix_f4.npy", "fortran_big_i2.npy", "strings.npy", "empty_c8.npy"}) {
        const std::string good = ReadAll(kSamples + name);
        cornu_tensor t;
        for (size_t n = 0; n < good.size(); n++) ASSERT_EQ(CORNU_BAD_FILE, Read(good.substr(0, n), &t)) << n;
        for (size_t i = 0; i < good.size(); i++) {
            for (int value = 0; value < 256; value += i < 128 ? 1 : 37) {
                std::string bytes = good;
                bytes[i] = (char)value;
                cornu_status st = Read(bytes, &t);
                EXPECT_EQ(st == CORNU_OK, t.owner != nullptr);
                cornu_tensor_release(&t);
            }
        }
    }
}

TEST(Npy, WritesAsNumpy) {
    for (const char* name : {"matrix_f4.npy", "strings.npy", "scalar_bool.npy", "empty_c8.npy"}) {
        const std::string good = ReadAll(kSamples + name);
        std::string written;
        cornu_tensor t;
        ASSERT_EQ(CORNU_OK, Read(good, &t));
        ASSERT_EQ(CORNU_OK, Write(t, &written));
        // numpy keeps the width of 3 that the sample was made with; its longest string has 2.
        EXPECT_TRUE(t.dtype == CORNU_STRING || good == written) << name;
        cornu_tensor back;
        ASSERT_EQ(CORNU_OK, Read(written, &back));
        EXPECT_EQ(cornu_tensor_count(&t), cornu_tensor_count(&back));
        cornu_tensor_release(&t);
        cornu_tensor_release(&back);
    }
    std::string written;
    uint16_t bits = 0;
    EXPECT_EQ(CORNU_UNSUPPORTED, Write(cornu_tensor_of(CORNU_BFLOAT16, &bits, 0), &written));
    EXPECT_EQ(CORNU_BAD_ARGUMENT, Write(cornu_tensor_of(CORNU_FLOAT32, nullptr, 1, 1), &written));
    EXPECT_EQ(CORNU_BAD_ARGUMENT, Write(cornu_tensor_shaped(CORNU_FLOAT32, &bits, 17, nullptr), &written));
    for (const char* text : {"\xff", "\xc3", "\xed\xa0\x80", "\xc0\x80", "\xf4\x90\x80\x80"}) {
        cornu_string s = {text, strlen(text)};
        EXPECT_EQ(CORNU_BAD_ARGUMENT, Write(cornu_tensor_of(CORNU_STRING, &s, 0), &written)) << text;
    }
}

cornu_status ReadNpz(const std::string& bytes, cn_npz_array** arrays, size_t* count) {
    cn_source* source;
    cornu_status st = cn_source_open_memory(bytes.data(), bytes.size(), "test.npz", &source);
    if (st != CORNU_OK) return st;
    st = cn_npz_read(source, arrays, count);
    cn_source_close(source);
    return st;
}

TEST(Npz, ReadsAndWrites) {
    for (const char* name : {"two.npz", "two_compressed.npz"}) {
        cn_npz_array *arrays, *back;
        size_t count, back_count;
        ASSERT_EQ(CORNU_OK, ReadNpz(ReadAll(kSamples + name), &arrays, &count)) << cornu_last_error();
        ASSERT_EQ(2u, count);
        EXPECT_STREQ("x", arrays[0].name);
        EXPECT_EQ(2.0, ((double*)arrays[0].tensor.data)[2]);
        EXPECT_STREQ("q", ((cornu_string*)arrays[1].tensor.data)[0].data);
        cn_sink* sink;
        uint64_t size;
        ASSERT_EQ(CORNU_OK, cn_sink_open_memory(&sink));
        ASSERT_EQ(CORNU_OK, cn_npz_write(sink, arrays, count));
        ASSERT_EQ(CORNU_OK, cn_sink_commit(sink));
        void* data = cn_sink_take_memory(sink, &size);
        ASSERT_EQ(CORNU_OK, ReadNpz(std::string((char*)data, size), &back, &back_count)) << cornu_last_error();
        EXPECT_EQ(count, back_count);
        EXPECT_EQ(0, memcmp(arrays[0].tensor.data, back[0].tensor.data, 24));
        cn_free(data);
        cn_sink_close(sink);
        cn_npz_free(arrays, count);
        cn_npz_free(back, back_count);
    }
    cn_npz_array* arrays;
    size_t count;
    EXPECT_EQ(CORNU_UNSUPPORTED, ReadNpz(ReadAll(CORNU_SOURCE_DIR "/tests/archive/zip/stored.zip"), &arrays, &count));
}

TEST(Npz, EveryAllocationFails) {
    const std::string good = ReadAll(kSamples + "two_compressed.npz");
    cornu_status st = CORNU_NO_MEMORY;
    for (uint64_t n = 1; st != CORNU_OK && n < 300; n++) {
        cn_npz_array* arrays = nullptr;
        size_t count = 0;
        cn_sink* sink = nullptr;
        cn_alloc_fail_at(n, n % 2 == 0);
        st = ReadNpz(good, &arrays, &count);
        if (st == CORNU_OK) st = cn_sink_open_memory(&sink);
        if (st == CORNU_OK) st = cn_npz_write(sink, arrays, count);
        cn_alloc_fail_at(0, false);
        cn_sink_close(sink);
        cn_npz_free(arrays, count);
        ASSERT_TRUE(st == CORNU_OK || st == CORNU_NO_MEMORY) << cornu_last_error();
    }
    EXPECT_EQ(CORNU_OK, st);
}

}  // namespace
