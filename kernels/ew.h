/* The elementwise functions of base/ew.def on a device, over the classes of element.h, with the meaning of the reference
 * (src/backend/cpu/ref_ew.c): floats by the accurate functions of CUDA's mathematical library, integers exactly and wrapping.
 *
 *     cn_ew1<T>(fn, x, p, q, r)      rows of one input
 *     cn_ew2<T>(fn, x, z)            rows of two; select is `x != 0 ? z : w` where it is needed
 *     cn_act(act, x)                 an epilogue: the common ones in place, all others by a call
 *
 * fn is a row number, CN_FN_<name>, the same as graph/op.h's CN_EW_<name>; a function outside the domain of T gives 0 (integers) or NaN.
 * The result of a comparison is 0 or 1.
 *
 * Rows whose float32 steps would cancel or overflow where the reference's double ones do not go through double. */
#ifndef CN_KERNELS_EW_H
#define CN_KERNELS_EW_H

#include <math.h>

#include "kernels/element.h"

typedef enum cn_fn {
#define CN_EW1(name, domains, result, f, df) CN_FN_##name,
#define CN_EW2(name, domains, result, f, dx, dz) CN_FN_##name,
#define CN_EW3(name, domains, result, f) CN_FN_##name,
#include "base/ew.def"
#undef CN_EW1
#undef CN_EW2
#undef CN_EW3
    CN_FN_COUNT
} cn_fn;

/* ---- functions of floats ------------------------------------------------------------------------------------------------ */

#define CN_FLOAT_FN(name)                                  \
    CN_DEVICE float cn_m_##name(float x) { return name##f(x); } \
    CN_DEVICE double cn_m_##name(double x) { return name(x); }
CN_FLOAT_FN(fabs)
CN_FLOAT_FN(sqrt)
CN_FLOAT_FN(cbrt)
CN_FLOAT_FN(exp)
CN_FLOAT_FN(exp2)
CN_FLOAT_FN(expm1)
CN_FLOAT_FN(log)
CN_FLOAT_FN(log2)
CN_FLOAT_FN(log10)
CN_FLOAT_FN(log1p)
CN_FLOAT_FN(sin)
CN_FLOAT_FN(cos)
CN_FLOAT_FN(tan)
CN_FLOAT_FN(asin)
CN_FLOAT_FN(acos)
CN_FLOAT_FN(atan)
CN_FLOAT_FN(sinh)
CN_FLOAT_FN(cosh)
CN_FLOAT_FN(tanh)
CN_FLOAT_FN(asinh)
CN_FLOAT_FN(acosh)
CN_FLOAT_FN(atanh)
CN_FLOAT_FN(erf)
CN_FLOAT_FN(erfc)
CN_FLOAT_FN(floor)
CN_FLOAT_FN(ceil)
CN_FLOAT_FN(trunc)
CN_FLOAT_FN(rint)
#undef CN_FLOAT_FN

CN_DEVICE float cn_m_atan2(float x, float z) { return atan2f(x, z); }
CN_DEVICE double cn_m_atan2(double x, double z) { return atan2(x, z); }
CN_DEVICE float cn_m_fmod(float x, float z) { return fmodf(x, z); }
CN_DEVICE double cn_m_fmod(double x, double z) { return fmod(x, z); }
CN_DEVICE float cn_m_pow(float x, float z) { return powf(x, z); }
CN_DEVICE double cn_m_pow(double x, double z) { return pow(x, z); }
/* The quotient's floor: a quotient rounded to float32 may have reached the next integer. */
CN_DEVICE float cn_m_floordiv(float x, float z) { return static_cast<float>(floor(static_cast<double>(x) / static_cast<double>(z))); }
CN_DEVICE double cn_m_floordiv(double x, double z) { return floor(x / z); }
CN_DEVICE float cn_m_nextafter(float x, float z) { return static_cast<float>(nextafter(static_cast<double>(x), static_cast<double>(z))); }
CN_DEVICE double cn_m_nextafter(double x, double z) { return nextafter(x, z); }

