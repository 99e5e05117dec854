"""Models in the formats of older Keras: made by tf_keras and Keras 3, and files of Keras 1 and of other back ends spelled out here."""
import json
import os

import numpy as np


def cases():
    """(name, make) in turn; make(folder) gives [(file, more arguments of predict)], inputs, expected outputs."""
    for name, build in tf_models():
        yield "tf." + name, lambda folder, n=name, b=build: make_tf(folder, n, b)
    for name, build in keras3_models():
        yield "keras3." + name, lambda folder, n=name, b=build: make_keras3(folder, n, b)
    for name in ("dense", "conv", "lstm", "gru", "merge", "theano_order", "small_layers"):
        yield "keras1." + name, lambda folder, n=name: make_keras1(folder, n)
    yield "cudnn.lstm", lambda folder: make_cudnn(folder, "lstm")
    yield "cudnn.gru", lambda folder: make_cudnn(folder, "gru")
    yield "theano.kernels", make_theano
    yield "chunked", make_chunked
    yield "storage", make_storage


def draw(shapes, seed=4):
    rng = np.random.default_rng(seed)
    found = []
    for shape, dtype in shapes:
        shape = [3] + [6 if n is None else n for n in shape]
        if "int" in dtype:
            found.append(rng.integers(0, 5, shape).astype(dtype))
        else:
            found.append((rng.standard_normal(shape) * 2).astype("float32"))
    return found


def randomize(model, seed=3):
    rng = np.random.default_rng(seed)
    weights = []
    for v, value in zip(model.weights, model.get_weights()):
        low = 0.5 if "variance" in v.name else -1.0
        scale = max(1, value.shape[0]) ** 0.5 if value.ndim > 1 else 1
        weights.append((rng.uniform(low, 1.0, value.shape) / scale).astype(value.dtype))
    model.set_weights(weights)


# ---- tf.keras --------------------------------------------------------------------------------------------------


