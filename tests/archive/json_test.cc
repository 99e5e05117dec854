// JSON as CPython's json module reads and writes it; json_python.def was written by CPython.
#include "archive/json.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <clocale>
#include <cmath>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "archive/limits.h"

namespace {

struct Destroy {
    void operator()(cn_json_doc* doc) const { cn_json_doc_destroy(doc); }
};
using Doc = std::unique_ptr<cn_json_doc, Destroy>;

Doc parse(const std::string& text) {
    cn_json_doc* doc = nullptr;
    EXPECT_EQ(cn_json_parse(text.data(), text.size(), "t", &doc), CORNU_OK) << text.substr(0, 200) << "\n" << cornu_last_error();
    return Doc(doc);
}

std::string print(const cn_json* node) {
    cn_buf out = {};
    EXPECT_EQ(cn_json_print(node, &out), CORNU_OK);
    std::string text(out.data ? out.data : "", out.size);
    cn_buf_deinit(&out);
    return text;
}

std::string print(const Doc& doc) { return print(cn_json_root(doc.get())); }

std::string repr(double value) {
    cn_buf out = {};
    cn_json_print_double(&out, value);
    std::string text(out.data, out.size);
    cn_buf_deinit(&out);
    return text;
}

double of_bits(uint64_t bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

// json.dumps(json.loads(text))
std::string dumps(const std::string& text) {
    Doc doc = parse("null");
    EXPECT_EQ(cn_json_set(doc.get(), "", text.c_str()), CORNU_OK) << text << "\n" << cornu_last_error();
    return print(doc);
}

std::string refusal(const std::string& text) {
    cn_json_doc* doc = nullptr;
    cornu_status st = cn_json_parse(text.data(), text.size(), "t", &doc);
    EXPECT_EQ(st, CORNU_BAD_FILE) << text.substr(0, 200);
    EXPECT_EQ(doc, nullptr);
    cn_json_doc_destroy(doc);
    return st == CORNU_OK ? "" : cornu_last_error();
}

std::string nested(int depth) { return std::string((size_t)depth, '[') + std::string((size_t)depth, ']'); }

struct Double {
    uint64_t bits;
    const char* repr;
};
const Double python_doubles[] = {
#define PYTHON_DOUBLE(bits, repr) {bits, repr},
#define PYTHON_TEXT(text, dumped)
#include "json_python.def"
#undef PYTHON_DOUBLE
#undef PYTHON_TEXT
};

struct Text {
    const char* text;
    const char* dumped;
};
const Text python_texts[] = {
#define PYTHON_DOUBLE(bits, repr)
#define PYTHON_TEXT(text, dumped) {text, dumped},
#include "json_python.def"
#undef PYTHON_DOUBLE
#undef PYTHON_TEXT
};

}  // namespace

TEST(Json, DoublesPrintAsPython) {
    for (const Double& row : python_doubles) EXPECT_EQ(repr(of_bits(row.bits)), row.repr);
    EXPECT_EQ(repr(NAN), "NaN");
    EXPECT_EQ(repr(-NAN), "NaN");
}

TEST(Json, DoublesReadBackExactly) {
    for (const Double& row : python_doubles) {
        Doc doc = parse(row.repr);
        double value = cn_json_double(cn_json_root(doc.get()));
        double want = of_bits(row.bits);
        EXPECT_EQ(memcmp(&value, &want, sizeof value), 0) << row.repr;
        EXPECT_EQ(cn_json_type_of(cn_json_root(doc.get())), CN_JSON_FLOAT);
    }
}

TEST(Json, EveryPowerOfTwoReadsBack) {
    for (int e = -1074; e <= 1023; e++) {
        double value = ldexp(1.0, e);
        std::string text = repr(value);
        EXPECT_EQ(strtod(text.c_str(), nullptr), value) << text;
    }
}

TEST(Json, TextsPrintAsPythonWhenSetAndAsTheyWereWhenNot) {
    for (const Text& row : python_texts) {
        EXPECT_EQ(dumps(row.text), row.dumped) << row.text;
        EXPECT_EQ(print(parse(row.text)), row.text);
        EXPECT_EQ(dumps(row.dumped), row.dumped);
    }
}

TEST(Json, ReadsValues) {
    Doc doc = parse(R"({"n": null, "t": true, "f": false, "i": -12, "d": 2.50, "s": "x\u0000y", "a": [1, [2]], "o": {}})");
    cn_json* root = cn_json_root(doc.get());
    size_t size;
    int64_t i;
    ASSERT_TRUE(cn_json_is(root, CN_JSON_OBJECT));
    EXPECT_EQ(cn_json_size(root), 8u);
    EXPECT_EQ(cn_json_type_of(cn_json_get(root, "n")), CN_JSON_NULL);
    EXPECT_STREQ(cn_json_type_name(cn_json_get(root, "n")), "null");
    EXPECT_TRUE(cn_json_bool(cn_json_get(root, "t")));
    EXPECT_FALSE(cn_json_bool(cn_json_get(root, "f")));
    EXPECT_TRUE(cn_json_int64(cn_json_get(root, "i"), &i));
    EXPECT_EQ(i, -12);
    EXPECT_EQ(cn_json_double(cn_json_get(root, "i")), -12.0);
    EXPECT_EQ(cn_json_double(cn_json_get(root, "d")), 2.5);
    EXPECT_FALSE(cn_json_int64(cn_json_get(root, "d"), &i));
    const char* s = cn_json_string(cn_json_get(root, "s"), &size);
    EXPECT_EQ(std::string(s, size), std::string("x\0y", 3));
    EXPECT_FALSE(cn_json_equals(cn_json_get(root, "s"), "x"));
    EXPECT_EQ(cn_json_double(cn_json_at(cn_json_at(cn_json_get(root, "a"), 1), 0)), 2.0);
    EXPECT_EQ(cn_json_at(cn_json_get(root, "a"), 2), nullptr);
    EXPECT_STREQ(cn_json_key_at(root, 7, &size), "o");
    EXPECT_EQ(cn_json_key_at(root, 8, &size), nullptr);
    EXPECT_EQ(cn_json_key_at(cn_json_get(root, "a"), 0, nullptr), nullptr);
    EXPECT_EQ(cn_json_get(root, "N"), nullptr);  // case-sensitive, unlike cJSON
    const char* text = cn_json_text(cn_json_get(root, "d"), &size);
    EXPECT_EQ(std::string(text, size), "2.50");
    EXPECT_EQ(print(cn_json_get(root, "a")), "[1, [2]]");
}

TEST(Json, NothingIsANode) {
    size_t size = 9;
    int64_t i;
    EXPECT_EQ(cn_json_type_of(nullptr), CN_JSON_NULL);
    EXPECT_FALSE(cn_json_is(nullptr, CN_JSON_NULL));
    EXPECT_STREQ(cn_json_type_name(nullptr), "nothing");
    EXPECT_EQ(cn_json_size(nullptr), 0u);
    EXPECT_EQ(cn_json_at(nullptr, 0), nullptr);
    EXPECT_EQ(cn_json_get(nullptr, "a"), nullptr);
    EXPECT_EQ(cn_json_key_at(nullptr, 0, &size), nullptr);
    EXPECT_FALSE(cn_json_bool(nullptr));
    EXPECT_TRUE(std::isnan(cn_json_double(nullptr)));
    EXPECT_FALSE(cn_json_int64(nullptr, &i));
    EXPECT_EQ(cn_json_string(nullptr, &size), nullptr);
    EXPECT_EQ(size, 0u);
    EXPECT_FALSE(cn_json_equals(nullptr, ""));
    EXPECT_EQ(cn_json_text(nullptr, &size), nullptr);
    EXPECT_EQ(cn_json_pointer(nullptr, "/a"), nullptr);
    EXPECT_EQ(cn_json_root(nullptr), nullptr);
    cn_json_doc_destroy(nullptr);
}

TEST(Json, IntegersAreExact) {
    const struct {
        const char* text;
        bool fits;
        int64_t value;
    } rows[] = {{"9223372036854775807", true, INT64_MAX},   {"9223372036854775808", false, 0},
                {"-9223372036854775808", true, INT64_MIN},  {"-9223372036854775809", false, 0},
                {"9007199254740993", true, 9007199254740993}, {"-0", true, 0},
                {"100000000000000000000000000000000000000000000000000000000000000000000000000000001", false, 0}};
    for (const auto& row : rows) {
        Doc doc = parse(row.text);
        int64_t value = 77;
        EXPECT_EQ(cn_json_int64(cn_json_root(doc.get()), &value), row.fits) << row.text;
        EXPECT_EQ(value, row.fits ? row.value : 77);
        EXPECT_EQ(cn_json_type_of(cn_json_root(doc.get())), CN_JSON_INT);
        EXPECT_EQ(print(doc), row.text);
    }
}

TEST(Json, NumbersPythonHasAndJsonHasNot) {
    Doc doc = parse("[NaN, Infinity, -Infinity, 1e999, -1e999, 1e-999]");
    const cn_json* root = cn_json_root(doc.get());
    EXPECT_TRUE(std::isnan(cn_json_double(cn_json_at(root, 0))));
    EXPECT_EQ(cn_json_double(cn_json_at(root, 1)), INFINITY);
    EXPECT_EQ(cn_json_double(cn_json_at(root, 2)), -INFINITY);
    EXPECT_EQ(cn_json_double(cn_json_at(root, 3)), INFINITY);
    EXPECT_EQ(cn_json_double(cn_json_at(root, 4)), -INFINITY);
    EXPECT_EQ(cn_json_double(cn_json_at(root, 5)), 0.0);
}

TEST(Json, RefusesWhatPythonRefuses) {
    using namespace std::string_literals;
    const std::string rows[] = {
        "", " ", "\n", "[", "]", "{", "}", "[1", "[1,", "[1,]", "[,1]", "[,]", "[1 2]", "[1,,2]", "[1]]", "[1}", "{1}",
        "{\"a\"}", "{\"a\":}", "{\"a\":1", "{\"a\":1,", "{\"a\":1,}", "{,}", "{a:1}", "{'a':1}", "{1:1}", "{\"a\" 1}",
        "{\"a\"::1}", "{\"a\":1 \"b\":2}", "{\"a\":1]", "{null:1}", "'a'", "\"", "\"a", "\"a\\", "\"a\\\"", "\"\\x41\"",
        "\"\\a\"", "\"\\'\"", "\"\\U0041\"", "\"\\u\"", "\"\\u004\"", "\"\\u004g\"", "\"\\u 041\"", "\"\\u+041\"",
        "\"\\ud800\\u\"", "\"\\ud800\\uD\"", "\"\t\"", "\"\n\"", "\"\0\""s, "\"\x1f\"", "nul", "nulll", "NULL", "True",
        "tru", "falsey", "nan", "-NaN", "+NaN", "Inf", "inf", "-Inf", "+Infinity", "Infinit", "--1", "+1", "-", "01",
        "-01", "00", "1.", "-1.", ".5", "-.5", "1.e5", "1e", "1e+", "1E-", "1e1.5", "0x10", "1_000", "1,5", "1 2", "0e",
        "-a", "1a", "[1]x", "[] []", "{} 1", "/* */ 1", "1 // x", "# 1", "[1]\0"s, "\0"s, "\0[]"s, "[1\0]"s, "\xEF\xBB\xBF[]",
        "[]\xEF\xBB\xBF", "\xFF\xFE[\0]\0"s, "\v1", "\f1", "\xC2\xA0""1", "\xC3\xA9", "\"\x80\"", "\"\xC0\x80\"", "\"\xC1\xBF\"",
        "\"\xC3\"", "\"\xC3(\"", "\"\xE0\x80\x80\"", "\"\xE2\x82\"", "\"\xED\xA0\x80\"", "\"\xED\xBF\xBF\"", "\"\xF0\x80\x80\x80\"",
        "\"\xF0\x9F\x98\"", "\"\xF4\x90\x80\x80\"", "\"\xF5\x80\x80\x80\"", "\"\xFF\"", "\"\xFE\"", "\"\xF8\x88\x80\x80\x80\"",
        "{\"\xED\xA0\x80\":1}", "[\"a\",\n4\n,1,", "*", "[*]", "[\"\": 1]", "{\"a\":\"a\" 123}", "<null>", "[<null>]", "\xE2\x81\xA0",
        "[True]", "[1.0e+]", "[1eE2]", "[2.e3]", "[0.3e]", "[9.e+]", "[-2.]", "[-012]", "[1+2]", "[++1234]", "[1ea]",
        "[\xEF\xBC\x91]", "\\u0041", "[\\n]",
    };
    for (const std::string& row : rows) EXPECT_NE(refusal(row), "") << row;
    // Every cut of a text is refused too.
    std::string whole = R"({"key\u00e9": [1.5e3, -Infinity, "\ud83d\ude00", {"a": null}], "b": true})";
    parse(whole);
    for (size_t i = 0; i < whole.size(); i++) refusal(whole.substr(0, i));
}

TEST(Json, RefusalSaysWhere) {
    EXPECT_EQ(refusal("{\n  \"a\": 1,\n  \"\xC3\xA9\" 2}"), "t: line 3, column 7: expected ':', found '2'");
    EXPECT_EQ(refusal("[1"), "t: line 1, column 3: expected ',' or ']', found the end of the text");
    EXPECT_EQ(refusal("\xEF\xBB\xBF"), "t: line 1, column 1: expected a value, found the byte 0xef");
    EXPECT_NE(refusal("{\"a\": 1, \"a\": 2}").find("column 15: the key 'a' is in the object twice"), std::string::npos);
}

TEST(Json, RefusesDuplicateKeysHoweverSpelled) {
    refusal(R"({"a": 1, "a": 1})");
    refusal(R"({"a": 1, "\u0061": 1})");
    refusal(R"({"x": {"": 1, "b": 2, "": 3}})");
    refusal(R"({"\u00e9": 1, "é": 2})");
    refusal(R"({"\ud83d\ude00": 1, "😀": 2})");
    parse(R"({"a": 1, "A": 1, "a\u0000": 2, "a\u0000b": 3, "\ud800": 4, "\ud801": 5})");
    parse(R"([{"a": 1}, {"a": 1}, {"a": {"a": 1}}])");
    for (size_t n : {15u, 16u, 17u, 18u, 1000u}) {
        std::string text = "{";
        for (size_t i = 0; i < n; i++) text += "\"k" + std::to_string(i) + "\": " + std::to_string(i) + ", ";
        Doc doc = parse(text + "\"z\": 0}");
        for (size_t i = 0; i < n; i++) {
            std::string key = "k" + std::to_string(i);
            int64_t value = -1;
            ASSERT_TRUE(cn_json_int64(cn_json_get(cn_json_root(doc.get()), key.c_str()), &value));
            EXPECT_EQ(value, (int64_t)i);
            EXPECT_STREQ(cn_json_key_at(cn_json_root(doc.get()), i, nullptr), key.c_str());
        }
        EXPECT_EQ(cn_json_get(cn_json_root(doc.get()), "k"), nullptr);
        refusal(text + "\"k7\": 0}");
        refusal(text + "\"\\u006b0\": 0}");
    }
}

TEST(Json, DepthIsLimited) {
    EXPECT_EQ(print(parse(nested(CN_LIMIT_JSON_DEPTH))), nested(CN_LIMIT_JSON_DEPTH));
    EXPECT_NE(refusal(nested(CN_LIMIT_JSON_DEPTH + 1)).find("128"), std::string::npos);
    refusal(std::string(2000000, '['));
    std::string objects;
    for (int i = 0; i < 1000000; i++) objects += "{\"a\":";
    refusal(objects);
    // Nor can a value be set deeper than that.
    Doc doc = parse(nested(100));
    std::string pointer;
    for (int i = 0; i < 99; i++) pointer += "/0";
    EXPECT_EQ(cn_json_set(doc.get(), (pointer + "/0").c_str(), nested(28).c_str()), CORNU_OK);
    EXPECT_EQ(cn_json_set(doc.get(), (pointer + "/0").c_str(), nested(29).c_str()), CORNU_BAD_ARGUMENT);
    EXPECT_EQ(print(doc), nested(128));
}

TEST(Json, LargeFlatTexts) {
    std::string numbers = "[0";
    while (numbers.size() < (1u << 20)) numbers += ",1.5";
    numbers += "]";
    Doc doc = parse(numbers);
    EXPECT_EQ(cn_json_size(cn_json_root(doc.get())), (numbers.size() - 3) / 4 + 1);
    EXPECT_EQ(print(doc), numbers);
    std::string object = "{\"x\": 0";
    for (int i = 0; i < 60000; i++) object += ", \"key number " + std::to_string(i) + "\": 0";
    object += "}";
    doc = parse(object);
    EXPECT_NE(cn_json_get(cn_json_root(doc.get()), "key number 59999"), nullptr);
    std::string text = "\"" + std::string(1u << 20, 'x') + "\"";
    EXPECT_EQ(print(parse(text)), text);
}

TEST(Json, TooLargeIsRefusedUnread) {
    cn_json_doc* doc = nullptr;
    EXPECT_EQ(cn_json_parse("", CN_LIMIT_JSON_BYTES + 1, "t", &doc), CORNU_BAD_FILE);
    EXPECT_EQ(cn_json_parse("", UINT64_MAX, "t", &doc), CORNU_BAD_FILE);
    EXPECT_EQ(cn_json_parse(nullptr, 0, "t", &doc), CORNU_BAD_FILE);
    EXPECT_EQ(doc, nullptr);
}

TEST(Json, PointersAsInTheRfc) {
    Doc doc = parse(R"({"foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4, "i\\j": 5, "k\"l": 6, " ": 7, "m~n": 8, "~1": 9})");
    cn_json* root = cn_json_root(doc.get());
    const char* pointers[] = {"/", "/a~1b", "/c%d", "/e^f", "/g|h", "/i\\j", "/k\"l", "/ ", "/m~0n", "/~01"};
    for (int i = 0; i < 10; i++) EXPECT_EQ(cn_json_double(cn_json_pointer(root, pointers[i])), i) << pointers[i];
    EXPECT_EQ(cn_json_pointer(root, ""), root);
    EXPECT_TRUE(cn_json_equals(cn_json_pointer(root, "/foo/0"), "bar"));
    for (const char* p : {"foo", "/foo/2", "/foo/-", "/foo/00", "/foo/01", "/foo/-1", "/foo/+1", "/foo/ 1", "/foo/1x", "/foo/",
                          "/foo/0/0", "/x", "/m~n", "/m~2n", "/~", "/foo/99999999999999999999", "//", "/ /"}) {
        EXPECT_EQ(cn_json_pointer(root, p), nullptr) << p;
    }
}

