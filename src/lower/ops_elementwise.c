/* Operations of one element each: keras/src/ops/numpy.py and the activations of nn.py, whose rows say which function of ew.def they are. */
#include <float.h>
#include <math.h>

#include "lower/ops.h"

/* ---- one operand ---- */

typedef enum unary_rule {
    UNARY_FLOAT,   /* integers and bools become float32 */
    UNARY_WIDE,    /* the same, but int64 becomes float64 */
    UNARY_SAME,    /* integers stay */
    UNARY_INTEGERS /* integers and bools are given back as they are */
} unary_rule;

typedef struct unary_row {
    const char* name;
    cn_act act;
    unary_rule rule;
    const char* p; /* keys of the config with the parameters, NULL: as in act */
    const char* q;
} unary_row;

#define DEGREE 0.017453292519943295

static const unary_row unaries[] = {
    {"Arccos", {CN_EW_acos, 0, 0, 0}, UNARY_FLOAT, NULL, NULL},
    {"Arccosh", {CN_EW_acosh, 0, 0, 0}, UNARY_FLOAT, NULL, NULL},
    {"Arcsin", {CN_EW_asin, 0, 0, 0}, UNARY_FLOAT, NULL, NULL},
    {"Arcsinh", {CN_EW_asinh, 0, 0, 0}, UNARY_FLOAT, NULL, NULL},
    {"Arctan", {CN_EW_atan, 0, 0, 0}, UNARY_FLOAT, NULL, NULL},
    {"Arctanh", {CN_EW_atanh, 0, 0, 0}, UNARY_FLOAT, NULL, NULL},
    {"Cbrt", {CN_EW_cbrt, 0, 0, 0}, UNARY_WIDE, NULL, NULL},
    {"Ceil", {CN_EW_ceil, 0, 0, 0}, UNARY_FLOAT, NULL, NULL},
    {"Cos", {CN_EW_cos, 0, 0, 0}, UNARY_FLOAT, NULL, NULL},
    {"Cosh", {CN_EW_cosh, 0, 0, 0}, UNARY_FLOAT, NULL, NULL},
    {"Deg2rad", {CN_EW_affine, DEGREE, 0, 0}, UNARY_WIDE, NULL, NULL},
    {"Exp", {CN_EW_exp, 0, 0, 0}, UNARY_FLOAT, NULL, NULL},
    {"Exp2", {CN_EW_exp2, 0, 0, 0}, UNARY_FLOAT, NULL, NULL},
    {"Expm1", {CN_EW_expm1, 0, 0, 0}, UNARY_FLOAT, NULL, NULL},
    {"Fabs", {CN_EW_abs, 0, 0, 0}, UNARY_FLOAT, NULL, NULL},
    {"Floor", {CN_EW_floor, 0, 0, 0}, UNARY_FLOAT, NULL, NULL},
    {"I0", {CN_EW_i0, 0, 0, 0}, UNARY_WIDE, NULL, NULL},
    {"Log", {CN_EW_log, 0, 0, 0}, UNARY_FLOAT, NULL, NULL},
    {"Log10", {CN_EW_log10, 0, 0, 0}, UNARY_FLOAT, NULL, NULL},
    {"Log1p", {CN_EW_log1p, 0, 0, 0}, UNARY_FLOAT, NULL, NULL},
    {"Log2", {CN_EW_log2, 0, 0, 0}, UNARY_FLOAT, NULL, NULL},
    {"Negative", {CN_EW_neg, 0, 0, 0}, UNARY_SAME, NULL, NULL},
    {"Rad2deg", {CN_EW_affine, 1 / DEGREE, 0, 0}, UNARY_WIDE, NULL, NULL},
    {"Reciprocal", {CN_EW_reciprocal, 0, 0, 0}, UNARY_SAME, NULL, NULL},
    {"Sign", {CN_EW_sign, 0, 0, 0}, UNARY_SAME, NULL, NULL},
    {"Sin", {CN_EW_sin, 0, 0, 0}, UNARY_FLOAT, NULL, NULL},
    {"Sinc", {CN_EW_sinc, 0, 0, 0}, UNARY_FLOAT, NULL, NULL},
    {"Sinh", {CN_EW_sinh, 0, 0, 0}, UNARY_FLOAT, NULL, NULL},
    {"Sqrt", {CN_EW_sqrt, 0, 0, 0}, UNARY_FLOAT, NULL, NULL},
    {"Tan", {CN_EW_tan, 0, 0, 0}, UNARY_FLOAT, NULL, NULL},
    {"Tanh", {CN_EW_tanh, 0, 0, 0}, UNARY_FLOAT, NULL, NULL},
    {"Trunc", {CN_EW_trunc, 0, 0, 0}, UNARY_INTEGERS, NULL, NULL},
    {"BitwiseInvert", {CN_EW_bitnot, 0, 0, 0}, UNARY_SAME, NULL, NULL},
    {"BitwiseNot", {CN_EW_bitnot, 0, 0, 0}, UNARY_SAME, NULL, NULL},
    {"Conj", {CN_EW_copy, 0, 0, 0}, UNARY_SAME, NULL, NULL},
    {"Conjugate", {CN_EW_copy, 0, 0, 0}, UNARY_SAME, NULL, NULL},
    {"Copy", {CN_EW_copy, 0, 0, 0}, UNARY_SAME, NULL, NULL},
    {"Real", {CN_EW_copy, 0, 0, 0}, UNARY_SAME, NULL, NULL},
    /* math.py */
    {"Erf", {CN_EW_erf, 0, 0, 0}, UNARY_SAME, NULL, NULL},
    {"Erfc", {CN_EW_erfc, 0, 0, 0}, UNARY_SAME, NULL, NULL},
    {"Erfinv", {CN_EW_erfinv, 0, 0, 0}, UNARY_SAME, NULL, NULL},
    {"Rsqrt", {CN_EW_rsqrt, 0, 0, 0}, UNARY_SAME, NULL, NULL},
    /* core.py */
    {"StopGradient", {CN_EW_copy, 0, 0, 0}, UNARY_SAME, NULL, NULL},
    /* nn.py */
    {"Relu", {CN_EW_relu, 0, 0, 0}, UNARY_SAME, NULL, NULL},
    {"Relu6", {CN_EW_relu6, 0, 0, 0}, UNARY_SAME, NULL, NULL},
    {"LeakyRelu", {CN_EW_leaky_relu, 0.2, 0, 0}, UNARY_SAME, "negative_slope", NULL},
    {"Elu", {CN_EW_elu, 1, 0, 0}, UNARY_SAME, "alpha", NULL},
    {"Selu", {CN_EW_selu, 0, 0, 0}, UNARY_SAME, NULL, NULL},
    {"Celu", {CN_EW_celu, 1, 0, 0}, UNARY_SAME, "alpha", NULL},
    {"Sigmoid", {CN_EW_sigmoid, 0, 0, 0}, UNARY_SAME, NULL, NULL},
    {"LogSigmoid", {CN_EW_log_sigmoid, 0, 0, 0}, UNARY_SAME, NULL, NULL},
    {"HardSigmoid", {CN_EW_hard_sigmoid, 0, 0, 0}, UNARY_SAME, NULL, NULL},
    {"Silu", {CN_EW_silu, 0, 0, 0}, UNARY_SAME, NULL, NULL},
    {"HardSilu", {CN_EW_hard_silu, 0, 0, 0}, UNARY_SAME, NULL, NULL},
    {"HardTanh", {CN_EW_hard_tanh, 0, 0, 0}, UNARY_SAME, NULL, NULL},
    {"TanhShrink", {CN_EW_tanh_shrink, 0, 0, 0}, UNARY_SAME, NULL, NULL},
    {"HardShrink", {CN_EW_hard_shrink, 0.5, 0, 0}, UNARY_SAME, "threshold", NULL},
    {"SoftShrink", {CN_EW_soft_shrink, 0.5, 0, 0}, UNARY_SAME, "threshold", NULL},
    {"Threshold", {CN_EW_threshold, 0, 0, 0}, UNARY_SAME, "threshold", "default_value"},
    {"Softplus", {CN_EW_softplus, 0, 0, 0}, UNARY_SAME, NULL, NULL},
    {"Softsign", {CN_EW_softsign, 0, 0, 0}, UNARY_SAME, NULL, NULL},
    {"SparsePlus", {CN_EW_sparse_plus, 0, 0, 0}, UNARY_SAME, NULL, NULL},
    {"SparseSigmoid", {CN_EW_sparse_sigmoid, 0, 0, 0}, UNARY_SAME, NULL, NULL},
    {"Squareplus", {CN_EW_squareplus, 4, 0, 0}, UNARY_SAME, "b", NULL},
    {"Mish", {CN_EW_mish, 0, 0, 0}, UNARY_SAME, NULL, NULL},
};
#define UNARY_COUNT (sizeof unaries / sizeof unaries[0])