def tf_models():
    """(name, function that builds it)"""
    import tensorflow as tf
    import tf_keras as K

    L = K.layers

    def single(shape, *layers, dtype="float32"):
        def build():
            return K.Sequential([K.Input(shape, dtype=dtype)] + [make() for make in layers])
        return build

    vector, sequence, image = (7,), (6, 5), (9, 8, 4)
    yield "mlp", single(vector, lambda: L.Dense(6, "relu"), lambda: L.Dropout(0.5), lambda: L.Dense(3, "softmax"))
    yield "first_layer_shape", lambda: K.Sequential([L.Dense(4, input_shape=vector, activation="relu"), L.Dense(2)])
    yield "hard_sigmoid", single(vector, lambda: L.Dense(5, "hard_sigmoid"), lambda: L.Activation("hard_sigmoid"))
    yield "lstm", single(sequence, lambda: L.LSTM(4, return_sequences=True), lambda: L.LSTM(3, recurrent_activation="hard_sigmoid"))
    yield "gru", single(sequence, lambda: L.GRU(4, return_sequences=True), lambda: L.GRU(3, reset_after=False))
    yield "simple_rnn", single(sequence, lambda: L.SimpleRNN(4, go_backwards=True))
    yield "bidirectional", single(sequence, lambda: L.Bidirectional(L.LSTM(4, return_sequences=True)), lambda: L.Bidirectional(L.GRU(3), merge_mode="sum"))
    yield "stacked_cells", single(sequence, lambda: L.RNN([L.LSTMCell(4), L.GRUCell(3)]))
    yield "time_distributed", single((5, 9, 8, 4), lambda: L.TimeDistributed(L.Conv2D(3, 3)), lambda: L.TimeDistributed(L.Flatten()))
    yield "conv_lstm", single((4, 6, 6, 2), lambda: L.ConvLSTM2D(3, 2, recurrent_activation="sigmoid"))
    yield "conv", single(image, lambda: L.Conv2D(6, 3, padding="same"), lambda: L.BatchNormalization(), lambda: L.ReLU(6.0), lambda: L.MaxPooling2D(),
                         lambda: L.SeparableConv2D(5, 2), lambda: L.DepthwiseConv2D(2), lambda: L.Flatten())
    yield "conv_transpose", single(image, lambda: L.Conv2DTranspose(3, 3, strides=2), lambda: L.UpSampling2D(), lambda: L.ZeroPadding2D(1), lambda: L.Cropping2D(1))
    yield "conv1d", single(sequence, lambda: L.Conv1D(4, 2, padding="causal"), lambda: L.MaxPooling1D(2), lambda: L.GlobalAveragePooling1D())
    yield "activations", single(vector, lambda: L.LeakyReLU(0.2), lambda: L.PReLU(), lambda: L.ELU(0.7), lambda: L.ThresholdedReLU(0.3), lambda: L.Softmax())
    yield "norms", single(sequence, lambda: L.LayerNormalization(), lambda: L.BatchNormalization(axis=1), lambda: L.Normalization(), lambda: L.Rescaling(0.5))
    yield "embedding_mask", single((None,), lambda: L.Embedding(7, 5, mask_zero=True), lambda: L.LSTM(4, return_sequences=True), lambda: L.Bidirectional(L.LSTM(3)), dtype="int32")

    def nested():
        x = K.Input(vector)
        inner_in = K.Input((6,))
        inner = K.Model(inner_in, L.BatchNormalization()(L.Dense(6, "tanh")(inner_in)), name="inner")
        tail = K.Sequential([L.Dense(6, input_shape=(6,)), L.Dense(4)], name="tail")
        y = inner(L.Dense(6)(x))
        z = inner(L.Activation("relu")(y))
        return K.Model(x, [tail(z), inner(z), tail(y)])

    def frozen():
        model = nested()
        model.get_layer("inner").layers[2].trainable = False
        return model

    def merges():
        a, b = K.Input((4, 5)), K.Input((4, 5))
        return K.Model([a, b], [L.Add()([a, b]), L.Subtract()([a, b]), L.Concatenate(axis=1)([a, b]), L.Dot(axes=(2, 2), normalize=True)([a, b]), L.Average()([a, b])])

    def operators():
        x, y = K.Input(sequence), K.Input(sequence)
        z = x * 2.0 + y - 1.0 / (1.0 + tf.abs(x))
        z = tf.concat([tf.nn.relu(z), -y], axis=-1)
        z = tf.reduce_mean(z, axis=1, keepdims=True) + z[:, 1:3]
        return K.Model([x, y], [tf.transpose(z, [0, 2, 1]), z[:, 0], z[:, :, -1], tf.clip_by_value(tf.math.maximum(x, y), 0.0, 1.0), tf.expand_dims(x, 1) ** 2.0])

    def attention():
        x, y = K.Input(sequence), K.Input((4, 5))
        return K.Model([x, y], [L.MultiHeadAttention(2, 3)(x, y), L.MultiHeadAttention(2, 3, use_bias=False)(x, x, attention_mask=None), L.Attention()([x, y])])

    def states():
        x, h, c = K.Input(sequence), K.Input((4,)), K.Input((4,))
        out, a, b = L.LSTM(4, return_state=True)(x, initial_state=[h, c])
        return K.Model([x, h, c], [out, a, b])

    def slashes():
        x = K.Input(vector, name="in")
        return K.Model(x, L.Dense(3, name="head/out")(L.Dense(4, name="head/mid")(x)))

    def shared():
        a, b = K.Input(vector), K.Input(vector)
        dense = L.Dense(4)
        return K.Model({"b": a, "a": b}, {"y": dense(a), "x": [dense(b), dense(a)]})

    def wrapped_model():
        x = K.Input((5, 7))
        inner = K.Sequential([L.Dense(4, input_shape=(7,)), L.BatchNormalization()])
        return K.Model(x, L.TimeDistributed(inner)(x))

    yield "nested", nested
    yield "nested_frozen", frozen
    yield "merges", merges
    yield "operators", operators
    yield "attention", attention
    yield "states", states
    yield "slashes", slashes
    yield "shared", shared
    yield "wrapped_model", wrapped_model


def flat_inputs(model):
    """Shapes and dtypes of the inputs in flattened order."""
    import tensorflow as tf

    struct = model.input if not hasattr(model, "_nested_inputs") else model._nested_inputs
    return struct, [(t.shape[1:], t.dtype.name) for t in tf.nest.flatten(struct)]