/* NaN wins. */
template <typename T>
CN_DEVICE T cn_m_max(T x, T z) {
    return x != x || x > z ? x : z != z || z > x ? z : x;
}
template <typename T>
CN_DEVICE T cn_m_min(T x, T z) {
    return x != x || x < z ? x : z != z || z < x ? z : x;
}
template <typename T>
CN_DEVICE T cn_m_mod(T x, T z) {
    T r = cn_m_fmod(x, z);
    return r != static_cast<T>(0) && (r < static_cast<T>(0)) != (z < static_cast<T>(0)) ? r + z : r;
}

/* Giles's approximation, then two steps of Newton. */
CN_DEVICE double cn_m_erfinv(double x) {
    double w, y;

    if (!(fabs(x) < 1)) return x == 1 ? static_cast<double>(INFINITY) : x == -1 ? -static_cast<double>(INFINITY) : static_cast<double>(NAN);
    w = -log((1 - x) * (1 + x));
    if (w < 5) {
        w -= 2.5;
        y = 2.81022636e-08;
        y = 3.43273939e-07 + y * w;
        y = -3.5233877e-06 + y * w;
        y = -4.39150654e-06 + y * w;
        y = 0.00021858087 + y * w;
        y = -0.00125372503 + y * w;
        y = -0.00417768164 + y * w;
        y = 0.246640727 + y * w;
        y = 1.50140941 + y * w;
    } else {
        w = sqrt(w) - 3;
        y = -0.000200214257;
        y = 0.000100950558 + y * w;
        y = 0.00134934322 + y * w;
        y = -0.00367342844 + y * w;
        y = 0.00573950773 + y * w;
        y = -0.0076224613 + y * w;
        y = 0.00943887047 + y * w;
        y = 1.00167406 + y * w;
        y = 2.83297682 + y * w;
    }
    y *= x;
    for (int i = 0; i < 2; i++) { /* erfc near 1: erf has no digits left there */
        double error = x > 0 ? (1 - x) - erfc(y) : erfc(-y) - (1 + x);
        y += (x > 0 ? -error : -error) * 0.88622692545275801365 * exp(y * y);
    }
    return y;
}
CN_DEVICE float cn_m_erfinv(float x) { return static_cast<float>(cn_m_erfinv(static_cast<double>(x))); }

/* The power series of positive terms; beyond 40 the asymptotic one, whose terms fall until long after they are negligible. */
CN_DEVICE double cn_m_i0(double x) {
    double a = fabs(x), sum = 1, term = 1;

    if (a != a || a == static_cast<double>(INFINITY)) return a;
    for (int k = 1; k < 200 && a <= 40; k++) {
        term *= a / (2 * k) * (a / (2 * k));
        sum += term;
        if (term < sum * 1e-17) break;
    }
    if (a <= 40) return sum;
    for (int k = 1; k < 30; k++) {
        term *= (2 * k - 1) * static_cast<double>(2 * k - 1) / (8 * a * k);
        sum += term;
    }
    return exp(a - 0.5 * log(6.28318530717958647692 * a)) * sum;
}
CN_DEVICE float cn_m_i0(float x) { return static_cast<float>(cn_m_i0(static_cast<double>(x))); }

/* ---- functions of integers: wrapping arithmetic is done unsigned -------------------------------------------------------- */

CN_DEVICE uint64_t cn_m_max(uint64_t x, uint64_t z) { return x > z ? x : z; }
CN_DEVICE uint64_t cn_m_min(uint64_t x, uint64_t z) { return x < z ? x : z; }
CN_DEVICE uint64_t cn_m_fabs(uint64_t x) { return x; }
CN_DEVICE uint64_t cn_m_floordiv(uint64_t x, uint64_t z) { return z ? x / z : 0; }
CN_DEVICE uint64_t cn_m_mod(uint64_t x, uint64_t z) { return z ? x % z : 0; }
CN_DEVICE uint64_t cn_m_pow(uint64_t x, uint64_t z) {
    uint64_t r = 1;
    for (; z; z >>= 1, x *= x) r *= z & 1 ? x : 1;
    return r;
}
CN_DEVICE uint64_t cn_m_gcd(uint64_t x, uint64_t z) {
    while (z) {
        uint64_t r = x % z;
        x = z;
        z = r;
    }
    return x;
}
CN_DEVICE uint64_t cn_m_shl(uint64_t x, uint64_t z) { return z < 64 ? x << z : 0; }
CN_DEVICE uint64_t cn_m_shr(uint64_t x, uint64_t z) { return z < 64 ? x >> z : 0; }

