"""The library's messages, for Python's logging."""

from __future__ import annotations

import atexit
import logging
from typing import Any, Callable, Optional

from . import _abi
from ._library import library

_LEVELS = {
    _abi.LOG_ERROR: logging.ERROR, _abi.LOG_WARNING: logging.WARNING, _abi.LOG_INFO: logging.INFO,
    _abi.LOG_DEBUG: logging.DEBUG,
}

#: Where messages go unless `set_log_handler` says otherwise. Silent until the program configures logging.
logger = logging.getLogger("limpid")
logger.addHandler(logging.NullHandler())

LogHandler = Callable[[int, str], object]

_handler: Optional[LogHandler] = None


# One callback for the life of the process: another thread may be inside it when the handler changes.
def _receive(user: Any, level: int, message: bytes) -> None:
    handler = _handler
    if handler is not None:
        handler(_LEVELS.get(level, logging.ERROR), message.decode("utf-8", "replace"))


_forward = _abi.LogCallback(_receive)


def set_log_handler(handler: Optional[LogHandler], level: int = logging.WARNING) -> None:
    """Sends the library's messages to `handler(level, message)` instead of `logging.getLogger("limpid")`.

    Levels are those of `logging`; None silences them. Any thread may call the handler.
    """
    global _handler
    _handler = handler
    finest = max((native for native, known in _LEVELS.items() if known >= level), default=_abi.LOG_ERROR)
    library.limpid_set_log_handler(_forward if handler else _abi.LogCallback(), None, finest)


# Which messages are shown is the logger's to say, at the time of each.
set_log_handler(logger.log, logging.DEBUG)

# A message must not meet an interpreter that is gone.
atexit.register(library.limpid_set_log_handler, _abi.LogCallback(), None, _abi.LOG_ERROR)
