"""Builds, runs every test and counts: what ./tools/test does once everything is installed.

Three kinds of tests:
- C++ tests (GoogleTest) and the replay of the fuzz inputs, through ctest: as built for release, and with
  AddressSanitizer and UndefinedBehaviorSanitizer;
- programs run.py and run_*.py in the folders below tests/, called as PROGRAM --build DIR --corpora DIR --venv PYTHON. Each prints one line a test,
  "PASS name", "FAIL name: reason" or "SKIP name: reason", and exits with 0 if it came to its end;
- with --all the commands of tests/long_tests.txt, which speak the same protocol, and "FIGURE name value unit".
"""
import argparse
import collections
import concurrent.futures
import datetime
import json
import os
import pathlib
import platform
import re
import shlex
import subprocess
import sys
import time
import xml.etree.ElementTree as xml

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAM_SECONDS = 1800
LONG_SECONDS = 4 * 3600


class Count:
    """What was executed: names of the passed, (name, reason) of the failed and skipped."""

    def __init__(self):
        self.passed, self.failed, self.skipped, self.figures = [], [], [], []

    def add(self, other):
        for part in ("passed", "failed", "skipped", "figures"):
            getattr(self, part).extend(getattr(other, part))

    def line(self):
        return f"{len(self.passed)} passed, {len(self.failed)} failed, {len(self.skipped)} skipped"


def say(text):
    print(text, flush=True)


