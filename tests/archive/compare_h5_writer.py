#!/usr/bin/env python3
"""Compares what the HDF5 writer writes with the same made by h5py, both as h5py sees them: compare_h5_writer.py BUILD_FOLDER."""
import os
import sys
import tempfile

import h5py
import numpy as np

import compare_tool

tool = compare_tool.build(sys.argv[1])
folder = tempfile.mkdtemp()
NAMES = ["float32", "float64", "float16", "bfloat16", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool",
         "complex64", "complex128"]


def values(dtype, shape, modulus=7):
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.frombuffer((np.arange(size) % modulus).astype("u1").tobytes(), dtype).reshape(shape)


def write(path):
    with h5py.File(path, "w", libver="earliest") as f:
        for name in NAMES:
            dtype = "V2" if name == "bfloat16" else name
            f["all/" + name] = values(dtype, (2, 3, 4), 2 if name == "bool" else 7)
        f["all/bfloat16"].attrs["dtype"] = "bfloat16"
        f["layers/dense/vars/0"] = values("f4", (3000, 1000))
        f["layers/dense/vars/1"] = values("f4", ())
        f["layers/dense/vars/10"] = values("i8", (0, 5))
        f["layers/\u00e9/vars/0"] = values("i1", (2,))
        f.create_group("layers/dropout/vars")
        f["layers/dense/vars"].attrs["name"] = "a"
        f.attrs["model_config"] = "x" * 100000
        f.attrs["layer_names"] = ["a", "b\u00e9", ""]
        f.attrs["weight_names"] = np.array([b"a", "b\u00e9".encode(), b""], "S5")
        f.attrs["doubles"] = np.array([1.5, -2, 1e300])
        f.attrs.create("big", np.array([1.5, -2, 1e300]), dtype=">f8")
        f.attrs["none"] = np.array([])
        f.attrs["null"] = h5py.Empty("f4")
        f["layers/dense/vars/1"].attrs["integer"] = np.int64(-7)


def describe_type(t):
    return [t.get_class(), t.get_size(), t.encode()]


def describe_attributes(o):
    result = {}
    for name in o.attrs:
        a = h5py.h5a.open(o.id, name.encode())
        value = o.attrs[name]
        result[name] = (describe_type(a.get_type()), a.get_space().get_simple_extent_type(), a.shape,
                        value if isinstance(value, (str, h5py.Empty)) else np.asarray(value).tolist())
        if isinstance(value, h5py.Empty):
            result[name] = result[name][:3] + (str(value.dtype),)
    return result


def describe(path):
    result = {}

    def visit(name, o):
        facts = [type(o).__name__, describe_attributes(o)]
        if isinstance(o, h5py.Dataset):
            p = o.id.get_create_plist()
            facts += [describe_type(o.id.get_type()), o.shape, o.maxshape, o.dtype, o[()].tobytes(), p.get_layout(), p.get_alloc_time(),
                      p.get_fill_time(), p.fill_value_defined(), p.get_nfilters(), p.get_obj_track_times(), p.get_attr_creation_order(),
                      o.id.get_storage_size()]
        else:
            p = o.id.get_create_plist()
            facts += [p.get_link_creation_order(), p.get_attr_creation_order(), list(o)]
        result[name] = facts

    with h5py.File(path, "r") as f:
        visit("", f)
        f.visititems(visit)
        p = f.id.get_create_plist()
        result["file"] = [p.get_version(), p.get_userblock(), p.get_sizes()]
    return result


write(os.path.join(folder, "expected.h5"))
expected = describe(os.path.join(folder, "expected.h5"))
for where in ["memory", "file"]:
    path = os.path.join(folder, where + ".h5")
    code, message = compare_tool.run(tool, "h5write", path, where)
    if code:
        sys.exit("FAILED: " + message)
    found = describe(path)
    if list(found) != list(expected):
        sys.exit(f"FAILED: objects {list(found)}, not {list(expected)}")
    for name in expected:
        if found[name] != expected[name]:
            sys.exit(f"FAILED: {where}: '{name}': {str(found[name])[:2000]}\nnot {str(expected[name])[:2000]}")
    print(where, len(expected), "objects equal,", os.path.getsize(path), "bytes, h5py's", os.path.getsize(os.path.join(folder, "expected.h5")))
