"""Tests of `cornu diff` and `cornu check`. Needs nothing but Python; that check agrees with Keras is tested in golden/run_check.py."""
import json
import pathlib
import sys
import zipfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import files  # noqa: E402
from place import DIGITS, SAMPLES, run_all, says  # noqa: E402

TESTS = []


def test(function):
    TESTS.append(function)
    return function


def change_member(source, target, change):
    """Copies an archive; change takes the members by name."""
    with zipfile.ZipFile(source) as old:
        members = {name: old.read(name) for name in old.namelist()}
    members = change(members) or members
    with zipfile.ZipFile(target, "w") as new:
        for name, data in members.items():
            new.writestr(name, data)


def change_config(source, target, change):
    def on_tree(tree):
        change(tree)
        return tree
    files.edit_keras(source, target, on_tree)


# ---- diff ----

@test
def diff_of_equal_models(place):
    out, err = place.run("diff", DIGITS, DIGITS)
    says(out, "do not differ")
    assert place.json("diff", DIGITS, DIGITS) == {"a": str(DIGITS), "b": str(DIGITS), "equal": True, "differences": []}
    folder = str(place / "folder") + "/"
    place.run("convert", DIGITS, folder)
    place.run("diff", DIGITS, folder)
    respelled = place / "respelled.keras"

    def respell(members):
        tree = json.loads(members["config.json"])
        tree["config"]["layers"].sort(key=lambda layer: 0)
        members["config.json"] = json.dumps(tree, indent=3, sort_keys=True).replace("0.001", "1e-3").encode()
        members["metadata.json"] = b'{"keras_version": "3.9.9"}'
    change_member(DIGITS, respelled, respell)
    place.run("diff", DIGITS, respelled)


@test
def diff_of_configs(place):
    other = place / "other.keras"

    def change(tree):
        layers = tree["config"]["layers"]
        layers[-1]["config"]["activation"] = "relu"
        layers[1]["config"]["scale"] = None
        del layers[2]["config"]["strides"]
        layers.insert(4, files.layer("Activation", "more", activation="relu"))
        tree["compile_config"]["loss"] = "mse"
        tree["compile_config"]["optimizer"]["config"]["beta_1"] = 0.5
        tree["config"]["layers"][2]["shared_object_id"] = 7
    change_config(DIGITS, other, change)
    report = place.json("diff", DIGITS, other, code=5)
    rows = {(d["kind"], d["place"]): (d["a"], d["b"]) for d in report["differences"]}
    last = json.loads(zipfile.ZipFile(DIGITS).read("config.json"))["config"]["layers"][-1]["config"]
    assert report["equal"] is False and len(rows) == len(report["differences"])
    assert rows[("config", f"layer '{last['name']}': activation")] == (json.dumps(last["activation"]), '"relu"'), rows
    assert rows[("config", "layer 'rescaling': scale")][1] == "null"
    assert rows[("config", "layer 'conv2d': strides")][1] is None
    assert rows[("config", "layer 'more'")][0] is None
    assert rows[("compile", "compile_config.loss")][1] == '"mse"'
    assert rows[("compile", "compile_config.optimizer.config.beta_1")] == ("0.9", "0.5")
    assert len(rows) == 6, rows.keys()
    says(place.run("diff", DIGITS, other, code=5)[0], "compile: compile_config.optimizer.config.beta_1: 0.9 -> 0.5", "layer 'more': only in B")
    back = {(d["place"], d["a"], d["b"]) for d in place.json("diff", other, DIGITS, code=5)["differences"]}
    assert back == {(key[1], b, a) for key, (a, b) in rows.items()}


@test
def diff_of_order(place):
    other = place / "order.keras"

    def change(tree):
        layers = tree["config"]["layers"]
        layers[3], layers[4] = layers[4], layers[3]
    change_config(DIGITS, other, change)
    rows = [d["place"] for d in place.json("diff", DIGITS, other, code=5)["differences"]]
    assert any(place.endswith("order") for place in rows), rows



@test
def diff_of_weights(place):
    """The sample's first kernel gets known values through numpy-free editing of the bytes that hold it."""
    import struct
    shown = place.json("info", SAMPLES / "sequential.keras", "--variables")["variables"]
    kernel = next(v for v in shown if v["layer"] and v["dtype"] == "float32" and v["bytes"] >= 16)
    count = kernel["bytes"] // 4
    with zipfile.ZipFile(SAMPLES / "sequential.keras") as archive:
        data = archive.read("model.weights.h5")
    # Find the elements by turning each aligned run of bytes over until cornu sees the change in this variable and no other.
    for offset in range(len(data) - kernel["bytes"], 0, -8):
        if kernel["bytes"] % 8 and offset % 8:
            continue
        changed = bytearray(data)
        value = struct.unpack_from("<f", data, offset)[0]
        if not 1e-4 < abs(value) < 10:
            continue
        struct.pack_into("<f", changed, offset, value + 0.5)
        target = place / "changed.keras"
        change_member(SAMPLES / "sequential.keras", target, lambda members: {**members, "model.weights.h5": bytes(changed)})
        report = place.json("diff", SAMPLES / "sequential.keras", target, code=5)
        assert len(report["differences"]) == 1, report
        row = report["differences"][0]
        assert row["kind"] in ("weight", "optimizer") and row["different"] == 1, row
        assert abs(row["max_error"] - 0.5) < 1e-6 and abs(row["mean_error"] * row["count"] - 0.5) < 1e-5, row
        says(place.run("diff", SAMPLES / "sequential.keras", target, code=5)[0], "max error 0.5", f"1 of {row['count']} elements")
        struct.pack_into("<f", changed, offset, float("nan"))
        change_member(SAMPLES / "sequential.keras", target, lambda members: {**members, "model.weights.h5": bytes(changed)})
        row = place.json("diff", SAMPLES / "sequential.keras", target, code=5)["differences"][0]
        assert row["max_error"] is None and row["different"] == 1, row
        place.run("diff", target, target)
        return
    assert False, f"no element of {count} was found"


