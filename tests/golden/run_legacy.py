"""Files of every older Keras: `cornu predict` computes what the Keras that reads them computes. Models made here by tf_keras and
by Keras in their old formats, files of Keras 1 spelled by hand, and the real files of corpus_expected.tsv."""
import os
import shutil
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import legacy_corpus
import legacy_models
import report
import run_predict

LIMIT = 2e-5  # relative L2 error: up to a dozen layers in float32


def main():
    options = report.arguments(__doc__.split("\n")[0]).parse_args()
    report.quiet_tensorflow()
    out = report.Report()
    cornu = options.cornu or report.find_program(options.build, "cornu")
    if not cornu:
        out.skip("golden.legacy", "there is no program cornu in " + options.build)
        return out.finish()
    try:
        import tf_keras
    except ImportError:
        out.skip("golden.legacy", "there is no tf_keras")
        return out.finish()
    del tf_keras
    folder = options.keep or tempfile.mkdtemp(prefix="cornu-legacy-")
    os.makedirs(folder, exist_ok=True)
    try:
        made = list(legacy_models.cases())
        for name, make in made:
            if report.chosen("legacy." + name, options.only):
                check_case(cornu, folder, name, make, out)
        legacy_corpus.check(cornu, folder, options.corpora, options.only, out)
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    return out.finish()


def check_case(cornu, folder, name, make, out):
    """make(folder) -> [(file, more arguments)], inputs, expected outputs."""
    try:
        files, inputs, expected = make(folder)
    except Exception as error:  # the old Keras's own failure is no failure of ours, but it has to be seen
        out.fail("legacy." + name, f"the model could not be made: {type(error).__name__}: {error}")
        return
    for path, more in files:
        title = f"legacy.{name}.{os.path.basename(path)}"
        problem, actual = run_predict.predict(cornu, folder, path, inputs, *more)
        problem = problem or run_predict.difference(expected, actual, LIMIT)
        out.fail(title, problem) if problem else out.ok(title)
        check_upgrade(cornu, folder, path, more, inputs, expected, title, out)


def check_upgrade(cornu, folder, path, more, inputs, expected, title, out):
    """What `cornu convert` makes of the file opens in Keras 3.15.1 and predicts the same."""
    import keras

    target = os.path.join(folder, "upgraded.keras")
    code, _, error = report.run(cornu, "convert", path, target, "--overwrite", "--dialect", "keras", *more)
    if code:
        out.fail(title + ".upgraded", f"cornu convert ended with {code}: {error}")
        return
    try:
        model = keras.models.load_model(target, compile=False)
        actual = run_predict.expected_outputs(model, inputs)
    except Exception as failure:
        out.fail(title + ".upgraded", f"Keras 3 refuses it: {type(failure).__name__}: {failure}")
        return
    problem = run_predict.difference(expected, actual, LIMIT)
    out.fail(title + ".upgraded", problem) if problem else out.ok(title + ".upgraded")


if __name__ == "__main__":
    sys.exit(main())
