"""Sequences: recurrent layers, attention and wrappers as models of a few layers, with masks, states and call arguments, which
the single layers of specs.py do not have. Each case is a function of its name, so that it can be built in each precision."""
import zlib

import numpy as np

BATCHES = (1, 3, 7)
STEPS = (6, 1)
# Activations of every form: elementwise, with a softmax over the units, and none.
ACTIVATIONS = ["tanh", "sigmoid", "relu", "hard_sigmoid", "linear", "softmax", "gelu", "elu", "softsign", "leaky_relu"]
# The cases that are committed, for machines without Keras.
SMALL = """SimpleRNN.default LSTM.default GRU.default GRU_before.default LSTM.activation=softmax GRU.dtype=float16 LSTM.units=65
    mask.SimpleRNN.holes.sequences mask.LSTM.left.zero mask.LSTM.all.state mask.GRU.right.backwards mask.GRU_before.holes.state
    mask.GRU.left.softmax mask.LSTM.masking mask.GRU.deep state.LSTM state.GRU.masked_input RNN.LG.state RNN.SSGBL.mask.holes
    cell.StackedRNNCells ConvLSTM1D.mask.holes ConvLSTM2D.channels_first ConvLSTM2D.same Bidirectional.LSTM.concat.sequences=True.mask.holes
    Bidirectional.GRU.None.state Bidirectional.two_layers TimeDistributed.Functional TimeDistributed.mask.left Attention.mask.holes
    AdditiveAttention.mask.causal.right MultiHeadAttention.cross MultiHeadAttention.scores.causal MultiHeadAttention.attention_mask.heads
    MultiHeadAttention.axes_both MultiHeadAttention.mask.plain.all MultiHeadAttention.mask.dropout.all MultiHeadAttention.taken.left
    MultiHeadAttention.gate_value_dim.causal GroupQueryAttention.sliding_window.causal GroupQueryAttention.mask.scores.all
    SpectralNormalization.mask stateful.LSTM stateful.shared""".split()
CELLS = {"SimpleRNN": {}, "LSTM": {}, "GRU": {}, "GRU_before": {"reset_after": False}}
PATTERNS = ("right", "left", "holes", "all")


def cases(out, chosen=lambda name: True):
    import oracle

    found = []
    for name, build, inputs, tolerance in declared():
        if not chosen(name):
            continue
        try:
            found.append(sequence_case(name, build, inputs, tolerance))
        except oracle.NoOracle as error:
            out.skip(f"conform.oracle.{name}", error)
        except Exception as error:
            out.fail(f"conform.case.{name}", f"{type(error).__name__}: {error}")
    return found


def sequence_case(name, build, inputs, tolerance):
    """inputs: for each input its shape with the steps as "T", or ("ids", ...) for integers with zeros in the given pattern."""
    import oracle

    fixed = 3 if name.startswith("stateful.") else None  # the states of as many sequences last from run to run

    def draw(rng):
        runs = []
        for batch in [fixed] * 3 if fixed else BATCHES:
            run = [draw_one(spec, batch, rng) for spec in inputs]
            runs.append(run if len(run) > 1 else run[0])
        return runs

    def model():
        import keras

        tensors = [keras.Input(spec[1] if spec[0] in ("ids", "bool") else shape_of(spec),
                               batch_size=fixed,
                               dtype={"ids": "int32", "bool": "bool"}.get(spec[0]), name=f"in{i}") for i, spec in enumerate(inputs)]
        outputs = build(*tensors)
        return keras.Model(tensors if len(tensors) > 1 else tensors[0], outputs)

    return oracle.make_case(name, model, draw, zlib.crc32(name.encode()), tolerance or oracle.LAYER_TOLERANCE)


def shape_of(spec):
    return tuple(spec[1] if spec[0] == "padded" else spec)


