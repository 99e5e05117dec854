"""Tests of `cornu bench`: what it measures, what it prints, what it refuses, and that a model of config and seed has the same weights in C and
in numpy. No test looks at how long anything takes.

PASS name, FAIL name: reason or SKIP name: reason for each test. The comparison with numpy needs the Python of --venv.
"""
import importlib.util
import json
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import files  # noqa: E402
from place import DIGITS, ROOT, SAMPLES, Skip, run_all, says  # noqa: E402

MODELS = ROOT / "bench" / "models"
KEYS = {"model", "device", "batch", "threads", "median_ms", "p99_ms", "items_per_s"}
TESTS = []


def test(function):
    TESTS.append(function)
    return function


def cases(place, *arguments, **more):
    """The objects that bench --json prints, one a line."""
    lines = place.run("bench", *arguments, "--json", **more)[0].splitlines()
    return [json.loads(line, parse_constant=lambda name: 1 / 0) for line in lines]


def host_plugin(place):
    plugin = pathlib.Path(place.program).parent.parent / "libcornu_cuda_host.so"
    if not plugin.exists():
        raise Skip(f"there is no {plugin.name}")
    return {**os.environ, "CORNU_CUDA_LIBRARY": str(plugin)}


def check(row):
    assert KEYS <= set(row), KEYS - set(row)
    assert 0 < row["min_ms"] <= row["median_ms"] <= row["p99_ms"], row
    assert abs(row["items_per_s"] * row["median_ms"] / 1000 / row["batch"] - 1) < 1e-5, row


@test
def one_object_a_case(place):
    rows = cases(place, DIGITS, "--device", "cpu", "--batch", "1,3,8", "--runs", 4, "--threads", 1)
    assert [(r["batch"], r["device"], r["threads"], r["runs"]) for r in rows] == [(n, "cpu", 1, 4) for n in (1, 3, 8)], rows
    for row in rows:
        check(row)
        assert row["model"] == str(DIGITS) and row["tensors"] == "host" and row["cpu_ratio"] == 1, row
    reference = cases(place, DIGITS, "--device", "reference", "--runs", 1)
    assert [r["device_name"] for r in reference] == ["cpu (reference)"], reference


@test
def without_runs_at_least_ten(place):
    rows = cases(place, place.line, "--device", "cpu")
    assert len(rows) == 1 and rows[0]["runs"] >= 10 and rows[0]["batch"] == 1, rows


@test
def table(place):
    out = place.run("bench", DIGITS, "--device", "cpu", "--batch", "1,2", "--runs", 2)[0].splitlines()
    assert out[0].split() == ["Device", "Precision", "Batch", "Median", "ms", "p99", "ms", "Items/s", "CPU/this"], out[0]
    assert [line.split()[:3] for line in out[2:]] == [["cpu", "default", "1"], ["cpu", "default", "2"]], out


@test
def profile(place):
    out = place.run("bench", DIGITS, "--device", "cpu", "--runs", 2, "--profile")[0]
    for words in ("By layer:", "By kernel:", "conv2d", "matmul", "softmax", "GB/s", "TFLOP/s"):
        assert words in out, f"{words} is not in {out}"
    row, = cases(place, DIGITS, "--device", "cpu", "--runs", 2, "--profile")
    check(row)
    steps = row["profile"]
    assert abs(sum(s["ms"] for s in steps) - row["steps_ms"]) < 1e-3 * row["steps_ms"] + 1e-6, row
    assert {"conv", "matmul", "softmax"} <= {s["op"] for s in steps}
    dense = [s for s in steps if s["op"] == "matmul"]
    assert all(s["flops"] > 0 and s["bytes"] > 0 and s["layer"].startswith("dense") for s in dense), dense


@test
def host_plugin_with_both_kinds_of_tensors(place):
    env = host_plugin(place)
    rows = cases(place, DIGITS, "--device", "cpu,cuda", "--batch", "1,2", "--runs", 2, "--precision", "strict,tf32", env=env)
    seen = [(r["device"], r["precision"], r["batch"], r["tensors"]) for r in rows]
    want = [("cpu", "strict", n, "host") for n in (1, 2)]
    want += [("cuda", p, n, t) for p in ("strict", "tf32") for n in (1, 2) for t in ("host", "device")]
    assert seen == want, seen
    for row in rows:
        check(row)
        assert row["cpu_ratio"] > 0
        assert (row["device_name"] == "cuda:0 (host execution)") == (row["device"] == "cuda") == ("device_ms" in row), row
    found = {r["device"] for r in cases(place, DIGITS, "--runs", 1, env=env)}
    assert found == {"cpu", "cuda"}, f"without --device: {found}"
    row = cases(place, DIGITS, "--device", "cuda:0", "--runs", 1, "--profile", env=env)[-1]
    assert row["peak_gb_per_s"] > 0 and row["peak_gflop_per_s"] > 0 and all(s["kernel"] for s in row["profile"]), row
    says(place.run("bench", DIGITS, "--device", "cpu,cuda:7", env=env, code=1)[1], "cuda:7")
    without = {**env, "CORNU_HOST_DEVICES": "0"}
    assert {r["device"] for r in cases(place, DIGITS, "--runs", 1, env=without)} == {"cpu"}


