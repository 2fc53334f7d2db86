"""Explanations judged over data sets."""

from __future__ import annotations

import csv
import ctypes
import hashlib
import io
import itertools
import json
import os
import tempfile
import threading
import weakref
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Set, Tuple, Union

import numpy as np

from . import _abi
from ._errors import Cancelled, InvalidArgument, LimpidError, Unsupported
from ._images import Batch, Image, ImageForm, is_stream
from ._interruption import Interruption
from ._library import Handle, encoded, library, path_bytes, taken
from ._options import name_array, run_options
from ._remote import Mirror, RemoteFile, is_url, read_url

if TYPE_CHECKING:
    from ._model import Model

#: "rise", or {"method": "rise", "masks": 500}; by name with the settings of each.
Uses = Union[str, Mapping[str, Optional[Mapping[str, Any]]], Iterable[Union[str, Mapping[str, Any]]]]
ProgressFunction = Callable[[int, int], Optional[bool]]
# What a use of a method or metric takes beside its parameters.
_SETTINGS = ("layer", "draws", "seed")


def evaluate(
    model: Any, data: Any, methods: Uses = (), metrics: Optional[Uses] = None, *, report: Any = None, store: Any = None,
    engine: Optional[str] = None, workers: Optional[int] = None, progress: Optional[ProgressFunction] = None, **options: Any,
) -> Evaluation:
    """Explains and measures over a data set: means with intervals, comparisons of methods, values of every image.

    model: a `Model`, or what it is made of: a path, bytes, or a URL. data: a path (a folder of classes, a list, or another
    format of docs/evaluating.md), a URL of any kind that fsspec knows, or a list or an iterator of images or (image, class): each
    a path, a URL, the bytes of a PNG, JPEG or WebP file, a Pillow image, or a uint8 array. Of an iterator few images are in memory at
    once. methods, metrics: names, or dicts {"method": name, …settings} and
    {"metric": name, …settings}; a name may be "rise@few" to use one more than once. metrics: insertion and deletion where
    there are methods and None is given. report: a folder that results are written to. store: a file that keeps what is
    done; None: "store.sqlite" in the report's folder; False: nothing is kept. engine: None for this process, "ray", or
    "dask". workers: how many images at once, by threads of this process or by workers of the engine, each on one thread unless
    `threads` says otherwise. Every other keyword is one of `Evaluation`.
    """
    if workers is not None and workers > 1:
        options["threads"] = options.get("threads") or 1
    found = Evaluation(model, data, methods, metrics, **options)
    if report is not None:
        os.makedirs(report, exist_ok=True)
    if store is None and report is not None:
        store = os.path.join(report, "store.sqlite")
    if store:
        found.open_store(store)
    found.run(progress=progress, engine=engine, workers=workers)
    if report is not None:
        found.write(report)
    return found