def draw_one(spec, batch, rng):
    import oracle

    if spec[0] == "ids":
        return padded((batch, *spec[1]), spec[2], rng)
    if spec[0] == "bool":
        return rng.random((batch, *spec[1])) < 0.7
    if spec[0] == "padded":  # numbers with zero steps
        x = oracle.draw_input((batch, *spec[1]), rng)
        keep = padded((batch, spec[1][0]), spec[2], rng) > 0
        return (np.abs(x) + 0.1).astype("float32") * keep.reshape(keep.shape + (1,) * (x.ndim - 2))
    return oracle.draw_input((batch, *spec), rng)


def padded(shape, pattern, rng):
    """Integers 1 to 6 with zeros: behind, in front, anywhere, or in whole rows."""
    x = rng.integers(1, 7, shape).astype("int32")
    steps = shape[1]
    for row in x:
        n = int(rng.integers(0, steps))
        if pattern == "right":
            row[steps - n:] = 0
        elif pattern == "left":
            row[:n] = 0
        elif pattern == "holes":
            row[rng.random(row.shape) < 0.4] = 0
    if pattern == "all":
        x[::2] = 0
    return x


def kind(name):
    from keras import layers

    return getattr(layers, name.split("_")[0])


def arguments(name, **more):
    return {**CELLS.get(name, {}), **more}


def declared():
    yield from recurrent()
    yield from masked_recurrent()
    yield from states()
    yield from cells()
    yield from conv_lstm()
    yield from bidirectional()
    yield from time_distributed()
    yield from attention()
    yield from multi_head()
    yield from grouped()
    yield from wrappers()
    yield from stateful()


def recurrent():
    both = (True, False)
    for name in CELLS:
        def case(title, steps=5, tolerance=None, name=name, **more):
            return (f"{name}.{title}", lambda x: kind(name)(**arguments(name, units=4, **of_dtype(more)))(x), [(steps, 3)], tolerance)

        yield case("default")
        for steps in (1, 2, 17, 60):
            yield case(f"steps={steps}", steps)
        for sequences in both:
            for state in both:
                for backwards in both:
                    yield case(f"sequences={sequences};state={state};backwards={backwards}", return_sequences=sequences,
                               return_state=state, go_backwards=backwards)
        yield case("unroll", unroll=True, return_sequences=True)
        yield case("no_bias", use_bias=False, return_sequences=True)
        yield case("dropout", dropout=0.3, recurrent_dropout=0.2)
        for activation in ACTIVATIONS:
            yield case(f"activation={activation}", activation=activation, return_sequences=True)
            if name != "SimpleRNN":
                yield case(f"recurrent_activation={activation}", recurrent_activation=activation, return_sequences=True)
        for dtype in ("float64", "float16", "mixed_bfloat16"):
            yield case(f"dtype={dtype}", return_sequences=True, dtype=dtype)
        for units in (1, 65, 130):
            yield (f"{name}.units={units}", lambda x, n=name, u=units: kind(n)(**arguments(n, units=u, return_sequences=True))(x), [(7, 3)], None)


def of_dtype(options):
    """A layer of half precision is measured against float64 too."""
    import keras

    exact = keras.config.floatx() == "float64"
    return {k: v for k, v in options.items() if not (exact and k == "dtype")}


def embed(x):
    from keras import layers

    return layers.Embedding(7, 3, mask_zero=True)(x)


