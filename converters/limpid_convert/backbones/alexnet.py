"""AlexNet in the form of Krizhevsky 2014 (arXiv:1404.5997), torchvision's names."""

from __future__ import annotations

from limpid_convert.backbones.taps import Taps

ARCHITECTURES = {"alexnet": None}

#: Index in `features`: kernel, stride, padding of the convolutions; None for a 3x3 pool of stride 2.
_MODULES = {0: (11, 4, 2), 2: None, 3: (5, 1, 2), 5: None, 6: (3, 1, 1), 8: (3, 1, 1), 10: (3, 1, 1), 12: None}


def matches(state):
    return state.size("features.0.weight", 2, 4) == 11 and "features.10.weight" in state


def build(layers, x, architecture=None, last=None):
    """All convolutions and pools. Taps: every activation and pool."""
    features = layers.scope("features.")
    taps = Taps(final=x)
    for index, window in _MODULES.items():
        if window is None:
            x = features.max_pool(x, f"{index}", kernel=3, stride=2)
        else:
            kernel, stride, padding = window
            x = features.conv(x, f"{index}", kernel=kernel, stride=stride, padding=padding, bias=True)
            x = features.relu(x, f"{index + 1}")
            taps.layers.insert(0, x.name)
        taps.named[x.name] = x
        if x.name == last:
            break
    taps.final = x
    return taps


def classify(layers, taps):
    """Three fully connected layers on the features averaged to 6x6, which they are at 224x224."""
    return three_linear(layers, taps, side=6, first=1)


def three_linear(layers, taps, side, first):
    """The classifier on features averaged to side x side; its layers are `first`, three modules later, and the last."""
    pooled = layers.adaptive_average(taps.final, "avgpool", side)
    value, inputs = layers.flatten(pooled, "flatten"), taps.final.channels and taps.final.channels * side * side
    for index in (first, first + 3):
        value = layers.linear(value, f"classifier.{index}", inputs)
        value, inputs = layers.node("Relu", f"classifier.{index + 1}", [value]), None
    return layers.linear(value, "classifier.6")
