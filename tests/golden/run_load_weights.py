"""Loading weights into a model does what Keras's load_weights does: the same variables get the same values, and what Keras refuses is refused and
changes nothing.

  load.TARGET.SOURCE.FORMAT[.OPTIONS]   the model TARGET of targets() is given the weights of the model SOURCE, saved by Keras in FORMAT, by Cornu
                                        (load_model.c) and by Keras; the report counts what was matched
  path.SOURCE                           arrays of .npz under Keras's Variable.path
  part.NAME.FORMAT                      one layer or nested model, from a file of the whole and from one of its own
  bare.SOURCE                           an architecture alone (.json) gets its variables, with a demand that all be used"""
import json
import os
import shutil
import sys
import tempfile

import report
from run_roundtrip import failure

FORMATS = {"keras": "S.keras", "weights": "S.weights.h5", "sharded": "S.weights.json", "h5": "S.h5"}
OPTIONS = {"": [], "skip": ["--skip-mismatch"], "name": ["--by-name"], "name_skip": ["--by-name", "--skip-mismatch"]}


def main():
    options = report.arguments(__doc__.split("\n")[0]).parse_args()
    report.quiet_tensorflow()
    out = report.Report()
    tool = report.find_program(options.build, "load_model")
    if not tool:
        out.skip("load", "there is no program load_model in " + options.build)
        return out.finish()
    folder = options.keep or tempfile.mkdtemp(prefix="cornu-load-")
    os.makedirs(folder, exist_ok=True)
    try:
        Run(tool, folder, out, options.only).all()
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    return out.finish()


# ---- models ----


def model(units=5, inner=4, last=2, bias=True, names="abz", more=False, deep=True):
    """A Functional with a nested Sequential, a layer without variables and one with others that are not trained."""
    from keras import Input, Model, Sequential, layers

    a, b, z = names
    x = Input((6,), name="in")
    y = layers.Dense(units, use_bias=bias, name=a)(x)
    y = layers.BatchNormalization(name=b)(layers.ReLU(name="relu")(y))
    if deep:
        y = Sequential([layers.Dense(inner, name="p"), layers.LayerNormalization(name="q")], name="inner")(y)
    if more:
        y = layers.Dense(3, name="extra")(y)
    return Model(x, layers.Dense(last, name=z)(y), name="whole")


def recurrent():
    from keras import Input, Model, layers

    x = Input((5, 3), name="in")
    y = layers.Bidirectional(layers.LSTM(2, return_sequences=True), name="both")(x)
    y = layers.MultiHeadAttention(2, 2, name="attention")(y, y)
    y = layers.TimeDistributed(layers.Dense(3), name="each")(y)
    y = layers.RNN([layers.GRUCell(2), layers.LSTMCell(3)], name="cells")(y)
    return Model(x, layers.Dense(2, name="z")(y), name="recurrent")


def sources():
    """name -> the model that is saved; the target is model() or recurrent()."""
    return {"same": model, "wider": lambda: model(units=7), "inner": lambda: model(inner=3), "last": lambda: model(last=3),
            "no_bias": lambda: model(bias=False), "renamed": lambda: model(names="klm"), "swapped": lambda: model(units=6, names="zba", deep=False),
            "more": lambda: model(more=True), "recurrent": recurrent}


def fill(model, seed):
    import numpy as np

    rng = np.random.default_rng(seed)
    for v in model.weights:
        v.assign(rng.uniform(0.5, 1.5, v.shape).astype("float32"))
    return model


def values(model):
    import numpy as np

    return [np.asarray(v) for v in model.weights]


