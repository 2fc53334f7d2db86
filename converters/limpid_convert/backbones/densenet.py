"""DenseNet: Huang et al. 2016 (arXiv:1608.06993), torchvision's names.

Widths and growth come from the tensors, depths too where the architecture is not named.
"""

from __future__ import annotations

from limpid_convert.backbones.taps import Taps, count_from_one
from limpid_convert.layers import Feature

ARCHITECTURES = {"densenet121": (6, 12, 24, 16), "densenet169": (6, 12, 32, 32), "densenet201": (6, 12, 48, 32),
                 "densenet161": (6, 12, 36, 24)}


def _joined_before(match):
    """The channels that a dense layer reads: what the layer before it has joined, or what enters the block."""
    block, layer = int(match[1]), int(match[2])
    if layer > 1:
        return f"features.denseblock{block}.denselayer{layer - 1}.out"
    return f"features.transition{block - 1}.pool" if block > 1 else "features.pool0"


EXTRACTED = (
    (r"(features\.denseblock\d+)\.cat", r"\1"), (r"features\.denseblock(\d+)\.denselayer(\d+)\.cat", _joined_before),
    ("adaptive_avg_pool2d", "global_pool"),
)


def matches(state):
    return "features.denseblock1.denselayer1.conv1.weight" in state


def build(layers, x, architecture=None, last=None):
    """Stem, dense blocks with transitions between them, and the last activation. Taps: each of these."""
    features = layers.scope("features.")
    x = features.relu(features.batch_norm(features.conv(x, "conv0", kernel=7, stride=2), "norm0"), "relu0")
    x = features.max_pool(x, "pool0", kernel=3, stride=2, padding=1)
    taps = Taps(final=x, named={x.name: x})
    depths = ARCHITECTURES.get(architecture) or _depths(features.state)
    for block, depth in enumerate(depths, 1):
        name = f"features.denseblock{block}"
        for layer in range(1, depth + 1):
            x = _dense_layer(features.scope(f"denseblock{block}.denselayer{layer}."), x)
        taps.named[name] = x
        taps.layers.insert(0, x.name)
        if name != last and block < len(depths):
            name = f"features.transition{block}"
            x = _transition(features.scope(f"transition{block}."), x)
            taps.named[name] = x
        if name == last:
            taps.final = x
            return taps
    taps.final = layers.relu(features.batch_norm(x, "norm5"), "relu")
    taps.named["relu"] = taps.final
    taps.layers.insert(0, taps.final.name)
    return taps


def classify(layers, taps):
    """The network's own class scores [N, classes] from its final features."""
    pooled = layers.flatten(layers.global_average(taps.final, "global_pool"), "flatten")
    return layers.linear(pooled, "classifier", taps.final.channels)


def _dense_layer(layers, x):
    """1x1 and 3x3 convolution, each behind normalisation and activation; the result joins the channels of x."""
    y = layers.conv(layers.relu(layers.batch_norm(x, "norm1"), "relu1"), "conv1", kernel=1)
    y = layers.conv(layers.relu(layers.batch_norm(y, "norm2"), "relu2"), "conv2", kernel=3)
    channels = x.channels + y.channels if x.channels and y.channels else None
    return Feature(layers.node("Concat", "out", [x.name, y.name], axis=1), channels, x.height, x.width)


def _transition(layers, x):
    """1x1 convolution, then an average over 2x2."""
    x = layers.conv(layers.relu(layers.batch_norm(x, "norm"), "relu"), "conv", kernel=1)
    return layers.average_pool(x, "pool", kernel=2, stride=2)


def _depths(state):
    blocks = range(1, count_from_one(state, "denseblock{}.denselayer1.conv1.weight") + 1)
    return [count_from_one(state, f"denseblock{b}.denselayer{{}}.conv1.weight") for b in blocks]
