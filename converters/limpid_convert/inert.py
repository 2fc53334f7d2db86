"""What a checkpoint may contain besides plain values: tensors, torch and NumPy types, a run's arguments.

`lookup` is the whole allow-list. Each entry makes data that is described, not run; anything else is refused by name.
"""

from __future__ import annotations

import math

import numpy as np

from limpid_convert.errors import ConversionError
from limpid_convert.unpickle import Constructor, Inert, plain_key

_LARGEST_RANK = 16


class ElementType:
    """An element type under torch's name. `stored` is NumPy's type of the same bytes."""

    def __init__(self, name, stored):
        self.name, self.stored = name, np.dtype(stored)

    def __repr__(self):
        return self.name


_TYPES = {
    "Float": ElementType("float32", "<f4"),
    "Double": ElementType("float64", "<f8"),
    "Half": ElementType("float16", "<f2"),
    "BFloat16": ElementType("bfloat16", "<u2"),
    "Long": ElementType("int64", "<i8"),
    "Int": ElementType("int32", "<i4"),
    "Short": ElementType("int16", "<i2"),
    "Char": ElementType("int8", "i1"),
    "Byte": ElementType("uint8", "u1"),
    "Bool": ElementType("bool", "u1"),
}


class Storage:
    """`count` elements in the file; `read()` gives their bytes. The container checks that they are all there."""

    def __init__(self, key, element_type, count, read):
        self.key, self.element_type, self.count, self._read = key, element_type, count, read

    def array(self):
        """The elements as a flat NumPy array in little-endian order; bfloat16 widened to float32."""
        flat = np.frombuffer(self._read(self), dtype=self.element_type.stored, count=self.count)
        if self.element_type.name == "bfloat16":
            return (flat.astype(np.uint32) << 16).view(np.float32)
        return flat.astype(bool) if self.element_type.name == "bool" else flat


class StoredTensor:
    """A view of a storage. Nothing is read before `numpy()`."""

    def __init__(self, storage, offset, shape, strides):
        numbers = [offset, *shape, *strides]
        if any(type(n) is not int or n < 0 for n in numbers) or len(shape) != len(strides):
            raise ConversionError("the checkpoint has a tensor with a malformed shape")
        if len(shape) > _LARGEST_RANK:
            raise ConversionError(f"the checkpoint has a tensor with {len(shape)} axes")
        count = math.prod(shape)
        last = offset + sum((d - 1) * s for d, s in zip(shape, strides)) if count else 0
        if count > storage.count or (count and last >= storage.count):
            raise ConversionError(
                f"the checkpoint has a tensor of shape {list(shape)} in a storage of only {storage.count} elements"
            )
        self.storage, self.offset, self.shape, self.strides = storage, offset, tuple(shape), tuple(strides)

    @property
    def element_type(self):
        return self.storage.element_type.name

    def numpy(self):
        """The elements, contiguous, in the stored type (bfloat16 as float32)."""
        flat = self.storage.array()[self.offset :]
        strides = [s * flat.itemsize for s in self.strides]
        if math.prod(self.shape) == 0:
            return np.zeros(self.shape, flat.dtype)
        return np.array(np.lib.stride_tricks.as_strided(flat, self.shape, strides, writeable=False), order="C")


class Namespace(Inert):
    """`argparse.Namespace` as data: `values` by name."""

    __slots__ = ("values",)

    def __init__(self):
        self.values = {}

    def set_state(self, state):
        if type(state) is not dict or any(type(k) is not str for k in state):
            raise ConversionError("the checkpoint's arguments (argparse.Namespace) are malformed")
        self.values = state


class _NumpyType(Inert):
    """`numpy.dtype` of a plain number, under construction: byte order comes as state."""

    __slots__ = ("dtype",)

    def __init__(self, code):
        if type(code) is not str or code[:1] not in "fiub" or not code[1:] in ("1", "2", "4", "8"):
            raise ConversionError("the checkpoint has a NumPy value that is no plain number")
        self.dtype = np.dtype(code)

    def set_state(self, state):
        if type(state) is tuple and len(state) > 1 and state[1] == ">":
            self.dtype = self.dtype.newbyteorder(">")


