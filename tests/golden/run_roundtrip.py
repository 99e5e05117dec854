"""Models that Cornu loads and saves are, to real Keras, the models that they were: for each model of models.py the config,
every variable, the optimizer's state and the next training steps are compared bit by bit.

Each model is saved by Keras as A.keras. Its variants:
  copy    A.keras -> B.keras
  again   the members deflated, reordered, the weights chunked -> B.keras, an archive as Keras writes it
  folder  A.keras -> a directory -> a .keras
  weights A.keras -> .weights.h5
  memory  A.keras from memory to memory
  edited  that other archive, every variable and one value of the config changed through cornu.h -> as Keras writes it
A model with which Keras does not repeat itself when it loads A twice is reported as skipped and proves nothing."""
import io
import json
import os
import shutil
import sys
import tempfile
import time
import traceback

import report

STEPS = 3


def main():
    options = report.arguments(__doc__.split("\n")[0]).parse_args()
    report.quiet_tensorflow()
    out = report.Report()
    tools = {"cornu": options.cornu or report.find_program(options.build, "cornu"),
             "edit": report.find_program(options.build, "edit_model")}
    if not tools["cornu"]:
        out.skip("golden.roundtrip", "there is no program cornu in " + options.build)
        return out.finish()
    folder = options.keep or tempfile.mkdtemp(prefix="cornu-roundtrip-")
    os.makedirs(folder, exist_ok=True)
    try:
        run_cases(options, tools, folder, out)
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    return out.finish()


def run_cases(options, tools, folder, out):
    import models

    done = 0
    for name, make in models.CASES.items():
        if not report.chosen(name, options.only):
            continue
        start = time.monotonic()
        try:
            case = Case(name, make, os.path.join(folder, name))
        except Exception:
            out.fail("roundtrip." + name, "Keras does not make this model: " + failure())
            continue
        done += case.check(tools, out)
        print(f"  {name}: {time.monotonic() - start:.1f} s", file=sys.stderr)
    if report.chosen("control", options.only):
        check_controls(folder, out)
    if options.only == "*":
        if done >= 60:
            out.ok("roundtrip.count")
        else:
            out.fail("roundtrip.count", f"only {done} models repeat themselves in Keras, 60 are wanted")


def check_controls(folder, out):
    """The comparison sees what it is there to see."""
    import archives
    import h5py
    import models

    case = Case("control", models.CASES["optimizer_adam"], os.path.join(folder, "control"))
    found = archives.members(case.a)
    path = case.path("changed.keras")

    def changed_h5(change):
        memory = io.BytesIO(found["model.weights.h5"])
        with h5py.File(memory, "r+") as file:
            change(file)
        return {**found, "model.weights.h5": memory.getvalue()}

    def one_bit(file):
        value = file["layers/dense/vars/0"][()]
        value.view("<u4")[0, 0] ^= 1
        file["layers/dense/vars/0"][()] = value

    def optimizer_slot(file):
        file["optimizer/vars/4"][()] *= 2

    def no_name(file):
        del file["layers/dense/vars"].attrs["name"]

    def new_group(file):
        file.create_group("layers/more")

    spaced = {**found, "config.json": json.dumps(json.loads(found["config.json"]), indent=1).encode()}
    for name, other in (("one_bit", changed_h5(one_bit)), ("optimizer", changed_h5(optimizer_slot)),
                        ("attribute", changed_h5(no_name)), ("group", changed_h5(new_group)), ("spacing", spaced)):
        if archives.differences(found, other) is None:
            out.fail("roundtrip.control." + name, "the comparison does not see this change")
        else:
            out.ok("roundtrip.control." + name)
    expected = case.outcome(case.a)
    archives.write_stored(changed_h5(optimizer_slot), path)
    seen = first_difference(expected, case.outcome(path))
    out.ok("roundtrip.control.training") if seen else out.fail("roundtrip.control.training", "changed optimizer state trains alike")
    archives.write_rezipped(found, path)
    seen = archives.written_as_keras_writes(path)
    out.ok("roundtrip.control.archive") if seen else out.fail("roundtrip.control.archive", "a re-zipped archive passes for Keras's")


