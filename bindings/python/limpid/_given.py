"""Images of a data set that the caller has."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any, Optional, Tuple

import numpy as np

from ._errors import InvalidArgument, LimpidError
from ._images import Batch, Image, ImageForm
from ._interruption import Interruption
from ._remote import RemoteFile

if TYPE_CHECKING:
    from ._model import Model


def read_item(item: Any) -> Tuple[Any, Any]:
    """An image of the caller's, with its class; open files are read."""
    if isinstance(item, (list, tuple)) and len(item) != 2:
        raise InvalidArgument(f"a sample is an image, or a pair of an image and its class; not {len(item)} things, {', '.join(type(each).__name__ for each in item[:4])}{', …' if len(item) > 4 else ''}")
    image, truth = item if isinstance(item, (list, tuple)) else (item, None)
    return (image.read() if hasattr(image, "read") else image), truth


class Gone:
    """In place of an image of an iterator, once its record is made."""


def is_batch(data: Any) -> bool:
    """Whether it is an array of several images."""
    return getattr(data, "ndim", 0) == 4


def is_file(image: Any) -> bool:
    """Whether an image of the caller's is a file: its bytes, or where it is."""
    return isinstance(image, (str, bytes, bytearray, os.PathLike, RemoteFile)) or (
        isinstance(image, memoryview) and image.ndim == 1 and image.itemsize == 1)


def image_of(image: Any, model: Optional[Model] = None) -> Image:
    """model: whose form images have; None: all that they have."""
    form = ImageForm(0, False, True, 8) if model is None else model._form._replace(channels=0)
    with Interruption() as interruption:
        batch = Batch(image, form, interruption)
    if len(batch) != 1 or not batch.images[0].has_pixels:
        raise InvalidArgument("an image of a data set is a file, a Pillow image, or a uint8 array [height, width, 3]")
    return batch.images[0]


def stamp_of(image: Any) -> str:
    """Tells whether an image of the caller's is the same later: by contents, of a file by size and time."""
    if isinstance(image, RemoteFile):
        return ""
    if isinstance(image, (str, os.PathLike)):
        try:
            status = os.stat(image)
        except OSError:
            return ""
        return f"{status.st_size} {status.st_mtime_ns}"
    if is_file(image):
        return hashlib.sha256(bytes(image)).hexdigest()
    try:
        pixels = np.asarray(image_of(image).pixels())
    except LimpidError:
        # It becomes a record of a failure.
        return ""
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()
