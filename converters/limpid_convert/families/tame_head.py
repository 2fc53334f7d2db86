"""TAME's attention mechanism as ONNX nodes (paper, section 3.2, and the ablations of section 4.4)."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from limpid_convert.errors import ConversionError
from limpid_convert.layers import Feature

LARGEST_SIDE = 56


@dataclass(frozen=True)
class Tokens:
    """A value [N, 1 + side · side, channels] of a transformer, the class token first."""

    name: str
    channels: int
    side: int


@dataclass(frozen=True)
class Version:
    """What is done to a feature map before fusion: 1x1 convolution, then these. widens: to one channel per class.
    weighs: tokens by their class token, channel by channel."""

    normalises: bool = True
    skips: bool = True
    activation: str = "Relu"
    widens: bool = False
    weighs: bool = False


#: By the names that the original's command line has.
VERSIONS = {
    "TAME": Version(),
    "Noskipconnection": Version(skips=False, widens=True),
    "NoskipNobatchnorm": Version(normalises=False, skips=False),
    "Sigmoidinfeaturebranch": Version(activation="Sigmoid"),
    # T-TAME's: the same on maps; tokens of a transformer are multiplied with the class token before.
    "TTAME": Version(weighs=True),
}

#: `Noskipconnection` makes this many normalisations, whatever the number of branches.
_NORMALISATIONS = 3


def versions_of(state):
    """The versions that have tensors like these: all but TAME and Sigmoidinfeaturebranch differ in them."""
    if not any(name.startswith("bns.") for name in state.names()):
        return ["NoskipNobatchnorm"]
    shapes = [state.shape(f"convs.{i}.weight", 4) for i in range(branches(state))]
    if any(shape and shape[0] != shape[1] for shape in shapes):
        return ["Noskipconnection"]
    return ["TAME", "Sigmoidinfeaturebranch", "TTAME"]


def branches(state):
    """How many feature maps the attention reads."""
    return len({n for n in state.names() if re.fullmatch(r"convs\.\d{1,4}\.weight", n)})


def planes(head, x, name):
    """A Feature as it is; Tokens [N, 1 + side², C] as maps [N, C, side, side], without the class token."""
    if isinstance(x, Feature):
        return x
    ends = [head.constant(f"{x.name}.tokens.{end}", _ints(i)) for end, i in (("first", 1), ("last", 2**62), ("axis", 1))]
    value = head.node("Slice", f"{x.name}.tokens", [x.name, *ends])
    value = head.node("Transpose", f"{x.name}.channels", [value], perm=[0, 2, 1])
    if VERSIONS[name].weighs:
        token = head.node("Slice", f"{x.name}.class", [
            x.name, *(head.constant(f"{x.name}.class.{end}", _ints(i)) for end, i in (("first", 0), ("last", 1), ("axis", 1)))])
        token = head.node("Transpose", f"{x.name}.class.channels", [token], perm=[0, 2, 1])
        value = head.node("Mul", f"{x.name}.weighed", [value, token])
    shape = head.constant(f"{x.name}.planes.shape", _ints(0, x.channels, x.side, x.side))
    return Feature(head.node("Reshape", f"{x.name}.planes", [value, shape]), x.channels, x.side, x.side)


def check(state, features, name):
    """Raises where the attention was made for other features. State.finish would too, less clearly."""
    count = branches(state)
    widths = [state.size(f"convs.{i}.weight", 1, 4) for i in range(count)]
    if None not in widths and widths != [f.channels for f in features]:
        raise ConversionError(
            f"the attention reads {count} feature maps of {', '.join(map(str, widths))} channels, in graph order; the "
            f"layers are {len(features)}: {', '.join(f'{f.name} with {f.channels}' for f in features)}")
    if VERSIONS[name].widens and count > _NORMALISATIONS:
        raise ConversionError(f"{name} has {_NORMALISATIONS} normalisations; with {count} feature maps, as here, "
                              "the original does not run")


def unused(name, count):
    """Patterns of tensors that the original saves and does not use."""
    return [f"attn.bns.{i}.*" for i in range(count, _NORMALISATIONS)] if VERSIONS[name].widens else []


def build(head, features, name, output, classes):
    """Adds attention [N, maps, h, w], before its sigmoid, as the value `output`; returns its Feature and the weights
    that have a row for each map, by name.

    The original enlarges and joins the branches and then applies the 1x1 convolution `fuser`. The convolution comes
    first here, which is the same (interpolation keeps sums) at a fraction of the cost. classes: maps beyond are left
    out, for the original always trains 1000; None keeps all.
    """
    version = VERSIONS[name]
    side = min(features[0].height, LARGEST_SIDE)
    made = [_branch(head, x, i, version) for i, x in enumerate(features)]
    widths = [x.channels for x in made]
    matrix = head.state.take("fuser.weight", None, None if None in widths else sum(widths), 1, 1)
    bias = head.state.take("fuser.bias", matrix.shape[0])
    if matrix.ndim != 4 or None in widths:
        return Feature(output, None, side, side), []  # State.finish will say why
    maps = min(matrix.shape[0], classes or matrix.shape[0])
    weights = [head.constant("fuser.bias", bias[:maps])]
    total, end = None, matrix.shape[1]
    for i in reversed(range(len(made))):  # the largest map last: the runtime adds the others inside its convolution
        part = head.constant(f"fuser.weight.{i}", matrix[:maps, end - widths[i] : end])
        end -= widths[i]
        weights.insert(0, part)
        x = head.node("Conv", f"fuser.{i}", [made[i].name, part] + ([weights[-1]] if i == 0 else []))
        x = _resized(head, Feature(x, maps, made[i].height, made[i].width), f"fuser.{i}.resized", side)
        total = x if total is None else head.node("Add", f"fuser.{i}.sum", [x, total])
    head.builder.node("Identity", output, [total])
    return Feature(output, maps, side, side), weights


def _branch(head, x, i, version):
    width = head.state.size("convs.0.weight", 0, 4) if version.widens else x.channels
    y = head.conv(x, f"convs.{i}", kernel=1, bias=True, out=width)
    if version.normalises:
        y = head.batch_norm(y, f"bns.{i}")
    if version.skips:
        y = head.add(y, x, f"skips.{i}")
    return head.same(y, head.node(version.activation, f"branches.{i}", [y.name]))


def _resized(head, x, name, side):
    """Bilinear with half-pixel centres, also where it shrinks (no antialiasing); any number of pictures and maps."""
    if (x.height, x.width) == (side, side):
        return x.name
    bounds = [head.constant(f"{name}.{end}", _ints(value)) for end, value in (("begin", 0), ("end", 2))]
    count = head.node("Slice", name + ".count", [head.node("Shape", name + ".shape", [x.name]), *bounds])
    sizes = head.node("Concat", name + ".sizes", [count, head.constant(name + ".side", _ints(side, side))], axis=0)
    return head.node("Resize", name, [x.name, "", "", sizes], mode="linear",
                     coordinate_transformation_mode="half_pixel")


def _ints(*values):
    return np.array(values, np.int64)
