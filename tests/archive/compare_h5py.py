"""Compares the reader with h5py: every HDF5 file below a folder, and the weights inside every .keras there.

    python tests/archive/compare_h5py.py build/tests/h5_dump CORPORA_DIR
"""
import os
import subprocess
import sys
import tempfile
import zipfile
import zlib

import h5py
import numpy as np

NAMES = {"f2": "float16", "f4": "float32", "f8": "float64", "i1": "int8", "i2": "int16", "i4": "int32", "i8": "int64",
         "u1": "uint8", "u2": "uint16", "u4": "uint32", "u8": "uint64", "b1": "bool", "c8": "complex64",
         "c16": "complex128"}


def crc_of_strings(values):
    crc = 0
    for v in values:
        v = v.encode("utf-8", "surrogateescape") if isinstance(v, str) else bytes(v)
        crc = zlib.crc32(len(v).to_bytes(4, "little") + v, crc)
    return crc


def is_bfloat_class(t):
    return isinstance(t, h5py.h5t.TypeFloatID) and t.get_size() == 2 and t.get_fields()[1:] == (7, 8, 0, 7)


def describe_array(identifier, read, bfloat):
    """dtype, shape and crc of a dataset or attribute, given its low-level id and a function that reads it."""
    t, space = identifier.get_type(), identifier.get_space()
    empty = space.get_simple_extent_type() == h5py.h5s.NULL
    shape = "-" if empty else "[" + ",".join(map(str, space.shape)) + "]"
    if isinstance(t, h5py.h5t.TypeStringID):
        values = [] if empty else np.asarray(read()).reshape(-1).tolist()
        return f"string {shape} {crc_of_strings(values):08x}"
    if is_bfloat_class(t):
        raw = np.empty(space.shape, "<f2")
        identifier.read(h5py.h5s.ALL, h5py.h5s.ALL, raw, t)
        return f"bfloat16 {shape} {zlib.crc32(raw.tobytes()):08x}"
    try:
        dtype = identifier.dtype
    except TypeError:
        return f"unsupported {shape}"
    if dtype == np.dtype("V2") and bfloat:
        return f"bfloat16 {shape} {zlib.crc32(read().tobytes()):08x}"
    name = NAMES.get(dtype.str[1:])
    if name is None or t.get_class() in (h5py.h5t.REFERENCE, h5py.h5t.BITFIELD, h5py.h5t.ARRAY):
        return f"unsupported {shape}"
    data = b"" if empty else np.asarray(read()).astype(dtype.newbyteorder("<")).tobytes()
    return f"{name} {shape} {zlib.crc32(data):08x}"


def is_listed_only(dataset, superblock):
    """Whether the reader lists the dataset without reading it: other filters, and most chunk indexes of layout 4."""
    plist = dataset.id.get_create_plist()
    if any(plist.get_filter(i)[0] not in (1, 2, 3) for i in range(plist.get_nfilters())):
        return True
    if plist.get_layout() != h5py.h5d.CHUNKED or superblock < 3:
        return False
    chunks = np.prod([-(-n // c) for n, c in zip(dataset.shape, dataset.chunks)])
    return dataset.shape != dataset.maxshape or chunks > 1024


def describe(path):
    """The lines of h5_dump, in no order."""
    lines = []

    def attributes(name, obj):
        for key in obj.attrs:
            text = describe_array(obj.attrs.get_id(key), lambda: obj.attrs[key], False)
            lines.append(f"A {name} {key} {text}\n")

    def visit(name, obj):
        if isinstance(obj, h5py.Group):
            lines.append(f"G {name}\n")
            attributes(name, obj)
            for key in obj:
                visit(f"{name}/{key}" if name else key, obj[key])
        elif isinstance(obj, h5py.Dataset):
            text = describe_array(obj.id, lambda: obj[()], obj.attrs.get("dtype") == "bfloat16")
            if is_listed_only(obj, obj.file.id.get_create_plist().get_version()[0]):
                text = "unsupported [" + ",".join(map(str, obj.shape)) + "]"
            lines.append(f"D {name} {text}\n")
            attributes(name, obj)

    with h5py.File(path, "r") as f:
        visit("", f)
    return lines


def payloads(folder, scratch):
    """(name, path of an HDF5 file) of all there are."""
    for root, _, files in sorted(os.walk(folder)):
        for file in sorted(files):
            path = os.path.join(root, file)
            if h5py.is_hdf5(path):
                yield os.path.relpath(path, folder), path
            elif zipfile.is_zipfile(path):
                with zipfile.ZipFile(path) as z:
                    for member in sorted(set(z.namelist())):
                        if not member.endswith(".h5"):
                            continue
                        out = os.path.join(scratch, "payload.h5")
                        with open(out, "wb") as f:
                            f.write(z.read(member))
                        if h5py.is_hdf5(out):
                            yield f"{os.path.relpath(path, folder)}: {member}", out


def main(dump, corpora):
    files = objects = wrong = 0
    with tempfile.TemporaryDirectory() as scratch:
        for name, path in payloads(os.path.join(corpora, "models"), scratch):
            want = sorted(describe(path))
            run = subprocess.run([dump, path], capture_output=True, check=False)
            got = run.stdout.decode("utf-8", "surrogateescape").splitlines(keepends=True)
            files += 1
            objects += len(want)
            if not got or got[-1] != "end\n" or sorted(got[:-1]) != want:
                wrong += 1
                print(f"DIFFERENT {name}: {got[-1:] if got else run.stderr[-300:]}")
                print("".join(sorted(set(got) ^ set(want))[:6]))
    print(f"{files} HDF5 files, {objects} groups, datasets and attributes: {wrong} files differ from h5py")
    return 1 if wrong or not files else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
