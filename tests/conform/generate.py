"""Writes the conformance cases: every layer class and constructor argument of the installed Keras, with what Keras
computes. See specs.py for what is tried and pack.py for the file.

Prints PASS, FAIL and SKIP lines: a class or argument without a spec, a value that Keras rejects and a case without an oracle
are named. The result is kept under BUILD/conform and made again when this generator, or Keras, is another one."""
import fcntl
import glob
import hashlib
import inspect
import json
import os
import sys
import time
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "golden")]

import report  # noqa: E402


PACKS = ("layers.pack", "ops.pack", "networks.pack", "sequences.pack", "sequence_networks.pack")


def main():
    parser = report.arguments(__doc__.split("\n")[0])
    parser.add_argument("--networks", type=int, default=300, help="how many random networks")
    parser.add_argument("--small", metavar="FILE", help="write the small committed set instead")
    parser.add_argument("--out", metavar="DIR", help="instead of BUILD/conform")
    options = parser.parse_args()
    folder = options.out or os.path.join(options.build, "conform")
    report.quiet_tensorflow()
    out = report.Report()
    if options.small:
        write_small(options.small)
        return 0
    os.makedirs(folder, exist_ok=True)
    lock = open(os.path.join(folder, "lock"), "w")
    fcntl.flock(lock, fcntl.LOCK_EX)  # one makes them, who comes meanwhile waits for them
    stamp = os.path.join(folder, "stamp.json")
    key = content_key(options)
    if os.path.exists(stamp):
        with open(stamp) as file:
            old = json.load(file)
        if old["key"] == key and all(os.path.exists(os.path.join(folder, f)) for f in PACKS):
            print("\n".join(old["lines"]))
            return old["status"]
    lines = []
    original = out._line

    def remember(kind, name, reason):
        text = " ".join(str(reason).split())[:600]
        lines.append(f"{kind} {name}" + (f": {text}" if text else ""))
        original(kind, name, reason)

    out._line = remember
    generate(options, folder, out)
    status = out.finish()
    if options.only == "*":
        with open(stamp, "w") as file:
            json.dump({"key": key, "lines": lines, "status": status}, file)
    return status


