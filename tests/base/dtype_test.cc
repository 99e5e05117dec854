// Conversions between element types against values worked out by hand.
#include "base/dtype.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

TEST(Dtype, NamesAndSizes) {
    EXPECT_STREQ(cornu_dtype_name(CORNU_BFLOAT16), "bfloat16");
    EXPECT_EQ(cornu_dtype_size(CORNU_COMPLEX128), 16u);
    EXPECT_EQ(cn_dtype_of_name("uint16"), CORNU_UINT16);
    EXPECT_EQ((int)cn_dtype_of_name("float8"), 0);
    EXPECT_STREQ(cornu_dtype_name((cornu_dtype)99), "unknown");
    EXPECT_EQ(cornu_dtype_size((cornu_dtype)-1), 0u);
}

TEST(Dtype, EveryHalfSurvivesFloat) {
    for (unsigned h = 0; h < 65536; h++) {
        float f = cn_half_to_float((uint16_t)h);
        if (std::isnan(f)) {
            EXPECT_TRUE(std::isnan(cn_half_to_float(cn_float_to_half(f))));
        } else {
            ASSERT_EQ(cn_float_to_half(f), h);
        }
    }
}

TEST(Dtype, EveryBfloatSurvivesFloatAndDouble) {
    for (unsigned h = 0; h < 65536; h++) {
        float f = cn_bfloat_to_float((uint16_t)h);
        if (std::isnan(f)) continue;
        ASSERT_EQ(cn_float_to_bfloat(f), h);
        ASSERT_EQ(cn_double_to_bfloat(f), h);
    }
}

TEST(Dtype, HalfRoundsToNearestEvenAndOverflows) {
    EXPECT_EQ(cn_float_to_half(1.0f + 0x1p-11f), 0x3C00);              // tie to even
    EXPECT_EQ(cn_float_to_half(1.0f + 3 * 0x1p-11f), 0x3C02);          // tie to even, upwards
    EXPECT_EQ(cn_float_to_half(65519.0f), 0x7BFF);
    EXPECT_EQ(cn_float_to_half(65520.0f), 0x7C00);                     // infinity
    EXPECT_EQ(cn_float_to_half(0x1p-25f), 0);                          // tie to even at the smallest
    EXPECT_EQ(cn_float_to_half(0x1.8p-25f), 1);
    EXPECT_EQ(cn_double_to_half(1.0 + 0x1p-11 + 0x1p-40), 0x3C01);     // a float in between would round twice
}

TEST(Dtype, ConvertsAsNumpy) {
    const double src[] = {1.9, -1.9, 300, -300, NAN, 1e30};
    int8_t i8[6];
    uint8_t b[6];
    ASSERT_EQ(cn_dtype_convert(CORNU_INT8, i8, CORNU_FLOAT64, src, 6), CORNU_OK);
    EXPECT_EQ(i8[0], 1);
    EXPECT_EQ(i8[1], -1);
    EXPECT_EQ(i8[2], 127);
    EXPECT_EQ(i8[3], -128);
    EXPECT_EQ(i8[4], 0);
    ASSERT_EQ(cn_dtype_convert(CORNU_BOOL, b, CORNU_FLOAT64, src, 6), CORNU_OK);
    for (uint8_t v : b) EXPECT_EQ(v, 1);
    const int64_t big[] = {INT64_MAX, -5};
    float f[2];
    ASSERT_EQ(cn_dtype_convert(CORNU_FLOAT32, f, CORNU_INT64, big, 2), CORNU_OK);
    EXPECT_EQ(f[0], 0x1p63f);
    EXPECT_EQ(f[1], -5.0f);
    EXPECT_EQ(cn_dtype_convert(CORNU_STRING, f, CORNU_INT64, big, 2), CORNU_BAD_ARGUMENT);
}

// The short way of floats to halves against the long one of doubles: around every half and every middle of two, and anywhere.
TEST(Dtype, FloatsToHalvesAsDoubles) {
    std::mt19937 random(3);
    std::vector<float> all = {NAN, -NAN, INFINITY, -INFINITY, 3.4e38f, -3.4e38f, 1e-45f, -1e-45f, 65520.0f, 65519.996f};
    for (int h = 0; h < 0x7BFF; h++) {
        float a = cn_half_to_float((uint16_t)h), b = cn_half_to_float((uint16_t)(h + 1)), middle = (a + b) / 2;
        for (float v : {a, middle, std::nextafter(middle, a), std::nextafter(middle, b)}) all.push_back(h % 2 ? v : -v);
    }
    for (int i = 0; i < 100000; i++) {
        uint32_t bits = (uint32_t)random();
        float v;
        memcpy(&v, &bits, sizeof v);
        all.push_back(v);
    }
    std::vector<uint16_t> half(all.size()), bfloat(all.size());
    ASSERT_EQ(cn_dtype_convert(CORNU_FLOAT16, half.data(), CORNU_FLOAT32, all.data(), (int64_t)all.size()), CORNU_OK);
    ASSERT_EQ(cn_dtype_convert(CORNU_BFLOAT16, bfloat.data(), CORNU_FLOAT32, all.data(), (int64_t)all.size()), CORNU_OK);
    for (size_t i = 0; i < all.size(); i++) {
        ASSERT_EQ(half[i], cn_double_to_half((double)all[i])) << all[i];
        ASSERT_EQ(bfloat[i], cn_double_to_bfloat((double)all[i])) << all[i];
    }
}

TEST(Tensor, MakesAndCounts) {
    float data[24];
    cornu_tensor t = cornu_tensor_of(CORNU_FLOAT32, data, 3, 2, 3, 4);
    EXPECT_EQ(cornu_tensor_count(&t), 24);
    t = cornu_tensor_of(CORNU_FLOAT32, data, 0);
    EXPECT_EQ(cornu_tensor_count(&t), 1);
    const int64_t huge[] = {INT64_MAX, 2};
    t = cornu_tensor_shaped(CORNU_FLOAT32, data, 2, huge);
    EXPECT_EQ(cornu_tensor_count(&t), -1);
    t = cornu_tensor_shaped(CORNU_FLOAT32, data, 99, huge);
    EXPECT_EQ(cornu_tensor_count(&t), -1);
}

TEST(Status, SentencesArePrintableAndBounded) {
    std::string lots(10000, 'x');
    EXPECT_EQ(CN_FAIL(BAD_FILE, "a\nb\x1b[0m %s", "c"), CORNU_BAD_FILE);
    EXPECT_STREQ(cornu_last_error(), "a?b?[0m c");
    CN_FAIL(BAD_FILE, "%s\xC3\xA9", lots.c_str());
    EXPECT_LT(strlen(cornu_last_error()), (size_t)CN_ERROR_SIZE);
    CN_FAIL(BAD_FILE, "inner");
    cn_fail_within(CORNU_BAD_FILE, "outer %d", 7);
    EXPECT_STREQ(cornu_last_error(), "outer 7: inner");
    for (int i = 0; i <= 12; i++) EXPECT_STRNE(cornu_status_name((cornu_status)i), "UNKNOWN");
}
