"""LaViSE's explainer as a graph: filters' attention on feature maps, and the perceptron that makes word vectors of it.

The attention of filter u with map A is g_k = mean over space of F_k * A / |A|; with the maps as rows of X it is row u
of X X' / (hw |A|), so one product serves all filters. Heads on flattened maps read F_k * A / |A| itself.
"""

from __future__ import annotations

import re

import numpy as np

from limpid_convert.layers import Feature, Layers

#: The maps of an inactive filter are zero: its attention is then zero, too, instead of not a number.
_SMALLEST_NORM = 1e-30

_FIRST = re.compile(r"(\w+)\.0\.running_mean")


def classifier_of(tensors):
    """Name of the module that the explainer took the place of ("fc"), or None: it begins with a normalisation."""
    for match in filter(None, map(_FIRST.fullmatch, tensors)):
        if len(tensors[match.group(0)].shape) == 1 and f"{match.group(1)}.6.weight" in tensors:
            return match.group(1)
    return None


def kind(state, features):
    """"gap" or "flatten": what the head's width says that it reads; None where it fits neither."""
    width = state.size("0.weight", 0, 1)
    if width == features.channels:
        return "gap"
    return "flatten" if width == features.channels * features.height * features.width else None


def build(builder, state, features, form):
    """Adds the input `filters`, the attention [M, D] and the outputs. Returns {what: value} for the metadata.

    state: the scope of the explainer. features: a Feature, which the value "features" repeats.
    """
    layers = Layers(builder, state, "explainer.")
    count, positions = features.channels, features.height * features.width
    shape = layers.constant("flat.shape", np.array([0, count, positions]))
    flat = layers.node("Reshape", "flat", [features.name, shape])
    # For heads on flattened maps one filter costs as much as all do for the others.
    every = np.arange(count if form == "gap" else 1)
    maps = layers.node("Gather", "maps", [flat, builder.optional_input("filters", every, ["K"])], axis=1)
    norm = layers.node("ReduceL2", "norm", [maps], axes=[2], keepdims=1)
    norm = layers.node("Max", "norm.positive", [norm, layers.constant("norm.smallest", np.float32(_SMALLEST_NORM))])
    unit = layers.node("Div", "unit", [maps, norm])
    if form == "gap":
        share = layers.constant("share", np.float32(1 / positions))
        product = layers.node("MatMul", "gram", [unit, layers.node("Transpose", "flat.T", [flat], perm=[0, 2, 1])])
        attended, width = layers.node("Mul", "mean", [product, share]), count
    else:
        rows = [layers.node("Unsqueeze", name, [value, layers.constant(f"{name}.axis", np.array([axis]))])
                for name, value, axis in (("unit.rows", unit, 2), ("flat.rows", flat, 1))]
        attended, width = layers.node("Mul", "attended", rows), count * positions
    pooled = layers.node("Reshape", "pooled", [attended, layers.constant("pooled.shape", np.array([-1, width]))])
    words = _perceptron(layers, pooled, width)
    size = state.size("6.weight", 0, 2) or 1
    shape = layers.node("Concat", "embeddings.shape", [
        layers.node("Shape", "maps.shape", [maps], start=0, end=2),
        layers.constant("embeddings.size", np.array([size]))], axis=0)
    builder.node("Reshape", "embeddings", [words, shape])
    builder.output("embeddings", ["N", "K", size])
    return {"pooled": pooled, "embedding": words}


def _perceptron(layers, pooled, width):
    """Normalisation, linear, ReLU, normalisation, linear; dropout does nothing at inference."""
    value = layers.batch_norm(Feature(pooled, width, 1, 1), "0").name
    value = layers.linear(value, "2", width, width)
    value = layers.node("Relu", "3", [value])
    value = layers.batch_norm(Feature(value, width, 1, 1), "4").name
    return layers.linear(value, "6", width)