def masked_recurrent():
    from keras import layers

    for name in CELLS:
        for pattern in PATTERNS:
            for title, more in (("last", {}), ("sequences", {"return_sequences": True}),
                                ("zero", {"return_sequences": True, "zero_output_for_mask": True}),
                                ("zero_last", {"zero_output_for_mask": True}),
                                ("state", {"return_sequences": True, "return_state": True}),
                                ("backwards", {"return_sequences": True, "go_backwards": True}),
                                ("unroll", {"return_sequences": True, "unroll": True}),
                                ("softmax", {"return_sequences": True, "return_state": True, "activation": "softmax"})):
                yield (f"mask.{name}.{pattern}.{title}", lambda x, n=name, m=more: kind(n)(**arguments(n, units=4, **m))(embed(x)),
                       [("ids", (6,), pattern)], None)
        yield (f"mask.{name}.masking", lambda x, n=name: kind(n)(**arguments(n, units=4))(layers.Masking()(x)),
               [("padded", (6, 3), "holes")], None)
        yield (f"mask.{name}.deep", lambda x, n=name: kind(n)(**arguments(n, units=4))(
            layers.Dropout(0.1)(kind(n)(**arguments(n, units=5, return_sequences=True))(layers.Dense(4)(embed(x))))),
               [("ids", (6,), "left")], None)
        yield (f"mask.{name}.explicit", lambda x, m, n=name: kind(n)(**arguments(n, units=4, return_sequences=True))(x, mask=m),
               [(6, 3), ("bool", (6,))], None)


def states():
    from keras import layers

    for name in CELLS:
        count = 2 if name == "LSTM" else 1

        def build(x, *s, n=name):
            return kind(n)(**arguments(n, units=4, return_sequences=True, return_state=True))(x, initial_state=list(s))

        yield f"state.{name}", build, [(5, 3)] + [(4,)] * count, None
        yield (f"state.{name}.masked_input", lambda x, *s, n=name: kind(n)(**arguments(n, units=4, return_sequences=True))(
            embed(x), initial_state=list(s)), [("ids", (5,), "holes")] + [(4,)] * count, None)

        def seq2seq(a, b, n=name):
            _, *s = kind(n)(**arguments(n, units=4, return_state=True))(a)
            y = kind(n)(**arguments(n, units=4, return_sequences=True))(b, initial_state=s)
            return layers.Dense(3)(y)

        yield f"state.{name}.seq2seq", seq2seq, [(5, 3), (4, 2)], None


def cells():
    from keras import layers

    def make(kinds):
        return [layers.LSTMCell(4) if k == "L" else layers.GRUCell(5) if k == "G" else layers.GRUCell(3, reset_after=False)
                if k == "B" else layers.SimpleRNNCell(2) for k in kinds]

    for kinds in ("L", "G", "B", "S", "LG", "GL", "LL", "SSGBL"):
        def case(title, inputs=None, before=lambda x: x, kinds=kinds, **more):
            return (f"RNN.{kinds}.{title}", lambda x: layers.RNN(make(kinds) if len(kinds) > 1 else make(kinds)[0], **more)(before(x)),
                    inputs or [(5, 3)], None)

        yield case("last")
        yield case("sequences", return_sequences=True)
        yield case("state", return_sequences=True, return_state=True)
        yield case("backwards", return_sequences=True, go_backwards=True)
        for pattern in PATTERNS:
            yield case(f"mask.{pattern}", [("ids", (5,), pattern)], embed, return_sequences=True, return_state=True)
        yield case("mask.zero", [("ids", (5,), "holes")], embed, return_sequences=True, zero_output_for_mask=True)
    yield "RNN.stacked", lambda x: layers.RNN(layers.StackedRNNCells(make("LL")))(x), [(5, 3)], None
    yield "RNN.one_in_list", lambda x: layers.RNN(make("G"), return_state=True)(x), [(5, 3)], None
    yield "cell.LSTMCell", lambda x, h, c: layers.LSTMCell(4)(x, [h, c]), [(3,), (4,), (4,)], None
    yield "cell.GRUCell", lambda x, h: layers.GRUCell(4)(x, [h]), [(3,), (4,)], None
    yield "cell.GRUCell.tensor", lambda x, h: layers.GRUCell(4)(x, h), [(3,), (4,)], None
    yield "cell.SimpleRNNCell", lambda x, h: layers.SimpleRNNCell(4)(x, h), [(3,), (4,)], None
    yield "cell.StackedRNNCells", lambda x, h, c, g: layers.StackedRNNCells(make("LG"))(x, [[h, c], [g]]), [(3,), (4,), (4,), (5,)], None


