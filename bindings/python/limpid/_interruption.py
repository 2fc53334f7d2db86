"""Long calls that report progress, and that Ctrl-C stops."""

import signal
import threading

from . import _abi


# Those whose handlers raise exceptions in practice. Asking for every signal there is would take as long as a
# small model.
_SIGNALS = (
    signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGALRM, signal.SIGUSR1, signal.SIGUSR2,
)


class Interruption:
    """For the time of one native call: progress, and Python's signal handlers.

    Python runs signal handlers between two bytecodes only, so a long native call would hold up Ctrl-C
    until its end. The callback gives Python that chance. But an exception that a handler raises on
    *entering* the callback is outside any `try` of it, and ctypes would print it and drop it. So
    during the call the handlers only take note, and are called from inside the callback, whose `try`
    hands their exceptions, and those of the user's progress function, to the caller of the native call.
    """

    def __init__(self, progress=None):
        if progress is not None and not callable(progress):
            raise TypeError("progress must be a function (done, total) or None")
        self._progress = progress
        self._error = None
        self._noted = []
        self._handlers = {}
        on_main_thread = threading.current_thread() is threading.main_thread()
        self._defers = on_main_thread
        needed = on_main_thread or progress is not None
        # ctypes frees a callback with its last reference, so it is kept as long as this object.
        self.callback = _abi.ProgressCallback(self._report) if needed else _abi.ProgressCallback()

    def _report(self, user, done, total):
        try:
            self._deliver()
            if self._progress is not None and self._progress(done, total) is False:
                return 1
            return 0
        except BaseException as error:  # KeyboardInterrupt and SystemExit too
            self._error = error
            return 1

    def stop(self, error):
        """Hands the caller of the native call `error`, which another callback met; that callback stops the call."""
        self._error = error

    def _deliver(self):
        while self._noted:
            number, frame = self._noted.pop(0)
            self._handlers[number](number, frame)

    def _note(self, number, frame):
        self._noted.append((number, frame))

    def __enter__(self):
        if self._defers:
            for number in _SIGNALS:
                handler = signal.getsignal(number)
                if callable(handler):
                    self._handlers[number] = handler
                    signal.signal(number, self._note)
        return self

    def __exit__(self, kind, error, traceback):
        for number, handler in self._handlers.items():
            # A handler that the user's progress function installed meanwhile stays.
            if signal.getsignal(number) == self._note:
                signal.signal(number, handler)
        if self._error is not None:
            raise self._error from None
        self._deliver()