def make_tf(folder, name, build):
    import tensorflow as tf
    import tf_keras as K

    K.backend.clear_session()
    model = build()
    randomize(model)
    struct, shapes = flat_inputs(model)
    inputs = draw(shapes)
    outputs = model(tf.nest.pack_sequence_as(struct, [tf.constant(x) for x in inputs]), training=False)
    expected = [t.numpy() for t in tf.nest.flatten(outputs)]
    stem = os.path.join(folder, name)
    paths = [stem + ".h5", stem + ".keras"]
    for path in paths:
        model.save(path, **({"save_format": "h5"} if path.endswith("h5") else {}))
    model.save_weights(stem + ".alone.h5")
    with open(stem + ".json", "w") as file:
        file.write(model.to_json())
    return [(p, []) for p in paths] + [(stem + ".alone.h5", ["--config", stem + ".json"])], inputs, expected


# ---- Keras 3 in the old format -----------------------------------------------------------------------------------


def keras3_models():
    import keras
    from keras import layers as L

    def plain():
        return keras.Sequential([keras.Input((9, 8, 4)), L.Conv2D(3, 3), L.BatchNormalization(), L.Flatten(), L.Dense(4, "hard_sigmoid")])

    def ops():
        x = keras.Input((6, 5))
        y = x * 2.0 + keras.ops.mean(x, axis=1, keepdims=True)
        return keras.Model(x, [L.Add()([x, y]), y[:, 0], keras.ops.concatenate([x, y], axis=1)])

    def nested():
        x = keras.Input((7,))
        inner_in = keras.Input((6,))
        inner = keras.Model(inner_in, L.BatchNormalization()(L.Dense(6, "tanh")(inner_in)), name="inner")
        y = inner(L.Dense(6)(x))
        return keras.Model(x, [inner(y), L.Dense(2)(y)])

    def recurrent():
        return keras.Sequential([keras.Input((6, 5)), L.Bidirectional(L.LSTM(4, return_sequences=True)), L.GRU(3), L.Reshape((3, 1)), L.TimeDistributed(L.Dense(2))])

    yield "plain", plain
    yield "ops", ops
    yield "nested", nested
    yield "recurrent", recurrent


def make_keras3(folder, name, build):
    import keras
    import run_predict

    keras.backend.clear_session()
    model = build()
    run_predict.draw_weights(model, np.random.default_rng(3))
    inputs = run_predict.draw_inputs(model)
    expected = run_predict.expected_outputs(model, inputs)
    stem = os.path.join(folder, "k3_" + name)
    model.save(stem + ".h5")
    model.save_weights(stem + ".weights.h5")
    model.save_weights(stem + "_shards.weights.h5", max_shard_size=2e-6)
    with open(stem + ".json", "w") as file:
        file.write(model.to_json())
    more = ["--config", stem + ".json"]
    return [(stem + ".h5", []), (stem + ".weights.h5", more), (stem + "_shards.weights.json", more)], inputs, expected


# ---- Keras 1 -----------------------------------------------------------------------------------------------------


def write_h5(path, config, weights, version, backend=None, **options):
    """weights: [(layer, [(name, array)])]. As the writers of that day: names as fixed-length bytes."""
    import h5py

    with h5py.File(path, "w") as file:
        if config is not None:
            file.attrs["model_config"] = json.dumps(config).encode()
            if version:
                file.attrs["keras_version"] = version.encode()
        root = file.create_group("model_weights") if config is not None else file
        if version and config is None:
            root.attrs["keras_version"] = version.encode()
        if backend:
            root.attrs["backend"] = backend.encode()
        root.attrs["layer_names"] = [n.encode() for n, _ in weights]
        for name, arrays in weights:
            group = root.create_group(name)
            group.attrs["weight_names"] = [n.encode() for n, _ in arrays]
            for n, array in arrays:
                group.create_dataset(n, data=array, **(options if array.ndim else {}))


