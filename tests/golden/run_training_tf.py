"""The optimizer of tf_keras's files: a model is trained in tf_keras and saved as .h5; Cornu turns that into .keras and back into an .h5 of the
dialect tf. tf_keras finds the same variables in both .h5 and trains on alike; what the .keras has, Keras 3 calls by the right names.

  tf.OPTIMIZER         .h5 of tf_keras -> .keras -> .h5: the same variables, the same next three steps
  tf_keras3.OPTIMIZER  the .keras: Keras 3 loads it compiled, with every slot of tf_keras under its own name (also from optimizers.legacy)
"""
import os
import shutil
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import report

STEPS = 3
# The slots of tf_keras's optimizers as Keras 3 calls them.
SLOTS = {"m": "momentum", "v": "velocity", "vhat": "velocity_hat", "u": "norm", "rms": "velocity", "mg": "average_gradient",
         "accum_grad": "accumulated_grad", "accum_var": "accumulated_delta_var"}


def new_optimizers(o):
    schedule = o.schedules.CosineDecay(0.01, 9)
    found = {"sgd": o.SGD(0.05), "sgd_momentum": o.SGD(0.05, momentum=0.9, nesterov=True), "rmsprop": o.RMSprop(0.002, momentum=0.5, centered=True),
             "adam": o.Adam(0.01), "amsgrad": o.Adam(0.01, amsgrad=True), "ema": o.Adam(0.01, use_ema=True), "adamw": o.AdamW(0.01),
             "adamax": o.Adamax(0.01), "nadam": o.Nadam(0.01), "adagrad": o.Adagrad(0.01), "adadelta": o.Adadelta(1.0), "ftrl": o.Ftrl(0.01),
             "lion": o.Lion(0.001), "adafactor": o.Adafactor(0.01), "schedule": o.SGD(schedule, momentum=0.9)}
    return found


def legacy_optimizers(o):
    return {"sgd": o.SGD(0.05, momentum=0.9, decay=0.1), "rmsprop": o.RMSprop(0.002, momentum=0.5, centered=True), "adam": o.Adam(0.01, amsgrad=True),
            "adamax": o.Adamax(0.01), "nadam": o.Nadam(0.01), "adagrad": o.Adagrad(0.01), "adadelta": o.Adadelta(1.0), "ftrl": o.Ftrl(0.01)}


def main():
    options = report.arguments(__doc__.split("\n")[0]).parse_args()
    report.quiet_tensorflow()
    out = report.Report()
    cornu = options.cornu or report.find_program(options.build, "cornu")
    if not cornu:
        out.skip("training_tf", "there is no program cornu in " + options.build)
        return out.finish()
    try:
        import tf_keras
    except ImportError:
        out.skip("training_tf", "there is no tf_keras")
        return out.finish()
    folder = options.keep or tempfile.mkdtemp(prefix="cornu-training-tf-")
    os.makedirs(folder, exist_ok=True)
    try:
        rows = [(name, one, True) for name, one in new_optimizers(tf_keras.optimizers).items()]
        rows += [("legacy_" + name, one, False) for name, one in legacy_optimizers(tf_keras.optimizers.legacy).items()]
        for name, optimizer, writes in rows:
            if report.chosen(name, options.only):
                run_case(name, optimizer, writes, cornu, folder, out)
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    return out.finish()


def data():
    import numpy as np

    rng = np.random.default_rng(3)
    return rng.standard_normal((6, 4)).astype("float32"), rng.standard_normal((6, 2)).astype("float32")


def train(model, steps):
    import numpy as np

    x, y = data()
    model.run_eagerly = True
    return [np.asarray(model.train_on_batch(x, y)).tobytes() for _ in range(steps)]


def variables(optimizer):
    import numpy as np

    found = optimizer.variables() if callable(optimizer.variables) else optimizer.variables
    # tf_keras's SGD keeps the last step as a momentum of 0 times that, which nothing reads and Keras 3 has no variable for.
    idle = optimizer.momentums or [] if getattr(optimizer, "momentum", None) == 0 and hasattr(optimizer, "momentums") else []
    found = [v for v in found if not any(v is m for m in idle)]
    return [np.asarray(v).tobytes() for v in found]


