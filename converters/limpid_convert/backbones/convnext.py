"""ConvNeXt: Liu et al. 2022 (arXiv:2201.03545), torchvision's names.

`features` is stem, stage, reduction, stage, reduction, stage, reduction, stage. Widths come from the tensors, depths
too where the architecture is not named. Norms and linear layers work on channels-last values between two Transposes,
which a runtime that keeps its features channels-last need not carry out.
"""

from __future__ import annotations

import numpy as np

from limpid_convert.backbones.taps import Taps, count_blocks
from limpid_convert.layers import Feature

ARCHITECTURES = {"convnext_tiny": (3, 3, 9, 3), "convnext_small": (3, 3, 27, 3), "convnext_base": (3, 3, 27, 3),
                 "convnext_large": (3, 3, 27, 3)}

EXTRACTED = (
    (r"(features\.\d+\.\d+)\.add", r"\1"), (r"(features\.\d+\.\d+)\.(mul|stochastic_depth)", r"\1.block.scaled"),
    (r"(features\.\d+\.\d+)\.permute_1", r"\1.first"),
)

_EPSILON = 1e-6
_TO_LAST, _TO_FIRST = [0, 2, 3, 1], [0, 3, 1, 2]


def matches(state):
    return "features.1.0.layer_scale" in state


def build(layers, x, architecture=None, last="features.7"):
    """Everything up to the module `last`. Taps: each of the eight modules.

    Layers: the second linear layer of every block, which is its branch before scale and sum (the original CA-Stream
    takes CAMs there), then the blocks' outputs.
    """
    depths = ARCHITECTURES.get(architecture)
    taps, branches, sums = Taps(final=x), [], []
    for index in range(int(last.split(".")[1]) + 1):
        module = layers.scope(f"features.{index}.")
        if index == 0:
            x = _norm(module, module.conv(x, "0", kernel=4, stride=4, padding=0, bias=True), "1")
        elif index % 2 == 0:
            x = module.conv(_norm(module, x, "0"), "1", kernel=2, stride=2, padding=0, bias=True)
        else:
            for block in range(_depth(layers.state, depths, index)):
                x, branch = _block(module, x, str(block))
                branches.insert(0, branch)
                sums.insert(0, x.name)
        taps.named[f"features.{index}"] = x
    taps.final, taps.layers = x, branches[:1] + sums + branches[1:]
    return taps


def classify(layers, taps):
    """The network's own class scores [N, classes] from its final features."""
    pooled = layers.flatten(layers.global_average(taps.final, "avgpool"), "flatten")
    return score(layers, pooled, taps.final.channels)


def score(layers, value, channels):
    """Class scores [N, classes] of pooled features [N, channels]: a norm, then the linear layer."""
    value = layers.layer_norm(value, "classifier.0", channels, _EPSILON)
    return layers.linear(value, "classifier.2", channels)


def _depth(state, depths, index):
    found = depths[index // 2] if depths else count_blocks(state, f"features.{index}")
    if found == 0:
        state.problem(f"missing      features.{index}.*  a whole stage")
    return found


def _block(stage, x, name):
    """(the block's output, name of its branch [N, C, H, W]): 7x7 by channel, norm, two linear layers, scale, sum."""
    inner, channels = stage.scope(name + "."), x.channels
    wide = inner.state.size("block.3.weight", 0, 2)
    y = inner.conv(x, "block.0", kernel=7, bias=True, out=channels, groups=channels or 1)
    value = inner.node("Transpose", "block.1", [y.name], perm=_TO_LAST)
    value = inner.layer_norm(value, "block.2", channels, _EPSILON)
    value = gelu(inner, inner.token_linear(value, "block.3", channels, wide), "block.4")
    value = inner.token_linear(value, "block.5", wide, channels)
    branch = inner.node("Transpose", "block.6", [value], perm=_TO_FIRST)
    scale = inner.weight("layer_scale", channels, 1, 1)
    scaled = Feature(inner.node("Mul", "block.scaled", [branch, scale]), channels, y.height, y.width)
    return stage.add(scaled, x, name), branch


def gelu(layers, value, name):
    """x · (1 + erf(x / √2)) / 2"""
    part = layers.node("Div", name + ".ratio", [value, layers.constant(name + ".root", np.float32(2**0.5))])
    part = layers.node("Erf", name + ".erf", [part])
    part = layers.node("Add", name + ".sum", [part, layers.constant(name + ".one", np.float32(1))])
    part = layers.node("Mul", name + ".product", [value, part])
    return layers.node("Mul", name, [part, layers.constant(name + ".half", np.float32(0.5))])


def _norm(layers, x, name):
    """Layer normalisation over the channels of [N, C, H, W]."""
    value = layers.node("Transpose", name + ".last", [x.name], perm=_TO_LAST)
    value = layers.layer_norm(value, name, x.channels, _EPSILON)
    value = layers.node("Transpose", name + ".first", [value], perm=_TO_FIRST)
    return Feature(value, x.channels, x.height, x.width)
