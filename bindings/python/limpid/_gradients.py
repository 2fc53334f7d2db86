"""The gradients of a model."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any, Dict, Optional, Sequence, Union, overload

import numpy as np

from ._interruption import Interruption, Progress
from ._library import library
from ._loaded import LoadedModel
from ._options import name_array, run_options
from ._tensors import Feeds, taken_arrays

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._classes import Classes
    from ._images import Images
    from ._options import Names
    from ._tensors import Arrays


class Differentiating(LoadedModel):
    """Differentiates a model."""

    @overload
    def gradient(
        self, x: Images, classes: Optional[Classes] = None, *, wrt: str = "input", of: str = "logit",
        output: Optional[str] = None, feeds: Optional[Arrays] = None, draws: Optional[Arrays] = None, threads: int = 0,
        batch_size: int = 0, progress: Optional[Progress] = None, **parameters: Any,
    ) -> NDArray[np.float32]: ...
    @overload
    def gradient(
        self, x: Images, classes: Optional[Classes] = None, *, wrt: Sequence[str], of: str = "logit",
        output: Optional[str] = None, feeds: Optional[Arrays] = None, draws: Optional[Arrays] = None, threads: int = 0,
        batch_size: int = 0, progress: Optional[Progress] = None, **parameters: Any,
    ) -> Dict[str, NDArray[np.float32]]: ...
    def gradient(
        self, x: Images, classes: Optional[Classes] = None, *, wrt: Union[str, Sequence[str]] = "input",
        of: str = "logit", output: Optional[str] = None, feeds: Optional[Arrays] = None,
        draws: Optional[Arrays] = None, threads: int = 0, batch_size: int = 0, progress: Optional[Progress] = None,
        **parameters: Any,
    ) -> Union[NDArray[np.float32], Dict[str, NDArray[np.float32]]]:
        """The gradients of each class's score by `wrt`: [images · classes, …], image by image.

        x, classes, output, feeds, progress: as for `explain`. wrt: a value of the model, a module of the program that
        exported it ("layer4"), or "input", [channels, height, width] whatever the model's arrangement; of a list of these
        a dict. of: "logit", even where the model ends in a softmax or sigmoid, "probability", "log-probability", or
        "similarity", the cosine of the output and the vector draws={"embedding": ...}. parameters: sign=-1 for evidence
        against the class, versus=c for the difference to class c. Of an `output` with an extent in space the scores of a
        class are summed over its positions, each times its number of draws={"mask": ...}.
        """
        wanted = name_array(wrt)
        out = ctypes.c_void_p()
        with Interruption(progress) as interruption:
            batch = self._batch(x, interruption)
            indices, per_image = self._class_indices(classes, len(batch))
            options = run_options(
                interruption, {"of": of, **parameters}, threads=threads, batch_size=batch_size, output=output,
                feeds=feeds, draws=draws)
            library.limpid_gradient(
                self._handle, batch.views, len(batch), indices, per_image, wanted, len(wanted), options,
                ctypes.byref(out))
        arrays = taken_arrays(out)
        return arrays[wrt] if isinstance(wrt, str) else arrays

    def run_gradient(
        self, feeds: Arrays, of: str, wrt: Names, *, weights: Optional[NDArray[Any]] = None, threads: int = 0,
        progress: Optional[Progress] = None,
    ) -> Dict[str, NDArray[Any]]:
        """The gradients of sum(weights * value `of`) by the values `wrt`, inputs or inner ones, in their shapes.

        feeds: {name: array}, with no preprocessing. weights: an array of the shape of `of`; None for ones.
        """
        fed = Feeds(feeds)
        wanted = name_array(wrt)
        target = Feeds({of: np.float32(0) if weights is None else np.asarray(weights, np.float32)})
        if weights is None:
            target.views[0].data = None
        out = ctypes.c_void_p()
        with Interruption(progress) as interruption:
            options = run_options(interruption, threads=threads)
            library.limpid_run_gradient(
                self._handle, fed.views, len(fed), target.views, wanted, len(wanted), options, ctypes.byref(out))
        return taken_arrays(out)
