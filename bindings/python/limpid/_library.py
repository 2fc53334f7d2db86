"""Finds, loads and declares the native library."""

from __future__ import annotations

import ctypes
import os
import weakref
from pathlib import Path
from typing import Any, Callable, Generator, List, Optional, Tuple, Union, overload
from contextlib import contextmanager

from . import _abi
from ._errors import InvalidArgument, InvalidType, LimpidError, of_file
from ._version import __version__

# The first two numbers of the library's version: before 1.0 each minor version has its own binary interface.
VERSION = tuple(int(part) for part in __version__.split(".")[:2])
SONAME = "liblimpid.so.0"

#: The name of a file.
PathLike = Union[str, "os.PathLike[str]", "os.PathLike[bytes]"]


def _candidates() -> List[str]:
    named = os.environ.get("LIMPID_LIBRARY")
    if named:
        return [named]
    beside = Path(__file__).with_name(SONAME)
    return [str(beside), SONAME] if beside.exists() else [SONAME]


def _load() -> Tuple[str, ctypes.CDLL]:
    tried = []
    for candidate in _candidates():
        try:
            return candidate, ctypes.CDLL(candidate)
        except OSError as error:
            tried.append(f"  {error}")
    raise ImportError(
        "limpid: the native library cannot be loaded:\n" + "\n".join(tried) + "\n"
        f"Install it (make install, then ldconfig), or set LIMPID_LIBRARY to the path of {SONAME}."
    )


def _open() -> ctypes.CDLL:
    path, library = _load()
    try:
        _abi.declare(library)
    except AttributeError as error:
        raise ImportError(f"limpid: {path} is not the library of this package: {error}") from None
    number = library.limpid_version_number()
    if (number // 1000000, number // 1000 % 1000) != VERSION:
        raise ImportError(
            f"limpid: {path} is version {library.limpid_version().decode()}, but this Python package "
            f"needs {VERSION[0]}.{VERSION[1]}: install package and library of one version"
        )
    return library


library = _open()


class Handle:
    """What the library gave, to be passed to its functions; given back when nobody has it, so never during a call with it."""

    __slots__ = "_as_parameter_", "__weakref__"

    def __init__(self, value: Optional[int], free: Callable[[Optional[int]], None]) -> None:
        self._as_parameter_ = ctypes.c_void_p(value)
        # Not when Python ends: daemon threads may be in a call then, and the system takes all back.
        weakref.finalize(self, free, value).atexit = False

    @property
    def pointer(self) -> ctypes.c_void_p:
        """For structs, which do not convert as calls do. Keep the handle as long as it is used."""
        return self._as_parameter_


def text(value: bytes) -> str:
    """A string of the library."""
    return value.decode("utf-8", "replace")


def optional_text(value: Optional[bytes]) -> Optional[str]:
    """The same; None for NULL."""
    return None if value is None else text(value)


@overload
def encoded(text: str) -> bytes: ...
@overload
def encoded(text: Optional[str]) -> Optional[bytes]: ...
def encoded(text: Optional[str]) -> Optional[bytes]:
    """Text as the library takes it; None for None. It would be cut short at a NUL."""
    if text is None:
        return None
    if not isinstance(text, str):
        raise InvalidType(f"{text!r} is no text")
    if "\0" in text:
        raise InvalidArgument(f"{text!r} has a NUL in it")
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise InvalidArgument(f"{text!r} has a surrogate in it, which no text in UTF-8 has") from None


@contextmanager
def naming_file(path: PathLike) -> Generator[bytes, None, None]:
    """Gives a file's name as the system knows it; an error of the system that is raised meanwhile has the name."""
    try:
        name = os.fsencode(path)
    except TypeError:
        raise InvalidType(f"{path!r} is no path") from None
    except UnicodeEncodeError:
        raise InvalidArgument(f"the path {path!r} cannot be a file's: it has a surrogate in it") from None
    if b"\0" in name:
        raise InvalidArgument(f"the path {os.fspath(path)!r} has a NUL in it")
    try:
        yield name
    except LimpidError as error:
        named = of_file(error, os.fsdecode(path))
        if named is error:
            raise
        raise named from None


def path_bytes(path: PathLike) -> bytes:
    """The same where no error can name the file."""
    with naming_file(path) as name:
        return name


def names(function: Callable[..., Optional[bytes]], *arguments: Any) -> List[str]:
    """The strings that an indexed function gives until it gives NULL."""
    found: List[str] = []
    while (name := function(*arguments, len(found))) is not None:
        found.append(text(name))
    return found


def taken(handle: Any) -> bytes:
    """The contents of a limpid_bytes, which is given back."""
    try:
        return ctypes.string_at(library.limpid_bytes_data(handle), library.limpid_bytes_size(handle))
    finally:
        library.limpid_bytes_free(handle)