def run_case(name, optimizer, writes, cornu, folder, out):
    import tf_keras

    a, b, c = (os.path.join(folder, name + end) for end in ("-A.h5", "-B.keras", "-C.h5"))
    tf_keras.utils.set_random_seed(1)
    layers = tf_keras.layers
    model = tf_keras.Sequential([layers.Input((4,)), layers.Dense(3), layers.BatchNormalization(), layers.Dense(2)])
    model.compile(optimizer, "mean_squared_error")
    train(model, 2)
    model.save(a)

    def convert(source, target, *more):
        code, _, error = report.run(cornu, "convert", source, target, "--overwrite", *more)
        if code:
            raise RuntimeError(f"cornu convert ended with {code}: {error}")

    def test(label, function):
        try:
            problem = function()
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
        if problem:
            out.fail(label, problem)
        else:
            out.ok(label)

    def in_tf():
        convert(a, b)
        convert(b, c, "--dialect", "tf")
        x, y = tf_keras.models.load_model(a), tf_keras.models.load_model(c)
        if variables(x.optimizer) != variables(y.optimizer):
            return "the optimizer's variables differ"
        if type(x.optimizer) is not type(y.optimizer):
            return f"{type(x.optimizer).__name__} became {type(y.optimizer).__name__}"
        if train(x, STEPS) != train(y, STEPS):
            return "the next steps differ"
        return None

    def in_keras3():
        convert(a, b)
        return compare_names(model, b)

    if writes:
        test("tf." + name, in_tf)
    test("tf_keras3." + name, in_keras3)


def compare_names(model, path):
    """Every slot of tf_keras by its name against the variable of that name in Keras 3."""
    import keras
    import numpy as np

    loaded = keras.saving.load_model(path)
    mine = {}
    for v in loaded.optimizer.variables:
        mine[v.path.split("/", 1)[-1]] = np.asarray(v)
    trained = {"/".join(v.path.split("/")[-2:]): v.path.replace("/", "_") for v in loaded.trainable_variables}
    optimizer = model.optimizer
    theirs = optimizer.variables() if callable(optimizer.variables) else optimizer.variables
    seen = 0
    for v in theirs:
        parts = v.name.split(":")[0].split("/")
        if parts[-1] in ("iteration", "iter"):
            if int(mine["iteration"]) != int(np.asarray(v)):
                return f"iteration {int(mine['iteration'])}"
            continue
        if parts[-1] == "momentum_cache":
            product = next(value for key, value in mine.items() if key.startswith("variable"))  # Keras 3 gives it no name of its own
            if float(product) != float(np.asarray(v)):
                return f"u_product {float(product)}"
            continue
        # Adam/m/dense/kernel or Adam/dense/kernel/m
        new = "/".join(parts[-2:]) in trained
        weight, slot = ("/".join(parts[-2:]), parts[-3]) if new else ("/".join(parts[-3:-1]), parts[-1])
        kind = type(optimizer).__name__
        wanted = "norm" if kind == "Adamax" and slot == "v" else SLOTS.get(slot, slot)
        if kind == "SGD" and not loaded.optimizer.momentum:
            continue
        key = f"{trained[weight]}_{wanted}"
        if kind == "Adafactor":  # whose variables have no such names in Keras 3
            seen += 1
            continue
        if key not in mine or mine[key].tobytes() != np.asarray(v).tobytes():
            return f"{v.name} is not {key}"
        seen += 1
    if kind_has_slots(loaded.optimizer) and seen == 0:
        return "no slot was compared"
    if hasattr(optimizer, "_current_learning_rate"):
        return None  # tf_keras shows the rate of the step before
    rate, wanted = float(np.asarray(loaded.optimizer.learning_rate)), getattr(optimizer, "_decayed_lr", None)
    wanted = float(np.asarray(wanted("float32") if wanted and kind_decays(optimizer) else optimizer.learning_rate))
    return None if abs(rate - wanted) <= 1e-6 * wanted else f"learning rate {rate}, not {wanted}"


def kind_decays(optimizer):
    return type(optimizer).__name__ != "Nadam"  # whose decay is that of the momentum


def kind_has_slots(optimizer):
    return type(optimizer).__name__ != "SGD" or bool(optimizer.momentum)


if __name__ == "__main__":
    sys.exit(main())