def conv_lstm():
    from keras import layers

    for n, shape in ((1, (6,)), (2, (5, 6)), (3, (3, 4, 5))):
        def case(title, n=n, shape=shape, steps=3, inputs=None, before=lambda x: x, **more):
            args = {"filters": 2, "kernel_size": 2, **more}
            full = (steps, 3, *shape) if args.get("data_format") == "channels_first" else (steps, *shape, 3)
            return (f"ConvLSTM{n}D.{title}", lambda *x: getattr(layers, f"ConvLSTM{n}D")(**args)(before(x[0]), *x[1:]), inputs or [full], None)

        yield case("default")
        yield case("sequences", return_sequences=True)
        yield case("state", return_state=True, return_sequences=True)
        yield case("same", padding="same", kernel_size=3, return_sequences=True)
        yield case("strides", strides=2)
        yield case("strides_same", strides=2, padding="same")
        yield case("dilation", dilation_rate=2)
        yield case("no_bias", use_bias=False, go_backwards=True, return_sequences=True)
        yield case("activation", activation="relu", recurrent_activation="hard_sigmoid")
        yield case("steps=1", steps=1)
        for pattern in PATTERNS:
            yield case(f"mask.{pattern}", inputs=[("padded", (4, *shape, 3), pattern)], before=lambda x: masking(x), return_sequences=True,
                       return_state=True)
    yield ("ConvLSTM2D.channels_first", lambda x: layers.ConvLSTM2D(2, 2, data_format="channels_first", return_sequences=True,
                                                                   return_state=True)(x), [(3, 3, 5, 6)], None)
    yield ("ConvLSTM2D.initial_state", lambda x, h, c: layers.ConvLSTM2D(2, 2, padding="same")(x, initial_state=[h, c]),
           [(3, 5, 6, 3), (5, 6, 2), (5, 6, 2)], None)
    yield ("ConvLSTM2D.two", lambda x: layers.ConvLSTM2D(2, (2, 3))(layers.BatchNormalization()(layers.ConvLSTM2D(
        3, 3, padding="same", return_sequences=True)(x))), [(3, 5, 6, 2)], None)


def masking(x):
    """A mask of steps for steps of any rank: Masking would make one of every axis but the last."""
    from keras import layers, ops

    if len(x.shape) == 3:
        return layers.Masking()(x)
    flat = layers.Reshape((x.shape[1], int(np.prod(x.shape[2:]))))(x)
    return layers.TimeDistributed(layers.Reshape(tuple(x.shape[2:])))(layers.Masking()(flat))


def bidirectional():
    from keras import layers

    for name in CELLS:
        for mode in ("concat", "sum", "mul", "ave", None):
            for sequences in (True, False):
                def build(x, n=name, m=mode, s=sequences):
                    return layers.Bidirectional(kind(n)(**arguments(n, units=4, return_sequences=s)), merge_mode=m)(x)
                yield f"Bidirectional.{name}.{mode}.sequences={sequences}", build, [(5, 3)], None
                for pattern in PATTERNS if mode in ("concat", "sum") else ():
                    yield (f"Bidirectional.{name}.{mode}.sequences={sequences}.mask.{pattern}", lambda x, b=build: b(embed(x)),
                           [("ids", (5,), pattern)], None)
            yield (f"Bidirectional.{name}.{mode}.state", lambda x, n=name, m=mode: layers.Bidirectional(
                kind(n)(**arguments(n, units=4, return_state=True, return_sequences=True)), merge_mode=m)(x), [(5, 3)], None)
    yield ("Bidirectional.two_layers", lambda x: layers.Bidirectional(
        layers.LSTM(4, return_sequences=True), backward_layer=layers.GRU(3, activation="relu", go_backwards=True, return_sequences=True))(x),
           [(5, 3)], None)
    yield ("Bidirectional.turned", lambda x: layers.Bidirectional(
        layers.LSTM(4, go_backwards=True), backward_layer=layers.LSTM(4))(x), [(5, 3)], None)
    yield ("Bidirectional.RNN", lambda x: layers.Bidirectional(layers.RNN([layers.LSTMCell(4), layers.GRUCell(3)], return_sequences=True))(embed(x)),
           [("ids", (5,), "holes")], None)
    yield ("Bidirectional.ConvLSTM2D", lambda x: layers.Bidirectional(layers.ConvLSTM2D(2, 2, return_sequences=True))(x), [(3, 4, 5, 2)], None)
    yield ("Bidirectional.deep", lambda x: layers.Bidirectional(layers.GRU(3))(layers.Bidirectional(layers.LSTM(4, return_sequences=True))(embed(x))),
           [("ids", (6,), "right")], None)
    yield ("Bidirectional.initial_state", lambda x, a, b, c, d: layers.Bidirectional(layers.LSTM(4))(x, initial_state=[a, b, c, d]),
           [(5, 3)] + [(4,)] * 4, None)
    yield "Bidirectional.softmax", lambda x: layers.Bidirectional(layers.LSTM(4, activation="softmax", return_sequences=True))(embed(x)), [("ids", (5,), "left")], None


