"""Times recurrent layers and a transformer encoder in Cornu and in its peers, interleaved, on one core, and prints the ratios of the
smallest times.

    compare_sequences.py libcornu.so FOLDER [--only lstm,bigru,bert] [--rounds 40]

The models are made in FOLDER when they are not there: with Keras, and for the peers as ONNX and LiteRT files. Needs keras,
tensorflow, tf_keras, jax, onnx, tf2onnx, onnxruntime and ai-edge-litert. A machine is seldom quiet: the smallest of many interleaved rounds is
what can be told."""
import argparse
import ctypes
import os
import subprocess
import sys
import time

import numpy as np

from bindings import Options, tensor

LSTM = {"steps": 100, "features": 64, "units": 128}
BIGRU = {"steps": 100, "features": 64, "units": 64}
BERT = {"tokens": 128, "width": 768, "heads": 12, "inner": 3072, "layers": 12}


class Cornu:
    def __init__(self, library, path, shape):
        self.lib = ctypes.CDLL(library)
        self.lib.cornu_last_error.restype = ctypes.c_char_p
        self.model, self.session = ctypes.c_void_p(), ctypes.c_void_p()
        self.check(self.lib.cornu_model_load(path.encode(), None, ctypes.byref(self.model)))
        options = Options(ctypes.sizeof(Options), b"cpu", 0, 1)
        self.check(self.lib.cornu_session_create(self.model, ctypes.byref(options), ctypes.byref(self.session)))
        self.y = np.empty(shape, "float32")

    def check(self, status):
        if status:
            raise RuntimeError(self.lib.cornu_last_error().decode())

    def __call__(self, x):
        a, b = tensor(x), tensor(self.y)
        self.check(self.lib.cornu_session_run(self.session, ctypes.byref(a), 1, ctypes.byref(b), 1))
        return self.y


# ---- models ----

def lstm():
    import keras

    x = keras.Input((LSTM["steps"], LSTM["features"]))
    return keras.Model(x, keras.layers.LSTM(LSTM["units"], return_sequences=True)(x))


def bigru():
    import keras

    x = keras.Input((BIGRU["steps"], BIGRU["features"]))
    y = keras.layers.Masking()(x)
    return keras.Model(x, keras.layers.Bidirectional(keras.layers.GRU(BIGRU["units"], return_sequences=True))(y))


