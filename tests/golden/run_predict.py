"""`cornu predict` computes what Keras computes: models of the first layers with all their options, every way of naming inputs
and outputs, and the real model files of corpus_expected.tsv."""
import glob
import json
import os
import shutil
import sys
import tempfile
import zipfile

import report

LIMIT = 1e-5  # relative L2 error of up to ten layers
DEVICES = ("reference", "cpu")
LEGACY = ("legacy", "weights", "refused-legacy", "code-legacy")  # run_legacy.py looks at these
HERE = os.path.dirname(os.path.abspath(__file__))


def main():
    options = report.arguments(__doc__.split("\n")[0]).parse_args()
    report.quiet_tensorflow()
    out = report.Report()
    cornu = options.cornu or report.find_program(options.build, "cornu")
    if not cornu:
        out.skip("golden.predict", "there is no program cornu in " + options.build)
        return out.finish()
    folder = options.keep or tempfile.mkdtemp(prefix="cornu-predict-")
    os.makedirs(folder, exist_ok=True)
    try:
        for name, model in small_models():
            if report.chosen(name, options.only):
                check_model(cornu, folder, name, model, out)
        if report.chosen("ways", options.only):
            check_ways(cornu, folder, out)
        if report.chosen("corpus", options.only):
            check_corpus(cornu, folder, options.corpora, out)
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    return out.finish()


# ---- Small models ----------------------------------------------------------------------------------------------


def small_models():
    """(name, model) in turn: each layer by itself with its options, then some together."""
    import keras
    from keras import layers as L

    image, sequence, vector = (9, 8, 4), (6, 5), (7,)
    single = {
        "dense": (vector, lambda: L.Dense(5)),
        "dense_no_bias": (sequence, lambda: L.Dense(5, activation="relu", use_bias=False)),
        "dense_rank_4": (image, lambda: L.Dense(3, activation="tanh")),
        "pipeline": (vector, lambda: L.Pipeline([L.Dense(3, activation="relu"), L.Dense(4), L.Dropout(0.5), L.ELU()])),
        "dropout": (vector, lambda: L.Dropout(0.5, noise_shape=(None, 1), seed=3)),
        "flatten": (image, lambda: L.Flatten()),
        "flatten_channels_first": (image, lambda: L.Flatten(data_format="channels_first")),
        "reshape": (image, lambda: L.Reshape((4, -1, 3))),
        "rescaling": (image, lambda: L.Rescaling(1 / 255, offset=-0.5)),
        "rescaling_lists": (image, lambda: L.Rescaling([1.0, 0.5, 2, 3], offset=[0, 1, -1, 0.25])),
        "conv": (image, lambda: L.Conv2D(6, 3)),
        "conv_same_strides": (image, lambda: L.Conv2D(6, (3, 2), strides=(2, 1), padding="same", activation="relu")),
        "conv_dilation": (image, lambda: L.Conv2D(6, 3, dilation_rate=(2, 1), padding="same", use_bias=False)),
        "conv_groups": (image, lambda: L.Conv2D(6, 3, groups=2, activation="elu")),
        # Not as many filters as the output is wide: there Keras on TensorFlow adds the bias along the width.
        "conv_channels_first": ((4, 9, 8), lambda: L.Conv2D(5, 3, data_format="channels_first")),
        "pool": (image, lambda: L.MaxPooling2D()),
        "pool_same_strides": (image, lambda: L.MaxPooling2D((3, 2), strides=(1, 2), padding="same")),
        "pool_channels_first": ((4, 9, 8), lambda: L.MaxPooling2D(2, data_format="channels_first")),
        "norm": (image, lambda: L.BatchNormalization()),
        "norm_axis_1": (sequence, lambda: L.BatchNormalization(axis=1, epsilon=1e-5)),
        "norm_plain": (vector, lambda: L.BatchNormalization(center=False, scale=False)),
    }
    for activation in ("relu", "sigmoid", "tanh", "softmax", "softplus", "softsign", "elu", "selu", "gelu", "silu", "exponential",
                       "linear", "leaky_relu", "relu6", "hard_sigmoid", "mish", "log_softmax"):
        single["activation_" + activation] = (sequence, lambda a=activation: L.Activation(a))
    for name, (shape, make) in single.items():
        x = keras.Input(shape)
        yield name, keras.Model(x, make()(x))
        if name in ("conv", "dense"):
            yield name + "_sequential", keras.Sequential([keras.Input(shape), make(), L.Activation("relu")])
    for name, make in (("add", lambda: L.Add()), ("concatenate", lambda: L.Concatenate()), ("concatenate_1", lambda: L.Concatenate(axis=1))):
        inputs = [keras.Input((4, 5)) for _ in range(3)]
        yield name, keras.Model(inputs, make()(inputs))
    a, b = keras.Input((4, 5)), keras.Input((1, 5))
    yield "add_broadcast", keras.Model([a, b], L.Add()([a, b]))
    yield "classifier", classifier()
    x = keras.Input((6,))
    y = L.Dense(6, "relu")(x)
    tail = keras.Sequential([L.Dense(6), L.BatchNormalization()])
    yield "nested_twice", keras.Model(x, [L.Add()([tail(tail(y)), x]), y])


