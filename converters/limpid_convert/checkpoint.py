"""Reads `.pth`, `.pt`, `.ckpt` and `.safetensors` files, without torch and without running anything."""

from __future__ import annotations

import hashlib

from limpid_convert import containers, file_kinds, safetensors, state_dict
from limpid_convert.errors import ConversionError
from limpid_convert.inert import Namespace


class Checkpoint:
    """What a file holds. `root` is the saved value: dicts, lists, numbers, text, StoredTensor, Namespace.

    key, prefix: which state dict of it, and which of its tensors, where the user says so.
    """

    def __init__(self, path, container, root, key=None, prefix=None):
        self.path, self.container, self.root, self._key, self._prefix = path, container, root, key, prefix
        self._tensors = None

    def tensors(self):
        """The state dict: {name: tensor} in stored order, without the prefixes of wrappers, weight norms folded."""
        if self._tensors is None:
            try:
                found = state_dict.find(self.root, self._key)
                self._tensors = state_dict.folded(state_dict.unwrapped(found, self._prefix))
            except ConversionError as error:
                raise ConversionError(f"{self.path}: {error}") from None
        return self._tensors

    def arguments(self):
        """The options of the training run, by name; empty where the file has none."""
        return self._options("args") or self.hyper_parameters()

    def hyper_parameters(self):
        """What Lightning keeps of them."""
        return self._options("hyper_parameters")

    def _options(self, key):
        args = self.root.get(key) if isinstance(self.root, dict) else None
        if isinstance(args, Namespace):
            return args.values
        return args if isinstance(args, dict) else {}


def digest(path):
    """SHA-256 of a file, in hexadecimal."""
    sha = hashlib.sha256()
    with open(path, "rb") as file:
        for chunk in iter(lambda: file.read(1 << 20), b""):
            sha.update(chunk)
    return sha.hexdigest()


def read(path, key=None, prefix=None):
    """The checkpoint in the file `path`. Raises ConversionError for whatever is wrong with it."""
    try:
        with open(path, "rb") as file:
            head = file.read(file_kinds.HEAD)
            if head[:4] == b"PK\x03\x04":
                return Checkpoint(path, "zip", containers.read_zip(path), key, prefix)
            if safetensors.begins(head):
                return Checkpoint(path, "safetensors", safetensors.read(file), key, prefix)
            if head[:1] == b"\x80":
                return Checkpoint(path, "legacy", containers.read_legacy(file), key, prefix)
    except OSError as error:
        raise ConversionError(f"{path}: {error.strerror or error}") from None
    except ConversionError as error:
        raise ConversionError(f"{path}: {error}") from None
    raise ConversionError(f"{path}: {file_kinds.of(head)}")
