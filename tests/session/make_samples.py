"""Writes samples/stateful.keras, a small model whose recurrent layers keep their states, attend and are masked, and prints what Keras
computes in two runs after each other, for state_test.cc. Needs Keras."""
import os
import zipfile

import keras
import numpy as np
from keras import layers

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "samples")
BATCH, STEPS = 2, 4


def main():
    keras.utils.set_random_seed(7)
    ids = keras.Input(batch_shape=(BATCH, STEPS), dtype="int32", name="ids")
    x = layers.Embedding(5, 3, mask_zero=True)(ids)
    x = layers.LSTM(3, stateful=True, return_sequences=True, name="memory")(x)
    x = layers.MultiHeadAttention(2, 2, name="look")(x, x)
    x = layers.Bidirectional(layers.GRU(2, stateful=True), name="both")(x)
    model = keras.Model(ids, x)
    path = os.path.join(HERE, "stateful.keras")
    model.save(path)
    with zipfile.ZipFile(path) as file:
        members = {name: file.read(name) for name in file.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(name, data)
    value = np.array([[1, 2, 3, 0], [4, 1, 0, 0]], "int32")
    runs = [np.asarray(model(value)) for _ in range(2)]
    print("first", ", ".join(f"{v:.8g}f" for v in runs[0].ravel()))
    print("second", ", ".join(f"{v:.8g}f" for v in runs[1].ravel()))
    print("h", ", ".join(f"{v:.8g}f" for v in np.asarray(model.get_layer("memory").states[0]).ravel()))


if __name__ == "__main__":
    main()
