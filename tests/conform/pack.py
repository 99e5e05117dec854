"""The packed form of conformance cases: one file that the C runner reads front to back. Little-endian, each part padded
with zeros to 8 bytes.

    "CNPACK01"  u64 count
    case:    text name; f64 tolerance; f64 error of Keras in float32; blob the .keras file; u64 runs, each:
             u64 inputs, tensors; u64 outputs, tensors
    text:    u64 size, bytes                 blob: the same
    tensor:  u64 dtype (as cornu_dtype), u64 ndim, i64 dims[ndim], blob elements

    pack.py FILE                 lists the cases
    pack.py FILE NAME FOLDER     writes one case: model.keras, run_0.npz (input_0, ..., expected_0, ...), ..."""
import os
import struct
import sys

import numpy as np

DTYPES = ["", "float32", "float64", "float16", "bfloat16", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32",
          "uint64", "bool"]
MAGIC = b"CNPACK01"


class Case:
    def __init__(self, name, model, runs, tolerance, error):
        self.name, self.model, self.runs, self.tolerance, self.error = name, model, runs, tolerance, error


def _blob(data):
    return struct.pack("<Q", len(data)) + data + b"\0" * (-len(data) % 8)


def _tensor(array):
    array = np.asarray(array)
    head = struct.pack("<QQ", DTYPES.index(str(array.dtype)), array.ndim) + struct.pack(f"<{array.ndim}q", *array.shape)
    return head + _blob(array.tobytes())


def _encode(case):
    parts = [_blob(case.name.encode()), struct.pack("<dd", case.tolerance, case.error), _blob(case.model),
             struct.pack("<Q", len(case.runs))]
    for inputs, outputs in case.runs:
        for tensors in (inputs, outputs):
            parts.append(struct.pack("<Q", len(tensors)))
            parts.extend(_tensor(t) for t in tensors)
    return b"".join(parts)


def write(path, cases):
    """Writes beside the target first, so that a generator that was stopped leaves no half file."""
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path + ".new", "wb") as file:
        file.write(MAGIC + struct.pack("<Q", len(cases)))
        for case in cases:
            file.write(_encode(case))
    os.replace(path + ".new", path)


def read(path):
    with open(path, "rb") as file:
        data = memoryview(file.read())
    if data[:8] != MAGIC:
        raise ValueError(f"{path} is no pack of conformance cases")
    at = 8

    def take(form):
        nonlocal at
        values = struct.unpack_from("<" + form, data, at)
        at += struct.calcsize("<" + form)
        return values[0] if len(values) == 1 else values

    def blob():
        nonlocal at
        size = take("Q")
        found = bytes(data[at:at + size])
        at += size + (-size % 8)
        return found

    def tensor():
        dtype, ndim = take("QQ")
        dims = [take("q") for _ in range(ndim)]
        return np.frombuffer(blob(), DTYPES[dtype]).reshape(dims)

    cases = []
    for _ in range(take("Q")):
        name = blob().decode()
        tolerance, error = take("dd")
        model = blob()
        runs = []
        for _ in range(take("Q")):
            inputs = [tensor() for _ in range(take("Q"))]
            runs.append((inputs, [tensor() for _ in range(take("Q"))]))
        cases.append(Case(name, model, runs, tolerance, error))
    return cases


def main():
    if len(sys.argv) == 4:
        _, path, name, folder = sys.argv
        case = next(c for c in read(path) if c.name == name)
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "model.keras"), "wb") as file:
            file.write(case.model)
        for i, (inputs, outputs) in enumerate(case.runs):
            arrays = {f"input_{j}": t for j, t in enumerate(inputs)}
            arrays.update({f"expected_{j}": t for j, t in enumerate(outputs)})
            np.savez(os.path.join(folder, f"run_{i}.npz"), **arrays)
        return 0
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    for case in read(sys.argv[1]):
        print(f"{case.name}\t{case.tolerance:.2g}\t{case.error:.2g}\t{len(case.model)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
