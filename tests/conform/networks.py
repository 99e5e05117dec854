"""Random whole networks: layers of specs.py in Functional models with residuals, branches, shared layers, nested models and
several inputs and outputs. A network is a function of its number, so that it can be built in each precision."""
import zlib

import numpy as np

BATCHES = (1, 3, 7)
ACTIVATIONS = ["relu", "tanh", "gelu", "silu", "sigmoid", "elu", "selu", "softplus", "leaky_relu", "hard_sigmoid", "mish"]


def cases(count, out):
    import oracle

    found = []
    for number in range(count):
        name = f"network.{number:03d}"
        try:
            case = network_case(name, number)
            for again in range(1, 30):  # float32 itself loses the result in some networks
                if case.error <= oracle.WORST_ERROR:
                    break
                case = network_case(name, number + 1000 * again)
            found.append(case)
        except oracle.NoOracle as error:
            out.skip(f"conform.oracle.{name}", error)
        except Exception as error:
            out.fail(f"conform.case.{name}", f"{type(error).__name__}: {error}")
    return found


def network_case(name, number):
    import keras
    import oracle

    shapes = []

    def build():
        model = Builder(np.random.default_rng(1000 + number)).network()
        shapes[:] = [keras.tree.map_structure(lambda t: (tuple(t.shape[1:]), str(t.dtype)), model._inputs_struct)]
        return model

    def draw(rng):
        import keras

        model_shapes = shapes[0]
        runs = []
        for batch in BATCHES:
            runs.append(keras.tree.map_structure_up_to(
                _skeleton(model_shapes), lambda s: oracle.draw_input((batch, *s[0]), rng, integers=7 if s[1] == "int32" else None),
                model_shapes))
        return runs

    return oracle.make_case(name, build, draw, zlib.crc32(name.encode()), oracle.NETWORK_TOLERANCE, nudge=True)


def _skeleton(node):
    """The same structure with leaves in place of (shape, dtype)."""
    if isinstance(node, dict):
        return {k: _skeleton(v) for k, v in node.items()}
    if isinstance(node, list):
        return [_skeleton(v) for v in node]
    return 0


