"""Whatever a user calls an image, as the views that the library takes; and images on the way back."""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, BinaryIO, Dict, Iterator, List, NamedTuple, Sequence, Tuple, Union

import numpy as np

from . import _abi
from ._errors import InvalidArgument, InvalidType
from ._interruption import Interruption
from ._library import Handle, PathLike, library, naming_file
from ._log import logger
from ._tensors import address, refuse_mask

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image as PillowImage

    #: One image, or an array of several.
    ImageLike = Union[PathLike, bytes, bytearray, memoryview, mmap.mmap, BinaryIO, PillowImage, NDArray[Any]]
    #: What the calls of a model take for images.
    Images = Union[ImageLike, Sequence[ImageLike]]
    #: An image on the way back: of Pillow where it is installed, else uint8 [height, width, 3].
    Drawing = Union[PillowImage, NDArray[np.uint8]]

_PIXELS: Dict[np.dtype[Any], Dict[int, int]] = {
    np.dtype(np.uint8): {1: _abi.GRAY8, 3: _abi.RGB8, 4: _abi.RGBA8},
    np.dtype(np.uint16): {1: _abi.GRAY16, 3: _abi.RGB16},
}
#: Samples of a pixel, and their type.
_SAMPLES: Dict[int, Tuple[int, np.dtype[Any]]] = {
    number: (bands, dtype) for dtype, formats in _PIXELS.items() for bands, number in formats.items()}
