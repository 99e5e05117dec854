/* The loops themselves, included once for each instruction set with CN_LOOPS_TABLE as the name of the table. They are plain C that a
 * compiler turns into vectors: functions without branches, sums in fixed lanes. Elementary functions are within 2 ulp where noted.
 * Sources: Cody and Waite's range reduction; polynomials of Cephes' single precision functions (S. Moshier). */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "backend/cpu/loops.h"

#define INLINE static inline __attribute__((always_inline))
#if defined(__clang__)
#define INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define INDEPENDENT _Pragma("GCC ivdep")
#else
#define INDEPENDENT
#endif

INLINE float of_bits(uint32_t bits) {
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

INLINE uint32_t to_bits(float f) {
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

/* Adding 1.5 2^23 leaves the nearest integer in the low bits of the sum. */
#define ROUNDER 12582912.0f

/* x = n ln 2 + r, |r| <= ln 2 / 2; p(r) = (e^r - 1 - r) / r^2. */
INLINE float exp_reduce(float x, float* n, uint32_t* power) {
    float m = x * 1.44269504088896341f + ROUNDER, r;
    *power = to_bits(m) - 0x4b400000u;
    *n = m - ROUNDER;
    r = x - *n * 0.693359375f;
    return r - *n * -2.12194440e-4f;
}

INLINE float exp_polynomial(float r) {
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    return p * r + 5.0000001201e-1f;
}

INLINE float v_exp(float x) {
    float n, r, y, c = x < -104.0f ? -104.0f : x > 89.0f ? 89.0f : x;
    uint32_t power, half;
    r = exp_reduce(c, &n, &power);
    y = exp_polynomial(r) * r * r + r + 1.0f;
    half = (uint32_t)((int32_t)power >> 1); /* in two steps, so that results below the normal range come out right */
    return y * of_bits((half + 127u) << 23) * of_bits((power - half + 127u) << 23);
}

INLINE float v_expm1(float x) {
    float n, r, q, c = x < -30.0f ? -30.0f : x > 89.0f ? 89.0f : x, s, t;
    uint32_t power, half;
    r = exp_reduce(c, &n, &power);
    q = exp_polynomial(r) * r * r + r;
    half = (uint32_t)((int32_t)power >> 1);
    s = of_bits((half + 127u) << 23), t = of_bits((power - half + 127u) << 23);
    return (q * s + (s - of_bits((half - power + 127u) << 23))) * t; /* (q s t + s t - 1), where s t may overflow */
}

/* Of positive normal x; 0 gives -inf, below NaN, subnormals are scaled first. */
INLINE float v_log(float x) {
    float small = x < 1.17549435e-38f ? 8388608.0f : 1.0f, m, e, z, p, y;
    uint32_t bits = to_bits(x * small), shifted = bits - 0x3f3504f3u; /* sqrt(1/2) .. sqrt(2) */
    e = (float)((int32_t)shifted >> 23) - (small != 1.0f ? 23.0f : 0.0f);
    m = of_bits((shifted & 0x7fffffu) + 0x3f3504f3u) - 1.0f;
    z = m * m;
    p = 7.0376836292e-2f;
    p = p * m - 1.1514610310e-1f;
    p = p * m + 1.1676998740e-1f;
    p = p * m - 1.2420140846e-1f;
    p = p * m + 1.4249322787e-1f;
    p = p * m - 1.6668057665e-1f;
    p = p * m + 2.0000714765e-1f;
    p = p * m - 2.4999993993e-1f;
    p = p * m + 3.3333331174e-1f;
    y = p * m * z + e * -2.12194440e-4f - 0.5f * z;
    y = m + y + e * 0.693359375f;
    y = x == INFINITY ? INFINITY : y;
    y = x == 0.0f ? -INFINITY : y;
    return x < 0.0f || x != x ? NAN : y;
}

INLINE float v_log1p(float x) {
    float u = 1.0f + x, d = u - 1.0f, y = v_log(u);
    y = d == 0.0f || u == INFINITY ? y : y * (x / d); /* what rounding u lost */
    return d == 0.0f ? x : y;
}

INLINE float v_tanh(float x) {
    float c = x > 10.0f ? 10.0f : x < -10.0f ? -10.0f : x, e = v_expm1(2.0f * c);
    return e / (e + 2.0f);
}

INLINE float v_erf_small(float x) { /* |x| < 1 */
    float z = x * x, p = 7.853861353153693e-5f;
    p = p * z - 8.010193625184903e-4f;
    p = p * z + 5.188327685732524e-3f;
    p = p * z - 2.685381193529856e-2f;
    p = p * z + 1.128358514861418e-1f;
    p = p * z - 3.761262582423300e-1f;
    p = p * z + 1.128379165726710e+0f;
    return x * p;
}

INLINE float v_erfc_large(float a) { /* a >= 1 */
    float q = 1.0f / a, z = q * q, p = 2.326819970068386e-2f, r = -1.047766399936249e+1f;
    float high, low, scale;
    p = p * z - 1.387039388740657e-1f;
    p = p * z + 3.687424674597105e-1f;
    p = p * z - 5.824733027278666e-1f;
    p = p * z + 6.210004621745983e-1f;
    p = p * z - 4.944515323274145e-1f;
    p = p * z + 3.404879937665872e-1f;
    p = p * z - 2.741127028184656e-1f;
    p = p * z + 5.638259427386472e-1f;
    r = r * z + 1.297719955372516e+1f;
    r = r * z - 7.495518717768503e+0f;
    r = r * z + 2.921019019210786e+0f;
    r = r * z - 1.015265279202700e+0f;
    r = r * z + 4.218463358204948e-1f;
    r = r * z - 2.820767439740514e-1f;
    r = r * z + 5.641895067754075e-1f;
    high = of_bits(to_bits(a) & 0xfffff000u); /* e^(-a^2) = e^(-high^2) e^(-(a - high)(a + high)): high^2 is exact */
    low = (a - high) * (a + high);
    scale = v_exp(-high * high) * v_exp(-low);
    return scale * q * (a < 2.0f ? p : r);
}

INLINE float v_erfc(float x) {
    float a = x < 0 ? -x : x, c = a < 1.0f ? 1.0f : a > 11.0f ? 11.0f : a, large = v_erfc_large(c), small = 1.0f - v_erf_small(x);
    large = x < 0 ? 2.0f - large : large;
    small = a < 1.0f ? small : large;
    return x != x ? x : small;
}

INLINE float v_erf(float x) {
    float a = x < 0 ? -x : x, c = a < 1.0f ? 1.0f : a > 11.0f ? 11.0f : a, large = 1.0f - v_erfc_large(c);
    large = x < 0 ? -large : large;
    large = a < 1.0f ? v_erf_small(x) : large;
    return x != x ? x : large;
}

INLINE float v_max(float a, float b) {
    float t = a > b ? a : b;
    return a != a ? a : t;
}

INLINE float v_min(float a, float b) {
    float t = a < b ? a : b;
    return a != a ? a : t;
}

INLINE float v_abs(float a) { return of_bits(to_bits(a) & 0x7fffffffu); }

INLINE float v_mod(float a, float b) {
    float r = fmodf(a, b);
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

#define CN_C(c) ((float)(c))
#define CN_MAX v_max
#define CN_MIN v_min
#define CN_ABS v_abs
#define CN_INF INFINITY
#define CN_SQRT sqrtf
#define CN_CBRT cbrtf
#define CN_EXP v_exp
#define CN_EXP2 exp2f
#define CN_EXPM1 v_expm1
#define CN_LOG v_log
#define CN_LOG2 log2f
#define CN_LOG10 log10f
#define CN_LOG1P v_log1p
#define CN_SIN sinf
#define CN_COS cosf
#define CN_TAN tanf
#define CN_ASIN asinf
#define CN_ACOS acosf
#define CN_ATAN atanf
#define CN_ATAN2 atan2f
#define CN_SINH sinhf
#define CN_COSH coshf
#define CN_TANH v_tanh
#define CN_ASINH asinhf
#define CN_ACOSH acoshf
#define CN_ATANH atanhf
#define CN_ERF v_erf
#define CN_ERFC v_erfc
#define CN_FLOOR floorf
#define CN_CEIL ceilf
#define CN_TRUNC truncf
#define CN_RINT nearbyintf
#define CN_POW powf
#define CN_FLOORDIV(a, b) floorf((a) / (b))
#define CN_MOD v_mod

/* Rows of ew.def that take floats and give floats. */
#define IF_F(row) row
#define IF_FI(row) row
#define IF_FIB(row) row
#define IF_I(row)
#define IF_SAME(row) row
#define IF_BOOL(row)

#define ROW(name, f)                                                                                        \
    static void ew_##name(int64_t n, const float* xs, const float* zs, const cn_act* act, float* ys) {      \
        const float p = (float)act->p, q = (float)act->q, r = (float)act->r;                                \
        (void)p, (void)q, (void)r;                                                                          \
        INDEPENDENT                                                                                         \
        for (int64_t i = 0; i < n; i++) {                                                                   \
            const float x = xs[i], z = zs[i];                                                               \
            (void)x, (void)z;                                                                               \
            ys[i] = f;                                                                                      \
        }                                                                                                   \
    }
#define CN_EW1(name, domains, result, f, df) IF_##domains(IF_##result(ROW(name, f)))
#define CN_EW2(name, domains, result, f, dx, dz) IF_##domains(IF_##result(ROW(name, f)))
#define CN_EW3(name, domains, result, f)
#include "base/ew.def"
#undef CN_EW1
#undef CN_EW2
#undef CN_EW3

/* ---- products ---- */

static void gemm(int64_t k, const float* const* x, const float* w, int64_t ldw, float* acc) {
    float sum[CN_GEMM_ROWS][CN_GEMM_COLUMNS];

    memcpy(sum, acc, sizeof sum);
    for (int64_t i = 0; i < k; i++) {
        const float* row = w + i * ldw;
        for (int r = 0; r < CN_GEMM_ROWS; r++) {
            const float a = x[r][i];
            INDEPENDENT
            for (int j = 0; j < CN_GEMM_COLUMNS; j++) sum[r][j] += a * row[j];
        }
    }
    memcpy(acc, sum, sizeof sum);
}

static void gemv(int64_t k, int64_t n, const float* x, const float* w, int64_t ldw, float* acc) {
    int64_t i = 0;
    for (; i + 4 <= k; i += 4) {
        const float *w0 = w + i * ldw, *w1 = w0 + ldw, *w2 = w1 + ldw, *w3 = w2 + ldw;
        const float a = x[i], b = x[i + 1], c = x[i + 2], d = x[i + 3];
        INDEPENDENT
        for (int64_t j = 0; j < n; j++) acc[j] += (a * w0[j] + b * w1[j]) + (c * w2[j] + d * w3[j]);
    }
    for (; i < k; i++) {
        const float a = x[i];
        const float* row = w + i * ldw;
        INDEPENDENT
        for (int64_t j = 0; j < n; j++) acc[j] += a * row[j];
    }
}

static void multiply_add(int64_t n, const float* x, const float* w, float* acc) {
    INDEPENDENT
    for (int64_t i = 0; i < n; i++) acc[i] += x[i] * w[i];
}

/* ---- sums ---- */

#define LANES 16

static void add_wide(int64_t n, const float* x, double* acc) {
    INDEPENDENT
    for (int64_t i = 0; i < n; i++) acc[i] += (double)x[i];
}

static double total(const double* lanes) {
    double sum = 0;
    for (int j = 0; j < LANES; j++) sum += lanes[j];
    return sum;
}

static float max_of(int64_t n, const float* x) {
    float lanes[LANES], top = -INFINITY;
    int64_t i = 0;
    for (int j = 0; j < LANES; j++) lanes[j] = -INFINITY;
    for (; i + LANES <= n; i += LANES) {
        for (int j = 0; j < LANES; j++) lanes[j] = v_max(lanes[j], x[i + j]);
    }
    for (; i < n; i++) top = v_max(top, x[i]);
    for (int j = 0; j < LANES; j++) top = v_max(top, lanes[j]);
    return top;
}

static double sum_of(int64_t n, const float* x) {
    double lanes[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        for (int j = 0; j < LANES; j++) lanes[j] += (double)x[i + j];
    }
    for (int j = 0; i < n; i++, j++) lanes[j] += (double)x[i];
    return total(lanes);
}

static double sum_squares(int64_t n, const float* x, float mean) {
    double lanes[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        for (int j = 0; j < LANES; j++) {
            double d = (double)(x[i + j] - mean);
            lanes[j] += d * d;
        }
    }
    for (int j = 0; i < n; i++, j++) {
        double d = (double)(x[i] - mean);
        lanes[j] += d * d;
    }
    return total(lanes);
}

static double exp_minus(int64_t n, const float* x, float top, float* y) {
    INDEPENDENT
    for (int64_t i = 0; i < n; i++) y[i] = v_exp(x[i] - top);
    return sum_of(n, y);
}

static void scale_of(int64_t n, float a, const float* x, float* y) {
    INDEPENDENT
    for (int64_t i = 0; i < n; i++) y[i] = a * x[i];
}

static void normalise(int64_t n, const float* x, float mean, float scale, const float* gamma, const float* beta, float* y) {
    if (gamma && beta) {
        INDEPENDENT
        for (int64_t i = 0; i < n; i++) y[i] = (x[i] - mean) * scale * gamma[i] + beta[i];
    } else if (gamma) {
        INDEPENDENT
        for (int64_t i = 0; i < n; i++) y[i] = (x[i] - mean) * scale * gamma[i];
    } else {
        for (int64_t i = 0; i < n; i++) y[i] = (x[i] - mean) * scale + (beta ? beta[i] : 0.0f);
    }
}

#define ENTRY(name) [CN_EW_##name] = ew_##name,
const cn_loops CN_LOOPS_TABLE = {
    CN_LOOPS_NAME,
    {
#define CN_EW1(name, domains, result, f, df) IF_##domains(IF_##result(ENTRY(name)))
#define CN_EW2(name, domains, result, f, dx, dz) IF_##domains(IF_##result(ENTRY(name)))
#define CN_EW3(name, domains, result, f)
#include "base/ew.def"
#undef CN_EW1
#undef CN_EW2
#undef CN_EW3
    },
    gemm, gemv, multiply_add, add_wide, max_of, sum_of, sum_squares, exp_minus, scale_of, normalise,
};
