"""Every format into every other: models of models.py are saved by real Keras as A.keras, turned by `cornu convert` into each format that can
hold them, and opened by real Keras and, in the dialect of tf.keras, by tf_keras: the same weights bit by bit, the same predictions. Then each of
those files is turned into a .keras again (the others too with --all), which real Keras opens.

A cell that a format cannot hold is refused by Cornu and listed as SKIP with Cornu's reason; a refusal that is not in REFUSED is a failure, and so
is a cell of REFUSED that is not refused."""
import fnmatch
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
import traceback

import report

# What is not held, by format: patterns of cases. Operations and layers that Keras's legacy reader or tf.keras lacks (it has the common functions of floats); classes whose order of
# sub-layers no file tells; quantized and LoRA layers; bfloat16, which numpy lacks; vocabularies in assets.
OPERATIONS = ["functional_raw_ops", "functional_split_outputs", "functional_constants"]
LAYERS = ["custom_layer", "subclassed_model", "quantized_*", "lora", "policy_bfloat16", "asset_text_tf_idf"]
ASSETS = ["asset_string_lookup", "asset_integer_lookup", "asset_text_*", "asset_two_lookups"]
NOT_TF = ["functional_optional_input", "sequential_non_ascii_names", "layers_attention", "layers_normalization", "layers_activation",
          "layers_pooling_reshaping", "layers_augmentation", "layers_reversible_embedding", "layers_audio", "composite_attention",
          "composite_spectral", *OPERATIONS]
REFUSED = {
    "npz": ["policy_bfloat16"],
    "h5": ["operations", *OPERATIONS, *LAYERS, *ASSETS, "layers_normalization"],
    "h5-weights": LAYERS,
    "h5-weights-tf": LAYERS,
    "h5-tf": [*LAYERS, *ASSETS, *NOT_TF],
    "json-tf": ["subclassed_model", "quantized_*", "lora", *NOT_TF],
}

# What is written, but cannot be opened as the same model: (source, target, case) -> why. It is listed, and no cell.
UNOPENED = {
    ("*", "*-tf", "custom_*"): "tf_keras has no such class or function registered",
    ("*", "json*", "asset_*"): "the vocabularies are not in the architecture",
    ("weights.h5", "*", "asset_*"): "the vocabularies are not among the weights",
    ("weights.json", "*", "asset_*"): "the vocabularies are not among the weights",
    ("npz", "*", "asset_*"): "the vocabularies are not among the weights",
    ("h5-weights*", "*", "asset_*"): "the vocabularies are not among the weights",
    ("*", "json-tf", "policy_bfloat16"): "the weights have no file that tf_keras reads",
}

# Format -> (file name, options of the conversion).
FORMATS = {
    "keras": ("B.keras", []),
    "keras-dir": ("B-folder/", []),
    "weights.h5": ("B.weights.h5", []),
    "weights.json": ("B.weights.json", ["--shard-size", "4K"]),
    "npz": ("B.npz", []),
    "json": ("B.json", []),
    "h5": ("B.h5", ["--dialect", "keras"]),  # without it, legacy HDF5 stays in the dialect that it has
    "h5-weights": ("B-weights.h5", ["--to", "h5-weights"]),
    "h5-tf": ("B-tf.h5", ["--dialect", "tf"]),
    "h5-weights-tf": ("B-tf-weights.h5", ["--to", "h5-weights", "--dialect", "tf"]),
    "json-tf": ("B-tf.json", ["--dialect", "tf"]),
}
WITHOUT_OPTIMIZER = {"h5-weights", "h5-weights-tf", "json", "json-tf"}  # they have no place for it
WEIGHTS_ONLY = {"weights.h5", "weights.json", "npz", "h5-weights", "h5-weights-tf"}

# Cases of the short tier.
SHORT = ("sequential_plain,sequential_convolutional,sequential_nested,sequential_many_layers,sequential_frozen,functional_shared_submodel,"
         "functional_deeply_nested,functional_list_io,functional_mask,functional_raw_ops,operations,sequential_non_ascii_names")


def main():
    parser = report.arguments(__doc__.split("\n")[0])
    parser.add_argument("--all", action="store_true", help="every model, and every format into every other")
    parser.add_argument("--shard", default="1/1", metavar="I/N", help="only the models of one of N parts")
    options = parser.parse_args()
    report.quiet_tensorflow()
    out = report.Report()
    cornu = options.cornu or report.find_program(options.build, "cornu")
    if not cornu:
        out.skip("golden.convert", "there is no program cornu in " + options.build)
        return out.finish()
    folder = options.keep or tempfile.mkdtemp(prefix="cornu-convert-")
    os.makedirs(folder, exist_ok=True)
    try:
        run_cases(options, cornu, folder, out)
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"cells {out.counts['PASS'] + out.counts['FAIL']}, passed {out.counts['PASS']}, not held {out.counts['SKIP']}", file=sys.stderr)
    return out.finish()


