// Every elementwise function of the reference against a formula of its own in double, at ordinary and special arguments.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <vector>

#include "backend/cpu/ref.h"

namespace {

const double kInf = std::numeric_limits<double>::infinity(), kNan = std::numeric_limits<double>::quiet_NaN();
const double kP = 0.75, kQ = 2.5, kR = 0.25;
const std::vector<double> kArguments = {0.0, -0.0, 1e-300, -1e-300, 0.25, -0.25, 0.5, -0.5, 0.75, -0.75, 1, -1, 1.5, -1.5, 2,  -2,
                                        2.5, -2.5, 3, -3, 5.75, 6, 7.25, -7.25, 20, -20, 40, -40, 700, -700, 1e300, -1e300, kInf, -kInf, kNan};

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double softplus(double x) { return x > 30 ? x + std::exp(-x) : std::log1p(std::exp(x)); }
double clamp(double x, double low, double high) { return std::isnan(x) ? x : std::fmin(std::fmax(x, low), high); }

double run(cn_ew fn, const std::vector<double>& in, bool bool_result) {
    cn_attr attr{};
    attr.ew = {fn, kP, kQ, kR};
    cn_type type{}, condition{}, out{};
    type.dtype = CORNU_FLOAT64;
    condition.dtype = CORNU_BOOL;
    out.dtype = bool_result ? CORNU_BOOL : CORNU_FLOAT64;
    const uint8_t flag = in[0] != 0;
    const cn_type* types[] = {in.size() == 3 ? &condition : &type, &type, &type};
    const void* data[] = {in.size() == 3 ? (const void*)&flag : &in[0], in.size() > 1 ? &in[1] : nullptr, in.size() > 2 ? &in[2] : nullptr};
    double result = 0;
    uint8_t truth = 0;
    const cn_ref_step step = {CN_OP_ew, &attr, (int)in.size(), types, data, &out, bool_result ? (void*)&truth : &result, 0, 0};
    EXPECT_EQ(cn_ref_run(&step), CORNU_OK) << cornu_last_error();
    return bool_result ? truth : result;
}

bool close(double a, double b) {
    if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
    return a == b || std::fabs(a - b) <= 1e-12 * std::fmax(std::fabs(a), std::fabs(b)) + 1e-15;
}

/* By bisection. */
double inverse_erf(double x) {
    double low = -10, high = 10;
    if (!(std::fabs(x) < 1)) return x == 1 ? kInf : x == -1 ? -kInf : kNan;
    for (int i = 0; i < 200; i++) (std::erf((low + high) / 2) < x ? low : high) = (low + high) / 2;
    return (low + high) / 2;
}

typedef std::function<double(double)> F1;
typedef std::function<double(double, double)> F2;

const std::map<int, F1>& unary() {
    static const std::map<int, F1> table = {
        {CN_EW_copy, [](double x) { return x; }},
        {CN_EW_neg, [](double x) { return -x; }},
        {CN_EW_abs, [](double x) { return std::fabs(x); }},
        {CN_EW_sign, [](double x) { return std::isnan(x) ? x : (x > 0) - (x < 0); }},
        {CN_EW_square, [](double x) { return std::pow(x, 2); }},
        {CN_EW_reciprocal, [](double x) { return std::pow(x, -1); }},
        {CN_EW_sqrt, [](double x) { return x < 0 ? kNan : std::sqrt(x); }},
        {CN_EW_rsqrt, [](double x) { return x < 0 ? kNan : 1 / std::sqrt(x); }},
        {CN_EW_cbrt, [](double x) { return std::cbrt(x); }},
        {CN_EW_exp, [](double x) { return std::exp(x); }},
        {CN_EW_exp2, [](double x) { return std::pow(2, x); }},
        {CN_EW_expm1, [](double x) { return std::expm1(x); }},
        {CN_EW_log, [](double x) { return x < 0 ? kNan : std::log(x); }},
        {CN_EW_log2, [](double x) { return x < 0 ? kNan : std::log(x) / std::log(2.0); }},
        {CN_EW_log10, [](double x) { return x < 0 ? kNan : std::log(x) / std::log(10.0); }},
        {CN_EW_log1p, [](double x) { return x < -1 ? kNan : std::log1p(x); }},
        {CN_EW_sin, [](double x) { return std::sin(x); }},
        {CN_EW_cos, [](double x) { return std::cos(x); }},
        {CN_EW_tan, [](double x) { return std::tan(x); }},
        {CN_EW_asin, [](double x) { return std::fabs(x) > 1 ? kNan : std::asin(x); }},
        {CN_EW_acos, [](double x) { return std::fabs(x) > 1 ? kNan : std::acos(x); }},
        {CN_EW_atan, [](double x) { return std::atan(x); }},
        {CN_EW_sinh, [](double x) { return std::sinh(x); }},
        {CN_EW_cosh, [](double x) { return std::cosh(x); }},
        {CN_EW_tanh, [](double x) { return std::tanh(x); }},
        {CN_EW_asinh, [](double x) { return std::asinh(x); }},
        {CN_EW_acosh, [](double x) { return x < 1 ? kNan : std::acosh(x); }},
        {CN_EW_atanh, [](double x) { return std::fabs(x) > 1 ? kNan : std::atanh(x); }},
        {CN_EW_erf, [](double x) { return std::erf(x); }},
        {CN_EW_erfc, [](double x) { return std::erfc(x); }},
        {CN_EW_erfinv, inverse_erf},
        {CN_EW_i0, [](double x) { return std::isnan(x) ? x : std::fabs(x) > 710 ? kInf : std::cyl_bessel_i(0.0, std::fabs(x)); }},
        {CN_EW_sinc, [](double x) { return x == 0 ? 1 : std::sin(M_PI * x) / (M_PI * x); }},
        {CN_EW_signbit, [](double x) { return (double)(!std::isnan(x) && std::signbit(x)); }},
        {CN_EW_floor, [](double x) { return std::floor(x); }},
        {CN_EW_ceil, [](double x) { return std::ceil(x); }},
        {CN_EW_trunc, [](double x) { return std::trunc(x); }},
        {CN_EW_round, [](double x) { return std::fabs(x) > 1e15 || std::isnan(x) ? x : x - std::remainder(x, 1); }},
        {CN_EW_isnan, [](double x) { return (double)std::isnan(x); }},
        {CN_EW_isinf, [](double x) { return (double)std::isinf(x); }},
        {CN_EW_isfinite, [](double x) { return (double)std::isfinite(x); }},
        {CN_EW_not, [](double x) { return (double)(x == 0); }},
        {CN_EW_affine, [](double x) { return kP * x + kQ; }},
        {CN_EW_clip, [](double x) { return clamp(x, kP, kQ); }},
        {CN_EW_relu, [](double x) { return clamp(x, 0, kInf); }},
        {CN_EW_relu6, [](double x) { return clamp(x, 0, 6); }},
        // With a threshold NaN counts as below it, and comes back through the slope.
        {CN_EW_relu_general, [](double x) { return (x > kR ? std::fmin(x, kQ) : 0) - kP * clamp(kR - x, 0, kInf); }},
        {CN_EW_leaky_relu, [](double x) { return x > 0 ? x : kP * x; }},
        {CN_EW_elu, [](double x) { return x > 0 ? x : kP * std::expm1(x); }},
        {CN_EW_selu, [](double x) { return 1.0507009873554804934 * (x > 0 ? x : 1.6732632423543772848 * std::expm1(x)); }},
        {CN_EW_celu, [](double x) { return x > 0 ? x : kP * std::expm1(x / kP); }},
        {CN_EW_sigmoid, sigmoid},
        {CN_EW_log_sigmoid, [](double x) { return -softplus(-x); }},
        {CN_EW_silu, [](double x) { return x * sigmoid(x); }},
        {CN_EW_hard_sigmoid, [](double x) { return clamp(x + 3, 0, 6) / 6; }},
        {CN_EW_hard_silu, [](double x) { return x * clamp(x + 3, 0, 6) / 6; }},
        {CN_EW_hard_tanh, [](double x) { return clamp(x, -1, 1); }},
        {CN_EW_gelu, [](double x) { return x * 0.5 * std::erfc(-x / std::sqrt(2.0)); }},
        {CN_EW_gelu_tanh, [](double x) { return x * sigmoid(2 * std::sqrt(2 / M_PI) * (x + 0.044715 * std::pow(x, 3))); }},
        {CN_EW_softplus, softplus},
        {CN_EW_softsign, [](double x) { return x / (std::fabs(x) + 1); }},
        {CN_EW_mish, [](double x) { return x * std::tanh(softplus(x)); }},
        {CN_EW_tanh_shrink, [](double x) { return x - std::tanh(x); }},
        {CN_EW_hard_shrink, [](double x) { return std::fabs(x) > kP ? x : 0; }},
        {CN_EW_soft_shrink, [](double x) { return std::fabs(x) > kP ? x - std::copysign(kP, x) : 0; }},
        {CN_EW_threshold, [](double x) { return x > kP ? x : kQ; }},
        {CN_EW_squareplus, [](double x) { return (x + std::sqrt(x * x + kP)) / 2; }},
        {CN_EW_sparse_plus, [](double x) { return x <= -1 ? 0 : x < 1 ? 0.25 * std::pow(x + 1, 2) : x; }},
        {CN_EW_sparse_sigmoid, [](double x) { return clamp(0.5 * (x + 1), 0, 1); }},
    };
    return table;
}

const std::map<int, F2>& binary() {
    static const std::map<int, F2> table = {
        {CN_EW_add, [](double x, double z) { return z + x; }},
        {CN_EW_sub, [](double x, double z) { return x - z; }},
        {CN_EW_mul, [](double x, double z) { return z * x; }},
        {CN_EW_div, [](double x, double z) { return x / z; }},
        {CN_EW_div_no_nan, [](double x, double z) { return z == 0 ? 0 : x / z; }},
        {CN_EW_floor_div, [](double x, double z) { return std::floor(x / z); }},
        {CN_EW_mod, [](double x, double z) { double r = std::fmod(x, z); return r != 0 && std::signbit(r) != std::signbit(z) ? r + z : r; }},
        {CN_EW_pow, [](double x, double z) { return std::pow(x, z); }},
        {CN_EW_max, [](double x, double z) { return std::isnan(x + z) && (std::isnan(x) || std::isnan(z)) ? kNan : std::fmax(x, z); }},
        {CN_EW_min, [](double x, double z) { return std::isnan(x) || std::isnan(z) ? kNan : std::fmin(x, z); }},
        {CN_EW_atan2, [](double x, double z) { return std::atan2(x, z); }},
        {CN_EW_logaddexp, [](double x, double z) { return x == z ? x + M_LN2 : std::isnan(x + z) && !std::isinf(x) ? kNan : std::isnan(z) ? kNan : std::fmax(x, z) + std::log1p(std::exp(-std::fabs(x - z))); }},
        {CN_EW_hypot, [](double x, double z) { return std::isnan(x) || std::isnan(z) || (std::isinf(x) && std::isinf(z)) ? kNan : std::hypot(x, z); }},
        {CN_EW_nextafter, [](double x, double z) { return std::nextafter(x, z); }},
        {CN_EW_prelu, [](double x, double z) { return x >= 0 || std::isnan(x) ? x : x * z; }},
        {CN_EW_eq, [](double x, double z) { return (double)(x == z); }},
        {CN_EW_ne, [](double x, double z) { return (double)!(x == z); }},
        {CN_EW_lt, [](double x, double z) { return (double)(z > x); }},
        {CN_EW_le, [](double x, double z) { return (double)(z >= x); }},
        {CN_EW_gt, [](double x, double z) { return (double)(z < x); }},
        {CN_EW_ge, [](double x, double z) { return (double)(z <= x); }},
        {CN_EW_and, [](double x, double z) { return (double)!(x == 0 || z == 0); }},
        {CN_EW_or, [](double x, double z) { return (double)!(x == 0 && z == 0); }},
        {CN_EW_xor, [](double x, double z) { return (double)((x == 0) != (z == 0)); }},
    };
    return table;
}

}  // namespace

