"""Convolutional networks by the key names that torchvision and timm give their tensors.

A backbone is a module with
    ARCHITECTURES                           the names it builds
    matches(state)                          whether a state dict looks like it
    build(layers, x, architecture, last)    Taps: its features up to the stage `last`
    classify(layers, taps)                  the value with its own class scores, after a whole build
and mostly
    EXTRACTED                               pairs for `re.sub`: torchvision's feature extraction numbers what a module
                                            computes by itself (`features.6.add`); its names, and those here
To add one: write the module and list it in `_BACKBONES`.
"""

from __future__ import annotations

from limpid_convert import state_dict
from limpid_convert.backbones import (
    alexnet, convnext, densenet, efficientnet, efficientnet_lite, mobilenet, resnest, resnet, vgg, vit,
)
from limpid_convert.errors import ConversionError

_BACKBONES = (resnest, resnet, convnext, efficientnet, efficientnet_lite, vgg, alexnet, densenet, mobilenet)

#: Whose features are tokens, not maps: for those that ask for them.
_WITH_TOKENS = (vit,)

#: Networks that are not built here, by tensors that tell them.
_FOREIGN = (
    (("_blocks.0._se_reduce.weight",), "an EfficientNet of the package efficientnet_pytorch"),
    (("blocks.0.0.conv_dw.weight",), "timm's EfficientNet or MobileNet"),
    (("stages.0.blocks.0.conv_dw.weight",), "a ConvNeXt of timm in another form than torchvision's"),
    (("pre_logits.fc1.weight",), "timm's VGG"),
    (("patch_embed.proj.weight",), "timm's vision transformer"),
    (("conv_proj.weight", "class_token"), "torchvision's vision transformer"),
    (("embeddings.patch_embeddings.projection.weight",), "a vision transformer of Hugging Face"),
    (("embedder.embedder.convolution.weight",), "a ResNet of Hugging Face"),
    (("features.1.block.0.0.weight",), "torchvision's MobileNet v3"),
    (("features.0.0.weight", "features.1.0.norm1.weight"), "torchvision's Swin transformer"),
    (("Conv2d_1a_3x3.conv.weight",), "torchvision's Inception"),
    (("features.3.squeeze.weight",), "torchvision's SqueezeNet"),
    (("stage2.0.branch2.0.weight",), "torchvision's ShuffleNet"),
    (("stem.0.weight", "trunk_output.block1.block1-0.f.a.0.weight"), "torchvision's RegNet"),
)
_EXPORT = ("export the network to ONNX (torch.onnx.export) and use `limpid-convert annotate`, or give the .onnx file "
           "to `tame --backbone`")


def matching(state):
    """The backbone module, of maps or tokens, that the tensors look like, or None."""
    return next((backbone for backbone in _BACKBONES + _WITH_TOKENS if backbone.matches(state)), None)


def select(architecture, state, tokens=False):
    """The backbone module for a name, or where the name is None for what the tensors look like; tokens: those too whose
    features are tokens."""
    known_here = _BACKBONES + _WITH_TOKENS if tokens else _BACKBONES
    for backbone in known_here:
        if architecture in backbone.ARCHITECTURES or (architecture is None and backbone.matches(state)):
            if not backbone.matches(state):
                _check_prefix(architecture, state, [backbone])
            return backbone
    known = ", ".join(sorted(name for b in known_here for name in b.ARCHITECTURES))
    foreign = next((what for names, what in _FOREIGN if all(n in state for n in names)), None)
    if foreign:
        raise ConversionError(f"the tensors are those of {foreign}, which limpid-convert does not build here; {_EXPORT}")
    if architecture is None:
        _check_prefix("a network that limpid-convert builds", state, known_here)
        raise ConversionError(f"the tensors are of no known network; name one with --architecture ({known}), or "
                              + _EXPORT)
    raise ConversionError(f"limpid-convert does not know the network {architecture!r}; it knows {known}; or {_EXPORT}")


def _check_prefix(what, state, backbones):
    """Raises where the tensors of a network are there under names that all begin with something."""
    for prefix in state_dict.prefixes(state.names()):
        if any(b.matches(state.scope(prefix)) for b in backbones):
            raise ConversionError(f"the tensors of {what} are there, under names that begin with {prefix!r}: give "
                                  f"--prefix {prefix} (--backbone-prefix or --classifier-prefix where the network has "
                                  "a file of its own)")
