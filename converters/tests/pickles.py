"""Hand-assembled pickles for tests of what a hostile file may try."""

import struct
import zipfile


def text(value):
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def integer(value):
    size = value.bit_length() // 8 + 1
    return b"\x8a" + bytes([size]) + value.to_bytes(size, "little", signed=True)


def tensor(count=4, offset=0, shape=(4,), strides=(1,), storage="torch\nFloatStorage\n", key="0"):
    """A tensor of `count` stored elements, seen through any shape, stride and offset."""
    identifier = b"(" + text("storage") + b"c" + storage.encode() + text(key) + text("cpu") + integer(count) + b"tQ"
    sizes = b"(" + b"".join(map(integer, shape)) + b"t(" + b"".join(map(integer, strides)) + b"t"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + identifier + integer(offset) + sizes + b"\x89}tR"


def write(path, body, storages=(b"\0" * 16,), compression=zipfile.ZIP_STORED, **members):
    """A zip container whose data.pkl is `body` between PROTO 2 and STOP."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02" + body + b".")
        for key, content in enumerate(storages):
            archive.writestr(f"archive/data/{key}", content)
        for name, content in members.items():
            archive.writestr("archive/" + name, content)
    return path
