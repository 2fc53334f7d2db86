"""EfficientNet: Tan & Le 2019 (arXiv:1905.11946), torchvision's names.

Widths, kernels, expansion and squeeze come from the tensors, depths too where the architecture is not named. Strides
are those of the paper's table 1, the same for B0 to B7.
"""

from __future__ import annotations

import math

from limpid_convert.backbones.taps import Taps, count_blocks
from limpid_convert.layers import BATCH_NORM_EPSILON, Feature

#: Blocks and stride of stages 1 to 7 of B0.
_STAGES = ((1, 1), (2, 2), (2, 2), (3, 2), (3, 1), (4, 2), (1, 1))
_DEPTH_FACTORS = (1, 1.1, 1.2, 1.4, 1.8, 2.2, 2.6, 3.1)

#: torchvision's, timm's own, and those that timm has from TensorFlow.
ARCHITECTURES = {f"{origin}efficientnet_b{i}": tuple(math.ceil(depth * factor) for depth, _ in _STAGES)
                 for origin in ("", "timm_", "tf_") for i, factor in enumerate(_DEPTH_FACTORS)}

#: torchvision trained B5 and larger ones with another epsilon; their depths tell them. timm's never have it, and
#: TensorFlow's always.
_LARGE = {ARCHITECTURES[f"efficientnet_b{i}"] for i in (5, 6, 7)}
_LARGE_EPSILON = 1e-3
_TOP = len(_STAGES) + 1


#: A block's branch ends in the normalisation of its last convolution: `block.2.1`, or `block.3.1` where it widens.
EXTRACTED = ((r"(features\.\d+\.\d+)\.add", r"\1"), (r"(features\.\d+\.\d+)\.stochastic_depth", r"\1.block"))


def matches(state):
    return "features.1.0.block.1.fc1.weight" in state


def build(layers, x, architecture=None, last=f"features.{_TOP}"):
    """Everything up to the module `last`. Taps: each of the nine modules; layers: the last one, then every block."""
    depths = ARCHITECTURES.get(architecture) or _counted(layers.state)
    origin = (architecture or "").partition("efficientnet")[0]
    is_large = origin == "tf_" or (not origin and depths in _LARGE)
    style = {"epsilon": _LARGE_EPSILON if is_large else BATCH_NORM_EPSILON, "same": origin == "tf_"}
    taps = Taps(final=x)
    for index in range(int(last.split(".")[1]) + 1):
        module = layers.scope(f"features.{index}.")
        if index in (0, _TOP):
            x = _convolution(module, x, "", stride=1 if index else 2, **style)
            taps.layers.insert(0, x.name)
        else:
            for block in range(depths[index - 1]):
                stride = _STAGES[index - 1][1] if block == 0 else 1
                x = _block(module, x, str(block), stride, style)
                taps.layers.insert(0, x.name)
        taps.named[f"features.{index}"] = x
    taps.final = x
    return taps


def classify(layers, taps):
    """The network's own class scores [N, classes] from its final features."""
    pooled = layers.flatten(layers.global_average(taps.final, "avgpool"), "flatten")
    return score(layers, pooled, taps.final.channels)


def score(layers, value, channels):
    """Class scores [N, classes] of pooled features [N, channels]."""
    return layers.linear(value, "classifier.1", channels)


def _counted(state):
    depths = tuple(count_blocks(state, f"features.{i + 1}") for i in range(len(_STAGES)))
    for index, depth in enumerate(depths):
        if depth == 0:
            state.problem(f"missing      features.{index + 1}.*  a whole stage")
    return depths


def _convolution(layers, x, path, epsilon, same, stride=1, depthwise=False, activation=True):
    """Convolution, normalisation and mostly SiLU: the modules 0, 1 and 2 of `path`."""
    groups = x.channels if depthwise and x.channels else 1
    out = x.channels if depthwise else None
    x = layers.conv(x, path + "0", stride=stride, groups=groups, out=out, same=same)
    x = layers.batch_norm(x, path + "1", epsilon)
    return _silu(layers, x, path + "2") if activation else x


def _block(stage, x, name, stride, style):
    """Inverted bottleneck: widen (where the checkpoint does), filter by channel, squeeze and excite, project, sum."""
    inner, identity = stage.scope(name + "."), x
    expands = "block.3.0.weight" in inner.state
    if expands:
        x = _convolution(inner, x, "block.0.", **style)
    x = _convolution(inner, x, f"block.{int(expands)}.", stride=stride, depthwise=True, **style)
    x = _excite(inner, x, f"block.{1 + expands}.")
    x = _convolution(inner, x, f"block.{2 + expands}.", activation=False, **style)
    return stage.add(x, identity, name) if stride == 1 and x.channels == identity.channels else x


def _excite(layers, x, path):
    """Scales each channel by what two small layers make of all channels' means (Hu et al., arXiv:1709.01507)."""
    squeezed = layers.conv(layers.global_average(x, path + "avgpool"), path + "fc1", kernel=1, bias=True)
    squeezed = _silu(layers, squeezed, path + "activation")
    scale = layers.conv(squeezed, path + "fc2", kernel=1, bias=True, out=x.channels)
    return _times(layers, x, layers.node("Sigmoid", path + "scale_activation", [scale.name]), path + "scaled")


def _silu(layers, x, name):
    """x · sigmoid(x)"""
    return _times(layers, x, layers.node("Sigmoid", name + ".sigmoid", [x.name]), name)


def _times(layers, x, factor, name):
    return Feature(layers.node("Mul", name, [x.name, factor]), x.channels, x.height, x.width)