TEST(RefEw, EveryRowHasAFormula) {
    for (int fn = 0; fn < CN_EW_COUNT; fn++) {
        const cn_ew_info* info = cn_ew_info_of((cn_ew)fn);
        if (!strchr(info->domains, 'F') || info->arity == 3) continue;
        EXPECT_EQ(info->arity == 1 ? unary().count(fn) : binary().count(fn), 1u) << info->name;
    }
}

TEST(RefEw, OneArgument) {
    for (const auto& row : unary()) {
        const cn_ew_info* info = cn_ew_info_of((cn_ew)row.first);
        for (double x : kArguments) {
            const double y = run((cn_ew)row.first, {x}, info->bool_result), expected = row.second(x);
            EXPECT_TRUE(close(y, expected)) << info->name << "(" << x << ") is " << y << ", not " << expected;
        }
    }
}

TEST(RefEw, TwoArguments) {
    for (const auto& row : binary()) {
        const cn_ew_info* info = cn_ew_info_of((cn_ew)row.first);
        for (double x : kArguments) {
            for (double z : kArguments) {
                const double y = run((cn_ew)row.first, {x, z}, info->bool_result), expected = row.second(x, z);
                EXPECT_TRUE(close(y, expected)) << info->name << "(" << x << ", " << z << ") is " << y << ", not " << expected;
            }
        }
    }
}

TEST(RefEw, Select) {
    EXPECT_EQ(run(CN_EW_select, {1, 2, 3}, false), 2);
    EXPECT_EQ(run(CN_EW_select, {0, 2, kNan}, false) != 2, true);
}

// What is only defined by the sign of zero.
TEST(RefEw, NegativeZero) {
    EXPECT_TRUE(std::signbit(run(CN_EW_neg, {0.0}, false)));
    EXPECT_TRUE(std::signbit(run(CN_EW_leaky_relu, {-0.0}, false)));
    EXPECT_EQ(run(CN_EW_reciprocal, {-0.0}, false), -kInf);
    EXPECT_FALSE(std::signbit(run(CN_EW_abs, {-0.0}, false)));
}
