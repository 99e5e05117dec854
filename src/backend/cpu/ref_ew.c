/* Elementwise functions of ew.def for the reference: over double, int64_t and uint64_t. */
#include <math.h>
#include <stdlib.h>

#include "backend/cpu/ref_ops.h"
#include "base/dtype.h"

#define CN_C(c) ((T)(c))
#define CN_MAX(a, b) cn_max(a, b)
#define CN_MIN(a, b) cn_min(a, b)
#define CN_ABS(a) cn_abs(a)
#define CN_INF INFINITY
#define CN_SQRT sqrt
#define CN_CBRT cbrt
#define CN_EXP exp
#define CN_EXP2 exp2
#define CN_EXPM1 expm1
#define CN_LOG log
#define CN_LOG2 log2
#define CN_LOG10 log10
#define CN_LOG1P log1p
#define CN_SIN sin
#define CN_COS cos
#define CN_TAN tan
#define CN_ASIN asin
#define CN_ACOS acos
#define CN_ATAN atan
#define CN_ATAN2 atan2
#define CN_SINH sinh
#define CN_COSH cosh
#define CN_TANH tanh
#define CN_ASINH asinh
#define CN_ACOSH acosh
#define CN_ATANH atanh
#define CN_ERF erf
#define CN_ERFC erfc
#define CN_ERFINV cn_ref_erfinv
#define CN_I0 cn_ref_i0
#define CN_NEXTAFTER nextafter
#define CN_SHL(a, b) ((b) < 64 ? (a) << (b) : 0)
#define CN_SHR(a, b) ((b) < 64 ? (a) >> (b) : 0)
#define CN_GCD(a, b) cn_gcd_u(a, b)
#define CN_FLOOR floor
#define CN_CEIL ceil
#define CN_TRUNC trunc
#define CN_RINT nearbyint
#define CN_POW(a, b) cn_pow(a, b)
#define CN_FLOORDIV(a, b) cn_floordiv(a, b)
#define CN_MOD(a, b) cn_mod(a, b)

