"""Makes the weights of a model that travels as config and seed (make_models.py), with numpy: the same bits as `cornu bench --seed` makes.

    weights.py MODEL.json SEED OUT.npz     weights keyed by their places in model.weights.h5

Number i of stream k under a seed is word i modulo 4 of Philox 4x32-10 (Salmon et al., SC 2011) with the counter (i / 4, k, 0) and the key `seed`; its
upper 24 bits are a number u in [0, 1), and the weight is low + (high - low) u, computed in float64 and rounded to float32. Variable k has stream k."""
import argparse
import json

import numpy as np


def words(seed, stream, count):
    """The first count words of a stream, uint32."""
    blocks = np.arange((count + 3) // 4, dtype=np.uint64)
    low = np.uint64(0xFFFFFFFF)
    half = np.uint64(32)
    c0, c1 = blocks & low, blocks >> half
    c2, c3 = np.full_like(blocks, stream), np.zeros_like(blocks)
    k0, k1 = seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c0, np.uint64(0xCD9E8D57) * c2
        c0, c2 = (p1 >> half) ^ c1 ^ np.uint64(k0), (p0 >> half) ^ c3 ^ np.uint64(k1)
        c1, c3 = p1 & low, p0 & low
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3], axis=1).astype(np.uint32).reshape(-1)[:count]


def uniform(seed, stream, count, low, high):
    u = (words(seed, stream, count) >> np.uint32(8)).astype(np.float64) * 2.0**-24
    return (low + (high - low) * u).astype(np.float32)


def weights(path, seed):
    """{place: array} of a model file of config and seed."""
    with open(path, encoding="utf-8") as file:
        rows = json.load(file)["bench"]["variables"]
    made = {}
    for stream, row in enumerate(rows):
        name, low, high, *dims = row.split(" ")
        dims = [int(dim) for dim in dims]
        made[name] = uniform(seed, stream, int(np.prod(dims)), float(low), float(high)).reshape(dims)
    return made


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model")
    parser.add_argument("seed", type=int)
    parser.add_argument("out")
    args = parser.parse_args()
    np.savez(args.out, **weights(args.model, args.seed))


if __name__ == "__main__":
    main()