def time_distributed():
    from keras import Input, Sequential, layers

    wrap = layers.TimeDistributed
    yield "TimeDistributed.Dense", lambda x: wrap(layers.Dense(4, activation="relu"))(x), [(5, 3)], None
    yield "TimeDistributed.Conv2D", lambda x: wrap(layers.Conv2D(3, 3, padding="same"))(x), [(4, 6, 5, 2)], None
    yield "TimeDistributed.Conv1D", lambda x: wrap(layers.Conv1D(3, 3))(x), [(4, 6, 2)], None
    yield "TimeDistributed.BatchNormalization", lambda x: wrap(layers.BatchNormalization())(x), [(4, 6)], None
    yield "TimeDistributed.Flatten", lambda x: wrap(layers.Flatten())(x), [(4, 6, 5)], None
    yield "TimeDistributed.LSTM", lambda x: wrap(layers.LSTM(4))(x), [(4, 6, 3)], None
    yield "TimeDistributed.twice", lambda x: wrap(wrap(layers.Dense(2)))(x), [(4, 3, 5)], None
    yield "TimeDistributed.Sequential", lambda x: layers.LSTM(3)(wrap(Sequential([Input((6, 5, 2)), layers.Conv2D(3, 3), layers.GlobalAveragePooling2D(),
                                                                                layers.Dense(4)]))(x)), [(4, 6, 5, 2)], None
    yield "TimeDistributed.Functional", lambda x: wrap(inner_model())(x), [(4, 6)], None
    for pattern in PATTERNS:
        yield (f"TimeDistributed.mask.{pattern}", lambda x: layers.LSTM(4)(wrap(layers.Dense(3))(embed(x))), [("ids", (5,), pattern)], None)
    yield "TimeDistributed.words", lambda x: layers.GRU(4)(wrap(layers.LSTM(3))(embed(x))), [("ids", (3, 5), "none")], None


def inner_model():
    from keras import Input, Model, layers

    x = Input((6,))
    y = layers.Dense(6, activation="tanh")(x)
    return Model(x, layers.Dense(3)(layers.Add()([x, y])))