TEST(Json, SetReplacesAndLeavesTheRestAsItStood) {
    std::string text = " {\"a\" : [1.50,  2],\n \"b\":{\"\xC3\xA9\":1E5, \"d\":[ ]} }\n";
    Doc doc = parse(text);
    cn_json* root = cn_json_root(doc.get());
    cn_json* d = cn_json_pointer(root, "/b/d");
    size_t size;
    EXPECT_EQ(print(doc), text);
    ASSERT_EQ(cn_json_set(doc.get(), "/b/d", "{\"x\":1.10,\"y\":[\"\xC3\xA9\",-0]}"), CORNU_OK);
    EXPECT_EQ(cn_json_pointer(root, "/b/d"), d);
    EXPECT_EQ(cn_json_type_of(d), CN_JSON_OBJECT);
    EXPECT_EQ(print(doc),
              " {\"a\": [1.50,  2], \"b\": {\"\\u00e9\": 1E5, \"d\": {\"x\": 1.1, \"y\": [\"\\u00e9\", 0]}}}\n");
    EXPECT_EQ(cn_json_text(root, &size), nullptr);
    EXPECT_EQ(cn_json_text(d, &size), nullptr);
    EXPECT_NE(cn_json_text(cn_json_get(root, "a"), &size), nullptr);
    ASSERT_EQ(cn_json_set(doc.get(), "", " 7 "), CORNU_OK);
    EXPECT_EQ(print(doc), "7");
}

