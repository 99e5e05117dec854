/* Element types. Conversion goes through the widest type of the source's kind, so that no value is rounded twice. */
#include "base/dtype.h"

#include <math.h>
#include <string.h>

#define CN_DTYPE(code, number, name, bytes, kind, descr) \
    _Static_assert(CORNU_##code == (number), "dtype.def and cornu.h differ");
#include "base/dtype.def"
#undef CN_DTYPE
_Static_assert(sizeof(cornu_string) == 16, "dtype.def: bytes of a string");

typedef struct dtype_row {
    const char* name;
    size_t size;
    cn_dtype_kind kind;
    const char* numpy;
} dtype_row;

static const dtype_row rows[] = {
#define CN_DTYPE(code, number, name, bytes, kind, descr) [number] = {name, bytes, CN_KIND_##kind, descr},
#include "base/dtype.def"
#undef CN_DTYPE
};
#define ROW_COUNT (sizeof rows / sizeof rows[0])

static const dtype_row* row_of(cornu_dtype dtype) {
    return (unsigned)dtype < ROW_COUNT && rows[dtype].name ? &rows[dtype] : NULL;
}

const char* cornu_dtype_name(cornu_dtype dtype) { return row_of(dtype) ? row_of(dtype)->name : "unknown"; }

size_t cornu_dtype_size(cornu_dtype dtype) { return row_of(dtype) ? row_of(dtype)->size : 0; }

cn_dtype_kind cn_dtype_kind_of(cornu_dtype dtype) { return row_of(dtype) ? row_of(dtype)->kind : CN_KIND_NONE; }

const char* cn_dtype_numpy(cornu_dtype dtype) {
    return row_of(dtype) && dtype != CORNU_STRING ? row_of(dtype)->numpy : NULL;
}

cornu_dtype cn_dtype_of_name(const char* name) {
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (rows[i].name && strcmp(rows[i].name, name) == 0) return (cornu_dtype)i;
    }
    return (cornu_dtype)0;
}

