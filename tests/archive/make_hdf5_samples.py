"""Writes tests/archive/hdf5/*.h5 and expected.txt, what h5py reads from them, in the form of h5_dump.h.

    python tests/archive/make_hdf5_samples.py tests/archive/hdf5
"""
import os
import sys

import h5py
import numpy as np

from compare_h5py import describe

LIBVERS = {"earliest": "earliest", "v108": ("v108", "v108"), "v110": ("v110", "v110"), "v112": ("v112", "v112"),
           "latest": "latest"}
DTYPES = ["<f2", ">f2", "<f4", ">f4", "<f8", ">f8", "i1", "u1", "<i2", ">i2", "<u2", ">u2", "<i4", ">i4", "<u4", ">u4",
          "<i8", ">i8", "<u8", ">u8", "<c8", ">c8", "<c16", ">c16", "?"]


def numbers(f):
    for d in DTYPES:
        a = (np.arange(6) * 1.5 - 2).reshape(2, 3)
        data = (a.astype(np.complex128) * (1 + 2j) if "c" in d else np.abs(a) if "u" in d else a).astype(d)
        name = d.strip("<>") if d != "?" else "bool"
        f.create_dataset("n/" + name + ("be" if ">" in d else "le"), data=data)
        f["n"].attrs[d] = data
    b = f.create_dataset("n/bf16", data=np.array([0x3F80, 0xC000, 1], "<u2").view("V2"))
    b.attrs["dtype"] = "bfloat16"
    t = h5py.h5t.IEEE_F32LE.copy()  # bfloat16 as a float class of two bytes
    t.set_fields(15, 7, 8, 0, 7)
    t.set_precision(16)
    t.set_size(2)
    t.set_ebias(127)
    d = h5py.h5d.create(f["n"].id, b"bf16float", t, h5py.h5s.create_simple((3,)))
    d.write(h5py.h5s.ALL, h5py.h5s.ALL, np.array([1.0, -2.5, 3.0], "<f4"))
    f.create_dataset("n/opaque", data=np.array([1, 2], "<u2").view("V2"))
    f.create_dataset("n/enum", data=np.array([1, 0, 2], "i4"), dtype=h5py.enum_dtype({"A": 0, "B": 1, "C": 2}, "i4"))


def strings(f):
    vlen, ascii_ = h5py.string_dtype(), h5py.string_dtype("ascii")
    f.create_dataset("vlen", data=["", "a", "h\u00e4\u00df", "x" * 300], dtype=vlen)
    f.create_dataset("fixed", data=np.array([b"", b"abc", b"defgh"], "S5"))
    for name, pad in (("nulterm", h5py.h5t.STR_NULLTERM), ("nulpad", h5py.h5t.STR_NULLPAD),
                      ("spacepad", h5py.h5t.STR_SPACEPAD)):
        t = h5py.h5t.C_S1.copy()
        t.set_size(8)
        t.set_strpad(pad)
        d = h5py.h5d.create(f.id, name.encode(), t, h5py.h5s.create_simple((3,)))
        d.write(h5py.h5s.ALL, h5py.h5s.ALL, np.array([b"ab", b"", b"abcdefg"], "S8"))
    f.attrs["model_config"] = '{"class_name": "Sequential"}' * 40
    f.attrs.create("ascii", b"plain", dtype=ascii_)
    f.attrs["names"] = np.array([b"dense/kernel:0", b"dense/bias:0"])
    f.attrs.create("vnames", ["dense", "dense_1", ""], dtype=vlen)
    f.attrs["np"] = np.bytes_(b"fixed scalar")
    f.attrs["empty_list"] = np.array([], "f8")
    f.attrs["null"] = h5py.Empty("f4")
    f.attrs["nulltext"] = h5py.Empty("S3")
    f.attrs["complex"] = 1 + 2j
    f.attrs["bool"] = True


def shapes(f):
    f["scalar"] = np.float32(3)
    f["zero"] = np.zeros((0, 4), "f4")
    f["zero2"] = np.zeros((3, 0, 2), "i2")
    f["null"] = h5py.Empty("f4")
    f["deep"] = np.arange(2 ** 5, dtype="f4").reshape((2,) * 5)
    f.create_dataset("unwritten", (5, 7), "f4")
    f.create_dataset("filled", (5,), ">i4", fillvalue=-7)
    p = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    p.set_layout(h5py.h5d.COMPACT)
    d = h5py.h5d.create(f.id, b"compact", h5py.h5t.IEEE_F64LE, h5py.h5s.create_simple((4,)), p)
    d.write(h5py.h5s.ALL, h5py.h5s.ALL, np.arange(4.0))
    g = f
    for i in range(6):
        g = g.create_group(f"level{i}")
    g["leaf"] = np.arange(3)


def many(f):
    for i in range(24):
        f.create_dataset(f"layer_{i}", data=np.full((2,), i, "f4"))
    for i in range(20):
        f.attrs[f"a{i}"] = i
    d = f.create_dataset("d", data=np.arange(3))
    for i in range(12):
        d.attrs[f"text{i}"] = "t" * i


