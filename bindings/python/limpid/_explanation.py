"""Why the model sees a class in an image."""

from __future__ import annotations

import base64
import ctypes
import html
import os
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Protocol, Tuple, Union

import numpy as np

from . import _abi
from ._errors import InvalidArgument, InvalidType
from ._filters import pairs
from ._images import Image, NativeImage, view_pixels
from ._interruption import Interruption
from ._library import Handle, PathLike, encoded, library, naming_file, path_bytes, text
from ._options import run_options, used_parameters
from ._tensors import view_array

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._images import Drawing

#: The longer side of what notebooks show.
_NOTEBOOK_SIDE = 640


class NativeExplanation:
    """What limpid_explain gives, freed with this object."""

    def __init__(self, handle: Any) -> None:
        self.handle = Handle(handle, library.limpid_explanation_free)

    def __len__(self) -> int:
        return int(library.limpid_explanation_count(self.handle))


class _Facts(Protocol):
    """What is known of one explanation."""

    @property
    def class_index(self) -> int: ...
    @property
    def score(self) -> float: ...
    @property
    def degenerate(self) -> bool: ...
    @property
    def method(self) -> str: ...
    @property
    def parameters(self) -> Dict[str, Union[float, str]]: ...
    @property
    def seed(self) -> int: ...
    @property
    def details(self) -> Dict[str, NDArray[Any]]: ...
    @property
    def field(self) -> Tuple[float, float, float, float]: ...
    @property
    def filter(self) -> Optional[int]: ...
    @property
    def words(self) -> List[Tuple[str, float]]: ...
    @property
    def map(self) -> NDArray[np.float32]: ...
    @property
    def grid(self) -> NDArray[np.float32]: ...
    @property
    def range(self) -> Tuple[float, float]: ...

    def draw(self, image: Optional[Image], options: _abi.RenderOptions) -> NativeImage: ...


class _Native:
    """Explanation `index` of those that a call gave, as the library has it."""

    def __init__(self, native: NativeExplanation, index: int) -> None:
        self._native = native
        #: The handle, and which of its explanations.
        self.at: Tuple[Any, int] = native.handle, index

    @property
    def class_index(self) -> int:
        return int(library.limpid_explanation_class(*self.at))

    @property
    def score(self) -> float:
        return float(library.limpid_explanation_score(*self.at))

    @property
    def degenerate(self) -> bool:
        return bool(library.limpid_explanation_is_degenerate(*self.at))

    @property
    def method(self) -> str:
        return text(library.limpid_explanation_method(self._native.handle))

    @property
    def parameters(self) -> Dict[str, Union[float, str]]:
        return used_parameters(library.limpid_explanation_parameter, self._native.handle)

    @property
    def seed(self) -> int:
        return int(library.limpid_explanation_seed(self._native.handle))

    @property
    def details(self) -> Dict[str, NDArray[Any]]:
        views = [library.limpid_explanation_detail(*self.at, i)
                 for i in range(library.limpid_explanation_detail_count(*self.at))]
        return {text(view.name): view_array(view) for view in views}

    @property
    def field(self) -> Tuple[float, float, float, float]:
        found = library.limpid_explanation_field(*self.at)
        return found.x, found.y, found.seen_width, found.seen_height

    @property
    def filter(self) -> Optional[int]:
        found = int(library.limpid_explanation_filter(*self.at))
        return None if found < 0 else found

    @property
    def words(self) -> List[Tuple[str, float]]:
        return pairs(library.limpid_explanation_word, *self.at)

    @property
    def map(self) -> NDArray[np.float32]:
        view = _abi.MapView()
        with Interruption() as interruption:
            library.limpid_explanation_map_with(*self.at, run_options(interruption), ctypes.byref(view))
        return _array(view)

    @property
    def grid(self) -> NDArray[np.float32]:
        return _array(library.limpid_explanation_grid(*self.at))

    @property
    def range(self) -> Tuple[float, float]:
        view = library.limpid_explanation_grid(*self.at)
        return view.minimum, view.maximum

    def draw(self, image: Optional[Image], options: _abi.RenderOptions) -> NativeImage:
        out = ctypes.c_void_p()
        library.limpid_explanation_render(
            *self.at, image and ctypes.byref(image.view), ctypes.byref(options), ctypes.byref(out))
        return NativeImage(out.value)

    def seen(self, image: Image) -> NDArray[np.uint8]:
        """The image as the model saw it, which the styles of papers draw on."""
        # With colours of no weight, what remains of a drawing is what lies under it.
        options = _abi.RenderOptions(style=b"scouter", opacity=1e-6)
        return self.draw(image, options).array()


