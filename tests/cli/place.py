"""Where a test of the command line runs: a folder with small models and arrays, the program, and a terminal."""
import argparse
import json
import os
import pathlib
import pty
import select
import subprocess
import tempfile

import files

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
DIGITS = ROOT / "tools" / "demo_model" / "digits.keras"
PICTURE = sorted((ROOT / "tools" / "demo_model" / "pictures").glob("*.png"))[0]
SAMPLES = ROOT / "tests" / "keras" / "samples"


class Skip(Exception):
    """A test cannot run here."""


class Place:
    """A folder with the models and arrays that the tests share, and the program."""

    def __init__(self, program, venv, folder):
        self.program, self.venv, self.folder = program, venv, folder
        self.rgb, self.two, self.line = self / "rgb.keras", self / "two.keras", self / "line.keras"
        source = SAMPLES / "sequential.keras"
        files.edit_keras(source, self.rgb, lambda _: files.passing(4, 6, 3))
        files.edit_keras(source, self.two, lambda _: files.crossing())
        files.edit_keras(source, self.line, lambda _: files.passing(2))
        self.ten = self / "ten.npy"
        self.ten.write_bytes(files.npy("<f4", (5, 2), range(10)))
        self.both = self / "both.npz"
        files.write_npz(self.both, alpha=files.npy("<f4", (2, 2), [-1, 2, 3, 4]), beta=files.npy("<f4", (2, 2), [5, 6, 7, 8]))

    def __truediv__(self, name):
        return self.folder / name

    def run(self, *arguments, code=0, **more):
        done = subprocess.run([self.program, *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=120, cwd=self.folder, **more)
        out, err = done.stdout.decode(), done.stderr.decode()
        assert done.returncode == code, f"{arguments}: exit {done.returncode}, not {code}: {err.strip()}"
        assert "\x1b" not in err and "\r" not in err, f"terminal codes without a terminal: {err!r}"
        if code == 5:
            assert out.strip(), f"{arguments}: exit 5 without a finding"
        elif code:
            assert err.strip(), f"{arguments}: exit {code} without a word"
            assert not out, f"{arguments}: failed, but printed {out[:80]!r}"
        return out, err

    def json(self, *arguments, code=0):
        return json.loads(self.run(*arguments, "--json", code=code)[0], parse_constant=lambda name: 1 / 0)

    def values(self, model, given, *options):
        return [row["values"] for row in self.json("predict", model, "--input", given, *options)["outputs"]]


def says(err, *words):
    for word in words:
        assert word in err, f"{word!r} is not in {err!r}"


def at_terminal(place, *arguments, answer=b"", out=None):
    """Runs with all three streams on a terminal, or standard output in the file out. Returns the code and what appeared."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ["TERM"] = "xterm"
        os.chdir(place.folder)
        if out:
            os.dup2(os.open(out, os.O_WRONLY | os.O_CREAT, 0o600), 1)
        os.execv(place.program, [place.program, *map(str, arguments)])
    seen = b""
    while select.select([terminal], [], [], 60)[0]:
        try:
            part = os.read(terminal, 65536)
        except OSError:
            break
        if not part:
            break
        seen += part
        if answer and b"[y/N]" in seen:
            os.write(terminal, answer)
            answer = b""
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), seen.decode()


def run_all(prefix, tests):
    """Runs each test in a Place of its own, and prints PASS name, FAIL name: reason or SKIP name: reason."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("--corpora")
    parser.add_argument("--venv")
    options = parser.parse_args()
    program = (pathlib.Path(options.build) / "tools" / "cornu").resolve()
    for function in tests:
        name = f"{prefix}.{function.__name__}"
        if not program.exists():
            print(f"SKIP {name}: {program.name} is not built")
            continue
        with tempfile.TemporaryDirectory() as folder:
            try:
                function(Place(str(program), options.venv, pathlib.Path(folder)))
                print(f"PASS {name}", flush=True)
            except Skip as reason:
                print(f"SKIP {name}: {reason}", flush=True)
            except Exception as error:
                text = " ".join(f"{type(error).__name__}: {error}".split())
                print(f"FAIL {name}: {text[:600]}", flush=True)