class StoredArray(Inert):
    """A NumPy array as data; `numpy()` gives it."""

    __slots__ = ("shape", "_dtype", "_data")

    def __init__(self):
        self.shape, self._dtype, self._data = (0,), np.dtype("f4"), b""

    def set_state(self, state):
        if type(state) is not tuple or len(state) != 5 or not isinstance(state[2], _NumpyType) or state[3]:
            raise ConversionError("the checkpoint has a NumPy array of a form that limpid-convert does not read")
        _, shape, kind, _, data = state
        if type(shape) is not tuple or any(type(d) is not int or d < 0 for d in shape) or len(shape) > _LARGEST_RANK:
            raise ConversionError("the checkpoint has a NumPy array with a malformed shape")
        if not isinstance(data, (bytes, _Encoded)) or math.prod(shape) * kind.dtype.itemsize != len(data):
            raise ConversionError("the checkpoint has a NumPy array whose data do not fill its shape")
        self.shape, self._dtype, self._data = shape, kind.dtype, data

    def numpy(self):
        return np.frombuffer(_raw(self._data), self._dtype).reshape(self.shape)


class _Encoded:
    """Bytes that Python 3 wrote as text (`_codecs.encode(text, "latin1")`), converted when needed, not before."""

    def __init__(self, text):
        self.text = text

    def __len__(self):
        return len(self.text)


def _raw(data):
    """The bytes of `bytes` or _Encoded."""
    try:
        return data.text.encode("latin-1") if isinstance(data, _Encoded) else data
    except UnicodeEncodeError:
        raise ConversionError("the checkpoint has a NumPy value whose data are not bytes") from None


def _arguments(name, args, *kinds):
    """The first arguments of a call, checked against their types; further ones have no meaning for a reader."""
    if len(args) < len(kinds) or any(not isinstance(a, k) for a, k in zip(args, kinds)):
        raise ConversionError(f"the checkpoint calls {name} with arguments of the wrong kind")
    return args[: len(kinds)]


def _ordered_dict(args, spend):
    if not args:
        return {}
    (pairs,) = _arguments("collections.OrderedDict", args, (list, tuple))
    spend(len(pairs))
    if any(type(p) not in (list, tuple) or len(p) != 2 for p in pairs):
        raise ConversionError("the checkpoint has a malformed dictionary")
    return {plain_key(k): v for k, v in pairs}


def _counter(args, spend):
    (counts,) = _arguments("collections.Counter", args, dict)
    spend(len(counts))
    return dict(counts)


def _tensor(args, spend):
    storage, offset, shape, strides = _arguments("torch._utils._rebuild_tensor_v2", args, Storage, int, tuple, tuple)
    spend(len(shape) + len(strides))
    return StoredTensor(storage, offset, shape, strides)


def _parameter(args, spend):
    return _arguments("torch._utils._rebuild_parameter", args, StoredTensor)[0]


def _size(args, spend):
    return _arguments("torch.Size", args, (tuple, list))[0]


def _device(args, spend):
    return _arguments("torch.device", args, str)[0]


def _encode(args, spend):
    text, codec = _arguments("_codecs.encode", args, str, str)
    if codec not in ("latin1", "latin-1"):
        raise ConversionError("the checkpoint encodes text in a way that NumPy does not")
    return _Encoded(text)


def _numpy_type(args, spend):
    return _NumpyType(args[0] if args else None)


def _numpy_scalar(args, spend):
    kind, data = _arguments("numpy scalar", args, _NumpyType, (bytes, _Encoded))
    if len(data) != kind.dtype.itemsize:
        raise ConversionError("the checkpoint has a NumPy number of the wrong size")
    return np.frombuffer(_raw(data), kind.dtype)[0].item()


def _numpy_array(args, spend):
    return StoredArray()


def _allowed():
    calls = {
        "collections.OrderedDict": _ordered_dict,
        "collections.Counter": _counter,
        "torch._utils._rebuild_tensor_v2": _tensor,
        "torch._utils._rebuild_parameter": _parameter,
        "torch.Size": _size,
        "torch.device": _device,
        "_codecs.encode": _encode,
        "numpy.dtype": _numpy_type,
    }
    for module in ("numpy.core.multiarray", "numpy._core.multiarray"):
        calls[module + ".scalar"] = _numpy_scalar
        calls[module + "._reconstruct"] = _numpy_array
    table = {name: Constructor(name, build) for name, build in calls.items()}
    table["argparse.Namespace"] = Constructor("argparse.Namespace", lambda args, spend: Namespace(), Namespace)
    table["numpy.ndarray"] = "numpy.ndarray"  # only ever the argument of _reconstruct
    for prefix, kind in _TYPES.items():
        table[f"torch.{prefix}Storage"] = kind
        table[f"torch.{kind.name}"] = kind
    return table


_ALLOWED = _allowed()


def lookup(module, name):
    """What stands for the global `module.name` of a pickle."""
    try:
        return _ALLOWED[f"{module}.{name}"]
    except KeyError:
        asked = f"{module}.{name}"[:100]
        raise ConversionError(
            f"the checkpoint asks for `{asked}`; limpid-convert reads tensors and plain values only and runs nothing. "
            "Save it again with only its state dict in it, if you trust where it comes from"
        ) from None
