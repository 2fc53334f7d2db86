"""Element types of tensors, under torch's names, and their values as NumPy knows them."""

from __future__ import annotations

import math

import numpy as np


class ElementType:
    """An element type. `stored` is NumPy's type of the same bytes; `values(array of it)` are the numbers."""

    def __init__(self, name, stored, values=None):
        self.name, self.stored, self._values = name, np.dtype(stored), values

    def __repr__(self):
        return self.name

    def values(self, stored):
        """float32 for types that NumPy does not have."""
        return self._values(stored) if self._values else stored


def _from_bfloat16(stored):
    return (stored.astype(np.uint32) << 16).view(np.float32)


def _from_float8(exponent_bits, bias, infinities=False, negative_zero_is_nan=False):
    """values() of an 8-bit float: sign, exponent, mantissa. Without infinities only the largest pattern is no number;
    in the `fnuz` types it is the pattern of negative zero instead."""
    mantissa_bits = 7 - exponent_bits
    table = np.zeros(256, np.float32)
    for code in range(128):
        exponent, mantissa = code >> mantissa_bits, code & ((1 << mantissa_bits) - 1)
        part = mantissa / (1 << mantissa_bits)
        value = math.ldexp(1 + part, exponent - bias) if exponent else math.ldexp(part, 1 - bias)
        if infinities and exponent == (1 << exponent_bits) - 1:
            value = math.nan if mantissa else math.inf
        if not infinities and not negative_zero_is_nan and code == 127:
            value = math.nan
        table[code], table[code + 128] = value, -value
    if negative_zero_is_nan:
        table[128] = math.nan
    return lambda stored: table[stored]


def _from_scale(stored):
    """float8_e8m0fnu: an exponent alone."""
    table = np.array([math.ldexp(1, code - 127) for code in range(255)] + [math.nan], np.float32)
    return table[stored]


FLOAT32 = ElementType("float32", "<f4")

#: By the prefix of the storage type that torch saves them in.
BY_STORAGE = {
    "Float": FLOAT32,
    "Double": ElementType("float64", "<f8"),
    "Half": ElementType("float16", "<f2"),
    "BFloat16": ElementType("bfloat16", "<u2", _from_bfloat16),
    "Long": ElementType("int64", "<i8"),
    "Int": ElementType("int32", "<i4"),
    "Short": ElementType("int16", "<i2"),
    "Char": ElementType("int8", "i1"),
    "Byte": ElementType("uint8", "u1"),
    "Bool": ElementType("bool", "u1", lambda stored: stored.astype(bool)),
    "ComplexFloat": ElementType("complex64", "<c8"),
    "ComplexDouble": ElementType("complex128", "<c16"),
}

#: Newer ones, which torch saves in storages of bytes.
_NEWER = [
    ElementType("uint16", "<u2"), ElementType("uint32", "<u4"), ElementType("uint64", "<u8"),
    ElementType("float8_e4m3fn", "u1", _from_float8(4, 7)),
    ElementType("float8_e5m2", "u1", _from_float8(5, 15, infinities=True)),
    ElementType("float8_e4m3fnuz", "u1", _from_float8(4, 8, negative_zero_is_nan=True)),
    ElementType("float8_e5m2fnuz", "u1", _from_float8(5, 16, negative_zero_is_nan=True)),
    ElementType("float8_e8m0fnu", "u1", _from_scale),
]

BY_NAME = {kind.name: kind for kind in (*BY_STORAGE.values(), *_NEWER)}

#: Bytes that a tensor's own type gives a meaning.
UNTYPED = ElementType("untyped", "u1")
