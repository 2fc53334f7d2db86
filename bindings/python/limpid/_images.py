"""Whatever a user calls an image, as the views that the library takes; and images on the way back."""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, BinaryIO, Iterator, List, NamedTuple, Sequence, Union

import numpy as np

from . import _abi
from ._errors import InvalidArgument, InvalidType
from ._interruption import Interruption
from ._library import Handle, PathLike, library, naming_file

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image as PillowImage

    #: One image, or an array of several.
    ImageLike = Union[PathLike, bytes, bytearray, memoryview, mmap.mmap, BinaryIO, PillowImage, NDArray[Any]]
    #: What the calls of a model take for images.
    Images = Union[ImageLike, Sequence[ImageLike]]
    #: An image on the way back: of Pillow where it is installed, else uint8 [height, width, 3].
    Drawing = Union[PillowImage, NDArray[np.uint8]]

_PIXELS = {1: _abi.GRAY8, 3: _abi.RGB8, 4: _abi.RGBA8}
_ACCEPTED = (
    "a path, the bytes of a PNG, JPEG or WebP file, an open file, a Pillow image, a uint8 array [height, width] or "
    "[height, width, 3], a floating-point tensor [channels, height, width], or a list of these"
)


class Image:
    """One image: a view, and what owns the memory under it."""

    def __init__(self, view: _abi.ImageView, owner: Union[NativeImage, NDArray[Any]]) -> None:
        self.view = view
        self.owner = owner

    @property
    def has_pixels(self) -> bool:
        """False for tensors, which say nothing of colours."""
        return bool(self.view.format != _abi.MODEL_F32)

    def pixels(self) -> NDArray[np.uint8]:
        """uint8 [height, width] or [height, width, channels]; the same array each time. Of images with pixels."""
        if isinstance(self.owner, NativeImage):
            self.owner = self.owner.array()
            self.view = view_pixels(self.owner).view
        return self.owner


class Batch:
    """The images in what a user gave."""

    def __init__(self, x: Images, channels: int, is_channels_last: bool, interruption: Interruption) -> None:
        """channels: those of the model's input, which a tensor must have; 0 where they are open. interruption: of the call
        that the images are for, which files are read within.
        """
        self.images = list(_images(x, _TensorForm(channels, is_channels_last), interruption))
        self.single = len(self.images) == 1 and not _holds_many(x)
        self.views = (_abi.ImageView * len(self.images))(*(image.view for image in self.images))

    def __len__(self) -> int:
        return len(self.images)


class _TensorForm(NamedTuple):
    """What a model's input is: its channels, 0 where they are open, and whether they are its last axis."""

    channels: int
    is_channels_last: bool


class NativeImage:
    """An image of the library, freed with this object."""

    def __init__(self, handle: Any) -> None:
        self._handle = Handle(handle, library.limpid_image_free)
        self.view: _abi.ImageView = library.limpid_image_get_view(self._handle)

    def array(self) -> NDArray[np.uint8]:
        """A copy of the pixels, uint8 [height, width, 3]."""
        view = self.view
        stride = view.row_stride or view.width * 3
        rows = np.ctypeslib.as_array(
            ctypes.cast(view.pixels, ctypes.POINTER(ctypes.c_uint8)), (view.height, stride))
        return rows[:, : view.width * 3].reshape(view.height, view.width, 3).copy()

    def image(self) -> Drawing:
        """A Pillow image, or where Pillow is not installed the array."""
        try:
            from PIL import Image as pillow
        except ImportError:
            return self.array()
        return pillow.fromarray(self.array())


def read_image(source: Union[PathLike, bytes, bytearray, memoryview, mmap.mmap, BinaryIO], *,
               high_byte: bool = False) -> NDArray[np.uint8]:
    """An image file as the calls of a model read it: uint8 [height, width, 3].

    source: a path, the bytes of a PNG, JPEG or WebP file, or the file, open. high_byte: whether of gray PNG files of 16 bits the
    high byte is kept; else they are cut off at 255, as by Pillow.
    """
    if isinstance(source, (str, os.PathLike)):
        with naming_file(source) as path, Interruption() as interruption:
            image = _decoded(library.limpid_image_load_file_with, path, interruption=interruption, high_byte=high_byte)
        return image.pixels()
    if not (isinstance(source, (bytes, bytearray, mmap.mmap)) or _is_bytes(source) or hasattr(source, "read")):
        raise InvalidType(f"read_image takes a path, the bytes of a file, or an open file, not {type(source).__name__}")
    data = _contents(source)
    with Interruption() as interruption:
        image = _decoded(
            library.limpid_image_load_memory_with, data, len(data), interruption=interruption, high_byte=high_byte)
    return image.pixels()


def _contents(source: Any) -> bytes:
    """The bytes of a file."""
    data = bytes(source) if not hasattr(source, "read") or isinstance(source, mmap.mmap) else source.read()
    if not isinstance(data, bytes):
        raise InvalidArgument("the open file gives text; open it as bytes (\"rb\")")
    return data


def is_stream(x: object) -> bool:
    """Whether `x` gives images one after the other, so that they need not be in memory at once."""
    return isinstance(x, Iterable) and not (
        isinstance(x, (str, bytes, bytearray, mmap.mmap, memoryview, list, tuple, os.PathLike))
        or hasattr(x, "read") or hasattr(x, "convert") or hasattr(x, "__array__") or hasattr(x, "__array_interface__"))


