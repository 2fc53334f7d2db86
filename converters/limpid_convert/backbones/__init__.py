"""Convolutional networks by the key names that torchvision and timm give their tensors.

A backbone is a module with
    ARCHITECTURES                           the names it builds
    matches(state)                          whether a state dict looks like it
    build(layers, x, architecture, last)    Taps: its features up to the stage `last`
    classify(layers, taps)                  the value with its own class scores, after a whole build
To add one: write the module and list it in `_BACKBONES`.
"""

from __future__ import annotations

from limpid_convert.backbones import (
    alexnet, convnext, densenet, efficientnet, mobilenet, resnest, resnet, vgg,
)
from limpid_convert.errors import ConversionError

_BACKBONES = (resnest, resnet, convnext, efficientnet, vgg, alexnet, densenet, mobilenet)


def select(architecture, state):
    """The backbone module for a name, or where the name is None for what the tensors look like."""
    for backbone in _BACKBONES:
        if architecture in backbone.ARCHITECTURES or (architecture is None and backbone.matches(state)):
            return backbone
    known = ", ".join(sorted(name for b in _BACKBONES for name in b.ARCHITECTURES))
    if architecture is None:
        raise ConversionError(f"the tensors are of no known network; name one with --architecture ({known})")
    raise ConversionError(f"limpid-convert does not know the network {architecture!r}; it knows {known}")
