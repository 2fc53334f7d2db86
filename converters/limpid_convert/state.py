"""A state dict that a network is built from. What does not fit is collected and reported at once."""

from __future__ import annotations

import fnmatch

import numpy as np

from limpid_convert.errors import ConversionError

#: Present in checkpoints and without meaning for inference.
_NEVER_USED = ("*num_batches_tracked",)
_MOST_SHOWN = 200


class State:
    """Tensors by name, and which of them were taken.

    `take` notes a problem and hands out a stand-in, so that building goes on and `finish` can list every problem.
    Nothing may be written before `finish` has returned.
    """

    def __init__(self, tensors, prefix="", parent=None):
        self._tensors, self._prefix = tensors, prefix
        self._taken = parent._taken if parent else set()
        self._problems = parent._problems if parent else []

    def scope(self, prefix):
        """The same state dict seen from inside the module `prefix` (given with its final dot)."""
        return State(self._tensors, self._prefix + prefix, self)

    def names(self):
        """Names inside this scope, in stored order."""
        return [n[len(self._prefix) :] for n in self._tensors if n.startswith(self._prefix)]

    def __contains__(self, name):
        return self._prefix + name in self._tensors

    def shape(self, name, rank=None):
        """Shape of a tensor; None where it is missing, empty or of another rank (which `take` then reports).

        No size that this returns is larger than the file: an empty tensor could claim any.
        """
        tensor = self._tensors.get(self._prefix + name)
        if tensor is None or 0 in tensor.shape or (rank is not None and len(tensor.shape) != rank):
            return None
        return tensor.shape

    def size(self, name, axis, rank):
        """One dimension of a tensor, or None."""
        shape = self.shape(name, rank)
        return shape[axis] if shape else None

    def take(self, name, *shape):
        """The tensor as float32 if it has this shape; None stands for a dimension that may be anything."""
        full = self._prefix + name
        self._taken.add(full)
        tensor = self._tensors.get(full)
        if tensor is None:
            self._problems.append(f"missing      {full}  expected {_written(shape)}")
        elif not _fits(tensor.shape, shape):
            self._problems.append(
                f"wrong shape  {full}  expected {_written(shape)}, found {_written(tensor.shape)}")
        elif "float" not in tensor.element_type:
            self._problems.append(f"wrong type   {full}  expected floating point, found {tensor.element_type}")
        else:
            return tensor.numpy().astype(np.float32, copy=False)
        return np.zeros(1, np.float32)

    def problem(self, text):
        """Notes something else that does not fit."""
        self._problems.append(text)

    def finish(self, what, unused=()):
        """Raises one error if anything was missing, mis-shaped or left over.

        what: the network, for the message. unused: name patterns that may be left over.
        """
        for name, tensor in self._tensors.items():
            if name not in self._taken and not any(fnmatch.fnmatchcase(name, p) for p in (*_NEVER_USED, *unused)):
                self._problems.append(f"unexpected   {name}  found {_written(tensor.shape)}")
        if self._problems:
            shown = self._problems[:_MOST_SHOWN]
            if len(self._problems) > len(shown):
                shown.append(f"and {len(self._problems) - len(shown)} more")
            raise ConversionError("\n  ".join([f"the checkpoint does not fit {what}:", *shown]))


def _fits(found, wanted):
    return len(found) == len(wanted) and all(f > 0 and w in (None, f) for f, w in zip(found, wanted))


def _written(shape):
    return "[" + ", ".join("any" if d is None else str(d) for d in shape) + "]"
