"""Times a model in Cornu and its ONNX export in ONNX Runtime, interleaved, and prints the ratio of the smallest times.

    compare_onnxruntime.py libcornu.so MODEL.keras MODEL.onnx [--batch 1] [--threads 1] [--rounds 20] [--device cpu]

Outputs are compared too. A machine is seldom quiet: the smallest of many interleaved rounds is what can be told."""
import argparse
import ctypes
import time

import numpy as np
import onnxruntime

from bindings import Options, tensor


class Cornu:
    def __init__(self, library, path, device, threads):
        self.lib = ctypes.CDLL(library)
        self.lib.cornu_last_error.restype = ctypes.c_char_p
        self.model, self.session = ctypes.c_void_p(), ctypes.c_void_p()
        self.check(self.lib.cornu_model_load(path.encode(), None, ctypes.byref(self.model)))
        options = Options(ctypes.sizeof(Options), device.encode(), 0, threads)
        self.check(self.lib.cornu_session_create(self.model, ctypes.byref(options), ctypes.byref(self.session)))

    def check(self, status):
        if status:
            raise RuntimeError(self.lib.cornu_last_error().decode())

    def run(self, x, y):
        a, b = tensor(x), tensor(y)
        self.check(self.lib.cornu_session_run(self.session, ctypes.byref(a), 1, ctypes.byref(b), 1))


def timed(function):
    start = time.perf_counter()
    function()
    return (time.perf_counter() - start) * 1e3


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("library")
    parser.add_argument("keras")
    parser.add_argument("onnx")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = args.threads
    options.inter_op_num_threads = 1
    peer = onnxruntime.InferenceSession(args.onnx, options, providers=["CPUExecutionProvider"])
    port = peer.get_inputs()[0]
    shape = [args.batch] + [int(d) for d in port.shape[1:]]
    x = np.random.default_rng(0).uniform(-1, 1, shape).astype("float32")
    want = peer.run(None, {port.name: x})[0]
    ours = Cornu(args.library, args.keras, args.device, args.threads)
    got = np.empty(want.shape, "float32")
    first = timed(lambda: ours.run(x, got))
    error = float(np.linalg.norm(got - want) / np.linalg.norm(want))
    times = [[], []]
    for _ in range(args.rounds):
        times[0].append(timed(lambda: ours.run(x, got)))
        times[1].append(timed(lambda: peer.run(None, {port.name: x})))
    best = [min(t) for t in times]
    print(f"{args.keras} batch {args.batch} threads {args.threads}: cornu {best[0]:.3f} ms, onnxruntime {best[1]:.3f} ms, ratio "
          f"{best[0] / best[1]:.3f}; first run {first:.0f} ms; outputs differ by {error:.2e}")


main()