CN_DEVICE int64_t cn_m_negated(int64_t x) { return static_cast<int64_t>(0 - static_cast<uint64_t>(x)); }
CN_DEVICE int64_t cn_m_fabs(int64_t x) { return x < 0 ? cn_m_negated(x) : x; }
CN_DEVICE int64_t cn_m_floordiv(int64_t x, int64_t z) {
    if (z == 0) return 0;
    if (z == -1) return cn_m_negated(x);
    return x / z - (x % z != 0 && (x % z < 0) != (z < 0));
}
CN_DEVICE int64_t cn_m_mod(int64_t x, int64_t z) {
    if (z == 0 || z == -1) return 0;
    return x % z + (x % z != 0 && (x % z < 0) != (z < 0) ? z : 0);
}
CN_DEVICE int64_t cn_m_pow(int64_t x, int64_t z) {
    if (z < 0) return x == 1 ? 1 : x == -1 ? (z & 1 ? -1 : 1) : 0;
    return static_cast<int64_t>(cn_m_pow(static_cast<uint64_t>(x), static_cast<uint64_t>(z)));
}

/* ---- the rows ----------------------------------------------------------------------------------------------------------- */

#define CN_C(c) (static_cast<T>(c))
#define CN_INF (static_cast<T>(INFINITY))
#define CN_MAX(x, z) cn_m_max(x, z)
#define CN_MIN(x, z) cn_m_min(x, z)
#define CN_ABS(x) cn_m_fabs(x)
#define CN_SQRT(x) cn_m_sqrt(x)
#define CN_CBRT(x) cn_m_cbrt(x)
#define CN_EXP(x) cn_m_exp(x)
#define CN_EXP2(x) cn_m_exp2(x)
#define CN_EXPM1(x) cn_m_expm1(x)
#define CN_LOG(x) cn_m_log(x)
#define CN_LOG2(x) cn_m_log2(x)
#define CN_LOG10(x) cn_m_log10(x)
#define CN_LOG1P(x) cn_m_log1p(x)
#define CN_SIN(x) cn_m_sin(x)
#define CN_COS(x) cn_m_cos(x)
#define CN_TAN(x) cn_m_tan(x)
#define CN_ASIN(x) cn_m_asin(x)
#define CN_ACOS(x) cn_m_acos(x)
#define CN_ATAN(x) cn_m_atan(x)
#define CN_ATAN2(x, z) cn_m_atan2(x, z)
#define CN_SINH(x) cn_m_sinh(x)
#define CN_COSH(x) cn_m_cosh(x)
#define CN_TANH(x) cn_m_tanh(x)
#define CN_ASINH(x) cn_m_asinh(x)
#define CN_ACOSH(x) cn_m_acosh(x)
#define CN_ATANH(x) cn_m_atanh(x)
#define CN_ERF(x) cn_m_erf(x)
#define CN_ERFC(x) cn_m_erfc(x)
#define CN_ERFINV(x) cn_m_erfinv(x)
#define CN_I0(x) cn_m_i0(x)
#define CN_NEXTAFTER(x, z) cn_m_nextafter(x, z)
#define CN_SHL(x, z) cn_m_shl(x, z)
#define CN_SHR(x, z) cn_m_shr(x, z)
#define CN_GCD(x, z) cn_m_gcd(x, z)
#define CN_FLOOR(x) cn_m_floor(x)
#define CN_CEIL(x) cn_m_ceil(x)
#define CN_TRUNC(x) cn_m_trunc(x)
#define CN_RINT(x) cn_m_rint(x)
#define CN_POW(x, z) cn_m_pow(x, z)
#define CN_FLOORDIV(x, z) cn_m_floordiv(x, z)
#define CN_MOD(x, z) cn_m_mod(x, z)

/* Rows of F, and of I; a row not of the class leaves nothing. */
#define CN_ROW_F_F(row) row
#define CN_ROW_F_FI(row) row
#define CN_ROW_F_FIB(row) row
#define CN_ROW_F_I(row)
#define CN_ROW_I_F(row)
#define CN_ROW_I_FI(row) row
#define CN_ROW_I_FIB(row) row
#define CN_ROW_I_I(row) row
#define CN_ROW(name, f) \
    case CN_FN_##name: return static_cast<T>(f);

