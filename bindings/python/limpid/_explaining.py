"""Why a model sees what it sees, and how good such explanations are."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any, Iterable, Iterator, List, Mapping, Optional, Union, overload

from ._classes import listed
from ._errors import InvalidArgument, InvalidType
from ._explanation import Explanation, NativeExplanation
from ._images import is_stream
from ._interruption import Interruption, Progress
from ._library import PathLike, encoded, library
from ._loaded import LoadedModel
from ._measurement import Measurement, measure
from ._options import run_options
from ._report import PageNames, write_report
from ._streams import STREAMED, chunks

if TYPE_CHECKING:
    from ._classes import Classes
    from ._images import ImageLike, Images
    from ._measurement import Maps
    from ._options import Names
    from ._tensors import Arrays


class Explaining(LoadedModel):
    """Explains a model, and measures explanations."""

    @overload
    def explain(  # pyright: ignore[reportOverlappingOverload]  # a string is an iterable of strings
        self, x: Images, method: Optional[str] = None, classes: Optional[Classes] = None, *,
        layer: Optional[Names] = None, draws: Optional[Arrays] = None, output: Optional[str] = None,
        feeds: Optional[Arrays] = None, seed: int = 0, threads: int = 0, batch_size: int = 0,
        progress: Optional[Progress] = None, **parameters: Any,
    ) -> List[Explanation]: ...
    @overload
    def explain(
        self, x: Iterable[ImageLike], method: Optional[str] = None, classes: Optional[Classes] = None, *,
        layer: Optional[Names] = None, draws: Optional[Arrays] = None, output: Optional[str] = None,
        feeds: Optional[Arrays] = None, seed: int = 0, threads: int = 0, batch_size: int = 0,
        progress: Optional[Progress] = None, **parameters: Any,
    ) -> Iterator[Explanation]: ...
    def explain(
        self, x: Any, method: Optional[str] = None, classes: Optional[Classes] = None, *,
        layer: Optional[Names] = None, draws: Optional[Arrays] = None, output: Optional[str] = None,
        feeds: Optional[Arrays] = None, seed: int = 0, threads: int = 0, batch_size: int = 0,
        progress: Optional[Progress] = None, **parameters: Any,
    ) -> Union[List[Explanation], Iterator[Explanation]]:
        """Why the model sees these classes, or why not: image by image, and for each class by class.

        x, output, feeds, progress: as for `classify`. method: the name of one of `methods`; None for the first.
        classes: an index or a label, a list of these for every image, or [images, n] with one row for each; None for
        the class that the model predicts, as is -1 in place of an index. layer: the value that the method
        taps, or a list of several; None for its own choice. draws: {name: array} of random draws and other
        arrays that the method reads. seed: of its random numbers. Every other keyword is a parameter of the
        method: a number, a word, or for some a list of numbers. What the method does not read is refused.

        Of an iterator of images the result is an iterator too, and only `batch_size` images (8) are in memory at once,
        with the explanations that you keep. `classes` are then the same for every image.
        """
        options = dict(
            layer=layer, draws=draws, output=output, feeds=feeds, seed=seed, threads=threads, batch_size=batch_size)
        if not is_stream(x):
            return self._explain(x, method, classes, progress, parameters, options)
        if classes is not None:
            classes = list(listed(classes))
            if any(isinstance(row, (list, tuple)) for row in classes):
                raise InvalidArgument("of an iterator of images, classes are the same for every one, not a row for each")
        return self._explain_stream(x, method, classes, progress, parameters, options)

    def _explain_stream(
        self, x: Iterable[ImageLike], method: Optional[str], classes: Any, progress: Optional[Progress],
        parameters: Mapping[str, Any], options: Mapping[str, Any],
    ) -> Iterator[Explanation]:
        before = 0
        for images, report in chunks(x, options["batch_size"] or STREAMED, progress):
            found = self._explain(images, method, classes, report, parameters, options)
            count = 1 + found[-1].image_index
            for explanation in found:
                explanation.image_index += before
            before += count
            # None is held here while the caller looks at another.
            found.reverse()
            while found:
                yield found.pop()

    def _explain(
        self, x: Images, method: Optional[str], classes: Optional[Classes], progress: Optional[Progress],
        parameters: Mapping[str, Any], options: Mapping[str, Any],
    ) -> List[Explanation]:
        out = ctypes.c_void_p()
        with Interruption(progress) as interruption:
            batch = self._batch(x, interruption)
            indices, per_image = self._class_indices(classes, len(batch))
            library.limpid_explain(
                self._handle, encoded(method), batch.views, len(batch), indices, per_image,
                run_options(interruption, parameters, **options), ctypes.byref(out))
        native = NativeExplanation(out.value)
        labels = self.labels
        explanations = []
        for i in range(len(native)):
            predicted = library.limpid_explanation_class(native.handle, i)
            label = labels[predicted] if 0 <= predicted < len(labels) else None
            # A method may draw several maps of a class.
            image = i // (len(native) // len(batch))
            explanations.append(Explanation(native, i, image, batch.images[image], label))
        return explanations

    def report(
        self, explanations: Union[Explanation, Iterable[Explanation]], path: PathLike, names: PageNames = None, *,
        colormap: Optional[str] = None, opacity: float = 0.0, style: Optional[str] = None,
        progress: Optional[Progress] = None,
    ) -> None:
        """Writes one page of HTML that needs nothing but itself: each image, what the model sees in it, and its explanations
        side by side, of any methods and classes.

        explanations: what `explain` gave, of one call or several, `a + b`, or one of them; those of the same pixels stand together. names:
        what the page calls the image of each explanation, or of all; None: "image 1", … The others as for
        `Explanation.overlay`.
        """
        if isinstance(explanations, Explanation):
            explanations = [explanations]
        try:
            shown = list(explanations)
        except TypeError:
            raise InvalidType(f"a report shows explanations, as explain gives them; not {explanations!r}") from None
        write_report(self._handle, shown, path, names, colormap, opacity, style, progress)

    def measure(
        self, x: Images, maps: Optional[Maps], metric: str, classes: Optional[Classes] = None, *,
        draws: Optional[Mapping[str, Any]] = None, explain: Union[str, Mapping[str, Any], None] = None,
        output: Optional[str] = None, feeds: Optional[Arrays] = None, seed: int = 0, threads: int = 0,
        batch_size: int = 0, progress: Optional[Progress] = None, **parameters: Any,
    ) -> Measurement:
        """How good explanations of images are, by one of `limpid.metrics()`: one number for each map.

        x, output, feeds, progress: as for `classify`. maps: explanations, or arrays over what the model saw, [images,
        height, width] or [images, channels, height, width], or equally many for each image; None for a metric that reads
        none. classes: the class of each map, or for metrics of a classifier the true ones; None for those of the
        explanations, else the predicted ones. draws: {name: array} of what the metric reads: draws, boxes, labels.
        explain: for a metric that explains changed images, {"method": name, …}, as the keywords of `explain`. Every other
        keyword is a parameter of the metric.
        """
        return measure(
            self, x, maps, metric, classes, explain, progress, parameters, draws=draws, seed=seed,
            threads=threads, batch_size=batch_size, output=output, feeds=feeds)