def attention():
    from keras import layers

    for name in ("Attention", "AdditiveAttention"):
        make = getattr(layers, name)
        options = [("default", {}), ("no_scale", {"use_scale": False}), ("scale", {"use_scale": True}), ("dropout", {"dropout": 0.2})]
        if name == "Attention":
            options += [("concat", {"score_mode": "concat"}), ("concat_scale", {"score_mode": "concat", "use_scale": True})]
        for title, more in options:
            yield f"{name}.{title}", lambda q, v, m=more, f=make: f(**m)([q, v]), [(5, 4), (6, 4)], None
        yield f"{name}.key", lambda q, v, k, f=make: f()([q, v, k]), [(5, 4), (6, 3), (6, 4)], None
        yield f"{name}.scores", lambda q, v, f=make: list(f()([q, v], return_attention_scores=True)), [(5, 4), (6, 4)], None
        yield f"{name}.causal", lambda q, v, f=make: f()([q, v], use_causal_mask=True), [(5, 4), (5, 4)], None
        yield f"{name}.causal_lengths", lambda q, v, f=make: f()([q, v], use_causal_mask=True), [(5, 4), (3, 4)], None
        for pattern in PATTERNS[:3]:
            yield (f"{name}.mask.{pattern}", lambda q, v, f=make: layers.LSTM(3)(f()([embed(q), embed(v)])),
                   [("ids", (5,), pattern), ("ids", (6,), pattern)], None)
            yield (f"{name}.mask.causal.{pattern}", lambda q, f=make: f()([embed(q)] * 2, use_causal_mask=True), [("ids", (5,), "right")], None)
        yield (f"{name}.mask.explicit", lambda q, v, a, b, f=make: f()([q, v], mask=[a, b]),
               [(5, 4), (6, 4), ("bool", (5,)), ("ids", (6,), "right")], None)


def multi_head():
    from keras import layers

    def case(title, *inputs, call=lambda f, x: f(*x) if len(x) > 1 else f(x[0], x[0]), tolerance=None, **more):
        args = {"num_heads": 2, "key_dim": 3, **more}
        return f"MultiHeadAttention.{title}", lambda *x: call(layers.MultiHeadAttention(**of_dtype(args)), x), list(inputs), tolerance

    yield case("self", (5, 4))
    yield case("cross", (5, 4), (6, 3))
    yield case("key", (5, 4), (6, 3), (6, 2))
    for title, more in (("one_head", {"num_heads": 1}), ("many", {"num_heads": 8, "key_dim": 16}), ("value_dim", {"value_dim": 5}),
                        ("no_bias", {"use_bias": False}), ("output_shape", {"output_shape": 7}), ("output_shape_2", {"output_shape": (2, 3)}),
                        ("gate", {"use_gate": True}), ("gate_value_dim", {"use_gate": True, "value_dim": 5}), ("dropout", {"dropout": 0.3}),
                        ("sliding_window", {"sliding_window": 2}), ("float64", {"dtype": "float64"}), ("float16", {"dtype": "float16"}),
                        ("bfloat16", {"dtype": "mixed_bfloat16"})):
        yield case(title, (5, 4), **more)
        yield case(title + ".causal", (5, 4), call=lambda f, x: f(x[0], x[0], use_causal_mask=True), **more)
    yield case("scores", (5, 4), (6, 3), call=lambda f, x: list(f(*x, return_attention_scores=True)))
    yield case("scores.causal", (5, 4), call=lambda f, x: list(f(x[0], x[0], return_attention_scores=True, use_causal_mask=True)))
    yield case("causal_lengths", (5, 4), (3, 4), call=lambda f, x: f(*x, use_causal_mask=True))
    yield case("causal_lengths_longer", (3, 4), (5, 4), call=lambda f, x: f(*x, use_causal_mask=True))
    yield case("long", (70, 16), num_heads=4, key_dim=8)
    yield case("attention_mask", (5, 4), (6, 4), ("bool", (5, 6)), call=lambda f, x: f(x[0], x[1], attention_mask=x[2]))
    yield case("attention_mask.row", (5, 4), (6, 4), ("bool", (1, 6)), call=lambda f, x: f(x[0], x[1], attention_mask=x[2]))
    yield case("attention_mask.heads", (5, 4), (6, 4), ("bool", (2, 5, 6)), call=lambda f, x: f(x[0], x[1], attention_mask=x[2]))
    yield case("attention_mask.causal", (5, 4), ("bool", (5, 5)), call=lambda f, x: f(x[0], x[0], attention_mask=x[1], use_causal_mask=True))
    yield case("attention_mask.dropout", (5, 4), (6, 4), ("bool", (5, 6)), call=lambda f, x: f(x[0], x[1], attention_mask=x[2]), dropout=0.1)
    yield case("attention_mask.scores", (5, 4), (6, 4), ("bool", (5, 6)),
               call=lambda f, x: list(f(x[0], x[1], attention_mask=x[2], return_attention_scores=True)))
    yield case("axes", (3, 5, 4), call=lambda f, x: f(x[0], x[0]), attention_axes=2)
    yield case("axes_1", (3, 5, 4), attention_axes=1)
    yield case("axes_both", (3, 5, 4), attention_axes=(1, 2))
    yield case("axes_default", (3, 5, 4))
    yield case("axes_order", (3, 5, 4), attention_axes=(2, 1))
    yield case("axes_order_cross", (3, 5, 4), (2, 6, 4), call=lambda f, x: f(x[0], x[1]), attention_axes=(2, 1))
    yield case("axes_order_scores", (3, 5, 4), (2, 6, 4), ("bool", (5, 3, 6, 2)), attention_axes=(2, 1),
               call=lambda f, x: list(f(x[0], x[1], attention_mask=x[2], return_attention_scores=True)))
    yield case("axes_order_some", (3, 5, 2, 4), attention_axes=(3, 1), call=lambda f, x: list(f(x[0], x[0], return_attention_scores=True)))
    yield case("axes_negative", (3, 5, 4), attention_axes=(-2,))
    yield case("axes_scores", (3, 5, 4), attention_axes=2, call=lambda f, x: list(f(x[0], x[0], return_attention_scores=True)))
    for pattern in PATTERNS:
        for title, more, call in (("plain", {}, {}), ("causal", {}, {"use_causal_mask": True}), ("dropout", {"dropout": 0.2}, {}),
                                  ("scores", {}, {"return_attention_scores": True}), ("window", {"sliding_window": 3}, {})):
            yield case(f"mask.{title}.{pattern}", ("ids", (5,), pattern), call=lambda f, x, k=call: flat(f(e := embed(x[0]), e, **k)), **more)
        yield case(f"mask.cross.{pattern}", ("ids", (5,), pattern), ("ids", (6,), pattern), call=lambda f, x: f(embed(x[0]), embed(x[1])))
        yield case(f"mask.key.{pattern}", ("ids", (5,), "none"), ("ids", (6,), pattern), ("ids", (6,), "right"),
                   call=lambda f, x: f(embed(x[0]), embed(x[1]), embed(x[2])))
        yield case(f"mask.goes_on.{pattern}", ("ids", (5,), pattern), call=lambda f, x: layers.LSTM(3)(f(e := embed(x[0]), e)))
        yield f"MultiHeadAttention.block.{pattern}", block, [("ids", (6,), pattern)], None
        yield f"MultiHeadAttention.taken.{pattern}", taken, [("ids", (6,), pattern)], None


