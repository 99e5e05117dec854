"""What the tests know of Keras's files without Keras: comparing archives and weight files, and writing them otherwise
than Keras does."""
import io
import json
import os
import zipfile

import h5py
import numpy as np

WEIGHTS = "model.weights.h5"
JSON_MEMBERS = ("metadata.json", "config.json")


def members(path):
    """Name -> bytes of a .keras file or of its directory form."""
    if not os.path.isdir(path):
        with zipfile.ZipFile(path) as archive:
            return {name: archive.read(name) for name in archive.namelist()}
    found = {}
    for folder, _, files in os.walk(path):
        for name in files:
            full = os.path.join(folder, name)
            with open(full, "rb") as file:
                found[os.path.relpath(full, path).replace(os.sep, "/")] = file.read()
    return found


def _stored(dataset):
    """The elements as they are stored: h5py turns opaque and enum types into numpy's, so that bytes are compared."""
    value = np.empty(dataset.shape, dtype=dataset.dtype)
    if value.size:
        dataset.read_direct(value) if dataset.shape else dataset.id.read(h5py.h5s.ALL, h5py.h5s.ALL, value)
    return value.tobytes()


def _attributes(item):
    found = {}
    for key in item.attrs:
        attribute = item.attrs.get_id(key)
        found[key] = (attribute.get_type().encode(), attribute.shape, repr(item.attrs[key]))
    return found


def describe_h5(data):
    """Path -> what h5py sees there, for every group and dataset."""
    found = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset):
            layout = (item.chunks, item.compression, item.shuffle, item.fletcher32, item.external, item.maxshape)
            found[name] = ("dataset", item.id.get_type().encode(), item.shape, _attributes(item), layout, _stored(item))
        else:
            found[name] = ("group", _attributes(item))

    with h5py.File(io.BytesIO(data), "r") as file:
        found[""] = ("group", _attributes(file))
        file.visititems(visit)
    return found


def differences_h5(expected, actual, layout=True):
    """A sentence that names the first difference, or None. Without layout, how datasets are stored is left out."""
    a, b = describe_h5(expected), describe_h5(actual)
    for name in sorted(set(a) | set(b)):
        if name not in b:
            return f"'{name}' is missing in the weights file"
        if name not in a:
            return f"'{name}' is new in the weights file"
        if a[name][0] != b[name][0]:
            return f"'{name}' is a {b[name][0]}, not a {a[name][0]}"
        for what, x, y in zip(("type", "shape", "attributes", "layout", "values"), _parts(a[name]), _parts(b[name])):
            if x != y and (layout or what != "layout"):
                return f"'{name}': its {what} differs: {_short(x)} became {_short(y)}"
    return None


def _parts(row):
    return row[1:] if row[0] == "dataset" else (None, None, row[1])


def _short(value):
    return repr(value)[:80]


def differences(expected, actual, layout=True):
    """A sentence that names how two archives differ (as name -> bytes), or None."""
    if set(expected) != set(actual):
        return f"members differ: {sorted(set(expected) ^ set(actual))}"
    for name in expected:
        if name != WEIGHTS and expected[name] != actual[name]:
            at = next((i for i, (x, y) in enumerate(zip(expected[name], actual[name])) if x != y), "its end")
            return f"{name} differs at byte {at}: {expected[name][at - 20:at + 20] if at != 'its end' else ''!r}"
    return differences_h5(expected[WEIGHTS], actual[WEIGHTS], layout)


def written_as_keras_writes(path):
    """A sentence that names how a zip archive is not laid out as Keras lays it out, or None."""
    with zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
    names = [info.filename for info in infos]
    if names[:3] != ["metadata.json", "config.json", "model.weights.h5"]:
        return f"members are in the order {names}"
    if [info.header_offset for info in infos] != sorted(info.header_offset for info in infos):
        return "members are not stored in the order of the directory"
    for info in infos:
        wanted = {"compress_type": 0, "flag_bits": 0, "extra": b"", "extract_version": 20, "create_system": 3}
        for key, value in wanted.items():
            if getattr(info, key) != value:
                return f"{info.filename}: {key} is {getattr(info, key)!r}, not {value!r}"
        if info.external_attr >> 16 & 0o777 != 0o600:
            return f"{info.filename}: external attributes are {info.external_attr:#x}"
        if info.filename in JSON_MEMBERS and info.date_time != (1980, 1, 1, 0, 0, 0):
            return f"{info.filename}: its date is {info.date_time}"
    return None


