"""ResNeSt: Zhang et al. 2020 (arXiv:2004.08955), timm's names, cardinality 1.

A ResNet-D whose bottlenecks have split attention in place of the 3x3 convolution. Radix and widths come from the
tensors.
"""

from __future__ import annotations

import numpy as np

from limpid_convert.backbones import resnet
from limpid_convert.layers import Feature

ARCHITECTURES = {
    "resnest14d": (1, 1, 1, 1),
    "resnest26d": (2, 2, 2, 2),
    "resnest50d": (3, 4, 6, 3),
    "resnest101e": (3, 4, 23, 3),
    "resnest200e": (3, 24, 36, 3),
    "resnest269e": (3, 30, 48, 8),
}


classify = resnet.classify
#: Behind the split attention come modules that do nothing.
EXTRACTED = ((r"(layer\d+\.\d+)\.(conv2\.(sum_1|contiguous)|bn2|act2|drop_block)", r"\1.conv2.out"), *resnet.EXTRACTED)


def matches(state):
    return "layer1.0.conv2.fc1.weight" in state


def build(layers, x, architecture=None, last="layer4"):
    """Everything up to the stage `last`; taps as for ResNet."""
    return resnet.build_stages(layers, x, ARCHITECTURES.get(architecture), last, _block)


def _block(layers, x, stride):
    """1x1, split attention, average pooling where the stage shrinks, 1x1, and the shortcut."""
    identity = resnet.shortcut(layers, x, stride)
    x = layers.conv(x, "conv1", kernel=1)
    x = layers.relu(layers.batch_norm(x, "bn1"), "relu1")
    x = _split_attention(layers.scope("conv2."), x)
    if stride > 1:
        x = layers.average_pool(x, "avd_last", kernel=3, stride=2, padding=1)
    x = layers.batch_norm(layers.conv(x, "conv3", kernel=1, out=identity.channels), "bn3")
    return layers.relu(layers.add(x, identity, "add"), "relu3")


def _split_attention(layers, x):
    """Section 3 of the paper: `radix` groups of feature maps, weighted per channel by a softmax over the groups.

    The mean of the groups' sum is taken as the sum of the groups' means, which spares a pass over the maps.
    """
    width = x.channels
    wide = layers.state.size("fc2.weight", 0, 4)
    radix = wide // width if wide and width and wide % width == 0 else 2
    x = layers.conv(x, "conv", kernel=3, groups=radix, out=width and width * radix)
    x = layers.relu(layers.batch_norm(x, "bn0"), "act0")

    pooled = layers.global_average(x, "gap.groups").name
    pooled = layers.node("Reshape", "gap.split", [pooled, layers.constant("gap.shape", _shape(0, radix, -1))])
    pooled = layers.node("ReduceSum", "gap.sum", [pooled, layers.constant("gap.axes", _shape(1))], keepdims=0)
    pooled = layers.node("Reshape", "gap", [pooled, layers.constant("gap.map", _shape(0, -1, 1, 1))])
    y = layers.conv(Feature(pooled, width, 1, 1), "fc1", kernel=1, bias=True)
    y = layers.relu(layers.batch_norm(y, "bn1"), "act1")
    y = layers.conv(y, "fc2", kernel=1, bias=True, out=x.channels).name

    y = layers.node("Reshape", "rsoftmax.groups", [y, layers.constant("rsoftmax.shape", _shape(0, radix, -1))])
    y = layers.node("Softmax", "rsoftmax", [y], axis=1)
    y = layers.node("Reshape", "rsoftmax.map", [y, layers.constant("rsoftmax.map.shape", _shape(0, -1, 1, 1))])
    y = layers.node("Mul", "weighted", [x.name, y])
    if radix > 1:
        y = layers.node("Sum", "out", layers.node("Split", "split", [y], outputs=radix, axis=1))
    return Feature(y, width, x.height, x.width)


def _shape(*dimensions):
    return np.array(dimensions, np.int64)
