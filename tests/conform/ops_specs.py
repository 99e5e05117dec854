"""What the conformance cases of operations try: for each operation that a functional model of Keras records, expressions.

spec(NAME, "INPUTS | EXPRESSION", ...) declares the cases of a class. Inputs are named x, y, z, w; each is a letter for dtype and
range and its whole shape: f3,4 float32; h float16; d float64; p positive; q inside (-1, 1); i int32; l int64; s int8; t int16; u uint8;
m uint16; v uint32; b bool; n int32 from 0 to 2; a float32 with NaN and infinities; o distinct floats; c a positive definite matrix. In the
expression are ops, np, and the operators of Python. An operation of the installed Keras that is neither here nor in REFUSED fails by name.

    ops_specs.py PACK [TEXT]     writes the cases whose name has TEXT"""
import inspect
import io
import os
import sys
import zipfile
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "golden")]

SPECS = {}


def spec(name, *cases):
    SPECS.setdefault(name, []).extend(cases)


CALLS, COMPLEX, DATA = "calls a Python function", "complex numbers", "the size depends on the data"
REFUSED = {
    "AssociativeScan": CALLS, "Cond": CALLS, "ForiLoop": CALLS, "Map": CALLS, "Scan": CALLS, "Switch": CALLS,
    "VectorizedMap": CALLS, "WhileLoop": CALLS, "JVP": CALLS, "Function": "a container",
    "ViewAsComplex": COMPLEX, "ViewAsReal": COMPLEX, "Eig": COMPLEX, "Polar": COMPLEX, "Nonzero": DATA, "Unique": DATA, "Bincount": DATA,
    "Eigh": "signs of vectors", "Argpartition": "the order is left open", "View": "bits of another dtype", "CTCLoss": "not there yet",
    "CTCDecode": "not there yet", "AffineTransform": "not there yet", "PerspectiveTransform": "not there yet",
    "ElasticTransform": "random", "ScaleAndTranslate": "not there yet", "SSIM": "not there yet",
    "FakeQuantWithMinMaxVars": "quantized models", "Gammainc": "not there yet", "Histogram": "fails in Keras itself", "ConvTranspose": "fails in Keras itself: it takes output_padding for padding", "SegmentReduction": "a base class",
}

# ---- one operand ----
for name, fn in {"Cos": "cos", "Cosh": "cosh", "Exp": "exp", "Exp2": "exp2", "Expm1": "expm1", "Sin": "sin", "Sinc": "sinc", "Sinh": "sinh",
                 "Tan": "tan", "Tanh": "tanh", "Arctan": "arctan", "Arcsinh": "arcsinh", "Ceil": "ceil", "Floor": "floor",
                 "Deg2rad": "deg2rad", "Rad2deg": "rad2deg", "Fabs": "fabs", "Cbrt": "cbrt", "I0": "i0"}.items():
    spec(name, f"f3,4 | ops.{fn}(x)", f"h3,4 | ops.{fn}(x)", f"i3,4 | ops.{fn}(x)", f"t3,4 | ops.{fn}(x)")
for name, fn in {"Log": "log", "Log10": "log10", "Log1p": "log1p", "Log2": "log2", "Sqrt": "sqrt"}.items():
    spec(name, f"p3,4 | ops.{fn}(x)", f"n3,4 | ops.{fn}(x)", f"f3,4 | ops.{fn}(x)")
for name, fn in {"Arccos": "arccos", "Arcsin": "arcsin", "Arctanh": "arctanh"}.items():
    spec(name, f"q3,4 | ops.{fn}(x)", f"b3,4 | ops.{fn}(x)")
spec("Arccosh", "p3,4 | ops.arccosh(x + 1.0)")
for name, fn in {"Relu": "relu", "Relu6": "relu6", "Sigmoid": "sigmoid", "SparseSigmoid": "sparse_sigmoid", "TanhShrink": "tanh_shrink",
                 "Softplus": "softplus", "Softsign": "softsign", "SoftShrink": "soft_shrink", "SparsePlus": "sparse_plus", "Silu": "silu",
                 "Squareplus": "squareplus", "LogSigmoid": "log_sigmoid", "LeakyRelu": "leaky_relu", "HardSigmoid": "hard_sigmoid",
                 "HardSilu": "hard_silu", "Elu": "elu", "Selu": "selu", "Gelu": "gelu", "Celu": "celu", "HardTanh": "hard_tanh",
                 "HardShrink": "hard_shrink", "Erf": "erf", "Erfc": "erfc"}.items():
    spec(name, f"f3,4 | ops.{fn}(x)", f"h3,4 | ops.{fn}(x)")
spec("Relu", "i3,4 | ops.relu(x)")
spec("SoftShrink", "f3,4 | ops.soft_shrink(x, 0.8)")
spec("Squareplus", "f3,4 | ops.squareplus(x, 2)")
spec("LeakyRelu", "f3,4 | ops.leaky_relu(x, 0.35)")
spec("Elu", "f3,4 | ops.elu(x, 0.7)")
spec("Gelu", "f3,4 | ops.gelu(x, approximate=False)")
spec("Celu", "f3,4 | ops.celu(x, 0.6)")
spec("HardShrink", "f3,4 | ops.hard_shrink(x, 1.0)")
spec("Threshold", "f3,4 | ops.threshold(x, 0.5, -2.0)", "f3,4 | ops.threshold(x, 0, 7)")
spec("ReLU", "f3,4 | keras.activations.relu(x, negative_slope=0.1, max_value=2.0, threshold=0.3)",
     "f3,4 | keras.activations.relu(x, negative_slope=0.5)")
spec("Mish", "f3,4 | keras.src.activations.activations.Mish()(x)")
spec("Erfinv", "q3,4 | ops.erfinv(x)")
spec("Rsqrt", "p3,4 | ops.rsqrt(x)")
spec("Reciprocal", "p3,4 | ops.reciprocal(x)", "f3,4 | ops.reciprocal(x)")
for name, fn in {"Negative": "negative", "Sign": "sign", "Absolute": "absolute", "Square": "square", "Trunc": "trunc", "Round": "round"}.items():
    spec(name, f"f3,4 | ops.{fn}(x)", f"h3,4 | ops.{fn}(x)", f"i3,4 | ops.{fn}(x)")
