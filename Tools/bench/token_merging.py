"""Times a U-Net of Stable Diffusion 1.5 whose largest self-attentions work on merged tokens, beside the same U-Net as it is.

    token_merging.py unet/model.onnx [--sides 64 128] [--share 0.5] [--precision fp32 bf16] [--rounds 3] [--program sd-onnx]

Token merging for Stable Diffusion (Bolya and Hoffman 2023, sections 4.1 to 4.3): of each 2×2 tokens the first is a destination; the others look
for the destination that is most like them by the cosine of what the attention reads, and those that are most like theirs, as many as the share of
all tokens says, are averaged with it. Behind the attention each merged token gets its destination's result. Where the paper takes a random one of
each 2×2 in every step, this takes the first, which costs the same.

The graph is rewritten with operators of the standard at the five attentions of the highest resolution, so that what is measured is an upper bound of
the cost: fused operators could save some of the copies.
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

BLOCKS = ("down_blocks.0", "up_blocks.3")


class Merging:
    """The nodes that merge the tokens of one attention, and those that take them apart."""

    def __init__(self, prefix, side, count):
        self.prefix, self.nodes, self.initializers = prefix, [], []
        grid = np.arange(side * side).reshape(side, side)
        self.destinations = grid[::2, ::2].reshape(-1)
        self.sources = np.setdiff1d(grid, self.destinations)
        self.count = count

    def add(self, kind, *inputs, outputs=1, **attributes):
        number = len(self.nodes)
        made = [f"{self.prefix}/{kind}_{number}_{index}" for index in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), made, name=f"{self.prefix}/{kind}_{number}", **attributes))
        return made[0] if outputs == 1 else made

    def constant(self, values):
        name = f"{self.prefix}/constant_{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def integers(self, *values):
        return self.constant(np.array(values, np.int64))

    def split(self, tokens):
        return (self.add("Gather", tokens, self.constant(part.astype(np.int64)), axis=1) for part in (self.sources, self.destinations))

    def taken(self, tokens, indices):
        """The tokens [N, K, C] at indices [N, K, 1]."""
        return self.add("GatherND", tokens, indices, batch_dims=1)

    def pairs(self, indices):
        """Indices [N, K, 1] with that of the picture before each, as scattering needs them."""
        shape = self.add("Shape", indices)
        ones = self.add("Expand", self.integers(1), shape)
        picture = self.add("CumSum", ones, self.constant(np.array(0, np.int64)), exclusive=1)
        return self.add("Concat", picture, indices, axis=2)

    def merged(self, tokens):
        sources, destinations = self.split(tokens)
        unit = self.add("LpNormalization", tokens, axis=-1, p=2)
        a, b = self.split(unit)
        scores = self.add("MatMul", a, self.add("Transpose", b, perm=[0, 2, 1]))
        best = self.add("ReduceMax", scores, self.integers(-1), keepdims=0)
        nearest = self.add("Unsqueeze", self.add("ArgMax", scores, axis=-1, keepdims=0), self.integers(-1))
        _, order = self.add("TopK", best, self.integers(len(self.sources)), outputs=2, axis=-1)
        order = self.add("Unsqueeze", order, self.integers(-1))
        self.joined, self.alone = self.add("Split", order, self.integers(self.count, len(self.sources) - self.count), outputs=2, axis=1)
        self.target = self.taken(nearest, self.joined)
        places = self.pairs(self.target)
        sums = self.add("ScatterND", destinations, places, self.taken(sources, self.joined), reduction="add")
        first = self.add("Slice", destinations, self.integers(0), self.integers(1), self.integers(2))
        one = self.add("Expand", self.constant(np.float32(1)), self.add("Shape", first))
        each = self.add("Expand", self.constant(np.float32(1)), self.add("Shape", self.joined))
        means = self.add("Div", sums, self.add("ScatterND", one, places, each, reduction="add"))
        return self.add("Concat", self.taken(sources, self.alone), means, axis=1)

    def apart(self, tokens):
        alone, destinations = self.add(
            "Split", tokens, self.integers(len(self.sources) - self.count, len(self.destinations)), outputs=2, axis=1)  # fmt: skip
        both = self.add("Concat", alone, self.taken(destinations, self.target), axis=1)
        places = self.add("Concat", self.pairs(self.alone), self.pairs(self.joined), axis=1)
        sources = self.add("ScatterND", self.add("Expand", self.constant(np.float32(0)), self.add("Shape", both)), places, both)
        back = np.argsort(np.concatenate([self.sources, self.destinations])).astype(np.int64)
        return self.add("Gather", self.add("Concat", sources, destinations, axis=1), self.constant(back), axis=1)


def rewritten(model, side, share):
    """The model with merged tokens, in order."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    nodes = []
    outputs = {}
    for node in result.graph.node:
        block = node.name.lstrip("/").split("/")[0]
        if node.op_type == "LayerNormalization" and "/norm1/" in node.name and block in BLOCKS:
            merging = Merging(node.name.split("/norm1/")[0] + "/merging", side, round(side * side * share))
            outputs[node.output[0]] = merging, merging.merged(node.output[0])
            result.graph.initializer.extend(merging.initializers)
            nodes += [node, *merging.nodes]
            continue
        if "/attn1/" in node.name:
            node.input[:] = [outputs[name][1] if name in outputs else name for name in node.input]
        nodes.append(node)
        if node.name.endswith("/attn1/Div_2") and block in BLOCKS:
            merging = next(one for one, _ in outputs.values() if one.prefix.startswith(node.name.split("/attn1/")[0]))
            node.output[0], whole = node.output[0] + "/merged", node.output[0]
            known = len(merging.initializers), len(merging.nodes)
            merging.apart(node.output[0])
            merging.nodes[-1].output[0] = whole
            result.graph.initializer.extend(merging.initializers[known[0]:])
            nodes += merging.nodes[known[1]:]
    assert len(outputs) == 5, f"{len(outputs)} attentions of the highest resolution were found"
    del result.graph.node[:]
    result.graph.node.extend(nodes)
    return result


