"""Installs the library into an empty prefix, moves it, and builds a user's program against it in every way there is.

use.c is built by pkg-config and by find_package, as C and as C++, with the shared and the static library, and run on the
demonstration's model. All must print what Keras computes for a blank picture, and save a copy of the model.
"""
import argparse
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
HERE = ROOT / "tests" / "install"
MODEL = ROOT / "tools" / "demo_model" / "digits.keras"
# Keras's probabilities for a picture of zeros; train.py writes them.
EXPECTED = [float(line) for line in (ROOT / "tools" / "demo_model" / "blank.txt").read_text().split()]
TOLERANCE = 1e-5


class Failed(Exception):
    pass


def run(*command, env=None, cwd=ROOT):
    try:
        done = subprocess.run([str(part) for part in command], cwd=cwd, env={**os.environ, **(env or {})},
                              capture_output=True, text=True)
    except OSError as error:
        raise Failed(str(error)) from error
    if done.returncode:
        raise Failed(f"{command[0]} exited with {done.returncode}: {(done.stderr or done.stdout).strip()[-400:]!r}")
    return done.stdout


def check(name, function):
    try:
        function()
        print(f"PASS {name}", flush=True)
    except Failed as error:
        print(f"FAIL {name}: {error}", flush=True)


def run_program(program, env, work):
    """Runs a built use.c and compares what it prints."""
    copy = work / f"{program.name}.keras"
    scores = [float(line) for line in run(program, MODEL, copy, env=env).split()]
    if len(scores) != len(EXPECTED) or max(abs(a - b) for a, b in zip(scores, EXPECTED)) > TOLERANCE:
        raise Failed(f"it printed {scores}, Keras computes {EXPECTED}")
    if not copy.exists():
        raise Failed("it saved no copy of the model")


def by_pkg_config(language, static, prefix, env, work):
    program = work / f"pkg_{language}_{'static' if static else 'shared'}"
    flags = run("pkg-config", *(["--static"] if static else []), "--cflags", "--libs", "cornu", env=env).split()
    if static:  # by its name, as -lcornu would take the shared one
        flags = [str(next(prefix.glob("lib*/**/libcornu.a"))) if flag == "-lcornu" else flag for flag in flags]
    compiler = ["cc", "-std=c11", "-x", "c"] if language == "c" else ["c++", "-std=c++17", "-x", "c++"]
    run(*compiler, "-Wall", "-Wextra", "-pedantic", "-Werror", HERE / "use.c", "-x", "none", "-o", program, *flags)
    run_program(program, env, work)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build/test")
    parser.add_argument("--corpora")
    parser.add_argument("--venv")
    build = ROOT / parser.parse_args().build

    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        run("cmake", "--install", build, "--prefix", work / "first")
        prefix = (work / "first").rename(work / "prefix")
        library = next(prefix.glob("lib*/**/libcornu.so")).parent
        env = {"PKG_CONFIG_PATH": str(library / "pkgconfig"), "LD_LIBRARY_PATH": str(library)}
        for language in ("c", "cc"):
            for static in (False, True):
                check(f"pkg-config {language} {'static' if static else 'shared'}",
                      lambda: by_pkg_config(language, static, prefix, env, work))
        check("find_package configures and builds", lambda: (
            run("cmake", "-S", HERE, "-B", work / "build", f"-DCMAKE_PREFIX_PATH={prefix}", "-DCMAKE_BUILD_TYPE=Release"),
            run("cmake", "--build", work / "build")))
        for language in ("c", "cc"):
            for kind in ("cornu", "static"):
                check(f"find_package {language} {kind}",
                      lambda: run_program(work / "build" / f"use_{language}_{kind}", env, work))
    return 0


if __name__ == "__main__":
    sys.exit(main())