static cornu_status lower_unary(cn_call* c) {
    const unary_row* row = unaries;
    cornu_dtype dtype;
    cn_act act;
    cn_id x;

    while (row < unaries + UNARY_COUNT - 1 && strcmp(row->name, c->layer->class_name) != 0) row++;
    act = row->act;
    if (row->p) CN_TRY(cn_config_double(c->layer, row->p, act.p, &act.p));
    if (row->q) CN_TRY(cn_config_double(c->layer, row->q, act.q, &act.q));
    CN_TRY(cn_op_tensor(c, 0, "x|variable|elements", &x));
    dtype = cn_op_type(c, x)->dtype;
    if (row->rule == UNARY_INTEGERS && !cn_dtype_is_float(dtype)) return cn_call_return(c, x);
    if (row->rule == UNARY_WIDE && dtype == CORNU_INT64) x = cn_graph_cast(c->g, x, CORNU_FLOAT64);
    if (row->rule != UNARY_SAME) x = cn_graph_cast(c->g, x, cn_float_of(dtype == CORNU_INT64 && row->rule == UNARY_WIDE ? CORNU_FLOAT64 : dtype));
    return cn_call_return(c, cn_graph_act(c->g, act, x));
}

/* The ReLU of keras.activations, with its parameters. */
static cornu_status lower_relu_general(cn_call* c) {
    cn_act act = {CN_EW_relu_general, 0, NAN, 0};
    cn_id x;

    CN_TRY(cn_op_tensor(c, 0, "x", &x));
    CN_TRY(cn_config_double(c->layer, "negative_slope", 0, &act.p));
    if (cn_config_get(c->layer, "max_value")) CN_TRY(cn_config_double(c->layer, "max_value", NAN, &act.q));
    CN_TRY(cn_config_double(c->layer, "threshold", 0, &act.r));
    return cn_call_return(c, cn_graph_act(c->g, act, x));
}

