"""The samples of an evaluation, and where their images come from."""

from __future__ import annotations

import ctypes
import os
import tempfile
import weakref
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from . import _abi
from ._errors import InvalidArgument
from ._evaluation_options import NamedUses, class_file, class_names, fill, fill_explained
from ._given import Gone, image_of, is_batch, is_file, read_item, stamp_of
from ._images import Image, is_stream
from ._interruption import Interruption
from ._library import Handle, encoded, library, path_bytes, taken
from ._options import name_array
from ._remote import Mirror, RemoteFile, is_url, read_url

if TYPE_CHECKING:
    from ._model import Model


class Samples:
    """The data set of an evaluation: the library's, or the caller's images, one by one."""

    #: What makes the same evaluation in another process.
    recipe: Dict[str, Any]
    _methods: NamedUses
    _metrics: NamedUses
    #: Images of the caller's, by sample.
    _given: List[Any]
    #: Images of the caller's that come one after the other; None: none.
    _stream: Optional[Iterator[Any]]
    _mirror: Optional[Mirror]

    def _create(self, model: Any, data: Any) -> None:
        recipe = self.recipe
        model = opened(model)
        options = _abi.EvaluationOptions(
            format=encoded(recipe["format"]), split=encoded(recipe["split"]), first_classes=recipe["first_classes"],
            limit=recipe["limit"], sample=recipe["sample"], seed=recipe["seed"], confidence=recipe["confidence"],
            resamples=recipe["resamples"] or -1, high_byte=bool(recipe["high_byte"]), bits=recipe["bits"] or 0)
        given = None
        if isinstance(data, Mapping):
            data = list(data.items())
        with Interruption() as interruption, tempfile.TemporaryDirectory(prefix="limpid-") as folder:
            if is_stream(data):
                given, self._stream = [], iter(data)
            elif data is None or isinstance(data, (list, tuple)) or is_batch(data):
                given = [read_item(item) for item in (() if data is None else data)]
                # What workers get too.
                recipe["data"] = given if data is not None else None
            if given is not None:
                if any(recipe[name] for name in ("format", "images", "split", "limit", "sample", "first_classes")):
                    raise InvalidArgument("images in memory are evaluated as they are given: take a part of the list")
            else:
                self._mirror = mirror = Mirror(data, recipe["images"])
                options.data, options.data_name = path_bytes(mirror.data), encoded(mirror.name)
                options.images = mirror.images and path_bytes(mirror.images)
            if recipe["classes"] is not None and given is None:
                options.class_file = path_bytes(class_file(recipe["classes"], folder))
            keep = [fill(options, recipe, self._methods, self._metrics, interruption)]
            fill_explained(options, recipe["explain"], model, keep)
            out = ctypes.c_void_p()
            library.limpid_evaluation_create(model._handle, ctypes.byref(options), ctypes.byref(out))
        self._handle = Handle(out.value, library.limpid_evaluation_free)
        self._model = model
        for item in given or ():
            self._add_given(item)
        # Those of an iterator, and of `record(index, data)`, cannot be had again: the library keeps what it will show.
        if given or (self._mirror is not None and self._mirror.is_remote):
            self._lend_files()

    def _lend_files(self) -> None:
        """Has the library ask here for files that it cannot open: for the images of the report."""
        this = weakref.ref(self)
        lent: List[Optional[bytes]] = []

        def give(user: Any, index: int, data: Any, size: Any) -> int:
            evaluation = this()
            try:
                lent[:] = [evaluation._bytes(index) if evaluation else None]
            except Exception:  # whatever a file system of fsspec's raises
                return 1
            if lent[0] is not None:
                data[0], size[0] = ctypes.cast(ctypes.c_char_p(lent[0]), ctypes.c_void_p).value, len(lent[0])
            return 0

        self._callback = _abi.FileCallback(give)
        library.limpid_evaluation_set_files(self._handle, self._callback, None)

    def _add_given(self, item: Tuple[Any, Any]) -> int:
        image, truth = item
        names = self.recipe["classes"]
        if isinstance(truth, str) and names is not None:
            known = class_names(names)
            if truth not in known:
                raise InvalidArgument(f"the class {truth!r} is not among the {len(known)} of `classes`")
            truth = known.index(truth)
        name = str(os.fspath(image)) if isinstance(image, (str, os.PathLike)) else f"image {len(self._given)}"
        number = -1 if truth is None else self._model._class_index(truth)
        index = self.add_sample(name, number if number >= 0 else None, stamp=stamp_of(image))
        self._given[-1] = image
        return index

    def add_sample(
        self, name: str, truth: Optional[int] = None, boxes: Any = (), *, words: Optional[Sequence[str]] = None, stamp: str = "",
    ) -> int:
        """A sample whose file you have; returns its index, for `record`.

        boxes: x1, y1, x2, y2 of its objects. words: what each of them is, for the metric "recall". stamp: a text that is another where the file is (a digest, or size and time), by
        which a store tells whether its record holds still.
        """
        try:
            corners = np.ascontiguousarray(boxes, np.float64).reshape(-1, 4)
        except (TypeError, ValueError):
            raise InvalidArgument(f"boxes are x1, y1, x2, y2 each; not {boxes!r}") from None
        index = ctypes.c_size_t()
        library.limpid_evaluation_add_sample(
            self._handle, path_bytes(name), -1 if truth is None else truth,
            corners.ctypes.data_as(ctypes.POINTER(ctypes.c_double)), len(corners),
            ctypes.byref(index))
        if words is not None:
            library.limpid_evaluation_name_boxes(self._handle, index.value, name_array(words), len(words))
        if stamp:
            library.limpid_evaluation_stamp_sample(self._handle, index.value, encoded(stamp))
        self._given.append(None)
        return index.value

    def __len__(self) -> int:
        return int(library.limpid_evaluation_count(self._handle))

    def _pixels(self, index: int) -> Optional[Image]:
        """The pixels of a sample that was given as such."""
        image = self._given[index] if index < len(self._given) else None
        return None if image is None or image is Gone or is_file(image) else image_of(image, self._model)

    def _bytes(self, index: int) -> Optional[bytes]:
        """The file of a sample that the library cannot open."""
        pixels = self._pixels(index)
        if pixels is not None:
            if pixels.view.format in (_abi.GRAY16, _abi.RGB16):  # so that all bits of the file are read
                library.limpid_evaluation_show_image(self._handle, index, ctypes.byref(pixels.view))
            out = ctypes.c_void_p()
            library.limpid_encode_png(ctypes.byref(pixels.view), ctypes.byref(out))
            return taken(out.value)
        if index < len(self._given):
            image = self._given[index]
            if image is Gone:
                raise InvalidArgument(f"image {index} came from an iterator, and is gone")
            if image is None:
                raise InvalidArgument(f"the file of sample {index} is yours to give: record(index, data)")
        elif self._mirror is not None and self._mirror.is_remote:
            image = self._mirror.url(library.limpid_evaluation_sample_path(self._handle, index))
        else:
            return None
        if isinstance(image, RemoteFile):
            return image.read()
        return read_url(image) if isinstance(image, (str, os.PathLike)) else bytes(image)


def opened(model: Any) -> Model:
    """A `Model`, of one or of what it is made of."""
    from ._model import Model
    if isinstance(model, Model):
        return model
    return Model(read_url(model) if is_url(model) else model)