spec("Abs", "u3,4 | keras.src.ops.numpy.Abs()(x)", "f3,4 | keras.src.ops.numpy.Abs()(x)")
spec("Absolute", "u3,4 | ops.abs(x)", "f3,4 | abs(x)", "b3,4 | ops.absolute(x)")
spec("Negative", "f3,4 | -x")
spec("Square", "b3,4 | ops.square(x)")
spec("Round", "f3,4 | ops.round(x, 1)", "i3,4 | ops.round(x, -1)", "f3,4 | ops.round(x * 20, -1)")
for name in ("Isfinite", "Isinf", "Isnan", "Isposinf", "Isneginf", "Isreal", "Signbit"):
    spec(name, *(f"{d}3,4 | ops.{name.lower()}(x)" for d in "afi"))
spec("Conj", "f3,4 | keras.src.ops.numpy.Conj()(x)")
for name in ("Imag", "Real", "Conjugate", "Angle", "Copy"):
    spec(name, f"f3,4 | ops.{name.lower()}(x)")
spec("NanToNum", "a3,4 | ops.nan_to_num(x)", "a3,4 | ops.nan_to_num(x, nan=2.0, posinf=5.0, neginf=-3)", "i3,4 | ops.nan_to_num(x)")
spec("Clip", "f3,4 | ops.clip(x, -0.5, 1)", "i3,4 | ops.clip(x, -1, 2)", "b3,4 | ops.clip(x, 0, 1)")
spec("BitwiseInvert", "i3,4 | ops.bitwise_invert(x)", "u3,4 | ops.bitwise_invert(x)")
spec("BitwiseNot", "i3,4 | ops.bitwise_not(x)")
spec("LogicalNot", "f3,4 | ops.logical_not(x)", "b3,4 | ~x")
spec("StopGradient", "f3,4 | ops.stop_gradient(x)")

# ---- two operands ----
for name, op in {"Add": "+", "Subtract": "-", "Multiply": "*"}.items():
    spec(name, f"f3,4 f3,4 | x {op} y", f"f3,4 f4 | x {op} y", f"f3,1,4 f2,1 | x {op} y", f"f3,4 | x {op} 2", f"f3,4 | 1.5 {op} x", f"i3,4 | x {op} 2",
         f"i3,4 | x {op} 2.5", f"h3,4 | x {op} 0.5", f"i3,4 f3,4 | x {op} y", f"u3,4 s3,4 | x {op} y", f"h3,4 i3,4 | x {op} y", f"b3,4 i3,4 | x {op} y",
         f"l3,4 i3,4 | x {op} y", f"d3,4 f3,4 | x {op} y", f"f3,4 | x {op} np.array([1.0, 2.0, -1.5, 0.25], 'float32')",
         f"f3,4 | x {op} np.arange(4)", f"m3,4 v3,4 | x {op} y", f"t3,4 | x {op} 3")
for name, fn in {"Maximum": "maximum", "Minimum": "minimum", "Fmax": "fmax", "Fmin": "fmin"}.items():
    spec(name, f"f3,4 f4 | ops.{fn}(x, y)", f"i3,4 | ops.{fn}(x, 1)", f"a3,4 f3,4 | ops.{fn}(x, y)", f"i3,4 f3,4 | ops.{fn}(x, y)", f"h3,4 | ops.{fn}(x, 0.5)")
spec("Divide", "f3,4 p3,4 | ops.divide(x, y)", "f3,4 | ops.divide(x, 3)")
spec("TrueDivide", "f3,4 p3,4 | ops.true_divide(x, y)", "f3,4 p3,4 | x / y", "i3,4 | x / 4", "f3,4 | 1 / (x * x + 1)", "i3,4 l3,4 | x / y")
spec("DivideNoNan", "f3,4 n3,4 | ops.divide_no_nan(x, y)")
spec("FloorDivide", "f3,4 p3,4 | x // y", "i3,4 | x // 3", "i3,4 | x // -2")
spec("Mod", "f3,4 p3,4 | x % y", "i3,4 | x % 3", "i3,4 | x % -3", "f3,4 | ops.mod(x, -0.7)")
spec("Fmod", "f3,4 p3,4 | ops.fmod(x, y)", "i3,4 | ops.fmod(x, 3)")
spec("Power", "p3,4 f3,4 | x ** y", "f3,4 | x ** 2", "i3,4 | x ** 2", "f3,4 | ops.power(2.0, x)", "u3,4 | ops.power(x, 2)")
for name, fn in {"Equal": "equal", "NotEqual": "not_equal", "Less": "less", "LessEqual": "less_equal", "Greater": "greater", "GreaterEqual": "greater_equal"}.items():
    spec(name, f"n3,4 n3,4 | ops.{fn}(x, y)", f"n3,4 n4 | ops.{fn}(x, y)", f"f3,4 f3,4 | ops.{fn}(x, y)", f"n3,4 | ops.{fn}(x, 1)", f"f3,4 | ops.{fn}(x, 0.0)", f"n3,4 f3,4 | ops.{fn}(x, y)", f"a3,4 f3,4 | ops.{fn}(x, y)")
spec("Less", "f3,4 | x < 0.3")
for name, fn in {"LogicalAnd": "logical_and", "LogicalOr": "logical_or", "LogicalXor": "logical_xor"}.items():
    spec(name, f"b3,4 b3,4 | ops.{fn}(x, y)", f"f3,4 n3,4 | ops.{fn}(x, y)", f"b3,4 | ops.{fn}(x, True)")
for name, fn in {"BitwiseAnd": "bitwise_and", "BitwiseOr": "bitwise_or", "BitwiseXor": "bitwise_xor"}.items():
    spec(name, f"i3,4 i3,4 | ops.{fn}(x, y)", f"u3,4 i3,4 | ops.{fn}(x, y)")
for name, fn in {"BitwiseLeftShift": "bitwise_left_shift", "LeftShift": "left_shift", "BitwiseRightShift": "bitwise_right_shift", "RightShift": "right_shift"}.items():
    spec(name, f"i3,4 n3,4 | ops.{fn}(x, y)", f"u3,4 | ops.{fn}(x, 2)", f"i3,4 | ops.{fn}(x, 3)")
