"""Times the models of bench/models in PyTorch, JAX or ONNX Runtime, with the same weights and on inputs that are on the device.

    peers.py torch|jax|onnxruntime FOLDER [--seconds 45] [--quick] [--models mlp,...] [--outputs FILE.npz] [--need-gpu]

A model is read from its Keras config by the small interpreter below, which knows the layers of these models and no others, in the layout that the peer
likes best. Prints one JSON object a measured case, most telling cases first, until the time is over: torch as a captured CUDA graph, torch.compile
(max-autotune where there is time), JAX by jit, ONNX Runtime by its CUDA provider; float32 as each does by default, and bfloat16, or float16 of
ONNX Runtime. --need-gpu ends it where the peer knows of none. --outputs writes each model's result for seed 0, for
comparison, and times nothing. Needs numpy and the peer."""
import argparse
import json
import math
import os
import sys
import time

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import weights as made  # noqa: E402

CASES = [("mlp", 1), ("resnet50", 1), ("mobilenetv2", 1), ("bert", 1), ("lstm", 1), ("resnet50", 32), ("bert", 32), ("efficientnetb0", 1), ("unet", 1),
         ("mobilenetv2", 32), ("mlp", 32), ("lstm", 32), ("resnet50", 256), ("efficientnetb0", 32), ("unet", 32), ("mobilenetv2", 256)]
INPUT_STREAM = 0x40000000


def snake(name):
    """Keras's snake case: MultiHeadAttention, multi_head_attention; Conv2D, conv2d; BatchNormalization, batch_normalization."""
    out = ""
    for i, c in enumerate(name):
        starts = c.isupper() and i > 0 and (name[i - 1].islower() or (i + 1 < len(name) and name[i + 1].islower() and not name[i - 1].isdigit()))
        out += ("_" if starts else "") + c.lower()
    return out


class Layer:
    def __init__(self, entry, path):
        self.name, self.kind, self.config, self.path = entry["config"]["name"], entry["class_name"], entry["config"], path
        self.inputs = []
        if entry["inbound_nodes"]:
            self.collect(entry["inbound_nodes"][0]["args"])

    def collect(self, value):
        if isinstance(value, list):
            for item in value:
                self.collect(item)
        elif isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
            self.inputs.append(value["config"]["keras_history"][0])


class Model:
    """Layers in order, their weights by number, the shapes and ranges of the inputs."""

    def __init__(self, folder, name, seed=0):
        path = os.path.join(folder, f"{name}.json")
        with open(path, encoding="utf-8") as file:
            root = json.load(file)
        all_weights, counts, self.layers = made.weights(path, seed), {}, []
        for entry in root["config"]["layers"]:
            base = snake(entry["class_name"])
            number = counts[base] = counts.get(base, -1) + 1
            self.layers.append(Layer(entry, f"layers/{base}" + (f"_{number}" if number else "")))
        self.weights = {layer.name: {key[len(layer.path) + 1:]: value for key, value in all_weights.items() if key.startswith(layer.path + "/")}
                        for layer in self.layers}
        given = {layer.name: layer for layer in self.layers if layer.kind == "InputLayer"}
        names = root["config"]["input_layers"]
        names = [names] if isinstance(names[0], str) else names
        self.inputs = [given[n[0]] for n in names]
        self.ranges = [tuple(map(float, text.split())) for text in root["bench"]["inputs"]]
        last = root["config"]["output_layers"]
        self.output = last[0] if isinstance(last[0], str) else last[0][0]

    def make_inputs(self, batch, seed=0):
        out = []
        for i, (layer, (low, high)) in enumerate(zip(self.inputs, self.ranges)):
            shape = [batch, *layer.config["batch_shape"][1:]]
            x = made.uniform(seed, INPUT_STREAM + i, math.prod(shape), low, high).reshape(shape)
            out.append(x.astype(np.int32) if layer.config["dtype"] == "int32" else x)
        return out

    def run(self, peer, weights, inputs):
        values = {layer.name: peer.enter(x) for layer, x in zip(self.inputs, inputs)}
        for layer in self.layers:
            if layer.kind != "InputLayer":
                x = [values[name] for name in layer.inputs]
                values[layer.name] = getattr(peer, layer.kind)(layer.config, weights[layer.name], *x)
        return peer.leave(values[self.output])


