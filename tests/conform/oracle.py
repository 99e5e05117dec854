"""What Keras computes for a model: in float64 as the truth, in float32 to know how far float32 itself is off."""
import os
import sys
import tempfile

import keras
import numpy as np
import tensorflow as tf

import pack

LAYER_TOLERANCE, NETWORK_TOLERANCE = 2e-6, 1e-4
WORST_ERROR = 1e-5  # above it float32 says too little: such a network is drawn again
LARGE = [-100.0, -30.0, -6.5, -3.0, -1.0, -1e-8, 0.0, 1e-8, 0.5, 1.0, 3.0, 6.0, 6.5, 30.0, 100.0]
TIES = [0.0, 0.0, -3.0, -1.0, -0.5, 0.5, 1.0]


class Illegal(Exception):
    """Keras itself refuses this combination of arguments."""


class NoOracle(Exception):
    """Keras takes the model, but no kernel on this machine runs it."""


class precision:
    """Everything that is made inside has this float type."""

    def __init__(self, name):
        self.name = name

    def __enter__(self):
        keras.backend.clear_session(free_memory=False)
        keras.config.set_floatx(self.name)
        keras.config.set_dtype_policy(self.name)

    def __exit__(self, *_):
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")


def draw_input(shape, rng, large=False, integers=None):
    """Negatives and zeros among normal numbers; large ones, of which each occurs if there is room, and the points at which
    activation functions break."""
    if integers:
        return rng.integers(0, integers, shape).astype("int32")
    if large:
        return rng.permutation(np.resize(LARGE, int(np.prod(shape)))).reshape(shape).astype("float32")
    x = rng.standard_normal(shape) * 1.5
    return np.where(rng.random(shape) < 0.1, rng.choice(TIES, shape), x).astype("float32")


def draw_weights(model, rng):
    """Kernels that keep the scale of their input, and no zero anywhere that could hide a forgotten bias."""
    for v in model.weights:
        shape, name = tuple(v.shape), v.name
        if "count" in name or "seed" in name:
            continue
        if "variance" in name or "stddev" in name:
            value = rng.uniform(0.5, 1.5, shape)
        elif name in ("gamma", "scale"):
            value = rng.uniform(0.5, 1.5, shape) * rng.choice([-1.0, 1.0], shape)
        elif len(shape) >= 2 and "alpha" not in name:
            value = rng.standard_normal(shape) / np.sqrt(max(1, np.prod(shape[:-1]) / 2))
        else:
            value = rng.uniform(-1, 1, shape)
        v.assign(np.asarray(value).astype("float32"))
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Normalization) and layer.built:
            layer.finalize_state()


def moving_statistics_from(model, inputs):
    """Gives every BatchNormalization the statistics of what reaches it."""
    found = [x for x in model._flatten_layers() if isinstance(x, keras.layers.BatchNormalization)]
    if not found:
        return
    momenta = [x.momentum for x in found]
    for x in found:
        x.momentum = 0.0
    model(inputs, training=True)
    for x, momentum in zip(found, momenta):
        x.momentum = momentum


def copy_weights(source, target):
    if len(source.weights) != len(target.weights):
        raise AssertionError("the float64 model has other variables than the float32 one")
    for a, b in zip(source.weights, target.weights):
        b.assign(np.asarray(a))
    for layer in target._flatten_layers():
        if isinstance(layer, keras.layers.Normalization) and layer.built:
            layer.finalize_state()


class exact:
    """Two shortcuts of TensorFlow are replaced by what Keras's other backends compute.

    Keras 3.15 on TensorFlow turns an addition that looks like one of a bias into bias_add, and takes the last axis for the
    channels when it has as many elements: a channels_first convolution whose output is as wide as it has filters gets its
    bias along the width. Its other backends add.

    TensorFlow's bicubic resizing rounds offsets to a table of 1024 steps (errors up to 5e-4): here by Keys's formula."""

    def __enter__(self):
        self.module = keras.src.backend.numpy
        self.add, self.resize = self.module.add, tf.image.resize
        self.module.add = self.plain_add
        tf.image.resize = self.exact_resize

    def __exit__(self, *_):
        self.module.add = self.add
        tf.image.resize = self.resize

    def plain_add(self, a, b):
        if getattr(a, "dtype", 0) != getattr(b, "dtype", 1):
            return self.add(a, b)
        return tf.add(tf.convert_to_tensor(a), tf.convert_to_tensor(b))

    def exact_resize(self, images, size, method="bilinear", antialias=False, **more):
        if method != "bicubic" or antialias:
            return self.resize(images, size, method=method, antialias=antialias, **more)
        images = tf.convert_to_tensor(images)
        rows, columns = (keys_matrix(images.shape[-3 + i], int(size[i])) for i in range(2))
        out = tf.einsum("ij,...jwc,kw->...ikc", rows, tf.cast(images, "float64"), columns)
        return tf.cast(out, images.dtype if images.dtype.is_floating else "float32")