@dataclass
class _Stored:
    """The same without the library's object, as it comes out of a pickle."""

    class_index: int
    score: float
    degenerate: bool
    method: str
    parameters: Dict[str, Union[float, str]]
    seed: int
    details: Dict[str, NDArray[Any]]
    field: Tuple[float, float, float, float]
    filter: Optional[int]
    words: List[Tuple[str, float]]
    map: NDArray[np.float32]
    grid: NDArray[np.float32]
    range: Tuple[float, float]
    #: None where there is no image, or where the model saw all of it as it is.
    shown: Optional[NDArray[np.uint8]]

    def draw(self, image: Optional[Image], options: _abi.RenderOptions) -> NativeImage:
        """As limpid_explanation_render draws."""
        values = self.map if image is None else self.grid
        view = _abi.MapView(
            values=values.ctypes.data_as(ctypes.POINTER(ctypes.c_float)), width=values.shape[1], height=values.shape[0],
            minimum=self.range[0], maximum=self.range[1])
        if image is not None and options.style not in (None, b"default"):
            image = image if self.shown is None else view_pixels(self.shown)
        elif image is not None:
            x, y, width, height = self.field
            area = _abi.Field(
                width=image.view.width, height=image.view.height, x=x, y=y, seen_width=width, seen_height=height)
            options.field = ctypes.pointer(area)
        out = ctypes.c_void_p()
        library.limpid_render(
            ctypes.byref(view), image and ctypes.byref(image.view), ctypes.byref(options), ctypes.byref(out))
        return NativeImage(out.value)


