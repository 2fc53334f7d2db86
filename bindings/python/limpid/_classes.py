"""The classes that a call is about: numbers or labels."""

from __future__ import annotations

import ctypes
import operator
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Callable, Iterable, List, Optional, Tuple, Union

import numpy as np

from ._errors import InvalidArgument, InvalidType

if TYPE_CHECKING:
    from numpy.typing import NDArray

    #: A class: its index, or its label.
    Class = Union[int, str, np.integer[Any]]
    #: Classes: one or several for every image, or a row of them for each.
    Classes = Union[Class, Iterable[Class], Iterable[Iterable[Class]], NDArray[np.integer[Any]]]


def class_indices(
    labels: Callable[[], List[str]], classes: Optional[Classes], image_count: int,
) -> Tuple[Optional[ctypes.Array[ctypes.c_int32]], int]:
    """The C array [image_count, n] (None: the predicted class), and n. labels: gives those of the model, where they are needed."""
    if classes is None:
        return None, 1
    rows = listed(classes)
    if not any(isinstance(row, (list, tuple)) for row in rows):
        rows = [rows] * image_count
    lengths = {len(row) if isinstance(row, (list, tuple)) else 0 for row in rows}
    if len(rows) != image_count or len(lengths) != 1 or 0 in lengths:
        raise InvalidArgument(
            f"classes must be a class, a list of classes, or for the {image_count} images here a list of "
            f"as many lists that are equally long; not {classes!r}")
    flat = [class_index(labels, value) for row in rows for value in row]
    return (ctypes.c_int32 * len(flat))(*flat), lengths.pop()


def class_index(labels: Callable[[], List[str]], value: Class) -> int:
    if isinstance(value, str):
        names = labels()
        if value not in names:
            near = get_close_matches(value, names, 1) or [name for name in names if name.lower() == value.lower()]
            hint = f"; did you mean {near[0]!r}?" if near else "" if names else "; it has no labels: give the class by its index"
            raise InvalidArgument(f"the model has no class labelled {value!r}{hint}")
        if names.count(value) > 1:
            which = ", ".join(str(i) for i, name in enumerate(names) if name == value)
            raise InvalidArgument(f"several classes are labelled {value!r}: {which}; give the index of one")
        return names.index(value)
    try:
        index = operator.index(value)
    except TypeError:
        raise InvalidType(f"a class is an index or a label; not {value!r}") from None
    if not -(2**31) <= index < 2**31:
        raise InvalidArgument(f"class {index} is out of range")
    return index


def listed(classes: Any) -> List[Any]:
    """Classes as a list; rows of them as a list of lists."""
    if isinstance(classes, (str, int, np.integer)):
        return [classes]
    try:
        rows = classes.tolist() if isinstance(classes, np.ndarray) else list(classes)
    except TypeError:
        raise InvalidType(f"classes are indices, labels, or lists of these; not {classes!r}") from None
    if not isinstance(rows, list):
        return [rows]
    return [row if isinstance(row, (str, int, list, tuple)) or not hasattr(row, "__iter__") else list(row) for row in rows]