def keys_matrix(n, m):
    """[m, n]: how m cells come from n, by half-pixel centres and Keys's cubic with a = -0.5, renormalised at the borders."""
    x = np.abs((np.arange(n) + 0.5)[None, :] - ((np.arange(m) + 0.5) * n / m)[:, None])
    w = np.where(x < 1, (1.5 * x - 2.5) * x * x + 1, np.where(x < 2, ((-0.5 * x + 2.5) * x - 4) * x + 2, 0))
    return w / w.sum(axis=1, keepdims=True)


def call(model, inputs):
    """Flat outputs. What TensorFlow has no CPU kernel for is tried through XLA, which has one algorithm for every case."""
    tensors = keras.tree.map_structure(tf.convert_to_tensor, inputs)
    try:
        with exact():
            outputs = model(tensors, training=False)
    except (tf.errors.OpError, ValueError, NotImplementedError) as error:
        try:
            with exact():
                outputs = tf.function(lambda x: model(x, training=False), jit_compile=True)(tensors)
        except Exception:
            kind = Illegal if isinstance(error, ValueError) else NoOracle
            raise kind(f"{type(error).__name__}: {error}") from None
    arrays = [np.asarray(t) for t in keras.tree.flatten(outputs)]
    return [a.astype("float32") if str(a.dtype) == "bfloat16" else a for a in arrays]


def relative_error(truth, value):
    truth, value = truth.astype("float64"), value.astype("float64")
    usable = np.isfinite(truth) & np.isfinite(value)
    norm = np.linalg.norm(truth[usable])
    error = np.linalg.norm((truth - value)[usable])
    return float(error / norm) if norm else float(error)


def widen(inputs):
    return keras.tree.map_structure(lambda x: x.astype("float64") if x.dtype == np.float32 else x, inputs)


def make_case(name, build, draw, seed, tolerance, nudge=False):
    """build() makes the model, the same each time; draw(rng) gives the inputs of each run. Raises Illegal, NoOracle."""
    rng = np.random.default_rng(seed)
    with precision("float32"):
        try:
            model = build()
        except ValueError as error:
            raise Illegal(str(error)) from None
        runs = draw(rng)
        draw_weights(model, rng)
        moving_statistics_from(model, keras.tree.map_structure(tf.convert_to_tensor, runs[0]))
        single = [call(model, inputs) for inputs in runs]
        others = [[call(model, nudged(inputs, rng)) for _ in range(4)] for inputs in runs] if nudge else [[] for _ in runs]
        data = saved(model)
    try:
        double = in_double(model, build, runs)
    except NoOracle:  # pooling in three dimensions, which has no float64 kernel and is exact or nearly so in float32
        double = single
        print(f"  the oracle of {name} is Keras in float32", file=sys.stderr)
    error, packed = 0.0, []
    for inputs, f32, f64, more in zip(runs, single, double, others):
        expected = []
        for k, (a, b) in enumerate(zip(f32, f64)):
            if a.dtype.kind != "f":
                expected.append(a)
                continue
            # Where float32 has no finite value, its infinity is the right answer.
            b = np.where(np.isfinite(a), b, a).astype("float64")
            error = max([error, relative_error(b, a)] + [relative_error(b, other[k]) for other in more])
            expected.append(b)
        packed.append((keras.tree.flatten(inputs), expected))
    return pack.Case(name, data, packed, max(tolerance, 2 * error), error)


def nudged(inputs, rng):
    """The inputs, each float moved to one of its neighbours or left. One evaluation in float32 can be right by luck where a network
    nearly cancels; several that round differently tell what float32 gives there."""
    def move(x):
        if x.dtype != np.float32:
            return x
        towards = rng.choice([-np.inf, np.inf], x.shape).astype("float32")
        return np.where(rng.random(x.shape) < 0.7, np.nextafter(x, towards), x).astype("float32")

    return keras.tree.map_structure(move, inputs)


def in_double(model, build, runs):
    with precision("float64"):
        exact = build()
        copy_weights(model, exact)
        return [call(exact, widen(inputs)) for inputs in runs]


def saved(model):
    path = os.path.join(tempfile.gettempdir(), f"cornu-conform-{os.getpid()}.keras")
    try:
        model.save(path)
        with open(path, "rb") as file:
            return file.read()
    finally:
        if os.path.exists(path):
            os.remove(path)
