"""What a model is loaded from."""

from __future__ import annotations

import mmap
from typing import Any, BinaryIO, Protocol, Union

from ._errors import InvalidType
from ._library import PathLike


class Serializable(Protocol):
    """What an `onnx.ModelProto` is."""

    def SerializeToString(self) -> bytes: ...


#: What a model is loaded from.
Source_ = Union[PathLike, bytes, bytearray, memoryview, mmap.mmap, BinaryIO, Serializable]


def contents(source: Any) -> bytes:
    """The bytes of a model that has no path."""
    if hasattr(source, "SerializeToString"):
        return bytes(source.SerializeToString())
    if hasattr(source, "read") and not isinstance(source, mmap.mmap):
        source = source.read()
    if isinstance(source, (bytes, bytearray, memoryview, mmap.mmap)):
        return bytes(source)
    raise InvalidType(
        f"{type(source).__name__} is no model; give a path, the bytes of an ONNX file, an open file (\"rb\"), or an "
        "onnx.ModelProto")
