"""The safetensors container: the length of a header, the header in JSON, the tensors."""

from __future__ import annotations

import json
import math
import mmap

from limpid_convert.element_types import BY_NAME
from limpid_convert.errors import ConversionError
from limpid_convert.stored import Storage, StoredTensor

_LARGEST_HEADER = 100_000_000
_LENGTH = 8
_TYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "F8_E4M3": "float8_e4m3fn",
          "F8_E5M2": "float8_e5m2", "F8_E4M3FNUZ": "float8_e4m3fnuz", "F8_E5M2FNUZ": "float8_e5m2fnuz",
          "F8_E8M0": "float8_e8m0fnu", "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8", "U64": "uint64",
          "U32": "uint32", "U16": "uint16", "U8": "uint8", "BOOL": "bool", "C64": "complex64"}


def begins(head):
    """Whether a file that begins like this can be one: the header's length, then a brace."""
    return head[_LENGTH : _LENGTH + 1] == b"{" and int.from_bytes(head[:_LENGTH], "little") <= _LARGEST_HEADER


def read(file):
    """{name: StoredTensor} in stored order; the metadata, which are text, under their own name."""
    data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    start = _LENGTH + int.from_bytes(data[:_LENGTH], "little")
    if start > len(data):
        raise ConversionError("a safetensors file that ends in the middle of its header; it is cut short")
    try:
        header = json.loads(data[_LENGTH:start].decode("utf-8"))
    except (ValueError, RecursionError):
        raise ConversionError("a safetensors file whose header is damaged") from None
    if not isinstance(header, dict):
        raise ConversionError("a safetensors file whose header is damaged")
    return {name: _tensor(name, entry, data, start) if name != "__metadata__" else entry
            for name, entry in header.items()}


def _tensor(name, entry, data, start):
    stored = entry.get("dtype") if isinstance(entry, dict) else None
    if isinstance(stored, str) and stored not in _TYPES:
        raise ConversionError(f"the tensor {name[:80]!r} is of the type {stored[:20]!r}, which limpid-convert does not read")
    try:
        kind, shape, (begin, end) = BY_NAME[_TYPES[entry["dtype"]]], entry["shape"], entry["data_offsets"]
        numbers = [begin, end, *shape]
    except (KeyError, TypeError, ValueError):
        raise ConversionError(f"the safetensors header describes {name[:80]!r} in a way that limpid-convert does not "
                              "read") from None
    if any(type(n) is not int or n < 0 for n in numbers):
        raise ConversionError(f"the safetensors header has a malformed shape or place for {name[:80]!r}")
    if end > len(data) - start:
        raise ConversionError(f"the file ends before the tensor {name[:80]!r} does; it is cut short")
    count = math.prod(shape)
    if end - begin != count * kind.stored.itemsize:
        raise ConversionError(f"the safetensors header gives {name[:80]!r} {end - begin} bytes for {count} numbers")
    strides = [math.prod(shape[i + 1 :]) for i in range(len(shape))]
    storage = Storage(name, kind, count, lambda _: data[start + begin : start + end])
    return StoredTensor(storage, 0, shape, strides, spend=lambda n: None)
