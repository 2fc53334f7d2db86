"""Finds the values of a graph that a TAME head is attached to."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from limpid_convert import values
from limpid_convert.conversion import say
from limpid_convert.errors import ConversionError
from limpid_convert.families.tame_head import Tokens
from limpid_convert.layers import Feature

#: torchvision's networks compute these in place: whoever kept their input finds the result in it.
_ACTIVATIONS = ("Relu", "Clip", "LeakyRelu", "Elu", "Selu", "HardSwish")


@dataclass(frozen=True)
class Outline:
    """A graph without weights. known: its values by name, in graph order."""

    graph: object
    known: dict

    @classmethod
    def of(cls, builder, height, width):
        """The outline of what `builder` holds, with pictures of this size where the model leaves it open."""
        model = builder.outline()
        fix_size(model, height, width)
        return cls(model.graph, values.infer(model))


def fix_size(model, height, width):
    """Images of this size where the model leaves it open; whether it did."""
    weights, was_open = {w.name for w in model.graph.initializer}, False
    for info in model.graph.input:
        shape = info.type.tensor_type.shape.dim
        if info.name not in weights and len(shape) == 4:
            for dimension, extent in zip(shape[2:], (height, width)):
                if not dimension.HasField("dim_value"):
                    dimension.dim_value, was_open = extent, True
    return was_open


def select(outline, names, in_place=True, aliases=()):
    """The features called `names`, in graph order whatever the order of the names, as the original has them.

    A name is a value's, a node's, or a module's, which stands for the last map that the module makes. aliases: pairs
    of a pattern of names that torchvision's feature extraction gives, and what `re.sub` makes the name here of it.
    """
    position = {name: index for index, name in enumerate(outline.known)}
    found = {}
    for name in names:
        value = _resolve(outline, named(outline, name, aliases))
        if in_place and (result := _activated(outline.graph, value)):
            say(f"note: {value} is only read by an activation, which the original computes in place; "
                f"tapping its result {result} (--no-in-place taps {value} itself)")
            value = result
        if value in found.values():
            raise ConversionError(f"{name!r} names the same value as another layer, {value}")
        found[name] = value
    return [_feature(outline, value) for value in sorted(found.values(), key=position.__getitem__)]


def named(outline, name, aliases):
    """The name here of a layer that torchvision calls `name`; names that exist here are taken as they are."""
    if any(n == name or n.startswith(name + ".") for n in outline.known):
        return name
    return next((re.sub(pattern, made, name) for pattern, made in aliases if re.fullmatch(pattern, name)), name)


def _resolve(outline, name):
    known = outline.known
    maps = [n for n, v in known.items() if v.operator and (len(v.dimensions) == 4 or _side(v.dimensions))]
    if name in maps:
        return name
    for node in outline.graph.node:
        if node.name == name and node.output[0] in maps:
            return node.output[0]
    inside = [n for n in maps if n.startswith((name + ".", name + "/")) or name in known[n].modules]
    if inside:
        return inside[-1]
    if name in known:
        raise ConversionError(f"the layer {name!r} is {values.written(known[name].dimensions)}, not a map [N, C, H, W], nor tokens "
                              "[N, 1 + side², C]")
    near = [n for n in maps if name.split(".")[-1] in n] or maps
    raise ConversionError(f"the network has no layer {name!r}; it has, for example, {', '.join(near[-8:])} "
                          "(`limpid-convert inspect MODEL.onnx` lists all)")


def _activated(graph, value):
    """The result of the activation that alone reads `value`, or None. SiLU is two nodes: Sigmoid and Mul."""
    readers = [node for node in graph.node if value in node.input]
    if any(value == output.name for output in graph.output):
        return None
    if len(readers) == 1 and readers[0].op_type in _ACTIVATIONS and readers[0].input[0] == value:
        return readers[0].output[0]
    kinds = {node.op_type: node for node in readers}
    if len(readers) == 2 and set(kinds) == {"Sigmoid", "Mul"}:
        if set(kinds["Mul"].input) == {value, kinds["Sigmoid"].output[0]}:
            return kinds["Mul"].output[0]
    return None


def _side(dimensions):
    """Of tokens [N, 1 + side², C], the class token first; else None."""
    if len(dimensions) != 3 or not all(isinstance(d, int) for d in dimensions[1:]) or dimensions[1] < 5:
        return None
    side = math.isqrt(dimensions[1] - 1)
    return side if side * side + 1 == dimensions[1] else None


def _feature(outline, value):
    dimensions = outline.known[value].dimensions
    if side := _side(dimensions):
        return Tokens(value, dimensions[2], side)
    if not all(isinstance(d, int) and d > 0 for d in dimensions[1:]):
        raise ConversionError(f"the layer {value!r} has the shape {values.written(dimensions)}; its channels, height "
                              "and width must be known (--input-size W H fixes the pictures' size)")
    return Feature(value, *dimensions[1:])
