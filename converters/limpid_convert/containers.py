"""torch's two containers of a checkpoint: a zip archive, and the older sequence of pickles."""

from __future__ import annotations

import mmap
import os
import zipfile

from limpid_convert import file_kinds
from limpid_convert.element_types import ElementType
from limpid_convert.errors import ConversionError
from limpid_convert.inert import lookup
from limpid_convert.stored import Storage
from limpid_convert.unpickle import Machine

_LARGEST_PICKLE = 256 << 20
_MOST_MEMBERS = 200_000
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_VERSION = 1001


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


def read_zip(path):
    """The saved value of a zip archive."""
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise ConversionError(f"damaged zip archive ({error})") from None
    members = {info.filename: info for info in archive.infolist()[:_MOST_MEMBERS]}
    pickles = [name for name in members if name.count("/") <= 1 and name.split("/")[-1] == "data.pkl"]
    if len(pickles) != 1:
        raise ConversionError(f"{file_kinds.of_archive(members)}, not a torch checkpoint")
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

    return Machine(content(pickles[0], _LARGEST_PICKLE), lookup, persistent).load()


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


def read_legacy(file):
    """The saved value of five pickles (magic number, version, system, value, storage keys), then each storage: its
    length and bytes."""
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
    return root


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
