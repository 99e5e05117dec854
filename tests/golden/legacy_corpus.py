"""The real files of older Keras: each does what corpus_expected.tsv says, and predicts as the Keras that reads it."""
import io
import json
import os
import shutil
import zipfile

import numpy as np

import report
import run_predict

HERE = os.path.dirname(os.path.abspath(__file__))


def rows():
    """{path: (status of info, what predict does, names)} of the files that run_predict leaves to us."""
    found = {}
    with open(os.path.join(HERE, "corpus_expected.tsv")) as file:
        for line in file:
            if not line.startswith("#"):
                path, info, what, names = line.rstrip("\n").split("\t")
                found[path] = (int(info), what, [n for n in names.split(",") if n])
    return found


def check(cornu, folder, corpora, only, out):
    table = rows()
    for path, row in table.items():
        name = "corpus." + path.split("/", 1)[1]
        full = os.path.join(corpora, path)
        if not report.chosen(name, only):
            continue
        if not os.path.exists(full):
            out.skip("legacy." + name, "not in the corpora")
            continue
        if row[1] in run_predict.LEGACY:
            check_file(cornu, folder, full, row, "legacy." + name, out)


def without_cudnn(text):
    """The same architecture with plain layers, which run without a GPU and read CuDNN's layout."""
    config = json.loads(text)
    for layer in config["config"]["layers"]:
        if layer["class_name"] in ("CuDNNLSTM", "CuDNNGRU"):
            layer["class_name"] = layer["class_name"][5:]
            layer["config"].update(activation="tanh", recurrent_activation="sigmoid")
    return json.dumps(config)


def oracle(full, folder):
    """A tf_keras model of the file."""
    import h5py
    import tf_keras as K

    K.backend.clear_session()
    if h5py.is_hdf5(full):
        copy = os.path.join(folder, "oracle.h5")
        shutil.copy(full, copy)
        with h5py.File(full) as file:
            text = file.attrs["model_config"]
        text = text if isinstance(text, str) else text.decode()
        if "CuDNN" in text:
            model = K.models.model_from_json(without_cudnn(text))
            model.load_weights(copy)
            return model
        if json.loads(text)["class_name"] == "Sequential" and isinstance(json.loads(text)["config"], list):
            pass  # tf_keras reads the list form, too
        return K.models.load_model(copy, compile=False)
    return from_archive(full)


def from_archive(full):
    """A model of a .keras of tf.keras: its weights by the numbers of their groups, whose '\\' are '/', and which may skip some."""
    import h5py
    import re
    import tf_keras as K

    with zipfile.ZipFile(full) as archive:
        model = K.saving.deserialize_keras_object(json.loads(archive.read("config.json")))
        groups = {}
        with h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as file:
            def visit(path, node):
                parts = re.split(r"[\\/]", path)
                if isinstance(node, h5py.Dataset) and parts[0] in ("layers", "_layer_checkpoint_dependencies"):
                    base, number = re.fullmatch(r"(.*?)(?:_(\d+))?", parts[1]).groups()
                    groups.setdefault(base, {}).setdefault(int(number or 0), {})[int(parts[-1])] = node[()]

            file.visititems(visit)
    for layer in model.layers:
        if layer.weights:
            base = re.sub(r"(.)([A-Z][a-z])", r"\1_\2", type(layer).__name__).lower()
            arrays = groups[base].pop(min(groups[base]))
            layer.set_weights([arrays[i] for i in sorted(arrays)])
    return model


def check_file(cornu, folder, full, row, name, out):
    import tensorflow as tf

    _, what, names = row
    code, text, error = report.run(cornu, "info", full)
    if code != row[0] or not text:
        out.fail(name + ".info", f"ended with {code}, not {row[0]}: {error}")
    if what == "legacy":
        try:
            keras3 = names == ["keras3"]
            if keras3:
                import keras
                model = keras.models.load_model(full, compile=False)
                inputs = run_predict.draw_inputs(model)
                expected = run_predict.expected_outputs(model, inputs)
            else:
                model = oracle(full, folder)
                inputs = draw(model)
                expected = [np.asarray(t) for t in tf.nest.flatten(model(inputs[0] if len(inputs) == 1 else inputs, training=False))]
        except Exception as failure:
            out.fail(name, f"the oracle: {type(failure).__name__}: {failure}")
            return
        problem, actual = run_predict.predict(cornu, folder, full, inputs)
        problem = problem or run_predict.difference(expected, actual, 1e-4)
        out.fail(name, problem) if problem else out.ok(name)
        return
    source = os.path.join(folder, "any.npz")
    np.savez(source, input_0=np.zeros((1, 4), "float32"))
    code, _, error = report.run(cornu, "predict", full, "--input", source, "--output", os.path.join(folder, "none-out.npz"))
    wanted = 3 if what == "code-legacy" else 4
    silent = [n for n in (names or (["architecture"] if what == "weights" else [])) if n not in error]
    out.ok(name) if code == wanted and not silent else out.fail(name, f"ended with {code}, not {wanted}, without naming {silent}: {error}")


def draw(model):
    rng = np.random.default_rng(4)
    found = []
    for t in model.inputs:
        shape = [3] + [6 if n is None else n for n in t.shape[1:]]
        found.append(rng.integers(0, 5, shape).astype(t.dtype.name) if "int" in t.dtype.name else rng.uniform(0, 2, shape).astype("float32"))
    return found