class Evaluation:
    """Methods and metrics over a data set, and what was found so far: `limpid.evaluate` makes, runs and returns one.

    format, images, split, first_classes, limit, sample, seed: which part of the data set, and how it is read. classes: the
    names of its classes in their order, a list or a file. explain: the class that is explained: "predicted", "truth",
    "least", a class, or a list with a class for each true class; None: as suits the data set. output, feeds, threads,
    batch_size: as for `Model.classify`. high_byte, bits: as for `read_image`; bits=None: as the model says. resamples,
    confidence: of the bootstrap; resamples=0: no intervals.
    """

    def __init__(
        self, model: Any, data: Any = None, methods: Uses = (), metrics: Optional[Uses] = None, *,
        format: Optional[str] = None, images: Any = None, classes: Any = None, split: Optional[str] = None,
        first_classes: int = 0, limit: int = 0, sample: int = 0, seed: int = 0, explain: Any = None,
        output: Optional[str] = None, feeds: Any = None, threads: int = 0, batch_size: int = 0, resamples: int = 1000,
        confidence: float = 0.95, high_byte: bool = False, bits: Optional[int] = None,
    ) -> None:
        #: What makes the same evaluation in another process.
        self.recipe: Dict[str, Any] = dict(
            model=model, data=data, methods=methods, metrics=metrics, format=format, images=images,
            classes=classes, split=split, first_classes=first_classes, limit=limit, sample=sample, seed=seed, explain=explain,
            output=output, feeds=feeds, threads=threads, batch_size=batch_size, resamples=resamples, confidence=confidence,
            high_byte=high_byte, bits=bits)
        self._methods = _uses(methods, "method")
        if metrics is None:
            metrics = ["insertion", "deletion"] if self._methods else []
        self._metrics = _uses(metrics, "metric")
        #: Images of the caller's, by sample.
        self._given: List[Any] = []
        #: Images of the caller's that come one after the other; None: none.
        self._stream: Optional[Iterator[Any]] = None
        self._mirror: Optional[Mirror] = None
        self._create(model, data)

    # -- What it is made of

    def _create(self, model: Any, data: Any) -> None:
        recipe = self.recipe
        model = opened(model)
        options = _abi.EvaluationOptions(
            format=encoded(recipe["format"]), split=encoded(recipe["split"]), first_classes=recipe["first_classes"],
            limit=recipe["limit"], sample=recipe["sample"], seed=recipe["seed"], confidence=recipe["confidence"],
            resamples=recipe["resamples"] or -1, high_byte=bool(recipe["high_byte"]), bits=recipe["bits"] or 0)
        given = None
        with Interruption() as interruption, tempfile.TemporaryDirectory(prefix="limpid-") as folder:
            if is_stream(data):
                given, self._stream = [], iter(data)
            elif data is None or isinstance(data, (list, tuple)) or _is_batch(data):
                given = [_read(item) for item in (() if data is None else data)]
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
                options.class_file = path_bytes(_class_file(recipe["classes"], folder))
            keep = [self._fill(options, interruption)]
            self._explain(options, model, keep)
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

    def _fill(self, options: _abi.EvaluationOptions, interruption: Interruption) -> List[Any]:
        """Sets methods, metrics and the settings of runs; returns what they point to."""
        keep: List[Any] = []

        def uses(given: List[Tuple[str, Dict[str, Any]]]) -> Tuple[Any, int]:
            made = []
            for _, settings in given:
                own = dict(settings)
                made.append(run_options(interruption, own, **{key: own.pop(key) for key in _SETTINGS if key in own}))
            array = (_abi.Use * len(made))(
                *(_abi.Use(encoded(name), ctypes.pointer(run)) for (name, _), run in zip(given, made)))
            keep.extend([made, array])
            return array, len(made)

        options.methods, options.method_count = uses(self._methods)
        options.metrics, options.metric_count = uses(self._metrics)
        run = run_options(interruption, **{name: self.recipe[name] for name in ("output", "feeds", "threads", "batch_size")})
        keep.append(run)
        options.run = ctypes.pointer(run)
        return keep

    def _explain(self, options: _abi.EvaluationOptions, model: Model, keep: List[Any]) -> None:
        explain = self.recipe["explain"]
        if isinstance(explain, (list, tuple, np.ndarray)):
            table = [model._class_index(value) for value in explain]
            keep.append((ctypes.c_int32 * len(table))(*table))
            options.class_table, options.class_table_count = keep[-1], len(table)
        elif explain is not None:
            options.explained = encoded(str(explain))

    def _add_given(self, item: Tuple[Any, Any]) -> int:
        image, truth = item
        names = self.recipe["classes"]
        if isinstance(truth, str) and names is not None:
            truth = list(names).index(truth)
        name = str(os.fspath(image)) if isinstance(image, (str, os.PathLike)) else f"image {len(self._given)}"
        number = -1 if truth is None else self._model._class_index(truth)
        index = self.add_sample(name, number if number >= 0 else None, stamp=_stamp(image))
        self._given[-1] = image
        return index

    def add_sample(
        self, name: str, truth: Optional[int] = None, boxes: Any = (), *, words: Optional[Sequence[str]] = None, stamp: str = "",
    ) -> int:
        """A sample whose file you have; returns its index, for `record`.

        boxes: x1, y1, x2, y2 of its objects. words: what each of them is, for the metric "recall". stamp: a text that is another where the file is (a digest, or size and time), by
        which a store tells whether its record holds still.
        """
        corners = np.ascontiguousarray(boxes, np.float64).reshape(-1, 4)
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

    def __repr__(self) -> str:
        return f"<limpid.Evaluation of {len(self)} images, {len(self) - len(self.pending)} done>"

    # -- Running

    @property
    def pending(self) -> List[int]:
        """The samples that have no record yet, or one of a failure."""
        return [i for i in range(len(self)) if not library.limpid_evaluation_is_done(self._handle, i)]

    def open_store(self, path: Any) -> None:
        """Keeps what is done in a file from now on, and goes on with what it has."""
        library.limpid_evaluation_open_store(self._handle, path_bytes(path))

    def run(
        self, *, progress: Optional[ProgressFunction] = None, engine: Optional[str] = None, workers: Optional[int] = None,
    ) -> None:
        """Evaluates what is pending, `workers` images at once: here, by threads that share the model, or by an engine."""
        if engine is not None:
            from ._engines import run_on
            run_on(self, engine, workers, progress)
            return
        workers = 1 if workers is None else workers
        if not isinstance(workers, int) or not 1 <= workers <= 1024:
            raise InvalidArgument(f"workers is {workers!r}; it must be a number between 1 and 1024")
        if self._stream is not None:
            self._run_stream(self._stream, workers, progress)
        elif self._given or (self._mirror is not None and self._mirror.is_remote):
            pending = self.pending
            for done, record in enumerate(self._records(pending, workers)):
                self.add(record)
                if progress is not None and progress(done + 1, len(pending)) is False:
                    raise Cancelled("the progress function asked to stop")
        else:
            with Interruption(progress) as interruption:
                library.limpid_evaluation_run_with(self._handle, workers, run_options(interruption))

    def _run_stream(self, stream: Iterator[Any], workers: int, progress: Optional[ProgressFunction]) -> None:
        """A few images at a time: samples are not added while others are evaluated."""
        while chunk := [self._add_given(_read(item)) for item in itertools.islice(stream, 1 if workers == 1 else 4 * workers)]:
            pending = [index for index in chunk if not library.limpid_evaluation_is_done(self._handle, index)]
            for index in set(chunk) - set(pending):
                self._show(index)
            for record in self._records(pending, workers):
                self.add(record)
            for index in chunk:
                self._given[index] = _Gone
            if progress is not None and progress(len(self), len(self)) is False:
                raise Cancelled("the progress function asked to stop")

    def _show(self, index: int) -> None:
        """Gives the report an image whose record is out of a store; it does without one that cannot be read."""
        with suppress(LimpidError, OSError):
            pixels = self._pixels(index) or _image(self._bytes(index), self._model)
            library.limpid_evaluation_show_image(self._handle, index, ctypes.byref(pixels.view))

    def _records(self, pending: Iterable[int], workers: int) -> Iterator[bytes]:
        """The records of samples whose files are read here, as they are made: by this thread, or by so many."""
        if workers == 1:
            yield from map(self.record, pending)
            return
        stopped = threading.Event()
        indices = iter(pending)
        with ThreadPoolExecutor(workers) as pool:
            try:
                running: Set[Future[bytes]] = set()
                while True:
                    for index in itertools.islice(indices, 2 * workers - len(running)):
                        running.add(pool.submit(self._record, index, None, lambda *_: not stopped.is_set()))
                    if not running:
                        return
                    # Not for good, so that Ctrl-C is heard.
                    done, running = wait(running, 0.1, FIRST_COMPLETED)
                    for each in done:
                        yield each.result()
            finally:
                stopped.set()

    def record(self, index: int, data: Optional[bytes] = None) -> bytes:
        """The record of a sample, JSON; `data`: its file, where the data set does not have it."""
        return self._record(index, data, None)

    def _record(self, index: int, data: Optional[bytes], progress: Optional[ProgressFunction]) -> bytes:
        out = ctypes.c_void_p()
        try:
            pixels = self._pixels(index) if data is None else None
            data = self._bytes(index) if data is None and pixels is None else data
        except (OSError, LimpidError) as error:
            library.limpid_evaluation_fail(self._handle, index, encoded(str(error)), ctypes.byref(out))
            return taken(out.value)
        with Interruption(progress) as interruption:
            if pixels is not None:
                library.limpid_evaluation_evaluate_image(
                    self._handle, index, ctypes.byref(pixels.view), run_options(interruption), ctypes.byref(out))
                return taken(out.value)
            library.limpid_evaluation_evaluate(
                self._handle, index, data, len(data or b""), run_options(interruption), ctypes.byref(out))
        return taken(out.value)

    def _pixels(self, index: int) -> Optional[Image]:
        """The pixels of a sample that was given as such."""
        image = self._given[index] if index < len(self._given) else None
        return None if image is None or image is _Gone or _is_file(image) else _image(image, self._model)

    def _bytes(self, index: int) -> Optional[bytes]:
        """The file of a sample that the library cannot open."""
        pixels = self._pixels(index)
        if pixels is not None:
            out = ctypes.c_void_p()
            library.limpid_encode_png(ctypes.byref(pixels.view), ctypes.byref(out))
            return taken(out.value)
        if index < len(self._given):
            image = self._given[index]
            if image is _Gone:
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

    def add(self, record: bytes) -> None:
        """Takes a record down, made here or elsewhere, in any order."""
        library.limpid_evaluation_add(self._handle, record, len(record))

    # -- Results

    def document(self, name: str) -> bytes:
        """One of the files that `write` writes: "results.json", "results.csv", "images.csv", "curves.csv", …"""
        out = ctypes.c_void_p()
        library.limpid_evaluation_document(self._handle, encoded(name), ctypes.byref(out))
        return taken(out.value)

    def write(self, folder: Any, *, progress: Optional[ProgressFunction] = None) -> None:
        """Writes all results into a folder; the images that the report shows are explained again for it."""
        with Interruption(progress) as interruption:
            library.limpid_evaluation_write_with(self._handle, path_bytes(folder), run_options(interruption))

    @property
    def summary(self) -> Dict[str, Any]:
        """All of the results but the values of every image: settings, accuracy, confusion, means, comparisons."""
        found: Dict[str, Any] = json.loads(self.document("results.json"))
        return found

    def table(self) -> List[Dict[str, Any]]:
        """A row for each method and metric: mean, interval, images, whether it is the best. For `pandas.DataFrame`."""
        names = ("method", "metric", "mean", "low", "high", "images", "better", "best")
        return [{name: row[name] for name in names} for row in self.summary["results"]]

    @property
    def images(self) -> List[Dict[str, Any]]:
        """A row for each image that has a record, in the order of the data set."""
        rows = csv.DictReader(io.StringIO(self.document("images.csv").decode("utf-8", "replace"), newline=""))
        return [{name: _value(name, text) for name, text in row.items()} for row in rows]

    def to_parquet(self, path: Any) -> None:
        """Writes `images` as a Parquet file; needs the package pyarrow."""
        try:
            import pyarrow  # type: ignore[import-untyped,import-not-found,unused-ignore]
            import pyarrow.parquet  # type: ignore[import-untyped,import-not-found,unused-ignore]
        except ImportError:
            raise Unsupported("Parquet files need the package pyarrow: pip install pyarrow") from None
        rows = self.images
        columns = {name: [row[name] for row in rows] for name in (rows[0] if rows else ())}
        types = {name: _arrow_type(pyarrow, name) for name in columns}
        arrays = {name: pyarrow.array(values, types[name]) for name, values in columns.items()}
        pyarrow.parquet.write_table(pyarrow.table(arrays), path)


