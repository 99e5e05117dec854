"""Conformance models with damaged configs, for the runner under AddressSanitizer: mutate.py OUT.pack COUNT SEED PACK... Each model of
the packs has one to three values of its config replaced by one of another type, size or sign, a key taken away or an element
doubled; the weights stay. What it computes is not compared: the runner must come to its end."""
import copy
import io
import json
import random
import sys
import zipfile

import pack

VALUES = [None, True, False, 0, 1, -1, 2, 3, 7, 2**31, -(2**31), 2**53 + 1, 10**30, 0.5, -1.5, 1e30, float("nan"), float("inf"), "", "x", "relu",
          "same", "channels_first", "linear", [], [0], [-1], [1, 2], [3, 3, 3], [None, None], [2**40, 2**40], {}, {"class_name": "Dense", "config": {}},
          {"class_name": "__keras_tensor__", "config": {"keras_history": ["x", 0, 0]}}, [[["x", 0, 0]]]]


def places(node, found):
    """Every (container, key) below a node."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        found.append((node, key))
        places(value, found)
    return found


def damage(config, rng):
    config = copy.deepcopy(config)
    for _ in range(rng.randint(1, 3)):
        container, key = rng.choice(places(config, []))
        way = rng.random()
        if way < 0.75:
            container[key] = copy.deepcopy(rng.choice(VALUES))
        elif way < 0.9:
            del container[key]
        elif isinstance(container, list):
            container.insert(key, copy.deepcopy(container[key]))
        elif isinstance(container[key], int) and not isinstance(container[key], bool):
            container[key] += rng.choice([-1, 1, 2])
        else:
            container[key] = [container[key]]
    return config


def rezip(model, config):
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(model)) as old, zipfile.ZipFile(out, "w") as new:
        for item in old.infolist():
            new.writestr(item.filename, json.dumps(config) if item.filename == "config.json" else old.read(item))
    return out.getvalue()


def main():
    target, count, seed, *packs = sys.argv[1:]
    rng = random.Random(int(seed))
    cases = [case for path in packs for case in pack.read(path)]
    out = []
    for i in range(int(count)):
        case = rng.choice(cases)
        with zipfile.ZipFile(io.BytesIO(bytes(case.model))) as archive:
            config = json.loads(archive.read("config.json"))
        out.append(pack.Case(f"{i}.{case.name}", rezip(bytes(case.model), damage(config, rng)), case.runs[:1], case.tolerance, case.error))
    pack.write(target, out)


if __name__ == "__main__":
    main()
