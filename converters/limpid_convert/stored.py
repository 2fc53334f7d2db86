"""Tensors as a checkpoint stores them: views of storages, read when they are asked for."""

from __future__ import annotations

import math

import numpy as np

from limpid_convert.errors import ConversionError

LARGEST_RANK = 16

#: An expanded view (stride 0) has more elements than its storage. More than this many are refused, and each 64 of them
#: cost one of the pickle's budget: a small file may not claim memory without bound.
_MOST_EXPANDED = 1 << 24
_EXPANDED_PER_COST = 64


class Storage:
    """`count` elements in the file; `read()` gives their bytes. The container checks that they are all there."""

    def __init__(self, key, element_type, count, read):
        self.key, self.element_type, self.count, self._read = key, element_type, count, read

    def array(self, element_type, count):
        """The first `count` elements as a flat NumPy array in little-endian order, in the stored type."""
        return np.frombuffer(self._read(self), dtype=element_type.stored, count=count)


class StoredTensor:
    """A view of a storage. Nothing is read before `numpy()`.

    spend(n): charges the budget of what is being read. negative, conjugate: torch's bits, a view's promise that its
    numbers are those of the storage with another sign. kind: the element type where the storage is one of bytes.
    """

    def __init__(self, storage, offset, shape, strides, spend, kind=None, negative=False, conjugate=False):
        numbers = [offset, *shape, *strides]
        if any(type(n) is not int or n < 0 for n in numbers) or len(shape) != len(strides):
            raise ConversionError("the checkpoint has a tensor with a malformed shape")
        if len(shape) > LARGEST_RANK:
            raise ConversionError(f"the checkpoint has a tensor with {len(shape)} axes")
        self._kind = kind or storage.element_type
        self._count = storage.count * storage.element_type.stored.itemsize // self._kind.stored.itemsize
        count = math.prod(shape)
        last = offset + sum((d - 1) * s for d, s in zip(shape, strides)) if count else 0
        if (count and last >= self._count) or count > max(self._count, _MOST_EXPANDED):
            raise ConversionError(
                f"the checkpoint has a tensor of shape {list(shape)} in a storage of only {self._count} elements"
            )
        if count > self._count:
            spend(count // _EXPANDED_PER_COST)
        self.storage, self.offset, self.shape, self.strides = storage, offset, tuple(shape), tuple(strides)
        self._negative, self._conjugate = negative, conjugate

    @property
    def element_type(self):
        return self._kind.name

    def numpy(self):
        """The elements, contiguous; types that NumPy does not have as float32."""
        if math.prod(self.shape) == 0:
            return np.zeros(self.shape, self._kind.values(np.zeros(0, self._kind.stored)).dtype)
        flat = self.storage.array(self._kind, self._count)[self.offset :]
        strides = [s * flat.itemsize for s in self.strides]
        view = np.lib.stride_tricks.as_strided(flat, self.shape, strides, writeable=False)
        values = np.array(self._kind.values(view), order="C")
        values = np.conj(values) if self._conjugate else values
        return np.negative(values) if self._negative else values