def opened(model: Any) -> Model:
    """A `Model`, of one or of what it is made of."""
    from ._model import Model
    if isinstance(model, Model):
        return model
    return Model(read_url(model) if is_url(model) else model)


def _uses(given: Uses, what: str) -> List[Tuple[str, Dict[str, Any]]]:
    """[(name, settings)] of names and dicts."""
    if isinstance(given, str):
        given = given.split(",")
    if isinstance(given, Mapping):
        return [(str(name), dict(settings or {})) for name, settings in given.items()]
    uses = []
    for use in given:
        settings: Dict[str, Any] = {what: use} if isinstance(use, str) else dict(use)
        name = settings.pop(what, None)
        if not isinstance(name, str):
            raise InvalidArgument(f"{what}s are names, or dicts with {what!r} and settings; not {use!r}")
        uses.append((name, settings))
    return uses


def _read(item: Any) -> Tuple[Any, Any]:
    """An image of the caller's, with its class; open files are read."""
    image, truth = item if isinstance(item, (list, tuple)) else (item, None)
    return (image.read() if hasattr(image, "read") else image), truth


class _Gone:
    """In place of an image of an iterator, once its record is made."""


def _is_batch(data: Any) -> bool:
    """Whether it is an array of several images."""
    return getattr(data, "ndim", 0) == 4