/* Comparisons with 0 that are always false for uint64_t are what the rows mean. */
#ifdef CN_HOST_EXECUTION
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wtype-limits"
#elif defined(__CUDACC__)
#pragma nv_diagnostic push
#pragma nv_diag_suppress 186
#endif

template <typename T>
CN_DEVICE T cn_ew1_float(int fn, T x, T p, T q, T r) {
    switch (fn) {
#define CN_EW1(name, domains, result, f, df) CN_ROW_F_##domains(CN_ROW(name, f))
#define CN_EW2(name, domains, result, f, dx, dz)
#define CN_EW3(name, domains, result, f)
#include "base/ew.def"
#undef CN_EW1
#undef CN_EW2
#undef CN_EW3
        default: return static_cast<T>(NAN);
    }
}

template <typename T>
CN_DEVICE T cn_ew2_float(int fn, T x, T z) {
    switch (fn) {
#define CN_EW1(name, domains, result, f, df)
#define CN_EW2(name, domains, result, f, dx, dz) CN_ROW_F_##domains(CN_ROW(name, f))
#define CN_EW3(name, domains, result, f)
#include "base/ew.def"
#undef CN_EW1
#undef CN_EW2
#undef CN_EW3
        default: return static_cast<T>(NAN);
    }
}

template <typename T>
CN_DEVICE T cn_ew1_unsigned(int fn, T x, T p, T q) {
    switch (fn) {
#define CN_EW1(name, domains, result, f, df) CN_ROW_I_##domains(CN_ROW(name, f))
#define CN_EW2(name, domains, result, f, dx, dz)
#define CN_EW3(name, domains, result, f)
#include "base/ew.def"
#undef CN_EW1
#undef CN_EW2
#undef CN_EW3
        default: return 0;
    }
}

template <typename T>
CN_DEVICE T cn_ew2_unsigned(int fn, T x, T z) {
    switch (fn) {
#define CN_EW1(name, domains, result, f, df)
#define CN_EW2(name, domains, result, f, dx, dz) CN_ROW_I_##domains(CN_ROW(name, f))
#define CN_EW3(name, domains, result, f)
#include "base/ew.def"
#undef CN_EW1
#undef CN_EW2
#undef CN_EW3
        default: return 0;
    }
}

#ifdef CN_HOST_EXECUTION
#pragma GCC diagnostic pop
#elif defined(__CUDACC__)
#pragma nv_diagnostic pop
#endif

/* The functions whose result depends on the sign; the others are the unsigned ones. */
CN_DEVICE int64_t cn_ew1_signed(int fn, int64_t x, int64_t p, int64_t q) {
    switch (fn) {
        case CN_FN_abs: return cn_m_fabs(x);
        case CN_FN_sign: return (x > 0) - (x < 0);
        case CN_FN_clip: return x < p ? p : x > q ? q : x;
        case CN_FN_relu: return x < 0 ? 0 : x;
        case CN_FN_relu6: return x < 0 ? 0 : x > 6 ? 6 : x;
        case CN_FN_threshold: return x > p ? x : q;
        default: return static_cast<int64_t>(cn_ew1_unsigned<uint64_t>(fn, static_cast<uint64_t>(x), 0, 0));
    }
}

CN_DEVICE int64_t cn_ew2_signed(int fn, int64_t x, int64_t z) {
    switch (fn) {
        case CN_FN_floor_div: return cn_m_floordiv(x, z);
        case CN_FN_mod: return cn_m_mod(x, z);
        case CN_FN_pow: return cn_m_pow(x, z);
        case CN_FN_shl: return z >= 0 && z < 64 ? static_cast<int64_t>(static_cast<uint64_t>(x) << z) : 0;
        case CN_FN_shr: return x >> (z < 0 || z > 63 ? 63 : z);
        case CN_FN_gcd: return static_cast<int64_t>(cn_m_gcd(static_cast<uint64_t>(cn_m_fabs(x)), static_cast<uint64_t>(cn_m_fabs(z))));
        case CN_FN_max: return x > z ? x : z;
        case CN_FN_min: return x < z ? x : z;
        case CN_FN_lt: return x < z;
        case CN_FN_le: return x <= z;
        case CN_FN_gt: return x > z;
        case CN_FN_ge: return x >= z;
        default: return static_cast<int64_t>(cn_ew2_unsigned<uint64_t>(fn, static_cast<uint64_t>(x), static_cast<uint64_t>(z)));
    }
}

