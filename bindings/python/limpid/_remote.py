"""Files by URL, through fsspec: of a data set, only what says which images there are and what is true of them is copied."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import Any, List, Mapping, Tuple

from ._errors import NotFound, Unsupported

_IMAGES = (".png", ".jpg", ".jpeg", ".webp")
# What annotations are in.
_TEXTS = (".txt", ".csv", ".tsv", ".lst", ".json", ".xml")


def is_url(place: Any) -> bool:
    return isinstance(place, str) and re.match(r"[A-Za-z][A-Za-z0-9+.-]+://|[A-Za-z0-9+.-]+::", place) is not None


def read_url(place: Any) -> bytes:
    """The bytes of a file, by path or URL."""
    if not is_url(place):
        return Path(place).read_bytes()
    with _fsspec().open(place, "rb") as file:
        return bytes(file.read())


def _fsspec() -> Any:
    try:
        import fsspec  # type: ignore[import-untyped,import-not-found,unused-ignore]
    except ImportError:
        raise Unsupported("URLs need the package fsspec: pip install fsspec") from None
    return fsspec


class Mirror:
    """A data set as the library can look at it: itself, or of one by URL a copy in which images are empty files."""

    def __init__(self, data: Any, images: Any = None) -> None:
        #: How results call it.
        self.name: str = os.fsdecode(data)
        self.is_remote = is_url(data) or is_url(images)
        self.data, self.images = data, images
        if not self.is_remote:
            return
        self._folder = tempfile.TemporaryDirectory(prefix="limpid-")
        #: Folders here, with what they stand for.
        self._roots: List[Tuple[str, Any, str]] = []
        if is_url(data):
            self.data = self._copy(data, "data")
        if is_url(images):
            self.images = self._copy(images, "images")

    def _copy(self, url: str, name: str) -> str:
        """Copies what lies at `url`; returns where that is."""
        system, root = _fsspec().core.url_to_fs(url)
        here = os.path.join(self._folder.name, name)
        os.mkdir(here)
        if system.isfile(root):
            # A list beside its images: these are asked for when they are needed.
            target = os.path.join(here, os.path.basename(root))
            system.get_file(root, target)
            self._roots.append((here, system, root.rsplit("/", 1)[0]))
            return target
        files = system.find(root, detail=True)
        if not files:
            raise NotFound(f"there is nothing at {url!r}")
        root = root.rstrip("/")
        for path, info in files.items():
            target = os.path.join(here, os.path.relpath(path, root))
            os.makedirs(os.path.dirname(target), exist_ok=True)
            if path.lower().endswith(_TEXTS) or "idx" in os.path.basename(path):
                system.get_file(path, target)
            elif path.lower().endswith(_IMAGES):
                _place(target, info)
        self._roots.append((here, system, root))
        return here

    def url(self, path: bytes) -> Any:
        """What reads the file that `path` stands for."""
        place = os.path.normpath(os.fsdecode(path))
        for here, system, root in self._roots:
            if place.startswith(here + os.sep):
                return RemoteFile(system, f"{root}/{os.path.relpath(place, here)}")
        return place


class RemoteFile:
    """A file of a file system of fsspec's."""

    def __init__(self, system: Any, path: str) -> None:
        self._system, self._path = system, path

    def read(self) -> bytes:
        return bytes(self._system.cat_file(self._path))


def _place(path: str, info: Mapping[str, Any]) -> None:
    """An empty file that has the size and the time of another, by which it is known again."""
    with open(path, "wb") as file:
        file.truncate(info.get("size") or 0)
    time: Any = info.get("mtime") or info.get("LastModified") or info.get("last_modified") or info.get("updated") or 0
    seconds = time.timestamp() if hasattr(time, "timestamp") else time if isinstance(time, (int, float)) else 0
    os.utime(path, (seconds, seconds))
