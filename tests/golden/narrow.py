"""The models of keras.applications in their narrow form on host execution of the CUDA backend: every layer and the whole depth kept, filters and units
divided by 8 or more, at 64 x 64 or the smallest image that a class takes, so that a run needs at most 50 million multiply-adds. Logits agree with Keras, and are the same bits
in three orders of threads and blocks. Called by run_narrow.py (some families) and with --all by the long tier."""
import hashlib
import json
import math
import os
import subprocess
import sys
import tempfile

import applications
import report

LIMIT = 1e-4
FEW = ["MobileNetV2", "EfficientNetB0", "ResNet50V2", "DenseNet121", "ConvNeXtTiny"]
DIVISORS = (8, 11, 12, 16, 22, 24, 32)
MOST = 50e6


def shrink(config, divisor, nested=False):
    """Divides widths in a config, in place: a function of the width alone, so that what is added or multiplied stays equally wide."""

    def narrow(width):
        return max(1, width // divisor)

    for layer in config["layers"]:
        inner = layer["config"]
        if "layers" in inner:
            shrink(inner, divisor, True)
        shape = inner.get("batch_shape")
        if nested and shape and shape[-1] > 3:
            inner["batch_shape"] = [*shape[:-1], narrow(shape[-1])]
        if "filters" in inner:
            inner["filters"] = narrow(inner["filters"])
            if inner.get("groups", 1) > 1:
                inner["groups"] = math.gcd(inner["filters"], inner["groups"])
        if "units" in inner:
            inner["units"] = narrow(inner["units"])
        if "projection_dim" in inner:  # LayerScale
            inner["projection_dim"] = narrow(inner["projection_dim"])
        if layer["class_name"] == "Reshape":  # of squeeze and excitation, of the classes
            inner["target_shape"] = [*inner["target_shape"][:-1], narrow(inner["target_shape"][-1])]
        layer["build_config"] = None
    return config


def multiply_adds(model):
    """Of the convolutions and products for one image."""
    total = 0
    for layer in applications.layers_of(model):
        kernel = getattr(layer, "depthwise_kernel", getattr(layer, "kernel", None))
        if kernel is None or not hasattr(layer, "output"):
            continue
        rest = layer.output.shape[1:-1]
        total += int(math.prod(kernel.shape)) * int(math.prod(d or 1 for d in rest))
        if getattr(layer, "pointwise_kernel", None) is not None:
            total += int(math.prod(layer.pointwise_kernel.shape)) * int(math.prod(d or 1 for d in rest))
    return total


def narrowed(model):
    """The model with its widths divided by the smallest number that divides them alike, and its multiply-adds."""
    config, problem = model.get_config(), "no divisor makes it small enough"
    for divisor in DIVISORS:
        try:
            small = model.__class__.from_config(shrink(json.loads(json.dumps(config)), divisor))
        except ValueError as error:  # halves that no longer add up to the whole
            problem = error
            continue
        if multiply_adds(small) <= MOST:
            return small, multiply_adds(small)
    raise ValueError(problem)


def check(name, cornu, plugin, folder, out):
    import numpy

    model, used = applications.build(name, 64)
    model, cost = narrowed(model)
    images = (numpy.random.default_rng(7).random((32, used, used, 3)) * 255).astype("float32")
    applications.calibrate(model, images)  # by many: the deviation of a few is close to nothing
    images = images[:2]
    path, source = os.path.join(folder, name + ".keras"), os.path.join(folder, "in.npy")
    model.save(path)
    numpy.save(source, images)
    expected, bits, error = model(images, training=False).numpy(), set(), 0.0
    if not float(expected.std()) > 1e-6:
        return out.fail(f"narrow.{name}", "the logits do not spread")
    for order in range(3):
        target = os.path.join(folder, f"out{order}.npy")
        env = {**os.environ, "CORNU_CUDA_LIBRARY": plugin, "CN_HOST_SEED": str(order)}
        done = subprocess.run([cornu, "predict", path, "--input", source, "--output", target, "--overwrite", "--device", "cuda",
                               "--precision", "strict"],
                              capture_output=True, text=True, env=env)
        if done.returncode:
            return out.fail(f"narrow.{name}", f"exit {done.returncode}: {done.stderr.strip()[:400]}")
        actual = numpy.load(target)
        bits.add(hashlib.sha256(actual.tobytes()).hexdigest())
        error = max(error, applications.relative(actual, expected))
    if error > LIMIT:
        exact = applications.oracle_float64(path, images)
        own, error = applications.relative(expected, exact), applications.relative(actual, exact)
        if error > max(LIMIT, 2 * own) or own > 10 * LIMIT:
            return out.fail(f"narrow.{name}", f"relative error {error:.3g}, Keras's own {own:.3g}")
    if len(bits) != 1:
        return out.fail(f"narrow.{name}", "the bits depend on the order of threads")
    print(f"FIGURE narrow.{name}.size {cost / 1e6:.2f} million_multiply_adds", flush=True)
    print(f"FIGURE narrow.{name}.error {error:.2g} relative_L2", flush=True)
    return out.ok(f"narrow.{name}")


def main(everything):
    parser = report.arguments(__doc__.split("\n")[0])
    parser.add_argument("--shard", default="1/1", help="I/N, I from 1")
    options = parser.parse_args()
    report.quiet_tensorflow()
    out = report.Report()
    cornu = options.cornu or report.find_program(options.build, "cornu")
    plugin = os.path.abspath(os.path.join(options.build, "libcornu_cuda_host.so"))
    if not cornu or not os.path.exists(plugin):
        out.skip("narrow", "there is no cornu or no libcornu_cuda_host.so in " + options.build)
        return out.finish()
    part, parts = (int(x) for x in options.shard.split("/"))
    chosen = [n for n in (applications.names() if everything else FEW) if report.chosen(n, options.only)]
    with tempfile.TemporaryDirectory(prefix="cornu-narrow-") as folder:
        for i, name in enumerate(chosen):
            if i % parts != part - 1:
                continue
            try:
                check(name, cornu, plugin, folder, out)
            except Exception as error:  # one model must not hide the others
                out.fail(f"narrow.{name}", f"{type(error).__name__}: {str(error)[:300]}")
            __import__("keras").backend.clear_session()
    return out.finish()


if __name__ == "__main__":
    sys.exit(main(True))
