"""Random whole networks of sequences, and known architectures. The steps of most inputs are None: their lengths differ from run
to run. Masks come from Embedding and Masking, and go on, end or merge as Keras's layers and operations let them. A network
is a function of its number, so that it can be built in each precision."""
import zlib

import numpy as np

import sequences

COUNT = 300
BATCHES = (1, 3, 7)
LENGTHS = (1, 2, 3, 4, 5, 7)
PATTERNS = ("right", "left", "holes", "all", "none")
ACTIVATIONS = ["relu", "tanh", "gelu", "silu", "sigmoid", "elu", "softplus", "softmax", None]


def cases(out, chosen=lambda name: True):
    """The architectures, then the random networks."""
    import architectures
    import oracle

    found = []
    named = [(f"architecture.{name}", case) for name, case in architectures.declared()]
    for name, case in named + [(f"sequence_network.{i:03d}", i) for i in range(COUNT)]:
        if not chosen(name):
            continue
        try:
            found.append(network_case(name, case) if isinstance(case, int) else architecture_case(name, *case))
        except oracle.NoOracle as error:
            out.skip(f"conform.oracle.{name}", error)
        except Exception as error:
            out.fail(f"conform.case.{name}", f"{type(error).__name__}: {error}")
    return found


def architecture_case(name, build, inputs):
    """inputs: (kind, shape without the batch) each, with None for steps: of a second "ids" there is one more."""
    import keras
    import oracle

    def model():
        tensors = [keras.Input(shape, dtype="int32" if kind in ("ids", "segments") else None, name=f"in{i}") for i, (kind, shape) in enumerate(inputs)]
        return keras.Model(tensors, build(*tensors))

    def draw(rng):
        runs = []
        for batch, pattern, steps in zip(BATCHES, ("right", "none", "right"), (7, 1, 4)):
            run = []
            for i, (kind, shape) in enumerate(inputs):
                here = steps + i if kind == "ids" else steps
                shape = (batch, *(here if s is None else s for s in shape))
                run.append(sequences.padded(shape, pattern, rng) if kind == "ids" else oracle.draw_input(shape, rng, integers=kind == "segments" and 2))
            runs.append(run)
        return runs

    return oracle.make_case(name, model, draw, zlib.crc32(name.encode()), oracle.NETWORK_TOLERANCE)


def network_case(name, number):
    """Drawn again while float32 itself loses the result."""
    import oracle

    for again in range(30):
        case = one_network(name, number + 1000 * again)
        if case.error <= oracle.WORST_ERROR:
            break
    return case


def one_network(name, number):
    import oracle

    fronts = []

    def build():
        builder = Builder(np.random.default_rng(5000 + number))
        model = builder.network()
        fronts[:] = builder.fronts
        return model

    def draw(rng):
        runs = []
        for batch in BATCHES:
            lengths = {group: int(rng.choice(LENGTHS)) for _, group, *_ in fronts}
            run = [draw_front(front, batch, lengths[front[1]], rng) for front in fronts]
            runs.append(run if len(run) > 1 else run[0])
        return runs

    return oracle.make_case(name, build, draw, zlib.crc32(name.encode()), oracle.NETWORK_TOLERANCE)


def draw_front(front, batch, steps, rng):
    import oracle

    kind, _, fixed, width, pattern, masked = front
    steps = fixed or steps
    if kind == "ids":
        return sequences.padded((batch, steps), pattern, rng)
    x = oracle.draw_input((batch, steps, width), rng)
    if kind == "masking":
        keep = sequences.padded((batch, steps), pattern, rng)[..., None] > 0
        x = np.where(keep, np.abs(x) + 0.1, masked).astype("float32")
    return x


class Sequence:
    """A tensor [batch, steps, width]. Tensors of one group have one number of steps."""

    def __init__(self, tensor, group):
        self.tensor, self.group, self.width = tensor, group, int(tensor.shape[-1])