static cornu_status lower_gelu(cn_call* c) {
    bool approximate;
    cn_id x;

    CN_TRY(cn_op_tensor(c, 0, "x", &x));
    CN_TRY(cn_config_bool(c->layer, "approximate", true, &approximate));
    return cn_call_return(c, cn_graph_ew1(c->g, approximate ? CN_EW_gelu_tanh : CN_EW_gelu, x));
}

static cornu_status lower_absolute(cn_call* c) {
    cn_dtype_kind kind;
    cn_id x;

    CN_TRY(cn_op_tensor(c, 0, "x", &x));
    kind = cn_dtype_kind_of(cn_op_type(c, x)->dtype);
    return cn_call_return(c, kind == CN_KIND_U || kind == CN_KIND_B ? x : cn_graph_ew1(c->g, CN_EW_abs, x));
}

static cornu_status lower_square(cn_call* c) {
    cn_id x;
    CN_TRY(cn_op_tensor(c, 0, "x", &x));
    if (cn_op_type(c, x)->dtype == CORNU_BOOL) x = cn_graph_cast(c->g, x, CORNU_INT32);
    return cn_call_return(c, cn_graph_ew1(c->g, CN_EW_square, x));
}

static cornu_status lower_round(cn_call* c) {
    cornu_dtype dtype;
    int64_t decimals;
    double factor;
    cn_id x;

    CN_TRY(cn_op_tensor(c, 0, "x", &x));
    CN_TRY(cn_op_int(c, "decimals", 0, &decimals));
    dtype = cn_op_type(c, x)->dtype;
    if (!cn_dtype_is_float(dtype) && decimals >= 0) return cn_call_return(c, x);
    if (decimals == 0) return cn_call_return(c, cn_graph_ew1(c->g, CN_EW_round, x));
    factor = pow(10, (double)decimals);
    x = cn_op_ew(c, CN_EW_mul, cn_graph_cast(c->g, x, cn_float_of(dtype)), factor);
    x = cn_op_ew(c, CN_EW_div, cn_graph_ew1(c->g, CN_EW_round, x), factor);
    return cn_call_return(c, cn_graph_cast(c->g, x, dtype));
}

/* Questions about numbers that integers answer without being asked. */
static cornu_status lower_question(cn_call* c) {
    const char* name = c->layer->class_name;
    bool floats, is_finite = strcmp(name, "Isfinite") == 0;
    cn_id x;

    CN_TRY(cn_op_tensor(c, 0, "x", &x));
    floats = cn_dtype_is_float(cn_op_type(c, x)->dtype);
    if (strcmp(name, "Isreal") == 0 || !floats) {
        bool answer = strcmp(name, "Isreal") == 0 || is_finite;
        cn_id y = cn_graph_scalar(c->g, CORNU_BOOL, answer);
        return cn_call_return(c, cn_graph_broadcast(c->g, y, cn_op_type(c, x)->ndim, cn_op_type(c, x)->dims));
    }
    if (strcmp(name, "Isposinf") == 0) return cn_call_return(c, cn_op_ew(c, CN_EW_eq, x, INFINITY));
    if (strcmp(name, "Isneginf") == 0) return cn_call_return(c, cn_op_ew(c, CN_EW_eq, x, -INFINITY));
    return cn_call_return(c, cn_graph_ew1(c->g, is_finite ? CN_EW_isfinite : strcmp(name, "Isinf") == 0 ? CN_EW_isinf : CN_EW_isnan, x));
}

static cornu_status lower_signbit(cn_call* c) {
    cornu_dtype dtype;
    cn_id x;

    CN_TRY(cn_op_tensor(c, 0, "x", &x));
    dtype = cn_op_type(c, x)->dtype;
    if (cn_dtype_is_float(dtype)) return cn_call_return(c, cn_graph_ew1(c->g, CN_EW_signbit, x));
    return cn_call_return(c, cn_op_ew(c, CN_EW_lt, x, 0));
}

