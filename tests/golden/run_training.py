"""Training goes on from what Cornu wrote as it goes on from Keras's own file: for every optimizer of models.py a model is trained for two steps and
saved by Keras, passed through Cornu (load, save anew) and opened by Keras, in each format that holds optimizer state. Every variable of the
optimizer is bit-equal, and so are the next three training steps, to what Keras gets from a file of its own in that format.

  training.OPTIMIZER.FORMAT   that; a format in which Keras itself does not repeat itself is skipped
  training.OPTIMIZER.h5       the same through legacy HDF5 and back
  state.OPTIMIZER             what cornu.h says of the compile state: each slot's name and trained variable, rates, parameters and defaults
  set.OPTIMIZER               learning rate and step counter changed through cornu.h: Keras reads the new ones and nothing else new
  defaults                    the table of hyperparameters has Keras's keys, order and values, and so have the tables of losses and metrics
"""
import inspect
import json
import math
import os
import shutil
import sys
import tempfile

import report
from run_roundtrip import failure, first_difference, variables_of

STEPS = 3
# The short tier: one case of each kind of state; the others with --all.
SHORT = ("adam", "adam_ema_accumulation", "adamw", "adafactor", "lion", "loss_scale", "multi", "muon", "order_adam", "rmsprop_centered", "schedule_free_adamw",
         "schedule_restarts", "sgd_momentum")


def main():
    parser = report.arguments(__doc__.split("\n")[0])
    parser.add_argument("--all", action="store_true", help="every case, not only the short tier's")
    options = parser.parse_args()
    report.quiet_tensorflow()
    out = report.Report()
    tools = {name: report.find_program(options.build, name) for name in ("cornu", "state_model")}
    missing = [name for name, path in tools.items() if not path]
    if missing:
        out.skip("training", f"there is no program {missing[0]} in {options.build}")
        return out.finish()
    folder = options.keep or tempfile.mkdtemp(prefix="cornu-training-")
    os.makedirs(folder, exist_ok=True)
    cells = {"cells": 0, "passes": 0}
    try:
        for name, case in cases().items():
            if report.chosen(name, options.only) and (options.all or options.only != "*" or name in SHORT):
                run_case(name, case, tools, os.path.join(folder, name), out, cells)
        if report.chosen("defaults", options.only):
            check(out, "defaults", lambda: check_defaults(tools, folder))
            check(out, "objectives", lambda: check_objectives(tools, folder))
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"FIGURE training_cells {cells['cells']} cells")
    print(f"FIGURE training_passes {cells['passes']} cells")
    return out.finish()


def check(out, name, function):
    try:
        problem = function()
    except Exception:
        problem = failure()
    if problem:
        out.fail(name, problem)
    else:
        out.ok(name)
    return not problem


# ---- models ----

def cases():
    """name -> () -> compiled model"""
    import keras
    import models

    def plain(make):
        return lambda: models.compiled(models.mlp(keras.layers.BatchNormalization()), make(), metrics=["mae"])

    found = {name: plain(make) for name, make in models.OPTIMIZERS.items()}
    optimizers = keras.optimizers
    found["loss_scale_nadam"] = plain(lambda: optimizers.LossScaleOptimizer(optimizers.Nadam(0.01), initial_scale=64.0))
    found["order_adam"] = lambda: models.compiled(composite(), optimizers.Adam(0.01))
    found["order_muon"] = lambda: models.compiled(composite(), optimizers.Muon(0.01, exclude_layers=["named"]))
    found["order_ema"] = lambda: models.compiled(composite(), optimizers.AdamW(0.01, use_ema=True, gradient_accumulation_steps=2, amsgrad=True))
    return found