spec("Gcd", "i3,4 i3,4 | ops.gcd(x * 6, y * 4)")
spec("Lcm", "i3,4 i3,4 | ops.lcm(x, y)")
spec("Heaviside", "f3,4 f3,4 | ops.heaviside(x, y)", "n3,4 n3,4 | ops.heaviside(x, y)")
spec("Hypot", "f3,4 f3,4 | ops.hypot(x, y)", "i3,4 i3,4 | ops.hypot(x, y)", "l3,4 l3,4 | ops.hypot(x, y)")
spec("Arctan2", "f3,4 f3,4 | ops.arctan2(x, y)", "i3,4 f4 | ops.arctan2(x, y)")
spec("Logaddexp", "f3,4 f3,4 | ops.logaddexp(x, y)")
spec("Logaddexp2", "f3,4 f3,4 | ops.logaddexp2(x, y)")
spec("Ldexp", "f3,4 i3,4 | ops.ldexp(x, y)")
spec("Nextafter", "f3,4 f3,4 | ops.nextafter(x, y)")
spec("Isclose", "f3,4 f3,4 | ops.isclose(x, y, rtol=0.1, atol=1.0)", "a3,4 a3,4 | ops.isclose(x, y, equal_nan=True)", "n3,4 n3,4 | ops.isclose(x, y)")
spec("AllClose", "f3,4 f3,4 | ops.allclose(x, y, atol=9.0)", "f3,4 | ops.allclose(x, x)", "f3,4 f3,4 | ops.allclose(x, y)")
spec("Where", "b3,4 f3,4 f3,4 | ops.where(x, y, z)", "f3,4 f3,4 | ops.where(x > 0, y, 0)", "n3,4 i3,4 | ops.where(x, y, 1.5)", "b3,4 f3,1 i4 | ops.where(x, y, z)")
spec("Select", "f3,4 f3,4 f3,4 | ops.select([x > 1, x > 0], [y, z], 2.0)", "i3,4 i3,4 | ops.select([x > 0], [y])")

# ---- over axes ----
AXES = ["", "axis=0", "axis=-1, keepdims=True", "axis=(0, 2)", "axis=1"]
for name, fn in {"Sum": "sum", "Prod": "prod", "Mean": "mean", "Var": "var", "Std": "std", "Max": "max", "Min": "min", "Amax": "amax", "Amin": "amin",
                 "All": "all", "Any": "any", "Nansum": "nansum", "Nanprod": "nanprod", "Nanmean": "nanmean", "Nanvar": "nanvar", "Nanstd": "nanstd", "Nanmax": "nanmax",
                 "Nanmin": "nanmin", "Ptp": "ptp", "Median": "median", "Nanmedian": "nanmedian", "Logsumexp": "logsumexp"}.items():
    spec(name, *(f"f2,3,4 | ops.{fn}(x, {a})".replace(", )", ")") for a in AXES))
    if name not in ("Logsumexp", "Nanmedian"):
        spec(name, f"i2,3,4 | ops.{fn}(x, axis=1)")
    if name.startswith("Nan"):
        spec(name, f"a2,3,4 | ops.{fn}(x, axis=1)")
for d in "bsuhltmv":
    spec("Sum", f"{d}2,3,4 | ops.sum(x, axis=1)")
spec("Mean", "h2,3,4 | ops.mean(x, axis=1)", "b2,3,4 | ops.mean(x)")
spec("Prod", "u2,3 | ops.prod(x, axis=1)", "i2,3 | ops.prod(x, dtype='float32')")
spec("Max", "f2,3 | ops.max(x, axis=1, initial=0.5)", "b2,3 | ops.max(x, axis=1)")
spec("Min", "f2,3 | ops.min(x, axis=1, initial=-0.5)")
spec("CountNonzero", "n2,3,4 | ops.count_nonzero(x, axis=1)", "f2,3,4 | ops.count_nonzero(x)", "b2,3,4 | ops.count_nonzero(x, axis=(0, 1))")
spec("Average", "f2,3,4 | ops.average(x)", "f2,3,4 | ops.average(x, axis=1)", "f2,3,4 p2,3,4 | ops.average(x, axis=1, weights=y)", "f2,3 p3 | ops.average(x, axis=1, weights=y)", "i2,3 | ops.average(x, axis=0)")
for name, fn in {"Argmax": "argmax", "Argmin": "argmin", "Nanargmax": "nanargmax", "Nanargmin": "nanargmin"}.items():
    spec(name, f"f2,3,4 | ops.{fn}(x)", f"f2,3,4 | ops.{fn}(x, axis=-1)", f"n2,3,4 | ops.{fn}(x, axis=1, keepdims=True)", f"f2,3 | ops.{fn}(x, keepdims=True)")
spec("Nanargmax", "a2,3,4 | ops.nanargmax(x, axis=1)")
spec("Nanargmin", "a2,3,4 | ops.nanargmin(x, axis=1)")
spec("Sort", "f2,3,4 | ops.sort(x)", "i2,3,4 | ops.sort(x, axis=1)", "b2,3 | ops.sort(x)", "f2,3 | ops.sort(x, axis=None)", "h5,2 | ops.sort(x, axis=0)")
spec("Argsort", "f2,3,4 | ops.argsort(x)", "n2,3,4 | ops.argsort(x, axis=1)", "f2,3 | ops.argsort(x, axis=None)", "b2,5 | ops.argsort(x)")
spec("Cumsum", "f2,3,4 | ops.cumsum(x)", "f2,3,4 | ops.cumsum(x, axis=1)", "b2,5 | ops.cumsum(x, axis=1)", "i2,3 | ops.cumsum(x, axis=0, dtype='float32')")
spec("Cumprod", "f2,3,4 | ops.cumprod(x)", "i2,3 | ops.cumprod(x, axis=1)")
spec("Nancumsum", "a2,5 | ops.nancumsum(x, axis=0)", "f2,5 | ops.nancumsum(x)")
spec("Nancumprod", "f2,5 | ops.nancumprod(x, axis=1)")
for name, fn, q, many in (("Quantile", "quantile", "0.3", "[0.1, 0.5, 0.9]"), ("Percentile", "percentile", "30", "[10.0, 50.0, 90.0]")):
    spec(name, f"f3,5 | ops.{fn}(x, {q})", f"f3,5 | ops.{fn}(x, {many}, axis=1)", f"f2,3,4 | ops.{fn}(x, {many}, axis=(0, 2), keepdims=True)", f"a3,5 | ops.{fn}(x, {q}, axis=1)",
         *(f"f3,5 | ops.{fn}(x, {q}, axis=1, method='{m}')" for m in ("lower", "higher", "nearest", "midpoint")), f"i3,5 | ops.{fn}(x, {q}, axis=0)")
spec("Nanquantile", "a3,5 | ops.nanquantile(x, 0.3, axis=1)", "f3,5 | ops.nanquantile(x, [0.2, 0.7], axis=1)")
spec("Nanpercentile", "a3,5 | ops.nanpercentile(x, 30, axis=1)")