/* Of real numbers: the imaginary part is 0, the angle 0 or pi. */
static cornu_status lower_imag(cn_call* c) {
    cn_id x;
    CN_TRY(cn_op_tensor(c, 0, "x", &x));
    return cn_call_return(c, cn_graph_broadcast(c->g, cn_op_fill(c, x, 0), cn_op_type(c, x)->ndim, cn_op_type(c, x)->dims));
}

static cornu_status lower_angle(cn_call* c) {
    cn_id x;
    CN_TRY(cn_op_tensor(c, 0, "x", &x));
    x = cn_graph_cast(c->g, x, cn_float_of(cn_op_type(c, x)->dtype));
    return cn_call_return(c, cn_graph_select(c->g, cn_op_ew(c, CN_EW_lt, x, 0), cn_op_fill(c, x, 3.14159265358979323846), cn_op_fill(c, x, 0)));
}

static double largest_of(cornu_dtype dtype) {
    switch (dtype) {
        case CORNU_FLOAT16: return 65504;
        case CORNU_BFLOAT16: return 0x1.fep127;
        case CORNU_FLOAT64: return DBL_MAX;
        default: return (double)FLT_MAX;
    }
}

static cornu_status lower_nan_to_num(cn_call* c) {
    double nan_value = 0, high, low;
    cn_id x;

    CN_TRY(cn_op_tensor(c, 0, "x", &x));
    high = largest_of(cn_op_type(c, x)->dtype);
    low = -high;
    CN_TRY(cn_config_double(c->layer, "nan", 0, &nan_value));
    if (cn_config_get(c->layer, "posinf")) CN_TRY(cn_config_double(c->layer, "posinf", high, &high));
    if (cn_config_get(c->layer, "neginf")) CN_TRY(cn_config_double(c->layer, "neginf", low, &low));
    if (!cn_dtype_is_float(cn_op_type(c, x)->dtype)) return cn_call_return(c, x);
    x = cn_graph_select(c->g, cn_graph_ew1(c->g, CN_EW_isnan, x), cn_op_fill(c, x, nan_value), x);
    x = cn_graph_select(c->g, cn_op_ew(c, CN_EW_eq, x, INFINITY), cn_op_fill(c, x, high), x);
    return cn_call_return(c, cn_graph_select(c->g, cn_op_ew(c, CN_EW_eq, x, -INFINITY), cn_op_fill(c, x, low), x));
}

static cornu_status lower_clip(cn_call* c) {
    const cn_json *low = cn_config_get(c->layer, "x_min"), *high = cn_config_get(c->layer, "x_max");
    cn_id x;

    CN_TRY(cn_op_tensor(c, 0, "x", &x));
    if (cn_op_type(c, x)->dtype == CORNU_BOOL) x = cn_graph_cast(c->g, x, CORNU_INT32);
    if ((low && !cn_json_is(low, CN_JSON_INT) && !cn_json_is(low, CN_JSON_FLOAT)) || (high && !cn_json_is(high, CN_JSON_INT) && !cn_json_is(high, CN_JSON_FLOAT))) {
        return cn_config_unsupported(c->layer, "x_min, x_max", "numbers or null are possible");
    }
    if (high) x = cn_op_ew(c, CN_EW_min, x, cn_json_double(high));
    if (low) x = cn_op_ew(c, CN_EW_max, x, cn_json_double(low));
    return cn_call_return(c, x);
}

/* ---- two operands ---- */

typedef enum binary_rule {
    BINARY_WEAK,         /* numbers take the tensor's dtype */
    BINARY_WEAK_FLOAT,   /* and the result is a float */
    BINARY_STRICT,       /* numbers are int32 and float32 */
    BINARY_STRICT_FLOAT,
    BINARY_LOGICAL
} binary_rule;

typedef struct binary_row {
    const char* name;
    cn_ew fn;
    binary_rule rule;
} binary_row;

