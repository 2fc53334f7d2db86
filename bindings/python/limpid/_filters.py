"""Words for the filters of a network."""

import ctypes
import math
import weakref
from typing import NamedTuple, Optional

from . import _abi
from ._images import Batch
from ._library import library, text


class FilterImage(NamedTuple):
    """An image that excites a filter."""

    #: Which of the images that were given, from 0.
    index: int
    #: The filter's largest activation in it.
    activation: float
    #: [(word, similarity)] for what the filter sees in it, nearest first.
    words: "list[tuple[str, float]]"


class FilterName(NamedTuple):
    """What a filter is called, and after which images."""

    filter: int
    #: [(word, count)], most common first.
    words: "list[tuple[str, float]]"
    #: Most exciting first; empty where the filter is inactive.
    images: "list[FilterImage]"
    #: What activations of the filter's region are above; None where the method needs no region.
    threshold: Optional[float]

    @property
    def inactive(self) -> bool:
        """Whether no image excites the filter."""
        return not self.images


class NativeFilterNames:
    """What limpid_name_filters gives, freed with this object."""

    def __init__(self, handle):
        self._handle = handle
        weakref.finalize(self, library.limpid_filter_names_free, handle)

    def names(self, filters):
        """A FilterName for each of `filters`; None: for each filter of the layer."""
        count = library.limpid_filter_names_filter_count(self._handle)
        return [self._name(place, number) for place, number in enumerate(range(count) if filters is None else filters)]

    def _name(self, place, number):
        threshold = library.limpid_filter_names_threshold(self._handle, place)
        images = [self._image(place, rank)
                  for rank in range(library.limpid_filter_names_image_count(self._handle, place))]
        words = pairs(library.limpid_filter_names_word, self._handle, place)
        return FilterName(number, words, images, None if math.isnan(threshold) else threshold)

    def _image(self, place, rank):
        activation = ctypes.c_float()
        index = library.limpid_filter_names_image(self._handle, place, rank, ctypes.byref(activation))
        words = pairs(library.limpid_filter_names_image_word, self._handle, place, rank)
        return FilterImage(index, activation.value, words)


def pairs(function, *arguments):
    """[(word, number)] that an indexed function gives until it gives NULL."""
    found, number = [], ctypes.c_float()
    while (word := function(*arguments, len(found), ctypes.byref(number))) is not None:
        found.append((text(word), number.value))
    return found


class Source:
    """Gives the library the images of a list one by one, so that they need not be in memory at once."""

    def __init__(self, items, channels, is_channels_last, interruption):
        self._items, self._form, self._interruption = items, (channels, is_channels_last), interruption
        self._current = None
        self.callback = _abi.ImageCallback(self._give)

    def _give(self, user, index, view):
        try:
            self._current = Batch(self._items[index], *self._form)
            if len(self._current) != 1:
                raise ValueError(f"image {index} is a list of images")
            view[0] = self._current.views[0]
            return 0
        except BaseException as error:  # KeyboardInterrupt and SystemExit too
            self._interruption.stop(error)
            return 1
