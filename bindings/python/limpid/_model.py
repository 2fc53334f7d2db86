"""A loaded model."""

from __future__ import annotations

import ctypes
import functools
import itertools
import mmap
import operator
import os
from types import TracebackType
from typing import (
    TYPE_CHECKING, Any, BinaryIO, Dict, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Protocol, Sequence,
    Tuple, Type, Union, overload,
)

import numpy as np

from . import _abi
from ._errors import InvalidArgument, InvalidType
from ._explanation import Explanation, NativeExplanation
from ._filters import FilterName, NativeFilterNames, Source
from ._images import Batch, ImageForm, NativeImage, is_stream
from ._interruption import Interruption, Progress, reporting
from ._library import Handle, PathLike, encoded, library, names, naming_file, optional_text, text
from ._measurement import Measurement, measure
from ._options import Parameter, name_array, parameter, run_options
from ._report import PageNames, write_report
from ._tensors import Feeds, NativeTensors, dtype_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._images import Drawing, ImageLike, Images
    from ._measurement import Maps
    from ._options import Names
    from ._tensors import Arrays

    #: A class: its index, or its label.
    Class = Union[int, str, np.integer[Any]]
    #: Classes: one or several for every image, or a row of them for each.
    Classes = Union[Class, Iterable[Class], Iterable[Iterable[Class]], NDArray[np.integer[Any]]]


class Serializable(Protocol):
    """What an `onnx.ModelProto` is."""

    def SerializeToString(self) -> bytes: ...


#: What a model is loaded from.
Source_ = Union[PathLike, bytes, bytearray, memoryview, mmap.mmap, BinaryIO, Serializable]

#: How many images of an iterator are in memory at once, where `batch_size` does not say.
_STREAMED = 8


class Method(NamedTuple):
    """A way to explain a model's decision."""

    name: str
    summary: str
    parameters: Tuple[Parameter, ...]
    #: {name: summary} of the random draws and other arrays that it reads.
    draws: Dict[str, str]
    #: Whether it looks at inner values, which `layer` may name.
    taps_layers: bool
    #: Whether it draws random numbers, for which `seed` may be given.
    draws_numbers: bool


class Info(NamedTuple):
    """What a model is. A size of 0 stands for any; a class count of 0 for "it depends on what is fed"."""

    name: str
    family: str
    class_count: int
    input_width: int
    input_height: int
    input_channels: int


class Scores(NamedTuple):
    """What a model says of classes."""

    #: "logits", "log_probabilities", "probabilities" (of classes that exclude each other), "independent_probabilities"
    #: (multi-label, or one unit) or "values" (a regression).
    kind: str
    #: The output that holds them.
    output: str


class Value(str):
    """An input or output: its name, with what the file declares of it."""

    #: The extents: a number, a name ("batch") or None for one that is open; None where the file declares no shape.
    shape: Optional[Tuple[Union[int, str, None], ...]]
    #: Of the arrays that it is fed with, or gives. NumPy has no bfloat16: outputs of it are float32, inputs are fed as
    #: `ml_dtypes.bfloat16`. Types of fewer bits are those of ml_dtypes both ways.
    dtype: np.dtype[Any]

    def __new__(
        cls, name: str, shape: Optional[Tuple[Union[int, str, None], ...]], dtype: np.dtype[Any],
    ) -> Value:
        value = super().__new__(cls, name)
        value.shape, value.dtype = shape, dtype
        return value

    @property
    def name(self) -> str:
        """The same as a plain string."""
        return str.__str__(self)

    def __getnewargs__(self) -> Tuple[Any, ...]:
        return self.name, self.shape, self.dtype