TEST(Json, SetAddsMembersAndElements) {
    Doc doc = parse("{\"l\":[],\"o\":{}}");
    EXPECT_EQ(cn_json_set(doc.get(), "/l/0", "1"), CORNU_OK);
    EXPECT_EQ(cn_json_set(doc.get(), "/l/-", "[2]"), CORNU_OK);
    EXPECT_EQ(cn_json_set(doc.get(), "/l/1/-", "3"), CORNU_OK);
    EXPECT_EQ(cn_json_set(doc.get(), "/o/a~1b~0", "\"x\""), CORNU_OK);
    EXPECT_EQ(cn_json_set(doc.get(), "/o/-", "null"), CORNU_OK);
    EXPECT_EQ(print(doc), R"({"l": [1, [2, 3]], "o": {"a/b~": "x", "-": null}})");
    EXPECT_EQ(cn_json_set(doc.get(), "/l/3", "1"), CORNU_NOT_FOUND);
    EXPECT_EQ(cn_json_set(doc.get(), "/l/x", "1"), CORNU_NOT_FOUND);
    EXPECT_EQ(cn_json_set(doc.get(), "/l/0/x", "1"), CORNU_NOT_FOUND);
    EXPECT_EQ(cn_json_set(doc.get(), "/q/x", "1"), CORNU_NOT_FOUND);
    EXPECT_EQ(cn_json_set(doc.get(), "l", "1"), CORNU_BAD_ARGUMENT);
    EXPECT_EQ(cn_json_set(doc.get(), "/~2", "1"), CORNU_BAD_ARGUMENT);
    EXPECT_EQ(cn_json_set(doc.get(), "/o/\xFF", "1"), CORNU_BAD_ARGUMENT);
    EXPECT_EQ(cn_json_set(doc.get(), "/o/a", "{'a'}"), CORNU_BAD_ARGUMENT);
    EXPECT_NE(std::string(cornu_last_error()).find("/o/a"), std::string::npos);
    EXPECT_EQ(cn_json_set(doc.get(), "/o/a", "{\"a\":1,\"a\":2}"), CORNU_BAD_ARGUMENT);
    EXPECT_EQ(print(doc), R"({"l": [1, [2, 3]], "o": {"a/b~": "x", "-": null}})");
}

