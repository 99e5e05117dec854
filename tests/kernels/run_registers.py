"""Registers, shared memory, stack and spills of every kernel on every architecture, held against registers.tsv: no spill, no growth.

Reads what ptxas said when libcornu_cuda.so was built (*.cu.o.log in the build folder). The table is of one version of nvcc, which it names; built by another one
there is nothing to compare. --update writes it anew.

    kernel of file      sm_80: registers/shared/stack      sm_87      sm_90          bytes; stack without spills, which are never allowed
"""
import argparse
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TABLE = pathlib.Path(__file__).with_name("registers.tsv")
ENTRY = re.compile(r"Compiling entry function '(\S+)' for '(sm_\w+)'")
FUNCTION = re.compile(r"Function properties for (\S+)")
FRAME = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
USED = re.compile(r"Used (\d+) registers(.*)")
SHARED = re.compile(r"(\d+) bytes smem")


def read_log(path, kernels, spills):
    """Adds {(file, kernel): {sm: (registers, shared, stack)}} and [(file, function, sm, bytes)] of one .cu file."""
    name, entry, function, sm, stack = path.name.removesuffix(".o.log"), None, None, None, {}
    for line in path.read_text().splitlines():
        if found := ENTRY.search(line):
            entry, sm = found.groups()
        elif found := FUNCTION.search(line):
            function = found.group(1)
        elif found := FRAME.search(line):
            frame, stores, loads = map(int, found.groups())
            stack[function] = frame
            if stores or loads:
                spills.append((name, function, sm, stores + loads))
        elif found := USED.search(line):
            shared = SHARED.search(found.group(2))
            kernels.setdefault((name, entry), {})[sm] = (int(found.group(1)), int(shared.group(1)) if shared else 0, stack.get(entry, 0))


def readable(names):
    """{mangled: demangled}."""
    try:
        done = subprocess.run(["c++filt"], input="\n".join(names), capture_output=True, text=True, check=True)
        return dict(zip(names, done.stdout.splitlines()))
    except (OSError, subprocess.CalledProcessError):
        return {name: name for name in names}


def version_of(build):
    """What nvcc of the build folder says its version is, None if there is none."""
    cache = build / "CMakeCache.txt"
    found = re.search(r"^CMAKE_CUDA_COMPILER:\w+=(.+)$", cache.read_text(), re.M) if cache.is_file() else None
    if not found or found.group(1).endswith("NOTFOUND"):
        return None
    try:
        text = subprocess.run([found.group(1), "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    found = re.search(r"V(\d+\.\d+\.\d+)", text)
    return found.group(1) if found else None


def read_table():
    """(version of nvcc, {(file, kernel): {sm: (registers, shared, stack)}})."""
    if not TABLE.is_file():
        return None, {}
    lines = TABLE.read_text().splitlines()
    version, sms, table = lines[0].split()[-1], lines[1].split("\t")[2:], {}
    for line in lines[2:]:
        file, kernel, *cells = line.split("\t")
        table[file, kernel] = {sm: tuple(map(int, cell.split("/"))) for sm, cell in zip(sms, cells) if cell != "-"}
    return version, table


def write_table(version, kernels):
    sms = sorted({sm for row in kernels.values() for sm in row})
    lines = [f"# registers/shared/stack of every kernel, built by nvcc {version}", "\t".join(["file", "kernel", *sms])]
    for key, row in sorted(kernels.items()):
        lines.append("\t".join([*key, *("/".join(map(str, row[sm])) if sm in row else "-" for sm in sms)]))
    TABLE.write_text("\n".join(lines) + "\n")


def grown(kernels, table, file):
    """What a file's kernels use more of than the table says, in words."""
    for (name, kernel), row in sorted(kernels.items()):
        if name != file:
            continue
        if (name, kernel) not in table:
            yield f"{kernel} is not in the table"
            continue
        for sm, now in sorted(row.items()):
            before = table[name, kernel].get(sm)
            if before is None:
                yield f"{kernel} on {sm} is not in the table"
            for what, old, new in zip(("registers", "bytes of shared memory", "bytes of stack"), before or (), now):
                if new > old:
                    yield f"{kernel} on {sm} has {new} {what}, the table {old}"
    for name, kernel in sorted(table):
        if name == file and (name, kernel) not in kernels:
            yield f"{kernel} is in the table, but is no kernel any more"


def report(name, findings):
    findings = list(findings)
    for finding in findings:
        print(f"  {finding}")
    print(f"FAIL {name}: {len(findings)}, the first: {findings[0]}" if findings else f"PASS {name}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build/test")
    parser.add_argument("--update", action="store_true")
    for option in ("--corpora", "--venv"):
        parser.add_argument(option)
    options = parser.parse_args()
    build = ROOT / options.build
    folder, kernels, spills = build / "CMakeFiles" / "cornu_cuda_kernels.dir" / "kernels", {}, []
    version, logs = version_of(build), []
    if version and (build / "libcornu_cuda.so").is_file():
        logs = [folder / f"{source.name}.o.log" for source in sorted(ROOT.glob("kernels/*.cu"))]
    if not logs:
        print("SKIP registers of the kernels: no nvcc")
        return 0
    for log in logs:
        read_log(log, kernels, spills)
    names = readable(sorted({kernel for _, kernel in kernels} | {function for _, function, _, _ in spills}))
    kernels = {(file, names[kernel]): row for (file, kernel), row in kernels.items()}
    report("no kernel spills", (f"{file}: {names[function]} on {sm} spills {n} bytes" for file, function, sm, n in spills))
    if options.update:
        write_table(version, kernels)
    known, table = read_table()
    if known != version:
        print(f"SKIP registers of the kernels: the table is of nvcc {known}, this is {version}")
        return 0
    for log in logs:
        file = log.name.removesuffix(".o.log")
        report(f"registers of {file}", grown(kernels, table, file))
    return 0


if __name__ == "__main__":
    sys.exit(main())
