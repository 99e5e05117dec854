"""What `cornu check` says of a file agrees with what real Keras does with it: files that Keras opens have no problem of Keras's, files that it refuses or
misreads have one, with the expected code. Models of models.py as they are, and one archive changed in one way each."""
import io
import json
import os
import shutil
import sys
import tempfile
import zipfile

import report


def main():
    options = report.arguments(__doc__.split("\n")[0]).parse_args()
    report.quiet_tensorflow()
    out = report.Report()
    cornu = options.cornu or report.find_program(options.build, "cornu")
    if not cornu:
        out.skip("check", "there is no program cornu in " + options.build)
        return out.finish()
    folder = options.keep or tempfile.mkdtemp(prefix="cornu-check-")
    os.makedirs(folder, exist_ok=True)
    try:
        run_good(cornu, folder, options, out)
        run_changed(cornu, folder, options, out)
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    return out.finish()


# Classes that this program has registered, where Keras opens the model with them as it was saved.
DECLARED = {"functional_optional_input.keras": ["--custom", "tests>OptionalSum"]}


def findings(cornu, path):
    code, output, error = report.run(cornu, "check", path, "--json", *DECLARED.get(os.path.basename(path), []))
    if code not in (0, 5):
        raise RuntimeError(f"cornu check ended with {code}: {error}")
    return json.loads(output)


def opens(path):
    """None, or why Keras does not open it as meant: its exception, or its warning about variables that it skips."""
    import warnings

    import keras

    keras.backend.clear_session()
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            keras.saving.load_model(path)
        except Exception as error:
            return f"{type(error).__name__}: {error}"
    return next((str(w.message) for w in seen if "Skipping variable loading" in str(w.message)), None)


def verdict(cornu, path, out, name, wanted=None):
    try:
        refused, report_ = opens(path), findings(cornu, path)
    except Exception as error:
        out.fail(name, error)
        return
    codes = {f["code"] for f in report_["findings"] if f["severity"] == "problem" and f["who"] == "keras"}
    if bool(refused) != bool(codes):
        out.fail(name, f"Keras: {refused or 'opens it'}; check: {sorted(codes) or 'no problem'} "
                       f"{[f['place'] + ': ' + f['what'] for f in report_['findings'] if f['who'] == 'keras'][:2]}")
    elif wanted and wanted not in codes:
        out.fail(name, f"{sorted(codes)} without {wanted}")
    else:
        out.ok(name)


def run_good(cornu, folder, options, out):
    import keras

    import models
    import run_training

    for name, make in models.CASES.items():
        if not report.chosen(name, options.only) or (name.startswith("optimizer_") and name[10:] not in run_training.SHORT):
            continue
        path = os.path.join(folder, name + ".keras")
        keras.backend.clear_session()
        try:
            made = make()
            (made[0] if isinstance(made, tuple) else made).save(path)
        except Exception as error:
            out.skip("check." + name, f"Keras does not make this model: {error}")
            continue
        verdict(cornu, path, out, "check." + name)


# ---- one change each ----

def layer(tree, class_name):
    return next(x for x in tree["config"]["layers"] if x["class_name"] == class_name)


def drop_group(h5):
    del h5["layers/dense/vars"]


def more_data(h5):
    h5["layers/dense/vars/2"] = [1.0]


def rename_groups(h5):
    for name in list(h5["layers"]):
        h5.move("layers/" + name, "layers\\" + name)
    del h5["layers"]


def early_product(h5):
    """Nadam's product before the slots, as Keras wrote it before 3.10."""
    stored = h5["optimizer/vars"]
    values = [stored[str(i)][()] for i in range(len(stored))]
    for i, value in enumerate([*values[:2], values[-1], *values[2:-1]]):
        del stored[str(i)]
        stored[str(i)] = value


def fewer_slots(h5):
    del h5["optimizer/vars/3"]