def _is_file(image: Any) -> bool:
    """Whether an image of the caller's is a file: its bytes, or where it is."""
    return isinstance(image, (str, bytes, bytearray, os.PathLike, RemoteFile)) or (
        isinstance(image, memoryview) and image.ndim == 1 and image.itemsize == 1)


def _image(image: Any, model: Optional[Model] = None) -> Image:
    """model: whose form images have; None: all that they have."""
    form = ImageForm(0, False, True, 8) if model is None else model._form._replace(channels=0)
    with Interruption() as interruption:
        batch = Batch(image, form, interruption)
    if len(batch) != 1 or not batch.images[0].has_pixels:
        raise InvalidArgument("an image of a data set is a file, a Pillow image, or a uint8 array [height, width, 3]")
    return batch.images[0]


def _stamp(image: Any) -> str:
    """Tells whether an image of the caller's is the same later: by contents, of a file by size and time."""
    if isinstance(image, RemoteFile):
        return ""
    if isinstance(image, (str, os.PathLike)):
        try:
            status = os.stat(image)
        except OSError:
            return ""
        return f"{status.st_size} {status.st_mtime_ns}"
    if _is_file(image):
        return hashlib.sha256(bytes(image)).hexdigest()
    try:
        pixels = np.asarray(_image(image).pixels())
    except LimpidError:
        # It becomes a record of a failure.
        return ""
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()


def _class_file(classes: Any, folder: str) -> Any:
    if isinstance(classes, (str, os.PathLike)):
        return classes
    path = os.path.join(folder, "classes.txt")
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(f"{name}\n" for name in classes)
    return path


_TEXTS = ("name", "failed")
_INTEGERS = ("index", "truth", "predicted", "truth_rank")


def _value(name: str, text: str) -> Any:
    if name in _TEXTS:
        return text
    if text == "":
        return None
    return int(text) if name in _INTEGERS or name.endswith(" class") else float(text)


def _arrow_type(pyarrow: Any, name: str) -> Any:
    if name in _TEXTS:
        return pyarrow.string()
    return pyarrow.int64() if name in _INTEGERS or name.endswith(" class") else pyarrow.float64()
