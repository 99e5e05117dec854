#!/usr/bin/env python3
"""What a run of the bench's models asks a device for, against the least that it has to: bytes, counted on host execution.

    cmake -S . -B build/count -G Ninja -DCORNU_COUNT_BYTES=ON -DCORNU_WITH_CUDA=OFF && cmake --build build/count --target cornu_cli cornu_cuda_host
    bench/floors.py --build build/count [--models mlp,lstm] [--precisions strict,bf16] [--out bench/results/x-floors.md]

The floor is the weights once, in the precision's type, and the model's inputs and outputs: what no implementation can do without. Counted is every load and
store of device memory by a kernel (kernels/host/count.h), so that what the L1 or L2 of a device serves again is counted again; a product of
cuBLASLt counts its operands once. Batch 1. Needs numpy."""
import argparse
import json
import os
import pathlib
import re
import subprocess
import tempfile

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODELS = ("mlp", "lstm", "mobilenetv2", "resnet50", "bert")
BYTES = {"strict": 4, "default": 4, "tf32": 4, "bf16": 2, "fp16": 2}


def inputs_of(config):
    """Random inputs, by the ranges and types that the model's "bench" key and its InputLayers have."""
    out = {}
    layers = [layer for layer in config["config"]["layers"] if layer["class_name"] == "InputLayer"]
    for k, layer in enumerate(layers):
        shape = [1, *layer["config"]["batch_shape"][1:]]
        dtype = np.dtype(layer["config"]["dtype"])
        low, high = (float(x) for x in str(config["bench"]["inputs"][k]).split()[-2:])
        values = np.random.default_rng(k).uniform(low, high, shape)
        out[f"input_{k}"] = np.floor(values).astype(dtype) if dtype.kind in "iu" else values.astype(dtype)
    return out


def kernel_name(text):
    """"softmax" of "... [with P = {cn_softmax_args, bool}; ...]"."""
    found = re.search(r"P = \{(?:\{anonymous\}::)?(?:cn_)?(\w+?)(?:_args)?[,}]", text)
    return found.group(1) if found else text


def count(cornu, plugin, model, precision, folder):
    """{kernel: [launches, read, written]} of one run, and the bytes of weights, inputs and outputs."""
    config = json.loads((ROOT / "bench" / "models" / f"{model}.json").read_text())
    saved, given, made, counted = (folder / name for name in ("model.keras", "in.npz", "out.npz", "count.tsv"))
    subprocess.run([cornu, "bench", ROOT / "bench" / "models" / f"{model}.json", "--device", "cpu", "--runs", "1", "--save", saved, "--overwrite", "--json"],
                   check=True, stdout=subprocess.DEVNULL)
    inputs = inputs_of(config)
    np.savez(given, **inputs)
    env = {**os.environ, "CORNU_CUDA_LIBRARY": str(plugin), "CORNU_HOST_COUNT": str(counted)}
    subprocess.run([cornu, "predict", saved, "--input", given, "--output", made, "--overwrite", "--device", "cuda", "--precision", precision], check=True, env=env,
                   stdout=subprocess.DEVNULL)
    rows = {}
    for line in counted.read_text().splitlines():
        name, *numbers = line.split("\t")
        row = rows.setdefault(kernel_name(name), [0, 0, 0])
        rows[kernel_name(name)] = [a + int(b) for a, b in zip(row, numbers)]
    for once in ("swap", "begin"):
        rows.pop(once, None)  # of the upload, and the words of a run
    totals = json.loads(subprocess.run([cornu, "info", saved, "--json"], check=True, capture_output=True, text=True).stdout)["totals"]
    ports = sum(a.nbytes for a in inputs.values()) + sum(a.nbytes for a in np.load(made).values())
    return rows, totals["weight_bytes"] * BYTES[precision] // 4 + ports


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default="build/count")
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--precisions", default="strict,bf16")
    parser.add_argument("--out")
    options = parser.parse_args()
    build = pathlib.Path(options.build).resolve()
    cornu, plugin = build / "tools" / "cornu", build / "libcornu_cuda_host.so"
    lines = ["| model | precision | kernels | read MB | written MB | floor MB | asked for / floor | most of it |", "|---|---|---|---|---|---|---|---|"]
    with tempfile.TemporaryDirectory() as folder:
        for model in options.models.split(","):
            for precision in options.precisions.split(","):
                rows, floor = count(cornu, plugin, model, precision, pathlib.Path(folder))
                launches, read, written = (sum(row[i] for row in rows.values()) for i in range(3))
                most = sorted(rows.items(), key=lambda item: -item[1][1] - item[1][2])[:3]
                text = ", ".join(f"{name} {(row[1] + row[2]) / 1e6:.1f}" for name, row in most)
                lines.append(f"| {model} | {precision} | {launches} | {read / 1e6:.2f} | {written / 1e6:.2f} | {floor / 1e6:.2f} | "
                             f"{(read + written) / floor:.2f} | {text} |")
                print(lines[-1], flush=True)
    if options.out:
        pathlib.Path(options.out).write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
