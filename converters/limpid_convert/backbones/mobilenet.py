"""MobileNet v2: Sandler et al. 2018 (arXiv:1801.04381), torchvision's names.

Widths come from the tensors, so every width multiplier is covered. The strides are those of the paper's table 2.
"""

from __future__ import annotations

from limpid_convert.backbones.taps import Taps, count_blocks

ARCHITECTURES = {"mobilenet_v2": None}

_STRIDED = (0, 2, 4, 7, 14)


EXTRACTED = ((r"(features\.\d+)\.add", r"\1.conv.add"), ("adaptive_avg_pool2d", "global_pool"))


def matches(state):
    return "features.1.conv.0.0.weight" in state and state.size("features.1.conv.0.0.weight", 1, 4) == 1


def build(layers, x, architecture=None, last=None):
    """Stem, inverted residuals and the last 1x1 convolution, `features.0` and on. Taps: each of them."""
    features = layers.scope("features.")
    taps = Taps(final=x)
    for index in range(count_blocks(layers.state, "features") or 19):
        stride = 2 if index in _STRIDED else 1
        module = features.scope(f"{index}.")
        inverted = "conv.0.0.weight" in module.state
        x = _inverted_residual(module.scope("conv."), x, stride) if inverted else _stage(module, x, stride)
        taps.named[f"features.{index}"] = x
        taps.layers.insert(0, x.name)
        if last == f"features.{index}":
            break
    taps.final = x
    return taps


def classify(layers, taps):
    """The network's own class scores [N, classes] from its final features."""
    pooled = layers.flatten(layers.global_average(taps.final, "global_pool"), "flatten")
    return layers.linear(pooled, "classifier.1", taps.final.channels)


def _stage(module, x, stride=1, groups=1):
    """Convolution, normalisation and ReLU6, modules 0 to 2; its side is the tensor's."""
    x = module.batch_norm(module.conv(x, "0", stride=stride, groups=groups), "1")
    return module.relu6(x, "2")


def _inverted_residual(module, x, stride):
    """Widened by a 1x1 convolution (the first block is not), 3x3 by channel, narrowed by a 1x1 convolution."""
    y, index = x, 0
    if "2.weight" in module.state and module.state.shape("2.weight", 4):
        y, index = _stage(module.scope("0."), y), 1
    y = _stage(module.scope(f"{index}."), y, stride, groups=y.channels or 1)
    y = module.batch_norm(module.conv(y, f"{index + 1}", kernel=1), f"{index + 2}")
    return module.add(x, y, "add") if stride == 1 and x.channels == y.channels else y
