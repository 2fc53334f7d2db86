"""What a file is, told from its first bytes: for messages about files that are not what was expected."""

from __future__ import annotations

#: Bytes that `of` wants to see.
HEAD = 1024

_CHECKPOINTS = "limpid-convert reads checkpoints of torch (.pth, .pt, .ckpt) and .safetensors"
_EXPORT = "export that model to ONNX and use `limpid-convert annotate`"
_UNPACK = "unpack it first"

#: First bytes, what the file is, and what to do.
_SIGNATURES = (
    (b"version https://git-lfs", "a Git LFS pointer, not the file that it stands for", "fetch that: `git lfs pull`"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras writes", _EXPORT),
    (b"\x1f\x8b", "a gzip archive", _UNPACK),
    (b"BZh", "a bzip2 archive", _UNPACK),
    (b"\xfd7zXZ\x00", "an xz archive", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "a zstd archive", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", _UNPACK),
    (b"Rar!", "a RAR archive", _UNPACK),
    (b"\x93NUMPY", "a NumPy array", _CHECKPOINTS),
    (b"GGUF", "a GGUF file", _CHECKPOINTS),
    (b"%PDF", "a PDF document", _CHECKPOINTS),
    (b"\x89PNG", "a PNG image", _CHECKPOINTS),
    (b"\xff\xd8\xff", "a JPEG image", _CHECKPOINTS),
    (b"\x7fELF", "a program or library", _CHECKPOINTS),
    (b"PK\x03\x04", "a zip archive, as torch saves checkpoints in", _CHECKPOINTS),
    (b"PK\x05\x06", "an empty zip archive", _CHECKPOINTS),
)
_SECOND_FIELDS = (b"\x12", b"\x1a", b"\x22", b"\x3a", b"\x42")
_INSIDE = (".pth", ".pt", ".ckpt", ".bin", ".safetensors", ".onnx", ".tar")
_PAGES = (b"<!doctype html", b"<html", b"<head", b"<body", b"<!--")
_SAYS_PAGE = "the download gave a page in place of the file; download it again, with the address of the file itself"


def of(head):
    """One sentence about a file that begins with `head`."""
    what, advice = _kind(head)
    return f"{what}, not a torch checkpoint; {advice}"


def known(head):
    """What a file is that should be an ONNX model and is none; None where nothing tells."""
    what = _kind(head)[0]
    return None if what.startswith("a file of an unknown kind") or what == "an ONNX model" else what


def _kind(head):
    for start, what, advice in _SIGNATURES:
        if head.startswith(start):
            return what, advice
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if not head:
        return "an empty file", "it was not written or downloaded to its end"
    if text.startswith(_PAGES):
        return "an HTML page", _SAYS_PAGE
    if text.startswith(b"<?xml") or text.startswith(b"<"):
        return "an HTML page" if b"<html" in text else "an XML document", _SAYS_PAGE
    if head[8:9] == b"{" and head[:1] != b"{":
        return "a damaged safetensors file", "download it again"
    if head[257:262] == b"ustar":
        return "a tar archive", _UNPACK
    if head[4:8] == b"TFL3":
        return "a TensorFlow Lite model", _EXPORT
    if is_onnx(head):
        return "an ONNX model", "`limpid-convert annotate` and `inspect` take it under a name that ends in .onnx"
    if _is_saved_model(head):
        return "a TensorFlow model", _EXPORT
    if head[:1] == b"\x80":
        return "a pickle", _CHECKPOINTS
    if text.startswith((b"{", b"[")):
        return "a JSON file", _CHECKPOINTS
    if _is_text(head):
        return "a text file", f"it begins with {head[:40].decode('utf-8', 'replace').splitlines()[0]!r}"
    return "a file of an unknown kind (neither a zip archive nor a pickle)", _CHECKPOINTS


def is_onnx(head):
    """ONNX begins with the field ir_version, a small number, and a second field of text or the graph."""
    return head[:1] == b"\x08" and 1 <= (head[1:2] or b"\0")[0] <= 30 and head[2:3] in _SECOND_FIELDS


def _is_saved_model(head):
    return head[:3] == b"\x08\x01\x12" or head[:1] == b"\x0a" and b"Placeholder" in head


def _is_text(head):
    try:
        head[:-4].decode("utf-8") if len(head) == HEAD else head.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return bool(head.strip()) and all(b >= 32 or b in b"\t\n\r\f" for b in head)


def of_archive(names):
    """What a zip archive is that is none of torch's, by the names in it."""
    plain = list(names)
    if any(n.endswith(".npy") for n in plain):
        return "a NumPy archive (.npz)"
    if any(n.endswith(("model.weights.h5", ".h5")) for n in plain):
        return "a Keras model in a zip archive"
    if "[Content_Types].xml" in plain:
        return "an office document"
    if any(n.endswith("saved_model.pb") for n in plain):
        return "a TensorFlow model in a zip archive"
    inner = next((n for n in plain if n.endswith(_INSIDE)), None)
    if inner:
        return f"a zip archive around {inner[:80]!r}, to be unpacked first"
    return "a zip archive, but not torch's (it has no data.pkl)"