def composite():
    """Layers whose variables are not in the file in the order in which they are trained."""
    from keras import Input, Model, Sequential, layers

    x = Input((4,), dtype="int32")
    y = layers.Embedding(9, 6)(x)
    z = layers.MultiHeadAttention(2, 3)(y, y)
    y = layers.Add()([y, z])
    y = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(y)
    y = layers.RNN([layers.GRUCell(4), layers.SimpleRNNCell(3), layers.GRUCell(3)], return_sequences=True)(y)
    y = layers.TimeDistributed(layers.Dense(5, name="named"))(y)
    y = layers.SpectralNormalization(layers.Dense(4))(y)
    y = layers.GroupQueryAttention(2, 4, 2)(y, y)
    inner = Sequential([layers.Dense(4), layers.BatchNormalization(), layers.Dense(4, trainable=False)])
    y = layers.TimeDistributed(inner)(y)
    frozen = Sequential([layers.Dense(3), layers.LayerNormalization()])
    frozen.trainable = False
    return Model(x, layers.Dense(2)(layers.GlobalAveragePooling1D()(frozen(y))))


class Trained:
    """A model trained for two steps, and what trains it."""

    def __init__(self, make):
        import keras
        import models

        keras.backend.clear_session()
        keras.utils.set_random_seed(1)
        self.make = make
        self.model = make()
        rng = models.np.random.default_rng(11)
        self.x = models.draw_inputs(self.model, rng)
        self.y = models.draw_targets(self.model(keras.tree.map_structure(keras.ops.convert_to_tensor, self.x)), rng)
        self.train(self.model, 2)

    def train(self, model, steps):
        import keras
        import numpy as np

        keras.utils.set_random_seed(5)
        model.run_eagerly = True
        model.jit_compile = False
        return [np.asarray(v).tobytes() for _ in range(steps) for v in keras.tree.flatten(model.train_on_batch(self.x, self.y))]

    def outcome(self, load):
        import keras

        keras.utils.set_random_seed(2)
        model = load()
        found = {"variables": variables_of(model)}
        found["trained"] = self.train(model, STEPS)
        found["variables after training"] = variables_of(model)
        return found


# ---- formats: how Keras writes and reads each, and what Cornu writes it from ----

def load_model(path):
    import keras

    return keras.saving.load_model(path)


def formats(trained, path):
    """name -> (Keras saves, Keras loads); the .h5 of Keras 3 restores no slots when it is read, so that there is nothing to train on from."""

    def load_weights(file):
        import keras
        import numpy as np

        model = trained.make()
        for v in model.variables:
            if "seed" not in v.path:
                v.assign(keras.ops.zeros_like(v))
        model.optimizer.build(model.trainable_variables)
        model.load_weights(file)
        return model

    def save_folder(file):
        trained.model.save(file, zipped=False)

    return {
        "keras": (path("K.keras"), trained.model.save, load_model),
        "folder": (path("K-folder"), save_folder, load_model),
        "weights": (path("K.weights.h5"), trained.model.save_weights, load_weights),
    }


def cornu(tools, *arguments):
    code, output, error = report.run(tools["cornu"], *arguments)
    if code:
        raise RuntimeError(f"cornu {' '.join(map(str, arguments))} ended with {code}: {error}")
    return output


def state_of(tools, path):
    code, output, error = report.run(tools["state_model"], path)
    if code:
        raise RuntimeError(f"state_model ended with {code}: {error}")
    return json.loads(output)


def run_case(name, make, tools, folder, out, cells):
    def path(file):
        return os.path.join(folder, file)

    os.makedirs(folder, exist_ok=True)
    try:
        trained = Trained(make)
        rows = formats(trained, path)
        for file, save, _ in rows.values():
            save(file)
    except Exception:
        out.fail("training." + name, "Keras does not train or save it: " + failure())
        return
    for kind, (file, _, load) in rows.items():
        cell = f"training.{name}.{kind}"
        try:
            own = trained.outcome(lambda: load(file))
            again = first_difference(own, trained.outcome(lambda: load(file)))
        except Exception:
            again = failure()
        if again:
            out.skip(cell, "Keras does not repeat itself: " + again)
            continue
        cells["cells"] += 1

        def compare():
            # Each from its own format and from the archive, which has everything.
            for source in sorted({file, path("K.keras")}):
                target = path("C-" + os.path.basename(file))
                cornu(tools, "convert", source, target, "--overwrite", "--to", {"keras": "keras", "folder": "keras-dir", "weights": "weights.h5"}[kind])
                difference = first_difference(own, trained.outcome(lambda: load(target)))
                if difference:
                    return f"from {os.path.basename(source)}: {difference}"
            return None

        cells["passes"] += check(out, cell, compare)
    if not name.startswith("order_"):  # those layers' weights in .h5 are tested with the conversions
        run_h5(trained, tools, path, name, out, cells)
    check(out, f"state.{name}", lambda: check_state(trained, state_of(tools, path("K.keras")), path("K.keras")))
    check(out, f"set.{name}", lambda: check_set(trained, tools, path))