def classifier():
    import keras
    from keras import layers as L

    x = keras.Input((12, 12, 3))
    y = L.Rescaling(1 / 255)(x)
    for filters in (4, 8):
        z = L.BatchNormalization()(L.Conv2D(filters, 3, padding="same", use_bias=False)(y))
        y = L.MaxPooling2D()(L.Concatenate()([L.Activation("relu")(z), y]))
    y = L.Dropout(0.2)(L.Dense(16, activation="relu")(L.Flatten()(y)))
    return keras.Model(x, L.Dense(10, activation="softmax")(y))


def draw_weights(model, rng):
    for v in model.weights:
        low = 0.5 if "variance" in v.name else -1.0
        v.assign(rng.uniform(low, 1.0, v.shape) / (max(1, v.shape[0]) ** 0.5 if len(v.shape) > 1 else 1))


def draw_inputs(model, batch=3):
    import keras
    import numpy as np

    rng = np.random.default_rng(4)
    found = []
    for t in keras.tree.flatten(model.inputs if isinstance(model, keras.Sequential) else model._inputs_struct):
        shape = [batch] + [6 if n is None else n for n in t.shape[1:]]
        if str(t.dtype) == "string":
            found.append(np.resize(np.array(["an error in the log", "été, no!", "", "the the end"]), shape))
        elif "int" in str(t.dtype):
            found.append(rng.integers(0, 5, shape).astype(str(t.dtype)))
        else:
            found.append((rng.standard_normal(shape) * 2).astype("float32"))
    return found


def expected_outputs(model, inputs):
    import keras
    import numpy as np
    import tensorflow as tf

    struct = tf.convert_to_tensor(inputs[0])
    if not isinstance(model, keras.Sequential):
        struct = keras.tree.pack_sequence_as(model._inputs_struct, [tf.convert_to_tensor(x) for x in inputs])
    try:
        outputs = model(struct, training=False)
    except tf.errors.OpError:  # channels_first has no CPU kernel; XLA computes it
        outputs = tf.function(lambda x: model(x, training=False), jit_compile=True)(struct)
    return [np.asarray(t) for t in keras.tree.flatten(outputs)]


def predict(cornu, folder, model_path, inputs, *more, names=None):
    """(problem, outputs) of cornu predict on these flat inputs."""
    import numpy as np

    source, target = os.path.join(folder, "in.npz"), os.path.join(folder, "out.npz")
    np.savez(source, **{names[i] if names else f"input_{i}": x for i, x in enumerate(inputs)})
    code, _, error = report.run(cornu, "predict", model_path, "--input", source, "--output", target, "--overwrite", *more)
    if code:
        return f"cornu predict ended with {code}: {error}", None
    with np.load(target) as found:
        return None, [found[f"output_{i}"] for i in range(len(found.files))]