def bert(gelu="gelu"):
    import keras

    x = y = keras.Input((BERT["tokens"], BERT["width"]))
    for _ in range(BERT["layers"]):
        a = keras.layers.MultiHeadAttention(BERT["heads"], BERT["width"] // BERT["heads"])(y, y)
        y = keras.layers.LayerNormalization(epsilon=1e-12)(y + a)
        f = keras.layers.Dense(BERT["inner"], activation=gelu)(y)
        f = keras.layers.Dense(BERT["width"])(f)
        y = keras.layers.LayerNormalization(epsilon=1e-12)(y + f)
    return keras.Model(x, y)


MODELS = {"lstm": lstm, "bigru": bigru, "bert": bert}


def draw(name):
    rng = np.random.default_rng(0)
    if name == "bert":
        return rng.normal(0, 1, (1, BERT["tokens"], BERT["width"])).astype("float32")
    shape = LSTM if name == "lstm" else BIGRU
    x = rng.uniform(-1, 1, (1, shape["steps"], shape["features"])).astype("float32")
    if name == "bigru":
        x[:, 80:] = 0
    return x


def save_lstm_onnx(model, path):
    """One LSTM of ONNX, whose gates are in the order i, o, f, c."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    kernel, recurrent, bias = model.layers[-1].get_weights()

    def reorder(w):
        i, f, c, o = np.split(w, 4, axis=-1)
        return np.concatenate([i, o, f, c], axis=-1)

    units, steps, features = LSTM["units"], LSTM["steps"], LSTM["features"]
    constants = {"W": reorder(kernel).T[None], "R": reorder(recurrent).T[None],
                 "B": np.concatenate([reorder(bias), np.zeros(4 * units, "float32")])[None], "axis": np.array([1], "int64")}
    nodes = [helper.make_node("Transpose", ["x"], ["s"], perm=[1, 0, 2]),
             helper.make_node("LSTM", ["s", "W", "R", "B"], ["d"], hidden_size=units),
             helper.make_node("Squeeze", ["d", "axis"], ["q"]),
             helper.make_node("Transpose", ["q"], ["y"], perm=[1, 0, 2])]
    graph = helper.make_graph(nodes, "lstm", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, steps, features])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, steps, units])],
                              [numpy_helper.from_array(np.ascontiguousarray(v), k) for k, v in constants.items()])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)


def save_lite(model, path):
    """By way of Keras 2, whose LSTM LiteRT's converter knows as one operation."""
    import tensorflow as tf
    import tf_keras

    x = tf_keras.Input((LSTM["steps"], LSTM["features"]), batch_size=1)
    twin = tf_keras.Model(x, tf_keras.layers.LSTM(LSTM["units"], return_sequences=True)(x))
    twin.set_weights(model.get_weights())
    with open(path, "wb") as f:
        f.write(tf.lite.TFLiteConverter.from_keras_model(twin).convert())


def make(folder, name):
    import keras

    keras.utils.set_random_seed(1)
    model, base = MODELS[name](), os.path.join(folder, name)
    model.save(base + ".keras")
    if name == "lstm":
        save_lstm_onnx(model, base + ".onnx")
        save_lite(model, base + ".tflite")
    if name == "bert":
        twin = bert(lambda x: 0.5 * x * (1 + keras.ops.erf(x * 0.5**0.5)))  # tf2onnx has no erfc
        twin.set_weights(model.get_weights())
        twin(draw(name))
        twin.export(base + ".onnx", format="onnx", verbose=False)


# ---- peers ----

def onnxruntime_peer(path):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    port = session.get_inputs()[0].name
    return lambda x: session.run(None, {port: x})[0]


def jax_peer(path):
    import jax
    import keras

    model = keras.models.load_model(path)
    trainable, rest = [v.value for v in model.trainable_variables], [v.value for v in model.non_trainable_variables]
    function = jax.jit(lambda x: model.stateless_call(trainable, rest, x)[0])
    return lambda x: np.asarray(function(x))


def lite_peer(path):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(path, num_threads=1)
    interpreter.allocate_tensors()
    port, result = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def run(x):
        interpreter.set_tensor(port, x)
        interpreter.invoke()
        return interpreter.get_tensor(result)

    return run


def timed(function, x):
    start = time.perf_counter()
    function(x)
    return (time.perf_counter() - start) * 1e3


def compare(library, base, name, rounds):
    peers = {"jax": lambda: jax_peer(base + ".keras")} if name != "bert" else {}
    if name != "bigru":
        peers["onnxruntime"] = lambda: onnxruntime_peer(base + ".onnx")
    if name == "lstm":
        peers["litert"] = lambda: lite_peer(base + ".tflite")
    x, runs = draw(name), {peer: start() for peer, start in peers.items()}
    want = {peer: np.array(run(x)) for peer, run in runs.items()}
    runs = {"cornu": Cornu(library, base + ".keras", next(iter(want.values())).shape), **runs}
    got, times = runs["cornu"](x).copy(), {peer: [] for peer in runs}
    for _ in range(rounds):
        for peer, run in runs.items():
            times[peer].append(timed(run, x))
    best = {peer: min(t) for peer, t in times.items()}
    fastest = min(best[peer] for peer in want)
    errors = ", ".join(f"{peer} {np.linalg.norm(got - y) / np.linalg.norm(y):.1e}" for peer, y in want.items())
    print(f"{name}: " + ", ".join(f"{peer} {t:.3f} ms" for peer, t in best.items()) +
          f"; ratio to the fastest peer {best['cornu'] / fastest:.2f}; outputs differ by {errors}", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("library")
    parser.add_argument("folder")
    parser.add_argument("--only", default="lstm,bigru,bert")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--make", help=argparse.SUPPRESS)
    args = parser.parse_args()

    if args.make:
        make(args.folder, args.make)
        return
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    for name in args.only.split(","):
        base = os.path.join(args.folder, name)
        done = base + (".keras" if name == "bigru" else ".tflite" if name == "lstm" else ".onnx")
        if not os.path.exists(done):
            subprocess.run([sys.executable, __file__, args.library, args.folder, "--make", name], check=True,
                           env={**os.environ, "KERAS_BACKEND": "tensorflow"})
        compare(args.library, base, name, args.rounds)


os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
if __name__ == "__main__":
    main()
