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
    for device in options.device or ["cpu", "cpu-plain", "reference"]:  # cpu-plain: without passes
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
