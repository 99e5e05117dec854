"""Trains the demonstration's model and writes it beside this file: digits.keras, held_back.npz, pictures/,
and blank.txt, the probabilities of an empty picture.

    python tools/demo_model/train.py        # needs keras, tensorflow, scikit-learn, numpy and pillow

The data are scikit-learn's 1797 handwritten digits of 8 x 8 pixels with 17 grey levels (from the test part of UCI's
"Optical Recognition of Handwritten Digits"). A quarter of them is held back: the model never sees it, neither to learn
nor to choose. Pictures are stored as grey levels 0..255, so that the files hold what a camera would give; the
model's first layer scales them.
"""
import os
import pathlib
import shutil

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import keras
import numpy as np
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

HERE = pathlib.Path(__file__).resolve().parent
PICTURES = 40


def data():
    """Pictures as uint8 [n, 8, 8, 1], labels and the index of each in scikit-learn's set; a part to learn, one held back."""
    digits = load_digits()
    pictures = np.round(digits.images * (255 / 16)).astype("uint8")[..., None]
    index = np.arange(len(pictures))
    learn, held = train_test_split(index, test_size=0.25, random_state=1, stratify=digits.target)
    return (pictures[learn], digits.target[learn]), (pictures[held], digits.target[held], held)


def model():
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((8, 8, 1), name="picture"),
            layers.Rescaling(1 / 255),
            layers.Conv2D(16, 3, padding="same"),
            layers.BatchNormalization(),
            layers.Activation("relu"),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Dropout(0.25),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ],
        name="digits",
    )


def main():
    keras.utils.set_random_seed(1)
    (x, y), (held_x, held_y, held) = data()
    net = model()
    net.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    net.fit(x, y, batch_size=32, epochs=40, verbose=2)
    net.save(HERE / "digits.keras")

    probabilities = net.predict(held_x, batch_size=64, verbose=0)
    right = int((probabilities.argmax(-1) == held_y).sum())
    print(f"{right} of {len(held_y)} held-back pictures are right")
    np.savez_compressed(
        HERE / "held_back.npz",
        pictures=held_x,
        labels=held_y.astype("uint8"),
        index=held.astype("int32"),
        probabilities=probabilities,  # Keras's own, so that others can be compared
    )

    blank = net.predict(np.zeros((1, 8, 8, 1), "float32"), verbose=0)[0]
    (HERE / "blank.txt").write_text("".join(f"{p:.8f}\n" for p in blank))

    folder = HERE / "pictures"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for n in range(PICTURES):
        Image.fromarray(held_x[n, :, :, 0]).save(folder / f"{held[n]:04d}_{held_y[n]}.png", optimize=True)


if __name__ == "__main__":
    main()