class Builder:
    """Grows a graph: `live` are the sequences that may be used next, `vectors` the tensors [batch, width]."""

    def __init__(self, rng):
        from keras import layers, ops

        self.rng, self.layers, self.ops = rng, layers, ops
        self.fronts, self.live, self.vectors = [], [], []
        self.recurrent_left = 3  # what runs step by step is slow to compute in Keras

    def pick(self, *choices):
        return choices[self.rng.integers(len(choices))]

    def chance(self, p):
        return self.rng.random() < p

    def number(self, low, high):
        return int(self.rng.integers(low, high + 1))

    def one_of(self, found):
        return found[self.rng.integers(len(found))]

    def network(self):
        import keras

        groups = {}
        inputs = [self.front(i, groups) for i in range(self.pick(1, 1, 2, 2, 3))]
        for _ in range(self.number(3, 8)):
            kind = self.rng.random()
            if kind < 0.2:
                self.vectors.append(self.vector(self.choose()))
            elif kind < 0.27 and self.vectors:
                self.spread()
            else:
                self.step(self.choose())
        return keras.Model(inputs if len(inputs) > 1 else inputs[0], self.outputs(len(inputs)))

    def choose(self):
        return self.live[-1] if self.chance(0.65) else self.one_of(self.live)

    def add(self, tensor, group):
        self.live.append(Sequence(tensor, group))

    # ---- Inputs and outputs ----

    def front(self, i, groups):
        import keras

        group = f"g{self.number(0, 1)}" if i else "g0"
        fixed = groups.setdefault(group, self.number(2, 7) if self.chance(0.2) else None)
        kind = self.pick("ids", "ids", "masking", "dense")
        width = self.number(2, 5)
        masked = self.pick(0.0, -1.0)
        self.fronts.append((kind, group, fixed, width, self.pick(*PATTERNS), masked))
        if kind == "ids":
            x = keras.Input((fixed,), dtype="int32", name=f"ids_{i}")
            y = self.layers.Embedding(7, width, mask_zero=self.chance(0.8))(x)
        else:
            x = keras.Input((fixed, width), name=f"in_{i}")
            y = self.layers.Masking(masked)(x) if kind == "masking" else x
        self.add(y, group)
        return x

    def outputs(self, count):
        """One vector that depends on every input: Keras refuses a graph that leaves one out. Sometimes more."""
        used = [self.vector(s) for s in self.live[:count]] + [self.vector(self.live[-1])] + self.vectors[-2:]
        joined = self.layers.Concatenate()(used) if self.chance(0.5) else self.ops.concatenate(used, axis=-1)
        found = [self.layers.Dense(self.number(2, 5), activation=self.pick(None, "softmax", "tanh"))(joined)]
        if self.chance(0.5):
            found.append(self.layers.Dense(3)(self.live[-1].tensor) if self.chance(0.5) else self.activation(self.live[-1].tensor))
        return found if len(found) > 1 or self.chance(0.3) else found[0]

    def activation(self, t):
        return self.layers.Activation("tanh")(t)

    # ---- Vectors ----

    def vector(self, s):
        t, kind = s.tensor, self.number(0, 9)
        if kind <= 2 and self.recurrent_left > 0:
            if self.chance(0.3):
                return self.layers.Bidirectional(self.recurrent(self.number(2, 5), go_backwards=False), merge_mode=self.pick("concat", "sum", "ave"))(t)
            return self.recurrent(self.number(2, 5))(t)
        if kind <= 5:
            return self.pick(self.layers.GlobalAveragePooling1D, self.layers.GlobalAveragePooling1D, self.layers.GlobalMaxPooling1D)()(t)
        if kind == 6:
            return t[:, 0]
        if kind == 7:
            return t[:, -1, :]
        return self.pick(self.ops.mean, self.ops.max, self.ops.sum)(t, axis=1)

    def spread(self):
        """A vector over the steps of a sequence, or repeated."""
        v, s = self.one_of(self.vectors), self.choose()
        if self.chance(0.3):
            steps = self.number(2, 4)
            return self.add(self.layers.RepeatVector(steps)(v), f"repeated{steps}")
        v = self.layers.Dense(s.width, activation="tanh")(v)
        v = self.ops.expand_dims(v, 1) if self.chance(0.5) else v[:, None, :]
        return self.add(s.tensor + v if self.chance(0.5) else self.layers.Multiply()([s.tensor, v]), s.group)

    # ---- Sequences ----

    def recurrent(self, units, **more):
        kind = self.pick("SimpleRNN", "LSTM", "GRU", "GRU_before")
        self.recurrent_left -= 1
        if more.get("return_sequences") and self.chance(0.2):
            more["zero_output_for_mask"] = True
        more.setdefault("go_backwards", self.chance(0.15))
        more.setdefault("activation", self.pick("tanh", "tanh", "tanh", "sigmoid", "softsign"))
        return sequences.kind(kind)(**sequences.arguments(kind, units=units, dropout=self.pick(0.0, 0.1), **more))

    def step(self, s):
        kind = self.number(0, 15)
        if kind <= 3 and self.recurrent_left > 0:
            self.add(self.recurrent_step(s), s.group)
        elif kind <= 5:
            self.attend(s)
        elif kind <= 8:
            self.arithmetic(s)
        elif kind <= 10:
            self.residual(s)
        elif kind <= 12:
            self.merge(s)
        else:
            self.add(self.plain(s.width)(s.tensor), s.group)

    def recurrent_step(self, s):
        units, kind = self.number(2, 5), self.number(0, 5)
        if kind == 0:
            self.recurrent_left -= 1
            inner = self.recurrent(units, return_sequences=True, go_backwards=False)
            return self.layers.Bidirectional(inner, merge_mode=self.pick("concat", "sum", "mul", "ave"))(s.tensor)
        if kind == 1:
            return self.layers.RNN([self.layers.LSTMCell(units), self.layers.GRUCell(3)], return_sequences=True)(s.tensor)
        if kind == 2:  # the states of one begin the next
            name = self.pick("LSTM", "GRU")
            self.recurrent_left -= 2
            y, *states = sequences.kind(name)(units, return_sequences=True, return_state=True)(s.tensor)
            if self.chance(0.5):
                self.vectors.append(states[-1])
            return sequences.kind(name)(units, return_sequences=True)(y if self.chance(0.5) else s.tensor, initial_state=states)
        return self.recurrent(units, return_sequences=True)(s.tensor)

    def plain(self, width, same=False):
        """A layer without memory, or with that of a convolution; with same, one that keeps the width."""
        L, units = self.layers, width if same else self.number(2, 6)
        return self.pick(
            lambda: L.Dense(units, activation=self.pick(*ACTIVATIONS)), lambda: L.LayerNormalization(), lambda: L.Dropout(0.2),
            lambda: L.TimeDistributed(L.Dense(units, activation=self.pick(*ACTIVATIONS))),
            lambda: L.TimeDistributed(L.LayerNormalization()), lambda: L.SpatialDropout1D(0.2),
            lambda: L.Conv1D(units, self.number(1, 3), padding="causal", dilation_rate=self.pick(1, 1, 2), activation=self.pick("relu", "tanh")),
            lambda: L.Conv1D(units, 3, padding="same"), lambda: L.Activation(self.pick("gelu", "tanh", "softmax")),
            lambda: L.BatchNormalization(), lambda: L.RMSNormalization(), lambda: L.DepthwiseConv1D(3, padding="same"),
            lambda: L.EinsumDense("abc,cd->abd", (None, units), bias_axes="d"))()

    def residual(self, s):
        if self.recurrent_left > 0 and self.chance(0.3):
            y = self.recurrent(s.width, return_sequences=True, go_backwards=False)(s.tensor)
        else:
            y = self.plain(s.width, same=True)(s.tensor)
        if self.chance(0.3):
            y = self.plain(s.width, same=True)(y)
        self.add(s.tensor + y if self.chance(0.3) else self.layers.Add()([s.tensor, y]), s.group)

    def attend(self, s):
        other = s if self.chance(0.5) else self.one_of(self.live)
        causal, L, kind = self.chance(0.4), self.layers, self.number(0, 5)
        q, v = s.tensor, other.tensor
        if kind <= 2:
            layer = L.MultiHeadAttention(self.number(1, 2), self.number(2, 4), dropout=self.pick(0.0, 0.0, 0.1), use_bias=self.chance(0.8))
            y = layer(q, v, use_causal_mask=causal)
        elif kind == 3:
            v = v if other.width == s.width else L.Dense(s.width)(v)
            y = L.GroupQueryAttention(3, 4, 2)(q, v, use_causal_mask=causal)
        else:
            width = self.number(2, 4)
            q, v = L.Dense(width)(q), L.Dense(width)(v)
            layer = L.Attention(use_scale=self.chance(0.5)) if kind == 4 else L.AdditiveAttention()
            y = layer([q, v], use_causal_mask=causal)
        if int(y.shape[-1]) == s.width and self.chance(0.6):
            y = L.LayerNormalization()(L.Add()([s.tensor, y]))
        self.add(y, s.group)

    def merge(self, s):
        """s with a sequence of its steps; or one after the other."""
        L, alike = self.layers, [x for x in self.live if x.group == s.group and x is not s]
        other = self.one_of(alike) if alike else self.one_of(self.live)
        if other.group != s.group or self.chance(0.3):
            t = [L.Dense(4)(s.tensor), L.Dense(4)(other.tensor)]
            joined = L.Concatenate(axis=1)(t) if self.chance(0.6) else self.ops.concatenate(t, axis=1)
            return self.add(joined, f"({s.group}+{other.group})")
        if other.width == s.width:
            return self.add(self.pick(L.Add, L.Multiply, L.Average, L.Maximum, L.Subtract)()([s.tensor, other.tensor]), s.group)
        pair = [s.tensor, other.tensor]
        return self.add(L.Concatenate()(pair) if self.chance(0.6) else self.ops.concatenate(pair, axis=-1), s.group)

    def arithmetic(self, s):
        ops, t = self.ops, s.tensor
        half = max(1, s.width // 2)
        self.add(self.pick(
            lambda: t * 2, lambda: 1.5 - t, lambda: t / 3 + 0.25, lambda: -t, lambda: t[:, ::-1], lambda: t[..., :half], lambda: ops.flip(t, axis=1),
            lambda: ops.roll(t, 1, axis=1), lambda: ops.cumsum(t, axis=1) * 0.3, lambda: ops.where(t > 0, t, 0.1 * t),
            lambda: ops.softmax(t, axis=1), lambda: ops.tanh(t) * ops.sigmoid(t), lambda: t - ops.mean(t, axis=1, keepdims=True),
            lambda: t * ops.rsqrt(ops.mean(ops.square(t), axis=-1, keepdims=True) + 1e-3), lambda: ops.gelu(t),
            lambda: ops.matmul(ops.softmax(ops.matmul(t, ops.transpose(t, (0, 2, 1))), axis=-1), t),
            lambda: ops.einsum("bts,bsc->btc", ops.tanh(ops.einsum("btc,bsc->bts", t, t)), t),
            lambda: ops.squeeze(ops.expand_dims(t, 2), 2), lambda: ops.swapaxes(ops.swapaxes(t, 1, 2) + 0.5, 1, 2),
            lambda: ops.clip(t, -1.0, 1.0), lambda: ops.maximum(t, 0.1), lambda: abs(t), lambda: ops.log1p(ops.exp(ops.minimum(t, 3.0))))(), s.group)
