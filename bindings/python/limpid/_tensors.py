"""NumPy arrays to named tensors of the library, and back."""

from __future__ import annotations

import ctypes
import functools
import math
from typing import TYPE_CHECKING, Any, Dict, Mapping, Optional

import numpy as np

from . import _abi
from ._errors import InvalidArgument, InvalidType, Unsupported
from ._library import Handle, encoded, library, text

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    #: Arrays by name: what inputs are fed, or a method's draws.
    Arrays = Mapping[str, ArrayLike]

_NUMBERS = {
    "float32": 1, "uint8": 2, "int8": 3, "uint16": 4, "int16": 5, "int32": 6, "int64": 7, "bool": 9,
    "float16": 10, "float64": 11, "uint32": 12, "uint64": 13, "bfloat16": 16, "float8_e4m3fn": 17,
    "float8_e4m3fnuz": 18, "float8_e5m2": 19, "float8_e5m2fnuz": 20, "uint4": 21, "int4": 22, "float4_e2m1fn": 23,
    "float8_e8m0fnu": 24, "uint2": 25, "int2": 26,
}
_NAMES = {number: name for name, number in _NUMBERS.items()}


@functools.lru_cache(maxsize=None)
def _number(dtype: np.dtype[Any]) -> Optional[int]:
    """The element type of arrays of this type; None for what no tensor holds. Asking NumPy for names takes its time."""
    return _NUMBERS.get(dtype.name)


def dtype_of(number: int) -> np.dtype[Any]:
    """The type of arrays that are given of this element type. NumPy has none of bfloat16, of which float32 holds every
    value; it has types of fewer bits by the package ml_dtypes only."""
    name = _NAMES[number]
    if name == "bfloat16":
        return np.dtype(np.float32)
    if number < _NUMBERS["bfloat16"]:
        return np.dtype(name)
    try:
        import ml_dtypes  # type: ignore[import-untyped,import-not-found,unused-ignore]

        found: np.dtype[Any] = np.dtype(getattr(ml_dtypes, name))
        return found
    except (ImportError, AttributeError):
        raise Unsupported(f"arrays of {name} need the package ml_dtypes (pip install -U ml_dtypes)") from None


class Feeds:
    """Views of the arrays in a dict, which live as long as this object; `kind` is how messages call one."""

    def __init__(self, arrays: Arrays, kind: str = "feed") -> None:
        if not isinstance(arrays, Mapping):
            raise InvalidType(f"{kind.rstrip('s')}s are given as {{name: array}}; not as {arrays!r}")
        self._arrays = {name: _dense(kind, name, array) for name, array in arrays.items()}
        self._shapes = [(ctypes.c_int64 * a.ndim)(*a.shape) for a in self._arrays.values()]
        self.views = (_abi.TensorView * len(arrays))(*(
            _abi.TensorView(
                name=encoded(name), data=array.ctypes.data, shape=shape, rank=array.ndim,
                type=_number(array.dtype))
            for (name, array), shape in zip(self._arrays.items(), self._shapes)
        ))

    def __len__(self) -> int:
        return len(self.views)


class NativeTensors:
    """What limpid_run and limpid_fetch give, freed with this object."""

    def __init__(self, handle: Any) -> None:
        self._handle = Handle(handle, library.limpid_tensors_free)

    def arrays(self) -> Dict[str, NDArray[Any]]:
        """{name: a copy}, in the order that was asked for."""
        views = (library.limpid_tensors_get(self._handle, i)
                 for i in range(library.limpid_tensors_count(self._handle)))
        return {text(view.name): view_array(view) for view in views}


def _dense(kind: str, name: str, value: ArrayLike) -> NDArray[Any]:
    try:
        array = np.asarray(value)
    except (TypeError, ValueError) as error:  # rows of different lengths
        raise InvalidArgument(f"{kind} {name!r} is no array: {error}") from None
    if _number(array.dtype) is None:
        raise InvalidArgument(f"{kind} {name!r} is of {array.dtype}, which no ONNX tensor holds; use .astype")
    # ascontiguousarray would give a scalar an axis; bfloat16 comes from the package ml_dtypes
    if array.flags.c_contiguous and array.dtype.isnative:
        return array
    return np.asarray(array, dtype=array.dtype.newbyteorder("="), order="C")


def view_array(view: _abi.TensorView) -> NDArray[Any]:
    """A copy of a tensor of the library."""
    shape = tuple(view.shape[i] for i in range(view.rank))
    is_bfloat16 = view.type == _NUMBERS["bfloat16"]
    dtype = np.dtype(np.uint16) if is_bfloat16 else dtype_of(view.type)
    count = math.prod(shape)
    data = ctypes.string_at(view.data, count * dtype.itemsize) if count else b""
    array: NDArray[Any] = np.frombuffer(data, dtype).reshape(shape)
    return (array.astype(np.uint32) << 16).view(np.float32) if is_bfloat16 else array.copy()