class Explanation:
    """Why the model sees one class (or why not) in one image.

    It can be pickled, and is then all of itself: map, grid, details, and the image under its drawings.
    """

    def __init__(
        self, native: NativeExplanation, index: int, image_index: int, image: Image, label: Optional[str],
    ) -> None:
        self._facts: _Facts = _Native(native, index)
        self._image: Optional[Image] = image if image.has_pixels else None
        #: Which of the images that were given, from 0.
        self.image_index = image_index
        #: The class's name; None where the model has no labels.
        self.label = label

    @property
    def class_index(self) -> int:
        """The class that is explained; -1 where the model has none."""
        return self._facts.class_index

    @property
    def score(self) -> float:
        """The model's own score (logit) of the class, with its sign."""
        return self._facts.score

    @property
    def degenerate(self) -> bool:
        """Whether the map says nothing, because it is constant but for rounding, or not finite."""
        return self._facts.degenerate

    @property
    def method(self) -> str:
        """The method that made it."""
        return self._facts.method

    @property
    def parameters(self) -> Dict[str, Union[float, str]]:
        """Every parameter of the method with the value that was used."""
        return dict(self._facts.parameters)

    @property
    def seed(self) -> int:
        """Of the method's random numbers; 0 where it draws none."""
        return self._facts.seed

    @property
    def details(self) -> Dict[str, NDArray[Any]]:
        """Arrays that the method gives beside the map, by their names; copies."""
        return {name: array.copy() for name, array in self._facts.details.items()}

    @property
    def field(self) -> Tuple[float, float, float, float]:
        """(x, y, width, height) of what the model saw, in pixels of the image: what `grid` covers."""
        return self._facts.field

    @property
    def filter(self) -> Optional[int]:
        """The filter that the method "lavise" looked at."""
        return self._facts.filter

    @property
    def words(self) -> List[Tuple[str, float]]:
        """[(word, similarity)] for what that filter sees, nearest first; none where it is inactive."""
        return list(self._facts.words)

    @property
    def map(self) -> NDArray[np.float32]:
        """float32 [height, width] of the image; a copy."""
        return self._facts.map.copy()

    @property
    def grid(self) -> NDArray[np.float32]:
        """The map as the method made it, float32 [rows, columns], over what the model saw; a copy."""
        return self._facts.grid.copy()

    @property
    def range(self) -> Tuple[float, float]:
        """The values of the map that drawing gives the first and the last colour."""
        return self._facts.range

    def overlay(
        self, colormap: Optional[str] = None, opacity: float = 0.0, style: Optional[str] = None,
        size: Optional[Tuple[int, int]] = None, scale: int = 1,
    ) -> Drawing:
        """The map in colours over the image (over nothing where a tensor was explained).

        colormap: one of `limpid.colormaps()`; opacity: above 0, to 1; style: "default", "scouter" or
        "tame"; size: (width, height). Each has a default of the style's. scale: every pixel of the image
        first becomes a square of so many. What the model did not see stays as it is; the styles of papers
        draw on the image as the model saw it. Returns a Pillow image, or without Pillow a uint8 array
        [height, width, 3].
        """
        return self._render(colormap, opacity, style, size, scale).image()

    def save(
        self, path: PathLike, *, colormap: Optional[str] = None, opacity: float = 0.0, style: Optional[str] = None,
        size: Optional[Tuple[int, int]] = None, scale: int = 1, quality: int = 0,
    ) -> None:
        """Writes the overlay, with the options of `overlay`, to a PNG file, or to a JPEG file by the name's ending.

        quality: of JPEG, 1 to 100; 0 for 85.
        """
        suffix = os.path.splitext(os.fsdecode(path_bytes(path)))[1].lower()
        is_jpeg = suffix in (".jpg", ".jpeg")
        if not is_jpeg and suffix not in ("", ".png"):
            raise InvalidArgument(
                f"save writes PNG and JPEG files, not {suffix}; overlay().save({os.fspath(path)!r}) writes others")
        if not isinstance(quality, int):
            raise InvalidType(f"quality is a whole number; not {quality!r}")
        if quality and not is_jpeg:
            raise InvalidArgument("quality is of JPEG files; PNG files lose nothing")
        image = self._render(colormap, opacity, style, size, scale)
        with naming_file(path) as name:
            if is_jpeg:
                library.limpid_save_jpeg(ctypes.byref(image.view), quality, name)
            else:
                library.limpid_save_png(ctypes.byref(image.view), name)

    def _render(
        self, colormap: Optional[str] = None, opacity: float = 0.0, style: Optional[str] = None,
        size: Optional[Tuple[int, int]] = None, scale: int = 1,
    ) -> NativeImage:
        try:
            width, height = size or (0, 0)
        except (TypeError, ValueError):
            raise InvalidArgument(f"size is (width, height); not {size!r}") from None
        with Interruption() as interruption:
            options = _abi.RenderOptions(
                colormap=encoded(colormap), style=encoded(style), opacity=opacity,
                width=width, height=height, scale=scale, progress=interruption.callback)
            return self._facts.draw(self._image, options)

    def _report_item(self, name: Optional[str]) -> _abi.ReportItem:
        """Raises InvalidArgument where a page cannot show it."""
        if self._image is None:
            raise InvalidArgument("an explanation of a tensor, which a page cannot show; explain its image")
        if not isinstance(self._facts, _Native):
            raise InvalidArgument("an explanation out of a pickle; make the page where it was explained")
        handle, index = self._facts.at
        return _abi.ReportItem(name=encoded(name), image=self._image.view, explanation=handle.pointer, index=index)

    # -- Notebooks

    def _repr_png_(self) -> bytes:
        rows, columns = (self._image.view.height, self._image.view.width) if self._image else self._facts.map.shape
        side = max(rows, columns)
        size = None if side <= _NOTEBOOK_SIDE else (
            max(1, columns * _NOTEBOOK_SIDE // side), max(1, rows * _NOTEBOOK_SIDE // side))
        image = self._render(size=size)
        out = ctypes.c_void_p()
        library.limpid_encode_png(ctypes.byref(image.view), ctypes.byref(out))
        try:
            return ctypes.string_at(library.limpid_bytes_data(out), library.limpid_bytes_size(out))
        finally:
            library.limpid_bytes_free(out)

    def _repr_html_(self) -> str:
        name = f"class {self.class_index}" if self.label is None else self.label
        picture = base64.b64encode(self._repr_png_()).decode()
        return (
            f'<figure><img src="data:image/png;base64,{picture}" alt="{html.escape(name)}">'
            f"<figcaption><b>{html.escape(name)}</b>, score {self.score:.4g}, {html.escape(self.method)}"
            f"{': a map that says nothing' if self.degenerate else ''}</figcaption></figure>")

    def __repr__(self) -> str:
        name = f"{self.class_index}" if self.label is None else f"{self.class_index} {self.label!r}"
        return f"<limpid.Explanation of image {self.image_index}, class {name}, score {self.score:g}>"

    # -- Pickles

    def __getstate__(self) -> Dict[str, Any]:
        facts, image = self._facts, self._image
        if isinstance(facts, _Native):
            shown = None if image is None else facts.seen(image)
            if shown is not None and image is not None and np.array_equal(shown, image.pixels()):
                shown = None
            known = {field.name: getattr(facts, field.name) for field in fields(_Stored) if field.name != "shown"}
            facts = _Stored(**known, shown=shown)
        return {
            "facts": facts, "pixels": image and image.pixels(), "image_index": self.image_index, "label": self.label}

    def __setstate__(self, state: Dict[str, Any]) -> None:
        self._facts = state["facts"]
        self._image = None if state["pixels"] is None else view_pixels(state["pixels"])
        self.image_index = state["image_index"]
        self.label = state["label"]


def _array(view: _abi.MapView) -> NDArray[np.float32]:
    return np.ctypeslib.as_array(view.values, (view.height, view.width)).astype(np.float32)