# ---- shapes ----
spec("Reshape", "f2,3,4 | ops.reshape(x, (2, -1))", "f2,3,4 | ops.reshape(x, (4, 6))", "f2,3,4 | ops.reshape(x, -1)")
spec("BroadcastTo", "f3,1 | ops.broadcast_to(x, (2, 3, 4))")
spec("Ravel", "f2,3,4 | ops.ravel(x)")
spec("ExpandDims", "f2,3 | ops.expand_dims(x, 0)", "f2,3 | ops.expand_dims(x, -1)", "f2,3 | ops.expand_dims(x, (0, 2))")
spec("Squeeze", "f2,1,3,1 | ops.squeeze(x)", "f2,1,3,1 | ops.squeeze(x, axis=1)", "f2,1,3,1 | ops.squeeze(x, axis=-1)", "f2,1,3,1 | ops.squeeze(x, axis=(1, 3))")
spec("Transpose", "f2,3,4 | ops.transpose(x)", "f2,3,4 | ops.transpose(x, (1, 2, 0))", "f2,3,4 | ops.transpose(x, (0, -1, 1))")
spec("Moveaxis", "f2,3,4 | ops.moveaxis(x, 0, -1)", "f2,3,4,5 | ops.moveaxis(x, (0, 1), (2, 0))")
spec("Swapaxes", "f2,3,4 | ops.swapaxes(x, 0, -1)")
spec("Flip", "f2,3,4 | ops.flip(x)", "f2,3,4 | ops.flip(x, axis=1)", "f2,3,4 | ops.flip(x, axis=(0, -1))")
spec("Fliplr", "f2,3,4 | ops.fliplr(x)")
spec("Flipud", "f2,3,4 | ops.flipud(x)")
spec("Rot90", "f3,4 | ops.rot90(x)", "f3,3 | ops.rot90(x, k=2)", "f2,3,4 | ops.rot90(x, k=3, axes=(1, 2))", "f2,3,4 | ops.rot90(x, k=-1, axes=(2, 0))")
spec("Roll", "f2,3,4 | ops.roll(x, 2)", "f2,3,4 | ops.roll(x, -1, axis=1)", "f2,3,4 | ops.roll(x, (1, 2), axis=(0, 2))")
spec("Concatenate", "f2,3 f2,4 | ops.concatenate([x, y], axis=1)", "f2,3 i4,3 | ops.concatenate([x, y])", "f2,3 | ops.concatenate([x, np.ones((1, 3), 'float32')], axis=0)", "f2,3 f2,3 | ops.concatenate([x, y], axis=-1)")
spec("Append", "f2,3 f2,4 | ops.append(x, y, axis=1)", "f2,3 i4 | ops.append(x, y)")
spec("Stack", "f2,3 f2,3 | ops.stack([x, y])", "f2,3 i2,3 | ops.stack([x, y], axis=-1)", "f2,3 f2,3 | ops.stack([x, y], axis=1)")
spec("Hstack", "f2,3 f2,4 | ops.hstack([x, y])")
spec("Vstack", "f2,3 f1,3 | ops.vstack([x, y])")
spec("Dstack", "f2,3 f2,3 | ops.dstack([x, y])", "f3 f3 | ops.dstack([x, y])")
spec("Meshgrid", "f3 f4 | ops.meshgrid(x, y)", "f3 f4 f2 | ops.meshgrid(x, y, z, indexing='ij')")
spec("Split", "f2,6 | ops.split(x, 3, axis=1)", "f2,6 | ops.split(x, [1, 4], axis=1)", "f4,3 | ops.split(x, 2)", "f2,6 | ops.split(x, 3, axis=-1)[1]")
spec("ArraySplit", "f2,7 | ops.array_split(x, 3, axis=1)")
spec("Hsplit", "f2,6 | ops.hsplit(x, 3)", "f6 | ops.hsplit(x, 2)")
spec("Vsplit", "f4,3 | ops.vsplit(x, 2)")
spec("Dsplit", "f2,3,4 | ops.dsplit(x, 2)")
spec("Unstack", "f2,3 | ops.unstack(x)", "f2,3,2 | ops.unstack(x, axis=1)", "f2,3 | ops.unstack(x, num=3, axis=-1)")
spec("Repeat", "f2,3 | ops.repeat(x, 2)", "f2,3 | ops.repeat(x, 3, axis=1)", "f2,3 | ops.repeat(x, [1, 0, 2], axis=1)")
spec("Tile", "f2,3 | ops.tile(x, (2, 1))", "f2,3 | ops.tile(x, 2)", "f2,3 | ops.tile(x, (2, 1, 3))")
spec("Pad", "f2,3 | ops.pad(x, ((1, 0), (2, 1)))", "f2,3 | ops.pad(x, ((0, 1), (1, 1)), constant_values=2.5)", "f3,4 | ops.pad(x, ((1, 2), (0, 3)), mode='reflect')", "f3,4 | ops.pad(x, ((1, 2), (0, 3)), mode='symmetric')")
spec("Size", "f2,3 | ops.size(x) + 0 * ops.cast(ops.sum(x), 'int32')")
spec("Ndim", "f2,3 | ops.cast(ops.ndim(x), 'int32')")
spec("EmptyLike", "f2,3 | ops.empty_like(x)")
spec("ZerosLike", "f2,3 | ops.zeros_like(x)", "f2,3 | ops.zeros_like(x, dtype='int32')")
spec("OnesLike", "i2,3 | ops.ones_like(x)")
spec("FullLike", "f2,3 | ops.full_like(x, 2.5)", "f2,3 | ops.full_like(x, 2, dtype='int32')")
spec("Full", "f3 | ops.full((2, 3), x)")
spec("Linspace", "f3 f3 | ops.linspace(x, y, 5)", "f3 | ops.linspace(x, 2.0, 4, endpoint=False)", "f2,3 f2,3 | ops.linspace(x, y, 3, axis=-1)")
spec("Logspace", "f3 f3 | ops.logspace(x, y, 5)", "f3 f3 | ops.logspace(x, y, 4, base=2)")
spec("Geomspace", "p3 p3 | ops.geomspace(x, y, 5)")
spec("Arange", "SKIP its size depends on the data")

