"""Makes the bundle of bench/gpu_check and runs it, on host execution, from an empty folder: with nothing of this machine but glibc and the tools of
a small system, and with things missing.

PASS name, FAIL name: reason or SKIP name: reason for each test. Needs Python and binutils."""
import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TESTS = []
TOOLS = ("bash", "awk", "timeout", "date", "mkdir", "mktemp", "rm", "cat", "head", "tail", "tr", "sed", "grep", "sort", "cut", "tee", "ls", "basename",
         "dirname", "uname", "nproc", "find", "sleep")
RESULTS = {"summary.md", "device.json", "conformance.json", "bench.json", "rates.json", "profiles.json", "peers.json", "log.txt"}


class Skip(Exception):
    pass


def test(function):
    TESTS.append(function)
    return function


class Bundle:
    """The small bundle, unpacked in a folder of its own; programs that run without this shell's environment."""

    def __init__(self, build, folder, python):
        self.build, self.folder, self.python = build, folder, python
        archive = folder / "bundle.tar.gz"
        done = subprocess.run([ROOT / "bench" / "gpu_check", "--build", build, "--small", "--fast", "--out", archive], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr or done.stdout
        self.said, self.bytes = done.stdout, archive.stat().st_size
        with tarfile.open(archive) as tar:
            self.names = tar.getnames()
            tar.extractall(folder)
        self.top = folder / "cornu-gpu-check"
        self.plugin = self.top / "lib" / "libcornu_cuda_host.so"
        self.cudnn = build / "tests" / "libcudnn_stand_in.so"
        shutil.copy(build / "tests" / "gpu_replay_stand_in", self.top / "bin" / "gpu_replay")

    def environment(self, **more):
        return {"PATH": "/usr/bin:/bin", "CORNU_CUDA_LIBRARY": str(self.plugin), "CORNU_CUBLASLT_LIBRARY": "none",
                "CORNU_CUDNN_LIBRARY": str(self.cudnn), "CORNU_PYTHON": "nopython", **more}

    def run(self, out, *options, code=0, **more):
        """Runs the bundle; returns what it printed and its results by name."""
        done = subprocess.run([self.top / "run", "--out", out, *options], cwd=self.folder, env=self.environment(**more), capture_output=True, text=True,
                              timeout=300, stdin=subprocess.DEVNULL)
        assert done.returncode == code, f"exit {done.returncode}, not {code}: {done.stdout[-1500:]} {done.stderr[-500:]}"
        return done.stdout, results(out)


def results(folder):
    found = {path.name: path.read_text() for path in folder.iterdir()}
    return {name: json.loads(text) if name.endswith(".json") else text for name, text in found.items()}


def elf_files(folder):
    return [path for path in folder.rglob("*") if path.is_file() and path.read_bytes()[:4] == b"\x7fELF"]


@test
def everything_that_is_loaded_is_in_the_bundle(bundle):
    glibc = re.compile(r"^(ld-linux[-\w.]*|lib(c|m|dl|rt|pthread|resolv|util))\.so\.\d+$")
    held = {path.name for path in (bundle.top / "lib").rglob("*.so*")}
    assert {"libcornu.so.0", "libcornu_cuda_host.so"} <= held, held
    for path in elf_files(bundle.top):
        text = subprocess.run(["readelf", "-d", path], capture_output=True, text=True, check=True).stdout
        lacking = [name for name in re.findall(r"\(NEEDED\).*\[(.*)\]", text) if name not in held and not glibc.match(name)]
        assert not lacking, f"{path.name} needs {lacking}"
    assert not [name for name in held if glibc.match(name)], "glibc must be the machine's"
    assert bundle.bytes < 50e6 and re.search(r"glibc 2\.\d+ or newer", bundle.said), bundle.said
    assert all(name.startswith("cornu-gpu-check/") and ".." not in name for name in bundle.names)


def check_answers(rows):
    """What the programs of the stage questions measured: each way of a problem, each chain, each program."""
    ways = [r for r in rows if r["question"] == "ways" and r["problem"] == "dense"]
    assert [r["way"] for r in ways] == list(range(ways[0]["ways"])) and len({r["name"] for r in ways}) > 1 and all(r["us"] > 0 for r in ways), ways
    assert {r["problem"] for r in rows if r["question"] == "ways"} == {"dense", "depthwise", "conv", "lstm", "attention"}, rows
    assert sorted(r["machine"] for r in rows if r["question"] == "program") == [False, True], rows
    chains = [(r["kernels"], r["programmatic"], r["programmatic_edges"]) for r in rows if r["question"] == "replay"]
    assert chains == [(n, p, n - 1 if p else 0) for p in (False, True) for n in (1, 10, 50, 100)] or {edges for *_, edges in chains} == {-1}, chains
    assert [(r["ops"], r["dtype"]) for r in rows if r["question"] == "fused"] == [(n, t) for t in ("float32", "bfloat16") for n in (2, 4, 8, 12)], rows


def check_results(found):
    assert set(found) == RESULTS and len(found) <= 8, set(found)
    device = found["device.json"]
    assert device["device"] == "cuda:0 (host execution)" and device["info"]["backend"] == "cuda" and len(device["about"]["commit"]) >= 7, device
    small = [row for row in found["conformance.json"] if row["pack"] == "small"]
    assert small and all(row["passed"] > 50 and row["failed"] == 0 and row["exit"] == 0 for row in small), small
    kernels = [row for row in found["conformance.json"] if row["pack"] == "kernels"]
    assert not kernels or kernels[0]["passed"] > 0 and kernels[0]["exit"] == 0, kernels
    models = [row for row in found["conformance.json"] if row["pack"] == "models"]
    assert [(row["passed"], row["failed"], row["exit"]) for row in models] == [(5, 0, 0)], models
    rows = found["bench.json"]
    assert {(r["device"], r["tensors"], r["batch"]) for r in rows} == {("cpu", "host", 1), ("cpu", "host", 2)} | {
        ("cuda", t, n) for t in ("host", "device") for n in (1, 2)}, rows
    models = [r["model"] for r in found["rates.json"] if "model" in r]
    assert set(models) == {"rates/softmax", *(f"rates/chain_{n}" for n in (1, 10, 50, 100))}, models
    check_answers([r for r in found["rates.json"] if "question" in r])
    assert found["profiles.json"][-1]["profile"], "no profile"
    summary = found["summary.md"]
    for words in ("| small |", "| mlp | cuda |", "| 50 | true | 49 |", "| dense 2 x 40 by 40 x 13 | float32 |", "| relu(x + z) | float32 |", "| 12 | bfloat16 |", "| rates/chain_100 |", "| rates/softmax | 16 | default | softmax |", "## Peers", "from the device's description alone: not tried", "0 checks failed"):
        assert words in summary, f"{words!r} is not in the summary"


@test
def runs_from_an_empty_folder(bundle):
    said, found = bundle.run(bundle.folder / "plain", "--quick")
    check_results(found)
    for lacking in ("nvidia-smi: not found", "peers: there is no nopython"):
        assert lacking in said and lacking in found["summary.md"], f"{lacking!r} is not said"


def small_system(folder):
    """A root with glibc and a few tools, and nothing else."""
    for name in TOOLS:
        path = shutil.which(name)
        if not path:
            raise Skip(f"there is no {name}")
        target = folder / "usr" / "bin" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
        for library in re.findall(r"(/\S+)(?= \()", subprocess.run(["ldd", path], capture_output=True, text=True).stdout):
            place = folder / library.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            if not place.exists():
                shutil.copy(library, place)
    for name in ("libm.so.6", "libdl.so.2", "librt.so.1", "libpthread.so.0", "libresolv.so.2"):
        for place in pathlib.Path("/").glob(f"lib/*/{name}"):
            target = folder / str(place).lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                shutil.copy(place, target)
    (folder / "bin").symlink_to("usr/bin")
    for name in ("tmp", "dev", "proc"):
        (folder / name).mkdir()
    (folder / "dev" / "null").write_bytes(b"")


@test
def runs_where_there_is_only_glibc(bundle):
    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)
        small_system(root)
        shutil.copytree(bundle.top, root / "cornu-gpu-check")
        chroot = shutil.which("chroot", path="/usr/sbin:/usr/bin:/sbin:/bin") or "chroot"
        change = [chroot, root] if os.geteuid() == 0 else ["/usr/bin/unshare", "-r", chroot, root]
        if subprocess.run([*change, "/usr/bin/bash", "-c", "exit 0"], capture_output=True).returncode:
            raise Skip("this user may not change the root folder")
        plugin = "/cornu-gpu-check/lib/libcornu_cuda_host.so"
        done = subprocess.run([*change, "/usr/bin/bash", "/cornu-gpu-check/run", "--quick", "--out", "/results"], capture_output=True, text=True, timeout=300,
                              env={"PATH": "/usr/bin:/bin", "CORNU_CUDA_LIBRARY": plugin, "CORNU_CUBLASLT_LIBRARY": "none"}, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, f"exit {done.returncode}: {done.stdout[-1000:]} {done.stderr[-500:]}"
        check_results(results(root / "results"))


@test
def without_a_device_it_says_why(bundle):
    out = bundle.folder / "none"
    said, found = bundle.run(out, "--quick", code=1, CORNU_CUDA_LIBRARY="/nowhere/plug.so")
    assert "/nowhere/plug.so" in said and "/nowhere/plug.so" in found["summary.md"], said
    assert found["device.json"]["device"] == "" and found["bench.json"] == [] and "1 checks failed" in found["summary.md"], found["summary.md"]


@test
def cudnn_describes_the_device(bundle):
    """Its JSON is among the results, or the reason why not."""
    _, found = bundle.run(bundle.folder / "described", "--only", "device")
    assert found["device.json"]["cudnn_device"] == {"name": "a stand-in", "sm": 90}, found["device.json"]
    for mode, words in (("old", "older than 9.8"), ("blind", "cannot look at the device"), ("text", "no object of JSON")):
        _, found = bundle.run(bundle.folder / mode, "--only", "device", CORNU_CUDNN_STAND_IN=mode)
        assert found["device.json"]["cudnn_device"] is None and words in found["summary.md"], (mode, found["summary.md"])
    said, found = bundle.run(bundle.folder / "lacking", "--only", "device", CORNU_CUDNN_LIBRARY="none")
    assert found["device.json"]["cudnn_device"] is None and "libcudnn.so.9: not found" in said, said


@test
def what_does_not_measure_is_named(bundle):
    """Chains that add up wrongly, a device before programmatic launches, a program that is missing."""
    def questions(name, **more):
        _, found = bundle.run(bundle.folder / name, "--quick", "--only", "device,questions", **more)
        return found["summary.md"], found["log.txt"], [r for r in found["rates.json"] if r.get("question") == "replay"]

    summary, _, rows = questions("forgetful", REPLAY_STAND_IN="forget")
    assert "gpu_replay: exit 1, a chain of 1 kernels" in summary and not rows, summary
    summary, log, rows = questions("older", REPLAY_STAND_IN="old")
    assert "needs compute capability 9.0" in log and [r["programmatic"] for r in rows] == [False] * 4, log
    (bundle.top / "bin" / "gpu_replay").rename(bundle.folder / "gpu_replay")
    try:
        summary, _, rows = questions("without")
    finally:
        (bundle.folder / "gpu_replay").rename(bundle.top / "bin" / "gpu_replay")
    assert "gpu_replay is not in this bundle" in summary and "| relu(x + z) | float32 |" in summary, summary


@test
def answers_about_cudnn_are_in_the_tables(bundle):
    """In place of gpu_dnn, which needs a GPU: what it prints."""
    program = bundle.top / "bin" / "gpu_dnn"
    kept = program.read_bytes() if program.exists() else None
    lines = ({"question": "deviceless", "problem": "conv 3x3 float32", "plans": 4, "loaded": 3, "same_bits": 2},
             {"question": "ways", "problem": "depthwise", "shape": "1 x 6 x 6 x 8 by 3 x 3 x 1 x 8, stride 1", "dtype": "float32", "name": "cuDNN 0", "us": 1.25})
    program.write_text("#!/bin/sh\ncat <<'EOF'\n" + "".join(json.dumps(line) + "\n" for line in lines) + "EOF\n")
    program.chmod(0o755)
    try:
        _, found = bundle.run(bundle.folder / "dnn", "--quick", "--only", "device,questions")
    finally:
        program.unlink()
        if kept:
            program.write_bytes(kept)
            program.chmod(0o755)
    summary = found["summary.md"]
    assert "conv 3x3 float32: 4 made, 3 read from text and run, 2 with the bits" in summary, summary
    row, = [line for line in summary.splitlines() if line.startswith("| depthwise 1 x 6 x 6 x 8 by 3 x 3 x 1 x 8")]
    own, library = row.split(" | ")[2:4]
    assert library == "1.25" and float(own) > 0, row


@test
def wrong_results_are_a_failure(bundle):
    """A pack whose expected outputs differ."""
    pack = bundle.top / "packs" / "small.pack"
    good = pack.read_bytes()
    try:
        pack.write_bytes(good[:-64] + b"\x40" * 64)
        said, found = bundle.run(bundle.folder / "wrong", "--quick", "--only", "device,conformance", code=1)
    finally:
        pack.write_bytes(good)
    assert "FAILED: conformance small" in found["summary.md"], said
    assert any(row["failed"] for row in found["conformance.json"])


@test
def time_limits_hold(bundle):
    said, found = bundle.run(bundle.folder / "late", "--quick", "--limit", "1")
    assert "the time is over" in said and "the time is over" in found["summary.md"], said
    assert subprocess.run([bundle.top / "run", "--nonsense"], capture_output=True).returncode == 2
    assert "--limit SECONDS" in subprocess.run([bundle.top / "run", "--help"], capture_output=True, text=True).stdout


@test
def large_packs_are_thinned_out(bundle):
    """Cases go until the bundle fits; what is left is a pack that runs."""
    packs = bundle.folder / "packs"
    packs.mkdir()
    shutil.copy(ROOT / "tests" / "conform" / "small_sequences.pack", packs / "sequences.pack")
    archive = bundle.folder / "limited.tar.gz"
    command = [ROOT / "bench" / "gpu_check", "--build", bundle.build, "--packs", packs, "--fast", "--out", archive, "--limit-mb"]
    whole = subprocess.run([*command, "100"], capture_output=True, text=True)
    kept, of = map(int, re.search(r"sequences: (\d+) of (\d+) cases", whole.stdout).groups())
    assert kept == of > 10, whole.stdout
    room = archive.stat().st_size / 1e6 - 0.02
    done = subprocess.run([*command, f"{room:.3f}"], capture_output=True, text=True)
    kept = int(re.search(r"sequences: (\d+) of", done.stdout).group(1))
    assert done.returncode == 0 and 0 < kept < of and archive.stat().st_size <= room * 1e6, (kept, of, done.stderr)
    with tarfile.open(archive) as tar:
        (packs / "thin.pack").write_bytes(tar.extractfile("cornu-gpu-check/packs/sequences.pack").read())
    ran = subprocess.run([bundle.build / "tests" / "conform_runner", packs / "thin.pack", "--device", "cpu"], capture_output=True, text=True)
    assert ran.returncode == 0 and ran.stdout.count("PASS") == kept, ran.stdout[-300:]
    refused = subprocess.run([*command, "1"], capture_output=True, text=True)
    assert refused.returncode == 1 and "1 are allowed" in refused.stderr, refused.stderr


@test
def peers_compute_the_same(bundle):
    """What the interpreters of bench/peers.py make of the models: pictures, products and a recurrence, in ONNX Runtime and JAX."""
    python, outputs = bundle.python, {}
    if subprocess.run([python, "-c", "import jax, onnx, onnxruntime"], capture_output=True).returncode:
        raise Skip("the Python that runs the tests has no jax, onnx or onnxruntime")
    for peer in ("jax", "onnxruntime"):
        outputs[peer] = bundle.folder / f"{peer}.npz"
        done = subprocess.run([python, bundle.top / "bench" / "peers.py", peer, bundle.top / "models", "--models", "mlp,lstm,mobilenetv2", "--outputs", outputs[peer]],
                              capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, f"{peer}: {done.stderr[-800:]}"
    compare = ("import sys, numpy as np\na, b = map(np.load, sys.argv[1:])\nassert sorted(a) == sorted(b) == ['lstm', 'mlp', 'mobilenetv2']\n"
               "for k in a: assert np.linalg.norm(a[k] - b[k]) < 1e-4 * np.linalg.norm(b[k]), k\n")
    done = subprocess.run([python, "-c", compare, *outputs.values()], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-500:]


@test
def peers_without_a_gpu_are_named(bundle):
    """One that is installed and knows of no GPU, and one that is not installed, are notes and nothing else."""
    if subprocess.run([bundle.python, "-c", "import jax; raise SystemExit(jax.default_backend() != 'cpu')"], capture_output=True).returncode:
        raise Skip("the Python that runs the tests has no jax, or a GPU")
    said, found = bundle.run(bundle.folder / "peers", "--quick", "--only", "device,peers", CORNU_PYTHON=str(bundle.python))
    assert "jax: stopped or failed, 0 cases measured; jax knows of no GPU here" in found["summary.md"], said
    assert found["peers.json"] == [], found["peers.json"]


@test
def tests_of_a_machine_with_a_gpu_are_rehearsed(bundle):
    """tests/gpu/run_gpu.py, which is skipped wherever there is no GPU, on host execution: a few cases in every precision, and kernels."""
    command = [sys.executable, ROOT / "tests" / "gpu" / "run_gpu.py", "--build", bundle.build, "--only", "Softmax"]
    done = subprocess.run(command, env={**os.environ, "CORNU_GPU_LIBRARY": str(bundle.build / "libcornu_cuda_host.so")}, capture_output=True, text=True, timeout=300)
    for name in ("strict.Softmax", "default.Softmax", "tf32.Softmax", "bf16.Softmax", "fp16.Softmax", "CudaSoftmax.Shapes"):
        assert f"PASS gpu.{name}" in done.stdout, (name, done.stdout, done.stderr[-500:])
    assert done.returncode == 0 and "FAIL" not in done.stdout and "Host" not in done.stdout, done.stdout
    done = subprocess.run(command, env={**os.environ, "CORNU_GPU_LIBRARY": "/nowhere/plug.so"}, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stdout == "SKIP gpu: there is no plug.so; it needs nvcc\n", done.stdout


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("--corpora")
    parser.add_argument("--venv")
    args = parser.parse_args()
    build = pathlib.Path(args.build).resolve()
    needed = ("tools/cornu", "libcornu_cuda_host.so", "tests/conform_runner", "tests/gpu_replay_stand_in", "tests/libcudnn_stand_in.so")
    lacking = [name for name in needed if not (build / name).exists()]
    with tempfile.TemporaryDirectory() as folder:
        bundle = None
        for function in TESTS:
            name = f"gpu_check.{function.__name__}"
            if lacking:
                print(f"SKIP {name}: {lacking[0]} is not built")
                continue
            try:
                bundle = bundle or Bundle(build, pathlib.Path(folder), args.venv or sys.executable)
                function(bundle)
                print(f"PASS {name}", flush=True)
            except Skip as reason:
                print(f"SKIP {name}: {reason}", flush=True)
            except Exception as error:
                text = " ".join(f"{type(error).__name__}: {error}".split())
                print(f"FAIL {name}: {text[:800]}", flush=True)


if __name__ == "__main__":
    main()