def milliseconds(program, model, side, precision):
    """The median of two runs, after one that packs weights."""
    command = [program, "bench", model, "--shape", f"sample=2,4,{side},{side}", "--shape", "encoder_hidden_states=2,77,768"]
    command += ["--precision", precision, "--iterations", "2", "--json", "-"]
    answer = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=True).stdout
    return json.loads(answer)["median_ms"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--program", default=".build/release/sd-onnx")
    parser.add_argument("--sides", type=int, nargs="+", default=[64, 128])
    parser.add_argument("--share", type=float, default=0.5)
    parser.add_argument("--precision", nargs="+", default=["fp32", "bf16"])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    model = onnx.load(options.model, load_external_data=False)
    with tempfile.TemporaryDirectory(dir=options.model.parent.parent) as folder:
        for data in {entry.value for tensor in model.graph.initializer for entry in tensor.external_data if entry.key == "location"}:
            os.link(options.model.parent / data, Path(folder) / data)
        for side in options.sides:
            file = Path(folder) / f"merged-{side}.onnx"
            onnx.save(rewritten(model, side, options.share), file)
            for precision in options.precision:
                times = {"as it is": [], "merged": []}
                for _ in range(options.rounds):
                    for name, path in (("as it is", options.model), ("merged", file)):
                        times[name].append(milliseconds(options.program, path, side, precision))
                middle = {name: statistics.median(values) for name, values in times.items()}
                ratio = middle["as it is"] / middle["merged"]
                each = ", ".join(f"{name} {value:.0f} ms" for name, value in middle.items())
                print(f"{side}×{side}, {precision}: {each}, {ratio:.2f} times as fast", flush=True)


if __name__ == "__main__":
    main()
