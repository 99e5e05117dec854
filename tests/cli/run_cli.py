"""Tests of the program `cornu`: every option, exit code and kind of message, on small models.

PASS name, FAIL name: reason or SKIP name: reason for each test. Needs nothing but Python; the comparison of pictures with
PIL needs the Python of --venv.
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import xml.etree.ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import files  # noqa: E402
from place import DIGITS, PICTURE, ROOT, SAMPLES, Skip, at_terminal, run_all, says  # noqa: E402

TESTS = []


def test(function):
    TESTS.append(function)
    return function


# ---- usage ----

@test
def bad_usage(place):
    """Each line is refused with 2, and the message has the words behind it."""
    digits, rows = str(DIGITS), str(place.ten)
    existing = place / "there.npz"
    existing.write_bytes(b"old")
    (place / "there.keras").write_bytes(b"old")
    cases = [
        (["predcit"], "did you mean 'predict'"), (["nothing"], "no command 'nothing'"), (["-x"], "'-x'"),
        (["--verbose"], "'--verbose'"), ([""], "no command"), (["help", "nothing"], "'nothing'"),
        (["help", "info", "layers"], "too many"), (["predict"], "missing"), (["info"], "missing"),
        (["convert"], "IN OUT"), (["convert", digits], "IN OUT"), (["layers", "more"], "too many"),
        (["info", digits, "more"], "too many"), (["convert", digits, "a.keras", "b.keras"], "too many"),
        (["info", ""], "empty"), (["info", digits, "--jsn"], "did you mean '--json'"),
        (["info", digits, "--json=1"], "no value"), (["info", digits, "--json", "--json"], "twice"),
        (["info", digits, "-z"], "'-z'"), (["info", digits, "--batch", "2"], "--graph"),
        (["info", digits, "--graph", "--batch", "0"], "'0'"), (["info", digits, "--device", "gpu"], "'gpu'"),
        (["info", digits, "--config"], "needs a value"), (["info", digits, "--config", "no.json"], "no.json"),
        (["info", digits, "--config="], "empty"), (["predict", digits], "--input is missing"),
        (["predict", digits, "--input"], "needs a value"), (["predict", digits, "--input", "no.npz"], "no.npz"),
        (["predict", digits, "--input", "no.png"], "no.png"), (["predict", digits, "--input", str(place / "there.npz")], "there"),
        (["predict", digits, "-i", rows, "--output", "a.txt"], "a.txt"), (["predict", digits, "-i", rows, "-i", rows], "twice"),
        (["predict", digits, "-i", rows, "--output", str(existing)], "--overwrite"),
        (["predict", digits, "-i", rows, "--batch", "0"], "'0'"), (["predict", digits, "-i", rows, "--batch", "-1"], "'-1'"),
        (["predict", digits, "-i", rows, "--batch", "two"], "'two'"),
        (["predict", digits, "-i", rows, "--batch", "99999999999"], "'99999999999'"),
        (["predict", digits, "-i", rows, "--threads", "1.5"], "'1.5'"),
        (["predict", digits, "-i", rows, "--seed", "-3"], "'-3'"),
        (["predict", digits, "-i", rows, "--seed", "99999999999999999999"], "allowed"),
        (["predict", digits, "-i", rows, "--precision", "fp8"], "strict|default|tf32|bf16|fp16"),
        (["predict", digits, "-i", rows, "--precision", "strict|default"], "one of"),
        (["predict", digits, "-i", rows, "--device", "cuda:x"], "'cuda:x'"),
        (["predict", digits, "-i", rows, "--device", "cuda:"], "'cuda:'"),
        (["predict", digits, "-i", rows, "--outputs", "a,,b"], "empty name"),
        (["predict", digits, "-i", str(PICTURE), "--outputs", "nolayer"], "nolayer"),
        (["predict", digits, "-i", rows, "--trainig"], "did you mean '--training'"),
        (["predict", digits, "-i", rows, "--training=1"], "no value"), (["predict", digits, "-i", rows], ""),
        (["convert", digits, "x.onnx"], "x.onnx"), (["convert", digits, "x"], "--to"),
        (["convert", digits, "x.keras", "--to", "onnx"], "'onnx'"), (["convert", digits, "x.keras", "--to", ""], "''"),
        (["convert", digits, str(place / "there.keras")], "--overwrite"), (["convert", digits, "x.keras", "--config", "no"], "'no'"),
        (["diff"], "A B"), (["diff", digits], "A B"), (["diff", digits, digits, "c"], "too many"), (["check"], "missing"),
        (["check", digits, "more"], "too many"), (["check", digits, "--custom"], "needs a value"), (["check", digits, "--jsno"], "did you mean"),
        (["plot"], "missing"), (["plot", digits], "--output is missing"), (["plot", digits, "-o", "a.png"], "'a.png'"),
        (["plot", digits, "-o", "svg"], "'svg'"), (["plot", digits, "-o", "a.svg", "--rankdir", "BT"], "TB|LR"),
        (["plot", digits, "-o", "a.svg", "--show-shapes", "--no-shapes"], "exclude"),
        (["plot", digits, "-o", "a.svg", "--config", "no.json"], "no.json"),
    ]
    assert len(cases) >= 40
    for arguments, words in cases:
        says(place.run(*arguments, code=2)[1], words)
    assert existing.read_bytes() == b"old" and (place / "there.keras").read_bytes() == b"old"
    says(subprocess.run([place.program], capture_output=True, text=True).stderr, "Usage:")


@test
def help_and_version(place):
    assert re.fullmatch(r"cornu \d+\.\d+\.\d+\n", place.run("--version")[0])
    overview = place.run("help")[0]
    assert overview == place.run("--help")[0] == place.run("-h")[0]
    commands = re.findall(r"^  (\w+)  ", overview.split("Options:")[0], re.M)
    assert commands == ["predict", "info", "convert", "plot", "diff", "check", "bench", "tune", "layers", "help"], commands
    for command in commands[:-1]:
        text = place.run("help", command)[0]
        assert text == place.run(command, "--help")[0], f"help {command} and {command} --help differ"
    assert subprocess.run([place.program], capture_output=True).returncode == 2


@test
def manual_and_completion_name_every_option(place):
    manual = (ROOT / "tools" / "cornu.1").read_text().replace("\\-", "-")
    completion = (ROOT / "tools" / "cornu.bash").read_text()
    for command in ("predict", "info", "convert", "plot", "diff", "check", "bench", "layers"):
        options = set(re.findall(r"^  (--[a-z-]+)", place.run("help", command)[0], re.M))
        section = manual.split(f".SS cornu {command}")[1].split(".SS")[0]
        row = re.search(rf'{command}\)\s*options="([^"]*)"', completion).group(1)
        assert set(row.split()) == options, f"{command}: completion differs: {set(row.split()) ^ options}"
        missing = [o for o in options - {"--help"} if not re.search(rf"{o}(?![a-z-])", section)]
        assert not missing, f"{command}: the manual lacks {missing}"


# ---- predict ----

@test
def predict_prints_classes_of_a_picture(place):
    out = place.run("predict", DIGITS, "--input", PICTURE)[0]
    digit = PICTURE.stem.split("_")[1]
    assert re.match(rf"output_0 '\w+': float32 \(1, 10\)\n  class {digit} ", out), out


@test
def predict_on_the_host_plugin(place):
    plugin = pathlib.Path(place.program).parent.parent / "libcornu_cuda_host.so"
    if not plugin.exists():
        raise Skip(f"there is no {plugin.name}")
    env = {**os.environ, "CORNU_CUDA_LIBRARY": str(plugin)}
    out = place.run("predict", DIGITS, "--input", PICTURE, "--device", "cuda", env=env)[0]
    assert f"class {PICTURE.stem.split('_')[1]} " in out, out
    assert place.run("predict", DIGITS, "--input", PICTURE, env=env)[0] == out, "auto does not take the device"
    info = json.loads(place.run("info", DIGITS, "--json", env=env)[0])
    assert info["device"] == "cuda:0 (host execution)" and info["backend"] == "cuda" and info["cuda_devices"] == 1
    cases = [({}, "cuda:7", "this machine has 1 CUDA device"),
             ({"CORNU_HOST_DEVICES": "0"}, "cuda", "no CUDA device in this machine"),
             ({"CORNU_HOST_CAPABILITY": "75"}, "cuda", "compute capability 7.5; 8.0 or newer is needed"),
             ({"CORNU_HOST_DRIVER": "11040"}, "cuda", "the NVIDIA driver is for CUDA 11.4, which is too old"),
             ({"CORNU_CUDA_LIBRARY": "/nowhere/plug.so"}, "cuda", "/nowhere/plug.so"),
             ({"CORNU_CUDA_LIBRARY": "libc.so.6"}, "cuda", "libc.so.6 is no plug-in of Cornu")]
    for more, device, words in cases:
        says(place.run("predict", DIGITS, "--input", PICTURE, "--device", device, env={**env, **more}, code=1)[1], words)
    short = {**env, "CORNU_HOST_MEMORY": "10000"}
    says(place.run("predict", DIGITS, "--input", PICTURE, "--device", "cuda", env=short, code=1)[1], "out of memory")
    for more in ({"CORNU_HOST_DEVICES": "0"}, {"CORNU_HOST_CAPABILITY": "75"}):
        assert f"class {PICTURE.stem.split('_')[1]} " in place.run("predict", DIGITS, "--input", PICTURE, env={**env, **more})[0]


@test
def predict_spellings_of_options(place):
    plain = place.values(place.line, place.ten)
    assert plain == place.values(place.line, place.ten, "--device=cpu", "--threads=1", "--precision=strict", "--seed", "7")
    out = place.run("predict", "-i", place.ten, "--", place.line)[0]
    assert out == place.run("predict", place.line, f"--input={place.ten}")[0]
    says(out, "(5, 2)", "[8 9]")


@test
def predict_in_batches(place):
    whole = place / "whole.npy"
    place.run("predict", place.line, "-i", place.ten, "-o", whole)
    assert files.read_npy(whole.read_bytes()) == ("<f4", (5, 2), list(range(10)))
    for batch in (1, 2, 4, 5, 6):
        part = place / f"part{batch}.npz"
        report = place.json("predict", place.line, "-i", place.ten, "-o", part, "--batch", batch)
        assert report["runs"] == -(-5 // batch), report
        assert files.read_npz(part) == {"output_0": ("<f4", (5, 2), list(range(10)))}


@test
def predict_report(place):
    report = place.json("predict", place.two, "-i", place.both)
    assert {"model", "device", "backend", "precision", "runs", "load_ms", "prepare_ms", "run_ms", "outputs"} <= set(report)
    assert [(o["key"], o["name"], o["dtype"], o["shape"], o["values"]) for o in report["outputs"]] == [
        ("output_0", "same", "float32", [2, 2], [[5, 6], [7, 8]]),
        ("output_1", "positive", "float32", [2, 2], [[0, 2], [3, 4]])], report
    assert "values" not in place.json("predict", place.two, "-i", place.both, "-o", place / "r.npz")["outputs"][0]


@test
def predict_matches_arrays_and_inputs(place):
    a, b = files.npy("<f4", (1, 2), [1, 2]), files.npy("<i4", (1, 2), [3, 4])
    given = place / "given.npz"
    for names in (("alpha", "beta"), ("input_0", "input_1"), ("alpha", "input_1"), ("input_0", "beta")):
        files.write_npz(given, **dict(zip(reversed(names), (b, a))))
        assert place.values(place.two, given) == [[[3, 4]], [[1, 2]]], names
    for arrays, words in (({"alpha": a}, ["missing 'beta'"]), ({"alpha": a, "beta": b, "gamma": b}, ["'gamma'"]),
                          ({"arr_0": a, "arr_1": b}, ["missing 'alpha'", "'beta'", "'arr_0'", "'arr_1'"]),
                          ({"alpha": a, "beta": files.npy("<f4", (2, 2), [1, 2, 3, 4])}, ["2 rows", "1"])):
        files.write_npz(given, **arrays)
        says(place.run("predict", place.two, "-i", given, code=2)[1], *words)
    says(place.run("predict", place.two, "-i", place.ten, code=2)[1], "2 inputs")
    says(place.run("predict", place.two, "-i", PICTURE, code=2)[1], "2 inputs")
    says(place.run("predict", place.two, "-i", place.both, "-o", "x.npy", code=2)[1], "2 outputs")


@test
def predict_refuses_other_dtypes_and_shapes(place):
    given = place / "given.npy"
    for dtype, shape, data, word in (("<U1", (1, 2), b"a\0\0\0b\0\0\0", "string"), ("|S1", (1, 2), b"ab", "string"),
                                     ("<c8", (1, 2), bytes(16), "complex64"), ("<f4", (1, 3), bytes(12), "3"),
                                     ("|O", (1, 2), b"\x80\x04.", ""), ("<f4", (5, 2), bytes(12), "")):
        given.write_bytes(files.npy(dtype, shape, data))
        says(place.run("predict", place.line, "-i", given, code=2)[1], word)
    for dtype in ("<f8", "<i4", "<i8", "|u1"):
        given.write_bytes(files.npy(dtype, (1, 2), [3, 4]))
        assert place.values(place.line, given) == [[[3, 4]]], dtype


@test
def predict_feeds_strings(place):
    given = place / "words.npy"
    rows = []
    for dtype, width, coding in (("<U3", 12, "utf-32-le"), ("|S3", 3, "ascii")):
        data = b"".join(word.encode(coding).ljust(width, b"\0") for word in ("a", "zzz"))
        given.write_bytes(files.npy(dtype, (2, 1), data))
        done = subprocess.run([place.program, "predict", SAMPLES / "lookup.keras", "-i", given, "--json"], capture_output=True)
        if done.returncode == 4:
            raise Skip("string lookup does not run in this build")
        assert done.returncode == 0, done.stderr
        rows.append(json.loads(done.stdout)["outputs"][0]["values"])
    assert rows[0] == rows[1] and rows[0][0] != rows[0][1], rows
    given.write_bytes(files.npy("<f4", (2, 1), [1, 2]))
    says(place.run("predict", SAMPLES / "lookup.keras", "-i", given, code=2)[1], "string is needed")


@test
def predict_writes_strict_json(place):
    given = place / "odd.npy"
    given.write_bytes(files.npy("<f4", (2, 2), [float("nan"), float("inf"), 0.1, -0.0]))
    assert place.values(place.line, given) == [[[None, None], [0.1, 0]]]
    says(place.run("predict", place.line, "-i", given)[0], "[nan inf]")


@test
def predict_layers_outputs(place):
    values = place.json("predict", DIGITS, "-i", PICTURE, "--outputs", "flatten,picture")["outputs"]
    assert [v["shape"] for v in values] == [[1, 512], [1, 8, 8, 1]]


@test
def predict_overwrites_when_told(place):
    target = place / "target.npz"
    place.run("predict", place.line, "-i", place.ten, "-o", target)
    before = target.read_bytes()
    says(place.run("predict", place.line, "-i", place.ten, "-o", target, code=2)[1], "exists")
    assert target.read_bytes() == before
    place.run("predict", place.line, "-i", place.ten, "-o", target, "--overwrite")


# ---- pictures ----

@test
def picture_is_resized_as_pil_does(place):
    rows = [bytes(v for x in range(9) for v in (x * 20, y * 30, x + y)) for y in range(7)]
    given = place / "wide.png"
    given.write_bytes(files.png(9, 7, 2, rows))
    out, err = place.run("predict", place.rgb, "-i", given, "--json")
    says(err, "resized", "9 x 7", "6 x 4")
    columns, lines = [0, 2, 3, 5, 6, 8], [0, 2, 4, 6]
    wanted = [[[[x * 20, y * 30, x + y] for x in columns] for y in lines]]
    assert json.loads(out)["outputs"][0]["values"] == wanted, out


@test
def picture_channels_are_converted(place):
    gray, rgba = place / "gray.keras", place / "rgba.keras"
    files.edit_keras(SAMPLES / "sequential.keras", gray, lambda _: files.passing(None, None, 1))
    files.edit_keras(SAMPLES / "sequential.keras", rgba, lambda _: files.passing(None, None, 4))
    given = place / "dot.png"
    for color, row, extra, wanted in ((2, b"\x0a\xc8\x64", b"", ([132], [10, 200, 100, 255])),
                                      (6, b"\x0a\xc8\x64\x07", b"", ([132], [10, 200, 100, 7])),
                                      (0, b"\x2a", b"", ([42], [42, 42, 42, 255])),
                                      (4, b"\x2a\x09", b"", ([42], [42, 42, 42, 9])),
                                      (3, b"\x01", b"\0\0\0\x0a\xc8\x64", ([132], [10, 200, 100, 255]))):
        given.write_bytes(files.png(1, 1, color, [row], extra=extra))
        for model, values in zip((gray, rgba), wanted):
            assert place.values(model, given) == [[[[values]]]], (color, values)


@test
def picture_that_is_refused(place):
    for name, data in (("cut.png", files.png(4, 4, 0, [bytes(4)] * 4)[:-30]), ("no.png", b"hello"), ("no.jpg", b"\xff\xd8\xff"),
                       ("deep.png", files.png(1, 1, 0, [b"\1\2"], depth=16)), ("big.png", files.png(65536, 65536, 0, [b""]))):
        (place / name).write_bytes(data)
        says(place.run("predict", place.rgb, "-i", name, code=2)[1], name)


PIL_CASES = """
import sys, numpy as np
from PIL import Image
from keras.utils import load_img, img_to_array
folder = sys.argv[1]
rng = np.random.default_rng(1)
base = Image.fromarray(rng.integers(0, 256, (37, 23, 4), dtype=np.uint8), "RGBA")
for mode in ("1", "L", "LA", "P", "RGB", "RGBA"):
    base.convert(mode).save(f"{folder}/pil_{mode}.png")