@test
def diff_of_formats(place):
    weights = place / "digits.weights.h5"
    place.run("convert", DIGITS, weights)
    rows = place.json("diff", DIGITS, weights, code=5)["differences"]
    assert [(d["kind"], d["place"], d["b"]) for d in rows] == [("config", "config", None)], rows
    plain = place / "plain.keras"
    place.run("convert", DIGITS, plain, "--no-optimizer")
    rows = place.json("diff", DIGITS, plain, code=5)["differences"]
    assert rows and {d["kind"] for d in rows} == {"optimizer"} and all(d["b"] is None for d in rows), rows


@test
def diff_of_assets(place):
    lookup, other, less = SAMPLES / "lookup.keras", place / "other.keras", place / "less.keras"
    with zipfile.ZipFile(lookup) as archive:
        name = next(n for n in archive.namelist() if n.startswith("assets/"))
        old = archive.read(name)
    change_member(lookup, other, lambda members: {**members, name: old[:-1] + b"?"})
    change_member(lookup, less, lambda members: {n: d for n, d in members.items() if n != name})
    row, = place.json("diff", lookup, other, code=5)["differences"]
    assert (row["kind"], row["place"], row["a"], row["b"]) == ("asset", name, f"{len(old)} bytes", f"{len(old)} bytes"), row
    row, = place.json("diff", lookup, less, code=5)["differences"]
    assert (row["place"], row["b"]) == (name, None), row
    row, = place.json("diff", less, lookup, code=5)["differences"]
    assert (row["place"], row["a"]) == (name, None), row


@test
def diff_of_no_models(place):
    (place / "empty.keras").write_bytes(b"")
    says(place.run("diff", DIGITS, "missing.keras", code=3)[1], "missing.keras")
    says(place.run("diff", "empty.keras", DIGITS, code=3)[1], "empty.keras")


# ---- check ----

@test
def check_of_a_good_model(place):
    says(place.run("check", DIGITS)[0], "No problems")
    assert place.json("check", DIGITS) == {"file": str(DIGITS), "keras_accepts": True, "cornu_runs": True, "findings": []}


@test
def check_names_place_and_remedy(place):
    target = place / "keys.keras"
    change_config(DIGITS, target, lambda tree: tree["config"]["layers"][2]["config"].update(groupz=1))
    report = place.json("check", target, code=5)
    row = next(f for f in report["findings"] if f["code"] == "unknown-key")
    assert row["place"] == "layer 'conv2d' (Conv2D)" and "groupz" in row["what"] and row["remedy"] and row["who"] == "keras", row
    assert report["keras_accepts"] is False
    out = place.run("check", target, code=5)[0]
    says(out, "problem, keras: layer 'conv2d' (Conv2D): key 'groupz'", row["remedy"])


@test
def check_of_custom_objects(place):
    report = place.json("check", SAMPLES / "custom.keras", code=5)
    found = [(f["severity"], f["who"], f["code"]) for f in report["findings"]]
    assert ("problem", "keras", "custom-object") in found and ("problem", "cornu", "cannot-run") in found, found
    report = place.json("check", SAMPLES / "custom.keras", "--custom", "Nothing,Scale", code=5)
    found = [(f["severity"], f["who"], f["code"]) for f in report["findings"]]
    assert ("note", "keras", "declared-custom") in found and ("problem", "keras", "custom-object") not in found, found
    assert report["keras_accepts"] is True and report["cornu_runs"] is False


@test
def check_of_code(place):
    """Reads what a load refuses, and says so."""
    report = place.json("check", SAMPLES / "lambda.keras", code=5)
    row = next(f for f in report["findings"] if f["code"] == "code")
    says(row["place"] + row["what"] + row["remedy"], "Lambda", "safe_mode")


@test
def check_of_missing_variables(place):
    target = place / "bias.keras"
    change_config(SAMPLES / "sequential.keras", target, lambda tree: [layer["config"].update(use_bias=not layer["config"]["use_bias"])
                                                                      for layer in tree["config"]["layers"] if layer["class_name"] == "Dense"])
    codes = {f["code"] for f in place.json("check", target, code=5)["findings"]}
    assert "variable-count" in codes, codes


@test
def check_of_assets(place):
    less = place / "less.keras"
    change_member(SAMPLES / "lookup.keras", less, lambda members: {n: d for n, d in members.items() if not n.startswith("assets/")})
    row = next(f for f in place.json("check", less, code=5)["findings"] if f["code"] == "missing-asset" and f["who"] == "keras")
    says(row["what"], "vocabulary")


@test
def check_of_names_and_weights(place):
    target = place / "digits.zip"
    target.write_bytes(DIGITS.read_bytes())
    assert [f["code"] for f in place.json("check", target, code=5)["findings"]] == ["name"]
    report = place.json("check", SAMPLES / "plain.weights.h5")
    assert [(f["severity"], f["code"]) for f in report["findings"]] == [("note", "weights-only")], report
    says(place.run("check", "missing.keras", code=3)[1], "missing.keras")


if __name__ == "__main__":
    run_all("compare", TESTS)
