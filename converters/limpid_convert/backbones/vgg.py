"""VGG: Simonyan & Zisserman 2014 (arXiv:1409.1556), torchvision's names, with and without batch normalisation.

Widths come from the tensors, and so does where the pools are if the architecture is not named: `features.N` counts
every module, so a pool leaves a gap.
"""

from __future__ import annotations

import re

from limpid_convert.backbones.alexnet import three_linear
from limpid_convert.backbones.taps import Taps

_DEPTHS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}

ARCHITECTURES = {f"vgg{n}{bn}": depths for n, depths in _DEPTHS.items() for bn in ("", "_bn")}


def matches(state):
    return state.size("features.0.weight", 2, 4) == 3 and "classifier.3.weight" in state


def build(layers, x, architecture=None, last=None):
    """The convolutions and pools up to `last` ("features.N"). Taps: every activation and pool."""
    features = layers.scope("features.")
    normalised = "1.running_mean" in features.state
    taps = Taps(final=x)
    index = 0
    for depth in ARCHITECTURES.get(architecture) or _depths(features.state, 3 if normalised else 2):
        for _ in range(depth):
            x = features.conv(x, f"{index}", kernel=3, bias=True)
            if normalised:
                index += 1
                x = features.batch_norm(x, f"{index}")
            x = features.relu(x, f"{index + 1}")
            taps.named[x.name] = x
            index += 2
        taps.layers.insert(0, x.name)
        if last not in taps.named:
            x = features.max_pool(x, f"{index}", kernel=2, stride=2)
            taps.named[x.name] = x
            index += 1
        if last in taps.named:
            break
    taps.final = x
    return taps


def classify(layers, taps):
    """Three fully connected layers on the features averaged to 7x7, which they are at 224x224."""
    return three_linear(layers, taps, side=7, first=0)


def _depths(state, step):
    """Convolutions between pools, from the indices of the convolutions; the last stage ends in a pool too."""
    indices = sorted(int(m.group(1)) for m in (re.fullmatch(r"(\d{1,4})\.weight", n) for n in state.names())
                     if m and state.shape(m.group(0), 4))
    depths, expected = [0], 0
    for index in indices:
        if index > expected:
            depths.append(0)
        depths[-1] += 1
        expected = index + step
    return depths
