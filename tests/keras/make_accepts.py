"""Writes src/keras/accepts.def, the keys that the constructors of Keras's classes take, from the installed Keras:

    python3 tests/keras/make_accepts.py > src/keras/accepts.def
"""
import importlib
import inspect
import os
import pkgutil
import re

os.environ.setdefault("KERAS_BACKEND", "numpy")
import keras  # noqa: E402
import keras.src.ops as package  # noqa: E402
from keras.src.activations import activations  # noqa: E402
from keras.src.layers.layer import Layer  # noqa: E402
from keras.src.ops.operation import Operation  # noqa: E402
from keras.src.quantizers import quantizers  # noqa: E402

MODULES = ("layers", "optimizers", "optimizers.schedules", "losses", "metrics", "initializers", "regularizers", "constraints", "quantizers")


def keys(cls):
    """Parameters of the constructors up to the first that takes no others, and what these take out of their kwargs."""
    found = set()
    for base in cls.__mro__:
        if "__init__" not in vars(base) or base is object:
            continue
        parameters = inspect.signature(base.__init__).parameters.values()
        found |= {p.name for p in parameters if p.name != "self" and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
        try:
            source = inspect.getsource(base.__init__)
        except (OSError, TypeError):
            source = ""
        found |= set(re.findall(r"kwargs\.pop\(\s*\"(\w+)\"", source))
        if base is Layer or not any(p.kind == p.VAR_KEYWORD for p in parameters):
            break
    return found


def main():
    print(f"/* What the constructors of Keras {keras.__version__}'s classes take: CN_ACCEPTS(module, class, keys). By tests/keras/make_accepts.py.\n"
          " * A config with another key is refused by Keras when it makes the object. Define the macros that are wanted, then include. */")
    for macro in ("CN_ACCEPTS(module, class_name, keys)", "CN_FUNCTION(name)", "CN_OP(name)"):
        print(f"#ifndef {macro.split('(')[0]}\n#define {macro}\n#endif")
    for module in MODULES:
        namespace = keras
        for part in module.split("."):
            namespace = getattr(namespace, part)
        for name in sorted(dir(namespace)):
            cls = getattr(namespace, name)
            if not inspect.isclass(cls) or name in ("InputSpec", "Layer", "Optimizer", "Loss", "Metric", "Initializer", "Regularizer", "Constraint",
                                                    "Quantizer", "LearningRateSchedule"):
                continue
            print(f'CN_ACCEPTS("keras.{module}", "{name}", "{" ".join(sorted(keys(cls)))}")')
    print("/* CN_FUNCTION(name): functions that Keras finds by their name alone. */")
    names = set()
    for module in ("activations", "constraints", "initializers", "losses", "metrics", "optimizers", "regularizers"):
        namespace = getattr(keras, module)
        names |= {n for n in dir(namespace) if inspect.isfunction(getattr(namespace, n)) and n not in ("get", "serialize", "deserialize")}
    for name in sorted(names):
        print(f'CN_FUNCTION("{name}")')
    print("/* CN_OP(class): operations of keras.src.ops and the like. */")
    found = set()
    for info in pkgutil.iter_modules(package.__path__):
        if info.name.endswith("_test"):
            continue
        found |= {n for n, c in vars(importlib.import_module("keras.src.ops." + info.name)).items() if inspect.isclass(c) and issubclass(c, Operation)}
    for module in (activations, quantizers):
        found |= {n for n, c in vars(module).items() if inspect.isclass(c) and issubclass(c, Operation)}
    for name in sorted(found - {"Operation"}):
        print(f'CN_OP("{name}")')
    print("#undef CN_ACCEPTS\n#undef CN_FUNCTION\n#undef CN_OP")


if __name__ == "__main__":
    main()