@test
def inputs_stay_in_the_vocabulary(place):
    """A row outside fails the run, so many runs with few words are the test; float inputs too."""
    for dtype in ("int32", "int64", "float32"):
        given = files.layer("InputLayer", "given", batch_shape=[None, 40], dtype=dtype)
        words = files.layer("Embedding", "words", input_dim=3, output_dim=2)
        path = place / f"words_{dtype}.json"
        config = files.sequential(given, words)
        config["bench"] = {"variables": ["layers/embedding/vars/0 -1 1 3 2"]}
        path.write_text(json.dumps(config))
        for seed in range(3):
            rows = cases(place, path, "--device", "cpu,reference", "--batch", 8, "--runs", 2, "--seed", seed)
            assert len(rows) == 2, rows


@test
def unknown_dimensions(place):
    given = files.layer("InputLayer", "given", batch_shape=[None, None, 3])
    path = place / "any.keras"
    files.edit_keras(SAMPLES / "sequential.keras", path, lambda _: files.sequential(given, files.layer("Activation", "same", activation="relu")))
    says(place.run("bench", path, "--device", "cpu", code=2)[1], "--shape", "'given'")
    for shape in ("4x3", "1x3"):
        assert len(cases(place, path, "--device", "cpu", "--runs", 1, "--shape", shape)) == 1
    for shape in ("4", "4x2", "4x3x1", "0x3", "x3", "4x", "-1x3", "4,3", "fourx3", ",4x3"):
        says(place.run("bench", path, "--device", "cpu", "--shape", shape, code=2)[1], shape, "given")
    assert len(cases(place, place.two, "--device", "cpu", "--runs", 1, "--shape", "2,2")) == 1


@test
def refusals(place):
    existing = place / "there.keras"
    existing.write_bytes(b"old")
    lines = [(["--batch", "0"], "'0'"), (["--batch", "1,,2"], "'1,,2'"), (["--batch", "two"], "'two'"), (["--batch", "-1"], "'-1'"),
             (["--batch", "1,"], "'1,'"), (["--batch", "99999999999"], "allowed"), (["--device", "gpu"], "'gpu'"), (["--device", "cpu,"], "allowed"),
             (["--device", "cuda:x"], "'cuda:x'"), (["--precision", "fp8"], "'fp8'"), (["--precision", "strict,,tf32"], "allowed"),
             (["--runs", "0"], "'0'"), (["--save", place / "x.keras"], "weights of its own"), (["--save", existing], "--overwrite"),
             (["--config", "no.json"], "no.json"), (["--bach", "1"], "did you mean '--batch'"), (["more"], "too many")]
    for arguments, words in lines:
        says(place.run("bench", DIGITS, "--device", "cpu", *arguments, code=2)[1] if "--device" not in arguments
             else place.run("bench", DIGITS, *arguments, code=2)[1], words)
    assert existing.read_bytes() == b"old"
    says(place.run("bench", "missing.keras", code=3)[1], "missing.keras")
    says(place.run("bench", SAMPLES / "custom.keras", "--device", "cpu", code=4)[1], "Scale")
    for rows in (["layers/dense/vars/0"], ["layers/dense/vars/0 -1 1 0"], ["layers/dense/vars/0 a b c"], [7]):
        bad = place / "bad.json"
        bad.write_text(json.dumps({**files.passing(2), "bench": {"variables": rows}}))
        says(place.run("bench", bad, "--device", "cpu", code=3)[1], "bench/variables/0")
    lacking = json.loads((MODELS / "mlp.json").read_text())
    lacking["bench"]["variables"].pop()
    (place / "lacking.json").write_text(json.dumps(lacking))
    says(place.run("bench", place / "lacking.json", "--device", "cpu", code=3)[1], "dense_2")
    says(place.run("bench", MODELS / "mlp.json", "--device", "cpu", env={**os.environ, "TMPDIR": "/nowhere"}, code=1)[1], "TMPDIR")