def chunks(f):
    a = np.arange(23 * 17, dtype="<f4").reshape(23, 17)
    f.create_dataset("gzip", data=a, chunks=(8, 9), compression="gzip", shuffle=True)
    f.create_dataset("sum", data=a.astype(">i2"), chunks=(23, 9), fletcher32=True, compression="gzip", shuffle=True)
    f.create_dataset("odd", data=np.arange(9, dtype="u1"), chunks=(3,), fletcher32=True)
    f.create_dataset("one", data=a, chunks=(23, 17), compression="gzip")
    f.create_dataset("oneplain", data=np.arange(4), chunks=(4,))
    f.create_dataset("strings", data=["s%d" % i for i in range(15)], dtype=h5py.string_dtype(), chunks=(7,))
    p = f.create_dataset("part", (20, 8), "i1", chunks=(6, 6), fillvalue=9)
    p[7:9, 3:5] = 1
    f.create_dataset("array", data=np.arange(20, dtype="i2"), chunks=(3,))
    f.create_dataset("cube", data=np.arange(60, dtype="i8").reshape(4, 5, 3), chunks=(4, 2, 2), compression=9)
    f.create_dataset("nochunk", (10,), "f4", chunks=(5,), compression="gzip")
    e = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    e.set_chunk((5,))
    e.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    d = h5py.h5d.create(f.id, b"early", h5py.h5t.STD_I16LE, h5py.h5s.create_simple((12,)), e)
    d.write(h5py.h5s.ALL, h5py.h5s.ALL, np.arange(12, dtype="i2"))
    f.create_dataset("grows", data=np.arange(4), chunks=(2,), maxshape=(None,))
    f.create_dataset("lzf", data=np.arange(40), chunks=(20,), compression="lzf")


def odd(f):
    f["compound"] = np.zeros(3, [("a", "i4"), ("b", "f8")])
    f.attrs["compound"] = np.zeros(1, [("a", "i4"), ("b", "f8")])
    f.create_dataset("array", (3,), dtype=np.dtype(("f4", (2,))))
    f.create_dataset("vlen", (2,), dtype=h5py.vlen_dtype("i4"))
    f["type"] = np.dtype("<f4")
    f.create_dataset("named", data=np.arange(3.0), dtype=f["type"])
    f["after"] = np.arange(2.0)


KEPT = {("v108", "many"), ("v108", "shapes"), ("v108", "strings"), ("v110", "chunks"), ("v112", "strings")}
FILES = {"numbers": numbers, "strings": strings, "shapes": shapes, "many": many, "chunks": chunks, "odd": odd}


def refused(folder):
    def new(name, **kw):
        return h5py.File(os.path.join(folder, f"refused_{name}.h5"), "w", **kw)

    for name, target in (("soft", h5py.SoftLink("/a")), ("external", h5py.ExternalLink("x.h5", "/a"))):
        for libver in ("earliest", "latest"):
            with new(f"{name}_{libver}", libver=libver) as f:
                f["a"] = np.arange(3)
                f["b"] = target
    with new("hard") as f:
        f["a"] = np.arange(3)
        f["b"] = f["a"]
    with new("loop") as f:
        f.create_group("a")["b"] = f["/"]
    with new("virtual", libver="latest") as f:
        f["a"] = np.arange(3)
        layout = h5py.VirtualLayout((3,), "i8")
        layout[:] = h5py.VirtualSource(f["a"])
        f.create_virtual_dataset("v", layout)
    with new("efl") as f:
        f.create_dataset("e", (3,), "f4", external=[("canary.bin", 0, 12)])
    for name, kw in (("bomb", dict(chunks=(1000, 1000), compression="gzip")), ("bomb_plain", {})):
        with new(name) as f:
            f.create_dataset("w", (50000000, 50000000), "f4", **kw)
    with new("deep", libver="latest") as f:
        f.create_group("/".join(["g"] * 66))


def main(folder):
    os.makedirs(folder, exist_ok=True)
    expected = []

    def add(name, write, **kw):
        path = os.path.join(folder, name)
        with h5py.File(path, "w", **kw) as f:
            write(f)
        expected.extend([f"F {name}\n"] + sorted(describe(path)))

    for libver, bounds in LIBVERS.items():
        for name, write in FILES.items():
            # The versions between differ from their neighbours only where they are listed.
            if (libver, name) not in KEPT and libver not in ("earliest", "latest"):
                continue
            add(f"{name}_{libver}.h5", write, libver=bounds)
    add("user_block.h5", shapes, libver="earliest", userblock_size=512)
    add("tracked.h5", odd, libver="latest", track_order=True)
    with open(os.path.join(folder, "expected.txt"), "w", encoding="utf-8") as out:
        out.writelines(expected)
    refused(folder)


if __name__ == "__main__":
    main(sys.argv[1])
