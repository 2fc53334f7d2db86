"""EfficientNet-Lite 0 to 4: EfficientNet without squeezing, with ReLU6, by Google's TPU models (2020).

Names of the package efficientnet_lite_pytorch, or timm's. Widths and kernels come from the tensors, depths too. Padding
is TensorFlow's SAME, of which the odd element comes last; timm's own `efficientnet_lite…`, as opposed to its
`tf_efficientnet_lite…`, pads both sides alike and has another epsilon, of which nothing is seen in the tensors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from limpid_convert.backbones.taps import Taps, count_blocks
from limpid_convert.errors import ConversionError
from limpid_convert.preprocessing import IMAGENET_MEAN, IMAGENET_STD

#: Blocks, stride and kernel of the seven stages of Lite0. First and last are never repeated more.
_STAGES = ((1, 1, 3), (2, 2, 3), (2, 2, 5), (3, 2, 3), (3, 1, 5), (4, 2, 5), (1, 1, 3))
_DEPTH_FACTORS = (1, 1.1, 1.2, 1.4, 1.8)

#: Side of the images, cut from ones whose shorter side is longer by the margin; (x - 127) / 128 in bytes.
SIDES = (224, 240, 260, 280, 300)
_MARGIN = 32
_MEAN, _STD = (127 / 255,) * 3, (128 / 255,) * 3
_LAST_WIDTHS = (320, 320, 352, 384, 448)


def _depths(factor):
    inner = [math.ceil(depth * factor) for depth, _, _ in _STAGES[1:-1]]
    return (1, *inner, 1)


_LITE = [_depths(factor) for factor in _DEPTH_FACTORS]
ARCHITECTURES = {f"{prefix}efficientnet_lite{i}": depths for prefix in ("", "tf_") for i, depths in enumerate(_LITE)}


@dataclass(frozen=True)
class _Names:
    """What the layers are called. block: widening, filtering and narrowing convolution, each with its normalisation;
    first: the same of the first block, which does not widen."""

    stem: tuple
    block: tuple
    first: tuple
    head: tuple
    classifier: str


_PACKAGE = _Names(("_conv_stem", "_bn0"),
    (("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")),
                  (("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")), ("_conv_head", "_bn1"), "_fc")
_TIMM = _Names(("conv_stem", "bn1"), (("conv_pw", "bn1"), ("conv_dw", "bn2"), ("conv_pwl", "bn3")),
               (("conv_dw", "bn1"), ("conv_pw", "bn2")), ("conv_head", "bn2"), "classifier")


def matches(state):
    if "_conv_stem.weight" in state:
        return "_blocks.0._depthwise_conv.weight" in state and "_blocks.0._se_reduce.weight" not in state
    if "blocks.6.0.conv_pwl.weight" not in state or "blocks.0.0.se.conv_reduce.weight" in state:
        return False
    kernels = [state.size(f"blocks.{i}.0.conv_dw.weight", 2, 4) for i in range(len(_STAGES))]
    return kernels == [kernel for _, _, kernel in _STAGES]  # MobileNet v2 and MNASNet have the same names


def images(architecture, state):
    """(shorter side, side of the window in it, filter, mean, std) of the images that it was trained with."""
    side = SIDES[_number(architecture, state)]
    if architecture and _names(state) is _TIMM and not architecture.startswith("tf_"):
        return side + _MARGIN, side, "bicubic", IMAGENET_MEAN, IMAGENET_STD
    return side + _MARGIN, side, "bicubic", _MEAN, _STD


def _number(architecture, state):
    """Which of the five it is, by its name or its sizes; 0 for a narrow one."""
    if architecture:
        return int(architecture[-1])
    depths = _found(state, _names(state))
    width = state.size(f"_blocks.{sum(depths) - 1}._project_conv.weight", 0, 4)
    return next((i for i, (d, w) in enumerate(zip(_LITE, _LAST_WIDTHS)) if d == depths and w == width), 0)


def build(layers, x, architecture=None, last=None):
    """Stem, blocks and the last 1x1 convolution. Taps: the end of each stage, `stage1` and on, and `head`."""
    names = _names(layers.state)
    if names is _TIMM and architecture is None:
        raise ConversionError("timm's efficientnet_lite and tf_efficientnet_lite have the same tensors and differ in "
                              "padding; give --architecture, for example tf_efficientnet_lite0")
    same = names is _PACKAGE or architecture.startswith("tf_")
    style = {"same": same, "epsilon": 1e-3 if same else 1e-5}
    x = _convolution(layers, x, *names.stem, stride=2, **style)
    taps, index = Taps(final=x), 0
    depths = ARCHITECTURES.get(architecture) or _found(layers.state, names)
    for stage, (depth, (_, stride, _)) in enumerate(zip(depths, _STAGES)):
        for block in range(depth):
            path = f"_blocks.{index}." if names is _PACKAGE else f"blocks.{stage}.{block}."
            x = _block(layers.scope(path), x, names.block if index else names.first, stride if block == 0 else 1, style)
            taps.layers.insert(0, x.name)
            index += 1
        taps.named[f"stage{stage + 1}"] = x
    taps.final = _convolution(layers, x, *names.head, **style)
    taps.named["head"] = taps.final
    taps.layers.insert(0, taps.final.name)
    return taps


def classify(layers, taps):
    """The network's own class scores [N, classes] from its final features."""
    pooled = layers.flatten(layers.global_average(taps.final, "global_pool"), "flatten")
    return layers.linear(pooled, _names(layers.state).classifier, taps.final.channels)


def _names(state):
    return _PACKAGE if "_conv_stem.weight" in state else _TIMM


def _found(state, names):
    """Blocks in each stage. The package numbers them through, so their sum tells the depths."""
    if names is _TIMM:
        return tuple(count_blocks(state, f"blocks.{i}") for i in range(len(_STAGES)))
    count = count_blocks(state, "_blocks")
    found = next((depths for depths in _LITE if sum(depths) == count), None)
    if found is None:
        state.problem(f"missing      _blocks.*  {count} blocks; EfficientNet-Lite has "
                      + ", ".join(str(n) for n in sorted({sum(d) for d in _LITE})))
    return found or _LITE[0]


def _block(layers, x, names, stride, style):
    """Widened by a 1x1 convolution (the first block is not), filtered by channel, narrowed by another, summed."""
    y = x
    for name, norm in names[:-2]:
        y = _convolution(layers, y, name, norm, **style)
    y = _convolution(layers, y, *names[-2], stride=stride, depthwise=True, **style)
    y = _convolution(layers, y, *names[-1], activation=False, **style)
    return layers.add(x, y, "add") if stride == 1 and x.channels == y.channels else y


def _convolution(layers, x, name, norm, stride=1, depthwise=False, activation=True, same=True, epsilon=1e-3):
    """Convolution, normalisation and mostly ReLU6; its side is the tensor's."""
    x = layers.conv(x, name, stride=stride, groups=x.channels or 1 if depthwise else 1, same=same,
                    out=x.channels if depthwise else None)
    x = layers.batch_norm(x, norm, epsilon)
    return layers.relu6(x, norm + ".relu6") if activation else x
