"""What a model says of images: scores, and any of its values."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any, Dict, Iterable, Optional, Union

import numpy as np

from ._errors import InvalidArgument
from ._images import Batch, NativeImage, is_stream
from ._interruption import Interruption, Progress
from ._library import library
from ._loaded import LoadedModel
from ._model_facts import Scores
from ._options import name_array, run_options
from ._streams import STREAMED, chunks
from ._tensors import Feeds, address, taken_arrays

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._images import Drawing, ImageLike, Images
    from ._options import Names
    from ._tensors import Arrays


class Running(LoadedModel):
    """Runs a model, or a part of it."""

    def classify(
        self, x: Union[Images, Iterable[ImageLike]], *, output: Optional[str] = None, feeds: Optional[Arrays] = None,
        threads: int = 0, batch_size: int = 0, progress: Optional[Progress] = None,
    ) -> NDArray[np.float32]:
        """Probabilities, float32 [images, classes]; [classes] for a single image. Of a regression, its values.

        x: a path, the bytes of a PNG, JPEG or WebP file, an open file, a Pillow image, a uint8 array [height, width, 3],
        a floating-point tensor [channels, height, width] (of a channels-last model [height, width, channels]) that the
        model takes as it is, a batch [images, …] of these arrays, or a list of any of these. Of an iterator, only
        `batch_size` images (8) are in memory at once. output: the output that
        holds the scores, where several could. feeds: {name: array} of further inputs, [1, …] or [images, …].
        progress: called with (done, total), False stops; or a bar of tqdm, or tqdm itself.
        """
        if is_stream(x):
            count = self._class_count(output)
            rows = [
                self.classify(images, output=output, feeds=feeds, threads=threads, batch_size=batch_size, progress=report)
                for images, report in chunks(x, batch_size or STREAMED, progress)]
            return np.concatenate(rows) if rows else np.empty((0, count), np.float32)
        with Interruption(progress) as interruption:
            batch = self._batch(x, interruption)
            count = self._class_count(output) or self._open_class_count(batch, output, feeds)
            result = np.empty((len(batch), count), np.float32)
            options = run_options(
                interruption, threads=threads, batch_size=batch_size, output=output, feeds=feeds)
            library.limpid_classify(
                self._handle, batch.views, len(batch), options, address(result), result.size)
        return result[0] if batch.single else result

    def _open_class_count(self, batch: Batch, output: Optional[str], feeds: Optional[Arrays]) -> int:
        """How many scores an image gets, where that depends on what is fed: the model runs once more for it."""
        name = output or (self._scores.output if self._scores else None)
        # Where no image can be fed, or no output has scores, the library says so.
        if not len(batch) or name is None or self._image_layout is None:
            return 0
        out = ctypes.c_void_p()
        library.limpid_fetch(
            self._handle, batch.views, len(batch), name_array([name]), 1, run_options(Interruption(None), feeds=feeds),
            ctypes.byref(out))
        count = int(taken_arrays(out)[name].size // len(batch))
        # A single score decides between two classes, where it is no value of its own.
        is_value = self._scores is not None and self._scores == Scores("values", name)
        return 2 if count == 1 and not is_value else count

    def fetch(
        self, x: Images, names: Names, *, feeds: Optional[Arrays] = None, threads: int = 0, batch_size: int = 0,
        progress: Optional[Progress] = None,
    ) -> Dict[str, NDArray[Any]]:
        """The named values, outputs or inner ones, [images, …] each. x, feeds, progress: as for `classify`."""
        wanted = name_array(names)
        out = ctypes.c_void_p()
        with Interruption(progress) as interruption:
            batch = self._batch(x, interruption)
            options = run_options(interruption, threads=threads, batch_size=batch_size, feeds=feeds)
            library.limpid_fetch(
                self._handle, batch.views, len(batch), wanted, len(wanted), options, ctypes.byref(out))
        return taken_arrays(out)

    def run(
        self, feeds: Arrays, names: Optional[Names] = None, *, threads: int = 0, progress: Optional[Progress] = None,
    ) -> Dict[str, NDArray[Any]]:
        """Runs the model, or the part of it between them, from the arrays `feeds` to the values `names`.

        feeds: {name: array}, with no preprocessing. names: None for the model's outputs.
        """
        fed = Feeds(feeds)
        wanted = self._all_outputs if names is None else name_array(names)
        out = ctypes.c_void_p()
        with Interruption(progress) as interruption:
            options = run_options(interruption, threads=threads)
            library.limpid_run(
                self._handle, fed.views, len(fed), wanted, len(wanted), options, ctypes.byref(out))
        return taken_arrays(out)

    def preprocess(self, x: ImageLike, *, progress: Optional[Progress] = None) -> Drawing:
        """The image as the model sees it, resized and cropped: a Pillow image, or without Pillow an array."""
        out = ctypes.c_void_p()
        with Interruption(progress) as interruption:
            batch = self._batch(x, interruption)
            if len(batch) != 1:
                raise InvalidArgument(f"preprocess takes one image, not {len(batch)}")
            library.limpid_model_preprocess_with(self._handle, batch.views, run_options(interruption), ctypes.byref(out))
        return NativeImage(out.value).image()