# ---- picking ----
spec("GetItem", *(f"f4,5,6 | x[{k}]" for k in ("0", "-1", "1:3, 0", "1:3, :", ":, 0", ":, 1:4:2", "::-1, :", ":, ::-2", "..., 0", "0, ..., 1:3", "None, 0", ":, None, 2", "1, 2, 3", "-3:-1, ..., -2:", "3:1, 0", ":, :, :0", "2:, None, 1::3, -1")))
spec("Take", "f4,5 n3 | ops.take(x, y, axis=0)", "f4,5 n2,3 | ops.take(x, y, axis=1)", "f4,5 | ops.take(x, [0, -1, 3], axis=0)", "f4,5 n3 | ops.take(x, y)", "f4,5 | ops.take(x, 2, axis=1)", "i4,5 | ops.take(x, np.array([[1, 2]]), axis=-1)")
spec("TakeAlongAxis", "f3,4 n3,2 | ops.take_along_axis(x, y, axis=1)", "f3,4 n2,4 | ops.take_along_axis(x, y, axis=0)", "f3,4 n1,2 | ops.take_along_axis(x, y, axis=-1)", "f3,4 | ops.take_along_axis(x, ops.argsort(x, axis=1), axis=1)")
for name in ("Tril", "Triu"):
    spec(name, *(f"f3,4 | ops.{name.lower()}(x, k={k})" for k in (0, 1, -1)), f"f2,4,3 | ops.{name.lower()}(x)")
spec("Diag", "f3 | ops.diag(x)", "f3 | ops.diag(x, k=1)", "f3 | ops.diag(x, k=-2)", "f3,4 | ops.diag(x)", "f3,4 | ops.diag(x, k=1)")
spec("Diagflat", "f2,2 | ops.diagflat(x)", "f3 | ops.diagflat(x, k=1)")
spec("Diagonal", "f3,4 | ops.diagonal(x)", "f2,3,4 | ops.diagonal(x, offset=1, axis1=1, axis2=2)", "f2,3,4 | ops.diagonal(x, offset=-1)")
spec("Trace", "f3,4 | ops.trace(x)", "f2,3,4 | ops.trace(x, offset=1, axis1=1, axis2=2)", "u3,3 | ops.trace(x)")
spec("OneHot", "n2,3 | ops.one_hot(x, 3)", "n2,3 | ops.one_hot(x, 4, axis=1)", "n3 | ops.one_hot(x, 3, dtype='int32')", "n3 | ops.one_hot(x - 1, 3)")
spec("MultiHot", "n2,3 | ops.multi_hot(x, 4)", "n3 | ops.multi_hot(x, 4)", "n2,3 | ops.multi_hot(x, 4, dtype='int32')")
spec("SearchSorted", "f4 f5 | ops.searchsorted(ops.sort(x), y)", "n4 n5 | ops.searchsorted(ops.sort(x), y, side='right')")
spec("Digitize", "f3,4 | ops.digitize(x, np.array([-1.0, 0.0, 1.0]))", "n3,4 | ops.digitize(x, np.array([0.0, 1.0, 2.0]))")
spec("IsIn", "n3,4 n2 | ops.isin(x, y)", "n3,4 | ops.isin(x, [0, 2], invert=True)")
spec("UnravelIndex", "n4 | ops.unravel_index(x, (2, 3))")
spec("Slice", "f4,5 | ops.slice(x, (1, 2), (2, 3))", "f4,5 n2 | ops.slice(x, y, (2, 3))")
spec("SliceUpdate", "f4,5 f2,3 | ops.slice_update(x, (1, 2), y)", "f4,5 f2,3 n2 | ops.slice_update(x, z, y)")
spec("Scatter", "n3,1 f3,2 | ops.scatter(x, y, (4, 2))", "n3,2 f3 | ops.scatter(x, y, (3, 3))")
spec("ScatterUpdate", "f4,5 f2 | ops.scatter_update(x, [[0, 1], [3, 2]], y)", *(f"p4,5 n3,1 f3,5 | ops.scatter_update(x, y, z, reduction='{r}')" for r in ("add", "max", "min", "mul")))

# ---- products ----
spec("Matmul", "f2,3 f3,4 | x @ y", "f2,3,4 f4,5 | ops.matmul(x, y)", "f2,3,4 f2,4,5 | ops.matmul(x, y)", "f3 f3,4 | ops.matmul(x, y)", "f2,3 f3 | ops.matmul(x, y)", "f2,1,3,4 f5,4,2 | ops.matmul(x, y)", "i2,3 i3,4 | ops.matmul(x, y)", "s2,3 s3,4 | ops.matmul(x, y)", "h2,3 f3,4 | ops.matmul(x, y)", "f3 f3 | ops.matmul(x, y)")
spec("Dot", "f2,3 f3,4 | ops.dot(x, y)", "f2,3 f3 | ops.dot(x, y)", "f2,3,4 f5,4,2 | ops.dot(x, y)", "f2,3 | ops.dot(x, 2.0)", "i3 i3 | ops.dot(x, y)")
spec("Vdot", "f2,3 f2,3 | ops.vdot(x, y)")
spec("Inner", "f2,3 f4,3 | ops.inner(x, y)", "f3 f3 | ops.inner(x, y)")
spec("Tensordot", "f2,3,4 f3,4,5 | ops.tensordot(x, y)", "f2,3,4 f4,5 | ops.tensordot(x, y, axes=1)", "f2,3,4 f4,3,5 | ops.tensordot(x, y, axes=[[1, 2], [1, 0]])", "f2 f3 | ops.tensordot(x, y, axes=0)")
spec("Outer", "f2,3 f4 | ops.outer(x, y)", "i3 f4 | ops.outer(x, y)")
spec("Kron", "f2,3 f3,2 | ops.kron(x, y)", "f3 f2,2 | ops.kron(x, y)")
spec("Cross", "f2,3 f2,3 | ops.cross(x, y)", "f4,2 f4,3 | ops.cross(x, y)", "f4,2 f4,2 | ops.cross(x, y)", "f3,4 f3,4 | ops.cross(x, y, axis=0)")
spec("Einsum", *(f"{i} | ops.einsum('{s}', {a})" for i, s, a in (
    ("f2,3 f3,4", "ij,jk->ik", "x, y"), ("f2,3 f3,4", "ij,jk", "x, y"), ("f2,3,4 f2,4,5", "bij,bjk->bik", "x, y"), ("f2,3", "ij->ji", "x"), ("f2,3", "ij->", "x"), ("f2,3 f2,3", "ij,ij->i", "x, y"),
    ("f3 f4", "i,j->ij", "x, y"), ("f3,3", "ii->i", "x"), ("f3,3", "ii", "x"), ("f2,3,4 f5,4", "...i,ji->...j", "x, y"), ("f2,3,4,5 f2,6,4,5", "btnh,bsnh->bnts", "x, y"), ("f2,3 f3,4 f4,5", "ab,bc,cd->ad", "x, y, z"),
    ("f2,3,4 f3,4,5", "abc,bcd->da", "x, y"), ("i2,3 i3,4", "ij,jk->ik", "x, y"), ("f2,3 f2,4", "ab,ac->bc", "x, y"), ("f2,3,4 f4,5,6", "abc,cde->abde", "x, y"))))