def run_cases(options, cornu, folder, out):
    import models

    part, parts = (int(n) for n in options.shard.split("/"))
    only = options.only if options.only != "*" or options.all else SHORT
    names = [name for name in [*models.CASES, *EXTRA] if report.chosen(name, only)]
    for name in names[part - 1::parts]:
        start = time.monotonic()
        try:
            case = Case(name, models.CASES.get(name) or EXTRA[name], os.path.join(folder, name), cornu, out)
        except Exception:
            out.fail(f"convert.{name}", "Keras does not make this model: " + failure())
            continue
        case.check(options.all)
        print(f"  {name}: {time.monotonic() - start:.1f} s", file=sys.stderr)


# ---- Models beside those of models.py ----


def recurrent():
    from keras import Input, Model, layers

    x = Input((6, 8))
    y = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(x)
    y = layers.MultiHeadAttention(2, 4)(y, y)
    y = layers.TimeDistributed(layers.Dense(4))(y)
    y = layers.GRU(4, return_sequences=True)(y)
    y = layers.RNN([layers.LSTMCell(3), layers.SimpleRNNCell(2)])(y)
    return Model(x, layers.Dense(2)(y))


def frozen_parts():
    import keras
    from keras import Input, layers

    norm, dense = layers.BatchNormalization(), layers.Dense(4)
    norm.trainable = False
    inner = keras.Sequential([Input((4,)), norm, dense, layers.BatchNormalization()], name="inner")
    x = Input((4,))
    y = inner(x)
    frozen = keras.Sequential([Input((4,)), layers.BatchNormalization(), layers.Dense(3)], name="frozen")
    frozen.trainable = False
    return keras.Model(x, frozen(y))


def many_kinds():
    from keras import Input, Model, layers

    x = Input((8, 8, 3))
    y = layers.SeparableConv2D(4, 3, padding="same")(x)
    y = layers.GroupNormalization(2)(layers.DepthwiseConv2D(3, depth_multiplier=2)(y))
    y = layers.PReLU(shared_axes=[1, 2])(layers.Conv2DTranspose(3, 2)(y))
    y = layers.LeakyReLU()(layers.LayerNormalization()(y))
    y = layers.UpSampling2D()(layers.ZeroPadding2D(1)(y))
    y = layers.Activation("silu")(layers.AveragePooling2D(2)(y))
    y = layers.Reshape((-1, 3))(y)
    y = layers.Attention(use_scale=True)([y, y])
    return Model(x, layers.Dense(2, activation="softmax")(layers.Flatten()(y)))


def composite_attention():
    from keras import Input, Model, layers

    x = Input((5, 8))
    y = layers.GroupQueryAttention(4, 4, 2, use_gate=True)(x, x)
    y = layers.GroupQueryAttention(4, 4, 2, use_bias=False)(y, y)
    return Model(x, layers.MultiHeadAttention(2, 4, use_gate=True)(y, y))


def composite_cells():
    from keras import Input, Model, layers

    x = Input((6, 4))
    y = layers.RNN(layers.StackedRNNCells([layers.LSTMCell(3), layers.GRUCell(2), layers.LSTMCell(5)]), return_sequences=True)(x)
    backward = layers.LSTM(2, return_sequences=True, go_backwards=True)
    y = layers.Bidirectional(layers.GRU(2, return_sequences=True), backward_layer=backward)(y)
    return Model(x, layers.TimeDistributed(layers.Dense(2))(y))


def composite_spectral():
    from keras import Input, Model, layers

    x = Input((3, 4, 5))
    y = layers.TimeDistributed(layers.TimeDistributed(layers.Dense(3)))(x)
    y = layers.TimeDistributed(layers.SpectralNormalization(layers.Conv1D(2, 2)))(y)
    frozen = layers.SpectralNormalization(layers.Dense(3))
    frozen.trainable = False
    return Model(x, frozen(y))


def operations():
    from keras import Input, Model, layers, ops

    x = Input((4,))
    y = layers.Dense(4)(x)
    z = ops.maximum(y * 2.0, ops.exp(-y) + x) / 3
    z = ops.concatenate([z, ops.tanh(y) - 1, ops.relu(x)], axis=-1)
    z = ops.mean(ops.reshape(z, (-1, 3, 4)), axis=1, keepdims=True)
    return Model(x, layers.Dense(2)(layers.Flatten()(z)))


