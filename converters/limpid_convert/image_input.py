"""The input of a finished ONNX graph that an image goes to, and what it wants of the image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from onnx import TensorProto

from limpid_convert import values
from limpid_convert.errors import ConversionError, printable

_TYPES = {TensorProto.FLOAT: "float32", TensorProto.FLOAT16: "float16", TensorProto.DOUBLE: "float64",
          TensorProto.UINT8: "uint8"}


@dataclass(frozen=True)
class ImageInput:
    """Extents are None where the file leaves them open. layout: `nchw`, `nhwc`, or without batch axis `chw`, `hwc`."""

    name: str
    element_type: str
    layout: str
    channels: Optional[int]
    height: Optional[int]
    width: Optional[int]


def inputs_of(model):
    """The inputs that a caller must feed: the weights of old files are inputs too, and some exporters leave inputs behind
    that nothing reads."""
    weights = {w.name for w in model.graph.initializer}
    read = {o.name for o in model.graph.output} | set(_read_by(model.graph))
    return [i for i in model.graph.input if i.name in read and i.name not in weights]


def _read_by(graph):
    """The names of what nodes read, those of inner graphs too."""
    for node in graph.node:
        yield from node.input
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from (o.name for o in inner.output)
                yield from _read_by(inner)


def find(model, known, channels, name=None):
    """The ImageInput: the named input, or the only one that an image of so many channels can be fed to."""
    inputs = inputs_of(model)
    if name is not None:
        info = next((i for i in inputs if i.name == name), None)
        if info is None:
            raise ConversionError(f"the model has no input {name!r}; it has {_listed(inputs, known)}")
        return _read(info, known, channels)
    images = [i for i in inputs if _may_be(i, known)]
    if len(inputs) == 1 and not images:
        return _read(inputs[0], known, channels)
    if len(images) != 1:
        raise ConversionError("the model must have one input for an image, [N, C, H, W] or [N, H, W, C] of float32, "
                              f"float16 or uint8; it has {_listed(inputs, known) or 'none'}"
                              + ("; name it with --input" if images else ""))
    return _read(images[0], known, channels)


def _may_be(info, known):
    rank = len(known[info.name].dimensions) if info.name in known else 0
    return info.type.tensor_type.elem_type in _TYPES and rank in (3, 4)


def _listed(inputs, known):
    def described(info):
        kind = info.type.tensor_type.elem_type
        shape = known[info.name].dimensions if info.name in known else None
        sizes = values.written(shape) if shape is not None else "of unknown shape"
        return printable(f"{info.name} {TensorProto.DataType.Name(kind).lower()} {sizes}")

    return ", ".join(map(described, inputs))


def _read(info, known, channels):
    if not _may_be(info, known):
        raise ConversionError(f"an image goes to an input [N, C, H, W] or [N, H, W, C] of float32, float16 or uint8; "
                              f"the model has {_listed([info], known)}")
    shape = known[info.name].dimensions
    batch, sizes = ("n", shape[1:]) if len(shape) == 4 else ("", shape)
    first, last = (s if isinstance(s, int) else None for s in (sizes[0], sizes[2]))
    layout = "hwc" if last == channels and first != channels else "chw"
    if first not in (None, channels) and last not in (None,
        channels):  # fits neither; the likelier one, for the message
        layout = "hwc" if last in (1, 2, 3, 4) and first not in (1, 2, 3, 4) else "chw"
    extents = [s if isinstance(s, int) else None for s in sizes]
    height, width = extents[:2] if layout == "hwc" else extents[1:]
    found = extents[2] if layout == "hwc" else extents[0]
    return ImageInput(info.name, _TYPES[info.type.tensor_type.elem_type], batch + layout, found, height, width)


def check(image, steps):
    """Raises where preprocessing makes something else than the input takes."""
    for what in ("channels", "height", "width"):
        wanted, made = getattr(image, what), getattr(steps, what)
        if wanted is not None and made is not None and wanted != made:
            raise ConversionError(f"the preprocessing makes images of {what} {made}; the model reads {wanted}")
    if image.element_type == "uint8" and not steps.makes_bytes:
        raise ConversionError(f"the input {image.name!r} takes bytes (uint8), so the model scales them itself; leave "
                              "out scale and normalize")
