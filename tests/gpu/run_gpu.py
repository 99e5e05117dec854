"""On a machine with a CUDA device: the conformance cases and the kernels' own tests on it, by the plug-in that nvcc built. Skipped by name elsewhere."""
import json
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tests" / "conform"), str(ROOT / "tests" / "golden")]

import generate  # noqa: E402
import report  # noqa: E402

PRECISIONS = ("strict", "default", "tf32", "bf16", "fp16")


def main():
    options = report.arguments(__doc__).parse_args()
    build = pathlib.Path(options.build).resolve()
    plugin, out = build / "libcornu_cuda.so", report.Report()
    env = {**os.environ, "CORNU_CUDA_LIBRARY": str(plugin), "CORNU_PLAN_CACHE": "", "CORNU_TUNE": "off"}
    reason = unusable(build, plugin, env)
    if reason:
        out.skip("gpu", reason)
        return 0
    status = conformance(options, build, env, out) | kernels(build, env)
    return out.finish() or status


def unusable(build, plugin, env):
    """Why no device can be used, "" if one can."""
    cornu = report.find_program(str(build), "cornu")
    if not plugin.exists() or not cornu:
        return f"there is no {plugin.name}; it needs nvcc"
    done = subprocess.run([cornu, "info", ROOT / "tools" / "demo_model" / "digits.keras", "--json"], env=env, capture_output=True, text=True)
    info = json.loads(done.stdout)
    return "" if info["cuda_devices"] else info["cuda_unusable"]


def conformance(options, build, env, out):
    runner, status = report.find_program(str(build), "conform_runner"), 0
    subprocess.run([sys.executable, ROOT / "tests" / "conform" / "generate.py", "--build", build], capture_output=True)
    packs = [build / "conform" / name for name in generate.PACKS if (build / "conform" / name).exists()] or [ROOT / "tests" / "conform" / "small.pack"]
    for precision in PRECISIONS:
        command = [runner, *packs, "--device", "cuda", "--precision", precision]
        done = subprocess.run(command, env=env, capture_output=True, text=True, errors="replace", timeout=1200)
        for line in done.stdout.splitlines():
            print(line.replace(" conform.", " gpu.", 1) if " conform." in line else line)
        if done.returncode not in (0, 1):
            out.fail(f"gpu.{precision}", f"the runner ended with {done.returncode}: {done.stderr.strip()[-300:]}")
        status |= done.returncode
    return status


def kernels(build, env):
    """The suites that need no stand-in for CUDA."""
    program = build / "tests" / "cuda_test"
    done = subprocess.run([program, "--gtest_filter=-Host*"], env=env, capture_output=True, text=True, errors="replace", timeout=1200)
    for kind, name in re.findall(r"^\[ +(OK|FAILED) +\] (\S+\.\S+) \(", done.stdout, re.M):
        print(f"PASS gpu.{name}" if kind == "OK" else f"FAIL gpu.{name}: see its output")
    if done.returncode:
        print(done.stdout[-6000:], file=sys.stderr)
    if done.returncode not in (0, 1):
        print(f"FAIL gpu.cuda_test: it ended with {done.returncode}")
    return 1 if done.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