_ACCEPTED = (
    "a path, the bytes of a PNG, JPEG or WebP file, an open file, a Pillow image, a uint8 array [height, width] or "
    "[height, width, 3] (uint16: of 16 bits), a floating-point tensor [channels, height, width], or a list of these"
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

    def pixels(self) -> NDArray[Any]:
        """uint8 or uint16 [height, width] or [height, width, channels]; the same array each time. Of images with pixels."""
        if isinstance(self.owner, NativeImage):
            self.owner = self.owner.array()
            self.view = view_pixels(self.owner).view
        return self.owner


class Batch:
    """The images in what a user gave."""

    def __init__(self, x: Images, form: ImageForm, interruption: Interruption) -> None:
        """interruption: of the call that the images are for, which files are read within."""
        self.images = list(_images(x, form, interruption))
        self.single = len(self.images) == 1 and not _holds_many(x)
        self.views = (_abi.ImageView * len(self.images))(*(image.view for image in self.images))

    def __len__(self) -> int:
        return len(self.images)


class ImageForm(NamedTuple):
    """What a model takes for images."""

    #: Of its input, which a tensor must have; 0 where they are open.
    channels: int
    #: Whether they are the last axis of it.
    is_channels_last: bool
    #: How files are read for it.
    alpha: bool
    bits: int


class NativeImage:
    """An image of the library, freed with this object."""

    def __init__(self, handle: Any) -> None:
        self._handle = Handle(handle, library.limpid_image_free)
        self.view: _abi.ImageView = library.limpid_image_get_view(self._handle)

    def array(self) -> NDArray[Any]:
        """A copy of the pixels, [height, width, 3]; uint16 [height, width] or [height, width, 3] of 16 bits, uint8
        [height, width, 4] with alpha."""
        view = self.view
        bands, dtype = _SAMPLES[view.format]
        row = view.width * bands * dtype.itemsize
        stride = view.row_stride or row
        rows = np.ctypeslib.as_array(
            ctypes.cast(view.pixels, ctypes.POINTER(ctypes.c_uint8)), (view.height, stride))
        samples: NDArray[Any] = rows[:, :row].copy().view(dtype)
        return samples if bands == 1 else samples.reshape(view.height, view.width, bands)

    def image(self) -> Drawing:
        """A Pillow image, or where Pillow is not installed the array."""
        try:
            from PIL import Image as pillow
        except ImportError:
            return self.array()
        return pillow.fromarray(self.array())


def read_image(source: Union[PathLike, bytes, bytearray, memoryview, mmap.mmap, BinaryIO], *,
               high_byte: bool = False, bits: int = 8, alpha: bool = False) -> NDArray[Any]:
    """An image file as the calls of a model read it: uint8 [height, width, 3].

    source: a path, the bytes of a PNG, JPEG or WebP file, or the file, open. high_byte: whether of gray PNG files of 16 bits the
    high byte is kept; else they are cut off at 255, as by Pillow. bits: 16 gives PNG files of 16 bits as they are, uint16
    [height, width] or [height, width, 3]. alpha: uint8 [height, width, 4], opaque where the file has no alpha.
    """
    options: Dict[str, Any] = dict(high_byte=high_byte, bits=bits, alpha=alpha)
    if isinstance(source, (str, os.PathLike)):
        with naming_file(source) as path, Interruption() as interruption:
            image = _decoded(library.limpid_image_load_file_with, path, interruption=interruption, **options)
        return image.pixels()
    if not (isinstance(source, (bytes, bytearray, mmap.mmap)) or _is_bytes(source) or hasattr(source, "read")):
        raise InvalidType(f"read_image takes a path, the bytes of a file, or an open file, not {type(source).__name__}")
    data = _contents(source)
    with Interruption() as interruption:
        image = _decoded(
            library.limpid_image_load_memory_with, data, len(data), interruption=interruption, **options)
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


def _images(x: Any, form: ImageForm, interruption: Interruption) -> Iterator[Image]:
    if isinstance(x, (str, os.PathLike)):
        with naming_file(x) as path:
            image = _decoded(
                library.limpid_image_load_file_with, path, interruption=interruption, bits=form.bits, alpha=form.alpha)
        yield image
    elif isinstance(x, (bytes, bytearray, mmap.mmap)) or _is_bytes(x) or hasattr(x, "read"):
        data = _contents(x)
        yield _decoded(library.limpid_image_load_memory_with, data, len(data), interruption=interruption, bits=form.bits,
                       alpha=form.alpha)
    elif isinstance(x, (list, tuple)):
        for item in x:
            if isinstance(item, (list, tuple)):
                raise InvalidArgument(f"a list of images holds a {type(item).__name__}; give {_ACCEPTED}")
            yield from _images(item, form, interruption)
    elif hasattr(x, "convert") and hasattr(x, "getbands"):  # a Pillow image
        yield _pillow_image(x, form)
    elif hasattr(x, "__array__") or hasattr(x, "__array_interface__") or isinstance(x, memoryview):
        refuse_mask(x, "the image")
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


def _pillow_image(x: PillowImage, form: ImageForm) -> Image:
    """As files are read: samples of more than 8 bits are kept for models that take them, else cut off at 255 as by Pillow."""
    if x.mode in ("I", "F") or x.mode.startswith("I;"):
        samples = np.asarray(x)
        low, high = samples.min(initial=0), samples.max(initial=0)
        if x.mode != "F" and form.bits == 16 and low >= 0 and high <= 65535:
            return view_pixels(samples.astype(np.uint16))
        if x.mode == "F" and 0 < high <= 1:
            raise InvalidArgument(
                "a Pillow image of mode F with values up to 1 would be black: its pixels are 0 to 255; multiply them, or give a "
                "tensor")
        if not 0 <= low <= high <= 255:
            logger.warning("a Pillow image of mode %s is cut off at 0 and 255, as its convert(\"RGB\") does; it has %g to %g",
                           x.mode, low, high)
    return _array_image(np.asarray(x.convert("RGBA" if form.alpha else "RGB")), form)


def _is_gray_batch(array: NDArray[Any]) -> bool:
    """Whether an array of pixels is [images, height, width]. Three or four in front are more likely planes of colours, and a
    few behind are bands."""
    return array.dtype in _PIXELS and array.ndim == 3 and array.shape[2] > 4 and array.shape[0] not in (3, 4)


def _decoded(load: Any, *arguments: Any, interruption: Interruption, high_byte: bool = False, bits: int = 8,
             alpha: bool = False) -> Image:
    handle = ctypes.c_void_p()
    options = _abi.ImageOptions(
        high_byte=bool(high_byte), progress=interruption.asking, bits=bits, alpha=bool(alpha))
    load(*arguments, ctypes.byref(options), ctypes.byref(handle))
    image = NativeImage(handle.value)
    return Image(image.view, image)


def _is_bytes(x: object) -> bool:
    """Whether `x` is a view of a file's bytes, and not of an array's elements."""
    return isinstance(x, memoryview) and x.ndim == 1 and x.itemsize == 1


def _array_image(array: NDArray[Any], form: ImageForm) -> Image:
    if array.dtype in _PIXELS:
        return view_pixels(array)
    if array.dtype.newbyteorder("=") in (np.float32, np.float16, np.float64):
        return _tensor_image(array.astype(np.float32, copy=False), form)
    raise InvalidArgument(
        f"an array of {array.dtype} {list(array.shape)} is no image: pixels are uint8 or uint16 [height, width, 3], "
        "tensors that the model takes as they are are float32 [channels, height, width] (.astype(numpy.float32))"
    )


def view_pixels(array: NDArray[Any]) -> Image:
    """A uint8 or uint16 array as an image."""
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    formats = _PIXELS[array.dtype]
    bands = 1 if array.ndim == 2 else array.shape[-1] if array.ndim == 3 else 0
    if bands not in formats:
        hint = " (planes of colours: transpose(1, 2, 0); gray images: [..., None])" if array.ndim == 3 else ""
        raise InvalidArgument(
            f"a {array.dtype.name} array must be [height, width], [height, width, 1{', 3 or 4' if 4 in formats else ' or 3'}], or a "
            f"batch of such, not {list(array.shape)}{hint}")
    return _view(array, array.shape[1], array.shape[0], formats[bands])


def _tensor_image(array: NDArray[np.float32], form: ImageForm) -> Image:
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
    view = _abi.ImageView()
    view.pixels, view.width, view.height, view.format = address(array), width, height, format
    return Image(view, array)
