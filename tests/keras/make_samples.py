"""Makes tests/keras/samples/ with Keras 3.15.1. Run by hand; the samples are committed."""
import os
import sys

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import json
import zipfile

import keras
import numpy as np
from keras import layers

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "samples")


@keras.saving.register_keras_serializable(package="demo")
class Scale(layers.Layer):
    def build(self, shape):
        self.factor = self.add_weight(shape=(shape[-1],), initializer="ones", name="factor")

    def call(self, x):
        return x * self.factor


def sequential():
    m = keras.Sequential(
        [keras.Input((4,)), layers.Dense(3, activation="relu"), layers.BatchNormalization(), layers.Dense(2), layers.Dropout(0.5)],
        name="small")
    m.compile("adam", "mse")
    m.fit(np.ones((4, 4)), np.ones((4, 2)), verbose=0)
    return m


def functional():
    inner = keras.Sequential([keras.Input((3,)), layers.Dense(3), layers.Dense(3)], name="inner")
    shared = layers.Dense(3, name="shared")
    a, b = keras.Input((3,), name="a"), keras.Input((3,), name="b")
    x = inner(shared(a)) + inner(shared(b))
    x = layers.TimeDistributed(layers.Dense(2), name="td")(layers.Reshape((1, 3))(x * 2.0))
    x = layers.Bidirectional(layers.LSTM(2), name="bi")(x)
    return keras.Model([a, b], layers.Dense(1, name="out")(x), name="graph")


def lookup():
    text = layers.StringLookup(name="words")
    text.adapt(np.array(["a", "b", "c d"]))
    return keras.Sequential([keras.Input((1,), dtype="string"), text, layers.Embedding(5, 2)], name="lookup")


def main():
    os.makedirs(OUT, exist_ok=True)
    keras.utils.set_random_seed(1)
    save = lambda m, name: m.save(os.path.join(OUT, name))
    save(sequential(), "sequential.keras")
    save(functional(), "functional.keras")
    save(lookup(), "lookup.keras")
    save(keras.Sequential([keras.Input((2,)), Scale(), layers.Dense(1)], name="custom"), "custom.keras")
    save(keras.Sequential([keras.Input((2,)), layers.Lambda(lambda x: x + 1, name="code")], name="lambda"), "lambda.keras")
    save(keras.Sequential([keras.Input((2,)), layers.Dense(2, dtype="bfloat16")], name="half"), "bfloat16.keras")
    keras.utils.clear_session()
    keras.Sequential([keras.Input((4,)), layers.Dense(3)], name="w").save_weights(os.path.join(OUT, "plain.weights.h5"))


if __name__ == "__main__":
    sys.exit(main())
