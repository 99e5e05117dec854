"""Makes bench/models/*.json and bench/models/rates/*.json: architectures of Keras with the place and the range of every weight, from which `cornu bench` and bench/weights.py make the
same numbers by a counter-based generator.

    make_models.py [NAME...]

A file is what keras.Model.to_json() gives, with one more key:

    "bench": {"inputs": ["LOW HIGH", ...],            ranges of the inputs in flattened order; HIGH is left out
              "variables": ["PATH LOW HIGH DIM DIM ...", ...]}   place in model.weights.h5, range, shape; all float32

Kernels are scaled by their fan-in and variances are positive, so that values neither explode nor vanish on their way. Needs keras, h5py."""
import json
import math
import os
import pathlib
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import h5py  # noqa: E402
import keras  # noqa: E402
from keras import layers  # noqa: E402

FOLDER = pathlib.Path(__file__).resolve().parent / "models"
WORDS, TOKENS, WIDTH, HEADS, INNER, BLOCKS = 30522, 128, 768, 12, 3072, 12


def mlp():
    x = inputs = keras.Input((784,))
    for units in (512, 512):
        x = layers.Dense(units, "relu")(x)
    return keras.Model(inputs, layers.Dense(10, "softmax")(x)), [(-1, 1)]


def lstm():
    inputs = keras.Input((100, 64))
    return keras.Model(inputs, layers.Dense(10, "softmax")(layers.LSTM(128)(inputs))), [(-1, 1)]


def application(name):
    return getattr(keras.applications, name)(weights=None), [(0, 255) if name.startswith("EfficientNet") else (-1, 1)]


def bert():
    """BERT base: embeddings of words, segments and positions, 12 blocks with the norms behind the sums."""
    names = (("words", WORDS), ("segments", 2), ("positions", 512))
    inputs = [keras.Input((TOKENS,), dtype="int32", name=name) for name, _ in names]
    x = layers.Add()([layers.Embedding(count, WIDTH)(i) for i, (_, count) in zip(inputs, names)])
    x = layers.LayerNormalization(epsilon=1e-12)(x)
    for _ in range(BLOCKS):
        attended = layers.MultiHeadAttention(HEADS, WIDTH // HEADS)(x, x)
        x = layers.LayerNormalization(epsilon=1e-12)(layers.Add()([x, attended]))
        inner = layers.Dense(WIDTH)(layers.Dense(INNER, "gelu")(x))
        x = layers.LayerNormalization(epsilon=1e-12)(layers.Add()([x, inner]))
    return keras.Model(inputs, x), [(0, count) for _, count in names]


def unet():
    def twice(x, filters):
        for _ in range(2):
            x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)))
        return x

    x = inputs = keras.Input((128, 128, 3))
    skips = []
    for filters in (32, 64, 128, 256):
        x = twice(x, filters)
        skips.append(x)
        x = layers.MaxPooling2D()(x)
    x = twice(x, 512)
    for filters in (256, 128, 64, 32):
        x = layers.Concatenate()([layers.Conv2DTranspose(filters, 2, strides=2)(x), skips.pop()])
        x = twice(x, filters)
    return keras.Model(inputs, layers.Conv2D(2, 1, activation="softmax")(x)), [(-1, 1)]


def one(shape, *stack, inputs=1):
    """A model of a few layers, for rates of kernels; several inputs go into the first layer as a list."""
    given = [keras.Input(shape) for _ in range(inputs)]
    x = given if inputs > 1 else given[0]
    for layer in stack:
        x = layer(x)
    return keras.Model(given if inputs > 1 else given[0], x), [(-1, 1)] * inputs


def elementwise(count):
    """Functions that no pass makes fewer of."""
    return [layers.Activation(("softsign", "elu")[i % 2]) for i in range(count)]