static const binary_row binaries[] = {
    {"Add", CN_EW_add, BINARY_WEAK},
    {"Subtract", CN_EW_sub, BINARY_WEAK},
    {"Multiply", CN_EW_mul, BINARY_WEAK},
    {"Maximum", CN_EW_max, BINARY_WEAK},
    {"Minimum", CN_EW_min, BINARY_WEAK},
    {"FloorDivide", CN_EW_floor_div, BINARY_WEAK},
    {"Divide", CN_EW_div, BINARY_WEAK_FLOAT},
    {"TrueDivide", CN_EW_div, BINARY_WEAK_FLOAT},
    {"DivideNoNan", CN_EW_div_no_nan, BINARY_WEAK_FLOAT},
    {"Arctan2", CN_EW_atan2, BINARY_STRICT_FLOAT},
    {"Logaddexp", CN_EW_logaddexp, BINARY_STRICT_FLOAT},
    {"Equal", CN_EW_eq, BINARY_STRICT},
    {"NotEqual", CN_EW_ne, BINARY_STRICT},
    {"Less", CN_EW_lt, BINARY_STRICT},
    {"LessEqual", CN_EW_le, BINARY_STRICT},
    {"Greater", CN_EW_gt, BINARY_STRICT},
    {"GreaterEqual", CN_EW_ge, BINARY_STRICT},
    {"BitwiseAnd", CN_EW_bitand, BINARY_STRICT},
    {"BitwiseOr", CN_EW_bitor, BINARY_STRICT},
    {"BitwiseXor", CN_EW_bitxor, BINARY_STRICT},
    {"Gcd", CN_EW_gcd, BINARY_STRICT},
    {"LogicalAnd", CN_EW_and, BINARY_LOGICAL},
    {"LogicalOr", CN_EW_or, BINARY_LOGICAL},
    {"LogicalXor", CN_EW_xor, BINARY_LOGICAL},
};
#define BINARY_COUNT (sizeof binaries / sizeof binaries[0])

static cornu_status lower_binary(cn_call* c) {
    const binary_row* row = binaries;
    bool weak, floats;
    cn_id x, z;

    while (row < binaries + BINARY_COUNT - 1 && strcmp(row->name, c->layer->class_name) != 0) row++;
    if (row->rule == BINARY_LOGICAL) {
        CN_TRY(cn_op_tensor(c, 0, "x1", &x));
        CN_TRY(cn_op_tensor(c, 1, "x2", &z));
        return cn_call_return(c, cn_graph_ew2(c->g, row->fn, cn_graph_cast(c->g, x, CORNU_BOOL), cn_graph_cast(c->g, z, CORNU_BOOL)));
    }
    weak = row->rule == BINARY_WEAK || row->rule == BINARY_WEAK_FLOAT;
    floats = row->rule == BINARY_WEAK_FLOAT || row->rule == BINARY_STRICT_FLOAT;
    CN_TRY(cn_op_pair(c, weak, floats ? CN_WEAK_FLOAT : (cornu_dtype)0, &x, &z));
    return cn_call_return(c, cn_graph_ew2(c->g, row->fn, x, z));
}

static cornu_status lower_logical_not(cn_call* c) {
    cn_id x;
    CN_TRY(cn_op_tensor(c, 0, "x", &x));
    return cn_call_return(c, cn_graph_ew1(c->g, CN_EW_not, cn_graph_cast(c->g, x, CORNU_BOOL)));
}

/* fmax and fmin: a NaN gives way to the other operand. */
static cornu_status lower_fmax(cn_call* c) {
    bool largest = strcmp(c->layer->class_name, "Fmax") == 0;
    cn_id x, z, y;

    CN_TRY(cn_op_pair(c, true, 0, &x, &z));
    y = cn_graph_ew2(c->g, largest ? CN_EW_max : CN_EW_min, x, z);
    if (!cn_dtype_is_float(cn_op_type(c, y)->dtype)) return cn_call_return(c, y);
    y = cn_graph_select(c->g, cn_graph_ew1(c->g, CN_EW_isnan, x), z, y);
    return cn_call_return(c, cn_graph_select(c->g, cn_graph_ew1(c->g, CN_EW_isnan, z), x, y));
}

static cornu_status lower_mod(cn_call* c) {
    bool as_c = strcmp(c->layer->class_name, "Fmod") == 0;
    cornu_dtype dtype, compute;
    cn_id x, z, y;

    CN_TRY(cn_op_pair(c, false, 0, &x, &z));
    dtype = cn_op_type(c, x)->dtype;
    if (dtype == CORNU_BOOL) dtype = CORNU_INT32;
    compute = as_c && cn_dtype_kind_of(dtype) == CN_KIND_U ? CORNU_INT32 : dtype;
    x = cn_graph_cast(c->g, x, compute);
    z = cn_graph_cast(c->g, z, compute);
    if (!as_c) return cn_call_return(c, cn_graph_ew2(c->g, CN_EW_mod, x, z));
    y = cn_graph_ew2(c->g, CN_EW_mod, cn_graph_ew1(c->g, CN_EW_abs, x), cn_graph_ew1(c->g, CN_EW_abs, z));
    y = cn_graph_ew2(c->g, CN_EW_mul, cn_graph_ew1(c->g, CN_EW_sign, x), y);
    return cn_call_return(c, cn_graph_cast(c->g, y, dtype));
}

static cornu_status lower_power(cn_call* c) {
    cornu_dtype dtype;
    cn_id x, z;

    CN_TRY(cn_op_pair(c, true, 0, &x, &z));
    dtype = cn_op_type(c, x)->dtype;
    if (cn_dtype_kind_of(dtype) == CN_KIND_U) {
        x = cn_graph_cast(c->g, x, CORNU_INT32);
        z = cn_graph_cast(c->g, z, CORNU_INT32);
    }
    return cn_call_return(c, cn_graph_cast(c->g, cn_graph_ew2(c->g, CN_EW_pow, x, z), dtype));
}

