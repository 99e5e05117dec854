// Getters of a config: what they accept, and that they name layer, key and value.
#include "keras/config.h"

#include "tests/keras/files.h"

namespace {

struct Layer {
    std::string bytes;
    cn_document* doc = nullptr;
    const cn_layer* layer = nullptr;
    explicit Layer(const std::string& config)
        : bytes(files::archive_of(R"({"module":"keras.layers","class_name":"Conv2D","config":{"name":"c",)" + config +
                                  "}}")) {
        EXPECT_EQ(cn_document_open_memory(bytes.data(), bytes.size(), nullptr, &doc), CORNU_OK) << cornu_last_error();
        layer = doc ? cn_document_root(doc) : nullptr;
    }
    ~Layer() { cn_document_close(doc); }
};

bool says(const char* text) { return std::string(cornu_last_error()).find(text) != std::string::npos; }

}  // namespace

TEST(Config, Numbers) {
    Layer l(R"("a": 3, "b": 2.0, "c": "x", "d": 1.5, "e": Infinity, "f": true, "n": null)");
    int64_t n;
    double d;
    bool b;
    EXPECT_EQ(cn_config_int(l.layer, "a", 0, 1, 9, &n), CORNU_OK);
    EXPECT_EQ(n, 3);
    EXPECT_EQ(cn_config_int(l.layer, "b", 0, 1, 9, &n), CORNU_OK);
    EXPECT_EQ(n, 2);
    EXPECT_EQ(cn_config_int(l.layer, "z", 7, 1, 9, &n), CORNU_OK);
    EXPECT_EQ(n, 7);
    EXPECT_EQ(cn_config_int(l.layer, "a", 0, 4, 9, &n), CORNU_BAD_FILE);
    EXPECT_TRUE(says("layer 'c' (Conv2D)") && says("a is 3") && says("4 to 9")) << cornu_last_error();
    for (const char* key : {"c", "d", "e", "f", "n"})
        EXPECT_EQ(cn_config_int(l.layer, key, 0, 1, 9, &n), CORNU_BAD_FILE) << key;
    EXPECT_EQ(cn_config_double(l.layer, "e", 0, &d), CORNU_OK);
    EXPECT_TRUE(d > 1e300);
    EXPECT_EQ(cn_config_double(l.layer, "c", 0, &d), CORNU_BAD_FILE);
    EXPECT_EQ(cn_config_bool(l.layer, "f", false, &b), CORNU_OK);
    EXPECT_TRUE(b);
    EXPECT_EQ(cn_config_bool(l.layer, "a", false, &b), CORNU_BAD_FILE);
}

TEST(Config, Texts) {
    Layer l(R"("p": "SAME", "q": 5, "n": null, "z": "a\u0000b")");
    const char* text;
    int i;
    EXPECT_EQ(cn_config_choice(l.layer, "p", "valid", "valid|same", &i), CORNU_OK);
    EXPECT_EQ(i, 1);
    EXPECT_EQ(cn_config_choice(l.layer, "x", "valid", "valid|same", &i), CORNU_OK);
    EXPECT_EQ(i, 0);
    EXPECT_EQ(cn_config_choice(l.layer, "p", "valid", "valid|sam", &i), CORNU_BAD_FILE);
    EXPECT_TRUE(says("\"SAME\"") && says("valid|sam")) << cornu_last_error();
    EXPECT_EQ(cn_config_string(l.layer, "n", "d", &text), CORNU_OK);
    EXPECT_STREQ(text, "d");
    EXPECT_EQ(cn_config_string(l.layer, "q", "d", &text), CORNU_BAD_FILE);
    EXPECT_EQ(cn_config_string(l.layer, "z", "d", &text), CORNU_BAD_FILE);
    EXPECT_EQ(cn_config_get(l.layer, "n"), nullptr);
}

TEST(Config, Lists) {
    Layer l(R"("k": [3, 5], "s": 2, "t": [1, null], "u": [1, "x"], "n": null)");
    int64_t v[4];
    int n;
    EXPECT_EQ(cn_config_ints(l.layer, "k", 2, 1, 1, 9, v), CORNU_OK);
    EXPECT_EQ(v[1], 5);
    EXPECT_EQ(cn_config_ints(l.layer, "s", 2, 1, 1, 9, v), CORNU_OK);
    EXPECT_EQ(v[1], 2);
    EXPECT_EQ(cn_config_ints(l.layer, "n", 2, 4, 1, 9, v), CORNU_OK);
    EXPECT_EQ(v[1], 4);
    EXPECT_EQ(cn_config_ints(l.layer, "k", 3, 1, 1, 9, v), CORNU_BAD_FILE);
    EXPECT_EQ(cn_config_ints(l.layer, "u", 2, 1, 1, 9, v), CORNU_BAD_FILE);
    EXPECT_EQ(cn_config_list(l.layer, "t", 4, 1, 9, true, v, &n), CORNU_OK);
    EXPECT_EQ(n, 2);
    EXPECT_EQ(v[1], -1);
    EXPECT_EQ(cn_config_list(l.layer, "t", 4, 1, 9, false, v, &n), CORNU_BAD_FILE);
    EXPECT_EQ(cn_config_list(l.layer, "k", 1, 1, 9, false, v, &n), CORNU_BAD_FILE);
    EXPECT_EQ(cn_config_list(l.layer, "s", 1, 1, 9, false, v, &n), CORNU_OK);
    EXPECT_EQ(n, 1);
}

TEST(Config, Policies) {
    const struct {
        const char* dtype;
        cornu_status status;
        cornu_dtype compute, variable;
    } cases[] = {
        {"null", CORNU_OK, CORNU_FLOAT32, CORNU_FLOAT32},
        {"\"float64\"", CORNU_OK, CORNU_FLOAT64, CORNU_FLOAT64},
        {"\"mixed_float16\"", CORNU_OK, CORNU_FLOAT16, CORNU_FLOAT32},
        {R"({"class_name":"DTypePolicy","config":{"name":"mixed_bfloat16"}})", CORNU_OK, CORNU_BFLOAT16, CORNU_FLOAT32},
        {R"({"class_name":"Policy","config":{"name":"float16"}})", CORNU_OK, CORNU_FLOAT16, CORNU_FLOAT16},
        {R"({"class_name":"type","config":"int32"})", CORNU_OK, CORNU_INT32, CORNU_INT32},
        {R"({"class_name":"DTypePolicyMap","config":{"default_policy":"float16","policy_map":{}}})", CORNU_OK,
         CORNU_FLOAT16, CORNU_FLOAT16},
        {R"({"class_name":"DTypePolicyMap","config":{"policy_map":{"a":"float16"}}})", CORNU_UNSUPPORTED, {}, {}},
        {R"({"class_name":"QuantizedDTypePolicy","config":{"mode":"int8"}})", CORNU_UNSUPPORTED, {}, {}},
        {"\"int8_from_float32\"", CORNU_UNSUPPORTED, {}, {}},
        {"\"float7\"", CORNU_UNSUPPORTED, {}, {}},
        {"5", CORNU_BAD_FILE, {}, {}},
        {R"({"class_name":"DTypePolicy","config":{}})", CORNU_BAD_FILE, {}, {}},
    };
    for (const auto& c : cases) {
        Layer l(std::string("\"dtype\": ") + c.dtype);
        cornu_dtype compute, variable;
        ASSERT_EQ(cn_config_dtype(l.layer, &compute, &variable), c.status) << c.dtype;
        if (c.status != CORNU_OK) continue;
        EXPECT_EQ(compute, c.compute) << c.dtype;
        EXPECT_EQ(variable, c.variable) << c.dtype;
    }
}