def _holds_many(x: object) -> bool:
    if isinstance(x, (list, tuple)) or getattr(x, "ndim", 0) == 4:
        return True
    return hasattr(x, "__array__") and not hasattr(x, "convert") and _is_gray_batch(np.asarray(x))


def _images(x: Any, form: _TensorForm, interruption: Interruption) -> Iterator[Image]:
    if isinstance(x, (str, os.PathLike)):
        with naming_file(x) as path:
            image = _decoded(library.limpid_image_load_file_with, path, interruption=interruption)
        yield image
    elif isinstance(x, (bytes, bytearray, mmap.mmap)) or _is_bytes(x) or hasattr(x, "read"):
        data = _contents(x)
        yield _decoded(library.limpid_image_load_memory_with, data, len(data), interruption=interruption)
    elif isinstance(x, (list, tuple)):
        for item in x:
            if isinstance(item, (list, tuple)):
                raise InvalidArgument(f"a list of images holds a {type(item).__name__}; give {_ACCEPTED}")
            yield from _images(item, form, interruption)
    elif hasattr(x, "convert") and hasattr(x, "getbands"):  # a Pillow image
        yield _array_image(np.asarray(x.convert("RGB")), form)
    elif hasattr(x, "__array__") or hasattr(x, "__array_interface__") or isinstance(x, memoryview):
        array = np.asarray(x)
        if array.ndim == 4 or _is_gray_batch(array):
            yield from (_array_image(item, form) for item in array)
        else:
            yield _array_image(array, form)
    elif is_stream(x):
        raise InvalidArgument(
            f"this call takes images that are in memory, or their files' names, not {type(x).__name__}: list(…) makes "
            "a list of it; classify and explain take one image after the other from it")
    else:
        raise InvalidArgument(f"{type(x).__name__} is no image; give {_ACCEPTED}")


def _is_gray_batch(array: NDArray[Any]) -> bool:
    """Whether a uint8 array is [images, height, width]. Three or four in front are more likely planes of colours, and a
    few behind are bands."""
    return array.dtype == np.uint8 and array.ndim == 3 and array.shape[2] > 4 and array.shape[0] not in (3, 4)


def _decoded(load: Any, *arguments: Any, interruption: Interruption, high_byte: bool = False) -> Image:
    handle = ctypes.c_void_p()
    options = _abi.ImageOptions(high_byte=bool(high_byte), progress=interruption.asking)
    load(*arguments, ctypes.byref(options), ctypes.byref(handle))
    image = NativeImage(handle.value)
    return Image(image.view, image)


def _is_bytes(x: object) -> bool:
    """Whether `x` is a view of a file's bytes, and not of an array's elements."""
    return isinstance(x, memoryview) and x.ndim == 1 and x.itemsize == 1


def _array_image(array: NDArray[Any], form: _TensorForm) -> Image:
    if array.dtype == np.uint8:
        return view_pixels(array)
    if array.dtype in (np.float32, np.float16, np.float64):
        return _tensor_image(array.astype(np.float32, copy=False), form)
    raise InvalidArgument(
        f"an array of {array.dtype} {list(array.shape)} is no image: pixels are uint8 [height, width, 3], "
        "tensors that the model takes as they are are float32 [channels, height, width] (.astype(numpy.float32))"
    )


def view_pixels(array: NDArray[np.uint8]) -> Image:
    """A uint8 array as an image."""
    bands = 1 if array.ndim == 2 else array.shape[-1] if array.ndim == 3 else 0
    if bands not in _PIXELS:
        hint = " (planes of colours: transpose(1, 2, 0); gray images: [..., None])" if array.ndim == 3 else ""
        raise InvalidArgument(
            "a uint8 array must be [height, width], [height, width, 1, 3 or 4], or a batch of such, "
            f"not {list(array.shape)}{hint}")
    return _view(array, array.shape[1], array.shape[0], _PIXELS[bands])


def _tensor_image(array: NDArray[np.float32], form: _TensorForm) -> Image:
    axes = "[height, width, channels]" if form.is_channels_last else "[channels, height, width]"
    if array.ndim != 3:
        raise InvalidArgument(f"a floating-point tensor must be {axes} or a batch of such, not {list(array.shape)}")
    own, other = (2, 0) if form.is_channels_last else (0, 2)
    if form.channels and array.shape[own] != form.channels:
        move = "transpose(1, 2, 0)" if form.is_channels_last else "transpose(2, 0, 1)"
        hint = f": {move}" if array.shape[other] == form.channels else ""
        raise InvalidArgument(
            f"the model's input is {axes} with {form.channels} channels, but the tensor is {list(array.shape)}{hint}")
    if form.is_channels_last:
        array = array.transpose(2, 0, 1)
    return _view(array, array.shape[2], array.shape[1], _abi.MODEL_F32)


def _view(array: NDArray[Any], width: int, height: int, format: int) -> Image:
    if array.size == 0:
        raise InvalidArgument(f"an image without pixels: {list(array.shape)}")
    array = np.ascontiguousarray(array)
    address, _ = array.__array_interface__["data"]  # quicker than array.ctypes
    return Image(_abi.ImageView(pixels=address, width=width, height=height, format=format), array)
