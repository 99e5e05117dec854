"""Cornu for 64-bit ARM: library, command line and the CUDA backend's host execution are cross-compiled by Debian's gcc and run the
conformance cases under qemu-user: the operations and the layers; with --all every model.

Skipped by name where there is no cross compiler, no emulator, or no package of arm64 to be had."""
import json
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(HERE, "..", "conform"), os.path.join(HERE, "..", "golden")]

import generate  # noqa: E402
import report  # noqa: E402

COMPILER = "aarch64-linux-gnu-gcc"
TARGETS = ("cornu", "cornu_cli", "cornu_cuda_host", "conform_runner")


def main():
    parser = report.arguments(__doc__)
    parser.add_argument("--all", action="store_true", help="the networks and sequence models too")
    options = parser.parse_args()
    out = report.Report()
    emulator = shutil.which("qemu-aarch64") or shutil.which("qemu-aarch64-static")
    for found, name in ((shutil.which(COMPILER), COMPILER), (shutil.which("aarch64-linux-gnu-g++"), "aarch64-linux-gnu-g++"), (emulator, "qemu-aarch64")):
        if not found:
            out.skip("aarch64", f"there is no {name} on this machine")
            return 0
    root, build = os.path.join(ROOT, "build", "arm64"), os.path.join(ROOT, "build", "aarch64")
    made = subprocess.run([os.path.join(ROOT, "tools", "sysroot"), "arm64", root], capture_output=True, text=True)
    if made.returncode:
        out.skip("aarch64", made.stderr)
        return 0
    if not compiled(root, build, out):
        return out.finish()
    command = [emulator, "-L", root]
    check_program(command + [os.path.join(build, "tools", "cornu")], out)
    status = conformance(options, command + [os.path.join(build, "tests", "conform_runner")], build)
    return out.finish() or status


def compiled(root, build, out):
    headers = os.environ.get("CORNU_CUDA_INCLUDE", "")
    configure = ["cmake", "-S", ROOT, "-B", build, "-G", "Ninja", "--toolchain", os.path.join(ROOT, "cmake", "aarch64-linux-gnu.cmake"),
                 f"-DCORNU_SYSROOT={root}", "-DCORNU_BUILD_TESTS=ON", "-DCORNU_WERROR=ON", "-DCORNU_WITH_CUDA=OFF", f"-DCORNU_CUDA_INCLUDE={headers}"]
    for name, command in (("configure", configure), ("build", ["cmake", "--build", build, "--parallel", str(os.cpu_count() or 2), "--target", *TARGETS])):
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
        if done.returncode:
            print(done.stdout[-4000:], done.stderr[-4000:], file=sys.stderr)
            out.fail(f"aarch64.{name}", (done.stderr or done.stdout)[-300:])
            return False
        out.ok(f"aarch64.{name}")
    return True


def check_program(cornu, out):
    """The command line answers, and knows that no x86 program does."""
    status, text, error = report.run(*cornu, "--version")
    if status == 0 and text.startswith("cornu "):
        out.ok("aarch64.version")
    else:
        out.fail("aarch64.version", f"ended with {status}: {text}{error}")
    status, text, error = report.run(*cornu, "info", os.path.join(ROOT, "tools", "demo_model", "digits.keras"), "--json")
    try:
        json.loads(text)
        out.ok("aarch64.info")
    except ValueError:
        out.fail("aarch64.info", f"ended with {status}: {text[:100]}{error}")


def conformance(options, runner, build):
    """The packs that the conformance suite made; each device must run every case."""
    made = subprocess.run([sys.executable, os.path.join(HERE, "..", "conform", "generate.py"), "--build", options.build], capture_output=True, text=True)
    folder = os.path.join(options.build, "conform")
    names = generate.PACKS if options.all else ("ops.pack", "layers.pack")
    packs = [os.path.join(folder, name) for name in names if os.path.exists(os.path.join(folder, name))]
    if made.returncode or not packs:
        packs = [os.path.join(HERE, "..", "conform", "small.pack")]
    status, plugin = 0, os.path.join(build, "libcornu_cuda_host.so")
    for device in ("cpu", "cuda"):
        if device == "cuda" and not os.path.exists(plugin):
            print("SKIP aarch64.cuda: there are no headers of CUDA to compile host execution with")
            continue
        done = subprocess.run([*runner, *packs, "--device", device], env={**os.environ, "CORNU_CUDA_LIBRARY": plugin}, capture_output=True, text=True,
                              errors="replace", timeout=1700)
        lines = done.stdout.splitlines()
        for line in lines:
            print(line.replace(" conform.", " aarch64.", 1))
        if done.returncode not in (0, 1) or not lines:
            print(f"FAIL aarch64.{device}: the runner ended with {done.returncode} after {len(lines)} cases: {done.stderr.strip()[-300:]}")
            status = 1
        status |= done.returncode
    return status


if __name__ == "__main__":
    sys.exit(main())
