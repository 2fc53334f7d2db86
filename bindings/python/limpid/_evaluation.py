"""Explanations judged over data sets."""

from __future__ import annotations

import os
from typing import Any, Optional

from ._errors import written
from ._evaluating import Evaluating, ProgressFunction
from ._evaluation_options import Uses, uses_of
from ._results import Results


def evaluate(
    model: Any, data: Any, methods: Uses = (), metrics: Optional[Uses] = None, *, report: Any = None, store: Any = None,
    engine: Optional[str] = None, workers: Optional[int] = None, progress: Optional[ProgressFunction] = None, **options: Any,
) -> Evaluation:
    """Explains and measures over a data set: means with intervals, comparisons of methods, values of every image.

    model: a `Model`, or what it is made of: a path, bytes, or a URL. data: a path (a folder of classes, a list, or another
    format of docs/evaluating.md), a URL of any kind that fsspec knows, or a list or an iterator of images or (image, class), or
    {file: class}: each a path, a URL, the bytes of a PNG, JPEG or WebP file, a Pillow image, or a uint8 array. Of an iterator few images are in memory at
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
        try:
            os.makedirs(report, exist_ok=True)
        except OSError as error:
            raise written(error, report, "make the folder") from None
    if store is None and report is not None:
        store = os.path.join(report, "store.sqlite")
    if store:
        found.open_store(store)
    found.run(progress=progress, engine=engine, workers=workers)
    if report is not None:
        found.write(report)
    return found


class Evaluation(Evaluating, Results):
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
        self.recipe = dict(
            model=model, data=data, methods=methods, metrics=metrics, format=format, images=images,
            classes=classes, split=split, first_classes=first_classes, limit=limit, sample=sample, seed=seed, explain=explain,
            output=output, feeds=feeds, threads=threads, batch_size=batch_size, resamples=resamples, confidence=confidence,
            high_byte=high_byte, bits=bits)
        self._methods = uses_of(methods, "method")
        if metrics is None:
            metrics = ["insertion", "deletion"] if self._methods else []
        self._metrics = uses_of(metrics, "metric")
        self._given, self._stream, self._mirror = [], None, None
        self._create(model, data)

    def __repr__(self) -> str:
        return f"<limpid.Evaluation of {len(self)} images, {len(self) - len(self.pending)} done>"