/* A shift by a number keeps the dtype of what is shifted. */
static cornu_status lower_shift(cn_call* c) {
    bool left = strstr(c->layer->class_name, "Left") != NULL;
    const cn_arg* by = cn_op_arg(c, 1, "y");
    cn_id x, z;

    if (cn_op_dtype(c, by) == CN_WEAK_INT) {
        CN_TRY(cn_op_tensor(c, 0, "x", &x));
        CN_TRY(cn_op_convert(c, by, cn_op_type(c, x)->dtype, &z));
    } else {
        CN_TRY(cn_op_pair(c, false, 0, &x, &z));
    }
    return cn_call_return(c, cn_graph_ew2(c->g, left ? CN_EW_shl : CN_EW_shr, x, z));
}

/* Operands as floats by the rule of heaviside and hypot: int64 as float64, other integers as float32. */
static cornu_status wide_pair(cn_call* c, cn_id* x, cn_id* z) {
    cornu_dtype dtype;

    CN_TRY(cn_op_pair(c, false, 0, x, z));
    dtype = cn_op_type(c, *x)->dtype;
    dtype = dtype == CORNU_INT64 ? CORNU_FLOAT64 : cn_float_of(dtype);
    *x = cn_graph_cast(c->g, *x, dtype);
    *z = cn_graph_cast(c->g, *z, dtype);
    return cn_graph_status(c->g);
}

static cornu_status lower_heaviside(cn_call* c) {
    cn_id x, z;
    CN_TRY(wide_pair(c, &x, &z));
    z = cn_graph_select(c->g, cn_op_ew(c, CN_EW_gt, x, 0), cn_op_fill(c, x, 1), z);
    return cn_call_return(c, cn_graph_select(c->g, cn_op_ew(c, CN_EW_lt, x, 0), cn_op_fill(c, x, 0), z));
}

static cornu_status lower_hypot(cn_call* c) {
    cn_id x, z;
    CN_TRY(wide_pair(c, &x, &z));
    return cn_call_return(c, cn_graph_ew2(c->g, CN_EW_hypot, x, z));
}

static cornu_status lower_lcm(cn_call* c) {
    cn_id x, z, divisor, none, y;

    CN_TRY(cn_op_pair(c, false, 0, &x, &z));
    x = cn_graph_ew1(c->g, CN_EW_abs, x);
    z = cn_graph_ew1(c->g, CN_EW_abs, z);
    divisor = cn_graph_ew2(c->g, CN_EW_gcd, x, z);
    none = cn_op_ew(c, CN_EW_eq, divisor, 0);
    y = cn_graph_ew2(c->g, CN_EW_mul, x, cn_graph_ew2(c->g, CN_EW_floor_div, z, cn_op_ew(c, CN_EW_max, divisor, 1)));
    return cn_call_return(c, cn_graph_select(c->g, none, cn_op_fill(c, y, 0), y));
}

static cornu_status lower_ldexp(cn_call* c) {
    cn_id x, z, y, keep;

    CN_TRY(cn_op_pair(c, false, CN_WEAK_FLOAT, &x, &z));
    y = cn_graph_ew2(c->g, CN_EW_mul, x, cn_graph_ew1(c->g, CN_EW_exp2, z));
    keep = cn_graph_ew2(c->g, CN_EW_or, cn_graph_ew1(c->g, CN_EW_isinf, x), cn_op_ew(c, CN_EW_eq, x, 0));
    return cn_call_return(c, cn_graph_select(c->g, keep, x, y));
}

/* log2(2^x + 2^z) */
static cornu_status lower_logaddexp2(cn_call* c) {
    cn_id x, z;
    CN_TRY(cn_op_pair(c, false, CN_WEAK_FLOAT, &x, &z));
    x = cn_op_ew(c, CN_EW_mul, x, 0.69314718055994530942);
    z = cn_op_ew(c, CN_EW_mul, z, 0.69314718055994530942);
    return cn_call_return(c, cn_op_ew(c, CN_EW_mul, cn_graph_ew2(c->g, CN_EW_logaddexp, x, z), 1.44269504088896340736));
}

/* Keras takes the next double and rounds it to the dtype. */
static cornu_status lower_nextafter(cn_call* c) {
    cornu_dtype dtype;
    cn_id x, z;

    CN_TRY(cn_op_pair(c, false, CN_WEAK_FLOAT, &x, &z));
    dtype = cn_op_type(c, x)->dtype;
    x = cn_graph_ew2(c->g, CN_EW_nextafter, cn_graph_cast(c->g, x, CORNU_FLOAT64), cn_graph_cast(c->g, z, CORNU_FLOAT64));
    return cn_call_return(c, cn_graph_cast(c->g, x, dtype));
}

