#!/usr/bin/env python3
"""Compares .npy, .npz and zip with numpy and Python's zipfile: compare_numpy.py BUILD_FOLDER."""
import io
import os
import subprocess
import sys
import tempfile
import zipfile

import numpy as np
from numpy.lib import format as npy

import compare_tool

tool = compare_tool.build(sys.argv[1])
folder = tempfile.mkdtemp()
checks = 0


def path(name):
    return os.path.join(folder, name)


def same(a, b):
    return a.dtype.newbyteorder("=") == b.dtype.newbyteorder("=") and a.shape == b.shape and a.tobytes() == b.tobytes()


def check(condition, what):
    global checks
    checks += 1
    if not condition:
        sys.exit("FAILED: " + what)


def arrays():
    rng = np.random.default_rng(1)
    for letter in ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1", "c8", "c16"]:
        for order in "<>":
            for shape in [(), (0,), (1,), (5,), (2, 3), (3, 0, 2), (2, 3, 4, 5), (1,) * 16]:
                a = rng.integers(0, 2 if letter == "b1" else 100, shape).astype(order + letter)
                yield np.array(a)
                if a.ndim > 1:
                    yield np.asfortranarray(a)
    for order in "<>":
        yield np.array(["", "a", "h\u00e9llo", "\U0001f600x", "a\0b"], order + "U7")
        yield np.asfortranarray(np.array([["a", "bc", ""], ["d", "e", "\u20ac"]], order + "U3"))
        yield np.array("scalar", order + "U9")
    yield np.zeros((2, 0), "U4")


def check_npy():
    for a in arrays():
        for version in [(1, 0), (2, 0), (3, 0)]:
            with open(path("in.npy"), "wb") as f:
                npy.write_array(f, a, version)
            code, message = compare_tool.run(tool, "npycopy", path("in.npy"), path("out.npy"))
            check(code == 0, f"{a.dtype} {a.shape}: {message}")
            back = np.load(path("out.npy"))
            native = np.ascontiguousarray(a).reshape(a.shape).astype(a.dtype.newbyteorder("="))
            if a.dtype.kind == "U":
                width = max([1] + [len(s) for s in native.ravel()])
                native = native.astype(f"U{width}")
            check(same(native, back), f"{a.dtype} {a.shape} {version}")
            expected = io.BytesIO()
            np.save(expected, native)
            check(expected.getvalue() == open(path("out.npy"), "rb").read(), f"bytes of {a.dtype} {a.shape}")
    np.save(path("in.npy"), np.array([b"ab", b"", b"a\0b"]))
    check(compare_tool.run(tool, "npycopy", path("in.npy"), path("out.npy"))[0] == 0, "S")
    check(list(np.load(path("out.npy"))) == ["ab", "", "a\0b"], "S")
    for bad in [np.array([{}], object), np.zeros(2, [("a", "f4")]), np.zeros(2, "M8[s]"), np.zeros(2, "V3"), np.zeros((1,) * 17)]:
        np.save(path("in.npy"), bad, allow_pickle=True)
        code, message = compare_tool.run(tool, "npycopy", path("in.npy"), path("out.npy"))
        check(code == 1 and message.startswith("UNSUPPORTED"), f"{bad.dtype}: {message}")


def check_npz():
    values = {"a": np.arange(6.0).reshape(2, 3), "b/c": np.array(3, "i4"), "\u00e9": np.array(["x", "yz"])}
    for save in [np.savez, np.savez_compressed]:
        save(path("in.npz"), **values)
        code, message = compare_tool.run(tool, "npzcopy", path("in.npz"), path("out.npz"))
        check(code == 0, message)
        back = np.load(path("out.npz"))
        check(sorted(back) == sorted(values) and all(same(back[k], values[k]) for k in values), "npz")


def check_zip():
    for method in [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]:
        for stream in [False, True]:
            raw = io.BytesIO()
            target = raw
            if stream:  # cannot seek: sizes follow the payload

                class Pipe(io.RawIOBase):
                    def writable(self):
                        return True

                    def write(self, data):
                        return raw.write(data)

                target = Pipe()
            with zipfile.ZipFile(target, "w", method) as z:
                z.writestr("config.json", "{}" * 1000)
                z.writestr("model.weights.h5", os.urandom(3000000))
                z.writestr("assets/\u00e9.txt", "x")
                z.writestr("empty", "")
            open(path("in.zip"), "wb").write(raw.getvalue())
            code, message = compare_tool.run(tool, "zipcopy", path("in.zip"), path("out.zip"))
            check(code == 0, message)
            a, b = zipfile.ZipFile(path("in.zip")), zipfile.ZipFile(path("out.zip"))
            check(b.testzip() is None and a.namelist() == b.namelist(), "names")
            check(all(a.read(n) == b.read(n) for n in a.namelist()), "members")
            subprocess.check_call(["unzip", "-tqq", path("out.zip")])
            expected = io.BytesIO()
            with zipfile.ZipFile(expected, "w") as z:
                for n in a.namelist():
                    info = zipfile.ZipInfo(n, (2001, 9, 9, 1, 46, 41))
                    info.external_attr = 0o600 << 16
                    z.writestr(info, a.read(n))
            check(expected.getvalue() == open(path("out.zip"), "rb").read(), "bytes as of Python's zipfile")


check_npy()
check_npz()
check_zip()
print(checks, "checks passed")
