"""NumPy's numbers and arrays in a pickle, as data."""

from __future__ import annotations

import math
import re

import numpy as np

from limpid_convert.errors import ConversionError
from limpid_convert.stored import LARGEST_RANK
from limpid_convert.unpickle import Inert

_NUMBERS = re.compile(r"[fiubc](1|2|4|8|16)")
_OTHERS = re.compile(r"[USVaOMm]\d{0,9}")


class NumpyType(Inert):
    """`numpy.dtype` under construction: byte order and size come as state. number: None for text, objects, times."""

    __slots__ = ("code", "number", "size")

    def __init__(self, code):
        if type(code) is not str or not (_NUMBERS.fullmatch(code) or _OTHERS.fullmatch(code)):
            raise ConversionError("the checkpoint has a NumPy value of an unknown type")
        self.code, self.number, self.size = code, None, 0
        if _NUMBERS.fullmatch(code):
            try:
                self.number = np.dtype(code)
            except TypeError:
                raise ConversionError("the checkpoint has a NumPy value of an unknown type") from None
            self.size = self.number.itemsize
        elif code[0] in "Mm":
            self.size = 8

    def set_state(self, state):
        if type(state) is not tuple:
            raise ConversionError("the checkpoint has a malformed NumPy type")
        if self.number is not None and len(state) > 1 and state[1] == ">":
            self.number = self.number.newbyteorder(">")
        if self.code[0] in "USVa" and len(state) > 5 and type(state[5]) is int and 0 <= state[5] < 1 << 31:
            self.size = state[5]


class StoredArray(Inert):
    """A NumPy array as data; `numpy()` gives it if it is of numbers."""

    __slots__ = ("shape", "_kind", "_order", "_data")

    def __init__(self):
        self.shape, self._kind, self._order, self._data = (0,), NumpyType("f4"), "C", b""

    def set_state(self, state):
        if type(state) is not tuple or len(state) != 5 or not isinstance(state[2], NumpyType):
            raise ConversionError("the checkpoint has a NumPy array of a form that limpid-convert does not read")
        _, shape, kind, fortran, data = state
        self.fill(shape, kind, "F" if fortran is True else "C", data)

    def fill(self, shape, kind, order, data):
        """Checks that the data are as many as shape and type need."""
        if type(shape) is not tuple or any(type(d) is not int or d < 0 for d in shape) or len(shape) > LARGEST_RANK:
            raise ConversionError("the checkpoint has a NumPy array with a malformed shape")
        size = 1 if kind.code[0] == "O" else kind.size
        if not isinstance(data,
            list if kind.code[0] == "O" else (bytes, Encoded)) or math.prod(shape) * size != len(data):
            raise ConversionError("the checkpoint has a NumPy array whose data do not fill its shape")
        self.shape, self._kind, self._order, self._data = shape, kind, order, data

    @property
    def is_numeric(self):
        return self._kind.number is not None

    def numpy(self):
        if not self.is_numeric:
            raise ConversionError(f"the checkpoint has a NumPy array of type {self._kind.code!r} where numbers are "
                                  "needed")
        return np.frombuffer(raw(self._data), self._kind.number).reshape(self.shape, order=self._order)


class Encoded:
    """Bytes that Python 3 wrote as text (`_codecs.encode(text, "latin1")`), converted when needed, not before."""

    def __init__(self, text):
        self.text = text

    def __len__(self):
        return len(self.text)


def raw(data):
    """The bytes of `bytes` or Encoded."""
    try:
        return data.text.encode("latin-1") if isinstance(data, Encoded) else data
    except UnicodeEncodeError:
        raise ConversionError("the checkpoint has a NumPy value whose data are not bytes") from None


def scalar(kind, data):
    """A number as Python's, text as text; times as their bytes."""
    if kind.code[0] == "O" or kind.size != len(data):
        raise ConversionError("the checkpoint has a NumPy number of the wrong size")
    content = raw(data)
    if kind.number is not None:
        return np.frombuffer(content, kind.number)[0].item()
    return content.decode("utf-32-le", "replace").rstrip("\0") if kind.code[0] == "U" else content