EXTRA = {"operations": operations, "recurrent": recurrent, "frozen_parts": frozen_parts, "many_kinds": many_kinds, "composite_attention": composite_attention,
         "composite_cells": composite_cells, "composite_spectral": composite_spectral}


class Case:
    def __init__(self, name, make, folder, cornu, out):
        import keras
        import models
        import numpy as np

        os.makedirs(folder, exist_ok=True)
        self.name, self.folder, self.cornu, self.out = name, folder, cornu, out
        keras.backend.clear_session()
        keras.utils.set_random_seed(1)
        made = make()
        model, *data = made if isinstance(made, tuple) else (made,)
        rng = np.random.default_rng(11)
        self.x = data[0] if data and data[0] is not None else models.draw_inputs(model, rng)
        for variable in model.weights:  # what is zero or one at first would hide what is exchanged
            if "float" in variable.dtype and "seed" not in variable.path:
                variable.assign(rng.uniform(0.2, 1.0, variable.shape))
        self.a = self.path("A.keras")
        model.save(self.a)
        with open(self.path("A.json"), "w") as file:
            file.write(model.to_json())
        keras.backend.clear_session()
        self.model = self.load(self.a)
        self.weights = weights_of(self.model)
        self.prediction = self.predict(self.model)

    def path(self, name):
        return os.path.join(self.folder, name)

    @staticmethod
    def load(path):
        import keras

        return keras.saving.load_model(path, compile=False)

    def predict(self, model):
        import keras
        import numpy as np
        import tensorflow as tf

        x = keras.tree.map_structure(tf.convert_to_tensor, self.x)
        return [np.asarray(t) for t in keras.tree.flatten(model(x, training=False))]

    # ---- the matrix ----

    def check(self, every):
        made, self.opened = {}, {}
        self.without_optimizer = set(WITHOUT_OPTIMIZER)  # of the formats whose file lacks it
        for target in FORMATS:
            b = self.cell("keras", target, self.a, [])
            if b:
                made[target] = b
        for source, file in made.items():
            if source in ("keras", "json", "json-tf"):
                continue
            config = ["--config", self.path("A.json")] if source in WEIGHTS_ONLY else []
            for target in FORMATS if every else ["keras"]:
                if target != source:
                    self.cell(source, target, file, config)

    def cell(self, source, target, file, config):
        """Converts, and has the result opened. Returns its path where that was right."""
        name = f"convert.{self.name}.{source}.{target}"
        for (of, to, case), why in UNOPENED.items():
            if fnmatch.fnmatch(source, of) and fnmatch.fnmatch(target, to) and fnmatch.fnmatch(self.name, case):
                return self.out.skip(name, why)
        base, options = FORMATS[target]
        b = self.path(f"{source}-{base}" if source != "keras" else base)
        try:
            code, _, error = report.run(self.cornu, "convert", file, b, *options, *config, "--overwrite")
            if source == "keras" and "the optimizer is not carried" in error:
                self.without_optimizer.add(target)
            refused = self.is_refused(source, target)
            if code == 4 and refused:
                return self.out.skip(name, "not held: " + error)
            problem = f"convert ended with {code}: {error}" if code else "is not refused" if refused else self.open_once(source, target, b)
        except Exception:
            problem = failure()
        if problem:
            return self.out.fail(name, problem)
        self.out.ok(name)
        return b

    def is_refused(self, source, target):
        return any(fnmatch.fnmatch(self.name, p) for p in REFUSED.get(target, ()))

    # ---- opening: each returns what is wrong ----

    def open_once(self, source, target, path):
        """Sources often give files of the same content: Keras opens one of them."""
        key = (target, source in self.without_optimizer, content(path.rstrip("/")))
        if key not in self.opened:
            self.opened[key] = self.open(source, target, path)
        return self.opened[key]

    def open(self, source, target, path):
        import keras
        import numpy as np

        if target in ("keras", "keras-dir", "h5"):
            return self.compare(self.load(path.rstrip("/")))
        if target in ("weights.h5", "weights.json", "h5-weights"):
            return self.compare(self.reload(path))
        if target == "npz":
            return self.compare_arrays(dict(np.load(path)), source)
        if target == "json":
            with open(path) as file:
                model = keras.models.model_from_json(file.read())
            model.load_weights(self.a)
            return self.compare(model)
        return self.open_tf(target, path)

    def reload(self, path):
        import keras

        for variable in self.model.weights:
            variable.assign(keras.ops.zeros_like(variable))
        self.model.load_weights(path)
        return self.model

    def open_tf(self, target, path):
        import tf_keras

        if target == "h5-tf":
            return self.compare(tf_keras.models.load_model(path, compile=False), tf=True)
        if target == "json-tf":
            with open(path) as file:
                model = tf_keras.models.model_from_json(file.read())
            path = self.path("B-tf.h5")
        elif os.path.exists(self.path("B-tf.h5")):
            model = tf_keras.models.load_model(self.path("B-tf.h5"), compile=False)
            for variable in model.weights:
                variable.assign(tf_keras.backend.zeros_like(variable))
        else:  # tf_keras cannot have this model; its weights Keras reads as well
            return self.compare(self.reload(path))
        model.load_weights(path)
        return self.compare(model, tf=True)

    def compare(self, model, tf=False):
        import numpy as np

        found = weights_of(model)
        if tf:  # another order: by layers, here by their bytes
            found, wanted = sorted(found, key=repr), sorted(self.weights, key=repr)
        else:
            wanted = self.weights
        if len(found) != len(wanted):
            return f"{len(wanted)} weights became {len(found)}"
        for i, (x, y) in enumerate(zip(wanted, found)):
            if x != y:
                return f"weight {i} of shape {x[1]} differs"
        outputs = self.predict(model)
        if len(outputs) != len(self.prediction):
            return f"{len(self.prediction)} outputs became {len(outputs)}"
        for i, (x, y) in enumerate(zip(self.prediction, outputs)):
            # tf_keras computes some layers with other kernels: 64 roundings of the largest value
            eps = np.finfo("float32").eps if "16" not in self.name else 2.0 ** -7 if "bfloat16" in self.name else 2.0 ** -10
            bound = 64 * eps * max(1.0, float(np.max(np.abs(x), initial=0))) if tf else 0
            if x.shape != y.shape or not np.all((np.abs(x - y) <= bound) | (np.isnan(x) & np.isnan(y)) | (x == y)):
                return f"output {i} differs by {np.max(np.abs(x - y)) if x.shape == y.shape else (x.shape, y.shape)}"
        return None

    def compare_arrays(self, arrays, source):
        import archives
        import numpy as np

        wanted = archives.datasets(archives.members(self.a)["model.weights.h5"])
        if source in self.without_optimizer:
            wanted = {key: value for key, value in wanted.items() if not key.startswith("optimizer/")}
        elif source in ("h5", "h5-tf"):  # a MultiOptimizer's has the inner ones' variables; archives have them a second time
            wanted = {key: value for key, value in wanted.items() if not key.startswith("optimizer/optimizers/")}
        missing, new = sorted(set(wanted) - set(arrays)), sorted(set(arrays) - set(wanted))
        if missing or new:
            return f"of {len(wanted)} arrays {missing[:4]} are missing, {new[:4]} are new"
        for key, (_, value) in wanted.items():
            if np.asarray(value).tobytes() != arrays[key].tobytes() or np.asarray(value).dtype != arrays[key].dtype:
                return f"array {key} differs"
        return None