/* Giles's approximation, then two steps of Newton. */
double cn_ref_erfinv(double x) {
    double w, y;

    if (!(fabs(x) < 1)) return x == 1 ? INFINITY : x == -1 ? -INFINITY : NAN;
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

/* The power series of positive terms; beyond 40 the asymptotic one, whose terms fall until long after they are negligible. */
double cn_ref_i0(double x) {
    double a = fabs(x), sum = 1, term = 1;

    if (a != a || a == INFINITY) return a;
    for (int k = 1; k < 200 && a <= 40; k++) {
        term *= a / (2 * k) * (a / (2 * k));
        sum += term;
        if (term < sum * 1e-17) break;
    }
    if (a <= 40) return sum;
    for (int k = 1; k < 30; k++) {
        term *= (2 * k - 1) * (double)(2 * k - 1) / (8 * a * k);
        sum += term;
    }
    return exp(a - 0.5 * log(6.28318530717958647692 * a)) * sum;
}

/* NaN wins, as numpy's maximum and minimum. */
static double cn_max_f(double a, double b) { return a != a || a > b ? a : b != b || b > a ? b : a; }
static double cn_min_f(double a, double b) { return a != a || a < b ? a : b != b || b < a ? b : a; }
static double cn_floordiv_f(double a, double b) { return floor(a / b); }
static double cn_mod_f(double a, double b) {
    double r = fmod(a, b);
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
static double cn_abs_f(double a) { return fabs(a); }
static double cn_pow_f(double a, double b) { return pow(a, b); }

static int64_t cn_max_i(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t cn_min_i(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t cn_abs_i(int64_t a) { return a < 0 ? (int64_t)(0 - (uint64_t)a) : a; }
static int64_t cn_floordiv_i(int64_t a, int64_t b) {
    if (b == 0) return 0;
    if (b == -1) return (int64_t)(0 - (uint64_t)a);
    return a / b - (a % b != 0 && (a % b < 0) != (b < 0));
}
static int64_t cn_mod_i(int64_t a, int64_t b) {
    if (b == 0 || b == -1) return 0;
    return a % b + (a % b != 0 && (a % b < 0) != (b < 0) ? b : 0);
}
static uint64_t power_u(uint64_t a, uint64_t b) {
    uint64_t r = 1;
    for (; b; b >>= 1, a *= a) r *= b & 1 ? a : 1;
    return r;
}
static int64_t cn_pow_i(int64_t a, int64_t b) {
    if (b < 0) return a == 1 ? 1 : a == -1 ? (b & 1 ? -1 : 1) : 0;
    return (int64_t)power_u((uint64_t)a, (uint64_t)b);
}

static uint64_t cn_max_u(uint64_t a, uint64_t b) { return a > b ? a : b; }
static uint64_t cn_min_u(uint64_t a, uint64_t b) { return a < b ? a : b; }
static uint64_t cn_abs_u(uint64_t a) { return a; }
static uint64_t cn_floordiv_u(uint64_t a, uint64_t b) { return b ? a / b : 0; }
static uint64_t cn_mod_u(uint64_t a, uint64_t b) { return b ? a % b : 0; }
static uint64_t cn_gcd_u(uint64_t a, uint64_t b) {
    while (b) {
        uint64_t r = a % b;
        a = b;
        b = r;
    }
    return a;
}
static uint64_t cn_pow_u(uint64_t a, uint64_t b) { return power_u(a, b); }

/* ---- floats: every row whose domains have an F ---- */

#define IF_F_F(row) row
#define IF_F_FI(row) row
#define IF_F_FIB(row) row
#define IF_F_I(row)
#define IF_I_F(row)
#define IF_I_FI(row) row
#define IF_I_FIB(row) row
#define IF_I_I(row) row

#define cn_max cn_max_f
#define cn_min cn_min_f
#define cn_abs cn_abs_f
#define cn_pow cn_pow_f
#define cn_floordiv cn_floordiv_f
#define cn_mod cn_mod_f
#define ROW(name, f)       \
    case CN_EW_##name:     \
        return (double)(f);
static double ew_float(const cn_act* act, double x, double z, double w) {
    typedef double T;
    const double p = act->p, q = act->q, r = act->r;
    (void)r;
    switch (act->fn) {
#define CN_EW1(name, domains, result, f, df) IF_F_##domains(ROW(name, f))
#define CN_EW2(name, domains, result, f, dx, dz) IF_F_##domains(ROW(name, f))
#define CN_EW3(name, domains, result, f) IF_F_##domains(ROW(name, f))
#include "base/ew.def"
#undef CN_EW1
#undef CN_EW2
#undef CN_EW3
        default: return NAN;
    }
}
#undef cn_max
#undef cn_min
#undef cn_abs
#undef cn_pow
#undef cn_floordiv
#undef cn_mod
#undef ROW

/* ---- integers and bools. Wrapping arithmetic is done unsigned: signed overflow is undefined in C. ---- */

#define ROW(name, f)   \
    case CN_EW_##name: \
        return (uint64_t)(f);
#define cn_max cn_max_u
#define cn_min cn_min_u
#define cn_abs cn_abs_u
#define cn_pow cn_pow_u
#define cn_floordiv cn_floordiv_u
#define cn_mod cn_mod_u
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wtype-limits" /* x < 0 is false for unsigned, which is what the rows mean */
static uint64_t ew_unsigned(const cn_act* act, uint64_t x, uint64_t z, uint64_t w) {
    typedef uint64_t T;
    const uint64_t p = act->p > 0 ? (uint64_t)act->p : 0, q = act->q > 0 ? (uint64_t)act->q : 0;
    switch (act->fn) {
#define CN_EW1(name, domains, result, f, df) IF_I_##domains(ROW(name, f))
#define CN_EW2(name, domains, result, f, dx, dz) IF_I_##domains(ROW(name, f))
#define CN_EW3(name, domains, result, f) IF_I_##domains(ROW(name, f))
#include "base/ew.def"
#undef CN_EW1
#undef CN_EW2
#undef CN_EW3
        default: return 0;
    }
}
#pragma GCC diagnostic pop
#undef cn_max
#undef cn_min
#undef cn_abs
#undef cn_pow
#undef cn_floordiv
#undef cn_mod

/* The functions whose result depends on the sign; the others are the unsigned ones. */
static int64_t ew_signed(const cn_act* act, int64_t x, int64_t z, int64_t w) {
    const int64_t p = (int64_t)act->p, q = (int64_t)act->q;
    switch (act->fn) {
        case CN_EW_abs: return cn_abs_i(x);
        case CN_EW_sign: return (x > 0) - (x < 0);
        case CN_EW_clip: return x < p ? p : x > q ? q : x;
        case CN_EW_relu: return x < 0 ? 0 : x;
        case CN_EW_relu6: return x < 0 ? 0 : x > 6 ? 6 : x;
        case CN_EW_threshold: return x > p ? x : q;
        case CN_EW_floor_div: return cn_floordiv_i(x, z);
        case CN_EW_mod: return cn_mod_i(x, z);
        case CN_EW_pow: return cn_pow_i(x, z);
        case CN_EW_shl: return z >= 0 && z < 64 ? (int64_t)((uint64_t)x << z) : 0;
        case CN_EW_shr: return x >> (z < 0 || z > 63 ? 63 : z);
        case CN_EW_gcd: return (int64_t)cn_gcd_u((uint64_t)cn_abs_i(x), (uint64_t)cn_abs_i(z));
        case CN_EW_max: return cn_max_i(x, z);
        case CN_EW_min: return cn_min_i(x, z);
        case CN_EW_lt: return x < z;
        case CN_EW_le: return x <= z;
        case CN_EW_gt: return x > z;
        case CN_EW_ge: return x >= z;
        default: return (int64_t)ew_unsigned(act, (uint64_t)x, (uint64_t)z, (uint64_t)w);
    }
}

/* Strides of an input broadcast to the result's shape: 0 along broadcast axes. */
static void broadcast_strides(const cn_type* in, const cn_type* out, int64_t* strides) {
    int64_t stride = 1;
    for (int i = out->ndim - 1, k = in->ndim - 1; i >= 0; i--, k--) {
        strides[i] = k >= 0 && in->dims[k] != 1 ? stride : 0;
        if (k >= 0) stride *= in->dims[k];
    }
}

cornu_status cn_ref_ew(const cn_ref_step* s) {
    const cn_act* act = &s->attr->ew;
    int64_t count = cn_type_count(s->type), at[3] = {0, 0, 0};
    int64_t strides[3][CORNU_MAX_DIMS], index[CORNU_MAX_DIMS] = {0};
    cornu_dtype dtype = s->types[s->n == 3 ? 1 : 0]->dtype;
    cn_dtype_kind kind = cn_dtype_kind_of(dtype);

    for (int k = 0; k < s->n; k++) broadcast_strides(s->types[k], s->type, strides[k]);
    for (int64_t i = 0; i < count; i++) {
        if (kind == CN_KIND_F) {
            double v[3] = {0, 0, 0};
            for (int k = 0; k < s->n; k++) v[k] = cn_ref_load(s->types[k]->dtype, s->in[k], at[k]);
            cn_ref_store(s->type->dtype, s->out, i, ew_float(act, v[0], v[1], v[2]));
        } else {
            int64_t v[3] = {0, 0, 0}, y;
            for (int k = 0; k < s->n; k++) v[k] = cn_ref_load_int(s->types[k]->dtype, s->in[k], at[k]);
            if (kind == CN_KIND_U) y = (int64_t)ew_unsigned(act, (uint64_t)v[0], (uint64_t)v[1], (uint64_t)v[2]);
            else y = ew_signed(act, v[0], v[1], v[2]);
            cn_ref_store_int(s->type->dtype, s->out, i, y);
        }
        for (int d = s->type->ndim - 1; d >= 0; d--) { /* the next index, as an odometer */
            for (int k = 0; k < s->n; k++) at[k] += strides[k][d];
            if (++index[d] < s->type->dims[d]) break;
            for (int k = 0; k < s->n; k++) at[k] -= strides[k][d] * s->type->dims[d];
            index[d] = 0;
        }
    }
    return CORNU_OK;
}

cornu_status cn_ref_fused(const cn_ref_step* s) {
    const cn_fused_attr* a = &s->attr->fused;
    int64_t count = cn_type_count(s->type), at[CN_FUSED_INPUTS] = {0};
    int64_t strides[CN_FUSED_INPUTS][CORNU_MAX_DIMS], index[CORNU_MAX_DIMS] = {0};
    double v[CN_FUSED_INPUTS + CN_FUSED_OPS];

    for (int k = 0; k < s->n; k++) broadcast_strides(s->types[k], s->type, strides[k]);
    for (int64_t i = 0; i < count; i++) {
        for (int k = 0; k < s->n; k++) v[k] = cn_ref_load(s->types[k]->dtype, s->in[k], at[k]);
        for (int k = 0; k < a->count; k++) v[s->n + k] = ew_float(&a->ops[k].act, v[a->ops[k].arg[0]], v[a->ops[k].arg[1]], 0);
        cn_ref_store(s->type->dtype, s->out, i, v[s->n + a->count - 1]);
        for (int d = s->type->ndim - 1; d >= 0; d--) {
            for (int k = 0; k < s->n; k++) at[k] += strides[k][d];
            if (++index[d] < s->type->dims[d]) break;
            for (int k = 0; k < s->n; k++) at[k] -= strides[k][d] * s->type->dims[d];
            index[d] = 0;
        }
    }
    return CORNU_OK;
}

double cn_ref_act(const cn_act* act, double x) { return act->fn == CN_EW_copy ? x : ew_float(act, x, 0, 0); }