def flat(result):
    return list(result) if isinstance(result, tuple) else result


def block(x):
    """A transformer's block over a padded sequence, whose pooling would see the mask if there were one."""
    from keras import layers

    e = layers.Embedding(7, 4, mask_zero=True)(x)
    a = layers.MultiHeadAttention(2, 3)(e, e, use_causal_mask=True)
    e = layers.LayerNormalization()(layers.Add()([e, a]))
    e = layers.LayerNormalization()(layers.Add()([e, layers.Dense(4)(layers.Dense(8, activation="gelu")(e))]))
    return layers.LSTM(3)(e)


def taken(x):
    """The mask of a tensor before and after it is attended to."""
    from keras import layers

    e = embed(x)
    before = layers.LSTM(3)(e)
    a = layers.MultiHeadAttention(2, 3)(e, e)
    return [before, layers.GRU(3)(layers.Add()([e, a])), layers.GRU(2)(a)]


def grouped():
    from keras import layers

    def case(title, *inputs, call=lambda f, x: f(*x) if len(x) > 1 else f(x[0], x[0]), **more):
        args = {"head_dim": 3, "num_query_heads": 4, "num_key_value_heads": 2, **more}
        return f"GroupQueryAttention.{title}", lambda *x: call(layers.GroupQueryAttention(**args), x), list(inputs), None

    for title, more in (("default", {}), ("one_kv", {"num_key_value_heads": 1}), ("all_kv", {"num_key_value_heads": 4}), ("no_bias", {"use_bias": False}),
                        ("gate", {"use_gate": True}), ("dropout", {"dropout": 0.2}), ("sliding_window", {"sliding_window": 2})):
        yield case(title, (5, 4), **more)
        yield case(title + ".causal", (5, 4), call=lambda f, x: f(x[0], x[0], use_causal_mask=True), **more)
        yield case(title + ".scores", (5, 4), call=lambda f, x: list(f(x[0], x[0], return_attention_scores=True)), **more)
    yield case("cross", (5, 4), (6, 4))
    yield case("key", (5, 4), (6, 4), (6, 3))
    yield case("attention_mask", (5, 4), (6, 4), ("bool", (5, 6)), call=lambda f, x: f(x[0], x[1], attention_mask=x[2]))
    yield case("attention_mask.causal", (5, 4), ("bool", (5, 5)), call=lambda f, x: f(x[0], x[0], attention_mask=x[1], use_causal_mask=True))
    for pattern in PATTERNS:
        yield case(f"mask.{pattern}", ("ids", (5,), pattern), call=lambda f, x: layers.LSTM(3, return_sequences=True)(f(e := embed(x[0]), e)))
        yield case(f"mask.causal.{pattern}", ("ids", (5,), pattern), call=lambda f, x: f(e := embed(x[0]), e, use_causal_mask=True))
        yield case(f"mask.scores.{pattern}", ("ids", (5,), pattern), call=lambda f, x: list(f(e := embed(x[0]), e, return_attention_scores=True)))


