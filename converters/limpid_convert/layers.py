"""Layers of a network: weights from a state dict, nodes into a graph, sizes kept along.

Every function names its nodes after the module path, so that a value of the graph can be found in the original.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import numpy as np

BATCH_NORM_EPSILON = 1e-5


@dataclass(frozen=True)
class Feature:
    """A 4-D value [N, channels, height, width]. channels is None after a tensor that does not fit."""

    name: str
    channels: Optional[int]
    height: int
    width: int


class Layers:
    """Adds layers of the module `path` (with its final dot) from the same scope of a state dict."""

    def __init__(self, builder, state, path=""):
        self.builder, self.state, self.path = builder, state, path

    def scope(self, module):
        return Layers(self.builder, self.state.scope(module), self.path + module)

    def weight(self, name, *shape):
        """A tensor of the state dict as a constant of the graph."""
        return self.builder.constant(self.path + name, self.state.take(name, *shape))

    def node(self, operator, name, inputs, outputs=1, **attributes):
        return self.builder.node(operator, self.path + name, inputs, outputs, **attributes)

    def constant(self, name, array):
        return self.builder.constant(self.path + name, array)

    def conv(self, x, name, kernel=None, stride=1, padding=None, bias=False, out=None, groups=1, same=False):
        """Convolution; kernel None takes its side from the tensor, padding None keeps the size at stride 1.

        groups None takes them from the tensor (input channels of the feature / of the weight). same: TensorFlow's
        padding, which gives ⌈size / stride⌉ and puts the odd element last.
        """
        found = self.state.shape(name + ".weight", 4)
        side = kernel or (found[2] if found else 1)
        if groups is None:
            groups = x.channels // found[1] if found and x.channels and 0 < found[1] <= x.channels else 1
        padding = (side - 1) // 2 if padding is None else padding
        out = out or (found[0] if found else None)
        per_group = x.channels // groups if x.channels else None
        inputs = [x.name, self.weight(name + ".weight", out, per_group, side, side)]
        if bias:
            inputs.append(self.weight(name + ".bias", out))
        pads = [_same(size, side, stride) if same else (padding, padding) for size in (x.height, x.width)]
        value = self.node("Conv", name, inputs, kernel_shape=[side, side], strides=[stride, stride],
                          pads=[pads[0][0], pads[1][0], pads[0][1], pads[1][1]], group=groups)
        height, width = (-(-size // stride) if same else _windows(size, side, stride, padding)
                         for size in (x.height, x.width))
        return Feature(value, out, height, width)

    def batch_norm(self, x, name, epsilon=BATCH_NORM_EPSILON):
        """Inference-time batch normalisation. The runtime folds it; the file stays as the network was trained."""
        parts = [self.weight(f"{name}.{p}", x.channels) for p in ("weight", "bias", "running_mean", "running_var")]
        return self.same(x, self.node("BatchNormalization", name, [x.name, *parts], epsilon=epsilon))

    def relu(self, x, name):
        return self.same(x, self.node("Relu", name, [x.name]))

    def relu6(self, x, name):
        bounds = [self.constant(f"{name}.{end}", np.float32(value)) for end, value in (("min", 0), ("max", 6))]
        return self.same(x, self.node("Clip", name, [x.name, *bounds]))

    def add(self, x, y, name):
        return self.same(x, self.node("Add", name, [x.name, y.name]))

    def max_pool(self, x, name, kernel, stride, padding=0):
        value = self.node("MaxPool", name, [x.name], kernel_shape=[kernel] * 2, strides=[stride] * 2,
                          pads=[padding] * 4)
        height, width = (_windows(size, kernel, stride, padding) for size in (x.height, x.width))
        return Feature(value, x.channels, height, width)

    def average_pool(self, x, name, kernel, stride, padding=0, ceil=False, count_padding=True):
        """ceil: a last window that lies partly outside counts too (divided by its true size unless padding counts)."""
        value = self.node("AveragePool", name, [x.name], kernel_shape=[kernel] * 2, strides=[stride] * 2,
                          pads=[padding] * 4, ceil_mode=int(ceil), count_include_pad=int(count_padding))
        height, width = (_windows(size, kernel, stride, padding, ceil) for size in (x.height, x.width))
        return Feature(value, x.channels, height, width)

    def global_average(self, x, name):
        return Feature(self.node("GlobalAveragePool", name, [x.name]), x.channels, 1, 1)

    def adaptive_average(self, x, name, side):
        """Averages to side x side: cell i is the mean of rows floor(i·H/side) up to ceil((i+1)·H/side).

        Overlapping or repeated cells are no pooling that ONNX knows, hence products with two matrices of shares.
        """
        if (x.height, x.width) == (side, side):
            return x
        rows = self.constant(name + ".rows", _shares(x.height, side))
        columns = self.constant(name + ".columns", np.ascontiguousarray(_shares(x.width, side).T))
        value = self.node("MatMul", name + ".down", [rows, x.name])
        return Feature(self.node("MatMul", name, [value, columns]), x.channels, side, side)

    def flatten(self, x, name):
        """[N, C, H, W] to [N, C·H·W]."""
        return self.node("Flatten", name, [x.name], axis=1)

    def linear(self, value, name, inputs=None, out=None):
        """A fully connected layer on [N, inputs]; the sizes are the tensor's where not given."""
        out = out or self.state.size(name + ".weight", 0, 2)
        parts = [self.weight(name + ".weight", out, inputs), self.weight(name + ".bias", out)]
        return self.node("Gemm", name, [value, *parts], transB=1)

    def token_linear(self, value, name, inputs, out, weight=None, bias=None):
        """A fully connected layer on the last axis of [N, T, inputs]: MatMul with the transposed weight, then Add."""
        weight, bias = weight or name + ".weight", bias or name + ".bias"
        matrix = self.state.take(weight, out, inputs)
        transposed = self.constant(weight, np.ascontiguousarray(matrix.T))
        product = self.node("MatMul", name + ".matmul", [value, transposed])
        return self.node("Add", name, [product, self.weight(bias, out)])

    def layer_norm(self, value, name, channels, epsilon):
        """Layer normalisation over the last axis, of this many channels."""
        parts = [self.weight(name + ".weight", channels), self.weight(name + ".bias", channels)]
        return self.node("LayerNormalization", name, [value, *parts], axis=-1, epsilon=epsilon)

    @staticmethod
    def same(x, value):
        """The feature that `value` is, of the shape of x."""
        return Feature(value, x.channels, x.height, x.width)


def _shares(size, cells):
    """[cells, size]: what each of `size` elements contributes to the mean of each cell."""
    index, first = np.arange(size), np.arange(cells)[:, None]
    inside = (index >= first * size // cells) & (index < -(-(first + 1) * size // cells))
    return (inside / inside.sum(1, keepdims=True)).astype(np.float32)


def _same(size, kernel, stride):
    """TensorFlow's padding before and behind an axis."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def _windows(size, kernel, stride, padding, ceil=False):
    """How many windows of a convolution or pooling fit along an axis."""
    reach = size + 2 * padding - kernel
    count = (-(-reach // stride) if ceil else reach // stride) + 1
    if ceil and (count - 1) * stride >= size + padding:  # a window may not begin in the padding behind
        count -= 1
    return max(count, 0)