TEST(Json, FailedSetChangesNothing) {
    std::string text = "{ \"a\":1 }";
    Doc doc = parse(text);
    EXPECT_EQ(cn_json_set(doc.get(), "/b/c", "1"), CORNU_NOT_FOUND);
    EXPECT_EQ(cn_json_set(doc.get(), "/a/c", "1"), CORNU_NOT_FOUND);
    EXPECT_EQ(cn_json_set(doc.get(), "/b", "x"), CORNU_BAD_ARGUMENT);
    EXPECT_EQ(cn_json_remove(doc.get(), "/b"), CORNU_NOT_FOUND);
    EXPECT_EQ(cn_json_remove(doc.get(), ""), CORNU_BAD_ARGUMENT);
    EXPECT_EQ(cn_json_remove(doc.get(), "a"), CORNU_BAD_ARGUMENT);
    EXPECT_EQ(print(doc), text);
}

TEST(Json, RemovesMembersAndElements) {
    Doc doc = parse("{\"l\":[1,2,3],\"o\":{\"a\":1,\"b\":[]}}");
    EXPECT_EQ(cn_json_remove(doc.get(), "/l/1"), CORNU_OK);
    EXPECT_EQ(cn_json_remove(doc.get(), "/o/a"), CORNU_OK);
    EXPECT_EQ(print(doc), R"({"l": [1, 3], "o": {"b": []}})");
    EXPECT_EQ(cn_json_remove(doc.get(), "/l/2"), CORNU_NOT_FOUND);
    EXPECT_EQ(cn_json_remove(doc.get(), "/l/-"), CORNU_NOT_FOUND);
    EXPECT_EQ(cn_json_remove(doc.get(), "/o"), CORNU_OK);
    EXPECT_EQ(cn_json_set(doc.get(), "/o", "0"), CORNU_OK);
    EXPECT_EQ(print(doc), R"({"l": [1, 3], "o": 0})");
}