class Model:
    """An ONNX model; any number of threads may use it at once.

    source: the path of a file, its bytes, the file, open, or an `onnx.ModelProto`. threads: 0 for one per core. precision: "float32", "fast"
    (logits within 1e-4, relative) or "bfloat16" (within 2e-2), as far as the processor has it (`computed_precision`). memory_limit: bytes that one call may use;
    0 for the machine's memory. preprocess: how images are prepared, in place of what the file says: "imagenet",
    "imagenet-exact", or steps with semicolons between them. copy: whether files are read into memory; else they are
    mapped, and must not become shorter while the model is in use. refuse_links: whether weights in files behind symbolic
    links are refused. progress: asked while the model is loaded, as in
    `classify`; it stops the load where it returns False.

    A model can be pickled: another process loads it from the same path, with the same options, or from the bytes.
    """

    def __init__(
        self, source: Source_, *, threads: int = 0, precision: str = "float32", memory_limit: int = 0,
        preprocess: Optional[str] = None, copy: bool = False, progress: Optional[Progress] = None,
        refuse_links: bool = False,
    ) -> None:
        if precision not in _abi.PRECISIONS:
            raise InvalidArgument(f"no precision {precision!r}; there are {', '.join(_abi.PRECISIONS)}")
        interruption = Interruption(progress)
        options = _abi.ModelOptions(
            threads=threads, precision=_abi.PRECISIONS[precision], memory_limit=memory_limit,
            preprocess=encoded(preprocess), copy=bool(copy), progress=interruption.callback,
            refuse_links=bool(refuse_links))
        out = ctypes.c_void_p()
        made_of: Union[str, bytes]
        if isinstance(source, (str, os.PathLike)):
            with naming_file(source) as path, interruption:
                library.limpid_model_load_file(path, ctypes.byref(options), ctypes.byref(out))
            # Another process may have another working folder.
            made_of = os.path.abspath(os.fsdecode(source))
        else:
            made_of = _contents(source)
            with interruption:
                library.limpid_model_load_memory(made_of, len(made_of), ctypes.byref(options), ctypes.byref(out))
        # What makes it again in another process.
        self._recipe = made_of, dict(
            threads=threads, precision=precision, memory_limit=memory_limit, preprocess=preprocess, copy=copy,
            refuse_links=refuse_links)
        self._open_handle: Optional[Handle] = Handle(out.value, library.limpid_model_free)
        self._class_counts: Dict[Optional[str], int] = {}
        info = _abi.ModelInfo()
        library.limpid_model_get_info(self._open_handle, ctypes.byref(info))
        self._image_layout = optional_text(info.image_layout)
        self._form = ImageForm(
            info.input_channels, self._image_layout in ("nhwc", "hwc"), bool(info.image_alpha), info.image_bits)
        self.info = Info(
            text(info.name), text(info.family), info.class_count, info.input_width, info.input_height,
            info.input_channels)
        self._scores = None if info.score_kind is None else Scores(text(info.score_kind), text(info.score_output))
        self._counts = info.input_count, info.output_count, info.method_count
        names = {number: name for name, number in _abi.PRECISIONS.items()}
        #: As the model was loaded, and what that comes to on this processor: "float32" or "bfloat16".
        self.precision: str = names[info.precision]
        self.computed_precision: str = names[info.computed_precision]

    def close(self) -> None:
        """Gives the memory back; the model cannot be used after it. Calls in flight end first, and are not waited for."""
        self._open_handle = None

    def __reduce__(self) -> Tuple[Any, ...]:
        return _load, self._recipe

    def __enter__(self) -> Model:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], traceback: Optional[TracebackType],
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<limpid.Model {self.info.name!r}, {self.info.family}, {self.info.class_count} classes>"

    @property
    def _handle(self) -> Handle:
        handle = self._open_handle
        if handle is None:
            raise InvalidArgument("the model is closed")
        return handle

    # -- What the model is

    @property
    def labels(self) -> List[str]:
        """The classes' names, by index; empty where the file has none."""
        return names(library.limpid_model_class_name, self._handle)

    @property
    def scores(self) -> Optional[Scores]:
        """The scores that `classify` reads; None where no output holds such, or several could (`output` chooses)."""
        return self._scores

    @property
    def layers(self) -> List[str]:
        """Values that CAM methods may tap, best first."""
        return names(library.limpid_model_layer_name, self._handle)

    @property
    def inputs(self) -> List[Value]:
        """What the model is fed with: names, each with `.shape` and `.dtype`."""
        handle = self._handle
        return [self._value(handle, library.limpid_model_get_input, i) for i in range(self._counts[0])]

    @property
    def outputs(self) -> List[Value]:
        """What the model gives, in the same form."""
        handle = self._handle
        return [self._value(handle, library.limpid_model_get_output, i) for i in range(self._counts[1])]

    @functools.cached_property
    def _all_outputs(self) -> ctypes.Array[ctypes.c_char_p]:
        return name_array(self.outputs)

    @property
    def methods(self) -> List[Method]:
        """The methods that can explain this model, best first."""
        handle = self._handle
        return [self._method(handle, i) for i in range(self._counts[2])]

    def metadata(self, key: str) -> Optional[str]:
        """A metadata value of the file; None where it has no such key."""
        return optional_text(library.limpid_model_metadata(self._handle, encoded(key)))

    # What `info` points to is the model's, so whoever reads it has the handle.

    @staticmethod
    def _value(handle: Handle, describe: Any, index: int) -> Value:
        info = _abi.ValueInfo()
        describe(handle, index, ctypes.byref(info))
        extents = ((info.shape[i], info.extent_names[i]) for i in range(info.rank))
        shape = tuple(extent if extent >= 0 else optional_text(name) for extent, name in extents)
        return Value(text(info.name), shape if info.has_shape else None, dtype_of(info.type))

    @staticmethod
    def _method(handle: Handle, index: int) -> Method:
        info = _abi.MethodInfo()
        library.limpid_model_get_method(handle, index, ctypes.byref(info))
        parameters = (Model._parameter(handle, info.name, i) for i in range(info.parameter_count))
        draws = {text(info.draws[i]): text(info.draw_summaries[i]) for i in range(info.draw_count)}
        return Method(
            text(info.name), text(info.summary), tuple(parameters), draws, bool(info.taps_layers),
            bool(info.draws_numbers))

    @staticmethod
    def _parameter(handle: Handle, method: bytes, index: int) -> Parameter:
        info = _abi.ParameterInfo()
        library.limpid_model_get_parameter(handle, method, index, ctypes.byref(info))
        return parameter(info)

    # -- What it says of images

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
                for images, report in _chunks(x, batch_size or _STREAMED, progress)]
            return np.concatenate(rows) if rows else np.empty((0, count), np.float32)
        with Interruption(progress) as interruption:
            batch = self._batch(x, interruption)
            count = self._class_count(output) or self._open_class_count(batch, output, feeds)
            result = np.empty((len(batch), count), np.float32)
            address, _ = result.__array_interface__["data"]  # quicker than result.ctypes
            options = run_options(
                interruption, threads=threads, batch_size=batch_size, output=output, feeds=feeds)
            library.limpid_classify(
                self._handle, batch.views, len(batch), options, address, result.size)
        return result[0] if batch.single else result

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
            classes = list(_listed(classes))
            if any(isinstance(row, (list, tuple)) for row in classes):
                raise InvalidArgument("of an iterator of images, classes are the same for every one, not a row for each")
        return self._explain_stream(x, method, classes, progress, parameters, options)

    def _explain_stream(
        self, x: Iterable[ImageLike], method: Optional[str], classes: Any, progress: Optional[Progress],
        parameters: Mapping[str, Any], options: Mapping[str, Any],
    ) -> Iterator[Explanation]:
        before = 0
        for images, report in _chunks(x, options["batch_size"] or _STREAMED, progress):
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
        self, explanations: Iterable[Explanation], path: PathLike, names: PageNames = None, *,
        colormap: Optional[str] = None, opacity: float = 0.0, style: Optional[str] = None,
        progress: Optional[Progress] = None,
    ) -> None:
        """Writes one page of HTML that needs nothing but itself: each image, what the model sees in it, and its explanations
        side by side, of any methods and classes.

        explanations: what `explain` gave, of one call or several, `a + b`; those of the same pixels stand together. names:
        what the page calls the image of each explanation, or of all; None: "image 1", … The others as for
        `Explanation.overlay`.
        """
        write_report(self._handle, list(explanations), path, names, colormap, opacity, style, progress)

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

    def name_filters(
        self, images: Union[ImageLike, Iterable[ImageLike]], filters: Optional[Iterable[int]] = None, *,
        images_per_filter: int = 25, words: int = 5, output_words: int = 10, attention: str = "projection",
        weighting: str = "once", quantile: float = 0.995, threads: int = 0, batch_size: int = 0,
        progress: Optional[Progress] = None,
    ) -> List[FilterName]:
        """Words for filters of the layer that a LaViSE model explains.

        images: a list of what `classify` takes; files are read one by one, as they are needed. filters: their
        numbers; None for every one. Of the `images_per_filter` images that excite a filter most, the `words` nearest
        words each are counted. attention: "projection", "activation", "image" or "original". weighting: what an
        image's words count: "once", or its largest activation, "floor", "ceiling" or "enlarged" (floor of the
        enlarged map's). quantile: the share of activations outside of a filter's region.
        """
        several: Any = [images] if isinstance(images, (str, bytes, os.PathLike)) else images
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
            if all(isinstance(item, np.ndarray) and item.ndim <= 3 for item in items):
                batch = self._batch(items, interruption)
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
        found = NativeTensors(out.value)
        if save:
            library.limpid_store_statistics(self._handle, out.value, None if save is True else os.fsencode(save))
        return found.arrays()

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
        return NativeTensors(out.value).arrays()

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
        return NativeTensors(out.value).arrays()

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
        arrays = NativeTensors(out.value).arrays()
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
        return NativeTensors(out.value).arrays()

    def preprocess(self, x: ImageLike, *, progress: Optional[Progress] = None) -> Drawing:
        """The image as the model sees it, resized and cropped: a Pillow image, or without Pillow an array."""
        out = ctypes.c_void_p()
        with Interruption(progress) as interruption:
            batch = self._batch(x, interruption)
            if len(batch) != 1:
                raise InvalidArgument(f"preprocess takes one image, not {len(batch)}")
            library.limpid_model_preprocess_with(self._handle, batch.views, run_options(interruption), ctypes.byref(out))
        return NativeImage(out.value).image()

    def _batch(self, x: Any, interruption: Interruption) -> Batch:
        return Batch(x, self._form, interruption)

    def _class_count(self, output: Optional[str]) -> int:
        if output in self._class_counts:
            return self._class_counts[output]
        count = ctypes.c_size_t()
        library.limpid_model_class_count(self._handle, encoded(output), ctypes.byref(count))
        self._class_counts[output] = count.value
        return count.value

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
        count = int(NativeTensors(out.value).arrays()[name].size // len(batch))
        # A single score decides between two classes, where it is no value of its own.
        is_value = self._scores is not None and self._scores == Scores("values", name)
        return 2 if count == 1 and not is_value else count

    def _class_indices(
        self, classes: Optional[Classes], image_count: int,
    ) -> Tuple[Optional[ctypes.Array[ctypes.c_int32]], int]:
        """The C array [image_count, n] (None: the predicted class), and n."""
        if classes is None:
            return None, 1
        rows = _listed(classes)
        if not any(isinstance(row, (list, tuple)) for row in rows):
            rows = [rows] * image_count
        lengths = {len(row) if isinstance(row, (list, tuple)) else 0 for row in rows}
        if len(rows) != image_count or len(lengths) != 1 or 0 in lengths:
            raise InvalidArgument(
                f"classes must be a class, a list of classes, or for the {image_count} images here a list of "
                f"as many lists that are equally long; not {classes!r}")
        flat = [self._class_index(value) for row in rows for value in row]
        return (ctypes.c_int32 * len(flat))(*flat), lengths.pop()

    def _class_index(self, value: Class) -> int:
        if isinstance(value, str):
            labels = self.labels
            if value not in labels:
                raise InvalidArgument(f"the model has no class labelled {value!r}")
            return labels.index(value)
        try:
            index = operator.index(value)
        except TypeError:
            raise InvalidType(f"a class is an index or a label; not {value!r}") from None
        if not -(2**31) <= index < 2**31:
            raise InvalidArgument(f"class {index} is out of range")
        return index


def _load(source: Source_, options: Dict[str, Any]) -> Model:
    return Model(source, **options)


def _contents(source: Any) -> bytes:
    """The bytes of a model that has no path."""
    if hasattr(source, "SerializeToString"):
        return bytes(source.SerializeToString())
    if hasattr(source, "read") and not isinstance(source, mmap.mmap):
        source = source.read()
    if isinstance(source, (bytes, bytearray, memoryview, mmap.mmap)):
        return bytes(source)
    raise InvalidType(
        f"{type(source).__name__} is no model; give a path, the bytes of an ONNX file, an open file (\"rb\"), or an "
        "onnx.ModelProto")


def _listed(classes: Any) -> List[Any]:
    """Classes as a list; rows of them as a list of lists."""
    if isinstance(classes, (str, int, np.integer)):
        return [classes]
    try:
        rows = classes.tolist() if isinstance(classes, np.ndarray) else list(classes)
    except TypeError:
        raise InvalidType(f"classes are indices, labels, or lists of these; not {classes!r}") from None
    if not isinstance(rows, list):
        return [rows]
    return [row if isinstance(row, (str, int, list, tuple)) or not hasattr(row, "__iter__") else list(row) for row in rows]


def _chunks(
    images: Any, size: int, progress: Optional[Progress],
) -> Iterator[Tuple[List[ImageLike], Optional[Progress]]]:
    """A stream of images in lists, and for each what its call reports to: images done, of those that were taken."""
    if size < 0:
        raise InvalidArgument(f"batch_size is {size}; it may not be negative")
    tell, close = (None, None) if progress is None else reporting(progress)
    before, source = 0, iter(images)
    try:
        while chunk := list(itertools.islice(source, size)):
            yield chunk, None if tell is None else _shifted(tell, before, len(chunk))
            before += len(chunk)
            chunk = []
    finally:
        if close is not None:
            close()


def _shifted(tell: Any, before: int, count: int) -> Progress:
    return lambda done, total: tell(before + count * done // max(1, total), before + count)