def difference(expected, actual, limit=LIMIT):
    import numpy as np

    if len(expected) != len(actual):
        return f"{len(actual)} outputs, not {len(expected)}"
    for i, (x, y) in enumerate(zip(expected, actual)):
        if x.shape != y.shape or x.dtype != y.dtype:
            return f"output {i} is {y.dtype}{y.shape}, not {x.dtype}{x.shape}"
        if x.dtype.kind != "f":
            if not np.array_equal(x, y):
                return f"output {i} differs"
            continue
        if not np.array_equal(np.isnan(x), np.isnan(y)):
            return f"output {i}: other elements are NaN"
        norm = np.linalg.norm(np.nan_to_num(x.astype("float64")))
        error = np.linalg.norm(np.nan_to_num(x.astype("float64") - y.astype("float64"))) / (norm or 1)
        if not error <= limit:
            return f"output {i}: relative error {error:.3g}, limit {limit:g}"
    return None


def check_model(cornu, folder, name, model, out):
    import numpy as np

    draw_weights(model, np.random.default_rng(3))
    path = os.path.join(folder, name + ".keras")
    model.save(path)
    inputs = draw_inputs(model)
    expected = expected_outputs(model, inputs)
    for device in DEVICES:
        problem, actual = predict(cornu, folder, path, inputs, "--device", device)
        problem = problem or difference(expected, actual)
        title = f"predict.{device}.{name}"
        out.fail(title, problem) if problem else out.ok(title)


# ---- Ways to give inputs and take outputs ----------------------------------------------------------------------


def check_ways(cornu, folder, out):
    import keras
    import numpy as np
    from keras import layers as L

    a, b = keras.Input((4,), name="zeta"), keras.Input((3,), name="alpha")
    model = keras.Model({"zeta": a, "alpha": b}, {"two": L.Dense(2)(a), "one": [L.Dense(1)(b), L.Dense(5, name="mid")(a)]})
    path = os.path.join(folder, "ways.keras")
    draw_weights(model, np.random.default_rng(3))
    model.save(path)
    inputs = draw_inputs(model, 5)  # alpha, zeta: dicts are flattened by sorted key
    expected = expected_outputs(model, inputs)

    def way(name, *more, wanted=expected, names=None, given=inputs):
        problem, actual = predict(cornu, folder, path, given, *more, names=names)
        problem = problem or difference(wanted, actual)
        out.fail("predict.ways." + name, problem) if problem else out.ok("predict.ways." + name)

    way("by_number")
    way("by_name", names=["alpha", "zeta"])
    way("batch", "--batch", "2")
    way("threads", "--threads", "1")
    way("float64_input", given=[x.astype("float64") for x in inputs])
    way("layer_output", "--outputs", "mid", wanted=[expected[1]])
    for name, given, names in (("wrong_name", inputs, ["alpha", "nobody"]), ("wrong_shape", [inputs[1], inputs[0]], None),
                               ("missing_input", inputs[:1], None)):
        problem, _ = predict(cornu, folder, path, given, names=names)
        good = problem and "ended with 2:" in problem
        out.ok("predict.ways." + name) if good else out.fail("predict.ways." + name, problem or "it was accepted")
    source, target = os.path.join(folder, "in.npy"), os.path.join(folder, "out.npy")
    model = keras.Sequential([keras.Input((4,)), L.Dense(3)])
    model.save(path)
    np.save(source, inputs[1])
    code, _, error = report.run(cornu, "predict", path, "--input", source, "--output", target, "--overwrite")
    problem = f"ended with {code}: {error}" if code else difference(expected_outputs(model, [inputs[1]]), [np.load(target)])
    out.fail("predict.ways.npy", problem) if problem else out.ok("predict.ways.npy")
    code, _, _ = report.run(cornu, "predict", path, "--input", source, "--output", target)
    out.ok("predict.ways.no_overwrite") if code == 2 else out.fail("predict.ways.no_overwrite", f"ended with {code}, not 2")