def rewritten_h5(data):
    """The same groups, attributes and values, stored as Keras never does but accepts: chunked, shuffled, deflated, and
    groups in another order."""
    out = io.BytesIO()
    with h5py.File(io.BytesIO(data), "r") as old, h5py.File(out, "w") as new:

        def copy(source, target):
            for key in source.attrs:
                target.attrs[key] = source.attrs[key]
            for name in reversed(list(source)):
                item = source[name]
                if isinstance(item, h5py.Group):
                    copy(item, target.create_group(name))
                    continue
                plain = not item.shape or item.dtype.kind == "V" or 0 in item.shape
                more = {} if plain else dict(chunks=True, compression="gzip", shuffle=True)
                dataset = target.create_dataset(name, data=item[()], **more)
                for key in item.attrs:
                    dataset.attrs[key] = item.attrs[key]

        copy(old, new)
    return out.getvalue()


def write_rezipped(found, path):
    """The members, deflated, in reverse order, with a comment, after bytes that are no part of the archive."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in reversed(found):
            data = rewritten_h5(found[name]) if name == "model.weights.h5" else found[name]
            archive.writestr(zipfile.ZipInfo(name, (2001, 2, 3, 4, 5, 6)), data, zipfile.ZIP_DEFLATED, 9)
        archive.comment = b"written by a test"


def write_stored(found, path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in found.items():
            archive.writestr(name, data)


# ---- Edits -----------------------------------------------------------------------------------------------------


def datasets(data):
    """Path -> (dtype name, numpy value) of each dataset, bfloat16 as float32."""
    found = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset):
            if item.attrs.get("dtype") == "bfloat16":
                bits = np.frombuffer(_stored(item), "<u2").astype("<u4") << 16
                found[name] = ("bfloat16", bits.view("<f4").reshape(item.shape))
            else:
                found[name] = (str(item.dtype), item[()])

    with h5py.File(io.BytesIO(data), "r") as file:
        file.visititems(visit)
    return found


def new_values(data, rng):
    """Another value for each dataset: path -> array. bfloat16 comes as float32 values that bfloat16 holds exactly."""
    values = {}
    for name, (dtype, old) in datasets(data).items():
        shape = np.shape(old)
        if dtype == "bfloat16":
            bits = rng.standard_normal(shape).astype("<f4").view("<u4") & np.uint32(0xFFFF0000)
            values[name] = np.asarray(bits).astype("<u4").view("<f4").reshape(shape)
        elif dtype == "bool":
            values[name] = ~np.asarray(old)
        elif dtype.startswith(("int", "uint")):
            values[name] = np.asarray(rng.integers(0, 100, shape)).astype(dtype)
        else:
            values[name] = np.asarray(rng.standard_normal(shape)).astype(dtype)
    return values


def replaced_h5(data, values):
    """The weights file with these values put in by h5py."""
    memory = io.BytesIO(data)
    with h5py.File(memory, "r+") as file:
        for name, value in values.items():
            dataset = file[name]
            if dataset.attrs.get("dtype") == "bfloat16":
                halves = (np.ascontiguousarray(value).view("<u4") >> 16).astype("<u2").view(dataset.dtype)
                dataset.write_direct(halves.reshape(dataset.shape)) if dataset.shape else dataset.__setitem__((), halves[0])
            else:
                dataset[()] = value
    return memory.getvalue()


def pick_edit(config):
    """A JSON pointer, the text of its new value, and the tree with that value: a rate where there is one, else the name. The
    text is not always as Python spells it; in the file it must be."""
    found = []

    def walk(node, path):
        if isinstance(node, dict):
            for key, value in node.items():
                if key in ("rate", "epsilon", "negative_slope") and isinstance(value, float):
                    found.append((path + [key], "0.12345678901234568"))
                if key == "learning_rate" and isinstance(value, float):
                    found.append((path + [key], "1.250E-5"))
                walk(value, path + [key])
        elif isinstance(node, list):
            for i, value in enumerate(node):
                walk(value, path + [i])

    walk(config, [])
    path, text = found[0] if found else (["config", "name"], '"m\\u00e9 中 \\"x\\" \U0001f600"')
    tree = json.loads(json.dumps(config))
    node = tree
    for part in path[:-1]:
        node = node[part]
    node[path[-1]] = json.loads(text)
    pointer = "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)
    return pointer, text, tree
