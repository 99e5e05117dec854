"""Holds the tree to its structure: who includes whom, what is exported, how long things are. Needs only Python.

Reads the tree and libcornu.so of the build folder. One line a check, "PASS name" or "FAIL name: reason", with the
places as FILE:LINE on lines of their own before it.
"""
import argparse
import fnmatch
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
FILE_LINES = 800
FUNCTION_LINES = 120
CUDA_HEADERS = re.compile(r"(cuda|cu(blas|blasLt|dnn|rand|solver|sparse|fft)|nvrtc|nvml|nvJitLink|mma|cooperative_groups)\w*(\.h|/)")
MACHINE_PATHS = re.compile(r"(?<![\w.$}*-])/(work|root|home|farm|mnt|tmp/bash_jobs)/")


def files(*patterns):
    """The tree's files that match a pattern, ignored ones aside, relative to its root."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "--", *patterns], cwd=ROOT,
                            capture_output=True, text=True, check=True).stdout.splitlines()
    return [name for name in listed if (ROOT / name).is_file()]


def read(name):
    return (ROOT / name).read_text(errors="replace")


# ---- Includes ------------------------------------------------------------------------------------------------------


def layers():
    """tests/layers.txt as {folder: [allowed]}."""
    table = {}
    for line in read("tests/layers.txt").splitlines():
        line = line.partition("#")[0].strip()
        if line:
            folder, _, allowed = line.partition(":")
            table[folder.strip()] = allowed.split()
    return table


def folder_of(name, table):
    """The row of a file: src/backend/cpu/ref.c belongs to backend/cpu, src/backend/plan.c to backend."""
    path = name.removeprefix("src/")
    while "/" in path:
        path = path.rpartition("/")[0]
        if path in table:
            return path
    return None


def may_include(folder, target, table):
    """Whether a file of folder may include target, a path as written in #include "...". """
    if target == "cornu.h":
        return True
    if "/" not in target: # beside the file itself
        return True
    owner = folder_of("src/" + target, table)
    for allowed in table[folder]:
        if owner == allowed or target == allowed or ("*" in allowed and fnmatch.fnmatch(target, allowed)):
            return True
    return owner == folder and folder not in ("kernels", "tools")


def check_includes():
    table = layers()
    for name in files("src", "kernels", "tools"):
        if not name.endswith((".c", ".h", ".cc", ".cu", ".cuh", ".def")):
            continue
        folder = folder_of(name, table)
        if folder is None:
            yield f"{name}:1: its folder has no row in tests/layers.txt"
            continue
        for number, line in enumerate(read(name).splitlines(), 1):
            found = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
            if not found:
                continue
            kind, target = found.groups()
            if CUDA_HEADERS.match(target) and "cuda" not in table[folder] and not (ROOT / "src" / target).exists():
                yield f"{name}:{number}: {folder} includes CUDA's {target}"
            if kind != '"':
                continue
            beside = (pathlib.Path(name).parent / target).as_posix()
            if "/" in target and (folder in ("kernels", "tools")) and (ROOT / beside).is_file() and ".." not in target:
                continue
            if ".." in target or not may_include(folder, target, table):
                yield f"{name}:{number}: {folder} may not include {target}"
            elif "/" not in target and target != "cornu.h" and not (ROOT / beside).is_file():
                yield f"{name}:{number}: {target} is not beside this file; includes are written from src/"


# ---- The library ---------------------------------------------------------------------------------------------------


def declared():
    """Names of the functions that include/cornu.h declares CORNU_API."""
    text = re.sub(r"/\*.*?\*/", "", read("include/cornu.h"), flags=re.S)
    text = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    return set(re.findall(r"CORNU_API\b[^;{]*?\b(cornu_\w+)\s*\(", text))


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def check_exports(library):
    exported = {line.split()[-1].partition("@")[0] for line in run("nm", "-D", "--defined-only", library).splitlines()}
    names = declared()
    for name in sorted(names - exported):
        yield f"include/cornu.h: {name} is declared, libcornu.so lacks it"
    for name in sorted(exported - names):
        yield f"include/cornu.h: libcornu.so exports {name}, which is not declared"


def check_needed(library):
    for line in run("readelf", "-d", "-W", library).splitlines():
        found = re.search(r"\(NEEDED\).*\[(.*)\]", line)
        if found and re.match(r"lib(cuda|cu(blas|dnn|rand|fft|solver|sparse)|nv)", found.group(1)):
            yield f"libcornu.so needs {found.group(1)}"


# ---- Headers -------------------------------------------------------------------------------------------------------


def check_headers(language, compiler, flags):
    """Every header compiles as the only include of a file."""
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder) / f"alone.{'c' if language == 'C11' else 'cc'}"
        for name in files("include/*.h", "src/*.h", "tools/*.h"):
            if name.startswith("src/backend/cuda/"):
                continue
            include = name.split("/", 1)[1] if name.startswith(("src/", "include/")) else str(ROOT / name)
            source.write_text(f'#include "{include}"\nint alone(void);\n')
            done = subprocess.run([compiler, *flags, "-fsyntax-only", "-Wall", "-Wextra", "-D_GNU_SOURCE", "-Werror",
                                   f"-I{ROOT}/include", f"-I{ROOT}/src", str(source)], capture_output=True, text=True)
            if done.returncode:
                first = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr[:200])
                yield f"{name}:1: as {language}: {first}"


# ---- Sizes and shape -----------------------------------------------------------------------------------------------

SOURCES = ("src/*.c", "src/*.h", "kernels/*", "tools/*.c", "tools/*.h", "include/*.h")


