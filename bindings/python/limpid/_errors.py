"""One exception class for each status of the library."""


class LimpidError(Exception):
    """What every exception of this package is. The message says what went wrong, where, and what to do."""


class InvalidArgument(LimpidError, ValueError):
    """A wrong shape, type or range: the caller's mistake."""


class NotFound(LimpidError, LookupError):
    """No such file, method, parameter, layer, tensor or colour map."""


class ReadWriteError(LimpidError, OSError):
    """The system refused to read or write."""


class InvalidModel(LimpidError, ValueError):
    """Not an ONNX model, a damaged one, or one that contradicts itself."""


class InvalidImage(LimpidError, ValueError):
    """Not a PNG or JPEG image, or a damaged one."""


class Unsupported(LimpidError, NotImplementedError):
    """Valid, but not done by Limpid: an operator, a type, a size."""


class BufferTooSmall(LimpidError, BufferError):
    """A result did not fit; this package sizes its own buffers."""


class Cancelled(LimpidError):
    """The progress callback asked to stop."""


class InternalError(LimpidError, RuntimeError):
    """A defect of the library; please report it."""


BY_STATUS = {
    1: InvalidArgument, 2: NotFound, 3: ReadWriteError, 4: InvalidModel, 5: InvalidImage, 6: Unsupported,
    7: BufferTooSmall, 8: Cancelled, 9: InternalError,
}


def check(library, status):
    """Raises what `status` stands for. To be called by the thread that made the call, right after it."""
    if status != 0:
        message = library.limpid_last_error().decode("utf-8", "replace")
        raise BY_STATUS.get(status, InternalError)(message)
