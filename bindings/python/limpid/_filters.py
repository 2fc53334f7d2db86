"""Words for the filters of a network."""

from __future__ import annotations

import ctypes
import math
from typing import TYPE_CHECKING, Any, Callable, List, NamedTuple, Optional, Sequence, Tuple

from . import _abi
from ._errors import InvalidArgument
from ._images import Batch, ImageForm
from ._interruption import Interruption
from ._library import Handle, library, text

if TYPE_CHECKING:
    from ._images import ImageLike


class FilterImage(NamedTuple):
    """An image that excites a filter."""

    #: Which of the images that were given, from 0.
    index: int  # type: ignore[assignment]
    #: The filter's largest activation in it.
    activation: float
    #: [(word, similarity)] for what the filter sees in it, nearest first.
    words: List[Tuple[str, float]]


class FilterName(NamedTuple):
    """What a filter is called, and after which images."""

    filter: int
    #: [(word, count)], most common first.
    words: List[Tuple[str, float]]
    #: Most exciting first; empty where the filter is inactive.
    images: List[FilterImage]
    #: What activations of the filter's region are above; None where the method needs no region.
    threshold: Optional[float]

    @property
    def inactive(self) -> bool:
        """Whether no image excites the filter."""
        return not self.images


class NativeFilterNames:
    """What limpid_name_filters gives, freed with this object."""

    def __init__(self, handle: Any) -> None:
        self._handle = Handle(handle, library.limpid_filter_names_free)

    def names(self, filters: Optional[Sequence[int]]) -> List[FilterName]:
        """A FilterName for each of `filters`; None: for each filter of the layer."""
        count = library.limpid_filter_names_filter_count(self._handle)
        return [self._name(place, number) for place, number in enumerate(range(count) if filters is None else filters)]

    def _name(self, place: int, number: int) -> FilterName:
        threshold = library.limpid_filter_names_threshold(self._handle, place)
        images = [self._image(place, rank)
                  for rank in range(library.limpid_filter_names_image_count(self._handle, place))]
        words = pairs(library.limpid_filter_names_word, self._handle, place)
        return FilterName(number, words, images, None if math.isnan(threshold) else threshold)

    def _image(self, place: int, rank: int) -> FilterImage:
        activation = ctypes.c_float()
        index = library.limpid_filter_names_image(self._handle, place, rank, ctypes.byref(activation))
        words = pairs(library.limpid_filter_names_image_word, self._handle, place, rank)
        return FilterImage(index, activation.value, words)


def pairs(function: Callable[..., Optional[bytes]], *arguments: Any) -> List[Tuple[str, float]]:
    """[(word, number)] that an indexed function gives until it gives NULL."""
    found: List[Tuple[str, float]] = []
    number = ctypes.c_float()
    while (word := function(*arguments, len(found), ctypes.byref(number))) is not None:
        found.append((text(word), number.value))
    return found


class Source:
    """Gives the library the images of a list one by one, so that they need not be in memory at once."""

    def __init__(
        self, items: Sequence[ImageLike], form: ImageForm, interruption: Interruption,
    ) -> None:
        self._items, self._form, self._interruption = items, form, interruption
        self._current: Optional[Batch] = None
        self.callback = _abi.ImageCallback(self._give)

    def _give(self, user: Any, index: int, view: Any) -> int:
        try:
            self._current = Batch(self._items[index], self._form, self._interruption)
            if len(self._current) != 1:
                raise InvalidArgument(f"image {index} is a list of images")
            view[0] = self._current.views[0]
            return 0
        except BaseException as error:  # KeyboardInterrupt and SystemExit too
            self._interruption.stop(error)
            return 1