def content(path):
    """What a file holds, but for the times that are written into it."""
    import archives

    if path.endswith((".npz", ".json")) and not path.endswith(".weights.json"):
        with open(path, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()
    found = hashlib.sha256()
    if path.endswith(".weights.json"):
        folder, base = os.path.dirname(path), os.path.basename(path)[:-len(".weights.json")]
        parts = {name[len(base):]: os.path.join(folder, name) for name in os.listdir(folder) if name.startswith(base + "_") and name.endswith(".weights.h5")}
        parts = {name: open(file, "rb").read() for name, file in parts.items()}
        parts["map"] = open(path, "rb").read().replace(base.encode(), b"")
    elif os.path.isdir(path) or path.endswith(".keras"):
        parts = archives.members(path)
        parts.pop("metadata.json")  # the date
    else:
        with open(path, "rb") as file:
            parts = {"whole.h5": file.read()}
    for name, data in sorted(parts.items()):
        found.update(repr((name, archives.describe_h5(data) if name.endswith(".h5") else data)).encode())
    return found.hexdigest()


def weights_of(model):
    """(dtype, shape, bytes) of each weight; seeds are never saved."""
    import numpy as np

    found = []
    for v in model.weights:
        if "seed_generator" not in getattr(v, "path", v.name):
            value = np.asarray(v)
            found.append((str(value.dtype), value.shape, value.tobytes()))
    return found


def failure():
    kind, error, trace = sys.exc_info()
    last = traceback.extract_tb(trace)[-1]
    return f"{kind.__name__} at {os.path.basename(last.filename)}:{last.lineno}: {error}"


if __name__ == "__main__":
    sys.exit(main())
