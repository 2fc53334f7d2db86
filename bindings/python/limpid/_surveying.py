"""What layers of a model do over many images: words for filters, and what is usual."""

from __future__ import annotations

import ctypes
import operator
import os
from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Optional, Union

import numpy as np

from ._errors import InvalidArgument, InvalidType
from ._filters import FilterName, NativeFilterNames, Source
from ._images import is_stream
from ._interruption import Interruption, Progress
from ._library import Handle, library
from ._loaded import LoadedModel
from ._options import run_options
from ._tensors import arrays_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._images import ImageLike, Images
    from ._options import Names


class Surveying(LoadedModel):
    """Looks at layers over many images."""

    def name_filters(
        self, images: Union[ImageLike, Iterable[ImageLike]], filters: Optional[Iterable[int]] = None, *,
        images_per_filter: int = 25, words: int = 5, output_words: int = 10, attention: str = "projection",
        weighting: str = "once", quantile: float = 0.995, threads: int = 0, batch_size: int = 0,
        progress: Optional[Progress] = None,
    ) -> List[FilterName]:
        """Words for filters of the layer that a LaViSE model explains.

        images: what `classify` takes, or a list or iterator of it; files are read one by one, as they are needed. filters: their
        numbers; None for every one. Of the `images_per_filter` images that excite a filter most, the `words` nearest
        words each are counted. attention: "projection", "activation", "image" or "original". weighting: what an
        image's words count: "once", or its largest activation, "floor", "ceiling" or "enlarged" (floor of the
        enlarged map's). quantile: the share of activations outside of a filter's region.
        """
        is_list = isinstance(images, (list, tuple)) or is_stream(images)
        several: Any = images if is_list else ()
        items: List[Any] = list(several)
        try:
            numbers = None if filters is None else [operator.index(f) for f in filters]
        except TypeError:
            raise InvalidType(f"filters are a list of numbers; not {filters!r}") from None
        if any(not 0 <= number < 2**31 for number in numbers or ()):
            raise InvalidArgument(f"filters are numbers from 0; not {filters!r}")
        wanted = None if numbers is None else (ctypes.c_int32 * len(numbers))(*numbers)
        parameters = dict(
            images_per_filter=images_per_filter, words=words, output_words=output_words, quantile=quantile,
            attention=attention, weighting=weighting)
        out = ctypes.c_void_p()
        with Interruption(progress) as interruption:
            options = run_options(interruption, parameters, threads=threads, batch_size=batch_size)
            rest = (wanted, len(numbers or ()), options, ctypes.byref(out))
            if not is_list or all(isinstance(item, np.ndarray) and item.ndim <= 3 for item in items):
                batch = self._batch(items if is_list else images, interruption)
                library.limpid_name_filters(self._handle, batch.views, len(batch), *rest)
            else:
                source = Source(items, self._form, interruption)
                library.limpid_name_filters_from(self._handle, source.callback, None, len(items), *rest)
        return NativeFilterNames(out.value).names(numbers)

    def estimate(
        self, images: Union[Images, Iterable[ImageLike]], layer: Optional[Names] = None, *,
        save: Union[bool, str, "os.PathLike[str]"] = False, threads: int = 0, batch_size: int = 0,
        progress: Optional[Progress] = None,
    ) -> Dict[str, NDArray[np.float32]]:
        """What is usual for a layer over many images, for methods that need to know it: {"mean", "std", "active"},
        [channels, rows, columns] each, to be fed as draws of `iba`.

        images: what `classify` takes, or a list or iterator of it; files are read one by one, as they are needed. layer: the value;
        None for the model's own choice. save: True keeps them beside the model's file, where `iba` finds them from then on;
        a path: in that file (safetensors).
        """
        out = ctypes.c_void_p()
        with Interruption(progress) as interruption:
            options = run_options(interruption, layer=layer, threads=threads, batch_size=batch_size)
            if isinstance(images, (list, tuple)) or is_stream(images):
                several: Any = images
                items: List[Any] = list(several)
                source = Source(items, self._form, interruption)
                library.limpid_estimate_from(
                    self._handle, source.callback, None, len(items), options, ctypes.byref(out))
            else:
                batch = self._batch(images, interruption)
                library.limpid_estimate(self._handle, batch.views, len(batch), options, ctypes.byref(out))
        found = Handle(out.value, library.limpid_tensors_free)
        if save:
            library.limpid_store_statistics(self._handle, found, None if save is True else os.fsencode(save))
        return arrays_of(found)