def run_h5(trained, tools, path, name, out, cells):
    """Keras restores no slots from .h5, but Cornu does: a .keras made from one trains on as Keras's own .keras. h5: Cornu wrote the .h5 as well;
    h5_of_keras: Keras did."""
    own = trained.outcome(lambda: load_model(path("K.keras")))

    def through(first):
        def compare():
            target = path("C-from-h5.keras")
            cornu(tools, "convert", first(), target, "--overwrite")
            return first_difference(own, trained.outcome(lambda: load_model(target)))
        return compare

    def by_cornu():
        cornu(tools, "convert", path("K.keras"), path("C.h5"), "--overwrite")
        return path("C.h5")

    def by_keras():
        return path("K.h5")

    try:
        trained.model.save(path("K.h5"))  # last: it takes the optimizer out of the model's compile config
    except Exception:
        out.skip(f"training.{name}.h5_of_keras", "Keras does not write it: " + failure())
    else:
        cells["cells"] += 1
        cells["passes"] += check(out, f"training.{name}.h5_of_keras", through(by_keras))
    if name == "multi":
        out.skip(f"training.{name}.h5", "the pattern of a MultiOptimizer names variables by paths that the file does not keep")
        return
    cells["cells"] += 1
    cells["passes"] += check(out, f"training.{name}.h5", through(by_cornu))


# ---- what cornu.h says ----

def owners(optimizer):
    inner = getattr(optimizer, "inner_optimizer", None)
    if inner is not None:
        return [optimizer, inner]
    return [optimizer, *getattr(optimizer, "optimizers", [])]


def stored_values(file):
    """path in the weights file -> bytes"""
    import io
    import zipfile

    import h5py

    found = {}
    with zipfile.ZipFile(file) as archive, h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as h5:
        h5.visititems(lambda key, node: found.__setitem__(key, node[()]) if isinstance(node, h5py.Dataset) else None)
    return found


def check_state(trained, state, file):
    """Slots against the names that Keras gives the variables, trained variables by their values."""
    import numpy as np

    model, optimizer = trained.model, trained.model.optimizer
    values = stored_values(file)
    if len(state["slots"]) != len(optimizer.variables):
        return f"{len(state['slots'])} slots, {len(optimizer.variables)} variables"
    by_bytes = {}
    for v in model.trainable_variables:
        by_bytes[v.path.replace("/", "_")] = np.asarray(v).tobytes()
    for i, (variable, (path, name, _, of, _)) in enumerate(zip(optimizer.variables, state["slots"])):
        last = variable.path.split("/")[-1]
        if path != f"optimizer/vars/{i}":
            return f"slot {i} has path {path}"
        wanted = next((key for key in sorted(by_bytes, key=len, reverse=True) if last.startswith(key)), None)
        if wanted is None:
            if of is not None and name not in ("r", "c", "velocity"):  # Adafactor's have no names that say anything
                return f"{variable.path} belongs to no variable, not to {of}"
            if of is None and last not in (name, "variable"):
                return f"{variable.path} is {name}"
            continue
        if of is None or values[of].tobytes() != by_bytes[wanted]:
            return f"{variable.path} belongs to {wanted}, not to {of}"
        if last != f"{wanted}_{name}":
            return f"{variable.path} is {name}"
    for row, one in zip(state["optimizers"], owners(optimizer)):
        problem = check_optimizer(row, one)
        if problem:
            return problem
    return None if len(state["optimizers"]) == len(owners(optimizer)) else "the number of optimizers differs"


