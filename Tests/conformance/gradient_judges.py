"""What ONNX's reference evaluator cannot judge in double precision, written in NumPy: as functions of a case's inputs, in
order, and its attributes."""

import itertools
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


def _confined(places, extent, padding, align_corners):
    if padding == "zeros":
        return places
    if padding == "reflection":
        low, high = (0, extent - 1) if align_corners else (-0.5, extent - 0.5)
        distance = np.abs(places - low) % (2 * (high - low))
        places = low + np.minimum(distance, 2 * (high - low) - distance)
    return np.clip(places, 0, extent - 1)


def _cubic(d, a=-0.75):
    near, far = ((a + 2) * d - (a + 3)) * d * d + 1, ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0))


def grid_sample(x, grid, mode, padding_mode, align_corners=0):
    """The reference evaluator computes places in float32; and where cubic taps leave a border it moves the place, unlike
    ONNX Runtime and PyTorch, which repeat the outer elements."""
    taps, kernel = {
        "nearest": (range(1), lambda d: np.ones_like(d)), "linear": (range(2), lambda d: 1 - d),
        "cubic": (range(-1, 3), _cubic)}[mode]
    table = []
    for axis, extent in enumerate(x.shape[:1:-1]):
        places = grid[..., axis]
        places = (places + 1) / 2 * (extent - 1) if align_corners else ((places + 1) * extent - 1) / 2
        if mode != "cubic":
            places = _confined(places, extent, padding_mode, align_corners)
        first = np.round(places) if mode == "nearest" else np.floor(places)
        table.append([])
        for k in taps:
            i, weight = first + k, kernel(np.abs(places - first - k))
            weight = weight * (((i >= 0) & (i < extent)) | (padding_mode != "zeros"))
            i = np.clip(np.round(_confined(i, extent, padding_mode, align_corners)), 0, extent - 1).astype(int)
            table[-1].append((i, weight))
    batch = np.arange(len(x)).reshape(-1, *[1] * len(table))
    parts = [np.prod([weight for _, weight in chosen], axis=0)[..., None] * x[(batch, slice(None), *(i for i, _ in chosen))]
             for chosen in itertools.product(*table[::-1])]
    return [np.moveaxis(sum(parts), -1, 1)]


def deformable(x, w, offsets, bias=None, mask=None, group=1, offset_group=1, strides=(1, 1), dilations=(1, 1), pads=(0,) * 4,
               kernel_shape=None):
    """The reference evaluator computes places in float32."""
    (n, c, height, width), (outputs, _, rows, columns), (high, wide) = x.shape, w.shape, offsets.shape[2:]
    places = offsets.reshape(n, offset_group, rows, columns, 2, high, wide)
    mask = np.ones((n, offset_group, rows, columns, high, wide)) if mask is None else mask.reshape(places[:, :, :, :, 0].shape)
    y = np.zeros((n, outputs, high, wide)) + (0 if bias is None else bias.reshape(-1, 1, 1))
    for image, channel, i, j, row, column in np.ndindex(n, c, rows, columns, high, wide):
        part = channel * offset_group // c
        down, right = places[image, part, i, j, :, row, column]
        down += row * strides[0] - pads[0] + i * dilations[0]
        right += column * strides[1] - pads[1] + j * dilations[1]
        value = 0
        for a, b in itertools.product((0, 1), (0, 1)):
            p, q = math.floor(down) + a, math.floor(right) + b
            if 0 <= p < height and 0 <= q < width:
                value += (1 - abs(down - p)) * (1 - abs(right - q)) * x[image, channel, p, q]
        own = slice(*(np.array([0, 1]) + channel * group // c) * (outputs // group))
        y[image, own, row, column] += value * mask[image, part, i, j, row, column] * w[own, channel % (c // group), i, j]
    return [y]


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
        "GridSample": grid_sample, "DeformConv": deformable,
    }.get(operator)
