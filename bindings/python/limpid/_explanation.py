"""Why the model sees a class in an image."""

import ctypes
import os
import weakref

import numpy as np

from . import _abi
from ._errors import InvalidArgument
from ._filters import pairs
from ._images import NativeImage
from ._library import encoded, library, path_bytes, text
from ._options import used_parameters
from ._tensors import view_array


class NativeExplanation:
    """What limpid_explain gives, freed with this object."""

    def __init__(self, handle):
        self.handle = handle
        weakref.finalize(self, library.limpid_explanation_free, handle)

    def __len__(self):
        return library.limpid_explanation_count(self.handle)


class Explanation:
    """Why the model sees one class (or why not) in one image."""

    def __init__(self, native, index, image_index, image, label):
        self._native = native
        self._index = index
        self._image = image
        #: Which of the images that were given, from 0.
        self.image_index = image_index
        #: The class's name; None where the model has no labels.
        self.label = label

    @property
    def class_index(self) -> int:
        """The class that is explained; -1 where the model has none."""
        return library.limpid_explanation_class(self._native.handle, self._index)

    @property
    def score(self) -> float:
        """The model's own score (logit) of the class, with its sign."""
        return library.limpid_explanation_score(self._native.handle, self._index)

    @property
    def degenerate(self) -> bool:
        """Whether the map says nothing, because it is constant but for rounding, or not finite."""
        return bool(library.limpid_explanation_is_degenerate(self._native.handle, self._index))

    @property
    def method(self) -> str:
        """The method that made it."""
        return text(library.limpid_explanation_method(self._native.handle))

    @property
    def parameters(self) -> "dict[str, float | str]":
        """Every parameter of the method with the value that was used."""
        return used_parameters(library.limpid_explanation_parameter, self._native.handle)

    @property
    def seed(self) -> int:
        """Of the method's random numbers; 0 where it draws none."""
        return library.limpid_explanation_seed(self._native.handle)

    @property
    def details(self) -> "dict[str, np.ndarray]":
        """Arrays that the method gives beside the map, by their names; copies."""
        handle = self._native.handle
        views = [library.limpid_explanation_detail(handle, self._index, i)
                 for i in range(library.limpid_explanation_detail_count(handle, self._index))]
        return {text(view.name): view_array(view) for view in views}

    @property
    def field(self) -> "tuple[float, float, float, float]":
        """(x, y, width, height) of what the model saw, in pixels of the image: what `grid` covers."""
        found = library.limpid_explanation_field(self._native.handle, self._index)
        return found.x, found.y, found.seen_width, found.seen_height

    @property
    def filter(self) -> "int | None":
        """The filter that the method "lavise" looked at."""
        found = library.limpid_explanation_filter(self._native.handle, self._index)
        return None if found < 0 else found

    @property
    def words(self) -> "list[tuple[str, float]]":
        """[(word, similarity)] for what that filter sees, nearest first; none where it is inactive."""
        return pairs(library.limpid_explanation_word, self._native.handle, self._index)

    @property
    def map(self) -> np.ndarray:
        """float32 [height, width] of the image; a copy."""
        return _array(self._map_view())

    @property
    def grid(self) -> np.ndarray:
        """The map as the method made it, float32 [rows, columns], over what the model saw; a copy."""
        return _array(library.limpid_explanation_grid(self._native.handle, self._index))

    @property
    def range(self) -> "tuple[float, float]":
        """The values of the map that drawing gives the first and the last colour."""
        view = self._map_view()
        return view.minimum, view.maximum

    def overlay(self, colormap=None, opacity=0.0, style=None, size=None, scale=1):
        """The map in colours over the image (over nothing where a tensor was explained).

        colormap: one of `limpid.colormaps()`; opacity: above 0, to 1; style: "default", "scouter" or
        "tame"; size: (width, height). Each has a default of the style's. scale: every pixel of the image
        first becomes a square of so many. What the model did not see stays as it is; the styles of papers
        draw on the image as the model saw it. Returns a Pillow image, or without Pillow a uint8 array
        [height, width, 3].
        """
        return self._render(colormap, opacity, style, size, scale).image()

    def save(self, path, **options):
        """Writes the overlay, with the options of `overlay`, to a PNG file."""
        suffix = os.path.splitext(os.fsdecode(path))[1].lower()
        if suffix not in ("", ".png"):
            raise InvalidArgument(
                f"save writes PNG files, not {suffix}; overlay().save({os.fspath(path)!r}) writes others")
        image = self._render(**options)
        library.limpid_save_png(ctypes.byref(image.view), path_bytes(path))

    def _render(self, colormap=None, opacity=0.0, style=None, size=None, scale=1):
        width, height = size or (0, 0)
        options = _abi.RenderOptions(
            colormap=encoded(colormap), style=encoded(style), opacity=opacity,
            width=width, height=height, scale=scale)
        under = ctypes.byref(self._image.view) if self._image.has_pixels else None
        out = ctypes.c_void_p()
        library.limpid_explanation_render(
            self._native.handle, self._index, under, ctypes.byref(options), ctypes.byref(out))
        return NativeImage(out.value)

    def _map_view(self):
        return library.limpid_explanation_map(self._native.handle, self._index)

    def __repr__(self):
        name = f"{self.class_index}" if self.label is None else f"{self.class_index} {self.label!r}"
        return f"<limpid.Explanation of image {self.image_index}, class {name}, score {self.score:g}>"


def _array(view):
    return np.ctypeslib.as_array(view.values, (view.height, view.width)).copy()