def from_tf(folder, name, model, config, weights, **options):
    import tensorflow as tf

    struct, shapes = flat_inputs(model)
    inputs = draw(shapes)
    outputs = model(tf.nest.pack_sequence_as(struct, [tf.constant(x) for x in inputs]), training=False)
    path = os.path.join(folder, name + ".h5")
    write_h5(path, config, weights, **options)
    alone = os.path.join(folder, name + ".alone.h5")
    write_h5(alone, None, weights, **options)
    with open(os.path.join(folder, name + ".json"), "w") as file:
        json.dump(dict(config, keras_version=options.get("version") or "1.0.0"), file)
    files = [(path, []), (alone, ["--config", os.path.join(folder, name + ".json")])]
    return files, inputs, [t.numpy() for t in tf.nest.flatten(outputs)]


def keras1_layer(class_name, name, **config):
    return {"class_name": class_name, "config": dict(name=name, trainable=True, **config)}


def make_keras1(folder, name):
    import tf_keras as K

    L = K.layers
    K.backend.clear_session()
    build = {"dense": keras1_dense, "conv": keras1_conv, "lstm": keras1_lstm, "gru": keras1_gru, "merge": keras1_merge,
             "theano_order": keras1_theano_order, "small_layers": keras1_small}[name]
    model, config, weights = build(K, L)
    return from_tf(folder, "keras1_" + name, model, config, weights, version="1.2.2")


def sequential1(*layers):
    return {"class_name": "Sequential", "config": list(layers)}


DENSE1 = {"init": "glorot_uniform", "W_regularizer": {"name": "WeightRegularizer", "l1": 0.0, "l2": 0.01}, "b_regularizer": None,
          "activity_regularizer": None, "W_constraint": {"name": "MaxNorm", "m": 2, "axis": 0}, "b_constraint": None}


def keras1_dense(K, L):
    model = K.Sequential([L.Dense(5, "hard_sigmoid", input_shape=(7,)), L.Dense(3, use_bias=False)])
    randomize(model)
    (w, b), (v,) = (layer.get_weights() for layer in model.layers)
    config = sequential1(
        keras1_layer("Dense", "dense_1", batch_input_shape=[None, 7], input_dtype="float32", output_dim=5, activation="hard_sigmoid", bias=True, input_dim=7, **DENSE1),
        keras1_layer("Dropout", "dropout_1", p=0.5),
        keras1_layer("Dense", "dense_2", output_dim=3, activation="linear", bias=False, input_dim=None, **DENSE1))
    return model, config, [("dense_1", [("dense_1_W", w), ("dense_1_b", b)]), ("dropout_1", []), ("dense_2", [("dense_2_W", v)])]


def keras1_conv(K, L):
    model = K.Sequential([L.Conv2D(4, (3, 2), input_shape=(9, 8, 2), activation="relu"), L.BatchNormalization(), L.MaxPooling2D(), L.Conv2DTranspose(3, 2, strides=2),
                          L.Reshape((36, 3)), L.Conv1D(5, 3)])
    randomize(model)
    c, n, _, t, _, d = model.layers
    conv = dict(init="glorot_uniform", W_regularizer=None, b_regularizer=None, activity_regularizer=None, W_constraint=None, b_constraint=None, bias=True)
    config = sequential1(
        keras1_layer("Convolution2D", "c", batch_input_shape=[None, 9, 8, 2], input_dtype="float32", nb_filter=4, nb_row=3, nb_col=2, activation="relu",
                     border_mode="valid", subsample=[1, 1], dim_ordering="tf", **conv),
        keras1_layer("BatchNormalization", "n", mode=0, axis=3, epsilon=1e-3, momentum=0.99, beta_init="zero", gamma_init="one", gamma_regularizer=None, beta_regularizer=None),
        keras1_layer("MaxPooling2D", "p", pool_size=[2, 2], strides=[2, 2], border_mode="valid", dim_ordering="tf"),
        keras1_layer("Deconvolution2D", "t", nb_filter=3, nb_row=2, nb_col=2, output_shape=[None, 6, 6, 3], activation="linear", border_mode="valid", subsample=[2, 2],
                     dim_ordering="tf", **conv),
        keras1_layer("Reshape", "r", target_shape=[36, 3]),
        keras1_layer("Convolution1D", "d", nb_filter=5, filter_length=3, border_mode="valid", subsample_length=1, activation="linear", input_dim=3, input_length=None, **conv))
    tk, tb = t.get_weights()
    dk, db = d.get_weights()
    weights = [("c", list(zip(("c_W", "c_b"), c.get_weights()))),
               ("n", list(zip(("n_gamma", "n_beta", "n_running_mean", "n_running_std"), n.get_weights()))), ("p", []),
               ("t", [("t_W", tk.transpose(0, 1, 3, 2)), ("t_b", tb)]), ("r", []), ("d", [("d_W", dk[:, None]), ("d_b", db)])]
    return model, config, weights