def content_key(options):
    import keras
    import tensorflow as tf

    digest = hashlib.sha256(f"{keras.__version__} {tf.__version__} {options.networks} {options.only}".encode())
    for path in sorted(glob.glob(os.path.join(HERE, "*.py"))):
        with open(path, "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()


def generate(options, folder, out):
    import networks
    import pack
    import sequence_networks
    import sequences
    import specs

    start = time.monotonic()
    check_coverage(out)
    cases = []
    for name in specs.LAYERS:
        if report.chosen(name, options.only):
            cases.extend(layer_cases(name, out))
    pack.write(os.path.join(folder, "layers.pack"), cases)
    print(f"  {len(cases)} layer cases in {time.monotonic() - start:.0f} s", file=sys.stderr)
    start = time.monotonic()
    if options.only == "*" or options.only.startswith("op"):
        import ops_specs
        operations = ops_specs.cases(out)
        pack.write(os.path.join(folder, "ops.pack"), operations)
        print(f"  {len(operations)} operation cases in {time.monotonic() - start:.0f} s", file=sys.stderr)
        if len(operations) >= 1000:
            out.ok("conform.count.ops")
        else:
            out.fail("conform.count.ops", f"{len(operations)} cases, 1000 are wanted")
    start = time.monotonic()
    found = []
    if options.only == "*" or options.only.startswith("network"):
        found = networks.cases(options.networks, out)
    pack.write(os.path.join(folder, "networks.pack"), found)
    print(f"  {len(found)} networks in {time.monotonic() - start:.0f} s", file=sys.stderr)
    start = time.monotonic()
    models = sequences.cases(out, lambda name: report.chosen(name, options.only))
    pack.write(os.path.join(folder, "sequences.pack"), models)
    print(f"  {len(models)} models of sequences in {time.monotonic() - start:.0f} s", file=sys.stderr)
    start = time.monotonic()
    long = sequence_networks.cases(out, lambda name: report.chosen(name, options.only))
    pack.write(os.path.join(folder, "sequence_networks.pack"), long)
    print(f"  {len(long)} networks of sequences in {time.monotonic() - start:.0f} s", file=sys.stderr)
    if options.only == "*":
        for what, count, wanted in (("layers", len(cases), 1200), ("networks", len(found), options.networks), ("sequences", len(models), 600),
                                    ("sequence_networks", len(long), sequence_networks.COUNT)):
            if count >= wanted:
                out.ok(f"conform.count.{what}")
            else:
                out.fail(f"conform.count.{what}", f"{count} cases, {wanted} are wanted")


# ---- Coverage: nothing in the installed Keras goes without a word ----------------------------------------------


def keras_classes():
    """Name -> class of keras.layers, each class once, under its own name."""
    from keras import layers

    found = {}
    for name in dir(layers):
        cls = getattr(layers, name)
        if inspect.isclass(cls):
            found[cls.__name__] = cls
    return found


def family(cls):
    parts = cls.__module__.split(".")  # keras.src.layers.FAMILY.module
    return parts[3] if len(parts) > 3 and parts[2] == "layers" else parts[-1]


def arguments_of(cls):
    """Argument names of the constructor; those of the base classes where it has only *args and **kwargs."""
    names = []
    for base in cls.__mro__:
        if base.__name__ in ("Layer", "Operation", "object") or "__init__" not in vars(base):
            continue
        found = [p for p in inspect.signature(base.__init__).parameters if p not in ("self", "args")]
        names += [p for p in found if p not in names]
        if found != ["kwargs"]:
            break
    return names


def has_word(name, argument, specs):
    _, base, values, options = specs.LAYERS[name]
    explicit = {key for case in options.get("explicit", ()) for key in case}
    inert = argument.endswith(tuple(specs.INERT))
    return (argument in values or argument in explicit or inert or f"*.{argument}" in specs.EXCLUDED_ARGUMENTS or
            f"{name}.{argument}" in specs.EXCLUDED_ARGUMENTS)


def check_coverage(out):
    import specs

    classes = keras_classes()
    problems = 0
    for name, cls in sorted(classes.items()):
        if name in specs.LAYERS:
            for argument in arguments_of(cls):
                if not has_word(name, argument, specs):
                    problems += 1
                    out.fail(f"conform.coverage.{name}.{argument}", "this argument of the installed Keras has no values in specs.py")
        elif name in specs.EXCLUDED or family(cls) in specs.EXCLUDED_MODULES:
            continue
        else:
            problems += 1
            out.fail(f"conform.coverage.{name}", f"this class of the installed Keras ({family(cls)}) has no spec in specs.py")
    for name in specs.LAYERS:
        if name not in classes:
            problems += 1
            out.fail(f"conform.coverage.{name}", "specs.py names a class that the installed Keras does not have")
            continue
        known = arguments_of(classes[name]) + ["@shape"]
        _, base, values, options = specs.LAYERS[name]
        for argument in [*base, *values, *(k for case in options.get("explicit", ()) for k in case)]:
            if argument not in known:
                problems += 1
                out.fail(f"conform.coverage.{name}.{argument}", "specs.py names an argument that the installed Keras does not have")
    if not problems:
        out.ok("conform.coverage")


# ---- Cases -----------------------------------------------------------------------------------------------------


def channels_first(shape):
    return (shape[-1], *shape[:-1]) if len(shape) > 1 else shape


def text_of(value):
    if isinstance(value, (list, tuple)):
        return "(" + ",".join(text_of(v) for v in value) + ")"
    return repr(value).replace("'", "").replace(" ", "") if not isinstance(value, str) else value


def case_name(name, base, arguments):
    shown = {k: v for k, v in arguments.items() if k not in base or base[k] != v}
    text = ";".join(f"{k.lstrip('@')}={text_of(v)}" for k, v in shown.items())
    text = text if len(text) < 140 else f"{text[:120]}#{zlib.crc32(text.encode()):08x}"
    return f"{name}.{text or 'default'}".replace(" ", "")


def argument_sets(name, specs, rng):
    """(arguments, sampled) in turn: each value once, the explicit ones, what every layer has, then pairs."""
    shapes, base, values, options = specs.LAYERS[name]
    from keras import layers

    known = arguments_of(getattr(layers, name))
    yield dict(base), False
    for shape in shapes[1:]:
        yield {**base, "@shape": shape}, False
    for argument, legal in values.items():
        for value in legal:
            if argument == "bias_axes" and value == "bd":
                yield {**base, "output_shape": options["bias_axes_shape"], argument: value}, False
                continue
            yield {**base, **options.get("with_values", {}).get(argument, {}), argument: value}, False
    for case in options.get("explicit", ()):
        yield dict(case), False
    inert = {}
    for argument in known:
        for ending, value in specs.INERT.items():
            if argument.endswith(ending):
                inert[argument] = specs.INERT_VECTOR.get(argument, value)
    if inert:
        yield {**base, **inert}, False
    for argument, legal in specs.COMMON.items():
        if argument not in options.get("no_common", ()):
            for value in legal:
                yield {**base, argument: value}, False
    yield from pairs({"@shape": shapes, **values}, base, options.get("pairs", 8), rng)


def pairs(values, base, most, rng):
    """Random argument sets, each of which has a pair of values that none before it had."""
    values = {k: v for k, v in values.items() if len(v) > 1}
    seen, made = set(), 0
    for _ in range(60 * most):
        if made >= most or len(values) < 2:
            return
        chosen = {k: v[rng.integers(len(v))] for k, v in values.items() if rng.random() < 0.55}
        items = [f"{k}={v!r}" for k, v in sorted(chosen.items())]
        new = {(a, b) for a in items for b in items if a < b} - seen
        if new:
            seen |= new
            made += 1
            yield {**base, **chosen}, True


def layer_cases(name, out):
    """The cases of one class. What Keras rejects is an error unless it was a sampled pair."""
    import numpy as np
    import oracle
    import specs

    cases, names = [], set()
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    for arguments, sampled in argument_sets(name, specs, rng):
        title = case_name(name, specs.LAYERS[name][1], arguments)
        if title in names:
            continue
        names.add(title)
        try:
            cases.append(layer_case(name, title, arguments))
        except oracle.Illegal as error:
            if not sampled:
                out.fail(f"conform.case.{title}", f"Keras rejects it: {error}")
        except oracle.NoOracle as error:
            out.skip(f"conform.oracle.{title}", error)
        except Exception as error:
            out.fail(f"conform.case.{title}", f"{type(error).__name__}: {error}")
    return cases


def layer_case(name, title, arguments):
    import keras
    import oracle
    import specs

    shapes, _, _, options = specs.LAYERS[name]
    arguments = dict(arguments)
    shape = arguments.pop("@shape", shapes[0])
    many = isinstance(shape, list)
    each = shape if many else [shape]
    if arguments.get("data_format") == "channels_first":
        each = [channels_first(s) for s in each]
    integers = options.get("integers")
    batch = 8 if options.get("large") else 2 + zlib.crc32(title.encode()) % 2

    def build():
        inputs = [keras.Input(s, dtype="int32" if integers else None, name=f"in{i}") for i, s in enumerate(each)]
        inputs = inputs if many else inputs[0]
        exact = keras.config.floatx() == "float64"  # a layer of half precision is measured against float64 too
        chosen = {k: v for k, v in arguments.items() if not (exact and k == "dtype")}
        return keras.Model(inputs, getattr(keras.layers, name)(**chosen)(inputs))

    def draw(rng):
        runs = []
        for large in (False, True) if options.get("large") else (False,):
            run = [oracle.draw_input((batch, *s), rng, large, integers) for s in each]
            runs.append(run if many else run[0])
        return runs

    return oracle.make_case(title, build, draw, zlib.crc32(title.encode()), oracle.LAYER_TOLERANCE)


# ---- The small set that is committed ---------------------------------------------------------------------------


def write_small(path):
    """The first case of each class and a few networks, their members deflated: 60 cases in half a megabyte; beside them some
    sequences."""
    import networks
    import numpy as np
    import sequences
    import specs

    cases = []
    for name in specs.LAYERS:
        if "3D" in name or name.startswith(("Adaptive", "Spatial")):
            continue
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        arguments, _ = next(iter(argument_sets(name, specs, rng)))
        cases.append(layer_case(name, case_name(name, specs.LAYERS[name][1], arguments), arguments))
    cases += networks.cases(5, report.Report())
    write_deflated(path, cases)
    path = os.path.join(os.path.dirname(path), "small_sequences.pack")
    write_deflated(path, sequences.cases(report.Report(), lambda name: name in sequences.SMALL))


def write_deflated(path, cases):
    import io
    import zipfile

    import pack

    for case in cases:
        packed = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(case.model)) as old, zipfile.ZipFile(packed, "w") as new:
            for info in old.infolist():
                new.writestr(zipfile.ZipInfo(info.filename), old.read(info), zipfile.ZIP_DEFLATED, 9)
        case.model = packed.getvalue()
    pack.write(path, cases)
    print(f"{len(cases)} cases, {os.path.getsize(path)} bytes")


if __name__ == "__main__":
    sys.exit(main())
