"""What ONNX's reference evaluator cannot judge in double precision, written in NumPy: as functions of a case's inputs, in
order, and its attributes."""

import math

import numpy as np

_erf = np.vectorize(math.erf, otypes=[np.float64])


def erf(x, **_):
    return [_erf(x)]


def gelu(x, **_):
    return [x * (1 + _erf(x / math.sqrt(2))) / 2]


def softmax(x, axis=1):
    """Before version 13: all axes from `axis` on as one."""
    rows = np.exp(x.reshape(int(np.prod(x.shape[:axis])), -1))
    return [(rows / rows.sum(1, keepdims=True)).reshape(x.shape)]


def log_softmax(x, axis=1):
    return [np.log(softmax(x, axis)[0])]


def pad_with_cuts(x, pads, mode="constant"):
    assert mode == "constant"
    rank = x.ndim
    cut = x[tuple(slice(max(0, -pads[i]), x.shape[i] - max(0, -pads[rank + i])) for i in range(rank))]
    return [np.pad(cut, [(max(0, pads[i]), max(0, pads[rank + i])) for i in range(rank)])]


def global_norm(x, p=2):
    axes = tuple(range(2, x.ndim))
    return [(np.abs(x) ** p).sum(axes, keepdims=True) ** (1 / p)]


def mean_variance(x, axes=(0, 2, 3)):
    centered = x - x.mean(tuple(axes), keepdims=True)
    return [centered / (np.sqrt((centered ** 2).mean(tuple(axes), keepdims=True)) + 1e-9)]


def groups(x, scale, shift, num_groups=1, epsilon=1e-5):
    rows = x.reshape(x.shape[0], num_groups, -1)
    centered = rows - rows.mean(2, keepdims=True)
    normal = (centered / np.sqrt((centered ** 2).mean(2, keepdims=True) + epsilon)).reshape(x.shape)
    channels = (-1,) + (1,) * (x.ndim - 2)
    return [normal * scale.reshape(channels) + shift.reshape(channels)]


def length(x, axis=-1, p=2):
    return [x / (np.abs(x) ** p).sum(axis, keepdims=True) ** (1 / p)]


def local_response(x, size, alpha=1e-4, beta=0.75, bias=1.0):
    squares = np.stack(
        [(x[:, max(0, c - (size - 1) // 2):c + size // 2 + 1] ** 2).sum(1) for c in range(x.shape[1])], 1)
    return [x / (bias + alpha / size * squares) ** beta]


def transposed_convolution(x, w, group=1, strides=(1, 1)):
    """Over two axes, without padding."""
    (n, _, height, width), (_, depth, rows, columns) = x.shape, w.shape
    extents = [(a - 1) * s + k for a, s, k in zip((height, width), strides, (rows, columns))]
    y = np.zeros((n, group, depth, *extents))
    xs, ws = x.reshape(n, group, -1, height, width), w.reshape(group, -1, depth, rows, columns)
    for i in range(rows):
        for j in range(columns):
            y[..., i:i + strides[0] * height:strides[0], j:j + strides[1] * width:strides[1]][..., :height, :width] += (
                np.einsum("ngchw,gcd->ngdhw", xs, ws[..., i, j]))
    return [y.reshape(n, group * depth, *extents)]


def judge(operator, attributes, options):
    """The function that judges a call, or None where the reference evaluator does."""
    if operator in ("Softmax", "LogSoftmax") and options.get("opset", 17) < 13:
        return {"Softmax": softmax, "LogSoftmax": log_softmax}[operator]
    if operator == "ConvTranspose" and attributes.get("group", 1) > 1:
        return transposed_convolution
    if operator == "Gelu" and attributes.get("approximate", "none") == "tanh":
        return None
    if operator == "Pad" and options.get("cuts"):
        return pad_with_cuts
    return {
        "Erf": erf, "Gelu": gelu, "GlobalLpPool": global_norm, "MeanVarianceNormalization": mean_variance,
        "GroupNormalization": groups, "LpNormalization": length, "LRN": local_response,
    }.get(operator)