spec("Corrcoef", "f3,6 | ops.corrcoef(x)")
spec("Correlate", *(f"f6 f3 | ops.correlate(x, y, mode='{m}')" for m in ("valid", "same", "full")))
spec("Diff", "f3,5 | ops.diff(x)", "f3,5 | ops.diff(x, n=2, axis=0)", "b3,5 | ops.diff(x)")
spec("Trapezoid", "f3,5 | ops.trapezoid(x)", "f3,5 | ops.trapezoid(x, dx=0.5, axis=0)")
spec("Vander", "f4 | ops.vander(x)", "f4 | ops.vander(x, N=3, increasing=True)")

# ---- math and linalg ----
for name in ("Sum", "Max", "Min", "Prod"):
    spec(f"Segment{name}", f"f6,2 n6 | ops.segment_{name.lower()}(x, y, num_segments=4)", f"i6 n6 | ops.segment_{name.lower()}(x, y, num_segments=3)")
spec("TopK", "o2,5 | ops.top_k(x, 3)", "n2,5 | ops.top_k(x, 2)")
spec("InTopK", "n4 f4,5 | ops.in_top_k(x, y, k=2)")
spec("CDist", "f3,4 f5,4 | ops.cdist(x, y)", "f2,3,4 f2,5,4 | ops.cdist(x, y)")
spec("ExtractSequences", "f2,10 | ops.extract_sequences(x, 4, 3)")
spec("FFT", "f2,8 f2,8 | ops.fft((x, y))", "f2,5 f2,5 | ops.fft((x, y))")
spec("FFT2", "f2,4,6 f2,4,6 | ops.fft2((x, y))")
spec("IFFT2", "f2,4,6 f2,4,6 | ops.ifft2((x, y))")
spec("RFFT", "f2,8 | ops.rfft(x)", "f2,7 | ops.rfft(x)", "f2,6 | ops.rfft(x, fft_length=10)", "f2,12 | ops.rfft(x, fft_length=8)")
spec("IRFFT", "f2,5 f2,5 | ops.irfft((x, y))", "f2,5 f2,5 | ops.irfft((x, y), fft_length=9)")
spec("STFT", "f2,20 | ops.stft(x, 6, 3, 8)", "f2,20 | ops.stft(x, 8, 4, 8, window='hamming', center=False)", "f2,20 | ops.stft(x, 8, 4, 8, window=None)")
spec("ISTFT", "f2,7,5 f2,7,5 | ops.istft((x, y), 8, 2, 8)", "f2,7,5 f2,7,5 | ops.istft((x, y), 6, 3, 8, window=None, center=False, length=20)")
spec("Logdet", "c2,3,3 | ops.logdet(x)")
for name, fn in {"Cholesky": "cholesky", "Det": "det", "Inv": "inv", "LuFactor": "lu_factor", "Qr": "qr"}.items():
    spec(name, f"c3,3 | ops.{fn}(x)", f"c4,4 | ops.{fn}(x)", *([f"c2,4,4 | ops.{fn}(x)"] if name != "LuFactor" else []))
spec("Cholesky", "c3,3 | ops.cholesky(x, upper=True)")
spec("CholeskyInverse", "c3,3 | ops.cholesky_inverse(ops.cholesky(x))")
spec("Qr", "f4,3 | ops.qr(x)", "f3,5 | ops.qr(x)", "f4,3 | ops.qr(x, mode='complete')")
spec("Slogdet", "f3,3 | ops.slogdet(x)")
spec("Solve", "c3,3 f3,2 | ops.solve(x, y)", "c2,3,3 f2,3 | ops.solve(x, y)")
spec("SolveTriangular", "c3,3 f3,2 | ops.solve_triangular(x, y, lower=True)", "c3,3 f3 | ops.solve_triangular(x, y)")
spec("Pinv", "f4,3 | ops.linalg.pinv(x)", "f3,4 | ops.linalg.pinv(x)")
spec("Lstsq", "f5,3 f5 | ops.lstsq(x, y)", "f5,3 f5,2 | ops.lstsq(x, y)")
spec("MatrixRank", "f4,3 | ops.linalg.matrix_rank(x)")
spec("SVD", "f4,3 | ops.svd(x, compute_uv=False)", "f2,3,4 | ops.svd(x, compute_uv=False)")
spec("Norm", "f2,3 | ops.norm(x)", *(f"f2,3,4 | ops.norm(x, ord={o}, axis=1)" for o in ("1", "2", "3", "0", "float('inf')", "float('-inf')")), *(f"f2,3,4 | ops.norm(x, ord={o}, axis=(1, 2))" for o in ("1", "-1", "2", "-2", "'fro'", "'nuc'")),
     "f2,3,4 | ops.norm(x, ord=2, axis=(0, 2), keepdims=True)", "i2,3 | ops.norm(x, axis=1, keepdims=True)")

# ---- nn ----
for name, fn in {"Softmax": "softmax", "LogSoftmax": "log_softmax"}.items():
    spec(name, *(f"f2,3,4 | ops.{fn}(x, axis={a})" for a in ("-1", "1", "None")))