static cornu_status lower_isclose(cn_call* c) {
    bool all = strcmp(c->layer->class_name, "AllClose") == 0, equal_nan;
    double rtol = 1e-5, atol = 1e-8;
    cn_id x, z, y, bound;

    CN_TRY(cn_op_pair(c, false, 0, &x, &z));
    CN_TRY(cn_config_bool(c->layer, "equal_nan", false, &equal_nan));
    CN_TRY(cn_config_double(c->layer, "rtol", rtol, &rtol));
    CN_TRY(cn_config_double(c->layer, "atol", atol, &atol));
    CN_TRY(cn_op_number(cn_op_arg(c, 2, "rtol"), rtol, &rtol));
    CN_TRY(cn_op_number(cn_op_arg(c, 3, "atol"), atol, &atol));
    if (!cn_dtype_is_float(cn_op_type(c, x)->dtype)) {
        y = cn_graph_ew2(c->g, CN_EW_eq, x, z);
    } else {
        bound = cn_op_ew(c, CN_EW_add, cn_op_ew(c, CN_EW_mul, cn_graph_ew1(c->g, CN_EW_abs, z), rtol), atol);
        y = cn_graph_ew2(c->g, CN_EW_le, cn_graph_ew1(c->g, CN_EW_abs, cn_graph_ew2(c->g, CN_EW_sub, x, z)), bound);
        if (all) {
            cn_id finite = cn_graph_ew2(c->g, CN_EW_and, cn_graph_ew1(c->g, CN_EW_isfinite, x), cn_graph_ew1(c->g, CN_EW_isfinite, z));
            y = cn_graph_ew2(c->g, CN_EW_or, cn_graph_ew2(c->g, CN_EW_and, finite, y), cn_graph_ew2(c->g, CN_EW_eq, x, z));
        }
        if (equal_nan) y = cn_graph_ew2(c->g, CN_EW_or, y, cn_graph_ew2(c->g, CN_EW_and, cn_graph_ew1(c->g, CN_EW_isnan, x), cn_graph_ew1(c->g, CN_EW_isnan, z)));
    }
    return cn_call_return(c, all ? cn_graph_reduce(c->g, y, CN_REDUCE_ALL, cn_op_all_axes(cn_op_type(c, y)->ndim), false) : y);
}

static cornu_status lower_where(cn_call* c) {
    const cn_arg *a = cn_op_arg(c, 1, "x1"), *b = cn_op_arg(c, 2, "x2");
    cornu_dtype dtype = cn_result_type2(cn_op_dtype(c, a), cn_op_dtype(c, b));
    cn_id condition, x, z;

    if (!cn_op_given(a) || !cn_op_given(b)) return CN_FAIL(UNSUPPORTED, "operation Where of a condition alone: its size depends on the data");
    CN_TRY(cn_op_tensor(c, 0, "condition", &condition));
    if (dtype == 0) return CN_FAIL(UNSUPPORTED, "operands without a common dtype");
    CN_TRY(cn_op_convert(c, a, dtype, &x));
    CN_TRY(cn_op_convert(c, b, dtype, &z));
    return cn_call_return(c, cn_graph_select(c->g, cn_graph_cast(c->g, condition, CORNU_BOOL), x, z));
}

/* The first choice whose condition holds. */
static cornu_status lower_select(cn_call* c) {
    const cn_arg *conditions = cn_op_arg(c, 0, "condlist"), *choices = cn_op_arg(c, 1, "choicelist"), *fallback = cn_op_arg(c, 2, "default");
    cornu_dtype dtypes[65];
    cn_id y, condition, choice;
    int n = choices->count;

    if (conditions->kind != CN_ARG_LIST || choices->kind != CN_ARG_LIST || conditions->count != n || n < 1 || n > 64) {
        return CN_FAIL(UNSUPPORTED, "condlist and choicelist must be lists of 1 to 64 tensors");
    }
    for (int i = 0; i < n; i++) dtypes[i] = cn_op_dtype(c, &choices->items[i]);
    dtypes[n] = cn_op_given(fallback) ? cn_op_dtype(c, fallback) : CN_WEAK_INT;
    dtypes[0] = cn_result_type(dtypes, n + 1);
    if (dtypes[0] == 0) return CN_FAIL(UNSUPPORTED, "choices without a common dtype");
    y = cn_graph_scalar(c->g, dtypes[0], 0);
    if (cn_op_given(fallback)) CN_TRY(cn_op_convert(c, fallback, dtypes[0], &y));
    for (int i = n - 1; i >= 0; i--) {
        CN_TRY(cn_op_convert(c, &conditions->items[i], CORNU_BOOL, &condition));
        CN_TRY(cn_op_convert(c, &choices->items[i], dtypes[0], &choice));
        y = cn_graph_select(c->g, condition, choice, y);
    }
    return cn_call_return(c, y);
}

#define UNARY(name) CN_OP_ROW(name, lower_unary)
#define BINARY(name) CN_OP_ROW(name, lower_binary)

