"""Layers that are random at training=1: rate, mean, variance, noise shape and seed of `cornu predict --training`, against what
keras/src/layers/regularization says, and identity at inference. Statistics are of some 10^5 draws: limits are five standard
errors of the estimate."""
import math
import os
import sys
import tempfile

import report

ALPHA = 1.7580993408473766  # -alpha' of SELU: the value that AlphaDropout drops to
COUNT, WIDTH = 200, 600  # draws: 120,000


def cases():
    """(name, layer, shape of one entry, check(x, y) -> sentence or None)."""
    from keras import layers as L

    one = (WIDTH,)
    for rate in (0.1, 0.5, 0.9):
        yield f"Dropout.rate={rate}", L.Dropout(rate), one, lambda x, y, r=rate: dropped(x, y, r, 1 / (1 - r))
        yield f"AlphaDropout.rate={rate}", L.AlphaDropout(rate), one, lambda x, y, r=rate: alpha(x, y, r)
    yield "Dropout.rate=0", L.Dropout(0.0), one, lambda x, y: None if (x == y).all() else "it is not the identity"
    yield "Dropout.rate=1", L.Dropout(1.0), one, lambda x, y: None if (y == 0).all() else "something is kept"
    yield "Dropout.noise_shape", L.Dropout(0.4, noise_shape=(None, 1, 5)), (120, 5), lambda x, y: dropped(x, y, 0.4, 1 / 0.6, share=(1,))
    yield "AlphaDropout.noise_shape", L.AlphaDropout(0.3, noise_shape=(None, 1, 5)), (120, 5), lambda x, y: alpha(x, y, 0.3, share=(1,))
    yield "SpatialDropout1D", L.SpatialDropout1D(0.3), (4, 150), lambda x, y: dropped(x, y, 0.3, 1 / 0.7, share=(1,))
    yield "SpatialDropout2D", L.SpatialDropout2D(0.3), (2, 2, 150), lambda x, y: dropped(x, y, 0.3, 1 / 0.7, share=(1, 2))
    yield ("SpatialDropout2D.channels_first", L.SpatialDropout2D(0.3, data_format="channels_first"), (150, 2, 2),
           lambda x, y: dropped(x, y, 0.3, 1 / 0.7, share=(2, 3)))
    yield "SpatialDropout3D", L.SpatialDropout3D(0.3), (2, 1, 2, 150), lambda x, y: dropped(x, y, 0.3, 1 / 0.7, share=(1, 2, 3))
    yield "GaussianNoise", L.GaussianNoise(0.7), one, lambda x, y: normal(y - x, 0, 0.7)
    yield "GaussianDropout", L.GaussianDropout(0.2), one, lambda x, y: normal(y / x, 1, math.sqrt(0.2 / 0.8))


def shared(mask, axes):
    """Sentence if the mask differs along axes; else None. And the mask with one element along them."""
    first = mask
    for axis in axes:
        first = first.take([0], axis=axis)
    return (None if (mask == first).all() else "one noise is not shared along the axes of its shape"), first


def share_of(mask, rate):
    n = mask.size
    wrong = abs(mask.mean() - rate) > 5 * math.sqrt(rate * (1 - rate) / n)
    return f"a share of {mask.mean():.4f} is dropped, not {rate} ({n} draws)" if wrong else None


def dropped(x, y, rate, scale, share=()):
    import numpy

    mask = y == 0
    if not numpy.allclose(y[~mask], (x * scale)[~mask], rtol=1e-5):
        return "what is kept is not scaled by 1 / (1 - rate)"
    problem, mask = shared(mask, share)
    return problem or share_of(mask, rate)


def alpha(x, y, rate, share=()):
    import numpy

    a = ((1 - rate) * (1 + rate * ALPHA**2)) ** -0.5
    b = a * ALPHA * rate
    mask = numpy.isclose(y, -ALPHA * a + b, atol=1e-5)
    if not numpy.allclose(y[~mask], (a * x + b)[~mask], rtol=1e-4, atol=1e-5):
        return "what is kept is not a x + b"
    problem, mask = shared(mask, share)
    return problem or share_of(mask, rate)


def normal(noise, mean, deviation):
    n = noise.size
    if abs(noise.mean() - mean) > 5 * deviation / math.sqrt(n):
        return f"mean {noise.mean():.4f}, not {mean}"
    if abs(noise.std() - deviation) > 5 * deviation / math.sqrt(2 * n):
        return f"standard deviation {noise.std():.4f}, not {deviation:.4f}"
    fourth = ((noise - mean) ** 4).mean() / deviation**4  # 3 for a normal distribution; its standard error is sqrt(96 / n)
    return f"fourth moment {fourth:.3f}, not 3" if abs(fourth - 3) > 5 * math.sqrt(96 / n) else None


def run(cornu, path, x, folder, *more):
    import numpy

    numpy.save(os.path.join(folder, "x.npy"), x)
    target = os.path.join(folder, "y.npy")
    code, _, error = report.run(cornu, "predict", path, "--input", os.path.join(folder, "x.npy"), "--output", target, "--overwrite", *more)
    if code:
        raise RuntimeError(f"exit {code}: {error.strip()}")
    return numpy.load(target)


def check(cornu, folder, layer, shape, judge):
    import keras
    import numpy

    x = numpy.random.default_rng(3).uniform(0.5, 2.0, (COUNT, *shape)).astype("float32")
    inputs = keras.Input(shape)
    path = os.path.join(folder, "model.keras")
    keras.Model(inputs, layer(inputs)).save(path)
    if not (run(cornu, path, x, folder) == x).all():
        return "it is not the identity at inference"
    first = run(cornu, path, x, folder, "--training", "--seed", "11")
    problem = judge(x.astype("float64"), first.astype("float64"))
    if problem or getattr(layer, "rate", 0.5) in (0, 1):
        return problem
    if not (first == run(cornu, path, x, folder, "--training", "--seed", "11", "--device", "reference")).all():
        again = run(cornu, path, x, folder, "--training", "--seed", "11", "--device", "reference")
        if abs(first - again).max() > 1e-5:
            return "one seed gives other numbers on another backend"
    if (first == run(cornu, path, x, folder, "--training", "--seed", "12")).all():
        return "another seed gives the same numbers"
    return None


def main():
    options = report.arguments(__doc__.split("\n")[0]).parse_args()
    report.quiet_tensorflow()
    out = report.Report()
    cornu = options.cornu or report.find_program(options.build, "cornu")
    if not cornu:
        out.skip("random", "there is no program cornu in " + options.build)
        return out.finish()
    with tempfile.TemporaryDirectory(prefix="cornu-random-") as folder:
        for name, layer, shape, judge in cases():
            if not report.chosen(name, options.only):
                continue
            problem = check(cornu, folder, layer, shape, judge)
            out.fail("random." + name, problem) if problem else out.ok("random." + name)
    return out.finish()


if __name__ == "__main__":
    sys.exit(main())