@test
def every_model_of_the_bench_runs(place):
    """The smaller ones; the others hold the same kinds of layers. Nothing stays in the folder for temporary files."""
    temporary = place / "tmp"
    temporary.mkdir()
    names = sorted(path.stem for path in MODELS.glob("*.json"))
    assert names == ["bert", "efficientnetb0", "lstm", "mlp", "mobilenetv2", "resnet50", "unet"], names
    for name in ("mlp", "lstm", "mobilenetv2"):
        row, = cases(place, MODELS / f"{name}.json", "--device", "cpu", "--runs", 1, env={**os.environ, "TMPDIR": str(temporary)})
        check(row)
        assert not list(temporary.iterdir())


@test
def tune_times_and_remembers(place):
    env, cache = host_plugin(place), place / "plans"

    def rows(*arguments):
        return [json.loads(line) for line in place.run("tune", DIGITS, "--batch", "1,40", "--cache", cache, "--json", *arguments, env=env)[0].splitlines()]

    first, second = rows(), rows()
    assert first and {r["batch"] for r in first} == {1, 40}, first
    assert all(r["source"] == "timed" and 0 <= r["way"] < r["ways"] and r["steps"] > 0 and 0 < r["best_ms"] <= r["guess_ms"] and r["name"] for r in first), first
    assert [(r["problem"], r["way"]) for r in second] == [(r["problem"], r["way"]) for r in first] and all(r["source"] == "known" for r in second)
    assert all(r["source"] == "timed" for r in rows("--precision", "tf32") if r["problem"].startswith("product")), "another precision is another problem"
    says(place.run("tune", DIGITS, "--cache", cache, env=env)[0], "known", "product float32")
    says(place.run("tune", DIGITS, "--cache", "/proc/none", env=env, code=1)[1], "/proc/none")
    for arguments, words in ((["--device", "cpu"], "'cpu'"), (["--batch", "0"], "'0'"), (["--precision", "fp8"], "fp8"), (["--seconds", "0"], "'0'")):
        says(place.run("tune", DIGITS, *arguments, env=env, code=2)[1], words)
    says(place.run("tune", DIGITS, "--device", "cuda:9", env=env, code=1)[1], "cuda:9")


@test
def one_table_of_models_and_devices(place):
    """bench/run, with a peer that is not there."""
    env, out = host_plugin(place), place / "table"
    command = [sys.executable, ROOT / "bench" / "run", "--build", pathlib.Path(place.program).parent.parent, "--models", "mlp,lstm", "--device", "cpu,cuda",
               "--batch", "1", "--runs", "1", "--precision", "strict,bf16", "--peers", "jax", "--python", "/bin/false", "--out", out]
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=200)
    assert done.returncode == 0, done.stderr
    table = json.loads((place / "table.json").read_text())
    found = [(c["model"], c["device"], c["precision"], c["tensors"]) for c in table["cases"]]
    assert found == [(m, *rest) for m in ("mlp", "lstm") for rest in (
        ("cpu", "strict", "host"), *(("cuda", p, t) for p in ("strict", "bf16") for t in ("host", "device")))], found
    text = (place / "table.md").read_text()
    assert text.count("| mlp |") == text.count("| lstm |") == 5 and table["machine"]["commit"] in text and "cuda:0 (host execution)" in text, text
    assert subprocess.run([*command[:4], "--models", "nothing"], capture_output=True).returncode == 1


@test
def weights_are_those_of_numpy(place):
    if not place.venv:
        raise Skip("no --venv")
    spec = importlib.util.find_spec("numpy") if place.venv == sys.executable else True
    if spec is None or subprocess.run([place.venv, "-c", "import numpy"], capture_output=True).returncode:
        raise Skip("numpy is not there")
    for name, seed in (("mlp", 0), ("mlp", 2**63 + 12345), ("lstm", 7), ("mobilenetv2", 1)):
        model, ours, theirs = place / "made.keras", place / "ours.npz", place / "theirs.npz"
        cases(place, MODELS / f"{name}.json", "--device", "cpu", "--runs", 1, "--seed", seed, "--save", model, "--overwrite")
        place.run("convert", model, ours, "--overwrite")
        subprocess.run([place.venv, ROOT / "bench" / "weights.py", MODELS / f"{name}.json", str(seed), theirs], check=True)
        script = ("import sys, numpy as np; a, b = np.load(sys.argv[1]), np.load(sys.argv[2]); "
                  "assert sorted(a.files) == sorted(b.files), set(a.files) ^ set(b.files); "
                  "bad = [k for k in a.files if a[k].astype('f4').tobytes() != b[k].tobytes()]; assert not bad, bad; "
                  "assert all(np.isfinite(a[k]).all() for k in a.files); print(len(a.files))")
        done = subprocess.run([place.venv, "-c", script, ours, theirs], capture_output=True, text=True)
        assert done.returncode == 0 and int(done.stdout) > 4, f"{name} {seed}: {done.stderr.strip()[-300:]}"


if __name__ == "__main__":
    run_all("bench", TESTS)