TEST(Json, ManyEditsKeepLookUpsRight) {
    Doc doc = parse("{}");
    cn_json* root = cn_json_root(doc.get());
    for (int i = 0; i < 500; i++) {
        std::string pointer = "/k" + std::to_string(i * 7919 % 1000);
        ASSERT_EQ(cn_json_set(doc.get(), pointer.c_str(), std::to_string(i).c_str()), CORNU_OK);
    }
    for (int i = 0; i < 500; i += 2) {
        ASSERT_EQ(cn_json_remove(doc.get(), ("/k" + std::to_string(i * 7919 % 1000)).c_str()), CORNU_OK);
    }
    ASSERT_EQ(cn_json_size(root), 250u);
    for (int i = 0; i < 500; i++) {
        cn_json* node = cn_json_get(root, ("k" + std::to_string(i * 7919 % 1000)).c_str());
        if (i % 2) EXPECT_EQ(cn_json_double(node), i);
        else EXPECT_EQ(node, nullptr);
    }
    std::string text = print(doc);
    EXPECT_EQ(dumps(text), text);
}

TEST(Json, StringsThatAreNotUtf8PrintAsReplacements) {
    cn_buf out = {};
    cn_json_print_string(&out, "a\xFF\xC3", 3);
    cn_json_print_string(&out, "\xF0\x9F\x98\x80\xED\xA0\x80\xF4\x90\x80\x80", 11);
    EXPECT_STREQ(out.data, "\"a\\ufffd\\ufffd\"\"\\ud83d\\ude00\\ud800\\ufffd\\ufffd\\ufffd\\ufffd\"");
    cn_buf_deinit(&out);
}

