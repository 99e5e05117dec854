"""Saves small trained models in every format that the running Keras writes, tf.keras 2.12 to Keras 3.15 alike:
`version_models.py DIR`. make_versions.py runs it in an environment of each version. For each model there are its files, and
NAME.npz with inputs input_0.., outputs output_0.. and, where the optimizer lists them, its variables optimizer_0..;
made.json says what made them."""
import importlib.metadata
import json
import os
import platform
import sys
import traceback

import numpy as np

VERSION = importlib.metadata.version("keras")
KERAS_3 = int(VERSION.split(".")[0]) >= 3
if KERAS_3:
    import keras
else:
    from tensorflow import keras

L = keras.layers
O = keras.optimizers


def sequential():
    stack = [L.Conv2D(4, 3, padding="same", activation="relu"), L.BatchNormalization(), L.MaxPooling2D(),
             L.DepthwiseConv2D(3, name="depth"), L.Dropout(0.2), L.Flatten(), L.Dense(3, activation="softmax")]
    model = keras.Sequential([keras.Input((8, 8, 3)), *stack])
    model.compile(optimizer=O.Adam(0.01), loss="categorical_crossentropy", metrics=["accuracy"])
    return model


def functional():
    a, b = keras.Input((5,), name="left"), keras.Input((5,), name="right")
    shared = L.Dense(4, activation="tanh", name="shared")
    inner_input = keras.Input((8,))
    inner = keras.Model(inner_input, L.Dense(3)(L.BatchNormalization()(inner_input)), name="inner")
    x = L.Concatenate()([shared(a), shared(b)])
    y = inner(x)
    z = L.Add()([y, L.Dense(3, use_bias=False)(a)])
    model = keras.Model([a, b], [L.Dense(2, name="first")(z), L.Activation("sigmoid", name="second")(inner(L.Multiply()([x, x])))])
    rate = O.schedules.ExponentialDecay(0.05, decay_steps=10, decay_rate=0.5)
    model.compile(optimizer=O.SGD(rate, momentum=0.9, nesterov=True), loss=["mse", "mae"], loss_weights=[1.0, 0.5])
    return model


def recurrent():
    x = keras.Input((6,), dtype="int32")
    y = L.Embedding(7, 4, mask_zero=True)(x)
    y = L.Bidirectional(L.LSTM(3, return_sequences=True))(y)
    y = L.GRU(4, return_sequences=True, name="gates")(y)
    y = L.Bidirectional(L.GRU(3, recurrent_activation="hard_sigmoid", reset_after=False), merge_mode="sum")(y)
    model = keras.Model(x, L.Dense(2)(y))
    model.compile(optimizer=O.RMSprop(0.01, momentum=0.5, centered=True), loss="mse")
    return model


def attention():
    x, y = keras.Input((5, 4)), keras.Input((3, 4))
    z = L.MultiHeadAttention(2, 3, name="self")(x, x)
    z = L.LayerNormalization(epsilon=1e-5)(L.Add()([x, z]))
    size = 3 if keras.backend.backend() == "jax" else 2  # JAX's own attention takes one size
    z = L.MultiHeadAttention(2, 3, value_dim=size, name="cross")(query=z, value=y, key=y)
    model = keras.Model([x, y], L.Dense(2, activation="gelu")(L.GlobalAveragePooling1D()(z)))
    model.compile(optimizer=O.AdamW(0.01, weight_decay=0.02), loss="huber", metrics=["mae"])
    return model


def preprocessing():
    x = keras.Input((4,))
    normalization = L.Normalization(name="adapted")
    normalization.adapt(np.random.default_rng(1).normal(3, 2, (20, 4)).astype("float32"))
    fixed = L.Normalization(mean=[1.0, 2.0, 3.0, 4.0], variance=[1.0, 4.0, 2.0, 3.0], name="fixed")
    y = L.Concatenate()([normalization(x), fixed(x), L.Rescaling(0.5, offset=-1.0)(x)])
    model = keras.Model(x, L.Dense(3)(y))
    model.compile(optimizer=O.Nadam(0.01), loss="mse")
    return model


def pieces():
    x = keras.Input((6, 4))
    y = L.SeparableConv1D(5, 3, padding="same")(x)
    y = L.LeakyReLU(0.1)(L.UnitNormalization()(y))
    y = L.PReLU(shared_axes=[1])(L.TimeDistributed(L.Dense(4))(y))
    y = L.RNN([L.LSTMCell(3), L.GRUCell(4)], return_sequences=True)(y)
    y = L.GroupNormalization(2)(y)
    y = L.Softmax(axis=-1)(L.ELU(0.7)(L.Conv1DTranspose(4, 2, strides=2)(y)))
    model = keras.Model(x, L.Flatten()(y))
    model.compile(optimizer=O.Adam(0.01, amsgrad=True, use_ema=True, ema_momentum=0.9, clipnorm=1.0), loss="mse")
    return model