def same(n, window, stride):
    total = max((-(-n // stride) - 1) * stride + window - n, 0)
    return total // 2, total - total // 2


class Jax:
    """NHWC throughout. Methods are named as Keras's layers: (config, weights, inputs...)."""

    def __init__(self):
        import jax
        self.jax, self.np, self.lax, self.nn = jax, jax.numpy, jax.lax, jax.nn

    def enter(self, x):
        return x

    leave = enter

    def act(self, name, x):
        if isinstance(name, dict):
            name = name["config"]
        table = {"linear": lambda v: v, "relu": self.nn.relu, "relu6": self.nn.relu6, "softmax": self.nn.softmax, "sigmoid": self.nn.sigmoid, "tanh": self.np.tanh,
                 "swish": self.nn.silu, "silu": self.nn.silu, "gelu": lambda v: self.nn.gelu(v, approximate=False)}
        return table[name](x)

    def Dense(self, c, w, x):
        y = x @ w["vars/0"]
        return self.act(c["activation"], y + w["vars/1"] if c["use_bias"] else y)

    def convolve(self, c, w, x, groups):
        kernel = w["vars/0"]
        if groups > 1:
            kernel = kernel.reshape(*kernel.shape[:2], 1, -1)
        y = self.lax.conv_general_dilated(x, kernel, c["strides"], c["padding"].upper(), dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=groups)
        return self.act(c["activation"], y + w["vars/1"] if c["use_bias"] else y)

    def Conv2D(self, c, w, x):
        return self.convolve(c, w, x, 1)

    def DepthwiseConv2D(self, c, w, x):
        return self.convolve(c, w, x, x.shape[-1])

    def Conv2DTranspose(self, c, w, x):
        n, h, width, channels = x.shape
        s, filters = c["strides"][0], w["vars/0"].shape[2]
        y = self.np.einsum("nhwc,ijfc->nhiwjf", x, w["vars/0"]).reshape(n, h * s, width * s, filters)
        return self.act(c["activation"], y + w["vars/1"])

    def BatchNormalization(self, c, w, x):
        gamma, beta, mean, var = (w[f"vars/{i}"] for i in range(4))
        scale = gamma * self.lax.rsqrt(var + c["epsilon"]).astype(x.dtype)
        return x * scale + (beta - mean * scale)

    def LayerNormalization(self, c, w, x):
        y = x.astype("float32")
        y = (y - y.mean(-1, keepdims=True)) * self.lax.rsqrt(y.var(-1, keepdims=True) + c["epsilon"])
        return y.astype(x.dtype) * w["vars/0"] + w["vars/1"]

    def MultiHeadAttention(self, c, w, x, *more):
        def project(part):
            return self.np.einsum("btd,dhk->bthk", x, w[f"{part}_dense/vars/0"]) + w[f"{part}_dense/vars/1"]

        y = self.nn.dot_product_attention(project("query"), project("key"), project("value"))
        return self.np.einsum("bthk,hkd->btd", y, w["output_dense/vars/0"]) + w["output_dense/vars/1"]

    def LSTM(self, c, w, x):
        kernel, recurrent, bias = (w[f"cell/vars/{i}"] for i in range(3))
        z = (x @ kernel + bias).swapaxes(0, 1)
        start = self.np.zeros((x.shape[0], recurrent.shape[0]), x.dtype)

        def step(state, zt):
            h, cell = state
            i, f, g, o = self.np.split(zt + h @ recurrent, 4, axis=-1)
            cell = self.nn.sigmoid(f) * cell + self.nn.sigmoid(i) * self.np.tanh(g)
            h = self.nn.sigmoid(o) * self.np.tanh(cell)
            return (h, cell), None

        return self.lax.scan(step, (start, start), z)[0][0]

    def Embedding(self, c, w, x):
        return w["vars/0"][x]

    def Add(self, c, w, *x):
        return sum(x[1:], x[0])

    def Multiply(self, c, w, *x):
        return math.prod(x[1:], start=x[0])

    def Concatenate(self, c, w, *x):
        return self.np.concatenate(x, axis=-1)

    def Activation(self, c, w, x):
        return self.act(c["activation"], x)

    def ReLU(self, c, w, x):
        return self.np.clip(x, 0, c["max_value"])

    def Dropout(self, c, w, x):
        return x

    def Rescaling(self, c, w, x):
        return x * self.np.asarray(plain(c["scale"]), x.dtype) + self.np.asarray(plain(c["offset"]), x.dtype)

    def Normalization(self, c, w, x):
        return (x - w["vars/0"]) / self.np.sqrt(w["vars/1"])

    def ZeroPadding2D(self, c, w, x):
        return self.np.pad(x, ((0, 0), *map(tuple, c["padding"]), (0, 0)))

    def MaxPooling2D(self, c, w, x):
        return self.lax.reduce_window(x, -np.inf, self.lax.max, (1, *c["pool_size"], 1), (1, *c["strides"], 1), c["padding"].upper())

    def GlobalAveragePooling2D(self, c, w, x):
        return x.mean((1, 2), keepdims=c["keepdims"])

    def Reshape(self, c, w, x):
        return x.reshape(x.shape[0], *c["target_shape"])

    # ---- how the peer is driven ----

    def weights_of(self, model, half):
        dtype = self.np.bfloat16 if half else self.np.float32
        return {name: {key: self.np.asarray(value, dtype) for key, value in held.items()} for name, held in model.weights.items()}

    def variants(self):
        return ["jax.jit"]

    def prepare(self, variant, model, half, batch):
        held = self.weights_of(model, half)
        inputs = [self.np.asarray(x, self.np.bfloat16 if half and x.dtype == np.float32 else x.dtype) for x in model.make_inputs(batch)]
        run = self.jax.jit(lambda held, inputs: model.run(self, held, inputs))
        return lambda: run(held, inputs).block_until_ready()

    def result(self, call):
        return np.asarray(call().astype("float32"))

    def describe(self):
        return f"jax {self.jax.__version__} on {self.jax.devices()[0].device_kind}"


class Torch:
    """Pictures are NCHW in channels_last memory."""

    def __init__(self):
        import torch
        self.torch, self.f = torch, torch.nn.functional
        self.device = "cuda" if torch.cuda.is_available() else "cpu"

    def enter(self, x):
        return x.permute(0, 3, 1, 2) if x.ndim == 4 else x

    def leave(self, x):
        return x.permute(0, 2, 3, 1) if x.ndim == 4 else x

    def act(self, name, x):
        if isinstance(name, dict):
            name = name["config"]
        f = self.f
        table = {"linear": lambda v: v, "relu": f.relu, "relu6": f.relu6, "sigmoid": self.torch.sigmoid, "tanh": self.torch.tanh, "swish": f.silu, "silu": f.silu,
                 "gelu": f.gelu, "softmax": lambda v: self.torch.softmax(v, 1 if v.ndim == 4 else -1)}
        return table[name](x)

    def Dense(self, c, w, x):
        return self.act(c["activation"], self.f.linear(x, w["vars/0"], w["vars/1"] if c["use_bias"] else None))

    def convolve(self, c, w, x, groups):
        kernel, padding = w["vars/0"], 0
        if c["padding"] == "same":
            (top, bottom), (left, right) = (same(x.shape[2 + i], kernel.shape[2 + i], c["strides"][i]) for i in range(2))
            if top == bottom and left == right:
                padding = (top, left)
            else:
                x = self.f.pad(x, (left, right, top, bottom))
        y = self.f.conv2d(x, kernel, w["vars/1"] if c["use_bias"] else None, tuple(c["strides"]), padding, 1, groups)
        return self.act(c["activation"], y)

    def Conv2D(self, c, w, x):
        return self.convolve(c, w, x, 1)

    def DepthwiseConv2D(self, c, w, x):
        return self.convolve(c, w, x, x.shape[1])

    def Conv2DTranspose(self, c, w, x):
        return self.act(c["activation"], self.f.conv_transpose2d(x, w["vars/0"], w["vars/1"], tuple(c["strides"])))

    def BatchNormalization(self, c, w, x):
        return self.f.batch_norm(x, w["vars/2"], w["vars/3"], w["vars/0"], w["vars/1"], False, 0.0, c["epsilon"])

    def LayerNormalization(self, c, w, x):
        return self.f.layer_norm(x, (x.shape[-1],), w["vars/0"], w["vars/1"], c["epsilon"])

    def MultiHeadAttention(self, c, w, x, *more):
        heads = c["num_heads"]

        def project(part):
            y = self.f.linear(x, w[f"{part}_dense/vars/0"], w[f"{part}_dense/vars/1"])
            return y.view(x.shape[0], x.shape[1], heads, -1).transpose(1, 2)

        y = self.f.scaled_dot_product_attention(project("query"), project("key"), project("value"))
        return self.f.linear(y.transpose(1, 2).reshape(x.shape), w["output_dense/vars/0"], w["output_dense/vars/1"])

    def LSTM(self, c, w, x):
        state = x.new_zeros(1, x.shape[0], c["units"])
        return self.torch.lstm(x, (state, state), w["flat"], True, 1, 0.0, False, False, True)[1][0]

    def Embedding(self, c, w, x):
        return self.f.embedding(x, w["vars/0"])

    def Add(self, c, w, *x):
        return sum(x[1:], x[0])

    def Multiply(self, c, w, *x):
        return math.prod(x[1:], start=x[0])

    def Concatenate(self, c, w, *x):
        return self.torch.cat(x, 1 if x[0].ndim == 4 else -1)

    def Activation(self, c, w, x):
        return self.act(c["activation"], x)

    def ReLU(self, c, w, x):
        return self.torch.clamp(x, 0, c["max_value"])

    def Dropout(self, c, w, x):
        return x

    def Rescaling(self, c, w, x):
        return x * w["scale"] + w["offset"]

    def Normalization(self, c, w, x):
        return (x - w["vars/0"].view(1, -1, 1, 1)) / self.torch.sqrt(w["vars/1"]).view(1, -1, 1, 1)

    def ZeroPadding2D(self, c, w, x):
        (top, bottom), (left, right) = c["padding"]
        return self.f.pad(x, (left, right, top, bottom))

    def MaxPooling2D(self, c, w, x):
        return self.f.max_pool2d(x, tuple(c["pool_size"]), tuple(c["strides"]))

    def GlobalAveragePooling2D(self, c, w, x):
        return x.mean((2, 3), keepdim=c["keepdims"])

    def Reshape(self, c, w, x):
        shape = c["target_shape"]
        return x.reshape(x.shape[0], shape[2], shape[0], shape[1]) if len(shape) == 3 else x.reshape(x.shape[0], *shape)

    # ---- how the peer is driven ----

    def layout(self, layer, held):
        """Weights as torch wants them: numpy arrays in, numpy arrays out."""
        out = dict(held)
        if layer.kind == "Dense":
            out["vars/0"] = held["vars/0"].T
        elif layer.kind == "Conv2D":
            out["vars/0"] = held["vars/0"].transpose(3, 2, 0, 1)
        elif layer.kind == "DepthwiseConv2D":
            out["vars/0"] = held["vars/0"].transpose(2, 3, 0, 1)
        elif layer.kind == "Conv2DTranspose":
            out["vars/0"] = held["vars/0"].transpose(3, 2, 0, 1)
        elif layer.kind == "MultiHeadAttention":
            for part in ("query", "key", "value"):
                kernel = held[f"{part}_dense/vars/0"]
                out[f"{part}_dense/vars/0"] = kernel.reshape(kernel.shape[0], -1).T
                out[f"{part}_dense/vars/1"] = held[f"{part}_dense/vars/1"].reshape(-1)
            kernel = held["output_dense/vars/0"]
            out["output_dense/vars/0"] = kernel.reshape(-1, kernel.shape[2]).T
        elif layer.kind == "Rescaling":
            for key in ("scale", "offset"):
                out[key] = np.asarray(plain(layer.config[key]), np.float32).reshape(1, -1, 1, 1)
        return out

    def weights_of(self, model, half):
        dtype, all_held = self.torch.bfloat16 if half else self.torch.float32, {}
        for layer in model.layers:
            held = {key: self.torch.tensor(np.ascontiguousarray(value)).to(self.device, dtype) for key, value in self.layout(layer, model.weights[layer.name]).items()}
            held = {key: v.to(memory_format=self.torch.channels_last) if v.ndim == 4 else v for key, v in held.items()}
            if layer.kind == "LSTM":
                cell = self.torch.nn.LSTM(held["cell/vars/0"].shape[0], layer.config["units"], batch_first=True).to(self.device, dtype)
                with self.torch.no_grad():
                    cell.weight_ih_l0.copy_(held["cell/vars/0"].T)
                    cell.weight_hh_l0.copy_(held["cell/vars/1"].T)
                    cell.bias_ih_l0.copy_(held["cell/vars/2"])
                    cell.bias_hh_l0.zero_()
                cell.flatten_parameters()
                held = {"flat": [p.detach() for p in cell._flat_weights]}
            all_held[layer.name] = held
        return all_held

    def variants(self):
        return ["torch CUDA graph", "torch.compile"] if self.device == "cuda" else ["torch eager"]

    def prepare(self, variant, model, half, batch):
        torch = self.torch
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = True
        held = self.weights_of(model, half)
        inputs = [torch.tensor(x).to(self.device) for x in model.make_inputs(batch)]
        inputs = [x.to(torch.bfloat16) if half and x.is_floating_point() else x for x in inputs]

        def run():
            with torch.inference_mode():
                return model.run(self, held, inputs)

        if variant == "torch.compile":
            run = torch.compile(run, mode="max-autotune")
        if variant != "torch CUDA graph":
            return self.synchronised(run)
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                run()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            out = run()
        return self.synchronised(lambda: (graph.replay(), out)[1])

    def synchronised(self, run):
        def call():
            out = run()
            if self.device == "cuda":
                self.torch.cuda.synchronize()
            return out
        return call

    def result(self, call):
        return call().float().cpu().numpy()

    def describe(self):
        return f"torch {self.torch.__version__} on {self.torch.cuda.get_device_name() if self.device == 'cuda' else 'cpu'}"


def plain(value):
    """A number or list of a config, which may be a serialised array."""
    return value["config"]["value"] if isinstance(value, dict) else value


def measure(call, seconds, runs):
    for _ in range(3):
        call()
    times, end = [], time.perf_counter() + seconds
    while len(times) < runs or (time.perf_counter() < end and len(times) < 20000):
        start = time.perf_counter()
        call()
        times.append((time.perf_counter() - start) * 1e3)
    return times


def open_peer(args):
    if args.peer == "onnxruntime":
        import peers_onnx
        return peers_onnx.OnnxRuntime(args.need_gpu)
    peer = (Torch if args.peer == "torch" else Jax)()
    where = peer.device if args.peer == "torch" else peer.jax.default_backend()
    if args.need_gpu and where == "cpu":
        sys.exit(f"{args.peer} knows of no GPU here")
    return peer


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("peer", choices=("torch", "jax", "onnxruntime"))
    parser.add_argument("folder")
    parser.add_argument("--seconds", type=float, default=45)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--models")
    parser.add_argument("--outputs")
    parser.add_argument("--need-gpu", action="store_true")
    args = parser.parse_args()
    peer, end, models = open_peer(args), time.monotonic() + args.seconds, {}
    cases = [("mlp", 1)] if args.quick else [c for c in CASES if not args.models or c[0] in args.models.split(",")]
    if args.outputs:
        names = sorted({name for name, _ in cases})
        outputs = {name: peer.result(peer.prepare(peer.variants()[0], Model(args.folder, name), False, 2)) for name in names}
        np.savez(args.outputs, **outputs)
        return
    for variant in peer.variants():
        for half in (False, True):
            for name, batch in cases:
                if time.monotonic() > end:
                    return
                try:
                    models[name] = models.get(name) or Model(args.folder, name)
                    call = peer.prepare(variant, models[name], half, batch)
                    times = sorted(measure(call, 0.3, 2 if args.quick else 10))
                except Exception as error:  # one that does not run leaves the others
                    print(f"{variant} {name} {batch}: {type(error).__name__}: {error}"[:500], file=sys.stderr)
                    continue
                row = {"peer": variant, "model": name, "precision": getattr(peer, "half", "bf16") if half else "default", "batch": batch, "median_ms": times[len(times) // 2],
                       "p99_ms": times[math.ceil(0.99 * len(times)) - 1], "min_ms": times[0], "runs": len(times),
                       "items_per_s": batch * 1e3 / times[len(times) // 2], "version": peer.describe()}
                print(json.dumps(row), flush=True)


main()
