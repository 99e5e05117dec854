"""What the Python test programs share: their arguments, their PASS/FAIL/SKIP lines, and running Cornu's programs."""
import argparse
import fnmatch
import os
import subprocess
import sys
import warnings


class Report:
    """Prints one line a test; the exit status is 1 if one failed. Reasons are kept on one line."""

    def __init__(self):
        self.counts = {"PASS": 0, "FAIL": 0, "SKIP": 0}

    def _line(self, kind, name, reason):
        self.counts[kind] += 1
        text = " ".join(str(reason).split())[:600]
        print(f"{kind} {name}" + (f": {text}" if text else ""), flush=True)

    def ok(self, name):
        self._line("PASS", name, "")

    def fail(self, name, reason):
        self._line("FAIL", name, reason or "no reason given")

    def skip(self, name, reason):
        self._line("SKIP", name, reason)

    def finish(self):
        return 1 if self.counts["FAIL"] else 0


def arguments(description):
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--build", default=os.path.join(root, "build", "dev"), help="the build directory")
    parser.add_argument("--corpora", default=os.environ.get("CORNU_CORPORA", os.path.join(root, "..", "shared", "corpora")),
                        help="the directory of real model files")
    parser.add_argument("--only", default="*", help="run the cases whose name matches this pattern")
    parser.add_argument("--keep", metavar="DIR", help="write the files there and keep them")
    parser.add_argument("--cornu", help="the cornu program, instead of the one in the build directory")
    parser.add_argument("--venv", help="the Python that runs this")
    return parser


def chosen(name, only):
    return any(fnmatch.fnmatch(name, pattern) for pattern in only.split(","))


def find_program(build, name):
    """The path of a built program, or None."""
    for folder in ("tools", "tests", "bin", ""):
        path = os.path.join(build, folder, name)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return os.path.abspath(path)
    return None


def run(*command, timeout=60):
    """Exit status, standard output and standard error of a program; a signal is a negative status."""
    done = subprocess.run([str(part) for part in command], capture_output=True, timeout=timeout, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")


def quiet_tensorflow():
    """One thread, deterministic kernels, no logs: to be called before anything else imports Keras."""
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    warnings.simplefilter("ignore")
    try:
        import keras  # noqa: F401
    except ImportError as error:
        print(f"SKIP keras: {error}")
        sys.exit(0)
    if os.environ["KERAS_BACKEND"] == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_inter_op_parallelism_threads(1)
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.experimental.enable_op_determinism()
        tf.get_logger().setLevel("ERROR")
