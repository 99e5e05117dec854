"""The models of keras.applications: logits of Cornu and of Keras agree, at 224 x 224 (or the smallest size that a class takes),
for batches of 1 and 3. Weights are Keras's random initial ones; the moving statistics of every BatchNormalization are set
from what the layer sees, so that the outputs spread. Called by run_applications.py (one model of each of eight families) and with --all by the long tier."""
import inspect
import os
import subprocess
import sys
import tempfile
import time

import report

LIMIT = 1e-4  # relative L2 error of a network; where it is exceeded, a float64 oracle decides
FEW = ["MobileNetV2", "MobileNetV3Small", "EfficientNetB0", "EfficientNetV2B0", "NASNetMobile", "DenseNet121", "ResNet50", "ConvNeXtTiny",
       "InceptionV3", "Xception"]


def names():
    """Every model function of the installed keras.applications."""
    import keras

    found = [name for name, value in vars(keras.applications).items() if inspect.isfunction(value)]
    return sorted(found)


def build(name, size):
    import keras

    keras.utils.set_random_seed(1)
    function = getattr(keras.applications, name)
    for trial in (size, 224, 299, 331):
        try:
            return function(weights=None, classifier_activation=None, input_shape=(trial, trial, 3)), trial
        except ValueError:
            continue
    raise ValueError(f"{name} takes none of the sizes tried")


def layers_of(model):
    for layer in model.layers:
        yield layer
        if hasattr(layer, "layers"):
            yield from layers_of(layer)


def calibrate(model, images):
    """Sets the moving statistics from the batch: with momentum 0 one training step leaves those of the batch."""
    import keras

    norms = [layer for layer in layers_of(model) if isinstance(layer, keras.layers.BatchNormalization)]
    kept = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = 0.0
    if norms:
        model(images, training=True)
    for layer, momentum in zip(norms, kept):
        layer.momentum = momentum


def relative(a, b):
    import numpy

    a, b = a.astype("float64"), b.astype("float64")
    return float(numpy.linalg.norm(a - b) / max(numpy.linalg.norm(b), 1e-30))


def oracle_float64(path, images):
    import keras

    model = keras.models.load_model(path, compile=False)
    config = model.get_config()
    before = keras.config.floatx()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    try:
        text = __import__("json").dumps(config).replace('"float32"', '"float64"')
        twin = model.__class__.from_config(__import__("json").loads(text))
        twin.set_weights([w.astype("float64") for w in model.get_weights()])
        return twin(images.astype("float64"), training=False).numpy()
    finally:
        keras.config.set_floatx(before)
        keras.config.set_dtype_policy("float32")


def check(name, cornu, folder, out, size):
    import numpy

    start = time.time()
    model, used = build(name, size)
    random = numpy.random.default_rng(7)
    images = (random.random((3, used, used, 3)) * 255).astype("float32")
    calibrate(model, images)
    path = os.path.join(folder, name + ".keras")
    model.save(path)
    worst, seconds = 0.0, 0.0
    for batch in (1, 3):
        expected = model(images[:batch], training=False).numpy()
        source, target = os.path.join(folder, "in.npy"), os.path.join(folder, "out.npy")
        numpy.save(source, images[:batch])
        began = time.time()
        done = subprocess.run([cornu, "predict", path, "--input", source, "--output", target, "--overwrite", "--device", "cpu"],
                              capture_output=True, text=True)
        seconds = max(seconds, time.time() - began)
        if done.returncode:
            out.fail(f"applications.{name}", f"exit {done.returncode}: {done.stderr.strip()[:400]}")
            break
        actual = numpy.load(target)
        error = relative(actual, expected) if actual.shape == expected.shape else float("inf")
        if error > LIMIT:
            exact = oracle_float64(path, images[:batch])
            own = relative(expected, exact)
            error = relative(actual, exact)
            if error > max(LIMIT, 2 * own):
                out.fail(f"applications.{name}", f"batch {batch}: relative error {error:.3g}, Keras's own {own:.3g}")
                break
        spread = float(expected.std())
        if not spread > 1e-6:
            out.fail(f"applications.{name}", f"the logits do not spread: {spread}")
            break
        worst = max(worst, error)
    else:
        out.ok(f"applications.{name}")
        print(f"FIGURE applications.{name}.error {worst:.3g} relative_L2", flush=True)
        print(f"FIGURE applications.{name}.predict_seconds {seconds:.2f} s", flush=True)
    print(f"# {name} at {used}: {worst:.3g}, {seconds:.1f} s of cornu, {time.time() - start:.0f} s in all", flush=True)
    os.unlink(path)


def main(all_models):
    parser = report.arguments(__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--shard", default="1/1", help="I/N, I from 1")
    options = parser.parse_args()
    report.quiet_tensorflow()
    out = report.Report()
    cornu = options.cornu or report.find_program(options.build, "cornu")
    if not cornu:
        out.skip("applications", "there is no program cornu in " + options.build)
        return out.finish()
    part, parts = (int(x) for x in options.shard.split("/"))
    chosen = [n for n in (names() if all_models else FEW) if report.chosen(n, options.only)]
    with tempfile.TemporaryDirectory(prefix="cornu-applications-") as folder:
        for i, name in enumerate(chosen):
            if i % parts != part - 1:
                continue
            try:
                check(name, cornu, folder, out, options.size)
            except Exception as error:  # one model must not hide the others
                out.fail(f"applications.{name}", f"{type(error).__name__}: {str(error)[:300]}")
            __import__("keras").backend.clear_session()
    return out.finish()


if __name__ == "__main__":
    sys.exit(main(True))