spec("Sparsemax", "f2,5 | ops.sparsemax(x)", "f2,5,3 | ops.sparsemax(x, axis=1)")
spec("Glu", "f2,6 | ops.glu(x)", "f2,4,3 | ops.glu(x, axis=1)")
spec("Moments", "f2,3,4 | ops.moments(x, axes=(0, 1))", "f2,3,4 | ops.moments(x, axes=[2], keepdims=True)", "h2,3,4 | ops.moments(x, axes=[1])")
spec("Normalize", *(f"f2,3,4 | ops.normalize(x{a})" for a in ("", ", axis=1", ", order=1", ", order=3, axis=1", ", axis=(1, 2)")))
spec("BatchNorm", "f2,3,4 f4 p4 f4 f4 | ops.batch_normalization(x, y, z, axis=-1, offset=w, scale=v)", "f2,3,4 f3 p3 | ops.batch_normalization(x, y, z, axis=1, epsilon=0.1)")
spec("LayerNorm", "f2,3,4 f4 f4 | ops.layer_normalization(x, y, z)", "f2,3,4 | ops.layer_normalization(x, axis=1)", "f2,3,4 f4 | ops.layer_normalization(x, y, rms_scaling=True)", "f2,3,4 | ops.layer_normalization(x, axis=(1, 2), epsilon=0.1)")
spec("RMSNorm", "f2,3,4 f4 | ops.rms_normalization(x, y)", "f2,3,4 | ops.rms_normalization(x, axis=1)")
spec("CategoricalCrossentropy", "f2,4 f2,4 | ops.categorical_crossentropy(ops.softmax(x), y, from_logits=True)", "p2,4 p2,4 | ops.categorical_crossentropy(x, y)", "p2,4 f2,4 | ops.categorical_crossentropy(x, ops.softmax(y))", "p2,4,3 p2,4,3 | ops.categorical_crossentropy(x, y, axis=1)")
spec("SparseCategoricalCrossentropy", "n4 f4,3 | ops.sparse_categorical_crossentropy(x, y, from_logits=True)", "n4 f4,3 | ops.sparse_categorical_crossentropy(x, ops.softmax(y))", "n4,1 p4,3 | ops.sparse_categorical_crossentropy(x, y)")
spec("BinaryCrossentropy", "p3,4 f3,4 | ops.binary_crossentropy(x, y, from_logits=True)", "p3,4 f3,4 | ops.binary_crossentropy(x, ops.sigmoid(y))", "p3,4 p3,4 | ops.binary_crossentropy(x, y * 0.3)")
spec("PSNR", "f2,3 f2,3 | ops.psnr(x, y, 2.0)")
for name, fn in {"MaxPool": "max_pool", "AveragePool": "average_pool"}.items():
    spec(name, f"f2,7,3 | ops.{fn}(x, 2)", f"f2,7,8,3 | ops.{fn}(x, (2, 3), strides=2, padding='same')", f"f2,3,7,8 | ops.{fn}(x, 2, data_format='channels_first')", f"f2,6,5,4,2 | ops.{fn}(x, 2)")
for name, fn in {"AdaptiveMaxPool": "adaptive_max_pool", "AdaptiveAveragePool": "adaptive_average_pool"}.items():
    spec(name, f"f2,7,3 | ops.{fn}(x, (3,))", f"f2,7,8,3 | ops.{fn}(x, (3, 2))", f"f2,3,7,8 | ops.{fn}(x, (4, 4), data_format='channels_first')")
spec("Conv", "f2,7,3 f3,3,4 | ops.conv(x, y)", "f2,7,8,3 f3,2,3,4 | ops.conv(x, y, strides=2, padding='same')", "f2,7,8,3 f2,2,3,4 | ops.conv(x, y, dilation_rate=2)", "f2,5,5,5,2 f2,2,2,2,3 | ops.conv(x, y)")
spec("DepthwiseConv", "f2,7,8,3 f3,3,3,2 | ops.depthwise_conv(x, y)", "f2,7,3 f3,3,1 | ops.depthwise_conv(x, y, strides=2, padding='same')", "f2,7,8,3 f3,3,3,1 | ops.depthwise_conv(x, y, dilation_rate=2)")
spec("SeparableConv", "f2,7,8,3 f3,3,3,2 f1,1,6,4 | ops.separable_conv(x, y, z)", "f2,7,3 f3,3,1 f1,3,4 | ops.separable_conv(x, y, z, padding='same')")
for name, fn, i in (("DepthToSpace", "depth_to_space", "f2,3,4,8"), ("SpaceToDepth", "space_to_depth", "f2,4,6,3")):
    spec(name, f"{i} | ops.nn.{fn}(x, 2)", f"f2,8,4,6 | ops.nn.{fn}(x, 2, data_format='channels_first')")
spec("Unfold", "f2,3,6,7 | ops.unfold(x, 2)", "f2,3,6,7 | ops.unfold(x, (2, 3), dilation=2, padding=1, stride=(1, 2))")
spec("Fold", "f2,12,20 | ops.nn.fold(x, (5, 6), 2)", "f2,12,12 | ops.nn.fold(x, (5, 6), 2, padding=1, stride=2)")
spec("DotProductAttention", "f2,3,2,4 f2,5,2,4 f2,5,2,4 | ops.dot_product_attention(x, y, z)", "f2,3,2,4 f2,3,2,4 f2,3,2,4 | ops.dot_product_attention(x, y, z, is_causal=True, scale=0.7)", "f2,3,4,4 f2,5,2,4 f2,5,2,4 | ops.dot_product_attention(x, y, z)", "f2,3,2,4 f2,5,2,4 f2,5,2,4 b2,1,3,5 | ops.dot_product_attention(x, y, z, mask=w)", "f2,3,2,4 f2,5,2,4 f2,5,2,4 f2,2,3,5 | ops.dot_product_attention(x, y, z, bias=w)")

