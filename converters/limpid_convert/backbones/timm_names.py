"""timm's names for networks that are built here under torchvision's: ConvNeXt, EfficientNet, MobileNet v2."""

from __future__ import annotations

import re

from limpid_convert.backbones.taps import count_blocks
from limpid_convert.errors import ConversionError
from limpid_convert.state import State

#: What a block of timm's EfficientNet family has, by the kind of block: widening ones, and the first, which does not.
_WIDENING = {"conv_pw": "0.0", "bn1": "0.1", "conv_dw": "1.0", "bn2": "1.1", "conv_pwl": "{last}.0", "bn3": "{last}.1",
             "se.conv_reduce": "2.fc1", "se.conv_expand": "2.fc2"}
_FIRST = {"conv_dw": "0.0", "bn1": "0.1", "conv_pw": "{last}.0", "bn2": "{last}.1", "se.conv_reduce": "1.fc1",
          "se.conv_expand": "1.fc2"}
_CONVNEXT = {"conv_dw": "block.0", "norm": "block.2", "mlp.fc1": "block.3", "mlp.fc2": "block.5"}
_MOBILENET_DEPTHS = (1, 2, 3, 4, 3, 3, 1)


class _Column:
    """A tensor [C] as [C, 1, 1]."""

    def __init__(self, tensor):
        self._tensor, self.element_type, self.shape = tensor, tensor.element_type, (*tensor.shape, 1, 1)

    def numpy(self):
        return self._tensor.numpy().reshape(self.shape)


def unified(tensors, architecture):
    """(tensors under torchvision's names, name of the architecture here); others as they are.

    timm's EfficientNets have the same tensors as those that it took from TensorFlow, which pad in another way, so they
    must be named: `efficientnet_b0`, which is `timm_efficientnet_b0` here, or `tf_efficientnet_b0`.
    """
    state = State(tensors)
    if "stages.0.blocks.0.gamma" in state and state.shape("stages.0.blocks.0.mlp.fc1.weight", 2):
        return {_convnext(n): _Column(t) if n.endswith(".gamma") else t for n, t in tensors.items()}, architecture
    if "conv_stem.weight" not in state:
        return tensors, architecture
    if "blocks.0.0.se.conv_reduce.weight" in state:
        if not re.fullmatch(r"(tf_|timm_)?efficientnet_b\d", architecture or ""):
            raise ConversionError("timm's efficientnet and tf_efficientnet have the same tensors and differ in padding; "
                                  "give --architecture, for example efficientnet_b0 or tf_efficientnet_b0")
        own = "timm_" + architecture if architecture.startswith("efficientnet") else architecture
        return {_efficientnet(n): t for n, t in tensors.items()}, own
    depths = tuple(count_blocks(state, f"blocks.{i}") for i in range(len(_MOBILENET_DEPTHS)))
    kernels = {t.shape[2] for n, t in tensors.items() if n.endswith("conv_dw.weight") and len(t.shape) == 4}
    if depths == _MOBILENET_DEPTHS and kernels == {3} and "blocks.7.0.conv.weight" not in state:
        return {_mobilenet(n): t for n, t in tensors.items()}, architecture
    return tensors, architecture


def _convnext(name):
    fixed = {"stem.0": "features.0.0", "stem.1": "features.0.1", "head.norm": "classifier.0", "head.fc": "classifier.2"}
    module, _, part = name.rpartition(".")
    if module in fixed:
        return f"{fixed[module]}.{part}"
    if match := re.fullmatch(r"stages\.(\d+)\.downsample\.([01])\.(\w+)", name):
        return f"features.{2 * int(match[1])}.{match[2]}.{match[3]}"
    if match := re.fullmatch(r"stages\.(\d+)\.blocks\.(\d+)\.(.+)", name):
        block = f"features.{2 * int(match[1]) + 1}.{match[2]}."
        inner, _, part = match[3].rpartition(".")
        return block + ("layer_scale" if match[3] == "gamma" else f"{_CONVNEXT.get(inner, inner)}.{part}")
    return name


def _efficientnet(name):
    fixed = {"conv_stem": "features.0.0", "bn1": "features.0.1", "conv_head": "features.8.0", "bn2": "features.8.1",
             "classifier": "classifier.1"}
    return _inverted(name, fixed, lambda stage, block: f"features.{stage + 1}.{block}.block.", first="2", other="3")


def _mobilenet(name):
    fixed = {"conv_stem": "features.0.0", "bn1": "features.0.1", "conv_head": "features.18.0", "bn2": "features.18.1",
             "classifier": "classifier.1"}
    renamed = _inverted(name, fixed, lambda stage,
        block: f"features.{1 + sum(_MOBILENET_DEPTHS[:stage]) + block}.conv.",
                        first="1", other="2")
    # The last convolution of a block has no module around it and its normalisation: conv.2.0 is conv.2, conv.2.1 conv.3.
    if match := re.fullmatch(r"(features\.\d+\.conv)\.([12])\.([01])\.(\w+)", renamed):
        last = "1" if match[1] == "features.1.conv" else "2"
        if match[2] == last:
            return f"{match[1]}.{int(last) + int(match[3])}.{match[4]}"
    return renamed


def _inverted(name, fixed, path, first, other):
    """A name of the EfficientNet family. path(stage, block): where the block is; first, other: its last convolution."""
    module, _, part = name.rpartition(".")
    if module in fixed:
        return f"{fixed[module]}.{part}"
    match = re.fullmatch(r"blocks\.(\d+)\.(\d+)\.(.+)", module)
    if not match:
        return name
    is_first = match[1] == "0"
    inner = (_FIRST if is_first else _WIDENING).get(match[3], match[3]).format(last=first if is_first else other)
    return f"{path(int(match[1]), int(match[2]))}{inner}.{part}"