# ---- Real files ------------------------------------------------------------------------------------------------


def supported_layers(cornu):
    """Names in `cornu layers --json`, wherever they stand in it."""
    code, text, _ = report.run(cornu, "layers", "--json")
    found = set()

    def walk(node):
        if isinstance(node, dict):
            if isinstance(node.get("name"), str) and node.get("kind", "layer") == "layer":
                found.add(node["name"])
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    if code == 0:
        walk([json.loads(line) for line in text.splitlines()] if text.count("\n{") else json.loads(text))
    return found


def check_corpus(cornu, folder, corpora, out):
    if not os.path.isdir(os.path.join(corpora, "models")):
        out.skip("predict.corpus", f"there is no folder {corpora}/models")
        return
    rows = {}
    with open(os.path.join(HERE, "corpus_expected.tsv")) as file:
        for line in file:
            if not line.startswith("#"):
                path, info, what, names = line.rstrip("\n").split("\t")
                rows[path] = (int(info), what, [n for n in names.split(",") if n])
    present = glob.glob(os.path.join(corpora, "models", "**", "*.keras"), recursive=True)
    for full in sorted(p for p in present if zipfile.is_zipfile(p)):
        if os.path.relpath(full, corpora) not in rows:
            out.fail("predict.corpus." + os.path.relpath(full, corpora), "it has no row in corpus_expected.tsv")
    supported = supported_layers(cornu)
    for path, row in rows.items():
        if row[1] in LEGACY:
            continue
        name = "corpus." + path.split("/", 1)[1]
        full = os.path.join(corpora, path)
        if not os.path.exists(full):
            out.skip("predict." + name, "not in the corpora")
            continue
        code, text, error = report.run(cornu, "info", full)
        good = code == row[0] and text
        out.ok("info." + name) if good else out.fail("info." + name, f"ended with {code}, not {row[0]}: {error}")
        check_file(cornu, folder, full, row, supported, "predict." + name, out)


def limit_of(full):
    """By depth and precision, as whole models have it: a file that computes in half precision is compared at that of half."""
    with zipfile.ZipFile(full) as archive:
        text = archive.read("config.json").decode()
    deep = len(json.loads(text)["config"].get("layers", [])) > 10
    if '"float16"' in text or '"bfloat16"' in text:
        return 1e-2 if deep else 2e-3
    return 1e-4 if deep else LIMIT


def check_file(cornu, folder, full, row, supported, name, out):
    import keras
    import numpy as np

    _, what, names = row
    missing = [n for n in names if n not in supported]
    if what == "predict" or (what == "when" and not missing):
        keras.backend.clear_session()
        try:
            model = keras.saving.load_model(full, compile=False)
            inputs = draw_inputs(model)
            expected = expected_outputs(model, inputs)
        except Exception as error:
            out.skip(name, f"Keras itself: {type(error).__name__}: {error}")
            return
        problem, actual = predict(cornu, folder, full, inputs)
        problem = problem or difference(expected, actual, limit_of(full))
        out.fail(name, problem) if problem else out.ok(name)
        return
    np.savez(os.path.join(folder, "any.npz"), input_0=np.zeros((1, 4), "float32"))
    code, _, error = report.run(cornu, "predict", full, "--input", os.path.join(folder, "any.npz"),
                                "--output", os.path.join(folder, "none-out.npz"))
    if what == "code":
        out.ok(name) if code == 3 else out.fail(name, f"ended with {code}, not 3: {error}")
    else:
        wanted = names if what == "refused" else missing
        silent = [n for n in wanted if n not in error]
        out.ok(name) if code == 4 and not silent else out.fail(name, f"ended with {code}, not 4, without naming {silent}: {error}")


if __name__ == "__main__":
    sys.exit(main())
