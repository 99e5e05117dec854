"""On a machine with a CUDA device: the conformance cases in every precision, the kernels' own tests and compute-sanitizer
on it, by the plug-in that nvcc built. Skipped by name elsewhere. CORNU_GPU_LIBRARY names another plug-in: with that of host
execution this is a rehearsal of the program."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tests" / "conform"), str(ROOT / "tests" / "golden")]

import generate  # noqa: E402
import report  # noqa: E402

PRECISIONS = ("strict", "default", "tf32", "bf16", "fp16")
SMALL = ROOT / "tests" / "conform" / "small.pack"
SECONDS = 300  # for each part: tests/run.py ends all of it after 1800


def main():
    options = report.arguments(__doc__).parse_args()
    build, out = pathlib.Path(options.build).resolve(), report.Report()
    plugin = pathlib.Path(os.environ.get("CORNU_GPU_LIBRARY") or build / "libcornu_cuda.so").resolve()
    # The guesses, and no files: what is timed would differ from run to run, and take two seconds a case.
    env = {**os.environ, "CORNU_CUDA_LIBRARY": str(plugin), "CORNU_PLAN_CACHE": "", "CORNU_TUNE": "off"}
    reason = unusable(build, plugin, env)
    if reason:
        out.skip("gpu", reason)
        return 0
    for precision in PRECISIONS:
        conformance(options, build, env, precision, out)
    kernels(options, build, env, out)
    sanitizer(build, env, out)
    return out.finish()


def unusable(build, plugin, env):
    """Why no device can be used, "" if one can."""
    cornu = report.find_program(str(build), "cornu")
    if not plugin.exists():
        return f"there is no {plugin.name}; it needs nvcc"
    if not cornu or not (build / "tests" / "conform_runner").exists():
        return "the cornu program or the tests are not built"
    done = subprocess.run(
        [cornu, "info", ROOT / "tools" / "demo_model" / "digits.keras", "--json"],
        env=env,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        return f"cornu info ended with {done.returncode}: {done.stderr}"
    info = json.loads(done.stdout)
    return "" if info["cuda_devices"] else info["cuda_unusable"] or "no reason is given"


def run(command, env):
    """(exit code, None where its time ran out; its output)"""
    try:
        done = subprocess.run(
            command,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=SECONDS,
        )
        return done.returncode, done.stdout
    except subprocess.TimeoutExpired as late:
        text = late.stdout or b""
        return None, text.decode(errors="replace") if isinstance(text, bytes) else text


def ended(code):
    return f"it was not done after {SECONDS} s" if code is None else f"it ended with {code}"


def tell(kind, name, reason, out):
    {"PASS": lambda: out.ok(name), "FAIL": lambda: out.fail(name, reason), "SKIP": lambda: out.skip(name, reason)}[
        kind
    ]()


def packs_of(build):
    """Those that tests/conform makes, which needs Keras; else the small one."""
    subprocess.run([sys.executable, ROOT / "tests" / "conform" / "generate.py", "--build", build], capture_output=True)
    return [build / "conform" / name for name in generate.PACKS if (build / "conform" / name).exists()] or [SMALL]


def conformance(options, build, env, precision, out):
    only = [] if options.only == "*" else ["--only", options.only]
    packs = [SMALL] if only else packs_of(build)
    code, text = run(
        [build / "tests" / "conform_runner", *packs, "--device", "cuda", "--precision", precision, *only], env
    )
    found = re.findall(r"^(PASS|FAIL|SKIP) conform\.cuda\.(\S+?):? ?( .*)?$", text, re.M)
    for kind, name, rest in found:
        tell(kind, f"gpu.{precision}.{name}", (rest or "").strip(), out)
    if code not in (0, 1) or not found:
        out.fail(f"gpu.{precision}", f"{ended(code)}: {text.strip()[-300:]}")


def kernels(options, build, env, out):
    """The suites of cuda_test that need no host execution."""
    wanted = "-Host*" if options.only == "*" else f"*{options.only}*-Host*"
    code, text = run([build / "tests" / "cuda_test", f"--gtest_filter={wanted}"], env)
    found = re.findall(r"^\[ +(OK|FAILED|SKIPPED) +\] (\w+\.\w+) \(\d+ ms\)", text, re.M)
    for kind, name in found:
        tell({"OK": "PASS", "FAILED": "FAIL", "SKIPPED": "SKIP"}[kind], f"gpu.{name}", "see its output", out)
    if code != 0:
        print(text[-6000:], file=sys.stderr)
    if code not in (0, 1) or not found:
        out.fail(
            "gpu.cuda_test",
            f"{ended(code)}; the last line is {text.strip().splitlines()[-1] if text.strip() else 'missing'}",
        )


def sanitizer(build, env, out):
    """The small pack once more, with every access to memory checked."""
    tool = shutil.which("compute-sanitizer") or shutil.which("compute-sanitizer", path="/usr/local/cuda/bin")
    if not tool:
        out.skip("gpu.memcheck", "there is no compute-sanitizer")
        return
    code, text = run(
        [
            tool,
            "--tool",
            "memcheck",
            "--error-exitcode",
            "99",
            build / "tests" / "conform_runner",
            SMALL,
            "--device",
            "cuda",
        ],
        env,
    )
    if code == 0:
        out.ok("gpu.memcheck")
    elif code == 99 and "Device not supported" not in text:
        print(text[-6000:], file=sys.stderr)
        out.fail("gpu.memcheck", (re.findall(r"ERROR SUMMARY.*", text) or ["errors, see its output"])[-1])
    else:
        out.skip("gpu.memcheck", f"compute-sanitizer does not run here: {ended(code)}, {text.strip()[-200:]}")


if __name__ == "__main__":
    sys.exit(main())