float cn_half_to_float(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    uint32_t exponent = (half >> 10) & 0x1Fu;
    uint32_t fraction = half & 0x3FFu;
    uint32_t bits;
    float value;

    if (exponent == 0) { /* zero and subnormals: fraction * 2^-24 */
        value = (float)fraction * 0x1p-24f;
        return sign ? -value : value;
    }
    bits = exponent == 31 ? sign | 0x7F800000u | (fraction << 13) : sign | ((exponent + 112) << 23) | (fraction << 13);
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Rounds |value| to a multiple of its last place in a format of `digits` fraction bits and smallest exponent
 * `min_exponent`, to nearest even. Exact: scaling by powers of two loses nothing in a double. */
static double round_to_format(double value, int digits, int min_exponent) {
    int exponent;

    if (value == 0 || !isfinite(value)) return value;
    (void)frexp(value, &exponent); /* value = m * 2^exponent, 0.5 <= |m| < 1 */
    exponent -= 1;
    if (exponent < min_exponent) exponent = min_exponent;
    return ldexp(nearbyint(ldexp(value, digits - exponent)), exponent - digits);
}

uint16_t cn_double_to_half(double value) {
    uint16_t sign = signbit(value) ? 0x8000u : 0;
    double r = fabs(round_to_format(value, 10, -14));
    int exponent;
    double m;

    if (isnan(value)) return (uint16_t)(sign | 0x7E00u);
    if (r >= 65536.0) return (uint16_t)(sign | 0x7C00u);
    if (r < 0x1p-14) return (uint16_t)(sign | (uint16_t)(r * 0x1p24));
    m = frexp(r, &exponent); /* r = 2m * 2^(exponent-1) */
    return (uint16_t)(sign | ((unsigned)(exponent - 1 + 15) << 10) | (unsigned)((2 * m - 1) * 1024));
}

/* The same as by double, on the bits: weights by the million come this way. */
uint16_t cn_float_to_half(float value) {
    uint32_t bits, sign;
    float lifted;

    memcpy(&bits, &value, sizeof bits);
    sign = bits >> 16 & 0x8000u;
    bits &= 0x7FFFFFFFu;
    if (bits > 0x7F800000u) return cn_double_to_half((double)value);
    if (bits >= 0x477FF000u) return (uint16_t)(sign | 0x7C00u); /* from 65520 on */
    if (bits < 0x38800000u) { /* subnormal: 0.5 + x has the unit 2^-24 in its last place */
        lifted = fabsf(value) + 0.5f;
        memcpy(&bits, &lifted, sizeof bits);
        return (uint16_t)(sign | (bits - 0x3F000000u));
    }
    return (uint16_t)(sign | ((bits - 0x38000000u + 0xFFFu + (bits >> 13 & 1u)) >> 13));
}

float cn_bfloat_to_float(uint16_t bits) {
    uint32_t wide = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return value;
}

uint16_t cn_float_to_bfloat(float value) {
    uint32_t bits;

    memcpy(&bits, &value, sizeof bits);
    if (isnan(value)) return (uint16_t)((bits >> 16) | 0x40u);
    return (uint16_t)((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
}

uint16_t cn_double_to_bfloat(double value) {
    double r = isnan(value) ? value : round_to_format(value, 7, -126);
    return cn_float_to_bfloat((float)r); /* exact, or the overflow to infinity */
}

typedef union wide_value {
    double f;
    int64_t i;
    uint64_t u;
} wide_value;

/* Reads element i as the widest type of its kind: f for F and C, i for I, u for U and B. */
static wide_value read_wide(cornu_dtype dtype, const void* src, int64_t i) {
    wide_value v = {0};
    switch (dtype) {
        case CORNU_FLOAT32: v.f = (double)((const float*)src)[i]; break;
        case CORNU_FLOAT64: v.f = ((const double*)src)[i]; break;
        case CORNU_FLOAT16: v.f = (double)cn_half_to_float(((const uint16_t*)src)[i]); break;
        case CORNU_BFLOAT16: v.f = (double)cn_bfloat_to_float(((const uint16_t*)src)[i]); break;
        case CORNU_INT8: v.i = ((const int8_t*)src)[i]; break;
        case CORNU_INT16: v.i = ((const int16_t*)src)[i]; break;
        case CORNU_INT32: v.i = ((const int32_t*)src)[i]; break;
        case CORNU_INT64: v.i = ((const int64_t*)src)[i]; break;
        case CORNU_UINT8: v.u = ((const uint8_t*)src)[i]; break;
        case CORNU_UINT16: v.u = ((const uint16_t*)src)[i]; break;
        case CORNU_UINT32: v.u = ((const uint32_t*)src)[i]; break;
        case CORNU_UINT64: v.u = ((const uint64_t*)src)[i]; break;
        case CORNU_BOOL: v.u = ((const uint8_t*)src)[i] != 0; break;
        case CORNU_COMPLEX64: v.f = (double)((const float*)src)[2 * i]; break;
        case CORNU_COMPLEX128: v.f = ((const double*)src)[2 * i]; break;
        case CORNU_STRING: break;
    }
    return v;
}

/* Truncates towards zero into [low, high]; NaN gives 0. high is exact as a double or one above the end. */
static int64_t clamp_signed(wide_value v, cn_dtype_kind kind, int64_t low, int64_t high) {
    if (kind == CN_KIND_I) return v.i; /* integers wrap on the narrowing store, as numpy does */
    if (kind == CN_KIND_U || kind == CN_KIND_B) return (int64_t)v.u;
    if (isnan(v.f)) return 0;
    if (v.f >= (double)high) return high;
    return v.f <= (double)low ? low : (int64_t)v.f;
}

static uint64_t clamp_unsigned(wide_value v, cn_dtype_kind kind, uint64_t high) {
    if (kind == CN_KIND_I) return (uint64_t)v.i;
    if (kind == CN_KIND_U || kind == CN_KIND_B) return v.u;
    if (isnan(v.f) || v.f <= 0) return 0;
    return v.f >= (double)high ? high : (uint64_t)v.f;
}

static double as_double(wide_value v, cn_dtype_kind kind) {
    return kind == CN_KIND_I ? (double)v.i : kind == CN_KIND_F || kind == CN_KIND_C ? v.f : (double)v.u;
}

static float as_float(wide_value v, cn_dtype_kind kind) {
    return kind == CN_KIND_I ? (float)v.i : kind == CN_KIND_F || kind == CN_KIND_C ? (float)v.f : (float)v.u;
}

static void write_wide(cornu_dtype dtype, void* dst, int64_t i, wide_value v, cn_dtype_kind kind) {
    switch (dtype) {
        case CORNU_FLOAT32: ((float*)dst)[i] = as_float(v, kind); break;
        case CORNU_FLOAT64: ((double*)dst)[i] = as_double(v, kind); break;
        case CORNU_FLOAT16: ((uint16_t*)dst)[i] = cn_double_to_half(as_double(v, kind)); break;
        case CORNU_BFLOAT16: ((uint16_t*)dst)[i] = cn_double_to_bfloat(as_double(v, kind)); break;
        case CORNU_INT8: ((int8_t*)dst)[i] = (int8_t)clamp_signed(v, kind, INT8_MIN, INT8_MAX); break;
        case CORNU_INT16: ((int16_t*)dst)[i] = (int16_t)clamp_signed(v, kind, INT16_MIN, INT16_MAX); break;
        case CORNU_INT32: ((int32_t*)dst)[i] = (int32_t)clamp_signed(v, kind, INT32_MIN, INT32_MAX); break;
        case CORNU_INT64: ((int64_t*)dst)[i] = clamp_signed(v, kind, INT64_MIN, INT64_MAX); break;
        case CORNU_UINT8: ((uint8_t*)dst)[i] = (uint8_t)clamp_unsigned(v, kind, UINT8_MAX); break;
        case CORNU_UINT16: ((uint16_t*)dst)[i] = (uint16_t)clamp_unsigned(v, kind, UINT16_MAX); break;
        case CORNU_UINT32: ((uint32_t*)dst)[i] = (uint32_t)clamp_unsigned(v, kind, UINT32_MAX); break;
        case CORNU_UINT64: ((uint64_t*)dst)[i] = clamp_unsigned(v, kind, UINT64_MAX); break;
        case CORNU_BOOL:
            ((uint8_t*)dst)[i] = kind == CN_KIND_F || kind == CN_KIND_C ? v.f != 0 : v.u != 0; /* v.u aliases v.i */
            break;
        case CORNU_COMPLEX64:
            ((float*)dst)[2 * i] = as_float(v, kind);
            ((float*)dst)[2 * i + 1] = 0;
            break;
        case CORNU_COMPLEX128:
            ((double*)dst)[2 * i] = as_double(v, kind);
            ((double*)dst)[2 * i + 1] = 0;
            break;
        case CORNU_STRING: break;
    }
}

static void convert_complex(cornu_dtype to, void* dst, const void* src, int64_t count) {
    for (int64_t i = 0; i < 2 * count; i++) {
        if (to == CORNU_COMPLEX64) ((float*)dst)[i] = (float)((const double*)src)[i];
        else ((double*)dst)[i] = (double)((const float*)src)[i];
    }
}

/* Between float32 and the halves. */
static bool convert_half(cornu_dtype to, void* dst, cornu_dtype from, const void* src, int64_t count) {
    const float* wide = src;
    const uint16_t* narrow = src;

    if (from == CORNU_FLOAT32 && to == CORNU_FLOAT16) {
        for (int64_t i = 0; i < count; i++) ((uint16_t*)dst)[i] = cn_float_to_half(wide[i]);
    } else if (from == CORNU_FLOAT32 && to == CORNU_BFLOAT16) {
        for (int64_t i = 0; i < count; i++) ((uint16_t*)dst)[i] = cn_float_to_bfloat(wide[i]);
    } else if (from == CORNU_FLOAT16 && to == CORNU_FLOAT32) {
        for (int64_t i = 0; i < count; i++) ((float*)dst)[i] = cn_half_to_float(narrow[i]);
    } else if (from == CORNU_BFLOAT16 && to == CORNU_FLOAT32) {
        for (int64_t i = 0; i < count; i++) ((float*)dst)[i] = cn_bfloat_to_float(narrow[i]);
    } else {
        return false;
    }
    return true;
}

cornu_status cn_dtype_convert(cornu_dtype to, void* dst, cornu_dtype from, const void* src, int64_t count) {
    cn_dtype_kind kind = cn_dtype_kind_of(from);

    if (to == from && row_of(to)) {
        if (count > 0) memmove(dst, src, (size_t)count * cornu_dtype_size(to));
        return CORNU_OK;
    }
    if (!row_of(to) || !row_of(from) || to == CORNU_STRING || from == CORNU_STRING) {
        return CN_FAIL(BAD_ARGUMENT, "dtype %s cannot be converted to %s", cornu_dtype_name(from),
                       cornu_dtype_name(to));
    }
    if (kind == CN_KIND_C && cn_dtype_kind_of(to) == CN_KIND_C) {
        convert_complex(to, dst, src, count);
        return CORNU_OK;
    }
    if (convert_half(to, dst, from, src, count)) return CORNU_OK;
    for (int64_t i = 0; i < count; i++) write_wide(to, dst, i, read_wide(from, src, i), kind);
    return CORNU_OK;
}