def execute(command, log, seconds, env=None):
    """Runs a command with its output in the file log. Returns its exit code, 124 if it ran out of time."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "wb") as out:
        try:
            return subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                                  timeout=seconds, env={**os.environ, **(env or {})}).returncode
        except subprocess.TimeoutExpired:
            out.write(f"\nended after {seconds} s\n".encode())
            return 124
        except OSError as error:
            out.write(f"{command[0]}: {error}\n".encode())
            return 127


def text_of(log, lines=60):
    return "\n".join("    " + line for line in log.read_text(errors="replace").splitlines()[-lines:])


def build(folder, options):
    """Configures and builds a folder. Returns a Count of one test, the build."""
    count, start = Count(), time.time()
    for name, command in (("configure", ["cmake", "-S", ".", "-B", folder, "-G", "Ninja", *options]),
                          ("build", ["cmake", "--build", folder, "--parallel", str(os.cpu_count() or 2)])):
        log = ROOT / folder / "logs" / f"{name}.log"
        if execute(command, log, 3600):
            say(f"{folder}: {name} FAILED\n{text_of(log)}")
            count.failed.append((f"{folder} {name}", "see above"))
            return count
    count.passed.append(f"{folder} build")
    say(f"{folder}: built in {time.time() - start:.0f} s")
    return count


def plugin(folder):
    """Whether the CUDA plug-ins were built: that of nvcc needs a toolkit, that of host execution its headers."""
    count = Count()
    for name, lacking in (("libcornu_cuda.so", "no nvcc"), ("libcornu_cuda_host.so", "no headers of CUDA")):
        if (ROOT / folder / name).exists():
            count.passed.append(f"{folder} {name}")
        else:
            count.skipped.append((f"{folder} {name}", lacking))
    return count


def ctest(folder, label, names, env):
    count, start = Count(), time.time()
    log, report = ROOT / folder / "logs" / "ctest.log", ROOT / folder / "logs" / "ctest.xml"
    report.unlink(missing_ok=True)
    command = ["ctest", "--test-dir", folder, "-j2", "--timeout", "600", "--output-on-failure", "--output-junit", report]
    if names:
        command += ["-R", "|".join(names)]
    code = execute(command, log, 3600, env)
    if not report.exists():
        say(f"{label}: ctest FAILED\n{text_of(log)}")
        count.failed.append((label, "ctest made no report"))
        return count
    for case in xml.parse(report).getroot().iter("testcase"):
        name = f"{label} {case.get('name')}"
        output = case.findtext("system-out") or ""
        if case.find("failure") is not None or case.get("status") == "fail":
            count.failed.append((name, "see above"))
            say(f"FAIL {name}\n" + "\n".join("    " + line for line in output.splitlines()[-60:]))
        elif case.get("status") == "disabled":  # part of another test, which calls it
            continue
        elif case.find("skipped") is not None or case.get("status") == "notrun":
            reason = re.search(r"Skipped\n(.*)", output)  # the line that GoogleTest prints under the place
            count.skipped.append((name, reason.group(1).strip() if reason else case.get("status")))
        else:
            count.passed.append(name)
    if code and not count.failed:
        count.failed.append((label, f"ctest exited with {code}"))
        say(text_of(log))
    say(f"{label}: {count.line()} in {time.time() - start:.0f} s")
    return count


def program(name, command, seconds, env):
    """Runs one program that speaks the protocol of the lines."""
    count, start = Count(), time.time()
    log = ROOT / "build" / "test" / "logs" / (re.sub(r"[^A-Za-z0-9_.-]+", "_", name) + ".log")
    code = execute(command, log, seconds, env)
    for line in log.read_text(errors="replace").splitlines():
        kind, _, rest = line.partition(" ")
        case, _, reason = rest.partition(": ")
        if kind == "PASS":
            count.passed.append(f"{name} {rest}")
        elif kind == "FAIL":
            count.failed.append((f"{name} {case}", reason))
            say(f"FAIL {name} {case}: {reason}")
        elif kind == "SKIP":
            count.skipped.append((f"{name} {case}", reason))
        elif kind == "FIGURE":
            count.figures.append([name, *rest.split(" ", 2)])
    if code or not (count.passed or count.failed or count.skipped):
        reason = f"exited with {code}" if code else "reported no test"
        if code == 0 or not count.failed:
            count.failed.append((name, reason))
        say(f"FAIL {name}: {reason}\n{text_of(log)}")
    say(f"{name}: {count.line()} in {time.time() - start:.0f} s")
    return count


def long_commands(shard):
    """The lines of tests/long_tests.txt as (name, command, seconds). A line with {shard} splits its own work, the others are dealt out."""
    part, parts = (int(n) for n in shard.split("/"))
    if not 1 <= part <= parts:
        sys.exit(f"--shard {shard}: the first number is from 1 to the second")
    path, dealt = ROOT / "tests" / "long_tests.txt", 0
    for line in path.read_text().splitlines() if path.exists() else ():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if "{shard}" not in line:
            dealt += 1
            if (dealt - 1) % parts != part - 1:
                continue
        yield line


def git(*arguments):
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else "unknown"


def processor():
    try:
        found = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
        return found.group(1) if found else platform.machine()
    except OSError:
        return platform.machine()


def record(count, shard):
    """Writes the figures of the long tier to bench/results/."""
    now = datetime.datetime.now(datetime.timezone.utc)
    commit = git("rev-parse", "HEAD") + ("" if git("status", "--porcelain", "-uno") == "" else "-dirty")
    results = {
        "commit": commit,
        "date": now.isoformat(timespec="seconds"),
        "shard": shard,
        "machine": {"processor": processor(), "cores": os.cpu_count(), "system": platform.platform()},
        "tests": {"passed": len(count.passed), "failed": len(count.failed), "skipped": len(count.skipped)},
        "figures": [dict(zip(("test", "name", "value", "unit"), figure)) for figure in count.figures],
    }
    path = ROOT / "bench" / "results" / f"{now:%Y-%m-%d-%H%M%S}-{commit[:10]}-{shard.replace('/', 'of')}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n")
    say(f"figures are in {path.relative_to(ROOT)}")


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--venv", default=sys.executable)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--shard", default="1/1")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    if not re.fullmatch(r"[1-9]\d*/[1-9]\d*", options.shard):
        parser.error(f"--shard {options.shard}: I/N is wanted")
    options.corpora = os.path.abspath(os.environ.get("CORNU_CORPORA") or ROOT.parent / "shared" / "corpora")
    return options


def run_programs(options, env):
    """One on each core: the conformance suite, which takes the longest, first, and what waits for its cases last."""
    names = [str(path.relative_to(ROOT)) for path in sorted((ROOT / "tests").glob("*/**/run*.py")) if re.fullmatch(r"run(_\w+)?", path.stem)]
    names = [name for name in names if not options.names or any(re.search(pattern, name) for pattern in options.names)]
    names.sort(key=lambda name: ("conform" not in name, "edge" in name, "gpu" in name))
    cores = os.cpu_count() or 1
    alone = {**env, "OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"} if cores > 1 else env

    def one(name):
        return program(name, [options.venv, name, "--build", "build/test", "--corpora", options.corpora, "--venv", options.venv], PROGRAM_SECONDS, alone)

    count = Count()
    with concurrent.futures.ThreadPoolExecutor(cores) as pool:
        for result in pool.map(one, names):
            count.add(result)
    return count


def run_long(options, env):
    count = Count()
    for line in long_commands(options.shard):
        filled = line.format(build="build/test", corpora=shlex.quote(options.corpora), python=shlex.quote(options.venv),
                             shard=options.shard)
        if not options.names or any(re.search(pattern, line) for pattern in options.names):
            count.add(program(line, shlex.split(filled), LONG_SECONDS, env))
    record(count, options.shard)
    return count


def main():
    options, count, start = arguments(), Count(), time.time()
    env = {"CORNU_CORPORA": options.corpora, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}
    sanitize = {**env, "ASAN_OPTIONS": "allocator_may_return_null=1:detect_stack_use_after_return=1",
                "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"}

    built = build("build/test", ["-DCMAKE_BUILD_TYPE=Release", "-DCORNU_BUILD_TESTS=ON", "-DCORNU_WERROR=ON",
                                   "-DCORNU_WITH_CUDA=AUTO"])
    count.add(built)
    if not built.failed:
        count.add(plugin("build/test"))
        count.add(ctest("build/test", "release", options.names, env))
    if not options.quick:
        checked = build("build/asan", ["-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_C_FLAGS_DEBUG=-O1 -g1",
                                       "-DCMAKE_CXX_FLAGS_DEBUG=-O1 -g1", "-DCORNU_BUILD_TESTS=ON",
                                       "-DCORNU_SANITIZE=address,undefined", "-DCORNU_WITH_CUDA=OFF"])
        count.add(checked)
        if not checked.failed:
            count.add(ctest("build/asan", "asan", options.names, sanitize))
    if not built.failed:
        count.add(run_programs(options, env))
        if options.all:
            count.add(run_long(options, env))

    for reason, cases in by_reason(count.skipped):
        say(f"skipped ({reason}): {', '.join(cases)}")
    for name, reason in count.failed:
        say(f"failed: {name}: {reason}")
    say(f"after {time.time() - start:.0f} s")
    say(count.line())
    return 1 if count.failed or not count.passed else 0


def by_reason(skipped):
    reasons = collections.defaultdict(list)
    for name, reason in skipped:
        reasons[reason].append(name)
    return sorted(reasons.items())


if __name__ == "__main__":
    sys.exit(main())
