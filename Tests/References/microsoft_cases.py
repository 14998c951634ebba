"""Single-node models of com.microsoft's operators, with ONNX Runtime's results on the CPU, in <cache>/microsoft-cases: the layout of
ort_cases.py. Operators and forms that it has for graphics cards alone (BiasAdd, BiasSplitGelu, GroupNorm, SkipGroupNorm, NhwcConv, packed
keys and values) have results of PyTorch or numpy in double precision, by the formulas of ONNX Runtime's ContribOperators.md.
"""

import numpy as np
import torch

from ort_cases import CASES, constant, ints, make, random

RECIPE = 7
ATOL = 2e-5


def microsoft(operator, inputs, outputs=1, label="", atol=ATOL, **attributes):
    CASES.append((operator, 1, inputs, outputs, label, atol, attributes, "com.microsoft"))


def whole(*shape, low=0, high=256, dtype=np.uint8):
    return random(*shape, low=low, high=high, dtype=np.int64).astype(dtype)


def scalar(value, dtype=np.float32):
    return np.array(value, dtype)


def fused_activations():
    names = {"Relu": [], "Tanh": [], "Sigmoid": [], "LeakyRelu": [0.2], "HardSigmoid": [0.3, 0.4], "Clip": [-0.5, 0.75]}
    for name, parameters in names.items():
        more = {"activation_params": parameters} if parameters else {}
        picture, weights = random(2, 3, 8, 7), constant(random(4, 3, 3, 3))
        microsoft("FusedConv", [picture, weights, constant(random(4))], label=name, activation=name, pads=[1, 1, 1, 1], **more)
    more = {"activation": "Relu", "strides": [2, 1], "group": 3}
    microsoft("FusedConv", [random(1, 3, 8, 7), constant(random(6, 1, 3, 3)), None, random(1, 6, 3, 5)], label="sum", **more)
    for name, parameters in names.items():
        if name != "Clip":
            more = dict(zip(("activation_alpha", "activation_beta"), parameters))
            inputs = [random(5, 6), constant(random(4, 6)), constant(random(4))]
            microsoft("FusedGemm", inputs, label=name, activation=name, transB=1, alpha=0.5, beta=2.0, **more)
    microsoft("FusedGemm", [random(6, 5), random(6, 4)], label="no_c", activation="Relu", transA=1)
    microsoft("FusedGemm", [random(6, 5), random(5, 4)], label="Selu", activation="Selu", activation_alpha=0.5, activation_gamma=2.0)


def gelus():
    for name in ("Gelu", "QuickGelu", "FastGelu"):
        microsoft(name, [random(3, 4, 16, low=-5, high=5)])
    microsoft("QuickGelu", [random(3, 16, low=-5, high=5)], label="alpha", alpha=1.1)
    for name in ("BiasGelu", "FastGelu"):
        microsoft(name, [random(3, 4, 16, low=-4, high=4), random(16)], label="bias")


def float64(*inputs):
    return [None if x is None else torch.tensor(np.asarray(x), dtype=torch.float64) for x in inputs]


def bias_add(x, bias, skip):
    """PyTorch"""
    x, bias, skip = float64(x, bias, skip)
    return [(x + bias + skip).numpy().astype(np.float32)]


def bias_split_gelu(x, bias):
    """PyTorch"""
    left, right = torch.chunk(sum(float64(x, bias)), 2, dim=-1)
    return [(left * torch.nn.functional.gelu(right)).numpy().astype(np.float32)]


def nhwc_conv(x, weights, bias):
    """PyTorch"""
    x, weights, bias = float64(x, weights, bias)
    weights = weights.permute(0, 3, 1, 2)
    y = torch.nn.functional.conv2d(x.permute(0, 3, 1, 2), weights, bias, padding=1, stride=2)
    return [y.permute(0, 2, 3, 1).numpy().astype(np.float32)]


def group_norm(activation):
    def reference(x, gamma, beta, skip=None, bias=None):
        """PyTorch"""
        x, gamma, beta, skip, bias = float64(x, gamma, beta, skip, bias)
        if skip is not None:
            x = x + (skip if skip.ndim == 4 else skip[:, None, None, :]) + (0 if bias is None else bias)
        y = torch.nn.functional.group_norm(x.permute(0, 3, 1, 2), 4, gamma, beta, 1e-4)
        y = (torch.nn.functional.silu(y) if activation else y).permute(0, 2, 3, 1)
        return [v.numpy().astype(np.float32) for v in ([y] if skip is None else [y, x])]

    return reference


