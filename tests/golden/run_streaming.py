"""Stateful models read a sequence whole, step by step and in pieces: the results must be the same (stream_model.c compares
them), and those of Keras reading it whole, twice, the second time from the states of the first."""
import os
import sys
import tempfile

import report

BATCH, STEPS, LIMIT = 3, 7, 5e-6


def cases():
    """(name, shape of a step or None for words, build(x))."""
    from keras import layers as L

    def run(cls, units, sequences=True, **more):
        """A new layer, with states of zeros, whenever it is called."""
        return lambda x: cls(units, stateful=True, return_sequences=sequences, **more)(x)

    width = (4,)
    yield "LSTM", width, run(L.LSTM, 6)
    yield "GRU", width, run(L.GRU, 6)
    yield "GRU.reset_before", width, run(L.GRU, 6, reset_after=False)
    yield "SimpleRNN", width, run(L.SimpleRNN, 6)
    yield "LSTM.units=70", width, run(L.LSTM, 70)
    yield "stacked", width, lambda x: run(L.SimpleRNN, 3)(run(L.GRU, 4)(run(L.LSTM, 5)(x)))
    yield "cells", width, lambda x: run(L.RNN, L.StackedRNNCells([L.LSTMCell(5), L.GRUCell(3), L.SimpleRNNCell(4)]))(x)
    yield "ConvLSTM1D", (6, 2), run(L.ConvLSTM1D, 3, kernel_size=3, padding="same")
    yield "ConvLSTM2D", (4, 5, 2), run(L.ConvLSTM2D, 2, kernel_size=2)
    yield "LSTM.Dense", width, lambda x: L.Dense(5, activation="softmax")(run(L.LSTM, 6)(x))
    yield "LSTM.last", width, lambda x: L.Dense(5, activation="softmax")(run(L.LSTM, 6, sequences=False)(x))
    yield "LSTM.TimeDistributed", width, lambda x: L.TimeDistributed(L.Dense(3, activation="gelu"))(run(L.LSTM, 6)(L.LayerNormalization()(x)))
    # A masked step repeats the output before it, which a piece does not know: zeros are the same in both.
    yield "masked", None, lambda x: run(L.GRU, 4, zero_output_for_mask=True)(
        run(L.LSTM, 5, zero_output_for_mask=True)(L.Embedding(7, 3, mask_zero=True)(x)))
    yield "residual", width, lambda x: L.Concatenate()([L.Add()([x, run(L.LSTM, 4)(x)]), run(L.GRU, 3)(x) * 2])
    yield "two_outputs", width, lambda x: [(y := run(L.GRU, 5)(x)), run(L.LSTM, 4, sequences=False)(y)]


def check(program, folder, shape, build, device):
    import keras
    import numpy

    rng = numpy.random.default_rng(5)
    inputs = keras.Input((None, *(shape or ())), batch_size=BATCH, dtype=None if shape else "int32")
    model = keras.Model(inputs, build(inputs))
    for v in model.weights:
        v.assign(rng.standard_normal(v.shape) / numpy.sqrt(max(1, numpy.prod(v.shape[:-1]) / 2)))
    x = rng.standard_normal((BATCH, STEPS, *shape)).astype("float32") if shape else rng.integers(0, 7, (BATCH, STEPS)).astype("int32")
    if not shape:
        x[:, 0], x[0, 3:], x[1, ::2] = 0, 0, 0
    paths = [os.path.join(folder, f) for f in ("model.keras", "x.npy", "y.npz")]
    model.save(paths[0])
    numpy.save(paths[1], x)
    wanted = {}
    for title in ("first", "second"):
        for i, y in enumerate(keras.tree.flatten(model(x))):
            wanted[f"{title}_{i}"] = numpy.asarray(y)
    code, _, error = report.run(program, *paths, "--device", device)
    if code:
        return f"exit {code}: {error.strip()}"
    got = numpy.load(paths[2])
    for key, y in wanted.items():
        if y.shape != got[key].shape:
            return f"{key}: shape {got[key].shape}, not {y.shape}"
        wrong = numpy.linalg.norm(got[key].astype("float64") - y) / numpy.linalg.norm(y.astype("float64"))
        if not wrong <= LIMIT:
            return f"{key} is {wrong:.2g} off what Keras has"
    if all(numpy.array_equal(wanted[k], wanted[k.replace("first", "second")]) for k in wanted if k.startswith("first")):
        return "the second pass gives what the first gave: nothing is tested"
    return None


def main():
    parser = report.arguments(__doc__.split("\n")[0])
    parser.add_argument("--device", action="append", help="cpu and reference if there is none")
    options = parser.parse_args()
    report.quiet_tensorflow()
    out = report.Report()
    program = report.find_program(options.build, "stream_model")
    if not program:
        out.skip("streaming", "there is no program stream_model in " + options.build)
        return out.finish()
    with tempfile.TemporaryDirectory(prefix="cornu-streaming-") as folder:
        for name, shape, build in cases():
            if not report.chosen(name, options.only):
                continue
            for device in options.device or ["cpu", "reference"]:
                title = f"streaming.{device}.{name}"
                problem = check(program, folder, shape, build, device)
                out.fail(title, problem) if problem else out.ok(title)
    return out.finish()


if __name__ == "__main__":
    sys.exit(main())
