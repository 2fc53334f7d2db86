"""How CA-Stream checkpoints and models are called: prefixes, spellings, variants."""

from __future__ import annotations

import re
from dataclasses import dataclass

from limpid_convert.backbones import convnext, efficientnet, resnet
from limpid_convert.errors import ConversionError

VARIANTS = ("stream", "final", "plain")


@dataclass(frozen=True)
class Plan:
    """Where the attention of a kind of network is.

    blocks: for each variant, (module of the attention, module whose features it pools), in order.
    several_heads: whether the original can build it with more than one. projects: the final variant always does.
    classifier: the last layer. modules: the networks' own. typical: a tensor that tells the kind of network.
    """

    blocks: dict
    several_heads: bool
    classifier: str
    modules: str
    typical: str

    @property
    def attention_names(self):
        """Patterns of the tensors that the attention adds."""
        return ("cls_token", *(f"{block}.*" for blocks in self.blocks.values() for block, _ in blocks))

    def variant(self, state):
        """What the tensors look like. An attention without projection has no tensors but the token."""
        names = state.names()
        for variant, blocks in self.blocks.items():
            if any(name.startswith(blocks[0][0] + ".") for name in names):
                return variant
        return "final" if "cls_token" in state else "plain"

    def sort(self, tensors):
        """(tensors by name, names of those that are none of the network's), which the original's loader passes over."""
        blocks = {block.split(".")[0] for part in self.blocks.values() for block, _ in part}
        own = re.compile(rf"cls_token|({'|'.join(sorted(blocks))}|{self.modules})\..*")
        foreign = [name for name in tensors if not own.fullmatch(name)]
        return {name: t for name, t in tensors.items() if own.fullmatch(name)}, foreign


PLANS = {
    resnet: Plan(
        {"stream": (("base", "maxpool"), ("l1", "layer1"), ("l2", "layer2"), ("l3", "layer3"), ("l4", "layer4")),
         "final": (("cls_surrogate", "layer4"),)},
        several_heads=True, classifier="fc", modules=r"conv1|bn1|layer\d+|fc", typical="layer1.0.conv2.weight"),
    convnext: Plan(
        {"stream": tuple((f"cls_stream.{i}", f"features.{tap}") for i, tap in enumerate((0, 2, 4, 7))),
         "final": (("cls_stream", "features.7"),)},
        several_heads=False, classifier="classifier.2", modules="features|classifier",
        typical="features.1.0.layer_scale"),
    efficientnet: Plan(
        {"stream": tuple((f"cls_stream.{i}", f"features.{i}") for i in range(9)),
         "final": (("ca_stream", "features.8"),)},
        several_heads=False, classifier="classifier.1", modules="features|classifier",
        typical="features.1.0.block.1.fc1.weight"),
}

def recognises(tensors):
    """Whether a state dict is CA-Stream's; the average-pooling baseline is torchvision's own network."""
    token = "cls_token" in tensors or "module.cls_token" in tensors
    return token and any(n.endswith(("fc.weight", "to_out.1.weight", "cls_stream.to_out.weight")) for n in tensors)


def unified(tensors):
    """Tensors under the names of today's networks.

    The original looks for each name with and without `module.`; the name without goes first. Older networks were
    wrapped into `base_model`. A global replacement in its ResNets turned every `conv1` of variant `final` into
    `confinal`.
    """
    found = {}
    for name, tensor in tensors.items():
        plain = name[len("module."):] if name.startswith("module.") else name
        if plain == name or plain not in tensors:
            found[plain] = tensor
    if found and all(name.startswith("base_model.") for name in found):
        found = {name[len("base_model."):]: tensor for name, tensor in found.items()}
    renamed = {re.sub(r"(^|\.)confinal\.", r"\1conv1.", name): tensor for name, tensor in found.items()}
    if len(renamed) < len(found):
        raise ConversionError("the checkpoint has a convolution both as conv1 and as confinal; remove one of them")
    return renamed


def model(architecture, variant):
    """(architecture, variant) from the options. The original's names of models say both: `resnet18_stream`."""
    match = re.fullmatch(r"(.+)_(stream|final|(?:cls)?v\d)", architecture or "")
    if not match:
        return architecture, variant
    base, ending = match.groups()
    if base.startswith("resnext50"):  # the original takes the plain network under these names
        named = "plain"
    elif ending in VARIANTS:
        named = ending
    elif ending == "clsv1":
        named = "stream"
    elif ending == ("v3" if base.startswith("convnext") else "v1"):
        named = "final"
    else:
        raise ConversionError(f"{architecture} is an experiment that its authors deleted; limpid-convert knows the "
                              "variants stream and final")
    if variant not in (None, named, "plain"):
        raise ConversionError(f"--variant {variant} contradicts --architecture {architecture}")
    return base, variant or named
