"""CUDA's headers from pinned packages, for machines without a toolkit and for compile checks against another version.

    cuda_headers.py VERSION FOLDER      puts the headers of "13.0" or "12.6" into FOLDER, which may be there already

Only headers are kept: the packages are hundreds of megabytes.
"""
import pathlib
import shutil
import subprocess
import sys
import tempfile
import zipfile

PACKAGES = {
    "13.0": ("nvidia-cuda-runtime==13.0.96", "nvidia-cuda-crt==13.0.88", "nvidia-cuda-cccl==13.0.85", "nvidia-cublas==13.1.0.3"),
    "12.6": ("nvidia-cuda-runtime-cu12==12.6.77", "nvidia-cuda-nvcc-cu12==12.6.77", "nvidia-cuda-cccl-cu12==12.6.77",
             "nvidia-cublas-cu12==12.6.4.1"),
}
NEEDED = ("cuda_runtime_api.h", "cuda_fp16.h", "cuda_bf16.h", "cublasLt.h", "crt/host_defines.h", "nv/target")


def complete(folder, packages):
    stamp = folder / "packages.txt"
    return stamp.is_file() and stamp.read_text() == "\n".join(packages) and all((folder / name).is_file() for name in NEEDED)


def unpack(wheel, folder):
    """The headers of a wheel: what lies below a folder include/, or include/cccl/."""
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            _, found, inner = name.partition("/include/")
            if not found or name.endswith("/"):
                continue
            target = folder / inner.removeprefix("cccl/")
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(name) as source, open(target, "wb") as out:
                shutil.copyfileobj(source, out)


def install(version, folder):
    """Puts the headers there; raises OSError or subprocess.CalledProcessError if they cannot be had."""
    folder, packages = pathlib.Path(folder), PACKAGES[version]
    if complete(folder, packages):
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as wheels:
        for package in packages:  # one after the other: never more than one on the disk
            subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-cache-dir", "--no-deps",
                            "--only-binary", ":all:", "--dest", wheels, package], check=True, stdin=subprocess.DEVNULL,
                           stdout=subprocess.DEVNULL)
            for wheel in pathlib.Path(wheels).glob("*.whl"):
                unpack(wheel, folder)
                wheel.unlink()
    (folder / "packages.txt").write_text("\n".join(packages))
    if not complete(folder, packages):
        raise OSError(f"the packages of CUDA {version} have not all of {', '.join(NEEDED)}")
    return folder


if __name__ == "__main__":
    install(*sys.argv[1:3])