def check_file_lengths():
    for name in files(*SOURCES):
        text = read(name)
        lines = text.count("\n")
        if lines > FILE_LINES and "why this file is long" not in text[:2000].lower():
            yield f"{name}:{lines}: {lines} lines; above {FILE_LINES}, split it or say at the top \"Why this file is long: ...\""


def check_function_lengths():
    names = [name for name in files(*SOURCES) if name.endswith((".c", ".h", ".cu"))]
    tags = subprocess.run(["ctags", "-L", "-", "--languages=C,C++,CUDA", "--langmap=CUDA:+.cu", "--kinds-C=f", "--kinds-C++=f", "--kinds-CUDA=f",
                           "--fields=+ne", "-o", "-"], cwd=ROOT, input="\n".join(names), capture_output=True,
                          text=True, check=True).stdout
    for line in tags.splitlines():
        found = re.match(r"(\w+)\t([^\t]+)\t.*\tline:(\d+).*\tend:(\d+)", line)
        if found:
            name, path, first, last = found.group(1), found.group(2), int(found.group(3)), int(found.group(4))
            if last - first + 1 > FUNCTION_LINES:
                yield f"{path}:{first}: {name} has {last - first + 1} lines, above {FUNCTION_LINES}"


def check_one_way_out():
    """In a function with a label done: no return stands between the first CN_STEP or goto done and the label."""
    for name in files("src/*.c"):
        owned, first = [], None
        for number, line in enumerate(read(name).splitlines(), 1):
            if line.startswith("}"):
                owned, first = [], None
            elif re.match(r"\s*done:", line):
                for place in owned:
                    yield f"{name}:{place}: return above the label done: of line {number}"
                owned, first = [], None
            elif re.search(r"\bCN_STEP\(|\bgoto done\b", line):
                first = first or number
            elif first and re.search(r"^[^*/\"]*(\breturn\b|\bCN_TRY\()", line):
                owned.append(number)


def check_text():
    for name in files():
        if name.endswith((".png", ".keras", ".npz", ".npy", ".h5", ".jpg")) or "/bad/" in name or name == "LICENSE":
            continue
        if name == "tests/structure/run_structure.py": # names what it looks for
            continue
        for number, line in enumerate(read(name).splitlines(), 1):
            if MACHINE_PATHS.search(line):
                yield f"{name}:{number}: a path of one machine"
            if re.search(r"\b(TODO|FIXME|XXX)\b(?!\(#\d+\))", line) and name.startswith(("src/", "kernels/", "include/", "tools/")):
                yield f"{name}:{number}: TODO without the number of an issue: TODO(#12)"


# ---- Tables --------------------------------------------------------------------------------------------------------


def check_kernels():
    """Every op that may run on a device has a family of kernels, and the family's function is there."""
    rows = re.findall(r"^CN_OP\((\w+),[^)]*?(\w+)\)", read("src/graph/op.def"), re.M)
    steps = dict(re.findall(r"\[CN_OP_(\w+)\] = (\w+)", read("src/backend/cuda/steps.c")))
    made = "".join(read(name) for name in files("src/backend/cuda/ops_*.c"))
    for op, placement in rows:
        if op in ("input", "constant", "variable") or placement == "HOST":  # not run, or not on a device
            continue
        if op not in steps:
            yield f"src/backend/cuda/steps.c: op {op} has no kernels"
        elif f"cornu_status {steps[op]}(" not in made:
            yield f"src/backend/cuda/steps.c: {steps[op]} is not there"
    if len(rows) < 30:
        yield f"src/graph/op.def: only {len(rows)} rows could be read"


# ---- Report --------------------------------------------------------------------------------------------------------


def report(name, findings):
    found = list(findings)
    for finding in found[:40]:
        print(finding)
    if found:
        print(f"FAIL {name}: {len(found)} found, first {found[0]}", flush=True)
    else:
        print(f"PASS {name}", flush=True)


def needs_host_execution(name):
    """Whether a test, or a header that it includes, reads what host execution counts and holds."""
    if name.endswith("/cuda_host.h") or name.startswith("kernels/host/"):
        return True
    return any(needs_host_execution(found) for found in re.findall(r'^#include "((?:tests|kernels)/[^"]+)"', read(name), re.M))


def check_host_suites():
    """Suites of cuda_test that look into host execution are named Host..., so that on a device all others are run."""
    for name in files("tests/backend/cuda_*_test.cc"):
        text, is_host = read(name), needs_host_execution(name)
        for found in re.finditer(r"^(?:TEST|TEST_F|TEST_P|INSTANTIATE_TEST_SUITE_P)\((\w+)", text, re.M):
            if is_host and not found.group(1).startswith("Host"):
                yield f"{name}:{text.count(chr(10), 0, found.start()) + 1}: {found.group(1)} looks into host execution: name it Host..."


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build/test")
    parser.add_argument("--corpora")
    parser.add_argument("--venv")
    library = str(ROOT / parser.parse_args().build / "libcornu.so")

    report("includes follow tests/layers.txt", check_includes())
    report("exports are what cornu.h declares", check_exports(library))
    report("libcornu.so needs no CUDA library", check_needed(library))
    report("headers compile alone as C11", check_headers("C11", "cc", ["-std=c11"]))
    report("headers compile alone as C++17", check_headers("C++17", "c++", ["-std=c++17"]))
    report(f"no file above {FILE_LINES} lines", check_file_lengths())
    if shutil.which("ctags") and "Universal" in run("ctags", "--version"):
        report(f"no function above {FUNCTION_LINES} lines", check_function_lengths())
    else:
        print(f"SKIP no function above {FUNCTION_LINES} lines: universal-ctags is not installed")
    report("functions that own have one way out", check_one_way_out())
    report("every op has CUDA kernels", check_kernels())
    report("tests of host execution are named so", check_host_suites())
    report("no machine paths, no open ends", check_text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
