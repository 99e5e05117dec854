"""Runs the conformance cases on Cornu: the committed small set always, and where Keras is installed the generated ones,
which are made first if they are not there or not of this Keras."""
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "golden")]

import generate  # noqa: E402
import report  # noqa: E402


def main():
    parser = report.arguments(__doc__)
    parser.add_argument("--device", action="append", help="all three if there is none")
    parser.add_argument("--small", action="store_true", help="only the committed set, which needs no Keras")
    parser.add_argument("--shard", default="0/1")
    parser.add_argument("--tolerance", default="0")
    options = parser.parse_args()
    out = report.Report()
    runner = report.find_program(options.build, "conform_runner")
    if not runner:
        out.skip("conform", "there is no program conform_runner in " + options.build)
        return 0
    packs = [os.path.join(HERE, f) for f in ("small.pack", "small_sequences.pack")]
    failed = 0
    if not options.small:
        made = subprocess.run([sys.executable, os.path.join(HERE, "generate.py"), "--build", options.build])
        failed |= made.returncode
        folder = os.path.join(options.build, "conform")
        found = [os.path.join(folder, f) for f in generate.PACKS]
        packs = [p for p in found if os.path.exists(p)] or packs
    for device in options.device or ["cpu", "cpu-plain", "reference", "cuda"]:  # cpu-plain: without passes
        if device == "cuda":
            failed |= on_cuda(options, runner, packs, out)
            continue
        more = ["--device", device, "--shard", options.shard, "--tolerance", options.tolerance]
        if options.only != "*":
            more += ["--only", options.only.strip("*")]
        for extra in ([], ["--perturb"]):
            try:
                done = subprocess.run([runner, *packs, *more, *extra], timeout=900)
            except subprocess.TimeoutExpired:
                out.fail(f"conform.{device}", "the runner did not end in 900 s")
                continue
            failed |= done.returncode
            if done.returncode not in (0, 1):
                out.fail(f"conform.{device}", f"the runner ended with {done.returncode}")
    if not options.small:
        damaged(options.build, runner, packs, out)
    return 1 if failed or out.finish() else 0


def on_cuda(options, runner, packs, out):
    """The CUDA backend on host execution: every case in three orders of threads and blocks, each input run three times (launched, captured,
    replayed), with the same bits in all orders; in every precision, within its tolerances; and a changed weight is seen."""
    plugin = os.path.join(options.build, "libcornu_cuda_host.so")
    if not os.path.exists(plugin):
        out.skip("conform.cuda", "there is no " + plugin)
        return 0
    command = [runner, *packs, "--device", "cuda", "--shard", options.shard, "--tolerance", options.tolerance]
    if options.only != "*":
        command += ["--only", options.only.strip("*")]
    first, failed = {}, 0
    for seed in range(3):
        env = {**os.environ, "CORNU_CUDA_LIBRARY": os.path.abspath(plugin), "CN_HOST_SEED": str(seed)}
        try:
            done = subprocess.run([*command, "--repeat", "3", "--digest"], capture_output=True, text=True, errors="replace", timeout=1800, env=env)
        except subprocess.TimeoutExpired:
            out.fail(f"conform.cuda.order{seed}", "the runner did not end in 1800 s")
            return 1
        failed |= done.returncode
        if done.returncode not in (0, 1):
            out.fail(f"conform.cuda.order{seed}", f"the runner ended with {done.returncode}: {done.stderr.strip()[-300:]}")
        digests = {}
        for line in done.stdout.splitlines():
            case, _, digest = line.rpartition(" #")
            if line.startswith("PASS"):
                digests[case.rpartition(" ")[0]] = digest
            if seed == 0 or line.startswith("FAIL"):
                print(case if line.startswith("PASS") else line)
        first = first or digests
        differ = [case for case in first if digests.get(case) != first[case]]
        if differ:
            out.fail(f"conform.cuda.order{seed}", f"{len(differ)} cases have other bits than in order 0, the first is {differ[0]}")
        elif seed > 0:
            out.ok(f"conform.cuda.order{seed}")
    env = {**os.environ, "CORNU_CUDA_LIBRARY": os.path.abspath(plugin)}
    for mode in ("default", "tf32", "bf16", "fp16"):
        done = subprocess.run([*command, "--precision", mode, "--repeat", "3"], capture_output=True, text=True, errors="replace", timeout=1800, env=env)
        print("".join(line for line in done.stdout.splitlines(True) if not line.startswith("PASS")), end="")
        failed |= done.returncode
        if done.returncode not in (0, 1):
            out.fail(f"conform.cuda.{mode}", f"the runner ended with {done.returncode}: {done.stderr.strip()[-300:]}")
        elif done.returncode == 0:
            out.ok(f"conform.cuda.{mode}")
    return failed | subprocess.run([*command, "--perturb"], timeout=1800, env=env).returncode


def damaged(build, runner, packs, out):
    """Models with damaged configs are refused or run: the runner comes to its end (0 or 1), whatever they compute."""
    target = os.path.join(build, "conform", "damaged.pack")
    made = subprocess.run([sys.executable, os.path.join(HERE, "mutate.py"), target, "3000", "1", *packs], capture_output=True, text=True)
    if made.returncode:
        return out.fail("conform.damaged", made.stderr.strip()[-300:])
    done = subprocess.run([runner, target, "--device", "cpu"], capture_output=True, timeout=900)
    lines = done.stdout.count(b"\n")
    if done.returncode not in (0, 1) or lines < 3000:
        return out.fail("conform.damaged", f"the runner ended with {done.returncode} after {lines} lines")
    return out.ok("conform.damaged")


if __name__ == "__main__":
    sys.exit(main())
