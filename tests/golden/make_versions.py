"""Makes tests/golden/versions/: small models saved by Keras of every age, each in a virtual environment with the numpy and the
backend of its day. `make_versions.py --venvs DIR [NAME ...]` makes DIR/NAME where it is missing, runs version_models.py with
its Python into DIR/NAME.files, and packs what was made; table.tsv says what was installed. Needs the network; Python 3.11 has wheels of them all."""
import argparse
import json
import lzma
import os
import shutil
import subprocess
import sys
import tarfile

HERE = os.path.dirname(os.path.abspath(__file__))
TARGET = os.path.join(HERE, "versions")

# name: (backend, packages of a first and of a second call of pip). The second one replaces the Keras that TensorFlow asks for.
VERSIONS = {
    "tf_keras-2.12": ("tensorflow", ["tensorflow-cpu==2.12.1", "keras==2.12.0", "numpy==1.23.5", "h5py==3.8.0"], []),
    "tf_keras-2.13": ("tensorflow", ["tensorflow-cpu==2.13.1", "keras==2.13.1", "numpy==1.24.3", "h5py==3.9.0"], []),
    "tf_keras-2.14": ("tensorflow", ["tensorflow-cpu==2.14.1", "keras==2.14.0", "numpy==1.26.1", "h5py==3.10.0"], []),
    "tf_keras-2.15": ("tensorflow", ["tensorflow-cpu==2.15.1", "keras==2.15.0", "numpy==1.26.4", "h5py==3.10.0"], []),
    "keras-3.0": ("tensorflow", ["tensorflow-cpu==2.15.1", "numpy==1.26.4", "h5py==3.10.0"], ["keras==3.0.5"]),
    "keras-3.3": ("tensorflow", ["tensorflow-cpu==2.16.1", "keras==3.3.3", "numpy==1.26.4", "h5py==3.11.0"], []),
    "keras-3.6": ("tensorflow", ["tensorflow-cpu==2.18.0", "keras==3.6.0", "numpy==2.0.2", "h5py==3.12.1"], []),
    "keras-3.10": ("jax", ["jax==0.6.1", "jaxlib==0.6.1", "keras==3.10.0", "numpy==2.2.6", "h5py==3.13.0"], []),
    "keras-3.12": ("jax", ["jax==0.8.0", "jaxlib==0.8.0", "keras==3.12.0", "numpy==2.3.4", "h5py==3.15.1"], []),
    "keras-3.15": ("jax", ["jax==0.10.2", "jaxlib==0.10.2", "keras==3.15.1", "numpy==2.4.6", "h5py==3.14.0"], []),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--venvs", required=True, help="the folder of the virtual environments")
    parser.add_argument("--python", default=sys.executable, help="the Python that they are made with")
    parser.add_argument("--install-only", action="store_true")
    parser.add_argument("--pack-only", action="store_true")
    parser.add_argument("names", nargs="*", help="of " + ", ".join(VERSIONS))
    options = parser.parse_args()
    failed = []
    for name in () if options.pack_only else options.names or VERSIONS:
        try:
            python = install(options, name)
            if not options.install_only:
                generate(options, name, python)
        except subprocess.CalledProcessError as error:
            print(f"{name}: {error}", flush=True)
            failed.append(name)
    if not options.install_only:
        pack(options)
    return 1 if failed else 0


def install(options, name):
    """The Python of the environment of that name. What the installer says goes to NAME.log beside it."""
    folder = os.path.join(options.venvs, name)
    python, done = os.path.join(folder, "bin", "python"), os.path.join(folder, "installed")
    if os.path.exists(done):
        return python
    _, first, second = VERSIONS[name]
    uv = shutil.which("uv")  # does in seconds what pip does in minutes
    make = [uv, "venv", "--python", options.python] if uv else [options.python, "-m", "venv"]
    put = [uv, "pip", "install", "--python", python] if uv else [python, "-m", "pip", "install"]
    with open(folder + ".log", "wb") as log:
        subprocess.run([*make, folder], check=True, stdout=log, stderr=log)
        for packages in filter(None, (first, second)):
            subprocess.run([*put, "--only-binary=:all:", *packages], check=True, stdout=log, stderr=log)
    open(done, "w").close()
    print(f"{name}: installed", flush=True)
    return python


def generate(options, name, python):
    """The files of one version, in VENVS/NAME.files."""
    environment = {**os.environ, "KERAS_BACKEND": VERSIONS[name][0], "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1",
                   "JAX_PLATFORMS": "cpu", "TF_ENABLE_ONEDNN_OPTS": "0", "PYTHONHASHSEED": "0"}
    folder = files_of(options, name)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    subprocess.run([python, os.path.join(HERE, "version_models.py"), folder], check=True, env=environment)
    print(f"{name}: made", flush=True)


def files_of(options, name):
    return os.path.join(options.venvs, name + ".files")


def pack(options):
    """One archive of all the versions: HDF5 is mostly holes, and one version's files are much as another's, so that they shrink to a
    fiftieth of their size. The table says what each version's made.json says."""
    os.makedirs(TARGET, exist_ok=True)
    small = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 0, "lp": 2}]  # for elements of four bytes
    columns = ("python", "backend", "keras", "numpy", "h5py")
    with lzma.open(os.path.join(TARGET, "files.tar.xz"), "wb", filters=small) as packed, \
            tarfile.open(fileobj=packed, mode="w") as archive, open(os.path.join(TARGET, "table.tsv"), "w") as table:
        print("# Made by make_versions.py: the folder in files.tar.xz, the versions of what made its files, and how many they are", file=table)
        print("#version", *columns, "models", "files", sep="\t", file=table)
        for name in VERSIONS:
            folder = files_of(options, name)
            if not os.path.exists(os.path.join(folder, "made.json")):
                print(f"{name}: left out, its files were not made", flush=True)
                continue
            with open(os.path.join(folder, "made.json")) as file:
                made = json.load(file)
            for file in sorted(os.listdir(folder)):
                archive.add(os.path.join(folder, file), f"{name}/{file}", filter=anonymous)
            files = sum(len(model["files"]) for model in made["models"].values())
            print(name, *(made[c] for c in columns), len(made["models"]), files, sep="\t", file=table)


def anonymous(member):
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    return member


if __name__ == "__main__":
    sys.exit(main())