def unet():
    microsoft("BiasAdd", [random(2, 6, 8), random(8), random(2, 6, 8)], reference=bias_add)
    microsoft("BiasSplitGelu", [random(2, 6, 16), random(16)], reference=bias_split_gelu)
    # onnxruntime.transformers writes the weights with their channels last, too.
    inputs = [random(2, 7, 6, 8), constant(random(5, 3, 3, 8)), constant(random(5))]
    microsoft("NhwcConv", inputs, pads=[1, 1, 1, 1], strides=[2, 2], reference=nhwc_conv)
    for activation in (0, 1):
        more = {"groups": 4, "epsilon": 1e-4, "activation": activation, "reference": group_norm(activation)}
        gamma, beta = random(16, low=0.5), random(16)
        microsoft("GroupNorm", [random(2, 5, 6, 16), gamma, beta], label=f"activation{activation}", **more)
        for label, skip in (("full", (2, 5, 6, 16)), ("one", (2, 1, 1, 16)), ("flat", (2, 16))):
            inputs = [random(2, 5, 6, 16), gamma, beta, random(*skip)]
            microsoft("SkipGroupNorm", [*inputs, random(16)], 2, f"{label}{activation}_bias", **more)
            microsoft("SkipGroupNorm", inputs, 2, f"{label}{activation}", **more)


def heads_of(x, count):
    return x.reshape(*x.shape[:2], count, -1).permute(0, 2, 1, 3)


def attention(q, k, v, mask=None):
    """Of [B, heads, L, E] each; the result [B, L, heads·F]."""
    y = torch.nn.functional.scaled_dot_product_attention(q, k, v, mask)
    return [y.permute(0, 2, 1, 3).flatten(2).numpy().astype(np.float32)]


def packed_qkv(packed):
    """PyTorch"""
    return attention(*float64(packed)[0].permute(3, 0, 2, 1, 4))


def packed_kv(query, packed):
    """PyTorch"""
    query, packed = float64(query, packed)
    return attention(heads_of(query, packed.shape[2]), *packed.permute(3, 0, 2, 1, 4))


def big_mask(x, weights, bias, mask):
    """PyTorch"""
    x, weights, bias = float64(x, weights, bias)
    q, k, v = (heads_of(part, 2) for part in torch.chunk(x @ weights + bias, 3, dim=-1))
    rows = torch.tensor(mask[:, :, : q.shape[2], : k.shape[2]])
    return attention(q, k, v, torch.where(rows > 0, 0.0, -10000.0).to(torch.float64))


def block_product(bits):
    def reference(x, packed, scales, zeros=None, groups=None):
        """numpy"""
        per_byte, k = 8 // bits, x.shape[-1]
        numbers = np.stack([np.asarray(packed) >> (bits * i) & (2**bits - 1) for i in range(per_byte)], -1)
        group = np.arange(k) // (packed.shape[2] * per_byte) if groups is None else groups
        zeros = np.full(scales.shape, 2.0 ** (bits - 1)) if zeros is None else np.asarray(zeros, np.float64)
        numbers = numbers.reshape(len(packed), -1)[:, :k].astype(np.float64)
        weights = (numbers - zeros[:, group]) * np.asarray(scales, np.float64)[:, group]
        return [(np.asarray(x, np.float64) @ weights.T).astype(np.float32)]

    return reference


def normalisations():
    for name, others in (("SkipLayerNormalization", 1), ("SkipSimplifiedLayerNormalization", 0)):
        x, skip, gamma = random(2, 3, 8), random(2, 3, 8), random(8)
        microsoft(name, [x, skip, gamma] + [random(8)] * others, label="plain", epsilon=1e-5)
        microsoft(name, [x, skip, gamma] + [random(8)] * others + [random(8)], label="bias", epsilon=1e-5)
    tables = [constant(random(20, 8)), constant(random(12, 8)), constant(random(2, 8)), random(8), random(8)]
    ids, segments = whole(2, 5, high=20, dtype=np.int32), whole(2, 5, high=2, dtype=np.int32)
    mask = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], np.int32)
    microsoft("EmbedLayerNormalization", [ids, segments, *tables, mask], 2, "mask", epsilon=1e-6)
    microsoft("EmbedLayerNormalization", [ids, segments, *tables], 2, "plain")
    microsoft("EmbedLayerNormalization", [ids, None, *tables[:2], None, *tables[3:]], 2, "no_segments")
    positions = whole(2, 5, high=12, dtype=np.int32)
    microsoft("EmbedLayerNormalization", [ids, segments, *tables, None, positions], 3, "positions", mask_index_type=0)