# ---- core, image, einops ----
spec("Cast", *(f"f3,4 | ops.cast(x, '{d}')" for d in ("int32", "float16", "bool", "float64", "int64")), "b3,4 | ops.cast(x, 'float32')", "i3,4 | ops.cast(x, 'uint8')")
spec("SaturateCast", "i3,4 | ops.saturate_cast(x * 100, 'uint8')", "i3,4 | ops.saturate_cast(x * 100, 'int8')", "f3,4 | ops.saturate_cast(x * 200, 'uint8')", "f3,4 | ops.saturate_cast(x * 1e5, 'float16')")
spec("ConvertToTensor", "f3,4 | ops.convert_to_tensor(x)", "i3,4 | ops.convert_to_tensor(x, dtype='float32')")
spec("Array", "f3,4 | ops.array(x)", "i3,4 | ops.array(x, dtype='float32')")
spec("RGBToGrayscale", "p2,4,5,3 | ops.image.rgb_to_grayscale(x)", "p2,3,4,5 | ops.image.rgb_to_grayscale(x, data_format='channels_first')", "p4,5,3 | ops.image.rgb_to_grayscale(x)")
spec("RGBToHSV", "g2,4,5,3 | ops.image.rgb_to_hsv(x)")
spec("HSVToRGB", "g2,4,5,3 | ops.image.hsv_to_rgb(x)")
spec("CropImages", "f2,6,7,3 | ops.image.crop_images(x, 1, 2, 1, 1)", "f2,6,7,3 | ops.image.crop_images(x, top_cropping=1, left_cropping=2, target_height=3, target_width=4)")
spec("PadImages", "f2,6,7,3 | ops.image.pad_images(x, 1, 2, 1, 1)", "f6,7,3 | ops.image.pad_images(x, top_padding=1, left_padding=2, target_height=9, target_width=10)")
spec("Resize", *(f"f2,6,7,3 | ops.image.resize(x, (4, 9), interpolation='{m}')" for m in ("nearest", "bilinear", "bicubic", "area", "lanczos3")), "f2,6,7,3 | ops.image.resize(x, (3, 3), antialias=True)", "f2,6,9,3 | ops.image.resize(x, (4, 4), crop_to_aspect_ratio=True)", "f2,6,9,3 | ops.image.resize(x, (4, 4), pad_to_aspect_ratio=True)", "f2,3,6,7 | ops.image.resize(x, (4, 4), data_format='channels_first')")
spec("GaussianBlur", "f2,6,7,3 | ops.image.gaussian_blur(x)", "f2,6,7,3 | ops.image.gaussian_blur(x, kernel_size=(5, 3), sigma=(1.5, 0.7))")
spec("SobelEdges", "f2,6,7,3 | ops.image.sobel_edges(x)", "f2,3,6,7 | ops.image.sobel_edges(x, data_format='channels_first')")
spec("ExtractPatches", "f2,6,7,3 | ops.image.extract_patches(x, (2, 3))", "f2,6,7,3 | ops.image.extract_patches(x, 2, strides=1, padding='same')", "f2,6,7,3 | ops.image.extract_patches(x, 2, strides=1, dilation_rate=2)")
spec("MapCoordinates", *(f"f4,5 f2,6 | ops.image.map_coordinates(x, y * 2 + 1.5, order={o}, fill_mode='{m}', fill_value=0.5)" for o in (0, 1) for m in ("constant", "nearest", "wrap", "mirror", "reflect")))
spec("Rearrange", "f2,12,3 | ops.rearrange(x, 'b (h w) c -> b c h w', h=3)", "f2,3,4 | ops.rearrange(x, 'a b c -> c (a b)')")


# ---- cases ----

DTYPES = {"h": "float16", "d": "float64", "i": "int32", "n": "int32", "l": "int64", "s": "int8", "t": "int16", "u": "uint8", "m": "uint16", "v": "uint32", "b": "bool"}


def draw(letter, shape, rng):
    import numpy as np

    if letter == "b":
        return rng.random(shape) < 0.5
    if letter == "n":
        return rng.integers(0, 3, shape).astype("int32")
    if letter in "ilst":
        return rng.integers(-5, 6, shape).astype(DTYPES[letter])
    if letter in "umv":
        return rng.integers(0, 12, shape).astype(DTYPES[letter])
    x = rng.standard_normal(shape) * 1.5
    if letter == "p":
        x = rng.uniform(0.1, 2.5, shape)
    if letter == "g":
        x = rng.uniform(0, 1, shape)
    if letter == "q":
        x = rng.uniform(-0.95, 0.95, shape)
    if letter == "a":
        x = np.where(rng.random(shape) < 0.35, rng.choice([np.nan, np.inf, -np.inf], shape, p=[0.6, 0.2, 0.2]), x)
    if letter == "c":
        x = x @ np.swapaxes(x, -1, -2) + 0.5 * np.eye(shape[-1])
    return x.astype(DTYPES.get(letter, "float32"))


def make(name, text):
    import keras
    import numpy as np
    import oracle

    inputs, expression = (part.strip() for part in text.split(" | "))
    kinds = [(token[0], tuple(int(d) for d in token[1:].split(","))) for token in inputs.split()]
    title = f"{name}.{inputs}|{expression}".replace(" ", "")

    def build():
        ports = [keras.Input(batch_shape=shape, dtype=DTYPES.get(letter), name=f"in{i}") for i, (letter, shape) in enumerate(kinds)]
        scope = dict(zip("xyzwv", ports), ops=keras.ops, np=np, keras=keras)
        outputs = eval(expression, scope)
        outputs = list(outputs) if isinstance(outputs, (tuple, list)) else outputs
        return keras.Model(ports, outputs)

    def runs(rng):
        arrays = [draw(letter, shape, rng) for letter, shape in kinds]
        return [arrays if len(arrays) > 1 else arrays[0]]

    if "bicubic" in expression:  # TensorFlow reads the kernel from a table of 1024 places
        return oracle.make_case(title, build, runs, zlib.crc32(title.encode()), 1e-3)
    tolerance = 2e-3 if "h" in {letter for letter, _ in kinds} else oracle.LAYER_TOLERANCE
    case = oracle.make_case(title, build, runs, zlib.crc32(title.encode()), tolerance)
    if f'"class_name": "{name[3:]}"'.encode() not in zipfile.ZipFile(io.BytesIO(case.model)).read("config.json"):
        raise AssertionError("the operation is not in the config")
    if case.error > 1e-3 and tolerance < 1e-3 or not np.isfinite(case.error):
        raise AssertionError(f"float32 and float64 of Keras differ by {case.error:.2g}")
    return case


def operations():
    """Name -> class of every operation of the installed Keras."""
    import importlib
    import pkgutil

    import keras.src.ops as package
    from keras.src.ops.operation import Operation

    found = {}
    modules = [f"keras.src.ops.{m.name}" for m in pkgutil.iter_modules(package.__path__) if not m.name.endswith("_test")]
    for module in modules + ["keras.src.activations.activations", "keras.src.quantizers.quantizers"]:
        try:
            members = inspect.getmembers(importlib.import_module(module), inspect.isclass)
        except ImportError:
            continue
        for name, cls in members:
            if issubclass(cls, Operation) and cls.__module__ == module and name != "Operation":
                found[name] = cls
    return found


def cases(out, only=""):
    import oracle

    known = operations()
    for name in sorted(set(known) - set(SPECS) - set(REFUSED)):
        out.fail(f"conform.coverage.op.{name}", "this operation of the installed Keras has no spec in ops_specs.py")
    made = []
    for name, texts in SPECS.items():
        for text in texts:
            if text.startswith("SKIP") or only not in name + "." + text:
                continue
            try:
                made.append(make("op." + name, text))
            except oracle.NoOracle as error:
                out.skip(f"conform.oracle.op.{name}.{text}", error)
            except Exception as error:
                out.fail(f"conform.case.op.{name}.{text}", f"{type(error).__name__}: {str(error)[:300]}")
    return made


def main():
    import pack
    import report

    report.quiet_tensorflow()
    out = report.Report()
    found = cases(out, sys.argv[2] if len(sys.argv) > 2 else "")
    pack.write(sys.argv[1], found)
    print(f"{len(found)} cases")
    return out.finish()


if __name__ == "__main__":
    sys.exit(main())
