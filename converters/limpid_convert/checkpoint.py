"""Reads `.pth` / `.pt` files, in both of torch's containers, without torch and without running anything."""

from __future__ import annotations

import hashlib
import mmap
import os
import zipfile

from limpid_convert.errors import ConversionError
from limpid_convert.inert import ElementType, Namespace, Storage, StoredTensor, lookup
from limpid_convert.unpickle import Machine

_LARGEST_PICKLE = 256 << 20
_MOST_MEMBERS = 200_000
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_VERSION = 1001

#: Where training programs put the state dict in what they save.
_STATE_KEYS = ("model", "state_dict", "model_sdict", "model_state_dict", "net")


class Checkpoint:
    """What a file holds. `root` is the saved value: dicts, lists, numbers, text, StoredTensor, Namespace."""

    def __init__(self, path, container, root):
        self.path, self.container, self.root = path, container, root

    def tensors(self):
        """The state dict: {name: StoredTensor} in stored order, `module.` removed where every name has it."""
        found = self._state_dict()
        if found and all(name.startswith("module.") for name in found):
            found = {name[len("module.") :]: t for name, t in found.items()}
        return found

    def _state_dict(self):
        if not isinstance(self.root, dict):
            raise ConversionError(f"{self.path}: holds a {type(self.root).__name__}, not a state dict")
        for candidate in [self.root.get(key) for key in _STATE_KEYS] + [self.root]:
            if isinstance(candidate, dict):
                found = {k: t for k, t in candidate.items() if isinstance(k, str) and isinstance(t, StoredTensor)}
                if found:
                    return found
        raise ConversionError(f"{self.path}: no state dict in it; limpid-convert looks at the top level and under "
                              + ", ".join(_STATE_KEYS))

    def arguments(self):
        """The options of the training run, by name; empty where the file has none."""
        args = self.root.get("args") if isinstance(self.root, dict) else None
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


def read(path):
    """The checkpoint in the file `path`. Raises ConversionError for whatever is wrong with it."""
    try:
        with open(path, "rb") as file:
            head = file.read(4)
            if head == b"PK\x03\x04":
                return _read_zip(path)
            if head[:1] == b"\x80":
                return _read_legacy(path, file)
    except OSError as error:
        raise ConversionError(f"{path}: {error.strerror or error}") from None
    except ConversionError as error:
        raise ConversionError(f"{path}: {error}") from None
    raise ConversionError(f"{path}: not a torch checkpoint (neither a zip archive nor a pickle)")


def _storage(persistent_id, read, known):
    """The storage that a tensor refers to: ("storage", type, key, device, count[, view])."""
    if type(persistent_id) is not tuple or len(persistent_id) not in (5, 6) or persistent_id[0] != "storage":
        raise ConversionError("the checkpoint refers to something that is not a tensor storage")
    _, kind, key, _, count = persistent_id[:5]
    if not isinstance(kind, ElementType) or type(key) is not str or type(count) is not int or count < 0:
        raise ConversionError("the checkpoint has a malformed tensor storage")
    if len(persistent_id) == 6 and persistent_id[5] is not None:
        raise ConversionError("the checkpoint shares storages as torch did before 0.4; save it with a newer one")
    storage = known.setdefault(key, Storage(key, kind, count, read))
    if storage.element_type is not kind or storage.count != count:
        raise ConversionError(f"the checkpoint describes storage {key[:40]!r} in two different ways")
    return storage


def _read_zip(path):
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise ConversionError(f"damaged zip archive ({error})") from None
    members = {info.filename: info for info in archive.infolist()[:_MOST_MEMBERS]}
    pickles = [name for name in members if name.count("/") <= 1 and name.split("/")[-1] == "data.pkl"]
    if len(pickles) != 1:
        raise ConversionError("a zip archive, but not torch's: it has no data.pkl")
    prefix = pickles[0][: -len("data.pkl")]
    if prefix + "constants.pkl" in members:
        raise ConversionError("a TorchScript archive; limpid-convert needs the model's state_dict(), saved")

    def content(name, limit=None):
        return _member(archive, path, members, name, limit)

    order = content(prefix + "byteorder", 16) if prefix + "byteorder" in members else b"little"
    if order.strip() != b"little":
        raise ConversionError("the checkpoint was written on a big-endian machine; save it again on another one")

    def stored(storage):
        return content(f"{prefix}data/{storage.key}")

    known = {}

    def persistent(identifier):
        storage = _storage(identifier, stored, known)
        info = members.get(f"{prefix}data/{storage.key}")
        wanted = storage.count * storage.element_type.stored.itemsize
        if info is None or info.file_size < wanted:
            raise ConversionError(f"storage {storage.key[:40]!r} should have {wanted} bytes and has "
                                  f"{info.file_size if info else 0}")
        return storage

    root = Machine(content(pickles[0], _LARGEST_PICKLE), lookup, persistent).load()
    return Checkpoint(path, "zip", root)


def _member(archive, path, members, name, limit):
    """The bytes of a member, which must be stored as it is: then no member can be larger than the file."""
    info = members[name]
    plain = info.compress_type == zipfile.ZIP_STORED and info.compress_size == info.file_size
    if not plain or info.flag_bits & 1:
        raise ConversionError(f"member {name[:60]!r} is compressed or encrypted, which torch never does")
    if info.file_size > (limit or os.path.getsize(path)):
        raise ConversionError(f"member {name[:60]!r} claims {info.file_size} bytes")
    try:
        return archive.read(info)
    except (zipfile.BadZipFile, EOFError, OSError, ValueError, NotImplementedError) as error:
        raise ConversionError(f"damaged zip archive ({error})") from None


def _read_legacy(path, file):
    """Five pickles (magic number, version, system, value, storage keys), then each storage: its length and bytes."""
    data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    known = {}

    def stored(storage):
        start, size = places[storage.key]
        return data[start : start + size]

    def persistent(identifier):
        return _storage(identifier, stored, known)

    position, parts = 0, []
    for _ in range(5):
        machine = Machine(data, lookup, persistent, position)
        parts.append(machine.load())
        position = machine.position
        if parts[0] != _LEGACY_MAGIC:
            raise ConversionError("a pickle, but not a torch checkpoint")
    _, version, system, root, keys = parts
    if version != _LEGACY_VERSION or (isinstance(system, dict) and system.get("little_endian") is False):
        raise ConversionError("the checkpoint's container is of an unknown version or byte order")
    places = _legacy_places(data, position, keys, known)
    return Checkpoint(path, "legacy", root)


def _legacy_places(data, position, keys, known):
    """{storage key: (start, bytes)}; checked to lie in the file and to be what the pickle says."""
    if type(keys) is not list or any(type(k) is not str for k in keys) or not set(known) <= set(keys):
        raise ConversionError("the checkpoint's list of storages is malformed")
    places = {}
    for key in keys:
        count = int.from_bytes(data[position : position + 8], "little")
        storage = known.get(key)
        if storage is None or storage.count != count:
            raise ConversionError(f"storage {key[:40]!r} is not as long as its tensors need")
        size = count * storage.element_type.stored.itemsize
        if position + 8 + size > len(data):
            raise ConversionError("the checkpoint ends in the middle of its tensors; it is cut short")
        places[key] = (position + 8, size)
        position += 8 + size
    return places
