"""One exception class for each status of the library, and one for each reason that Python has a class for."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Dict, Optional, Type

if TYPE_CHECKING:
    import ctypes


class LimpidError(Exception):
    """What every exception of this package is. The message says what went wrong, where, and what to do."""


class InvalidArgument(LimpidError, ValueError):
    """A wrong shape, type or range: the caller's mistake."""


class InvalidType(InvalidArgument, TypeError):
    """An object of a class that is not taken there."""


class NotFound(LimpidError, LookupError):
    """No such file, method, parameter, layer, tensor or colour map."""


class ReadWriteError(LimpidError, OSError):
    """The system refused to read or write: `errno`, `filename` as of every OSError, where they are known."""

    # Those of OSError would not be found behind those of Exception, and set neither.
    if not TYPE_CHECKING:
        __new__ = OSError.__new__
        __init__ = OSError.__init__

    def __str__(self) -> str:
        return str(self.args[1]) if len(self.args) > 1 else Exception.__str__(self)


class MissingFile(NotFound, ReadWriteError, FileNotFoundError):
    """No such file or folder."""

    __str__ = ReadWriteError.__str__


class NotPermitted(ReadWriteError, PermissionError):
    """The file's permissions do not allow it."""


class IsAFolder(ReadWriteError, IsADirectoryError):
    """A folder where a file is needed."""


class NotAFolder(ReadWriteError, NotADirectoryError):
    """A file where a folder is needed, in the middle of a path."""


class InvalidModel(LimpidError, ValueError):
    """Not an ONNX model, a damaged one, or one that contradicts itself."""


class InvalidImage(LimpidError, ValueError):
    """Not a PNG, JPEG or WebP image, or a damaged one."""


class Unsupported(LimpidError, NotImplementedError):
    """Valid, but not done by Limpid: an operator, a type, a size."""


class BufferTooSmall(LimpidError, BufferError):
    """A result did not fit; this package sizes its own buffers."""


class Cancelled(LimpidError):
    """The progress callback asked to stop."""


class InternalError(LimpidError, RuntimeError):
    """A defect of the library; please report it."""


BY_STATUS: Dict[int, Type[LimpidError]] = {
    1: InvalidArgument, 2: NotFound, 3: ReadWriteError, 4: InvalidModel, 5: InvalidImage, 6: Unsupported,
    7: BufferTooSmall, 8: Cancelled, 9: InternalError,
}

_BY_ERRNO: Dict[int, Type[ReadWriteError]] = {
    errno.ENOENT: MissingFile, errno.EACCES: NotPermitted, errno.EPERM: NotPermitted, errno.EISDIR: IsAFolder,
    errno.ENOTDIR: NotAFolder,
}


def check(library: ctypes.CDLL, status: int) -> None:
    """Raises what `status` stands for. To be called by the thread that made the call, right after it."""
    if status != 0:
        message = library.limpid_last_error().decode("utf-8", "replace")
        raise BY_STATUS.get(status, InternalError)(message)


def of_file(error: LimpidError, path: str) -> LimpidError:
    """The same error with the system's number for it, and the file; `error` itself where the system did not refuse."""
    message = str(error)
    if not isinstance(error, (NotFound, ReadWriteError)) or isinstance(error, OSError) and error.errno is not None:
        return error
    number = _number(message, path)
    if number is None:
        return error
    # What a model refers to, such as external data, is another file than the one that was named.
    named = path if path in message else None
    kind = _BY_ERRNO.get(number, ReadWriteError)
    return kind(number, message, named) if named is not None else kind(number, message)


def written(error: OSError, path: object, what: str = "write") -> ReadWriteError:
    """Ours for an error that Python met while it wrote a file, or did something else with it."""
    kind = _BY_ERRNO.get(error.errno or 0, ReadWriteError)
    return kind(error.errno, f"cannot {what} {os.fsdecode(path)!r}: {error.strerror}", path)  # type: ignore[arg-type]


def _number(message: str, path: str) -> Optional[int]:
    """The errno whose text the library's message ends with."""
    if message.endswith("it is a directory"):
        return errno.EISDIR
    found = (number for number in errno.errorcode if message.endswith(f": {os.strerror(number)}"))
    return next(found, None)