def gates1(name, arrays, gates, order):
    """Keras 1's arrays of each gate, from Keras 2's: order lists our gates as it has them."""
    parts = [np.split(a, len(gates), axis=-1) for a in arrays]
    return [(f"{name}_{letter}_{gate}", parts[k][order[g]]) for g, gate in enumerate(gates) for k, letter in enumerate("WUb")]


RNN1 = dict(init="glorot_uniform", inner_init="orthogonal", activation="tanh", W_regularizer=None, U_regularizer=None, b_regularizer=None,
            dropout_W=0.0, dropout_U=0.0, go_backwards=False, stateful=False, unroll=False, consume_less="cpu", input_dim=5, input_length=6)


def keras1_lstm(K, L):
    model = K.Sequential([L.LSTM(4, return_sequences=True, recurrent_activation="hard_sigmoid", input_shape=(6, 5)), L.Bidirectional(L.LSTM(3, recurrent_activation="hard_sigmoid"))])
    randomize(model)
    lstm = dict(RNN1, forget_bias_init="one", inner_activation="hard_sigmoid")
    a, b = (layer.get_weights() for layer in model.layers)
    order = (0, 2, 1, 3)
    config = sequential1(
        keras1_layer("LSTM", "l", batch_input_shape=[None, 6, 5], input_dtype="float32", output_dim=4, return_sequences=True, **lstm),
        keras1_layer("Bidirectional", "b", merge_mode="concat", layer=keras1_layer("LSTM", "m", output_dim=3, return_sequences=False, **lstm)))
    return model, config, [("l", gates1("l", a, "icfo", order)), ("b", gates1("f", b[:3], "icfo", order) + gates1("g", b[3:], "icfo", order))]


def keras1_gru(K, L):
    model = K.Sequential([L.GRU(4, reset_after=False, recurrent_activation="hard_sigmoid", input_shape=(6, 5)), L.Dense(2)])
    randomize(model)
    a, (w, b) = (layer.get_weights() for layer in model.layers)
    config = sequential1(
        keras1_layer("GRU", "g", batch_input_shape=[None, 6, 5], input_dtype="float32", output_dim=4, return_sequences=False, inner_activation="hard_sigmoid", **RNN1),
        keras1_layer("Dense", "d", output_dim=2, activation="linear", bias=True, input_dim=None, **DENSE1))
    return model, config, [("g", gates1("g", a, "zrh", (0, 1, 2))), ("d", [("d_W", w), ("d_b", b)])]


def keras1_merge(K, L):
    a, b = K.Input((4, 5)), K.Input((4, 5))
    dense = L.Dense(5)
    x = L.Add()([dense(a), b])
    model = K.Model([a, b], [L.Concatenate(axis=1)([x, dense(b)]), L.Multiply()([x, a]), L.Dot((2, 2))([a, b])])
    randomize(model)

    def entry(class_name, name, nodes, **config):
        return dict(keras1_layer(class_name, name, **config), name=name, inbound_nodes=nodes)

    merge = dict(layers=[], arguments={}, dot_axes=-1, output_shape=None, output_mask=None, mode_type="raw", output_shape_type="raw", output_mask_type="raw",
                 node_indices=[0, 0], tensor_indices=[0, 0])
    config = {"class_name": "Model", "config": {"name": "model_1", "layers": [
        entry("InputLayer", "a", [], batch_input_shape=[None, 4, 5], input_dtype="float32", sparse=False),
        entry("InputLayer", "b", [], batch_input_shape=[None, 4, 5], input_dtype="float32", sparse=False),
        entry("TimeDistributed", "t", [[["a", 0, 0]], [["b", 0, 0]]],
              layer=keras1_layer("Dense", "d", output_dim=5, activation="linear", bias=True, input_dim=5, **DENSE1)),
        entry("Merge", "sum", [[["t", 0, 0], ["b", 0, 0]]], **dict(merge, mode="sum", concat_axis=-1)),
        entry("Merge", "cat", [[["sum", 0, 0], ["t", 1, 0]]], **dict(merge, mode="concat", concat_axis=1)),
        entry("Merge", "mul", [[["sum", 0, 0], ["a", 0, 0]]], **dict(merge, mode="mul", concat_axis=-1)),
        entry("Merge", "dot", [[["a", 0, 0], ["b", 0, 0]]], **dict(merge, mode="dot", concat_axis=-1, dot_axes=[2, 2]))],
        "input_layers": [["a", 0, 0], ["b", 0, 0]], "output_layers": [["cat", 0, 0], ["mul", 0, 0], ["dot", 0, 0]]}}
    w, c = dense.get_weights()
    return model, config, [("a", []), ("b", []), ("t", [("d_W", w), ("d_b", c)]), ("sum", []), ("cat", []), ("mul", []), ("dot", [])]


