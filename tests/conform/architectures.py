"""Known architectures of sequences, small: each from Keras's layers, and with keras.ops in place of all that has no weights."""
import math

WIDTH, HEADS, BLOCKS, WORDS = 32, 4, 2, 11
STEPS = 6  # of the versions by keras.ops, whose reshapes need to know


def declared():
    """(name, (build, inputs)). An input is "ids" with zeros at the end, "segments" of as many steps, or numbers."""
    ids, fixed = ("ids", (None,)), ("ids", (STEPS,))
    yield "bert.layers", (bert, [ids, ("segments", (None,))])
    yield "bert.ops", (bert_ops, [fixed, ("segments", (STEPS,))])
    yield "gpt.layers", (gpt, [ids])
    yield "gpt.ops", (gpt_ops, [fixed])
    yield "vit.layers", (vit, [("image", (16, 12, 3))])
    yield "vit.ops", (vit_ops, [("image", (16, 12, 3))])
    yield "conformer.layers", (conformer, [("sound", (None, 10))])
    yield "conformer.ops", (conformer_ops, [("sound", (STEPS, 10))])
    yield "seq2seq.layers", (seq2seq, [ids, ids])
    yield "seq2seq.ops", (seq2seq_ops, [ids, ids])
    yield "translator.layers", (translator, [ids, ids])
    yield "translator.ops", (translator_ops, [fixed, fixed])


def words(ids, mask=True):
    """Words and their places."""
    from keras import layers, ops

    places = ops.cumsum(ops.ones_like(ids), axis=1) - 1
    return layers.Add()([layers.Embedding(WORDS, WIDTH, mask_zero=mask)(ids), layers.Embedding(16, WIDTH)(places)])


def feed_forward(x, activation="gelu"):
    from keras import layers

    return layers.Dropout(0.1)(layers.Dense(WIDTH)(layers.Dense(2 * WIDTH, activation=activation)(x)))


