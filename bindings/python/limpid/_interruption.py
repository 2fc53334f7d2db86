"""Long calls that report progress, and that Ctrl-C stops."""

from __future__ import annotations

import functools
import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Protocol, Tuple, Type, Union, cast

from . import _abi
from ._errors import InvalidType

ProgressFunction = Callable[[int, int], Optional[bool]]


class ProgressBar(Protocol):
    """What a bar of tqdm has."""

    n: Any
    total: Any

    def update(self, n: Any = ..., /) -> object: ...
    def refresh(self) -> object: ...
    def close(self) -> object: ...


#: What `progress=` takes: a function, a bar, or a class of bars such as `tqdm.tqdm` itself.
Progress = Union[ProgressFunction, ProgressBar, Callable[..., ProgressBar]]

# Those whose handlers raise exceptions in practice. Asking for every signal there is would take as long as a
# small model; so does making enumerations of numbers and handlers, which the functions behind `signal` do not.
_SIGNALS = tuple(map(int, (
    signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGALRM, signal.SIGUSR1, signal.SIGUSR2,
)))
_plain: Any = sys.modules.get("_signal", signal)


class Interruption:
    """For the time of one native call: progress, and Python's signal handlers.

    Python runs signal handlers between two bytecodes only, so a long native call would hold up Ctrl-C
    until its end. The callback gives Python that chance. But an exception that a handler raises on
    *entering* the callback is outside any `try` of it, and ctypes would print it and drop it. So
    during the call the handlers only take note, and are called from inside the callback, whose `try`
    hands their exceptions, and those of the user's progress function, to the caller of the native call.
    """

    def __init__(self, progress: Optional[Progress] = None) -> None:
        self._progress: Optional[ProgressFunction] = None
        self._close: Optional[Callable[[], object]] = None
        if progress is not None:
            self._progress, self._close = reporting(progress)
        self._error: Optional[BaseException] = None
        self._noted: List[Tuple[int, Optional[FrameType]]] = []
        self._handlers: Dict[int, Any] = {}
        self._defers = threading.current_thread() is threading.main_thread()
        # ctypes frees a callback with its last reference, so it is kept as long as this object.
        needed = self._defers or progress is not None
        self.callback = _abi.ProgressCallback(self._report) if needed else _abi.ProgressCallback()

    @functools.cached_property
    def asking(self) -> Any:
        """The same for what goes before the call, as reading its images: asks whether to go on, and reports nothing done."""
        return _abi.ProgressCallback(self._ask) if self.callback else _abi.ProgressCallback()

    def _report(self, user: Any, done: int, total: int) -> int:
        try:
            self._deliver()
            if self._progress is not None and self._progress(done, total) is False:
                return 1
            return 0
        except BaseException as error:  # KeyboardInterrupt and SystemExit too
            self._error = error
            return 1

    def _ask(self, user: Any, done: int, total: int) -> int:
        return self._report(user, 0, total)

    def stop(self, error: BaseException) -> None:
        """Hands the caller of the native call `error`, which another callback met; that callback stops the call."""
        self._error = error

    def _deliver(self) -> None:
        while self._noted:
            number, frame = self._noted.pop(0)
            self._handlers[number](number, frame)

    def _note(self, number: int, frame: Optional[FrameType]) -> None:
        self._noted.append((number, frame))

    def __enter__(self) -> Interruption:
        if self._defers:
            for number in _SIGNALS:
                handler = _plain.getsignal(number)
                if callable(handler):
                    self._handlers[number] = handler
                    _plain.signal(number, self._note)
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], traceback: Optional[TracebackType],
    ) -> None:
        for number, handler in self._handlers.items():
            # A handler that the user's progress function installed meanwhile stays.
            if _plain.getsignal(number) == self._note:
                _plain.signal(number, handler)
        if self._close is not None:
            self._close()
        if self._error is not None:
            raise self._error from None
        self._deliver()


def reporting(progress: Any) -> Tuple[ProgressFunction, Optional[Callable[[], object]]]:
    """The function (done, total) that `progress` stands for, and what ends the bar that was made for it."""
    maker: Any = progress.func if isinstance(progress, functools.partial) else progress
    if isinstance(maker, type) and hasattr(maker, "update") and callable(progress):
        bar = _Bar(progress)
        return bar.report, bar.close
    if not isinstance(progress, type) and hasattr(progress, "update") and hasattr(progress, "total"):
        return _Bar(lambda **_: progress).report, None
    if callable(progress):
        return cast(ProgressFunction, progress), None
    raise InvalidType("progress must be a function (done, total), a bar of tqdm, tqdm itself, or None")


class _Bar:
    """Moves a bar, which is made at the first report."""

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make
        self._bar: Any = None

    def report(self, done: int, total: int) -> None:
        if self._bar is None:
            self._bar = self._make(total=total)
        if self._bar.total != total:
            self._bar.total = total
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