for mode in ("L", "RGB", "CMYK"):
    base.resize((230, 370)).convert(mode).save(f"{folder}/pil_{mode}.jpg")
for name in sys.argv[2:]:
    np.save(f"{folder}/{name}.npy", img_to_array(load_img(f"{folder}/{name}", target_size=(4, 6))))
"""


@test
def pictures_equal_those_of_keras(place):
    if not place.venv or not os.path.exists(place.venv):
        raise Skip("no --venv with Keras and PIL")
    names = [f"pil_{m}.png" for m in ("1", "L", "LA", "P", "RGB", "RGBA")] + [f"pil_{m}.jpg" for m in ("L", "RGB", "CMYK")]
    done = subprocess.run([place.venv, "-c", PIL_CASES, str(place.folder), *names], capture_output=True, text=True,
                          env={**os.environ, "KERAS_BACKEND": "numpy"})
    assert done.returncode == 0, done.stderr[-300:]
    for name in names:
        place.run("predict", place.rgb, "-i", name, "-o", "picture.npy", "--overwrite")
        ours, theirs = (files.read_npy((place / n).read_bytes())[2] for n in ("picture.npy", name + ".npy"))
        # Two releases of libjpeg may round differently by one.
        worst = max(abs(a - b) for a, b in zip(ours, theirs, strict=True))
        assert worst <= (1 if name.endswith("jpg") else 0), f"{name}: differs by {worst}"


# ---- info, convert, layers ----

@test
def info_shows_the_summary(place):
    out, err = place.run("info", DIGITS)
    says(out, 'Model: "digits"', "Layer (type)", "conv2d (Conv2D)", "(None, 8, 8, 16)", "4,640", "Total params: 29,920 (116.88 KB)",
         "Trainable params: 9,962 (38.91 KB)", "Non-trainable params: 32 (128.00 B)", "Optimizer params: 19,926 (77.84 KB)",
         "Adam", "3.15.1", "sparse_categorical_crossentropy", "Runs on:", "CUDA plug-in:")
    assert not err and out.isascii(), "no terminal: plain ASCII"
    says(place.run("info", SAMPLES / "functional.keras")[0], "Connected to", "a, b")


@test
def info_as_json(place):
    report = place.json("info", DIGITS, "--variables")
    assert report["totals"]["trainable_params"] == 9962 and report["totals"]["optimizer_params"] == 19926
    assert [row["name"] for row in report["layers"]][:3] == ["picture", "rescaling", "conv2d"]
    assert {"path": "layers/dense/vars/0", "layer": "dense", "dtype": "float32", "shape": [512, 10], "bytes": 20480,
            "optimizer": False} in report["variables"]
    assert report["runnable"] is True and report["cannot_run"] is None and report["compiled"] is True


@test
def info_reads_what_cannot_run(place):
    for name in ("lambda", "custom", "lookup", "functional"):
        place.run("info", SAMPLES / f"{name}.keras")
        place.json("info", SAMPLES / f"{name}.keras")
    says(place.run("info", SAMPLES / "lambda.keras")[0], "Cannot run here:", "'code' (Lambda)")
    says(place.run("info", SAMPLES / "custom.keras", "--graph", code=4)[1], "Scale")


@test
def info_forms(place):
    config = json.loads(place.run("info", DIGITS, "--config-json")[0])
    assert config["class_name"] == "Sequential"
    says(place.run("info", DIGITS, "--graph", "--batch", "3")[0], "f32[3,8,8,1]")
    says(place.run("info", DIGITS, "--graph")[0], "f32[1,8,8,1]")
    says(place.run("info", DIGITS, "--variables")[0], "optimizer/vars/0", "(512, 10)", "20,480")
    plugin = {**os.environ, "CORNU_CUDA_LIBRARY": "/nowhere/plug.so"}
    says(place.run("info", DIGITS, env=plugin)[0], "CUDA plug-in:", "not used: ", "/nowhere/plug.so", "cpu, backend cpu")
    given = json.loads(place.run("info", DIGITS, "--json", env=plugin)[0])
    assert given["cuda_plugin"] is None and given["cuda_devices"] == 0 and "/nowhere/plug.so" in given["cuda_unusable"]
    assert given["device"] == "cpu"
    del plugin["CORNU_CUDA_LIBRARY"]
    given = json.loads(place.run("info", DIGITS, "--json", env=plugin)[0])
    assert (given["cuda_unusable"] is None) == (given["cuda_devices"] > 0)


@test
def info_of_weights_only(place):
    weights, arch = place / "only.weights.h5", place / "arch.json"
    place.run("convert", DIGITS, weights)
    says(place.run("info", weights)[0], "--config ARCH.json", "weights.h5")
    arch.write_text(place.run("info", DIGITS, "--config-json")[0])
    says(place.run("info", weights, "--config", arch)[0], "conv2d (Conv2D)")
    assert place.values(weights, PICTURE, "--config", arch) == place.values(DIGITS, PICTURE)
    place.run("convert", weights, place / "again.keras", "--config", arch)
    assert place.values(place / "again.keras", PICTURE) == place.values(DIGITS, PICTURE)


@test
def info_shows_control_characters(place):
    hostile = place / "hostile.keras"
    config = files.sequential(files.layer("InputLayer", "a\x1b[2J\u202e", batch_shape=[None, 2]), files.layer("\x1b]0;x\x07", "b\u00e9"))
    files.edit_keras(SAMPLES / "sequential.keras", hostile, lambda _: config)
    out, err = place.run("info", hostile)
    assert "\x1b" not in out and "\u202e" not in out and "\\x1b" in out and "b\u00e9" in out, out
    names = [row["name"] for row in place.json("info", hostile)["layers"]]
    assert names == ["a\x1b[2J\u202e", "b\u00e9"], names


@test
def convert_to_each_format(place):
    for target, format_name in (("c.keras", "keras"), ("c.weights.h5", "weights.h5"), ("folder/", "keras-dir")):
        report = place.json("convert", DIGITS, place.folder / target if target[-1] != "/" else f"{place / 'folder'}/")
        assert report["input_format"] == "keras" and report["output_format"] == format_name, report
        assert place.json("info", place / target)["format"] == format_name
    out, err = place.run("convert", DIGITS, place / "named", "--to", "keras-dir")
    assert not out and "keras-dir" in err
    assert place.values(place / "c.keras", PICTURE) == place.values(place / "named", PICTURE) == place.values(DIGITS, PICTURE)
    place.run("convert", place / "named", place / "c.keras", "--overwrite")


@test
def convert_without_the_optimizer(place):
    place.run("convert", DIGITS, place / "light.keras", "--no-optimizer")
    totals = place.json("info", place / "light.keras")["totals"]
    assert totals["optimizer_params"] == 0 and totals["trainable_params"] == 9962, totals


@test
def convert_of_code(place):
    says(place.run("convert", SAMPLES / "lambda.keras", place / "l.keras", code=3)[1], "Lambda", "safe_mode")
    assert not (place / "l.keras").exists()
    place.run("convert", SAMPLES / "lambda.keras", place / "l.keras", "--no-safe-mode")
    says(place.run("predict", place / "l.keras", "-i", place.ten, code=3)[1], "Lambda")


@test
def layers_table(place):
    tables, text = place.json("layers"), place.run("layers")[0]
    assert {"layers", "ops", "backends"} <= set(tables), list(tables)
    assert any(row["name"] == "Dense" for row in tables["layers"])
    for name, rows in tables.items():
        for row in rows:
            assert set(row) == {"name", "limits"} and row["name"] in text, (name, row)


# ---- plot ----

SVG = "{http://www.w3.org/2000/svg}"


class Drawing:
    """A picture of `cornu plot`, read back: boxes by id, their texts, and arrows as (source, target)."""

    def __init__(self, path):
        self.root = xml.etree.ElementTree.parse(path).getroot()
        assert self.root.tag == SVG + "svg"
        groups = [g for g in self.root.iter(SVG + "g") if g.get("id")]
        self.kind = {g.get("id"): g.get("class").split() for g in groups}
        self.texts = {g.get("id"): [t.text or "" for t in g.iter(SVG + "text")] for g in groups}
        self.title = {g.get("id"): g.find(SVG + "title").text for g in groups}
        self.box = {}
        for g in groups:
            x, y, width, height = (float(g.find(SVG + "rect").get(k)) for k in ("x", "y", "width", "height"))
            self.box[g.get("id")] = (x, y, x + width, y + height)
        self.paths = [p for p in self.root.iter(SVG + "path") if p.get("class") == "edge"]
        self.ends = [(p.get("data-from"), p.get("data-to")) for p in self.paths]

    def arrows(self):
        return sorted((self.texts[a][0], self.texts[b][0]) for a, b in self.ends)

    def check(self):
        """Boxes are inside the picture and apart unless one holds the other; arrows run from border to border."""
        _, _, width, height = map(float, self.root.get("viewBox").split())
        assert [b for b in self.box.values() if b[0] < 0 or b[1] < 0 or b[2] > width or b[3] > height] == []
        items = list(self.box.items())
        for i, (name, a) in enumerate(items):
            for other, b in items[i + 1:]:
                apart = a[2] < b[0] or b[2] < a[0] or a[3] < b[1] or b[3] < a[1]
                held = "model" in self.kind[name] and a[0] < b[0] and a[1] < b[1] and a[2] > b[2] and a[3] > b[3]
                assert apart or held, (name, a, other, b)
        for path, (source, target) in zip(self.paths, self.ends):
            assert path.get("marker-end") == "url(#head)", path.attrib
            numbers = [float(v) for v in re.findall(r"-?[0-9.]+", path.get("d"))]
            points = list(zip(numbers[::2], numbers[1::2]))
            for (x, y), box in ((points[0], self.box[source]), (points[-1], self.box[target])):
                on_x, on_y = (min(abs(v - box[k]), abs(v - box[k + 2])) < 0.2 for v, k in ((x, 0), (y, 1)))
                assert (on_x and box[1] <= y <= box[3]) or (on_y and box[0] <= x <= box[2]), (source, target, x, y, box)


def draw(place, model, *options, name="drawn.svg"):
    place.run("plot", model, "-o", name, "--overwrite", *options)
    drawing = Drawing(place / name)
    drawing.check()
    return drawing


FUNCTIONAL = sorted([("a", "shared"), ("b", "shared"), ("shared", "inner"), ("inner", "add"), ("add", "multiply"),
                     ("multiply", "reshape"), ("reshape", "td"), ("td", "bi"), ("bi", "out")])
INNER = [("input_layer_1", "dense_2"), ("dense_2", "dense_3")]


@test
def plot_draws_every_layer_and_connection(place):
    for direction in ("TB", "LR"):
        drawing = draw(place, SAMPLES / "functional.keras", "--rankdir", direction)
        assert drawing.arrows() == FUNCTIONAL and len(drawing.box) == 10, drawing.arrows()
        assert ["reshape", "Reshape", "(None, 1, 3)"] in drawing.texts.values()
        axis = 0 if direction == "LR" else 1
        assert all(drawing.box[a][axis + 2] < drawing.box[b][axis] for a, b in drawing.ends), "an arrow runs back"
    rows = place.json("info", DIGITS)["layers"]
    drawing = draw(place, DIGITS)
    assert list(drawing.texts.values()) == [[r["name"], r["class_name"], r["output_shape"]] for r in rows]
    names = [r["name"] for r in rows]
    assert drawing.arrows() == sorted(zip(names, names[1:])), drawing.arrows()
    assert draw(place, DIGITS, "--no-shapes").texts["n0"] == ["picture", "InputLayer"]
    assert draw(place, DIGITS, "--show-shapes").texts == drawing.texts


@test
def plot_expands_nested_models(place):
    for direction in ("TB", "LR"):
        drawing = draw(place, SAMPLES / "functional.keras", "--expand-nested", "--rankdir", direction)
        assert drawing.arrows() == sorted(FUNCTIONAL + INNER) and len(drawing.box) == 13, drawing.arrows()
        outer = [drawing.box[n] for n, kind in drawing.kind.items() if "model" in kind]
        inside = [drawing.texts[n][0] for n, b in drawing.box.items() if outer[0][0] < b[0] and outer[0][1] < b[1]
                  and outer[0][2] > b[2] and outer[0][3] > b[3]]
        assert len(outer) == 1 and inside == ["input_layer_1", "dense_2", "dense_3"], inside


@test
def plot_writes_dot(place):
    place.run("plot", SAMPLES / "functional.keras", "-o", "g.dot", "--expand-nested", "--rankdir=LR")
    text = (place / "g.dot").read_text()
    says(text, 'rankdir="LR"', 'subgraph "cluster_3"', r'label="shared\nDense\n(None, 3)"', 'lhead="cluster_3"')
    names = dict(re.findall(r'^"(n\d+)" \[label="([^\\"]*)', text, re.M))
    edges = sorted((names[a], names[b]) for a, b in re.findall(r'^"(n\d+)" -> "(n\d+)"', text, re.M))
    ends = {("shared", "inner"): ("shared", "input_layer_1"), ("inner", "add"): ("dense_3", "add")}
    assert edges == sorted([ends.get(e, e) for e in FUNCTIONAL] + INNER), edges
    assert text.count("{") == text.count("}") == 2


@test
def plot_marks_what_cannot_run(place):
    drawing = draw(place, SAMPLES / "custom.keras")
    kinds = {drawing.texts[n][0]: kind for n, kind in drawing.kind.items()}
    assert "missing" in kinds["scale"] and "missing" not in kinds["dense_5"], kinds
    assert drawing.texts["n1"][-1] == "cannot run here" and "demo>Scale" in drawing.title["n1"]
    for name in ("lambda", "lookup", "sequential"):
        draw(place, SAMPLES / f"{name}.keras")


@test
def plot_keeps_existing_targets(place):
    target = place / "kept.svg"
    target.write_bytes(b"old")
    says(place.run("plot", DIGITS, "-o", target, code=2)[1], "exists", "--overwrite")
    says(place.run("plot", "missing.keras", "-o", target, "--overwrite", code=3)[1], "missing.keras")
    assert target.read_bytes() == b"old"
    says(place.run("plot", DIGITS, "-o", place / "no" / "x.svg", code=1)[1], "x.svg")
    place.run("plot", DIGITS, "-o", target, "--overwrite")
    Drawing(target)
    assert not list(place.folder.glob(".cornu-*")), "a temporary file was left"


def wired(connections):
    """The config of a functional model: {layer: sources}, those without sources being inputs."""
    def tensor(name):
        return {"class_name": "__keras_tensor__",
                "config": {"shape": [None, 2], "dtype": "float32", "keras_history": [name, 0, 0]}}
    layers = []
    for name, sources in connections.items():
        entry = files.layer("Add", name) if sources else files.layer("InputLayer", name, batch_shape=[None, 2])
        nodes = [{"args": [[tensor(s) for s in sources]], "kwargs": {}}] if sources else []
        layers.append({**entry, "name": name, "inbound_nodes": nodes})
    config = files.crossing()
    names = list(connections)
    config["config"].update(layers=layers, input_layers=[[names[0], 0, 0]], output_layers=[[names[-1], 0, 0]])
    return config


@test
def plot_escapes_names(place):
    odd = ['<a&b>', 'say "hi"\\', "caf\u00e9 \u5c42", "x\x1b[2J\u202ey", "one, two", "]]>"]
    shown = [*odd[:3], "x[2Jy", *odd[4:]]
    connections = {odd[0]: [], odd[1]: [], "sum": odd[:2], odd[2]: ["sum", odd[0]], odd[3]: [odd[2], odd[1]],
                   odd[4]: [odd[3], odd[2]], odd[5]: [odd[4], odd[0], odd[3]]}
    files.edit_keras(SAMPLES / "sequential.keras", place / "odd.keras", lambda _: wired(connections))
    clean = dict(zip(odd, shown))
    wanted = sorted((clean.get(s, s), clean.get(n, n)) for n, sources in connections.items() for s in sources)
    drawing = draw(place, place / "odd.keras")
    assert drawing.arrows() == wanted, drawing.arrows()
    place.run("plot", place / "odd.keras", "-o", "odd.dot")
    text = (place / "odd.dot").read_text()
    says(text, r'label="say \"hi\"\\\nInputLayer', "<a&amp;b>", "caf\u00e9")
    strings = re.sub(r'"(?:[^"\\\n]|\\.)*"', "S", text)
    assert re.fullmatch(r'digraph S \{\n(?:(?:graph|node|S) \[\w+=S(?:, \w+=S)*\];\n|S -> S;\n)*\}\n', strings), strings


@test
def plot_leads_arrows_around_boxes(place):
    """Long arrows and arrows that close a cycle, where a layer is called on what came from it."""
    names = [f"l{i}" for i in range(9)]
    connections = {n: [names[i - 1], *([names[i - 3]] if i > 2 else []), *(["l0"] if i > 1 else [])][:3] if i else []
                   for i, n in enumerate(names)}
    connections = {n: sorted(set(s)) for n, s in connections.items()}
    files.edit_keras(SAMPLES / "sequential.keras", place / "long.keras", lambda _: wired(connections))
    drawing = draw(place, place / "long.keras")
    assert drawing.arrows() == sorted((s, n) for n, sources in connections.items() for s in sources)
    for path, ends in zip(drawing.paths, drawing.ends):
        for x, y in along(path.get("d")):
            hit = [n for n, b in drawing.box.items() if n not in ends and b[0] < x < b[2] and b[1] < y < b[3]]
            assert not hit, f"the arrow {ends} crosses {hit}"
    connections["l1"] = ["l0", "l4"]
    connections["l5"] = ["l4", "l5"]
    files.edit_keras(SAMPLES / "sequential.keras", place / "cycle.keras", lambda _: wired(connections))
    says(" ".join(map(str, draw(place, place / "cycle.keras").arrows())), "('l4', 'l1')", "('l5', 'l5')")


def along(way):
    """Points of a path of M, L and C."""
    at = (0.0, 0.0)
    for kind, rest in re.findall(r"([MLC])([^MLC]*)", way):
        numbers = [float(v) for v in rest.split()]
        points = [at, *zip(numbers[::2], numbers[1::2])]
        for step in range(33):
            t = step / 32
            row = points[1:] if kind == "M" else points
            while len(row) > 1:
                row = [tuple(u + (v - u) * t for u, v in zip(p, q)) for p, q in zip(row, row[1:])]
            yield row[0]
        at = points[-1]


# ---- exit codes ----

@test
def models_that_are_no_models(place):
    (place / "empty.keras").write_bytes(b"")
    (place / "text.keras").write_bytes(b"hello, I am not a zip archive\n" * 20)
    (place / "cut.keras").write_bytes(DIGITS.read_bytes()[:20000])
    for name in ("missing.keras", "empty.keras", "text.keras", "cut.keras", "."):
        for arguments in (["info", name], ["predict", name, "-i", place.ten], ["convert", name, "out.keras"]):
            says(place.run(*arguments, code=3)[1], name)
    assert not (place / "out.keras").exists()


@test
def models_that_cannot_run(place):
    says(place.run("predict", SAMPLES / "custom.keras", "-i", place.ten, code=4)[1], "Scale")


@test
def failures_while_running(place):
    says(place.run("predict", place.line, "-i", place.ten, "-o", place / "no" / "x.npz", code=1)[1], "x.npz")
    says(place.run("convert", DIGITS, place / "no" / "x.keras", code=1)[1], "x.keras")
    if os.path.exists("/dev/full"):
        with open("/dev/full", "w") as full:
            done = subprocess.run([place.program, "layers"], stdout=full, stderr=subprocess.PIPE, text=True)
        assert done.returncode == 1 and "standard output" in done.stderr, done


# ---- terminals ----

@test
def terminal_progress(place):
    code, seen = at_terminal(place, "predict", place.line, "-i", place.ten, "--batch", 1, out=place / "progress.txt")
    assert code == 0 and re.search(r"\rpredicting \[[#.]+\] +\d+%", seen), seen
    assert seen.endswith("\r\x1b[K"), f"the bar stays: {seen!r}"
    says((place / "progress.txt").read_text(), "[8 9]")


@test
def terminal_tables(place):
    code, seen = at_terminal(place, "info", DIGITS)
    assert code == 0 and "┌" in seen and "│ conv2d (Conv2D)" in seen, seen


@test
def terminal_asks_about_targets(place):
    target = place / "asked.npz"
    for answer, code in ((b"n\n", 2), (b"\n", 2), (b"y\n", 0), (b"yes\n", 0)):
        target.write_bytes(b"old")
        done, seen = at_terminal(place, "predict", place.line, "-i", place.ten, "-o", target, answer=answer)
        assert done == code and "Replace it?" in seen, (answer, done, seen)
        assert (target.read_bytes() == b"old") == (code == 2), answer


if __name__ == "__main__":
    run_all("cli", TESTS)