def attend(q, v, **call):
    from keras import layers

    return layers.MultiHeadAttention(HEADS, WIDTH // HEADS)(q, v, **call)


def normal(x):
    from keras import layers

    return layers.LayerNormalization(epsilon=1e-5)(x)


# ---- The same by operations ----


def heads(x, steps):
    from keras import layers, ops

    return ops.transpose(ops.reshape(layers.Dense(WIDTH)(x), (-1, steps, HEADS, WIDTH // HEADS)), (0, 2, 1, 3))


def attend_ops(x, y, mask=None, steps=STEPS, other=STEPS):
    """mask: [batch, 1, steps or 1, other], bool."""
    from keras import layers, ops

    q, k, v = heads(x, steps), heads(y, other), heads(y, other)
    scores = ops.matmul(q, ops.transpose(k, (0, 1, 3, 2))) / math.sqrt(WIDTH // HEADS)
    if mask is not None:
        scores = ops.where(mask, scores, -1e9)
    out = ops.transpose(ops.matmul(ops.softmax(scores, axis=-1), v), (0, 2, 1, 3))
    return layers.Dense(WIDTH)(ops.reshape(out, (-1, steps, WIDTH)))


def normal_ops(x):
    from keras import layers, ops

    mean, variance = ops.mean(x, axis=-1, keepdims=True), ops.var(x, axis=-1, keepdims=True)
    return layers.Dense(WIDTH)((x - mean) * ops.rsqrt(variance + 1e-5))


def words_ops(ids):
    from keras import layers, ops

    places = ops.cumsum(ops.ones_like(ids), axis=1) - 1
    return layers.Embedding(WORDS, WIDTH)(ids) + layers.Embedding(16, WIDTH)(places)


def feed_forward_ops(x, activation="gelu"):
    from keras import layers, ops

    return layers.Dense(WIDTH)(getattr(ops, activation)(layers.Dense(2 * WIDTH)(x)))


def causal(ids):
    """[batch, 1, steps, steps]: which step sees which."""
    from keras import ops

    places = ops.cumsum(ops.ones_like(ids), axis=1)
    return ops.expand_dims(places[:, :, None] >= places[:, None, :], 1)


# ---- Encoders and decoders ----


def bert(ids, segments):
    from keras import layers

    x = normal(words(ids) + layers.Embedding(WORDS, WIDTH)(segments))
    for _ in range(BLOCKS):
        x = normal(layers.Add()([x, attend(x, x)]))
        x = normal(layers.Add()([x, feed_forward(x)]))
    return [x, layers.Dense(2, activation="softmax")(layers.Dense(WIDTH, activation="tanh")(x[:, 0]))]


def bert_ops(ids, segments):
    from keras import layers, ops

    mask = ops.not_equal(ids, 0)[:, None, None, :]
    x = normal_ops(words_ops(ids) + layers.Embedding(WORDS, WIDTH)(segments))
    for _ in range(BLOCKS):
        x = normal_ops(x + attend_ops(x, x, mask))
        x = normal_ops(x + feed_forward_ops(x))
    return [x, ops.softmax(layers.Dense(2)(ops.tanh(layers.Dense(WIDTH)(ops.take(x, 0, axis=1)))))]


def gpt(ids):
    from keras import layers

    x = words(ids)
    for _ in range(BLOCKS):
        y = normal(x)
        x = layers.Add()([x, attend(y, y, use_causal_mask=True)])
        x = layers.Add()([x, feed_forward(normal(x))])
    return layers.Dense(WORDS, use_bias=False)(normal(x))


def gpt_ops(ids):
    from keras import layers, ops

    x, mask = words_ops(ids), causal(ids)
    for _ in range(BLOCKS):
        y = normal_ops(x)
        x = x + attend_ops(y, y, mask)
        x = x + feed_forward_ops(normal_ops(x))
    return ops.log_softmax(layers.Dense(WORDS, use_bias=False)(normal_ops(x)), axis=-1)


def vit(image):
    from keras import layers, ops

    x = layers.Reshape((12, WIDTH))(layers.Conv2D(WIDTH, 4, strides=4)(image))
    x = layers.Concatenate(axis=1)([layers.Dense(WIDTH)(ops.zeros_like(x[:, :1])), x])
    places = ops.cumsum(ops.ones_like(x[..., 0]), axis=1) - 1
    x = x + layers.Embedding(16, WIDTH)(ops.cast(places, "int32"))
    for _ in range(BLOCKS):
        y = normal(x)
        x = layers.Add()([x, attend(y, y)])
        x = layers.Add()([x, feed_forward(normal(x))])
    return layers.Dense(5, activation="softmax")(normal(x)[:, 0])


def vit_ops(image):
    from keras import layers, ops

    x = ops.transpose(ops.reshape(image, (-1, 4, 4, 3, 4, 3)), (0, 1, 3, 2, 4, 5))
    x = layers.Dense(WIDTH)(ops.reshape(x, (-1, 12, 48)))
    for _ in range(BLOCKS):
        y = normal_ops(x)
        q, k, v = (ops.reshape(layers.Dense(WIDTH)(y), (-1, 12, HEADS, WIDTH // HEADS)) for _ in range(3))
        x = x + layers.Dense(WIDTH)(ops.reshape(ops.dot_product_attention(q, k, v), (-1, 12, WIDTH)))
        x = x + feed_forward_ops(normal_ops(x))
    return ops.softmax(layers.Dense(5)(ops.mean(normal_ops(x), axis=1)), axis=-1)


def conformer(x):
    from keras import layers

    x = layers.Dense(WIDTH)(x)
    for _ in range(BLOCKS):
        x = layers.Add()([x, layers.Rescaling(0.5)(feed_forward(normal(x), "silu"))])
        y = normal(x)
        x = layers.Add()([x, attend(y, y)])
        y = normal(x)
        y = layers.Multiply()([layers.Conv1D(WIDTH, 1)(y), layers.Conv1D(WIDTH, 1, activation="sigmoid")(y)])
        y = layers.Activation("silu")(layers.BatchNormalization()(layers.DepthwiseConv1D(5, padding="same")(y)))
        x = layers.Add()([x, layers.Conv1D(WIDTH, 1)(y)])
        x = normal(layers.Add()([x, layers.Rescaling(0.5)(feed_forward(normal(x), "silu"))]))
    return [x, layers.Dense(4)(layers.GlobalAveragePooling1D()(x))]


def conformer_ops(x):
    from keras import layers, ops

    x = layers.Dense(WIDTH)(x)
    for _ in range(BLOCKS):
        x = x + 0.5 * feed_forward_ops(normal_ops(x), "silu")
        y = normal_ops(x)
        x = x + attend_ops(y, y)
        a, b = ops.split(layers.Dense(2 * WIDTH)(normal_ops(x)), 2, axis=-1)
        y = a * ops.sigmoid(b)
        padded = ops.pad(y, ((0, 0), (2, 2), (0, 0)))
        y = sum(padded[:, i:i + STEPS] * (0.3 - 0.1 * i) for i in range(5))
        x = x + layers.Dense(WIDTH)(ops.silu(y))
        x = normal_ops(x + 0.5 * feed_forward_ops(normal_ops(x), "silu"))
    return [x, layers.Dense(4)(ops.mean(x, axis=1))]


def seq2seq(source, target):
    from keras import layers

    x = layers.Embedding(WORDS, WIDTH, mask_zero=True)(source)
    y = layers.Embedding(WORDS, WIDTH, mask_zero=True)(target)
    _, h, c = layers.LSTM(WIDTH, return_state=True)(x)
    y, h, c = layers.LSTM(WIDTH, return_sequences=True, return_state=True)(y, initial_state=[h, c])
    return [layers.Dense(WORDS, activation="softmax")(y), h, c]


def seq2seq_ops(source, target):
    """With dot-product attention over what was read."""
    from keras import layers, ops

    x = layers.Embedding(WORDS, WIDTH)(source)
    y = layers.Embedding(WORDS, WIDTH)(target)
    x, h = layers.GRU(WIDTH, return_sequences=True, return_state=True)(x)
    y = layers.GRU(WIDTH, return_sequences=True)(y, initial_state=h)
    scores = ops.einsum("btc,bsc->bts", y, x) / math.sqrt(WIDTH)
    scores = ops.where(ops.equal(source, 0)[:, None, :], -1e9, scores)
    seen = ops.einsum("bts,bsc->btc", ops.softmax(scores, axis=-1), x)
    return ops.softmax(layers.Dense(WORDS)(ops.tanh(layers.Dense(WIDTH)(ops.concatenate([y, seen], axis=-1)))), axis=-1)


def translator(source, target):
    from keras import layers

    x, y = words(source), words(target)
    for _ in range(BLOCKS):
        x = normal(layers.Add()([x, attend(x, x)]))
        x = normal(layers.Add()([x, feed_forward(x, "relu")]))
    for _ in range(BLOCKS):
        y = normal(layers.Add()([y, attend(y, y, use_causal_mask=True)]))
        y = normal(layers.Add()([y, attend(y, x)]))
        y = normal(layers.Add()([y, feed_forward(y, "relu")]))
    return layers.Dense(WORDS, activation="softmax")(y)


def translator_ops(source, target):
    from keras import layers, ops

    x, y = words_ops(source), words_ops(target)
    mask, ahead = ops.not_equal(source, 0)[:, None, None, :], causal(target)
    for _ in range(BLOCKS):
        x = normal_ops(x + attend_ops(x, x, mask))
        x = normal_ops(x + feed_forward_ops(x, "relu"))
    for _ in range(BLOCKS):
        y = normal_ops(y + attend_ops(y, y, ops.logical_and(ahead, ops.not_equal(target, 0)[:, None, None, :])))
        y = normal_ops(y + attend_ops(y, x, mask))
        y = normal_ops(y + feed_forward_ops(y, "relu"))
    return ops.softmax(layers.Dense(WORDS)(y), axis=-1)
