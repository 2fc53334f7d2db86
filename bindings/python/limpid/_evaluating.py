"""Making the records of an evaluation."""

from __future__ import annotations

import ctypes
import itertools
import threading
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from typing import Any, Callable, Iterable, Iterator, List, Optional, Set

from ._errors import Cancelled, InvalidArgument, LimpidError
from ._given import Gone, image_of, read_item
from ._interruption import Interruption
from ._library import encoded, library, path_bytes, taken
from ._options import run_options
from ._samples import Samples

ProgressFunction = Callable[[int, int], Optional[bool]]


class Evaluating(Samples):
    """Evaluates the samples that are pending: here, by threads, or by an engine."""

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
        while chunk := [self._add_given(read_item(item)) for item in itertools.islice(stream, 1 if workers == 1 else 4 * workers)]:
            pending = [index for index in chunk if not library.limpid_evaluation_is_done(self._handle, index)]
            for index in set(chunk) - set(pending):
                self._show(index)
            for record in self._records(pending, workers):
                self.add(record)
            for index in chunk:
                self._given[index] = Gone
            if progress is not None and progress(len(self), len(self)) is False:
                raise Cancelled("the progress function asked to stop")

    def _show(self, index: int) -> None:
        """Gives the report an image whose record is out of a store; it does without one that cannot be read."""
        with suppress(LimpidError, OSError):
            pixels = self._pixels(index) or image_of(self._bytes(index), self._model)
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

    def add(self, record: bytes) -> None:
        """Takes a record down, made here or elsewhere, in any order."""
        library.limpid_evaluation_add(self._handle, record, len(record))