class Case:
    """One model: made, trained for two steps, saved as A.keras."""

    def __init__(self, name, make, folder):
        import keras
        import models

        os.makedirs(folder, exist_ok=True)
        self.name, self.folder = name, folder
        keras.backend.clear_session()
        keras.utils.set_random_seed(1)
        made = make()
        model, *data = made if isinstance(made, tuple) else (made,)
        rng = models.np.random.default_rng(11)
        self.x = data[0] if data and data[0] is not None else models.draw_inputs(model, rng)
        trained = not (len(data) > 1 and isinstance(data[1], str))
        self.y = data[1] if len(data) > 1 and trained else None
        if model.compiled and self.y is None:
            self.y = models.draw_targets(model(self.as_tensors()), rng)
        self.a = self.path("A.keras")
        if model.compiled and trained:
            self.train(model, 2)
        model.save(self.a)

    def path(self, name):
        return os.path.join(self.folder, name)

    def as_tensors(self):
        import tensorflow as tf

        import keras

        return keras.tree.map_structure(tf.convert_to_tensor, self.x)

    def train(self, model, steps):
        """Trains, or calls the model where it is not compiled. Returns the bytes of what came out."""
        import keras
        import numpy as np

        keras.utils.set_random_seed(5)
        results = []
        if not model.compiled:
            outputs = model(self.as_tensors(), training=False)
            return [np.asarray(t).tobytes() for t in keras.tree.flatten(outputs)]
        model.run_eagerly = True
        model.jit_compile = False
        for _ in range(steps):
            values = model.train_on_batch(self.x, self.y)  # a number, or nested lists of the loss and the metrics
            results.append(b"".join(np.asarray(v).tobytes() for v in keras.tree.flatten(values)))
        return results

    def load(self, path):
        import keras

        keras.utils.set_random_seed(2)
        return keras.saving.load_model(path)

    def outcome(self, path):
        """Everything that Keras knows of a file after loading it, and after training the loaded model."""
        model = self.load(path)
        found = {"config": config_of(model), "variables": variables_of(model)}
        found["trained"] = self.train(model, STEPS)
        found["variables after training"] = variables_of(model)
        return found

    def check(self, tools, out):
        """Reports each variant; 1 if the model counts."""
        import archives

        name = "roundtrip." + self.name
        try:
            self.expected = self.outcome(self.a)
            same = first_difference(self.expected, self.outcome(self.a))
        except Exception:
            same = failure()
        if same:
            out.skip(name, "control: Keras does not repeat itself: " + same)
            return 0
        self.members = archives.members(self.a)
        variants = [self.copy, self.again, self.folder_and_back, self.weights]
        if tools["edit"]:
            variants += [self.memory, self.edited]
        else:
            out.skip(f"{name}.edited", "there is no program edit_model")
        for variant in variants:
            try:
                problem = variant(tools)
            except Exception:
                problem = failure()
            if problem:
                out.fail(f"{name}.{variant.__name__}", problem)
            else:
                out.ok(f"{name}.{variant.__name__}")
        return 1

    # ---- Variants: each returns a sentence that says what is wrong, or None ----

    def copy(self, tools):
        import archives

        b = self.path("B.keras")
        return (convert(tools, self.a, b) or archives.differences(self.members, archives.members(b)) or
                archives.written_as_keras_writes(b) or first_difference(self.expected, self.outcome(b)))

    def again(self, tools):
        import archives

        a, b = self.path("again-A.keras"), self.path("again-B.keras")
        archives.write_rezipped(self.members, a)
        problem = (convert(tools, a, b) or archives.written_as_keras_writes(b) or
                   archives.differences(self.members, archives.members(b)))
        if problem:
            return problem
        with open(a, "rb") as x, open(b, "rb") as y:
            return "the archive was copied, not written" if x.read() == y.read() else None

    def folder_and_back(self, tools):
        import archives

        b, c = self.path("B-folder"), self.path("C.keras")
        problem = convert(tools, self.a, b, "--to", "keras-dir") or archives.differences(self.members, archives.members(b))
        if problem:
            return problem
        if variables_of(self.load(b)) != self.expected["variables"]:
            return "Keras reads other variables from the directory"
        return convert(tools, b, c) or archives.differences(self.members, archives.members(c))

    def weights(self, tools):
        import archives
        import keras

        b = self.path("B.weights.h5")
        problem = convert(tools, self.a, b)
        if problem:
            return problem
        model = self.load(self.a)
        with open(b, "rb") as file:
            problem = archives.differences_h5(self.members["model.weights.h5"], file.read())
        if problem or any(getattr(layer, "lora_enabled", False) for layer in model._flatten_layers()):
            return problem  # Keras cannot put the weights of a LoRA layer back exactly
        wanted = variables_of(model)
        with keras.device("cpu:0"):
            for variable in model.weights:
                variable.assign(keras.ops.zeros_like(variable))
        model.load_weights(b)
        return first_difference({"v": wanted}, {"v": variables_of(model)})

    def memory(self, tools):
        import archives

        b = self.path("M.keras")
        code, _, error = report.run(tools["edit"], self.a, b, "--memory")
        return (f"edit_model --memory ended with {code}: {error}" if code else None) or archives.differences(
            self.members, archives.members(b)) or archives.written_as_keras_writes(b)

    def edited(self, tools):
        import archives
        import numpy as np

        a, b, wanted = self.path("again-A.keras"), self.path("E.keras"), self.path("W.keras")
        archives.write_rezipped(self.members, a)  # what is written must be laid out as Keras does it all the same
        weights = self.members["model.weights.h5"]
        values = archives.new_values(weights, np.random.default_rng(8))
        pointer, text, tree = archives.pick_edit(json.loads(self.members["config.json"]))
        if json.dumps(json.loads(self.members["config.json"])).encode() != self.members["config.json"]:
            return "config.json is not what json.dumps writes, so that the expected text is not known"
        np.savez(self.path("values.npz"), **values)
        code, _, error = report.run(tools["edit"], a, b, "--values", self.path("values.npz"), "--set", pointer, text)
        if code:
            return f"edit_model ended with {code}: {error}"
        expected = dict(self.members)
        expected["config.json"] = json.dumps(tree).encode()
        expected["model.weights.h5"] = archives.replaced_h5(weights, values)
        archives.write_stored(expected, wanted)
        problem = archives.differences(expected, archives.members(b)) or archives.written_as_keras_writes(b)
        if problem:
            return problem
        x, y = self.load(wanted), self.load(b)
        return first_difference({"config": config_of(x), "variables": variables_of(x)},
                                {"config": config_of(y), "variables": variables_of(y)})


