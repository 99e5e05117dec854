"""The driver code and the kernels' host execution compile against the headers of CUDA 12.6 too, the oldest that is served (JetPack 6)."""
import argparse
import concurrent.futures
import os
import pathlib
import subprocess
import sys
import tempfile

import cuda_headers

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
VERSION = "12.6"
WARNINGS = ["-Wall", "-Wextra", "-Werror"]
C = ["cc", "-std=c11", "-D_GNU_SOURCE", "-Wconversion", *WARNINGS]
CXX = ["c++", "-std=c++17", "-D_GNU_SOURCE", "-DCN_HOST_EXECUTION=1", *WARNINGS]


def commands(headers, folder):
    """(file, command) for every file that sees a CUDA header."""
    includes = ["-I.", "-Iinclude", "-Isrc", "-isystem", str(headers), "-fsyntax-only"]
    for path in sorted(ROOT.glob("src/backend/cuda/*.c")):
        yield path, [*C, *includes, str(path)]
    for path in sorted(ROOT.glob("kernels/host/*.cc")):
        yield path, [*CXX, *includes, str(path)]
    for path in sorted(ROOT.glob("kernels/*.cu")):
        wrapper = pathlib.Path(folder) / f"{path.stem}.cc"  # nvcc's language is C++ with <<<>>>, which kernels do without
        wrapper.write_text(f'#include "kernels/{path.name}"\n')
        yield path, [*CXX, *includes, str(wrapper)]


def check(task):
    path, command = task
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return path.relative_to(ROOT), done.returncode, done.stderr


def main():
    parser = argparse.ArgumentParser()
    for option in ("--build", "--corpora", "--venv"):
        parser.add_argument(option)
    parser.parse_args()
    try:
        headers = cuda_headers.install(VERSION, ROOT / ".venv" / "cuda-headers" / VERSION)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"SKIP headers of CUDA {VERSION}: the packages could not be had ({error})")
        return 0
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        for path, code, text in pool.map(check, list(commands(headers, folder))):
            if code:
                lines = [line for line in text.splitlines() if "error" in line] or text.splitlines()[-1:]
                print(f"FAIL {path}: {lines[0] if lines else 'the compiler failed'}")
                print(text, file=sys.stderr)
            else:
                print(f"PASS {path} against CUDA {VERSION}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