def attentions():
    heads, size, b, l = 2, 4, 2, 3
    d = heads * size
    x, w, bias = random(b, l, 6), constant(random(6, 3 * d)), constant(random(3 * d))
    ends, both_ends = np.array([3, 2], np.int32), np.array([3, 2, 0, 1], np.int32)
    flat = np.array([[1, 1, 0], [1, 1, 1]], np.int32)
    full = np.array([[[1, 0, 0], [1, 1, 0], [1, 1, 1]], [[1, 1, 1], [0, 1, 1], [0, 0, 1]]], np.int32)
    big = (np.arange(2 * 8 * 8).reshape(2, 1, 8, 8) % 3 != 1).astype(np.int32)
    past = random(2, b, heads, 2, size)
    microsoft("Attention", [x, w, bias], label="plain", num_heads=heads)
    microsoft("Attention", [x, w], label="no_bias", num_heads=heads, scale=0.3)
    microsoft("Attention", [x, w, bias, big], label="mask_big", num_heads=heads, reference=big_mask)
    for label, mask in (("ends", ends), ("both_ends", both_ends), ("flat", flat), ("full", full)):
        microsoft("Attention", [x, w, bias, mask], label=f"mask_{label}", num_heads=heads)
    microsoft("Attention", [x, w, bias, flat], label="filter", num_heads=heads, mask_filter_value=-1.5)
    microsoft("Attention", [x, w, bias], label="causal", num_heads=heads, unidirectional=1)
    microsoft("Attention", [x, w, bias, None, None, random(b, heads, l, l)], label="addend", num_heads=heads)
    microsoft("Attention", [x, w, bias, flat, None, random(1, heads, l, l)], label="mask_addend", num_heads=heads)
    microsoft("Attention", [x, w, bias, None, past], 2, "past", num_heads=heads)
    microsoft("Attention", [x, w, bias, None, past], 2, "past_causal", num_heads=heads, unidirectional=1)
    mask = np.array([[1, 1, 1, 1, 0], [0, 1, 1, 1, 1]], np.int32)
    microsoft("Attention", [x, w, bias, mask, past], 2, "past_mask", num_heads=heads)
    for kind in (np.uint8, np.int8):
        # Of seven bits: where a processor has no VNNI, ONNX Runtime's products of eight saturate.
        low, high = (0, 256) if kind == np.uint8 else (-64, 64)
        name, packed = f"{kind.__name__}_", constant(whole(6, 3 * d, low=low, high=high, dtype=kind))
        start, zeros = [whole(b, l, 6), packed, bias, scalar(0.02)], [scalar(120, np.uint8), scalar(3, kind)]
        microsoft("QAttention", [*start, scalar(0.01)], label=name + "plain", num_heads=heads, atol=1e-4)
        microsoft("QAttention", [*start, scalar(0.01), None, *zeros], label=name + "zeros", num_heads=heads, unidirectional=1, atol=1e-4)
        microsoft("QAttention", [*start, scalar(0.01), ends, *zeros], label=name + "mask", num_heads=heads, atol=1e-4)
        microsoft("QAttention", [*start, scalar(0.01), None, *zeros, past], 2, name + "past", num_heads=heads, unidirectional=1, atol=1e-4)
        columns = [random(3 * d, low=0.005, high=0.02), None, scalar(120, np.uint8), whole(3 * d, high=5, dtype=kind)]
        microsoft("QAttention", [*start, *columns], label=name + "columns", num_heads=heads, atol=1e-4)
    wide, wide_bias = constant(random(6, 2 * d + 12)), constant(random(2 * d + 12))
    microsoft("Attention", [x, wide, wide_bias], label="sizes", num_heads=heads, qkv_hidden_sizes=[d, d, 12])

    def multi(inputs, outputs=1, label="", **more):
        microsoft("MultiHeadAttention", inputs, outputs, label, num_heads=heads, **more)

    m = 5
    q, k, v = random(b, l, d), random(b, m, d), random(b, m, 12)
    bias = random(2 * d + 12)
    multi([q, k, v], label="plain")
    multi([q, k, v, bias], label="bias")
    multi([q, k, v], label="scale", scale=0.7)
    multi([random(b, l, heads, 3, size)], label="packed_qkv", reference=packed_qkv)
    multi([q, random(b, m, heads, 2, size)], label="packed_kv", reference=packed_kv)
    multi([q, random(b, heads, m, size), random(b, heads, m, size)], label="heads_first")
    keys = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], np.int32)
    multi([q, k, v, bias, keys], label="mask_flat")
    multi([q, k, v, None, np.array([5, 2], np.int32)], label="mask_ends")
    multi([q, k, v, None, (np.arange(b * l * m).reshape(b, l, m) % 4 != 1).astype(np.int32)], label="mask_full")
    multi([q, k, v, None, None, random(1, 1, l, m)], label="addend")
    multi([q, k, v, None, keys, random(b, heads, l, m)], label="mask_addend")
    same = random(b, l, d), random(b, l, d), random(b, l, d)
    multi(list(same), label="causal", unidirectional=1)
    cache = random(b, heads, 2, size), random(b, heads, 2, size)
    multi([*same, None, None, None, *cache], 3, "past")
    multi([*same, random(3 * d), None, random(1, heads, l, l + 2), *cache], 3, "past_bias")
    multi([*same, None, None, None, *cache], 3, "past_causal", unidirectional=1)
    multi(list(same), 3, "present")

    caches = [constant(np.cos(random(9, 2))), constant(np.sin(random(9, 2)))]
    for interleaved in (0, 1):
        more = {"interleaved": interleaved, "label": f"interleaved{interleaved}"}
        microsoft("RotaryEmbedding", [random(b, l, d), ints(0, 3, 1, 8, 2, 4).reshape(b, l), *caches], **more)
        more["label"] += "_heads_first"
        microsoft("RotaryEmbedding", [random(b, heads, l, size), ints(4), *caches], **more)
    more = {"rotary_embedding_dim": 4, "num_heads": 2, "label": "part"}
    microsoft("RotaryEmbedding", [random(b, l, 12), ints(2), *caches], **more)


