"""Writes Tests/References/torch-numbers.json: what torch's CPU generator draws, as hexadecimal bit patterns.

Needs torch (written with 2.15 on an x86 machine with AVX2). A draw of more than 48 numbers keeps the first 32, the last 16
and the FNV-1a hash (64 bits) of the little-endian bytes of all. Run from the repository's root.
"""

import json

import torch

SIZES = [1, 2, 7, 15, 16, 17, 31, 32, 100, 1024, 16384]
SEEDS = [0, 1, 42, 2**32 - 1, 2**32 + 5, 2**63 - 1, 2**64 - 1]
MIXED = [["randn", 3], ["randn", 16], ["randn", 2], ["rand", 5], ["randn", 1], ["randn", 33], ["randint", 4], ["randn", 7]] + [
    ["randn", 16384],
    ["randn64", 1],
    ["randn", 4],
    ["randn64", 20],
    ["rand64", 3],
    ["randn64", 5],
    ["randn", 100],
    ["randn", 1],
]
BOUND = 1000


def fnv(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


def draw(generator, kind, size):
    if kind == "randint":
        return {"kind": kind, "count": size, "head": torch.randint(BOUND, (size,), generator=generator).tolist()}
    dtype = torch.float64 if kind.endswith("64") else torch.float32
    make = torch.randn if kind.startswith("randn") else torch.rand
    values = make(size, generator=generator, dtype=dtype).numpy()
    bits = [f"{v:x}" for v in values.view("uint64" if dtype == torch.float64 else "uint32").tolist()]
    record = {"kind": kind, "count": size, "head": bits if size <= 48 else bits[:32]}
    if size > 48:
        record |= {"tail": bits[-16:], "hash": fnv(values.tobytes())}
    return record


def main():
    sequences = []
    for seed in SEEDS:
        for size in SIZES:
            sequences.append((seed, [["randn", size]]))
        sequences.append((seed, MIXED))
    records = []
    for seed, draws in sequences:
        generator = torch.Generator("cpu").manual_seed(seed)
        records.append({"seed": str(seed), "draws": [draw(generator, *step) for step in draws]})
    for seed in [-1, -5, -(2**63)]:
        generator = torch.Generator("cpu").manual_seed(seed)
        records.append({"seed": str(seed), "draws": [draw(generator, "randn", 16)]})
    with open("Tests/References/torch-numbers.json", "w") as file:
        file.write("[\n" + ",\n".join(json.dumps(record, separators=(",", ":")) for record in records) + "\n]\n")


if __name__ == "__main__":
    main()