TEST(Json, EveryAllocationMayFail) {
    std::string text = "{\"a\": [1.5, \"\\u00e9\", {}]";
    for (int i = 0; i < 200; i++) text += ", \"key" + std::to_string(i) + "\": [" + std::to_string(i) + "]";
    text += "}";
    for (bool persistent : {false, true}) {
        bool passed = false;
        for (uint64_t n = 1; !passed; n++) {
            cn_json_doc* doc = nullptr;
            cn_buf out = {};
            ASSERT_LT(n, 1000u);
            cn_alloc_fail_at(n, persistent);
            cornu_status st = cn_json_parse(text.data(), text.size(), "t", &doc);
            if (st == CORNU_OK) st = cn_json_set(doc, "/a/2/x", "[\"\\u0001\", 1e5]");
            if (st == CORNU_OK) st = cn_json_set(doc, "/new~0", "{}");
            if (st == CORNU_OK) st = cn_json_remove(doc, "/key7");
            if (st == CORNU_OK) st = cn_json_print(cn_json_root(doc), &out);
            passed = st == CORNU_OK;
            cn_alloc_fail_at(0, false);
            EXPECT_TRUE(st == CORNU_OK || st == CORNU_NO_MEMORY) << cornu_last_error();
            // What a failed change leaves is still a whole document.
            if (doc) dumps(print(cn_json_root(doc)));
            cn_buf_deinit(&out);
            cn_json_doc_destroy(doc);
        }
    }
}