def operators():
    """Keras 3 makes operations of these, tf.keras TFOpLambda and SlicingOpLambda."""
    x, y = keras.Input((4,)), keras.Input((4,))
    z = L.Dense(4)(x) * 2.0 + y
    z = L.Concatenate()([z[:, 1:3], 1.0 - z, z / 4.0])
    model = keras.Model([x, y], L.Dense(2)(z))
    model.compile(optimizer=O.Adagrad(0.05), loss="mse")
    return model


def old_optimizer():
    """An optimizer of TensorFlow 2.10 and before, which tf.keras still had."""
    model = keras.Sequential([keras.Input((4,)), L.Dense(3, activation="relu"), L.Dense(1)])
    model.compile(optimizer=O.legacy.Adam(0.01, decay=0.1), loss="mse")
    return model


def draw(tensor, rng):
    shape = [4] + [int(n) for n in tensor.shape[1:]]
    if "int" in str(tensor.dtype):
        value = rng.integers(1, 7, shape)
        value[:, -2:] = 0  # what a mask leaves out
        return value.astype("int32")
    return rng.standard_normal(shape).astype("float32")


def numbers(value):
    return value.numpy() if hasattr(value, "numpy") else np.asarray(value)


def optimizer_variables(optimizer):
    variables = optimizer.variables
    variables = variables() if callable(variables) else variables
    return [numbers(v) for v in variables]


def one(value):
    return value[0] if len(value) == 1 else value


def save(folder, name, build):
    """Trains the model for three steps and saves it. Returns what made.json says of it."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(7)
    rng = np.random.default_rng(5)
    model = build()
    inputs = [draw(t, rng) for t in model.inputs]
    targets = [np.abs(draw(t, rng)) for t in model.outputs]
    if name == "sequential":
        targets = [t / t.sum(-1, keepdims=True) for t in targets]
    model.run_eagerly = True  # tracing costs more than it saves
    for _ in range(3):
        model.train_on_batch(one(inputs), one(targets))
    outputs = model(one(inputs), training=False)
    outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    arrays = {f"input_{i}": x for i, x in enumerate(inputs)}
    arrays.update({f"output_{i}": numbers(x) for i, x in enumerate(outputs)})
    arrays.update({f"optimizer_{i}": x for i, x in enumerate(optimizer_variables(model.optimizer))})
    np.savez(os.path.join(folder, name + ".npz"), **arrays)

    files, refused = [], {}
    for ending, write in writers(model):
        path = os.path.join(folder, name + ending)
        try:
            write(path)
            files.append(name + ending)
        except Exception as error:  # some versions cannot hold some models: made.json keeps their word for it
            refused[name + ending] = f"{type(error).__name__}: {error}"[:300]
            if os.path.exists(path):
                os.remove(path)
    with open(os.path.join(folder, name + ".json"), "w") as file:
        file.write(model.to_json())
    return {"optimizer": type(model.optimizer).__name__, "files": files, "refused": refused}


def writers(model):
    """(ending, function of a path). The old tf.keras writes the new formats only where it is asked to, and 2.12 has HDF5 under
    the name of the new one."""
    if KERAS_3:
        yield ".keras", model.save
    elif VERSION.startswith("2.12."):
        yield ".keras", lambda path: model.save(path, save_format="keras_v3")
        yield ".hdf5.keras", lambda path: model.save(path, save_format="keras")
    else:
        yield ".keras", lambda path: model.save(path, save_format="keras")
    yield ".h5", model.save if KERAS_3 else lambda path: model.save(path, save_format="h5")
    yield ".weights.h5", model.save_weights
    if not KERAS_3:
        yield ".old.h5", lambda path: model.save_weights(path, save_format="h5")


def main(folder):
    import h5py

    builds = [sequential, functional, recurrent, attention, preprocessing, pieces, operators]
    builds += [] if KERAS_3 else [old_optimizer]
    models, failed = {}, {}
    for build in builds:
        try:
            models[build.__name__] = save(folder, build.__name__, build)
        except Exception as error:  # made.json keeps it, and the test asks that there be none
            traceback.print_exc()
            failed[build.__name__] = f"{type(error).__name__}: {error}"[:300]
    backend = keras.backend.backend()
    module = __import__(backend)
    made = {"python": platform.python_version(), "keras": VERSION, "backend": f"{backend} {module.__version__}",
            "numpy": np.__version__, "h5py": h5py.__version__, "models": models, "failed": failed}
    with open(os.path.join(folder, "made.json"), "w") as file:
        json.dump(made, file, indent=1)


if __name__ == "__main__":
    main(sys.argv[1])