# Models of one kernel each; a batch of 16384 rows of 1024 numbers is 64 MiB.
RATES = {
    "copy": lambda: one((512,), layers.Concatenate(), inputs=2),
    "add": lambda: one((1024,), layers.Add(), inputs=2),
    "transpose": lambda: one((128, 128), layers.Permute((2, 1))),
    "softmax": lambda: one((1024,), layers.Softmax()),
    "layernorm": lambda: one((1024,), layers.LayerNormalization()),
    "gelu": lambda: one((1024,), layers.Activation("gelu")),
    "depthwise": lambda: one((56, 56, 144), layers.DepthwiseConv2D(3, padding="same", activation="relu6")),
    "conv3x3": lambda: one((56, 56, 64), layers.Conv2D(64, 3, padding="same", activation="relu")),
    **{f"elementwise_{n}": lambda n=n: one((1024,), *elementwise(n)) for n in (2, 4, 8, 12)},
    **{f"dense_{n}x{k}": lambda n=n, k=k: one((k,), layers.Dense(n)) for n, k in ((512, 784), (768, 768), (3072, 768), (4096, 4096))},
    **{f"chain_{n}": lambda n=n: one((32,), *[layers.Softmax() for _ in range(n)]) for n in (1, 10, 50, 100)},
}

# Variance that a convolution's kernel gives its result: what comes behind it takes some of it away, sums add some.
GAINS = {"resnet50": 1, "efficientnetb0": 2.3}
MODELS = {"mlp": mlp, "resnet50": lambda: application("ResNet50"), "mobilenetv2": lambda: application("MobileNetV2"),
          "efficientnetb0": lambda: application("EfficientNetB0"), "lstm": lstm, "bert": bert, "unet": unet}


def fan_in(layer, name, shape):
    if isinstance(layer, layers.DepthwiseConv2D):
        return shape[0] * shape[1]
    if isinstance(layer, layers.Conv2DTranspose):  # [h, w, filters, channels], with strides as large as the window
        return shape[3]
    if isinstance(layer, layers.EinsumDense) and len(shape) == 3:  # queries, keys, values: [width, heads, size]; else [heads, size, width]
        return shape[0] if shape[0] > shape[2] else shape[0] * shape[1]
    return math.prod(shape[:-1])


def value_range(layer, variable, gain):
    name, shape = variable.name, tuple(variable.shape)
    if "int" in variable.dtype:  # a counter
        return 0, 0
    if name in ("gamma", "moving_variance", "variance"):
        return 0.8, 1.2
    if name in ("bias", "beta", "moving_mean", "mean"):
        return -0.1, 0.1
    if name == "embeddings":
        return -1.0, 1.0
    convolution = isinstance(layer, (layers.Conv2D, layers.DepthwiseConv2D))
    limit = math.sqrt(3 * (gain if convolution else 1) / fan_in(layer, name, shape))
    limit = float(f"{limit:.4g}")
    return -limit, limit


def owners(model):
    """The layer of each variable, by the variable's id."""
    found = {}
    for layer in model._flatten_layers(include_self=False):
        for variable in layer._trainable_variables + layer._non_trainable_variables:
            found[id(variable)] = layer
    return found


def places(model):
    """[(path in the weights file, variable)] in the file's order: each variable is filled with its number and saved."""
    variables = [v for v in model.variables if "seed_generator_state" not in v.path]
    for number, variable in enumerate(variables):
        variable.assign(keras.ops.full(variable.shape, number, variable.dtype))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/all.weights.h5"
        model.save_weights(path)
        with h5py.File(path) as file:
            file.visititems(lambda name, node: rows.append((name, variables[int(node[(0,) * node.ndim])]))
                            if isinstance(node, h5py.Dataset) else None)
    return rows


def text(value):
    return repr(float(value)).removesuffix(".0")


def describe(model, ranges, gain):
    layer_of, rows = owners(model), []
    for path, variable in places(model):
        layer = layer_of[id(variable)]
        low, high = value_range(layer, variable, gain)
        rows.append(" ".join([path, text(low), text(high), *map(str, variable.shape)]))
    return {"inputs": [f"{text(low)} {text(high)}" for low, high in ranges], "variables": rows}


def main():
    (FOLDER / "rates").mkdir(parents=True, exist_ok=True)
    all_models = {**MODELS, **{f"rates/{name}": make for name, make in RATES.items()}}
    for name in sys.argv[1:] or all_models:
        keras.utils.clear_session()
        model, ranges = all_models[name]()
        config = json.loads(model.to_json())
        config["bench"] = describe(model, ranges, GAINS.get(name, 2))
        (FOLDER / f"{name}.json").write_text(json.dumps(config, separators=(",", ":")) + "\n")
        print(name, len(config["bench"]["variables"]), "variables,", model.count_params(), "parameters")


main()
