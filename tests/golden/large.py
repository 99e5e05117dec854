"""Variables and archives beyond 4 GiB: a sparse .weights.h5, a sparse .keras (ZIP64) and a sparse legacy .h5 load within little memory, and the last
becomes a .keras of ZIP64 within that of its weights and 64 MiB."""
import json
import os
import resource
import shutil
import struct
import sys
import tempfile
import zipfile
import zlib

import report

ROWS, COLUMNS = 32769, 32768  # float32: 4 GiB and 128 KiB
LIMIT_KIB = 512 << 10  # of memory, for whatever size of variables
PIECE = 1 << 20


def main():
    options = report.arguments(__doc__.split("\n")[0]).parse_args()
    out = report.Report()
    cornu = options.cornu or report.find_program(options.build, "cornu")
    if not cornu:
        out.skip("large", "there is no program cornu in " + options.build)
        return out.finish()
    folder = options.keep or tempfile.mkdtemp(prefix="cornu-large-")
    try:
        weights = os.path.join(folder, "big.weights.h5")
        sparse_h5(weights, "layers/dense/vars")
        check(cornu, weights, "weights.h5", out)
        archive = os.path.join(folder, "big.keras")
        sparse_zip(archive, weights)
        check(cornu, archive, "keras", out)
        legacy = os.path.join(folder, "big.h5")
        sparse_h5(legacy, "model_weights/dense", config())
        check(cornu, legacy, "h5", out)
        os.remove(archive)
        convert(cornu, legacy, os.path.join(folder, "made.keras"), out)
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    return out.finish()


def config():
    layers = [{"module": "keras.layers", "class_name": "InputLayer", "config": {"batch_shape": [None, ROWS], "dtype": "float32", "name": "i"}, "registered_name": None},
              {"module": "keras.layers", "class_name": "Dense", "config": {"name": "dense", "units": COLUMNS, "use_bias": False}, "registered_name": None}]
    return {"module": "keras", "class_name": "Sequential", "config": {"name": "s", "layers": layers}, "registered_name": None}


def sparse_h5(path, group, model_config=None):
    import h5py
    import numpy as np

    with h5py.File(path, "w") as file:
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        properties.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        folder = file.require_group(group)
        space = h5py.h5s.create_simple((ROWS, COLUMNS))
        name = "kernel:0" if model_config else "0"
        h5py.h5d.create(folder.id, name.encode(), h5py.h5t.IEEE_F32LE, space, properties)
        folder[name][-1, -4:] = np.arange(1, 5, dtype="float32")
        if model_config:
            file.attrs["model_config"] = json.dumps(model_config)
            file.attrs["keras_version"] = "2.15.0"
            file["model_weights"].attrs["layer_names"] = [b"dense"]
            folder.attrs["weight_names"] = [b"kernel:0"]


def sparse_zip(path, weights):
    """Stored members; zeros are left as holes."""
    text = json.dumps(config()).encode()
    directory = b""
    with open(path, "wb") as target:
        for name, source, size in ((b"config.json", None, len(text)), (b"model.weights.h5", weights, os.path.getsize(weights))):
            crc = zlib.crc32(text) if source is None else crc_of(weights)
            extra = struct.pack("<HHQQ", 1, 16, size, size)
            offset = target.tell()
            target.write(struct.pack("<IHHHHHIIIHH", 0x04034B50, 45, 0, 0, 0, 0x21, crc, 0xFFFFFFFF, 0xFFFFFFFF, len(name), len(extra)) + name + extra)
            if source is None:
                target.write(text)
            else:
                copy_holes(source, target)
            directory += struct.pack("<IHHHHHHIIIHHHHHII", 0x02014B50, 0x031E, 45, 0, 0, 0, 0x21, crc, 0xFFFFFFFF, 0xFFFFFFFF, len(name), len(extra), 0, 0, 0,
                                     0o600 << 16, offset) + name + extra
        start = target.tell()
        target.write(directory)
        target.write(struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 45, 45, 0, 0, 2, 2, len(directory), start))
        target.write(struct.pack("<IIQI", 0x07064B50, 0, start + len(directory), 1))
        target.write(struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0))


def pieces(path):
    with open(path, "rb") as file:
        while piece := file.read(PIECE):
            yield piece


def crc_of(path):
    crc = 0
    for piece in pieces(path):
        crc = zlib.crc32(piece, crc)
    return crc


def copy_holes(path, target):
    for piece in pieces(path):
        if piece.count(0) != len(piece):
            target.write(piece)
        else:
            target.seek(len(piece), os.SEEK_CUR)


def check(cornu, path, kind, out):
    code, text, error = report.run(cornu, "info", "--json", path, timeout=600)
    title = "large." + kind
    used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    if code:
        out.fail(title, f"cornu info ended with {code}: {error}")
    elif str(ROWS * COLUMNS) not in text:
        out.fail(title, f"{ROWS * COLUMNS} parameters are not told: {text[:300]}")
    elif used > LIMIT_KIB:
        out.fail(title, f"it took {used} KiB of memory, {LIMIT_KIB} are allowed")
    else:
        out.ok(title)


def convert(cornu, source, target, out):
    import h5py

    if shutil.disk_usage(os.path.dirname(target)).free < 3 * ROWS * COLUMNS * 4:
        out.skip("large.convert", "there is no room for it on the disk")
        return
    code, _, error = report.run(cornu, "convert", source, target, timeout=1800)
    used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    if code:
        out.fail("large.convert", f"cornu convert ended with {code}: {error}")
        return
    with zipfile.ZipFile(target) as archive, archive.open("model.weights.h5") as member, h5py.File(member, "r") as h5:
        last = h5["layers/dense/vars/0"][-1, -4:].tolist()
    if last != [1, 2, 3, 4]:
        out.fail("large.convert", f"the last elements are {last}")
    elif used > (ROWS * COLUMNS * 4 >> 10) + (64 << 10):
        out.fail("large.convert", f"it took {used} KiB of memory")
    else:
        out.ok("large.convert")
        print(f"FIGURE large_convert_memory {used >> 10} MiB")


if __name__ == "__main__":
    sys.exit(main())
