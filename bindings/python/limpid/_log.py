"""The library's messages, for Python's logging."""

import atexit
import logging
from typing import Callable, Optional

from . import _abi
from ._library import library

_LEVELS = {
    _abi.LOG_ERROR: logging.ERROR, _abi.LOG_WARNING: logging.WARNING, _abi.LOG_INFO: logging.INFO,
    _abi.LOG_DEBUG: logging.DEBUG,
}

_handler: Optional[Callable[[int, str], object]] = None


# One callback for the life of the process: another thread may be inside it when the handler changes.
@_abi.LogCallback
def _forward(user, level, message):
    handler = _handler
    if handler is not None:
        handler(_LEVELS.get(level, logging.ERROR), message.decode("utf-8", "replace"))


def set_log_handler(handler: Optional[Callable[[int, str], object]], level: int = logging.WARNING) -> None:
    """Sends the library's messages to `handler(level, message)`, levels being those of `logging`.

    `set_log_handler(logging.getLogger("limpid").log)` joins them to a program's log; None silences them.
    Any thread may call the handler.
    """
    global _handler
    _handler = handler
    finest = max((native for native, known in _LEVELS.items() if known >= level), default=_abi.LOG_ERROR)
    library.limpid_set_log_handler(_forward if handler else _abi.LogCallback(), None, finest)


# A message must not meet an interpreter that is gone.
atexit.register(library.limpid_set_log_handler, _abi.LogCallback(), None, _abi.LOG_ERROR)