const cn_layer_def cn_ops_elementwise[] = {
    UNARY("Arccos"), UNARY("Arccosh"), UNARY("Arcsin"), UNARY("Arcsinh"), UNARY("Arctan"), UNARY("Arctanh"), UNARY("Cbrt"),
    UNARY("Ceil"), UNARY("Cos"), UNARY("Cosh"), UNARY("Deg2rad"), UNARY("Exp"), UNARY("Exp2"), UNARY("Expm1"), UNARY("Fabs"),
    UNARY("Floor"), UNARY("I0"), UNARY("Log"), UNARY("Log10"), UNARY("Log1p"), UNARY("Log2"), UNARY("Negative"),
    UNARY("Rad2deg"), UNARY("Reciprocal"), UNARY("Sign"), UNARY("Sin"), UNARY("Sinc"), UNARY("Sinh"), UNARY("Sqrt"),
    UNARY("Tan"), UNARY("Tanh"), UNARY("Trunc"), UNARY("BitwiseInvert"), UNARY("BitwiseNot"), UNARY("Conj"),
    UNARY("Conjugate"), UNARY("Copy"), UNARY("Real"), UNARY("Erf"), UNARY("Erfc"), UNARY("Erfinv"), UNARY("Rsqrt"),
    UNARY("StopGradient"), UNARY("Relu"), UNARY("Relu6"), UNARY("LeakyRelu"), UNARY("Elu"), UNARY("Selu"), UNARY("Celu"),
    UNARY("Sigmoid"), UNARY("LogSigmoid"), UNARY("HardSigmoid"), UNARY("Silu"), UNARY("HardSilu"), UNARY("HardTanh"),
    UNARY("TanhShrink"), UNARY("HardShrink"), UNARY("SoftShrink"), UNARY("Threshold"), UNARY("Softplus"), UNARY("Softsign"),
    UNARY("SparsePlus"), UNARY("SparseSigmoid"), UNARY("Squareplus"), UNARY("Mish"),
    CN_OP_ROW("ReLU", lower_relu_general),
    CN_OP_ROW("Gelu", lower_gelu),
    CN_OP_ROW("Abs", lower_absolute),
    CN_OP_ROW("Absolute", lower_absolute),
    CN_OP_ROW("Square", lower_square),
    CN_OP_ROW("Round", lower_round),
    CN_OP_ROW("Isfinite", lower_question),
    CN_OP_ROW("Isinf", lower_question),
    CN_OP_ROW("Isnan", lower_question),
    CN_OP_ROW("Isposinf", lower_question),
    CN_OP_ROW("Isneginf", lower_question),
    CN_OP_ROW("Isreal", lower_question),
    CN_OP_ROW("Signbit", lower_signbit),
    CN_OP_ROW("Imag", lower_imag),
    CN_OP_ROW("Angle", lower_angle),
    CN_OP_ROW("NanToNum", lower_nan_to_num),
    CN_OP_ROW("Clip", lower_clip),
    BINARY("Add"), BINARY("Subtract"), BINARY("Multiply"), BINARY("Maximum"), BINARY("Minimum"), BINARY("FloorDivide"),
    BINARY("Divide"), BINARY("TrueDivide"), BINARY("DivideNoNan"), BINARY("Arctan2"), BINARY("Logaddexp"), BINARY("Equal"),
    BINARY("NotEqual"), BINARY("Less"), BINARY("LessEqual"), BINARY("Greater"), BINARY("GreaterEqual"), BINARY("BitwiseAnd"),
    BINARY("BitwiseOr"), BINARY("BitwiseXor"), BINARY("Gcd"), BINARY("LogicalAnd"), BINARY("LogicalOr"), BINARY("LogicalXor"),
    CN_OP_ROW("LogicalNot", lower_logical_not),
    CN_OP_ROW("Fmax", lower_fmax),
    CN_OP_ROW("Fmin", lower_fmax),
    CN_OP_ROW("Mod", lower_mod),
    CN_OP_ROW("Fmod", lower_mod),
    CN_OP_ROW("Power", lower_power),
    CN_OP_ROW("BitwiseLeftShift", lower_shift),
    CN_OP_ROW("BitwiseRightShift", lower_shift),
    CN_OP_ROW("LeftShift", lower_shift),
    CN_OP_ROW("RightShift", lower_shift),
    CN_OP_ROW("Heaviside", lower_heaviside),
    CN_OP_ROW("Hypot", lower_hypot),
    CN_OP_ROW("Lcm", lower_lcm),
    CN_OP_ROW("Ldexp", lower_ldexp),
    CN_OP_ROW("Logaddexp2", lower_logaddexp2),
    CN_OP_ROW("Nextafter", lower_nextafter),
    CN_OP_ROW("Isclose", lower_isclose),
    CN_OP_ROW("AllClose", lower_isclose),
    CN_OP_ROW("Where", lower_where),
    CN_OP_ROW("Select", lower_select),
    {0},
};