def check_optimizer(row, optimizer):
    import keras
    import numpy as np

    name = type(optimizer).__name__
    if row["class_name"] != name or row["name"] != optimizer.name or not row["is_known"]:
        return f"{row['class_name']} {row['name']}, not {name} {optimizer.name}"
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    if row["iterations"] != int(np.asarray(inner._iterations)):
        return f"iterations {row['iterations']}"
    if not hasattr(optimizer, "optimizers"):
        rate = inner._learning_rate
        schedule = isinstance(rate, keras.optimizers.schedules.LearningRateSchedule)
        wanted = float(np.asarray(rate(int(np.asarray(inner._iterations))))) if schedule else float(np.asarray(rate))
        if not math.isclose(row["learning_rate"], wanted, rel_tol=4e-7):
            return f"learning rate {row['learning_rate']}, not {wanted}"
        if (row["schedule"] == type(rate).__name__) != schedule:
            return f"schedule {row['schedule']}"
        # Its values are computed in float32: one rounding for each of a few operations.
        for step, value in enumerate(row.get("values", ())):
            if not math.isclose(value, float(np.asarray(rate(step))), rel_tol=2e-6, abs_tol=1e-9):
                return f"schedule at {step}: {value}, not {float(np.asarray(rate(step)))}"
        if schedule and "schedule_parameters" in row:
            config = rate.get_config()
            if {key: value[0] for key, value in row["schedule_parameters"].items()} != json.loads(json.dumps(config)):
                return f"schedule's parameters {row['schedule_parameters']}"
    if name == "LossScaleOptimizer":
        if row["loss_scale"] != float(optimizer.dynamic_scale) or row["good_steps"] != int(optimizer.step_counter):
            return f"loss scale {row['loss_scale']}, {row['good_steps']}"
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(optimizer)))["config"]
    for key, (value, is_default, _) in row["parameters"].items():
        if is_default or config.get(key) != value:
            return f"{key} is {value}, not {config.get(key)}"
    left = set(config) - set(row["parameters"]) - {"name", "learning_rate", "inner_optimizer", "optimizer_map"}
    return f"{sorted(left)} are missing" if left else None


def check_set(trained, tools, path):
    import numpy as np

    optimizer = trained.model.optimizer
    scheduled = hasattr(getattr(optimizer, "inner_optimizer", optimizer)._learning_rate, "get_config")
    multi = hasattr(optimizer, "optimizers")
    rate = "-" if scheduled or multi else "0.0375"
    target = path("set.keras")
    code, _, error = report.run(tools["state_model"], path("K.keras"), target, rate, "17")
    if code:
        return f"state_model ended with {code}: {error}"
    if scheduled and report.run(tools["state_model"], path("K.keras"), target + "2", "0.5", "-")[0] != 1:
        return "a rate that a schedule gives was set"
    before, after = load_model(path("K.keras")), load_model(target)
    inner = getattr(after.optimizer, "inner_optimizer", after.optimizer)
    if int(np.asarray(inner._iterations)) != 17:
        return f"iterations {int(np.asarray(inner._iterations))}"
    if rate != "-" and float(np.asarray(inner.learning_rate)) != float(np.float32(rate)):
        return f"learning rate {float(np.asarray(inner.learning_rate))}"
    if rate != "-" and inner.get_config()["learning_rate"] != json.loads(cornu(tools, "info", target, "--config-json"))["compile_config"][
            "optimizer"]["config"].get("inner_optimizer", {}).get("config", {}).get("learning_rate") and \
            inner.get_config()["learning_rate"] != json.loads(cornu(tools, "info", target, "--config-json"))["compile_config"]["optimizer"]["config"].get("learning_rate"):
        return "the config has another learning rate than Keras would write"
    changed = [i for i, (a, b) in enumerate(zip(variables_of(before), variables_of(after))) if a != b]
    return None if len(changed) == (1 if rate == "-" else 2) else f"{len(changed)} variables changed"


# ---- tables ----