def keras1_theano_order(K, L):
    """Kernels as (filters, channels, rows, columns), for images with the channels first; the oracle transposes the images."""
    model = K.Sequential([L.Input((2, 9, 8)), L.Permute((2, 3, 1)), L.Conv2D(4, (3, 2), activation="relu"), L.Permute((3, 1, 2)), L.Flatten(), L.Dense(3)])
    randomize(model)
    conv = dict(init="glorot_uniform", W_regularizer=None, b_regularizer=None, activity_regularizer=None, W_constraint=None, b_constraint=None, bias=True)
    config = sequential1(
        keras1_layer("Convolution2D", "c", batch_input_shape=[None, 2, 9, 8], input_dtype="float32", nb_filter=4, nb_row=3, nb_col=2, activation="relu",
                     border_mode="valid", subsample=[1, 1], dim_ordering="th", **conv),
        keras1_layer("Flatten", "f"),
        keras1_layer("Dense", "d", output_dim=3, activation="linear", bias=True, input_dim=None, **DENSE1))
    k, b = model.layers[1].get_weights()
    return model, config, [("c", [("c_W", k.transpose(3, 2, 0, 1)), ("c_b", b)]), ("f", []), ("d", list(zip(("d_W", "d_b"), model.layers[4].get_weights())))]


def keras1_small(K, L):
    model = K.Sequential([L.Input((6,), dtype="int32"), L.Embedding(7, 5), L.SimpleRNN(4, return_sequences=True), L.UpSampling1D(2), L.MaxPooling1D(2), L.PReLU(), L.ThresholdedReLU(0.2),
                          L.LeakyReLU(0.1), L.Flatten()])
    randomize(model)
    e, r, p = model.layers[0], model.layers[1], model.layers[4]
    config = sequential1(
        keras1_layer("Embedding", "e", batch_input_shape=[None, 6], input_dtype="int32", input_dim=7, output_dim=5, init="uniform", input_length=6, mask_zero=False,
                     activity_regularizer=None, W_regularizer=None, W_constraint=None, dropout=0.0),
        keras1_layer("SimpleRNN", "r", output_dim=4, return_sequences=True, **RNN1),
        keras1_layer("GaussianNoise", "g", sigma=0.1),
        keras1_layer("UpSampling1D", "u", length=2),
        keras1_layer("MaxPooling1D", "m", pool_length=2, stride=2, border_mode="valid"),
        keras1_layer("PReLU", "p", init="zero"),
        keras1_layer("ThresholdedReLU", "t", theta=0.2),
        keras1_layer("LeakyReLU", "k", alpha=0.1),
        keras1_layer("Flatten", "f"))
    names = [("e", [("e_W", e.get_weights()[0])]), ("r", list(zip(("r_W", "r_U", "r_b"), r.get_weights())))]
    return model, config, names + [(n, []) for n in "gum"] + [("p", [("p_alphas", p.get_weights()[0])])] + [(n, []) for n in "tkf"]


# ---- CuDNN, Theano, storage --------------------------------------------------------------------------------------


