"""Products and convolutions with weights that numpy rounds to 8 and to 4 bits, one number after the other.

    weight_formats.py        Tests/OpsTests/Fixtures/weight-formats.json

An array of
    {"operator", "format", "input", "weights", "transB", "step", "expected"}
with shapes of the inputs, whose numbers are those of the tests' pseudoRandom() with seeds 1 and 2; convolutions are padded by one pixel where
their kernels have 3×3 numbers. `expected` is every `step`th number of the product in double precision.

int8: one scale for each output channel, its largest magnitude over 127. int4: a scale for each block of 32 weights of an output channel in
a row, the weight of the largest magnitude over -8, numbers from -8 to 7. Rounded to nearest, ties to even, in single precision.
"""

import numpy as np

from common import ROOT, write_json

BLOCK = 32


def pseudo_random(shape, seed):
    state, values = seed, []
    for _ in range(int(np.prod(shape))):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        high = state >> 32
        values.append(np.float32(high - 2**32 if high >= 2**31 else high) / np.float32(2**31))
    return np.array(values, np.float32).reshape(shape)


def rounded(channel, form):
    """The weights of an output channel, [n], as they count after rounding."""
    if form == "int8":
        scale = np.float32(np.abs(channel).max()) / np.float32(127)
        return np.clip(np.rint(channel / scale), -127, 127).astype(np.float32) * scale
    parts = []
    for first in range(0, len(channel), BLOCK):
        block = channel[first : first + BLOCK]
        extreme = block.min() if -block.min() > block.max() else block.max()
        scale = np.float32(extreme) / np.float32(-8)
        parts.append(np.clip(np.rint(block / scale), -8, 7).astype(np.float32) * scale)
    return np.concatenate(parts)


def convolve(x, w):
    pad = w.shape[2] // 2
    x = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    height, width = x.shape[2] - w.shape[2] + 1, x.shape[3] - w.shape[3] + 1
    return sum(
        np.einsum("nchw,mc->nmhw", x[:, :, i : i + height, j : j + width], w[:, :, i, j].astype(np.float64))
        for i in range(w.shape[2]) for j in range(w.shape[3]))  # fmt: skip


CASES = [
    ("MatMul", (5, 7), (7, 9), False), ("MatMul", (15, 66), (66, 37), False), ("Gemm", (4, 33), (35, 33), True),
    ("MatMul", (9, 129), (129, 33), False), ("Gemm", (6, 161), (40, 161), True), ("Conv", (1, 33, 4, 3), (40, 33, 3, 3), False),
    ("Conv", (1, 35, 8, 9), (37, 35, 3, 3), False), ("Conv", (1, 32, 23, 26), (50, 32, 3, 3), False),
    ("Conv", (1, 37, 5, 4), (33, 37, 1, 1), False),
]  # fmt: skip


def main():
    entries = []
    for form in ("int8", "int4"):
        for operator, left, right, is_transposed in CASES:
            x, w = pseudo_random(left, 1), pseudo_random(right, 2)
            if operator == "Conv":
                kept = np.stack([rounded(channel.ravel(), form).reshape(channel.shape) for channel in w])
                y = convolve(x, kept)
            else:
                columns = w if is_transposed else w.T
                y = x.astype(np.float64) @ np.stack([rounded(column, form) for column in columns]).T.astype(np.float64)
            step = max(y.size // 300, 1) | 1
            entries.append({
                "operator": operator, "format": form, "input": left, "weights": right, "transB": is_transposed, "step": step,
                "expected": [float(f"{value:.7g}") for value in y.ravel()[::step]]})  # fmt: skip
    write_json(ROOT / "Tests" / "OpsTests" / "Fixtures" / "weight-formats.json", entries)


if __name__ == "__main__":
    main()
