"""The bundle of bench/gpu_check builds its plug-in anew on the machine where it runs: with nvcc, compilers and CMake alone.
Of the long tier: it takes minutes. PASS, FAIL and SKIP lines as tests/run.py reads them."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import run_gpu_check as small

sys.path.append(str(small.ROOT / "tests" / "golden"))
import report  # noqa: E402

TOOLS = (
    *small.TOOLS,
    "tar",
    "gzip",
    "cmake",
    "make",
    "cc",
    "c++",
    "gcc",
    "g++",
    "as",
    "ld",
    "ar",
    "ranlib",
    "sh",
    "ln",
    "touch",
    "mv",
    "cp",
    "env",
    "ldd",
)


def whole_bundle(build, folder):
    """The bundle with its sources and no large pack, unpacked. Returns its folder."""
    archive, packs = folder / "bundle.tar.gz", folder / "packs"
    packs.mkdir()
    subprocess.run(
        [small.ROOT / "bench" / "gpu_check", "--build", build, "--packs", packs, "--fast", "--out", archive],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    subprocess.run(["tar", "xzf", archive, "-C", folder], check=True)
    return folder / "cornu-gpu-check"


def run(top, name, **more):
    """The stage device after a rebuild, on host execution. Returns the notes and the log."""
    out = top.parent / name
    env = {
        "PATH": "/usr/bin:/bin",
        "CORNU_CUDA_LIBRARY": str(top / "lib" / "libcornu_cuda_host.so"),
        "CORNU_PYTHON": "nopython",
        **more,
    }
    done = subprocess.run(
        [top / "run", "--rebuild", "--only", "device", "--out", out],
        env=env,
        capture_output=True,
        text=True,
        timeout=1500,
    )
    found = small.results(out)
    assert done.returncode == 0, f"exit {done.returncode}: {done.stdout[-1000:]} {found['log.txt'][-1000:]}"
    return found


def is_built(top, nvcc):
    """It is built for the architecture asked for, loads, and without a GPU steps back."""
    found = run(top, "built", PATH=f"/usr/bin:/bin:{os.path.dirname(nvcc)}", CORNU_CUDA_ARCHITECTURES="90-real")
    made = re.search(r"the plug-in was built here for 90-real in \d+ s(.*)", found["summary.md"])
    assert made, found["log.txt"][-1500:]
    used, plugin = "and is used" in made.group(1), found["device.json"]["plugin"]
    if used:
        assert plugin.endswith("/build/libcornu_cuda.so"), plugin
    else:  # it loads, and finds that the machine lacks something
        assert re.search(
            r"cannot be used: .*(driver|CUDA device|cuBLASLt)", made.group(1)
        ) and "plug-in cannot" not in made.group(1), made.group(1)
        assert plugin.endswith("/libcornu_cuda_host.so"), plugin


def missing_tools_are_named(top, _):
    """Without CMake, and with an nvcc that fails, the bundle's plug-in is used."""
    tools = top.parent / "tools"
    tools.mkdir()
    for name in TOOLS:
        if shutil.which(name):
            (tools / name).symlink_to(shutil.which(name))
    (tools / "cmake").unlink()
    (tools / "nvcc").write_text("#!/bin/sh\n")
    (tools / "nvcc").chmod(0o755)
    found = run(top, "lacking", PATH=str(tools))
    assert "not rebuilt: there is no cmake" in found["summary.md"], found["summary.md"]
    (tools / "cmake").symlink_to(shutil.which("cmake"))
    (tools / "nvcc").write_text("#!/bin/sh\necho this is no compiler >&2\nexit 7\n")
    (tools / "nvcc").chmod(0o755)
    found = run(top, "failing", PATH=str(tools))
    assert "not rebuilt: the build ended with 1" in found["summary.md"] and found["device.json"]["device"], found[
        "log.txt"
    ][-1500:]


def main():
    build, out = pathlib.Path(report.arguments(__doc__).parse_args().build).resolve(), report.Report()
    nvcc = shutil.which("nvcc") or (os.access("/usr/local/cuda/bin/nvcc", os.X_OK) and "/usr/local/cuda/bin/nvcc")
    lacking = [name for name in ("tools/cornu", "libcornu_cuda_host.so") if not (build / name).exists()]
    with tempfile.TemporaryDirectory() as folder:
        top = None if lacking else whole_bundle(build, pathlib.Path(folder))
        for test in (missing_tools_are_named, is_built):
            name = f"gpu_check.rebuild.{test.__name__}"
            if lacking:
                out.skip(name, f"{lacking[0]} is not built")
            elif not nvcc:
                out.skip(name, "there is no nvcc")
            else:
                try:
                    test(top, nvcc)
                    out.ok(name)
                except Exception as error:
                    out.fail(name, f"{type(error).__name__}: {error}")
    return out.finish()


if __name__ == "__main__":
    sys.exit(main())
