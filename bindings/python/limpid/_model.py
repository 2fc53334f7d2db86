"""A loaded model."""

import ctypes
import mmap
import os
import weakref
from typing import Any, Callable, NamedTuple, Optional

import numpy as np

from . import _abi
from ._errors import InvalidArgument, Unsupported
from ._explanation import Explanation, NativeExplanation
from ._filters import FilterName, NativeFilterNames, Source
from ._images import Batch, NativeImage
from ._interruption import Interruption
from ._library import encoded, library, names, path_bytes, text
from ._measurement import Measurement, measure
from ._options import Parameter, name_array, parameter, run_options
from ._tensors import Feeds, NativeTensors

ProgressFunction = Callable[[int, int], Optional[bool]]


class Method(NamedTuple):
    """A way to explain a model's decision."""

    name: str
    summary: str
    parameters: "tuple[Parameter, ...]"
    #: {name: summary} of the random draws and other arrays that it reads.
    draws: "dict[str, str]"
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


class Model:
    """An ONNX model; any number of threads may use it at once.

    source: the path of a file, its bytes, or the file, open. threads: 0 for one per core. precision: "float32", "fast"
    (logits within 1e-4, relative) or "bfloat16" (within 2e-2). memory_limit: bytes that one call may use;
    0 for the machine's memory. preprocess: how images are prepared, in place of what the file says: "imagenet",
    "imagenet-exact", or steps with semicolons between them.
    """

    def __init__(self, source, *, threads=0, precision="float32", memory_limit=0, preprocess=None):
        if precision not in _abi.PRECISIONS:
            raise InvalidArgument(f"no precision {precision!r}; there are {', '.join(_abi.PRECISIONS)}")
        options = _abi.ModelOptions(
            threads=threads, precision=_abi.PRECISIONS[precision], memory_limit=memory_limit,
            preprocess=preprocess and preprocess.encode())
        out = ctypes.c_void_p()
        if isinstance(source, (str, os.PathLike)):
            library.limpid_model_load_file(path_bytes(source), ctypes.byref(options), ctypes.byref(out))
        else:
            data = source = source.read() if hasattr(source, "read") and not isinstance(source, mmap.mmap) else bytes(source)
            library.limpid_model_load_memory(data, len(data), ctypes.byref(options), ctypes.byref(out))
        self._open_handle = out.value
        # What makes it again in another process.
        self._recipe = source, dict(
            threads=threads, precision=precision, memory_limit=memory_limit, preprocess=preprocess)
        self._free = weakref.finalize(self, library.limpid_model_free, out.value)
        self._info = _abi.ModelInfo()
        library.limpid_model_get_info(out.value, ctypes.byref(self._info))
        self.info = Info(
            text(self._info.name), text(self._info.family), self._info.class_count, self._info.input_width,
            self._info.input_height, self._info.input_channels)

    def close(self):
        """Gives the memory back now; the model cannot be used after it."""
        self._open_handle = None
        self._free()

    def __reduce__(self):
        source, options = self._recipe
        return _load, (os.path.abspath(source) if isinstance(source, (str, os.PathLike)) else source, options)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def __repr__(self):
        return f"<limpid.Model {self.info.name!r}, {self.info.family}, {self.info.class_count} classes>"

    @property
    def _handle(self):
        if self._open_handle is None:
            raise InvalidArgument("the model is closed")
        return self._open_handle

    # -- What the model is

    @property
    def labels(self) -> "list[str]":
        """The classes' names, by index; empty where the file has none."""
        return names(library.limpid_model_class_name, self._handle)

    @property
    def scores(self) -> Optional[Scores]:
        """The scores that `classify` reads; None where no output holds such, or several could (`output` chooses)."""
        if self._info.score_kind is None:
            return None
        return Scores(text(self._info.score_kind), text(self._info.score_output))

    @property
    def layers(self) -> "list[str]":
        """Values that CAM methods may tap, best first."""
        return names(library.limpid_model_layer_name, self._handle)

    @property
    def inputs(self) -> "list[str]":
        return names(library.limpid_model_input_name, self._handle)

    @property
    def outputs(self) -> "list[str]":
        return names(library.limpid_model_output_name, self._handle)

    @property
    def methods(self) -> "list[Method]":
        """The methods that can explain this model, best first."""
        return [self._method(i) for i in range(self._info.method_count)]

    def metadata(self, key: str) -> Optional[str]:
        """A metadata value of the file; None where it has no such key."""
        return text(library.limpid_model_metadata(self._handle, encoded(key)))

    def _method(self, index):
        info = _abi.MethodInfo()
        library.limpid_model_get_method(self._handle, index, ctypes.byref(info))
        parameters = (self._parameter(info.name, i) for i in range(info.parameter_count))
        draws = {text(info.draws[i]): text(info.draw_summaries[i]) for i in range(info.draw_count)}
        return Method(
            text(info.name), text(info.summary), tuple(parameters), draws, bool(info.taps_layers),
            bool(info.draws_numbers))

    def _parameter(self, method, index):
        info = _abi.ParameterInfo()
        library.limpid_model_get_parameter(self._handle, method, index, ctypes.byref(info))
        return parameter(info)

    # -- What it says of images

    def classify(
        self, x, *, output: Optional[str] = None, feeds: Any = None, threads=0, batch_size=0,
        progress: Optional[ProgressFunction] = None,
    ) -> np.ndarray:
        """Probabilities, float32 [images, classes]; [classes] for a single image. Of a regression, its values.

        x: a path, the bytes of a PNG or JPEG file, an open file, a Pillow image, a uint8 array [height, width, 3],
        a floating-point tensor [channels, height, width] (of a channels-last model [height, width, channels]) that the
        model takes as it is, a batch [images, …] of these arrays, or a list of any of these. output: the output that
        holds the scores, where several could. feeds: {name: array} of further inputs, [1, …] or [images, …].
        progress: called with (done, total); False stops.
        """
        count = self._class_count(output)
        batch = self._batch(x)
        result = np.empty((len(batch), count), np.float32)
        with Interruption(progress) as interruption:
            options = run_options(
                interruption, threads=threads, batch_size=batch_size, output=output, feeds=feeds)
            library.limpid_classify(
                self._handle, batch.views, len(batch), options,
                result.ctypes.data_as(ctypes.POINTER(ctypes.c_float)), result.size)
        return result[0] if batch.single else result

    def explain(
        self, x, method: Optional[str] = None, classes: Any = None, *, layer: Any = None, draws: Any = None,
        output: Optional[str] = None, feeds: Any = None, seed=0, threads=0, batch_size=0,
        progress: Optional[ProgressFunction] = None, **parameters: Any,
    ) -> "list[Explanation]":
        """Why the model sees these classes, or why not: image by image, and for each class by class.

        x, output, feeds, progress: as for `classify`. method: the name of one of `methods`; None for the first.
        classes: an index or a label, a list of these for every image, or [images, n] with one row for each; None for
        the class that the model predicts, as is -1 in place of an index. layer: the value that the method
        taps, or a list of several; None for its own choice. draws: {name: array} of random draws and other
        arrays that the method reads. seed: of its random numbers. Every other keyword is a parameter of the
        method: a number, a word, or for some a list of numbers. What the method does not read is refused.
        """
        batch = self._batch(x)
        indices, per_image = self._class_indices(classes, len(batch))
        out = ctypes.c_void_p()
        with Interruption(progress) as interruption:
            options = run_options(
                interruption, parameters, layer, draws, seed, threads, batch_size, output, feeds)
            library.limpid_explain(
                self._handle, encoded(method), batch.views, len(batch), indices, per_image,
                options, ctypes.byref(out))
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

    def measure(
        self, x, maps, metric: str, classes: Any = None, *, draws: Any = None, explain: Any = None,
        output: Optional[str] = None, feeds: Any = None, seed=0, threads=0, batch_size=0,
        progress: Optional[ProgressFunction] = None, **parameters: Any,
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
            self, self._batch(x), maps, metric, classes, explain, progress, parameters, draws=draws, seed=seed,
            threads=threads, batch_size=batch_size, output=output, feeds=feeds)

    def name_filters(
        self, images, filters=None, *, images_per_filter=25, words=5, output_words=10, attention="projection",
        weighting="once", quantile=0.995, threads=0, batch_size=0, progress: Optional[ProgressFunction] = None,
    ) -> "list[FilterName]":
        """Words for filters of the layer that a LaViSE model explains.

        images: a list of what `classify` takes; files are read one by one, as they are needed. filters: their
        numbers; None for every one. Of the `images_per_filter` images that excite a filter most, the `words` nearest
        words each are counted. attention: "projection", "activation", "image" or "original". weighting: what an
        image's words count: "once", or its largest activation, "floor", "ceiling" or "enlarged" (floor of the
        enlarged map's). quantile: the share of activations outside of a filter's region.
        """
        items = [images] if isinstance(images, (str, bytes, os.PathLike)) else list(images)
        numbers = None if filters is None else [int(f) for f in filters]
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
                batch = self._batch(items)
                library.limpid_name_filters(self._handle, batch.views, len(batch), *rest)
            else:
                source = Source(items, self.info.input_channels, self._is_channels_last, interruption)
                library.limpid_name_filters_from(self._handle, source.callback, None, len(items), *rest)
        return NativeFilterNames(out.value).names(numbers)

    def estimate(
        self, images, layer=None, *, threads=0, batch_size=0, progress: Optional[ProgressFunction] = None,
    ) -> "dict[str, np.ndarray]":
        """What is usual for a layer over many images, for methods that need to know it: {"mean", "std", "active"},
        [channels, rows, columns] each, to be fed as draws of `iba`, and kept with `numpy.savez`.

        images: what `classify` takes, or a list of it; files are read one by one, as they are needed. layer: the value;
        None for the model's own choice.
        """
        out = ctypes.c_void_p()
        with Interruption(progress) as interruption:
            options = run_options(interruption, layer=layer, threads=threads, batch_size=batch_size)
            if isinstance(images, (list, tuple)):
                source = Source(list(images), self.info.input_channels, self._is_channels_last, interruption)
                library.limpid_estimate_from(
                    self._handle, source.callback, None, len(images), options, ctypes.byref(out))
            else:
                batch = self._batch(images)
                library.limpid_estimate(self._handle, batch.views, len(batch), options, ctypes.byref(out))
        return NativeTensors(out.value).arrays()

    def fetch(self, x, names, *, feeds=None, threads=0, batch_size=0, progress=None) -> "dict[str, np.ndarray]":
        """The named values, outputs or inner ones, [images, …] each. x, feeds, progress: as for `classify`."""
        batch = self._batch(x)
        wanted = name_array(names)
        out = ctypes.c_void_p()
        with Interruption(progress) as interruption:
            options = run_options(interruption, threads=threads, batch_size=batch_size, feeds=feeds)
            library.limpid_fetch(
                self._handle, batch.views, len(batch), wanted, len(wanted), options, ctypes.byref(out))
        return NativeTensors(out.value).arrays()

    def run(self, feeds, names=None, *, threads=0, progress=None) -> "dict[str, np.ndarray]":
        """Runs the model, or the part of it between them, from the arrays `feeds` to the values `names`.

        feeds: {name: array}, with no preprocessing. names: None for the model's outputs.
        """
        fed = Feeds(feeds)
        wanted = name_array(self.outputs if names is None else names)
        out = ctypes.c_void_p()
        with Interruption(progress) as interruption:
            options = run_options(interruption, threads=threads)
            library.limpid_run(
                self._handle, fed.views, len(fed), wanted, len(wanted), options, ctypes.byref(out))
        return NativeTensors(out.value).arrays()

    def gradient(
        self, x, classes: Any = None, *, wrt: Any = "input", of: str = "logit", output: Optional[str] = None,
        feeds: Any = None, draws: Any = None, threads=0, batch_size=0,
        progress: Optional[ProgressFunction] = None, **parameters: Any,
    ) -> Any:
        """The gradients of each class's score by `wrt`: [images · classes, …], image by image.

        x, classes, output, feeds, progress: as for `explain`. wrt: a value of the model, a module of the program that
        exported it ("layer4"), or "input", [channels, height, width] whatever the model's arrangement; of a list of these
        a dict. of: "logit", even where the model ends in a softmax or sigmoid, "probability", "log-probability", or
        "similarity", the cosine of the output and the vector draws={"embedding": ...}. parameters: sign=-1 for evidence
        against the class, versus=c for the difference to class c. Of an `output` with an extent in space the scores of a
        class are summed over its positions, each times its number of draws={"mask": ...}.
        """
        batch = self._batch(x)
        indices, per_image = self._class_indices(classes, len(batch))
        wanted = name_array(wrt)
        out = ctypes.c_void_p()
        with Interruption(progress) as interruption:
            options = run_options(
                interruption, {"of": of, **parameters}, threads=threads, batch_size=batch_size, output=output,
                feeds=feeds, draws=draws)
            library.limpid_gradient(
                self._handle, batch.views, len(batch), indices, per_image, wanted, len(wanted), options,
                ctypes.byref(out))
        arrays = NativeTensors(out.value).arrays()
        return arrays[wrt] if isinstance(wrt, str) else arrays

    def run_gradient(self, feeds, of, wrt, *, weights=None, threads=0, progress=None) -> "dict[str, np.ndarray]":
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

    def preprocess(self, x):
        """The image as the model sees it, resized and cropped: a Pillow image, or without Pillow an array."""
        batch = self._batch(x)
        if len(batch) != 1:
            raise InvalidArgument(f"preprocess takes one image, not {len(batch)}")
        out = ctypes.c_void_p()
        library.limpid_model_preprocess(self._handle, batch.views, ctypes.byref(out))
        return NativeImage(out.value).image()

    def _batch(self, x):
        return Batch(x, self.info.input_channels, self._is_channels_last)

    @property
    def _is_channels_last(self):
        return self._info.image_layout in (b"nhwc", b"hwc")

    def _class_count(self, output):
        count = ctypes.c_size_t()
        library.limpid_model_class_count(self._handle, encoded(output), ctypes.byref(count))
        # Where no image can be fed, the library says so.
        if count.value == 0 and self._info.image_input is not None:
            raise Unsupported("this model's number of classes depends on what it is fed; use fetch or run")
        return count.value

    def _class_indices(self, classes, image_count):
        """The C array [image_count, n] (None: the predicted class), and n."""
        if classes is None:
            return None, 1
        rows = classes.tolist() if isinstance(classes, np.ndarray) else classes
        if isinstance(rows, (str, int, np.integer)):
            rows = [rows]
        if not any(isinstance(row, (list, tuple)) for row in rows):
            rows = [rows] * image_count
        lengths = {len(row) if isinstance(row, (list, tuple)) else 0 for row in rows}
        if len(rows) != image_count or len(lengths) != 1 or 0 in lengths:
            raise InvalidArgument(
                f"classes must be a class, a list of classes, or for the {image_count} images here a list of "
                f"as many lists that are equally long; not {classes!r}")
        flat = [self._class_index(value) for row in rows for value in row]
        return (ctypes.c_int32 * len(flat))(*flat), lengths.pop()

    def _class_index(self, value):
        if isinstance(value, str):
            labels = self.labels
            if value not in labels:
                raise InvalidArgument(f"the model has no class labelled {value!r}")
            return labels.index(value)
        index = int(value)
        if not -(2**31) <= index < 2**31:
            raise InvalidArgument(f"class {index} is out of range")
        return index


def _load(source, options):
    return Model(source, **options)