def wrappers():
    from keras import layers

    yield "SpectralNormalization.Dense", lambda x: layers.SpectralNormalization(layers.Dense(4, activation="tanh"))(x), [(5,)], None
    yield "SpectralNormalization.Conv2D", lambda x: layers.SpectralNormalization(layers.Conv2D(4, 3), power_iterations=3)(x), [(6, 5, 2)], None
    yield "SpectralNormalization.mask", lambda x: layers.LSTM(3)(layers.SpectralNormalization(layers.Dense(4))(embed(x))), [("ids", (5,), "holes")], None


def stateful():
    from keras import layers

    for name in CELLS:
        yield (f"stateful.{name}", lambda x, n=name: kind(n)(**arguments(n, units=4, stateful=True, return_sequences=True))(x), [(5, 3)], None)
        yield (f"stateful.{name}.masked", lambda x, n=name: kind(n)(**arguments(n, units=4, stateful=True, return_state=True))(embed(x)),
               [("ids", (5,), "right")], None)
    yield "stateful.softmax", lambda x: layers.LSTM(4, stateful=True, activation="softmax")(x), [(5, 3)], None
    yield "stateful.stack", lambda x: layers.RNN([layers.LSTMCell(4), layers.GRUCell(3)], stateful=True)(x), [(5, 3)], None
    yield "stateful.Bidirectional", lambda x: layers.Bidirectional(layers.GRU(4, stateful=True, return_sequences=True))(x), [(5, 3)], None
    yield "stateful.two", lambda x: layers.GRU(3, stateful=True)(layers.LSTM(4, stateful=True, return_sequences=True)(x)), [(5, 3)], None
    yield "stateful.ConvLSTM1D", lambda x: layers.ConvLSTM1D(2, 2, stateful=True)(x), [(3, 5, 2)], None
    yield "stateful.shared", shared, [(5, 3), (4, 3)], None


def shared(a, b):
    """One layer called twice in a run: the second call begins where the first ended."""
    from keras import layers

    layer = layers.LSTM(4, stateful=True)
    return layers.Concatenate()([layer(a), layer(b)])
