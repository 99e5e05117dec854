"""ONNX Runtime as a peer of bench/peers.py: the layers become nodes of ONNX, so no converter is needed but the package
onnx.

Pictures are NCHW, as ONNX has them, from the inputs on; the half type is float16, in which its CUDA provider has every
kernel."""
import contextlib
import sys

import numpy as np
import onnx
import onnxruntime

OPSET = 17


class Value:
    """A tensor of the graph that is built."""

    def __init__(self, name, shape):
        self.name, self.shape, self.ndim = name, list(shape), len(shape)


def same(n, window, stride):
    total = max((-(-n // stride) - 1) * stride + window - n, 0)
    return total // 2, total - total // 2


def plain(value):
    return value["config"]["value"] if isinstance(value, dict) else value


class OnnxRuntime:
    """Methods are named as Keras's layers: (config, weights, inputs...)."""

    half = "fp16"

    def __init__(self, need_gpu=False):
        providers = onnxruntime.get_available_providers()
        self.cuda = "CUDAExecutionProvider" in providers
        if need_gpu and not self.cuda:
            raise SystemExit(f"onnxruntime {onnxruntime.__version__} has no CUDA provider: {', '.join(providers)}")
        if self.cuda and hasattr(onnxruntime, "preload_dlls"):  # of CUDA and cuDNN, out of Python wheels
            with contextlib.redirect_stdout(sys.stderr):
                onnxruntime.preload_dlls()

    # ---- building ----

    def begin(self, half):
        self.dtype = np.float16 if half else np.float32
        self.nodes, self.constants, self.inputs = [], [], []

    def constant(self, array, dtype=None):
        name = f"c{len(self.constants)}"
        array = np.ascontiguousarray(array, dtype=dtype or self.dtype)
        self.constants.append(onnx.numpy_helper.from_array(array, name))
        return Value(name, array.shape)

    def node(self, op, inputs, shape, outputs=1, **attributes):
        """A node whose last output counts."""
        names = [f"v{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(onnx.helper.make_node(op, [v.name if v else "" for v in inputs], names, **attributes))
        return Value(names[-1], shape)

    def broadcast(self, op, x, z):
        return self.node(op, [x, z], np.broadcast_shapes(tuple(x.shape), tuple(z.shape)))

    def number(self, value):
        return self.constant(np.asarray(value))

    def reshape(self, x, shape):
        return self.node("Reshape", [x, self.constant(shape, np.int64)], shape)

    def transpose(self, x, *perm):
        return self.node("Transpose", [x], [x.shape[i] for i in perm], perm=perm)

    def enter(self, x):
        if x.ndim == 4:
            x = x.transpose(0, 3, 1, 2)
        kind = (
            onnx.TensorProto.INT32
            if x.dtype == np.int32
            else onnx.helper.np_dtype_to_tensor_dtype(np.dtype(self.dtype))
        )
        value = Value(f"x{len(self.inputs)}", x.shape)
        self.inputs.append(onnx.helper.make_tensor_value_info(value.name, kind, value.shape))
        return value

    def leave(self, x):
        return x

    def act(self, name, x):
        name = name["config"] if isinstance(name, dict) else name
        if name == "linear":
            return x
        if name in ("swish", "silu"):
            return self.broadcast("Mul", x, self.node("Sigmoid", [x], x.shape))
        if name == "gelu":
            erf = self.node("Erf", [self.broadcast("Mul", x, self.number(np.sqrt(0.5)))], x.shape)
            return self.broadcast(
                "Mul", self.broadcast("Mul", x, self.broadcast("Add", erf, self.number(1))), self.number(0.5)
            )
        if name == "relu6":
            return self.node("Clip", [x, self.number(0), self.number(6)], x.shape)
        if name == "softmax":
            return self.node("Softmax", [x], x.shape, axis=1 if x.ndim == 4 else -1)
        return self.node({"relu": "Relu", "sigmoid": "Sigmoid", "tanh": "Tanh"}[name], [x], x.shape)

    # ---- layers ----

    def product(self, x, kernel, bias=None):
        y = self.node("MatMul", [x, self.constant(kernel)], [*x.shape[:-1], kernel.shape[1]])
        return y if bias is None else self.broadcast("Add", y, self.constant(bias))

    def Dense(self, c, w, x):
        return self.act(c["activation"], self.product(x, w["vars/0"], w.get("vars/1") if c["use_bias"] else None))

    def convolve(self, c, w, x, kernel, groups):
        window, strides = kernel.shape[2:], c["strides"]
        pads = [same(x.shape[2 + i], window[i], strides[i]) if c["padding"] == "same" else (0, 0) for i in range(2)]
        size = [(x.shape[2 + i] + sum(pads[i]) - window[i]) // strides[i] + 1 for i in range(2)]
        inputs = [x, self.constant(kernel)] + ([self.constant(w["vars/1"])] if c["use_bias"] else [])
        y = self.node(
            "Conv",
            inputs,
            [x.shape[0], kernel.shape[0], *size],
            kernel_shape=window,
            strides=strides,
            group=groups,
            pads=[pads[0][0], pads[1][0], pads[0][1], pads[1][1]],
        )
        return self.act(c["activation"], y)

    def Conv2D(self, c, w, x):
        return self.convolve(c, w, x, w["vars/0"].transpose(3, 2, 0, 1), 1)

    def DepthwiseConv2D(self, c, w, x):
        return self.convolve(c, w, x, w["vars/0"].transpose(2, 3, 0, 1), x.shape[1])

    def Conv2DTranspose(self, c, w, x):
        kernel, s = w["vars/0"].transpose(3, 2, 0, 1), c["strides"]
        shape = [x.shape[0], kernel.shape[1], x.shape[2] * s[0], x.shape[3] * s[1]]
        return self.act(
            c["activation"],
            self.node("ConvTranspose", [x, self.constant(kernel), self.constant(w["vars/1"])], shape, strides=s),
        )

    def BatchNormalization(self, c, w, x):
        return self.node(
            "BatchNormalization", [x, *(self.constant(w[f"vars/{i}"]) for i in range(4))], x.shape, epsilon=c["epsilon"]
        )

    def LayerNormalization(self, c, w, x):
        return self.node(
            "LayerNormalization",
            [x, self.constant(w["vars/0"]), self.constant(w["vars/1"])],
            x.shape,
            axis=-1,
            epsilon=c["epsilon"],
        )

    def MultiHeadAttention(self, c, w, x, *more):
        batch, tokens, width = x.shape
        heads = c["num_heads"]

        def project(part, *perm):
            kernel, bias = w[f"{part}_dense/vars/0"], w[f"{part}_dense/vars/1"]
            y = self.product(x, kernel.reshape(width, -1), bias.reshape(-1))
            return self.transpose(self.reshape(y, [batch, tokens, heads, kernel.shape[2]]), *perm)

        q, k, v = project("query", 0, 2, 1, 3), project("key", 0, 2, 3, 1), project("value", 0, 2, 1, 3)
        scores = self.broadcast(
            "Mul", self.node("MatMul", [q, k], [batch, heads, tokens, tokens]), self.number(q.shape[3] ** -0.5)
        )
        y = self.node("MatMul", [self.node("Softmax", [scores], scores.shape, axis=-1), v], v.shape)
        y = self.reshape(self.transpose(y, 0, 2, 1, 3), [batch, tokens, heads * v.shape[3]])
        return self.product(y, w["output_dense/vars/0"].reshape(-1, width), w["output_dense/vars/1"])

    def LSTM(self, c, w, x):
        kernel, recurrent, bias = (w[f"cell/vars/{i}"] for i in range(3))
        units = recurrent.shape[0]

        def gates(array):  # Keras has i f c o along its last axis, ONNX i o f c along its first
            i, f, g, o = np.split(array, 4, axis=-1)
            return np.concatenate([i, o, f, g], axis=-1).T[None]

        both = np.concatenate([gates(bias[None])[..., 0], np.zeros((1, 4 * units), np.float32)], axis=1)
        inputs = [
            self.transpose(x, 1, 0, 2),
            self.constant(gates(kernel)),
            self.constant(gates(recurrent)),
            self.constant(both),
        ]
        return self.reshape(
            self.node("LSTM", inputs, [1, x.shape[0], units], outputs=2, hidden_size=units), [x.shape[0], units]
        )

    def Embedding(self, c, w, x):
        return self.node("Gather", [self.constant(w["vars/0"]), x], [*x.shape, w["vars/0"].shape[1]])

    def Add(self, c, w, x, *more):
        for z in more:
            x = self.broadcast("Add", x, z)
        return x

    def Multiply(self, c, w, x, *more):
        for z in more:
            x = self.broadcast("Mul", x, z)
        return x

    def Concatenate(self, c, w, *x):
        axis = 1 if x[0].ndim == 4 else x[0].ndim - 1
        shape = list(x[0].shape)
        shape[axis] = sum(v.shape[axis] for v in x)
        return self.node("Concat", x, shape, axis=axis)

    def Activation(self, c, w, x):
        return self.act(c["activation"], x)

    def ReLU(self, c, w, x):
        return (
            self.act("relu", x)
            if c["max_value"] is None
            else self.node("Clip", [x, self.number(0), self.number(c["max_value"])], x.shape)
        )

    def Dropout(self, c, w, x):
        return x

    def Rescaling(self, c, w, x):
        scale, offset = (np.asarray(plain(c[key]), np.float32).reshape(1, -1, 1, 1) for key in ("scale", "offset"))
        return self.broadcast("Add", self.broadcast("Mul", x, self.constant(scale)), self.constant(offset))

    def Normalization(self, c, w, x):
        mean, deviation = w["vars/0"].reshape(1, -1, 1, 1), np.sqrt(w["vars/1"]).reshape(1, -1, 1, 1)
        return self.broadcast("Div", self.broadcast("Sub", x, self.constant(mean)), self.constant(deviation))

    def ZeroPadding2D(self, c, w, x):
        (top, bottom), (left, right) = c["padding"]
        shape = [*x.shape[:2], x.shape[2] + top + bottom, x.shape[3] + left + right]
        return self.node("Pad", [x, self.constant([0, 0, top, left, 0, 0, bottom, right], np.int64)], shape)

    def MaxPooling2D(self, c, w, x):
        window, strides = c["pool_size"], c["strides"]
        shape = [*x.shape[:2], *((x.shape[2 + i] - window[i]) // strides[i] + 1 for i in range(2))]
        return self.node("MaxPool", [x], shape, kernel_shape=window, strides=strides)

    def GlobalAveragePooling2D(self, c, w, x):
        y = self.node("GlobalAveragePool", [x], [*x.shape[:2], 1, 1])
        return y if c["keepdims"] else self.reshape(y, x.shape[:2])

    def Reshape(self, c, w, x):
        shape = c["target_shape"]
        return self.reshape(x, [x.shape[0], shape[2], shape[0], shape[1]] if len(shape) == 3 else [x.shape[0], *shape])

    # ---- how the peer is driven ----

    def variants(self):
        return ["onnxruntime CUDA" if self.cuda else "onnxruntime CPU"]

    def session(self, model, half, given):
        self.begin(half)
        out = model.run(self, model.weights, given)
        kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(self.dtype))
        graph = onnx.helper.make_graph(
            self.nodes,
            "model",
            self.inputs,
            [onnx.helper.make_tensor_value_info(out.name, kind, out.shape)],
            self.constants,
        )
        made = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", OPSET)], ir_version=8)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        providers = ["CUDAExecutionProvider"] * self.cuda + ["CPUExecutionProvider"]
        session = onnxruntime.InferenceSession(made.SerializeToString(), options, providers=providers)
        if self.cuda and "CUDAExecutionProvider" not in session.get_providers():
            raise RuntimeError("onnxruntime could not start its CUDA provider")
        return session, out

    def prepare(self, variant, model, half, batch):
        given = model.make_inputs(batch)
        session, out = self.session(model, half, given)
        place, binding = ("cuda" if self.cuda else "cpu"), session.io_binding()
        for i, x in enumerate(given):
            x = x.transpose(0, 3, 1, 2) if x.ndim == 4 else x
            x = np.ascontiguousarray(x, dtype=x.dtype if x.dtype == np.int32 else self.dtype)
            binding.bind_ortvalue_input(f"x{i}", onnxruntime.OrtValue.ortvalue_from_numpy(x, place, 0))
        binding.bind_output(out.name, place)

        def call():
            session.run_with_iobinding(binding)
            binding.synchronize_outputs()
            return binding

        return call

    def result(self, call):
        y = call().copy_outputs_to_cpu()[0].astype(np.float32)
        return y.transpose(0, 2, 3, 1) if y.ndim == 4 else y

    def describe(self):
        return f"onnxruntime {onnxruntime.__version__} on {'cuda' if self.cuda else 'cpu'}"