def make_cudnn(folder, kind):
    """tf_keras reads the layout of CuDNN into its plain layers."""
    import tf_keras as K

    K.backend.clear_session()
    layer = K.layers.LSTM(4, return_sequences=True) if kind == "lstm" else K.layers.GRU(4, return_sequences=True)
    model = K.Sequential([K.Input((6, 5), name="x"), layer])
    gates = 4 if kind == "lstm" else 3
    rng = np.random.default_rng(3)
    raw = [rng.uniform(-1, 1, shape).astype("float32") for shape in ((5, gates * 4), (4, gates * 4), (2 * gates * 4,))]
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": [{"class_name": "CuDNNLSTM" if kind == "lstm" else "CuDNNGRU", "config": {
        "name": "r", "trainable": True, "batch_input_shape": [None, 6, 5], "dtype": "float32", "return_sequences": True, "return_state": False,
        "go_backwards": False, "stateful": False, "units": 4, "kernel_initializer": {"class_name": "VarianceScaling", "config": {
            "scale": 1.0, "mode": "fan_avg", "distribution": "uniform", "seed": None}}, "recurrent_initializer": {"class_name": "Orthogonal", "config": {"gain": 1.0, "seed": None}},
        "bias_initializer": {"class_name": "Zeros", "config": {}}, "kernel_regularizer": None, "recurrent_regularizer": None, "bias_regularizer": None,
        "activity_regularizer": None, "kernel_constraint": None, "recurrent_constraint": None, "bias_constraint": None}}]}}
    weights = [("r", [(f"r/{n}:0", a) for n, a in zip(("kernel", "recurrent_kernel", "bias"), raw)])]
    given = os.path.join(folder, "cudnn_given.h5")
    write_h5(given, None, [(layer.name, weights[0][1])], version="2.2.0", backend="tensorflow")
    model.load_weights(given)
    return from_tf(folder, "cudnn_" + kind, model, config, weights, version="2.2.0", backend="tensorflow")


def make_theano(folder):
    """Kernels of Keras 2 on Theano are those of a convolution, not a correlation."""
    import tf_keras as K

    K.backend.clear_session()
    model = K.Sequential([K.layers.Conv2D(3, (3, 2), input_shape=(6, 5, 2)), K.layers.DepthwiseConv2D(2)])
    randomize(model)
    weights = []
    for layer in model.layers:
        arrays = layer.get_weights()
        if layer.name.startswith("conv"):
            arrays[0] = arrays[0][::-1, ::-1]
        weights.append((layer.name, [(v.name, a) for v, a in zip(layer.weights, arrays)]))
    config = json.loads(model.to_json())
    return from_tf(folder, "theano", model, {"class_name": config["class_name"], "config": config["config"]}, weights, version="2.0.8", backend="theano")


def make_chunked(folder):
    """So many names that the lists do not fit into an attribute each."""
    import tf_keras as K

    K.backend.clear_session()
    model = K.Sequential([K.Input((3,))] + [K.layers.Dense(3, name=f"{i:03}" + "x" * 200) for i in range(330)])
    rng = np.random.default_rng(3)
    model.set_weights([(np.eye(3) if w.ndim == 2 else np.zeros(3)).astype("float32") + 1e-3 * rng.standard_normal(w.shape).astype("float32") for w in model.get_weights()])
    struct, shapes = flat_inputs(model)
    inputs = draw(shapes)
    path = os.path.join(folder, "chunked.h5")
    model.save(path)
    return [(path, [])], inputs, [model(inputs[0]).numpy()]


def make_storage(folder):
    """Chunked, deflated and shuffled data sets, and other number types."""
    import tf_keras as K

    K.backend.clear_session()
    model = K.Sequential([K.layers.Dense(40, "tanh", input_shape=(30,)), K.layers.Dense(20)])
    randomize(model)
    model.set_weights([np.round(w * 64) / 64 for w in model.get_weights()])  # exact in float16
    config = json.loads(model.to_json())
    types = [">f4", "f8", "f2", ">f8"]
    arrays = [a.astype(t) for a, t in zip(model.get_weights(), types)]
    names = [v.name for v in model.weights]
    weights = [(layer.name, [(names[2 * i + k], arrays[2 * i + k]) for k in range(2)]) for i, layer in enumerate(model.layers)]
    return from_tf(folder, "storage", model, config, weights, version="2.4.0", backend="tensorflow", chunks=True, compression="gzip", shuffle=True)