template <typename T>
struct cn_ew_class {};
template <>
struct cn_ew_class<double> {
    CN_DEVICE static double ew1(int fn, double x, double p, double q, double r) { return cn_ew1_float<double>(fn, x, p, q, r); }
    CN_DEVICE static double ew2(int fn, double x, double z) { return cn_ew2_float<double>(fn, x, z); }
};
template <>
struct cn_ew_class<float> {
    CN_DEVICE static float ew1(int fn, float x, float p, float q, float r) {
        const double wide = static_cast<double>(x);
        if (fn == CN_FN_tanh_shrink) return static_cast<float>(wide - tanh(wide));
        if (fn == CN_FN_squareplus) return static_cast<float>(0.5 * (wide + sqrt(wide * wide + static_cast<double>(p))));
        if (fn == CN_FN_sinc) return x == 0 ? 1.0f : static_cast<float>(sin(3.14159265358979323846 * wide) / (3.14159265358979323846 * wide));
        return cn_ew1_float<float>(fn, x, p, q, r);
    }
    CN_DEVICE static float ew2(int fn, float x, float z) { return cn_ew2_float<float>(fn, x, z); }
};
template <>
struct cn_ew_class<int64_t> {
    CN_DEVICE static int64_t ew1(int fn, int64_t x, int64_t p, int64_t q, int64_t) { return cn_ew1_signed(fn, x, p, q); }
    CN_DEVICE static int64_t ew2(int fn, int64_t x, int64_t z) { return cn_ew2_signed(fn, x, z); }
};
template <>
struct cn_ew_class<uint64_t> {
    CN_DEVICE static uint64_t ew1(int fn, uint64_t x, uint64_t p, uint64_t q, uint64_t) { return cn_ew1_unsigned<uint64_t>(fn, x, p, q); }
    CN_DEVICE static uint64_t ew2(int fn, uint64_t x, uint64_t z) { return cn_ew2_unsigned<uint64_t>(fn, x, z); }
};

/* Never inlined: the switch over all rows is large, and a call is short beside most of them. */
template <typename T>
CN_DEVICE_NOINLINE T cn_ew1(int fn, T x, T p, T q, T r) {
    return cn_ew_class<T>::ew1(fn, x, p, q, r);
}
template <typename T>
CN_DEVICE_NOINLINE T cn_ew2(int fn, T x, T z) {
    return cn_ew_class<T>::ew2(fn, x, z);
}

/* T is float or double. */
template <typename T>
CN_DEVICE T cn_act(const cn_epilogue& act, T x) {
    switch (act.fn) {
        case CN_FN_copy: return x;
        case CN_FN_relu: return x < CN_C(0) ? CN_C(0) : x;
        case CN_FN_relu6: return x < CN_C(0) ? CN_C(0) : x > CN_C(6) ? CN_C(6) : x;
        case CN_FN_tanh: return CN_TANH(x);
        case CN_FN_sigmoid: return CN_C(1) / (CN_C(1) + CN_EXP(-x));
        case CN_FN_gelu: return CN_C(0.5) * x * CN_ERFC(x * CN_C(-0.70710678118654752440));
        case CN_FN_silu: return x / (CN_C(1) + CN_EXP(-x));
        default: return cn_ew1<T>(act.fn, x, static_cast<T>(act.p), static_cast<T>(act.q), static_cast<T>(act.r));
    }
}

#undef CN_ROW
#undef CN_ROW_F_F
#undef CN_ROW_F_FI
#undef CN_ROW_F_FIB
#undef CN_ROW_F_I
#undef CN_ROW_I_F
#undef CN_ROW_I_FI
#undef CN_ROW_I_FIB
#undef CN_ROW_I_I

#endif
