"""Small files for the tests of the command line, made and read with the standard library alone: .npy, .npz, .png, .keras."""
import ast
import json
import struct
import zipfile
import zlib

FORMATS = {"<f4": "f", "<f8": "d", "<i4": "i", "<i8": "q", "|u1": "B", "<c8": "ff", "|b1": "?"}


def npy(dtype, shape, values):
    """The bytes of a .npy. For other dtypes than those of FORMATS, values is the data."""
    header = repr({"descr": dtype, "fortran_order": False, "shape": tuple(shape)})
    header += " " * (-(len(header) + 11) % 64) + "\n"
    data = values if isinstance(values, bytes) else struct.pack("<" + FORMATS[dtype] * len(values), *values)
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data


def read_npy(data):
    """Returns dtype, shape, flat values."""
    size = struct.unpack("<H", data[8:10])[0]
    header = ast.literal_eval(data[10:10 + size].decode())
    values = [v for v, in struct.iter_unpack("<" + FORMATS[header["descr"]], data[10 + size:])]
    return header["descr"], header["shape"], values


def write_npz(path, **arrays):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in arrays.items():
            archive.writestr(name + ".npy", data)


def read_npz(path):
    with zipfile.ZipFile(path) as archive:
        return {name.removesuffix(".npy"): read_npy(archive.read(name)) for name in archive.namelist()}


def png(width, height, color, rows, depth=8, extra=b""):
    """The bytes of a PNG. color: 0 gray, 2 RGB, 3 palette, 4 gray and alpha, 6 RGBA. rows: bytes of each row."""
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    head = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    chunks = chunk(b"IHDR", head) + (chunk(b"PLTE", extra) if extra else b"") + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def edit_keras(source, target, config):
    """Copies a .keras with another config.json; config is a function of the parsed one."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, json.dumps(config(json.loads(data))) if name == "config.json" else data)


def layer(class_name, name, **config):
    return {"module": "keras.layers", "class_name": class_name, "config": {"name": name, "dtype": "float32", **config},
            "registered_name": None}


def sequential(*layers):
    return {"module": "keras", "class_name": "Sequential", "registered_name": None,
            "config": {"name": "made", "dtype": "float32", "layers": list(layers)}}


def passing(*shape):
    """The config of a model that gives back what it is given."""
    given = layer("InputLayer", "given", batch_shape=[None, *shape])
    return sequential(given, layer("Activation", "same", activation="linear"))


def crossing():
    """Of a model with two inputs, alpha and beta, and two outputs: the positive parts of beta and of alpha."""
    layers = []
    for name, source, config in (("alpha", None, {"batch_shape": [None, 2]}), ("beta", None, {"batch_shape": [None, 2]}),
                                 ("same", "beta", {"activation": "relu"}), ("positive", "alpha", {"activation": "relu"})):
        nodes = [{"args": [{"class_name": "__keras_tensor__", "config": {
            "shape": [None, 2], "dtype": "float32", "keras_history": [source, 0, 0]}}], "kwargs": {}}] if source else []
        entry = layer("Activation" if source else "InputLayer", name, **config)
        layers.append({**entry, "name": name, "inbound_nodes": nodes})
    config = {"name": "two", "trainable": True, "layers": layers, "input_layers": [["alpha", 0, 0], ["beta", 0, 0]],
              "output_layers": [["same", 0, 0], ["positive", 0, 0]]}
    return {"module": "keras.src.models.functional", "class_name": "Functional", "config": config,
            "registered_name": "Functional"}
