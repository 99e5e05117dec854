"""The long tier of host execution: the whole conformance suite on the CUDA backend under AddressSanitizer and UndefinedBehaviorSanitizer, and the op
cases and the kernels' own tests under ThreadSanitizer, whose threads are the threads of the kernels.

    sanitized.py --build DIR --venv PYTHON       DIR: has the packs of cases (conform/*.pack), else they are made there

Builds build/asan and build/tsan. One line a test, as tests/run.py reads them."""
import os
import pathlib
import re
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent / "golden"))
sys.path.insert(0, str(HERE))
import generate  # noqa: E402
import report  # noqa: E402

ASAN = {"ASAN_OPTIONS": "allocator_may_return_null=1:detect_stack_use_after_return=1", "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"}
TSAN = {"TSAN_OPTIONS": "halt_on_error=0:report_signal_unsafe=0"}
KERNEL_TESTS = "CudaElementwise.*:CudaMove.*:CudaIndex.*:CudaReduce.*:CudaSoftmax.*:CudaNorm.*:CudaPool.*:CudaRnn.*:CudaAttention.*"


def build(folder, sanitizer, out, targets):
    options = ["-DCMAKE_BUILD_TYPE=RelWithDebInfo", "-DCORNU_BUILD_TESTS=ON", f"-DCORNU_SANITIZE={sanitizer}", "-DCORNU_WITH_CUDA=OFF"]
    for command in (["cmake", "-S", ROOT, "-B", folder, "-G", "Ninja", *options], ["cmake", "--build", folder, "--target", *targets]):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            out.fail(f"sanitized.{folder.name}.build", done.stdout[-300:] + done.stderr[-300:])
            return False
    return True


def run(name, command, env, out, seconds=7200):
    """One test: the program ends with 0, every case passes, and no sanitizer says a word."""
    start = time.time()
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", env={**os.environ, **env}, timeout=seconds)
    except subprocess.TimeoutExpired:
        return out.fail(name, f"not done after {seconds} s")
    said = re.search(r"(WARNING: ThreadSanitizer|ERROR: \w+Sanitizer|runtime error|host execution: ).*", done.stdout + done.stderr)
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAIL", "[  FAILED  ]"))]
    skipped = [line for line in done.stdout.splitlines() if line.startswith("SKIP")]
    if said or failed or done.returncode:
        return out.fail(name, f"exit {done.returncode}; {said.group(0) if said else ''} {failed[0] if failed else done.stderr.strip()[-200:]}")
    if skipped:
        return out.fail(name, f"{len(skipped)} cases were not run, the first: {skipped[0]}")
    cases = sum(line.startswith(("PASS", "[       OK ]")) for line in done.stdout.splitlines())
    print(f"FIGURE {name}.cases {cases} passed", flush=True)
    print(f"FIGURE {name}.seconds {time.time() - start:.0f} s", flush=True)
    return out.ok(name) if cases else out.fail(name, "nothing ran")


def main():
    options = report.arguments(__doc__.split("\n")[0]).parse_args()
    out = report.Report()
    folder = pathlib.Path(options.build).resolve() / "conform"
    if not all((folder / name).exists() for name in generate.PACKS):
        subprocess.run([sys.executable, HERE / "generate.py", "--build", options.build])
    packs = [str(folder / name) for name in generate.PACKS if (folder / name).exists()]
    if not packs:
        out.skip("sanitized", "the cases could not be made")
        return out.finish()
    asan, tsan = ROOT / "build" / "asan", ROOT / "build" / "tsan"
    if build(asan, "address,undefined", out, ["conform_runner", "cornu_cuda_host"]):
        for order in range(3):
            env = {**ASAN, "CORNU_CUDA_LIBRARY": str(asan / "libcornu_cuda_host.so"), "CN_HOST_SEED": str(order)}
            run(f"sanitized.asan.order{order}", [asan / "tests" / "conform_runner", *packs, "--device", "cuda", "--repeat", "3"], env, out)
    if build(tsan, "thread", out, ["conform_runner", "cornu_cuda_host", "cuda_test"]):
        env = {**TSAN, "CORNU_CUDA_LIBRARY": str(tsan / "libcornu_cuda_host.so")}
        ops = [pack for pack in packs if pack.endswith("ops.pack")]
        run("sanitized.tsan.ops", [tsan / "tests" / "conform_runner", *ops, "--device", "cuda"], env, out)
        run("sanitized.tsan.kernels", [tsan / "tests" / "cuda_test", "--gtest_filter=" + KERNEL_TESTS], env, out)
    return out.finish()


if __name__ == "__main__":
    sys.exit(main())