// Locales whose decimal point is no '.', compiled into a folder of the test's own where the system has none.
class JsonLocale : public testing::TestWithParam<const char*> {
  protected:
    void SetUp() override {
        folder_ = testing::TempDir() + "cornu_locale_" + std::to_string(getpid()) + "_" + GetParam();
        std::string name = std::string(GetParam()) + ".UTF-8";
        if (setlocale(LC_ALL, name.c_str())) return;
        std::string command = "mkdir -p '" + folder_ + "' && localedef -i " + GetParam() + " -f UTF-8 '" + folder_ + "/" + name +
                              "' >/dev/null 2>&1";
        if (system(command.c_str()) != 0) GTEST_SKIP() << "no locale " << name;
        setenv("LOCPATH", folder_.c_str(), 1);
        if (!setlocale(LC_ALL, name.c_str())) GTEST_SKIP() << "no locale " << name;
    }
    void TearDown() override {
        setlocale(LC_ALL, "C");
        unsetenv("LOCPATH");
        if (system(("rm -rf '" + folder_ + "'").c_str()) != 0) perror("rm");
    }
    std::string folder_;
};

TEST_P(JsonLocale, ChangesNothing) {
    ASSERT_STRNE(localeconv()->decimal_point, ".");
    for (const Double& row : python_doubles) {
        Doc doc = parse(std::string("[") + row.repr + "]");
        EXPECT_EQ(cn_json_double(cn_json_at(cn_json_root(doc.get()), 0)), of_bits(row.bits)) << row.repr;
        EXPECT_EQ(repr(of_bits(row.bits)), row.repr);
    }
}

INSTANTIATE_TEST_SUITE_P(DecimalPoint, JsonLocale, testing::Values("de_DE", "ps_AF"));

TEST(Json, ManyThreadsParseAndRead) {
    Doc shared = parse(R"({"a": [1.5, 2e3, "x"]})");
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; t++) {
        threads.emplace_back([&] {
            for (int i = 0; i < 200; i++) {
                EXPECT_EQ(cn_json_double(cn_json_pointer(cn_json_root(shared.get()), "/a/1")), 2000.0);
                EXPECT_EQ(dumps("[0.1]"), "[0.1]");
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
}
