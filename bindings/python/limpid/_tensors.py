"""NumPy arrays to named tensors of the library, and back."""

from __future__ import annotations

import ctypes
import math
from typing import TYPE_CHECKING, Any, Dict, Mapping, Optional

import numpy as np

from . import _abi
from ._errors import InvalidArgument, InvalidType, Unsupported
from ._library import encoded, library, text

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
_BFLOAT16, _UINT16 = _NUMBERS["bfloat16"], np.dtype(np.uint16)
_NAMES = {number: name for name, number in _NUMBERS.items()}
_numbers: Dict[np.dtype[Any], Optional[int]] = {}
_dtypes: Dict[int, np.dtype[Any]] = {}


def _number(dtype: np.dtype[Any]) -> Optional[int]:
    """The element type of arrays of this type; None for what no tensor holds. Asking NumPy for names takes its time."""
    try:
        return _numbers[dtype]
    except KeyError:
        return _numbers.setdefault(dtype, _NUMBERS.get(dtype.name))


def dtype_of(number: int) -> np.dtype[Any]:
    """The type of arrays that are given of this element type. NumPy has none of bfloat16, of which float32 holds every
    value; it has types of fewer bits by the package ml_dtypes only."""
    try:
        return _dtypes[number]
    except KeyError:
        return _dtypes.setdefault(number, _named(number))


def _named(number: int) -> np.dtype[Any]:
    name = _NAMES[number]
    if name == "bfloat16":
        return np.dtype(np.float32)
    if number < _BFLOAT16:
        return np.dtype(name)
    try:
        import ml_dtypes  # type: ignore[import-untyped,import-not-found,unused-ignore]

        found: np.dtype[Any] = np.dtype(getattr(ml_dtypes, name))
        return found
    except (ImportError, AttributeError):
        raise Unsupported(f"arrays of {name} need the package ml_dtypes (pip install -U ml_dtypes)") from None


def address(array: NDArray[Any]) -> int:
    """Of the elements of a dense array."""
    try:
        return ctypes.addressof(ctypes.c_char.from_buffer(array.data))  # a third of the time of array.ctypes.data
    except (TypeError, ValueError, BufferError):  # not to be written, without elements, or of a type without a buffer
        return array.ctypes.data


class Feeds:
    """Views of the arrays in a dict, which live as long as this object; `kind` is how messages call one."""

    def __init__(self, arrays: Arrays, kind: str = "feed") -> None:
        if not isinstance(arrays, Mapping):
            raise InvalidType(f"{kind.rstrip('s')}s are given as {{name: array}}; not as {arrays!r}")
        self._arrays = {name: _dense(kind, name, array) for name, array in arrays.items()}
        self.views = (_abi.TensorView * len(arrays))()
        # Field by field: constructors of structs take twice the time.
        for view, (name, array) in zip(self.views, self._arrays.items()):
            view.name = encoded(name)
            view.data = address(array)
            view.shape = (ctypes.c_int64 * array.ndim)(*array.shape)
            view.rank = array.ndim
            view.type = _number(array.dtype)

    def __len__(self) -> int:
        return len(self.views)


def arrays_of(tensors: Any) -> Dict[str, NDArray[Any]]:
    """{name: a copy} of what limpid_run and limpid_fetch give, in the order that was asked for."""
    views = (library.limpid_tensors_get(tensors, i) for i in range(library.limpid_tensors_count(tensors)))
    return {text(view.name): view_array(view) for view in views}


def taken_arrays(tensors: Any) -> Dict[str, NDArray[Any]]:
    """The same; the tensors are given back."""
    try:
        return arrays_of(tensors)
    finally:
        library.limpid_tensors_free(tensors)


def refuse_mask(value: object, what: str) -> None:
    """Raises InvalidArgument for an array, or arrays in a list, some of whose elements are masked: NumPy would give what lies
    under the mask."""
    if type(value) is np.ndarray:
        return
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):  # type: ignore[no-untyped-call,unused-ignore]
        raise InvalidArgument(f"{what} is a masked array, and masks are not read; give array.filled(value), or array.data")
    if isinstance(value, (list, tuple)):
        for item in value:
            refuse_mask(item, what)


def _dense(kind: str, name: str, value: ArrayLike) -> NDArray[Any]:
    refuse_mask(value, f"{kind} {name!r}")
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
    shape = view.shape[:view.rank]
    is_bfloat16 = view.type == _BFLOAT16
    dtype = _UINT16 if is_bfloat16 else dtype_of(view.type)
    size = math.prod(shape) * dtype.itemsize
    if size == 0:
        return np.empty(shape, np.float32 if is_bfloat16 else dtype)
    array: NDArray[Any] = np.ndarray(shape, dtype, memoryview((ctypes.c_char * size).from_address(view.data)))
    return (array.astype(np.uint32) << 16).view(np.float32) if is_bfloat16 else array.copy()