class Builder:
    """Grows a graph from its inputs: `live` are the tensors that may be used next."""

    def __init__(self, rng):
        from keras import layers

        self.rng, self.layers = rng, layers

    def pick(self, *choices):
        return choices[self.rng.integers(len(choices))]

    def chance(self, p):
        return self.rng.random() < p

    def activation(self):
        return self.pick(None, *ACTIVATIONS)

    def input_shape(self):
        n = lambda low, high: int(self.rng.integers(low, high))  # noqa: E731
        image = (n(6, 13), n(6, 13), n(1, 5))
        return self.pick((n(3, 12),), (n(6, 12), n(2, 6)), (n(6, 12), n(2, 6)), image, image, image, (4, n(4, 6), 4, 2))

    def network(self):
        import keras

        count = self.pick(1, 1, 1, 2, 3)
        inputs = [self.one_input(i) for i in range(count)]
        live = [self.layers.Embedding(7, 4)(t) if t.dtype == "int32" else t for t in inputs]
        for _ in range(int(self.rng.integers(4, 14))):
            live.append(self.step(live))
        outputs = self.outputs(live, inputs)
        structure = inputs[0] if count == 1 else inputs
        if count > 1 and self.chance(0.3):
            structure = {t.name: t for t in inputs}
        return keras.Model(structure, outputs)

    def one_input(self, i):
        import keras

        if self.chance(0.1):
            return keras.Input((int(self.rng.integers(3, 8)),), dtype="int32", name=f"ids_{i}")
        return keras.Input(self.input_shape(), name=f"in_{9 - i}")  # so that sorting by name turns the order round

    def outputs(self, live, inputs):
        last = self.used_everything(live, inputs)
        if self.chance(0.6):
            return last
        other = self.head(live[len(live) // 2])
        return self.pick([last, other], {"b": last, "a": other}, [last, [other]])

    def used_everything(self, live, inputs):
        """One tensor that depends on every input: Keras refuses graphs that do not use one."""
        vectors = [self.head(live[-1])] + [self.vector(t) for t in live[:len(inputs)]]
        merged = self.layers.Concatenate()(vectors)
        return self.layers.Dense(int(self.rng.integers(2, 6)), activation=self.pick(None, "softmax", "sigmoid"))(merged)

    def vector(self, t):
        rank = len(t.shape) - 1
        if rank == 1:
            return t
        kind = f"Global{self.pick('Average', 'Max')}Pooling{rank - 1}D"
        return self.layers.Flatten()(t) if self.chance(0.3) else getattr(self.layers, kind)()(t)

    def head(self, t):
        return self.layers.Dense(int(self.rng.integers(1, 8)), activation=self.activation())(self.vector(t))

    def step(self, live):
        t = live[-1] if self.chance(0.7) else live[self.rng.integers(len(live))]
        kind = self.rng.random()
        if kind < 0.62:
            return self.one_layer(t)(t)
        if kind < 0.74:
            return self.residual(t)
        if kind < 0.84:
            return self.merge(t, live)
        if kind < 0.92:
            return self.shared(t)
        return self.nested(t)

    def one_layer(self, t, same=False):
        """A layer that takes t; with same, one whose output has t's shape."""
        rank, width = len(t.shape) - 1, int(t.shape[-1])
        L, units = self.layers, int(t.shape[-1]) if same else int(self.rng.integers(2, 9))
        any_rank = [lambda: L.Dense(units, activation=self.activation(), use_bias=self.chance(0.8)),
                    lambda: L.BatchNormalization(epsilon=self.pick(1e-3, 1e-5), scale=self.chance(0.8), center=self.chance(0.8)),
                    lambda: L.LayerNormalization(), lambda: L.RMSNormalization(), lambda: L.Activation(self.pick(*ACTIVATIONS)),
                    lambda: L.PReLU(shared_axes=list(range(1, rank)) or None), lambda: L.Dropout(0.3), lambda: L.LeakyReLU(),
                    lambda: L.ReLU(max_value=self.pick(None, 6.0)), lambda: L.Rescaling(0.5, offset=self.pick(0.0, 0.25)),
                    lambda: L.GroupNormalization(self.pick(1, width)), lambda: L.UnitNormalization()]
        if rank == 1:
            grow = [lambda: L.RepeatVector(3), lambda: L.Reshape((width, 1))]
            return self.pick(*(any_rank if same else any_rank + grow))()
        conv = getattr(L, f"Conv{rank - 1}D")
        convs = [lambda: conv(units, self.pick(1, 3), padding="same", activation=self.activation(),
                              dilation_rate=self.pick(1, 1, 2)),
                 lambda: getattr(L, f"Conv{rank - 1}DTranspose")(units, 3, padding="same")]
        if rank < 4:  # Keras has none for volumes
            convs.append(
                lambda: getattr(L, f"SeparableConv{rank - 1}D")(units, 3, padding="same", activation=self.activation()))
            convs.append(lambda: getattr(L, f"DepthwiseConv{rank - 1}D")(3, padding="same"))
        if same:
            return self.pick(*any_rank, *convs, *convs)()
        other = self.shrinking(rank, t)
        return self.pick(*any_rank, *convs, *convs, *other, *other[1:])()

    def shrinking(self, rank, t):
        L, n = self.layers, rank - 1
        kinds = ("Max", "Average") if n < 3 else ("Average",)  # TensorFlow has no float64 MaxPool3D
        small = min(int(d) for d in t.shape[1:-1])
        found = [lambda: L.Flatten(), lambda: getattr(L, f"ZeroPadding{n}D")(1)]
        if small <= 8:
            found.append(lambda: getattr(L, f"UpSampling{n}D")(2))
        if small >= 4:
            found += [lambda: getattr(L, f"{self.pick(*kinds)}Pooling{n}D")(2, padding=self.pick("same", "valid")),
                      lambda: getattr(L, f"Cropping{n}D")(1),
                      lambda: getattr(L, f"Conv{n}D")(4, 3, strides=2, activation=self.activation()),
                      lambda: getattr(L, f"Adaptive{self.pick(*kinds)}Pooling{n}D")(2)]
        if n == 2:
            found.append(lambda: L.Permute((2, 1, 3)))
        return found

    def residual(self, t):
        y = t
        for _ in range(self.pick(1, 2)):
            y = self.one_layer(y, same=True)(y)
        return self.pick(self.layers.Add, self.layers.Average, self.layers.Maximum, self.layers.Concatenate)()([t, y])

    def merge(self, t, live):
        """t with a tensor of its shape, or with another one after both are vectors of one width."""
        same = [x for x in live if x is not t and x.shape == t.shape]
        kind = self.pick("Add", "Multiply", "Minimum", "Concatenate", "Subtract")
        merge = getattr(self.layers, kind)()
        if same:
            return merge([t, same[self.rng.integers(len(same))]])
        other = live[self.rng.integers(len(live))]
        return merge([self.layers.Dense(5)(self.vector(t)), self.layers.Dense(5)(self.vector(other))])

    def shared(self, t):
        layer = self.one_layer(t, same=True)
        return self.layers.Add()([layer(t), layer(layer(t))])

    def nested(self, t):
        """A model of its own, called once or twice."""
        import keras

        shape = tuple(t.shape[1:])
        if self.chance(0.5):
            x = y = keras.Input(shape)
            for _ in range(self.pick(1, 2, 3)):
                y = self.one_layer(y, same=True)(y)
            inner = keras.Model(x, y)
        else:
            placeholder = keras.Input(shape)
            inner = keras.Sequential([keras.Input(shape)] + [self.one_layer(placeholder, same=True) for _ in range(2)])
        return inner(inner(t)) if self.chance(0.4) else inner(t)