class Run:
    def __init__(self, tool, folder, out, only):
        import keras

        self.tool, self.folder, self.out, self.only = tool, folder, out, only
        self.files = {}
        for name, make in sources().items():
            keras.backend.clear_session()
            source = fill(make(), 2)
            os.makedirs(self.path(name), exist_ok=True)
            for kind, base in FORMATS.items():
                path = self.files[name, kind] = self.path(name, base)
                if kind in ("keras", "h5"):
                    source.save(path)
                elif kind == "weights":
                    source.save_weights(path)
                else:
                    source.save_weights(path, max_shard_size=0.0000002)
        keras.backend.clear_session()
        self.targets = {}
        for name, target in (("plain", model()), ("recurrent", recurrent()), ("flat", model(units=6, deep=False))):
            self.targets[name] = self.path(name + "-T.keras")
            fill(target, 1).save(self.targets[name])
            with open(self.path(name + "-T.json"), "w") as file:
                file.write(target.to_json())

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def check(self, name, function, *arguments):
        if not report.chosen(name, self.only):
            return
        try:
            problem = function(*arguments)
        except Exception:
            problem = failure()
        if problem:
            self.out.fail(name, problem)
        else:
            self.out.ok(name)

    def all(self):
        for source in sources():
            target = {"recurrent": "recurrent", "swapped": "flat"}.get(source, "plain")
            for kind in FORMATS:
                for title, options in OPTIONS.items():
                    if "name" in title and kind != "h5":
                        continue  # Keras has by_name for legacy HDF5 alone
                    name = f"load.{target}.{source}.{kind}" + ("." + title if title else "")
                    self.check(name, self.compare, self.targets[target], self.files[source, kind], options)
        self.check("load.refused.by_name", self.refused_by_name)
        for source, target in (("same", "plain"), ("recurrent", "recurrent")):
            self.check(f"path.{source}", self.by_path, source, target)
            for kind in FORMATS:
                self.check(f"bare.{source}.{kind}", self.bare, source, target, self.files[source, kind])
        for kind in FORMATS:
            self.check(f"part.layer.{kind}", self.part, "z", self.files["same", kind])
            self.check(f"part.nested.{kind}", self.part, "inner", self.files["same", kind])
            self.check(f"part.member.{kind}", self.part, "inner/q", self.files["same", kind])
        for kind, base in FORMATS.items():
            if kind != "sharded":
                self.check(f"part.own.{kind}", self.part_of_its_own, base)

    def run(self, target, file, *options):
        made = self.path("O.keras")
        if os.path.exists(made):
            os.remove(made)
        code, text, error = report.run(self.tool, target, file, made, *options)
        if code:
            raise RuntimeError(f"load_model ended with {code}: {error}")
        return json.loads(text), made

    # ---- against Keras ----

    def compare(self, target, file, options):
        import keras

        told, made = self.run(target, file, *options)
        keras.backend.clear_session()
        expected = keras.models.load_model(target)
        before = values(expected)
        arguments = {"skip_mismatch": True} if "--skip-mismatch" in options else {}
        if "--by-name" in options:
            arguments["by_name"] = True
        try:
            expected.load_weights(file, **arguments)
        except Exception as error:
            return None if told["status"] != "OK" and not os.path.exists(made) else f"Keras refuses it: {type(error).__name__}: {error}"
        if told["status"] != "OK":
            return f"Keras loads it: {told['error']}"
        after = values(expected)
        changed = sum(x.tobytes() != y.tobytes() for x, y in zip(before, after))
        return self.differs(after, made) or self.miscounts(told, changed, len(after))

    @staticmethod
    def differs(expected, made):
        import keras

        found = keras.models.load_model(made)
        for v, x in zip(found.weights, expected):
            if v.numpy().tobytes() != x.tobytes():
                return f"variable {v.path} has other values"
        return None

    @staticmethod
    def miscounts(told, matched, count):
        if told["matched"] != matched:
            return f"{told['matched']} are told as matched, {matched} were changed"
        if told["matched"] + told["missing"] + told["mismatched"] != count:
            return f"the report {told} is not of {count} variables"
        return None if told["told"] == count + told["unused"] else f"{told['told']} notes for {count} variables and {told['unused']} unused"

    def refused_by_name(self):
        told, made = self.run(self.targets["plain"], self.files["same", "weights"], "--by-name")
        return None if told["status"] == "BAD_ARGUMENT" and "by_name" in told["error"] and not os.path.exists(made) else str(told)

    # ---- what Keras does not have ----

    def by_path(self, source, target):
        import keras
        import numpy as np

        for number, load in enumerate((False, True)):  # made, and loaded, which has shorter paths
            keras.backend.clear_session()
            model = keras.models.load_model(self.files[source, "keras"]) if load else fill(sources()[source](), 2)
            file = self.path(f"{source}{number}.npz")
            arrays = {v.path: np.asarray(v) for v in model.weights}
            np.savez(file, **dict(sorted(arrays.items())))
            told, made = self.run(self.targets[target], file, "--require-all")
            if told["status"] != "OK":
                return told["error"]
            problem = self.differs(values(model), made) or self.miscounts(told, len(arrays), len(arrays))
            if problem:
                return problem
        arrays["of_nobody/kernel"] = np.zeros(3, "float32")
        np.savez(file, **arrays)
        told, made = self.run(self.targets[target], file)
        return None if "of_nobody/kernel" in told["error"] else f"an array of nobody: {told}"

    def bare(self, source, target, file):
        import keras

        told, made = self.run(self.path(target + "-T.json"), file, "--require-all")
        if told["status"] != "OK":
            return told["error"]
        expected = values(keras.models.load_model(self.files[source, "keras"]))
        problem = self.differs(expected, made) or self.miscounts(told, len(expected), len(expected))
        if problem or source == "recurrent":
            return problem
        name = os.path.basename(file)
        told, made = self.run(self.path(target + "-T.json"), self.path("more", name), "--require-all")
        if told["status"] == "OK" or os.path.exists(made):
            return f"weights of another layer are loaded: {told}"
        return None

    def part(self, layer, file):
        import keras

        keras.backend.clear_session()
        expected, source = keras.models.load_model(self.targets["plain"]), fill(model(), 2)
        to, of = expected, source
        for name in layer.split("/"):
            to, of = to.get_layer(name), of.get_layer(name)
        to.set_weights(of.get_weights())
        told, made = self.run(self.targets["plain"], file, "--layer", layer)
        if told["status"] != "OK":
            return told["error"]
        return self.differs(values(expected), made) or self.miscounts(told, len(to.weights), len(to.weights))

    def part_of_its_own(self, base):
        import keras

        keras.backend.clear_session()
        expected, source = keras.models.load_model(self.targets["plain"]), fill(model(), 2)
        file = self.path("own-" + base)
        inner = source.get_layer("inner")
        inner.save_weights(file) if base.endswith(".weights.h5") else inner.save(file)
        expected.get_layer("inner").load_weights(file)
        told, made = self.run(self.targets["plain"], file, "--layer", "inner")
        return told["error"] or self.differs(values(expected), made) or self.miscounts(told, 4, 4)


if __name__ == "__main__":
    sys.exit(main())