def save_with(model, config, path):
    """The model's archive with another compile_config."""
    import zipfile

    model.save(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    tree = json.loads(members["config.json"])
    tree["compile_config"] = config
    members["config.json"] = json.dumps(tree).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def check_defaults(tools, folder):
    import keras
    import models

    path = os.path.join(folder, "defaults.keras")
    for name in ("SGD RMSprop Adam AdamW Adadelta Adagrad Adamax Adafactor Nadam Ftrl Lion Lamb Muon ScheduleFreeAdamW".split()):
        save_with(models.mlp(), {"optimizer": {"module": "keras.optimizers", "class_name": name, "config": {}, "registered_name": None}}, path)
        row = state_of(tools, path)["optimizers"][0]
        wanted = {k: p.default for k, p in inspect.signature(getattr(keras.optimizers, name).__init__).parameters.items()
                  if k not in ("self", "kwargs", "name")}
        wanted["exclude_layers"] = []
        order = [k for k in getattr(keras.optimizers, name)().get_config() if k not in ("name", "learning_rate")]
        order = [k for k in order if k in row["parameters"]]
        if row["class_name"] != name or row["learning_rate"] != wanted.pop("learning_rate"):
            return f"{name}: learning rate {row['learning_rate']}"
        for key, (value, is_default, _) in row["parameters"].items():
            if key == "learning_rate":
                continue
            if not is_default or value != wanted[key]:
                return f"{name}: {key} is {value}, not {wanted[key]}"
            number = row["parameters"][key][2]
            if isinstance(wanted[key], (bool, int, float)) and number != float(wanted[key]):
                return f"{name}: {key} as a number is {number}, not {wanted[key]}"
        missing = set(order) ^ (set(row["parameters"]) - {"learning_rate"})
        if missing:
            return f"{name}: {sorted(missing)}"
    return None


def check_objectives(tools, folder):
    """Every name that Keras finds as a loss or metric means here what it means there, and no other name is known."""
    import keras
    import models
    from keras.src import losses, metrics

    path = os.path.join(folder, "objectives.keras")
    skipped = {"Loss", "Metric", "metric"}  # abstract
    names = [n for n in losses.ALL_OBJECTS_DICT if n not in skipped] + ["nothing"]
    metric_names = [n for n in metrics.ALL_OBJECTS_DICT if n not in skipped] + ["nothing", "accuracy", "acc", "ce", "crossentropy"]
    config = {"optimizer": "sgd", "loss": names, "metrics": metric_names, "loss_weights": None}
    save_with(models.mlp(), config, path)
    rows = state_of(tools, path)["objectives"]
    if [r["spelled"] for r in rows] != names + metric_names:
        return "the names differ"
    for row in rows:
        table = metrics.ALL_OBJECTS_DICT if row["kind"] else losses.ALL_OBJECTS_DICT
        wanted = getattr(table.get(row["spelled"]), "__name__", None)
        if row["spelled"] in ("accuracy", "acc", "ce", "crossentropy"):
            wanted = row["spelled"]  # resolved by the shape of the output
        if bool(wanted) != bool(row["is_known"]) or wanted and row["class_name"] != wanted:
            return f"{'metric' if row['kind'] else 'loss'} {row['spelled']}: {row['class_name']}, known {row['is_known']}; Keras takes {wanted}"
    x = keras.Input((3,))
    model = keras.Model(x, {"a": keras.layers.Dense(2, name="p")(x), "b": keras.layers.Dense(1, name="q")(x)})
    model.compile("adam", loss={"b": keras.losses.Huber(0.5), "a": "mse"}, loss_weights={"a": 0.25, "b": 2},
                  metrics={"a": ["mae", keras.metrics.AUC(num_thresholds=7)]}, weighted_metrics={"b": ["acc"]})
    model.save(path)
    rows = [(r["kind"], r["output"], r["output_index"], r["class_name"], r["weight"]) for r in state_of(tools, path)["objectives"]]
    wanted = [(0, "b", 1, "Huber", 2.0), (0, "a", 0, "mean_squared_error", 0.25), (1, "a", 0, "MeanAbsoluteError", 1.0), (1, "a", 0, "AUC", 1.0),
              (2, "b", 1, "acc", 1.0)]
    if sorted(rows) != sorted(wanted):
        return f"{rows} instead of {wanted}"
    return None


if __name__ == "__main__":
    sys.exit(main())
