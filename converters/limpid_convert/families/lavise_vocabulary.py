"""Words and their vectors, from the files that LaViSE's programs use."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass

import numpy as np

from limpid_convert import checkpoint
from limpid_convert.errors import ConversionError
from limpid_convert.numpy_values import StoredArray
from limpid_convert.stored import StoredTensor

_LONGEST_VECTOR = 1 << 14
_LARGEST_FILE = 16 << 30


@dataclass
class Vocabulary:
    """words[i] has the vector vectors[i]. path: the file, whose digest goes into the model."""

    path: str
    words: list
    vectors: np.ndarray

    def text(self):
        """The words as bytes, one a line."""
        return np.frombuffer("\n".join(self.words).encode(), np.uint8)


def read(path, limit=None):
    """The vocabulary in `path`: GloVe text, a torch file with words and a matrix, or .npz with `words` and `vectors`.

    limit: how many words to keep, the first ones (GloVe's are ordered by frequency); None for all.
    """
    try:
        if path.endswith(".npz"):
            words, vectors = _arrays(path)
        elif path.endswith((".pth", ".pt")):
            words, vectors = _torch(path)
        else:
            return _checked(path, *_text(path, limit))
    except OSError as error:
        raise ConversionError(f"{path}: {error.strerror or error}") from None
    return _checked(path, words[:limit], vectors[:limit])


def _checked(path, words, vectors):
    if vectors.ndim != 2 or len(vectors) != len(words) or not vectors.size:
        raise ConversionError(f"{path}: expected as many words as vectors; found {len(words)} words and vectors of "
                              f"shape {list(vectors.shape)}")
    if any(not word or "\n" in word or "\0" in word for word in words):
        raise ConversionError(f"{path}: a word is empty or has a line end in it")
    vectors = np.ascontiguousarray(vectors, np.float32)
    if not np.isfinite(vectors).all():
        row = int(np.flatnonzero(~np.isfinite(vectors).all(1))[0])
        raise ConversionError(f"{path}: the vector of {words[row]!r} is not finite")
    return Vocabulary(path, words, vectors)


def _text(path, limit):
    """GloVe's text: a word and its numbers on each line, separated by single spaces. Words may hold spaces."""
    words, vectors, size = [], bytearray(), None
    with open(path, "rb") as file:
        for number, line in enumerate(file, start=1):
            fields = line.rstrip(b"\r\n ").split(b" ")
            if number == 1 and len(fields) == 2 and all(f.isdigit() for f in fields):
                continue  # word2vec's form of the same begins with "count size"
            size = size or len(fields) - 1
            if not 1 <= size <= min(_LONGEST_VECTOR, len(fields) - 1):
                raise ConversionError(f"{path}: line {number} has {len(fields) - 1} numbers after its word; expected "
                                      f"{size or 'a word and its numbers on each line, as GloVe has'}")
            try:
                vectors += np.array(fields[-size:], np.float32).tobytes()
                words.append(b" ".join(fields[:-size]).decode())
            except ValueError:  # UnicodeDecodeError is one
                raise ConversionError(f"{path}: line {number} is no word with {size} numbers") from None
            if len(words) == limit:
                break
    return words, np.frombuffer(vectors, np.float32).reshape(len(words), -1) if words else np.zeros((0, 0), np.float32)


def _arrays(path):
    """`words` [N] and `vectors` [N, E] of a NumPy archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > _LARGEST_FILE:
                raise ConversionError(f"{path}: claims more than {_LARGEST_FILE >> 30} GiB")
        with np.load(path, allow_pickle=False) as file:
            words, vectors = file["words"], file["vectors"]
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ConversionError(f"{path}: expected arrays `words` (text) and `vectors` ({error})") from None
    if words.ndim != 1 or words.dtype.kind not in "US" or vectors.dtype.kind != "f":
        raise ConversionError(f"{path}: expected `words` as one axis of text and `vectors` as floating point; found "
                              f"{words.dtype} {list(words.shape)} and {vectors.dtype}")
    return [w.decode() if isinstance(w, bytes) else str(w) for w in words.tolist()], vectors


def _torch(path):
    """torchtext's cache (words, {word: index}, matrix, size), or a dictionary with the same under usual names."""
    root = checkpoint.read(path).root
    parts = list(root.values()) if isinstance(root, dict) else root if isinstance(root, (list, tuple)) else []
    words = next((p for p in parts if isinstance(p, list) and p and all(isinstance(w, str) for w in p)), None)
    indices = next((p for p in parts if isinstance(p, dict) and p and _is_index(p)), None)
    matrix = next((p for p in parts if isinstance(p, (StoredTensor, StoredArray)) and len(p.shape) == 2), None)
    if words is None and indices is not None:
        words = [w for w, _ in sorted(indices.items(), key=lambda item: item[1])]
    if words is None or matrix is None:
        raise ConversionError(f"{path}: expected a list of words and a matrix of their vectors, as torchtext caches")
    return words, matrix.numpy()


def _is_index(table):
    """Whether a dictionary numbers words 0, 1, …"""
    return (all(type(k) is str and type(v) is int for k, v in table.items())
            and sorted(table.values()) == list(range(len(table))))