def failure():
    kind, error, trace = sys.exc_info()
    last = traceback.extract_tb(trace)[-1]
    return f"{kind.__name__} at {os.path.basename(last.filename)}:{last.lineno}: {error}"


def convert(tools, a, b, *more):
    code, _, error = report.run(tools["cornu"], "convert", a, b, "--overwrite", *more)
    return f"cornu convert ended with {code}: {error}" if code else None


def config_of(model):
    import keras

    tree = keras.saving.serialize_keras_object(model)

    def without_ids(node):  # ids are addresses in this process
        if isinstance(node, dict):
            return {k: without_ids(v) for k, v in node.items() if k != "shared_object_id"}
        return [without_ids(v) for v in node] if isinstance(node, list) else node

    return json.dumps(without_ids(tree))


def variables_of(model):
    """(owner, dtype, shape, bytes) of each variable of the model and of its optimizer, in order. Names are left out: Keras
    numbers the layers inside custom layers anew with each load."""
    import numpy as np

    groups = [("model", model.variables)]
    if getattr(model, "optimizer", None) is not None:
        groups.append(("optimizer", model.optimizer.variables))
    found = []
    for group, variables in groups:
        for v in variables:
            if "seed_generator" in v.path or "metric" in type(v).__name__.lower():
                continue  # never saved
            found.append((group, str(v.dtype), tuple(v.shape), np.asarray(v.value).tobytes()))
    return found


def first_difference(expected, actual):
    for key in expected:
        x, y = expected[key], actual[key]
        if x == y:
            continue
        if isinstance(x, str):
            at = next((i for i, (p, q) in enumerate(zip(x, y)) if p != q), min(len(x), len(y)))
            return f"{key} differs at {at}: ...{x[max(0, at - 60):at + 40]} became ...{y[max(0, at - 60):at + 40]}"
        if len(x) != len(y):
            return f"{key}: {len(x)} became {len(y)}"
        at = next(i for i, (p, q) in enumerate(zip(x, y)) if p != q)
        return f"{key}: number {at} differs: {repr(x[at])[:120]} became {repr(y[at])[:120]}"
    return None


if __name__ == "__main__":
    sys.exit(main())