def quantised():
    x, w = random(3, 5, 32), random(32, 7)
    for kind, low, high in ((np.uint8, 0, 256), (np.int8, -128, 128)):
        label = kind.__name__
        b = whole(32, 7, low=low, high=high, dtype=kind)
        zero = scalar(3, kind)
        microsoft("DynamicQuantizeMatMul", [x, constant(b), scalar(0.02), zero], label=label, atol=1e-4)
        inputs = [x, constant(b), random(7, low=0.01, high=0.05), whole(7, low=0, high=9, dtype=kind), random(7)]
        microsoft("DynamicQuantizeMatMul", inputs, label=f"{label}_columns", atol=1e-4)
        a = whole(3, 5, 32)
        microsoft("MatMulIntegerToFloat", [a, constant(b), scalar(0.03), scalar(0.02), scalar(120, np.uint8), zero],
                  label=label, atol=1e-4)
        inputs = [a, constant(b), scalar(0.03), random(7, low=0.01, high=0.05), None, None, random(7)]
        microsoft("MatMulIntegerToFloat", inputs, label=f"{label}_columns", atol=1e-4)
        a = whole(5, 32)
        product = [a, scalar(0.03), scalar(120, np.uint8), constant(b), scalar(0.02), zero]
        microsoft("QGemm", product, label=f"{label}_float", atol=1e-4)
        sums = whole(7, low=-500, high=500, dtype=np.int32)
        microsoft("QGemm", [*product, sums, scalar(1.7), scalar(100, np.uint8)], label=f"{label}_bias", alpha=0.7)
        turned = [a.T.copy(), *product[1:3], constant(np.asarray(b).T.copy()), *product[4:]]
        microsoft("QGemm", [*turned, None, scalar(2.3), scalar(128, np.uint8)], label=f"{label}_turned", transA=1, transB=1)

        def parts(*shapes):
            scales = (0.037, 0.051, 0.043)
            return [p for s, scale in zip(shapes, scales)
                    for p in (whole(*s, low=low, high=high, dtype=kind), scalar(scale), scalar(low + 100, kind))]

        result = [scalar(0.0913), scalar(low + 77, kind)]
        for name in ("QLinearAdd", "QLinearMul"):
            microsoft(name, [*parts((3, 4, 5), (3, 4, 5)), *result], label=label)
            microsoft(name, [*parts((3, 4, 5), (5,)), *result], label=f"{label}_broadcast")
        microsoft("QLinearSigmoid", [*parts((3, 40)), scalar(1 / 251), scalar(low, kind)], label=label)
        microsoft("QLinearLeakyRelu", [*parts((3, 40)), *result], label=label, alpha=0.1)
        microsoft("QLinearLeakyRelu", [*parts((3, 40)), *result], label=f"{label}_default")
        microsoft("QLinearConcat", [*result, *parts((2, 3), (2, 1), (2, 4))], label=label, axis=1)
        more = {"label": label, "kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 1, 1]}
        microsoft("QLinearAveragePool", [*parts((2, 3, 8, 7)), *result], **more)
        more["label"] += "_pads"
        microsoft("QLinearAveragePool", [*parts((2, 3, 8, 7)), *result], count_include_pad=1, **more)
        microsoft("QLinearGlobalAveragePool", [*parts((2, 3, 8, 7)), *result], label=label, channels_last=0)
        microsoft("QLinearGlobalAveragePool", [*parts((2, 8, 7, 3)), *result], label=f"{label}_last", channels_last=1)
        for opset, axis in ((13, -1), (13, 1), (11, 1)):
            out = [scalar(1 / 256), scalar(low, kind)]
            microsoft("QLinearSoftmax", [*parts((2, 3, 8)), *out], label=f"{label}_{opset}_{axis}", axis=axis, opset=opset)
        microsoft("NhwcMaxPool", [whole(2, 7, 6, 3, low=low, high=high, dtype=kind)], label=label, kernel_shape=[2, 3])


def blocks():
    k, n = 70, 6
    for bits in (2, 4, 8):
        for size in (16, 32):
            count = -(-k // size)
            packed = constant(whole(n, count, size * bits // 8))
            scales = constant(random(n, count, low=0.01, high=0.1))
            zeros = constant(whole(n, -(-count * bits // 8)))
            more = {"K": k, "N": n, "bits": bits, "block_size": size, "atol": 1e-4}
            microsoft("MatMulNBits", [random(3, 5, k), packed, scales], label=f"{bits}_{size}", **more)
            microsoft("MatMulNBits", [random(3, 5, k), packed, scales, zeros], label=f"{bits}_{size}_zeros", **more)
            microsoft("MatMulNBits", [random(1, k), packed, scales, None, None, random(n)], label=f"{bits}_{size}_bias", **more)
            # ONNX Runtime 1.32 has neither form of 8 bits, and of 2 bits with groups it makes neither what its documentation says nor
            # what it makes of 4 bits.
            own = {"reference": block_product(bits)}
            halves = constant(random(n, count, low=0, high=2**bits))
            microsoft("MatMulNBits", [random(5, k), packed, scales, halves], label=f"{bits}_{size}_floats", **more, **(own if bits == 8 else {}))
            groups = constant(whole(k, high=count, dtype=np.int32))
            microsoft("MatMulNBits", [random(5, k), packed, scales, None, groups], label=f"{bits}_{size}_groups", **more, **(own if bits != 4 else {}))


def forms():
    microsoft("Range", [scalar(1.5), scalar(4), scalar(0.75)])
    microsoft("Range", [scalar(1, np.int64), scalar(6, np.int64)], label="no_step")
    for upper in (0, 1):
        microsoft("Trilu", [random(2, 4, 5), scalar(-1, np.int64)], label=f"upper{upper}", upper=upper)
    microsoft("Unique", [np.array([2, 1, 1, 3, 2, 0.5], np.float32)], 3)
    for mode in ("bilinear", "nearest", "bicubic"):
        for pad in ("zeros", "border", "reflection"):
            more = {"mode": mode, "padding_mode": pad, "align_corners": int(pad == "border")}
            microsoft("GridSample", [random(1, 2, 5, 6), random(1, 3, 4, 2, low=-1.3, high=1.3)], label=f"{mode}_{pad}", **more)
    microsoft("Inverse", [random(3, 5, 5)], atol=1e-4)
    microsoft("Inverse", [random(4, 4)], label="one", atol=1e-4)
    regions = np.array([[0, 0, 1, 1], [0.1, 0.3, 0.9, 0.7], [-0.2, 0.2, 0.6, 1.4], [0.8, 0.9, 0.1, 0.2]], np.float32)
    for mode in ("bilinear", "nearest"):
        for size in ((4, 5), (1, 3)):
            inputs = [random(2, 3, 7, 9), regions, np.array([0, 1, 1, 0], np.int32), np.array(size, np.int32)]
            more = {"mode": mode, "extrapolation_value": 0.25}
            microsoft("CropAndResize", inputs, label=f"{mode}_{size[0]}", **more)


def grouped_attention():
    heads, groups, size = 4, 2, 16
    angles = np.arange(24)[:, None] / 10 ** (np.arange(size // 2) / 2)
    caches = [np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)]
    for batch in (1, 2):
        for past, length in ((0, 5), (6, 1), (6, 3) if batch == 1 else (7, 1)):
            total = past + length
            query = random(batch, length, heads * size)
            key, value = random(batch, length, groups * size), random(batch, length, groups * size)
            packed = [random(batch, length, (heads + 2 * groups) * size), None, None]
            cache = [random(batch, groups, past, size), random(batch, groups, past, size)] if past else [None, None]
            ends = np.full(batch, total - 1, np.int32)
            if batch == 2 and past:
                ends[1] -= 2
            sizes = [ends, constant(np.array(total, np.int32))]
            common = {"num_heads": heads, "kv_num_heads": groups}
            label = f"{batch}_{past}_{length}"
            microsoft("GroupQueryAttention", [query, key, value, *cache, *sizes], 3, label, **common)
            microsoft("GroupQueryAttention", [*packed, *cache, *sizes], 3, f"{label}_packed", **common)
            for interleaved in (0, 1):
                turned = [query, key, value, *cache, *sizes, *caches]
                more = {"do_rotary": 1, "rotary_interleaved": interleaved}
                microsoft("GroupQueryAttention", turned, 3, f"{label}_rotary{interleaved}", **common, **more)
            for name, more in {"window": {"local_window_size": 3}, "softcap": {"softcap": 2.0}, "smooth": {"smooth_softmax": 1},
                               "scale": {"scale": 0.5}}.items():
                microsoft("GroupQueryAttention", [query, key, value, *cache, *sizes], 3, f"{label}_{name}", **common, **more)
            bias = random(1, heads, length, total)
            inputs = [query, key, value, *cache, *sizes, None, None, None, bias]
            microsoft("GroupQueryAttention", inputs, 3, f"{label}_bias", **common)


def four_bit_floats():
    for kind in (0, 1):
        for k, n, block in ((64, 24, 16), (32, 5, 32), (48, 7, 64)):
            weights = [constant(whole(n * k // 2)), constant(random((n * k + block - 1) // block, low=0.5))]
            more = {"K": k, "N": n, "block_size": block, "quant_type": kind}
            microsoft("MatMulBnb4", [random(2, 3, k), *weights], label=f"{k}_{n}_{kind}", **more)


def dynamic_lstm():
    """ONNX Runtime quantizes the inputs of every step too, to 8 bits."""
    for directions in (1, 2):
        for per_column in (False, True):
            size, hidden = 12, 6
            scales = (directions, 4 * hidden) if per_column else (directions,)
            weights = [constant(whole(directions, extent, 4 * hidden, low=-100, high=100, dtype=np.int8)) for extent in (size, hidden)]
            parameters = []
            for _ in range(2):
                parameters += [constant(random(*scales, low=0.002, high=0.004)), constant(np.zeros(scales, np.int8))]
            inputs = [random(5, 2, size, low=-1, high=1), *weights, constant(random(directions, 8 * hidden, low=-0.2, high=0.2))]
            inputs += [None] * 4 + parameters
            more = {"hidden_size": hidden, "direction": "bidirectional" if directions == 2 else "forward"}
            microsoft("DynamicQuantizeLSTM", inputs, 3, f"{directions}_{int(per_column)}", atol=0.03, **more)


def gathered_blocks():
    """Tables as onnxruntime-genai quantises embeddings, also of three blocks a row, whose zero points don't fill their bytes."""
    indices = np.array([[3, -1, 0], [20, 7, 7]], np.int64)
    for bits in (2, 4, 8):
        for size in (16, 32):
            rows, width = 21, 96
            data = constant(whole(rows, width * bits // 8))
            scales = constant(random(rows, width // size, low=0.01, high=0.1))
            more = {"gather_axis": 0, "quantize_axis": 1, "block_size": size, "bits": bits}
            microsoft("GatherBlockQuantized", [data, indices, scales], label=f"{bits}_{size}", **more)
            zeros = constant(whole(rows, -(-width // size * bits // 8)))
            inputs = [data, indices.astype(np.int32), scales, zeros]
            microsoft("GatherBlockQuantized", inputs, label=f"{bits}_{size}_zeros", **more)


def chosen_bytes():
    for dtype, low in ((np.uint8, 0), (np.int8, -128)):
        x, y = whole(3, 4, 5, low=low, high=low + 256, dtype=dtype), whole(1, 4, 1, low=low, high=low + 256, dtype=dtype)
        condition = random(3, 1, 5) > 0
        numbers = [constant(scalar(v)) for v in (0.02, 0.03, 0.025)]
        points = [constant(scalar(v, dtype)) for v in (3, 7, 5)]
        inputs = [condition, x, numbers[0], points[0], y, numbers[1], points[1], numbers[2], points[2]]
        microsoft("QLinearWhere", inputs, label=dtype.__name__)


def distances():
    for metric in ("sqeuclidean", "euclidean"):
        microsoft("CDist", [random(7, 5), random(4, 5)], label=metric, metric=metric)


def shared_heads():
    """As onnxruntime-genai writes it: with a name for each of twelve inputs, most of them empty, and with sinks."""
    heads, groups, size = 4, 2, 16
    angles = np.arange(24)[:, None] / 10 ** (np.arange(size // 2) / 2)
    caches = [np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)]
    for past, length in ((0, 5), (6, 1)):
        total = past + length
        packed = [random(1, length, (heads + 2 * groups) * size), None, None]
        cache = [random(1, groups, past, size), random(1, groups, past, size)]
        sizes = [np.full(1, total - 1, np.int32), constant(np.array(total, np.int32))]
        common = {"num_heads": heads, "kv_num_heads": groups}
        sinks = constant(random(heads, low=-1, high=1))
        for name, inputs, more in (
            ("empty", [*caches, None, None, None], {"do_rotary": 1}), ("sinks", [*caches, None, None, sinks], {"do_rotary": 1}),
            ("sinks_window", [None] * 4 + [sinks], {"local_window_size": 3}), ("everywhere", [], {"causal": 0}),
        ):
            given = [*packed, *cache, *sizes, *inputs]
            microsoft("GroupQueryAttention", given, 3, f"{past}_{length}_{name}", **common, **more)


def few_rows():
    """A step of a language model, whose weights are read for a row or a few."""
    k, n = 160, 37
    for bits in (2, 4, 8):
        for size in (16, 32, 128):
            count = -(-k // size)
            packed = constant(whole(n, count, size * bits // 8))
            scales = constant(random(n, count, low=0.01, high=0.1))
            zeros = constant(whole(n, -(-count * bits // 8)))
            more = {"K": k, "N": n, "bits": bits, "block_size": size, "atol": 1e-4}
            for rows in (1, 2, 3, 4, 7, 21):
                microsoft("MatMulNBits", [random(rows, k), packed, scales], label=f"{bits}_{size}_{rows}", **more)
                microsoft("MatMulNBits", [random(rows, k), packed, scales, zeros], label=f"{bits}_{size}_{rows}_zeros", **more)
                # Rounded to bytes, by each runtime in its own way.
                more_bytes = {**more, "accuracy_level": 4, "atol": 0.02 * 2**bits}
                microsoft("MatMulNBits", [random(rows, k), packed, scales, zeros], label=f"{bits}_{size}_{rows}_bytes", **more_bytes)


def texts(*values):
    return np.array(values, object)


def words():
    plain = {"mark": 0, "pad_value": "#", "mincharnum": 1}
    some = texts("Hello World 12 x", "", "a  b", "été, 日本 語x!", "...\nend")

    def tokenizer(label, given=some, **attributes):
        microsoft("Tokenizer", [given], label=label, **{**plain, **attributes})

    tokenizer("scalars", separators=[""])
    tokenizer("spaces", separators=[" "])
    tokenizer("separators", separators=["[ ,]+", "l+", "\\d"], mark=1)
    tokenizer("short", separators=[" "], mincharnum=2, pad_value="")
    tokenizer("empty_separators", texts("ab abxc x", "cxxab"), separators=["x*"])
    tokenizer("boundaries", texts("ab abxc x", "cxxab", "aab aa"), separators=["\\b"])
    tokenizer("letters", tokenexp="[a-zA-Z]+")
    tokenizer("matrix", some[:4].reshape(2, 2), tokenexp="[a-zA-Z0-9_]+", mark=1, mincharnum=2)
    tokenizer("unicode", tokenexp="\\pL+")
    tokenizer("any", tokenexp=".")
    tokenizer("lines", tokenexp=".+")
    tokenizer("longest", texts("ab abc", "abcab", "xabbc"), tokenexp="a|ab|abc|bc.")
    tokenizer("first", texts("aab aa", "ba a", "abaab"), tokenexp="\\ba")
    tokenizer("start", texts("aab aa", "ba a"), tokenexp="^a")
    tokenizer("long_matches", texts("aaaab", "abab", "bbaaab aaa"), tokenexp="a+b|a")
    tokenizer("empty_tokens", texts("ab abc x", "xx"), tokenexp="x*")
    tokenizer("none", texts("...", ""), tokenexp="[a-z]+", mark=1)
    for positive in (0, 1):
        names = texts("", "a", "ab", "abc", "abcd", "été", "feature=12345")
        microsoft("MurmurHash3", [names], label=f"texts_{positive}", positive=positive)
        for dtype in (np.int32, np.uint32, np.int64, np.uint64, np.float32, np.float64):
            numbers = random(2, 3, low=0, high=1e5, dtype=np.float64).astype(dtype)
            label = f"{np.dtype(dtype).name}_{positive}"
            microsoft("MurmurHash3", [numbers], label=label, positive=positive, seed=42 * positive)


def early_forms():
    for mode in ("constant", "edge", "reflect"):
        microsoft("Pad", [random(2, 3, 4), ints(0, 1, 2, 1, 0, 1)], label=mode, mode=mode)
    microsoft("Pad", [random(3, 4), ints(0, -1, 0, 2).reshape(1, 4), np.array([1.5], np.float32)], label="value")
    for axis in (0, 1, -1):
        microsoft("ExpandDims", [random(2, 3), np.array(axis, np.int32)], label=str(axis))
    for dtype in (np.int32, np.int64):
        microsoft("GatherND", [random(3, 4, 2), np.array([[0, 1], [2, 3]], dtype)], label=np.dtype(dtype).name)
    lengths = np.array([5, 7, 0, 5, 10, 0, 7, 14], np.int32)
    query, key, value = random(2, 5, 16), random(2, 7, 16), random(2, 7, 16)
    microsoft("MultiHeadAttention", [query, key, value, None, lengths], label="offsets", num_heads=2)
    tables = random(8, 2), random(8, 2)
    microsoft("RotaryEmbedding", [random(2, 3, 4, 4), ints(0, 1, 2, 3, 2, 3, 4, 5).reshape(2, 4), *tables], label="scale", scale=0.5)


def partial_rotation():
    """Caches of cosines and sines with as many angles as pairs of a head, and with fewer: its end isn't turned then."""
    heads, groups, size, length = 2, 1, 32, 3
    for pairs in (8, 16):
        angles = np.arange(12)[:, None] / 10 ** (np.arange(pairs) / 4)
        for dtype, atol in ((np.float32, ATOL), (np.float16, 4e-3)):
            caches = [constant(table(angles).astype(dtype)) for table in (np.cos, np.sin)]
            rows = [random(2, length, count * size).astype(dtype) for count in (heads, groups, groups)]
            sizes = [np.full(2, length - 1, np.int32), constant(np.array(length, np.int32))]
            for interleaved in (0, 1):
                more = {"num_heads": heads, "kv_num_heads": groups, "do_rotary": 1, "rotary_interleaved": interleaved, "atol": atol}
                label = f"{pairs}_pairs_{np.dtype(dtype).name}_{interleaved}"
                microsoft("GroupQueryAttention", [*rows, None, None, *sizes, *caches], 3, label, **more)


FAMILIES = [
    fused_activations, gelus, unet, normalisations, attentions, quantised, blocks, forms, grouped_attention, four_bit_floats, dynamic_lstm,
    gathered_blocks, chosen_bytes, distances, shared_heads, few_rows, words, early_forms, partial_rotation,
]

if __name__ == "__main__":
    make("microsoft-cases", RECIPE, FAMILIES)