CHANGES = {  # name: (part, change, code)
    "unknown_key": ("config", lambda t: layer(t, "Dense")["config"].update(groups=1), "unknown-key"),
    "unknown_class": ("config", lambda t: layer(t, "Dense").update(class_name="Densest"), "unknown-class"),
    "old_module": ("config", lambda t: t.update(module="keras.engine.sequential"), "unknown-class"),
    "tf_module": ("config", lambda t: layer(t, "Dense").update(module="tf_keras.layers"), None),
    "custom": ("config", lambda t: layer(t, "Dense").update(module="mine", registered_name="Mine"), "custom-object"),
    "package": ("config", lambda t: layer(t, "Dense").update(module="mine", registered_name="mine>Dense"), "custom-object"),
    "registered": ("config", lambda t: layer(t, "Dense").update(registered_name="Other"), "registered-name"),
    "batch_input_shape": ("config", lambda t: layer(t, "Dense")["config"].update(batch_input_shape=[None, 4]), "unknown-key"),
    "policy": ("config", lambda t: layer(t, "Dense")["config"].update(dtype={"class_name": "Policy", "module": "keras.mixed_precision",
                                                                            "config": {"name": "float32"}, "registered_name": None}), "dtype-policy"),
    "norm_axis": ("config", lambda t: layer(t, "BatchNormalization")["config"].update(axis=[1]), "legacy-value"),
    "name": ("config", lambda t: t["config"].pop("name"), "missing-key"),
    "no_input": ("config", lambda t: (t["config"]["layers"].pop(0), t["config"].pop("build_input_shape", None), t.pop("build_config", None)), "not-built"),
    "bias": ("config", lambda t: layer(t, "Dense")["config"].update(use_bias=False), "variable-count"),
    "optimizer_key": ("config", lambda t: t["compile_config"]["optimizer"]["config"].update(jit_compile=True), "unknown-key"),
    "loss": ("config", lambda t: t["compile_config"].update(loss="nothing"), None),
    "metric": ("config", lambda t: t["compile_config"].update(metrics=["nothing"]), None),
    "reduction": ("config", lambda t: t["compile_config"].update(loss={"module": "keras.losses", "class_name": "MeanSquaredError", "registered_name": None,
                                                                       "config": {"reduction": "auto", "name": "m"}}), "legacy-value"),
    "wrapped": ("config", lambda t: t["compile_config"].update(optimizer={"module": "keras.optimizers", "class_name": "LossScaleOptimizer", "registered_name": None,
                                                                          "config": {"inner_optimizer": t["compile_config"]["optimizer"]}}), "optimizer-state"),
    "slash": ("config", lambda t: layer(t, "Dense")["config"].update(name="a/b"), "layer-name"),
    "no_group": ("h5", drop_group, "missing-variable"),
    "more_data": ("h5", more_data, "variable-count"),
    "separators": ("h5", rename_groups, "separator"),
    "slots": ("h5", fewer_slots, "optimizer-state"),
    "no_optimizer": ("config", lambda t: t["compile_config"].pop("optimizer"), "missing-optimizer"),
    "nothing": ("config", lambda t: None, None),
    "nadam_order": ("h5", early_product, "optimizer-state"),
}


def run_changed(cornu, folder, options, out):
    import h5py
    import keras

    import models

    def members_of(optimizer):
        source = os.path.join(folder, "source.keras")
        model = models.compiled(models.mlp(keras.layers.BatchNormalization()), optimizer, metrics=["mae"])
        model.optimizer.build(model.trainable_variables)
        model.save(source)
        with zipfile.ZipFile(source) as archive:
            return {name: archive.read(name) for name in archive.namelist()}

    sources = {"adam": members_of("adam"), "nadam": members_of("nadam")}
    for name, (part, change, code) in CHANGES.items():
        if not report.chosen("changed_" + name, options.only):
            continue
        path = os.path.join(folder, name + ".keras")
        members = sources["nadam" if name.startswith("nadam") else "adam"]
        new = dict(members)
        if part == "config":
            tree = json.loads(members["config.json"])
            change(tree)
            new["config.json"] = json.dumps(tree).encode()
        else:
            memory = io.BytesIO(members["model.weights.h5"])
            with h5py.File(memory, "r+") as h5:
                change(h5)
            new["model.weights.h5"] = memory.getvalue()
        with zipfile.ZipFile(path, "w") as archive:
            for member, data in new.items():
                archive.writestr(member, data)
        verdict(cornu, path, out, "check.changed_" + name, code)


if __name__ == "__main__":
    sys.exit(main())
