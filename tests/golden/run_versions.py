"""Files that Keras of every age has written (tests/golden/versions, made by make_versions.py) load, and agree with what wrote them.

  predict.VERSION.FILE   cornu predict computes what that Keras computed
  info.VERSION.FILE      cornu info names the version and the optimizer
  convert.VERSION.FILE   what cornu convert makes of it opens in the Keras that runs this: equal predictions, and every variable of
                         the optimizer where the file holds it; a few of each version, with --all of all files"""
import json
import os
import shutil
import sys
import tarfile
import tempfile

import report
import run_predict

LIMIT = 2e-5  # relative L2 error: up to a dozen layers in float32
VERSIONS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "versions")
WEIGHTS = (".weights.h5", ".old.h5")


def main():
    parser = report.arguments(__doc__.split("\n")[0])
    parser.add_argument("--all", action="store_true", help="convert every file, and do nothing else")
    options = parser.parse_args()
    report.quiet_tensorflow()
    out = report.Report()
    cornu = options.cornu or report.find_program(options.build, "cornu")
    if not cornu:
        out.skip("versions", "there is no program cornu in " + options.build)
        return out.finish()
    folder = options.keep or tempfile.mkdtemp(prefix="cornu-versions-")
    counts = {"files": 0, "agree": 0}
    try:
        with tarfile.open(os.path.join(VERSIONS, "files.tar.xz")) as archive:
            archive.extraction_filter = getattr(tarfile, "data_filter", None)  # Python 3.11.4 and newer
            archive.extractall(folder)
        for number, row in enumerate(rows()):
            if report.chosen("versions." + row["version"], options.only):
                check_version(cornu, folder, number, row, options.all, out, counts)
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    for name, value in counts.items():
        print(f"FIGURE versions_{name} {value} files")
    return out.finish()


def rows():
    """The lines of the table as {column: text}."""
    with open(os.path.join(VERSIONS, "table.tsv")) as table:
        lines = [line.rstrip("\n").split("\t") for line in table if not line.startswith("# ")]
    return [dict(zip([lines[0][0].lstrip("#"), *lines[0][1:]], line)) for line in lines[1:]]


def check_version(cornu, top, number, row, everything, out, counts):
    version, folder = row["version"], os.path.join(top, row["version"])
    with open(os.path.join(folder, "made.json")) as file:
        made = json.load(file)
    models = made["models"]
    files = sum(len(model["files"]) for model in models.values())
    for name, reason in made["failed"].items():
        out.fail(f"versions.{version}.{name}", f"it was not made: {reason}")
    if (made["keras"], str(files)) != (row["keras"], row["files"]):
        out.fail("versions." + version, f"the table says Keras {row['keras']} and {row['files']} files, the archive {made['keras']} and {files}")
        return
    for at, (name, model) in enumerate(models.items()):
        case = Case(cornu, folder, name, made["keras"], model["optimizer"])
        for i, file in enumerate(model["files"]):
            title = f"{version}.{file}"
            if not everything:
                verdict(out, "predict." + title, case.predict, file)
                if not file.endswith(WEIGHTS):
                    verdict(out, "info." + title, case.info, file)
            if everything or at == (number + 2 * i) % len(models):
                counts["files"] += 1
                counts["agree"] += verdict(out, "convert." + title, case.convert, file)


def verdict(out, title, check, file):
    try:
        problem = check(file)
    except Exception as error:
        problem = f"{type(error).__name__}: {error}"
    if problem:
        out.fail(title, problem)
    else:
        out.ok(title)
    return not problem


class Case:
    """One model of one version: its files are checked against the arrays that its Keras wrote."""

    def __init__(self, cornu, folder, name, keras_version, optimizer):
        import numpy as np

        self.cornu, self.folder, self.name, self.keras_version, self.optimizer = cornu, folder, name, keras_version, optimizer
        with np.load(os.path.join(folder, name + ".npz")) as arrays:
            self.arrays = {kind: [arrays[f"{kind}_{i}"] for i in range(sum(n.startswith(kind) for n in arrays.files))]
                           for kind in ("input", "output", "optimizer")}

    def more(self, file):
        return ("--config", os.path.join(self.folder, self.name + ".json")) if file.endswith(WEIGHTS) else ()

    def predict(self, file):
        problem, actual = run_predict.predict(self.cornu, self.folder, os.path.join(self.folder, file), self.arrays["input"],
                                              "--device", "cpu", *self.more(file))
        return problem or run_predict.difference(self.arrays["output"], actual, LIMIT)

    def info(self, file):
        code, text, error = report.run(self.cornu, "info", "--json", os.path.join(self.folder, file))
        if code:
            return f"cornu info ended with {code}: {error}"
        told = json.loads(text)
        expected = {"keras_version": self.keras_version, "optimizer": self.optimizer, "compiled": True, "runnable": True}
        wrong = {key: told.get(key) for key, value in expected.items() if told.get(key) != value}
        return f"cornu info says {wrong}" if wrong else None if told.get("loss") else "cornu info names no loss"

    def convert(self, file):
        import keras

        target = os.path.join(self.folder, "converted.keras")
        code, _, error = report.run(self.cornu, "convert", os.path.join(self.folder, file), target, "--overwrite", "--dialect", "keras",
                                    *self.more(file))
        if code:
            return f"cornu convert ended with {code}: {error}"
        keras.backend.clear_session()
        model = keras.models.load_model(target)
        problem = run_predict.difference(self.arrays["output"], run_predict.expected_outputs(model, self.arrays["input"]), LIMIT)
        # tf.keras keeps nothing of the state of its older optimizers in .keras
        if problem or file.endswith(WEIGHTS) or file == "old_optimizer.keras":
            return problem
        return optimizer_difference(self.optimizer, self.arrays["optimizer"], model.optimizer)


def optimizer_difference(name, expected, optimizer):
    """Each variable of the file's optimizer is one of the opened one's: the orders differ from version to version, and the newest
    keeps more of them."""
    import numpy as np

    if optimizer is None or type(optimizer).__name__ != name:
        return f"the optimizer is {type(optimizer).__name__}, not {name}"
    found = [np.asarray(v) for v in optimizer.variables]
    for i, value in enumerate(expected):
        if not any(v.shape == value.shape and v.tobytes() == value.astype(v.dtype).tobytes() for v in found):
            return f"variable {i} of the optimizer, {value.dtype}{value.shape}, is lost"
    return None


if __name__ == "__main__":
    sys.exit(main())
